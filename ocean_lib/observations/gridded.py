"""Gridded observations, gaps and all, on the levels of a model.

A file of observations is any gridded temperature that `recognition` understands, with fill where
nobody measured. Beside the temperature it may hold, on the same grid,

    error     standard deviation of each value, °C; 0, exact, where there is none; of a further
              variable with its name in front, such as salinity_error
    surface   temperature seen from above, °C (time, latitude, longitude)
    ocean     sea water at that depth; where there is none, the model's own ocean serves

`open_observations` hands back what `dataset.observe` does, lazily: `value`, `observed`, `error`
(time, depth, latitude, longitude), `ocean`, and `surface`, `surface_observed`. What a model cannot
use is refused, with the remedy, or left out and counted in `attrs["notes"]`.
"""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from ocean_lib.fields.canonical import check_values
from ocean_lib.fields.conventions import DIMS, named
from ocean_lib.fields.files import find_files, open_file
from ocean_lib.fields.recognition import arrange, canonical_names
from ocean_lib.fields.seawater import to_potential

__all__ = ["read_in_bands", "count_observations", "open_observations"]


LEVEL = 0.05  # of the depth: levels closer than this, or than 0.5 m, are one
ON_LAND = 0.1  # share of the observations that a coast may put on land
BLOCK = 128  # rows looked at together
TOGETHER = {
    "data_vars": "minimal",
    "coords": "minimal",
    "compat": "override",
    "join": "exact",
    "combine_attrs": "override",
}


def open_observations(paths, statistics: xr.Dataset) -> xr.Dataset:
    """Observations of files on the levels of a model's `statistics`, on their own rows and columns.

    Raises:
        FileNotFoundError: nothing lies there.
        ValueError: a file is unreadable or holds no gridded temperature, another kind of
            temperature than the model's, no level that the model has, or dates twice.
    """
    pieces = []
    for path in find_files(paths):
        dataset = open_file(path)
        try:
            pieces.append(_arranged(dataset, statistics))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    try:
        given = xr.concat(pieces, "time", **TOGETHER).sortby("time")
    except ValueError as error:
        raise ValueError(f"the files of {paths} lie on different grids; give them apart") from error
    times = given.time.values
    if (times[1:] == times[:-1]).any():
        raise ValueError(
            f"date {times[1:][times[1:] == times[:-1]][0]} stands there twice, limit 1 field a "
            "date; merge the two, or leave one out"
        )
    return given


def _arranged(dataset: xr.Dataset, statistics: xr.Dataset) -> xr.Dataset:
    """One file: everything observed at the model's levels, lazily."""
    beside = [name for name in ("error", "surface", "ocean", "observed") if name in dataset]
    names = canonical_names(str(name) for name in dataset.data_vars)
    variables = ["temperature"]
    variables += [name for name in statistics.attrs["variables"][1:] if name in names]
    errors = {v: named(v, "error") for v in variables if named(v, "error") in dataset}
    for name in (*beside, *errors.values()):
        # As a copy of the temperature's attributes, these would make it a second temperature.
        dataset[name].attrs.pop("standard_name", None)
    given = to_potential(arrange(dataset, [*variables[1:], *errors.values()]))
    kind, expected = given.temperature.attrs["standard_name"], statistics.attrs["standard_name"]
    if kind != expected:
        raise ValueError(
            f"it holds {kind}, the model was trained on {expected}; convert it, or add the "
            "salinity from which it can be converted"
        )
    given, notes = _levels(_turned(given, statistics), statistics)
    result = xr.Dataset(attrs={"notes": notes})
    empty = given.temperature.where(False)
    for variable in statistics.attrs["variables"]:
        value = given[variable] if variable in variables else empty
        result[named(variable, "value")] = value.drop_attrs()
        result[named(variable, "observed")] = value.notnull()
        error = given[errors[variable]] if variable in errors else xr.zeros_like(value)
        result[named(variable, "error")] = error.drop_attrs()
    if statistics.attrs["surfaces"] and "surface" in dataset:
        surface = _turned(_alone(dataset, "surface"), statistics).temperature
        result["surface"] = surface.isel(depth=0, drop=True)
        result["surface_observed"] = result.surface.notnull()
    result["ocean"] = _ocean(dataset, statistics, result)
    return result


def _ocean(dataset: xr.Dataset, statistics: xr.Dataset, given: xr.Dataset) -> xr.DataArray:
    """The file's own ocean or, where it holds none, the model's at the nearest cells."""
    if "ocean" in dataset:
        ocean, _ = _levels(_turned(_alone(dataset, "ocean"), statistics), statistics)
        return ocean.temperature.isel(time=0, drop=True) > 0.5
    places = {name: given[name] for name in DIMS[2:]}
    wet = statistics.wet.isel(channel=slice(statistics.attrs["surfaces"], None))
    wet = wet.isel(channel=slice(0, statistics.sizes["depth"])).rename(channel="depth")
    return wet.sel(places, method="nearest").assign_coords(places)


def _alone(dataset: xr.Dataset, name: str) -> xr.Dataset:
    """`surface` or `ocean`, arranged as a temperature is, so that it lies as the others do."""
    alias = "sst" if name == "surface" else "thetao"
    others = [key for key, v in dataset.data_vars.items() if v.ndim > 2 and key != name]
    alone = dataset.drop_vars(others).rename({name: alias})
    if name == "ocean":
        alone[alias] = alone[alias].astype("float32").drop_attrs()
    return arrange(alone)


def _turned(fields: xr.Dataset, statistics: xr.Dataset) -> xr.Dataset:
    """Longitudes in the turn of the globe in which the model's lie."""
    middle = [float(place.longitude.values[[0, -1]].mean()) for place in (statistics, fields)]
    turns = np.round((middle[0] - middle[1]) / 360)
    return fields.assign_coords(longitude=fields.longitude + 360 * turns)


def _levels(fields: xr.Dataset, statistics: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    """The fields on the model's levels, NaN at those they lack; what is left out, in words."""
    have, want = fields.depth.values, statistics.depth.values
    tolerance = np.maximum(0.5, LEVEL * want)
    same = np.abs(have[:, None] - want) <= tolerance
    if not same.any():
        raise ValueError(
            f"none of its levels, {np.round(have, 1).tolist()} m, is one of the model's, "
            f"{np.round(want, 1).tolist()} m; interpolate the profiles to these"
        )
    placed = fields.reindex(depth=want, method="nearest", tolerance=tolerance)
    apart = [f"{depth:.0f}" for depth in have[~same.any(1)]]
    missed = [f"{depth:.0f}" for depth in want[~same.any(0)]]
    notes = []
    if apart:
        notes.append(f"depth: the model has no level at {', '.join(apart)} m; they are left out")
    if missed:
        notes.append(f"depth: nothing is observed at the model's {', '.join(missed)} m")
    return placed.assign_coords(depth=statistics.depth), notes


def read_in_bands(observations: xr.Dataset) -> Iterator[xr.Dataset]:
    """Every date in blocks of rows, in memory, one after the other: bounded whatever the domain."""
    for month in range(observations.sizes["time"]):
        for top in range(0, observations.sizes["latitude"], BLOCK):
            yield observations.isel(time=[month], latitude=slice(top, top + BLOCK)).load()


def count_observations(observations: xr.Dataset) -> tuple[xr.Dataset, int]:
    """The observations without those on land, and how many values of temperature there are.

    Raises:
        ValueError: there is none, too many lie on land, values cannot be °C, or an error is no
            standard deviation.
    """
    total = land = 0
    low, high = np.inf, -np.inf
    for part in read_in_bands(observations):
        seen = part.observed.values
        value, error = part.value.values[seen], part.error.values[seen]
        total += len(value)
        land += int((seen & ~part.ocean.values).sum())
        low, high = min(low, value.min(initial=np.inf)), max(high, value.max(initial=-np.inf))
        bad = error[~(np.isfinite(error) & (error >= 0))]
        if len(bad):
            raise ValueError(f"an error of {bad[0]:g} °C is none; give standard deviations >= 0")
    if not total:
        raise ValueError("0 values are observed, needs 1; all is fill, or at levels left out")
    check_values({"temperature": (float(low), float(high))})
    if land > ON_LAND * total:
        raise ValueError(
            f"{land} of {total} observations lie on land, limit {ON_LAND:.0%}; check latitude and "
            "longitude, or give the file an ocean mask by the name of `ocean`"
        )
    if land:
        note = f"{land} of {total} observations lie on land and are left out"
        observations = observations.assign_attrs(notes=[*observations.attrs["notes"], note])
    for name in [name for name in observations if str(name).endswith("observed")]:
        if name != "surface_observed":
            observations[name] = observations[name] & observations.ocean
    return observations, total - land
