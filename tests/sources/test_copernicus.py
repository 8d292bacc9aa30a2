"""The real Copernicus Marine client against a store on 127.0.0.1, faults included."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from marine_store import PASSWORD, USER, Fault, archive

from ocean_lib.sources import client as service
from ocean_lib.sources import copernicus as products
from ocean_lib.sources import download

REGION = (-71.6, -68.4, 32.5, 35.0)
ASKED = {"region": REGION, "months": ("1996-07", "1996-10"), "depths": [9.6, 318.1]}
ASKED |= {"variables": []}  # temperature alone
GLORYS12 = "cmems_mod_glo_phy_my_0.083deg_P1M-m"
CLIENT = Path(sys.executable).with_name("copernicusmarine")


@pytest.fixture(scope="module")
def store(marine):
    return marine


@pytest.fixture(scope="module")
def pool(store):
    """A process with a login, in which the client finds the store."""
    with _process(store.environment()) as started:
        yield started


@pytest.fixture(autouse=True)
def no_faults(store):
    store.faults.clear()
    store.requests.clear()


def _process(environment):
    return ProcessPoolExecutor(1, get_context("spawn"), _enter, (environment,))


def _enter(environment):
    os.environ.clear()
    os.environ.update(environment)
    service.WAIT = 0.1


def _fetch(source, folder, patience=60.0, **asked):
    """In the other process: the files and the lines shown."""
    service.PATIENCE, lines = patience, []
    files = download.fetch(source, folder, show=lines.append, **asked)
    return files, "\n".join(lines)


def _renamed(folder, **asked):
    """In the other process: a product with a first dataset that the service does not know."""
    from dataclasses import replace

    known = download.SOURCES["glorys12"]
    download.SOURCES["renamed"] = replace(known, datasets=("cmems_mod_of_old", *known.datasets))
    return _fetch("renamed", folder, **asked)


def _opened(dataset_id, variable):
    import copernicusmarine

    opened = copernicusmarine.open_dataset(dataset_id=dataset_id, variables=[variable])
    return opened[variable].isel(time=0).load()


def get(pool, source, folder, **asked):
    return pool.submit(_fetch, source, folder, **asked).result()


def client(store, home, *arguments, **login):
    return subprocess.run(
        [CLIENT, *arguments],
        env=store.environment(**login) | {"HOME": str(home)},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def ocean():
    return archive.ocean()


@pytest.fixture(scope="module")
def fetched(pool, tmp_path_factory):
    """A request without faults: its folder, files and lines of text."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, *get(pool, "glorys12", folder, surfaces=["surface_temperature"], **ASKED)


def values(files):
    with xr.open_mfdataset(files, combine="by_coords", engine="netcdf4") as opened:
        return opened.load()


def contents(folder):
    """{file: raw integers} of a folder."""
    return {
        path.name: xr.open_dataset(path, mask_and_scale=False).thetao.values
        for path in sorted(Path(folder).glob("*.nc"))
    }


# The client itself.


def test_the_clients_own_commands_work(store, tmp_path):
    assert client(store, tmp_path, "login").returncode == 0
    whole = ("get", "-i", GLORYS12, "--filter", "*1996/*", "-o", tmp_path, "-nd")
    got = client(store, tmp_path, *whole, "--disable-progress-bar")
    assert got.returncode == 0, got.stderr
    assert len(list(tmp_path.glob("*_1996*.nc"))) == 8  # the others are of the interim dataset
    cut = ("subset", "-i", GLORYS12, "-v", "thetao", "-t", "1996-03-01", "-T", "1996-03-31")
    got = client(
        store, tmp_path, *cut, "-x", "-70", "-X", "-69", "-z", "0", "-Z", "10", "-o", tmp_path
    )
    assert got.returncode == 0, got.stderr
    # 0.494 to 9.573 m; 70 to 69 west in twelfths of a degree
    (file,) = tmp_path.glob("cmems*.nc")
    assert xr.open_dataset(file).thetao.shape == (1, 8, 44, 13)


def test_open_dataset_gives_the_values_that_were_put_in(pool, ocean):
    opened = pool.submit(_opened, GLORYS12, "thetao").result()
    first = ocean.temperature[0].transpose("depth", "latitude", "longitude")
    np.testing.assert_allclose(opened, first, atol=0.5 * 24 / 32767 + 1e-5)


# What is asked for, and no more.


def test_only_what_is_asked_for_comes_and_the_interim_continues_it(fetched, ocean):
    _, files, told = fetched
    assert [file.name[-10:-3] for file in files] == ["1996-07", "1996-08", "1996-09", "1996-10"]
    assert f"2 from {GLORYS12}, 2 from cmems_mod_glo_phy_myint" in told and "MB" in told
    opened = values(files)
    assert list(opened.data_vars) == ["thetao"]
    np.testing.assert_allclose(opened.depth, [0.494, 9.573, 318.127], atol=1e-3)
    west, east, south, north = REGION
    assert opened.longitude.min() >= west and opened.longitude.max() <= east
    truth = ocean.temperature.sel(
        time=opened.time, depth=opened.depth, latitude=slice(south, north)
    ).sel(longitude=slice(west, east))
    np.testing.assert_allclose(opened.thetao, truth, atol=0.5 * 24 / 32767 + 1e-5)
    for file, dataset in zip(
        files, [GLORYS12] * 2 + ["cmems_mod_glo_phy_myint_0.083deg_P1M-m"] * 2
    ):
        with xr.open_dataset(file) as one:
            assert one.thetao.encoding["dtype"] == np.int16
            assert one.attrs["dataset_id"] == dataset and "E.U. Copernicus" in one.attrs["credit"]


def test_a_dry_run_says_how_much_and_fetches_nothing(pool, store, tmp_path):
    files, told = get(pool, "glorys12", tmp_path / "raw", dry_run=True, **ASKED)
    assert files == [] and not (tmp_path / "raw").exists()
    assert "4 month(s) to fetch" in told and "2 depth × 31 latitude × 39 longitude" in told
    size = 2 * 31 * 39 * 4 * 2 / 1e6  # bytes of 16 bits
    assert f"{size:.1f} MB to keep" in told and "at 3 MB/s" in told
    assert not [each for each in store.requests if "thetao/" in each]


def test_months_that_are_there_are_not_asked_for_again(pool, store, fetched):
    folder, files, _ = fetched
    before = contents(folder)
    files[1].unlink()
    stale = folder / f"{files[1].name}.4194304.partial"  # no process has so high a number
    stale.touch()
    store.requests.clear()
    again, told = get(pool, "glorys12", folder, surfaces=["surface_temperature"], **ASKED)
    assert again == files and "1 month(s) to fetch" in told and "3 month(s) already fetched" in told
    asked = {each.split("thetao/")[1].split(".")[0] for each in store.requests if "thetao/" in each}
    assert asked == {"43"}  # the 44th month of the archive
    np.testing.assert_equal(contents(folder), before)
    assert not list(folder.glob("*.partial"))
    store.requests.clear()
    get(pool, "glorys12", folder, surfaces=["surface_temperature"], **ASKED)
    assert store.requests == []


def test_a_download_killed_at_any_moment_goes_on_to_the_same_files(pool, store, fetched, tmp_path):
    code = (
        "import sys; from ocean_lib import sources; "
        f"sources.fetch('glorys12', sys.argv[1], surfaces=['surface_temperature'], **{ASKED!r})"
    )
    for moment in (1, 3):
        command = [sys.executable, "-c", code, tmp_path]
        store.faults.append(Fault("thetao/", times=99, delay=0.3))
        running = subprocess.Popen(command, env=store.environment(), stdout=subprocess.DEVNULL)
        while len(list(tmp_path.glob("*.nc"))) < moment and running.poll() is None:
            time.sleep(0.02)
        time.sleep(0.05 * moment)
        running.send_signal(signal.SIGKILL)
        running.wait()
        store.faults.clear()
        reached = contents(tmp_path)
        assert moment <= len(reached) < 4  # each of them can be read
    files, _ = get(pool, "glorys12", tmp_path, surfaces=["surface_temperature"], **ASKED)
    np.testing.assert_equal(contents(tmp_path), contents(fetched[0]))
    assert {path.name for path in tmp_path.iterdir()} == {file.name for file in files}


def test_whole_files_come_as_the_service_keeps_them(pool, store, tmp_path):
    (tmp_path / "mercatorglorys12v1_gl12_mean_199601.nc.6eF3A1b2").touch()  # of a killed transfer
    asked = {"whole_files": "*1996/*"}
    files, told = get(pool, "glorys12", tmp_path, dry_run=True, **asked)
    assert files == [] and "12 whole file(s)" in told
    files, _ = get(pool, "glorys12", tmp_path, **asked)
    kept = {path.name: path for path in store.archive.rglob("mercator*1996*.nc")}
    assert {file.name for file in files} == set(kept) and len(kept) == 12
    assert all(file.read_bytes() == kept[file.name].read_bytes() for file in files)
    assert len(list(tmp_path.iterdir())) == 12
    stamps = [file.stat().st_mtime_ns for file in files]
    files[0].unlink()
    again, _ = get(pool, "glorys12", tmp_path, **asked)
    assert again == files and [f.stat().st_mtime_ns for f in files[1:]] == stamps[1:]


# What goes wrong.


def refused(pool, error, *words, source="glorys12", folder="nowhere", **asked):
    with pytest.raises(error) as caught:
        get(pool, source, folder, **(ASKED | asked))
    text = str(caught.value)
    for word in words:
        assert word in text, text
    assert USER not in text and PASSWORD not in text
    return text


def test_what_fails_a_few_times_is_tried_again(pool, store, fetched, tmp_path):
    store.faults += [
        Fault("clientsConfig", times=1, status=503),
        Fault("dataset.stac.json", times=1, status=0),
        Fault("openid-connect/token", times=1, status=503),
        Fault("thetao/", times=2, status=503),
        Fault("thetao/", times=2, status=0, skip=4),
    ]
    get(pool, "glorys12", tmp_path, surfaces=["surface_temperature"], **ASKED)
    assert [fault.times for fault in store.faults] == [0] * 5
    np.testing.assert_equal(contents(tmp_path), contents(fetched[0]))


def test_a_service_that_keeps_failing_is_named(pool, store, tmp_path):
    store.faults.append(Fault("dataset.stac.json", times=99, status=503))
    refused(
        pool, ConnectionError, GLORYS12, "3 times", "503", "run the same again", folder=tmp_path
    )


def test_a_silent_service_is_given_up_and_what_came_is_kept(pool, store, tmp_path):
    store.faults.append(Fault("thetao/", times=99, delay=4, skip=6))
    refused(pool, ConnectionError, "nothing has arrived for 1 s", folder=tmp_path, patience=1.0)
    assert 1 <= len(contents(tmp_path)) < 4 and not list(tmp_path.glob("*.partial"))


def test_a_block_that_is_lacking_is_not_taken_for_land(pool, store, tmp_path):
    store.faults.append(
        Fault("myint_0.083deg_P1M-m_202311/timeChunked.zarr/thetao/0.", times=1, status=404)
    )
    refused(pool, ConnectionError, "1996-09", "the service lacks a part", folder=tmp_path)
    assert len(contents(tmp_path)) == 2


def test_a_part_of_a_level_that_is_lacking_is_told_from_ice(fetched, tmp_path):
    """A field may not, compared with months fetched before; a view from above may."""
    folder, files, _ = fetched
    asked = {"folder": tmp_path, **ASKED, "shallowest": True}
    del asked["variables"]
    for above in (False, True):
        request = products.Request("glorys12", (), "", ("thetao",), **asked, above=above)
        with xr.open_dataset(files[0]) as whole:
            month = whole.load()
        for name, lacking in (("1996-07", 0), ("1996-08", 5)):  # % of one level
            part = month.copy(deep=True)
            wet = np.argwhere(part.thetao.values[0, 1] > -90)
            row, column = wet[: len(wet) * lacking // 100].T
            part.thetao.values[0, 1, row, column] = np.nan
            part.to_netcdf(tmp_path / name)
        request._verify(tmp_path / "1996-07", "1996-07")
        if above:
            request._verify(tmp_path / "1996-08", "1996-08")
        else:
            with pytest.raises(ConnectionError, match="1996-08.*lacks a part"):
                request._verify(tmp_path / "1996-08", "1996-08")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"months": ("1996-01", "1997-08")}, ["1997-05", "1993-01 to 1996-08", "months within"]),
        ({"region": (-80, -60, 30, 34)}, ["reaches outside the data", "choose one inside"]),
        ({"region": (10, 20, 30, 34)}, ["choose"]),
        ({"depths": [9.6, 9.7]}, ["pick the levels", "without repetition"]),
        ({"depths": [9000]}, ["9000", "choose within"]),
        ({"whole_files": "*2021/*"}, ["no file", "'*2021/*'"]),
    ],
)
def test_what_the_service_does_not_hold_is_refused_beforehand(pool, store, tmp_path, change, words):
    refused(pool, ValueError, *words, folder=tmp_path, **change)
    assert not list(tmp_path.iterdir())


def test_a_dataset_that_is_unknown_says_where_to_look(pool, tmp_path):
    with pytest.raises(ValueError, match="cmems_mod_of_old is unknown.*product/GLOBAL_MULTIYEAR"):
        pool.submit(_renamed, tmp_path, **ASKED).result()


def test_a_wrong_password_is_told_from_a_dead_network_and_both_at_once(store, tmp_path):
    with _process(store.environment(password="wrong")) as other:
        refused(other, PermissionError, "refuses the login from environment", folder=tmp_path)
    dead = store.environment()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        dead[name] = "http://127.0.0.1:9"
    with _process(dead) as other:
        other.submit(os.getpid).result()
        # Tried twice and no more: the client alone would go on for 92 s.
        words = ("tried 2 times", "cannot be reached", "network")
        refused(other, ConnectionError, *words, folder=tmp_path)


def test_without_a_login_nothing_is_asked_for(store, tmp_path):
    environment = store.environment(user=None) | {"HOME": str(tmp_path)}
    with _process(environment) as other:
        refused(other, PermissionError, "register", "copernicusmarine login", folder=tmp_path)
    assert store.requests == []


# Other products.


def test_a_state_of_in_situ_temperature_becomes_potential(pool, ocean, tmp_path):
    from ocean_lib.fields.canonical import open_fields

    asked = ASKED | {"months": ("1993-01", "1993-02")}
    files, told = get(pool, "armor3d", tmp_path, **asked)
    # Its continuation is not known to this service.
    assert "2 month(s) to fetch (2 from cmems_obs-mob_glo_phy_my_0.125deg_P1M-m)" in told
    fields = open_fields(files)
    assert fields.temperature.attrs["standard_name"] == "sea_water_potential_temperature"
    truth = ocean.temperature.sel(time=fields.time, depth=fields.depth, method="nearest")
    truth = truth.interp(latitude=fields.latitude, longitude=fields.longitude)
    np.testing.assert_allclose(fields.temperature, truth, atol=0.003)


def test_a_sea_level_comes_with_a_margin_for_another_grid(pool, tmp_path):
    files, _ = get(pool, "duacs", tmp_path, **(ASKED | {"months": ("1996-07", "1996-07")}))
    opened = values(files)
    assert opened.longitude.min() < REGION[0] and opened.latitude.max() > REGION[3]
    assert opened.sla.attrs["units"] == "m"


def test_all_that_satellites_see_comes_and_becomes_surfaces_of_the_model(pool, ocean, tmp_path):
    from ocean_lib.fields.surfaces import open_surfaces
    from ocean_lib.sources.satellites import seen_from_above

    names = ["surface_temperature", "sea_level", "surface_salinity"]
    period = ("1995-03", "1997-04")
    asked = ASKED | {"months": period, "surfaces": names}
    files, told = get(pool, "glorys12", tmp_path / "glorys12", **asked)
    assert "26 month(s) to fetch (18 from" in told and "thetao_so_zos" in files[0].name
    with xr.open_dataset(files[0]) as one:
        assert {*one.data_vars} == {"thetao", "so", "zos"} and one.zos.dims[0] == "time"
        assert {one[name].encoding["dtype"] for name in one.data_vars} == {np.dtype("i2")}
    model = open_surfaces(files, names)
    place = {dim: model[dim] for dim in ("time", "latitude", "longitude")}
    height, salt = ocean.sea_level.sel(place), ocean.salinity.isel(depth=0, drop=True).sel(place)
    np.testing.assert_allclose(model.sea_level, height, atol=2e-4)
    np.testing.assert_allclose(model.surface_salinity, salt, atol=1e-3)

    products = {}
    for product in ("ostia", "duacs", "multiobs"):
        months = download.needed_months(product, period, 5)
        cut = {"region": REGION, "months": months}
        products[product], _ = get(pool, product, tmp_path / product, **cut)
    assert [len(found) for found in products.values()] == [5, 26, 5]
    parts = {"split": "time", "validation": 2, "test": 2, "gap": 1}
    seen = seen_from_above(model, products, seed=1, **parts).compute()
    assert list(seen) == names
    assert (seen.notnull() == model.notnull()).all().to_array().all()
    dates = 26  # at most, of a product
    assert all(0 <= array.attrs["filled_cells"] < 80 * dates for array in seen.values())
    later = dict(time=slice(21, None))
    inner = height.notnull().rolling(latitude=5, longitude=5, center=True).min() == 1
    # The altimeter's mean and its rise are gone; it remembers an eighth of a degree.
    error = (seen.sea_level - height).isel(later).where(inner.isel(later))
    assert float(abs(error.mean())) < 0.002 and float(error.std()) < 0.01
    # Of the days of a month: half of what changes from month to month.
    error = (seen.surface_temperature - model.surface_temperature).isel(later)
    assert float(abs(error).mean()) < 1.5
    error = (seen.surface_salinity - salt).isel(later).where(inner.isel(later))
    assert float(abs(error.mean())) < 0.01 and float(error.std()) < 0.1
