"""Every way of storing the same numbers, written without xarray, against what was stored."""

import netCDF4
import numpy as np
import pytest
import xarray as xr
from grids import DIMS, PACKING, assert_canonical, raw, sea

from ocean_lib.fields import canonical, decoding

DEFAULT = netCDF4.default_fillvals["f4"]  # 9.96921e36
STEP = {"scale_factor": 0.001, "add_offset": 10.0}


def write(path, numbers, attrs, truth, *, endian="native", **how):
    """One variable as raw numbers; the fill is an attribute like any other."""
    file_format = how.pop("format", "NETCDF4")
    with netCDF4.Dataset(path, "w", format=file_format) as file:
        for dim in DIMS:
            file.createDimension(dim, truth.sizes[dim])
            axis = file.createVariable(dim, "f8", (dim,))
            axis[:] = [15, 45, 75] if dim == "time" else truth[dim].values
        file["time"].units = "days since 2020-01-01"
        variable = file.createVariable(
            "thetao", numbers.dtype, DIMS, endian=endian, fill_value=attrs.get("_FillValue"), **how
        )
        variable.set_auto_maskandscale(False)
        rest = {key: value for key, value in attrs.items() if key != "_FillValue"}
        variable.setncatts({"units": "degC"} | rest)
        variable[:] = numbers


# Type, attributes, the number that stands on land, and how it is written.
I2, U1, F4 = np.int16, np.uint8, np.float32
BYTE = {"scale_factor": 0.1, "add_offset": -5.0}
STORED = {
    "int16": ("i2", STEP | {"_FillValue": I2(-32767)}, -32767, {}),
    "missing_value": ("i2", STEP | {"missing_value": I2(-9999)}, -9999, {}),
    "both, the same": (
        "i2",
        STEP | dict.fromkeys(("_FillValue", "missing_value"), I2(-32000)),
        -32000,
        {},
    ),
    "int32": ("i4", {"scale_factor": 1e-5, "_FillValue": np.int32(-(2**31))}, -(2**31), {}),
    "scale without offset": ("i2", {"scale_factor": 1e-3, "_FillValue": I2(-(2**15))}, -32768, {}),
    "offset without scale": ("f4", {"add_offset": F4(2), "_FillValue": F4(-99)}, -99, {}),
    "uint8": ("u1", BYTE | {"_FillValue": U1(255)}, 255, {}),
    "uint8 as a signed byte": (
        "i1",
        BYTE | {"_Unsigned": "true", "_FillValue": np.int8(-1)},
        -1,
        {"format": "NETCDF3_CLASSIC"},
    ),
    "float, 1e20": ("f4", {"_FillValue": F4(1e20)}, 1e20, {}),
    "float, missing_value 1e20": ("f4", {"missing_value": F4(1e20)}, 1e20, {}),
    "float, default fill": ("f4", {"_FillValue": F4(DEFAULT)}, DEFAULT, {}),
    "float, NaN": ("f4", {"_FillValue": F4(np.nan)}, np.nan, {}),
    "float, NaN undeclared": ("f4", {}, np.nan, {}),
    "double": ("f8", {"_FillValue": -1e34}, -1e34, {}),
    # Missing values of another type than their variable.
    "double beside float": ("f4", {"missing_value": -9.99}, -9.99, {}),
    "double 1e20 beside float": ("f4", {"missing_value": 1e20}, 1e20, {}),
    "text beside float": ("f4", {"missing_value": "-999.9"}, -999.9, {}),
    "float beside double": ("f8", {"missing_value": F4(-99.99)}, F4(-99.99), {}),
    "integer beside float": ("f4", {"missing_value": np.int32(-999)}, -999, {}),
    "double beside int16": ("i2", STEP | {"missing_value": -9999.0}, -9999, {}),
    "text beside int16": ("i2", STEP | {"missing_value": "-9999"}, -9999, {}),
    "int32 beside int16": ("i2", STEP | {"missing_value": np.int32(-9999)}, -9999, {}),
    "two missing values": ("f4", {"missing_value": np.array([-99.9, -9.99])}, -9.99, {}),
    "a fill and a missing value of another type": (
        "f4",
        {"_FillValue": F4(1e20), "missing_value": -9.99},
        -9.99,
        {},
    ),
    "scale as text": (
        "i2",
        {"scale_factor": "0.001", "add_offset": "10", "_FillValue": I2(-32767)},
        -32767,
        {},
    ),
    "big-endian int16": ("i2", STEP | {"_FillValue": I2(-32767)}, -32767, {"endian": "big"}),
    "big-endian float": ("f4", {"_FillValue": F4(1e20)}, 1e20, {"endian": "big"}),
    "classic": ("i2", STEP | {"_FillValue": I2(-32767)}, -32767, {"format": "NETCDF3_CLASSIC"}),
    "64-bit offset": ("f4", {"_FillValue": F4(1e20)}, 1e20, {"format": "NETCDF3_64BIT_OFFSET"}),
    "64-bit data": ("f4", {"_FillValue": F4(1e20)}, 1e20, {"format": "NETCDF3_64BIT_DATA"}),
    "NetCDF4 classic": ("f4", {"_FillValue": F4(1e20)}, 1e20, {"format": "NETCDF4_CLASSIC"}),
    "contiguous": ("f4", {"_FillValue": F4(1e20)}, 1e20, {"contiguous": True}),
    "chunked": (
        "i2",
        STEP | {"_FillValue": I2(-32767)},
        -32767,
        {"chunksizes": (1, 2, 5, 4), "zlib": True, "shuffle": True},
    ),
    "valid_range": ("i2", STEP | {"valid_range": np.array([-20000, 30000], I2)}, -20001, {}),
    "valid_min": ("i2", STEP | {"valid_min": I2(-20000)}, -32768, {}),
    "valid_max": ("i2", STEP | {"valid_max": I2(30000)}, 30001, {}),
    "valid_min and fill": (
        "i2",
        STEP | {"valid_min": I2(-20000), "_FillValue": I2(-32000)},
        -20009,
        {},
    ),
    "valid_range after scaling": ("i2", STEP | {"valid_range": np.array([-10.0, 40])}, -20001, {}),
    "valid_range after a negative scale": (
        "i2",
        {"scale_factor": -0.001, "add_offset": 10.0, "valid_range": np.array([-10.0, 35])},
        20001,
        {},
    ),
    "valid_range of a signed byte": (
        "i1",
        BYTE | {"_Unsigned": "true", "valid_range": np.array([0, -2], np.int8)},
        -1,
        {"format": "NETCDF3_CLASSIC"},
    ),
    "valid_range of floats": ("f4", {"valid_range": np.array([-10, 40], F4)}, 1e20, {}),
    "valid_max of floats, fill too": ("f4", {"valid_max": F4(40), "_FillValue": F4(-5)}, 99, {}),
    "valid_range big-endian": (
        "i2",
        STEP | {"valid_range": np.array([-20000, 30000], I2)},
        31000,
        {"endian": "big"},
    ),
}


@pytest.mark.parametrize("name", STORED)
def test_stored_numbers(tmp_path, name):
    dtype, attrs, land, how = STORED[name]
    truth = sea()
    wet = np.isfinite(truth.thetao.values)
    scale, offset = (float(attrs.get(key, 0)) for key in ("scale_factor", "add_offset"))
    numbers = (truth.thetao.values.astype("f8") - offset) / (scale or 1)
    unsigned = attrs.get("_Unsigned") and np.dtype(f"u{dtype[1]}")
    if dtype[0] != "f":
        numbers = np.rint(numbers)
    numbers = np.where(wet, numbers, 0).astype(unsigned or dtype).astype(dtype)
    expected = numbers.view(unsigned or dtype) * (scale or 1.0) + offset
    numbers[~wet] = land
    write(tmp_path / "a.nc", numbers, attrs, truth, **how)
    opened = canonical.open_fields(tmp_path / "a.nc")
    np.testing.assert_allclose(
        opened.temperature.values, np.where(wet, expected, np.nan), rtol=1e-6, atol=2e-6
    )
    np.testing.assert_allclose(opened.temperature, truth.thetao, atol=0.51 * abs(scale) + 2e-6)
    if not {"valid", "text", "beside", "another", "two"} & {*name.replace("_", " ").split()}:
        # Once decoded, what the limits meant is lost
        decoded = xr.open_dataset(tmp_path / "a.nc")
        np.testing.assert_array_equal(
            canonical.to_canonical(decoded).temperature, opened.temperature
        )


@pytest.mark.parametrize(
    ("dtype", "attrs", "words"),
    [
        ("f4", {"missing_value": "none"}, "missing_value 'none', which is no number"),
        ("i2", {"missing_value": -9.99}, "int16 and has missing_value -9.99.*cannot hold"),
        ("i2", {"missing_value": np.float32(1e20)}, "missing_value 1e.20, which int16 cannot hold"),
        ("i2", {"missing_value": 99999.0}, "missing_value 99999, which int16 cannot hold"),
        ("i2", {"scale_factor": 0.0}, "scale_factor 0.0, must be one number other than 0"),
        ("i2", {"add_offset": np.nan}, "add_offset nan"),
        ("i2", {"scale_factor": "1/1000"}, "scale_factor '1/1000', which is no number"),
    ],
)
def test_a_declaration_that_is_no_number_is_refused(tmp_path, dtype, attrs, words):
    truth = sea()
    numbers = np.nan_to_num(truth.thetao.values).astype(dtype)
    write(tmp_path / "a.nc", numbers, attrs, truth)
    with pytest.raises(ValueError, match=words):
        canonical.open_fields(tmp_path / "a.nc")


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("packing", [PACKING, {"dtype": "float32", "_FillValue": 1e20}])
def test_zarr(tmp_path, version, packing):
    truth = sea()
    truth.thetao.attrs["valid_min"] = -32766 if packing is PACKING else -9.0
    packing = packing | {"chunks": (1, 4, 5, 11)}
    truth.to_zarr(tmp_path / "a.zarr", zarr_format=version, encoding={"thetao": packing})
    opened = canonical.open_fields(tmp_path / "a.zarr")
    assert_canonical(opened)
    np.testing.assert_allclose(opened.temperature, truth.thetao, atol=4e-4)


def test_the_fill_is_told_by_the_raw_integer(tmp_path):
    """−32767 decodes to −3.0 °C, a plausible temperature; 0 °C is one too."""
    truth = sea()
    truth.thetao[:, 0, 5, 5] = 0.0
    truth.to_netcdf(tmp_path / "a.nc", encoding={"thetao": PACKING})
    numbers, attrs = raw(tmp_path / "a.nc", "thetao")
    assert numbers[0, 0, 0, 0] == -32767
    assert -32767 * attrs["scale_factor"] + attrs["add_offset"] == pytest.approx(-3.0)
    opened = canonical.open_fields(tmp_path / "a.nc")
    assert_canonical(opened)
    expected = np.where(numbers == -32767, np.nan, numbers * (24 / 32767) + 21)
    np.testing.assert_allclose(opened.temperature.values, expected, atol=2e-6)
    assert not opened.ocean[:, 0, 0].any() and not opened.ocean[3, 1].any()
    assert opened.ocean[0, 5, 5] and float(abs(opened.temperature[0, 0, 5, 5])) < 4e-4
    assert opened.temperature.dtype == np.float32 and opened.temperature.chunks is not None
    assert opened.attrs["licence"] == "CC BY 4.0"


def test_limits_of_another_type_say_nothing():
    """A file decoded and written again as floats keeps the limits of the integers it was."""
    truth = sea()
    for attrs in (
        {"valid_min": np.int16(14)},
        {"valid_range": np.array([1, 2], "i2")},
        {"valid_range": "0 to 1"},
        {"valid_range": np.array([1.0, 2, 3])},
    ):
        truth.thetao.attrs |= attrs
        np.testing.assert_array_equal(canonical.to_canonical(truth).temperature, truth.thetao)
        del truth.thetao.attrs[next(iter(attrs))]


def test_limits_add_no_memory():
    """What the limits cut stays packed, and lazy, until it is decoded."""
    packed = xr.Dataset({"t": ("x", np.arange(100, dtype="i2"), {"valid_max": np.int16(50)})})
    lazy = decoding._only_valid(packed.t.chunk(10))
    assert lazy.dtype == np.int16 and lazy.chunks == ((10,) * 10,)
    np.testing.assert_array_equal(lazy.values, np.minimum(np.arange(100), 51))  # 51 is the fill
    cut = decoding.decode(packed.chunk(10), ["t"]).t.values
    assert np.isnan(cut[51:]).all() and (cut[:51] == np.arange(51)).all()
