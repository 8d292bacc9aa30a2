"""Salinity rides along: from a file to scores, beside temperature and never mixed with it."""

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from tiny import NETWORK, PATTERNS, astir, background

from ocean_lib.classical import optimal_interpolation, simple
from ocean_lib.classical.regression import CovarianceRegression, channel_covariance
from ocean_lib.classical.validation import Validation
from ocean_lib.fields import canonical, reconstruction_file
from ocean_lib.model.densifier import Densifier
from ocean_lib.model.patches import PatchSampler
from ocean_lib.observations import gridding, profiles
from ocean_lib.observations.batch import observe
from ocean_lib.reconstruct.ensemble import reconstruct
from ocean_lib.reconstruct.from_files import reconstruct_files
from ocean_lib.reconstruct.sampling import Sampling
from ocean_lib.scores import evaluation
from ocean_lib.store.store import build_store

DIMS = ("time", "depth", "latitude", "longitude")


@pytest.fixture(scope="module")
def salty(small_ocean, tmp_path_factory):
    """`small_ocean` with a salinity that follows temperature, as files of a model hold it."""
    folder = tmp_path_factory.mktemp("salty")
    salinity = 36 - 0.1 * small_ocean.temperature + 0.2 * np.sin(small_ocean.depth / 100)
    names = {"standard_name": "sea_water_salinity", "units": "1e-3"}
    file = xr.Dataset({"thetao": small_ocean.temperature, "so": salinity.assign_attrs(names)})
    file.to_netcdf(folder / "salty.nc")
    opened = canonical.open_fields(folder / "salty.nc", variables=["so"])
    surfaces = small_ocean[["surface_temperature"]]
    return build_store(opened, folder / "store", validation=8, test=10, gap=3, surfaces=surfaces)


@pytest.fixture(scope="module")
def model(salty):
    torch.manual_seed(0)
    densifier = Densifier(salty.statistics(), background(salty), network=NETWORK)
    return astir(densifier, size=0.05)


def test_channels_are_surface_temperature_salinity(small_ocean, salty):
    assert salty.variables == ["temperature", "salinity"] and len(salty.depth) == 5
    assert salty.anomaly.shape[-1] == 1 + 5 + 5
    test = salty.fields("test")
    expected = small_ocean.isel(time=slice(50, 60))
    np.testing.assert_allclose(test.temperature, expected.temperature, atol=2e-3)
    salinity = 36 - 0.1 * expected.temperature + 0.2 * np.sin(expected.depth / 100)
    np.testing.assert_allclose(test.salinity.transpose(*DIMS), salinity.transpose(*DIMS), atol=2e-3)
    # Anomalies of either are of the order of 1, though their units differ by ten.
    for part in (slice(1, 6), slice(6, 11)):
        wet = np.moveaxis(salty.ocean, -1, 0)[part]
        spread = salty.standardised("train")[:, part][:, wet].std()
        assert 0.5 < spread < 1.5


def test_an_instrument_measures_both_where_it_measures_one(salty):
    batch = PatchSampler(salty, "train", patch=12, specifications=PATTERNS).draw(3, 4)
    assert batch["field"].shape == (4, 10, 12, 12)
    seen = batch["observed"]
    assert torch.equal(seen[:, :5], seen[:, 5:]) and seen.any()
    assert (batch["value"][:, 5:][seen[:, 5:]] != 0).any()


def test_a_reconstruction_holds_both_and_meets_both(salty, model):
    test = salty.fields("test").isel(time=slice(0, 2))
    seen = observe(test, PATTERNS[1], seed=3)
    np.testing.assert_array_equal(seen.salinity_observed, seen.observed)
    drawn = reconstruct(model, seen, members=3, sampling=Sampling(2))
    for name, prefix, low, high in (("temperature", "", 0, 35), ("salinity", "salinity_", 31, 37)):
        where = seen[prefix + "observed"].transpose(*DIMS).values
        for quantity in ("mean", "background"):
            array = drawn[prefix + quantity].values
            assert low < np.nanmin(array) and np.nanmax(array) < high
        truth = test[name].transpose(*DIMS).values[where]
        np.testing.assert_allclose(drawn[prefix + "mean"].values[where], truth, atol=1e-3)
    assert drawn.salinity_mean.attrs["units"] and drawn["mean"].attrs["units"] == "degrees_C"
    assert set(drawn.data_vars) == {
        prefix + quantity
        for prefix in ("", "salinity_")
        for quantity in (
            *("members", "mean", "spread", "background", "background_error"),
            *("climatology", "deviation"),
        )
    }


def test_profiles_of_temperature_alone_still_tell_of_salinity(salty, model):
    """They vary together, so a background of salinity that knows temperature beats climatology."""
    test = salty.fields("test")
    seen = observe(test, {"pattern": "profiles", "observed": 0.1}, seed=3)
    seen["salinity_observed"] = xr.zeros_like(seen.salinity_observed)
    statistics = salty.statistics()
    scales = {"lengths": (0.5, 37.0, 37.0), "noise": 0.02, "kernel": "matern32", "neighbours": 128}
    guess = optimal_interpolation.OptimalInterpolation(
        CovarianceRegression(channel_covariance(salty), len(salty.surfaces)), scales
    )(seen, statistics)
    normal = simple.climatology(seen, statistics)
    error = {
        name: float(((one.salinity_mean - test.salinity) ** 2).mean() ** 0.5)
        for name, one in (("ours", guess), ("climatology", normal))
    }
    assert error["ours"] < 0.9 * error["climatology"]


def test_tuning_counts_them_alike_though_their_units_differ_by_ten(salty):
    check = Validation(salty, {"pattern": "pixels", "observed": 0.1, "surface": 0.0}, 0)
    t, y, x = check.holdout_targets.T
    truth = check.truth[t, :, y, x]
    assert check.normalised_rmse(truth, check.holdout_targets) == 0
    nothing = check.normalised_rmse(torch.zeros_like(truth), check.holdout_targets)
    without = []
    for part in (slice(0, 5), slice(5, 10)):
        mean = truth.clone()
        mean[:, part] = 0
        without.append(check.normalised_rmse(mean, check.holdout_targets))
    assert without[0] ** 2 + without[1] ** 2 == pytest.approx(nothing**2, rel=1e-4)
    assert 0.7 < without[0] / without[1] < 1.4


def test_scores_and_files_tell_them_apart(salty, model, tmp_path):
    test = salty.fields("test")
    seen = {"floats": observe(test, PATTERNS[1], seed=3)}
    drawn = {"floats": reconstruct(model, seen["floats"], members=3, sampling=Sampling(2))}
    reconstruction_file.write_reconstruction(
        reconstruction_file.assemble_cases(test, seen, drawn), tmp_path / "r.nc"
    )
    result = reconstruction_file.read_reconstruction(tmp_path / "r.nc").sel(case="floats")
    np.testing.assert_allclose(
        result.salinity_truth.transpose(*DIMS), test.salinity.transpose(*DIMS), atol=1e-3
    )
    scores = evaluation.score_methods(
        result.rename(salinity_truth="salinity"),
        reconstruction_file.observations_of_case(
            reconstruction_file.read_reconstruction(tmp_path / "r.nc"), "floats"
        ),
        {
            "climatology": xr.Dataset({"mean": result.salinity_climatology}),
            "reconstruction": xr.Dataset(
                {"mean": result.salinity_mean, "members": result.salinity_members}
            ),
        },
        case="floats, salinity",
        ours="reconstruction",
        variable="salinity",
    )
    hidden = (test.ocean & ~seen["floats"].observed).transpose(*DIMS)
    area = np.cos(np.deg2rad(test.latitude)) * hidden
    area = area.where(area.depth > 5, 0)
    square = (drawn["floats"].salinity_mean - test.salinity) ** 2
    expected = float(((square * area).sum() / area.sum()) ** 0.5)
    row = scores.query("method == 'reconstruction' and layer == 'all' and metric == 'rmse'")
    assert float(row.value.iloc[0]) == pytest.approx(expected, rel=2e-3)


def test_a_file_with_salinity_is_densified_and_one_without_too(salty, model, tmp_path):
    model.save(tmp_path / "checkpoint.safetensors")
    test = salty.fields("test").isel(time=[0])
    seen = observe(test, {"pattern": "profiles", "observed": 0.05}, seed=3)
    both = xr.Dataset(
        {
            "thetao": seen.value,
            "so": seen.salinity_value.assign_attrs(
                standard_name="sea_water_salinity", units="1e-3"
            ),
        }
    )
    for name, file in (("both", both), ("one", both[["thetao"]])):
        file.to_netcdf(tmp_path / f"{name}.nc")
        output = tmp_path / f"{name}_dense.nc"
        quiet = {"show": lambda line: None}
        reconstruct_files(
            tmp_path / "checkpoint.safetensors",
            tmp_path / f"{name}.nc",
            output,
            members=2,
            sampling=Sampling(1),
            **quiet,
        )
        with xr.open_dataset(output) as dense:
            mean = dense.salinity_mean.transpose(*DIMS).values
            where = seen.observed.transpose(*DIMS).values
            off = np.abs(mean - seen.salinity_value.transpose(*DIMS).values)[where]
            assert (off.max() < 1e-3) == (name == "both")


@pytest.fixture
def floats(salty, tmp_path):
    """Three casts at cells of the test months; the last one measures no salinity."""
    fields = salty.fields("test")
    rows = []
    for number, (row, column) in enumerate(((9, 14), (12, 20), (15, 10))):
        one = fields.isel(time=number, latitude=row, longitude=column)
        rows.append(
            pd.DataFrame(
                {
                    "time": str(one.time.values)[:10],
                    "latitude": float(one.latitude),
                    "longitude": float(one.longitude),
                    "platform": f"float {number}",
                    "depth": one.depth.values,
                    "temperature": one.temperature.values,
                    "salinity": one.salinity.values if number < 2 else np.nan,
                }
            ).dropna(subset=["temperature"])
        )
    pd.concat(rows).to_csv(tmp_path / "floats.csv", index=False)
    return tmp_path / "floats.csv"


def test_casts_measure_both_and_those_without_salinity_stay_useful(salty, floats):
    statistics, fields = salty.statistics(), salty.fields("test").isel(time=slice(0, 3))
    kind = statistics.attrs["standard_name"]
    table = gridding.to_cells(profiles.open_profiles(floats, salty.depth, kind), statistics)
    seen = gridding.observe_profiles(table, statistics, fields)
    both = seen.salinity_observed.any(("depth", "latitude", "longitude")).values
    assert seen.observed.any(("depth", "latitude", "longitude")).values.all()
    assert both.tolist() == [True, True, False]
    assert not (seen.salinity_observed & ~seen.observed).any()
    away = (seen.salinity_value - fields.salinity).where(seen.salinity_observed)
    assert float(abs(away).max()) < 1e-3
    stated = seen.salinity_error.values[seen.salinity_observed.values]
    assert (stated > 0.01).all() and (stated < 0.2).all()  # of the instrument and of a snapshot


def test_a_file_of_casts_with_salinity_becomes_both_fields(salty, model, floats, tmp_path):
    from ocean_lib.__main__ import main

    checkpoint, output = tmp_path / "checkpoint.safetensors", tmp_path / "map.nc"
    model.save(checkpoint)
    command = ["reconstruct", str(checkpoint), str(floats), str(output)]
    assert main([*command, "--members", "2", "--steps", "2", "--device", "cpu"]) == 0
    with (
        xr.open_dataset(output) as dense,
        xr.open_dataset(tmp_path / "map.observations.nc") as seen,
    ):
        assert {"mean", "salinity_mean", "salinity_members"} <= set(dense)
        number = seen.salinity.notnull().sum(("depth", "latitude", "longitude"))
        assert (number.values > 0).tolist() == [True, True, False]
        assert float(seen.salinity_error.where(seen.salinity.notnull()).min()) > 0.01
