"""The five notebooks end to end by the runner, and what every stored notebook must be."""

import ast
import json
import re
from pathlib import Path

import gdac
import nbformat
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from ocean_lib.runs.parameters import (
    NOTEBOOKS,
    RunError,
    chain,
    declared,
    load_parameters,
    parameters_files,
)
from ocean_lib.runs.runner import execute_run
from ocean_lib.scores.score_table import read_scores

GIOPS = NOTEBOOKS.parent.parent / "shared" / "data" / "giops" / "nemo_test.nc"
STEPS = ["01_download", "02_masks", "03_training", "04_sampling", "05_evaluation"]
SMALL = ["width=8", "multipliers=[1, 2]", "every=10", "members=2", "dates=2", "device=cpu"]
SMALL += ["calibration_dates=1", "tuning_evaluations=5"]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A workspace whose path has a space, as many a user's has."""
    folder = tmp_path_factory.mktemp("work space")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OCEAN_WORKSPACE", str(folder))
        yield folder


def printed(notebook: Path) -> str:
    """All that the cells of an executed notebook printed."""
    cells = nbformat.read(notebook, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.output_type == "stream")


def complete(folder: Path) -> xr.Dataset:
    """Asserts that a run's folder is as the README says; returns its reconstruction."""
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [manifest["steps"][step]["status"] for step in STEPS] == ["done"] * 5
    for name in (*(f"{step}.ipynb" for step in STEPS), "checkpoint.safetensors", "metrics.jsonl"):
        assert (folder / name).is_file(), name
    assert not list(folder.rglob("*.partial"))
    for figure in (
        "02_occlusion",
        "02_argo_month",
        "03_loss",
        "05_error_by_depth",
        "05_maps_1",
        "05_view",
    ):
        assert (folder / "figures" / f"{figure}.png").stat().st_size > 5000, figure
    return xr.load_dataset(folder / "reconstruction.nc")


def by_hand(result: xr.Dataset, case: str) -> float:
    """RMSE over hidden ocean, weighted by area, without the package."""
    one = result.sel(case=case)
    hidden = one.ocean.astype(bool) & ~one.observed.astype(bool)
    weight = (np.cos(np.deg2rad(one.latitude)) * hidden).transpose(*one["mean"].dims)
    square = ((one["mean"] - one.truth) ** 2).transpose(*one["mean"].dims)
    return float(np.sqrt((square * weight).sum() / weight.sum()))


def test_the_chain_runs_on_the_demo_ocean_and_its_scores_are_those_of_its_file(workspace):
    floats = [
        gdac.cast(
            platform=f"{n}",
            cycle=m,
            time=f"1996-{m:02d}-10",
            latitude=33 + n,
            longitude=-66 + n / 9,
        )
        for n in range(5)
        for m in range(8, 11)
    ]
    command = [f"observations={gdac.write(workspace / 'floats.nc', floats)}"]
    command += ["dates=2", "tuning_evaluations=3", "background_evaluations=2", "evaluations=[2]"]
    assert execute_run("smoke", command) == 0
    result = complete(workspace / "outputs" / "smoke")
    dense = xr.load_dataset(workspace / "outputs" / "smoke" / "floats.nc")
    # Made-up casts may be impossible in the ocean of this run.
    status = set(dense.profile_status.values.astype(str))
    assert "used" in status <= {"used", "far from the climatology"} and "mean" in dense
    told = printed(workspace / "outputs" / "smoke" / "04_sampling.ipynb")
    assert "of 15 profiles are used" in told and "Profiles of 1996-08-10 to 1996-10-10" in told
    assert "Synthetic" in dense.credit and "Argo Program" in dense.credit
    withheld = pd.read_csv(workspace / "outputs" / "smoke" / "floats.csv")
    assert set(withheld.withheld) == {"float", "time"} and (withheld.n <= 6).all()
    scores = read_scores(workspace / "outputs" / "smoke" / "scores.csv")
    methods = {"climatology", "linear", "optimal interpolation", "regression", "reconstruction"}
    assert methods <= set(scores.method)
    assert {"rmse", "mae", "bias", "crps", "spread", "psnr", "ssim"} <= set(scores.metric)
    for case in result.case.values:
        row = scores.query("case == @case and method == 'reconstruction' and layer == 'all'")
        value = float(row.query("metric == 'rmse'").value.iloc[0])
        assert value == pytest.approx(by_hand(result, case), rel=2e-3)
        # Observed cells are met to the precision of the file.
        one = result.sel(case=case)
        seen = one.observed.astype(bool)
        assert float(abs(one.members - one.value).where(seen).max()) < 1e-3
    # A dry run takes nothing away.
    for options in ({}, {"fresh": True}, {"begin": "01_download"}):
        with pytest.raises(RunError, match="dry run would leave nothing.*run=NAME"):
            execute_run("smoke", ["dry_run=true"], **options)
    # The same command again finds everything done and changes nothing.
    before = (workspace / "outputs" / "smoke" / "03_training.ipynb").stat().st_mtime_ns
    assert execute_run("smoke", command) == 0
    assert (workspace / "outputs" / "smoke" / "03_training.ipynb").stat().st_mtime_ns == before


@pytest.mark.skipif(not GIOPS.exists(), reason=f"no real data at {GIOPS}")
def test_a_users_own_file_goes_through_all_notebooks(workspace):
    small = ["regression_steps=10", "diffusion_steps=10", "sampling_steps=2"]
    small += ["scenes=[6, 6]", "background_evaluations=5", "evaluations=[2]"]
    assert execute_run("own_netcdf", [f"path={GIOPS}", *small, *SMALL]) == 0
    result = complete(workspace / "outputs" / "own_netcdf")
    # The tropical Pacific: warm at the top, cold at 900 m, the mean between what is possible.
    top, deep = (float(result["mean"].isel(depth=k).mean()) for k in (0, -1))
    assert 22 < top < 31 and 3 < deep < 8
    assert 0 < float(result.latitude.min()) and float(result.longitude.max()) < -130
    told = printed(workspace / "outputs" / "own_netcdf" / "01_download.ipynb")
    for words in (
        "temperature from votemper (sea_water_potential_temperature)",
        "2 date(s), 2014-05-17 to 2014-06-16",
        "8 level(s), 9.573 to 902.34 m, latitude 0.49999 to 18.898°",
        "ocean cells (",
    ):
        assert words in told, told


EVERY = sorted(NOTEBOOKS.glob("*.ipynb"))
LONGEST = 8  # lines of a function in a notebook


def test_the_notebooks_are_those_of_the_chain_and_three_beside_it():
    beside = {path.stem for path in EVERY} - {path.stem for path in chain(NOTEBOOKS)}
    assert beside == {"compare_runs", "explore", "follow_run"}
    assert [path.stem for path in chain(NOTEBOOKS)] == STEPS


@pytest.mark.parametrize("notebook", EVERY, ids=lambda path: path.stem)
def test_a_stored_notebook_is_clean(notebook):
    content = nbformat.read(notebook, as_version=4)
    code = [cell for cell in content.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert "widgets" not in content.metadata and "papermill" not in content.metadata
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1 and tagged[0] is code[0]
    assert not uncommented(tagged[0].source)
    assert declared(notebook)
    opening = content.cells[0]
    assert opening.cell_type == "markdown" and opening.source.startswith("# ")
    for word in ("**Takes** ", "**Leaves** ", "**Time** "):
        assert word in opening.source, f"{notebook.stem} does not say {word}"
    for cell in code:
        faults(cell.source)


def uncommented(source: str) -> list[str]:
    """Statements of a parameters cell without a comment on their first or last line."""
    lines = source.splitlines()
    return [
        ast.unparse(statement)
        for statement in ast.parse(source).body
        if not any("  # " in lines[k - 1] for k in (statement.lineno, statement.end_lineno))
    ]


def faults(source: str) -> None:
    """Asserts that a cell calls and does not define."""
    for node in ast.walk(ast.parse(source)):
        assert not isinstance(node, ast.ClassDef), f"class {node.name}"
        if isinstance(node, ast.FunctionDef):
            lines = node.end_lineno - node.lineno + 1
            assert lines <= LONGEST, f"{node.name} has {lines} lines; define it in ocean_lib"
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            absolute = re.match(r"(~/|[/\\][^\s/]|[A-Za-z]:[/\\])", node.value)
            assert not absolute, f"absolute path {node.value!r}"
        assert ast.unparse(node) != "sys.path", "sys.path"


@pytest.mark.parametrize(
    "source, fault",
    [
        ("class A:\n    pass", "class A"),
        ("def f():\n" + "    x = 1\n" * 9, "f has 10 lines"),
        ("open('/home/me/data.nc')", "absolute path '/home/me"),
        ("open('~/data.nc')", "absolute path '~"),
        ("here = '/.cache/x'", "absolute path '/.cache"),
        ("here = r'C:\\data\\x.nc'", "absolute path"),
        ("sys.path.append('..')", "sys.path"),
    ],
)
def test_a_fault_would_be_found(source, fault):
    with pytest.raises(AssertionError, match=fault):
        faults(source)


def test_a_parameter_without_a_comment_would_be_found():
    assert not uncommented("a: int = 1  # one\nb: list[int] = [  # two\n    2,\n]")
    assert uncommented("a: int = 1\nb: int = 2  # two") == ["a: int = 1"]


@pytest.mark.parametrize("file", parameters_files(NOTEBOOKS), ids=lambda path: path.stem)
def test_a_parameters_file_is_valid_and_opens_with_a_comment(file):
    assert file.read_text().startswith("# ")
    assert load_parameters(file)["run"] == yaml.safe_load(file.read_text())["run"]
