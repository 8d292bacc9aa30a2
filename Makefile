# make demo | test | test-browser | lab | app | doctor | figures | benchmark | run P=name [ARGS="key=value --fresh"]
# PYTHON is the interpreter that .venv is created with: 3.11, 3.12 or 3.13.

PYTHON ?= python3
VENV = .venv/bin/python
INSTALLED = .venv/.installed

# Nothing is compiled at installation: what is imported is, once, and kept.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-browser lab app doctor figures benchmark run

demo: $(INSTALLED)
	$(VENV) -m ocean_lib run demo $(ARGS)

test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(VENV) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

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
	cp outputs/demo/figures/05_maps_2.png assets/reconstruction.png
	cp outputs/demo/figures/05_error_by_depth.png assets/error_by_depth.png
	cp outputs/demo/figures/02_occlusion.png assets/occlusion.png
	cp outputs/demo/figures/05_view.png assets/explorer.png
	cp outputs/demo/figures/04_denoising.gif assets/denoising.gif

benchmark: $(INSTALLED) # verifies the frozen cases, prints the table of all methods
	$(VENV) -m benchmarks.densify $(ARGS)

run: $(INSTALLED)
	@test -n "$(P)" || { echo 'which one? make run P=name; these are known:'; \
	  $(VENV) -m ocean_lib list; exit 2; }
	$(VENV) -m ocean_lib run $(P) $(ARGS)

$(INSTALLED): requirements.txt
	test -x $(VENV) || $(PYTHON) -m venv .venv
	$(VENV) -m pip install --quiet --no-compile --requirement requirements.txt
	touch $@
