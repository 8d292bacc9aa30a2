"""Patterns: exact counts at odd sizes, and shapes that can be checked with a ruler."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import label
from scipy.spatial import cKDTree
from shelf import DEPTH, sea

from ocean_lib.observations import patterns

EXACT = {
    "blocks": patterns.blocks,
    "pixels": patterns.pixels,
    "tracks": patterns.tracks,
    "clouds": patterns.clouds,
}


# Exact fractions


@pytest.mark.parametrize("pattern", EXACT)
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (5, 3), (17, 29), (61, 64)])
@pytest.mark.parametrize("fraction", [0.0, 0.003, 0.25, 0.5, 0.9, 0.999, 1.0])
def test_the_fraction_is_met_to_the_cell(pattern, shape, fraction, seeded):
    observed = EXACT[pattern](3, shape, fraction, seeded())
    cells = math.prod(shape)
    # The fraction of clouds is that of the cells they cover; the others are seen.
    asked = cells - round(fraction * cells) if pattern == "clouds" else round(fraction * cells)
    assert observed.shape == (3, *shape) and observed.dtype == torch.bool
    assert observed.flatten(1).sum(1).tolist() == [asked] * 3


@pytest.mark.parametrize("pattern", EXACT)
def test_each_sample_meets_a_fraction_of_its_own(pattern, seeded, device):
    fraction = torch.tensor([0.0, 0.1, 0.5, 1.0], device=device)
    counts = EXACT[pattern](4, (13, 21), fraction, seeded()).flatten(1).sum(1).tolist()
    expected = [round(float(part) * 273) for part in fraction]
    if pattern == "clouds":
        expected = [273 - count for count in expected]
    assert counts == expected


@pytest.mark.parametrize("pattern", EXACT)
def test_a_seed_fixes_the_mask_and_samples_differ(pattern, seeded, device):
    first, again, other = (EXACT[pattern](3, (33, 20), 0.4, seeded(k)) for k in (5, 5, 6))
    assert first.device.type == torch.device(device).type
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[0], first[1]) and not torch.equal(first[1], first[2])


# Shapes


def test_a_few_blocks_are_rectangles_of_three_to_nine_cells(seeded):
    """With 1 % hidden, most separate pieces are complete rectangles; the last is cut short."""
    whole, pieces, sides = 0, 0, set()
    for hidden in ~patterns.blocks(40, (121, 117), 0.99, seeded()).cpu().numpy():
        labels, number = label(hidden)
        for piece in range(1, number + 1):
            rows, columns = np.nonzero(labels == piece)
            height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
            pieces += 1
            if len(rows) == height * width and 3 <= min(height, width) <= max(height, width) <= 9:
                whole += 1
                sides |= {int(height), int(width)}
    assert sides == set(range(3, 10))
    # One in four is the last, and a few overlap another or the edge.
    assert 0.5 < whole / pieces < 0.85


def test_runs_of_hidden_cells_are_as_long_as_rectangles_make_them(seeded):
    """Of 50 % hidden by pixels, runs would last two cells on average; blocks' last several."""

    def mean_run(observed):
        hidden = ~observed.cpu().numpy()
        starts = hidden[:, :, 1:] & ~hidden[:, :, :-1]
        return hidden[:, :, 1:].sum() / starts.sum()

    assert mean_run(patterns.pixels(4, (64, 64), 0.5, seeded())) == pytest.approx(2, rel=0.1)
    assert 5 < mean_run(patterns.blocks(4, (64, 64), 0.5, seeded())) < 14


def test_blocks_hide_every_place_alike(seeded):
    """Neither the middle nor the last rows are hidden more often: nothing is filled in order."""
    hidden = (~patterns.blocks(400, (30, 34), 0.5, seeded())).float().mean(0).cpu()
    assert float(hidden.std()) < 0.04
    assert float((hidden[:10].mean() - hidden[-10:].mean()).abs()) < 0.02
    assert 0.4 < float(hidden[0].mean()) < 0.6 and 0.4 < float(hidden[:, -1].mean()) < 0.6


def test_tracks_are_a_few_straight_lines(seeded):
    """A few lines through pairs of cells cover all cells of a track pattern."""

    def lines(observed):
        points, number = np.argwhere(observed).astype(float), 0
        while len(points) > 1:
            between = points[None] - points[:, None]
            cross = (
                between[:, :, None, 0] * between[:, None, :, 1]
                - between[:, :, None, 1] * between[:, None, :, 0]
            )
            length = np.hypot(*np.moveaxis(between, -1, 0))[:, :, None]
            near = (np.abs(cross) <= 1.01 * length) & (length > 0)
            best = np.unravel_index(near.sum(-1).argmax(), near.shape[:2])
            points, number = points[~near[best]], number + 1
        return number

    tracks = patterns.tracks(8, (65, 65), 0.02, seeded()).cpu().numpy()
    pixels = patterns.pixels(2, (65, 65), 0.02, seeded()).cpu().numpy()
    assert max(lines(observed) for observed in tracks) <= 4
    # One cell wide: four neighbours are all observed at crossings only.
    square = tracks[:, 1:, 1:] & tracks[:, 1:, :-1] & tracks[:, :-1, 1:] & tracks[:, :-1, :-1]
    assert square.sum() < 0.05 * tracks.sum()
    assert min(lines(observed) for observed in pixels) > 8


def test_clouds_are_clustered(seeded):
    """Neighbouring cells agree far more often than by chance."""
    seen = patterns.clouds(4, (64, 64), 0.5, seeded())
    assert float((seen[:, 1:] == seen[:, :-1]).float().mean()) > 0.8


# Profiles


def argo(seeded, device, seed=0, batch=8, shape=(96, 90), fraction=0.01, depth=DEPTH):
    ocean = sea(batch, shape, device, depth)
    observed = patterns.profiles(batch, shape, fraction, seeded(seed), ocean=ocean, depth=depth)
    return observed.cpu().numpy(), ocean.cpu().numpy()


def test_profiles_are_contiguous_columns_with_their_own_range(seeded, device):
    observed, ocean = argo(seeded, device)
    depth = DEPTH.numpy()
    columns = observed.any(1)
    first, last = [], []
    for sample, row, column in np.argwhere(columns):
        levels = np.flatnonzero(observed[sample, :, row, column])
        assert np.array_equal(levels, np.arange(levels[0], levels[-1] + 1))
        first.append(depth[levels[0]])
        last.append(depth[levels[-1]])
    # Starts lie in 4–16 m: the first level below is 5, 9, 13 or 18 m; 18 when it starts past 13.
    assert set(first) == {5.0, 9.0, 13.0, 18.0}
    assert np.isclose(np.mean(np.array(first) == 18.0), 3 / 12, atol=0.1)
    # Seven in ten reach 2,000 m, the others end anywhere from 300 m down; none goes below.
    assert set(last) == {250.0, 400.0, 700.0, 1100.0, 1600.0, 1990.0}
    assert np.isclose(np.mean(np.array(last) == 1990.0), 0.7, atol=0.08)
    assert not (observed & ~ocean).any()


def test_profiles_avoid_the_shelf_and_come_near_their_density(seeded, device):
    observed, ocean = argo(seeded, device, batch=20)
    columns = observed.any(1)
    deep = ocean[:, DEPTH.numpy().searchsorted(500)]
    assert not columns[~deep].any()
    asked = 0.01 * 96 * 90
    # A third of the columns is shelf; floats that drift onto it, or meet, are lost.
    assert 0.75 * asked < columns.sum((1, 2)).mean() <= asked
    assert len({int(count) for count in columns.sum((1, 2))}) > 1


def test_profiles_are_clustered_as_drifting_floats_are(seeded, device):
    """The nearest profile is closer than it is among as many uniform columns of the same sea."""
    observed, ocean = argo(seeded, device, fraction=0.005)
    deep = ocean[:, DEPTH.numpy().searchsorted(500)]
    rng = np.random.default_rng(0)

    def nearest(points):
        return cKDTree(points).query(points, 2)[0][:, 1].mean()

    for columns, sea_columns in zip(observed.any(1), deep, strict=True):
        points, places = np.argwhere(columns), np.argwhere(sea_columns)
        uniform = [nearest(rng.permutation(places)[: len(points)]) for _ in range(20)]
        assert nearest(points) < 0.75 * np.mean(uniform)


def test_floats_are_there_again_on_the_next_date(seeded, device):
    """A column of a date lies near one of the date before, of other places no nearer than any."""
    ocean = sea(24, (96, 90), device)
    grid = {"ocean": ocean, "depth": DEPTH}
    observed = patterns.profiles(24, (96, 90), 0.003, seeded(), dates=12, **grid).any(1)
    points = [np.argwhere(columns) for columns in observed.cpu().numpy()]
    apart = [
        np.median(cKDTree(points[date - lag]).query(points[date])[0])
        for lag in (1, 12)
        for date in range(12, 24)
        if date > 12 or lag == 12
    ]
    assert np.mean(apart[:11]) < 5 < 8 < np.mean(apart[11:])
    assert not (observed & ~ocean[:, DEPTH.numpy().searchsorted(500)]).any()
    numbers = [len(each) for each in points[:12]]
    assert np.mean(numbers[6:]) > 0.9 * np.mean(numbers[:6])  # none is lost


def test_floats_gather_where_currents_bring_them(seeded, device, monkeypatch):
    """Counts of lone profiles in boxes vary more than those of independent places would."""
    ocean = torch.ones(20, 1, 90, 96, dtype=torch.bool, device=device)
    monkeypatch.setattr(patterns, "CYCLE", 1)
    grid = {"ocean": ocean, "depth": torch.tensor([10.0])}
    columns = patterns.profiles(20, (90, 96), 0.02, seeded(), **grid)[:, 0].float()
    counts = columns.view(20, 3, 30, 3, 32).sum((2, 4)).flatten(1)
    dispersion = counts.var(1) / counts.mean(1)  # 1 of independent places
    assert float(dispersion.mean()) > 3


def test_a_single_level_below_sixteen_metres_is_still_reached(seeded, device):
    for metres in (0.5, 9.6, 97.0):
        depth = torch.tensor([metres])
        ocean = torch.ones(2, 1, 21, 33, dtype=torch.bool, device=device)
        observed = patterns.profiles(2, (21, 33), 0.1, seeded(), ocean=ocean, depth=depth)
        assert observed.any(), metres


def test_profiles_of_land_of_shelf_and_of_density_zero_are_empty(seeded, device):
    land = torch.zeros(2, len(DEPTH), 9, 11, dtype=torch.bool, device=device)
    shelf = land.clone()
    shelf[:, :6] = True
    sea_everywhere = torch.ones_like(land)
    for ocean, fraction in ((land, 0.2), (shelf, 0.2), (sea_everywhere, 0.0)):
        observed = patterns.profiles(2, (9, 11), fraction, seeded(), ocean=ocean, depth=DEPTH)
        assert observed.shape == land.shape and not observed.any()


def test_profiles_everywhere_fill_most_of_a_small_sea(seeded, device):
    ocean = torch.ones(1, len(DEPTH), 7, 5, dtype=torch.bool, device=device)
    columns = patterns.profiles(1, (7, 5), 1.0, seeded(), ocean=ocean, depth=DEPTH).any(1)
    assert 0.3 < float(columns.float().mean()) <= 1
