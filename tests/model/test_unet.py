"""Shapes, conditions, gradients and memory layout of the U-Net."""

import pytest
import torch
import torch.nn.functional as F
from tiny import astir

from ocean_lib.model.unet import UNet, count_parameters


def net(device="cpu", inputs=3, outputs=2, **choices) -> UNet:
    torch.manual_seed(0)
    choices = {"width": 8, "multipliers": (1, 2), "blocks": 1} | choices
    return UNet(inputs, outputs, **choices).to(device)


def case(height, width, inputs=3, batch=2, device="cpu", conditions=5):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, inputs, height, width, generator=generator)
    level = torch.rand(batch, generator=generator)
    extra = torch.randn(batch, conditions, generator=generator)
    return x.to(device), level.to(device), extra.to(device)


@pytest.mark.parametrize("stem", [1, 2])
@pytest.mark.parametrize("multipliers", [(1,), (1, 2), (1, 2, 4, 8, 8)])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 2), (13, 21), (16, 16)])
def test_any_grid_comes_back_in_its_own_size(size, multipliers, stem, device):
    network = astir(net(device, stem=stem, multipliers=multipliers))
    out = network(*case(*size, device=device))
    assert out.shape == (2, 2, *size)
    assert torch.isfinite(out).all() and out.std() > 0


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (8, 1), (50, 50)])
def test_any_number_of_levels(inputs, outputs):
    assert net(inputs=inputs, outputs=outputs)(*case(5, 6, inputs)).shape == (2, outputs, 5, 6)


@pytest.mark.parametrize("stem", [1, 2])
@pytest.mark.parametrize("attention", [True, False])
def test_the_network_starts_from_no_departure(stem, attention):
    out = net(stem=stem, attention=attention)(*case(9, 11))
    assert (out == 0).all()


@pytest.mark.parametrize(("stem", "rows"), [(1, 3), (2, 7)])
def test_an_odd_grid_is_the_zero_padded_grid_cropped(stem, rows, device):
    network = astir(net(device, stem=stem, multipliers=(1, 2, 4)))
    x, level, extra = case(9, 13, device=device)
    # 12 × 16 and 16 × 16 cells halve to the last grid without a rest.
    whole = network(F.pad(x, (0, 3, 0, rows)), level, extra)
    torch.testing.assert_close(network(x, level, extra), whole[..., :9, :13])


def test_the_stem_folds_cells_into_channels(device):
    network = astir(net(device))
    x, _, _ = case(8, 12, device=device)
    weight = network.enter.weight.flatten(1)[:, :, None, None]
    expected = F.conv2d(F.pixel_unshuffle(x, 2), weight, network.enter.bias)
    torch.testing.assert_close(network._stem(x, None), expected)


@pytest.mark.parametrize("stem", [1, 2])
def test_what_samples_share_need_not_be_laid_out_for_each(stem, device):
    network = astir(net(device, stem=stem))
    x, level, extra = case(7, 9, device=device)
    own, shared = x[:, :1], x[:1, 1:]
    laid_out = torch.cat([own, shared.expand(2, -1, -1, -1)], 1)
    expected = network(laid_out, level, extra)
    torch.testing.assert_close(network(own, level, extra, shared), expected)
    torch.testing.assert_close(network(own, level, extra, laid_out[:, 1:]), expected)


def test_the_level_and_every_condition_change_the_outcome(device):
    network = astir(net(device))
    x, level, extra = case(8, 8, device=device)
    before = network(x, level, extra)
    assert not torch.allclose(network(x, level + 0.01, extra), before)
    for index in range(5):
        other = extra.clone()
        other[:, index] += 1
        assert not torch.allclose(network(x, level, other), before), index


def test_neighbouring_noise_levels_of_a_thousand_are_told_apart():
    """One step of 1000 changes the outcome by a good part of what all of them do."""
    network = astir(net())
    x, _, extra = case(8, 8, batch=1)

    def difference(one, two):
        outs = [network(x, torch.tensor([t / 1000]), extra) for t in (one, two)]
        return float((outs[0] - outs[1]).detach().square().mean().sqrt())

    whole = difference(0, 999)
    assert min(difference(t, t + 1) for t in (0, 500, 998)) > 0.05 * whole > 0


def test_a_condition_touches_its_own_sample_only(device):
    network = astir(net(device))
    x, level, extra = case(8, 8, device=device)
    other = extra.clone()
    other[1] += 1
    before, after = network(x, level, extra), network(x, level, other)
    torch.testing.assert_close(before[0], after[0])
    assert not torch.allclose(before[1], after[1])


@pytest.mark.parametrize("stem", [1, 2])
def test_the_gradient_reaches_every_parameter(stem, device):
    network = astir(net(device, stem=stem, multipliers=(1, 2, 2)))
    network(*case(12, 10, device=device)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_fine_grids_reach_the_outcome_past_the_coarse_ones():
    network = astir(net(multipliers=(1, 2, 2), stem=1))
    for layer in network.grow:  # nothing comes up from below
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    x, level, extra = case(8, 8)
    other = x.clone()
    other[..., 4, 4] += 1
    changed = (network(x, level, extra) - network(other, level, extra)).abs().amax((0, 1))
    assert changed[4, 4] > 0 and changed[0, 0] == 0


def test_the_first_step_already_moves_the_head():
    network = net()
    (network(*case(8, 8)) - 1).square().mean().backward()
    assert network.leave[1].weight.grad.abs().max() > 0


def test_convolutions_work_in_channels_last(device):
    network = astir(net(device, multipliers=(1, 2, 2)))
    layouts = {}

    def look(name):
        def hook(layer, inputs, output):
            x = inputs[0]
            layouts[name] = x.is_contiguous(memory_format=torch.channels_last)

        return hook

    for name, layer in network.named_modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(look(name))
            if layer.weight.shape[1] > 1:
                assert layer.weight.is_contiguous(memory_format=torch.channels_last), name
    network(*case(20, 28, device=device))
    assert layouts and all(layouts.values()), [n for n, last in layouts.items() if not last]


def test_arguments_make_it_wider_and_deeper():
    def size(**choices):
        return sum(p.numel() for p in net(**choices).parameters())

    least = size()
    assert size(width=16) > 3 * least
    assert size(blocks=3) > least
    assert size(multipliers=(1, 2, 4)) > 2 * least
    assert size(expansion=4) > least and size(kernel=7) > least
    assert size(attention=False) < least


def test_a_block_convolves_each_channel_on_its_own():
    """The costly full convolution is not there: cost of a kernel is one per channel."""
    small, large = net(kernel=3), net(kernel=7)
    widths = [8, 16, 8]  # down, down, up
    extra = sum(p.numel() for p in large.parameters()) - sum(p.numel() for p in small.parameters())
    assert extra == sum(widths) * (49 - 9)


def test_channels_that_do_not_divide_into_heads_are_refused():
    with pytest.raises(ValueError, match="width 6 .* attention=False"):
        UNet(3, 2, width=6, multipliers=(1, 3))
    UNet(3, 2, width=6, multipliers=(1, 3), attention=False)


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"width": 8, "multipliers": [1], "blocks": 1, "stem": 1},
        {"width": 12, "multipliers": (1, 3), "attention": False, "kernel": 5, "expansion": 3},
        {"width": 16, "multipliers": [1, 2, 2, 4], "blocks": 3, "conditions": 6},
    ],
)
def test_weights_are_counted_without_building(choices):
    built = UNet(7, 4, **choices)
    assert count_parameters(7, 4, **choices) == sum(p.numel() for p in built.parameters())


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"width": 2**63}, "width is 9223372036854775808"),
        ({"width": 0}, "width is 0"),
        ({"width": True}, "width is True"),
        ({"blocks": 10**9}, "blocks is 1000000000"),
        ({"stem": 3}, "stem is 3"),
        ({"multipliers": []}, "multipliers"),
        ({"multipliers": [1] * 9}, "1 to 6 numbers"),
        ({"multipliers": [1, 2**63]}, "multiplier 2 is"),
        ({"kernel": 4}, "odd"),
        ({"expansion": 1.5}, "expansion is 1.5"),
        ({"attention": "yes"}, "attention is 'yes'"),
    ],
)
def test_sizes_that_no_machine_bears_are_refused_before_building(choices, words):
    with pytest.raises(ValueError, match=words):
        UNet(3, 3, **choices)
