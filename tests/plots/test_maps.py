"""Maps of a small ocean with a coast, islands and odd sizes."""

import cmocean
import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from grids import shared
from pictured import bars, make_reconstruction, make_steps, panels
from PIL import Image

from ocean_lib.fields import reconstruction_file
from ocean_lib.plots import maps, painting, profiles, sections, style

mpl.use("Agg")


@pytest.fixture(scope="module")
def reconstruction():
    return make_reconstruction()


@pytest.fixture(scope="module")
def level(reconstruction):
    return reconstruction_file.select(reconstruction, depth=100)


def limits(axes):
    return axes.collections[-1].get_clim()


def test_field_map_leaves_pyplot_alone_and_states_units(level):
    import matplotlib.pyplot as plt

    figure = maps.field_map(level["truth"], title="Truth", observations=([179.0, 180.5], [34, 35]))
    assert bars(figure) == ["Temperature (°C)"] and len(panels(figure)) == 1
    assert plt.get_fignums() == []
    assert bars(maps.field_map(level["spread"], kind="spread")) == ["Spread (°C)"]


def test_difference_is_centred_on_zero(level):
    figure = maps.field_map(level["mean"] - level["truth"], kind="difference")
    mesh = panels(figure)[0].collections[-1]
    low, high = mesh.get_clim()
    assert low == -high and mesh.get_cmap() is cmocean.cm.balance


def test_a_map_covers_its_cells_across_the_date_line(level):
    axes = panels(maps.field_map(level["truth"]))[0]
    mesh = axes.collections[-1]
    x = mesh.get_coordinates()[0, :, 0]
    assert (np.diff(x) > 0).all() and np.allclose(axes.get_xlim(), (x[0], x[-1]))
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert any(label.endswith("E") for label in labels)
    assert "180°" in labels and any(label.endswith("W") for label in labels)


def test_positions_agree_with_cartopy(level):
    import cartopy.crs as crs

    axes = panels(maps.field_map(level["truth"]))[0]
    painting.dots(axes, [178.25, 181.5], [33.5, 35.75])
    ours = axes.collections[-1].get_offsets()
    theirs = axes.projection.transform_points(
        crs.PlateCarree(), np.array([178.25, 181.5]), np.array([33.5, 35.75])
    )[:, :2]
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_a_section_is_not_a_map(level):
    with pytest.raises(ValueError, match="has 1 x 51; .* sections.section"):
        maps.field_map(level["truth"].isel(latitude=[0]))


def test_unknown_case_names_the_known_ones(reconstruction):
    with pytest.raises(ValueError, match="profiles 1.2 %"):
        reconstruction_file.select(reconstruction, case="tracks")


def test_coast_is_the_edge_of_the_mask():
    figure = style.new_figure()
    axes = figure.subplots()
    inside = np.array([[True, False, False], [True, True, False]])
    painting.outline(axes, np.arange(4), np.arange(3), inside, color="k")
    segments = {tuple(map(tuple, s)) for s in np.asarray(axes.collections[0].get_segments())}
    assert segments == {((1, 0), (1, 1)), ((2, 1), (2, 2)), ((1, 1), (2, 1))}


@pytest.mark.parametrize("case", [0, 1])
def test_occlusion_has_four_panels_on_shared_limits(level, reconstruction, case):
    chosen = reconstruction_file.select(
        reconstruction, case=reconstruction["case"].values[case], depth=100
    )
    figure = maps.occlusion(chosen["truth"], chosen["observed"], chosen["ocean"], title="50 %")
    assert len(panels(figure)) == 4 and bars(figure) == ["Temperature (°C)"]
    assert limits(panels(figure)[0]) == limits(panels(figure)[1])


@pytest.mark.parametrize("seen", [False, True])
def test_nothing_everything_and_no_ocean(reconstruction, level, seen):
    observed = xr.full_like(reconstruction["observed"], seen)
    extreme = reconstruction.assign(
        observed=observed, value=reconstruction["truth"].where(observed.astype(bool))
    )
    dry = reconstruction.assign(
        {
            name: field.where(reconstruction["depth"] < 500)
            for name, field in reconstruction.items()
            if field.dtype.kind == "f"
        }
    )
    dry["ocean"] = dry["ocean"].where(dry["depth"] < 500, 0)
    dry["observed"] = dry["observed"].where(dry["depth"] < 500, 0)
    for dataset in (extreme, dry)[: 1 + seen]:
        for figure in (
            maps.reconstruction_maps(dataset, depths=[0, 900]),
            profiles.profile(dataset),
            sections.section(dataset),
            maps.members(dataset, depth=900),
        ):
            figure.canvas.draw()
        chosen = reconstruction_file.select(dataset, depth=900)
        maps.occlusion(chosen["truth"], chosen["observed"], chosen["ocean"]).canvas.draw()


def test_observing_month_counts_profiles(level):
    columns = xr.zeros_like(level["ocean"])
    columns[20, 30] = columns[22, 40] = columns[0, 0] = True  # the last one on land
    figure = maps.observing_month(level["truth"], columns, surface_observed=level["observed"])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["2 profiles", "cloud"] and bars(figure) == ["Temperature (°C)"]


def test_reconstruction_maps_compare_on_shared_limits(reconstruction):
    figure = maps.reconstruction_maps(
        reconstruction, case="blocks 50 %", time="2015-04", depths=[0, 0.2, 100]
    )
    assert len(panels(figure)) == 10  # 0 and 0.2 m are one level
    assert bars(figure) == ["Temperature (°C)", "°C", "°C"] * 2
    observed, truth, mean = (limits(axes) for axes in panels(figure)[:3])
    assert observed == truth == mean
    low, high = limits(panels(figure)[3])
    assert low == -high and limits(panels(figure)[4])[0] == 0
    assert "blocks 50 %, Apr 2015" in figure.get_suptitle()


def test_members_share_limits_and_skip_missing(reconstruction):
    figure = maps.members(reconstruction, case="profiles 1.2 %", n=4)
    assert len(panels(figure)) == 6 and bars(figure) == ["Temperature (°C)"]
    assert len({limits(axes) for axes in panels(figure)}) == 1
    assert len(panels(maps.members(reconstruction, n=99))) == 8


def test_small_multiples_give_one_bar_a_kind(level):
    shown = [
        ("Truth", level["truth"], "temperature"),
        ("Mean", level["mean"], "temperature"),
        ("Error", level["mean"] - level["truth"], "difference"),
    ]
    for columns in (3, 2):
        figure = maps.small_multiples(shown, columns=columns, limits={"temperature": (3, 20)})
        assert len(panels(figure)) == 3 and len(bars(figure)) == 2
        assert limits(panels(figure)[0]) == (3, 20)


def test_sparse_observations_are_dots(reconstruction):
    chosen = reconstruction_file.select(reconstruction, case="profiles 1.2 %", depth=100)
    shown = [("Truth", chosen["truth"], "temperature"), ("Seen", chosen["value"], "temperature")]
    axes = panels(maps.small_multiples(shown, ocean=chosen["ocean"]))
    assert len(axes[1].collections[-1].get_offsets()) == int(chosen["observed"].sum())
    assert limits(axes[0]) == limits(axes[1])


def test_denoising_starts_in_noise_and_ends_in_the_field(level):
    steps = make_steps(level["truth"])
    figure = maps.denoising(steps, n=6)
    titles = [axes.get_title() for axes in panels(figure)]
    assert len(titles) == 6 and titles[0] == "noise 1" and titles[-1] == "noise 0"
    assert limits(panels(figure)[0]) == style.robust_limits(level["truth"])
    assert bars(figure) == ["Temperature (°C)"]


def test_the_animation_has_a_frame_a_step_and_rests_on_the_last(tmp_path):
    small = make_reconstruction(rows=21, columns=27, members=2)
    steps = make_steps(reconstruction_file.select(small, depth=100)["truth"], n=5)
    path = maps.denoising_animation(steps, tmp_path / "forming.gif", title="100 m")
    with Image.open(path) as gif:
        assert gif.n_frames == 5 and gif.info["loop"] == 0
        frames, durations = [], []
        for index in range(5):
            gif.seek(index)
            frames.append(np.asarray(gif.convert("RGB"), float))
            durations.append(gif.info["duration"])
    assert durations[:4] == [350] * 4 and durations[4] == 2500
    apart = [abs(frame - frames[-1]).mean() for frame in frames]
    assert apart[0] > apart[2] > apart[3] > apart[4] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["forming.gif"]


def test_a_reconstruction_is_drawn_as_read_from_its_file(reconstruction, tmp_path):
    reconstruction.to_netcdf(tmp_path / "reconstruction.nc")
    with xr.open_dataset(tmp_path / "reconstruction.nc") as stored:
        figure = maps.reconstruction_maps(stored, case="profiles 1.2 %", depths=[50])
        assert len(panels(figure)) == 5


def test_the_tropical_pacific_is_drawn_as_it_lies():
    with xr.open_dataset(shared("giops/nemo_test.nc"), decode_times=False) as raw:
        water = raw["votemper"].isel(time_counter=0, deptht=0)
        coordinates = {
            "latitude": raw["nav_lat"].values[:, 0],
            "longitude": raw["nav_lon"].values[0] % 360,
        }
        field = xr.DataArray(
            water.values - 273.15, coords=coordinates, dims=("latitude", "longitude")
        )
    axes = panels(maps.field_map(field))[0]
    assert {"160°W", "150°W"} <= {label.get_text() for label in axes.get_xticklabels()}
    low, high = limits(axes)
    assert 15 < low < high < 35


@pytest.mark.parametrize(
    ("rows", "columns"), [(240, 3), (3, 240), (3, 40), (5, 80)], ids=lambda size: str(size)
)
def test_titles_and_labels_of_narrow_strips_do_not_overlap(rows, columns):
    strip = make_reconstruction(rows, columns).isel(depth=slice(0, 2))
    figure = maps.reconstruction_maps(strip, depths=(0, 100))
    figure.canvas.draw()
    for axes in (axes for axes in figure.axes if hasattr(axes, "projection")):
        texts = [axes.title, *axes.get_xticklabels(), *axes.get_yticklabels()]
        boxes = [text.get_window_extent() for text in texts if text.get_text()]
        for k, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[:k]), axes.title.get_text()
    titles = [axes.title.get_window_extent() for axes in figure.axes if axes.get_title()]
    for k, box in enumerate(titles):
        assert not any(box.overlaps(other) for other in titles[:k])
