"""Surface fields of any files, on the grid of a model and in the months of profiles.

Each field is the mean of its month, brought to the model's cells as satellite products are
(`sources.satellites.on_dates`, `fields.regrid`). What a file does not cover is not seen: nothing is
filled. The error is the one that the model was trained with. A sea level above a mean keeps its
standard name; `gridded.open_observations` adds it to the mean of the training months.
"""

import numpy as np
import xarray as xr

from ocean_lib.fields.conventions import MAP_DIMS
from ocean_lib.fields.description import range_in_words
from ocean_lib.fields.files import Paths
from ocean_lib.fields.regrid import regrid
from ocean_lib.fields.surfaces import open_views
from ocean_lib.sources.satellites import on_dates

__all__ = ["MonthlyViews"]


class MonthlyViews:
    """Surface fields of files in some months, on the grid of a model.

    Args:
        paths: a file, folder, glob or list of them, as for `fields.surfaces.open_views`; none if
            empty.
        statistics: of the model.
        times: dates (datetime64) of the months, (T,).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the files hold no surface field, one that the model was not trained with, or
            none of a month or of the region.
    """

    def __init__(self, paths: Paths, statistics: xr.Dataset, times: np.ndarray):
        self.statistics, self.times = statistics, times
        trained = statistics.attrs["surfaces"]
        ocean = statistics.wet.isel(channel=len(trained))  # of the shallowest temperature
        self.ocean = ocean.transpose(*MAP_DIMS[1:]).values
        self.fields: dict[str, xr.DataArray] = {}
        self.dates: dict[str, int] = {}  # of the files, in all months
        self.seen: dict[str, list[float]] = {}  # share of the ocean, by month
        for name, view in (open_views(paths) if paths else {}).items():
            source = view.attrs["source_name"]
            if name not in trained:
                raise ValueError(
                    f"surfaces: {source} is {name}, and the checkpoint was trained with "
                    f"{', '.join(trained) or 'no surface field'}; leave {source} out of the files"
                )
            try:
                self.fields[name] = on_dates(_near(view, statistics), times)
            except ValueError as error:
                raise ValueError(f"surfaces: {name} ({source}): {error}") from error
            self.fields[name].attrs = view.attrs
            self.dates[name] = int(np.isin(_months(view.time.values), _months(times)).sum())
            self.seen[name] = []

    def read(self, index: int) -> dict[str, np.ndarray]:
        """The fields of one month, (latitude, longitude) each, NaN where not seen.

        Args:
            index: of the month among `times`.

        Raises:
            ValueError: a field has no value in the ocean.
        """
        read, grid = {}, (self.statistics.latitude.values, self.statistics.longitude.values)
        for name, field in self.fields.items():
            month = regrid(field.isel(time=[index]), *grid).values[0]
            share = float(np.isfinite(month[self.ocean]).mean())
            if not share:
                raise ValueError(
                    f"surfaces: {name} has values in 0 of the {self.ocean.sum()} cells of the "
                    f"ocean in {_months(self.times[index])}, needs 1; give files of this region"
                )
            self.seen[name].append(share)
            read[name] = np.where(self.ocean, month, np.nan)
        return read

    def describe(self) -> list[str]:
        """What was understood of each field that was read, in a line of text."""
        lines = []
        for name, field in self.fields.items():
            shares = [f"{share:.0%}" for share in (min(self.seen[name]), max(self.seen[name]))]
            above = f", {field.attrs['standard_name']}" if name == "sea_level" else ""
            lines.append(
                f"{name}: {field.attrs['source_name']}{above}, {self.dates[name]} date(s) of "
                f"{range_in_words(self.times)}, seen in "
                f"{' to '.join(dict.fromkeys(shares))} of the ocean, with the error of the "
                f"training, {self.statistics.attrs['surfaces'][name]:g} {field.attrs['units']}"
            )
        return lines


def _months(times: np.ndarray) -> np.ndarray:
    return times.astype("datetime64[M]")


def _near(view: xr.DataArray, statistics: xr.Dataset) -> xr.DataArray:
    """The rows of a view around those of a model, and two rows more on either side.

    Raises:
        ValueError: there are none.
    """
    rows, wanted = view.latitude.values, statistics.latitude.values
    margin = 2 * max(float(np.abs(np.diff(axis)).max(initial=0.5)) for axis in (rows, wanted))
    near = (rows >= wanted[0] - margin) & (rows <= wanted[-1] + margin)
    if not near.any():
        raise ValueError(
            f"it covers latitude {rows[0]:g} to {rows[-1]:g}, the model {wanted[0]:g} to "
            f"{wanted[-1]:g}; give files of this region"
        )
    return view.isel(latitude=np.flatnonzero(near))
