"""The names, units and axes by which files of ocean temperature are recognised, as tables."""

DIMS = ("time", "depth", "latitude", "longitude")
POTENTIAL, IN_SITU = "sea_water_potential_temperature", "sea_water_temperature"

STANDARD_NAMES = {"potential": (POTENTIAL,), "in situ": (IN_SITU,)} | {
    "surface": tuple(
        f"sea_surface_{kind}temperature" for kind in ("", "foundation_", "subskin_", "skin_")
    )
    + ("surface_temperature",)
}
NAMES = {
    "potential": ("thetao", "votemper", "theta", "pottmp", "potential_temperature"),
    "in situ": ("t_an", "water_temp", "temperature", "temp", "to"),
    "surface": ("analysed_sst", "sst", "tos"),
}
# Per axis: CF standard names, units, CF axis letter, names in use (compared in lower case).
AXES = {
    "time": (("time",), (), "T", ("time", "time_counter", "ocean_time", "month", "mt", "t")),
    "depth": (
        ("depth", "elevation", "height", "altitude"),
        (),
        "Z",
        ("depth", "deptht", "lev", "level", "elevation", "z", "z_t", "st_ocean"),
    ),
    "latitude": (
        ("latitude",),
        ("degrees_north", "degree_north", "degrees_n"),
        "Y",
        ("latitude", "lat", "nav_lat", "lat_rho", "y"),
    ),
    "longitude": (
        ("longitude",),
        ("degrees_east", "degree_east", "degrees_e"),
        "X",
        ("longitude", "lon", "nav_lon", "lon_rho", "x"),
    ),
}
CELSIUS = ("c", "°c", "celsius", "degc", "degreec", "degreesc", "degreecelsius", "degreescelsius")
KELVIN = ("k", "kelvin", "kelvins", "degk", "degreek", "degreesk", "degreekelvin", "degreeskelvin")
METRES = dict.fromkeys(("", "m", "meter", "meters", "metre", "metres"), 1.0) | {"cm": 0.01}
METRES |= {"centimeters": 0.01, "centimetres": 0.01}
NOMINAL_YEAR = 2001  # a monthly climatology is dated in a year without 29 February
SAME = 1e-4  # degrees, about 10 m: longitudes closer than this are one column
CURVED = 0.05  # of a grid step: rows and columns may wander by no more
