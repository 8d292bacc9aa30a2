"""What the tests of fields share: a small sea, its writers in each model's manner, raw reads."""

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PACKING = {"dtype": "int16", "scale_factor": 24 / 32767, "add_offset": 21.0, "_FillValue": -32767}
DEPTH = np.array([0.494, 9.573, 97.0, 541.089])
LATITUDE, LONGITUDE = np.linspace(40, 41, 13), np.linspace(-52, -51, 13)[:11]
DIMS = ("time", "depth", "latitude", "longitude")


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


def refused(words, call, *args, error=ValueError, **kwargs):
    with pytest.raises(error) as caught:
        call(*args, **kwargs)
    for word in words:
        assert word in str(caught.value), f"{word!r} is not in {caught.value}"


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
                DIMS,
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


def salty(d, name="so", **attrs):
    """The same with salinity, from 33 to 36, on the same cells."""
    values = 34.5 + 1.5 * np.sin(np.arange(d.thetao.size)).reshape(d.thetao.shape)
    attrs = attrs or {"standard_name": "sea_water_salinity", "units": "1e-3"}
    return d.assign({name: d.thetao.copy(data=values).where(d.thetao.notnull())}).assign(
        {name: lambda new: new[name].drop_attrs().assign_attrs(attrs)}
    )


def in_situ(d):
    d = d.rename(thetao="water_temp")
    d.water_temp.attrs = {"standard_name": "sea_water_temperature", "units": "degC"}
    return d


def matrix(d, latitude, longitude, rows, columns):
    """Latitude and longitude as 2-D coordinates over dimensions without coordinates."""
    y, x = np.meshgrid(d.latitude, d.longitude, indexing="ij")
    d = d.drop_vars(["latitude", "longitude"]).rename(latitude=rows, longitude=columns)
    return d.assign({latitude: ((rows, columns), y), longitude: ((rows, columns), x)})


# Datasets as models and atlases write them, from the small sea


def nemo(d):
    d = d.rename(thetao="votemper", depth="deptht", time="time_counter")
    d = matrix(d, "nav_lat", "nav_lon", "y", "x")
    d.votemper.attrs = {"units": "degC", "long_name": "temperature"}
    d.votemper.attrs["coordinates"] = "time_counter deptht nav_lat nav_lon"
    d.nav_lat.attrs = {"units": "degrees_north", "valid_min": np.float32(50)}
    d.nav_lon.attrs = {"units": "degrees_east", "valid_min": np.float32(0)}
    d.deptht.attrs = {"positive": "unknown", "units": "m", "title": "deptht"}
    return d


def nemo_by_names(d):
    d = nemo(d).drop_attrs().rename(votemper="toce", deptht="gdept_1d")
    return d.assign_coords(y=np.arange(d.sizes["y"]), x=np.arange(d.sizes["x"]))


def roms(d):
    d = d.rename(time="ocean_time", depth="z", thetao="temp")
    d.temp.attrs = {"long_name": "time-averaged potential temperature", "units": "Celsius"}
    return matrix(d, "lat_rho", "lon_rho", "eta_rho", "xi_rho")


def hycom(d):
    d = in_situ(d).rename(latitude="lat", longitude="lon")
    d = d.assign_coords(lon=("lon", d.lon.values + 360, {"units": "degrees_east"}))
    return d.assign(tau=("time", np.zeros(d.sizes["time"]), {"units": "hours since analysis"}))


def mom(d):
    d = d.rename(thetao="temp", depth="st_ocean")
    y, x = np.meshgrid(d.latitude, d.longitude, indexing="ij")
    d = d.rename(latitude="yt_ocean", longitude="xt_ocean")
    d = d.assign_coords(yt_ocean=d.yt_ocean - 0.5, xt_ocean=d.xt_ocean - 70)  # nominal
    d["geolat_t"] = (("yt_ocean", "xt_ocean"), y, {"units": "degrees_N"})
    d["geolon_t"] = (("yt_ocean", "xt_ocean"), x, {"units": "degrees_E"})
    d["temp"] = d.temp + 273.15
    d.temp.attrs = {"units": "degrees K", "long_name": "Potential temperature"}
    d.temp.attrs["valid_range"] = np.array([263.15, 573.15], "f4")
    d.temp.attrs["coordinates"] = "geolon_t geolat_t"
    d.yt_ocean.attrs, d.xt_ocean.attrs = {"units": "degrees_N"}, {"units": "degrees_E"}
    d.st_ocean.attrs = {"units": "meters", "cartesian_axis": "Z", "positive": "down"}
    return d


def pop(d):
    """Monthly means dated at the end of each month, as CESM writes them."""
    d = d.rename(thetao="TEMP", depth="z_t")
    d = matrix(d, "TLAT", "TLONG", "nlat", "nlon")
    d = d.assign(TLONG=d.TLONG % 360, ULAT=d.TLAT + 0.04, ULONG=d.TLONG % 360 + 0.04)
    for name, units in (("LAT", "degrees_north"), ("LONG", "degrees_east")):
        d[f"T{name}"].attrs = d[f"U{name}"].attrs = {"units": units}
    d.TEMP.attrs = {"units": "degC", "long_name": "Potential Temperature"}
    d.TEMP.attrs["coordinates"] = "TLONG TLAT z_t time"
    d = d.assign_coords(z_t=("z_t", d.z_t.values * 100, {"units": "centimeters"}))
    ends = np.array([0.0, 30, 60, 90])  # days around 16 January, 15 February, 16 March
    units = {"units": "days since 2020-01-01", "calendar": "standard", "bounds": "time_bound"}
    return d.assign_coords(time=("time", ends[1:], units)).assign(
        time_bound=(("time", "d2"), np.stack([ends[:-1], ends[1:]], 1))
    )


def mitgcm(d):
    d = d.rename(thetao="THETA", depth="Z", latitude="YC", longitude="XC")
    d.THETA.attrs = {"units": "degC", "long_name": "potential_temperature"}
    return d.assign_coords(Z=("Z", -d.Z.values, {"units": "meters"}))


def armor3d(d):
    d = in_situ(d).rename(water_temp="to")
    return d.assign_coords(depth=d.depth.assign_attrs(positive="up"))


def woa(d):
    d = in_situ(d).rename(water_temp="t_an", latitude="lat", longitude="lon")
    d = d.assign(t_mn=d.t_an * np.nan, t_sd=d.t_an * 0)
    for name in ("t_mn", "t_sd"):
        d[name].attrs = dict(d.t_an.attrs)
    months = [780 + 15 / 31, 781 + 14 / 29, 782 + 15 / 31]
    return d.assign_coords(time=("time", months, {"units": "months since 1955-01-01 00:00:00"}))


def en4(d):
    d = d.rename(thetao="temperature", latitude="lat", longitude="lon")
    d["temperature"] = (d.temperature + 273.15).assign_attrs(d.temperature.attrs, units="kelvin")
    return d


def mom6(d):
    return d.rename(depth="z_l", latitude="yh", longitude="xh")


def upside_down(d):
    d = d.isel(depth=slice(None, None, -1)).rename(depth="elevation")
    return d.assign_coords(
        elevation=("elevation", -d.elevation.values, {"units": "m", "positive": "up", "axis": "Z"})
    )


def kelvin(d):
    return d.assign(thetao=(d.thetao + 273.15).assign_attrs(d.thetao.attrs, units="K"))


def centimetres(d):
    return d.assign_coords(depth=("depth", d.depth.values * 100, {"units": "cm"}))


def two_grids(d):
    """The corners stand first; the variable lists the centres as its coordinates."""
    d = matrix(d, "b_lat", "b_lon", "y", "x")
    for name, of in (("lat", "north"), ("lon", "east")):
        d[f"b_{name}"].attrs["units"] = f"degrees_{of}"
        d[f"a_{name}"] = (d[f"b_{name}"] + 0.04).assign_attrs(d[f"b_{name}"].attrs)
    d.thetao.attrs["coordinates"] = "time depth b_lat b_lon"
    return d


def assert_canonical(fields):
    """Names, order, types and plausible values; the ocean is where variables have values."""
    variables = [name for name in fields.data_vars if set(DIMS) <= {*fields[name].dims}]
    assert "temperature" in variables
    assert all(fields[name].dims == DIMS for name in variables)
    assert {fields[name].dtype for name in variables} == {np.dtype("float32")}
    assert fields.ocean.dims == DIMS[1:] and fields.ocean.dtype == bool
    kinds = ("potential_", "", "conservative_")
    names = {f"sea_water_{kind}temperature" for kind in kinds}
    assert fields.temperature.attrs["standard_name"] in names
    for dim in DIMS:
        values = fields[dim].values
        assert dim in fields.indexes and (values[:-1] < values[1:]).all()
    assert fields.depth[0] >= 0
    finite = np.logical_and.reduce([np.isfinite(fields[name].values) for name in variables])
    assert not (finite & ~fields.ocean.values).any()
    assert (fields.ocean.values & ~finite).sum() == fields.attrs["n_gaps"]
    assert (finite.mean(0)[fields.ocean.values] > 0.5).all()
    inside = fields.temperature.values[finite]
    assert inside.min() >= -10 and inside.max() <= 45
