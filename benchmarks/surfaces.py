"""What each surface field is worth: the demo's network and tuned rivals, with and without it.

    python -m benchmarks.surfaces [--run demo] [--dates 24]

Needs the network and the store of `make demo`. The same profiles of test months are seen with no
surface field, with surface temperature, with sea level beside it, and with surface salinity beside
both. The rivals are tuned for each case on validation months. Ratios of RMSE have 90 % intervals of
the paired block bootstrap of `scores.bootstrap`. The table is written to
`benchmarks/results/surfaces.md`.
"""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

from ocean_lib.classical.tuning import tune_methods
from ocean_lib.core.atomic import atomic_write
from ocean_lib.fields.conventions import DIMS, SURFACES, named
from ocean_lib.model.densifier import Densifier
from ocean_lib.observations.batch import observe
from ocean_lib.reconstruct.ensemble import reconstruct
from ocean_lib.reconstruct.sampling import Sampling
from ocean_lib.runs.paths import device_name, workspace
from ocean_lib.scores import bootstrap
from ocean_lib.scores.hidden import hidden_ocean
from ocean_lib.store.store import Store

RESULT = Path(__file__).resolve().parent / "results" / "surfaces.md"
SHALLOWEST = 5.0  # m: levels above are told by a surface, in all cases alike
LADDER = [[*SURFACES][:number] for number in range(len(SURFACES) + 1)]
PROFILES = {"pattern": "profiles", "observed": 0.0025}


def compare(
    first: xr.DataArray, second: xr.DataArray, where: xr.DataArray
) -> tuple[float, float, float]:
    """Ratio of the RMSE of two methods, and its 90 % interval (NaN with too few blocks).

    Args:
        first: its errors (time, depth, latitude, longitude).
        second: those of the other method.
        where: bool, the cells that count.
    """
    errors = [error.transpose(*DIMS).values for error in (first, second)]
    there = where.transpose(*DIMS).values
    lengths = np.max([bootstrap.decorrelation(error, there) for error in errors], axis=0)
    shape = (there.shape[0], *there.shape[2:])
    block = bootstrap.block_numbers(shape, lengths)
    area = np.cos(np.deg2rad(where.latitude.values))[:, None] * np.ones(shape)
    squares = [np.where(there, error**2, 0).sum(1) * area for error in errors]
    weight = there.sum(1) * area
    sums = np.array([np.bincount(block.ravel(), part.ravel()) for part in (*squares, weight)])
    ratio = float(np.sqrt(sums[0].sum() / sums[1].sum()))
    draws = bootstrap.bootstrap(sums[:2], sums[2])
    if draws is None:
        return ratio, np.nan, np.nan
    wider = bootstrap.widening(shape, lengths)
    found = bootstrap.interval(np.sqrt(draws[0] / draws[1]), int((sums[2] > 0).sum()), wider)
    return ratio, *found


def rmse(error: xr.DataArray, where: xr.DataArray) -> float:
    """RMSE, weighted by area."""
    weights = np.cos(np.deg2rad(error.latitude)) * where
    return float(np.sqrt((error**2 * weights).sum() / weights.sum()))


def errors_of_case(
    store: Store, model: Densifier, fields: xr.Dataset, case: dict
) -> tuple[dict[str, dict[str, xr.DataArray]], dict[str, xr.DataArray]]:
    """Errors {method: {variable: …}} of the network and the rivals, and the cells that count."""
    seen, statistics = observe(fields, case, 100), store.statistics()
    drawn = reconstruct(model, seen, members=2, sampling=Sampling(1), device=device_name())
    means = {"network": drawn}
    for name, method in tune_methods(store, case).items():
        means[name] = method(seen, statistics)
    where = {
        v: hidden_ocean(fields, seen, v) & (fields.depth > SHALLOWEST) for v in store.variables
    }
    return {
        name: {v: (mean[named(v, "mean")] - fields[v]).load() for v in store.variables}
        for name, mean in means.items()
    }, where


def rows(store: Store, model: Densifier, dates: int) -> list[str]:
    """Lines of the table."""
    fields = store.fields("test", store.evenly("test", dates))
    lines, before = [], None
    for names in LADDER:
        case = PROFILES | {"surface": dict.fromkeys(names, 1.0)}
        errors, where = errors_of_case(store, model, fields, case)
        for variable in store.variables:
            ours, there = errors["network"][variable], where[variable]
            scores = {name: rmse(each[variable], there) for name, each in errors.items()}
            rival = min((name for name in scores if name != "network"), key=scores.__getitem__)
            cells = [", ".join(name.replace("_", " ") for name in names) or "none", variable]
            cells += [f"{scores['network']:.3f}", f"{scores[rival]:.3f} ({rival})"]
            cells.append(_in_words(*compare(ours, errors[rival][variable], there)))
            cells.append(_in_words(*compare(ours, before[variable], there)) if before else "")
            lines.append(f"| {' | '.join(cells)} |")
            print(lines[-1], flush=True)
        before = errors["network"]
    return lines


def _in_words(ratio: float, low: float, high: float) -> str:
    return f"{ratio:.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", default="demo", help="whose network and store are used")
    parser.add_argument("--dates", type=int, default=24)
    asked = parser.parse_args()
    model = Densifier.load(workspace() / "outputs" / asked.run / "checkpoint.safetensors")
    store = Store(workspace() / "data" / "store" / asked.run)
    lines = [
        "# What each surface field is worth (demo ocean, version 2)",
        "",
        f"`python -m benchmarks.surfaces`: 0.25 % profiles, {asked.dates} test months, RMSE of the "
        "mean over hidden ocean (°C; salinity 1e-3). One network serves all cases; the rivals are "
        "tuned for each. Brackets: 90 % intervals.",
        "",
        "| seen from above | variable | network | best rival | network / best rival | "
        "network / network of the line above |",
        "| :-- | :-- | --: | --: | --: | --: |",
        *rows(store, model, asked.dates),
    ]
    with atomic_write(RESULT) as beside:
        beside.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
