"""Conventions: tables of the names, units and axes that files of ocean fields use."""

__all__ = ["named"]


DIMS = ("time", "depth", "latitude", "longitude")
MAP_DIMS = ("time", "latitude", "longitude")

POTENTIAL, IN_SITU = "sea_water_potential_temperature", "sea_water_temperature"
CONSERVATIVE = "sea_water_conservative_temperature"
PRACTICAL, ABSOLUTE = "sea_water_salinity", "sea_water_absolute_salinity"
SURFACE = "surface temperature"
SURFACE_SALINITY, ABSOLUTE_SURFACE = "sea_surface_salinity", "sea_surface_absolute_salinity"
TOPOGRAPHY, ANOMALY = "sea_surface_height_above_geoid", "sea_surface_height_above_sea_level"
# {kind: (CF standard names, names in use in lower case)}, both in order of preference.
TEMPERATURES = {
    POTENTIAL: (
        (POTENTIAL,),
        ("thetao", "votemper", "toce", "theta", "pottmp", "pot_temp", "potential_temperature"),
    ),
    CONSERVATIVE: (
        (CONSERVATIVE,),
        ("bigthetao", "thetao_con", "toce_con", "conservative_temperature"),
    ),
    IN_SITU: ((IN_SITU,), ("t_an", "water_temp", "temperature", "temp", "to")),
    SURFACE: (
        tuple(f"sea_surface_{of}temperature" for of in ("", "foundation_", "subskin_", "skin_"))
        + ("surface_temperature",),
        ("analysed_sst", "sst", "tos"),
    ),
}
SALINITIES = {
    PRACTICAL: (
        (PRACTICAL, "sea_water_practical_salinity"),
        ("so", "vosaline", "soce", "s_an", "salinity", "salt", "psal", "sal"),
    ),
    ABSOLUTE: ((ABSOLUTE,), ("absolute_salinity",)),
}
SURFACE_SALINITIES = {
    SURFACE_SALINITY: ((SURFACE_SALINITY,), ("sos", "sss")),
    ABSOLUTE_SURFACE: ((ABSOLUTE_SURFACE,), ()),
}
# `zo` of ARMOR3D has levels; its shallowest is the sea level.
SEA_LEVELS = {
    TOPOGRAPHY: (
        (TOPOGRAPHY, "sea_surface_height", "sea_surface_elevation", "geopotential_height"),
        ("zos", "ssh", "sossheig", "adt", "zeta", "surf_el", "eta_t", "etan", "zo"),
    ),
    ANOMALY: ((ANOMALY, "sea_surface_height_above_mean_sea_level"), ("sla", "ssha", "msla")),
}
WITHOUT_DEPTH = (SURFACE, SURFACE_SALINITY, *SEA_LEVELS)  # kinds
# The long_name decides where a name is used for several kinds.
LONG_NAMES = {"conservative": CONSERVATIVE, "potential": POTENTIAL, "pot. temp": POTENTIAL}

# {axis: (CF standard names, units, CF axis letter, names in use)}
AXES = {
    "time": (
        ("time",),
        (),
        "T",
        ("time", "time_counter", "ocean_time", "month", "mt", "date", "t"),
    ),
    "depth": (
        ("depth", "elevation", "height", "altitude"),
        (),
        "Z",
        ("depth", "deptht", "gdept_1d", "gdept_0", "nav_lev", "olevel", "lev", "level", "levels")
        + ("elevation", "z_t", "st_ocean", "z_l", "rc", "z", "pressure", "pres"),
    ),
    "latitude": (
        ("latitude",),
        ("degrees_north", "degree_north", "degrees_n", "degree_n", "degreesn", "degreen"),
        "Y",
        ("latitude", "lat", "nav_lat", "lat_rho", "tlat", "geolat_t", "geolat", "yt_ocean")
        + ("yh", "gphit", "yc", "y"),
    ),
    "longitude": (
        ("longitude",),
        ("degrees_east", "degree_east", "degrees_e", "degree_e", "degreese", "degreee"),
        "X",
        ("longitude", "lon", "nav_lon", "lon_rho", "tlong", "tlon", "geolon_t", "geolon")
        + ("xt_ocean", "xh", "glamt", "xc", "x"),
    ),
}
DEGREES = ("", "degrees", "degree", "deg") + AXES["latitude"][1] + AXES["longitude"][1]
CELSIUS = ("c", "°c", "celsius", "degc", "degreec", "degreesc", "degreecelsius", "degreescelsius")
KELVIN = ("k", "kelvin", "kelvins", "degk", "degreek", "degreesk", "degreekelvin", "degreeskelvin")
METRES = dict.fromkeys(("", "m", "meter", "meters", "metre", "metres"), 1.0) | {"cm": 0.01}
METRES |= dict.fromkeys(("centimeter", "centimeters", "centimetre", "centimetres"), 0.01)
# Grams per kilogram and the practical scale, which differ by less than 0.5 %.
SALINITY_UNITS = frozenset(
    ("", "1", "1e-3", "1e-03", "1.e-3", "0.001", "psu", "pss", "pss-78", "pss78", "ppt", "‰")
    + ("o/oo", "g/kg", "g kg-1", "g kg^-1", "g kg**-1", "gram/kilogram", "grams/kilogram")
    + ("practical salinity unit", "practical salinity units", "practical_salinity_unit")
)

LOWEST, HIGHEST = -10.0, 45.0  # °C, limits of plausible sea temperatures
# (m, °C): no sea is warmer at that depth; the Red Sea holds 22 °C down to its floor.
WARMEST = ((0.0, 100.0, 400.0), (45.0, 36.0, 26.0))
FRESHEST, SALTIEST = -1.0, 60.0  # g/kg, limits of plausible salinities
HIGHEST_SEA_LEVEL = 5.0  # m above the geoid or a mean, limit of plausible sea levels
# Fields of the surface as satellites see it, and their units
SURFACES = {"surface_temperature": "degrees_C", "sea_level": "m", "surface_salinity": "1e-3"}
NOMINAL_YEAR = 2001  # for fields without a date; not a leap year
DEEPEST = 11100.0  # m, limit of plausible depths

Region = tuple[float, float, float, float]  # west, east, south, north, degrees


def named(variable: str, quantity: str) -> str:
    """Name of a quantity of a variable: `mean` of temperature, `salinity_mean` of salinity.

    A surface field has its name in front too: `sea_level_observed`.

    Args:
        variable: name of the variable.
        quantity: such as `mean` or `truth`.
    """
    return quantity if variable == "temperature" else f"{variable}_{quantity}"
