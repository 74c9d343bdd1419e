"Four short films of two drawn people, and their clips, for tests that need real files."
from pathlib import Path

from encgan3.datasets import prepare
from encgan3.standins.figures import weizmann_takes
from encgan3.standins.films import write_standin


def films_in(folder: Path, actions: tuple[str, str] = ('jack', 'walk')) -> Path:
    "The films, at FOLDER/films; made once."
    films = folder/'films'
    if not films.exists():
        write_standin('weizmann-s', films, weizmann_takes(['daria', 'ido'], [*actions]), workers=0,
                      progress=False)
    return films

def store_in(folder: Path, actions: tuple[str, str] = ('jack', 'walk')) -> Path:
    "A clip store of the films, at FOLDER/store; made once."
    store = folder/'store'
    if not store.exists():
        prepare('weizmann', films_in(folder, actions), store, size=32, workers=0, progress=False)
    return store
