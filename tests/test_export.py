"The package on disk is exactly what the notebooks export."
import filecmp, os, shutil, subprocess, sys
from pathlib import Path

from pages import notebooks, root, settings

def test_package_matches_notebooks(tmp_path):
    "If this fails: edit the notebook, not the package, and run `make export`."
    shutil.copy(root/'settings.ini', tmp_path)
    (tmp_path/'nbs').mkdir()
    for path in notebooks:
        shutil.copy(path, tmp_path/'nbs')
    subprocess.run([Path(sys.executable).with_name('nbdev_export')], cwd=tmp_path, check=True,
                   env=os.environ | {'PYTHONPATH': str(root)})
    fresh, kept = tmp_path/settings['lib_path'], root/settings['lib_path']
    names = {str(p.relative_to(fresh)) for p in fresh.rglob('*.py')}
    extra = {str(p.relative_to(kept)) for p in kept.rglob('*.py')} - names
    differ = sum(filecmp.cmpfiles(fresh, kept, sorted(names), shallow=False)[1:], [])
    assert not differ and not extra, (
        f'run `make export`: these differ from their notebooks {differ}, these have none {sorted(extra)}')
