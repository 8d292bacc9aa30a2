"""Withheld profiles: their choice and their scores, against arithmetic by hand."""

import numpy as np
import pytest
from tiny import densifier

from ocean_lib.observations import gridding
from ocean_lib.observations.representativeness import in_month
from ocean_lib.reconstruct import withheld
from ocean_lib.reconstruct.ensemble import reconstruct
from ocean_lib.reconstruct.sampling import Sampling

CHOICES = {"members": 2, "sampling": Sampling(steps=2)}


def test_whole_floats_or_whole_months_are_withheld(table):
    floats_, months = (
        withheld.choose_withheld(table, "float"),
        withheld.choose_withheld(table, "time"),
    )
    platform, month = table.platform.values, table.month.values
    assert not set(platform[floats_]) & set(platform[~floats_])
    assert len(set(platform[floats_])) == 2  # a fifth of twelve
    assert not set(month[months]) & set(month[~months])
    assert month[months].min() > month[~months].max() and len(set(month[months])) == 2
    other = withheld.choose_withheld(table, "float", seed=1)
    assert (other != floats_).any() and (withheld.choose_withheld(table, "float") == floats_).all()
    with pytest.raises(ValueError, match="choose 'float' or 'time'"):
        withheld.choose_withheld(table, "place")
    one = table.isel(profile=table.platform.values == platform[0])
    with pytest.raises(ValueError, match="1 float.s. hold profiles, needs 2"):
        withheld.choose_withheld(one, "float")


def test_every_method_is_asked_at_the_same_places(small_store, table):
    model, test = densifier(small_store), small_store.fields("test")
    hidden = withheld.choose_withheld(table, "float")
    scores = withheld.score_withheld(model, table, hidden, fields=test, **CHOICES)
    every = scores[scores.depth == "all"].set_index(["method", "metric"])
    assert set(scores.method) == {
        "reconstruction",
        "optimal interpolation",
        "climatology",
        "product",
    }
    kept = table.copy(deep=True)
    kept.status.values[hidden] = "withheld"
    drawn = reconstruct(model, gridding.observe_profiles(kept, model.statistics, test), **CHOICES)
    fields = {
        "reconstruction": drawn["mean"],
        "optimal interpolation": drawn.background,
        "climatology": drawn.climatology,
        "product": test.temperature,
    }
    measured = in_month(table, model.statistics, "temperature")
    for name, field in fields.items():
        errors = []
        for k in np.flatnonzero(hidden):
            one = table.isel(profile=k)
            at = {"latitude": int(one.row), "longitude": int(one.column)}
            month = np.flatnonzero(test.time.values == one.month.values)[0]
            errors.append(field.isel(time=month, **at).values - measured[k])
        errors = np.array(errors)
        rmse = np.sqrt(np.nanmean(errors**2))
        row = every.loc[(name, "rmse")]
        assert row.value == pytest.approx(rmse, rel=1e-5) and np.isnan(row.low)  # two floats
        assert every.loc[(name, "bias")].value == pytest.approx(np.nanmean(errors), abs=1e-6)
        assert row.n == len(set(table.platform.values[hidden]))
    # The floats measured the product itself, but for their noise.
    assert every.loc[("product", "rmse")].value < 0.05
    assert 0 < every.loc[("reconstruction", "coverage")].value <= 1


def test_withheld_profiles_are_not_seen(small_store, table):
    model, test = densifier(small_store), small_store.fields("test")
    hidden = withheld.choose_withheld(table, "time")
    moved = table.copy(deep=True)
    moved.temperature.values[hidden] += 3.0
    before, after = (
        withheld.score_withheld(model, each, hidden, fields=test, **CHOICES).set_index(
            ["method", "metric", "depth"]
        )
        for each in (table, moved)
    )
    for name in ("reconstruction", "climatology", "product"):
        shift = after.loc[(name, "bias", "all")].value - before.loc[(name, "bias", "all")].value
        assert shift == pytest.approx(-3.0, abs=1e-3)


@pytest.mark.parametrize("members", [3, 8])
@pytest.mark.parametrize("error", [0.0, 0.5, 2.0])
def test_nine_in_ten_measurements_lie_in_the_interval_of_few_members(members, error):
    """Members and truth from one distribution, measured with an error."""
    rng = np.random.default_rng(members)
    number = 100_000
    drawn = rng.standard_normal((members, number))
    measured = rng.standard_normal(number) + error * rng.standard_normal(number)
    for mean in (drawn.mean(0), np.zeros(number)):  # the members' own, and that of a first stage
        coverage = withheld._inside(mean, drawn, measured, np.full(number, error)).mean()
        assert 0.895 < coverage < 0.94
        if error == 0:
            assert coverage == pytest.approx(0.9, abs=0.005)
    if error == 0:
        plain = np.abs(drawn.mean(0) - measured) <= 1.645 * drawn.std(0, ddof=1)
        assert plain.mean() < 0.85


def test_few_floats_have_scores_and_no_interval():
    error = np.arange(1.0, 13.0)
    for floats in (4, 12):
        rmse, bias = withheld._scores({"rmse": error**2, "bias": error}, np.arange(12) % floats)
        assert rmse["value"] == pytest.approx(np.sqrt((error**2).mean())) and bias["n"] == floats
        assert np.isnan([rmse["low"], bias["high"]]).all() == (floats == 4)
    assert rmse["low"] < rmse["value"] < rmse["high"]
    assert bias["low"] < bias["value"] < bias["high"]
