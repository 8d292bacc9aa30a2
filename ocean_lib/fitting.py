"""The background of a store, fitted on validation months for each pattern that training draws.

Scales of the interpolation as `tuning` finds them, after a regression with one set of coefficients
for all places: with sets of each place the first guess is better by 1 %, and what the networks make
of it worse by as much.  A share of the reduced space, level by level, where the region is so small
that the training months span what it does, and the share lowers the error.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from . import masks, tuning
from .background import Background
from .baselines import BLOCK, OptimalInterpolation, ReducedSpace
from .regression import regress_everywhere
from .splits import months
from .store import Store

SMALL = 2**14  # values of a field, up to which its training months span what it does

__all__ = ["fit_background"]


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
    checks = [_check(store, each, seed) for each in masks.check(specifications)]
    regression = regress_everywhere(store)
    small = store.ocean[:, store.block("train")[1]].size <= SMALL
    scales, factors, shares, reduced = [], [], [], None
    for case, check in checks:
        error, method = tuning.fit_interpolation(check, regression, evaluations)
        found = {"observed": max(case["observed"], 1e-6), "surface": check.sky} | method.scales
        factor, share = method.factor, torch.zeros(len(regression.plain))
        if small and store.split["kind"] == "time":
            _, reduced = tuning.fit_reduced(check, store)
            both = _together(check, method, reduced)
            if both[0] < tuning.WORTH * error:
                error, share, factor = both
                found["reduced"] = {"shrinkage": reduced.shrinkage, "noise": reduced.noise}
        scales.append(found)
        factors.append(factor)
        shares.append(share)
        if show is not None:
            show(_line(case, found, share, error))
    buffers = {name: getattr(regression, name) for name in ("coefficients", "plain", "left")}
    if any("reduced" in each for each in scales):
        buffers |= {"states": reduced.states, "deviation": reduced.scale}
        buffers["dates"] = months(store.times[store.block("train")[0]])
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
    kept, when = check.kept, months(check.observations.time.values)
    given = interpolation.given(check.batch, check.observations)
    means, variances = zip(
        interpolation.at(*given, when, kept, BLOCK),
        tuning.at_places(reduced, check, kept),
        strict=True,
    )
    t, y, x = kept.T
    first, second = ((mean - check.truth[t, :, y, x]) * check.hidden[t, :, y, x] for mean in means)
    apart = (first - second).square().sum(0).clamp(min=1e-9)
    share = ((first * (first - second)).sum(0) / apart).clamp(0, 1)
    mean = torch.lerp(*means, share)
    deviation = torch.lerp(*(each.sqrt() for each in variances), share)
    return check.error(mean, kept), share, check.factor(mean, deviation**2, kept)


def _line(case: dict, scales: dict, share: Tensor, error: float) -> str:
    lasting, rows, columns = scales["lengths"]
    reduced = f", reduced space {share.mean():.0%}" if "reduced" in scales else ""
    return (
        f"background for {case['observed']:.2%} {case['pattern']}: {rows:.1f} rows, "
        f"{columns:.1f} columns, {lasting:.1f} months, noise {scales['noise']:.2g}{reduced}, "
        f"error {error:.3f} standard deviations on validation"
    )
