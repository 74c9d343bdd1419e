"Several processes that train together, as torchrun would start them."
import os, socket

import torch

from test_resume import Noise

class Double(Noise):
    "In float64: in float32 the last digit depends on the order of a sum, and Adam makes it grow."
    def clips(self, indices): return super().clips(indices).double()

def free_port() -> int:
    "Where the processes of one training may meet."
    with socket.socket() as place:
        place.bind(('127.0.0.1', 0))
        return place.getsockname()[1]

def as_rank(rank: int, of: int, port: int):
    "From now on this process is one of several; of one: it is alone, as without a launcher."
    torch.set_num_threads(1)
    if of > 1:
        names = dict(RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=of, LOCAL_WORLD_SIZE=of, MASTER_PORT=port)
        os.environ |= {name: str(value) for name, value in names.items()}
        os.environ |= {'MASTER_ADDR': '127.0.0.1', 'OMP_NUM_THREADS': '1'}

def alike(one: list[dict], two: list[dict]):
    "AssertionError unless two logs hold the same losses, to 1e-5 and the five digits that they have."
    assert [row.keys() for row in one] == [row.keys() for row in two]
    far = max(abs(a[name] - b[name])/max(1, abs(a[name])) for a, b in zip(one, two) for name in a)
    assert far < 2e-5, f'losses differ by {far:.2g}'
