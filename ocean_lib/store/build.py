"""Build of a store: two resumable passes over the fields, block by block.

    1  harmonics and standard deviation of every cell, from the training dates alone
       (between the passes the deviation is smoothed and bounded below, level by level)
    2  standardised anomalies, int16, in the axis order that patches are read in

A block holds all dates and reads one dask chunk of them after another, so memory depends on the
block, not on the length of the record or the size of the domain. This module plans the blocks,
`passes` holds the tasks, and `core.resumable` continues a build that was killed.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr

from ocean_lib.core.chunks import DECODING_BYTES, chunk_slices, select_box, spatial_boxes
from ocean_lib.core.months import choose_split, dates_per_month
from ocean_lib.core.resumable import Construction, under_construction
from ocean_lib.fields.conventions import DIMS, SURFACES
from ocean_lib.store import passes
from ocean_lib.store.climatology import floors, number_of_terms
from ocean_lib.store.passes import STEP

__all__ = ["FORMAT", "STEP", "write_store"]


FORMAT = 3


def write_store(
    fields: xr.Dataset,
    folder: str | Path,
    *,
    split: str = "auto",
    validation: float = 18,
    test: float = 24,
    gap: float = 3,
    gap_cells: int = 6,
    smoothing: float = 4.0,
    floor: float = 0.02,
    surfaces: xr.Dataset | None = None,
    request: dict | None = None,
    progress: Callable[[Iterable, int], Iterable] = lambda records, total: records,
) -> Path:
    """Write a store of canonical fields; the folder appears only when it is complete.

    A build that was interrupted or killed continues when it is called again with the same input.

    Args:
        fields: canonical dataset, lazy, with the levels to model. Besides `temperature`, every
            variable with the same dimensions is stored.
        folder: store to write; an existing one is replaced.
        split: `time`, `space`, or `auto`: time if the record lasts 48 months or more.
        validation: length of a split in time, months.
        test: length of a split in time, months.
        gap: between the blocks of a split in time, months.
        gap_cells: columns between the bands of a split in space.
        smoothing: length over which the standard deviation is smoothed, cells.
        floor: lower bound of the standard deviation of temperature, °C; see `climatology.floors`.
        surfaces: fields seen from above, (time, latitude, longitude) each, by the names and in the
            units of `conventions.SURFACES`; the attribute `error` of each is the standard
            deviation of its errors, 0 where absent.
        request: parameters of the caller, recorded for `existing_store`.
        progress: wraps the loop over (records, total number of blocks) to show it.
    Returns:
        The folder, absolute.
    Raises:
        ValueError: too few dates or columns for the split; no ocean in the training block; a
            missing value in the ocean; a surface field of another name.
        OSError: the disk has too little space (checked before work begins) or is not writable, or
            another process builds the same store.
    """
    import dask

    folder = Path(folder).absolute()
    times, width = fields.time.values, fields.sizes["longitude"]
    parts = choose_split(
        times, width, split, validation=validation, test=test, gap=gap, gap_cells=gap_cells
    )
    in_time, train = parts["kind"] == "time", slice(*parts["train"])
    dates, columns = (train, slice(0, width)) if in_time else (slice(0, len(times)), train)
    if not fields.ocean.isel(longitude=columns).any():
        raise ValueError("the training block has 0 ocean cells, needs 1; choose another region")
    seen = {name: surfaces[name] for name in SURFACES if surfaces is not None and name in surfaces}
    if surfaces is not None and (unknown := sorted(map(str, set(surfaces.data_vars) - set(seen)))):
        raise ValueError(f"surface fields {unknown} are not known; choose among {list(SURFACES)}")
    sources = _sources(fields, seen)
    names = [array.name for array in sources[len(seen) :]]
    description = {
        "format": FORMAT,
        "request": request or {},
        "times": [str(time) for time in times.astype("datetime64[s]")],
        **{dim: fields[dim].values.astype(float).tolist() for dim in DIMS[1:]},
        "surfaces": {name: float(array.attrs.get("error", 0.0)) for name, array in seen.items()},
        "variables": {name: _attributes(fields[name]) for name in names},
        "split": parts,
        "credit": str(fields.attrs.get("credit", "")),
        "licence": str(fields.attrs.get("licence", "")),
    }
    # The token of a lazy array depends on its files, their modification times and the processing.
    tokens = [dask.base.tokenize(array) for array in sources]
    plan = description | {"input": tokens, "smoothing": smoothing, "floor": floor}
    with under_construction(folder) as partial_folder:
        state = Construction(partial_folder, plan)
        build = _Build(state, sources, len(seen), dates, columns, in_time)
        build.lay_out(fields.ocean.transpose(*DIMS[1:]))
        for _ in progress(build.run(smoothing, floor), build.total):
            pass
        clipped = sum(state.results("areas"))
        state.publish(folder, {"store.json": description | {"clipped": clipped}})
    return folder


def _sources(fields: xr.Dataset, surfaces: dict[str, xr.DataArray]) -> list[xr.DataArray]:
    """Arrays (time, depth, latitude, longitude) that become channels, in this order."""
    gridded = [name for name, array in fields.data_vars.items() if set(array.dims) == set(DIMS)]
    gridded.sort(key=lambda name: name != "temperature")
    shallowest = fields.depth.values[:1]
    sources = [
        array.reset_coords(drop=True).expand_dims(depth=shallowest).rename(name)
        for name, array in surfaces.items()
    ]
    sources += [fields[name] for name in gridded]
    return [array.reset_coords(drop=True).transpose(*DIMS) for array in sources]


def _attributes(array: xr.DataArray) -> dict[str, str]:
    """Attributes of a variable that the store keeps."""
    kept = {key: array.attrs.get(key) for key in ("standard_name", "units", "long_name")}
    return {key: str(value) for key, value in kept.items() if value}


class _Build:
    """The blocks of one build, in order.

    Args:
        state: folder under construction.
        sources: arrays that become channels, the surface fields first.
        surfaces: number of surface fields.
        dates: dates of the training block.
        columns: columns of the training block.
        in_time: whether the split is in time.
    """

    def __init__(
        self,
        state: Construction,
        sources: list,
        surfaces: int,
        dates: slice,
        columns: slice,
        in_time,
    ):
        self.state, self.sources, self.dates, self.in_time = state, sources, dates, in_time
        self.columns, self.surfaces = columns, surfaces
        times = sources[0].time.values
        self.terms = number_of_terms(times[dates], dates_per_month(times)) if in_time else 1
        # With a split in space all cells share one profile; the fit of each cell is intermediate.
        self.files = {
            name: state.store / f"{name}.npy"
            for name in ("ocean", "anomaly", "climatology", "deviation")
        }
        self.files["fitted"] = (state.store if in_time else state.work) / "climatology.npy"
        self.files["spread"] = state.work / "deviation.npy"
        self.first = np.cumsum([0, *(array.sizes["depth"] for array in sources)]).tolist()
        longest, deepest = (
            max(part.stop - part.start for array in sources for part in chunk_slices(array, dim))
            for dim in ("time", "depth")
        )
        # Bytes per cell: sums in float64, their copy, and one chunk.
        size = 12 * (self.terms + 1) + DECODING_BYTES * longest
        boxes = [spatial_boxes(array, size) for array in sources]
        self.cells = [
            (source, *box)
            for source, (parts, _) in enumerate(boxes)
            for box in parts
            if box[2].start < columns.stop
        ]
        self.levels = list(range(self.first[-1])) if in_time else []
        # Bytes per column of cells: anomalies and one chunk.
        size = longest * (4 * self.first[-1] + DECODING_BYTES * deepest)
        areas, area_bytes = spatial_boxes(sources[-1].isel(depth=[0]), size)
        self.areas = [box[1:] for box in areas]
        self.bytes = (max(largest for _, largest in boxes), 48 * passes.STRIP, area_bytes)
        self.total = len(self.cells) + len(self.levels) + len(self.areas)

    def lay_out(self, ocean: xr.DataArray) -> None:
        """Create the files and write the ocean, unless an earlier attempt has done so."""
        grid = (self.first[-1], *ocean.shape[1:])
        channels_last = (*ocean.shape[1:], self.first[-1])
        files = {
            "ocean": (bool, channels_last),
            "anomaly": (np.int16, (self.sources[0].sizes["time"], *channels_last)),
            "fitted": (np.float32, (self.terms, *grid)),
            "spread": (np.float32, grid),
        }
        if self.in_time:
            files["deviation"] = (np.float32, grid)
        self.state.lay_out({self.files[name]: content for name, content in files.items()})
        if not self.state.resumed:
            variables = len(self.sources) - self.surfaces
            passes.write_ocean(self.files, ocean, self.surfaces, variables)
            self.state.save()

    def run(self, smoothing: float, floor: float) -> Iterator[dict[str, int]]:
        """Work through the unfinished blocks and yield a record for each."""
        files, terms = self.files, self.terms

        def fit_cells(block):
            source, *box = block
            part = select_box(self.sources[source].isel(time=self.dates), box)
            return partial(passes.fit_box, files, part, self.first[source], box, terms)

        def smooth_channel(channel):
            return partial(passes.smooth_level, files, channel, smoothing, least[channel])

        def standardise_area(area):
            parts = [select_box(array, (slice(None), *area)) for array in self.sources]
            numbered = list(zip(self.first, parts))
            return partial(passes.standardise_box, files, numbered, area, terms)

        yield from self.state.work_on("cells", self.cells, fit_cells, self.bytes[0])
        least = self._summarise(floor)
        yield from self.state.work_on("levels", self.levels, smooth_channel, self.bytes[1])
        yield from self.state.work_on("areas", self.areas, standardise_area, self.bytes[2])

    def _summarise(self, floor: float) -> np.ndarray:
        """Floor of the standard deviation (C,); for a split in space, also write the profile."""
        fitted, spread = (np.load(self.files[name], mmap_mode="r") for name in ("fitted", "spread"))
        if self.in_time:
            deviation, cells = passes.wet_mean(self.files, lambda rows: spread[:, rows])
        else:
            columns, dates = self.columns, self.sources[0].sizes["time"]

            def square(rows):
                between = fitted[0, :, rows, columns] - mean[:, None, None]
                within = spread[:, rows, columns].astype(float)
                return between**2 + (dates - 1) / dates * within**2

            mean, cells = passes.wet_mean(
                self.files, lambda rows: fitted[0, :, rows, columns], columns
            )
            deviation = np.sqrt(passes.wet_mean(self.files, square, columns)[0])
        parts = [slice(*edge) for edge in zip(self.first[:-1], self.first[1:])]
        variables = parts[self.surfaces :] + parts[: self.surfaces]  # temperature is the first
        least = floors(deviation, cells, variables, floor)
        if not self.in_time:
            shape = (self.first[-1], 1, 1)
            deviation = np.maximum(deviation, least).reshape(shape)
            np.save(self.files["climatology"], mean.reshape(1, *shape).astype(np.float32))
            np.save(self.files["deviation"], deviation.astype(np.float32))
        return least
