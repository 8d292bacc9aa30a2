"""Calibration of an ensemble's spread: a power law per layer, fitted on validation months.

A method states its uncertainty as a spread s, from its members or from an error estimate.  The
expected error of its mean is modelled as a s^p, with a and p for each layer, from the errors of
validation months: p maximises the likelihood, and a makes the mean squares equal.  They are applied
unchanged to test months.  A power below 1 widens small spreads and narrows large ones, since
spreads rank places by uncertainty better than they measure it.  Members are scaled about their
mean, so RMSE is unchanged, and observed cells, where all members agree, remain exact.  A scaled
value beyond the bounds of sea water is set to the bound, and counted, as when members are drawn.

References: Gneiting et al. 2005, doi 10.1175/MWR2904.1 (spread regressed on errors); Fortin et al.
2014, doi 10.1175/JHM-D-14-0008.1 (error and spread of M members).
"""

import numpy as np
import xarray as xr

from ocean_lib.fields.bounds import describe_bounded, within_bounds
from ocean_lib.fields.conventions import POTENTIAL, named
from ocean_lib.scores.hidden import hidden_ocean
from ocean_lib.scores.metrics import ensemble_variance_factor
from ocean_lib.scores.score_table import LAYERS

__all__ = [
    "apply_calibration",
    "calibrate_reconstruction",
    "fit_calibration",
    "fit_calibration_by_case",
    "stated_spread",
    "stored_factors",
]


MIN_SPREAD = 1e-3  # lower bound on a spread, relative to its layer's; smaller ones are rounding
POWERS = (0.3, 1.5)
FACTORS = ("calibration", "calibration_power")  # a and p


def stated_spread(result: xr.Dataset) -> xr.DataArray:
    """The uncertainty of its mean that a method states: a standard deviation, in the field's unit.

    Args:
        result: `members` (…, member), M >= 2, whose unbiased variance is multiplied by (M + 1)/M
            since the mean of M members has an error itself; or `error` (…).

    Raises:
        ValueError: the result has neither, or a single member.
    """
    if "members" in result:
        factor = ensemble_variance_factor(result.sizes["member"])
        return result["members"].std("member", ddof=1) * np.sqrt(factor)
    if "error" not in result:
        raise ValueError(
            f"a result of {list(result.data_vars)} states no uncertainty; give members or error"
        )
    return result["error"]


def fit_calibration(
    fields: xr.Dataset, observations: xr.Dataset, result: xr.Dataset, variable: str = "temperature"
) -> xr.Dataset:
    """Fit the factor a and the power p with which spread and error agree, layer by layer.

    With Gaussian errors of standard deviation proportional to s^p, p maximises the likelihood; a
    makes the mean of (a s^p)² that of the squared errors.  Cells are weighted by area.

    Args:
        fields: canonical truth.
        observations: what the method saw.
        result: `mean` and `members` or `error`, on the dates of both.
        variable: the variable that is compared.

    Returns:
        `calibration` and `calibration_power` (depth): a and p over the hidden ocean of the layer
        (`score_table.LAYERS`, and all deeper levels as one more), for s in the field's unit.
        Levels of a layer share them; both are 1 where nothing is hidden or no spread is stated.
    """
    where = hidden_ocean(fields, observations, variable)
    area = (where * np.cos(np.deg2rad(fields.latitude))).transpose("depth", ...)
    error, spread = (
        array.transpose(*area.dims).values.astype(float)
        for array in (result["mean"] - fields[variable], stated_spread(result))
    )
    layer = np.digitize(fields.depth, [low for low, _ in LAYERS] + [LAYERS[-1][1]])
    factors = np.ones((2, len(layer)))
    for number in np.unique(layer):
        levels = layer == number
        known = (area.values > 0) & (spread > 0) & levels[:, None, None, None]
        if known.any() and (error[known] != 0).any():
            fitted = _factor_and_power(error[known], spread[known], area.values[known])
            factors[:, levels] = np.array(fitted)[:, None]
    meaning = "of the calibrated spread a s^p, fitted on validation months"
    attributes = {"long_name": f"a {meaning}"}, {"long_name": f"p {meaning}", "units": "1"}
    variables = zip(FACTORS, zip(["depth"] * 2, factors, attributes))
    return xr.Dataset(dict(variables), {"depth": fields.depth})


def _factor_and_power(
    error: np.ndarray, spread: np.ndarray, weight: np.ndarray
) -> tuple[float, float]:
    """a and p of errors, spreads and weights, all (n,)."""
    from scipy.optimize import minimize_scalar

    weight = weight / weight.sum()
    spread = np.maximum(spread, MIN_SPREAD * np.sqrt((weight * spread**2).sum()))
    logarithm, square = np.log(spread), error**2

    def negative_log_likelihood(power: float) -> float:
        # With the a that maximises the likelihood for this power.
        scaled = (weight * square * np.exp(-2 * power * logarithm)).sum()
        return power * (weight * logarithm).sum() + 0.5 * np.log(scaled)

    power = minimize_scalar(negative_log_likelihood, bounds=POWERS, method="bounded").x
    return np.sqrt((weight * square).sum() / (weight * spread ** (2 * power)).sum()), power


def fit_calibration_by_case(
    fields: xr.Dataset, seen: dict[str, xr.Dataset], drawn: dict[str, xr.Dataset]
) -> xr.Dataset:
    """Fit the calibration of every variable in every case.

    Args:
        fields: truth of validation months.
        seen: {case: observations}.
        drawn: {case: reconstruction}, from `reconstruct`.

    Returns:
        `calibration` and `calibration_power` (case, depth), prefixed as `conventions.named` does.
    """
    cases = xr.Variable("case", list(drawn))
    factors = xr.Dataset()
    for variable in map(str, fields.data_vars):
        if fields[variable].dims != fields.temperature.dims:
            continue
        names = {named(variable, name): name for name in ("mean", "members")}
        fitted = [
            fit_calibration(fields, seen[case], result[list(names)].rename(names), variable)
            for case, result in drawn.items()
        ]
        prefixed = {name: named(variable, name) for name in FACTORS}
        factors = factors.merge(xr.concat(fitted, cases).rename(prefixed))
    return factors


def stored_factors(reconstruction: xr.Dataset, variable: str = "temperature") -> xr.Dataset:
    """The factors of one variable that a reconstruction holds, as `apply_calibration` takes them.

    Args:
        reconstruction: with the variables of `fit_calibration_by_case`.
        variable: the variable whose factors are wanted.
    """
    return xr.Dataset({name: reconstruction[named(variable, name)] for name in FACTORS})


def _inflation(spread: xr.DataArray, factors: xr.Dataset) -> xr.DataArray:
    """a s^(p − 1), by which a spread s is multiplied; 1 where it is 0."""
    power = factors["calibration_power"] - 1
    return xr.where(spread > 0, factors["calibration"] * spread**power, 1.0)


def apply_calibration(
    result: xr.Dataset, factors: xr.Dataset, variable: str = "temperature", kind: str = POTENTIAL
) -> xr.Dataset:
    """Scale the spread of a result: members about their mean, or the `error`.

    Args:
        result: `members` (…, member) or `error` (…); of temperature perhaps `salinity` (…, member),
            from which the freezing point follows.
        factors: of `fit_calibration`.
        variable: the variable of the result, whose bounds hold.
        kind: standard_name of temperature.

    Returns:
        The scaled result. With members, the attribute `bounds` says how many of their values were
        set to a bound.
    """
    changed = {}
    spread = stated_spread(result)
    inflation = _inflation(spread, factors)
    if "members" in result:
        members = result["members"]
        # In double precision, the mean of members that agree is exactly their value.
        centre = members.mean("member", skipna=False, dtype=float).astype(members.dtype)
        moved = centre + inflation * (members - centre)
        moved = moved.transpose(*members.dims).astype(members.dtype)
        salinity = result.get("salinity")
        moved, number = within_bounds(moved, variable, ~(spread > 0), salinity, kind)
        changed["members"] = moved
        bounds = describe_bounded({named(variable, "bounded"): number})
        result = result.assign_attrs(bounds=bounds)
    if "error" in result:
        changed["error"] = (inflation * result["error"]).transpose(*result["error"].dims)
    return result.assign(changed)


def calibrate_reconstruction(reconstruction: xr.Dataset) -> xr.Dataset:
    """Apply a reconstruction's own factors to its members and spread, if it has any.

    Args:
        reconstruction: `members`, `spread` and, from `fit_calibration_by_case`, the factors; of
            temperature, or of the variable that the attribute `variable` names. Perhaps
            `salinity_members`, from which the freezing point follows.

    Returns:
        The calibrated reconstruction, without factors and with the attribute `calibrated`, which
        figures show; it says how many values of members were set to a bound.
    """
    if "calibration" not in reconstruction:
        return reconstruction
    spread = reconstruction["spread"]
    inflation = _inflation(stated_spread(reconstruction), reconstruction)
    drawn = reconstruction[["members"]]
    if "salinity_members" in reconstruction:
        drawn = drawn.assign(salinity=reconstruction["salinity_members"])
    variable = reconstruction.attrs.get("variable", "temperature")
    truth = reconstruction.get("truth", drawn["members"])
    kind = truth.attrs.get("standard_name", POTENTIAL)
    scaled = apply_calibration(drawn, reconstruction, variable, kind)
    applied = reconstruction.assign(
        members=scaled["members"],
        spread=(spread * inflation).transpose(*spread.dims).assign_attrs(spread.attrs),
    )
    applied = applied.drop_vars(FACTORS)
    bounds = scaled.attrs["bounds"]
    return applied.assign_attrs(calibrated=f"by layer, on validation months; {bounds}")
