"Let nbval read what nbdev writes: its directives, and outputs whose execution counts were cleaned."
import os, re, signal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from jupyter_client import BlockingKernelClient
from jupyter_client.connect import write_connection_file
from nbval import plugin as nbval
from xdist.scheduler import LoadScopeScheduling

from forks import forks, kernel
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

class Kernel(nbval.RunningKernel):
    "nbval's kernel, as a fork: pages don't wait for imports that all of them begin with."
    def __init__(self, kernel_name, cwd=None, startup_timeout=60):
        self.folder = TemporaryDirectory()
        file = Path(self.folder.name, 'kernel.json')
        write_connection_file(str(file), ip=str(file.with_suffix('')), transport='ipc')
        self.process = forks.Process(target=kernel, args=(str(file), cwd))
        self.process.start()
        self.kc = BlockingKernelClient(connection_file=str(file))
        self.kc.load_connection_file()
        self.kc.start_channels()
        self.kc.wait_for_ready(timeout=startup_timeout)
        self._ensure_iopub_up()

    def is_alive(self): return self.process.is_alive()
    def interrupt(self): os.kill(self.process.pid, signal.SIGINT)

    def stop(self):
        self.kc.stop_channels()
        self.process.kill()
        self.process.join()
        self.folder.cleanup()

nbval.RunningKernel = Kernel

# they share what takes long to set up
TOGETHER = 'test_runs.py', 'test_browser.py', 'test_hub.py', 'test_site.py'

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
