"""The networks' background: the tuned classical methods as one first guess and its error.

It is a regression on the surface followed by local optimal interpolation.  In a region so small
that the states of the training months span its variability, the reduced space is mixed in, level by
level, where that lowers the error.  `fit_background` finds scales and shares on the validation
months for every pattern that training draws; a batch uses those of the pattern nearest in density.

The regression has one set of coefficients for all places: local coefficients improve the first
guess by 1 %, but worsen what the networks make of it by as much.  Where observations are sparse the
interpolated departure is smooth, so it is computed on every few rows and columns only.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from torch import Tensor, nn

from ocean_lib.classical.gaussian_field import lag_of_correlation
from ocean_lib.classical.optimal_interpolation import TARGET_BLOCK, OptimalInterpolation
from ocean_lib.classical.reduced_space import ReducedSpace
from ocean_lib.classical.regression import Regression, fit_shared_regression
from ocean_lib.classical.scale_search import MAX_ERROR_RATIO, describe_scales, tune_interpolation
from ocean_lib.classical.tuning import tune_reduced_space
from ocean_lib.classical.validation import Validation
from ocean_lib.core.months import from_months, to_months
from ocean_lib.observations.batch import BESIDE, exactly_observed
from ocean_lib.observations.specification import check_patterns, probability
from ocean_lib.store.store import Store

__all__ = ["Background", "fit_background"]


RELATIVE_STRIDE = 0.2  # of the departure's grid, in mean distances between observed columns
LARGEST_STRIDE = 4  # cells
LARGEST_REACH = 12  # months
SCALES = ("lengths", "noise", "kernel", "neighbours", "slow")
EXCLUDED_MONTHS = 12  # around a date: in training, the reduced space must not hold its own state
MONTH_TOLERANCE = 0.15  # months, when comparing date offsets; absorbs unequal month lengths
SMALL_REGION = 2**14  # values of a field; in smaller regions the reduced space is tried


class _Sample(NamedTuple):
    """All known dates of one sample, in order."""

    batch: dict[str, Tensor]  # observations and ocean, (T, ...) each
    grid: xr.Dataset  # coordinates `time`, `month`, `latitude`, `longitude`
    own: int  # index of the date whose background is asked for


class Background(nn.Module):
    """The first guess and its error from observations and climatology alone.

    It is a module, so that it moves between devices with the networks and is saved with them.

    Args:
        scales: for each of N patterns `observed` (share of observed columns), `surface` (whether it
            is seen), the scales of `OptimalInterpolation`, and `reduced`, those of `ReducedSpace`,
            where that is mixed in.
        buffers: arrays by name; those of the reduced space are left out where it is not used:
            coefficients of the regression on the surface (2^S - 1, D, P, 1, 1) and covariance of
            the levels (2^S, D, D), as `classical.regression.Regression` has them; `factor` (N, D)
            on the error; `share` (N, D) of the reduced space in the mean; its `states`
            (T, S + D, H, W), their `deviation` (S + D, H, W), `dates` (T,) in months, `latitude`
            (H,), `longitude` (W,).

    Raises:
        ValueError: a buffer has another name.
    """

    BUFFERS = (
        *("coefficients", "covariance", "factor", "share"),
        *("states", "deviation", "dates", "latitude", "longitude"),
    )
    PRECISE = ("latitude", "longitude", "dates")  # float64

    def __init__(self, scales: list[dict], **buffers: Tensor | np.ndarray):
        super().__init__()
        pairs = ("lengths", "slow")  # lists where they come from a file
        self.scales: list[dict[str, Any]] = [
            {name: tuple(value) if name in pairs else value for name, value in pattern.items()}
            for pattern in scales
        ]
        for name in self.BUFFERS:
            kind = torch.float64 if name in self.PRECISE else torch.float32
            value = torch.as_tensor(buffers.pop(name, torch.zeros(0)))
            self.register_buffer(name, value.to(kind))
        if buffers:
            raise ValueError(f"{sorted(buffers)} are not parts of a background: {self.BUFFERS}")

    @property
    def reach(self) -> int:
        """Months before and after whose observations are used: twice the longest e-folding time."""
        longest = max(
            lag_of_correlation(np.exp(-1), pattern["lengths"][0], pattern.get("slow"))
            for pattern in self.scales
        )
        return int(np.clip(round(2 * longest), 1, LARGEST_REACH))

    def nearest(self, share: float, surface: bool) -> int:
        """The pattern nearest to a share of observed columns; a seen surface breaks ties."""

        def distance(index: int) -> tuple[float, bool]:
            scales = self.scales[index]
            return abs(np.log(max(share, 1e-6) / scales["observed"])), surface != scales["surface"]

        return min(range(len(self.scales)), key=distance)

    def method(self, share: float, surface: bool) -> OptimalInterpolation:
        """The interpolation of the nearest pattern."""
        pattern = self.nearest(share, surface)
        scales = {name: value for name, value in self.scales[pattern].items() if name in SCALES}
        regression = Regression(self.get_buffer("coefficients"), self.get_buffer("covariance"))
        return OptimalInterpolation(regression, scales, factor=self.get_buffer("factor")[pattern])

    def _reduced(self, sample: _Sample, scales: dict) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (D, H, W) of one sample by the reduced space."""
        batch, grid, own = sample
        used = abs(self.dates - float(grid["month"][own])) > EXCLUDED_MONTHS
        places = self.latitude.cpu().numpy(), self.longitude.cpu().numpy()
        method = ReducedSpace(self.states[used], self.get_buffer("deviation"), places, **scales)
        posterior = method.posterior(batch, *method.at_grid(grid), own)
        surfaces, shape = batch["surface"].shape[1], batch["ocean"].shape[-2:]
        mean, variance = (part.view(-1, *shape)[surfaces:] for part in posterior)
        return mean, variance.sqrt()

    @torch.no_grad()
    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Background and its standard deviation, both (B, D, H, W), standardised.

        At exact observations they are the value and 0.  Samples observed alike share most of the
        cost.  The batch (`observations.batch`) may lack neighbouring dates.
        """
        samples = [_dates(batch, index) for index in range(len(batch["value"]))]
        results: dict[int, tuple[Tensor, Tensor]] = {}
        for index, sample in enumerate(samples):
            if index not in results:
                rest = (k for k in range(index + 1, len(samples)) if k not in results)
                alike = [index, *(k for k in rest if _observed_alike(sample, samples[k]))]
                results |= zip(alike, self._together([samples[k] for k in alike]), strict=True)
        ordered = (results[index] for index in range(len(samples)))
        mean, error = (torch.stack(part) for part in zip(*ordered))
        return mean * batch["ocean"], error * batch["ocean"]

    def _together(self, samples: list[_Sample]) -> list[tuple[Tensor, Tensor]]:
        """Background and error, (D, H, W) each, of samples that are observed alike."""
        batch, _, own = samples[0]
        observed, sea = batch["observed"][own].any(0), batch["ocean"][own].any(0)
        share = float(observed.sum() / sea.sum().clamp(min=1))
        surface = bool(batch["surface_observed"][own].any())
        pattern, method = self.nearest(share, surface), self.method(share, surface)
        stride = int(RELATIVE_STRIDE * (share + 1e-6) ** -0.5)
        stride = max(1, min(stride, LARGEST_STRIDE))
        prepared = [method.prepare(sample.batch, sample.grid) for sample in samples]
        departures, wide = _interpolate(method, samples[0], prepared, stride)
        exact, results = exactly_observed(batch)[own], []
        for sample, given, departure in zip(samples, prepared, departures):
            mean, error = given.prior[own] + departure, wide
            if "reduced" in self.scales[pattern]:
                reduced = self._reduced(sample, self.scales[pattern]["reduced"])
                part = self.share[pattern][:, None, None]
                mean, error = (torch.lerp(*two, part) for two in zip((mean, error), reduced))
            mean = torch.where(exact, sample.batch["value"][own], mean)
            results.append((mean, torch.where(exact, 0.0, error * method.factor[:, None, None])))
        return results


def _interpolate(method, sample, prepared, stride) -> tuple[list[Tensor], Tensor]:
    """Departures of samples observed alike from their priors, and their error, (D, H, W) each."""
    batch, grid, own = sample
    groups = [
        alike[0]._replace(value=torch.stack([group.value for group in alike], 2))
        for alike in zip(*(given.groups for given in prepared))
    ]
    height, width = batch["ocean"].shape[-2:]
    rows, columns = (torch.arange(0, size + stride - 1, stride) for size in (height, width))
    cells = torch.cartesian_prod(rows, columns).to(batch["ocean"].device)
    if stride == 1:
        cells = (batch["ocean"] & ~exactly_observed(batch))[own].any(0).nonzero()
    targets = torch.cat([torch.full_like(cells[:, :1], own), cells], 1)
    departure, variance = method.departure(groups, prepared[0].axes, targets, TARGET_BLOCK * stride)
    values = torch.cat([departure, variance.sqrt()[..., None]], 2).flatten(1).T
    if stride == 1:
        field = torch.zeros(len(values), height, width, device=values.device)
        field[:, cells[:, 0], cells[:, 1]] = values
    else:
        coarse = values.view(1, -1, len(rows), len(columns))
        size = [(len(axis) - 1) * stride + 1 for axis in (rows, columns)]
        field = F.interpolate(coarse, size, mode="bilinear", align_corners=True)[0]
        field = field[:, :height, :width]
    *departures, error = field.view(-1, len(prepared) + 1, height, width).unbind(1)
    return departures, error


def _observed_alike(one: _Sample, other: _Sample) -> bool:
    """Whether two samples differ in nothing but values and a shift of all dates."""
    offsets, others = (s.grid["month"].values - s.grid["month"].values[0] for s in (one, other))
    masks = ("observed", "error", "surface_observed", "ocean")
    return (
        one.own == other.own
        and len(offsets) == len(others)
        and abs(offsets - others).max() < MONTH_TOLERANCE
        and all(one.grid[name].equals(other.grid[name]) for name in ("latitude", "longitude"))
        and all(torch.equal(one.batch[name], other.batch[name]) for name in masks)
    )


def _dates(batch: dict[str, Tensor], index: int) -> _Sample:
    """All known dates of one sample of a batch."""
    when = batch["when"][index].cpu().numpy()
    middle = len(when) // 2
    known = np.isfinite(when) if "beside_value" in batch else np.zeros(len(when), bool)
    known[middle] = True

    def stacked(name: str) -> Tensor:
        own = batch[name][index]
        if known.sum() == 1:
            return own[None]
        near = batch[f"beside_{name}"][index]
        dates = [*near[:middle], own, *near[middle:]]
        return torch.stack([values for values, here in zip(dates, known) if here])

    observations = {name: stacked(name) for name in BESIDE}
    observations["ocean"] = batch["ocean"][index].expand_as(observations["observed"])
    grid = xr.Dataset(coords={"time": from_months(when[known]), "month": ("time", when[known])})
    for name in ("latitude", "longitude"):
        grid[name] = batch[name][index].cpu().numpy()
    return _Sample(observations, grid, int(known[:middle].sum()))


def fit_background(
    store: Store,
    specifications: list[dict],
    *,
    evaluations: int = 60,
    seed: int = 0,
    show: Callable[[str], None] | None = None,
) -> Background:
    """The background with the lowest error on the validation months of a store.

    Args:
        store: the store to fit on.
        specifications: the observation patterns that training draws (`check_patterns`); each is
            fitted at the middle of its range.
        evaluations: limit for the first search for scales, `tune_interpolation`.
        seed: decides the observations of the validation months and the places compared.
        show: takes one line per pattern on the outcome.
    """
    regression = fit_shared_regression(store)
    small = store.ocean[:, store.block("train")[1]].size <= SMALL_REGION
    scales, factors, shares, reduced = [], [], [], None
    for pattern in check_patterns(specifications):
        case = pattern | {"error": 0.0, "surface": _seen(pattern, store.surfaces)}
        case["observed"] = float(np.sqrt(np.broadcast_to(pattern["observed"], 2).prod()))
        case["clouds"] = float(np.mean(pattern["clouds"]))
        check = Validation(store, case, seed)
        error, method = tune_interpolation(check, regression, evaluations)
        fitted = {"observed": max(case["observed"], 1e-6), "surface": bool(check.subsets)}
        fitted |= method.scales
        share = torch.zeros(regression.covariance.shape[-1])
        factor = torch.as_tensor(method.factor)
        if small and store.split["kind"] == "time":
            _, reduced = tune_reduced_space(check, store)
            mixed = _mix(check, method, reduced)
            if mixed.error < MAX_ERROR_RATIO * error:
                error, share, factor = mixed
                fitted["reduced"] = {"shrinkage": reduced.shrinkage, "noise": reduced.noise}
        scales.append(fitted)
        factors.append(factor)
        shares.append(share)
        if show is not None:
            reduced_share = f", reduced space {share.mean():.0%}" if "reduced" in fitted else ""
            show(
                f"background for {case['observed']:.2%} {case['pattern']}: "
                f"{describe_scales(fitted)}{reduced_share}, error {error:.3f} standard deviations "
                "on validation"
            )
    buffers: dict = {"coefficients": regression.coefficients, "covariance": regression.covariance}
    if reduced is not None and any("reduced" in fitted for fitted in scales):
        dates, columns = store.block("train")
        months, longitude = to_months(store.times[dates]), store.longitude[columns]
        buffers |= {"states": reduced.states, "deviation": reduced.scale, "dates": months}
        buffers |= {"latitude": store.latitude, "longitude": longitude}
    return Background(scales, factor=torch.stack(factors), share=torch.stack(shares), **buffers)


def _seen(pattern: dict, surfaces: Iterable[str]) -> dict[str, float]:
    """Probability 1 of the surface fields that a pattern shows more often than not."""
    return {name: 1.0 for name in surfaces if probability(pattern, name) > 0.5}


class _Mixture(NamedTuple):
    error: float
    share: Tensor  # of the reduced space, (D,)
    factor: Tensor  # on the stated error, (D,)


def _mix(check: Validation, interpolation: OptimalInterpolation, reduced: ReducedSpace) -> _Mixture:
    """The best mixture of interpolation and reduced space at the holdout targets."""
    targets = check.holdout_targets
    prepared = interpolation.prepare(check.batch, check.observations)
    means, variances = zip(
        interpolation.posterior(prepared, targets),
        reduced.posterior_at(check.batch, check.observations, targets),
        strict=True,
    )
    t, y, x = targets.T
    first, second = ((mean - check.truth[t, :, y, x]) * check.hidden[t, :, y, x] for mean in means)
    apart = (first - second).square().sum(0).clamp(min=1e-9)
    share = ((first * (first - second)).sum(0) / apart).clamp(0, 1)
    mean = torch.lerp(*means, share)
    deviation = torch.lerp(*(variance.sqrt() for variance in variances), share)
    factor = check.error_factor(mean, deviation**2, targets)
    return _Mixture(check.normalised_rmse(mean, targets), share, factor)
