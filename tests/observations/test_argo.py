"""Argo's files: six real ones against their raw arrays, and synthetic ones with every fault."""

from pathlib import Path

import gdac
import gsw
import netCDF4
import numpy as np
import pytest

from ocean_lib.observations import argo, profiles

REAL = Path(__file__).parents[3] / "shared" / "data" / "argo"
LEVELS = [9.6, 34.4, 109.7, 318.1, 902.3]
real = pytest.mark.skipif(not REAL.is_dir(), reason=f"no real data at {REAL}")


@real
def test_the_six_real_floats_become_profiles_and_their_flags_are_counted():
    table = profiles.open_profiles(REAL, LEVELS)
    status, counts = np.unique(table.status.values.astype(str), return_counts=True)
    told = dict(zip(status, counts))
    assert table.sizes["profile"] == 1052 and told["used"] > 950
    assert told["date is flagged"] == 73  # of 2901746, flag 4
    bad = 0  # values with other flags than 1 and 2, of usable profiles
    for path in REAL.glob("*.nc"):
        with netCDF4.Dataset(path) as file:
            file.set_auto_mask(False)
            mode = file["DATA_MODE"][:]
            date = np.isin(file["JULD_QC"][:], [b"1", b"2", b"5", b"8"])
            for k in np.flatnonzero(date):
                part = "_ADJUSTED" if mode[k] in (b"A", b"D") else ""
                flags = [file[f"{n}{part}_QC"][k] for n in ("PRES", "TEMP")]
                values = [file[f"{n}{part}"][k] for n in ("PRES", "TEMP")]
                there = (values[0] < 99998) & (values[1] < 99998)
                good = np.isin(flags[0], [b"1", b"2"]) & np.isin(flags[1], [b"1", b"2"])
                bad += int((there & ~good).sum())
    assert f"{bad} flag is not 1 or 2" in table.attrs["lost"] and bad > 100
    assert 0 < float(table.temperature.min()) + 2 < 40 and float(table.error.max()) < 0.2


@real
@pytest.mark.parametrize(
    ("name", "index"), [("4901079_prof.nc", 5), ("1900857_prof.nc", 100), ("13857_prof.nc", 20)]
)
def test_a_real_profile_is_what_its_raw_arrays_say(name, index):
    table = profiles.open_profiles(REAL / name, LEVELS).isel(profile=index)
    with netCDF4.Dataset(REAL / name) as file:
        file.set_auto_mask(False)
        delayed = file["DATA_MODE"][index] == b"D"
        part = "_ADJUSTED" if delayed else ""
        pressure, temperature = (file[f"{n}{part}"][index].astype(float) for n in ("PRES", "TEMP"))
        flags = [file[f"{n}{part}_QC"][index] for n in ("PRES", "TEMP")]
        keep = np.isin(flags[0], [b"1", b"2"]) & np.isin(flags[1], [b"1", b"2"])
        keep &= (pressure < 99998) & (temperature < 99998)
        latitude, longitude = (float(file[n][index]) for n in ("LATITUDE", "LONGITUDE"))
        salt = np.full(len(pressure), 35.0)
        if "PSAL" in file.variables:
            given = file[f"PSAL{part}"][index].astype(float)
            fine = np.isin(file[f"PSAL{part}_QC"][index], [b"1", b"2"]) & (given < 45)
            salt = np.where(fine, given, salt)
        day = file["JULD"][index]
    depth = -gsw.z_from_p(pressure[keep], latitude)
    absolute = gsw.SA_from_SP(salt[keep], pressure[keep], longitude, latitude)
    potential = gsw.pt0_from_t(absolute, temperature[keep], pressure[keep])
    for level, found in zip(LEVELS, table.temperature.values):
        below = np.searchsorted(depth, level)
        if 0 < below < len(depth):
            expected = np.interp(level, depth, potential)
            assert found == pytest.approx(expected, abs=2e-3) or np.isnan(found)
        else:
            assert np.isnan(found)  # nothing is invented outside its range
    assert np.isfinite(table.temperature).sum() >= 3
    assert abs(
        table.time.values - np.datetime64("1950-01-01") - np.timedelta64(int(day * 864e5), "ms")
    ) < np.timedelta64(2, "s")
    assert float(table.latitude) == latitude


@real
def test_a_file_of_one_profile_reads_as_its_float_does(tmp_path):
    with netCDF4.Dataset(REAL / "4901079_prof.nc") as file:
        file.set_auto_mask(False)
        keys = {"pressure": "PRES", "temperature": "TEMP", "salinity": "PSAL"}
        own = {key: file[f"{name}_ADJUSTED"][5].astype(float) for key, name in keys.items()}
        there = own["pressure"] < 99998
        own = {key: values[there] for key, values in own.items()}
        own |= {
            key: b"".join(file[f"{name}_ADJUSTED_QC"][5][there]).decode()
            for key, name in (
                ("flags", "TEMP"),
                ("pressure_flags", "PRES"),
                ("salinity_flags", "PSAL"),
            )
        }
        where = {"latitude": float(file["LATITUDE"][5]), "longitude": float(file["LONGITUDE"][5])}
    single = gdac.write(tmp_path / "D4901079_006.nc", [gdac.cast(mode="D", **own, **where)])
    found = profiles.open_profiles(single, LEVELS)
    expected = profiles.open_profiles(REAL / "4901079_prof.nc", LEVELS).isel(profile=[5])
    np.testing.assert_allclose(found.temperature, expected.temperature, atol=1e-4)


def test_adjusted_values_serve_where_there_are_any(tmp_path):
    given = [
        gdac.cast(cycle=1, mode="R", offset=-1.0),
        gdac.cast(cycle=2, mode="A", offset=-1.0),
        gdac.cast(cycle=3, mode="D", offset=-1.0, error=0.05),
    ]
    table = profiles.open_profiles(gdac.write(tmp_path / "a.nc", given), [109.7])
    real_time, adjusted, delayed = table.temperature.values[:, 0]
    assert adjusted == pytest.approx(real_time - 1, abs=1e-3) == delayed
    np.testing.assert_allclose(table.error.values[:, 0], [0.01, 0.01, 0.05], rtol=1e-5)


@pytest.mark.parametrize(
    ("parameters", "modes", "adjusted"),
    [
        (("PRES", "TEMP", "PSAL"), ("DDD", "RRR", "AAA"), (True, False, True)),
        (("PRES", "TEMP", "PSAL", "DOXY"), ("DDDA", "DRDD", "RARR"), (True, False, True)),
        (("DOXY", "TEMP", "PRES"), ("ADR", "DRD", "RAD"), (True, False, True)),
    ],
)
def test_modes_of_single_parameters_are_obeyed(tmp_path, parameters, modes, adjusted):
    """Files of several sensors (Sprof) state a mode per parameter, in an order of their own."""
    given = [gdac.cast(cycle=k, mode=mode, offset=-1.0) for k, mode in enumerate(modes)]
    path = gdac.write(tmp_path / "6900001_Sprof.nc", given, parameters=parameters)
    raw = gdac.write(tmp_path / "raw.nc", [gdac.cast(mode="R")])
    known = profiles.open_profiles(raw, [109.7]).temperature.item()
    found = profiles.open_profiles(path, [109.7])
    expected = [known - 1 if one else known for one in adjusted]
    np.testing.assert_allclose(found.temperature.values[:, 0], expected, atol=1e-3)


def test_flags_are_those_of_the_values_that_are_read(tmp_path):
    path = gdac.write(tmp_path / "s.nc", [gdac.cast(mode="DD")], parameters=("PRES", "TEMP"))
    with netCDF4.Dataset(path, "a") as file:
        file["TEMP_QC"][:] = np.full((1, 50), b"4", "S1")  # bad in real time, corrected since
    assert profiles.open_profiles(path, [109.7]).status.values.tolist() == ["used"]
    with netCDF4.Dataset(path, "a") as file:
        file["TEMP_ADJUSTED_QC"][:] = np.full((1, 50), b"4", "S1")
    found = profiles.open_profiles(path, [109.7])
    assert found.status.values.tolist() == ["all values are flagged"]


def test_a_file_without_any_mode_is_refused(tmp_path):
    path = gdac.write(tmp_path / "a.nc", [gdac.cast()], without=["DATA_MODE"])
    with pytest.raises(ValueError, match="neither DATA_MODE nor PARAMETER_DATA_MODE"):
        profiles.open_profiles(path, LEVELS)


@pytest.mark.parametrize("first", ["6900001_Rtraj.nc", "6900001_meta.nc", "2000_BRtraj.nc"])
def test_a_floats_own_folder_is_read(tmp_path, first):
    """As a data centre keeps it: profiles beside trajectory, metadata and technical data."""
    for name, dim in ((first, "N_MEASUREMENT"), ("6900001_tech.nc", "N_TECH_PARAM")):
        with netCDF4.Dataset(tmp_path / name, "w") as file:
            file.createDimension(dim, 3)
            file.createVariable("TEMP", "f4", (dim,))[:] = 3
    gdac.write(tmp_path / "6900001_prof.nc", [gdac.cast()])
    assert profiles.is_profiles(tmp_path)
    assert profiles.open_profiles(tmp_path, LEVELS).status.values.tolist() == ["used"]
    with pytest.raises(ValueError, match=f"{first} cannot be read as profiles"):
        profiles.open_profiles(tmp_path / first, LEVELS)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("POTM_CORRECTED", "DEPH_CORRECTED"), "another format than Argo's.*POTM_CORRECTED"),
        (("pressure", "temperature"), "another format than Argo's.*temperature"),
        (("CTDTMP", "PRES_CORE"), "no PRES and TEMP among"),
        ((), r"no PRES and TEMP among \[\]"),
    ],
    ids=["EN4", "argopy", "CCHDO", "nothing"],
)
def test_profiles_of_another_format_are_refused_for_their_true_reason(tmp_path, names, words):
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("N_PROF", 2)
        file.createDimension("N_LEVELS", 3)
        for name in names:
            file.createVariable(name, "f4", ("N_PROF", "N_LEVELS"))[:] = 3
    assert profiles.is_profiles(tmp_path / "a.nc")
    with pytest.raises(ValueError, match=words):
        profiles.open_profiles(tmp_path / "a.nc", LEVELS)


def test_a_file_of_0_profiles_is_refused(tmp_path):
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("N_PROF", None)
        file.createDimension("N_LEVELS", 3)
        for name in ("PRES", "TEMP"):
            file.createVariable(name, "f4", ("N_PROF", "N_LEVELS"))
    with pytest.raises(ValueError, match="a.nc holds 0 profiles"):
        profiles.open_profiles(tmp_path / "a.nc", LEVELS)


def test_profiles_stored_from_the_deepest_value_up_are_turned(tmp_path):
    pressure = np.arange(5.0, 1000, 20)
    up = {"pressure": pressure[::-1], "temperature": 20 - 0.01 * pressure[::-1]}
    given = [gdac.cast(cycle=1), gdac.cast(cycle=2, **up), gdac.cast(cycle=3)]
    found = profiles.open_profiles(gdac.write(tmp_path / "a.nc", given), LEVELS).temperature
    np.testing.assert_allclose(found[1], found[0], atol=1e-4)
    assert np.isfinite(found).all()


FAULTS = {
    "one is good": ({}, (), "used"),
    "no date": ({"time": None}, (), "no date"),
    "year 9999": ({"time": "9999-01-01"}, (), "no date"),
    "an unknown date, flagged so": ({"time": None, "date_flag": "9"}, (), "no date"),
    "flagged date": ({"date_flag": "4"}, (), "date is flagged"),
    "flagged position": ({"position_flag": "3"}, (), "position is flagged"),
    "no position": ({"latitude": gdac.FILL}, (), "no position"),
    "all levels bad": ({"flags": "4" * 50}, (), "all values are flagged"),
    "pressures bad": ({"pressure_flags": "3" * 50}, (), "all values are flagged"),
    "one level": ({"pressure": [10.0], "temperature": [5.0]}, (), "one value only"),
    "no level": ({"pressure": [], "temperature": []}, (), "no value"),
    "from the deepest up": ({"pressure": np.arange(1000.0, 0, -20)}, (), "used"),
    "above the levels": ({"pressure": [1, 2, 3.0], "temperature": [5, 5, 5.0]}, (), "no level of"),
    "an unknown mode": ({"mode": "X"}, (), "mode is not R, A or D"),
    "a blank mode": ({"mode": " "}, (), "mode is not R, A or D"),
    "PSAL_QC": ({}, ("PSAL_QC",), "used"),
    "PSAL": ({}, ("PSAL", "PSAL_QC"), "used"),
    "CYCLE_NUMBER": ({}, ("CYCLE_NUMBER",), "used"),
    "PLATFORM_NUMBER": ({}, ("PLATFORM_NUMBER",), "used"),
    "DIRECTION": ({}, ("DIRECTION",), "used"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_counted_in_a_word(tmp_path, name):
    change, without, status = FAULTS[name]
    path = gdac.write(tmp_path / "f.nc", [gdac.cast(**change)], without, levels=60)
    table = profiles.open_profiles(path, LEVELS)
    assert table.status.values[0].startswith(status)
    assert ("1 of 1" in profiles.describe_use(table)) == (status == "used")
    if "PSAL" in name:
        assert "50 without salinity (kept)" in table.attrs["lost"]


@pytest.mark.parametrize(
    "name",
    ["JULD", "JULD_QC", "POSITION_QC", "TEMP", "TEMP_QC", "PRES_QC", "LATITUDE", "TEMP_ADJUSTED"],
)
def test_a_file_without_a_variable_of_the_format_is_refused_by_name(tmp_path, name):
    path = gdac.write(tmp_path / "f.nc", [gdac.cast(mode="D")], [name])
    with pytest.raises(ValueError, match=f"f.nc: it has no {name}; fetch"):
        profiles.open_profiles(path, LEVELS)


@pytest.mark.parametrize(
    ("name", "attrs", "words"),
    [
        ("JULD", {"units": "days since 2015-04-03"}, "JULD is in 'days since 2015-04-03'"),
        ("PRES", {"units": "kPa"}, "PRES is in 'kpa'.*must be 'decibar'"),
        ("TEMP", {"units": "K"}, "TEMP is in 'k'"),
        ("TEMP", {"scale_factor": 0.001}, "perhaps scaled"),
    ],
)
def test_a_variable_in_other_units_is_refused(tmp_path, name, attrs, words):
    path = gdac.write(tmp_path / "f.nc", [gdac.cast()])
    with netCDF4.Dataset(path, "a") as file:
        file[name].setncatts(attrs)
    with pytest.raises(ValueError, match=words):
        profiles.open_profiles(path, LEVELS)


def test_infinite_values_are_counted_and_impossible_errors_replaced(tmp_path):
    given = gdac.cast(mode="D", error=0.05)
    path = gdac.write(tmp_path / "f.nc", [given])
    with netCDF4.Dataset(path, "a") as file:
        file.set_auto_mask(False)
        file["TEMP_ADJUSTED"][0, 40] = np.inf
        file["TEMP_ADJUSTED_ERROR"][0, :20] = 1e20
    table = profiles.open_profiles(path, [9.6, 34.4, 750.0])
    assert "1 infinite value" in table.attrs["lost"]
    np.testing.assert_allclose(table.error.values[0], [0.002, 0.002, 0.05], rtol=1e-5)


def test_a_damaged_file_is_refused_as_damaged(tmp_path):
    path = gdac.write(tmp_path / "f.nc", [gdac.cast()])
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ValueError, match="f.nc .*cut short: fetch it again"):
        profiles.open_profiles(path, LEVELS)


def test_a_file_with_a_damaged_header_is_not_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(argo.netCDF4, "Dataset", lambda path: pytest.fail("takes any memory"))
    (tmp_path / "f.nc").write_bytes(b"CDF\x01" + bytes(8) + b"\x40" * 40)
    assert not argo.is_argo(tmp_path / "f.nc")


@pytest.mark.parametrize("name", ["CYCLE_NUMBER", "PLATFORM_NUMBER"])
def test_casts_without_a_number_are_told_by_moment_and_place(tmp_path, name):
    casts = [gdac.cast(), gdac.cast(latitude=34.5), gdac.cast()]
    table = profiles.open_profiles(gdac.write(tmp_path / "a.nc", casts, (name,)), LEVELS)
    assert (table.status.values == "used").sum() == 2


def test_a_data_centre_that_is_not_reached_is_named(tmp_path):
    with pytest.raises(ConnectionError, match="http://127.0.0.1:9 cannot be reached.*network"):
        argo.fetch_argo(tmp_path, (0, 1, 0, 1), ("2005-03", "2005-04"), host="http://127.0.0.1:9")


def test_a_copy_of_a_data_centre_is_asked_by_region_and_period(tmp_path):
    centre, lines = tmp_path / "centre", []
    inside = gdac.cast(cycle=1)
    for cycle, one in (
        (1, inside),
        (2, inside | {"longitude": -40.0, "cycle": 2}),
        (3, inside | {"time": np.datetime64("2006-03-10T06:00", "s"), "cycle": 3}),
    ):
        name = f"dac/coriolis/6900001/profiles/R6900001_{cycle:03d}.nc"
        (centre / name).parent.mkdir(parents=True, exist_ok=True)
        gdac.write(centre / name, [one])
        stamp = str(one["time"]).replace("-", "").replace("T", "").replace(":", "")
        place = f"{one['latitude']:.3f},{one['longitude']:.3f}"
        lines.append(f"{name[4:]},{stamp},{place},A,846,IF,20240101000000")
    head = "".join(
        f"# {line}\n"
        for line in (
            "Title : Profile directory file of the Argo Global Data Assembly Center",
            "Description : The directory file describes all individual profile files of the argo",
            "Project : ARGO",
            "Format version : 2.0",
            "Date of update : 20240101000000",
            "FTP root number 1 : ftp://ftp.ifremer.fr/ifremer/argo/dac",
            "FTP root number 2 : ftp://usgodae.org/pub/outgoing/argo/dac",
            "GDAC node : CORIOLIS",
        )
    )
    head += "file,date,latitude,longitude,ocean,profiler_type,institution,date_update\n"
    (centre / "ar_index_global_prof.txt").write_text(head + "\n".join(lines) + "\n")
    shown = []
    asked = ((-72.0, -65.0, 30.0, 38.0), ("2005-03", "2005-04"))
    files = argo.fetch_argo(tmp_path / "raw", *asked, host=centre, show=shown.append)
    assert [file.name for file in files] == ["R6900001_001.nc"] and "Argo Program" in shown[0]
    stamp = files[0].stat().st_mtime_ns
    assert argo.fetch_argo(tmp_path / "raw", *asked, host=centre) == files
    assert files[0].stat().st_mtime_ns == stamp
    assert profiles.describe_use(profiles.open_profiles(files, LEVELS)).startswith("1 of 1")
    with pytest.raises(ValueError, match="no Argo profile lies in region"):
        argo.fetch_argo(tmp_path / "raw", asked[0], ("2010-01", "2010-02"), host=centre)
