"""What lies under a line, and how it changes: sections and Hovmöller diagrams.

Each is a figure fit for a paper, from the dataset of reconstruction.nc, or is drawn on the `axes`
given. A section's depth runs downward on a square-root scale, which gives the thermocline the room
it needs and keeps the deep ocean in sight; the sea floor has the colour of land. Cells are drawn as
they are, never interpolated: a line that crosses the grid shows the cells under it.

Reference: Hovmöller 1949, doi:10.3402/tellusa.v1i2.8498.
"""

from itertools import pairwise

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.colors import ListedColormap
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.ticker import MaxNLocator

from ocean_lib.fields.reconstruction_file import select
from ocean_lib.plots.labels import (
    calibrated_suffix,
    degrees_label,
    depth_label,
    month_label,
    place_label,
)
from ocean_lib.plots.projections import cell_edges
from ocean_lib.plots.style import (
    HIDDEN,
    LAND,
    STYLE,
    colour_bar,
    colour_map,
    depth_axis,
    depth_edges,
    outline,
    panels,
    robust_limits,
    unit_label,
)

__all__ = ["hovmoller", "paint_section", "section", "transect"]


DEGREE = 111_195.0  # metres
MONTH = 31.0  # days


def transect(dataset, places):
    """The cells under the great circles from place to place, a labelled (…, depth, distance).

    `places` are two or more of (longitude, latitude) in degrees; `distance` is in km from the
    first, `along_longitude` and `along_latitude` lie on the circles. Where a circle leaves the
    field between two places `inside` is False and nothing is known. Raises ValueError for a place
    outside the field.
    """
    from pyproj import Geod

    earth, west = Geod(ellps="WGS84"), cell_edges(dataset["longitude"])[0]
    for axis, values in zip(("longitude", "latitude"), zip(*places, strict=True), strict=True):
        ends = cell_edges(dataset[axis])[[0, -1]]
        for value in values:
            turned = west + (value - west) % 360 if axis == "longitude" else value
            if not ends[0] <= turned <= ends[1]:
                raise ValueError(
                    f"{axis} {value:g} is outside the field, {ends[0]:g} to {ends[1]:g}; "
                    "choose places within it"
                )
    shrink = np.cos(np.radians(np.abs(dataset["latitude"]).max().item()))
    sizes = [np.diff(dataset[name]).min() for name in ("latitude", "longitude")]
    step = DEGREE * min(sizes[0], max(shrink, 0.1) * sizes[1])
    along, distance = [], []
    for (x, y), (x2, y2) in pairwise(places):
        length = earth.inv(x, y, x2, y2)[2]
        number = max(round(length / step), 1) + 1
        line = earth.inv_intermediate(
            x, y, x2, y2, number, initial_idx=0, terminus_idx=0, return_back_azimuth=False
        )
        along.append(np.stack([line.lons, line.lats]))
        gone = distance[-1][-1] if distance else 0.0
        # A line of no length is drawn a metre long.
        distance.append(gone + np.linspace(0, max(length, 1.0) / 1000, number))
    (longitude, latitude), distance = np.hstack(along), np.concatenate(distance)
    keep = np.diff(distance, prepend=-1) > 0  # a corner is the end of one line and begins the next
    along = {"longitude": west + (longitude[keep] - west) % 360, "latitude": latitude[keep]}
    along = {name: xr.DataArray(values, dims="distance") for name, values in along.items()}
    ends = {name: cell_edges(dataset[name])[[0, -1]] for name in along}
    inside = [(ends[name][0] <= along[name]) & (along[name] <= ends[name][1]) for name in along]
    inside = inside[0] & inside[1]
    found = dataset.sel(along, method="nearest")
    for name, part in found.data_vars.items():
        if "distance" in part.dims:
            found[name] = part & inside if part.dtype == bool else part.where(inside)
    known = {"inside": inside, "along_longitude": along["longitude"]}
    known |= {"along_latitude": along["latitude"], "distance": distance[keep]}
    return found.assign_coords(known)


def paint_section(axes, x, y, field, ocean, *, kind, limits):
    """One field (rows, columns) between edges `x` and `y`; returns the mesh.

    Outside `ocean` lies the sea floor; ocean without a value is grey, as on maps; what a transect
    has outside the field stays white.
    """
    wet = np.asarray(ocean, float)
    if "inside" in ocean.coords:
        wet = np.where(ocean["inside"], wet, np.nan)
    base = {"cmap": ListedColormap([LAND, HIDDEN]), "vmin": 0, "vmax": 1, "rasterized": True}
    axes.pcolormesh(x, y, np.ma.masked_invalid(wet), **base)
    low, high = limits
    values = np.ma.masked_invalid(np.asarray(field, float))
    return axes.pcolormesh(
        x, y, values, cmap=colour_map(kind)[0], vmin=low, vmax=high, rasterized=True
    )


def _four(chosen, x, y, observed, axes, height):
    """Truth with observed cells outlined, mean, error and spread, on shared x and y."""
    ocean = chosen["ocean"]
    truth, mean, spread = (chosen[name].where(ocean) for name in ("truth", "mean", "spread"))
    figure, grid = panels(2, 2, height=height, axes=axes, sharex=True, sharey=True)
    limits = robust_limits(truth, mean)
    shown = [
        ("Truth, observed cells outlined", truth, "temperature", limits),
        ("Ensemble mean", mean, "temperature", limits),
    ]
    shown += [
        (name, field, kind, robust_limits(field, kind=kind))
        for name, field, kind in (
            ("Mean − truth", mean - truth, "difference"),
            ("Spread" + calibrated_suffix(chosen), spread, "spread"),
        )
    ]
    for one, (name, field, kind, extent) in zip(grid.flat, shown, strict=True):
        mesh = paint_section(one, x, y, field, ocean, kind=kind, limits=extent)
        one.set_title(name, pad=7)
        if kind != "temperature":
            colour_bar(figure, mesh, one, unit_label(truth, kind))
        elif one is grid[0, 1]:
            colour_bar(figure, mesh, list(grid[0]), unit_label(truth, kind))
    outline(grid[0, 0], x, y, np.asarray(observed), color="white", linewidth=0.5)
    return figure, grid


def _row(chosen, latitude, longitude):
    """The row (or column) of cells asked for, and the dimension that runs along it."""
    if longitude is not None and latitude is not None:
        raise ValueError("a row of cells lies on one latitude or one longitude; give one of them")
    if longitude is not None:
        return chosen.sel(longitude=longitude, method="nearest"), "latitude"
    if latitude is not None:
        return chosen.sel(latitude=latitude, method="nearest"), "longitude"
    # Among the rows with nearly the most ocean the one nearest the middle.
    wet = chosen["ocean"].sum(
        [dim for dim in ("depth", "longitude") if dim in chosen["ocean"].dims]
    )
    rows = np.nonzero(wet.values >= 0.97 * wet.values.max())[0]
    middle = rows[np.abs(rows - (wet.size - 1) / 2).argmin()]
    return chosen.isel(latitude=int(middle)), "longitude"


def _degrees(grid, along):
    for one in np.atleast_1d(grid):
        one.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
        one.xaxis.set_major_formatter(lambda value, _: degrees_label(value, along))


def _across(chosen, along):
    across = "latitude" if along == "longitude" else "longitude"
    return degrees_label(round(float(chosen[across]), 2), across)


@mpl.rc_context(STYLE)
def section(
    reconstruction, *, case=None, time=None, latitude=None, longitude=None, line=None, axes=None
):
    """Truth, ensemble mean, error and spread along a line, depth downward; returns the figure.

    The line is the row of cells nearest to `latitude`, the column nearest to `longitude`, or the
    great circles through `line`, two or more places (longitude, latitude); by default a row with
    most ocean. Observed cells are outlined on the truth and the columns holding any, where they are
    few, ticked on top. `axes` are four. Raises ValueError where more than one line is given.
    """
    chosen = select(reconstruction, case=case, time=time)
    if line is None:
        chosen, along = _row(chosen, latitude, longitude)
        words = _across(chosen, along)
    elif latitude is None and longitude is None:
        chosen, along = transect(chosen, line), "distance"
        words = " to ".join(place_label(*place) for place in line)
    else:
        raise ValueError("a section follows a latitude, a longitude or a line; give one of them")
    chosen = chosen.transpose(..., "depth", along)
    observed = chosen["observed"] & chosen["ocean"]
    x, y = cell_edges(chosen[along]), depth_edges(chosen["depth"])
    figure, grid = _four(chosen, x, y, observed, axes, 4.2)
    columns = np.asarray(observed.any("depth"))
    columns &= columns.mean() < 0.3  # ticks would touch where most columns hold a value
    seen = np.asarray(chosen[along])[columns]
    mark = {"color": "black", "markersize": 4, "markeredgewidth": 0.7, "clip_on": False}
    for one in grid.flat:
        if seen.size:  # an empty unclipped line has no extent, and would upset the layout
            one.plot(seen, np.zeros(seen.size), "|", **mark)
    for one in grid[:, 0]:
        depth_axis(one, y)
    for one in grid[1]:
        if along == "distance":
            one.set_xlabel("Distance (km)")
        else:
            _degrees(one, along)
    if axes is None:
        figure.suptitle(f"{chosen['case'].item()}, {month_label(chosen['time'])}, {words}")
    return figure


def _rows(days):
    """Edges of rows for dates (days), which date each row shows, and whether it shows one.

    A row is as high as the least time between two dates, a month at most: between dates that lie
    farther apart there are rows that show none.
    """
    high = np.diff(days).min(initial=MONTH)
    edges, rows, inside = [days[0] - high / 2], [], []
    for date, day in enumerate(days):
        if day - high / 2 > edges[-1] + high / 4:
            edges, rows, inside = [*edges, day - high / 2], [*rows, date], [*inside, False]
        edges, rows, inside = [*edges, day + high / 2], [*rows, date], [*inside, True]
    return np.array(edges), rows, np.array(inside)


@mpl.rc_context(STYLE)
def hovmoller(reconstruction, *, case=None, latitude=None, longitude=None, depth=100.0, axes=None):
    """Truth, ensemble mean, error and spread of a row of cells at one depth, month over month.

    The row is the nearest to `latitude` (or the column to `longitude`), by default one with most
    ocean; observed cells are outlined on the truth. `axes` are four. Returns the figure.
    """
    chosen = select(reconstruction.rename(time="months"), case=case, depth=depth)
    chosen, along = _row(chosen, latitude, longitude)
    chosen = chosen.transpose(..., "months", along)
    chosen["ocean"] = chosen["ocean"].broadcast_like(chosen["truth"])
    y, rows, inside = _rows(date2num(chosen["months"].values))
    inside = inside[:, None] & np.ones(chosen.sizes[along], bool)
    chosen = chosen.isel(months=rows).assign_coords(inside=(("months", along), inside))
    for name in ("ocean", "observed"):
        chosen[name] = chosen[name] & chosen["inside"]
    x, observed = cell_edges(chosen[along]), chosen["observed"] & chosen["ocean"]
    figure, grid = _four(chosen, x, y, observed, axes, 4.6)
    for panel in grid[:, 0]:
        locator = AutoDateLocator()
        panel.yaxis.set_major_locator(locator)
        panel.yaxis.set_major_formatter(ConciseDateFormatter(locator))
    _degrees(grid[1], along)
    if axes is None:
        words = f"{depth_label(chosen['depth'])}, {_across(chosen, along)}"
        figure.suptitle(f"{chosen['case'].item()}, {words}")
    return figure
