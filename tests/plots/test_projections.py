"""Every region has a suitable projection, and places lie where cartopy puts them."""

import cartopy.crs as crs
import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

from ocean_lib.plots import maps, painting, projections

mpl.use("Agg")

REGIONS = {
    "gulf stream": ((-72, -61), (32, 40), crs.Mercator),
    "date line": ((170, 200), (20, 45), crs.Mercator),
    "tropical pacific": ((120, 285), (-30, 30), crs.PlateCarree),
    "arctic": ((-180, 180), (55, 90), crs.NorthPolarStereo),
    "north of 20": ((0, 360), (20, 90), crs.NorthPolarStereo),
    "fram strait": ((-30, 30), (60, 84), crs.NorthPolarStereo),
    "southern ocean": ((0, 360), (-80, -40), crs.SouthPolarStereo),
    "globe": ((0, 360), (-80, 90), crs.EqualEarth),
}


def make(name, rows=20, columns=30):
    (west, east), (south, north), _ = REGIONS[name]
    edges = np.linspace(west, east, columns + 1), np.linspace(south, north, rows + 1)
    longitude, latitude = ((edge[1:] + edge[:-1]) / 2 for edge in edges)
    values = np.cos(np.radians(latitude))[:, None] + np.sin(np.radians(3 * longitude))
    values[:, :3] = np.nan  # a coast
    return xr.DataArray(values, {"latitude": latitude, "longitude": longitude})


@pytest.mark.parametrize("name", REGIONS)
def test_a_region_has_its_projection_and_every_cell_lies_on_the_map(name):
    field = make(name)
    figure = maps.field_map(
        field, observations=(field.longitude.values, field.latitude.values[:1].repeat(30))
    )
    figure.canvas.draw()
    axes = figure.axes[0]
    assert type(axes.projection) is REGIONS[name][2]
    x, y = projections.project(axes.projection, *np.meshgrid(field.longitude, field.latitude))
    theirs = axes.projection.transform_points(
        crs.PlateCarree(), *np.meshgrid(field.longitude.values, field.latitude.values)
    )
    np.testing.assert_allclose(np.stack([x, y], -1), theirs[..., :2], atol=1e-6 * np.ptp(x))
    again = projections.project(
        axes.projection, *np.meshgrid(field.longitude - 360, field.latitude)
    )
    np.testing.assert_allclose(again, (x, y), atol=1e-6 * np.ptp(x))  # in another turn
    shown = axes.transAxes.inverted().transform(
        axes.transData.transform(np.stack([x, y], -1).reshape(-1, 2))
    )
    assert shown.min() > 0 and shown.max() < 1
    # Every cell with a value is drawn as one, none across the map.
    corner = np.stack(projections.corners(axes.projection, field), -1)
    size = np.abs(np.diff(corner, axis=0)).max(), np.abs(np.diff(corner, axis=1)).max()
    assert max(size) < 0.3 * max(np.ptp(corner[..., 0]), np.ptp(corner[..., 1]))
    mesh = axes.collections[-2]
    assert np.ma.count(mesh.get_array()) == int(field.notnull().sum())


@pytest.mark.parametrize("name", REGIONS)
def test_a_place_is_found_again_under_the_pointer(name):
    field = make(name)
    projection = projections.projection_for(field)
    for row, column in ((0, 0), (10, 15), (19, 29)):
        place = float(field.longitude[column]), float(field.latitude[row])
        x, y = projections.project(projection, *(np.array([degrees]) for degrees in place))
        longitude, latitude = projections.unproject(projection, x[0], y[0])
        assert (longitude - place[0] + 180) % 360 - 180 == pytest.approx(0, abs=1e-4)
        assert latitude == pytest.approx(place[1], abs=1e-4)


def test_maps_are_drawn_on_the_axes_given():
    field = make("gulf stream")
    figure = mpl.figure.Figure()
    axes = figure.subplots(1, 2, subplot_kw={"projection": crs.Robinson(-66)})
    assert maps.field_map(field, axes=axes[0]) is figure
    observed = field.notnull()
    more = mpl.figure.Figure()
    four = more.subplots(2, 2, subplot_kw={"projection": projections.projection_for(field)})
    assert maps.occlusion(field, observed, observed, axes=four) is more
    assert more.get_suptitle() == "" and not more.legends
    with pytest.raises(ValueError, match="2 axes for 2 x 2 panels; give 4 of them"):
        maps.occlusion(field, observed, observed, axes=axes)


def test_a_coast_on_a_bent_grid_is_the_edge_of_its_cells():
    field = make("arctic")
    x, y = projections.corners(projections.projection_for(field), field)
    lines = painting.coast_lines(x, y, field.notnull().values)
    # The coast runs along one meridian and its seam: two edges of each row.
    assert lines.shape == (20, 2, 2)
    np.testing.assert_allclose(lines[:, 0], np.stack([x[:-1, 3], y[:-1, 3]], -1))
