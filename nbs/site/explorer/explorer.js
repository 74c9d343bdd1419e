/* The page: clips with their codes, controls, and what is drawn when one of them moves. */
import {changed, drawn, psnr, still} from './codes.js'
import {Cutter} from './cutter.js'
import {Board, Clock, Film, Player} from './films.js'
import {lacking, Model, SOMETIME, SOON} from './model.js'
import {Past} from './past.js'
import {codes, download, gif, strip} from './save.js'
import {slider} from './slider.js'

const $ = id => document.getElementById(id)
const MOST_ITEMS = 8

const clock = new Clock({fps: 8})
let model, about // of the chosen model: about.json
let items = [] // {id, name, codes, film, own, bare}, and once they are known: rebuilt, psnr, still
let made = null // what is on the stage: {codes, film}
let surprise = null // codes drawn by lot, until they are kept or thrown away
let count = 0 // of items, for their names among wishes
let sliders = {}
const past = new Past()

const say = (id, words) => $(id).textContent = words
const view = (figure, label) => {
    const film = new Film(clock, {label})
    document.querySelector(`${figure} > div`).append(film.element)
    return film
}
const views = {
    edited: view('#stage .edited', 'edited'),
    a: view('#a', 'clip a'),
    b: view('#b', 'clip b'),
    'a-rebuilt': view('#a-rebuilt', 'clip a, rebuilt'),
    'b-rebuilt': view('#b-rebuilt', 'clip b, rebuilt'),
}
const board = new Board(clock, {label: 'each content with each motion', corner: 'who \\ what'})

/* A failure becomes a sentence on the page. */
const telling = (f, where = 'wrong') => async (...given) => {
    try {
        say(where, '')
        return await f(...given)
    } catch (e) {
        say(where, e.message)
    }
}

const SLIDERS = {
    content: {label: 'who: a to b', title: '0: who and where of clip a, 1: of clip b',
              min: 0, max: 1, step: .05, value: 0},
    motion: {label: 'what: a to b', title: '0: what is done in clip a, 1: in clip b',
             min: 0, max: 1, step: .05, value: 1},
    plus: {label: 'add clip b', title: 'with both above at 0, 1 is the sum of codes, -1 the difference',
           min: -1, max: 1, step: .05, value: 0},
    scale: {label: 'scale', title: '1: as encoded, 0: the centre of the prior',
            min: 0, max: 2, step: .05, value: 1},
}
const LENGTH = {
    frames: {label: 'frames', min: 16, max: 32, step: 4, value: 16},
    seed: {label: 'seed', title: 'of what comes after the end of the clips',
           min: 0, max: 99, step: 1, value: 0},
}

function directions() {
    return Object.fromEntries(['zx', 'zv'].flatMap(code => about.directions[code].map((_, n) => {
        const follows = about.labels[code][n]
        return [`${code} ${n}`, {
            label: `${code === 'zx' ? 'who' : 'what'}, direction ${n + 1}`,
            small: follows.replace(/(.*) (\S+)$/, '$2 due to the $1'),
            title: 'standard deviations along a direction in which the clips differ most',
            min: -3, max: 3, step: .25, value: 0}]
    })))
}

function layControls() {
    $('sliders').replaceChildren()
    const group = (words, all) => {
        $('sliders').append(Object.assign(document.createElement('h2'), {textContent: words}))
        for (const [name, how] of Object.entries(all)) sliders[name] = slider($('sliders'), how, draw)
    }
    sliders = {}
    group('Mix', SLIDERS)
    group('Directions', directions())
    group('Length', LENGTH)
}

const edit = () => ({
    ...Object.fromEntries(Object.keys({...SLIDERS, ...LENGTH}).map(k => [k, sliders[k].value])),
    zx: about.directions.zx.map((_, n) => sliders[`zx ${n}`].value),
    zv: about.directions.zv.map((_, n) => sliders[`zv ${n}`].value)})
const chosen = side => items.find(item => item.id === +$(`choose-${side}`).value) ?? items[0]

/* Draw the stage for all changes that came since the last time; the newest wins. */
const draw = telling(async () => {
    const [a, b, mine] = [chosen('a'), chosen('b'), about]
    const asked = $('stage').dataset.asked = +($('stage').dataset.asked ?? 0) + 1
    const wanted = surprise ?? changed(a.codes, b.codes, edit(), about)
    sliders.seed.input.disabled = sliders.frames.value <= 16
    const film = await model.decode('stage', wanted)
    if (!film || mine !== about) return
    made = {codes: wanted, film}
    views.edited.show(film)
    say('what', surprise ? 'drawn by lot' : `edited: from ${a.name} (a) and ${b.name} (b)`)
    $('stage').dataset.shown = asked // as long as it isn't what was asked last, a newer one is on its way
    remember()
})

/* Clips a and b, and what the model makes of them without any edit. */
const showPair = side => telling(async () => {
    const item = chosen(side), mine = about
    views[side].show(item.film)
    document.querySelector(`#${side} figcaption`).textContent = `${side}: ${item.name}`
    if (!item.rebuilt) {
        const film = await model.decode(`rebuilt ${side}`, item.codes, SOON)
        if (!film || mine !== about) return
        item.rebuilt = film
        item.psnr = psnr(item.film, film)
        item.still = psnr(item.film, still(item.film))
    }
    if (item !== chosen(side)) return
    views[`${side}-rebuilt`].show(item.rebuilt)
    document.querySelector(`#${side}-rebuilt figcaption`).textContent = item.lot || item.bare ? 'from its codes'
        : `rebuilt: ${item.psnr.toFixed(1)} dB (its first frame, still: ${item.still.toFixed(1)})`
    known()
})()

/* One plain sentence, if the model does not know a clip: see `knows` of encgan3.editing.items. */
function known() {
    const strange = [chosen('a'), chosen('b')].find(item => !item.lot && !item.bare
        && item.psnr < Math.max(about.least, item.still - about.doubt))
    say('known', strange ? `The model doesn't know films like ${strange.name}: it was trained on `
        + `${about.trained}, and makes of others what it knows. `
        + 'Training it on this film is the cure, and needs Python.' : '')
}

/* Which cell is on the stage, if one is. */
function picked() {
    const e = edit(), plain = !surprise && e.plus === 0 && e.scale === 1 && e.frames === 16
        && ![...e.zx, ...e.zv].some(Boolean)
    if (!plain || ![0, 1].includes(e.content) || ![0, 1].includes(e.motion)) return null
    const place = share => items.indexOf(chosen(share ? 'b' : 'a'))
    return [place(e.content), place(e.motion)]
}

/* All clips on the board; cells that were decoded before stay. */
function showBoard() {
    const heads = items.map(({name, film}) => ({label: name, film}))
    const cells = items.map(row => items.map(column => row.cells?.[column.id] ?? null))
    board.show({rows: heads, columns: heads, cells, picked: picked()})
    items.forEach((row, r) => items.forEach((column, c) => cells[r][c] ?? fill(row, column)))
}

const fill = telling(async (row, column) => {
    const codes = {zx: row.codes.zx, zv: column.codes.zv}, mine = about
    const film = await model.decode(`cell ${row.id} ${column.id}`, codes, SOMETIME)
    if (!film || mine !== about) return
    (row.cells ??= {})[column.id] = film
    const [r, c] = [items.indexOf(row), items.indexOf(column)]
    if (r >= 0 && c >= 0) board.cell(r, c, film)
})

function offer() {
    for (const side of ['a', 'b']) {
        const select = $(`choose-${side}`), before = select.value
        select.replaceChildren(...items.map(item => new Option(item.name, item.id)))
        if (items.some(item => item.id === +before)) select.value = before
    }
    showBoard()
}

/* A clip comes in, onto the board and as clip a. */
function add(item) {
    if (items.length >= MOST_ITEMS) remove(items.find(old => old.own || old.lot) ?? items[0])
    items.push({id: count++, ...item})
    offer()
    $('choose-a').value = items.at(-1).id
}

function remove(item) {
    if (items.length < 2) return
    for (const other of items)
        for (const name of [`cell ${item.id} ${other.id}`, `cell ${other.id} ${item.id}`]) model.drop(name)
    items = items.filter(other => other !== item)
    offer()
    everything()
}

function everything() {
    showPair('a')
    showPair('b')
    board.pick(picked())
    draw()
}

function reset() {
    forget()
    for (const control of Object.values(sliders)) control.value = control.start
    everything()
}

/* The address holds model, clips and settings, so that a link leads back here. */
let late
function remember() {
    clearTimeout(late)
    late = setTimeout(() => {
        const link = new URLSearchParams({model: about.name})
        for (const side of ['a', 'b']) {
            const {name, own, lot} = chosen(side)
            if (!own && !lot) link.set(side, name)
        }
        for (const [name, {value, start}] of Object.entries(sliders))
            if (value !== start) link.set(name, value)
        history.replaceState(null, '', `#${link}`)
        board.pick(picked())
        notePresent()
    }, 250)
}

function recall(link) {
    for (const side of ['a', 'b']) {
        const item = items.find(({name}) => name === link.get(side))
        if (item) $(`choose-${side}`).value = item.id
    }
    for (const [name, control] of Object.entries(sliders))
        if (link.has(name) && Number.isFinite(+link.get(name))) control.value = +link.get(name)
}

/* Undo and redo know clips by their numbers: one that was taken off the board doesn't come back. */
function notePresent() {
    past.note({a: chosen('a').id, b: chosen('b').id,
               values: Object.fromEntries(Object.entries(sliders).map(([name, {value}]) => [name, value]))})
    $('undo').disabled = !past.canUndo
    $('redo').disabled = !past.canRedo
}

function go(way) {
    notePresent() // a change of just now
    const {a, b, values} = past[way]()
    forget()
    for (const [side, id] of [['a', a], ['b', b]])
        if (items.some(item => item.id === id)) $(`choose-${side}`).value = id
    for (const [name, value] of Object.entries(values)) sliders[name].value = value
    notePresent()
    everything()
}
for (const way of ['undo', 'redo']) $(way).addEventListener('click', () => go(way))
addEventListener('keydown', event => {
    if (!about || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== 'z') return
    event.preventDefault()
    go(event.shiftKey ? 'redo' : 'undo')
})

const got = async path => {
    const response = await fetch(path)
    if (!response.ok) throw new Error(`${path} is not there (${response.status}): is the folder complete?`)
    return response
}

/* The frames of a film that was stored as a picture, side by side. */
async function filmOf(path, size) {
    const picture = await createImageBitmap(await (await got(path)).blob(), {colorSpaceConversion: 'none'})
    const canvas = Object.assign(document.createElement('canvas'), {width: picture.width, height: size})
    const pen = canvas.getContext('2d', {willReadFrequently: true})
    pen.drawImage(picture, 0, 0)
    const frames = picture.width/size, data = new Uint8Array(frames*size*size*3)
    for (let t = 0, at = 0; t < frames; t++) {
        const seen = pen.getImageData(t*size, 0, size, size).data
        for (let i = 0; i < seen.length; i++) if (i%4 < 3) data[at++] = seen[i]
    }
    return {data, shape: [frames, size, size, 3]}
}

/* Another model, with its clips; the old one stays if the new one doesn't come. */
async function use(name, link = new URLSearchParams()) {
    const folder = `models/${name}`, coming = await (await got(`${folder}/about.json`)).json()
    const films = await Promise.all(coming.items.map((_, i) => filmOf(`${folder}/${i}.png`, coming.size)))
    if (await model.open(new URL(folder, location.href).href, coming) === null) return // a third was chosen
    about = {...coming, name}
    past.clear()
    forget()
    items = coming.items.map(({name, zx, zv}, i) => ({id: count++, name, film: films[i], bare: coming.bare,
        codes: {zx: Float32Array.from(zx), zv: Float32Array.from(zv)}}))
    layControls()
    offer()
    $('choose-a').value = items[0].id
    $('choose-b').value = items[1].id
    recall(link)
    say('about', `Model ${name}: ${about.size} pixels, ${about.provenance}`)
    $('wait').hidden = true
    document.querySelector('main').hidden = false
    cutter.close()
    everything()
}

/* Surprise: codes drawn by lot take the stage, until they are kept or thrown away. */
let drawings = 0
function forget() {
    surprise = null
    for (const id of ['keep', 'throw']) $(id).hidden = true
}
const temperature = slider($('temperature'), {
    label: 'temperature', title: '0: always the same, 1: as training expects, 2: wild',
    min: 0, max: 2, step: .05, value: .8}, () => surprise && lot())
function lot() {
    surprise = drawn(about, sliders.frames.value, drawings, temperature.value)
    for (const id of ['keep', 'throw']) $(id).hidden = false
    board.pick(null)
    draw()
}
$('surprise').addEventListener('click', () => {
    drawings = Math.floor(Math.random()*2**31)
    lot()
})
$('throw').addEventListener('click', () => {
    forget()
    everything()
})
$('keep').addEventListener('click', () => {
    if (made?.codes !== surprise) return // not drawn yet
    const lots = items.filter(item => item.lot).length
    add({name: `surprise ${lots + 1}`, codes: surprise, film: made.film, lot: true})
    forget()
    onStage(items.length - 1, items.length - 1)
})

/* Who is in clip r, doing what is done in clip c. */
function onStage(r, c) {
    forget()
    $('choose-a').value = items[r].id
    $('choose-b').value = items[c].id
    for (const control of Object.values(sliders)) control.value = control.start
    everything()
}
board.element.addEventListener('pick', ({detail: {row, column}}) =>
    onStage(Math.max(row, 0) === row ? row : column, Math.max(column, 0) === column ? column : row))
board.element.addEventListener('remove', ({detail: {row, column}}) => remove(items[row < 0 ? column : row]))
board.element.addEventListener('move', ({detail: {from}}) => from.files && cutter.open(from.files[0]))

/* One's own film becomes clip a, and is seen as it is rebuilt. */
const cutter = new Cutter($, telling, {size: () => about.size, take: async (name, film) => {
    const mine = about, codes = await model.encode(count, film)
    if (!codes || mine !== about) return
    forget()
    add({name, codes, film, own: true})
    onStage(items.length - 1, items.length - 1)
    document.querySelector('#stage .edited').scrollIntoView({block: 'nearest'})
}})

for (const side of ['a', 'b']) $(`choose-${side}`).addEventListener('change', everything)
$('model').addEventListener('change', telling(async () => {
    const main = document.querySelector('main')
    main.setAttribute('aria-busy', true)
    try {
        await use($('model').value)
    } finally {
        $('model').value = about.name
        main.removeAttribute('aria-busy')
    }
}))
addEventListener('hashchange', () => location.reload()) // another link was pasted
$('reset').addEventListener('click', reset)
const saving = (id, name, make) => $(id).addEventListener('click', telling(async () =>
    made && download(await make(), `${name}`)))
saving('gif', 'edited.gif', () => gif(made.film))
saving('png', 'edited.png', () => strip(made.film))
saving('json', 'codes.json', () => codes(made.codes, about.motion))

$('board').append(board.element)
$('player').append(new Player(clock).element)
await telling(async () => {
    const lack = lacking()
    if (lack) {
        $('wait').hidden = true
        throw new Error(lack)
    }
    const names = await (await got('models/models.json')).json()
    $('model').replaceChildren(...names.map(({name, words}) => new Option(words, name)))
    model = new Model()
    const link = new URLSearchParams(location.hash.slice(1))
    if (names.some(({name}) => name === link.get('model'))) $('model').value = link.get('model')
    await use($('model').value, link)
})()
