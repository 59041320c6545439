# Needs Python >= 3.11 with venv, and make. PIP_ARGS is handed to pip, e.g.
#   make demo PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PYTHON ?= python3
PIP_ARGS ?=
VENV ?= .venv
BIN := $(VENV)/bin
# One test process per core, each with one thread.
PYTEST_ARGS ?= -n auto --dist loadfile

.PHONY: demo test test-all mutants lint types check docs pages pages-check clean

demo: $(VENV)/.installed
	$(BIN)/findna-bench run --models findna-tiny,findna-tiny@random,hyenadna@random,kmer,trivial,majority --suite demo \
	  --seeds 3 --output-dir demo-results
	$(BIN)/findna-bench leaderboard --output-dir demo-results --markdown demo-results/leaderboard.md --title "Demo suite"
	@echo "results: demo-results/   page: demo-results/leaderboard.md"

test: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not long" $(PYTEST_ARGS)

test-all: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_ARGS)

# Small changes to the code, each against the tests that reach it; an hour or more. Goes on where it was stopped.
mutants: $(VENV)/.installed-mutants reach.json
	$(BIN)/python scripts/mutants.py --reach reach.json --sample benchmarks/results/mutants-fresh-sample.json \
	  -o benchmarks/results/mutants-fresh.md $(MUTANTS_ARGS)

# Remove it to have it made anew.
reach.json: | $(VENV)/.installed-mutants
	$(BIN)/python scripts/reach.py -o $@ -- $(PYTEST_ARGS)

check: lint types

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python scripts/check_imports.py

types: $(VENV)/.installed-dev
	$(BIN)/mypy

docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "site/index.html"

# The committed pages and pictures, all of them (hours) or those named: make pages PAGES="demo audit-demo" PAGES_ARGS="--data FOLDER".
pages: $(VENV)/.installed-test
	$(BIN)/python scripts/pages.py make $(PAGES) $(PAGES_ARGS)

pages-check: $(VENV)/.installed-test
	$(BIN)/python scripts/pages.py check

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "findna-bench needs Python >= 3.11, and $(PYTHON) is older: install one and say make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "Python's venv module is missing: on Debian and Ubuntu, apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install $(PIP_ARGS) -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install $(PIP_ARGS) -e '.[test,lora]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install $(PIP_ARGS) -e '.[dev,lora]'
	@touch $@ $(VENV)/.installed-test $(VENV)/.installed

$(VENV)/.installed-docs: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install $(PIP_ARGS) -e '.[docs]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-mutants: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install $(PIP_ARGS) -e '.[test,lora,mutants]'
	@touch $@ $(VENV)/.installed-test $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist site reach.json demo-results pages-work .pytest_cache .mypy_cache .ruff_cache
