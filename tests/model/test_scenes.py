"""Scenes: what is cut from them is what was observed, at its place."""

import numpy as np
import pytest
import torch
from tiny import PATTERNS, background

from ocean_lib.model import scenes as module
from ocean_lib.model.patches import PatchSampler
from ocean_lib.model.scenes import Scenes, mix

ERRORS = [each | {"error": [0.05, 0.3]} for each in PATTERNS]


def whole(store, part="train"):
    guess, extent = background(store), store.shape(part)
    return [
        PatchSampler(
            store, part, patch=extent, specifications=[each], background=guess, seed=3 + kind
        )
        for kind, each in enumerate(ERRORS)
    ]


def made_of(store, numbers, patch=11, part="train", **choices):
    return Scenes(
        store, part, ERRORS, numbers, patch=patch, background=background(store), **choices
    )


@pytest.fixture(scope="module")
def scenes(small_store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    made = made_of(small_store, [5, 7], seed=3, folder=folder)
    records = list(made.build())
    assert records[-1] == {"step": 12, "steps": 12} and not any(folder.iterdir())
    return made


def test_a_batch_has_what_a_network_sees(scenes, small_store):
    drawn, other = scenes.draw(0, 6), whole(small_store)[0].draw(0, 2)
    # Those that only the background asks for.
    lacking = {f"beside_{name}" for name in ("value", "observed", "error")}
    lacking |= {"surface_error", "beside_surface_error", "when", "latitude", "longitude"}
    assert set(other) - set(drawn) == lacking
    for name, part in drawn.items():
        assert part.dtype == other[name].dtype and part.shape[2:-2] == other[name].shape[2:-2], name
        assert len(part) == 6 and torch.isfinite(part.float()).all()


def test_patches_are_the_scenes_own_values_at_their_place(scenes, small_store, monkeypatch):
    """Every sample is found again, whole, in the scene that it must come from."""
    monkeypatch.setattr(module, "MIXED_SHARE", 0)
    first, second = whole(small_store)
    dates = torch.from_numpy(scenes.arrays["cut"][:, 0])
    sources = [
        {name: values[k : k + 1] for name, values in batch.items()}
        for kind, begin, end in ((first, 0, 4), (first, 4, 5), (second, 5, 9), (second, 9, 12))
        for batch in [kind.draw_at(begin, end - begin, dates[begin:end])[0]]
        for k in range(end - begin)
    ]
    drawn, found = scenes.draw(1, 12), []
    names = ("value", "background", "background_error", "surface", "beside_surface", "error")
    for sample in range(12):
        for index, scene in enumerate(sources):
            windows = scene["field"][0].unfold(1, 11, 1).unfold(2, 11, 1)
            off = (windows - drawn["field"][sample][:, None, None]).abs()
            for y, x in (off < 1e-6).all(0).all(-1).all(-1).nonzero().tolist():
                inside = (0, ..., slice(y, y + 11), slice(x, x + 11))
                same = all(
                    torch.allclose(drawn[name][sample], scene[name][inside], atol=6e-4, rtol=1e-3)
                    for name in names
                )
                if same and torch.equal(scene["observed"][inside], drawn["observed"][sample]):
                    assert torch.equal(drawn["ocean"][sample], scene["ocean"][inside])
                    found.append((sample, index))
    assert {sample for sample, _ in found} == {*range(12)}
    assert len({index for _, index in found}) >= 6


def test_mixtures_are_of_two_months_that_were_observed_alike(scenes, monkeypatch):
    """The two months and their weights are found by least squares, in every pair of every group."""
    monkeypatch.setattr(module, "MIXED_SHARE", 1)
    corners = np.random.default_rng([3, 1])
    drawn, mixed = scenes.draw(1, 12), 0
    indices = corners.integers(12, size=12)
    for sample, index in enumerate(indices):
        kind, field = int(index >= 5), drawn["field"][sample]
        first, last = next(group for group in ((0, 4), (4, 5), (5, 9), (9, 12)) if index < group[1])
        others = [each for each in range(first, last) if each != index] or [index]
        rests = []
        for y, x in scenes.corners[0, 0].tolist():
            one = scenes._cut(kind, int(index), y, x)
            for other in others:
                two = scenes._cut(kind, other, y, x)
                pair = torch.stack([one["field"].flatten(), two["field"].flatten()], 1).double()
                weights = torch.linalg.lstsq(pair, field.flatten().double()[:, None]).solution
                rest = float((pair @ weights - field.flatten()[:, None]).abs().max())
                rests.append((rest, weights.flatten().tolist(), one, two))
        rest, (larger, smaller), one, two = min(rests, key=lambda each: each[0])
        assert rest < 1e-5
        if len(others) == 1 and others[0] == index:  # a group of one is not mixed
            assert all(torch.equal(drawn[name][sample], one[name]) for name in one)
            continue
        mixed += 1
        assert larger > abs(smaller) > 0 and larger**2 + smaller**2 == pytest.approx(1, abs=1e-4)
        for name, mask in (("value", "observed"), ("surface", "surface_observed")):
            both = one[mask] & two[mask]
            torch.testing.assert_close(drawn[mask][sample], both)
            expected = (larger * one[name] + smaller * two[name]) * both
            torch.testing.assert_close(drawn[name][sample], expected, atol=1e-4, rtol=0)
        expected = larger * one["background"] + smaller * two["background"]
        torch.testing.assert_close(drawn["background"][sample], expected, atol=1e-4, rtol=0)
        assert torch.equal(drawn["season"][sample], one["season"])
        assert torch.equal(drawn["background_error"][sample], one["background_error"])
    assert mixed >= 6


def test_most_samples_are_mixtures(scenes, monkeypatch):
    """Where months are observed alike; eleven of these twelve scenes are."""
    mixed = []
    monkeypatch.setattr(module, "mix", lambda one, other, angle: mixed.append(angle) or one)
    for step in range(40):
        scenes.draw(step, 20)
    assert abs(len(mixed) / 800 - 11 / 16) < 0.09  # five standard deviations
    assert max(map(abs, mixed)) < np.pi / 4 and min(mixed) < 0 < max(mixed)


def test_what_is_missing_in_either_is_missing_in_a_mixture(scenes):
    one, two = scenes._cut(0, 0, 0, 0), scenes._cut(0, 1, 0, 0)
    for name in ("observed", "ocean", "surface_observed"):
        one[name] = torch.rand(one[name].shape) < 0.7
        two[name] = torch.rand(two[name].shape) < 0.7
    mixed = mix(one, two, 0.3)
    for name, values in (("observed", "value"), ("surface_observed", "surface")):
        assert torch.equal(mixed[name], one[name] & two[name]) and mixed[name].any()
        assert not mixed[values][~mixed[name]].any()
    assert torch.equal(mixed["ocean"], one["ocean"] & two["ocean"])
    assert torch.equal(mixed["error"], one["error"] * mixed["observed"])


def test_every_month_has_its_turn(small_store):
    made = made_of(small_store, [2, 45])
    length = len(made.samplers[0].anomaly)
    assert 23 <= length < 45
    list(made.build())
    few, many = np.split(made.arrays["cut"][:, 0], [2])
    assert len(set(few)) == 2
    assert set(np.bincount(many, minlength=length)) == {45 // length, 45 // length + 1}
    # Four in a row are seen alike, the fifth otherwise.
    shown = made.arrays["surface_observed"][2:]
    assert (shown[1:4] == shown[0]).all() and (shown[4] != shown[0]).any()


@pytest.mark.parametrize("alike", [1, 4, 7, 99])
def test_no_month_is_seen_twice_alike(small_store, alike, monkeypatch):
    """Ten months have their turn two and a half times; what is seen alike ends with a turn."""
    asked, whole = [], PatchSampler.draw_at

    def draw_at(self, step, size, dates):
        asked.append(dates.tolist())
        return whole(self, step, size, dates)

    monkeypatch.setattr(PatchSampler, "draw_at", draw_at)
    made = made_of(small_store, [25, 1], part="test", alike=alike)
    assert len(made.samplers[0].anomaly) == 10
    assert list(made.build())[-1] == {"step": 26, "steps": 26}
    assert all(len(set(group)) == len(group) <= alike for group in asked)
    assert made.arrays["cut"][:, 0].tolist() == [date for group in asked for date in group]
    for turn in (0, 10):
        assert sorted(made.arrays["cut"][turn : turn + 10, 0]) == [*range(10)]


def test_exact_observations_stay_exact(scenes):
    drawn = scenes.draw(2, 16)
    exact = drawn["observed"] & (drawn["error"] == 0)
    assert exact.any() and (drawn["observed"] & ~exact).any()
    torch.testing.assert_close(drawn["value"][exact], drawn["field"][exact], atol=1e-6, rtol=0)
    away = (drawn["value"] - drawn["field"])[drawn["observed"] & ~exact]
    ratio = away / drawn["error"][drawn["observed"] & ~exact]
    assert 0.9 < float(ratio.std()) < 1.1


def test_a_step_is_a_batch_and_a_seed_a_run(small_store, scenes):
    again = made_of(small_store, [5, 7], seed=3)
    list(again.build())
    for name, part in scenes.draw(4, 5).items():
        assert torch.equal(part, again.draw(4, 5)[name])
    assert not torch.equal(scenes.draw(4, 5)["field"], scenes.draw(5, 5)["field"])


def test_both_patterns_are_drawn_alike(scenes):
    dense = [
        float(each.float().mean() > 0.2) for step in range(30)
        for each in scenes.draw(step, 8)["observed"].any(1)
    ]  # fmt: skip
    assert 0.35 < np.mean(dense) < 0.65


@pytest.mark.parametrize("numbers", [[5], [5, 0]])
def test_every_pattern_has_scenes(small_store, numbers):
    with pytest.raises(ValueError, match="give each at least one"):
        made_of(small_store, numbers)


def test_a_patch_larger_than_a_scene_is_refused(small_store):
    with pytest.raises(ValueError, match="patch 21 exceeds the 20 rows or 28 columns.*<= 20"):
        made_of(small_store, [1, 1], patch=21)


def test_every_scene_is_as_likely_as_any_other(scenes, monkeypatch):
    """The patterns have 5 and 7 of the 12 scenes."""
    drawn = []
    monkeypatch.setattr(module, "MIXED_SHARE", 0)
    monkeypatch.setattr(
        Scenes, "_cut", lambda self, *which: drawn.append(which[:2]) or {"a": torch.zeros(1)}
    )
    for step in range(400):
        scenes.draw(step, 60)
    kinds, counts = np.unique(np.array(drawn), axis=0, return_counts=True)
    assert kinds.tolist() == [[0, k] for k in range(5)] + [[1, k] for k in range(5, 12)]
    # Nearly five standard deviations; patterns of equal share would be off by 0.2.
    assert abs(counts / 2000 - 1).max() < 0.1
