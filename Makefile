# Each target sets up what it needs in .venv of this checkout and says in one line what it does.
# Nothing needs root. `make` alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help

BIN := .venv/bin
STAMP := .venv/.portfolio-sync
SOURCES := $(wildcard $(addsuffix /*.py,actors messages polymarket portfolio service storage tests \
	$(foreach folder,actors messages polymarket portfolio service storage tests,\
	$(addprefix $(folder)/,* */* */*/*))))
PACKAGES := actors benchmarks messages polymarket portfolio service storage tests setup.py bin/portfolio-sync bin/polytraders
# gevent must patch before pytest imports anything; a conftest is too late.
PATCHED := $(BIN)/python -m gevent.monkey --module
# Two processes test at a time and take about as long: one these folders, the other all that is in none of them.
WHOLE := tests/evm tests/integration/service tests/system
TEST_GROUPS := test-whole test-rest
TEST_LOGS := .pytest_cache
say = @printf '\033[1m%s\033[0m\n' '$(1)' >&2

.PHONY: help demo test $(TEST_GROUPS) check format-check lint types contracts audit coverage-gates bench docs mutants seeds simulated-mutants lock

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

demo: $(STAMP) ## sandbox and service with a live view; CYCLES=5 SEED=7 STORAGE=sqlite:///file.db
	$(call say,demo: a local Polymarket and the service against it; no keys and no network needed)
	@$(BIN)/portfolio-sync demo $(if $(CYCLES),--cycles '$(CYCLES)') $(if $(SEED),--seed '$(SEED)') \
		$(if $(STORAGE),--storage '$(STORAGE)')

test: $(STAMP) ## every test under gevent; ARGS='-k neg_risk' selects; COVERAGE=1 keeps the data for check
	$(call say,test: all tests or those that ARGS selects)
	@$(if $(COVERAGE),rm -f .coverage; $(MAKE) .coverage,$(call RUN_TESTS))

# A selection runs in one process. Else the first group is shown as it goes and the second behind it, each to its end;
# what failed in either is named once more.
define RUN_TESTS
$(if $(ARGS),$(PATCHED) $(1) pytest $(ARGS),mkdir -p $(TEST_LOGS); status=0; \
	$(MAKE) --jobs=2 --keep-going TRACED='$(1)' $(TEST_GROUPS) || status=$$?; cat $(TEST_LOGS)/test-rest.log; \
	((status == 0)) || grep -hE '^(FAILED|ERROR) ' $(TEST_GROUPS:%=$(TEST_LOGS)/%.log); exit $$status)
endef

test-whole:
	@$(PATCHED) $(TRACED) pytest $(WHOLE) 2>&1 | tee -i $(TEST_LOGS)/$@.log

test-rest:
	@$(PATCHED) $(TRACED) pytest tests $(WHOLE:%=--ignore=%) >$(TEST_LOGS)/$@.log 2>&1

check: $(STAMP) ## format, lint, types, import contracts, lock, coverage
	@$(MAKE) --jobs=2 --output-sync=target format-check lint types contracts audit
	@$(MAKE) coverage-gates
	$(call say,check: all passed)

format-check: $(STAMP)
	$(call say,check: format)
	@$(BIN)/ruff format --check .

lint: $(STAMP)
	$(call say,check: lint)
	@$(BIN)/ruff check .

types: $(STAMP)
	$(call say,check: types, mypy strict)
	@$(BIN)/mypy

contracts: $(STAMP)
	$(call say,check: import contracts)
	@$(BIN)/lint-imports --config setup.cfg

audit: $(STAMP)
	$(call say,check: the lock is complete, pinned and hashed, and its packages agree with each other)
	@$(BIN)/python -m pip check
	@$(PATCHED) pytest -q tests/architecture/test_lock.py

coverage-gates: .coverage
	$(call say,check: coverage by branch: portfolio and messages 100 %, the rest 90 %)
	@$(BIN)/coverage report --include='portfolio/*,messages/*' --fail-under=100
	@$(BIN)/coverage report --omit='portfolio/*,messages/*' --fail-under=90

# Written only when every test passed, so that a gate never looks at half a run; newer than the sources or made again.
.coverage: $(SOURCES) setup.cfg requirements.lock | $(STAMP)
	$(call say,test: all tests under coverage)
	@rm -f .coverage .coverage.*
	@$(call RUN_TESTS,coverage run -m)
	@$(BIN)/coverage combine --quiet

bench: $(STAMP) ## measure against floor and peers; NAMES='cycle-50 memory' JSON=1
	$(call say,bench: $(or $(NAMES),every benchmark))
	@$(BIN)/python -m benchmarks $(NAMES) $(if $(JSON),--json)

docs: $(STAMP) ## generate the reference pages
	$(call say,docs: generate docs/reference)
	@$(BIN)/python docs/generate.py

mutants: $(STAMP) ## plant faults in the code; each must be caught by a named test
	$(call say,mutants: plant faults one by one and run the test that must catch each)
	@$(BIN)/python -m tests.mutants

# The fixed seeds are a gate. Fresh ones look for what nobody knows yet: what they find is told, with the command that
# repeats it, and fails nothing, since it is no fault of the change that happened to be there.
seeds: $(STAMP) ## simulate a fixed set of seeds, then a few fresh ones; SEEDS=0:100 FRESH=8
	$(call say,seeds: simulate $(or $(SEEDS),0:100) with all faults)
	@$(BIN)/portfolio-sync simulate --seeds '$(or $(SEEDS),0:100)'
	@first=$$(((RANDOM << 14) + RANDOM)); last=$$((first + $(or $(FRESH),8))); \
	printf '\033[1mseeds: fresh ones, %s\033[0m\n' "$$first:$$last" >&2; \
	$(BIN)/portfolio-sync simulate --seeds "$$first:$$last" || echo 'seeds: a fresh one failed; it is worth an issue' >&2

simulated-mutants: $(STAMP) ## plant faults in the code; the simulator must find each
	$(call say,simulated-mutants: plant faults one by one and simulate seeds until one fails)
	@$(BIN)/python -m tests.mutants.simulated

lock: $(STAMP) ## renew requirements.lock from setup.cfg; UPGRADE=1 takes newer versions
	$(call say,lock: resolve setup.cfg with its extras into requirements.lock, with hashes)
	@CUSTOM_COMPILE_COMMAND='make lock' PIP_CONFIG_FILE=/dev/null env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL \
		$(BIN)/pip-compile --quiet $(if $(UPGRADE),--upgrade) --allow-unsafe --generate-hashes --strip-extras \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options \
		--extra test --extra dev --output-file requirements.lock setup.cfg

# The first Python from this list that runs and is 3.11 or newer; PYTHON=… chooses another.
define FIND_PYTHON
find_python() {
	local name
	for name in $(PYTHON) python3.11 python3.12 python3.13 python3.14 python3; do
		if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
			if "$$name" -c 'import ensurepip, venv' 2>/dev/null; then
				echo "$$name"
				return
			fi
			echo "$$name lacks the venv module. On Debian: apt install $$name-venv" >&2
			return 1
		fi
	done
	echo 'Python 3.11 or newer was not found. On Debian: apt install python3.11 python3.11-venv' \
		'(or python3 python3-venv where that is 3.11 or newer)' >&2
	return 1
}
endef
export FIND_PYTHON

# The project itself goes in with --no-deps and with the locked setuptools, so nothing unpinned is fetched.
$(STAMP): requirements.lock setup.cfg setup.py bin/portfolio-sync
	$(call say,setup: install the locked dependencies into .venv)
	@eval "$$FIND_PYTHON"; \
	[ -x $(BIN)/python ] || { python=$$(find_python); "$$python" -m venv .venv; }; \
	$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --no-deps -r requirements.lock; \
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --use-pep517 -e .; \
	touch $@
