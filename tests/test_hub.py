"""A model goes to a hub and comes back, through huggingface_hub's own client, against a hub that runs here
and knows one repository.
"""
import base64, hashlib, json, os, subprocess, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from pages import root

COMMIT = 'c'*40
PUSH = """
import torch
from encgan3.model import EncGAN3
model = EncGAN3.from_preset('tiny', ch=4, encoder_ch=2, discriminator_ch=2, motion=3)
model.push_to_hub('me/mine', commit_message='first')
again = EncGAN3.from_pretrained('hf:me/mine@main')
assert again.config == model.config
assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values()))
clip = torch.rand(2, 3, 16, 32, 32)*2 - 1
assert torch.equal(model.reconstruct(clip), again.reconstruct(clip))
"""
MISSING = """
from encgan3.cli import main
raise SystemExit(main(['sample', NAME, '--out', 'x.gif']))
"""

class Hub(BaseHTTPRequestHandler):
    "As much of the Hub's protocol as pushing and pulling small files takes."
    files, created, asked = {}, [], []

    def reply(self, code, body=b'', **headers):
        self.send_response(code)
        for name, value in {'Content-Length': len(body), **headers}.items():
            self.send_header(name.replace('_', '-'), str(value))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def do_POST(self):
        assert self.headers['Authorization'] == 'Bearer hf_mine'
        given = self.rfile.read(int(self.headers['Content-Length']))
        answer = {}
        if self.path == '/api/repos/create':
            self.created.append(json.loads(given)['name'])
            answer = {'url': f'http://{self.headers["Host"]}/me/mine'}
        elif self.path == '/api/validate-yaml':
            answer = {'errors': [], 'warnings': []}
        elif self.path == '/api/models/me/mine/preupload/main':
            answer = {'files': [{'path': f['path'], 'uploadMode': 'regular', 'shouldIgnore': False}
                                for f in json.loads(given)['files']]}
        elif self.path == '/api/models/me/mine/commit/main':
            for line in map(json.loads, given.splitlines()):
                if line['key'] == 'file':
                    self.files[line['value']['path']] = base64.b64decode(line['value']['content'])
            answer = {'commitUrl': f'http://{self.headers["Host"]}/me/mine/commit/{COMMIT}',
                      'commitOid': COMMIT, 'success': True}
        else:
            return self.reply(404)
        self.reply(200, json.dumps(answer).encode(), Content_Type='application/json')

    def do_GET(self):
        self.asked.append(self.path)
        name = self.path.rpartition('/')[2]
        if not self.path.startswith('/me/mine/resolve/') or name not in self.files:
            return self.reply(404, X_Error_Code='RepoNotFound' if '/other/' in self.path else 'EntryNotFound')
        data = self.files[name]
        self.reply(200, data, ETag=f'"{hashlib.sha256(data).hexdigest()}"', X_Repo_Commit=COMMIT)

    do_HEAD = do_GET
    def log_message(self, *words): pass

@pytest.fixture
def run(tmp_path):
    "Runs a program against the hub; what it says."
    server = ThreadingHTTPServer(('127.0.0.1', 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    environment = (os.environ | dict(HF_ENDPOINT=f'http://127.0.0.1:{server.server_port}', HF_HUB_OFFLINE='0',
                                     HF_TOKEN='hf_mine', HF_HOME=str(tmp_path), HF_HUB_DISABLE_XET='1',
                                     PYTHONPATH=str(root), NO_PROXY='127.0.0.1'))
    yield lambda program: subprocess.run([sys.executable, '-c', program], env=environment, cwd=tmp_path,
                                         capture_output=True, text=True, timeout=300)
    server.shutdown()
    Hub.files.clear()

def test_push_and_pull(run):
    done = run(PUSH)
    assert done.returncode == 0, done.stderr
    assert Hub.created == ['mine'] and {'config.json', 'model.safetensors'} <= {*Hub.files}
    assert b'encgan3' in Hub.files['README.md']

@pytest.mark.parametrize('name, said, asked', [('hf:me/other', 'hf:me/other: the Hub says', True),
                                               ('me/other', 'me/other: no such folder', False)])
def test_no_such_model(run, name, said, asked):
    "A name without hf: is never looked up."
    Hub.asked.clear()
    done = run(MISSING.replace('NAME', repr(name)))
    assert done.returncode == 2 and bool(Hub.asked) == asked
    assert done.stderr.strip().splitlines()[-1].startswith(f'encgan3: {said}'), done.stderr
