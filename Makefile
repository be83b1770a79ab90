# Every way of working on this project; continuous integration and pre-commit call the same targets.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-large test-lowest neighbours check site record results paper bench notebooks gpu-check gpu-wheels

# The first interpreter that runs and is new enough.
PYTHON ?= $(shell for python in python3.11 python3; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
VENV ?= .venv
# Hundreds of modules are imported by each of many processes: they are compiled once, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE
comma := ,
ARGS ?=
TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)
EXTRAS := demo,notebooks,report,serve,terrier,test,train
LOWEST := .venv-lowest
LOWEST_TESTS ?= tests/unit tests/contract
NEIGHBOURS := .venv-neighbours
# Two workers, which take each other's tests when they run out.
PYTEST = -m pytest -n 2 --dist worksteal --ignore=tests/neighbours

# Real collections, where they lie beside the checkout, unless the variable is set (even to nothing).
ifeq ($(origin ANCE_IR_DATA),undefined)
ifneq ($(wildcard ../shared/data/.),)
export ANCE_IR_DATA := $(abspath ../shared/data)
endif
endif

# Likewise Terrier's jars.
ifeq ($(origin PYTERRIER_HOME),undefined)
ifneq ($(wildcard ../shared/terrier/.),)
export PYTERRIER_HOME := $(abspath ../shared/terrier)
endif
endif

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-10s %s\n", $$1, $$2 }'

setup: $(VENV)/.installed ## a virtual environment in .venv with everything the other targets need

demo: setup ## train, index and evaluate on a collection that needs no download; ARGS="…" goes to the command
	$(VENV)/bin/ance-ir demo $(ARGS)

test: setup ## the tests that are neither slow nor need a GPU; ARGS="…" goes to pytest
	$(VENV)/bin/python $(PYTEST) -m "not slow and not large and not gpu" $(ARGS)

test-slow: setup ## the slow tests up to 100,000 documents; those that need a GPU are skipped without one
	$(VENV)/bin/python $(PYTEST) -m "(slow or gpu) and not large" $(ARGS)

test-lowest: $(LOWEST)/.installed ## the fast unit tests at the lowest versions that setup.py allows; for Python 3.11
	$(LOWEST)/bin/python $(PYTEST) -m "not slow and not large and not gpu" $(LOWEST_TESTS) $(ARGS)

test-large: setup $(LOWEST)/.installed ## a million documents, long fuzzing, all tests at the lowest versions (hours)
	$(VENV)/bin/python -m pytest -m large $(ARGS)
	HYPOTHESIS_PROFILE=large $(VENV)/bin/python $(PYTEST) -m "hypothesis and not large" $(ARGS)
	$(LOWEST)/bin/python $(PYTEST) -m "not slow and not large and not gpu" $(ARGS)
	$(LOWEST)/bin/python $(PYTEST) -m "(slow or gpu) and not large" $(ARGS)

# Pyserini 1.6 is the ordinary environment's; 2.x lies beside, and goes before it in the second run.
neighbours: $(NEIGHBOURS)/.installed ## our things in the tools of others, in .venv-neighbours over .venv; ARGS="…" goes to pytest
	$(NEIGHBOURS)/bin/python -m pytest tests/neighbours $(ARGS)
	PYTHONPATH=$(NEIGHBOURS)/pyserini-2 $(NEIGHBOURS)/bin/python -m pytest -m "not slow" \
		tests/neighbours/test_pyserini.py tests/neighbours/test_pyserini_formats.py tests/unit/pipelines/test_bm25_lucene.py $(ARGS)

check: setup ## lint, formatting and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy -p ance_ir

site: setup ## the documentation as a site, in build/site; links, anchors and references are checked
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet --strict

RECORDER := $(if $(filter docs/neighbours.md,$(PAGE)),$(NEIGHBOURS),$(VENV))
record: $(RECORDER)/.installed ## run the code of a page again and write what it prints: make record PAGE=docs/pipelines.md
	$(RECORDER)/bin/python -m tests.recorded $(PAGE) $(ARGS)

results: setup ## all figures of docs/results.md that come from one command each (an hour on two cores)
	$(MAKE) record PAGE=docs/results.md

paper: setup ## the paper's analyses that are quick, by the commands of docs/paper.md: tables and pictures in runs/recorded/paper/paper
	rm -rf runs/recorded/paper
	$(MAKE) record PAGE=docs/paper.md

bench: setup ## search and encoding beside the alternatives, and what a pipeline's parts cost
	$(VENV)/bin/ance-ir bench search
	$(VENV)/bin/ance-ir bench encode
	$(VENV)/bin/ance-ir bench pipeline

# A GPU is often lent for minutes, on a machine without a network. What comes with torch and transformers is not fetched, nor what only
# figures of significance (scipy) and BM25 need.
GPU_WHEELS := .gpu-wheels
GPU_SITE := .gpu-site
GPU_NEEDS := beautifulsoup4 certifi charset-normalizer click Deprecated dill faiss-cpu hypothesis idna iniconfig ir_datasets ir_measures \
	lz4 more-itertools packaging pandas pluggy Pygments pytest python-dateutil pyterrier requests six sortedcontainers soupsieve tzdata \
	urllib3 wrapt
GPU_TESTS = $(sort tests/gpu $(shell grep -rl --include='test_*.py' 'mark\.gpu' tests))
OUT ?= gpu-check
ifneq ($(wildcard $(GPU_WHEELS)/.),)
GPU_PYTHON = PYTHONPATH=$(CURDIR):$(CURDIR)/$(GPU_SITE) timeout $(1) $(PYTHON)
gpu-check: $(GPU_SITE)/.installed
else
GPU_PYTHON = timeout $(1) $(VENV)/bin/python
gpu-check: setup
endif

gpu-check: SHELL := bash
gpu-check: .SHELLFLAGS := -o pipefail -c
gpu-check: export PYTHONUNBUFFERED := 1
gpu-check: ## the tests that need a GPU, and what it does next to what it should: OUT/tests.txt, OUT/figures.jsonl (6 minutes at most)
	@mkdir -p $(OUT); status=0; \
	$(call GPU_PYTHON,120) -m pytest -v -p no:cacheprovider -m gpu $(GPU_TESTS) $(ARGS) | tee $(OUT)/tests.txt || status=1; \
	$(call GPU_PYTHON,240) -m ance_ir bench gpu --out $(OUT)/figures.jsonl | tee $(OUT)/figures.txt || status=1; exit $$status

gpu-wheels: ## what gpu-check needs on a machine without a network, where torch and transformers are: make gpu-wheels PYTHON=3.12
	rm -rf $(GPU_WHEELS)
	python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: -c constraints.txt -d $(GPU_WHEELS) \
		--implementation cp --python-version $(if $(filter 3.%,$(PYTHON)),$(PYTHON),3.12).9 --platform any --platform manylinux2014_x86_64 \
		$(foreach glibc,5 12 17 24 26 27 28 31 34,--platform manylinux_2_$(glibc)_x86_64) $(GPU_NEEDS)
	@du -sh $(GPU_WHEELS)

notebooks: setup ## run the notebooks and save them with their outputs; ARGS="notebooks/quick_start.ipynb" for one
	$(VENV)/bin/python -m tests.notebooks $(ARGS)

# A virtual environment that holds the pinned torch and nothing else of ours. The processor-only build is a tenth of the
# ordinary one: take it from the configured sources if they have it, else from PyTorch's own index, else whatever there is.
%/.torch: constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python" >&2; exit 1; }
	test -x $*/bin/python || "$(PYTHON)" -m venv $*
	@echo "installing torch $(TORCH) in $*"
	@install="$*/bin/python -m pip install -qq --disable-pip-version-check"; \
	if nvidia-smi >/dev/null 2>&1; then \
		$$install -c constraints.txt torch==$(TORCH); \
	else \
		$$install -c constraints.txt torch==$(TORCH)+cpu 2>/dev/null || \
		$$install --retries 1 --timeout 20 --index-url https://download.pytorch.org/whl/cpu torch==$(TORCH) 2>/dev/null || \
		$$install -c constraints.txt torch==$(TORCH); \
	fi
	@touch $@

$(VENV)/.installed: setup.py pyproject.toml constraints.txt $(VENV)/.torch
	$(VENV)/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev,docs,$(EXTRAS)]'
	$(VENV)/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt --no-deps pyserini # for its jar
	@touch $@

$(GPU_SITE)/.installed: $(GPU_WHEELS)
	rm -rf $(GPU_SITE)
	$(PYTHON) -m pip install -q --disable-pip-version-check --no-index --no-deps --target $(GPU_SITE) $(GPU_WHEELS)/*.whl
	@touch $@

# Over the ordinary environment lie the tools themselves; Pyserini 2.x, which declares Python 3.12 and needs nothing of it, in a folder, and
# PyLate with its older packages in another.
$(NEIGHBOURS)/.installed: tests/neighbours/requirements.txt tests/neighbours/pylate.txt $(VENV)/.installed
	rm -rf $(NEIGHBOURS)
	$(VENV)/bin/python -m venv --without-pip $(NEIGHBOURS)
	@site="import site; print(site.getsitepackages()[0])"; \
	echo "import site; site.addsitedir('$$($(VENV)/bin/python -c "$$site")')" >"$$($(NEIGHBOURS)/bin/python -c "$$site")/ordinary.pth"
	@install="$(VENV)/bin/python -m pip --python $(NEIGHBOURS)/bin/python install -qq --disable-pip-version-check --no-deps --no-build-isolation"; \
	$$install -r $< && $$install --ignore-requires-python --target $(NEIGHBOURS)/pyserini-2 pyserini==2.4.0 && \
	$$install --target $(NEIGHBOURS)/pylate -r tests/neighbours/pylate.txt
	@touch $@

# The lowest version of everything that setup.py names, the newest of what these need. Torch by itself first: its processor-only build
# needs none of the packages for GPUs that the list names beside it.
$(LOWEST)/.installed: setup.py
	test -x $(LOWEST)/bin/uv || "$(PYTHON)" -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install -qq --disable-pip-version-check uv
	cd $(LOWEST) && bin/uv pip compile -q --python bin/python --resolution lowest-direct --no-header --no-annotate \
		$(addprefix --extra ,$(subst $(comma), ,$(EXTRAS))) ../setup.py -o requirements.txt
	@cd $(LOWEST) && torch=$$(grep ^torch== requirements.txt) && install="bin/uv pip install -q --python bin/python" && \
	echo "installing $$torch in $(LOWEST)" && \
	{ { ! nvidia-smi >/dev/null 2>&1 && $$install --index-url https://download.pytorch.org/whl/cpu $$torch 2>/dev/null; } || $$install $$torch; } && \
	grep -v -e ^nvidia- -e ^cuda- -e ^triton requirements.txt >without-gpu.txt && $$install -r without-gpu.txt && \
	$$install --no-deps -c ../constraints.txt pyserini -e .. # pyserini for its jar
	@touch $@
