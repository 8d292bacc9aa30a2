"""Regridding against loops over cells, and what it does at coasts, edges and round the globe."""

import gsw
import numpy as np
import pytest
import xarray as xr

from ocean_lib.fields.canonical import open_fields
from ocean_lib.fields.regrid import regrid


def field(latitude, longitude, function, missing=None):
    values = np.array([[function(y, x) for x in longitude] for y in latitude], float)
    if missing is not None:
        values[missing] = np.nan
    return xr.DataArray(
        values, {"latitude": latitude, "longitude": longitude}, ("latitude", "longitude")
    )


def rough(y, x):
    return np.sin(3 * y) + np.cos(5 * x) + 0.1 * x * y


def by_area(array, latitude, longitude, wet):
    """Means over cells by the area shared, cell by cell."""
    step, new = (float(np.diff(axis).mean()) for axis in (array.latitude, latitude))
    found = np.full((len(latitude), len(longitude)), np.nan)
    for i, y in enumerate(latitude):
        for j, x in enumerate(longitude):
            total = sea = 0.0
            edges = np.sin(np.radians([y - new / 2, y + new / 2]))
            area = (edges[1] - edges[0]) * new
            for k, b in enumerate(array.latitude.values):
                low, high = max(y - new / 2, b - step / 2), min(y + new / 2, b + step / 2)
                tall = np.sin(np.radians(high)) - np.sin(np.radians(low))
                for m, a in enumerate(array.longitude.values):
                    across = min(x + new / 2, a + step / 2) - max(x - new / 2, a - step / 2)
                    if high > low and across > 0:
                        value = float(array[k, m])
                        if np.isfinite(value):
                            sea += tall * across
                            total += tall * across * value
            if sea / area >= wet:
                found[i, j] = total / sea
    return found


@pytest.mark.parametrize("wet", [0.5, 0.9])
def test_coarser_cells_are_means_by_area_over_the_sea(wet):
    latitude, longitude = np.arange(50, 56, 0.25) + 0.125, np.arange(0, 5, 0.25) + 0.125
    missing = np.random.default_rng(0).random((len(latitude), len(longitude))) < 0.3
    array = field(latitude, longitude, rough, missing)
    # The first and last cells reach beyond the array, and what lies there is no sea.
    rows, columns = np.arange(49.9, 56.3, 0.7), np.arange(-0.3, 5.5, 0.7)
    expected = by_area(array, rows, columns, wet)
    found = regrid(array, rows, columns, wet)
    np.testing.assert_allclose(found, expected, rtol=2e-3)
    assert 0 < np.isnan(expected).sum() < expected.size


def test_a_constant_stays_and_an_integral_is_kept():
    latitude, longitude = np.arange(-60, 60, 0.5) + 0.25, np.arange(0, 20, 0.5) + 0.25
    rows, columns = np.arange(-60, 60, 2.0) + 1, np.arange(0, 20, 2.0) + 1
    array = field(latitude, longitude, rough)
    coarse = regrid(array, rows, columns)

    def integral(one):
        step = np.radians(float(np.diff(one.latitude).mean())) / 2
        weight = np.cos(np.radians(one.latitude)) * np.sin(step)
        return float((one * weight).sum("latitude").mean("longitude"))

    assert integral(coarse) == pytest.approx(integral(array), rel=2e-3)
    np.testing.assert_allclose(regrid(0 * array + 3, rows, columns), 3.0, rtol=1e-6)


def test_finer_cells_are_bilinear_and_use_only_the_sea():
    latitude, longitude = np.arange(0, 5.0), np.arange(10, 16.0)
    plane = field(latitude, longitude, lambda y, x: 2 * y - 3 * x)
    rows, columns = np.arange(0.1, 4, 0.3), np.arange(10.2, 14.9, 0.3)
    exact = 2 * rows[:, None] - 3 * columns
    np.testing.assert_allclose(regrid(plane, rows, columns), exact, rtol=1e-5)
    missing = np.zeros((5, 6), bool)
    missing[2, 3] = True
    holed = regrid(0 * plane + 7, rows, columns).values
    np.testing.assert_allclose(holed, 7.0)
    holed = regrid((0 * plane + 7).where(~missing), rows, columns).values
    np.testing.assert_allclose(holed[np.isfinite(holed)], 7.0, rtol=1e-6)  # no land leaks in
    near = (abs(rows - 2)[:, None] < 0.25) & (abs(columns - 13) < 0.25)
    assert np.isnan(holed[near]).all() and np.isfinite(holed[~near]).mean() > 0.9


def test_outside_there_is_nothing():
    array = field(np.arange(0, 5.0), np.arange(10, 16.0), rough)
    found = regrid(array, np.arange(-3, 8, 0.5), np.arange(5, 22, 0.5))
    outside = (found.latitude < 0) | (found.latitude > 4)
    outside = outside | (found.longitude < 10) | (found.longitude > 15)
    assert np.isnan(found.where(outside, drop=True)).all()
    assert found.where(~outside, drop=True).notnull().all()


@pytest.mark.parametrize("step", [0.5, 3.0])
def test_a_globe_has_no_edge_and_longitudes_may_be_in_any_turn(step):
    latitude, longitude = np.arange(-9.5, 10), np.arange(0.5, 360)
    array = field(latitude, longitude, lambda y, x: np.cos(np.radians(x)) + y)
    rows, columns = np.arange(-6, 6.1, step), np.arange(-20, 20.1, step)
    exact = np.cos(np.radians(columns)) + rows[:, None]
    found = regrid(array, rows, columns)
    np.testing.assert_allclose(found, exact, atol=3e-3)
    np.testing.assert_allclose(found, regrid(array, rows, columns + 360), atol=1e-6)


def test_other_dimensions_and_attributes_stay():
    array = field(np.arange(0, 5.0), np.arange(10, 16.0), rough).expand_dims(time=3)
    array.attrs["units"] = "degrees_C"
    found = regrid(array, [1.0, 1.5, 2.0], [11.0, 11.5])
    assert found.dims == array.dims and found.shape == (3, 3, 2) and found.dtype == np.float32
    assert found.attrs["units"] == "degrees_C"


def test_a_file_like_armor3d_becomes_the_potential_temperature_that_was_put_in(tmp_path):
    """In situ on an eighth of a degree with salinity, a plane of potential temperature."""
    depth, latitude = np.array([0.5, 318.0, 902.0]), np.arange(32.0625, 36, 0.125)
    longitude = np.arange(288.0625, 292, 0.125)

    def plane(z, y, x):
        return 20 - z / 60 + 0.5 * (y - 34) - 0.3 * (x - 290)

    z, y, x = np.meshgrid(depth, latitude, longitude, indexing="ij")
    pressure = gsw.p_from_z(-z, y)
    absolute = gsw.SA_from_SP(35.1, pressure, x, y)
    warm = gsw.t_from_CT(absolute, gsw.CT_from_pt(absolute, plane(z, y, x)), pressure)
    names = ("time", "depth", "latitude", "longitude")
    state = xr.Dataset(
        {
            "to": (names, warm[None], {"standard_name": "sea_water_temperature", "units": "degC"}),
            "so": (names, np.full((1, *warm.shape), 35.1), {"standard_name": "sea_water_salinity"}),
        },
        {"time": [np.datetime64("2010-06-15", "ns")], "latitude": latitude, "longitude": longitude}
        | {"depth": ("depth", depth, {"units": "m", "positive": "down"})},
    )
    state.to_netcdf(tmp_path / "armor3d.nc")
    fields = open_fields(tmp_path / "armor3d.nc")
    for step in (1 / 12, 0.5):
        rows, columns = np.arange(32.5, 35.5, step), np.arange(-71.5, -68.5, step)
        found = regrid(fields.temperature, rows, columns)
        exact = plane(depth[:, None, None], rows[:, None], columns + 360)
        np.testing.assert_allclose(found[0], exact, atol=2e-3)
