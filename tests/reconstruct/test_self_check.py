"""Warnings and the self-check, against counts and errors computed by hand."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from tiny import PATTERNS, astir, densifier

from ocean_lib.observations.batch import observe
from ocean_lib.reconstruct.ensemble import reconstruct
from ocean_lib.reconstruct.sampling import Sampling
from ocean_lib.reconstruct.self_check import (
    SelfCheck,
    extend_statistics,
    outside_training,
    run_self_check,
    withhold,
)
from ocean_lib.store.climatology import climatology_at

FAST = Sampling(steps=3)


@pytest.fixture(scope="module")
def seen(small_store):
    fields = small_store.fields("test").isel(time=slice(0, 4))
    drawn = observe(fields, {"pattern": "profiles", "observed": 0.05, "surface": 1.0}, seed=3)
    return drawn.assign_attrs(notes=[])


# Withholding


@pytest.mark.parametrize("columns", [1, 7, 40])
def test_a_tenth_of_the_profiles_is_withheld_whole(columns):
    generator = np.random.default_rng(columns)
    observed = np.zeros((5, 40, 50), bool)
    places = generator.permutation(2000)[:columns]
    observed.reshape(5, -1)[:3, places] = True
    held = withhold(observed, np.random.default_rng(0))
    assert (held >= 0).sum() == max(1, round(0.1 * columns))
    assert observed.any(0)[held >= 0].all()
    assert len(np.unique(held[held >= 0])) == (held >= 0).sum()  # every profile by itself
    assert (withhold(observed, np.random.default_rng(0)) == held).all()


def test_of_dense_columns_whole_blocks_are_withheld():
    """Neighbouring cells would reveal a withheld cell, so blocks are withheld."""
    observed = np.random.default_rng(1).random((2, 64, 80)) < 0.5
    held = withhold(observed, np.random.default_rng(0))
    taken, columns = held >= 0, observed.any(0)
    assert 0.05 < taken.sum() / columns.sum() < 0.15
    for group in np.unique(held[taken]):
        y, x = np.nonzero(held == group)
        box = columns[y.min() : y.max() + 1, x.min() : x.max() + 1]
        assert max(np.ptp(y), np.ptp(x)) < 8 and (held == group).sum() == box.sum()


# The self-check


def by_hand(frame, method):
    return float(np.sqrt(frame[method].sum() / frame.n.sum()))


def test_errors_at_withheld_profiles_are_those_of_what_was_never_given(small_store, seen):
    """Climatology by hand at the very cells; the background from the other observations alone."""
    model = densifier(small_store, "regression")
    check = run_self_check(model, seen, members=16, sampling=FAST)
    frame, statistics = check.squares, model.statistics
    normal = climatology_at(statistics, seen.time.values)[:, 1:]
    square = (seen.value.values - normal) ** 2
    depth = seen.depth.values.round(1).tolist()
    for row in frame.itertuples():
        date, label = map(int, row.group.split())
        y, x = divmod(label, seen.sizes["longitude"])
        expected = square[date, depth.index(row.depth), y, x]
        assert row.climatology == pytest.approx(expected, rel=2e-3, abs=1e-6)
    table = check.rmse()
    assert table.loc["all", "climatology"] == pytest.approx(by_hand(frame, "climatology"))
    assert table.n.iloc[:-1].sum() == table.loc["all", "n"] == len(frame)
    # An untrained regression says the background; hidden, it errs by more than where it was seen.
    assert table.loc["all", "background"] > 0.1
    assert table.loc["all", "reconstruction"] == pytest.approx(table.loc["all", "background"], 0.1)


def test_a_spoiled_model_is_told_first_and_a_good_one_is_not(small_store, seen):
    spoiled = run_self_check(
        astir(densifier(small_store), size=0.5), seen, members=8, sampling=FAST
    )
    assert spoiled.worse_than("background")
    overall = spoiled.rmse().loc["all"]
    first = spoiled.verdict().splitlines()[0]
    share = overall.reconstruction / overall.background - 1
    for word in ("WARNING", "WORSE than the background", f"{share:.0%}", "--fallback"):
        assert word in first
    assert f"{overall.background:.3f}" in first
    good = pretend(groups=12)
    assert not good.worse_than("background") and "WARNING" not in good.verdict()
    low, high = good.interval_against("background")
    assert low < high < 0 and f"[{low:+.3f}, {high:+.3f}]" in good.verdict()
    assert "12 profiles or blocks, 12 values" in good.verdict()


def pretend(groups):
    """One value per group; the reconstruction has half the error of the background."""
    error = np.random.default_rng(0).uniform(0.1, 0.3, groups)
    names = [f"0 {label}" for label in range(groups)]
    squares = {"reconstruction": error**2, "background": 4 * error**2, "climatology": 1.0}
    return SelfCheck(pd.DataFrame({"group": names, "depth": 10.0, "n": 1} | squares))


def test_few_groups_have_no_interval_and_the_verdict_says_so():
    few = pretend(groups=9)
    assert few.interval_against("background") is None
    assert "no interval from fewer than 10 profiles or blocks" in few.verdict()
    assert "RMSE there, °C: reconstruction 0." in few.verdict()


def test_the_background_that_is_judged_is_the_one_that_a_reconstruction_has(small_store):
    """With months beyond the next: they enter both, as far as the background reaches."""
    model = densifier(small_store, "regression").eval()
    guess = model.background
    guess.scales = [guess.scales[0] | {"lengths": (3.0, 37.0, 37.0)}]
    assert guess.reach == 6
    fields = small_store.fields("test", [0, 2, 4, 5, 7, 9])  # one date a run
    seen = observe(fields, {"pattern": "profiles", "observed": 0.03}, seed=3)
    squares = run_self_check(model, seen, members=4).squares
    groups = squares.groupby("group").background.sum()
    assert len({group.split()[0] for group in groups.index}) == 6
    for date in range(6):
        observed = seen.observed.values.copy()
        hidden = {group: int(group.split()[1]) for group in groups.index if group[0] == f"{date}"}
        for label in hidden.values():
            observed[date].reshape(5, -1)[:, label] = False
        rest = seen.assign(observed=seen.observed.copy(data=observed))
        background = reconstruct(model, rest, members=2).background.values[date].reshape(5, -1)
        for group, label in hidden.items():
            truth = seen.value.values[date].reshape(5, -1)[:, label]
            expected = np.nansum((background[:, label] - truth) ** 2)
            assert groups[group] == pytest.approx(expected, rel=1e-4)


def test_one_profile_alone_cannot_be_checked(small_store, seen):
    alone = seen.isel(time=[0]).copy(deep=True)
    y, x = np.argwhere(alone.observed.values[0].any(0))[0]
    alone.observed.values[0] = False
    alone.observed.values[0, :2, y, x] = True
    check = run_self_check(densifier(small_store, "regression"), alone, members=4, sampling=FAST)
    assert check.groups == 0 and "skill here is unknown" in check.verdict()
    assert not check.worse_than("background")


# Outside the training


def told(small_store, observations):
    return outside_training(densifier(small_store, "regression"), observations)


def test_observations_like_the_training_need_no_warning(small_store, seen):
    assert told(small_store, seen) == []


def shifted(seen):
    return seen.assign_coords(longitude=seen.longitude + 1.0)


def coarse(seen):
    return seen.isel(latitude=slice(None, None, 3))


def warm(seen):
    return seen.assign(value=seen.value + 9)


def mixed(seen):
    """The right mean at every level, the wrong difference between them."""
    sign = xr.DataArray([1, -1, 1, -1, 1], dims="depth")
    return seen.assign(value=seen.value + 1.2 * sign)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (shifted, ["region", "43%", "-65.0 to -62.8 °E"]),
        (coarse, ["grid", "0.250°", "0.083°", "latitude"]),
        (warm, ["values", "times", "limit 2", "of 5 depths"]),
        (mixed, ["stratification", "–", "times", "of 4 depths"]),
    ],
)
def test_what_is_new_to_the_model_is_told_in_numbers(small_store, seen, change, words):
    lines = told(small_store, change(seen))
    chosen = [line for line in lines if line.startswith(words[0])]
    assert len(chosen) == 1, lines
    for word in words:
        assert word in chosen[0], (word, chosen[0])


def test_a_season_never_trained_on_is_told(small_store, seen):
    model = densifier(small_store, "regression")
    model.statistics.attrs["months"] = [6, 7, 8]
    months = sorted({int(m) for m in seen.time.dt.month.values} - {6, 7, 8})
    (line,) = outside_training(model, seen)
    assert line.startswith("season") and str(months) in line and "[6, 7, 8]" in line


def test_beyond_the_edge_the_nearest_place_holds(small_store, seen):
    statistics = small_store.statistics()
    assert extend_statistics(statistics, seen) is statistics
    reached = extend_statistics(statistics, shifted(seen))
    np.testing.assert_array_equal(reached.longitude, seen.longitude + 1)
    np.testing.assert_array_equal(reached.deviation[..., -1], statistics.deviation[..., -1])
    np.testing.assert_array_equal(reached.deviation[..., 0], statistics.deviation[..., 12])


def test_patterns_of_every_kind_can_be_checked(small_store):
    fields = small_store.fields("test").isel(time=[0])
    for pattern in PATTERNS:
        drawn = observe(fields, pattern, seed=1).assign_attrs(notes=[])
        check = run_self_check(densifier(small_store), drawn, members=4, sampling=FAST)
        assert check.groups and np.isfinite(check.rmse().values).all()
