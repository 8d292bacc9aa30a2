"""The explorers' figures follow their controls, clicks and files."""

import asyncio
import base64
import io
import json
import shutil

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.backend_bases import MouseEvent
from matplotlib.backends.backend_agg import FigureCanvasAgg
from pictured import make_reconstruction, make_steps
from PIL import Image
from xarray.backends.netCDF4_ import NetCDF4ArrayWrapper

from ocean_lib.explore import explorer, quantities, reconstruction_view
from ocean_lib.fields import reconstruction_file
from ocean_lib.fields.derived import derive
from ocean_lib.reconstruct.derived import append_derived

mpl.use("Agg")


@pytest.fixture(scope="module")
def reconstruction():
    return make_reconstruction(rows=21, columns=27, members=3)


def make_baselines(reconstruction):
    """Methods of which one is missing in the second case."""
    near, far = reconstruction["mean"] + 0.1, reconstruction["mean"] + 1.0
    far = far.where(reconstruction["case"] == reconstruction["case"][0])
    methods = xr.Variable("method", ["climatology", "optimal interpolation", "kriging"])
    mean = xr.concat([reconstruction["climatology"] + 0 * near, near, far], methods)
    return xr.Dataset({"mean": mean, "error": mean * 0 + 1}).transpose("case", "method", ...)


def parts(widget):
    """The controls by description, and the canvas."""
    row, canvas, _ = widget.children
    return {control.description: control for control in row.children}, canvas


def seen(canvas):
    return np.asarray(canvas.buffer_rgba()).copy()


def moves(canvas, control, value):
    before = seen(canvas)
    control.value = value
    return (seen(canvas) != before).any()


def titles(canvas):
    panels = [axes for axes in canvas.figure.axes if axes.get_label() != "<colorbar>"]
    return [axes.get_title() for axes in panels]


@pytest.mark.parametrize("surface", [False, True])
def test_masks_follow_pattern_fraction_depth_surface_and_seed(reconstruction, surface):
    month = reconstruction[["truth", "ocean"]].isel(time=[0]).rename(truth="temperature")
    month["ocean"] = month["ocean"].astype(bool)
    if surface:
        month["surface_temperature"] = month["temperature"].isel(depth=0, drop=True)
    controls, canvas = parts(explorer.explore_masks(month))
    assert controls["fraction"].value == 0.5
    assert list(controls) == [
        "pattern",
        "fraction",
        "depth",
        "seed",
        *["surface", "from above"] * surface,
    ]
    assert len(titles(canvas)) == 2 + surface
    # Of the observed cells, as many as asked for, and at each the field's own value.
    shares = [float(title.split(", ")[1].rstrip(" %")) for title in titles(canvas)[-2:-1]]
    assert shares == [pytest.approx(50, abs=12)]
    mesh = next(a for a in canvas.figure.axes if "Observed" in a.get_title()).collections[-2]
    shown = np.ma.filled(mesh.get_array(), np.nan)
    truth = month["temperature"].isel(time=0, depth=3).values
    both = np.isfinite(shown)
    np.testing.assert_array_equal(shown[both], truth[both])
    assert np.isfinite(truth[~both]).any()
    assert moves(canvas, controls["pattern"], "profiles")
    assert controls["fraction"].value == 0.0025
    assert moves(canvas, controls["fraction"], 0.05)
    assert moves(canvas, controls["seed"], 7)
    assert moves(canvas, controls["depth"], controls["depth"].options[4][1])
    if surface:
        assert moves(canvas, controls["surface"], 0.6) and moves(canvas, controls["surface"], None)
        assert titles(canvas)[0] == "Surface temperature, not seen"


def test_reconstruction_follows_case_month_depth_and_maps(reconstruction):
    baselines = make_baselines(reconstruction)
    controls, canvas = parts(explorer.explore_reconstruction(reconstruction, baselines))
    assert list(controls) == ["case", "month", "depth", "left", "right", "profile"]
    assert [label for label, _ in controls["month"].options] == ["Apr 2015", "May 2015"]
    widths = [axes.get_position().width for axes in canvas.figure.axes]
    assert min(widths[:3]) > 0.2  # the layout held
    assert moves(canvas, controls["month"], controls["month"].options[1][1])
    assert moves(canvas, controls["depth"], controls["depth"].options[2][1])
    assert moves(canvas, controls["case"], "profiles 1.2 %")
    for name in controls["right"].options:
        if name != "mean":
            assert moves(canvas, controls["right"], name), name
    assert moves(canvas, controls["left"], "observed")
    assert not moves(canvas, controls["profile"], "value")  # no profile is open yet


def test_errors_side_by_side_share_limits_and_state_their_rmse(reconstruction):
    baselines = make_baselines(reconstruction)
    controls, canvas = parts(explorer.explore_reconstruction(reconstruction, baselines))
    controls["left"].value = "mean − truth"
    controls["right"].value = "optimal interpolation − truth"
    maps = [axes for axes in canvas.figure.axes if "RMSE" in axes.get_title()]
    left, right = (axes.collections[-2].get_clim() for axes in maps)
    assert left == right and left[0] == -left[1]
    one = reconstruction_file.select(reconstruction, depth=reconstruction["depth"].values[3])
    hidden = (one["ocean"] & ~one["observed"]).transpose("latitude", "longitude").values
    error = (one["mean"] + 0.1 - one["truth"]).transpose("latitude", "longitude").values[hidden]
    weight = np.cos(np.radians(one["latitude"].values))[:, None] * np.ones(hidden.shape)
    weight = weight[hidden]
    expected = np.sqrt((weight * error**2).sum() / weight.sum())
    assert f"RMSE {expected:.2g} °C where" in maps[1].get_title()


def test_a_quantity_that_a_case_lacks_is_reported_as_missing(reconstruction):
    baselines = make_baselines(reconstruction)
    controls, canvas = parts(explorer.explore_reconstruction(reconstruction, baselines))
    controls["case"].value = "profiles 1.2 %"
    controls["right"].value = "kriging − truth"
    assert "Kriging − truth\nnone here" in titles(canvas)


def test_map_and_profile_show_the_same_calibrated_spread(reconstruction):
    labelled = {name: reconstruction[name].values for name in ("case", "depth")}
    factor = xr.DataArray(np.full((2, 7), 3.0), labelled, ("case", "depth"))
    wide = reconstruction.assign(calibration=factor, calibration_power=factor * 0 + 1)
    made = {}
    for name, one in (("raw", reconstruction), ("calibrated", wide)):
        view = reconstruction_view.ReconstructionView(one)
        view.show(one["time"].values[0], 100.0, right="spread", case="blocks 50 %")
        view.mark(10, 20)
        band = view.detail.collections[0].get_paths()[0].vertices[:, 0]
        made[name] = (
            np.ptp(band),
            view.maps[1].mesh.get_array().max(),
            view.maps[1].axes.get_title(),
        )
        words = view.detail.get_legend().get_texts()[0].get_text()
        assert ("calibrated" in words) == (name == "calibrated")
    assert made["calibrated"][1] == pytest.approx(3 * made["raw"][1], rel=1e-5)
    assert made["calibrated"][0] > made["raw"][0]
    assert made["raw"][2] == "Spread" and made["calibrated"][2] == "Spread, calibrated"


def test_a_derived_quantity_is_shown_whatever_the_depth(reconstruction):
    name, kept = "heat_content_300", ("truth", "members", "mean", "climatology")
    with_heat = reconstruction.assign(
        {f"{name}_{part}": reconstruction[part].sum("depth") * 1e9 for part in kept}
    )
    with_heat[f"{name}_error"] = with_heat[f"{name}_members"].std("member", ddof=1)
    for part in (*kept, "error"):
        with_heat[f"{name}_{part}"].attrs["units"] = "J m-2"
    baselines = make_baselines(reconstruction)
    controls, canvas = parts(explorer.explore_reconstruction(with_heat, baselines))
    assert controls["variable"].options == ("temperature", name)
    assert moves(canvas, controls["variable"], name)
    assert "whole column" in canvas.figure.get_suptitle()
    assert not moves(canvas, controls["depth"], controls["depth"].options[1][1])
    mesh = next(a for a in canvas.figure.axes if a.get_title() == "Mean").collections[-2]
    shown = np.ma.filled(mesh.get_array(), np.nan)
    mean = with_heat[f"{name}_mean"].isel(case=0, time=0).transpose("latitude", "longitude")
    wet = reconstruction["ocean"].transpose("depth", "latitude", "longitude").values.any(0)
    np.testing.assert_allclose(shown[wet], mean.values[wet] * 1e-9, rtol=1e-5)
    assert moves(canvas, controls["right"], "spread")
    labels = [axes.get_xlabel() + axes.get_ylabel() for axes in canvas.figure.axes]
    assert "Spread (GJ m⁻²)" in labels and "Heat content 300 (GJ m⁻²)" in labels
    assert moves(canvas, controls["right"], "mean − truth")
    assert moves(canvas, controls["right"], "optimal interpolation − truth")
    assert "none here" in titles(canvas)[1]
    view = reconstruction_view.ReconstructionView(with_heat, baselines)
    view.show(with_heat["time"].values[0], 100.0, right="spread", variable=name)
    view.mark(10, 20)
    assert "Temperature" in view.detail.get_xlabel()  # the profile at the place
    view.mark(4, 8)
    view.figure.canvas.draw()


def test_a_dense_field_without_cases_or_truth_is_opened(reconstruction, tmp_path):
    kept = ["members", "mean", "spread", "background", "observed", "ocean"]
    dense = reconstruction.isel(case=0, drop=True)[kept]
    dense["observed"], dense["ocean"] = dense["observed"].astype(bool), dense["ocean"].astype(bool)
    reconstruction_file.write_reconstruction(dense, tmp_path / "dense.nc")
    controls, canvas = parts(explorer.explore_file(tmp_path / "dense.nc"))
    assert list(controls) == ["month", "depth", "left", "right"]
    assert not {"truth", "observed", "mean − truth"} & set(controls["left"].options)
    assert moves(canvas, controls["right"], "background")
    assert moves(canvas, controls["month"], controls["month"].options[1][1])
    view = reconstruction_view.ReconstructionView(
        reconstruction_file.read_reconstruction(tmp_path / "dense.nc")
    )
    view.show(dense["time"].values[0], 100.0, "mean", "spread")
    view.mark(10, 20)
    view.mark(4, 8)
    view.figure.canvas.draw()


@pytest.mark.parametrize("drawn", [True, False], ids=["members", "fallback"])
def test_what_is_derived_in_a_dense_field_is_shown(reconstruction, tmp_path, drawn):
    kept = ["mean", "spread", "climatology", "observed", "ocean"] + ["members"] * drawn
    dense = reconstruction.isel(case=0, drop=True)[kept]
    order = ("time", "member", "depth", "latitude", "longitude")
    dense = dense.transpose(*order, missing_dims="ignore")
    path = tmp_path / "map.nc"
    reconstruction_file.write_reconstruction(dense, path)
    names = ["heat_content_300", "isotherm_15"]
    append_derived(path, names, "sea_water_potential_temperature")
    controls, canvas = parts(explorer.explore_file(path))
    assert controls["variable"].options == ("temperature", *names)
    assert moves(canvas, controls["variable"], "heat_content_300")
    assert "whole column" in canvas.figure.get_suptitle()
    mesh = next(a for a in canvas.figure.axes if a.get_title() == "Mean").collections[-2]
    shown = np.ma.filled(mesh.get_array(), np.nan)
    water = dense["mean"].isel(time=0)
    water = water.assign_attrs(standard_name="sea_water_potential_temperature")
    water = dense[["ocean"]].astype(bool).assign(temperature=water)
    expected = derive(water, names[:1])[names[0]]
    wet = np.isfinite(expected.values)
    np.testing.assert_allclose(shown[wet], expected.values[wet] * 1e-9, rtol=1e-4)
    for name in controls["right"].options:  # those that are not stored are empty
        controls["right"].value = name
        empty = name.startswith(("member", "background")) or not drawn and name == "spread"
        assert any("none here" in title for title in titles(canvas)) == empty, name
    view = reconstruction_view.ReconstructionView(reconstruction_file.read_reconstruction(path))
    view.show(dense["time"].values[0], 100.0, "mean", "spread", variable="isotherm_15")
    view.mark(10, 20)
    view.mark(4, 8)
    view.figure.canvas.draw()


@pytest.mark.parametrize("names", [["thetao"], ["mean"], ["mean", "spread", "observed"]])
def test_a_file_that_is_no_reconstruction_is_refused(reconstruction, tmp_path, names):
    fields = reconstruction["mean"].isel(case=0, drop=True)
    xr.Dataset(dict.fromkeys(names, fields)).to_netcdf(tmp_path / "own.nc")
    with pytest.raises(ValueError, match="own.nc holds .* it is no reconstruction; give"):
        explorer.explore_file(tmp_path / "own.nc")
    (tmp_path / "text.nc").write_text("no NetCDF")
    with pytest.raises(ValueError, match="text.nc cannot be read.*NetCDF"):
        explorer.explore_file(tmp_path / "text.nc")


def test_a_click_opens_the_profile_and_a_second_the_section(reconstruction):
    baselines = make_baselines(reconstruction)
    controls, canvas = parts(explorer.explore_reconstruction(reconstruction, baselines))
    left, right = (axes for axes in canvas.figure.axes if hasattr(axes, "projection"))
    below = next(axes for axes in canvas.figure.axes if axes.texts)

    def click(axes, share):
        before = seen(canvas)
        x, y = axes.transAxes.transform(share)
        canvas.callbacks.process(
            "button_press_event", MouseEvent("button_press_event", canvas, x, y, 1)
        )
        return (seen(canvas) != before).any()

    ocean = reconstruction["ocean"].transpose(..., "latitude", "longitude")
    ocean = ocean.values.reshape(-1, *ocean.shape[-2:])
    wet, dry = ocean.all(0), ~ocean.any(0)
    row, column = np.argwhere(wet)[wet.sum() // 2]
    at = (column + 0.5) / wet.shape[1], (row + 0.5) / wet.shape[0]
    assert click(left, at) and below.get_ylabel() == "Depth (m)"
    words = [text.get_text() for text in below.get_legend().get_texts()]
    assert words[:4] == ["members 5–95 %", "members 25–75 %", "truth", "ensemble mean"]
    assert below.get_xlabel() == "Temperature (°C) − climatology"
    assert moves(canvas, controls["profile"], "value")
    assert below.get_xlabel() == "Temperature (°C)"
    assert moves(canvas, controls["right"], "optimal interpolation")
    words = [text.get_text() for text in below.get_legend().get_texts()]
    assert "optimal interpolation" in words
    assert click(right, (0.8, 0.7)) and below.get_xlabel() == "Distance (km)"
    assert "Optimal interpolation\n" in below.get_title() and " to " in below.get_title()
    section = below.collections[1].get_array()
    assert moves(canvas, controls["right"], "mean − truth")
    assert (np.ma.filled(below.collections[1].get_array(), 99) != np.ma.filled(section, 99)).any()
    assert click(left, at) and below.get_legend() is not None
    assert not click(below, (0.5, 0.5))
    row, column = np.argwhere(dry)[0]
    click(left, ((column + 0.5) / wet.shape[1], (row + 0.5) / wet.shape[0]))  # a section's end
    assert click(left, ((column + 0.5) / wet.shape[1], (row + 0.5) / wet.shape[0]))
    assert [text.get_text() for text in below.texts] == ["land"]


def test_denoising_follows_the_step_and_makes_a_png(reconstruction):
    steps = make_steps(reconstruction_file.select(reconstruction, depth=100)["truth"], n=5)
    widget = explorer.explore_denoising(steps)
    controls, canvas = parts(widget)
    assert controls["step"].max == 4 and titles(canvas)[1] == "Finished"
    assert moves(canvas, controls["step"], 2) and titles(canvas)[0] == "Step 2, noise 0.50"
    assert moves(canvas, controls["step"], 4)
    button, link = widget.children[2].children
    before = seen(canvas)
    button.click()
    name, data = link.value.split('download="')[1].split('" href="data:image/png;base64,')
    assert name == "step_4.png"
    with Image.open(io.BytesIO(base64.b64decode(data.split('"')[0]))) as picture:
        assert picture.format == "PNG" and picture.width > 1800  # 300 dpi
    assert (seen(canvas) == before).all()


@pytest.fixture
def runs(tmp_path, monkeypatch, reconstruction):
    monkeypatch.setenv("OCEAN_WORKSPACE", str(tmp_path))
    folder = tmp_path / "outputs" / "first"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"steps": {}}))
    stored = reconstruction.assign(observed=reconstruction["observed"].astype(bool))
    reconstruction_file.write_reconstruction(stored, folder / "reconstruction.nc")
    return folder


@pytest.fixture
def values_read(monkeypatch):
    """Number of values of each variable that were read from files, in order."""
    counts: list[tuple[str, int]] = []
    get = NetCDF4ArrayWrapper._getitem

    def counted(self, key):
        values = get(self, key)
        counts.append((self.variable_name, np.size(values)))
        return values

    monkeypatch.setattr(NetCDF4ArrayWrapper, "_getitem", counted)
    return counts


def largest(counts):
    """The most values that were read of each variable at a time, without coordinates."""
    sizes = {}
    for name, size in counts:
        sizes[name] = max(size, sizes.get(name, 0))
    names = {"time", "depth", "latitude", "longitude", "case", "method", "member"}
    return {name: size for name, size in sizes.items() if name not in names}


def test_only_what_is_shown_is_read(runs, reconstruction, values_read):
    reconstruction_file.write_reconstruction(make_baselines(reconstruction), runs / "baselines.nc")
    cells, levels, months = 21 * 27, 7, 2
    _, below = explorer.explore_runs().children
    controls, canvas = parts(below.children[0])
    masks = {"ocean": cells, "observed": cells}
    assert largest(values_read) == {**masks, "mean": cells, "truth": months * cells}
    shows = {
        "member 2": {"members": cells},
        "spread": {"spread": cells},
        "observed": {"value": cells},
        "kriging − truth": {"mean": cells},
    }
    for name, expected in shows.items():
        values_read.clear()
        controls["right"].value = name
        assert largest(values_read) == {**masks, "truth": cells, **expected}, name
    values_read.clear()
    controls["right"].value = "member 3"
    left, right = (axes for axes in canvas.figure.axes if hasattr(axes, "projection"))
    for share in ((0.5, 0.5), (0.8, 0.7)):
        x, y = left.transAxes.transform(share)
        event = MouseEvent("button_press_event", canvas, x, y, 1)
        canvas.callbacks.process("button_press_event", event)
    # A profile reads the columns of all members, a section the rectangle around one of them.
    assert largest(values_read)["members"] < levels * cells
    assert max(largest(values_read).values()) <= levels * cells


def test_limits_of_a_large_level_come_from_dates_at_even_intervals(
    runs, reconstruction, values_read, monkeypatch
):
    monkeypatch.setattr(quantities, "MOST_VALUES", reconstruction["truth"].size - 1)
    explorer.explore_file(runs / "reconstruction.nc")
    assert largest(values_read)["truth"] == 21 * 27


def test_an_open_file_is_drawn_as_the_dataset_in_memory(runs, reconstruction):
    labelled = {name: reconstruction[name].values for name in ("case", "depth")}
    factor = xr.DataArray(np.full((2, 7), 1.5), labelled, ("case", "depth"))
    whole = reconstruction.assign(calibration=factor, calibration_power=factor * 0 + 0.9)
    whole["observed"], whole["ocean"] = (whole[name].astype(bool) for name in ("observed", "ocean"))
    path = reconstruction_file.write_reconstruction(whole, runs / "reconstruction.nc")
    opened = reconstruction_file.open_reconstruction(path)
    pictures = []
    for dataset in (opened, reconstruction_file.read_reconstruction(path)):
        view, seen_here = reconstruction_view.ReconstructionView(dataset), []
        canvas = FigureCanvasAgg(view.figure)
        months = dataset["time"].values
        for month, names in zip((*months, months[0]), (("truth", "spread"), ("member 2", "mean"))):
            view.show(month, 100.0, *names, case="profiles 1.2 %")
            view.mark(10, 20)
            canvas.draw()
            seen_here.append(seen(canvas))
        pictures.append(seen_here)
    for lazy, loaded in zip(*pictures, strict=True):
        np.testing.assert_array_equal(lazy, loaded)


def test_a_file_that_is_replaced_stays_in_sight(runs, reconstruction):
    path = runs / "reconstruction.nc"
    controls, canvas = parts(explorer.explore_file(path))
    first, second = (month for _, month in controls["month"].options)
    assert moves(canvas, controls["month"], second)
    before = seen(canvas)
    assert moves(canvas, controls["month"], first)
    stored = reconstruction_file.read_reconstruction(path)
    other = stored.isel(time=[0]).assign(mean=stored["mean"].isel(time=[0]) + 1)
    reconstruction_file.write_reconstruction(other, path)
    controls["month"].value = second
    np.testing.assert_array_equal(seen(canvas), before)


def test_a_profile_keeps_its_place_when_the_month_changes(reconstruction):
    view = reconstruction_view.ReconstructionView(reconstruction)
    months = reconstruction["time"].values
    view.show(months[0], 100.0)
    view.mark(10, 20)
    place = view.detail.get_position().bounds
    view.show(months[1], 100.0)
    assert view.detail.get_position().bounds == place


def test_runs_are_opened_with_their_baselines(runs, reconstruction):
    chosen, below = explorer.explore_runs().children
    assert chosen.options == ("first",)
    controls, _ = parts(below.children[0])
    assert "kriging" not in controls["right"].options
    reconstruction_file.write_reconstruction(make_baselines(reconstruction), runs / "baselines.nc")
    _, below = explorer.explore_runs("first").children
    controls, _ = parts(below.children[0])
    assert {"kriging", "kriging − truth"} <= set(controls["right"].options)
    with pytest.raises(ValueError, match=r"run 'second' has nothing to show; .*\['first'\]"):
        explorer.explore_runs("second")
    (runs / "reconstruction.nc").unlink()
    with pytest.raises(FileNotFoundError, match="has a reconstruction yet; `make demo`"):
        explorer.explore_runs()


def records(*, steps, to, seconds=2.0):
    return [
        {"step": k, "steps": steps, "stage": "regression", "loss": 1 / k, "validation": 1.1 / k,
         "seconds": seconds * k}
        for k in range(10, to + 1, 10)
    ]  # fmt: skip


def test_a_run_is_followed_as_it_writes(runs, monkeypatch):
    monkeypatch.setattr(explorer, "INTERVAL", 0.02)

    def write(to, status):
        lines = (json.dumps(record) + "\n" for record in records(steps=100, to=to))
        (runs / "metrics.jsonl").write_text("".join(lines))
        steps = {"01_download": {"status": "done"}, "03_training": {"status": status}}
        (runs / "manifest.json").write_text(json.dumps({"steps": steps}))

    async def follow():
        widget = explorer.explore_run("first")
        _, bar, words, canvas = widget.children
        assert (
            bar.value == 0
            and words.value == ""
            and "no training step" in (canvas.figure.texts[0].get_text())
        )
        pictures = [seen(canvas)]
        for to, status in ((40, "running"), (100, "done")):
            write(to, status)
            for _ in range(200):
                await asyncio.sleep(0.02)
                if bar.value == to:
                    break
            assert bar.value == to and bar.max == 100
            assert f"03_training {status}" in words.value and f"step {to} of 100" in words.value
            assert ("0:02:00 of training remaining" in words.value) == (to == 40)
            pictures.append(seen(canvas))
            assert (pictures[-1] != pictures[-2]).any()
        # A failed run is shown as failed; an unreadable or deleted one is waited for.
        (runs / "manifest.json").write_text(json.dumps({"steps": {"04": {"status": "failed"}}}))
        later = {"manifest.json": "{", "metrics.jsonl": ""}
        await asyncio.sleep(0.2)
        assert bar.bar_style == "danger"
        for name, content in later.items():
            (runs / name).write_text(content)
        await asyncio.sleep(0.2)
        assert "cannot be read at the moment" in words.value
        shutil.rmtree(runs)
        await asyncio.sleep(0.2)
        assert "no run yet" in words.value and not runs.exists()
        first = explorer._watchers[0]
        explorer.explore_run()  # one watcher at a time
        await asyncio.sleep(0.1)
        assert first.cancelled() and not explorer._watchers[0].done()
        explorer._watchers[0].cancel()

    asyncio.run(follow())
    with pytest.raises(ValueError, match="nothing to show"):
        explorer.explore_run("none")


def test_a_further_variable_has_its_own_colours(reconstruction):
    names = ("truth", "value", "observed", "mean", "members", "spread", "background", "climatology")
    salty = {f"salinity_{name}": 36 - 0.1 * reconstruction[name] for name in names[:1] + names[3:]}
    salty["salinity_value"] = 36 - 0.1 * reconstruction["value"]
    salty["salinity_observed"] = reconstruction["observed"]
    salty = {name: field.assign_attrs(units="1e-3") for name, field in salty.items()}
    controls, canvas = parts(explorer.explore_reconstruction(reconstruction.assign(salty)))
    assert controls["variable"].options == ("temperature", "salinity")
    assert moves(canvas, controls["variable"], "salinity")
    bars = [axes.get_xlabel() for axes in canvas.figure.axes if axes.get_label() == "<colorbar>"]
    assert bars[:2] == ["Salinity (1e-3)"] * 2
    mesh = canvas.figure.axes[0].collections[2]
    assert mesh.cmap.name == "haline" and 33 < mesh.norm.vmin < mesh.norm.vmax < 37
