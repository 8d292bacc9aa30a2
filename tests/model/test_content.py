"""What a file with a right digest may hold all the same, and the refusal of it."""

import copy

import pytest
import torch
from tiny import densifier

from ocean_lib.model.checkpoint import read_checkpoint, write_checkpoint
from ocean_lib.model.densifier import Densifier


@pytest.fixture(scope="module")
def content(small_store, tmp_path_factory):
    path = tmp_path_factory.mktemp("content") / "checkpoint.safetensors"
    densifier(small_store).save(path)
    return read_checkpoint(path)


def tensor(name, change):
    """Change one tensor; the result of None leaves it out."""

    def act(settings, tensors):
        changed = change(tensors.pop(name).clone())
        return settings, tensors | ({} if changed is None else {name: changed})

    return act


def setting(*path, to):
    """Replace one setting, which may lie within others; `to` of None leaves it out."""

    def act(settings, tensors):
        place = settings
        for name in path[:-1]:
            place = place[name]
        place.pop(path[-1]) if to is None else place.__setitem__(path[-1], to)
        return settings, tensors

    return act


def with_first(value):
    def act(tensor):
        tensor.view(-1)[0] = value
        return tensor

    return act


NAN, INF = float("nan"), float("inf")
ENTER, DEVIATION = "regressor.enter.weight", "statistics.deviation"
CONTENTS = {
    # weights
    "a weight is no number": (tensor(ENTER, with_first(NAN)), ENTER, "not finite"),
    "a weight is infinite": (tensor(ENTER, with_first(INF)), ENTER, "not finite"),
    "fewer weights": (tensor(ENTER, lambda t: t[:, 1:]), "weights, but the networks"),
    "no weight of that name": (tensor(ENTER, lambda t: None), "weights, but the networks"),
    "a flat weight": (tensor(ENTER, torch.flatten), ENTER, "is torch.float32"),
    "a weight in double": (tensor(ENTER, torch.Tensor.double), ENTER, "float64"),
    "an unknown weight": (
        lambda s, t: (s, t | {"background.more": torch.zeros(3)}), "unknown", "background.more",
    ),
    # statistics
    "no deviation": (tensor(DEVIATION, torch.zeros_like), "deviation runs from 0 to 0"),
    "a huge deviation": (tensor(DEVIATION, lambda t: t * 1e9), "limits 0 and 1000"),
    "an infinite climatology": (
        tensor("statistics.harmonic", with_first(INF)), "climatology is not finite at channel 0",
    ),
    "no terms": (tensor("statistics.harmonic", lambda t: t[:0]), "harmonic is float32"),
    "no climatology": (tensor("statistics.harmonic", lambda t: None), "harmonic is"),
    "an ocean of numbers": (tensor("statistics.wet", torch.Tensor.float), "wet is float32"),
    "a row less": (tensor("statistics.latitude", lambda t: t[1:]), "rows", "need float32"),
    "levels upside down": (tensor("statistics.depth", lambda t: t.flip(0)), "not ascending"),
    "levels in the air": (tensor("statistics.depth", lambda t: t - 1e4), "depth runs from"),
    "a place is no number": (tensor("statistics.longitude", with_first(NAN)), "longitude"),
    # settings
    "a wide network": (setting("network", "width", to=1000000), "width is 1000000", "1024"),
    "a network beyond integers": (setting("network", "width", to=2**63), "width is 9223"),
    "a wider network": (setting("network", "width", to=64), "weights, but the networks"),
    "no multipliers": (setting("network", "multipliers", to=[]), "multipliers is []"),
    "thousands of grids": (setting("network", "multipliers", to=[1] * 5000), "multipliers is [1"),
    "a multiplier of 0": (setting("network", "multipliers", to=[1, 0]), "multiplier 2 is 0"),
    "blocks in words": (setting("network", "blocks", to="two"), "blocks is 'two'"),
    "an unknown setting": (setting("network", "layers", to=3), "a network has no ['layers']"),
    "no network": (setting("network", to=3), "network of its settings is 3, not dict"),
    "no mode": (setting("mode", to=None), "mode of its settings is None"),
    "an unknown mode": (setting("mode", to="best"), "'best'", "regression"),
    "steps without end": (setting("diffusion", "steps", to=10**9), "1000000000 steps", "100000"),
    "negative steps": (setting("diffusion", "steps", to=-1), "-1 steps"),
    "no steps": (setting("diffusion", "steps", to=None), "steps of its noise process"),
    "no background": (setting("background", to=[]), "background is []"),
    "lengths in words": (setting("background", 0, "lengths", to="long"), "lengths of its"),
    "negative lengths": (setting("background", 0, "lengths", to=[1, -1, 1]), "positive"),
    "no neighbours": (setting("background", 0, "neighbours", to=0), "neighbours", "1 to 4096"),
    "a slow share of 1": (setting("background", 0, "slow", to=[1.0, 12.0]), "slow", "below 1"),
    "a slow share alone": (setting("background", 0, "slow", to=[0.3]), "slow of its background"),
    "an unknown kernel": (setting("background", 0, "kernel", to="x"), "'x'", "matern32"),
    "no attributes": (setting("attributes", to={}), "surfaces of its attributes"),
    "no units": (setting("attributes", "units", to={}), "temperature of its units"),
    "no variables": (setting("attributes", "variables", to=[]), "variables are []"),
    "no first date": (setting("attributes", "first", to=None), "first of its attributes"),
    "a date in words": (setting("attributes", "last", to="today"), "last date is 'today'"),
    "no dates": (setting("attributes", "dates_per_month", to=0), "0 dates a month"),
    "a surface that is true": (setting("attributes", "surfaces", to=True), "is True, not dict"),
    "an unknown surface": (setting("attributes", "surfaces", to={"ice": 0.1}), "are ['ice'], not"),
    "an error in words": (
        setting("attributes", "surfaces", "surface_temperature", to="small"), "not float",
    ),
    "a negative error": (
        setting("attributes", "surfaces", "surface_temperature", to=-0.1), "errors of its surfaces",
    ),
    "a kernel of lists": (setting("background", 0, "kernel", to=[[1]]), "kernel of its background"),
    "a long setting": (setting("background", 0, "lengths", to=[[1] * 5000]), "lengths of its"),
    "a month beyond the year": (setting("attributes", "months", to=[13]), "months are [13]"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTENTS)
def test_content_that_no_training_writes_is_refused(content, tmp_path, name):
    act, *words = CONTENTS[name]
    write_checkpoint(tmp_path / "changed.safetensors", *act(*copy.deepcopy(content)))
    with pytest.raises(ValueError) as refusal:
        Densifier.load(tmp_path / "changed.safetensors")
    message = str(refusal.value)
    assert "changed.safetensors" in message and "that training wrote" in message
    assert all(word in message for word in words), message
    assert len(message) < 500


def test_the_content_itself_is_accepted(content, tmp_path):
    write_checkpoint(tmp_path / "same.safetensors", *copy.deepcopy(content))
    assert Densifier.load(tmp_path / "same.safetensors").mode == "residual"
