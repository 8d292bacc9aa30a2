"""Sliders over `maps`: look around in a mask, a reconstruction or a sampling run.

Each function returns one widget for the last line of a notebook cell. A control that moves draws
the figure anew and puts its PNG into an image widget, which any front end shows (JupyterLab, Voilà)
and which holds nothing but the picture. The notebook draws a static figure first, by the same
`maps` function, so that it also reads where widgets do not run.
"""

import io

import ipywidgets as widgets

from ocean_lib import maps
from ocean_lib.drawing import robust_limits
from ocean_lib.labels import metres, month, select

__all__ = ["explore_masks", "explore_reconstruction", "explore_denoising"]


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
    return widgets.VBox(
        [widgets.HBox(list(controls.values()), layout=widgets.Layout(flex_flow="row wrap")), image]
    )


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
    """Two maps of a reconstruction side by side, by case, month and depth.

    `reconstruction` is the dataset of reconstruction.nc. Either map shows the truth, the observed
    values, the mean, a member, the spread, the error (mean - truth), the background or the
    climatology. Temperatures keep the limits of the truth at that depth over all months. Returns
    the widget.
    """
    names = ["truth", "observed", "mean", "spread", "error", "background", "climatology"]
    names += [f"member {i + 1}" for i in range(reconstruction.sizes["member"])]

    def shown(chosen, name):
        if name == "observed":
            field = chosen["value"].where(chosen["observed"])
        elif name == "error":
            field = chosen["mean"] - chosen["truth"]
        elif name.startswith("member "):
            field = chosen["members"].isel(member=int(name.split()[1]) - 1)
        else:
            field = chosen[name]
        kind = {"error": "difference", "spread": "spread"}.get(name, "temperature")
        return name.capitalize(), field.where(chosen["ocean"]), kind

    def picture(case, time, depth, left, right):
        chosen = select(reconstruction, case=case, time=time, depth=depth)
        truth = reconstruction["truth"].sel(depth=depth, method="nearest")
        limits = {"temperature": robust_limits(truth.where(chosen["ocean"]))}
        return maps.small_multiples(
            [shown(chosen, left), shown(chosen, right)],
            ocean=chosen["ocean"],
            limits=limits,
            title=f"{case}, {month(time)}, {metres(depth)}",
        )

    return _explorer(
        picture,
        case=widgets.Dropdown(
            description="case", options=[str(name) for name in reconstruction["case"].values]
        ),
        time=_slider("month", [(month(t), t) for t in reconstruction["time"].values]),
        depth=_slider("depth", [(metres(z), float(z)) for z in reconstruction["depth"].values]),
        left=widgets.Dropdown(description="left", options=names, value="truth"),
        right=widgets.Dropdown(description="right", options=names, value="mean"),
    )


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
