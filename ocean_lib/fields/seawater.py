"""In-situ and conservative temperature → potential temperature, by TEOS-10.

Sea water warms as it is compressed, by about 0.1 °C a kilometre; potential temperature is what it
would have at the surface, so that water masses are told alike at any depth. The conversion needs
salinity, though little of it: 1 g/kg changes the result by less than 0.01 °C from in-situ
temperature at 5000 m, and by 0.04 °C from conservative temperature of 25 °C. So a cell without
salinity is converted with that of the mean ocean rather than lost.

Reference: IOC, SCOR & IAPSO 2010, The international thermodynamic equation of seawater.
"""

import numpy as np
import xarray as xr

from ocean_lib.fields.conventions import (
    ABSOLUTE,
    CONSERVATIVE,
    FRESHEST,
    HIGHEST,
    LOWEST,
    POTENTIAL,
    SALTIEST,
)

__all__ = ["to_potential"]


MEAN = 35.0  # g/kg


def to_potential(fields):
    """Fields in canonical order with potential `temperature`, where `salinity` lies beside it.

    Without salinity, temperature stays what its standard_name says. Lazy; a level at a time.
    """
    temperature = fields["temperature"]
    kind = temperature.attrs["standard_name"]
    if kind == POTENTIAL or "salinity" not in fields:
        return fields
    salinity = fields["salinity"]
    converted = xr.apply_ufunc(
        _potential,
        temperature,
        salinity,
        fields["depth"],
        fields.coords.get("station_latitude", fields["latitude"]),
        fields["longitude"],
        kwargs={
            "conservative": kind == CONSERVATIVE,
            "absolute": salinity.attrs["standard_name"] == ABSOLUTE,
        },
        dask="parallelized",
        output_dtypes=["float32"],
    ).transpose(*temperature.dims)
    converted.attrs = temperature.attrs | {
        "standard_name": POTENTIAL,
        "long_name": "sea water potential temperature",
        "comment": f"made by TEOS-10 from {kind} and {salinity.attrs['standard_name']}, "
        f"with {MEAN:g} g/kg where salinity is missing",
    }
    return fields.assign(temperature=converted)


def _potential(temperature, salinity, depth, latitude, longitude, *, conservative, absolute):
    """(time, depth, latitude, longitude) arrays, or what broadcasts to them → °C, float32.

    Numbers that are no sea water, such as a fill value undeclared, stay for the check to find.
    """
    import gsw

    arrays = np.broadcast_arrays(temperature, salinity, depth, latitude, longitude)
    potential = temperature.astype("float32")
    for level in np.ndindex(temperature.shape[:2]):
        sea = (temperature[level] > LOWEST) & (temperature[level] < HIGHEST)
        t, s, z, y, x = (array[level][sea].astype("float64") for array in arrays)
        s = np.where((s > FRESHEST) & (s < SALTIEST), np.maximum(s, 0), MEAN)
        pressure = gsw.p_from_z(-z, y)
        if not absolute:
            s = gsw.SA_from_SP(s, pressure, x, y)
        potential[level][sea] = (
            gsw.pt_from_CT(s, t) if conservative else gsw.pt0_from_t(s, t, pressure)
        )
    return potential
