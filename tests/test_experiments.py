"""The experiments on GLORYS12, from a store of Copernicus Marine through all five notebooks."""

import subprocess
import sys

import pytest
import xarray as xr
from marine_store import PASSWORD, USER


def run(store, folder, *arguments):
    """The runner, as a user with credentials in the environment would call it."""
    environment = store.environment() | {"OCEAN_WORKSPACE": str(folder), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "ocean_lib", "run", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


SMALL = [
    "region=[-71.5, -68.0, 32.3, 35.3]", 'period=["1993-01", "1997-04"]', "device=cpu",
    "validation_months=8", "test_months=10", "gap_months=3", "patch=32", "width=8", "batch=4",
    "multipliers=[1, 2]", "regression_steps=10", "diffusion_steps=10", "every=10", "members=2",
    "sampling_steps=3", "dates=2", "calibration_dates=1", "tuning_evaluations=5", "scenes=[6]",
    "background_evaluations=5", "evaluations=[2]",
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "depths"), [("glorys12_50pct", []), ("glorys12_argo_sst", ["depths=[9.6, 318.1]"])]
)
def test_the_experiments_go_from_the_service_through_all_five_notebooks(
    marine, tmp_path_factory, name, depths
):
    folder = tmp_path_factory.mktemp("work space")
    for part in ("data", "outputs"):
        (folder / part).mkdir()
    if depths:
        dry = run(marine, folder, name, *SMALL, *depths, "dry_run=true")
        assert dry.returncode == 0, dry.stderr
        assert "52 month(s) to fetch" in dry.stdout and "ostia: 21 month(s)" in dry.stdout
        assert not list(folder.rglob("*.nc"))
    done = run(marine, folder, name, *SMALL, *depths)
    assert done.returncode == 0, done.stdout + done.stderr
    with xr.open_dataset(folder / "outputs" / name / "reconstruction.nc") as result:
        assert "Copernicus Marine" in result.credit and ("OSTIA" in result.credit) == bool(depths)
        assert result.sizes["depth"] == (2 if depths else 1)
        if not depths:  # half of the one level, in blocks
            share = result.observed.where(result.ocean.astype(bool)).mean()
            assert float(share) == pytest.approx(0.5, abs=0.05)
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        content = path.read_bytes()
        assert USER.encode() not in content and PASSWORD.encode() not in content, path
    assert PASSWORD not in done.stdout + done.stderr and USER not in done.stdout + done.stderr
