"""Memory of `python -m ocean_lib reconstruct` on a global 1/12° domain with 20 levels.

    python benchmarks/whole_domain.py FOLDER [--rows 2041] [--columns 4320] [--levels 20]

For three sizes of the domain: writes to FOLDER a checkpoint with a small untrained network and the
statistics of the domain, and a month of profiles on its grid; reconstructs it in a separate process
whose private memory (RssAnon, which the system cannot reclaim) is sampled ten times a second. The
files on disk grow with the domain; private memory must not. Needs about 12 GB of disk, which is
freed at the end. The table is printed and written to `benchmarks/results/whole_domain.md`.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from ocean_lib.model.background import Background
from ocean_lib.model.densifier import Densifier

RESULT = Path(__file__).resolve().parent / "results" / "whole_domain.md"
TILE, MEMBERS, STEPS, PROFILES = 320, 2, 2, 4000


def statistics(rows: int, columns: int, levels: int) -> xr.Dataset:
    """Statistics of a global ocean, warm at the equator and the surface, with a round continent."""
    latitude = np.linspace(-80, 90, rows, dtype=np.float32)
    longitude = -180 + 360 / columns * np.arange(columns)
    depth = np.geomspace(1, 1900, levels)
    grid = ("channel", "latitude", "longitude")
    mean = 26 * np.cos(np.deg2rad(latitude)) * np.exp(-depth / 500)[:, None]
    harmonic = np.empty((1, levels, rows, columns), np.float32)
    harmonic[:] = mean[None, :, :, None]
    wet = np.hypot(latitude[:, None] - 10, longitude / 2) > 25
    return xr.Dataset(
        {
            "harmonic": (("term", *grid), harmonic),
            "deviation": (grid, np.ones((levels, rows, columns), np.float32)),
            "wet": (grid, np.broadcast_to(wet, (levels, rows, columns)).copy()),
        },
        {"depth": depth, "latitude": latitude.astype(float), "longitude": longitude},
        {
            "surfaces": {},
            "variables": ["temperature"],
            "units": {"temperature": "degrees_C"},
            "standard_name": "sea_water_potential_temperature",
            "months": [*range(1, 13)],
            "dates_per_month": 1.0,
            "first": "1950-01-01",
            "last": "2049-12-31",
            "credit": "synthetic",
            "licence": "MIT",
        },
    )


def prepare(folder: Path, rows: int, columns: int, levels: int) -> None:
    """Write the checkpoint and a file of one month of gridded profiles."""
    known = statistics(rows, columns, levels)
    shape = np.exp(-abs(np.subtract.outer(np.arange(levels), np.arange(levels))) / 4)
    scales = [
        {
            "observed": 1e-3,
            "surface": False,
            "lengths": (1.0, 74.0, 74.0),
            "noise": 0.01,
            "kernel": "matern32",
            "neighbours": 48,
        }
    ]
    none = torch.zeros(0, levels, 0, 1, 1)
    background = Background(
        scales, coefficients=none, covariance=shape[None], factor=torch.ones(1, levels)
    )
    network = {"width": 16, "multipliers": (1, 2), "blocks": 1, "attention": False}
    Densifier(known, background, network=network).save(folder / "checkpoint.safetensors")
    rng = np.random.default_rng(0)
    value = np.full((1, levels, rows, columns), np.nan, np.float32)
    wet = np.argwhere(known.wet.values[0])
    y, x = wet[rng.permutation(len(wet))[: PROFILES * rows * columns // (2041 * 4320)]].T
    value[0][:, y, x] = known.harmonic.values[0][:, y, x] + rng.standard_normal(len(y))
    fields = xr.Dataset(
        {"thetao": (("time", "depth", "latitude", "longitude"), value, {"units": "degrees_C"})},
        {"time": np.array(["2001-01-16"], "M8[ns]")}
        | {name: known[name] for name in ("depth", "latitude", "longitude")},
    )
    packed = {"zlib": True, "complevel": 1, "chunksizes": (1, 1, min(512, rows), min(512, columns))}
    fields.to_netcdf(folder / "profiles.nc", encoding={"thetao": packed})


def watched(command: list[str]) -> tuple[float, float, str]:
    """Run a command; return its peak private memory (GB), its seconds and its output."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    begin, peak = time.monotonic(), 0.0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except FileNotFoundError:
            break
        found = re.search(r"RssAnon:\s+(\d+) kB", status)
        peak = max(peak, int(found[1]) / 1e6 if found else 0.0)
        time.sleep(0.1)
    told = process.communicate()[0]
    if process.returncode:
        raise SystemExit(told)
    return peak, time.monotonic() - begin, told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    for name, default in (("rows", 2041), ("columns", 4320), ("levels", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    lines = [
        f"Tiles of {TILE}, {MEMBERS} members, {STEPS} steps, {asked.levels} levels, "
        f"{os.cpu_count()} cores; the last row is the whole globe.",
        "",
        "| domain | one field, GB | private memory, GB | seconds | file, GB |",
        "|---|---|---|---|---|",
    ]
    for part in (4, 2, 1):
        folder = asked.folder / f"part_{part}"
        folder.mkdir(parents=True)
        rows, columns = asked.rows // part, asked.columns // part
        sizes = [str(n) for n in (rows, columns, asked.levels)]
        subprocess.run([sys.executable, __file__, "--prepare", str(folder), *sizes], check=True)
        files = [
            str(folder / name) for name in ("checkpoint.safetensors", "profiles.nc", "dense.nc")
        ]
        choices = {"members": MEMBERS, "steps": STEPS, "tile": TILE, "device": "cpu"}
        options = [word for name, value in choices.items() for word in (f"--{name}", str(value))]
        command = [sys.executable, "-m", "ocean_lib", "reconstruct", *files, *options]
        peak, seconds, told = watched(command)
        with xr.open_dataset(folder / "dense.nc", chunks={}) as dense:
            wet = dense.ocean.isel(depth=0).values == 1
            assert (np.isfinite(dense["mean"].isel(time=0, depth=0).values) == wet).all()
            assert float(dense.spread.isel(time=0, depth=asked.levels // 2).max()) > 0
        size = 4 * rows * columns * asked.levels / 1e9
        written = (folder / "dense.nc").stat().st_size / 1e9
        lines.append(
            f"| {rows} × {columns} | {size:.2f} | {peak:.2f} | {seconds:.0f} | {written:.2f} |"
        )
        print(told, "\n".join(lines), sep="\n", flush=True)
        shutil.rmtree(folder)
    RESULT.write_text(
        "# Memory of a reconstruction, by the size of its domain\n\n"
        "`python benchmarks/whole_domain.py FOLDER`\n\n" + "\n".join(lines) + "\n"
    )


if __name__ == "__main__":
    if sys.argv[1] == "--prepare":
        prepare(Path(sys.argv[2]), *map(int, sys.argv[3:]))
    else:
        main()
