"""Sliders over pictures: look around in masks, a reconstruction, a sample forming, or a run.

Each function returns one widget for the last line of a notebook cell (`controls`). The notebook
draws a static figure first, so that it also reads where widgets do not run.
"""

import asyncio
import html

import ipywidgets as widgets

from ocean_lib.explore import other_views, reconstruction_view
from ocean_lib.explore.canvas import close_widgets, live_canvas, with_controls
from ocean_lib.explore.run_state import known_runs, read_state
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


EVERY = 2.0  # seconds between two looks at a run
PATTERNS = {"blocks": 0.5, "pixels": 0.1, "profiles": 0.0025, "tracks": 0.1}  # fraction at first
SURFACES = {"clear": 0.0, "30 % cloud": 0.3, "60 % cloud": 0.6, "not seen": None}


def _slider(description, options, value=None):
    return widgets.SelectionSlider(
        description=description,
        options=options,
        value=options[0][1] if value is None else value,
        continuous_update=False,
    )


def _depths(dataset):
    """A slider over its levels, the middle one chosen: there the ocean is least known."""
    levels = [(depth_label(z), float(z)) for z in dataset["depth"].values]
    return _slider("depth", levels, levels[len(levels) // 2][1])


def explore_masks(month, *, patterns=PATTERNS):
    """Observe one month: which pattern, what fraction of the ocean, the surface, which seed.

    `month` is a canonical dataset of one date (`Store.fields`); `patterns` {name: fraction at
    first}. Shows what a network would see: the surface from above where the month has one, and the
    observed values beside the field that they are of. Returns the widget.
    """
    fractions = {0.0025, 0.005, 0.01, 0.02, 0.05, *(i / 10 for i in range(1, 10))}
    fractions = [(f"{100 * f:g} %", f) for f in sorted({*fractions, *patterns.values()})]
    pattern = widgets.Dropdown(description="pattern", options=list(patterns))
    fraction = _slider("fraction", fractions, patterns[pattern.value])

    def begin(change):
        fraction.value = patterns[pattern.value]

    pattern.observe(begin, names="value")
    controls = {
        "pattern": pattern,
        "fraction": fraction,
        "depth": _depths(month),
        "seed": widgets.IntSlider(description="seed", min=0, max=100, continuous_update=False),
    }
    if "surface" in month:
        controls["surface"] = widgets.Dropdown(description="surface", options=SURFACES)
    return with_controls(other_views.MasksView(month), controls)


def explore_reconstruction(reconstruction, baselines=None):
    """Two maps of a reconstruction side by side, by case, month and depth, and what lies below.

    Either map shows the truth, the observed values, the mean, a member, the spread, the background,
    the climatology or the mean's error; with `baselines` any of them and its error. Temperatures
    keep the limits of the truth at that depth over all months. A click opens the profile there, a
    second one the section of the right map between the two.

    `reconstruction` and `baselines` are the datasets of reconstruction.nc and baselines.nc; a dense
    field without cases or truth will do. Further variables have a list of their own. Returns the
    widget.
    """
    names = reconstruction_view.quantity_names(reconstruction, baselines)
    left, right = ("truth", "mean") if "truth" in names else ("mean", "spread")
    controls, kinds = {}, reconstruction_view.variable_names(reconstruction)
    if len(kinds) > 1:
        controls["variable"] = widgets.Dropdown(description="variable", options=kinds)
    if "case" in reconstruction.dims:
        cases = [str(name) for name in reconstruction["case"].values]
        controls["case"] = widgets.Dropdown(description="case", options=cases)
    controls |= {
        "time": _slider("month", [(month_label(t), t) for t in reconstruction["time"].values]),
        "depth": _depths(reconstruction),
        "left": widgets.Dropdown(description="left", options=names, value=left),
        "right": widgets.Dropdown(description="right", options=names, value=right),
    }
    if "climatology" in reconstruction:
        profiles = ["anomaly", "value"]
        controls["profile"] = widgets.Dropdown(description="profile", options=profiles)
    return with_controls(
        reconstruction_view.ReconstructionView(reconstruction, baselines), controls
    )


def explore_denoising(steps, *, kind="temperature"):
    """Follow sampling from noise to field, step by step, beside the finished field.

    `steps` (step, latitude, longitude) carries the coordinate `noise_level`. Returns the widget.
    """
    last = steps.sizes["step"] - 1
    slider = widgets.IntSlider(description="step", min=0, max=last, continuous_update=False)
    return with_controls(other_views.DenoisingView(steps, kind), {"step": slider})


def explore_file(path):
    """The explorer of one file: reconstruction.nc, or what `ocean_lib reconstruct` wrote.

    Raises FileNotFoundError where there is no such file.
    """
    from ocean_lib.fields import reconstruction_file as netcdf

    return explore_reconstruction(netcdf.read_reconstruction(path))


def _chosen_run(names, run):
    if run and run not in names:
        raise ValueError(f"run {run!r} has nothing to show; choose from {sorted(names)}")
    return widgets.Dropdown(description="run", options=names, value=run or next(iter(names), None))


def explore_runs(run=""):
    """Any run's reconstruction: a list of the runs that have one, and its explorer below.

    Baselines lie beside it where notebook 05 has been run. `run` is shown first, by default the
    newest. Raises FileNotFoundError where no run has one, ValueError where that run has none.
    """
    from ocean_lib.fields import reconstruction_file as netcdf

    names = [name for name in known_runs() if Run(name).reconstruction.is_file()]
    if not names:
        raise FileNotFoundError("no run is sampled yet; `make demo` first")
    chosen, below = _chosen_run(names, run), widgets.VBox()

    def opened(change=None):
        here, old = Run(chosen.value), below.children
        baselines = netcdf.read_reconstruction(here.baselines) if here.baselines.is_file() else None
        below.children = [
            explore_reconstruction(netcdf.read_reconstruction(here.reconstruction), baselines)
        ]
        for widget in old:
            close_widgets(widget)

    chosen.observe(opened, names="value")
    opened()
    return widgets.VBox([chosen, below])


_watching = []  # the task that follows a run; one at a time


def explore_run(run=""):
    """How far a run is, live: notebooks, training step, pace, and the loss so far.

    Reads what the run writes, every two seconds, so that one on another node can be followed where
    `outputs/` is shared. `run` is shown first, by default the newest. Returns the widget. Raises
    ValueError where there is no run of that name.
    """
    chosen, view = _chosen_run(known_runs(), run), other_views.LossView()
    canvas, refresh = live_canvas(view.figure)
    bar = widgets.IntProgress(description="training", layout=widgets.Layout(width="60%"))
    words, shown = widgets.HTML(), []

    def look(change=None):
        names = known_runs()
        if set(names) != set(chosen.options):
            kept = chosen.value if chosen.value in names else next(iter(names), None)
            chosen.options, chosen.value = names, kept
        if chosen.value is None:
            words.value = "no run yet; one that begins appears here"
            return
        now = read_state(Run(chosen.value))
        bar.max, bar.value = max(now.steps, 1), now.step
        bar.bar_style = "danger" if now.failed else "info" if now.running else ""
        words.value = "<br>".join(html.escape(line) for line in _told(now))
        if shown != [chosen.value, now.records]:
            view.show(now.records)
            refresh()
            shown[:] = chosen.value, now.records

    async def watch():
        while True:
            await asyncio.sleep(EVERY)
            try:
                look()
            except (OSError, ValueError) as error:  # such as a run that is being deleted
                words.value = html.escape(f"cannot be read at the moment: {error}")

    chosen.observe(look, names="value")
    look()
    try:
        task = asyncio.get_running_loop().create_task(watch())
    except RuntimeError:  # no loop, nobody watches
        return widgets.VBox([chosen, bar, words, canvas])
    for old in _watching:
        old.cancel()
    _watching[:] = [task]
    return widgets.VBox([chosen, bar, words, canvas])


def _told(now):
    """A run's state in lines of words."""
    lines = [" · ".join(f"{name} {status}" for name, status in now.notebooks.items())]
    if now.records:
        last = now.records[-1]
        parts = [f"step {now.step} of {now.steps}", last["stage"], f"loss {last['loss']:.4g}"]
        if last.get("validation") is not None:
            parts.append(f"validation {last['validation']:.4g}")
        if now.remaining is not None:
            parts.append(f"{clock(now.remaining)} of training remaining")
        if now.running:
            parts.append(f"recorded {clock(now.written)} ago")
        lines.append(" · ".join(parts))
    return [line for line in lines if line]
