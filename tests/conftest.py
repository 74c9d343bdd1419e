"Let nbval read what nbdev writes: its directives, and outputs whose execution counts were cleaned."
import re

import pytest
from xdist.scheduler import LoadScopeScheduling

from pages import is_off

def pytest_collection_modifyitems(items):
    cells = [item for item in items if hasattr(item, 'cell')]
    for page in {item.parent for item in cells}:
        # as nbval does with PNG: a network's last bits differ between CPUs
        page.skip_compare += ('image/gif',)
        page.sanitize_patterns[r' at 0x[0-9a-fA-F]+'] = ''
    for item in cells:
        if item.cell.execution_count is None and item.cell.outputs:
            item.cell.execution_count = 1
        skip_page = re.search(r'^- skip_exec:\s*true', item.parent.nb.cells[0].source, re.M)
        if skip_page or is_off(item.cell):
            item.options['skip'] = True

TOGETHER = 'test_runs.py', 'test_browser.py', 'test_hub.py' # they share what takes long to set up

class ByPage(LoadScopeScheduling):
    """The cells of a page run in one process, in order, its mutants in one, and some files in one.

    Every other test runs wherever there is room.
    """
    def _split_scope(self, nodeid):
        file = nodeid.split('::')[0]
        if file.endswith(('.ipynb', *TOGETHER)):
            return file
        mutant = re.search(r'test_mutants\.py::.*\[(\w+)', nodeid)
        return f'mutants of {mutant[1]}' if mutant else nodeid

@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log): return ByPage(config, log)

def pytest_terminal_summary(terminalreporter):
    "What tests measured, at the end."
    for report in terminalreporter.getreports('passed'):
        for name, value in report.user_properties if report.when == 'call' else ():
            terminalreporter.write_line(f'{name}: {value}')
