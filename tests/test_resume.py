"""The promise: a run that was stopped and goes on is, bit for bit, the run that was never stopped. Real
models, all methods.
"""
import json, resource, time

import pytest
import torch
from safetensors.torch import load_file, save_file

from encgan3.campaign.runs import METHODS
from encgan3.engine.checkpoints import checkpoints, pack, read_log
from encgan3.engine.files import MACHINE
from encgan3.errors import InputError
from encgan3.model import EncGAN3
from encgan3.training import train
from forks import forks

class Noise:
    "Clips of noise, as a store gives them."
    sha256, size = 'none', 32
    def draw(self, n, generator): return torch.randint(10**6, (n,), generator=generator)
    def clips(self, indices):
        return (torch.stack([torch.rand(3, 16, 32, 32, generator=torch.Generator().manual_seed(i))
                             for i in indices.tolist()])*2 - 1)

SMALL = dict(size=32, ch=4, encoder_ch=4, discriminator_ch=4)
OPTIONS = {
    'as printed': {},
    'no F-SA, squared errors, changes': dict(attention=False, norm=2, change=100.),
    'averaged generator': dict(decay=.9),
    'warm-up': dict(adversarial=0., decay=0.),
    'frozen statistics, any frame, other colours': dict(batch_statistics=False, any_frame=True,
                                                        recolour=True),
    'no G_S': dict(spatial=False),
    'no G_T, swapped F-SA': dict(temporal=False, attention='g3an')}
MODELS = {f'EncGAN3, {name}': lambda seed, options=options: EncGAN3(**SMALL | options)
          for name, options in OPTIONS.items()}
MODELS |= {name: lambda seed, cls=cls: cls.from_preset('tiny', seed, ch=4) for name, cls in METHODS.items()}

def made(name, run, *pieces, seed=0):
    "A model trained in pieces, each in a new object as in a new process."
    for steps in pieces:
        torch.manual_seed(seed)
        model = MODELS[name](seed)
        train(model, Noise(), run, steps, batch=2, log_every=1, flip=True, quiet=True)
    return pack({'model': model}, {}), read_log(run)

def stored(run): return load_file(checkpoints(run)[-1]/'state.safetensors')

@pytest.mark.parametrize('name', MODELS)
def test_a_resumed_run_is_the_unbroken_run(name, tmp_path):
    whole, log = made(name, tmp_path/'whole', 4)
    pieces, log2 = made(name, tmp_path/'pieces', 2, 4)
    assert whole.keys() == pieces.keys() and log == log2
    differ = [key for key in whole if not torch.equal(whole[key], pieces[key])]
    assert not differ, f'{len(differ)} of {len(whole)} tensors differ, such as {differ[0]}'
    assert all(torch.equal(a, b) for a, b in zip(stored(tmp_path/'whole').values(),
                                                 stored(tmp_path/'pieces').values()))

@pytest.mark.parametrize('wrong',
                         ['a moment of one number', 'a moment of none', 'no optimizer', 'negative step',
                          'a step far away',
                                   'a tensor too many', 'NaN in a weight', 'another type'])
def test_a_damaged_checkpoint_is_refused_and_the_one_before_taken(wrong, tmp_path):
    run, name = tmp_path/'run', 'MoCoGAN'
    made(name, run, 2, 4)
    newest = checkpoints(run)[-1]
    tensors = load_file(newest/'state.safetensors')
    state = json.loads((newest/'state.json').read_text())
    moment = next(key for key in tensors if key.endswith('exp_avg') and tensors[key].ndim == 4)
    weight = next(key for key in tensors if key.startswith('model/') and key.endswith('weight'))
    match wrong:
        case 'a moment of one number':
            tensors[moment] = torch.ones(1)
        case 'a moment of none':
            tensors[moment] = torch.ones(0)
        case 'no optimizer':
            tensors = {key: value for key, value in tensors.items() if not key.startswith('optimizer/')}
        case 'negative step':
            state['step'] = -5
        case 'a step far away':
            state['step'] = 10**18
        case 'a tensor too many':
            tensors['model/extra'] = torch.ones(3)
        case 'NaN in a weight':
            tensors[weight] = tensors[weight] + float('nan')
        case 'another type':
            tensors[weight] = tensors[weight].half()
    save_file(tensors, newest/'state.safetensors')
    (newest/'state.json').write_text(json.dumps(state))
    with pytest.warns(UserWarning, match='goes on from step 2'):
        again, _ = made(name, run, 6)
    whole, _ = made(name, tmp_path/'whole', 6)
    assert all(torch.equal(again[key], whole[key]) for key in whole)
    for folder in checkpoints(run):
        (folder/'state.safetensors').write_bytes(b'')
    with pytest.raises(InputError, match='none before it is sound'):
        made(name, run, 8)

def test_an_infinite_gradient_at_the_last_step_is_not_stored(tmp_path):
    "A finite loss whose gradient isn't: seen before the update, and the checkpoint before stays good."
    model = EncGAN3(**SMALL)
    train(model, Noise(), tmp_path, 2, batch=2, quiet=True)
    good = stored(tmp_path)
    model.G.to_rgb.weight.register_hook(lambda gradient: gradient*float('inf'))
    with pytest.raises(FloatingPointError, match='gradient'):
        train(model, Noise(), tmp_path, 3, batch=2, quiet=True)
    assert (all(torch.equal(value, good[key]) for key, value in stored(tmp_path).items())
            and not model.training)

def test_a_full_disk_costs_nothing_that_was_saved(tmp_path):
    "A file may not grow beyond 100 kB, as if there were no more room."
    whole, _ = made('VGAN', tmp_path/'whole', 4)
    made('VGAN', tmp_path/'run', 2)
    before = stored(tmp_path/'run')
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**5, hard))
    try:
        with pytest.raises(OSError, match='make room'):
            made('VGAN', tmp_path/'run', 4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert all(torch.equal(value, before[key]) for key, value in stored(tmp_path/'run').items())
    again, _ = made('VGAN', tmp_path/'run', 4)
    assert (all(torch.equal(again[key], whole[key]) for key in whole)
            and not list((tmp_path/'run').glob('.part*')))

def test_a_setting_that_came_later_does_not_stop_an_old_run(tmp_path):
    train(EncGAN3(**SMALL), Noise(), tmp_path, 1, batch=2, quiet=True)
    file = checkpoints(tmp_path)[-1]/'state.json'
    state = json.loads(file.read_text())
    del state['config']['encoder_size'] # as if this setting hadn't existed then
    file.write_text(json.dumps(state))
    assert train(EncGAN3(**SMALL), Noise(), tmp_path, 2, batch=2, quiet=True) == 2
    with pytest.raises(InputError, match='encoder_size'):
        train(EncGAN3(**SMALL, encoder_size=16), Noise(), tmp_path, 3, batch=2, quiet=True)

def test_a_setting_with_another_name_does_not_stop_an_old_run(tmp_path):
    train(EncGAN3(**SMALL), Noise(), tmp_path, 1, batch=2, quiet=True)
    file = checkpoints(tmp_path)[-1]/'state.json'
    state = json.loads(file.read_text())
    state['config']['judge_ch'] = state['config'].pop('discriminator_ch') # what it was called
    file.write_text(json.dumps(state))
    before = stored(tmp_path)
    again = EncGAN3.from_pretrained(tmp_path)
    assert again.knobs.discriminator_ch == SMALL['discriminator_ch']
    assert all(torch.equal(value, before[f'model/{key}']) for key, value in again.state_dict().items())
    assert train(EncGAN3(**SMALL), Noise(), tmp_path, 2, batch=2, quiet=True) == 2

def train_for_ever(run):
    train(MODELS['VGAN'](0), Noise(), run, 10**6, batch=2, save_every=1, log_every=1, quiet=True)

def test_killed_runs_leave_nothing_behind_and_a_second_training_is_refused(tmp_path):
    run = tmp_path/'run'
    for _ in range(3):
        before = len(read_log(run))
        process = forks.Process(target=train_for_ever, args=(run,))
        process.start()
        end = time.monotonic() + 120
        while len(read_log(run)) < before + 3:
            assert process.is_alive() and time.monotonic() < end
            time.sleep(.05)
        with pytest.raises(InputError, match='another process'):
            made('VGAN', run, 10**6)
        process.kill()
        process.join()
    (run/f'.part-{MACHINE}-{process.pid}-abc').mkdir() # as a kill in the middle of a write leaves it
    step = json.loads((checkpoints(run)[-1]/'state.json').read_text())['step']
    train(MODELS['VGAN'](0), Noise(), run, step + 1, batch=2, quiet=True)
    assert sorted(p.name for p in run.iterdir() if not p.name.startswith('.lock')) == ['log.jsonl',
            *(p.name for p in checkpoints(run))]
