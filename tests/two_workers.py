"A queue of short runs for two workers."
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from encgan3.campaign import runs as module, workers
from encgan3.campaign.workers import reproduce
from encgan3.evaluation.protocols import PROTOCOLS

def work_through(store: str, out: str, seeds: int):
    "Two runs of each seed; its workers are forks, which need not import anything."
    module.milestones = lambda steps, batch: [2, 4, steps] # more points than such short runs have
    workers.get_context = lambda method: get_context('fork')
    few = replace(PROTOCOLS['random'], clips=8, resamples=5)
    runs = [module.Run(e, store, seed, 'micro', 6, 4, protocol=few)
            for seed in range(seeds) for e in ('VGAN', 'MoCoGAN')]
    reproduce(runs, Path(out), Path(out)/'records', workers=2, quiet=True)
