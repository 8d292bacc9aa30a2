"""Distance, ranks and reliability against loops, and for perfectly reliable ensembles."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import xskillscore
from scipy.stats import chisquare

from ocean_lib.scores import diagnostics

GRID = ("time", "depth", "latitude", "longitude")


def ocean(seed=0, dates=2, depth=(1.0, 50.0, 200.0), rows=13, columns=18, observed=0.03):
    rng = np.random.default_rng(seed)
    wet = np.ones((len(depth), rows, columns), bool)
    wet[:, :3, :4] = False
    coordinates = {
        "time": np.datetime64("2000-01-01", "ns") + np.arange(dates) * np.timedelta64(30, "D"),
        "depth": np.array(depth),
        "latitude": np.linspace(50, 62, rows),
        "longitude": np.linspace(175, 192, columns),  # across the date line
    }
    truth = np.where(wet, rng.normal(10, 2, (dates, *wet.shape)), np.nan)
    fields = xr.Dataset({"temperature": (GRID, truth), "ocean": (GRID[1:], wet)}, coordinates)
    seen = fields.temperature.notnull() & (rng.random(truth.shape) < observed)
    return fields, xr.Dataset({"observed": seen}), rng


def haversine(latitude, longitude, latitudes, longitudes):
    y, x, v, u = (np.deg2rad(each) for each in (latitude, longitude, latitudes, longitudes))
    half = np.sin((v - y) / 2) ** 2 + np.cos(y) * np.cos(v) * np.sin((u - x) / 2) ** 2
    return 2 * 6371.0 * np.arcsin(np.sqrt(half))


def by_hand(fields, observed):
    """{cell: km to the nearest observation of its level and date} by a loop over cells."""
    latitude, longitude = fields.latitude.values, fields.longitude.values
    found = {}
    for t, d, y, x in np.argwhere(fields.ocean.values & ~observed.values):
        rows, columns = np.nonzero(observed.values[t, d])
        away = haversine(latitude[y], longitude[x], latitude[rows], longitude[columns])
        found[t, d, y, x] = away.min(initial=np.inf)
    return found


def test_distance_is_that_of_a_loop():
    fields, observations, _ = ocean()
    observed = observations.observed.where(fields.depth != 50, False)
    found = diagnostics.distance(observed, fields.ocean & ~observed)
    expected = by_hand(fields, observed)
    assert np.isfinite(found.values).sum() + np.isinf(found.values).sum() == len(expected)
    for cell, distance in expected.items():
        assert found.values[cell] == pytest.approx(distance, rel=1e-9)
    assert np.isinf(found.sel(depth=50).where(fields.ocean.sel(depth=50), np.inf)).all()


def test_skill_by_distance_is_that_of_a_loop():
    fields, observations, rng = ocean()
    shape = fields.temperature.shape
    methods = {
        "climatology": xr.Dataset({"mean": fields.temperature * 0 + 10.5}),
        "ours": xr.Dataset({"mean": fields.temperature + rng.normal(0, 0.7, shape)}),
    }
    edges = [0, 150, 400, 2000]
    table = diagnostics.by_distance(fields, observations, methods, case="a", edges=edges)
    assert list(table.columns) == ["method", "case", "distance", "skill", "rmse", "n"]
    assert set(table.method) == {"ours"} and set(table.case) == {"a"}
    cells = by_hand(fields, observations.observed)
    for row, low, high in zip(table.itertuples(), edges[:-1], edges[1:], strict=True):
        inside = [cell for cell, distance in cells.items() if low <= distance < high]
        weight = np.array([np.cos(np.deg2rad(fields.latitude.values[cell[2]])) for cell in inside])
        truth, normal, ours = (
            np.array([array.values[cell] for cell in inside])
            for array in (fields.temperature, *(each["mean"] for each in methods.values()))
        )
        square = (weight * (ours - truth) ** 2).sum()
        assert row.n == len(inside)
        assert row.skill == pytest.approx(1 - square / (weight * (normal - truth) ** 2).sum())
        assert row.rmse == pytest.approx(np.sqrt(square / weight.sum()))
        assert row.distance == pytest.approx(np.average([cells[c] for c in inside], weights=weight))


def test_bins_are_a_cell_wide_at_first_and_hold_enough():
    fields, observations, rng = ocean(rows=30, columns=40, observed=0.004)
    methods = {"climatology": xr.Dataset({"mean": fields.temperature * 0 + 9})}
    methods["ours"] = methods["climatology"] + 0.1
    observations["surface_temperature_observed"] = fields.temperature.isel(
        depth=0, drop=True
    ).notnull()
    table = diagnostics.by_distance(fields, observations, methods, case="a")
    assert table.distance.is_monotonic_increasing and len(table) > 5 and (table.n >= 50).all()
    cell = haversine(56.0, 180.0, 56.0, 180 + 17 / 39)
    assert 0.5 * cell < table.distance[0] < 2.5 * cell
    # Levels within 5 m of a seen surface do not count.
    deep = np.argwhere((fields.ocean & ~observations.observed).values)
    assert len(deep) * 0.6 < table.n.sum() <= (deep[:, 1] > 0).sum()
    with pytest.raises(ValueError, match="no method 'climatology'"):
        diagnostics.by_distance(fields, observations, {"ours": methods["ours"]}, case="a")


def test_one_row_and_nothing_observed():
    fields, observations, _ = ocean(rows=14, columns=80)
    section, seen = fields.isel(latitude=[9]), observations.isel(latitude=[9])
    methods = {name: xr.Dataset({"mean": section.temperature + 1}) for name in ("climatology", "a")}
    table = diagnostics.by_distance(section, seen, methods, case="s")
    assert len(table) and np.allclose(table.skill, 0)
    none = xr.zeros_like(seen)
    empty = diagnostics.by_distance(section, none, methods, case="s")
    assert empty.empty and diagnostics.reach_of_observations(empty).empty


def test_reach_is_where_skill_first_meets_climatology():
    table = pd.DataFrame(
        [("a", d, s) for d, s in ((10, 0.8), (20, 0.2), (40, -0.2), (80, 0.5))]
        + [("b", d, s) for d, s in ((80, 0.1), (10, 0.9))]
        + [("c", 10, -1.0)],
        columns=["method", "distance", "skill"],
    ).assign(case="x")
    found = diagnostics.reach_of_observations(table)
    assert found["a", "x"] == pytest.approx(30) and found["c", "x"] == pytest.approx(5)
    assert found["b", "x"] == np.inf


def gaussian(members, seed=0, spread=1.0, shape=(6, 4, 10, 30)):
    rng = np.random.default_rng(seed)
    sigma = xr.DataArray(rng.uniform(0.2, 2, shape), dims=GRID)
    middle = xr.DataArray(rng.standard_normal(shape), dims=GRID)
    truth = middle + sigma * rng.standard_normal(shape)
    noise = xr.DataArray(rng.standard_normal((members, *shape)), dims=("member", *GRID))
    return truth, middle + spread * sigma * noise, sigma, middle, rng


def test_ranks_of_a_perfect_ensemble_are_uniform():
    truth, members, *_, rng = gaussian(9)
    where = xr.DataArray(rng.random(truth.shape) < 0.8, dims=GRID)
    counts = diagnostics.rank_counts(truth, members.transpose(..., "member"), where)
    assert counts.sum() == int(where.sum()) and len(counts) == 10
    assert chisquare(counts).pvalue > 0.01
    theirs = xskillscore.rank_histogram(truth.where(where), members, dim=GRID)
    np.testing.assert_array_equal(counts, theirs)
    narrow = diagnostics.rank_counts(*gaussian(9, spread=0.5)[:2], where)
    assert narrow[[0, -1]].sum() > 3 * narrow[4:6].sum()


def test_ties_are_drawn_alike_for_a_seed():
    truth = xr.DataArray(np.zeros((40, 50)), dims=("y", "x"))
    members = truth.expand_dims(member=4)
    counts = diagnostics.rank_counts(truth, members, truth == 0)
    assert chisquare(counts).pvalue > 0.01
    np.testing.assert_array_equal(counts, diagnostics.rank_counts(truth, members, truth == 0))


def test_reliability_of_heteroscedastic_gaussians_lies_on_the_diagonal():
    truth, _, sigma, middle, _ = gaussian(1, shape=(10, 10, 40, 50))
    where = xr.DataArray(np.ones(truth.shape, bool), dims=GRID)
    where[0, 0, 0] = False
    sigma[0, 0, 0] = np.nan
    table = diagnostics.reliability(sigma, middle - truth, where, bins=8)
    assert len(table) == 8 and table.n.sum() == int(where.sum()) and np.ptp(table.n) <= 1
    assert table.spread.is_monotonic_increasing and table.spread.iloc[-1] > 5 * table.spread[0]
    np.testing.assert_allclose(table.rmse, table.spread, rtol=0.03)
    half = diagnostics.reliability(0.5 * sigma, middle - truth, where, bins=8)
    np.testing.assert_allclose(half.rmse / half.spread, 2, rtol=0.03)


def test_independent_cells_are_fewer_where_errors_are_alike():
    rng = np.random.default_rng(0)
    noise = xr.DataArray(rng.standard_normal((4, 2, 48, 48)), dims=GRID)
    where = xr.DataArray(np.ones(noise.shape, bool), dims=GRID)
    alone = diagnostics.effective_sample_size(noise, where)
    assert 0.8 * 4 * 48 * 48 < alone <= 4 * 48 * 48
    alike = noise.coarsen(latitude=6, longitude=6).mean()
    wide = alike.values.repeat(6, 2).repeat(6, 3)
    assert diagnostics.effective_sample_size(noise.copy(data=wide), where) < alone / 9
