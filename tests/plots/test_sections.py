"""Sections, transects and Hovmöller diagrams of the small test ocean."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.dates import date2num
from pictured import bars, make_reconstruction, panels

from ocean_lib.fields import reconstruction_file
from ocean_lib.plots import painting, projections, sections, style

mpl.use("Agg")


@pytest.fixture(scope="module")
def reconstruction():
    return make_reconstruction()


def test_section_runs_downward_along_a_row(reconstruction):
    for case in ("blocks 50 %", "profiles 1.2 %"):
        figure = sections.section(reconstruction, case=case, latitude=34.5)
        assert bars(figure) == ["Temperature (°C)", "Difference (°C)", "Spread (°C)"]
        bottom, top = panels(figure)[0].get_ylim()
        assert bottom > 900 and top == 0
        assert [axes.get_position().width > 0.25 for axes in panels(figure)] == [True] * 4
    assert len(panels(sections.section(reconstruction, longitude=180.2))) == 4
    assert len(panels(sections.section(reconstruction.isel(latitude=[9])))) == 4
    with pytest.raises(ValueError, match="one latitude or one longitude"):
        sections.section(reconstruction, latitude=34, longitude=180)


def haversine(start, end):
    (x, y), (x2, y2) = np.radians(start), np.radians(end)
    half = np.sin((y2 - y) / 2) ** 2 + np.cos(y) * np.cos(y2) * np.sin((x2 - x) / 2) ** 2
    return 2 * 6371 * np.arcsin(np.sqrt(half))


def test_a_transect_shows_the_cells_under_great_circles(reconstruction):
    chosen = reconstruction_file.select(reconstruction, case="blocks 50 %")
    corners = [(178.2, 33.3), (-178.5, 35.1), (179.0, 35.5)]  # across the date line, with a corner
    cut = sections.transect(chosen, corners)
    legs = [haversine(*pair) for pair in zip(corners, corners[1:])]
    assert float(cut.distance[0]) == 0
    assert float(cut.distance[-1]) == pytest.approx(sum(legs), rel=5e-3)
    assert (np.diff(cut.distance) > 0).all() and np.diff(cut.distance).max() < 9.5  # a cell
    for end, place in ((0, corners[0]), (-1, corners[2])):
        x, y = float(cut.longitude[end]), float(cut.latitude[end])
        assert abs(x - place[0] % 360) <= 1 / 24 and abs(y - place[1]) <= 1 / 24
    # Values are those of the cells named, nothing in between.
    for k in (0, 7, -1):
        cell = chosen.sel(longitude=cut.longitude[k], latitude=cut.latitude[k])
        np.testing.assert_array_equal(cut["mean"].isel(distance=k), cell["mean"])
    with pytest.raises(ValueError, match="longitude 170 is outside the field, 177.958 to 182.2"):
        sections.transect(chosen, [(170, 34), (179, 34)])
    with pytest.raises(ValueError, match="latitude 50 is outside"):
        sections.transect(chosen, [(179, 50), (179, 34)])
    same = sections.transect(chosen, [(179, 34), (179, 34)])
    assert len(set(same.longitude.values)) == len(set(same.latitude.values)) == 1


def test_a_section_follows_any_line(reconstruction):
    figure = sections.section(reconstruction, line=[(178.5, 33.2), (181.5, 35.5)])
    assert "33.2°N 178.5°E to 35.5°N 178.5°W" in figure.get_suptitle()
    axes = panels(figure)[2]
    assert axes.get_xlabel() == "Distance (km)"
    assert axes.get_xlim()[1] == pytest.approx(haversine((178.5, 33.2), (181.5, 35.5)), rel=0.03)
    with pytest.raises(ValueError, match="give one of them"):
        sections.section(reconstruction, line=[(179, 34), (180, 35)], latitude=34)
    figure = mpl.figure.Figure()
    assert sections.section(reconstruction, axes=figure.subplots(2, 2)) is figure
    with pytest.raises(ValueError, match="3 axes for 2 x 2 panels; give 4"):
        sections.section(reconstruction, axes=figure.subplots(1, 3))


def test_a_hovmoller_diagram_stacks_the_months():
    many = make_reconstruction(rows=9, columns=21, members=2, months=5)
    figure = sections.hovmoller(many, case="profiles 1.2 %", latitude=33.3, depth=110)
    mesh = panels(figure)[1].collections[1]
    row = many.sel(case="profiles 1.2 %").sel(latitude=33.3, depth=110, method="nearest")
    np.testing.assert_allclose(
        np.ma.filled(mesh.get_array(), np.nan), row["mean"].where(row.ocean), rtol=1e-6
    )
    low, high = panels(figure)[1].get_ylim()
    assert low < date2num(many.time.values[0]) < date2num(many.time.values[-1]) < high
    assert bars(figure) == ["Temperature (°C)", "Difference (°C)", "Spread (°C)"]
    assert "110 m, 33.33°N" in figure.get_suptitle()
    sections.hovmoller(many.isel(time=[0]), longitude=179).canvas.draw()


def test_months_without_a_reconstruction_stay_empty():
    many = make_reconstruction(rows=9, columns=21, members=2, months=6).isel(time=[0, 1, 5])
    figure = sections.hovmoller(many, latitude=33.3, depth=110)
    base, mesh = panels(figure)[1].collections[:2]
    shown = np.ma.count(mesh.get_array(), axis=1)
    assert shown.tolist() == [shown[0], shown[0], 0, shown[0]] and shown[0] > 0
    assert np.ma.count(base.get_array(), axis=1).tolist() == [21, 21, 0, 21]
    edges = mesh.get_coordinates()[:, 0, 1]
    days = date2num(many.time.values)
    assert edges[0] < days[0] < edges[1] < days[1] < edges[2] < edges[3] < days[2] < edges[4]


def test_unobserved_ocean_is_no_sea_floor(reconstruction):
    one = reconstruction_file.select(reconstruction, case="profiles 1.2 %").isel(latitude=18)
    axes = mpl.figure.Figure().subplots()
    x, y = projections.cell_edges(one["longitude"]), style.depth_edges(one["depth"])
    nothing = one["value"].where(False).transpose("depth", "longitude")
    ocean = one["ocean"].transpose("depth", "longitude")
    painting.paint_section(axes, x, y, nothing, ocean, kind="temperature", limits=(0, 1))
    base = axes.collections[0]
    np.testing.assert_array_equal(base.get_array(), ocean.values)
    assert [mpl.colors.to_hex(base.cmap(k)) for k in (0, 1)] == [style.LAND, style.HIDDEN]


def test_a_circle_that_leaves_the_field_is_empty_there():
    wide = make_reconstruction(rows=20, columns=60, members=2)
    wide = wide.assign_coords(
        latitude=np.linspace(-28, 28, 20), longitude=np.linspace(122, 282, 60)
    )
    cut = sections.transect(reconstruction_file.select(wide), [(125, 27.5), (280, 27.5)])
    assert float(cut["along_latitude"].max()) > 60  # the shortest way goes by Alaska
    away = ~cut["inside"].values
    assert away.sum() > 20 and not away[[0, -1]].any()
    assert np.isnan(cut["mean"].transpose(..., "distance").values[..., away]).all()
    assert not cut["ocean"].transpose(..., "distance").values[..., away].any()
