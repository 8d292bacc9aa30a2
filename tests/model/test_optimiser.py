"""Muon: orthogonal directions by the singular value decomposition, steps by torch's own."""

import pytest
import torch

from ocean_lib.model.optimiser import UPDATE_SIZE, Muon, mixing_weights, orthogonalise
from ocean_lib.model.unet import UNet


@pytest.mark.parametrize("shape", [(24, 96), (96, 24), (40, 40), (1, 7)])
def test_the_singular_values_become_alike_and_the_vectors_stay(shape, device):
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(3, *shape, device=device), full_matrices=False)
    # From a hundredth of the largest on, whatever that is.
    values = torch.logspace(-2, 0, min(shape)) * torch.tensor([[1], [1e-3], [1e3]])
    matrices = left @ torch.diag_embed(values).to(device) @ right
    for matrix, made in zip(matrices, orthogonalise(matrices)):
        left, _, right = torch.linalg.svd(matrix, full_matrices=False)
        found = left.T @ made @ right.T
        assert (found - torch.diag(found.diagonal())).abs().max() < 1e-4
        assert found.diagonal().min() > 0.6 and found.diagonal().max() < 1.3


def test_no_gradient_is_no_step():
    assert torch.equal(orthogonalise(torch.zeros(2, 3, 5)), torch.zeros(2, 3, 5))


@pytest.mark.parametrize("shape", [(32, 16), (16, 48)])
def test_the_steps_are_those_of_torch(shape):
    """`torch.optim.Muon`, which works in bfloat16 and with updates of another size."""
    torch.manual_seed(0)
    start, target = torch.randn(2, *shape)
    own, other = (torch.nn.Parameter(start.clone()) for _ in range(2))
    ours = Muon([own], lr=0.01, decay=0.1)
    settings = {"weight_decay": 0.1 * 0.2 / UPDATE_SIZE, "adjust_lr_fn": "match_rms_adamw"}
    theirs = torch.optim.Muon([other], lr=0.01 * UPDATE_SIZE / 0.2, **settings)
    for _ in range(10):
        for weight, optimiser in ((own, ours), (other, theirs)):
            optimiser.zero_grad()
            (weight - target).square().sum().backward()
            optimiser.step()
    moved = (own - start).norm()
    assert moved > 1
    assert (own - other).norm() < 0.02 * moved


def test_a_kernel_is_a_matrix_of_its_rows():
    torch.manual_seed(0)
    start, slope = torch.randn(2, 8, 4, 2, 2)
    kernel = torch.nn.Parameter(start.clone().to(memory_format=torch.channels_last))
    matrix = torch.nn.Parameter(start.flatten(1).clone())
    kernel.grad, matrix.grad = slope, slope.flatten(1)
    for weight in (kernel, matrix):
        Muon([weight], lr=0.1).step()
    assert torch.equal(kernel.detach().flatten(1), matrix.detach())
    assert not torch.equal(matrix.detach(), start.flatten(1))


def test_several_of_one_shape_step_as_each_alone():
    torch.manual_seed(0)
    starts, slopes = torch.randn(2, 3, 6, 10)
    together = [torch.nn.Parameter(start.clone()) for start in starts]
    alone = [torch.nn.Parameter(start.clone()) for start in starts]
    other = torch.nn.Parameter(starts[0, :, :4].clone())
    for weights in (together, alone):
        for weight, slope in zip(weights, slopes):
            weight.grad = slope
    other.grad = slopes[0, :, :4]
    Muon([together[0], other, *together[1:]], lr=0.1).step()
    for one, weight in zip(alone, together):
        Muon([one], lr=0.1).step()
        torch.testing.assert_close(one, weight)


def test_what_mixes_channels_is_a_matrix():
    network = UNet(3, 2, width=8, multipliers=(1, 2), blocks=1)
    taken = {id(weight) for weight in mixing_weights(network)}
    names = {name for name, weight in network.named_parameters() if id(weight) not in taken}
    left = {tuple(name.split(".")[-2:]) for name in names}
    assert all(part == "bias" or layer in ("depthwise", "norm") for layer, part in left)
    assert len(taken) + len(names) == len(list(network.parameters()))
