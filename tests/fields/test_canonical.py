"""Fields opened from real and from many files, against raw numbers read independently."""

import numpy as np
import pytest
import xarray as xr
from grids import PACKING, assert_canonical, hycom, raw, refused, sea, shared

from ocean_lib.fields import canonical, description

# Real files


def test_giops():
    path = shared("giops/nemo_test.nc")
    numbers, attrs = raw(path, "votemper")
    opened = canonical.open_fields(path)
    assert_canonical(opened)
    fill = float(attrs["missing_value"])
    assert fill == -99 and attrs["units"] == "Kelvins"
    wet = numbers != np.float32(fill)
    assert opened.temperature.dims == ("time", "depth", "latitude", "longitude")
    assert (opened.ocean.values == wet.all(0)).all() and opened.attrs["n_intermittent"] == 0
    expected = np.where(wet, numbers.astype("float64") - 273.15, np.nan)
    np.testing.assert_allclose(opened.temperature.values, expected, atol=2e-5)
    assert opened.temperature.attrs["standard_name"] == "sea_water_potential_temperature"
    # Seconds since 1950 in the file, counted by hand.
    seconds = raw(path, "time_counter")[0].astype("int64")
    assert (opened.time.values == np.datetime64("1950-01-01", "s") + seconds).all()
    np.testing.assert_allclose(opened.longitude, np.arange(-162.25, -137.2, 0.25))
    np.testing.assert_allclose(opened.latitude[[0, -1]], [0.49999365, 18.897741], rtol=1e-6)
    np.testing.assert_allclose(opened.depth[[0, 49]], [0.494025, 5727.92], rtol=1e-6)


def test_giops_region_levels_and_times():
    path = shared("giops/nemo_test.nc")
    numbers, _ = raw(path, "votemper")
    opened = canonical.open_fields(
        path, region=(200, 205, 5, 10), depths=[0, 100, 500], times=("2014-06", "2014-06")
    )
    latitude = raw(path, "nav_lat")[0][:, 0]
    rows = (latitude >= 5) & (latitude <= 10)
    levels = [0, 21, 31]  # 0.494, 92.3 and 541 m
    np.testing.assert_allclose(opened.depth, raw(path, "deptht")[0][levels], rtol=1e-6)
    np.testing.assert_allclose(opened.longitude, np.arange(-160, -154.9, 0.25))
    expected = numbers[1][levels][:, rows][:, :, 9:30] - np.float32(273.15)
    np.testing.assert_allclose(opened.temperature.values[0], expected, atol=1e-5)


def test_levitus_is_dated_and_turned_to_the_date_line():
    path = shared("levitus/levitus94_4deg_monthly.nc")
    numbers, _ = raw(path, "theta")
    opened = canonical.open_fields(path)
    assert_canonical(opened)
    assert opened.longitude.values[[0, 44, 45, -1]].tolist() == [-178, -2, 2, 178]
    np.testing.assert_array_equal(opened.temperature.values, np.roll(numbers, 45, axis=3))
    assert opened.time.values[0] == np.datetime64("2001-01-16T12")
    assert opened.time.values[1] == np.datetime64("2001-02-15")
    assert "nominal year 2001" in opened.time.attrs["comment"]
    pacific = canonical.open_fields(path, region=(160, -160, -20, 20))
    assert pacific.longitude.values.tolist() == list(range(162, 200, 4))
    np.testing.assert_array_equal(pacific.temperature.values, numbers[:, :, 15:25, 40:50])


def test_woa_is_one_field_without_date():
    path = shared("woa18/woa18_5deg_annual.nc")
    opened = canonical.open_fields(path)
    assert_canonical(opened)
    np.testing.assert_array_equal(
        opened.temperature.values[0], np.roll(raw(path, "t_an")[0], 36, axis=2)
    )
    assert opened.time.values.tolist() == [np.datetime64("2001-07-02T12", "ns").astype(int)]
    assert "no date" in opened.time.attrs["comment"] and "2001" in opened.time.attrs["comment"]
    # There is no salinity in the file: in-situ temperature stays what it is.
    assert opened.temperature.attrs["standard_name"] == "sea_water_temperature"


GIOPS, LEVITUS = "giops/nemo_test.nc", "levitus/levitus94_4deg_monthly.nc"
WOA, OSTIA = "woa18/woa18_5deg_annual.nc", "sst/ostia_monthly.nc"
BONAVISTA, SEAL_ISLAND, WHITE_BAY = (
    f"glorys12_sections/{name}_glorys12_monthly_1993-2019.nc"
    for name in ("Bonavista", "SealIsland", "WhiteBay")
)
# Read off the files: date, depth, latitude, longitude, and the number that stands there.
BY_HAND = [
    (GIOPS, "2014-05-17", 0.494025, 0.499994, -162.25, 301.88742 - 273.15),
    (GIOPS, "2014-06-16T12", 92.3261, 10.441716, -149.75, 291.01648 - 273.15),
    (GIOPS, "2014-05-17", 3992.48, 0.9999492, -157.25, np.nan),
    (LEVITUS, "2001-01-16T12", 25, 2, -158, 26.836222),
    (LEVITUS, "2001-07-16T12", 290, 22, 162, 15.778842),
    (LEVITUS, "2001-12-16T12", 4855, 22, 162, 1.045),
    (WOA, "2001-07-02T12", 0, 12.5, -157.5, 25.572033),
    (WOA, "2001-07-02T12", 500, 12.5, -157.5, 7.6339345),
    (WOA, "2001-07-02T12", 0, -2.5, 152.5, 29.47556),
    (WOA, "2001-07-02T12", 5500, 12.5, -157.5, np.nan),
    (OSTIA, "2006-04-16", 0, -0.5555496, -110, 299.23642 - 273.15),
    (OSTIA, "2010-09-16", 0, -0.5555496, 166.66666, 300.72797 - 273.15),
    (BONAVISTA, "1993-01-16T12", 0.494, 48.92, -52.4, -1.5028194),
    (BONAVISTA, "2019-12-16T12", 186.1256, 49.37, -51.02, 2.5599487),
    (SEAL_ISLAND, "1993-01-16T12", 0.494, 53.533, -55.145, -1.6757789),
    (SEAL_ISLAND, "2019-12-16T12", 77.8539, 54.2, -54, 0.9289766),
    (WHITE_BAY, "1993-08-16T12", 92.3261, 50.85, -54.33, -1.7298423),
    (WHITE_BAY, "2019-12-16T12", 186.1256, 51.23, -53, 3.205444),
]


@pytest.mark.parametrize("name, date, depth, latitude, longitude, expected", BY_HAND)
def test_values_read_off_by_hand(name, date, depth, latitude, longitude, expected):
    temperature = canonical.open_fields(shared(name), depths=[depth]).temperature
    at = {"depth": depth, "latitude": latitude, "longitude": longitude}
    value = temperature.sel(time=np.datetime64(date, "ns")).sel(at, method="nearest")
    np.testing.assert_allclose(value, expected, atol=3e-5)
    row = value.coords.get("station_latitude", value.latitude)
    np.testing.assert_allclose([value.depth, row, value.longitude], list(at.values()), atol=1e-3)


def test_ostia_is_a_surface_at_0_m():
    path = shared("sst/ostia_monthly.nc")
    numbers, attrs = raw(path, "surface_temperature")
    opened = canonical.open_fields(path)
    assert_canonical(opened)
    expected = np.where(numbers == attrs["_FillValue"], np.nan, numbers - np.float32(273.15))
    np.testing.assert_allclose(
        opened.temperature.values[:, 0], np.roll(expected, 216, axis=2), atol=1e-5
    )
    assert opened.depth.values.tolist() == [0] and opened.longitude[0] == -180


@pytest.mark.parametrize("name", ["Bonavista", "SealIsland", "WhiteBay"])
def test_a_section_is_a_field_with_one_row(name):
    path = shared(f"glorys12_sections/{name}_glorys12_monthly_1993-2019.nc")
    numbers, _ = raw(path, "thetao")
    opened = canonical.open_fields(path)
    assert_canonical(opened)
    assert opened.sizes["latitude"] == 1
    np.testing.assert_array_equal(opened.temperature.values[:, :, 0], numbers)
    np.testing.assert_array_equal(opened.station_latitude, raw(path, "latitude")[0])
    assert (opened.ocean.values[:, 0] == np.isfinite(numbers).all(0)).all()
    assert "Copernicus" in opened.attrs["credit"]


# Many files, and what is cut from them


def test_zarr_glob_folder_and_list_agree(tmp_path):
    truth = sea()
    truth.to_zarr(tmp_path / "whole.zarr", zarr_format=2)
    (tmp_path / "months" / "deep").mkdir(parents=True)
    for i in range(3):
        folder = tmp_path / "months" / ("deep" if i else ".")
        truth.isel(time=[i]).to_netcdf(folder / f"{2 - i}.nc", encoding={"thetao": PACKING})
    (tmp_path / "months" / ".3.part.nc").write_bytes(b"half a file")
    folder = canonical.open_fields(tmp_path / "months")
    assert (folder.time.values == truth.time.values).all()
    parts = [
        str(tmp_path / "months/*.nc"),
        tmp_path / "months/deep/1.nc",
        tmp_path / "months/deep/0.nc",
    ]
    xr.testing.assert_identical(canonical.open_fields(parts).compute(), folder.compute())
    whole = canonical.open_fields(tmp_path / "whole.zarr")
    np.testing.assert_allclose(whole.temperature, folder.temperature, atol=4e-4)
    assert folder.attrs["credit"] == "somebody"


def test_a_gap_stays_in_the_ocean_and_is_counted():
    truth = sea()
    truth.thetao[1, 0, 7, 7] = np.nan
    opened = canonical.to_canonical(truth)
    assert opened.attrs["n_intermittent"] == 0 and opened.ocean[0, 7, 7]
    assert opened.attrs["n_gaps"] == 1 and "2020-02-15" in opened.attrs["worst_gap"]
    np.testing.assert_array_equal(opened.temperature, truth.thetao)
    told = description.describe_fields(opened)
    assert "1 values of the ocean are missing, at most 0.2% of the ocean on 2020-02-15" in told


def test_cells_with_values_on_few_dates_are_no_ocean_but_counted():
    truth = sea()
    truth.thetao[1:, 0, 7, 7] = np.nan
    opened = canonical.to_canonical(truth)
    assert opened.attrs["n_intermittent"] == 1 and not opened.ocean[0, 7, 7]
    assert np.isnan(opened.temperature[:, 0, 7, 7]).all() and opened.attrs["n_gaps"] == 0
    assert "1 cells with values on few dates are left out" in description.describe_fields(opened)
    truth.thetao[0, :, :8] = np.nan
    words = ["few dates", "missing, limit 10%", "fill the gaps"]
    refused(words, canonical.to_canonical, truth)


def test_what_lies_outside_is_refused(tmp_path):
    path = tmp_path / "a.nc"
    sea().to_netcdf(path)
    read = canonical.open_fields
    refused(["-80", "-52", "-51.1667", "inside"], read, path, region=(-80, -51.5, 40, 41))
    refused(["-40", "-51.1667", "inside"], read, path, region=(-51.5, -40, 40, 41))
    refused(["20", "40", "41", "inside"], read, path, region=(-52, -51.5, 20, 40.5))
    refused(["41, 40", "west, east"], read, path, region=(-52, -51.5, 41, 40))
    refused(["0 rows", "0 columns", "0.0833"], read, path, region=(-51.99, -51.98, 40.01, 40.02))
    refused(["5000", "541.089", "half a layer", "0.494"], read, path, depths=[0, 5000])
    refused(["[9, 10]", "9.573", "repetition"], read, path, depths=[9, 10])
    refused(["1993-01", "2020-01-16", "2020-03-16"], read, path, times=("1993-01", "1993-12"))
    cut = read(path, region=(-51.75, -51.5, 40.25, 40.5), depths=[10], times=("2020-02", "2020-03"))
    assert dict(cut.sizes) == {"time": 2, "depth": 1, "latitude": 4, "longitude": 4}
    np.testing.assert_array_equal(cut.temperature, sea().thetao[1:, 1:2, 3:7, 3:7])


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    truth = sea()
    truth.isel(time=[0]).to_netcdf(tmp_path / "0.nc")
    truth.isel(time=[1], depth=[0, 1]).to_netcdf(tmp_path / "1.nc")
    refused(["1.nc", "depth (2 ", "(4 ", "separately"], canonical.open_fields, tmp_path)
    hycom(truth.isel(time=[1])).to_netcdf(tmp_path / "1.nc")
    refused(["1.nc", "sea_water_temperature", "separately"], canonical.open_fields, tmp_path)
    truth.isel(time=[0]).to_netcdf(tmp_path / "1.nc")
    refused(["2020-01-16", "limit 1", "drop one of the files"], canonical.open_fields, tmp_path)


@pytest.mark.parametrize("lacking", ["thetao", "so"])
def test_half_a_domain_of_a_variable_is_refused(small_ocean, lacking):
    """Neither variable may cut the ocean of the other in silence; a coast may differ by cells."""
    ocean = small_ocean.isel(time=slice(0, 3))
    files = xr.Dataset({"thetao": ocean.temperature, "so": 35 + 0.01 * ocean.temperature})
    files["so"].attrs = {"units": "1e-3"}
    west = files.longitude < float(files.longitude[14])
    with pytest.raises(ValueError, match="have values in .* limit 90%.* out of variables"):
        canonical.to_canonical(files.assign({lacking: files[lacking].where(west)}), ["so"])
    coast = files.longitude > float(files.longitude[0])
    fields = canonical.to_canonical(files.assign({lacking: files[lacking].where(coast)}), ["so"])
    assert not fields.ocean.isel(longitude=0).any() and fields.ocean.isel(longitude=1).any()
