"""The networks' background: a regression on the surface, then local optimal interpolation.

It is the baselines' method with one set of coefficients for all places, so that it is small enough
for a checkpoint and moves to other oceans; its scales are tuned on validation months for the
patterns that training draws, and those of the pattern nearest in density serve.  Observations of
the dates before and after enter where they are known.

Where observations are sparse the interpolated departure is smoother than the grid: it is computed
on every few rows and columns, and bilinear in between.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from torch import Tensor, nn

from . import masks
from .baselines import BLOCK, OptimalInterpolation
from .regression import Regression, regress_everywhere
from .splits import dates
from .store import Store
from .tuning import Validation, fit_interpolation

COARSE = 0.2  # of the mean distance of observed columns: the grid of the departure
COARSEST = 4  # cells
FARTHEST = 12  # months

__all__ = ["Background", "tune"]


class Background(nn.Module):
    """The first guess and its error from observations and climatology alone.

    A module, so that it moves with the network and lies in the checkpoint.

    Args:
        coefficients: (D, P, 1, 1), of the regression on the surface.
        plain, left: (D, D) covariance of the levels before and after it.
        factor: (N, D) on the errors, for each of the N densities.
        scales: for each pattern `observed` (share of columns), `surface` (whether it is seen), and
            those of `baselines.OptimalInterpolation`.
    """

    BUFFERS = ("coefficients", "plain", "left", "factor")

    def __init__(
        self, coefficients: Tensor, plain: Tensor, left: Tensor, factor: Tensor, scales: list[dict]
    ):
        super().__init__()
        for name, value in zip(self.BUFFERS, (coefficients, plain, left, factor)):
            self.register_buffer(name, torch.as_tensor(value, dtype=torch.float32))
        self.scales = [dict(each) for each in scales]

    @property
    def reach(self) -> int:
        """Months before and after whose observations help: twice the longest scale in time."""
        longest = max(each["lengths"][0] for each in self.scales)
        return int(np.clip(round(2 * longest), 1, FARTHEST))

    def method(self, share: float, surface: bool) -> OptimalInterpolation:
        """The interpolation for a share of observed columns, with or without a surface."""

        def apart(index: int) -> tuple[float, bool]:
            scales = self.scales[index]
            return abs(np.log(max(share, 1e-6) / scales["observed"])), surface != scales["surface"]

        nearest = min(range(len(self.scales)), key=apart)
        chosen = self.scales[nearest].items()
        scales = {key: value for key, value in chosen if key not in ("observed", "surface")}
        regression = Regression(self.coefficients, self.plain, self.left)
        return OptimalInterpolation(regression, scales, factor=self.factor[nearest])

    @torch.no_grad()
    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Background and its error (standard deviation), both (B, D, H, W), standardised.

        At exact observations they are the value and 0.

        Args:
            batch: as `dataset` describes it, with or without the dates beside.
        """
        each = [self._one(*_dates(batch, sample)) for sample in range(len(batch["value"]))]
        mean, error = (torch.stack(part) for part in zip(*each))
        return mean * batch["ocean"], error * batch["ocean"]

    def _one(self, batch: dict[str, Tensor], grid: xr.Dataset, own: int) -> tuple[Tensor, Tensor]:
        sea = batch["ocean"][own].any(0)
        height, width = sea.shape
        share = float(batch["observed"][own].any(0).sum() / sea.sum().clamp(min=1))
        method = self.method(share, bool(batch["surface_observed"][own].any()))
        apart = int(COARSE * (share + 1e-6) ** -0.5)
        stride = max(1, min(apart, COARSEST))
        exact = batch["observed"][own] & (batch["error"][own] == 0)
        prior, groups = method.given(batch, grid)
        when = grid["month"].values
        rows, columns = (torch.arange(0, size + stride - 1, stride) for size in (height, width))
        if stride == 1:
            cells = (batch["ocean"][own] & ~exact).any(0).nonzero()
        else:
            cells = torch.cartesian_prod(rows, columns).to(sea.device)
        targets = torch.cat([torch.full_like(cells[:, :1], own), cells], 1)
        departure, variance = method.departure(groups, when, targets, BLOCK * stride)
        found = torch.cat([departure, variance.sqrt() * method.factor], 1).T
        if stride == 1:
            whole = torch.zeros(len(found), height, width, device=sea.device)
            whole[:, cells[:, 0], cells[:, 1]] = found
        else:
            coarse = found.view(1, -1, len(rows), len(columns))
            size = [(len(each) - 1) * stride + 1 for each in (rows, columns)]
            whole = F.interpolate(coarse, size, mode="bilinear", align_corners=True)[0]
            whole = whole[:, :height, :width]
        departure, error = whole.chunk(2)
        mean = torch.where(exact, batch["value"][own], prior[own] + departure)
        return mean, torch.where(exact, 0.0, error)


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
    grid = xr.Dataset(coords={"time": dates(when[there]), "month": ("time", when[there])})
    return several, grid, int(there[:middle].sum())


def tune(
    store: Store,
    specifications: list[dict],
    *,
    evaluations: int = 40,
    seed: int = 0,
    show: Callable[[str], None] | None = None,
) -> Background:
    """The background of a store, its scales tuned on validation months for each pattern.

    Args:
        specifications: the observation patterns that training draws, each tuned for amid its range.
        evaluations: of each search, one for every kernel.
    """
    regression = regress_everywhere(store)
    scales, factors = [], []
    for specification in masks.check(specifications):
        case = specification | {"error": 0.0, "surface": float(specification["surface"] > 0.5)}
        for name, logarithmic in (("observed", True), ("clouds", False)):
            ends = np.broadcast_to(specification[name], 2).astype(float)
            middle = np.sqrt(ends.prod()) if logarithmic else ends.mean()
            case[name] = float(middle)
        error, method = fit_interpolation(Validation(store, case, seed), regression, evaluations)
        density = {"observed": max(case["observed"], 1e-6), "surface": case["surface"] > 0}
        scales.append(density | method.scales)
        factors.append(method.factor)
        if show is not None:
            months, rows, columns = method.scales["lengths"]
            show(
                f"background for {case['observed']:.2%} {case['pattern']}: {rows:.1f} rows, "
                f"{columns:.1f} columns, {months:.1f} months, noise {method.scales['noise']:.2g}, "
                f"error {error:.3f} standard deviations on validation"
            )
    given = regression.coefficients, regression.plain, regression.left, torch.stack(factors)
    return Background(*given, scales)
