"""The factor on the spread against ensembles whose factor is known, and what it leaves alone."""

import numpy as np
import pytest
import xarray as xr

from ocean_lib import calibration
from ocean_lib.evaluation import LAYERS

GRID = ("time", "depth", "latitude", "longitude")
DEPTH = np.array([2.0, 20.0, 60.0, 150.0, 2500.0])
NARROW = {2.0: 0.5, 20.0: 0.5, 60.0: 0.5, 150.0: 1.6, 2500.0: 1.25}  # stated spread over true


def ocean(seed, dates=20, rows=12, columns=17):
    rng = np.random.default_rng(seed)
    wet = np.ones((len(DEPTH), rows, columns), bool)
    wet[:, :2, :5] = wet[3:, -1] = False
    coordinates = {
        "time": np.datetime64("2000-01-01", "ns") + np.arange(dates) * np.timedelta64(30, "D"),
        "depth": DEPTH,
        "latitude": np.linspace(20, 60, rows),
        "longitude": np.linspace(0, 20, columns),
    }
    truth = rng.normal(10, 3, (dates, *wet.shape)).astype("f4")
    fields = xr.Dataset(
        {"temperature": (GRID, np.where(wet, truth, np.nan)), "ocean": (GRID[1:], wet)}, coordinates
    )
    observed = fields.temperature.notnull() & (rng.random(truth.shape) < 0.3)
    return fields, xr.Dataset({"observed": observed}), rng


def wrong(fields, observations, rng, members=None):
    """Truth and members are draws of one Gaussian at hidden cells, stated too narrow or wide."""
    away = ~observations.observed
    sigma = 0.2 + xr.zeros_like(fields.temperature) + rng.random(fields.temperature.shape)
    ratio = xr.DataArray([NARROW[depth] for depth in DEPTH], {"depth": DEPTH})
    middle = fields.temperature + away * sigma * rng.standard_normal(sigma.shape)
    if members is None:
        return xr.Dataset({"mean": middle, "error": (ratio * sigma * away).transpose(*GRID)})
    noise = xr.DataArray(rng.standard_normal((members, *sigma.shape)), dims=("member", *GRID))
    drawn = middle + away * sigma * noise
    mean = drawn.mean("member")
    return xr.Dataset({"mean": mean, "members": mean + ratio * (drawn - mean)})


@pytest.mark.parametrize("members", [None, 3, 8])
def test_a_known_factor_is_found_and_holds_on_other_months(members):
    fields, observations, rng = ocean(0, dates=60)
    factor = calibration.fit(fields, observations, wrong(fields, observations, rng, members))
    expected = [1 / NARROW[depth] for depth in DEPTH]
    np.testing.assert_allclose(factor, expected, rtol=0.05)
    assert factor.dims == ("depth",) and float(factor[1]) == float(factor[2])  # one layer, 5-100 m
    # Blind, on months that were not fitted: spread and error agree.
    fields, observations, rng = ocean(1, dates=60)
    test = calibration.apply(wrong(fields, observations, rng, members), factor)
    again = calibration.fit(fields, observations, test)
    np.testing.assert_allclose(again, 1, rtol=0.06)


def test_the_factor_is_that_of_a_loop_over_cells():
    fields, observations, rng = ocean(2, dates=3)
    result = wrong(fields, observations, rng, members=4)
    sums = {}
    for cell in np.argwhere(fields.ocean.values & ~observations.observed.values):
        where = tuple(cell)
        depth = DEPTH[cell[1]]
        layer = next((layer for layer in LAYERS if layer[0] <= depth < layer[1]), "below")
        weight = np.cos(np.deg2rad(fields.latitude.values[cell[2]]))
        members = [float(each.values[where]) for each in result.members.transpose("member", *GRID)]
        middle = sum(members) / 4
        variance = sum((each - middle) ** 2 for each in members) / 3 * 5 / 4
        square = (float(result["mean"].values[where]) - fields.temperature.values[where]) ** 2
        before = sums.get(layer, (0, 0))
        sums[layer] = before[0] + weight * square, before[1] + weight * variance
    expected = [np.sqrt(a / b) for a, b in (sums[(0, 5)], *2 * [sums[(5, 100)]])]
    expected += [np.sqrt(a / b) for a, b in (sums[(100, 300)], sums["below"])]
    factor = calibration.fit(fields, observations, result)
    np.testing.assert_allclose(factor, expected, rtol=1e-5)


def test_observed_cells_stay_exact_and_the_mean_stays():
    fields, observations, rng = ocean(3, dates=2)
    result = wrong(fields, observations, rng, members=5).astype("f4")
    factor = xr.DataArray(np.linspace(0.5, 3, len(DEPTH)).astype("f4"), {"depth": DEPTH})
    wider = calibration.apply(result, factor)
    seen = observations.observed
    apart = abs(wider.members - fields.temperature).where(seen)
    assert float(apart.max()) == 0  # exactly
    assert wider.members.dtype == np.float32 and wider.members.dims == result.members.dims
    xr.testing.assert_identical(wider["mean"], result["mean"])
    np.testing.assert_allclose(wider.members.mean("member"), result["mean"], atol=1e-5)
    ratio = wider.members.std("member") / result.members.std("member").where(~seen)
    xr.testing.assert_allclose(
        ratio, factor.broadcast_like(ratio).where(ratio.notnull()), rtol=1e-3
    )
    error = wrong(fields, observations, rng)
    np.testing.assert_allclose(calibration.apply(error, factor)["error"], error.error * factor)


def test_a_layer_without_hidden_ocean_or_spread_keeps_its_spread():
    fields, observations, rng = ocean(4, dates=2)
    observations["observed"] = observations.observed | (fields.ocean & (fields.depth < 5))
    result = wrong(fields, observations, rng)
    result["error"] = result.error.where(fields.depth != 150, 0.0).where(fields.ocean)
    factor = calibration.fit(fields, observations, result)
    assert factor.values[[0, 3]].tolist() == [1, 1] and (factor.values[[1, 2]] > 1.5).all()


def test_another_variable_has_its_own_observations():
    fields, observations, rng = ocean(5)
    result = wrong(fields, observations, rng)
    salty = fields.rename(temperature="salinity")
    seen = observations.rename(observed="salinity_observed")
    xr.testing.assert_equal(
        calibration.fit(salty, seen, result, "salinity"),
        calibration.fit(fields, observations, result),
    )


def test_a_result_without_uncertainty_is_refused():
    fields, observations, rng = ocean(6, dates=1)
    result = wrong(fields, observations, rng, members=2)
    with pytest.raises(ValueError, match="give members or error"):
        calibration.fit(fields, observations, result[["mean"]])
    with pytest.raises(ValueError, match="1 member has no spread; draw at least 2"):
        calibration.stated(result.isel(member=[0]))
