# Two commands, each with all its own set-up: `make demo` and `make test`.
# They need Python 3.11 or newer with pip, and make. PYTHON=python3.12 picks another one.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: demo test wallboard contract browser bench clean

demo: $(VENV)/.run-installed
	$(RUN) -m presence_async demo

wallboard: $(VENV)/.run-installed
	$(RUN) -m examples.wallboard

test: $(VENV)/.test-installed
	$(RUN) -m coverage erase
	$(RUN) -m coverage run -m pytest -n auto --dist worksteal
	$(RUN) -m coverage combine --quiet
	$(RUN) -m coverage report

contract: $(VENV)/.contract-installed
	$(RUN) -m pytest tests/contract

browser: $(VENV)/.browser-installed
	$(RUN) -m pytest tests/browser

bench: $(VENV)/.benchmark-installed
	$(RUN) -m benchmarks
	$(RUN) -m benchmarks.simulator
	$(RUN) -m benchmarks.throughput --plots docs/plots
	$(RUN) -m benchmarks.memory --plots docs/plots
	$(RUN) -m benchmarks.budget --plots docs/plots
	$(RUN) -m benchmarks.live

# Without pip inside, the environment needs no ensurepip, which some systems package apart.
$(RUN):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv --without-pip $(VENV)

$(VENV)/.%-installed: requirements/%.txt | $(RUN)
	$(PYTHON) -m pip --disable-pip-version-check --python $(RUN) install --quiet --require-hashes -r $<
	@touch $@

clean:
	rm -rf $(VENV) .coverage .pytest_cache .hypothesis .mypy_cache .ruff_cache
