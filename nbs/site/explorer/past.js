/* Undo and redo: settings one after the other, the present ones last. */
const MOST = 200
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other)

export class Past {
    constructor() {
        this.clear()
    }

    clear() {
        this.before = []
        this.after = []
    }

    /* Settings other than the present ones; what was undone is gone then. */
    note(settings) {
        if (same(settings, this.before.at(-1))) return
        this.before = [...this.before, settings].slice(-MOST)
        this.after = []
    }

    get canUndo() { return this.before.length > 1 }
    get canRedo() { return this.after.length > 0 }

    undo() {
        if (this.canUndo) this.after.push(this.before.pop())
        return this.before.at(-1)
    }

    redo() {
        if (this.canRedo) this.before.push(this.after.pop())
        return this.before.at(-1)
    }
}
