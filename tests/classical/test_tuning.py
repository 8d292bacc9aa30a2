"""Tuning finds what a field was made with, on validation months alone."""

import numpy as np
import pytest
import torch
import xarray as xr
from tiny import gaussian_ocean

from ocean_lib.classical import optimal_interpolation, tuning, validation
from ocean_lib.observations.batch import observe
from ocean_lib.store.store import build_store

CASE = {"name": "few", "pattern": "pixels", "observed": 0.12, "surface": 0.0}


@pytest.fixture
def brief(monkeypatch):
    """A short search, where what it finds does not matter."""
    monkeypatch.setattr(validation, "SEARCH_BLOCKS", 8)


def optimal(store, **choices):
    return tuning.tune_methods(store, CASE, **choices)["optimal interpolation"]


def test_fitted_scales_are_those_of_the_field(tmp_path):
    """Within 20 %, along each axis, and the stated error is the error."""
    lengths = 2.5, 5.0, 3.0
    ocean = gaussian_ocean(lengths, months=260)
    store = build_store(ocean, tmp_path / "s", validation=100, test=12, gap=3)
    shown = []
    methods = tuning.tune_methods(store, CASE, show=shown.append)
    method = methods["optimal interpolation"]
    cell = np.pi * 6371 / 180 / 12  # km, on the equator
    expected = lengths * np.array([1, cell, cell])
    np.testing.assert_allclose(method.scales["lengths"], expected, rtol=0.2)
    assert method.scales["kernel"] == "matern32" and method.scales["noise"] < 0.01
    fields = store.fields("test")
    seen = observe(fields, CASE, 5)
    hidden = seen.ocean & ~seen.observed
    for each in (method, methods["linear"]):
        result = each(seen, store.statistics())
        square = float(((result["mean"] - fields.temperature) ** 2).where(hidden).mean())
        assert float((result["error"] ** 2).where(hidden).mean()) == pytest.approx(square, rel=0.15)
    (line,) = (line for line in shown if line.startswith("optimal interpolation"))
    assert "matern32" in line and "km zonal" in line


def test_methods_and_their_order(brief, small_store):
    names = [*tuning.tune_methods(small_store, CASE | {"surface": 1.0}, evaluations=12)]
    assert names == [*tuning.RIVALS]
    assert {"climatology", "linear", "optimal interpolation", "reduced space"} <= {*names}
    assert "regression + optimal interpolation" not in tuning.tune_methods(
        small_store, CASE, evaluations=12
    )


def test_a_store_split_in_space_has_no_reduced_space(brief, small_ocean, tmp_path):
    wide = xr.concat([small_ocean, small_ocean], "longitude").isel(time=slice(0, 20))
    wide = wide.assign_coords(longitude=-65 + np.arange(56) / 12)
    store = build_store(
        wide, tmp_path / "s", split="space", validation=1, test=1, gap=1, gap_cells=4,
        surfaces=wide[["surface_temperature"]],
    )  # fmt: skip
    methods = tuning.tune_methods(store, CASE | {"surface": 1.0}, evaluations=12)
    assert "reduced space" not in methods
    seen = observe(store.fields("test"), CASE | {"surface": 1.0}, 1)
    for name, method in methods.items():
        result = method(seen, store.statistics())
        assert bool((np.isfinite(result["mean"]) == seen.ocean).all()), name


def test_tuning_repeats_and_reads_neither_test_nor_hidden_values(
    brief, small_ocean, small_store, tmp_path
):
    changed = small_ocean.copy(deep=True)
    changed.temperature[50:] = 5.0
    other = build_store(
        changed,
        tmp_path / "s",
        validation=8,
        test=10,
        gap=3,
        surfaces=changed[["surface_temperature"]],
    )
    first, second = (optimal(each, evaluations=12) for each in (small_store, other))
    assert first.scales == second.scales and torch.equal(first.factor, second.factor)


def test_places_searched_and_kept_lie_in_different_blocks(small_store):
    check = validation.Validation(small_store, CASE, 0)
    found = [
        set(map(tuple, each.tolist())) for each in (check.search_targets, check.holdout_targets)
    ]
    assert all(found)
    t, y, x = check.holdout_targets.T
    assert bool(check.hidden[t, :, y, x].any(1).all())
    blocks = [{(date, row // 8, column // 8) for date, row, column in each} for each in found]
    assert not blocks[0] & blocks[1]


def test_the_regression_is_worth_its_while_where_places_differ(brief, tmp_path):
    """A level tied to the surface by a factor of the place: the covariance alone cannot tell."""
    ocean = gaussian_ocean((0.1, 2.0, 2.0))
    factor = xr.DataArray(np.sign(np.linspace(-1, 1, 28)), dims="longitude")
    surface = (ocean.temperature[:, 0] * factor).drop_vars("depth").astype("f4")
    surfaces = surface.to_dataset(name="surface_temperature")
    store = build_store(ocean, tmp_path / "s", validation=12, test=12, gap=3, surfaces=surfaces)
    case = CASE | {"observed": 0.01, "surface": 1.0}
    fields = store.fields("test")
    seen = observe(fields, case, 1)
    errors = {}
    for name, method in tuning.tune_methods(store, case, evaluations=30).items():
        difference = method(seen, store.statistics())["mean"] - fields.temperature
        errors[name] = float(np.sqrt((difference**2).where(~seen.observed).mean()))
    assert errors["regression + optimal interpolation"] < 0.6 * errors["optimal interpolation"]
    assert errors["optimal interpolation"] < 1.02 * errors["climatology"]


def test_baselines_know_a_cloudy_surface(brief, small_store):
    """Under cloud the surface is interpolated: between blind and sighted."""
    methods = tuning.tune_methods(small_store, CASE | {"surface": 1.0}, evaluations=12)
    fields = small_store.fields("test")
    errors = []
    for surface, clouds in ((0.0, 0.0), (1.0, 0.5), (1.0, 0.0)):
        case = CASE | {"observed": 0.0, "surface": surface, "clouds": clouds}
        seen = observe(fields, case, 1)
        result = methods["optimal interpolation"](seen, small_store.statistics())
        difference = (result["mean"] - fields.temperature).isel(depth=0)
        errors.append(float(np.sqrt((difference**2).mean())))
    assert errors[2] < errors[1] < errors[0]
    assert isinstance(methods["optimal interpolation"], optimal_interpolation.OptimalInterpolation)
