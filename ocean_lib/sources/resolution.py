"""A model's surface as a satellite product would show it.

A network that will use a product is trained on the model's surface, degraded to look like it:
smoothed to what the product resolves, with noise of its size and correlation length. The smoothing
is a Gaussian mean over the sea around each cell. A Gaussian of standard deviation s leaves
exp(-2 (pi s / L)²) of a wave of length L; s follows from the wavelength of which one half is left.
Lengths are in km: along a row the same length is more cells where meridians converge.
"""

import zlib
from functools import partial

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter1d

from ocean_lib.core.geometry import EARTH_RADIUS, is_ring
from ocean_lib.sources.catalogue import SOURCES

__all__ = ["degraded"]


FLAT = ("time", "latitude", "longitude")
HALVING = np.sqrt(np.log(2) / 2) / np.pi  # s / L of a Gaussian that halves waves of length L
KM = EARTH_RADIUS * np.pi / 180  # of a degree of latitude
POLAR = 85.0  # degrees; nearer to the pole a row is smoothed over as many cells as here
Widths = tuple[float, np.ndarray]  # of a Gaussian: in rows, and in columns of each row (H,)
TRUNCATE = 4.0  # standard deviations at which a Gaussian is cut


def degraded(surface: xr.DataArray, product: str, seed: int = 0) -> xr.DataArray:
    """The surface of a model as a product would show it.

    Args:
        surface: (time, latitude, longitude), °C, m or practical salinity; NaN on land.
        product: a key of `catalogue.SOURCES`.
        seed: seeds the noise, together with the product and the index of the date.

    Returns:
        (time, latitude, longitude), lazy, in the same unit; missing where the surface is.
    """
    source = SOURCES[product]
    latitude, longitude = (surface[dim].values.astype(float) for dim in FLAT[1:])
    blocks = surface.transpose(*FLAT).chunk(time=1, latitude=-1, longitude=-1).data
    degrade = partial(
        _degrade_date,
        widths=_cells(HALVING * source.resolution, latitude, longitude),
        # The correlation of smoothed white noise is exp(-(distance / 2s)²).
        noise_widths=_cells(0.5 * source.correlation, latitude, longitude),
        ring=is_ring(longitude),
        error=source.error,
        key=(seed, zlib.crc32(product.encode())),
    )
    data = blocks.map_blocks(degrade, dtype=np.float32)
    return surface.transpose(*FLAT).copy(data=data)


def _cells(length: float, latitude: np.ndarray, longitude: np.ndarray) -> Widths:
    """A length, km, in rows, and in columns of each row (H,); 0 along a single row or column."""
    axes = (latitude, longitude)
    rows, columns = (abs(np.diff(a)).mean() * KM if len(a) > 1 else np.inf for a in axes)
    narrowing = np.cos(np.deg2rad(np.minimum(abs(latitude), POLAR)))
    return float(length / rows), length / (columns * narrowing)


def _degrade_date(block, widths, noise_widths, ring, error, key, block_info=None) -> np.ndarray:
    if not block_info:  # dask infers the result's type
        return block
    date = block_info[0]["array-location"][0][0]
    sea = ~np.isnan(block[0])
    share = _smoothed(sea.astype(float), widths, ring)
    field = _smoothed(np.where(sea, block[0], 0.0), widths, ring) / np.maximum(share, 1e-6)
    noise = _noise(sea.shape, noise_widths, ring, np.random.default_rng([*key, date]))
    return np.where(sea, field + error * noise, np.nan)[None].astype(np.float32)


def _smoothed(field: np.ndarray, widths: Widths, ring: bool) -> np.ndarray:
    """Gaussian sums of a field (H, W), 0 beyond its edges, unless it is a ring."""
    rows, columns = widths
    out = _smooth(field, rows, "constant")
    for row, width in zip(out, columns):
        row[:] = _smooth(row, width, "wrap" if ring else "constant")
    return out


def _smooth(field: np.ndarray, width: float, mode: str) -> np.ndarray:
    """Gaussian sums along the first axis, over a standard deviation in cells."""
    if width <= 0:
        return field.copy()
    return gaussian_filter1d(field, width, axis=0, mode=mode, truncate=TRUNCATE)


def _noise(shape: tuple[int, ...], widths: Widths, ring: bool, generator) -> np.ndarray:
    """Smoothed white noise (H, W) of expected variance 1 in every cell."""
    rows, columns = widths
    margin = _radius(rows), 0 if ring else _radius(columns.max())
    wider = [size + 2 * beyond for size, beyond in zip(shape, margin)]
    white = generator.standard_normal(wider)
    noise = _smoothed(white, (rows, np.pad(columns, margin[0], mode="edge")), ring)
    noise = noise[margin[0] : wider[0] - margin[0], margin[1] : wider[1] - margin[1]]
    return noise / _size(rows) / np.array([_size(width) for width in columns])[:, None]


def _radius(width: float) -> int:
    """Number of cells to either side that a Gaussian covers."""
    return int(TRUNCATE * width + 0.5)


def _size(width: float) -> float:
    """Standard deviation of white noise of variance 1 after smoothing along one axis."""
    impulse = np.zeros(2 * _radius(width) + 1)
    impulse[_radius(width)] = 1.0
    return float(np.sqrt((_smooth(impulse, width, "constant") ** 2).sum()))
