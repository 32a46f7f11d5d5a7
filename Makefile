# The commands of the house. Each works on a fresh machine: what it needs is set up first.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
# Three processes (they wait much), one file of tests at a time each: files share their expensive servers.
PYTEST_ARGS ?= -n 3 --dist loadfile --no-loadscope-reorder

# Some machines forbid byte code: every start would compile 560 modules again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup requirements demo test check format bench docs clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(MAKE) --no-print-directory python-venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

# Debian keeps venv in a package of its own.
.PHONY: python-venv
python-venv:
	@[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "missing: apt install python3-venv" >&2; exit 1; }
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null

setup: $(STAMP) ## the Python environment

requirements: ## pin again: versions and hashes, from pyproject.toml
	uv pip compile --quiet --no-header --no-emit-index-url --generate-hashes --python-version 3.11 pyproject.toml -o requirements/run.txt
	uv pip compile --quiet --no-header --no-emit-index-url --generate-hashes --python-version 3.11 pyproject.toml --extra matching --group dev requirements/build.in -o requirements/dev.txt
	uv pip compile --quiet --no-header --no-emit-index-url --generate-hashes --python-version 3.11 pyproject.toml --extra matching --group dev --group bench requirements/build.in -c requirements/dev.txt -o requirements/bench.txt
	uv pip compile --quiet --no-header --no-emit-index-url --generate-hashes --python-version 3.11 requirements/package.in -o requirements/package.txt

demo: setup ## a region in a box: two hospitals, one study, read across (ONCE=1: end by itself)
	$(BIN)/maillage demo $(if $(ONCE),--once,)

check: setup ## style, types, directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: setup ## the whole suite, on SQLite and on PostgreSQL
	$(BIN)/python -m tests.setup
	$(BIN)/python -m tests.again $(PYTEST_ARGS)

bench: setup ## measure beside a peer or a limit: build/bench.json
	$(BIN)/pip install --quiet --require-hashes -r requirements/bench.txt
	$(BIN)/python -m benchmarks

docs: setup ## generate the reference pages
	$(BIN)/maillage docs

clean:
	rm -rf build $(VENV)
