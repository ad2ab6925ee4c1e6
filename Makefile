# `make demo` and `make test` do all set-up by themselves: virtual environment, install, run.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed

.PHONY: demo test clean

demo: $(STAMP)
	$(VENV)/bin/gdtriton demo

test: $(STAMP)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q -n 2 -m "not slow"
	OMP_NUM_THREADS=1 TRITON_INTERPRET=1 $(VENV)/bin/python -m pytest -q -n 2 -m "not slow" tests/test_kernels*.py

# The stamp is written last, so an interrupted installation is repeated.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "gdtriton needs Python 3.11 or newer; " + sys.executable + " is " + sys.version.split()[0] + "; try: make PYTHON=python3.12")'
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "gdtriton: this Python has no venv module (Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -c constraints.txt -e '.[demo,verify,dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
