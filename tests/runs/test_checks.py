"""Values that cannot work are refused before anything runs; those of the notebooks are not."""

import inspect
import re

import numpy as np
import pytest

from ocean_lib.model.diffusion import Diffusion
from ocean_lib.model.scenes import LARGEST_SCENE
from ocean_lib.reconstruct.sampling import MIN_TILE
from ocean_lib.runs import checks, runner
from ocean_lib.runs.parameters import (
    NOTEBOOKS,
    RunError,
    chain,
    declared,
    load_parameters,
    parameters_files,
)

CASES = [
    ("run=a/b", "'a/b' cannot name a folder"),
    ("run=..", "cannot name a folder"),
    ("run=", "cannot name a folder"),
    ("store=a/b", "cannot name a folder"),
    ("members=1", "members is 1; choose 2 to 1000"),
    ("patch=0", "patch is 0; choose 1 to 160"),
    ("patch=97", "patch 97 exceeds the 96 rows or 128 columns.*patch <= 96"),
    ("patch=32 region=[-70.0,-67.5,34.0,40.0]", "patch 32 exceeds the 73 rows or 31 columns"),
    ("region=[-70.0,-60.0,40.0,30.0]", "south below north"),
    ("region=[-70.0,-60.0,30.0,95.0]", "latitudes within ±90"),
    ("region=[1.0,2.0,3.0]", "give west, east, south, north"),
    ("depths=[]", "depths is .* give 1 to 200 numbers, each 0 to 12000"),
    ("depths=[-10.0]", "each 0 to 12000"),
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
    ("learning_rate=0.0", "learning_rate is 0.0; choose 1e-09 to 1.0"),
    ("learning_rate=.nan", "learning_rate is nan"),
    ("learning_rate=.inf", "learning_rate is inf"),
    ("width=6 multipliers=[1,1]", "width 6 × multiplier 1 is not a multiple of the 4"),
    ("multipliers=[]", "multipliers is .* give 1 to 6 numbers"),
    ("stem=3", "stem is 3; choose 1 to 2"),
    ("every=0", "every is 0; choose 1 to 1000000"),
    ("seed=-1", "seed is -1; choose 0 to 9223372036854775807"),
    ("sampler=dpm", "sampler 'dpm' is not known; choose one of .*ddim"),
    ("sampling_steps=1001", "sampling_steps is 1001; choose 1 to 1000"),
    ("evaluations=[8,0]", "evaluations is .8, 0. .*each 1 to 1000"),
    ("scenes=[240]", "scenes is .240.; give a number for each of 2 patterns"),
    ("scenes=[240,0]", "scenes is .240, 0. .*each 1 to 100000"),
    ("tile=4", "tile is 4; choose 8 to 4096"),
    ("derived=[heat]", "'heat' is not known; choose of .*heat_content"),
    ("patterns=[]", "no observation pattern"),
    ("patterns=[{pattern: blobs, observed: 0.5}]", "'blobs' is not known"),
    ("cases=[{pattern: blocks, observed: 1.5}]", "1.5.*give a fraction from 0 to 1"),
    ("cases=[{pattern: blocks, observed: 0.5}, {pattern: blocks, observed: 0.5}]", "of its own"),
    ("cases=[{pattern: blocks, observed: 0.5}]", "cases are named .None.; give every case a name"),
    ("cases=[{pattern: [1], name: a, observed: 0.5}]", "cases has 'pattern': .1.; write keys"),
    ("patterns=[{1: 2, a: 3}]", "patterns has 1: 2; write keys"),
    # Slips in size: each of these once hung, took all memory, or failed after hours.
    ("demo_months=1000000000", "demo_months is 1000000000; choose 1 to 3228"),
    ("blocks=9223372036854775808", "blocks is 9223372036854775808; choose 1 to 16"),
    (f"multipliers=[{'1,' * 4999}1]", r"multipliers is \[1, .*; give 1 to 6 numbers"),
    ("multipliers=[1,1000000]", "multiplier 2 is 1000000; choose 1 to 16"),
    ("multipliers=[2,4]", "multipliers is .2, 4.; begin with 1"),
    ("width=1000000", "width is 1000000; choose 1 to 1024"),
    ("patch=161", "patch is 161; choose 1 to 160"),
    ("seed=9223372036854775808", "seed is 9223372036854775808; choose 0 to"),
    (f"seed=0x1{'0' * 5000}", "seed is an integer of 20001 bits; choose"),
    (f"seed={'9' * 5000}", "is not YAML.*4300"),
    ("land_value=.nan", "land_value is nan"),
    ("depths=[1.0e+30]", "depths is .*each 0 to 12000"),
    ("region=[-70.0,.inf,30.0,40.0]", "region is .*each -360 to 360"),
    ("regression_steps=1000000000000", "regression_steps is 1000000000000; choose 0 to 10000000"),
    ("scenes=[1000000000,5]", "scenes is .*each 1 to 100000"),
    ("evaluations=[1001]", "evaluations is .1001."),
    (f"patterns=[{', '.join(['{pattern: blocks, observed: 0.5}'] * 51)}]", "has 51 entries"),
]


@pytest.mark.parametrize("given, message", CASES, ids=[given[:60] for given, _ in CASES])
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
    assert {*checks.LIMITS, *checks.LIST_LIMITS} <= known
    for rule in checks.RULES:
        assert inspect.signature(rule).parameters.keys() <= known, rule


def test_every_number_that_the_notebooks_have_is_limited():
    numbers = {
        name
        for notebook in chain(NOTEBOOKS)
        for name, parameter in declared(notebook).items()
        if re.search("int|float", parameter.annotation)
    }
    network = {"width", "multipliers", "blocks", "stem"}  # `check_network` limits these
    assert numbers - network == {*checks.LIMITS, *checks.LIST_LIMITS}


def test_no_value_is_above_what_others_can_use():
    assert checks.LIMITS["patch"][1] == LARGEST_SCENE
    assert checks.LIMITS["tile"][0] == MIN_TILE
    assert checks.LIMITS["sampling_steps"][1] == Diffusion().steps
    dates = np.datetime64("1993-01", "M") + np.arange(checks.LIMITS["demo_months"][1])
    assert (dates.astype("M8[ns]").astype("M8[M]") == dates).all()


def test_every_parameters_file_is_within_the_limits(tmp_path):
    for file in parameters_files(NOTEBOOKS):
        given = [f"path={tmp_path}/a.nc"] if file.stem == "own_netcdf" else []
        (tmp_path / "a.nc").touch()
        checks.check_parameters(load_parameters(file.stem, given))
