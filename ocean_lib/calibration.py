"""How wide an ensemble should be: one factor on the spread per layer, from months kept for it.

A method states how uncertain it is, by the spread of its members or by an error estimate.  On
validation months the root of the mean square error over the mean square of what it states is the
factor that makes the two agree; on test months the factor is applied blind.  It widens or narrows
the members about their mean, which stays, so RMSE is untouched and observed cells, where all
members agree, remain exact.

Reference: Fortin et al. 2014, doi 10.1175/JHM-D-14-0008.1 (error and spread of M members).
"""

import numpy as np
import xarray as xr

from .dataset import named
from .evaluation import LAYERS, hidden

__all__ = ["apply", "calibrated", "fit", "fit_cases", "stated"]


def stated(result: xr.Dataset) -> xr.DataArray:
    """Standard deviation of the mean's error that a method states, in the field's unit.

    The `error` where there are no `members`; of M members the root of their unbiased variance
    times (M + 1)/M, since the mean of a few members errs, too.

    Raises:
        ValueError: the result has neither, or a single member.
    """
    if "members" not in result:
        if "error" not in result:
            raise ValueError(
                f"a result of {list(result.data_vars)} states no uncertainty; give members or error"
            )
        return result["error"]
    number = result.sizes["member"]
    if number < 2:
        raise ValueError(f"{number} member has no spread; draw at least 2")
    return result["members"].std("member", ddof=1) * np.sqrt((number + 1) / number)


def fit(
    fields: xr.Dataset, observations: xr.Dataset, result: xr.Dataset, variable: str = "temperature"
) -> xr.DataArray:
    """The factor on the spread that makes it agree with the error, layer by layer.

    Args:
        fields: canonical truth.    observations: what the method saw.
        result: `mean` and `members` or `error`, over the dates of both.
        variable: of the fields that is compared.
    Returns:
        (depth): √(Σe² / Σs²) over hidden ocean of the layer (`evaluation.LAYERS`, and what lies
        deeper as one more), e the mean's error, s what is `stated`, cells weighted by area.  The
        levels of a layer share it; 1 where nothing is hidden or nothing is stated.
    """
    where = hidden(fields, observations, variable)
    weight = where * np.cos(np.deg2rad(fields.latitude))
    pair = result["mean"] - fields[variable], stated(result)
    across = ("time", "latitude", "longitude")
    square, variance = (
        (weight * each.where(where).astype(float) ** 2).sum(across).values for each in pair
    )
    layer = np.digitize(fields.depth, [low for low, _ in LAYERS] + [LAYERS[-1][1]])
    square, variance = (np.bincount(layer, each)[layer] for each in (square, variance))
    known = (square > 0) & (variance > 0)
    factor = np.sqrt(np.divide(square, variance, out=np.ones_like(square), where=known))
    return xr.DataArray(
        factor.astype(np.float32),
        {"depth": fields.depth},
        attrs={"long_name": "factor on the spread, fitted on validation", "units": "1"},
    )


def fit_cases(
    fields: xr.Dataset, seen: dict[str, xr.Dataset], drawn: dict[str, xr.Dataset]
) -> xr.Dataset:
    """`calibration` (case, depth), and so of further variables: the factors of reconstructions.

    Args:
        fields: truth of validation months.    seen: {case: observations}.
        drawn: {case: reconstruction}, as `reconstruction.reconstruct` gives them.
    """
    cases = xr.Variable("case", list(drawn))
    result = xr.Dataset()
    for variable, field in fields.data_vars.items():
        if field.dims != fields.temperature.dims:
            continue
        own = {named(variable, name): name for name in ("mean", "members")}
        each = [
            fit(fields, seen[case], one[list(own)].rename(own), variable)
            for case, one in drawn.items()
        ]
        result[named(variable, "calibration")] = xr.concat(each, cases)
    return result


def apply(result: xr.Dataset, factor: xr.DataArray) -> xr.Dataset:
    """The result with members drawn about their mean, or error multiplied, by `factor` (depth)."""
    changed = {}
    if "members" in result:
        members = result["members"]
        # In double precision the mean of members that agree is exactly what they agree on.
        centre = members.mean("member", skipna=False, dtype=float).astype(members.dtype)
        changed["members"] = (centre + factor * (members - centre)).transpose(*members.dims)
    if "error" in result:
        changed["error"] = (factor * result["error"]).transpose(*result["error"].dims)
    return result.assign(changed)


def calibrated(reconstruction: xr.Dataset) -> xr.Dataset:
    """A reconstruction with its own `calibration` applied to members and spread, where it has one.

    Its attribute `calibrated` says so, and so do the pictures made of it.
    """
    if "calibration" not in reconstruction:
        return reconstruction
    factor, spread = reconstruction["calibration"], reconstruction["spread"]
    wide = (spread * factor).transpose(*spread.dims).assign_attrs(spread.attrs)
    applied = apply(reconstruction, factor).assign(spread=wide).drop_vars("calibration")
    return applied.assign_attrs(reconstruction.attrs, calibrated="by layer, on validation months")
