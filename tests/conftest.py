"""A small ocean, its store, and the device that `pytest --device cuda` chooses."""

import signal

import gdac
import numpy as np
import pytest
import torch
import xarray as xr
from marine_store import MarineStore, archive
from scipy.ndimage import gaussian_filter

from ocean_lib.observations import gridding, profiles
from ocean_lib.store.store import build_store

DEPTH = np.array([9.6, 47.4, 109.7, 318.1, 902.3])


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="device of the tensor tests: cpu or cuda")


# Two workers that take whole files end together where the longest come first.
LONGEST = ("test_notebooks", "test_experiments", "test_copernicus", "test_kills")


def pytest_sessionstart():
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it; tests send it


def pytest_collection_modifyitems(items):
    order = {name: index for index, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


@pytest.fixture(scope="session")
def device(request) -> str:
    name = request.config.getoption("--device")
    if name.startswith("cuda") and not torch.cuda.is_available():
        pytest.skip("no CUDA device is available here")
    return name


@pytest.fixture(scope="session")
def small_ocean() -> xr.Dataset:
    return make_small_ocean()


def make_small_ocean() -> xr.Dataset:
    """60 months, 5 levels, 20×28 cells: a land corner, a sloping bottom, a cooler skin above."""
    rng = np.random.default_rng(0)
    months, height, width = 60, 20, 28

    def noise(length):
        field = gaussian_filter(rng.standard_normal((months, height, width)), (0, length, length))
        return (field / field.std())[:, None]

    depth = DEPTH[:, None, None]
    season = 3 * np.cos(2 * np.pi * (np.arange(months) - 8) / 12)[:, None, None, None]
    temperature = 4 + 18 * np.exp(-depth / 400) + season * np.exp(-depth / 50)
    temperature = temperature + 1.5 * noise(3) * np.exp(-(((depth - 150) / 300) ** 2))
    temperature = temperature + 0.8 * noise(2) * np.sin(depth / 200)
    temperature = temperature + noise(1.5) * np.exp(-depth / 40)
    row, column = np.mgrid[:height, :width]
    bottom = 60.0 * np.clip(np.hypot(row, column) - 5, 0, None)  # metres; land within 5 cells
    ocean = DEPTH[:, None, None] < bottom
    temperature = np.where(ocean, temperature, np.nan).astype(np.float32)
    surface = temperature[:, 0] - 0.2 + 0.1 * noise(1)[:, 0].astype(np.float32)
    grid = ("depth", "latitude", "longitude")
    return xr.Dataset(
        {
            "temperature": (
                ("time", *grid),
                temperature,
                {"units": "degrees_C", "standard_name": "sea_water_potential_temperature"},
            ),
            "ocean": (grid, ocean),
            "surface_temperature": (("time", "latitude", "longitude"), surface, {"error": 0.1}),
        },
        {
            "time": np.arange("1993-01", "1998-01", dtype="M8[M]").astype("M8[ns]")
            + np.timedelta64(15, "D"),
            "depth": ("depth", DEPTH, {"units": "m", "positive": "down"}),
            "latitude": ("latitude", 33 + np.arange(height) / 12, {"units": "degrees_north"}),
            "longitude": ("longitude", -65 + np.arange(width) / 12, {"units": "degrees_east"}),
        },
        {"credit": "a random ocean", "licence": "CC0"},
    )


@pytest.fixture(scope="session")
def small_store(small_ocean, tmp_path_factory):
    """`small_ocean` as a store: 36 months to train on, 8 for validation, 10 for test, gaps of 3."""
    folder = tmp_path_factory.mktemp("store") / "small"
    return build_store(
        small_ocean,
        folder,
        validation=8,
        test=10,
        gap=3,
        surfaces=small_ocean[["surface_temperature"]],
    )


@pytest.fixture(scope="session")
def three_surfaces(small_ocean, tmp_path_factory):
    """The store of `small_ocean` with all surface fields, each of its own unit, size and error."""
    above = small_ocean[["surface_temperature"]].copy()
    heat = small_ocean.temperature.mean("depth")
    above["sea_level"] = (0.6 + 0.05 * (heat - heat.mean())).assign_attrs(error=0.02)
    salinity = 35 + 0.1 * above.surface_temperature
    above["surface_salinity"] = salinity.assign_attrs(error=0.15)
    folder = tmp_path_factory.mktemp("three") / "store"
    return build_store(small_ocean, folder, validation=8, test=10, gap=3, surfaces=above)


@pytest.fixture(scope="session")
def marine(tmp_path_factory):
    """A Copernicus Marine store on 127.0.0.1."""
    folder = tmp_path_factory.mktemp("marine store")
    with MarineStore(folder, archive.write(folder / "archive")) as running:
        yield running


@pytest.fixture
def no_login(monkeypatch, tmp_path):
    """No login of Copernicus Marine anywhere; the folder in which one is looked for."""
    for name in ("USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"COPERNICUSMARINE_SERVICE_{name}", raising=False)
    monkeypatch.setenv("COPERNICUSMARINE_CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def simulated(small_ocean, tmp_path_factory):
    """Twelve floats through the test months of the small ocean, on the centres of cells."""
    rng = np.random.default_rng(3)
    casts = []
    for number in range(12):
        row, column = rng.integers(8, 19), rng.integers(12, 27)
        for month in range(50, 60):
            row = int(np.clip(row + rng.integers(-1, 2), 6, 19))
            column = int(np.clip(column + rng.integers(-1, 2), 8, 27))
            y, x = float(small_ocean.latitude[row]), float(small_ocean.longitude[column])
            given = gdac.measured(small_ocean, month, y, x, rng, 0.01)
            casts.append(
                gdac.cast(
                    platform=f"69{number:05d}", cycle=month, mode="D", error=0.01, latitude=y,
                    longitude=x, time=str(small_ocean.time.values[month].astype("M8[s]")), **given,
                )
            )  # fmt: skip
    path = tmp_path_factory.mktemp("floats") / "floats.nc"
    return gdac.write(path, casts), casts


@pytest.fixture(scope="session")
def statistics(small_store):
    return small_store.statistics()


@pytest.fixture(scope="session")
def table(simulated, statistics):
    return gridding.to_cells(profiles.open_profiles(simulated[0], statistics.depth), statistics)
