"""Copernicus Marine products: plan a download, then fetch one file per month.

Only the months, levels and region that are needed are transferred, and existing files are kept, so
the same call continues an interrupted one. A file gets its final name after it has been read back.
The service is asked which dates, levels and regions it holds, because datasets grow and are
renamed. `whole_files` fetches files as the service keeps them, with all variables, levels and
places.
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
from ocean_lib.sources.client import AGAIN, LOGIN, arriving, call_upon, client, coverage, tried

__all__ = ["RATE", "Request", "duration", "whole_files"]


RATE = 3e6  # bytes per second, for estimates
MARGIN = 0.25  # degrees beyond the region, for products that are interpolated to another grid
COMPLETE = 0.99  # least share of the values of other months; sea ice hides fewer than this
PACKING = ("dtype", "scale_factor", "add_offset", "_FillValue")


class Request:
    """Months of some variables, levels and a region of a product.

    Args:
        name: of the product; file names begin with it.
        datasets: ids at the service, in order of time; later ones may not exist.
        product_id: of the product at the service.
        variables: names of the variables in its files.
        folder: where the files are put; created if absent.
        region: (west, east, south, north), degrees.
        months: (first, last), such as ("1993-01", "2020-12").
        depths: depths whose nearest levels are fetched, m; all levels if None.
        shallowest: whether the shallowest level is fetched as well.
        above: whether the product is the surface seen from above: the region is then widened by
            `MARGIN`, and the cells covered may change from month to month.
        attributes: written into every file.

    Attributes:
        files: file of each month.
        missing: the months whose file does not exist.
    """

    def __init__(
        self,
        name: str,
        datasets: tuple[str, ...],
        product_id: str,
        variables: tuple[str, ...],
        folder: str | Path,
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
        self.complete: np.ndarray | None = None  # number of values per level in other months
        west, east, south, north = region
        # Another region or other levels have other file names.
        parts = f"{west:g}_{east:g}_{south:g}_{north:g}"
        if depths is not None:
            key = ",".join(f"{depth:g}" for depth in sorted(depths)) + "+top" * shallowest
            parts += f"_{len(depths)}levels-{zlib.crc32(key.encode()):08x}"
        stem = "_".join([name, *variables, parts])
        first, last = (np.datetime64(month, "M") for month in months)
        names = map(str, np.arange(first, last + 1))
        self.files = {month: self.folder / f"{stem}_{month}.nc" for month in names}
        self.missing = [month for month, file in self.files.items() if not file.exists()]
        self.sources: dict[str, list[str]] = {}  # dataset: months
        self.opened: dict[str, xr.Dataset] = {}

    def plan(self) -> str:
        """Ask the service; return how much there is to fetch and how long it may take, in words.

        Raises:
            ValueError: the service does not hold the months, levels or region.
            ConnectionError, PermissionError: as `client.tried`.
        """
        if not self.missing:
            return f"{self.name}: all {len(self.files)} month(s) already fetched"
        tried(call_upon, "Copernicus Marine")
        covered = {name: tried(partial(coverage, name), name) for name in self.datasets}
        if covered[self.datasets[0]] is None:
            raise ValueError(
                f"dataset {self.datasets[0]} is unknown to the service; it may have been renamed: "
                f"see https://data.marine.copernicus.eu/product/{self.product_id}"
            )
        periods = {dataset: ends for dataset, ends in covered.items() if ends}
        for month in self.missing:
            holding = (d for d, (first, last) in periods.items() if first <= month <= last)
            source = next(holding, None)
            if source is None:
                reach = ", ".join(f"{d} {first} to {last}" for d, (first, last) in periods.items())
                raise ValueError(
                    f"month {month} of {self.name} is not held: {reach}; choose months within"
                )
            self.sources.setdefault(source, []).append(month)
        kept = moved = 0.0
        for dataset, months in self.sources.items():
            opened = tried(partial(self._open, dataset, months), dataset)
            self.opened[dataset] = opened
            for array in opened.data_vars.values():
                size = array.encoding.get("dtype", np.dtype("f4")).itemsize
                chunks = array.encoding.get("preferred_chunks", {})
                across = [d for d in array.dims if d != "time"]
                kept += size * array.size
                # Whole chunks are transferred: on average (chunk length - 1) values more along
                # each dimension than are kept.
                touched = [array.sizes[d] - 1 + chunks.get(d, 1) for d in across]
                moved += size * array.sizes["time"] * float(np.prod(touched))
        grid = next(iter(self.opened.values()))
        shape = " × ".join(f"{grid.sizes[d]} {d}" for d in grid.dims if d != "time")
        origin = ", ".join(f"{len(months)} from {d}" for d, months in self.sources.items())
        existing = len(self.files) - len(self.missing)
        return (
            f"{self.name}: {len(self.missing)} month(s) to fetch ({origin}), {shape}: "
            f"{kept / 1e6:.1f} MB to keep, up to {moved / 1e6:.1f} MB to transfer, about "
            f"{duration(moved / RATE)} at {RATE / 1e6:g} MB/s; {existing} month(s) already fetched"
        )

    def fetch(self) -> Iterator[dict]:
        """Fetch the months that `plan` found missing, and yield a record after each."""
        import psutil

        for partial_file in self.folder.glob("*.partial"):  # of processes that were killed
            if not psutil.pid_exists(int(partial_file.name.split(".")[-2])):
                partial_file.unlink()
        if 0 < len(self.missing) < len(self.files):
            existing = next(month for month in self.files if month not in self.missing)
            self.complete = _counts(self.files[existing])[1]
        sources = [(dataset, month) for dataset, months in self.sources.items() for month in months]
        for done, (dataset, month) in enumerate(sources, 1):
            self._fetch(dataset, month)
            yield {"step": done}

    def _open(self, dataset: str, months: list[str]) -> xr.Dataset:
        west, east, south, north = self.region
        margin = MARGIN if self.above else 0.0
        east = east if east > west else east + 360
        globe = east - west + 2 * margin >= 360
        opened = client().open_dataset(
            dataset_id=dataset,
            variables=self.variables,
            minimum_longitude=None if globe else west - margin,
            maximum_longitude=None if globe else east + margin,
            minimum_latitude=max(south - margin, -90),
            maximum_latitude=min(north + margin, 90),
            start_datetime=f"{months[0]}-01T00:00:00",
            end_datetime=f"{months[-1]}-{_days(months[-1])}T23:59:59",
            coordinates_selection_method="inside",
            service="geoseries",
            chunk_size_limit=1,
        )
        if opened is None:  # the client asked for a password and got none
            raise PermissionError(LOGIN)
        select_region(opened, self.region)
        if "depth" in opened.dims and self.depths is not None:
            levels = set(nearest_levels(opened, self.depths))
            levels |= {int(opened.depth.values.argmin())} if self.shallowest else set()
            opened = opened.isel(depth=sorted(levels))
        return opened

    def _fetch(self, dataset: str, month: str) -> None:
        from dask.callbacks import Callback

        lazy = self.opened[dataset].sel(time=month)
        arrived = [0]

        def count(*_) -> None:
            arrived[0] += 1

        def load() -> xr.Dataset:
            with Callback(posttask=count):
                return lazy.compute()

        what = f"{self.name} {month}"
        fields = tried(lambda: arriving(load, lambda: arrived[0]), what)
        encoding = {
            name: {key: array.encoding[key] for key in PACKING if key in array.encoding}
            | {"zlib": True, "complevel": 1}
            for name, array in fields.data_vars.items()
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.files[month]) as beside:
            fields = fields.assign_attrs({"dataset_id": dataset} | self.attributes)
            fields.to_netcdf(beside, engine="netcdf4", encoding=encoding)
            self._verify(beside, month)

    def _verify(self, file: Path, month: str) -> None:
        """Refuse a month whose file cannot be read back, or lacks dates or values.

        The client returns fill, as on land, for a block that the service lacks: a level then has
        fewer values than in other months.
        """
        dates, counts = _counts(file)
        if dates not in (1, _days(month)):
            raise ValueError(
                f"{self.name} {month}: {dates} dates arrived, 1 or {_days(month)} are expected; "
                "ask the service desk, or choose other months"
            )
        if self.complete is None or self.above:
            self.complete = counts
        if not counts.any() or (counts < COMPLETE * self.complete).any():
            raise ConnectionError(
                f"{self.name} {month}: {counts.tolist()} values per level arrived, "
                f"{self.complete.tolist()} in other months; the service lacks a part: wait, "
                f"{AGAIN}"
            )
        self.complete = np.maximum(self.complete, counts)


def _counts(file: Path) -> tuple[int, np.ndarray]:
    """Number of dates, and the fewest values on any date for each variable and level."""
    with xr.open_dataset(file, engine="netcdf4") as fields:
        known = [array.notnull().sum(("latitude", "longitude")) for array in fields.values()]
        counts = np.concatenate([np.atleast_1d(number.min("time").values) for number in known])
        return fields.sizes["time"], counts


def _days(month: str) -> int:
    return monthrange(*map(int, month.split("-")))[1]


def duration(seconds: float) -> str:
    """Seconds in words."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def whole_files(
    datasets: tuple[str, ...], folder: str | Path, pattern: str, dry_run: bool = False
) -> tuple[list[Path], str]:
    """Fetch files as the service keeps them, with all variables and levels.

    Args:
        datasets: ids at the service.
        folder: where the files are put; created if absent.
        pattern: of their paths at the service, such as `*2021/*`.
        dry_run: whether only to list them.

    Returns:
        The files, sorted, and how much there is to fetch, in words.

    Raises:
        ValueError: no file matches.
        ConnectionError, PermissionError: as `client.tried`.
    """
    folder = Path(folder)
    package = client()
    tried(call_upon, "Copernicus Marine")
    for file in folder.glob("*.nc.*"):
        if re.search(r"\.nc\.[0-9A-Fa-f]{8}$", file.name):
            file.unlink()  # of a transfer that was killed
    files: list[Path] = []
    size = 0.0
    options = {"filter": pattern, "output_directory": folder, "no_directories": True}
    options |= {"skip_existing": True, "disable_progress_bar": True}

    def arrived() -> int:
        return sum(path.stat().st_size for path in folder.glob("*") if path.is_file())

    for dataset in datasets:
        try:
            ask = partial(package.get, dataset_id=dataset, **options)
            listed = tried(partial(ask, dry_run=True), dataset)
        except package.DatasetNotFound:
            continue
        if listed.files:
            files += [Path(file.file_path) for file in listed.files]
            missing = [file for file in listed.files if not Path(file.file_path).exists()]
            size += sum(file.file_size for file in missing)
            if missing and not dry_run:
                tried(partial(arriving, ask, arrived), dataset)
    if not files:
        raise ValueError(
            f"no file of {' or '.join(datasets)} matches {pattern!r}; choose a pattern such as "
            "'*2021/*'"
        )
    time = duration(size * 1e6 / RATE)
    return sorted(files), f"{len(files)} whole file(s), {size:.1f} MB to fetch, about {time}"
