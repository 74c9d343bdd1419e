"""Crops of movers: of genuine films where somebody has them, of long films, and of films in which nobody is
left.
"""
import json
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from encgan3.data.crop import FIXED, crop_box, cut_out, follow, outline, passes
from encgan3.data.sources import SEQUENCES
from encgan3.data.store import ClipStore
from encgan3.data.video import decode_video, write_video
from encgan3.datasets import prepare
from encgan3.evaluation.measure import fits
from encgan3.standins.figures import kth_takes, weizmann_takes
from encgan3.standins.films import write_standin
from real import real_data

pytest.importorskip('av')

def share(frames):
    "Of the height of square frames, what the mover covers."
    left, top, right, bottom = outline(frames, follow(frames))
    return (bottom - top)/frames.shape[1]

# genuine films

@pytest.mark.parametrize('name', ['eli_jack', 'ido_walk'])
def test_weizmann_whole_and_large(name):
    "The official silhouettes lie in the square, of one size, and fill it."
    films, masks = real_data('weizmann-avi'), real_data('weizmann-masks')
    io = pytest.importorskip('scipy.io', reason='scipy reads the silhouettes')
    frames = decode_video(films/f'{name}.avi').frames
    body = getattr(io.loadmat(masks/'mask.mat', squeeze_me=True, struct_as_record=False)['original_masks'],
                   name).transpose(2, 0, 1) > 0
    boxes = crop_box(frames, 'mover')
    left, top, right, bottom = boxes.T
    assert (np.ptp(right - left) < 1e-6 and np.ptp(top) == 0
            and right[0] - left[0] == pytest.approx(bottom[0] - top[0]))
    t, y, x = body.nonzero()
    assert ((left[t] <= x + 1) & (x <= right[t]) & (top[t] <= y + 1) & (y <= bottom[t])).all()
    tall = np.ptp(np.flatnonzero(body.any((0, 2)))) + 1
    assert .8 < tall/(bottom[0] - top[0]) < .95

def test_weizmann_as_in_the_strips():
    "Eli's jumping jacks are as large as in the strip that MoCoGAN made of the same film."
    films, strips = real_data('weizmann-avi'), real_data('weizmann-strips')
    frames = decode_video(films/'eli_jack.avi').frames
    strip = np.asarray(Image.open(strips/'3'/'00000052.jpg').convert('RGB'))
    strip = strip.reshape(64, -1, 64, 3).swapaxes(0, 1)
    assert len(strip) == len(frames)
    ours, before = (share(cut_out(frames, crop_box(frames, how), 64)) for how in ('mover', FIXED))
    assert abs(ours - share(strip)) < .1 and before < .75*ours

@pytest.mark.parametrize('film,first,last',
                         [('d1', 0, 100), ('d1', 100, 250), ('d1', 0, 378), ('d2', 0, 100), ('d2', 100, 250),
                          ('d2', 0, 550)])
def test_kth_whole_also_when_the_camera_zooms(film, first, last):
    "Dark clothes on a light lawn: all that is dark lies in the square, which has one size."
    frames = decode_video(real_data('kth-avi')/f'person01_handclapping_{film}.avi').frames[first:last]
    left, top, right, bottom = crop_box(frames, 'mover').T
    t, y, x = (frames[..., 1] < 50).nonzero()
    assert np.ptp(right - left) < 1e-6 and np.ptp(top) == 0
    assert ((left[t] <= x) & (x < right[t]) & (top[t] <= y) & (y < bottom[t])).mean() > .999
    assert np.ptp(y) > .6*(bottom[0] - top[0])

def test_genuine_prepare(tmp_path):
    for name in ('weizmann', 'kth'):
        store = prepare(name, real_data(f'{name}-avi'), tmp_path/name, size=32, workers=0, progress=False)
        assert (len(store.videos) == 2 and store.index['crop'] == 'mover:zoom'
                and store.index['motionless'] == 0)
        assert not store.record()['stand_in']
        assert [q['file'] for q in store.index['quarantine']] == ([SEQUENCES] if name == 'kth' else [])

def test_genuine_lawn_is_empty(tmp_path):
    """Genuine noise is no motion: a lawn without the person, sewn together from both sides of the film, has
    no window.
    """
    frames = decode_video(real_data('kth-avi')/'person01_handclapping_d1.avi').frames
    lawn = frames[100:250].copy()
    lawn[:, :, 44:89], lawn[:, :, 89:134] = lawn[:, :, 44::-1], lawn[:, :, :45]
    lawn[:, :, 134:] = lawn[:, :, 25::-1]
    ranges, out = passes(np.concatenate([frames[:100], lawn]), 31)
    assert len(ranges) == 1 and ranges[0][0] == 1 and 100 <= ranges[0][1] <= 105 and out >= 145

# nobody there

def away(there=60, gone=80, size=(64, 96)):
    "Somebody crosses, in 60 frames, and stays away."
    out = (np.full((there + gone, *size, 3), 90, np.uint8)
           + np.random.default_rng(0).integers(0, 9, (*size, 1), np.uint8))
    for t, x in enumerate(np.linspace(0, size[1], there).astype(int)):
        out[t, 16:52, x:x+10] = 200
    return out

@pytest.mark.parametrize('listed', [False, True])
def test_person_leaves(tmp_path, listed):
    "Windows of the empty scene are left out and counted; a list of ranges has the last word."
    write_video(tmp_path/'in'/'person01_jogging_d1_uncomp.mkv', away())
    write_video(tmp_path/'in'/'person01_jogging_d2_uncomp.mkv', away(140, 0))
    if listed:
        (tmp_path/'in'/SEQUENCES).write_text('person01_jogging_d1\t\tframes\t1-140\n')
    store = prepare('kth', tmp_path/'in', tmp_path/'store', size=16, workers=0, progress=False)
    first, second = store.videos
    assert second['range'] == [1, 140] and len(store) + store.index['motionless'] == 2*110
    if listed:
        assert first['range'] == [1, 140] and not store.index['motionless'] and not store.index['quarantine']
    else:
        assert (first['range'][0] == 1 and 60 <= first['range'][1] <= 63
                and 77 <= store.index['motionless'] <= 80)
        assert [(q['file'][:19], q['kept']) for q in store.index['quarantine']] == [
            (SEQUENCES, True), ('person01_jogging_d1', True)]
        assert f'{store.index["motionless"]} windows' in store.index['quarantine'][1]['reason']

def test_nobody_ever_comes(tmp_path):
    write_video(tmp_path/'in'/'person01_jogging_d1_uncomp.mkv', away()[70:])
    write_video(tmp_path/'in'/'person02_jogging_d1_uncomp.mkv', away())
    store = prepare('kth', tmp_path/'in', tmp_path/'store', size=16, workers=0, progress=False)
    assert [v['factors']['subject'] for v in store.videos] == ['person02'] and store.index['motionless'] > 100
    assert [(q['file'][:8], q['kept']) for q in store.index['quarantine']] == [
        (SEQUENCES[:8], True), ('person01', False), ('person02', True)]

def test_passes_against_the_list(tmp_path):
    "Walks of the stand-in, whose list is known: each listed pass lies in a range that was found."
    takes = [t for t in kth_takes() if '_walking_' in t.file][::23]
    folder = write_standin('kth-s', tmp_path/'in', takes, workers=0, progress=False)
    listed = prepare('kth', folder, tmp_path/'listed', size=16, workers=0, progress=False)
    (folder/SEQUENCES).unlink()
    found = prepare('kth', folder, tmp_path/'found', size=16, workers=0, progress=False)
    spans = lambda store: {f: [v['range'] for v in store.videos if v['file'] == f]
                           for f in {v['file'] for v in store.videos}}
    for file, ranges in spans(listed).items():
        assert all(any(a <= first and last <= b for a, b in spans(found)[file]) for first, last in ranges), (
            file)
    assert len(found.videos) >= 2*len(takes) - 1 and found.index['motionless'] > 20*(len(takes) - 1)

# long films

@pytest.mark.parametrize('call', [follow, lambda f: crop_box(f, 'mover'), lambda f: passes(f, 31)])
def test_memory_of_a_long_film(call):
    "No square of the length: 6,000 frames of 4.6 kB, 28 MB in all, need less than twice as much again."
    t = np.arange(6000)
    film = np.full((6000, 32, 48, 3), 60, np.uint8)
    for k in range(8):
        film[t, 4:28, (t//200 + k) % 48] = 200
    tracemalloc.start()
    call(film)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6, f'{peak/1e6:.0f} MB'

# stand-ins, and what was trained on them

def test_standins_keep_their_squares(tmp_path):
    "Under their own name and the original's they are cut as before; who asks for the zoom gets it."
    takes = weizmann_takes(['ira'], ['wave2', 'walk'])
    folder = write_standin('weizmann-s', tmp_path/'in', takes, workers=0, progress=False)
    usual, fixed, zoomed = (prepare('weizmann', folder, tmp_path/f'{how}', size=16, crop=how, workers=0,
                                    progress=False) for how in (None, FIXED, 'mover'))
    assert usual.sha256 == fixed.sha256 != zoomed.sha256
    assert [s.record()['crop'] for s in (usual, fixed, zoomed)] == [FIXED, FIXED, 'mover:zoom']
    film = decode_video(folder/usual.videos[0]['file']).frames
    assert (cut_out(film, crop_box(film, FIXED), 16) == usual.array[:len(film)]).all()

def test_old_classifiers_still_fit(tmp_path):
    """A plain mover in an old record, of a classifier or of a store, is a square of 0.92.

    A zoomed store is another thing.
    """
    folder = write_standin('weizmann-s', tmp_path/'in', weizmann_takes(['ira'], ['wave2', 'walk']), workers=0,
                           progress=False)
    now, zoomed = (prepare('weizmann', folder, tmp_path/str(how), size=16, crop=how, workers=0,
                           progress=False) for how in (None, 'mover'))
    classifier = tmp_path/'classifier'
    classifier.mkdir()
    (classifier/'config.json').write_text(json.dumps(dict(classes=[v['factors'] for v in now.videos])))
    record = lambda crop: (classifier/'record.json').write_text(json.dumps(dict(data=now.record()
            | dict(crop=crop))))
    record('mover')
    assert fits(classifier, now) and not fits(classifier, zoomed)
    old = json.loads((now.folder/'index.json').read_text()) | dict(crop='mover')
    (now.folder/'index.json').write_text(json.dumps(old))
    assert fits(classifier, ClipStore(now.folder, None))
    record('mover:zoom')
    assert fits(classifier, zoomed) and not fits(classifier, now)
