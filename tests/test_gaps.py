"""Gaps of the ocean through the whole chain: nothing is trained on them, seen there, or scored."""

import numpy as np
import pytest
import tiny
import torch
import xarray as xr

from ocean_lib.classical.reduced_space import ReducedSpace
from ocean_lib.classical.regression import (
    channel_covariance,
    fit_local_regression,
    fit_shared_regression,
)
from ocean_lib.classical.validation import Validation
from ocean_lib.fields.canonical import to_canonical
from ocean_lib.model.training import stages, train
from ocean_lib.observations.batch import observe
from ocean_lib.scores.evaluation import score_methods
from ocean_lib.store.store import build_store

GAPS = (  # date, level, rows, columns: in training, in validation, in test
    (20, slice(1, 3), slice(8, 16), slice(12, 20)),
    ([5, 21, 30], slice(None), slice(None), slice(None)),
    (41, slice(2, 5), slice(10, 18), slice(14, 24)),
    (52, slice(0, 2), slice(8, 14), slice(10, 20)),
)


@pytest.fixture(scope="module")
def holey(small_ocean):
    ocean = small_ocean.copy(deep=True)
    for gap in GAPS:
        ocean.temperature[gap] = np.nan
    return ocean


@pytest.fixture(scope="module")
def store(holey, tmp_path_factory):
    folder = tmp_path_factory.mktemp("holey") / "store"
    return build_store(
        holey, folder, validation=8, test=10, gap=3, surfaces=holey[["surface_temperature"]]
    )


def test_a_file_with_gaps_becomes_the_same_ocean(holey, small_ocean):
    opened = to_canonical(holey.temperature.to_dataset(name="thetao"))
    np.testing.assert_array_equal(opened.ocean, small_ocean.ocean)
    np.testing.assert_array_equal(opened.temperature, holey.temperature)
    assert opened.attrs["worst_gap"].startswith("100.0% of the ocean on")


def test_the_store_knows_the_gaps_and_the_rest_as_before(store, small_store, holey):
    for part in ("train", "validation", "test"):
        fields, whole = store.fields(part), small_store.fields(part)
        missing = holey.temperature.sel(time=fields.time).isnull()
        np.testing.assert_array_equal(fields.temperature.isnull(), missing)
        np.testing.assert_allclose(fields.temperature, whole.temperature.where(~missing), atol=5e-3)


def test_patches_and_scenes_neither_see_nor_learn_gaps(store):
    sampler = tiny.batches(store, patch=(20, 28), seed=1)
    date = torch.tensor([20, 21, 19])
    batch, _ = sampler.draw_at(0, 3, date)
    present = torch.from_numpy(store.present("train"))[date][:, len(store.surfaces) :]
    assert not batch["ocean"][~present].any() and not batch["observed"][~present].any()
    assert batch["ocean"][2].sum() > batch["ocean"][0].sum() > 0 == batch["ocean"][1].sum()
    beside = batch["beside_observed"][2]  # of the months before and after the third
    assert not beside[1][~present[0]].any()
    scenes = tiny.scenes(store, numbers=(20, 20))
    empty = scenes.arrays["cut"][:, 0] == 21
    assert empty.any() and not scenes.arrays["observed"][empty].any()
    drawn = scenes.draw(0, 240)
    nothing = ~drawn["ocean"].flatten(1).any(1)
    assert nothing.any() and not nothing.all() and not drawn["observed"][nothing].any()
    assert not drawn["field"][~drawn["ocean"]].any()


def test_training_goes_on_beside_gaps(store, tmp_path):
    model = tiny.densifier(store)
    records = list(
        train(
            model,
            tiny.scenes(store, numbers=(20, 20)),
            tiny.scenes(store, "validation", numbers=(2, 2)),
            steps=stages("residual", 6, 6),
            folder=tmp_path / "checkpoints",
            metrics=tmp_path / "metrics.jsonl",
            batch=4,
            every=2,
        )
    )
    assert np.isfinite([[record["loss"], record["validation"]] for record in records]).all()
    assert all(torch.isfinite(weights).all() for weights in model.parameters())


def test_covariances_are_those_of_the_pairs_that_are_there(store):
    """By pairs of channels, as pandas does: dates and cells where both have a value."""
    values = store.standardised("train").astype(float)
    there = store.present("train") & np.moveaxis(store.ocean, -1, 0)
    expected = np.empty((len(values[0]),) * 2)
    for one, other in np.ndindex(expected.shape):
        both = there[:, one] & there[:, other]
        expected[one, other] = (values[:, one] * values[:, other])[both].mean()
    size, vectors = np.linalg.eigh(expected)  # pairs of other cells may make it indefinite
    expected = vectors * np.maximum(size, 1e-4) @ vectors.T
    np.testing.assert_allclose(channel_covariance(store), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("local", [False, True])
def test_a_regression_does_not_learn_from_gaps(store, small_store, local):
    """A month without values is as if it had not been measured, not as if it were normal."""
    fit = (lambda s: fit_local_regression(s, 6.0)) if local else fit_shared_regression
    holey, whole = (fit(each).coefficients.numpy() for each in (store, small_store))
    lost = 3 / len(store.present("train"))
    assert not store.standardised("train")[21, len(store.surfaces) :].any() and lost > 0.08
    # Zeros in place of the lost values would shrink the coefficients by their share.
    shrunk = np.sum(holey * whole) / np.sum(whole**2)
    assert abs(shrunk - 1) < 0.3 * lost


def test_states_of_the_reduced_space_keep_their_variance(store, small_store):
    """Gaps, which hold the climatology, take no variance away."""
    holey, whole = (ReducedSpace.from_store(each, 0.1, 0.1) for each in (store, small_store))
    channel = len(store.surfaces) + 1
    wet = torch.from_numpy(np.array(store.ocean[..., channel]))
    found, known = (each.states[:, channel].square().mean(0)[wet].mean() for each in (holey, whole))
    assert float(found) == pytest.approx(float(known), rel=0.05)


@pytest.mark.parametrize("fit", [fit_shared_regression, lambda s: fit_local_regression(s, 6.0)])
def test_months_without_a_surface_teach_a_regression_nothing(small_ocean, tmp_path, fit):
    surface = small_ocean.surface_temperature.copy(deep=True)
    surface[4:36:3] = np.nan
    store = build_store(
        small_ocean, tmp_path / "s", validation=8, test=10, gap=3, surfaces=surface.to_dataset()
    )
    fitted = fit(store)
    prior, left = (matrix.diagonal() for matrix in fitted.covariance)
    # Near the surface it tells most of the temperature; the lagged features are still incomplete.
    assert left[0] < 0.1 * prior[0] and left[1] < 0.2 * prior[1]


def test_validation_does_not_hide_what_is_not_known(store):
    validation = Validation(store, tiny.PATTERNS[0], seed=0)
    present = torch.from_numpy(store.present("validation"))[:, len(store.surfaces) :]
    assert validation.hidden.shape == present.shape and not present.all()
    assert validation.hidden.any() and not validation.hidden[~present].any()


def test_scores_count_the_cells_whose_truth_is_known(store, small_store):
    """The scores of a test month with a gap are those of its other cells, by hand."""
    fields = store.fields("test", dates=[2])
    whole = small_store.fields("test", dates=[2])
    seen = observe(fields, {"pattern": "profiles", "observed": 0.1}, seed=0)
    missing = fields.temperature.isnull() & fields.ocean
    assert missing.any() and not seen.observed.where(missing, False).any()
    guess = xr.Dataset({"mean": whole.temperature + 0.5})
    climatology = xr.Dataset({"mean": whole.temperature * 0 + 10.0})
    table = score_methods(
        fields, seen, {"mine": guess, "climatology": climatology}, case="gaps", ours="mine"
    )
    row = table[(table.metric == "rmse") & (table.method == "mine") & (table.layer == "all")]
    hidden = fields.ocean & ~seen.observed & ~missing
    assert row.n.item() == int(hidden.sum())
    assert row.value.item() == pytest.approx(0.5, abs=5e-3)
