"""Profiles: the ensemble at one place by depth, with the observed columns nearby.

Depth runs downward on a square-root scale. Shaded bands contain 90 % and 50 % of the members; lines
are the mean, the truth and the other estimates. The functions take one case and date of
reconstruction.nc; only `profile` takes the complete dataset.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from xarray import DataArray, Dataset

from ocean_lib.core.geometry import EARTH_RADIUS, wrap_longitude
from ocean_lib.fields.reconstruction_file import select
from ocean_lib.plots import style
from ocean_lib.plots.labels import calibrated_suffix, case_title, place_label
from ocean_lib.plots.style import STYLE, Panels, figure_title, panels

__all__ = ["draw_profile", "most_remote_column", "nearest_cell", "observed_columns_near", "profile"]


LINES: dict[str, dict[str, Any]] = {
    "truth": {"color": style.BLACK, "linestyle": "-", "linewidth": 1.6},
    "mean": {"label": "ensemble mean", "color": style.BLUE, "linestyle": "-", "linewidth": 1.4},
    "background": {"color": style.VERMILION, "linestyle": "--", "linewidth": 1.0},
    "climatology": {"color": style.GREY, "linestyle": ":", "linewidth": 1.2},
}
FURTHER_LINE: dict[str, Any] = {"linestyle": "-.", "linewidth": 1.2}
FURTHER_COLOURS = (style.ORANGE, style.GREEN, style.PURPLE, style.SKY_BLUE)


def nearest_cell(dataset: Dataset, longitude: float, latitude: float) -> tuple[int, int]:
    """(row, column) of the cell nearest to a place in degrees, longitude in any turn."""
    east = wrap_longitude(dataset["longitude"].values - longitude)
    north = dataset["latitude"].values - latitude
    return int(abs(north).argmin()), int(abs(east).argmin())


def observed_columns_near(
    selected: Dataset, row: int, column: int, *, within: float = 60.0, most: int = 5
) -> list[tuple[float, Dataset]]:
    """Find the observed columns nearest to a cell.

    Args:
        selected: one case and date of a reconstruction.
        row: row of the cell.
        column: column of the cell.
        within: largest distance, km.
        most: largest number of columns.

    Returns:
        Distance (km) and dataset (depth) of each column, nearest first; empty if the
        reconstruction holds no observations.
    """
    if "value" not in selected:
        return []
    latitude, longitude = selected["latitude"].values, selected["longitude"].values
    east = np.cos(np.radians(latitude[row])) * wrap_longitude(longitude - longitude[column])
    degrees = np.hypot(latitude[:, None] - latitude[row], east)
    distance = EARTH_RADIUS * np.radians(degrees)
    observed = selected["observed"].any("depth").transpose("latitude", "longitude").values
    cells = np.argwhere(observed & (distance <= within)).tolist()
    cells = sorted(cells, key=lambda cell: distance[*cell])[:most]
    return [(distance[i, j], selected.isel(latitude=i, longitude=j)) for i, j in cells]


def draw_profile(
    axes: Axes,
    column: Dataset,
    *,
    anomaly: bool = False,
    beside: Mapping[str, DataArray] | None = None,
    observed: Sequence[tuple[float, Dataset]] = (),
    label: bool = True,
) -> None:
    """Draw one water column: bands of the members, the lines of `LINES` and observed values.

    Args:
        axes: the panel.
        column: the dataset at one place (member, depth). A single level is drawn as a slab.
        anomaly: draw departures from the climatology of each column.
        beside: {name: values (depth,)} of further lines, four at most.
        observed: from `observed_columns_near`; drawn as marks.
        label: whether to name the depth axis.
    """
    ocean = np.asarray(column["ocean"], bool)
    depth = np.asarray(column["depth"], float)[ocean]
    climatology = np.asarray(column["climatology"], float)[ocean] if anomaly else 0.0
    thickness, repeats = (np.array([0.9, 1.1]), 2) if depth.size == 1 else (1.0, 1)
    z = depth * thickness
    members = np.empty((0, depth.size))
    if "members" in column:
        members = np.asarray(column["members"].transpose("member", "depth"), float)[:, ocean]
        members = members[np.isfinite(members).any(1)] - climatology
    if members.size:
        percentiles = np.percentile(members, (5, 25, 75, 95), axis=0)
        low, lower, upper, high = np.repeat(percentiles, repeats, -1)
        name = "calibrated" if calibrated_suffix(column) else "members"
        bands = (low, high, 0.18, "5–95 %"), (lower, upper, 0.3, "25–75 %")
        for left, right, alpha, share in bands:
            band = axes.fill_betweenx(z, left, right, alpha=alpha, label=f"{name} {share}")
            band.set(color=style.BLUE, linewidth=0)
    lines: list[tuple[DataArray, dict[str, Any]]] = [
        (column[name], {"label": name} | look) for name, look in LINES.items() if name in column
    ]
    for (name, values), colour in zip((beside or {}).items(), FURTHER_COLOURS):
        lines.append((values, FURTHER_LINE | {"label": name, "color": colour}))
    for values, look in lines:
        profile = np.asarray(values, float)[ocean] - climatology
        if np.isfinite(profile).any():
            axes.plot(np.repeat(profile, repeats), z, **look)
    mark: dict[str, Any] = {"color": style.BLACK, "markersize": 3}
    mark |= {"markerfacecolor": "white", "markeredgewidth": 0.7}
    for index, (_, other) in enumerate(observed):
        levels = np.asarray(other["observed"], bool)
        values = other["value"] - other["climatology"] if anomaly else other["value"]
        distances = f"observed, {observed[0][0]:.0f} to {observed[-1][0]:.0f} km away"
        mark["label"] = distances if index == 0 else "_"  # one entry in the legend
        axes.plot(np.asarray(values)[levels], np.asarray(other["depth"])[levels], "o", **mark)
    axes.grid(alpha=0.3, linewidth=0.4)
    style.depth_axis(axes, 1.04 * z, label=label)


def most_remote_column(selected: Dataset) -> tuple[int, int]:
    """(row, column) of the deepest column with the largest summed distance to observations."""
    from scipy.ndimage import distance_transform_edt

    selected = selected.transpose(..., "depth", "latitude", "longitude")
    ocean, observed = np.asarray(selected["ocean"]), np.asarray(selected["observed"])
    distance = np.zeros(ocean.shape)
    for level, mask in enumerate(observed & ocean):
        if mask.any():
            distance[level] = distance_transform_edt(~mask)
    wet = ocean.sum(0)
    score = np.where(wet == wet.max(), (distance * ocean).sum(0), -1)
    row, column = np.unravel_index(int(score.argmax()), score.shape)
    return int(row), int(column)


@mpl.rc_context(STYLE)
def profile(
    reconstruction: Dataset,
    *,
    case: str | None = None,
    time: str | np.datetime64 | None = None,
    latitude: float | None = None,
    longitude: float | None = None,
    axes: Panels = None,
) -> Figure:
    """Draw the profile at one place, as temperature and as departure from climatology.

    Args:
        reconstruction: the dataset of reconstruction.nc.
        case: name of the case; the first by default.
        time: the nearest date is selected; the first by default.
        latitude: degrees, of the nearest cell.
        longitude: degrees, of the nearest cell; `most_remote_column` if either is None.
        axes: two axes to draw on.

    Raises:
        ValueError: the place is on land.
    """
    selected = select(reconstruction, case=case, time=time)
    if latitude is None or longitude is None:
        row, column = most_remote_column(selected)
    else:
        row, column = nearest_cell(selected, longitude, latitude)
    place = selected.isel(latitude=row, longitude=column)
    if not np.asarray(place["ocean"]).any():
        raise ValueError(
            f"latitude {float(place['latitude']):.2f}, longitude {float(place['longitude']):.2f} "
            "is land; choose a place in the ocean"
        )
    figure, grid = panels(1, 2, width=5.4, height=4.0, axes=axes, sharey=True)
    observed = observed_columns_near(selected, row, column)
    for panel, anomaly in zip(grid[0], (False, True), strict=True):
        draw_profile(panel, place, anomaly=anomaly, observed=observed, label=not anomaly)
    grid[0, 0].set_xlabel("Temperature (°C)")
    grid[0, 1].set_xlabel("Departure from climatology (°C)")
    grid[0, 0].legend(loc="best", frameon=False)
    words = place_label(float(place["longitude"]), float(place["latitude"]))
    figure_title(figure, axes, case_title(selected, words))
    return figure
