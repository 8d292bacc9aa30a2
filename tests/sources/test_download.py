"""Fetching, and refusals before any long work; `test_copernicus` calls the real client."""

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from ocean_lib.sources import copernicus, download

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


def test_the_client_is_imported_only_to_download():
    code = "import sys, ocean_lib.sources.download; assert 'copernicusmarine' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_own_files_are_read_in_place(own, tmp_path):
    lines = []
    for path in (own, str(own.parent / "*.nc"), own.parent, [own]):
        assert download.fetch("netcdf", tmp_path / "raw", path=path, show=lines.append) == [own]
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
            download.fetch("netcdf", tmp_path / "raw", path=path)


def test_the_demo_ocean_is_written_with_its_seed(monkeypatch, tmp_path):
    called = []

    def write(folder, seed=1, months=168, shape=(96, 128), progress=None):
        called.append((folder, seed, months))
        return [folder / "b.nc", folder / "a.nc"]

    monkeypatch.setattr("ocean_lib.sources.demo_files.write_demo_files", write)
    lines = []
    files = download.fetch("demo", tmp_path, seed=3, show=lines.append)
    download.fetch("demo", tmp_path, months=12, show=lines.append)
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
        ({"depths": [-5]}, ["-5", ">= 0 m", "None for all"]),
        ({"variables": ["uo"]}, ["thetao, so, zos", "not uo", "whole_files"]),
    ],
)
def test_a_bad_request_is_refused_before_the_login(no_login, tmp_path, change, words):
    request = {"source": "glorys12", **GLORYS12, **change}
    with pytest.raises(ValueError) as caught:
        download.fetch(folder=tmp_path / "raw", **request)
    for word in words:
        assert word in str(caught.value)


def test_no_login_says_how_to_get_one(no_login, tmp_path):
    with pytest.raises(PermissionError, match="register.*copernicusmarine login.*USERNAME"):
        download.fetch("glorys12", tmp_path / "raw", **GLORYS12)
    assert not (tmp_path / "raw").exists()


def test_months_that_are_all_there_need_no_login(no_login, tmp_path):
    lines = []
    request = copernicus.Request(
        "glorys12", (), "", ("thetao",), tmp_path, region=(-66, -62, 22, 26),
        months=("2020-11", "2021-02"), depths=[0.5],
    )  # fmt: skip
    names = [path.stem[-7:] for path in request.files.values()]
    assert names == ["2020-11", "2020-12", "2021-01", "2021-02"]
    for path in request.files.values():
        path.touch()
    asked = GLORYS12 | {"depths": [0.5], "variables": []}
    files = download.fetch("glorys12", tmp_path, show=lines.append, **asked)
    assert files == list(request.files.values()) and "all 4 month(s) already fetched" in lines[0]
    # Another region or other levels have other file names, so files are never confused.
    for change in (
        {"depths": [0.5, 10.0]},
        {"region": (-66, -61, 22, 26)},
        {"surfaces": ["surface_temperature"]},
    ):
        with pytest.raises(PermissionError):
            download.fetch("glorys12", tmp_path, **(asked | change))


def test_a_satellite_needs_the_last_months_and_sea_level_all():
    for product in ("ostia", "multiobs"):
        found = download.needed_months(product, ["2005-01", "2020-12"], 66)
        assert found == ("2015-07", "2020-12")
    assert download.needed_months("ostia", ["2020-11", "2020-12"], 66) == ("2020-11", "2020-12")
    assert download.needed_months("duacs", ["2005-01", "2020-12"], 66) == ("2005-01", "2020-12")


@pytest.mark.parametrize(
    ("source", "variables", "surfaces", "expected"),
    [
        ("glorys12", [], [], ("thetao",)),
        ("glorys12", None, [], ("thetao", "so")),
        ("ostia", None, [], ("analysed_sst",)),
        ("glorys12", [], ["surface_temperature"], ("thetao",)),
        ("glorys12", ["so"], [], ("thetao", "so")),
        ("glorys12", [], ["sea_level", "surface_salinity"], ("thetao", "so", "zos")),
        ("glorys12_daily", ["salinity", "thetao"], ["sea_level"], ("thetao", "so", "zos")),
        ("armor3d", [], ["surface_salinity"], ("to", "so")),
        ("armor3d", [], ["sea_level"], ("to", "so", "zo")),
    ],
)
def test_only_the_variables_that_are_needed_are_fetched(source, variables, surfaces, expected):
    assert download._names(source, variables, surfaces) == expected


def test_who_is_credited_follows_from_what_was_used():
    used = download.credit_and_licence("glorys12", ["ostia", "multiobs"])
    assert all(name in used["credit"] for name in ("GLORYS12V1", "OSTIA", "MULTIOBS"))
    assert used["licence"].count("Copernicus Marine Service licence") == 1
    own = download.credit_and_licence("netcdf", attributes={"credit": "A. Sailor"})
    assert own == {"credit": "A. Sailor", "licence": "as stated by their owner"}
    named = download.credit_and_licence("glorys12", attributes={"credit": "A. Sailor"})
    assert "Mercator" in named["credit"]
