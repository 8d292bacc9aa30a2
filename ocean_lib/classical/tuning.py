"""Every classical method, tuned on validation months for one case as hard as a network is trained.

Validation months are observed by the case's own pattern, and methods are compared at hidden places
drawn from them.  Scales and noise of an optimal interpolation are those under which the truth there
is most likely, each error being stated up to one common factor, by Nelder and Mead's search; of
kernels, windows of a regression, and shrinkage, those of the least error are taken, at other hidden
places, whole blocks of them as in the interpolation of a field.  There the error is also compared
with the one stated, and their ratio, level by level, becomes the factor on the latter.

Reference: Rasmussen & Williams 2006, Gaussian processes for machine learning, section 5.4.2
(predictive likelihood as the criterion of a validation).
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import xarray as xr

from ocean_lib.classical import optimal_interpolation, reduced_space, simple
from ocean_lib.classical.optimal_interpolation import KERNELS
from ocean_lib.classical.reduced_space import ledoit_wolf
from ocean_lib.classical.regression import (
    CovarianceRegression,
    channel_covariance,
    fit_local_regression,
)
from ocean_lib.classical.simple import delaunay_interpolate
from ocean_lib.core.months import to_months
from ocean_lib.observations.batch import observe, select_statistics, standardise
from ocean_lib.store.store import Store

__all__ = [
    "Validation",
    "MAX_ERROR_RATIO",
    "reduced_space_at",
    "tune_methods",
    "tune_interpolation",
    "tune_reduced_space",
]


COLUMNS = 512  # places at which errors are compared while searching
KEPT = 512  # blocks of others, for what is chosen in the end, and for the factor
VALUES = 2**22  # of the validation months at most, so that they fit into memory
FEW = 3  # dates at which candidates for the reduced space are compared
DATES = 12  # dates that tell the error of linear interpolation
WINDOWS = (4.0, 8.0, 16.0, 64.0)  # cells, of the regression
START = (1.0, 6.0, 6.0, 0.003)  # months, rows, columns, noise
NEIGHBOURS = (48, 128)  # of a place at the end; the search makes do with fewer
MAX_ERROR_RATIO = 0.995  # of the error, what more of them must bring it to
LIMITS = ((0.05, 36.0), (0.5, 200.0), (0.5, 200.0), (1e-5, 1.0))
SHRINKAGES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 0.9)  # of the reduced space
NOISES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)  # of its observations


class Validation:
    """Validation months under one case's pattern, and hidden places to compare methods at.

    Attributes:
        observations: as `dataset.observe` gives them.    batch: the same, standardised.
        truth: (T, D, H, W), standardised.    sky: whether the surface is seen.
    """

    def __init__(self, store: Store, case: dict, seed: int):
        times, _ = store.block("validation")
        cells = store.ocean[:, store.block("validation")[1]].size
        dates = np.arange(min(times.stop - times.start, max(VALUES // cells, 6)))
        fields = store.fields("validation", dates)
        self.observations = observe(fields, case, seed)
        self.statistics = select_statistics(store.statistics(), self.observations)
        self.batch = standardise(self.observations, self.statistics)
        self.truth = torch.from_numpy(store.standardised("validation", dates))[:, store.surfaces :]
        self.hidden = self.batch["ocean"] & ~self.batch["observed"]
        self.has_surface = bool(self.batch["surface_observed"].any())
        columns = self.hidden.any(1).nonzero()
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(columns), generator=generator)
        number = min(COLUMNS, len(columns) // 2)
        self.search_targets, others = columns[order[:number]], columns[order[number:].sort().values]
        # Whole blocks, since what is applied to a field shares its observations by these.
        corner = others // torch.tensor(
            [1, optimal_interpolation.TARGET_BLOCK, optimal_interpolation.TARGET_BLOCK]
        )
        blocks, owner = corner.unique(dim=0, return_inverse=True)
        chosen = torch.randperm(len(blocks), generator=generator)[:KEPT]
        self.holdout_targets = others[torch.isin(owner, chosen)]
        deviation = torch.from_numpy(self.statistics.deviation.values[store.surfaces :])
        parts = deviation, self.batch["ocean"][0]
        each = zip(*(part.chunk(len(store.variables)) for part in parts), strict=True)
        # °C and salinity count alike.
        self.deviation = torch.cat([one / one[wet].square().mean().sqrt() for one, wet in each])

    def normalised_rmse(self, mean: torch.Tensor, targets: torch.Tensor) -> float:
        """Root mean square error over hidden cells of `targets` (n, 3), of a mean (n, D).

        As scores count it, in proportion to °C, and relative to the standard deviation there.
        """
        t, y, x = targets.T
        unit = self.deviation[:, y, x].T * self.hidden[t, :, y, x]
        square = (unit * (mean - self.truth[t, :, y, x])) ** 2
        return float((square.sum() / unit.square().sum()).sqrt())

    def negative_log_likelihood(
        self, mean: torch.Tensor, variance: torch.Tensor, targets: torch.Tensor
    ) -> float:
        """Negative logarithm of the truth's likelihood, a value, with the best factor on errors."""
        t, y, x = targets.T
        hidden = self.hidden[t, :, y, x]
        square = ((mean - self.truth[t, :, y, x]) ** 2)[hidden]
        stated = variance[hidden].clamp(min=1e-9)
        return 0.5 * float(stated.log().mean() + (square / stated).mean().log())

    def cells(self, targets: torch.Tensor) -> torch.Tensor:
        """(n, D) places of the levels of `targets` in a date's flattened channels and cells."""
        height, width = self.truth.shape[-2:]
        surfaces = self.batch["surface"].shape[1]
        channels = torch.arange(surfaces, surfaces + self.truth.shape[1])
        return (channels * height + targets[:, 1:2]) * width + targets[:, 2:]

    def error_factor(self, mean: torch.Tensor, variance: torch.Tensor, targets: torch.Tensor):
        """(D,) root of the mean square error over the mean variance, at `targets`."""
        t, y, x = targets.T
        hidden = self.hidden[t, :, y, x]
        square = torch.where(hidden, (mean - self.truth[t, :, y, x]) ** 2, 0.0).sum(0)
        stated = torch.where(hidden, variance, 0.0).sum(0)
        ratio = torch.where(stated > 0, square / stated.clamp(min=1e-12), 1.0)
        return ratio.sqrt()


def tune_methods(
    store: Store,
    case: dict,
    *,
    evaluations: int = 60,
    seed: int = 0,
    show: Callable[[str], None] | None = None,
) -> dict[str, Callable[[xr.Dataset, xr.Dataset], xr.Dataset]]:
    """All methods of `baselines` by name, tuned for one case (see `masks.check`).

    Regression and reduced space are there where they can be: where the case has a surface, and
    where places have a past, in a store split in time.

    Args:
        evaluations: of each search for scales and noise, one for every kernel.
        seed: of the validation months' observations and of the places compared.
        show: takes a line on what each tuning chose.
    """
    check = Validation(store, case, seed)
    show = show or (lambda line: None)
    found: dict[str, Callable] = {
        "climatology": simple.climatology,
        "linear": partial(simple.linear, factor=_linear_error(check)),
    }

    def interpolation(name: str, regression) -> None:
        score, method = tune_interpolation(check, regression, evaluations)
        lengths, noise = method.scales["lengths"], method.scales["noise"]
        show(
            f"{name}: {method.scales['kernel']}, {lengths[1]:.1f} rows, {lengths[2]:.1f} columns, "
            f"{lengths[0]:.1f} months, noise {noise:.2g}, error {score:.3f} standard deviations on "
            "validation"
        )
        found[name] = method

    interpolation(
        "optimal interpolation", CovarianceRegression(channel_covariance(store), store.surfaces)
    )
    if check.has_surface:
        best = min(
            (fit_local_regression(store, window) for window in WINDOWS),
            key=lambda each: _after_regression(check, each),
        )
        interpolation("regression + optimal interpolation", best)
    if store.split["kind"] == "time":
        score, method = tune_reduced_space(check, store)
        show(
            f"reduced space: shrinkage {method.shrinkage:.3g}, noise {method.noise:.3g}, error "
            f"{score:.3f} standard deviations on validation"
        )
        found["reduced space"] = method
    return found


def _linear_error(check: Validation) -> torch.Tensor:
    dates = _some(torch.arange(len(check.truth)), DATES)
    targets = check.hidden[dates].any(1).nonzero()
    value, observed = (check.batch[name][dates].numpy() for name in ("value", "observed"))
    number, y, x = targets.T
    mean = torch.from_numpy(delaunay_interpolate(value, observed))[number, :, y, x]
    targets = torch.stack([dates[number], y, x], 1)
    return check.error_factor(mean, torch.ones_like(mean), targets)


def _some(dates: torch.Tensor, number: int) -> torch.Tensor:
    return dates[:: max(1, len(dates) // number)][:number]


def _after_regression(check: Validation, regression) -> float:
    method = optimal_interpolation.OptimalInterpolation(regression, _scales(START, "matern"))
    prior, _ = method.prior(check.batch, check.observations)
    t, y, x = check.search_targets.T
    return check.normalised_rmse(prior[t, :, y, x], check.search_targets)


def _scales(values, kernel: str) -> dict:
    lengths, noise = tuple(float(each) for each in values[:3]), float(values[3])
    return {"lengths": lengths, "noise": noise, "kernel": kernel}


def tune_interpolation(
    check: Validation, regression, evaluations: int
) -> tuple[float, optimal_interpolation.OptimalInterpolation]:
    """The interpolation under which the validation truth is most likely, and its error there."""
    from scipy.optimize import minimize

    start = optimal_interpolation.OptimalInterpolation(regression, _scales(START, "matern"))
    when = to_months(check.observations.time.values)
    given = start.prepare(check.batch, check.observations), when
    low, high = np.log(LIMITS).T

    def method(logarithms, kernel) -> optimal_interpolation.OptimalInterpolation:
        values = np.exp(np.clip(logarithms, low, high))
        return optimal_interpolation.OptimalInterpolation(regression, _scales(values, kernel))

    def search(kernel: str, begin: np.ndarray):
        def unlikely(logarithms) -> float:
            tried = method(logarithms, kernel).posterior(*given, check.search_targets)
            return check.negative_log_likelihood(*tried, check.search_targets)

        simplex = begin + np.concatenate([np.zeros((1, 4)), 0.7 * np.eye(4)])
        options = {"maxfev": evaluations, "initial_simplex": simplex, "xatol": 0.02, "fatol": 1e-5}
        return minimize(unlikely, begin, method="Nelder-Mead", options=options)

    def judged(kernel: str, logarithms: np.ndarray):
        score = np.inf
        for neighbours in NEIGHBOURS:
            tried = method(logarithms, kernel)
            tried.scales["neighbours"] = neighbours
            mean, variance = tried.posterior(
                *given, check.holdout_targets, optimal_interpolation.TARGET_BLOCK
            )
            error = check.normalised_rmse(mean, check.holdout_targets)
            if error < MAX_ERROR_RATIO * score:
                score, chosen = error, tried
                chosen.factor = check.error_factor(mean, variance, check.holdout_targets)
        return score, chosen

    found = {kernel: search(kernel, np.log(START)).x for kernel in KERNELS}
    best = min((judged(*each) for each in found.items()), key=lambda each: each[0])
    # A simplex that has shrunk too early is opened once more where it came to rest.
    kernel = best[1].scales["kernel"]
    again = judged(kernel, search(kernel, found[kernel]).x)
    return min(best, again, key=lambda each: each[0])


def reduced_space_at(
    method: reduced_space.ReducedSpace, check: Validation, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Posterior mean and variance, (n, D), of the reduced space at `targets` (n, 3)."""
    places = method.at_grid(check.observations)
    mean, variance = (torch.empty(len(targets), check.truth.shape[1]) for _ in range(2))
    for month in targets[:, 0].unique().tolist():
        mine = targets[:, 0] == month
        cells = check.cells(targets[mine])
        found = method.posterior(check.batch, *places, month, cells.flatten())
        mean[mine], variance[mine] = (each.view(cells.shape) for each in found)
    return mean, variance


def tune_reduced_space(check: Validation, store: Store) -> tuple[float, reduced_space.ReducedSpace]:
    """The reduced space of the least error on validation, and that error."""
    method = reduced_space.ReducedSpace.from_store(store, 1.0, 0.0)
    method.shrinkage = max(ledoit_wolf(method.states.flatten(1)), 0.01)
    some = _some(check.search_targets[:, 0].unique(), FEW)
    few = check.search_targets[torch.isin(check.search_targets[:, 0], some)]
    score = check.normalised_rmse(reduced_space_at(method, check, few)[0], few)
    for name, values in (("noise", NOISES), ("shrinkage", SHRINKAGES), ("noise", NOISES)):
        for value in values:
            before = getattr(method, name)
            setattr(method, name, value)
            error = check.normalised_rmse(reduced_space_at(method, check, few)[0], few)
            if error < score:
                score = error
            else:
                setattr(method, name, before)
    method.factor = check.error_factor(
        *reduced_space_at(method, check, check.holdout_targets), check.holdout_targets
    )
    return score, method
