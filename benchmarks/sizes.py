"""Large numbers of dates, casts and bytes: how long they take, beside another checkout.

    python benchmarks/sizes.py FOLDER [--before CHECKOUT]

Five measurements, each in a process of its own: the reconstruction of 200 dates of 32×32 cells, on
all threads and on one; the time until a reconstruction of 20,000 dates draws the first; 600 casts
of 600 months on a grid; and a file of 1.5 GB in the explorer. With --before, the same is measured
with the package of another checkout. Inputs are written to FOLDER (2 GB, kept for the next call).
The table is printed and written to `benchmarks/results/sizes.md`.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "sizes.md"
LEVELS, SIDE = 8, 32
DEPTH = np.geomspace(1, 1900, LEVELS)  # m, as those of `whole_domain.statistics`
PROFILE = 26 * np.exp(-DEPTH / 500)  # °C
LIMIT = 400  # seconds, after which a measurement is ended
LARGE = {"time": 12, "member": 16, "depth": 20, "latitude": 400, "longitude": 500}
GRID = ("depth", "latitude", "longitude")


def checkpoint(folder: Path, side: int) -> Path:
    """A densifier as large as that of the demo, untrained, on a square of `side` cells."""
    import torch
    from whole_domain import statistics

    from ocean_lib.model.background import Background
    from ocean_lib.model.densifier import Densifier

    ocean = statistics(side, side, LEVELS)
    ocean["latitude"], ocean["longitude"] = 35 + np.arange(side) / 12, -70 + np.arange(side) / 12
    ocean["wet"][:] = True
    ocean["harmonic"][:] = PROFILE[:, None, None]
    scales = {"observed": 0.02, "surface": False, "lengths": (1.0, 74.0, 74.0), "noise": 0.01}
    scales |= {"kernel": "matern32", "neighbours": 48}
    levels = np.arange(LEVELS)
    shape = np.exp(-abs(np.subtract.outer(levels, levels)) / 4)
    none = torch.zeros(0, LEVELS, 0, 1, 1)
    background = Background(
        [scales], coefficients=none, covariance=shape[None], factor=torch.ones(1, LEVELS)
    )
    path = folder / f"checkpoint_{side}"
    Densifier(ocean, background).save(path)
    return path


def gridded(folder: Path, dates: int, days: int) -> Path:
    """Observations of 2 % of the columns on each of the dates, some days apart."""
    path = folder / f"observations_{dates}.nc"
    if not path.exists():
        rng = np.random.default_rng(0)
        value = np.full((dates, LEVELS, SIDE, SIDE), np.nan, np.float32)
        seen = rng.random((dates, SIDE, SIDE)) < 0.02
        noise = rng.standard_normal((int(seen.sum()), LEVELS))
        value.transpose(0, 2, 3, 1)[seen] = PROFILE + noise
        times = np.datetime64("1995-01-16", "ns") + np.arange(dates) * np.timedelta64(days, "D")
        places = {"depth": DEPTH, "latitude": 35 + np.arange(SIDE) / 12}
        places |= {"time": times, "longitude": -70 + np.arange(SIDE) / 12}
        fields = xr.Dataset({"thetao": (("time", *GRID), value, {"units": "degrees_C"})}, places)
        fields.to_netcdf(path, encoding={"thetao": {"zlib": True, "complevel": 1}})
    return path


def reconstruct(folder: Path, dates: int, days: int) -> str:
    """Reconstruct; of many dates only the beginning."""
    from ocean_lib.reconstruct.from_files import reconstruct_files
    from ocean_lib.reconstruct.sampling import Sampling

    paths = checkpoint(folder, SIDE), gridded(folder, dates, days), folder / f"{os.getpid()}.nc"

    def progress(records, total):
        for record in records:
            if dates > 1000:
                raise KeyboardInterrupt
            yield record

    before = cpu()
    try:
        choices = {"members": 4, "sampling": Sampling(4, chunk=4), "show": lambda line: None}
        reconstruct_files(*paths, **choices, progress=progress)
    except KeyboardInterrupt:
        return f"{cpu() - before:.0f} CPU-s until the first date is drawn"
    return f"{(cpu() - before) / dates:.3f} CPU-s a date"


def on_one_thread(folder: Path) -> str:
    """200 dates on one thread: waiting threads count as processor time."""
    import torch

    torch.set_num_threads(1)
    return reconstruct(folder, 200, 30)


def casts(folder: Path) -> str:
    """Put 600 casts of 600 months on a grid of 96×96."""
    from ocean_lib.reconstruct.gridded_profiles import prepare_profiles

    side, number = 96, 600
    rows = {
        "profile": np.repeat(np.arange(number), LEVELS),
        "time": np.repeat(np.datetime64("1950-01", "M") + np.arange(number), LEVELS),
        "latitude": np.repeat(35 + np.arange(number) % side / 12, LEVELS),
        "longitude": np.repeat(-70 + np.arange(number) % 91 / 12, LEVELS),
        "depth": np.tile(DEPTH, number),
        "temperature": np.tile(PROFILE, number),
    }
    table = pd.DataFrame(rows).assign(time=rows["time"].astype(str) + np.array("-15"))
    table.to_csv(folder / "casts.csv", index=False)
    model, before = checkpoint(folder, side), cpu()
    prepare_profiles(folder / "casts.csv", model, folder / f"{os.getpid()}.nc", lambda line: None)
    return f"{cpu() - before:.0f} CPU-s"


def explorer(folder: Path) -> str:
    """Open a reconstruction of 1.5 GB and draw its first maps."""
    import matplotlib as mpl

    mpl.use("agg")
    path = folder / "large.nc"
    before = time.monotonic()
    from ocean_lib.explore.explorer import explore_file

    imported = time.monotonic() - before
    explore_file(path)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return f"{time.monotonic() - before - imported:.1f} s, {peak:.2f} GB at most"


def large(folder: Path) -> None:
    """A reconstruction with noise in all values, as the package writes it."""
    path, rng = folder / "large.nc", np.random.default_rng(0)
    if path.exists():
        return
    import netCDF4

    from ocean_lib.fields.reconstruction_file import create_date_file, join_dates

    places = {name: np.linspace(1, 40, LARGE[name]) for name in GRID}
    times = np.datetime64("1995-01-16", "ns") + 30 * np.arange(12) * np.timedelta64(1, "D")
    grid = xr.Dataset(coords=places | {"time": times})
    grid["ocean"] = GRID, np.ones([LARGE[name] for name in GRID], bool)
    names = dict.fromkeys(("mean", "spread", "background", "background_error", "members"), "degC")
    sizes = {name: LARGE[name] for name in ("member", *GRID)}
    parts = [folder / f"part_{date}.nc" for date in range(LARGE["time"])]
    for part in parts:
        with create_date_file(part, sizes, names) as file:
            for name in (*names, "observed"):
                variable: netCDF4.Variable = file[name]
                noise = rng.random(variable.shape, np.float32)
                variable[:] = noise > 0.99 if name == "observed" else 10 + noise
    join_dates(parts, grid, path, names, {"title": "noise"})
    for part in parts:
        part.unlink()


def cpu() -> float:
    """Seconds of processor time of this process so far."""
    return time.process_time()


MEASUREMENTS = {
    "200 dates of 32×32, 4 members, 4 steps": lambda folder: reconstruct(folder, 200, 30),
    "the same, on one thread": on_one_thread,
    "20,000 dates of 32×32": lambda folder: reconstruct(folder, 20000, 1),
    "600 casts of 600 months, 96×96": casts,
    "a file of 1.5 GB in the explorer": explorer,
}


def measured(name: str, folder: Path, checkout: Path) -> str:
    """One measurement with the package of a checkout, in a process of its own."""
    paths = os.pathsep.join(map(str, (checkout, ROOT / "benchmarks")))
    command = [sys.executable, __file__, str(folder), "--only", name]
    try:
        done = subprocess.run(
            command,
            env=os.environ | {"PYTHONPATH": paths},
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
    except subprocess.TimeoutExpired:
        return f"not within {LIMIT} s"
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout.splitlines()[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--before", type=Path, help="checkout to compare with")
    parser.add_argument("--only", choices=MEASUREMENTS, help="one measurement, in this process")
    asked = parser.parse_args()
    asked.folder.mkdir(exist_ok=True)
    if asked.only:
        print(MEASUREMENTS[asked.only](asked.folder))
        return
    from ocean_lib.core.atomic import atomic_write

    large(asked.folder)
    checkouts = {"before": asked.before, "now": ROOT} if asked.before else {"now": ROOT}
    lines = [
        f"`python benchmarks/sizes.py FOLDER`, {os.cpu_count()} cores.",
        "",
        "| | " + " | ".join(checkouts) + " |",
        "|---" * (len(checkouts) + 1) + "|",
    ]
    for name in MEASUREMENTS:
        results = [measured(name, asked.folder, checkout) for checkout in checkouts.values()]
        lines.append(f"| {name} | " + " | ".join(results) + " |")
        print(lines[-1], flush=True)
    with atomic_write(RESULT) as beside:
        beside.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
