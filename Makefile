# make demo | test | lab | doctor | run P=name [ARGS="key=value --fresh"]
# PYTHON is the interpreter that .venv is created with: 3.11, 3.12 or 3.13.

PYTHON ?= python3
VENV = .venv/bin/python
INSTALLED = .venv/.installed

.PHONY: demo test lab doctor run

demo: $(INSTALLED)
	$(VENV) -m ocean_lib run demo $(ARGS)

test: $(INSTALLED)
	$(VENV) -m pytest -q $(ARGS)

lab: $(INSTALLED)
	$(VENV) -m jupyterlab --notebook-dir=. $(ARGS)

doctor: $(INSTALLED)
	$(VENV) -m ocean_lib doctor

run: $(INSTALLED)
	@test -n "$(P)" || { echo 'which one? make run P=name; these are known:'; \
	  $(VENV) -m ocean_lib list; exit 2; }
	$(VENV) -m ocean_lib run $(P) $(ARGS)

$(INSTALLED): requirements.txt
	test -x $(VENV) || $(PYTHON) -m venv .venv
	$(VENV) -m pip install --quiet --requirement requirements.txt
	touch $@
