# Every command that the README names. `make help` lists them.
# The first of these that is Python 3.11 or later and can make a virtual environment.
PYTHON ?= python3.14 python3.13 python3.12 python3.11 python3
USABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
VENV := .venv
BIN := $(VENV)/bin
# The build that the parity figures were measured with; any torch >= 2.6 does.
TORCH ?= torch==2.13.0

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-all test-fast test-panel clients lint format bench lock wheel app plugin plugin-install plugin-windows clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

$(BIN)/python:
	@for python in $(PYTHON); do \
		if $$python -c '$(USABLE)' 2>/dev/null; then \
			echo "$$python -m venv $(VENV)"; \
			exec $$python -m venv $(VENV); \
		fi; \
	done; \
	echo 'No Python 3.11 or later with the venv module was found (tried: $(PYTHON)).'; \
	echo 'Install one (Debian, Ubuntu: apt-get install python3 python3-venv), or name yours:'; \
	echo '    make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)'; \
	exit 1
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.product: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	@touch $@

$(VENV)/.everything: pyproject.toml | $(VENV)/.product
	$(BIN)/python -m pip install --quiet '$(TORCH)'
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

venv: $(VENV)/.everything  ## make .venv with all that the demo and the tests need

demo: $(VENV)/.product  ## render sounds through OSC into out/demo/ and shut everything down
	$(BIN)/python clients/demo.py --out out/demo

clients:  ## install the programs that tests/daw drives (Debian, as root); elsewhere they are skipped
	bash tests/daw/install.sh

# Real programs in real time on a shared machine: what fails is tried again before it counts.
# Many tests wait for sound, so two processes are quicker, also on two cores.
PYTEST := $(BIN)/python -m pytest --reruns 2 --reruns-delay 1 -n 2

test: venv clients  ## the suite; what it skipped and why is at its end
	$(PYTEST) -m 'not slow and not soak and not gpu'

test-all: venv clients  ## with the real S architecture, 100,000 hostile datagrams, kills: half an hour
	$(PYTEST) -m 'not soak and not gpu'

test-panel: venv clients  ## the panel in Chromium; its screenshots stay in out/screenshots
	$(PYTEST) tests/server/http/test_panel*.py

test-fast: venv  ## within a minute: what needs neither torch nor the whole program
	$(BIN)/python -m pytest -q -n 2 -m 'not integration and not slow and not daw and not soak and not gpu'

lint: venv  ## format check, lint, types, import directions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: venv  ## format in place
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: venv  ## compare with diffusers and print the ratios
	$(BIN)/python -m benchmarks

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command 'make lock'

lock: venv  ## pin what the Docker image installs, with checksums, in deploy/docker/
	$(BIN)/python -m pip install --quiet uv
	$(LOCK) --upgrade pyproject.toml --extra gpu -o deploy/docker/requirements.txt
	$(LOCK) --upgrade pyproject.toml --extra gpu --extra cluster -o deploy/docker/cluster-requirements.txt
	$(LOCK) --upgrade deploy/docker/build.in -o deploy/docker/build-requirements.txt

plugin:  ## build the VST3, LV2 and CLAP plug-in into out/plugin/bin (Debian: dpf-source)
	$(MAKE) -C plugin

plugin-install:  ## put it where the hosts of this user look
	$(MAKE) -C plugin install

plugin-windows:  ## the same for Windows, by mingw-w64, into out/plugin/windows/bin
	$(MAKE) -C plugin windows

wheel: venv  ## build the wheel and the sdist into dist/
	$(BIN)/python -m build --outdir dist

app: $(BIN)/python  ## a folder with the program for people without Python, in dist/audioldm-daw
	$(BIN)/python -m venv build/app
	build/app/bin/python -m pip install --quiet '.[app]'
	build/app/bin/python -m PyInstaller --noconfirm --distpath dist --workpath build deploy/app/audioldm-daw.spec

clean:  ## remove what the targets made
	rm -rf $(VENV) out dist
