"""What an ensemble says about one place: a profile as a fan, beside what was measured nearby.

Depth runs downward on a square-root scale. The fan holds 90 % and half of the members; the lines
are the mean and whatever it is compared with. Reconstructions come as the dataset of
reconstruction.nc, of one case and month.
"""

import matplotlib as mpl
import numpy as np

from ocean_lib.fields.reconstruction_file import select
from ocean_lib.plots.labels import calibrated_suffix, month_label, place_label
from ocean_lib.plots.style import STYLE, depth_axis, panels

__all__ = ["draw_profile", "observed_columns_near", "profile", "most_remote_column"]


BLACK, BLUE, ORANGE, GREY = "#000000", "#0072b2", "#d55e00", "#777777"
OTHERS = ["#e69f00", "#009e73", "#cc79a7", "#56b4e9"]
LINES = {
    "truth": ("truth", BLACK, "-", 1.6),
    "mean": ("ensemble mean", BLUE, "-", 1.4),
    "background": ("background", ORANGE, "--", 1.0),
    "climatology": ("climatology", GREY, ":", 1.2),
}
EARTH = 111.195  # km a degree


def observed_columns_near(chosen, row, column, *, within=60.0, most=5):
    """The observed columns nearest to a cell: (km, dataset on depth) each, the nearest first.

    `within` is in km, `most` how many of them. Empty where nothing is known of what was observed.
    """
    if "value" not in chosen:
        return []
    latitude, longitude = chosen["latitude"].values, chosen["longitude"].values
    east = (longitude - longitude[column] + 180) % 360 - 180
    east = np.cos(np.radians(latitude[row])) * east
    apart = EARTH * np.hypot(latitude[:, None] - latitude[row], east)
    seen = chosen["observed"].any("depth").transpose("latitude", "longitude").values
    found = np.argwhere(seen & (apart <= within))
    found = sorted(found.tolist(), key=lambda cell: apart[*cell])[:most]
    return [(apart[i, j], chosen.isel(latitude=i, longitude=j)) for i, j in found]


def draw_profile(axes, here, *, anomaly=False, beside=None, observed=(), label=True):
    """One water column on `axes`: the members' fan, mean, truth, background and climatology.

    Args:
        here: the dataset at one place, on (member, depth).
        anomaly: draw departures from the climatology, of each place its own.
        beside: {name: (depth,)} of further lines.    observed: of `nearby`, marked.
        label: whether to name the depth axis.
    """
    ocean = np.asarray(here["ocean"], bool)
    depth = np.asarray(here["depth"], float)[ocean]
    base = np.asarray(here["climatology"], float)[ocean] if anomaly else np.zeros(depth.size)
    slab = (lambda values: np.repeat(values, 2, -1)) if depth.size == 1 else lambda values: values
    z = depth * [0.9, 1.1] if depth.size == 1 else depth  # a single level is drawn as a slab
    members = np.empty((0, depth.size))
    if "members" in here:
        members = np.asarray(here["members"].transpose("member", "depth"), float)[:, ocean]
        members = members[np.isfinite(members).any(1)] - base
    if members.size:
        low, lower, upper, high = slab(np.percentile(members, (5, 25, 75, 95), axis=0))
        words = "calibrated" if calibrated_suffix(here) else "members"
        look = {"color": BLUE, "linewidth": 0}
        axes.fill_betweenx(z, low, high, alpha=0.18, label=f"{words} 5–95 %", **look)
        axes.fill_betweenx(z, lower, upper, alpha=0.3, label=f"{words} 25–75 %", **look)
    lines = {key: (here[key], *look) for key, look in LINES.items() if key in here}
    for (name, values), colour in zip((beside or {}).items(), OTHERS):
        lines[name] = values, name, colour, "-.", 1.2
    for values, name, colour, dash, width in lines.values():
        values = np.asarray(values, float)[ocean] - base
        if np.isfinite(values).any():
            axes.plot(slab(values), z, dash, label=name, color=colour, linewidth=width)
    for index, (_, other) in enumerate(observed):
        seen = np.asarray(other["observed"], bool)
        values = other["value"] - other["climatology"] if anomaly else other["value"]
        look = {"color": BLACK, "markersize": 3, "markerfacecolor": "white", "markeredgewidth": 0.7}
        words = f"observed, {observed[0][0]:.0f} to {observed[-1][0]:.0f} km away"
        if index == 0:
            look["label"] = words
        axes.plot(np.asarray(values)[seen], np.asarray(other["depth"])[seen], "o", **look)
    axes.grid(alpha=0.3, linewidth=0.4)
    depth_axis(axes, 1.04 * z, label=label)


def most_remote_column(chosen):
    """(row, column) of the full-depth column farthest, level by level, from what was observed."""
    from scipy.ndimage import distance_transform_edt

    chosen = chosen.transpose(..., "depth", "latitude", "longitude")
    ocean, observed = np.asarray(chosen["ocean"]), np.asarray(chosen["observed"])
    distance = np.stack(
        [
            distance_transform_edt(~level) if level.any() else np.zeros(level.shape)
            for level in observed & ocean
        ]
    )
    wet = ocean.sum(0)
    score = np.where(wet == wet.max(), (distance * ocean).sum(0), -1)
    return np.unravel_index(int(score.argmax()), score.shape)


@mpl.rc_context(STYLE)
def profile(reconstruction, *, case=None, time=None, latitude=None, longitude=None, axes=None):
    """The fan of one place, left the temperature, right its departure from the climatology.

    The place is the nearest cell, by default the full-depth column farthest from any observation;
    the observed columns nearest to it are marked. `axes` are two. Returns the figure.
    Raises ValueError on land.
    """
    chosen = select(reconstruction, case=case, time=time)
    if latitude is None or longitude is None:
        row, column = most_remote_column(chosen)
    else:
        away = (chosen["longitude"].values - longitude + 180) % 360 - 180
        row, column = abs(chosen["latitude"].values - latitude).argmin(), abs(away).argmin()
    here = chosen.isel(latitude=row, longitude=column)
    if not np.asarray(here["ocean"]).any():
        raise ValueError(
            f"latitude {float(here['latitude']):.2f}, longitude {float(here['longitude']):.2f} "
            "is land; choose a place in the ocean"
        )
    figure, grid = panels(1, 2, width=5.4, height=4.0, axes=axes, sharey=True)
    seen = observed_columns_near(chosen, row, column)
    for one, anomaly in zip(grid[0], (False, True), strict=True):
        draw_profile(one, here, anomaly=anomaly, observed=seen, label=not anomaly)
    grid[0, 0].set_xlabel("Temperature (°C)")
    grid[0, 1].set_xlabel("Departure from climatology (°C)")
    grid[0, 0].legend(loc="best", frameon=False)
    if axes is None:
        place = place_label(here["longitude"], here["latitude"])
        figure.suptitle(f"{chosen['case'].item()}, {month_label(chosen['time'])}, {place}")
    return figure
