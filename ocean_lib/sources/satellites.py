"""The surface as satellites see it: on the field's grid and dates, and what a model makes of it.

A product seen from above becomes one field a date (the mean of a calendar month where the dates are
months) on the field's own rows and columns.  What it does not cover of the field's ocean, a cell or
two along coasts, has the value of its nearest cell that it does.

A network that is to run on such a view is trained on the model's own surface as the satellite would
show it: smoothed over the footprint, with an error that is alike within twice of it.
"""

from functools import partial

import numpy as np
import xarray as xr
from scipy.ndimage import distance_transform_edt, gaussian_filter

from ocean_lib.core.months import choose_split
from ocean_lib.fields.axes import find_axis, order_longitudes, take
from ocean_lib.fields.dates import decode_dates
from ocean_lib.fields.decoding import decode
from ocean_lib.fields.files import find_files, open_file
from ocean_lib.fields.recognition import arrange
from ocean_lib.fields.regrid import regrid
from ocean_lib.sources.catalogue import SOURCES

__all__ = ["degraded", "on_grid", "open_view", "seen_by"]


LEAST = 0.8  # of the days of a month
FLAT = ("time", "latitude", "longitude")


def open_view(paths, product: str) -> xr.DataArray:
    """A product seen from above, (time, latitude, longitude), lazy; °C or m, NaN where unseen.

    Args:
        paths: as `fields.open_fields` takes them.    product: a key of `catalogue.SOURCES`.
    Raises:
        ValueError: a file does not hold it.
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


def _view(dataset: xr.Dataset, source) -> xr.DataArray:
    if source.sees == "temperature":
        return arrange(dataset).temperature.isel(depth=0, drop=True).transpose(*FLAT)
    name = source.variables[0]
    if name not in dataset:
        raise ValueError(f"no {name} among {list(dataset.data_vars)}; fetch {source.title}")
    dataset = decode(dataset, [name])
    array = dataset[name]
    axes = {dim: find_axis(dataset, array, dim) for dim in FLAT}
    if lacking := [dim for dim, axis in axes.items() if axis is None or axis.ndim != 1]:
        raise ValueError(f"{name} {array.dims} has no axis of {lacking}; name it by standard_name")
    array = array.rename({axis.dims[0]: dim for dim, axis in axes.items()})
    axes["time"] = decode_dates(axes["time"], dataset)
    array = array.assign_coords({dim: (dim, axis.values) for dim, axis in axes.items()})
    index, values = order_longitudes(array.longitude.values)
    array = take(array.sortby("latitude"), "longitude", index)
    return array.assign_coords(longitude=values).transpose(*FLAT).astype(np.float32)


def on_grid(view: xr.DataArray, times, latitude, longitude) -> xr.DataArray:
    """A view at other dates, rows and columns, (time, latitude, longitude), lazy, without gaps.

    Args:
        times: dates of a field: of months, or of days where two lie less than 20 days apart.
    Raises:
        ValueError: the view lacks a date, or more than a fifth of the days of a month.
    """
    times = np.asarray(times, "datetime64[ns]")
    daily = len(times) > 1 and np.diff(times).min() < np.timedelta64(20, "D")
    often = len(view.time) > 1 and np.median(np.diff(view.time)) < np.timedelta64(20, "D")
    unit = "D" if daily else "M"
    seen, asked = (each.astype(f"M8[{unit}]") for each in (view.time.values, times))
    means = []
    for date, days in zip(asked, (asked + 1).astype("M8[D]") - asked.astype("M8[D]")):
        own = view.isel(time=np.flatnonzero(seen == date))
        due = days.astype(int) if often else 1
        if own.sizes["time"] < LEAST * due:
            raise ValueError(
                f"{date} is seen from above on {own.sizes['time']} of {due} date(s), limit "
                f"{LEAST:.0%}; fetch the others, or choose another period"
            )
        means.append(own.mean("time", skipna=True))
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
    """Every missing cell of (T, H, W) with the value of the nearest that is not."""
    filled = []
    for field in block:
        nearest = distance_transform_edt(
            np.isnan(field), return_distances=False, return_indices=True
        )
        filled.append(field[tuple(nearest)])
    return np.stack(filled).astype(np.float32)


def degraded(surface: xr.DataArray, product: str, seed: int = 0) -> xr.DataArray:
    """The surface of a model as a product would show it, (time, latitude, longitude), lazy.

    Args:
        seed: with a date's place it decides its error.
    """
    source = SOURCES[product]
    steps = [float(np.abs(np.diff(surface[dim])).mean()) for dim in FLAT[1:]]
    width = [0.5 * source.footprint / step for step in steps]
    blocks = surface.transpose(*FLAT).chunk(time=1, latitude=-1, longitude=-1).data
    look = partial(_looked, width=width, error=source.error, seed=seed)
    return surface.copy(data=blocks.map_blocks(look, dtype=np.float32))


def _looked(block, width, error, seed, block_info=None) -> np.ndarray:
    if not block_info:  # asked for its kind only
        return block
    place = block_info[0]["array-location"][0][0]
    sea = ~np.isnan(block[0])
    smooth = partial(gaussian_filter, mode="nearest")
    share = smooth(sea.astype(float), width)
    field = smooth(np.where(sea, block[0], 0.0), width) / np.maximum(share, 1e-6)
    noise = np.random.default_rng([seed, place]).standard_normal(sea.shape)
    noise = smooth(noise, [2 * each for each in width])
    noise *= error / noise.std()
    return np.where(sea, field + noise, np.nan)[None].astype(np.float32)


def seen_by(
    product: str, paths, surface: xr.DataArray, *, seed: int = 0, split: str = "auto", **parts
) -> xr.DataArray:
    """The view from above of a whole record: of training dates the model's own surface, degraded;
    from the first validation date on, what the product saw.

    Args:
        product: one that sees temperature.    paths: its files, of validation and test dates.
        surface: the model's own, (time, latitude, longitude) °C.
        split, parts: as `splits.choose_split` takes them.
    Raises:
        ValueError: another product, a split in space, or dates that the product lacks.
    """
    able = [name for name, each in SOURCES.items() if each.sees == "temperature"]
    if product not in able:
        raise ValueError(f"satellite {product!r} sees no temperature; choose one of {able}")
    chosen = choose_split(surface.time.values, surface.sizes["longitude"], split, **parts)
    if chosen["kind"] != "time":
        raise ValueError(
            f"the split is in {chosen['kind']}, a satellite needs one in time; set split='time'"
        )
    first = chosen["validation"][0]
    own = degraded(surface.isel(time=slice(0, first)), product, seed)
    grid = surface.latitude.values, surface.longitude.values
    view = on_grid(open_view(paths, product), surface.time.values[first:], *grid)
    return xr.concat([own, view.assign_coords(own.isel(time=0, drop=True).coords)], "time")
