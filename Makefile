# `make demo` and `make test` need only Python 3.11+ and make: they make the environment themselves.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
CORE = $(VENV)/.installed-core
ALL = $(VENV)/.installed-all
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
JOBS ?= 2

.PHONY: demo test soak lint fast bench install clean

install: $(ALL)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, not " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	@$(PYTHON) -m venv $(VENV)

# the demo needs the program only, tests and linters need everything
$(CORE): $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing selloff and what it needs to run into $(VENV): a minute or two ..."
	@$(PIP) -e .
	@touch $(CORE)

$(ALL): $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing selloff, its tests and linters into $(VENV): a few minutes ..."
	@$(PIP) -e '.[all]'
	@touch $(ALL) $(CORE)

demo: $(CORE)
	$(BIN)/selloff run black-thursday

test: install
	$(BIN)/python -m pytest -n $(JOBS)

soak: install
	$(BIN)/python -m pytest -n $(JOBS) -m slow

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# the way of an order as machine code: same results, faster runs; needs a C compiler
fast: install
	$(BIN)/selloff compile

# Every script in benchmarks/ prints one JSON object; files without a main are parts of others.
bench: fast
	@for script in benchmarks/*.py; do \
		grep -q '__main__' $$script || continue; \
		case $$script in */growth.py) options="--out build/growth";; *) options="";; esac; \
		echo "== $$script $$options"; PYTHONPATH=. $(BIN)/python $$script $$options || exit 1; done

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
