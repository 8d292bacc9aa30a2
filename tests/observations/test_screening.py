"""What is refused of gridded observations, left out and counted: values, errors, surface, masks."""

import numpy as np
import pytest
import xarray as xr

from ocean_lib.fields.conventions import ANOMALY
from ocean_lib.observations import screening
from ocean_lib.observations.batch import observe
from ocean_lib.observations.gridded import open_observations
from ocean_lib.observations.screening import screen_observations

SKIN = "surface_temperature"


@pytest.fixture(scope="module")
def fields(small_store):
    return small_store.fields("test").isel(time=slice(0, 3))


@pytest.fixture(scope="module")
def good(fields):
    """A file's content: temperature with gaps, its error, a surface and a mask."""
    seen = observe(fields, {"pattern": "profiles", "observed": 0.2, "surface": 1.0}, seed=3)
    surface = seen.surface_temperature.where(seen.ocean[0])
    return xr.Dataset(
        {
            "thetao": seen.value,
            "error": xr.full_like(seen.value, 0.1).drop_attrs(),
            "surface_temperature": surface.drop_attrs(),
            "ocean": seen.ocean.astype("i1").drop_attrs(),
        }
    )


def screened(dataset, store, path):
    dataset.to_netcdf(path / "floats.nc")
    statistics = store.statistics()
    return screen_observations(open_observations(path / "floats.nc", statistics), statistics)


def wet_cell(dataset):
    """Date, row and column of a cell in the sea."""
    return (1, *np.argwhere(dataset.ocean.values[0])[7])


def with_cell(name, value):
    def act(dataset):
        dataset = dataset.copy(deep=True)
        t, y, x = wet_cell(dataset)
        cell = {"time": t} if "time" in dataset[name].dims else {}
        dataset[name][cell | {"latitude": y, "longitude": x}] = value
        return dataset

    return act


def test_the_good_file_is_taken_as_it_is(good, small_store, tmp_path):
    taken, number = screened(good, small_store, tmp_path)
    assert number == int(taken.observed.sum()) == int(good.thetao.notnull().sum())
    assert taken.attrs["notes"] == []
    np.testing.assert_array_equal(
        taken.surface_temperature_observed, good.surface_temperature.notnull()
    )


REFUSED = {
    "an infinite surface": (with_cell(SKIN, np.inf), f"{SKIN} cannot be used", "finite"),
    "a surface of 1e30": (with_cell(SKIN, 1e30), f"{SKIN} cannot be used", "_FillValue"),
    "a surface of -999": (with_cell(SKIN, -999.0), f"{SKIN} cannot be used", "_FillValue"),
    "a surface in kelvin": (
        lambda d: d.assign({SKIN: d[SKIN] + 273.15}), f"{SKIN} cannot be used", "kelvin",
    ),
    "a surface of one number": (
        lambda d: d.assign(surface_temperature=d.surface_temperature * 0 + 35.0),
        f"{SKIN} of 1997-03-16", "check its date, unit",
    ),
    "a mask of other numbers": (with_cell("ocean", 3), "ocean holds 3", "must be 1"),
    "a mask of fewer rows": (
        lambda d: d.assign(ocean=d.ocean.isel(latitude=slice(4)).rename(latitude="lat")),
        "ocean",
    ),
    "an error of a fill value": (
        lambda d: d.assign(error=d.error * 0 + 9999.0), "an error of 9999", "0 to 45",
    ),
    "many values beyond the climatology": (
        lambda d: d.assign(thetao=xr.where(d.latitude > d.latitude[6], d.thetao, 0 * d.thetao - 9)),
        "limit 10%", "units, dates and places",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused(good, small_store, tmp_path, name):
    change, *words = REFUSED[name]
    with pytest.raises(ValueError) as told:
        screened(change(good), small_store, tmp_path)
    assert all(word in str(told.value) for word in words), told.value


def test_a_spot_of_the_surface_that_the_climatology_rules_out_is_left_out(
    good, small_store, tmp_path
):
    spoiled = with_cell(SKIN, 44.0)(good)
    taken, _ = screened(spoiled, small_store, tmp_path)
    t, y, x = wet_cell(good)
    expected = good.surface_temperature.notnull().values.copy()
    expected[t, y, x] = False
    np.testing.assert_array_equal(taken.surface_temperature_observed, expected)
    assert any(f"{SKIN}: 1 of" in note for note in taken.attrs["notes"])


def test_the_surface_of_another_season_is_told(fields, good, small_store, tmp_path, monkeypatch):
    """The departures of one date are judged together: none of its cells is impossible alone."""
    statistics = small_store.statistics()
    deviation = statistics.deviation[0].values
    away = 5 * np.sqrt(deviation**2 + 0.7**2) * np.array([0, 0, 1])[:, None, None]
    moved = good.surface_temperature + away.astype(np.float32)
    with pytest.raises(ValueError, match=f"{SKIN} of {str(good.time.values[2])[:10]}.* limit 4"):
        screened(good.assign(surface_temperature=moved), small_store, tmp_path)


def from_above(store):
    """A file's content: temperatures with gaps, sea level and surface salinity."""
    fields = store.fields("test").isel(time=slice(0, 3))
    seen = observe(fields, {"pattern": "profiles", "observed": 0.2, "surface": 1.0}, seed=3)
    above = seen[["sea_level", "surface_salinity"]].where(seen.ocean[0]).drop_attrs()
    return above.assign(thetao=seen.value)


def test_sea_level_and_salinity_are_taken_from_m_and_cm_and_from_an_anomaly(
    three_surfaces, tmp_path
):
    given = from_above(three_surfaces)
    in_cm = given.assign(sea_level=(100 * given.sea_level).assign_attrs(units="cm"))
    # The middle of the 36 training months is two years before the first date.
    years = (given.time - np.datetime64("1994-07-02")) / np.timedelta64(8766, "h")
    mean = xr.DataArray(three_surfaces.climatology[0, ..., 1], dims=given.sea_level.dims[1:])
    mean = mean - 3.3e-3 * years
    anomaly = (given.sea_level - mean).transpose(*given.sea_level.dims).astype(np.float32)
    anomaly = given.assign(sea_level=anomaly.assign_attrs(standard_name=ANOMALY))
    for name, dataset in {"m": given, "cm": in_cm, "anomaly": anomaly}.items():
        (tmp_path / name).mkdir()
        taken, _ = screened(dataset, three_surfaces, tmp_path / name)
        np.testing.assert_allclose(taken.sea_level, given.sea_level, atol=1e-5)
        assert taken.sea_level_observed.sum() == given.sea_level.notnull().sum()
        np.testing.assert_allclose(taken.surface_salinity, given.surface_salinity, atol=1e-5)


def test_an_anomaly_needs_a_mean_for_each_place(three_surfaces, tmp_path):
    statistics = three_surfaces.statistics()
    shared = statistics.harmonic.copy()
    shared[0, 1] = 0.6  # as after a split in space
    anomaly = from_above(three_surfaces)
    anomaly["sea_level"].attrs["standard_name"] = ANOMALY
    anomaly.to_netcdf(tmp_path / "a.nc")
    with pytest.raises(ValueError, match="one mean sea level, 0.6 m.*above the geoid"):
        open_observations(tmp_path / "a.nc", statistics.assign(harmonic=shared))


ABOVE = {
    "sea level in cm": ("sea_level", lambda x: 100 * x, "cm", "5 m", "set the variable's units"),
    "an anomaly": (
        "sea_level",
        lambda x: x - 0.6,
        "standard deviations",
        "limit 2.5",
        "above_sea_level",
    ),
    "salinity in kg/kg": ("surface_salinity", lambda x: x / 1000, "kg/kg", "multiply"),
    "absolute salinity": (
        "surface_salinity",
        lambda x: x.assign_attrs(units="percent"),
        "percent",
        "must be 1e-3",
    ),
}


@pytest.mark.parametrize("name", ABOVE)
def test_what_no_satellite_sees_is_refused(three_surfaces, tmp_path, name):
    given = from_above(three_surfaces)
    field, spoil, *words = ABOVE[name]
    with pytest.raises(ValueError, match=field) as told:
        screened(given.assign({field: spoil(given[field])}), three_surfaces, tmp_path)
    assert all(word in str(told.value) for word in words), told.value


def test_what_a_model_does_not_use_is_said_and_an_unnamed_surface_refused(
    three_surfaces, small_store, tmp_path
):
    given = from_above(three_surfaces)
    taken, _ = screened(given, small_store, tmp_path)
    assert "sea_level: the model does not use it; it is left out" in taken.attrs["notes"]
    (tmp_path / "other").mkdir()
    with pytest.raises(ValueError, match="variable surface .*sea_level"):
        screened(given.rename(sea_level="surface"), small_store, tmp_path / "other")


def test_blocks_of_any_size_say_the_same(good, small_store, tmp_path, monkeypatch):
    spoiled = with_cell(SKIN, 44.0)(good)
    first, number = screened(spoiled, small_store, tmp_path)
    first = first.load()
    monkeypatch.setattr(screening, "BLOCK", 300)
    second, again = screened(spoiled, small_store, tmp_path)
    assert again == number
    xr.testing.assert_identical(second.load(), first)


def test_a_grid_may_have_its_depth_in_centimetres_beside_a_mask(good, small_store, tmp_path):
    depth = (good.depth * 100).assign_attrs(units="cm", positive="down")
    taken, number = screened(good.assign_coords(depth=depth), small_store, tmp_path)
    assert number == int(good.thetao.notnull().sum())
