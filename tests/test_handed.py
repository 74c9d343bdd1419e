"""Films and pictures of every kind that a person may bring: taken, or refused in one line.

They are made here, small, by the libraries that cameras' files are read with."""
import io, re, struct
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from encgan3.editing.footage import handed, plan_of
from encgan3.errors import InputError
from encgan3.model import EncGAN3
from encgan3.ui.workbench import workbench

from real import real_data

def walker(t, width=64, height=48):
    "A bright bar that walks to the right, its upper left corner of the frame marked."
    frame = np.full((height, width, 3), 40, np.uint8)
    frame[height//4:, t:t + 12] = 210, 120, 60
    frame[:8, :8] = 240
    return frame

def film(codec='mpeg4', form='mp4', frames=20, size=(64, 48), pixels='yuv420p', step=lambda t: 40*t,
         sound=False, rate=25, **context):
    """A film as bytes.

    codec: None: no picture at all
    step: number of a frame -> its time in milliseconds
    sound: a track of silence is added
    """
    with av.open(out := io.BytesIO(), 'w', format=form) as file:
        stream = file.add_stream(codec, rate=rate) if codec else None
        track = file.add_stream('aac', rate=44100) if sound else None
        if stream:
            stream.width, stream.height, stream.pix_fmt = *size, pixels
            stream.codec_context.time_base = Fraction(1, 1000)
        for k, value in context.items():
            setattr(stream.codec_context, k, value)
        for t in range(frames if stream else 0):
            frame = av.VideoFrame.from_ndarray(walker(t % 40, *size), format='rgb24').reformat(format=pixels)
            frame.pts, frame.time_base = step(t), Fraction(1, 1000)
            file.mux(stream.encode(frame))
        if track:
            quiet = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), 'fltp', 'stereo')
            quiet.sample_rate = 44100
            file.mux(track.encode(quiet))
        for each in filter(None, (stream, track)):
            file.mux(each.encode())
    return out.getvalue()

def turned(data):
    "An MP4 whose header says that the camera was held upright: turn by a quarter."
    at = data.index(b'tkhd') + 4 + 40 # version 0: the matrix follows 40 bytes
    matrix = struct.pack('>9i', 0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30)
    return data[:at] + matrix + data[at + 36:]

def photo(form, size=(60, 80), **options):
    Image.new('RGB', size, (90, 120, 60)).save(out := io.BytesIO(), form, **options)
    return out.getvalue()

TAKEN = { # name -> bytes, frames, height and width, rate
    'plain.mp4': (film, 20, (48, 64), 25),
    'silent.mkv': (lambda: film('ffv1', 'matroska', pixels='bgr0'), 20, (48, 64), 25),
    'talking.mp4': (lambda: film(sound=True), 20, (48, 64), 25),
    'hevc.mov': (lambda: film('libx265', 'mov'), 20, (48, 64), 25),
    'hdr.mp4': (lambda: film('libx265', 'mp4', pixels='yuv420p10le', color_trc=16, color_primaries=9,
                             colorspace=9), 20, (48, 64), 25),
    'vp9.webm': (lambda: film('libvpx-vp9', 'webm'), 20, (48, 64), 25),
    'upright.mp4': (lambda: film(size=(48, 64)), 20, (64, 48), 25),
    'turned.mp4': (lambda: turned(film()), 20, (64, 48), 25),
    'webcam.webm': (lambda: film('libvpx', 'webm', step=lambda t: 50*t + 20*(t % 2), rate=30), 20, (48, 64),
                    19.6),
    '4k.mp4': (lambda: film(frames=2, size=(3840, 2160)), 2, (480, 853), 25),
    'photo.jpg': (lambda: photo('JPEG'), 1, (80, 60), 25),
    'photo.WEBP': (lambda: photo('WEBP'), 1, (80, 60), 25),
    '<script>alert(1)</script>.mp4': (film, 20, (48, 64), 25),
    'C:\\films\\"quoted" & more.mp4': (film, 20, (48, 64), 25)}

REFUSED = { # name -> bytes, the line
    'empty.mp4': (bytes, 'is empty: copy or download it again'),
    'text.mp4': (lambda: b'Dear diary', 'is damaged or no video'),
    'page.mov': (lambda: b'<!doctype html><p>Not found</p>', 'is damaged or no video'),
    'photo.mp4': (lambda: photo('JPEG'), 'is damaged or no video'),
    'film.png': (film, 'is no picture that can be read'),
    'sound.mp4': (lambda: film(None, sound=True), 'has no video that can be decoded, perhaps only sound'),
    'begun.mp4': (lambda: film()[:200], 'is damaged or no video'),
    'hour.mkv': (lambda: film('ffv1', 'matroska', 10_001, (16, 16), 'bgr0'),
                 'more than 10000 frames: cut it'),
    'large.mp4': (lambda: bytes(2**27 + 1), 'has 134 MB, more than 134: cut it'),
    'poster.png': (lambda: photo('PNG', (9000, 9000)), 'exceeds 67108864 pixels: scale it down first')}

@pytest.mark.parametrize('name', TAKEN)
def test_taken(name):
    make, frames, size, rate = TAKEN[name]
    got = handed(name, make())
    assert got.frames.shape == (frames, *size, 3) and got.fps == pytest.approx(rate, abs=.3)
    assert got.problem is None and '\\' not in got.name
    if frames == 20 and size == (48, 64) and 'hdr' not in name:
        assert np.abs(got.frames[3].astype(int) - walker(3)).mean() < 12
    if name == 'turned.mp4': # the mark has gone from the upper left to the upper right
        assert got.frames[0, :6, -6:].mean() > 200 > got.frames[0, :6, :6].mean()

@pytest.mark.parametrize('name', REFUSED)
def test_refused(name):
    make, line = REFUSED[name]
    with pytest.raises(InputError, match=f'^{re.escape(name)}: .*{re.escape(line)}') as e:
        handed(name, make())
    assert '\n' not in str(e.value) and '/tmp' not in str(e.value)

def test_cut_short():
    "A film that ends too early is taken as far as it goes, and it is said."
    data = film('ffv1', 'matroska', frames=40, pixels='bgr0')
    got = handed('cut.mkv', data[:len(data)//2])
    assert 0 < len(got.frames) < 40 and re.search('frames decode|broken', got.problem)

def test_on_the_page():
    "What the page says of each: one line, no markup; what was there stays."
    page = workbench(EncGAN3.from_pretrained('weizmann-s-tiny'), wait=None)
    bench, mine = page.bench, page.bench.mine
    def give(name, data):
        bench.attempt(lambda: bench.take(mine, {'name': name, 'content': data}), mine.news)
    give('<b>mine</b>.mp4', film())
    assert '<b>' not in mine.news.value and 'b&gt;.mp4 is here: 20 frames' in mine.news.value
    before = mine.film, mine.look.picture, bench.out['known'].value
    for name in ('empty.mp4', 'text.mp4', 'sound.mp4', 'film.png'):
        give(name, REFUSED[name][0]())
        assert mine.news.value.count('<div class="wrong" role=alert>') == 1 and name in mine.news.value
    for name, make in (('photo.jpg', lambda: photo('JPEG')), ('two.mp4', lambda: film(frames=2))):
        give(name, make())
        assert 'and a clip needs 16' in mine.news.value
    assert before == (mine.film, mine.look.picture, bench.out['known'].value)
    with pytest.raises(InputError):
        plan_of(2)
    for where in (bench.home, bench.home/'nothing'):
        with pytest.raises(InputError):
            bench.use(where)

def test_a_recording():
    "A genuine film: the square is around the one who moves, and the shipped model doesn't know him."
    path = real_data('weizmann-avi/eli_jack.avi')
    page = workbench(EncGAN3.from_pretrained('weizmann-s-tiny'), wait=None)
    bench = page.bench
    bench.take(bench.mine, {'name': path.name, 'content': path.read_bytes()})
    left, top, right, bottom = bench.mine.look.box
    assert right - left == bottom - top < 140 and left < 80 < right and top < 60 < bottom
    assert 'know such films, and would show somebody else' in bench.out['known'].value
