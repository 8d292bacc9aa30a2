"""Scores of derived quantities, such as heat content: by column, and as means over boxes.

A quantity is scored in columns that nobody observed at any level: an observed level would tell part
of it. Means over boxes are means over these columns, weighted by area; a box of which less than
half has a value, observed or not, is left out. The mean of the reconstruction is that of
`reconstruct.derived`. Every other method states no covariance between levels, so that its quantity
is that of its mean field, without an uncertainty and without a CRPS. The members are those of the
reconstruction as drawn: calibration changes each level for itself, not sums over levels.

Scores and intervals are those of `evaluation`, with a box in the place of a cell.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd
import xarray as xr

from ocean_lib.fields.conventions import named
from ocean_lib.fields.derived import column_names, derive, shown_unit
from ocean_lib.scores import report
from ocean_lib.scores.evaluation import score_methods

__all__ = ["box_means", "derived_tables", "score_derived"]


BOXES = 1.0, 3.0  # degrees, sides of the boxes over which heat content is averaged
HALF = 0.5  # of a box that must have values
OURS = "reconstruction"
GRID = "time", "depth", "latitude", "longitude"


def score_derived(
    drawn: xr.Dataset,
    methods: Mapping[str, xr.Dataset],
    *,
    case: str,
    standard_name: str,
    show: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Scores of every derived quantity of one case of a reconstruction, with 90 % intervals.

    Args:
        drawn: one case of reconstruction.nc, with derived quantities.
        methods: {name: `mean` (time, depth, latitude, longitude) of temperature, and
            `salinity_mean` where the model has salinity}; "climatology" must be among them.
        case: its name in the table.
        standard_name: of temperature, which says whether it is potential.
        show: receives a line on what is counted, for each quantity.

    Returns:
        The columns of `score_table`: `variable` is the quantity, in its unit, and `layer` is
        `columns` or, of heat content on a grid of several rows, `1° boxes` and `3° boxes`.

    Raises:
        ValueError: there is no method "climatology".
    """
    names = column_names(drawn)
    if not names:
        return pd.DataFrame()
    of_methods = {
        method: derive(_fields(result, drawn["ocean"], standard_name), names)
        for method, result in methods.items()
    }
    masks = {named(variable, "observed") for variable in ("temperature", "salinity")}
    seen = drawn[sorted(masks & {*drawn})].any("depth").to_dataarray().any("variable")
    tables = []
    for name in names:
        truth = drawn[f"{name}_truth"]
        results = {
            method: xr.Dataset({"mean": found[name]}) for method, found in of_methods.items()
        }
        ours = {key: drawn[f"{name}_{key}"] for key in ("mean", "members")}
        results[OURS] = xr.Dataset(ours)
        known = truth.notnull()
        for values in (array for result in results.values() for array in result.values()):
            known = known & values.notnull().all({*values.dims} - {*truth.dims})
        lost = int((truth.notnull() & ~known).sum())
        show(
            f"{case}, {name}: {int((known & ~seen).sum()):,} columns scored; left out are "
            f"{int((known & seen).sum()):,} observed ones and {lost:,} where a method has no value"
        )
        tables.append(_score(truth, results, known & ~seen, "columns", case, name))
        for degrees in BOXES if name.startswith("heat_content") else ():
            if min(truth.sizes["latitude"], truth.sizes["longitude"]) < 2:
                continue
            boxes = _in_boxes(truth, results, known, ~seen, degrees)
            inside = boxes[0].notnull()
            show(
                f"{case}, {name}: {int(inside.sum()):,} means over boxes of {degrees:g}° scored; "
                f"{int((~inside).sum()):,} of boxes with a value in less than half, or observed "
                "throughout, are left out"
            )
            tables.append(_score(*boxes, inside, f"{degrees:g}° boxes", case, name))
    return pd.concat(tables, ignore_index=True)


def _fields(result: xr.Dataset, ocean: xr.DataArray, standard_name: str) -> xr.Dataset:
    """The mean fields of a method, as `derive` takes them."""
    temperature = result["mean"].assign_attrs(standard_name=standard_name)
    fields = xr.Dataset({"temperature": temperature, "ocean": ocean})
    return fields.assign(salinity=result["salinity_mean"]) if "salinity_mean" in result else fields


def _score(
    truth: xr.DataArray,
    results: dict[str, xr.Dataset],
    where: xr.DataArray,
    layer: str,
    case: str,
    variable: str,
) -> pd.DataFrame:
    """Rows of `score_methods`, for which the quantity is a variable of one level."""
    ocean = truth.notnull().any("time")
    fields = xr.Dataset({variable: truth.where(where), "ocean": ocean}).expand_dims(depth=[0.0])
    seen = xr.Dataset({f"{variable}_observed": xr.zeros_like(fields[variable], bool)})
    results = {method: one.expand_dims(depth=[0.0]) for method, one in results.items()}
    with np.errstate(invalid="ignore", over="ignore"):  # of image scores, which are not kept
        rows = score_methods(fields, seen, results, case=case, ours=OURS, variable=variable)
    kept = (rows["layer"] == "all") & ~rows["metric"].str.startswith(("psnr", "ssim"))
    return rows[kept].assign(layer=layer)


def _in_boxes(
    truth: xr.DataArray,
    results: dict[str, xr.Dataset],
    known: xr.DataArray,
    hidden: xr.DataArray,
    degrees: float,
) -> tuple[xr.DataArray, dict[str, xr.Dataset]]:
    """Means of truth and results over boxes."""
    where = known, hidden, degrees
    return box_means(truth, *where), {
        method: one.map(box_means, args=where) for method, one in results.items()
    }


def derived_tables(scores: pd.DataFrame, metric: str, title: str) -> Iterator[str]:
    """One Markdown table for every quantity: methods, and the cases by columns and boxes.

    Args:
        scores: from `score_derived`, of all cases.
        metric: a value of the column `metric`, in the unit of the quantity.
        title: name of the metric.

    Yields:
        The table, in the unit that is shown, such as GJ m⁻².
    """
    for name, rows in scores.groupby("variable", sort=False):
        unit, factor = shown_unit(name)
        rows = rows.assign(**{part: rows[part] * factor for part in ("value", "low", "high")})
        layers = {
            layer: report.table(rows, metric, layer) for layer in dict.fromkeys(rows["layer"])
        }
        parts = {
            f"{case}, {layer}": table[case]
            for case in dict.fromkeys(rows["case"])
            for layer, table in layers.items()
            if case in table
        }
        yield report.markdown(pd.DataFrame(parts).fillna(""), f"{name} · {title}", unit)


def box_means(
    field: xr.DataArray, known: xr.DataArray, hidden: xr.DataArray, degrees: float
) -> xr.DataArray:
    """Means over the hidden columns of boxes, weighted by area.

    Args:
        field: (..., latitude, longitude), at least two rows and columns.
        known: the columns with a value, bool, (time, latitude, longitude) or fewer dims.
        hidden: the columns that nobody observed, likewise.
        degrees: side of a box; the first one begins at the south-western corner of the grid.

    Returns:
        (..., latitude, longitude) of the middles of the boxes; NaN where less than half of the area
        of a box is known, or none of it hidden.
    """
    places = [field[name].values.astype(float) for name in GRID[2:]]
    area = np.outer(
        np.cos(np.deg2rad(places[0])) * abs(np.gradient(places[0])), abs(np.gradient(places[1]))
    )
    inside, middles = zip(*(_membership(place, degrees) for place in places))
    cells, where = xr.DataArray(area, dims=GRID[2:]), known & hidden
    valued, weights, values = xr.broadcast(
        known * cells, where * cells, field.where(where, 0.0).astype(float)
    )
    dims = (*(dim for dim in values.dims if dim not in GRID[2:]), *GRID[2:])

    def total(array: xr.DataArray) -> np.ndarray:
        return inside[0] @ array.transpose(*dims).values @ inside[1].T

    weight, enough = total(weights), total(valued)
    whole = degrees**2 * np.cos(np.deg2rad(middles[0]))[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(enough >= HALF * whole, total(weights * values) / weight, np.nan)
    kept = {dim: values[dim] for dim in dims[:-2] if dim in values.coords}
    return xr.DataArray(mean, kept | dict(zip(GRID[2:], middles)), dims).transpose(*field.dims)


def _membership(place: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Which places (N,) a box holds, (boxes, N), and the middles of the boxes."""
    start = place.min() - abs(np.gradient(place))[place.argmin()] / 2
    number = np.floor((place - start) / degrees + 1e-6).astype(int)
    boxes = np.arange(number.max() + 1)
    return (number == boxes[:, None]).astype(float), start + (boxes + 0.5) * degrees
