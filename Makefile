# Each target sets itself up; the second time that is quick.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# The lock names every package, so nothing is resolved: pip would otherwise look past a pin for "name[extra]".
PIP_FLAGS := --quiet --disable-pip-version-check --require-hashes --no-deps
# Hundreds of processes start in the tests. Each would compile the sources anew if bytecode were not kept.
export PYTHONDONTWRITEBYTECODE :=
COVERED := bitcoin crypto protocol sessions stores
# Tests sync thousands of small files to disk; in memory that costs nothing, where there is enough of it.
SCRATCH := $(shell [ -w /dev/shm ] && [ "$$(df -Pk /dev/shm | awk 'NR == 2 { print $$4 }')" -gt 8000000 ] && echo TMPDIR=/dev/shm)
# Tests wait for servers more than they compute.
TESTERS := $(shell echo $$((2 * $$(nproc 2>/dev/null || sysctl -n hw.ncpu))))

.PHONY: guides electrum help demo demo-kill demo-till demo-shop shop kill-shop bench-shop test exact core stress kill flood interop mutants fuzz check bench docs words lock clean
.DEFAULT_GOAL := help

help:
	@echo "Run"
	@echo "  make demo       a whole payjoin on this machine, told step by step"
	@echo "  make demo-kill  three of them, both parties killed at a random step and resumed"
	@echo "  make demo-till  a shop's till: an invoice is paid while its server and a worker are killed"
	@echo "  make demo-shop  the same, bought in an example shop with a browser"
	@echo "  make shop       that shop, to click through until Ctrl-C"
	@echo "Test"
	@echo "  make test       all tests, with the coverage gates"
	@echo "  make guides     every command and program of README and guides, in a fresh environment"
	@echo "  make core       a Bitcoin Core node's wallet, against a real node (BITCOIND)"
	@echo "  make electrum   the Electrum source, against ElectrumX (ELECTRUMX) on a real node"
	@echo "  make interop    rust-payjoin, payjoin-client and a Node client of Greenfield against ours; needs cargo and npm"
	@echo "Check"
	@echo "  make check      linters, type checkers, layers, examples in the docs"
	@echo "  make docs       write the generated reference pages"
	@echo "  make words      bring the catalogues of the pages and the dashboard up to date"
	@echo "  make bench      speed as ratios against named baselines"
	@echo "  make bench-shop what a shop's server and workers cost, with ten thousand waiting invoices"
	@echo "  make lock       pin the dependencies anew"
	@echo "  make clean      remove everything that these targets made"
	@echo "Prove"
	@echo "  make mutants    deliberate bugs, each of which a named test must catch"
	@echo "  make stress     random histories by the thousand, against the rules about money and privacy"
	@echo "  make kill       either party, and the mailroom, killed at every step of every path"
	@echo "  make kill-shop  each part of a shop killed at each moment of an invoice, on both databases"
	@echo "  make exact      thousands of payjoins: what the receiver gets, and the rate that is paid"
	@echo "  make fuzz       every parser and both machines against inputs that coverage chooses"
	@echo "  make flood      hostile clients at a mailroom's port, an honest one beside them"

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 was not found: install it, or say which with 'make PYTHON=/path/to/python3'." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.txt pyproject.toml | $(BIN)/python
	@echo "Setting up $(VENV) (once) ..."
	@$(BIN)/python -m pip install $(PIP_FLAGS) -r requirements/run.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@echo "Adding the development tools (once) ..."
	@$(BIN)/python -m pip install $(PIP_FLAGS) -r requirements/dev.txt
	@touch $@

demo: $(VENV)/.run
	@$(BIN)/dovetail demo

demo-kill: $(VENV)/.run
	@$(BIN)/dovetail demo --kill

# STORE=sqlite runs all of it in one process.
STORE ?= postgresql
demo-till: $(VENV)/.dev
	@$(BIN)/python -m tests.shop.demo --store $(STORE)

demo-shop: $(VENV)/.dev
	@$(BIN)/python -m tools.chromium --needed
	@$(BIN)/python -m tests.shop.demo_shop

shop: $(VENV)/.dev
	@$(BIN)/python -m tests.shop.stay

kill-shop: $(VENV)/.dev
	@$(BIN)/python -m tests.shop.kill $(KILL)

test: $(VENV)/.dev
	@rm -f .coverage .coverage.*
	@$(BIN)/python -m tools.chromium
	$(SCRATCH) $(BIN)/pytest -q -n $(TESTERS) --maxschedchunk 8 -m "not property" --cov --cov-report=
	$(BIN)/coverage report --include="$(shell echo $(COVERED) | sed 's|[a-z]*|src/dovetail/&/*|g; s| |,|g')" --fail-under=100
	$(BIN)/coverage report --fail-under=90
	$(SCRATCH) $(BIN)/pytest -q -n auto -m property

electrum: $(VENV)/.dev
	$(BIN)/pytest -q -rs tests/live_electrum

core: $(VENV)/.dev
	@test -n "$$BITCOIND" || command -v bitcoind >/dev/null || echo "No bitcoind was found: set BITCOIND to one. Nothing of this is run against a real node."
	$(BIN)/pytest -q -rs --no-cov tests/live_core tests/wallets -k "live or live_core"
	$(BIN)/python -m tests.kill --wallet core --only once --stride 10 --paths "payjoin completes;sender revokes at;network refuses;reorganisation;never answers"

exact: $(VENV)/.dev
	$(BIN)/python -m tests.exact

stress: $(VENV)/.dev
	$(BIN)/python -m tests.properties.histories

kill: $(VENV)/.dev
	$(BIN)/python -m tests.kill

flood: $(VENV)/.dev
	@$(BIN)/python -m tests.flood $(FLOOD)

guides: $(VENV)/.dev
	@$(BIN)/python -m tests.guides $(GUIDES)

interop: $(VENV)/.dev
	@if command -v npm >/dev/null; then cd $(NODE_SHOP) && npm ci --loglevel=error; else echo "No npm was found: the Node client of the Greenfield API is not run."; fi
	$(BIN)/pytest -q -rs --no-cov tests/merchant/greenfield/test_node_client.py
	$(BIN)/python -m tests.interop $(INTEROP)
NODE_SHOP := tests/merchant/greenfield/node

mutants: $(VENV)/.dev
	$(BIN)/python -m tests.mutants

$(VENV)/.fuzz: requirements/fuzz.txt $(VENV)/.dev
	@echo "Adding the fuzzer (once) ..."
	@$(BIN)/python -m pip install $(PIP_FLAGS) -r requirements/fuzz.txt
	@touch $@

# FUZZ="--minutes 60" or FUZZ="psbt transfer --seconds 120"; `python -m tests.fuzz --help` says more.
fuzz: $(VENV)/.fuzz
	$(BIN)/python -m tests.fuzz $(FUZZ)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m tools.docs.reference --check
	$(BIN)/python -m tools.catalogues --check
	$(BIN)/pytest -q --no-cov README.md docs

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

bench-shop: $(VENV)/.dev
	$(BIN)/python -m benchmarks.till $(BENCH)

docs: $(VENV)/.dev
	$(BIN)/python -m tools.docs.reference

words: $(VENV)/.dev
	$(BIN)/python -m tools.catalogues

lock: | $(BIN)/python
	@$(PYTHON) -m venv $(VENV)/lock && $(VENV)/lock/bin/pip install --quiet pip-tools
	$(VENV)/lock/bin/pip-compile $(LOCK_FLAGS) --extra cli --extra mailroom --extra merchant --extra regtest -o requirements/run.txt pyproject.toml requirements/build.in
	$(VENV)/lock/bin/pip-compile $(LOCK_FLAGS) --extra cli --extra mailroom --extra merchant --extra postgresql --extra regtest -c requirements/run.txt -o requirements/dev.txt pyproject.toml requirements/dev.in
	$(VENV)/lock/bin/pip-compile $(LOCK_FLAGS) -c requirements/dev.txt -o requirements/fuzz.txt requirements/fuzz.in
LOCK_FLAGS := --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras --no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

clean:
	rm -rf $(VENV) tests/interop/peer/target tests/interop/peer/Cargo.lock tests/interop/npm/node_modules $(NODE_SHOP)/node_modules build dist src/*.egg-info .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
