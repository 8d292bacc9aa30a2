"""Scores by the number of network evaluations per member, on the frozen cases of the demo ocean.

    python -m benchmarks.evaluations [--dates 4] [--members 8]

Needs the network of `make demo`. DPM-Solver++(2M) and DDIM start from the same noise, on evenly
spaced test months of `demo_1`. The table is written to `benchmarks/results/evaluations.md`.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from ocean_lib.core.atomic import atomic_write
from ocean_lib.model.densifier import Densifier
from ocean_lib.reconstruct.convergence import score_by_evaluations
from ocean_lib.reconstruct.sampling import Sampling
from ocean_lib.runs.paths import device_name, workspace
from ocean_lib.runs.progress_bar import progress

from .densify.cases import open_ocean

RESULT = Path(__file__).resolve().parent / "results" / "evaluations.md"
EVALUATIONS = [3, 5, 8, 12, 20, 50]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dates", type=int, default=4)
    parser.add_argument("--members", type=int, default=8)
    asked = parser.parse_args()
    model = Densifier.load(workspace() / "outputs" / "demo" / "checkpoint.safetensors")
    ocean = open_ocean("demo_1")
    chosen = np.linspace(0, ocean.fields.sizes["time"] - 1, asked.dates).round().astype(int)
    fields = ocean.fields.isel(time=chosen)
    cases = {name: seen.isel(time=chosen) for name, seen in ocean.observations.items()}
    tables = []
    for sampler in ("dpm++", "ddim"):
        choices = {"sampling": Sampling(sampler=sampler), "members": asked.members}
        choices["device"] = device_name()
        shown = partial(progress, total=len(cases) * len(EVALUATIONS), label=sampler)
        table = score_by_evaluations(model, fields, cases, EVALUATIONS, progress=shown, **choices)
        tables.append(table.assign(sampler=sampler))
    table = pd.concat(tables)
    lines = [
        "# Network evaluations per member",
        "",
        f"`python -m benchmarks.evaluations`: demo_1, {asked.dates} test months, "
        f"{asked.members} members, not calibrated, all from the same noise; in brackets the ratio "
        "to 50 evaluations.",
        "",
        "| case | sampler | evaluations | RMSE, °C | CRPS, °C | spread–skill |",
        "|---|---|---|---|---|---|",
    ]
    for (case, sampler), own in table.groupby(["case", "sampler"], sort=False):
        most = own[own.evaluations == max(EVALUATIONS)].iloc[0]
        for row in own.itertuples():
            lines.append(
                f"| {case} | {sampler} | {row.evaluations} | {row.rmse:.4f} "
                f"({row.rmse / most.rmse:.3f}) | {row.crps:.4f} ({row.crps / most.crps:.3f}) | "
                f"{row.spread_skill:.2f} |"
            )
    with atomic_write(RESULT) as beside:
        beside.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
