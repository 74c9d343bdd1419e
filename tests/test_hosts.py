"""Several machines at one queue. A host is a process with a name and a path to the folder of its own: of
another host it sees what a file system shows, its files and their times.
"""
import os, signal, time
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from encgan3.campaign import workers
from encgan3.campaign.runs import Run, read_records
from encgan3.engine import files
from encgan3.engine.checkpoints import checkpoints, read_log
from encgan3.engine.files import locked
from encgan3.evaluation.protocols import PROTOCOLS
from forks import forks
from people import store_in

TRIES = int(os.environ.get('ENCGAN3_TRIES', 60)) # of each process
FEW = replace(PROTOCOLS['random'], clips=8, resamples=2)

def becomes(host: str, lease: float):
    "From now on this process is of another machine, on which silence is over sooner."
    files.HOST, files.LEASE, files.BEAT = host, lease, lease/20
    workers.BEAT = files.BEAT

def contend(host: str, folder: Path, tries: int):
    "Takes a lock again and again, and looks whether it is alone; a line for each time it was."
    becomes(host, 60) # so long that a busy machine isn't taken for a dead one
    for k in range(tries):
        with locked(folder/'a.lock', wait=.2) as mine:
            if not mine:
                continue
            inside = os.open(folder/'inside', os.O_CREAT | os.O_EXCL) # fails if somebody else is in
            time.sleep(.001*(k % 3))
            os.close(inside)
            os.unlink(folder/'inside')
            with open(folder/f'{host}.txt', 'a') as alone:
                alone.write(f'{os.getpid()}\n')

def work(host: str, queue: Path, runs: list, lease: float):
    "Works through a queue; what it tells goes to a file, with the time."
    becomes(host, lease)
    said = open(queue.parent/f'{host}.txt', 'a', buffering=1)
    def tell(what, value):
        said.write(f'{time.time()} {what} {value.training if what == "begin" else value}\n')
    workers.work(runs, queue/'out', queue/'records', 5, tell)

def told(home: Path, host: str) -> list[tuple]:
    "What a host has told: time, what, value."
    file = home/f'{host}.txt'
    lines = file.read_text().splitlines() if file.exists() else []
    return [(float(when), what, value) for when, what, value in (line.split(' ', 2) for line in lines)]

def until(true, seconds: float = 120):
    "Wait for what must come."
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, 'it did not come'
        time.sleep(.02)

@pytest.fixture(scope='module')
def store(tmp_path_factory):
    return store_in(tmp_path_factory.mktemp('hosts'))

@pytest.fixture
def started(tmp_path):
    "start(host, what it does, ...): a process of a host, with its own path to the shared folder."
    (tmp_path/'shared').mkdir()
    processes = []
    def start(host, does, *job):
        path = tmp_path/f'mount of {host}'
        if not path.exists():
            path.symlink_to(tmp_path/'shared', target_is_directory=True)
        processes.append(forks.Process(target=does, args=(host, path, *job)))
        processes[-1].start()
        return processes[-1]
    yield start
    for process in processes:
        process.kill()

def test_a_lock_is_held_by_one_host_at_a_time(started, tmp_path, record_property):
    hosts = [started(host, contend, TRIES) for host in ('one', 'two', 'three') for _ in range(2)]
    for process in hosts:
        process.join(300)
    assert [process.exitcode for process in hosts] == 6*[0], 'two were inside'
    held = {host: len((tmp_path/'shared'/f'{host}.txt').read_text().splitlines())
            for host in ('one', 'two', 'three')}
    assert min(held.values()) > 0
    record_property('times that a host held the lock', held)

def test_two_hosts_train_each_run_once(started, store, tmp_path):
    runs = [Run('VGAN', str(store), seed, 'micro', 2, 2, protocol=FEW) for seed in range(4)]
    for process in [started(host, work, runs, 60.) for host in ('one', 'two')]:
        process.join(300)
        assert process.exitcode == 0
    came = [(what, value) for host in ('one', 'two') for _, what, value in told(tmp_path, host)]
    assert sorted(value for what, value in came if what == 'begin') == sorted(run.training for run in runs)
    assert sorted(value for what, value in came if what == 'measured') == sorted(run.name for run in runs)
    assert len(read_records(tmp_path/'shared'/'records')) == 4

@pytest.mark.parametrize('dies', [True, False])
def test_the_run_of_a_silent_host_is_taken_over(dies, started, store, tmp_path, record_property):
    "One that is killed, and one that is stopped, sleeps too long, and goes on."
    run, lease = Run('VGAN', str(store), 0, 'micro', 300, 2, protocol=FEW), 8.
    folder = tmp_path/'shared'/'out'/'runs'/run.training
    one = started('one', work, [run], lease)
    until(lambda: checkpoints(folder))
    two = started('two', work, [run], lease)
    until(lambda: (folder.parent/f'{run.training}.lock-two').exists()) # it wants it too
    os.kill(one.pid, signal.SIGKILL if dies else signal.SIGSTOP)
    silent, reached = time.time(), int(checkpoints(folder)[-1].name[5:])
    until(lambda: told(tmp_path, 'two'))
    begun = told(tmp_path, 'two')[0][0]
    if not dies:
        os.kill(one.pid, signal.SIGCONT)
    assert lease - 1 < begun - silent < lease + 10, 'taken too soon, or too late'
    for process in [two] if dies else [two, one]:
        process.join(300)
        assert process.exitcode == 0
    steps = [int(value) for _, what, value in told(tmp_path, 'two') if what == 'step']
    assert steps[0] == reached + 10 and steps[-1] == 300, 'it began anew'
    late = [line for line in told(tmp_path, 'one') if line[0] > begun + 1]
    assert not [line for line in late if line[1] != 'step'] and len(late) < 3, 'both went on'
    assert [row['step'] for row in read_log(folder)] == [*range(10, 301, 10)] or not dies
    assert [*read_records(tmp_path/'shared'/'records')] == [run.name]
    record_property('seconds of silence until a run was taken over', round(begun - silent, 1))

def test_each_worker_sees_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(workers, 'get_context', lambda method: get_context('fork'))
    monkeypatch.setattr(workers, 'worker', lambda pipe: pipe.send(('sees', os.environ.get(workers.SEES))))
    seen = {}
    for outside, number in ((None, 3), ('GPU-a,GPU-b', 2), ('', 0)):
        monkeypatch.setattr(workers.torch.cuda, 'device_count', lambda: number)
        monkeypatch.delenv(workers.SEES, raising=False)
        if outside is not None:
            monkeypatch.setenv(workers.SEES, outside)
        heard = {}
        workers.listen(workers.start_workers(4), lambda i, what, value: heard.setdefault(i, value))
        seen[outside] = [heard[i] for i in range(4)]
        assert os.environ.get(workers.SEES) == outside
    assert seen == {None: ['0', '1', '2', '0'], 'GPU-a,GPU-b': 2*['GPU-a', 'GPU-b'], '': 4*['']}
