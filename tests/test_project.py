"What holds for the project as a whole: settings said once, safe and simple package, small repository."
import ast, importlib, inspect, re, subprocess, sys
from pathlib import Path

import pytest

from pages import module_of, notebooks, root, settings

LIB = settings['lib_name']
sources = sorted((root/settings['lib_path']).rglob('*.py'))
modules = [f'{LIB}.{name}' for name in map(module_of, notebooks) if name]
FORBIDDEN = {'eval', 'exec', 'compile', '__import__', 'torch.load', 'torch.save', 'yaml.load',
             'yaml.unsafe_load', 'os.system', 'tempfile.mktemp'}

def dotted(node):
    "The name of what is called, such as torch.load."
    if isinstance(node, ast.Attribute):
        return f'{dotted(node.value)}.{node.attr}'
    return node.id if isinstance(node, ast.Name) else ''

def tracked():
    "Files that git tracks or would track."
    out = subprocess.run(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], cwd=root,
                         capture_output=True, check=True).stdout
    return [root/name for name in out.decode().split('\0') if name and (root/name).exists()]

def test_readme_is_the_index(tmp_path):
    index = root/'nbs'/'index.ipynb'
    if not index.exists():
        pytest.skip('nbs/index.ipynb is not there yet')
    how = re.search(r'jupyter (nbconvert .*) --output-dir', (root/'Makefile').read_text())[1].split()
    where = '--output-dir', tmp_path, '--output', 'README', index
    jupyter = [Path(sys.executable).with_name('jupyter'), *how, *where]
    subprocess.run(jupyter, check=True, capture_output=True)
    assert [p.name for p in tmp_path.iterdir()] == ['README.md'], (
        'index.ipynb stores a picture: link to a file instead')
    # links from the root, as in the Makefile
    made = re.sub(r'\]\((\d|images/)', r'](nbs/\1', (tmp_path/'README.md').read_text()).replace('](../', '](')
    assert made == (root/'README.md').read_text(), 'README.md is made from nbs/index.ipynb: run `make export`'

def test_versions_stand_in_settings_alone():
    environment = (root/'environment.yml').read_text()
    assert f'python={settings["min_python"]}' in environment and '-e .[dev]' in environment
    assert len(re.findall(r'[=<>]=?\s*\d', environment)) == 1, 'environment.yml pins something besides Python'
    assert not re.search(r'[\'"]\S+[=<>]=\d', (root/'setup.py').read_text()), 'setup.py pins a version'
    exact = [r for r in settings['requirements'].split() if '==' in r]
    assert not exact, f'users need ranges, not {exact}'

def test_version_of_the_package():
    assert importlib.import_module(LIB).__version__ == settings['version']
    assert f'\nversion: {settings["version"]}\n' in (root/'CITATION.cff').read_text()
    assert f'\n## {settings["version"]}' in (root/'CHANGELOG.md').read_text()

def test_layout():
    "One statement a line, at most 110 columns, no name that is not used; ruff.toml says what is asked."
    ruff = [sys.executable, '-m', 'ruff', 'check', '--output-format', 'concise']
    pages = ['--config', root/'tests'/'ruff.toml', 'nbs', 'tests', 'setup.py']
    for wanted in (pages, ['--isolated', '--select', 'F', LIB]):
        done = subprocess.run([*ruff, *wanted], cwd=root, capture_output=True, text=True)
        assert not done.returncode, done.stdout + done.stderr

@pytest.mark.parametrize('path', sources, ids=lambda p: p.stem)
def test_nothing_that_runs_what_it_reads(path):
    "No pickle, no eval: a checkpoint or store from elsewhere can't run code."
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        at = f'{path.name}, line {getattr(node, "lineno", 0)}'
        names = ([a.name for a in node.names] + [getattr(node, 'module', None) or '']
                 if isinstance(node, (ast.Import, ast.ImportFrom)) else [])
        assert (not {n.split('.')[0] for n in names} & {'pickle', 'cPickle', 'dill', 'joblib', 'marshal',
                                                        'shelve', 'cloudpickle'}), (
            f'{at}: imports pickle')
        assert not {n.split('.')[0] for n in names} & {'nbdev', 'fastcore', 'execnb'}, (
            f'{at}: needs nbdev at run time')
        if not isinstance(node, ast.Call):
            continue
        allowed = {k.arg: getattr(k.value, 'value', True) for k in node.keywords}
        # networks that others publish as .pth
        tensors_only = (path.stem == 'pretrained' and dotted(node.func) == 'torch.load'
                        and allowed.get('weights_only') is True)
        assert tensors_only or dotted(node.func) not in FORBIDDEN, f'{at}: calls {dotted(node.func)}'
        assert not allowed.get('allow_pickle') and not allowed.get('shell'), f'{at}: allows pickle or a shell'

def test_training_needs_no_extras():
    "Training runs on a bare PyTorch image."
    extras = 'av scipy ipywidgets IPython nbdev fastcore execnb imageio pooch jupyterlab'.split()
    bare = f'import sys; sys.modules |= dict.fromkeys({extras}); import {LIB}.model, {LIB}.training'
    done = subprocess.run([sys.executable, '-c', bare], capture_output=True, text=True, cwd=root)
    assert not done.returncode, done.stderr

@pytest.mark.parametrize('name', modules)
def test_public_things_are_explained(name):
    module = importlib.import_module(name)
    assert (module.__doc__ or '').strip(), f'{name}: its notebook has no "> sentence"'
    mine = [(n, o) for n, o in vars(module).items() if getattr(o, '__module__', None) == name
            and inspect.isroutine(o) | inspect.isclass(o)]
    bare = [n for n, o in mine if n[0] != '_' and not ast_doc(module, n)]
    assert not bare, f'{name}: without a docstring {bare}'

def ast_doc(module, name):
    "The docstring as written: dataclasses invent one."
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name:
            return ast.get_docstring(node)

@pytest.mark.skipif(not (root/'.git').exists(), reason='not a git checkout')
def test_repository_is_small():
    sizes = {str(p.relative_to(root)): p.stat().st_size/1e6 for p in tracked()}
    large = {name: round(size, 1) for name, size in sizes.items() if size > 6}
    assert not large and sum(sizes.values()) < 50, f'{sum(sizes.values()):.0f} MB in all; over 6 MB: {large}'
