"""The estimates of memory and disk agree with what is built."""

import numpy as np
import pytest
import torch
from tiny import PATTERNS, background, scenes

from ocean_lib.model.scenes import LARGEST_SCENE
from ocean_lib.model.unet import UNet
from ocean_lib.runs import needs
from ocean_lib.runs.parameters import load_parameters
from ocean_lib.sources import demo_ocean


def estimate(*overrides):
    return needs.estimate_needs(load_parameters("demo", overrides), "cpu")


def test_the_demo_ocean_has_the_size_that_is_counted():
    assert demo_ocean.simulate.__defaults__[2] == needs.DEMO_SHAPE
    assert len(demo_ocean.DEPTH) == needs.DEMO_LEVELS
    assert np.isclose(demo_ocean.STEP, 1 / needs.CELLS_PER_DEGREE["demo"])
    assert needs.LARGEST_SCENE == LARGEST_SCENE


@pytest.mark.parametrize(
    "sizes",
    [
        {"width": 32, "multipliers": [1, 2, 4], "blocks": 2, "stem": 2},
        {"width": 16, "multipliers": [1, 4], "blocks": 1, "stem": 1},
    ],
)
def test_activations_are_those_that_a_step_keeps(sizes):
    network, saved = UNet(54, 16, **sizes), {}
    hooks = torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: saved.setdefault(tensor.data_ptr(), tensor), lambda tensor: tensor
    )
    with hooks:
        network(torch.zeros(4, 54, 32, 32), torch.zeros(4), torch.zeros(4, 5))
    own = {parameter.data_ptr() for parameter in network.parameters()}
    kept = sum(tensor.nbytes for key, tensor in saved.items() if key not in own)
    counted = needs.activation_bytes(**sizes, patch=32, batch=4)
    assert 0.7 < counted / kept < 1.3


def test_scenes_take_the_bytes_that_are_counted(small_store):
    made = scenes(small_store, patterns=PATTERNS, background=background(small_store))
    kept = sum(array.nbytes for name, array in made.arrays.items() if name != "cut")
    levels = len(small_store.depth)
    cells = int(np.prod(small_store.shape("train")))
    assert kept == 6 * cells * needs.scene_bytes(levels, len(small_store.surfaces))


def test_what_grows_with_a_parameter_is_counted():
    plain = estimate()
    assert 3e9 < max(plain.memory.values()) < 5.1e9  # measured: 3.1 GB
    assert (
        0.4e9 < plain.data < 0.6e9 and 1.5e9 < plain.results < 2e9
    )  # 0.5 and, with the scenes, 1.4 GB
    assert estimate("demo_months=336").data > 1.9 * plain.data
    assert estimate("scenes=[1200,3600]").results > plain.results + 3.5e9
    assert estimate("members=80").results > plain.results + 0.4e9
    # All test months are observed, however many are drawn.
    longer = estimate("test_months=624")
    cells = 2 * 24 * 96 * 128  # cases, levels of both variables, rows, columns
    assert max(longer.memory.values()) > max(plain.memory.values()) + 9 * 600 * cells

    def largest(*overrides):
        return max(estimate(*overrides).memory, key=estimate(*overrides).memory.get)

    assert largest("batch=512").startswith("training")
    assert largest("members=200", "calibration_dates=100").startswith("sampling")


def test_a_network_on_a_gpu_takes_no_memory_of_the_host():
    given = load_parameters("demo", ["batch=4096"])
    host, gpu = (needs.estimate_needs(given, device) for device in ("cpu", "cuda"))
    assert max(host.memory.values()) > 20e9 and max(gpu.memory.values()) < 5.1e9


def test_the_grid_of_a_source_is_known_beforehand_where_it_can_be():
    assert needs.grid_shape("demo", []) == (96, 128)
    assert needs.grid_shape("glorys12", [170.0, -170.0, -10.0, 10.0]) == (241, 241)
    assert needs.grid_shape("netcdf", [0.0, 1.0, 0.0, 1.0]) is None
    assert needs.count_months("glorys12", ["2001-01", "2002-03"], 5) == 15
    assert needs.count_months("netcdf", ["2001-01", "2002-03"], 5) is None
    assert needs.estimate_needs({"steps": 5}, None) == needs.Needs()
