"""Derived quantities of a reconstruction's file against those of its members."""

import numpy as np
import pytest
import xarray as xr
from tiny import PATTERNS, astir, densifier

from ocean_lib.__main__ import main
from ocean_lib.fields.derived import derive
from ocean_lib.fields.reconstruction_file import (
    assemble_cases,
    observations_of_case,
    read_reconstruction,
    write_reconstruction,
)
from ocean_lib.observations.batch import observe
from ocean_lib.reconstruct import derived
from ocean_lib.reconstruct.ensemble import reconstruct
from ocean_lib.reconstruct.from_files import reconstruct_files
from ocean_lib.reconstruct.sampling import Sampling

FAST = {"members": 3, "sampling": Sampling(1, tile=16, chunk=4)}


@pytest.fixture
def given(small_store, tmp_path):
    """A checkpoint, and observations of two dates."""
    astir(densifier(small_store), size=0.05).save(tmp_path / "checkpoint.safetensors")
    fields = small_store.fields("test").isel(time=slice(0, 2))
    seen = observe(fields, {"pattern": "profiles", "observed": 0.05}, seed=3)
    xr.Dataset({"thetao": seen.value}).to_netcdf(tmp_path / "floats.nc")
    return tmp_path / "checkpoint.safetensors", tmp_path / "floats.nc", tmp_path / "dense.nc"


def test_the_file_holds_mean_and_error_over_the_members(given, monkeypatch):
    monkeypatch.setattr(derived, "ROWS", 7)
    names = ["heat_content_100", "isotherm_15"]
    reconstruct_files(*given, **FAST, derive=names, show=lambda line: None)
    with xr.open_dataset(given[2]) as file:
        members = file[["members"]].rename(members="temperature").assign(ocean=file.ocean == 1)
        expected = derive(members, names)
        means = file[["mean"]].rename(mean="temperature").assign(ocean=file.ocean == 1)
        for name in names:
            found = expected[name].transpose("time", "member", ...)
            # Of a sum over the column, that of the mean field; else the mean over the members.
            mean = found.mean("member", skipna=False)
            mean = derive(means, [name])[name] if name == "heat_content_100" else mean
            assert file[name].dims == ("time", "latitude", "longitude")
            assert file[name].units == found.units and found.long_name in file[name].long_name
            for variable, values in (
                (name, mean),
                (f"{name}_error", found.std("member", ddof=1, skipna=False)),
            ):
                np.testing.assert_allclose(file[variable], values, rtol=2e-4, atol=1e-2)
            normal = file[["climatology"]].rename(climatology="temperature")
            normal = derive(normal.assign(ocean=file.ocean == 1), [name])[name]
            np.testing.assert_allclose(file[f"{name}_climatology"], normal, rtol=2e-4, atol=1e-2)
        assert np.isfinite(file.heat_content_100).any() and np.isfinite(file.isotherm_15).any()


def test_the_background_alone_has_no_error(given, monkeypatch):
    monkeypatch.setattr("ocean_lib.reconstruct.self_check.SelfCheck.worse_than", lambda *_: True)
    choices = FAST | {"fallback": True, "show": lambda line: None}
    reconstruct_files(*given, **choices, derive=["heat_content_100"])
    with xr.open_dataset(given[2]) as file:
        assert "heat_content_100" in file and "heat_content_100_error" not in file


def test_what_a_model_cannot_give_is_refused_before_any_work(given, capsys):
    command = ["reconstruct", *map(str, given), "--derive"]
    for names, words in (
        ("heat_content_100,warmth", "'warmth' is not known"),
        ("mixed_layer_depth", "needs salinity"),
    ):
        assert main([*command, names]) == 2
        assert words in capsys.readouterr().err and not given[2].exists()
    lines = []
    derived.check_derived(["heat_content_2000"], densifier_statistics(given), lines.append)
    assert "heat_content_2000 is missing where the sea is deeper" in lines[0]


def densifier_statistics(given):
    from ocean_lib.model.densifier import Densifier

    return Densifier.load(given[0]).statistics


def test_quantities_between_levels_have_their_own_depths(tmp_path):
    """With salinity, on a file as `join_dates` writes it."""
    rng, depth = np.random.default_rng(0), np.array([5.0, 15.0, 60.0])
    dims = "time", "member", "depth", "latitude", "longitude"
    no_member = dims[:1] + dims[2:]
    profile = np.array([18.0, 16.0, 10.0])[:, None, None]
    file = xr.Dataset(
        {
            "members": (dims, profile + rng.normal(0, 0.1, (2, 3, 3, 4, 5))),
            "salinity_members": (dims, 34 + profile / 100 + rng.normal(0, 0.01, (2, 3, 3, 4, 5))),
            "climatology": (no_member, np.broadcast_to(profile, (2, 3, 4, 5))),
            "salinity_climatology": (no_member, np.broadcast_to(34 + profile / 100, (2, 3, 4, 5))),
            "ocean": (dims[2:], np.ones((3, 4, 5), np.int8)),
        },
        {"depth": depth, "latitude": np.arange(4.0), "longitude": np.arange(5.0)},
    )
    file = file.assign({"mean": file.members.mean("member")})
    file["salinity_mean"] = file.salinity_members.mean("member")
    file.to_netcdf(tmp_path / "map.nc")
    names = ["stratification", "density", "mixed_layer_depth", "steric_height_40"]
    derived.append_derived(tmp_path / "map.nc", names, "sea_water_potential_temperature")
    with xr.open_dataset(tmp_path / "map.nc") as found:
        assert found.stratification.sizes["middle_depth"] == 2
        np.testing.assert_allclose(found.middle_depth, [10.0, 37.5])
        assert found.density.dims == ("time", "depth", "latitude", "longitude")
        assert (found.stratification > 0).all() and (found.mixed_layer_depth_error > 0).any()
        water = file.rename(members="temperature", salinity_members="salinity")
        expected = derive(water.assign(ocean=water.ocean == 1), names)
        assert {f"{name}_climatology" for name in names} <= {*found}
        fields = file.drop_vars("members").rename(
            {"mean": "temperature", "salinity_mean": "salinity"}
        )
        of_field = derive(fields.assign(ocean=file.ocean == 1), names)
        for name in names:
            mean = expected[name].mean("member")
            mean = of_field[name] if name == "steric_height_40" else mean
            np.testing.assert_allclose(found[name], mean, rtol=1e-4)


def test_quantities_of_a_run_are_those_of_truth_climatology_and_members(small_store, tmp_path):
    model = astir(densifier(small_store), size=0.05)
    fields = small_store.fields("test").isel(time=slice(0, 2))
    seen = {name: observe(fields, PATTERNS[k], seed=3) for k, name in enumerate("ab")}
    drawn = {
        name: reconstruct(model, one, members=3, sampling=Sampling(1)) for name, one in seen.items()
    }
    result = assemble_cases(fields, seen, drawn)
    names = ["heat_content_100", "isotherm_15"]
    made = derived.derive_cases(result, names, "sea_water_potential_temperature")
    parts = "truth", "climatology", "members", "mean", "error"
    assert set(made.data_vars) == {f"{name}_{part}" for name in names for part in parts}
    for name in names:
        assert made[f"{name}_truth"].dims == ("time", "latitude", "longitude")
        one = made.sel(case="b")
        for part, water in (
            ("truth", fields.temperature),
            ("climatology", drawn["b"].climatology),
            ("members", drawn["b"].members),
        ):
            expected = derive(fields[["ocean"]].assign(temperature=water), [name])[name]
            xr.testing.assert_allclose(one[f"{name}_{part}"].drop_vars("case"), expected)
        members = one[f"{name}_members"]
        of_field = derive(fields[["ocean"]].assign(temperature=drawn["b"]["mean"]), [name])[name]
        mean = {"isotherm_15": members.mean("member", skipna=False)}.get(name, of_field)
        np.testing.assert_allclose(one[f"{name}_mean"], mean, rtol=1e-5)
        np.testing.assert_allclose(
            one[f"{name}_error"], members.std("member", ddof=1, skipna=False)
        )
        assert one[f"{name}_error"].units == members.units
        assert one[f"{name}_error"].long_name.startswith("Standard deviation of the members: ")
    path = write_reconstruction(result.merge(made), tmp_path / "r.nc")
    again = read_reconstruction(path)
    np.testing.assert_allclose(again.heat_content_100_mean, made.heat_content_100_mean, rtol=1e-6)
    # The error of a derived quantity is none of an observation.
    assert set(observations_of_case(again, "a").data_vars) == set(seen["a"].data_vars)


def test_the_usual_quantities_are_those_that_a_model_gives(small_store):
    lines: list[str] = []
    statistics = small_store.statistics()
    assert derived.default_derived(statistics, lines.append) == [
        "heat_content_300",
        "heat_content_700",
    ]
    assert [line.split(" is not derived: ")[0] for line in lines] == [*derived.USUAL[2:]]
    assert all("needs salinity" in line for line in lines)
    variables = {"variables": ["temperature", "salinity"]}
    salty = statistics.assign_attrs(variables)
    assert derived.default_derived(salty, lines.append) == [*derived.USUAL] and len(lines) == 2
    shallow = salty.isel(depth=slice(0, 4))
    lines.clear()
    found = derived.default_derived(shallow, lines.append)
    assert found == ["heat_content_300", "mixed_layer_depth"]
    assert lines[0] == "heat_content_700 is not derived: the model's levels end at 318 m"
    # What is asked for by name is refused.
    with pytest.raises(ValueError, match="mixed_layer_depth needs salinity"):
        derived.check_derived(["mixed_layer_depth"], statistics)
