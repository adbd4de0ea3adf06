PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= $(CURDIR)/.venv
PORT ?= 5000
STORAGE ?= outputs/studies.journal
INSTALLED := $(VENV)/.installed

export PATH := $(VENV)/bin:$(PATH)
export MLFLOW_TRACKING_URI ?= sqlite:///$(CURDIR)/mlflow.db

.PHONY: help demo tour test slow check format ui dashboard clean
.DEFAULT_GOAL := help

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## Set up and train the default recipe: a convolutional VAE on real digits
	mlflow run . --env-manager local --experiment-name lit-ae

tour: $(INSTALLED) ## Set up and go through the whole life of a model: train, tune, compare, promote, serve, watch
	python -m pipelines.tour

test: $(INSTALLED) ## Set up and run the tests, all but the slow ones
	OMP_NUM_THREADS=1 python -m pytest

slow: $(INSTALLED) ## Run the slow tests alone, and those in a browser
	OMP_NUM_THREADS=1 python -m pytest -m 'slow or browser'

check: $(INSTALLED) ## Lint, format, types, and the architecture's rules
	ruff check .
	ruff format --check .
	mypy
	OMP_NUM_THREADS=1 python -m pytest -q tests/test_packaging.py

format: $(INSTALLED) ## Put the code into the format that check asks for
	ruff check --fix .
	ruff format .

ui: $(INSTALLED) ## Open MLflow on the runs of this checkout (PORT=5000)
	mlflow ui --backend-store-uri "$$MLFLOW_TRACKING_URI" --port $(PORT)

dashboard: $(INSTALLED) ## Open Optuna Dashboard on the studies (STORAGE=outputs/studies.journal, PORT=8080)
	python -m pipelines.tune --dashboard $(if $(filter 5000,$(PORT)),8080,$(PORT)) --storage "$(STORAGE)"

clean: ## Remove the environment and all caches; runs and outputs stay
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "lit-ae needs Python 3.11: install it, or name it by PYTHON=/path/to/python3.11."; exit 2; }
	"$(PYTHON)" -m venv "$(VENV)"
	"$(VENV)/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch "$@"
