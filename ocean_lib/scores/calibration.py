"""How wide an ensemble should be: a power of the spread per layer, from months kept for it.

A method states how uncertain it is, by the spread s of its members or by an error estimate.  The
error to be expected of its mean is taken as a s^p, a and p for each layer, from the errors of
validation months: p is the most likely, a makes their mean squares equal.  On test months they are
applied blind.  A power below 1 widens small spreads and narrows large ones, as stated spreads tell
sure places from unsure ones better than by how much.  Members move about their mean, which stays,
so RMSE is untouched and observed cells, where all members agree, remain exact.

Reference: Gneiting et al. 2005, doi 10.1175/MWR2904.1 (spread regressed on errors); Fortin et al.
2014, doi 10.1175/JHM-D-14-0008.1 (error and spread of M members).
"""

import numpy as np
import xarray as xr

from ocean_lib.fields.conventions import named
from ocean_lib.scores.evaluation import LAYERS, hidden_ocean

__all__ = [
    "apply_calibration",
    "calibrate_reconstruction",
    "fit_calibration",
    "fit_calibration_by_case",
    "stated_spread",
    "stored_factors",
]


LEAST = 1e-3  # of a layer's spread
POWERS = (0.3, 1.5)


def stated_spread(result: xr.Dataset) -> xr.DataArray:
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


def fit_calibration(
    fields: xr.Dataset, observations: xr.Dataset, result: xr.Dataset, variable: str = "temperature"
) -> xr.Dataset:
    """The factor a and the power p that make the spread agree with the error, layer by layer.

    Args:
        fields: canonical truth.    observations: what the method saw.
        result: `mean` and `members` or `error`, over the dates of both.
        variable: of the fields that is compared.
    Returns:
        `calibration` and `calibration_power` (depth), a and p over hidden ocean of the layer
        (`evaluation.LAYERS`, and what lies deeper as one more), s what is `stated` in the field's
        unit, cells weighted by area: with Gaussian errors of deviation proportional to s^p this p
        is the most likely, and (a s^p)² has the errors' mean square.  The levels of a layer share
        them; 1 where nothing is hidden or nothing is stated.
    """
    where = hidden_ocean(fields, observations, variable)
    weight = (where * np.cos(np.deg2rad(fields.latitude))).transpose("depth", ...)
    pair = (result["mean"] - fields[variable], stated_spread(result))
    error, spread = (each.transpose(*weight.dims).values.astype(float) for each in pair)
    layer = np.digitize(fields.depth, [low for low, _ in LAYERS] + [LAYERS[-1][1]])
    found = np.ones((2, len(layer)))
    for each in np.unique(layer):
        levels = layer == each
        known = (weight.values > 0) & (spread > 0) & levels[:, None, None, None]
        if known.any() and (error[known] != 0).any():
            given = (part[known] for part in (error, spread, weight.values))
            found[:, levels] = np.array(_factor_and_power(*given))[:, None]
    words = "of the calibrated spread a s^p, fitted on validation months"
    return xr.Dataset(
        {
            "calibration": ("depth", found[0], {"long_name": f"a {words}"}),
            "calibration_power": ("depth", found[1], {"long_name": f"p {words}", "units": "1"}),
        },
        {"depth": fields.depth},
    )


def _factor_and_power(error, spread, weight) -> tuple[float, float]:
    """a and p of errors, spreads and weights, all (n,)."""
    from scipy.optimize import minimize_scalar

    weight = weight / weight.sum()
    # Beyond that a spread tells rounding from rounding.
    spread = np.maximum(spread, LEAST * np.sqrt((weight * spread**2).sum()))
    logarithm, square = np.log(spread), error**2

    def surprise(power):  # minus the logarithm of the likelihood, at the a that is likeliest
        left = (weight * square * np.exp(-2 * power * logarithm)).sum()
        return power * (weight * logarithm).sum() + 0.5 * np.log(left)

    power = minimize_scalar(surprise, bounds=POWERS, method="bounded").x
    return np.sqrt((weight * square).sum() / (weight * spread ** (2 * power)).sum()), power


def fit_calibration_by_case(
    fields: xr.Dataset, seen: dict[str, xr.Dataset], drawn: dict[str, xr.Dataset]
) -> xr.Dataset:
    """`calibration` and `calibration_power` (case, depth) of reconstructions, for all variables.

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
            fit_calibration(fields, seen[case], one[list(own)].rename(own), variable)
            for case, one in drawn.items()
        ]
        both = xr.concat(each, cases)
        result = result.merge(both.rename({name: named(variable, name) for name in both}))
    return result


def stored_factors(reconstruction: xr.Dataset, variable: str = "temperature") -> xr.Dataset:
    """The factors of one variable as `apply` takes them, from a reconstruction that holds them."""
    names = ("calibration", "calibration_power")
    return xr.Dataset({name: reconstruction[named(variable, name)] for name in names})


def _wider(stated_now: xr.DataArray, factors: xr.Dataset) -> xr.DataArray:
    """a s^(p - 1), by which a spread s is multiplied; 1 where it is 0."""
    power = factors["calibration_power"] - 1
    return xr.where(stated_now > 0, factors["calibration"] * stated_now**power, 1.0)


def apply_calibration(result: xr.Dataset, factors: xr.Dataset) -> xr.Dataset:
    """The result with members moved about their mean, or `error` changed, as `factors` of `fit`."""
    changed = {}
    wider = _wider(stated_spread(result), factors)
    if "members" in result:
        members = result["members"]
        # In double precision the mean of members that agree is exactly what they agree on.
        centre = members.mean("member", skipna=False, dtype=float).astype(members.dtype)
        moved = centre + wider * (members - centre)
        changed["members"] = moved.transpose(*members.dims).astype(members.dtype)
    if "error" in result:
        changed["error"] = (wider * result["error"]).transpose(*result["error"].dims)
    return result.assign(changed)


def calibrate_reconstruction(reconstruction: xr.Dataset) -> xr.Dataset:
    """A reconstruction with its own `calibration` applied to members and spread, where it has one.

    Its attribute `calibrated` says so, and so do the pictures made of it.
    """
    if "calibration" not in reconstruction:
        return reconstruction
    spread, wider = reconstruction["spread"], _wider(stated_spread(reconstruction), reconstruction)
    wide = (spread * wider).transpose(*spread.dims).assign_attrs(spread.attrs)
    members = apply_calibration(reconstruction[["members"]], reconstruction)["members"]
    applied = reconstruction.assign(members=members, spread=wide)
    applied = applied.drop_vars(["calibration", "calibration_power"])
    return applied.assign_attrs(calibrated="by layer, on validation months")
