"House rules of the notebooks that a machine can check (CONTRIBUTING.md)."
import ast, io, re, tokenize

import pytest

from pages import OFF, code_cells, is_export, is_off, notebooks, read, root, settings, source

# a picture is the point there
PICTURES = ('01_idea 03_figure1 20_train 21_samples 22_latents 24_hires 25_two_people 26_own_videos '
            '52_table1 54_table3 66_synthetic 67_figures 68_faces 90_demo index').split()
KILOBYTES = dict.fromkeys(PICTURES, 1000)
EXPORT_LINES, LESSON_LINES, CELLS, WORDS = 60, 30, 50, 120
RANDOM = re.compile(r'torch\.(rand|randn|randint|randperm)\(|\brandom\.(random|choice)\('
                    r'|np\.random\.(rand|randn|randint|normal|uniform)\(')
SEEDED = re.compile(r'manual_seed|generator=|seed')
PLACES = re.compile(r'(?<![\w./])/(home|root|work|tmp|Users|mnt|opt|usr|var)/\w|[A-Z]:\\\\Users'
                    r'|\b0x[0-9a-f]{6,}', re.I)

pages = pytest.mark.parametrize('path', notebooks, ids=lambda p: p.stem)

def texts(cell):
    "Everything textual in a cell's outputs."
    for o in cell.get('outputs', []):
        yield ''.join(o.get('text', ''))
        yield from (''.join(v) for k, v in o.get('data', {}).items() if k.startswith('text/')
                    and isinstance(v, (str, list)))

def is_import(node): return isinstance(node, (ast.Import, ast.ImportFrom))

@pages
def test_title_and_sentence(path):
    first = read(path)['cells'][0]
    assert first['cell_type'] == 'markdown'
    assert re.fullmatch(r'# [^\n]+\n\n> [A-Z`][^\n]+\.', source(first).strip()), (
        f'{path.name}: begin with "# Title", an empty line and "> One sentence."')

@pages
def test_clean(path):
    "What nbdev_clean would do has been done."
    page = read(path)
    assert (page['nbformat'] == 4 and set(page['metadata']) <= {'kernelspec', 'title'}
            and set(page['metadata']['kernelspec']) == {'display_name', 'language', 'name'})
    ids = [c['id'] for c in page['cells']]
    assert len(ids) == len(set(ids)), f'{path.name}: cell ids repeat'
    for c in page['cells']:
        assert set(c['metadata']) <= set(settings['allowed_cell_metadata_keys'].split()), (
            f'{path.name}, cell {c["id"]}: metadata {c["metadata"]}; run nbdev_clean')
        assert c.get('execution_count') is None, (
            f'{path.name}, cell {c["id"]}: has an execution count; run nbdev_clean')
        assert c['cell_type'] == 'markdown' or source(c).strip(), f'{path.name}, cell {c["id"]}: is empty'

@pages
def test_outputs_are_portable(path):
    for c in code_cells(path):
        assert all(o['output_type'] != 'error' for o in c['outputs']), (
            f'{path.name}, cell {c["id"]}: stored an error')
        assert all(o.get('name') != 'stderr' for o in c['outputs']), (
            f'{path.name}, cell {c["id"]}: stored stderr')
        for text in texts(c):
            assert not PLACES.search(text), (
                f'{path.name}, cell {c["id"]}: shows a place of this machine, {PLACES.search(text)[0]!r}')

@pages
def test_size(path):
    limit, size = KILOBYTES.get(path.stem, 200), path.stat().st_size/1000
    assert size <= limit, f'{path.name}: {size:.0f} kB, not at most {limit}'

@pages
def test_short_cells(path):
    too_long = []
    for c in code_cells(path):
        lines = source(c).strip().count('\n') + 1 - source(c).startswith('#|')
        limit = EXPORT_LINES if is_export(c) else LESSON_LINES
        if lines > limit:
            too_long.append(f'{c["id"]} has {lines} lines, not at most {limit}')
    for c in read(path)['cells']:
        # equations, quotes and tables aside
        words = len(re.sub(r'\$\$.+?\$\$|^[>|].*?$', '', source(c), flags=re.S | re.M).split())
        if c['cell_type'] == 'markdown' and words > WORDS:
            too_long.append(f'{c["id"]} has {words} words, not at most {WORDS}')
    assert not too_long, f'{path.name}: {"; ".join(too_long)}'
    assert len(code_cells(path)) <= CELLS, (
        f'{path.name}: {len(code_cells(path))} code cells, not at most {CELLS}')

@pages
def test_help_says_it(path):
    "Shapes, units and errors stand in the docstring, which help() shows, and not beside the arguments."
    for c in code_cells(path):
        if not is_export(c):
            continue
        heads = [range(f.lineno, f.body[0].lineno) for f in ast.walk(ast.parse(source(c)))
                 if isinstance(f, ast.FunctionDef)]
        for token in tokenize.generate_tokens(io.StringIO(source(c)).readline):
            inside = token.type == tokenize.COMMENT and any(token.start[0] in head for head in heads)
            assert not inside, f'{path.name}, cell {c["id"]}: {token.string!r} belongs into the docstring'

@pages
def test_imports_alone(path):
    "nbdev exports a cell with imports and other code wrongly; the same habit keeps lessons tidy."
    for c in code_cells(path):
        if source(c).lstrip().startswith(('%', '!')):
            continue
        kinds = {is_import(node) for node in ast.parse(source(c)).body}
        assert kinds != {True, False} , (
            f'{path.name}, cell {c["id"]}: imports and other code; give imports a cell of their own')

@pages
def test_seeded(path):
    "A page that draws random numbers has said from which seed."
    seeded = False
    for c in code_cells(path):
        seeded |= SEEDED.search(source(c)) is not None
        if not is_export(c) and RANDOM.search(source(c)):
            assert seeded, f'{path.name}, cell {c["id"]}: draws before any seed is set'

@pages
def test_no_print(path):
    for c in code_cells(path):
        calls = [n.func.id for n in ast.walk(ast.parse(source(c))) if isinstance(n, ast.Call)
                 and isinstance(n.func, ast.Name)]
        assert is_export(c) or is_off(c) or 'print' not in calls, (
            f'{path.name}, cell {c["id"]}: prints; end the cell in a value')

ASKS = {'gpu': 'torch.cuda.is_available()', 'slow': "os.environ.get('ENCGAN3_SLOW')",
        'download': "os.environ.get('ENCGAN3_DOWNLOAD')"}

@pages
def test_run_all_is_never_an_hour(path):
    "JupyterLab doesn't know `#| gpu`: what is switched off in tests asks for itself."
    for c in filter(is_off, code_cells(path)):
        guard = ASKS[OFF.search(source(c))[1]]
        first, *others = ast.parse(source(c)).body
        assert (isinstance(first, ast.If) and ast.unparse(first.test) == guard
                and not any(isinstance(n, ast.Call) for other in others for n in ast.walk(other))), (
            f'{path.name}, cell {c["id"]}: put all of it under "if {guard}:"')

def test_contents_are_the_reading_order():
    numbered = [path.stem for path in notebooks if path.stem[0].isdigit()]
    cells = read(root/'nbs'/'index.ipynb')['cells']
    contents = next(source(c) for c in cells if '**The method**' in source(c))
    assert re.findall(r'\]\((\d\w+)\.ipynb\)', contents) == numbered

def test_each_page_says_where_to_go_next():
    numbered = [path for path in notebooks if path.stem[0].isdigit()]
    for path, after in zip(numbered, numbered[1:]):
        title = source(read(after)['cells'][0]).split('\n')[0].lstrip('# ')
        last = source(read(path)['cells'][-1])
        assert last == f'Next: [{title}]({after.name})', f'{path.name} ends with {last[:60]!r}'
