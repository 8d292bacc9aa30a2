"""A view on a canvas: its picture follows controls and clicks, and can be taken away.

The picture is kept and changed on an `ipympl` canvas, which JupyterLab and Voilà show and which
also tells of clicks; below it a button makes a figure for a paper of what is shown, to be
downloaded.
"""

import base64
import io
import re

import ipywidgets as widgets

__all__ = ["close_widgets", "live_canvas", "with_controls"]


DPI = 300  # of a figure taken away


def live_canvas(figure):
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


def with_controls(view, controls):
    """Controls above the view's figure, which follows them, and a button to take it away."""
    canvas, refresh = live_canvas(view.figure)

    drawn = {}

    def redraw(change=None):
        values = {name: control.value for name, control in controls.items()}
        if values != drawn:  # one control may have moved another
            view.show(**values)
            refresh()
            drawn.update(values)

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
        invitation = getattr(view, "invitation", None)
        if invitation is not None:
            invitation.set_visible(False)
        view.figure.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight")
        if invitation is not None:
            invitation.set_visible(True)
        refresh()
        words = [_words(control) for control in controls.values()]
        name = re.sub(r"[^\w.]+", "_", "_".join(words)) + ".png"
        data = base64.b64encode(buffer.getvalue()).decode()
        link.value = f'<a download="{name}" href="data:image/png;base64,{data}">{name}</a>'

    button.on_click(make)
    return widgets.HBox([button, link])


def _words(control):
    """What a control shows, with its own name where that is but a number."""
    shown = getattr(control, "label", None)
    return shown if isinstance(shown, str) else f"{control.description} {control.value}"


def close_widgets(widget):
    """Let go of a widget and all in it: what is open keeps its data."""
    for child in getattr(widget, "children", ()):
        close_widgets(child)
    widget.unobserve_all()
    widget.close()
