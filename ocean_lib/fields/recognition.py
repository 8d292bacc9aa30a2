"""Recognise what a gridded file holds, whatever its names, signs, units and order.

A file says what its variables are by CF attributes; where it does not, the names in use decide.
Both are written in small tables (`names`), in the order in which they are trusted. `arrange`
applies them and hands back temperature, and what rides along, in the canonical order of
`ocean_lib.fields`, the values lazy. What cannot be recognised is refused, with the remedy.
"""

import numpy as np
import xarray as xr

from ocean_lib.fields.axes import depth_in_metres, find_axis, horizontal, order_longitudes, take
from ocean_lib.fields.conventions import (
    ABSOLUTE,
    CELSIUS,
    DIMS,
    IN_SITU,
    KELVIN,
    LONG_NAMES,
    POTENTIAL,
    SALINITIES,
    SALTY,
    SURFACE,
    TEMPERATURES,
)
from ocean_lib.fields.dates import decode_dates
from ocean_lib.fields.decoding import decode

__all__ = ["arrange", "canonical_names"]


ATTRIBUTES = ("standard_name", "units", "long_name")


def canonical_names(variables):
    """What further variables asked for are called: `salinity` by any of its names, or as asked."""
    asked = [variables] if isinstance(variables, str) else list(variables)
    known = {name for table in SALINITIES.values() for names in table for name in names}
    return list(dict.fromkeys("salinity" if str(n).lower() in known else n for n in asked))


def arrange(dataset, variables=(), region=None, temperature=None):
    """The fields of an opened dataset, decoded or raw, in canonical names, order, signs and units.

    Returns a dataset with `temperature (time, depth, latitude, longitude)`, the `variables` asked
    for, and `salinity` where temperature is to be converted with it; no ocean yet. Times stand as
    in the file. A section becomes a single row at its mean latitude, and keeps
    `station_latitude (longitude)`. Of a curved grid the cells around `region` are kept.

    `temperature`, (name, kind), says which variable is arranged as the temperature, and as a key of
    `TEMPERATURES` what it is; by default it is recognised.

    Raises: ValueError: no temperature, or a variable asked for, on this grid; an axis that is
    missing or unusable; an unknown unit
    """
    name, kind = temperature or _temperature(dataset)
    sources = {"temperature": name} | {
        canonical: _further(dataset, canonical, name) for canonical in canonical_names(variables)
    }
    salinity = _find(dataset, SALINITIES)
    if kind not in (POTENTIAL, SURFACE) and salinity is not None:
        # It need not lie on the same levels: then temperature stays what it is.
        if set(dataset[salinity[0]].dims) == set(dataset[name].dims):
            sources.setdefault("salinity", salinity[0])
    dataset = decode(dataset, sources.values())
    variable = dataset[name]
    axes = {dim: find_axis(dataset, variable, dim) for dim in DIMS}
    for dim in ("latitude", "longitude"):
        if axes[dim] is None:
            raise ValueError(
                f"{name} {variable.dims} has no {dim} among {list(dataset.variables)}; "
                f"give the coordinate standard_name {dim!r}"
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
    arrays["temperature"] = _in_celsius(arrays["temperature"], name, kind)
    if "salinity" in arrays:
        arrays["salinity"].attrs = _salty(dataset[sources["salinity"]], salinity[1])
    fields = xr.Dataset(arrays, attrs=dataset.attrs).astype("float32")
    fields = fields.assign_coords(_coordinates(axes) | extra)
    fields = take(fields, "depth", np.argsort(fields.depth.values))
    fields = take(fields, "latitude", np.argsort(fields.latitude.values))
    index, values = order_longitudes(fields.longitude.values)
    fields = take(fields, "longitude", index)
    return fields.assign_coords(longitude=("longitude", values, fields.longitude.attrs))


def _find(dataset, table):
    """Name and kind of the variable that a table recognises as most to be preferred, or None."""
    found, words = [], []
    known = [name for _, names in table.values() for name in names]
    for name, variable in dataset.data_vars.items():
        lower, standard_name = str(name).lower(), variable.attrs.get("standard_name")
        which, key = (0, standard_name) if standard_name else (1, lower)
        kind = next((kind for kind, names in table.items() if key in names[which]), None)
        if kind is None or variable.ndim < 2:
            continue
        if variable.dtype.kind not in "fiu":
            words.append(f"{name} {variable.dims} holds {variable.dtype}")
            continue
        if not standard_name:
            told = str(variable.attrs.get("long_name", "")).lower()
            kinds = (kind for word, kind in LONG_NAMES.items() if word in told and kind in table)
            kind = next(kinds, kind)
        rank = known.index(lower) if lower in known else len(known)
        found.append((-variable.ndim, list(table).index(kind), rank, name, kind))
    if words and not found:
        raise ValueError(f"{words[0]}, must be numbers; write it as floats")
    return min(found)[3:] if found else None


def _temperature(dataset):
    if found := _find(dataset, TEMPERATURES):
        return found
    raise ValueError(
        f"no temperature among the variables {list(dataset.data_vars)}; rename it to thetao "
        f"or give it the standard_name {POTENTIAL} or {IN_SITU}"
    )


def _further(dataset, canonical, temperature):
    """The name in the file of a further variable asked for by its canonical name."""
    found = _find(dataset, SALINITIES) if canonical == "salinity" else None
    wanted = str(canonical).lower()
    matches = (
        [found[0]]
        if found
        else [
            name
            for name, variable in dataset.data_vars.items()
            if wanted in (str(name).lower(), variable.attrs.get("standard_name"))
        ]
    )
    if not matches:
        raise ValueError(
            f"no variable {canonical!r} among {list(dataset.data_vars)}; name one of these in "
            "variables, or leave it out"
        )
    if temperature in matches or canonical == "temperature":
        raise ValueError(
            f"variables names {canonical!r}, the temperature, which is always there; leave it out"
        )
    if (kind := dataset[matches[0]].dtype).kind not in "fiu":
        raise ValueError(f"{matches[0]} holds {kind}, must be numbers; leave it out of variables")
    return matches[0]


def _ordered(array, axes, temperature):
    """A variable as (time, depth, latitude, longitude), lazy, without coordinates."""
    name, dims = array.name, array.dims
    names = {axis.dims[0]: dim for dim, axis in axes.items() if axis.ndim}
    if lacking := [dim for dim in names if dim not in dims]:
        raise ValueError(
            f"{name} {dims} does not lie along {lacking} of {temperature.name} "
            f"{temperature.dims}; interpolate it to that grid, or leave it out of variables"
        )
    array = array if array.chunks is not None else array.chunk("auto")
    array = array.drop_vars(list(array.coords))
    for dim in set(dims) - set(names):
        if array.sizes[dim] > 1:
            raise ValueError(
                f"dimension {dim} of {name} holds {array.sizes[dim]} fields, limit 1; "
                f"choose one with .isel({dim}=0)"
            )
        array = array.squeeze(dim)
    array = array.rename({old: new for old, new in names.items() if old != new})
    array = array.expand_dims([dim for dim in DIMS if dim not in array.dims]).transpose(*DIMS)
    attrs = {key: str(array.attrs[key]) for key in ATTRIBUTES if key in array.attrs}
    return array.drop_encoding().drop_attrs().assign_attrs(attrs)


def _in_celsius(temperature, name, kind):
    """°C. A missing unit is °C: the values are checked afterwards."""
    given = temperature.attrs.get("units", "degC")
    units = given.lower().replace("_", "").replace(" ", "").replace(".", "")
    if units not in CELSIUS + KELVIN:
        raise ValueError(
            f"{name} has units {given!r}, must be °C or K; convert the values and set units to "
            "'degC'"
        )
    celsius = temperature - 273.15 if units in KELVIN else temperature
    celsius.attrs = {
        # At 0 m in-situ and potential temperature are the same.
        "standard_name": POTENTIAL if kind == SURFACE else kind,
        "units": "degrees_C",
        "long_name": temperature.attrs.get("long_name", "sea water temperature"),
    }
    return celsius


def _salty(variable, kind):
    """Attributes of salinity whose unit is known."""
    attrs = {key: str(variable.attrs[key]) for key in ATTRIBUTES if key in variable.attrs}
    units = attrs.get("units", "").strip().lower()
    if units not in SALTY:
        raise ValueError(
            f"{variable.name} has units {units!r}, must be 1e-3, psu or g/kg; convert the values "
            "(kg/kg times 1000) and set units to '1e-3'"
        )
    default = "g kg-1" if kind == ABSOLUTE else "1e-3"
    return (
        {"long_name": "sea water salinity"}
        | attrs
        | {"standard_name": kind, "units": attrs.get("units", default)}
    )


def _coordinates(axes):
    coordinates = {}
    for dim, attrs in (
        ("time", {"axis": "T", **axes["time"].attrs}),
        ("depth", {"axis": "Z", "units": "m", "positive": "down"}),
        ("latitude", {"axis": "Y", "units": "degrees_north"}),
        ("longitude", {"axis": "X", "units": "degrees_east"}),
    ):
        values = np.atleast_1d(axes[dim].values)
        values = values if dim == "time" else values.astype("float64")
        repeated = dim in ("depth", "latitude") and np.unique(values).size < values.size
        if dim != "time" and not np.isfinite(values).all() or repeated:
            raise ValueError(
                f"{dim} holds missing or repeated values, {values}; every level, row "
                "and column needs a finite coordinate of its own"
            )
        if dim == "latitude" and abs(values).max() > 90 + 1e-3:
            raise ValueError(
                f"latitude runs from {values.min():g} to {values.max():g}, beyond ±90; correct the "
                "coordinate, or set its units"
            )
        coordinates[dim] = (dim, values, {"standard_name": dim} | attrs)
    return coordinates
