"""A small reconstruction to draw, and what its figures hold."""

import numpy as np
import pandas as pd
import xarray as xr
from scipy.ndimage import gaussian_filter

DEPTHS = [0.494, 9.573, 47.374, 109.729, 318.127, 541.089, 902.339]


def make_reconstruction(rows=37, columns=51, members=6, seed=0, months=2):
    """A dataset as reconstruction.nc holds it: eddies heaving a thermocline, a coast, islands."""
    rng = np.random.default_rng(seed)
    depth, n = np.array(DEPTHS), len(DEPTHS)
    latitude = 33 + np.arange(rows) / 12
    longitude = 178 + np.arange(columns) / 12  # across the date line, contiguous

    def eddies(*shape):
        noise = rng.standard_normal((*shape, rows, columns))
        noise = gaussian_filter(noise, (0,) * len(shape) + (3, 3))
        return noise / noise.std((-2, -1), keepdims=True)

    yy, xx = np.mgrid[0:rows, 0:columns]
    floor = 60.0 * np.clip(xx - 4 + 3 * np.sin(yy / 5), 0, None) ** 1.3
    for row, column, radius in ((0.3, 0.6, 0.07), (0.7, 0.8, 0.04)):
        floor[np.hypot(yy - row * rows, xx - column * columns) < radius * columns] = 0
    ocean = depth[:, None, None] < floor
    heave = 60 * eddies(months) + 2.0 * (rows / 2 - yy)

    def water(heave):
        z = depth[:, None, None] + heave[..., None, :, :]
        return 6 + 16 / (1 + np.exp((z - 150) / 90))

    truth = water(heave)
    noise = eddies(2, months, members, n)
    away = 0.3 + 0.7 * np.exp(-(((depth - 120) / 200) ** 2))[:, None, None]
    mean = truth[None] + 0.4 * away * eddies(2, months, n)
    ensemble = mean[:, :, None] + 0.5 * away * (noise - noise.mean(2, keepdims=True))
    blocks = rng.random((months, n, rows // 4 + 1, columns // 4 + 1)) < 0.5
    blocks = blocks.repeat(4, -2).repeat(4, -1)[..., :rows, :columns]
    profiles = np.broadcast_to(rng.random((months, 1, rows, columns)) < 0.012, blocks.shape)
    observed = np.stack([blocks, profiles]) & ocean
    level = ("time", "depth", "latitude", "longitude")
    land = lambda values: np.where(ocean, values, np.nan).astype("float32")  # noqa: E731
    return xr.Dataset(
        {
            "truth": (level, land(truth), {"units": "degC"}),
            "ocean": (level[1:], ocean.astype("int8")),
            "observed": (("case", *level), observed.astype("int8")),
            "value": (("case", *level), np.where(observed, truth, np.nan)),
            "members": (("case", "time", "member", *level[1:]), land(ensemble)),
            "mean": (("case", *level), land(ensemble.mean(2))),
            "spread": (("case", *level), land(ensemble.std(2, ddof=1))),
            "climatology": (
                level,
                land(water(np.broadcast_to(2.0 * (rows / 2 - yy), heave.shape))),
            ),
            "background": (("case", *level), land(truth[None] + 0.8 * away * eddies(2, months, n))),
        },
        coords={
            "case": ["blocks 50 %", "profiles 1.2 %"],
            "depth": depth,
            "latitude": latitude,
            "time": pd.date_range("2015-04-01", periods=months, freq="MS").astype("M8[ns]"),
            "longitude": longitude,
        },
    )


def make_steps(field, n=11):
    rng = np.random.default_rng(0)
    levels = np.linspace(1, 0, n)
    noise = rng.standard_normal((n, *field.shape)) * 5 + float(field.mean())
    steps = [(1 - t) * field + t * z for t, z in zip(levels, noise, strict=True)]
    return xr.concat(steps, "step").assign_coords(noise_level=("step", levels))


def bars(figure):
    """The labels of a figure's colour bars, as drawn."""
    figure.canvas.draw()
    return [
        axes.get_xlabel() + axes.get_ylabel()
        for axes in figure.axes
        if axes.get_label() == "<colorbar>"
    ]


def panels(figure):
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
