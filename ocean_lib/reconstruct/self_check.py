"""Whether a model may be trusted with these observations, said in numbers before it is used.

`outside_training` compares them with what the model was trained on: region, grid, season, levels,
and, level by level, how far values and stratification depart from its climatology. `self_check`
hides a tenth of the observations, whole profiles or blocks, reconstructs from the rest, and scores
the hidden ones: ours beside the background and the climatology. A network far from its training
can be worse than the background that it starts from; only this shows it.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from ocean_lib.core.months import neighbouring_dates
from ocean_lib.model.densifier import Densifier
from ocean_lib.observations.batch import select_statistics
from ocean_lib.observations.gridded import read_in_bands
from ocean_lib.reconstruct.ensemble import reconstruct_date
from ocean_lib.store.climatology import climatology_at

__all__ = ["SelfCheck", "extend_statistics", "outside_training", "self_check", "withhold"]


FAR = 2.0  # times the training's own departures: what a model has seldom seen
ENOUGH = 5  # values at a level below which its departure says nothing
SHARE, RUNS, MEMBERS = 0.1, 6, 4  # withheld; reconstructions of the check; members of each
MARGIN = 1.01  # times another method's error: beyond it a reconstruction is worse
DENSE, BLOCK = 0.05, 8  # from this share of columns on, blocks of cells are withheld, not columns
METHODS = ("reconstruction", "background", "climatology")
GRID = ("depth", "latitude", "longitude")


def extend_statistics(statistics: xr.Dataset, observations: xr.Dataset) -> xr.Dataset:
    """Statistics that reach all cells of the observations: beyond its edge the nearest place holds.

    They stay views of the file where the region covers the observations.
    """
    if not _share_outside(statistics, observations):
        return statistics
    places = {name: observations[name] for name in ("latitude", "longitude")}
    return statistics.sel(places, method="nearest").assign_coords(places)


def _share_outside(statistics: xr.Dataset, observations: xr.Dataset) -> float:
    """Share of the cells that lie more than a grid step beyond the region of the statistics."""
    inside = []
    for name in ("latitude", "longitude"):
        have, ask = statistics[name].values, observations[name].values
        step = float(np.abs(np.diff(have)).mean()) if len(have) > 1 else 1.0
        inside.append((ask >= have.min() - step / 2) & (ask <= have.max() + step / 2))
    return 1 - float(np.outer(*inside).mean())


def outside_training(model: Densifier, observations: xr.Dataset) -> list[str]:
    """What the model was not trained for, a line each with its numbers; none where all is well."""
    trained, lines = model.statistics, list(observations.attrs.get("notes", []))
    if share := _share_outside(trained, observations):
        edges = [float(f(trained[name])) for name in ("longitude", "latitude") for f in (min, max)]
        west, east, south, north = edges
        lines.append(
            f"region: {share:.0%} of the cells lie outside the {west:.1f} to {east:.1f} °E, "
            f"{south:.1f} to {north:.1f} °N of the training; there the climatology of the nearest "
            "place inside stands in"
        )
    for name in ("latitude", "longitude"):
        if min(trained.sizes[name], observations.sizes[name]) > 1:
            had, has = (float(abs(np.diff(d[name])).mean()) for d in (trained, observations))
            if not 0.7 < has / had < 1.4:
                lines.append(
                    f"grid: {has:.3f}° between cells in {name}, the model was trained on {had:.3f}°"
                )
    calendar = {int(m) + 1 for m in observations.time.values.astype("M8[M]").astype(int) % 12}
    if strange := sorted(calendar - set(trained.attrs["months"])):
        lines.append(
            f"season: calendar months {strange} of the observations are not among the "
            f"{trained.attrs['months']} of the training"
        )
    return lines + _departures(model, extend_statistics(trained, observations), observations)


def _departures(model: Densifier, statistics: xr.Dataset, observations: xr.Dataset) -> list[str]:
    """Lines on levels whose values, or their differences to the next level, are out of the way."""
    surfaces, levels = statistics.attrs["surfaces"], statistics.sizes["depth"]
    inner = slice(surfaces, surfaces + levels)
    matrix = model.background.plain.cpu().numpy()[:levels, :levels]
    value, pair = (np.zeros((2, n)) for n in (levels, max(levels - 1, 0)))
    for part in read_in_bands(observations):
        seen = part.observed.values[0]
        local = select_statistics(statistics, part)
        deviation = local.deviation.values[inner]
        normal = climatology_at(local, part.time.values)[0, inner]
        departure = np.where(seen, part.value.values[0], 0) - normal
        standard = departure / deviation
        value += np.where(seen, [np.ones_like(standard), standard**2], 0).sum((2, 3))
        both = seen[1:] & seen[:-1]
        # Variance of the difference that the training's covariance of the two levels allows.
        upper, lower = deviation[:-1], deviation[1:]
        allowed = (
            upper**2 * matrix.diagonal()[:-1, None, None]
            + lower**2 * matrix.diagonal()[1:, None, None]
            - 2 * upper * lower * matrix.diagonal(1)[:, None, None]
        )
        step = np.diff(departure, axis=0) ** 2 / np.maximum(allowed, 1e-4)
        pair += np.where(both, [np.ones_like(step), step], 0).sum((2, 3))
    depth = statistics.depth.values
    lines = []
    for what, (count, square), where in (
        ("values", value, [f"{d:.0f} m" for d in depth]),
        ("stratification", pair, [f"{a:.0f}–{b:.0f} m" for a, b in zip(depth, depth[1:])]),
    ):
        size = np.sqrt(square / np.maximum(count, 1))
        size = np.where(count >= ENOUGH, size, 0)
        if len(size) and size.max() > FAR:
            worst, far = int(size.argmax()), int((size > FAR).sum())
            lines.append(
                f"{what}: at {where[worst]} the observations depart from the climatology by "
                f"{size[worst]:.1f} times what the training's did, limit {FAR:g}; so at {far} of "
                f"{len(size)} depths"
            )
    return lines


def withhold(observed: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Number (H, W) of the group that a column is withheld with, -1 where it stays.

    A tenth, and one at least, of the profiles; of the blocks of cells where columns are dense.

    Args:
        observed: bool, (D, H, W).
    """
    columns = observed.any(0)
    label = np.arange(columns.size).reshape(columns.shape)
    if columns.mean() > DENSE:
        side = max(1, min(BLOCK, min(columns.shape) // 4 or 1))
        y, x = np.indices(columns.shape) + generator.integers(side, size=2)[:, None, None]
        label = (y // side) * (columns.shape[1] + side) + x // side
    groups = np.unique(label[columns])
    chosen = generator.permutation(groups)[: max(1, round(SHARE * len(groups)))]
    return np.where(columns & np.isin(label, chosen), label, -1)


@dataclass(frozen=True)
class SelfCheck:
    """Errors at withheld observations.

    Attributes:
        squares: one row a withheld group and depth: `group`, `depth`, `n`, and of each of the
            methods the sum of its squared errors, °C².
    """

    squares: pd.DataFrame

    @property
    def groups(self) -> int:
        return self.squares.group.nunique() if len(self.squares) else 0

    def rmse(self) -> pd.DataFrame:
        """°C, by depth and over `all`: a column a method, and `n`."""
        by_depth = self.squares.groupby("depth")[["n", *METHODS]].sum()
        by_depth.loc["all"] = by_depth.sum()
        for method in METHODS:
            by_depth[method] = np.sqrt((by_depth[method] / by_depth.n).clip(lower=0))
        return by_depth.astype({"n": int})

    def interval(self, other: str) -> tuple[float, float]:
        """90 % bootstrap interval over groups of our RMSE minus another method's."""
        sums = self.squares.groupby("group")[["n", "reconstruction", other]].sum().values
        generator = np.random.default_rng(0)
        drawn = sums[generator.integers(0, len(sums), (1000, len(sums)))].sum(1)
        one, two = (np.sqrt((drawn[:, k] / drawn[:, 0]).clip(0)) for k in (1, 2))
        return tuple(float(q) for q in np.quantile(one - two, [0.05, 0.95]))

    def worse_than(self, other: str) -> bool:
        if not self.groups:
            return False
        overall = self.rmse().loc["all"]
        return bool(overall.reconstruction > MARGIN * overall[other])

    def verdict(self) -> str:
        """The outcome in a few lines, the bad news first."""
        if not self.groups:
            return "self-check: 1 profile cannot be withheld from itself; nothing is known of skill"
        overall = self.rmse().loc["all"]
        lines = []
        for other, remedy in (
            ("background", "--fallback gives the background instead"),
            ("climatology", "these observations do not help it"),
        ):
            if self.worse_than(other):
                lines.append(
                    f"WARNING: at withheld observations the reconstruction is "
                    f"{overall.reconstruction / overall[other] - 1:.0%} WORSE than the {other}, "
                    f"{overall.reconstruction:.3f} against {overall[other]:.3f} °C; {remedy}"
                )
        low, high = self.interval("background")
        told = ", ".join(f"{method} {overall[method]:.3f}" for method in METHODS)
        lines.append(
            f"self-check: {self.groups} profiles or blocks, {int(overall.n)} values withheld; RMSE "
            f"°C there: {told}; ours minus background [{low:+.3f}, {high:+.3f}]"
        )
        return "\n".join(lines)


def self_check(
    model: Densifier,
    observations: xr.Dataset,
    *,
    members: int,
    steps: int,
    sampler: str = "dpm++",
    seed: int = 0,
    tile: int = 160,
    device: str = "cpu",
) -> SelfCheck:
    """Withhold, reconstruct, compare: on at most six dates, in one tile of each.

    The dates a month before and after keep all their observations, as they do in use.

    Args:
        observations: as `reconstruct` takes them, inside the model's statistics.
        members: of the ensemble whose mean is judged in mode `diffusion`; four are drawn.
        others: as for `reconstruct`.
    """
    number = observations.sizes["time"]
    dates = np.unique(np.linspace(0, number - 1, RUNS).round().astype(int))
    near = neighbouring_dates(observations.time.values)
    drawn_members = MEMBERS if model.regressor is None else 0
    choices = {"steps": steps, "sampler": sampler, "tile": tile, "device": device}
    choices["members"] = drawn_members
    parts = []
    for run in range(RUNS):
        generator = np.random.default_rng([seed, run])
        date = int(dates[run % len(dates)])
        three = sorted({date, *(int(index) for index in near[date] if index >= 0)})
        own = three.index(date)
        window = _window(observations.isel(time=three), own, tile, generator)
        if window is None:
            continue
        held = withhold(window.observed.values[own], generator)
        kept = np.ones(window.observed.shape, bool)
        kept[own] = held < 0
        given = window.assign(observed=window.observed & kept)
        if not given.observed[own].any():
            continue
        shape = window.observed.shape[1:]
        names = ("mean", "background", "climatology", "spread")
        drawn = {name: np.full(shape, np.nan, np.float32) for name in names}
        drawn["members"] = np.full((drawn_members, *shape), np.nan, np.float32)
        for _ in reconstruct_date(model, given, drawn, number=own, seed=seed + run, **choices):
            pass
        level, y, x = np.nonzero(window.observed.values[own] & (held >= 0))
        truth = window.value.values[own][level, y, x]
        part = {"group": [f"{date} {label}" for label in held[y, x]], "n": 1}
        part["depth"] = window.depth.values[level].round(1)
        for method in METHODS:
            name = "mean" if method == "reconstruction" else method
            part[method] = (drawn[name][level, y, x] - truth) ** 2.0
        if model.regressor is None:
            # The mean of few members errs by more than that of many: by their variance over M.
            excess = drawn["spread"][level, y, x] ** 2.0 * (1 / MEMBERS - 1 / max(members, 2))
            part["reconstruction"] = part["reconstruction"] - excess
        parts.append(pd.DataFrame(part))
    if not parts:
        return SelfCheck(pd.DataFrame(columns=["group", "depth", "n", *METHODS]))
    return SelfCheck(pd.concat(parts).groupby(["group", "depth"], as_index=False).sum())


def _window(
    dates: xr.Dataset, own: int, tile: int, generator: np.random.Generator
) -> xr.Dataset | None:
    """One tile around a column observed on the date `own`, in memory; None where there is none."""
    tops = [part for part in range(0, dates.sizes["latitude"], tile)]
    for top in generator.permutation(tops):
        band = dates.observed.isel(time=own, latitude=slice(top, top + tile)).values.any(0)
        if band.any():
            y, x = generator.choice(np.argwhere(band))
            middle = {"latitude": int(top + y), "longitude": int(x)}
            cut = {}
            for name, cell in middle.items():
                start = min(max(cell - tile // 2, 0), max(dates.sizes[name] - tile, 0))
                cut[name] = slice(start, start + tile)
            return dates.isel(cut).load()
    return None
