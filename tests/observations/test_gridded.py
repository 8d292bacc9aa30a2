"""Gridded observations on a model's levels: values by hand, refusals, values left out."""

import numpy as np
import pytest
import xarray as xr

from ocean_lib.observations.batch import observe
from ocean_lib.observations.gridded import describe_observations, open_observations
from ocean_lib.observations.screening import screen_observations

DIMS = ("time", "depth", "latitude", "longitude")


@pytest.fixture(scope="module")
def seen(small_store):
    fields = small_store.fields("test").isel(time=slice(0, 2))
    return observe(fields, {"pattern": "profiles", "observed": 0.05, "surface": 1.0}, seed=3)


def file(seen, path, **changes):
    """A file as a user would write it: one variable, fill where nothing was measured."""
    given = xr.Dataset({"thetao": seen.value.assign_attrs(units="degrees_C")})
    given.assign(changes).to_netcdf(path)
    return path


def test_a_file_with_gaps_is_what_was_observed(small_store, seen, tmp_path):
    statistics = small_store.statistics()
    given = open_observations(file(seen, tmp_path / "a.nc"), statistics)
    np.testing.assert_array_equal(given.observed.transpose(*DIMS), seen.observed)
    np.testing.assert_allclose(given.value.transpose(*DIMS), seen.value, atol=1e-5)
    np.testing.assert_array_equal(given.ocean, seen.ocean)
    assert (
        not given.error.any() and given.attrs["notes"] == [] and "surface_temperature" not in given
    )
    checked, number = screen_observations(given, statistics)
    assert number == int(seen.observed.sum()) and checked.attrs["notes"] == []
    np.testing.assert_array_equal(checked.observed, given.observed)
    told = describe_observations(checked, number)
    for word in (f"{number} observations of thetao", "1997-03-16 to 1997-04-16", "2 time, 5 depth"):
        assert word in told


def test_error_surface_and_ocean_may_lie_beside(small_store, seen, tmp_path):
    rng = np.random.default_rng(0)
    error = seen.value.copy(data=rng.random(seen.value.shape).astype("f4"))
    error = error.where(seen.observed).drop_attrs()
    ocean = (seen.ocean & (seen.depth < 500)).astype("i1")
    surface = (seen.surface_temperature + 273.15).assign_attrs(units="K")
    path = file(seen, tmp_path / "a.nc", error=error, surface_temperature=surface, ocean=ocean)
    given = open_observations(path, small_store.statistics())
    np.testing.assert_allclose(given.error.transpose(*DIMS), error, atol=1e-6)
    np.testing.assert_array_equal(given.ocean, ocean == 1)
    np.testing.assert_array_equal(
        given.surface_temperature_observed, seen.surface_temperature_observed
    )
    np.testing.assert_allclose(given.surface_temperature, seen.surface_temperature, atol=1e-4)


def test_other_names_units_order_levels_and_turns_of_the_globe(small_store, seen, tmp_path):
    """Kelvin, north to south, 0 to 360, deepest first, one level too many and one missing."""
    value = seen.value.isel(depth=[0, 1, 2, 4])
    extra = value.isel(depth=[-1]).assign_coords(depth=[2000.0])
    value = xr.concat([value, extra], "depth") + 273.15
    value = value.assign_attrs(units="K", standard_name="sea_water_potential_temperature")
    value = value.assign_coords(longitude=value.longitude + 360)
    value = value.isel(depth=slice(None, None, -1), latitude=slice(None, None, -1))
    names = {"latitude": "lat", "longitude": "lon", "depth": "deptht"}
    value.rename(names).to_dataset(name="votemper").to_netcdf(tmp_path / "a.nc")
    given = open_observations(tmp_path / "a.nc", small_store.statistics())
    expected = seen.observed.values.copy()
    expected[:, 3] = False
    np.testing.assert_array_equal(given.observed.transpose(*DIMS), expected)
    np.testing.assert_allclose(
        given.value.transpose(*DIMS).values[expected], seen.value.values[expected], atol=1e-4
    )
    np.testing.assert_allclose(given.longitude, seen.longitude, atol=1e-9)
    assert given.attrs["notes"] == [
        "depth: the model has no level at 2000 m; they are left out",
        "depth: nothing is observed at the model's 318 m",
    ]


def test_many_files_are_one_and_a_date_twice_is_refused(small_store, seen, tmp_path):
    for k in (1, 0):
        file(seen.isel(time=[k]), tmp_path / f"{1 - k}.nc")
    given = open_observations(tmp_path, small_store.statistics())
    np.testing.assert_array_equal(given.time, seen.time)
    file(seen.isel(time=[0]), tmp_path / "again.nc")
    with pytest.raises(ValueError, match="occurs twice, limit 1.*merge"):
        open_observations(tmp_path, small_store.statistics())


def test_a_few_observations_on_land_are_left_out_and_counted(small_store, seen, tmp_path):
    value = seen.value.copy(deep=True)
    value[0, 0, 0, 0] = 12.0  # the land corner
    given = open_observations(
        file(seen.assign(value=value), tmp_path / "a.nc"), small_store.statistics()
    )
    checked, number = screen_observations(given, small_store.statistics())
    total = int(seen.observed.sum())
    assert number == total
    assert checked.attrs["notes"] == [f"1 of {total + 1} observations lie on land and are left out"]
    np.testing.assert_array_equal(checked.observed.transpose(*DIMS), seen.observed)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v + 273.15, "kelvin.*'K'"),
        (lambda v: v * 0 + 65, "°F"),
        (lambda v: v.where(v.isnull(), np.inf), "inf.*finite"),
        (lambda v: v * np.nan, "0 values are observed, needs 1"),
        (lambda v: v.fillna(15.0), "lie on land, limit 10%"),
        (
            lambda v: v.isel(depth=[0]).assign_coords(depth=[30.0]),
            "none of its levels.*30.*interpolate",
        ),
    ],
    ids=["kelvin", "fahrenheit", "infinite", "nothing", "land", "levels"],
)
def test_what_cannot_be_used_is_refused(small_store, seen, tmp_path, change, words):
    path = file(xr.Dataset({"value": change(seen.value)}), tmp_path / "a.nc")
    with pytest.raises(ValueError, match=words):
        statistics = small_store.statistics()
        screen_observations(open_observations(path, statistics), statistics)


def test_an_impossible_error_and_another_kind_of_temperature_are_refused(
    small_store, seen, tmp_path
):
    for bad in (-0.1, np.inf):
        path = file(seen, tmp_path / "a.nc", error=(seen.value * 0 + bad).drop_attrs())
        with pytest.raises(ValueError, match="error of .* impossible; give standard deviations"):
            statistics = small_store.statistics()
            screen_observations(open_observations(path, statistics), statistics)
    seen = seen.copy()
    seen["value"] = seen.value.assign_attrs(standard_name="sea_water_temperature")
    with pytest.raises(ValueError, match="holds sea_water_temperature, the model.*potential"):
        open_observations(file(seen, tmp_path / "b.nc"), small_store.statistics())
