"""Memory and time of building a store from a year of global fields, with a kill half way.

    python benchmarks/global_year.py [--folder /scratch] [--rows 400 --columns 600 --levels 9]

Writes twelve synthetic files with the size and the layout of GLORYS12 (50 × 2041 × 4320, int16,
chunks of 7 × 341 × 720), builds a store from them in a separate process, kills that process half
way (SIGKILL), resumes it, and compares the finished store with the integers of the files at random
cells. Memory is private memory (RssAnon), sampled every 20 ms. At full size this needs about 25 GB
of disk, which is freed at the end.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import netCDF4
import numpy as np

from ocean_lib.core.atomic import atomic_write

RESULT = Path(__file__).parent / "results" / "global_year.md"
FULL = (50, 2041, 4320)
CHUNKS = (7, 341, 720)
SCALE, OFFSET, FILL = 24 / 32767, 21.0, -32767
LEVELS = 0.494 * np.exp(9.36 * (np.arange(50) / 49) ** 0.75)  # m, close to those of GLORYS12


def axes(shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth, latitude and longitude of a global grid; at full size about that of GLORYS12."""
    depth, rows, columns = shape
    latitude = np.linspace(-80, 90, rows)
    return LEVELS[:depth], latitude, -180 + np.arange(columns) * (360 / columns)


def write_month(path: Path, month: int, shape) -> None:
    """Write one file: a season and waves that fade with depth, continents, a sloping bottom."""
    depth, latitude, longitude = axes(shape)
    y, x = np.deg2rad(latitude)[:, None].astype("f4"), np.deg2rad(longitude)[None].astype("f4")
    bottom = 5000 * (0.75 + np.sin(1.5 * x) * np.cos(y) - 0.7 * np.sin(y) * np.cos(2 * x + 1))
    phase = 2 * np.pi * month / 12
    mean = 26 * np.cos(y) ** 2 + 2
    waves = np.sin(40 * x + 9 * y + phase) * np.cos(50 * y - 0.7 * month)
    season = 2 * np.sin(y) * np.cos(phase - 3.7)
    with netCDF4.Dataset(path, "w") as file:
        middle = np.datetime64(f"1993-{month + 1:02d}-16") - np.datetime64("1950-01-01")
        for name, values in zip(
            ("time", "depth", "latitude", "longitude"),
            ([middle / np.timedelta64(1, "h")], depth, latitude, longitude),
        ):
            file.createDimension(name, len(values))
            file.createVariable(name, "f4", (name,))[:] = values
            file[name].standard_name = name
        file["time"].units = "hours since 1950-01-01"
        file["depth"].setncatts({"units": "m", "positive": "down"})
        file["latitude"].units, file["longitude"].units = "degrees_north", "degrees_east"
        variable = file.createVariable(
            "thetao",
            "i2",
            ("time", "depth", "latitude", "longitude"),
            compression="zlib",
            complevel=1,
            chunksizes=(1, *np.minimum(CHUNKS, shape)),
            fill_value=FILL,
        )
        variable.setncatts(
            {
                "scale_factor": SCALE,
                "add_offset": OFFSET,
                "units": "degrees_C",
                "standard_name": "sea_water_potential_temperature",
            }
        )
        variable.set_auto_maskandscale(False)
        for first in range(0, len(depth), CHUNKS[0]):
            slab = np.empty((len(depth[first : first + CHUNKS[0]]), *bottom.shape), "i2")
            for level, d in enumerate(depth[first : first + CHUNKS[0]]):
                value = 1 + mean * np.exp(-d / 700) + season * np.exp(-d / 60)
                value = value + waves * np.exp(-d / 400)
                raw = np.rint((value - OFFSET) / SCALE)
                slab[level] = np.where(bottom > d, raw, FILL)
            variable[0, first : first + len(slab)] = slab


def build(files: Path, store: Path) -> None:
    """Build a store as a user would, and print the progress."""
    from ocean_lib.fields.canonical import open_fields
    from ocean_lib.store.store import build_store

    began = time.perf_counter()

    def show(records, total):
        print(f"open {time.perf_counter() - began:.0f}", flush=True)
        for record in records:
            print(f"block {record['step']} {total}", flush=True)
            yield record

    fields = open_fields(files)
    seen = fields.temperature.isel(depth=0, drop=True).to_dataset(name="surface_temperature")
    build_store(fields, store, surfaces=seen, progress=show)


class Child:
    """The build in a separate process, which is killed after the share `limit` of its blocks."""

    def __init__(self, files: Path, store: Path, limit: float):
        command = [sys.executable, __file__, "--build", str(files), str(store)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.peak, self.opening, self.blocks, self.total = 0, None, [], 0
        began = time.perf_counter()
        watcher = threading.Thread(target=self._watch)
        watcher.start()
        for line in self.process.stdout:
            word, *numbers = line.split()
            if word == "open":
                self.opening = int(numbers[0])
            elif word == "block":
                self.blocks.append(int(numbers[0]))
                self.total = int(numbers[1])
                print(f"{line.strip()}  {self.peak / 1e9:.2f} GB", file=sys.stderr, flush=True)
                if self.blocks[-1] >= limit * self.total:
                    self.process.kill()
        self.code = self.process.wait()
        watcher.join()
        self.seconds = time.perf_counter() - began

    def _watch(self) -> None:
        while self.process.poll() is None:
            self.peak = max(self.peak, private(self.process.pid))
            time.sleep(0.02)


def private(pid: int) -> int:
    """Private memory of a process and its descendants, in bytes."""
    total = 0
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(map(private, map(int, (task / "children").read_text().split())))
    except OSError:  # the process has ended
        return total
    return total + sum(
        1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")
    )


def check(files: Path, store: Path, number: int = 400) -> tuple[int, float]:
    """Compare random cells with the files; return their number and the largest error in steps."""
    from ocean_lib.store.build import STEP
    from ocean_lib.store.store import Store

    opened = Store(store)
    rng = np.random.default_rng(0)
    paths = sorted(files.glob("*.nc"))
    shape = opened.anomaly.shape
    worst = 0.0
    months = rng.integers(len(paths), size=number)
    for month in np.unique(months):
        with netCDF4.Dataset(paths[month]) as file:
            variable = file["thetao"]
            variable.set_auto_maskandscale(False)
            for _ in range(int((months == month).sum())):
                y, x, channel = (int(rng.integers(size)) for size in shape[1:])
                raw = int(variable[0, max(channel - 1, 0), y, x])
                if bool(opened.ocean[y, x, channel]) != (raw != FILL):
                    raise AssertionError(f"ocean at {y, x, channel} differs from {paths[month]}")
                if raw == FILL:
                    continue
                deviation = float(opened.deviation[y, x, channel])
                value = int(opened.anomaly[month, y, x, channel]) * STEP * deviation
                value += float(opened.climatology[0, y, x, channel])
                worst = max(worst, abs(value - (raw * SCALE + OFFSET)) / deviation / STEP)
    if worst > 0.51:
        raise AssertionError(
            f"a value differs by {worst:.2f} steps from its file; the limit is 0.51"
        )
    return number, worst


def size(folder: Path) -> float:
    """Size of a folder in GB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", help="where to write; default: the system's temporary folder")
    for name, full in zip(("levels", "rows", "columns"), FULL):
        parser.add_argument(f"--{name}", type=int, default=full)
    parser.add_argument("--build", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.build:
        return build(*given.build)
    shape = (given.levels, given.rows, given.columns)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        files, store = Path(folder, "files"), Path(folder, "store")
        files.mkdir()
        began = time.perf_counter()
        for month in range(12):
            write_month(
                files / f"mercatorglorys12v1_gl12_mean_1993{month + 1:02d}.nc", month, shape
            )
            print(f"month {month + 1}, {size(files):.1f} GB", file=sys.stderr, flush=True)
        writing = time.perf_counter() - began
        killed = Child(files, store, limit=0.5)
        if killed.code != -9 or store.exists():
            raise AssertionError(
                f"the build ended with {killed.code} before it was killed half way"
            )
        resumed = Child(files, store, limit=np.inf)
        if resumed.code:
            raise AssertionError(f"the resumed build ended with {resumed.code}")
        number, worst = check(files, store)
        unpacked = 12 * np.prod(shape) * 4 / 1e9
        rows = [
            ("files", f"12 × {' × '.join(map(str, shape))}, {size(files):.1f} GB packed"),
            ("as float32", f"{unpacked:.1f} GB"),
            ("store", f"{size(store):.1f} GB"),
            ("peak private memory before the kill", f"**{killed.peak / 1e9:.2f} GB**"),
            ("peak private memory after resuming", f"**{resumed.peak / 1e9:.2f} GB**"),
            ("killed (SIGKILL) after block", f"{killed.blocks[-1]} of {killed.total}"),
            ("resumed at block", f"{resumed.blocks[0]} of {resumed.total}"),
            ("opening and checking the files", f"{killed.opening} s"),
            ("from the start to the kill", f"{killed.seconds:.0f} s"),
            ("from resuming to the end, including opening", f"{resumed.seconds:.0f} s"),
            ("writing the files", f"{writing:.0f} s"),
            (
                "random values compared with the files",
                f"{number}, largest difference {worst:.2f} of a step",
            ),
        ]
    text = "\n".join(
        [
            "# Building a store from a year of global fields",
            "",
            f"One process with threads on {os.cpu_count()} cores; memory is RssAnon.",
            "",
            "| | |",
            "| :-- | --: |",
            *(f"| {name} | {value} |" for name, value in rows),
        ]
    )
    print(text)
    if shape == FULL:
        RESULT.parent.mkdir(exist_ok=True)
        with atomic_write(RESULT) as beside:
            beside.write_text(text + "\n")


if __name__ == "__main__":
    main()
