"""The networks' background: the classical methods, tuned, as one first guess and its error.

A regression on the surface, then local optimal interpolation.  On a region so small that the
training months' own states span what it does, the reduced space has a share of it, level by level,
where that helps; in training it does without the months around the one asked for, as it has to in
use.  Scales and shares are those that `fitting` finds for the pattern nearest in density.
Observations of the dates before and after enter where they are known.

Where observations are sparse the interpolated departure is smoother than the grid: it is computed
on every few rows and columns, and bilinear in between.

The background of a store, fitted on validation months for each pattern that training draws.

Scales of the interpolation as `tuning` finds them, after a regression with one set of coefficients
for all places: with sets of each place the first guess is better by 1 %, and what the networks make
of it worse by as much.  A share of the reduced space, level by level, where the region is so small
that the training months span what it does, and the share lowers the error.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from torch import Tensor, nn

from ocean_lib.classical import tuning
from ocean_lib.classical.optimal_interpolation import TARGET_BLOCK, OptimalInterpolation
from ocean_lib.classical.reduced_space import ReducedSpace
from ocean_lib.classical.regression import Regression, fit_shared_regression
from ocean_lib.core.months import from_months, to_months
from ocean_lib.observations import specification as masks
from ocean_lib.store.store import Store

__all__ = ["Background", "fit_background"]


COARSE = 0.2  # of the mean distance of observed columns: the grid of the departure
COARSEST = 4  # cells
FARTHEST = 12  # months
SCALES = ("lengths", "noise", "kernel", "neighbours")
APART = 12  # months around a date whose states the reduced space does without
MOMENT = 0.15  # months, by which dates seen alike may be apart: more than the calendar's differ by
SEEN = ("observed", "error", "surface_observed", "ocean")


class Background(nn.Module):
    """The first guess and its error from observations and climatology alone.

    A module, so that it moves with the network and lies in the checkpoint.

    Args:
        scales: for each pattern `observed` (share of columns), `surface` (whether it is seen),
            those of `baselines.OptimalInterpolation`, and `reduced`, those of
            `baselines.ReducedSpace` where it has a share.
        coefficients: (D, P, 1, 1), of the regression on the surface.
        plain, left: (D, D) covariance of the levels before and after it.
        factor: (N, D) on the errors, for each of the N patterns.
        states, deviation, dates, latitude, longitude: (T, S + D, H, W), (S + D, H, W), months (T,),
            (H,) and (W,) of the reduced space; none where it has no share.
        share: (N, D) of the reduced space in the mean.
    """

    BUFFERS = ("coefficients", "plain", "left", "factor", "share")
    BUFFERS += ("states", "deviation", "dates", "latitude", "longitude")
    PRECISE = ("latitude", "longitude", "dates")

    def __init__(self, scales: list[dict], **buffers: Tensor):
        super().__init__()
        self.scales = [dict(each) for each in scales]
        for name in self.BUFFERS:
            kind = torch.float64 if name in self.PRECISE else torch.float32
            value = buffers.pop(name, None)
            value = torch.zeros(0) if value is None else torch.as_tensor(value)
            self.register_buffer(name, value.to(kind))
        if buffers:
            raise ValueError(f"{sorted(buffers)} are not parts of a background: {self.BUFFERS}")

    @property
    def reach(self) -> int:
        """Months before and after whose observations help: twice the longest scale in time."""
        longest = max(each["lengths"][0] for each in self.scales)
        return int(np.clip(round(2 * longest), 1, FARTHEST))

    def nearest(self, share: float, surface: bool) -> int:
        """The pattern nearest to a share of observed columns, with or without a surface."""

        def apart(index: int) -> tuple[float, bool]:
            scales = self.scales[index]
            return abs(np.log(max(share, 1e-6) / scales["observed"])), surface != scales["surface"]

        return min(range(len(self.scales)), key=apart)

    def method(self, share: float, surface: bool) -> OptimalInterpolation:
        """The interpolation for a share of observed columns, with or without a surface."""
        nearest = self.nearest(share, surface)
        scales = {name: self.scales[nearest][name] for name in SCALES}
        regression = Regression(self.coefficients, self.plain, self.left)
        return OptimalInterpolation(regression, scales, factor=self.factor[nearest])

    def _reduced(self, batch, grid: xr.Dataset, own: int, scales: dict) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (D, H, W) of one date by the reduced space."""
        apart = abs(self.dates - float(grid["month"][own]))
        places = self.latitude.cpu().numpy(), self.longitude.cpu().numpy()
        method = ReducedSpace(self.states[apart > APART], self.deviation, places, **scales)
        found = method.posterior(batch, *method.at_grid(grid), own)
        surfaces, shape = batch["surface"].shape[1], batch["ocean"].shape[-2:]
        mean, variance = (each.view(-1, *shape)[surfaces:] for each in found)
        return mean, variance.sqrt()

    @torch.no_grad()
    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Background and its error (standard deviation), both (B, D, H, W), standardised.

        At exact observations they are the value and 0.  Samples that are observed alike share what
        this costs.

        Args:
            batch: as `dataset` describes it, with or without the dates beside.
        """
        every = [_dates(batch, sample) for sample in range(len(batch["value"]))]
        found: dict[int, tuple[Tensor, Tensor]] = {}
        for sample, one in enumerate(every):
            if sample in found:
                continue
            rest = (k for k in range(sample + 1, len(every)) if k not in found)
            alike = [sample, *(k for k in rest if _alike(one, every[k]))]
            found |= zip(alike, self._together([every[k] for k in alike]), strict=True)
        mean, error = (torch.stack(part) for part in zip(*(found[k] for k in range(len(every)))))
        return mean * batch["ocean"], error * batch["ocean"]

    def _together(
        self, samples: list[tuple[dict[str, Tensor], xr.Dataset, int]]
    ) -> list[tuple[Tensor, Tensor]]:
        """Background and error, (D, H, W) each, of samples that are observed alike."""
        batch, grid, own = samples[0]
        sea = batch["ocean"][own].any(0)
        height, width = sea.shape
        share = float(batch["observed"][own].any(0).sum() / sea.sum().clamp(min=1))
        sky = bool(batch["surface_observed"][own].any())
        pattern, method = self.nearest(share, sky), self.method(share, sky)
        apart = int(COARSE * (share + 1e-6) ** -0.5)
        stride = max(1, min(apart, COARSEST))
        exact = batch["observed"][own] & (batch["error"][own] == 0)
        prepared = [method.prepare(*sample[:2]) for sample in samples]
        groups = [
            alike[0]._replace(value=torch.stack([group.value for group in alike], 2))
            for alike in zip(*(each.groups for each in prepared))
        ]
        rows, columns = (torch.arange(0, size + stride - 1, stride) for size in (height, width))
        if stride == 1:
            cells = (batch["ocean"][own] & ~exact).any(0).nonzero()
        else:
            cells = torch.cartesian_prod(rows, columns).to(sea.device)
        targets = torch.cat([torch.full_like(cells[:, :1], own), cells], 1)
        departure, variance = method.departure(
            groups, grid["month"].values, targets, TARGET_BLOCK * stride
        )
        found = torch.cat([departure, variance.sqrt()[..., None]], 2).flatten(1).T
        if stride == 1:
            whole = torch.zeros(len(found), height, width, device=sea.device)
            whole[:, cells[:, 0], cells[:, 1]] = found
        else:
            coarse = found.view(1, -1, len(rows), len(columns))
            size = [(len(each) - 1) * stride + 1 for each in (rows, columns)]
            whole = F.interpolate(coarse, size, mode="bilinear", align_corners=True)[0]
            whole = whole[:, :height, :width]
        *departures, error = whole.view(-1, len(samples) + 1, height, width).unbind(1)
        results = []
        for (batch, grid, own), prior, departure in zip(
            samples, (each.prior for each in prepared), departures
        ):
            mean, spread = prior[own] + departure, error
            if "reduced" in self.scales[pattern]:
                other, wide = self._reduced(batch, grid, own, self.scales[pattern]["reduced"])
                part = self.share[pattern][:, None, None]
                mean, spread = torch.lerp(mean, other, part), torch.lerp(spread, wide, part)
            mean = torch.where(exact, batch["value"][own], mean)
            results.append((mean, torch.where(exact, 0.0, spread * method.factor[:, None, None])))
        return results


def _alike(one: tuple, other: tuple) -> bool:
    """Whether two samples differ in nothing but their values and when all of it was."""
    (batch, grid, own), (batch_other, grid_other, own_other) = one, other
    apart, apart_other = (
        each["month"].values - each["month"].values[0] for each in (grid, grid_other)
    )
    return (
        own == own_other
        and len(apart) == len(apart_other)
        and abs(apart - apart_other).max() < MOMENT
        and all(grid[name].equals(grid_other[name]) for name in ("latitude", "longitude"))
        and all(torch.equal(batch[name], batch_other[name]) for name in SEEN)
    )


def _dates(batch: dict[str, Tensor], sample: int) -> tuple[dict[str, Tensor], xr.Dataset, int]:
    """The dates of one sample in order, (T, ...), when they are, and which is the sample's own."""
    names = ("value", "observed", "error", "surface", "surface_observed")
    when = batch["when"][sample].cpu().numpy()
    middle = len(when) // 2
    there = np.isfinite(when)
    if "beside_value" not in batch:
        there[:] = False
    there[middle] = True

    def stacked(name: str) -> Tensor:
        own = batch[name][sample]
        if there.sum() == 1:
            return own[None]
        near = batch[f"beside_{name}"][sample]
        every = [*near[:middle], own, *near[middle:]]
        return torch.stack([each for each, here in zip(every, there) if here])

    several = {name: stacked(name) for name in names}
    several["ocean"] = batch["ocean"][sample].expand_as(several["observed"])
    grid = xr.Dataset(coords={"time": from_months(when[there]), "month": ("time", when[there])})
    for name in ("latitude", "longitude"):
        grid[name] = batch[name][sample].cpu().numpy()
    return several, grid, int(there[:middle].sum())


SMALL = 2**14  # values of a field, up to which its training months span what it does


def fit_background(
    store: Store,
    specifications: list[dict],
    *,
    evaluations: int = 60,
    seed: int = 0,
    show: Callable[[str], None] | None = None,
) -> Background:
    """The background whose scales and shares do best on the validation months of a store.

    Args:
        specifications: the observation patterns that training draws, each fitted for amid its
            range (`masks.check`).
        evaluations: of each search for scales, one for every kernel.
        seed: of the validation months' observations and of the places compared.
        show: takes a line on what each pattern's fit chose.
    """
    checks = [_check(store, each, seed) for each in masks.check_patterns(specifications)]
    regression = fit_shared_regression(store)
    small = store.ocean[:, store.block("train")[1]].size <= SMALL
    scales, factors, shares, reduced = [], [], [], None
    for case, check in checks:
        error, method = tuning.tune_interpolation(check, regression, evaluations)
        found = {
            "observed": max(case["observed"], 1e-6),
            "surface": check.has_surface,
        } | method.scales
        factor, share = method.factor, torch.zeros(len(regression.prior_covariance))
        if small and store.split["kind"] == "time":
            _, reduced = tuning.tune_reduced_space(check, store)
            both = _together(check, method, reduced)
            if both[0] < tuning.MAX_ERROR_RATIO * error:
                error, share, factor = both
                found["reduced"] = {"shrinkage": reduced.shrinkage, "noise": reduced.noise}
        scales.append(found)
        factors.append(factor)
        shares.append(share)
        if show is not None:
            show(_line(case, found, share, error))
    buffers = {
        "coefficients": regression.coefficients,
        "plain": regression.prior_covariance,
        "left": regression.residual_covariance,
    }
    if any("reduced" in each for each in scales):
        buffers |= {"states": reduced.states, "deviation": reduced.scale}
        buffers["dates"] = to_months(store.times[store.block("train")[0]])
        buffers["latitude"] = store.latitude
        buffers["longitude"] = store.longitude[store.block("train")[1]]
    return Background(scales, factor=torch.stack(factors), share=torch.stack(shares), **buffers)


def _check(store: Store, specification: dict, seed: int) -> tuple[dict, tuning.Validation]:
    """The case amid a pattern's range, and validation months observed by it."""
    case = specification | {"error": 0.0, "surface": float(specification["surface"] > 0.5)}
    for name, logarithmic in (("observed", True), ("clouds", False)):
        ends = np.broadcast_to(specification[name], 2).astype(float)
        middle = np.sqrt(ends.prod()) if logarithmic else ends.mean()
        case[name] = float(middle)
    return case, tuning.Validation(store, case, seed)


def _together(
    check: tuning.Validation, interpolation: OptimalInterpolation, reduced: ReducedSpace
) -> tuple[float, Tensor, Tensor]:
    """Error of both, the share (D,) of the reduced space, and the factor (D,) on their error."""
    kept, when = check.holdout_targets, to_months(check.observations.time.values)
    prepared = interpolation.prepare(check.batch, check.observations)
    means, variances = zip(
        interpolation.posterior(prepared, when, kept, TARGET_BLOCK),
        reduced.posterior_at(check.batch, check.observations, kept),
        strict=True,
    )
    t, y, x = kept.T
    first, second = ((mean - check.truth[t, :, y, x]) * check.hidden[t, :, y, x] for mean in means)
    apart = (first - second).square().sum(0).clamp(min=1e-9)
    share = ((first * (first - second)).sum(0) / apart).clamp(0, 1)
    mean = torch.lerp(*means, share)
    deviation = torch.lerp(*(each.sqrt() for each in variances), share)
    return check.normalised_rmse(mean, kept), share, check.error_factor(mean, deviation**2, kept)


def _line(case: dict, scales: dict, share: Tensor, error: float) -> str:
    lasting, rows, columns = scales["lengths"]
    reduced = f", reduced space {share.mean():.0%}" if "reduced" in scales else ""
    return (
        f"background for {case['observed']:.2%} {case['pattern']}: {rows:.1f} rows, "
        f"{columns:.1f} columns, {lasting:.1f} months, noise {scales['noise']:.2g}{reduced}, "
        f"error {error:.3f} standard deviations on validation"
    )
