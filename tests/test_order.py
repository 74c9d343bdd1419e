"""The house: CONTRIBUTING draws its rooms and what each may use; the code is exactly that.

Pages go by what a reader wants to know first, so numbers say nothing about imports.
"""
import ast
import re
from collections import Counter
from graphlib import TopologicalSorter

from pages import code_cells, module_of, notebooks, root, settings, source

LIB = settings['lib_name']
MODULES = {module_of(path): path for path in notebooks if module_of(path)}

def imported(path, cells):
    "Modules of this package that cells import, and whether by a star."
    for cell in cells:
        for node in ast.walk(ast.parse(source(cell))):
            if isinstance(node, ast.ImportFrom):
                stars = [a.name for a in node.names] == ['*']
                inside = node.module and (node.module == LIB or node.module.startswith(LIB + '.'))
                if stars and not inside:
                    yield node.module, stars
                for a in node.names if inside else ():
                    place = node.module.removeprefix(LIB).removeprefix('.')
                    whole = f'{place}.{a.name}'.removeprefix('.')
                    yield whole if whole in MODULES else place or '__init__', stars
            if isinstance(node, ast.Import):
                yield from ((a.name.removeprefix(LIB + '.'), False) for a in node.names
                            if a.name.startswith(LIB + '.'))

def used_by():
    "For each module the modules that its exported code and its functions import."
    graph = {}
    for name in MODULES:
        package = name.rpartition('.')[0]
        code = (root/LIB/(name.replace('.', '/') + '.py')).read_text(encoding='utf-8')
        found = set()
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.level or (node.module or '').startswith(LIB)):
                above = package if node.level == 1 else ''
                inside = (node.module or '').removeprefix(LIB) if not node.level else node.module or ''
                place = f'{above}.{inside}'.strip('.')
                found |= {whole if (whole := f'{place}.{a.name}'.strip('.')) in MODULES
                          else place or '__init__' for a in node.names}
        graph[name] = found - {name}
    return graph

def drawn():
    "The table of rooms in CONTRIBUTING: room -> its modules, the rooms it uses."
    text = (root/'CONTRIBUTING.md').read_text(encoding='utf-8').partition('## The house')[2]
    rows = re.findall(r'^\| \*\*([\w-]+)\*\* \| (.*?) \| (.*?) \|', text, re.M)
    assert rows, 'CONTRIBUTING has no table of rooms below "## The house"'
    return {room: (re.findall(r'`([\w.]+)`', modules), {*re.findall(r'[\w-]+', uses)} - {'nothing'})
            for room, modules, uses in rows}

def test_one_notebook_one_module():
    twice = [name for name, n in Counter(map(module_of, notebooks)).items() if name and n > 1]
    assert not twice, f'two notebooks export to {twice}, so one overwrites the other'

def test_pages_import_what_there_is():
    for path in notebooks:
        for name, star in imported(path, code_cells(path)):
            assert not star, f'{path.name}: star import of {name}'
            assert name in MODULES, f'{path.name}: imports {name}, which no notebook exports'

def test_imports_never_go_round():
    order = [*TopologicalSorter(used_by()).static_order()] # CycleError names those that do
    assert {*order} == {*MODULES}

def test_the_house_is_as_drawn():
    rooms = drawn()
    listed = Counter(name for modules, _ in rooms.values() for name in modules)
    assert max(listed.values()) == 1 and {*listed} == {*MODULES}, (
        f'in no room or in two: {sorted({*listed} ^ {*MODULES}) or listed.most_common(1)}')
    room_of = {name: room for room, (modules, _) in rooms.items() for name in modules}
    graph = used_by()
    for room, (modules, allowed) in rooms.items():
        uses = {room_of[other] for name in modules for other in graph[name]} - {room}
        assert uses == allowed, (f'{room}: CONTRIBUTING says it uses {sorted(allowed)}, '
                                 f'its code uses {sorted(uses)}')

def test_rooms_stand_on_rooms_below():
    below = set()
    for room, (_, allowed) in drawn().items():
        assert allowed <= below, f'{room} uses {sorted(allowed - below)}, which stand above it'
        below.add(room)
