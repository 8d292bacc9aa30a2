"""Explorers: interactive figures of masks, a reconstruction, the steps of sampling, or a run.

Each function returns one widget for the last line of a notebook cell. Notebooks also draw a static
figure, for readers whose viewer shows no widgets.
"""

import asyncio
import html
from collections.abc import Mapping
from pathlib import Path

import ipywidgets as widgets
import xarray as xr

from ocean_lib.explore.canvas import close_widgets, live_canvas, with_controls
from ocean_lib.explore.other_views import DenoisingView, LossView, MasksView
from ocean_lib.explore.quantities import quantity_names, variable_names
from ocean_lib.explore.reconstruction_view import ReconstructionView
from ocean_lib.explore.run_state import RunState, known_runs, read_state
from ocean_lib.fields.conventions import SURFACES
from ocean_lib.fields.reconstruction_file import open_reconstruction
from ocean_lib.plots.labels import depth_label, month_label
from ocean_lib.runs.paths import Run
from ocean_lib.runs.progress_bar import clock

__all__ = [
    "explore_denoising",
    "explore_file",
    "explore_masks",
    "explore_reconstruction",
    "explore_run",
    "explore_runs",
]


INTERVAL = 2.0  # seconds between two readings of a run
PATTERNS = {"blocks": 0.5, "pixels": 0.1, "profiles": 0.0025, "tracks": 0.1}  # initial fraction
FRACTIONS = (0.0025, 0.005, 0.01, 0.02, 0.05, *(i / 10 for i in range(1, 10)))
CLOUDS = {"clear": 0.0, "30 % cloud": 0.3, "60 % cloud": 0.6, "not seen": None}


def _dropdown(description: str, options, value=None) -> widgets.Dropdown:
    """A dropdown list that starts at `value`, by default its first option."""
    options = list(options.items() if isinstance(options, Mapping) else options)
    value = {} if value is None else {"value": value}
    return widgets.Dropdown(description=description, options=options, **value)


def _slider(description: str, options: list[tuple], value=None) -> widgets.SelectionSlider:
    """A slider over options (label, value) that starts at `value`, by default the first."""
    value = options[0][1] if value is None else value
    return widgets.SelectionSlider(
        description=description, options=options, value=value, continuous_update=False
    )


def _depth_slider(dataset: xr.Dataset) -> widgets.SelectionSlider:
    """A slider over the levels that starts at the middle one."""
    levels = [(depth_label(depth), float(depth)) for depth in dataset["depth"].values]
    return _slider("depth", levels, levels[len(levels) // 2][1])


def explore_masks(month: xr.Dataset) -> widgets.VBox:
    """Explore how one month is observed, by pattern, fraction of the ocean, surface and seed.

    Shows the input of a network (a surface field, if the month has one, and the observed values)
    beside the complete field.

    Args:
        month: canonical dataset of one date (`Store.fields`).
    """
    fractions = [(f"{100 * f:g} %", f) for f in sorted({*FRACTIONS, *PATTERNS.values()})]
    pattern = _dropdown("pattern", list(PATTERNS))
    fraction = _slider("fraction", fractions, PATTERNS[pattern.value])

    def reset_fraction(change) -> None:
        fraction.value = PATTERNS[pattern.value]

    pattern.observe(reset_fraction, names="value")
    seed = widgets.IntSlider(description="seed", min=0, max=100, continuous_update=False)
    controls = {"pattern": pattern, "fraction": fraction}
    controls |= {"depth": _depth_slider(month), "seed": seed}
    if above := {name.replace("_", " "): name for name in SURFACES if name in month}:
        controls["surface"] = _dropdown("surface", CLOUDS)
        controls["above"] = _dropdown("from above", above)
    return with_controls(MasksView(month), controls)


def explore_reconstruction(
    reconstruction: xr.Dataset, baselines: xr.Dataset | None = None
) -> widgets.VBox:
    """Explore a reconstruction with two maps side by side, by case, month and depth.

    Each map shows one of `quantity_names`. Temperatures have the limits of the truth at that depth
    over all months; in a large file (`quantities.some_dates`), over months at even intervals. A
    click opens the profile at that place, a second click the section of the right map between the
    two places. Of an open file, only what is shown is read.

    Args:
        reconstruction: the dataset of reconstruction.nc, or a dense field without cases or truth.
        baselines: the dataset of baselines.nc.
    """
    names, controls = quantity_names(reconstruction, baselines), {}
    left, right = ("truth", "mean") if "truth" in names else ("mean", "spread")
    variables = variable_names(reconstruction)
    if len(variables) > 1:
        controls["variable"] = _dropdown("variable", variables)
    if "case" in reconstruction.dims:
        controls["case"] = _dropdown("case", [str(name) for name in reconstruction["case"].values])
    months = [(month_label(time), time) for time in reconstruction["time"].values]
    controls |= {"time": _slider("month", months), "depth": _depth_slider(reconstruction)}
    controls |= {"left": _dropdown("left", names, left), "right": _dropdown("right", names, right)}
    if "climatology" in reconstruction:
        controls["profile"] = _dropdown("profile", ["anomaly", "value"])
    return with_controls(ReconstructionView(reconstruction, baselines), controls)


def explore_denoising(steps: xr.DataArray) -> widgets.VBox:
    """Explore sampling from noise to a field, step by step, beside the final field.

    Args:
        steps: (step, latitude, longitude) with the coordinate `noise_level`.
    """
    last = steps.sizes["step"] - 1
    slider = widgets.IntSlider(description="step", min=0, max=last, continuous_update=False)
    return with_controls(DenoisingView(steps), {"step": slider})


def explore_file(path: str | Path) -> widgets.VBox:
    """Explore one file: reconstruction.nc or the output of `ocean_lib reconstruct`.

    Only what is shown is read, from the file that was opened, even if another replaces it. It is
    closed when nothing refers to the widget any more.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds no reconstruction.
    """
    try:
        reconstruction = open_reconstruction(path)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}); give a NetCDF file") from error
    names = [str(name) for name in reconstruction.data_vars]
    if lacking := {"mean", "spread", "observed", "ocean"} - {*names}:
        reconstruction.close()
        raise ValueError(
            f"{path} holds {names}, not {', '.join(sorted(lacking))}: it is no reconstruction; "
            "give reconstruction.nc of a run, or a file that `ocean_lib reconstruct` wrote"
        )
    return explore_reconstruction(reconstruction)


def _run_dropdown(names: list[str], run: str) -> widgets.Dropdown:
    if run and run not in names:
        raise ValueError(f"run {run!r} has nothing to show; choose from {sorted(names)}")
    return widgets.Dropdown(description="run", options=names, value=run or next(iter(names), None))


def explore_runs(run: str = "") -> widgets.VBox:
    """Explore the reconstructions of all runs, with their baselines if notebook 05 has run.

    Only what is shown is read; the files of a run are closed when another is chosen.

    Args:
        run: name of the run shown first; the newest by default.

    Raises:
        FileNotFoundError: no run has a reconstruction.
        ValueError: the named run has none.
    """
    names = [name for name in known_runs() if Run(name).reconstruction.is_file()]
    if not names:
        raise FileNotFoundError("no run has a reconstruction yet; `make demo` makes one")
    dropdown, explorer = _run_dropdown(names, run), widgets.VBox()
    files: list[xr.Dataset] = []

    def open_run(change=None) -> None:
        paths, before, open_before = Run(dropdown.value), explorer.children, files.copy()
        files[:] = [open_reconstruction(paths.reconstruction)]
        if paths.baselines.is_file():
            files.append(open_reconstruction(paths.baselines))
        explorer.children = [explore_reconstruction(*files)]
        for widget in before:
            close_widgets(widget)
        for file in open_before:
            file.close()

    dropdown.observe(open_run, names="value")
    open_run()
    return widgets.VBox([dropdown, explorer])


_watchers: list[asyncio.Task] = []  # at most one task, which follows a run


def explore_run(run: str = "") -> widgets.VBox:
    """Follow a run live: notebooks, training step, remaining time, and the loss so far.

    Reads the files of the run every two seconds, so a run on another node can be followed where
    `outputs/` is shared.

    Args:
        run: name of the run shown first; the newest by default.

    Raises:
        ValueError: there is no run of that name.
    """
    dropdown, view = _run_dropdown(known_runs(), run), LossView()
    canvas, refresh = live_canvas(view.figure)
    bar = widgets.IntProgress(description="training", layout=widgets.Layout(width="60%"))
    words, drawn = widgets.HTML(), []

    def update(change=None) -> None:
        names = known_runs()
        if set(names) != set(dropdown.options):
            kept = dropdown.value if dropdown.value in names else next(iter(names), None)
            dropdown.options, dropdown.value = names, kept
        if dropdown.value is None:
            words.value = "no run yet; a run appears here when it starts"
            return
        state = read_state(Run(dropdown.value))
        bar.max, bar.value = max(state.steps, 1), state.step
        bar.bar_style = "danger" if state.failed else "info" if state.running else ""
        words.value = "<br>".join(html.escape(line) for line in _state_in_words(state))
        if drawn != [dropdown.value, state.records]:
            view.show(state.records)
            refresh()
            drawn[:] = dropdown.value, state.records

    async def watch() -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                update()
            except (OSError, ValueError) as error:  # such as a run that is being deleted
                words.value = html.escape(f"cannot be read at the moment: {error}")

    dropdown.observe(update, names="value")
    update()
    widget = widgets.VBox([dropdown, bar, words, canvas])
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # no event loop outside Jupyter, so no updates
        return widget
    for task in _watchers:
        task.cancel()
    _watchers[:] = [loop.create_task(watch())]
    return widget


def _state_in_words(state: RunState) -> list[str]:
    lines = [" · ".join(f"{name} {status}" for name, status in state.notebooks.items())]
    if state.records:
        last = state.records[-1]
        parts = [f"step {state.step} of {state.steps}", last["stage"], f"loss {last['loss']:.4g}"]
        if last.get("validation") is not None:
            parts.append(f"validation {last['validation']:.4g}")
        if state.remaining is not None:
            parts.append(f"{clock(state.remaining)} of training remaining")
        if state.running and state.age is not None:
            parts.append(f"recorded {clock(state.age)} ago")
        lines.append(" · ".join(parts))
    return [line for line in lines if line]
