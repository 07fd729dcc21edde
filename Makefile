# `make run` and `make test` need git, make and Python 3.11 or newer, and do the rest themselves.
#
#   make run PORT=8001 API_PORT=8081 ARGS="--loglevel=debug"

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run demo test lint format e2e soak fuzz reference docs bench image clean

PORT ?= 8000
API_PORT ?= 8080
ARGS ?=
SECONDS ?= 60
INPUTS ?= 100000
IMAGE ?= dynbalancer
VENV ?= .venv
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

BIN := $(VENV)/bin
# A checkout is used as it is: an editable install of this layout would hide the twistd command.
export PYTHONPATH := .:providers$(if $(PYTHONPATH),:$(PYTHONPATH))
# The environment in use is ours, whatever was activated before.
unexport VIRTUAL_ENV

help: ## Show this
	@sed -n 's/^\([a-z0-9]*\):.*## /\1\t/p' Makefile | awk -F '\t' '{ printf "  make %-9s %s\n", $$1, $$2 }'
	@echo "  PORT=$(PORT) API_PORT=$(API_PORT) ARGS=… for run and demo"

# --- set-up: once, and again when setup.cfg changes -------------------------------------------------------------------

# $(1): extras. The dependencies come from setup.cfg; the project itself is not installed.
requirements = "$(BIN)/python" -c 'import configparser, sys; \
	c = configparser.ConfigParser(); c.read("setup.cfg"); \
	wanted = [c["options"]["install_requires"]] + [c["options.extras_require"][e] for e in sys.argv[1:]]; \
	print("\n".join(line.strip() for part in wanted for line in part.splitlines() if line.strip()))' $(1)
install = $(call requirements,$(1)) > "$(VENV)/wanted-$(notdir $@).txt" \
	&& "$(BIN)/python" -m pip install --quiet --disable-pip-version-check -r "$(VENV)/wanted-$(notdir $@).txt" \
	&& touch "$@"

$(VENV)/made:
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed, and none was found; name one: make PYTHON=/path/to/python3" >&2; exit 1; fi
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than Python 3.11; name another: make PYTHON=/path/to/python3" >&2; exit 1; }
	@if ! "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "Installing python3-venv"; \
			apt-get install -qq -y python3-venv >/dev/null || { apt-get update -qq && apt-get install -qq -y python3-venv >/dev/null; }; \
		else \
			echo "$(PYTHON) has no venv; install it, on Debian and Ubuntu by: sudo apt-get install python3-venv" >&2; exit 1; \
		fi; \
	fi
	@echo "Making an environment in $(VENV)"
	@"$(PYTHON)" -m venv --clear "$(VENV)" && touch "$@"

$(VENV)/run: $(VENV)/made setup.cfg
	@echo "Installing what dynbalancer needs"
	@$(call install,)

$(VENV)/test: $(VENV)/made setup.cfg
	@echo "Installing what the tests need"
	@$(call install,test)

$(VENV)/lint: $(VENV)/made setup.cfg
	@echo "Installing what the checks need"
	@$(call install,test lint)

$(VENV)/fuzz: $(VENV)/made setup.cfg
	@echo "Installing what fuzzing needs"
	@$(call install,test fuzz)

$(VENV)/docs: $(VENV)/made setup.cfg
	@echo "Installing what the documentation needs"
	@$(call install,docs)

# --- run --------------------------------------------------------------------------------------------------------------

# Whether an engine listens where the provider would look for it; says why not.
engine = "$(BIN)/python" -c 'import os, socket, sys; \
	host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"; \
	sys.exit(0) if not host.startswith("unix://") else None; \
	s = socket.socket(socket.AF_UNIX); s.settimeout(2); error = s.connect_ex(host[7:]); \
	sys.exit(f"No Docker engine at {host} ({os.strerror(error)}), so this is the demo." if error else 0)'
listen = --entrypoints.http.address=:$(PORT) --api --api.address=127.0.0.1:$(API_PORT)

run: $(VENV)/run ## Balance the containers of your Docker engine; without one, the demo
	@if $(engine); then \
		exec "$(BIN)/python" -m dynbalancer.cli run $(listen) --docker --docker.exposedbydefault=false $(ARGS); \
	else \
		exec "$(BIN)/python" -m dynbalancer.cli run $(listen) --demo $(ARGS); \
	fi

demo: $(VENV)/run ## Balance a handful of local servers that come and go
	@exec "$(BIN)/python" -m dynbalancer.cli run $(listen) --demo $(ARGS)

# --- check ------------------------------------------------------------------------------------------------------------

test: $(VENV)/test ## Run the tests, and show how much they cover
	@"$(BIN)/python" -m coverage erase
	"$(BIN)/python" -m coverage run -m pytest $(ARGS)
	@"$(BIN)/python" -m coverage report --include 'dynbalancer/core/*' --fail-under 95
	@"$(BIN)/python" -m coverage report --fail-under 85

lint: $(VENV)/lint ## Check style, types and the shape of the tree
	"$(BIN)/ruff" check .
	"$(BIN)/ruff" format --check .
	"$(BIN)/mypy" -p dynbalancer -p dynbalancer_docker -p dynbalancer_file -p dynbalancer_demo
	"$(BIN)/lint-imports"
	"$(BIN)/python" -m pytest tests/test_architecture.py

format: $(VENV)/lint ## Put the sources in shape
	"$(BIN)/ruff" check --fix .
	"$(BIN)/ruff" format .

e2e: ## Run the end-to-end tests on a Docker engine of their own (needs root)
	@PYTHON="$(PYTHON)" PYTHONPATH= tests/e2e/run $(ARGS)

soak: ## Run the faults of docs/inside/reliability.md in full: an hour, as root
	@PYTHON="$(PYTHON)" PYTHONPATH= tests/e2e/run --full $(ARGS)

fuzz: $(VENV)/fuzz ## Fuzz parsers, rules and labels, SECONDS each, and compare INPUTS with other parsers
	@"$(BIN)/python" tests/fuzz/run.py $(SECONDS) $(INPUTS)

reference: $(VENV)/run ## Write the option tables of the reference from the code
	@"$(BIN)/python" docs/tables.py

docs: $(VENV)/docs $(VENV)/run ## Build the documentation
	"$(BIN)/sphinx-build" -W -n --keep-going -q docs docs/_build
	@echo "The documentation is in docs/_build/index.html"

bench: $(VENV)/run ## Measure
	@"$(BIN)/python" -m bench $(ARGS)

image: ## Build the container image
	docker build -t $(IMAGE) .

clean: ## Remove everything that was made
	rm -rf $(VENV) .cache build dist docs/_build *.egg-info .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
	find . -name dropin.cache -delete
