"""Fitting a background: lengths of known covariances, shares of known patterns."""

import numpy as np
import pytest
import torch
from tiny import random_ocean

from ocean_lib.model import background
from ocean_lib.model.background import fit_background
from ocean_lib.observations.batch import observe, select_statistics, standardise
from ocean_lib.store.store import build_store


@pytest.mark.parametrize("length", [2.5, 6.0])
def test_tuning_finds_the_length_of_a_known_covariance(tmp_path, length):
    ocean = random_ocean(90, 30, 30, [10], length, np.eye(1), seed=3)
    store = build_store(ocean, tmp_path / "s", validation=24, test=12)
    shown = []
    patterns = [{"pattern": "pixels", "observed": [0.03, 0.12], "error": 0.2}]
    found = fit_background(store, patterns, show=shown.append)
    (scales,) = found.scales
    assert scales["observed"] == pytest.approx(0.06) and scales["kernel"] == "matern"
    rows, columns = scales["lengths"][1:]
    assert 0.6 * length < (rows * columns) ** 0.5 < 1.5 * length
    assert len(shown) == 1 and f"{rows:.1f} rows" in shown[0]
    # The errors that it states come true on months that it has not seen.
    fields = store.fields("test")
    seen = observe(fields, {"pattern": "pixels", "observed": 0.06}, 5)
    batch = standardise(seen, select_statistics(store.statistics(), seen))
    mean, error = found(batch)
    hidden = ~batch["observed"]
    truth = torch.from_numpy(store.standardised("test"))
    ratio = ((mean - truth)[hidden].square().mean() / error[hidden].square().mean()).sqrt()
    assert 0.85 < float(ratio) < 1.15


def test_tuning_repeats_and_never_reads_the_test_months(small_ocean, small_store, tmp_path):
    changed = small_ocean.copy(deep=True)
    changed.temperature[50:] = 5.0
    other = build_store(
        changed, tmp_path / "s", validation=8, test=10, gap=3, surface=changed["surface"]
    )
    patterns = [{"pattern": "blocks", "observed": 0.5, "surface": 0.5}]
    first, second = (fit_background(s, patterns, evaluations=4) for s in (small_store, other))
    assert first.scales == second.scales
    for name in first.BUFFERS:
        assert torch.equal(getattr(first, name), getattr(second, name))


def patterned_ocean(few=3, months=90, shape=(12, 14)):
    """Fields of a few patterns without any smoothness, in other shares each month."""
    ocean = random_ocean(months, *shape, [10, 100], 2.0, np.eye(2))
    rng = np.random.default_rng(0)
    patterns = rng.standard_normal((few, 2, *shape))
    shares = rng.standard_normal((months, few))
    values = np.einsum("tp,pdyx->tdyx", shares, patterns)
    values[:, 1] = 0.05 * values[:, 1] + ocean.temperature.values[:, 1]
    return ocean.assign(temperature=ocean.temperature.copy(data=values.astype(np.float32)))


FEW = [{"pattern": "pixels", "observed": [0.08, 0.12]}]


def test_the_reduced_space_has_its_share_where_patterns_rule(tmp_path, monkeypatch):
    """Level 0 has three patterns that no length describes; level 1 is smooth and always new."""
    store = build_store(patterned_ocean(), tmp_path / "s", validation=24, test=12)
    shown = []
    both = fit_background(store, FEW, evaluations=8, show=shown.append)
    above, below = both.share[0].tolist()
    assert above > 0.95 and below < 0.8
    assert "reduced space" in shown[0]
    monkeypatch.setattr(background, "SMALL", 0)
    bare = fit_background(store, FEW, evaluations=8)
    assert not len(bare.states) and "reduced" not in bare.scales[0]
    fields = store.fields("test")
    seen = observe(fields, FEW[0] | {"observed": 0.1}, 5)
    batch = standardise(seen, select_statistics(store.statistics(), seen))
    truth = torch.from_numpy(store.standardised("test"))
    hidden = ~batch["observed"]
    errors = []
    for guess in (both, bare):
        mean, error = guess(batch)
        away = (mean - truth) * hidden
        errors.append(away.square().mean((0, 2, 3)).sqrt())
    assert errors[0][0] < 0.3 * errors[1][0] and errors[0][1] < 1.1 * errors[1][1]
