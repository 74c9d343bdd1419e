"A few tries of each promise; `make soak` makes all of them."
import pytest

from promises import all_promises, broken

@pytest.mark.parametrize('promise', all_promises(), ids=lambda p: p.name)
def test_it_is_kept(promise, tmp_path):
    tried, failures = broken(promise, promise.few, tmp_path)
    assert tried >= promise.few and not failures, '\n'.join(failures)
