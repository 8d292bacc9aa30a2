"""The surface as satellites see it, on a field's grid and dates.

A satellite product becomes one field per date (the mean of the calendar month if the dates are
months) on the rows and columns of a field. Cells that the product does not cover, one or two along
coasts, get the value of the nearest covered cell.

A network that will use such a product is trained on the model's surface, degraded to look like the
product: smoothed over the footprint, with errors correlated over twice the footprint.
"""

from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy.ndimage import distance_transform_edt, gaussian_filter

from ocean_lib.core.months import choose_split
from ocean_lib.fields.axes import find_axis, order_longitudes, take
from ocean_lib.fields.dates import decode_dates
from ocean_lib.fields.decoding import decode
from ocean_lib.fields.files import Paths, find_files, open_file
from ocean_lib.fields.recognition import arrange
from ocean_lib.fields.regrid import regrid
from ocean_lib.sources.catalogue import SOURCES, Source

__all__ = ["degraded", "on_grid", "open_view", "seen_by"]


MIN_DAYS = 0.8  # share of the days of a month that must be covered
FLAT = ("time", "latitude", "longitude")


def open_view(paths: Paths, product: str) -> xr.DataArray:
    """Open a satellite product of the surface.

    Args:
        paths: a file, folder, glob or list of them.
        product: a key of `catalogue.SOURCES`.

    Returns:
        (time, latitude, longitude), lazy, °C or m, NaN where not covered.

    Raises:
        ValueError: a file does not hold the product.
    """
    source = SOURCES[product]
    pieces = []
    for path in find_files(paths):
        try:
            pieces.append(_view(open_file(path), source))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    view = xr.concat(pieces, "time", join="override", combine_attrs="override").sortby("time")
    return view.drop_duplicates("time")


def _view(dataset: xr.Dataset, source: Source) -> xr.DataArray:
    """The product in one file, as `open_view` returns it."""
    if source.sees == "temperature":
        return arrange(dataset).temperature.isel(depth=0, drop=True).transpose(*FLAT)
    name = source.variables[0]
    if name not in dataset:
        raise ValueError(f"no {name} among {list(dataset.data_vars)}; fetch {source.title}")
    dataset = decode(dataset, [name])
    array = dataset[name]
    candidates = {dim: find_axis(dataset, array, dim) for dim in FLAT}
    axes = {dim: axis for dim, axis in candidates.items() if axis is not None and axis.ndim == 1}
    if lacking := [dim for dim in FLAT if dim not in axes]:
        raise ValueError(f"{name} {array.dims} has no axis of {lacking}; name it by standard_name")
    array = array.rename({axis.dims[0]: dim for dim, axis in axes.items()})
    coordinates = {dim: axis.values for dim, axis in axes.items()}
    coordinates["time"] = decode_dates(axes["time"], dataset).values
    array = array.assign_coords({dim: (dim, values) for dim, values in coordinates.items()})
    index, values = order_longitudes(array.longitude.values)
    fields = array.sortby("latitude").to_dataset(name=name)
    array = take(fields, "longitude", index)[name]
    return array.assign_coords(longitude=values).transpose(*FLAT).astype(np.float32)


def on_grid(
    view: xr.DataArray, times: np.ndarray, latitude: ArrayLike, longitude: ArrayLike
) -> xr.DataArray:
    """Put a view on the dates and cells of a field, without gaps.

    Args:
        view: of `open_view`.
        times: dates of the field: days if any two lie less than 20 days apart, else months.
        latitude: (H,), degrees.
        longitude: (W,), degrees.

    Returns:
        (time, latitude, longitude), lazy.

    Raises:
        ValueError: the view lacks a date, or more than a fifth of the days of a month.
    """
    times = np.asarray(times, "datetime64[ns]")
    daily = len(times) > 1 and np.diff(times).min() < np.timedelta64(20, "D")
    view_is_daily = len(view.time) > 1 and np.median(np.diff(view.time)) < np.timedelta64(20, "D")
    unit = "D" if daily else "M"
    available, wanted = (dates.astype(f"M8[{unit}]") for dates in (view.time.values, times))
    means = []
    for date, days in zip(wanted, (wanted + 1).astype("M8[D]") - wanted.astype("M8[D]")):
        covered = view.isel(time=np.flatnonzero(available == date))
        expected = days.astype(int) if view_is_daily else 1
        if covered.sizes["time"] < MIN_DAYS * expected:
            raise ValueError(
                f"{date} is covered on {covered.sizes['time']} of {expected} date(s), limit "
                f"{MIN_DAYS:.0%}; fetch the others, or choose another period"
            )
        means.append(covered.mean("time", skipna=True))
    monthly = xr.concat(means, "time", combine_attrs="override").chunk(time=1, latitude=-1)
    rows, columns = (np.asarray(axis, float) for axis in (latitude, longitude))
    move = partial(
        _moved,
        latitude=view.latitude.values,
        longitude=view.longitude.values,
        rows=rows,
        columns=columns,
    )
    chunks = (monthly.chunks[0], (len(rows),), (len(columns),))
    data = monthly.chunk(longitude=-1).data.map_blocks(move, dtype=np.float32, chunks=chunks)
    return xr.DataArray(data, dict(zip(FLAT, (times, rows, columns))), FLAT, attrs=view.attrs)


def _moved(block: np.ndarray, latitude, longitude, rows, columns) -> np.ndarray:
    array = xr.DataArray(block, {"latitude": latitude, "longitude": longitude}, FLAT)
    return _without_gaps(regrid(array, rows, columns).values)


def _without_gaps(block: np.ndarray) -> np.ndarray:
    """Fill every missing cell of (T, H, W) with the value of the nearest other cell."""
    filled = []
    for field in block:
        nearest = distance_transform_edt(
            np.isnan(field), return_distances=False, return_indices=True
        )
        filled.append(field[tuple(nearest)])
    return np.stack(filled).astype(np.float32)


def degraded(surface: xr.DataArray, product: str, seed: int = 0) -> xr.DataArray:
    """The surface of a model as a product would show it.

    Args:
        surface: (time, latitude, longitude), °C.
        product: a key of `catalogue.SOURCES`.
        seed: seeds the errors, together with the index of the date.

    Returns:
        (time, latitude, longitude), lazy, °C.
    """
    source = SOURCES[product]
    steps = [float(np.abs(np.diff(surface[dim])).mean()) for dim in FLAT[1:]]
    width = [0.5 * source.footprint / step for step in steps]
    blocks = surface.transpose(*FLAT).chunk(time=1, latitude=-1, longitude=-1).data
    degrade = partial(_degrade_date, width=width, error=source.error, seed=seed)
    return surface.copy(data=blocks.map_blocks(degrade, dtype=np.float32))


def _degrade_date(block, width, error, seed, block_info=None) -> np.ndarray:
    if not block_info:  # dask infers the result's type
        return block
    date = block_info[0]["array-location"][0][0]
    sea = ~np.isnan(block[0])
    smooth = partial(gaussian_filter, mode="nearest")
    share = smooth(sea.astype(float), width)
    field = smooth(np.where(sea, block[0], 0.0), width) / np.maximum(share, 1e-6)
    noise = np.random.default_rng([seed, date]).standard_normal(sea.shape)
    noise = smooth(noise, [2 * cells for cells in width])
    noise *= error / noise.std()
    return np.where(sea, field + noise, np.nan)[None].astype(np.float32)


def seen_by(
    product: str,
    paths: Paths,
    surface: xr.DataArray,
    *,
    seed: int = 0,
    split: str = "auto",
    **parts: Any,
) -> xr.DataArray:
    """Surface of a record: the model's, degraded, for training; the product's for the other dates.

    Args:
        product: a key of `catalogue.SOURCES` that sees temperature.
        paths: its files, of the validation and test dates.
        surface: the model's, (time, latitude, longitude), °C.
        seed: of the errors.
        split: the kind of split, as for `core.months.choose_split`.
        parts: its other choices; the product is used from the first validation date on.

    Returns:
        (time, latitude, longitude), lazy, °C.

    Raises:
        ValueError: the product sees no temperature, the split is in space, or dates are missing.
    """
    suitable = [name for name, source in SOURCES.items() if source.sees == "temperature"]
    if product not in suitable:
        raise ValueError(f"satellite {product!r} sees no temperature; choose one of {suitable}")
    periods = choose_split(surface.time.values, surface.sizes["longitude"], split, **parts)
    if periods["kind"] != "time":
        raise ValueError(
            f"the split is in {periods['kind']}, a satellite needs one in time; set split='time'"
        )
    first = periods["validation"][0]
    training = degraded(surface.isel(time=slice(0, first)), product, seed)
    grid = surface.latitude.values, surface.longitude.values
    view = on_grid(open_view(paths, product), surface.time.values[first:], *grid)
    view = view.assign_coords(training.isel(time=0, drop=True).coords)
    return xr.concat([training, view], "time")
