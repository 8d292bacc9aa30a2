"""An experiment on GLORYS12, from a store of Copernicus Marine through all five notebooks."""

import subprocess
import sys

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
    )


# One level, and the network and sampler of `glorys12_50pct`: the other runs have several levels and
# the default mode.
SMALL = [
    "region=[-71.5, -68.0, 32.3, 35.3]", 'period=["1993-01", "1997-04"]', "device=cpu",
    "validation_months=8", "test_months=10", "gap_months=3", "patch=32", "width=8", "batch=4",
    "multipliers=[1, 2]", "regression_steps=0", "diffusion_steps=10", "every=10", "members=2",
    "sampling_steps=3", "dates=2", "calibration_dates=1", "tuning_evaluations=5", "scenes=[6]",
    "background_evaluations=5", "evaluations=[2]", "mode=diffusion", "parametrisation=epsilon",
    "sampler=ddpm", "depths=[9.6]",
]  # fmt: skip
NAME = "glorys12_argo"


def test_an_experiment_goes_from_the_service_through_all_five_notebooks(marine, tmp_path_factory):
    folder = tmp_path_factory.mktemp("work space")
    for part in ("data", "outputs"):
        (folder / part).mkdir()
    done = run(marine, folder, NAME, *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    with xr.open_dataset(folder / "outputs" / NAME / "reconstruction.nc") as result:
        assert "Copernicus Marine" in result.credit and "OSTIA" in result.credit
        assert result.sizes["depth"] == 1 and result.sizes["member"] == 2
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        content = path.read_bytes()
        assert USER.encode() not in content and PASSWORD.encode() not in content, path
    assert PASSWORD not in done.stdout + done.stderr and USER not in done.stdout + done.stderr
