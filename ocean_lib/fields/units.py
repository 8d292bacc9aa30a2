"""Units of temperature, salinity and sea level: of files, and of canonical fields."""

from collections.abc import Hashable

import xarray as xr

from ocean_lib.core.messages import shortened
from ocean_lib.fields import conventions

__all__ = ["ATTRIBUTES", "in_canonical_unit", "in_celsius", "in_metres", "salinity_attrs"]


ATTRIBUTES = ("standard_name", "units", "long_name")


def in_canonical_unit(array: xr.DataArray, name: Hashable, kind: str) -> xr.DataArray:
    """A variable in the unit of canonical fields.

    Args:
        array: lazy, with the attributes of its file.
        name: in the file.
        kind: a key of a table of `conventions`.
    Raises:
        ValueError: the unit is unknown.
    """
    if kind in conventions.TEMPERATURES:
        return in_celsius(array, name, kind)
    if kind in conventions.SEA_LEVELS:
        return in_metres(array, name, kind)
    return array.assign_attrs(salinity_attrs(array, kind), source_name=str(name))


def in_metres(level: xr.DataArray, name: Hashable, kind: str) -> xr.DataArray:
    """Sea level in m. A missing unit means m; the values are checked later.

    Args:
        level: lazy, with the attributes of its file.
        name: in the file.
        kind: a key of `conventions.SEA_LEVELS`.
    Raises:
        ValueError: the unit is neither m nor cm.
    """
    unit = level.attrs.get("units", "").strip()
    if unit.lower() not in conventions.METRES:
        raise ValueError(
            f"{name} has units {shortened(unit)}, must be m or cm; convert it and set units to 'm'"
        )
    metres = level * conventions.METRES[unit.lower()]
    metres.attrs = {
        "standard_name": kind,
        "units": "m",
        "source_name": str(name),
        "long_name": level.attrs.get("long_name", "sea level"),
    }
    return metres


def in_celsius(temperature: xr.DataArray, name: Hashable, kind: str) -> xr.DataArray:
    """Temperature in °C. A missing unit means °C; the values are checked later, by `survey`.

    Args:
        temperature: lazy, with the attributes of its file.
        name: in the file.
        kind: a key of `conventions.TEMPERATURES`.
    Raises:
        ValueError: the unit is neither °C nor K.
    """
    unit = temperature.attrs.get("units", "degC")
    units = unit.lower().replace("_", "").replace(" ", "").replace(".", "")
    if units not in conventions.CELSIUS + conventions.KELVIN:
        raise ValueError(
            f"{name} has units {shortened(unit)}, must be °C or K; convert it and set units to "
            "'degC'"
        )
    celsius = temperature - 273.15 if units in conventions.KELVIN else temperature
    celsius.attrs = {
        # At 0 m in-situ and potential temperature are the same.
        "standard_name": conventions.POTENTIAL if kind == conventions.SURFACE else kind,
        "units": "degrees_C",
        "source_name": str(name),
        "long_name": temperature.attrs.get("long_name", "sea water temperature"),
    }
    return celsius


def salinity_attrs(variable: xr.DataArray, kind: str) -> dict[str, str]:
    """Attributes of salinity, which is left in its unit.

    Args:
        variable: of the file.
        kind: a key of `conventions.SALINITIES`, or `SURFACE_SALINITY`.
    Raises:
        ValueError: the unit is neither g/kg nor that of the practical scale.
    """
    attrs = {key: str(variable.attrs[key]) for key in ATTRIBUTES if key in variable.attrs}
    units = attrs.get("units", "").strip().lower()
    if units not in conventions.SALINITY_UNITS:
        raise ValueError(
            f"{variable.name} has units {shortened(units)}, must be 1e-3, psu or g/kg; convert the "
            "values (kg/kg times 1000) and set units to '1e-3'"
        )
    defaults = {
        "long_name": "sea water salinity",
        "units": "g kg-1" if kind == conventions.ABSOLUTE else "1e-3",
    }
    return defaults | attrs | {"standard_name": kind}
