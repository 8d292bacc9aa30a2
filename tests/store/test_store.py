"""The store against recomputation: values, climatology of the training block alone, splits."""

import json

import numpy as np
import pytest
import xarray as xr

from ocean_lib.core import chunks
from ocean_lib.core.months import choose_split
from ocean_lib.store.build import STEP
from ocean_lib.store.climatology import climatology_at, harmonics
from ocean_lib.store.store import Store, build_store, existing_store


def cycle(times, number=5):
    """Mean, annual and semi-annual cycle of dates, by day of the year, written out."""
    rows = []
    for time in np.asarray(times).astype("M8[s]"):
        first = time.astype("M8[Y]")
        days = ((first + 1).astype("M8[D]") - first.astype("M8[D]")).astype(int)
        phase = 2 * np.pi * (time - first.astype("M8[s]")).astype(float) / 86400 / days
        rows.append([1, np.cos(phase), np.sin(phase), np.cos(2 * phase), np.sin(2 * phase)])
    return np.array(rows)[:, :number]


def small(fields, folder, **arguments):
    given = {"validation": 8, "test": 10, "gap": 3, "surfaces": fields[["surface_temperature"]]}
    return build_store(fields, folder, **given | arguments)


# Values


@pytest.mark.parametrize(
    "part, first, last", [("train", 0, 36), ("validation", 39, 47), ("test", 50, 60)]
)
def test_fields_come_back_within_half_a_step(small_ocean, small_store, part, first, last):
    original, back = small_ocean.isel(time=slice(first, last)), small_store.fields(part)
    for name in ("time", "depth", "latitude", "longitude"):
        np.testing.assert_array_equal(back[name], original[name])
    np.testing.assert_array_equal(back.ocean, original.ocean)
    assert back.temperature.dims == ("time", "depth", "latitude", "longitude")
    assert back.temperature.dtype == back.surface_temperature.dtype == np.float32
    assert back.temperature.attrs["standard_name"] == "sea_water_potential_temperature"
    assert (back.attrs["credit"], back.attrs["licence"]) == ("a random ocean", "CC0")
    deviation = np.moveaxis(small_store.deviation, -1, 0)
    for name, spread in (("temperature", deviation[1:]), ("surface_temperature", deviation[0])):
        np.testing.assert_array_equal(np.isnan(back[name]), np.isnan(original[name]))
        difference = np.abs(back[name].values - original[name].values)
        assert np.nanmax(difference - 0.5 * STEP * spread) < 5e-6  # float32 of 20 °C


def test_standardised_values_are_the_anomalies_over_their_deviation(small_ocean, small_store):
    values = small_store.standardised("validation")
    assert values.shape == (8, 6, 20, 28) and values.dtype == np.float32
    wet = np.moveaxis(small_store.ocean, -1, 0)
    assert not values[:, ~wet].any()
    temperature = small_ocean.temperature.values
    normal = np.tensordot(cycle(small_ocean.time), small_store.climatology[..., 3], 1)
    expected = (temperature[:, 2] - normal) / small_store.deviation[..., 3]
    expected = np.where(wet[3], expected[39:47], 0)
    np.testing.assert_allclose(values[:, 3], expected, atol=0.51 * STEP)


def test_training_anomalies_have_zero_mean_and_about_unit_variance(small_store):
    values = small_store.standardised("train")[:, np.moveaxis(small_store.ocean, -1, 0)]
    assert np.abs(values.mean(0)).max() < 1e-3
    # Smoothing the deviation in space leaves single cells off 1, not their mean.
    assert (values**2).mean() == pytest.approx((36 - 5) / 36, rel=0.1)


# Statistics


def test_harmonics_are_the_annual_and_semi_annual_cycle():
    times = np.array(["1996-01-01", "1996-02-29T12", "1997-07-02", "1999-12-31T23"], "M8[ns]")
    np.testing.assert_allclose(harmonics(times), cycle(times), atol=1e-9)
    np.testing.assert_allclose(harmonics(times, 3), cycle(times, 3), atol=1e-9)
    assert harmonics(times, 1).tolist() == [[1]] * 4


def test_climatology_and_deviation_equal_least_squares_on_the_training_months(
    small_ocean, tmp_path
):
    store = small(small_ocean, tmp_path / "s", smoothing=0.0, floor=0.0)
    statistics = store.statistics()
    given = climatology_at(statistics, small_ocean.time.values)
    channels = [small_ocean.surface_temperature] + [small_ocean.temperature[:, k] for k in range(5)]
    for channel, field in enumerate(channels):
        wet = store.ocean[..., channel]
        values = field.values[:, wet].astype(float)
        coefficients, square, *_ = np.linalg.lstsq(cycle(small_ocean.time[:36]), values[:36])
        expected = cycle(small_ocean.time) @ coefficients
        np.testing.assert_allclose(given[:, channel][:, wet], expected, atol=2e-5)
        deviation = np.sqrt(square / (36 - 5))
        expected = np.maximum(deviation, 0.3 * deviation.mean())
        np.testing.assert_allclose(store.deviation[wet, channel], expected, rtol=1e-4)


def test_the_deviation_is_a_gaussian_mean_over_the_ocean(small_ocean, tmp_path):
    raw, smooth = (
        small(small_ocean, tmp_path / str(k), smoothing=k, floor=0.0).deviation for k in (0.0, 2.0)
    )
    reach = np.arange(-8, 9)
    weight = np.exp(-np.add.outer(reach**2, reach**2) / (2 * 2.0**2))
    for channel in (0, 2, 5):
        wet = np.asarray(small_ocean.ocean[max(channel - 1, 0)])
        ocean = np.pad(wet, 8, mode="edge")
        values = np.pad(np.where(wet, raw[..., channel], 0), 8, mode="edge")
        for y, x in ((0, 0), (6, 2), (10, 15), (19, 27)):
            near = weight * ocean[y : y + 17, x : x + 17]
            if not near.sum() > 1e-3:
                continue
            expected = (near * values[y : y + 17, x : x + 17]).sum() / near.sum()
            expected = max(expected, 0.3 * raw[wet, channel].mean())
            assert smooth[y, x, channel] == pytest.approx(expected, rel=1e-3)


def test_the_deviation_has_a_floor(small_ocean, tmp_path):
    still = small_ocean.copy(deep=True)
    still.temperature[:, 3] = still.temperature[:1, 3].values
    np.testing.assert_allclose(small(still, tmp_path / "s").deviation[..., 4], 0.02, rtol=1e-6)
    assert small(still, tmp_path / "f", floor=0.5).deviation.min() == pytest.approx(0.5)


def test_months_after_the_training_block_change_no_statistic(small_ocean, tmp_path, small_store):
    changed = small_ocean.copy(deep=True)
    changed.temperature[36:] += 7
    changed.temperature[40:] *= -1
    changed.surface_temperature[36:] = 3.0
    other = small(changed, tmp_path / "s")
    np.testing.assert_array_equal(other.climatology, small_store.climatology)
    np.testing.assert_array_equal(other.deviation, small_store.deviation)
    np.testing.assert_array_equal(other.anomaly[:36], small_store.anomaly[:36])
    assert not np.array_equal(other.anomaly[36:], small_store.anomaly[36:])


def test_a_change_in_the_last_training_month_does_change_them(small_ocean, tmp_path, small_store):
    changed = small_ocean.copy(deep=True)
    changed.temperature[35] += 7
    other = small(changed, tmp_path / "s")
    assert np.abs(other.climatology - small_store.climatology).max() > 0.1


# Splits


def test_blocks_of_time_keep_their_gaps(small_store):
    chunks = [small_store.block(part)[0] for part in ("train", "validation", "test")]
    assert [(block.start, block.stop) for block in chunks] == [(0, 36), (39, 47), (50, 60)]
    for part in ("train", "validation", "test"):
        assert small_store.block(part)[1] == slice(0, 28)
        assert small_store.shape(part) == (20, 28)
    with pytest.raises(ValueError, match="'tests'.*train"):
        small_store.block("tests")


def test_few_dates_are_split_in_space_with_a_gap(small_ocean, tmp_path):
    few = small_ocean.isel(time=slice(0, 5)).copy(deep=True)
    store = build_store(few, tmp_path / "s", gap_cells=3)
    assert store.split["kind"] == "space" and not store.surfaces
    bands = [store.block(part) for part in ("train", "validation", "test")]
    assert all(times == slice(0, 5) for times, _ in bands)
    columns = [band for _, band in bands]
    assert columns[0].start == 0 and columns[2].stop == 28
    assert columns[1].start - columns[0].stop == columns[2].start - columns[1].stop == 3
    assert min(band.stop - band.start for band in columns) >= 3
    # One profile of the training band is the climatology, and one deviation, everywhere.
    inside = few.isel(longitude=columns[0]).temperature.values
    expected = np.nanmean(inside, (0, 2, 3))
    np.testing.assert_allclose(store.climatology[0, 9, 20], expected, rtol=1e-5)
    np.testing.assert_allclose(store.deviation[9, 20], np.nanstd(inside, (0, 2, 3)), rtol=1e-4)
    # So what lies outside the band must not count.
    few.temperature[..., columns[0].stop :] += 5
    again = build_store(few, tmp_path / "t", gap_cells=3)
    np.testing.assert_array_equal(again.climatology, store.climatology)
    np.testing.assert_array_equal(again.deviation, store.deviation)
    back = store.fields("test")
    assert back.sizes["longitude"] == columns[2].stop - columns[2].start
    np.testing.assert_array_equal(back.longitude, few.longitude[columns[2]])


def test_auto_splits_in_time_from_48_dates_on(small_ocean, tmp_path):
    for number, kind in ((47, "space"), (48, "time")):
        fields = small_ocean.isel(time=slice(0, number))
        store = build_store(fields, tmp_path / kind, validation=6, test=6, gap_cells=2)
        assert store.split["kind"] == kind


@pytest.mark.parametrize(
    "dates, arguments, words",
    [
        (20, {"split": "time"}, ["20 dates", "18 for validation", "24", "split='space'"]),
        (60, {"validation": 30, "test": 20}, ["60 dates", "leave 4", "30", "20"]),
        (5, {"gap_cells": 5}, ["28 columns", "gaps of 5", "at most 4"]),
        (5, {"split": "random"}, ["'random'", "'time'", "'space'"]),
    ],
)
def test_a_split_that_cannot_be_is_refused(small_ocean, tmp_path, dates, arguments, words):
    with pytest.raises(ValueError) as caught:
        build_store(small_ocean.isel(time=slice(0, dates)), tmp_path / "s", **arguments)
    for word in words:
        assert word in str(caught.value), f"{word!r} is not in {caught.value}"
    assert list(tmp_path.iterdir()) == []


# Land, extremes


def test_a_level_of_land_alone_stays_empty_and_harms_nothing(small_ocean, tmp_path):
    sunk = small_ocean.copy(deep=True)
    sunk.ocean[4] = False
    sunk.temperature[:, 4] = np.nan
    store = small(sunk, tmp_path / "s")
    assert not store.anomaly[..., 5].any() and np.isfinite(store.deviation).all()
    assert (store.deviation > 0).all() and np.isfinite(store.climatology).all()
    back = store.fields("test")
    assert np.isnan(back.temperature[:, 4]).all() and not np.isnan(back.temperature[:, 0]).all()


def test_a_region_without_ocean_is_refused(small_ocean, tmp_path):
    land = small_ocean.copy(deep=True)
    land.ocean[:] = False
    with pytest.raises(ValueError, match="0 ocean cells.*another region"):
        small(land, tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_values_beyond_the_range_are_clipped_and_counted(small_ocean, tmp_path, small_store):
    extreme = small_ocean.copy(deep=True)
    extreme.temperature[55, 1, 10, 10:13] += np.array([2000.0, -2000.0, 5.0], "f4")
    store = small(extreme, tmp_path / "s")
    assert small_store.description["clipped"] == 0
    assert store.description["clipped"] == 2
    assert store.anomaly[55, 10, 10:12, 2].tolist() == [32767, -32767]
    assert abs(int(store.anomaly[55, 10, 12, 2])) < 32767


def test_the_order_of_dimensions_does_not_matter(small_ocean, tmp_path, small_store):
    turned = small_ocean.transpose("longitude", "depth", "time", "latitude")
    store = small(turned, tmp_path / "s")
    np.testing.assert_array_equal(store.anomaly, small_store.anomaly)
    np.testing.assert_array_equal(store.ocean, small_store.ocean)


def test_one_level_works(small_ocean, tmp_path):
    store = build_store(small_ocean.isel(depth=[2]), tmp_path / "s", validation=8, test=10)
    assert store.anomaly.shape == (60, 20, 28, 1)
    back = store.fields("test").temperature.squeeze("depth")
    np.testing.assert_allclose(back, small_ocean.temperature[50:, 2], atol=1e-2)


def test_many_blocks_give_the_same_store(small_ocean, tmp_path, small_store, monkeypatch):
    """A field so large that a block is a part of it, and few dates are read at once."""
    monkeypatch.setattr(chunks, "MEMORY", 3e5)
    monkeypatch.setattr(chunks, "READ_BYTES", 1e5)
    totals = []

    def progress(records, total):
        totals.append(total)
        return records

    store = small(small_ocean, tmp_path / "s", progress=progress)
    assert totals[0] > 10
    np.testing.assert_array_equal(store.climatology, small_store.climatology)
    np.testing.assert_array_equal(store.deviation, small_store.deviation)
    np.testing.assert_array_equal(store.anomaly, small_store.anomaly)


# Files


def test_a_build_that_is_interrupted_leaves_the_store_as_it_was(small_ocean, tmp_path):
    def stop(records, total):
        for record in records:
            yield record
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small(small_ocean, tmp_path / "s", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["s.partial"]
    first = small(small_ocean, tmp_path / "s")
    before = first.anomaly[:].copy()
    with pytest.raises(KeyboardInterrupt):
        warmer = small_ocean.assign(temperature=small_ocean.temperature + 1)
        small(warmer, tmp_path / "s", progress=stop)
    np.testing.assert_array_equal(Store(tmp_path / "s").anomaly, before)
    # What was begun with other values is not gone on with.
    np.testing.assert_array_equal(small(small_ocean, tmp_path / "s").anomaly, before)
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_building_again_replaces_the_store(small_ocean, tmp_path):
    small(small_ocean, tmp_path / "deep" / "s")
    store = small(small_ocean.isel(depth=slice(0, 2)), tmp_path / "deep" / "s")
    assert len(store.depth) == 2 and store.anomaly.shape[-1] == 3
    assert sorted(path.name for path in (tmp_path / "deep" / "s").iterdir()) == [
        "anomaly.npy",
        "climatology.npy",
        "deviation.npy",
        "ocean.npy",
        "store.json",
    ]


def test_the_same_request_finds_the_store_and_another_is_refused(small_ocean, tmp_path):
    folder = tmp_path / "s"
    request = {"source": "demo", "region": (-70.0, -60.0, 32.0, 40.0), "levels": [10, 100]}
    assert existing_store(folder, request) is None
    built = small(small_ocean, folder, request=request)
    found = existing_store(folder, dict(reversed(request.items())))
    assert isinstance(found, Store)
    np.testing.assert_array_equal(found.anomaly, built.anomaly)
    other = request | {"levels": [10, 200], "seed": 3}
    with pytest.raises(ValueError) as caught:
        existing_store(folder, other)
    message = str(caught.value)
    for word in ("levels [10, 100] -> [10, 200]", "seed None -> 3", "another name", str(folder)):
        assert word in message, f"{word!r} is not in {message}"
    assert "source" not in message and "region" not in message
    assert Store(folder).description["request"]["source"] == "demo"


def test_an_absent_store_or_another_format_is_refused(small_ocean, tmp_path):
    with pytest.raises(FileNotFoundError, match="no store at .*01_download"):
        Store(tmp_path / "s")
    small(small_ocean, tmp_path / "s")
    path = tmp_path / "s" / "store.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(ValueError, match="99.*reads 3.*delete the folder"):
        Store(tmp_path / "s")


def test_statistics_hold_what_restoring_needs(small_store):
    statistics = small_store.statistics()
    assert isinstance(statistics, xr.Dataset)
    assert statistics.sizes == {
        "term": 5,
        "channel": 6,
        "latitude": 20,
        "longitude": 28,
        "depth": 5,
    }
    assert (
        statistics.attrs["surfaces"] == {"surface_temperature": 0.1}
        and statistics.attrs["licence"] == "CC0"
    )
    np.testing.assert_array_equal(statistics.deviation[2], small_store.deviation[..., 2])
    np.testing.assert_array_equal(statistics.harmonic[3, 2], small_store.climatology[3, ..., 2])
    np.testing.assert_array_equal(statistics.wet[5], small_store.ocean[..., 5])
    assert statistics.attrs["variables"] == ["temperature"] == small_store.variables
    assert statistics.attrs["units"] == {"temperature": "degrees_C"}
    assert statistics.attrs["months"] == list(range(1, 13))
    assert statistics.attrs["first"] == "1993-01-16" and statistics.attrs["last"] == "1995-12-16"
    json.dumps(statistics.attrs)  # plain Python, fit for a checkpoint that is loaded safely


def test_statistics_and_the_store_are_views_of_files(small_store):
    statistics = small_store.statistics()
    for array in (statistics.harmonic, statistics.deviation, statistics.wet, small_store.anomaly):
        owner = np.asarray(array)
        while isinstance(owner, np.ndarray) and not isinstance(owner, np.memmap):
            owner = owner.base
        assert isinstance(owner, np.memmap)


def test_some_dates_of_a_part_are_those_of_the_whole(small_store):
    whole, some = small_store.fields("test"), small_store.fields("test", dates=[7, 2])
    xr.testing.assert_identical(some, whole.isel(time=[7, 2]))
    np.testing.assert_array_equal(
        small_store.standardised("test", slice(1, 4)), small_store.standardised("test")[1:4]
    )


def test_a_record_is_long_by_its_months_and_not_by_its_dates(small_ocean, tmp_path):
    daily = np.datetime64("1993-01-01", "D") + np.arange(200)
    choices = {"validation": 2, "test": 2, "gap": 1, "gap_cells": 6}
    assert choose_split(daily, 40, **choices)["kind"] == "space"
    assert choose_split(daily[:1], 40, **choices)["kind"] == "space"
    with pytest.raises(ValueError, match="200 dates leave 16 .*limit 366.*61 for.*gaps of 31"):
        choose_split(daily, 40, "time", **choices)
    # Some 600 days are no two years, though they are more than 24 dates: a mean alone is fitted.
    days = np.datetime64("1993-01-01") + 10 * np.arange(60)
    short = small_ocean.assign_coords(time=days.astype("M8[ns]"))
    store = small(short, tmp_path / "s", split="time", validation=2, test=2, gap=1)
    assert len(store.climatology) == 1 and store.split["train"] == [0, 60 - 7 - 7 - 2 * 3]
