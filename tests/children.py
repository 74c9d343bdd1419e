"Processes that cost nothing to start: forks of this one, after all imports, to be killed and to be heard."
import os, signal, sys, time, traceback
from collections.abc import Callable
from pathlib import Path

import psutil
import torch

FAILED = 99 # exit code of work that raised

class Fork:
    """A fork that does some work and ends with what it returns as its exit code, or None: 0.

    said: what it wrote to both of its streams
    """
    def __init__(self, work: Callable, said: Path):
        self.said = said
        reader, writer = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(reader)
            self.live(work, writer)
        os.close(writer)
        os.read(reader, 1) # it has begun
        os.close(reader)
        self.code = None

    def live(self, work: Callable, writer: int):
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            file = os.open(self.said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for stream in (1, 2):
                os.dup2(file, stream)
            sys.stdout, sys.stderr = (open(stream, 'w', buffering=1, closefd=False) for stream in (1, 2))
            torch.set_num_threads(1)
            os.write(writer, b'.')
            code = work() or 0
        except BaseException:
            traceback.print_exc()
            code = FAILED
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    def poll(self) -> int | None:
        "Its exit code, or minus the number of a signal; None: it is at work."
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

    def text(self) -> str: return self.said.read_text(errors='replace')

def done(work: Callable, said: Path, seconds: float = 300) -> str:
    "Let a fork do its work; AssertionError with what it said if it failed."
    fork = Fork(work, said)
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
