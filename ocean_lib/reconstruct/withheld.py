"""Profiles that were withheld, and what every method says at their places, levels and months.

Whole floats are withheld, or whole months; the other profiles are put on the grid, and the field is
reconstructed from them.  What a withheld profile measured is compared, value by value, with the
reconstruction, with its background (optimal interpolation), with the climatology and, where it is
given, with the field of a product.  Values of one profile are not independent: intervals come from
drawing profiles anew.

GLORYS12 and other reanalyses assimilate Argo.  They have seen the withheld profiles, and are no
independent rival at these points; nor do they hold what a cell does not.
"""

import numpy as np
import pandas as pd
import xarray as xr

from ocean_lib.model.densifier import Densifier
from ocean_lib.observations import gridding
from ocean_lib.observations.batch import select_statistics
from ocean_lib.observations.profiles import USED
from ocean_lib.reconstruct.ensemble import reconstruct

__all__ = ["CAVEAT", "choose_withheld", "score_withheld"]


CAVEAT = (
    "a product that assimilates Argo, as GLORYS12 does, has seen the withheld profiles: "
    "its error here is no independent one"
)
DRAWS, LEVEL = 400, 0.9


def choose_withheld(
    table: xr.Dataset, by: str = "float", share: float = 0.2, seed: int = 0
) -> np.ndarray:
    """Which profiles (P,) are withheld: those of a share of the floats, or of the last months.

    Args:
        table: of `floats.cells`.    by: `float` or `time`.
    Raises:
        ValueError: there is only one float, or month.
    """
    if by not in ("float", "time"):
        raise ValueError(f"profiles are withheld by {by!r}; choose 'float' or 'time'")
    name = {"float": "platform", "time": "month"}[by]
    used = table.status.values == USED
    groups = np.unique(table[name].values[used])
    if len(groups) < 2:
        raise ValueError(f"{len(groups)} {by}(s) hold profiles, needs 2 to withhold one")
    number = min(max(1, round(share * len(groups))), len(groups) - 1)
    if by == "float":
        groups = np.random.default_rng(seed).permutation(groups)
    return used & np.isin(table[name].values, groups[-number:])


def score_withheld(
    model: Densifier,
    table: xr.Dataset,
    withheld: np.ndarray,
    *,
    fields: xr.Dataset | None = None,
    seed: int = 0,
    **choices,
) -> pd.DataFrame:
    """RMSE and bias of every method at withheld profiles, and how often its error bar holds them.

    Args:
        table: of `floats.cells`.    withheld: (P,), of `choose`.
        fields: a product's, canonical, on the grid of the table: it is scored, and what it holds of
            the `surface` is seen.
        choices: of `reconstruction.reconstruct`.
    Returns:
        method, metric (rmse, bias, coverage), depth (a level, m, or "all"), value, low, high, n:
        profiles.  Coverage is that of the central 90 % by spread and the profile's own error.
    """
    kept = table.copy(deep=True)
    kept.status.values[withheld] = "withheld"
    months = np.unique(table.month.values[table.status.values == USED])
    every = xr.Dataset(coords={"time": months}) if fields is None else fields
    known = model.statistics if fields is None else select_statistics(model.statistics, fields)
    seen = gridding.observe_profiles(kept, known, every)
    drawn = reconstruct(model, seen, seed=seed, **choices)
    methods = {
        "reconstruction": drawn["mean"],
        "optimal interpolation": drawn["background"],
        "climatology": drawn["climatology"],
    }
    if fields is not None:
        methods["product"] = fields.temperature
    profile, level = np.nonzero(np.isfinite(table.temperature.values) & withheld[:, None])
    spread, _ = gridding.representativeness(kept, known)
    place = {
        "time": table.month.values[profile].astype("datetime64[M]"),
        "depth": level,
        "latitude": table.row.values[profile],
        "longitude": table.column.values[profile],
    }
    measured = table.temperature.values[profile, level]
    own = np.hypot(table.error.values[profile, level], spread.values[profile, level])
    bars = {"reconstruction": np.hypot(_at(drawn["spread"], place), own)}
    rows = []
    for name, array in methods.items():
        error = _at(array, place) - measured
        for depth in ["all", *range(table.sizes["depth"])]:
            those = np.isfinite(error) if depth == "all" else np.isfinite(error) & (level == depth)
            if those.any():
                inside = np.abs(error) <= 1.645 * bars[name] if name in bars else None
                label = "all" if depth == "all" else f"{float(table.depth[depth]):g}"
                rows += _rows(name, label, error[those], profile[those], inside, those, seed)
    return pd.DataFrame(rows)


def _at(array: xr.DataArray, place: dict) -> np.ndarray:
    """Values at cells; NaN in months that the array lacks."""
    array = array.transpose("time", "depth", "latitude", "longitude")
    times = array.time.values.astype("datetime64[M]")
    there = np.isin(place["time"], times)
    month = np.searchsorted(times, place["time"]).clip(0, len(times) - 1)
    values = array.values[month, place["depth"], place["latitude"], place["longitude"]]
    return np.where(there, values, np.nan)


def _rows(name, depth, error, profile, inside, those, seed) -> list[dict]:
    _, which = np.unique(profile, return_inverse=True)
    number = which.max() + 1
    sums = {"n": np.ones_like(error), "square": error**2, "sum": error}
    if inside is not None:
        sums["inside"] = inside[those].astype(float)
    sums = {key: np.bincount(which, values, number) for key, values in sums.items()}
    draw = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), DRAWS)
    metrics = {
        "rmse": lambda w: np.sqrt((w @ sums["square"]) / (w @ sums["n"])),
        "bias": lambda w: (w @ sums["sum"]) / (w @ sums["n"]),
    }
    if inside is not None:
        metrics["coverage"] = lambda w: (w @ sums["inside"]) / (w @ sums["n"])
    found = []
    for metric, function in metrics.items():
        low, high = np.quantile(function(draw), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        value = float(function(np.ones((1, number)))[0])
        found.append(
            {"method": name, "metric": metric, "depth": depth, "value": value}
            | {"low": low, "high": high, "n": int(number)}
        )
    return found
