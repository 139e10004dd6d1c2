# The two commands a newcomer needs: `make up` and `make test`. Everything they use lies in .venv, the user's cache
# and the home that `up` names; nothing else on the machine is touched.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
UV := $(shell command -v uv 2>/dev/null)
BIN := .venv/bin
UP ?=
INSTALL = $(if $(UV),$(UV) pip install --quiet --python $(BIN)/python,$(BIN)/python -m pip install --quiet --disable-pip-version-check)

.PHONY: airflow up setup test test-all soak soak-sources soak-alerts bench soak-dashboard pictures faults sbom audit-deps lint lock clean

up: .venv/.installed
	@exec $(BIN)/sparktrends up $(UP)

setup: .venv/.installed

test: .venv/.tested
	@$(BIN)/python tests/run.py quick

test-all: .venv/.tested .venv-airflow/.installed
	@$(BIN)/python tests/run.py all

# Ten minutes of random failures for each of three seeds, 20 kills, the broker away for five minutes: most of an hour.
soak-sources: .venv/.tested
	@SPARKTRENDS_SOAK=1 $(BIN)/python -m pytest -q -s tests/ingest/test_soak.py

# An hour at 2,000 events/s with a random fault every two minutes; its report goes to artefacts/.
soak: .venv/.tested
	@SPARKTRENDS_SOAK=1 $(BIN)/python -m pytest -q -s tests/faults/test_soak.py

# Slack away for ten minutes, in every way there is, while alerts go on coming: a quarter of an hour.
soak-alerts: .venv/.tested
	@SPARKTRENDS_SOAK=1 $(BIN)/python -m pytest -q -s tests/alerts/test_away.py

bench: .venv/.tested
	@for name in throughput latency startup memory kernel analysis api ingest; do $(BIN)/sparktrends bench $$name || exit 1; done

# Each harm of tests/faults/rows.toml; a report in artefacts/. `make faults ROWS="3 9" SEED=5` tries two of them.
ROWS ?=
SEED ?= 20261121
faults: .venv/.tested
	@$(BIN)/python tests/faults/run.py $(ROWS) --seed $(SEED)

sbom: .venv/.installed
	@mkdir -p artefacts && $(BIN)/python -m sparktrends.ops.sbom > artefacts/sbom.json && echo artefacts/sbom.json

# All that is shipped, or run to build or test it. In an environment of its own; asks PyPI's advisory data, so it needs
# the network. Strict: what could not be looked up is a failure, and not "no known vulnerabilities".
LOCKS := requirements.txt requirements-build.txt requirements-dev.txt deploy/airflow/requirements.txt
audit-deps: .venv/bin/python
	@test -x .venv-audit/bin/pip-audit || { $(PYTHON) -m venv .venv-audit && .venv-audit/bin/pip install --quiet pip-audit; }
	@for lock in $(LOCKS); do echo "$$lock:"; .venv-audit/bin/pip-audit --strict --require-hashes --disable-pip -r $$lock || ill=1; done; test -z "$$ill"

soak-dashboard: .venv/.tested
	@SPARKTRENDS_SOAK=10x10 $(BIN)/python -m pytest -q -s -m slow tests/serve/dashboard/test_browser.py -k tabs

# Every page of the running product, light and dark, as the README shows them. Needs /usr/bin/chromium.
pictures: .venv/.tested
	@SPARKTRENDS_PICTURES=docs/images $(BIN)/python -m pytest -q -s tests/e2e/test_pages.py -k opens

# Airflow and its pins live in an environment of their own.
airflow: .venv/.installed .venv-airflow/.installed
	@exec deploy/airflow/standalone

lint: .venv/.tested
	@$(BIN)/python tests/run.py lint

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "SparkTrends needs Python 3.11, 3.12 or 3.13 with its venv module"; exit 3; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "$(PYTHON) cannot make a virtual environment: install its venv module"; exit 3; }

.venv/.installed: requirements.txt requirements-build.txt pyproject.toml | .venv/bin/python
	@echo "installing Python packages into .venv (about a minute the first time)"
	@$(INSTALL) --require-hashes -r requirements-build.txt
	@$(INSTALL) --require-hashes -r requirements.txt
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

.venv/.tested: .venv/.installed requirements-dev.txt
	@$(INSTALL) --require-hashes -r requirements-dev.txt
	@touch $@

.venv-airflow/.installed: deploy/airflow/requirements.txt | .venv/bin/python
	@echo "installing Airflow into .venv-airflow (about a minute)"
	@test -x .venv-airflow/bin/python || .venv/bin/python -m venv .venv-airflow
	@$(if $(UV),$(UV) pip install --quiet --python .venv-airflow/bin/python,.venv-airflow/bin/python -m pip install --quiet --disable-pip-version-check) --require-hashes -r $<
	@touch $@

# Lock files hold names, versions and hashes, and no address.
lock:
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header pyproject.toml -o requirements.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	printf 'editables\nhatchling\nwheel\n' | uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate - -o requirements-build.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header deploy/airflow/requirements.in -o deploy/airflow/requirements.txt

clean:
	rm -rf .venv .venv-airflow .airflow .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
