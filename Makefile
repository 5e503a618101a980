# Every target sets up what it needs, in .venv, and is quick the second time.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo -n)
APT := $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get

# program:Debian package
TEST_PROGRAMS := nginx:nginx-light chromium:chromium ip:iproute2
BENCH_PROGRAMS := $(TEST_PROGRAMS) wrk:wrk h2load:nghttp2-client hey:hey tshark:tshark tcpreplay:tcpreplay

# What is compiled (setup.py says which of it), and where nothing can be, runs as it is.
SOURCES := $(shell find capture replay/sending -name '*.py' -o -name '*.pyx')

.PHONY: help setup demo test cover lint bench bench-all fuzz docs clean test-programs bench-programs

help: ## Say what there is to make.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 16

setup: build/.compiled ## Make .venv with everything that wiretape needs.

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'wiretape needs Python 3.11 or newer; name one with PYTHON=python3.11.'; exit 1; }
	@if [ ! -x $(BIN)/pip ]; then \
	  $(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
	    echo 'Installing python3-venv…'; \
	    $(APT) update -qq && $(APT) install -y -qq python3-venv >/dev/null; \
	    $(PYTHON) -m venv --clear $(VENV); }; \
	fi
	@echo 'Installing packages into $(VENV)…'
	@WIRETAPE_COMPILE=0 $(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	@touch $@

build/.compiled: $(VENV)/.ready setup.py $(SOURCES)
	@{ command -v gcc && $(BIN)/python -c "import setup; assert not setup.missing()"; } >/dev/null 2>&1 \
	  || { echo 'Installing a C compiler…'; $(APT) update -qq && $(APT) install -y -qq \
	    --no-install-recommends gcc libc6-dev python3-dev >/dev/null; } \
	  || echo 'Could not install a C compiler.'
	@echo 'Compiling the hot modules…'
	@$(BIN)/python setup.py -q build_ext --inplace --parallel 2 >$(VENV)/compile.log 2>&1 \
	  || { cat $(VENV)/compile.log; exit 1; }
	@! grep 'runs interpreted' $(VENV)/compile.log
	@mkdir -p build; touch $@

# Installs the missing ones where it may; without them the tests that need them say so and skip.
define install_programs
	@missing=''; for each in $(1); do \
	  command -v "$${each%%:*}" >/dev/null || [ -x "/usr/sbin/$${each%%:*}" ] \
	    || missing="$$missing $${each##*:}"; \
	done; \
	if [ -n "$$missing" ]; then \
	  echo "Installing$$missing…"; \
	  { $(APT) update -qq && $(APT) install -y -qq --no-install-recommends $$missing >/dev/null; } \
	    || echo "Could not install$$missing: what needs them is skipped."; \
	fi
endef

test-programs:
	$(call install_programs,$(TEST_PROGRAMS))

bench-programs:
	$(call install_programs,$(BENCH_PROGRAMS))

demo: $(VENV)/.ready ## Record a busy service, replay it at another copy, name what that copy hides.
	@$(BIN)/python -m samples.demo

lint: $(VENV)/.ready ## ruff and strict mypy.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

test: setup test-programs lint ## Everything that must hold before a change lands.
	@$(BIN)/python -m pytest -m 'not alone' -n auto --maxprocesses 4
	@$(BIN)/python -m pytest -m alone

cover: $(VENV)/.ready test-programs ## Which lines the tests reach: of the sources as they are, not compiled.
	@rm -f .coverage .coverage.* build/.compiled; find capture replay -name '*.so' -delete
	@$(BIN)/python -m pytest -m 'not alone' -n auto --maxprocesses 4 --cov --cov-report=
	@$(BIN)/python -m pytest -m alone --cov --cov-append

bench: setup bench-programs ## Measure, beside the peers.
	@$(BIN)/python -m tests.bench

bench-all: setup bench-programs ## The same with those that take hours: memory, soaks, trials.
	@$(BIN)/python -m tests.bench --all

fuzz: setup ## Fuzz every parser, half an hour each.
	@$(BIN)/python -m tests.fuzz

docs: setup ## Write the command reference anew.
	@$(BIN)/python -m tests.reference docs/commands.md

clean: ## Remove what was made.
	find capture replay -name '*.so' -delete
	rm -rf $(VENV) build dist demo *.egg-info .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis
