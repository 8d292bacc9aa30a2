"""The self-check: how well a model does with these observations, before its result is used.

`outside_training` compares the observations with the training data: region, grid, season, levels
and, level by level, how far values and stratification depart from the climatology.
`run_self_check` withholds a tenth of the observations (whole profiles or blocks), reconstructs from
the rest, and scores reconstruction, background and climatology at the withheld ones.  Far from its
training data a network can be worse than the background that it starts from, and only such a check
shows it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import xarray as xr

from ocean_lib.model.densifier import Densifier
from ocean_lib.observations.batch import select_statistics
from ocean_lib.observations.screening import read_in_blocks
from ocean_lib.reconstruct.domain import dates_within_reach
from ocean_lib.reconstruct.ensemble import reconstruct_date
from ocean_lib.reconstruct.sampling import Sampling
from ocean_lib.scores.bootstrap import MIN_BLOCKS, bootstrap, interval
from ocean_lib.scores.metrics import ensemble_variance_factor
from ocean_lib.store.climatology import climatology_at

__all__ = ["SelfCheck", "extend_statistics", "outside_training", "run_self_check", "withhold"]


DEPARTURE_LIMIT = 2.0  # times the training data's departures; larger ones are rare in training
MIN_VALUES = 5  # at a level, to estimate its departure
GRID_RATIO = (0.7, 1.4)  # of the observations' grid step to the training's
SHARE = 0.1  # of the groups that is withheld
RUNS = 6  # number of reconstructions
MEMBERS = 4  # of each reconstruction
TOLERANCE = 1.01  # times another method's error; the reconstruction is worse if it exceeds this
DENSE = 0.05  # share of observed columns from which blocks of cells are withheld, not columns
BLOCK = 8  # cells on a side of such a block
METHODS = ("reconstruction", "background", "climatology")


def extend_statistics(statistics: xr.Dataset, observations: xr.Dataset) -> xr.Dataset:
    """Statistics that cover the observations; cells outside get those of the nearest place.

    Args:
        statistics: of the model; returned unchanged if they cover the observations.
        observations: only their latitudes and longitudes are used.
    """
    if not _share_outside(statistics, observations):
        return statistics
    places = {name: observations[name] for name in ("latitude", "longitude")}
    return statistics.sel(places, method="nearest").assign_coords(places)


def _share_outside(statistics: xr.Dataset, observations: xr.Dataset) -> float:
    """Share of the cells more than half a grid step outside the region of the statistics."""
    inside = []
    for name in ("latitude", "longitude"):
        covered, place = statistics[name].values, observations[name].values
        half = (float(np.abs(np.diff(covered)).mean()) if len(covered) > 1 else 1.0) / 2
        inside.append((place >= covered.min() - half) & (place <= covered.max() + half))
    return 1 - float(np.outer(*inside).mean())


def outside_training(model: Densifier, observations: xr.Dataset) -> list[str]:
    """How the observations differ from the training data: one line of text per difference.

    Args:
        model: the trained model.
        observations: from `open_observations`, on the model's levels.
    """
    trained, lines = model.statistics, list(observations.attrs.get("notes", []))
    if share := _share_outside(trained, observations):
        longitude, latitude = trained.longitude.values, trained.latitude.values
        lines.append(
            f"region: {share:.0%} of the cells lie outside the training region, "
            f"{longitude.min():.1f} to {longitude.max():.1f} °E, "
            f"{latitude.min():.1f} to {latitude.max():.1f} °N; "
            "the climatology of the nearest place inside is used there"
        )
    for name in ("latitude", "longitude"):
        if min(trained.sizes[name], observations.sizes[name]) > 1:
            trained_step, step = (
                float(abs(np.diff(dataset[name])).mean()) for dataset in (trained, observations)
            )
            if not GRID_RATIO[0] < step / trained_step < GRID_RATIO[1]:
                lines.append(
                    f"grid: cells are {step:.3f}° apart in {name}, "
                    f"{trained_step:.3f}° in the training"
                )
    calendar = {int(m) + 1 for m in observations.time.values.astype("M8[M]").astype(int) % 12}
    if untrained := sorted(calendar - set(trained.attrs["months"])):
        lines.append(
            f"season: calendar months {untrained} of the observations are not among the "
            f"{trained.attrs['months']} of the training"
        )
    return lines + list(_departures(model, observations))


def _departures(model: Densifier, observations: xr.Dataset) -> Iterator[str]:
    """Warn of levels where values, or differences to the next level, are unlike the training's."""
    statistics = extend_statistics(model.statistics, observations)
    surfaces, levels = len(statistics.attrs["surfaces"]), statistics.sizes["depth"]
    inner = slice(surfaces, surfaces + levels)
    matrix = model.background.covariance[0].cpu().numpy()[:levels, :levels]
    value, pair = np.zeros((2, levels)), np.zeros((2, levels - 1))  # counts, sums of squares
    for block in read_in_blocks(observations):
        seen = block.observed.values
        local = select_statistics(statistics, block)
        deviation = local.deviation.values[inner]
        normal = climatology_at(local, block.time.values)[:, inner]
        departure = np.where(seen, block.value.values, 0) - normal
        square = (departure / deviation) ** 2
        value += np.where(seen, [np.ones_like(square), square], 0).sum((1, 3, 4))
        # Variance of the difference of two levels, from their covariance in training.
        upper, lower = deviation[:-1], deviation[1:]
        expected = (
            upper**2 * matrix.diagonal()[:-1, None, None]
            + lower**2 * matrix.diagonal()[1:, None, None]
            - 2 * upper * lower * matrix.diagonal(1)[:, None, None]
        )
        square = np.diff(departure, axis=1) ** 2 / np.maximum(expected, 1e-4)
        both = seen[:, 1:] & seen[:, :-1]
        pair += np.where(both, [np.ones_like(square), square], 0).sum((1, 3, 4))
    depth = statistics.depth.values
    for quantity, (count, total), where in (
        ("values", value, [f"{d:.0f} m" for d in depth]),
        ("stratification", pair, [f"{a:.0f}–{b:.0f} m" for a, b in zip(depth, depth[1:])]),
    ):
        size = np.where(count >= MIN_VALUES, np.sqrt(total / np.maximum(count, 1)), 0)
        if size.max(initial=0) > DEPARTURE_LIMIT:
            worst, beyond = int(size.argmax()), int((size > DEPARTURE_LIMIT).sum())
            yield (
                f"{quantity}: at {where[worst]} the observations depart from the climatology by "
                f"{size[worst]:.1f} times the training data's departures, limit "
                f"{DEPARTURE_LIMIT:g}; {beyond} of {len(size)} depths are beyond it"
            )


def withhold(observed: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Choose the columns to withhold: a tenth, and at least one, of the profiles or blocks.

    Args:
        observed: (D, H, W), bool.  If the observed columns are dense, blocks of cells are withheld,
            since the neighbours of a single column would reveal it.
        generator: draws the choice.

    Returns:
        (H, W), int: the group of a column that is withheld, -1 if it is kept.
    """
    columns = observed.any(0)
    label = np.arange(columns.size).reshape(columns.shape)
    if columns.mean() > DENSE:
        side = max(1, min(BLOCK, min(columns.shape) // 4 or 1))
        y, x = np.indices(columns.shape) + generator.integers(side, size=2)[:, None, None]
        label = (y // side) * (columns.shape[1] + side) + x // side
    groups = np.unique(label[columns])
    withheld = generator.permutation(groups)[: max(1, round(SHARE * len(groups)))]
    return np.where(columns & np.isin(label, withheld), label, -1)


@dataclass(frozen=True)
class SelfCheck:
    """Errors at withheld observations.

    Args:
        squares: a row for every withheld group and depth, with columns `group`, `depth`, `n` and,
            for each of `METHODS`, the sum of its squared errors, °C².
    """

    squares: pd.DataFrame

    @property
    def groups(self) -> int:
        """Number of withheld profiles or blocks."""
        return self.squares.group.nunique() if len(self.squares) else 0

    def rmse(self) -> pd.DataFrame:
        """RMSE in °C by depth and over `all`: a column for each method, and `n`."""
        by_depth = self.squares.groupby("depth")[["n", *METHODS]].sum()
        by_depth.loc["all"] = by_depth.sum()
        for method in METHODS:
            by_depth[method] = np.sqrt((by_depth[method] / by_depth.n).clip(lower=0))
        return by_depth.astype({"n": int})

    def interval_against(self, other: str) -> tuple[float, float] | None:
        """The 90 % interval of the reconstruction's RMSE minus another's; None with few groups.

        Args:
            other: one of `METHODS`.
        """
        sums = self.squares.groupby("group")[["n", "reconstruction", other]].sum().values.T
        draws = bootstrap(sums[1:], sums[0])
        if draws is None:
            return None
        ours, theirs = np.sqrt(draws.clip(0))
        return interval(ours - theirs, self.groups)

    def worse_than(self, other: str) -> bool:
        """Whether the reconstruction's RMSE exceeds another method's by more than 1 %.

        Args:
            other: one of `METHODS`.
        """
        if not self.groups:
            return False
        overall = self.rmse().loc["all"]
        return bool(overall.reconstruction > TOLERANCE * overall[other])

    def verdict(self) -> str:
        """The outcome in a few lines, warnings first."""
        if not self.groups:
            return "self-check: too few profiles to withhold one; the skill here is unknown"
        overall = self.rmse().loc["all"]
        lines = []
        for other, remedy in (
            ("background", "--fallback writes the background instead"),
            ("climatology", "these observations do not help it"),
        ):
            if self.worse_than(other):
                lines.append(
                    f"WARNING: at withheld observations the reconstruction is "
                    f"{overall.reconstruction / overall[other] - 1:.0%} WORSE than the {other}, "
                    f"{overall.reconstruction:.3f} against {overall[other]:.3f} °C; {remedy}"
                )
        errors = ", ".join(f"{method} {overall[method]:.3f}" for method in METHODS)
        limits = self.interval_against("background")
        certainty = (
            f"no interval from fewer than {MIN_BLOCKS} profiles or blocks"
            if limits is None
            else f"reconstruction minus background [{limits[0]:+.3f}, {limits[1]:+.3f}]"
        )
        lines.append(
            f"self-check: {self.groups} profiles or blocks, {int(overall.n)} values withheld; "
            f"RMSE there, °C: {errors}; {certainty}"
        )
        return "\n".join(lines)


def run_self_check(
    model: Densifier,
    observations: xr.Dataset,
    *,
    members: int = 16,
    sampling: Sampling = Sampling(),
    device: str = "cpu",
) -> SelfCheck:
    """Withhold, reconstruct and compare, on at most six dates, in one tile of each.

    Observations are withheld only on the date itself; those of nearby dates enter its background,
    as in a reconstruction.

    Args:
        model: in evaluation mode, on `device`.
        observations: as for `reconstruct`, inside the model's statistics.
        members: size of the ensemble to judge; at most four members are drawn, and in mode
            `diffusion` the error of their mean is corrected to that of an ensemble of this size.
        sampling: how the members are drawn.
        device: where the networks run.
    """
    number = observations.sizes["time"]
    dates = np.unique(np.linspace(0, number - 1, RUNS).round().astype(int)).tolist()
    nearby_dates = dates_within_reach(model, observations.time.values)
    drawn_members = MEMBERS if model.regressor is None else 0
    draw = partial(reconstruct_date, model, members=drawn_members, device=device)
    parts = []
    for run in range(RUNS):
        generator = np.random.default_rng([sampling.seed, run])
        date = dates[run % len(dates)]
        nearby = nearby_dates[date]
        index = nearby.index(date)
        window = _window(observations.isel(time=nearby), index, sampling.tile, generator)
        if window is None:
            continue
        group = withhold(window.observed.values[index], generator)
        observed = window.observed.values.copy()
        observed[index] &= group < 0
        if not observed[index].any():
            continue
        rest = window.assign(observed=window.observed.copy(data=observed))
        shape = observed.shape[1:]
        names = ("mean", "background", "climatology", "spread")
        drawn = {name: np.full(shape, np.nan, np.float32) for name in names}
        drawn["members"] = np.full((drawn_members, *shape), np.nan, np.float32)
        choices = replace(sampling, seed=sampling.seed + run)
        for _ in draw(rest, drawn, date=index, sampling=choices):
            pass
        level, y, x = np.nonzero(window.observed.values[index] & (group >= 0))
        truth = window.value.values[index][level, y, x]
        part = {"group": [f"{date} {label}" for label in group[y, x]], "n": 1}
        part["depth"] = window.depth.values[level].round(1)
        for method, name in zip(METHODS, names):
            part[method] = (drawn[name][level, y, x] - truth) ** 2.0
        if model.regressor is None:
            # The mean of four members has a larger error than that of the whole ensemble.
            excess = ensemble_variance_factor(MEMBERS) - ensemble_variance_factor(max(members, 2))
            part["reconstruction"] -= excess * drawn["spread"][level, y, x] ** 2.0
        parts.append(pd.DataFrame(part))
    if not parts:
        return SelfCheck(pd.DataFrame(columns=["group", "depth", "n", *METHODS]))
    return SelfCheck(pd.concat(parts).groupby(["group", "depth"], as_index=False).sum())


def _window(
    dates: xr.Dataset, date: int, tile: int, generator: np.random.Generator
) -> xr.Dataset | None:
    """One tile around a column observed on a date, in memory; None if there is none."""
    for top in generator.permutation(np.arange(0, dates.sizes["latitude"], tile)):
        band = dates.observed.isel(time=date, latitude=slice(top, top + tile)).values.any(0)
        if band.any():
            y, x = generator.choice(np.argwhere(band))
            box = {}
            for name, cell in (("latitude", int(top + y)), ("longitude", int(x))):
                start = min(max(cell - tile // 2, 0), max(dates.sizes[name] - tile, 0))
                box[name] = slice(start, start + tile)
            return dates.isel(box).load()
    return None
