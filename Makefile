# Every target does all of its own set-up: a virtual environment in .venv with the tested versions.
PYTHON ?= python3.11
BIN := .venv/bin
SRC := src tests benchmarks examples zoo

.DEFAULT_GOAL := help
.PHONY: help demo test lint types contracts unit bench zoo browser clean

help:
	@echo "make demo   train a small faulty multi-task model, diagnose it, cure it, compare, write reports"
	@echo "make test   lint, types, import contracts and tests"
	@echo "make bench  the benchmarks behind every number in the docs, hours; python -m benchmarks --help"
	@echo "make zoo    every faulty and healthy training of zoo/: what is found, and how soon"

.venv/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,recipes]'
	@touch $@

# The browser test skips with a reason where chromium cannot be installed.
browser:
	@command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 && \
	    apt-get update -qq >/dev/null 2>&1 && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null 2>&1; } || \
	  echo "chromium is not installed and cannot be: the browser test will be skipped"

demo: .venv/.done
	@$(BIN)/poise demo runs/demo

test: .venv/.done browser lint types contracts unit

lint: .venv/.done
	$(BIN)/ruff check $(SRC)
	$(BIN)/ruff format --check $(SRC)
	$(BIN)/codespell src docs README.md CHANGELOG.md

types: .venv/.done
	$(BIN)/basedpyright

contracts: .venv/.done
	$(BIN)/lint-imports

# Two processes, each of a whole file of tests at a time: trainings that a file shares are made once.
unit: .venv/.done
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile

bench: .venv/.done
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	rm -rf runs/bench
	$(BIN)/python -m benchmarks

zoo: .venv/.done
	rm -rf runs/zoo runs/rules
	mkdir -p runs/rules
	$(BIN)/python -m benchmarks.zoo --keep runs/zoo
	$(BIN)/python -m benchmarks.thresholds --records runs/zoo --write runs/rules
	$(BIN)/python -m benchmarks.zoo_peers runs/zoo

clean:
	rm -rf .venv dist build runs
