"""Files of profiles as Argo's global data centres write them, for the tests."""

import gsw
import netCDF4
import numpy as np

FILL = 99999.0


def cast(platform="6900001", cycle=1, time="2005-03-10T06:00", latitude=34.0, longitude=-69.0, **v):
    """A profile: pressure, temperature, salinity, each a list; flags and modes as given."""
    pressure = np.asarray(v.pop("pressure", np.arange(5.0, 1000, 20)), float)
    temperature = np.asarray(v.pop("temperature", 20 - 0.01 * pressure), float)
    return {
        "platform": platform,
        "cycle": cycle,
        "time": np.datetime64(time, "s") if time else None,
        "latitude": latitude,
        "longitude": longitude,
        "pressure": pressure,
        "temperature": temperature,
        "salinity": np.full(len(pressure), 35.0),
        "mode": "R",
        "date_flag": "1",
        "position_flag": "1",
        "flags": "1" * len(pressure),
        "pressure_flags": "1" * len(pressure),
        "salinity_flags": "1" * len(pressure),
        "offset": 0.0,  # of adjusted values
        "error": FILL,
        "direction": "A",
    } | v


def _text(values, length):
    return np.array([list(f"{value:<{length}}"[:length]) for value in values], "S1")


def write(path, casts, without=(), levels=None, parameters=()):
    """A multi-profile file, or with one cast a mono-profile one; `without` some variables.

    With `parameters`, such as ("TEMP", "PRES", "PSAL"), `mode` of a cast has a letter for each, as
    files of several sensors do.
    """
    number = len(casts)
    levels = levels or max(len(one["pressure"]) for one in casts)

    def padded(name, offset=0.0):
        made = np.full((number, levels), FILL, np.float32)
        for row, one in zip(made, casts):
            values = np.broadcast_to(one[name], len(one["pressure"])) + offset * one["offset"]
            row[: len(values)] = np.where(np.isfinite(values), values, FILL)
        return made

    def flags(name):
        made = np.full((number, levels), b" ", "S1")
        for row, one in zip(made, casts):
            row[: len(one[name])] = list(one[name])
        return made

    start = np.datetime64("1950-01-01", "s")
    juld = [
        999999.0 if one["time"] is None else (one["time"] - start) / np.timedelta64(86400, "s")
        for one in casts
    ]
    letters = {
        "PLATFORM_NUMBER": _text([one["platform"] for one in casts], 8),
        "DATA_MODE": np.array([one["mode"] for one in casts], "S1"),
        "DIRECTION": np.array([one["direction"] for one in casts], "S1"),
        "JULD_QC": np.array([one["date_flag"] for one in casts], "S1"),
        "POSITION_QC": np.array([one["position_flag"] for one in casts], "S1"),
    }
    numbers = {
        "CYCLE_NUMBER": (np.array([one["cycle"] for one in casts], np.int32), 99999),
        "JULD": (np.array(juld), 999999.0),
        "LATITUDE": (np.array([one["latitude"] for one in casts], float), FILL),
        "LONGITUDE": (np.array([one["longitude"] for one in casts], float), FILL),
    }
    for short, name in (("PRES", "pressure"), ("TEMP", "temperature"), ("PSAL", "salinity")):
        own = "flags" if name == "temperature" else f"{name}_flags"
        numbers[short] = padded(name), FILL
        numbers[f"{short}_ADJUSTED"] = padded(name, float(short == "TEMP")), FILL
        letters[f"{short}_QC"] = letters[f"{short}_ADJUSTED_QC"] = flags(own)
    if parameters:
        del letters["DATA_MODE"]
        letters["PARAMETER_DATA_MODE"] = np.array([list(one["mode"]) for one in casts], "S1")
        letters["STATION_PARAMETERS"] = np.array([_text(parameters, 64)] * number)
    errors = np.where(padded("pressure") < FILL, padded("error"), FILL)
    numbers["TEMP_ADJUSTED_ERROR"] = errors.astype(np.float32), FILL
    with netCDF4.Dataset(path, "w") as file:
        sizes = {"N_PROF": number, "N_LEVELS": levels, "STRING8": 8}
        sizes |= {"N_PARAM": len(parameters), "STRING64": 64} if parameters else {}
        for name, size in sizes.items():
            file.createDimension(name, size)
        second = {"PLATFORM_NUMBER": ["STRING8"], "PARAMETER_DATA_MODE": ["N_PARAM"]}
        second["STATION_PARAMETERS"] = ["N_PARAM", "STRING64"]
        for name, (values, fill) in numbers.items():
            if name not in without:
                dims = ("N_PROF", "N_LEVELS")[: values.ndim]
                file.createVariable(name, values.dtype, dims, fill_value=fill)[:] = values
        for name, values in letters.items():
            if name not in without:
                dims = ("N_PROF", *second.get(name, ["N_LEVELS"]))[: values.ndim]
                file.createVariable(name, "S1", dims, fill_value=b" ")[:] = values
    return path


def measured(ocean, month, latitude, longitude, rng=None, noise=0.0):
    """What a float would measure in a field: in-situ temperature every ten metres, by pressure."""
    column = ocean.temperature.isel(time=month).interp(latitude=latitude, longitude=longitude)
    known = np.isfinite(column.values)
    if known.sum() < 2:
        return None
    depth = np.arange(5.0, float(ocean.depth[known][-1]) + 3, 5.0)
    potential = np.interp(depth, ocean.depth[known], column.values[known])
    pressure = gsw.p_from_z(-depth, latitude)
    salt = gsw.SA_from_SP(35.0, pressure, longitude, latitude)
    temperature = gsw.t_from_CT(salt, gsw.CT_from_pt(salt, potential), pressure)
    if rng is not None:
        temperature = temperature + noise * rng.standard_normal(len(depth))
    return {"pressure": pressure, "temperature": temperature}
