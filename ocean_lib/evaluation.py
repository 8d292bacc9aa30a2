"""The same cases through every method → one table of scores.

Scores count hidden ocean only, weighted by area, in °C, by depth and over all depths.  Levels
within 5 m of a surface that was seen are left out of the overall score.  Intervals are a paired
block bootstrap over dates: sums of the cells' scores over blocks of two dates are drawn again, the
same blocks for every method, so that differences between methods keep what they share.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from . import metrics
from .dataset import named
from .whole import whole

__all__ = ["COLUMNS", "compare", "table", "verdict", "write"]

COLUMNS = ["method", "reference", "case", "depth", "metric", "value", "low", "high", "n"]
BLOCK, RESAMPLES, LEAST = 2, 1000, 6  # dates a block, draws, blocks below which none is claimed
ORDER = ("time", "depth", "latitude", "longitude")


def _sums(values: np.ndarray, where: np.ndarray, area: np.ndarray) -> np.ndarray:
    """(time, depth) sums over the cells that count."""
    return (np.where(where, values, 0.0) * area).sum((-1, -2))


def _resample(number: int) -> np.ndarray | None:
    """(draws, number) how often each date is drawn, in blocks; None with too few blocks."""
    blocks = np.arange(number) // BLOCK
    count = blocks[-1] + 1
    if count < LEAST:
        return None
    generator = np.random.default_rng(0)
    chosen = generator.integers(0, count, (RESAMPLES, count))
    times = np.stack([np.bincount(row, minlength=count) for row in chosen])
    return times[:, blocks]


def _value(sums, weights, metric):
    """Score from sums and weights over the last axis."""
    mean = sums.sum(-1) / weights.sum(-1)
    return np.sqrt(mean) if metric in metrics.ROOTED else mean


def _interval(draws) -> tuple[float, float]:
    return tuple(np.quantile(draws, [0.05, 0.95])) if draws is not None else (np.nan, np.nan)


def compare(
    fields: xr.Dataset,
    observations: xr.Dataset,
    means: dict[str, xr.DataArray],
    ensembles: dict[str, xr.DataArray],
    *,
    case: str,
    ours: str,
    variable: str = "temperature",
) -> pd.DataFrame:
    """Scores of every method on one case, with 90 % intervals.

    Args:
        fields: canonical truth.    observations: what every method saw.
        means: {method: (time, depth, latitude, longitude)} °C.
        ensembles: {method: (member, time, depth, latitude, longitude)} of those that have one.
        ours: the method whose differences from every other are given, too.
        variable: scored, in its units.
    Returns:
        `COLUMNS`; `reference` is what was scored against: `truth`, or for the metric
        `rmse_difference` (ours minus theirs) the other method.
    Raises:
        ValueError: a method has no value at a hidden cell.
    """
    truth = fields[variable].transpose(*ORDER).values
    observed = observations[named(variable, "observed")].transpose(*ORDER).values.astype(bool)
    hidden = np.broadcast_to(fields.ocean.values, truth.shape) & ~observed
    area = np.cos(np.deg2rad(fields.latitude.values))[:, None]
    depths = [f"{depth:.1f}" for depth in fields.depth.values]
    claimed = np.ones(len(depths), bool)
    if "surface_observed" in observations and bool(observations.surface_observed.any()):
        claimed = fields.depth.values > 5.0
    weights = _sums(np.ones_like(truth), hidden, area)
    picks = {"all": claimed} | {d: np.arange(len(depths)) == k for k, d in enumerate(depths)}
    picks = {name: pick for name, pick in picks.items() if weights[:, pick].sum() > 0}
    counts = {name: int(hidden[:, pick].sum()) for name, pick in picks.items()}
    resample = _resample(len(truth))
    rows, squares = [], {}
    for method, mean in means.items():
        forecast = mean.transpose(*ORDER).values
        members = ensembles.get(method)
        drawn = None if members is None else members.transpose("member", *ORDER).values
        finite = np.isfinite(forecast)
        if drawn is not None:
            finite &= np.isfinite(drawn).all(0)
        if not finite[hidden].all():
            bad = int((~finite[hidden]).sum())
            raise ValueError(f"{method} has no value at {bad} of {int(hidden.sum())} hidden cells")
        values = metrics.pointwise(forecast, truth, drawn)
        sums = {metric: _sums(value, hidden, area) for metric, value in values.items()}
        squares[method] = sums["rmse"]
        for depth, pick in picks.items():
            w = weights[:, pick].sum(1)
            for metric, total in sums.items():
                s = total[:, pick].sum(1)
                draws = None
                if resample is not None:
                    draws = _value(resample * s, resample * w, metric)
                row = (depth, metric, _value(s, w, metric), *_interval(draws), counts[depth])
                rows.append((method, "truth", case, *row))
        rows += [
            (method, "truth", case, depth, metric, value, np.nan, np.nan, counts[depth])
            for (depth, metric), value in _images(forecast, truth, hidden, picks).items()
        ]
    for method in means:
        if method == ours:
            continue
        for depth, pick in picks.items():
            w = weights[:, pick].sum(1)
            pair = [squares[name][:, pick].sum(1) for name in (ours, method)]
            value = _value(pair[0], w, "rmse") - _value(pair[1], w, "rmse")
            draws = None
            if resample is not None:
                one, two = (_value(resample * s, resample * w, "rmse") for s in pair)
                draws = one - two
            row = (depth, "rmse_difference", value, *_interval(draws), counts[depth])
            rows.append((ours, method, case, *row))
    return pd.DataFrame(rows, columns=COLUMNS)


def _images(forecast, truth, hidden, picks) -> dict[tuple[str, str], float]:
    """PSNR and SSIM over hidden ocean, and over all pixels as the original work had them.

    Each level has a range of its own; overall is the mean of the levels that count there.
    """
    result = {}
    for name, pick in picks.items():
        if name == "all":
            continue
        level = (slice(None), int(np.nonzero(pick)[0][0]))
        for suffix, where in (("", hidden), ("_all_pixels", np.isfinite(truth))):
            for metric in (metrics.psnr, metrics.ssim):
                value = metric(forecast[level], truth[level], where[level])
                result[name, metric.__name__ + suffix] = float(value)
    if "all" in picks:
        claimed = [n for n, pick in picks.items() if n != "all" and (pick & picks["all"]).any()]
        for key in sorted({metric for _, metric in result}):
            result["all", key] = float(np.mean([result[name, key] for name in claimed]))
    return result


def table(scores: pd.DataFrame, metric: str = "rmse") -> pd.DataFrame:
    """Methods × cases of one overall score, `value [low, high]` as text."""
    chosen = scores[(scores.depth == "all") & (scores.metric == metric)].copy()

    def text(row):
        interval = f" [{row.low:.3f}, {row.high:.3f}]" if np.isfinite(row.low) else ""
        return f"{row.value:.3f}{interval}"

    chosen["text"] = chosen.apply(text, axis=1)
    order = list(dict.fromkeys(chosen.method))
    return chosen.pivot(index="method", columns="case", values="text").loc[order]


def verdict(scores: pd.DataFrame) -> str:
    """Where ours stands against every other method, a line each: RMSE difference and interval."""
    chosen = scores[(scores.depth == "all") & (scores.metric == "rmse_difference")]
    lines = []
    for row in chosen.itertuples():
        word = "better" if row.value < 0 else "worse"
        if np.isnan(row.low):
            claim = f"{word} here; too few dates for a claim"
        elif row.low <= 0 <= row.high:
            claim = "no difference beyond chance"
        else:
            claim = word
        interval = "" if np.isnan(row.low) else f" [{row.low:+.3f}, {row.high:+.3f}]"
        pair = f"{row.case} · {row.method} − {row.reference}"
        lines.append(f"{pair}: {row.value:+.3f} °C{interval}, {claim}")
    return "\n".join(lines)


def write(scores: pd.DataFrame, path) -> Path:
    """Write scores.csv; whole or not at all."""
    path = Path(path)
    with whole(path) as beside:
        scores.to_csv(beside, index=False, float_format="%.6g")
    return path
