/* What was made, as files: a moving picture, a strip of frames, and the codes. */
import {applyPalette, GIFEncoder, quantize} from './gifenc.js'

const FPS = 12

/* Bytes (T, H, W, 3) -> RGBA of all frames, each pixel repeated. */
function larger({data, shape: [frames, height, width]}, zoom) {
    const rgba = new Uint8ClampedArray(frames*height*width*zoom*zoom*4)
    let at = 0
    for (let t = 0; t < frames; t++)
        for (let y = 0; y < height*zoom; y++)
            for (let x = 0; x < width*zoom; x++) {
                const from = 3*((t*height + Math.floor(y/zoom))*width + Math.floor(x/zoom))
                rgba[at++] = data[from]
                rgba[at++] = data[from + 1]
                rgba[at++] = data[from + 2]
                rgba[at++] = 255
            }
    return rgba
}

/* One palette for all frames, so that colours don't flicker. */
export function gif(film) {
    const [frames, height, width] = film.shape, zoom = Math.max(1, Math.floor(256/width))
    const palette = quantize(larger(film, 1), 256), rgba = larger(film, zoom), encoder = GIFEncoder()
    const one = height*width*zoom*zoom*4
    for (let t = 0; t < frames; t++) {
        const frame = rgba.slice(t*one, (t + 1)*one) // a copy: gifenc reads a view's whole buffer
        encoder.writeFrame(applyPalette(frame, palette), width*zoom, height*zoom,
                           {palette: t ? undefined : palette, delay: 1000/FPS})
    }
    encoder.finish()
    return new Blob([encoder.bytes()], {type: 'image/gif'})
}

/* All frames in one picture, side by side. */
export function strip(film) {
    const [frames, height, width] = film.shape, zoom = Math.max(1, Math.floor(96/width))
    const rgba = larger(film, zoom), canvas = document.createElement('canvas')
    const one = height*width*zoom*zoom*4
    canvas.width = frames*width*zoom
    canvas.height = height*zoom
    const pen = canvas.getContext('2d')
    for (let t = 0; t < frames; t++) {
        const frame = new ImageData(rgba.slice(t*one, (t + 1)*one), width*zoom, height*zoom)
        pen.putImageData(frame, t*width*zoom, 0)
    }
    return new Promise(settle => canvas.toBlob(settle, 'image/png'))
}

/* As encgan3.editing.items reads them. */
export function codes({zx, zv}, motion) {
    const steps = zv.length/motion
    const rows = Array.from({length: motion}, (_, d) => [...zv.subarray(d*steps, (d + 1)*steps)])
    return new Blob([JSON.stringify({format: 'encgan3 codes 1', zx: [...zx], zv: rows})],
                    {type: 'application/json'})
}

export function download(blob, name) {
    const link = document.createElement('a')
    link.href = URL.createObjectURL(blob)
    link.download = name
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}
