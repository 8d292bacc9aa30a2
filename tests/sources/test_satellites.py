"""Satellite views on a field's grid: synthetic ones of known values, and a real OSTIA file."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from grids import refused
from marine_store import archive

from ocean_lib.fields.regrid import regrid
from ocean_lib.sources import satellites
from ocean_lib.sources.demo_ocean import simulate
from ocean_lib.sources.resolution import degraded

OSTIA = Path(__file__).parents[3] / "shared" / "data" / "sst" / "ostia_monthly.nc"


@pytest.fixture(scope="module")
def ocean():
    return simulate(seed=1, months=6, shape=(40, 44))


@pytest.fixture(scope="module")
def top(ocean):
    return ocean.temperature.isel(depth=0, drop=True)


@pytest.fixture(scope="module")
def daily(ocean, tmp_path_factory):
    """Two months of daily files in the layout of OSTIA: kelvin, 1/20 degree."""
    folder = tmp_path_factory.mktemp("ostia")
    days = pd.date_range("1993-03-01", "1993-04-30", freq="D")
    view = archive.sea_surface(ocean, days).to_dataset(name="analysed_sst")
    view.analysed_sst.attrs = {
        "standard_name": "sea_surface_foundation_temperature",
        "units": "kelvin",
    }
    packed = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 273.15, "_FillValue": -32768}
    for date in days:
        path = folder / f"{date:%Y%m%d}120000-UKMO-L4_GHRSST-SSTfnd-OSTIA-GLOB_REP.nc"
        view.sel(time=[date]).to_netcdf(path, encoding={"analysed_sst": packed})
    return folder


def test_daily_kelvin_becomes_the_mean_of_the_month_on_the_fields_own_cells(daily, ocean, top):
    view = satellites.open_view(daily, "ostia")
    assert view.dims == ("time", "latitude", "longitude") and view.sizes["time"] == 61
    assert view.attrs["units"] == "degrees_C" and 0 < float(view.mean()) < 30
    times = ocean.time.values[2:4]
    found = satellites.on_grid(view, times, ocean.latitude, ocean.longitude).compute()
    assert (found.time.values == times).all() and found.notnull().all()
    # The rule that made it, in time and space: the mean of what lies between mid-months.
    days = pd.date_range("1993-03-01", "1993-03-31", freq="D")
    exact = top.assign_coords(time=top.time + np.timedelta64(14, "D")).interp(time=days)
    inner = top.isel(time=0, drop=True).notnull()
    inner = inner.rolling(latitude=7, longitude=7, center=True).min() == 1
    error = (found[0] - exact.mean("time").drop_vars("time", errors="ignore")).where(inner)
    assert float(abs(error).max()) < 0.25 and float(error.std()) < 0.05  # twice interpolated


def test_a_month_that_lacks_days_is_refused(daily, ocean):
    view = satellites.open_view(daily, "ostia").isel(time=slice(0, 50))
    with pytest.raises(ValueError, match="1993-04 is covered on 19 of 30 date.s., limit 80%"):
        satellites.on_grid(view, ocean.time.values[2:4], ocean.latitude, ocean.longitude)
    with pytest.raises(ValueError, match="1993-06 .* 0 of"):
        satellites.on_grid(view, ocean.time.values[5:6], ocean.latitude, ocean.longitude)


def test_days_are_matched_by_day(daily, ocean):
    view = satellites.open_view(daily, "ostia")
    times = pd.date_range("1993-03-05T12:00", periods=3, freq="D").values
    found = satellites.on_grid(view, times, ocean.latitude, ocean.longitude)
    alone = satellites.on_grid(
        view.sel(time=["1993-03-06"]), times[1:2], ocean.latitude, ocean.longitude
    )
    np.testing.assert_allclose(found[1], alone[0], atol=1e-6)


@pytest.mark.parametrize("day", [1, 16])
def test_days_may_follow_monthly_means(daily, ocean, day):
    view = satellites.open_view(daily, "ostia")
    means = view.resample(time="MS").mean()
    stamps = pd.to_datetime([f"1993-02-{day:02d}", f"1993-03-{day:02d}"])
    both = xr.concat([means.assign_coords(time=stamps), view.sel(time="1993-04")], "time")
    args = ocean.latitude, ocean.longitude
    found = satellites.on_grid(both, ocean.time.values[1:4], *args)
    np.testing.assert_allclose(found[1], satellites.on_grid(means[1:], means.time[1:], *args)[0])
    np.testing.assert_allclose(found[2], satellites.on_grid(view, ocean.time.values[3:4], *args)[0])
    with pytest.raises(ValueError, match="1993-04 is covered on 15 of 30"):
        satellites.on_grid(both[:17], ocean.time.values[1:4], *args)
    with pytest.raises(ValueError, match="1993-04 is covered on 1 of 30"):
        satellites.on_grid(view[:32], ocean.time.values[2:4], *args)


def test_sea_level_becomes_metres_on_another_grid(ocean, tmp_path):
    level = archive.sea_level(ocean).to_dataset(name="sla")
    level.sla.attrs = {"standard_name": "sea_surface_height_above_sea_level", "units": "m"}
    for name in ("latitude", "longitude"):
        level[name].attrs = {"standard_name": name}
    level = level.assign_coords(longitude=level.longitude + 360).sortby("latitude", ascending=False)
    packed = {"dtype": "i4", "scale_factor": 1e-4, "_FillValue": -2147483647}
    level.to_netcdf(tmp_path / "duacs.nc", encoding={"sla": packed})
    view = satellites.open_view(tmp_path, "duacs")
    assert view.attrs["units"] == "m" and -180 <= float(view.longitude[0]) < 0
    rows, columns = np.arange(32.3, 35, 0.25), np.arange(-71.5, -69, 0.25)
    found = satellites.on_grid(view, ocean.time.values, rows, columns)
    high = ocean.sea_level
    years = (ocean.time - ocean.time[0]) / np.timedelta64(365, "D")
    exact = (high - high.mean("time") + archive.RISE * years).interp(
        latitude=rows, longitude=columns
    )
    sea = exact.notnull()
    assert sea.mean() > 0.3
    assert float((found - exact).where(sea).std()) < 0.1 * float(exact.std())


def test_a_gap_has_the_value_of_its_nearest_cell():
    field = np.array([[np.nan, 1.0, np.nan, np.nan, 4.0, np.nan]], np.float32)
    np.testing.assert_array_equal(satellites._without_gaps(field), [[1.0, 1.0, 1.0, 4.0, 4.0, 4.0]])


def test_ocean_that_the_view_lacks_is_counted_and_limited(daily, ocean, top):
    view = satellites.open_view(daily, "ostia")
    sea = top.notnull().all("time").values
    south, later = float(top.latitude[4]), view.time >= view.time[31]
    # The second month lacks two rows more.
    lacking = view.where(view.latitude > south + later * 2 / 12)
    args = ocean.time.values[2:4], ocean.latitude.values, ocean.longitude.values
    found = satellites.on_grid(lacking, *args, sea)
    count = 0
    for month in slice(31), slice(31, None):
        seen = regrid(lacking.isel(time=month).mean("time"), *args[1:]).notnull().values
        count += int((sea & ~seen).sum())
    assert 250 < count < 700 and found.attrs["filled_cells"] == count
    np.testing.assert_array_equal(
        found.values[:, sea & seen], satellites.on_grid(view, *args).values[:, sea & seen]
    )
    half = view.where(view.latitude > float(top.latitude[20]))
    words = rf"1993-03 .* lacks \d+ of the ocean's {sea.sum()} cells, limit 20%; choose a region"
    with pytest.raises(ValueError, match=words):
        satellites.on_grid(half, *args, sea)
    later = xr.concat([view.isel(time=slice(31)), half.isel(time=slice(31, None))], "time")
    with pytest.raises(ValueError, match="on 1993-04 the satellite product lacks"):
        satellites.on_grid(later, *args, sea)


def _salt(ocean, **attrs):
    """A month's file of the salinity product, at a depth of 0 m as it is delivered."""
    salt = archive.surface_salinity(ocean).to_dataset(name="sos")
    salt.sos.attrs = {"standard_name": "sea_surface_salinity", "units": "1e-3"} | attrs
    salt.depth.attrs = {"units": "m", "positive": "down"}
    return salt


def test_salinity_is_read_with_and_without_its_depth(ocean, tmp_path):
    salt = _salt(ocean)
    for given in (salt, salt.isel(depth=0, drop=True)):
        given.to_netcdf(tmp_path / f"{given.sos.ndim}.nc")
        view = satellites.open_view(tmp_path / f"{given.sos.ndim}.nc", "multiobs")
        np.testing.assert_allclose(view, salt.sos[:, 0], rtol=1e-6)
        assert view.attrs["standard_name"] == "sea_surface_salinity"


def _level(ocean, name="sla", factor=1.0, units="m"):
    level = (factor * archive.sea_level(ocean)).to_dataset(name=name)
    level[name].attrs = {"long_name": "Sea level anomaly", "units": units}
    return level


REFUSED = {
    "topography": (
        lambda ocean: _level(ocean, "adt"), "duacs",
        ["no sla among ['adt'] (adt is absolute dynamic topography)", "fetch DUACS"],
    ),
    "no salinity": (lambda ocean: _level(ocean), "multiobs", ["no sos among ['sla']", "MULTIOBS"]),
    "sea level in cm declared m": (
        lambda ocean: _level(ocean, factor=100), "duacs",
        ["duacs on 1993-01-01", "reach outside -5 to 5 m", "units to 'cm'"],
    ),
    "quiet sea level in cm declared m": (
        lambda ocean: _level(ocean, factor=25), "duacs",
        ["deviation of 1.", "limit 1 m", "units to 'cm'"],
    ),
    "an unknown unit": (
        lambda ocean: _level(ocean, units="dm"), "duacs", ["sla has units 'dm'", "must be m or cm"]
    ),
    "absolute salinity": (
        lambda ocean: _salt(ocean, standard_name="sea_surface_absolute_salinity", units="g/kg"),
        "multiobs",
        ["sos is sea_surface_absolute_salinity", "must be practical", "gsw.SP_from_SA"],
    ),
    "absolute salinity of sea water": (
        lambda ocean: _salt(ocean, standard_name="sea_water_absolute_salinity", units="g/kg"),
        "multiobs",
        ["sos is sea_water_absolute_salinity", "must be practical"],
    ),
    "kg/kg": (
        lambda ocean: _salt(ocean, units="kg/kg"), "multiobs",
        ["sos has units 'kg/kg'", "kg/kg times 1000"],
    ),
    "kg/kg undeclared": (
        lambda ocean: (_salt(ocean) / 1000), "multiobs",
        ["multiobs on 1993-01-01", "below 0.1", "kg/kg", "multiply them by 1000"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_is_not_the_product_is_refused(ocean, tmp_path, case):
    make, product, words = REFUSED[case]
    make(ocean).to_netcdf(tmp_path / "a.nc")
    refused(words, satellites.open_view, tmp_path, product)


def test_sea_level_declared_in_cm_becomes_metres(ocean, tmp_path):
    _level(ocean, factor=100, units="cm").to_netcdf(tmp_path / "a.nc")
    view = satellites.open_view(tmp_path, "duacs")
    assert view.attrs["units"] == "m"
    np.testing.assert_allclose(view, archive.sea_level(ocean), atol=1e-6)


CHOSEN = {"split": "time", "validation": 1, "test": 1, "gap": 0}


@pytest.fixture(scope="module")
def record(top):
    """Fourteen months of the surface, of which the last two are those of `daily`."""
    months = [2, 3] * 7
    times = pd.date_range("1992-03-01", periods=14, freq="MS")
    return top.isel(time=months).assign_coords(time=times).drop_attrs()


def test_training_dates_are_degraded_and_the_others_seen(daily, record):
    salt = 35 + 0.1 * record
    model = xr.Dataset({"surface_salinity": salt, "surface_temperature": record})
    seen = satellites.seen_from_above(model, {"ostia": daily}, seed=1, **CHOSEN)
    assert list(seen) == list(model) and seen.surface_temperature.chunks is not None
    warm = seen.surface_temperature.compute()
    np.testing.assert_array_equal(warm[:12], degraded(record[:12], "ostia", 1))
    view = satellites.open_view(daily, "ostia")
    expected = satellites.on_grid(view, record.time.values[12:], record.latitude, record.longitude)
    sea = record[0].notnull().values
    np.testing.assert_array_equal(warm.values[12:, sea], expected.values[:, sea])
    assert np.isnan(warm.values[:, ~sea]).all()
    assert warm.attrs == {
        "standard_name": "sea_surface_temperature", "units": "degrees_C", "error": 0.3,
        "filled_cells": warm.attrs["filled_cells"],
    }  # fmt: skip
    assert 0 < warm.attrs["filled_cells"] < 2 * 0.2 * sea.sum()  # on both dates
    # Without a product, all dates are the model's.
    np.testing.assert_array_equal(seen.surface_salinity, degraded(salt, "multiobs", 1))
    assert seen.surface_salinity.attrs == {
        "standard_name": "sea_surface_salinity", "units": "1e-3", "error": 0.15
    }  # fmt: skip


def test_without_a_product_any_split_will_do(record):
    seen = satellites.seen_from_above(
        record.to_dataset(name="sea_level"), {}, seed=2, split="space", validation=1, test=1, gap=0
    )
    np.testing.assert_array_equal(seen.sea_level, degraded(record, "duacs", 2))
    assert seen.sea_level.attrs["error"] == 0.02 and seen.sea_level.attrs["units"] == "m"


def test_sea_level_has_the_models_climatology(tmp_path):
    """Of an altimeter that sees the model's own sea level from another mean, and rising."""
    ocean = simulate(seed=2, months=30, shape=(40, 44))
    high = ocean.sea_level + 0.4
    level = archive.sea_level(ocean).to_dataset(name="sla")
    level.sla.attrs = {"units": "m"}
    level.to_netcdf(tmp_path / "duacs.nc")
    parts = {"split": "time", "validation": 2, "test": 2, "gap": 1}
    model = high.assign_attrs(standard_name="sea_surface_height_above_geoid", units="m")
    seen = satellites.seen_from_above(
        model.to_dataset(name="sea_level"), {"duacs": tmp_path}, seed=1, **parts
    ).sea_level.compute()
    np.testing.assert_array_equal(seen[:25], degraded(high[:25], "duacs", 1))
    assert 0.02 < seen.attrs["error"] < 0.021 and seen.attrs["filled_cells"] > 0
    sea = high.notnull().all("time")
    inner = sea.rolling(latitude=7, longitude=7, center=True).min() == 1
    error = (seen - high)[25:].where(inner)
    assert (seen[25:].notnull() == sea).all()
    raw = 1000 * float(abs(archive.sea_level(ocean)[25:].mean() - high[25:].mean()))
    assert raw > 50  # mm; it would be the error without the alignment
    # Interpolated to an eighth of a degree and back.
    assert 1000 * float(abs(error.mean())) < 1 and 1000 * float(error.std()) < 10


def test_what_does_not_fit_is_refused(daily, record, tmp_path, monkeypatch):
    model = record.to_dataset(name="surface_temperature")
    look = satellites.seen_from_above
    refused(["split is in space", "split='time'"], look, model, {"ostia": daily},
            **(CHOSEN | {"split": "space"}))  # fmt: skip
    words = ["satellite duacs sees sea_level", "['surface_temperature']", "add it to surfaces"]
    refused(words, look, model, {"duacs": daily}, **CHOSEN)
    refused(["'glorys12' is no satellite product", "'ostia'"], look, model, {"glorys12": daily},
            **CHOSEN)  # fmt: skip
    monkeypatch.setitem(satellites.SOURCES, "other", satellites.SOURCES["ostia"])
    words = ["satellites ostia and other both see surface_temperature", "limit 1"]
    refused(words, look, model, {"ostia": daily, "other": daily}, **CHOSEN)
    later = model.assign_coords(time=model.time + np.timedelta64(365, "D"))
    words = ["1994-03 is covered on 0 of 31", "limit 80%", "another period"]
    refused(words, look, later, {"ostia": daily}, **CHOSEN)


def test_sea_level_needs_the_training_dates(ocean, record, tmp_path):
    level = _level(ocean)
    level.assign_coords(time=pd.date_range("1992-11-01", periods=6, freq="MS")).to_netcdf(
        tmp_path / "a.nc"
    )
    words = ["1992-03 is covered on 0 of 1 date(s)", "fetch the others"]
    model = (0.1 * record).to_dataset(name="sea_level")
    refused(words, satellites.seen_from_above, model, {"duacs": tmp_path}, **CHOSEN)


@pytest.mark.skipif(not OSTIA.exists(), reason=f"no real data at {OSTIA}")
def test_the_real_ostia_file_is_regridded():
    view = satellites.open_view(OSTIA, "ostia")
    assert view.sizes == {"time": 54, "latitude": 18, "longitude": 432}
    assert 15 < float(view.min()) < float(view.max()) < 33  # the equator, °C
    times = np.array(["2006-05-01", "2008-02-01"], "datetime64[ns]")
    rows, columns = np.arange(-4.0, 4.01, 0.25), np.arange(-30.0, -10.0, 0.25)
    fine = satellites.on_grid(view, times, rows, columns)
    raw = xr.open_dataset(OSTIA).surface_temperature.sel(time=["2006-05-16T12", "2008-02-15T12"])
    exact = raw.assign_coords(longitude=(raw.longitude + 180) % 360 - 180).sortby("longitude")
    exact = exact.interp(latitude=rows, longitude=columns) - 273.15
    assert exact.notnull().mean() > 0.9
    np.testing.assert_allclose(fine.where(exact.notnull().values), exact, atol=2e-3)
    # The Pacific across the date line, coarser.
    rows, columns = np.arange(-4.0, 4.01, 2.0), np.arange(170.0, 191.0, 3.0)
    coarse = satellites.on_grid(view, times, rows, columns)
    flat = ("latitude", "longitude")
    box = raw.sel(longitude=slice(174.5, 183.5), latitude=slice(-3, 3)).mean(flat)
    found = coarse.sel(longitude=slice(176, 184), latitude=slice(-2, 2))
    np.testing.assert_allclose(found.mean(flat), box - 273.15, atol=0.3)
