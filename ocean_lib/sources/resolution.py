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
from scipy.fft import irfft, next_fast_len, rfft

from ocean_lib.core.geometry import EARTH_RADIUS, is_ring
from ocean_lib.fields.conventions import MAP_DIMS
from ocean_lib.sources.catalogue import SOURCES

__all__ = ["degraded"]


HALVING = np.sqrt(np.log(2) / 2) / np.pi  # s / L of a Gaussian that halves waves of length L
KM = EARTH_RADIUS * np.pi / 180  # of a degree of latitude
POLAR = 85.0  # degrees; nearer to the pole a row is smoothed over as many cells as here
Widths = tuple[float, np.ndarray]  # of a Gaussian: in rows, and in columns of each row (H,)
REACH = 6.0  # standard deviations, after which a Gaussian has ended


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
    latitude, longitude = (surface[dim].values.astype(float) for dim in MAP_DIMS[1:])
    blocks = surface.transpose(*MAP_DIMS).chunk(time=1, latitude=-1, longitude=-1).data
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
    return surface.transpose(*MAP_DIMS).copy(data=data)


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
    period = _periods(field.shape, widths, ring)
    out = _filtered(field, rows, period[0], axis=0)
    return _filtered(out, columns[:, None], period[1], axis=1)


def _noise(shape: tuple[int, ...], widths: Widths, ring: bool, generator) -> np.ndarray:
    """Smoothed white noise (H, W) of expected variance 1 in every cell."""
    rows, columns = widths
    period = _periods(shape, widths, ring)
    white = generator.standard_normal(period)
    noise = _filtered(white, rows, period[0], axis=0)[: shape[0]]
    noise = _filtered(noise, columns[:, None], period[1], axis=1)[:, : shape[1]]
    return noise / _size(rows, period[0]) / _size(columns[:, None], period[1])


def _periods(shape: tuple[int, ...], widths: Widths, ring: bool) -> tuple[int, int]:
    """Rows and columns, enough more than those of a field that its edges do not feel each other."""
    rows, columns = shape[0] + REACH * widths[0], shape[1] + REACH * widths[1].max()
    return next_fast_len(int(rows) + 1), shape[1] if ring else next_fast_len(int(columns) + 1)


def _filtered(field: np.ndarray, width: float | np.ndarray, period: int, axis: int) -> np.ndarray:
    """Gaussian sums of a field (H, W) along an axis, periodic after zeros have been appended."""
    spectrum = rfft(field, period, axis=axis)
    response = _response(width, np.fft.rfftfreq(period))
    spectrum *= response[:, None] if axis == 0 else response
    return irfft(spectrum, period, axis=axis).take(range(field.shape[axis]), axis)


def _response(width: float | np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """What a Gaussian mean over `width` cells leaves of waves, per cycles a cell."""
    return np.exp(-2 * (np.pi * width * frequency) ** 2)


def _size(width: float | np.ndarray, period: int) -> np.ndarray:
    """Standard deviation of smoothed white noise of variance 1."""
    power = _response(width, np.fft.fftfreq(period)) ** 2
    return np.sqrt(power.mean(-1, keepdims=True))
