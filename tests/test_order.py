"A reader goes through the notebooks in order, so a module may import only what an earlier notebook exported."
import ast
from collections import Counter

from pages import code_cells, module_of, notebooks, settings, source

LIB = settings['lib_name']
MODULES = {module_of(path): path for path in notebooks if module_of(path)}

def imported(path, cells):
    "Modules of this package that cells import, and whether by a star."
    for cell in cells:
        for node in ast.walk(ast.parse(source(cell))):
            if isinstance(node, ast.ImportFrom):
                stars = [a.name for a in node.names] == ['*']
                if node.module == LIB:
                    yield from ((a.name, stars) for a in node.names)
                elif (node.module or '').startswith(LIB + '.'):
                    yield node.module.removeprefix(LIB + '.'), stars
                elif stars:
                    yield node.module, stars
            if isinstance(node, ast.Import):
                yield from ((a.name.removeprefix(LIB + '.'), False) for a in node.names
                            if a.name.startswith(LIB + '.'))

def test_one_notebook_one_module():
    twice = [name for name, n in Counter(map(module_of, notebooks)).items() if name and n > 1]
    assert not twice, f'two notebooks export to {twice}, so one overwrites the other'

def test_imports_point_backwards():
    for path in notebooks:
        for name, star in imported(path, code_cells(path)):
            assert not star, f'{path.name}: star import of {name}'
            assert name in MODULES, f'{path.name}: imports {name}, which no notebook exports'
            if MODULES[name] == path:
                continue # a page may use its own module by name
            assert MODULES[name].name < path.name, (
                f'{path.name}: imports {name}, which comes later, in {MODULES[name].name}')
