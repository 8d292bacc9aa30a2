"""Beyond one number: how far observations reach, and whether spread can be trusted.

`by_distance` tells skill against the distance to the nearest observation, and `reach` where it
meets climatology.  `ranks` counts how many members the truth exceeds: all counts alike for a good
ensemble, a ⋃ for one that is too narrow, a ⋂ for one too wide.  `reliability` sorts cells by what
spread was stated there and compares it with the error that came, bin by bin.

References: Hamill 2001, doi 10.1175/1520-0493(2001)129<0550:IORHFV>2.0.CO;2 (rank histogram);
Leutbecher & Palmer 2008, doi 10.1016/j.jcp.2007.02.014 (spread and error in bins).
"""

import numpy as np
import pandas as pd
import xarray as xr

from ocean_lib.scores import bootstrap
from ocean_lib.scores.evaluation import hidden_ocean

__all__ = [
    "by_distance",
    "distance",
    "effective_sample_size",
    "rank_counts",
    "reach_of_observations",
    "reliability",
]


RADIUS = 6371.0  # km, of the Earth
FEWEST = 50  # cells of a bin of distances, below which it says nothing
DATES = 3  # that a bin takes its cells from, at least
ORDER = ("time", "depth", "latitude", "longitude")


def _places(latitude, longitude) -> np.ndarray:
    """(n, 3) points in km from the Earth's centre."""
    y, x = np.deg2rad(latitude), np.deg2rad(longitude)
    return RADIUS * np.stack([np.cos(y) * np.cos(x), np.cos(y) * np.sin(x), np.sin(y)], -1)


def distance(observed: xr.DataArray, where: xr.DataArray) -> xr.DataArray:
    """Distance (km, along the great circle) to the nearest observation of the same level and date.

    Args:
        observed, where: bool (time, depth, latitude, longitude).
    Returns:
        The same shape: NaN outside `where`, infinite where a level has no observation that date.
    """
    from scipy.spatial import KDTree

    observed, where = observed.transpose(*ORDER), where.transpose(*ORDER)
    grid = np.meshgrid(observed.latitude, observed.longitude, indexing="ij")
    places, found = _places(*grid), np.full(observed.shape, np.nan)
    for level in np.ndindex(observed.shape[:2]):
        seen, asked = observed.values[level], where.values[level]
        if not asked.any():
            continue
        if not seen.any():
            found[level][asked] = np.inf
            continue
        chord, _ = KDTree(places[seen]).query(places[asked])
        found[level][asked] = 2 * RADIUS * np.arcsin(np.minimum(chord / (2 * RADIUS), 1))
    return observed.copy(data=found).drop_attrs().assign_attrs(units="km")


def _edges(latitude, longitude, farthest: float) -> np.ndarray:
    """Edges (km) of bins of one cell, wider by two fifths each once they are far."""
    middle = np.full(len(longitude), latitude.mean())
    sides = _places(latitude, np.zeros(len(latitude))), _places(middle, longitude)
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
    edges=None,
) -> pd.DataFrame:
    """Skill and RMSE over hidden ocean against the distance to the nearest observation.

    Args:
        fields, observations, methods, case, variable: as `evaluation.compare` takes them.
        edges: of the bins, km; by default a cell wide, wider far away, to the farthest cell.
    Returns:
        method, case, distance (km, the mean of the bin's cells), skill, rmse, n: a row a method
        and bin of at least 50 cells, sums weighted by area; climatology, whose skill is 0, has
        none.  Levels without an observation and those within 5 m of a seen surface do not count.
    Raises:
        ValueError: there is no method "climatology".
    """
    if "climatology" not in methods:
        raise ValueError(f"no method 'climatology' among {list(methods)}; add it to methods")
    where = hidden_ocean(fields, observations, variable)
    away = distance(fields.ocean & ~where, where)
    if "surface_observed" in observations and observations["surface_observed"].any():
        where = where & (fields.depth > 5.0)
    where = where.transpose(*ORDER).values & np.isfinite(away.values)
    away = away.values[where]
    if edges is None:
        edges = _edges(fields.latitude.values, fields.longitude.values, away.max(initial=0.0))
    grid = fields[variable].transpose(*ORDER)
    area = np.cos(np.deg2rad(fields.latitude)).broadcast_like(grid).transpose(*ORDER).values[where]
    bins, number = np.digitize(away, edges) - 1, len(edges) - 1
    inside = (bins >= 0) & (bins < number)
    date = np.nonzero(where)[ORDER.index("time")]
    pairs = np.unique(np.stack([bins[inside], date[inside]]), axis=1)
    dates = np.bincount(pairs[0], minlength=number)  # one month far from all floats is one eddy
    enough = dates >= min(DATES, fields.sizes["time"])

    def total(values):
        return np.bincount(bins[inside], values[inside], minlength=number)

    square = {
        method: total(area * (result["mean"].transpose(*ORDER) - grid).values[where] ** 2)
        for method, result in methods.items()
    }
    count, weight, mean = (total(each) for each in (np.ones(len(away)), area, area * away))
    rows = [
        (
            method,
            case,
            mean[k] / weight[k],
            1 - square[method][k] / square["climatology"][k],
            np.sqrt(square[method][k] / weight[k]),
            int(count[k]),
        )
        for method in methods
        for k in np.nonzero((count >= FEWEST) & enough)[0]
        if method != "climatology"
    ]
    return pd.DataFrame(rows, columns=["method", "case", "distance", "skill", "rmse", "n"])


def reach_of_observations(table: pd.DataFrame) -> pd.Series:
    """Distance (km) at which skill first falls to 0, that of climatology, by method and case.

    By linear interpolation between the rows of `by_distance`, from a skill of 1 at the observation
    itself; infinite where skill stays above 0 as far as cells lie.
    """
    found = {}
    for key, rows in table.groupby(["method", "case"], sort=False):
        rows = rows.sort_values("distance")
        away, skill = np.array([0.0, *rows["distance"]]), np.array([1.0, *rows["skill"]])
        fallen = np.nonzero(skill <= 0)[0]
        found[key] = np.inf
        if len(fallen):
            k = fallen[0]
            part = skill[k - 1] / (skill[k - 1] - skill[k])
            found[key] = away[k - 1] + part * (away[k] - away[k - 1])
    index = pd.MultiIndex.from_tuples(list(found), names=["method", "case"])
    return pd.Series(list(found.values()), index, name="reach", dtype=float)


def rank_counts(truth, members, where, *, seed: int = 0) -> np.ndarray:
    """How often the truth has each rank among M members: counts (M + 1,), from below all to above.

    Args:
        truth, where: (…); only cells of `where` count.    members: with a dimension `member`.
        seed: of the rank among members that equal the truth, drawn at random.
    """
    dims = truth.dims
    where = where.transpose(*dims).values.astype(bool)
    value = truth.values[where]
    below, tied = np.zeros(len(value), int), np.zeros(len(value), int)
    for index in range(members.sizes["member"]):
        member = members.isel(member=index).transpose(*dims).values[where]
        below += member < value
        tied += member == value
    rank = below + np.random.default_rng(seed).integers(0, tied + 1)
    return np.bincount(rank, minlength=members.sizes["member"] + 1)


def reliability(spread, error, where, bins: int = 10) -> pd.DataFrame:
    """Error against the spread that was stated, in bins of equally many cells of like spread.

    Args:
        spread: stated standard deviation (`calibration.stated`).    error: of the mean.
        where: (…), the shape of both; only its cells count, each alike.
    Returns:
        A row a bin: spread and rmse, both root mean squares, and n.  On the diagonal where the
        spread can be trusted.
    """
    dims = error.dims
    where = where.transpose(*dims).values.astype(bool)
    spread, error = (each.transpose(*dims).values[where].astype(float) for each in (spread, error))
    parts = [part for part in np.array_split(np.argsort(spread, kind="stable"), bins) if len(part)]
    rows = [
        (np.sqrt((spread[part] ** 2).mean()), np.sqrt((error[part] ** 2).mean()), len(part))
        for part in parts
    ]
    return pd.DataFrame(rows, columns=["spread", "rmse", "n"])


def effective_sample_size(error: xr.DataArray, where: xr.DataArray) -> float:
    """To about how many independent cells those of `where` amount, their errors being alike.

    Cells of the fullest level over the decorrelation time, rows and columns of the errors
    (`intervals.decorrelation`); levels count as one, since errors reach from one to the next.
    """
    error, where = (each.transpose(*ORDER).values for each in (error, where))
    lengths = bootstrap.decorrelation(error, where)
    return max(1.0, float(where.sum((0, 2, 3)).max() / np.prod(lengths)))
