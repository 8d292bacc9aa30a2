"""Bad input, as a table: each is refused before long work, by its value, its limit and a remedy.

A case is what a user does wrong, done through the call that the user makes; the words must stand in
the message. Nothing may be left behind, and files lie in a folder with spaces in its name.
"""

import errno
import os
import pickle
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr
from grids import sea
from safetensors.torch import save
from tiny import PATTERNS, densifier

from ocean_lib.__main__ import main
from ocean_lib.fields.canonical import open_fields
from ocean_lib.model.densifier import Densifier
from ocean_lib.model.patches import PatchSampler
from ocean_lib.observations.batch import observe
from ocean_lib.reconstruct.ensemble import reconstruct
from ocean_lib.reconstruct.from_files import reconstruct_files
from ocean_lib.reconstruct.sampling import Sampling
from ocean_lib.runs.parameters import load_parameters
from ocean_lib.runs.paths import open_run
from ocean_lib.sources import download
from ocean_lib.store.store import Store, build_store

HTML = b"<!DOCTYPE html><html><title>Sign in</title></html>"


class Executed:
    """A pickle that leaves a trace when it is loaded by a careless reader."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


@pytest.fixture
def user(tmp_path, small_ocean, small_store, monkeypatch):
    """What a user has: a folder, a workspace, files of fields, a store, a checkpoint, floats."""
    home = tmp_path / "my ocean files"
    home.mkdir()
    monkeypatch.setenv("OCEAN_WORKSPACE", str(home))
    model = densifier(small_store)
    seen = observe(small_store.fields("test").isel(time=[0]), PATTERNS[1], seed=3)
    return SimpleNamespace(
        home=home,
        file=home / "fields.nc",
        ocean=small_ocean,
        store=small_store,
        model=model,
        seen=seen,
        patch=monkeypatch,
    )


# What the user does. A change is made to a good file, which is then opened.


def opened(change=lambda dataset: dataset, **choices):
    def act(user):
        change(sea()).to_netcdf(user.file)
        open_fields(user.file, **choices)

    return act


def bytes_of(content, suffix=".nc"):
    def act(user):
        path = user.home / f"fields{suffix}"
        path.write_bytes(content)
        open_fields(path)

    return act


def truncated(user):
    sea().to_netcdf(user.file)
    whole = user.file.read_bytes()
    user.file.write_bytes(whole[: len(whole) // 3])
    open_fields(user.file)


def with_value(value):
    def change(dataset):
        dataset.thetao[0, 0, 3, 3] = value
        return dataset

    return change


def shifted(amount, **attributes):
    def change(dataset):
        values = (dataset.thetao + amount).assign_attrs(dataset.thetao.attrs | attributes)
        return dataset.assign(thetao=values)

    return change


def twice(user):
    for name in ("a", "b"):
        sea().to_netcdf(user.home / f"{name}.nc")
    open_fields(user.home)


def mixed_grids(user):
    sea().to_netcdf(user.home / "a.nc")
    sea(latitude=np.linspace(50, 51, 13)).to_netcdf(user.home / "b.nc")
    open_fields(user.home)


def protected(user):
    sea().to_netcdf(user.file)

    def refuse(path, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    user.patch.setattr(Path, "open", refuse)
    open_fields(user.file)


# Stores, splits, patches.


def built(change=lambda ocean: ocean, **choices):
    def act(user):
        given = {"validation": 8, "test": 10, "gap": 3, "split": "time"}
        build_store(change(user.ocean), user.home / "store", **given | choices)

    return act


def full_disk(user):
    user.patch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000, total=2000))
    built()(user)


def no_store(user):
    Store(user.home / "none")


def large_patch(user):
    PatchSampler(user.store, "train", patch=64, specifications=PATTERNS)


def patterns(**specification):
    def act(user):
        PatchSampler(user.store, "train", patch=8, specifications=[specification])

    return act


# Parameters and runs.


def run(*words):
    def act(user):
        if main(["run", *words]) == 0:
            raise AssertionError("it ran")
        assert not list((user.home / "outputs").glob("*/0*.ipynb"))

    return act


def parameters(text):
    def act(user):
        (user.home / "mine.yaml").write_text(text)
        load_parameters(user.home / "mine.yaml")

    return act


def no_workspace(user):
    (user.home / "outputs").write_text("a file, not a folder")
    open_run("demo")


# Checkpoints.


def loaded(content):
    def act(user):
        path = user.home / "checkpoint.safetensors"
        path.write_bytes(content(user))
        try:
            Densifier.load(path)
        finally:
            assert not (user.home / "trace").exists(), "code of the file was run"

    return act


def archived(content):
    def act(user):
        torch.save(content(user), user.home / "archive.pt")
        return (user.home / "archive.pt").read_bytes()

    return act


def saved(user):
    user.model.save(user.home / "good.safetensors")
    return (user.home / "good.safetensors").read_bytes()


def flipped(user):
    content = bytearray(saved(user))
    content[-1000] ^= 1
    return content


def other_levels(user):
    deeper = user.seen.assign_coords(depth=user.seen.depth.values * 2)
    reconstruct(user.model, deeper, members=2)


# Observations, through the file that a user would give.


def floats(change=lambda value: value, **choices):
    def act(user):
        user.model.save(user.home / "checkpoint.safetensors")
        value = change(user.seen.value.copy(deep=True))
        beside = choices.pop("error", None)
        drawing = {name: choices.pop(name) for name in ("steps", "sampler") if name in choices}
        file = xr.Dataset({"thetao": value})
        if beside is not None:
            file["error"] = (value * 0 + beside).drop_attrs()
        file.to_netcdf(user.home / "floats.nc")
        output = user.home / choices.pop("output", "dense.nc")
        given = user.home / choices.pop("given", "floats.nc")
        try:
            reconstruct_files(
                user.home / "checkpoint.safetensors",
                given,
                output,
                **{"members": 2, "sampling": Sampling(**drawing)} | choices,
            )
        finally:
            assert {path.name for path in user.home.iterdir()} <= {
                "checkpoint.safetensors",
                "floats.nc",
            }

    return act


def small_disk(user):
    free = SimpleNamespace(free=10, total=20)
    user.patch.setattr(shutil, "disk_usage", lambda path: free)
    floats(steps=1)(user)


def no_right(user):
    may = os.access
    user.patch.setattr(os, "access", lambda path, mode: mode != os.W_OK and may(path, mode))
    floats()(user)


def fetched(source, **choices):
    return lambda user: download.fetch(source, user.home / "raw", **choices)


F = FileNotFoundError
CASES = {
    # files
    "missing file": (lambda u: open_fields(u.home / "no.nc"), F, "no.nc", "correct the path"),
    "empty folder": (lambda u: open_fields(u.home), F, "my ocean files", "correct the path"),
    "empty file": (bytes_of(b""), ValueError, "fields.nc", "0 bytes", "fetch it again"),
    "truncated file": (truncated, ValueError, "bytes", "cut short", "fetch it again"),
    "web page for a file": (bytes_of(HTML), ValueError, "DOCTYPE", "web page", "log in"),
    "text for a file": (bytes_of(b"time,temp\n1,2\n"), ValueError, "time,temp", "convert"),
    "GRIB for a file": (bytes_of(b"GRIB" * 9), ValueError, "GRIB", "convert"),
    "no right to read": (protected, PermissionError, "fields.nc", "chmod"),
    "same dates twice": (twice, ValueError, "2020-01-16", "limit 1", "drop"),
    "files on two grids": (mixed_grids, ValueError, "b.nc", "latitude", "50", "40", "separately"),
    # what is in them
    "no temperature": (
        opened(lambda d: d.rename(thetao="chl").drop_attrs()),
        ValueError, "['chl']", "rename it to thetao",
    ),
    "no such further variable": (
        opened(variables=["so"]), ValueError, "salinity", "['thetao']", "leave it out",
    ),
    "kelvin labelled °C": (opened(shifted(273.15)), ValueError, "290", "45", "'K'"),
    "°C labelled kelvin": (opened(shifted(0, units="K")), ValueError, "-10", "'degC'"),
    "fahrenheit": (opened(shifted(0, units="degF")), ValueError, "'degF'", "°C or K", "convert"),
    "infinite value": (opened(with_value(np.inf)), ValueError, "inf", "finite", "replace"),
    "undeclared fill": (opened(with_value(-999.0)), ValueError, "-999", "-10", "_FillValue"),
    "all land": (
        opened(lambda d: d.assign(thetao=d.thetao.where(False))),
        ValueError, "0 values", "needs 1", "choose",
    ),
    "mostly gaps": (
        opened(lambda d: d.assign(thetao=d.thetao.where(d.time.dt.month == 1))),
        ValueError, "few dates only", "limit", "fill the gaps",
    ),
    "pressure for depth": (
        opened(lambda d: d.assign_coords(depth=("depth", d.depth.values, {"units": "dbar2"}))),
        ValueError, "dbar2", "must be", "convert",
    ),
    "terrain-following levels": (
        opened(lambda d: d.rename(depth="s_rho").assign_coords(s_rho=np.linspace(-1, 0, 4))),
        ValueError, "terrain-following", "interpolate",
    ),
    "duplicate times": (
        opened(lambda d: d.isel(time=[0, 1, 1])), ValueError, "2020-02-15", "limit 1", "drop",
    ),
    # what is asked of them
    "region outside the data": (
        opened(region=(0, 10, 40, 41)), ValueError, "(0, 10, 40, 41)", "-52", "choose one inside",
    ),
    "region upside down": (
        opened(region=(-52, -51, 41, 40)), ValueError, "41, 40", "west, east, south, north",
    ),
    "a level that is not there": (
        opened(depths=[3000]), ValueError, "3000", "541.089", "choose within",
    ),
    "times that are not there": (
        opened(times=("1993-01", "1994-12")), ValueError, "1993-01", "2020-01", "choose within",
    ),
    "unknown source": (fetched("glorys13"), ValueError, "'glorys13'", "glorys12", "choose one"),
    "netcdf without path": (fetched("netcdf"), ValueError, "path", "set path=…"),
    # stores and batches
    "too few months": (
        built(validation=40), ValueError, "60", "40", "fewer",
    ),
    "unknown split": (built(split="random"), ValueError, "'random'", "'time'", "choose"),
    "a sea that training hardly sees": (
        built(lambda o: o.assign(temperature=o.temperature.where(o.time > o.time[20]))),
        ValueError, "fewer than half", "training dates", "mask",
    ),
    "disk full": (full_disk, OSError, "0.00 GB are free", "GB more", "free some"),
    "store that is not there": (no_store, F, "none", "01_download"),
    "patch larger than the field": (large_patch, ValueError, "patch 64", "20 rows", "patch <= 20"),
    "unknown pattern": (patterns(pattern="argo", observed=0.1), ValueError, "argo", "profiles"),
    "more than all observed": (patterns(pattern="pixels", observed=1.5), ValueError, "1.5", "1"),
    # parameters
    "unknown run": (run("demoo"), 2, "'demoo'", "did you mean 'demo'"),
    "misspelt parameter": (run("demo", "membres=4"), 2, "'membres'", "did you mean 'members'"),
    "mistyped parameter": (run("demo", "members=many"), 2, "'many'", "must be int"),
    "YAML's 1e-4": (run("demo", "learning_rate=1e-4"), 2, "1e-4", "write 1.0e-4"),
    "one member": (run("demo", "members=1"), 2, "members is 1", "choose 2 to 1000"),
    "patch beyond the demo": (run("demo", "patch=150"), 2, "150", "96 rows", "patch <= 96"),
    "too few demo months": (run("demo", "demo_months=20", "split=time"), 2, "20", "fewer"),
    "unknown step": (run("demo", "--from", "03_trainin"), 2, "03_trainin", "did you mean"),
    "no mapping": (parameters("- a\n- b\n"), ValueError, "mine.yaml", "name: value"),
    "no YAML": (parameters("members: [\n"), ValueError, "mine.yaml", "is not YAML"),
    "run named as a path": (run("demo", "run=../x"), 2, "'../x'", "letters"),
    "no GPU": (run("demo", "device=cuda"), 2, "cuda", "choose auto or cpu"),
    "outputs is a file": (no_workspace, Exception, "outputs"),
    # checkpoints
    "no checkpoint": (lambda u: Densifier.load(u.home / "no.pt"), F, "no.pt", "03_training"),
    "text for a checkpoint": (loaded(lambda u: b"weights"), ValueError, "7 bytes", "give a"),
    "malicious pickle": (
        loaded(lambda u: pickle.dumps(Executed(u.home / "trace"))),
        ValueError, "not a whole", "give a",
    ),
    "malicious checkpoint": (
        loaded(archived(lambda u: {"state": Executed(u.home / "trace")})),
        ValueError, "may hold code", "train again",
    ),
    "somebody else's weights": (
        loaded(lambda u: save({"weights": torch.zeros(2)})),
        ValueError, "not a densifier", "give a",
    ),
    "a checkpoint cut short": (
        loaded(lambda u: saved(u)[:-9]), ValueError, "not a whole checkpoint", "copy it again",
    ),
    "a bit flipped in a checkpoint": (
        loaded(flipped), ValueError, "is damaged", "SHA-256", "copy it again",
    ),
    "other levels than trained": (other_levels, ValueError, "levels", "differ", "put the"),
    # observations
    "no observations file": (floats(given="none.nc"), F, "none.nc", "correct the path"),
    "nothing observed": (floats(lambda v: v.where(False)), ValueError, "0 values", "needs 1"),
    "observations on land": (
        floats(lambda v: v.fillna(15.0)), ValueError, "lie on land", "limit 10%", "check latitude",
    ),
    "observations outside any grid": (
        floats(lambda v: v.assign_coords(latitude=v.latitude + 60)), ValueError, "94", "90",
    ),
    "observations in kelvin": (floats(lambda v: v + 273.15), ValueError, "kelvin", "'K'"),
    "observations in fahrenheit": (
        floats(lambda v: v * 1.8 + 32, given="floats.nc"), ValueError, "reach outside", "°F",
    ),
    "infinite observation": (
        floats(lambda v: v.where(v.isnull(), np.inf)), ValueError, "inf", "finite", "replace",
    ),
    "observations at other levels": (
        floats(lambda v: v.assign_coords(depth=v.depth + 3000)), ValueError, "none of its levels",
        "3009.6", "interpolate",
    ),
    "another kind of temperature": (
        floats(lambda v: v.assign_attrs(standard_name="sea_water_temperature")),
        ValueError, "sea_water_temperature", "trained on", "salinity",
    ),
    "a negative error": (floats(error=-0.1), ValueError, "-0.1", "from 0 to 45"),
    "one member asked": (floats(members=1), ValueError, "1 member", "at least 2"),
    "no steps asked": (floats(steps=0), ValueError, "0 sampling steps", "choose 1"),
    "unknown sampler": (floats(sampler="euler"), ValueError, "'euler'", "ddim"),
    "output that is no NetCDF": (floats(output="dense.txt"), ValueError, "dense.txt", ".nc"),
    "output folder that is not there": (floats(output="no/d.nc"), F, "no", "create it"),
    "no right to write": (no_right, PermissionError, "my ocean files", "another folder"),
    "disk too full for the output": (small_disk, OSError, "0.00 GB are free", "free some"),
}  # fmt: skip


def test_the_table_is_long_enough():
    assert len(CASES) >= 40


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_with_value_limit_and_remedy(user, name, capfd):
    act, error, *words = CASES[name]
    if error == 2:  # by the command line: an exit code, and the words on the standard error
        act(user)
        message = capfd.readouterr().err
    else:
        with pytest.raises(error) as caught:
            act(user)
        message = str(caught.value)
    for word in words:
        assert word in message, f"{word!r} is not in: {message}"
    assert not list(user.home.rglob("*.partial"))
    assert not (user.home / "store").exists()
