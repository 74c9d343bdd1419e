/* Films on canvases under one clock, and a board of them. No dependencies; used by the page of `make app`
   (through anywidget) and by the static page of `make site`.

   A film is {data, shape}: bytes of frames, shape [T, H, W, C] with C = 3 (RGB) or 4 (RGBA).

       const clock = new Clock({fps: 8})
       const view = new Film(clock, {label: 'edited'})          // view.element goes into the page
       view.show({data, shape: [16, 32, 32, 3]})
       const board = new Board(clock, {label: 'Board'})
       board.show({rows: [{label, film}], columns: [{label, film}], cells: [[film]], picked: [0, 0]})
       board.cell(0, 0, film)                                    // one cell, later
       board.element.addEventListener('pick', e => e.detail)     // {row, column}
       new Player(clock).element                                 // pause, step, speed

   Themes: everything takes the colour of the text around it; the CSS variables --films-accent, --films-line,
   --films-ground, --films-cell (the width of a cell), --films-film (of a film) override. */

const TYPE = 'application/x-encgan3-film' // what a dragged cell carries

const STYLE = `
.films-film,.films-film canvas{display:block;width:100%;min-width:0}
.films-film{max-width:var(--films-film,100%);background:var(--films-ground,rgba(128,128,128,.15))}
.films-film canvas{image-rendering:pixelated;aspect-ratio:1}
.films-board{display:grid;gap:4px;overflow-x:auto;padding:3px;justify-content:start}
.films-board [role=row]{display:contents}
.films-cell{position:relative;min-width:0;padding:2px;border-radius:4px;cursor:pointer;text-align:center;
 border:1px solid transparent;font:inherit;color:inherit;background:none}
.films-cell:focus-visible{outline:2px solid var(--films-accent,#3b82f6);outline-offset:1px}
.films-cell[aria-selected=true]{border-color:var(--films-accent,#3b82f6);
 box-shadow:0 0 0 1px var(--films-accent,#3b82f6)}
.films-cell.films-over{background:color-mix(in srgb,var(--films-accent,#3b82f6) 30%,transparent)}
.films-cell.films-head{border-color:var(--films-line,color-mix(in srgb,currentColor 30%,transparent))}
.films-cell.films-waits .films-film{opacity:.35}
.films-name{display:block;font-size:11px;line-height:1.25;overflow-wrap:anywhere;padding-top:2px}
.films-copy{padding:0 10px}
.films-player{display:flex;flex-wrap:wrap;gap:4px 8px;align-items:center}
.films-player button,.films-player select,.films-copy{font:inherit;color:inherit;background:none;min-height:28px;
 min-width:32px;border:1px solid var(--films-line,color-mix(in srgb,currentColor 40%,transparent));
 border-radius:4px;cursor:pointer}
.films-player option{color:#111;background:#fff}
.films-player input{flex:1 1 90px;min-width:60px;max-width:320px;accent-color:var(--films-accent,#3b82f6)}
.films-player output{min-width:4.5em;font-variant-numeric:tabular-nums}`

function styled() {
    if (document.getElementById('films-style')) return
    const style = document.createElement('style')
    style.id = 'films-style'
    style.textContent = STYLE
    document.head.append(style)
}

function made(tag, kind, attributes = {}) {
    const element = document.createElement(tag)
    element.className = kind
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
    return element
}

/* One clock for all films of a page. at: the frame shown by films that are long enough; length: of the longest.
   Events: 'tick' at a new frame, 'change' when paused, speed or length change. */
export class Clock extends EventTarget {
    constructor({fps = 8, paused = false} = {}) {
        super()
        this.at = 0
        this.length = 1
        this._fps = fps
        this._films = new Set()
        this._asked = null
        this._last = null
        this._paused = true
        this.paused = paused
    }
    /* The clock of that name: widgets that were loaded one by one share it. */
    static named(name, options) {
        const all = globalThis[Symbol.for('encgan3.clocks')] ??= new Map()
        if (!all.has(name)) all.set(name, new Clock(options))
        return all.get(name)
    }
    get paused() { return this._paused }
    set paused(value) {
        if (this._paused === !!value) return
        this._paused = !!value
        this._last = null
        if (this._paused) cancelAnimationFrame(this._asked)
        else this._asked = requestAnimationFrame(now => this._run(now))
        this.dispatchEvent(new Event('change'))
    }
    get fps() { return this._fps }
    set fps(value) {
        this._fps = Math.min(60, Math.max(.5, +value || 8))
        this.dispatchEvent(new Event('change'))
    }
    /* Show that frame. */
    seek(frame) {
        this.at = ((Math.round(frame) % this.length) + this.length) % this.length
        for (const film of this._films) film.draw()
        this.dispatchEvent(new Event('tick'))
    }
    step(by = 1) {
        this.paused = true
        this.seek(this.at + by)
    }
    /* Films come and go by themselves; called when one has other frames than before. */
    measure(film) {
        this._films.add(film)
        this._count()
    }
    forget(film) {
        this._films.delete(film)
        this._count()
    }
    _count() {
        const length = Math.max(1, ...Array.from(this._films, film => film.length))
        if (length === this.length) return
        this.length = length
        if (this.at >= length) this.seek(length - 1)
        this.dispatchEvent(new Event('change'))
    }
    _run(now) {
        if (this._paused) return
        this._last ??= now
        const steps = Math.floor((now - this._last)*this._fps/1000)
        if (steps > 0) {
            // a tab that was hidden goes on where it was
            this._last = steps > this.length ? now : this._last + steps*1000/this._fps
            this.seek(this.at + steps)
        }
        this._asked = requestAnimationFrame(now => this._run(now))
    }
}

/* One film on a canvas as large as its place; a film that is shorter than others stays at its last frame. */
export class Film {
    constructor(clock, {label = ''} = {}) {
        styled()
        this.clock = clock
        this.element = made('div', 'films-film')
        this.canvas = made('canvas', '', {role: 'img'})
        this.canvas.width = this.canvas.height = 1
        this.canvas.film = this
        this.element.append(this.canvas)
        this.label = label
        this.length = 0
    }
    set label(words) { this.canvas.setAttribute('aria-label', words) }
    get label() { return this.canvas.getAttribute('aria-label') }
    get bytes() { return this._bytes }
    /* film: null: nothing to see. Error unless bytes and shape fit. The canvas tells of it: 'shown'. */
    show(film) {
        if (!film || !film.shape || !film.shape[0]) {
            this._frames = []
            this.length = 0
            this.canvas.getContext('2d').clearRect(0, 0, this.canvas.width, this.canvas.height)
            this.clock.forget(this)
            return
        }
        const [frames, height, width, channels] = film.shape
        const bytes = film.data instanceof Uint8Array || film.data instanceof Uint8ClampedArray ? film.data
            : ArrayBuffer.isView(film.data)
                ? new Uint8Array(film.data.buffer, film.data.byteOffset, film.data.byteLength)
                : new Uint8Array(film.data)
        if (bytes.length !== frames*height*width*channels)
            throw new Error(`film: ${bytes.length} bytes are not ${film.shape.join(' x ')}`)
        this._bytes = bytes
        this._shape = [frames, height, width, channels]
        this._frames = Array(frames)
        this.length = frames
        if (this.canvas.width !== width || this.canvas.height !== height) {
            this.canvas.width = width
            this.canvas.height = height
            this.canvas.style.aspectRatio = `${width} / ${height}`
        }
        this.clock.measure(this)
        this.draw()
        this.canvas.dispatchEvent(new Event('shown'))
    }
    draw() {
        if (!this.length) return
        const at = Math.min(this.clock.at, this.length - 1)
        this.canvas.getContext('2d').putImageData(this._frames[at] ??= this._frame(at), 0, 0)
        this.canvas.dataset.frame = at
    }
    /* Frame t as ImageData, also for saving. */
    _frame(t) {
        const [, height, width, channels] = this._shape
        const from = this._bytes.subarray(t*height*width*channels, (t + 1)*height*width*channels)
        const image = new ImageData(width, height)
        if (channels === 4) image.data.set(from)
        else for (let i = 0, j = 0; i < from.length; i += 3, j += 4) {
            image.data[j] = from[i]
            image.data[j + 1] = from[i + 1]
            image.data[j + 2] = from[i + 2]
            image.data[j + 3] = 255
        }
        return image
    }
    remove() {
        this.clock.forget(this)
        this.element.remove()
    }
}

/* Make an element something that can be dragged. payload: () => anything that JSON can hold. */
export function draggable(element, payload) {
    element.draggable = true
    element.addEventListener('dragstart', e => {
        e.dataTransfer.setData(TYPE, JSON.stringify(payload()))
        e.dataTransfer.effectAllowed = 'copyMove'
        const picture = element.querySelector('canvas')
        if (picture) e.dataTransfer.setDragImage(picture, 16, 16)
        e.stopPropagation()
    })
}

/* Make an element a place to drop on. take: called with what `draggable` gave, or with {files}. */
export function droppable(element, take) {
    const fits = e => [...e.dataTransfer.types].some(type => type === TYPE || type === 'Files')
    element.addEventListener('dragover', e => {
        if (!fits(e)) return
        e.preventDefault()
        element.classList.add('films-over')
    })
    element.addEventListener('dragleave', () => element.classList.remove('films-over'))
    element.addEventListener('drop', e => {
        element.classList.remove('films-over')
        if (!fits(e)) return
        e.preventDefault()
        e.stopPropagation()
        const data = e.dataTransfer.getData(TYPE)
        take(data ? JSON.parse(data) : {files: [...e.dataTransfer.files]})
    })
}

/* N x M films with heads: rows give content, columns motion. Heads have column -1 (of rows) or row -1 (of
   columns). Events on .element, with indices in .detail: 'pick' {row, column}; 'move' {from, to}, both
   {row, column}, or `from` whatever `draggable` gave elsewhere, or {files}; 'remove' {row, column}: Delete on
   a head, or a head dragged out. Arrow keys, Home and End go from cell to cell, Enter and Space pick. */
export class Board {
    constructor(clock, {label = 'Board', corner = '', name = 'board'} = {}) {
        styled()
        this.clock = clock
        this.name = name
        this.corner = corner
        this.element = made('div', 'films-board', {role: 'grid', 'aria-label': label})
        this.element.addEventListener('keydown', e => this._key(e))
        this._cells = new Map() // 'row,column' -> {element, film, name}
        this._focus = [0, 0]
        this.rows = this.columns = 0
    }
    /* rows, columns: [{label, film}]; cells: [[film or null]], null: not there yet; picked: [row, column]. */
    show({rows, columns, cells = [], picked = null}) {
        if (rows.length !== this.rows || columns.length !== this.columns) this._build(rows.length, columns.length)
        rows.forEach((head, r) => this._head(r, -1, head))
        columns.forEach((head, c) => this._head(-1, c, head))
        rows.forEach((row, r) => columns.forEach((column, c) => {
            const words = `${row.label}, moving as ${column.label}`
            this._at(r, c).element.setAttribute('aria-label', words)
            this._at(r, c).film.label = words
            this.cell(r, c, cells[r]?.[c] ?? null)
        }))
        this.pick(picked)
    }
    /* Other frames for one cell; null: they are not there yet, what was there goes pale. */
    cell(row, column, film) {
        const cell = this._at(row, column)
        if (!cell) return
        if (film) cell.film.show(film)
        cell.element.classList.toggle('films-waits', !film)
        cell.element.setAttribute('aria-busy', !film)
    }
    /* Mark a cell, or none. */
    pick(picked) {
        for (const [at, {element}] of this._cells)
            element.setAttribute('aria-selected', !!picked && at === picked.join())
        if (picked && this._at(...picked) && !this.element.contains(document.activeElement)) this._rove(picked)
    }
    remove() {
        for (const {film} of this._cells.values()) film.remove()
        this._cells.clear()
        this.element.remove()
    }
    _at(row, column) { return this._cells.get(`${row},${column}`) }
    _head(row, column, {label, film}) {
        const head = this._at(row, column)
        head.name.textContent = label
        head.element.setAttribute('aria-label', `${row < 0 ? 'what: ' : 'who: '}${label}`)
        head.film.label = label
        head.film.show(film)
    }
    _build(rows, columns) {
        for (const {film} of this._cells.values()) film.remove()
        this._cells.clear()
        this.element.replaceChildren()
        this.rows = rows
        this.columns = columns
        this.element.style.gridTemplateColumns = `repeat(${columns + 1}, minmax(40px, var(--films-cell, 96px)))`
        for (let r = -1; r < rows; r++) {
            const line = made('div', '', {role: 'row'})
            for (let c = -1; c < columns; c++) line.append(this._make(r, c))
            this.element.append(line)
        }
        this._rove([Math.min(this._focus[0], rows - 1), Math.min(this._focus[1], columns - 1)])
    }
    _make(row, column) {
        const role = row < 0 ? 'columnheader' : column < 0 ? 'rowheader' : 'gridcell'
        const element = made('div', 'films-cell', {role, tabindex: -1})
        if (row < 0 && column < 0) {
            element.textContent = this.corner
            element.classList.add('films-name')
            return element
        }
        const film = new Film(this.clock)
        element.append(film.element)
        const cell = {element, film}
        if (row < 0 || column < 0) {
            element.classList.add('films-head')
            cell.name = made('span', 'films-name')
            element.append(cell.name)
        }
        element.addEventListener('click', () => {
            this._rove([row, column])
            this._tell('pick', {row, column})
        })
        element.addEventListener('focus', () => this._rove([row, column]))
        draggable(element, () => ({board: this.name, row, column}))
        droppable(element, from => this._tell('move', {from, to: {row, column}}))
        element.addEventListener('dragend', e => {
            if (e.dataTransfer.dropEffect === 'none' && (row < 0 || column < 0) && this._outside(e))
                this._tell('remove', {row, column})
        })
        this._cells.set(`${row},${column}`, cell)
        return element
    }
    _outside(e) {
        const box = this.element.getBoundingClientRect()
        return e.clientX < box.left || e.clientX > box.right || e.clientY < box.top || e.clientY > box.bottom
    }
    _tell(name, detail) { this.element.dispatchEvent(new CustomEvent(name, {detail, bubbles: true})) }
    _rove(at, focus = false) { // one cell is in the order of the tab key; arrow keys reach the others
        this._at(...this._focus)?.element.setAttribute('tabindex', -1)
        this._focus = at
        const cell = this._at(...at)
        cell?.element.setAttribute('tabindex', 0)
        if (focus) cell?.element.focus()
    }
    _key(e) {
        const [row, column] = this._focus
        const to = {ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1],
                    ArrowRight: [row, column + 1], Home: [row, row < 0 ? 0 : -1],
                    End: [row, this.columns - 1]}[e.key]
        if (to) {
            if (this._at(...to)) this._rove(to, true)
        } else if (e.key === 'Enter' || e.key === ' ') this._tell('pick', {row, column})
        else if (e.key === 'Delete' && (row < 0 || column < 0)) this._tell('remove', {row, column})
        else return
        e.preventDefault()
        e.stopPropagation() // JupyterLab has keys of its own
    }
}

/* Pause or play, one frame back or on, and how fast. */
export class Player {
    constructor(clock, {speeds = [2, 4, 8, 12, 25]} = {}) {
        styled()
        this.element = made('div', 'films-player', {role: 'group', 'aria-label': 'player'})
        const button = (words, title, f) => {
            const b = made('button', '', {type: 'button', title, 'aria-label': title})
            b.textContent = words
            b.addEventListener('click', f)
            this.element.append(b)
            return b
        }
        const play = button('', '', () => clock.paused = !clock.paused)
        button('\u2039', 'one frame back', () => clock.step(-1))
        button('\u203a', 'one frame on', () => clock.step(1))
        const frame = made('input', '', {type: 'range', min: 0, step: 1, 'aria-label': 'frame'})
        frame.addEventListener('input', () => clock.step(+frame.value - clock.at))
        const said = made('output', '')
        const speed = made('select', '', {'aria-label': 'frames a second'})
        for (const fps of [...new Set([...speeds, clock.fps])].sort((x, y) => x - y))
            speed.add(new Option(`${fps} a second`, fps))
        speed.addEventListener('change', () => clock.fps = +speed.value)
        this.element.append(frame, said, speed)
        const tick = () => {
            frame.value = clock.at
            said.textContent = `${clock.at + 1} of ${clock.length}`
        }
        const change = () => {
            play.textContent = clock.paused ? '\u25b6' : '\u2759\u2759'
            play.title = clock.paused ? 'play' : 'pause'
            play.setAttribute('aria-label', play.title)
            frame.max = clock.length - 1
            speed.value = clock.fps
            tick()
        }
        clock.addEventListener('tick', tick)
        clock.addEventListener('change', change)
        this.remove = () => {
            clock.removeEventListener('tick', tick)
            clock.removeEventListener('change', change)
            this.element.remove()
        }
        change()
    }
}

/* The same as a widget of anywidget: `kind` is one of these, `clock` a name. What happens goes to the kernel
   as {event, ...}: 'ready', 'pick', 'move', 'remove', 'drop', 'file', 'address'. */
const tell = (model, event, detail, buffers) => model.send({event, ...detail}, undefined, buffers)

/* Files that somebody dropped; one that is too large is named, and stays. */
async function hand(model, files) {
    for (const file of files) {
        const fits = file.size <= model.get('most')
        tell(model, 'file', {name: file.name, size: file.size}, fits ? [await file.arrayBuffer()] : [])
    }
}

function film(model, clock) {
    const view = new Film(clock)
    const show = () => {
        view.label = model.get('words')
        view.show(model.get('film'))
    }
    model.on('change:film', show)
    model.on('change:words', () => view.label = model.get('words'))
    draggable(view.element, () => ({film: model.get('name')}))
    droppable(view.element, from => from.files ? hand(model, from.files) : tell(model, 'drop', {from}))
    show()
    return view
}

function board(model, clock) {
    const view = new Board(clock, {label: model.get('words'), corner: model.get('corner'), name: model.get('name')})
    const show = () => {
        if (model.get('heads').rows) view.show({...model.get('heads'), picked: model.get('picked')})
    }
    model.on('change:heads', show)
    model.on('change:picked', () => view.pick(model.get('picked')))
    model.on('msg:custom', ({row, column, shape}, [data]) => view.cell(row, column, shape && {data, shape}))
    for (const event of ['pick', 'move', 'remove'])
        view.element.addEventListener(event, e => {
            const files = e.detail.from?.files
            if (files) hand(model, files)
            else tell(model, event, e.detail)
        })
    show()
    tell(model, 'ready')
    return view
}

/* The state of the page as part of its address, where the page has one of its own (Voila), and a button that
   copies it. The token that opens the page is not copied. Sliders get the names that stand beside them. */
function page(model) {
    const own = document.body.dataset.voila !== undefined
    const button = made('button', 'films-copy', {type: 'button'})
    const words = own ? 'copy link' : 'copy state'
    button.textContent = words
    const write = () => {
        if (own && model.get('state')) history.replaceState(null, '', '#' + model.get('state'))
    }
    model.on('change:state', write)
    button.addEventListener('click', async () => {
        const url = new URL(location)
        url.searchParams.delete('token')
        try {
            await navigator.clipboard.writeText(own ? url.href : model.get('state'))
            button.textContent = 'copied'
        } catch {
            button.textContent = 'copy it from the line'
        }
        setTimeout(() => button.textContent = words, 1500)
    })
    const given = own ? decodeURIComponent(location.hash.slice(1)) : ''
    if (given) tell(model, 'address', {state: given})
    else write()
    const named = () => document.querySelectorAll('.encgan3 .noUi-handle').forEach(handle => {
        const words = handle.closest('.widget-inline-hbox, .widget-slider')?.querySelector('.widget-label')?.textContent
        if (words && handle.getAttribute('aria-label') !== words) handle.setAttribute('aria-label', words)
    })
    const watch = new MutationObserver(named)
    watch.observe(document.body, {childList: true, subtree: true, characterData: true})
    named()
    return {element: button, remove: () => {
        watch.disconnect()
        button.remove()
    }}
}

export default {
    render({model, el}) {
        const kinds = {film, board, page, player: (_, clock) => new Player(clock)}
        const part = kinds[model.get('kind')](model, Clock.named(model.get('clock')))
        el.append(part.element)
        return () => part.remove()
    },
}
