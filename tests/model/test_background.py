"""The networks' background: covariance against numpy, the baseline's equal, known covariances."""

import numpy as np
import pytest
import torch
from tiny import background, random_ocean

from ocean_lib.classical.optimal_interpolation import OptimalInterpolation
from ocean_lib.classical.reduced_space import ReducedSpace
from ocean_lib.classical.regression import channel_covariance, fit_shared_regression
from ocean_lib.classical.result import to_units
from ocean_lib.core.months import to_months
from ocean_lib.model import background as module
from ocean_lib.model.background import fit_background
from ocean_lib.model.patches import PatchSampler
from ocean_lib.observations.batch import BESIDE, observe, select_statistics, standardise
from ocean_lib.store.store import build_store


def test_covariance_equals_numpy_over_an_all_ocean_store(tmp_path):
    mixing = np.array([[1.0, 0.0, 0.0], [0.7, 0.7, 0.0], [0.0, -0.5, 0.9]])
    ocean = random_ocean(200, 15, 17, [5, 50, 100], 2.0, mixing)
    store = build_store(
        ocean,
        tmp_path / "s",
        surfaces=(ocean.temperature[:, 0] + 1.0).to_dataset(name="surface_temperature"),
    )
    matrix = channel_covariance(store).numpy()
    values = np.moveaxis(store.standardised("train"), 1, 0).reshape(4, -1).astype(float)
    np.testing.assert_allclose(matrix, values @ values.T / values.shape[1], atol=1e-4)
    np.testing.assert_allclose(matrix, np.cov(values, bias=True), atol=1e-3)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
    # The surface equals the first level here: singular but for the floor of the eigenvalues.
    assert np.linalg.eigvalsh(matrix.astype(float)).min() > 0.5e-4
    true = mixing @ mixing.T
    root = np.sqrt(true.diagonal())
    np.testing.assert_allclose(matrix[1:, 1:], true / np.outer(root, root), atol=0.08)


def test_land_below_a_shelf_does_not_weaken_the_covariance(tmp_path):
    """Where a level exists, its correlation counts; where it does not, nothing does."""
    mixing = np.array([[1.0, 0.0], [0.8, 0.6]])
    ocean = random_ocean(200, 20, 20, [5, 500], 2.0, mixing, land=True)
    matrix = channel_covariance(build_store(ocean, tmp_path / "s")).numpy()
    assert matrix[1, 1] == pytest.approx(1, abs=0.1)
    assert matrix[0, 1] == pytest.approx(0.8, abs=0.1)


def test_the_covariance_is_of_the_training_block_alone(small_ocean, small_store, tmp_path):
    changed = small_ocean.copy(deep=True)
    changed.temperature[36:] *= -2
    other = build_store(
        changed,
        tmp_path / "s",
        validation=8,
        test=10,
        gap=3,
        surfaces=changed[["surface_temperature"]],
    )
    assert torch.equal(channel_covariance(other), channel_covariance(small_store))


@pytest.fixture
def seen(small_store):
    """Three months in a row of the validation block, by blocks, with their surface."""
    fields = small_store.fields("validation", [1, 2, 3])
    return observe(fields, {"pattern": "blocks", "observed": 0.5, "surface": 1.0}, 4)


def in_a_row(observations, store):
    """The middle one of an odd number of months as a batch, with the others beside it."""
    several = standardise(observations, select_statistics(store.statistics(), observations))
    middle = observations.sizes["time"] // 2
    others = [date for date in range(2 * middle + 1) if date != middle]
    batch = {name: values[middle : middle + 1] for name, values in several.items()}
    for name in BESIDE:
        batch[f"beside_{name}"] = several[name][None, others]
    batch["when"] = several["when"][None, :, 1]
    return several, batch


def reaching(store, months: float):
    """The background of a store whose correlation lasts so many months."""
    guess = background(store)
    guess.scales = [guess.scales[0] | {"lengths": (months, 37.0, 37.0)}]
    return guess


@pytest.mark.parametrize("months, reach", [(0.2, 1), (0.7, 1), (0.8, 2), (1.6, 3), (99.0, 12)])
def test_it_reaches_twice_its_scale_in_time(small_store, months, reach):
    assert reaching(small_store, months).reach == reach


@pytest.mark.parametrize("slow, reach", [((0.1, 20.0), 1), ((0.5, 20.0), 12), ((0.4, 9.0), 3)])
def test_a_slow_share_reaches_further(small_store, slow, reach):
    """Twice the lag at which 0.5 months and the slow share are correlated by 1 / e."""
    guess = reaching(small_store, 0.5)
    guess.scales[0]["slow"] = slow
    assert guess.reach == reach


def test_all_months_that_it_reaches_count(small_store):
    fields = small_store.fields("validation", [0, 1, 2, 3, 4])
    seen = observe(fields, {"pattern": "blocks", "observed": 0.3}, 4)
    guess = reaching(small_store, 1.0)
    several, batch = in_a_row(seen, small_store)
    assert batch["beside_value"].shape[1] == 4 and batch["when"].shape == (1, 5)
    mean, error = guess(batch)
    expected, spread = guess.method(0.3, False).analyse(several, seen)
    ocean = batch["ocean"]
    torch.testing.assert_close(mean, expected[2:3] * ocean, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(error, spread[2:3] * ocean, atol=2e-5, rtol=1e-4)


def test_it_is_the_baseline_with_the_months_beside(small_store, seen):
    guess = reaching(small_store, 0.5)
    several, batch = in_a_row(seen, small_store)
    mean, error = guess(batch)
    method = guess.method(0.5, True)
    expected, spread = method.analyse(several, seen)
    ocean = batch["ocean"]
    torch.testing.assert_close(mean, expected[1:2] * ocean, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(error, spread[1:2] * ocean, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("pattern, share", [("blocks", 0.5), ("profiles", 0.01)])
def test_samples_observed_alike_share_the_work_and_change_nothing(
    small_store, pattern, share, monkeypatch
):
    guess, solved = reaching(small_store, 0.5), []
    case = [{"pattern": pattern, "observed": share, "surface": 1.0, "error": [0.1, 0.3]}]
    drawn = PatchSampler(small_store, "train", patch=16, specifications=case, seed=2)
    batch, _ = drawn.draw_at(0, 4, torch.tensor([7, 19, 12, 0]))  # before the first there is none
    whole = OptimalInterpolation.departure
    monkeypatch.setattr(
        OptimalInterpolation, "departure", lambda *args: solved.append(1) or whole(*args)
    )
    together = guess(batch)
    assert len(solved) == 2
    for sample in range(4):
        alone = guess({name: values[sample : sample + 1] for name, values in batch.items()})
        for part, expected in zip(together, alone):
            # Calendar months differ by up to a tenth of their length.
            torch.testing.assert_close(part[sample], expected[0], atol=0.02, rtol=0.02)
    assert torch.equal(together[1][0], together[1][1])
    assert not torch.allclose(together[0][0], together[0][1], atol=0.1)


def test_the_months_beside_help_and_are_left_out_where_there_are_none(small_store, seen):
    guess = background(small_store)
    several, batch = in_a_row(seen, small_store)
    nothing = batch | {
        "when": torch.where(torch.tensor([[False, True, False]]), batch["when"], torch.nan)
    }
    alone = {name: part for name, part in batch.items() if not name.startswith("beside")}
    (mean, error), (bare, wide), (least, most) = (guess(each) for each in (batch, nothing, alone))
    assert torch.equal(bare, least) and torch.equal(wide, most)
    hidden = batch["ocean"] & ~batch["observed"]
    assert (
        not torch.allclose(mean[hidden], bare[hidden])
        and error[hidden].mean() < wide[hidden].mean()
    )


def test_sparse_observations_are_interpolated_on_a_coarser_grid(small_store, monkeypatch):
    fields = small_store.fields("validation", [2])
    seen = observe(fields, {"pattern": "profiles", "observed": 0.005, "surface": 1.0}, 1)
    batch = standardise(seen, select_statistics(small_store.statistics(), seen))
    guess = background(small_store)
    assert guess.method(0.005, True).scales["lengths"] == (0.7, 37.0, 37.0)
    coarse, wide = guess(batch)
    monkeypatch.setattr(module, "LARGEST_STRIDE", 1)
    fine, narrow = guess(batch)
    assert not torch.equal(coarse, fine)
    assert float((coarse - fine).square().mean().sqrt()) < 0.08 * float(narrow.max())
    exact = batch["observed"]
    assert exact.any() and torch.equal(coarse[exact], batch["value"][exact])
    assert not wide[exact].any()


@pytest.mark.parametrize("surface", [0.0, 1.0])
def test_without_observations_it_is_the_regression_with_its_error(small_store, surface):
    fields = small_store.fields("validation", [2])
    seen = observe(fields, {"pattern": "pixels", "observed": 0.0, "surface": surface}, 1)
    batch = standardise(seen, select_statistics(small_store.statistics(), seen))
    guess = background(small_store)
    mean, error = guess(batch)
    regression = fit_shared_regression(small_store)
    expected = surface * regression(batch["surface"], seen, 1) * batch["ocean"]
    torch.testing.assert_close(mean, expected, atol=1e-5, rtol=1e-4)
    left = regression.covariance[int(surface)].diagonal().sqrt()
    torch.testing.assert_close(
        error, left[None, :, None, None] * batch["ocean"], atol=1e-5, rtol=1e-4
    )


def test_uncertain_observations_are_weighed_and_hopeless_ones_ignored(small_store):
    fields = small_store.fields("validation", [2])
    seen = observe(fields, {"pattern": "pixels", "observed": 0.3}, 1)
    batch = standardise(seen, select_statistics(small_store.statistics(), seen))
    guess, means = background(small_store), []
    none = batch | {"observed": torch.zeros_like(batch["observed"])}
    for error in (0.0, 0.5, 5.0, 1e3, torch.inf):
        means.append(guess(batch | {"error": error * torch.ones_like(batch["value"])})[0])
        if error == 1e3:
            torch.testing.assert_close(means[-1], guess(none)[0], atol=1e-5, rtol=0)
    seen = batch["observed"]
    away = [float((mean - batch["value"])[seen].square().mean().sqrt()) for mean in means]
    assert away[0] == 0 and all(first < second for first, second in zip(away[:3], away[1:4]))
    assert torch.equal(means[-1], means[-2])


def test_the_scales_of_the_nearest_density_serve(small_store):
    guess = background(small_store)
    dense = guess.scales[0] | {"observed": 0.5, "noise": 0.5}
    given = {name: getattr(guess, name) for name in ("coefficients", "covariance")}
    given["factor"] = torch.tensor([[1.0] * 5, [2.0] * 5])
    two = module.Background([guess.scales[0], dense], **given)
    for surface in (False, True):
        shares = (0.5, 0.01, 0.0)
        assert [two.method(s, surface).scales["noise"] for s in shares] == [0.5, 0.01, 0.01]
        assert float(two.method(0.3, surface).factor[0]) == 2
    # Of equal densities the one tuned with a surface, or without one.
    above = guess.scales[0] | {"surface": True, "noise": 0.3}
    two = module.Background([guess.scales[0], above], **given)
    assert [two.method(0.1, s).scales["noise"] for s in (False, True)] == [0.01, 0.3]


# The reduced space's share


def reduced(store, share):
    """The background of a store with a share of the reduced space."""
    method, plain = ReducedSpace.from_store(store, 0.3, 1.0), background(store)
    given = {name: getattr(plain, name) for name in ("coefficients", "covariance")}
    return module.Background(
        [plain.scales[0] | {"reduced": {"shrinkage": 0.3, "noise": 1.0}}],
        factor=1.5 * plain.factor,
        share=share * torch.ones_like(plain.factor),
        states=method.states,
        deviation=method.scale,
        dates=to_months(store.times[store.block("train")[0]]),
        latitude=store.latitude,
        longitude=store.longitude,
        **given,
    )


@pytest.fixture
def alone(small_store):
    fields = small_store.fields("validation", [2])
    seen = observe(fields, {"pattern": "profiles", "observed": 0.05, "surface": 1.0}, 1)
    return seen, standardise(seen, select_statistics(small_store.statistics(), seen))


def test_a_part_of_the_region_has_its_own_patterns(small_store, alone):
    """What lies beyond the part is not observed, so that it makes no difference."""
    _, batch = alone
    inside = torch.zeros(20, 28, dtype=torch.bool)
    inside[8:18, 9:25] = True
    for name in ("observed", "surface_observed"):
        batch |= {name: batch[name] & inside}
    guess = reduced(small_store, 1.0)
    cut = {name: part[..., 8:18, 9:25] if part.dim() == 4 else part for name, part in batch.items()}
    cut |= {"latitude": batch["latitude"][:, 8:18], "longitude": batch["longitude"][:, 9:25]}
    part, whole = guess(cut)[0], guess(batch)[0][..., 8:18, 9:25]
    torch.testing.assert_close(part, whole, atol=1e-4, rtol=1e-3)
    elsewhere = cut | {"longitude": cut["longitude"] - 9 / 12}
    assert not torch.allclose(guess(elsewhere)[0], part, atol=0.02)


def test_the_reduced_space_is_that_of_the_baseline(small_store, alone, monkeypatch):
    monkeypatch.setattr(module, "EXCLUDED_MONTHS", 0)
    seen, batch = alone
    method = ReducedSpace.from_store(small_store, 0.3, 1.0)
    expected = method(seen, small_store.statistics())
    mean, error = reduced(small_store, 1.0)(batch)
    statistics = small_store.statistics()
    found = to_units(mean.numpy(), seen, statistics)
    np.testing.assert_allclose(found, expected["mean"], atol=2e-3)
    stated = to_units(error.numpy(), seen, statistics, error=True)
    hidden = (seen.ocean & ~seen.observed).transpose(*stated.dims).values
    ratio = stated.values[hidden] / expected["error"].values[hidden]
    np.testing.assert_allclose(ratio, 1.5, rtol=2e-3)
    none, half = (reduced(small_store, share)(batch)[0] for share in (0.0, 0.5))
    torch.testing.assert_close(half, (none + mean) / 2, atol=1e-5, rtol=1e-4)


def test_in_training_it_does_without_the_months_around(small_store):
    fields = small_store.fields("train", [15])
    seen = observe(fields, {"pattern": "profiles", "observed": 0.05, "surface": 1.0}, 1)
    batch = standardise(seen, select_statistics(small_store.statistics(), seen))
    guess = reduced(small_store, 1.0)
    before = guess(batch)[0]
    apart = (guess.dates - batch["when"][0, 1]).abs()
    guess.states[apart <= 12.1] = 7.0
    assert torch.equal(guess(batch)[0], before)
    guess.states[apart > 12.1] *= 0.5
    assert not torch.allclose(guess(batch)[0], before, atol=0.02)


def test_what_is_not_a_part_of_it_is_refused():
    with pytest.raises(ValueError, match="'wings'.*not parts"):
        module.Background([], wings=torch.ones(2))


# --- fitting: lengths of known covariances, shares of known patterns ----------------------------


def test_tuning_finds_the_length_of_a_known_covariance(tmp_path):
    length = 6.0
    ocean = random_ocean(90, 30, 30, [10], length, np.eye(1), seed=3)
    store = build_store(ocean, tmp_path / "s", validation=24, test=12)
    shown = []
    patterns = [{"pattern": "pixels", "observed": [0.03, 0.12], "error": 0.2}]
    found = fit_background(store, patterns, show=shown.append)
    (scales,) = found.scales
    assert scales["observed"] == pytest.approx(0.06) and scales["kernel"] != "matern12"
    north, east = scales["lengths"][1:]
    cell = np.pi * 6371 / 180 / 12  # km, on the equator
    assert 0.6 * length < (north * east) ** 0.5 / cell < 1.5 * length
    assert len(shown) == 1 and f"{north:.0f} km meridional" in shown[0]
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
        changed,
        tmp_path / "s",
        validation=8,
        test=10,
        gap=3,
        surfaces=changed[["surface_temperature"]],
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
    monkeypatch.setattr(module, "SMALL_REGION", 0)
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
