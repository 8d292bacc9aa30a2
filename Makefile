# make demo | test | lint | docs | wheel | test-browser | lab | app | doctor | figures | benchmark
# make run P=name [ARGS="key=value --fresh"]
# PYTHON is the interpreter that .venv is created with: 3.11, 3.12 or 3.13.

PYTHON ?= python3
VENV = .venv/bin/python
INSTALLED = .venv/.installed
DEV = .venv/.installed-dev

# Only modules that are imported are compiled, once, and the result is kept.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint docs wheel test-browser lab app doctor figures benchmark run

demo: $(INSTALLED)
	$(VENV) -m ocean_lib run demo $(ARGS)

test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(VENV) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(DEV) # style, format, the direction of imports, types
	$(VENV) -m ruff check .
	$(VENV) -m ruff format --check .
	.venv/bin/lint-imports
	$(VENV) -m mypy

docs: $(DEV) # the site in site/, with the notebooks as the smoke run executed them
	$(VENV) -m ocean_lib run smoke run=docs --fresh
	mkdir -p docs/notebooks && cp outputs/docs/0*.ipynb docs/notebooks/
	NO_MKDOCS_2_WARNING=1 $(VENV) -m mkdocs build --strict --quiet

wheel: $(DEV) # builds the wheel, installs it alone in an empty environment, reconstructs with it
	$(VENV) tests/wheel.py

test-browser: $(INSTALLED) # needs chromium and node
	npm install --silent --no-save --prefix tests/browser playwright-core
	$(VENV) tests/browser/run.py

app: $(INSTALLED) # the reconstructions of all runs, for a colleague without code
	$(VENV) -m voila notebooks/explore.ipynb $(ARGS)

lab: $(INSTALLED)
	$(VENV) -m jupyterlab --notebook-dir=. $(ARGS)

doctor: $(INSTALLED)
	$(VENV) -m ocean_lib doctor

figures: # the pictures of README.md, from the demo's run
	cp outputs/demo/figures/05_overview.png assets/reconstruction.png
	cp outputs/demo/figures/02_occlusion.png assets/occlusion.png
	cp outputs/demo/figures/05_view.png assets/explorer.png
	cp outputs/demo/figures/04_denoising.gif assets/denoising.gif

benchmark: $(INSTALLED) # verifies the frozen cases, prints the table of all methods
	$(VENV) -m benchmarks.densify $(ARGS)

run: $(INSTALLED)
	@test -n "$(P)" || { echo 'which one? make run P=name; these are known:'; \
	  $(VENV) -m ocean_lib list; exit 2; }
	$(VENV) -m ocean_lib run $(P) $(ARGS)

$(INSTALLED): requirements.txt pyproject.toml
	test -x $(VENV) || $(PYTHON) -m venv .venv
	$(VENV) -m pip install --quiet --no-compile --requirement requirements.txt
	touch $@

$(DEV): $(INSTALLED)
	$(VENV) -m pip install --quiet --no-compile --editable '.[dev]'
	touch $@
