# The front door. `make help` lists the targets; each says what it does in its own line.
# Nothing is needed beforehand but make, git and python3 (3.11 or newer) with venv.

ENV    ?= local
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.complete
ARGS   ?=

# Values and decisions of the engine: no input, no output, so no excuse for an untested
# branch. `make test` asks for 100 % of these and 95 % of everything.
PURE := errors misfits refusals faults migration config dsn duration events statements places tokens patterns \
    window drift parse classify outcome plan

# What cannot be run without a container engine: `make test-containers` asks for 95 % of it.
ENGINED := artifacts builder container_mode containers dockerd enginesocket
ENGINED_DATA := $(CURDIR)/$(VENV)/containers.coverage
ENGINED_ENV := COVERAGE_FILE=$(ENGINED_DATA)
ENGINED_FILES = $(subst $(space),$(comma),$(ENGINED:%=*/emulator/%.py))

# The same of the orchestrator.
PURE_JOBS := errors names settings config spec lifecycle judging findings events logmerge polling \
    links queries resources bootstrap

CODE := migrate prompts verification jobs emulator scripts benchmarks docs/_generate tests

empty :=
space := $(empty) $(empty)
comma := ,

# `make migrate DATABASE_URL=…` (or the variable of the environment) wins over ENV. It is
# passed on by value, so that a dollar sign in a password is only a dollar sign.
ifdef DATABASE_URL
override DATABASE_URL := $(value DATABASE_URL)
export DATABASE_URL
endif

# A shell may ask Python to keep no compiled files. The suite starts thousands of processes:
# each would compile what it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

##@ Every day

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
	    /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z-]+:.*## / { printf "  %-28s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\nENV=%s; DATABASE_URL=postgresql://… uses that database; ARGS="…" adds options.\n' '$(ENV)'

.PHONY: setup
setup: $(STAMP) ## Make .venv with exactly the locked packages (the other targets do it when needed)

# An environment with a section `launch` is in the cloud: its migration is launched.
# A database that was named is reached from here, whatever ENV says.
LAUNCHED := $(if $(DATABASE_URL),,$(shell grep -sl '^launch:' environments/$(ENV).yaml))

# ENV=docker is a database in a container: the engine runs in another one beside it.
DOCKER := $(if $(DATABASE_URL),,$(filter docker,$(ENV)))
ENGINE := $(if $(DOCKER),scripts/in_docker.sh,$(PY) -m migrate)
SERVER := $(if $(DOCKER),scripts/in_docker.sh,$(PY) -m migrate.embedded)

.PHONY: migrate
migrate: $(STAMP) ## Apply the pending migrations and verify them (ENV=docker: in a container; dev: in the cloud)
	@$(if $(LAUNCHED),$(PY) -m jobs launch $(ENV) $(ARGS),$(ENGINE) apply --env $(ENV) $(ARGS))

.PHONY: rehearse
rehearse: $(STAMP) ## Run the whole pipeline here, with an emulated Google Cloud (CONTAINERS=1: in containers)
	@$(PY) -m jobs.rehearsal $(if $(CONTAINERS),--containers) $(ARGS)

BASE ?= origin/main

.PHONY: plan-pull-request
plan-pull-request: $(STAMP) ## Show what this checkout would do to a database that is at BASE
	@BASE='$(BASE)' PYTHON=$(PY) scripts/throwaway_database.sh scripts/plan_pull_request.sh

.PHONY: bootstrap
bootstrap: $(STAMP) ## Print what makes an empty project ready for ENV (ARGS=--apply does it)
	@$(PY) scripts/bootstrap_gcp.py $(ENV) $(ARGS)

.PHONY: dry-run
dry-run: ## Apply, verify, roll back and apply again, on a throw-away PostgreSQL in a container
	@scripts/dry_run.sh

.PHONY: status
status: $(STAMP) ## Show what is applied and what is pending
	@$(ENGINE) status --env $(ENV) $(ARGS)

.PHONY: plan
plan: $(STAMP) ## Show what `make migrate` would do
	@$(ENGINE) plan --env $(ENV) $(ARGS)

.PHONY: verify
verify: $(STAMP) ## Prove that everything applied is still there and whole
	@$(ENGINE) verify --env $(ENV) $(ARGS)

.PHONY: psql
psql: $(STAMP) ## Open psql on the database
	@$(SERVER) psql

.PHONY: stop
stop: $(STAMP) ## Stop the embedded database, keep its data
	@$(SERVER) stop

.PHONY: reset
reset: $(STAMP) ## Stop the embedded database and throw it away
	@$(SERVER) reset

##@ Development

# To count what runs costs as much as to run it: the gates are for CI and `make check`.
COVERED = $(if $(COVERAGE),-m coverage run)

.PHONY: test
test: $(STAMP) ## Run the whole suite against real servers (COVERAGE=1: with the coverage gates)
	@scripts/test_servers.sh
	@rm -f .coverage .coverage.*
	@$(PY) -m compileall -qj0 migrate prompts jobs emulator
	$(PY) $(COVERED) -m pytest -n auto --dist loadgroup --no-loadscope-reorder --ignore=tests/containers $(ARGS)
	@$(if $(COVERAGE),$(MAKE) --no-print-directory gates)

.PHONY: gates
gates: ## Hold the last run with COVERAGE=1 to the coverage gates
	@$(PY) -m coverage combine --quiet
	$(PY) -m coverage report --format=total --fail-under=95 --omit='$(ENGINED_FILES)' || { $(PY) -m coverage report; exit 2; }
	$(PY) -m coverage report --fail-under=100 --include='$(subst $(space),$(comma),$(PURE:%=*/migrate/%.py))'
	$(PY) -m coverage report --fail-under=100 --include='$(subst $(space),$(comma),$(PURE_JOBS:%=*/jobs/%.py))'

.PHONY: test-containers
test-containers: $(STAMP) ## Run the container tests, with an engine of their own (Linux, root)
	@rm -f $(ENGINED_DATA)*
	@$(ENGINED_ENV) scripts/container_engine.sh run $(PY) -m coverage run -m pytest tests/containers $(ARGS) || { code=$$?; \
	    if [ $$code = 3 ]; then echo 'NOT RUN:'; $(PY) -m pytest -q --collect-only tests/containers; fi >&2; exit $$code; }
	@$(ENGINED_ENV) $(PY) -m coverage combine --quiet
	@$(ENGINED_ENV) $(PY) -m coverage report --fail-under=95 --include='$(ENGINED_FILES)'

.PHONY: storms
storms: $(STAMP) ## Run the orchestrator through 1000 schedules of faults (STORMS=N: as many)
	STORMS=$(or $(STORMS),1000) $(PY) -m pytest -n logical --timeout=0 $(ARGS) \
	    tests/story/test_whatever_the_weather.py

.PHONY: test-versions
test-versions: $(STAMP) ## Run the tests of the database on PostgreSQL 14 and 17, which npm has
	@scripts/test_versions.sh $(ARGS)

.PHONY: lint
lint: $(STAMP) ## Check style and formatting
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

.PHONY: format
format: $(STAMP) ## Mend style and formatting where a machine can
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

.PHONY: types
types: $(STAMP) ## Check types, strictly
	$(PY) -m mypy $(wildcard $(CODE))

.PHONY: contracts
contracts: $(STAMP) ## Check who may import whom
	@$(VENV)/bin/lint-imports --no-cache

# The schemas come with check-jsonschema, so nothing is fetched.
SCHEMA := $(VENV)/bin/check-jsonschema --no-cache --builtin-schema

.PHONY: schemas
schemas: $(STAMP) ## Check build file, workflows and compose file against their schemas
	@$(SCHEMA) vendor.cloudbuild cloudbuild.migrate.yaml
	@$(SCHEMA) vendor.github-workflows .github/workflows/*.yml
	@$(SCHEMA) custom.github-workflows-require-timeout .github/workflows/*.yml
	@$(if $(wildcard docker-compose.yaml),$(SCHEMA) vendor.compose-spec docker-compose.yaml)

.PHONY: docs
docs: $(STAMP) ## Write the generated parts and the transcripts of the documentation again
	@$(PY) -m docs._generate write

.PHONY: docs-check
docs-check: $(STAMP) ## Fail if a generated part or a transcript is out of date
	@$(PY) -m docs._generate check

.PHONY: lock
lock: ## Compile requirements/ from pyproject.toml (ARGS=--upgrade renews the pins)
	@scripts/lock_requirements.sh $(ARGS)

.PHONY: lock-check
lock-check: $(STAMP) ## Fail if requirements/ lags behind pyproject.toml
	@$(PY) -m pytest -q -p no:randomly tests/architecture/test_requirements.py

.PHONY: check
check: COVERAGE := 1
check: test lint types contracts schemas docs-check ## Everything CI runs

.PHONY: bench
bench: $(STAMP) ## Measure our speed against psql on this machine
	@$(PY) -m benchmarks $(ARGS)

.PHONY: faults
faults: $(STAMP) ## Kill, cut off and starve runs: N cases of every fault; writes docs/faults.md
	@$(PY) -m tests.faults $(if $(N),-n $(N)) $(ARGS)

##@ The prompt system, as its workflow verifies it

.PHONY: verify-schema
verify-schema: $(STAMP) ## Apply to a throw-away database, and verify every part of it
	@PYTHON=$(PY) scripts/throwaway_database.sh sh -ec '$(PY) -m migrate apply; \
	    $(PY) -m migrate verify; $(PY) scripts/verify_prompt_system_migration.py'

.PHONY: test-prompt-operations
test-prompt-operations: $(STAMP) ## Test the prompt service on real servers
	@$(PY) -m pytest -n logical --maxprocesses=4 tests/prompts $(ARGS)

.PHONY: test-backwards-compatibility
test-backwards-compatibility: $(STAMP) ## Run the 29 tests of those who call the old prompts
	@$(PY) -m pytest tests/test_prompt_backwards_compatibility.py $(ARGS)

.PHONY: performance-benchmark
performance-benchmark: $(STAMP) ## Compare engine and service with what they must not lag behind
	@$(PY) -m benchmarks W1 W2 --size 100 --rounds 5 --no-peers --most 3
	@$(PY) -m benchmarks.prompt_service --executions 200000 --logged 3200

.PHONY: verify-monitoring
verify-monitoring: $(STAMP) ## Prove that the documented log filters select what they should
	@$(PY) -m pytest tests/cli/test_monitoring_sees_what_happened.py $(ARGS)

.PHONY: summary
summary: ## Run the five checks and sum them up (in CI: sum up what its jobs said)
	@python3 scripts/summarise_checks.py

##@ Housekeeping

.PHONY: bench-pipeline
bench-pipeline: $(STAMP) ## Measure the orchestrator on an emulated cloud
	@$(PY) -m benchmarks.pipeline $(ARGS)

.PHONY: clean
clean: ## Delete what make and the tests wrote (not the embedded database)
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up ---------------------------------------------------------------------------

# The stamp is written last: a set-up that was interrupted starts again.
$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo 'setup: $(PYTHON) is missing or older than 3.11; name a newer one: make setup PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo 'setup: $(PYTHON) has no venv module; on Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	@echo 'setup: making $(VENV) with the packages of requirements/dev.txt'
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation --editable .
	@touch $@
