"The queue of runs from outside: killed in the middle and started again, it loses nothing; two workers share it."
import json, os, signal, subprocess, sys, time
from pathlib import Path

import pytest

from encgan3.datasets import prepare, write_standin
from encgan3.figures import weizmann_takes
from encgan3.runs import listing, queue, read_records

@pytest.fixture(scope='module')
def store(tmp_path_factory):
    home = tmp_path_factory.mktemp('films')
    write_standin('weizmann-s', home/'films', weizmann_takes(['daria', 'ido'], ['jack', 'walk']), workers=0, progress=False)
    prepare('weizmann', home/'films', home/'store', size=32, workers=0, progress=False)
    return home/'store'

def command(store, out, *more):
    return [Path(sys.executable).with_name('encgan3'), 'reproduce', 'table1', '--data', store, '--steps', '3', '--protocol', 'random', '--out', out, *more]

def listed(store, out):
    rows = listing([1], queue([1], [str(store)], steps=3), read_records(out/'records'), out)
    return dict(zip(rows.run, rows.state))

def wait_for(condition, process, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None and time.monotonic() < end, 'the queue ended, or hangs, before there was anything to kill'
        time.sleep(.1)

def test_killed_and_started_again(store, tmp_path):
    records = tmp_path/'records'
    worker = subprocess.Popen(command(store, tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: len(list(records.glob('*.json'))) >= 1 and 'running' in listed(store, tmp_path).values(), worker)
    kept = {f.name: f.read_bytes() for f in records.glob('*.json')}
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    assert 'running' not in listed(store, tmp_path).values(), 'the lock of a killed process still holds'
    worker = subprocess.Popen(command(store, tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: len(list(records.glob('*.json'))) > len(kept), worker)
    worker.terminate()
    worker.wait()
    assert {name: (records/name).read_bytes() for name in kept} == kept, 'a record that was there has changed'
    states = listed(store, tmp_path)
    assert sum(state == 'measured' for state in states.values()) > len(kept)
    for file in records.glob('*.json'): assert json.loads(file.read_text())['steps'] == 3

def test_two_workers_share_the_queue(store, tmp_path):
    workers = [subprocess.Popen(command(store, tmp_path, '--budget', '20s', '--json'), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(2)]
    for worker in workers: worker.communicate()
    assert all(worker.returncode == 0 for worker in workers)
    made = [json.loads(file.read_text()) for file in (tmp_path/'records').glob('*.json')]
    assert len(made) >= 2 and len({r['run'] for r in made}) == len(made)

def test_a_budget_that_is_over_leaves_no_record(store, tmp_path):
    done = subprocess.run(command(store, tmp_path, '--budget', '0s'), capture_output=True, text=True)
    assert done.returncode == 0 and not list((tmp_path/'records').glob('*'))
    assert set(listed(store, tmp_path).values()) == {'missing'}
