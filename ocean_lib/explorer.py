"""Sliders over pictures: look around in masks, a reconstruction, a sample forming, or a run.

Each function returns one widget for the last line of a notebook cell, which JupyterLab and Voilà
show. The picture is kept and changed (`views`) on an `ipympl` canvas, which also tells of clicks;
below it a button makes a figure for a paper of what is shown, to be downloaded. The notebook draws
a static figure first, so that it also reads where widgets do not run.
"""

import asyncio
import base64
import html
import io
import re

import ipywidgets as widgets

from ocean_lib import views
from ocean_lib.labels import metres, month
from ocean_lib.progress import clock

__all__ = [
    "explore_denoising",
    "explore_masks",
    "explore_reconstruction",
    "explore_run",
    "explore_runs",
]

DPI = 300  # of a figure taken away
EVERY = 2.0  # seconds between two looks at a run
PATTERNS = ("blocks", "pixels", "profiles", "tracks")
SURFACES = {"clear": 0.0, "30 % cloud": 0.3, "60 % cloud": 0.6, "not seen": None}


def _canvas(figure):
    """An `ipympl` canvas of a figure, and the function that sends what it shows to the page."""
    from ipympl.backend_nbagg import Canvas, FigureManager

    figure.set_dpi(100)
    canvas = Canvas(figure)
    FigureManager(canvas, 0)
    canvas.syncing_data_url = False  # the picture it would keep is one that no browser reads
    canvas.header_visible = canvas.toolbar_visible = canvas.footer_visible = False
    canvas.resizable = False

    def refresh():
        canvas._force_full = True  # a page that comes late has not seen what a difference builds on
        canvas.draw()

    return canvas, refresh


def _explorer(view, controls):
    """Controls above the view's figure, which follows them, and a button to take it away."""
    canvas, refresh = _canvas(view.figure)

    def redraw(change=None):
        view.show(**{name: control.value for name, control in controls.items()})
        refresh()

    def click(event):
        if event.inaxes is not None and view.click(event.inaxes, event.xdata, event.ydata):
            refresh()

    for control in controls.values():
        control.observe(redraw, names="value")
    if hasattr(view, "click"):
        canvas.mpl_connect("button_press_event", click)
    redraw()
    row = widgets.HBox(list(controls.values()), layout=widgets.Layout(flex_flow="row wrap"))
    return widgets.VBox([row, canvas, _taken_away(view, controls, refresh)])


def _taken_away(view, controls, refresh):
    button = widgets.Button(description="Make a figure", icon="download", tooltip="PNG, 300 dpi")
    link = widgets.HTML()

    def make(_):
        buffer = io.BytesIO()
        view.figure.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight")
        refresh()
        words = [getattr(control, "label", None) or control.value for control in controls.values()]
        name = re.sub(r"[^\w.]+", "_", "_".join(map(str, words))) + ".png"
        data = base64.b64encode(buffer.getvalue()).decode()
        link.value = f'<a download="{name}" href="data:image/png;base64,{data}">{name}</a>'

    button.on_click(make)
    return widgets.HBox([button, link])


def _slider(description, options, value=None):
    return widgets.SelectionSlider(
        description=description,
        options=options,
        value=options[0][1] if value is None else value,
        continuous_update=False,
    )


def _depths(dataset):
    """A slider over its levels, the middle one chosen: there the ocean is least known."""
    levels = [(metres(z), float(z)) for z in dataset["depth"].values]
    return _slider("depth", levels, levels[len(levels) // 2][1])


def explore_masks(month, *, patterns=PATTERNS, fraction=0.5):
    """Observe one month: which pattern, what fraction of the ocean, the surface, which seed.

    `month` is a canonical dataset of one date (`Store.fields`). Shows what a network would see: the
    surface from above where the month has one, the observed values, the field. Returns the widget.
    """
    fractions = sorted({0.0025, 0.005, 0.01, 0.02, 0.05, *(i / 10 for i in range(1, 10)), fraction})
    controls = {
        "pattern": widgets.Dropdown(description="pattern", options=patterns),
        "fraction": _slider("fraction", [(f"{100 * f:g} %", f) for f in fractions], fraction),
        "depth": _depths(month),
        "seed": widgets.IntSlider(description="seed", min=0, max=100, continuous_update=False),
    }
    if "surface" in month:
        controls["surface"] = widgets.Dropdown(description="surface", options=SURFACES)
    return _explorer(views.MasksView(month), controls)


def explore_reconstruction(reconstruction, baselines=None):
    """Two maps of a reconstruction side by side, by case, month and depth, and what lies below.

    Either map shows the truth, the observed values, the mean, a member, the spread, the error
    (mean - truth), the background or the climatology; with `baselines` any of them and its error.
    Temperatures keep the limits of the truth at that depth over all months. A click opens the
    profile there, a second one the section of the right map between the two.

    `reconstruction` and `baselines` are the datasets of reconstruction.nc and baselines.nc. Returns
    the widget.
    """
    names = views.choices(reconstruction, baselines)
    cases = [str(name) for name in reconstruction["case"].values]
    controls = {
        "case": widgets.Dropdown(description="case", options=cases),
        "time": _slider("month", [(month(t), t) for t in reconstruction["time"].values]),
        "depth": _depths(reconstruction),
        "left": widgets.Dropdown(description="left", options=names, value="truth"),
        "right": widgets.Dropdown(description="right", options=names, value="mean"),
        "profile": widgets.Dropdown(description="profile", options=["anomaly", "temperature"]),
    }
    return _explorer(views.ReconstructionView(reconstruction, baselines), controls)


def explore_denoising(steps, *, kind="temperature"):
    """Follow sampling from noise to field, step by step, beside the finished field.

    `steps` (step, latitude, longitude) carries the coordinate `noise_level`. Returns the widget.
    """
    last = steps.sizes["step"] - 1
    slider = widgets.IntSlider(description="step", min=0, max=last, continuous_update=False)
    return _explorer(views.DenoisingView(steps, kind), {"step": slider})


def _chosen_run(names, run):
    if not names:
        raise FileNotFoundError("no run has what is looked for; `make demo` first")
    if run and run not in names:
        raise ValueError(f"run {run!r} has nothing to show; choose from {sorted(names)}")
    return widgets.Dropdown(description="run", options=names, value=run or names[0])


def explore_runs(run=""):
    """Any run's reconstruction: a list of the runs that have one, and its explorer below.

    Baselines lie beside it where notebook 05 has been run. `run` is shown first, by default the
    newest. Raises FileNotFoundError where no run has one, ValueError where that run has none.
    """
    from ocean_lib import netcdf
    from ocean_lib.runs import open_run
    from ocean_lib.watching import known_runs

    names = [name for name in known_runs() if open_run(name).reconstruction.is_file()]
    chosen, below = _chosen_run(names, run), widgets.VBox()

    def opened(change=None):
        here = open_run(chosen.value)
        baselines = netcdf.read(here.baselines) if here.baselines.is_file() else None
        below.children = [explore_reconstruction(netcdf.read(here.reconstruction), baselines)]

    chosen.observe(opened, names="value")
    opened()
    return widgets.VBox([chosen, below])


def explore_run(run=""):
    """How far a run is, live: notebooks, training step, pace, and the loss so far.

    Reads what the run writes, every two seconds, so that one on another node can be followed where
    `outputs/` is shared. `run` is shown first, by default the newest. Returns the widget.
    Raises FileNotFoundError where there is no run, ValueError where there is none of that name.
    """
    from ocean_lib.runs import open_run
    from ocean_lib.watching import known_runs, state

    chosen, view = _chosen_run(known_runs(), run), views.LossView()
    canvas, refresh = _canvas(view.figure)
    bar = widgets.IntProgress(description="training", layout=widgets.Layout(width="60%"))
    words, shown = widgets.HTML(), []

    def look(change=None):
        now = state(open_run(chosen.value))
        bar.max, bar.value = max(now.steps, 1), now.step
        bar.bar_style = "info" if now.running else "success" if now.step == now.steps else ""
        words.value = "<br>".join(html.escape(line) for line in _told(now))
        if shown != [chosen.value, now.records]:
            view.show(now.records)
            refresh()
            shown[:] = chosen.value, now.records

    async def watch():
        while True:
            await asyncio.sleep(EVERY)
            look()

    chosen.observe(look, names="value")
    look()
    widget = widgets.VBox([chosen, bar, words, canvas])
    try:
        widget.watching = asyncio.get_running_loop().create_task(watch())
    except RuntimeError:  # no loop, nobody watches
        pass
    return widget


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
