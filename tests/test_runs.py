"""The queue of runs from outside: two workers share it, are killed at random moments, and lose nothing.

ENCGAN3_KILLS=20 for a long night.
"""
import json, os, random, signal, subprocess, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

import two_workers
from children import Fork
from encgan3.campaign.runs import Run, listing, read_records, training_lock
from encgan3.campaign.workers import reproduce
from encgan3.engine.checkpoints import checkpoints
from encgan3.engine.files import MACHINE, Signs, is_held
from encgan3.engine.processes import unheard
from encgan3.engine.stopping import stop_asked
from encgan3.evaluation import measure
from encgan3.evaluation.protocols import PROTOCOLS
from forks import command, forks
from people import store_in

KILLS = int(os.environ.get('ENCGAN3_KILLS', 3))
SEEDS = max(2, KILLS) # of two runs each, so that the queue outlasts so many kills

@pytest.fixture(scope='module')
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp('queue')
    store_in(home)
    return home

def start(home, out):
    "A queue in a process that has imported everything."
    process = forks.Process(target=two_workers.work_through, args=(str(home/'store'), str(out), SEEDS))
    process.start()
    return process

def called(home, *words):
    "What the command line says, if all goes well."
    process = forks.Process(target=command, args=(words, home/'said.txt'))
    process.start()
    process.join()
    assert process.exitcode == 0
    return (home/'said.txt').read_text()

def records_of(out): return {f.name: f.read_bytes() for f in (out/'records').glob('[!.]*')}

def measured(out):
    "What must not depend on kills: all but seconds, and the state of the repository."
    def plain(x):
        if isinstance(x, dict):
            return {k: plain(v) for k, v in x.items() if k not in ('core seconds', 'commit', 'code')}
        return [*map(plain, x)] if isinstance(x, list) else x
    return {name: plain(record) for name, record in read_records(out/'records').items()}

def at_work(process, out):
    "Wait until a queue has written something, or has ended."
    begin = time.time()
    def written():
        for path in out.rglob('*'):
            try:
                new = path.stat().st_mtime > begin
            except FileNotFoundError:
                continue
            if new:
                return True
    while process.is_alive() and not written():
        time.sleep(.02)

def end(process, how):
    """Kill the caller, all of them, or a worker and then the caller.

    What a kill leaves behind must end by itself.
    """
    family = [process, *psutil.Process(process.pid).children(recursive=True)]
    victims = {'caller': family[:1], 'worker': family[-1:], 'all': family}[how]
    for victim in victims:
        victim.kill()
    if how == 'worker':
        time.sleep(.5) # the other goes on alone
        process.kill()
    process.join(120)
    psutil.wait_procs(family[1:], timeout=120)
    assert not [p for p in family[1:] if p.is_running() and p.status() != psutil.STATUS_ZOMBIE], (
        'a worker outlives its caller')

@pytest.fixture(scope='module')
def unbroken(home):
    "Left alone."
    process = start(home, home/'unbroken')
    process.join()
    assert process.exitcode == 0
    return measured(home/'unbroken')

def test_two_workers_measure_each_run_once_with_its_curve(unbroken):
    assert len(unbroken) == 2*SEEDS
    for record in unbroken.values():
        assert [point['step'] for point in record['curve']] == [2, 4, 6]

def test_killed_at_random_moments_it_loses_nothing_and_measures_nothing_twice(home, unbroken,
        record_property):
    out, dice, kept, killed = home/'killed', random.Random(0), {}, 0
    for kill in range(KILLS):
        process = start(home, out)
        at_work(process, out)
        wait = time.monotonic() + dice.uniform(0, 2)
        how = dice.choice(['caller', 'worker', 'all'])
        process.join(wait - time.monotonic())
        if process.is_alive():
            end(process, how)
            killed += 1
        now = records_of(out)
        assert {name: now[name] for name in kept} == kept, 'a record that was there has changed'
        kept = now
    dead = subprocess.Popen([sys.executable, '-c', ''])
    dead.wait()
    for folder in (out/'records', out/'classifiers'): # as a worker leaves them that dies while it writes
        folder.mkdir(parents=True, exist_ok=True)
        (folder/f'.part-{MACHINE}-{dead.pid}-x.gif').touch()
    last = start(home, out)
    last.join()
    assert last.exitcode == 0
    now = records_of(out)
    assert {name: now[name] for name in kept} == kept and measured(out) == unbroken
    left = [p for p in out.rglob('.part-*')] + [p for p in out.rglob('.old-*')]
    assert not left, f'{left} stay for ever'
    assert killed > KILLS//2, 'the queue was done too early'
    record_property('kills that the queue survived', killed)

def test_one_signal_stops_all_of_it_and_says_so(home):
    words = ['reproduce', 'table2', '--data', home/'store', '--preset', 'micro', '--steps', '100000',
             '--protocol', 'random', '--workers', '2', '--out', home/'stopped']
    process = forks.Process(target=command, args=(words, home/'said.txt', .5))
    process.start()
    limit = time.monotonic() + 300
    try:
        while len([*(home/'stopped').glob('runs/*/.lock-*')]) < 2:
            assert process.is_alive() and time.monotonic() < limit
            time.sleep(.1)
        os.kill(process.pid, signal.SIGINT)
        process.join(120)
    finally:
        process.kill()
    said = (home/'said.txt').read_text()
    assert process.exitcode == 128 + signal.SIGINT and 'core hours' in said and 'missing' in said
    assert not list((home/'stopped').glob('records/*.json'))

def test_a_training_that_is_stopped_says_so_and_goes_on(home):
    "So that in `encgan3 train ... && encgan3 save ...` nothing unfinished is saved."
    words = ['train', '--data', home/'store', '--out', home/'run', '--preset', 'micro', '--set',
             'attention=false', '--batch', '2', '--steps']
    process = subprocess.Popen([Path(sys.executable).with_name('encgan3'), *words, '100000'],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    limit = time.monotonic() + 300
    while not (home/'run'/'log.jsonl').exists():
        assert process.poll() is None and time.monotonic() < limit
        time.sleep(.1)
    process.terminate()
    said, _ = process.communicate(timeout=120)
    made = json.loads((checkpoints(home/'run')[-1]/'state.json').read_text())['step']
    assert process.returncode == 128 + signal.SIGTERM and f'/run: {made} steps\n' in said
    assert f'/run: {made + 1} steps\n' in called(home, *words, made + 1)

def test_of_two_signals_in_one_moment_the_second_ends_a_run():
    "Python drops the second where the first one's handler has given it back already."
    def work():
        with stop_asked(), unheard():
            for number in (signal.SIGINT, signal.SIGTERM):
                os.kill(os.getpid(), number)
        time.sleep(5)
    ended = Fork(work)
    assert ended.wait() == -signal.SIGTERM and b'Traceback' not in ended.said

def test_a_listing_beside_a_worker_disturbs_nobody(home):
    "Whoever looks takes the lock for a moment; whoever works waits for it, and does not skip the run."
    run = Run('VGAN', str(home/'store'), 5, 'micro', 1, 2, protocol=PROTOCOLS['random'])
    probing = ('import sys; from encgan3.engine.files import MACHINE, is_held\n'
               'print(flush=True)\nwhile True: is_held(sys.argv[1])')
    lock = training_lock(run, home/'seen')
    lock.parent.mkdir(parents=True)
    Signs(lock).file.touch()
    prober = subprocess.Popen([sys.executable, '-c', probing, lock], stdout=subprocess.PIPE)
    prober.stdout.readline()
    assert reproduce([run], home/'seen', home/'seen'/'records', quiet=True) == [run.name]
    prober.kill()
    prober.wait()
    assert (not is_held(lock) and set(listing([1], [run], read_records(home/'seen'/'records'),
                                              home/'seen').state) == {'measured'})

def test_a_script_needs_no_guard_for_two_workers(home):
    "Workers are new processes, which must not run it again."
    script = home/'script.py'
    script.write_text(f"""
from encgan3.campaign.runs import Run
from encgan3.campaign.workers import reproduce
from encgan3.evaluation.protocols import PROTOCOLS
store, protocol = {str(home/'store')!r}, PROTOCOLS['random']
runs = [Run('VGAN', store, seed, 'micro', 1, 2, protocol=protocol) for seed in (8, 9)]
out = {str(home/'scripted')!r}
print(len(reproduce(runs, out, out + '/records', workers=2, quiet=True)))
""")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, '2\n'), done.stderr[-2000:]

def test_two_callers_train_one_classifier(home, monkeypatch):
    calls, real = [], measure.train_classifier
    monkeypatch.setattr(measure, 'train_classifier', lambda *args, **how: calls.append(args)
                        or real(*args, **how))
    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(measure.classifier_of, home/'store', home/'classifiers', True, steps=2, batch=4)
                 for _ in range(2)]
        records = [classifier.result().record() for classifier in found]
    assert len(calls) == 1 and records[0] == records[1]

def test_a_budget_that_is_over_leaves_no_record(home):
    said = called(home, 'reproduce', 'table1', '--data', home/'store', '--budget', '0s', '--preset', 'micro',
                  '--json', '--out', home/'over')
    assert not list((home/'over').glob('records/*'))
    assert {row['state'] for row in json.loads(said)} == {'missing'}
