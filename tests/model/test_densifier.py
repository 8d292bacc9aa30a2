"""The densifier: its modes, its exactness at observations, and its file."""

import numpy as np
import pytest
import torch
import xarray as xr
from tiny import astir, batches, densifier

from ocean_lib.model.densifier import MODES, Densifier
from ocean_lib.observations.batch import exactly_observed, with_background

every_mode = pytest.mark.parametrize("mode", MODES)


def ready(store, mode="residual", device="cpu", **diffusion):
    return astir(densifier(store, mode, **diffusion)).to(device).eval()


def with_seen(batch, observed, model, error=0.0):
    """The batch with other cells observed, and the background that follows from them."""
    observed = observed & batch["ocean"]
    changed = batch | {
        "observed": observed,
        "value": batch["field"] * observed,
        "error": error * observed.float(),
        "surface": torch.zeros_like(batch["surface"]),
        "surface_observed": torch.zeros_like(batch["surface_observed"]),
    }
    changed = {name: part for name, part in changed.items() if not name.startswith("beside")}
    return with_background(changed, model.background)


@torch.no_grad()
def outcome(model, batch, time=400):
    """All that a model says about a batch at one noise level."""
    guess = None if model.regressor is None else model.regress(batch)
    parts = list(guess or ())
    if model.denoiser is not None:
        generator = torch.Generator().manual_seed(3)
        x = torch.randn(batch["value"].shape, generator=generator).to(batch["value"].device)
        t = torch.full((len(x),), time, device=x.device)
        parts += [model.predict(batch, x, t, guess), model.denoise(batch, x, t, guess)]
    return parts


# --- modes ------------------------------------------------------------------------------------


@every_mode
def test_a_mode_has_the_networks_it_needs(small_store, mode, device):
    model = ready(small_store, mode, device)
    assert (model.regressor is not None) == (mode in ("regression", "residual"))
    assert (model.denoiser is not None) == (mode in ("diffusion", "residual"))
    batch = batches(small_store, device=device).draw(0, 3)
    for part in outcome(model, batch):
        assert part.shape == batch["value"].shape and torch.isfinite(part).all()


@torch.no_grad()
@pytest.mark.parametrize("mode", ["residual", "diffusion"])
def test_members_of_one_date_share_its_batch(small_store, mode, device):
    model = ready(small_store, mode, device)
    one = batches(small_store, device=device).draw(0, 1)
    every = {name: values.expand(3, *values.shape[1:]) for name, values in one.items()}
    x = torch.randn(3, *one["value"].shape[1:], generator=torch.Generator().manual_seed(3))
    x, t = x.to(device), torch.full((3,), 400, device=device)
    guesses = [model.regress(each) if mode == "residual" else None for each in (one, every)]
    shared, laid_out = (
        model.denoise(*each) for each in ((one, x, t, guesses[0]), (every, x, t, guesses[1]))
    )
    assert shared.std() > 0
    torch.testing.assert_close(shared, laid_out, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("mode", "further"), [("diffusion", 5), ("residual", 15)])
def test_networks_take_what_is_laid_out_for_them(small_store, mode, further):
    """Six channels a level and six a surface field; then x, and mean and deviation."""
    model = densifier(small_store, mode)
    assert model.denoiser.enter.weight.shape[1] == 6 * 5 + 6 * 1 + further
    if mode == "residual":
        assert model.regressor.enter.weight.shape[1] == 6 * 5 + 6 * 1
    with pytest.raises(ValueError, match="mode 'diffusion' has no stage 'regression'"):
        densifier(small_store, "diffusion").stage_network("regression")


def test_an_unknown_mode_is_refused_with_the_choices(small_store):
    with pytest.raises(ValueError, match="'best'.*regression.*diffusion.*residual"):
        densifier(small_store, "best")


def test_an_untrained_regression_says_what_the_background_says(small_store, device):
    model = densifier(small_store, "regression").to(device)
    batch = batches(small_store, device=device).draw(0, 3)
    mean, deviation = model.regress(batch)
    hidden = batch["ocean"] & ~batch["observed"]
    torch.testing.assert_close(mean[hidden], batch["background"][hidden])
    torch.testing.assert_close(deviation[hidden], batch["background_error"][hidden])


# --- observations, land -----------------------------------------------------------------------


def test_exact_observations_are_met_exactly_and_land_is_zero(small_store, device):
    model = ready(small_store, "residual", device)
    batch = batches(small_store, device=device).draw(0, 3)
    mean, deviation = model.regress(batch)
    sure, ocean = exactly_observed(batch), batch["ocean"]
    assert sure.any() and torch.equal(sure, batch["observed"])
    assert torch.equal(mean[sure], batch["field"][sure]) and (deviation[sure] == 0).all()
    assert (deviation[ocean & ~sure] > 0).all()
    assert not ocean.all() and (mean[~ocean] == 0).all() and (deviation[~ocean] == 0).all()
    assert not torch.isclose(mean, batch["field"])[ocean & ~sure].all()
    denoised = outcome(model, batch)[-1]
    assert (denoised[~ocean] == 0).all() and denoised.abs().max() <= 8


def test_uncertain_observations_keep_a_deviation(small_store):
    model = ready(small_store, "regression")
    batch = batches(small_store).draw(0, 2)
    batch = with_seen(batch, batch["observed"], model, error=0.3)
    assert not exactly_observed(batch).any()
    mean, deviation = model.regress(batch)
    seen = batch["observed"]
    assert (deviation[seen] > 0).all()
    assert not torch.isclose(mean[seen], batch["value"][seen]).all()
    # One sure cell among them is met alone.
    one = seen & (torch.cumsum(seen.flatten(), 0).view(seen.shape) == 1)
    batch["error"] = torch.where(one, 0.0, batch["error"])
    mean, deviation = model.regress(batch)
    assert torch.equal(deviation == 0, one | ~batch["ocean"])
    assert torch.equal(mean[one], batch["value"][one])


@every_mode
def test_nothing_observed_and_everything_observed_are_finite(small_store, mode, device):
    model = ready(small_store, mode, device)
    batch = batches(small_store, device=device).draw(0, 2)
    for seen in (torch.zeros_like, torch.ones_like):
        given = with_seen(batch, seen(batch["observed"]), model)
        parts = outcome(model, given) + outcome(model, given, time=999)
        assert all(torch.isfinite(part).all() for part in parts)
    if model.regressor is not None:
        assert torch.equal(parts[0], batch["field"] * batch["ocean"])


@every_mode
def test_all_land_is_finite_and_zero(small_store, mode, device):
    model = ready(small_store, mode, device)
    batch = batches(small_store, device=device).draw(0, 2)
    batch["ocean"] = torch.zeros_like(batch["ocean"])
    batch = with_seen(batch, batch["ocean"], model)
    *_, last = outcome(model, batch)
    assert (last == 0).all() and all(torch.isfinite(p).all() for p in outcome(model, batch))
    if model.regressor is not None:
        assert all((part == 0).all() for part in model.regress(batch))


def test_what_the_field_holds_at_hidden_cells_is_not_looked_at(small_store):
    model = ready(small_store)
    batch = batches(small_store).draw(0, 2)
    hidden = batch["ocean"] & ~batch["observed"]
    other = batch | {"field": torch.where(hidden, torch.nan, batch["field"])}
    for one, two in zip(outcome(model, batch), outcome(model, other)):
        assert torch.equal(one, two)


@pytest.mark.parametrize(
    "name",
    ["value", "observed", "error", "ocean", "background", "background_error", "surface",
     "surface_observed", "beside_surface", "beside_surface_observed", "position", "season"],
)  # fmt: skip
def test_every_part_of_the_batch_is_looked_at(small_store, name):
    model = ready(small_store, "diffusion")
    batch = batches(small_store).draw(0, 2)
    x, t = torch.randn(batch["value"].shape), torch.tensor([300, 600])
    given = batch[name]
    other = batch | {name: ~given if given.dtype == torch.bool else given + 0.5}
    with torch.no_grad():
        before, after = (model.predict(b, x, t, None) for b in (batch, other))
    assert not torch.allclose(before, after)


# --- the file ---------------------------------------------------------------------------------


@every_mode
def test_a_saved_model_says_the_same_again(small_store, tmp_path, mode, device):
    model = ready(small_store, mode, device, parametrisation="epsilon", steps=500, gamma=2.0)
    path = tmp_path / "checkpoint.safetensors"
    model.save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.safetensors"]
    again = Densifier.load(path, device)
    assert again.mode == mode and not again.training
    assert again.diffusion.settings() == model.diffusion.settings()
    assert again.background.scales == model.background.scales
    batch = batches(small_store, device=device).draw(0, 2)
    for one, two in zip(outcome(model, batch), outcome(again, batch), strict=True):
        assert torch.equal(one, two)
    other = with_background(batch, again.background)
    assert torch.equal(other["background"], with_background(batch, model.background)["background"])


def test_a_checkpoint_holds_levels_statistics_credit_and_licence(small_store, tmp_path):
    model = densifier(small_store)
    model.save(tmp_path / "checkpoint.safetensors")
    again = Densifier.load(tmp_path / "checkpoint.safetensors").statistics
    xr.testing.assert_identical(again, small_store.statistics())
    assert again.attrs["credit"] == "a random ocean" and again.attrs["licence"] == "CC0"
    assert again.wet.dtype == bool and again.deviation.dtype == np.float32
