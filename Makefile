# Everything a newcomer needs: `make run` compares the two topologies, `make test` checks the bench.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SCENARIO ?= quick

.PHONY: install run test long unit lint benchmark selftest secrets lock clean

install: $(INSTALLED)

# The environment is made without pip inside (Debian splits ensurepip off): the host's pip fills it.
$(INSTALLED): pyproject.toml setup.py requirements.lock
	$(PYTHON) -m venv --without-pip $(VENV)
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --require-hashes -r requirements.lock
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Exit code 3 says that too little could be believed on this machine, not that anything failed.
run: install
	@$(BIN)/sidecar-bench run $(SCENARIO) || [ $$? -eq 3 ]

test: install
	$(BIN)/pytest --ignore=tests/benchmarks -m "not long"

long: install
	$(BIN)/pytest --ignore=tests/benchmarks -m long

# For between two edits: what needs no server, in less than a minute.
unit: install
	$(BIN)/pytest --ignore=tests/benchmarks -m "not served and not slow and not long and not engine and not browser"

benchmark: install
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --require-hashes -r requirements-benchmark.lock
	$(BIN)/pytest -q -s --timeout=3000 tests/benchmarks

selftest: install
	$(BIN)/sidecar-bench selftest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# For compose/*.yaml by hand; runs of the bench make secrets of their own.
secrets:
	$(PYTHON) -m compose.credentials compose/secrets

lock:
	uv pip compile --quiet pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-header -o requirements.lock >/dev/null
	uv pip compile --quiet pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes --no-header -o requirements-benchmark.lock >/dev/null
	uv pip compile --quiet compose/requirements.in -c requirements.lock --universal --python-version 3.11 --generate-hashes --no-header -o compose/requirements.lock >/dev/null

clean: install
	$(BIN)/sidecar-bench clean
