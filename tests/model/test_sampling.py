"""The samplers against diffusers' schedulers and against Gaussians whose posterior is known."""

import pytest
import torch

from ocean_lib.model.diffusion import PARAMETRISATIONS, Diffusion
from ocean_lib.model.sampling import (
    SAMPLERS,
    check_sampler,
    clamp_known,
    extrapolation,
    initial_noise,
    sampling_step,
    timesteps,
    trajectory,
)

every = pytest.mark.parametrize("name", PARAMETRISATIONS)
both = pytest.mark.parametrize("sampler", [*SAMPLERS])
PREDICTION = {"v": "v_prediction", "epsilon": "epsilon", "x0": "sample"}


def seeded(device="cpu", seed=0) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


def opinion(x, t):
    """Some prediction that depends on x and on the time."""
    return torch.tanh(x.roll(1, -1) - 0.3 * x) + 0.001 * t.view(-1, 1, 1, 1)


def frames(denoise, diffusion, shape, *, generator, known=None, value=None, start=None, **choices):
    """(time, x, x_0) before every step and at the end, of whole fields handed over at once."""

    def draw(number=0, rows=slice(None)):
        return torch.randn(shape, generator=generator, device=generator.device)

    def whole(x, t):
        x0 = denoise(x, t)
        if known is not None:
            x0 = clamp_known(x0, known, value)
        seen.append((int(t[0]), x.clone(), x0))
        yield slice(0, shape[-2]), x0

    seen = []
    guess = start
    if known is not None:
        guess = torch.where(known, value, torch.zeros_like(value) if start is None else start)
    x = initial_noise(diffusion, draw(), choices["steps"], guess)
    for _ in trajectory(x, whole, diffusion, draw=draw, **choices):
        pass
    return [*seen, (-1, x, x)]


def sample(*args, **choices):
    return frames(*args, **choices)[-1][1]


# --- the times --------------------------------------------------------------------------------


def test_five_steps_of_a_thousand_span_all_noise_levels():
    assert timesteps(1000, 5) == [999, 749, 500, 250, 0]


def test_times_of_dpm_solver_lie_closer_the_higher_the_noise():
    assert timesteps(1000, 5, "dpm++") == [999, 959, 839, 639, 359]
    assert timesteps(1000, 1, "dpm++") == [999]
    assert timesteps(1000, 1000, "dpm++") == list(range(999, -1, -1))
    for total, number in ((1000, 2), (1000, 50), (1000, 333), (1000, 997), (7, 5), (7, 7)):
        times = timesteps(total, number, "dpm++")
        gaps = [one - two for one, two in zip(times, [*times[1:], -1])]
        assert len(times) == number and times[0] == total - 1 and min(gaps) >= 1
        assert gaps[0] <= gaps[-1]


def test_times_of_any_number_of_steps():
    assert timesteps(1000, 1) == [999]
    assert timesteps(7, 7) == [6, 5, 4, 3, 2, 1, 0]
    assert timesteps(1000, 1000) == list(range(999, -1, -1))
    for number in (2, 10, 333, 997):
        times = timesteps(1000, number)
        assert len(times) == number and times[0] == 999 and times[-1] == 0
        gaps = {one - two for one, two in zip(times, times[1:])}
        assert max(gaps) - min(gaps) <= 1 and min(gaps) >= 1
        assert all(isinstance(time, int) for time in times)


@pytest.mark.parametrize("number", [0, -3, 1001])
def test_more_steps_than_there_are_or_none_are_refused(number):
    with pytest.raises(ValueError, match=f"{number} sampling steps.*1 to 1000"):
        timesteps(1000, number)


def test_an_unknown_sampler_is_refused_with_the_choices():
    for check in (check_sampler, lambda name: timesteps(1000, 5, name)):
        with pytest.raises(ValueError, match="'euler' is not known.*dpm.*ddim.*ddpm"):
            check("euler")


@both
def test_the_denoiser_is_asked_for_those_times(sampler, device):
    asked = []

    def denoise(x, t):
        assert x.shape == (3, 2, 5, 7) and t.shape == (3,) and len(t.unique()) == 1
        assert not t.is_floating_point()
        asked.append(int(t[0]))
        return torch.zeros_like(x)

    sample(denoise, Diffusion(), (3, 2, 5, 7), steps=5, sampler=sampler, generator=seeded(device))
    assert asked == timesteps(1000, 5, sampler)


# --- diffusers --------------------------------------------------------------------------------


def scheduler(kind, diffusion, **choices):
    """diffusers' scheduler over our noise process."""
    product = diffusion.signal.double() ** 2
    previous = torch.cat([torch.ones(1, dtype=torch.float64), product[:-1]])
    return kind(
        num_train_timesteps=diffusion.steps,
        trained_betas=(1 - product / previous).tolist(),
        prediction_type=PREDICTION[diffusion.parametrisation],
        clip_sample=False,
        **choices,
    )


@every
@pytest.mark.parametrize("steps", [20, 6])
def test_ddpm_equals_diffusers_step_by_step(name, steps):
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    diffusion = Diffusion(name, 20)
    theirs = scheduler(DDPMScheduler, diffusion, variance_type="fixed_small")
    theirs.set_timesteps(timesteps=timesteps(20, steps))
    generator, shape = seeded(), (2, 3, 5, 7)

    def denoise(x, t):
        return diffusion.x0(opinion(x, t), x, t)

    given = {"steps": steps, "sampler": "ddpm", "generator": seeded()}
    ours = iter(frames(denoise, diffusion, shape, **given))
    x = torch.randn(shape, generator=generator)
    if name == "epsilon":
        x = x * diffusion.noise[-1]  # beside the trace of a first guess of 0
    for time in theirs.timesteps.tolist():
        at, mine, _ = next(ours)
        assert at == time
        torch.testing.assert_close(mine, x, atol=2e-4, rtol=2e-4)
        prediction = opinion(x, torch.full((2,), time))
        x = theirs.step(prediction, time, x, generator=generator).prev_sample
    at, mine, _ = next(ours)
    assert at == -1
    torch.testing.assert_close(mine, x, atol=2e-4, rtol=2e-4)


@every
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_a_step_equals_diffusers_ddim(name, eta):
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    diffusion = Diffusion(name, 1000)
    theirs = scheduler(DDIMScheduler, diffusion, set_alpha_to_one=True, timestep_spacing="trailing")
    theirs.set_timesteps(5)
    times = theirs.timesteps.tolist()
    assert times == [999, 799, 599, 399, 199]
    x = torch.randn(2, 3, 5, 7, generator=seeded())
    for time, previous in zip(times, [*times[1:], -1]):
        noise = torch.randn(x.shape, generator=seeded(seed=time))
        t = torch.full((2,), time)
        prediction = opinion(x, t)
        x0 = diffusion.x0(prediction, x, t)
        ours = sampling_step(diffusion, x, x0, time, previous, eta, noise)
        result = theirs.step(prediction, time, x, eta=eta, variance_noise=noise if eta else None)
        # Theirs divides by a, 0.01 at the last time of epsilon.
        torch.testing.assert_close(x0, result.pred_original_sample, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(ours, result.prev_sample, atol=1e-3, rtol=1e-3)
        x = ours


@every
def test_ddim_equals_diffusers_from_noise_to_field(name):
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    diffusion, shape = Diffusion(name, 25), (2, 3, 5, 7)
    theirs = scheduler(DDIMScheduler, diffusion, set_alpha_to_one=True)
    theirs.set_timesteps(25)
    assert theirs.timesteps.tolist() == timesteps(25, 25)
    x = torch.randn(shape, generator=seeded())
    if name == "epsilon":
        x = x * diffusion.noise[-1]
    for time in theirs.timesteps.tolist():
        x = theirs.step(opinion(x, torch.full((2,), time)), time, x).prev_sample

    def denoise(x, t):
        return diffusion.x0(opinion(x, t), x, t)

    ours = sample(denoise, diffusion, shape, steps=25, sampler="ddim", generator=seeded())
    torch.testing.assert_close(ours, x, atol=1e-3, rtol=1e-3)


@every
@pytest.mark.parametrize("steps", [4, 9, 25])
def test_dpm_solver_equals_diffusers(name, steps):
    from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

    # Theirs has no log(a / s) in pure noise, so the process ends short of it.
    whole, shape = Diffusion(name, 1000), (2, 3, 5, 7)
    diffusion = Diffusion(name, 1000)
    diffusion.signal, diffusion.noise = whole.signal[:900], whole.noise[:900]
    diffusion.steps = 900
    product = diffusion.signal.double() ** 2
    previous = torch.cat([torch.ones(1, dtype=torch.float64), product[:-1]])
    theirs = DPMSolverMultistepScheduler(
        num_train_timesteps=900,
        trained_betas=(1 - product / previous).tolist(),
        prediction_type=PREDICTION[name],
        solver_order=2,
        algorithm_type="dpmsolver++",
        lower_order_final=True,
        final_sigmas_type="zero",
    )
    theirs.set_timesteps(timesteps=timesteps(900, steps, "dpm++"))
    start = torch.randn(shape, generator=seeded())
    x = start.clone()
    for time in theirs.timesteps:
        x = theirs.step(opinion(x, time.repeat(2)), time, x).prev_sample

    def denoise(x, t):
        yield slice(0, shape[-2]), diffusion.x0(opinion(x, t), x, t)

    ours = start.clone()
    for _ in trajectory(ours, denoise, diffusion, steps=steps, sampler="dpm++"):
        pass
    torch.testing.assert_close(ours, x, atol=1e-3, rtol=1e-3)


def test_extrapolation_begins_once_both_steps_are_finite():
    times = timesteps(1000, 5, "dpm++")
    c = [extrapolation(Diffusion(), *times[k - 1 : k + 2]) for k in (1, 2, 3)]
    assert c[0] == 0 and c[1] > 0.3 and c[2] > 0.3
    assert extrapolation(Diffusion(), 500, 250, -1) == 0


@pytest.mark.parametrize("steps", [5, 8, 12])
def test_the_second_order_comes_closer_with_as_many_evaluations(steps):
    """To the exact map from noise to a Gaussian, x = scale · noise, at scales that hold variance.

    Below them, where few times lie, both are far off.
    """
    diffusion, scale = Diffusion(), torch.tensor([0.7, 1.0, 2.0, 4.0])
    conditional = posterior(diffusion, torch.zeros(4), torch.diag(scale**2))
    noise = torch.randn(500, 1, 2, 2, generator=seeded())

    def denoise(x, t):
        yield slice(0, 2), conditional(x, t)

    off = {}
    for sampler in ("dpm++", "ddim"):
        x = noise.clone()
        for _ in trajectory(x, denoise, diffusion, steps=steps, sampler=sampler):
            pass
        off[sampler] = float((x.flatten(1) - scale * noise.flatten(1)).square().mean().sqrt())
    assert off["dpm++"] < 0.7 * off["ddim"], off


# --- Gaussians --------------------------------------------------------------------------------


def posterior(diffusion, mean, covariance):
    """E[x_0 | x_t] of x_0 ~ N(mean, covariance) over the flattened sample, as a denoiser."""
    values, vectors = torch.linalg.eigh(covariance.double())
    values, vectors = values.clamp(min=0).float(), vectors.float()

    def denoise(x, t):
        a, s = diffusion.signal[int(t[0])].item(), diffusion.noise[int(t[0])].item()
        gain = a * values / (a**2 * values + s**2)
        departure = x.flatten(1) - a * mean.to(x)
        return (mean + (departure @ vectors * gain) @ vectors.T).view(x.shape)

    return denoise


@both
@every
def test_a_gaussian_is_recovered(name, sampler):
    diffusion, number = Diffusion(name), 20000
    mean = torch.tensor([1.0, -2.0, 0.0, 0.5])
    root = torch.randn(4, 4, generator=seeded(seed=3))
    covariance = root @ root.T / 2
    drawn = sample(
        posterior(diffusion, mean, covariance),
        diffusion,
        (number, 1, 2, 2),
        steps=500,
        sampler=sampler,
        generator=seeded(),
        start=mean.view(1, 1, 2, 2).expand(number, 1, 2, 2),
    ).flatten(1)
    variance = covariance.diagonal()
    # 5 standard errors of the Monte Carlo, and 3 % for the finite number of steps.
    assert ((drawn.mean(0) - mean).abs() < 5 * (variance / number).sqrt() + 0.01).all()
    scale = (variance[:, None] * variance).sqrt()
    off = (torch.cov(drawn.T) - covariance).abs()
    assert (off < scale * (5 * (2 / number) ** 0.5 + 0.03)).all(), off / scale


def smooth(rows, columns, length=4.0):
    """Covariance of a once differentiable field of unit variance, (rows·columns)²."""

    def axis(size):
        distance = (torch.arange(size)[:, None] - torch.arange(size)).abs() * 3**0.5 / length
        return (1 + distance) * torch.exp(-distance)

    return torch.kron(axis(rows), axis(columns)).double()


def squared_steps(x, kinds, kind):
    """Mean squared difference of neighbours, of which `kind` (0, 1, 2) are known."""
    found = []
    for axis in (-1, -2):
        size = x.shape[axis] - 1
        count = sum(kinds.narrow(axis, start, size).int() for start in (0, 1))
        found.append(x.diff(dim=axis)[count == kind] ** 2)
    return float(torch.cat(found).mean())


@both
def test_no_seam_at_the_edge_of_known_cells(sampler):
    """Smooth fields, each member with a truth of its own, known around a hidden block.

    The denoiser knows the known cells, as a network that is given the observations does: over
    members, neighbours across the border differ as any neighbours of such a field do.
    """
    rows, columns, members = 13, 15, 400
    covariance = smooth(rows, columns)
    root = torch.linalg.cholesky(covariance)
    noise = torch.randn(members, rows * columns, generator=seeded(seed=1)).double()
    truth = (noise @ root.T).float().view(members, 1, rows, columns)
    known = torch.ones(rows, columns, dtype=torch.bool)
    known[2:11, 2:13] = False
    seen, hidden = known.flatten(), ~known.flatten()
    gain = covariance[hidden][:, seen] @ torch.linalg.inv(covariance[seen][:, seen])
    left = covariance[hidden][:, hidden] - gain @ covariance[seen][:, hidden]
    expected = (truth.flatten(1)[:, seen].double() @ gain.T).float()
    diffusion = Diffusion()
    conditional = posterior(diffusion, expected, left)

    def denoise(x, t):
        x0 = torch.full_like(x, 50.0).flatten(1)  # nobody may rely on this at known cells
        x0[:, hidden] = conditional(x.flatten(1)[:, hidden], t)
        return x0.view(x.shape)

    known = known.expand(truth.shape)
    x = sample(
        denoise,
        diffusion,
        tuple(truth.shape),
        steps=100,
        sampler=sampler,
        generator=seeded(),
        known=known,
        value=torch.where(known, truth, 99.0),
    )
    assert torch.equal(x[known], truth[known])
    of_the_field = squared_steps(truth, known, 1)
    assert squared_steps(x, known, 1) == pytest.approx(of_the_field, rel=0.1)
    assert squared_steps(x, known, 1) < 1.1 * squared_steps(x, known, 2)
    assert squared_steps(x, known, 0) == pytest.approx(squared_steps(truth, known, 0), rel=0.1)
    # And the members scatter about the conditional mean by the conditional variance.
    scatter = (x.flatten(1)[:, hidden] - expected).var(0)
    assert left.diagonal().max() > 0.2
    assert float(scatter.sum() / left.trace()) == pytest.approx(1, abs=0.08)


# --- known cells ------------------------------------------------------------------------------


@every
@both
def test_known_cells_carry_their_value_noised_to_the_step(name, sampler, device):
    """With a noise of its own per member, under DDIM the same from the first step to the last."""
    diffusion, shape = Diffusion(name), (3, 2, 5, 7)
    generator = seeded(seed=4)
    known = (torch.rand(shape, generator=generator) < 0.4).to(device)
    value = torch.randn(shape, generator=generator).to(device)
    noises = []

    def denoise(x, t):
        a, s = diffusion.signal[int(t[0])].item(), diffusion.noise[int(t[0])].item()
        noises.append((x - a * value) / s)
        return opinion(x, t)

    given = {"steps": 7, "sampler": sampler, "generator": seeded(device)}
    seen = frames(denoise, diffusion, shape, known=known, value=value, **given)
    for noise in noises[1:]:
        if not SAMPLERS[sampler]:
            torch.testing.assert_close(noise[known], noises[0][known], atol=2e-3, rtol=0)
        assert abs(float(noise[known].mean())) < 0.4 and 0.7 < float(noise[known].std()) < 1.3
    shared = known[0] & known[1]
    assert shared.any() and not torch.isclose(noises[0][0], noises[0][1])[shared].any()
    assert abs(float(noises[0][known].mean())) < 0.4
    assert 0.7 < float(noises[0][known].std()) < 1.3
    for _, _, x0 in seen[:-1]:
        assert torch.equal(x0[known], value[known])
    time, end, _ = seen[-1]
    assert time == -1 and torch.equal(end[known], value[known])
    assert not torch.isclose(end[~known], value[~known]).all()


@both
def test_everything_known_is_given_back_and_nothing_known_changes_nothing(sampler):
    shape, diffusion = (2, 1, 3, 5), Diffusion()
    value = torch.randn(shape, generator=seeded(seed=1))
    choices = {"steps": 4, "sampler": sampler}
    free = sample(opinion, diffusion, shape, generator=seeded(), **choices)
    none = torch.zeros(shape, dtype=torch.bool)
    same = sample(opinion, diffusion, shape, generator=seeded(), known=none, value=value, **choices)
    assert torch.equal(free, same)
    every = sample(
        opinion, diffusion, shape, generator=seeded(), known=~none, value=value, **choices
    )
    assert torch.equal(every, value)


def test_the_first_guess_enters_only_where_some_signal_is_left():
    shape = (2, 1, 3, 5)
    guess = torch.full(shape, 3.0)
    for name, share in (("v", 0.0), ("x0", 0.0), ("epsilon", 0.01)):
        noise = torch.randn(shape, generator=seeded())
        with_guess, without = (initial_noise(Diffusion(name), noise, 3, g) for g in (guess, None))
        torch.testing.assert_close(with_guess - without, share * guess, atol=1e-6, rtol=1e-3)


# --- parts ------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("tall", [1, 2, 5])
def test_rows_handed_over_in_turn_give_the_whole_field_in_place(sampler, tall):
    """A pointwise denoiser, so that rows already overwritten cannot matter."""
    shape, diffusion = (2, 3, 5, 4), Diffusion()
    noise = torch.randn(9, *shape, generator=seeded())

    def denoise(x, t):
        return torch.tanh(x) + 0.001 * t.view(-1, 1, 1, 1)

    def parts(x, t):
        for top in range(0, 5, tall):
            rows = slice(top, min(top + tall, 5))
            yield rows, denoise(x[..., rows, :], t)

    def walk(denoise):
        x = initial_noise(diffusion, noise[0], 6)
        steps = trajectory(
            x,
            denoise,
            diffusion,
            steps=6,
            sampler=sampler,
            draw=lambda number, rows: noise[number][..., rows, :],
        )
        return x, list(steps)

    whole, _ = walk(lambda x, t: [(slice(0, 5), denoise(x, t))])
    x, done = walk(parts)
    assert torch.equal(x, whole)
    times = [*timesteps(1000, 6, sampler)[1:], -1]
    assert [time for time, _ in done] == [time for time in times for _ in range(-(-5 // tall))]
    assert sum(rows.stop - rows.start for _, rows in done) == 6 * 5


# --- draws ------------------------------------------------------------------------------------


@both
def test_the_generator_decides_and_the_others_draw_once(sampler):
    shape, diffusion = (2, 1, 4, 4), Diffusion()
    choices = {"steps": 5, "sampler": sampler}
    one, two, other = (
        sample(opinion, diffusion, shape, generator=seeded(seed=s), **choices) for s in (0, 0, 1)
    )
    assert torch.equal(one, two) and not torch.equal(one, other)
    generator, once = seeded(), seeded()
    sample(opinion, diffusion, shape, generator=generator, **choices)
    torch.randn(shape, generator=once)
    drawn_once = torch.equal(generator.get_state(), once.get_state())
    assert drawn_once == (sampler != "ddpm")


# --- refusals ---------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused_never_skipped():
    x, diffusion = torch.zeros(2, 1, 3, 5), Diffusion()
    for choices, words in (
        ({"sampler": "euler", "steps": 3}, "'euler'.*dpm.*ddim.*ddpm"),
        ({"sampler": "ddpm", "steps": 3}, "'ddpm' adds noise.*draw="),
        ({"steps": 1001}, "1001 sampling steps"),
    ):
        with pytest.raises(ValueError, match=words):
            next(trajectory(x, lambda x, t: [(slice(0, 3), x)], diffusion, **choices))
    known = torch.zeros(x.shape, dtype=torch.bool)
    for given, words in (
        ((known[..., :4], x), r"known has shape \(2, 1, 3, 4\)"),
        ((known, x[:1]), r"value has shape \(1, 1, 3, 5\)"),
        ((known[0, 0], x[0, 0]), r"known has shape \(3, 5\)"),
    ):
        with pytest.raises(ValueError, match=words):
            clamp_known(x, *given)
