"""The demo ocean: synthetic months of temperature, written exactly as GLORYS12 files are.

Quasi-geostrophic turbulence (`turbulence`) heaves two interfaces eta_1, eta_2; temperature is a
nonlinear profile read at the depth the water came from, plus what the flow carries:

    T(z) = T0(z - eta) + spice(z - eta) + front + season,    then mixed down to the mixed layer

so that anomalies are neither Gaussian nor governed by one vertical mode. Weather touches the
mixed layer only and hides part of the interior from the surface; water on the shelf follows its
own slow anomaly. The place is fictitious, somewhat like the north-west Atlantic at 32-40 N.
The turbulence runs on its own clock, slower against the calendar than in nature: one month
carries water `DRIFT` km, which makes upper-ocean anomalies fade within about three months.

The sea floor of the demo ocean, and the smooth random fields it is made of.

Depth follows the distance from a wiggly coast: a shelf, then a slope (a hyperbolic tangent), then
an abyssal plain. Gaussian seamounts stand on it, and those that break the surface are islands.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

__all__ = [
    "DEPTH",
    "SOUTH",
    "STEP",
    "VERSION",
    "WEST",
    "identity",
    "sea_floor",
    "simulate",
    "smooth_noise",
]


VERSION = "1"
DRIFT = 210.0  # rms path of upper-layer water in a month, km
FREEZING = -1.8  # nothing is colder, degrees C
DEPTH = np.fromstring(
    """
    0.494025 1.541375 2.645669 3.819495 5.078224 6.440614 7.92956 9.572997 11.405 13.46714
    15.81007 18.49556 21.59882 25.211411 29.444731 34.434151 40.344051 47.373692 55.76429
    65.807266 77.853851 92.326073 109.729301 130.666 155.850693 186.125595 222.475205
    266.040314 318.127411 380.213013 453.937714 541.088928 643.566772 763.33313 902.339294
    1062.439941 1245.291016 1452.250977 1684.284058 1941.892944 2225.077881 2533.335938
    2865.702881 3220.820068 3597.031982 3992.483887 4405.224121 4833.291016 5274.78418
    5727.916992
    """,
    np.float32,
    sep=" ",
)  # the 50 levels of GLORYS12, m
STEP, WEST, SOUTH = 1 / 12, -72.0, 32.0  # degrees
MARGIN = 48  # cells the periodic box of the turbulence exceeds the domain by


def simulate(seed=1, months=168, shape=(96, 128), progress=None):
    """The demo ocean in memory.

    Args:
        seed: draws the flow, the stratification, the relief and the weather.
        months: number of months from January 1993 on; a shorter run is the start of a longer one.
        shape: rows (latitude) and columns (longitude) of 1/12 degree.
        progress: called as `progress(done, months)` after each month.

    Returns:
        Canonical field dataset: `temperature (time, depth, latitude, longitude)` float32, degrees
        C, NaN outside the ocean; `ocean (depth, latitude, longitude)`; and `bathymetry
        (latitude, longitude)`, m. Times are the first of each month, as in the data store.

    Raises:
        ValueError: the domain is too small to hold coast and deep ocean, or there is no month.
    """
    import xarray as xr

    rows, columns = shape
    if min(rows, columns) < 32:
        raise ValueError(f"shape {rows}x{columns} has a side below 32 cells; choose shape >= 32x32")
    if months < 1:
        raise ValueError(f"months {months} is below 1; choose months >= 1")
    latitude = (SOUTH + STEP * np.arange(rows)).astype(np.float32)
    longitude = (WEST + STEP * np.arange(columns)).astype(np.float32)
    spacing = 111.2 * STEP * np.array([1.0, np.cos(np.radians(latitude.mean()))])

    of_parameters, of_relief, of_flow, of_weather = map(
        np.random.default_rng, np.random.SeedSequence(seed).spawn(4)
    )
    parameters = _parameters(of_parameters)
    bathymetry, openness = sea_floor(shape, spacing, of_relief)
    ocean = DEPTH[:, None, None] < bathymetry
    weather = _weather(shape, spacing, of_weather)
    temperature = np.full((months, *ocean.shape), np.nan, np.float32)
    flow = _flow(shape, spacing, latitude.mean(), parameters, of_flow)
    with ThreadPoolExecutor(1) as ahead:  # the flow, by a month
        upcoming = ahead.submit(next, flow)
        for month in range(months):
            now, upcoming = upcoming.result(), ahead.submit(next, flow)
            field = _temperature(month, now, next(weather), parameters, openness, ocean, spacing)
            np.copyto(temperature[month], field, where=ocean)
            if progress is not None:
                progress(month + 1, months)

    time = np.datetime64("1993-01", "M") + np.arange(months)
    axes = {
        "time": (time.astype("datetime64[ns]"), {"axis": "T"}),
        "depth": (DEPTH, {"axis": "Z", "units": "m", "positive": "down"}),
        "latitude": (latitude, {"axis": "Y", "units": "degrees_north"}),
        "longitude": (longitude, {"axis": "X", "units": "degrees_east"}),
    }
    dims = tuple(axes)
    return xr.Dataset(
        {
            "temperature": (
                dims,
                temperature,
                {
                    "standard_name": "sea_water_potential_temperature",
                    "long_name": "Temperature",
                    "units": "degrees_C",
                },
            ),
            "ocean": (dims[1:], ocean, {"long_name": "Sea water"}),
            "bathymetry": (
                dims[2:],
                bathymetry.astype(np.float32),
                {"standard_name": "sea_floor_depth_below_geoid", "units": "m"},
            ),
        },
        {
            name: (name, values, {"standard_name": name, "long_name": name.capitalize(), **attrs})
            for name, (values, attrs) in axes.items()
        },
        identity(seed, shape),
    )


def identity(seed, shape):
    """Attributes that say which demo ocean a file holds, and that it is synthetic."""
    return {
        "Conventions": "CF-1.8",
        "title": f"Synthetic demo ocean, version {VERSION}, seed {seed}: no real ocean",
        "source": "ocean_lib.demo_ocean, a quasi-geostrophic simulation in the format of GLORYS12",
        "credit": "Synthetic data made by ocean_lib; not a Copernicus Marine product",
        "demo_version": VERSION,
        "demo_seed": int(seed),
        "demo_shape": f"{shape[0]}x{shape[1]}",
    }


def _parameters(generator):
    """What tells one ocean of the family from another: each value within a few per cent."""

    def about(value, share):
        return value * generator.uniform(1 - share, 1 + share)

    return {
        "gravity": (about(0.014, 0.1), about(0.010, 0.1)),
        "interfaces": (about(350.0, 0.1), about(1100.0, 0.08)),
        "shear": (about(3.0, 0.15), about(-3.0, 0.15), 0.0),
        "jet": (about(40.0, 0.12), about(22.0, 0.12), 2.0),
        "jet_place": generator.uniform(0.42, 0.58),
        "abyss": about(2.0, 0.1),
        "upper": (about(10.0, 0.1), about(120.0, 0.15), about(75.0, 0.15)),
        "main": (about(2.9, 0.1), about(600.0, 0.1), about(310.0, 0.1)),
        "spice": (about(1.5, 0.2), about(380.0, 0.15), about(150.0, 0.15)),
        "front": (about(3.0, 0.15), about(260.0, 0.15)),
        "season": about(4.0, 0.12),
        "winter": about(130.0, 0.15),
    }


def _flow(shape, spacing, latitude, parameters, generator):
    """Yields each month's mean (eta_1, eta_2, surface tracer, spice tracer), (4, rows, columns).

    Interface displacements are downward in m; the surface tracer is a northward distance in km.
    """
    import scipy.fft

    from ocean_lib.sources.turbulence import LayeredTurbulence, enlarge

    box = [2 * scipy.fft.next_fast_len(-(-(n + MARGIN) // 4)) for n in shape]
    upper, lower = (h / 1000 for h in parameters["interfaces"])
    coriolis = 2 * 7.292e-5 * np.sin(np.radians(latitude))
    targets = np.zeros((2, *box))
    targets[1] = smooth_noise(box, 2 * spacing, generator, 110.0, periodic=True)
    turbulence = LayeredTurbulence(
        box,
        2 * spacing,
        generator,
        thickness=(upper, lower - upper, 4.7 - lower),
        gravity=parameters["gravity"],
        coriolis=coriolis,
        beta=1.6e-3,
        shear=parameters["shear"],
        jet=parameters["jet"],
        jet_row=(MARGIN / 2 + parameters["jet_place"] * shape[0]) / 2,
        jet_width=60.0,
        jet_rate=1 / 20,
        drag=1 / 15,
        tracer_layers=(0, 1),
        tracer_gradients=(1.0, 0.0),
        tracer_targets=targets,
        tracer_rate=1 / 50,
    )
    days = DRIFT / turbulence.settle(150.0)
    start, (first, second) = MARGIN // 2, turbulence.to_metres
    while True:
        psi = enlarge(turbulence.advance(days), box, [2 * n for n in box])
        psi = psi[:, start : start + shape[0], start : start + shape[1]]
        yield np.stack([first * (psi[0] - psi[1]), second * (psi[1] - psi[2]), psi[3], psi[4]])


def _weather(shape, spacing, generator):
    """Yields each month's anomalies: mixed layer, shelf, and two for the years, unit variance."""
    memory = np.array([0.5, 0.7])
    fields, years = None, generator.standard_normal(2)
    while True:
        new = np.stack(
            [
                0.8 * smooth_noise(shape, spacing, generator, 130.0)
                + 0.6 * smooth_noise(shape, spacing, generator, 35.0),
                smooth_noise(shape, spacing, generator, 70.0),
            ]
        )
        if fields is None:
            fields = new
        m = memory[:, None, None]
        fields = m * fields + np.sqrt(1 - m**2) * new
        years = 0.95 * years + np.sqrt(1 - 0.95**2) * generator.standard_normal(2)
        yield fields, years


def _temperature(month, flow, weather, parameters, openness, ocean, spacing):
    """One month's temperature, (depth, rows, columns), degrees C; only ocean cells have meaning."""
    (mixed_anomaly, shelf_anomaly), (year_depth, year_warmth) = weather
    z = DEPTH[:, None, None]
    shelf = 1 - openness

    # Displacement, piecewise linear between surface, interfaces and the bottom as the layers are.
    nodes = [0.0, *parameters["interfaces"], 4700.0]
    first, second = (np.interp(DEPTH, nodes, hat)[:, None, None] for hat in np.eye(4)[1:3])
    limit = 220.0  # keeps the water column from folding
    eta = limit * np.tanh((flow[:2] + 12.0 * year_depth) / limit) * openness
    origin = (z - first * eta[0] - second * eta[1]).astype(np.float32)

    level = np.arange(0, 6400.0)
    profile = parameters["abyss"] + 2.4 * np.exp(-level / 1500)
    for warmth, centre, width in (parameters["upper"], parameters["main"]):
        profile += warmth / 2 * (1 - np.tanh((level - centre) / width))
    strength, centre, width = parameters["spice"]
    bump = np.exp(-0.5 * ((level - centre) / width) ** 2) + 0.1 * np.exp(-level / 2500)
    spice = strength * np.tanh(flow[3] / 0.5) * openness
    field = np.interp(origin, level, profile).astype(np.float32)
    field += np.interp(origin, level, bump).astype(np.float32) * spice.astype(np.float32)

    # Near the surface: the front, the season and the shelf.
    top = int(np.searchsorted(DEPTH, 700.0))
    z, upper, near = z[:top], field[:top], origin[:top]
    rows = np.arange(ocean.shape[1]) - parameters["jet_place"] * ocean.shape[1]
    northward = (rows * spacing[0])[:, None] + flow[2] * (0.3 + 0.7 * openness)
    contrast, reach = parameters["front"]
    upper -= np.exp(-z / 80) * (contrast * np.tanh(northward / reach) + 2.0 * shelf)
    upper += 0.2 * year_warmth * np.exp(-z / 250)
    upper += 0.6 * shelf * shelf_anomaly * np.exp(-z / 200)
    phase = 2 * np.pi * (month % 12 - 7.3) / 12
    amplitude = parameters["season"] * (1 + 0.4 * shelf)
    depth = np.clip(near, 0, None)
    upper += amplitude * np.exp(-depth / 45) * np.cos(phase - depth / 90)

    # The mixed layer: deep in late winter, deeper where the thermocline is, its own weather.
    winter = np.clip(np.cos(2 * np.pi * (month % 12 - 1.7) / 12), 0, None) ** 2
    deep = parameters["winter"] * np.exp(0.15 * year_warmth + eta[0] / 400 + 0.15 * shelf_anomaly)
    layer = 20 + 4 * shelf_anomaly.clip(-2, 2) + deep * winter
    share = 0.5 * (1 - np.tanh((z - layer) / (0.2 * layer)))
    thickness = np.gradient(DEPTH)[:top, None, None] * ocean[:top]
    weight = share * thickness
    total = weight.sum(axis=0)
    mean = (weight * upper).sum(axis=0) / np.where(total > 0, total, 1)
    mean += (20 / layer) ** 0.3 * mixed_anomaly
    upper += share * (mean - upper)
    return np.maximum(field, FREEZING)


def smooth_noise(shape, spacing, generator, scale, periodic=False):
    """Random field of unit variance and Gaussian correlation.

    Args:
        shape: (rows, columns).
        spacing: (dy, dx) in km.
        generator: numpy generator.
        scale: standard deviation of the smoothing kernel, km.
        periodic: the field continues from one edge to the opposite one.

    Returns:
        float64, (rows, columns).
    """
    from scipy.ndimage import gaussian_filter

    sigma = scale / np.asarray(spacing)
    pad = (0, 0) if periodic else np.ceil(2 * sigma).astype(int)
    white = generator.standard_normal((shape[0] + 2 * pad[0], shape[1] + 2 * pad[1]))
    smooth = gaussian_filter(white, sigma, mode="wrap" if periodic else "reflect")
    smooth *= np.sqrt(4 * np.pi * sigma[0] * sigma[1])
    return smooth[pad[0] : pad[0] + shape[0], pad[1] : pad[1] + shape[1]]


def sea_floor(shape, spacing, generator):
    """A coast in the north-west, its shelf and slope, seamounts and up to three islands.

    Args:
        shape: (rows, columns), south to north and west to east.
        spacing: (dy, dx) in km.
        generator: draws the coast, the roughness and where the seamounts stand.

    Returns:
        depth of the sea floor (m, 0 on land) and openness, both (rows, columns). Openness rises
        from 0 at the coast to 1 over the deep sea and takes no notice of seamounts and islands.
    """
    y, x = np.meshgrid(
        *(np.arange(n) * d for n, d in zip(shape, spacing, strict=True)), indexing="ij"
    )
    height, width = y.max(), x.max()
    reach_x, reach_y = generator.uniform(0.30, 0.42) * width, generator.uniform(0.38, 0.5) * height
    offshore = (x / reach_x + (height - y) / reach_y - 1) / np.hypot(1 / reach_x, 1 / reach_y)
    size = min(1.0, min(height, width) / 800.0)
    offshore = offshore / size + 22 * smooth_noise(shape, spacing, generator, 60.0 * size)
    floor = 12 + 1.3 * np.clip(offshore, 0, 120)
    floor += 2450 * (1 + np.tanh((offshore - 190) / 60))
    floor *= 1 + 0.05 * smooth_noise(shape, spacing, generator, 50.0) * np.tanh(floor / 2000)
    openness = np.clip(floor / 1500, 0, 1)
    openness = openness**2 * (3 - 2 * openness)

    inside = (np.minimum(y, height - y) > 0.1 * height) & (np.minimum(x, width - x) > 0.1 * width)
    free = inside & (offshore > 260)
    for rise in (1.25, 1.3, generator.uniform(0.9, 1.2), 0.8, 0.7, 0.6):
        candidates = np.flatnonzero(free)
        if candidates.size == 0:
            break
        row, column = np.unravel_index(generator.choice(candidates), shape)
        distance = np.hypot(y - y[row, column], x - x[row, column])
        breadth = size * generator.uniform(28, 42)
        floor -= rise * floor[row, column] * np.exp(-0.5 * (distance / breadth) ** 2)
        free &= distance > 200 * size
    return np.where((offshore > 0) & (floor > 0), np.maximum(floor, 12.0), 0.0), openness
