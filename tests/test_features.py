"Hostile and foreign files of weights and classifiers: each is refused in one line, and nothing in it runs."
import json
import os
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from encgan3.data.store import ClipStore
from encgan3.datasets import prepare
from encgan3.engine.files import sha256_of
from encgan3.errors import InputError
from encgan3.evaluation import pretrained
from encgan3.evaluation.classifier import (AMOUNTS, TimeSplit, draw, held_out, load_classifier, recognised,
                                           train_classifier, windows)
from encgan3.evaluation.networks import RandomNetwork
from encgan3.evaluation.pretrained import (ResNet3d, ResNeXt101, load_weights, r3d_network, read_weights,
                                           resnext_network, torchvision_network)
from encgan3.evaluation.measure import classifier_of
from real import real_data

def net(): return nn.Sequential(nn.Conv3d(3, 4, 2), nn.BatchNorm3d(4), nn.Flatten(), nn.Linear(4, 5))

def refused(function, *args, **kw):
    "The one line with which something is refused."
    with pytest.raises(InputError) as e:
        function(*args, **kw)
    assert '\n' not in str(e.value) and len(str(e.value)) < 600
    return str(e.value)

class Command:
    "Opened by pickle, it runs a command."
    def __init__(self, *words): self.words = words
    def __reduce__(self): return os.system, self.words

# files of weights

@pytest.mark.parametrize('name,content,word', [
    ('empty.pth', b'', 'empty'), ('blank.pth', b' \r\n\t ' * 20, 'empty'),
    ('page.pth', b'<!DOCTYPE html><html><body>Sign in</body></html>' * 40, 'web page'),
    ('page2.pth', b'\xef\xbb\xbf\n  <html>', 'web page'), ('page.safetensors', b'<html></html>', 'web page'),
    ('zeros.pth', bytes(5000), 'damaged'),
    ('random.pth', np.random.default_rng(0).bytes(5000), 'damaged'),
    ('text.pth', b'version https://git-lfs.github.com/spec/v1\n', 'damaged'),
    ('random.safetensors', np.random.default_rng(1).bytes(5000), 'damaged'),
    ('huge.safetensors', b'\xff'*7 + b'\x7f{}', 'damaged')])
def test_no_weights(tmp_path, name, content, word):
    (tmp_path/name).write_bytes(content)
    said = refused(read_weights, tmp_path/name)
    assert word in said and name in said

def test_missing_and_folder(tmp_path):
    assert 'no such file' in refused(read_weights, tmp_path/'nothing.pth')
    assert 'no such file' in refused(read_weights, tmp_path)

@pytest.mark.parametrize('zipped', [True, False])
def test_programs_do_not_run(tmp_path, zipped):
    ran = tmp_path/'ran'
    for i, what in enumerate([Command(f'touch {ran}'),
                              {'state_dict': {'a': torch.zeros(2), 'b': Command(f'touch {ran}')}}, net()]):
        torch.save(what, file := tmp_path/f'{i}.pth', _use_new_zipfile_serialization=zipped)
        assert 'wants more than tensors' in refused(read_weights, file)
    assert not ran.exists()

@pytest.mark.parametrize('zipped', [True, False])
def test_truncated(tmp_path, zipped):
    torch.save(net().state_dict(), file := tmp_path/'w.pth', _use_new_zipfile_serialization=zipped)
    whole = file.read_bytes()
    for part in (1, 2, 9, 100, len(whole)//2, len(whole) - 9):
        file.write_bytes(whole[:part])
        assert 'damaged' in refused(read_weights, file)

@pytest.mark.parametrize('what',
                         [[1, 2], 5, {}, {'state_dict': {}}, {'state_dict': 5}, {'a': 1},
                          {'a': torch.zeros(1), 'b': 'x'}, {3: torch.zeros(1)}, torch.zeros(3)])
def test_no_tensors_by_name(tmp_path, what):
    torch.save(what, file := tmp_path/'w.pth')
    assert 'no tensors by name' in refused(read_weights, file)

@pytest.mark.parametrize('zipped', [True, False])
def test_a_real_file(tmp_path, zipped):
    "As kenshohara's: the old format, `module.`, no num_batches_tracked, an optimizer beside the weights."
    a, b = net(), net()
    state = {f'module.{k}': v for k, v in a.state_dict().items() if 'num_batches' not in k}
    optimizer = torch.optim.SGD(a.parameters(), .1, momentum=.9).state_dict()
    torch.save({'epoch': 400, 'arch': 'resnext-101', 'state_dict': state, 'optimizer': optimizer},
               file := tmp_path/'w.pth', _use_new_zipfile_serialization=zipped)
    assert load_weights(b, file, sha256_of(file)[:8].upper()) == sha256_of(file)
    for key, value in a.state_dict().items():
        assert torch.equal(b.state_dict()[key], value)
    assert 'SHA-256' in refused(load_weights, b, file, '0'*64)

def test_safetensors_too(tmp_path):
    a, b = net(), net()
    save_file(a.state_dict(), file := tmp_path/'w.safetensors')
    load_weights(b, file)
    assert torch.equal(b[3].weight, a[3].weight)

def test_another_network(tmp_path):
    state = net().state_dict()
    for change, word in (({'extra': torch.zeros(1)}, 'not part of'),
                         ({'3.weight': torch.zeros(5, 3)}, 'shape (5, 3)'), ({'3.weight': None}, 'missing')):
        torch.save({k: v for k, v in (state | change).items() if v is not None}, file := tmp_path/'w.pth')
        said = refused(load_weights, mine := net(), file)
        assert word in said and said.endswith('these are the weights of another network'), said
        assert not torch.equal(mine[0].weight, state['0.weight']), 'copied before it was checked'

def test_only_one_place_opens_pickles():
    source = open(pretrained.__file__, encoding='utf-8').read()
    assert source.count('torch.load(') == 1 and source.count('weights_only=True)') == 1

# networks

def test_torchvision_offline(tmp_path, monkeypatch):
    "Without a network one line names the file, its place and its address; nothing is left behind."
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path/'hub'))
    def offline(*args, **kw): raise OSError('no route to host')
    monkeypatch.setattr(torch.hub, 'download_url_to_file', offline)
    said = refused(torchvision_network, 'r3d_18')
    assert (str(tmp_path/'hub'/'checkpoints'/'r3d_18-b3b3357e.pth') in said
            and 'https://download.pytorch.org/models/r3d_18-b3b3357e.pth' in said)
    assert not [p for p in tmp_path.rglob('*') if p.is_file()]
    assert 'Google Drive' in refused(resnext_network)

def test_torchvision_cache_is_checked(tmp_path, monkeypatch):
    "A file of the right name with another content is refused, not loaded."
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    (tmp_path/'checkpoints').mkdir()
    torch.save(net().state_dict(), tmp_path/'checkpoints'/'s3d-d76dad2f.pth')
    assert 'SHA-256' in refused(torchvision_network, 's3d')

def test_torchvision_weights_of_your_own(tmp_path):
    blank = torchvision_network('s3d', weights=None)
    torch.save({'state_dict': {f'module.{k}': v + 1 if v.is_floating_point() else v
                               for k, v in blank.net.state_dict().items()}}, file := tmp_path/'mine.pth')
    mine = torchvision_network('s3d', file=file)
    assert mine.sha256 == sha256_of(file) and mine.weights == 'mine.pth' and mine.name == 's3d'
    assert torch.equal(next(mine.net.parameters()), next(blank.net.parameters()) + 1)

def test_resnext_loads_its_file(tmp_path, monkeypatch):
    "Shallow, so that the file is small; the layout is the whole network's."
    monkeypatch.setattr(pretrained, 'ResNeXt101', lambda: ResNeXt101(400, (1, 1, 1, 1)))
    torch.manual_seed(0)
    a = ResNeXt101(400, (1, 1, 1, 1))
    torch.save({'arch': 'resnext-101',
                'state_dict': {f'module.{k}': v for k, v in a.state_dict().items()
                               if 'num_batches' not in k}},
               file := tmp_path/'resnext-101-kinetics.pth', _use_new_zipfile_serialization=False)
    b = resnext_network(file)
    x, p = b(torch.zeros(1, 3, 16, 32, 32))
    assert (x.shape == (1, 2048) and p.shape == (1, 400) and torch.equal(b.net.fc.weight, a.fc.weight)
            and len(b.classes) == 400)

# names and shapes of kenshohara's files, from the architecture: models/resnext.py of his
# video-classification-3d-cnn-pytorch, models/resnet.py of his 3D-ResNets-PyTorch; shortcuts of type B

def published(blocks, width, grows, groups=1, deep=True, stem=64, classes=400):
    "Name -> shape of every tensor of such a file, without num_batches_tracked, as before PyTorch 0.4.1."
    shapes = {'conv1.weight': (stem, 3, 7, 7, 7)} | normal('bn1', stem)
    for i, count in enumerate(blocks):
        inside, out = width*2**i, grows*width*2**i
        for j in range(count):
            at, cin = f'layer{i + 1}.{j}', out if j else grows*width*2**(i - 1) if i else stem
            kernels = ([(inside, cin, 1, 1, 1), (inside, inside//groups, 3, 3, 3), (out, inside, 1, 1, 1)]
                       if deep else [(out, cin, 3, 3, 3), (out, out, 3, 3, 3)])
            for k, kernel in enumerate(kernels, 1):
                shapes |= {f'{at}.conv{k}.weight': kernel} | normal(f'{at}.bn{k}', kernel[0])
            if not j and (i or cin != out):
                shapes |= ({f'{at}.downsample.0.weight': (out, cin, 1, 1, 1)}
                           | normal(f'{at}.downsample.1', out))
    return shapes | {'fc.weight': (classes, out), 'fc.bias': (classes,)}

def normal(name, n):
    return {f'{name}.{key}': (n,) for key in ('weight', 'bias', 'running_mean', 'running_var')}

def computed(w, x, blocks, groups=1):
    "Logits from the tensors of a file alone."
    def conv(x, name, stride=1, padding=0, groups=1):
        return F.conv3d(x, w[f'{name}.weight'], None, stride, padding, 1, groups)
    def norm(x, name):
        keys = 'running_mean', 'running_var', 'weight', 'bias'
        return F.batch_norm(x, *(w[f'{name}.{key}'] for key in keys))
    x = F.max_pool3d(norm(conv(x, 'conv1', (1, 2, 2), 3), 'bn1').relu(), 3, 2, 1)
    for at, stride in [(f'layer{i + 1}.{j}', 2 if i and not j else 1) for i, n in enumerate(blocks)
                       for j in range(n)]:
        if f'{at}.conv3.weight' in w: # a bottleneck
            y = norm(conv(x, f'{at}.conv1'), f'{at}.bn1').relu()
            y = norm(conv(y, f'{at}.conv2', stride, 1, groups), f'{at}.bn2').relu()
            y = norm(conv(y, f'{at}.conv3'), f'{at}.bn3')
        else:
            y = norm(conv(x, f'{at}.conv1', stride, 1), f'{at}.bn1').relu()
            y = norm(conv(y, f'{at}.conv2', 1, 1), f'{at}.bn2')
        if f'{at}.downsample.0.weight' in w:
            x = norm(conv(x, f'{at}.downsample.0', stride), f'{at}.downsample.1')
        x = (x + y).relu()
    return F.linear(F.adaptive_avg_pool3d(x, 1).flatten(1), w['fc.weight'], w['fc.bias'])

FILES = { # file -> how its network is made, what its author's code makes
    'resnext-101-kinetics.pth': (ResNeXt101, ((3, 4, 23, 3), 128, 2, 32)),
    'r3d18_K_200ep.pth': (lambda: ResNet3d(18, 700), ((2, 2, 2, 2), 64, 1, 1, False, 64, 700)),
    'r3d34_KM_200ep.pth': (lambda: ResNet3d(34, 1039), ((3, 4, 6, 3), 64, 1, 1, False, 64, 1039)),
    'r3d50_KMS_200ep.pth': (lambda: ResNet3d(50, 1139), ((3, 4, 6, 3), 64, 4, 1, True, 64, 1139)),
    'r3d101_K_200ep.pth': (lambda: ResNet3d(101, 700), ((3, 4, 23, 3), 64, 4, 1, True, 64, 700)),
    'r3d152_K_200ep.pth': (lambda: ResNet3d(152, 700), ((3, 8, 36, 3), 64, 4, 1, True, 64, 700)),
    'r3d200_KM_200ep.pth': (lambda: ResNet3d(200, 1039), ((3, 24, 36, 3), 64, 4, 1, True, 64, 1039))}

@pytest.mark.parametrize('name', FILES)
def test_published_names_and_shapes(name):
    make, form = FILES[name]
    with torch.device('meta'):
        ours = make().state_dict()
    assert ({key: tuple(value.shape) for key, value in ours.items() if 'num_batches' not in key}
            == published(*form))

def random_file(shapes, file):
    "Tensors of these names and shapes, as a file of kenshohara's: the old format, nested, with `module.`."
    g = torch.Generator().manual_seed(0)
    w = {name: torch.rand(shape, generator=g) + .5 if name.endswith('running_var')
         else torch.randn(shape, generator=g)/max(1., np.prod(shape[1:]))**.5
         for name, shape in shapes.items()}
    torch.save({'epoch': 200, 'arch': 'resnet', 'state_dict': {f'module.{k}': v for k, v in w.items()}}, file,
               _use_new_zipfile_serialization=False)
    return w

def test_r3d_says_what_its_file_says(tmp_path):
    blocks = 1, 1, 1, 1
    w = random_file(published(blocks, 64, 1, 1, False, 64, 5), file := tmp_path/'r3d10.pth')
    net = r3d_network(file)
    clip = torch.rand(1, 3, 16, 32, 40, generator=torch.Generator().manual_seed(1))*2 - 1
    view = (clip + 1)/2
    view = F.interpolate(view.transpose(1, 2)[0], (112, 140), mode='bilinear')[..., 14:126]
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((.4345, .4051, .3775), (.2768, .2713, .2737)))
    x = ((view - mean)/std).transpose(0, 1)[None]
    assert net.name == '3-D ResNet-10' and len(net.classes) == 5
    torch.testing.assert_close(net(clip)[1], computed(w, x, blocks).softmax(1), rtol=1e-3, atol=1e-5)

@pytest.mark.parametrize('name,net,form', [
    ('bottlenecks', lambda: ResNet3d(50, 5, 8), ((3, 4, 6, 3), 8, 4, 1, True, 8, 5)),
    ('groups', lambda: ResNeXt101(5, (1, 1, 2, 1)), ((1, 1, 2, 1), 128, 2, 32, True, 64, 5))])
def test_deep_networks_say_what_their_files_say(tmp_path, name, net, form):
    w = random_file(published(*form), file := tmp_path/'w.pth')
    load_weights(mine := net().eval(), file)
    x = torch.rand(1, 3, 8, 40, 40, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(mine(x), computed(w, x, form[0], form[3]), rtol=1e-3, atol=1e-4)

def test_r3d_of_another_kind(tmp_path):
    "Shortcuts of type A have no tensors, and a file may be any other network's: one line each."
    shapes = published((1, 1, 1, 1), 64, 1, 1, False, 64, 5)
    files = {'type A': {k: v for k, v in shapes.items() if 'downsample' not in k},
             'another depth': published((2, 1, 1, 1), 64, 1, 1, False, 64, 5),
             'extra': shapes | {'fc.more': (1,)},
             'shape': shapes | {'layer2.0.conv1.weight': (128, 64, 1, 1, 1)}}
    said = {}
    for name, some in files.items():
        random_file(some, file := tmp_path/'w.pth')
        said[name] = refused(r3d_network, file)
    assert ('downsample' in said['type A'] and '2, 1, 1, 1 blocks' in said['another depth']
            and 'fc.more' in said['extra'] and '(128, 64, 1, 1, 1), not (128, 64, 3, 3, 3)' in said['shape'])

def test_random_network_is_the_same_everywhere():
    assert RandomNetwork().sha256 == RandomNetwork(64, 0).sha256
    state = torch.random.get_rng_state()
    RandomNetwork(7, 3)
    assert torch.equal(state, torch.random.get_rng_state()), 'moved global state'

# classifiers

@pytest.fixture(scope='module')
def store(tmp_path_factory):
    "Two people, two actions, blinking at different rates; one video too short to be split, and both splits."
    folder, rng = tmp_path_factory.mktemp('store'), np.random.default_rng(0)
    videos, frames = [], []
    for i, (who, what, n) in enumerate([('a', 'slow', 40), ('a', 'fast', 70), ('b', 'slow', 31),
                                        ('b', 'fast', 93)]):
        light = 127 + 100*np.sin(np.arange(n)*(.2 if what == 'slow' else .9))
        x = np.stack([light, np.full(n, 60 if who == 'a' else 200), 255 - light], 1)[:, None, None]
        frames.append((x + rng.integers(0, 9, (n, 32, 32, 1))).clip(0, 255).astype(np.uint8))
        videos.append(dict(file=f'{who}_{what}', range=[1, n], first=sum(map(len, frames[:-1])), length=n,
                           fps=25., factors=dict(subject=who, action=what),
                           split='test' if i == 3 else 'train'))
    np.save(folder/'frames.npy', np.concatenate(frames))
    index = dict(dataset='blink', stand_in=True, size=32, stride=2, frames=16, crop='whole', seed=0,
                 limit=None, rule='none', versions={}, videos=videos,
                 sha256=sha256_of(folder/'frames.npy'))
    (folder/'index.json').write_text(json.dumps(index))
    return ClipStore(folder, 'train')

@pytest.fixture(scope='module')
def trained(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp('classifier')/'classifier'
    return folder, train_classifier(store, ('subject', 'action'), folder, steps=3, batch=4, ch=2, quiet=True)

def test_split_uses_every_video(store):
    split = TimeSplit(store, ('action',))
    assert (len(split.labels) == 4 and split.lengths['test'].tolist() == [16, 24, 0, 31]
            and [c['action'] for c in split.classes] == ['fast', 'slow'])
    rows, labels = draw(split, 300, torch.Generator().manual_seed(0))
    held, _ = windows(split)
    assert not set(rows.flat) & set(held.flat) and set(labels.tolist()) == {0, 1}
    # the short one is trained on whole
    assert rows.min() == 0 and rows.max() < 234 and 110 <= rows[(rows >= 110) & (rows < 141)].min() <= 112

def test_training_is_repeatable(store, trained, tmp_path):
    before = torch.random.get_rng_state()
    again = train_classifier(store, ('subject', 'action'), tmp_path/'again', steps=3, batch=4, ch=2,
                             quiet=True)
    assert again == trained[1] and torch.equal(before, torch.random.get_rng_state())
    assert train_classifier(store, ('subject', 'action'), tmp_path/'other', steps=3, batch=4, ch=2, seed=1,
                            quiet=True)['sha256'] != again['sha256']

def test_windows_are_read_some_at_a_time(store, trained, monkeypatch):
    "All of a large data set would not fit into memory; what is said of them stays the same."
    split, read, clips = TimeSplit(store, ('subject', 'action')), [], TimeSplit.clips
    rows, labels = windows(split)
    monkeypatch.setattr(TimeSplit, 'clips', lambda self, rows: read.append(len(rows)) or clips(self, rows))
    many, classifier = np.tile(rows, (20, 1)), load_classifier(trained[0])
    more = labels.repeat(20)
    for blur in (0., 1.):
        read.clear()
        found = recognised(classifier, split, many, more, blur)
        assert sum(read) == len(many) > 128 and max(read) <= 64 and 0 <= found['class'] <= 1
    assert recognised(classifier, split, many, more) == recognised(classifier, split, rows, labels)

def test_record_says_everything(store, trained):
    folder, record = trained
    assert (record['data']['sha256'] == store.sha256 and record['data']['videos'] == 4 and record['K'] == 4
            and record['videos trained on whole'] == 1)
    assert record['settings'] == dict(steps=3, batch=4, lr=.003, ch=2, seed=0) | AMOUNTS
    assert record['sha256'] == sha256_of(folder/'model.safetensors') == load_classifier(folder).sha256

def change(folder, to, name, content):
    "A copy of a classifier with one file replaced."
    shutil.copytree(folder, to)
    if content is None:
        (to/name).unlink()
    else:
        (to/name).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return to

CONFIG = dict(classes=[{'n': 'a'}, {'n': 'b'}], size=32, ch=2, original=False)

@pytest.mark.parametrize('name,content', [
    ('config.json', None), ('config.json', b'{'), ('config.json', b'\xff'), ('config.json', []),
    ('config.json', {'size': 32}), ('config.json', CONFIG | {'more': 1}),
    ('config.json', CONFIG | {'ch': 10**9}), ('config.json', CONFIG | {'ch': 2.5}),
    ('config.json', CONFIG | {'ch': '2'}), ('config.json', CONFIG | {'size': 48}),
    ('config.json', CONFIG | {'original': 1}),
    ('config.json', CONFIG | {'size': [32]}), ('config.json', CONFIG | {'classes': 4}),
    ('config.json', CONFIG | {'classes': [{'n': 'a'}, {'m': 'b'}]}),
    ('config.json', CONFIG | {'classes': [{'n': 1}, {'n': 2}]}),
    ('config.json', CONFIG | {'classes': [{}, {}]}), ('config.json', CONFIG),
    ('model.safetensors', None), ('model.safetensors', b''), ('model.safetensors', b'<html>'),
    ('record.json', None), ('record.json', b'{'), ('record.json', []), ('record.json', {})])
def test_damaged_classifier(trained, tmp_path, name, content):
    refused(load_classifier, change(trained[0], tmp_path/'x', name, content))

def test_weights_of_another_classifier(trained, tmp_path):
    folder = change(trained[0], tmp_path/'x', 'README.md', b'')
    state = load_file(folder/'model.safetensors')
    save_file({k: v + 1 if v.is_floating_point() else v for k, v in state.items()},
              folder/'model.safetensors')
    assert 'about other weights' in refused(load_classifier, folder)
    shutil.copytree(trained[0], tmp_path/'y')
    torch.save(state, tmp_path/'y'/'model.safetensors')
    refused(load_classifier, tmp_path/'y')

def test_held_out_pairs(store, tmp_path):
    "A second network is measured on them; a store that holds none out is refused before anything is trained."
    record = train_classifier(store, ('subject', 'action'), tmp_path/'x', steps=3, batch=4, ch=2, pairs=True,
                              quiet=True)
    assert (record['accuracy on held-out pairs']['windows'] == 5
            and load_classifier(tmp_path/'x').record()['accuracy on held-out pairs'])
    shutil.copytree(store.folder, tmp_path/'all')
    (tmp_path/'all'/'index.json').write_text((store.folder/'index.json').read_text().replace('"test"',
            '"train"'))
    said = refused(train_classifier, ClipStore(tmp_path/'all'), ('subject', 'action'), tmp_path/'y',
                   pairs=True)
    assert 'nothing held out' in said and not (tmp_path/'y').exists()

def test_classifier_of_the_strips(tmp_path):
    """The shipped one is found for a store that is prepared anew, is as right as its record says, and has
    seen no mirror image of what it is measured on.
    """
    store = prepare('weizmann-strips', real_data('weizmann-strips'), tmp_path/'store', size=32, workers=0,
                    progress=False)
    classifier = classifier_of(store.folder, tmp_path/'classifiers', True)
    assert classifier.weights == 'classifier-weizmann-strips-32' and not (tmp_path/'classifiers').exists()
    split = TimeSplit(store, ('subject', 'action'))
    found = recognised(classifier, *held_out(split, None))
    said = classifier.record()['accuracy on held-out windows']['as they are']
    assert (found['class'] >= .95 and all(abs(found[k] - said[k]) < .02 for k in said)
            and classifier.record()['accuracy on held-out pairs']['windows'] == 40)
    part = {(k, name): store.array[(a := split.firsts[name][k]):a + split.lengths[name][k]] for k in range(72)
            for name in ('train', 'test')}
    for k in range(0, 72, 2):
        for name in ('train', 'test'):
            assert np.array_equal(part[k, name][:, :, ::-1], part[k + 1, name])

def test_stores_that_cannot_be_judged(store, tmp_path):
    assert 'colour' in refused(train_classifier, store, ('colour',), tmp_path/'x')
    assert 'no factors' in refused(train_classifier, store, (), tmp_path/'x')
    assert not (tmp_path/'x').exists()
