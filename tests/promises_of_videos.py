"R6 and R7: whatever a video file holds, it ends in frames or in one line, soon and in little memory."
import contextlib
import itertools
import json
import os
import resource
import select
import signal
import threading
import time
import traceback
import warnings
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil
from PIL import Image

from promises import promise

from encgan3.data.store import cut_video
from encgan3.data.video import decode_video
from encgan3.datasets import prepare
from encgan3.editing.footage import opened, pasted, write_film
from encgan3.editing.items import received
from encgan3.editing.own import edited_film, edited_squares
from encgan3.errors import InputError
from encgan3.model import EncGAN3

SECONDS = 20 # of a processor, for one file
MEMORY = 2**30 # bytes beyond what the process held before

# a fork of its own for each try

def forked(work, seconds: float = SECONDS) -> tuple:
    """What `work()` gives in a fork of this process: no crash, no hang.

    returns: the value as JSON, seconds of the processor, bytes that memory grew at most
    """
    held = psutil.Process().memory_info().rss
    reader, writer = os.pipe()
    if not (child := os.fork()):
        os.close(reader)
        try:
            os.setsid()
            warnings.simplefilter('ignore')
            resource.setrlimit(resource.RLIMIT_CPU, (int(2*seconds), int(2*seconds)))
            answer = dict(value=work())
        except BaseException as e:
            answer = dict(error=f'{type(e).__name__}: {e} {traceback.format_exc()[-400:]}')
        with open(writer, 'w') as pipe:
            json.dump(answer, pipe)
        os._exit(0)
    os.close(writer)
    said = b''
    with open(reader, 'rb', buffering=0) as pipe:
        # a busy machine may take longer than the processor does
        while select.select([pipe], [], [], 6*seconds)[0]:
            if not (part := pipe.read(2**16)):
                break
            said += part
        else:
            os.kill(child, signal.SIGKILL)
    _, code, used = os.wait4(child, 0)
    assert not code and said, f'ends with {code} after {used.ru_utime + used.ru_stime:.0f} s'
    answer = json.loads(said)
    assert 'error' not in answer, answer['error']
    return answer['value'], used.ru_utime + used.ru_stime, max(0, 1024*used.ru_maxrss - held)

def line_of(call, *arguments, **named):
    "The value, or the one line of an InputError."
    try:
        return call(*arguments, **named), None
    except InputError as e:
        assert '\n' not in str(e), str(e)
        return None, str(e)

# whole files

def movie(frames=40, height=48, width=64, seed=0):
    "A bright block that crosses a noisy background."
    dice = np.random.default_rng(seed)
    out = np.broadcast_to(dice.integers(0, 90, (height, width, 1), dtype=np.uint8),
                          (frames, height, width, 3)).copy()
    for t in range(frames):
        x = t*(width - 8)//frames
        out[t, height//4:, x:x + 8] = 240
    return out

def write(path, frames, codec, pixels, times=None, rotation=0, rate=25, **options):
    "Frames as a file, at times of their own if they are given, in twenty-fifths of a second."
    with av.open(str(path), 'w') as file:
        stream = file.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels
        stream.codec_context.thread_count = 1
        if rotation:
            stream.set_display_rotation(rotation)
        for i, f in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(f, format='rgb24')
            if times is not None:
                frame.pts, frame.time_base = int(times[i]), Fraction(1, 25)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path

def pillow_gif(path, frames, **options):
    first, *others = map(Image.fromarray, frames)
    first.save(path, save_all=True, append_images=others, duration=40, **options)
    return path

KINDS = { # name -> codec, pixel format, options
    'mpeg4.avi': ('mpeg4', 'yuv420p', {}), 'mjpeg.avi': ('mjpeg', 'yuvj420p', {}),
    'h264.mp4': ('libx264', 'yuv420p', {'threads': '1'}),
    'front.mp4': ('libx264', 'yuv420p', {'threads': '1', 'bf': '0'}),
    'mpeg4.mov': ('mpeg4', 'yuv420p', {}), 'mpeg4.m4v': ('mpeg4', 'yuv420p', {}),
    'ffv1.mkv': ('ffv1', 'bgr0', {}), 'h264.mkv': ('libx264', 'yuv420p', {'threads': '1'}),
    'vp8.webm': ('libvpx', 'yuv420p', {'threads': '1', 'deadline': 'realtime'}),
    'vp9.webm': ('libvpx-vp9', 'yuv420p', {'threads': '1', 'deadline': 'realtime', 'cpu-used': '8'}),
    'plain.gif': None,
    'mpeg2.mpg': ('mpeg2video', 'yuv420p', {}), 'mpeg1.mpeg': ('mpeg1video', 'yuv420p', {}),
    'wmv2.wmv': ('wmv2', 'yuv420p', {}), 'mpeg2.ts': ('mpeg2video', 'yuv420p', {}),
    'h264.m2ts': ('libx264', 'yuv420p', {'threads': '1'}), 'mpeg2.vob': ('mpeg2video', 'yuv420p', {}),
    'h264.flv': ('libx264', 'yuv420p', {'threads': '1'}), 'flash.flv': ('flv', 'yuv420p', {}),
    'vp8.ogv': ('libvpx', 'yuv420p', {'threads': '1', 'deadline': 'realtime'}),
    'mpeg2.mxf': ('mpeg2video', 'yuv420p', {}), 'mpeg4.3gp': ('mpeg4', 'yuv420p', {})}

def whole(folder: Path, frames: int = 40) -> dict:
    "One file of each kind."
    folder.mkdir(parents=True, exist_ok=True)
    film = movie(frames)
    made = {}
    for name, how in KINDS.items():
        codec, pixels, options = how or (None, None, {})
        path = folder/name
        made[name] = write(path, film, codec, pixels, **options) if how else pillow_gif(path, film)
    return made

# damage

def cut(data, dice):
    length = max(1, int(len(data)*dice.uniform(.01, .999)))
    return data[:length - (length % 188 == 0)] # a transport stream that ends between two packets is whole

def flips(data, dice, reach=None):
    out = bytearray(data)
    for _ in range(20):
        out[dice.randrange(min(len(out), reach or len(out)))] = dice.randrange(256)
    return bytes(out)

def header(data, dice): return flips(data, dice, 400)

def hole(data, dice):
    length = max(1, int(len(data)*dice.uniform(.01, .3)))
    at = dice.randrange(max(1, len(data) - length))
    return data[:at] + bytes(length) + data[at + length:]

def missing(data, dice):
    length = max(1, int(len(data)*dice.uniform(.01, .3)))
    at = dice.randrange(max(1, len(data) - length))
    return data[:at] + data[at + length:]

DAMAGE = cut, flips, header, hole, missing

def accounted(path, frames):
    "As many frames as the whole file has, or both numbers, or one line why there are none."
    def attempt():
        video, said = line_of(decode_video, path)
        return said or [len(video.frames), video.problem]
    value, seconds, grown = forked(attempt)
    assert seconds < SECONDS and grown < MEMORY, f'{seconds:.0f} s, {grown/2**20:.0f} MiB'
    if isinstance(value, str):
        assert path.name in value, value
        return
    found, problem = value
    assert found == frames or problem and str(found) in problem, f'{found} of {frames} frames: {problem}'

@promise('R6', 'a damaged video gives all of its frames, or both numbers, or one line, and soon', 40, 300)
def damaged_videos(n, folder, dice):
    sound = whole(folder/'whole')
    for i, (how, name) in zip(range(n), itertools.cycle(itertools.product(DAMAGE, sound))):
        path = folder/f'{i:03} {how.__name__} {name}'
        path.write_bytes(how(sound[name].read_bytes(), dice))
        yield path.name, lambda path=path: accounted(path, 40)

# odd files, nothing of which is damaged

def sound_only(path):
    "A file without any picture."
    with av.open(str(path), 'w') as file:
        add_sound(file, file.add_stream('aac', rate=8000, layout='mono'), 8)
    return path

def add_sound(file, stream, packets):
    "Silence."
    for t in range(packets):
        kind = stream.format.name
        quiet = np.zeros((1, 1024), 'i2' if kind == 's16' else 'f4')
        silence = av.AudioFrame.from_ndarray(quiet, format=kind, layout='mono')
        silence.sample_rate = 8000
        silence.pts = 1024*t
        file.mux(stream.encode(silence))
    file.mux(stream.encode())

def with_sound(path, frames, codec='mpeg4', pixels='yuv420p'):
    "Four seconds of sound, under a shorter film."
    with av.open(str(path), 'w') as file:
        picture = file.add_stream(codec, rate=25)
        picture.height, picture.width = frames.shape[1:3]
        picture.pix_fmt = pixels
        codec = 'pcm_s16le' if path.suffix == '.avi' else 'aac'
        sound = file.add_stream(codec, rate=8000, layout='mono')
        for f in frames:
            file.mux(picture.encode(av.VideoFrame.from_ndarray(f, format='rgb24')))
        file.mux(picture.encode())
        add_sound(file, sound, 32)
    return path

def repeated(path, codec, pixels, width, height, frames, sizes=None):
    "One picture is encoded, and its packet stands in the file as often as wanted; sizes: widths in turn."
    with av.open(str(path), 'w') as file:
        stream = file.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        packets = []
        for wide in sizes or [width]:
            one = av.CodecContext.create(codec, 'w')
            one.width, one.height, one.pix_fmt, one.time_base = wide, height, pixels, Fraction(1, 25)
            one.thread_count = 1
            black = av.VideoFrame(wide, height, pixels)
            for plane in black.planes:
                plane.update(bytes(plane.buffer_size))
            packets += [bytes(p) for p in [*one.encode(black), *one.encode()]]
        for i in range(frames):
            packet = av.Packet(packets[i*len(packets)//frames])
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 25), True
            packet.pts = packet.dts = i
            file.mux(packet)
    return path

def images(path, width, height, frames, canvas=None):
    "A GIF of black images; canvas: what it says about its size, which may be larger."
    Image.new('P', (width, height)).save(path)
    data = path.read_bytes()
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 128 else 0)
    image = data[data.index(b',', at):-1]
    pause = b'!\xf9\x04\0\x04\0\0\0'
    size = b''.join(n.to_bytes(2, 'little') for n in canvas or (width, height))
    path.write_bytes(b'GIF89a' + size + data[10:at] + (pause + image)*frames + b';')
    return path

NAMES = ("bob's film", 'two  spaces', 'a;b&c|d', '$(touch x)', '`x`', 'line\nbreak', 'ünïcödé 影片',
         '-rf',
         '%05d', 'concat:a|b', 'file:x', 'http:x', '<b>bold<', 'x'*200, '.. .', '"quoted"', '\\back\\slash',
         '~', '*?[]',
         '\u202eevil')

def odd(folder: Path) -> dict:
    "Name -> how it is made, how many frames it has; 0: it must be refused."
    film, tall = movie(), movie(20, 64, 48)
    uneven = np.cumsum([1 + 3*(i % 4 == 0) + (i == 20)*30 for i in range(40)])
    x264 = ('libx264', 'yuv420p')
    made = {name: (lambda p, how=how: write(p, film, *how[:2], **how[2]) if how else pillow_gif(p, film), 40)
            for name, how in KINDS.items()}
    made |= {f'one.{name}': (lambda p, how=how: write(p, film[:1], *how[:2], **how[2]) if how
                             else pillow_gif(p, film[:1]), 1) for name, how in KINDS.items()}
    made |= {f'turned{n}.mp4': (lambda p, n=n: write(p, tall, *x264, rotation=n), 20) for n in (90, 180, -90)}
    made |= {f'uneven{end}': (lambda p, how=how: write(p, film, *how, times=uneven), 40) for end, how in
             {'.mp4': x264, '.mkv': ('ffv1', 'bgr0'), '.webm': ('libvpx-vp9', 'yuv420p')}.items()}
    made |= {f'deep.{pixels}.mkv': (lambda p, pixels=pixels: write(p, film, 'ffv1', pixels), 40)
             for pixels in ('gray16le', 'yuv420p10le', 'yuv444p16le', 'bgra', 'gray')}
    made |= {f'sounding{end}': (lambda p: with_sound(p, film), 40)
             for end in ('.mp4', '.mkv', '.avi', '.mov', '.ts')}
    made |= {f'sound{end}': (sound_only, 0) for end in ('.mp4', '.mkv', '.mov', '.m4v')}
    made |= {f'{kind}{end}': (lambda p, data=data: p.write_bytes(data), 0)
             for kind, data in {'page': b'<!DOCTYPE html><html><body>Sign in</body></html>'*90, 'empty': b'',
                                'zeros': bytes(5000), 'noise': np.random.default_rng(0).bytes(9000),
                                'list': b'#EXTM3U\n#EXTINF:10,\nother.avi\n', 'words': b'hello\n'*999}.items()
             for end in ('.avi', '.mp4', '.mkv', '.webm', '.gif', '.mpg', '.wmv', '.mov', '.flv', '.ts',
                         '.ogv', '.mxf')}
    made |= {f'{name}.mkv': (lambda p: write(p, film, 'ffv1', 'bgr0'), 40) for name in NAMES}
    return made | {
        'uneven.gif': (lambda p: pillow_gif(p, film, **{}), 40),
        'through.gif': (lambda p: pillow_gif(p, film, transparency=0, disposal=2), 40),
        'through.webm': (lambda p: write(p, film, 'libvpx-vp9', 'yuva420p'), 40),
        'pieces.mp4': (lambda p: pieces(p, film), 40),
        'stream.webm': (lambda p: live(p, film), 40),
        'changes.mkv': (lambda p: repeated(p, 'mjpeg', 'yuvj420p', 48, 36, 8, (48, 32)), 0),
        'shrinks.avi': (lambda p: repeated(p, 'mjpeg', 'yuvj420p', 64, 36, 8, (64, 32)), 0),
        'nothing.gif': (lambda p: p.write_bytes(b'GIF89a\1\0\1\0\0\0\0;'), 0),
        'head.avi': (lambda p: headed(p, film), 0)}

def headed(path, frames):
    "An AVI up to where its frames would begin."
    data = write(path, frames, 'mpeg4', 'yuv420p').read_bytes()
    path.write_bytes(data[:data.index(b'movi') + 4])

def pieces(path, frames):
    "An MP4 in fragments, as browsers and cameras write while they record."
    with av.open(str(path), 'w', options={'movflags': 'frag_keyframe+empty_moov'}) as file:
        fill(file, frames, 'libx264', {'g': '10', 'threads': '1'})

def live(path, frames):
    "A WebM without lengths, as it is sent while it is made."
    with av.open(str(path), 'w', options={'live': '1'}) as file:
        fill(file, frames, 'libvpx', {'g': '10', 'threads': '1'})

def fill(file, frames, codec, options):
    stream = file.add_stream(codec, rate=25, options=options)
    stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], 'yuv420p'
    for f in frames:
        file.mux(stream.encode(av.VideoFrame.from_ndarray(f, format='rgb24')))
    file.mux(stream.encode())

@promise('R6', 'an odd video is read whole, without a word of damage; what is no video is refused', 30, 160)
def odd_videos(n, folder, dice):
    made = odd(folder)
    for name in dice.sample(sorted(made), min(n, len(made))):
        make, frames = made[name]
        def attempt(name=name, make=make, frames=frames):
            make(folder/name)
            def read():
                video, said = line_of(decode_video, folder/name)
                return said or [len(video.frames), video.problem]
            value, seconds, _ = forked(read)
            assert seconds < SECONDS
            if frames:
                assert value == [frames, None], value
            else:
                assert isinstance(value, str) and repr(name)[1:-1][:20] in repr(value), value
        yield repr(name)[:60], attempt

# a whole folder

def prepared(folder, store, workers=0, crop='mover'):
    "A store of all files of a folder, each in it or in the quarantine; or the line that none is usable."
    made, said = line_of(prepare, 'folder', folder, store, 16, crop=crop, frames=4, workers=workers,
                         progress=False)
    if said:
        assert 'files is usable' in said, said
        return said
    told = {v['file'] for v in made.videos} | {q['file'] for q in made.index['quarantine']}
    assert told == {p.name for p in folder.iterdir()}, {p.name for p in folder.iterdir()} ^ told
    return made.sha256

@promise('R6', 'a folder of damaged and odd videos is prepared to its end, each file in it or said', 1, 8)
def damaged_folders(n, folder, dice):
    sound = whole(folder/'whole')
    for i in range(n):
        here = folder/f'films {i}'
        def attempt(i=i, here=here):
            here.mkdir()
            for how, name in itertools.product(DAMAGE, sound):
                (here/f'{how.__name__} {name}').write_bytes(how(sound[name].read_bytes(), dice))
            (here/'fine.mkv').write_bytes(sound['ffv1.mkv'].read_bytes())
            shas = [forked(lambda: prepared(here, folder/f'store {i} {workers}', workers), 90)[0]
                    for workers in ((0,) if i % 4 != 1 else (0, 2))]
            assert len(set(shas)) == 1 and 'usable' not in shas[0]
        yield here.name, attempt

def readers():
    "Processes that this one has spawned."
    with contextlib.suppress(psutil.Error):
        return [p for p in psutil.Process().children() if 'spawn_main' in ' '.join(p.cmdline())]

@promise('R6', 'a worker that is killed costs one file at most, and the others are prepared', 0, 8)
def killed_readers(n, folder, dice):
    here = folder/'films'
    here.mkdir()
    for i in range(6):
        write(here/f'{i}.mkv', movie(seed=i), 'ffv1', 'bgr0')
    whole_sha = prepared(here, folder/'store')
    for i in range(n):
        def attempt(i=i, wait=dice.uniform(0, 6)):
            def kill():
                time.sleep(wait)
                for process in (readers() or [])[:1]:
                    process.kill()
            killer = threading.Thread(target=kill)
            killer.start()
            sha = prepared(here, folder/f'store {i}', workers=2)
            killer.join()
            index = json.loads((folder/f'store {i}'/'index.json').read_text())
            lost = [q for q in index['quarantine'] if 'ends the process' in q['reason']]
            assert sha == whole_sha or len(lost) == 1, lost
        yield f'kill {i}', attempt

# files that unfold

def bombs(folder: Path) -> dict:
    "Name -> how it is made: small files of large films, in the order of how soon they are noticed."
    vp9 = 'libvpx-vp9', 'yuv420p'
    return {
        'many.gif': lambda p: images(p, 4000, 2300, 300),
        'canvas.gif': lambda p: images(p, 1, 1, 300, (65535, 65535)),
        'wide.gif': lambda p: images(p, 16, 16, 3000, (3000, 3000)),
        'long.gif': lambda p: images(p, 2, 2, 60_000),
        'huge.mkv': lambda p: repeated(p, 'mjpeg', 'yuvj420p', 8192, 8192, 2),
        'huge.png': lambda p: Image.new('L', (30_000, 30_000)).save(p),
        'huge.jpg': lambda p: Image.new('L', (60_000, 2000)).save(p),
        'large.png': lambda p: Image.new('RGB', (8191, 8191)).save(p),
        'frames.avi': lambda p: repeated(p, 'mjpeg', 'yuvj420p', 16, 16, 11_000),
        'long.mp4': lambda p: repeated(p, 'mpeg4', 'yuv420p', 320, 240, 9_999),
        'broad.avi': lambda p: repeated(p, 'mpeg4', 'yuv420p', 4096, 2304, 170),
        'tall.mkv': lambda p: repeated(p, 'mjpeg', 'yuvj420p', 1080, 1920, 770),
        'still.mp4': lambda p: repeated(p, 'libx264', 'yuv420p', 3840, 2160, 190),
        'web.webm': lambda p: repeated(p, *vp9, 1920, 1080, 770),
        'deep.mkv': lambda p: repeated(p, 'ffv1', 'yuv444p16le', 2048, 1152, 680),
        'mpeg.mpg': lambda p: repeated(p, 'mpeg2video', 'yuv420p', 1920, 1080, 900),
        'stream.ts': lambda p: repeated(p, 'mpeg2video', 'yuv420p', 1920, 1080, 900),
        'tags.flv': lambda p: repeated(p, 'flv', 'yuv420p', 1920, 1080, 900),
        'lines.avi': lambda p: repeated(p, 'mjpeg', 'yuvj420p', 8192, 16, 9_999),
        'largest.gif': lambda p: images(p, 2000, 2000, 400)}

def doors(model) -> dict:
    "Name -> what a file goes through."
    edit = lambda path: edited_film(model, path)[0].shape
    def own(path):
        footage = opened(path)
        return write_film(path.with_name('own.mp4'), pasted(footage, edited_squares(model, footage)),
                          footage.fps).stat().st_size
    return {'prepare': lambda path: len(cut_video('mover', 64, (path, None))[0]),
            'explorer': lambda path: received(model, path.name, path.read_bytes()).name,
            'edit': edit, 'own': own}

@promise('R7', 'a small file that unfolds takes at most 20 seconds and a gigabyte, at every door', 16, 80)
def bombs_of_video(n, folder, dice):
    model = EncGAN3.from_preset('micro', ch=4).eval()
    made, through = bombs(folder), doors(model)
    for name, door in itertools.islice(itertools.product(made, through), n):
        def attempt(name=name, door=door):
            if not (folder/name).exists():
                forked(lambda: made[name](folder/name) and None, 300)
            _, seconds, grown = forked(lambda: line_of(through[door], folder/name))
            used.append((name, door, round(seconds, 1), grown >> 20))
            assert seconds < SECONDS and grown < MEMORY, f'{seconds:.0f} s, {grown/2**20:.0f} MiB'
        yield f'{name}, {door}', attempt

def unfolding_pictures(folder: Path) -> dict:
    "Strips and silhouettes: name -> how it is made."
    def mask(path, *shape):
        np.lib.format.open_memmap(path.with_name('new.npy'), 'w+', bool, shape)[:, :1] = True
        path.with_name('new.npy').rename(path)
    def head(path, shape):
        with path.open('wb') as file:
            np.lib.format.write_array_header_1_0(file, dict(descr='|b1', fortran_order=False, shape=shape))
    return {
        'strip.jpg': lambda p: Image.new('L', (30_000, 3000)).save(p, 'PNG'),
        'wide.jpg': lambda p: Image.new('L', (60_000, 60)).save(p, 'PNG'),
        'square.jpg': lambda p: Image.new('L', (4000, 4000)).save(p, 'JPEG'),
        'long': lambda p: mask(p, 900_000, 8, 8), 'large': lambda p: mask(p, 900, 700, 900),
        'full': lambda p: mask(p, 1000, 200, 300), 'flat': lambda p: mask(p, 500, 2, 60_000),
        'head': lambda p: head(p, (10**6, 10**6, 10)), 'most': lambda p: head(p, (2**40, 2**40, 2**40))}

@promise('R7', 'a strip or a silhouette that unfolds takes at most 20 seconds and a gigabyte', 9, 9)
def bombs_of_pictures(n, folder, dice):
    made = unfolding_pictures(folder)
    for name in list(made)[:n]:
        def attempt(name=name):
            forked(lambda: made[name](folder/name) and None, 300)
            _, seconds, grown = forked(lambda: len(cut_video('whole', 64, (folder/name, None))[0]))
            used.append((name, 'prepare', round(seconds, 1), grown >> 20))
            assert seconds < SECONDS and grown < MEMORY, f'{seconds:.0f} s, {grown/2**20:.0f} MiB'
        yield name, attempt

used = [] # what was measured, for whoever looks
