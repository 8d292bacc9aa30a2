"""Fields → an int16 memory map of standardised anomalies, read at memory speed.

What a network trains on is the departure from the climatology of the training months, divided by
its standard deviation at that level and place.  `build` computes both from the training months
alone, writes the quotient once as int16 (one thousandth of a standard deviation a step) in the
order (time, latitude, longitude, channel), and keeps what turns it back into °C beside it.

    channel   the S surface fields first, then the D levels of temperature, then the D levels of
              each further variable
    split     train / validation / test: blocks of time with gaps between them, or, where there are
              too few dates, bands of longitude with gaps

A store is a folder: `store.json`, `anomaly.npy`, `ocean.npy`, `climatology.npy` (harmonics),
`deviation.npy`.  It appears whole or not at all.  All of it is memory-mapped, so that an opened
store costs no memory but for what is read.
"""

import json
from pathlib import Path

import numpy as np
import xarray as xr

from ocean_lib.core.months import SPLITS
from ocean_lib.store.build import FORMAT, STEP, write_store
from ocean_lib.store.climatology import climatology_at

__all__ = ["Store", "build_store", "existing_store"]


def build_store(fields: xr.Dataset, folder, **choices) -> "Store":
    """Write a store of canonical fields and open it; `building.write` says what may be chosen."""
    return Store(write_store(fields, folder, **choices))


def existing_store(folder, request: dict) -> "Store | None":
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
        times, depth, latitude, longitude: coordinates.    split: the blocks.
        surfaces: S.    variables: names, `temperature` first.
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
        self.variables = list(self.description["variables"])
        self.split = self.description["split"]
        # Copy on write: tensors may be laid over the maps, and no write reaches the files.
        self.anomaly = np.load(self.folder / "anomaly.npy", mmap_mode="c")
        self.ocean = np.load(self.folder / "ocean.npy", mmap_mode="c")
        *cells, channels = self.ocean.shape
        harmonic, deviation = (
            np.load(self.folder / f"{name}.npy", mmap_mode="r")
            for name in ("climatology", "deviation")
        )
        # One profile may serve all places.
        harmonic = np.broadcast_to(harmonic, (len(harmonic), channels, *cells))
        self.climatology = np.moveaxis(harmonic, 1, -1)
        self.deviation = np.moveaxis(np.broadcast_to(deviation, (channels, *cells)), 0, -1)

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

    def evenly(self, part: str, number: int) -> np.ndarray:
        """Indices within one part of `number` of its dates, evenly spread, or of all it has."""
        times, _ = self.block(part)
        last = len(self.times[times]) - 1
        return np.unique(np.linspace(0, last, number).round().astype(int))

    def standardised(self, part: str, dates=None) -> np.ndarray:
        """(time, channel, latitude, longitude) float32 of one part, 0 outside the ocean.

        Args:
            dates: indices within the part; None for all, which may be more than memory holds.
        """
        times, columns = self.block(part)
        anomaly = self.anomaly[times, :, columns]
        anomaly = anomaly if dates is None else anomaly[dates]
        return np.moveaxis(anomaly.astype(np.float32) * STEP, -1, 1)

    def statistics(self) -> xr.Dataset:
        """What standardises and restores, by channel: `harmonic`, `deviation` and `wet`.

        They are views of the store's files. The attributes say what the channels are (`surfaces`,
        `variables`, their `units`, the `standard_name` of temperature), and from which dates they
        were learnt (`first`, `last`, calendar `months`).
        """
        grid = ("channel", "latitude", "longitude")
        learnt = self.times[self.block("train")[0]].astype("datetime64[D]")
        months = np.unique(learnt.astype("datetime64[M]").astype(int) % 12 + 1)
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
                "first": str(learnt.min()),
                "last": str(learnt.max()),
                **{key: self.description[key] for key in ("credit", "licence")},
            },
        )

    def _attributes(self, name: str) -> dict[str, str]:
        known = {"standard_name": "sea_water_temperature", "units": "degrees_C"}
        known = known if name == "temperature" else {"units": ""}
        return known | self.description["variables"][name]

    def fields(self, part: str, dates=None) -> xr.Dataset:
        """Canonical dataset of one part of the split, with `surface` where there is one.

        Args:
            dates: indices within the part; None for all, which may be more than memory holds.
        """
        times, columns = self.block(part)
        times = self.times[times] if dates is None else self.times[times][dates]
        statistics = self.statistics().isel(longitude=columns)
        value = self.standardised(part, dates)
        value *= statistics.deviation.values
        value += climatology_at(statistics, times)
        value[:, ~statistics.wet.values] = np.nan
        grid = ("depth", "latitude", "longitude")
        levels = len(self.depth)
        ocean = statistics.wet.values[self.surfaces : self.surfaces + levels]
        dataset = xr.Dataset(
            {"ocean": (grid, ocean)},
            {
                "time": times,
                "depth": ("depth", self.depth, {"units": "m", "positive": "down"}),
                "latitude": ("latitude", self.latitude, {"units": "degrees_north"}),
                "longitude": ("longitude", self.longitude[columns], {"units": "degrees_east"}),
            },
            {key: self.description[key] for key in ("credit", "licence")},
        )
        for number, name in enumerate(self.variables):
            first = self.surfaces + number * levels
            channels = value[:, first : first + levels]
            dataset[name] = (("time", *grid), channels, self._attributes(name))
        if self.surfaces:
            above = (("time", "latitude", "longitude"), value[:, 0], {"units": "degrees_C"})
            dataset["surface"] = above
        return dataset
