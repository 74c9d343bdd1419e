"""Runs notebooks' code cells without Jupyter, with wrong edits made to their exported code.

Reads jobs from stdin and answers on stdout, a JSON object a line: {notebook, edited, edits: [[old, new], ...]} -> {cell, error}.
A fresh fork of this process, which has the libraries loaded, does each job."""
import ast, importlib, importlib.util, json, os, sys, types
from pathlib import Path

from pages import code_cells, is_export, is_off, module_of, root, source

LIBRARIES = 'torch torchvision accelerate huggingface_hub matplotlib.pyplot pandas IPython.display IPython.lib.pretty'.split()

def edit(text, edits):
    for old, new in edits: text = text.replace(old, new)
    return text

def load_edited(path, edits):
    "Put the edited module where `import` finds it."
    package, name = importlib.import_module('encgan3'), module_of(path)
    spec = importlib.util.find_spec(f'encgan3.{name}')
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    setattr(package, name, module)
    exec(compile(edit(Path(spec.origin).read_text(encoding='utf-8'), edits), spec.origin, 'exec'), module.__dict__)

def stored(cell):
    "The stored text of a cell's value, unless the cell asks not to compare it."
    if 'NBVAL_IGNORE_OUTPUT' in source(cell): return None
    data = [o['data'] for o in cell['outputs'] if o['output_type'] == 'execute_result']
    return ''.join(data[0].get('text/plain', '')) if data else None

def run_cell(text, space, expected):
    "Execute; the value of the last expression must look as it is stored."
    tree = ast.parse(text)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, 'cell', 'exec'), space)
    value = eval(compile(ast.Expression(last.value), 'cell', 'eval'), space) if last else None
    if value is None or expected is None: return
    shown = sys.modules['IPython.lib.pretty'].pretty(value)
    if shown != expected: raise AssertionError(f'shows {shown}, stored is {expected}')

def run(notebook, edited, edits):
    "Top to bottom, up to the first cell that fails."
    page = sys.modules['page'] = types.ModuleType('page')
    if edited: load_edited(root/'nbs'/f'{edited}.ipynb', edits)
    for i, cell in enumerate(code_cells(root/'nbs'/f'{notebook}.ipynb')):
        text = source(cell) + '\n'
        if is_off(cell): continue
        if notebook == edited and is_export(cell): text = edit(text, edits)
        try: run_cell(text, page.__dict__, stored(cell))
        except Exception as e: return dict(cell=i, error=f'{type(e).__name__}: {e}'[:300])
    return dict(cell=None, error=None)

def answer(job, out):
    "Do a job in a fork, silently."
    if child := os.fork(): return os.waitpid(child, 0)
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2): os.dup2(null, stream)
    try: result = run(**job)
    except BaseException as e: result = dict(cell=-1, error=f'{type(e).__name__}: {e}'[:300])
    os.write(out, (json.dumps(result) + '\n').encode())
    os._exit(0)

if __name__ == '__main__':
    os.environ |= dict(IN_TEST='1', HF_HUB_OFFLINE='1', OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='', MPLBACKEND='agg') # no threads, so that forks are safe
    os.chdir(root/'nbs')
    sys.path.insert(0, str(root))
    for name in LIBRARIES: importlib.import_module(name)
    sys.modules['torch'].set_num_threads(1)
    sys.modules['pandas'].set_option('display.max_columns', 20) # as in a notebook
    out = os.dup(1)
    for line in sys.stdin: answer(json.loads(line), out)
