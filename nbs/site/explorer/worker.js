/* A model in a thread of its own, so that the page never waits for it. Asked {id, what, given}, it answers
   {id, answer} or {id, fault}. Films are bytes (T, H, W, 3), as films.js draws them. */
import * as ort from './ort/ort.wasm.min.mjs'

ort.env.wasm.wasmPaths = new URL('./ort/', import.meta.url).href
// threads share memory, which browsers allow only to pages that are isolated from others
ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1

let nets = {}

async function network(url) {
    const response = await fetch(url)
    if (!response.ok) throw new Error(`${new URL(url).pathname} is not there (${response.status})`)
    return ort.InferenceSession.create(await response.arrayBuffer(), {executionProviders: ['wasm']})
}

const tensor = (data, ...shape) => new ort.Tensor('float32', data, shape)

/* Bytes (T, H, W, 3) -> numbers in [-1, 1], (3, T, H, W). */
function numbers({data, shape: [frames, height, width]}) {
    const n = frames*height*width, x = new Float32Array(3*n)
    for (let i = 0; i < n; i++) for (let c = 0; c < 3; c++) x[c*n + i] = data[3*i + c]/127.5 - 1
    return x
}

/* The inverse, rounded as to_frames does. */
function bytes(x) {
    const n = x.length/3, data = new Uint8ClampedArray(x.length) // which rounds halves to even
    for (let i = 0; i < n; i++) for (let c = 0; c < 3; c++) data[3*i + c] = (x[c*n + i] + 1)*127.5
    return new Uint8Array(data.buffer)
}

const does = {
    /* Another model takes the place of the last, once it is there; the numbers are those of about.json. */
    async open({folder, size, content, motion}) {
        const encoders = await network(`${folder}/encoders.onnx`)
        const generator = await network(`${folder}/generator.onnx`)
        await nets.encoders?.release()
        await nets.generator?.release()
        nets = {encoders, generator, size, content, motion}
    },
    async encode(film) {
        const clip = tensor(numbers(film), 1, 3, ...film.shape.slice(0, 3))
        const {zx, zv} = await nets.encoders.run({clip})
        return {zx: zx.data, zv: zv.data}
    },
    async decode({zx, zv}) {
        const {clip} = await nets.generator.run({
            zx: tensor(zx, 1, nets.content), zv: tensor(zv, 1, nets.motion, zv.length/nets.motion)})
        return {data: bytes(clip.data), shape: [clip.dims[2], nets.size, nets.size, 3]}
    },
}

onmessage = async ({data: {id, what, given}}) => {
    try {
        postMessage({id, answer: await does[what](given)})
    } catch (e) {
        postMessage({id, fault: String(e?.message ?? e)})
    }
}
