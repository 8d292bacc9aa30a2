"""The gross check against the climatology: by a loop, on profiles and on gridded values."""

import gdac
import numpy as np
import pytest

from ocean_lib.observations import gridding, profiles
from ocean_lib.observations.batch import observe
from ocean_lib.observations.gridded import open_observations
from ocean_lib.observations.gross_check import LIMIT, SNAPSHOT, is_plausible, plausible_on_grid
from ocean_lib.observations.screening import screen_observations
from ocean_lib.store.climatology import climatology_at


@pytest.fixture(scope="module")
def seen(small_store):
    fields = small_store.fields("test").isel(time=slice(0, 3))
    return observe(fields, {"pattern": "profiles", "observed": 0.1}, seed=3)


@pytest.fixture(scope="module")
def tight(statistics):
    """Statistics of a quieter ocean, in which less is possible."""
    return statistics.assign(deviation=statistics.deviation / 4)


def test_what_is_possible_on_a_grid_is_what_a_loop_says(small_store, statistics, seen):
    rng = np.random.default_rng(0)
    given = seen.assign(value=seen.value + rng.normal(0, 6, seen.value.shape).astype("f4"))
    given = given.transpose("time", "depth", "latitude", "longitude")
    found = plausible_on_grid(given, statistics).values
    normal = climatology_at(statistics, given.time.values)[:, len(small_store.surfaces) :]
    deviation = statistics.deviation.values[len(small_store.surfaces) :]
    checked = 0
    for cell in np.argwhere(given.observed.values):
        t, z, y, x = cell
        away = abs(float(given.value[t, z, y, x]) - normal[t, z, y, x])
        limit = LIMIT * np.hypot(deviation[z, y, x], SNAPSHOT)
        if abs(away - limit) > 1e-3:
            assert found[t, z, y, x] == (away <= limit)
            checked += away > limit
    assert checked > 20


def test_cells_outside_the_region_are_not_judged(statistics, seen):
    far = seen.assign_coords(latitude=seen.latitude + 5).assign(value=seen.value + 30)
    assert plausible_on_grid(far, statistics).all()
    assert (
        not plausible_on_grid(seen.assign(value=seen.value + 30), statistics)
        .where(seen.observed, False)
        .any()
    )


@pytest.mark.parametrize("wrong", [1, 7])
def test_gridded_values_far_from_the_climatology_are_left_out_and_counted(
    tight, seen, tmp_path, wrong
):
    value = seen.value.copy(deep=True)
    cells = np.argwhere(seen.observed.values & (seen.depth > 100).values[:, None, None])[:wrong]
    for cell in cells:
        value[tuple(cell)] += 13.0
    value.assign_attrs(units="degrees_C").to_dataset(name="thetao").to_netcdf(tmp_path / "a.nc")
    given, number = screen_observations(open_observations(tmp_path / "a.nc", tight), tight)
    total = int(seen.observed.sum())
    assert number == total - wrong
    assert given.attrs["notes"][-1].startswith(f"values: {wrong} of {total} observations depart")
    left_out = seen.observed.values & ~given.observed.transpose(*seen.value.dims).values
    np.testing.assert_array_equal(np.argwhere(left_out), cells)


def test_an_unknown_value_is_not_ruled_out():
    given = np.array([np.nan, 0.0, 90.0])
    np.testing.assert_array_equal(is_plausible(given, np.ones(3)), [True, True, False])


def test_all_values_far_away_are_refused(tight, seen, tmp_path):
    value = (seen.value * 0 + 33).where(seen.depth < 50).assign_attrs(units="degrees_C")
    value.to_dataset(name="thetao").to_netcdf(tmp_path / "a.nc")
    with pytest.raises(ValueError, match="limit 10%.*check units, dates"):
        screen_observations(open_observations(tmp_path / "a.nc", tight), tight)


@pytest.mark.parametrize(("value", "depth"), [(40.0, 900.0), (31.0, 400.0), (104.0, 110.0)])
def test_a_grid_with_values_that_no_sea_holds_there_is_refused(
    statistics, seen, tmp_path, value, depth
):
    given = seen.value.copy(deep=True)
    level = int(abs(seen.depth - depth).argmin())
    cell = np.argwhere(seen.observed.values[:, level])[0]
    given[cell[0], level, cell[1], cell[2]] = value
    given.assign_attrs(units="degrees_C").to_dataset(name="thetao").to_netcdf(tmp_path / "a.nc")
    with pytest.raises(ValueError, match=f"{value:g} °C"):
        screen_observations(open_observations(tmp_path / "a.nc", statistics), statistics)


@pytest.mark.parametrize("levels", [3, 40])
def test_values_and_casts_far_from_the_climatology_are_left_out_and_counted(
    small_ocean, statistics, tight, tmp_path, levels
):
    """A few impossible levels are left out; if most are, so is the cast."""
    where = {
        "latitude": float(statistics.latitude[15]),
        "longitude": float(statistics.longitude[20]),
    }
    measured = gdac.measured(small_ocean, 50, **where)
    wrong = {key: values.copy() for key, values in measured.items()}
    wrong["temperature"][-levels:] -= 13.0
    wrong["temperature"] = np.maximum(wrong["temperature"], -2.0)
    time = str(small_ocean.time.values[50].astype("M8[s]"))
    casts = [
        gdac.cast(cycle=number, time=time, **where, **given)
        for number, given in enumerate((measured, wrong))
    ]
    table = profiles.open_profiles(gdac.write(tmp_path / "f.nc", casts), statistics.depth)
    found = gridding.to_cells(table, tight)
    month = small_ocean.time.values[[50]].astype("M8[M]").astype("M8[ns]")
    normal = climatology_at(tight, month)[0, -5:, 15, 20]
    limit = LIMIT * np.hypot(tight.deviation.values[-5:, 15, 20], SNAPSHOT)
    far = abs(table.temperature.values[1] - normal) > limit
    assert far.any()
    refused = far.sum() > np.isfinite(table.temperature.values[1]).sum() / 2
    assert found.status.values.tolist() == [
        "used",
        "far from the climatology" if refused else "used",
    ]
    assert np.isnan(found.temperature.values[1][far]).all()
    assert np.isfinite(found.temperature.values[0]).any()
    told = profiles.describe_use(found)
    assert f"{far.sum()} values of temperature more than {LIMIT:g} standard deviations" in told


def test_profiles_of_a_model_of_days_are_refused(small_store, statistics, table):
    daily = statistics.assign_attrs(dates_per_month=30.4)
    with pytest.raises(ValueError, match="30 fields a month.*limit 1"):
        gridding.to_cells(table, daily)
    days = np.datetime64("1997-03-01T12", "ns") + np.arange(20).astype("m8[D]")
    for times in (days, days[::7]):
        with pytest.raises(ValueError, match="fields a month.*limit 1; give a model of monthly"):
            gridding.to_cells(table, statistics, times)
