"""Several processes train as one does, stop together, and none waits for one that is lost.

Real processes with Gloo, on a processor.
"""
import json, os, signal, subprocess, sys, time

import psutil
import pytest
import torch

from encgan3.campaign.runs import METHODS
from encgan3.cli import main
from encgan3.data.store import ClipStore
from encgan3.engine.checkpoints import checkpoints, read_log
from encgan3.engine.stopping import heard
from encgan3.training import train
from forks import forks
from people import store_in
from several import Double, alike, as_rank, free_port
from test_resume import MODELS

class Eventful(Double):
    "Something happens in one process when it reads the clips of a step."
    def __init__(self, event: str, step: int): self.event, self.left = event, step + 1

    def clips(self, indices):
        self.left -= 1
        clips = super().clips(indices)
        if self.left == 0 and self.event == 'NaN':
            clips[0] = float('nan')
        elif self.left == 0:
            os.kill(os.getpid(), getattr(signal, self.event))
        return clips

class DoubleStore(ClipStore):
    def clips(self, indices): return super().clips(indices).double()

def one_rank(rank, of, port, answer, name, run, steps, store, how):
    as_rank(rank, of, port)
    torch.manual_seed(0)
    how = dict(batch=4, log_every=1, save_every=3, quiet=True) | how
    try:
        said = train(MODELS[name](0).double(), store, run, steps, **how)
    except Exception as e:
        said = f'{type(e).__name__}: {e}'
    answer.write_text(json.dumps(said))

def trained(folder, of, name, steps, store=Double(), odd=None, run='run', last={}, **how) -> list:
    """A training by several processes.

    odd, last: the store of the last one; options of the last one
    returns: what each says, the number of steps or an error; None: it was killed
    """
    port = free_port()
    answers = [folder/f'{run}-{rank}.json' for rank in range(of)]
    jobs = [(rank, of, port, answer, name, folder/run, steps, store, how)
            for rank, answer in enumerate(answers)]
    jobs[-1] = (*jobs[-1][:-2], odd or store, how | last)
    processes = [forks.Process(target=one_rank, args=job) for job in jobs]
    for answer, process in zip(answers, processes):
        answer.unlink(missing_ok=True)
        process.start()
    for process in processes:
        process.join(300)
        assert process.exitcode is not None, 'it waits for ever'
    return [json.loads(answer.read_text()) if answer.exists() else None for answer in answers]

NO_FSA = 'EncGAN3, no F-SA, squared errors, changes'

def test_the_same_batch_gives_the_same_losses(tmp_path):
    for ranks in (1, 2, 4):
        assert trained(tmp_path, ranks, NO_FSA, 20, run=f'{ranks}') == ranks*[20]
    one, *others = (read_log(tmp_path/f'{ranks}') for ranks in (1, 2, 4))
    assert len(one) == 20
    for several in others:
        alike(one, several)

OTHERS = 'EncGAN3, as printed', 'EncGAN3, frozen statistics, any frame, other colours'

@pytest.mark.parametrize('name', [*OTHERS, *METHODS])
def test_and_so_do_other_models(name, tmp_path):
    for ranks in (1, 2):
        assert trained(tmp_path, ranks, name, 2, run=f'{ranks}', flip=True, shift=2) == ranks*[2]
    alike(*(read_log(tmp_path/f'{ranks}') for ranks in (1, 2)))

def test_films_with_companions_and_another_number_of_processes(tmp_path):
    "What one process began goes on in two, then in four."
    how = dict(store=DoubleStore(store_in(tmp_path)), flip=True, shift=2, same=('subject',))
    assert trained(tmp_path, 1, NO_FSA, 3, run='whole', **how) == [3]
    for ranks, steps in ((1, 1), (2, 2), (4, 3)):
        assert trained(tmp_path, ranks, NO_FSA, steps, **how) == ranks*[steps]
    alike(*(read_log(tmp_path/run) for run in ('whole', 'run')))

@pytest.mark.parametrize('event', ['SIGTERM', 'deadline', 'NaN', 'SIGKILL'])
def test_what_happens_to_one_ends_all(event, tmp_path):
    start = time.monotonic()
    if event == 'deadline':
        said = trained(tmp_path, 2, 'VGAN', 10**6, last={'minutes': 1/60})
    else:
        said = trained(tmp_path, 2, 'VGAN', 10**6, odd=Eventful(event, 4))
    seconds = time.monotonic() - start
    steps = [int(c.name[5:]) for c in checkpoints(tmp_path/'run')]
    match event:
        case 'SIGTERM':
            assert said == [5, 5] and steps == [3, 5]
        case 'deadline':
            assert said[0] == said[1] == steps[-1] > 0
        case 'NaN':
            assert said[0] == said[1] and said[0].startswith('FloatingPointError: step 4: the loss is nan')
            assert steps == [3]
        case 'SIGKILL':
            assert said[1] is None and 'another process of this training has ended' in said[0]
            assert steps == [3] and seconds < 30
    assert trained(tmp_path, 1, 'VGAN', steps[-1] + 2) == [steps[-1] + 2]
    assert trained(tmp_path, 1, 'VGAN', steps[-1] + 2, run='whole') == [steps[-1] + 2]
    alike(*(read_log(tmp_path/run) for run in ('whole', 'run')))

@pytest.mark.parametrize('last, batch, said', [({'seed': 1}, 4, 'settings: the processes'),
                                               ({'save_every': 2}, 4, 'save_every: the processes'),
                                               ({}, 3, "batch=3: 2 processes can't share it evenly"),
                                               ({'compiler': 'default'}, 4, 'several processes share')])
def test_what_does_not_fit_is_refused(last, batch, said, tmp_path):
    answers = trained(tmp_path, 2, 'VGAN', 2, batch=batch, last=last)
    assert f'InputError: {said}' in answers[1] or said in answers[1]
    assert not checkpoints(tmp_path/'run')

def test_the_command_line_under_torchrun(tmp_path):
    "One process of two is killed: the launcher ends within ten seconds, and the run goes on without it."
    run = tmp_path/'run'
    words = ['-m', 'encgan3', 'train', '--preset', 'micro', '--set', 'attention=false', '--batch', 2,
             '--data', store_in(tmp_path), '--save-every', 2, '--out', run, '--steps']
    several = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', 2]
    program = lambda *words: subprocess.Popen([sys.executable, *map(str, words)], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {'OMP_NUM_THREADS': '1'})
    launcher = program(*several, *words, 10**6)
    end = time.monotonic() + 200
    while not checkpoints(run):
        assert launcher.poll() is None and time.monotonic() < end, launcher.communicate()
        time.sleep(.1)
    victim = max(psutil.Process(launcher.pid).children(), key=lambda p: p.pid)
    victim.kill()
    start = time.monotonic()
    _, said = launcher.communicate(timeout=60)
    assert launcher.returncode and time.monotonic() - start < 10
    assert 'another process of this training has ended' in said
    steps = int(checkpoints(run)[-1].name[5:]) + 2
    alone = program(*words, steps)
    out, _ = alone.communicate(timeout=200)
    assert not alone.returncode and f'{steps} steps' in out

def test_the_launchers_signal_hides_no_reason(monkeypatch, capsys, tmp_path):
    """A process is lost, and torchrun's SIGTERM to the others comes at the worst moment: when the training
    has ended and listens no more.
    """
    def lost(*_, **__):
        raise ConnectionAbortedError('another process has ended')

    def signalled():
        give_back()
        signal.raise_signal(signal.SIGTERM)

    give_back = heard.give_back
    monkeypatch.setattr('encgan3.training.train', lost)
    monkeypatch.setattr(heard, 'give_back', signalled)
    words = ['--preset', 'micro', '--data', store_in(tmp_path), '--out', tmp_path/'run']
    code = main(['train', *map(str, words)])
    said = capsys.readouterr().err
    assert code == 143 and said.index('another process has ended') < said.index('stopped by SIGTERM')
