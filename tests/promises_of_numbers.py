"R11, R12: the same seed gives the same bits, and scores are what their formulas say, for any data."
import warnings
from pathlib import Path

import numpy as np
import torch
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from promises import promise

from encgan3.attention import SPACE, TIME, from_tokens, to_tokens
from encgan3.campaign.runs import FORMAT, METHODS, by_new_names
from encgan3.clips import differences, integrate, span, to_clip, to_frames
from encgan3.data.store import Catalogue, Windows, companions
from encgan3.datasets import prepare
from encgan3.editing.items import read_codes, write_codes
from encgan3.engine.checkpoints import checkpoints
from encgan3.evaluation.networks import RandomNetwork
from encgan3.metrics import frechet_distance, inception_score, kernel_distance, precision_recall
from encgan3.model import EncGAN3
from encgan3.standins.figures import weizmann_takes
from encgan3.standins.films import write_standin
from encgan3.training import train

# R11

SMALL = dict(ch=4, encoder_ch=4, discriminator_ch=4)
MODELS = {f'EncGAN3, {recipe}': lambda k, recipe=recipe: EncGAN3.from_preset('micro', k, recipe, **SMALL)
          for recipe in ('printed', 'companion')}
MODELS |= {name: lambda k, cls=cls: cls.from_preset('micro', k, ch=4) for name, cls in METHODS.items()}

class Noise:
    "Clips of noise, as a store gives them."
    sha256, size = 'none', 32
    def draw(self, n, generator): return torch.randint(10**6, (n,), generator=generator)
    def clips(self, indices):
        return torch.stack([torch.rand(3, 16, 32, 32, generator=torch.Generator().manual_seed(i))
                            for i in indices.tolist()])*2 - 1

def trained(name: str, run: Path, k: int, disturbed: int) -> dict:
    "All that is saved after three steps, whatever was drawn before."
    torch.manual_seed(disturbed)
    model = MODELS[name](k)
    torch.manual_seed(disturbed + 1)
    train(model, Noise(), run, 3, batch=2, seed=k, log_every=1, flip=True, shift=1, quiet=True)
    codes = {'sample': model.sample(2, generator=torch.Generator().manual_seed(k))}
    log = {'log': torch.frombuffer(bytearray((run/'log.jsonl').read_bytes()), dtype=torch.uint8)}
    return load_file(checkpoints(run)[-1]/'state.safetensors') | codes | log

@promise('R11', 'the same seed twice is the same bits, another seed is not; workers change no store', 3, 22)
def same_seed(n, folder, dice):
    for k in range(n - 1):
        name = [*MODELS][(k + dice.randrange(7)*(k == 0))%len(MODELS)]
        def attempt(name=name, k=k):
            a, b = (trained(name, folder/f'{k} {i}', k, 10*i) for i in range(2))
            differ = [key for key in a if not torch.equal(a[key], b[key])]
            assert a.keys() == b.keys() and not differ, f'{len(differ)} differ, such as {differ[:1]}'
            other = trained(name, folder/f'{k} other', k + 1, 0)
            assert not torch.equal(a['sample'], other['sample'])
        yield f'{name}, seed {k}', attempt

    def stores():
        takes = weizmann_takes(['ido', 'lena'], ['walk', 'bend'])
        films = write_standin('weizmann-s', folder/'films', takes, workers=0, progress=False)
        for workers in (0, 0, 2) if n > 10 else (0, 0): # two more interpreters take seconds to start
            prepare('weizmann', films, folder/f'store {workers}', size=32, workers=workers, progress=False)
            kept = {p.name: p.read_bytes() for p in sorted((folder/f'store {workers}').iterdir())}
            first = kept if workers == 0 else first # noqa: F821
            assert kept == first
    yield 'stores', stores

# R12

def features(dice_seed: int, n: int, d: int) -> torch.Tensor:
    g = torch.Generator().manual_seed(dice_seed)
    scale = torch.rand(d, generator=g).double()*10 + .1
    return (torch.randn(n, d, generator=g).double()*scale + torch.randn(d, generator=g).double()*scale)

def white(dice_seed: int, n: int, d: int) -> torch.Tensor:
    "Rows whose mean is 0 and whose covariance is the identity, exactly."
    x = features(dice_seed, n, d)
    q = torch.linalg.qr(x - x.mean(0)).Q
    return q*(n - 1)**.5

def close(a, b, rel=1e-6, least=1e-9):
    assert abs(a - b) <= max(rel*abs(b), least), (a, b)

PROPERTIES = [] # (what must hold, hypothesis' strategies for its arguments)

def whatever(*arguments):
    "Register what must hold, whatever its arguments are."
    def register(check):
        PROPERTIES.append((check, arguments))
        return check
    return register

SEED = st.integers(0, 2**31)
SIZES = st.tuples(st.integers(12, 60), st.integers(1, 10))
LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=8)

@whatever(LENGTHS, st.integers(1, 20), st.integers(1, 4), SEED)
def windows(lengths, frames, stride, k):
    "Every window is that of one video, each once, in order; and so is each that is drawn."
    firsts = [sum(lengths[:i]) for i in range(len(lengths))]
    w = Windows([dict(first=f, length=n, factors={}) for f, n in zip(firsts, lengths)], frames, stride)
    expected = [[f + start + stride*t for t in range(frames)] for f, n in zip(firsts, lengths)
                for start in range(n - span(frames, stride) + 1)]
    assert len(w) == len(expected) and w.rows(range(len(w))).tolist() == expected
    if expected:
        drawn = w.draw(5, torch.Generator().manual_seed(k))
        assert 0 <= drawn.min() and drawn.max() < len(w)
    for beyond in (-1, len(w)):
        try:
            w.rows([beyond])
        except IndexError:
            continue
        raise AssertionError(f'window {beyond} of {len(w)}')

@whatever(LENGTHS, SEED)
def factors(lengths, k):
    "What is picked has the factors that were asked for, and a companion has those of its window."
    lengths = [n + 8 for n in lengths]
    videos = [dict(file=f'{i}', first=sum(lengths[:i]), length=n, fps=25., split='train',
                   factors={'subject': 'abc'[i % 3], 'action': 'xy'[i % 2]}) for i, n in enumerate(lengths)]
    store = Catalogue('store', videos, 'train', 5, 2)
    found = [store.pick(subject=s) for s in 'abc']
    assert sorted(sum(found, [])) == [*range(len(store))]
    others = companions(store, range(len(store)), ['subject'], torch.Generator().manual_seed(k))
    assert all(store.factors(i)['subject'] == store.factors(j)['subject'] for i, j in enumerate(others))

@whatever(SEED, st.tuples(*[st.integers(1, 5)]*4))
def clips(k, shape):
    "To clips and back, to differences and back, whatever the frames are."
    g = torch.Generator().manual_seed(k)
    b, t, h, w = shape
    frames = torch.randint(256, (b, t + 1, h, w, 3), generator=g, dtype=torch.uint8)
    clip = to_clip(frames)
    assert np.array_equal(to_frames(clip), frames.numpy()) and clip.abs().max() <= 1
    x = torch.rand(b, 3, t + 1, h, w, generator=g).double()*2 - 1
    assert (integrate(x[:, :, 0], differences(x)) - x).abs().max() < 1e-12

@whatever(SEED, st.tuples(*[st.integers(1, 5)]*5))
def tokens(k, shape):
    "Tokens and back; each token is one position, with its channels."
    x = torch.rand(*shape, generator=torch.Generator().manual_seed(k))
    laid = {TIME: x.permute(0, 3, 4, 2, 1), SPACE: x.permute(0, 2, 3, 4, 1).flatten(2, 3)}
    for axes, expected in laid.items():
        assert torch.equal(to_tokens(x, axes), expected)
        assert torch.equal(from_tokens(expected, x.shape, axes), x)

@whatever(SEED, SIZES)
def distance_to_itself(k, size):
    x = features(k, *size)
    assert frechet_distance(x, x) <= 1e-6*float(x.var(0).sum())

@whatever(SEED, SIZES)
def gaussians(k, size):
    "The closed form of diagonal covariances."
    n, d = size
    g = torch.Generator().manual_seed(k)
    ma, mb = torch.randn(2, d, generator=g).double()
    sa, sb = torch.rand(2, d, generator=g).double()*5 + .1
    found = frechet_distance(white(k, n, d)*sa + ma, white(k + 1, n + 7, d)*sb + mb)
    close(found, float((ma - mb).square().sum() + (sa - sb).square().sum()))

@whatever(SEED, SIZES)
def laws_of_distances(k, size):
    "Symmetric, the same in any order, and squared by scale."
    a, b = features(k, *size), features(k + 1, size[0] + 3, size[1])
    order = torch.randperm(len(a), generator=torch.Generator().manual_seed(k))
    for distance in (frechet_distance, kernel_distance):
        found = distance(a, b)
        close(distance(b, a), found, 1e-9, 1e-9*float(a.square().mean() + b.square().mean()))
        close(distance(a[order], b), found, 1e-9, 1e-9*float(a.square().mean() + b.square().mean()))
    close(frechet_distance(3*a, 3*b), 9*frechet_distance(a, b), 1e-6, 1e-9)
    p, r = precision_recall(a, b)
    assert precision_recall(a[order], b) == (p, r) and precision_recall(b, a) == (r, p)
    assert 0 <= p <= 1 and 0 <= r <= 1 and precision_recall(a, a) == (1, 1)

@whatever(SEED, st.integers(3, 12), st.integers(1, 5))
def kernel_by_hand(k, n, d):
    "Pair by pair."
    a, b = features(k, n, d), features(k + 1, n + 2, d)
    kernel = lambda x, y: (float(x @ y)/d + 1)**3
    pairs = lambda x: [kernel(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j]
    cross = [kernel(x, y) for x in a for y in b]
    close(kernel_distance(a, b), np.mean(pairs(a)) + np.mean(pairs(b)) - 2*np.mean(cross), 1e-6,
          1e-9*np.mean(pairs(b)))

@whatever(SEED, st.integers(1, 50), st.integers(1, 20))
def inception_scores(k, n, classes):
    "Between 1 and K: 1 for equal answers, K for all classes alike and each certain."
    p = torch.rand(n, classes, generator=torch.Generator().manual_seed(k)).double() + 1e-3
    p = p/p.sum(1, keepdim=True)
    score = inception_score(p)
    assert 1 - 1e-9 <= score.IS <= classes + 1e-9 and score.Hyx <= score.Hy + 1e-9
    close(inception_score(p.flip(0)).IS, score.IS, 1e-9)
    close(inception_score(p[:1].expand(n, -1)).IS, 1, 1e-9)
    close(inception_score(torch.eye(classes).repeat(3, 1)).IS, classes, 1e-9)

@whatever(SEED, st.integers(30, 60), st.integers(2, 8))
def other_libraries(k, n, d):
    "torch-fidelity gives the same numbers."
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_isc import isc_features_to_metric
    a, b = features(k, n, d), features(k + 1, n, d)
    theirs = fid_statistics_to_metric(*map(fid_features_to_statistics, (a, b)), False)
    close(frechet_distance(a, b), theirs['frechet_inception_distance'], 1e-5, 1e-8)
    p = torch.softmax(a/a.std(), 1)
    theirs = isc_features_to_metric(torch.log(p), splits=1, shuffle=False)
    close(inception_score(p).IS, theirs['inception_score_mean'], 1e-6)

@whatever(SEED, st.integers(2, 40))
def any_batch(k, n):
    "A clip's features don't depend on who is beside it."
    net = RandomNetwork(d=5, frame=16)
    x = torch.rand(n, 3, 16, 16, 16, generator=torch.Generator().manual_seed(k))*2 - 1
    whole, parts = net(x)[0], torch.cat([net(part)[0] for part in x.split(7)])
    assert (whole - parts).abs().max() <= 1e-5*whole.abs().max()

MODEL = EncGAN3.from_preset('micro', content=6, motion=3, **SMALL)

@whatever(SEED, st.integers(1, 29))
def codes_in_a_file(k, steps):
    g = torch.Generator().manual_seed(k)
    codes = torch.randn(1, 6, generator=g), torch.randn(1, 3, steps, generator=g)*30
    codes = tuple(z.clamp(-100, 100) for z in codes)
    assert all(map(torch.equal, read_codes(write_codes(codes), MODEL), codes))

WORDS = st.text('abcdefgh_-', min_size=1, max_size=9)

@whatever(WORDS, WORDS, WORDS, st.dictionaries(WORDS, st.integers()))
def records(run, name, network, config):
    "A record by the names of today stays what it is."
    record = {'format': FORMAT, 'run': run, 'protocol': {'name': name, 'network': network}, 'config': config}
    assert by_new_names(by_new_names(record)) == by_new_names(record)

@promise('R12', 'scores are what their formulas say, windows and codes come back, for any data', 13, 260)
def any_data(n, folder, dice):
    for k in range(n):
        (check, arguments), number = PROPERTIES[k % len(PROPERTIES)], dice.randrange(2**32)
        def attempt(check=check, arguments=arguments, number=number):
            how = settings(max_examples=20, deadline=None, database=None, derandomize=False,
                           suppress_health_check=list(HealthCheck))
            with warnings.catch_warnings(action='ignore'):
                seed(number)(how(given(*arguments)(check)))()
        yield f'{check.__name__}, seed {number}', attempt
