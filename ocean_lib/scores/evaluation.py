"""The same cases through every method → one table of scores.

Scores count hidden ocean only, weighted by area, by level, by layer and over all depths.  Levels
within 5 m of a surface that was seen are left out of the overall score.  Every interval is a block
bootstrap: blocks of a method's score follow from its own errors (those of a level from its
layer's), blocks of a difference from the longer of both methods' lengths, and both are drawn
alike.  With fewer than `intervals.LEAST` blocks there is no interval; differences are then given
block by block.

Several regions that share their dates, such as hydrographic sections, are scored as one when they
are joined along longitude (`ocean` False between them, one latitude for all) with
`least=(6, 1, columns)`: blocks of six months hold every region, so all are drawn together.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from ocean_lib.core.atomic import atomic_write
from ocean_lib.scores import bootstrap, metrics

__all__ = ["COLUMNS", "LAYERS", "score_methods", "hidden_ocean", "write_scores"]


COLUMNS = ["method", "reference", "case", "depth", "metric", "value", "low", "high", "n"]
LAYERS = ((0, 5), (5, 100), (100, 300), (300, 600), (600, 1000), (1000, 2000))  # m, low <= depth
ORDER = ("depth", "time", "latitude", "longitude")


def hidden_ocean(fields: xr.Dataset, observations: xr.Dataset, variable: str = "temperature"):
    """Where scores live: ocean that was not observed, bool (time, depth, latitude, longitude)."""
    from ocean_lib.fields.conventions import named  # which brings torch

    there = fields.ocean & ~observations[named(variable, "observed")].astype(bool)
    return there.transpose("time", "depth", "latitude", "longitude")


class _Cells:
    """Hidden cells in one row, level after level, and sums over them by level and block."""

    def __init__(self, where: np.ndarray, area: np.ndarray, least):
        self.where, self.shape, self.least = where, where.shape[1:], least
        self.position = np.nonzero(where.reshape(len(where), -1))[1]
        self.start = np.concatenate([[0], np.cumsum(where.sum((1, 2, 3)))])
        self.area = np.broadcast_to(area, self.shape).ravel()[self.position]
        self.kept = {}

    def lengths(self, error: np.ndarray, levels: range) -> tuple[float, float, float]:
        """Decorrelation of the errors (cells) of some levels."""
        where = self.where[levels.start : levels.stop]
        grid = np.zeros(where.shape, np.float32)
        grid[where] = error[self.start[levels.start] : self.start[levels.stop]]
        return bootstrap.decorrelation(grid.swapaxes(0, 1), where.swapaxes(0, 1))

    def sums(self, values: dict[str, np.ndarray], levels: range, lengths) -> dict[str, np.ndarray]:
        """{name: (levels, blocks)} of values (cells) times area, with `area` and `cells`."""
        block = bootstrap.block_numbers(self.shape, lengths, self.least).ravel()
        result = {name: [] for name in (*values, "area", "cells")}
        for level in levels:
            part = slice(self.start[level], self.start[level + 1])
            label, area = block[self.position[part]], self.area[part]
            weights = {name: value[part] * area for name, value in values.items()}
            for name, weight in (weights | {"area": area, "cells": None}).items():
                result[name].append(np.bincount(label, weight, minlength=block.max() + 1))
        return {name: np.array(rows) for name, rows in result.items()}

    def pair(self, method, values, levels, lengths) -> dict[str, np.ndarray]:
        """`sums` over the levels of what differences are made of, kept by method and blocks."""
        key = method, levels, bootstrap.block_size(self.shape, lengths, self.least)
        if key not in self.kept:
            sums = self.sums(values, levels, lengths)
            self.kept[key] = {name: rows.sum(0) for name, rows in sums.items()}
        return self.kept[key]


def _groups(depth: np.ndarray, where: np.ndarray, claimed: np.ndarray) -> dict[str, range]:
    """Levels that are scored together: "all", the layers, each level below them."""
    found = {"all": np.nonzero(claimed)[0]}
    for low, high in LAYERS:
        found[f"{low}-{high}"] = np.nonzero((low <= depth) & (depth < high))[0]
    for level in np.nonzero(depth >= LAYERS[-1][1])[0]:
        found[f"{depth[level]:.1f}"] = np.array([level])
    groups = {name: range(k[0], k[-1] + 1) for name, k in found.items() if len(k)}
    return {name: k for name, k in groups.items() if where[k.start : k.stop].any()}


def _means(sums: dict[str, np.ndarray]) -> tuple[dict, dict | None]:
    """Weighted means from sums by block, and those of every draw, None with too few blocks."""
    names = [name for name in sums if name not in ("area", "cells")]
    total, area = np.array([sums[name] for name in names]), sums["area"]
    draws = bootstrap.bootstrap(total, area)
    return (
        dict(zip(names, total.sum(1) / area.sum())),
        None if draws is None else dict(zip(names, draws)),
    )


def _scores(sums) -> list[tuple]:
    """(metric, value, low, high, n) of every score that has a value."""
    mean, draws = _means(sums)
    drawn = {} if draws is None else metrics.scores(draws)
    return [
        (name, value, *_interval(drawn.get(name), sums), int(sums["cells"].sum()))
        for name, value in metrics.scores(mean).items()
        if not np.isnan(value)
    ]


def _interval(draws, sums) -> tuple[float, float]:
    if draws is None:
        return np.nan, np.nan
    return bootstrap.interval(draws, np.count_nonzero(sums["area"]))


def _taken(name, method: xr.Dataset, where: np.ndarray) -> dict:
    """forecast, members and error of a method at the hidden cells, and its whole forecast."""
    mean = method["mean"].transpose(*ORDER).values
    taken = {"mean": mean, "forecast": mean[where], "members": None, "error": None}
    if "members" in method:
        taken["members"] = method["members"].transpose("member", *ORDER).values[:, where]
    elif "error" in method:
        taken["error"] = method["error"].transpose(*ORDER).values[where]
    finite = np.isfinite(taken["forecast"])
    for values in (taken["members"], taken["error"]):
        if values is not None:
            finite &= np.isfinite(values) if values.ndim == 1 else np.isfinite(values).all(0)
    if not finite.all():
        raise ValueError(
            f"{name} has no value at {(~finite).sum()} of {finite.size} hidden cells; "
            "give it one at every cell of the ocean"
        )
    return taken


def score_methods(
    fields: xr.Dataset,
    observations: xr.Dataset,
    methods: dict[str, xr.Dataset],
    *,
    case: str,
    ours: str,
    variable: str = "temperature",
    least: tuple[int, int, int] = (1, 1, 1),
) -> pd.DataFrame:
    """Scores of every method on one case, with 90 % intervals.

    Args:
        fields: canonical truth.    observations: what every method saw.
        methods: {name: `mean` (time, depth, latitude, longitude) and, where there is one, `error`,
            its standard deviation, or `members` (…, member), which prevail}; "climatology" must be
            among them, for skill and anomalies.
        ours: the method whose differences from every other are given, too.
        variable: scored, in its units.
        least: size of a block below which none is made, in dates, rows and columns.
    Returns:
        `COLUMNS`. `depth` is "all", a layer as "100-300" (m) or a level as "40.0".  `reference` is
        what was scored against: "truth", or the other method for `rmse_difference` and
        `crps_difference` (method minus reference, negative: method better), which are given over
        all and by layer for `ours` and for the best method there; not for a layer that holds none
        but levels within 5 m of a seen surface.  Where blocks are too few,
        `rmse_difference_block` has a row a block, `depth` then being "block 1" or
        "100-300, block 1".  A score without meaning, as the anomaly correlation of climatology
        with itself, has no row.
    Raises:
        ValueError: a method has no value at a hidden cell, or one that is needed is missing.
    """
    for name in ("climatology", ours):
        if name not in methods:
            raise ValueError(f"no method {name!r} among {list(methods)}; add it to methods")
    truth = fields[variable].transpose(*ORDER).values
    where = hidden_ocean(fields, observations, variable).transpose(*ORDER).values
    depth = fields.depth.values
    area = np.cos(np.deg2rad(fields.latitude.values))[:, None]
    surface = "surface_observed" in observations and bool(observations.surface_observed.any())
    claimed = depth > (5.0 if surface else -np.inf)
    groups = _groups(depth, where, claimed)
    cells = _Cells(where, area, least)
    at = truth[where], methods["climatology"]["mean"].transpose(*ORDER).values[where]
    rows, values, lengths = [], {}, {}
    for method, result in methods.items():
        taken = _taken(method, result, where)
        terms = metrics.terms(taken["forecast"], *at, taken["members"], taken["error"])
        values[method] = {name: terms[name] for name in ("square", "crps")}
        for group, levels in groups.items():
            lengths[method, group] = cells.lengths(terms["error"], levels)
            sums = cells.sums(terms, levels, lengths[method, group])
            parts = {group: {name: each.sum(0) for name, each in sums.items()}}
            if group != "all":
                parts |= {
                    f"{depth[level]:.1f}": {name: each[k] for name, each in sums.items()}
                    for k, level in enumerate(levels)
                    if where[level].any()
                }
            for part, sum_ in parts.items():
                rows += [(method, "truth", case, part, *row) for row in _scores(sum_)]
        images = _images(taken["mean"], truth, where, depth, groups)
        rows += [(method, "truth", case, *row) for row in images]
    rows += [
        (*pair, case, *row)
        for group, levels in groups.items()
        if claimed[levels].any() and (group == "all" or "-" in group)
        for *pair, row in _differences(cells, values, lengths, group, levels, ours)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _differences(cells, values, lengths, group, levels, ours):
    """(method, reference, row) for ours and the best, by RMSE and by CRPS, against all others."""
    own = {m: _means(cells.pair(m, values[m], levels, lengths[m, group]))[0] for m in values}
    for metric, term in (("rmse", "square"), ("crps", "crps")):
        best = min(own, key=lambda method: own[method][term])
        for method in dict.fromkeys((ours, best)):
            for other in values:
                if other == method:
                    continue
                longer = np.maximum(lengths[method, group], lengths[other, group])
                pair = [cells.pair(m, values[m], levels, longer) for m in (method, other)]
                (one, drawn), (two, drawn_two) = (_means(sums) for sums in pair)
                root = np.sqrt if metric == "rmse" else np.asarray
                value, draws = root(one[term]) - root(two[term]), None
                if drawn is not None:
                    draws = root(drawn[term]) - root(drawn_two[term])
                n = int(pair[0]["cells"].sum())
                row = (group, f"{metric}_difference", value, *_interval(draws, pair[0]), n)
                yield method, other, row
                if draws is None and metric == "rmse" and method == ours:
                    yield from ((method, other, row) for row in _block_by_block(pair, group))


def _block_by_block(pair, group):
    one, two = pair
    present = np.nonzero(one["area"])[0]
    for number, k in enumerate(present, 1):
        root = [np.sqrt(sums["square"][k] / sums["area"][k]) for sums in pair]
        name = f"block {number}" if group == "all" else f"{group}, block {number}"
        n = int(one["cells"][k])
        yield name, "rmse_difference_block", root[0] - root[1], np.nan, np.nan, n


def _images(forecast, truth, where, depth, groups):
    """PSNR and SSIM over hidden ocean, and over all pixels as the original work had them.

    Each level has a range of its own; overall is the mean of the levels that count there.
    """
    found = {}
    for suffix, counted in (("", where), ("_all_pixels", np.isfinite(truth))):
        for metric in (metrics.psnr, metrics.ssim):
            name = metric.__name__ + suffix
            for level in np.nonzero(where.any((1, 2, 3)))[0]:
                value = metric(forecast[level], truth[level], counted[level])
                found[name, level] = value
                yield f"{depth[level]:.1f}", name, value, np.nan, np.nan, int(where[level].sum())
            levels = [level for level in groups.get("all", ()) if (name, level) in found]
            if levels:
                value = float(np.mean([found[name, level] for level in levels]))
                yield "all", name, value, np.nan, np.nan, int(where[levels].sum())


def write_scores(scores: pd.DataFrame, path) -> Path:
    """Write scores.csv; whole or not at all."""
    path = Path(path)
    with atomic_write(path) as beside:
        scores.to_csv(beside, index=False, float_format="%.6g")
    return path
