"""The explorers' pictures follow their controls."""

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from test_maps import make_reconstruction, make_steps

from ocean_lib import explorer, labels

mpl.use("Agg")
PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def reconstruction():
    return make_reconstruction(rows=21, columns=27, members=3)


def parts(widget):
    """The controls by description, and the image."""
    return {
        control.description: control for control in widget.children[0].children
    }, widget.children[1]


def moves(control, image, value):
    before = image.value
    control.value = value
    return image.value[:4] == PNG and image.value != before


def test_masks_follow_pattern_fraction_and_seed(reconstruction):
    chosen, asked = labels.select(reconstruction, depth=50), []

    def draw(pattern, fraction, seed):
        asked.append((pattern, fraction, seed))
        rng = np.random.default_rng([seed, len(pattern)])
        observed = xr.zeros_like(chosen["ocean"])
        observed.values[:] = rng.random(observed.shape) < fraction
        return chosen["truth"], observed & chosen["ocean"], chosen["ocean"]

    controls, image = parts(explorer.explore_masks(draw, patterns=("blocks", "profiles")))
    assert image.value[:4] == PNG and asked == [("blocks", 0.5, 0)]
    assert moves(controls["pattern"], image, "profiles")
    assert moves(controls["fraction"], image, 0.01)
    assert moves(controls["seed"], image, 7)
    assert asked[-1] == ("profiles", 0.01, 7) and len(asked) == 4


def test_reconstruction_follows_case_month_depth_and_maps(reconstruction):
    controls, image = parts(explorer.explore_reconstruction(reconstruction))
    assert list(controls) == ["case", "month", "depth", "left", "right"]
    assert [label for label, _ in controls["month"].options] == ["Apr 2015", "May 2015"]
    assert moves(controls["month"], image, controls["month"].options[1][1])
    assert moves(controls["depth"], image, controls["depth"].options[3][1])
    assert moves(controls["case"], image, "profiles 1.2 %")
    for name in controls["right"].options:
        if name != "mean":
            assert moves(controls["right"], image, name), name
    assert moves(controls["left"], image, "observed")


def test_denoising_follows_the_step(reconstruction):
    steps = make_steps(labels.select(reconstruction, depth=100)["truth"], n=5)
    controls, image = parts(explorer.explore_denoising(steps))
    assert controls["step"].max == 4
    assert moves(controls["step"], image, 2) and moves(controls["step"], image, 4)
