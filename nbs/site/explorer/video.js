/* A person's own film, read by the page itself: the browser plays it, a canvas cuts a square out of 16 of its
   frames. Nothing is sent anywhere. What can't be read is told in a sentence, as the message of an error. */

const PATIENCE = 15_000 // milliseconds for one answer of the browser's player
export const SHORTEST = .3 // seconds

/* Waits for an event of an element; Error with these words if it fails, or never comes. */
function happening(element, name, words) {
    return new Promise((settle, fail) => {
        const stop = new AbortController(), {signal} = stop
        const end = (then, value) => {
            clearTimeout(late)
            stop.abort()
            then(value)
        }
        const late = setTimeout(() => end(fail, new Error(words)), PATIENCE)
        element.addEventListener(name, () => end(settle), {signal})
        element.addEventListener('error', () => end(fail, new Error(words)), {signal})
    })
}

export class OwnFilm {
    /* Error says what is wrong with the file. */
    static async open(file) {
        const film = new OwnFilm()
        film.name = file.name
        if (!file.size) throw new Error(`${file.name}: is empty`)
        if (file.type.startsWith('image/'))
            throw new Error(`${file.name}: is a picture, and the model takes films: give a video`)
        film.video = document.createElement('video')
        Object.assign(film.video, {muted: true, playsInline: true, preload: 'auto'})
        film.url = URL.createObjectURL(file)
        try {
            await film._begin()
        } catch (e) {
            film.close()
            throw e
        }
        return film
    }
    async _begin() {
        const {video, name} = this
        const words = `${name}: is damaged, or no film that this browser plays: save it as MP4 or WebM`
        video.src = this.url
        await happening(video, 'loadeddata', words)
        if (!video.videoWidth) throw new Error(`${name}: has no pictures, only sound`)
        if (!Number.isFinite(video.duration)) { // recorded by a browser: the end has to be looked for
            video.currentTime = 1e9
            await happening(video, 'seeked', words)
        }
        this.seconds = Number.isFinite(video.duration) ? video.duration : video.currentTime
        if (!(this.seconds >= SHORTEST))
            throw new Error(`${name}: lasts ${this.seconds.toFixed(2)} seconds, and the model looks at more `
                            + `than one: give a longer film`)
        this.width = video.videoWidth
        this.height = video.videoHeight
    }
    /* Go to a time, in seconds. */
    async seek(seconds) {
        const to = Math.min(Math.max(0, seconds), this.seconds - .001)
        if (Math.abs(this.video.currentTime - to) < 1e-4 && this.video.readyState > 1) return
        const there = happening(this.video, 'seeked', `${this.name}: no frame at second ${to.toFixed(1)}`)
        this.video.currentTime = to
        await there
    }
    /* The frame that is at hand, drawn on a canvas of any size. */
    draw(canvas, {left = 0, top = 0, width = this.width, height = this.height} = {}) {
        const pen = canvas.getContext('2d', {willReadFrequently: true})
        pen.imageSmoothingQuality = 'high'
        pen.drawImage(this.video, left, top, width, height, 0, 0, canvas.width, canvas.height)
        return pen
    }
    /* Bytes (frames, size, size, 3) of a square {left, top, side}, in pixels of the film. */
    async cut({start, seconds, box, size, frames = 16, told = () => {}}) {
        const canvas = document.createElement('canvas')
        canvas.width = canvas.height = size
        const data = new Uint8Array(frames*size*size*3)
        for (let t = 0, at = 0; t < frames; t++) {
            await this.seek(start + t*seconds/(frames - 1))
            const pen = this.draw(canvas, {left: box.left, top: box.top, width: box.side, height: box.side})
            const seen = pen.getImageData(0, 0, size, size).data
            for (let i = 0; i < seen.length; i += 4) {
                data[at++] = seen[i]
                data[at++] = seen[i + 1]
                data[at++] = seen[i + 2]
            }
            told((t + 1)/frames)
        }
        return {data, shape: [frames, size, size, 3]}
    }
    close() {
        this.video.removeAttribute('src')
        URL.revokeObjectURL(this.url)
    }
}
