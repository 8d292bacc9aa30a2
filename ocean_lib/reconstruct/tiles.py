"""A domain of any size as overlapping tiles, whose results are blended as they come.

A network sees one tile at a time.  The weights of all tiles at a cell are smooth and sum to 1, so
what is blended has no seam.  Results come row by row, from the first to the last, so that a caller
who works in place holds one band of tiles, never the domain; `canvas` lays the arrays that are as
large as the domain over files, which the system pages in and out as it likes.

A ring, whose last column is the neighbour of its first, is covered round and round.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ocean_lib.core.arrays import canvas

__all__ = ["Tile", "Tiles"]


OVERLAP = 0.25  # least share of a tile that its neighbour covers too
PIECE = 16  # rows handed over at a time


@dataclass(frozen=True)
class Tile:
    """The cells of one tile: rows as a slice, columns as one or, over a ring's end, as indices."""

    rows: slice
    columns: slice | np.ndarray

    def cut(self, array):
        """array (..., H, W) at the tile's cells."""
        return array[..., self.rows, :][..., self.columns]


def _starts(size: int, tile: int) -> list[int]:
    """Corners of tiles that overlap by a quarter at least and end at the border."""
    if size <= tile:
        return [0]
    number = int(np.ceil((size - tile) / ((1 - OVERLAP) * tile))) + 1
    return np.linspace(0, size - tile, number).round().astype(int).tolist()


def _ring_starts(size: int, tile: int) -> list[int]:
    number = max(2, int(np.ceil(size / ((1 - OVERLAP) * tile))))
    return np.linspace(0, size, number, endpoint=False).round().astype(int).tolist()


def _weights(places: list[np.ndarray], size: int) -> list[Tensor]:
    """Smooth weights of intervals given by their indices, which sum to 1 at each index."""
    bells = [np.hanning(len(place) + 2)[1:-1] + 1e-3 for place in places]
    total = np.zeros(size)
    for place, bell in zip(places, bells):
        total[place] += bell
    return [
        torch.from_numpy((bell / total[place]).astype(np.float32))
        for place, bell in zip(places, bells)
    ]


class Tiles:
    """Tiles of at most `tile` × `tile` cells over (height, width).

    Args:
        ring: whether the last column is the neighbour of the first.
    """

    def __init__(self, height: int, width: int, tile: int, ring: bool = False):
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

    def pieces(self) -> Iterator[slice]:
        """All rows, a few at a time."""
        return (slice(y, min(y + PIECE, self.height)) for y in range(0, self.height, PIECE))

    def blend(
        self, function: Callable[[Tile], tuple[Tensor, ...]], folder=None
    ) -> Iterator[tuple[slice, tuple[Tensor, ...]]]:
        """(rows, blended results (..., h, W)) in turn; rows handed over are not needed any more.

        Args:
            function: of a tile; a tuple of tensors (..., tile's rows, tile's columns).
            folder: where the band of tiles under way is kept; in memory where None.
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
    """Move the rows still under way to the top and clear what follows, piece by piece."""
    height = band.shape[-2]
    for top in range(done, height, PIECE):
        stop = min(top + PIECE, height)
        band[..., top - done : stop - done, :] = band[..., top:stop, :].clone()
    band[..., height - done :, :] = 0
