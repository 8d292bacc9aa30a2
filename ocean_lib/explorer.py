"""Sliders over `maps`: look around in a mask, a reconstruction or a sampling run.

Each function returns one widget for the last line of a notebook cell. Of a reconstruction the
picture is kept and changed (`views`), on an `ipympl` canvas that also tells of clicks; the others
are drawn anew at every move of a control, as a PNG in an image widget. JupyterLab and Voilà show
either. The notebook draws a static figure first, by the same `maps` function, so that it also reads
where widgets do not run.
"""

import io

import ipywidgets as widgets

from ocean_lib import maps, views
from ocean_lib.drawing import robust_limits
from ocean_lib.labels import metres, month

__all__ = ["explore_denoising", "explore_masks", "explore_reconstruction", "explore_runs"]


def _png(figure, dpi=90):
    """A figure as PNG bytes, coarse enough to follow a slider."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def _explorer(draw, **controls):
    """Controls above an image of `draw(**values)`, drawn now and at every change of a control."""
    image = widgets.Image(format="png", layout=widgets.Layout(max_width="100%"))

    def redraw(change=None):
        image.value = _png(draw(**{name: control.value for name, control in controls.items()}))

    for control in controls.values():
        control.observe(redraw, names="value")
    redraw()
    return widgets.VBox([_row(controls), image])


def _row(controls):
    return widgets.HBox(list(controls.values()), layout=widgets.Layout(flex_flow="row wrap"))


def _slider(description, options, value=None):
    return widgets.SelectionSlider(
        description=description,
        options=options,
        value=options[0][1] if value is None else value,
        continuous_update=False,
    )


def explore_masks(draw, *, patterns=("blocks", "pixels", "profiles", "tracks"), fraction=0.5):
    """Draw observation patterns: which pattern, what fraction of the ocean is seen, which seed.

    `draw(pattern=, fraction=, seed=)` returns (field, observed, ocean), each labelled
    (latitude, longitude). Returns the widget; the picture is `maps.occlusion`.
    """

    def picture(pattern, fraction, seed):
        field, observed, ocean = draw(pattern=pattern, fraction=fraction, seed=seed)
        return maps.occlusion(field, observed, ocean, title=f"{pattern}, seed {seed}")

    fractions = sorted({0.0025, 0.005, 0.01, 0.02, 0.05, *(i / 10 for i in range(1, 10)), fraction})
    return _explorer(
        picture,
        pattern=widgets.Dropdown(description="pattern", options=patterns),
        fraction=_slider("fraction", [(f"{100 * f:g} %", f) for f in fractions], fraction),
        seed=widgets.IntSlider(description="seed", min=0, max=100, continuous_update=False),
    )


def explore_reconstruction(reconstruction):
    """Two maps of a reconstruction side by side, by case, month and depth, and what lies below.

    `reconstruction` is the dataset of reconstruction.nc. Either map shows the truth, the observed
    values, the mean, a member, the spread, the error (mean - truth), the background or the
    climatology. Temperatures keep the limits of the truth at that depth over all months. A click
    opens the profile there, a second one the section between the two. Returns the widget.
    """
    from ipympl.backend_nbagg import Canvas, FigureManager

    view = views.ReconstructionView(reconstruction)
    view.figure.set_dpi(100)
    canvas = Canvas(view.figure)
    FigureManager(canvas, 0)
    canvas.syncing_data_url = False  # the picture it would keep is one that no browser reads
    canvas.header_visible = canvas.toolbar_visible = canvas.footer_visible = False
    canvas.resizable = False
    names = views.panels(reconstruction)
    controls = {
        "case": widgets.Dropdown(
            description="case", options=[str(name) for name in reconstruction["case"].values]
        ),
        "time": _slider("month", [(month(t), t) for t in reconstruction["time"].values]),
        "depth": _slider("depth", [(metres(z), float(z)) for z in reconstruction["depth"].values]),
        "left": widgets.Dropdown(description="left", options=names, value="truth"),
        "right": widgets.Dropdown(description="right", options=names, value="mean"),
    }

    def refresh():
        canvas._force_full = True  # a page that comes late has not seen what a difference builds on
        canvas.draw()

    def redraw(change=None):
        view.show(**{name: control.value for name, control in controls.items()})
        refresh()

    def click(event):
        if event.inaxes is not None and view.click(event.inaxes, event.xdata, event.ydata):
            refresh()

    for control in controls.values():
        control.observe(redraw, names="value")
    canvas.mpl_connect("button_press_event", click)
    redraw()
    return widgets.VBox([_row(controls), canvas])


def explore_denoising(steps, *, kind="temperature"):
    """Follow sampling from noise to field, step by step, beside the finished field.

    `steps` (step, latitude, longitude) carries the coordinate `noise_level`. Returns the widget.
    """
    last = steps.isel(step=-1)
    limits = {kind: robust_limits(last, kind=kind)}

    def picture(step):
        now = steps.isel(step=step)
        return maps.small_multiples(
            [(f"Noise {float(now['noise_level']):.2g}", now, kind), ("Finished", last, kind)],
            limits=limits,
        )

    return _explorer(
        picture,
        step=widgets.IntSlider(
            description="step", min=0, max=steps.sizes["step"] - 1, continuous_update=False
        ),
    )


def explore_runs():
    """Any run's reconstruction: a list of the runs that have one, and its explorer below.

    Raises FileNotFoundError where no run has one.
    """
    from ocean_lib import netcdf
    from ocean_lib.runs import workspace

    files = {path.parent.name: path for path in workspace().glob("outputs/*/reconstruction.nc")}
    if not files:
        raise FileNotFoundError(
            f"no run in {workspace() / 'outputs'} is sampled; `make demo` first"
        )
    chosen = widgets.Dropdown(description="run", options=sorted(files))
    below = widgets.VBox()

    def opened(change=None):
        below.children = [explore_reconstruction(netcdf.read(files[chosen.value]))]

    chosen.observe(opened, names="value")
    opened()
    return widgets.VBox([chosen, below])
