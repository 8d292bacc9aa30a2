"""What follows from temperature and salinity: heat, steric height, mixed layer, stratification.

| name | unit | what |
|---|---|---|
| `heat_content_700` | J m-2 | rho0 cp0 times the integral of conservative temperature, to 700 m |
| `steric_height_1000` | m | that of the water above 1000 dbar, relative to 0 °C and 35.165 g/kg |
| `mixed_layer_depth` | m | where potential density is 0.03 kg m-3 above that at 10 m |
| `isotherm_20` | m | where temperature first falls below 20 °C |
| `density` | kg m-3 | potential density minus 1000, referenced to the surface |
| `stratification` | s-2 | square of the buoyancy frequency between levels, at their middle |

Any number may follow `heat_content`, `steric_height` and `isotherm`; after `mixed_layer_depth` it
is the threshold. Temperature and salinity become conservative temperature and absolute salinity of
TEOS-10 (gsw), with the mean salinity of the ocean where fields have none. cp0 is 3991.86795711963
J kg-1 K-1, as TEOS-10 defines it; rho0 is 1025 kg m-3, by convention. Profiles are linear between
levels, and constant above the first and below the last ocean level of a column, down to the sea
floor: `bathymetry` where fields have it, otherwise midway to the next level. Heat content ends at
the sea floor where that is shallower. A column is missing where the levels end above its limit, and
where the ocean has a gap above it; for steric height also where the sea is shallower. An isotherm
is missing where the surface is colder or no level is. The anomaly of a quantity is its difference
from what is derived from the climatology of the date.

Reference: IOC, SCOR & IAPSO 2010, The international thermodynamic equation of seawater (cp0:
section 3.3);
de Boyer Montegut et al. 2004, J. Geophys. Res. 109, C12003 (mixed layer).
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from ocean_lib.core.messages import shortened
from ocean_lib.fields import conventions
from ocean_lib.fields.columns import column_floor, first_above, integral, mixed_layer_depth
from ocean_lib.fields.seawater import MEAN_SALINITY

__all__ = ["column_names", "derive", "in_shown_unit", "shown_unit", "understand"]


DENSITY = 1025.0  # kg m-3, rho0 of heat content
HEAT_CAPACITY = 3991.86795711963  # J kg-1 K-1, cp0 of TEOS-10
GRAVITY = 9.7963  # m s-2, of steric height (Griffies 2004), as in gsw
DEFAULTS = {"heat_content": 700.0, "steric_height": 1000.0, "mixed_layer_depth": 0.03}
DEFAULTS |= {"isotherm": 20.0}
ATTRIBUTES = {
    "heat_content": ("J m-2", "Ocean heat content from the surface to {:g} m"),
    "steric_height": ("m", "Steric height relative to {:g} dbar"),
    "mixed_layer_depth": ("m", "Mixed layer depth, {:g} kg m-3 above the density at 10 m"),
    "isotherm": ("m", "Depth of the {:g} °C isotherm"),
    "density": ("kg m-3", "Potential density minus 1000 kg m-3, referenced to the surface"),
    "stratification": ("s-2", "Square of the buoyancy frequency"),
}
WITHOUT_SALINITY = "heat_content", "isotherm"
# Unit in figures and tables, and factor to it.
SHOWN = {"heat_content": ("GJ m⁻²", 1e-9), "steric_height": ("cm", 100.0)}


def derive(fields: xr.Dataset, names: Sequence[str]) -> xr.Dataset:
    """Compute derived quantities of fields or members.

    Args:
        fields: `temperature (..., depth, latitude, longitude)`, °C, potential unless its
            standard_name says otherwise; `salinity` likewise, practical unless it says otherwise;
            `ocean (depth, latitude, longitude)`; perhaps `bathymetry`, m.
        names: of the table above, such as `heat_content_700`.

    Returns:
        The quantities, float32, on the dims of temperature without depth (`density` with depth,
        `stratification` with `middle_depth`).

    Raises:
        ValueError: a name is not known, a quantity needs salinity, or the levels do not reach.
    """
    asked = {name: understand(name) for name in names}
    for name, (kind, _) in asked.items():
        if kind not in WITHOUT_SALINITY and "salinity" not in fields:
            raise ValueError(
                f"{name} needs salinity, which these fields lack; leave it out, or choose a source "
                "with salinity"
            )
    water = _Water(fields)
    found = {}
    for name, (kind, number) in asked.items():
        unit, words = ATTRIBUTES[kind]
        values = getattr(water, kind)(number)
        found[name] = values.astype(np.float32).assign_attrs(
            units=unit, long_name=words.format(number)
        )
    order = [*fields["temperature"].dims]
    order.insert(order.index("depth"), "middle_depth")
    return xr.Dataset(found).transpose(*order, missing_dims="ignore")


def understand(name: str) -> tuple[str, float]:
    """Kind and number of a name, such as `heat_content` and 700.

    Args:
        name: of the table above.

    Raises:
        ValueError: the name is not known.
    """
    match = re.fullmatch(r"(.*?)(?:_(\d+(?:\.\d+)?))?", name)
    kind, number = match.groups() if match else (name, None)
    if kind not in ATTRIBUTES or number is not None and kind not in DEFAULTS:
        raise ValueError(
            f"derived quantity {shortened(name)} is not known; choose of {[*ATTRIBUTES]}"
        )
    return kind, DEFAULTS.get(kind, np.nan) if number is None else float(number)


def column_names(reconstruction: xr.Dataset) -> list[str]:
    """Names of the derived quantities of a reconstruction that have one value in a column.

    Args:
        reconstruction: with `NAME_mean` of every derived quantity.
    """
    means = [array for name, array in reconstruction.data_vars.items() if str(name)[-5:] == "_mean"]
    means = [array for array in means if not {"depth", "middle_depth"} & {*array.dims}]
    return [str(array.name).removesuffix("_mean") for array in means]


def shown_unit(name: str) -> tuple[str, float]:
    """Unit of a quantity in figures and tables, and the factor to it from its own unit.

    Args:
        name: of the table above.
    """
    kind, _ = understand(name)
    return SHOWN.get(kind, (ATTRIBUTES[kind][0], 1.0))


def in_shown_unit(field: xr.DataArray, name: str) -> xr.DataArray:
    """A field in the unit of figures and tables.

    Args:
        field: any shape, in its own unit.
        name: of a derived quantity, or of a variable, which stays as it is.
    """
    if name.startswith(tuple(SHOWN)):
        unit, factor = shown_unit(name)
        return (field * factor).assign_attrs(field.attrs | {"units": unit})
    return field


class _Water:
    """Conservative temperature and absolute salinity of fields, and what follows from them."""

    def __init__(self, fields: xr.Dataset):
        import gsw

        self.temperature, self.depth = fields["temperature"], fields["depth"].values.astype(float)
        self.latitude = fields["latitude"].astype(float)
        self.depths = fields["depth"].astype(float)
        self.pressure = xr.apply_ufunc(gsw.p_from_z, -self.depths, self.latitude)
        practical = fields["salinity"] if "salinity" in fields else MEAN_SALINITY
        kind = getattr(practical, "attrs", {}).get("standard_name", conventions.PRACTICAL)
        place = self.pressure, fields["longitude"].astype(float), self.latitude
        self.absolute = practical
        if kind != conventions.ABSOLUTE:
            self.absolute = xr.apply_ufunc(gsw.SA_from_SP, practical, *place)
        kind = self.temperature.attrs.get("standard_name", conventions.POTENTIAL)
        self.conservative = self.temperature
        if kind == conventions.IN_SITU:
            given = self.absolute, self.temperature, self.pressure
            self.conservative = xr.apply_ufunc(gsw.CT_from_t, *given)
        elif kind != conventions.CONSERVATIVE:
            self.conservative = xr.apply_ufunc(gsw.CT_from_pt, self.absolute, self.temperature)
        ocean = fields["ocean"].transpose("depth", ...)
        self.deepest = ocean.sum("depth") - 1  # index of the level
        floor = self.deepest.copy(data=column_floor(ocean.values, self.depth))
        self.floor = fields["bathymetry"] if "bathymetry" in fields else floor

    def heat_content(self, limit: float) -> xr.DataArray:
        return DENSITY * HEAT_CAPACITY * self._integral(self.conservative, xr.DataArray(limit))

    def steric_height(self, limit: float) -> xr.DataArray:
        """The integral of the specific volume anomaly over pressure, in Pa, over gravity."""
        import gsw

        water = self.absolute, self.conservative, self.pressure
        anomaly = xr.apply_ufunc(gsw.specvol_anom_standard, *water)
        below, above = (
            xr.apply_ufunc(gsw.p_from_z, -(self.depths + step), self.latitude)
            for step in (0.5, -0.5)
        )
        anomaly = anomaly * (below - above) * 1e4  # per metre in place of per Pa
        end = -xr.apply_ufunc(gsw.z_from_p, limit, self.latitude)
        return (self._integral(anomaly, end) / GRAVITY).where(self.floor >= end)

    def _integral(self, field: xr.DataArray, limit: xr.DataArray) -> xr.DataArray:
        """Integral of a field to the lesser of a limit and the sea floor."""
        level = xr.DataArray(np.arange(len(self.depth)), dims="depth")
        whole = field.where(level <= self.deepest, field.isel(depth=self.deepest))
        return _along(integral, whole, limit, self.floor, depth=self.depth)

    def mixed_layer_depth(self, threshold: float) -> xr.DataArray:
        return _along(mixed_layer_depth, self.density(), depth=self.depth, threshold=threshold)

    def isotherm(self, value: float) -> xr.DataArray:
        return _along(first_above, -self.temperature, depth=self.depth, value=-value)

    def density(self, _: float = np.nan) -> xr.DataArray:
        import gsw

        return xr.apply_ufunc(gsw.sigma0, self.absolute, self.conservative)

    def stratification(self, _: float) -> xr.DataArray:
        import gsw

        dims = self.temperature.dims
        water = self.absolute, self.conservative, self.pressure, self.latitude
        arrays = [array.transpose(*dims).values for array in xr.broadcast(*water)]
        squared, _ = gsw.Nsquared(*arrays, axis=dims.index("depth"))
        dims = tuple("middle_depth" if dim == "depth" else dim for dim in dims)
        middle = {"middle_depth": (self.depth[1:] + self.depth[:-1]) / 2}
        return xr.DataArray(
            squared, middle | dict(self.temperature.drop_vars("depth").coords), dims
        )


def _along(
    kernel: Callable[..., np.ndarray],
    field: xr.DataArray,
    *static: xr.DataArray,
    depth: np.ndarray,
    **given: Any,
) -> xr.DataArray:
    """Apply a kernel, whose arrays have depth first, to labelled arrays."""
    return xr.apply_ufunc(
        lambda columns, *rest: kernel(np.moveaxis(columns, -1, 0), depth, *rest, **given),
        field,
        *static,
        input_core_dims=[["depth"], *([] for _ in static)],
    )
