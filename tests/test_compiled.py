"A compiled training is the same training: too slow for a lesson, which would compile on every run."
import shutil

import pytest
import torch
from torch import nn

from encgan3.attention import TIME, AxisAttention
from encgan3.engine.checkpoints import checkpoints, pack
from encgan3.training import train


class Clips:
    sha256 = 'none'
    def draw(self, n, generator): return torch.rand(n, 4, generator=generator)
    def clips(self, rows): return rows

class Small(nn.Module):
    "Normalised and rectified, so that there is something to fuse and a buffer to keep."
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.G = nn.Sequential(nn.Linear(4, 3, bias=False), nn.BatchNorm1d(3), nn.ReLU())
        self.average = None
        self.config = {}

    def optimizers(self): return {'G': torch.optim.Adam(self.G.parameters(), .01, fused=True)}

    def updates(self, clip, optimizers, generator):
        loss = (self.G(clip) - torch.randn(3, generator=generator)).square().mean()
        yield optimizers['G'], loss, {'loss': loss}

def trained(run, compiler):
    train(model := Small(), Clips(), run, 6, batch=5, quiet=True, compiler=compiler)
    return pack({'model': model}, {})

@pytest.mark.skipif(not (shutil.which('g++') or shutil.which('clang++')), reason='no C++ compiler')
def test_a_compiled_training_gives_the_same_weights_under_the_same_names(tmp_path):
    from torch._dynamo.utils import counters
    counters.clear()
    plain = trained(tmp_path/'plain', '')
    assert not counters['stats']['unique_graphs']
    compiled = trained(tmp_path/'compiled', 'default')
    assert counters['stats']['unique_graphs'] >= 1 # it was compiled, and not run as it was
    assert plain.keys() == compiled.keys() and len(checkpoints(tmp_path/'compiled')) == 1
    for name in plain:
        torch.testing.assert_close(compiled[name], plain[name], rtol=1e-4, atol=1e-5)
    # and a run that began without goes on with it
    assert trained(tmp_path/'plain', 'default').keys() == plain.keys()

@pytest.mark.skipif(not (shutil.which('g++') or shutil.which('clang++')), reason='no C++ compiler')
def test_attention_is_compiled_where_no_gradient_is_asked_for():
    "Of five axes PyTorch 2.14 made a pattern of its own that it could not lay out, and training stopped."
    torch.manual_seed(0)
    attention = AxisAttention(16, TIME)
    nn.init.ones_(attention.gamma)
    clip = torch.randn(2, 16, 4, 2, 2)
    with torch.no_grad():
        expected = attention.eval()(clip)
        torch.testing.assert_close(torch.compile(attention, dynamic=False)(clip), expected)
    assert not torch.allclose(expected, clip)
