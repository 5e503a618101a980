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

.PHONY: help setup demo test lint bench bench-all fuzz docs clean test-programs bench-programs

help: ## Say what there is to make.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 16

setup: $(VENV)/.ready ## Make .venv with everything that wiretape needs.

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
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	@touch $@

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

demo: setup ## Record a busy service, replay it at another copy, name what that copy hides.
	@$(BIN)/python -m samples.demo

lint: setup ## ruff and strict mypy.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

test: setup test-programs lint ## Everything that must hold before a change lands.
	@rm -f .coverage .coverage.*
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
	rm -rf $(VENV) build dist demo *.egg-info .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis
