"""Sections along a line and Hovmöller diagrams, both with truth, mean, error and spread.

Depth runs downward on a square-root scale, which resolves the thermocline and keeps the deep ocean
in sight; the sea floor has the colour of land. Cells are never interpolated: a line that crosses
the grid shows the cells under it.

Reference: Hovmöller 1949, doi:10.3402/tellusa.v1i2.8498.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from xarray import DataArray, Dataset

from ocean_lib.core.geometry import EARTH_RADIUS, wrap_longitude
from ocean_lib.fields.reconstruction_file import select
from ocean_lib.plots import labels, style
from ocean_lib.plots.labels import degrees_label
from ocean_lib.plots.painting import outline, paint_section
from ocean_lib.plots.projections import cell_edges
from ocean_lib.plots.style import STYLE, Panels, colour_bar, figure_title, robust_limits

__all__ = ["hovmoller", "section", "transect"]


LONGEST_ROW = 31.0  # days that a row of a Hovmöller diagram covers at most
ROUNDING = 1e-9  # tolerance for places outside the field, degrees
FEW_COLUMNS = 0.3  # fraction of observed columns above which they are not ticked


def transect(dataset: Dataset, places: Sequence[tuple[float, float]]) -> Dataset:
    """Select the cells under the great circles that join places.

    Args:
        dataset: (…, latitude, longitude).
        places: two or more (longitude, latitude) in degrees, longitude in any turn.

    Returns:
        The dataset (…, distance), with `distance` in km from the first place and the coordinates
        `along_longitude` and `along_latitude` of the great circles. Where a circle leaves the
        field, the coordinate `inside` is False and values are missing.

    Raises:
        ValueError: a place lies outside the field.
    """
    from pyproj import Geod

    edges = {axis: cell_edges(dataset[axis])[[0, -1]] for axis in ("longitude", "latitude")}
    bounds = {axis: ends + [-ROUNDING, ROUNDING] for axis, ends in edges.items()}
    centre = bounds["longitude"].mean()
    for place in places:
        wrapped = wrap_longitude(place[0], centre), place[1]
        for (axis, (low, high)), value, within in zip(bounds.items(), place, wrapped):
            if not low <= within <= high:
                raise ValueError(
                    f"{axis} {value:g} is outside the field, {low:g} to {high:g}; "
                    "choose places within it"
                )
    shrink = np.cos(np.radians(np.abs(dataset["latitude"]).max().item()))
    height, width = (np.diff(dataset[name]).min() for name in ("latitude", "longitude"))
    step = 1000 * EARTH_RADIUS * np.radians(min(height, max(shrink, 0.1) * width))  # metres
    earth, points, distances = Geod(ellps="WGS84"), [], [np.zeros(1)]
    for start, end in pairwise(places):
        length = earth.inv(*start, *end)[2]
        number = max(round(length / step), 1) + 1
        ends: dict[str, Any] = {"initial_idx": 0, "terminus_idx": 0}
        line = earth.inv_intermediate(*start, *end, number, return_back_azimuth=False, **ends)
        points.append(np.stack([line.lons, line.lats]))
        # A line of zero length is drawn one metre long.
        distances.append(distances[-1][-1] + np.linspace(0, max(length, 1.0) / 1000, number))
    (longitude, latitude), distance = np.hstack(points), np.concatenate(distances[1:])
    keep = np.diff(distance, prepend=-1) > 0  # a corner belongs to two lines
    along = {
        "longitude": DataArray(wrap_longitude(longitude[keep], centre), dims="distance"),
        "latitude": DataArray(latitude[keep], dims="distance"),
    }
    inside = along["latitude"].notnull()
    for axis, (low, high) in bounds.items():
        inside &= (low <= along[axis]) & (along[axis] <= high)
    cells = dataset.sel(along, method="nearest")
    for name, values in cells.data_vars.items():
        if "distance" in values.dims:
            cells[name] = values & inside if values.dtype == bool else values.where(inside)
    circles = {f"along_{name}": values for name, values in along.items()}
    return cells.assign_coords({"inside": inside, "distance": distance[keep], **circles})


def _draw_four(
    selected: Dataset, x: np.ndarray, y: np.ndarray, axes: Panels, height: float
) -> tuple[Figure, np.ndarray]:
    """Draw truth with observed cells outlined, mean, error and spread, with cell edges x and y."""
    ocean = selected["ocean"]
    truth, mean, spread = (selected[name].where(ocean) for name in ("truth", "mean", "spread"))
    figure, grid = style.panels(2, 2, height=height, axes=axes, sharex=True, sharey=True)
    limits = robust_limits(truth, mean)
    fields = (
        ("Truth, observed cells outlined", truth, "temperature"),
        ("Ensemble mean", mean, "temperature"),
        ("Mean − truth", mean - truth, "difference"),
        ("Spread" + labels.calibrated_suffix(selected), spread, "spread"),
    )
    for panel, (title, field, kind) in zip(grid.flat, fields, strict=True):
        extent = limits if kind == "temperature" else robust_limits(field, kind=kind)
        mesh = paint_section(panel, x, y, field, ocean, kind=kind, limits=extent)
        panel.set_title(title, pad=7)
        if kind != "temperature":
            colour_bar(mesh, panel, style.unit_label(truth, kind))
        elif panel is grid[0, 1]:
            colour_bar(mesh, list(grid[0]), style.unit_label(truth, kind))
    observed = np.asarray(selected["observed"] & ocean)
    outline(grid[0, 0], x, y, observed, color="white", linewidth=0.5)
    return figure, grid


def _row_of_cells(
    selected: Dataset, latitude: float | None, longitude: float | None
) -> tuple[Dataset, str]:
    """A row or column of cells, by default one with much ocean, and the dimension along it."""
    if longitude is not None and latitude is not None:
        raise ValueError("a row of cells lies on one latitude or one longitude; give one of them")
    if longitude is not None:
        return selected.sel(longitude=longitude, method="nearest"), "latitude"
    if latitude is not None:
        return selected.sel(latitude=latitude, method="nearest"), "longitude"
    # Of the rows with nearly the most ocean, take the one nearest to the middle.
    dims = [dim for dim in ("depth", "longitude") if dim in selected["ocean"].dims]
    wet = selected["ocean"].sum(dims)
    rows = np.nonzero(wet.values >= 0.97 * wet.values.max())[0]
    middle = rows[np.abs(rows - (wet.size - 1) / 2).argmin()]
    return selected.isel(latitude=int(middle)), "longitude"


def _row_label(row: Dataset, along: str) -> str:
    across = "latitude" if along == "longitude" else "longitude"
    return degrees_label(round(float(row[across]), 2), across)


def _label_degrees(axes: Axes, along: str) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, _: degrees_label(value, along))


@mpl.rc_context(STYLE)
def section(
    reconstruction: Dataset,
    *,
    case: str | None = None,
    time: str | np.datetime64 | None = None,
    latitude: float | None = None,
    longitude: float | None = None,
    line: Sequence[tuple[float, float]] | None = None,
    axes: Panels = None,
) -> Figure:
    """Draw truth, ensemble mean, error and spread along a line, by depth.

    Observed cells are outlined on the truth; columns with observations are ticked at the top if
    there are few.

    Args:
        reconstruction: the dataset of reconstruction.nc.
        case: name of the case; the first by default.
        time: the nearest date is selected; the first by default.
        latitude: degrees, of the nearest row of cells.
        longitude: degrees, of the nearest column of cells.
        line: two or more (longitude, latitude), joined by great circles. By default a row of cells
            with much ocean.
        axes: four axes to draw on.

    Raises:
        ValueError: more than one of `latitude`, `longitude` and `line` is given.
    """
    selected = select(reconstruction, case=case, time=time)
    if line is None:
        selected, along = _row_of_cells(selected, latitude, longitude)
        words = _row_label(selected, along)
    elif latitude is None and longitude is None:
        selected, along = transect(selected, line), "distance"
        words = " to ".join(labels.place_label(*place) for place in line)
    else:
        raise ValueError("a section follows a latitude, a longitude or a line; give one of them")
    selected = selected.transpose(..., "depth", along)
    y = style.depth_edges(selected["depth"])
    figure, grid = _draw_four(selected, cell_edges(selected[along]), y, axes, 4.2)
    columns = np.asarray((selected["observed"] & selected["ocean"]).any("depth"))
    if 0 < columns.mean() < FEW_COLUMNS:
        observed = np.asarray(selected[along])[columns]
        mark = {"color": "black", "markersize": 4, "markeredgewidth": 0.7, "clip_on": False}
        for panel in grid.flat:
            panel.plot(observed, np.zeros(observed.size), "|", **mark)
    for panel in grid[:, 0]:
        style.depth_axis(panel, y)
    for panel in grid[1]:
        if along == "distance":
            panel.set_xlabel("Distance (km)")
        else:
            _label_degrees(panel, along)
    figure_title(figure, axes, labels.case_title(selected, words))
    return figure


def _date_rows(days: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of a Hovmöller diagram, with empty rows between dates that are far apart.

    The height of a row is the shortest interval between two dates, at most `LONGEST_ROW`.

    Args:
        days: (dates,), ascending.

    Returns:
        Edges (rows + 1,) in days, index of a date (rows,), whether the row shows it (rows,).
    """
    height = np.diff(days).min(initial=LONGEST_ROW)
    edges, dates, filled = [days[0] - height / 2], [], []
    for date, day in enumerate(days):
        if day - height / 2 > edges[-1] + height / 4:
            edges, dates, filled = [*edges, day - height / 2], [*dates, date], [*filled, False]
        edges, dates, filled = [*edges, day + height / 2], [*dates, date], [*filled, True]
    return np.array(edges), np.array(dates), np.array(filled)


@mpl.rc_context(STYLE)
def hovmoller(
    reconstruction: Dataset,
    *,
    case: str | None = None,
    latitude: float | None = None,
    longitude: float | None = None,
    depth: float = 100.0,
    axes: Panels = None,
) -> Figure:
    """Draw truth, ensemble mean, error and spread of a row of cells at one depth, by date.

    Observed cells are outlined on the truth.

    Args:
        reconstruction: the dataset of reconstruction.nc.
        case: name of the case; the first by default.
        latitude: degrees, of the nearest row of cells.
        longitude: degrees, of the nearest column of cells. Without both, a row with much ocean.
        depth: metres, the nearest level is selected.
        axes: four axes to draw on.

    Raises:
        ValueError: both `latitude` and `longitude` are given.
    """
    # Renamed, so that `select` keeps all dates.
    selected = select(reconstruction.rename(time="date"), case=case, depth=depth)
    selected, along = _row_of_cells(selected, latitude, longitude)
    selected = selected.transpose(..., "date", along)
    selected["ocean"] = selected["ocean"].broadcast_like(selected["truth"])
    y, dates, filled = _date_rows(date2num(selected["date"].values))
    filled = filled[:, None] & np.ones(selected.sizes[along], bool)
    selected = selected.isel(date=dates).assign_coords(inside=(("date", along), filled))
    for name in ("ocean", "observed"):
        selected[name] = selected[name] & selected["inside"]
    figure, grid = _draw_four(selected, cell_edges(selected[along]), y, axes, 4.6)
    for panel in grid[:, 0]:
        locator = AutoDateLocator()
        panel.yaxis.set_major_locator(locator)
        panel.yaxis.set_major_formatter(ConciseDateFormatter(locator))
    for panel in grid[1]:
        _label_degrees(panel, along)
    words = f"{labels.depth_label(selected['depth'])}, {_row_label(selected, along)}"
    figure_title(figure, axes, f"{selected['case'].item()}, {words}")
    return figure
