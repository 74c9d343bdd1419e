"The first steps of every method compute what tests/golden.json says."
import json

import pytest

import golden

STORED = json.loads(golden.FILE.read_text())
# relative to the number, or to 1 where it is smaller: sums in another order differ by less, any other
# mathematics by more
TOLERANCE = 1e-8

def differences(found: dict, stored: dict, where: str = '') -> list[str]:
    if isinstance(stored, dict):
        keys = found.keys() | stored.keys()
        return [line for key in sorted(keys)
                for line in differences(found.get(key, {}), stored.get(key, {}),
                                        f'{where}, {key}'.lstrip(', '))]
    if len(found) != len(stored):
        return [f'{where}: {len(found)} numbers, not {len(stored)}']
    return [f'{where}: {a!r}, not {b!r}' for a, b in zip(found, stored)
            if not abs(a - b) <= TOLERANCE*max(1, abs(b))]

def test_all_methods_have_numbers():
    from encgan3.campaign.runs import METHODS
    assert (set(STORED['numbers']) == set(golden.cases())
            and {name.split()[0] for name in golden.cases()} == {'EncGAN3', *METHODS})
    assert all(len(reason.split()) > 2 for reason in STORED['reasons'])

@pytest.mark.parametrize('name', STORED['numbers'])
def test_golden(name):
    wrong = differences(golden.measured([name])[name], STORED['numbers'][name], name)
    assert not wrong, (
        '\n'.join(wrong + ["another result: mend it, or, if it is meant, say why: "
                           "python tests/golden.py --write 'REASON'"]))

def test_a_wrong_number_shows():
    "So does a missing one, and one that isn't a number."
    name, other = 'VGAN', json.loads(json.dumps(STORED['numbers']['VGAN']))
    other['step 1']['losses'][0] *= 1 + 3e-8
    other['step 2']['losses'][1] = float('nan')
    del other['clips']
    wrong = differences(other, STORED['numbers'][name])
    assert [line.split(':')[0] for line in wrong] == ['clips, new', 'step 1, losses', 'step 2, losses']
