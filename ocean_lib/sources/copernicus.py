"""Copernicus Marine products: how much there is to fetch, and fetching it, a file a month.

Only what is asked for is transferred; a month that is there is kept, so the same call goes on where
the last one stopped.  A file has its final name when it has been read back.  Dates, levels and
regions are the service's own: it is asked, because datasets grow and are renamed.

Whole files of Copernicus Marine, as the service keeps them: all variables, levels and places.

The client's `get` leaves a file that is there alone and gives a file its name when it is whole, so
the same call goes on where the last one stopped.
"""

import re
import zlib
from calendar import monthrange
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr

from ocean_lib.core.atomic import atomic_write
from ocean_lib.fields.selection import nearest_levels, select_region
from ocean_lib.sources import client as service

__all__ = ["RATE", "Request", "duration", "whole_files"]


RATE = 3e6  # bytes a second, for an estimate
MARGIN = 0.25  # degrees beyond the region, for a product that is brought to another grid
WHOLE = 0.99  # of the values of other months: a little ice may come and go
PACKING = ("dtype", "scale_factor", "add_offset", "_FillValue")


def _months(first: str, last: str) -> list[str]:
    months = np.arange(np.datetime64(first, "M"), np.datetime64(last, "M") + 1)
    return [str(month) for month in months]


def _coverage(dataset_id: str) -> tuple[str, str] | None:
    """First and last month of a dataset, as the service describes it now; None if it has none.

    Of a daily dataset a last month that is not over does not count.
    """
    client = service.client()
    try:
        found = client.describe(
            dataset_id=dataset_id, disable_progress_bar=True, raise_on_error=True
        )
    except client.DatasetNotFound:
        return None
    times: set[float] = set()
    for each in found.products[0].datasets[0].versions[0].parts[0].services:
        for variable in each.variables or []:
            for axis in variable.coordinates:
                if axis.coordinate_id == "time":
                    step = axis.step or np.inf
                    ends = axis.minimum_value, axis.maximum_value
                    listed = axis.values or [*ends, ends[1] - step]
                    times |= {float(t) for t in listed if t is not None and np.isfinite(t)}
    dates = np.array(sorted(times)).astype("datetime64[ms]")
    first, last = dates[0].astype("M8[M]"), dates[-1].astype("M8[M]")
    daily = len(dates) > 1 and dates[-1] - dates[-2] < np.timedelta64(20, "D")
    if daily and (dates[-1] + np.timedelta64(1, "D")).astype("M8[M]") == last:
        last -= 1
    return str(first), str(last)


class Request:
    """What is asked for of a product: months of some variables, levels and a region.

    Args:
        name: of the product, with which the files begin.
        datasets: ids at the service; each continues the one before, where the service has it.
        product_id: to which they belong.    variables: of them.
        folder: where the files lie.    region: (west, east, south, north), degrees.
        months: (first, last), such as ("1993-01", "2020-12").
        depths: m, each standing for its nearest level; all levels where None.
        shallowest: whether the shallowest level comes, too.
        above: whether it is a view from above: the region is exceeded by `MARGIN`, as far as there
            is something, and what is seen may change from month to month.
        attributes: written into every file.
    """

    def __init__(
        self,
        name: str,
        datasets: tuple[str, ...],
        product_id: str,
        variables: tuple[str, ...],
        folder,
        *,
        region: tuple[float, float, float, float],
        months: tuple[str, str],
        depths: list[float] | None = None,
        shallowest: bool = False,
        above: bool = False,
        attributes: dict[str, str] | None = None,
    ):
        self.name, self.datasets, self.product_id = name, datasets, product_id
        self.variables, self.region = list(variables), region
        self.depths, self.shallowest, self.above = depths, shallowest, above
        self.attributes, self.folder = attributes or {}, Path(folder)
        self.complete: np.ndarray | None = None  # values a level in months that are there
        west, east, south, north = region
        # Another region, or other levels, are other files.
        parts = f"{west:g}_{east:g}_{south:g}_{north:g}"
        if depths is not None:
            asked = ",".join(f"{depth:g}" for depth in sorted(depths)) + "+top" * shallowest
            parts += f"_{len(depths)}levels-{zlib.crc32(asked.encode()):08x}"
        stem = "_".join([name, *variables, parts])
        self.files = {m: self.folder / f"{stem}_{m}.nc" for m in _months(*months)}
        self.missing = [month for month, file in self.files.items() if not file.exists()]
        self.sources: dict[str, list[str]] = {}  # dataset: months
        self.opened: dict[str, xr.Dataset] = {}

    def plan(self) -> str:
        """Ask the service, and say how much there is to fetch and how long it may take.

        Raises: as `service.tried`; ValueError: months, levels or a region that it does not hold
        """
        if not self.missing:
            return f"{self.name}: all of {len(self.files)} month(s) are there"
        service.tried(service.call_upon, "Copernicus Marine")
        coverage = {each: service.tried(partial(_coverage, each), each) for each in self.datasets}
        if coverage[self.datasets[0]] is None:
            raise ValueError(
                f"dataset {self.datasets[0]} is unknown to the service; it may have been renamed: "
                f"see https://data.marine.copernicus.eu/product/{self.product_id}"
            )
        held = {dataset: ends for dataset, ends in coverage.items() if ends}
        for month in self.missing:
            of = next((d for d, (first, last) in held.items() if first <= month <= last), None)
            if of is None:
                reach = ", ".join(f"{d} {first} to {last}" for d, (first, last) in held.items())
                raise ValueError(
                    f"month {month} of {self.name} is not held: {reach}; choose months within"
                )
            self.sources.setdefault(of, []).append(month)
        kept = moved = 0.0
        for dataset, months in self.sources.items():
            opened = service.tried(partial(self._open, dataset, months), dataset)
            self.opened[dataset] = opened
            for array in opened.data_vars.values():
                size = array.encoding.get("dtype", np.dtype("f4")).itemsize
                chunks = array.encoding.get("preferred_chunks", {})
                across = [d for d in array.dims if d != "time"]
                kept += size * array.size
                # As many more as a chunk is long, less one, come along on average.
                touched = [array.sizes[d] - 1 + chunks.get(d, 1) for d in across]
                moved += size * array.sizes["time"] * float(np.prod(touched))
        grid = next(iter(self.opened.values()))
        shape = " × ".join(f"{grid.sizes[d]} {d}" for d in grid.dims if d != "time")
        of = ", ".join(f"{len(months)} from {d}" for d, months in self.sources.items())
        return (
            f"{self.name}: {len(self.missing)} month(s) to fetch ({of}), {shape}: {kept / 1e6:.1f} "
            f"MB to keep, up to {moved / 1e6:.1f} MB to transfer, about {duration(moved / RATE)} "
            f"at {RATE / 1e6:g} MB/s; {len(self.files) - len(self.missing)} month(s) are there"
        )

    def fetch(self) -> Iterator[dict]:
        """Fetch what `plan` found missing; a record for each month."""
        import psutil

        for left in self.folder.glob("*.partial"):  # of processes that were killed
            if not psutil.pid_exists(int(left.name.split(".")[-2])):
                left.unlink()
        if 0 < len(self.missing) < len(self.files):
            there = next(month for month in self.files if month not in self.missing)
            self.complete = _counts(self.files[there])[1]
        done = 0
        for dataset, months in self.sources.items():
            for month in months:
                self._fetch(dataset, month)
                done += 1
                yield {"step": done}

    def _open(self, dataset: str, months: list[str]) -> xr.Dataset:
        west, east, south, north = self.region
        more = MARGIN if self.above else 0.0
        east = east if east > west else east + 360
        round_ = east - west + 2 * more >= 360
        opened = service.client().open_dataset(
            dataset_id=dataset,
            variables=self.variables,
            minimum_longitude=None if round_ else west - more,
            maximum_longitude=None if round_ else east + more,
            minimum_latitude=max(south - more, -90),
            maximum_latitude=min(north + more, 90),
            start_datetime=f"{months[0]}-01T00:00:00",
            end_datetime=f"{months[-1]}-{_days(months[-1])}T23:59:59",
            coordinates_selection_method="inside",
            service="geoseries",
            chunk_size_limit=1,
        )
        if opened is None:  # the client asked for a password, and nobody was there
            raise PermissionError(service.LOGIN)
        select_region(opened, self.region)
        if "depth" in opened.dims and self.depths is not None:
            chosen = set(nearest_levels(opened, self.depths))
            chosen |= {int(opened.depth.values.argmin())} if self.shallowest else set()
            opened = opened.isel(depth=sorted(chosen))
        return opened

    def _fetch(self, dataset: str, month: str) -> None:
        from dask.callbacks import Callback

        lazy = self.opened[dataset].sel(time=month)
        arrived = [0]

        class Counting(Callback):
            def _posttask(self, *_):
                arrived[0] += 1

        def load() -> xr.Dataset:
            with Counting():
                return lazy.compute()

        what = f"{self.name} {month}"
        fields = service.tried(lambda: service.arriving(load, lambda: arrived[0]), what)
        encoding = {
            name: {key: array.encoding[key] for key in PACKING if key in array.encoding}
            | {"zlib": True, "complevel": 1}
            for name, array in fields.data_vars.items()
        }
        kept = {"dataset_id": dataset} | self.attributes
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.files[month]) as beside:
            fields.assign_attrs(kept).to_netcdf(beside, engine="netcdf4", encoding=encoding)
            self._verify(beside, month)

    def _verify(self, file: Path, month: str) -> None:
        """Refuse a month whose file cannot be read back, lacks dates, or lacks sea.

        Where the service has no block, the client reads it as fill, as land is: then a level of a
        field holds fewer values than in other months.
        """
        dates, counts = _counts(file)
        if dates not in (1, _days(month)):
            raise ValueError(
                f"{self.name} {month}: {dates} dates came, 1 or {_days(month)} are due; ask the "
                "service's desk, or choose other months"
            )
        if self.complete is None or self.above:
            self.complete = counts
        if not counts.any() or (counts < WHOLE * self.complete).any():
            raise ConnectionError(
                f"{self.name} {month}: {counts.tolist()} values came a level, "
                f"{self.complete.tolist()} in other months; the service lacks a part of it: wait, "
                f"{service.AGAIN}"
            )
        self.complete = np.maximum(self.complete, counts)


def _counts(file: Path) -> tuple[int, np.ndarray]:
    """Dates of a file, and how many values each level of each variable has at least on a date."""
    with xr.open_dataset(file, engine="netcdf4") as back:
        each = [
            array.notnull().sum(("latitude", "longitude")).min("time") for array in back.values()
        ]
        return back.sizes["time"], np.concatenate([np.atleast_1d(one.values) for one in each])


def _days(month: str) -> int:
    return monthrange(*map(int, month.split("-")))[1]


def duration(seconds: float) -> str:
    """In words."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def whole_files(
    datasets: tuple[str, ...], folder, pattern: str, dry_run: bool = False
) -> tuple[list[Path], str]:
    """Files as the service keeps them, all variables and levels, whose paths fit a pattern.

    Args:
        pattern: such as `*2021/*`.    dry_run: whether only to list them.
    Returns:
        Their paths, and how much there is to fetch in words.
    Raises: as `service.tried`; ValueError: no file fits
    """
    folder = Path(folder)
    client = service.client()
    service.tried(service.call_upon, "Copernicus Marine")
    for left in folder.glob("*.nc.*"):
        if re.search(r"\.nc\.[0-9A-Fa-f]{8}$", left.name):
            left.unlink()  # of a transfer that was killed
    found, size = [], 0.0

    def ask(dataset: str, dry_run: bool):
        return client.get(
            dataset_id=dataset,
            filter=pattern,
            output_directory=folder,
            no_directories=True,
            skip_existing=True,
            dry_run=dry_run,
            disable_progress_bar=True,
        )

    def arrived() -> int:
        return sum(path.stat().st_size for path in folder.glob("*") if path.is_file())

    for dataset in datasets:
        try:
            listed = service.tried(partial(ask, dataset, True), dataset)
        except client.DatasetNotFound:
            continue
        if listed.files:
            found += [Path(each.file_path) for each in listed.files]
            lacking = [each for each in listed.files if not Path(each.file_path).exists()]
            size += sum(each.file_size for each in lacking)
            if lacking and not dry_run:
                work = partial(service.arriving, partial(ask, dataset, False), arrived)
                service.tried(work, dataset)
    if not found:
        raise ValueError(
            f"no file of {' or '.join(datasets)} fits {pattern!r}; choose a pattern such as "
            "'*2021/*'"
        )
    told = (
        f"{len(found)} whole file(s), {size:.1f} MB to fetch, about {duration(size * 1e6 / RATE)}"
    )
    return sorted(found), told
