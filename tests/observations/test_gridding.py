"""Profiles on a grid: cells and averages by a loop, representativeness, and a simulated float."""

import gdac
import numpy as np
import pytest
import xarray as xr
from tiny import densifier

from ocean_lib.observations import gridding, profiles, representativeness
from ocean_lib.reconstruct.ensemble import reconstruct
from ocean_lib.reconstruct.sampling import Sampling


def test_every_profile_lies_in_its_cell_and_month(table, simulated, statistics):
    assert (table.status.values == "used").all()
    for k in (0, 37, 119):
        one, cast = table.isel(profile=k), simulated[1][k]
        assert float(statistics.latitude[int(one.row)]) == pytest.approx(cast["latitude"])
        assert float(statistics.longitude[int(one.column)]) == pytest.approx(cast["longitude"])
        assert str(one.month.values)[:7] == str(cast["time"])[:7]


def test_a_cell_is_the_average_by_inverse_variances(table, statistics):
    found = gridding.observe_profiles(table, statistics)
    spread, _ = representativeness.representativeness(table, statistics)
    to_mean = representativeness.in_month(table, statistics, "temperature") - table.temperature
    months = found.time.values
    count = np.zeros(found.value.shape, int)
    total, weights = np.zeros((2, *found.value.shape))
    for k in range(table.sizes["profile"]):
        for d in range(table.sizes["depth"]):
            value = float(table.temperature[k, d] + to_mean[k, d])
            if np.isfinite(value):
                at = int(np.flatnonzero(months == table.month.values[k])[0]), d
                at = (*at, int(table.row[k]), int(table.column[k]))
                weight = 1 / (float(table.error[k, d]) ** 2 + float(spread[k, d]) ** 2)
                count[at] += 1
                total[at] += weight * value
                weights[at] += weight
    assert count.max() >= 2  # two floats met
    np.testing.assert_array_equal(found["count"], count)
    np.testing.assert_array_equal(found.observed, count > 0)
    seen = count > 0
    np.testing.assert_allclose(
        found.value.values[seen], (total / weights.clip(1e-9))[seen], rtol=1e-5
    )
    np.testing.assert_allclose(found.error.values[seen], weights[seen] ** -0.5, rtol=1e-5)
    assert np.isnan(found.value.values[~seen]).all() and (found.error.values[~seen] == 0).all()


def test_profiles_find_their_column_on_a_grid_round_the_globe(simulated, statistics, tmp_path):
    width = statistics.sizes["longitude"]
    axis = -180 + 360 / width * (np.arange(width) + 0.5)
    casts = [simulated[1][0] | {"cycle": k, "longitude": x % 360} for k, x in enumerate(axis)]
    path = gdac.write(tmp_path / "f.nc", casts)
    opened = profiles.open_profiles(path, statistics.depth)
    found = gridding.to_cells(opened, statistics.assign_coords(longitude=axis))
    np.testing.assert_array_equal(found.column, np.arange(width))
    assert "outside the region" not in found.status.values


def test_profiles_elsewhere_are_told_why(simulated, statistics, tmp_path):
    where = {
        "used": {},
        "outside the region": {"latitude": 60.0},
        "on land, or below the floor": {
            "latitude": float(statistics.latitude[0]),
            "longitude": float(statistics.longitude[0]),
        },
        "in another month": {"time": np.datetime64("2011-01-05T00:00", "s")},
    }
    casts = [simulated[1][0] | {"cycle": k} | change for k, change in enumerate(where.values())]
    path = gdac.write(tmp_path / "f.nc", casts)
    opened = profiles.open_profiles(path, statistics.depth)
    times = [casts[0]["time"]]
    found = gridding.to_cells(opened, statistics, times)
    assert found.status.values.tolist() == list(where)
    # Whole turns of the globe are the same place.
    turned = gdac.write(tmp_path / "t.nc", [casts[0] | {"longitude": casts[0]["longitude"] + 360}])
    again = gridding.to_cells(profiles.open_profiles(turned, statistics.depth), statistics)
    assert again.status.values.tolist() == ["used"] and int(again.column[0]) == int(found.column[0])
    with pytest.raises(ValueError, match="none of the profiles can be used"):
        gridding.observe_profiles(found.isel(profile=[1]), statistics)


def test_a_simulated_float_reconstructs_as_well_as_the_grids_own_columns(
    small_ocean, small_store, simulated, table, statistics
):
    test = small_store.fields("test")
    seen = gridding.observe_profiles(table, statistics, test)
    # As exact as their file: what lies between a snapshot and a month is nothing here.
    seen["error"] = xr.where(seen.observed, 0.01, 0.0).astype("float32")
    assert (seen.time.values == test.time.values).all()
    inside = test.temperature.where(seen.observed)
    both = np.isfinite(inside.values) & seen.observed.values
    assert both.sum() > 400
    assert float(abs(seen.value - inside).where(seen.observed).std()) < 0.03
    own = seen.copy()
    own["value"] = inside
    model = densifier(small_store)
    drawn = {
        name: reconstruct(model, each, members=2, sampling=Sampling(2))
        for name, each in {"floats": seen, "grid": own}.items()
    }
    hidden = test.ocean & ~seen.observed
    error = {
        name: float(np.sqrt(((one["background"] - test.temperature) ** 2).where(hidden).mean()))
        for name, one in drawn.items()
    }
    normal = float(
        np.sqrt(((drawn["grid"].climatology - test.temperature) ** 2).where(hidden).mean())
    )
    assert error["floats"] < 1.02 * error["grid"] and error["floats"] < 0.95 * normal


def test_error_bars_of_gridded_floats_cover(small_ocean, statistics, tmp_path):
    """The stated error covers the difference between off-centre profiles and cell means."""
    rng = np.random.default_rng(5)
    casts = []
    for number in range(40):
        for month in (50, 51, 52):
            y = float(rng.uniform(33.8, 34.5))
            x = float(rng.uniform(-64.0, -62.8))
            given = gdac.measured(small_ocean, month, y, x, rng, 0.01)
            time = small_ocean.time.values[month].astype("M8[s]") + rng.integers(-12, 12) * 86400
            casts.append(
                gdac.cast(
                    platform=f"{number}",
                    cycle=month,
                    latitude=y,
                    longitude=x,
                    time=str(time),
                    **given,
                )
            )
    opened = profiles.open_profiles(gdac.write(tmp_path / "f.nc", casts), statistics.depth)
    seen = gridding.observe_profiles(gridding.to_cells(opened, statistics), statistics)
    truth = small_ocean.temperature.isel(time=slice(50, 53)).values
    known = seen.observed.values & np.isfinite(truth)
    inside = np.abs(seen.value.values - truth)[known] <= 1.645 * seen.error.values[known]
    assert known.sum() > 300 and inside.mean() > 0.85


def test_a_file_of_floats_becomes_a_map_by_the_command(small_store, simulated, tmp_path, capsys):
    from ocean_lib.__main__ import main

    checkpoint, output = tmp_path / "checkpoint.safetensors", tmp_path / "map.nc"
    densifier(small_store).save(checkpoint)
    command = ["reconstruct", str(checkpoint), str(simulated[0]), str(output)]
    choices = ["--members", "2", "--steps", "2", "--device", "cpu"]
    assert main([*command, *choices]) == 0
    told = capsys.readouterr().out
    assert "120 of 120 profiles are used" in told and "self-check" in told
    with xr.open_dataset(output) as dense:
        assert {"mean", "spread", "members", "profile_status", "profile_latitude"} <= set(dense)
        assert dense.sizes["profile"] == 120 and dense.sizes["time"] == 10
        assert set(dense.profile_status.values.astype(str)) == {"used"}
        assert dense.profile_time.dtype.kind == "M" and "Argo Program" in dense.profiles_credit
        assert dense.credit == "a random ocean"
        assert float(dense["mean"].notnull().mean()) > 0.3
    with xr.open_dataset(tmp_path / "map.observations.nc") as seen:
        assert int(seen["count"].sum()) > 400 and "made_from" in seen.attrs
    # Again: nothing is made anew.
    stamp = output.stat().st_mtime_ns
    assert main([*command, *choices]) == 0 and output.stat().st_mtime_ns == stamp
    (tmp_path / "b.observations.nc").write_bytes((tmp_path / "map.observations.nc").read_bytes())
    other = gdac.write(tmp_path / "other.nc", [gdac.cast()])
    assert main(["reconstruct", str(checkpoint), str(other), str(tmp_path / "b.nc")]) == 2
    assert "made from something else" in capsys.readouterr().err
