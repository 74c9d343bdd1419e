"""R8-R10: files of others can be anything, and all that they can do is be refused in one line.

A fork makes each try, with a limit of time and memory (apart.py).
"""
import io, json, os, pickle, shutil, struct, tarfile, warnings, zipfile
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from apart import apart
from pages import root
from promises import promise

from encgan3.campaign.runs import METHODS, load_model, read_records
from encgan3.data import sources
from encgan3.data.sources import download, read_sequences, unpack
from encgan3.data.store import ClipStore
from encgan3.data.strips import read_mask, read_strip
from encgan3.datasets import find_videos
from encgan3.editing.items import read_codes, write_codes
from encgan3.engine.checkpoints import checkpoints, read_checkpoint, read_log
from encgan3.engine.files import sha256_of
from encgan3.evaluation.pretrained import cached, load_weights
from encgan3.model import EncGAN3
from encgan3.records import record_of
from encgan3.speed.measure import read_speed
from encgan3.training import train

MARK = 'it ran' # a file that a pickle would make

class Program:
    "Unpickling it writes a file."
    def __init__(self, file): self.file = file
    def __reduce__(self): return open, (str(self.file), 'w')

# R8

def zipped(file: Path, members: dict, how=zipfile.ZIP_DEFLATED, mode: int = 0) -> Path:
    "A zip with names as they are, however foul."
    with warnings.catch_warnings(action='ignore'), zipfile.ZipFile(file, 'w') as z:
        for name, content in members.items():
            entry = zipfile.ZipInfo('x')
            entry.filename = name.rstrip('|') # the same name twice is 'a.avi' and 'a.avi|'
            entry.external_attr = mode << 16
            z.writestr(entry, content, how)
    return file

def tarred(file: Path, name: str, kind: bytes = tarfile.REGTYPE, link: str = '') -> Path:
    with tarfile.open(file, 'w:gz') as t:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, link
        t.addfile(entry, io.BytesIO())
    return file

def patched(file: Path, old: bytes, new: bytes, at: int = -1) -> Path:
    "Bytes replaced after the archive was made, everywhere or once."
    data = file.read_bytes()
    assert old in data
    file.write_bytes(data.replace(old, new, at))
    return file

FOUL = ['../e.avi', '../../e.avi', '/e.avi', '//e.avi', 'C:e.avi', 'C:\\e.avi', '..\\e.avi', 'a/../../e.avi',
        './e.avi', 'a/b.avi', '.e.avi', '-e.avi', '~/e.avi', 'nul.avi', 'com1.avi', 'e\x01.avi', 'e\n.avi',
        'e .avi', 'e?.avi', '\u202eiva.avi', 'a'*300 + '.avi', '../'*200 + 'e.avi', 'file:e.avi', '$HOME.avi']
TARS = [('../e.avi', tarfile.REGTYPE, ''), ('/e.avi', tarfile.REGTYPE, ''), ('e.avi', tarfile.SYMTYPE, '/'),
        ('e.avi', tarfile.LNKTYPE, '../e.avi'), ('e.avi', tarfile.CHRTYPE, ''),
        ('e.avi', tarfile.FIFOTYPE, ''), ('C:e.avi', tarfile.REGTYPE, '')]

def archives(film: bytes) -> dict:
    "Hostile archives by name: file -> what is made of it. A good film lies before what is bad."
    good = {'good.avi': film}
    made = {f'zip with {name[:20]!a}': lambda f, n=name: zipped(f, good | {n: film}) for name in FOUL}
    made |= {f'tar with {name} {kind!r}': lambda f, t=(name, kind, link): tarred(f, *t)
             for name, kind, link in TARS}
    for kind, mode in dict(link=0o120777, device=0o020666, block=0o060666, pipe=0o010666,
                           socket=0o140666).items():
        made[f'a {kind}'] = lambda f, m=mode: zipped(f, good | {'b.avi': b'/etc'}, mode=m)
    for name, how in {'LZMA': zipfile.ZIP_LZMA, 'bzip2': zipfile.ZIP_BZIP2}.items():
        made[name] = lambda f, h=how: zipped(f, good | {'b.avi': film}, h)
    return made | {
        'a name twice': lambda f: zipped(f, good | {'good.avi|': film}),
        'twice but for case': lambda f: zipped(f, good | {'GOOD.AVI': film}),
        'a bomb': lambda f: zipped(f, good | {'b.avi': bytes(2**28)}),
        'many small bombs': lambda f: zipped(f, good | {f'{i}.avi': bytes(2**25) for i in range(8)}),
        'a bomb that lies': lambda f: patched(zipped(f, good | {'b.avi': bytes(2**25)}),
                                              struct.pack('<L', 2**25), struct.pack('<L', 99)),
        'another checksum': lambda f: patched(zipped(f, good | {'b.avi': film}, zipfile.ZIP_STORED), film,
                                              film[::-1], 2),
        'another method': lambda f: zipped(f, good) and patched(f, b'\x14\x00\x00\x00\x08\x00',
                                                                b'\x14\x00\x00\x00\x63\x00'),
        'a password': lambda f: zipped(f, good) and patched(f, b'\x14\x00\x00\x00\x08\x00',
                                                            b'\x14\x00\x01\x00\x08\x00'),
        'names that are no UTF-8': lambda f: patched(zipped(f, good | {'b\u00e9.avi': film}), b'\xc3\xa9',
                                                     b'\xff\xff'),
        'deflate damaged': lambda f: zipped(f, good) and damaged(f),
        'cut short': lambda f: zipped(f, good) and cut(f),
        'a web page': lambda f: f.write_bytes(b'<!DOCTYPE html>'), 'empty': lambda f: f.write_bytes(b''),
        'a pipe': os.mkfifo, 'a folder': Path.mkdir, 'no film': lambda f: zipped(f, {'readme.txt': b'hi'}),
        'itself': lambda f: f.symlink_to(f)}

def damaged(file: Path) -> Path:
    data = bytearray(file.read_bytes())
    data[40:60] = bytes(20)
    file.write_bytes(data)
    return file

def cut(file: Path) -> Path:
    file.write_bytes(file.read_bytes()[:-30])
    return file

def tree(folder: Path) -> set: return {str(p.relative_to(folder)) for p in folder.rglob('*')}

@promise('R8', 'a hostile archive is refused in one line; nothing is written, outside or inside', 12, 60)
def hostile_archives(n, folder, dice):
    film = bytes(dice.randrange(256) for _ in range(3000))
    made = [*archives(film).items()]
    dice.shuffle(made)
    for k, (name, make) in enumerate(made[:n]):
        def attempt(k=k, make=make):
            home = folder/f'archive {k}'
            home.mkdir()
            make(home/'a.zip')
            before = tree(home)
            said = apart(lambda: unpack(home/'a.zip', home/'deep'/'videos'))
            assert said, 'is taken'
            assert tree(home) - {'deep', 'deep/videos'} == before, f'writes {tree(home) - before}'
        yield name, attempt

    def nested():
        place, here = folder/'nested', os.getcwd()
        place.mkdir()
        try:
            os.chdir(place)
            for _ in range(1500):
                os.mkdir('d')
                os.chdir('d')
            Path('a.avi').write_bytes(film)
        finally:
            os.chdir(here)
        try:
            apart(lambda: find_videos(place, sources.SOURCES['folder']))
        finally:
            os.system(f'rm -rf {place}')
    yield '1,500 folders in one another', nested

# R9

WHOLE = b'person01_boxing_d1\t\tframes\t1-95, 96-185\n'

class Elsewhere(BaseHTTPRequestHandler):
    "Answers as it should, or, from file `bad` on, as `fault` says."
    fault, bad, asked = '', 0, 0

    def do_GET(self):
        cls = type(self)
        cls.asked += 1
        data = WHOLE if self.path.endswith('.txt') else self.archive
        fault = cls.fault if cls.asked > cls.bad else ''
        if fault in ('404', '500', '403'):
            return self.answer(int(fault), b'<html>no</html>')
        if fault == 'a page':
            return self.answer(200, b'<!DOCTYPE html><html>Please sign in</html>')
        if fault == 'elsewhere' and not self.headers['Host'].startswith('localhost'):
            return self.answer(302, b'', Location=f'http://localhost:{self.server.server_port}{self.path}')
        if fault == 'in circles':
            return self.answer(302, b'', Location=self.path)
        if fault == 'to a page' and not self.path.startswith('/page'):
            return self.answer(302, b'', Location='/page')
        if fault == 'cut short':
            return self.answer(200, data[:len(data)//2], Content_Length=len(data))
        if fault == 'too large':
            return self.answer(200, data, Content_Length=2**40)
        if fault == 'empty':
            return self.answer(200, b'')
        if fault == 'hangs up':
            return self.connection.close()
        self.answer(200, b'<html></html>' if self.path.startswith('/page') else
                    data[::-1] if fault == 'other bytes' else data)

    def answer(self, code, body, **headers):
        self.send_response(code)
        named = {key.replace('_', '-'): value for key, value in headers.items()}
        for name, value in ({'Content-Length': len(body)} | named).items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words): pass

@contextmanager
def served(**how):
    "The address of a server on this machine."
    handler = type('Handler', (Elsewhere,), how)
    server = ThreadingHTTPServer(('127.0.0.1', 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        with patch.dict(os.environ, NO_PROXY='127.0.0.1,localhost', no_proxy='127.0.0.1,localhost'):
            yield f'http://127.0.0.1:{server.server_port}'
    finally:
        server.shutdown()
        server.server_close()

FAULTS = ('404', '500', '403', 'a page', 'elsewhere', 'in circles', 'to a page', 'cut short', 'too large',
          'empty', 'hangs up', 'other bytes', 'offline')

@promise('R9', 'a download that fails is told in one line and leaves no file behind', 8, 50)
def downloads(n, folder, dice):
    film = bytes(dice.randrange(256) for _ in range(5000))
    archive = zipped(folder/'a.zip', {'one.avi': film, 'two.avi': film[::-1]}).read_bytes()
    tries = [(fault, bad) for bad in (0, 1, 3) for fault in FAULTS] 
    known = {'elsewhere', 'too large'} # what comes has the right hash all the same
    tries += [(fault, 'weights') for fault in FAULTS if fault not in known]
    dice.shuffle(tries)
    for k, (fault, bad) in enumerate(tries[:n]):
        def data_set(k=k, fault=fault, bad=bad):
            home = folder/f'download {k}'
            with served(fault=fault, bad=bad, archive=archive) as address:
                if fault == 'offline':
                    address = 'http://127.0.0.1:9'
                known = {'kth': (address + '/{}.zip', [address + '/00sequences.txt'])}
                with patch.dict(sources.DOWNLOADS, known):
                    said = apart(lambda: download('kth', home), 10)
            assert said and address in said, f'says {said!r}'
            whole = {'00sequences.txt', 'one.avi', 'two.avi'} if bad else set()
            assert tree(home) <= whole, f'leaves {tree(home)}'
        def weights(k=k, fault=fault):
            home = folder/f'download {k}'
            right = sha256_of(folder/'a.zip')[:8]
            with served(fault=fault, bad=0, archive=archive) as address:
                if fault == 'offline':
                    address = 'http://127.0.0.1:9'
                with patch.object(torch.hub, 'get_dir', lambda: str(home)):
                    said = apart(lambda: cached(f'{address}/net-{right}.pth'), 10)
            assert said and address in said, f'says {said!r}'
            assert tree(home) <= {'checkpoints'}, f'leaves {tree(home)}'
        yield f'{fault}, {bad}', weights if bad == 'weights' else data_set

# R10

MODELS = {'printed': lambda: EncGAN3.from_preset('micro', ch=4, encoder_ch=4, discriminator_ch=4, decay=.9),
          'companion': lambda: EncGAN3.from_preset('micro', recipe='companion', ch=4, encoder_ch=4,
                                                   discriminator_ch=4)}
MODELS |= {name: lambda cls=cls: cls.from_preset('micro', ch=4) for name, cls in METHODS.items()}

class Noise:
    "Clips of noise, as a store gives them."
    sha256, size = 'none', 32
    def draw(self, n, generator): return torch.randint(10**6, (n,), generator=generator)
    def clips(self, indices): return torch.zeros(len(indices), 3, 16, 32, 32)

def run_of(folder: Path, steps: int, name: str = 'MoCoGAN'):
    train(MODELS[name](), Noise(), folder, steps, batch=2, log_every=1, quiet=True)

def resumed(home: Path):
    "What else a run may raise, the command line says in one line: the name of the file and what is wrong."
    try:
        run_of(home, 1)
    except OSError as e:
        assert e.filename and e.strerror

def write_store(home: Path):
    home.mkdir()
    np.save(home/'frames.npy', np.arange(60*8*8*3, dtype=np.uint8).reshape(60, 8, 8, 3))
    videos = [dict(file=f'{who}.avi', range=[1, 20], first=20*k, length=20, fps=25., split='train',
                   factors={'subject': who}) for k, who in enumerate(('ido', 'eli', 'ira'))]
    head = dict(dataset='folder', stand_in=False, size=8, stride=1, frames=16, crop='centre', rule='all',
                seed=0, limit=None, versions={}, videos=videos, sha256=sha256_of(home/'frames.npy'))
    (home/'index.json').write_text(json.dumps(head))

def use_store(home: Path):
    "Every window is read, so that an index beyond the array would be noticed."
    store = ClipStore(home, None)
    if len(store) < 1000:
        store.clips(range(len(store)))
    store.table(), store.record()

def checkpoint(home: Path):
    "What it is documented to raise is a ValueError."
    try:
        read_checkpoint(checkpoints(home)[-1])
    except ValueError as e:
        assert '\n' not in str(e)
    read_log(home)

LINEAR = torch.nn.Linear(6, 5)

@cache
def seeds(home: Path) -> dict:
    "Sound files of each kind, in a folder of their own: name -> how it is read, files that are changed."
    home.mkdir()
    model = MODELS['companion']()
    readers = {}
    for name, make in MODELS.items():
        make().save_pretrained(home/f'model {name}')
        readers[f'model {name}'] = load_model, ('config.json', 'model.safetensors')
    for name in ('run', 'checkpoint', 'trained'):
        run_of(home/name, 1)
    files = 'step-00000001/state.json', 'step-00000001/state.safetensors', 'log.jsonl'
    readers |= {'run': (resumed, files), 'checkpoint': (checkpoint, files),
                'trained': (load_model, files[:2])}
    write_store(home/'store')
    readers['store'] = use_store, ('index.json', 'frames.npy')
    (home/'codes').mkdir()
    (home/'codes'/'codes.json').write_bytes(write_codes((torch.zeros(1, 128), torch.ones(1, 10, 2))))
    readers['codes'] = lambda p: read_codes((p/'codes.json').read_bytes(), model), ('codes.json',)
    (home/'records').mkdir()
    shutil.copy(min((root/'nbs'/'results').glob('*.json'), key=os.path.getsize), home/'records'/'r.json')
    readers['records'] = read_records, ('r.json',)
    (home/'speed').mkdir()
    shutil.copy(root/'nbs'/'speed'/'cpu.json', home/'speed'/'speed.json')
    readers['speed'] = lambda p: read_speed(p/'speed.json'), ('speed.json',)
    (home/'record').mkdir()
    shutil.copy(root/'encgan3'/'weights'/'weizmann-s-tiny'/'record.json', home/'record')
    readers['record'] = record_of, ('record.json',)
    (home/'sequences').mkdir()
    (home/'sequences'/'00sequences.txt').write_bytes(WHOLE*20)
    readers['sequences'] = lambda p: read_sequences(p/'00sequences.txt'), ('00sequences.txt',)
    (home/'weights').mkdir()
    for name, old in (('new.pth', False), ('old.pth', True)):
        torch.save({'state_dict': LINEAR.state_dict()}, home/'weights'/name,
                   _use_new_zipfile_serialization=not old)
    save_file(LINEAR.state_dict(), home/'weights'/'w.safetensors')
    for name in ('new.pth', 'old.pth', 'w.safetensors'):
        readers[name] = (lambda p, n=name: load_weights(torch.nn.Linear(6, 5), p/n)), (name,)
        shutil.copytree(home/'weights', home/name)
    (home/'pictures').mkdir()
    picture = np.arange(32*128*3, dtype=np.uint8).reshape(32, 128, 3)
    for name, kind in (('strip.png', 'PNG'), ('strip.jpg', 'JPEG')):
        (home/name).mkdir()
        Image.fromarray(picture).save(home/name/name, kind)
        readers[name] = (lambda p, n=name: read_strip(p/n)), (name,)
    (home/'mask').mkdir()
    mask = np.zeros((9, 20, 30), bool)
    mask[:, 5:15, 8:14] = True
    with open(home/'mask'/'ido_walk', 'wb') as file:
        np.save(file, mask)
    readers['mask'] = lambda p: read_mask(p/'ido_walk'), ('ido_walk',)
    (home/'archive').mkdir()
    zipped(home/'archive'/'a.zip', {'a.avi': b'film'*99, 'b.avi': bytes(range(256))})
    readers['archive'] = lambda p: unpack(p/'a.zip', p/'videos'), ('a.zip',)
    return readers

DEEP = b'['*200_000
SPECIAL = {
    'missing': lambda f: None, 'a pipe': os.mkfifo, 'a folder': Path.mkdir,
    'itself': lambda f: f.symlink_to(f),
    'empty': lambda f: f.write_bytes(b''), 'a web page': lambda f: f.write_bytes(b'<!DOCTYPE html><html>'),
    'zeros': lambda f: f.write_bytes(bytes(4096)), 'deep lists': lambda f: f.write_bytes(DEEP),
    'deep objects': lambda f: f.write_bytes(b'{"a":'*100_000), 'a list': lambda f: f.write_bytes(b'[1, 2]'),
    'null': lambda f: f.write_bytes(b'null'), 'a long number': lambda f: f.write_bytes(b'9'*100_000),
    'UTF-16': lambda f: f.write_text('[1, 2]', encoding='utf-16'),
    'a pickle': lambda f: f.write_bytes(pickle.dumps(Program(f.parent/MARK))),
    'a .pth pickle': lambda f: torch.save(Program(f.parent/MARK), f),
    'an old .pth pickle': lambda f: torch.save(Program(f.parent/MARK), f,
                                               _use_new_zipfile_serialization=False),
    'an .npy pickle': lambda f: f.open('wb').write(npy_of(np.array([Program(f.parent/MARK)], object))),
    'an .npz': lambda f: np.savez(f.open('wb'), a=np.zeros(3)),
    'a huge safetensors header': lambda f: f.write_bytes(struct.pack('<Q', 2**62) + b'{}'),
    'a huge tensor': lambda f: f.write_bytes(safe({'weight': dict(dtype='F32', shape=[2**40, 2**20],
                                                                  data_offsets=[0, 8])})),
    'tensors on one another': lambda f: f.write_bytes(safe({k: dict(dtype='F32', shape=[2],
                                                                    data_offsets=[0, 8]) for k in 'ab'})),
    'a huge .npy': lambda f: f.write_bytes(npy_header((2**40, 8, 8, 3))),
    'a negative .npy': lambda f: f.write_bytes(npy_header((-1, 8, 8, 3)))}

SETTINGS = {'a wide network': 1024, 'a wider one': 10**9, 'a width beyond numbers': 10**30,
            'a width in words': '16', 'a list of widths': [16], 'a width of nothing': 0, 'no width': None}
SURE = [('model companion', 'config.json', 'a wide network'), ('model printed', 'config.json', 'deep lists'),
        ('new.pth', 'new.pth', 'a .pth pickle'), ('old.pth', 'old.pth', 'a pickle'),
        ('store', 'frames.npy', 'an .npy pickle'), ('trained', 'step-00000001/state.json', 'a pipe')]

def safe(header: dict) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack('<Q', len(text)) + text + bytes(8)

def npy_of(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()

def npy_header(shape: tuple) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, dict(descr='|u1', fortran_order=False, shape=shape))
    return buffer.getvalue() + bytes(99)

def tried(home: Path, name: str, file: str, change, read) -> str:
    "One file of a sound folder, changed, and read."
    place = home.parent/'tries'/f'{len(list((home.parent/"tries").iterdir()))}'
    shutil.copytree(home/name, place)
    change(place/file)
    said = apart(lambda: read(place))
    assert not [*place.rglob(MARK)], 'a pickle ran'
    shutil.rmtree(place)
    place.mkdir() # keeps its number
    return said

@promise('R10', 'what is no file of its kind at all is refused in one line, and no pickle runs', 40, 750)
def hostile_files(n, folder, dice):
    (folder/'tries').mkdir()
    readers = seeds(folder/'sound')
    tries = [(name, file, what) for name, (_, files) in readers.items() for file in files for what in SPECIAL]
    models = [name for name in readers if name.startswith('model')]
    tries += [(name, 'config.json', what) for name in models for what in SETTINGS]
    dice.shuffle(tries)
    tries = [*SURE, *tries][:n]
    for name, file, what in tries:
        def attempt(name=name, file=file, what=what):
            if what in SETTINGS:
                settings = json.loads((folder/'sound'/name/file).read_text())
                widths = [k for k in settings if type(settings[k]) is int and settings[k] > 1]
                key = 'ch' if what == 'a wide network' else dice.choice(widths)
                asked = settings | {key: SETTINGS[what]}
            def change(path):
                path.unlink()
                with warnings.catch_warnings(action='ignore'):
                    SPECIAL[what](path) if what in SPECIAL else path.write_text(json.dumps(asked))
            if name == 'codes' and what in ('missing', 'a pipe', 'a folder', 'itself'):
                return # codes come as bytes
            said = tried(folder/'sound', name, file, change, readers[name][0])
            optional = file == 'log.jsonl' or name == 'checkpoint' or (name, what) == ('records', 'missing')
            assert said or optional, 'is taken'
        yield f'{name}, {file}: {what}', attempt

VALUES = [None, True, False, -1, 0, 1, 3, 10**9, 10**18, 10**30, -10**30, .5, 1e308, -0., float('nan'),
          float('inf'), '', 'x', '../x', 'a'*10**5, [], {}, [[]], [None], {'a': 1}, ['x']*99]

def places(value, path=()):
    "All places in a JSON value."
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))

def put(value, path: tuple, new):
    if not path:
        return new
    value[path[0]] = put(value[path[0]], path[1:], new)
    return value

def swapped(value, dice):
    "JSON with one value swapped, taken away or beside itself."
    path = dice.choice([*places(value)][:5000])
    if path and dice.random() < .3:
        parent = value
        for key in path[:-1]:
            parent = parent[key]
        if isinstance(parent, dict) and dice.random() < .5:
            parent[f'{path[-1]}x'] = parent.pop(path[-1])
        else:
            del parent[path[-1]]
        return value
    return put(value, path, dice.choice(VALUES))

def mutated(data: bytes, suffix: str, dice) -> bytes:
    "A file, changed a little or a lot."
    how = dice.random()
    if suffix == '.json' and how < .7:
        return json.dumps(swapped(json.loads(data), dice)).encode()
    if suffix == '.safetensors' and how < .6:
        length = struct.unpack('<Q', data[:8])[0]
        text = json.dumps(swapped(json.loads(data[8:8 + length]), dice)).encode()
        return struct.pack('<Q', len(text)) + text + data[8 + length:]
    out = bytearray(data)
    early = dice.random() < .6 # headers are where the meaning is
    where = lambda: dice.randrange(min(len(out), 300) if early else len(out)) if out else 0
    for _ in range(dice.choice((1, 1, 2, 5, 30))):
        a = where()
        match dice.randrange(6):
            case 0:
                out[a:a + 1] = bytes([out[a] ^ 1 << dice.randrange(8)]) if out else b''
            case 1:
                del out[where():]
            case 2:
                del out[a:a + dice.randrange(1, 40)]
            case 3:
                out[a:a] = out[where():][:200]
            case 4:
                out[a:a + 8] = dice.randbytes(8)
            case 5:
                out[a:a + 4] = dice.choice((b'\xff'*4, bytes(4), b'\x7f\xff\xff\xff', b'\xff\xff\xff\x7f'))
    return bytes(out)

@promise('R10', 'a damaged file is read or refused in one line, in 5 s and 500 MB', 60, 3000)
def damaged_files(n, folder, dice):
    (folder/'tries').mkdir()
    readers = seeds(folder/'sound')
    for k in range(n):
        seed = dice.randrange(2**32)
        def attempt(seed=seed):
            own = type(dice)(seed)
            name = own.choice([*readers])
            file = own.choice(readers[name][1])
            def change(path):
                path.write_bytes(mutated(path.read_bytes(), path.suffix, own))
            try:
                tried(folder/'sound', name, file, change, readers[name][0])
            except AssertionError as e:
                raise AssertionError(f'{name}, {file}: {e}') from None
        yield f'seed {seed}', attempt
