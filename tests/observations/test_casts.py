"""Cleaning of casts and interpolation to levels, against loops and check values."""

import numpy as np
import pytest

from ocean_lib.observations.casts import GAP_FLOOR, GAP_SHARE, Casts


def casts(*profiles, pressure=True, salinity=35.0, latitude=30.0, **more):
    """Profiles, each (pressures, temperatures)."""
    number = len(profiles)
    vertical, temperature = (np.concatenate([each[k] for each in profiles]) for k in (0, 1))
    given = {
        "platform": ["1"] * number,
        "station": [str(k) for k in range(number)],
        "rank": np.zeros(number, int),
        "time": np.full(number, np.datetime64("2005-01-01")),
        "latitude": np.full(number, latitude),
        "longitude": np.full(number, 200.0),
        "profile": np.repeat(np.arange(number), [len(each[0]) for each in profiles]),
        "pressure" if pressure else "depth": vertical.astype(float),
        "temperature": temperature.astype(float),
        "salinity": np.full(len(vertical), salinity),
        "error": np.full(len(vertical), 0.01),
        "flagged": np.zeros(len(vertical), bool),
    }
    return Casts.from_values(**(given | more))


def test_pressure_becomes_depth_as_published():
    # UNESCO 1983: 9712.653 m at 10,000 dbar, 30° N; TEOS-10: 9.9446 m at 10 dbar, 4° N.
    deep = casts(([10.0, 10000.0], [10.0, 2.0]))
    assert deep.depth[1] == pytest.approx(9712.65, abs=2.5)
    low = casts(([10.0, 50.0], [28.0, 27.0]), latitude=4.0)
    assert low.depth[0] == pytest.approx(9.9446, abs=1e-3)


def test_temperature_becomes_potential_as_published():
    # UNESCO 1983: 40 (practical), 40 °C, 10,000 dbar → 36.89073 °C; EOS-80 and IPTS-68 differ from
    # TEOS-10 and ITS-90 by some hundredths so far from any sea.
    hot = casts(([10.0, 10000.0], [40.0, 40.0]), salinity=40.0).make_potential()
    assert hot.temperature[1] == pytest.approx(36.891, abs=0.02)
    assert hot.lost["without salinity (kept)"] == 0
    # TEOS-10 (gsw_pt0_from_t): SA 34.7118, 28.7856 °C, 10 dbar → 28.783197 °C.
    warm = casts(([10.0, 50.0], [28.7856, 28.4329]), salinity=34.55, latitude=4.0)
    assert warm.make_potential().temperature[0] == pytest.approx(28.7832, abs=2e-4)


def test_without_salinity_the_mean_oceans_serves_and_is_counted():
    known, unknown = (
        casts(([10.0, 2000.0], [20.0, 4.0]), salinity=s).make_potential() for s in (35.0, np.nan)
    )
    np.testing.assert_allclose(unknown.temperature, known.temperature)
    assert unknown.lost["without salinity (kept)"] == 2


@pytest.mark.parametrize(
    ("profile", "kept", "why"),
    [
        (([5, 10, 20, 30], [20, 19, 18, 17]), [0, 1, 2, 3], None),
        (([5, 10, 20, 30], [20, 99, 18, 17]), [0, 2, 3], "impossible value"),
        (([5, 10, 20, 30], [20, 19, -5, 17]), [0, 1, 3], "impossible value"),
        (([5, 10, 20, 30], [20, 19, 29, 18]), [0, 1, 3], "spike"),
        (([5, 10, 20, 30], [20, 19, 24, 18]), [0, 1, 2, 3], None),  # near the surface it may be
        (([800, 810, 820, 830], [8, 8, 11, 8]), [0, 1, 3], "spike"),
        (([5, 10, 8, 30], [20, 19, 18, 17]), [0, 1, 3], "pressure does not increase"),
        (([5, 10, 10, 30], [20, 19, 18, 17]), [0, 1, 3], "pressure does not increase"),
        (([-50, 10, 20, 30], [20, 19, 18, 17]), [1, 2, 3], "impossible depth"),
        (([5, 10, 20, 20000], [20, 19, 18, 17]), [0, 1, 2], "impossible depth"),
    ],
)
def test_what_cannot_be_true_is_left_out_and_counted(profile, kept, why):
    # Between two others, so that neighbours in the file are not taken for neighbours in the water.
    other = ([5.0, 40.0], [3.0, 2.0])
    cleaned = casts(other, profile, other).clean()
    own = cleaned.profile == 1
    np.testing.assert_allclose(cleaned.temperature[own], np.take(profile[1], kept))
    assert (cleaned.profile != 1).sum() == 4 and (cleaned.refused == "").all()
    lost = {reason: number for reason, number in cleaned.lost.items() if number}
    assert lost == ({why: 1} if why else {})


@pytest.mark.parametrize(
    ("profile", "why"), [(([10.0], [5.0]), "one value only"), (([np.nan], [np.nan]), "no value")]
)
def test_a_profile_without_enough_says_so(profile, why):
    cleaned = casts(profile, ([5.0, 9.0], [4.0, 3.0])).clean()
    assert cleaned.refused.tolist() == [why, ""]


def read_off(depth, value, level):
    """One profile at one level, by hand."""
    for k in range(len(depth)):
        if depth[k] == level and k == 0:
            return value[k]
    for k in range(len(depth) - 1):
        if depth[k] < level <= depth[k + 1]:
            if depth[k + 1] - depth[k] > max(GAP_SHARE * level, GAP_FLOOR):
                return np.nan
            share = (level - depth[k]) / (depth[k + 1] - depth[k])
            return value[k] + share * (value[k + 1] - value[k])
    return np.nan


def test_levels_are_read_off_within_range_and_not_across_gaps():
    rng = np.random.default_rng(0)
    profiles = []
    for number in (2, 3, 8, 40, 200):
        depth = np.sort(rng.choice(np.arange(1, 1500), number, replace=False)).astype(float)
        profiles.append((depth, rng.normal(10, 3, number)))
    levels = np.array([0.5, profiles[3][0][0], 40.0, 300.0, 777.7, profiles[2][0][-1], 2000.0])
    made = casts(*profiles, pressure=False)
    found, error, _ = made.to_levels(levels)
    expected = [[read_off(*each, level) for level in levels] for each in profiles]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert np.isfinite(expected).sum() > 8 and np.isnan(expected).sum() > 8
    np.testing.assert_allclose(error[np.isfinite(found)], 0.01)
    np.testing.assert_array_equal(np.isnan(error), np.isnan(found))


def test_salinity_is_read_off_where_it_is_plausible():
    depth, salinity = np.array([5.0, 15.0, 25.0, 35.0]), np.array([35.0, 36.0, np.nan, 99.0])
    made = casts((depth, np.array([20.0, 19.0, 18.0, 17.0])), salinity=salinity, pressure=False)
    temperature, _, found = made.to_levels([5.0, 10.0, 15.0, 20.0, 35.0])
    np.testing.assert_allclose(found[0], [35.0, 35.5, 36.0, np.nan, np.nan])
    np.testing.assert_allclose(temperature[0], [20.0, 19.5, 19.0, 18.5, 17.0])


def test_a_refused_profile_says_nothing():
    given = casts(([5.0, 40.0], [3.0, 2.0]), pressure=False, flags={"no date": np.array([True])})
    assert given.refused.tolist() == ["no date"] and np.isnan(given.to_levels([10.0])[0]).all()


def test_longitudes_and_positions():
    given = casts(([5.0, 40.0], [3.0, 2.0]), latitude=95.0)
    assert given.refused.tolist() == ["no position"] and given.longitude.tolist() == [-160.0]
