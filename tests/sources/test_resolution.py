"""A degraded surface: waves of known length, noise of stated size and length, coasts."""

import numpy as np
import pytest
import xarray as xr

from ocean_lib.sources.catalogue import SOURCES
from ocean_lib.sources.demo_ocean import simulate
from ocean_lib.sources.resolution import degraded

PRODUCTS = [name for name, source in SOURCES.items() if source.sees]
KM = 6371.0 * np.pi / 180


def plain(values=0.0, north=30.0, shape=(160, 200), months=1, west=-60.0):
    """A surface of a constant on a twelfth of a degree."""
    grid = {
        "time": np.arange("2000-01", 12 * 100, dtype="M8[M]")[:months].astype("M8[ns]"),
        "latitude": north + np.arange(shape[0]) / 12,
        "longitude": west + np.arange(shape[1]) / 12,
    }
    return xr.DataArray(np.full((months, *shape), float(values)), grid, list(grid))


def alone(surface, product, seed=0):
    """What the product shows of a surface, without its noise, which is the same for all."""
    return degraded(surface, product, seed) - degraded(0 * surface, product, seed)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("axis", ["latitude", "longitude"])
@pytest.mark.parametrize("north", [0.0, 55.0])
def test_a_wave_of_the_stated_length_has_half_its_amplitude(product, axis, north):
    surface = plain(north=north)
    length = SOURCES[product].resolution
    narrow = np.cos(np.deg2rad(surface.latitude)) if axis == "longitude" else 1.0
    away = (surface[axis] - float(surface[axis][0])) * KM * narrow
    for factor, expected in ((1, 0.5), (2, 0.5**0.25), (0.5, 0.5**4)):
        wave = (surface + np.sin(2 * np.pi * away / (factor * length))).transpose(*surface.dims)
        seen = alone(wave, product)[0, 70:90, 80:120]
        # As a factor on the wave itself, so that its crests need not lie on cells.
        ratio = float((seen * wave[0]).sum() / (wave[0, 70:90, 80:120] ** 2).sum())
        assert ratio == pytest.approx(expected, abs=0.02), factor


@pytest.mark.parametrize("product", PRODUCTS)
def test_noise_has_the_stated_size_and_length_everywhere(product):
    source = SOURCES[product]
    noise = degraded(plain(north=40.0, shape=(120, 140), months=60), product, seed=5).values
    assert noise.std() == pytest.approx(source.error, rel=0.05)
    # At the edges of the domain as inside.
    for edge in (noise[:, :, 0], noise[:, 0], noise[:, -1]):
        assert edge.std() == pytest.approx(source.error, rel=0.15)
    narrow = np.cos(np.deg2rad(45.0))
    for axis, km in ((1, KM / 12), (2, KM / 12 * narrow)):
        cells = source.correlation / km
        whole = int(cells)
        correlation = np.exp(-((whole / cells) ** 2))  # 1/e at the stated length itself
        first, second = (
            np.moveaxis(noise, axis, 0)[part] for part in (np.s_[:-whole], np.s_[whole:])
        )
        found = (first * second).mean() / source.error**2
        assert found == pytest.approx(correlation, abs=0.06)


def test_noise_is_of_the_seed_the_product_and_the_date():
    flat = plain(months=3)
    made = {
        (product, seed): degraded(flat, product, seed).values / SOURCES[product].error
        for product in PRODUCTS
        for seed in (1, 2)
    }
    fields = np.array([field.ravel() for three in made.values() for field in three])
    alike = np.abs(np.corrcoef(fields)) - np.eye(len(fields))
    assert alike.max() < 0.45  # of a few dozen independent patches
    again = degraded(flat, "ostia", 1)
    np.testing.assert_array_equal(again.compute(), again.compute())
    np.testing.assert_array_equal(degraded(flat[:2], "ostia", 1), again[:2])


def test_land_neither_smears_nor_gets_values():
    top = simulate(seed=1, months=2, shape=(40, 44)).temperature.isel(depth=0, drop=True)
    seen = degraded(top, "duacs")
    assert seen.chunks is not None and (seen.notnull() == top.notnull()).all()
    constant = xr.full_like(top, 7.0).where(top.notnull())
    error = alone(constant, "duacs") - constant
    assert float(abs(error).max()) < 1e-5


def test_a_gaussian_mean_over_the_sea_by_hand():
    """Against the weighted mean over all pairs of cells."""
    rng = np.random.default_rng(0)
    surface = plain(shape=(9, 11), north=50.0)
    surface[0] = rng.normal(size=(9, 11))
    surface[0, 3:5, 4:7] = np.nan
    seen = alone(surface, "ostia").values[0]
    deviation = SOURCES["ostia"].resolution * np.sqrt(np.log(2) / 2) / np.pi
    y, x = np.meshgrid(surface.latitude * KM, surface.longitude * KM, indexing="ij")
    for row, column in ((0, 0), (4, 8), (8, 5)):
        along = (x - x[row, column])[None] * np.cos(np.deg2rad(surface.latitude.values[row]))
        weight = np.exp(-0.5 * (along[0] ** 2 + (y - y[row, column]) ** 2) / deviation**2)
        weight = np.where(np.isnan(surface[0]), 0, weight)
        # Rows are smoothed each over its own number of columns, which is almost the same.
        mean = (np.nan_to_num(surface.values[0]) * weight).sum() / weight.sum()
        assert seen[row, column] == pytest.approx(mean, abs=0.03)


def test_one_row_a_ring_and_a_pole():
    section = degraded(plain(3.0, shape=(1, 60)), "ostia")
    assert section.shape == (1, 1, 60) and section.notnull().all()
    grid = {"latitude": np.arange(-89.0, 90, 2), "longitude": np.arange(-179.0, 180, 2)}
    globe = xr.DataArray(np.zeros((1, 90, 180)), {"time": plain().time, **grid}, ["time", *grid])
    globe[0, :, 0] = 1.0
    seen = alone(globe, "duacs").values[0]
    assert np.isfinite(seen).all()
    np.testing.assert_allclose(seen[:, 1], seen[:, -1], atol=1e-6)  # across the date line
    assert seen[60, 1] > 0
