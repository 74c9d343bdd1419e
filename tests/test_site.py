"""What `make site` writes, handed out from a subfolder of a plain file server and opened in a real browser.

It shares the browser with test_browser.py."""
import functools, http.server, json, re, threading
from base64 import b64decode
from html import unescape
from urllib.parse import unquote

import av
import imageio.v3 as iio
import numpy as np
import pytest
import torch

from encgan3.clips import to_frames
from encgan3.editing.items import read_codes
from encgan3.editing.latents import Directions, Edit, change
from encgan3.errors import InputError
from encgan3.model import EncGAN3
from encgan3.show import png
from encgan3.site.build import MODELS, packages, site
from test_browser import PATIENCE, browser, missing, page, shot

SHARED = browser, page, shot # fixtures, found by their names
MOST = 60e6 # bytes of the site
PNG = "canvas => canvas.toDataURL().split(',')[1]"
SET = """(input, value) => {
    input.value = value
    input.dispatchEvent(new Event('input', {bubbles: true})) }"""
WATCH = """stage => { // from now on: milliseconds from each key to the picture that follows it
    const took = window.took = []; let begun = 0
    document.addEventListener('keydown', () => begun = performance.now(), true)
    new MutationObserver(() => took.push(performance.now() - begun))
        .observe(stage, {attributes: true, attributeFilter: ['data-shown']}) }"""
CUT_OFF = """() => [...document.querySelectorAll('button, figcaption, .slider span, select, h1, h2, p')]
    .filter(x => x.offsetParent && x.scrollWidth > x.clientWidth + 1).map(x => x.textContent)"""
DRAWN = """n => {
    const {shown, asked} = document.querySelector('#stage')?.dataset ?? {}
    return +shown >= n && shown === asked }"""
BLANK = """() => [...document.images].filter(x => !x.complete || !x.naturalWidth).map(x => x.src)"""

@pytest.fixture(scope='module')
def built(tmp_path_factory):
    "The site, written once, in a subfolder of what is handed out; without a network the tests are skipped."
    home = tmp_path_factory.mktemp('site')
    try:
        packages(home/'work'/'npm')
    except InputError as e:
        missing(str(e))
    site(home/'public'/'some'/'where', home/'work', address='https://here.test/some/where')
    return home/'public'/'some'/'where'

@pytest.fixture(scope='module')
def address(built):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words): pass
    public = built.parents[1]
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=public))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}/some/where/'
    server.shutdown()

@pytest.fixture
def explorer(page, address):
    "The explorer with its first picture; a request to any other place fails the test."
    asked = []
    page.on('request', lambda request: asked.append(request.url))
    page.goto(f'{address}explorer/')
    pictured(page, 1)
    yield page
    assert not [url for url in asked if not url.startswith((address, 'blob:', 'data:'))]

def shown(page): return int(page.locator('#stage').get_attribute('data-shown') or 0)

def pictured(page, n):
    "Waits for the n-th picture of the stage, and until no newer one is on its way."
    page.wait_for_function(DRAWN, arg=n)

def moved(page, **values):
    "Sets sliders by their labels, and waits for the picture."
    n = shown(page)
    for name, value in values.items():
        slider(page, name).evaluate(SET, value)
    pictured(page, n + 1)

def slider(page, name): return page.locator('.slider').filter(has_text=name).locator('input')

def frames(page, place='#stage .edited', length=16):
    "All frames of a film on the page, one by one: uint8 (T, H, W, 3)."
    if page.get_by_role('button', name='pause').count():
        page.get_by_role('button', name='pause').click()
    canvas, seen = page.locator(f'{place} canvas').first, []
    for t in range(length):
        page.locator('#player input').evaluate(SET, t)
        seen.append(iio.imread(b64decode(canvas.evaluate(PNG)))[..., :3])
    return np.stack(seen)

def film(path, frames=40, size=(128, 96)):
    "A bright square that walks to the right over a dark ground, as WebM; size: width and height."
    with av.open(str(path), 'w', format='webm') as file:
        stream = file.add_stream('libvpx', rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, 'yuv420p'
        for t in range(frames):
            picture = np.full((size[1], size[0], 3), 40, np.uint8)
            picture[size[1]//3:2*size[1]//3, 2*(5 + t):2*(20 + t)] = 200, 120, 60
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format='rgb24')))
        file.mux(stream.encode())
    return path

@pytest.mark.parametrize('name', MODELS)
def test_frames_are_those_of_pytorch(explorer, built, name, shot, record_property):
    "An edit by four sliders; then how long it takes from a key to the picture."
    if name != [*MODELS][0]:
        n = shown(explorer)
        explorer.locator('#model').select_option(name)
        pictured(explorer, n + 1)
    about = json.loads((built/'explorer'/'models'/name/'about.json').read_text())
    one, two = ((torch.tensor([item['zx']]), torch.tensor([item['zv']]).unflatten(1, (-1, 1)))
                for item in about['items'][:2])
    known = Directions(*(torch.tensor(about['directions'][k]) for k in ('zx', 'zv')), about['labels'])
    edit = Edit(content=.25, motion=.5, scale=1.2, zx=(0, 1.5, 0), zv=(-2, 0, 0), frames=16)
    codes = change(one, two, edit, known)
    expected = to_frames(EncGAN3.from_pretrained(name).decode(*codes))[0]
    moved(explorer, **{'who: a to b': .25, 'what: a to b': .5, 'scale': 1.2, 'who, direction 2': 1.5,
                       'what, direction 1': -2})
    far = abs(frames(explorer).astype(int) - expected).max()
    assert far <= 1, f'{far} grey levels'
    explorer.locator('#stage').evaluate(WATCH)
    slider(explorer, 'what: a to b').focus()
    for _ in range(5):
        n = shown(explorer)
        explorer.keyboard.press('ArrowRight')
        pictured(explorer, n + 1)
    took = sorted(explorer.evaluate('window.took'))
    record_property(f'explorer, {name}: from key to picture', f'{took[len(took)//2]:.0f} ms')
    before = frames(explorer)
    n = shown(explorer)
    for key in ['ArrowLeft']*9 + ['ArrowRight']*9: # faster than pictures: the last one counts
        explorer.keyboard.press(key)
    pictured(explorer, n + 1)
    assert (frames(explorer) == before).all()
    shot(explorer, name)

def test_board_stage_link_and_surprise(explorer, address):
    "A cell goes on the stage; a link leads back to it; codes by lot are kept or thrown away; reset."
    grid = explorer.get_by_role('grid')
    cell = grid.get_by_role('gridcell', name='lena wave2, moving as eli pjump')
    n = shown(explorer)
    cell.click()
    pictured(explorer, n + 1)
    assert cell.get_attribute('aria-selected') == 'true'
    mine = frames(explorer)
    assert (mine == frames(explorer, '[aria-label="lena wave2, moving as eli pjump"]')).all()
    moved(explorer, **{'add clip b': -.5, 'frames': 24})
    edited = frames(explorer, length=24)
    explorer.wait_for_timeout(500)
    explorer.reload()
    pictured(explorer, 1)
    assert (frames(explorer, length=24) == edited).all() and not (edited[:16] == mine).all()
    n = shown(explorer)
    explorer.get_by_role('button', name='reset').click()
    pictured(explorer, n + 1)
    for last in ('throw it away', 'keep it'):
        n = shown(explorer)
        explorer.get_by_role('button', name='surprise me').click()
        pictured(explorer, n + 1)
        drawn = frames(explorer)
        n = shown(explorer)
        explorer.get_by_role('button', name=last).click()
        pictured(explorer, n + 1)
    assert (frames(explorer) == drawn).all() and grid.get_by_role('columnheader').count() == 6
    grid.get_by_role('rowheader').last.click()
    explorer.keyboard.press('Delete')
    assert grid.get_by_role('columnheader').count() == 5
    assert not explorer.locator('option').filter(has_text='surprise').count()

def test_undo_and_redo(explorer):
    "Sliders and a choice on the board: back by a button or a key, and forth again until something is done."
    def after(act):
        n = shown(explorer)
        act()
        pictured(explorer, n + 1)
        explorer.wait_for_timeout(500) # the settings are noted when they rest
        return frames(explorer)
    undo, redo = (explorer.get_by_role('button', name=name, exact=True) for name in ('undo', 'redo'))
    cell = explorer.get_by_role('gridcell', name='moshe side, moving as lena wave2')
    press = lambda keys: lambda: explorer.keyboard.press(keys)
    explorer.wait_for_timeout(500)
    assert undo.is_disabled() and redo.is_disabled()
    first = frames(explorer)
    second = after(lambda: moved(explorer, **{'who: a to b': .6, 'frames': 20}))
    third = after(cell.click)
    assert not (first == second).all() and not (second == third).all()
    assert (after(undo.click) == second).all() and cell.get_attribute('aria-selected') == 'false'
    assert (after(press('Control+z')) == first).all() and undo.is_disabled()
    assert (after(press('Control+Shift+Z')) == second).all() and (after(redo.click) == third).all()
    assert redo.is_disabled() and cell.get_attribute('aria-selected') == 'true'
    after(undo.click)
    after(lambda: moved(explorer, **{'scale': 1.4}))
    assert redo.is_disabled() and (after(undo.click) == second).all()

def hand_over(page, path):
    with page.expect_file_chooser() as chooser:
        page.locator('.file').click()
    chooser.value.set_files(path)

def test_own_film(explorer, tmp_path, shot):
    "What is no film is refused in one sentence; a film is cut and edited here, its name only a name."
    wrong = {'notes.mp4': b'Dear diary', 'empty.webm': b'',
             'picture.png': png(np.zeros((9, 9, 3), np.uint8)),
             'short.webm': film(tmp_path/'short.webm', 3).read_bytes(),
             'broken.webm': film(tmp_path/'whole.webm').read_bytes()[:300]}
    for name, data in wrong.items():
        (tmp_path/name).write_bytes(data)
        hand_over(explorer, tmp_path/name)
        explorer.locator('#own-wrong').filter(has_text=re.compile(f'^{name}: ')).wait_for()
        assert not explorer.locator('#cutter').is_visible()
    name = '<img src=x onerror=alert(1)>.webm'
    hand_over(explorer, film(tmp_path/name))
    square = explorer.locator('.square')
    square.wait_for()
    assert not explorer.locator('#own-wrong').inner_text()
    before = square.bounding_box()
    square.focus()
    for key in ['ArrowLeft']*3 + ['-']:
        explorer.keyboard.press(key)
    after = square.bounding_box()
    assert after['x'] < before['x'] and after['width'] < before['width']
    shot(explorer, 'square')
    n = shown(explorer)
    explorer.get_by_role('button', name='take it').click()
    explorer.get_by_text(f'{name} is clip a now').wait_for()
    pictured(explorer, n + 1)
    mine = frames(explorer, '#a')
    assert mine.mean((0, 1, 2)) @ [1, 0, -1] > 0 and abs(mine[:, 0].mean() - 40) < 12
    assert (mine[15] != mine[0]).any() and not explorer.locator('img').count()
    explorer.get_by_text(f'The model doesn\'t know films like {name}').wait_for()
    shot(explorer, 'own')

def test_what_is_saved_is_what_is_shown(explorer, tmp_path):
    "A strip has the very frames, a GIF has them in 256 colours, and PyTorch decodes the codes to them."
    moved(explorer, **{'who: a to b': .25, 'frames': 24})
    what, saved = frames(explorer, length=24), {}
    assert (what[1:] != what[:-1]).any((1, 2, 3)).all()
    for kind in ('frames', 'GIF', 'codes'):
        with explorer.expect_download() as download:
            explorer.get_by_role('button', name=f'save {kind}').click()
        saved[kind] = tmp_path/download.value.suggested_filename
        download.value.save_as(saved[kind])
    model = EncGAN3.from_pretrained([*MODELS][0])
    strip = np.stack(np.split(iio.imread(saved['frames'])[..., :3], len(what), axis=1))
    decoded = to_frames(model.decode(*read_codes(saved['codes'].read_bytes(), model)))[0]
    for film, error in ((strip, 0), (iio.imread(saved['GIF']), 6), (decoded, 1)):
        zoom = film.shape[1]//what.shape[1]
        assert film.shape == (len(what), *(zoom*side for side in what.shape[1:3]), 3)
        assert np.abs(film[:, ::zoom, ::zoom].astype(float) - what).mean((1, 2, 3)).max() <= error

def test_narrow_and_dark(browser, address, shot):
    "Nothing is cut off or wider than the window, on a telephone or a desk, in the light and in the dark."
    for width in (390, 1400):
        for scheme in ('light', 'dark'):
            context = browser.new_context(viewport={'width': width, 'height': 900}, color_scheme=scheme)
            page = context.new_page()
            page.set_default_timeout(PATIENCE)
            page.goto(f'{address}explorer/')
            pictured(page, 1)
            shot(page, f'explorer_{width}_{scheme}')
            assert page.evaluate('document.documentElement.scrollWidth') <= width
            assert not page.evaluate(CUT_OFF)
            for name in ('index', '16_losses') if width == 390 else ():
                page.goto(f'{address}{name}.html')
                shot(page, f'{name}_{width}_{scheme}')
                assert page.evaluate('document.documentElement.scrollWidth') <= width
            context.close()

def test_what_a_browser_lacks_is_said(browser, address):
    "No SIMD, or a file that is missing: one sentence, and no page that does nothing."
    def said(prepare):
        context = browser.new_context()
        page = context.new_page()
        prepare(page)
        page.goto(f'{address}explorer/')
        page.locator('#wrong:not(:empty)').wait_for(timeout=PATIENCE)
        words = page.locator('#wrong').inner_text()
        assert not page.locator('main').is_visible()
        context.close()
        return words
    assert 'no WebAssembly with SIMD' in said(lambda page: page.add_init_script(
        'WebAssembly.validate = () => false'))
    missing = said(lambda page: page.route('**/generator.onnx', lambda route: route.fulfill(status=404)))
    assert 'generator.onnx is not there (404)' in missing

def test_the_book(page, address, shot):
    "Mathematics and pictures are there, a word is found, and nothing is fetched from elsewhere."
    asked = []
    page.on('request', lambda request: asked.append(request.url))
    page.goto(f'{address}16_losses.html')
    page.locator('mjx-container svg').first.wait_for()
    assert page.locator('mjx-container').count() > 10 and not page.locator('mjx-merror').count()
    page.goto(f'{address}20_train.html')
    assert page.locator('article img').count() > 3 and not page.evaluate(BLANK)
    page.goto(f'{address}search.html?q=silhouettes')
    page.locator('ul.search a').filter(has_text='Real Weizmann').first.wait_for()
    shot(page, 'search')
    page.goto(f'{address}index.html')
    page.get_by_role('link', name='explorer').first.click()
    pictured(page, 1)
    assert not [url for url in asked if not url.startswith((address, 'blob:', 'data:'))]

def test_without_code(page, address, shot):
    "Words and outputs stay; the next page remembers it, until the code is asked for again."
    code, shown = page.locator('.cell_input'), page.locator('.cell_output table').first
    page.goto(f'{address}52_table1.html')
    assert code.first.is_visible()
    page.get_by_role('button', name='hide the code').click()
    assert not [cell for cell in code.all() if cell.is_visible()] and shown.is_visible()
    shot(page, 'without-code')
    page.goto(f'{address}53_table2.html')
    assert code.count() and not code.first.is_visible()
    page.get_by_role('button', name='show the code').click()
    assert code.first.is_visible()
    page.reload()
    assert code.first.is_visible()
    page.goto(f'{address}CHANGELOG.html') # has none
    assert not page.get_by_role('button', name='the code').count()

def test_tables_are_tables(built):
    "Nothing that a page's words or outputs are written in is left: no row of a table, no stars."
    left = []
    for path in built.glob('*.html'):
        words = re.sub(r'<(pre|code|script|style)\b.*?</\1>', '', path.read_text(), flags=re.S)
        left += [f'{path.name}: {line}' for line in re.findall(r'<p>\| .*|.*\*\*\w.*', words)]
    assert not left, left
    assert '<p>in our records</p>' in (built/'index.html').read_text()

def test_a_link_shows_what_it_leads_to(built):
    "Title, first words and a picture, where messengers look for them."
    told = {}
    for path in [*built.glob('[0-9]*.html'), built/'index.html', built/'explorer'/'index.html']:
        facts = dict(re.findall(r'<meta property="og:(\w+)" content="([^"]+)"', path.read_text()))
        told[path.stem] = facts
        assert facts['title'] and len(facts['description']) > 40
        place, _, file = facts['image'].partition('/some/where/')
        assert place == 'https://here.test' and (built/file).is_file()
    assert told['10_streams']['title'] == 'Three streams'
    assert told['10_streams']['description'].startswith('The generator’s building blocks: transposed')

def test_links_lead_somewhere(built):
    "Every link of every page to a place of the site, and the size of the whole."
    files = {p.relative_to(built).as_posix(): p for p in built.rglob('*') if p.is_file()}
    size = sum(p.stat().st_size for p in files.values())
    assert size < MOST, f'{size/1e6:.0f} MB'
    dead = []
    for name, path in files.items():
        text = path.read_text() if path.suffix == '.html' else ''
        for link in re.findall(r'<[^>]* (?:href|src)="([^"#?]+)', text):
            link = unquote(unescape(link))
            if not re.match(r'\w+:', link) and not (path.parent/link).exists():
                dead.append(f'{name}: {link}')
        dead += [f'{name}: #{part}' for part in re.findall(r'href="#([^"]+)"', text)
                 if f'id="{part}"' not in text]
    assert not dead, dead
