# Everything here works on a machine with Python 3.11 (with venv), git and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# What the benchmark compares with: two environments, for one cannot have them all.
PEERS := .venv-peers
OLDER_PEERS := .venv-peers-older
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Tests start hundreds of workers. Where compiled modules may not be kept, each start takes three times as long.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-all test-pythons properties check docs simulate simulate-mutants bench schemas format lock clean

help:  ## Show this.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 20

demo: $(VENV)/.runs  ## See the main job done, on embedded parts.
	@$(BIN)/numbergroup demo

# Tests wait more than they compute, so more run at a time than a small machine has cores. Those that count calls
# a second run by themselves: requests of a process that has to wait for a core arrive in bursts.
JOBS ?= 8
PYTEST := $(BIN)/python -m pytest -q
test: $(VENV)/.develops  ## Run the quick tests: three minutes at most. It says what it leaves out.
	@$(BIN)/python tests/run_tests.py --quick --jobs $(JOBS) $(RERUN)

test-all: $(VENV)/.develops  ## Run all tests: a quarter of an hour. RERUN=--rerun gives those with real servers a second chance. A test whose server is not on the machine is skipped, and says so.
	@$(BIN)/python tests/run_tests.py --jobs $(JOBS) $(RERUN)

test-pythons: $(VENV)/.develops  ## Run the quick unit tests on every other Python (3.11 to 3.14) of this machine.
	@$(BIN)/python tests/run_pythons.py --jobs $(JOBS)

properties: $(VENV)/.develops  ## Search for new failures of the properties: many random examples, minutes.
	@HYPOTHESIS_PROFILE=explore $(PYTEST) -n $(JOBS) tests/unit

check: $(VENV)/.develops  ## Lint, types, layers, schemas.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m numbergroup_contracts.schemas contracts/schemas --check

docs: $(VENV)/.documents  ## Build the documentation into site/; a broken link or a page outside of the navigation fails.
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

SEEDS ?= 1000
simulate: $(VENV)/.develops  ## Simulate whole workers: SEEDS=1000, SEEDS=100..199, or SEED=17 with its trace.
	@PYTHONPATH=tests $(BIN)/python -m simulation $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))

simulate-mutants: $(VENV)/.develops  ## Switch our rules off, one by one: the simulation must notice.
	@PYTHONPATH=tests $(BIN)/python -m simulation --mutants

BENCH ?=
bench: $(VENV)/.measures $(PEERS)/.runs $(OLDER_PEERS)/.runs  ## Measure speed, latency, growth and merging, beside other queues: 15 minutes (BENCH=--quick: 2). Needs redis-server, and rabbitmq-server for its part.
	@$(BIN)/python -m bench $(BENCH)
	@$(BIN)/python -m bench.remembered

schemas: $(VENV)/.develops  ## Write contracts/schemas anew from the models.
	$(BIN)/python -m numbergroup_contracts.schemas contracts/schemas

format: $(VENV)/.develops  ## Let ruff lay the code out.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock:  ## Write constraints.txt anew: the newest versions that pyproject.toml allows.
	rm -rf .lock && $(PYTHON) -m venv .lock
	.lock/bin/pip install -q -e '.[dev,bench,docs]'
	.lock/bin/pip freeze --exclude-editable > constraints.txt
	rm -rf .lock

clean:  ## Remove what the commands above have made.
	rm -rf $(VENV) $(VENV)-3.* $(PEERS) $(OLDER_PEERS) .lock *.egg-info worker/*.egg-info contracts/python/*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis site

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none is on the PATH" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Setting up $(VENV) (once) …"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runs: pyproject.toml constraints.txt | $(BIN)/python
	@$(BIN)/pip install -q -c constraints.txt -e .
	@touch $@

$(VENV)/.develops: pyproject.toml constraints.txt | $(BIN)/python
	@$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.runs

$(VENV)/.documents: pyproject.toml constraints.txt | $(BIN)/python
	@$(BIN)/pip install -q -c constraints.txt -e '.[docs]'
	@touch $@ $(VENV)/.runs

$(VENV)/.measures: pyproject.toml constraints.txt | $(BIN)/python
	@$(BIN)/pip install -q -c constraints.txt -e '.[bench]'
	@touch $@ $(VENV)/.runs

$(PEERS)/.runs: bench/peers/requirements.txt | $(BIN)/python
	@$(BIN)/python -m venv $(PEERS)
	@$(PEERS)/bin/pip install -q -r $<
	@touch $@

$(OLDER_PEERS)/.runs: bench/peers/requirements-older.txt | $(BIN)/python
	@$(BIN)/python -m venv $(OLDER_PEERS)
	@$(OLDER_PEERS)/bin/pip install -q -r $<
	@touch $@
