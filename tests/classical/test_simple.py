"""Classical methods against scipy, numpy and fields whose covariance is known."""

import numpy as np
import pytest
import xarray as xr
from scipy.interpolate import griddata

from ocean_lib.classical import optimal_interpolation, reduced_space, simple
from ocean_lib.classical.regression import (
    CovarianceRegression,
    channel_covariance,
    fit_local_regression,
)
from ocean_lib.observations.batch import observe


@pytest.fixture(scope="module")
def fields(small_store):
    return small_store.fields("test")


def seen(fields, observed=0.15, pattern="pixels", seed=0, **surface):
    return observe(fields, {"pattern": pattern, "observed": observed} | surface, seed)


def error(result, fields, observations):
    hidden = observations.ocean & ~observations.observed
    return float(np.sqrt(((result["mean"] - fields.temperature) ** 2).where(hidden).mean()))


def normal_and_deviation(store, times):
    """Climatology at dates, from the harmonics by hand, and deviation, channel first."""
    waves = []
    for time in times.astype("M8[s]"):
        year = time.astype("M8[Y]")
        first, last = (end.astype("M8[s]") for end in (year, year + 1))
        p = 2 * np.pi * float((time - first) / (last - first))
        waves.append([1, np.cos(p), np.sin(p), np.cos(2 * p), np.sin(2 * p)])
    normal = np.einsum("tk,kyxc->tcyx", waves, store.climatology)
    return normal, np.moveaxis(store.deviation, -1, 0)


# Each method


SCALES = {"lengths": (0.5, 37.0, 37.0), "noise": 0.02, "kernel": "matern32", "neighbours": 128}


def methods(store):
    return {
        "climatology": simple.climatology,
        "linear": simple.linear,
        "optimal": optimal_interpolation.OptimalInterpolation(
            CovarianceRegression(channel_covariance(store), 1), SCALES
        ),
        "regression": optimal_interpolation.OptimalInterpolation(
            fit_local_regression(store, 6.0), SCALES
        ),
        "reduced": reduced_space.ReducedSpace.from_store(store, 0.2, 0.1),
    }


@pytest.mark.parametrize("name", ["climatology", "linear", "optimal", "regression", "reduced"])
@pytest.mark.parametrize("observed", [0.0, 0.1, 1.0])
def test_a_method_gives_mean_and_error_on_the_whole_ocean(small_store, fields, name, observed):
    observations = seen(fields.isel(time=slice(0, 2)), observed)
    result = methods(small_store)[name](observations, small_store.statistics())
    ocean = np.broadcast_to(observations.ocean, result["mean"].shape)
    for part in ("mean", "error"):
        assert result[part].dims == ("time", "depth", "latitude", "longitude")
        assert result[part].dtype == np.float32 and result[part].attrs["units"] == "degrees_C"
        np.testing.assert_array_equal(np.isfinite(result[part]), ocean)
        for coordinate in ("time", "depth", "latitude", "longitude"):
            np.testing.assert_array_equal(result[part][coordinate], observations[coordinate])
    assert float(result["error"].min()) >= 0


@pytest.mark.parametrize("name", ["climatology", "linear", "optimal", "regression", "reduced"])
def test_some_dates_are_those_of_all_and_know_the_dates_beside(small_store, fields, name):
    observations = seen(fields.isel(time=slice(0, 5)), 0.1)
    method, statistics = methods(small_store)[name], small_store.statistics()
    some = method(observations, statistics, dates=[1, 4])
    xr.testing.assert_allclose(some, method(observations, statistics).isel(time=[1, 4]))
    alone = method(observations.isel(time=[1, 4]), statistics)
    assert some.equals(alone) == (name not in ("optimal", "regression"))


def test_climatology_is_the_harmonics_and_its_error_the_deviation(small_store, fields):
    result = simple.climatology(seen(fields), small_store.statistics())
    normal, deviation = normal_and_deviation(small_store, fields.time.values)
    ocean = fields.ocean.values
    np.testing.assert_allclose(result["mean"], np.where(ocean, normal[:, 1:], np.nan), rtol=1e-5)
    expected = np.broadcast_to(np.where(ocean, deviation[1:], np.nan), result["error"].shape)
    np.testing.assert_allclose(result["error"], expected, rtol=1e-6)


def test_linear_equals_griddata_of_the_anomalies_level_by_level(small_store, fields):
    observations = seen(fields.isel(time=[0, 7]), 0.1)
    result = simple.linear(observations, small_store.statistics())
    normal, deviation = normal_and_deviation(small_store, observations.time.values)
    y, x = np.mgrid[:20, :28]
    for time, level in ((0, 0), (0, 3), (1, 4)):
        observed = observations.observed.values[time, level]
        value = observations.value.values[time, level]
        scaled = (value - normal[time, level + 1]) / deviation[level + 1]
        points = np.argwhere(observed)
        inside = griddata(points, scaled[observed], (y, x), method="linear")
        nearest = griddata(points, scaled[observed], (y, x), method="nearest")
        anomaly = np.where(np.isnan(inside), nearest, inside)
        expected = normal[time, level + 1] + anomaly * deviation[level + 1]
        ocean = fields.ocean.values[level]
        np.testing.assert_allclose(
            result["mean"].values[time, level][ocean], expected[ocean], atol=2e-4
        )
    spread = np.where(observations.observed, 0, deviation[1:])
    spread = np.where(fields.ocean, spread, np.nan)
    np.testing.assert_allclose(result["error"], spread, rtol=1e-6)


def test_linear_from_one_value_one_line_or_none(small_store, fields):
    """One value holds everywhere as an anomaly; none leaves the climatology."""
    month = fields.isel(time=[4])
    observations = seen(month, 0.0)
    statistics = small_store.statistics()
    normal, deviation = normal_and_deviation(small_store, month.time.values)
    observations.observed[0, 1, 10, 15] = True  # level 0 has none, level 1 one, level 2 a line
    observations.observed[0, 2, 12, 10:14] = True
    observations["value"] = month.temperature.where(observations.observed)
    mean = simple.linear(observations, statistics)["mean"].values[0]
    ocean = fields.ocean.values
    np.testing.assert_allclose(mean[0][ocean[0]], normal[0, 1][ocean[0]], rtol=1e-5)
    value = float(month.temperature[0, 1, 10, 15])
    anomaly = (value - normal[0, 2, 10, 15]) / deviation[2, 10, 15]
    expected = normal[0, 2] + anomaly * deviation[2]
    np.testing.assert_allclose(mean[1][ocean[1]], expected[ocean[1]], rtol=1e-5)
    np.testing.assert_allclose(mean[2, 12, 10:14], month.temperature[0, 2, 12, 10:14], rtol=1e-6)


def test_linear_and_optimal_interpolation_meet_exact_observations(small_store, fields):
    observations = seen(fields, 0.15)
    for name in ("linear", "optimal", "regression", "reduced"):
        result = methods(small_store)[name](observations, small_store.statistics())
        difference = (result["mean"] - fields.temperature).where(observations.observed)
        assert float(np.sqrt((difference**2).mean())) < 1e-4, name
        assert float(result["error"].where(observations.observed).max()) == 0, name


@pytest.mark.parametrize("pattern, observed", [("pixels", 0.15), ("profiles", 0.05)])
def test_optimal_interpolation_beats_linear_and_climatology(small_store, fields, pattern, observed):
    observations = seen(fields, observed, pattern, surface=1.0)
    statistics = small_store.statistics()
    scores = {
        name: error(method(observations, statistics), fields, observations)
        for name, method in methods(small_store).items()
    }
    assert scores["optimal"] < scores["linear"] and scores["optimal"] < 0.9 * scores["climatology"]


def test_the_surface_alone_improves_on_climatology(small_store, fields):
    blind, sighted = (seen(fields, 0.0, surface=probability) for probability in (0.0, 1.0))
    optimal, statistics = methods(small_store)["optimal"], small_store.statistics()
    below, above = (optimal(observations, statistics) for observations in (blind, sighted))
    np.testing.assert_allclose(
        below["mean"], simple.climatology(blind, statistics)["mean"], rtol=1e-6
    )
    first = {"depth": 0}
    better, worse = (
        error(result.isel(first), fields.isel(first), seen(fields, 0.0).isel(first))
        for result in (above, below)
    )
    assert better < 0.5 * worse
    assert float(above["error"][:, 0].mean()) < float(below["error"][:, 0].mean())


def test_what_is_hidden_never_enters(small_store, fields):
    observations = seen(fields.isel(time=slice(0, 2)), 0.1, surface=0.5, clouds=0.5)
    dirty = observations.copy(deep=True)
    dirty["value"] = observations.value.where(observations.observed, 1e4)
    dirty["surface_temperature"] = observations.surface_temperature.where(
        observations.surface_temperature_observed, 1e4
    )
    for name, method in methods(small_store).items():
        first, second = (method(o, small_store.statistics()) for o in (observations, dirty))
        xr.testing.assert_identical(first, second), name


def test_methods_work_on_a_part_of_the_region(small_store, fields):
    """A method on a sub-grid has the statistics of its own cells."""
    part = fields.isel(latitude=slice(4, 13), longitude=slice(11, 28), time=slice(0, 2))
    observations = seen(part, 1.0)
    statistics = small_store.statistics()
    for name, method in methods(small_store).items():
        result = method(observations, statistics)["mean"]
        if name == "climatology":
            whole = method(seen(fields), statistics)["mean"]
            whole = whole.sel(latitude=part.latitude, longitude=part.longitude)[:2]
            np.testing.assert_allclose(result, whole, rtol=1e-6)
        else:
            difference = np.abs(result - part.temperature)
            assert float(difference.max()) < (1e-4 if name == "linear" else 0.6), name


def test_restoring_on_another_grid_is_refused(small_store, fields):
    moved = seen(fields).assign_coords(longitude=fields.longitude + 3)
    with pytest.raises(ValueError, match="longitude .* reaches outside .*choose a region inside"):
        simple.climatology(moved, small_store.statistics())


@pytest.mark.parametrize("seen", ["half in blocks", "9 of 10 pixels", "1 of 10 pixels"])
def test_triangles_around_holes_are_those_of_all_points(seen):
    """x² + y² has one Delaunay interpolant, even where points of a lattice lie on one circle."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:40, :50]
    if seen == "half in blocks":
        observed = np.kron(rng.random((8, 10)) < 0.5, np.ones((5, 5))).astype(bool)
    else:
        observed = rng.random((40, 50)) < int(seen[0]) / 10
    value = (x - 20.0) ** 2 + (y - 11.0) ** 2
    points = np.argwhere(observed)
    expected = griddata(points, value[observed], (y, x), method="linear")
    found = simple.delaunay_interpolate(value[None, None], observed[None, None])[0, 0]
    inside = np.isfinite(expected)
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-6)
    for place in np.argwhere(~inside):
        apart = np.hypot(*(points - place).T)
        assert found[tuple(place)] in value[tuple(points[apart <= apart.min() + 1e-9].T)]
