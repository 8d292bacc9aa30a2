"""Inversions between adjacent levels: how often temperature rises, or density falls, with depth.

A temperature inversion is a rise by more than 0.05 °C from a level to the next. A density inversion
is a fall by more than 0.001 kg m-3, both levels at the pressure of their middle: it is the squared
buoyancy frequency times the density over gravity and the distance. The threshold is that of
rounding in a store of 16-bit anomalies. Pairs count where neither level is observed, weighted by
area. A reconstruction is as stable as the ocean where its shares are those of the truth.

Reference: IOC, SCOR & IAPSO 2010, The international thermodynamic equation of seawater (section
3.10, the buoyancy frequency).
"""

import numpy as np
import pandas as pd
import xarray as xr

from ocean_lib.fields.conventions import named
from ocean_lib.fields.derived import DENSITY, GRAVITY, derive
from ocean_lib.scores.score_table import COLUMNS

__all__ = ["count_inversions", "inversions_table"]


RISE = 0.05  # °C
FALL = 1e-3  # kg m-3
LAYER = "pairs"
QUANTITIES = {"truth": "truth", "reconstruction, mean": "mean", "reconstruction": "members"}


def count_inversions(drawn: xr.Dataset, *, case: str, standard_name: str) -> pd.DataFrame:
    """Shares of inversions of truth, mean and members, of every pair of levels and of all pairs.

    Args:
        drawn: one case of reconstruction.nc; density needs salinity.
        case: its name in the table.
        standard_name: of temperature, which says whether it is potential.

    Returns:
        The columns of `score_table`: `variable` is temperature or density, `metric` inversions,
        `value` a share from 0 to 1, `n` the number of pairs, of members those of one member.
    """
    rows: list[tuple] = []
    depth = drawn["depth"].values.astype(float)
    middle = (depth[1:] + depth[:-1]) / 2
    hidden = drawn["ocean"] & ~drawn["observed"]
    both = _lower(hidden) & _upper(hidden)
    for method, quantity in QUANTITIES.items():
        for variable, inverted in _inverted(drawn, quantity, standard_name).items():
            where = both & inverted.notnull()
            if "member" in where.dims:
                where = where.all("member")
            area = where * np.cos(np.deg2rad(drawn["latitude"]))
            dims = [dim for dim in inverted.dims if dim != "depth"]
            total = area.sum(["time", "latitude", "longitude"])
            number = where.sum(["time", "latitude", "longitude"])
            found = (area * inverted).sum(dims) / inverted.sizes.get("member", 1)
            covers = [(np.nan, found.sum(), total.sum(), number.sum())]
            covers += zip(middle, found.values, total.values, number.values)
            for at, part, whole, count in covers:
                if whole > 0:
                    share = float(part / whole)
                    cover = variable, LAYER, at, pd.NA, "inversions"
                    rows.append((method, "truth", case, *cover, share, np.nan, np.nan, int(count)))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"depth": float, "block": "Int64"})


def inversions_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Shares of inversions in per cent: pairs of levels by the depth of their middle, and methods.

    Args:
        scores: from `count_inversions`, of one or several cases; with one level there are no pairs.
    """
    rows = scores.assign(
        value=100 * scores["value"],
        depth=["all" if np.isnan(depth) else f"{depth:.0f} m" for depth in scores["depth"]],
    )
    index = ["case", "variable", "depth"]
    order = rows[index].drop_duplicates().itertuples(index=False, name=None)
    table = rows.pivot(index=index, columns="method", values="value")
    return table.reindex(columns=list(QUANTITIES)).loc[list(order)].rename_axis(columns=None)


def _lower(field: xr.DataArray) -> xr.DataArray:
    """The lower level of every pair, without the depths."""
    return field.isel(depth=slice(1, None)).drop_vars("depth")


def _upper(field: xr.DataArray) -> xr.DataArray:
    return field.isel(depth=slice(None, -1)).drop_vars("depth")


def _inverted(drawn: xr.Dataset, quantity: str, standard_name: str) -> dict[str, xr.DataArray]:
    """{variable: whether a pair is inverted, 0 or 1, NaN where it has no value}."""
    temperature = drawn[named("temperature", quantity)]
    rise = _lower(temperature) - _upper(temperature)
    found = {"temperature": (rise > RISE).where(rise.notnull())}
    if named("salinity", quantity) in drawn:
        fields = xr.Dataset(
            {
                "temperature": temperature.assign_attrs(standard_name=standard_name),
                "salinity": drawn[named("salinity", quantity)],
                "ocean": drawn["ocean"],
            }
        )
        dates = range(drawn.sizes["time"])
        parts = [derive(fields.isel(time=[k]), ["stratification"]) for k in dates]
        squared = xr.concat(parts, "time")["stratification"].rename(middle_depth="depth")
        distance = xr.DataArray(np.diff(drawn["depth"].values.astype(float)), dims="depth")
        fall = -squared.drop_vars("depth") * distance * DENSITY / GRAVITY
        found["density"] = (fall > FALL).where(fall.notnull())
    return found
