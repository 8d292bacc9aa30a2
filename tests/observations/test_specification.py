"""Specifications: refusals that help, and batches of masks drawn from them."""

import math

import numpy as np
import pytest
import torch
from shelf import DEPTH, sea

from ocean_lib.observations.patterns import PATTERNS
from ocean_lib.observations.specification import check_patterns, draw_masks, probability

ABOVE = ["surface_temperature", "sea_level", "surface_salinity"]


@pytest.mark.parametrize(
    "specification, words",
    [
        ({"pattern": "stripes", "observed": 0.5}, ["'stripes'", "blocks", "profiles"]),
        ({"observed": 0.5}, ["None", "choose one of", "pixels"]),
        ({"pattern": "blocks"}, ["observed", "None", "blocks", "from 0 to 1"]),
        ({"pattern": "blocks", "observed": 1.2}, ["observed", "1.2", "from 0 to 1"]),
        ({"pattern": "blocks", "observed": -0.1}, ["observed", "-0.1", "from 0 to 1"]),
        ({"pattern": "blocks", "observed": [0.5, 0.2]}, ["observed", "[0.5, 0.2]", "[low, high]"]),
        ({"pattern": "blocks", "observed": [0.1, 0.2, 0.3]}, ["observed", "[low, high]"]),
        ({"pattern": "blocks", "observed": "0.5"}, ["observed", "'0.5'", "from 0 to 1"]),
        ({"pattern": "blocks", "observed": math.nan}, ["observed", "nan", "from 0 to 1"]),
        ({"pattern": "pixels", "observed": 0.5, "surface": 3}, ["surface", "3", "from 0 to 1"]),
        ({"pattern": "pixels", "observed": 0.5, "surface": [0, 1]}, ["surface", "from 0 to 1"]),
        ({"pattern": "pixels", "observed": 0.5, "surface": {"ice": 1}}, ["ice", "sea_level"]),
        ({"pattern": "pixels", "observed": 0.5, "surface": {"sea_level": 2}}, ["2", "from 0 to 1"]),
        ({"pattern": "pixels", "observed": 0.5, "clouds": [0, 2]}, ["clouds", "[0, 2]"]),
        ({"pattern": "pixels", "observed": 0.5, "cloud": 0.1}, ["cloud", "known", "clouds"]),
    ],
)
def test_a_wrong_specification_is_refused_with_value_and_remedy(specification, words):
    with pytest.raises(ValueError) as caught:
        check_patterns([{"pattern": "blocks", "observed": 0.5}, specification])
    for word in words:
        assert word in str(caught.value), f"{word!r} is not in {caught.value}"


def test_no_specification_is_refused():
    with pytest.raises(ValueError, match="at least one of .*blocks"):
        check_patterns([])


def test_a_checked_specification_is_complete_and_a_copy():
    specification = {"pattern": "profiles", "observed": [0.001, 0.008]}
    (checked,) = check_patterns([specification])
    assert specification == {"pattern": "profiles", "observed": [0.001, 0.008]}
    assert checked["surface"] == 0 and checked["clouds"] == 0
    assert "profiles" in checked["name"] and "0.008" in checked["name"]
    assert check_patterns([checked]) == [checked]


# Drawing a batch


def test_a_batch_mixes_its_patterns_evenly(seeded, device):
    """Half of the samples show 30 % of every level, half show columns of another fraction."""
    specifications = [
        {"pattern": "blocks", "observed": 0.3},
        {"pattern": "pixels", "observed": 0.6},
    ]
    ocean = torch.ones(300, 2, 10, 20, dtype=torch.bool, device=device)
    observed, seen = draw_masks(specifications, ocean, DEPTH[:2], [], seeded())
    share = observed[:, 0].float().mean((1, 2))
    assert seen.shape == (300, 0, 10, 20)
    assert torch.equal(observed[:, 0], observed[:, 1])
    first = torch.isclose(share, torch.tensor(0.3, device=device))
    second = torch.isclose(share, torch.tensor(0.6, device=device))
    assert bool((first ^ second).all())
    assert 110 < int(first.sum()) < 190


def test_a_range_of_fractions_is_drawn_log_uniformly(seeded, device):
    ocean = torch.ones(600, 1, 40, 50, dtype=torch.bool, device=device)
    specification = {"pattern": "pixels", "observed": [0.01, 0.64]}
    observed, _ = draw_masks([specification], ocean, DEPTH[:1], [], seeded())
    share = observed.float().mean((1, 2, 3)).log2().cpu().numpy()
    low, high = np.log2(0.01), np.log2(0.64)
    assert share.min() >= low - 0.05 and share.max() <= high + 0.05
    assert np.mean(share) == pytest.approx((low + high) / 2, abs=0.25)
    assert np.std(share) == pytest.approx((high - low) / 12**0.5, rel=0.08)


def test_each_surface_field_is_seen_as_often_as_asked_and_temperature_under_clouds(seeded, device):
    specification = {"pattern": "pixels", "observed": 0.1, "surface": 0.7, "clouds": [0.2, 0.5]}
    ocean = sea(400, (16, 12), device)
    observed, seen = draw_masks([specification], ocean, DEPTH, ABOVE, seeded())
    assert seen.shape == (400, 3, 16, 12)
    shown = seen.flatten(2).any(2)
    for field in shown.T:
        assert float(field.float().mean()) == pytest.approx(0.7, abs=0.07)
    both = float((shown[:, 0] & shown[:, 1]).float().mean())
    assert both == pytest.approx(0.49, abs=0.08)  # independently
    assert not (seen & ~ocean[:, :1]).any() and not (observed & ~ocean).any()
    # Clouds leave between half and four fifths of the sky; the land corner is 12 of 192 cells.
    share = seen[shown[:, 0], 0].flatten(1).sum(1) / 192
    assert 0.5 - 13 / 192 <= float(share.min()) and float(share.max()) <= 0.8
    assert float(share.std()) > 0.05
    # Altimeters and radiometers see through them.
    assert torch.equal(seen[shown[:, 1], 1], ocean[shown[:, 1], 0])


def test_a_mapping_says_which_surface_fields_are_seen(seeded, device):
    ocean = sea(30, (9, 12), device)
    pattern = {"pattern": "pixels", "observed": 0.1, "surface": {"sea_level": 1.0}}
    _, seen = draw_masks([pattern], ocean, DEPTH, ABOVE, seeded())
    assert torch.equal(seen[:, 1], ocean[:, 0]) and not seen[:, [0, 2]].any()
    with pytest.raises(ValueError, match="names .*'sea_level'.* are .*'surface_temperature'"):
        draw_masks([pattern], ocean, DEPTH, ABOVE[:1], seeded())
    (checked,) = check_patterns([pattern])
    assert probability(checked, "sea_level") == 1 and probability(checked, "surface_salinity") == 0


def test_a_surface_is_never_seen_unless_asked_for_and_always_when_asked(seeded, device):
    ocean = sea(30, (9, 12), device)
    base = {"pattern": "profiles", "observed": 0.1}
    _, never = draw_masks([base], ocean, DEPTH, ABOVE[:1], seeded())
    _, always = draw_masks([base | {"surface": 1.0}], ocean, DEPTH, ABOVE[:1], seeded())
    assert not never.any()
    assert torch.equal(always, ocean[:, :1])


def test_draw_repeats_by_seed_and_stays_on_its_device(seeded, device):
    specifications = [
        {"pattern": pattern, "observed": [0.01, 0.5], "surface": 0.5, "clouds": [0, 1]}
        for pattern in PATTERNS
    ]
    ocean = sea(12, (19, 23), device)
    first, again, other = (
        draw_masks(specifications, ocean, DEPTH, ABOVE[:1], seeded(k)) for k in (1, 1, 2)
    )
    for part in range(2):
        assert first[part].device.type == torch.device(device).type
        assert torch.equal(first[part], again[part])
        assert not torch.equal(first[part], other[part])


def test_an_ocean_of_land_is_never_observed(seeded, device):
    land = torch.zeros(8, len(DEPTH), 9, 7, dtype=torch.bool, device=device)
    specifications = [{"pattern": pattern, "observed": 1.0, "surface": 1.0} for pattern in PATTERNS]
    observed, seen = draw_masks(specifications, land, DEPTH, ABOVE[:1], seeded())
    assert not observed.any() and not seen.any()
