"Processes that cost nothing to start: forks of this one, after all imports, to be killed and to be heard."
import fcntl, os, signal, sys, time, traceback
from collections.abc import Callable
from pathlib import Path

import psutil
import torch

FAILED = 99 # exit code of work that raised

class Fork:
    """A fork that does some work and ends with what it returns as its exit code, or None: 0.

    What it writes to both of its streams comes through a pipe, which no limit of file sizes concerns.
    """
    def __init__(self, work: Callable):
        self.heard, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 2**20) # it needn't wait for a reader
        self.pid, self.code = os.fork(), None
        if not self.pid:
            self.live(work, writer)
        os.close(writer)
        self.said = os.read(self.heard, 1) # it has begun
        os.set_blocking(self.heard, False)

    def live(self, work: Callable, writer: int):
        code = FAILED
        try:
            os.close(self.heard)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            for stream in (1, 2):
                os.dup2(writer, stream)
            sys.stdout, sys.stderr = (open(stream, 'w', buffering=1, closefd=False) for stream in (1, 2))
            torch.set_num_threads(1)
            print()
            code = work() or 0
            sys.stdout.flush()
        except BaseException:
            traceback.print_exc()
        finally: # never back into the stack of the process that forked
            os._exit(code)

    def listen(self) -> bytes:
        "All that it has said until now."
        try:
            while part := os.read(self.heard, 2**16):
                self.said += part
        except BlockingIOError:
            pass
        return self.said

    def __del__(self): os.close(self.heard)

    def poll(self) -> int | None:
        "Its exit code, or minus the number of a signal; None: it is at work."
        self.listen()
        if self.code is None:
            found, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if found else None
        return self.code

    def wait(self, seconds: float = 120) -> int:
        "Its exit code, see poll; TimeoutError, and it is killed, if it takes too long."
        end = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() > end:
                self.kill()
                raise TimeoutError(f'not over after {seconds} s: {self.text()[-300:]}')
            time.sleep(.005)
        return self.code

    def kill(self):
        self.send(signal.SIGKILL)
        while self.poll() is None:
            time.sleep(.001)

    def send(self, number: int): os.kill(self.pid, number)

    def family(self) -> list[psutil.Process]: return psutil.Process(self.pid).children(recursive=True)

    def text(self) -> str: return self.listen().decode(errors='replace')

def done(work: Callable, seconds: float = 300) -> str:
    "Let a fork do its work; AssertionError with what it said if it failed."
    fork = Fork(work)
    code = fork.wait(seconds)
    assert code == 0, f'ended with {code}: {fork.text()[-600:]}'
    return fork.text()

def failing(error: Exception) -> Callable:
    "A try that fails with an error that came before it."
    def attempt():
        raise error
    return attempt

def left_over(folder: Path) -> list[str]:
    "Passing names anywhere below a folder."
    return sorted(str(p.relative_to(folder)) for kind in ('part', 'old') for p in folder.rglob(f'.{kind}-*'))
