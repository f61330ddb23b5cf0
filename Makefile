# `make demo` and `make test` are all a newcomer needs; `make help` lists the rest.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 3
# LOCK=envs/lean.lock sets up without torch and its CUDA libraries: everything but training and prediction.
LOCK ?= envs/requirements.lock
SETUP := .venv/.installed-$(basename $(notdir $(LOCK)))
HARNESS := .venv-harness/.installed

.PHONY: help setup demo test lint bench stress docs lock clean test-packages
help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

setup: $(SETUP)  ## .venv from the lock, every file checked against its hash
$(SETUP): $(LOCK) envs/uv.lock
	@$(PYTHON) -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Casebook needs Python 3.11, 3.12 or 3.13 with venv; say which: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/uv.lock
	UV_COMPILE_BYTECODE=1 $(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes $(LOCK)
	@touch $@

$(HARNESS): envs/harness.lock $(SETUP)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-harness
	$(BIN)/uv pip sync --quiet --python .venv-harness/bin/python --require-hashes envs/harness.lock
	@touch $@

demo: $(SETUP)  ## small synthetic data sets through the whole workflow
	@$(BIN)/python -m workflow_scripts.demo.make_demo_data --out demo/data
	@$(BIN)/snakemake --cores all --directory demo --configfile config/demo.yaml
	@echo "Look at demo/results/report/index.html and demo/results/scenarios/scenarios.json"

test: $(SETUP) $(HARNESS)  ## every test, and what ruff, mypy and snakefmt say
	$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

lint: $(SETUP)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules

bench: $(SETUP)  ## what the stages cost, against what a user would write instead
	$(BIN)/python -m tests.bench

stress: $(SETUP)  ## the full count of kills, and of broken copies of every data set
	CASEBOOK_STRESS=1 $(BIN)/python -m pytest -n $(WORKERS) tests/workflow/test_run.py tests/unit/test_mutations.py

COMPILE = $(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
docs: $(SETUP)  ## rewrite the pages that are written from cards, schema, tables and rules; with Graphviz the picture as well
	$(BIN)/python -m workflow_scripts.write_datasets_page --out docs/datasets.md
	$(BIN)/python -m workflow_scripts.write_reference --out docs/reference
	! command -v dot > /dev/null || $(BIN)/python -m workflow_scripts.draw_rulegraph --picture docs/rulegraph.svg

lock: $(SETUP)  ## rewrite the locks from pyproject.toml, and from them the container recipes and conda files
	$(COMPILE) pyproject.toml --group dev --group download --group learning --group live --group storage --group cluster --group text -o envs/requirements.lock
	$(COMPILE) pyproject.toml --group dev --group text -c envs/requirements.lock -o envs/lean.lock
	$(COMPILE) envs/harness.in -o envs/harness.lock
	$(COMPILE) envs/uv.in -o envs/uv.lock
	$(BIN)/python -m workflow_scripts.write_environments --envs envs

test-packages:  ## Slurm and Chromium from Debian, for the tests on a real cluster and in a real browser (as root)
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends slurmctld slurmd slurm-client munge chromium

clean:  ## the demo and the environment; never results/
	rm -rf demo .venv .venv-harness
