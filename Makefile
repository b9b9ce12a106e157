# Bare `make` lists the targets. Everything installs what it needs; everything is safe to run twice.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV := .venv
PY := $(VENV)/bin/python
BPF_LIB := agent/source/lib

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

.PHONY: setup
setup: ## install system packages and the virtual environment
	@tools/setup.sh $(VENV) $(PYTHON)

.PHONY: build
build: setup ## compile the BPF programs and the ring drain
	@$(MAKE) --no-print-directory -C bpf OUT=$(abspath $(BPF_LIB))

.PHONY: demo
demo: build ## run the whole path on real kernel events: a workload, an intrusion, one composite alert
	@$(VENV)/bin/vedette demo

.PHONY: test
test: build ## run the tests
	@$(PY) -m pytest $(PYTEST_ARGS)

.PHONY: test-kernels
test-kernels: build ## boot other kernels in QEMU and run the sensor suite there (KERNELS="bullseye sid")
	@tools/setup.sh --kernels $(if $(findstring --if-available,$(KERNEL_ARGS)),|| true)
	@$(PY) -m tests.kernels.matrix $(KERNELS) $(KERNEL_ARGS)

.PHONY: lint
lint: setup ## style, types and import rules
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy && $(VENV)/bin/lint-imports --no-cache

.PHONY: gen
gen: setup ## regenerate what is generated: wire code, record layout, compiled rules, docs
	@tools/gen.sh $(PY)

.PHONY: check-gen
check-gen: gen ## fail where a generated file differs from its source
	@git diff --exit-code --stat -- proto agent/decode/layout.py rules docs

.PHONY: bench
bench: build ## measure, always against a baseline in the same run
	@$(PY) -m bench

.PHONY: clean
clean: ## remove what was built (not the virtual environment)
	@rm -rf $(BPF_LIB) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
