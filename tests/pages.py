"The notebooks, as the tests read them."
import json, re
from configparser import ConfigParser
from pathlib import Path

root = Path(__file__).parents[1]
ini = ConfigParser(delimiters=['='])
ini.read(root/'settings.ini', encoding='utf-8')
settings = ini['DEFAULT']
OFF = re.compile(r'^#\|\s*(eval:\s*false|' + '|'.join(settings['tst_flags'].split()) + r')\s*$', re.M)
notebooks = sorted((root/'nbs').glob('*.ipynb'))

def read(path: Path) -> dict: return json.loads(path.read_text(encoding='utf-8'))
def source(cell: dict) -> str: return ''.join(cell['source'])
def is_export(cell: dict) -> bool: return re.search(r'^#\|\s*export', source(cell), re.M) is not None
def is_off(cell: dict) -> bool: return OFF.search(source(cell)) is not None
def code_cells(path: Path) -> list[dict]: return [c for c in read(path)['cells'] if c['cell_type'] == 'code']

def module_of(path: Path) -> str | None:
    "What a notebook exports to, such as 'losses'; None for a page without a module."
    names = {m[1] for c in code_cells(path)
             if (m := re.search(r'^#\|\s*default_exp\s+(\S+)', source(c), re.M))}
    assert len(names) < 2, f'{path.name} has more than one default_exp: {names}'
    return names.pop() if names else None
