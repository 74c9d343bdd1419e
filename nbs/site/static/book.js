// Who wants words, equations and pictures alone leaves out the code, on all pages until it is asked for again.
const KEY = 'encgan3: code'
const kept = { // a browser may refuse to keep anything
  get hidden() { try { return localStorage.getItem(KEY) === 'hidden' } catch { return false } },
  set hidden(so) { try { localStorage.setItem(KEY, so ? 'hidden' : 'shown') } catch { /* for this page alone */ } }
}

document.addEventListener('DOMContentLoaded', () => {
  if (!document.querySelector('.cell_input')) return
  const button = document.createElement('button')
  button.className = 'code-switch'
  const turn = hidden => {
    document.documentElement.classList.toggle('without-code', hidden)
    button.textContent = hidden ? 'show the code' : 'hide the code'
    button.onclick = () => turn(kept.hidden = !hidden)
  }
  turn(kept.hidden)
  document.querySelector('article h1').after(button)
})
