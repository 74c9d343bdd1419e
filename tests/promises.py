"""What this program promises, as attacks that are counted: `make soak` makes all of them, `make test` a few.

A promise is a generator function of (how many, folder, dice). It yields one try after the other: what is
tried, and a function that raises where the promise is broken.
"""
import importlib, random, threading, traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm.auto import tqdm

# tqdm's own lock is shared with forks, and one that is killed may hold it
tqdm.set_lock(threading.RLock())
tqdm.monitor_interval = 0

HERE = Path(__file__).parent

@dataclass(frozen=True)
class Promise:
    id: str # R1 .. R16
    says: str
    tries: Callable[[int, Path, random.Random], Iterator[tuple[str, Callable]]]
    few: int # tries of `make test`
    many: int # and of `make soak`

    @property
    def name(self) -> str: return f'{self.id}-{self.tries.__name__}'

PROMISES: list[Promise] = []

def promise(id: str, says: str, few: int, many: int):
    "Register a generator of tries."
    def register(tries):
        PROMISES.append(Promise(id, says, tries, few, many))
        return tries
    return register

def all_promises() -> list[Promise]:
    "In the order of their numbers."
    for file in sorted(HERE.glob('promises_of_*.py')):
        importlib.import_module(file.stem)
    return sorted(PROMISES, key=lambda p: (int(p.id[1:]), p.tries.__name__))

def broken(promise: Promise, how_many: int, folder: Path, seed: int = 0) -> tuple[int, list[str]]:
    """Try a promise.

    returns: how many tries were made; the failed ones, each with its error
    """
    tried, failures = 0, []
    for name, attempt in promise.tries(how_many, folder, random.Random(seed)):
        tried += 1
        try:
            attempt()
        except Exception as e: # an assertion, or whatever the program let through
            where = traceback.extract_tb(e.__traceback__)[-1]
            said = ' '.join(str(e).split())[:300]
            place = f'{Path(where.filename).name}:{where.lineno}'
            failures.append(f'{name}: {type(e).__name__}: {said} ({place})')
    return tried, failures
