"""Runs a notebook's code cells without Jupyter, and again for every wrong edit of its exported code.

Reads jobs from stdin and answers on stdout, a JSON object a line:
{notebook, mutants: [[[old, new], ...], ...]} -> [{cell, error}, ...], one for each mutant.
Cells before an edit are the same for all: where an edit lies, a fork of the process goes on with it."""
import ast, importlib, importlib.util, json, os, shutil, sys, tempfile, types
from pathlib import Path

from edits import places, replaced
from pages import code_cells, is_export, is_off, module_of, root, source

LIBRARIES = ('torch torchvision accelerate huggingface_hub matplotlib.pyplot pandas IPython.display '
             'IPython.lib.pretty'.split())

def edit(text, edits):
    for old, new in edits:
        text = replaced(text, old, new)
    return text

def load_edited(path, edits):
    "Put the edited module where `import` finds it."
    spec = importlib.util.find_spec(f'encgan3.{module_of(path)}')
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    package, _, name = spec.name.rpartition('.')
    setattr(importlib.import_module(package), name, module)
    exec(compile(edit(Path(spec.origin).read_text(encoding='utf-8'), edits), spec.origin, 'exec'),
         module.__dict__)

def stored(cell):
    "The stored text of a cell's value, unless the cell asks not to compare it."
    if 'NBVAL_IGNORE_OUTPUT' in source(cell):
        return None
    data = [o['data'] for o in cell['outputs'] if o['output_type'] == 'execute_result']
    return ''.join(data[0].get('text/plain', '')) if data else None

def run_cell(text, space, expected):
    "Execute; the value of the last expression must look as it is stored."
    tree = ast.parse(text)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, 'cell', 'exec'), space)
    value = eval(compile(ast.Expression(last.value), 'cell', 'eval'), space) if last else None
    if value is None or expected is None:
        return
    shown = sys.modules['IPython.lib.pretty'].pretty(value)
    if shown != expected:
        raise AssertionError(f'shows {shown}, stored is {expected}')

def run_on(cells, first, space, edits=()):
    "Top to bottom from cell `first`, up to the first cell that fails."
    for i, cell in enumerate(cells[first:], first):
        if is_off(cell):
            continue
        text = source(cell) + '\n'
        try:
            run_cell(edit(text, edits) if is_export(cell) else text, space, stored(cell))
        except Exception as e:
            return dict(cell=i, error=f'{type(e).__name__}: {e}'[:300])
    return dict(cell=None, error=None)

def forked(work):
    "What `work()` returns in a fork of this process, which leaves no traces but in files."
    reader, writer = os.pipe()
    if child := os.fork():
        os.close(writer)
        with open(reader) as pipe:
            answer = pipe.read()
        os.waitpid(child, 0)
        return json.loads(answer) if answer else dict(cell=-1, error='the process died')
    os.close(reader)
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(null, stream)
    try:
        result = work()
    except BaseException as e:
        result = dict(cell=-1, error=f'{type(e).__name__}: {e}'[:300])
    with open(writer, 'w') as pipe:
        json.dump(result, pipe)
    os._exit(0)

def untouched(work):
    "What `work()` returns, after which temporary files are as before."
    here = Path(tempfile.gettempdir())
    kept = shutil.copytree(here, here.with_suffix('.kept'), symlinks=True)
    try:
        return work()
    finally:
        shutil.rmtree(here)
        kept.rename(here)

def run(notebook, mutants):
    "All mutants of a page, each from the cell on that it changes first."
    path = root/'nbs'/f'{notebook}.ipynb'
    cells, space, found = code_cells(path), types.ModuleType('page'), [None]*len(mutants)
    sys.modules['page'] = space
    changes = lambda cell, edits: is_export(cell) and any(places(source(cell) + '\n', old)
                                                          for old, _ in edits)
    begins = [next((i for i, cell in enumerate(cells) if changes(cell, edits)), None) for edits in mutants]

    def mutated(first, edits):
        load_edited(path, edits)
        return run_on(cells, first, space.__dict__, edits)

    for i in range(max(begins) + 1):
        for k, edits in enumerate(mutants):
            if begins[k] == i:
                found[k] = untouched(lambda: forked(lambda: mutated(i, edits)))
        page = run_on(cells[:i + 1], i, space.__dict__)
        if page['error']:
            raise RuntimeError(f'{notebook} fails without an edit, {page}')
    return found

if __name__ == '__main__':
    # no threads, so that forks are safe
    os.environ |= dict(IN_TEST='1', HF_HUB_OFFLINE='1', OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='',
                       MPLBACKEND='agg')
    os.chdir(root/'nbs')
    sys.path.insert(0, str(root))
    for name in LIBRARIES:
        importlib.import_module(name)
    sys.modules['torch'].set_num_threads(1)
    sys.modules['pandas'].set_option('display.max_columns', 20) # as in a notebook
    for line in sys.stdin:
        with tempfile.TemporaryDirectory() as here:
            os.environ['TMPDIR'] = tempfile.tempdir = str(Path(here, 'files'))
            Path(here, 'files').mkdir()
            answer = forked(lambda: run(**json.loads(line)))
            tempfile.tempdir = None
        print(json.dumps(answer), flush=True)
