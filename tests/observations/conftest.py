"""Generators on the device of the tests."""

import pytest
import torch


@pytest.fixture
def seeded(device):
    return lambda seed=0: torch.Generator(device).manual_seed(seed)
