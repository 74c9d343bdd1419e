"A try in a fork of this process: whatever it does, crash, hang or fill the memory, it does apart."
import json, os, resource, signal, traceback

import torch

from encgan3.errors import InputError

def peak() -> int: return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss*1024 # bytes
def busy() -> float: return sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) # seconds

def apart(work, seconds: float = 5., most: int = 500_000_000, patience: int = 60) -> str:
    """What comes of `work()`: '' if it ends, or the one line of its InputError.

    AssertionError if it raises anything else, says more than a line, dies, hangs, takes more than `seconds`
    of a processor or more than `most` bytes.
    """
    reader, writer = os.pipe()
    if not (child := os.fork()):
        os.close(reader)
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        signal.signal(signal.SIGALRM, signal.SIG_DFL) # ends even what waits inside a library
        signal.alarm(patience)
        torch.set_num_threads(1)
        before, said, wrong = peak(), '', ''
        try:
            work()
        except InputError as e:
            said = str(e)
        except BaseException as e:
            wrong = f'{type(e).__name__}: {e} at {traceback.extract_tb(e.__traceback__)[-1][:2]}'[:600]
        with open(writer, 'w') as pipe:
            json.dump([said, wrong, busy(), peak() - before], pipe)
        os._exit(0)
    os.close(writer)
    with open(reader) as pipe:
        answer = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert answer, f'hangs for {patience} s' if code == -signal.SIGALRM else f'dies with code {code}'
    said, wrong, took, grown = json.loads(answer)
    assert not wrong, wrong
    assert '\n' not in said and len(said) < 1000, f'says more than a line: {said[:200]!r}'
    assert took < seconds, f'takes {took:.1f} s'
    assert grown < most, f'takes {grown/1e6:.0f} MB'
    return said
