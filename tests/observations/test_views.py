"""Surface fields of any files on a model's grid, against means and interpolations done by hand."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.interpolate import RegularGridInterpolator

from ocean_lib.observations.views import MonthlyViews

MONTHS = np.array(["1997-03-16", "1997-05-16"], "M8[ns]")
ROWS, COLUMNS = np.arange(32.0, 36.1, 0.125), np.arange(-66.0, -61.9, 0.125)
ANOMALY = {"standard_name": "sea_surface_height_above_sea_level", "units": "m"}
TOPOGRAPHY = {"standard_name": "sea_surface_height_above_geoid", "units": "m"}


def field(times, attrs, rows=ROWS, columns=COLUMNS, scale=1.0, offset=0.0):
    """Numbers without pattern on the dates and cells of a product."""
    shape = len(times), len(rows), len(columns)
    values = offset + scale * np.random.default_rng(4).standard_normal(shape)
    place = {"time": times, "latitude": rows, "longitude": columns}
    array = xr.DataArray(values, place, ("time", "latitude", "longitude"), attrs=attrs)
    array["latitude"].attrs["units"], array["longitude"].attrs["units"] = "degrees_N", "degrees_E"
    return array


@pytest.fixture
def statistics(three_surfaces):
    return three_surfaces.statistics()


@pytest.fixture
def ocean(three_surfaces):
    return three_surfaces.ocean[..., 3]  # of the shallowest temperature, below three surfaces


def test_days_in_kelvin_are_averaged_and_interpolated(statistics, ocean, tmp_path):
    days = pd.date_range("1997-03-01", "1997-05-31")
    attrs = {"standard_name": "sea_surface_foundation_temperature", "units": "kelvin"}
    kelvin = field(days, attrs, offset=291.15)
    for month, part in kelvin.groupby("time.month"):
        part.to_dataset(name="analysed_sst").to_netcdf(tmp_path / f"{month}.nc")
    views = MonthlyViews(tmp_path, statistics, MONTHS)
    grid = np.stack(np.meshgrid(statistics.latitude, statistics.longitude, indexing="ij"), -1)
    for index, month in enumerate((3, 5)):
        found = views.read(index)
        assert [*found] == ["surface_temperature"]
        mean = np.mean([day.values for day in kelvin if day.time.dt.month == month], 0) - 273.15
        expected = RegularGridInterpolator((ROWS, COLUMNS), mean)(grid)
        np.testing.assert_allclose(found["surface_temperature"][ocean], expected[ocean], atol=1e-3)
        assert np.isnan(found["surface_temperature"][~ocean]).all()
    (line,) = views.describe()
    for words in ("analysed_sst", "62 date(s)", "1997-03-16", "100% of the ocean", "0.1 degrees_C"):
        assert words in line, line


def test_a_globe_in_another_turn_and_what_it_lacks(statistics, ocean, tmp_path):
    wide = field(MONTHS, {"units": "1e-3"}, np.arange(-89.5, 90), np.arange(0.5, 360), 0.1, 35)
    wide[:, :, 297:] = np.nan  # from 297.5 °E on; the model ends at 297.25 °E
    wide.to_dataset(name="surface_salinity").to_netcdf(tmp_path / "a.nc")
    found = MonthlyViews(tmp_path, statistics, MONTHS).read(0)["surface_salinity"]
    place = statistics.longitude.values + 360
    grid = np.stack(np.meshgrid(statistics.latitude, place, indexing="ij"), -1)
    west = ocean & (place <= 296.5)
    rows, columns = slice(110, 130), slice(285, 297)
    known = wide[0, rows, columns]
    exact = RegularGridInterpolator((known.latitude.values, known.longitude.values), known.values)
    np.testing.assert_allclose(found[west], exact(grid[west]), atol=1e-4)
    # Half a cell beyond the last value, more than half of the weight is missing.
    assert np.isnan(found[:, place > 297.05]).all() and ocean[:, place > 297.05].any()


def test_of_an_altimeter_the_anomaly_is_taken(statistics, tmp_path):
    sla, adt = field(MONTHS, ANOMALY, scale=0.1), field(MONTHS, TOPOGRAPHY, offset=1)
    xr.Dataset({"adt": adt, "sla": sla}).to_netcdf(tmp_path / "a.nc")
    views = MonthlyViews(tmp_path / "a.nc", statistics, MONTHS)
    assert abs(np.nanmean(views.read(0)["sea_level"])) < 0.1
    assert "sla, sea_surface_height_above_sea_level, 2 date(s)" in views.describe()[0]


def sst(times=MONTHS, units="degC", **choices):
    attrs = {"standard_name": "sea_surface_temperature", "units": units}
    return field(times, attrs, offset=18, **choices).to_dataset(name="sst")


def deep():
    attrs = {"standard_name": "sea_water_potential_temperature", "units": "degC"}
    level = {"depth": ("depth", [47.0], {"units": "m", "positive": "down"})}
    array = field(MONTHS, attrs, offset=18).expand_dims("depth", 1).assign_coords(level)
    return array.to_dataset(name="thetao")


ABSOLUTE = {"standard_name": "sea_surface_absolute_salinity", "units": "g/kg"}
REFUSED = {
    "a month that is not there": (
        lambda: sst(MONTHS[:1]), ["surface_temperature (sst)", "1997-05", "0 of 1", "limit 80%"],
    ),
    "another region": (
        lambda: sst(rows=np.arange(50.0, 60)), ["latitude 50 to 59", "the model 33", "this region"],
    ),
    "another ocean": (lambda: sst(columns=np.arange(10.0, 20)), ["0 of the", "1997-03", "needs 1"]),
    "no surface": (lambda: sst().rename(sst="chl").drop_attrs(), ["chl", "sea_level", "give one"]),
    "absolute salinity": (
        lambda: field(MONTHS, ABSOLUTE, offset=35).to_dataset(name="sss"), ["SP_from_SA"],
    ),
    "a level of the interior": (deep, ["thetao begins at 47 m", "limit 10 m"]),
    "unit": (lambda: sst(units="F"), ["'F'", "°C or K"]),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused(statistics, tmp_path, name):
    make, words = REFUSED[name]
    make().to_netcdf(tmp_path / "a.nc")
    with pytest.raises(ValueError) as told:
        MonthlyViews([tmp_path / "a.nc"], statistics, MONTHS).read(0)
    assert all(word in str(told.value) for word in words), told.value


def test_a_field_that_the_model_was_not_trained_with_is_refused(small_store, tmp_path):
    field(MONTHS, ANOMALY).to_dataset(name="sla").to_netcdf(tmp_path / "a.nc")
    with pytest.raises(
        ValueError, match="sla is sea_level.* trained with surface_temp.* leave sla"
    ):
        MonthlyViews(tmp_path / "a.nc", small_store.statistics(), MONTHS)
