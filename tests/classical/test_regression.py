"""Regression on the surface against least squares by numpy, and what it may read."""

import numpy as np
import pytest
import torch
import xarray as xr

from ocean_lib.classical.regression import (
    CovarianceRegression,
    channel_covariance,
    fit_local_regression,
    fit_shared_regression,
    gaussian_smooth,
    nearest_cells,
    subsets,
)
from ocean_lib.store.store import build_store


def tied(months=120, rows=12, columns=16, seed=0):
    """Two levels below a surface: one follows it by a factor that grows eastward, one does not."""
    rng = np.random.default_rng(seed)
    surface = rng.standard_normal((months, rows, columns))
    factor = np.linspace(-1, 1, columns)
    levels = np.stack(
        [factor * surface + 0.05 * rng.standard_normal(surface.shape),
         rng.standard_normal(surface.shape)], 1
    )  # fmt: skip
    grid = ("depth", "latitude", "longitude")
    fields = xr.Dataset(
        {
            "temperature": (("time", *grid), levels.astype("f4")),
            "ocean": (grid, np.ones(levels.shape[1:], bool)),
            "surface_temperature": (("time", *grid[1:]), surface.astype("f4")),
        },
        {
            "time": np.arange("1993-01", "2043-01", dtype="M8[M]")[:months].astype("M8[ns]"),
            "depth": [50.0, 200.0],
            "latitude": 30 + np.arange(rows) / 12,
            "longitude": np.arange(columns) / 12,
        },
    )
    return fields


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    fields = tied()
    folder = tmp_path_factory.mktemp("tied") / "s"
    return build_store(
        fields, folder, validation=12, test=12, gap=3, surfaces=fields[["surface_temperature"]]
    )


def surface_and_truth(store):
    fields = store.fields("test")
    anomaly = torch.from_numpy(store.standardised("test"))
    return fields, anomaly[:, :1], anomaly[:, 1:]


def test_coefficients_follow_the_place(store):
    """Local coefficients explain what a single one for all places cannot."""
    fields, surface, truth = surface_and_truth(store)
    local = fit_local_regression(store, 1.5)(surface, fields, 1)
    single = fit_local_regression(store, 1000.0)(surface, fields, 1)
    explained = [
        float(1 - ((each - truth)[:, 0] ** 2).mean() / (truth[:, 0] ** 2).mean())
        for each in (local, single)
    ]
    assert explained[0] > 0.85 and explained[1] < 0.1
    assert float((local[:, 1] ** 2).mean()) < 0.1  # nothing to say of the other level


def test_what_is_left_is_the_covariance_of_the_residuals(store):
    regression = fit_local_regression(store, 1.5)
    times, _ = store.block("train")
    anomaly = torch.from_numpy(store.standardised("train"))
    train = store.fields("train")
    left = (anomaly[:, 1:] - regression(anomaly[:, :1], train, 1)).numpy()
    flat = np.moveaxis(left, 1, 0).reshape(2, -1)
    np.testing.assert_allclose(regression.covariance[1], flat @ flat.T / flat.shape[1], atol=2e-4)
    torch.testing.assert_close(regression.covariance[0], channel_covariance(store)[1:, 1:])


def test_from_covariance_is_least_squares_over_all_cells(store):
    matrix = channel_covariance(store)
    regression = CovarianceRegression(matrix, 1)
    anomaly = store.standardised("train")
    above = anomaly[:, 0].ravel().astype(float)
    below = np.moveaxis(anomaly[:, 1:], 1, 0).reshape(2, -1).astype(float)
    expected = np.linalg.lstsq(above[:, None], below.T, rcond=None)[0]
    np.testing.assert_allclose(regression.gain[1], expected, atol=2e-3)
    left = below - expected.T @ above[None]
    np.testing.assert_allclose(regression.covariance[1], left @ left.T / left.shape[1], atol=2e-3)
    fields, surface, _ = surface_and_truth(store)
    np.testing.assert_allclose(
        regression(surface, fields, 1), surface * regression.gain[1, 0][:, None, None], rtol=1e-6
    )


def test_every_subset_of_the_surface_fields_has_its_own_least_squares(tmp_path):
    """Two surface fields that share a signal: without the first the second must stand in for it."""
    fields = tied()
    rng = np.random.default_rng(1)
    above = fields.surface_temperature
    second = 0.8 * above + 0.6 * rng.standard_normal(above.shape).astype("f4")
    factor = 1.0 + 0 * above[0]  # the same everywhere, so that one set serves all cells
    fields["temperature"][:, 0] = factor * above + 0.5 * second
    surfaces = xr.Dataset({"sea_level": second, "surface_temperature": above})
    store = build_store(fields, tmp_path / "s", validation=12, test=12, gap=3, surfaces=surfaces)
    assert [*store.surfaces] == ["surface_temperature", "sea_level"]
    anomaly = torch.from_numpy(store.standardised("train"))
    train, surface, truth = store.fields("train"), anomaly[:, :2], anomaly[:, 2:]
    flat = anomaly.movedim(1, 0).reshape(4, -1).double().numpy()
    known = {number: seen for number, seen in subsets(2)}
    assert known == {1: [0], 2: [1], 3: [0, 1]}
    matrix = channel_covariance(store)
    for regression in (
        CovarianceRegression(matrix, 2),
        fit_shared_regression(store),
        fit_local_regression(store, 1000.0),
    ):
        for number, seen in known.items():
            gain, *_ = np.linalg.lstsq(flat[seen].T, flat[2], rcond=None)
            expected = np.tensordot(gain, surface.numpy()[:, seen], (0, 1))
            masked = surface.clone()
            masked[:, [k for k in range(2) if k not in seen]] = 100.0  # is never used
            guess = regression(masked, train, number)[:, 0].numpy()
            assert np.sqrt(np.mean((guess - expected) ** 2)) < 0.03
            left = float(np.mean((guess - truth[:, 0].numpy()) ** 2))
            assert float(regression.covariance[number][0, 0]) == pytest.approx(left, abs=0.01)
    torch.testing.assert_close(regression.covariance[0], matrix[2:, 2:])


def test_the_month_before_enters(tmp_path):
    """A level that repeats last month's surface is found out from the neighbouring date alone."""
    fields = tied()
    fields["temperature"][1:, 0] = fields.surface_temperature.values[:-1]
    store = build_store(
        fields,
        tmp_path / "s",
        validation=12,
        test=12,
        gap=3,
        surfaces=fields[["surface_temperature"]],
    )
    test, surface, truth = surface_and_truth(store)
    guess = fit_local_regression(store, 6.0)(surface, test, 1)
    rest = ((guess - truth)[1:, 0] ** 2).mean() / (truth[1:, 0] ** 2).mean()
    assert float(rest) < 0.1
    assert float((guess[0, 0] ** 2).mean()) < 0.1 * float((truth[0, 0] ** 2).mean())


def test_a_part_of_the_region_has_its_own_coefficients(store):
    fields, surface, _ = surface_and_truth(store)
    regression = fit_local_regression(store, 1000.0)
    regression.coefficients = torch.arange(16.0).expand(*regression.coefficients.shape).clone()
    part = {"latitude": slice(3, 8), "longitude": slice(5, 11)}
    whole = regression(torch.ones_like(surface), fields, 1)
    some = regression(torch.ones_like(surface)[..., 3:8, 5:11], fields.isel(part), 1)
    inner = (slice(None), slice(None), slice(None), slice(0, 1))
    np.testing.assert_allclose(
        some[inner] / some[..., 1:2],
        (whole[..., 3:8, 5:11])[inner] / whole[..., 3:8, 6:7],
        rtol=1e-5,
    )
    rows, columns = nearest_cells((store.latitude, store.longitude), fields.isel(part))
    assert rows.tolist() == [3, 4, 5, 6, 7] and columns.tolist() == [5, 6, 7, 8, 9, 10]


def test_a_store_split_in_space_shares_one_set(tmp_path):
    fields = tied(months=30, rows=10, columns=60)
    choices = {"validation": 1, "test": 1, "gap": 1, "gap_cells": 4}
    surfaces = fields[["surface_temperature"]]
    store = build_store(fields, tmp_path / "s", split="space", surfaces=surfaces, **choices)
    regression = fit_local_regression(store, 4.0)
    assert regression.coefficients.shape[-2:] == (1, 1)
    test, surface, truth = surface_and_truth(store)
    assert regression(surface, test, 1).shape == truth.shape


def test_the_test_months_are_never_read(store, tmp_path):
    fields = tied()
    fields["temperature"][108:] = 100.0
    other = build_store(
        fields,
        tmp_path / "s",
        validation=12,
        test=12,
        gap=3,
        surfaces=fields[["surface_temperature"]],
    )
    first, second = (fit_local_regression(each, 3.0).coefficients for each in (store, other))
    assert torch.equal(first, second)


def test_gaussian_smoothing_spreads_a_point_as_a_gaussian(device):
    point = torch.zeros(1, 9, 15, device=device)
    point[0, 3, 10] = 1.0
    y, x = np.mgrid[:9, :15]
    expected = np.exp(-((y - 3) ** 2 + (x - 10) ** 2) / (2 * 2.5**2))
    np.testing.assert_allclose(gaussian_smooth(point, 2.5)[0].cpu(), expected, atol=1e-6)
