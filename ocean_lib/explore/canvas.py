"""Interactive canvas for a view: its figure follows controls and clicks and can be downloaded.

The figure is updated in place on an `ipympl` canvas, which works in JupyterLab and Voilà and also
reports clicks. A button below it saves the figure as a high-resolution PNG.

A view has a `figure` and `show(**values)`, with one argument per control. It may have `click(axes,
x, y)`, which returns whether anything changed, and a `hint`, a text that the PNG leaves out.
"""

import base64
import io
import re
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
from matplotlib.figure import Figure

__all__ = ["close_widgets", "live_canvas", "with_controls"]


DPI = 300  # of the PNG


def live_canvas(figure: Figure) -> tuple[widgets.DOMWidget, Callable[[], None]]:
    """Put a figure on an `ipympl` canvas; returns it and a function that updates the page."""
    from ipympl.backend_nbagg import Canvas, FigureManager

    figure.set_dpi(100)
    canvas = Canvas(figure)
    FigureManager(canvas, 0)
    canvas.syncing_data_url = False  # its copy of the image is never read
    canvas.header_visible = canvas.toolbar_visible = canvas.footer_visible = False
    canvas.resizable = False

    def refresh() -> None:
        canvas._force_full = True  # a page opened later has no image to update
        canvas.draw()

    return canvas, refresh


def with_controls(view: Any, controls: dict[str, widgets.Widget]) -> widgets.VBox:
    """Combine controls, the figure of a view, and the button that makes a PNG.

    Args:
        view: see the module docstring.
        controls: {argument of `view.show`: control}.
    """
    canvas, refresh = live_canvas(view.figure)
    drawn: dict[str, Any] = {}

    def redraw(change=None) -> None:
        values = {name: control.value for name, control in controls.items()}
        if values != drawn:  # false if another control already triggered this change
            view.show(**values)
            refresh()
            drawn.update(values)

    def click(event) -> None:
        if event.inaxes is not None and view.click(event.inaxes, event.xdata, event.ydata):
            refresh()

    for control in controls.values():
        control.observe(redraw, names="value")
    if hasattr(view, "click"):
        canvas.mpl_connect("button_press_event", click)
    redraw()
    row = widgets.HBox(list(controls.values()), layout=widgets.Layout(flex_flow="row wrap"))
    return widgets.VBox([row, canvas, _download_button(view, controls, refresh)])


def _download_button(view, controls, refresh) -> widgets.HBox:
    button = widgets.Button(description="Make a figure", icon="download", tooltip="PNG, 300 dpi")
    link = widgets.HTML()

    def make(_) -> None:
        buffer, hint = io.BytesIO(), getattr(view, "hint", None)
        if hint is not None:
            hint.set_visible(False)
        view.figure.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight")
        if hint is not None:
            hint.set_visible(True)
        refresh()
        words = "_".join(_words(control) for control in controls.values())
        name = re.sub(r"[^\w.]+", "_", words) + ".png"
        data = base64.b64encode(buffer.getvalue()).decode()
        link.value = f'<a download="{name}" href="data:image/png;base64,{data}">{name}</a>'

    button.on_click(make)
    return widgets.HBox([button, link])


def _words(control) -> str:
    """Text of a control's value; a number is preceded by the name of the control."""
    label = getattr(control, "label", None)
    return label if isinstance(label, str) else f"{control.description} {control.value}"


def close_widgets(widget: widgets.Widget) -> None:
    """Close a widget and its children, which would otherwise keep their data in memory."""
    for child in getattr(widget, "children", ()):
        close_widgets(child)
    widget.unobserve_all()
    widget.close()
