"""A sample forming, as a GIF that a page can show."""

import io

import matplotlib as mpl
import numpy as np
from PIL import Image

from ocean_lib.drawing import paint, robust_limits, unit_label
from ocean_lib.layout import STYLE, colour_bar, map_panels
from ocean_lib.whole import whole

__all__ = ["denoising"]

EACH, LAST = 350, 2500  # ms a frame


@mpl.rc_context(STYLE)
def denoising(steps, path, *, kind="temperature", title=None):
    """From noise to field: a frame for each of the steps (step, latitude, longitude).

    `steps` carries the coordinate `noise_level`; the last is the finished field and sets the
    limits. `path` ends in .gif. Returns it.
    """
    last = steps.isel(step=-1).transpose("latitude", "longitude")
    figure, grid = map_panels(last, 1, 1, extra=0.5, width=4.2)
    mesh = paint(grid[0, 0], last, kind=kind, limits=robust_limits(last, kind=kind), title=" ")
    colour_bar(figure, mesh, grid[0, 0], unit_label(steps, kind))
    figure.suptitle(title)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # frames are of one size
    frames = []
    for index in range(steps.sizes["step"]):
        now = steps.isel(step=index).transpose("latitude", "longitude").where(last.notnull())
        mesh.set_array(np.ma.masked_invalid(np.asarray(now, float)))
        grid[0, 0].set_title(f"noise {float(steps['noise_level'][index]):.2f}")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110)
        frames.append(Image.open(buffer).convert("RGB"))
    lasting = [EACH] * (len(frames) - 1) + [LAST]
    with whole(path) as beside:
        frames[0].save(
            beside, "GIF", save_all=True, append_images=frames[1:], duration=lasting, loop=0
        )
    return path
