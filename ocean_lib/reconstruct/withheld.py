"""Scores of every method at withheld profiles.

All profiles of some floats or months are withheld; the others are put on the grid, and the field is
reconstructed from them.  The values of the withheld profiles are compared with the reconstruction,
its background (optimal interpolation), the climatology and the field of a product.
Values are moved by the climatology from their day to the mean of their month, as observed ones.
Profiles of one float are not independent, so intervals come from resampling floats.

GLORYS12 and other reanalyses assimilate Argo: they have seen the withheld profiles, so their errors
here are not independent.  Nor do they resolve variability within a cell.
"""

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import ndtri

from ocean_lib.model.densifier import Densifier
from ocean_lib.observations import gridding
from ocean_lib.observations.batch import select_statistics
from ocean_lib.observations.profiles import USED
from ocean_lib.observations.representativeness import in_month, representativeness
from ocean_lib.reconstruct.ensemble import reconstruct
from ocean_lib.reconstruct.sampling import Sampling
from ocean_lib.scores.bootstrap import bootstrap, interval
from ocean_lib.scores.metrics import COVERED, interval_half_width, mean_variance_factor

__all__ = ["CAVEAT", "choose_withheld", "score_withheld"]


SHARE = 0.2  # of the floats or months, at least one of them
CAVEAT = (
    "a product that assimilates Argo, as GLORYS12 does, has seen the withheld profiles: "
    "its error here is not independent"
)


def choose_withheld(table: xr.Dataset, by: str = "float", seed: int = 0) -> np.ndarray:
    """Choose the profiles to withhold: those of a fifth of the floats, or of the last months.

    Args:
        table: P profiles with their cells, from `gridding.to_cells`.
        by: `float` or `time`.
        seed: of the choice of floats.

    Returns:
        (P,), bool: which profiles are withheld.

    Raises:
        ValueError: there are fewer than two floats or months, or `by` is unknown.
    """
    if by not in ("float", "time"):
        raise ValueError(f"profiles are withheld by {by!r}; choose 'float' or 'time'")
    labels = table[{"float": "platform", "time": "month"}[by]].values
    used = table.status.values == USED
    groups = np.unique(labels[used])
    if len(groups) < 2:
        raise ValueError(f"{len(groups)} {by}(s) hold profiles, needs 2 to withhold one")
    number = min(max(1, round(SHARE * len(groups))), len(groups) - 1)
    if by == "float":
        groups = np.random.default_rng(seed).permutation(groups)
    return used & np.isin(labels, groups[-number:])


def score_withheld(
    model: Densifier,
    table: xr.Dataset,
    withheld: np.ndarray,
    fields: xr.Dataset,
    *,
    members: int = 16,
    sampling: Sampling = Sampling(),
    device: str = "cpu",
) -> pd.DataFrame:
    """RMSE and bias of every method at withheld profiles, and the coverage of the members.

    Args:
        model: the trained model.
        table: P profiles with their cells, from `gridding.to_cells`.
        withheld: (P,), bool, from `choose_withheld`.
        fields: a product, canonical, on the grid of the table.  It is scored too, and its
            `surface`, if it has one, is observed.
        members: ensemble size, at least 2.
        sampling: how the members are drawn.
        device: where the networks run.

    Returns:
        Columns `method`, `metric` (rmse, bias, coverage), `depth` (level in m, or "all"), `value`,
        `low` and `high` of its 90 % interval, and `n`, the number of floats; with too few floats
        the interval is NaN.  Coverage is that of the central 90 % interval from the
        members and the profile's own error.
    """
    kept = table.copy(deep=True)
    kept.status.values[withheld] = "withheld"
    statistics = select_statistics(model.statistics, fields)
    observations = gridding.observe_profiles(kept, statistics, fields)
    drawn = reconstruct(model, observations, members=members, sampling=sampling, device=device)
    methods = {
        "reconstruction": drawn["mean"],
        "optimal interpolation": drawn["background"],
        "climatology": drawn["climatology"],
        "product": fields.temperature,
    }
    profile, level = np.nonzero(np.isfinite(table.temperature.values) & withheld[:, None])
    cells = {
        "time": table.month.values[profile].astype("datetime64[M]"),
        "depth": level,
        "latitude": table.row.values[profile],
        "longitude": table.column.values[profile],
    }
    measured = in_month(table, statistics, "temperature")[profile, level]
    spread, _ = representativeness(kept, statistics)
    error = np.hypot(table.error.values[profile, level], spread.values[profile, level])
    mean, members_there = (_at(drawn[name], cells) for name in ("mean", "members"))
    inside = _inside(mean, members_there, measured, error)
    depths = {"all": np.ones(len(level), bool)}
    depths |= {f"{depth:g}": level == k for k, depth in enumerate(table.depth.values.tolist())}
    rows = []
    for method, field in methods.items():
        difference = _at(field, cells) - measured
        quantities = {"rmse": difference**2, "bias": difference}
        if method == "reconstruction":
            quantities["coverage"] = inside
        for depth, where in depths.items():
            where = where & np.isfinite(difference)
            if where.any():
                part = {metric: values[where] for metric, values in quantities.items()}
                scores = _scores(part, table.platform.values[profile[where]])
                rows += [{"method": method, "depth": depth, **score} for score in scores]
    columns = ["method", "metric", "depth", "value", "low", "high", "n"]
    return pd.DataFrame(rows, columns=columns)


def _inside(
    mean: np.ndarray, members: np.ndarray, measured: np.ndarray, error: np.ndarray
) -> np.ndarray:
    """Whether measurements lie in the central 90 % interval of the members and their own error.

    The half-widths of both, a t-interval for the members and a Gaussian one, add in quadrature.

    Args:
        mean: (N,), about which the interval lies.
        members: (M, N).
        measured: (N,).
        error: (N,), standard deviation of the measurement.
    """
    factor = mean_variance_factor(mean, members)
    from_members = interval_half_width(len(members), factor) * members.std(0, ddof=1)
    half_width = np.hypot(from_members, ndtri((1 + COVERED) / 2) * error)
    return np.abs(mean - measured) <= half_width


def _at(field: xr.DataArray, cells: dict[str, np.ndarray]) -> np.ndarray:
    """Values (N,), or (M, N) of members, at N cells; NaN in months that the field lacks."""
    times = field.time.values.astype("datetime64[M]")
    month = np.searchsorted(times, cells["time"]).clip(0, len(times) - 1)
    places = {name: xr.DataArray(index, dims="cell") for name, index in cells.items()}
    values = field.isel(places | {"time": xr.DataArray(month, dims="cell")})
    return np.where(np.isin(cells["time"], times), values.transpose(..., "cell").values, np.nan)


def _scores(quantities: dict[str, np.ndarray], platform: np.ndarray) -> list[dict]:
    """Means of quantities (N,), of `rmse` the root, with intervals from resampled floats (N,)."""
    _, group = np.unique(platform.astype(str), return_inverse=True)
    weights = np.bincount(group).astype(float)
    sums = np.stack([np.bincount(group, values) for values in quantities.values()])
    draws = bootstrap(sums, weights)
    scores = []
    for index, metric in enumerate(quantities):
        finish = np.sqrt if metric == "rmse" else np.positive
        low = high = np.nan
        if draws is not None:
            low, high = interval(finish(draws[index]), len(weights))
        value = float(finish(sums[index].sum() / weights.sum()))
        scores.append({"metric": metric, "value": value, "low": low, "high": high})
    return [score | {"n": len(weights)} for score in scores]
