# motionkit: `make help` lists what there is to do.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.motionkit-ready

# The first of these that runs and is 3.10 to 3.12: the embedded poses have wheels for no other.
CANDIDATES := python3.11 python3.12 python3.10 python3 python
PYTHON ?= $(shell for p in $(CANDIDATES); do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' \
	>/dev/null 2>&1 && { echo $$p; break; }; done)

.PHONY: help install demo test check format bench clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1	/' | expand -t 18

install: $(READY) ## make .venv with everything that the demo and the tests need

# mediapipe is installed without its dependencies: it pins numpy < 2 and brings a second and a
# third OpenCV; the extra `mediapipe-lean` holds what it really imports (docs/install.md).
$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "motionkit needs Python 3.10, 3.11 or 3.12, and none was found" \
	"(tried: $(CANDIDATES)). Install one, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "installing into $(VENV) with $$($(PYTHON) --version): some minutes the first time"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[demo,dev]'
	@$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps mediapipe
	@touch $@

demo: $(READY) ## the whole way on rendered videos; ends with a report to open
	@$(BIN)/motionkit demo demo

test: $(READY) ## run the tests
	@$(BIN)/python -m pytest

check: $(READY) ## format, lint, types, layering
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest tests/test_layering.py tests/test_schemas.py tests/test_docs.py

format: $(READY) ## format the code and regenerate schemas/ and docs/parameters.md
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/python -m motionkit.schema_files schemas
	@$(BIN)/python -m motionkit.parameter_tables docs/parameters.md

bench: $(READY) ## speed and accuracy, side by side in one run
	@$(BIN)/python -m benchmarks

clean: ## remove .venv, the demo and caches
	rm -rf $(VENV) demo .mypy_cache .ruff_cache
