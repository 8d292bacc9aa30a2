"""The survey of fields: gaps by a loop, and the constant that land holds undeclared."""

import re

import numpy as np
import pytest
from grids import PACKING, raw, refused, sea

from ocean_lib.fields import canonical, description
from ocean_lib.fields.survey import survey_fields


def with_land(value, d=None):
    """Three columns of land, or what the file holds there: `value` on all dates and levels."""
    d = sea() if d is None else d
    d.thetao[..., 4:7, 5] = value
    return d


@pytest.mark.parametrize("value", [0.0, 17.25, -9.0, 30.0, 10.0])
def test_land_that_holds_a_constant_is_refused_with_both_ways_on(tmp_path, value):
    with_land(value).to_netcdf(tmp_path / "a.nc")
    words = ["12 cells", f"hold {value:g} °C on all dates", f"land_value={value:g}", "mask"]
    refused(words, canonical.open_fields, tmp_path / "a.nc")
    opened = canonical.open_fields(tmp_path / "a.nc", land_value=value)
    np.testing.assert_array_equal(opened.temperature, with_land(np.nan).thetao)
    assert not opened.ocean[:, 4:7, 5].any()


def test_packed_land_and_one_beside_a_declared_fill(tmp_path):
    """Integers that scale to a number near 0, and a file that declares 1e20 and holds 0."""
    with_land(0.0).to_netcdf(tmp_path / "a.nc", encoding={"thetao": PACKING})
    held = float(raw(tmp_path / "a.nc", "thetao")[0][0, 0, 4, 5] * PACKING["scale_factor"]) + 21
    with pytest.raises(ValueError, match="land_value=") as caught:
        canonical.open_fields(tmp_path / "a.nc")
    told = float(re.search("land_value=([^,]+),", str(caught.value))[1])
    assert told == pytest.approx(held)
    opened = canonical.open_fields(tmp_path / "a.nc", land_value=told)
    assert not opened.ocean[:, 4:7, 5].any()
    with_land(0.0).to_netcdf(tmp_path / "b.nc", encoding={"thetao": {"_FillValue": 1e20}})
    refused(["land_value=0"], canonical.open_fields, tmp_path / "b.nc")


def test_a_constant_within_a_mask_of_every_level_is_water(tmp_path):
    d = with_land(17.25)
    d["tmask"] = np.isfinite(d.thetao[0]).drop_vars("time").astype("i1").drop_attrs()
    d.assign_attrs(land_left_out="text of the file").to_netcdf(tmp_path / "a.nc")
    opened = canonical.open_fields(tmp_path / "a.nc", mask="tmask")
    np.testing.assert_array_equal(opened.temperature, d.thetao)
    assert "text of the file" not in description.describe_fields(opened)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: with_land(-1.8, d),  # water under ice, at its freezing point
        lambda d: with_land(8.0, d.isel(time=[0])),  # a single date shows no constant
        lambda d: d.assign(thetao=d.thetao.where(d.depth > 1, 20.0)),  # one level of one value
        lambda d: with_land(np.array([5.0, 5.1, 5.0])[:, None, None], d),  # changes with time
        lambda d: d.assign(thetao=d.thetao.where(np.arange(11) > 0, 4.0)[..., :0:-1]),
    ],
    ids=["freezing", "one field", "one level", "another date", "none left"],
)
def test_constants_that_may_be_water_are_kept(change):
    d = change(sea())
    opened = canonical.to_canonical(d)
    assert opened.ocean.sum() >= np.isfinite(d.thetao).all("time").sum()


@pytest.mark.parametrize("on_land", [35.0, np.nan])
def test_a_constant_is_found_before_temperature_is_converted(tmp_path, on_land):
    """TEOS-10 turns 0 °C in situ into values that differ by level: the constant is of the file."""
    d = with_land(0.0)
    d["so"] = (d.thetao * 0 + 35).drop_attrs().assign_attrs(units="1e-3")
    d["so"][..., 4:7, 5] = on_land
    d = d.rename(thetao="water_temp")
    d.water_temp.attrs["standard_name"] = "sea_water_temperature"
    d.to_netcdf(tmp_path / "a.nc")
    refused(["12 cells", "land_value=0"], canonical.open_fields, tmp_path / "a.nc")
    opened = canonical.open_fields(tmp_path / "a.nc", land_value=0.0)
    assert not opened.ocean[:, 4:7, 5].any()
    assert opened.ocean.sum() == np.isfinite(sea().thetao[0]).sum() - 12
    refused(["12 cells", "land_value=0"], canonical.to_canonical, d)
    assert opened.temperature.attrs["standard_name"] == "sea_water_potential_temperature"


def months(number):
    """The small sea on many dates, each with noise of its own."""
    rng = np.random.default_rng(2)
    d = sea(months=1).isel(time=0, drop=True)
    times = (np.datetime64("2001-01") + np.arange(number)).astype("M8[ns]")
    d = d.expand_dims(time=times)
    noise = rng.normal(size=d.thetao.shape).astype("f4")
    d["thetao"] = (d.thetao + noise).transpose("time", ...).assign_attrs(sea().thetao.attrs)
    return d


def test_a_floor_that_one_level_holds_is_found_on_many_dates():
    d = months(12)
    d.thetao[:, 3, 4:10, 5:8] = 0.0
    refused(["18 cells", "land_value=0"], canonical.to_canonical, d)


@pytest.mark.parametrize(("date", "value"), [(5, 0.0), (0, 20.0), (11, -1.8)])
def test_a_date_that_is_one_number_is_refused_by_its_name(date, value):
    d = months(12)
    d.thetao[date] = d.thetao[date] * 0 + value
    words = ["same everywhere on 1 date(s)", str(d.time.values[date])[:10], "leave it out"]
    refused(words, canonical.to_canonical, d)
    opened = canonical.to_canonical(d.drop_isel(time=date))
    assert opened.sizes["time"] == 11 and opened.attrs["n_gaps"] == 0


def test_gaps_are_those_that_a_loop_counts():
    rng = np.random.default_rng(1)
    d = sea()
    d["thetao"] = d.thetao.where(rng.random(d.thetao.shape) > 0.04)
    values = d.thetao.values
    fields = d.rename(thetao="temperature").chunk(time=1, latitude=5)
    found = survey_fields(fields)
    ocean, gaps, intermittent = np.zeros(values.shape[1:], bool), [0, 0, 0], 0
    for cell in np.ndindex(*ocean.shape):
        there = np.isfinite(values[(slice(None), *cell)])
        ocean[cell] = there.sum() > 1.5
        intermittent += 0 < there.sum() < 1.5
        for date in range(3):
            gaps[date] += ocean[cell] and not there[date]
    np.testing.assert_array_equal(found.ocean, ocean)
    np.testing.assert_array_equal(found.gaps, gaps)
    assert found.intermittent == intermittent and min(gaps) > 0
    assert found.limits["temperature"] == (np.nanmin(values), np.nanmax(values))


@pytest.mark.parametrize("bad", [[5], [0], [2, 9]])
def test_a_damaged_date_is_no_reason_to_lose_its_cells(bad):
    """24 months of which one or two lack a corner, a level or everything."""
    d = sea(months=1).isel(time=0, drop=True)
    times = np.arange("2001-01", "2003-01", dtype="M8[M]").astype("M8[ns]")
    d = (
        d.expand_dims(time=times)
        + 0.1 * (times.astype("M8[M]").astype(int) % 12 - 6)[:, None, None, None]
    )
    d["thetao"] = d.thetao.transpose("time", ...).assign_attrs(sea().thetao.attrs)
    whole = canonical.to_canonical(d.copy(deep=True))
    for date in bad:
        d.thetao[date, :2, 3:] = np.nan
    opened = canonical.to_canonical(d)
    np.testing.assert_array_equal(opened.ocean, whole.ocean)
    lacking = int((whole.ocean[:2, 3:]).sum()) * len(bad)
    assert opened.attrs["n_gaps"] == lacking
    month = str(times[bad[0]].astype("M8[D]"))
    assert opened.attrs["worst_gap"].endswith(month)
    told = description.describe_fields(opened)
    assert f"{lacking} values of the ocean are missing" in told and month in told


def test_what_was_understood_is_said(tmp_path):
    sea().to_netcdf(tmp_path / "a.nc")
    told = description.describe_fields(canonical.open_fields(tmp_path / "a.nc"))
    low, high = float(sea().thetao.min()), float(sea().thetao.max())
    for words in (
        "temperature from thetao (sea_water_potential_temperature)",
        f"{low:.5g} to {high:.5g} degrees_C",
        "3 date(s), 2020-01-16 to 2020-03-16",
        "4 level(s), 0.494 to 541.09 m, latitude 40 to 41°, longitude -52 to -51.167°",
        f"{int(np.isfinite(sea().thetao[0]).sum())} ocean cells (97%)",
    ):
        assert words in told, told
    assert description.range_in_words([2.0, 2.0]) == "2"
