# Everything a newcomer types. A virtual environment is made in .venv on the first call and brought
# up to date whenever pyproject.toml or constraints.txt change; Python 3.11+ and make are enough.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help demo serve test lint unit abuse integration browser checkers hear bench soak format clean

help:  ## This list
	@echo "make TARGET (PYTHON=python3.12 to choose the interpreter)"
	@sed -n 's/^\([a-z]*\):.*  ## /\1|/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r target text; do printf '  %-13s%s\n' "$$target" "$$text"; done

demo: $(INSTALLED)  ## Start a server, speak to it, show the words as they come (about a minute)
	@$(BIN)/python -m tools.demo

serve: $(INSTALLED)  ## Start a server with the settings of the environment
	@$(BIN)/fasttalk-stt serve

test: $(INSTALLED)  ## Everything below that checks, in this order (minutes)
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory abuse
	@$(MAKE) --no-print-directory integration
	@$(MAKE) --no-print-directory browser
	@echo "==> all passed"

lint: $(INSTALLED)  ## Format, lint and types, without changing a file
	@echo "==> ruff format"
	@$(BIN)/ruff format --check .
	@echo "==> ruff check"
	@$(BIN)/ruff check .
	@echo "==> mypy"
	@$(BIN)/mypy

unit: $(INSTALLED)  ## Tests without sockets and without a model (seconds)
	@echo "==> unit tests"
	@$(PYTEST) -m "not abuse and not integration and not browser"

abuse: $(INSTALLED)  ## Hostile clients against a real server with a scripted engine
	@echo "==> abuse tests"
	@$(PYTEST) -m abuse

integration: $(INSTALLED)  ## Real engine, real sockets, real speech (minutes)
	@echo "==> integration tests"
	@$(PYTEST) -m integration

browser: $(INSTALLED)  ## The web pages in a real Chromium (skipped where there is none; minutes)
	@echo "==> browser tests"
	@$(PYTEST) -m browser

checkers: $(INSTALLED)  ## Fetch Helm and Docker Compose, with which unit tests check deploy/ (else skipped)
	@$(BIN)/python -m tools.deploy_checkers

HEAR_OUT := build/hear
# What else to tell tools.hear_eval, such as HEAR="--quick" or HEAR="--only ttfs --utterances 300".
HEAR ?=

hear: $(INSTALLED)  ## How well it hears over the recordings of SPEECH_CORPUS (an hour; or HEAR=--quick)
	@$(BIN)/python -m tools.hear_eval --cache $(HEAR_OUT)/cache --json $(HEAR_OUT)/hear.json \
		--png $(HEAR_OUT)/hear.png $(HEAR)
	@echo "==> all figures in $(HEAR_OUT)/hear.json, the curves in $(HEAR_OUT)/hear.png"

BENCH_OUT := build/bench
# What else to tell tools.bench, such as BENCH="--only streams --model base --seconds 600".
BENCH ?=

bench: $(INSTALLED)  ## How fast and how many: latencies, streams, memory on SPEECH_CORPUS (half an hour)
	@$(BIN)/python -m tools.bench --json $(BENCH_OUT)/bench.json --png $(BENCH_OUT)/bench.png $(BENCH)
	@echo "==> all figures in $(BENCH_OUT)/bench.json, the curves in $(BENCH_OUT)/bench.png"

SOAK_OUT := build/soak
# What else to tell the soak, such as SOAK="--minutes 5" for a short one.
SOAK ?= --minutes 60

soak: $(INSTALLED)  ## Eight clients for an hour: memory, descriptors, tasks, latency (or SOAK="--minutes 5")
	@$(BIN)/python -m tools.rehearse --only soak --clients 8 --json $(SOAK_OUT)/soak.json $(SOAK)

format: $(INSTALLED)  ## Format the code and fix what ruff can fix
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean:  ## Remove the virtual environment and everything that was built or cached
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find fasttalk_stt tests tools -name __pycache__ -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) tools/bootstrap.py $(VENV)
