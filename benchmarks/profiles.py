"""Time and memory of gridding a hundred thousand profiles.

    python -m benchmarks.profiles [--profiles 100000] [--values 70]

Ten files in the format of Argo's data centres, with profiles over the globe and ten years, are
read, checked, converted to potential temperature, interpolated to eight levels and averaged by cell
and month on a grid of one degree. The table is written to `benchmarks/results/profiles.md`.
"""

import argparse
import tempfile
import time
from pathlib import Path

import netCDF4
import numpy as np
import psutil
import xarray as xr

from ocean_lib.core.atomic import atomic_write
from ocean_lib.observations import gridding, profiles

LEVELS = [9.6, 34.4, 65.8, 109.7, 186.1, 318.1, 541.1, 902.3]
FILES = 10


def write(path: Path, number: int, values: int, seed: int) -> None:
    """Write a multi-profile file of random casts in delayed mode with good flags."""
    rng = np.random.default_rng(seed)
    pressure = np.sort(rng.uniform(2, 2000, (number, values)), 1).astype("f4")
    temperature = (2 + 22 * np.exp(-pressure / 400)).astype("f4")
    temperature += rng.normal(0, 0.02, temperature.shape).astype("f4")
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("N_PROF", number)
        file.createDimension("N_LEVELS", values)
        file.createDimension("STRING8", 8)
        columns = {
            "JULD": rng.uniform(20000, 23650, number),
            "LATITUDE": rng.uniform(-60, 60, number),
            "LONGITUDE": rng.uniform(-180, 180, number),
            "CYCLE_NUMBER": np.arange(number, dtype="i4"),
        }
        for name, column in columns.items():
            file.createVariable(name, column.dtype, ("N_PROF",))[:] = column
        for name, letter in (("DATA_MODE", "D"), ("JULD_QC", "1"), ("POSITION_QC", "1")):
            file.createVariable(name, "S1", ("N_PROF",))[:] = np.full(number, letter, "S1")
        names = np.array([list(f"{seed:08d}")] * number, "S1")
        file.createVariable("PLATFORM_NUMBER", "S1", ("N_PROF", "STRING8"))[:] = names
        matrix, flags = ("N_PROF", "N_LEVELS"), np.full((number, values), "1", "S1")
        given = {"PRES": pressure, "TEMP": temperature, "PSAL": np.full_like(pressure, 35.0)}
        for name, array in given.items():
            for part in ("", "_ADJUSTED"):
                file.createVariable(f"{name}{part}", "f4", matrix)[:] = array
                file.createVariable(f"{name}{part}_QC", "S1", matrix)[:] = flags


def statistics() -> xr.Dataset:
    """Statistics of a global model of one degree: an ocean with a flat bottom and no land."""
    latitude, longitude = np.arange(-59.5, 60), np.arange(-179.5, 180)
    grid = (len(LEVELS), len(latitude), len(longitude))
    dims = ("channel", "latitude", "longitude")
    return xr.Dataset(
        {
            "harmonic": (("term", *dims), np.full((1, *grid), 8.0, "f4")),
            "deviation": (dims, np.ones(grid, "f4")),
            "wet": (dims, np.ones(grid, bool)),
        },
        {"depth": LEVELS, "latitude": latitude, "longitude": longitude},
        {"surfaces": {}, "variables": ["temperature"], "first": "1993-01-01"},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profiles", type=int, default=100_000)
    parser.add_argument("--values", type=int, default=70)
    asked = parser.parse_args()
    known, process = statistics(), psutil.Process()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(FILES):
            write(Path(folder) / f"{seed}_prof.nc", asked.profiles // FILES, asked.values, seed)
        before, began = process.memory_info().rss, time.perf_counter()
        table = profiles.open_profiles(folder, LEVELS)
        read = time.perf_counter() - began
        rows = gridding.average_in_cells(gridding.to_cells(table, known), known)
        total = time.perf_counter() - began
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    lines = [
        "# Gridding of profiles",
        "",
        "`python -m benchmarks.profiles`, 2 cores",
        "",
        "| profiles | values | reading, s | with gridding, s | additional memory, GB | cells |",
        "|---|---|---|---|---|---|",
        f"| {table.sizes['profile']:,} | {asked.profiles * asked.values:,} | {read:.1f} | "
        f"{total:.1f} | {peak / 1e9:.2f} | {len(rows):,} of {int(rows['count'].sum()):,} values |",
        "",
    ]
    with atomic_write(Path(__file__).parent / "results" / "profiles.md") as beside:
        beside.write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
