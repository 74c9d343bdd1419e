"R13: what can be set is checked at every door before anything is made or trained."
import json

from promises import promise

from encgan3.cli import main

def refused(arguments, capsys=None):
    "An argument list of the command line that must end with code 2 and one line."
    import contextlib, io
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = main([str(a) for a in arguments])
    text = said.getvalue().strip()
    assert code == 2 and text.startswith('encgan3: ') and '\n' not in text, f'code {code}: {text[-300:]}'
    return text

SETTINGS = [*(f'{name}={value}' for name in ('ch', 'encoder_ch', 'discriminator_ch', 'content', 'motion', 'size')
              for value in ('0', '-1', '2.5', '32.0', '"sixteen"', 'true', '1e9', '[8]', 'null', 'NaN')),
            *(f'{name}={value}' for name in ('lr', 'beta', 'decay', 'kl_content', 'change', 'adversarial')
              for value in ('-1', 'NaN', 'Infinity', '"fast"', 'true', '[1]', 'null', '-Infinity')),
            *(f'{name}={value}' for name in ('attention', 'spatial', 'temporal', 'any_frame', 'recolour',
                                             'batch_statistics')
              for value in ('"foo"', '"false"', '2', 'null', '[true]', '0')),
            'norm=3', 'norm=0', 'norm=1.5', 'encoder_size=7', 'encoder_size=-32', 'beta=1', 'decay=1', 'lr=0',
            'sise=32', '=3', 'ch', 'ch=', 'ch=016', 'config={}']

@promise('R13', 'a setting that makes no sense is refused in one line, before anything is made', 10, 140)
def settings_on_the_command_line(n, folder, dice):
    store = folder/'store'
    store.mkdir()
    (store/'index.json').write_text(json.dumps({})) # asked for later than settings
    for text in dice.sample(SETTINGS, min(n, len(SETTINGS))):
        def attempt(text=text):
            refused(['train', '--data', store, '--out', folder/'run', '--preset', 'micro', '--set', text])
            assert not (folder/'run').exists()
        yield text, attempt
