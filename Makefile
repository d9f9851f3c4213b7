# Everything a person or CI does with this repository. `make` alone lists the targets.

PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell \
	$(name) -c 'import sys; sys.version_info >= (3, 11) and print("$(name)")' 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PARTS := docker.io iproute2 iptables busybox-static prometheus prometheus-alertmanager chromium
PYTEST := $(BIN)/python -m pytest
ROUNDS ?= 50
STORY ?= down
PAYLOAD ?= tests/payloads/service_down.json

# CI's limit for the whole suite; a hung part must not eat the machine's.
TEST_LIMIT ?= 900

# Files of tests that run at the same time: most of them wait for real parts, and each run has engines of its own.
# What keeps both cores busy by itself is marked `alone`, and comes afterwards.
JOBS ?= 2

export PYTHONUNBUFFERED := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install parts demo run test test-fast check docs simulate benchmark soak lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## set up .venv from the lock file; leaves .venv/bin/remediator

$(STAMP): pyproject.toml requirements-dev.lock
	@PYTHON="$(PYTHON)" sh scripts/venv.sh $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

parts: install ## install Debian's packages of the real parts, where root
	@$(BIN)/python -m deploy.parts.packages $(PARTS)

demo: install ## watch a service break and be repaired; STORY=down, hang, errors, bad-image or slow
	@$(BIN)/python -m deploy.demo --story $(STORY)

run: install ## serve for real, observing until told to act
	@exec $(BIN)/remediator serve

test: parts ## run every test, acceptance on the real parts too
	timeout --foreground $(TEST_LIMIT) sh -c '$(PYTEST) --numprocesses $(JOBS) --dist loadfile -m "not alone" && $(PYTEST) -m alone'

test-fast: install ## run the tests that need no real part
	$(PYTEST) -m "not docker and not prometheus and not alertmanager and not browser and not acceptance and not slow"

check: install ## lint, format, types, import contracts, generated files current
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m receiver.playbooks.schema_file --check
	$(BIN)/python -m receiver.store.schema_file --check
	$(BIN)/remediator check playbooks.yaml

docs: install ## write the generated files again: schemas, playbook reference, the README's incident
	$(BIN)/python -m receiver.playbooks.schema_file --write
	$(BIN)/python -m receiver.store.schema_file --write
	$(BIN)/python -m tests.simulation.picture
	$(BIN)/python -m tests.unit.web.document

simulate: install ## say what would be done about PAYLOAD=file.json; changes nothing
	@$(BIN)/remediator simulate $(PAYLOAD)

benchmark: install ## measure the ingest path beside its yardsticks; writes one report
	@$(BIN)/python -m deploy.parts.packages prometheus-alertmanager webhook wrk
	$(BIN)/python -m tests.benchmarks

soak: parts ## kill -9 the service ROUNDS times during incidents, on counting and on real targets; writes docs/soak.md
	REMEDIATOR_SOAK_ROUNDS=$(ROUNDS) REMEDIATOR_SOAK_REPORT=docs/soak.md $(PYTEST) -m soak tests/acceptance tests/simulation \
		tests/integration/slack tests/integration/web

lock: install ## resolve the dependencies again, for every supported Python on Linux
	$(BIN)/uv pip compile pyproject.toml $(LOCK_FLAGS) --output-file requirements.lock
	$(BIN)/uv pip compile pyproject.toml $(LOCK_FLAGS) --all-extras --constraints requirements.lock \
		--output-file requirements-dev.lock

# Universal: one file for Python 3.11 and later. No host is named, so each machine uses the index that it is set up for.
LOCK_FLAGS := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header --upgrade

clean: ## remove what was built and cached; keeps data
	rm -rf .cache .demo build dist reports *.egg-info .grimp_cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache $(VENV)
	find receiver remediations deploy tests -type d -name __pycache__ -prune -exec rm -rf {} +
