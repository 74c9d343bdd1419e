"""Tries every promise as often as it says, and writes what came of it: tests/soak.json.

python tests/soak.py [R2 R6-bad_videos ...]   all of them, or some, which are merged into the table
"""
import json, os, platform, subprocess, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import date
from pathlib import Path

from promises import all_promises, broken

TABLE = Path(__file__).with_name('soak.json')

def try_one(name: str, answer: Path):
    "One promise; a file is told what came of it."
    promise = next(p for p in all_promises() if p.name == name)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix='soak-') as folder:
        tries, failures = broken(promise, promise.many, Path(folder))
    answer.write_text(json.dumps({
        'promise': promise.id, 'what': promise.tries.__name__, 'says': promise.says,
        'file': f'{promise.tries.__module__}.py', 'tried': tries, 'failures': failures,
        'minutes': round((time.monotonic() - start)/60, 1)}))

def tried(name: str) -> dict:
    "One promise, in a process of its own, which may end as it likes."
    with tempfile.TemporaryDirectory() as here:
        answer = Path(here)/'answer'
        done = subprocess.run([sys.executable, __file__, '--one', name, answer], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True)
        if answer.exists():
            return json.loads(answer.read_text())
        raise RuntimeError(f'{name} ended with {done.returncode}: {done.stderr[-1000:]}')

def machine() -> str:
    "Processor and its number of cores."
    lines = Path('/proc/cpuinfo').read_text().splitlines() if Path('/proc/cpuinfo').exists() else []
    model = next((line.split(': ')[1] for line in lines if line.startswith('model name')), platform.machine())
    return f'{model}, {os.cpu_count()} cores'

def main(wanted: list[str]) -> int:
    names = [p.name for p in all_promises() if not wanted or p.id in wanted or p.name in wanted]
    assert names, f'no such promise: {wanted}'
    git = lambda *words: subprocess.run(['git', *words], capture_output=True, text=True,
                                        cwd=TABLE.parent.parent).stdout.strip()
    changed = git('status', '--porcelain', '--untracked-files=no', '--', '.', f':!tests/{TABLE.name}')
    commit = git('rev-parse', '--short', 'HEAD') + '-dirty'*bool(changed)
    old = json.loads(TABLE.read_text())['rows'] if TABLE.exists() else []
    rows = {f'{row["promise"]}-{row["what"]}': row for row in old}
    with ThreadPoolExecutor(2) as pool:
        for done in as_completed([pool.submit(tried, name) for name in names]):
            row = done.result() | {'commit': commit, 'date': date.today().isoformat(), 'machine': machine()}
            rows[f'{row["promise"]}-{row["what"]}'] = row
            print(f'{row["promise"]:4} {row["what"]:40} {row["tried"]:5} tried '
                  f'{len(row["failures"]):4} failed {row["minutes"]:5} min', *row['failures'],
                  sep='\n     ', flush=True)
            write(rows)
    return sum(len(rows[name]['failures']) for name in names)

def write(rows: dict):
    "The table, in the order of the promises; without those that there are no longer."
    kept = [rows[p.name] for p in all_promises() if p.name in rows]
    TABLE.write_text(json.dumps({'rows': kept}, indent=1) + '\n')

if __name__ == '__main__':
    if sys.argv[1:2] == ['--one']:
        try_one(sys.argv[2], Path(sys.argv[3]))
    else:
        sys.exit(bool(main(sys.argv[1:])))
