# Tasks of the project; `make` alone lists them.
# Each needs nothing but Python 3.11+ and a package index: .venv is made on demand.

PYTHON := .venv/bin/python
IN_TREE := PYTHONPATH=src:examples
PORT ?= 8000
FILE = examples/orders/northwind-orders.jsonl
URL = http://127.0.0.1:$(PORT)
export PORT
# Many processes are begun: what one has compiled serves all others, wherever that is switched off by default.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: help run test check coverage lowest faults mutants bench load docs

help: ## list what there is to make
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1	\2/p' $(firstword $(MAKEFILE_LIST)) | while IFS='	' read -r name what; do printf 'make %-8s %s\n' "$$name" "$$what"; done

# The server takes the place of the shell, so a signal reaches it at once.
run: .venv/installed-examples ## serve the Orders application on 127.0.0.1 (PORT, DIPTYCH_LOG_URL, DIPTYCH_READ_URL)
	@exec env $(IN_TREE) $(PYTHON) -m orders

load: .venv/installed-examples ## post the Northwind orders to the application that runs (FILE=, URL=)
	@exec env $(IN_TREE) $(PYTHON) -m orders.load $(FILE) --url $(URL)

test: .venv/installed-test ## run the tests (ARGS= for pytest)
	@$(PYTHON) -m pytest --numprocesses=auto --dist=loadscope --no-loadscope-reorder $(ARGS)

coverage: .venv/installed-test ## run the tests and tell which branches of the engine none of them takes
	@$(PYTHON) -m coverage run -m pytest --timeout=300 $(ARGS)
	@$(PYTHON) -m coverage report

lowest: .venv/installed-test ## run the tests with the lowest versions allowed (ARGS= for pytest)
	@.ci/lowest $(ARGS)

LONG = DIPTYCH_FAULTS=long $(PYTHON) -m pytest tests/faults --timeout=600
faults: .venv/installed-test ## run the long fault matrix
	@$(LONG) --numprocesses=auto --dist=worksteal -m 'not alone' $(ARGS); together=$$?; \
	$(LONG) -m alone $(ARGS); alone=$$?; \
	case $$together$$alone in 00|05|50) ;; *) exit 1;; esac  # 5: what ARGS names is all in the other half

mutants: .venv/installed-test ## break one promise at a time and see a test fail (ARGS='--only fence')
	@$(PYTHON) -m tests.mutants $(ARGS)

bench: .venv/installed-bench ## measure, ours beside the other side (ARGS=, e.g. ARGS='append --backend sqlite')
	@exec $(PYTHON) -m benchmarks $(ARGS)

check: .venv/installed-check ## check format, style, types and the floors
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(IN_TREE) .venv/bin/lint-imports --no-logo
	@.ci/pyright

docs: .venv/installed-docs ## build the documentation into site/
	$(PYTHON) -m zensical build --clean --strict

.venv/installed-%: pyproject.toml constraints.txt .ci/install
	@.ci/install $*
