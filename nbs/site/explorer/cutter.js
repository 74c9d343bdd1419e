/* Where a person's own film is cut: a square to drag, and when it begins. */
import {slider} from './slider.js'
import {OwnFilm, SHORTEST} from './video.js'

const SPAN = 1.2 // seconds that 16 frames of the training films cover
const LONGEST = 4 // seconds that they are spread over at most
const SMALLEST = 16 // pixels of the square's side

const CUTS = {
    start: {label: 'begins at', title: 'seconds', min: 0, max: 1, step: .01, value: 0},
    seconds: {label: 'lasts', title: `seconds; the model knows films of about ${SPAN}`,
              min: SHORTEST, max: LONGEST, step: .01, value: SPAN},
    side: {label: 'square', title: 'pixels of your film', min: SMALLEST, max: 100, step: 1, value: 100},
}

export class Cutter {
    /* $: id -> element; telling: makes failures of a function sentences on the page.
       size: () => pixels of the model; take: called with name and film when a cut was made. */
    constructor($, telling, {size, take}) {
        this.$ = $
        this.box = document.querySelector('.square')
        this.canvas = document.querySelector('#cutter canvas')
        this.square = {left: 0, top: 0, side: 1} // pixels of the film
        this.own = null // the film
        this.cuts = {}
        for (const [name, how] of Object.entries(CUTS))
            this.cuts[name] = slider($('cuts'), how, () => name === 'side' ? this._grow() : this._look())
        this._look = telling(() => this._seek(), 'own-wrong')
        this.open = telling(file => this._open(file), 'own-wrong')
        $('take').addEventListener('click', telling(() => this._take(size(), take), 'own-wrong'))
        $('file').addEventListener('change', async () => {
            if ($('file').files[0]) await this.open($('file').files[0])
            $('file').value = '' // the same file may come again
        })
        document.addEventListener('dragover', e => e.preventDefault()) // else the page would go
        document.addEventListener('drop', e => {
            e.preventDefault()
            if (e.dataTransfer.files[0]) this.open(e.dataTransfer.files[0])
        })
        this._draggable()
    }
    close() {
        this.own?.close()
        this.own = null
        this.$('cutter').hidden = true
        this.$('reading').textContent = ''
    }
    async _open(file) {
        const film = await OwnFilm.open(file), {cuts, canvas, $} = this
        this.close()
        this.own = film
        const wide = Math.min(film.width, 640)
        Object.assign(canvas, {width: wide, height: Math.round(wide*film.height/film.width)})
        $('cutter').hidden = false
        cuts.seconds.ends(SHORTEST, Math.min(LONGEST, film.seconds))
        cuts.seconds.value = Math.min(SPAN, film.seconds)
        cuts.start.ends(0, Math.max(0, film.seconds - cuts.seconds.value))
        cuts.start.value = Math.max(0, film.seconds - cuts.seconds.value)/2
        const most = Math.min(film.width, film.height)
        cuts.side.ends(Math.min(SMALLEST, most), most)
        cuts.side.value = most
        this.square = {side: most, left: (film.width - most)/2, top: (film.height - most)/2}
        this._lay()
        await this._seek()
        $('take').focus()
    }
    async _take(size, take) {
        const {$, own, cuts, square} = this
        $('take').disabled = true
        try {
            const told = share => $('reading').textContent = `reads ${Math.round(100*share)} %`
            const film = await own.cut({start: cuts.start.value, seconds: cuts.seconds.value, box: square,
                                        size, told})
            await take(own.name, film)
            $('reading').textContent = `${own.name} is clip a now`
        } finally {
            $('take').disabled = false
        }
    }
    /* Show the first frame of the cut, the one that is wanted last. */
    async _seek() {
        const {own, cuts} = this
        cuts.start.ends(0, Math.max(0, own.seconds - cuts.seconds.value))
        if (this.seeking === own) return // it looks again when it is there
        this.seeking = own
        try {
            for (let at = null; at !== cuts.start.value && this.own === own;) {
                at = cuts.start.value
                await own.seek(at)
                own.draw(this.canvas)
            }
        } finally {
            if (this.seeking === own) this.seeking = null
        }
    }
    _lay() {
        const {square, own} = this, clamp = (x, most) => Math.min(Math.max(0, x), most)
        square.side = this.cuts.side.value
        square.left = clamp(square.left, own.width - square.side)
        square.top = clamp(square.top, own.height - square.side)
        const share = (x, of) => `${100*x/of}%`
        Object.assign(this.box.style, {
            left: share(square.left, own.width), top: share(square.top, own.height),
            width: share(square.side, own.width), height: share(square.side, own.height)})
    }
    _move(left, top) {
        this.square.left = left
        this.square.top = top
        this._lay()
    }
    /* Around its middle. */
    _grow() {
        const {square} = this, more = (this.cuts.side.value - square.side)/2
        this._move(square.left - more, square.top - more)
    }
    _draggable() {
        const {box} = this
        box.addEventListener('pointerdown', e => {
            box.setPointerCapture(e.pointerId)
            const scale = this.own.width/this.canvas.clientWidth
            const left = this.square.left - e.clientX*scale, top = this.square.top - e.clientY*scale
            box.onpointermove = e => this._move(left + e.clientX*scale, top + e.clientY*scale)
        })
        for (const end of ['pointerup', 'pointercancel'])
            box.addEventListener(end, () => box.onpointermove = null)
        box.addEventListener('keydown', e => {
            const step = Math.max(1, Math.round(this.own.width/100)), {left, top} = this.square
            const by = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[e.key]
            if (by) this._move(left + step*by[0], top + step*by[1])
            else if (e.key === '+' || e.key === '-') {
                this.cuts.side.value += e.key === '+' ? step : -step
                this._grow()
            } else return
            e.preventDefault()
        })
    }
}
