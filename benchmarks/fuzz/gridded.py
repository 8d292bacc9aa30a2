"""Mutations of gridded files: of observations, and of the fields that a model is trained on."""

import math
from collections.abc import Callable

import numpy as np

from . import gridded_changes as do
from .mutation import DAMAGES, Catalogue

__all__ = ["mutations"]


NAN, INF = math.nan, math.inf
IMPOSSIBLE = (INF, -INF, 1e30, -1e30, -999.0, 9999.0, 100.0, 290.0, -40.0)
LEFT_OUT = 3.0  # °C, by which the result may change where one observation is left out
SURFACE = "surface_temperature"
WITHOUT = 8.0  # °C, by which it may change without a fifth of them, all errors, or a surface
Add = Callable[..., None]


def mutations(kind: str) -> Catalogue:
    """The mutations of `observations` or of `fields`."""
    made, observed = Catalogue(), kind == "observations"
    _values(made.add, observed)
    if observed:
        _beside(made.add)
    _coordinates(made.add, observed)
    _attributes(made.add, observed)
    _layout(made.add)
    return made


def _values(add: Add, observed: bool) -> None:
    """Of the temperatures."""
    near, wide = (LEFT_OUT, WITHOUT) if observed else (None, None)
    either = "either" if observed else "refused"
    here = {"name": "thetao"}
    for value in (*IMPOSSIBLE, NAN):
        here |= {"value": value, "gaps": math.isnan(value)}
        add(f"one value of {value:g} °C", "either", do.one_value, near, **here)
        add(f"a fifth of values {value:g}", "either", do.share, wide, part=0.2, **here)
    here = {"name": "thetao"}
    for value in (0.0, 40.0, -5.0, 33.0):
        add(f"one value of {value:g} °C", "either", do.one_value, value=value, **here)
    add("neighbours of 40 and -5 °C", "either", do.neighbours, **here)
    for words, expected, factor, offset in (
        ("in kelvin, unlabelled", "refused", 1, 273.15),
        ("in °F, unlabelled", either, 1.8, 32),
        ("×10", "refused", 10, 0),
        ("of zeros", either, 0, 0),
        ("nowhere", "refused", NAN, 0),
    ):
        add(f"values {words}", expected, do.shifted, wide, factor=factor, offset=offset, **here)
    add("values upside down", "either", do.mirrored, axis=1, same_ocean=observed, **here)


def _beside(add: Add) -> None:
    """Of what observations have beside the temperatures: errors, surface, mask."""
    for value in (*IMPOSSIBLE, NAN):
        for name in ("error", SURFACE):
            here = {"name": name, "value": value}
            add(f"one {name} of {value:g}", "either", do.one_value, LEFT_OUT, **here)
            add(f"every {name} of {value:g}", "either", do.share, WITHOUT, part=2, **here)
    for words, expected, name, factor, offset in (
        ("a negative error", "refused", "error", -1, -0.01),
        ("no error anywhere", "refused", "error", NAN, 0),
        ("surface in kelvin, unlabelled", "either", SURFACE, 1, 273.15),
        ("surface in °F, unlabelled", "either", SURFACE, 1.8, 32),
        ("surface of zeros", "either", SURFACE, 0, 0),
        ("surface without values", "either", SURFACE, NAN, 0),
    ):
        here = {"name": name, "factor": factor, "offset": offset}
        add(words, expected, do.shifted, WITHOUT, **here)
    add("surface of another date", "either", do.other_date, name=SURFACE)
    add("surface with neighbours of 40 and -5", "either", do.neighbours, name=SURFACE)
    add("surface mirrored", "either", do.mirrored, name=SURFACE, axis=2)
    add("values of another date", "either", do.other_date, name="thetao")
    for part in (0.01, 0.3):
        add(
            f"{part:.0%} of the mask flipped", "either", do.random_mask, part=part, same_ocean=False
        )
    for value in (0, 1, 2, -1, NAN, INF, 9999.0):
        expected = "either" if value in (1, 2, INF, 9999.0) else "refused"
        add(f"a mask of {value:g}", expected, do.mask_of, value=value, same_ocean=False)
    for name in ("error", SURFACE, "ocean"):
        free = {"name": name, "same_ocean": False}
        add(f"{name} left out", "either", do.dropped, WITHOUT, **free)
        add(f"{name} with a factor as text", "kept", do.attribute, scale_factor="x", **free)
        add(
            f"{name} with a factor of nan",
            "either",
            do.attribute,
            WITHOUT,
            scale_factor=NAN,
            **free,
        )
        add(f"{name} in another unit", "either", do.attribute, WITHOUT, units="K", **free)
        add(f"{name} with half of its rows", "either", do.shortened, WITHOUT, **free)


def _coordinates(add: Add, observed: bool) -> None:
    for dim in do.DIMS:
        for value in (NAN, INF, 1e30):
            here = {"dim": dim, "value": value}
            add(f"{dim} of {value:g} at one place", "refused", do.coordinate_value, **here)
        add(f"{dim} repeated", "refused", do.repeated, dim=dim)
        add(f"{dim} reversed", "same", do.reordered, dim=dim, order="reversed")
        add(f"{dim} unsorted", "kept", do.reordered, dim=dim, order="shuffled")
        add(f"labels of {dim} shuffled", "either", do.labels_shuffled, dim=dim, same_ocean=False)
        without = "either" if dim == "time" else "refused"
        add(f"no {dim}", without, do.dropped, name=dim, same_ocean=False)
        add(f"{dim} as text", "kept", do.text_coordinate, dim=dim)
        add(f"0 along {dim}", "refused", do.selected, dim=dim, stop=0)
        add(f"1 along {dim}", "either", do.selected, dim=dim, stop=1, same_ocean=False)
        add(f"{dim} renamed q", "kept", do.renamed, **{dim: "q"})
        add(f"{dim} bare, renamed q", "either", do.bare_renamed, same_ocean=False, **{dim: "q"})
        add(f"{dim} with a factor as text", "kept", do.attribute, name=dim, scale_factor="x")
        add(f"{dim} in furlongs", "refused", do.attribute, name=dim, units="furlongs")
        add(f"{dim} in units of 5", "either", do.attribute, name=dim, units=5, same_ocean=False)
    nemo = {"latitude": "lat", "longitude": "lon", "depth": "deptht", "time": "time_counter"}
    add("names of NEMO", "same", do.renamed, **nemo)
    for words, expected, dim, factor, offset in (
        ("latitude + 90", "refused", "latitude", 1, 90),
        ("latitude × 1000", "refused", "latitude", 1000, 0),
        ("latitude of the south", "either", "latitude", -1, 0),
        ("longitude + 360", "same", "longitude", 1, 360),
        ("longitude + 1000", "refused", "longitude", 1, 1000),
        ("longitude without sign", "either", "longitude", -1, 0),
        ("depth × 100, in m", "refused" if observed else "either", "depth", 100, 0),
        ("depth × 1000", "refused", "depth", 1000, 0),
        ("depth - 1000", "either", "depth", 1, -1000),
        ("time + 1e6 days", "refused", "time", 1, 1e6),
        ("time - 1e12 days", "refused", "time", 1, -1e12),
        ("time + half a year", "either", "time", 1, 182),
    ):
        free = expected != "same"
        here = {"dim": dim, "factor": factor, "offset": offset, "same_ocean": not free}
        add(words, expected, do.coordinate, **here)
    depth = {"dim": "depth", "offset": 0}
    add("depth in cm", "same", do.coordinate, factor=100, units="cm", **depth)
    add("depth upwards", "same", do.coordinate, factor=-1, positive="up", **depth)
    add("depth negative, undeclared", "kept", do.coordinate, factor=-1, **depth)
    add("depth in hPa", "refused", do.attribute, name="depth", units="hPa")
    for calendar in ("360_day", "noleap", "julian", "none", "mayan", 5):
        expected = "refused" if calendar in ("mayan", 5) else "either"
        add(f"calendar {calendar}", expected, do.attribute, name="time", calendar=calendar)
    for units in (
        *(
            "days since yesterday",
            "fortnights since 1950-01-01",
            "days",
            "",
            "days since 1950-13-45",
        ),
        *("seconds since 1950-01-01", "days since 999999-01-01", "hours since 0000-00-00"),
    ):
        add(f"time in {units!r}", "either", do.attribute, name="time", units=units)


def _attributes(add: Add, observed: bool) -> None:
    """Of the temperature."""

    def set_(expected: str, *, same_ocean: bool = True, **attributes) -> None:
        words = " and ".join(f"{key} {str(value)[:30]!r}" for key, value in attributes.items())
        add(words, expected, do.attribute, name="thetao", same_ocean=same_ocean, **attributes)

    for units in ("K", "degF", "furlongs", 5, "m"):
        set_("refused", units=units)
    for units in ("", "celsius", "°C"):
        set_("kept", units=units)
    for factor in (0.0, -1.0, 2.0):
        set_("either", scale_factor=factor, same_ocean=False)
    for factor in (NAN, INF, 1e10, "x", [1.0, 2.0]):
        set_("refused", scale_factor=factor, same_ocean=False)
    for offset in (0.0, -1.0, 2.0):
        set_("either", add_offset=offset)
    for offset in (NAN, INF, 1e10, "x", [1.0, 2.0], 273.15):
        set_("refused", add_offset=offset)
    for missing in (0.0, INF, 1e20, "x", [1.0, 2.0], "NaN"):
        set_("kept", missing_value=missing)
    set_("refused", valid_min=50.0)
    set_("refused", valid_max=-50.0)
    set_("kept", valid_range="x")
    set_("kept", valid_min="x")
    set_("either", valid_range=[5.0, 1.0], same_ocean=False)
    set_("kept", coordinates="a b c")
    set_("refused", standard_name="sea_water_salinity")
    set_("refused" if observed else "either", standard_name="sea_water_temperature")
    set_("either", standard_name="sea_surface_temperature")
    for name in ("", "x" * 500, 5):
        set_("kept", standard_name=name)
    for key in ("units", "standard_name"):
        add(f"without {key}", "kept", do.without_attribute, name="thetao", key=key)
    for fill in (-999.0, 1e20, 9.96921e36, -32767.0):
        add(f"fill {fill:g}, undeclared", "refused", do.filled, fill=fill)
        for key in ("_FillValue", "missing_value"):
            declared = {key: np.float32(fill)}
            add(f"fill {fill:g}, as {key}", "same", do.filled, fill=fill, **declared)
    add("fill 0, undeclared", "either" if observed else "refused", do.filled, fill=0.0)


def _layout(add: Add) -> None:
    add("dims permuted", "same", do.permuted)
    add("doubles", "same", do.double)
    for dtype, factor, offset, fill in (
        ("i2", 0.001, 15.0, -32767),
        ("u2", 0.001, -5.0, 65535),
        ("i4", 1e-5, 0.0, -(2**31)),
    ):
        packing = {"dtype": dtype, "factor": factor, "offset": offset, "fill": fill}
        add(f"packed as {dtype}", "same", do.packed, **packing)
    narrow = {"dtype": "i1", "factor": 0.1, "offset": 10.0, "fill": -127}
    add("packed too narrow", "either", do.packed, same_ocean=False, **narrow)
    for dtype in ("i2", "u1", "i8"):
        add(f"as {dtype}, gaps 0", "either", do.typed, name="thetao", dtype=dtype, same_ocean=False)
    add("values as text", "refused", do.typed, name="thetao", dtype="U8")
    add("in kelvin, labelled", "same", do.in_kelvin)
    for format in ("NETCDF3_CLASSIC", "NETCDF3_64BIT"):
        add(format, "same", do.written_as, format=format)
    add("compressed", "same", do.written_as, zlib=True, shuffle=True)
    for size in (1, 3):
        add(f"a dimension more, of {size}", "kept", do.expanded, size=size)
    add("two temperatures", "kept", do.second_temperature)
    add("another variable", "same", do.unrelated)
    add("temperature renamed q", "kept", do.renamed, thetao="q")
    add("no temperature", "refused", do.dropped, name="thetao")
    for damage in DAMAGES:
        expected = "kept" if "cut" in damage or "end" in damage else "either"
        for format in ("NETCDF4", "NETCDF4", "NETCDF3_CLASSIC"):
            here = {"damage": damage, "format": format, "gaps": True, "same_ocean": False}
            add(f"{damage}, {format}", expected, do.damaged, **here)
