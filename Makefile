# make book    everything from nothing: environment, chapters executed, site built
# make test    package tests, every notebook through nbval, the site in a browser
# make serve   show the site on this machine
# make slides  the decks of teaching/slides again, into the built site
# make test-gpu, make test-hosts    the same on a GPU; in the notebook servers and with the versions of others
# make replicate   every assertion again under other arithmetic and with other seeds; writes chapters/replication.yml
# make bench   the tables of benchmarks/
PYTHON ?= python3
# what was chosen last, by make student or make instructor
SOLUTIONS ?= $(or $(shell cat _build/solutions 2>/dev/null),yes)
BIN = .venv/bin
QUIET = --quiet --disable-pip-version-check
TORCH = $(shell sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' pyproject.toml)
NBVAL = --nbval-current-env --nbval-cell-timeout=300
# the build ran the notebooks as this machine adds, and its texts are compared; the tests run them elsewhere (a variant of make replicate)
ELSEWHERE = ATEN_CPU_CAPABILITY=avx2 MKL_CBWR=AVX2 OPENBLAS_CORETYPE=Haswell GRADBOOK_SEED_OFFSET=99991 GRADBOOK_NUDGE=2

.PHONY: book instructor student student-archive pdf release slides serve test test-gpu test-hosts replicate bench explorer format sync outputs lock repository clean

book: $(BIN)/ready
	@$(BIN)/python publish/book.py $(SOLUTIONS)
# for who only needs the site: 3 says that it is complete, though cells came out differently
SITE = $(BIN)/python publish/book.py $(SOLUTIONS) || [ $$? -eq 3 ]

$(BIN)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python " + sys.version.split()[0] + " is too old: the book needs 3.11 or newer. Try: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@test -w . || { echo "$(CURDIR) cannot be written: copy the checkout to a folder of your own."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install $(QUIET) --no-compile $(TORCH)
	$(BIN)/pip install $(QUIET) --no-compile --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install $(QUIET) --no-deps --no-build-isolation --editable .
	@$(BIN)/python -W ignore -m compileall -qq -j 0 .venv/lib || true  # on all cores, where pip uses one
	@touch $@

# one source, two sites: with solutions and lesson plans, and without
instructor:
	@$(MAKE) --no-print-directory book SOLUTIONS=yes
student:
	@$(MAKE) --no-print-directory book SOLUTIONS=no

# chapters, package and Binder's files for a class, without any answer: make student-archive URL=https://github.com/you/class
student-archive: $(BIN)/ready
	@$(BIN)/python publish/student.py "$(URL)"

# the book on paper, without solutions, as one PDF, which the front page then offers
pdf: $(BIN)/ready
	@$(SITE)
	@$(BIN)/python publish/pdf.py

# what the workflow publishes for a tag: wheel, sdist, offline site, PDF, the class's copy
release: pdf
	@$(BIN)/python publish/release.py $(TAG)

# the decks of teaching/slides alone, into the built site
slides: $(BIN)/ready
	@$(BIN)/python publish/slides.py

serve: $(BIN)/ready
	@$(SITE)
	@echo "http://127.0.0.1:8000 (stop with Ctrl-C)"
	@$(BIN)/python -m http.server 8000 --bind 127.0.0.1 --directory _build/html

test: book
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -rs -n 2 --dist worksteal
	$(ELSEWHERE) TQDM_DISABLE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --nbval-lax $(NBVAL) -n 2 --dist loadfile chapters teaching

# about forty minutes on two cores; make replicate NOTEBOOKS=chapters/5-in-practice/digits.ipynb renews a row,
# OFFSETS=5000,6000 tries other seeds, VARIANTS="SSE, nudge 1" some of the variants, DEVICE=cuda a graphics card
replicate: $(BIN)/ready
	@$(if $(findstring file,$(origin DEVICE)),,GRADBOOK_DEVICE=$(DEVICE)) $(BIN)/python publish/replicate.py --variants "$(VARIANTS)" --offsets "$(OFFSETS)" $(NOTEBOOKS)

# the tables of benchmarks/README.md; about ten minutes, on a quiet machine
bench: $(BIN)/ready
	@$(SITE)
	$(BIN)/python benchmarks/sweep.py
	$(BIN)/python benchmarks/watch.py
	$(BIN)/python benchmarks/slider.py

# Binder's files, Colab's versions, the classic Notebook, each in a new environment: make test-hosts HOSTS="colab --python python3.13"
test-hosts: $(BIN)/ready
	$(BIN)/python tests/hosts.py $(HOSTS)

# package, notebooks and benchmarks on another device: make test-gpu DEVICE=cuda:1; with DEVICE=cpu it tries itself
DEVICE ?= cuda
test-gpu: $(BIN)/ready
	GRADBOOK_DEVICE=$(DEVICE) $(BIN)/python -m pytest -q -rs --ignore=tests/test_site.py --ignore=tests/test_pages.py --ignore=tests/test_slides.py
	GRADBOOK_DEVICE=$(DEVICE) TQDM_DISABLE=1 $(BIN)/python -m pytest -q --nbval-lax --nbval-current-env --nbval-cell-timeout=600 chapters teaching
	GRADBOOK_DEVICE=$(DEVICE) $(BIN)/python benchmarks/device.py
	GRADBOOK_DEVICE=$(DEVICE) $(BIN)/python benchmarks/sweep.py
	GRADBOOK_DEVICE=$(DEVICE) $(BIN)/python benchmarks/watch.py

# the figures' script, from explorer/src; needs Node.js
explorer:
	cd explorer && npm ci --no-audit --no-fund && npm run build

# what people write by hand, as the linters want it: Python by ruff, the figures' script by biome
format: $(BIN)/ready
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format
	cd explorer && npm ci --no-audit --no-fund && npx biome check --write

# generated cells (set-up, claims); stored text outputs, and which of them moved; the lock file
sync: $(BIN)/ready
	$(BIN)/python publish/notebooks.py sync
outputs: $(BIN)/ready
	$(BIN)/python publish/notebooks.py outputs
# everything but torch, whose builds differ by machine, with its hash
lock:
	uv pip compile pyproject.toml --extra book --extra test --extra trainers --universal --python-version 3.11 --no-header --no-annotate \
	  --generate-hashes $(foreach p,torch $(CUDA),--no-emit-package $(p)) -o requirements.lock
CUDA = cuda-bindings cuda-pathfinder cuda-toolkit triton nvidia-cublas nvidia-cuda-cupti nvidia-cuda-nvrtc nvidia-cuda-runtime \
  nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand nvidia-cusolver nvidia-cusparse nvidia-cusparselt-cu13 \
  nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx

# make repository URL=https://github.com/you/fork: the repository's address, wherever it stands
repository: $(BIN)/ready
	@test -n "$(URL)" || { echo "say which: make repository URL=https://github.com/OWNER/NAME"; exit 1; }
	@$(BIN)/python publish/repository.py "$(URL)"

clean:
	rm -rf _build build .venv .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
