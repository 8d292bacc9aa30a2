"""Departures of profiles from the climatology of their days, and the spread of snapshots."""

import numpy as np
import pytest
import xarray as xr

from ocean_lib.observations import gridding, representativeness
from ocean_lib.store.climatology import climatology_at


def casts(statistics, row, column, time, values, platform=None):
    """Profiles at cells (P,), with values (P, D)."""
    number = np.arange(len(row)).astype(str).astype(object)
    unknown = ("profile", "depth"), np.full(values.shape, np.nan)
    return xr.Dataset(
        {
            "temperature": (("profile", "depth"), values, {"units": "degree_C"}),
            "error": (("profile", "depth"), np.full(values.shape, 0.01)),
            "salinity": unknown,
            "salinity_error": unknown,
            "status": ("profile", np.full(len(row), "used", object)),
            "platform": ("profile", number if platform is None else platform),
            "station": ("profile", number),
            "time": ("profile", np.asarray(time, "M8[ns]")),
            "latitude": ("profile", statistics.latitude.values[row]),
            "longitude": ("profile", statistics.longitude.values[column]),
        },
        {"depth": statistics.depth},
        {"lost": []},
    )


def at_sea(statistics, number, rng):
    """Cells (P, 2) with water at all levels."""
    wet = statistics.wet.isel(channel=slice(1, None)).values
    return np.argwhere(wet[-1])[rng.integers(0, wet[-1].sum(), number)]


def test_the_spread_of_snapshots_is_found_again(statistics):
    """Profiles ten days apart scatter by a known share of a deviation that trebles to the east."""
    rng = np.random.default_rng(0)
    known = np.array([0.8, 0.6, 0.4, 0.3, 0.1])
    growth = np.linspace(1, 3, statistics.sizes["longitude"])
    flat = statistics.assign(
        harmonic=0 * statistics.harmonic,
        deviation=(statistics.deviation.dims, np.ones(statistics.deviation.shape) * growth),
    )
    row, column = at_sea(statistics, 120, rng).repeat(3, 0).T
    time = np.tile(np.datetime64("2005-03-01") + np.array([2, 12, 22]), 120)
    values = known * growth[column][:, None] * rng.standard_normal((360, 5))
    given = gridding.to_cells(casts(flat, row, column, time, values), flat)
    # Neighbouring cells have the same flat climatology: all pairs are of one field.
    spread, pairs = representativeness.representativeness(given, flat)
    assert min(pairs) >= 100
    np.testing.assert_allclose(spread / growth[column][:, None] / known, 1, rtol=0.2)
    few = gridding.to_cells(casts(flat, row, column, time, values).isel(profile=[0, 9, 30]), flat)
    usual, pairs = representativeness.representativeness(few, flat)
    assert max(pairs) < representativeness.MIN_PAIRS
    expected = representativeness.USUAL * growth[few.column.values][:, None] * np.ones(5)
    np.testing.assert_allclose(usual, expected)


@pytest.mark.parametrize("day", [1, 16])
def test_a_value_of_the_climatology_at_its_own_day_is_the_climatology_of_the_month(statistics, day):
    """Fields are dated on the first day or in the middle of a month and hold its mean."""
    rng = np.random.default_rng(1)
    first = np.datetime64("2005-01-01") + (day - 1)
    statistics = statistics.assign_attrs(first=str(first))
    harmonic = statistics.harmonic.values.copy()
    harmonic[2] = 3.0  # °C, of the annual sine: up to 1.6 °C a month
    statistics = statistics.assign(harmonic=(statistics.harmonic.dims, harmonic))
    row, column = at_sea(statistics, 40, rng).T
    month = np.datetime64("2005-01") + rng.integers(0, 12, 40)
    time = month.astype("M8[s]") + (rng.uniform(0.02, 0.98, 40) * 28 * 86400).astype("m8[s]")
    nominal = month.astype("M8[D]") + (day - 1)
    middle = month.astype("M8[s]") + ((month + 1).astype("M8[s]") - month.astype("M8[s]")) / 2
    at = np.arange(40), slice(1, None), row, column
    values = climatology_at(statistics, nominal.astype("M8[s]") + (time - middle))[at]
    table = gridding.to_cells(casts(statistics, row, column, time, values), statistics)
    expected = climatology_at(statistics, nominal)[at]
    moved = representativeness.in_month(table, statistics, "temperature")
    np.testing.assert_allclose(moved, expected, atol=1e-3)
    assert abs(values - expected).max() > 0.5
    assert abs(representativeness.departures(table, statistics, "temperature")[0]).max() < 1e-3
    rows = gridding.average_in_cells(table, statistics)
    assert len(rows) and (rows["count"] >= 1).all()
    one = rows[rows["count"] == 1].iloc[0]
    found = climatology_at(statistics, np.array([one.month]))[
        0, 1 + int(one.level), int(one.row), int(one.column)
    ]
    assert one.value == pytest.approx(found, abs=1e-3)
