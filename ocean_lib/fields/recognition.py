"""Recognition of the variables of a gridded file, whatever their names, signs, units and order.

CF attributes identify a variable; without them, its name does. The tables of `conventions` list the
kinds in order of preference. Anomalies, errors, deviations and counts are never temperature; among
several of the best kind, a standard_name and then a name in use decide, and a tie is refused.
`arrange` returns temperature and further variables, lazy, in canonical order. A file that is not
recognised is refused with a remedy.
"""

import re
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import xarray as xr

from ocean_lib.core.messages import shortened
from ocean_lib.fields import conventions
from ocean_lib.fields.axes import depth_in_metres, find_axis, horizontal, order_longitudes, take
from ocean_lib.fields.conventions import DIMS, POTENTIAL, SALINITIES, TEMPERATURES, Region
from ocean_lib.fields.dates import decode_dates
from ocean_lib.fields.decoding import decode
from ocean_lib.fields.units import ATTRIBUTES, in_canonical_unit, salinity_attrs

__all__ = ["arrange", "canonical_names", "find_variable"]


# What a name, a long_name and cell_methods say of statistics other than a mean.
OTHER_NAME = re.compile(
    r"(^|[_-])(anom\w*|err\w*|std\w*|stdev|sd|se|dd|oa|ma|gp|var|variance|count|nobs|num_obs|n_obs"
    r"|unc\w*|uncertainty|spread|tendency|increment|incr|flag|qc|min|max|minimum|maximum|sdev|rms\w*|p\d+"
    r"|trend|bias|diff)($|[_-])"
)
OTHER_LONG_NAME = re.compile(
    r"anomal|error|deviation|uncertaint|number of|\bcount|variance|tendency|increment|\bflag"
)
OTHER_METHOD = re.compile(r"standard_deviation|variance|range|maximum|minimum|\bsum\b")


def canonical_names(variables: str | Iterable[str]) -> list[str]:
    """Canonical names of further variables: `salinity` for any of its names, others unchanged.

    Args:
        variables: one name or several.
    """
    requested = [variables] if isinstance(variables, str) else list(variables)
    known = {name for table in SALINITIES.values() for names in table for name in names}
    return list(dict.fromkeys("salinity" if str(n).lower() in known else n for n in requested))


def arrange(
    dataset: xr.Dataset,
    variables: str | Iterable[str] = (),
    region: Region | None = None,
    temperature: tuple[Hashable, str] | None = None,
    named: str | None = None,
) -> xr.Dataset:
    """Bring an opened dataset, decoded or raw, to canonical names, order, signs and units.

    Args:
        dataset: from `open_file`.
        variables: names of further variables.
        region: (west, east, south, north), degrees; on a curved grid only the cells around it are
            kept.
        temperature: name and kind (a key of `TEMPERATURES`, `SALINITIES` or `SEA_LEVELS`, or
            `SURFACE_SALINITY`) of the variable to use as temperature; recognised by default.
        named: name of the variable to use as temperature, whose kind its attributes say.
    Returns:
        `temperature (time, depth, latitude, longitude)`, the further variables, and `salinity` if
        it is needed to convert temperature; without `ocean`, and times in the order of the file. A
        section has a single row at its mean latitude, and `station_latitude (longitude)`.
    Raises:
        ValueError: temperature or a further variable is missing on this grid, an axis is missing
            or unusable, or a unit is unknown.
    """
    if {"N_PROF", "N_LEVELS"} <= {*map(str, dataset.sizes)}:
        raise ValueError(_why_casts(dataset))
    name, kind = temperature or _temperature(dataset, named)
    sources = {"temperature": name} | {
        canonical: _further(dataset, canonical, name) for canonical in canonical_names(variables)
    }
    convertible = kind in (conventions.IN_SITU, conventions.CONSERVATIVE)
    salinity = find_variable(dataset, SALINITIES) if convertible or "salinity" in sources else None
    if convertible and salinity is not None:
        # Salinity on other levels cannot convert temperature, which is then left as it is.
        if set(dataset[salinity[0]].dims) == set(dataset[name].dims):
            sources.setdefault("salinity", salinity[0])
    dataset = decode(dataset, sources.values())
    variable = dataset[name]
    axes: dict[str, Any] = {dim: find_axis(dataset, variable, dim) for dim in DIMS}
    for dim in ("latitude", "longitude"):
        if axes[dim] is None:
            raise ValueError(
                _why_casts(dataset)
                or f"{name} {variable.dims} has no {dim} among {list(dataset.variables)}; "
                f"give the coordinate standard_name {dim!r}"
            )
    along = [axes[dim].dims for dim in ("time", "latitude", "longitude") if axes[dim] is not None]
    if along[0] and along.count(along[0]) == 3:
        raise ValueError(
            f"the place of {name} {variable.dims} changes with time along {along[0][0]}, as of "
            "casts of a moving platform, not of a grid; write them as a table of casts (CSV)"
        )
    axes["time"] = decode_dates(axes["time"], dataset)
    axes["depth"] = depth_in_metres(axes["depth"], variable, kind)
    axes["latitude"], axes["longitude"], window, extra = horizontal(
        axes["latitude"], axes["longitude"], variable, region
    )
    arrays = {
        canonical: _ordered(dataset[source].isel(window), axes, variable)
        for canonical, source in sources.items()
    }
    arrays["temperature"] = in_canonical_unit(arrays["temperature"], name, kind)
    if "salinity" in arrays:
        arrays["salinity"].attrs = salinity_attrs(dataset[sources["salinity"]], salinity[1])
    fields = xr.Dataset(arrays, attrs=dataset.attrs).astype("float32")
    fields = fields.assign_coords(_coordinates(axes) | extra)
    fields = take(fields, "depth", np.argsort(fields.depth.values))
    fields = take(fields, "latitude", np.argsort(fields.latitude.values))
    index, values = order_longitudes(fields.longitude.values)
    fields = take(fields, "longitude", index)
    return fields.assign_coords(longitude=("longitude", values, fields.longitude.attrs))


def find_variable(dataset: xr.Dataset, table: dict) -> tuple[Hashable, str] | None:
    """Name and kind of the variable that a table recognises, or None.

    Args:
        dataset: from `open_file`.
        table: of `conventions`, {kind: (standard names, names)}.
    Raises:
        ValueError: several are as good, or the only one holds no numbers.
    """
    matches, refusals = [], []
    for name, variable in dataset.data_vars.items():
        kind = _kind(variable, table)
        if kind is None or variable.ndim < 2 or _is_statistic(variable, kind):
            continue
        if variable.dtype.kind not in "fiu":
            refusals.append(f"{name} {variable.dims} holds {variable.dtype}")
            continue
        matches.append((name, kind))
    if refusals and not matches:
        raise ValueError(f"{refusals[0]}, must be numbers; write it as floats")
    if not matches:
        return None
    known = [name for _, names in table.values() for name in names]
    ranks = [
        (
            -dataset[name].ndim,
            list(table).index(kind),
            "standard_name" not in dataset[name].attrs,
            str(name).lower() not in known,
        )
        for name, kind in matches
    ]
    best = [match for match, rank in zip(matches, ranks, strict=True) if rank == min(ranks)]
    if len(best) > 1:
        names = ", ".join(str(name) for name, _ in best)
        choice = "say which by variable=…, or " if table is TEMPERATURES else ""
        raise ValueError(
            f"{names} are each a {best[0][1]}, limit 1; {choice}leave the others out of the file"
        )
    return best[0]


def _kind(variable: xr.DataArray, table: dict) -> str | None:
    """Kind of a variable in a table, or None."""
    lower, standard_name = str(variable.name).lower(), variable.attrs.get("standard_name")
    which, key = (0, standard_name) if standard_name else (1, lower)
    kind = next((kind for kind, names in table.items() if key in names[which]), None)
    if kind is None or standard_name:
        return kind
    text = str(variable.attrs.get("long_name", "")).lower()
    kinds = (k for word, k in conventions.LONG_NAMES.items() if word in text and k in table)
    return next(kinds, kind)


def _is_statistic(variable: xr.DataArray, kind: str = "") -> bool:
    """Whether a variable is an anomaly, error, deviation or count rather than a mean value."""
    attrs = variable.attrs
    long_name = str(attrs.get("long_name", "")).lower()
    long_name = long_name.replace("anomal", "") if kind == conventions.ANOMALY else long_name
    return bool(
        OTHER_NAME.search(str(variable.name).lower())
        or OTHER_LONG_NAME.search(long_name)
        or OTHER_METHOD.search(re.sub(r"\(.*?\)", "", str(attrs.get("cell_methods", "")).lower()))
    )


def _temperature(dataset: xr.Dataset, variable: str | None) -> tuple[Hashable, str]:
    """Name and kind of temperature: of a named variable, or of the one that is recognised."""
    if variable:
        if variable not in dataset:
            known = list(map(str, dataset.data_vars))
            raise ValueError(f"variable is {shortened(variable)}, not among {known}")
        if dataset[variable].dtype.kind not in "fiu":
            raise ValueError(f"variable {variable} holds {dataset[variable].dtype}, not numbers")
        if kind := _kind(dataset[variable], TEMPERATURES):
            return variable, kind
        raise ValueError(
            f"variable {variable} does not say what temperature it is; give it the standard_name "
            f"{POTENTIAL} or {conventions.IN_SITU}"
        )
    if match := find_variable(dataset, TEMPERATURES):
        return match
    raise ValueError(_why_none(dataset))


def _why_casts(dataset: xr.Dataset) -> str:
    """Why a file holds casts and no field, and what to do; "" if it does not say so."""
    if {"N_PROF", "N_LEVELS"} <= {*map(str, dataset.sizes)}:
        return "it holds profiles (N_PROF × N_LEVELS), not a field; give it as observations"
    feature = str(dataset.attrs.get("featureType", dataset.attrs.get("cdm_data_type", "")))
    if "profile" in feature.lower() or "trajectory" in feature.lower():
        return f"it holds casts (featureType {feature}), not a field; write them as a table (CSV)"
    return ""


def _why_none(dataset: xr.Dataset) -> str:
    """Why a file holds no gridded temperature, and what to do."""
    if casts := _why_casts(dataset):
        return casts
    variables = [str(name) for name in dataset.data_vars]
    statistics = [name for name in variables if _is_statistic(dataset[name])]
    left_out = (
        f" ({', '.join(statistics)} are statistics, not values, by name, long_name or cell_methods;"
        " if one is no statistic, say so by variable=…)"
        if statistics
        else ""
    )
    return (
        f"no temperature among the variables {variables}{left_out}; rename it to thetao or give it "
        f"the standard_name {POTENTIAL} or {conventions.IN_SITU}"
    )


def _further(dataset: xr.Dataset, canonical: str, temperature: Hashable) -> Hashable:
    """Name in the file of a further variable."""
    salinity = find_variable(dataset, SALINITIES) if canonical == "salinity" else None
    marks = {
        name: (str(name).lower(), variable.attrs.get("standard_name"))
        for name, variable in dataset.data_vars.items()
    }
    named = [name for name in marks if str(canonical).lower() in marks[name]]
    named = [name for name in named if name == canonical] or [
        name for name in named if not _is_statistic(dataset[name])
    ]
    if len(named) > 1 and canonical != "salinity":
        raise ValueError(
            f"{', '.join(map(str, named))} are each {canonical!r}, limit 1; name one as the file "
            "spells it"
        )
    matches = [salinity[0]] if salinity else [] if canonical == "salinity" else named
    if not matches:
        raise ValueError(
            f"no variable {canonical!r} among {shortened(list(dataset.data_vars))}; name one of "
            "these in variables, or leave it out"
        )
    if temperature in matches or canonical == "temperature":
        raise ValueError(
            f"variables names {canonical!r}, the temperature, always included; leave it out"
        )
    if (kind := dataset[matches[0]].dtype).kind not in "fiu":
        raise ValueError(f"{matches[0]} holds {kind}, must be numbers; leave it out of variables")
    return matches[0]


def _ordered(array: xr.DataArray, axes: dict, temperature: xr.DataArray) -> xr.DataArray:
    """A variable in canonical order, lazy, without coordinates."""
    name, dims = array.name, array.dims
    names = {axis.dims[0]: dim for dim, axis in axes.items() if axis.ndim}
    if missing := [dim for dim in names if dim not in dims]:
        raise ValueError(
            f"{name} {dims} does not lie along {missing} of {temperature.name} "
            f"{temperature.dims}; interpolate it to that grid, or leave it out of variables"
        )
    array = array if array.chunks is not None else array.chunk("auto")
    array = array.drop_vars(list(array.coords))
    for dim in set(dims) - set(names):
        if array.sizes[dim] > 1:
            raise ValueError(
                f"{name} has {array.sizes[dim]} fields along {dim}, limit 1; choose .isel({dim}=0)"
            )
        array = array.squeeze(dim)
    array = array.rename({old: new for old, new in names.items() if old != new})
    array = array.expand_dims([dim for dim in DIMS if dim not in array.dims]).transpose(*DIMS)
    attrs = {key: str(array.attrs[key]) for key in ATTRIBUTES if key in array.attrs}
    return array.drop_encoding().drop_attrs().assign_attrs(attrs)


def _coordinates(axes: dict[str, xr.Variable]) -> dict[str, tuple]:
    """Canonical coordinates, checked to be finite and not repeated."""
    coordinates = {}
    for dim, attrs in (
        ("time", {"axis": "T", **axes["time"].attrs}),
        ("depth", {"axis": "Z", "units": "m", "positive": "down"}),
        ("latitude", {"axis": "Y", "units": "degrees_north"}),
        ("longitude", {"axis": "X", "units": "degrees_east"}),
    ):
        values = np.atleast_1d(axes[dim].values)
        values = values if dim == "time" else values.astype("float64")
        if not values.size and dim != "time":
            raise ValueError(f"{dim} holds 0 values, needs 1; choose others")
        repeated = dim in ("depth", "latitude") and np.unique(values).size < values.size
        if dim != "time" and not np.isfinite(values).all() or repeated:
            raise ValueError(
                f"{dim} holds missing or repeated values, {values}; make them finite and distinct"
            )
        if dim == "latitude" and abs(values).max() > 90 + 1e-3:
            raise ValueError(
                f"latitude spans {values.min():g} to {values.max():g}, beyond ±90; correct it"
            )
        coordinates[dim] = (dim, values, {"standard_name": dim} | attrs)
    return coordinates
