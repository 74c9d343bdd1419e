"R1, R2, R4, R5, R14: a run that is stopped, killed, interrupted or poisoned is the run that never was."
import hashlib, os, resource, signal, time
from pathlib import Path

import torch
from children import Fork, done, failing, left_over
from people import store_in
from promises import promise
from safetensors.torch import load_file
from several import Double, alike, as_rank, free_port
from test_resume import MODELS as METHODS_AND_OPTIONS
from test_resume import Noise
from torch.optim.optimizer import register_optimizer_step_pre_hook

from encgan3 import training
from encgan3.data.store import ClipStore
from encgan3.engine.checkpoints import checkpoints, read_checkpoint, read_log
from encgan3.model import EncGAN3
from encgan3.training import train

SMALL = dict(ch=4, encoder_ch=4, discriminator_ch=4)
MODELS = METHODS_AND_OPTIONS | {f'EncGAN3, recipe {recipe}': lambda seed, recipe=recipe:
                                EncGAN3.from_preset('micro', seed, recipe, **SMALL)
                                for recipe in ('printed', 'companion')}
JUDGED = [name for name in MODELS if 'warm-up' not in name]

def trained(name: str, run: Path, steps: int, store=None, **how) -> int:
    "A new object, as in a new process, trained up to a step."
    torch.manual_seed(0)
    train(MODELS[name](0), store or Noise(), run, steps, **{'batch': 2, 'log_every': 1, 'quiet': True} | how)

def newest(run: Path) -> dict[str, torch.Tensor]: return load_file(checkpoints(run)[-1]/'state.safetensors')

def digest(checkpoint: Path) -> str:
    "Of all tensors; InputError or ValueError if it is damaged."
    tensors = read_checkpoint(checkpoint)[1]
    return hashlib.sha256(b''.join(key.encode() + tensors[key].numpy().tobytes() for key in sorted(tensors))
                          ).hexdigest()

def same_runs(one: Path, two: Path):
    "Bit for bit: weights, moments, buffers, log."
    a, b = newest(one), newest(two)
    differ = [key for key in a.keys() | b.keys() if key not in a or key not in b
              or not torch.equal(a[key], b[key])]
    assert not differ, f'{len(differ)} of {len(a)} tensors differ, such as {differ[0]}'
    assert read_log(one) == read_log(two), 'the logs differ'

@promise('R1', 'a run that goes on is bit for bit the run that never stopped: any model, any stop', 1, 120)
def resumed_runs(n, folder, dice):
    clips = store_in(folder)
    names = dice.sample([*MODELS], len(MODELS))
    for k in range(n):
        name, steps = names[k % len(names)], dice.randint(3, 6)
        stops = sorted(dice.sample(range(1, steps), dice.randint(1, 2)))
        how = {'save_every': dice.randint(1, 4), 'flip': dice.random() < .5, 'shift': dice.choice([0, 2]),
               'batch': dice.choice([2, 3])}
        real = dice.random() < .5
        if real and 'EncGAN3' in name and dice.random() < .5:
            how['same'] = ('subject',)
        label = f'{name}, {"films" if real else "noise"}, {how}, stopped at {stops} of {steps}'
        def attempt(k=k, name=name, steps=steps, stops=stops, how=how, real=real):
            store = ClipStore(clips) if real else None
            whole, pieces = folder/f'whole{k}', folder/f'pieces{k}'
            done(lambda: trained(name, whole, steps, store, **how))
            for stop in (*stops, steps): # each piece in a process of its own
                done(lambda: trained(name, pieces, stop, store, **how))
            same_runs(whole, pieces)
        yield label, attempt

@promise('R1', 'one, two or four processes go on with a run as one does: its losses, to 1e-5', 1, 12)
def resumed_by_several(n, folder, dice):
    names = dice.sample([*MODELS], len(MODELS))
    for k in range(n):
        name, pieces = names[k % len(names)], dice.sample([1, 2, 4], 2)
        def attempt(k=k, name=name, pieces=pieces):
            whole, run = folder/f'whole{k}', folder/f'shared{k}'
            def part(run, steps):
                torch.manual_seed(0)
                train(MODELS[name](0).double(), Double(), run, steps, 4, log_every=1, quiet=True)
            done(lambda: part(whole, 4))
            for ranks, steps in zip(pieces, (2, 4)):
                def work(rank, ranks=ranks, steps=steps, port=free_port()):
                    as_rank(rank, ranks, port)
                    part(run, steps)
                forks = [Fork(lambda rank=rank, work=work: work(rank)) for rank in range(ranks)]
                assert not any([fork.wait() for fork in forks]), [fork.text()[-600:] for fork in forks]
            alike(read_log(whole), read_log(run))
        yield f'{name}, {pieces[0]} and then {pieces[1]} processes', attempt

class Unbroken:
    "A run that nobody stopped: digests of the checkpoints of all steps."
    def __init__(self, name: str, folder: Path, steps: int):
        self.name, self.run, self.steps = name, folder, steps
        def work():
            real = training.save_checkpoint
            training.save_checkpoint = lambda *args: real(*args, keep=10**6)
            trained(name, folder, steps, save_every=1)
        start = time.monotonic()
        done(work)
        self.seconds = time.monotonic() - start
        self.digests = {int(c.name[5:]): digest(c) for c in checkpoints(folder)}

def dies_inside_save(left: int):
    "This process kills itself at one of the next system calls of a checkpoint."
    calls = [left]
    def counted(real):
        def call(*args, **how):
            calls[0] -= 1
            if calls[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **how)
        return call
    os.fsync, os.replace, os.open = map(counted, (os.fsync, os.replace, os.open))

@promise('R2', 'kill -9 at any moment, inside saving too: what lies there is sound and unbroken', 2, 100)
def kills(n, folder, dice):
    names, tried = dice.sample(JUDGED, len(JUDGED)), 0
    while tried < n:
        names = names[1:] + names[:1]
        name, run = names[0], folder/f'run{tried}'
        whole, reached = Unbroken(name, folder/f'whole{tried}', 8), 0
        while tried < n and reached < whole.steps - 2:
            inside = dice.randint(1, 20) if dice.random() < .5 else 0
            def work(inside=inside, name=name, run=run, steps=whole.steps):
                if inside:
                    dies_inside_save(inside)
                trained(name, run, steps, save_every=1)
            fork = Fork(work)
            end = time.monotonic() + (120 if inside else dice.uniform(0, .6*whole.seconds))
            while fork.poll() is None and time.monotonic() < end:
                time.sleep(.002)
            if fork.poll() is None:
                fork.kill()
            if fork.code == 0: # it was faster
                break
            tried += 1
            if fork.code != -signal.SIGKILL:
                yield name, failing(AssertionError(fork.text()[-600:]))
                break
            there = checkpoints(run)
            last = tried == n or bool(there) and int(there[-1].name[5:]) >= whole.steps - 2
            def attempt(there=there, reached=reached, last=last, run=run, whole=whole):
                found = {int(c.name[5:]): digest(c) for c in there}
                assert max(found, default=0) >= reached, f'step {reached} was saved, {max(found)} is there'
                assert all(whole.digests[step] == value for step, value in found.items())
                if last:
                    done(lambda: trained(whole.name, run, whole.steps, save_every=1))
                    same_runs(whole.run, run)
                    assert not left_over(run)
            yield f'{name}, {"inside saving" if inside else "anywhere"}, step {reached}', attempt
            reached = int(there[-1].name[5:]) if there else 0

BAD = {'NaN': float('nan'), 'infinity': float('inf'), '-infinity': -float('inf')}

class Spoiled(Noise):
    "One value of one clip is no number, in the third step."
    def __init__(self, bad: float): self.bad, self.left = bad, 3
    def clips(self, indices):
        clip = super().clips(indices)
        self.left -= 1
        if self.left == 0:
            clip[-1, 0, 3, 5, 7] = self.bad
        return clip

def poisoned(model, where: str, bad: float, dice):
    "The model, which meets a value that is no number in its third step."
    real, steps, made = model.updates, [0], [0]
    def updates(clip, optimizers, generator, *frame):
        steps[0] += 1
        now = steps[0] == 3
        if now and where == 'a weight':
            at = dice.choice([p for o in optimizers.values() for g in o.param_groups for p in g['params']])
            at.data[tuple(dice.randrange(size) for size in at.shape)] = bad
        chosen = dice.randrange(made[0]) if now else 0
        made[0] = 0
        for k, (optimizer, loss, terms) in enumerate(real(clip, optimizers, generator, *frame)):
            mine = now and k == chosen
            made[0] += 1
            if mine and where == 'a loss':
                loss = loss*bad
            if mine and where == 'a gradient':
                used = [p for g in optimizer.param_groups for p in g['params'] if p.grad is not None]
                spoil = lambda gradient: gradient.index_fill(0, torch.tensor([0]), bad)
                at = dice.choice([p for p in used if p.ndim] or used)
                at.register_hook(spoil)
            yield optimizer, loss, terms
    model.updates = updates
    return model

def careful(optimizer, *_):
    "Before each step of any optimizer."
    gradients = [p.grad for group in optimizer.param_groups for p in group['params'] if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients), 'a step was made of such a gradient'

@promise('R5', 'what is no number stops a run before an update, names the step, and spoils no file', 2, 60)
def poison(n, folder, dice):
    names = [name for name in MODELS if 'EncGAN3' in name or name in ('VGAN', 'MoCoGAN', 'G3AN')]
    dice.shuffle(names)
    for k in range(n):
        name, where = names[k % len(names)], ('the input', 'a loss', 'a gradient', 'a weight')[k % 4]
        kind = dice.choice([*BAD])
        def attempt(k=k, name=name, where=where, bad=BAD[kind]):
            run = folder/f'run{k}'
            def spoiled():
                register_optimizer_step_pre_hook(careful)
                torch.manual_seed(0)
                model = poisoned(MODELS[name](0), where, bad, dice)
                store = Spoiled(bad) if where == 'the input' else Noise()
                try:
                    train(model, store, run, 4, 2, save_every=2, log_every=1, quiet=True)
                except FloatingPointError as e:
                    assert str(e).startswith(('step 2:', 'step 3:', 'step 4:')), e
                    assert '\n' not in str(e) and not model.training
                else:
                    raise AssertionError('nobody noticed')
            done(spoiled)
            assert [c.name for c in checkpoints(run)] == ['step-00000002'] and not left_over(run)
            done(lambda: trained(name, run, 4, save_every=2))
            done(lambda: trained(name, folder/f'whole{k}', 4, save_every=2))
            same_runs(folder/f'whole{k}', run)
        yield f'{name}: {kind} in {where}', attempt

DAMAGES = {
    'half a file': lambda c, dice: (c/'state.safetensors').write_bytes(
        (c/'state.safetensors').read_bytes()[:dice.randint(0, 5000)]),
    'a changed header': lambda c, dice: (c/'state.safetensors').write_bytes(
        (lambda b, i: b[:i] + bytes([b[i] ^ 255]) + b[i + 1:])((c/'state.safetensors').read_bytes(),
                                                           dice.randint(0, 300))),
    'no tensors': lambda c, dice: (c/'state.safetensors').unlink(),
    'no settings': lambda c, dice: (c/'state.json').unlink(),
    'zeros': lambda c, dice: (c/'state.json').write_bytes(bytes(300)),
    'half of the settings': lambda c, dice: (c/'state.json').write_bytes(
        (c/'state.json').read_bytes()[:dice.randint(0, 200)])}

def full_disk(room: int):
    "No file may grow beyond so many bytes."
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

def files_of(run: Path) -> dict:
    "Everything that could change."
    return {str(p.relative_to(run)): (p.stat().st_mtime_ns, p.stat().st_ino) for p in run.rglob('*')
            if p.is_file() and not p.name.startswith('.lock')}

@promise('R14', 'two checkpoints, never none that is sound; a full disk or a damaged one costs no step twice',
         2, 45)
def retention(n, folder, dice):
    for k in range(n):
        name, kind = dice.choice(JUDGED), ('damaged', 'full disk', 'finished')[k % 3]
        damage, every = dice.choice([*DAMAGES]), dice.choice([1, 2])
        def attempt(k=k, name=name, kind=kind, damage=damage, every=every):
            run, whole = folder/f'run{k}', folder/f'whole{k}'
            done(lambda: trained(name, run, 4, save_every=every))
            names = [c.name for c in checkpoints(run)]
            assert names == [f'step-{4 - every:08}', 'step-00000004'], names
            if kind == 'damaged':
                DAMAGES[damage](checkpoints(run)[-1], dice)
            if kind == 'full disk':
                before, room = digest(checkpoints(run)[-1]), dice.randint(0, 50_000)
                def on_full_disk():
                    full_disk(room)
                    try:
                        trained(name, run, 6, save_every=every)
                    except OSError as e:
                        assert 'make room' in str(e) and 'None' not in str(e), e
                    else:
                        raise AssertionError('the disk was not full')
                done(on_full_disk)
                assert digest(checkpoints(run)[-1]) == before and not left_over(run)
            if kind == 'finished':
                before = files_of(run)
                done(lambda: trained(name, run, 4, save_every=every))
                assert files_of(run) == before, 'a finished run has changed'
            done(lambda: trained(name, run, 7, save_every=every))
            done(lambda: trained(name, whole, 7, save_every=every))
            same_runs(whole, run)
            assert [digest(c) for c in checkpoints(run)] == [digest(c) for c in checkpoints(whole)]
            assert len(checkpoints(run)) == 2 and not left_over(run)
        yield f'{name}, {kind}' + (f': {damage}' if kind == 'damaged' else ''), attempt
