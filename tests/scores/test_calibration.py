"""Factor and power of the spread, fitted to ensembles of known factor and power."""

import gsw
import numpy as np
import pytest
import xarray as xr

from ocean_lib.scores import calibration
from ocean_lib.scores.metrics import ensemble_scores

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
    """Truth and members from one Gaussian at hidden cells, with spread too small or large."""
    away = ~observations.observed
    sigma = 0.2 + xr.zeros_like(fields.temperature) + rng.random(fields.temperature.shape)
    ratio = xr.DataArray([NARROW[depth] for depth in DEPTH], {"depth": DEPTH})
    middle = fields.temperature + away * sigma * rng.standard_normal(sigma.shape)
    stated = xr.Dataset({"mean": middle, "error": (ratio * sigma * away).transpose(*GRID)})
    if members is None:
        return stated
    noise = xr.DataArray(rng.standard_normal((members, *sigma.shape)), dims=("member", *GRID))
    return stated.assign(members=middle + stated["error"] * noise)


@pytest.mark.parametrize("members", [None, 3, 8])
def test_a_known_factor_is_found_and_holds_on_other_months(members):
    fields, observations, rng = ocean(0, dates=60)
    result = wrong(fields, observations, rng, members)
    factors = calibration.fit_calibration(fields, observations, result)
    expected = [1 / NARROW[depth] for depth in DEPTH]
    np.testing.assert_allclose(factors.calibration_power, 1, atol=0.06)
    if members is None:
        np.testing.assert_allclose(factors.calibration, expected, rtol=0.05)
    factor = factors.calibration
    assert factor.dims == ("depth",) and float(factor[1]) == float(factor[2])  # one layer, 5-100 m
    # Blind, on months that were not fitted: spread and error agree.
    fields, observations, rng = ocean(1, dates=60)
    test = calibration.apply_calibration(wrong(fields, observations, rng, members), factors)
    away = fields.ocean & ~observations.observed
    square = ((test["mean"] - fields.temperature) ** 2).where(away).mean(("time", *GRID[2:]))
    stated = (calibration.stated_spread(test) ** 2).where(away).mean(("time", *GRID[2:]))
    np.testing.assert_allclose(np.sqrt(stated / square), 1, rtol=0.08)


@pytest.mark.parametrize("power", [0.7, 1.25])
def test_a_known_power_is_found(power):
    """Errors of standard deviation 2 s^p for a stated spread s."""
    fields, observations, rng = ocean(1, dates=60)
    spread = 0.1 + xr.zeros_like(fields.temperature) + rng.random(fields.temperature.shape)
    away = fields.ocean & ~observations.observed
    error = (2 * spread**power * rng.standard_normal(spread.shape)).where(away, 0.0)
    result = xr.Dataset({"mean": fields.temperature + error, "error": spread.where(away, 0.0)})
    factors = calibration.fit_calibration(fields, observations, result.transpose(*GRID))
    np.testing.assert_allclose(factors.calibration, 2, rtol=0.06)
    np.testing.assert_allclose(factors.calibration_power, power, atol=0.08)
    changed = calibration.apply_calibration(result, factors)["error"]
    np.testing.assert_allclose(changed.where(away), 2 * spread.where(away) ** power, rtol=0.15)


@pytest.mark.parametrize("members", [2, 5])
def test_the_spread_about_a_mean_that_is_not_that_of_the_members_is_not_enlarged(members):
    fields, observations, rng = ocean(11, dates=4)
    result = wrong(fields, observations, rng, members)
    variance = result.members.var("member", ddof=1)
    xr.testing.assert_allclose(calibration.stated_spread(result) ** 2, variance)
    result["mean"] = result.members.mean("member")
    xr.testing.assert_allclose(calibration.stated_spread(result) ** 2, variance * (1 + 1 / members))


def test_the_power_is_the_most_likely_and_the_factor_makes_squares_equal():
    fields, observations, rng = ocean(2, dates=3)
    result = wrong(fields, observations, rng)
    spread = result.error
    layer = fields.ocean & ~observations.observed & (fields.depth >= 5) & (fields.depth < 100)
    weight = (np.cos(np.deg2rad(fields.latitude)) * layer).transpose(*GRID)
    chosen = weight.values > 0
    w, s, e = (
        np.asarray(each.transpose(*GRID), float)[chosen]
        for each in (weight, spread, result["mean"] - fields.temperature)
    )
    best = min(
        (
            (w * (np.log(a * s**p) + e**2 / (2 * (a * s**p) ** 2))).sum(), a, p
        )
        for a in np.linspace(0.5, 4, 141)
        for p in np.linspace(0.3, 1.5, 61)
    )  # fmt: skip
    factors = calibration.fit_calibration(fields, observations, result).sel(depth=20.0)
    power = float(factors.calibration_power)
    assert power == pytest.approx(best[2], abs=0.04)
    ratio = np.sqrt((w * e**2).sum() / (w * s ** (2 * power)).sum())
    assert float(factors.calibration) == pytest.approx(ratio, rel=1e-4)


@pytest.mark.parametrize("number", [2, 8, 16])
@pytest.mark.parametrize("mean_of_members", [False, True])
def test_calibration_does_not_make_an_ensemble_look_better_than_the_truth(number, mean_of_members):
    """Truth N(m, 1), members of deviation 0.6 about m: once calibrated, no better than N(m, 1)."""
    rng = np.random.default_rng(number)
    fields, observations, _ = ocean(7, dates=250)
    shape = fields.temperature.shape
    middle = fields.temperature - rng.standard_normal(shape)
    noise = xr.DataArray(rng.standard_normal((number, *shape)), dims=("member", *GRID))
    result = xr.Dataset({"mean": middle, "members": middle + 0.6 * noise})
    if mean_of_members:
        result["mean"] = result.members.mean("member")
    else:
        result["error"] = xr.full_like(middle, 0.6)
    factors = calibration.fit_calibration(fields, observations, result)
    calibrated = calibration.apply_calibration(result, factors)
    where = fields.temperature.notnull() & ~observations.observed
    ideal = 1 / np.sqrt(np.pi)
    if mean_of_members:  # members would be dependent once scaled: a Gaussian takes their place
        assert "members" not in calibrated
        area = np.cos(np.deg2rad(fields.latitude)) * where
        square = area * (fields.temperature - result["mean"]) ** 2
        assert float((area * calibrated.error**2).sum() / square.sum()) == pytest.approx(
            1, rel=1e-3
        )
        return
    crps = ensemble_scores(calibrated.members, fields.temperature, where)["crps"]
    assert crps == pytest.approx(ideal, rel=0.007)
    middle = result.members.mean("member")
    scaled = middle + (result.members - middle) / 0.6
    assert ensemble_scores(scaled, fields.temperature, where)["crps"] < 0.98 * ideal


def plain(factor):
    """Factors without a power."""
    return xr.Dataset({"calibration": factor, "calibration_power": xr.ones_like(factor)})


def test_observed_cells_stay_exact_and_the_mean_stays():
    fields, observations, rng = ocean(3, dates=2)
    fields["temperature"] = fields.temperature + 20  # far from the freezing point
    result = wrong(fields, observations, rng, members=5).astype("f4")
    factor = xr.DataArray(np.linspace(0.5, 3, len(DEPTH)).astype("f4"), {"depth": DEPTH})
    wider = calibration.apply_calibration(result, plain(factor))
    seen = observations.observed
    apart = abs(wider.members - fields.temperature).where(seen)
    assert float(apart.max()) == 0  # exactly
    assert wider.members.dtype == np.float32 and wider.members.dims == result.members.dims
    xr.testing.assert_identical(wider["mean"], result["mean"])
    moved = factor * (result.members - result["mean"])
    xr.testing.assert_allclose(
        (wider.members - wider["mean"]).transpose(*moved.dims), moved, atol=1e-5
    )
    ratio = wider.members.std("member") / result.members.std("member").where(~seen)
    xr.testing.assert_allclose(
        ratio, factor.broadcast_like(ratio).where(ratio.notnull()), rtol=1e-3
    )
    error = wrong(fields, observations, rng)
    np.testing.assert_allclose(
        calibration.apply_calibration(error, plain(factor))["error"], error.error * factor
    )


def test_rivals_are_calibrated_by_their_validation_months():
    fields, observations, rng = ocean(8, dates=60)
    trial, result = wrong(fields, observations, rng), wrong(*ocean(9))
    salty = fields.assign(salinity=fields.temperature)
    seen = observations.assign(salinity_observed=observations.observed)
    names = {"mean": "salinity_mean", "error": "salinity_error"}
    both = [each.merge(each.rename(names)) for each in (result, trial)]
    calibrated = calibration.calibrate_method(both[0], salty, seen, both[1])
    for error in ("error", "salinity_error"):
        ratio = (calibrated[error] / result["error"]).where(result["error"] > 0)
        for depth, narrow in NARROW.items():
            np.testing.assert_allclose(ratio.sel(depth=depth).median(), 1 / narrow, rtol=0.06)
    xr.testing.assert_identical(calibrated["mean"], result["mean"])


def test_what_is_stored_is_calibrated_as_what_was_fitted():
    """Background, first stage and ensemble of a reconstruction, through the names of its file."""
    fields, observations, rng = ocean(10, dates=30)
    first, ensemble = (wrong(fields, observations, rng, members) for members in (None, 4))
    drawn = ensemble.rename(error="deviation").assign(
        background=first["mean"], background_error=3 * first["error"]
    )
    factors = calibration.fit_calibration_by_case(fields, {"a": observations}, {"a": drawn})
    stored = drawn.merge(factors.sel(case="a"))
    results = calibration.drawn_results(drawn)
    assert [*results] == ["background", "regression", "reconstruction"]
    for method, result in results.items():
        fitted = calibration.fit_calibration(fields, observations, result)
        xr.testing.assert_equal(
            calibration.stored_factors(stored, method=method).drop_vars("case"), fitted
        )
    assert float(stored.background_calibration[1]) == pytest.approx(2 / 3, rel=0.1)
    assert float(stored.regression_calibration[1]) == pytest.approx(2, rel=0.1)
    without = calibration.drawn_results(drawn.drop_vars("deviation"))
    assert [*without] == ["background", "reconstruction"] and "error" not in without.popitem()[1]
    shown = calibration.calibrate_reconstruction(stored.assign(spread=drawn.members.std("member")))
    scored = calibration.apply_calibration(
        results["reconstruction"], calibration.stored_factors(stored)
    )
    xr.testing.assert_allclose(shown.members.drop_vars("case"), scored.members.drop_vars("case"))


def test_a_layer_without_hidden_ocean_or_spread_keeps_its_spread():
    fields, observations, rng = ocean(4, dates=2)
    observations["observed"] = observations.observed | (fields.ocean & (fields.depth < 5))
    result = wrong(fields, observations, rng)
    result["error"] = result.error.where(fields.depth != 150, 0.0).where(fields.ocean)
    factor = calibration.fit_calibration(fields, observations, result).calibration
    assert factor.values[[0, 3]].tolist() == [1, 1] and (factor.values[[1, 2]] > 1.5).all()


def test_another_variable_has_its_own_observations():
    fields, observations, rng = ocean(5)
    result = wrong(fields, observations, rng)
    salty = fields.rename(temperature="salinity")
    seen = observations.rename(observed="salinity_observed")
    xr.testing.assert_equal(
        calibration.fit_calibration(salty, seen, result, "salinity"),
        calibration.fit_calibration(fields, observations, result),
    )


def test_a_result_without_uncertainty_is_refused():
    fields, observations, rng = ocean(6, dates=1)
    result = wrong(fields, observations, rng, members=2)
    with pytest.raises(ValueError, match="give members or error"):
        calibration.fit_calibration(fields, observations, result[["mean"]])
    with pytest.raises(ValueError, match="1 member has neither .* nor a spread; draw at least 2"):
        calibration.stated_spread(result.isel(member=[0]))


@pytest.mark.parametrize("variable", ["temperature", "salinity"])
def test_calibrated_members_stay_within_the_bounds_of_sea_water(variable):
    """Against the freezing point by gsw, cell by cell; cells where members agree stay."""
    rng = np.random.default_rng(1)
    dims, shape = ("time", "member", "depth", "latitude", "longitude"), (2, 4, 3, 4, 5)
    depth, latitude = np.array([5.0, 100.0, 800.0]), np.array([60.0, 62.0, 64.0, 66.0])
    place = {"depth": depth, "latitude": latitude}
    drawn = xr.Dataset(coords=place)
    salt = rng.uniform(1.0, 40.0, shape).astype("f4")
    water = {"temperature": rng.normal(-1.2, 0.4, shape).astype("f4"), "salinity": salt}
    for values in water.values():
        values[0, :, :, 0] = values[0, :1, :, 0]  # observed: all members agree
    water["temperature"][0, :, :, 0] = -3.0
    drawn["members"], drawn["salinity_members"] = (dims, water[variable]), (dims, salt)
    drawn["spread"] = drawn.members.std("member", ddof=1)
    drawn["mean"] = drawn.members.mean("member")
    factors = plain(xr.DataArray([3.0, 2.0, 1.5], {"depth": depth}))
    result = calibration.calibrate_reconstruction(
        drawn.merge(factors).assign_attrs(variable=variable)
    )
    centre = water[variable].mean(1, keepdims=True)
    factor = np.array([3.0, 2.0, 1.5])[:, None, None]
    expected = centre + factor * (water[variable] - centre)
    number = 0
    for at in np.ndindex(shape):
        low, high = 0.0, 42.0
        if variable == "temperature":
            pressure = gsw.p_from_z(-depth[at[2]], latitude[at[3]])
            absolute = float(salt[at]) * 35.16504 / 35
            low = gsw.pt0_from_t(absolute, gsw.t_freezing(absolute, pressure, 1.0), pressure)
            high = np.inf
        if (at[0] or at[3]) and not low <= expected[at] <= high:
            expected[at], number = min(max(expected[at], low), high), number + 1
    np.testing.assert_allclose(result.members, expected, atol=2e-4)
    assert number > 20 and f": {number:,} " in result.attrs["calibrated"]
