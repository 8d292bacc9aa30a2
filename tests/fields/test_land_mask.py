"""Masks of the ocean, in the file or beside it: the sea is what they say it is."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from grids import LATITUDE, LONGITUDE, refused, sea

from ocean_lib.fields import canonical, description

PLACES = {"latitude": LATITUDE, "longitude": LONGITUDE}


def with_zeros():
    """A file that holds 0 on its land, where no fill is declared."""
    return sea().fillna(0.0)


def wet():
    return np.isfinite(sea().thetao[0]).drop_vars("time").astype("i1").drop_attrs()


MASKS = {
    "tmask": lambda: wet(),
    "sea_mask": lambda: wet().isel(depth=[0]),
    "mask": lambda: wet().expand_dims(time=sea().time[:1]),
    "anything": lambda: wet().assign_attrs(standard_name="sea_binary_mask"),
    "land": lambda: (1 - wet()).assign_attrs(standard_name="land_binary_mask"),
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("beside", [False, True])
def test_the_ocean_is_what_a_mask_says(tmp_path, name, beside):
    mask, fields = MASKS[name]().rename(name), with_zeros()
    if beside:
        mask.to_dataset().to_netcdf(tmp_path / "mesh.nc")
        fields.to_netcdf(tmp_path / "a.nc")
    else:
        own = {old: f"{old}_of_mask" for old in mask.dims if mask.sizes[old] == 1}
        attrs = {"depth": {"units": "m", "axis": "Z"}, "time": {"axis": "T"}}
        mask = mask.rename(own).assign_coords(
            {new: (new, mask[old].values, attrs[old]) for old, new in own.items()}
        )
        xr.merge([fields, mask], compat="override", join="outer").to_netcdf(tmp_path / "a.nc")
    given = tmp_path / "mesh.nc" if beside else name
    opened = canonical.open_fields(tmp_path / "a.nc", mask=given)
    expected = wet().values == 1
    expected = expected[:1].repeat(4, 0) if name == "sea_mask" else expected
    np.testing.assert_array_equal(opened.ocean, expected)
    np.testing.assert_array_equal(opened.temperature, fields.thetao.where(expected))
    part = canonical.open_fields(
        tmp_path / "a.nc", mask=given, region=(-52, -51.5, 40, 40.5), depths=[0.5, 97.0]
    )
    np.testing.assert_array_equal(part.ocean, expected[[0, 2], :7, :7])


def test_what_a_mask_leaves_on_land_is_refused_and_its_share_is_said(tmp_path):
    """A mask of the surface alone leaves the 0 of the land below; one the wrong way round, all."""
    fields = with_zeros()
    fields.to_netcdf(tmp_path / "a.nc")
    wet().isel(depth=[0]).rename("sea_mask").to_netcdf(tmp_path / "top.nc")
    (1 - wet()).rename("tmask").to_netcdf(tmp_path / "wrong.nc")
    read = canonical.open_fields
    refused(["same everywhere", "limit 0"], read, tmp_path / "a.nc", mask=tmp_path / "wrong.nc")
    fields["thetao"] = fields.thetao.where(np.arange(13)[:, None] > 3, 0.0)  # a slope below
    fields["thetao"][:, 0] = with_zeros().thetao[:, 0]
    fields.thetao.attrs = with_zeros().thetao.attrs
    fields.to_netcdf(tmp_path / "slope.nc")
    refused(
        ["hold 0 °C on all dates", "land_value=0"],
        read,
        tmp_path / "slope.nc",
        mask=tmp_path / "top.nc",
    )
    both = read(tmp_path / "a.nc", mask=tmp_path / "top.nc", land_value=0.0)
    np.testing.assert_array_equal(both.ocean, wet() == 1)
    told = description.describe_fields(both)
    assert "within values other than 0 °C and a mask that is 99% sea" in told


def test_a_packed_mask_with_a_missing_value(tmp_path):
    mask = wet().astype("f4").where(wet() == 1)  # missing on land
    mask.rename("tmask").to_netcdf(
        tmp_path / "mesh.nc", encoding={"tmask": {"dtype": "i1", "_FillValue": -127}}
    )
    with_zeros().to_netcdf(tmp_path / "a.nc")
    opened = canonical.open_fields(tmp_path / "a.nc", mask=tmp_path / "mesh.nc")
    np.testing.assert_array_equal(opened.ocean, wet() == 1)


@pytest.mark.parametrize("value", [5.0, np.nan, np.inf, "0"])
def test_a_land_value_that_no_cell_holds_is_refused(tmp_path, value):
    with_zeros().to_netcdf(tmp_path / "a.nc")
    words = ["land_value is", "no cell of the first date"]
    refused(words, canonical.open_fields, tmp_path / "a.nc", land_value=value)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (Path("/"), ["is a folder", "give the file"]),
        (wet().rename("tmask").astype(str), ["must be the numbers 0 and 1"]),
        ("tmsk", ["'tmsk'", "neither a variable", "nor a file"]),
        (wet().rename("tmask") * 3, ["holds", "3", "must be 0 and 1"]),
        (wet().rename("odd"), ["holds 0 masks", "['odd']", "sea_binary_mask"]),
        (
            xr.Dataset({"tmask": wet(), "mask": wet()}),
            ["holds 2 masks", "needs 1", "sea_binary_mask"],
        ),
        (
            wet().rename("tmask").expand_dims(time=sea().time),
            ["3 dates along time", "limit 1", "isel"],
        ),
        (wet().rename("tmask").isel(latitude=slice(5)), ["5 values of latitude", "13"]),
        (
            wet().rename("tmask").assign_coords(longitude=LONGITUDE + 3),
            ["longitude", "on the grid of the fields"],
        ),
    ],
    ids=[
        "a folder",
        "text",
        "absent",
        "other numbers",
        "no mask",
        "two",
        "dates",
        "another size",
        "another place",
    ],
)
def test_a_mask_that_cannot_be_used_is_refused(tmp_path, mask, words):
    with_zeros().to_netcdf(tmp_path / "a.nc")
    if not isinstance(mask, str | Path):
        mask.to_netcdf(tmp_path / "mesh.nc")
        mask = tmp_path / "mesh.nc"
    refused(words, canonical.open_fields, tmp_path / "a.nc", mask=mask)
