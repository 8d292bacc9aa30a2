"""The wheel test: build it, install it alone in an empty environment, reconstruct with it.

It also writes a month of the demo ocean and reads the casts of its floats.

    python tests/wheel.py

`make wheel` calls it. This checkout writes a small checkpoint and a file of observations; the
environment, outside the checkout, holds the wheel and its runtime dependencies only, within the
versions that requirements.txt pins. The wheel stays in `dist/`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import xarray as xr

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

CHECK = """
import sys
from pathlib import Path
import ocean_lib
from ocean_lib.model import Densifier
assert not Path(ocean_lib.__file__).is_relative_to(sys.argv[1]), ocean_lib.__file__
heavy = {"matplotlib", "cartopy", "copernicusmarine", "papermill", "ipywidgets"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
from ocean_lib.observations.profiles import open_profiles
from ocean_lib.sources.demo_files import write_demo_files
write_demo_files("demo", months=1, shape=(40, 44))
casts = open_profiles("demo/floats", [10.0, 100.0])
assert (casts.status == "used").any() and casts.temperature.notnull().any()
print(ocean_lib.__version__, Densifier.load("checkpoint.safetensors").mode)
"""


def write_inputs(folder: Path) -> None:
    """A checkpoint of a tiny network and a file of observations, made by this checkout."""
    from conftest import make_small_ocean
    from tiny import astir, densifier

    from ocean_lib.observations import observe
    from ocean_lib.store import build_store

    ocean = make_small_ocean()
    store = build_store(
        ocean,
        folder / "store",
        validation=8,
        test=10,
        gap=3,
        surfaces=ocean[["surface_temperature"]],
    )
    astir(densifier(store), size=0.05).save(folder / "checkpoint.safetensors")
    fields = store.fields("test").isel(time=slice(0, 2))
    seen = observe(fields, {"pattern": "profiles", "observed": 0.05, "surface": 1.0}, seed=3)
    observations = xr.Dataset(
        {"thetao": seen.value, "surface_temperature": seen.surface_temperature}
    )
    observations.to_netcdf(folder / "observations.nc")


def constraints(folder: Path) -> Path:
    """The pins of requirements.txt without the editable checkout, as pip's constraints."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    path = folder / "constraints.txt"
    path.write_text("\n".join(line for line in lines if not line.startswith("-e")))
    return path


def main() -> int:
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(dist), str(ROOT)]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(ROOT / "build", ignore_errors=True)
    (wheel,) = dist.glob("densify_ocean-*.whl")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder)
        clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        python = folder / "venv" / "bin" / "python"

        def run(*command, **choices) -> subprocess.CompletedProcess:
            return subprocess.run(list(command), check=True, cwd=folder, env=clean, **choices)

        pip = [python, "-m", "pip", "install", "--quiet", "--no-compile"]
        run(*pip, "--constraint", constraints(folder), str(wheel))
        run(python, "-c", CHECK, str(ROOT))
        script = folder / "venv" / "bin" / "densify-ocean"
        choices = ["--members", "2", "--steps", "2"]
        run(
            script, "reconstruct", "checkpoint.safetensors", "observations.nc", "dense.nc", *choices
        )
        with xr.open_dataset(folder / "dense.nc") as dense:
            wet = (dense.ocean == 1).broadcast_like(dense["mean"])
            assert np.isfinite(dense["mean"].where(wet, 0)).all() and wet.any()
        # The wheel holds no notebooks, and the command says so.
        refused = subprocess.run(
            [script, "run", "demo"], cwd=folder, env=clean, capture_output=True, text=True
        )
        assert refused.returncode == 2 and "clone the repository" in refused.stderr, refused
    print(f"{wheel.name}: installed alone, it loads a checkpoint, reconstructs, writes the demo")
    return 0


if __name__ == "__main__":
    sys.exit(main())
