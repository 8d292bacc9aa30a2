"""Derived quantities against gsw, and what cannot be derived."""

import gsw
import numpy as np
import pytest
import xarray as xr

from ocean_lib.fields.derived import derive

DEPTH = np.array([0.5, 5.0, 15.0, 40.0, 100.0, 250.0, 600.0, 1100.0])
FLOORS = {5: 175.0, 7: 850.0, 8: np.inf}  # midway below the deepest level, by number of levels


@pytest.fixture
def water():
    """Two dates, two members, three columns of which one ends at 100 m and one at 600 m."""
    rng = np.random.default_rng(0)
    levels = np.array([5, 7, 8])
    ocean = np.arange(8)[:, None, None] < levels
    shape = 2, 2, 8, 1, 3
    temperature = 20 * np.exp(-DEPTH / 400)[:, None, None] + rng.normal(0, 0.2, shape)
    salinity = 34.5 + DEPTH[:, None, None] / 1000 + rng.normal(0, 0.02, shape)
    dims = "time", "member", "depth", "latitude", "longitude"
    return xr.Dataset(
        {
            "temperature": (dims, np.where(ocean, temperature, np.nan)),
            "salinity": (dims, np.where(ocean, salinity, np.nan)),
            "ocean": (dims[2:], ocean),
        },
        {"depth": DEPTH, "latitude": [36.0], "longitude": [-70.0, -69.9, -69.8]},
    )


def columns(water):
    """Place, absolute salinity, conservative temperature and pressure of each column."""
    pressure = gsw.p_from_z(-DEPTH, 36.0)
    for time, member, column in np.ndindex(2, 2, 3):
        at = dict(time=time, member=member, latitude=0, longitude=column)
        t, s = (water[name].isel(at).values for name in ("temperature", "salinity"))
        absolute = gsw.SA_from_SP(s, pressure, float(water.longitude[column]), 36.0)
        yield at, absolute, gsw.CT_from_pt(absolute, t), pressure


def test_heat_content_is_the_integral_of_conservative_temperature(water):
    got = derive(water, ["heat_content_300", "heat_content_700", "heat_content_2000"])
    assert got.heat_content_700.dims == ("time", "member", "latitude", "longitude")
    assert got.heat_content_700.units == "J m-2"
    for at, _, warm, _ in columns(water):
        wet = np.isfinite(warm)
        for limit in (300, 700, 2000):
            end = min(limit, FLOORS[wet.sum()])
            found = float(got[f"heat_content_{limit}"].isel(at))
            if end > DEPTH[-1]:
                assert np.isnan(found)
                continue
            fine = (np.arange(20000) + 0.5) * end / 20000
            heat = 1025 * 3991.86795711963 * np.interp(fine, DEPTH[wet], warm[wet]).mean() * end
            assert found == pytest.approx(heat, rel=1e-5)


def test_a_known_sea_floor_ends_the_integral(water):
    water["bathymetry"] = ("latitude", "longitude"), [[120.0, 700.0, 3000.0]]
    shallow = derive(water, ["heat_content_300"]).heat_content_300[..., 0, 0]
    exact = derive(water, ["heat_content_120"]).heat_content_120[..., 0, 0]
    np.testing.assert_allclose(shallow, exact)


def test_steric_height_is_that_of_gsw(water):
    """It interpolates temperature and salinity between levels, not the anomaly of volume."""
    fine = np.r_[DEPTH[0], np.arange(1.0, 1100.0, 0.5)]
    got = derive(water, ["steric_height_500"]).steric_height_500
    for at, salty, warm, pressure in columns(water):
        found = float(got.isel(at))
        if not np.isfinite(warm[-2:]).any():
            assert np.isnan(found)
            continue
        wet = np.isfinite(warm)
        at_fine = [np.interp(fine, DEPTH[wet], x[wet]) for x in (salty, warm)]
        height = gsw.geo_strf_dyn_height(
            *at_fine, np.interp(fine, DEPTH, pressure), p_ref=500.0, interp_method="linear"
        )
        assert found == pytest.approx(height[0] / 9.7963, rel=0.015)
        anomaly = gsw.specvol_anom_standard(salty, warm, pressure)
        steps = np.linspace(0, 500, 20001)
        anomaly = np.interp(steps, pressure[wet], anomaly[wet])
        assert found == pytest.approx(np.trapezoid(anomaly, steps * 1e4) / 9.7963, rel=5e-4)


def test_density_and_stratification_are_those_of_gsw(water):
    got = derive(water, ["density", "stratification"])
    assert got.stratification.dims[2] == "middle_depth" and got.density.dims[2] == "depth"
    for at, salty, warm, pressure in columns(water):
        np.testing.assert_allclose(got.density.isel(at), gsw.sigma0(salty, warm), rtol=1e-5)
        squared, _ = gsw.Nsquared(salty, warm, pressure, 36.0)
        np.testing.assert_allclose(got.stratification.isel(at), squared, rtol=1e-4, atol=1e-9)


def test_isotherm_and_mixed_layer_are_interpolated(water):
    water["temperature"][:] = xr.DataArray(25 - DEPTH / 50, {"depth": DEPTH})
    water = water.assign(temperature=water.temperature.where(water.ocean))
    got = derive(water, ["isotherm_20", "isotherm_24.5", "isotherm_26", "mixed_layer_depth"])
    np.testing.assert_allclose(got["isotherm_24.5"], 25, rtol=1e-5)
    np.testing.assert_allclose(got.isotherm_20[..., 0, 1:], 250, rtol=1e-5)
    assert np.isnan(got.isotherm_20[..., 0, 0]).all() and np.isnan(got.isotherm_26).all()
    density = derive(water, ["density"]).density.isel(time=0, member=0, latitude=0, longitude=2)
    base = float(got.mixed_layer_depth[0, 0, 0, 2])
    at = np.interp([10.0, base], DEPTH, density)
    assert at[1] - at[0] == pytest.approx(0.03, abs=2e-5)


def test_without_salinity_heat_is_nearly_the_same_and_the_rest_is_refused(water):
    plain = water.drop_vars("salinity")
    heat, known = (derive(x, ["heat_content_300"]).heat_content_300 for x in (plain, water))
    np.testing.assert_allclose(heat, known, rtol=2e-3)
    with pytest.raises(ValueError, match="steric_height_500 needs salinity.*choose a source"):
        derive(plain, ["steric_height_500"])


@pytest.mark.parametrize("name", ["heat", "density_5", "heat_content_", "isotherm_cold"])
def test_an_unknown_quantity_is_named(water, name):
    with pytest.raises(ValueError, match=f"'{name}' is not known; choose of .*'heat_content'"):
        derive(water, [name])
