"""The self-check, against distances and errors computed by hand."""

import numpy as np
import pandas as pd
import pytest
from tiny import PATTERNS, astir, densifier

from ocean_lib.core.geometry import sphere
from ocean_lib.observations.batch import observe
from ocean_lib.reconstruct import self_check as module
from ocean_lib.reconstruct.ensemble import reconstruct
from ocean_lib.reconstruct.sampling import Sampling
from ocean_lib.reconstruct.self_check import EARTH_RADIUS, SelfCheck, run_self_check, withhold
from ocean_lib.store.climatology import climatology_at

FAST = Sampling(steps=3)


@pytest.fixture(scope="module")
def seen(small_store):
    fields = small_store.fields("test").isel(time=slice(0, 4))
    drawn = observe(fields, {"pattern": "profiles", "observed": 0.05, "surface": 1.0}, seed=3)
    return drawn.assign_attrs(notes=[])


# Withholding


def grid(height=48, width=60):
    axes = 30 + np.arange(height) / 12, -60 + np.arange(width) / 12
    return sphere(*np.meshgrid(*axes, indexing="ij"), float)


def in_km(one, other):
    """Chords between points of the unit sphere, (n, m)."""
    return EARTH_RADIUS * np.linalg.norm(one[:, None] - other[None], axis=-1)


def clustered(seed):
    """Ten clusters of four neighbouring columns: floats that surface several times a month."""
    observed = np.zeros((48, 60), bool)
    for y, x in np.random.default_rng(seed).integers((46, 58), size=(10, 2)):
        observed[y : y + 2, x : x + 2] = True
    return observed


@pytest.mark.parametrize(
    "observed", [clustered(1), np.random.default_rng(0).random((48, 60)) < 0.5]
)
def test_judged_columns_lie_as_far_from_kept_ones_as_mapped_cells(observed):
    """In clusters a column's own neighbours are one cell away; those are withheld with it."""
    places, found = grid(), []
    expected = in_km(places[~observed], places[observed]).min(1)
    for seed in range(40):
        withheld, judged, asked = withhold(
            observed, np.ones_like(observed), places, np.random.default_rng(seed)
        )
        np.testing.assert_allclose(np.sort(asked), np.sort(expected), rtol=1e-6)
        assert judged.any() and not (judged & ~withheld).any() and not (withheld & ~observed).any()
        assert withheld.sum() <= observed.sum() / 2
        found.append(in_km(places[judged], places[observed & ~withheld]).min(1))
    found = np.concatenate(found)
    assert np.median(found) > 0.8 * np.median(expected)
    assert np.median(found) < 1.7 * np.median(expected)


def test_about_a_tenth_is_withheld_and_the_draw_follows_from_the_generator():
    observed = np.random.default_rng(0).random((48, 60)) < 0.3
    draws = [withhold(observed, observed | True, grid(), np.random.default_rng(5))[0] for _ in "ab"]
    assert 0.07 < draws[0].sum() / observed.sum() < 0.11
    assert (draws[0] == draws[1]).all()


def test_one_column_is_kept():
    observed = np.zeros((48, 60), bool)
    observed[3, 4] = True
    assert not any(part.any() for part in withhold(observed, observed | True, grid(), None)[:2])


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
        date, _, label = map(int, row.group.split())
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
    assert "12 withheld columns, 12 values, at a median of 80 km" in good.verdict()
    assert "(mapped cells: 90 km)" in good.verdict()


def pretend(groups):
    """One value per group; the reconstruction has half the error of the background."""
    error = np.random.default_rng(0).uniform(0.1, 0.3, groups)
    names = [f"0 {label}" for label in range(groups)]
    squares = {"reconstruction": error**2, "background": 4 * error**2, "climatology": 1.0}
    common = {"group": names, "depth": 10.0, "n": 1, "distance": 80.0}
    return SelfCheck(pd.DataFrame(common | squares), 90.0)


def test_few_groups_have_no_interval_and_the_verdict_says_so():
    few = pretend(groups=9)
    assert few.interval_against("background") is None
    assert "no interval from fewer than 10 columns" in few.verdict()
    assert "RMSE there, °C: reconstruction 0." in few.verdict()


def test_the_background_that_is_judged_is_the_one_that_a_reconstruction_has(
    small_store, monkeypatch
):
    """With months beyond the next: they enter both, as far as the background reaches."""
    model = densifier(small_store, "regression").eval()
    guess = model.background
    guess.scales = [guess.scales[0] | {"lengths": (3.0, 37.0, 37.0)}]
    assert guess.reach == 6
    fields = small_store.fields("test", [0, 2, 4, 5, 7, 9])  # one date a run
    seen = observe(fields, {"pattern": "profiles", "observed": 0.03}, seed=3)
    choices = []

    def spy(*given):
        choices.append(withhold(*given))
        return choices[-1]

    monkeypatch.setattr(module, "withhold", spy)
    squares = run_self_check(model, seen, members=4).squares
    groups = squares.groupby("group").background.sum()
    assert len({group.split()[0] for group in groups.index}) == 6
    for date in range(6):
        observed = seen.observed.values.copy()
        judged = {
            group: int(group.split()[2])
            for group in groups.index
            if group.startswith(f"{date} {date} ")  # of the first of its two runs
        }
        assert judged
        observed[date] &= ~choices[date][0]
        rest = seen.assign(observed=seen.observed.copy(data=observed))
        background = reconstruct(model, rest, members=2).background.values[date].reshape(5, -1)
        for group, label in judged.items():
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


def test_patterns_of_every_kind_can_be_checked(small_store):
    fields = small_store.fields("test").isel(time=[0])
    for pattern in PATTERNS:
        drawn = observe(fields, pattern, seed=1).assign_attrs(notes=[])
        check = run_self_check(densifier(small_store), drawn, members=4, sampling=FAST)
        assert check.groups and np.isfinite(check.rmse().values).all()
