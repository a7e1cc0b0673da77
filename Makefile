# Everything a newcomer or CI needs; each target sets up what it lacks.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: install demo test check bench results control clean

install: $(INSTALLED)

# torch comes first and pinned: an unpinned one would bring gigabytes of CUDA along.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; assert sys.version_info >= (3, 11), 'saesage needs Python 3.11 or newer: make PYTHON=python3.11'"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install
	@# Exit code 1 says that some features stayed undecided: a finding, not a failure to run.
	$(BIN)/saesage explain graphs/configs/quickstart.yaml || test $$? -eq 1

test: install
	@# In the order of the files: by number of tests, the long single ones would run last, side by side with nothing.
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: install
	$(BIN)/python -m evaluation.bench

# The README's figures from scratch: results.json, runs/results/scores.parquet, the README's table.
results: install
	$(BIN)/python -m evaluation.results

# The random-weights control; then: saesage explain and evaluate with evaluation/configs/control.yaml.
control: install
	$(BIN)/python -m evaluation.control --out runs/control

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
