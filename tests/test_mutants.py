"Lessons can fail: each wrong edit of the exported code turns its page red. `make mutants` tries them all."
import ast
import json
import os
import subprocess
import sys
from collections import Counter
from functools import cache

import pytest

from edits import joined, places, replaced, words
from mutants import LIKELY, OTHERS
from pages import code_cells, is_export, module_of, root, settings, source

ALL = LIKELY + OTHERS
CHOSEN = ALL if os.environ.get('ENCGAN3_MUTANTS') == 'all' else LIKELY
# the edit itself is broken
NO_REASON = 'SyntaxError', 'IndentationError', 'NameError', 'ImportError', 'ModuleNotFoundError'

@pytest.fixture(scope='session')
def run():
    """run(notebook) -> of each of its mutants by name: the first cell that fails and its error, or None and
    None.
    """
    worker = subprocess.Popen([sys.executable, root/'tests'/'runner.py'], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)

    @cache
    def run(notebook):
        mine = [mutant for mutant in CHOSEN if mutant[1] == notebook]
        worker.stdin.write(json.dumps(dict(notebook=notebook, mutants=[edits(mutant) for mutant in mine]))
                           + '\n')
        worker.stdin.flush()
        found = json.loads(worker.stdout.readline())
        assert isinstance(found, list), found['error']
        return dict(zip((mutant[0] for mutant in mine), found))

    yield run
    worker.stdin.close()
    worker.wait()

def edits(mutant) -> list[tuple[str, str]]:
    "Its old and new texts, in pairs."
    return list(zip(mutant[2::2], mutant[3::2]))

@cache
def exported(notebook) -> tuple[str, str]:
    "The exported cells of a notebook, and its module."
    path = root/'nbs'/f'{notebook}.ipynb'
    module = root/settings['lib_path']/(module_of(path).replace('.', '/') + '.py')
    return ''.join(source(cell) + '\n' for cell in code_cells(path)
                   if is_export(cell)), module.read_text(encoding='utf-8')

def test_edits_survive_another_layout():
    code = 'if a: # why\n    b(c,\n      d,\n    )\n'
    assert replaced(code, 'if a: b(c, d)', 'if a: b(d, d)') == code.replace('c,', 'd,')
    assert replaced(code, 'b(c, d)', 'b(c, d) + 1') == code.replace(')\n', ') + 1\n')
    assert replaced(code, 'b(c, d)', 'b(c)') == 'if a: # why\n    b(c,\n    )\n'
    assert replaced(code, 'a: c', 'a: d') == replaced(code, 'why', 'because') == code

def test_names_differ():
    assert not [name for name, n in Counter((mutant[0], mutant[1]) for mutant in ALL).items() if n > 1]

def test_every_wrong_edit_finds_its_place():
    for mutant in ALL:
        name, notebook = mutant[:2]
        for text in exported(notebook):
            for old, new in edits(mutant):
                found = len(places(text, old))
                assert found == 1, (
                    f'mutant {name!r}: {old!r} occurs {found} times in {notebook}: '
                    'bring tests/mutants.py up to date')
                assert joined(words(old)) != joined(words(new)), f'mutant {name!r} changes nothing'
        for old, new in edits(mutant):
            text = replaced(text, old, new)
        ast.parse(text)

@pytest.mark.parametrize('mutant', CHOSEN, ids=lambda mutant: f'{mutant[1]}: {mutant[0]}')
def test_wrong_edit_is_noticed(run, mutant):
    name, notebook = mutant[:2]
    found = run(notebook)[name]
    assert found['cell'] is not None, f'{notebook} stays green although {name}: a lesson is missing'
    assert found['cell'] >= 0 and not found['error'].startswith(NO_REASON), (
        f'mutant {name!r} does not run: {found["error"]}')
