# The front door. `make help` tells what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# The first Python on the PATH that is new enough.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit; }; \
	done; echo python3)
MODE ?= $(or $(HUITOU_MODE),live)
SERVICE ?= loyalty
# As many test workers as there are processors, at most 4.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); [ $$n -gt 4 ] && echo 4 || echo $$n)
TESTS ?= tests
# How much `make soak` does.
SOAK_OPERATIONS ?= 1000000
SOAK_KILLS ?= 1000
CODE := shared services gateway deploy bench tests

# What a fresh clone needs lies in .venv; .state/ remembers from which requirements it was made.
VENV := .venv
PY := $(VENV)/bin/python
LOCAL := .state/local
DEV := .state/dev
DEMO := .state/demo
PIP_INSTALL := $(PY) -m pip install -q -q --disable-pip-version-check --no-input --require-hashes

# Without .venv nothing of it is installed, whatever .state/ says.
ifeq ($(wildcard $(PY)),)
$(shell rm -rf .state)
endif

# What `make bench` takes; its other libraries are nothing that the product needs.
BENCH = $(if $(PARTS),--parts $(PARTS)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
	$(if $(SECONDS),--seconds $(SECONDS)) $(if $(CALLERS),--callers $(CALLERS)) $(if $(FULL),--full)
BENCH_VENV := .venv-bench

run first-key demo psql verify: export HUITOU_MODE := $(MODE)
DATA = $(if $(HUITOU_DATA),$(HUITOU_DATA),$(if $(filter sandbox,$(MODE)),.data-sandbox,.data))

.PHONY: help
help: ## Show this list
	@echo "回头 Huitou"
	@echo
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) \
		| awk -F'|' '{printf "%-20s %s\n", $$1, $$2}'
	@echo
	@echo "  MODE=sandbox  a system of its own for trying things, apart from live"
	@echo "  PORT=8080     the gateway's port (8000)     HOST=0.0.0.0  where it listens (127.0.0.1)"

.PHONY: run
run: $(LOCAL) ## Run the whole system here, with its own PostgreSQL and Valkey (Ctrl-C stops it)
	@$(PY) -m deploy.local run

.PHONY: first-key
first-key: $(LOCAL) ## Make a manager key for the running system; the last line is the key
	@$(PY) -m deploy.local first-key

.PHONY: demo
demo: $(LOCAL) $(DEMO) ## Show the whole circle on real orders
	@$(PY) -m deploy.demo

.PHONY: test
test: $(DEV) ## Run all tests (TESTS=tests/unit for some, WORKERS=1 for less load)
	@$(PY) -m pytest -n $(WORKERS) $(TESTS)

.PHONY: check
check: $(DEV) ## Check format, style, types, import rules, container and compose files, migrations
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy $(CODE)
	$(VENV)/bin/lint-imports --no-cache
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(VENV)/bin/hadolint gateway/Dockerfile services/*/Dockerfile
	$(PY) -m deploy.check_migrations

.PHONY: fmt
fmt: $(DEV) ## Bring the code into its format
	$(VENV)/bin/ruff check --fix-only --quiet .
	$(VENV)/bin/ruff format .

.PHONY: bench
bench: $(BENCH_VENV)/made ## Measure against the raw database and others (PARTS=earn,hot ROUNDS=3)
	@$(BENCH_VENV)/bin/python -m bench $(BENCH)

.PHONY: bench-verify
bench-verify: $(BENCH_VENV)/made ## Measure how long a ledger takes to verify (ENTRIES=1000000)
	@$(BENCH_VENV)/bin/python -m bench.verifying $(if $(ENTRIES),--entries $(ENTRIES))

.PHONY: soak
soak: $(DEV) ## Prove it for hours: a million operations, a thousand kills (SOAK_OPERATIONS, SOAK_KILLS)
	@$(PY) -m tests.soak model --operations $(SOAK_OPERATIONS)
	@$(PY) -m tests.soak crash --kills $(SOAK_KILLS)

.PHONY: logs
logs: ## Follow the logs of the running system
	@[ -d "$(DATA)/logs" ] || { echo "没有日志，请先 make run / no logs yet: make run first" >&2; exit 1; }
	@tail -n 20 -F "$(DATA)"/logs/*.log

.PHONY: psql
psql: $(LOCAL) ## Open psql on a database of the running system (SERVICE=referral)
	@$(PY) -m deploy.local psql $(SERVICE)

.PHONY: verify
verify: $(LOCAL) ## Prove the points ledger of the running system (DUMP=file: of a pg_dump, EXPECT=12:hash)
	@$(PY) -m deploy.local verify $(if $(DUMP),--dump "$(DUMP)") $(if $(EXPECT),--expect "$(EXPECT)")

.PHONY: secrets
secrets: $(LOCAL) ## Write the .env with fresh secrets for docker compose
	@$(PY) -m deploy.secrets .env
	@echo ".env 已生成 / .env written"

.PHONY: clean
clean: ## Remove what was installed and cached; data (.data) stays
	rm -rf $(VENV) $(BENCH_VENV) .state .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.data*' -prune -exec rm -rf {} +

# Installing. Everything is said on stderr: the output of first-key ends with the key alone.
# dev holds all that local does, so whichever comes first, one .venv serves both.
.state/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "需要 Python 3.11 以上，例如 make run PYTHON=python3.12" >&2; \
		echo "Python 3.11 or newer is needed, for example: make run PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "Python 缺少 venv，Debian/Ubuntu 请运行 apt install python3-venv" >&2; \
		echo "This Python lacks venv. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@mkdir -p .state
	@$(PYTHON) -m venv $(VENV) >&2
	@touch $@

$(LOCAL): requirements/local.txt requirements/runtime.txt | .state/venv
	@echo "正在安装依赖，约一分钟 / installing dependencies, about a minute" >&2
	@$(PIP_INSTALL) -r requirements/local.txt >&2
	@touch $@

$(DEV): requirements/dev.txt requirements/local.txt requirements/runtime.txt | .state/venv
	@echo "正在安装依赖和开发工具，约一分钟 / installing dependencies and tools, about a minute" >&2
	@$(PIP_INSTALL) -r requirements/dev.txt >&2
	@touch $(LOCAL) $@

# Only the data files of this one are wanted, not what it would bring along.
$(DEMO): requirements/demo.txt $(LOCAL)
	@$(PIP_INSTALL) --no-deps -r requirements/demo.txt >&2
	@touch $@

$(BENCH_VENV)/made: requirements/bench.txt | .state/venv
	@echo "正在安装测速所需，约一分钟 / installing what the bench compares with, about a minute" >&2
	@$(PYTHON) -m venv $(BENCH_VENV) >&2
	@$(BENCH_VENV)/bin/python -m pip install -q -q --disable-pip-version-check --no-input \
		--require-hashes -r $< >&2
	@touch $@
