"""Dates of tables: one rule for a column, by hand and by Python's own calendar; refusals."""

import datetime

import numpy as np
import pandas as pd
import pytest

from ocean_lib.observations.table_dates import add_clock, read_dates

READ = {
    "ISO days": (["2015-04-03", "2015-04-13"], {}, ["2015-04-03", "2015-04-13"]),
    "ISO moments": (
        ["2015-04-03T10:00:00Z", "2015-04-13 10:00", "2015-04-14T23:30:00-02:00"],
        {},
        ["2015-04-03T10:00", "2015-04-13T10:00", "2015-04-15T01:30"],
    ),
    "an empty cell": (["2015-04-03", None, "2015-04-13"], {}, ["2015-04-03", "NaT", "2015-04-13"]),
    "day first, as one row shows": (["03/04/2015", "13/04/2015"], {}, ["2015-04-03", "2015-04-13"]),
    "month first, as one row shows": (
        ["03/04/2015 10:30", "03/14/2015 11:30"],
        {},
        ["2015-03-04T10:30", "2015-03-14T11:30"],
    ),
    "points": (["03.04.2015", "31.12.2014"], {}, ["2015-04-03", "2014-12-31"]),
    "a month in words": (["3-Apr-2015", "13-May-2015"], {}, ["2015-04-03", "2015-05-13"]),
    "English": (["Apr 3, 2015", "May 13, 2015"], {}, ["2015-04-03", "2015-05-13"]),
    "a day that reads alike": (["03/03/2015"], {}, ["2015-03-03"]),
    "a format": (["03/04/2015"], {"date_format": "%d/%m/%Y"}, ["2015-04-03"]),
    "digits": ([20150403, 20150413], {"date_format": "%Y%m%d"}, ["2015-04-03", "2015-04-13"]),
    "digits beside an empty cell": (
        [20150403.0, np.nan],
        {"date_format": "%Y%m%d"},
        ["2015-04-03", "NaT"],
    ),
    "years of two digits": (["15-04-03"], {"date_format": "%y-%m-%d"}, ["2015-04-03"]),
    "days since": ([23833.5], {"time_units": "days since 1950-01-01"}, ["2015-04-03T12:00"]),
    "DAYS SINCE": ([23833.5], {"time_units": "DAYS SINCE 1950-01-01"}, ["2015-04-03T12:00"]),
    "Unix": ([1428019200], {"time_units": "seconds since 1970-01-01"}, ["2015-04-03"]),
    "decimal years": (
        [2015.0, 2016.5],
        {"time_units": "decimal years"},
        ["2015-01-01", "2016-07-02"],
    ),
    # 1 January 2000, 12:00, is Julian day 2451545 (US Naval Observatory).
    "Julian": ([2451545.0], {"time_units": "julian days"}, ["2000-01-01T12:00"]),
    "modified Julian": ([51544.5], {"time_units": "modified julian days"}, ["2000-01-01T12:00"]),
    "Excel": ([42097.25], {"time_units": "excel days"}, ["2015-04-03T06:00"]),
    "Matlab": (
        [datetime.date(2015, 4, 3).toordinal() + 366.25],
        {"time_units": "matlab days"},
        ["2015-04-03T06:00"],
    ),
}


@pytest.mark.parametrize("name", READ)
def test_a_column_is_read_by_one_rule(name):
    cells, choices, expected = READ[name]
    got = read_dates(pd.Series(cells), **choices)
    np.testing.assert_array_equal(got.values, np.array(expected, "M8[ns]"))


@pytest.mark.parametrize("code", ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%b-%Y", "%Y/%m/%d %H:%M"])
def test_what_is_written_is_read_again(code):
    """Days of a year in random order: many of them read in two ways, but the column in one."""
    days = np.datetime64("2011-01-01") + np.random.default_rng(0).permutation(365)
    texts = pd.Series(pd.to_datetime(days)).dt.strftime(code)
    np.testing.assert_array_equal(read_dates(texts).values, days.astype("M8[ns]"))


REFUSED = {
    "day or month first": (["03/04/2015", "05/06/2015"], ["2015-04-03", "2015-03-04", "row 1"]),
    "points, either way": (["03.04.2015 10:00"], ["date_format", "%d.%m.%Y"]),
    "mixed": (["2015-04-03", "13/04/2015"], ["'13/04/2015'", "row 2", "every row"]),
    "mixed, neither fits": (["13/04/2015", "04/13/2015"], ["row 2", "every row"]),
    "a time of day": (["10:30", "11:30"], ["time of day", "column date"]),
    "no year": (["3-Apr"], ["names no year"]),
    "no year, in digits": (["03/04"], ["names no year"]),
    "a year of two digits": (["15-04-03"], ["two digits", "%y-%m-%d"]),
    "no day": (["2015-04"], ["names no day", "%Y-%m"]),
    "YYYYMMDD": ([20150403], ["20150403", "YYYYMMDD", 'date_format="%Y%m%d"']),
    "YYYYMM": ([201504], ["YYYYMM"]),
    "Unix": ([1428019200], ["seconds since 1970-01-01"]),
    "Matlab": ([736057.5], ["matlab days"]),
    "Julian": ([2457115.5], ["julian days"]),
    "decimal years": ([2015.2534], ["decimal years"]),
    "days since something": ([23833.5], ["days since 1950-01-01", "excel days"]),
    "HHMM": ([1030], ["1030", "time_units"]),
    "day 31 of April": (["2015-04-31"], ["2015-04-31", "row 1"]),
    "before 1750": (["1066-10-14"], ["1066-10-14", "outside 1750"]),
    "the future": (["2999-01-01"], ["2999-01-01", "tomorrow"]),
    "a year of two digits, in words": (["03-APR-15"], ["two digits"]),
    "words with digits": (["station 7"], ["'station 7'"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_may_be_misread_is_refused(name):
    cells, words = REFUSED[name]
    with pytest.raises(ValueError) as caught:
        read_dates(pd.Series(cells))
    for word in words:
        assert word in str(caught.value), caught.value


@pytest.mark.parametrize(
    ("cells", "choices", "words"),
    [
        ([1.0], {"time_units": "fortnights"}, "'fortnights'.*days since"),
        ([np.inf], {"time_units": "days since 1950-01-01"}, "inf in row 1 is no number"),
        ([-999.0], {"time_units": "days since 1950-01-01"}, "-999.0 in row 1 is no number.*empty"),
        ([-5.0], {"time_units": "excel days"}, "-5.0 in row 1"),
        ([100], {"time_units": "days since 03/04/1950"}, "no first date as YYYY-MM-DD"),
        (["03/04"], {"date_format": "%d/%m"}, "must hold year and month"),
        (["2015"], {"date_format": "%Y"}, "must hold year and month"),
        (["03/04/2015"], {"date_format": "mixed"}, "'mixed', must hold year and month"),
        ([3042015], {"date_format": "%d%m%Y"}, "3042015 has 7 digits.*leading zeros"),
        ([[1], [2]], {}, "holds lists"),
        ([1e12], {"time_units": "days since 1950-01-01"}, "days since 1950-01-01"),
        (["x"], {"time_units": "days since 1950-01-01"}, "'x' in row 1 is no number"),
        ([20150403], {"time_units": "days since 1950-01-01"}, "correct"),
        (["03/04/2015"], {"date_format": "%Y-%m"}, "does not follow date_format '%Y-%m'"),
        (["2015"], {"date_format": "%Y", "time_units": "decimal years"}, "both given"),
    ],
)
def test_a_choice_that_does_not_fit_is_refused(cells, choices, words):
    with pytest.raises(ValueError, match=words):
        read_dates(pd.Series(cells), **choices)


def test_words_without_a_digit_are_no_date():
    got = read_dates(pd.Series(["2015-04-03", "unknown", "n/a"]))
    np.testing.assert_array_equal(got.isna(), [False, True, True])


def test_the_time_of_day_of_another_column_is_added():
    date = read_dates(pd.Series(["2015-04-03", "2015-04-13", None, "2015-04-14"]))
    clock = pd.Series(["9:30", None, "10:00", "11:30:15 UTC"])
    expected = ["2015-04-03T09:30", "2015-04-13", "NaT", "2015-04-14T11:30:15"]
    np.testing.assert_array_equal(add_clock(date, clock).values, np.array(expected, "M8[ns]"))
    with pytest.raises(ValueError, match="1030 in row 1 beside a column date is no time of day"):
        add_clock(date[:1], pd.Series([1030]))
    with pytest.raises(ValueError, match="both hold a time of day"):
        add_clock(read_dates(pd.Series(["2015-04-03T10:00"])), clock[:1])
