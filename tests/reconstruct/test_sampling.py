"""Choices of sampling that are refused before and after a model is loaded."""

import dataclasses

import pytest
from tiny import densifier

from ocean_lib.reconstruct import Sampling


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"steps": 0}, "0 sampling steps.*1 or more"),
        ({"sampler": "euler"}, "'euler' is not known.*ddim"),
        ({"seed": -1}, "seed -1 is negative.*0 or more"),
        ({"tile": 7}, "tile 7 is below 8 cells.*64 or more"),
        ({"chunk": 0}, "0 members.*chunk >= 1"),
    ],
)
def test_values_outside_their_limits_are_refused(choice, words):
    with pytest.raises(ValueError, match=words):
        Sampling(**choice)
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(Sampling(), **choice)


def test_the_model_limits_the_steps_and_needs_two_members(small_store):
    model = densifier(small_store)
    Sampling(steps=1000).check(model, 2)
    with pytest.raises(ValueError, match="1001 sampling steps asked; choose 1 to 1000"):
        Sampling(steps=1001).check(model, 2)
    with pytest.raises(ValueError, match="1 member gives no spread.*at least 2"):
        Sampling().check(model, 1)
    Sampling(steps=1001).check(densifier(small_store, "regression"), 2)  # takes no steps


def test_it_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Sampling().steps = 3
