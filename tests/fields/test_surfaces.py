"""Surface fields opened from files, against the numbers written, and what is refused."""

import numpy as np
import pytest
import xarray as xr
from grids import PACKING, hycom, mom, nemo, nemo_by_names, refused, roms, salty, sea, shared

from ocean_lib.fields import canonical, surfaces
from ocean_lib.fields.conventions import SURFACES

LEVELS = {"dtype": "int16", "scale_factor": 3.05e-4, "add_offset": 0.0, "_FillValue": -32767}


def with_level(dataset, name="zos", **attrs):
    """The same with a sea level of centimetres about 0.4 m, where the shallowest cell is sea."""
    top = dataset.thetao.isel(depth=0, drop=True)
    values = 0.4 + 0.1 * np.sin(np.arange(top.size)).reshape(top.shape)
    attrs = attrs or {"standard_name": "sea_surface_height_above_geoid", "units": "m"}
    return dataset.assign({name: top.copy(data=values).where(top.notnull()).drop_attrs()}).assign(
        {name: lambda new: new[name].assign_attrs(attrs)}
    )


@pytest.fixture
def truth():
    return salty(with_level(sea()))


@pytest.fixture
def files(truth, tmp_path):
    """A file for each month, as delivered."""
    for k in range(3):
        encoding = {"thetao": PACKING, "zos": LEVELS}
        truth.isel(time=[k]).to_netcdf(tmp_path / f"{k}.nc", encoding=encoding)
    return tmp_path


def test_every_surface_is_what_the_files_hold_and_stays_lazy(files, truth):
    opened = surfaces.open_surfaces(files, reversed(SURFACES))
    assert list(opened) == ["surface_salinity", "sea_level", "surface_temperature"]
    names = {"surface_temperature": "thetao", "surface_salinity": "so", "sea_level": "zos"}
    for surface, name in names.items():
        expected = truth[name] if name == "zos" else truth[name].isel(depth=0, drop=True)
        assert opened[surface].chunks is not None
        assert opened[surface].dims == ("time", "latitude", "longitude")
        np.testing.assert_allclose(opened[surface], expected, atol=4e-4)
    assert opened.sea_level.attrs["standard_name"] == "sea_surface_height_above_geoid"
    assert opened.surface_salinity.attrs["standard_name"] == "sea_surface_salinity"
    assert opened.surface_salinity.attrs["units"] == "1e-3"
    assert opened.attrs["credit"] == "somebody"


def test_a_region_of_it(files, truth):
    region = (-51.75, -51.5, 40.25, 40.5)
    opened = surfaces.open_surfaces(files, ["sea_level", "surface_temperature"], region)
    np.testing.assert_allclose(opened.sea_level, truth.zos[:, 3:7, 3:7], atol=2e-4)
    np.testing.assert_allclose(opened.surface_temperature, truth.thetao[:, 0, 3:7, 3:7], atol=4e-4)


@pytest.mark.parametrize(
    "name, attrs",
    [
        ("sossheig", {"units": "cm"}),
        ("SSH", {"standard_name": "sea_surface_height_above_geoid", "units": "centimeters"}),
        ("sla", {"long_name": "Sea level anomaly", "units": "cm"}),
        ("zeta", {"units": "cm"}),
    ],
)
def test_names_and_units_in_use_are_known(tmp_path, truth, name, attrs):
    other = with_level(truth.drop_vars("zos"), name, **attrs)
    other[name] = (100 * other[name]).assign_attrs(attrs)
    error = other[name].rename("err_sla").assign_attrs(long_name="Formal mapping error")
    other.assign(err_sla=error).to_netcdf(tmp_path / "a.nc")
    opened = surfaces.open_surfaces(tmp_path, ["sea_level"])
    assert opened.sea_level.attrs["source_name"] == name
    np.testing.assert_allclose(opened.sea_level, truth.zos, atol=1e-6)


@pytest.mark.parametrize("write", [nemo, nemo_by_names, roms, hycom, mom])
def test_sea_level_is_found_beside_the_temperature_of_any_model(tmp_path, truth, write):
    names = {nemo: "sossheig", nemo_by_names: "sossheig", roms: "zeta", hycom: "surf_el"}
    name = names.get(write, "eta_t")
    other = write(with_level(sea(), name, units="m"))
    if write is nemo:
        other[name].attrs["coordinates"] = "time_counter nav_lat nav_lon"
    other.to_netcdf(tmp_path / "a.nc")
    opened = surfaces.open_surfaces(tmp_path, ["sea_level"])
    np.testing.assert_allclose(opened.sea_level, truth.zos, atol=1e-6)


def test_only_the_ocean_of_temperature_has_a_surface(tmp_path, truth):
    truth.zos[:, 0, 0] = 0.0  # on land, undeclared
    truth.to_netcdf(tmp_path / "a.nc")
    opened = surfaces.open_surfaces(tmp_path, ["sea_level"])
    assert (opened.sea_level.isnull() == truth.thetao[:, 0].isnull().values).all()


def test_a_gap_stays_and_is_counted(tmp_path, truth):
    truth.zos[1, 7, 7] = np.nan
    truth.to_netcdf(tmp_path / "a.nc")
    opened = surfaces.open_surfaces(tmp_path, ["sea_level"])
    assert opened.sea_level.attrs["n_gaps"] == 1 and np.isnan(opened.sea_level[1, 7, 7])
    truth.zos[1, 3:] = np.nan
    truth.to_netcdf(tmp_path / "b.nc")
    words = ["110 values of sea_level", "142 cells", "limit 10%", "leave sea_level out"]
    refused(words, surfaces.open_surfaces, tmp_path / "b.nc", ["sea_level"])


def changed(truth, **changes):
    """The dataset with some of its variables changed by a function, attributes kept."""
    made = {name: change(truth[name]) for name, change in changes.items()}
    return truth.assign({n: a.assign_attrs(truth[n].attrs | a.attrs) for n, a in made.items()})


absolute = {"standard_name": "sea_water_absolute_salinity", "units": "g/kg"}
BAD = {
    "no such surface": (lambda d: d, "chlorophyll", ["'chlorophyll'", "surface_temperature"]),
    "no sea level": (
        lambda d: d.drop_vars("zos"),
        "sea_level",
        ["no sea_level among the variables ['thetao', 'so']", "leave sea_level out of surfaces"],
    ),
    "no salinity": (
        lambda d: d.drop_vars("so"),
        "surface_salinity",
        ["no surface_salinity among", "'zos'", "leave surface_salinity out of surfaces"],
    ),
    "half a domain of salinity": (
        lambda d: changed(d, so=lambda so: so.where(so.longitude < -51.5)),
        "surface_salinity",
        ["surface_salinity lacks 65 of the ocean's 142 cells", "limit 0", "or leave"],
    ),
    "sea level of a part": (
        lambda d: changed(d, zos=lambda zos: zos.where(zos.latitude > 40.3)),
        "sea_level",
        ["sea_level lacks 43 of the ocean's 142 cells", "limit 0"],
    ),
    "cm declared m": (
        lambda d: changed(d, zos=lambda zos: 100 * zos),
        "sea_level",
        ["30.0", "49.9", "-5 to 5 m", "set the variable's units to 'cm'"],
    ),
    "small cm declared m": (
        lambda d: changed(d, zos=lambda zos: 30 * (zos - 0.4)),
        "sea_level",
        ["standard deviation of 1.", "limit 1 m", "units to 'cm'"],
    ),
    "above the ellipsoid": (
        lambda d: changed(d, zos=lambda zos: zos - 40),
        "sea_level",
        ["-39.", "-5 to 5 m", "subtract the geoid"],
    ),
    "an unknown unit": (
        lambda d: changed(d, zos=lambda zos: zos.assign_attrs(units="feet")),
        "sea_level",
        ["zos has units 'feet'", "m or cm"],
    ),
    "absolute salinity": (
        lambda d: changed(d, so=lambda so: so.assign_attrs(absolute)),
        "surface_salinity",
        ["so is sea_water_absolute_salinity", "practical", "gsw.SP_from_SA"],
    ),
    "kg/kg undeclared": (
        lambda d: changed(d, so=lambda so: so / 1000),
        "surface_salinity",
        ["0.03", "below 0.1", "kg/kg", "multiply them by 1000"],
    ),
    "kg/kg declared": (
        lambda d: changed(d, so=lambda so: (so / 1000).assign_attrs(units="kg/kg")),
        "surface_salinity",
        ["so has units 'kg/kg'", "kg/kg times 1000"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_surface_that_cannot_be_used_is_refused(tmp_path, truth, case):
    make, name, words = BAD[case]
    make(truth).to_netcdf(tmp_path / "a.nc")
    refused(words, surfaces.open_surfaces, tmp_path, [name])


def test_other_dates_in_the_same_files_are_refused(tmp_path, truth):
    truth.to_netcdf(tmp_path / "a.nc")
    later = truth.assign_coords(time=truth.time + np.timedelta64(365, "D"))
    later.drop_vars("zos").to_netcdf(tmp_path / "b.nc")
    words = ["b.nc", "no sea_level among"]
    refused(words, surfaces.open_surfaces, tmp_path, ["sea_level"])


def test_fields_with_sea_level_beside_them_are_read_as_before(files, truth):
    fields = canonical.open_fields(files, variables=["so"])
    np.testing.assert_allclose(fields.temperature, truth.thetao, atol=4e-4)
    assert set(fields.data_vars) == {"temperature", "salinity", "ocean"}


def test_a_section_of_glorys12_has_a_surface():
    path = shared("glorys12_sections/Bonavista_glorys12_monthly_1993-2019.nc")
    with xr.open_dataset(path) as raw:
        expected = raw.thetao.values[:, 0]
    opened = surfaces.open_surfaces(path, ["surface_temperature"])
    np.testing.assert_allclose(opened.surface_temperature[:, 0], expected, atol=1e-5)
    refused(["no sea_level among"], surfaces.open_surfaces, path, ["sea_level"])
