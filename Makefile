# make demo: see it work.   make test: everything.   make check: lint, types, layers.   make bench: the figures.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/pip --disable-pip-version-check
SOURCES := $(shell find src pipeline devices reports -name '*.py' -o -name '*.jinja' -o -name '*.[ch]' -o -name '*.ld' 2>/dev/null)

.PHONY: demo test check bench format system clean
.DELETE_ON_ERROR:

demo: $(VENV)/demo.stamp $(VENV)/linked.stamp
	@sh tests/system_packages.sh emulator || echo "the demo goes on without an emulated Cortex-M"
	$(BIN)/edgepipe demo

# Three at a time on two cores, since many of them wait: for boards, deadlines, meters.
# The virtual Pi is fetched meanwhile, where there is none yet; the tests that need it wait for it.
test: system $(VENV)/dev.stamp $(VENV)/linked.stamp
	@$(BIN)/python -m tests.virtual_pi & $(BIN)/pytest -n 3 --dist loadfile $(PYTEST_ARGS); failed=$$?; wait; exit $$failed

check: $(VENV)/dev.stamp $(VENV)/linked.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/vermin --target=3.7- --violations --no-tips --eval-annotations --quiet devices/agent

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/dev.stamp $(VENV)/linked.stamp
	$(BIN)/python -m benchmarks

# What a Linux machine needs beyond Python; installed where that is possible, otherwise the tests that need it are skipped and say so.
system:
	@sh tests/system_packages.sh

$(VENV)/pip.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "edgepipe needs Python 3.11 or later: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { echo "Debian and Ubuntu keep venv apart: apt-get install python3-venv"; exit 1; }
	$(PIP) install --quiet -c constraints.txt setuptools
	@touch $@

$(VENV)/demo.stamp: pyproject.toml constraints.txt | $(VENV)/pip.stamp
	$(PIP) install --quiet -c constraints.txt --config-settings editable_mode=strict -e '.[compress,micro,demo]'
	@touch $@ $(VENV)/linked.stamp

$(VENV)/dev.stamp: $(VENV)/demo.stamp
	$(PIP) install --quiet -c constraints.txt --config-settings editable_mode=strict -e '.[compress,micro,demo,aeq,dev]'
	@touch $@ $(VENV)/linked.stamp

# The strict editable install links every file, so that mypy and import-linter see them: a new file needs a new link.
$(VENV)/linked.stamp: $(SOURCES) | $(VENV)/demo.stamp
	@flock $(VENV)/pip.stamp $(PIP) install --quiet --no-deps --no-build-isolation --config-settings editable_mode=strict -e .
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
