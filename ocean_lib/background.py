"""The networks' background, tuned on validation months for the patterns that training draws.

Its covariance is that of the training months; length scale, noise and the error it leaves amid
observations are fitted to validation patches (see `interpolation.Background`).
"""

from collections.abc import Callable

import numpy as np
import torch

from .dataset import Batches
from .interpolation import Background
from .regression import covariance
from .store import Store

__all__ = ["tune"]


def tune(
    store: Store,
    specifications: list[dict],
    *,
    iterations: int,
    patch: int = 64,
    samples: int = 12,
    seed: int = 0,
    show: Callable[[str], None] | None = None,
) -> Background:
    """The background with the least error over hidden ocean on validation months.

    Searches length scale (cells) and noise in turn, with the same observations for every
    candidate.  With several patterns the geometric mean of their errors decides, so that an easy
    one counts as much as a hard one.

    Args:
        specifications: the observation patterns to tune for.
        iterations: of the conjugate gradient: few for a network's background, 300 for a baseline.
        samples: patches a pattern.
    """
    patch = min(patch, *store.shape("validation"))
    matrix = covariance(store)
    batches = [
        Batches(store, "validation", patch=patch, specifications=[each], seed=seed).draw(0, samples)
        for each in specifications
    ]
    names = ("value", "observed", "error", "ocean", "surface", "surface_observed")

    def built(**settings) -> Background:
        return Background(matrix, store.surfaces, iterations=iterations, **settings)

    def error(**settings) -> float:
        candidate, total = built(**settings), 0.0
        for batch in batches:
            mean, _ = candidate(*(batch[name] for name in names))
            hidden = batch["ocean"] & ~batch["observed"]
            square = ((mean - batch["field"]) ** 2)[hidden].sum() / hidden.sum().clamp(min=1)
            total += 0.5 * float((square + 1e-12).log())
        return float(np.exp(total / len(batches)))

    # Matérn alone: a Gaussian covariance is so ill-conditioned that what is best on patches may
    # fail on the whole field.
    chosen = {"length": 7.0, "noise": 0.03}
    score = error(**chosen)
    for name, factors in (
        ("length", (0.4, 0.6, 1.5, 2.3, 3.5)),
        ("noise", (0.1, 0.3, 3.0, 10.0)),
        ("length", (0.8, 1.25)),
        ("noise", (0.6, 1.7)),
    ):
        start = chosen[name]
        for factor in factors:
            candidate = chosen | {name: start * factor}
            tried = error(**candidate)
            if tried < score:
                score, chosen = tried, candidate
    if show is not None:
        show(
            f"optimal interpolation: length {chosen['length']:.1f} cells, noise "
            f"{chosen['noise']:.3g}, error {score:.3f} standard deviations on validation"
        )
    return built(**chosen, **_error_amid_observations(built(**chosen), batches))


def _error_amid_observations(background: Background, batches: list[dict]) -> dict[str, float]:
    """`floor` and `decay` of a background, fitted to its errors in ever denser neighbourhoods."""
    counts, squares = [], []
    for batch in batches:
        names = ("value", "observed", "error", "ocean", "surface", "surface_observed")
        mean, _ = background(*(batch[name] for name in names))
        number = background.neighbours(batch["observed"], batch["error"])
        amid = batch["ocean"] & ~batch["observed"] & (number > 0.99)
        counts.append(number[amid].double())
        squares.append(((mean - batch["field"]) ** 2)[amid].double())
    counts, squares = torch.cat(counts), torch.cat(squares)
    if len(counts) < 100:
        return {"floor": background.noise, "decay": 0.0}
    parts = torch.tensor_split(counts.argsort(), 10)
    x = np.array([float(counts[part].mean().log()) for part in parts])
    y = np.array([float((squares[part].mean() + 1e-8).log()) for part in parts])
    slope = np.polyfit(x, y, 1)[0] if np.ptp(x) > 0.5 else 0.0
    decay = float(np.clip(-slope, 0.0, 1.0))
    return {"floor": float(np.exp((y + decay * x).mean()).clip(1e-4, 1.0)), "decay": decay}
