# make train: install into .venv and train on the demo corpus.
# make lint (seconds), make quick (a minute: what neither trains nor starts processes), make test (everything).
# Another interpreter: make train PYTHON=python3.12
VENV := .venv
BIN := $(VENV)/bin
ifeq ($(origin PYTHON), undefined)
PYTHON := $(shell for candidate in python3 python3.11 python3.12 python3.10 python; do \
	"$$candidate" -c 'import sys; raise SystemExit(not (3, 10) <= sys.version_info[:2] < (3, 13))' 2>/dev/null \
	&& { echo "$$candidate"; break; }; done)
endif

PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

.PHONY: train lint quick test clean

train: $(VENV)/.installed
	$(BIN)/python -m lightsernet_tf.train

lint: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

quick: lint
	$(PYTEST) -m "not slow"

test: lint
	$(PYTEST)

clean:
	rm -rf $(VENV)

$(VENV)/.created:
	@"$(PYTHON)" -c 'import sys; raise SystemExit(not (3, 10) <= sys.version_info[:2] < (3, 13))' 2>/dev/null || { \
	echo "error: expected Python 3.10, 3.11 or 3.12 (TensorFlow 2.16 runs on no other). Received:" \
	"$$("$(or $(PYTHON),python3)" --version 2>&1 | head -n 1). Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; \
	exit 2; }
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

$(VENV)/.installed: $(VENV)/.created setup.cfg pyproject.toml
	@echo "installing TensorFlow and the rest into $(VENV); this takes a few minutes the first time"
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@
