"""Gridded observations, with gaps, on the levels of a model.

A file of observations is any gridded temperature that `fields.recognition` understands, with fill
where nothing was measured. On the same grid it may hold:

    error     standard deviation of each value, °C; 0 (exact) if absent; that of a further
              variable has its name in front, such as salinity_error
    surface_temperature, sea_level, surface_salinity
              fields seen from above (time, latitude, longitude), °C or K, m, practical salinity;
              a sea level with the standard name of an anomaly is one from its mean, with the
              rise of the global mean, as altimeters measure it
    ocean     where there is sea water at that depth; if absent, the model's own ocean is used

`open_observations` returns, lazily, what `batch.observe` does: `value`, `observed`, `error`
(time, depth, latitude, longitude), `ocean`, and the surface fields with where they are seen. What a
model cannot use is refused with the remedy, or left out and counted in `attrs["notes"]`.
"""

import numpy as np
import xarray as xr

from ocean_lib.fields.conventions import (
    ANOMALY,
    DIMS,
    POTENTIAL,
    SEA_LEVELS,
    SURFACE,
    SURFACES,
    named,
)
from ocean_lib.fields.description import range_in_words
from ocean_lib.fields.files import Paths, find_files, open_file
from ocean_lib.fields.recognition import arrange, canonical_names
from ocean_lib.fields.seawater import to_potential
from ocean_lib.fields.surfaces import STANDARD_NAMES
from ocean_lib.observations.representativeness import level_channels
from ocean_lib.sources.sea_level import rise

__all__ = ["describe_observations", "open_observations"]


LEVEL_TOLERANCE = 0.05  # of the depth: levels closer than this, or than 0.5 m, count as the same


def open_observations(
    paths: Paths, statistics: xr.Dataset, variable: str | None = None
) -> xr.Dataset:
    """Open observations on the levels of a model, on their own rows and columns.

    Args:
        paths: a file, folder, glob or list of them.
        statistics: of the model.
        variable: name of the variable to use as temperature; recognised by default.

    Returns:
        The dataset described in this module's docstring, lazy, sorted by time.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file is unreadable or holds no gridded temperature, another kind of
            temperature than the model's, no level of the model, or a date twice.
    """
    pieces = []
    for path in find_files(paths):
        dataset = open_file(path)
        try:
            pieces.append(_on_model_levels(dataset, statistics, variable))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    options = {"data_vars": "minimal", "coords": "minimal", "compat": "override"}
    try:
        observations = xr.concat(
            pieces, "time", join="exact", combine_attrs="override", **options
        ).sortby("time")
    except ValueError as error:
        raise ValueError(
            f"the files of {paths} lie on different grids; give them one at a time"
        ) from error
    times = observations.time.values
    if (repeated := times[1:] == times[:-1]).any():
        raise ValueError(
            f"date {times[1:][repeated][0]} occurs twice, limit 1 field per date; merge the two, "
            "or leave one out"
        )
    return observations


def _on_model_levels(
    dataset: xr.Dataset, statistics: xr.Dataset, variable: str | None
) -> xr.Dataset:
    """The observations of one file at the model's levels, lazy."""
    names = canonical_names(str(name) for name in dataset.data_vars)
    further = [name for name in statistics.attrs["variables"][1:] if name in names]
    variables = ["temperature", *further]
    errors = {v: named(v, "error") for v in variables if named(v, "error") in dataset}
    beside = {"error", "surface_temperature", "surface_salinity", "ocean", "observed"}
    for name in beside | {*errors.values()}:
        if name in dataset:  # attributes copied from the temperature would make it a second one
            dataset[name].attrs.pop("standard_name", None)
    fields = to_potential(arrange(dataset, [*further, *errors.values()], named=variable))
    kind, expected = fields.temperature.attrs["standard_name"], statistics.attrs["standard_name"]
    if kind != expected:
        raise ValueError(
            f"it holds {kind}, the model was trained on {expected}; convert it, or add the "
            "salinity from which it can be converted"
        )
    fields, notes = _select_levels(_same_turn(fields, statistics), statistics)
    source = fields.temperature.attrs.get("source_name", "temperature")
    observations = xr.Dataset(attrs={"notes": notes, "source_name": source})
    empty = fields.temperature.where(False)
    for name in statistics.attrs["variables"]:
        value = fields[name] if name in variables else empty
        observations[named(name, "value")] = value.drop_attrs()
        observations[named(name, "observed")] = value.notnull()
        error = fields[errors[name]] if name in errors else xr.zeros_like(value)
        observations[named(name, "error")] = error.drop_attrs()
    if "surface" in dataset:
        raise ValueError(
            f"its variable surface does not say what it is; name it one of {list(SURFACES)}"
        )
    for name in SURFACES:
        if name not in dataset:
            continue
        if name not in statistics.attrs["surfaces"]:
            notes.append(f"{name}: the model does not use it; it is left out")
            continue
        kind = SURFACE if name == "surface_temperature" else STANDARD_NAMES[name]
        arranged = _same_turn(arrange(dataset, temperature=(name, kind)), statistics)
        surface = arranged.temperature.isel(depth=0, drop=True)
        _check_grid(surface, observations, name)
        if dataset[name].attrs.get("standard_name") in SEA_LEVELS[ANOMALY][0]:
            surface = _from_anomaly(surface, statistics, observations)
            notes.append(
                "sea_level: an anomaly; without the rise of the global mean since the middle of "
                "the training months, it is added to their mean"
            )
        observations[name] = surface
        observations[named(name, "observed")] = observations[name].notnull()
    observations["ocean"] = _ocean(dataset, statistics, observations)
    return observations


def _from_anomaly(anomaly: xr.DataArray, statistics: xr.Dataset, grid: xr.Dataset) -> xr.DataArray:
    """A sea level of the reference of the training data, from an altimeter's anomaly, m.

    Raises:
        ValueError: the model, of a split in space, knows one mean for all cells.
    """
    cells = {name: grid[name] for name in DIMS[2:]}
    channel = [*statistics.attrs["surfaces"]].index("sea_level")
    mean = statistics.harmonic.isel(term=0, channel=channel)
    if mean.size > 1 and float(mean.max()) == float(mean.min()):
        raise ValueError(
            f"its sea_level is {ANOMALY}, but the model has one mean sea level, "
            f"{float(mean.max()):.3g} m, for all places, limit one for each; give the sea level "
            "above the geoid, or a model whose split is in time"
        )
    first, last = (np.datetime64(statistics.attrs[key], "s") for key in ("first", "last"))
    risen = rise(anomaly.time.values, first + (last - first) / 2).astype(np.float32)
    level = anomaly - xr.DataArray(risen, {"time": anomaly.time}, ["time"])
    return level + mean.sel(cells, method="nearest").assign_coords(cells)


def _ocean(dataset: xr.Dataset, statistics: xr.Dataset, grid: xr.Dataset) -> xr.DataArray:
    """The file's ocean or, if it has none, the model's at the nearest cells."""
    if "ocean" in dataset:
        ocean = dataset.ocean.astype("float32").drop_attrs(deep=False)
        dataset = dataset.assign(ocean=ocean)
        ocean = _same_turn(arrange(dataset, temperature=("ocean", POTENTIAL)), statistics)
        _check_grid(ocean, grid, "ocean")
        ocean, _ = _select_levels(ocean, statistics)
        return _as_mask(ocean.temperature.isel(time=0, drop=True))
    cells = {name: grid[name] for name in DIMS[2:]}
    ocean = statistics.wet.isel(channel=level_channels(statistics)).rename(channel="depth")
    return ocean.sel(cells, method="nearest").assign_coords(cells)


def _check_grid(array: xr.DataArray | xr.Dataset, grid: xr.Dataset, name: str) -> None:
    """Refuse a variable on other rows or columns than the temperature."""
    for dim in DIMS[2:]:
        if not array[dim].equals(grid[dim]):
            raise ValueError(
                f"its {name} has {array.sizes[dim]} values of {dim}, the temperature "
                f"{grid.sizes[dim]}, or others; put both on one grid"
            )


def _as_mask(ocean: xr.DataArray) -> xr.DataArray:
    """A mask of numbers as bool; a cell without a number is land.

    Raises:
        ValueError: a number is not 0 or 1.
    """
    values = ocean.values
    other = values[np.isfinite(values) & (values != 0) & (values != 1)]
    if len(other):
        raise ValueError(f"its ocean holds {other[0]:g}, must be 1 in the sea and 0 on land")
    return ocean.copy(data=values == 1)


def _same_turn(fields: xr.Dataset, statistics: xr.Dataset) -> xr.Dataset:
    """The fields with longitudes in the same turn of the globe as the model's."""
    model, centre = (float(x.longitude.values[[0, -1]].mean()) for x in (statistics, fields))
    turns = np.round((model - centre) / 360)
    return fields.assign_coords(longitude=fields.longitude + 360 * turns)


def _select_levels(fields: xr.Dataset, statistics: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    """The fields on the model's levels, NaN at those they lack; and notes on what is left out."""
    levels, wanted = fields.depth.values, statistics.depth.values
    tolerance = np.maximum(0.5, LEVEL_TOLERANCE * wanted)
    same = np.abs(levels[:, None] - wanted) <= tolerance
    if not same.any():
        raise ValueError(
            f"none of its levels, {np.round(levels, 1).tolist()} m, is one of the model's, "
            f"{np.round(wanted, 1).tolist()} m; interpolate the profiles to these"
        )
    fields = fields.reindex(depth=wanted, method="nearest", tolerance=tolerance)
    extra = ", ".join(f"{depth:.0f}" for depth in levels[~same.any(1)])
    missing = ", ".join(f"{depth:.0f}" for depth in wanted[~same.any(0)])
    notes = [f"depth: the model has no level at {extra} m; they are left out"] if extra else []
    if missing:
        notes.append(f"depth: nothing is observed at the model's {missing} m")
    return fields.assign_coords(depth=statistics.depth), notes


def describe_observations(observations: xr.Dataset, number: int) -> str:
    """What was understood of gridded observations, in a line of text.

    Args:
        observations: from `screen_observations`.
        number: of observed temperatures.
    """
    sizes = ", ".join(f"{observations.sizes[name]} {name}" for name in DIMS)
    values = range_in_words(observations.attrs["actual_range"])
    return (
        f"{number} observations of {observations.attrs['source_name']}, {values} °C, "
        f"{range_in_words(observations.time)}, on {sizes}"
    )
