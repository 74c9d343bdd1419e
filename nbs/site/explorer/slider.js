/* One row: words, a slider, its number. */
export function slider(parent, {label, small = '', title = '', min, max, step, value}, moved) {
    const row = document.createElement('label'), words = document.createElement('span')
    const input = document.createElement('input'), output = document.createElement('output')
    row.className = 'slider'
    row.title = title
    words.textContent = label
    if (small) words.append(Object.assign(document.createElement('small'), {textContent: small}))
    Object.assign(input, {type: 'range', min, max, step, value})
    const digits = Number.isInteger(step) ? 0 : 2
    const told = () => output.textContent = (+input.value).toFixed(digits)
    input.addEventListener('input', () => {
        told()
        moved()
    })
    row.append(words, input, output)
    parent.append(row)
    told()
    return {
        start: value, input,
        get value() { return +input.value },
        set value(x) {
            input.value = x
            told()
        },
        ends(low, high) {
            Object.assign(input, {min: low, max: high})
            told()
        },
    }
}
