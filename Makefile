# `make` alone prints this file's own help. Everything runs from .venv, which is made when it is missing or out of date.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=
# More than a small machine has processors: most of the time the tests wait for something to be noticed.
WORKERS ?= 6
# Where no bytecode may be written, each of a thousand processes of a test run compiles everything anew.
export PYTHONDONTWRITEBYTECODE :=
.DEFAULT_GOAL := help
.PHONY: help setup up test test-other check format bench demo lock clean

help: ## Show what each command does
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements.lock pyproject.toml hub/version.py
	@echo "setting up $(VENV) (once, and after a dependency changed) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Central Hub needs Python >= 3.11; this is %s. Try: make PYTHON=python3.12 ..." % sys.version.split()[0])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(STAMP) ## Make .venv with the pinned dependencies

up: $(STAMP) ## Set up and run the hub with its embedded NATS (ARGS="--http-port 7001" ...)
	@exec $(BIN)/hub up $(ARGS)

test: $(STAMP) ## Set up and run all tests (ARGS="-k name" ...)
	@$(BIN)/python -m pytest -q --collect-only >/dev/null 2>&1 || true  # compiles once what each worker would compile anew
	@echo "running the tests (parallel, then those that need the machine to themselves) ..."
	@$(BIN)/python -m pytest -q -n $(WORKERS) --max-worker-restart 0 --dist loadgroup -m "not serial and not system" $(ARGS)
	@$(BIN)/python -m pytest -q -m "serial and not system" $(ARGS) || test $$? -eq 5
	@echo "running those that talk to a hub again, in enforced mode: hubs let in only who proves who it is ..."
	@HUB_TEST_ACCESS=enforced $(BIN)/python -m pytest -q -n $(WORKERS) --max-worker-restart 0 --dist loadgroup -m "not serial and not system" $(ARGS) || test $$? -eq 5

test-other: $(STAMP) ## Run the unit tests on the newest other CPython found
	@$(BIN)/python -m tests.other_python

check: $(STAMP) ## Lint, format, types, import rules, spelling, contract drift
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/codespell
	@$(BIN)/hub contract --check

format: $(STAMP) ## Format the code and mend what lint can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(STAMP) ## Measure every performance bar beside its raw baseline
	@$(BIN)/python -m tests.benchmarks $(ARGS)

demo: $(STAMP) ## A gateway and three engines as real processes; one is killed half-way
	@$(BIN)/python -m examples.demo $(ARGS)

lock: $(STAMP) ## Pin every dependency anew, with hashes, for every supported Python
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --upgrade pyproject.toml -o requirements.lock

clean: ## Remove .venv and everything generated
	@rm -rf $(VENV) .venv-other bench.json .hub .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
