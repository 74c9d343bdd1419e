"""Everything that computes, on a GPU that nobody has (gpu.py): each path in a process of its own.

A tensor on the wrong device, NumPy on a tensor of the GPU, or a step that waits for the GPU is an error.
"""
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

import gpu
from encgan3 import training
from encgan3.campaign.runs import METHODS, Run, load_model
from encgan3.campaign.workers import plan, reproduce
from encgan3.cli import main
from encgan3.data.store import ClipStore
from encgan3.editing.items import scene
from encgan3.editing.latents import codes_of
from encgan3.editing.longer import chain
from encgan3.engine.checkpoints import read_log
from encgan3.evaluation import measure, pretrained
from encgan3.evaluation.classifier import load_classifier, train_classifier
from encgan3.evaluation.compared import random_resnet
from encgan3.evaluation.networks import RandomNetwork
from encgan3.evaluation.protocols import PROTOCOLS
from encgan3.figure1 import trace
from encgan3.hires import grown
from encgan3.model import EncGAN3
from encgan3.speed import measure as speed
from encgan3.ui.sliders import explorer
from forks import forks, said_to
from people import store_in

SMALL = dict(size=32, ch=4, encoder_ch=4, discriminator_ch=4)
MODELS = {'EncGAN3': lambda: EncGAN3(**SMALL, decay=.9),
          'EncGAN3, other options': lambda: EncGAN3(**SMALL, attention=False, norm=2, change=100.,
                                                    batch_statistics=False, any_frame=True, recolour=True)}
MODELS |= {name: lambda cls=cls: cls.from_preset('tiny', 0, ch=4) for name, cls in METHODS.items()}
FEW = replace(PROTOCOLS['random'], clips=6, resamples=2)

def there(net) -> bool:
    "Does it lie on the GPU, but for counts of steps?"
    return all(isinstance(x, gpu.There) for name, x in net.state_dict().items()
               if name not in ('made', 'steps'))

def train(name: str, home: Path):
    """Trained, stopped, gone on with in the other precision; the caller's store stays, and nothing waits
    within a step.
    """
    real, waited = training.train_step, []
    def step(*how, **named):
        gpu.waits.clear()
        found = real(*how, **named)
        waited.append([*gpu.waits])
        return found
    training.train_step = step
    training.chosen_precision = lambda asked, device: asked # no convolution to measure
    store, run = ClipStore(home/'store'), home/name
    before = vars(store) | {}
    how = dict(flip=True, shift=1, same=('subject',)) if name.startswith('EncGAN3') else {}
    for steps, precision in (2, 'no'), (3, 'bf16'):
        model = MODELS[name]()
        training.train(model, store, run, steps, 2, log_every=1, precision=precision, quiet=True, **how)
        assert there(model)
    assert all(vars(store)[key] is value for key, value in before.items()), 'the store has changed'
    most = 1 if name == 'TwoStreamVAN' else 0 # it asks its costs who learns
    assert len(waited) == 3 and max(map(len, waited)) <= most, waited
    assert [row['step'] for row in read_log(run)] == [1, 2, 3]

def evaluate(name: str, home: Path):
    "A model that was trained, measured by a network."
    if name == 'classifier':
        train_classifier(ClipStore(home/'store', None), ('subject', 'action'), home/'own', 2, 4, ch=4,
                         quiet=True)
    if name == 'resnext':
        pretrained.ResNeXt101 = partial(pretrained.ResNeXt101, depths=(1, 1, 1, 1))
        torch.save(pretrained.ResNeXt101().state_dict(), home/'resnext.pth')
    network = {'random': RandomNetwork, 'classifier': lambda: load_classifier(home/'own'),
               'resnext': lambda: pretrained.resnext_network(home/'resnext.pth')}[name]()
    model = load_model('weizmann-s-tiny')
    assert there(model) and there(network.net)
    found = measure.evaluate(model, home/'store', network, FEW, True)
    assert found['reconstruction']['PSNR'] > 9 and ('swap' in found) == (name == 'classifier')

def kinetics(home: Path):
    "A network of torchvision looks at one clip."
    network = pretrained.torchvision_network('r3d_18', None)
    features, _ = network(ClipStore(home/'store').clips([0]))
    assert there(network.net) and features.shape == (1, 512) and not isinstance(features, gpu.There)

def called(*words: str):
    "The command line."
    def path(home: Path):
        code = main([word.replace('HOME', str(home)) for word in words])
        assert code == 0, f'{words[0]} ended with {code}'
    return path

def slide(home: Path):
    "A page of sliders, moved, and a board of all pairs."
    desk = explorer(scene('weizmann-s-tiny'), wait=None).desk
    assert there(desk.shelf.scene.model)
    for name in ('content', 'plus', 'zx 0', 'zv 0'):
        desk.c[name].value = .5
    desk.c['frames'].value = 24
    desk.press['surprise'].click()
    desk.press['both'].click()
    told = [desk.out[name].value for name in ('said', 'news')]
    assert not any('wrong' in words for words in told), told

def work(home: Path):
    "A queue: planned, trained, measured."
    names = 'VGAN', 'EncGAN3', 'VideoVAE', 'TwoStreamVAN' # one that can't rebuild a clip, and those that can
    runs = [Run(name, str(home/'store'), 0, 'micro', 2, 2, protocol=FEW) for name in names]
    seen, real = [], training.train_step
    def step(model, *how, **named):
        seen.append(there(model))
        return real(model, *how, **named)
    training.train_step = step
    assert len(plan(runs, {}, home/'queue', seconds=.1)) == 4
    assert len(reproduce(runs, home/'queue', home/'records', quiet=True)) == 4
    assert seen and all(seen), 'trained on the processor'

def longer(home: Path):
    "A chain of clips from the codes of a film, which lie on the processor."
    model = load_model('weizmann-s-tiny')
    codes = codes_of(model, ClipStore(home/'store').clips([0]))
    film = torch.cat([*chain(model, 28, training.step_generator(0, 0), codes)], 2)
    assert film.shape[2] == 28 and isinstance(film, gpu.There)

def figure(home: Path):
    "The sizes in Figure 1."
    shapes = trace(load_model('weizmann-s-tiny'), ClipStore(home/'store').clips([0]))
    assert shapes['D_V'] == (3, 16, 32, 32)

def begun(home: Path):
    "Whoever builds a network finds the generators of the GPU as they were."
    def seeded(seed):
        raise AssertionError(f'the GPU is seeded with {seed}')
    torch.cuda.manual_seed_all = seeded
    grown(EncGAN3(**SMALL), size=64)
    for model in MODELS.values():
        model()
    EncGAN3.from_preset('micro'), random_resnet(), pretrained.torchvision_network('r3d_18', None)
    train_classifier(ClipStore(home/'store', None), ('subject', 'action'), home/'begun', 1, 4, ch=4,
                     quiet=True)

def timed(home: Path):
    "Speed, with small products."
    found = speed.measure('micro', 1, 1, side=16, ch=2, encoder_ch=2, discriminator_ch=2)
    assert found['device'] == 'cuda' and len(found['allocated']) >= 2

PATHS = {f'train {name}': partial(train, name) for name in MODELS}
PATHS |= {f'evaluate by {name}': partial(evaluate, name) for name in ('random', 'classifier', 'resnext')}
PATHS |= {
    'a network of torchvision': kinetics, 'sliders': slide, 'reproduce': work, 'speed': timed,
    'a chain of clips': longer, 'figure 1': figure, 'beginnings': begun,
    'sample': called('sample', 'weizmann-s-tiny', '--n', '2', '--out', 'HOME/new.gif'),
    'edit': called('edit', 'HOME/films/jack/ido_jack.avi', '--motion', 'HOME/films/walk/daria_walk.avi',
                   '--beside', '--out', 'HOME/edited.mp4'),
    'teach': called('teach', 'HOME/films/jack/ido_jack.avi', '--minutes', '.01', '--out', 'HOME/taught'),
    'demo': called('demo', '--videos', 'HOME/films', '--minutes', '.01', '--out', 'HOME/demo')}

@pytest.fixture(scope='module')
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp('gpu')
    store_in(home)
    return home

def on_gpu(path: str, home: Path, said: Path):
    "In a process of its own."
    said_to(said, said.with_suffix('.err'))
    torch.set_num_threads(1)
    gpu.given_a_gpu()
    PATHS[path](home)

@pytest.mark.parametrize('path', PATHS)
def test_runs_on_a_gpu(path, home, tmp_path):
    process = forks.Process(target=on_gpu, args=(path, home, tmp_path/'said.txt'))
    process.start()
    process.join(300)
    process.kill()
    assert process.exitcode == 0, (tmp_path/'said.err').read_text()[-3000:]
