"""Values that cannot work are refused before anything runs; those of the notebooks are not."""

import inspect
import re

import numpy as np
import pytest

from ocean_lib.runs import checks, runner
from ocean_lib.runs.parameters import NOTEBOOKS, RunError, chain, declared, load_parameters
from ocean_lib.sources import demo_ocean

CASES = [
    ("run=a/b", "'a/b' cannot name a folder"),
    ("run=..", "cannot name a folder"),
    ("run=", "cannot name a folder"),
    ("store=a/b", "cannot name a folder"),
    ("members=1", "members is 1; choose 2 or more"),
    ("patch=0", "patch is 0; choose 1 or more"),
    ("patch=97", "patch 97 exceeds the 96 rows or 128 columns.*patch <= 96"),
    ("patch=32 region=[-70.0,-67.5,34.0,40.0]", "patch 32 exceeds the 73 rows or 31 columns"),
    ("region=[-70.0,-60.0,40.0,30.0]", "south below north"),
    ("region=[-70.0,-60.0,30.0,95.0]", "latitudes within ±90"),
    ("region=[1.0,2.0,3.0]", "give west, east, south, north"),
    ("depths=[]", "depths is .*at least one"),
    ("depths=[-10.0]", "each 0 or more"),
    ("depths=[10.0,10.0]", "every level once"),
    ("source=glory12", "source is 'glory12'; choose one of demo, netcdf, glorys12"),
    ("source=netcdf", "path is empty; give path="),
    ("source=netcdf path=/no/such.nc", "/no/such.nc.*correct the path"),
    ("split=random", "split .random. is not known; choose"),
    ("demo_months=50", "50 dates leave 2 for training, limit 12"),
    ("source=glorys12 period=['2001-01','2005-06']", "54 dates leave 6 for training"),
    ("period=['2001-01']", "give first and last month"),
    ("period=['2001-02','2001-01']", "give first and last month"),
    ("period=['January','June']", "give first and last month"),
    ("mode=residuals", "mode is 'residuals'; choose one of regression, diffusion, residual"),
    ("diffusion_steps=0", "diffusion_steps is 0, but mode residual trains that stage"),
    ("parametrisation=eps", "'eps' is not known.*epsilon"),
    ("learning_rate=0.0", "learning_rate is 0.0; choose a number above 0"),
    ("learning_rate=.nan", "learning_rate is nan"),
    ("learning_rate=.inf", "learning_rate is inf"),
    ("width=6 multipliers=[1,1]", "width 6 × multiplier 1 is not a multiple of the 4"),
    ("multipliers=[]", "multipliers is .*at least one"),
    ("stem=3", "stem is 3; choose 1 or 2"),
    ("every=0", "every is 0; choose 1 or more"),
    ("seed=-1", "seed is -1; choose 0 or more"),
    ("sampler=dpm", "sampler 'dpm' is not known; choose one of .*ddim"),
    ("sampling_steps=1001", "1001 sampling steps asked; choose 1 to 1000"),
    ("evaluations=[8,0]", "0 sampling steps asked; choose 1 or more"),
    ("scenes=[240]", "scenes is .240.; give a number, 1 or more, for each of 2 patterns"),
    ("scenes=[240,0]", "scenes is .240, 0.; give a number"),
    ("tile=4", "tile 4 is below 8 cells; choose 64 or more"),
    ("patterns=[]", "no observation pattern"),
    ("patterns=[{pattern: blobs, observed: 0.5}]", "'blobs' is not known"),
    ("cases=[{pattern: blocks, observed: 1.5}]", "1.5.*give a fraction from 0 to 1"),
    ("cases=[{pattern: blocks, observed: 0.5}, {pattern: blocks, observed: 0.5}]", "of its own"),
]


@pytest.mark.parametrize("given, message", CASES, ids=[given for given, _ in CASES])
def test_a_value_that_cannot_work_is_refused(given, message, tmp_path, monkeypatch):
    monkeypatch.setenv("OCEAN_WORKSPACE", str(tmp_path))
    monkeypatch.setattr(runner, "hold_run", None)  # nothing is to come this far
    overrides = [given] if "{" in given else given.split()
    with pytest.raises(RunError, match=re.compile(message, re.DOTALL)):
        runner.execute_run("demo", overrides)
    assert not any(tmp_path.iterdir())


def test_the_limits_themselves_are_within():
    """Each beside what the cases refuse, and all other complaints at once."""
    within = "members=2 patch=96 demo_months=60 diffusion_steps=1 sampling_steps=1000 tile=8"
    checks.check_parameters(load_parameters("demo", within.split()))
    checks.check_parameters(load_parameters("demo", ["mode=regression", "diffusion_steps=0"]))
    across = ["source=glorys12", "region=[170.0,-170.0,-10.0,10.0]", "patch=128"]
    checks.check_parameters(load_parameters("demo", across))
    with pytest.raises(RunError) as refused:
        checks.check_parameters(load_parameters("demo", ["members=1", "sampler=x", "mode=y"]))
    assert len(str(refused.value).splitlines()) == 3


def test_every_limit_is_that_of_a_parameter_that_the_notebooks_have():
    known = {name for notebook in chain(NOTEBOOKS) for name in declared(notebook)}
    assert set(sum(checks.SMALLEST_VALUES.values(), [])) <= known
    for rule in checks.RULES:
        assert inspect.signature(rule).parameters.keys() <= known, rule


def test_the_demo_ocean_has_the_size_that_is_checked():
    assert inspect.signature(demo_ocean.simulate).parameters["shape"].default == checks.DEMO_SHAPE
    assert np.isclose(demo_ocean.STEP, 1 / checks.CELLS_PER_DEGREE["demo"])
