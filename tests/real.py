"Real videos, where they are at hand: each of them belongs to others, so none is in the repository."
import os
from pathlib import Path

import pytest

from pages import root

def real_data(name: str) -> Path:
    "A file or folder of the real data; the test is skipped where it is missing."
    home = Path(os.environ.get('ENCGAN3_DATA') or root.parent/'shared'/'data')
    if not (home/name).exists():
        pytest.skip(f'{name} is not at hand: name the folder of the real data in ENCGAN3_DATA')
    return home/name
