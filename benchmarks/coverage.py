"""How often the 90 % intervals of the block bootstrap contain the truth, by simulation.

    python -m benchmarks.coverage [--replicates 400]

Needs nothing. The errors of two methods are Gaussian, of known variance and decorrelation: Gaussian
correlation in space, autoregressive in time. They share most of their variance, as errors of
methods with the same observations do. Intervals of the first one's RMSE and of the paired
difference are made as `scores.evaluation` makes them. The table is written to
`benchmarks/results/coverage.md`.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from ocean_lib.core.atomic import atomic_write
from ocean_lib.scores import bootstrap

RESULT = Path(__file__).resolve().parent / "results" / "coverage.md"
ROWS, COLUMNS = 48, 64
# Dates, and decorrelation in months and cells: shorter and longer than that of monthly fields.
SETTINGS = ((24, 1.0, 3.0), (24, 1.0, 5.0), (24, 1.5, 8.0), (18, 1.5, 8.0), (18, 0.6, 8.0))
SHARED = 0.8  # of the variance of both errors
TRUTH = 1.0, 1.05  # standard deviations of the errors


def errors(generator: np.random.Generator, dates: int, months: float, cells: float) -> np.ndarray:
    """A Gaussian field (T, H, W) of variance 1 whose autocorrelation is 1/e at these lags."""
    width = cells / 2  # of the filter
    margin = int(4 * width) + 1
    shape = dates, ROWS + 2 * margin, COLUMNS + 2 * margin
    noise = gaussian_filter(generator.standard_normal(shape), (0, width, width), mode="wrap")
    field = 2 * width * np.sqrt(np.pi) * noise[:, margin:-margin, margin:-margin]
    fold = np.exp(-1 / months)
    for date in range(1, dates):
        field[date] = fold * field[date - 1] + np.sqrt(1 - fold**2) * field[date]
    return field


def replicate(generator: np.random.Generator, *setting) -> tuple[int, bool, bool] | None:
    """Number of blocks, and whether the intervals of RMSE and difference contain the truth.

    None with too few blocks for an interval.
    """
    shared, *own = (errors(generator, *setting) for _ in range(3))
    pair = [
        size * (np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * each)
        for size, each in zip(TRUTH, own)
    ]
    everywhere = np.ones((len(shared), 1, ROWS, COLUMNS), bool)
    lengths = np.max([bootstrap.decorrelation(e[:, None], everywhere) for e in pair], axis=0)
    block = bootstrap.block_numbers(shared.shape, lengths).ravel()
    sums = np.array([np.bincount(block, each.ravel() ** 2) for each in pair])
    draws = bootstrap.bootstrap(sums, np.bincount(block).astype(float))
    if draws is None:
        return None
    rmse, number = np.sqrt(draws), int(block.max()) + 1
    wider = bootstrap.widening(shared.shape, lengths)
    held = []
    for values, truth in ((rmse[0], TRUTH[0]), (rmse[0] - rmse[1], TRUTH[0] - TRUTH[1])):
        low, high = bootstrap.interval(values, number, wider)
        held.append(low <= truth <= high)
    return number, *held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--replicates", type=int, default=400)
    number = parser.parse_args().replicates
    lines = [
        "# Coverage of the 90 % intervals",
        "",
        f"`python -m benchmarks.coverage`: {number} replicates of errors on {ROWS}×{COLUMNS} "
        f"cells. Sampling error of a share: {np.sqrt(0.09 / number):.1%}.",
        "",
        "| dates | decorrelation, months | cells | blocks | without interval | RMSE | "
        "paired difference |",
        "| --: | --: | --: | --: | --: | --: | --: |",
    ]
    for setting in SETTINGS:
        generator = np.random.default_rng(0)
        found = [replicate(generator, *setting) for _ in range(number)]
        made = np.array([each for each in found if each is not None], float)
        blocks, rmse, difference = made.mean(0)
        cells = [*map(str, setting), f"{blocks:.0f}", f"{1 - len(made) / number:.1%}"]
        cells += [f"{rmse:.1%}", f"{difference:.1%}"]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    with atomic_write(RESULT) as beside:
        beside.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
