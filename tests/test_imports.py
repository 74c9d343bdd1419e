"""`encgan3 import`: public weights become a model, and whatever else a file may be is refused in one line.

That the model then says what the public network says is shown in nbs/44_g3an.ipynb.
"""
import os

import pytest
import torch

from encgan3.baselines.g3an import Released
from encgan3.campaign.runs import load_model
from encgan3.cli import main
from encgan3.generator import Generator
from encgan3.training import step_generator

def generator(attention):
    torch.manual_seed(3)
    G = Generator(64, 4, attention=attention)
    for name, p in G.named_parameters():
        if name.endswith('gamma'):
            torch.nn.init.ones_(p)
    return G.eval()

def public(G, prefix='module.'):
    return {prefix + name: value.clone() for name, value in Released(G).state_dict().items()}

@pytest.fixture
def answer(tmp_path, capsys):
    "Import a file that holds something: exit code, what is said, the folder."
    def ask(what, out=tmp_path/'out', name='g3an.pth'):
        file = tmp_path/name
        if isinstance(what, bytes):
            file.write_bytes(what)
        elif what is not None:
            torch.save(what, file)
        code = main(['import', 'g3an', str(file), '--out', str(out)])
        said = capsys.readouterr()
        return code, (said.out + said.err).strip().replace(str(tmp_path), 'HOME'), out
    return ask

@pytest.mark.parametrize('attention', [False, 'g3an'])
@pytest.mark.parametrize('pack', [lambda state: state, lambda state: {'state_dict': state, 'epoch': 5000}])
def test_a_model_like_any_other(answer, attention, pack):
    G = generator(attention)
    code, said, out = answer(pack(public(G)))
    assert code == 0 and ('F-SA as released' if attention else 'without F-SA') in said
    model = load_model(out)
    assert model.config['attention'] == attention and model.config['size'] == 64
    codes = model.prior(2, 20, step_generator(0, 0))
    assert torch.equal(model.G(*codes), G(*codes))
    assert model.sample(1).shape == (1, 3, 16, 64, 64)

def test_discriminators_are_the_same_each_time(answer, tmp_path):
    state = public(generator(False))
    a, b = (load_model(answer(state, tmp_path/name)[2]).state_dict() for name in 'ab')
    assert all(torch.equal(a[key], b[key]) for key in a)

class Command:
    def __reduce__(self): return os.system, ('touch it_ran',)

def without(state, key): return {k: v for k, v in state.items() if k != f'module.{key}'}

NAN = torch.full((3,), float('nan'))
FIRST = 'block1.conv_s.0.weight_orig'
WRONG = { # what is wrong -> the file's content from a sound one, words of the answer
    'missing': (lambda s: without(s, 'block3.conv_v.4.bias'), 'block3.conv_v.4.bias is missing'),
    'the first is missing': (lambda s: without(s, FIRST), f'{FIRST} is missing'),
    'extra': (lambda s: s | {'module.block6.conv_s.0.bias': NAN}, 'block6.conv_s.0.bias is not part'),
    'shape': (lambda s: s | {'module.to_rgb.0.weight': torch.ones(3, 8, 3, 3)},
              'to_rgb.0.weight has shape (3, 8, 3, 3), not (3, 8, 1, 3, 3)'),
    'mode 2p1d': (lambda s: s | {'module.block1.conv_v.0.weight_orig': torch.ones(138, 32, 1, 4, 4)},
                  'has shape (138, 32, 1, 4, 4), not (138, 32, 4, 1, 1)'),
    'half of F-SA': (lambda s: s | {'module.fsa.tsa.gamma': torch.ones(1)}, 'fsa.ssa.gamma is missing'),
    'no number': (lambda s: s | {'module.to_rgb.0.bias': NAN}, 'has values that are no numbers'),
    'no variance': (lambda s: s | {'module.block1.conv_s.1.running_var': -torch.ones(32)},
                    'negative variances'),
    'flat': (lambda s: s | {f'module.{FIRST}': torch.ones(128)}, f'{FIRST} is missing, or of no 3-D layer'),
    'narrow': (lambda s: s | {f'module.{FIRST}': torch.ones(128, 7, 1, 4, 4)}, 'ch=0'),
    'wide': (lambda s: s | {f'module.{FIRST}': torch.ones(128, 8192, 1, 4, 4)}, 'larger network'),
    'a discriminator': (lambda s: {'module.net.0.weight_orig': torch.ones(64, 3, 1, 4, 4)},
                        f'{FIRST} is missing'),
    'a program': (lambda s: {'state_dict': Command()}, 'wants more than tensors'),
    'a list': (lambda s: [1, 2], 'no tensors by name'), 'a page': (lambda s: b'<html>', 'web page'),
    'nothing': (lambda s: None, 'no such file')}

@pytest.mark.parametrize('name', WRONG)
def test_something_else(answer, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    change, words = WRONG[name]
    code, said, out = answer(change(public(generator(False))))
    assert code == 2 and said.startswith('encgan3: HOME/g3an.pth: ') and words in said, said
    assert '\n' not in said and len(said) < 300 and not out.exists() and not (tmp_path/'it_ran').exists()

def test_a_model_that_lies_there_stays(answer):
    state = public(generator(False))
    _, _, out = answer(state)
    before = (out/'model.safetensors').read_bytes()
    assert answer(without(state, 'to_rgb.0.bias'))[0] == 2
    assert (out/'model.safetensors').read_bytes() == before
