# make demo | app | site | test | mutants | soak | lab | export | lock | clean; everything is installed into .venv at the first call
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed

.PHONY: help install demo app site test mutants soak lab export lock clean
help:
	@echo 'make demo [VIDEOS=folder] [MINUTES=3] [FROM_SCRATCH=1]   train a little, swap motions, write demo/'
	@echo 'make app [PORT=8866]   sliders over a video; prints an address for the browser of this machine'
	@echo 'make site [ADDRESS=https://...]   the book and an explorer that runs in the browser, as files in build/site'
	@echo 'make test     all notebooks and tests, as CI runs them'
	@echo 'make mutants  every wrong edit, one by one: each must turn its page red'
	@echo 'make soak     every promise tried hundreds of times: kills, faults, hostile files; an hour'
	@echo 'make lab      JupyterLab on the notebooks'
	@echo 'make export   the package and README.md from the notebooks'
	@echo 'make lock     requirements.lock: versions and hashes of what is installed and tested'
	@echo 'make clean    remove what can be made again'

install: $(STAMP)

$(STAMP): settings.ini setup.py
	@$(PYTHON) -c "import sys; sys.version_info >= (3, 11) or sys.exit('encgan3 needs Python 3.11 or newer, and $(PYTHON) is %d.%d: call make PYTHON=python3.11' % sys.version_info[:2])"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: install
	$(BIN)/encgan3 demo $(if $(VIDEOS),--videos "$$VIDEOS") $(if $(MINUTES),--minutes "$$MINUTES") $(if $(FROM_SCRATCH),--from-scratch)

app: install
	@echo 'Open the address with the token in your browser; voila.json says who may.'
	$(BIN)/voila nbs/app.ipynb --port=$(or $(PORT),8866)

site: install
	$(BIN)/python -c 'import os; from encgan3.site.build import site; site(address=os.environ.get("ADDRESS", ""))'
	@echo 'To look at it: cd build/site && python3 -m http.server, and open http://localhost:8000'

# kernels and workers that are killed leave their temporary folders behind
swept = scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && trap 'exit 130' INT TERM && TMPDIR="$$scratch"
test mutants soak: export OMP_NUM_THREADS = 1
test mutants soak: export HF_HUB_OFFLINE = 1
test: install
	$(swept) $(BIN)/nbdev_test --n_workers 2 --timing
	$(swept) $(BIN)/python -m pytest --nbval --nbval-current-env --numprocesses 2 --quiet nbs tests

mutants: install
	$(swept) ENCGAN3_MUTANTS=all $(BIN)/python -m pytest --numprocesses 2 --quiet tests/test_mutants.py

soak: install
	$(swept) $(BIN)/python tests/soak.py $(ONLY)

lab: install
	$(BIN)/jupyter lab --ServerApp.ip=127.0.0.1 --notebook-dir . --LabApp.default_url=/lab/tree/nbs/index.ipynb --ServerApp.tornado_settings="{'websocket_max_message_size': 268435456}" # uploads of videos are larger than the default

export: install
	$(BIN)/nbdev_export
	$(BIN)/nbdev_clean
	$(BIN)/jupyter nbconvert --log-level WARN --to markdown --TagRemovePreprocessor.enabled=True --TagRemovePreprocessor.remove_input_tags remove-input --output-dir . --output README nbs/index.ipynb
	sed -i.bak -e 's#](\([0-9]\|images/\)#](nbs/\1#g' -e 's#](\.\./#](#g' README.md && rm README.md.bak

lock: install
	$(BIN)/python -m pip freeze --exclude-editable > requirements.freeze
	$(BIN)/uv pip compile --quiet --python $(BIN)/python --generate-hashes --no-header --no-annotate --extra dev --constraints requirements.freeze setup.py --output-file requirements.lock
	rm requirements.freeze

clean:
	rm -rf demo build *.egg-info .pytest_cache README_files _proc
	find encgan3 nbs tests -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf
