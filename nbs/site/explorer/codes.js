/* The arithmetic of codes, as encgan3/editing/latents.py does it. A code is {zx, zv}: content, and motion
   of L steps, numbers of one step apart by L, as in a tensor (motion, L). */

/* Standard normal numbers, the same for the same seed. */
export function normals(seed) {
    let state = seed*2654435761 >>> 0
    const uniform = () => { // mulberry32
        state = state + 0x6d2b79f5 >>> 0
        let t = Math.imul(state ^ state >>> 15, state | 1)
        t ^= t + Math.imul(t ^ t >>> 7, t | 61)
        return ((t ^ t >>> 14) >>> 0)/4294967296
    }
    return () => Math.sqrt(-2*Math.log(1 - uniform()))*Math.cos(2*Math.PI*uniform())
}

export const stepsOf = frames => (frames - 12)/4

/* Codes of a new clip from the prior; temperature: standard deviation. */
export function drawn({content, motion}, frames, seed, temperature) {
    const next = normals(seed)
    const codes = n => Float32Array.from({length: n}, () => temperature*next())
    return {zx: codes(content), zv: codes(motion*stepsOf(frames))}
}

/* Motion codes of so many steps: steps dropped at the end, or drawn from the prior. */
function lengthened(zv, motion, steps, seed) {
    const had = zv.length/motion, next = normals(seed)
    const long = new Float32Array(motion*steps)
    for (let d = 0; d < motion; d++)
        for (let l = 0; l < steps; l++) long[d*steps + l] = l < had ? zv[d*had + l] : next()
    return long
}

const mixed = (a, b, share, plus, scale) =>
    a.map((x, i) => scale*((1 - share)*x + share*b[i] + plus*b[i]))

/* The codes after an edit: the length, the mix, what is added, the scale, then the steps along directions.
   edit: {content, motion, plus, scale, zx, zv, frames, seed}; directions: {zx, zv}, lists of rows. */
export function changed(a, b, edit, {motion, directions}) {
    const steps = stepsOf(edit.frames)
    const [va, vb] = [a, b].map(codes => lengthened(codes.zv, motion, steps, edit.seed))
    const zx = mixed(a.zx, b.zx, edit.content, edit.plus, edit.scale)
    const zv = mixed(va, vb, edit.motion, edit.plus, edit.scale)
    edit.zx.forEach((far, n) => directions.zx[n].forEach((x, i) => zx[i] += far*x))
    edit.zv.forEach((far, n) => directions.zv[n].forEach((x, d) => {
        for (let l = 0; l < steps; l++) zv[d*steps + l] += far*x
    }))
    return {zx, zv}
}

/* Peak signal-to-noise ratio of two films, in dB, over as many frames as both have. */
export function psnr(one, two) {
    const n = Math.min(one.data.length, two.data.length)
    let sum = 0
    for (let i = 0; i < n; i++) sum += (one.data[i] - two.data[i])**2
    return 10*Math.log10(255**2/(sum/n))
}

/* The first frame, standing still. */
export function still({data, shape}) {
    const first = data.subarray(0, data.length/shape[0])
    const all = new Uint8Array(data.length)
    for (let at = 0; at < all.length; at += first.length) all.set(first, at)
    return {data: all, shape}
}
