"""Derived quantities of a reconstruction, such as heat content: maps, and regional means in time.

Heat content is shown in GJ m⁻², steric height in cm. The functions take the dataset of
reconstruction.nc and, like those of `maps` and `curves`, draw on `axes` where given.
"""

import matplotlib as mpl
import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from xarray import DataArray, Dataset

from ocean_lib.fields.derived import in_shown_unit
from ocean_lib.fields.reconstruction_file import select
from ocean_lib.plots import painting, style
from ocean_lib.plots.labels import case_title
from ocean_lib.plots.maps import small_multiples
from ocean_lib.plots.profiles import LINES
from ocean_lib.plots.style import STYLE, Panels

__all__ = ["derived_maps", "regional_mean"]


BAND = 0.05, 0.95  # quantiles of the members


@mpl.rc_context(STYLE)
def derived_maps(
    reconstruction: Dataset,
    name: str,
    *,
    case: str | None = None,
    time: str | np.datetime64 | None = None,
    axes: Panels = None,
) -> Figure:
    """Map truth, ensemble mean, error and spread of a derived quantity.

    Ocean without a value is grey. Sparse observed columns are drawn as dots on mean, error and
    spread.

    Args:
        reconstruction: the dataset of reconstruction.nc, with derived quantities.
        name: such as `heat_content_700`.
        case: name of the case; the first by default.
        time: the nearest date is selected; the first by default.
        axes: four GeoAxes to draw on.
    """
    selected = select(reconstruction, case=case, time=time)
    truth, mean, error = (
        in_shown_unit(selected[f"{name}_{part}"], name) for part in ("truth", "mean", "error")
    )
    difference = (mean - truth).assign_attrs(mean.attrs)
    shown = [("Truth", truth, name), ("Mean", mean, name)]
    shown += [("Mean − truth", difference, "difference"), ("Spread", error, "spread")]
    title = f"{mean.attrs['long_name']}\n{case_title(selected)}"
    observed, ocean = (selected[part].any("depth") for part in ("observed", "ocean"))
    figure = small_multiples(shown, title=title, ocean=ocean, axes=axes)
    if painting.is_sparse(observed, ocean):
        places = painting.cell_positions(observed & ocean)
        for panel in [one for one in figure.axes if hasattr(one, "projection")][1:4]:
            painting.dots(panel, *places, s=4, c="white", edgecolors="black")
    return figure


def _mean_of_region(field: DataArray, name: str) -> DataArray:
    """Mean over the columns with a value, weighted by area, in the unit that is shown."""
    weights: DataArray = np.cos(np.radians(field["latitude"]))  # type: ignore[assignment]
    return in_shown_unit(field, name).weighted(weights).mean(("latitude", "longitude"))


@mpl.rc_context(STYLE)
def regional_mean(reconstruction: Dataset, name: str, *, axes: Panels = None) -> Figure:
    """Plot a derived quantity's mean over the region by date, one panel per case.

    The band holds the members from their 5th to their 95th percentile.

    Args:
        reconstruction: the dataset of reconstruction.nc, with derived quantities.
        name: such as `heat_content_700`.
        axes: one axes per case to draw on.
    """
    cases = [str(case) for case in reconstruction["case"].values]
    width = min(1.2 + 3.0 * len(cases), 7.2)
    figure, grid = style.panels(1, len(cases), width=width, height=2.8, axes=axes, sharey=True)
    dates = reconstruction["time"].values
    for panel, case in zip(grid[0], cases, strict=True):
        selected = reconstruction.sel(case=case)
        members = _mean_of_region(selected[f"{name}_members"], name)
        low, high = members.quantile(BAND, "member").transpose("quantile", "time").values
        band = {"color": style.BLUE, "alpha": 0.25, "linewidth": 0}
        panel.fill_between(dates, low, high, label="members, 5–95 %", **band)
        for part in ("climatology", "truth", "mean"):
            line = {"label": part, "marker": "."} | LINES[part]
            panel.plot(dates, _mean_of_region(selected[f"{name}_{part}"], name).values, **line)
        locator = AutoDateLocator(minticks=3, maxticks=6)
        panel.xaxis.set_major_locator(locator)
        panel.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        panel.set_title(case)
        panel.grid(alpha=0.3, linewidth=0.4)
    grid[0, 0].set_ylabel(
        style.unit_label(in_shown_unit(reconstruction[f"{name}_mean"], name), name)
    )
    handles, labels = grid[0, 0].get_legend_handles_labels()
    style.legend(grid, axes, handles, labels, 4)
    long_name = reconstruction[f"{name}_mean"].attrs["long_name"]
    style.figure_title(figure, axes, f"{long_name}, mean of the region")
    return figure
