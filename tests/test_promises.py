"A few tries of each promise; `make soak` makes all of them."
import json

import pytest

from forks import forks
from promises import all_promises, broken

def try_one(name, folder, answer):
    "In a process that has trained nothing yet: after a backward pass PyTorch's forks can't make one."
    promise = next(p for p in all_promises() if p.name == name)
    answer.write_text(json.dumps(broken(promise, promise.few, folder)))

@pytest.mark.parametrize('promise', all_promises(), ids=lambda p: p.name)
def test_it_is_kept(promise, tmp_path):
    answer, folder = tmp_path/'answer.json', tmp_path/'tries'
    folder.mkdir()
    process = forks.Process(target=try_one, args=(promise.name, folder, answer))
    process.start()
    process.join()
    assert process.exitcode == 0
    tried, failures = json.loads(answer.read_text())
    assert tried >= promise.few and not failures, '\n'.join(failures)
