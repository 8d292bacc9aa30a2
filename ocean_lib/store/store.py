"""Store: fields as an int16 memory map of standardised anomalies, read at memory speed.

A network is trained on standardised anomalies: the difference from the climatology of the training
dates, divided by its standard deviation at that level and place. `build_store` computes both from
the training dates alone, writes the anomalies as int16 (0.001 standard deviations per step) in the
order (time, latitude, longitude, channel), and keeps the statistics that convert them back to °C.

    channel   the S surface fields, then the D levels of temperature, then the D levels of each
              further variable
    split     train / validation / test: blocks of time with gaps between them, or, for a record
              with too few dates, bands of longitude with gaps

A store is a folder: `store.json`, `anomaly.npy`, `ocean.npy`, `climatology.npy` (harmonics),
`deviation.npy`. It appears only when it is complete. All files are memory-mapped, so an open store
takes no more memory than the values read from it.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from ocean_lib.core.months import SPLITS, dates_per_month
from ocean_lib.fields.conventions import SURFACES
from ocean_lib.store.build import FORMAT, STEP, write_store
from ocean_lib.store.climatology import climatology_at
from ocean_lib.store.passes import GAP

__all__ = ["Store", "build_store", "existing_store"]


Dates = Sequence[int] | np.ndarray | slice


def build_store(fields: xr.Dataset, folder: str | Path, **choices) -> "Store":
    """Write a store and open it.

    Args:
        fields: canonical dataset.
        folder: store to write.
        choices: keyword arguments of `store.build.write_store`.
    """
    return Store(write_store(fields, folder, **choices))


def existing_store(folder: str | Path, request: dict) -> "Store | None":
    """Open the store in a folder, or return None if there is none.

    Args:
        folder: store to open.
        request: as given to `build_store`.
    Raises:
        ValueError: the store was built for another request.
    """
    if not (Path(folder) / "store.json").is_file():
        return None
    store = Store(folder)
    old, new = store.description["request"], json.loads(json.dumps(request))
    changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    if changed:
        differences = "; ".join(f"{key} {old.get(key)} -> {new.get(key)}" for key in changed)
        raise ValueError(
            f"the store {Path(folder).name} was built for another request ({differences}); choose "
            f"another name for `store`, or delete {folder}"
        )
    return store


class Store:
    """A store on disk, opened for reading.

    Args:
        folder: written by `build_store`.

    Attributes:
        anomaly: (time, latitude, longitude, channel) int16 memory map, in units of `STEP`; `GAP`
            where the ocean has no value.
        ocean: (latitude, longitude, channel) bool.
        climatology: (K, latitude, longitude, channel) °C, coefficients of the harmonics.
        deviation: (latitude, longitude, channel) °C.
        times: datetime64 (T,).
        depth: (D,) m.
        latitude: (H,) degrees.
        longitude: (W,) degrees.
        split: kind and blocks, of `core.months.choose_split`.
        surfaces: the S surface fields, name to standard deviation of the errors in its unit.
        variables: names, `temperature` first.

    Raises:
        FileNotFoundError: the folder holds no store.
        ValueError: the store has the format of another version.
    """

    def __init__(self, folder: str | Path):
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
        self.surfaces: dict[str, float] = self.description["surfaces"]
        self.variables = list(self.description["variables"])
        self.split = self.description["split"]
        # Copy on write: torch needs writable arrays, but no write reaches the files.
        self.anomaly = np.load(self.folder / "anomaly.npy", mmap_mode="c")
        self.ocean = np.load(self.folder / "ocean.npy", mmap_mode="c")
        *cells, channels = self.ocean.shape
        harmonic, deviation = (
            np.load(self.folder / f"{name}.npy", mmap_mode="r")
            for name in ("climatology", "deviation")
        )
        # With a split in space all cells share one profile.
        harmonic = np.broadcast_to(harmonic, (len(harmonic), channels, *cells))
        self.climatology = np.moveaxis(harmonic, 1, -1)
        self.deviation = np.moveaxis(np.broadcast_to(deviation, (channels, *cells)), 0, -1)

    def block(self, part: str) -> tuple[slice, slice]:
        """Dates and columns, as slices, of `train`, `validation` or `test`."""
        if part not in SPLITS:
            raise ValueError(f"split {part!r} is not known; choose one of {SPLITS}")
        block = slice(*self.split[part])
        if self.split["kind"] == "time":
            return block, slice(0, len(self.longitude))
        return slice(0, len(self.times)), block

    def shape(self, part: str) -> tuple[int, int]:
        """Number of rows and columns of one part."""
        columns = self.block(part)[1]
        return len(self.latitude), columns.stop - columns.start

    def evenly(self, part: str, number: int) -> np.ndarray:
        """Indices of evenly spaced dates within one part.

        Args:
            part: `train`, `validation` or `test`.
            number: number of dates; all dates if the part has fewer.
        """
        times, _ = self.block(part)
        last = len(self.times[times]) - 1
        return np.unique(np.linspace(0, last, number).round().astype(int))

    def standardised(self, part: str, dates: Dates | None = None) -> np.ndarray:
        """Anomalies (time, channel, latitude, longitude) float32 of one part, 0 outside the ocean.

        Gaps in the ocean hold 0, the climatology; `present` tells them apart.

        Args:
            part: `train`, `validation` or `test`.
            dates: indices within the part; None reads all, which may exceed memory.
        """
        anomaly = self._read(part, dates)
        values = anomaly.astype(np.float32) * STEP
        values[anomaly == GAP] = 0
        return np.moveaxis(values, -1, 1)

    def present(self, part: str, dates: Dates | None = None) -> np.ndarray:
        """Where the ocean has a value on a date, and all land; bool, as `standardised`."""
        return np.moveaxis(self._read(part, dates) != GAP, -1, 1)

    def _read(self, part: str, dates: Dates | None) -> np.ndarray:
        times, columns = self.block(part)
        anomaly = self.anomaly[times, :, columns]
        return anomaly if dates is None else anomaly[dates]

    def statistics(self) -> xr.Dataset:
        """Statistics of each channel that convert between anomalies and °C.

        Returns:
            `harmonic` (term, channel, latitude, longitude), `deviation` and `wet` (channel,
            latitude, longitude), as views of the files. The attributes describe the channels
            (`surfaces` with their errors, `variables`, their `units`, the `standard_name` of
            temperature) and the training dates (`first`, `last`, calendar `months`).
        """
        grid = ("channel", "latitude", "longitude")
        dates = self.times[self.block("train")[0]].astype("datetime64[D]")
        months = np.unique(dates.astype("datetime64[M]").astype(int) % 12 + 1)
        return xr.Dataset(
            {
                "harmonic": (("term", *grid), np.moveaxis(self.climatology, -1, 1)),
                "deviation": (grid, np.moveaxis(self.deviation, -1, 0)),
                "wet": (grid, np.moveaxis(self.ocean, -1, 0)),
            },
            {"depth": self.depth, "latitude": self.latitude, "longitude": self.longitude},
            {
                "surfaces": self.surfaces,
                "variables": self.variables,
                "units": {name: self._attributes(name)["units"] for name in self.variables},
                "standard_name": self._attributes("temperature")["standard_name"],
                "months": months.tolist(),
                "dates_per_month": round(float(dates_per_month(self.times)), 2),
                "first": str(dates.min()),
                "last": str(dates.max()),
                **{key: self.description[key] for key in ("credit", "licence")},
            },
        )

    def _attributes(self, name: str) -> dict[str, str]:
        defaults = {"units": ""}
        if name == "temperature":
            defaults = {"standard_name": "sea_water_temperature", "units": "degrees_C"}
        return defaults | self.description["variables"][name]

    def fields(self, part: str, dates: Dates | None = None) -> xr.Dataset:
        """Canonical dataset of one part of the split, and its surface fields by their names.

        Args:
            part: `train`, `validation` or `test`.
            dates: indices within the part; None reads all, which may exceed memory.
        """
        times, columns = self.block(part)
        when = self.times[times] if dates is None else self.times[times][dates]
        statistics = self.statistics().isel(longitude=columns)
        value = self.standardised(part, dates)
        value *= statistics.deviation.values
        value += climatology_at(statistics, when)
        value[:, ~statistics.wet.values] = np.nan
        value[~self.present(part, dates)] = np.nan
        grid = ("depth", "latitude", "longitude")
        levels = len(self.depth)
        surfaces = len(self.surfaces)
        ocean = statistics.wet.values[surfaces : surfaces + levels]
        dataset = xr.Dataset(
            {"ocean": (grid, ocean)},
            {
                "time": when,
                "depth": ("depth", self.depth, {"units": "m", "positive": "down"}),
                "latitude": ("latitude", self.latitude, {"units": "degrees_north"}),
                "longitude": ("longitude", self.longitude[columns], {"units": "degrees_east"}),
            },
            {key: self.description[key] for key in ("credit", "licence")},
        )
        for number, name in enumerate(self.variables):
            first = surfaces + number * levels
            channels = value[:, first : first + levels]
            dataset[name] = (("time", *grid), channels, self._attributes(name))
        for channel, name in enumerate(self.surfaces):
            attributes = {"units": SURFACES[name], "error": self.surfaces[name]}
            dataset[name] = (("time", *grid[1:]), value[:, channel], attributes)
        return dataset
