"""Search for the kernel, lengths, time scales, noise and neighbours of an optimal interpolation.

The scales and the noise maximise the likelihood of the truth at the search targets (Nelder-Mead),
up to a common factor on the stated errors; every likelihood is that of the number of neighbours and
the blocks of targets with which fields are interpolated. Choices are made by the RMSE at the
holdout targets:

    1. all kernels are fitted with few neighbours, where an evaluation is cheap: one from a fixed
       start, the others from its optimum;
    2. the best two are fitted with more neighbours;
    3. the best is fitted with two time scales, which must lower the error by 0.5 %;
    4. neighbours are added, and the scales fitted again, while that lowers the error by 0.5 %.

Reference: Rasmussen & Williams 2006, Gaussian processes for machine learning, section 5.4.2
(predictive likelihood as the criterion of a validation); Jamieson & Talwalkar 2016, arXiv
1502.07943 (successive halving: candidates become fewer as their evaluation becomes costlier).
"""

from typing import Any, NamedTuple

import numpy as np

from ocean_lib.classical.gaussian_field import KERNELS
from ocean_lib.classical.optimal_interpolation import OptimalInterpolation
from ocean_lib.classical.regression import CovarianceRegression, Regression
from ocean_lib.classical.validation import Validation

__all__ = ["MAX_ERROR_RATIO", "START_SCALES", "describe_scales", "tune_interpolation"]

MAX_ERROR_RATIO = 0.995  # accept a costlier setting only if it cuts the error by at least 0.5 %
NEIGHBOURS = (48, 96, 192, 288)  # per target
FINALISTS = 2  # kernels that are compared with more neighbours
LENGTH_LIMITS = (2.0, 5000.0)  # km
# Months, meridional and zonal length in km, relative noise variance; then share of the slow
# exponential, and the ratio of its time scale to the first.
START = (1.0, 60.0, 60.0, 0.003, 0.2, 12.0)
LIMITS = ((0.05, 36.0), LENGTH_LIMITS, LENGTH_LIMITS, (1e-5, 1.0), (0.02, 0.9), (2.0, 100.0))
UNITS = (1.0, 1.0, 1.0, 3.0, 1.0, 1.0)  # e-folds by which the likelihood changes about alike
ONE_TIME_SCALE = 4  # of these parameters
WIDE, NARROW = 0.7, 0.3  # radius of the first simplex: at the start, from a neighbouring optimum


class _Fit(NamedTuple):
    """Scales fitted with one kernel and one number of neighbours."""

    rmse: float  # at the holdout targets
    parameters: np.ndarray  # logarithms in `UNITS`
    method: OptimalInterpolation


def _scales(parameters: np.ndarray, kernel: str, neighbours: int) -> dict[str, Any]:
    """Scales of an `OptimalInterpolation` from 4 or 6 parameters."""
    number = len(parameters)
    logarithms = np.clip(parameters * UNITS[:number], *np.log(LIMITS[:number]).T)
    months, north, east, noise, *second = np.exp(logarithms).tolist()
    scales: dict[str, Any] = {"lengths": (months, north, east), "noise": noise}
    if second:
        share, ratio = second
        scales["slow"] = share, ratio * months
    return scales | {"kernel": kernel, "neighbours": neighbours}


BEGIN = np.log(START) / UNITS
START_SCALES = _scales(BEGIN[:ONE_TIME_SCALE], "matern32", NEIGHBOURS[0])


def describe_scales(scales: dict[str, Any]) -> str:
    """Kernel, lengths, time scales, noise and neighbours in words."""
    months, north, east = scales["lengths"]
    time = f"{months:.1f} months"
    if "slow" in scales:
        share, slow = scales["slow"]
        time += f" ({share:.0%} of the variance {slow:.0f} months)"
    return (
        f"{scales['kernel']} kernel, correlation lengths {north:.0f} km meridional, {east:.0f} km "
        f"zonal and {time}, noise variance {scales['noise']:.2g}, {scales['neighbours']} neighbours"
    )


def tune_interpolation(
    validation: Validation, regression: CovarianceRegression | Regression, evaluations: int
) -> tuple[float, OptimalInterpolation]:
    """Find the scales under which the validation truth is most likely.

    Args:
        validation: the months and places to tune on.
        regression: regression whose residual is interpolated.
        evaluations: limit for the first search; the further ones, which start near an optimum, have
            a half of it, and a third where neighbours are many.

    Returns:
        Normalised RMSE at the holdout targets, and the tuned method.
    """
    from scipy.linalg import helmert
    from scipy.optimize import minimize

    start = OptimalInterpolation(regression, START_SCALES)
    prepared = start.prepare(validation.batch, validation.observations)

    def method_of(kernel: str, neighbours: int, parameters: np.ndarray) -> OptimalInterpolation:
        return OptimalInterpolation(regression, _scales(parameters, kernel, neighbours))

    def fit(
        kernel: str, neighbours: int, begin: np.ndarray, limit: int, radius: float = NARROW
    ) -> _Fit:
        def objective(parameters: np.ndarray) -> float:
            targets = validation.search_targets
            posterior = method_of(kernel, neighbours, parameters).posterior(prepared, targets)
            return validation.negative_log_likelihood(*posterior, targets)

        def judge(parameters: np.ndarray) -> _Fit:
            targets = validation.holdout_targets
            method = method_of(kernel, neighbours, parameters)
            mean, variance = method.posterior(prepared, targets)
            method.factor = validation.error_factor(mean, variance, targets)
            return _Fit(validation.normalised_rmse(mean, targets), parameters, method)

        # A regular simplex about the start favours no direction.
        simplex = begin + radius * helmert(len(begin) + 1).T
        options = {"maxfev": limit, "initial_simplex": simplex, "xatol": 0.02, "fatol": 1e-4}
        optimum = minimize(objective, begin, method="Nelder-Mead", options=options).x
        # The start was an optimum, too: a short search must not do worse at other places.
        return min(judge(begin), judge(optimum), key=lambda result: result.rmse)

    few, more, *most = NEIGHBOURS
    half, third = max(1, evaluations // 2), max(1, evaluations // 3)
    first = START_SCALES["kernel"]
    fits = {first: fit(first, few, BEGIN[:ONE_TIME_SCALE], evaluations, WIDE)}
    for kernel in (name for name in KERNELS if name != first):
        fits[kernel] = fit(kernel, few, fits[first].parameters, half)
    finalists = sorted(fits, key=lambda kernel: fits[kernel].rmse)[:FINALISTS]
    best = fits[finalists[0]]
    wider = {kernel: fit(kernel, more, fits[kernel].parameters, half) for kernel in finalists}
    kernel = min(wider, key=lambda kernel: wider[kernel].rmse)
    best, raised = _better(best, wider[kernel])
    slow = np.concatenate([best.parameters, BEGIN[ONE_TIME_SCALE:]])
    used = best.method.scales
    best, _ = _better(best, fit(used["kernel"], used["neighbours"], slow, half))
    for neighbours in most if raised else ():
        kernel = best.method.scales["kernel"]
        best, raised = _better(best, fit(kernel, neighbours, best.parameters, third))
        if not raised:
            break
    return best.rmse, best.method


def _better(best: _Fit, costlier: _Fit) -> tuple[_Fit, bool]:
    """The costlier fit where its error is lower by 0.5 %, and whether it is."""
    accepted = costlier.rmse < MAX_ERROR_RATIO * best.rmse
    return (costlier if accepted else best), accepted
