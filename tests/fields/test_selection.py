"""Levels of files of one's own."""

import grids
import numpy as np
import pytest
import xarray as xr
from grids import sea

from ocean_lib.fields import canonical
from ocean_lib.fields.selection import own_levels


@pytest.mark.parametrize(
    ("depth", "expected"),
    [
        ([5.0], [5.0]),
        ([0.0, 5, 10, 50, 100, 250, 500, 1000, 2000], None),
        (np.arange(2.5, 200, 5), None),
        ([3000.0, 4000, 5000], [3000.0]),
    ],
)
def test_own_levels_are_levels_of_the_file_from_the_surface_down(depth, expected):
    levels = own_levels(np.asarray(depth))
    assert set(levels) <= set(map(float, depth)) and 1 <= len(levels) <= 8
    assert levels == sorted(set(levels)) and levels[0] <= min(depth) + 10
    assert expected is None or levels == expected
    assert all(type(level) is float for level in levels)  # printed as numbers, not as objects


def test_levels_of_a_grid_that_is_straight_in_the_region_alone(tmp_path):
    d = grids.roms(sea())
    bend = xr.where(d.lon_rho > -51.5, 0.3 * (d.lon_rho + 51.5), 0.0)
    d.assign(lat_rho=d.lat_rho + bend).to_netcdf(tmp_path / "a.nc")
    region = (-52, -51.6, 40, 41)
    levels = canonical.open_levels(tmp_path / "a.nc", region)
    opened = canonical.open_fields(tmp_path / "a.nc", region=region, depths=levels)
    np.testing.assert_array_equal(opened.depth, levels)
    with pytest.raises(ValueError, match="a.nc: the grid is curved"):
        canonical.open_levels(tmp_path / "a.nc")


@pytest.mark.parametrize("times", [("foo", "bar"), ("2020-01",), ("2020-01", "2020-13")])
def test_a_period_that_is_none_is_refused(tmp_path, times):
    sea().to_netcdf(tmp_path / "a.nc")
    with pytest.raises(ValueError, match="first and a last date such as '1993-01'"):
        canonical.open_fields(tmp_path / "a.nc", times=times)


def test_a_file_on_other_levels_than_glorys_serves(tmp_path):
    sea(depth=np.array([5.0, 30, 150, 700])).to_netcdf(tmp_path / "a.nc")
    levels = canonical.open_levels(tmp_path / "a.nc")
    assert levels == [5.0, 30.0, 150.0, 700.0]
    opened = canonical.open_fields(tmp_path / "a.nc", depths=levels)
    np.testing.assert_array_equal(opened.depth, levels)
