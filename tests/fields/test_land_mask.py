"""Masks of the ocean, in the file or beside it: the sea is what they say it is."""

import numpy as np
import pytest
import xarray as xr
from grids import LATITUDE, LONGITUDE, refused, sea

from ocean_lib.fields import canonical

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


@pytest.mark.parametrize(
    ("mask", "words"),
    [
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
    ids=["absent", "other numbers", "no mask", "two", "dates", "another size", "another place"],
)
def test_a_mask_that_cannot_be_used_is_refused(tmp_path, mask, words):
    with_zeros().to_netcdf(tmp_path / "a.nc")
    if not isinstance(mask, str):
        mask.to_netcdf(tmp_path / "mesh.nc")
        mask = tmp_path / "mesh.nc"
    refused(words, canonical.open_fields, tmp_path / "a.nc", mask=mask)
