"""The frozen benchmark: its files, what refuses them, and scores against plain numpy."""

import hashlib
import runpy
import shutil

import netCDF4
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from tiny import background

from benchmarks.densify import cases, fitted, hashes, methods, results, score, sections
from ocean_lib.model.densifier import Densifier
from ocean_lib.observations.batch import observe, standardise
from ocean_lib.observations.gridded import open_observations
from ocean_lib.observations.screening import screen_observations

PATTERNS = {
    "half": {"pattern": "blocks", "observed": 0.5},
    "profiles": {"pattern": "profiles", "observed": 0.02, "surface": 1.0},
}
TINY = {"width": 8, "multipliers": (1,), "blocks": 1}


@pytest.fixture(scope="module")
def ocean(small_store):
    """The small ocean in the form of a frozen one."""
    fields = small_store.fields("test")
    seen = {name: observe(fields, pattern, 5) for name, pattern in PATTERNS.items()}
    climatology = cases.normal(cases.of_levels(small_store.statistics()), fields)
    return cases.Ocean("small", fields, seen, climatology)


@pytest.fixture
def guess(ocean):
    """An ensemble for both cases, off by some noise."""
    rng = np.random.default_rng(1)
    truth = ocean.fields.temperature
    noise = rng.standard_normal((2, 4, *truth.shape)).astype(np.float32)
    members = truth + xr.DataArray(noise, dims=("case", "member", *truth.dims))
    members = members.assign_coords(case=[*PATTERNS])
    mean, spread = members.mean("member"), members.std("member", ddof=1)
    return xr.Dataset({"members": members, "mean": mean, "spread": spread})


@pytest.mark.parametrize("folder, limit", [(cases.CASES, 8e6), (fitted.FITTED, 15e6)])
def test_frozen_files_have_their_hashes_and_are_small(folder, limit):
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    for line in lines:
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    names = {line.split("  ")[1] for line in lines} | {"SHA256SUMS"}
    assert {path.name for path in folder.iterdir()} == names
    assert sum(path.stat().st_size for path in folder.iterdir()) <= limit


def test_a_case_that_differs_or_is_missing_is_refused(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "cases"
    shutil.copytree(cases.CASES, folder)
    monkeypatch.setattr(cases, "CASES", folder)
    monkeypatch.setattr("sys.argv", ["score", "demo_2", "none.nc"])
    content = bytearray((folder / "demo_2.nc").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "demo_2.nc").write_bytes(content)
    with pytest.raises(ValueError, match="demo_2.nc has the hash .* the benchmark's is"):
        cases.open_ocean("demo_2")
    with pytest.raises(SystemExit):
        score.main()
    assert "demo_2.nc has the hash" in capsys.readouterr().err
    (folder / "demo_2.nc").unlink()
    with pytest.raises(FileNotFoundError, match="demo_2.nc is missing"):
        cases.open_ocean("demo_2")
    with pytest.raises(ValueError, match="atlantis"):
        cases.open_ocean("atlantis")
    with pytest.raises(ValueError, match="other.nc is not among"):
        hashes.verify(folder / "SHA256SUMS", folder, "other.nc")
    with pytest.raises(ValueError, match="atlantis_statistics.nc is not among"):
        fitted.statistics("atlantis")


def test_demo_cases_are_what_they_say():
    ocean = cases.open_ocean("demo_3")
    months = ocean.fields.time.values.astype("M8[M]")
    assert (np.diff(months).astype(int) == 1).all() and len(months) >= 12
    assert [*ocean.observations] == ["50 % blocks", "0.25 % profiles + surface"]
    half, profiles = ocean.observations.values()
    top = half.observed.isel(depth=0).values[:, ocean.fields.ocean.values[0]]
    assert abs(top.mean() - 0.5) < 0.03 and not half.surface_temperature_observed.any()
    columns = profiles.observed.any("depth").mean(("latitude", "longitude"))
    assert (columns > 0.001).all() and (columns <= 0.0026).all()
    assert profiles.surface_temperature_observed.values[:, ocean.fields.ocean.values[0]].all()
    anomaly = (ocean.fields.temperature - ocean.climatology["mean"]).where(ocean.fields.ocean)
    assert 0.3 < float(np.sqrt((anomaly**2).mean())) < 3


def test_a_frozen_file_is_read_as_it_is_packed():
    ocean = cases.open_ocean("demo_3")
    with netCDF4.Dataset(cases.CASES / "demo_3.nc") as raw:
        raw.set_auto_maskandscale(False)
        truth, harmonic, wet = (raw[name][:] for name in ("truth", "harmonic", "ocean"))
        masks = raw["observed"][:], raw["surface_observed"][:]
    there = wet == 1
    np.testing.assert_array_equal(ocean.fields.ocean.values, there)
    value = truth * (24 / 32767) + 21
    got = ocean.fields.temperature.values
    np.testing.assert_allclose(got[:, there], value[:, there], atol=1e-5)
    assert np.isnan(got[:, ~there]).all()
    for number, seen in enumerate(ocean.observations.values()):
        observed = masks[0][number] == 1
        np.testing.assert_array_equal(seen.observed, observed)
        np.testing.assert_array_equal(seen.surface_temperature_observed, masks[1][number] == 1)
        np.testing.assert_array_equal(seen.value.values[observed], got[observed])
        assert np.isnan(seen.value.values[~observed]).all() and (seen.error == 0).all()
    for month in (0, 7):  # the climatology, term by term
        date = ocean.fields.time.values[month]
        year = date.astype("M8[Y]").astype("M8[s]")
        length = (date.astype("M8[Y]") + 1).astype("M8[s]") - year
        phase = 2 * np.pi * float((date.astype("M8[s]") - year) / length)
        terms = [1, np.cos(phase), np.sin(phase), np.cos(2 * phase), np.sin(2 * phase)]
        expected = sum(term * 1e-3 * harmonic[k] for k, term in enumerate(terms))
        got = ocean.climatology["mean"].values[month]
        np.testing.assert_allclose(got[there], expected[there], atol=1e-4)


@pytest.mark.parametrize("name", cases.OCEANS)
def test_kept_statistics_are_those_of_the_frozen_ocean(name):
    ocean, kept = cases.open_ocean(name), fitted.statistics(name)
    wet = ocean.fields.ocean.values
    np.testing.assert_array_equal(kept.wet.values[1:], wet)
    known = cases.normal(cases.of_levels(kept), ocean.fields)["mean"].values[:, wet]
    frozen = ocean.climatology["mean"].values[:, wet]
    np.testing.assert_allclose(known, frozen, atol=2e-3)
    # Anomalies of the test months, the surface's too, have about the deviation stated.
    seen = ocean.observations["0.25 % profiles + surface"].assign(value=ocean.fields.temperature)
    batch = standardise(seen.assign(observed=seen.ocean & (seen.error == 0)), kept)
    for part in (batch["value"][:, torch.from_numpy(wet)], batch["surface"][:, 0, wet[0]]):
        assert 0.6 < part.square().mean().sqrt() < 1.6


def test_kept_methods_reconstruct_a_month():
    ocean, case = cases.open_ocean("demo_1"), "0.25 % profiles + surface"
    kept, truth = fitted.methods("demo_1"), ocean.fields.temperature[[5]]
    seen = {each: found.isel(time=[5]) for each, found in ocean.observations.items()}
    assert "regression + optimal interpolation" not in kept["50 % blocks"]
    made = methods.classical(kept, seen, fitted.statistics("demo_1"))
    error = {name: (each["mean"].sel(case=case) - truth) for name, each in made.items()}
    hidden = seen[case].ocean & ~seen[case].observed & (truth.depth > 10)
    rmse = {name: float(np.sqrt((each.where(hidden) ** 2).mean())) for name, each in error.items()}
    assert sorted(rmse, key=rmse.get) == [
        "regression + optimal interpolation", "optimal interpolation", "climatology", "linear"
    ]  # fmt: skip
    stated = made["regression + optimal interpolation"].error.where(hidden)
    ratio = float(np.sqrt((stated**2).mean())) / rmse["regression + optimal interpolation"]
    assert 0.7 < ratio < 1.4


def test_the_published_reconstructions_have_the_published_scores():
    ocean = cases.open_ocean("demo_1")
    kept = fitted.reconstruction(ocean)
    scores = results.published()
    scores = scores[(scores.ocean == "demo_1") & (scores.layer == "all")]
    area = np.cos(np.deg2rad(ocean.fields.latitude))
    for case, seen in ocean.observations.items():
        one, observed = kept.sel(case=case), seen.observed
        assert (one["mean"].where(observed) == seen.value).where(observed, True).all()
        assert (one.error.where(observed, 0) == 0).all()
        hidden = seen.ocean & ~observed
        assert float(one.error.where(hidden).min()) > 0
        if seen.surface_temperature_observed.any():
            hidden = hidden & (hidden.depth > 5)
        square = (one["mean"] - ocean.fields.temperature) ** 2
        rmse = np.sqrt(float(square.where(hidden).weighted(area).mean()))
        row = scores[(scores.case == case) & (scores.method == "network, mean and error")]
        assert row[row.metric == "rmse"].value.item() == pytest.approx(rmse, rel=1e-3)


def test_scores_are_those_of_plain_numpy(ocean, guess):
    given = {case: {"mine": guess.sel(case=case)[["mean", "members"]]} for case in PATTERNS}
    table = score.score(ocean, given, "mine")
    area = np.cos(np.deg2rad(ocean.fields.latitude.values))[:, None]
    for case in PATTERNS:
        hidden = ocean.fields.ocean.values & ~ocean.observations[case].observed.values
        weight = np.where(hidden, area, 0)
        truth = np.where(hidden, ocean.fields.temperature.values, 0)
        for method, mean in (
            ("mine", guess["mean"].sel(case=case)), ("climatology", ocean.climatology["mean"])
        ):  # fmt: skip
            square = np.where(hidden, mean.transpose(*truth_dims(ocean)).values - truth, 0) ** 2
            expected = np.sqrt((square * weight).sum() / weight.sum())
            row = table[(table.case == case) & (table.method == method) & (table.layer == "all")]
            got = row[row.metric == "rmse"].value.item()
            assert got == pytest.approx(expected, rel=1e-4)
    assert (table.ocean == "small").all()


def truth_dims(ocean):
    return ocean.fields.temperature.dims


def test_files_are_placed_by_their_coordinates(ocean, guess, tmp_path):
    expected = guess.sel(case="half", drop=True)
    path = tmp_path / "mine.nc"
    # Upside down, in float32, with a month and a level too many.
    more = guess.sel(case="half", drop=True).isel(latitude=slice(None, None, -1))
    later = more.isel(time=[-1]).assign_coords(time=more.time[-1:] + np.timedelta64(31, "D"))
    more = xr.concat([later, more], "time")
    deeper = more.isel(depth=[-1]).assign_coords(depth=more.depth[-1:] + 500)
    more = xr.concat([more, deeper], "depth")
    more = more.assign_coords(longitude=more.longitude.astype("float32"))
    more.to_netcdf(path)
    got = score.open_result(path, ocean, "half")["half"]
    assert set(got.data_vars) == {"mean", "members"}
    order = ("time", "depth", "latitude", "longitude")
    np.testing.assert_array_equal(got["mean"].transpose(*order), expected["mean"].transpose(*order))
    more[["members"]].to_netcdf(tmp_path / "members.nc")
    alone = score.open_result(tmp_path / "members.nc", ocean, "half")["half"]
    xr.testing.assert_allclose(alone["mean"].transpose(*got["mean"].dims), got["mean"], atol=1e-5)
    more[["mean", "spread"]].to_netcdf(tmp_path / "spread.nc")
    spread = score.open_result(tmp_path / "spread.nc", ocean, "half")["half"]
    assert set(spread.data_vars) == {"mean", "error"}


def test_files_that_cannot_be_scored_are_refused(ocean, guess, tmp_path):
    def refused(dataset, words, case=None):
        path = tmp_path / "bad.nc"
        path.unlink(missing_ok=True)
        dataset.to_netcdf(path)
        with pytest.raises(ValueError, match=words):
            score.open_result(path, ocean, case)

    one = guess[["mean"]].sel(case="half", drop=True)
    refused(one, "one of the ocean.s with --case")
    refused(one, "one of the ocean.s with --case", "quarter")
    refused(guess.assign_coords(case=["half", "quarter"]), "quarter")
    refused(one.rename(mean="thetao"), "neither mean nor members", "half")
    refused(one.isel(time=slice(1, None)), "lacks time .* of 10 of the case", "half")
    refused(one.isel(depth=0, drop=True), "no dimension 'depth'", "half")
    with pytest.raises(FileNotFoundError, match="no reconstruction at"):
        score.open_result(tmp_path / "none.nc", ocean)
    assert set(score.open_result(_written(guess, tmp_path), ocean)) == set(PATTERNS)


def _written(dataset, folder):
    dataset.to_netcdf(folder / "both.nc")
    return folder / "both.nc"


def test_a_pool_is_scored_as_its_parts(ocean, guess):
    one = {case: guess.sel(case=case, drop=True)[["mean"]] for case in PATTERNS}
    twice = cases.pooled([ocean, ocean])
    assert twice.fields.sizes["longitude"] == 2 * (ocean.fields.sizes["longitude"] + 1)
    both = score.pool_results([one, one])
    tables = [
        score.score(place, {c: {"mine": r} for c, r in given.items()}, "mine")
        for place, given in ((ocean, one), (twice, both))
    ]
    one, two = (t[(t.metric == "rmse") & (t.layer == "all")].reset_index() for t in tables)
    np.testing.assert_allclose(two.value, one.value, rtol=1e-6)
    assert (two.n == 2 * one.n).all()


def test_what_is_exported_is_what_may_be_seen(ocean, small_store, tmp_path):
    paths = cases.export(ocean, tmp_path / "seen")
    for path, seen in zip(paths, ocean.observations.values()):
        given = open_observations(path, small_store.statistics())
        got, number = screen_observations(given, small_store.statistics())
        assert number == int(seen.observed.sum())
        for name in ("value", "observed", "ocean"):
            np.testing.assert_array_equal(got[name].values, seen[name].values)
        assert ("surface_temperature" in got) == bool(seen.surface_temperature_observed.any())


def test_new_scores_replace_the_old_ones_of_the_same_method():
    def rows(method, value):
        given = {"ocean": "demo_1", "case": "half", "method": method, "reference": "truth"}
        given |= {"layer": "all", "depth": np.nan, "block": None}
        return {**given, "metric": "rmse", "value": value}

    new = pd.DataFrame([rows("linear", 1.0)])
    old = pd.DataFrame([rows("linear", 2.0), rows("network", 3.0)])
    table = results.combined(new, old).set_index("method")
    assert table.value.to_dict() == {"linear": 1.0, "network": 3.0}
    assert table.measured.to_dict() == {"linear": "now", "network": "as published"}
    assert (results.combined(new.iloc[:0], old).measured == "as published").all()


def test_the_command_verifies_and_prints(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OCEAN_WORKSPACE", str(tmp_path))
    runpy.run_module("benchmarks.densify", run_name="__main__")
    said = capsys.readouterr().out
    assert "verified by SHA-256: demo_1.nc, demo_2.nc, demo_3.nc" in said
    assert "demo_1_network.nc" in said
    if results.SCORES.exists():
        assert "| reduced space |" in said and "as published" in said and "| now |" not in said


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    if not sections.SECTIONS.is_dir():
        pytest.skip("no GLORYS12 sections beside the repository (../shared/data)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OCEAN_WORKSPACE", str(tmp_path_factory.mktemp("workspace")))
        yield sections.sections()


def test_sections_see_three_stations_of_every_test_month(real):
    assert [name for name, *_ in real] == ["Bonavista", "SealIsland", "WhiteBay"]
    for _, store, found in real:
        months = store.times.astype("M8[M]").astype(str)
        ends = {part: months[slice(*store.split[part])][[0, -1]].tolist() for part in store.split
                if part != "kind"}  # fmt: skip
        assert ends == {
            "train": ["1993-01", "2012-09"],
            "validation": ["2013-01", "2015-09"],
            "test": ["2016-01", "2019-12"],
        }
        without, with_surface = (seen for _, seen in found.values())
        xr.testing.assert_identical(without.observed, with_surface.observed)
        columns = without.observed.isel(latitude=0)
        assert (columns.any("depth").sum("longitude") == 3).all()
        # A station is seen at all its levels or at none.
        wet = without.ocean.isel(latitude=0)
        assert (columns == (wet & columns.any("depth"))).all()
        assert not without.surface_temperature_observed.any()
        assert (with_surface.surface_temperature_observed == wet.isel(depth=0)).all()


def test_sections_are_scored_as_one_and_below_190_m(real):
    oceans = [cases.open_ocean(name) for name, *_ in real]
    ocean = cases.pooled(oceans)
    case = "3 stations"
    table = score.score(ocean, {case: {"copy": ocean.climatology}}, "copy")
    table = table[(table.method == "copy") & (table.metric == "rmse")].set_index("layer")
    for layer, least in (("all", 0), (score.BELOW, 190)):
        total, number = 0.0, 0
        for one in oceans:
            error = (one.climatology["mean"] - one.fields.temperature).where(
                one.fields.ocean & ~one.observations[case].observed
            )
            error = error.sel(depth=slice(least, None)).values
            total, number = total + np.nansum(error**2), number + np.isfinite(error).sum()
        assert table.value[layer] == pytest.approx(np.sqrt(total / number), rel=1e-5)
        assert table.n[layer] == number


def test_the_networks_files_are_those_that_are_scored(small_store, ocean, tmp_path, monkeypatch):
    monkeypatch.setenv("OCEAN_WORKSPACE", str(tmp_path))
    monkeypatch.setattr(methods, "STEPS", 2)
    monkeypatch.setattr(methods, "MEMBERS", 3)
    monkeypatch.setattr(results, "GROUPS", {"small": ("small",)})
    monkeypatch.setattr(results, "SCORES", tmp_path / "none.csv")
    monkeypatch.setattr(results, "open_ocean", lambda name, folder: ocean)
    model = Densifier(small_store.statistics(), background(small_store), network=TINY)
    labelled = {"case": [*PATTERNS], "depth": ocean.fields.depth}
    factor = xr.DataArray(np.full((2, 5), 2.0), labelled, ("case", "depth"))
    factors = xr.Dataset({"calibration": factor, "calibration_power": xr.ones_like(factor)})
    made = methods.network(model, ocean.observations, factors)
    methods._keep("small", made)
    assert [*made][-1] == "network" and set(made) < set(results.ORDER)
    table = results.measured(show=lambda line: None)
    spread = table[(table.metric == "spread_skill") & (table.layer == "all")].set_index("method")
    wide, narrow = (spread.value[name].values for name in ("network, calibrated", "network"))
    np.testing.assert_allclose(wide, 2 * narrow, rtol=2e-3)
    assert set(table.method[table.metric == "crps"]) == {*made}
    text = results.markdown(results.combined(table, results.published()))
    lines = text.splitlines()
    assert len(lines) == 2 + 1 + len(made) and lines[2].startswith("| climatology | ")
    assert "half: RMSE, °C" in lines[0] and "**" in text and "| now |" in text
