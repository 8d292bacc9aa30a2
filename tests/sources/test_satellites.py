"""Satellite views on a field's grid: synthetic ones of known values, and a real OSTIA file."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from marine_store import archive

from ocean_lib.sources import satellites
from ocean_lib.sources.demo_ocean import simulate

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
    warm = ocean.temperature.sel(depth=186.0, method="nearest", drop=True)
    exact = 0.1 * (warm - warm.mean("time")).interp(latitude=rows, longitude=columns)
    sea = exact.notnull()
    assert sea.mean() > 0.3
    assert float((found - exact).where(sea).std()) < 0.1 * float(exact.std())
    with pytest.raises(ValueError, match="no sla among"):
        satellites.open_view(_other(tmp_path), "duacs")


def _other(folder):
    xr.Dataset({"adt": ("time", [1.0])}).to_netcdf(folder / "other.nc")
    return folder / "other.nc"


def test_a_gap_has_the_value_of_its_nearest_cell():
    block = np.array([[[np.nan, 1.0, np.nan, np.nan, 4.0, np.nan]]], np.float32)
    np.testing.assert_array_equal(
        satellites._without_gaps(block), [[[1.0, 1.0, 1.0, 4.0, 4.0, 4.0]]]
    )


def test_a_model_surface_is_degraded_as_stated_and_the_same_again(top):
    seen = satellites.degraded(top, "ostia", seed=3)
    once, again = seen.compute(), seen.compute()
    np.testing.assert_array_equal(once, again)
    assert (once.notnull() == top.notnull()).all()
    flat = xr.full_like(top, 10.0).where(top.notnull())
    error = satellites.degraded(flat, "ostia", seed=3) - flat
    assert float(error.std()) == pytest.approx(0.3, rel=0.25)
    other = satellites.degraded(flat, "ostia", seed=4) - flat
    dates = [float(xr.corr(error[k], error[k + 1])) for k in range(5)]
    assert abs(np.mean(dates)) < 0.4 and abs(float(xr.corr(error, other))) < 0.3
    # Alike nearby, and not far off; a wave shorter than the footprint is gone.
    near = float(xr.corr(error, error.shift(longitude=1)))
    far = float(xr.corr(error, error.shift(longitude=15)))
    assert near > 0.8 and abs(far) < 0.4
    wave = flat + (-1.0) ** np.arange(flat.sizes["longitude"])
    short = satellites.degraded(wave, "ostia", seed=3) - satellites.degraded(flat, "ostia", seed=3)
    assert float(abs(short).mean()) < 0.3


def test_training_dates_are_degraded_and_the_others_seen(daily, top):
    chosen = {"split": "time", "validation": 1, "test": 1, "gap": 0}
    record = xr.concat([top.isel(time=k % 2) for k in range(14)], "time")
    times = pd.date_range("1992-03-01", periods=14, freq="MS")
    record = record.assign_coords(time=times)
    seen = satellites.seen_by("ostia", daily, record, seed=1, **chosen).compute()
    np.testing.assert_array_equal(seen[:12], satellites.degraded(record[:12], "ostia", 1))
    view = satellites.open_view(daily, "ostia")
    expected = satellites.on_grid(view, times.values[12:], top.latitude, top.longitude)
    np.testing.assert_array_equal(seen[12:], expected)
    with pytest.raises(ValueError, match="split is in space.*split='time'"):
        satellites.seen_by("ostia", daily, record, **(chosen | {"split": "space"}))
    with pytest.raises(ValueError, match="'duacs' sees no temperature; choose one of .'ostia'"):
        satellites.seen_by("duacs", daily, record, **chosen)


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
