"A queue of short runs for two workers: python two_workers.py STORE OUT SEEDS, or a fork that calls it."
import sys
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from encgan3.campaign import runs as module, workers
from encgan3.campaign.workers import reproduce
from encgan3.evaluation.protocols import PROTOCOLS

def more_points():
    "Than such short runs have, in a process of its own."
    module.milestones = lambda steps, batch: [2, 4, steps]

def work_through(store: str, out: str, seeds: int):
    "Two runs of each seed."
    few = replace(PROTOCOLS['random'], clips=8, resamples=5)
    runs = [module.Run(e, store, seed, 'micro', 6, 4, protocol=few)
            for seed in range(seeds) for e in ('VGAN', 'MoCoGAN')]
    reproduce(runs, Path(out), Path(out)/'records', workers=2, quiet=True)

def forked(store: str, out: str, seeds: int):
    "The same in a process that has imported everything, as its workers then have."
    more_points()
    workers.get_context = lambda method: get_context('fork')
    work_through(store, out, seeds)

if __name__ in ('__main__', '__mp_main__'): # this program, and its workers
    more_points()
if __name__ == '__main__':
    work_through(*sys.argv[1:3], int(sys.argv[3]))
