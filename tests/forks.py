"""Processes that begin with everything imported: forks of one process that does nothing else.

For tests of what a program does once it runs; how it starts is tested by programs that really start."""
import os, signal
from functools import partial
from multiprocessing import get_context

forks = get_context('forkserver')
forks.set_forkserver_preload(['torch', 'torchvision', 'accelerate', 'scipy.stats', 'matplotlib.pyplot',
                              'pandas', 'ipykernel.kernelapp', 'encgan3.cli', 'encgan3.campaign.workers'])

def said_to(out, err):
    "From now on this process, and those that it starts, write into files."
    for stream, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)

def kernel(connection_file: str, folder: str):
    "A notebook's kernel."
    import matplotlib
    import pandas
    from ipykernel.kernelapp import launch_new_instance
    said_to(os.devnull, os.devnull)
    os.chdir(folder)
    matplotlib.rcParams['backend'] = 'module://matplotlib_inline.backend_inline' # as imported in a kernel
    pandas.set_option('display.max_columns', 20)
    launch_new_instance(argv=['-f', connection_file, f'--IPKernelApp.parent_handle={os.getppid()}'])

def command(words: list, out: str, seconds: float = 20):
    """The command line.

    words, out: arguments; file for what it says
    seconds: for the measurement of a queue's pace
    """
    from encgan3.campaign import workers
    from encgan3.cli import main
    said_to(out, os.devnull)
    signal.signal(signal.SIGINT, signal.default_int_handler) # which a shell's background jobs ignore
    workers.plan = partial(workers.plan, seconds=seconds)
    raise SystemExit(main([str(word) for word in words]))
