# From nothing to a running job: `make run`. From nothing to passed tests: `make test`.
#
#   make run  [RANKS=2] [EXPERIMENT=tfim_square] [ARGS="task.n_steps=50"]     the main job
#   make test [ARGS="tests/sampler -x"]     the tests, on all cores; those of several ranks start mpiexec themselves
#   make test-units | test-mpi              those without, those with mpiexec
#   make test-slurm                         as root on Debian: the tests on a throw-away Slurm cluster of two nodes
#   make test-faults                        as root: broken checkpoints, full disks, kills; FAULTS="faults and not table"
#                                           for the first of each kind
#   make test-peers                         modules of NetKet as ansatz=flax: installs it (the extra `peers`)
#   make test-gpu                           where there is an NVIDIA GPU: builds for it (CUDA=1, jax[JAX_CUDA], cuda13),
#                                           contract tests on it, one step of each workload against the CPU, gpu.md
#   make same-bits BASE=REV                 whether short runs have the bits they had at a revision
#   make test-all                           as root on Debian: all of these, with the tests marked slow, which .ci/run
#                                           does not run; before a change is called done
#   make docs                               the documentation as a site, in site/: `python -m http.server -d site`
#   make lint | types | wheel | clean       (clean leaves runs/ and sweeps/ alone)
#
#   MPI=mpich     the MPICH wheel, inside .venv (the default)
#   MPI=system    the mpicc and mpiexec on PATH: a cluster's module. Say it in every call, or export it.
#   CUDA=1        build mpi4jax's GPU bridge as well: needs the CUDA toolkit
#   PYTHON=...    the interpreter that .venv is made from, 3.11 or newer
#
# Each step leaves a stamp in .venv, so a second call installs nothing; another MPI, or other bounds in pyproject.toml,
# rebuild what depends on them.

PYTHON ?= python3
MPI ?= mpich
CUDA ?=
RANKS ?= 2
EXPERIMENT ?= tfim_square
ARGS ?=

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
VENV_BIN := $(CURDIR)/$(VENV)/bin
OUTER_PATH := $(subst $(VENV_BIN):,,$(PATH))

.DELETE_ON_ERROR:
.PHONY: run test test-units test-mpi test-slurm test-faults test-peers test-gpu test-all same-bits docs lint types wheel clean FORCE

# $(call need,COMMAND,MESSAGE): stop with one line where the command fails.
need = $(if $(shell ($(1)) >/dev/null 2>&1 && echo yes),,$(error $(2)))

ifeq ($(MPI),mpich)
MPI_PATH := $(VENV_BIN):$(OUTER_PATH)
MPICC := $(VENV_BIN)/mpicc
MPIEXEC := $(VENV_BIN)/mpiexec
EXTRA := mpich,
else ifeq ($(MPI),system)
MPI_PATH := $(OUTER_PATH)
MPICC := $(shell PATH="$(OUTER_PATH)" command -v mpicc)
MPIEXEC := $(shell PATH="$(OUTER_PATH)" command -v mpiexec)
ifeq ($(and $(MPICC),$(MPIEXEC)),)
$(error MPI=system needs mpicc and mpiexec on PATH: load an MPI module, or leave MPI=system away for the MPICH wheel)
endif
else
$(error MPI=$(MPI) is not known: mpich (the wheel) or system (the mpicc on PATH))
endif

# What mpi4py and mpi4jax are built for: where any of it changes, both are installed again.
FLAVOUR := $(MPI) $(MPICC) $(shell [ $(MPI) = mpich ] || $(MPICC) -show | tr -d "'") cuda=$(CUDA) \
	$(shell grep -oE '"(jax|mpi4py|mpi4jax|mpich)[<>=][^"]*"' pyproject.toml)

export PATH := $(MPI_PATH)
# Each rank counts its own threads from its cores (nqs_hpc/parallel/launch.py). A count inherited from the caller's shell
# would be obeyed, and is seldom meant for another number of ranks; to set one, start mpiexec yourself.
unexport PJRT_NPROC NPROC
# Open MPI refuses to start for root, which containers run as. Other MPIs do not read this.
ifeq ($(shell id -u),0)
export OMPI_ALLOW_RUN_AS_ROOT := 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM := 1
endif

# Under mpiexec stderr is a pipe: where make itself writes to a terminal, the bar and its width are asked for.
COLUMNS_HERE := $(shell [ -t 2 ] && { stty size <&2 2>/dev/null || echo 24 80; } | cut -d' ' -f2)

run: $(VENV)/.installed
	$(COLUMNS_HERE:%=COLUMNS=% )"$(MPIEXEC)" -n $(RANKS) $(PY) -m nqs_hpc experiment=$(EXPERIMENT) \
		$(COLUMNS_HERE:%=log.progress=bar) $(ARGS)

# Those that start mpiexec come by themselves, for they want the cores that the others share file by file. A selection
# may leave either part without a test: pytest's exit code 5.
test: $(VENV)/.installed
	@code=0; \
	$(MAKE) --no-print-directory test-units || code=1; \
	$(MAKE) --no-print-directory test-mpi || code=1; \
	exit $$code

WITHOUT_SLOW = $(if $(SLOW),, and not slow)

test-units: $(VENV)/.installed
	@$(PY) -m pytest -n auto --dist loadfile -m "not mpi and not slurm and not faults$(WITHOUT_SLOW)" $(ARGS) || [ $$? -eq 5 ]

test-mpi: $(VENV)/.installed
	@$(PY) -m pytest -m "mpi$(WITHOUT_SLOW)" $(ARGS) || [ $$? -eq 5 ]

# Whoever runs this is root in a container or on a machine of its own: the packages of the cluster are installed there.
test-slurm: $(VENV)/.installed
	@for tool in slurmctld slurmd munged shellcheck; do command -v $$tool; done >/dev/null || \
		{ apt-get -q update && apt-get -qy install --no-install-recommends slurm-wlm munge shellcheck; }
	$(PY) -m pytest -m slurm tests/slurm tests/submit $(ARGS)

FAULTS ?= faults
test-faults: $(VENV)/.installed
	$(PY) -m pytest -m "$(FAULTS)" tests/faults $(ARGS)

test-peers: $(VENV)/.peers
	$(PY) -m pytest tests/ansatz/test_modules.py -k netket $(ARGS)

# Built again for the GPU where .venv was made for CPUs: CUDA is part of what .flavour holds. One process: tests side by
# side would each take most of the GPU's memory.
JAX_CUDA ?= cuda13
test-gpu:
	@nvidia-smi -L >/dev/null 2>&1 || { echo "make test-gpu: nvidia-smi finds no GPU on this machine" >&2; exit 2; }
	@$(MAKE) --no-print-directory CUDA=1 $(VENV)/.installed
	@$(PIP) install "jax[$(JAX_CUDA)]$$($(PY) -c 'import jax; print("==" + jax.__version__)')"
	@code=0; \
	JAX_PLATFORMS=cuda,cpu JAX_DEFAULT_MATMUL_PRECISION=highest $(PY) -m pytest -m "not mpi and not slow" tests/contract $(ARGS) || code=1; \
	$(PY) benchmarks/gpu.py --markdown gpu.md || code=1; \
	exit $$code

BASE ?= HEAD
same-bits: $(VENV)/.dev
	$(PY) benchmarks/same_bits.py "$(BASE)" $(ARGS)

test-all: $(VENV)/.peers
	@code=0; \
	$(MAKE) --no-print-directory test SLOW=1 || code=1; \
	for part in faults peers slurm; do $(MAKE) --no-print-directory test-$$part || code=1; done; \
	exit $$code

# Reads the sources and imports nothing of them, so it needs no MPI. Any warning, such as a broken link, fails it (not
# with --quiet, which drops warnings before they are counted).
docs: $(VENV)/.docs
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict
	@echo "site/index.html"

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/.dev
	$(VENV)/bin/mypy

wheel: $(VENV)/.installed
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

clean:
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache
	find nqs_hpc tests benchmarks -name __pycache__ -exec rm -rf {} +

# --- the environment, step by step ---

HAS_VERSION = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'
HAS_HEADERS = test -f "$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h"
HAS_CXX = test $(MPI) = system || echo '\#include <vector>' | cc -x c++ -std=c++17 -fsyntax-only -

$(VENV)/.tools: pyproject.toml
	$(call need,command -v $(PYTHON),$(PYTHON) is not on PATH: install Python 3.11 or newer or name it with PYTHON=)
	$(call need,$(HAS_VERSION),$(shell $(PYTHON) --version) is too old: 3.11 or newer is needed; name one with PYTHON=)
	$(call need,$(PYTHON) -c 'import venv; import ensurepip',$(PYTHON) cannot make environments: install python3-venv)
	$(call need,$(HAS_HEADERS),Python.h is missing and mpi4jax is compiled here: install python3-dev)
	$(call need,$(HAS_CXX),cc cannot compile C++17 and mpi4jax needs it: install a C++ compiler such as g++)
	@echo "== $(VENV) from $(PYTHON), build tools"
	@$(PIP) --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --upgrade pip
	@$(PIP) install --upgrade --group build
	@touch $@

# Rewritten only where it differs, so that its date is that of the last change.
$(VENV)/.flavour: FORCE | $(VENV)/.tools
	@echo '$(FLAVOUR)' | cmp -s - $@ || echo '$(FLAVOUR)' > $@

# The bounds stand in pyproject.toml alone. `$(call bounds,NAMES)` reads those of the named packages.
READ_BOUNDS = import re, sys, tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	lists = [project["dependencies"], *project["optional-dependencies"].values()]; \
	print(*(line for lines in lists for line in lines if re.match(r"[\w-]+", line)[0] in sys.argv[1:]))
bounds = $$($(PY) -c '$(READ_BOUNDS)' $(1))

# No cache: pip would take a wheel that was built for another MPI, which dies at import. No isolation: mpi4jax is to
# be built with the headers of the jax that runs it. It takes any nvcc or oneAPI it finds for a GPU toolkit and fails
# without its headers: a folder with nothing in it leaves the CPU bridge. mpi4py carries a few small messages between
# hosts and no arrays: unoptimised it compiles in a fifth of the time, where MPI=system compiles it.
$(VENV)/.mpi: $(VENV)/.flavour
	@echo "== jax, mpi4py, and mpi4jax built for MPI=$(MPI): a minute or two"
	@$(PIP) uninstall --yes nqs_hpc mpi4jax mpi4py mpich 2>/dev/null
	@$(PIP) install $(call bounds,jax)
	@MPICC="$(MPICC)" CFLAGS="-O0 -g0 $$CFLAGS" $(PIP) install --no-cache-dir \
		$(if $(EXTRA),$(call bounds,mpich mpi4py),--no-binary mpi4py $(call bounds,mpi4py))
	@mkdir -p $(VENV)/no-gpu-toolkit
	@$(if $(filter 1,$(CUDA)),,CUDA_PATH=$(VENV_BIN)/../no-gpu-toolkit CMPLR_ROOT=$(VENV_BIN)/../no-gpu-toolkit) \
	MPI4JAX_BUILD_MPICC="$(MPICC)" $(PIP) install --no-cache-dir --no-build-isolation $(call bounds,mpi4jax)
	@touch $@

$(VENV)/.installed: $(VENV)/.mpi pyproject.toml
	@echo "== nqs_hpc and what it needs"
	@$(PIP) install --no-build-isolation --editable '.[$(EXTRA)plot,test]'
	@touch $@

$(VENV)/.peers: $(VENV)/.installed
	@$(PIP) install --no-build-isolation --editable '.[$(EXTRA)peers,test]'
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	@$(PIP) install --no-build-isolation --editable '.[$(EXTRA)dev]'
	@touch $@

$(VENV)/.docs: pyproject.toml | $(VENV)/.tools
	@echo "== what builds the documentation"
	@$(PIP) install $(call bounds,mkdocs mkdocs-material mkdocstrings latex2mathml)
	@touch $@
