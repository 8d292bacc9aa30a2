"""Derived quantities in the file of a reconstruction: their mean over the members, and its error.

A quantity such as the depth of an isotherm is computed from every member; its mean and standard
deviation over the members are written. Where one member lacks it, both are missing. Memory is
bounded by some rows of one date.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

from ocean_lib.fields.conventions import DIMS, named
from ocean_lib.fields.derived import derive
from ocean_lib.fields.reconstruction_file import ROWS

__all__ = ["append_derived", "check_derived"]


USED = "temperature", "salinity"


def check_derived(
    names: Sequence[str], statistics: xr.Dataset, show: Callable[[str], None] = print
) -> None:
    """Refuse derived quantities that a model cannot give, before any work.

    Args:
        names: as for `fields.derived.derive`.
        statistics: of the model.
        show: receives a line for each quantity that is missing in deep water.

    Raises:
        ValueError: a name is not known, or needs salinity or levels that the model lacks.
    """
    depth = statistics["depth"].values
    column = xr.Dataset(
        {"ocean": (DIMS[1:], np.ones((len(depth), 1, 1), bool))},
        {"depth": depth, "latitude": [0.0], "longitude": [0.0]},
    )
    for variable in set(USED) & set(statistics.attrs["variables"]):
        column[variable] = DIMS[1:], np.full((len(depth), 1, 1), 35.0)
    for name, found in derive(column, names).items():
        if not np.isfinite(found).all() and not str(name).startswith("isotherm"):
            show(
                f"WARNING: {name} is missing where the sea is deeper than the model's levels, "
                f"which end at {depth[-1]:.0f} m"
            )


def append_derived(path: Path, names: Sequence[str], standard_name: str) -> None:
    """Append derived quantities to a file of `fields.reconstruction_file.join_dates`.

    Args:
        path: the file; it gains `NAME` and, where it has members, `NAME_error`.
        names: as for `fields.derived.derive`.
        standard_name: of the file's temperature, which says whether it is potential.
    """
    with netCDF4.Dataset(path, "a") as file:
        file.set_auto_mask(False)
        drawn = "members" if "members" in file.variables else "mean"
        stored = {v: named(v, drawn) for v in USED if named(v, drawn) in file.variables}
        height = file.dimensions["latitude"].size
        for date in range(file.dimensions["time"].size):
            for top in range(0, height, ROWS):
                rows = slice(top, min(top + ROWS, height))
                fields = _read(file, date, rows, stored, standard_name)
                for key, values in derive(fields, names).items():
                    name = str(key)
                    members = values.transpose("member", ...)
                    parts = {name: (members.mean("member", skipna=False), "{}")}
                    if drawn == "members":
                        error = members.std("member", ddof=1, skipna=False)
                        parts[f"{name}_error"] = error, "Standard deviation of the members: {}"
                    for variable, (part, words) in parts.items():
                        if variable not in file.variables:
                            _define(file, variable, part, values.attrs, words)
                        file[variable][date, ..., rows, :] = part.values


def _read(
    file: netCDF4.Dataset, date: int, rows: slice, stored: dict[str, str], standard_name: str
) -> xr.Dataset:
    """Members, or the mean as the only one, of some rows of a date."""
    place = {name: file[name][:].astype(float) for name in DIMS[1:]}
    place["latitude"] = place["latitude"][rows]
    fields = xr.Dataset({"ocean": (DIMS[1:], file["ocean"][:, rows] == 1)}, place)
    for variable, name in stored.items():
        values = file[name][date, ..., rows, :]
        values = values.reshape(-1, *values.shape[-3:])
        values = np.where(fields["ocean"].values, values, np.nan)
        fields[variable] = ("member", *DIMS[1:]), values
    fields["temperature"].attrs["standard_name"] = standard_name
    return fields


def _define(
    file: netCDF4.Dataset, name: str, part: xr.DataArray, attributes: dict[str, str], words: str
) -> None:
    """Define a variable of all dates and rows, with the dimensions of some rows of one."""
    dims = tuple(map(str, part.dims))
    for dim in dims:
        if dim not in file.dimensions:  # between levels
            file.createDimension(dim, part.sizes[dim])
            file.createVariable(dim, "f8", (dim,))[:] = part[dim].values
            file[dim].setncatts({"units": "m", "positive": "down"})
    variable = file.createVariable(
        name, "f4", ("time", *dims), zlib=True, complevel=1, fill_value=np.nan
    )
    variable.setncatts({"units": attributes["units"]})
    variable.long_name = words.format(attributes["long_name"])
