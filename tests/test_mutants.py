"Lessons can fail: each wrong edit of the exported code turns its page red, and without an edit no page is."
import json, subprocess, sys
from collections import Counter
from functools import cache

import pytest

from mutants import MUTANTS
from pages import code_cells, is_export, module_of, root, settings, source

NO_REASON = ('SyntaxError', 'IndentationError', 'NameError', 'ImportError', 'ModuleNotFoundError') # the edit itself is broken

@pytest.fixture(scope='session')
def run():
    "run(notebook) -> of the page, and of its mutants by name: the first cell that fails and its error, or None and None."
    worker = subprocess.Popen([sys.executable, root/'tests'/'runner.py'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    @cache
    def run(notebook):
        mine = [m for m in MUTANTS if m[1] == notebook]
        worker.stdin.write(json.dumps(dict(notebook=notebook, mutants=[list(edits(m)) for m in mine])) + '\n')
        worker.stdin.flush()
        found = json.loads(worker.stdout.readline())
        return found['page'], dict(zip((m[0] for m in mine), found['mutants']))
    yield run
    worker.stdin.close()
    worker.wait()

def edits(mutant): return zip(mutant[2::2], mutant[3::2])

def exported(notebook):
    "The exported cells of a notebook, and its module."
    path = root/'nbs'/f'{notebook}.ipynb'
    module = root/settings['lib_path']/(module_of(path).replace('.', '/') + '.py')
    return ''.join(source(c) + '\n' for c in code_cells(path) if is_export(c)), module.read_text(encoding='utf-8')

@pytest.mark.parametrize('notebook', sorted({m[1] for m in MUTANTS}))
def test_unedited_pages_pass(run, notebook):
    assert run(notebook)[0] == dict(cell=None, error=None)

@pytest.mark.parametrize('mutant', MUTANTS, ids=lambda m: f'{m[1]}: {m[0]}')
def test_wrong_edit_is_noticed(run, mutant):
    name, notebook = mutant[:2]
    for old, new in edits(mutant):
        for text in exported(notebook): assert text.count(old) == 1, f'mutant {name!r}: {old!r} occurs {text.count(old)} times in {notebook}: bring tests/mutants.py up to date'
    found = run(notebook)[1][name]
    assert found['cell'] is not None, f'{notebook} stays green although {name}: a lesson is missing'
    assert found['cell'] >= 0 and not found['error'].startswith(NO_REASON), f'mutant {name!r} does not run: {found["error"]}'

def test_names_differ():
    assert not [name for name, n in Counter((m[0], m[1]) for m in MUTANTS).items() if n > 1]
