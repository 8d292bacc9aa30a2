"""Score any NetCDF file of a reconstruction on the frozen cases.

    python -m benchmarks.densify.score OCEAN FILE [OCEAN FILE …] [--case CASE] [--name NAME]

A file holds `mean` (time, depth, latitude, longitude), °C, with `members` (…, member …) or with a
standard deviation `error` or `spread`; or `members` alone. A dimension `case` tells several cases
apart; without it, `--case` names the case. The file may cover more than the case: dates, levels and
cells are selected by their coordinates. Several oceans are scored as one.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from ocean_lib.scores import evaluation, report, score_table

from . import sections
from .cases import Ocean, open_ocean, pooled

__all__ = ["BELOW", "SHOWN", "open_result", "pool_results", "score"]

BELOW = f">{sections.BELOW:.0f}"  # the layer of a section's scores below 190 m
SHOWN = ("rmse", "crps", "spread_skill", "coverage")
TOLERANCE = {"time": np.timedelta64(1, "D"), "depth": 0.5, "latitude": 0.01, "longitude": 0.01}
MONTHS = 6  # minimum number of months in a block of a section


def score(ocean: Ocean, methods: dict[str, dict[str, xr.Dataset]], ours: str) -> pd.DataFrame:
    """The table of `score_methods` over all cases, a column `ocean` before it.

    Of sections blocks hold six months and all stations, and layer ">190" is all that lies below.

    Args:
        methods: {case: {method: result}}; climatology is added.
        ours: as `score_methods` takes it; where a case lacks it, the last method of that case.
    """
    least = (MONTHS, 1, ocean.fields.sizes["longitude"]) if ocean.is_section else (1, 1, 1)
    tables = []
    for case, results in methods.items():
        results = {"climatology": ocean.climatology} | results
        choices = {
            "case": case, "ours": ours if ours in results else [*results][-1], "least": least
        }  # fmt: skip
        given = ocean.fields, ocean.observations[case]
        tables.append(evaluation.score_methods(*given, results, **choices))
        if ocean.is_section:
            deep = slice(sections.BELOW, None)
            given = [each.sel(depth=deep) for each in given]
            results = {name: each.sel(depth=deep) for name, each in results.items()}
            below = evaluation.score_methods(*given, results, **choices)
            below = below[(below.layer == "all") & below.block.isna()]
            tables.append(below.assign(layer=BELOW))
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "ocean", ocean.name)
    return table


def open_result(path, ocean: Ocean, case: str | None = None) -> dict[str, xr.Dataset]:
    """Read a file as {case: result on the cells of the ocean}.

    Args:
        path: the file.
        ocean: the ocean it reconstructs.
        case: name of the case in a file without that dimension, or the only case to read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: variables or parts of the case are missing, or a case is unknown.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no reconstruction at {path}; give a NetCDF file")
    known = list(ocean.observations)
    with xr.open_dataset(path, engine="netcdf4") as file:
        several = "case" in file.dims
        held = [str(name) for name in file["case"].values] if several else [case]
        names = [name for name in held if case in (None, name)]
        if not names or not set(names) <= set(known):
            raise ValueError(
                f"case {case!r} is not available: {path} holds {held}, the ocean has {known}; give "
                "one of the ocean's with --case"
            )
        return {
            name: _placed(file.sel(case=name, drop=True) if several else file, ocean, path)
            for name in names
        }


def _placed(file: xr.Dataset, ocean: Ocean, path) -> xr.Dataset:
    """`mean` with `members` or `error`, loaded, at the dates, levels and cells of the ocean."""
    if not {"mean", "members"} & set(file.data_vars):
        raise ValueError(
            f"{path} holds {list(file.data_vars)} but neither mean nor members; add one"
        )
    names = {"mean": "mean", "members": "members"}
    if "members" not in file:
        # In a file with a spread, `error` is that of the observations.
        names |= {"spread": "error"} if "spread" in file else {"error": "error"}
    names = {name: new for name, new in names.items() if name in file}
    result = file[[*names]].rename(names)
    for dim, tolerance in TOLERANCE.items():
        if dim not in result.coords or dim not in result.dims:
            raise ValueError(f"{path} has no dimension {dim!r} with coordinates; add them")
        have, want = result[dim].values, ocean.fields[dim].values
        away = np.abs(have[:, None] - want)
        if (lacking := away.min(0) > tolerance).any():
            raise ValueError(
                f"{path} lacks {dim} {want[lacking][0]} ({lacking.sum()} of {want.size} of the "
                "case); reconstruct all of it"
            )
        result = result.isel({dim: away.argmin(0)}).assign_coords({dim: ocean.fields[dim]})
    if "mean" not in result:
        result["mean"] = result.members.mean("member")
    return result.load()


def pool_results(each: list[dict[str, xr.Dataset]]) -> dict[str, xr.Dataset]:
    """Results of one method on several oceans, by case, side by side as in `pooled`."""
    shared = [case for case in each[0] if all(case in one for one in each)]
    return {case: sections.pool([one[case] for one in each]) for case in shared}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "pairs", nargs="+", metavar="OCEAN FILE", help="an ocean and the file to score"
    )
    parser.add_argument("--case", help="name of the case, for files without that dimension")
    parser.add_argument("--name", default="reconstruction", help="name of the method")
    parser.add_argument(
        "--sections", type=Path, default=sections.SECTIONS, help="folder of the sections' files"
    )
    parser.add_argument("--output", type=Path, help="CSV file for all scores, by level and layer")
    given = parser.parse_args()
    if len(given.pairs) % 2:
        parser.error("give an ocean and a file, or several such pairs")
    try:
        oceans = [open_ocean(name, given.sections) for name in given.pairs[::2]]
        results = [
            open_result(path, ocean, given.case) for path, ocean in zip(given.pairs[1::2], oceans)
        ]
        if len(oceans) > 1:
            oceans, results = [pooled(oceans)], [pool_results(results)]
        methods = {case: {given.name: result} for case, result in results[0].items()}
        table = score(oceans[0], methods, given.name)
    except (ValueError, FileNotFoundError) as refusal:
        parser.exit(2, f"{refusal}\n")
    if given.output:
        score_table.write_scores(table, given.output)
    layers = [layer for layer in dict.fromkeys(table.layer) if layer]
    for metric in SHOWN:
        for layer in layers:
            if ((table.metric == metric) & (table.layer == layer)).any():
                where = "all depths" if layer == "all" else f"{layer} m"
                print(f"\n{metric}, {where}\n{report.table(table, metric, layer).to_string()}")


if __name__ == "__main__":
    main()
