"""Tables and files of profiles as one dataset, with a reason for every one left out."""

import gdac
import numpy as np
import pandas as pd
import pytest

from ocean_lib.observations import profiles

LEVELS = [9.6, 34.4, 109.7, 318.1]


def rows(**columns):
    depth = np.arange(5.0, 405, 10)
    return pd.DataFrame(
        {
            "time": "2005-03-10T06:00:00Z",
            "latitude": 34.0,
            "longitude": -69.0,
            "depth": depth,
            "temperature": 20 - 0.02 * depth,
        }
        | columns
    )


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_becomes_profiles(tmp_path, suffix):
    second = rows(time="2005-04-01", latitude=34.5).iloc[::-1]  # from below
    table = pd.concat([rows(), second])
    table.columns = [f" {name.title()}" for name in table.columns]
    path = tmp_path / f"my table{suffix}"
    table.to_csv(path, index=False) if suffix == ".csv" else table.to_parquet(path)
    assert profiles.is_profiles(path)
    found = profiles.open_profiles(path, LEVELS, kind="sea_water_temperature")
    assert found.sizes["profile"] == 2 and found.status.values.tolist() == ["used"] * 2
    exact = 20 - 0.02 * np.array(LEVELS)
    np.testing.assert_allclose(found.temperature, [exact, exact], atol=1e-4)
    assert found.time.values[0] == np.datetime64("2005-03-10T06:00")
    assert found.temperature.attrs["standard_name"] == "sea_water_temperature"
    potential = profiles.open_profiles(path, LEVELS)
    cooled = (found.temperature - potential.temperature).values
    assert (cooled > 0).all() and cooled.max() < 0.08  # a tenth of a degree a kilometre
    assert potential.attrs["lost"] == ["80 without salinity (kept)"]
    assert "2 of 2 profiles are used" in profiles.describe_use(potential)


def test_pressure_salinity_and_errors_of_a_table_are_used(tmp_path):
    given = rows(salinity=38.0, error=0.3).rename(columns={"depth": "pressure"})
    given.to_csv(tmp_path / "a.csv", index=False)
    table = profiles.open_profiles(tmp_path / "a.csv", LEVELS)
    np.testing.assert_allclose(table.error, 0.3, rtol=1e-6)
    assert table.attrs["lost"] == []
    flat = rows(error=0.3).rename(columns={"depth": "pressure"})
    flat.to_csv(tmp_path / "b.csv", index=False)
    without = profiles.open_profiles(tmp_path / "b.csv", LEVELS)
    assert 0 < float(abs(table.temperature - without.temperature).max()) < 0.01


def test_what_a_table_says_wrong_is_counted(tmp_path):
    parts = [
        rows(),
        rows(time="some day"),
        rows(latitude=99.0, time="2005-03-11"),
        rows(temperature=-99.0, time="2005-03-12"),
        rows(temperature="none", time="2005-03-13"),
        rows().iloc[:1].assign(time="2005-03-14"),
    ]
    pd.concat(parts).to_csv(tmp_path / "a.csv", index=False)
    table = profiles.open_profiles(tmp_path / "a.csv", LEVELS)
    impossible = "most values are impossible (undeclared fill?)"
    expected = {"used", "no position", "no value", "one value only", impossible}
    assert set(table.status.values) == expected
    told = profiles.describe_use(table)
    for words in (
        "1 of 5 profiles are used",
        "40 rows without time",
        "40 impossible value",
        "40 cells of temperature hold no number, such as 'none' in row 161",
        "Profiles of 2005-03-10 to 2005-03-14, latitude 34°, longitude -69°, temperature",
    ):
        assert words in told


def test_a_table_without_a_column_is_refused_by_name(tmp_path):
    rows().drop(columns="latitude").to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(ValueError, match="no column .'latitude'.; it has .'time', 'longitude'"):
        profiles.open_profiles(tmp_path / "a.csv", LEVELS)
    rows().drop(columns="depth").to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(ValueError, match="depth or pressure"):
        profiles.open_profiles(tmp_path / "b.csv", LEVELS)
    (tmp_path / "c.parquet").write_bytes(b"no parquet")
    with pytest.raises(ValueError, match="cannot be read as a table"):
        profiles.open_profiles(tmp_path / "c.parquet", LEVELS)
    with pytest.raises(FileNotFoundError, match="correct the path"):
        profiles.open_profiles(tmp_path / "none.csv", LEVELS)


def test_tables_by_a_glob_and_errors_that_are_none(tmp_path):
    for day in (1, 2):
        rows(time=f"2005-03-0{day}").to_csv(tmp_path / f"{day}.csv", index=False)
    assert profiles.open_profiles(str(tmp_path / "*.csv"), LEVELS).sizes["profile"] == 2
    rows(error=-0.1).to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(ValueError, match="bad.csv: it holds an error of -0.1 °C"):
        profiles.open_profiles(tmp_path / "bad.csv", LEVELS)
    with pytest.raises(ValueError, match="the model holds sea_water_conservative_temperature"):
        profiles.open_profiles(tmp_path / "1.csv", LEVELS, "sea_water_conservative_temperature")


def test_a_cast_that_stands_there_twice_is_one(tmp_path):
    good = gdac.cast(cycle=7, mode="D")
    gdac.write(tmp_path / "R1.nc", [gdac.cast(cycle=7), gdac.cast(cycle=8)])
    gdac.write(tmp_path / "D1.nc", [good, gdac.cast(cycle=8, direction="D")])
    table = profiles.open_profiles(tmp_path, LEVELS)
    status = dict(
        zip(zip(table.station.values, table.error[:, 0].values.round(3)), table.status.values)
    )
    assert status[("6900001/7A", np.float32(0.002))] == "used"
    assert status[("6900001/7A", np.float32(0.01))] == "duplicate of another profile"
    assert (table.status.values == "used").sum() == 3  # ascending and descending are two


def test_a_gridded_file_is_told_from_profiles(small_ocean, tmp_path):
    small_ocean.isel(time=[0]).to_netcdf(tmp_path / "grid.nc")
    gdac.write(tmp_path / "floats.nc", [gdac.cast()])
    assert not profiles.is_profiles(tmp_path / "grid.nc")
    assert profiles.is_profiles(tmp_path / "floats.nc")
    assert not profiles.is_profiles(tmp_path / "nothing.nc")
    with pytest.raises(
        ValueError, match="grid.nc cannot be read as profiles: it is neither an Argo file"
    ):
        profiles.open_profiles(tmp_path / "grid.nc", LEVELS)
