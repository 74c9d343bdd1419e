"R13: what can be set is checked at every door before anything is made or trained."
import contextlib, io, json, math

from promises import promise

from encgan3.baselines.base import Method
from encgan3.campaign.runs import METHODS
from encgan3.cli import main
from encgan3.errors import InputError
from encgan3.evaluation.protocols import protocol_named
from encgan3.model import EncGAN3
from encgan3.settings import Config
from encgan3.training import train

def refusal(*words) -> str:
    "What the command line answers; it must refuse, with code 2 and one line."
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = main([str(word) for word in words])
    text = said.getvalue().strip()
    assert code == 2 and text.startswith('encgan3: ') and '\n' not in text, f'code {code}: {text[-300:]}'
    return text

def names_it(name: str, text: str):
    "The line must name what is wrong."
    assert name.lstrip('-').replace('_', '-') in text.replace('_', '-'), text

NUMBERS = '0', '-1', '2.5', '32.0', '"sixteen"', 'true', '1e9', '[8]', 'null', 'NaN'
MEASURES = '-1', 'NaN', 'Infinity', '-Infinity', '"fast"', 'true', '[1]', 'null'
SWITCHES = '"foo"', '"false"', '2', 'null', '[true]', '0'
SETTINGS = [*((name, value) for name in ('ch', 'encoder_ch', 'discriminator_ch', 'content', 'motion', 'size')
              for value in NUMBERS),
            *((name, value) for name in ('lr', 'beta', 'decay', 'kl_content', 'change', 'adversarial')
              for value in MEASURES),
            *((name, value) for name in ('attention', 'spatial', 'temporal', 'any_frame', 'recolour',
                                         'batch_statistics') for value in SWITCHES),
            ('norm', '3'), ('norm', '0'), ('norm', '1.5'), ('encoder_size', '7'), ('encoder_size', '-32'),
            ('beta', '1'), ('decay', '1'), ('lr', '0'), ('sise', '32'), ('', '1'), ('ch', ''), ('ch', '016'),
            ('config', '{}')]

@promise('R13', 'a setting that makes no sense is refused in one line, before anything is made', 40, 150)
def settings_on_the_command_line(n, folder, dice):
    for name, value in dice.sample(SETTINGS, min(n, len(SETTINGS))):
        def attempt(name=name, value=value):
            names_it(name, refusal('train', '--data', folder, '--out', folder/'run', '--preset', 'micro',
                                   '--set', f'{name}={value}'))
            assert not (folder/'run').exists()
        yield f'--set {name}={value}', attempt

OPTIONS = [*(('train', '--data', 'STORE', '--out', 'RUN', '--preset', 'micro', name, value)
             for name, values in {'--batch': ('0', '-1', 'x', '2.5', '1e3'), '--steps': ('-5', 'nan'),
                                  '--save-every': ('0', '-1'), '--minutes': ('nan', '-1', 'soon'),
                                  '--shift': ('-1', '1000'), '--seed': ('-1', '1e3'),
                                  '--precision': ('fp16', ''), '--recipe': ('secret',)}.items()
             for value in values if value or name != '--precision'),
           *(('sample', 'weizmann-s-tiny', '--out', 'RUN.gif', name, value)
             for name, values in {'--n': ('0', '-1', 'x'), '--frames': ('0', '17', '-16'),
                                  '--seed': ('-1',)}.items()
             for value in values),
           *(('evaluate', 'weizmann-s-tiny', '--data', 'STORE', name, value)
             for name, values in {'--clips': ('0', '-3', '1', 'x'), '--protocol': ('kinetic', '')}.items()
             for value in values),
           *(('reproduce', 'table1', '--data', 'weizmann-s', '--out', 'RUN', name, value)
             for name, values in {'--seeds': ('0', '-1'), '--workers': ('-3', 'x'),
                                  '--budget': ('9', 'm', '-1m'), '--steps': ('-1',),
                                  '--preset': ('huge',), '--precision': ('fp8',)}.items()
             for value in values),
           *(('speed', name, value) for name in ('--batch', '--repeats') for value in ('0', '-1', 'x')),
           *(('demo', '--out', 'RUN', '--minutes', value) for value in ('nan', '-1', 'x')),
           *(('prepare', 'weizmann-s', 'RUN', name, value)
             for name, values in {'--size': ('0', '-1', 'x'), '--stride': ('0', '-1'), '--limit': ('0', '-1'),
                                  '--workers': ('-3',), '--crop': ('round',)}.items() for value in values)]

@promise('R13', 'an option that makes no sense is refused in one line, before anything is made', 12, 70)
def options_on_the_command_line(n, folder, dice):
    for words in dice.sample(OPTIONS, min(n, len(OPTIONS))):
        def attempt(words=words):
            places = {'STORE': folder/'store', 'RUN': folder/'run', 'RUN.gif': folder/'run.gif'}
            names_it(words[-2], refusal(*(places.get(word, word) for word in words)))
            assert not any(folder.iterdir())
        yield ' '.join(words), attempt

class Nothing:
    "A store that must not be asked for anything."
    sha256, size = 'none', 32

def calls(folder) -> dict:
    "What a person may write in a notebook."
    made = {f'Config({name}={value!r})': lambda name=name, value=value: Config(**{name: value})
            for name, value in dict(lr='fast', size=32.0, attention=1, norm=True, ch=30_000, beta=math.nan,
                                    batch_statistics='false').items()}
    for name, cls in METHODS.items():
        for setting, value in [*dict(size=48, ch=-1, lr='fast').items(),
                               *((s, None) for s in cls.settings)] if issubclass(cls, Method) else ():
            made[f'{name}({setting}={value!r})'] = lambda cls=cls, s=setting, v=value: cls.from_preset(
                'micro', **{s: v} if s not in ('size', 'ch') else {'size': 32, 'ch': 8} | {s: v})
    model = EncGAN3.from_preset('micro', ch=2, encoder_ch=1, discriminator_ch=1, attention=False)
    for option, value in dict(batch=0, save_every=0, log_every=0, minutes=math.nan, steps=-1, shift=2.5,
                              seed=-1, flip='yes').items():
        made[f'train({option}={value!r})'] = lambda o=option, v=value: train(
            model, Nothing(), folder/'run', **{'steps': 1, o: v})
    for option, value in dict(clips='many', choice='all', seed=1.5, resamples=0, stride=0).items():
        made[f'protocol_named({option}={value!r})'] = lambda o=option, v=value: protocol_named(
            'random', **{o: v})
    return made

@promise('R13', 'a notebook passes through the same door', 20, 60)
def settings_in_a_notebook(n, folder, dice):
    made = calls(folder)
    for name in dice.sample([*made], min(n, len(made))):
        def attempt(name=name):
            try:
                made[name]()
            except InputError as e:
                assert '\n' not in str(e) and not (folder/'run').exists()
            else:
                raise AssertionError('accepted')
        yield name, attempt

WRONG_CONFIGS = {'a list': '[]', 'a number': '7', 'nothing': '', 'a word': '"micro"', 'binary': '\x00\x01',
                 'deep': '['*100_000, 'no object': '{"size": {}}', 'unknown': '{"sise": 32}',
                 'huge': json.dumps({'size': 32, 'ch': 30_000}),
                 'text': json.dumps({'size': 32, 'ch': 'sixteen'}),
                 'NaN': '{"size": 32, "lr": NaN}', 'float': json.dumps({'size': 32.0})}

@promise('R13', 'a file of settings passes through the same door', 12, 12)
def settings_in_a_file(n, folder, dice):
    EncGAN3.from_preset('micro', ch=2, encoder_ch=1, discriminator_ch=1).save_pretrained(folder/'model')
    for name, text in WRONG_CONFIGS.items():
        def attempt(text=text):
            (folder/'model'/'config.json').write_text(text)
            try:
                EncGAN3.from_pretrained(folder/'model')
            except InputError as e:
                assert '\n' not in str(e)
            else:
                raise AssertionError('accepted')
        yield f'config.json is {name}', attempt
