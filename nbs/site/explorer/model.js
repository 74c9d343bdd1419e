/* A model as the page sees it: asked for films and codes, one at a time, the most urgent first. A newer wish
   of the same name takes the place of an older one that was not begun, whose promise becomes null. */

/* A module of WebAssembly with one instruction of SIMD, which the runtime is built with. */
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253,
    15, 253, 98, 11]

/* A sentence on what the browser lacks, or ''. */
export function lacking() {
    const told = what => `This browser has no ${what}, which the model is computed with: take a newer one.`
    if (!globalThis.WebAssembly?.validate(new Uint8Array(SIMD))) return told('WebAssembly with SIMD')
    return globalThis.Worker ? '' : told('workers')
}

export const URGENT = 0, SOON = 1, SOMETIME = 2

export class Model {
    constructor() {
        this._wishes = new Map() // name -> {what, given, urgency, settle, fail}
        this._now = null
        this._count = 0
        this._worker = new Worker(new URL('./worker.js', import.meta.url), {type: 'module'})
        this._worker.onmessage = ({data}) => this._answered(data)
        this._worker.onerror = e => {
            e.preventDefault()
            const why = e.message || 'its program did not load'
            this.broken = new Error(`the model can't be computed here (${why})`)
            this._now?.fail(this.broken)
            for (const wish of this._wishes.values()) wish.fail(this.broken)
            this._wishes.clear()
        }
    }
    /* Wishes that were not begun are dropped. */
    open(folder, about) {
        for (const name of [...this._wishes.keys()]) this.drop(name)
        const {size, content, motion} = about
        return this._ask('open', 'open', {folder, size, content, motion}, URGENT)
    }
    encode(name, film, urgency = URGENT) { return this._ask(`encode ${name}`, 'encode', film, urgency) }
    decode(name, codes, urgency = URGENT) { return this._ask(name, 'decode', codes, urgency) }
    drop(name) {
        this._wishes.get(name)?.settle(null)
        this._wishes.delete(name)
    }
    _ask(name, what, given, urgency) {
        if (this.broken) return Promise.reject(this.broken)
        this.drop(name)
        return new Promise((settle, fail) => {
            this._wishes.set(name, {what, given, urgency, settle, fail})
            this._next()
        })
    }
    _next() {
        if (this._now || !this._wishes.size) return
        const [name, wish] = [...this._wishes].reduce((x, y) => y[1].urgency < x[1].urgency ? y : x)
        this._wishes.delete(name)
        this._now = {...wish, id: ++this._count}
        this._worker.postMessage({id: this._now.id, what: wish.what, given: wish.given})
    }
    _answered({id, answer, fault}) {
        if (id !== this._now?.id) return
        const {settle, fail} = this._now
        this._now = null
        fault === undefined ? settle(answer) : fail(new Error(fault))
        this._next()
    }
}
