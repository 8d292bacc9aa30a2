"""Fields → an int16 memory map of standardised anomalies, read at memory speed.

What a network trains on is the departure from the climatology of the training months, divided by
its standard deviation at that level and place.  The store computes both from the training months
alone, writes the quotient once as int16 (one thousandth of a standard deviation a step) in the
order (time, latitude, longitude, channel), and keeps what turns it back into °C beside it.

    channel   the S surface fields first, then the D levels
    split     train / validation / test: blocks of time with gaps between them, or, where there are
              too few dates, bands of longitude with gaps

A store is a folder: `store.json`, `anomaly.npy`, `ocean.npy`, `climatology.npy` (harmonics),
`deviation.npy`.  It appears whole or not at all.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import xarray as xr

from .anomalies import climatology, harmonics, level_floor, smooth, training_statistics

__all__ = ["STEP", "Store", "build", "existing"]

STEP = 1e-3  # standard deviations per integer: ±32 of them fit
FORMAT = 1
SPLITS = ("train", "validation", "test")


def _blocks(train: int, validation: int, gap: int, end: int) -> dict[str, list[int]]:
    first = train + gap
    second = first + validation + gap
    return {"train": [0, train], "validation": [first, first + validation], "test": [second, end]}


def _split_time(number: int, validation: int, test: int, gap: int) -> dict[str, list[int]]:
    train = number - validation - test - 2 * gap
    if train < 12:
        raise ValueError(
            f"{number} dates leave {train} to train on after {validation} for validation, {test} "
            f"for test and two gaps of {gap}; ask for fewer, add dates, or split='space'"
        )
    return _blocks(train, validation, gap, number)


def _split_space(columns: int, gap: int) -> dict[str, list[int]]:
    if columns < 4 * gap + 12:
        raise ValueError(
            f"{columns} columns of longitude are too few for three bands with gaps of {gap}; "
            f"choose a gap of at most {max((columns - 12) // 4, 0)} or a wider region"
        )
    train = round(0.62 * (columns - 2 * gap))
    validation = round(0.16 * (columns - 2 * gap))
    return _blocks(train, validation, gap, columns)


def build(
    fields: xr.Dataset,
    folder,
    *,
    split: str = "auto",
    validation: int = 18,
    test: int = 24,
    gap: int = 3,
    gap_cells: int = 6,
    smoothing: float = 4.0,
    floor: float = 0.02,
    surface: xr.DataArray | None = None,
    request: dict | None = None,
    progress: Callable[[Iterable, int], Iterable] = lambda records, total: records,
) -> "Store":
    """Write a store of canonical fields and open it.

    Args:
        fields: canonical dataset, lazily loaded; the levels to model.
        split: `time`, `space`, or `auto`: time from 48 dates on.
        validation, test, gap: dates.    gap_cells: columns between the bands of a split in space.
        smoothing: cells over which the standard deviation is smoothed.    floor: °C, its least.
        surface: (time, latitude, longitude) °C, the view from above, where there is one.
        request: what the store was asked for, kept in it for `existing`.
        progress: wraps the loop over dates, as `runs.progress` does.
    Raises:
        ValueError: too few dates or columns for the split; no ocean in the training block.
    """
    folder = Path(folder)
    times = fields.time.values
    height, width = fields.sizes["latitude"], fields.sizes["longitude"]
    if split == "auto":
        split = "time" if len(times) >= 48 else "space"
    if split not in ("time", "space"):
        raise ValueError(f"split {split!r} is not known; choose 'time', 'space' or 'auto'")
    if split == "time":
        parts = _split_time(len(times), validation, test, gap)
        train_times, train_columns = slice(*parts["train"]), slice(0, width)
    else:
        parts = _split_space(width, gap_cells)
        train_times, train_columns = slice(0, len(times)), slice(*parts["train"])

    ocean = fields.ocean.transpose("latitude", "longitude", "depth").values
    surfaces = int(surface is not None)
    if surfaces:
        ocean = np.concatenate([ocean[..., :1], ocean], -1)
    if not ocean[:, train_columns].any():
        raise ValueError("the training block holds no ocean at all; choose another region")

    def months(chunk: slice) -> np.ndarray:
        """(time, latitude, longitude, channel) of a few dates, °C, 0 outside the ocean."""
        part = fields.temperature.isel(time=chunk)
        part = part.transpose("time", "latitude", "longitude", "depth")
        values = part.values.astype(np.float64)
        if surfaces:
            above = surface.isel(time=chunk).transpose("time", "latitude", "longitude").values
            values = np.concatenate([above.astype(np.float64)[..., None], values], -1)
        return np.where(ocean, values, 0.0)

    step = max(1, int(2.5e7 // (height * width * ocean.shape[-1])))
    chunks = [slice(start, min(start + step, len(times))) for start in range(0, len(times), step)]
    harmonic, deviation, terms = training_statistics(
        months, times, ocean, chunks, train_times, train_columns, split
    )
    least = level_floor(deviation, ocean, floor)
    deviation = np.maximum(smooth(deviation, ocean, smoothing), least)

    beside = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        shape = (len(times), height, width, ocean.shape[-1])
        anomaly = np.lib.format.open_memmap(beside / "anomaly.npy", "w+", np.int16, shape)
        clipped = 0
        for chunk in progress(chunks, len(chunks)):
            basis = harmonics(times[chunk], terms)
            quotient = (months(chunk) - np.tensordot(basis, harmonic, 1)) / deviation / STEP
            quotient = np.where(ocean, np.rint(quotient), 0)
            clipped += int((np.abs(quotient) > 32767).sum())
            anomaly[chunk] = np.clip(quotient, -32767, 32767)
        anomaly.flush()
        del anomaly
        np.save(beside / "ocean.npy", ocean)
        np.save(beside / "climatology.npy", harmonic.astype(np.float32))
        np.save(beside / "deviation.npy", deviation.astype(np.float32))
        description = {
            "format": FORMAT,
            "request": request or {},
            "times": [str(t) for t in times.astype("datetime64[s]")],
            "depth": [float(d) for d in fields.depth.values],
            "latitude": [float(v) for v in fields.latitude.values],
            "longitude": [float(v) for v in fields.longitude.values],
            "surfaces": surfaces,
            "split": {"kind": split, **parts},
            "clipped": clipped,
            "standard_name": fields.temperature.attrs.get("standard_name", "sea_water_temperature"),
            "credit": str(fields.attrs.get("credit", "")),
            "licence": str(fields.attrs.get("licence", "")),
        }
        (beside / "store.json").write_text(json.dumps(description, indent=1))
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)  # already moved where all went well
    return Store(folder)


def existing(folder, request: dict) -> "Store | None":
    """The store at `folder` if one was built there for the same request, None if there is none.

    Raises:
        ValueError: the store there was built for something else; it may serve other runs.
    """
    if not (Path(folder) / "store.json").is_file():
        return None
    store = Store(folder)
    had, asked = store.description["request"], json.loads(json.dumps(request))
    changed = sorted(key for key in had.keys() | asked.keys() if had.get(key) != asked.get(key))
    if changed:
        differences = "; ".join(f"{key} {had.get(key)} -> {asked.get(key)}" for key in changed)
        raise ValueError(
            f"the store {Path(folder).name} exists for something else ({differences}); choose "
            f"another name for `store`, or delete {folder}"
        )
    return store


class Store:
    """An opened store.

    Attributes:
        anomaly: int16 memory map (time, latitude, longitude, channel), in units of `STEP`.
        ocean: bool (latitude, longitude, channel).
        climatology: (K, latitude, longitude, channel) °C.    deviation: the same without K, °C.
        times, depth, latitude, longitude: coordinates.    surfaces: S.    split: the blocks.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        path = self.folder / "store.json"
        if not path.is_file():
            raise FileNotFoundError(f"no store at {self.folder}; run notebook 01_download first")
        self.description = json.loads(path.read_text())
        if self.description.get("format") != FORMAT:
            raise ValueError(
                f"store format {self.description.get('format')} at {self.folder}, this version "
                f"reads {FORMAT}; delete the folder and run notebook 01_download again"
            )
        self.times = np.array(self.description["times"], dtype="datetime64[ns]")
        self.depth = np.array(self.description["depth"])
        self.latitude = np.array(self.description["latitude"])
        self.longitude = np.array(self.description["longitude"])
        self.surfaces = self.description["surfaces"]
        self.split = self.description["split"]
        # Copy on write: tensors may be laid over the maps, and no write reaches the files.
        self.anomaly = np.load(self.folder / "anomaly.npy", mmap_mode="c")
        self.ocean = np.load(self.folder / "ocean.npy", mmap_mode="c")
        self.climatology = np.load(self.folder / "climatology.npy", mmap_mode="r")
        self.deviation = np.load(self.folder / "deviation.npy", mmap_mode="r")

    def block(self, part: str) -> tuple[slice, slice]:
        """Times and columns of `train`, `validation` or `test`."""
        if part not in SPLITS:
            raise ValueError(f"split {part!r} is not known; choose one of {SPLITS}")
        chosen = slice(*self.split[part])
        if self.split["kind"] == "time":
            return chosen, slice(0, len(self.longitude))
        return slice(0, len(self.times)), chosen

    def shape(self, part: str) -> tuple[int, int]:
        """Rows and columns of one part."""
        columns = self.block(part)[1]
        return len(self.latitude), columns.stop - columns.start

    def standardised(self, part: str) -> np.ndarray:
        """(time, channel, latitude, longitude) float32 of one part, 0 outside the ocean."""
        times, columns = self.block(part)
        return np.moveaxis(self.anomaly[times, :, columns].astype(np.float32) * STEP, -1, 1)

    def statistics(self) -> xr.Dataset:
        """What standardises and restores, by channel: `harmonic`, `deviation` and `wet`."""
        grid = ("channel", "latitude", "longitude")
        move = (-1, 0)
        return xr.Dataset(
            {
                "harmonic": (("term", *grid), np.moveaxis(self.climatology, -1, 1)),
                "deviation": (grid, np.moveaxis(self.deviation, *move)),
                "wet": (grid, np.moveaxis(self.ocean, *move)),
            },
            {"depth": self.depth, "latitude": self.latitude, "longitude": self.longitude},
            {
                "surfaces": self.surfaces,
                **{key: self.description[key] for key in ("standard_name", "credit", "licence")},
            },
        )

    def fields(self, part: str) -> xr.Dataset:
        """Canonical dataset (°C) of one part of the split, with `surface` where there is one."""
        times, columns = self.block(part)
        statistics = self.statistics().isel(longitude=columns)
        value = self.standardised(part) * statistics.deviation.values
        value += climatology(statistics, self.times[times])
        value = np.where(statistics.wet.values, value, np.nan).astype(np.float32)
        grid = ("depth", "latitude", "longitude")
        units = {"units": "degrees_C"}
        name = {"standard_name": self.description["standard_name"]}
        dataset = xr.Dataset(
            {
                "temperature": (("time", *grid), value[:, self.surfaces :], units | name),
                "ocean": (grid, statistics.wet.values[self.surfaces :]),
            },
            {
                "time": self.times[times],
                "depth": ("depth", self.depth, {"units": "m", "positive": "down"}),
                "latitude": ("latitude", self.latitude, {"units": "degrees_north"}),
                "longitude": ("longitude", self.longitude[columns], {"units": "degrees_east"}),
            },
            {key: self.description[key] for key in ("credit", "licence")},
        )
        if self.surfaces:
            dataset["surface"] = (("time", "latitude", "longitude"), value[:, 0], units)
        return dataset
