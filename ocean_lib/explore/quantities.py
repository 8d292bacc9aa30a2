"""Quantities of a reconstruction that the explorer shows: their names, and what is read for them.

A dataset may be that of an open file: everything here selects, and only `read` loads values.
"""

from collections.abc import Iterable

import numpy as np
import xarray as xr

from ocean_lib.fields.conventions import named
from ocean_lib.fields.derived import in_shown_unit
from ocean_lib.scores.calibration import FACTORS

__all__ = [
    "MINUS_TRUTH",
    "field_and_kind",
    "of_variable",
    "quantity_names",
    "restrict",
    "some_dates",
    "variable_names",
    "whole_columns",
]


MINUS_TRUTH = " − truth"
MEMBER = "member "
QUANTITIES = (
    *("truth", "value", "observed", "mean", "members", "spread", "deviation"),
    *("background", "climatology", *FACTORS),
)
MOST_VALUES = 2**25  # that are read for the limits of a level, with all levels of its dates


def variable_names(reconstruction: xr.Dataset) -> list[str]:
    """Names of temperature, the further variables and derived quantities of a reconstruction.

    `ocean_lib reconstruct` stores the mean of a derived quantity under its plain name.
    """
    names = [
        str(name)
        for name, array in reconstruction.data_vars.items()
        if "middle_depth" not in array.dims
    ]
    derived = [name for name in names if f"{name}_climatology" in names]
    return ["temperature", *(name[:-5] for name in names if name.endswith("_mean")), *derived]


def of_variable(
    reconstruction: xr.Dataset, variable: str, baselines: xr.Dataset | None = None
) -> xr.Dataset:
    """The quantities of one variable, with the names of those of temperature.

    Args:
        reconstruction: the dataset of reconstruction.nc, or a dense field without truth.
        variable: one of `variable_names`.
        baselines: the dataset of baselines.nc.

    Returns:
        Dataset of the masks, of the quantities that are stored, and of `baselines` (…, method),
        with the attributes `variable` and `units`.
    """
    plain = {named(variable, name): name for name in QUANTITIES}
    if f"{variable}_spread" not in reconstruction:  # as derived quantities have it
        plain |= {f"{variable}_error": "spread", variable: "mean"}
    if variable == "temperature":  # calibrated members stay above the freezing point
        plain["salinity_members"] = "salinity_members"
    plain = {name: quantity for name, quantity in plain.items() if name in reconstruction}
    if "observed" not in plain.values():  # a dense field has one mask for all variables
        plain["observed"] = "observed"
    data = reconstruction[["ocean", *plain]].rename(plain)
    if "member" in data.dims:
        data = data.assign_coords(member=np.arange(1, data.sizes["member"] + 1))
    if baselines is not None and named(variable, "mean") in baselines:
        data = data.assign(baselines=baselines[named(variable, "mean")])
    units = data["mean"].attrs.get("units", "degrees_C")
    return data.assign_attrs(variable=variable, units=units)


def quantity_names(reconstruction: xr.Dataset, baselines: xr.Dataset | None = None) -> list[str]:
    """Names of the quantities that a map can show.

    Args:
        reconstruction: the dataset of reconstruction.nc.
        baselines: the dataset of baselines.nc.

    Returns:
        Quantities, members, baselines, and the errors of those that are compared with the truth.
    """
    stored = {*reconstruction.data_vars}
    if "value" not in reconstruction:
        stored -= {"observed"}
    names = ["truth", "observed", "mean", "spread", "background", "climatology"]
    names = [name for name in names if name in stored]
    names += [f"{MEMBER}{i + 1}" for i in range(reconstruction.sizes.get("member", 0))]
    methods = [] if baselines is None else [str(name) for name in baselines["method"].values]
    names += [name for name in methods if name not in names]
    compared = [name for name in ("mean", *methods, "background", "climatology") if name in names]
    return names + [name + MINUS_TRUTH for name in dict.fromkeys(compared) if "truth" in stored]


def restrict(selected: xr.Dataset, names: Iterable[str]) -> xr.Dataset:
    """Restrict a dataset to masks, truth and what some quantities are computed from.

    Members are restricted to those shown, unless the file calibrates them, which takes all.

    Args:
        selected: from `of_variable`.
        names: of `quantity_names`.
    """
    plain = {name.removesuffix(MINUS_TRUTH) for name in names}
    needed = {"ocean", "observed", "truth", *plain}
    if "observed" in plain:
        needed.add("value")
    members = [int(name.removeprefix(MEMBER)) for name in plain if name.startswith(MEMBER)]
    members = members if "members" in selected else []
    if "calibration" in selected and (members or "spread" in plain):
        needed |= {"mean", "members", "spread", "deviation", *FACTORS}
        needed |= {"salinity_members"} if members else set()
    elif members:
        needed.add("members")
        selected = selected.sel(member=sorted(members))
    methods = selected["method"].values.tolist() if "method" in selected.dims else []
    if methods := [name for name in methods if name in plain and name not in selected]:
        needed.add("baselines")
        selected = selected.sel({"method": methods})
    return selected[[name for name in selected.data_vars if name in needed]]


def whole_columns(level: xr.Dataset) -> xr.Dataset:
    """A dataset of columns, with masks of the columns that are ocean, or observed, at any depth.

    Args:
        level: from `restrict`, one case and date of a derived quantity.
    """
    masks = {name: level[name].any("depth") for name in ("ocean", "observed")}
    return level.assign(masks)


def field_and_kind(selected: xr.Dataset, name: str) -> tuple[xr.DataArray, str]:
    """The field (…, latitude, longitude) of a quantity, and its kind.

    Args:
        selected: from `of_variable`, perhaps through `restrict`; one case and date.
        name: of `quantity_names`. What is not stored, such as the observations and baselines of a
            derived quantity, is NaN.
    """
    units = {"units": selected.attrs["units"]}
    if name.endswith(MINUS_TRUTH):
        field, _ = field_and_kind(selected, name.removesuffix(MINUS_TRUTH))
        truth, _ = field_and_kind(selected, "truth")
        return (field - truth).assign_attrs(field.attrs), "difference"
    if name == "observed" and "value" in selected:
        field = selected["value"].where(selected["observed"])
    elif name.startswith(MEMBER) and "members" in selected:
        field = selected["members"].sel(member=int(name.removeprefix(MEMBER)), drop=True)
    elif name in selected and name != "observed":
        field = selected[name]
    elif "baselines" not in selected:
        field = xr.full_like(selected["ocean"], np.nan, np.float32)
    else:
        field = selected["baselines"].sel({"method": name}, drop=True)
    kind = "spread" if name == "spread" else selected.attrs["variable"]
    field = field.where(selected["ocean"]).assign_attrs(units)
    return in_shown_unit(field, selected.attrs["variable"]), kind


def some_dates(field: xr.DataArray) -> xr.DataArray:
    """Restrict a field to dates at even intervals, if all are too many to read for its limits.

    Args:
        field: (…, time, depth, latitude, longitude). A file stores all levels of a cell together,
            so reading one level costs as much as reading all.

    Returns:
        The field at all dates if it has at most `MOST_VALUES` values, else at every n-th date.
    """
    stride = -(-field.size // MOST_VALUES)
    return field.isel(time=slice(None, None, stride))
