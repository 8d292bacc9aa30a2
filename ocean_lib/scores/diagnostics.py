"""Diagnostics beyond one number: the reach of observations, and the reliability of the spread.

`by_distance` gives skill as a function of the distance to the nearest observation, and
`reach_of_observations` the distance at which it falls to that of climatology.  `rank_counts` counts
how many members the truth exceeds: the histogram is flat for a reliable ensemble, ∪-shaped for an
underdispersive one, ∩-shaped for an overdispersive one.  `reliability` bins cells by their stated
spread and compares it with the error in each bin.

References: Hamill 2001, doi 10.1175/1520-0493(2001)129<0550:IORHFV>2.0.CO;2 (rank histogram);
Leutbecher & Palmer 2008, doi 10.1016/j.jcp.2007.02.014 (spread and error in bins).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from ocean_lib.core.geometry import EARTH_RADIUS, sphere
from ocean_lib.fields.conventions import DIMS, named
from ocean_lib.scores.bootstrap import decorrelation
from ocean_lib.scores.hidden import hidden_ocean, shallowest_scored

__all__ = [
    "by_distance",
    "distance",
    "effective_sample_size",
    "rank_counts",
    "reach_of_observations",
    "reliability",
]


MIN_CELLS = 50  # of a bin of distances
MIN_DATES = 3  # of a bin of distances: one month far from all floats shows one eddy


def _points(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Points (..., 3) in km from the Earth's centre."""
    return EARTH_RADIUS * sphere(latitude, longitude, float)


def distance(observed: xr.DataArray, where: xr.DataArray) -> xr.DataArray:
    """Great-circle distance to the nearest observation of the same level and date, km.

    Args:
        observed: bool (time, depth, latitude, longitude).
        where: bool, the same shape; the cells whose distance is wanted.

    Returns:
        The same shape: NaN outside `where`, infinite where a level has no observation on that date.
    """
    from scipy.spatial import KDTree

    observed, where = observed.transpose(*DIMS), where.transpose(*DIMS)
    grid = np.meshgrid(observed.latitude, observed.longitude, indexing="ij")
    points, away = _points(*grid), np.full(observed.shape, np.nan)
    for level in np.ndindex(observed.shape[:2]):
        sources, targets = observed.values[level], where.values[level]
        if not sources.any():
            away[level][targets] = np.inf
        elif targets.any():
            chord = KDTree(points[sources]).query(points[targets])[0] / (2 * EARTH_RADIUS)
            away[level][targets] = 2 * EARTH_RADIUS * np.arcsin(np.minimum(chord, 1))
    return observed.copy(data=away).drop_attrs().assign_attrs(units="km")


def _edges(latitude: np.ndarray, longitude: np.ndarray, farthest: float) -> np.ndarray:
    """Edges (km) of bins: one cell wide at first, then each 1.4 times as far as the one before."""
    middle = np.full(len(longitude), latitude.mean())
    sides = _points(latitude, np.zeros(len(latitude))), _points(middle, longitude)
    steps = [np.linalg.norm(np.diff(side, axis=0), axis=1) for side in sides if len(side) > 1]
    cell = np.mean([step.mean() for step in steps]) if steps else 1.0
    cells = np.unique(np.round(1.4 ** np.arange(40))) + 0.5
    edges = np.concatenate([[0.0], cell * cells])
    return edges[: np.searchsorted(edges, farthest, "right") + 1]


def by_distance(
    fields: xr.Dataset,
    observations: xr.Dataset,
    methods: dict[str, xr.Dataset],
    *,
    case: str,
    variable: str = "temperature",
    edges: Sequence[float] | None = None,
) -> pd.DataFrame:
    """Skill and RMSE over hidden ocean as functions of the distance to the nearest observation.

    Args:
        fields: canonical truth.
        observations: what every method saw.
        methods: {name: result}, as for `evaluation.score_methods`.
        case: its name in the table.
        variable: the variable that is scored.
        edges: of the bins, km; by default one cell wide, wider far away, up to the farthest cell.

    Returns:
        method, case, distance (km, the mean over the bin's cells), skill, rmse, n: one row per
        method and bin of at least 50 cells, sums weighted by area.  Climatology, whose skill is 0,
        has no rows.  Levels without an observation, and those within 5 m of an observed surface,
        do not count.

    Raises:
        ValueError: there is no method "climatology".
    """
    if "climatology" not in methods:
        raise ValueError(f"no method 'climatology' among {list(methods)}; add it to methods")
    hidden = hidden_ocean(fields, observations, variable)
    seen = observations[named(variable, "observed")].astype(bool) & fields.ocean
    away = distance(seen.transpose(*DIMS), hidden).values
    hidden = hidden & (fields.depth > shallowest_scored(observations))
    where = hidden.transpose(*DIMS).values & np.isfinite(away)
    away = away[where]
    if edges is None:
        places = fields.latitude.values, fields.longitude.values
        edges = _edges(*places, away.max(initial=0.0)).tolist()
    truth = fields[variable].transpose(*DIMS)
    area = np.cos(np.deg2rad(fields.latitude)).broadcast_like(truth).transpose(*DIMS).values[where]
    bins, number = np.digitize(away, edges) - 1, len(edges) - 1
    inside = (bins >= 0) & (bins < number)
    bins, date = bins[inside], np.nonzero(where)[DIMS.index("time")][inside]
    dates = np.bincount(np.unique([bins, date], axis=1)[0], minlength=number)
    count = np.bincount(bins, minlength=number)
    enough = (count >= MIN_CELLS) & (dates >= min(MIN_DATES, fields.sizes["time"]))

    def total(values):
        return np.bincount(bins, values[inside], minlength=number)[enough]

    square = {
        method: total(area * (result["mean"].transpose(*DIMS) - truth).values[where] ** 2)
        for method, result in methods.items()
    }
    weight = total(area)
    mean = total(area * away) / weight
    rows: list[tuple] = []
    for method in (method for method in methods if method != "climatology"):
        skill = 1 - square[method] / square["climatology"]
        rmse = np.sqrt(square[method] / weight)
        rows += [(method, case, *row) for row in zip(mean, skill, rmse, count[enough])]
    return pd.DataFrame(rows, columns=["method", "case", "distance", "skill", "rmse", "n"])


def reach_of_observations(table: pd.DataFrame) -> pd.Series:
    """Distance (km) at which skill first falls to 0, that of climatology, by method and case.

    It is interpolated linearly between rows, from a skill of 1 at the observation itself, and
    infinite where skill stays above 0 up to the farthest cell.

    Args:
        table: of `by_distance`.
    """
    reach = {}
    for key, rows in table.groupby(["method", "case"], sort=False):
        rows = rows.sort_values("distance")
        away, skill = np.array([0.0, *rows["distance"]]), np.array([1.0, *rows["skill"]])
        reach[key] = np.inf
        if (skill <= 0).any():
            k = np.argmax(skill <= 0)
            fraction = skill[k - 1] / (skill[k - 1] - skill[k])
            reach[key] = away[k - 1] + fraction * (away[k] - away[k - 1])
    index = pd.MultiIndex.from_tuples(list(reach), names=["method", "case"])
    return pd.Series(list(reach.values()), index, name="reach", dtype=float)


def rank_counts(truth: xr.DataArray, members: xr.DataArray, where: xr.DataArray) -> np.ndarray:
    """How often the truth has each rank among M members: (M + 1,), from lowest to highest.

    Where the truth equals some members, its rank among them is drawn at random.

    Args:
        truth: (…).
        members: (…, member).
        where: (…), bool; only these cells count.
    """
    cells = where.transpose(*truth.dims).values.astype(bool)
    value = truth.values[cells]
    below, tied = np.zeros(len(value), int), np.zeros(len(value), int)
    for index in range(members.sizes["member"]):
        member = members.isel(member=index).transpose(*truth.dims).values[cells]
        below += member < value
        tied += member == value
    rank = below + np.random.default_rng(0).integers(0, tied + 1)
    return np.bincount(rank, minlength=members.sizes["member"] + 1)


def reliability(
    spread: xr.DataArray, error: xr.DataArray, where: xr.DataArray, bins: int = 10
) -> pd.DataFrame:
    """Stated spread and actual error, in bins of equally many cells with similar spread.

    Args:
        spread: (…), `calibration.stated_spread`.
        error: (…), of the mean.
        where: (…), bool; only these cells count, all alike.
        bins: number of bins.

    Returns:
        One row per bin: spread and rmse, both root mean squares, and n.  They are equal where the
        spread is reliable.
    """
    cells = where.transpose(*error.dims).values.astype(bool)
    stated, actual = (
        array.transpose(*error.dims).values[cells].astype(float) for array in (spread, error)
    )
    parts = [part for part in np.array_split(np.argsort(stated, kind="stable"), bins) if len(part)]
    rows = [
        (np.sqrt((stated[part] ** 2).mean()), np.sqrt((actual[part] ** 2).mean()), len(part))
        for part in parts
    ]
    return pd.DataFrame(rows, columns=["spread", "rmse", "n"])


def effective_sample_size(error: xr.DataArray, where: xr.DataArray) -> float:
    """Approximate number of independent cells, given that errors are correlated.

    The cells of the fullest level, divided by the decorrelation of the errors in time, rows and
    columns.  Levels count as one, since errors are correlated between levels.

    Args:
        error: (time, depth, latitude, longitude).
        where: the same shape, bool; only these cells count.
    """
    errors, cells = (array.transpose(*DIMS).values for array in (error, where))
    lengths = decorrelation(errors, cells)
    return max(1.0, float(cells.sum((0, 2, 3)).max() / np.prod(lengths)))
