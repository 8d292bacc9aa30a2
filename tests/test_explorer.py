"""The explorers' pictures follow their controls."""

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.backend_bases import MouseEvent
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


def seen(canvas):
    return np.asarray(canvas.buffer_rgba()).copy()


def test_reconstruction_follows_case_month_depth_and_maps(reconstruction):
    controls, canvas = parts(explorer.explore_reconstruction(reconstruction))
    assert list(controls) == ["case", "month", "depth", "left", "right"]
    assert [label for label, _ in controls["month"].options] == ["Apr 2015", "May 2015"]

    def moves(control, value):
        before = seen(canvas)
        control.value = value
        return (seen(canvas) != before).any()

    assert moves(controls["month"], controls["month"].options[1][1])
    assert moves(controls["depth"], controls["depth"].options[3][1])
    assert moves(controls["case"], "profiles 1.2 %")
    for name in controls["right"].options:
        if name != "mean":
            assert moves(controls["right"], name), name
    assert moves(controls["left"], "observed")


def test_a_click_opens_the_profile_and_a_second_the_section(reconstruction):
    _, canvas = parts(explorer.explore_reconstruction(reconstruction))
    left, right = canvas.figure.axes[:2]
    below = next(axes for axes in canvas.figure.axes if not axes.axison or axes.texts)

    def click(axes, share):
        before = seen(canvas)
        x, y = axes.transAxes.transform(share)
        canvas.callbacks.process(
            "button_press_event", MouseEvent("button_press_event", canvas, x, y, 1)
        )
        return (seen(canvas) != before).any()

    ocean = reconstruction["ocean"].transpose(..., "latitude", "longitude")
    ocean = ocean.values.reshape(-1, *ocean.shape[-2:])
    wet, dry = ocean.all(0), ~ocean.any(0)
    row, column = np.argwhere(wet)[wet.sum() // 2]
    at = (column + 0.5) / wet.shape[1], (row + 0.5) / wet.shape[0]
    assert click(left, at) and below.get_ylabel() == "Depth (m)"
    labels_shown = [text.get_text() for text in below.get_legend().get_texts()]
    assert labels_shown[:3] == ["90 % of members", "mean", "truth"]
    assert click(right, (0.8, 0.7)) and below.get_xlabel() == "km"
    assert "Mean" in below.get_title() and " to " in below.get_title()
    assert click(left, at) and below.get_legend() is not None
    assert not click(below, (0.5, 0.5))
    row, column = np.argwhere(dry)[0]
    click(left, ((column + 0.5) / wet.shape[1], (row + 0.5) / wet.shape[0]))  # a section's end
    assert click(left, ((column + 0.5) / wet.shape[1], (row + 0.5) / wet.shape[0]))
    assert [text.get_text() for text in below.texts] == ["land"]


def test_denoising_follows_the_step(reconstruction):
    steps = make_steps(labels.select(reconstruction, depth=100)["truth"], n=5)
    controls, image = parts(explorer.explore_denoising(steps))
    assert controls["step"].max == 4
    assert moves(controls["step"], image, 2) and moves(controls["step"], image, 4)
