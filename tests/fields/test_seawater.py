"""Potential temperature against the values that TEOS-10 publishes, and point by point."""

import gsw
import numpy as np
import pytest
import xarray as xr
from grids import LATITUDE, assert_canonical, in_situ, refused, salty, sea

from ocean_lib.fields import canonical

PRESSURE = [10, 50, 125, 250, 600, 1000]  # dbar; with what follows, from the GSW manual
ABSOLUTE = [34.7118, 34.8915, 35.0256, 34.8472, 34.7366, 34.7324]  # g/kg
MEASURED = [28.7856, 28.4329, 22.8103, 10.2600, 6.8863, 4.4036]  # °C, in situ
CONSERVATIVE = [28.8099, 28.4392, 22.7862, 10.2262, 6.8272, 4.3236]
POTENTIAL = [28.783196819670632, 28.420983342398962, 22.784930399117108]
POTENTIAL += [10.230523661095731, 6.829230224409661, 4.324510571845719]
OF_CONSERVATIVE = [28.783177048624573, 28.420955597191984, 22.784953468087107]
OF_CONSERVATIVE += [10.230534394434429, 6.829216587061605, 4.324534835990236]


@pytest.mark.parametrize(
    "kind, values, expected",
    [("", MEASURED, POTENTIAL), ("conservative_", CONSERVATIVE, OF_CONSERVATIVE)],
)
def test_published_values(kind, values, expected):
    depth = -gsw.z_from_p(PRESSURE, 30.0)
    column = xr.Dataset(
        {
            "t": ("depth", values, {"standard_name": f"sea_water_{kind}temperature"}),
            "s": ("depth", ABSOLUTE, {"standard_name": "sea_water_absolute_salinity"}),
        },
        {"depth": ("depth", depth, {"units": "m"}), "lat": 30.0, "lon": 0.0},
    ).expand_dims("lat")
    opened = canonical.to_canonical(column)
    assert_canonical(opened)
    np.testing.assert_allclose(opened.temperature.squeeze(), expected, atol=2e-6)
    assert opened.temperature.attrs["standard_name"] == "sea_water_potential_temperature"


def deep(latitude=LATITUDE):
    """A sea of 5000 m, from 3 to 14 °C."""
    d = sea(latitude=latitude, depth=np.array([0.5, 100, 2000, 5000]))
    return d.assign(thetao=(8 + d.thetao / 3).assign_attrs(d.thetao.attrs))


def point_by_point(d, temperature="water_temp", fill=35.0):
    values, salts = d[temperature].values, d.so.values
    depth, latitude, longitude = d.depth.values, d.latitude.values, d.longitude.values
    expected = np.full(values.shape, np.nan)
    for t, k, i, j in np.ndindex(expected.shape):
        pressure = gsw.p_from_z(-depth[k], latitude[i])
        salt = fill if np.isnan(salts[t, k, i, j]) else salts[t, k, i, j]
        salt = gsw.SA_from_SP(salt, pressure, longitude[j], latitude[i])
        expected[t, k, i, j] = gsw.pt0_from_t(salt, values[t, k, i, j], pressure)
    return expected


def test_in_situ_temperature_becomes_potential_with_salinity(tmp_path):
    truth = in_situ(salty(deep()))
    truth["so"] = truth.so.where(truth.latitude > 40.1).assign_attrs(truth.so.attrs)
    truth = truth.isel(latitude=[0, 1, 5, 12], longitude=[0, 6, 10], time=[0, 1])
    expected = point_by_point(truth)
    assert np.nanmax(truth.water_temp.values - expected) > 0.4
    truth.to_netcdf(tmp_path / "a.nc")
    opened = canonical.open_fields(tmp_path / "a.nc")
    assert_canonical(opened)
    assert list(opened.data_vars) == ["temperature", "ocean"] and opened.temperature.chunks
    attrs = opened.temperature.attrs
    assert attrs["standard_name"] == "sea_water_potential_temperature"
    for word in ("TEOS-10", "from sea_water_temperature and sea_water_salinity", "35 g/kg"):
        assert word in attrs["comment"]
    np.testing.assert_allclose(opened.temperature, expected, atol=2e-6)
    # Salinity that is missing costs no temperature, and alters it little.
    assert (opened.ocean == np.isfinite(truth.water_temp).all("time")).all()
    fresher = point_by_point(truth, fill=34.0)
    assert 1e-3 < np.nanmax(abs(fresher - expected)) < 0.01
    # Salinity that is asked for as well may not take a quarter of the ocean away.
    with pytest.raises(ValueError, match="salinity and the other variables .* 6 of the 8 cells"):
        canonical.open_fields(tmp_path / "a.nc", variables=["so"], depths=[5000])


def test_a_section_is_converted_at_its_stations():
    truth = in_situ(salty(deep(np.linspace(-60, 60, 13))))
    stations = xr.DataArray(np.arange(11), dims="station")
    section = truth.isel(latitude=stations, longitude=stations)
    opened = canonical.to_canonical(section)
    expected = point_by_point(truth)[:, :, np.arange(11), np.arange(11)]
    np.testing.assert_allclose(opened.temperature[:, :, 0], expected, atol=2e-6)


def test_without_salinity_temperature_keeps_the_name_of_what_it_is(tmp_path):
    truth = in_situ(sea())
    for kind in ("", "conservative_"):
        truth.water_temp.attrs["standard_name"] = f"sea_water_{kind}temperature"
        opened = canonical.to_canonical(truth)
        assert_canonical(opened)
        assert opened.temperature.attrs["standard_name"] == f"sea_water_{kind}temperature"
        np.testing.assert_array_equal(opened.temperature, truth.water_temp)
    surface = truth.assign(so=(truth.water_temp[:, 0] + 20).drop_attrs())
    assert "conservative" in canonical.to_canonical(surface).temperature.attrs["standard_name"]
    truth = in_situ(salty(sea()))
    truth.isel(time=[0]).to_netcdf(tmp_path / "0.nc")
    truth.drop_vars("so").isel(time=[1]).to_netcdf(tmp_path / "1.nc")
    refused(["1.nc", "sea_water_temperature", "separately"], canonical.open_fields, tmp_path)
    grams = truth.so.assign_attrs(units="kg m-3")
    refused(["'kg m-3'", "1e-3"], canonical.to_canonical, truth.assign(so=grams))


def test_potential_temperature_is_left_alone():
    truth = salty(sea())
    opened = canonical.to_canonical(truth)
    np.testing.assert_array_equal(opened.temperature, truth.thetao)
    assert "comment" not in opened.temperature.attrs
