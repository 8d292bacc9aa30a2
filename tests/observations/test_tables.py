"""Tables of casts: separators, flags, cells without a number, memory; all left out is counted."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from ocean_lib.observations import profiles
from ocean_lib.observations.tables import read_table

DEPTH = np.arange(2.0, 300, 4)
KNOWN = 18 - DEPTH / 50
IN_SITU = "sea_water_temperature"


def table(**columns):
    """A cast of 75 values, one every 4 m."""
    return pd.DataFrame(
        {
            "time": "2015-04-03",
            "latitude": 35.0,
            "longitude": -65.0,
            "depth": DEPTH,
            "temperature": KNOWN,
        }
        | columns
    )


def written(tmp_path, frame, name="a.csv", **options):
    frame.to_csv(tmp_path / name, index=False, **options)
    return tmp_path / name


# Flags


def flagged(**columns):
    """Every tenth value is 5 °C too warm, and has another flag."""
    bad = np.arange(len(DEPTH)) % 10 == 5
    marks = {name: np.where(bad, *values) for name, values in columns.items()}
    return table(temperature=KNOWN + 5 * bad, **marks), bad


@pytest.mark.parametrize(
    "columns",
    [
        {"temperature_qc": (4, 1)},
        {"TEMP_QC": (3, 2)},
        {"depth_flag": (9, 1)},
        {"quality": (8, 1)},
        {"qc_flag": (4.0, 1.0)},
        {"temperature_quality_flag": (7, 2), "longitude_qc": (1, 1)},
        {"Temperature QC": (4, 1)},
        {"temperature.qc": (4, 2)},
        {"temperatureqc": (4, 1)},
        {"tempqf": (3, 1)},
        {"QC_FLAG_temp": (4, 1)},
        {"flag-depth": (np.nan, 1)},
    ],
    ids=lambda columns: " ".join(columns),
)
def test_a_flag_column_is_honoured(tmp_path, columns):
    frame, bad = flagged(**columns)
    casts = read_table(written(tmp_path, frame))
    np.testing.assert_allclose(casts.temperature, KNOWN[~bad])
    assert casts.lost["flag is not 1 or 2"] == bad.sum() > 0


def test_flags_of_a_place_leave_out_its_rows_and_those_of_salinity_the_salinity(tmp_path):
    frame, bad = flagged(salinity_qc=(4, 1))
    frame["salinity"] = 35.0
    casts = read_table(written(tmp_path, frame))
    assert len(casts.temperature) == len(DEPTH)
    np.testing.assert_array_equal(np.isnan(casts.salinity), bad)
    frame, bad = flagged(position_qc=(4, 1))
    casts = read_table(written(tmp_path, frame))
    assert casts.lost["rows with a flag of time or position"] == bad.sum()
    np.testing.assert_allclose(casts.temperature, KNOWN[~bad])


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("good", "temperature_qc holds good in row 1"),
        (0, "holds 0 in row 1"),
        (12, "holds 12"),
        (True, "holds True"),
    ],
)
def test_flags_of_another_scheme_are_refused_with_their_column(tmp_path, flag, words):
    path = written(tmp_path, table(temperature_qc=flag))
    with pytest.raises(ValueError, match=words):
        read_table(path)


def test_flags_of_nothing_known_are_refused_and_those_of_other_columns_are_not_ours(tmp_path):
    for name in ("cast_flag", "CTDTMP_FLAG_W", "temperature_qc_agg", "QV:temperature", "qartod"):
        with pytest.raises(ValueError, match="may hold flags.*such as temperature_qc"):
            read_table(written(tmp_path, table(**{name: 1})))
    casts = read_table(written(tmp_path, table(oxygen=1.0, oxygen_qc="B")))
    np.testing.assert_allclose(casts.temperature, KNOWN)


# Cells and columns


def test_a_decimal_comma_is_counted_and_shown(tmp_path):
    text = [f"{v:.3f}" if i % 3 else f"{v:.3f}".replace(".", ",") for i, v in enumerate(KNOWN)]
    casts = read_table(written(tmp_path, table(temperature=text)))
    reason = "cells of temperature hold no number, such as '17,960' in row 1 (a decimal comma?)"
    assert casts.lost[reason] == 25 and len(casts.temperature) == 50


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"temperature": [f"{v:.2f}".replace(".", ",") for v in KNOWN]}, "all 75 cells.*comma"),
        ({"latitude": "35N"}, "all 75 cells of latitude hold no number, such as '35N'"),
        ({"pressure": DEPTH}, "columns depth and pressure; keep the one"),
        ({"error": -0.5}, "an error of -0.5"),
        ({"error": np.inf}, "all 75 cells of error hold no number"),
        ({"error": 99999.0}, "an error of 99999 °C, limits 0 and 10"),
        ({"temperature": True}, "column temperature holds bool"),
        ({"depth": -DEPTH}, "depth runs from -298 to -2; write it positive downwards"),
    ],
)
def test_a_column_that_cannot_be_used_is_refused(tmp_path, columns, words):
    with pytest.raises(ValueError, match=words):
        read_table(written(tmp_path, table(**columns), sep=";", name="a.csv"))


def test_empty_cells_are_counted(tmp_path):
    frame = table()
    frame.loc[:4, "temperature"] = np.nan
    frame.loc[[10, 20], "depth"] = np.nan
    casts = read_table(written(tmp_path, frame))
    assert casts.lost["empty cells of temperature"] == 5 and casts.lost["empty cells of depth"] == 2
    assert len(casts.temperature) == 68


@pytest.mark.parametrize(
    ("name", "separator"),
    [("A.CSV", ","), ("a.tsv", "\t"), ("b.csv", ";"), ("c.csv", "\t"), ("d.TSV", "\t")],
)
def test_separators_and_suffixes(tmp_path, name, separator):
    path = written(tmp_path, table(), name, sep=separator)
    np.testing.assert_allclose(read_table(path).temperature, KNOWN)
    assert profiles.is_profiles(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time,latitude,longitude,depth,temperature,temperature\n2015-04-03,1,2,3,4,5\n", "twice"),
        ("time,latitude,longitude,depth,temperature\n2015-04-03,1,2,3,4,5\n", "cannot be read"),
        ("time,latitude,longitude,depth,temperature\n", "0 rows, needs 1"),
        ("", "first line is ''"),
        ("# made by hand\ntime,latitude,longitude,depth,temperature\n", "'# made by hand'; begin"),
        (",time,latitude,longitude,depth,temperature\n0,2015-04-03,1,2,3,4\n", "column 1 has no"),
    ],
    ids=["a name twice", "a cell too many", "no rows", "empty", "a comment", "no name"],
)
def test_a_damaged_table_is_refused(tmp_path, text, words):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=words):
        read_table(tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["a.xlsx", "a.ods", "a.odv", "a.txt", "a.csv.gz"])
def test_other_tables_are_refused_for_what_they_are(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\x03\x04")
    assert profiles.is_profiles(tmp_path / name)
    with pytest.raises(ValueError, match="CSV|unpack"):
        profiles.open_profiles(tmp_path / name, [10.0])


@pytest.mark.parametrize(
    ("date", "choices"),
    [
        ("13/04/2015", {}),
        ("20150413", {"date_format": "%Y%m%d"}),
        (42107, {"time_units": "excel days"}),
    ],
)
def test_a_date_beside_a_time_of_day(tmp_path, date, choices):
    frame = table(time="10:30").assign(date=date)
    casts = read_table(written(tmp_path, frame), **choices)
    assert casts.time.tolist() == np.array(["2015-04-13T10:30"], "M8[ns]").tolist()


def test_infinite_cells_and_missing_errors_are_counted(tmp_path):
    error = np.where(np.arange(75) % 2, 0.1, np.nan)
    frame = table(error=error)
    frame.loc[7, "temperature"] = np.inf
    casts = read_table(written(tmp_path, frame))
    assert casts.lost["cells of temperature hold no number, such as 'inf' in row 8"] == 1
    assert casts.lost["without an error (0.1 °C taken)"] == 38 and (casts.error == 0.1).all()


@pytest.mark.parametrize(
    "frame",
    [
        pd.concat([table(), table(time="2015-04-04")]),
        table().set_index("time"),
        table().set_index(["latitude", "longitude"]),
    ],
    ids=["repeated", "named", "two levels"],
)
def test_an_index_of_a_parquet_table_is_no_obstacle(tmp_path, frame):
    frame.to_parquet(tmp_path / "a.parquet")
    assert set(read_table(tmp_path / "a.parquet").platform) == {"a"}


@pytest.mark.parametrize(
    ("encoding", "words"),
    [("utf-16-le", "no column|save it as UTF-8"), ("latin-1", "save it as UTF-8")],
)
def test_another_encoding_is_refused(tmp_path, encoding, words):
    frame = table(platform="Île-de-France")
    (tmp_path / "a.csv").write_text(frame.to_csv(index=False), encoding=encoding)
    with pytest.raises(ValueError, match=words):
        read_table(tmp_path / "a.csv")


# Casts


def test_numbers_keep_their_zeros_as_names_and_dates(tmp_path):
    frame = pd.concat(
        [table(platform="007", time="11012015"), table(platform="7", time="01112015")]
    )
    casts = read_table(written(tmp_path, frame), date_format="%d%m%Y")
    assert casts.platform.tolist() == ["007", "7"]
    assert casts.time.tolist() == np.array(["2015-01-11", "2015-11-01"], "M8[ns]").tolist()


@pytest.mark.parametrize("name", ["cast", "Station", "profile", "cycle"])
def test_a_column_that_numbers_casts_keeps_them_apart(tmp_path, name):
    frame = pd.concat(
        [table(**{name: 1}), table(**{name: 2}, depth=DEPTH + 1, temperature=KNOWN + 3)]
    )
    found = profiles.open_profiles(written(tmp_path, frame), [109.7], IN_SITU)
    assert found.status.values.tolist() == ["used", "used"]
    expected = [18 - 109.7 / 50, 21 - 108.7 / 50]
    np.testing.assert_allclose(found.temperature.values[:, 0], expected, rtol=1e-5)


def test_two_platforms_at_one_place_are_both_used_and_one_cast_in_two_files_once(tmp_path):
    both = pd.concat([table(platform="a"), table(platform="b", temperature=KNOWN + 1)])
    found = profiles.open_profiles(written(tmp_path, both), [109.7], IN_SITU)
    assert found.status.values.tolist() == ["used", "used"]
    for k, longitude in enumerate((-65.0, 295.0)):
        written(tmp_path, table(longitude=longitude), f"{k}.csv")
    paths = [tmp_path / "0.csv", tmp_path / "1.csv"]
    found = profiles.open_profiles(paths, [109.7], IN_SITU)
    assert sorted(found.status.values) == ["duplicate of another profile", "used"]


@pytest.mark.parametrize(
    ("other", "flags"),
    [(np.nan, (1, 1)), (KNOWN + 5, (1, 4)), (KNOWN, (1, 4)), (KNOWN, (4, 1))],
    ids=["another sensor's rows", "another value, bad", "bad, below", "bad, above"],
)
def test_rows_that_cannot_be_used_take_no_good_ones_away(tmp_path, other, flags):
    first, second = (
        table(temperature=value, temperature_qc=flag)
        for value, flag in zip((KNOWN if flags[0] == 1 else other, other), flags)
    )
    second["temperature"] = KNOWN if flags[1] == 1 and flags[0] != 1 else other
    casts = read_table(written(tmp_path, pd.concat([first, second])))
    np.testing.assert_allclose(casts.temperature, KNOWN)
    assert not casts.lost["different values at one depth of a cast"]


@pytest.mark.parametrize(
    "place", [{"longitude": 1000.0}, {"longitude": -999.0}, {"latitude": 91.0}]
)
def test_a_cast_at_no_place_is_refused(tmp_path, place):
    found = profiles.open_profiles(written(tmp_path, table(**place)), [109.7], IN_SITU)
    assert found.status.values.tolist() == ["no position"]
    assert found.temperature.isnull().all()


def test_repeated_rows_and_contradictions_are_left_out_for_their_reason(tmp_path):
    frame = pd.concat([table(), table()[:5], table(temperature=KNOWN + 1)[10:13]])
    casts = read_table(written(tmp_path, frame))
    assert casts.lost["repeated rows"] == 5
    assert casts.lost["different values at one depth of a cast"] == 6
    np.testing.assert_allclose(casts.temperature, np.delete(KNOWN, range(10, 13)))


@pytest.mark.parametrize(
    ("key", "share", "longest"),
    [("latitude", 0.05, 3000), ("longitude", 0.5, 3000), ("time", 0.2, 9000)],
)
def test_uneven_casts_stay_flat_and_rows_without_a_key_are_counted(tmp_path, key, share, longest):
    """A cast of thousands of values beside small ones, by a loop over the rows."""
    rng = np.random.default_rng(0)
    sizes = [longest, *rng.integers(2, 6, 200)]
    rows = pd.DataFrame({"cast": np.repeat(np.arange(len(sizes)), sizes)})
    rows["time"] = np.datetime64("2005-01-01") + rows.cast.to_numpy() % 50
    rows["latitude"], rows["longitude"] = 30 + rows.cast / 100, -60.0
    rows["depth"], rows["temperature"] = (
        rng.uniform(0, 1000, len(rows)),
        rng.uniform(5, 20, len(rows)),
    )
    keyless = rng.random(len(rows)) < share
    rows.loc[keyless, key] = None
    rows = rows.sample(frac=1, random_state=0)
    rows.drop(columns="cast").to_parquet(tmp_path / "a.parquet")
    casts = read_table(tmp_path / "a.parquet")
    lacking = "time" if key == "time" else "position"
    assert casts.lost[f"rows without {lacking}"] == keyless.sum() > 100
    assert len(casts.depth) == (~keyless).sum()  # flat: nothing is padded
    kept = rows[rows[key].notna()]
    assert len(casts) == kept.cast.nunique()
    for index in (0, 1, 57):
        mine = kept[np.isclose(kept.latitude, casts.latitude[index])].sort_values("depth")
        where = casts.profile == index
        np.testing.assert_allclose(casts.depth[where], mine.depth)
        np.testing.assert_allclose(casts.temperature[where], mine.temperature)
        assert casts.time[index] == mine.time.iloc[0]


@pytest.mark.parametrize(
    ("values", "looks"),
    [
        (KNOWN * 1.8 + 32, "°F"),
        (KNOWN + 273.15, "kelvin"),
        (np.full(75, -99.9), "undeclared fill"),
        (np.full(75, 9999.0), "undeclared fill"),
    ],
)
def test_impossible_values_suggest_their_unit(tmp_path, values, looks):
    deep = table(depth=DEPTH * 6, temperature=values)
    found = profiles.open_profiles(written(tmp_path, deep), [109.7, 902.3], IN_SITU)
    assert found.status.values.tolist() == [f"most values are impossible ({looks}?)"]
    assert found.temperature.isnull().all()


@pytest.mark.parametrize(("depth", "value"), [(900.0, 27.0), (400.0, 31.0), (4000.0, 26.5)])
def test_a_value_that_no_sea_holds_at_its_depth_is_left_out(tmp_path, depth, value):
    frame = pd.concat([table(), table().tail(1).assign(depth=depth, temperature=value)])
    found = profiles.open_profiles(written(tmp_path, frame), [109.7], IN_SITU)
    assert found.attrs["lost"] == ["1 impossible value at its depth"]
    np.testing.assert_allclose(found.temperature, 18 - 109.7 / 50, rtol=1e-5)


def test_profiles_can_be_written_and_say_what_was_understood(tmp_path):
    found = profiles.open_profiles(written(tmp_path, table()), [109.7], IN_SITU)
    found.to_netcdf(tmp_path / "p.nc")
    flagged_too, _ = flagged(temperature_qc=(4, 1))
    profiles.open_profiles(written(tmp_path, flagged_too), [109.7], IN_SITU).to_netcdf(
        tmp_path / "q.nc"
    )
    again = xr.load_dataset(tmp_path / "q.nc")
    assert "flag is not 1 or 2" in profiles.describe_use(again)
    assert profiles.describe_use(found) == (
        "1 of 1 profiles are used\nProfiles of 2015-04-03, latitude 35°, longitude -65°, "
        "temperature 15.806 °C"
    )
