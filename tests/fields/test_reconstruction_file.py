"""reconstruction.nc as written, read back, and as plain netCDF4 sees it."""

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from tiny import PATTERNS, astir, densifier
from xarray.backends.netCDF4_ import NetCDF4ArrayWrapper

from ocean_lib.fields import reconstruction_file
from ocean_lib.observations.batch import observe
from ocean_lib.reconstruct.ensemble import reconstruct
from ocean_lib.reconstruct.sampling import Sampling

CASES = dict(zip(("half", "argo"), PATTERNS))
STEP = 1e-4  # °C that the file resolves


@pytest.fixture(scope="module")
def fields(small_store):
    return small_store.fields("test").isel(time=slice(0, 2))


@pytest.fixture(scope="module")
def seen(fields):
    return {name: observe(fields, pattern, seed=1) for name, pattern in CASES.items()}


@pytest.fixture(scope="module")
def drawn(small_store, seen):
    model = astir(densifier(small_store))
    return {
        name: reconstruct(model, one, members=2, sampling=Sampling(2)) for name, one in seen.items()
    }


@pytest.fixture(scope="module")
def whole(fields, seen, drawn):
    return reconstruction_file.assemble_cases(fields, seen, drawn)


@pytest.fixture(scope="module")
def path(whole, tmp_path_factory):
    return reconstruction_file.write_reconstruction(
        whole, tmp_path_factory.mktemp("run") / "new" / "reconstruction.nc"
    )


def test_cases_lie_beside_each_other(fields, seen, drawn, whole):
    assert whole.case.values.tolist() == ["half", "argo"]
    for name in CASES:
        one = whole.sel(case=name)
        for variable in drawn[name].data_vars:
            xr.testing.assert_equal(
                one[variable].drop_vars("case"), drawn[name][variable].astype("f4")
            )
        for variable in ("value", "observed", "surface_temperature_observed"):
            np.testing.assert_array_equal(one[variable], seen[name][variable])
    np.testing.assert_array_equal(whole.truth, fields.temperature)
    np.testing.assert_array_equal(whole.ocean, fields.ocean)
    assert whole.truth.dims == ("time", "depth", "latitude", "longitude")
    assert whole.ocean.dims == ("depth", "latitude", "longitude")
    assert whole.members.dims[0] == "case" and whole.members.sizes["member"] == 2
    assert whole.attrs["credit"] == "a random ocean" and whole.attrs["licence"] == "CC0"


def test_a_round_trip_keeps_values_masks_and_coordinates(whole, path):
    again = reconstruction_file.read_reconstruction(path)
    assert set(again.variables) == set(whole.variables) and again.sizes == whole.sizes
    for name in reconstruction_file.MASKS:
        assert again[name].dtype == bool
        np.testing.assert_array_equal(again[name], whole[name])
    for name, array in whole.data_vars.items():
        assert again[name].dims == array.dims
        if array.dtype != bool:
            assert again[name].dtype == np.float32
            np.testing.assert_allclose(again[name], array, atol=STEP)
    for name in ("time", "depth", "latitude", "longitude", "member", "case"):
        np.testing.assert_array_equal(again[name], whole[name])
    assert again.time.dtype == whole.time.dtype


def test_observations_of_a_case_serve_a_model_again(small_store, seen, drawn, path):
    again = reconstruction_file.observations_of_case(
        reconstruction_file.read_reconstruction(path), "argo"
    )
    assert set(again.data_vars) == set(seen["argo"].data_vars)
    for name, array in seen["argo"].data_vars.items():
        assert again[name].dtype == array.dtype
        np.testing.assert_allclose(again[name], array, atol=STEP)
    result = reconstruct(astir(densifier(small_store)), again, members=2, sampling=Sampling(2))
    np.testing.assert_allclose(result["mean"], drawn["argo"]["mean"], atol=0.01)


def test_observations_of_all_dates_are_kept_without_what_is_drawn(seen, tmp_path):
    path = tmp_path / "observations.nc"
    together = reconstruction_file.assemble_observations(seen)
    reconstruction_file.write_reconstruction(together, path)
    held = reconstruction_file.read_reconstruction(path)
    for name, each in seen.items():
        again = reconstruction_file.observations_of_case(held, name)
        assert set(again.data_vars) == set(each.data_vars)
        for quantity, array in each.data_vars.items():
            assert again[quantity].dtype == array.dtype and again[quantity].dims == array.dims
            np.testing.assert_allclose(again[quantity], array, atol=STEP)


def test_plain_netcdf4_finds_names_units_and_conventions(whole, path):
    with netCDF4.Dataset(path) as file:
        assert file.Conventions.startswith("CF-1.") and file.title
        assert file.credit == "a random ocean" and file.licence == "CC0"
        latitude, longitude = file["latitude"], file["longitude"]
        assert (latitude.standard_name, latitude.units) == ("latitude", "degrees_north")
        assert (longitude.standard_name, longitude.units) == ("longitude", "degrees_east")
        depth = file["depth"]
        assert (depth.standard_name, depth.units, depth.positive) == ("depth", "m", "down")
        times = netCDF4.num2date(file["time"][:], file["time"].units, file["time"].calendar)
        assert [f"{t:%Y-%m-%d %H}" for t in times] == [
            str(t.astype("M8[h]")).replace("T", " ") for t in whole.time.values
        ]
        truth = file["truth"]
        assert truth.standard_name == "sea_water_potential_temperature"
        for name in (
            "truth",
            "mean",
            "members",
            "spread",
            "background",
            "value",
            "surface_temperature",
        ):
            assert file[name].units == "degrees_C", name
            assert file[name].dtype == np.float32, name
        values = np.ma.filled(truth[:], np.nan)
        np.testing.assert_allclose(values, whole.truth, atol=STEP)
        assert file["case"][:].tolist() == ["half", "argo"]
        for name in reconstruction_file.MASKS:
            flags = np.asarray(file[name][:])
            assert flags.dtype == np.int8 and set(np.unique(flags)) == {0, 1}
            np.testing.assert_array_equal(flags == 1, whole[name])


def test_writing_leaves_the_dataset_as_it_was(fields, seen, drawn, tmp_path):
    whole = reconstruction_file.assemble_cases(fields, seen, drawn)
    before = whole.copy(deep=True)
    reconstruction_file.write_reconstruction(whole, tmp_path / "one.nc")
    xr.testing.assert_identical(whole, before)


def test_a_file_appears_whole_or_not_at_all(whole, path, tmp_path, monkeypatch):
    assert [file.name for file in path.parent.iterdir()] == ["reconstruction.nc"]
    old = tmp_path / "reconstruction.nc"
    old.write_bytes(path.read_bytes())

    def broken(self, target, **choices):
        Path(target).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", broken)
    with pytest.raises(OSError, match="disk full"):
        reconstruction_file.write_reconstruction(whole, old)
    assert old.read_bytes() == path.read_bytes()
    with pytest.raises(OSError, match="disk full"):
        reconstruction_file.write_reconstruction(whole, tmp_path / "new.nc")
    assert not (tmp_path / "new.nc").exists()


def test_writing_again_replaces_a_file_that_was_read(whole, path, tmp_path):
    target = reconstruction_file.write_reconstruction(whole, tmp_path / "reconstruction.nc")
    first = reconstruction_file.read_reconstruction(target)
    reconstruction_file.write_reconstruction(first.assign(mean=first["mean"] + 1), target)
    np.testing.assert_allclose(
        reconstruction_file.read_reconstruction(target)["mean"], first["mean"] + 1, atol=2 * STEP
    )


def test_without_surface_and_deviation(fields, seen, drawn, tmp_path):
    bare = {
        name: one.drop_vars(["surface_temperature", "surface_temperature_observed"])
        for name, one in seen.items()
    }
    result = {name: one.drop_vars("deviation") for name, one in drawn.items()}
    again = reconstruction_file.read_reconstruction(
        reconstruction_file.write_reconstruction(
            reconstruction_file.assemble_cases(fields, bare, result), tmp_path / "reconstruction.nc"
        )
    )
    assert "surface_temperature" not in again and "deviation" not in again
    assert set(reconstruction_file.observations_of_case(again, "half").data_vars) == {
        "ocean", "value", "observed", "error"
    }  # fmt: skip


def test_a_missing_file_says_what_to_run_first(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.nc.*04_sampling"):
        reconstruction_file.read_reconstruction(tmp_path / "none.nc")


def test_an_opened_file_reads_only_what_is_selected(path, monkeypatch):
    sizes = []
    get = NetCDF4ArrayWrapper._getitem

    def counted(self, key):
        values = get(self, key)
        sizes.append(np.size(values))
        return values

    opened = reconstruction_file.open_reconstruction(path)
    monkeypatch.setattr(NetCDF4ArrayWrapper, "_getitem", counted)
    selected = reconstruction_file.select(opened, depth=0.0)
    assert selected["observed"].dtype == bool and sizes == []
    level = selected["observed"].load()
    assert sizes == [level.size]
    opened.close()


def test_a_chunk_of_the_file_holds_one_member_of_one_date(whole, path):
    with netCDF4.Dataset(path) as file:
        sizes = dict(zip(file["members"].dimensions, file["members"].chunking(), strict=True))
    grid = {name: whole.sizes[name] for name in ("depth", "latitude", "longitude")}
    assert sizes == {"case": 1, "time": 1, "member": 1} | grid  # a small field is one chunk
