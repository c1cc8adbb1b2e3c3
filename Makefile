# Everything a fresh machine needs: Python 3.11 or newer, make and a package index.
# `make demo` and `make test` set up what they use; a second run starts at once.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-input --progress-bar off --quiet

# python3 first: it is the one that a person expects. It needs the venv module with pip in it.
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	>/dev/null 2>&1; then echo $$python; break; fi; done)

# torch on two threads in each of two test processes would fight for two cores.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
WORKERS ?= 2
PYTEST := $(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS)

.PHONY: help demo test test-all lint types layers docs docs-serve tests bench fix changelog wheel clean

help: ## Show what there is.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## Set up, run the main job small, break a run on purpose, write a report.
	$(BIN)/steadytrain demo

test: lint types layers docs ## Set up, then lint, types, import layers, documentation and tests.
	$(PYTEST) -m "not slow"

test-all: lint types layers docs ## The same with the slow tests.
	$(PYTEST)

tests: $(VENV)/.developed ## Only the tests, without the slow ones.
	$(PYTEST) -m "not slow"

lint: $(VENV)/.developed ## Check the style of the code.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.developed ## Check the types.
	$(BIN)/basedpyright --pythonpath $(BIN)/python

layers: $(VENV)/.developed ## Check that imports point down only.
	$(BIN)/lint-imports

docs: $(VENV)/.developed ## Build the documentation into site/; a warning fails.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

docs-serve: $(VENV)/.developed ## Show the documentation while it is written.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

bench: $(VENV)/.developed ## Measure the overhead of the watch against peers.
	$(BIN)/python -m benchmarks.overhead

fix: $(VENV)/.developed ## Put right what the formatter and the linter can.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

changelog: $(VENV)/.developed ## Show CHANGELOG.md as the fragments in changes/ make it.
	@$(BIN)/python changes/assemble.py

wheel: $(VENV)/.developed ## Build the package into dist/.
	$(BIN)/python -m hatchling build

clean: ## Remove what was set up and built; runs/ stays.
	rm -rf $(VENV) site build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.python:
	@test -n "$(PYTHON)" || { \
	echo "No Python 3.11 or newer with the venv module was found (looked for python3, python3.11 to python3.14)." >&2; \
	echo "Install one (Debian: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python" >&2; \
	exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# torch first and by itself: the build that pip is configured for stays, whatever comes after.
$(VENV)/.torch: constraints.txt | $(VENV)/.python
	@echo "installing torch (the largest download) ..."
	@$(PIP) "$$(grep '^torch==' constraints.txt)"
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.torch
	@echo "installing steadytrain ..."
	@$(PIP) -c constraints.txt -e .
	@touch $@

$(VENV)/.developed: pyproject.toml $(VENV)/.torch
	@echo "installing steadytrain and its development tools ..."
	@$(PIP) -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.installed
