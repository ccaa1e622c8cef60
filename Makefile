# make demo    virtual environment, install, the main job from first plan to retirement
# make test    virtual environment, install, the whole test suite
# make check   what else .ci/run holds: lint, types, imports
# Python is found by itself; `make PYTHON=/path/to/python3.12 demo` chooses another.

PYTHON ?= $(shell for p in python3.11 python3 python3.13 python3.12; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
WORKERS ?= 2
# For example: make test ARGS='-k ledger'
ARGS ?=

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.PHONY: help demo test check lint build/tree types imports wheel reference clean

help:
	@sed -n 's/^# //p' Makefile | head -4

demo: .venv/.installed-demo
	$(BIN)/phasegate demo

test: .venv/.installed-dev
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: lint types imports

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# plugins/, migrations/ and policies/ become packages of `registry` only when installed. Types and
# imports can be judged only where all of them lie in one tree: so that tree is laid out, each time
# anew. A path that a check names is a path there: registry/plugins/... is plugins/... here.
build/tree:
	@rm -rf $@ && mkdir -p $@
	@cp -R registry $@/ && cp -R plugins migrations policies $@/registry/

types: .venv/.installed-dev build/tree
	cd build/tree && ../../$(BIN)/mypy --strict --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache registry

imports: .venv/.installed-dev build/tree
	cd build/tree && ../../$(BIN)/lint-imports --no-logo --config ../../pyproject.toml --cache-dir ../.import_linter_cache

# build/lib is removed first: setuptools would ship files from it that the checkout no longer has.
wheel: .venv/.installed-dev
	@rm -rf build/lib build/bdist.* dist
	$(BIN)/python -m pip wheel -q --no-deps --no-build-isolation -w dist .

reference: .venv/.installed-dev
	$(BIN)/python docs/make_reference.py

clean:
	rm -rf .venv build dist phasegate.egg-info .pytest_cache .mypy_cache .ruff_cache

comma := ,

# --- installing -------------------------------------------------------------------------------
# A stamp is newer than what it was made from, so a second `make` starts at once. While pip works,
# .venv/.installing lies there: found at the start, it tells of an install that was cut off, which
# pip may take for a finished one. Such an environment is made anew.

define install
@if [ -e .venv/.installing ]; then echo "An install was interrupted: starting afresh."; rm -rf .venv; fi
@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
	test -n "$(PYTHON)" || { echo "Phasegate needs Python 3.11 or newer: make PYTHON=/path/to/python3"; exit 2; }; \
	$(PYTHON) -m venv --clear .venv; }
@touch .venv/.installing
@echo "Installing $(2) into .venv: a few minutes, about 2 GB."
@$(BIN)/python -m pip install -q -c constraints.txt $(1) \
	|| { code=$$?; test $$code -ge 128 || rm -f .venv/.installing; exit $$code; }
@rm .venv/.installing
endef

.venv/.installed-demo: pyproject.toml constraints.txt
	$(call install,-e '.[demo]',Phasegate)
	@touch $@

.venv/.installed-dev: pyproject.toml constraints.txt
	$(call install,-e '.[all$(comma)dev]',Phasegate and its development tools)
	@touch .venv/.installed-demo $@
