"""Tuning of every classical method on validation months, for one observation pattern.

The validation months are observed with the case's pattern, and methods are compared at hidden
places. The scales of an optimal interpolation are searched in `scale_search`; regression windows
and shrinkages are chosen by RMSE. The error factors use a second set of hidden places: the ratio of
actual to stated error of each level there becomes the factor on its error.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
import xarray as xr
from torch import Tensor

from ocean_lib.classical.optimal_interpolation import OptimalInterpolation
from ocean_lib.classical.reduced_space import ReducedSpace, ledoit_wolf
from ocean_lib.classical.regression import (
    CovarianceRegression,
    Regression,
    channel_covariance,
    fit_local_regression,
)
from ocean_lib.classical.scale_search import START_SCALES, describe_scales, tune_interpolation
from ocean_lib.classical.simple import climatology, delaunay_interpolate, linear
from ocean_lib.classical.validation import Validation
from ocean_lib.store.store import Store

__all__ = ["RIVALS", "Tuning", "tune_methods", "tune_reduced_space"]

Method = Callable[..., xr.Dataset]  # of observations, statistics and dates

LINEAR_DATES = 12  # dates used to estimate the error of linear interpolation
REDUCED_SPACE_DATES = 3  # dates at which settings of the reduced space are compared
WINDOWS = (4.0, 8.0, 16.0, 64.0)  # candidates for the local regression, cells
SHRINKAGES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 0.9)  # candidates for the reduced space
NOISES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)  # candidates for the reduced space


class Tuning(NamedTuple):
    """Inputs for tuning a method.

    Attributes:
        store: training and validation months.
        validation: the validation months as observed, and the hidden places.
        evaluations: limit for the first search for scales, `tune_interpolation`.
        show: called with a line that reports each tuned method.
    """

    store: Store
    validation: Validation
    evaluations: int
    show: Callable[[str], None]


def tune_methods(
    store: Store,
    case: dict[str, Any],
    *,
    evaluations: int = 60,
    seed: int = 0,
    show: Callable[[str], None] = lambda line: None,
) -> dict[str, Method]:
    """Tune every method of the table `RIVALS` for one case.

    The regression needs a case with an observed surface; the reduced space needs a store split in
    time, so that every cell has training months.

    Args:
        store: training and validation months.
        case: observation pattern (`check_patterns`).
        evaluations: limit for the first search for scales, `tune_interpolation`.
        seed: seed of the observations of the validation months and of the hidden places.
        show: called with a line that reports each tuned method.

    Returns:
        Methods by name, each `method(observations, statistics, dates=…)`.
    """
    tuning = Tuning(store, Validation(store, case, seed), evaluations, show)
    methods = {name: tune(tuning) for name, tune in RIVALS.items()}
    return {name: method for name, method in methods.items() if method is not None}


def _linear(tuning: Tuning) -> Method:
    return partial(linear, factor=_linear_error_factor(tuning.validation))


def _optimal_interpolation(tuning: Tuning) -> Method:
    regression = CovarianceRegression(channel_covariance(tuning.store), len(tuning.store.surfaces))
    return _interpolation("optimal interpolation", tuning, regression)


def _regression_and_interpolation(tuning: Tuning) -> Method | None:
    if not tuning.validation.subsets:
        return None
    regression = min(
        (
            fit_local_regression(tuning.store, window, tuning.validation.subsets)
            for window in WINDOWS
        ),
        key=lambda regression: _regression_rmse(tuning.validation, regression),
    )
    return _interpolation("regression + optimal interpolation", tuning, regression)


def _interpolation(
    name: str, tuning: Tuning, regression: CovarianceRegression | Regression
) -> Method:
    rmse, method = tune_interpolation(tuning.validation, regression, tuning.evaluations)
    tuning.show(
        f"{name}: {describe_scales(method.scales)}; validation RMSE {rmse:.3f} standard deviations"
    )
    return method


def _reduced_space(tuning: Tuning) -> Method | None:
    if tuning.store.split["kind"] != "time":
        return None
    rmse, method = tune_reduced_space(tuning.validation, tuning.store)
    tuning.show(
        f"reduced space: shrinkage {method.shrinkage:.3g}, noise variance "
        f"{method.noise:.3g}; validation RMSE {rmse:.3f} standard deviations"
    )
    return method


# Every rival by name: a function that tunes it, or returns None where it cannot be used.
RIVALS: dict[str, Callable[[Tuning], Method | None]] = {
    "climatology": lambda tuning: climatology,
    "linear": _linear,
    "optimal interpolation": _optimal_interpolation,
    "regression + optimal interpolation": _regression_and_interpolation,
    "reduced space": _reduced_space,
}


def _linear_error_factor(validation: Validation) -> Tensor:
    """Error (D,) of linear interpolation in standard deviations, from a few dates."""
    dates = _evenly_spaced(torch.arange(len(validation.truth)), LINEAR_DATES)
    value, observed = (validation.batch[name][dates].numpy() for name in ("value", "observed"))
    date, y, x = validation.hidden[dates].any(1).nonzero().T
    mean = torch.from_numpy(delaunay_interpolate(value, observed))[date, :, y, x]
    targets = torch.stack([dates[date], y, x], 1)
    return validation.error_factor(mean, torch.ones_like(mean), targets)


def _evenly_spaced(dates: Tensor, number: int) -> Tensor:
    return dates[:: max(1, len(dates) // number)][:number]


def _regression_rmse(validation: Validation, regression: Regression) -> float:
    """RMSE of a regression alone at the search targets."""
    method = OptimalInterpolation(regression, START_SCALES)
    prior, _ = method.prior(validation.batch, validation.observations)
    t, y, x = validation.search_targets.T
    return validation.normalised_rmse(prior[t, :, y, x], validation.search_targets)


def tune_reduced_space(validation: Validation, store: Store) -> tuple[float, ReducedSpace]:
    """Find the noise and the shrinkage with the smallest RMSE, one after the other.

    Args:
        validation: the months and places to tune on.
        store: store whose training months are the states.

    Returns:
        Normalised RMSE at the search targets of a few dates, and the tuned method.
    """
    method = ReducedSpace.from_store(store, 1.0, 0.0)
    method.shrinkage = max(ledoit_wolf(method.states.flatten(1)), 0.01)
    search_dates = validation.search_targets[:, 0]
    dates = _evenly_spaced(search_dates.unique(), REDUCED_SPACE_DATES)
    targets = validation.search_targets[torch.isin(search_dates, dates)]

    def posterior(targets: Tensor) -> tuple[Tensor, Tensor]:
        return method.posterior_at(validation.batch, validation.observations, targets)

    best = validation.normalised_rmse(posterior(targets)[0], targets)
    for name, values in (("noise", NOISES), ("shrinkage", SHRINKAGES), ("noise", NOISES)):
        for value in values:
            before = getattr(method, name)
            setattr(method, name, value)
            rmse = validation.normalised_rmse(posterior(targets)[0], targets)
            if rmse < best:
                best = rmse
            else:
                setattr(method, name, before)
    held_out = validation.holdout_targets
    method.factor = validation.error_factor(*posterior(held_out), held_out)
    return best, method
