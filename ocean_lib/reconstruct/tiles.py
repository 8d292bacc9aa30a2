"""A domain of any size as overlapping tiles, whose results are blended as they arrive.

The weights of all tiles at a cell are smooth and sum to 1, so blended results have no seam.  They
are yielded by rows from the first to the last, so a caller that works in place needs memory for one
band of tiles only.  On a ring (the last column is the neighbour of the first) the tiles go all the
way round.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ocean_lib.core.arrays import canvas

__all__ = ["Tile", "Tiles"]


OVERLAP = 0.25  # lower bound on the share of a tile that its neighbour also covers
PIECE = 16  # rows that are yielded at a time


@dataclass(frozen=True)
class Tile:
    """The cells of one tile; columns across the end of a ring are indices instead of a slice."""

    rows: slice
    columns: slice | np.ndarray

    def cut(self, array: Any) -> Any:
        """The part (..., h, w) of an array or tensor (..., H, W) in the tile."""
        return array[..., self.rows, :][..., self.columns]


def _starts(size: int, tile: int) -> list[int]:
    """First indices of tiles that overlap by at least a quarter and end at the border."""
    if size <= tile:
        return [0]
    number = int(np.ceil((size - tile) / ((1 - OVERLAP) * tile))) + 1
    return np.linspace(0, size - tile, number).round().astype(int).tolist()


def _ring_starts(size: int, tile: int) -> list[int]:
    """First indices of tiles around a ring."""
    number = max(2, int(np.ceil(size / ((1 - OVERLAP) * tile))))
    return np.linspace(0, size, number, endpoint=False).round().astype(int).tolist()


def _weights(places: list[np.ndarray], size: int) -> list[Tensor]:
    """Smooth weights of intervals (arrays of indices) that sum to 1 at every index."""
    bells = [np.hanning(len(place) + 2)[1:-1] + 1e-3 for place in places]
    total = np.zeros(size)
    for place, bell in zip(places, bells):
        total[place] += bell
    return [
        torch.from_numpy((bell / total[place]).astype(np.float32))
        for place, bell in zip(places, bells)
    ]


class Tiles:
    """Overlapping tiles that cover a domain.

    Args:
        height: rows of the domain.
        width: columns of the domain.
        tile: side of a tile, cells; smaller if the domain is smaller.
        ring: whether the last column is the neighbour of the first.
    """

    def __init__(self, height: int, width: int, tile: int, ring: bool = False) -> None:
        self.height, self.width = height, width
        tall, wide = min(tile, height), min(tile, width)
        starts = _ring_starts(width, wide) if ring else _starts(width, wide)
        rows = [np.arange(top, top + tall) for top in _starts(height, tall)]
        columns = [np.arange(left, left + wide) % width for left in starts]
        self._row_weights, self._column_weights = _weights(rows, height), _weights(columns, width)
        self.rows = [slice(int(r[0]), int(r[-1]) + 1) for r in rows]
        self.columns = [slice(int(c[0]), int(c[-1]) + 1) if c[0] <= c[-1] else c for c in columns]

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def __iter__(self) -> Iterator[Tile]:
        return (Tile(rows, columns) for rows in self.rows for columns in self.columns)

    def pieces(self, size: int = PIECE) -> Iterator[slice]:
        """All rows of the domain, `size` at a time."""
        return (slice(y, min(y + size, self.height)) for y in range(0, self.height, size))

    def blend(
        self, function: Callable[[Tile], tuple[Tensor, ...]], folder: Path | None = None
    ) -> Iterator[tuple[slice, tuple[Tensor, ...]]]:
        """Apply a function to every tile, and yield rows with its blended results (..., h, W).

        The function does not see a row again once it has been yielded.

        Args:
            function: tile → tensors (..., tile's rows, tile's columns).
            folder: where the current band of tiles is kept; None keeps it in memory.
        """
        bands: list[Tensor] = []
        for index, rows in enumerate(self.rows):
            for columns, across in zip(self.columns, self._column_weights):
                results = function(Tile(rows, columns))
                if not bands:
                    shapes = [(*r.shape[:-1], self.width) for r in results]
                    bands = [torch.from_numpy(canvas(shape, folder=folder)) for shape in shapes]
                for band, result in zip(bands, results):
                    weight = (self._row_weights[index][:, None] * across).to(result.device)
                    band[..., columns] += (result * weight).cpu()
            last = index + 1 == len(self.rows)
            end = self.height if last else self.rows[index + 1].start
            for top in range(rows.start, end, PIECE):
                piece = slice(top, min(top + PIECE, end))
                inside = slice(piece.start - rows.start, piece.stop - rows.start)
                yield piece, tuple(band[..., inside, :] for band in bands)
            for band in bands:
                _shift(band, end - rows.start)


def _shift(band: Tensor, done: int) -> None:
    """Move unfinished rows to the top and clear the rest, piece by piece."""
    height = band.shape[-2]
    for top in range(done, height, PIECE):
        stop = min(top + PIECE, height)
        band[..., top - done : stop - done, :] = band[..., top:stop, :].clone()
    band[..., height - done :, :] = 0
