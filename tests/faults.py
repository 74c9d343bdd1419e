"""Every write, flush and rename below a folder, counted; and one of them that fails, or kills the process.

What lies between Python and the disk: files opened for writing (a write stops half way, or the last bytes
don't get out), safetensors, PyAV, fsync, rename, new temporary files. An exchange of two folders can't fail
half way, but the process can end before it.
"""
import builtins, contextlib, errno, io, os, signal, tempfile
from collections.abc import Callable
from pathlib import Path

import av
import safetensors.torch
from safetensors import SafetensorError

from encgan3.data import video
from encgan3.engine import files

HOWS = {'full disk': errno.ENOSPC, 'broken disk': errno.EIO, 'kill': 0}

class Faults:
    "Count what is written below `folder`; the event number `at` fails with `how`. -1: none does."
    def __init__(self, folder: Path, at: int = -1, how: str = 'kill'):
        self.folder, self.at, self.number, self.seen = str(folder), at, HOWS[how], 0

    def strikes(self) -> bool:
        self.seen += 1
        return self.seen - 1 == self.at

    def fail(self, path=None):
        if not self.number:
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(self.number, os.strerror(self.number), *([] if path is None else [str(path)]))

    def inside(self, path) -> bool:
        return isinstance(path, str | os.PathLike) and os.path.abspath(path).startswith(self.folder)

    def whole(self, real: Callable, concerns: Callable, named: bool = True) -> Callable:
        "A call that happens or fails; `concerns` says of its arguments whether it is about the folder."
        def call(*args, **how):
            if concerns(*args, **how) and self.strikes():
                self.fail(args[0] if named and args else None)
            return real(*args, **how)
        return call

    def opened(self, real: Callable) -> Callable:
        def call(file, mode='r', *args, **how):
            found = real(file, mode, *args, **how)
            writes = any(letter in mode for letter in 'wax+')
            return Torn(found, self) if writes and self.inside(file) else found
        return call

    def torn(self, real: Callable, where: int, error: Callable) -> Callable:
        "A library's writer, of which half a file is left."
        def call(*args, **how):
            path = args[where]
            mine = self.inside(path) and self.strikes()
            real(*args, **how)
            if mine:
                os.truncate(path, os.path.getsize(path)//2)
                try:
                    self.fail(path)
                except OSError as e:
                    raise error(e) from None
        return call

    @contextlib.contextmanager
    def installed(self):
        safetensor = lambda e: SafetensorError(f'Error while serializing: I/O error: {e.strerror} (os error '
                                               f'{e.errno})')
        libav = lambda e: av.error.OSError(e.errno, e.strerror, e.filename)
        about = lambda descriptor: self.inside(os.readlink(f'/proc/self/fd/{descriptor}'))
        either = lambda a, b, **how: self.inside(a) or self.inside(b)
        temporary = lambda *args, **how: self.inside(how.get('dir'))
        patches = [(os, 'fsync', self.whole(os.fsync, about, False)),
                   (os, 'replace', self.whole(os.replace, either)),
                   (os, 'rename', self.whole(os.rename, either)),
                   (tempfile, 'mkstemp', self.whole(tempfile.mkstemp, temporary)),
                   (tempfile, 'mkdtemp', self.whole(tempfile.mkdtemp, temporary)),
                   (io, 'open', self.opened(io.open)), (builtins, 'open', self.opened(builtins.open)),
                   (safetensors.torch, 'serialize_file',
                    self.torn(safetensors.torch.serialize_file, 1, safetensor)),
                   (video, 'encode', self.torn(video.encode, 0, libav))]
        if not self.number: # nothing but a kill comes between the two
            patches.append((files, 'exchange', self.whole(files.exchange, either)))
        before = [(place, name, getattr(place, name)) for place, name, _ in patches]
        for place, name, patched in patches:
            setattr(place, name, patched)
        try:
            yield self
        finally:
            for place, name, real in before:
                setattr(place, name, real)

class Torn:
    "A file open for writing: each write, and its closing, is an event."
    def __init__(self, file, faults: Faults): self.__dict__.update(file=file, faults=faults)

    def __getattr__(self, name): return getattr(self.file, name)
    def __setattr__(self, name, value): setattr(self.file, name, value)
    def __iter__(self): return iter(self.file)
    def __enter__(self): return self
    def __exit__(self, *_): self.close()

    def write(self, data):
        if self.faults.strikes():
            self.file.write(data[:len(data)//2])
            self.file.flush()
            self.faults.fail()
        return self.file.write(data)

    def close(self):
        if not self.file.closed and self.faults.strikes():
            self.file.flush()
            self.file.close()
            self.faults.fail()
        self.file.close()
