"""The build of a store: two passes over the fields, block by block, that a kill does not undo.

    1  harmonics and standard deviation of every cell, from the training dates alone
       (between the passes the deviation is smoothed and kept above its floor, level by level)
    2  standardised anomalies, int16, in the order in which patches are cut

A block holds all dates, read one dask chunk after the other, so memory follows from the block and
not from the record or the domain. `blocks` says where blocks are computed, `passes` what is done to
them, and `resumable` how a build that was killed goes on.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr

from .anomalies import floors, number_of_terms
from .blocks import DECODING, boxes, cut, spans
from .names import DIMS
from .passes import STRIP, fit, smooth_level, standardise, wet_mean, write_ocean
from .resumable import Construction, construction
from .splits import choose_split, records_a_month

__all__ = ["FORMAT", "seen_from_above", "write"]

FORMAT = 2


def seen_from_above(paths, region=None) -> xr.DataArray:
    """The shallowest level of files of fields, (time, latitude, longitude), °C.

    Args:
        paths, region: as `fields.open_fields` takes them.
    """
    from .fields import open_fields
    from .files import find_files, open_file
    from .recognition import arrange

    with open_file(find_files(paths)[0]) as first:
        shallowest = arrange(first, region=region).depth.values[:1]
    return open_fields(paths, region=region, depths=shallowest).temperature.isel(depth=0, drop=True)


def write(
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
    with construction(folder) as partial_folder:
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
            max(span.stop - span.start for array in sources for span in spans(array, dim))
            for dim in ("time", "depth")
        )
        # Bytes a cell: sums in float64, their copy, a chunk; a column: anomalies, a chunk.
        size = 12 * (self.terms + 1) + DECODING * longest
        cut_up = [boxes(array, size) for array in sources]
        self.cells = [
            (source, *box)
            for source, (parts, _) in enumerate(cut_up)
            for box in parts
            if box[2].start < columns.stop
        ]
        self.levels = list(range(self.first[-1])) if in_time else []
        size = longest * (4 * self.first[-1] + DECODING * deepest)
        areas, area_bytes = boxes(sources[-1].isel(depth=[0]), size)
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
            part = cut(self.sources[source].isel(time=self.dates), box)
            return partial(fit, self.files, part, self.first[source], box, self.terms)

        def smooth_channel(channel):
            return partial(smooth_level, self.files, channel, smoothing, least[channel])

        def standardise_area(area):
            parts = [cut(array, (slice(None), *area)) for array in self.sources]
            return partial(standardise, self.files, list(zip(self.first, parts)), area, self.terms)

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
