"""Scores of every method on the same cases, as one table (`score_table`).

Scores count hidden ocean only, weighted by area: by level, by layer and over all depths.  Levels
within 5 m of an observed surface are left out of the score over all depths.  Every interval is a
block bootstrap.  The size of blocks follows from the decorrelation of the method's errors (for a
level, of its layer's errors).  For a difference it follows from the longer decorrelation of the two
methods, and both are resampled alike.  With fewer than `bootstrap.MIN_BLOCKS` blocks there is no
interval, and differences are given block by block.

Several regions with the same dates, such as hydrographic sections, are scored as one when joined
along longitude (`ocean` False between them, one latitude for all) with `least=(6, 1, columns)`:
blocks of six months then hold every region.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from ocean_lib.scores import bootstrap, metrics
from ocean_lib.scores.hidden import hidden_ocean, shallowest_scored
from ocean_lib.scores.score_table import COLUMNS, LAYER_NAMES, LAYERS

__all__ = ["score_methods"]


ORDER = ("depth", "time", "latitude", "longitude")


class Cover(NamedTuple):
    """Which cells a score covers, as columns of the table."""

    layer: str = ""
    depth: float | None = None
    block: int | None = None


class Score(NamedTuple):
    """The other columns of a score."""

    metric: str
    value: float
    n: int
    low: float = np.nan
    high: float = np.nan


@dataclass(frozen=True)
class _Sums:
    """Sums over the cells of every block: (levels, blocks), or (blocks,) over levels.

    Attributes:
        terms: {name: sums weighted by area}.
        area: sums of the weights.
        cells: numbers of cells.
        widening: `bootstrap.widening` of the blocks.
    """

    terms: dict[str, np.ndarray]
    area: np.ndarray
    cells: np.ndarray
    widening: float

    def reduced(self, reduce: Callable[[np.ndarray], np.ndarray]) -> "_Sums":
        """Sums over levels, or of one level."""
        terms = {name: reduce(rows) for name, rows in self.terms.items()}
        return _Sums(terms, reduce(self.area), reduce(self.cells), self.widening)

    def means(self) -> tuple[dict, dict | None]:
        """Weighted means of the terms, and of every resample; None with too few blocks."""
        sums = np.array(list(self.terms.values()))
        draws = bootstrap.bootstrap(sums, self.area)
        mean = dict(zip(self.terms, sums.sum(1) / self.area.sum()))
        return mean, None if draws is None else dict(zip(self.terms, draws))

    def score(self, name: str, value: float, draws: np.ndarray | None) -> Score:
        """A score with the interval of its draws, (RESAMPLES,), if there are any."""
        n = int(self.cells.sum())
        if draws is None:
            return Score(name, value, n)
        blocks = int((self.area != 0).sum())
        return Score(name, value, n, *bootstrap.interval(draws, blocks, self.widening))

    def scores(self) -> list[Score]:
        """Every score that is defined."""
        mean, draws = self.means()
        drawn = {} if draws is None else metrics.scores(draws)
        return [
            self.score(name, float(value), drawn.get(name))
            for name, value in metrics.scores(mean).items()
            if not np.isnan(value)
        ]


class _Cells:
    """The hidden cells as a flat list, level after level, and sums over them by level and block.

    Args:
        where: bool (levels, dates, rows, columns).
        area: weights, (rows, 1).
        least: lower bound on the size of a block.
    """

    def __init__(self, where: np.ndarray, area: np.ndarray, least: bootstrap.Sizes):
        self.where, self.shape, self.least = where, where.shape[1:], least
        self.position = np.nonzero(where.reshape(len(where), -1))[1]
        self.start = np.concatenate([[0], np.cumsum(where.sum((1, 2, 3)))])
        self.area = np.broadcast_to(area, self.shape).ravel()[self.position]
        self.totals: dict = {}

    def lengths(self, error: np.ndarray, levels: range) -> tuple[float, float, float]:
        """Decorrelation of errors (cells,) at some levels."""
        where = self.where[levels.start : levels.stop]
        grid = np.zeros(where.shape, np.float32)
        grid[where] = error[self.start[levels.start] : self.start[levels.stop]]
        return bootstrap.decorrelation(grid.swapaxes(0, 1), where.swapaxes(0, 1))

    def sums(self, terms: dict[str, np.ndarray], levels: range, lengths) -> _Sums:
        """Sums (levels, blocks) of terms (cells,), in blocks sized by the decorrelation."""
        block = bootstrap.block_numbers(self.shape, lengths, self.least).ravel()
        shape = len(levels), block.max() + 1
        part = slice(self.start[levels.start], self.start[levels.stop])
        level = np.repeat(range(len(levels)), np.diff(self.start)[levels.start : levels.stop])
        label, area = level * shape[1] + block[self.position[part]], self.area[part]

        def by_block(weight=None):
            return np.bincount(label, weight, shape[0] * shape[1]).reshape(shape)

        weighted = {name: by_block(value[part] * area) for name, value in terms.items()}
        widening = bootstrap.widening(self.shape, lengths, self.least)
        return _Sums(weighted, by_block(area), by_block(), widening)

    def total(self, method: str, terms: dict[str, np.ndarray], levels: range, lengths) -> _Sums:
        """Sums (blocks,) of a method's terms, cached by method, levels and size of block."""
        key = method, levels, bootstrap.block_size(self.shape, lengths, self.least)
        if key not in self.totals:
            self.totals[key] = self.sums(terms, levels, lengths).reduced(_over_levels)
        return self.totals[key]


def _over_levels(rows: np.ndarray) -> np.ndarray:
    return rows.sum(0)


def _groups(depth: np.ndarray, where: np.ndarray, overall: np.ndarray) -> dict[Cover, range]:
    """Levels that are scored together: all, the layers, each level below the layers.

    Args:
        depth: of the levels, m.
        where: the hidden cells.
        overall: which levels count in the score over all depths.
    """
    members = {Cover("all"): np.nonzero(overall)[0]}
    for name, (low, high) in zip(LAYER_NAMES[1:], LAYERS):
        members[Cover(name)] = np.nonzero((low <= depth) & (depth < high))[0]
    for level in np.nonzero(depth >= LAYERS[-1][1])[0]:
        members[_level(depth[level])] = np.array([level])
    groups = {cover: range(k[0], k[-1] + 1) for cover, k in members.items() if len(k)}
    return {cover: k for cover, k in groups.items() if where[k.start : k.stop].any()}


def _level(depth: float) -> Cover:
    """The level at a depth; the table gives depths to 0.1 m."""
    return Cover(depth=float(f"{depth:.1f}"))


def _terms(name: str, result: xr.Dataset, truth, climatology, where) -> dict[str, np.ndarray]:
    """`metrics.terms` of a method at the hidden cells."""
    keys = {"mean", "members" if "members" in result else "error"} & set(result)
    at = {key: result[key].transpose(..., *ORDER).values[..., where] for key in keys}
    finite = np.all([np.atleast_2d(np.isfinite(values)).all(0) for values in at.values()], axis=0)
    if not finite.all():
        raise ValueError(
            f"{name} has no value at {(~finite).sum()} of {finite.size} hidden cells; "
            "give it one at every cell of the ocean"
        )
    return metrics.terms(at["mean"], truth, climatology, at.get("members"), at.get("error"))


def score_methods(
    fields: xr.Dataset,
    observations: xr.Dataset,
    methods: dict[str, xr.Dataset],
    *,
    case: str,
    ours: str,
    variable: str = "temperature",
    least: bootstrap.Sizes = (1, 1, 1),
) -> pd.DataFrame:
    """Scores of every method on one case, with 90 % intervals.

    Args:
        fields: canonical truth.
        observations: what every method saw.
        methods: {name: result}; "climatology" must be among them, for skill and anomalies.  A
            result has `mean` (time, depth, latitude, longitude) and may have `error`, the standard
            deviation of its error, or `members` (…, member), which take precedence.
        case: its name in the table.
        ours: the method whose differences from all others are given.
        variable: the variable that is scored, in its unit.
        least: lower bound on the size of a block, in dates, rows and columns.

    Returns:
        The columns `COLUMNS`.  `reference` is "truth", or the other method for `rmse_difference`
        and `crps_difference` (method minus reference; negative: the method is better).
        Differences are given over all depths and by layer, for `ours` and for the best method
        there; not for a layer whose levels all lie within 5 m of an observed surface.  Methods
        that state no uncertainty have no CRPS and no difference of it.  With too few blocks,
        `rmse_difference_block` has one row per block.  An undefined score, such as the anomaly
        correlation of climatology with itself, has no row.

    Raises:
        ValueError: a method has no value at a hidden cell, or a required method is missing.
    """
    for name in ("climatology", ours):
        if name not in methods:
            raise ValueError(f"no method {name!r} among {list(methods)}; add it to methods")
    truth = fields[variable].transpose(*ORDER).values
    where = hidden_ocean(fields, observations, variable).transpose(*ORDER).values
    depth = fields.depth.values
    area = np.cos(np.deg2rad(fields.latitude.values))[:, None]
    overall = depth > shallowest_scored(observations)
    groups = _groups(depth, where, overall)
    cells = _Cells(where, area, least)
    climatology = methods["climatology"]["mean"].transpose(*ORDER).values
    rows: list[tuple] = []
    paired: dict[str, dict[str, np.ndarray]] = {}  # the terms that differences are made of
    lengths = {}
    for method, result in methods.items():
        terms = _terms(method, result, truth[where], climatology[where], where)
        paired[method] = {name: terms[name] for name in ("square", "crps") if name in terms}
        for group, levels in groups.items():
            lengths[method, group] = cells.lengths(terms["error"], levels)
            sums = cells.sums(terms, levels, lengths[method, group])
            parts = {group: sums.reduced(_over_levels)}
            if group.layer != "all":
                parts |= {
                    _level(depth[level]): sums.reduced(itemgetter(k))
                    for k, level in enumerate(levels)
                    if where[level].any()
                }
            for cover, part in parts.items():
                rows += [(method, "truth", case, *cover, *score) for score in part.scores()]
        images = _image_scores(result["mean"].transpose(*ORDER).values, truth, where, depth, groups)
        rows += [(method, "truth", case, *cover, *score) for cover, score in images]
    for group, levels in groups.items():
        if overall[levels].any() and group.layer:
            differences = _differences(cells, paired, lengths, group, levels, ours)
            rows += [(*pair, case, *cover, *score) for *pair, cover, score in differences]
    table = pd.DataFrame(rows, columns=[*COLUMNS[:3], *Cover._fields, *Score._fields])
    return table.assign(variable=variable)[COLUMNS].astype({"depth": float, "block": "Int64"})


def _differences(
    cells: _Cells, paired: dict, lengths: dict, group: Cover, levels: range, ours: str
) -> Iterator[tuple[str, str, Cover, Score]]:
    """Differences between `ours`, and the best method, and all others, by RMSE and by CRPS."""

    def total(method, lengths):
        return cells.total(method, paired[method], levels, lengths)

    means = {method: total(method, lengths[method, group]).means()[0] for method in paired}
    for metric, term, root in (("rmse", "square", np.sqrt), ("crps", "crps", np.asarray)):
        value_of = {method: mean[term] for method, mean in means.items() if term in mean}
        if not value_of:
            continue
        best = min(value_of, key=value_of.__getitem__)
        for method, other in product(dict.fromkeys((ours, best)), value_of):
            if other == method or method not in value_of:
                continue
            longer = np.maximum(lengths[method, group], lengths[other, group])
            pair = total(method, longer), total(other, longer)
            (mean, drawn), (mean_other, drawn_other) = (sums.means() for sums in pair)
            draws = drawn and root(drawn[term]) - root(drawn_other[term])
            value = root(mean[term]) - root(mean_other[term])
            yield method, other, group, pair[0].score(f"{metric}_difference", value, draws)
            if draws is None and metric == "rmse" and method == ours:
                for number, k in enumerate(np.nonzero(pair[0].area)[0], 1):
                    rmse = [np.sqrt(sums.terms["square"][k] / sums.area[k]) for sums in pair]
                    score = Score("rmse_difference_block", rmse[0] - rmse[1], pair[0].cells[k])
                    yield method, other, group._replace(block=number), score


def _image_scores(forecast, truth, where, depth, groups) -> Iterator[tuple[Cover, Score]]:
    """PSNR and SSIM over hidden ocean, and over all pixels as in the original work.

    The range of the truth is taken level by level; the score over all depths is the mean of levels.
    """
    for suffix, counted in (("", where), ("_all_pixels", np.isfinite(truth))):
        for metric in (metrics.psnr, metrics.ssim):
            name = metric.__name__ + suffix
            values = {}
            for level in np.nonzero(where.any((1, 2, 3)))[0]:
                values[level] = metric(forecast[level], truth[level], counted[level])
                yield _level(depth[level]), Score(name, values[level], int(where[level].sum()))
            levels = [level for level in groups.get(Cover("all"), ()) if level in values]
            if levels:
                value = float(np.mean([values[level] for level in levels]))
                yield Cover("all"), Score(name, value, int(where[levels].sum()))
