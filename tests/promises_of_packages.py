"R16: what is installed is known, and nothing is sent anywhere."
import importlib.util, json, os, re, subprocess, sys, tempfile, warnings
from functools import cache
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from pages import root, settings
from promises import promise

LOCK = root/'requirements.lock'
KNOWN = {} # findings of the audit that don't concern us: id -> why; each is told as long as it is found

def wanted() -> list[Requirement]:
    "What settings.ini asks for."
    return [Requirement(r) for key in ('requirements', 'dev_requirements') for r in settings[key].split()]

PINNED = r'([\w.-]+)==([\w.+-]+)(?: ; [^-]+)?((?: +--hash=sha256:[0-9a-f]{64})+) *'

@cache
def locked() -> dict[str, tuple[str, list[str]]]:
    "requirements.lock: name -> version, hashes."
    found = {}
    for entry in LOCK.read_text().replace('\\\n', ' ').splitlines():
        name, version, hashes = re.fullmatch(PINNED, entry).groups()
        found[name] = version, hashes.split()
    return found

def bounds():
    "Each requirement says the lowest version that was tried, and the lock holds one that it allows."
    for r in wanted():
        bounded = {s.operator for s in r.specifier} & {'>=', '=='}
        assert bounded or r.name in TOOLS, f'{r.name} has no lower bound'
        version = locked()[r.name.replace('_', '-').lower()][0]
        assert Version(version) in r.specifier, f'{r}: the lock has {version}; write it again, make lock'

TOOLS = 'jupyterlab', 'pytest', 'pytest-xdist', 'nbval', 'ruff' # of developers: any version will do

def lock():
    "Every package has one version and its hashes, and the lock names no server and no folder."
    assert len(locked()) > 50
    assert not re.search(r'https?:|file:|(?<![\w.])/\w|index-url|find-links', LOCK.read_text())

NOTHING = '''
import importlib, pkgutil, sys
asked = []
sys.addaudithook(lambda event, details: asked.append((event, details[:2]))
                 if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto') else None)
import encgan3
names = [m.name for m in pkgutil.walk_packages(encgan3.__path__, 'encgan3.')]
assert len(names) > 50
for name in names:
    importlib.import_module(name)
{then}
assert not asked, asked
'''
WORK = '''
from encgan3.cli import main
import os
for words in ('prepare weizmann-s clips --size 32 --limit 2 --workers 0',
              'train --data clips --out run --preset micro --steps 1 --batch 2 --set ch=4',
              'sample run --n 2 --out new.gif', 'save run --data clips --out saved',
              'evaluate saved --data clips --protocol random --clips 8'):
    code = main(words.split())
    assert code in (0, 2), words
'''

def apart(program: str):
    "Run a program that must end well, with a network at hand."
    with tempfile.TemporaryDirectory() as here:
        environment = {k: v for k, v in os.environ.items() if k != 'HF_HUB_OFFLINE'}
        environment |= {'PYTHONPATH': str(root), 'CUDA_VISIBLE_DEVICES': ''}
        done = subprocess.run([sys.executable, '-W', 'ignore', '-c', program], capture_output=True, text=True,
                              cwd=here, env=environment)
    assert not done.returncode, done.stderr[-600:]

def no_network_at_import(): apart(NOTHING.format(then=''))
def no_network_at_work(): apart(NOTHING.format(then=WORK))

def program():
    "python -m encgan3 is the command line."
    done = subprocess.run([sys.executable, '-m', 'encgan3', '--version'], capture_output=True, text=True,
                          cwd=root)
    assert done.stdout == f'encgan3 {settings["version"]}\n', done.stderr

def audit():
    "No known hole in what the lock holds; where nobody can be asked, that is said."
    assert importlib.util.find_spec('pip_audit'), 'pip-audit is not installed: make install'
    with tempfile.TemporaryDirectory() as here:
        file = Path(here)/'audit.json'
        done = subprocess.run([sys.executable, '-m', 'pip_audit', '--no-deps', '--disable-pip', '-r', LOCK,
                               '-f', 'json', '-o', file, '--progress-spinner', 'off'], capture_output=True,
                              text=True)
        found = json.loads(file.read_text())['dependencies'] if file.exists() else []
    asked = [d for d in found if 'skip_reason' not in d]
    if len(asked) < len(locked())/2:
        why = (found[0]['skip_reason'] if found else done.stderr.strip().splitlines()[-1:])
        warnings.warn(f'NOT AUDITED: {len(asked)} of {len(locked())} packages could be asked about ({why})')
        return
    holes = {hole['id']: f'{d["name"]} {d["version"]}: mended in {hole["fix_versions"]}' for d in asked
             for hole in d['vulns'] if not {hole['id'], *hole['aliases']} & KNOWN.keys()}
    assert not holes, holes

CHECKS = bounds, lock, program, no_network_at_import, no_network_at_work, audit

@promise('R16', 'versions are pinned with hashes and audited; nothing goes to the network by itself', 4, 6)
def packages(n, folder, dice):
    for check in CHECKS[:n]:
        yield check.__name__, check
