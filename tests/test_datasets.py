"""Hostile files, folders and stores: each is an InputError of one line or a line in the quarantine, and the
rest goes on.
"""
import functools
import http.server
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import zipfile
from fractions import Fraction
from pathlib import PurePath

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from encgan3 import datasets
from encgan3.data import sources, store as store_module, strips, video as video_module
from encgan3.data.sources import SOURCES, WEIZMANN, download, read_sequences, unpack
from encgan3.data.store import ClipStore
from encgan3.engine.processes import each
from encgan3.data.strips import read_mask, read_strip, unpack_masks
from encgan3.data.video import Limits, decode_video, read_video, write_video
from encgan3.datasets import prepare
from encgan3.engine import files
from encgan3.engine.files import replacing
from encgan3.errors import InputError
from encgan3.standins.figures import weizmann_takes
from encgan3.standins.films import NOTE, STANDINS, write_sequences, write_standin
from pages import root
from real import real_data

av = pytest.importorskip('av')

def movie(frames=40, height=36, width=48, seed=0):
    "A bright block that crosses a noisy background."
    rng = np.random.default_rng(seed)
    out = np.broadcast_to(rng.integers(0, 90, (height, width, 1), dtype=np.uint8),
                          (frames, height, width, 3)).copy()
    for t in range(frames):
        out[t, height//4:, (x := t*(width-8)//frames):x+8] = 240
    return out

def refused(path, **limits):
    "The one line with which a file is refused."
    with pytest.raises(InputError) as e:
        decode_video(path, limits=Limits(**limits))
    assert '\n' not in str(e.value) and path.name in str(e.value)
    return str(e.value)

def build(folder, store, **kw): return prepare('folder', folder, store, size=16, workers=0, progress=False,
                                               **kw)

@pytest.fixture(scope='module')
def good(tmp_path_factory):
    "One good file of each container."
    folder = tmp_path_factory.mktemp('good')
    return {s: write_video(folder/f'good{s}', movie()) for s in ('.avi', '.mp4', '.mkv')}

@pytest.fixture
def store(tmp_path, good):
    "A small store of six files."
    (tmp_path/'in').mkdir()
    for i in range(6):
        write_video(tmp_path/'in'/f'{i}.mkv', movie(34 + i, seed=i))
    return build(tmp_path/'in', tmp_path/'store')

# files that are no video

@pytest.mark.parametrize('name,content,word', [
    ('empty.avi', b'', 'empty'), ('zeros.avi', bytes(5000), 'no video'),
    ('random.mp4', np.random.default_rng(0).bytes(5000), 'no video'),
    ('page.mp4', b'<!DOCTYPE html><html><body>Sign in to download</body></html>' * 50, 'no video'),
    ('text.avi', b'hello\n' * 99, 'no video')])
def test_no_video(tmp_path, name, content, word):
    (tmp_path/name).write_bytes(content)
    assert word in refused(tmp_path/name)

def test_missing_and_folder(tmp_path):
    refused(tmp_path/'nothing.avi')
    (tmp_path/'folder.avi').mkdir()
    refused(tmp_path/'folder.avi')

@pytest.mark.parametrize('text',
                         ['#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nother.avi\n#EXT-X-ENDLIST\n',
                          'ffconcat version 1.0\nfile other.avi\n'])
def test_playlists_open_nothing(tmp_path, good, text):
    "A playlist that poses as a video does not make us read the file it names."
    (tmp_path/'other.avi').write_bytes(good['.avi'].read_bytes())
    (tmp_path/'list.avi').write_text(text)
    refused(tmp_path/'list.avi')

def test_sound_only(tmp_path):
    with av.open(str(tmp_path/'sound.mp4'), 'w') as c:
        s = c.add_stream('aac', rate=8000, layout='mono')
        f = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format='fltp', layout='mono')
        f.sample_rate = 8000
        for t in range(8):
            f.pts = 1024 * t
            c.mux(s.encode(f))
        c.mux(s.encode())
    assert 'sound' in refused(tmp_path/'sound.mp4')

def test_no_frame(tmp_path, good):
    "Only the header of an AVI: a stream, and not one picture."
    data = good['.avi'].read_bytes()
    (tmp_path/'head.avi').write_bytes(data[:data.index(b'movi') + 4])
    refused(tmp_path/'head.avi')

# damaged and odd files

@pytest.mark.parametrize('suffix', ['.avi', '.mp4', '.mkv'])
@pytest.mark.parametrize('part', [.02, .2, .4, .6, .8, .95])
def test_truncated(tmp_path, good, suffix, part):
    "A file cut short is refused, or says how much is missing; it is never taken for whole."
    data = good[suffix].read_bytes()
    path = tmp_path/f'cut{suffix}'
    path.write_bytes(data[:int(part*len(data))])
    try:
        video = decode_video(path)
    except InputError as e:
        assert '\n' not in str(e) and 'cut' in str(e)
    else:
        assert len(video.frames) == 40 or video.problem

@pytest.mark.parametrize('seed', range(30))
@pytest.mark.parametrize('suffix', ['.avi', '.mp4', '.mkv'])
def test_flipped_bytes(tmp_path, good, suffix, seed):
    "Whatever a damaged file holds, it ends in frames or in an InputError."
    data, rng = bytearray(good[suffix].read_bytes()), np.random.default_rng(seed)
    for i in rng.integers(0, len(data) if seed % 2 else 400, 20):
        data[i] = rng.integers(256)
    path = tmp_path/f'flip{suffix}'
    path.write_bytes(data)
    try:
        assert decode_video(path, limits=Limits(bytes=10**8)).frames.ndim == 4
    except InputError as e:
        assert '\n' not in str(e)

def test_decoder_gives_up_midway(tmp_path, good, monkeypatch):
    "What was read before an error is kept, with the error."
    whole = video_module._upright
    def broken(*args):
        for n, frame in enumerate(whole(*args)):
            if n == 33:
                raise av.error.InvalidDataError(1, 'bad\nblock')
            yield frame
    monkeypatch.setattr(video_module, '_upright', broken)
    video = decode_video(good['.mp4'])
    assert len(video.frames) == 33 and video.problem == 'declares 40 frames, 33 decode, then: bad block'
    with pytest.warns(UserWarning, match='33 decode'):
        read_video(good['.mp4'])

def test_broken_metadata(tmp_path):
    "A title that is no text does not stop the picture."
    with av.open(str(tmp_path/'title.mkv'), 'w') as c:
        c.metadata['title'] = 'qqqqqqqq'
        s = c.add_stream('ffv1', rate=25, width=48, height=36, pix_fmt='bgr0')
        for f in movie(5):
            c.mux(s.encode(av.VideoFrame.from_ndarray(f, format='rgb24')))
        c.mux(s.encode())
    data = (tmp_path/'title.mkv').read_bytes()
    assert b'qqqqqqqq' in data
    (tmp_path/'title.mkv').write_bytes(data.replace(b'qqqqqqqq', b'\xff\xfeqq\xc3(qq'))
    assert len(decode_video(tmp_path/'title.mkv').frames) == 5

def test_one_frame_and_short_are_listed(tmp_path, good):
    for n in (1, 30, 31):
        write_video(tmp_path/'in'/f'n{n}.mp4', movie(n))
    s = build(tmp_path/'in', tmp_path/'store')
    assert [v['length'] for v in s.videos] == [31] and len(s) == 1
    assert {q['file']: q['kept'] for q in s.index['quarantine']} == {'n1.mp4': False, 'n30.mp4': False}

@pytest.mark.parametrize('height,width', [(35, 47), (1, 1), (2, 64), (64, 2), (17, 16)])
def test_odd_sizes(tmp_path, height, width):
    frames, _ = read_video(write_video(tmp_path/'odd.mp4', np.full((3, height, width, 3), 77, np.uint8)))
    assert frames.shape == (3, height + height % 2, width + width % 2, 3)

def test_size_change(tmp_path):
    "Two MPEG-4 streams of different size, one after the other in one file."
    with av.open(str(tmp_path/'two.mkv'), 'w') as c:
        s = c.add_stream('mjpeg', rate=25, width=48, height=36, pix_fmt='yuvj420p')
        for i in range(8):
            jpeg = av.CodecContext.create('mjpeg', 'w')
            jpeg.width = 48 - 16*(i > 3)
            jpeg.height = 36
            jpeg.pix_fmt = 'yuvj420p'
            jpeg.time_base = Fraction(1, 25)
            frame = av.VideoFrame.from_ndarray(np.full((36, jpeg.width, 3), 99, np.uint8),
                                               format='rgb24').reformat(format='yuvj420p')
            for packet in [*jpeg.encode(frame), *jpeg.encode()]:
                packet.stream = s
                packet.pts = i
                packet.dts = i
                packet.time_base = Fraction(1, 25)
                c.mux(packet)
    assert 'size changes' in refused(tmp_path/'two.mkv')

def test_rotation(tmp_path):
    "A telephone held upright: stored lying, shown upright."
    frames = movie(4)
    with av.open(str(tmp_path/'up.mp4'), 'w') as c:
        s = c.add_stream('libx264', rate=25, options={'crf': '5'})
        s.width, s.height, s.pix_fmt = 48, 36, 'yuv420p'
        s.set_display_rotation(-90)
        for f in frames:
            c.mux(s.encode(av.VideoFrame.from_ndarray(f, format='rgb24')))
        c.mux(s.encode())
    shown = decode_video(tmp_path/'up.mp4').frames
    assert shown.shape == (4, 48, 36, 3)
    assert np.abs(np.rot90(shown, 1, (1, 2)).astype(int) - frames).mean() < 6

# limits

def test_limits(good):
    assert 'pixels' in refused(good['.avi'], pixels=1000)
    assert 'frames' in refused(good['.avi'], frames=39)
    assert 'bytes' in refused(good['.avi'], bytes=10**5)
    assert 'exceed 60000 pixels' in refused(good['.avi'], total=60_000)
    enough = Limits(frames=40, pixels=48*36, total=40*48*36)
    assert len(decode_video(good['.avi'], limits=enough).frames) == 40

def test_bomb_is_refused_before_it_unfolds(tmp_path):
    "A few kilobytes that unfold to 16384x16384: refused at its first frame."
    with av.open(str(tmp_path/'bomb.mkv'), 'w') as c:
        s = c.add_stream('mjpeg', rate=25, width=8192, height=8192, pix_fmt='yuvj420p')
        frame = av.VideoFrame(8192, 8192, 'yuvj420p')
        c.mux(s.encode(frame))
        c.mux(s.encode())
    assert 'pixels' in refused(tmp_path/'bomb.mkv')

# folders

def test_empty_folders(tmp_path):
    (tmp_path/'in').mkdir()
    for source in ('in', 'absent'):
        with pytest.raises(InputError):
            build(tmp_path/source, tmp_path/'store')
    assert sorted(os.listdir(tmp_path)) == ['in']

def test_nothing_usable(tmp_path):
    (tmp_path/'in').mkdir()
    (tmp_path/'in'/'bad.avi').write_bytes(b'')
    with pytest.raises(InputError, match='bad.avi: is empty'):
        build(tmp_path/'in', tmp_path/'store')
    assert sorted(os.listdir(tmp_path)) == ['in']

def test_rest_goes_on(tmp_path, good):
    """Bad files among good ones: each is listed with its reason, and a truncated one is kept as far as it
    goes.
    """
    write_video(tmp_path/'in'/'deep'/'er'/'fine.mp4', movie())
    (tmp_path/'in'/'html.mp4').write_bytes(b'<html>')
    data = write_video(tmp_path/'in'/'cut.avi', movie(200)).read_bytes()
    (tmp_path/'in'/'cut.avi').write_bytes(data[:len(data)//2])
    s = build(tmp_path/'in', tmp_path/'store')
    kept = {q['file']: (q['kept'], q['reason']) for q in s.index['quarantine']}
    assert not kept['html.mp4'][0] and kept['cut.avi'][0] and 'declares 200 frames' in kept['cut.avi'][1]
    assert ([v['file'] for v in s.videos] == ['cut.avi', 'deep/er/fine.mp4']
            and s.factors(len(s) - 1) == {'action': 'er', 'subject': 'fine'})

def test_mixed_folder(tmp_path):
    "Landscape, portrait, a GIF, upper case, several rates."
    write_video(tmp_path/'in'/'a.MP4', movie(40, 60, 90), 30)
    write_video(tmp_path/'in'/'b.mkv', movie(40, 90, 50), 24)
    gif = [Image.fromarray(f) for f in movie(40, 30, 60)]
    gif[0].save(tmp_path/'in'/'c.gif', save_all=True, append_images=gif[1:], duration=40)
    for crop in ('centre', 'mover', 'face', 'whole'):
        s = build(tmp_path/'in', tmp_path/'store', crop=crop)
        assert ([v['file'] for v in s.videos] == ['a.MP4', 'b.mkv', 'c.gif']
                and s.array.shape[1:] == (16, 16, 3))
    assert [round(v['fps']) for v in s.videos] == [30, 24, 25]

@pytest.mark.parametrize('call',
                         [dict(dataset='wiezmann', source='.'), dict(dataset='weizmann'),
                          dict(dataset='weizmann-s', source='.')])
def test_wrong_calls(tmp_path, call):
    with pytest.raises(InputError):
        prepare(store=tmp_path/'store', **call)
    with pytest.raises(InputError):
        prepare('folder', tmp_path)

def test_names(tmp_path):
    "Lena walks twice; a stranger is listed."
    for name in ('lena_walk1', 'lena_walk2', 'ido_wave1', 'stranger_walk'):
        write_video(tmp_path/'in'/f'{name}.avi', movie())
    s = prepare('weizmann', tmp_path/'in', tmp_path/'store', size=16, workers=0, progress=False)
    assert sorted((v['factors']['subject'], v['factors']['action']) for v in s.videos) == [('ido', 'wave1'),
            ('lena', 'walk'), ('lena', 'walk')]
    assert [q['file'] for q in s.index['quarantine']] == ['stranger_walk.avi']
    with pytest.raises(InputError, match='person01_boxing'):
        prepare('kth', tmp_path/'in', tmp_path/'other', progress=False)

# KTH's list

KTH_LIST = '''header text: training: person11, 12
person01_boxing_d4\t\tframes\t1-95, 96-185, 186-245, 246-370
person07_jogging_d4  \tframes\t61-101, 1-40
person03_walking_d4\t\tframes\t1-50, 40-90, 300-380
person13_handclapping_d3\t*missing*
'''

def test_sequences(tmp_path):
    "Ranges from 1, both ends included, out of order, overlapping, and longer than the file."
    (tmp_path/'in').mkdir()
    (tmp_path/'in'/'00sequences.txt').write_text(KTH_LIST)
    for name in ('person01_boxing_d4', 'person07_jogging_d4', 'person03_walking_d4', 'person02_walking_d1'):
        write_video(tmp_path/'in'/f'{name}_uncomp.avi', movie(304 if 'boxing' in name else 101))
    s = prepare('kth', tmp_path/'in', tmp_path/'store', size=16, workers=0, progress=False)
    lengths = {}
    for v in s.videos:
        lengths.setdefault(v['file'][:19], []).append(v['length'])
    assert lengths == {'person01_boxing_d4_': [95, 90, 60, 59], 'person02_walking_d1': [101],
                       'person03_walking_d4': [50, 51],
                       'person07_jogging_d4': [41, 40]}
    assert {v['split'] for v in s.videos if 'person02' in v['file']} == {'test'}
    assert len(s.index['quarantine']) == 2 and all('d4' in q['file'] for q in s.index['quarantine'])

def test_sequence_list_round_trip(tmp_path):
    takes = STANDINS['kth-s'].takes()[:7]
    write_sequences(tmp_path/'list.txt', takes)
    back = read_sequences(tmp_path/'list.txt')
    assert len(back) == 600 and sum(map(bool, back.values())) == 7
    for t in takes:
        assert back[os.path.basename(t.file).removesuffix('_uncomp.avi')] == [tuple(r) for r in t.sequences]

# Weizmann's strips and silhouettes

def write_strip(path, frames=33, side=8, seed=0, kind='PNG'):
    "A strip of noise, as MoCoGAN stores it."
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, frames*side, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert('RGBA' if kind == 'PNG' else 'RGB').save(path, kind)
    return path

def write_masks(path, **films):
    "A file like classification_masks.mat; films are (rows, columns, frames)."
    savemat(path, {'original_masks': films})
    return path

def person(frames=33): # a block that stands in a scene of 9 x 12
    mask = np.zeros((9, 12, frames), np.uint8)
    mask[2:8, 4:7] = 1
    return mask

def said(call, *args, **kw):
    "The one line with which a call is refused."
    with pytest.raises(InputError) as e:
        call(*args, **kw)
    assert '\n' not in str(e.value)
    return str(e.value)

def put(dataset, source, folder, **kw): return prepare(dataset, source, folder,
                                                       **dict(size=16, workers=0, progress=False) | kw)

def test_no_strips(tmp_path):
    "A missing folder says where the strips come from; so does one without strips. Nothing is written."
    (tmp_path/'in').mkdir()
    for source in ('absent', 'in'):
        line = said(put, 'weizmann-strips', tmp_path/source, tmp_path/'store')
        assert source in line and 'git clone https://github.com/sergeytulyakov/mocogan' in line
    assert 'git clone' in said(put, 'weizmann-strips', None, tmp_path/'store')
    write_strip(tmp_path/'in'/'2'/'00000000.jpg')
    assert '0/00000002.jpg' in said(put, 'weizmann-strips', tmp_path/'in', tmp_path/'store')
    assert os.listdir(tmp_path) == ['in']

def test_bad_strips_are_listed(tmp_path):
    """A width that is no multiple, a damaged, a short and a foreign file.

    What is good is kept, alone nothing is.
    """
    whole = write_strip(tmp_path/'in'/'0'/'00000002.jpg').read_bytes()
    Image.new('RGB', (8*33 + 1, 8)).save(tmp_path/'in'/'0'/'00000003.jpg', 'PNG')
    (tmp_path/'in'/'0'/'00000010.jpg').write_bytes(whole[:len(whole)//2])
    write_strip(tmp_path/'in'/'0'/'00000011.jpg', 30)
    write_strip(tmp_path/'in'/'0'/'holiday.jpg')
    store = put('weizmann-strips', tmp_path/'in', tmp_path/'store')
    assert [v['factors'] for v in store.videos] == [dict(subject='shahar', action='wave1', mirrored='no')]
    reasons = {q['file']: q['reason'] for q in store.index['quarantine']}
    words = {'3': '265 is no multiple of 8', '10': 'damaged', '11': '30 are there, a window needs 31',
             'holiday': 'not like'}
    assert (len(reasons) == 4 and all(word in reasons[f'0/{int(n):08}.jpg' if n.isdigit() else f'0/{n}.jpg']
                                      for n, word in words.items()))
    for good_or_foreign in ('00000002', 'holiday'):
        (tmp_path/'in'/'0'/f'{good_or_foreign}.jpg').unlink()
    assert ('00000003.jpg' in said(put, 'weizmann-strips', tmp_path/'in', tmp_path/'new')
            and not (tmp_path/'new').exists())

@pytest.mark.parametrize('seed', range(40))
def test_strips_with_flipped_bytes(tmp_path, seed):
    "Whatever a damaged strip holds, it ends in frames or in an InputError."
    path = write_strip(tmp_path/'a.jpg', kind=('PNG', 'JPEG')[seed % 2])
    rng = np.random.default_rng(seed)
    data = bytearray(path.read_bytes())
    for i in rng.integers(0, len(data) if seed % 4 < 2 else 60, 4):
        data[i] = rng.integers(256)
    path.write_bytes(data)
    try:
        assert read_strip(path).shape[3] == 3
    except InputError as e:
        assert '\n' not in str(e) and 'a.jpg' in str(e)

def test_strip_bomb_and_other_formats(tmp_path):
    "Sizes are refused before they unfold; formats that were not asked for are not opened."
    Image.new('L', (6000, 6000)).save(tmp_path/'bomb.jpg', 'PNG')
    assert ('exceeds' in said(read_strip, tmp_path/'bomb.jpg')
            and (tmp_path/'bomb.jpg').stat().st_size < 200_000)
    for kind in ('GIF', 'TIFF', 'BMP'):
        Image.new('RGB', (16, 8)).save(tmp_path/'other.jpg', kind)
        assert 'no picture' in said(read_strip, tmp_path/'other.jpg')

def test_masks_of_other_forms(tmp_path):
    """Without the field, with other things in it, with names that lead elsewhere: one line with the file,
    nothing written.
    """
    savemat(tmp_path/'aligned.mat', {'aligned_masks': {'ido_walk': person()}})
    savemat(tmp_path/'array.mat', {'original_masks': person()})
    write_masks(tmp_path/'flat.mat', ido_walk=person()[..., 0])
    savemat(tmp_path/'cells.mat', {'original_masks': {'ido_walk': np.array([{'a': 1}, 'b'], object)}})
    savemat(tmp_path/'old.mat', {'original_masks': np.ones((3, 4))}, format='4')
    evil = write_masks(tmp_path/'evil.mat', xxx_owned=person()).read_bytes()
    (tmp_path/'evil.mat').write_bytes(evil.replace(b'xxx_owned', b'../owned\0'))
    (tmp_path/'hdf5.mat').write_bytes(b'MATLAB 7.3 MAT-file'.ljust(124) + b'\0\x02IM' + bytes(400)
                                      + b'\x89HDF\r\n\x1a\n')
    there = sorted(os.listdir(tmp_path))
    for name in there + ['absent.mat']:
        line = said(put, 'weizmann-masks', tmp_path/name, tmp_path/'store')
        assert name in line and 'classification_masks.mat' in line
    assert sorted(os.listdir(tmp_path)) == there

def test_masks_that_are_short_or_unknown(tmp_path):
    """A film shorter than a clip and one by a stranger are listed.

    Alone, they are refused with the name of the file that was given.
    """
    file = write_masks(tmp_path/'m.mat', lena_run1=person(28), bob_walk=person(),
                       eli_jack=np.zeros((9, 12, 40), np.uint8), ido_walk=person())
    store = put('weizmann-masks', file, tmp_path/'store')
    assert [(v['file'], v['length'], v['split']) for v in store.videos] == [('ido_walk', 33, 'train')]
    reasons = {q['file']: q['reason'] for q in store.index['quarantine']}
    assert ('28 are there, a window needs 31' in reasons['lena_run1'] and 'not like' in reasons['bob_walk']
            and 'nobody' in reasons['eli_jack'])
    for films in (dict(lena_run1=person(28)), dict(bob_walk=person())):
        line = said(put, 'weizmann-masks', write_masks(tmp_path/'n.mat', **films), tmp_path/'new')
        assert str(tmp_path/'n.mat') in line and '/.new' not in line and not (tmp_path/'new').exists()

@pytest.mark.parametrize('seed', range(12))
def test_masks_with_flipped_bytes(tmp_path, seed):
    "A damaged .mat file ends in silhouettes or in an InputError, whatever happens to its reader."
    file = write_masks(tmp_path/'m.mat', ido_walk=person(), eli_jack=person(40))
    rng = np.random.default_rng(seed)
    data = bytearray(file.read_bytes())
    for i in rng.integers(124, len(data) if seed % 2 else 400, 6):
        data[i] = rng.integers(256)
    file.write_bytes(data)
    try:
        films = [np.load(f, allow_pickle=False) for f in unpack_masks(file, tmp_path/'out', 30).iterdir()]
    except InputError as e:
        assert '\n' not in str(e) and 'm.mat' in str(e)
    else:
        assert all(f.dtype == bool and f.ndim == 3 for f in films)

@pytest.mark.parametrize('act,word',
                         [('while True: pass', 'seconds'),
                          ('import os; os.kill(os.getpid(), 11)', 'code -11'),
                                      ('np.ones(2**33, np.uint8)', 'MemoryError'),
                          ("sys.exit('a\\nb')", 'b: give')])
def test_reader_of_masks_that_hangs_or_dies(tmp_path, monkeypatch, act, word):
    "The reader is another process, so what happens to it is one line here."
    monkeypatch.setattr(strips, 'UNFOLD',
                        strips.UNFOLD.replace('warnings.simplefilter', act + '\nwarnings.simplefilter'))
    assert word in said(unpack_masks, write_masks(tmp_path/'m.mat', ido_walk=person()), tmp_path/'out', 3
                        if word == 'seconds' else 60)
    assert not [*(tmp_path/'out').iterdir()]

def test_silhouettes_are_whole(tmp_path):
    "All of the real ones: nothing cut off, one size, the person in the middle, and the box nearly filled."
    folder = unpack_masks(real_data('weizmann-masks/mask.mat'), tmp_path/'films')
    shares = []
    for path in sorted(folder.iterdir()):
        mask, frames = np.load(path), read_mask(path)[..., 0]
        assert ((frames > 0).sum() == mask.sum()
                and frames.shape == (len(mask), frames.shape[1], frames.shape[1]))
        shares.append((frames > 0).any(0).any(1).mean()) # of the height
        middle = (frames > 0).sum(1) @ np.arange(frames.shape[2])/(frames > 0).sum((1, 2))/frames.shape[2]
        assert np.abs(middle - .5).max() < .25, path.name
    assert len(shares) == 93 and min(shares) > .85

def test_order_of_people(tmp_path):
    "The strips are as long as the silhouettes of the same people, and in another order they are not."
    where = real_data('weizmann-strips')
    masks = unpack_masks(real_data('weizmann-masks/mask.mat'), tmp_path/'films')
    lengths = {path.name: len(np.load(path, mmap_mode='r')) for path in masks.iterdir()}
    found = {tuple(strips.strip_factors(p).values()): len(read_strip(p)) for p in where.rglob('*.jpg')}
    assert len(found) == 72 and sum(found.values()) == 5290
    assert all(n == lengths[f'{subject}_{action}'] for (subject, action, _), n in found.items())
    order = strips.PEOPLE
    for a in range(9):
        for b in range(a): # two people exchanged
            other = {**dict(zip(order, order)), order[a]: order[b], order[b]: order[a]}
            assert any(n != lengths[f'{other[subject]}_{action}']
                       for (subject, action, _), n in found.items())

def test_real_strips(tmp_path):
    """Counts of the whole set; mirror images are mirror images.

    Held out is one pair for each action, with its mirror image.
    """
    store = put('weizmann-strips', real_data('weizmann-strips'), tmp_path/'store')
    assert ((len(store.videos), len(store.array), len(store)) == (72, 5290, 3130)
            and not store.index['quarantine'])
    for a, b in zip(store.videos[::2], store.videos[1::2]):
        assert a['factors'] | {'mirrored': 'yes'} == b['factors'] and a['split'] == b['split']
    a, b = (read_strip(real_data(f'weizmann-strips/0/{n:08}.jpg')) for n in (2, 3))
    assert np.array_equal(a[:, :, ::-1], b) and a.shape == (61, 64, 64, 3)
    held = [(v['factors']['action'], v['factors']['subject']) for v in store.videos if v['split'] == 'test']
    assert (len(held) == 8 and sorted({*held}) == [('bend', 'daria'), ('jack', 'denis'), ('wave1', 'shahar'),
                                                   ('wave2', 'daria')])

# archives and downloads

def zipped(path, members):
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as z:
        for name, data in members.items():
            z.writestr(name, data)
    return path

@pytest.mark.parametrize('name',
                         ['../evil.avi', '/evil.avi', 'a/../../evil.avi', 'C:evil.avi', '..\\evil.avi',
                          '.evil.avi', 'a/evil.avi'])
def test_archives_stay_inside(tmp_path, name):
    "A member that names another place stops the whole archive."
    archive = zipped(tmp_path/'a.zip', {name: b'x'})
    with pytest.raises(InputError, match='do not trust'):
        unpack(archive, tmp_path/'out')
    assert os.listdir(tmp_path) == ['a.zip']

def test_archive_with_a_link(tmp_path):
    with zipfile.ZipFile(tmp_path/'a.zip', 'w') as z:
        link = zipfile.ZipInfo('link.avi')
        link.external_attr = 0o120777 << 16
        z.writestr(link, '/etc/passwd')
    with pytest.raises(InputError, match='link.avi'):
        unpack(tmp_path/'a.zip', tmp_path)
    assert os.listdir(tmp_path) == ['a.zip']

def test_archive_bomb_and_damage(tmp_path):
    archive = zipped(tmp_path/'a.zip', {'ok.avi': b'x', 'notes.txt': b'y', 'big.avi': bytes(10**7)})
    with pytest.raises(InputError, match='unfolds'):
        unpack(archive, tmp_path/'out', max_bytes=10**6)
    assert not (tmp_path/'out').exists()
    data = archive.read_bytes()
    for bad in (b'', b'<html>', data[:len(data)//2], data[:40] + bytes(50) + data[90:]):
        (tmp_path/'bad.zip').write_bytes(bad)
        with pytest.raises(InputError) as e:
            unpack(tmp_path/'bad.zip', tmp_path/'out')
        assert '\n' not in str(e.value)

def test_download(tmp_path, monkeypatch, good):
    "From a server of our own: what is there, what is not, and a page instead of an archive."
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args): pass
    for a in WEIZMANN['action']:
        zipped(tmp_path/f'{a}.zip', {f'ido_{a}.avi': good['.avi'].read_bytes()})
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0),
                                             functools.partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f'http://127.0.0.1:{server.server_port}/'
    monkeypatch.setattr(sources, 'DOWNLOADS',
                        {'weizmann': (url + '{}.zip', []), 'kth': (url + 'none/{}.zip', [])})
    try:
        assert len(download('weizmann', tmp_path/'w')) == 10 and len(os.listdir(tmp_path/'w')) == 10
        (tmp_path/'bend.zip').write_bytes(b'<html>')
        with pytest.raises(InputError, match='archive'):
            download('weizmann', tmp_path/'x')
        with pytest.raises(InputError, match='not arrive'):
            download('kth', tmp_path/'y')
        assert not os.path.exists(tmp_path/'x') or os.listdir(tmp_path/'x') == []
    finally:
        server.shutdown()
    for name in ('uva-nemo', 'folder', 'nonsense'):
        with pytest.raises(InputError):
            download(name, tmp_path)

# stand-ins

def test_standin_is_labelled_and_kept_up_to_date(tmp_path):
    "Drawings stay labelled under another name, and are drawn anew when the drawing code has changed."
    takes = weizmann_takes(['ira'], ['jump'])
    folder = write_standin('weizmann-s', tmp_path/'in', takes, progress=False)
    film, note = folder/takes[0].file, folder/NOTE
    assert prepare('weizmann', folder, tmp_path/'store', size=16, progress=False).record()['stand_in']
    film.write_bytes(b'kept')
    write_standin('weizmann-s', folder, takes, progress=False)
    assert film.read_bytes() == b'kept'
    note.write_text('other code')
    write_standin('weizmann-s', folder, takes, progress=False)
    assert len(film.read_bytes()) > 1000
    with pytest.raises(InputError):
        write_standin('weizmann', folder)

@pytest.mark.parametrize('name', STANDINS)
def test_standins_prepare(tmp_path, name):
    "Each stand-in goes all the way, and all of its names are understood."
    spec = SOURCES[STANDINS[name].source]
    for t in STANDINS[name].takes():
        found = spec.factors(PurePath(t.file))
        assert found and {f: t.factors[f] for f in found} == found
    s = prepare(name, store=tmp_path/'store', size=16, limit=1, progress=False)
    assert s.record()['stand_in'] and s.record()['dataset'] == name and len(s) > 0
    assert s.videos[0]['factors'].items() >= spec.factors(PurePath(s.videos[0]['file'])).items()

# writing

def test_replaced_whole_or_not_at_all(tmp_path):
    path = write_video(tmp_path/'v.mp4', movie(3))
    before = path.read_bytes()
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_bytes(b'half')
        raise RuntimeError
    with pytest.raises(InputError):
        write_video(path, movie(3).astype(float))
    with pytest.raises(InputError):
        write_video(tmp_path/'v.xyz', movie(3))
    assert os.listdir(tmp_path) == ['v.mp4'] and path.read_bytes() == before

def test_codec_failure_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(av.VideoFrame, 'from_ndarray', lambda *a, **k: 1/0)
    with pytest.raises(ZeroDivisionError):
        write_video(tmp_path/'v.mp4', movie(3))
    assert os.listdir(tmp_path) == []

@pytest.mark.parametrize('where', [(store_module, 'cut_out'), (datasets, 'count_table'), (datasets, 'fill')],
                         ids=lambda where: where[1])
def test_store_whole_or_not_at_all(store, tmp_path, monkeypatch, where):
    "An exception on the way leaves the old store as it was, and no scraps."
    before = store.sha256, sorted(os.listdir(tmp_path))
    monkeypatch.setattr(where[0], where[1], lambda *a, **k: 1/0)
    with pytest.raises(ZeroDivisionError):
        build(tmp_path/'in', tmp_path/'store', crop='whole')
    with pytest.raises(ZeroDivisionError):
        build(tmp_path/'in', tmp_path/'new')
    assert (ClipStore(tmp_path/'store').sha256, sorted(os.listdir(tmp_path))) == before

@pytest.mark.parametrize('swaps', [True, False])
def test_crash_while_a_store_is_replaced(store, tmp_path, monkeypatch, swaps):
    "New frames are never read with the old index, also where two folders can't be exchanged in one step."
    before, replace = store.sha256, os.replace
    def crash(a, b):
        if swaps or str(b) == str(tmp_path/'store') and not calls:
            calls.append(b)
            raise KeyboardInterrupt
        return replace(a, b)
    calls = []
    monkeypatch.setattr(files, 'exchange', crash if swaps else lambda a, b: False)
    if not swaps:
        monkeypatch.setattr(os, 'replace', crash)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path/'in', tmp_path/'store', crop='whole')
    assert calls and ClipStore(tmp_path/'store').sha256 == before
    monkeypatch.undo()
    assert len(build(tmp_path/'in', tmp_path/'store')) == len(store)

def test_pickles_are_not_run(store, tmp_path):
    class Payload:
        def __reduce__(self): return os.mkdir, (str(tmp_path/'owned'),)
    (store.folder/'frames.npy').write_bytes(pickle.dumps(Payload()))
    with pytest.raises(InputError):
        ClipStore(store.folder)
    assert not (tmp_path/'owned').exists()

def test_other_folders_are_left_alone(store, tmp_path):
    with pytest.raises(InputError, match='no clip store'):
        build(tmp_path/'in', tmp_path/'in')
    assert len(os.listdir(tmp_path/'in')) == 6

def test_deterministic(store, tmp_path):
    assert build(tmp_path/'in', tmp_path/'again').sha256 == store.sha256
    assert prepare('folder', tmp_path/'in', tmp_path/'two', size=16, workers=2,
                   progress=False).sha256 == store.sha256

def test_limit(store, tmp_path):
    one, two = (build(tmp_path/'in', tmp_path/'few', limit=3, seed=0) for _ in range(2))
    assert len(one.videos) == 3 and one.sha256 == two.sha256
    with pytest.raises(InputError):
        build(tmp_path/'in', tmp_path/'few', limit=0)

# reading a store

def damage(name, change):
    "Rewrite a file of a store."
    def act(folder):
        path = folder/name
        path.write_bytes(change(path.read_bytes()))
    return act

def edit(**entries): return damage('index.json', lambda b: json.dumps(json.loads(b) | entries).encode())

@pytest.mark.parametrize('act', [
    lambda f: (f/'index.json').unlink(), lambda f: (f/'frames.npy').unlink(),
    damage('index.json', lambda b: b[:len(b)//2]),
    damage('index.json', lambda b: b'[]'), damage('index.json', lambda b: b'\xff\xfe'), edit(size=17),
    edit(videos=[{}]), edit(videos=3),
    edit(videos=[dict(first=-1, length=40, split='train', factors={}, file='a', fps=1)]),
    edit(videos=[dict(first=0, length=10**9, split='train', factors={}, file='a', fps=1)]),
    damage('frames.npy', lambda b: b''),
    damage('frames.npy', lambda b: b[:-100]), damage('frames.npy', lambda b: b'\x80\x04K\x01.' + bytes(999)),
    damage('frames.npy', lambda b: b.replace(b'|u1', b'|i1'))])
def test_damaged_store(store, act):
    act(store.folder)
    with pytest.raises(InputError) as e:
        ClipStore(store.folder, None)
    assert '\n' not in str(e.value) and 'prepare' in str(e.value)

def test_changed_frames_are_found(store):
    store.verify()
    damage('frames.npy', lambda b: b[:-1] + bytes([b[-1] ^ 1]))(store.folder)
    with pytest.raises(InputError, match='prepare'):
        ClipStore(store.folder).verify()

def test_unknown_split_and_long_windows(store):
    for wrong in (dict(split='val'), dict(frames=999), dict(stride=50)):
        with pytest.raises(InputError):
            ClipStore(store.folder, **wrong)

def test_windows(store):
    "Every window is the slice of its own video that it should be."
    s, i = ClipStore(store.folder, None, frames=5, stride=3), 0
    for v in s.videos:
        for start in range(v['length'] - 12):
            assert ((s[i] == s.array[v['first'] + start:v['first'] + start + 13:3]).all()
                    and s.factors(i) is v['factors'])
            i += 1
    assert i == len(s)
    assert (s.pick(subject='3') == [j for j in range(i) if s.factors(j)['subject'] == '3']
            and s.pick(subject='none') == [])
    with pytest.raises(InputError, match='subject'):
        s.pick(sujet='3')
    for beyond in (i, -1):
        with pytest.raises(IndexError):
            s[beyond]
    assert torch.equal(s.clips([3, 7])[1], s.clips([7])[0])

BARE = """from encgan3.datasets import prepare
prepare('folder', 'in', 'store', size=8, workers=2, progress=False)
print('once')
"""

def test_script_without_a_guard(tmp_path):
    "Processes don't run the script that started them."
    for i in range(3):
        write_video(tmp_path/'in'/f'{i}.mkv', movie(34, seed=i))
    (tmp_path/'script.py').write_text(BARE)
    done = subprocess.run([sys.executable, 'script.py'], cwd=tmp_path, capture_output=True, text=True,
                          env=os.environ | {'PYTHONPATH': str(root)})
    assert done.stdout == 'once\n' and not done.returncode, done.stderr
    assert len(ClipStore(tmp_path/'store', None).videos) == 3

def test_process_that_dies():
    "One line, or something in its place, and all others have their results."
    jobs = [signal.SIGURG, signal.SIGKILL, signal.SIGURG, signal.SIGURG] # urgent is nothing to a process
    found = each(signal.raise_signal, jobs, 2, False, lost=lambda job: f'{job:d} is lost')
    assert [*found] == [None, '9 is lost', None, None]
    with pytest.raises(InputError, match='9: ends the process'):
        [*each(signal.raise_signal, [int(job) for job in jobs], 2, False)]

def test_workers_agree():
    assert list(each(abs, [-3, 1, -2], workers=2, progress=False)) == [3, 1,
            2] == list(each(abs, [-3, 1, -2], workers=0, progress=False))
