"R3, R15: what is written is whole or not at all, whatever fails; and what older versions wrote can be read."
import hashlib, json, os, shutil, signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from faults import HOWS, Faults
from children import Fork, done, failing, left_over
from promises import promise
from promises_of_runs import full_disk
from promises_of_stops import TINY, home_in

from encgan3.campaign.runs import load_model, read_records
from encgan3.cli import main
from encgan3.data.store import read_store
from encgan3.data.video import read_video
from encgan3.engine.checkpoints import checkpoints, read_checkpoint
from encgan3.engine.weights import SHIPPED
from encgan3.evaluation import protocols
from encgan3.model import EncGAN3

def tree(folder: Path, *but: str) -> str:
    "Digest of all files of a folder; '' if it isn't there."
    sums = hashlib.sha256()
    for file in sorted(p for p in folder.rglob('*') if p.is_file() and not p.name.endswith(but)):
        sums.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return sums.hexdigest() if folder.exists() else ''

def of_run(out: Path) -> str:
    "The newest checkpoint, if it can be read."
    newest = checkpoints(out/'run')[-1]
    state, tensors = read_checkpoint(newest)
    sums = hashlib.sha256(b''.join(t.numpy().tobytes() for t in tensors.values()))
    return f'{state["step"]} {sums.hexdigest()}'

def of_model(out: Path) -> str:
    "All files of a saved model that loads."
    EncGAN3.from_pretrained(out/'model')
    return tree(out/'model')

def of_store(out: Path) -> str:
    index, frames = read_store(out/'store')
    assert hashlib.sha256((out/'store'/'frames.npy').read_bytes()).hexdigest() == index['sha256']
    return f'{index["size"]} {index["sha256"]}'

def of_json(name: str, out: Path) -> str:
    file = out/name
    return json.dumps(json.loads(file.read_text()), sort_keys=True) if file.exists() else ''

def of_film(name: str, out: Path) -> str:
    file = out/name
    if not file.exists():
        return ''
    return f'{read_video(file)[0].shape} {hashlib.sha256(file.read_bytes()).hexdigest()}'

def of_films(out: Path) -> str:
    "Each of them is whole; how many there are may differ."
    for file in (out/'new').glob('*'):
        read_video(file)
    return tree(out/'new')

def of_records(out: Path) -> str:
    "Records, without what depends on the time."
    found = read_records(out/'queue'/'records')
    for file in (out/'queue').rglob('[!.]*.json'): # hidden ones were being written
        json.loads(file.read_text())
    return ' '.join(f'{name} {record["prior"]}' for name, record in sorted(found.items()))

def of_demo(out: Path) -> str:
    "All of its files can be read, and the page names no picture that isn't there."
    page = out/'demo'/'index.html'
    for file in (out/'demo').glob('*.gif'):
        read_video(file)
    if (out/'demo'/'demo.json').exists():
        json.loads((out/'demo'/'demo.json').read_text())
    assert not page.exists() or page.read_text().endswith('</html>')
    return str(page.exists())

RUN = ('train', '--preset', 'micro', '--set', 'ch=4', '--set', 'encoder_ch=4', '--set', 'discriminator_ch=4',
       '--batch', 2, '--save-every', 1, '--data', 'HOME/store', '--out', 'OUT/run', '--steps')
WRITERS = { # how it was before; what is written; what must be readable afterwards; is it the same each time?
    'train': ((*RUN, 2), (*RUN, 3), of_run, True),
    'save': (('save', TINY, '--data', 'HOME/store', '--out', 'OUT/model', '--hardware', 'old'),
             ('save', TINY, '--data', 'HOME/store', '--out', 'OUT/model', '--hardware', 'new'), of_model,
             True),
    'prepare': (('prepare', 'weizmann', 'HOME/two', 'OUT/store', '--size', 16, '--workers', 0),
                ('prepare', 'weizmann', 'HOME/two', 'OUT/store', '--size', 24, '--workers', 0,
                 '--overwrite'), of_store, True),
    'evaluate': (('evaluate', TINY, '--data', 'HOME/store', '--protocol', 'random', '--clips', 4, '--out',
                  'OUT/found.json'),
                 ('evaluate', TINY, '--data', 'HOME/store', '--protocol', 'random', '--clips', 5, '--out',
                  'OUT/found.json'), partial(of_json, 'found.json'), True),
    'sample a GIF': (('sample', TINY, '--n', 1, '--out', 'OUT/new.gif'),
                     ('sample', TINY, '--n', 2, '--out', 'OUT/new.gif'), partial(of_film, 'new.gif'), True),
    'sample an MP4': (('sample', TINY, '--n', 1, '--out', 'OUT/new.mp4'),
                      ('sample', TINY, '--n', 2, '--out', 'OUT/new.mp4'), partial(of_film, 'new.mp4'), True),
    'sample a folder': ((), ('sample', TINY, '--n', 3, '--out', 'OUT/new'), of_films, False),
    'edit': (('edit', TINY, 'HOME/two/daria_jack.avi', '--out', 'OUT/new.mp4'),
             ('edit', TINY, 'HOME/two/ido_jack.avi', '--out', 'OUT/new.mp4'), partial(of_film, 'new.mp4'),
             True),
    'reproduce': ((), ('reproduce', 'table1', '--data', 'HOME/store', '--preset', 'micro', '--steps', 1,
                       '--protocol', 'random', '--json', '--out', 'OUT/queue'), of_records, False),
    'demo': ((), ('demo', '--videos', 'HOME/two', '--minutes', .001, '--out', 'OUT/demo'), of_demo, False)}

def one_run():
    "Of a queue only one run, seen through few clips."
    from encgan3.campaign import runs
    real, few = runs.queue, replace(protocols.PROTOCOLS['random'], clips=4, resamples=2)
    runs.queue = lambda *args, **how: [replace(run, protocol=few) for run in real(*args, **how)
                                       if run.experiment == 'VGAN']

def command(name: str, which: int, home: Path, out: Path) -> list[str]:
    return [str(w).replace('HOME', str(home)).replace('OUT', str(out)) for w in WRITERS[name][which]]

class Writer:
    "One of WRITERS: what lies there before, and how many events its work has."
    def __init__(self, name: str, folder: Path):
        self.name, self.home, self.out = name, home_in(folder), folder/'out'
        self.reads, self.same = WRITERS[name][2:]
        if not (self.home/'two').exists():
            (self.home/'two').mkdir()
            for film in ('daria_jack.avi', 'ido_jack.avi'):
                os.link(next((self.home/'films').rglob(film)), self.home/'two'/film)
        self.begin = folder/f'before {name}'
        if not self.begin.exists():
            self.begin.mkdir()
            if WRITERS[name][0]:
                self.works(0, self.begin)
        self.anew()
        counted = folder/'counted'
        self.works(1, self.out, counted=counted)
        self.events = int(counted.read_text())
        self.after = self.reads(self.out)
        self.anew()
        self.before = self.reads(self.out)

    def anew(self):
        shutil.rmtree(self.out, ignore_errors=True)
        shutil.copytree(self.begin, self.out)

    def work(self, which: int, out: Path, faults: Faults, counted: Path | None = None) -> int:
        one_run()
        with faults.installed():
            code = main(command(self.name, which, self.home, out))
        if counted:
            counted.write_text(str(faults.seen))
        return code

    def works(self, which: int, out: Path, **how):
        done(lambda: self.work(which, out, Faults(out), **how))

    def sound(self):
        "What lies there is the old thing or the new one."
        found = self.reads(self.out)
        assert not self.same or found in (self.before, self.after), f'neither old nor new: {found[:200]}'

def one_line(text: str):
    "The last line of what a command said is its answer, and there is no traceback."
    last = text.strip().splitlines()[-1]
    assert 'Traceback' not in text and last.startswith('encgan3: ') and 'None' not in last, text[-500:]

@promise('R3', 'each write, flush and rename of each writer fails, or the process dies there', 2, 300)
def faults(n, folder, dice):
    names = dice.sample([*WRITERS], len(WRITERS))[:max(1, n//4)]
    made = 0
    for left, name in zip(range(len(names), 0, -1), sorted(names, key=lambda name: name == 'reproduce')):
        try:
            writer = Writer(name, folder)
        except AssertionError as e: # without any fault
            yield name, failing(e)
            continue
        every = [(at, how) for at in range(writer.events) for how in HOWS]
        mine = dice.sample(every, min(len(every), max(1, (n - made)//left)))
        for at, how in mine:
            made += 1
            def attempt(writer=writer, at=at, how=how):
                writer.anew()
                fork = Fork(lambda: writer.work(1, writer.out, Faults(writer.out, at, how)))
                code = fork.wait(120)
                if how == 'kill':
                    assert code == -signal.SIGKILL, f'code {code}: {fork.text()[-300:]}'
                elif code != 0: # 0: it can do without that file
                    assert code == 2, f'code {code}: {fork.text()[-600:]}'
                    one_line(fork.text())
                    assert how != 'full disk' or 'make room' in fork.text(), fork.text()[-300:]
                    assert not left_over(writer.out), left_over(writer.out)
                writer.sound()
                writer.works(1, writer.out) # the next call
                assert not left_over(writer.out), left_over(writer.out)
                assert not writer.same or writer.reads(writer.out) == writer.after, 'the next call differs'
            yield f'{name}: {how} at {at} of {writer.events}', attempt

@promise('R3', 'no file may grow further, inside libraries too: one line, and the old thing stays', 1, 40)
def full_disks(n, folder, dice):
    names = [name for name in dice.sample([*WRITERS], len(WRITERS)) if name != 'reproduce' or n > 10]
    for k in range(n):
        room = int(10**dice.uniform(0, 5))
        try:
            writer = Writer(names[k % len(names)], folder)
        except AssertionError as e: # with room
            yield names[k % len(names)], failing(e)
            continue
        def attempt(writer=writer, room=room):
            def work():
                full_disk(room)
                return writer.work(1, writer.out, Faults(writer.out))
            fork = Fork(work)
            if fork.wait(120):
                assert fork.code == 2, f'code {fork.code}: {fork.text()[-600:]}'
                one_line(fork.text())
                assert 'make room' in fork.text(), fork.text()[-300:]
            writer.sound()
            writer.works(1, writer.out)
            assert not left_over(writer.out) and (not writer.same
                                                  or writer.reads(writer.out) == writer.after)
        yield f'{writer.name}: {room} bytes', attempt

KNOWN = Path(__file__).with_name('shipped.json')

def measured(name: str) -> dict:
    "Numbers of a shipped model: of its weights, and of the clips that it makes of fixed codes."
    model = load_model(name)
    generator = torch.Generator().manual_seed(0)
    clips = model.sample(2, generator=generator).double()
    weights = torch.cat([p.double().flatten() for p in model.parameters()])
    motion = clips.diff(dim=2).abs().mean().item()
    return {'weights': [weights.norm().item(), (weights*torch.arange(len(weights)).cos()).sum().item()],
            'clips': [clips.mean().item(), clips.std().item(), motion,
                      *clips[:, :, ::5, 7::13, 5::11].flatten()[::7].tolist()]}

@promise('R15', 'what older versions wrote loads, and makes the clips that it made', 2, 7)
def older_versions(n, folder, dice):
    known = json.loads(KNOWN.read_text())
    there = sorted(p.name for p in SHIPPED.glob('*') if (p/'config.json').exists()
                   and not p.name.startswith('classifier'))
    assert set(known) == set(there), f'tests/shipped.json knows {sorted(known)}, shipped are {there}'
    for name in there[:n]:
        def attempt(name=name):
            for kind, numbers in measured(name).items():
                for mine, theirs in zip(numbers, known[name][kind], strict=True):
                    assert abs(mine - theirs) < 2e-3*(1 + abs(theirs)), f'{kind}: {mine}, not {theirs}'
        yield name, attempt

if __name__ == '__main__': # python tests/promises_of_faults.py: writes the numbers of weights that are new
    KNOWN.write_text(json.dumps({p.name: measured(p.name) for p in sorted(SHIPPED.glob('*'))
                                 if (p/'config.json').exists() and not p.name.startswith('classifier')},
                                indent=0) + '\n')
