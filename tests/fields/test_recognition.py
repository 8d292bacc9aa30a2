"""Whatever a file's names, signs, units and order: the same field; what is unusable: its remedy."""

import grids
import numpy as np
import pytest
import xarray as xr
from grids import (
    DEPTH,
    DIMS,
    LATITUDE,
    LONGITUDE,
    PACKING,
    assert_canonical,
    in_situ,
    refused,
    salty,
    sea,
)

from ocean_lib.fields import canonical, description, recognition

VARIANTS = {
    "GLORYS": lambda d: d,
    "NEMO": grids.nemo,
    "NEMO by names, with index coordinates": grids.nemo_by_names,
    "ROMS on fixed depths": grids.roms,
    "two grids, one listed": grids.two_grids,
    "HYCOM, 308 to 309 E": grids.hycom,
    "MOM, nominal and true coordinates, kelvin": grids.mom,
    "MOM6": grids.mom6,
    "POP, cm, dated at the end of bounds": grids.pop,
    "MITgcm, negative Z": grids.mitgcm,
    "ARMOR3D": grids.armor3d,
    "WOA, months since": grids.woa,
    "EN4, kelvin": grids.en4,
    "reversed latitude": lambda d: d.isel(latitude=slice(None, None, -1)),
    "reversed longitude": lambda d: d.isel(longitude=slice(None, None, -1)),
    "negative depth, deepest first": grids.upside_down,
    "0 to 360": lambda d: d.assign_coords(longitude=d.longitude.values % 360),
    "kelvin": grids.kelvin,
    "centimetres": grids.centimetres,
    "unsorted times": lambda d: d.isel(time=[2, 0, 1]),
    "other order of dimensions": lambda d: d.transpose("longitude", "time", "latitude", "depth"),
    "an extra dimension of one": lambda d: d.expand_dims("ensemble"),
    "float64": lambda d: d.astype("float64"),
    "names only": lambda d: d.drop_attrs(),
    "names in capitals": lambda d: d.drop_attrs().rename(
        thetao="THETAO", depth="DEPTH", latitude="LATITUDE", longitude="LONGITUDE", time="TIME"
    ),
    "attributes only": lambda d: xr.Dataset(
        {"v": (("a", "b", "c", "d"), d.thetao.values, d.thetao.attrs)},
        {
            "a": ("a", d.time.values, {"standard_name": "time"}),
            "b": ("b", d.depth.values, {"positive": "down", "units": "m"}),
            "c": ("c", d.latitude.values, {"standard_name": "latitude"}),
            "d": ("d", d.longitude.values, {"units": "degrees_east"}),
            "depth": ("b", np.arange(4) + 7.0),  # an attribute wins over a name
        },
    ),
}
IN_SITU = ("HYCOM, 308 to 309 E", "ARMOR3D", "WOA, months since")


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_the_same_field(tmp_path, name):
    truth = sea()
    VARIANTS[name](truth).to_netcdf(tmp_path / "variant.nc")
    opened = canonical.open_fields(tmp_path / "variant.nc")
    assert_canonical(opened)
    np.testing.assert_allclose(opened.temperature.values, truth.thetao.values, atol=3e-5)
    assert opened.temperature.dims == DIMS and opened.temperature.chunks is not None
    assert (opened.time.values == truth.time.values).all()
    for dim in DIMS[1:]:
        np.testing.assert_allclose(opened[dim], truth[dim], atol=1e-6)
    told = "sea_water_temperature" if name in IN_SITU else "sea_water_potential_temperature"
    assert opened.temperature.attrs["standard_name"] == told


def ring(values):
    """A field round the globe whose temperature is told by its longitude alone."""
    d = sea(longitude=np.asarray(values, float), latitude=np.array([-10.0, 0, 10]))
    d["thetao"] = (
        (d.thetao * 0).fillna(0) + 10 + np.mod(d.longitude, 360) / 36 + d.time.dt.month / 1e4
    )
    return d


RINGS = {
    "0 to 360": np.arange(2.5, 360, 5),
    "-180 to 180": np.arange(-177.5, 180, 5),
    "74 to 434": np.arange(77.5, 434, 5),
    "descending": np.arange(2.5, 360, 5)[::-1],
    "descending from 180": np.arange(-177.5, 180, 5)[::-1],
    "a column twice": np.arange(2.5, 366, 5),
    "two columns at both ends, as ORCA": np.r_[np.arange(-177.5, 180, 5), [-177.5, -172.5]],
}


@pytest.mark.parametrize("name", RINGS)
def test_longitudes_ascend_and_a_region_crosses_the_date_line(tmp_path, name):
    ring(RINGS[name]).drop_attrs().to_netcdf(tmp_path / "a.nc")
    opened = canonical.open_fields(tmp_path / "a.nc")
    np.testing.assert_array_equal(opened.longitude, np.arange(-177.5, 180, 5))
    for region, expected in (
        ((160, -160, -20, 20), np.arange(162.5, 200, 5)),
        ((-20, 20, -20, 20), np.arange(-17.5, 20, 5)),
        ((340, 380, -20, 20), np.arange(-17.5, 20, 5)),
        ((60, 90, -20, 20), np.arange(62.5, 90, 5)),
    ):
        cut = canonical.open_fields(tmp_path / "a.nc", region=(*region[:2], -10, 10))
        np.testing.assert_array_equal(cut.longitude, expected)
        np.testing.assert_allclose(
            cut.temperature, np.broadcast_to(10 + expected % 360 / 36, cut.temperature.shape), 1e-4
        )


def test_the_date_line_of_a_region():
    crossing = sea(longitude=np.array([178.0, 179, -180, -179]))
    opened = canonical.to_canonical(crossing)
    assert opened.longitude.values.tolist() == [178, 179, 180, 181]
    np.testing.assert_array_equal(opened.temperature, crossing.thetao)


def test_single_levels_rows_and_columns():
    truth = sea()
    level = canonical.to_canonical(
        truth.isel(depth=2, latitude=5, longitude=[3])
    )  # scalar coordinates
    assert dict(level.sizes) == {"time": 3, "depth": 1, "latitude": 1, "longitude": 1}
    assert level.depth.item() == 97.0 and level.latitude.item() == LATITUDE[5]
    np.testing.assert_array_equal(level.temperature[:, 0, 0, 0], truth.thetao[:, 2, 5, 3])


def test_potential_is_preferred_and_kinds_are_told_by_long_name():
    truth = sea()
    both = truth.assign(temp=(truth.thetao + 1).drop_attrs().assign_attrs(units="degC"))
    np.testing.assert_array_equal(canonical.to_canonical(both).temperature, truth.thetao)
    for long_name, kind in (
        ("Conservative temperature", "conservative_"),
        ("pot. temp.", "potential_"),
        ("temperature", ""),
    ):
        d = truth.rename(thetao="temp")
        d.temp.attrs = {"long_name": long_name}
        told = canonical.to_canonical(d).temperature.attrs["standard_name"]
        assert told == f"sea_water_{kind}temperature"


# Curvilinear grids


def tripolar(d):
    """Straight rows and columns up to 40.5°N, bent north of it; zeros where no processor ran."""
    d = grids.nemo(d).drop_attrs()
    d.attrs["credit"] = "somebody"
    north = np.clip(d.nav_lat - 40.5, 0, None)
    d["nav_lat"] = d.nav_lat + north * (d.nav_lon + 52) * 2
    d.nav_lat[2:4, 6:8] = d.nav_lon[2:4, 6:8] = 0.0
    d["toce"] = d.votemper.where(d.nav_lat != 0)
    return d.drop_vars("votemper")


def test_a_curved_grid_serves_where_it_is_straight(tmp_path):
    truth = tripolar(sea())
    truth.to_netcdf(tmp_path / "a.nc")
    refused(["curved", "limit 0.05", "region"], canonical.open_fields, tmp_path / "a.nc")
    refused(["0 cells", "inside"], canonical.open_fields, tmp_path / "a.nc", region=(9, 10, 40, 41))
    opened = canonical.open_fields(tmp_path / "a.nc", region=(-52, -51.2, 40, 40.45))
    np.testing.assert_allclose(opened.latitude, LATITUDE[:6])
    np.testing.assert_allclose(opened.longitude, LONGITUDE[:10])
    np.testing.assert_array_equal(opened.temperature, truth.toce[:, :, :6, :10])
    assert not opened.ocean[:, 2:4, 6:8].any()


# What is refused


def curved(d):
    d = grids.roms(d)
    return d.assign(lat_rho=d.lat_rho + 0.1 * d.lon_rho)


def terrain(d):
    return d.rename(depth="s_rho").assign_coords(s_rho=np.linspace(-1, 0, 4))


def sigma(d):
    levels = ("depth", np.linspace(-1, 0, 4), {"standard_name": "ocean_sigma_coordinate"})
    return d.assign_coords(depth=levels)


def mesh(d):
    d = d.stack(node=("latitude", "longitude")).reset_index("node")
    d.thetao.attrs["mesh"] = "fvcom"
    return d


def with_value(value):
    def change(d):
        d.thetao[0, 0, 3, 3] = value
        return d

    return change


def depth_axis(values, **attrs):
    return lambda d: d.assign_coords(depth=("depth", values, attrs))


REFUSED = {
    "no temperature": (
        lambda d: d.rename(thetao="so").drop_attrs(),
        ["['so']", "thetao", "standard_name"],
    ),
    "kelvin labelled °C": (
        lambda d: d.assign(thetao=(d.thetao + 273.15).assign_attrs(d.thetao.attrs)),
        ["290.5", "45", "kelvin", "'K'"],
    ),
    "in-situ kelvin labelled °C, to be converted": (
        lambda d: salty(d.assign(thetao=(d.thetao + 273.15))).rename(thetao="temp"),
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
    "strings": (lambda d: d.assign(thetao=d.thetao.astype("U5")), ["<U5", "numbers", "floats"]),
    "undeclared fill": (with_value(-999.0), ["-999", "-10", "_FillValue"]),
    "undeclared fill of the library": (with_value(9.96921e36), ["9.96921e+36", "_FillValue"]),
    "undeclared fill of in-situ temperature, to be converted": (
        lambda d: in_situ(salty(with_value(-999.0)(d))),
        ["-999", "-10", "_FillValue"],
    ),
    "infinite": (with_value(np.inf), ["inf", "finite", "replace"]),
    "infinite, to be converted": (
        lambda d: in_situ(salty(with_value(-np.inf)(d))),
        ["-inf", "finite", "replace"],
    ),
    "all land": (
        lambda d: d.assign(thetao=(d.thetao * np.nan).assign_attrs(d.thetao.attrs)),
        ["0 values", "needs 1", "choose"],
    ),
    "all invalid": (
        lambda d: d.assign(thetao=d.thetao.assign_attrs(valid_max=np.float32(-5))),
        ["0 values", "valid_range"],
    ),
    "no depth": (lambda d: d.isel(depth=0, drop=True), ["no depth axis", "needs 1", "expand_dims"]),
    "pressure": (depth_axis(DEPTH, units="dbar"), ["'dbar'", "m or cm", "gsw"]),
    "pressure by name": (lambda d: d.rename(depth="PRES").drop_attrs(), ["PRES", "m or cm", "gsw"]),
    "feet": (depth_axis(DEPTH, units="feet"), ["'feet'", "m or cm", "convert"]),
    "fathoms": (depth_axis(DEPTH, units="fathoms"), ["'fathoms'", "m or cm", "convert"]),
    "density levels": (depth_axis(DEPTH, units="kg m-3"), ["'kg m-3'", "m or cm"]),
    "cm without units": (depth_axis(DEPTH * 100), ["54108.9", "11100", "'cm'"]),
    "level numbers": (depth_axis([1.0, 2, 3, 4]), ["1 to 4", "without units", "'m'"]),
    "depths on both sides of 0": (
        depth_axis([-5.0, 1, 2, 3], units="m"),
        ["-5", "both sides", "keep"],
    ),
    "terrain-following": (terrain, ["s_rho", "terrain-following", "interpolate"]),
    "sigma": (sigma, ["depth", "terrain-following", "interpolate"]),
    "curved grid": (curved, ["0.0833", "limit 0.05", "regrid"]),
    "mesh": (mesh, ["143 nodes", "mesh", "regrid"]),
    "no latitude": (
        lambda d: d.drop_vars("latitude").rename(latitude="row"),
        ["no latitude", "standard_name 'latitude'"],
    ),
    "radians": (
        lambda d: d.assign_coords(
            latitude=("latitude", np.radians(LATITUDE), {"units": "radians"})
        ),
        ["'radians'", "degrees", "convert"],
    ),
    "beyond the pole": (
        lambda d: d.assign_coords(latitude=LATITUDE + 49.5),
        ["89.5", "90.5", "±90", "correct"],
    ),
    "two members": (lambda d: xr.concat([d, d], "member"), ["member", "2", "limit 1", "isel"]),
    "duplicate times": (lambda d: d.isel(time=[0, 1, 1]), ["2020-02-15", "limit 1", "drop"]),
    "missing latitude": (
        lambda d: d.assign_coords(latitude=[np.nan, *LATITUDE[1:]]),
        ["latitude", "nan", "finite"],
    ),
    "infinite longitude": (
        lambda d: d.assign_coords(longitude=[*LONGITUDE[:-1], np.inf]),
        ["longitude", "inf", "finite"],
    ),
    "repeated depth": (
        depth_axis([1.0, 1, 2, 3], units="m"),
        ["depth", "[1. 1. 2. 3.]", "distinct"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_unusable_dataset_is_refused(name):
    change, words = REFUSED[name]
    refused(words, canonical.to_canonical, change(sea()))


# A choice among several temperatures


def beside(name, change=1.0, base="thetao", **attrs):
    """A second variable, whose name may come first in the alphabet, with attributes as given."""

    def add(d):
        other = (d.thetao + change).drop_attrs().assign_attrs({"units": "degC"} | attrs)
        return d.rename(thetao=base).assign({name: other})

    return add


KIND = "sea_water_potential_temperature"
STATISTICS = {
    "an anomaly by name": beside("a_thetao_anom", standard_name=KIND),
    "an anomaly by long name": beside("aaa", standard_name=KIND, long_name="Anomaly of theta"),
    "an error": beside("thetao_err", standard_name=KIND),
    "a standard error": beside("t_se", standard_name=KIND),
    "a deviation": beside("athetao_std", standard_name=KIND),
    "a count": beside("thetao_count", standard_name=KIND),
    "a deviation by its method": beside(
        "amoc", standard_name=KIND, cell_methods="time: standard_deviation"
    ),
    "a maximum": beside("a_thetao_max", standard_name=KIND),
    "a flag": beside("thetao_qc", standard_name=KIND),
    "an uncertainty": beside("aa", standard_name=KIND, long_name="uncertainty of temperature"),
}


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("base", ["thetao", "zz_theta"])
def test_statistics_are_never_temperature(name, base):
    both = (
        STATISTICS[name](sea()).rename(thetao=base) if base != "thetao" else STATISTICS[name](sea())
    )
    opened = canonical.to_canonical(both)
    np.testing.assert_array_equal(opened.temperature, sea().thetao)
    assert opened.temperature.attrs["source_name"] == base
    alone = STATISTICS[name](sea()).drop_vars("thetao")
    refused(["no temperature", "statistics, not values"], canonical.to_canonical, alone)


@pytest.mark.parametrize(
    "names",
    [("thetao_cglo", "thetao_oras"), ("theta_a", "theta_b"), ("mean_thetao", "thetao_mean")],
)
def test_a_tie_is_refused_with_the_candidates_and_variable_chooses(tmp_path, names):
    first, second = names
    both = beside(second, base=first, standard_name=KIND)(sea())
    both.to_netcdf(tmp_path / "a.nc")
    words = [first, second, "limit 1", "variable=…"]
    refused(words, canonical.open_fields, tmp_path / "a.nc")
    for name, shift in ((first, 0), (second, 1)):
        opened = canonical.open_fields(tmp_path / "a.nc", variable=name)
        np.testing.assert_allclose(opened.temperature, sea().thetao + shift, rtol=1e-6)
        assert f"temperature from {name}" in description.describe_fields(opened)
    refused(["'third'", first], canonical.open_fields, tmp_path / "a.nc", variable="third")


def test_a_named_variable_must_say_what_it_is(tmp_path):
    beside("t2", base="t1")(sea()).to_netcdf(tmp_path / "a.nc")
    words = ["t2", "does not say what temperature it is", "standard_name"]
    refused(words, canonical.open_fields, tmp_path / "a.nc", variable="t2")


# Axes that name or count something else


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (depth_axis([0.0, 1, 2, 3]), ["depth", "0 to 3", "without units"]),
        (
            lambda d: depth_axis([1.0, 2, 3, 4])(d).rename(depth="lev"),
            ["lev", "1 to 4", "depths in m"],
        ),
        (
            lambda d: d.assign_coords(latitude=np.arange(13.0)).drop_attrs().rename(latitude="y"),
            ["y has no units", "count cells", "degrees_north"],
        ),
        (
            lambda d: d.assign_coords(longitude=np.arange(11.0)).drop_attrs().rename(longitude="x"),
            ["x has no units", "count cells", "degrees_east"],
        ),
        (
            lambda d: d.assign_coords(
                lat_b=("latitude", LATITUDE + 0.04, {"units": "degrees_north"}),
                lat_a=("latitude", LATITUDE, {"units": "degrees_north"}),
            ).drop_vars("latitude"),
            ["lat_a and lat_b", "latitude of thetao", "coordinates"],
        ),
    ],
    ids=["levels from 0", "levels", "rows", "columns", "two latitudes"],
)
def test_numbers_of_levels_and_cells_are_no_metres_and_degrees(change, words):
    refused(words, canonical.to_canonical, change(sea()))


@pytest.mark.parametrize("numbers", [[4.0, 3, 2, 1], [2.0, 3, 4, 5], [-1.0, -2, -3, -4]])
def test_level_numbers_in_any_order_are_no_metres(numbers):
    refused(["without units", "depths in m"], canonical.to_canonical, depth_axis(numbers)(sea()))


@pytest.mark.parametrize("attrs", [{"axis": "Y"}, {"standard_name": "grid_latitude"}])
def test_rows_of_a_rotated_or_numbered_grid_are_no_latitudes(attrs):
    d = sea().drop_vars("latitude").rename(latitude="y")
    d = d.assign_coords(y=("y", np.arange(13.0), attrs))
    with pytest.raises(ValueError, match="count cells|has no latitude"):
        canonical.to_canonical(d)


@pytest.mark.parametrize(
    "longitudes",
    [np.zeros(11), np.array([*LONGITUDE[:-1], LONGITUDE[3]]), np.arange(11) * 1000.0],
    ids=["all 0", "one twice", "absurd"],
)
def test_repeated_and_absurd_longitudes_are_refused(longitudes):
    d = sea().assign_coords(longitude=("longitude", longitudes, {"units": "degrees_east"}))
    refused(["longitude holds", "limit ±720"], canonical.to_canonical, d)


def test_a_second_latitude_that_differs_from_the_dimensions_own_is_refused():
    d = sea()
    other = ("latitude", LATITUDE + 3, {"standard_name": "latitude", "units": "degrees_north"})
    words = ["may each be the latitude", "coordinates"]
    refused(words, canonical.to_canonical, d.assign_coords(lat2=other))


@pytest.mark.parametrize("asked", ["sea_water_x_velocity", "Uo"])
def test_a_tie_among_further_variables_is_refused(asked):
    attrs = {"standard_name": "sea_water_x_velocity"}
    d = sea().assign(UO=(sea().thetao / 10).drop_attrs().assign_attrs(attrs))
    d = d.assign(uo=(sea().thetao / 20).drop_attrs().assign_attrs(attrs))
    refused(["UO, uo are each", "limit 1"], canonical.to_canonical, d, variables=[asked])
    exact = canonical.to_canonical(d, variables=["uo"])
    np.testing.assert_allclose(exact.uo, sea().thetao / 20, rtol=1e-6)
    mean = d.drop_vars("UO").assign(uo_std=d.UO)
    found = canonical.to_canonical(mean, variables=["sea_water_x_velocity"])
    np.testing.assert_allclose(found.sea_water_x_velocity, sea().thetao / 20, rtol=1e-6)


def test_levels_of_whole_metres_that_say_so_are_depths():
    d = depth_axis([1.0, 2, 3, 4], units="m")(sea())
    np.testing.assert_array_equal(canonical.to_canonical(d).depth, [1, 2, 3, 4])


def test_bounds_that_name_nothing_are_noted(tmp_path):
    d = sea()
    d.time.attrs["bounds"] = "time_bnds"
    d.to_netcdf(tmp_path / "a.nc")
    opened = canonical.open_fields(tmp_path / "a.nc")
    np.testing.assert_array_equal(opened.time, sea().time)
    assert "time_bnds, the bounds of time, is not in the file" in description.describe_fields(
        opened
    )


def argo(d):
    return d.stack(N_PROF=("latitude", "longitude")).reset_index("N_PROF").rename(depth="N_LEVELS")


def glider(d):
    line = d.thetao.isel(depth=0, latitude=range(3), longitude=range(3))
    line = line.isel(latitude=("time", [0, 1, 2]), longitude=("time", [0, 1, 2]))
    return line.expand_dims(depth=[5.0], axis=1).to_dataset(name="thetao")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (argo, ["N_PROF × N_LEVELS", "give it as observations"]),
        (lambda d: argo(d).rename(thetao="POTM"), ["N_PROF × N_LEVELS", "as observations"]),
        (glider, ["changes with time", "moving platform", "table of casts"]),
        (
            lambda d: (
                d.thetao[0, :, 0, 1:2]
                .drop_vars(("time", "latitude"))
                .rename(longitude="cast")
                .to_dataset(name="temp_raw")
                .assign_attrs(featureType="profile")
            ),
            ["casts (featureType profile)", "CSV"],
        ),
    ],
    ids=["Argo", "EN4", "glider", "ragged"],
)
def test_casts_given_as_fields_are_told_where_they_belong(change, words):
    refused(words, canonical.to_canonical, change(sea()))


def test_the_remedy_for_a_curved_grid_keeps_its_resolution():
    fine = curved(sea())
    spans = [float(np.ptp(fine[name].values)) for name in ("lat_rho", "lon_rho")]
    step = np.sqrt(spans[0] * spans[1] / (13 * 11))
    size = f"cdo remapbil,r{round(360 / step)}x{round(180 / step)}`"
    assert 0.07 < step < 0.1
    refused([size], canonical.to_canonical, fine)
    coarse = sea(latitude=np.arange(0.0, 26, 2), longitude=np.arange(0.0, 22, 2))
    step = 24 * step  # two degrees in place of a twelfth
    with pytest.raises(ValueError, match="cdo remapbil,r1[5-9][0-9]x[789][0-9]`"):
        canonical.to_canonical(curved(coarse))


# Further variables


@pytest.mark.parametrize("name", ["so", "vosaline", "SALT", "salinity", "s_an"])
def test_salinity_rides_along_by_any_name(tmp_path, name):
    truth = salty(sea(), name, units="psu")
    truth.thetao[:, 0, 9, 9] = np.nan
    truth[name][:, 0, 7, 7] = np.nan
    truth[name][1, 0, 8, 8] = np.nan
    truth.to_netcdf(tmp_path / "a.nc", encoding={"thetao": PACKING})
    for asked in (("so",), "salinity", ["salt", "so"]):
        opened = canonical.open_fields(tmp_path / "a.nc", variables=asked)
        assert list(opened.data_vars) == ["temperature", "salinity", "ocean"]
    assert_canonical(opened)
    assert opened.salinity.dims == DIMS and opened.salinity.dtype == np.float32
    attrs = {"standard_name": "sea_water_salinity", "units": "psu"}
    assert attrs.items() <= opened.salinity.attrs.items()
    both = np.isfinite(truth.thetao.values).any(0) & np.isfinite(truth[name].values).any(0)
    assert (opened.ocean.values == both).all() and not both[0, [7, 9], [7, 9]].any()
    assert opened.attrs["n_intermittent"] == 2 and opened.attrs["n_gaps"] == 1
    assert opened.attrs["worst_gap"].endswith("of the ocean on 2020-02-15")
    np.testing.assert_array_equal(
        opened.salinity, np.where(both, truth[name], np.nan).astype("float32")
    )
    np.testing.assert_allclose(opened.temperature, np.where(both, truth.thetao, np.nan), atol=4e-4)


def test_other_variables_ride_along_by_their_own_name(tmp_path):
    truth = sea()
    truth["uo"] = (
        (truth.thetao / 10).drop_attrs().assign_attrs(units="m s-1", long_name="eastward", step=3)
    )
    truth.isel(time=[0]).to_netcdf(tmp_path / "0.nc")
    truth.isel(time=[1]).to_netcdf(tmp_path / "1.nc")
    opened = canonical.open_fields(tmp_path, variables=["uo"], region=(-52, -51.5, 40, 41))
    np.testing.assert_array_equal(opened.uo, truth.uo[:2, :, :, :7])
    assert {"units": "m s-1", "long_name": "eastward"}.items() <= opened.uo.attrs.items()
    assert "step" not in opened.uo.attrs
    assert "uo" not in canonical.open_fields(tmp_path)
    named = canonical.to_canonical(truth, variables="UO")
    np.testing.assert_array_equal(named.UO, truth.uo)


def test_what_cannot_ride_along_is_refused(tmp_path):
    truth = salty(sea())
    truth["w"] = truth.thetao.rename(depth="depthw").drop_vars("depthw").drop_attrs()
    truth["zos"] = truth.thetao[:, 0].drop_attrs()
    truth["word"] = truth.thetao.astype("U4").drop_attrs()
    call = canonical.to_canonical
    refused(["'vo'", "['thetao', 'so', 'w'", "leave it out"], call, truth, ["vo"])
    refused(["w (", "depthw", "depth", "interpolate"], call, truth, ["w"])
    refused(["zos", "['depth']", "interpolate"], call, truth, ["zos"])
    refused(["word", "<U4", "numbers"], call, truth, ["word"])
    refused(["'thetao'", "always included"], call, truth, ["thetao"])
    for change, words in (
        (lambda so: (so / 1000).assign_attrs(so.attrs, units="kg/kg"), ["'kg/kg'", "1e-3", "1000"]),
        (lambda so: (so / 1000).assign_attrs(so.attrs), ["0.036", "kg/kg", "1000"]),
        (lambda so: so.fillna(-999).assign_attrs(so.attrs), ["-999", "60", "_FillValue"]),
        (lambda so: so * np.inf, ["salinity", "inf", "finite"]),
    ):
        refused(words, call, truth.assign(so=change(truth.so)), ["so"])
    truth[["thetao", "so"]].isel(time=[0]).to_netcdf(tmp_path / "0.nc")
    truth[["thetao"]].isel(time=[1]).to_netcdf(tmp_path / "1.nc")
    words = ["1.nc", "'salinity'", "['thetao']"]
    refused(words, canonical.open_fields, tmp_path, variables=["so"])
    grams = truth.so.assign_attrs(standard_name="sea_water_absolute_salinity", units="g kg-1")
    truth[["thetao"]].assign(so=grams).isel(time=[1]).to_netcdf(tmp_path / "1.nc")
    words = ["1.nc", "sea_water_absolute_salinity", "separately"]
    refused(words, canonical.open_fields, tmp_path, variables=["so"])


def test_canonical_names():
    assert recognition.canonical_names(["so", "uo", "vosaline"]) == ["salinity", "uo"]
    assert recognition.canonical_names(()) == []


def test_a_salinity_of_an_unknown_kind_is_refused():
    unknown = salty(sea(), "so", standard_name="sea_water_knudsen_salinity")
    for name in ("so", "salinity"):
        refused(["no variable 'salinity'", "so"], canonical.to_canonical, unknown, [name])
    renamed = salty(sea(), "salinity", standard_name="sea_water_knudsen_salinity")
    refused(["no variable 'salinity'"], canonical.to_canonical, renamed, ["salinity"])
