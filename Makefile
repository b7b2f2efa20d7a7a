# Everything that a person or a build machine runs. `make help` lists it.
# A fresh Debian or Ubuntu with Python 3.11+ and apt is enough; the environment is .venv and is built once.

PYTHON ?= python3
# more options for pip, for instance: make venv PIP_OPTIONS='--extra-index-url https://download.pytorch.org/whl/cpu'
PIP_OPTIONS ?=
BIN := .venv/bin
INSTALLED := .venv/.installed
LOOPBACK := $(BIN)/python -m tests.loopback
# more than there are cores: the end-to-end tests wait for other processes half of their time; each needs 2 GB
WORKERS ?= $(shell n=$$(nproc); echo $$((n < 4 ? n + 1 : 5)))
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONDONTWRITEBYTECODE := 1

.DEFAULT_GOAL := help
.PHONY: help venv peers demo test lint format bench bench-recon chaos soak service privacy configuration lock wheel accuracy gpu-check fuzz large-study real-files

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-14s %s\n", $$1, $$2 }'

venv: $(INSTALLED) ## build the environment (.venv), once

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; found: $$($(PYTHON) --version). Name another one: make venv PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || .ci/system-packages python3-venv || \
		{ echo "Python's venv module is missing. As an administrator: apt-get install python3-venv"; exit 1; }
	@test -x $(BIN)/python || { echo "building the environment in .venv (once; torch alone is large)"; $(PYTHON) -m venv .venv; }
	@$(BIN)/python -m pip install --quiet $(PIP_OPTIONS) --editable '.[dev]'
	@touch $@

peers: ## install what the tests talk to: DCMTK, Orthanc, PostgreSQL, dicom3tools, XMedCon, strace, Chromium
	@.ci/system-packages storescu:dcmtk Orthanc:orthanc initdb:postgresql dciodvfy:dicom3tools medcon strace chromium || \
		echo "make: the tests that need the missing programs will be skipped"

demo: $(INSTALLED) ## the main job, whole, on this machine: scanner -> node -> archive, with pictures
	@$(BIN)/dicomnode demo

test: $(INSTALLED) peers lint ## lint and all tests, with real peers on a loopback of their own
	@OMP_NUM_THREADS=1 $(LOOPBACK) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: $(INSTALLED) ## ruff and mypy
	@$(BIN)/ruff format --check --quiet . || { echo "make format mends the layout of the files above"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/mypy -p tests.peers -p tests.chaos -p tests.benchmarks -p tests.soak -p tests.end_to_end -p tests.service -p tests.privacy -p release

format: $(INSTALLED) ## lay out the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

ONLY ?=
bench: $(INSTALLED) peers ## speed and costs beside the peers, workers, journals, reconstruction -> docs/benchmarks.md (two hours; ONLY="road cost" for some)
	@.ci/system-packages eatmydata || true
	@case "$(or $(ONLY),recon)" in *recon*) $(BIN)/python -m tests.benchmarks.bench_recon --prepare || true ;; esac
	@$(LOOPBACK) $(BIN)/python -m tests.benchmarks $(if $(ONLY),--only $(ONLY))

MINUTES ?= 60
soak: $(INSTALLED) peers ## studies all the time for MINUTES=60: memory, handles, threads and disk -> docs/soak.md (ENGINE=dask)
	@$(LOOPBACK) $(BIN)/python -m tests.soak --minutes $(MINUTES) --engine $(ENGINE)

bench-recon: ## the reconstruction beside PyTomography alone
	@$(MAKE) --no-print-directory bench ONLY=recon

STUDIES ?= 100
ENGINE ?= local
JOURNAL ?= sqlite
chaos: $(INSTALLED) peers ## STUDIES=100 among kills, cuts, a full disk, a wrong clock -> docs/chaos.md (ten minutes; ENGINE=dask, JOURNAL=postgres)
	@.ci/system-packages cc:gcc libc6-dev || true
	@$(LOOPBACK) $(BIN)/python -m tests.chaos --studies $(STUDIES) --engine $(ENGINE) --journal $(JOURNAL)

service: $(INSTALLED) peers ## the systemd unit under a real systemd (as root; some minutes)
	@.ci/system-packages systemd-nspawn:systemd-container || true
	@$(BIN)/python -m pytest tests/service

privacy: $(INSTALLED) peers ## 200 studies, and all that is told of them searched for every identity value (some minutes)
	@$(LOOPBACK) $(BIN)/python -m pytest tests/privacy -s --timeout 1800

configuration: $(INSTALLED) ## the table of all keys, from the models -> docs/configuration-keys.md
	@$(BIN)/python -m release.configuration docs/configuration-keys.md

lock: $(INSTALLED) ## pin what is installed here -> release/constraints.txt
	@$(BIN)/python -m release.lock release/constraints.txt

wheel: $(INSTALLED) ## the package, and all it needs beside it -> dist/
	@$(BIN)/python -m pip wheel --quiet --wheel-dir dist --constraint release/constraints.txt $(PIP_OPTIONS) .
	@ls dist/dicomnode-*.whl

accuracy: $(INSTALLED) ## tables of the camera model, the virtual patients and the left ventricle -> docs/ (an hour)
	@$(BIN)/python -m tests.accuracy.table
	@$(BIN)/python -m tests.accuracy.virtual_truths
	@$(BIN)/python -m tests.accuracy.hearts
	@$(BIN)/python -m tests.accuracy.heart_gated

gpu-check: $(INSTALLED) ## accuracy, speed and memory of reconstruction and networks on this machine's GPU; says so where there is none
	@$(BIN)/python -m tests.accuracy.gpu_check

SECONDS ?= 60
fuzz: $(INSTALLED) ## coverage-guided fuzzing of reader and listener for SECONDS=60; what crashes is kept in tests/fuzz/corpus
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install --quiet $(PIP_OPTIONS) --editable '.[fuzz]'
	@$(LOOPBACK) $(BIN)/python -m tests.fuzz --seconds $(SECONDS)

large-study: $(INSTALLED) ## 10,000 instances of one study into one node: time and memory
	@$(LOOPBACK) $(BIN)/python -m tests.end_to_end.large_study

real-files: $(INSTALLED) peers ## what the node decides for each public camera file -> the table of docs/real-files.md
	@$(LOOPBACK) $(BIN)/python -m tests.end_to_end.real_files
