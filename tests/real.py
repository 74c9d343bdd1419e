"Real videos of the paper's data sets, where somebody has them: they belong to others and are never part of this repository."
import os
from pathlib import Path

import pytest

def real_data(name: str) -> Path:
    "The folder `name` of $ENCGAN3_DATA, else of ../shared/data beside the repository; the test is skipped without it."
    places = [Path(p) for p in [os.environ.get('ENCGAN3_DATA')] if p] or [Path(__file__).parents[2]/'shared'/'data']
    for place in places:
        if (place/name).is_dir():
            return place/name
    pytest.skip(f'needs {name}: real videos, which belong to others; set ENCGAN3_DATA to the folder that holds {name}')
