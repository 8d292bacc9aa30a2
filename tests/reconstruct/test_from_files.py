"""Files to files by the command line: the same fields with and without interruption."""

import shutil
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from forgetful import ForgetfulDisk
from tiny import astir, densifier

from ocean_lib.__main__ import main
from ocean_lib.model.densifier import Densifier
from ocean_lib.observations import gridding, profiles
from ocean_lib.observations.batch import observe
from ocean_lib.reconstruct import from_files
from ocean_lib.reconstruct import from_files as module
from ocean_lib.reconstruct.ensemble import reconstruct, reconstruct_date
from ocean_lib.reconstruct.from_files import reconstruct_files
from ocean_lib.reconstruct.sampling import Sampling

FAST = {"members": 3, "sampling": Sampling(2, tile=12, chunk=4)}


@pytest.fixture
def given(small_store, tmp_path):
    """A folder with a space in its name, with a checkpoint and a file of observations."""
    folder = tmp_path / "my files"
    folder.mkdir()
    astir(densifier(small_store), size=0.05).save(folder / "checkpoint.safetensors")
    fields = small_store.fields("test").isel(time=slice(0, 3))
    seen = observe(fields, {"pattern": "profiles", "observed": 0.05, "surface": 1.0}, seed=3)
    file = xr.Dataset({"thetao": seen.value, "surface_temperature": seen.surface_temperature})
    file.to_netcdf(folder / "floats.nc")
    return folder, seen


def files(folder):
    return folder / "checkpoint.safetensors", folder / "floats.nc", folder / "dense.nc"


def test_the_file_holds_what_reconstruct_gives(given):
    folder, seen = given
    lines = []
    reconstruct_files(*files(folder), **FAST, show=lines.append)
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint.safetensors",
        "dense.nc",
        "floats.nc",
    ]
    expected = reconstruct(Densifier.load(folder / "checkpoint.safetensors"), seen, **FAST)
    with xr.open_dataset(folder / "dense.nc") as dense:
        for name in ("members", "mean", "spread", "background"):
            one = dense[name].transpose(*expected[name].dims)
            np.testing.assert_allclose(one, expected[name], atol=2e-3, err_msg=name)
            assert dense[name].attrs["units"] == "degrees_C" and dense[name].attrs["long_name"]
        np.testing.assert_array_equal(dense.observed.transpose(*seen.observed.dims), seen.observed)
        np.testing.assert_array_equal(dense.ocean == 1, seen.ocean)
        np.testing.assert_array_equal(dense.time, seen.time)
        exact = dense["mean"].transpose(*seen.value.dims).values[seen.observed.values]
        np.testing.assert_allclose(exact, seen.value.values[seen.observed.values], atol=1e-4)
        assert dense.attrs["self_check"] == lines[1] and dense.attrs["credit"] == "a random ocean"
        assert dense.attrs["Conventions"].startswith("CF-")
        assert dense.latitude.units == "degrees_north" and dense.depth.positive == "down"
    assert "observations of thetao" in lines[0] and "withheld" in lines[1]


def test_the_command_says_first_what_it_understood_and_lets_choices_in(given, capsys, tmp_path):
    folder, seen = given
    days = pd.to_datetime(seen.time.values).strftime("05/%m/%Y")  # all may be read in two ways
    row, column = np.argwhere(seen.ocean.values.all(0))[5]
    place = {"latitude": float(seen.latitude[row]), "longitude": float(seen.longitude[column])}
    depth = np.arange(2.0, 330, 8)
    rows = [
        {"time": day, **place, "depth": z, "temperature": 4 + 18 * np.exp(-z / 400)}
        for day in days
        for z in depth
    ]
    pd.DataFrame(rows).to_csv(folder / "casts.csv", index=False)
    command = ["reconstruct", str(folder / "checkpoint.safetensors"), str(folder / "casts.csv")]
    command += [str(tmp_path / "dense.nc"), "--members", "2", "--steps", "1"]
    assert main(command) == 2
    told = capsys.readouterr()
    assert "may be" in told.err and "date_format" in told.err and "Traceback" not in told.err
    assert main([*command, "--date-format", "%d/%m/%Y"]) == 0
    gridded = ["reconstruct", str(folder / "checkpoint.safetensors"), str(folder / "floats.nc")]
    wrong = [[*gridded, "d.nc", "--date-format", "%Y%m"], [*command[:3], "d.nc", "--variable", "t"]]
    for refused in wrong:
        refused[3] = str(tmp_path / "d.nc")
        assert main(refused) == 2 and "leave it out" in capsys.readouterr().err
    assert (
        main([*command[:3], str(tmp_path / "e.nc"), *command[4:], "--date-format", "%d/%m/%Y"]) == 0
    )
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("3 of 3 profiles are used")
    assert second.startswith("Profiles of 1997-03-05 to 1997-05-05, latitude")


def test_surface_files_beside_casts_are_seen(three_surfaces, capsys, tmp_path):
    """The fields are those of a reconstruction that is given the surface fields themselves."""
    model = astir(densifier(three_surfaces), size=0.05)
    model.save(tmp_path / "c.safetensors")
    fields, ocean = three_surfaces.fields("test").isel(time=[0]), three_surfaces.ocean[..., 3]
    rows = []
    for row, column in np.argwhere(three_surfaces.ocean.all(2))[::20]:
        cell = fields.isel(time=0, latitude=row, longitude=column)
        table = {name: float(cell[name]) for name in ("latitude", "longitude")}
        table |= {"time": str(fields.time.values[0])[:10], "platform": f"{row} {column}"}
        table |= {"depth": cell.depth, "temperature": cell.temperature}
        rows.append(pd.DataFrame(table))
    pd.concat(rows).to_csv(tmp_path / "casts.csv", index=False)
    # 33 months after the middle of the training months, the global mean is 9 mm higher.
    mean = xr.DataArray(three_surfaces.climatology[0, ..., 1], dims=("latitude", "longitude"))
    years = (fields.time.values[0] - np.datetime64("1994-07-02")) / np.timedelta64(8766, "h")
    sla = (fields.sea_level - mean + 3.3e-3 * years).assign_attrs(units="m")
    sla.transpose("time", ...).where(ocean).to_dataset(name="sla").to_netcdf(tmp_path / "sla.nc")
    sst = fields.surface_temperature.where(ocean) + 273.15
    sst.assign_attrs(units="K").to_dataset(name="sst").to_netcdf(tmp_path / "sst.nc")

    command = ["reconstruct", *(str(tmp_path / name) for name in ("c.safetensors", "casts.csv"))]
    choices = ["--members", "2", "--steps", "1"]
    above = ["--surfaces", str(tmp_path / "sla.nc"), str(tmp_path / "sst.nc")]
    assert main([*command, str(tmp_path / "map.nc"), *choices, *above]) == 0
    told = capsys.readouterr().out
    for words in (
        "surface_temperature: sst, 1 date(s) of 1997-03-16, seen in 100% of the ocean",
        "sea_level: sla, sea_surface_height_above_sea_level",
        "with the error of the training, 0.02 m",
        "without the rise of the global mean",
    ):
        assert words in told, told
    table = gridding.to_cells(
        profiles.open_profiles(tmp_path / "casts.csv", model.statistics.depth), model.statistics
    )
    seen = gridding.observe_profiles(table, model.statistics, fields.drop_vars("surface_salinity"))
    seen = seen.assign(sea_level=seen.sea_level.where(ocean))
    seen["sea_level_observed"] = seen.sea_level.notnull()
    seen["surface_temperature_observed"] = seen.surface_temperature_observed & ocean
    draw = partial(reconstruct, model, members=2, sampling=Sampling(1, chunk=4))
    expected = draw(seen)
    blind = draw(seen.drop_vars(["sea_level", "surface_temperature"]))
    with xr.open_dataset(tmp_path / "map.nc") as one:
        for name in ("background", "mean"):
            found = one[name].transpose(*expected[name].dims)
            np.testing.assert_allclose(found, expected[name], atol=2e-3)
            assert float(abs(found - blind[name]).max()) > 0.1
    for wrong, words in (
        (["map.observations.nc", "d.nc", *above], "profiles; leave it out"),
        (["casts.csv", "d.nc", "--surfaces", str(tmp_path / "map.nc")], "none of"),
    ):
        wrong[:2] = [str(tmp_path / name) for name in wrong[:2]]
        assert main([*command[:2], *wrong]) == 2 and words in capsys.readouterr().err


def test_casts_from_elsewhere_are_refused_with_the_region_and_a_way_on(given, tmp_path):
    folder, _ = given
    for name, place in (
        ("north", (70.0, -60.0)),
        ("east", (34.0, 10.0)),
        ("date line", (0.0, 179.9)),
    ):
        rows = {"time": "1997-03-16", "latitude": place[0], "longitude": place[1]}
        depth = np.arange(2.0, 330, 8)
        table = pd.DataFrame(rows | {"depth": depth, "temperature": 15 - depth / 50})
        table.to_csv(folder / f"{name}.csv", index=False)
        with pytest.raises(ValueError) as caught:
            reconstruct_files(
                folder / "checkpoint.safetensors", folder / f"{name}.csv", tmp_path / "d.nc"
            )
        for words in (
            "1 outside the region",
            "The model covers longitude -",
            "train on a region",
            "accepted from elsewhere, with a warning",
        ):
            assert words in str(caught.value), caught.value


def test_the_same_again_finds_it_and_anything_else_is_refused(given):
    folder, _ = given
    reconstruct_files(*files(folder), **FAST, show=lambda line: None)
    stamp, lines = (folder / "dense.nc").stat().st_mtime_ns, []
    reconstruct_files(*files(folder), **FAST, show=lines.append)
    assert "already" in lines[0] and (folder / "dense.nc").stat().st_mtime_ns == stamp
    with pytest.raises(FileExistsError, match="dense.nc exists.*another name"):
        reconstruct_files(*files(folder), **FAST | {"members": 4})
    assert (folder / "dense.nc").stat().st_mtime_ns == stamp


@pytest.mark.parametrize("fails", [1, 2])
def test_a_call_that_was_cut_short_goes_on_where_it_was(given, monkeypatch, fails):
    folder, _ = given
    checkpoint, floats, dense = files(folder)
    reconstruct_files(checkpoint, floats, folder / "unbroken.nc", **FAST, show=lambda line: None)
    whole, number = module.reconstruct_date, []

    def breaks(*arguments, **choices):
        number.append(choices["noise_index"])
        for done in whole(*arguments, **choices):
            yield done
            if choices["noise_index"] == fails and len(number) == fails + 1:
                raise KeyboardInterrupt

    monkeypatch.setattr(module, "reconstruct_date", breaks)
    with pytest.raises(KeyboardInterrupt):
        reconstruct_files(checkpoint, floats, dense, **FAST, show=lambda line: None)
    assert not dense.exists() and (folder / "dense.nc.partial").is_dir()
    checks = []
    monkeypatch.setattr(module, "run_self_check", lambda *_, **__: checks.append(1))
    reconstruct_files(checkpoint, floats, dense, **FAST, show=lambda line: None)
    assert number == [*range(fails + 1), *range(fails, 3)] and not checks
    with xr.open_dataset(dense) as one, xr.open_dataset(folder / "unbroken.nc") as other:
        xr.testing.assert_equal(one, other)
    assert not (folder / "dense.nc.partial").exists()


def test_where_ours_is_worse_the_background_is_given_if_asked(small_store, given):
    folder, seen = given
    checkpoint, floats, dense = files(folder)
    model = astir(densifier(small_store), size=0.1)
    model.save(checkpoint)
    lines = []
    reconstruct_files(checkpoint, floats, dense, **FAST, show=lines.append)
    assert lines[1].startswith("WARNING") and "WORSE than the background" in lines[1]
    lines = []
    reconstruct_files(
        checkpoint, floats, folder / "safe.nc", **FAST, fallback=True, show=lines.append
    )
    assert lines[1].startswith("WARNING") and any("instead of" in line for line in lines)
    expected = reconstruct(model, seen, **FAST)
    with xr.open_dataset(folder / "safe.nc") as safe:
        np.testing.assert_allclose(
            safe["mean"].transpose(*expected.background.dims), expected.background, atol=2e-3
        )
        assert "members" not in safe and "Background" in safe.attrs["title"]
        assert float(safe.spread.max()) > 0.1


def test_by_the_command_line(given, capsys):
    folder, _ = given
    arguments = ["reconstruct", *map(str, files(folder)), "--members", "2", "--steps", "1"]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert told.index("self-check") < told.index("rows ") < told.index("is written")
    assert (folder / "dense.nc").is_file()
    (folder / "none.nc").touch()
    for wrong, words in (
        ([folder / "no.pt", *files(folder)[1:]], "no checkpoint"),
        ([files(folder)[0], folder / "no.nc", folder / "a.nc"], "no.nc"),
        ([files(folder)[0], folder / "none.nc", folder / "a.nc"], "0 bytes"),
        ([*files(folder)[:2], folder / "a.txt"], "must end in .nc"),
        ([*files(folder)[:2], folder / "no" / "a.nc"], "no folder"),
    ):
        assert main(["reconstruct", *map(str, wrong)]) == 2
        assert words in capsys.readouterr().err
    assert not (folder / "a.nc").exists() and not (folder / "a.nc.partial").exists()


def test_a_region_that_the_model_never_saw_is_reconstructed_with_a_warning(given):
    folder, _ = given
    checkpoint, floats, dense = files(folder)
    with xr.open_dataset(floats) as file:
        far = file.assign_coords(longitude=file.longitude + 1.0).load()
    far.to_netcdf(floats)
    lines = []
    reconstruct_files(checkpoint, floats, dense, **FAST, show=lines.append)
    assert any("region: 43%" in line for line in lines)
    with xr.open_dataset(dense) as result:
        assert "region" in result.attrs["warnings"] and np.isfinite(result["mean"]).any()


def test_a_disk_too_small_is_refused_before_the_work(given, monkeypatch):
    folder, _ = given
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10))
    with pytest.raises(OSError, match="dense.nc needs .* GB more.*free some"):
        reconstruct_files(*files(folder), **FAST, show=lambda line: None)
    assert not (folder / "dense.nc").exists()


@pytest.mark.parametrize("step", ["join_dates", "create_date_file"])
def test_a_disk_that_is_full_on_the_way_is_named_and_the_same_again_goes_on(
    given, monkeypatch, step
):
    folder, _ = given

    def full(*given, **choices):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=4096))
        raise RuntimeError("NetCDF: HDF error")

    with monkeypatch.context() as patch, pytest.raises(OSError) as told:
        patch.setattr(from_files, step, full)
        reconstruct_files(*files(folder), **FAST, show=lambda line: None)
    for word in ("the disk is full", "dense.nc", "0.00 GB are free", "it continues"):
        assert word in str(told.value)
    monkeypatch.undo()
    assert not (folder / "dense.nc").exists()
    drawn = []
    monkeypatch.setattr(
        from_files,
        "reconstruct_date",
        lambda *given, **choices: drawn.append(1) or reconstruct_date(*given, **choices),
    )
    reconstruct_files(*files(folder), **FAST, show=lambda line: None)
    assert len(drawn) == (0 if step == "join_dates" else 3)


def test_the_result_survives_a_loss_of_power(given, monkeypatch):
    folder, _ = given
    disk = ForgetfulDisk(monkeypatch)
    reconstruct_files(*files(folder), **FAST, show=lambda line: None)
    names = {path.name for path in disk.moved}
    assert {"dense.nc", "progress.json", *(f"date_{date:06d}.nc" for date in range(3))} <= names
    assert not disk.early and not disk.spoiled()


def test_dates_are_read_in_blocks_and_give_the_same(given, monkeypatch, tmp_path):
    folder, _ = given
    reconstruct_files(*files(folder), **FAST, show=lambda line: None)
    checkpoint, floats, dense = files(folder)
    for limit in (1.0, 1e5):  # not even one date; some
        monkeypatch.setattr(from_files, "LOAD_LIMIT", limit)
        other = reconstruct_files(
            checkpoint, floats, tmp_path / f"{limit}.nc", **FAST, show=lambda line: None
        )
        with xr.open_dataset(dense) as one, xr.open_dataset(other) as two:
            xr.testing.assert_equal(one, two)


CONTRADICTION = "possible are -10 to .*contradict each other"


def test_a_field_that_cannot_be_ends_the_run_and_says_where(given, small_store):
    """Outside the model's region no climatology rules out casts of 40 and -5 °C side by side."""
    folder, _ = given
    checkpoint, floats, dense = files(folder)
    with xr.open_dataset(floats) as known:
        known = known.load().drop_vars("surface_temperature")
    known = known.assign_coords(longitude=known.longitude + 40)
    value = known.thetao.where(False)
    value[:, 0, 4:6, 4:8] = 40.0
    value[:, 0, 4:6, 8:12] = -9.9
    floats.unlink()
    known.assign(thetao=value).to_netcdf(floats)
    with pytest.raises(ValueError, match=CONTRADICTION) as told:
        reconstruct_files(checkpoint, floats, dense, **FAST, show=lambda line: None)
    assert all(word in str(told.value) for word in ("°C", "latitude", "longitude", " m, ")[1:])
    assert not dense.exists()
