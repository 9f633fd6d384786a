# Every command that the README names. `make help` lists them.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# The build that the parity figures were measured with; any torch >= 2.6 does.
TORCH ?= torch==2.13.0

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-all test-fast test-panel clients lint format bench wheel clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
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
PYTEST := $(BIN)/python -m pytest --reruns 2 --reruns-delay 1

test: venv clients  ## the suite; what it skipped and why is at its end
	$(PYTEST) -m 'not slow and not soak and not gpu'

test-all: venv clients  ## with the real S architecture, 100,000 hostile datagrams, kills: half an hour
	$(PYTEST) -m 'not soak and not gpu'

test-panel: venv clients  ## the panel in Chromium; its screenshots stay in out/screenshots
	$(PYTEST) tests/server/http/test_panel.py

test-fast: venv  ## within a minute: what needs neither torch nor the whole program
	$(BIN)/python -m pytest -q -m 'not integration and not slow and not daw and not soak and not gpu'

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

wheel: venv  ## build the wheel and the sdist into dist/
	$(BIN)/python -m build --outdir dist

clean:  ## remove what the targets made
	rm -rf $(VENV) out dist
