"R4: one signal ends a command after its step, in one line that says so; a second one at once."
import json, os, shutil, signal, threading, time
from pathlib import Path

import psutil
import torch
from children import Fork, done, left_over
from people import store_in
from promises import promise
from promises_of_runs import MODELS, digest, same_runs, trained
from test_resume import Noise

from encgan3.campaign.runs import read_records
from encgan3.cli import main
from encgan3.data.store import read_store
from encgan3.datasets import prepare
from encgan3.engine.checkpoints import checkpoints
from encgan3.engine.files import sha256_of
from encgan3.engine.weights import SHIPPED
from encgan3.standins.films import NOTE
from encgan3.training import train

TINY = SHIPPED/'weizmann-s-tiny'
TRAIN = ('train', '--preset', 'micro', '--set', 'attention=false', '--batch', 2, '--save-every', 3)
COMMANDS = { # what takes long enough to be stopped; HOME, and OUT: a folder of its own
    'train': (*TRAIN, '--data', 'HOME/store', '--out', 'OUT/run'),
    'reproduce': ('reproduce', 'table1', '--data', 'HOME/store', '--preset', 'micro', '--protocol', 'random',
                  '--out', 'OUT/queue'),
    'reproduce, two workers': ('reproduce', 'table1', '--data', 'HOME/store', '--preset', 'micro', '--json',
                               '--protocol', 'random', '--workers', 2, '--out', 'OUT/queue'),
    'prepare': ('prepare', 'weizmann-s', 'OUT/store', '--size', 32, '--workers', 0),
    'prepare, two workers': ('prepare', 'weizmann-s', 'OUT/store', '--size', 32, '--workers', 2),
    'demo': ('demo', '--videos', 'HOME/films', '--minutes', 9, '--out', 'OUT/demo'),
    'evaluate': ('evaluate', TINY, '--data', 'HOME/store', '--protocol', 'random', '--clips', 2000, '--out',
                 'OUT/evaluation.json'),
    'evaluate, a new classifier': ('evaluate', TINY, '--data', 'HOME/unknown', '--out',
                                   'OUT/evaluation.json'),
    'sample': ('sample', TINY, '--n', 3000, '--out', 'OUT/new'),
    'sample, one film': ('sample', TINY, '--n', 400, '--out', 'OUT/new.gif'),
    'edit': ('edit', TINY, 'FILM', '--out', 'OUT/edited.mp4'),
    'save': ('save', TINY, '--data', 'HOME/store', '--out', 'OUT/model')}
GOES_ON = 'train', 'reproduce'

def home_in(folder: Path, unknown: bool = False) -> Path:
    """Films and stores that all commands use, made once.

    unknown: also a store whose classifier isn't known, as if it were of recordings
    """
    home = folder/'home'
    store_in(home, ('jack', 'bend'))
    if unknown and not (home/'unknown').exists():
        shutil.copytree(home/'films', home/'others', ignore=shutil.ignore_patterns(NOTE))
        prepare('weizmann', home/'others', home/'unknown', size=32, workers=0, progress=False)
    return home

def words(name: str, home: Path, out: Path) -> list[str]:
    film = next((home/'films').rglob('daria_jack.avi'))
    return [str(w).replace('HOME', str(home)).replace('OUT', str(out)).replace('FILM', str(film))
            for w in COMMANDS[name]]

class Stopped:
    "A command that was sent signals: its exit code, what it said, seconds until it ended, who is left."
    def __init__(self, arguments: list[str], signals: list[int], wait: float, between: float):
        fork = Fork(lambda: main(arguments))
        end = time.monotonic() + wait
        while fork.poll() is None and time.monotonic() < end:
            time.sleep(.002)
        self.family = fork.family() if fork.poll() is None else []
        self.sent = 0
        for number in signals:
            if fork.poll() is None:
                self.sent += 1
                fork.send(number)
                start = time.monotonic()
                time.sleep(between)
        self.code = fork.wait(120)
        self.seconds = time.monotonic() - start if self.sent else 0
        self.left = [p for p in psutil.wait_procs(self.family, timeout=20)[1]]
        self.said = fork.text()

LONGEST = 4. # seconds that a command is left alone, at most

def stopped(name: str, home: Path, out: Path, signals: list[int], dice) -> Stopped:
    """A command that was at work when the first signal came, and not yet over when the last one did.

    out: its folder, emptied before
    """
    longest = LONGEST
    for _ in range(30):
        between = dice.uniform(.0005, .02)
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        found = Stopped(words(name, home, out), signals, dice.uniform(.05, longest), between)
        if found.sent == len(signals) and found.code: # else it was faster
            return found
        if not found.sent or not found.code:
            longest = max(.1, longest/2)
    raise AssertionError(f'{name} is always faster than the signals')

@promise('R4', 'a signal ends any command after its step, with 130 or 143, in one line; nothing is left', 2,
         72)
def single_signals(n, folder, dice):
    names = dice.sample([*COMMANDS], len(COMMANDS))
    for k in range(n):
        name = names[k % len(names)]
        home = home_in(folder, 'classifier' in name)
        number = dice.choice([signal.SIGINT, signal.SIGTERM])
        def attempt(k=k, name=name, number=number, home=home):
            out = folder/f'out{k}'
            found = stopped(name, home, out, [number], dice)
            assert found.code == 128 + number, f'code {found.code}: {found.said[-400:]}'
            assert found.said.count(f'encgan3: stopped by {number.name}; ') == 1, found.said[-400:]
            assert 'Traceback' not in found.said and 'ignored' not in found.said, found.said[-900:]
            assert found.seconds < 20, f'{found.seconds:.1f} s until it ended'
            assert not found.left, 'a process outlives it'
            assert not left_over(out) and not left_over(home)
            assert all(map(digest, checkpoints(out/'run')))
            if 'reproduce' in name:
                assert not read_records(out/'queue'/'records')
            if (out/'store'/'index.json').exists(): # the signal came when all was done
                assert read_store(out/'store')[0]['sha256'] == sha256_of(out/'store'/'frames.npy')
            for file in (p for p in out.rglob('*.json') if p.name != 'index.json'):
                json.loads(file.read_text())
        yield f'{name}, {number.name}', attempt

@promise('R4', 'a second signal ends it at once, and the next call finds everything sound', 1, 20)
def second_signals(n, folder, dice):
    names = dice.sample([*COMMANDS], len(COMMANDS))
    for k in range(n):
        name = 'train' if k % 3 == 0 else names[k % len(names)]
        home = home_in(folder, 'classifier' in name)
        two = dice.choices([signal.SIGINT, signal.SIGTERM], k=2)
        def attempt(k=k, name=name, two=two, home=home):
            out = folder/f'out{k}'
            found = stopped(name, home, out, two, dice)
            codes = {code for number in two for code in (128 + number, -number)}
            assert found.code in codes, f'code {found.code}: {found.said[-400:]}'
            assert 'Traceback' not in found.said, found.said[-900:]
            assert found.seconds < 8 and not found.left, f'{found.seconds:.1f} s until it ended'
            if name == 'train':
                again = [*words(name, home, out), '--steps', '1']
                assert not (code := Fork(lambda: main(again)).wait()), code
                assert digest(checkpoints(out/'run')[-1]) and not left_over(out)
        yield f'{name}, {two[0].name} and {two[1].name}', attempt

@promise('R4', 'an interrupted cell: model and run can be used, and it goes on as if it had not been', 1, 20)
def interrupted_cells(n, folder, dice):
    names = dice.sample([*MODELS], len(MODELS))
    for k in range(n):
        name, signals, wait = names[k % len(names)], dice.choice([1, 2]), dice.uniform(.2, 1.5)
        def attempt(k=k, name=name, signals=signals, wait=wait):
            run, whole = folder/f'run{k}', folder/f'whole{k}'
            def cell():
                torch.manual_seed(0)
                model = MODELS[name](0)
                def interrupt():
                    time.sleep(wait)
                    for _ in range(signals):
                        os.kill(os.getpid(), signal.SIGINT)
                        time.sleep(.02)
                threading.Thread(target=interrupt, daemon=True).start()
                how = dict(batch=2, save_every=2, log_every=1, quiet=True)
                try:
                    train(model, Noise(), run, 10**6, **how)
                    time.sleep(.1) # the second one may come after the end
                except KeyboardInterrupt:
                    assert signals == 2
                time.sleep(.1)
                assert not model.training and model.sample(1).isfinite().all()
                made = int(checkpoints(run)[-1].name[5:]) if checkpoints(run) else 0
                train(model, Noise(), run, made + 2, **how)
                (folder/'steps').write_text(str(made + 2))
            done(cell)
            steps = int((folder/'steps').read_text())
            done(lambda: trained(name, whole, steps, save_every=2))
            if signals == 1 or steps > 2:
                same_runs(whole, run)
            done(lambda: trained(name, run, steps, save_every=2)) # the next process sweeps
            assert not left_over(run)
        yield f'{name}, {signals} after {wait:.2f} s', attempt
