"""Inversions between levels against a loop and gsw."""

import gsw
import numpy as np
import pytest
import xarray as xr

from ocean_lib.scores.inversions import count_inversions, inversions_table

POTENTIAL = "sea_water_potential_temperature"
GRID = "time", "depth", "latitude", "longitude"
DEPTH = np.array([5.0, 30.0, 80.0, 400.0])


@pytest.fixture(scope="module")
def drawn():
    """Water that is nearly mixed, so that many pairs are inverted; land, and observed cells."""
    rng = np.random.default_rng(0)
    shape, members = (2, 4, 5, 6), 3
    ocean = np.ones(shape[1:], bool)
    ocean[2:, 0] = False
    wet = np.where(ocean, 0.0, np.nan)
    dims = ("time", "member", *GRID[1:])
    data = xr.Dataset(
        {
            "ocean": (GRID[1:], ocean),
            "observed": (GRID, (rng.random(shape) < 0.1) & ocean),
            "truth": (GRID, 10 - 0.01 * DEPTH[:, None, None] + rng.normal(0, 0.2, shape) + wet),
            "salinity_truth": (GRID, 35 + rng.normal(0, 0.02, shape) + wet),
            "members": (dims, 10 + rng.normal(0, 0.4, (2, members, *shape[1:])) + wet),
            "salinity_members": (dims, 35 + rng.normal(0, 0.1, (2, members, *shape[1:])) + wet),
        },
        {
            "time": np.array(["2000-01", "2000-02"], "M8[ns]"),
            "depth": DEPTH,
            "latitude": 30 + 8.0 * np.arange(5),
            "longitude": -20 + np.arange(6.0),
        },
    )
    for prefix in ("", "salinity_"):
        data[f"{prefix}mean"] = data[f"{prefix}members"].mean("member")
    return data


def share(drawn, quantity, variable, level=None):
    """By a loop: the share of inverted pairs, weighted by area, and the number of pairs."""
    t, s = (drawn[p + quantity] for p in ("", "salinity_"))
    if "member" not in t.dims:
        t, s = t.expand_dims("member"), s.expand_dims("member")
    t, s = (array.transpose("member", *GRID).values for array in (t, s))
    found = whole = number = 0
    for member, date, top, row, column in np.ndindex(len(t), 2, 3, 5, 6):
        pair = np.s_[date, top : top + 2, row, column]
        hidden = drawn.ocean.values[top : top + 2, row, column] & ~drawn.observed.values[pair]
        if not hidden.all() or level not in (None, top):
            continue
        place = float(drawn.longitude[column]), float(drawn.latitude[row])
        pressure = gsw.p_from_z(-DEPTH[top : top + 2], place[1])
        absolute = gsw.SA_from_SP(s[member][pair], pressure, *place)
        warm = gsw.CT_from_pt(absolute, t[member][pair])
        density = gsw.rho(absolute, warm, pressure.mean())
        inverted = {
            "temperature": t[member][pair][1] - t[member][pair][0] > 0.05,
            "density": density[0] - density[1] > 0.001,
        }[variable]
        area = np.cos(np.deg2rad(place[1]))
        found, whole, number = found + area * inverted, whole + area, number + (member == 0)
    return found / whole, number


@pytest.mark.parametrize("variable", ["temperature", "density"])
def test_shares_are_those_of_a_loop(drawn, variable):
    table = count_inversions(drawn, case="c", standard_name=POTENTIAL)
    for method, quantity in (
        ("truth", "truth"),
        ("reconstruction, mean", "mean"),
        ("reconstruction", "members"),
    ):
        rows = table[(table.method == method) & (table.variable == variable)]
        assert (rows.layer == "pairs").all() and (rows.metric == "inversions").all()
        assert rows.depth.dropna().tolist() == [17.5, 55.0, 240.0]
        for level, (_, row) in zip([None, 0, 1, 2], rows.iterrows(), strict=True):
            expected, number = share(drawn, quantity, variable, level)
            # Within a pair the loop's density is not linear in temperature.
            assert row.value == pytest.approx(
                expected, abs=0.006 if variable == "density" else 1e-9
            )
            assert row.n == number and row.value < 1 and (level == 2 or row.value > 0)


def test_temperature_alone_has_no_density_and_the_table_is_in_per_cent(drawn):
    plain = drawn.drop_vars([name for name in drawn.data_vars if str(name).startswith("salinity")])
    table = count_inversions(plain, case="c", standard_name=POTENTIAL)
    assert set(table.variable) == {"temperature"}
    shown = inversions_table(table)
    assert shown.index.tolist() == [
        ("c", "temperature", d) for d in ("all", "18 m", "55 m", "240 m")
    ]
    value = table[(table.method == "truth") & table.depth.isna()].value.item()
    assert shown["truth"].iloc[0] == pytest.approx(100 * value)


def test_one_level_has_no_pairs(drawn):
    scores = count_inversions(drawn.isel(depth=[0]), case="a", standard_name=POTENTIAL)
    assert scores.empty and inversions_table(scores).empty
