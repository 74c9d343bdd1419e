"""The workbench in a real browser: a video of one's own moves like another, and teaches the model.

It shares the browser, and its rules, with test_browser.py."""
import re, time
from base64 import b64decode

from test_browser import (BYTES, CUT_OFF, PATIENCE, alone, browser, no_traceback, own_video, page, processes,
                          shot, slider)

SHARED = browser, page, shot # fixtures, found by their names
BENCH = """from encgan3.ui.workbench import workbench
workbench(patience=25)"""
BROKEN = """() => [...document.querySelectorAll('.encgan3 img, .encgan3 video')]
    .filter(x => x.offsetParent && x.tagName == 'IMG' && !x.naturalWidth).length"""

def hand_over(page, path, message, button=0):
    "Gives a file to the first button, for one's own video, or to the second; waits for what the page says."
    with page.expect_file_chooser() as chooser:
        page.locator('.widget-upload, .jupyter-widget-upload').nth(button).click()
    chooser.value.set_files(path)
    page.get_by_text(message).first.wait_for()

def press(page, name): page.get_by_role('button', name=name, exact=True).click()

def saved(page, tmp_path, name):
    "A film that the page has a link to: rate and frames."
    import av
    with page.expect_download() as download:
        page.get_by_text(f'save {name}', exact=True).click()
    download.value.save_as(tmp_path/name)
    with av.open(str(tmp_path/name)) as film:
        rate = film.streams.video[0].average_rate
        return rate, [f.to_ndarray(format='rgb24') for f in film.decode(video=0)]

def refused(page, tmp_path):
    "Nothing is there yet, and no empty picture; what is no film is said, and no markup in names rendered."
    for button in ('edit', 'teach it my video'):
        press(page, button)
    page.get_by_text('no video yet: choose one').nth(1).wait_for()
    assert page.evaluate(BROKEN) == 0 and not page.locator('.encgan3 video:visible').count()
    for name in ('notes.mp4', '<img src=x onerror=alert(1)>.mov'):
        (tmp_path/name).write_bytes(b'Dear diary')
        hand_over(page, tmp_path/name, f'{name}: is damaged')
    hand_over(page, own_video(tmp_path/'short.mp4', 3), 'short.mp4: has 3 frames')
    assert not page.locator('img[src="x"]').count() and page.evaluate(BROKEN) == 0

def drawn(page):
    "A square is drawn with the mouse and moved; the sliders follow, and move it by keyboard."
    box = page.locator('.boxed').first.bounding_box()
    read = lambda: [int(slider(page, name).get_attribute('aria-valuenow').split('.')[0])
                    for name in ('left', 'top', 'side')]
    def another(before):
        "Where the sliders are, when they have moved and rest."
        end = time.monotonic() + PATIENCE/1000
        while (now := read()) == before or page.wait_for_timeout(700) or now != read():
            assert time.monotonic() < end, f'the sliders stay at {now}'
        return now
    def drag(x, y, to_x, to_y):
        scale, before = box['width']/128, read()
        page.mouse.move(box['x'] + scale*x, box['y'] + scale*y)
        page.mouse.down()
        page.mouse.move(box['x'] + scale*(x + to_x)/2, box['y'] + scale*(y + to_y)/2)
        page.mouse.move(box['x'] + scale*to_x, box['y'] + scale*to_y)
        page.mouse.up()
        return another(before)
    page.locator('.boxed').first.scroll_into_view_if_needed()
    box = page.locator('.boxed').first.bounding_box()
    one = drag(10, 10, 80, 70)
    two = drag(30, 30, 40, 35)
    slider(page, 'left').focus()
    page.keyboard.press('ArrowRight')
    three = another(two)
    assert abs(one[0] - 10) < 3 and abs(one[1] - 10) < 3 and abs(one[2] - 70) < 3, one
    assert abs(two[0] - one[0] - 10) < 3 and abs(two[1] - one[1] - 5) < 3 and two[2] == one[2], (one, two)
    assert three[0] == two[0] + 1 and page.get_by_text('drawn by hand').first.evaluate('x => x.selected')

def moved_like_her(page, tmp_path, shot):
    "As long and as wide as the film that lends the motion; what is played is a film that is saved."
    hand_over(page, own_video(tmp_path/'hers.mp4', 56, (96, 128)), 'hers.mp4 is here: 56 frames', 1)
    press(page, 'edit')
    video = page.locator('.encgan3 video:visible')
    video.wait_for()
    rate, frames = saved(page, tmp_path, 'edited.mp4')
    assert rate == 25 and len(frames) == 56 and frames[0].shape == (128, 96, 3)
    saved(page, tmp_path, 'beside.mp4')
    assert b64decode(video.evaluate(BYTES)) == (tmp_path/'beside.mp4').read_bytes()
    shot(page, 'edited')
    hand_over(page, own_video(tmp_path/'long.mp4', 900), 'long.mp4 is here', 1)
    assert not video.count() and not page.locator('a.save').count()
    press(page, 'edit')
    page.get_by_text('to go').wait_for()
    press(page, 'cancel')
    page.get_by_text('cancelled').wait_for()

def taught(page, shot):
    "The page answers while the model learns; stopped, it goes on; and the model is used at once."
    minutes = page.get_by_label('minutes')
    minutes.fill('9')
    minutes.press('Tab')
    press(page, 'teach it my video')
    told = page.get_by_text(re.compile('^step .* rebuilt with'))
    told.wait_for()
    before = page.get_by_text('The model rebuilds').inner_text()
    slider(page, 'left').focus()
    page.keyboard.press('ArrowRight') # another square, so it is judged again, by the model as it was
    shot(page, 'teaching')
    press(page, 'stop')
    steps = int(re.search(r'\d+', told.inner_text())[0])
    page.get_by_role('button', name='teach it my video', disabled=False).wait_for()
    page.wait_for_function('old => !document.body.innerText.includes(old)', arg=before)
    slider(page, 'left').focus()
    page.keyboard.press('ArrowLeft') # the square that it was taught
    minutes.fill('.1')
    minutes.press('Tab')
    press(page, 'teach it my video')
    page.get_by_role('button', name='teach it my video', disabled=True).wait_for()
    page.get_by_role('button', name='teach it my video', disabled=False).wait_for()
    assert int(re.search(r'\d+', told.inner_text())[0]) > steps

def looks(page, shot):
    "Nothing is cut off on a telephone, in a wide window, in the dark."
    for width, scheme in ((1400, 'light'), (390, 'light'), (390, 'dark')):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({'width': width, 'height': 1500})
        page.wait_for_timeout(300)
        shot(page, f'{width}_{scheme}')
        assert page.evaluate('document.documentElement.scrollWidth') <= width
        assert not page.evaluate(CUT_OFF) and not page.evaluate(BROKEN)

def test_workbench(page, tmp_path, shot):
    with alone(tmp_path, BENCH) as (address, log):
        page.goto(address)
        page.get_by_role('button', name='edit', exact=True).wait_for()
        refused(page, tmp_path)
        shot(page, 'empty')
        hand_over(page, own_video(tmp_path/'own.mp4'), 'own.mp4 is here: 40 frames, 1.6 s')
        page.get_by_text('The model rebuilds').wait_for()
        drawn(page)
        moved_like_her(page, tmp_path, shot)
        taught(page, shot)
        looks(page, shot)
        no_traceback(page, log)

def learning(log):
    "Processes that learn."
    return processes('multiprocessing.spawn', log)

def test_a_training_ends_with_its_page(browser, tmp_path):
    """Two pages teach at once, each its own model; one is closed meanwhile, which ends its training before
    the time in voila.json, and the other goes on."""
    own_video(tmp_path/'own.mp4')
    with alone(tmp_path, BENCH) as (address, log):
        pages = [browser.new_context().new_page() for _ in range(2)]
        for page in pages:
            page.set_default_timeout(60_000)
            page.goto(address)
            page.get_by_role('button', name='edit', exact=True).wait_for()
            hand_over(page, tmp_path/'own.mp4', 'own.mp4 is here')
            press(page, 'teach it my video')
        for page in pages:
            page.get_by_text(re.compile('^step .* rebuilt with')).wait_for()
        assert len(learning(log)) == 2
        pages[0].close(run_before_unload=True)
        end = time.monotonic() + 60
        while len(learning(log)) > 1:
            assert time.monotonic() < end, 'a training outlives its page'
            time.sleep(.3)
        press(pages[1], 'stop')
        pages[1].get_by_role('button', name='teach it my video', disabled=False).wait_for()
        no_traceback(pages[1], log)
