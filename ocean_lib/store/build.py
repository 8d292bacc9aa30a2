"""The build of a store: two passes over the fields, block by block, that a kill does not undo.

    1  harmonics and standard deviation of every cell, from the training dates alone
       (between the passes the deviation is smoothed and kept above its floor, level by level)
    2  standardised anomalies, int16, in the order in which patches are cut

A block holds all dates, read one dask chunk after the other, so memory follows from the block and
not from the record or the domain. `blocks` says where blocks are computed, `passes` what is done to
them, and `resumable` how a build that was killed goes on.

What the build of a store does to one block: the tasks of its passes, and means over all cells.

    fit           harmonics and standard deviation of a box of cells, from the training dates
    smooth_level  the standard deviation of a level, smoothed over the ocean, kept above a floor
    standardise   the anomalies of an area, all channels, in the order in which patches are cut

Tasks run on any node that sees the files: they take what to read as a lazy array, read and write
maps by their paths, and hand back a number.

    ocean (H, W, C) bool · anomaly (T, H, W, C) int16 · fitted, climatology (K, C, H, W) °C ·
    spread, deviation (C, H, W) °C, before and after smoothing

Where one profile serves all places, climatology and deviation have one row and one column.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr

from ocean_lib.core.chunks import (
    DECODING_BYTES,
    chunk_slices,
    select_box,
    spatial_boxes,
    write_slab,
)
from ocean_lib.core.months import choose_split, records_a_month
from ocean_lib.core.resumable import Construction, under_construction
from ocean_lib.fields.conventions import DIMS
from ocean_lib.store.climatology import fit_climatology, floors, harmonics, number_of_terms, smooth

__all__ = [
    "FORMAT",
    "STEP",
    "STRIP",
    "fit_box",
    "smooth_level",
    "standardise_box",
    "wet_mean",
    "write_store",
    "write_ocean",
]


FORMAT = 2


def write_store(
    fields: xr.Dataset,
    folder,
    *,
    split: str = "auto",
    validation: float = 18,
    test: float = 24,
    gap: float = 3,
    gap_cells: int = 6,
    smoothing: float = 4.0,
    floor: float = 0.02,
    surface: xr.DataArray | None = None,
    request: dict | None = None,
    progress: Callable[[Iterable, int], Iterable] = lambda records, total: records,
) -> Path:
    """Write a store of canonical fields; the folder appears whole or not at all.

    A build that was interrupted or killed goes on where it was when it is called again alike.

    Args:
        fields: canonical dataset, lazily loaded; the levels to model. Beside `temperature` every
            variable with its dimensions is taken.
        split: `time`, `space`, or `auto`: time where the record lasts 48 months or more.
        validation, test, gap: months.    gap_cells: columns between the bands of a split in space.
        smoothing: cells over which the standard deviation is smoothed.
        floor: °C, the least standard deviation; of other variables in proportion.
        surface: (time, latitude, longitude) °C, the view from above, where there is one.
        request: what the store was asked for, kept in it for `store.existing`.
        progress: wraps the loop over blocks, as `runs.progress` does.
    Raises:
        ValueError: too few dates or columns for the split; no ocean in the training block; a value
            that is missing in the ocean.
        OSError: too little space on the disk (known before the work begins), no right to write
            there, or another process that builds the same store.
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
        raise ValueError("the training block holds no ocean at all; choose another region")
    sources = _sources(fields, surface)
    names = [array.name for array in sources if array.name != "surface"]
    description = {
        "format": FORMAT,
        "request": request or {},
        "times": [str(t) for t in times.astype("datetime64[s]")],
        "depth": [float(d) for d in fields.depth.values],
        "latitude": [float(v) for v in fields.latitude.values],
        "longitude": [float(v) for v in fields.longitude.values],
        "surfaces": int(surface is not None),
        "variables": {name: _attributes(fields[name]) for name in names},
        "split": parts,
        "credit": str(fields.attrs.get("credit", "")),
        "licence": str(fields.attrs.get("licence", "")),
    }
    with under_construction(folder) as partial_folder:
        # The name of a lazy array tells the files, when they changed, and what is done to them.
        tokens = [dask.base.tokenize(array) for array in sources]
        plan = description | {"input": tokens, "smoothing": smoothing, "floor": floor}
        state = Construction(partial_folder, plan)
        passes = _Passes(state, sources, dates, columns, in_time)
        passes.lay_out(fields.ocean.transpose(*DIMS[1:]))
        for _ in progress(passes.run(smoothing, floor), passes.total):
            pass
        clipped = sum(state.results("areas"))
        state.publish(folder, {"store.json": description | {"clipped": clipped}})
    return folder


def _sources(fields: xr.Dataset, surface: xr.DataArray | None) -> list[xr.DataArray]:
    """What becomes channels, (time, depth, latitude, longitude) each, in their order."""
    further = [
        name
        for name, array in fields.data_vars.items()
        if name != "temperature" and set(array.dims) == set(DIMS)
    ]
    sources = [fields[name] for name in ("temperature", *further)]
    if surface is not None:
        above = surface.reset_coords(drop=True).expand_dims(depth=fields.depth.values[:1])
        sources.insert(0, above.rename("surface"))
    return [array.reset_coords(drop=True).transpose(*DIMS) for array in sources]


def _attributes(array: xr.DataArray) -> dict[str, str]:
    """What a variable is, kept beside its values."""
    kept = {key: array.attrs.get(key) for key in ("standard_name", "units", "long_name")}
    return {key: str(value) for key, value in kept.items() if value}


class _Passes:
    """The passes of one build.

    Args:
        sources: what becomes channels.    in_time: the split is in time.
        dates, columns: the training block.
    """

    def __init__(
        self,
        state: Construction,
        sources: list[xr.DataArray],
        dates: slice,
        columns: slice,
        in_time,
    ):
        self.state, self.sources, self.dates, self.in_time = state, sources, dates, in_time
        self.columns, self.surfaces = columns, int(sources[0].name == "surface")
        times = sources[0].time.values
        self.terms = number_of_terms(times[dates], records_a_month(times)) if in_time else 1
        store, work = state.store, state.work
        # In space one profile serves all places; what is fitted by cell only leads to it.
        self.files = {
            "ocean": store / "ocean.npy",
            "anomaly": store / "anomaly.npy",
            "climatology": store / "climatology.npy",
            "deviation": store / "deviation.npy",
            "fitted": (store if in_time else work) / "climatology.npy",
            "spread": work / "deviation.npy",
        }
        self.first = np.cumsum([0, *(array.sizes["depth"] for array in sources)]).tolist()
        longest, deepest = (
            max(span.stop - span.start for array in sources for span in chunk_slices(array, dim))
            for dim in ("time", "depth")
        )
        # Bytes a cell: sums in float64, their copy, a chunk; a column: anomalies, a chunk.
        size = 12 * (self.terms + 1) + DECODING_BYTES * longest
        cut_up = [spatial_boxes(array, size) for array in sources]
        self.cells = [
            (source, *box)
            for source, (parts, _) in enumerate(cut_up)
            for box in parts
            if box[2].start < columns.stop
        ]
        self.levels = list(range(self.first[-1])) if in_time else []
        size = longest * (4 * self.first[-1] + DECODING_BYTES * deepest)
        areas, area_bytes = spatial_boxes(sources[-1].isel(depth=[0]), size)
        self.areas = [box[1:] for box in areas]
        self.bytes = (max(largest for _, largest in cut_up), 48 * STRIP, area_bytes)
        self.total = len(self.cells) + len(self.levels) + len(self.areas)

    def lay_out(self, ocean: xr.DataArray) -> None:
        """Make the files, empty but for the ocean, where a former process has not."""
        channels, (height, width) = self.first[-1], ocean.shape[1:]
        grid = (channels, height, width)
        dates = self.sources[0].sizes["time"]
        files = {
            "ocean": (bool, (height, width, channels)),
            "anomaly": (np.int16, (dates, height, width, channels)),
            "fitted": (np.float32, (self.terms, *grid)),
            "spread": (np.float32, grid),
        }
        if self.in_time:
            files["deviation"] = (np.float32, grid)
        self.state.lay_out({self.files[name]: content for name, content in files.items()})
        if not self.state.resumed:
            write_ocean(self.files, ocean, self.surfaces, len(self.sources) - self.surfaces)
            self.state.save()

    def run(self, smoothing: float, floor: float) -> Iterator[dict]:
        """Work through all blocks that are not done; a record for each."""

        def fit_cells(block):
            source, *box = block
            part = select_box(self.sources[source].isel(time=self.dates), box)
            return partial(fit_box, self.files, part, self.first[source], box, self.terms)

        def smooth_channel(channel):
            return partial(smooth_level, self.files, channel, smoothing, least[channel])

        def standardise_area(area):
            parts = [select_box(array, (slice(None), *area)) for array in self.sources]
            return partial(
                standardise_box, self.files, list(zip(self.first, parts)), area, self.terms
            )

        yield from self.state.work_on("cells", self.cells, fit_cells, self.bytes[0])
        least = self._summarise(floor)
        yield from self.state.work_on("levels", self.levels, smooth_channel, self.bytes[1])
        yield from self.state.work_on("areas", self.areas, standardise_area, self.bytes[2])

    def _summarise(self, floor: float) -> np.ndarray:
        """(C,) least deviation of each channel; in space also the one profile, which it writes."""
        fitted, spread = (np.load(self.files[name], mmap_mode="r") for name in ("fitted", "spread"))
        if self.in_time:
            deviation, cells = wet_mean(self.files, lambda rows: spread[:, rows])
        else:
            columns, dates = self.columns, self.sources[0].sizes["time"]

            def square(rows):
                around = fitted[0, :, rows, columns] - mean[:, None, None]
                return around**2 + (dates - 1) / dates * spread[:, rows, columns].astype(float) ** 2

            mean, cells = wet_mean(self.files, lambda rows: fitted[0, :, rows, columns], columns)
            deviation = np.sqrt(wet_mean(self.files, square, columns)[0])
        # The surface is temperature, too.
        starts = [0, *self.first[self.surfaces + 1 :]]
        variables = [slice(*edge) for edge in zip(starts[:-1], starts[1:])]
        least = floors(deviation, cells, variables, floor)
        if not self.in_time:
            shape = (self.first[-1], 1, 1)
            profile = mean.reshape(1, *shape), np.maximum(deviation, least).reshape(shape)
            for name, values in zip(("climatology", "deviation"), profile):
                np.save(self.files[name], values.astype(np.float32))
        return least


STEP = 1e-3  # standard deviations per integer: ±32 of them fit
STRIP = 2**22  # values of a map that are worked on at once


def _strips(height: int, row: int) -> list[slice]:
    """Slices that cover the rows of a map, of which each holds `row` values."""
    step = max(1, STRIP // row)
    return [slice(first, min(first + step, height)) for first in range(0, height, step)]


def write_ocean(files: dict, ocean: xr.DataArray, surfaces: int, variables: int) -> None:
    """Lay the ocean (depth, latitude, longitude) down for every channel."""
    depth, height, width = ocean.shape
    for rows in _strips(height, depth * width):
        wet = np.moveaxis(ocean[:, rows].values, 0, -1)
        channels = [wet[..., :1]] * surfaces + [wet] * variables
        write_slab(files["ocean"], np.concatenate(channels, -1), (rows.start, 0, 0))


def _wet(files: dict, channels: slice, rows: slice, columns: slice) -> np.ndarray:
    """The ocean (channel, row, column) of a box."""
    return np.moveaxis(np.load(files["ocean"], mmap_mode="r")[rows, columns, channels], -1, 0)


def _values(part: xr.DataArray, wet: np.ndarray) -> np.ndarray:
    """Values (time, channel, row, column) of a part that is small enough, 0 outside the ocean."""
    values = part.compute(scheduler="synchronous").values
    missing = wet & ~np.isfinite(values)
    if missing.any():
        cell = part[tuple(np.argwhere(missing)[0])]
        raise ValueError(
            f"{missing.sum()} value(s) of {part.name} are missing or infinite where the ocean is, "
            f"limit 0, the first on {cell.time.values.astype('M8[D]')} at latitude "
            f"{cell.latitude:g}, longitude {cell.longitude:g}; open the files by "
            "fields.open_fields, which leaves such cells out of the ocean"
        )
    return np.where(wet, values, 0)


def fit_box(files: dict, part: xr.DataArray, first: int, box: tuple, terms: int) -> int:
    """Pass 1 over a box (depth, rows, columns) of a variable whose channels begin at `first`."""
    depth, rows, columns = box
    channels = slice(first + depth.start, first + depth.stop)
    wet = _wet(files, channels, rows, columns)
    steps = (_values(part.isel(time=dates), wet) for dates in chunk_slices(part, "time", wet.size))
    fields = (field for step in steps for field in step)
    harmonic, spread = fit_climatology(fields, part.time.values, terms, wet.shape)
    corner = (channels.start, rows.start, columns.start)
    write_slab(files["fitted"], harmonic, (0, *corner))
    write_slab(files["spread"], spread, corner)
    return 0


def wet_mean(
    files: dict, values: Callable[[slice], np.ndarray], columns: slice = slice(None)
) -> tuple[np.ndarray, np.ndarray]:
    """(C,) mean over the ocean of a map, and the number of its cells.

    Args:
        values: rows → (C, rows, columns).
    """
    ocean = np.load(files["ocean"], mmap_mode="r")
    total, cells = np.zeros(ocean.shape[-1]), np.zeros(ocean.shape[-1], int)
    for rows in _strips(len(ocean), ocean[0].size):
        wet = np.moveaxis(ocean[rows, columns], -1, 0)
        total += np.where(wet, values(rows), 0).sum((1, 2), dtype=np.float64)
        cells += wet.sum((1, 2))
    return total / np.maximum(cells, 1), cells


def smooth_level(files: dict, channel: int, length: float, least: float) -> int:
    """Between the passes: the final deviation of one channel."""
    spread = np.load(files["spread"], mmap_mode="r")[channel]
    wet = np.load(files["ocean"], mmap_mode="r")[..., channel]
    for rows in _strips(*spread.shape):
        smoothed = np.maximum(smooth(spread, wet, length, rows), least)
        write_slab(files["deviation"], smoothed[None], (channel, rows.start, 0))
    return 0


def standardise_box(files: dict, parts: list, area: tuple, terms: int) -> int:
    """Pass 2 over an area (rows, columns); how many values lie beyond what int16 holds.

    Args:
        parts: first channel and lazy values (time, depth, rows, columns) of every variable.
    """
    rows, columns = area
    grid = np.load(files["spread"], mmap_mode="r").shape
    climatology, deviation = (
        np.broadcast_to(np.load(files[name], mmap_mode="r"), shape)[..., rows, columns]
        for name, shape in (("climatology", (terms, *grid)), ("deviation", grid))
    )
    times, clipped = parts[0][1].time.values, 0
    cells = deviation[0].size
    for dates in chunk_slices(parts[-1][1], "time", deviation.size):
        basis = harmonics(times[dates], terms)
        anomaly = np.zeros((len(basis), *deviation.shape[1:], grid[0]), np.int16)
        for first, part in parts:
            for depth in chunk_slices(part, "depth", cells * len(basis)):
                box = slice(first + depth.start, first + depth.stop)
                wet = _wet(files, box, rows, columns)
                values = _values(part.isel(time=dates, depth=depth), wet)
                for level, channel in enumerate(range(box.start, box.stop)):
                    normal = np.tensordot(basis, climatology[:, channel], 1)
                    quotient = (values[:, level] - normal) / deviation[channel] / STEP
                    quotient = np.where(wet[level], np.rint(quotient), 0)
                    clipped += int((np.abs(quotient) > 32767).sum())
                    anomaly[..., channel] = np.clip(quotient, -32767, 32767)
        write_slab(files["anomaly"], anomaly, (dates.start, rows.start, columns.start, 0))
    return clipped
