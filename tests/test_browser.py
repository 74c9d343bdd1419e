"""The latent explorer in a real browser, on the page that `make app` serves and in JupyterLab.

Headless Chromium is driven by keyboard and mouse. Screenshots go to the folder ENCGAN3_SCREENSHOTS, or to the
test's own. Without a browser the tests are skipped, unless ENCGAN3_BROWSER=required."""
import json, os, re, shlex, shutil, signal, socket, subprocess, sys, time
from base64 import b64decode
from contextlib import contextmanager
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest

from pages import root

REQUIRED = os.environ.get('ENCGAN3_BROWSER') == 'required'
FILMS = 'a', 'b', 'edited', 'rebuilt-a', 'rebuilt-b'
PATIENCE = 180_000 # milliseconds; a test fails rather than waits for ever
BYTES = """async img => { // what the picture is made of, in base64
    const data = new Uint8Array(await (await fetch(img.src)).arrayBuffer());
    return btoa(Array.from(data, x => String.fromCharCode(x)).join('')) }"""
DRAWN = """canvas => { // the frames that a canvas shows, in base64
    let letters = ''
    for (const byte of canvas.film.bytes) letters += String.fromCharCode(byte)
    return btoa(letters) }"""
WATCH = """canvas => { // from now on: milliseconds from each key to the picture that follows it
    const took = window.took = []; let begun = null
    document.addEventListener('keydown', () => begun = performance.now(), true)
    canvas.addEventListener('shown', () => { // the first one: a slow model shows one frame first
        if (begun !== null) took.push(performance.now() - begun)
        begun = null }) }"""
CUT_OFF = """() => [...document.querySelectorAll(
    '.encgan3 .widget-label, .encgan3 .caption, .encgan3 a.save, .encgan3 button')]
    .filter(x => x.offsetParent && x.scrollWidth > x.clientWidth + 1).map(x => x.textContent)"""

def missing(why):
    "No browser: a word why, or a failure where one is required."
    (pytest.fail if REQUIRED else pytest.skip)(why)

@pytest.fixture(scope='module')
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing('Playwright is not installed')
    chromium = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if not chromium:
        missing('no Chromium: install one, such as with `apt-get install chromium`')
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium,
                                       args=['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'])
        yield browser
        browser.close()

@pytest.fixture
def shot(tmp_path, request):
    "Keeps a picture of the page."
    folder = Path(os.environ.get('ENCGAN3_SCREENSHOTS') or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return lambda page, name: page.screenshot(path=folder/f'{request.node.name}_{name}.png', full_page=True)

@pytest.fixture
def page(browser, shot):
    "A page whose errors fail the test; its end is kept."
    page, errors = browser.new_page(viewport={'width': 1280, 'height': 900}), []
    page.set_default_timeout(PATIENCE)
    # JupyterLab's own word about a message of the kernel; the page goes on
    lab = 'Kernel message validation error'
    page.on('pageerror', lambda e: errors.append(str(e)) if lab not in str(e) else None)
    yield page
    if not page.is_closed():
        shot(page, 'end')
    page.close()
    assert not errors, errors

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

def answering(port, log, seconds=120):
    "Waits until a server listens; the address with its token, as the server tells it."
    end = time.monotonic() + seconds
    while True:
        told = re.search(r'http://127\.0\.0\.1:\d+/\S*token=\w+', log.read_text())
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            if told:
                return told[0]
        except OSError:
            pass
        assert time.monotonic() < end, f'no server: {log.read_text()[-2000:]}'
        time.sleep(.05)

@contextmanager
def served(tmp_path, command, *arguments):
    """A server on a free loopback port: yields its address and its log. What it stores goes to tmp_path.

    The address has a token.
    """
    port, log = free_port(), tmp_path/'server.log'
    own = ({f'JUPYTER_{k}_DIR': str(tmp_path/k) for k in ('CONFIG', 'DATA', 'RUNTIME')}
           | {'IPYTHONDIR': str(tmp_path/'ipython')})
    environment = ({k: v for k, v in os.environ.items() if k != 'OMP_NUM_THREADS'} | own
                   | {'HF_HUB_OFFLINE': '1', 'PYTHONPATH': str(root)})
    with log.open('w') as file:
        server = subprocess.Popen([Path(sys.executable).with_name(command), *map(str, arguments),
                                   f'--port={port}', '--no-browser'],
                                  stdout=file, stderr=subprocess.STDOUT, env=environment, cwd=root,
                                  start_new_session=True)
    try:
        told = answering(port, log)
        yield told, log
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)

def app_options():
    "How `make app` calls Voila, but for the port."
    line = re.search(r'voila (nbs/app\.ipynb.*)',
                     (root/'Makefile').read_text())[1].replace('$(or $(PORT),8866)', '0')
    return [word for word in shlex.split(line) if not word.startswith('--port')]

def film(page, name): return page.locator(f'.film-{name} canvas').first

def drawn(page, name): return b64decode(film(page, name).evaluate(DRAWN))

def up(page):
    "Waits until the page is there, its films too."
    page.locator('.films-board').wait_for()
    film(page, 'edited').wait_for()

def films(page):
    "The frames of all films, as bytes, by name."
    return {name: drawn(page, name) for name in FILMS}

def slider(
    page, name): return page.locator(
    '.widget-slider, .widget-hslider').filter(has_text=name).locator('.noUi-handle').first

def changed(page, before, *names):
    "Waits until each of these films is another one; they come one after the other."
    end = time.monotonic() + PATIENCE/1000
    for name in names or ('edited',):
        while drawn(page, name) == before[name]:
            assert time.monotonic() < end, f'the picture {name} stays as it is'
            time.sleep(.1)

def key_to_picture(page, keys=5):
    "Press keys one by one; the median time to the picture that follows, in milliseconds."
    film(page, 'edited').evaluate(WATCH)
    slider(page, 'what 1').focus()
    for n in range(1, keys + 1):
        page.keyboard.press('ArrowRight')
        page.wait_for_function(f'window.took.length >= {n}')
        page.wait_for_timeout(200) # the films to save are made meanwhile
    for _ in range(keys):
        page.keyboard.press('ArrowLeft')
    return sorted(page.evaluate('window.took.slice(0, %d)' % keys))[keys//2]

def settled(page, expected):
    "Waits until the pictures are these, byte for byte."
    end = time.monotonic() + 20
    while (now := films(page)) != expected:
        assert time.monotonic() < end, 'these films differ, by so many of so many bytes: ' + str(
            {k: (sum(x != y for x, y in zip(now[k], expected[k])), len(now[k]), len(expected[k]))
             for k in FILMS if now[k] != expected[k]})
        time.sleep(.1)

def only_the_edit_changed(now, before):
    assert now['edited'] != before['edited']
    assert now | {'edited': None} == before | {'edited': None}

def by_keyboard_and_mouse(page, first, shot):
    "One slider by keyboard, one by mouse; only what was edited may change."
    what = slider(page, 'what: a to b')
    what.focus()
    page.keyboard.press('PageDown')
    changed(page, first)
    second = films(page)
    only_the_edit_changed(second, first)
    who = slider(page, 'who: a to b')
    who.scroll_into_view_if_needed()
    box = who.bounding_box()
    x, y = box['x'] + box['width']/2, box['y'] + box['height']/2
    page.mouse.move(x, y)
    page.mouse.down()
    for i in range(1, 11):
        page.mouse.move(x + 11*i, y)
    page.mouse.up()
    changed(page, second)
    only_the_edit_changed(at_rest(page), first)
    shot(page, 'moved')

def upload(page, path, message):
    "Hands a file over, and waits for what the page says about it."
    with page.expect_file_chooser() as chooser:
        page.locator('.widget-upload, .jupyter-widget-upload').first.click()
    chooser.value.set_files(path)
    page.get_by_text(message).wait_for()

def own_video(path, frames=40, size=(128, 96)):
    "A bright square that walks to the right over a dark ground; size: width and height."
    import av
    with av.open(str(path), 'w') as file:
        stream = file.add_stream('mpeg4', rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, 'yuv420p'
        for t in range(frames):
            picture = np.full((size[1], size[0], 3), 40, np.uint8)
            picture[size[1]//3:2*size[1]//3, (side := size[0]//64)*(5 + t):side*(20 + t)] = 200, 120, 60
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format='rgb24')))
        file.mux(stream.encode())
    return path

def at_rest(page):
    "Waits until everything is drawn, the links to save last, and nothing changes any more: the pictures."
    same, now = 0, None
    while same < 3: # sliders follow the hand: a busy kernel may be a picture behind
        page.wait_for_timeout(250)
        page.locator('a.save').first.wait_for()
        seen = films(page), page.get_by_label('state').input_value()
        same, now = (same + 1 if seen == now else 0), seen
    return now[0]

def there_and_back(page):
    "The page lives: a slider changes the picture, and back."
    before = at_rest(page)
    slider(page, 'scale').focus()
    page.keyboard.press('ArrowLeft')
    changed(page, before)
    page.keyboard.press('ArrowRight')
    settled(page, before)

def to_the_ends(page, shot):
    """Every slider at its most, then at its least: a picture, and no word of a fault. The seed counts only
    for longer clips.
    """
    names = ['who: a to b', 'what: a to b', 'add clip b', 'scale',
             *(f'{of} {i}' for of in ('who', 'what') for i in (1, 2, 3)), 'frames']
    for key, order in (('End', (names, ['seed'])), ('Home', (['seed'], names))):
        for together in order:
            before = at_rest(page)
            for name in together:
                slider(page, name).focus()
                page.keyboard.press(key)
            changed(page, before)
            assert len(at_rest(page)['edited']) >= 16*32*32*3 and not page.get_by_role('alert').count()
        shot(page, f'all_{key}')

def paused_and_stepped(page, shot):
    """Paused, all films stand at one frame, and step together; what can be saved stays. Played, they move."""
    links = lambda: page.locator('a.save').evaluate_all('links => links.map(a => a.href)')
    frames = lambda: {int(frame) for frame in page.locator('.encgan3 canvas').evaluate_all(
        'all => all.map(canvas => canvas.dataset.frame)')}
    before, saved = at_rest(page), links()
    assert [link.split(';')[0] for link in saved] == ['data:image/gif', 'data:video/mp4',
                                                      'data:application/json']
    page.get_by_role('button', name='pause').focus()
    page.keyboard.press('Space')
    start = frames()
    assert len(start) == 1
    page.get_by_role('button', name='one frame on').click()
    assert frames() == {(start.pop() + 1) % 16}
    page.get_by_role('slider', name='frame', exact=True).focus()
    page.keyboard.press('End')
    assert frames() == {15}
    shot(page, 'paused')
    page.keyboard.press('Home')
    assert frames() == {0} and links() == saved and films(page) == before
    page.get_by_role('button', name='play').click()
    page.wait_for_function("document.querySelector('.film-edited canvas').dataset.frame > 2")

def cell(page, row, column):
    "A film of the board; 0: a head."
    return page.locator('.films-board [role=row]').nth(row).locator('.films-cell').nth(column)

def cells(page, wanted):
    "Waits until the board has so many pairs."
    page.wait_for_function('n => document.querySelectorAll(".films-board [role=gridcell]").length === n',
                           arg=wanted)

def drag(page, source, target):
    "Chromium without a head forgets the press that follows a drop, so one is made."
    source.drag_to(target)
    page.get_by_text('Model', exact=True).click()

def board(page, shot):
    """All pairs: by mouse or keyboard a cell goes to the stage, and shows there what the board shows. Films
    are dragged onto heads and onto the stage, and a head goes.
    """
    page.locator('.films-board [aria-busy=true]').first.wait_for(state='detached')
    first = films(page)
    assert page.get_by_role('gridcell').count() == 9
    cell(page, 2, 3).click()
    changed(page, first)
    on_board = b64decode(cell(page, 2, 3).locator('canvas').evaluate(DRAWN))
    assert at_rest(page)['edited'] == on_board and cell(page, 2, 3).get_attribute('aria-selected') == 'true'
    page.keyboard.press('ArrowLeft')
    page.keyboard.press('Enter')
    page.wait_for_function('() => document.querySelectorAll(".films-board [aria-selected=true]").length == 1')
    assert page.locator('.films-cell:focus').count() == 1
    changed(page, {'edited': on_board})
    shot(page, 'board')
    before = at_rest(page)
    drag(page, cell(page, 3, 0), film(page, 'a'))
    changed(page, before, 'a')
    at_rest(page)
    drag(page, film(page, 'edited'), cell(page, 1, 0))
    cells(page, 12)
    cell(page, 1, 0).focus()
    page.keyboard.press('Delete')
    cells(page, 9)

def surprised(page, shot):
    "New clips from the prior: thrown, the page is as before; kept, it has a row and a column."
    first = at_rest(page)
    page.get_by_role('button', name='surprise me').click()
    changed(page, first, 'a')
    second = at_rest(page)
    page.get_by_role('button', name='surprise me').click()
    changed(page, second, 'a')
    page.get_by_role('button', name='keep', exact=True).click()
    cells(page, 16)
    shot(page, 'surprise')

def undone(page):
    "Undo and redo, as often as one likes."
    page.get_by_role('button', name='reset').click()
    cells(page, 9)
    seen = [at_rest(page)]
    for key in ('ArrowRight', 'ArrowRight'):
        slider(page, 'add clip b').focus()
        page.keyboard.press(key)
        changed(page, seen[-1])
        seen.append(at_rest(page))
    for name, state in (('undo', 1), ('undo', 0), ('redo', 1), ('redo', 2), ('undo', 1)):
        page.get_by_role('button', name=name, exact=True).click()
        settled(page, seen[state])

def linked(page, other, shot):
    "The address holds the state: another page beside this one shows the same films, and a word if it's bad."
    slider(page, 'who 1').focus()
    page.keyboard.press('PageUp')
    mine = at_rest(page)
    line = page.get_by_label('state').input_value()
    page.wait_for_function('line => location.hash === "#" + line', arg=line)
    other.goto(page.url)
    up(other)
    settled(other, mine)
    other.get_by_label('state').fill('e1.nonsense')
    other.keyboard.press('Enter')
    other.get_by_text('e1.nonsense: is damaged').wait_for()
    assert films(other) == mine
    shot(other, 'linked')

def other_model(page, shot, record_property):
    "128 pixels: a hand that moves sees something at once, and all of it when it rests."
    before = at_rest(page)
    page.get_by_label('model', exact=True).select_option('weizmann-s')
    page.wait_for_function("document.querySelector('.film-edited canvas').width == 128")
    shot(page, 'larger')
    record_property('128 pixels: from key to picture', f'{key_to_picture(page):.0f} ms')
    page.wait_for_function("document.querySelector('.film-edited canvas').film.length == 16")
    at_rest(page)
    page.get_by_label('model', exact=True).select_option('weizmann-s-tiny')
    settled(page, before)

def no_traceback(page, log):
    assert 'Traceback' not in page.locator('body').inner_text() and 'Traceback' not in log.read_text()

def newest_wins(page):
    "Keys come faster than pictures; the last value counts."
    before = at_rest(page)
    slider(page, 'scale').focus()
    for key in ['ArrowRight']*8 + ['ArrowLeft']*9:
        page.keyboard.press(key)
    changed(page, before)
    page.keyboard.press('ArrowRight')
    settled(page, before)

def files_are_handed_over(page, tmp_path, shot):
    "A wrong file is refused in words; codes that were saved, and a video of one's own, become clip a."
    before = films(page)
    wrong = {'notes.mp4': b'Dear diary', 'foreign.json': b'{"zx": 1}',
             'cut.json': b'{"format": "encgan3 codes 1", "zx": [0.1',
             'short.avi': own_video(tmp_path/'short.avi', 3).read_bytes()}
    for name, data in wrong.items():
        (tmp_path/name).write_bytes(data)
        upload(page, tmp_path/name, re.compile(f'^{name}: ')) # which only a kernel that lives can answer
    there_and_back(page)
    assert films(page) == before and page.get_by_role('alert').filter(has_text='short.avi').is_visible()
    shot(page, 'refused')
    with page.expect_download() as download:
        page.get_by_text('save codes.json').click()
    download.value.save_as(tmp_path/'codes.json')
    assert json.loads((tmp_path/'codes.json').read_text()).keys() == {'format', 'zx', 'zv'}
    upload(page, tmp_path/'codes.json', 'codes.json is clip a now')
    changed(page, before, 'a')
    assert drawn(page, 'a') == before['edited']
    for name, frames, size in (('portrait.mp4', 40, (72, 128)), ('4k.mp4', 20, (3840, 2160))):
        before = films(page)
        upload(page, own_video(tmp_path/name, frames, size), f'{name} is clip a now')
        changed(page, before, 'a')
        now = at_rest(page)
        assert now['edited'] == now['rebuilt-a'] # one sees one's own video
        there_and_back(page)
        shot(page, name.split('.')[0])
    with (tmp_path/'large.mkv').open('wb') as file:
        # more than a web socket takes by default
        file.write(own_video(tmp_path/'own.mkv').read_bytes().ljust(12_000_000, b'\0'))
    before = films(page)
    upload(page, tmp_path/'large.mkv', 'large.mkv is clip a now')
    changed(page, before, 'a')
    shot(page, 'own_video')

def narrow(page, shot):
    "Nothing is cut off, in a wide window or on a telephone."
    for width, height in ((1280, 900), (390, 1500)):
        page.set_viewport_size({'width': width, 'height': height})
        page.wait_for_timeout(300)
        shot(page, f'{width}_pixels')
        assert page.evaluate('document.documentElement.scrollWidth') <= width, (
            f'{width} pixels: the page is wider than the window')
        assert not page.evaluate(CUT_OFF), f'{width} pixels: {page.evaluate(CUT_OFF)} cut off'

def stays_in_view(page, shot):
    "The edited picture is seen while the last slider is under the hand."
    slider(page, 'seed').scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    shot(page, 'last_slider')
    box = film(page, 'edited').bounding_box()
    assert 0 <= box['y'] and box['y'] + box['height'] <= page.viewport_size['height'], (
        f'the edited picture is at {box}')

def test_app(page, browser, tmp_path, shot, record_property):
    begun = time.monotonic()
    with served(tmp_path, 'voila', *app_options()) as (address, log):
        page.goto(address)
        up(page)
        record_property('from command to first picture', f'{time.monotonic() - begun:.1f} s')
        assert page.title() == 'EncGAN3: a video by its codes'
        first = at_rest(page)
        assert len(first['edited']) == len(first['a']) == 16*32*32*3
        shot(page, 'first')
        record_property('from key to picture', f'{key_to_picture(page):.0f} ms')
        settled(page, first)
        by_keyboard_and_mouse(page, first, shot)
        newest_wins(page)
        page.get_by_text('difference maps').click()
        changed(page, first, 'a')
        shot(page, 'maps')
        page.get_by_role('button', name='reset').click()
        settled(page, first)
        paused_and_stepped(page, shot)
        to_the_ends(page, shot)
        page.get_by_role('button', name='reset').click()
        settled(page, first)
        files_are_handed_over(page, tmp_path, shot)
        page.get_by_role('button', name='reset').click()
        settled(page, first)
        narrow(page, shot)
        page.set_viewport_size({'width': 390, 'height': 760})
        stays_in_view(page, shot)
        no_traceback(page, log)
        slider(page, 'scale').focus()
        for _ in range(20):
            page.keyboard.press('ArrowRight')
        page.close() # while it computes
        again = browser.new_page()
        again.set_default_timeout(PATIENCE)
        again.goto(address)
        up(again)
        settled(again, first)
        there_and_back(again)
        again.close()
        assert 'Traceback' not in log.read_text()

def test_play(page, browser, tmp_path, shot, record_property):
    "What one does with more than two clips: board, new clips, undo, a link, another model."
    with served(tmp_path, 'voila', *app_options()) as (address, log):
        page.goto(address)
        up(page)
        first = at_rest(page)
        board(page, shot)
        surprised(page, shot)
        undone(page)
        other = browser.new_page()
        other.set_default_timeout(PATIENCE)
        linked(page, other, shot)
        other.close()
        other_model(page, shot, record_property)
        page.get_by_role('button', name='reset').click()
        settled(page, first)
        no_traceback(page, log)

def alone(tmp_path, code, *options):
    "A notebook of one cell, served as `make app` serves its page."
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)]), tmp_path/'page.ipynb')
    return served(tmp_path, 'voila', tmp_path/'page.ipynb', *app_options()[1:], *options)

def test_lab(page, tmp_path, shot):
    shutil.copy(root/'nbs'/'app.ipynb', tmp_path)
    options = ('--ServerApp.ip=127.0.0.1', '--allow-root', f'--ServerApp.root_dir={tmp_path}',
               '--LabApp.news_url=')
    with served(tmp_path, 'jupyter-lab', *options) as (address, log):
        page.goto(address.replace('/lab?', '/lab/tree/app.ipynb?'))
        page.get_by_text('Python 3 (ipykernel) | Idle').wait_for()
        page.get_by_role('menuitem', name='Run').click()
        page.locator('.lm-Menu-itemLabel').get_by_text('Run All Cells', exact=True).click()
        up(page)
        first = at_rest(page)
        shot(page, 'first')
        by_keyboard_and_mouse(page, first, shot)
        stays_in_view(page, shot)
        page.get_by_role('button', name='reset').click()
        settled(page, first)
        no_traceback(page, log)

# who may look, for how long, and what leaves the machine

def processes(word, log):
    "Those with a word in their command line that a server started, directly or not."
    found = [p for p in psutil.process_iter(['cmdline']) if word in ' '.join(p.info['cmdline'] or ())]
    return [p for p in found if str(log.parent) in ' '.join(p.environ().values())]

def kernels(log):
    "Processes of pages that are open."
    return processes('ipykernel_launcher', log)

BUTTONS = """import time, ipywidgets as w
said = w.Label('nothing yet')
long, short = (w.Button(description=name) for name in ('long', 'short'))
def work(_):
    said.value = 'works'
    time.sleep(40)
    said.value = 'is done'
def answer(_): said.value = 'answers'
long.on_click(work)
short.on_click(answer)
w.VBox([long, short, said])"""

def test_app_needs_the_token(page, tmp_path):
    "Whoever doesn't have the token gets a form to type it in, and neither page nor kernel."
    with alone(tmp_path, BUTTONS) as (address, log):
        page.goto(address.split('?')[0])
        assert '/login' in page.url and not page.get_by_text('nothing yet').count() and not kernels(log)
        for path in ('api/kernels', 'voila/files/voila.json', 'api/contents'):
            answer = page.request.get(f'{address.split("?")[0]}{path}', max_redirects=0)
            assert answer.status in (302, 403, 404), (path, answer.status)
        page.goto(address)
        page.get_by_text('nothing yet').wait_for()

def test_nothing_leaves_the_machine(browser, tmp_path):
    "The page of `make app`, from its first request to a moved slider: all of it comes from this machine."
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    asked, went = [], []
    page.on('request', lambda request: asked.append(request.url))
    def out(route):
        went.append(route.request.url)
        route.abort()
    context.route(lambda url: not re.match(r'(http|ws)://127\.0\.0\.1[:/]|data:|blob:', url), out)
    with served(tmp_path, 'voila', *app_options()) as (address, log):
        page.goto(address)
        up(page)
        there_and_back(page)
        page.wait_for_timeout(1000)
        assert len(asked) > 5 and not went, went
    context.close()

def test_pages_end_and_do_not_wait_for_one_another(browser, tmp_path):
    """Each page has a kernel of its own: a long computation in one doesn't stop the other. A page that
    is closed or vanishes leaves its kernel for the time in voila.json at most.
    """
    soon = '--MappingKernelManager.cull_idle_timeout=3', '--MappingKernelManager.cull_interval=1'
    with alone(tmp_path, BUTTONS, *soon) as (address, log):
        one, two = (browser.new_context().new_page() for _ in range(2))
        for page in (one, two):
            page.set_default_timeout(PATIENCE)
            page.goto(address)
            page.get_by_text('nothing yet').wait_for()
        assert len(kernels(log)) == 2
        one.get_by_role('button', name='long').click()
        one.get_by_text('works', exact=True).wait_for()
        two.get_by_role('button', name='short').click()
        two.get_by_text('answers', exact=True).wait_for()
        assert not one.get_by_text('is done').count()
        two.close(run_before_unload=True)
        ended(log, 1)
        one.context.close() # gone without a word, while it computes
        one = browser.new_page()
        one.goto(address, timeout=PATIENCE)
        one.get_by_text('nothing yet').wait_for(timeout=PATIENCE)
        one.context.set_offline(True)
        one.close()
        ended(log, 0)

def ended(log, left, seconds=150):
    "Waits until so many kernels are left."
    end = time.monotonic() + seconds
    while len(kernels(log)) > left:
        assert time.monotonic() < end, f'{len(kernels(log))} kernels still run'
        time.sleep(.3)

def test_too_large_a_file_is_refused_by_the_page(page, tmp_path, shot):
    "One line beside the button; nothing was sent, and the page lives on."
    with (tmp_path/'large.mp4').open('wb') as file:
        file.truncate(400_000_000)
    with served(tmp_path, 'voila', *app_options()) as (address, log):
        page.goto(address)
        up(page)
        for _ in range(2):
            upload(page, tmp_path/'large.mp4', re.compile('^large.mp4: has 400 MB, more than 134: cut it'))
        shot(page, 'too_large')
        there_and_back(page)
        before = films(page)
        upload(page, own_video(tmp_path/'own.mp4'), 'own.mp4 is clip a now')
        changed(page, before, 'a')
        assert not page.get_by_text('more than 134').count()
        no_traceback(page, log)
