"""The noise process against its formulas, finite differences and diffusers."""

import math

import numpy as np
import pytest
import torch
from tiny import astir

from ocean_lib.model.diffusion import PARAMETRISATIONS, Diffusion, masked_mean
from ocean_lib.model.unet import UNet

every = pytest.mark.parametrize("name", PARAMETRISATIONS)


def draws(device, batch=3, shape=(2, 5, 7), seed=0):
    generator = torch.Generator().manual_seed(seed)
    x0, noise = torch.randn(2, batch, *shape, generator=generator).to(device)
    return x0, noise


@every
@pytest.mark.parametrize("steps", [10, 1000])
def test_signal_and_noise_share_a_unit_variance(name, steps):
    diffusion = Diffusion(name, steps)
    total = diffusion.signal.double() ** 2 + diffusion.noise.double() ** 2
    assert len(total) == steps and (total - 1).abs().max() < 1e-6
    assert (diffusion.signal.diff() < 0).all() and (diffusion.noise.diff() > 0).all()
    assert diffusion.noise[0] > 0  # else the noise could not be told from x_0


@pytest.mark.parametrize("name", ["v", "x0"])
def test_v_and_x0_end_in_pure_noise(name, device):
    diffusion = Diffusion(name)
    assert diffusion.signal[-1] == 0 and diffusion.noise[-1] == 1
    x0, noise = draws(device)
    last = torch.full((3,), 999, device=device)
    assert torch.equal(diffusion.add_noise(x0, noise, last), noise)


def test_epsilon_ends_with_a_trace_of_signal():
    diffusion = Diffusion("epsilon")
    assert 0 < diffusion.signal[-1] ** 2 < 1e-3
    # x_0 still follows from the noise in single precision.
    x0, noise = draws("cpu")
    last = torch.full((3,), 999)
    x = diffusion.add_noise(x0, noise, last)
    torch.testing.assert_close(diffusion.x0(noise, x, last), x0, atol=1e-3, rtol=0)


def test_the_schedule_is_the_cosine_rescaled_as_diffusers_does():
    from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr

    time = (np.arange(1000) + 1) / 1000
    product = np.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2
    product = np.maximum(product, 1e-12)  # the cosine itself is 0 at T
    betas = 1 - product / np.concatenate([[1.0], product[:-1]])
    # The first beta of our process counts from the clean field at t = -1.
    betas[0] = 1 - product[0] / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    rescaled = rescale_zero_terminal_snr(torch.tensor(betas))
    product = torch.cumprod(1 - rescaled, 0)
    torch.testing.assert_close(
        Diffusion("v").signal.double(), product.clamp(min=0).sqrt(), atol=2e-4, rtol=0
    )


@every
def test_the_target_turns_back_into_the_field(name, device):
    diffusion = Diffusion(name)
    x0, noise = draws(device)
    for time in (0, 1, 250, 500, 998, 999):
        t = torch.full((3,), time, device=device)
        x = diffusion.add_noise(x0, noise, t)
        back = diffusion.x0(diffusion.target(x0, noise, t), x, t)
        torch.testing.assert_close(back, x0, atol=2e-3 if name == "epsilon" else 1e-5, rtol=0)


def test_v_is_the_velocity_along_the_circle_of_signal_and_noise():
    diffusion = Diffusion("v")
    x0, noise = (part.double() for part in draws("cpu", batch=1))
    for time in (3, 400, 900):
        t = torch.tensor([time])
        angle = torch.atan2(diffusion.noise[time].double(), diffusion.signal[time].double())
        ends = [(angle + h).cos() * x0 + (angle + h).sin() * noise for h in (-1e-4, 1e-4)]
        velocity = (ends[1] - ends[0]) / 2e-4
        torch.testing.assert_close(diffusion.target(x0, noise, t), velocity, atol=1e-6, rtol=0)


def test_samples_of_a_batch_have_times_of_their_own(device):
    diffusion = Diffusion("v")
    x0, noise = draws(device)
    times = [0, 500, 999]
    together = diffusion.add_noise(x0, noise, torch.tensor(times, device=device))
    for index, time in enumerate(times):
        a, s = float(diffusion.signal[time]), float(diffusion.noise[time])
        torch.testing.assert_close(together[index], a * x0[index] + s * noise[index])


@every
@pytest.mark.parametrize("gamma", [0.5, 5.0])
def test_every_parametrisation_counts_as_min_snr_on_the_field(name, gamma):
    """An x_0 off by d costs min(SNR, γ) d², or min(SNR + 1, γ) d² where signal ends at 0."""
    diffusion = Diffusion(name, gamma=gamma)
    x0, noise = (part.double() for part in draws("cpu", batch=1))
    off = torch.randn(x0.shape, generator=torch.Generator().manual_seed(5)).double()
    everywhere = torch.ones_like(x0, dtype=torch.bool)
    for time in (10, 200, 500, 700, 900):
        t = torch.tensor([time])
        a, s = float(diffusion.signal[time]), float(diffusion.noise[time])
        x = a * x0 + s * noise
        wrong = x0 + off
        prediction = {"v": (a * x - wrong) / s, "epsilon": (x - a * wrong) / s, "x0": wrong}[name]
        loss = diffusion.loss(prediction, x0, noise, t, everywhere)
        more = 0 if name == "epsilon" else 1
        expected = min(a**2 / s**2 + more, gamma) * float((off**2).mean())
        assert float(loss) == pytest.approx(expected, rel=1e-4), time


@every
def test_weights_are_finite_at_every_time(name):
    weight = Diffusion(name).weight(torch.arange(1000))
    assert weight.shape == (1000, 1, 1, 1)
    # Positive at the last time, too: sampling starts there.
    assert torch.isfinite(weight).all() and (weight > 0).all() and (weight[-100:] > 0.9).all()


@every
def test_the_loss_is_the_mean_over_hidden_cells_by_a_loop(name):
    diffusion = Diffusion(name)
    x0, noise = draws("cpu")
    generator = torch.Generator().manual_seed(2)
    prediction = torch.randn(x0.shape, generator=generator)
    hidden = torch.rand(x0.shape, generator=generator) < 0.3
    t = torch.tensor([100, 500, 900])
    target, weight = diffusion.target(x0, noise, t), diffusion.weight(t)
    total, count = 0.0, 0
    for b, d, y, x in np.ndindex(*x0.shape):
        if hidden[b, d, y, x]:
            total += float(weight[b, 0, 0, 0] * (prediction - target)[b, d, y, x] ** 2)
            count += 1
    loss = diffusion.loss(prediction, x0, noise, t, hidden)
    assert float(loss) == pytest.approx(total / count, rel=1e-5)


@every
def test_the_gradient_lives_on_hidden_ocean_and_nowhere_else(name, device):
    """Through the network: what it says on hidden cells is taught, what it says elsewhere not."""
    diffusion = Diffusion(name)
    x0, noise = draws(device)
    generator = torch.Generator().manual_seed(2)
    ocean = (torch.rand(x0.shape, generator=generator) < 0.8).to(device)
    observed = (torch.rand(x0.shape, generator=generator) < 0.5).to(device) & ocean
    hidden = ocean & ~observed
    torch.manual_seed(0)
    network = astir(UNet(2, 2, width=8, multipliers=(1, 2), blocks=1).to(device))
    t = torch.tensor([10, 400, 900], device=device)
    inputs = diffusion.add_noise(x0, noise, t), t / 1000, torch.zeros(3, 5, device=device)
    out = network(*inputs)
    out.retain_grad()
    diffusion.loss(out, x0, noise, t, hidden).backward()
    assert torch.equal(out.grad != 0, hidden)
    taught = [p.grad.clone() for p in network.parameters()]

    # Whatever the network says on observed cells and land leaves loss and gradient as they are.
    network.zero_grad()
    out = network(*inputs)
    disturbed = out + torch.where(hidden, 0.0, 100.0)
    diffusion.loss(disturbed, x0, noise, t, hidden).backward()
    for parameter, gradient in zip(network.parameters(), taught):
        torch.testing.assert_close(parameter.grad, gradient)


@every
def test_nothing_hidden_costs_nothing_and_leaves_the_gradient_finite(name, device):
    """All land, or everything observed."""
    diffusion = Diffusion(name)
    x0, noise = draws(device)
    prediction = torch.randn(x0.shape).to(device).requires_grad_()
    t = torch.tensor([0, 500, 999], device=device)
    loss = diffusion.loss(prediction, x0, noise, t, torch.zeros_like(x0, dtype=torch.bool))
    loss.backward()
    assert float(loss.detach()) == 0 and (prediction.grad == 0).all()


def test_masked_mean_ignores_what_is_not_finite_outside():
    loss = torch.tensor([1.0, 3.0, math.nan, math.inf], requires_grad=True)
    mean = masked_mean(loss, torch.tensor([True, True, False, False]))
    mean.backward()
    assert float(mean.detach()) == 2.0
    assert loss.grad.tolist() == [0.5, 0.5, 0.0, 0.0]


@every
def test_the_settings_build_the_same_process_again(name):
    one = Diffusion(name, steps=50, gamma=3.0)
    two = Diffusion(**one.settings())
    assert torch.equal(one.signal, two.signal) and two.gamma == 3.0 and two.steps == 50


def test_an_unknown_parametrisation_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="'score'.*'v', 'epsilon', 'x0'"):
        Diffusion("score")
