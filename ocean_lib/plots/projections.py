"""Map projections: the projection that suits a region, and degrees on the axes of a map.

Regions up to 120 degrees wide and away from the poles are drawn in Mercator, polar seas in polar
stereographic, the globe in Equal Earth, which preserves areas, and wide bands in plate carrée.
Every projection is centred on its field, so that no cell is cut at the date line: longitudes
continue past 180 degrees east as they do in the field.

Reference: Šavrič et al. 2019, doi:10.1080/13658816.2018.1504949 (Equal Earth).
"""

import cartopy.crs as crs
import numpy as np
from cartopy.mpl.geoaxes import GeoAxes
from matplotlib.path import Path
from matplotlib.ticker import FixedLocator, MaxNLocator
from numpy.typing import ArrayLike
from xarray import DataArray

from ocean_lib.core.geometry import wrap_longitude
from ocean_lib.plots.labels import degrees_label

__all__ = [
    "cell_edges",
    "corners",
    "frame_map",
    "panel_shape",
    "project",
    "projection_for",
    "unproject",
]


SEAM = 180 - 1e-6  # degrees from the centre; a point farther away would change sides
SMALL = 1.3  # inches, width of a panel with room for three longitudes
NARROWEST = 0.4  # of a panel's shorter side to its longer one
FULL_CIRCLE = 359.0  # degrees of longitude from which a field counts as global


def cell_edges(centres: ArrayLike) -> np.ndarray:
    """Edges (n + 1,) of cells with increasing centres (n,), half way between neighbours."""
    centres = np.asarray(centres, dtype=float)
    if centres.size == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def _edges_in_degrees(field: DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Longitudes (columns + 1,) and latitudes (rows + 1,)."""
    longitude = cell_edges(field["longitude"])
    return longitude, np.clip(cell_edges(field["latitude"]), -90, 90)


def projection_for(field: DataArray) -> crs.Projection:
    """Choose the projection for the region of a field (latitude, longitude).

    Raises:
        ValueError: the field is a section (fewer than 2 rows or columns).
    """
    if field.sizes["latitude"] < 2 or field.sizes["longitude"] < 2:
        raise ValueError(
            f"a map needs at least 2 x 2 cells, this field has {field.sizes['latitude']} x "
            f"{field.sizes['longitude']}; draw it with sections.section"
        )
    longitude, latitude = _edges_in_degrees(field)
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


def _centre(projection: crs.Projection) -> float:
    return projection.proj4_params.get("lon_0", projection.proj4_params.get("pm", 0))


def project(
    projection: crs.Projection, longitude: ArrayLike, latitude: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Project degrees to a map.

    Args:
        projection: projection of the map.
        longitude: any shape, degrees in any turn.
        latitude: the same shape, degrees.

    Returns:
        x and y, the same shape, in the units of the map.
    """
    centre = _centre(projection)
    offset = np.asarray(longitude, dtype=float) - centre
    # Wrap offsets beyond half a turn; points on the seam itself keep their side.
    wrapped = wrap_longitude(offset)
    offset = np.clip(np.where(np.abs(offset) > 180 + 1e-6, wrapped, offset), -SEAM, SEAM)
    latitude = np.clip(np.asarray(latitude, dtype=float), -90, 90)
    points = projection.transform_points(crs.PlateCarree(centre), offset, latitude)
    return points[..., 0], points[..., 1]


def unproject(projection: crs.Projection, x: float, y: float) -> tuple[float, float]:
    """Longitude (-180 to 180) and latitude in degrees of a point of the map."""
    return crs.PlateCarree().transform_point(x, y, projection)


def corners(projection: crs.Projection, field: DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the cells of a field on the map: x and y, both (rows + 1, columns + 1)."""
    return project(projection, *np.meshgrid(*_edges_in_degrees(field)))


def panel_shape(x: np.ndarray, y: np.ndarray) -> float:
    """Height of a map's panel to its width: that of the region, within `NARROWEST`.

    Args:
        x: of the `corners`.
        y: of the `corners`.
    """
    return float(np.clip(np.ptp(y) / np.ptp(x), NARROWEST, 1 / NARROWEST))


def frame_map(
    axes: GeoAxes, field: DataArray, *, left: bool = True, bottom: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Set the limits of a map and label its degrees.

    Args:
        axes: the panel.
        field: (latitude, longitude), for its region.
        left: whether to label latitudes.
        bottom: whether to label longitudes.

    Returns:
        `corners` of the field.
    """
    projection = axes.projection
    longitude, latitude = _edges_in_degrees(field)
    x, y = corners(projection, field)
    if isinstance(projection, crs.EqualEarth):
        axes.set_global()
    else:
        axes.set_xlim(x.min(), x.max())
        axes.set_ylim(y.min(), y.max())
        # A narrow strip is stretched, so that its labels and titles have room.
        axes.set_aspect(panel_shape(x, y) * np.ptp(x) / np.ptp(y))
    if isinstance(projection, crs.Mercator | crs.PlateCarree):
        _rectangular_ticks(axes, longitude, latitude, left, bottom)
    else:
        _curved_grid(axes, longitude[-1] - longitude[0] >= FULL_CIRCLE, left and bottom)
    return x, y


def _curved_grid(axes: GeoAxes, around: bool, labelled: bool) -> None:
    """Draw grid lines, and a circular frame around a pole."""
    polar = isinstance(axes.projection, crs.Stereographic)
    if polar and around:
        angle = np.linspace(0, 2 * np.pi, 181)
        circle = 0.5 + 0.5 * np.stack([np.cos(angle), np.sin(angle)], -1)
        axes.set_boundary(Path(circle, closed=True), axes.transAxes)
    lines = axes.gridlines(draw_labels=labelled, color="black", alpha=0.15, linewidth=0.4)
    lines.xlocator = MaxNLocator(4, steps=[1, 2, 5, 10])
    if around:
        lines.xlocator = FixedLocator(range(-180, 180, 45 if polar else 90))
    lines.ylocator = MaxNLocator(4, steps=[1, 1.5, 2, 3, 5, 10])
    lines.x_inline = False
    lines.top_labels = lines.right_labels = labelled and polar
    lines.xlabel_style = lines.ylabel_style = {"size": 6}


def _round_degrees(edges: np.ndarray, share: float, most: int) -> np.ndarray:
    """Degrees for at most so many ticks on a side of that share of the longer side."""
    steps = [1, 2, 5, 10] if edges[-1] - edges[0] < 120 else [1, 3, 6, 9, 10]
    number = max(round(most * share), 1)
    ticks = MaxNLocator(nbins=number, steps=steps).tick_values(edges[0], edges[-1])
    ticks = ticks[(ticks >= edges[0]) & (ticks <= edges[-1])]
    ticks = ticks[::2] if len(ticks) > number else ticks  # labels at both edges would touch
    # The narrowest panels have room for one label, in the middle.
    return ticks[len(ticks) // 2 :][:1] if number == 1 else ticks


def _rectangular_ticks(axes, longitude, latitude, left: bool, bottom: bool) -> None:
    (west, east), (south, north) = axes.get_xlim(), axes.get_ylim()
    shape = axes.get_aspect() * (north - south) / (east - west)
    width = axes.get_position().width * axes.figure.get_figwidth()
    columns = _round_degrees(longitude, min(1, 1 / shape), 3 if width < SMALL else 4)
    rows = _round_degrees(latitude, min(1, shape), 4)
    axes.set_xticks(project(axes.projection, columns, 0 * columns)[0])
    axes.set_yticks(project(axes.projection, 0 * rows + _centre(axes.projection), rows)[1])
    axes.set_xticklabels([degrees_label(t, "longitude") for t in columns] if bottom else [])
    axes.set_yticklabels([degrees_label(t, "latitude") for t in rows] if left else [])
    axes.grid(color="black", alpha=0.15, linewidth=0.4)
