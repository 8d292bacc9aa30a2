"""The surface as satellites see it, on a field's grid and dates.

A satellite product becomes one field per date (the mean of the calendar month if the dates are
months) on the rows and columns of a field. Ocean cells that the product does not cover, one or two
along coasts, get the value of the nearest covered cell; they are counted, and more than a fifth of
the ocean is refused.

On training dates, and where there is no product, the surface is the model's, degraded to look like
the product (`resolution`). Sea level is aligned with the model's (`sea_level`).
"""

from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy.ndimage import distance_transform_edt

from ocean_lib.core.months import choose_split
from ocean_lib.fields.conventions import ANOMALY, MAP_DIMS, SURFACE_SALINITY, SURFACES
from ocean_lib.fields.files import Paths, find_files, open_file
from ocean_lib.fields.recognition import arrange
from ocean_lib.fields.regrid import regrid
from ocean_lib.fields.surfaces import QUANTITIES, STANDARD_NAMES, check_deviation, check_practical
from ocean_lib.fields.survey import check_values
from ocean_lib.sources.catalogue import SOURCES, Source
from ocean_lib.sources.resolution import degraded
from ocean_lib.sources.sea_level import aligned

__all__ = ["on_dates", "on_grid", "open_view", "seen_from_above"]


MIN_DAYS = 0.8  # share of the days of a month that must be covered
MOST_FILLED = 0.2  # share of the ocean's cells that may be filled from their neighbours


def open_view(paths: Paths, product: str) -> xr.DataArray:
    """Open a satellite product of the surface.

    Args:
        paths: a file, folder, glob or list of them.
        product: a key of `catalogue.SOURCES`.

    Returns:
        (time, latitude, longitude), lazy, °C, m or practical salinity, NaN where not covered.

    Raises:
        ValueError: a file does not hold the product, or its first date has values that no sea has.
    """
    source = SOURCES[product]
    pieces = []
    for path in find_files(paths):
        try:
            pieces.append(_view(open_file(path), source))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    view = xr.concat(pieces, "time", join="override", combine_attrs="override").sortby("time")
    view = view.drop_duplicates("time")
    first = view.isel(time=0).load()
    try:
        limits = float(first.min()), float(first.max())
        # Without a value NaN, which is no limit; `on_grid` refuses what it lacks.
        check_values({QUANTITIES[source.sees]: limits} if np.isfinite(limits).all() else {})
        if source.sees == "sea_level":
            check_deviation(float(first.std()))
    except ValueError as error:
        raise ValueError(f"{product} on {str(first.time.values)[:10]}: {error}") from error
    return view


def _view(dataset: xr.Dataset, source: Source) -> xr.DataArray:
    """The product in one file, as `open_view` returns it."""
    chosen = None
    if source.sees != "surface_temperature":
        name = source.variables[0]
        if name not in dataset:
            topography = " (adt is absolute dynamic topography)" if "adt" in dataset else ""
            raise ValueError(
                f"no {name} among {list(map(str, dataset.data_vars))}{topography}; "
                f"fetch {source.title}"
            )
        check_practical(name, dataset[name].attrs.get("standard_name"))
        chosen = name, ANOMALY if source.sees == "sea_level" else SURFACE_SALINITY
    return arrange(dataset, temperature=chosen).temperature.isel(depth=0, drop=True)


def on_dates(view: xr.DataArray, times: np.ndarray, daily: bool = False) -> xr.DataArray:
    """The fields of a view on the dates of a field.

    Args:
        view: (time, latitude, longitude), daily or monthly, or days after months.
        times: dates, datetime64 (T,).
        daily: whether they are days; otherwise they stand for their months.

    Returns:
        For each date the field of the day, or the mean of the month, lazy, in a chunk of its own.

    Raises:
        ValueError: the view lacks a date, or more than a fifth of the days of a month.
    """
    # A product may go on by days where its monthly means end.
    steps = np.diff(view.time.values) > np.timedelta64(20, "D")
    monthly_means = np.append(steps[:1], steps) if len(steps) else np.ones(1, bool)
    unit = "D" if daily else "M"
    available, wanted = (dates.astype(f"M8[{unit}]") for dates in (view.time.values, times))
    means = []
    for date, days in zip(wanted, (wanted + 1).astype("M8[D]") - wanted.astype("M8[D]")):
        here = available == date
        covered = view.isel(time=np.flatnonzero(here))
        one = monthly_means[here if here.any() else slice(None)]
        expected = 1 if one.all() else days.astype(int)
        if covered.sizes["time"] < MIN_DAYS * expected:
            raise ValueError(
                f"{date} is covered on {covered.sizes['time']} of {expected} date(s), limit "
                f"{MIN_DAYS:.0%}; fetch the others, or choose another period"
            )
        means.append(covered.mean("time", skipna=True))
    fields = xr.concat(means, "time", combine_attrs="override").assign_coords(time=times)
    return fields.chunk(time=1, latitude=-1, longitude=-1)


def on_grid(
    view: xr.DataArray,
    times: np.ndarray,
    latitude: ArrayLike,
    longitude: ArrayLike,
    ocean: np.ndarray | None = None,
) -> xr.DataArray:
    """Put a view on the dates and cells of a field, without gaps.

    Args:
        view: of `open_view`.
        times: dates of the field: days if any two lie less than 20 days apart, else months.
        latitude: (H,), degrees.
        longitude: (W,), degrees.
        ocean: (H, W) bool, the field's; all cells by default.

    Returns:
        (time, latitude, longitude), lazy. Its attribute `filled_cells` is the number of ocean cells
        that the view lacks, summed over all dates, which are read once to count them.

    Raises:
        ValueError: the view lacks a date, more than a fifth of the days of a month, or more than a
            fifth of the ocean on a date.
    """
    times = np.asarray(times, "datetime64[ns]")
    daily = len(times) > 1 and np.diff(times).min() < np.timedelta64(20, "D")
    monthly = on_dates(view, times, daily)
    rows, columns = (np.asarray(axis, float) for axis in (latitude, longitude))
    move = partial(
        _moved,
        latitude=view.latitude.values,
        longitude=view.longitude.values,
        rows=rows,
        columns=columns,
        ocean=ocean,
        dates=times.astype(f"M8[{'D' if daily else 'M'}]"),
    )
    dates = monthly.chunks[0]
    data = monthly.data.map_blocks(
        partial(_moved_block, move=move),
        dtype=np.float32,
        chunks=(dates, (len(rows),), (len(columns),)),
    )
    numbers = monthly.data.map_blocks(
        partial(_filled_block, move=move), dtype=np.int64, chunks=(dates, (1,), (1,))
    )
    attrs = view.attrs | {"filled_cells": int(numbers.sum().compute())}
    return xr.DataArray(data, dict(zip(MAP_DIMS, (times, rows, columns))), MAP_DIMS, attrs=attrs)


def _moved_block(block: np.ndarray, move, block_info=None) -> np.ndarray:
    if not block_info:  # dask infers the result's type
        return block
    return move(block, date=block_info[0]["array-location"][0][0])[0]


def _filled_block(block: np.ndarray, move, block_info=None) -> np.ndarray:
    if not block_info:
        return np.zeros((1, 1, 1), np.int64)
    return np.full((1, 1, 1), move(block, date=block_info[0]["array-location"][0][0])[1])


def _moved(block, date, latitude, longitude, rows, columns, ocean, dates) -> tuple[np.ndarray, int]:
    """A date (1, H, W) on other cells without gaps, and the number of ocean cells filled."""
    array = xr.DataArray(block, {"latitude": latitude, "longitude": longitude}, MAP_DIMS)
    field = regrid(array, rows, columns).values[0]
    missing = np.isnan(field)
    filled = int(missing.sum() if ocean is None else (missing & ocean).sum())
    if missing.all() or ocean is not None and filled > MOST_FILLED * ocean.sum():
        cells = missing.size if ocean is None else int(ocean.sum())
        raise ValueError(
            f"on {dates[date]} the satellite product lacks {filled} of the ocean's {cells} cells, "
            f"limit {MOST_FILLED:.0%}; choose a region that it covers, or leave it out of "
            "satellites"
        )
    return _without_gaps(field)[None], filled


def _without_gaps(field: np.ndarray) -> np.ndarray:
    """Fill every missing cell of (H, W) with the value of the nearest other cell."""
    nearest = distance_transform_edt(np.isnan(field), return_distances=False, return_indices=True)
    return field[tuple(nearest)].astype(np.float32)


def seen_from_above(
    model: xr.Dataset,
    products: dict[str, Paths],
    *,
    seed: int = 0,
    split: str = "auto",
    **parts: Any,
) -> xr.Dataset:
    """Surface fields of a record: the model's, degraded, or on later dates a satellite product's.

    A surface with a product is the product's own from the first validation date on; sea level is
    first aligned with the model's, for which its product must cover the training dates too. All
    other values are the model's, as the product that sees this surface would show them.

    Args:
        model: of `fields.surfaces.open_surfaces`: some of `conventions.SURFACES`, each (time,
            latitude, longitude), lazy.
        products: files of satellite products by their keys of `catalogue.SOURCES`; may be empty.
        seed: of the noise.
        split: the kind of split, as for `core.months.choose_split`.
        parts: its other choices.

    Returns:
        The same surfaces, lazy, with attributes `standard_name`, `units`, `error` (standard
        deviation of the noise, in this unit) and, where a product is used, `filled_cells`.

    Raises:
        ValueError: a product sees nothing that the model has, two see the same, the split is in
            space, or a product lacks dates, a part of the ocean, or has impossible values.
    """
    chosen = _by_surface(model, products)
    usual = {source.sees: name for name, source in reversed(SOURCES.items()) if source.sees}
    first, train = model.sizes["time"], slice(0, 0)
    if chosen:
        times, width = model.time.values, model.sizes["longitude"]
        periods = choose_split(times, width, split, **parts)
        if periods["kind"] != "time":
            raise ValueError(
                f"the split is in {periods['kind']}, satellites need one in time; set split='time'"
            )
        first, train = periods["validation"][0], slice(*periods["train"])
    surfaces = {}
    for name, array in model.data_vars.items():
        product = chosen.get(str(name), usual[str(name)])
        simulated = array.isel(time=slice(0, first)) if name in chosen else array
        seen = degraded(simulated, product, seed)
        standard = {"standard_name": STANDARD_NAMES[str(name)], "units": SURFACES[str(name)]}
        attrs: dict[str, Any] = standard | {
            key: array.attrs[key] for key in standard if key in array.attrs
        }
        attrs["error"] = SOURCES[product].error
        if name in chosen:
            view = _of_product(product, products[product], array, train, first)
            attrs |= {key: view.attrs[key] for key in ("error", "filled_cells")}
            view = view.assign_coords(seen.isel(time=0, drop=True).coords)
            seen = xr.concat([seen, view], "time", combine_attrs="drop")
        surfaces[name] = seen.drop_attrs().assign_attrs(attrs)
    return xr.Dataset(surfaces, attrs=model.attrs)


def _by_surface(model: xr.Dataset, products: dict[str, Paths]) -> dict[str, str]:
    """{surface: product that sees it}."""
    chosen: dict[str, str] = {}
    for product in products:
        sees = SOURCES[product].sees if product in SOURCES else ""
        if not sees:
            known = [name for name, source in SOURCES.items() if source.sees]
            raise ValueError(f"{product!r} is no satellite product; choose of {known}")
        if sees not in model:
            raise ValueError(
                f"satellite {product} sees {sees}, surfaces are {list(model)}; add it to surfaces, "
                "or leave the satellite out"
            )
        if sees in chosen:
            raise ValueError(
                f"satellites {chosen[sees]} and {product} both see {sees}, limit 1; leave one out"
            )
        chosen[sees] = product
    return chosen


def _of_product(
    product: str, paths: Paths, model: xr.DataArray, train: slice, first: int
) -> xr.DataArray:
    """A surface as a product shows it from date `first` on, missing outside the model's ocean."""
    times, source = model.time.values, SOURCES[product]
    dry = model.isel(time=slice(first, None)).isnull().all("time")
    ocean = ~dry.transpose(*MAP_DIMS[1:]).values
    training = times[train] if source.sees == "sea_level" else times[:0]
    dates = np.concatenate([training, times[first:]])
    grid = model.latitude.values, model.longitude.values
    view = on_grid(open_view(paths, product), dates, *grid, ocean)
    error, filled = source.error, view.attrs["filled_cells"]
    if source.sees == "sea_level":
        view = aligned(view, model, training, error)
        error = view.attrs["error"]
    view = view.isel(time=slice(len(training), None)).where(xr.DataArray(ocean, dims=MAP_DIMS[1:]))
    return view.assign_attrs(error=error, filled_cells=filled)
