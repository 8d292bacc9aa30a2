"""The networks' background: covariance against numpy, tuning on fields of known covariance."""

import numpy as np
import pytest
import torch
import xarray as xr

from ocean_lib import background
from ocean_lib.regression import covariance
from ocean_lib.store import build


def random_ocean(months, height, width, depth, length, mixing, seed=0, land=False):
    """Gaussian fields of Matérn correlation of smoothness 3/2, `mixing` (D, D) between levels."""
    rng = np.random.default_rng(seed)
    roots = []
    for size in (height, width):
        distance = np.subtract.outer(np.arange(size), np.arange(size))
        scaled = 3**0.5 * np.abs(distance) / length
        matern = (1 + scaled) * np.exp(-scaled) + 1e-6 * np.eye(size)
        roots.append(np.linalg.cholesky(matern))
    white = rng.standard_normal((months, len(depth), height, width))
    values = np.einsum("de,teyx->tdyx", mixing, roots[0] @ white @ roots[1].T)
    ocean = np.ones((len(depth), height, width), bool)
    if land:
        ocean[1:, : height // 2] = False
    grid = ("depth", "latitude", "longitude")
    return xr.Dataset(
        {
            "temperature": (("time", *grid), np.where(ocean, values, np.nan).astype(np.float32)),
            "ocean": (grid, ocean),
        },
        {
            "time": np.arange("1993-01", "2043-01", dtype="M8[M]")[:months].astype("M8[ns]"),
            "depth": np.asarray(depth, float),
            "latitude": np.arange(height) / 12,
            "longitude": np.arange(width) / 12,
        },
    )


def test_covariance_equals_numpy_over_an_all_ocean_store(tmp_path):
    mixing = np.array([[1.0, 0.0, 0.0], [0.7, 0.7, 0.0], [0.0, -0.5, 0.9]])
    ocean = random_ocean(200, 15, 17, [5, 50, 100], 2.0, mixing)
    store = build(ocean, tmp_path / "s", surface=ocean.temperature[:, 0] + 1.0)
    matrix = covariance(store).numpy()
    values = np.moveaxis(store.standardised("train"), 1, 0).reshape(4, -1).astype(float)
    np.testing.assert_allclose(matrix, values @ values.T / values.shape[1], atol=1e-4)
    np.testing.assert_allclose(matrix, np.cov(values, bias=True), atol=1e-3)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
    # The surface equals the first level here: singular but for the floor of the eigenvalues.
    assert np.linalg.eigvalsh(matrix.astype(float)).min() > 0.5e-4
    true = mixing @ mixing.T
    root = np.sqrt(true.diagonal())
    np.testing.assert_allclose(matrix[1:, 1:], true / np.outer(root, root), atol=0.08)


def test_land_below_a_shelf_does_not_weaken_the_covariance(tmp_path):
    """Where a level exists, its correlation counts; where it does not, nothing does."""
    mixing = np.array([[1.0, 0.0], [0.8, 0.6]])
    ocean = random_ocean(200, 20, 20, [5, 500], 2.0, mixing, land=True)
    matrix = covariance(build(ocean, tmp_path / "s")).numpy()
    assert matrix[1, 1] == pytest.approx(1, abs=0.1)
    assert matrix[0, 1] == pytest.approx(0.8, abs=0.1)


def test_the_covariance_is_of_the_training_block_alone(small_ocean, small_store, tmp_path):
    changed = small_ocean.copy(deep=True)
    changed.temperature[36:] *= -2
    other = build(changed, tmp_path / "s", validation=8, test=10, gap=3, surface=changed["surface"])
    assert torch.equal(covariance(other), covariance(small_store))


@pytest.mark.parametrize("length", [2.5, 6.0])
def test_tuning_finds_the_length_of_a_known_covariance(tmp_path, length):
    ocean = random_ocean(90, 30, 30, [10], length, np.eye(1), seed=3)
    store = build(ocean, tmp_path / "s", validation=24, test=12)
    shown = []
    found = background.tune(
        store,
        [{"pattern": "pixels", "observed": 0.06}],
        iterations=40,
        patch=64,
        samples=6,
        show=shown.append,
    )
    assert found.kernel == "matern"
    assert 0.65 * length < found.length < 1.35 * length
    assert found.noise <= 0.03 and found.iterations == 40
    assert len(shown) == 1 and f"length {found.length:.1f} cells" in shown[0]
    torch.testing.assert_close(found.covariance, covariance(store))


def test_tuning_repeats_and_never_reads_the_test_months(small_ocean, small_store, tmp_path):
    changed = small_ocean.copy(deep=True)
    changed.temperature[50:] = 5.0
    other = build(changed, tmp_path / "s", validation=8, test=10, gap=3, surface=changed["surface"])
    choices = {"iterations": 4, "patch": 16, "samples": 2}
    patterns = [{"pattern": "blocks", "observed": 0.5, "surface": 0.5}]
    first, second = (background.tune(s, patterns, **choices) for s in (small_store, other))
    assert first.settings() == second.settings()
