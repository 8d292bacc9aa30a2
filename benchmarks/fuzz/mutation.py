"""A mutation: what is done to a good input, and what may come of it.

same      the result equals that of the good input
refused   there must be no result
either    refused, or a result that sea water can have; with `change`, no farther than that
          from the result of the good input
kept      refused, or the same: for what a digest guards, or what may be put in order
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Catalogue", "DAMAGES", "Mutation", "ROUNDING", "damage"]


ROUNDING = 0.02  # °C, by which results that are the same may differ


@dataclass(frozen=True)
class Mutation:
    """One way to spoil an input.

    Args:
        name: what is done.
        expected: `same`, `refused`, `either` or `kept`.
        apply: takes what the kind of input hands over, and a generator.
        change: °C; None where no bound can be stated.
        gaps: whether values may be missing from the result of fields.
        same_ocean: whether the ocean must be that of the good input.
    """

    name: str
    expected: str
    apply: Callable[..., Any]
    change: float | None = None
    gaps: bool = False
    same_ocean: bool = True


class Catalogue(list[Mutation]):
    """Mutations of one kind of input."""

    def add(
        self,
        name: str,
        expected: str,
        apply: Callable[..., Any],
        change: float | None = None,
        /,
        *,
        gaps: bool = False,
        same_ocean: bool = True,
        **arguments: Any,
    ) -> None:
        """Add a mutation that calls a function with arguments; the others as of `Mutation`."""
        made = partial(apply, **arguments)
        self.append(Mutation(name, expected, made, change, gaps, same_ocean))


def _flip(content: np.ndarray, rng: np.random.Generator, number: int) -> np.ndarray:
    places = rng.integers(0, len(content), number)
    np.bitwise_xor.at(content, places, (1 << rng.integers(0, 8, number)).astype(np.uint8))
    return content


def _block(content: np.ndarray, rng: np.random.Generator, fill: str) -> np.ndarray:
    size = int(rng.integers(1, max(2, min(512, len(content) // 2))))
    start = int(rng.integers(0, len(content) - size))
    new = rng.integers(0, 256, size) if fill == "noise" else 0
    content[start : start + size] = new
    return content


def _moved(content: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two blocks of bytes that changed places."""
    size = int(rng.integers(1, max(2, min(256, len(content) // 4))))
    a, b = rng.integers(0, len(content) - size, 2)
    content[a : a + size], content[b : b + size] = (
        content[b : b + size].copy(), content[a : a + size].copy(),
    )  # fmt: skip
    return content


DAMAGES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "one bit flipped": lambda content, rng: _flip(content, rng, 1),
    "8 bits flipped": lambda content, rng: _flip(content, rng, 8),
    "64 bits flipped": lambda content, rng: _flip(content, rng, 64),
    "a block of zeros": lambda content, rng: _block(content, rng, "zeros"),
    "a block of noise": lambda content, rng: _block(content, rng, "noise"),
    "two blocks swapped": _moved,
    "cut short": lambda content, rng: content[: int(rng.integers(0, len(content)))],
    "cut short by a few bytes": lambda content, rng: content[: -int(rng.integers(1, 32))],
    "a byte left out": lambda content, rng: np.delete(content, rng.integers(0, len(content))),
    "a byte more": lambda content, rng: np.insert(content, rng.integers(0, len(content)), 65),
    "bytes after the end": lambda content, rng: np.append(
        content, rng.integers(0, 256, 64).astype(np.uint8)
    ),
}


def damage(path: Path, name: str, rng: np.random.Generator) -> None:
    """Damage the bytes of a file in one of the ways of `DAMAGES`."""
    content = np.frombuffer(path.read_bytes(), np.uint8).copy()
    path.write_bytes(DAMAGES[name](content, rng).astype(np.uint8).tobytes())
