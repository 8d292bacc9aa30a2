"""Dates of every calendar and count, against dates written out by hand."""

import cftime
import numpy as np
import pytest
import xarray as xr
from grids import refused, sea

from ocean_lib.fields import canonical


def dated(values, units=None, name="time", **attrs):
    """The small sea with raw numbers as its time axis."""
    d = sea().isel(time=[0] * len(values)).drop_vars("time")
    attrs = attrs if units is None else {"units": units} | attrs
    return d.assign_coords(time=("time", values, attrs)).rename(time=name)


def opened(dataset, tmp_path):
    dataset.to_netcdf(tmp_path / "a.nc")
    return canonical.open_fields(tmp_path / "a.nc").time.values.astype("M8[s]").astype(str).tolist()


THIRTY = {"calendar": "360_day"}
COUNTED = {
    "days": ([14.5, 45], "days since 2000-01-01", {}, ["2000-01-15T12", "2000-02-15"]),
    "seconds": ([0, 86400], "seconds since 1950-01-01", {}, ["1950-01-01", "1950-01-02"]),
    "hours, a zone": (
        [12, 36],
        "hours since 2000-01-01 00:00:00 +00:00",
        {},
        ["2000-01-01T12", "2000-01-02T12"],
    ),
    "no leap": (
        [58, 59],
        "days since 2000-01-01",
        {"calendar": "noleap"},
        ["2000-02-28", "2000-03-01"],
    ),
    "in capitals": ([14.5, 45], "DAYS SINCE 2000-01-01", {}, ["2000-01-15T12", "2000-02-15"]),
    "in other capitals": (
        [12, 36],
        "Hours Since 2000-01-01",
        {},
        ["2000-01-01T12", "2000-01-02T12"],
    ),
    "months in capitals": ([0, 1], "MONTHS SINCE 2000-01-01", {}, ["2000-01-01", "2000-02-01"]),
    "30 February": (
        [58.5, 59.5, 60],
        "days since 2001-01-01",
        THIRTY,
        ["2001-02-28T12", "2001-02-28T12", "2001-03-01"],
    ),
    "all leap": ([59], "days since 2001-01-01", {"calendar": "all_leap"}, ["2001-02-28"]),
    "months": (
        [0, 1, 13],
        "months since 2000-01-01",
        {},
        ["2000-01-01", "2000-02-01", "2001-02-01"],
    ),
    "months, mid": ([0, 1], "months since 2000-01-15", {}, ["2000-01-15", "2000-02-15"]),
    "half months": (
        [372.5, 373.5],
        "months since 1955-01-01 00:00:00",
        {},
        ["1986-01-16T12", "1986-02-15"],
    ),
    "negative months": ([-1, -0.5], "month since 2000-01-01", {}, ["1999-12-01", "1999-12-16T12"]),
    "months of 30 days": ([2, 3], "months since 2000-01-01", THIRTY, ["2000-03-01", "2000-04-01"]),
    "years": ([0, 10], "years since 1990-01-01", {}, ["1990-01-01", "2000-01-01"]),
    "half years, no leap": (
        [0.5],
        "common_years since 1990-01-01",
        {"calendar": "noleap"},
        ["1990-07-01"],
    ),
    "from the year 0": ([24001], "months since 0000-01-01", {}, ["2000-02-01"]),
}


@pytest.mark.parametrize("name", COUNTED)
def test_counted_dates(tmp_path, name):
    values, units, attrs, expected = COUNTED[name]
    expected = [str(np.datetime64(date, "s")) for date in expected]
    if name == "30 February":  # two days become one: refused as a date given twice
        refused(["2001-02-28", "limit 1"], canonical.to_canonical, dated(values, units, **attrs))
        values, expected = values[1:], expected[1:]
    assert opened(dated(np.array(values), units, **attrs), tmp_path) == expected


@pytest.mark.parametrize("name", ["date", "time_counter", "DATE", "t"])
def test_a_time_axis_of_another_name(tmp_path, name):
    d = dated([14.5, 45], "days since 2000-01-01", name=name)
    assert opened(d, tmp_path) == ["2000-01-15T12:00:00", "2000-02-15T00:00:00"]


def test_a_file_of_no_dates_is_refused(tmp_path):
    for name, number in (("a", 0), ("b", 3)):
        path = tmp_path / f"{name}.nc"
        sea().isel(time=slice(number)).to_netcdf(path, unlimited_dims=["time"])
    for paths in (tmp_path / "a.nc", tmp_path):
        refused(["a.nc", "0 dates", "needs 1"], canonical.open_fields, paths)


def test_decoded_dates_of_other_calendars_keep_their_hour():
    dates = [cftime.DatetimeNoLeap(2020, 1, 16, 12), cftime.DatetimeNoLeap(2020, 2, 15)]
    found = canonical.to_canonical(dated(dates)).time.values
    assert (found == np.array(["2020-01-16T12", "2020-02-15"], "M8[ns]")).all()


def test_a_date_at_the_end_of_its_bounds_moves_to_their_middle():
    """January's mean is often dated 1 February."""
    d = dated([31.0, 60.0], "days since 2000-01-01", bounds="time_bnds")
    d["time_bnds"] = (("time", "two"), [[0.0, 31], [31, 60]])
    expected = np.array(["2000-01-16T12", "2000-02-15T12"], "M8[ns]")
    for dataset in (d, xr.decode_cf(d)):
        assert (canonical.to_canonical(dataset).time.values == expected).all()
    inside = d.assign_coords(time=("time", [0.0, 45.0], d.time.attrs))
    expected = np.array(["2000-01-01", "2000-02-15"], "M8[ns]")
    assert (canonical.to_canonical(inside).time.values == expected).all()


def test_bounds_of_another_shape_are_noted_and_infinite_dates_refused():
    d = dated([31.0, 60.0], "days since 2000-01-01", bounds="time_bnds")
    d["time_bnds"] = (("two", "time"), [[0.0, 31], [31, 60]])
    d["time_bnds"] = d.time_bnds.expand_dims(extra=1)
    told = canonical.to_canonical(d).time
    assert "has shape (1, 2, 2)" in told.attrs["note"]
    assert told.values[0] == np.datetime64("2000-02-01")
    for value in (np.inf, -np.inf):
        refused(["not dates"], canonical.to_canonical, dated([1.0, value], "days since 2000-01-01"))


def test_months_of_a_climatology_have_a_nominal_year():
    time = canonical.to_canonical(dated([2, 1, 12], name="month")).time
    expected = np.array(["2001-01-16T12", "2001-02-15", "2001-12-16T12"], "M8[ns]")
    assert (time.values == expected).all()
    assert "climatology" in time.attrs["comment"] and "2001" in time.attrs["comment"]
    assert (canonical.to_canonical(dated([2, 1, 12], "month")).time.values == expected).all()


def test_a_field_without_a_date_is_dated_in_the_middle_of_the_nominal_year(tmp_path):
    bare = sea().isel(time=0, drop=True)
    time = canonical.to_canonical(bare).time
    assert time.values == np.datetime64("2001-07-02T12")
    assert "no date" in time.attrs["comment"]
    scalar = canonical.to_canonical(sea().isel(time=1)).time
    assert scalar.values == np.datetime64("2020-02-15") and "comment" not in scalar.attrs
    for name in "ab":
        bare.to_netcdf(tmp_path / f"{name}.nc")
    refused(["2001-07-02", "no date", "separately"], canonical.open_fields, tmp_path)
    sea().to_netcdf(tmp_path / "b.nc")
    refused(["b.nc", "real", "nominal", "separately"], canonical.open_fields, tmp_path)


REFUSED = {
    "numbers": (dated([0.5, 1.5, 2.5]), ["0.5", "not dates", "days since"]),
    "an absolute date": (dated([20010116.5], "day as %Y%m%d.%f"), ["20010116.5", "days since"]),
    "a forecast": (dated([1.0], "hours since analysis"), ["analysis", "days since a date"]),
    "months since nothing": (dated([1.0], "months since start"), ["start", "days since a date"]),
    "the year 1": (
        dated([15.0, 45], "days since 0001-01-01", calendar="noleap"),
        ["year 1", "1678", "shifttime"],
    ),
    "a missing date": (dated([1.0, np.nan], "days since 2000-01-01"), ["nan", "not dates"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_date_is_refused(name):
    dataset, words = REFUSED[name]
    refused(words, canonical.to_canonical, dataset)
