"""Dates as months, neighbouring dates, and splits whose lengths are months."""

import numpy as np
import pytest

from ocean_lib.core.months import choose_split, from_months, neighbouring_dates, to_months


def monthly(first, number):
    start = np.datetime64(first, "M") + np.arange(number)
    return start.astype("M8[D]").astype("M8[ns]") + np.timedelta64(15, "D")


def test_months_and_dates_convert_both_ways():
    times = monthly("1993-01", 30)
    position = to_months(times)
    assert position.dtype == np.float64
    np.testing.assert_allclose(np.diff(position), 1, atol=0.1)
    np.testing.assert_array_equal(from_months(position), times)
    assert to_months(np.array(["1970-01-01"], "M8[ns]")) == 0


def test_neighbouring_dates_are_whole_months_away_or_absent():
    times = np.delete(monthly("1993-01", 12), 5)  # no June
    index = neighbouring_dates(times, 2)
    assert index.shape == (11, 4)
    assert index[0].tolist() == [-1, -1, 1, 2]
    assert index[4].tolist() == [2, 3, -1, 5]  # May: March, April, no June, July
    assert index[-1].tolist() == [8, 9, -1, -1]
    daily = np.datetime64("1993-01-01") + np.arange(90)
    (before, after) = neighbouring_dates(daily.astype("M8[ns]"))[45]
    assert (45 - before, after - 45) in {(30, 30), (31, 31), (30, 31), (31, 30)}


@pytest.mark.parametrize("days", [1, 7, 30.4375, 91.3125])
def test_lengths_are_months_whatever_the_spacing_of_the_dates(days):
    step = np.timedelta64(round(86400 * days), "s")
    times = np.datetime64("1993-01-01", "s") + np.arange(round(3652.5 / days)) * step
    split = choose_split(times, 40, validation=18, test=24, gap=3, gap_cells=6)
    assert split["kind"] == "time" and split["test"][1] == len(times)
    ends = [*split["train"], *split["validation"], *split["test"]]
    gap, validation, other_gap, test = np.diff(ends[1:]) * days / 30.4375
    for months, asked in ((gap, 3), (other_gap, 3), (validation, 18), (test, 24)):
        assert asked <= months + 0.1 < asked + 0.2 + days / 30.4375
