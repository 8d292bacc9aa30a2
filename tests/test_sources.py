"""The catalogue, and what it refuses before any long work; the real client is not called here."""

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from ocean_lib import sources
from ocean_lib.files import find_files

GLORYS12 = {"region": (-66, -62, 22, 26), "months": ["2020-11", "2021-02"]}


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "with space" / "own.nc"
    path.parent.mkdir()
    values = np.full((1, 1, 2, 2), 4.0, "float32")
    xr.Dataset(
        {"thetao": (("time", "depth", "lat", "lon"), values, {"units": "degC"})},
        {
            "time": [np.datetime64("2020-01-16", "ns")],
            "depth": [1.0],
            "lat": [1.0, 2.0],
            "lon": [3.0, 4.0],
        },
    ).to_netcdf(path)
    return path


@pytest.fixture
def no_login(monkeypatch, tmp_path):
    for name in ("USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"COPERNICUSMARINE_SERVICE_{name}", raising=False)
    monkeypatch.setenv("COPERNICUSMARINE_CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)


def test_every_source_names_its_licence_and_credit():
    assert {"demo", "netcdf", "glorys12"} <= set(sources.SOURCES)
    for source in sources.SOURCES.values():
        assert source.title and source.licence and source.credit
    assert "E.U. Copernicus Marine Service" in sources.SOURCES["glorys12"].credit


def test_the_client_is_imported_only_to_download():
    code = "import sys, ocean_lib.sources; assert 'copernicusmarine' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_own_files_are_read_in_place(own, tmp_path):
    lines = []
    for path in (own, str(own.parent / "*.nc"), own.parent, [own]):
        assert sources.fetch("netcdf", tmp_path / "raw", path=path, show=lines.append) == [own]
    assert not (tmp_path / "raw").exists() and "2 longitude" in lines[0]


def test_own_files_are_refused_first(own, tmp_path):
    page = tmp_path / "page.nc"
    page.write_text("<html>login</html>")
    for path, error, words in (
        (None, ValueError, "path=…"),
        (tmp_path / "none.nc", FileNotFoundError, "correct the path"),
        (page, ValueError, "web page"),
    ):
        with pytest.raises(error, match=words):
            sources.fetch("netcdf", tmp_path / "raw", path=path)


def test_the_demo_ocean_is_written_with_its_seed(monkeypatch, tmp_path):
    called = []

    def write(folder, seed=1, months=168, shape=(96, 128), progress=None):
        called.append((folder, seed, months))
        return [folder / "b.nc", folder / "a.nc"]

    monkeypatch.setattr("ocean_lib.demo_files.write", write)
    lines = []
    files = sources.fetch("demo", tmp_path, seed=3, show=lines.append)
    sources.fetch("demo", tmp_path, months=12, show=lines.append)
    assert files == [tmp_path / "a.nc", tmp_path / "b.nc"]
    assert called == [(tmp_path, 3, 168), (tmp_path, 1, 12)] and "Synthetic" in lines[-1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": "glorys"}, ["'glorys'", "glorys12"]),
        ({"region": None}, ["region", "0.9 GB", "west, east, south, north"]),
        ({"region": (1, 2, 3)}, ["(1, 2, 3)", "four numbers"]),
        ({"region": (-66, -62, 26, 22)}, ["26, 22", "west, east"]),
        ({"months": None}, ["None", "['1993-01', '2020-12']"]),
        ({"months": ["2020", "yesterday"]}, ["yesterday", "['1993-01', '2020-12']"]),
        ({"months": ["2021-02", "2020-11"]}, ["2021-02", "backwards"]),
        ({"max_depth": -5}, ["-5", "above 0", "leave it out"]),
    ],
)
def test_a_bad_request_is_refused_before_the_login(no_login, tmp_path, change, words):
    request = {"source": "glorys12", **GLORYS12, **change}
    with pytest.raises(ValueError) as caught:
        sources.fetch(folder=tmp_path / "raw", **request)
    for word in words:
        assert word in str(caught.value)


def test_no_login_says_how_to_get_one(no_login, tmp_path):
    assert sources.copernicus_login() is None
    with pytest.raises(PermissionError, match="register.*copernicusmarine login.*USERNAME"):
        sources.fetch("glorys12", tmp_path / "raw", **GLORYS12)
    assert not (tmp_path / "raw").exists()


def test_a_login_is_found_and_not_read(no_login, monkeypatch, tmp_path):
    (tmp_path / ".copernicusmarine").mkdir()
    file = tmp_path / ".copernicusmarine" / ".copernicusmarine-credentials"
    file.touch()
    assert sources.copernicus_login() == str(file)
    monkeypatch.setenv("COPERNICUSMARINE_SERVICE_USERNAME", "tester")
    monkeypatch.setenv("COPERNICUSMARINE_SERVICE_PASSWORD", "secret")
    assert sources.copernicus_login() == "environment variables"


def test_months_that_are_there_are_kept_and_the_others_asked_for(no_login, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(sources, "copernicus_login", lambda: "somewhere")
    monkeypatch.setattr(sources, "_download", lambda product, files, *rest: asked.append(files))
    first = sources.fetch("glorys12", tmp_path, **GLORYS12)
    assert [path.stem[-7:] for path in first] == ["2020-11", "2020-12", "2021-01", "2021-02"]
    assert list(asked[0].values()) == first
    first[0].touch()
    first[2].touch()
    sources.fetch("glorys12", tmp_path, **GLORYS12)
    assert list(asked[1]) == ["2020-12", "2021-02"]
    # Another region or depth is another file: nothing is taken for what it is not.
    other = sources.fetch("glorys12", tmp_path, **GLORYS12, max_depth=500)
    assert not set(other) & set(first)


def test_a_month_appears_whole_or_not_at_all(monkeypatch, tmp_path):
    import copernicusmarine

    product, file = sources.SOURCES["glorys12"], tmp_path / "glorys12_2020-02.nc"
    asked = {}

    def broken(output_directory, output_filename, **request):
        asked.update(request)
        (output_directory / output_filename).write_bytes(b"half")
        with pytest.raises(FileNotFoundError):  # a half-written month is never picked up
            find_files(tmp_path)
        raise OSError("the line is cut")

    monkeypatch.setattr(copernicusmarine, "subset", broken)
    with pytest.raises(OSError, match="cut"):
        sources._download_month(product, "2020-02", file, (170, -170, -5, 5), 500)
    assert list(tmp_path.iterdir()) == []
    assert asked["end_datetime"] == "2020-02-29T23:59:59" and asked["maximum_longitude"] == 190
    assert asked["variables"] == ["thetao"] and asked["maximum_depth"] == 500
    monkeypatch.setattr(
        copernicusmarine,
        "subset",
        lambda output_directory, output_filename, **request: (
            output_directory / output_filename
        ).write_bytes(b"whole"),
    )
    sources._download_month(product, "2020-02", file, (170, -170, -5, 5), None)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
