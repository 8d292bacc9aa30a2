"""The projection that fits a region, and the degrees on a map's axes.

A region of up to 120 degrees that keeps off the poles is drawn in Mercator, the seas around a pole
in polar stereographic, the globe in Equal Earth, whose cells are as large as they are, and a wide
band in plate carrée. Every projection is centred on its field, so that no mesh is cut at the date
line: longitudes run on past 180 degrees east as the field's do.

Reference: Šavrič et al. 2019, doi:10.1080/13658816.2018.1504949 (Equal Earth).
"""

import cartopy.crs as crs
import numpy as np
from matplotlib.path import Path
from matplotlib.ticker import FixedLocator, MaxNLocator

from ocean_lib.plots.labels import degrees_label

__all__ = ["cell_edges", "corners", "projection_for", "frame_map", "project", "unproject"]


SEAM = 180 - 1e-6  # degrees from the centre: a hair farther and a point changes sides
AROUND = 359.0  # degrees of longitude: all the way round


def cell_edges(centres):
    """(n,) increasing cell centres to (n + 1,) edges, half way between neighbours."""
    centres = np.asarray(centres, dtype=float)
    if centres.size == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def _degrees(field):
    longitude = cell_edges(field["longitude"])
    return longitude, np.clip(cell_edges(field["latitude"]), -90, 90)


def projection_for(field):
    """The cartopy projection for a field on (latitude, longitude).

    Raises ValueError for a section (fewer than 2 rows or columns).
    """
    if field.sizes["latitude"] < 2 or field.sizes["longitude"] < 2:
        raise ValueError(
            f"a field of {field.sizes['latitude']} x {field.sizes['longitude']} cells "
            "is not a map (2 x 2 at least); draw it with sections.section"
        )
    longitude, latitude = _degrees(field)
    (south, north), span = latitude[[0, -1]], longitude[-1] - longitude[0]
    centre = (longitude[0] + longitude[-1]) / 2
    if max(-south, north) <= 75 and span <= 120:
        return crs.Mercator(centre)
    if south >= 40 or (south >= 20 and north > 75):
        return crs.NorthPolarStereo(centre)
    if north <= -30:
        return crs.SouthPolarStereo(centre)
    if span >= 300 and north - south >= 100:
        return crs.EqualEarth(centre)
    return crs.PlateCarree(centre)


def _centre(projection):
    return projection.proj4_params.get("lon_0", projection.proj4_params.get("pm", 0))


def project(projection, longitude, latitude):
    """Degrees (arrays of one shape, longitudes in any turn) to x and y of the map, in its units."""
    centre = _centre(projection)
    away = np.asarray(longitude, dtype=float) - centre
    # What lies more than half a turn away is given in another turn; the seam itself has two sides.
    turned = (away + 180) % 360 - 180
    away = np.clip(np.where(np.abs(away) > 180 + 1e-6, turned, away), -SEAM, SEAM)
    latitude = np.clip(np.asarray(latitude, dtype=float), -90, 90)
    points = projection.transform_points(crs.PlateCarree(centre), away, latitude)
    return points[..., 0], points[..., 1]


def unproject(projection, x, y):
    """A point of the map to (longitude, latitude) in degrees, longitude in -180 … 180."""
    return crs.PlateCarree().transform_point(x, y, projection)


def corners(projection, field):
    """Corners of a field's cells on the map, x and y, both (rows + 1, columns + 1)."""
    return project(projection, *np.meshgrid(*_degrees(field)))


def frame_map(axes, field, *, left=True, bottom=True):
    """Set the limits and degrees of a map of `field`; returns its cells' corners as of `edges`.

    `left` and `bottom` tell which degrees are written.
    """
    projection = axes.projection
    longitude, latitude = _degrees(field)
    x, y = corners(projection, field)
    if isinstance(projection, crs.EqualEarth):
        axes.set_global()
    else:
        axes.set_xlim(x.min(), x.max())
        axes.set_ylim(y.min(), y.max())
    if isinstance(projection, crs.Mercator | crs.PlateCarree):
        _ticks(axes, longitude, latitude, left, bottom)
        return x, y
    around = longitude[-1] - longitude[0] >= AROUND
    polar = isinstance(projection, crs.Stereographic)
    if polar and around:
        angle = np.linspace(0, 2 * np.pi, 181)
        circle = 0.5 + 0.5 * np.stack([np.cos(angle), np.sin(angle)], -1)
        axes.set_boundary(Path(circle, closed=True), axes.transAxes)
    named = left and bottom
    lines = axes.gridlines(draw_labels=named, color="black", alpha=0.15, linewidth=0.4)
    lines.xlocator = MaxNLocator(4, steps=[1, 2, 5, 10])
    if around:
        lines.xlocator = FixedLocator(np.arange(-180, 180, 45 if polar else 90))
    lines.ylocator = MaxNLocator(4, steps=[1, 1.5, 2, 3, 5, 10])
    lines.x_inline, lines.top_labels, lines.right_labels = False, named and polar, named and polar
    lines.xlabel_style = lines.ylabel_style = {"size": 6}
    return x, y


def _round_degrees(ends, length):
    # `length` is the share of the longer side of the panel: a short side has room for fewer.
    steps = [1, 2, 5, 10] if ends[-1] - ends[0] < 120 else [1, 3, 6, 9, 10]
    number = max(round(4 * length), 1)
    ticks = MaxNLocator(nbins=number, steps=steps).tick_values(ends[0], ends[-1])
    ticks = ticks[(ticks >= ends[0]) & (ticks <= ends[-1])]
    # The narrowest panels have room for one label, in the middle.
    return ticks[len(ticks) // 2 :][:1] if number == 1 else ticks


def _ticks(axes, longitude, latitude, left, bottom):
    (west, east), (south, north) = axes.get_xlim(), axes.get_ylim()
    shape = (north - south) / (east - west)
    columns = _round_degrees(longitude, min(1, 1 / shape))
    rows = _round_degrees(latitude, min(1, shape))
    axes.set_xticks(project(axes.projection, columns, 0 * columns)[0])
    axes.set_yticks(project(axes.projection, 0 * rows + _centre(axes.projection), rows)[1])
    axes.set_xticklabels([degrees_label(t, "longitude") for t in columns] if bottom else [])
    axes.set_yticklabels([degrees_label(t, "latitude") for t in rows] if left else [])
    axes.grid(color="black", alpha=0.15, linewidth=0.4)
