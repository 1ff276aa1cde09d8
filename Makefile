# make demo    set up, then record, force and compare a real C project
# make test    set up, then lint, types and all tests; SELECT='not slow' leaves out the whole packages
# make clean   remove what these made
#
# PYTHON=python3.12 chooses the interpreter, PACKAGES=no leaves Debian packages alone, JOBS=N is how many tests at once.

PYTHON ?= python3
JOBS ?= $(shell nproc)
PACKAGES ?= yes
SELECT ?=

VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml $(shell find gg toolchain-wrappers -name '*.py' -o -name '*.[ch]' -o -name CMakeLists.txt)

.PHONY: demo test lint types packages clean

demo: $(VENV)/installed
	$(BIN)/python -m benchmarks.demo

test: packages lint types
	$(BIN)/pytest --import-mode=append -n $(JOBS) $(if $(SELECT),-m '$(SELECT)')

lint: $(VENV)/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	.ci/lint-c

types: $(VENV)/installed-for-tests
	$(BIN)/mypy

packages:
ifneq ($(PACKAGES),no)
	.ci/packages
endif

# A wheel is built and installed, as a user's pip would do: the tests run what users get.

$(VENV)/installed: $(SOURCES) | $(BIN)/pip
	$(BIN)/pip install --quiet .
	@touch $@

$(VENV)/installed-for-tests: $(SOURCES) | $(BIN)/pip
	$(BIN)/pip install --quiet '.[test]'
	@touch $@ $(VENV)/installed

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'gg needs Python 3.11 or later; another one is chosen by: make PYTHON=python3.12' >&2; exit 1; }
	@command -v cc >/dev/null || { echo 'gg needs a C compiler: apt-get install gcc libc6-dev' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo 'Python lacks its venv module: apt-get install python3-venv' >&2; exit 1; }

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
