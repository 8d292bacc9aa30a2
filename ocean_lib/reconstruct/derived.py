"""Derived quantities of a reconstruction: their mean over the members, and its error.

A quantity such as the depth of an isotherm is computed from every member; its mean and standard
deviation over the members are its mean and error. Where one member lacks it, both are missing. The
mean of a sum over the column, such as heat content, is that of the mean field, which the mean over
a few members would only approximate. Beside them stands what is derived from the climatology of the
date.

`derive_cases` works in memory, for notebooks; `append_derived` on a file of any size, some rows of
one date at a time.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

from ocean_lib.fields.conventions import DIMS, named
from ocean_lib.fields.derived import derive
from ocean_lib.fields.reconstruction_file import ROWS

__all__ = ["append_derived", "check_derived", "default_derived", "derive_cases"]


USED = "temperature", "salinity"
SUMS = "heat_content", "steric_height"  # kinds that are all but linear in the fields
USUAL = "heat_content_300", "heat_content_700", "mixed_layer_depth", "steric_height_500"
ERROR = "Standard deviation of the members: {}"  # long_name of an error
CLIMATOLOGY = "Of the climatology: {}"


def _of_deep_column(names: Sequence[str], statistics: xr.Dataset) -> xr.Dataset:
    """The quantities of a column in which all levels of a model are ocean."""
    depth = statistics["depth"].values
    column = xr.Dataset(
        {"ocean": (DIMS[1:], np.ones((len(depth), 1, 1), bool))},
        {"depth": depth, "latitude": [0.0], "longitude": [0.0]},
    )
    for variable in set(USED) & set(statistics.attrs["variables"]):
        column[variable] = DIMS[1:], np.full((len(depth), 1, 1), 35.0)
    return derive(column, names)


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
    for name, found in _of_deep_column(names, statistics).items():
        if not np.isfinite(found).all() and not str(name).startswith("isotherm"):
            show(
                f"WARNING: {name} is missing where the sea is deeper than the model's levels, "
                f"which end at {statistics['depth'].values[-1]:.0f} m"
            )


def default_derived(statistics: xr.Dataset, show: Callable[[str], None] = print) -> list[str]:
    """The usual derived quantities, as far as a model gives them in deep water.

    Args:
        statistics: of the model.
        show: receives a line for each quantity that is left out.
    """
    found = []
    for name in USUAL:
        try:
            possible = bool(np.isfinite(_of_deep_column([name], statistics)[name]).all())
            reason = f"the model's levels end at {statistics['depth'].values[-1]:.0f} m"
        except ValueError as error:  # of `derive`: salinity or levels are lacking
            possible, reason = False, str(error)
        if possible:
            found.append(name)
        else:
            show(f"{name} is not derived: {reason}")
    return found


def derive_cases(result: xr.Dataset, names: Sequence[str], standard_name: str) -> xr.Dataset:
    """Derive quantities of truth, climatology and members of every case.

    Args:
        result: from `fields.reconstruction_file.assemble_cases`.
        names: as for `fields.derived.derive`.
        standard_name: of temperature, which says whether it is potential.

    Returns:
        `NAME_truth` (time, …), `NAME_climatology` and `NAME_members` (case, time, …); `NAME_mean`,
        over the members or of the mean field; `NAME_error`, the standard deviation of the members.
    """
    found: dict[str, xr.DataArray] = {}
    sums = [name for name in names if name.startswith(SUMS)]
    quantities = {"truth": names, "climatology": names, "members": names, "mean": sums}
    for quantity, wanted in quantities.items():
        stored = {v: named(v, quantity) for v in USED if named(v, quantity) in result}
        fields = result[["ocean", *stored.values()]].rename({n: v for v, n in stored.items()})
        fields["temperature"] = fields["temperature"].assign_attrs(standard_name=standard_name)
        dates = range(result.sizes["time"])
        parts = [derive(fields.isel(time=[date]), wanted) for date in dates]  # bounded memory
        for name, values in (xr.concat(parts, "time") if wanted else xr.Dataset()).items():
            found[f"{name}_{quantity}"] = values
    for name in names:
        members = found[f"{name}_members"]
        long_name = members.attrs["long_name"]
        climatology = CLIMATOLOGY.format(long_name)
        found[f"{name}_climatology"].attrs["long_name"] = climatology
        for part, values, words in _mean_and_error(members, found.get(f"{name}_mean")):
            attributes = {"long_name": words.format(long_name)}
            found[f"{name}_{part}"] = values.assign_attrs(members.attrs | attributes)
    return xr.Dataset(found)


def _mean_and_error(
    members: xr.DataArray, mean: xr.DataArray | None
) -> list[tuple[str, xr.DataArray, str]]:
    """Name, values and form of the long_name of what members give, and perhaps the mean field."""
    if mean is None:
        mean = members.mean("member", skipna=False, dtype=float)
    error = members.std("member", ddof=1, skipna=False)
    return [
        ("mean", mean.where(error.notnull()).astype(members.dtype), "{}"),
        ("error", error, ERROR),
    ]


def append_derived(path: Path, names: Sequence[str], standard_name: str) -> None:
    """Append derived quantities to a file of `fields.reconstruction_file.join_dates`.

    Args:
        path: the file; it gains `NAME`, `NAME_climatology` and, where it has members,
            `NAME_error`.
        names: as for `fields.derived.derive`.
        standard_name: of the file's temperature, which says whether it is potential.
    """
    with netCDF4.Dataset(path, "a") as file:
        file.set_auto_mask(False)
        sums = [name for name in names if name.startswith(SUMS)]
        drawn = "members" if "members" in file.variables else "mean"
        height = file.dimensions["latitude"].size
        for date in range(file.dimensions["time"].size):
            for top in range(0, height, ROWS):
                rows = slice(top, min(top + ROWS, height))
                asked: dict[str, Sequence[str]] = {"mean": sums} if sums else {}
                asked |= {drawn: names, "climatology": names}
                found = {
                    quantity: derive(_read(file, date, rows, quantity, standard_name), wanted)
                    for quantity, wanted in asked.items()
                }
                normal, mean = found["climatology"], found.get("mean", {})
                for key, values in found[drawn].items():
                    members = values.transpose("member", ...)
                    ours = mean[key].isel(member=0) if key in mean else None
                    parts = _mean_and_error(members, ours) if drawn == "members" else []
                    parts = parts or [("mean", members.isel(member=0), "{}")]
                    parts.append(("climatology", normal[key].isel(member=0), CLIMATOLOGY))
                    for part_name, part, words in parts:
                        variable = str(key) if part_name == "mean" else f"{key}_{part_name}"
                        if variable not in file.variables:
                            _define(file, variable, part, values.attrs, words)
                        file[variable][date, ..., rows, :] = part.values


def _read(
    file: netCDF4.Dataset, date: int, rows: slice, quantity: str, standard_name: str
) -> xr.Dataset:
    """Members of some rows of a date, or another quantity as the only member."""
    place = {name: file[name][:].astype(float) for name in DIMS[1:]}
    place["latitude"] = place["latitude"][rows]
    fields = xr.Dataset({"ocean": (DIMS[1:], file["ocean"][:, rows] == 1)}, place)
    for variable in USED:
        if (name := named(variable, quantity)) not in file.variables:
            continue
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
