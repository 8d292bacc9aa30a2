"""Calibration of stated uncertainty: a power law per layer, fitted on validation months.

A method states the error of its mean as a standard deviation s.  The actual error is modelled as
a s^p, with a and p for each layer, from the errors of validation months: p maximises the
likelihood, and a makes the mean squares equal.  They are applied unchanged to test months, to every
method alike.  A power below 1 widens small spreads and narrows large ones, since spreads rank
places by uncertainty better than they measure it.  A scaled member beyond the bounds of sea water
is set to the bound, and counted, as when members are drawn.

The fair CRPS of members is unbiased only if they are independent draws.  Members that are scaled
about their own mean, or by a function of their own spread, are not, and score too well.  So members
are scaled about the mean and by the power of the error that the first stage stated before they were
drawn; then a makes the mean squares of errors and of scaled members equal.  Where all members
agree, as at exact observations, they stay.  An ensemble without a first stage is calibrated as the
Gaussian of its mean and spread.

References: Gneiting et al. 2005, doi 10.1175/MWR2904.1 (spread regressed on errors); Ferro 2014,
doi 10.1002/qj.2270 (fair scores need exchangeable members); Fortin et al. 2014,
doi 10.1175/JHM-D-14-0008.1 (error and spread of M members).
"""

import numpy as np
import xarray as xr

from ocean_lib.fields.bounds import describe_bounded, within_bounds
from ocean_lib.fields.conventions import POTENTIAL, named
from ocean_lib.scores.hidden import hidden_ocean
from ocean_lib.scores.metrics import mean_variance_factor
from ocean_lib.scores.score_table import LAYERS

__all__ = [
    "apply_calibration",
    "calibrate_method",
    "calibrate_reconstruction",
    "drawn_results",
    "fit_calibration",
    "fit_calibration_by_case",
    "stated_spread",
    "stored_factors",
]


MIN_SPREAD = 1e-3  # lower bound on a spread, relative to its layer's; smaller ones are rounding
POWERS = (0.3, 1.5)
FACTORS = ("calibration", "calibration_power")  # a and p
# Methods that a reconstruction holds, and the quantities of their results.  The factors of the
# ensemble have the names of `FACTORS`, those of the others the method's name in front.
ENSEMBLE = "reconstruction"
DRAWN = {
    "background": {"mean": "background", "error": "background_error"},
    "regression": {"mean": "mean", "error": "deviation"},
    ENSEMBLE: {"mean": "mean", "error": "deviation", "members": "members"},
}


def stated_spread(result: xr.Dataset) -> xr.DataArray:
    """The uncertainty of its mean that a method states: a standard deviation, in the field's unit.

    Args:
        result: `mean` (…) and `members` (…, member), M >= 2, whose unbiased variance is multiplied
            by `metrics.mean_variance_factor`, since the members' own mean has a sampling error; or
            `error` (…).

    Raises:
        ValueError: the result has neither, or a single member.
    """
    if "members" in result:
        mean, members = result["mean"], result["members"]
        values = members.transpose("member", *mean.dims).values
        return members.std("member", ddof=1) * np.sqrt(mean_variance_factor(mean.values, values))
    if "error" not in result:
        raise ValueError(
            f"a result of {list(result.data_vars)} states no uncertainty; give members or error"
        )
    return result["error"]


def _scale(result: xr.Dataset) -> xr.DataArray:
    """What the power applies to: the stated error; the spread of members without one."""
    return result["error"] if "error" in result else stated_spread(result)


def fit_calibration(
    fields: xr.Dataset, observations: xr.Dataset, result: xr.Dataset, variable: str = "temperature"
) -> xr.Dataset:
    """Fit the factor a and the power p with which spread and error agree, layer by layer.

    With Gaussian errors of standard deviation proportional to s^p, p maximises the likelihood; a
    makes the mean of (a s^(p - 1) t)² that of the squared errors, with t the spread of the members,
    or s where the method has none.  Cells are weighted by area.

    Args:
        fields: canonical truth.
        observations: what the method saw.
        result: `mean`, and `error`, `members` or both, on the dates of both.
        variable: the variable that is compared.

    Returns:
        `calibration` and `calibration_power` (depth): a and p over the hidden ocean of the layer
        (`score_table.LAYERS`, and all deeper levels as one more), for s in the field's unit.
        Levels of a layer share them; both are 1 where nothing is hidden or no spread is stated.
    """
    where = hidden_ocean(fields, observations, variable)
    area = (where * np.cos(np.deg2rad(fields.latitude))).transpose("depth", ...)
    error, scale, spread = (
        array.transpose(*area.dims).values.astype(float)
        for array in (result["mean"] - fields[variable], _scale(result), stated_spread(result))
    )
    layer = np.digitize(fields.depth, [low for low, _ in LAYERS] + [LAYERS[-1][1]])
    factors = np.ones((2, len(layer)))
    for number in np.unique(layer):
        levels = layer == number
        known = (area.values > 0) & (scale > 0) & (spread > 0) & levels[:, None, None, None]
        if known.any() and (error[known] != 0).any():
            cells = (array[known] for array in (error, scale, spread, area.values))
            factors[:, levels] = np.array(_factor_and_power(*cells))[:, None]
    meaning = "of the calibrated spread a s^p, fitted on validation months"
    attributes = {"long_name": f"a {meaning}"}, {"long_name": f"p {meaning}", "units": "1"}
    variables = zip(FACTORS, zip(["depth"] * 2, factors, attributes))
    return xr.Dataset(dict(variables), {"depth": fields.depth})


def _factor_and_power(
    error: np.ndarray, scale: np.ndarray, spread: np.ndarray, weight: np.ndarray
) -> tuple[float, float]:
    """a and p of errors, scales s, spreads t and weights, all (n,)."""
    from scipy.optimize import minimize_scalar

    weight = weight / weight.sum()
    scale = np.maximum(scale, MIN_SPREAD * np.sqrt((weight * scale**2).sum()))
    logarithm, square = np.log(scale), error**2

    def negative_log_likelihood(power: float) -> float:
        # With the a that maximises the likelihood for this power.
        scaled = (weight * square * np.exp(-2 * power * logarithm)).sum()
        return power * (weight * logarithm).sum() + 0.5 * np.log(scaled)

    power = minimize_scalar(negative_log_likelihood, bounds=POWERS, method="bounded").x
    stated = (weight * (scale ** (power - 1) * spread) ** 2).sum()
    return np.sqrt((weight * square).sum() / stated), power


def drawn_results(drawn: xr.Dataset, variable: str = "temperature") -> dict[str, xr.Dataset]:
    """Background, first stage and ensemble of a reconstruction, as results that can be scored.

    Args:
        drawn: from `reconstruct`, or one case of its file.
        variable: the variable that is wanted.

    Returns:
        {method: `mean`, `error` and `members`}; without a first stage there is no "regression", and
        the ensemble has no `error`.
    """
    results = {}
    for method, quantities in DRAWN.items():
        names = {key: named(variable, name) for key, name in quantities.items()}
        present = {key: drawn[name] for key, name in names.items() if name in drawn}
        if present.keys() & {"error", "members"}:
            results[method] = xr.Dataset(present)
    return results


def fit_calibration_by_case(
    fields: xr.Dataset, seen: dict[str, xr.Dataset], drawn: dict[str, xr.Dataset]
) -> xr.Dataset:
    """Fit the calibration of background, first stage and ensemble, of every variable and case.

    Args:
        fields: truth of validation months.
        seen: {case: observations}.
        drawn: {case: reconstruction}, from `reconstruct`.

    Returns:
        `calibration` and `calibration_power` (case, depth) of the ensemble; those of the others
        with the method in front, such as `background_calibration`; all prefixed by the variable as
        `conventions.named` does.
    """
    cases = xr.Variable("case", list(drawn))
    factors = xr.Dataset()
    for variable in _variables(fields):
        results = {case: drawn_results(each, variable) for case, each in drawn.items()}
        for method in next(iter(results.values())):
            fitted = [
                fit_calibration(fields, seen[case], methods[method], variable)
                for case, methods in results.items()
            ]
            names = dict(zip(FACTORS, _names(variable, method)))
            factors = factors.merge(xr.concat(fitted, cases).rename(names))
    return factors


def _variables(fields: xr.Dataset) -> list[str]:
    """Variables with levels."""
    dims = fields.temperature.dims
    return [str(name) for name, field in fields.data_vars.items() if field.dims == dims]


def _names(variable: str, method: str) -> list[str]:
    """Names of the factors of a method."""
    prefix = "" if method == ENSEMBLE else f"{method}_"
    return [named(variable, prefix + name) for name in FACTORS]


def stored_factors(
    reconstruction: xr.Dataset, variable: str = "temperature", method: str = ENSEMBLE
) -> xr.Dataset:
    """The factors that a reconstruction holds, as `apply_calibration` takes them.

    Args:
        reconstruction: with the variables of `fit_calibration_by_case`.
        variable: the variable whose factors are wanted.
        method: a method of `drawn_results`.
    """
    names = zip(FACTORS, _names(variable, method))
    return xr.Dataset({name: reconstruction[stored] for name, stored in names})


def _inflation(scale: xr.DataArray, factors: xr.Dataset) -> xr.DataArray:
    """a s^(p − 1), by which a spread is multiplied; 1 where s is 0."""
    power = factors["calibration_power"] - 1
    return xr.where(scale > 0, factors["calibration"] * scale**power, 1.0)


def _inflate(
    result: xr.Dataset, inflation: xr.DataArray, variable: str, kind: str
) -> tuple[xr.DataArray, str]:
    """Members scaled about the mean, and in words how many were set to a bound of sea water.

    Members that all agree stay.
    """
    members, mean = result["members"], result["mean"]
    agree = members.max("member", skipna=False) == members.min("member", skipna=False)
    moved = members.where(agree, mean + inflation * (members - mean))
    moved = moved.transpose(*members.dims).astype(members.dtype)
    moved, number = within_bounds(moved, variable, agree, result.get("salinity"), kind)
    return moved, describe_bounded({named(variable, "bounded"): number})


def apply_calibration(
    result: xr.Dataset, factors: xr.Dataset, variable: str = "temperature", kind: str = POTENTIAL
) -> xr.Dataset:
    """Scale what a result states about its uncertainty; its mean stays.

    Args:
        result: `mean`, and `error`, `members` (…, member) or both; of temperature perhaps
            `salinity` (…, member), from which the freezing point of members follows.
        factors: of `fit_calibration`.
        variable: the variable of the result, whose bounds hold for members.
        kind: standard_name of temperature.

    Returns:
        With `error` alone, it scaled; with both, members scaled about `mean`, and no error; the
        attribute `bounds` says how many of their values were set to a bound.  With members alone,
        `error` in their place, since they would not be independent any more.
    """
    scale = _scale(result)
    inflation = _inflation(scale, factors)
    if "members" in result and "error" in result:
        members, bounds = _inflate(result, inflation, variable, kind)
        return result[["mean"]].assign(members=members).assign_attrs(bounds=bounds)
    error = (inflation * scale).transpose(*result["mean"].dims)
    return result[["mean"]].assign(error=error)


def calibrate_method(
    result: xr.Dataset, fields: xr.Dataset, observations: xr.Dataset, trial: xr.Dataset
) -> xr.Dataset:
    """Calibrate the `error` of a method, of every variable, by what it makes of validation months.

    Args:
        result: `mean` and `error`, further variables prefixed as `conventions.named` does.
        fields: truth of validation months.
        observations: what the method saw of them.
        trial: its result there.
    """
    for variable in _variables(fields):
        names = {named(variable, key): key for key in ("mean", "error")}
        one, tried = (each[list(names)].rename(names) for each in (result, trial))
        factors = fit_calibration(fields, observations, tried, variable)
        error = apply_calibration(one, factors)["error"].astype(one["error"].dtype)
        result = result.assign({named(variable, "error"): error})
    return result


def calibrate_reconstruction(reconstruction: xr.Dataset) -> xr.Dataset:
    """Apply a reconstruction's own factors to its members and spread, if it has any.

    Args:
        reconstruction: `mean`, `members`, `spread`, `deviation` if the model has a first stage,
            and, from `fit_calibration_by_case`, the factors; of temperature, or of the variable
            that the attribute `variable` names. Perhaps `salinity_members`, from which the freezing
            point follows.

    Returns:
        The calibrated reconstruction, without factors and with the attribute `calibrated`, which
        figures show; it says how many values of members were set to a bound.
    """
    if "calibration" not in reconstruction:
        return reconstruction
    spread = reconstruction["spread"]
    result = reconstruction[["mean", "members"]]
    for name, stored in (("error", "deviation"), ("salinity", "salinity_members")):
        if stored in reconstruction:
            result[name] = reconstruction[stored]
    variable = reconstruction.attrs.get("variable", "temperature")
    truth = reconstruction.get("truth", result["members"])
    kind = truth.attrs.get("standard_name", POTENTIAL)
    inflation = _inflation(_scale(result), reconstruction)
    members, bounds = _inflate(result, inflation, variable, kind)
    applied = reconstruction.assign(
        members=members,
        spread=(spread * inflation).transpose(*spread.dims).assign_attrs(spread.attrs),
    )
    applied = applied.drop_vars(FACTORS)
    return applied.assign_attrs(calibrated=f"by layer, on validation months; {bounds}")
