"Package the exported modules; every value is read from settings.ini."
import shlex
from configparser import ConfigParser
from pathlib import Path

import setuptools

ini = ConfigParser(delimiters=['='])
ini.read(Path(__file__).parent/'settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']
lib = cfg['lib_path']

setuptools.setup(
    name=cfg['lib_name'], version=cfg['version'], description=cfg['description'],
    author=cfg['author'], license=cfg['license'], url=cfg['git_url'],
    packages=setuptools.find_packages(include=[lib, lib+'.*']),
    package_data={lib: ['weights/*/*', 'ui/*.js']},
    python_requires='>='+cfg['min_python'],
    install_requires=shlex.split(cfg['requirements']),
    extras_require={name: shlex.split(cfg[f'{name}_requirements']) for name in ('dev', 'face')},
    entry_points={'nbdev': [f'{lib}={lib}._modidx:d'], 'console_scripts': [f'{lib}={lib}.cli:main']},
)
