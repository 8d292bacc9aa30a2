"""Fields against raw numbers read independently, and every refusal against its value and remedy."""

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from ocean_lib import fields

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PACKING = {"dtype": "int16", "scale_factor": 24 / 32767, "add_offset": 21.0, "_FillValue": -32767}
DEPTH = np.array([0.494, 9.573, 97.0, 541.089])
LATITUDE, LONGITUDE = np.linspace(40, 41, 13), np.linspace(-52, -51, 13)[:11]


def shared(name):
    if not (DATA / name).exists():
        pytest.skip(f"the shared development data ({name}) is absent")
    return DATA / name


def raw(path, name):
    """Undecoded numbers and attributes, without xarray."""
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        variable = file[name]
        return variable[:], {key: variable.getncattr(key) for key in variable.ncattrs()}


def sea(months=3, longitude=LONGITUDE, latitude=LATITUDE, depth=DEPTH):
    """A GLORYS12-like dataset: column (0, 0) is land, row 1 has sea floor at the deepest level."""
    rng = np.random.default_rng(0)
    shape = (months, len(depth), len(latitude), len(longitude))
    values = 15 - 10 * np.sqrt(np.asarray(abs(depth)) / 541)[:, None, None] + rng.normal(size=shape)
    values[:, :, 0, 0] = np.nan
    values[:, abs(depth).argmax(), 1] = np.nan
    return xr.Dataset(
        {
            "thetao": (
                ("time", "depth", "latitude", "longitude"),
                values.astype("float32"),
                {"standard_name": "sea_water_potential_temperature", "units": "degrees_C"},
            )
        },
        {
            "time": np.array(["2020-01-16", "2020-02-15", "2020-03-16"], "M8[ns]")[:months],
            "depth": ("depth", np.asarray(depth), {"units": "m", "positive": "down"}),
            "latitude": ("latitude", latitude, {"units": "degrees_north"}),
            "longitude": ("longitude", longitude, {"units": "degrees_east"}),
        },
        {"credit": "somebody", "licence": "CC BY 4.0"},
    )


def refused(words, call, *args, error=ValueError, **kwargs):
    with pytest.raises(error) as caught:
        call(*args, **kwargs)
    for word in words:
        assert word in str(caught.value), f"{word!r} is not in {caught.value}"


# Real files


def test_giops():
    path = shared("giops/nemo_test.nc")
    numbers, attrs = raw(path, "votemper")
    opened = fields.open_fields(path)
    fields.check(opened)
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
    opened = fields.open_fields(
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
    opened = fields.open_fields(path)
    fields.check(opened)
    assert opened.longitude.values[[0, 44, 45, -1]].tolist() == [-178, -2, 2, 178]
    np.testing.assert_array_equal(opened.temperature.values, np.roll(numbers, 45, axis=3))
    assert opened.time.values[0] == np.datetime64("2001-01-16T12")
    assert opened.time.values[1] == np.datetime64("2001-02-15")
    assert "nominal year 2001" in opened.time.attrs["comment"]
    pacific = fields.open_fields(path, region=(160, -160, -20, 20))
    assert pacific.longitude.values.tolist() == list(range(162, 200, 4))
    np.testing.assert_array_equal(pacific.temperature.values, numbers[:, :, 15:25, 40:50])


def test_woa_is_one_field_without_date():
    path = shared("woa18/woa18_5deg_annual.nc")
    refused(["no time axis", "expand_dims(time="], fields.open_fields, path)
    with xr.open_dataset(path) as dataset:
        dated = dataset.expand_dims(time=[np.datetime64("2005-07-02", "ns")])
        opened = fields.canonical(dated).compute()
    fields.check(opened)
    np.testing.assert_array_equal(
        opened.temperature.values[0], np.roll(raw(path, "t_an")[0], 36, axis=2)
    )
    assert opened.temperature.attrs["standard_name"] == "sea_water_temperature"


def test_ostia_is_a_surface_at_0_m():
    path = shared("sst/ostia_monthly.nc")
    numbers, attrs = raw(path, "surface_temperature")
    opened = fields.open_fields(path)
    fields.check(opened)
    expected = np.where(numbers == attrs["_FillValue"], np.nan, numbers - np.float32(273.15))
    np.testing.assert_allclose(
        opened.temperature.values[:, 0], np.roll(expected, 216, axis=2), atol=1e-5
    )
    assert opened.depth.values.tolist() == [0] and opened.longitude[0] == -180


@pytest.mark.parametrize("name", ["Bonavista", "SealIsland", "WhiteBay"])
def test_a_section_is_a_field_with_one_row(name):
    path = shared(f"glorys12_sections/{name}_glorys12_monthly_1993-2019.nc")
    numbers, _ = raw(path, "thetao")
    opened = fields.open_fields(path)
    fields.check(opened)
    assert opened.sizes["latitude"] == 1
    np.testing.assert_array_equal(opened.temperature.values[:, :, 0], numbers)
    np.testing.assert_array_equal(opened.station_latitude, raw(path, "latitude")[0])
    assert (opened.ocean.values[:, 0] == np.isfinite(numbers).all(0)).all()
    assert "Copernicus" in opened.attrs["credit"]


# What files are like


def test_the_fill_is_told_by_the_raw_integer(tmp_path):
    """−32767 decodes to −3.0 °C, a plausible temperature; 0 °C is one too."""
    truth = sea()
    truth.thetao[:, 0, 5, 5] = 0.0
    truth.to_netcdf(tmp_path / "a.nc", encoding={"thetao": PACKING})
    numbers, attrs = raw(tmp_path / "a.nc", "thetao")
    assert numbers[0, 0, 0, 0] == -32767
    assert -32767 * attrs["scale_factor"] + attrs["add_offset"] == pytest.approx(-3.0)
    opened = fields.open_fields(tmp_path / "a.nc")
    fields.check(opened)
    expected = np.where(numbers == -32767, np.nan, numbers * (24 / 32767) + 21)
    np.testing.assert_allclose(opened.temperature.values, expected, atol=2e-6)
    assert not opened.ocean[:, 0, 0].any() and not opened.ocean[3, 1].any()
    assert opened.ocean[0, 5, 5] and float(abs(opened.temperature[0, 0, 5, 5])) < 4e-4
    assert opened.temperature.dtype == np.float32 and opened.temperature.chunks is not None
    assert opened.attrs["licence"] == "CC BY 4.0"
    undecoded = xr.open_dataset(tmp_path / "a.nc", decode_cf=False)
    np.testing.assert_array_equal(fields.canonical(undecoded).temperature, opened.temperature)


def upside_down(d):
    d = d.isel(depth=slice(None, None, -1)).rename(depth="elevation")
    return d.assign_coords(
        elevation=("elevation", -d.elevation.values, {"units": "m", "positive": "up", "axis": "Z"})
    )


def curvilinear_names(d):
    d = d.rename(
        time="ocean_time", depth="z", latitude="eta_rho", longitude="xi_rho", thetao="temp"
    )
    d.temp.attrs = {"long_name": "potential temperature", "units": "Celsius"}
    y, x = np.meshgrid(d.eta_rho, d.xi_rho, indexing="ij")
    d = d.drop_vars(["eta_rho", "xi_rho"])
    return d.assign(lat_rho=(("eta_rho", "xi_rho"), y), lon_rho=(("eta_rho", "xi_rho"), x))


def hycom(d):
    d = d.rename(thetao="water_temp", latitude="lat", longitude="lon")
    d.water_temp.attrs = {"standard_name": "sea_water_temperature", "units": "degC"}
    return d.assign_coords(lon=("lon", d.lon.values + 360, {"units": "degrees_east"}))


def kelvin(d):
    return d.assign(thetao=(d.thetao + 273.15).assign_attrs(d.thetao.attrs, units="K"))


def noleap(d):
    import cftime

    dates = [
        cftime.DatetimeNoLeap(2020, 1, 16),
        cftime.DatetimeNoLeap(2020, 2, 15),
        cftime.DatetimeNoLeap(2020, 3, 16),
    ]
    return d.assign_coords(time=dates)


def centimetres(d):
    return d.assign_coords(depth=("depth", d.depth.values * 100, {"units": "cm"}))


VARIANTS = {
    "reversed latitude": lambda d: d.isel(latitude=slice(None, None, -1)),
    "reversed longitude": lambda d: d.isel(longitude=slice(None, None, -1)),
    "negative depth, deepest first": upside_down,
    "0 to 360": lambda d: d.assign_coords(longitude=d.longitude.values % 360),
    "kelvin": kelvin,
    "centimetres": centimetres,
    "unsorted times": lambda d: d.isel(time=[2, 0, 1]),
    "no-leap calendar": noleap,
    "2-D coordinates (ROMS on fixed depths)": curvilinear_names,
    "HYCOM": hycom,
    "other order of dimensions": lambda d: d.transpose("longitude", "time", "latitude", "depth"),
    "an extra dimension of one": lambda d: d.expand_dims("ensemble"),
    "float64": lambda d: d.astype("float64"),
    "names only": lambda d: d.drop_attrs(),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_the_same_field(tmp_path, name):
    truth = sea()
    VARIANTS[name](truth).to_netcdf(tmp_path / "variant.nc")
    opened = fields.open_fields(tmp_path / "variant.nc")
    fields.check(opened)
    np.testing.assert_allclose(opened.temperature.values, truth.thetao.values, atol=3e-5)
    for dim in ("time", "depth", "latitude", "longitude"):
        if dim == "time":
            assert (opened.time.values == truth.time.values).all()
        else:
            np.testing.assert_allclose(opened[dim], truth[dim], atol=1e-6)
    in_situ = opened.temperature.attrs["standard_name"] == "sea_water_temperature"
    assert in_situ == (name == "HYCOM")


def test_zarr_glob_folder_and_list_agree(tmp_path):
    truth = sea()
    truth.to_zarr(tmp_path / "whole.zarr", zarr_format=2)
    (tmp_path / "months" / "deep").mkdir(parents=True)
    for i in range(3):
        folder = tmp_path / "months" / ("deep" if i else ".")
        truth.isel(time=[i]).to_netcdf(folder / f"{2 - i}.nc", encoding={"thetao": PACKING})
    (tmp_path / "months" / ".3.part.nc").write_bytes(b"half a file")
    folder = fields.open_fields(tmp_path / "months")
    assert (folder.time.values == truth.time.values).all()
    parts = [
        str(tmp_path / "months/*.nc"),
        tmp_path / "months/deep/1.nc",
        tmp_path / "months/deep/0.nc",
    ]
    xr.testing.assert_identical(fields.open_fields(parts).compute(), folder.compute())
    whole = fields.open_fields(tmp_path / "whole.zarr")
    np.testing.assert_allclose(whole.temperature, folder.temperature, atol=4e-4)
    assert folder.attrs["credit"] == "somebody"


def test_the_date_line_and_a_repeated_column():
    ring = sea(longitude=np.arange(0, 361, 30.0))
    assert fields.canonical(ring).longitude.values.tolist() == list(range(-180, 180, 30))
    crossing = sea(longitude=np.array([178.0, 179, -180, -179]))
    opened = fields.canonical(crossing)
    assert opened.longitude.values.tolist() == [178, 179, 180, 181]
    np.testing.assert_array_equal(opened.temperature, crossing.thetao)


def test_cells_with_gaps_are_no_ocean_but_counted():
    truth = sea()
    truth.thetao[1, 0, 7, 7] = np.nan
    opened = fields.canonical(truth)
    assert opened.attrs["n_intermittent"] == 1 and not opened.ocean[0, 7, 7]
    assert np.isnan(opened.temperature[:, 0, 7, 7]).all()
    truth.thetao[0, :, :8] = np.nan
    refused(["some times only", "limit", "fill the gaps"], fields.canonical, truth)


# What is refused


def salinity(d):
    d = d.rename(thetao="so")
    d.so.attrs["standard_name"] = "sea_water_salinity"
    return d


def curved(d):
    d = curvilinear_names(d)
    return d.assign(lat_rho=d.lat_rho + 0.1 * d.lon_rho)


def terrain(d):
    return d.rename(depth="s_rho").assign_coords(s_rho=np.linspace(-1, 0, 4))


def with_value(value):
    def change(d):
        d.thetao[0, 0, 3, 3] = value
        return d

    return change


REFUSED = {
    "no temperature": (salinity, ["['so']", "thetao", "standard_name"]),
    "kelvin labelled °C": (
        lambda d: d.assign(thetao=(d.thetao + 273.15).assign_attrs(d.thetao.attrs)),
        ["290.5", "45", "kelvin", "'K'"],
    ),
    "°C labelled kelvin": (
        lambda d: d.assign(thetao=d.thetao.assign_attrs(units="K")),
        ["-2", "-10", "labelled kelvin", "'degC'"],
    ),
    "fahrenheit labelled °C": (
        lambda d: d.assign(thetao=(d.thetao * 0 + 70).assign_attrs(d.thetao.attrs)),
        ["70", "°F", "convert"],
    ),
    "unknown unit": (
        lambda d: d.assign(thetao=d.thetao.assign_attrs(units="degF")),
        ["'degF'", "°C or K", "convert"],
    ),
    "undeclared fill": (with_value(-999.0), ["-999", "-10", "_FillValue"]),
    "infinite": (with_value(np.inf), ["inf", "45", "replace"]),
    "all land": (
        lambda d: d.assign(thetao=(d.thetao * np.nan).assign_attrs(d.thetao.attrs)),
        ["0 values", "needs 1", "choose"],
    ),
    "no time": (lambda d: d.isel(time=0, drop=True), ["no time axis", "needs 1", "expand_dims"]),
    "times are numbers": (
        lambda d: d.assign_coords(time=[0.5, 1.5, 2.5]),
        ["0.5", "not dates", "days since"],
    ),
    "no depth": (lambda d: d.isel(depth=0, drop=True), ["no depth axis", "needs 1", "expand_dims"]),
    "pressure": (
        lambda d: d.assign_coords(depth=("depth", DEPTH, {"units": "dbar"})),
        ["'dbar'", "m or cm", "gsw"],
    ),
    "depths on both sides of 0": (
        lambda d: d.assign_coords(depth=("depth", [-5.0, 1, 2, 3], {"units": "m"})),
        ["-5", "both sides", "keep"],
    ),
    "terrain-following": (terrain, ["s_rho", "terrain-following", "interpolate"]),
    "curved grid": (curved, ["0.0833", "limit 0.05", "regrid"]),
    "no latitude": (
        lambda d: d.drop_vars("latitude").rename(latitude="row"),
        ["no latitude", "standard_name 'latitude'"],
    ),
    "two members": (lambda d: xr.concat([d, d], "member"), ["member", "2", "limit 1", "isel"]),
    "duplicate times": (lambda d: d.isel(time=[0, 1, 1]), ["2020-02-15", "limit 1", "drop"]),
    "missing latitude": (
        lambda d: d.assign_coords(latitude=[np.nan, *LATITUDE[1:]]),
        ["latitude", "nan", "finite"],
    ),
    "repeated depth": (
        lambda d: d.assign_coords(depth=[1.0, 1, 2, 3]),
        ["depth", "[1. 1. 2. 3.]", "of its own"],
    ),
    "months since": (
        lambda d: d.assign_coords(
            time=("time", [1, 2, 3], {"units": "months since 1955-01-01", "calendar": "standard"})
        ),
        ["months since", "days since"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_unusable_dataset_is_refused(name):
    change, words = REFUSED[name]
    refused(words, fields.canonical, change(sea()))


def test_a_file_that_is_none_is_refused(tmp_path):
    contents = {"empty": b"", "page": b"<!DOCTYPE html><html>login</html>", "grib": b"GRIB" * 9}
    for name, content in contents.items():
        (tmp_path / f"{name}.nc").write_bytes(content)
    sea().to_netcdf(tmp_path / "whole.nc")
    whole = (tmp_path / "whole.nc").read_bytes()
    (tmp_path / "short.nc").write_bytes(whole[: len(whole) // 3])
    read = fields.open_fields
    refused(["empty.nc", "0 bytes", "fetch it again"], read, tmp_path / "empty.nc")
    refused(["page.nc", "DOCTYPE", "web page", "logged in"], read, tmp_path / "page.nc")
    refused(["grib.nc", "GRIB", "convert"], read, tmp_path / "grib.nc")
    refused(["short.nc", "bytes", "cut short", "fetch"], read, tmp_path / "short.nc")
    refused(["none.nc", "correct"], read, tmp_path / "none.nc", error=FileNotFoundError)
    refused(["no*.nc", "correct"], read, str(tmp_path / "no*.nc"), error=FileNotFoundError)
    (tmp_path / "bare").mkdir()
    refused(["bare", "correct"], read, tmp_path / "bare", error=FileNotFoundError)
    refused(["empty", "at least one"], read, [], error=FileNotFoundError)


def test_what_lies_outside_is_refused(tmp_path):
    path = tmp_path / "a.nc"
    sea().to_netcdf(path)
    read = fields.open_fields
    refused(["-80", "-52", "-51.1667", "inside"], read, path, region=(-80, -51.5, 40, 41))
    refused(["20", "40", "41", "inside"], read, path, region=(-52, -51.5, 20, 40.5))
    refused(["41, 40", "west, east"], read, path, region=(-52, -51.5, 41, 40))
    refused(["0 rows", "0 columns", "0.0833"], read, path, region=(-51.99, -51.98, 40.01, 40.02))
    refused(["5000", "541.089", "half a layer", "0.494"], read, path, depths=[0, 5000])
    refused(["[9, 10]", "9.573", "once"], read, path, depths=[9, 10])
    refused(["1993-01", "2020-01-16", "2020-03-16"], read, path, times=("1993-01", "1993-12"))
    cut = read(path, region=(-51.75, -51.5, 40.25, 40.5), depths=[10], times=("2020-02", "2020-03"))
    assert dict(cut.sizes) == {"time": 2, "depth": 1, "latitude": 4, "longitude": 4}
    np.testing.assert_array_equal(cut.temperature, sea().thetao[1:, 1:2, 3:7, 3:7])


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    truth = sea()
    truth.isel(time=[0]).to_netcdf(tmp_path / "0.nc")
    truth.isel(time=[1], depth=[0, 1]).to_netcdf(tmp_path / "1.nc")
    refused(["1.nc", "depth (2 ", "(4 ", "apart"], fields.open_fields, tmp_path)
    hycom(truth.isel(time=[1])).to_netcdf(tmp_path / "1.nc")
    refused(["1.nc", "sea_water_temperature", "apart"], fields.open_fields, tmp_path)
    truth.isel(time=[0]).to_netcdf(tmp_path / "1.nc")
    refused(["2020-01-16", "limit 1", "drop one of the files"], fields.open_fields, tmp_path)


def test_check_names_what_is_not_canonical():
    good = fields.canonical(sea()).compute()
    fields.check(good)
    bad = {
        "ocean": good.drop_vars("ocean"),
        "dims": good.transpose("depth", ...),
        "float64": good.assign(temperature=good.temperature.astype("float64")),
        "standard_name": good.drop_attrs(),
        "sortby('latitude')": good.isel(latitude=slice(None, None, -1)),
        "positive down": good.assign_coords(depth=good.depth - 1),
        "differ in 4 cells": good.assign(
            ocean=good.ocean | (good.latitude + good.longitude == -12)  # the column of land
        ),
    }
    for word, dataset in bad.items():
        refused([] if word == "dims" else [word], fields.check, dataset)
