"""The metrics agree with torchmetrics and torch-fidelity, refuse bad input in one line, and depend on nothing
but the set.
"""
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric
from torchmetrics.functional.image import structural_similarity_index_measure
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import poly_mmd

from encgan3.errors import InputError
from encgan3.metrics import (bootstrap, frechet_distance, inception_score, kernel_distance,
                             motion_correlation, precision_recall, probe, ssim, swap_scores)

pytestmark = pytest.mark.filterwarnings('ignore:N = ')
SIZES = [(40, 30, 12), (200, 150, 12), (16, 24, 40), (2, 3, 7)] # N, M, d: even few rows of many features

def draw(n, d, seed):
    "Features of uneven scale, correlated, away from 0."
    g = torch.Generator().manual_seed(seed)
    return (torch.randn(n, d, generator=g).double() @ torch.randn(d, d, generator=g).double()
            + torch.randn(d, generator=g).double())

def pair(n, m, d): return draw(n, d, 1), draw(m, d, 2)
def close(a, b, rel=1e-3, abs=0.): assert a == pytest.approx(b, rel=rel, abs=abs)

# other libraries

class Features(nn.Module):
    "Pictures that are features already."
    num_features = 12
    def forward(self, x): return x.flatten(1)[:, :12]

@pytest.mark.parametrize('size', SIZES)
def test_fid_of_torch_fidelity(size):
    a, b = pair(*size)
    theirs = fid_statistics_to_metric(fid_features_to_statistics(a), fid_features_to_statistics(b), False)
    close(frechet_distance(a, b), theirs['frechet_inception_distance'], 1e-6)

@pytest.mark.parametrize('size', SIZES[:2])
def test_fid_of_torchmetrics(size):
    a, b = pair(*size)
    metric = FrechetInceptionDistance(Features(), normalize=True,
                                      input_img_size=(3, 2, 2)).set_dtype(torch.float64)
    for x, real in ((a, True), (b, False)):
        for rows in x.unflatten(1, (3, 2, 2)).split(7):
            metric.update(rows, real=real)
    close(frechet_distance(a, b), metric.compute().item())

@pytest.mark.parametrize('size', SIZES)
def test_kid(size):
    n, _, d = size
    a, b = pair(n, n, d)
    close(kernel_distance(a, b), poly_mmd(a, b).item(), 1e-9)
    theirs = kid_features_to_metric(a, b, kid_subsets=1, kid_subset_size=n, verbose=False)
    close(kernel_distance(a, b), theirs['kernel_inception_distance_mean'], 1e-9)

@pytest.mark.parametrize('scale', [.1, 1, 30])
def test_inception_score(scale):
    logits = scale*draw(50, 8, 3)
    theirs = isc_features_to_metric(logits, splits=1)
    close(inception_score(logits.softmax(1)).IS, theirs['inception_score_mean'], 1e-6)

@pytest.mark.parametrize('k', [1, 3, 5])
@pytest.mark.parametrize('size', SIZES[:3])
def test_precision_recall(size, k):
    "Not swapped: torch-fidelity takes the generated set first."
    real, generated = pair(*size)
    generated = generated*.6
    theirs = prc_features_to_metric(generated, real, prc_neighborhood=k, verbose=False)
    close(precision_recall(real, generated, k), (theirs['precision'], theirs['recall']), 1e-6)

@pytest.mark.parametrize('height, width', [(6, 11), (16, 19), (32, 32)])
def test_ssim(height, width):
    g = torch.Generator().manual_seed(4)
    clip = torch.rand(2, 3, 4, height, width, generator=g)*2 - 1
    rebuilt = (clip + .5*torch.randn(clip.shape, generator=g)).clamp(-1, 1)
    for i, ours in enumerate(ssim(clip, rebuilt)):
        x, y = (v[i].transpose(0, 1).double() for v in (clip, rebuilt)) # frames as a batch of pictures
        close(ours.item(), structural_similarity_index_measure(x, y, data_range=2.).item(), 1e-6)

def test_disagreement_on_singular_covariances():
    "A set and its copy: exactly where roots of eigenvalues lose digits, no digit is lost."
    a = draw(16, 400, 5)*100
    trace = a.var(0).sum().item()
    stats = fid_features_to_statistics(a)
    theirs = abs(fid_statistics_to_metric(stats, stats, False)['frechet_inception_distance'])/trace
    assert frechet_distance(a, a)/trace < 1e-13 and frechet_distance(a, a.flip(0))/trace < 1e-13 < theirs

# the set alone matters

SCORES = dict(fid=frechet_distance, kid=kernel_distance, prc=precision_recall)

@pytest.mark.parametrize('name', SCORES)
@pytest.mark.parametrize('size', SIZES[:3])
def test_order_batches_and_kind(name, size):
    """Neither the order of rows, nor the batches they came in, nor the kind of array matter.

    Inputs stay as they are.
    """
    score, (a, b) = SCORES[name], pair(*size)
    first, kept = score(a, b), (a.clone(), b.clone())
    shuffled = [x[torch.randperm(len(x), generator=torch.Generator().manual_seed(6))] for x in (a, b)]
    batches = [torch.cat(x.split(7)[::-1]) for x in (a, b)]
    frozen = [x.numpy().copy() for x in (a, b)]
    for x in frozen:
        x.flags.writeable = False
    with warnings.catch_warnings():
        warnings.filterwarnings('error', message='.*not writable')
        for others in (shuffled, batches, frozen, [x.requires_grad_(False) for x in (a, b)]):
            close(score(*others), first, 1e-9)
    assert torch.equal(a, kept[0]) and torch.equal(b, kept[1])
    close(score(a.float(), b.float()), score(a.float().numpy(), b.float().numpy()), 0)

def test_order_of_probabilities():
    p = draw(40, 6, 7).softmax(1)
    close(tuple(inception_score(p.flip(0))), tuple(inception_score(p)), 1e-9)
    close(inception_score(p[:, torch.randperm(6, generator=torch.Generator().manual_seed(8))]).IS,
          inception_score(p).IS, 1e-9)

def test_batches_of_clips():
    g = torch.Generator().manual_seed(9)
    clip, rebuilt = (torch.rand(5, 3, 4, 12, 13, generator=g)*2 - 1 for _ in range(2))
    for score in (ssim, motion_correlation):
        alone = torch.cat([score(x, y) for x, y in zip(clip.split(2), rebuilt.split(2))])
        torch.testing.assert_close(alone, score(clip, rebuilt), rtol=1e-9, atol=1e-12)

# bad input

good = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
def holed(value):
    x = good.clone()
    x[4, 1] = value
    return x
TABLES = dict(nan=holed(torch.nan), infinite=holed(-torch.inf), one_row=good[:1], none=good[:0],
              no_width=good[:, :0], flat=good[0], cube=good[None],
              other_width=good[:, :2], words=np.array([['a']]), ragged=[[1], [1, 2]], nothing=None)

def refused(f, *args, **kw):
    with pytest.raises(InputError) as e:
        f(*args, **kw)
    assert '\n' not in str(e.value) and ': ' in str(e.value)

@pytest.mark.parametrize('bad', TABLES)
@pytest.mark.parametrize('name', SCORES)
def test_bad_tables(name, bad):
    refused(SCORES[name], TABLES[bad], good)
    refused(SCORES[name], good, TABLES[bad])

@pytest.mark.parametrize('bad',
                         [good, -torch.eye(3), torch.eye(3)*1.001, torch.full((2, 3), torch.nan),
                          torch.ones(3)/3, torch.zeros(0, 3)])
def test_bad_probabilities(bad): refused(inception_score, bad)

def test_near_probabilities():
    "Rounding of float32 or float16 is forgiven, and can't lift the score above K."
    for p in (torch.eye(3)*1.00005, torch.eye(3).half(), good.softmax(1)):
        assert 1 <= inception_score(p).IS <= 3*(1 + 1e-12)

@pytest.mark.parametrize('score', [ssim, motion_correlation], ids=['ssim', 'motion_correlation'])
def test_bad_clips(score):
    clip = torch.zeros(2, 3, 4, 12, 12)
    for bad in (clip[0], clip[:1], clip[:0], clip + 2, clip*torch.nan, clip.numpy(), None, clip[..., :11]):
        refused(score, clip, bad)
        refused(score, bad, clip)
    refused(ssim, clip[..., :5], clip[..., :5])
    refused(motion_correlation, clip[:, :, :1], clip[:, :, :1])

def test_bad_labels():
    p, y = torch.eye(4), torch.arange(4)
    for bad in (y + 1, y - 1, y[:3], y.float(), y[None], list('abcd')):
        refused(swap_scores, p, p, bad, y)
        refused(swap_scores, p, p, y, bad)
    refused(swap_scores, p, p[:3], y, y)
    refused(probe, p, y[:3], p, y)
    refused(probe, p, y, p, y[:3])
    refused(precision_recall, p, p, 0)

def test_bad_groups():
    for groups in ([(good, good[:5])], [good[:0]], [()]):
        refused(bootstrap, lambda *x: 0., *groups)
    for wrong in (dict(n=0), dict(level=1.), dict(level=0.)):
        refused(bootstrap, lambda x: 0., good, **wrong)

def test_names_as_labels():
    names = np.array(['walk', 'run', 'jump'])[np.arange(30) % 3]
    codes = torch.eye(3)[np.arange(30) % 3]
    assert (probe(codes, list(names), codes[:7], names[:7]) == 1
            and probe(codes, names, codes, np.roll(names, 1)) == 0)
