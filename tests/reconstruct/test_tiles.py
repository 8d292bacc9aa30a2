"""Tiles: cover any size, blend without a jump, row by row, in memory or on disk."""

import numpy as np
import pytest
import torch

from ocean_lib.reconstruct.tiles import Tiles

SIZES = [(1, 9), (5, 40), (13, 29), (31, 17), (64, 64)]
every_size = pytest.mark.parametrize("size", SIZES)
line_or_ring = pytest.mark.parametrize("ring", [False, True])


def whole(tiles, function, folder=None):
    """All rows that `blend` yields, concatenated; asserts that they come in order."""
    parts, reached = [], 0
    for rows, results in tiles.blend(function, folder):
        assert rows.start == reached and rows.stop > rows.start
        reached = rows.stop
        parts.append([result.clone() for result in results])
    assert reached == tiles.height
    return [torch.cat(part, -2) for part in zip(*parts)]


@every_size
@line_or_ring
@pytest.mark.parametrize("tile", [4, 7, 16])
def test_tiles_of_a_pointwise_function_equal_the_whole(size, ring, tile, tmp_path):
    value, other = torch.randn(2, 2, 3, *size)
    tiles = Tiles(*size, tile, ring)

    def function(tile):
        return tile.cut(value) * tile.cut(other), tile.cut(other)[:, :1]

    for folder in (None, tmp_path):
        one, two = whole(tiles, function, folder)
        torch.testing.assert_close(one, value * other, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(two, other[:, :1], atol=1e-5, rtol=1e-5)
    assert not list(tmp_path.iterdir())  # scratch files have no name


@every_size
@line_or_ring
def test_tiles_are_of_one_size_and_overlap_by_a_quarter(size, ring):
    tiles = Tiles(*size, 8, ring)
    count, shapes = np.zeros(size, int), set()
    for tile in tiles:
        cells = tile.cut(np.arange(np.prod(size)).reshape(size))
        shapes.add(cells.shape)
        np.add.at(count.reshape(-1), cells.ravel(), 1)
    assert len(shapes) == 1 and max(shapes.pop()) <= 8 and count.min() >= 1
    assert (np.diff([rows.start for rows in tiles.rows]) <= 6).all()
    starts = np.array([np.arange(size[1])[columns][0] for columns in tiles.columns])
    assert (np.diff(starts) <= 6).all()
    if ring:
        assert size[1] + starts[0] - starts[-1] <= 6 and len(starts) >= 2


def test_a_domain_that_fits_is_one_tile():
    tiles = Tiles(7, 5, 7)
    assert len(tiles) == 1
    (tile,) = tiles
    value = torch.randn(2, 7, 5)
    assert torch.equal(tile.cut(value), value)


def test_neighbours_change_over_within_their_overlap():
    number = iter(range(100))
    tiles = Tiles(8, 40, 16)
    (blended,) = whole(tiles, lambda tile: (torch.full((1, 8, 16), float(next(number))),))
    row = blended[0, 4]
    # Starts lie 12 cells apart, so neighbours share 4 and change over within them.
    assert row[0] == 0 and row[-1] == pytest.approx(2)
    assert (row.diff() >= -1e-6).all() and row.diff().max() < 0.5
    changing = (row > 1e-6) & (row < 1 - 1e-6)
    assert changing.nonzero().flatten().tolist() == [12, 13, 14, 15]


def test_a_ring_has_no_end():
    """A function that knows only where in its tile a cell lies: the ends meet as any neighbours."""
    tiles = Tiles(4, 50, 16, ring=True)
    (blended,) = whole(tiles, lambda tile: (torch.linspace(-1, 1, 16).expand(4, 16),))
    row = blended[0]
    steps = torch.cat([row.diff(), row[:1] - row[-1:]]).abs()
    assert steps[-1] <= steps[:-1].max() + 1e-6
    line = Tiles(4, 50, 16)
    (blended,) = whole(line, lambda tile: (torch.linspace(-1, 1, 16).expand(4, 16),))
    assert abs(blended[0, 0] - blended[0, -1]) > 1.9


def test_rows_handed_over_are_read_no_more():
    """In place, as in sampling: rows are overwritten once they are yielded."""
    value = torch.randn(1, 53, 11)
    copy, tiles = value.clone(), Tiles(53, 11, 8)
    for rows, (result,) in tiles.blend(lambda tile: (tile.cut(copy),)):
        torch.testing.assert_close(result, value[:, rows], atol=1e-6, rtol=1e-6)
        copy[:, rows] = torch.nan


def test_pieces_cover_all_rows():
    rows = [row for piece in Tiles(53, 3, 8).pieces() for row in range(53)[piece]]
    assert rows == list(range(53))
