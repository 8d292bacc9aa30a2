"""Conversion of in-situ and conservative temperature to potential temperature, by TEOS-10.

Sea water warms as it is compressed, by about 0.1 °C per kilometre. Potential temperature is the
temperature it would have at the surface, which makes water masses comparable at any depth. The
conversion is not sensitive to salinity: 1 g/kg changes the result by less than 0.01 °C from in-situ
temperature at 5000 m, and by 0.04 °C from a conservative temperature of 25 °C. A cell without
salinity is therefore converted with the mean salinity of the ocean.

Reference: IOC, SCOR & IAPSO 2010, The international thermodynamic equation of seawater.
"""

import numpy as np
import xarray as xr

from ocean_lib.fields import conventions
from ocean_lib.fields.conventions import POTENTIAL

__all__ = ["to_potential"]


MEAN_SALINITY = 35.0  # g/kg


def to_potential(fields: xr.Dataset) -> xr.Dataset:
    """Convert temperature to potential temperature, lazily.

    Args:
        fields: in canonical order. Without `salinity`, temperature stays as it is.
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
            "conservative": kind == conventions.CONSERVATIVE,
            "absolute": salinity.attrs["standard_name"] == conventions.ABSOLUTE,
        },
        dask="parallelized",
        output_dtypes=["float32"],
    ).transpose(*temperature.dims)
    converted.attrs = temperature.attrs | {
        "standard_name": POTENTIAL,
        "long_name": "sea water potential temperature",
        "comment": f"converted by TEOS-10 from {kind} and {salinity.attrs['standard_name']}, "
        f"with {MEAN_SALINITY:g} g/kg where salinity is missing",
    }
    return fields.assign(temperature=converted)


def _potential(temperature, salinity, depth, latitude, longitude, *, conservative, absolute):
    """Potential temperature (time, depth, latitude, longitude) float32, °C.

    Implausible temperatures, such as an undeclared fill value, are kept for `check_values` to find.
    """
    import gsw

    arrays = np.broadcast_arrays(temperature, salinity, depth, latitude, longitude)
    potential = temperature.astype("float32")
    for level in np.ndindex(temperature.shape[:2]):
        sea = (temperature[level] > conventions.LOWEST) & (temperature[level] < conventions.HIGHEST)
        t, s, z, y, x = (array[level][sea].astype("float64") for array in arrays)
        s = np.where(
            (s > conventions.FRESHEST) & (s < conventions.SALTIEST), np.maximum(s, 0), MEAN_SALINITY
        )
        pressure = gsw.p_from_z(-z, y)
        if not absolute:
            s = gsw.SA_from_SP(s, pressure, x, y)
        potential[level][sea] = (
            gsw.pt_from_CT(s, t) if conservative else gsw.pt0_from_t(s, t, pressure)
        )
    return potential
