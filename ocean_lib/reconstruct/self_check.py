"""The self-check: how well a model does with these observations, before its result is used.

`run_self_check` withholds about a tenth of the observed columns, reconstructs from the rest, and
scores reconstruction, background and climatology at withheld columns that lie as far from the kept
ones as the cells that are mapped.  Far from its training data a network can be worse than the
background that it starts from, and only such a check shows it.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import xarray as xr

from ocean_lib.core.geometry import EARTH_RADIUS, sphere
from ocean_lib.model.densifier import Densifier
from ocean_lib.reconstruct.domain import dates_within_reach
from ocean_lib.reconstruct.ensemble import reconstruct_date
from ocean_lib.reconstruct.sampling import Sampling
from ocean_lib.scores.bootstrap import MIN_BLOCKS, bootstrap, interval
from ocean_lib.scores.metrics import ensemble_variance_factor

__all__ = ["SelfCheck", "run_self_check", "withhold"]


SHARE = 0.1  # of the observed columns that is withheld, unless one column's neighbours are more
RUNS = 12  # number of reconstructions
MEMBERS = 4  # of each reconstruction
TOLERANCE = 1.01  # times another method's error; the reconstruction is worse if it exceeds this
METHODS = ("reconstruction", "background", "climatology")


def withhold(
    observed: np.ndarray, ocean: np.ndarray, places: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose columns to judge, each with all its neighbours withheld.

    A column beside a kept one is easy to reconstruct, and floats come in clusters.  So every judged
    column loses its neighbours up to a distance that is drawn from those at which cells of the
    ocean lie from the nearest observation.  About a tenth of the columns is withheld, never more
    than half.

    Args:
        observed: bool (H, W), the observed columns.
        ocean: bool (H, W).
        places: cells on the unit sphere (H, W, 3).
        generator: draws the choice.

    Returns:
        Withheld columns and, among them, the judged ones, both bool (H, W), none where fewer than
        two are observed; distances (n,) in km from unobserved ocean to the nearest observation.
    """
    from scipy.spatial import cKDTree

    cells = np.argwhere(observed)
    withheld, judged = np.zeros((2, *observed.shape), bool)
    if len(cells) < 2:
        return withheld, judged, np.zeros(0)
    tree = cKDTree(places[observed])
    asked = tree.query(places[ocean & ~observed])[0]
    gone, chosen = np.zeros((2, len(cells)), bool)
    for centre in generator.permutation(len(cells)):
        radius = generator.choice(asked) if len(asked) else 0.0
        apart = np.linalg.norm(tree.data - tree.data[centre], axis=1)
        near = np.argsort(apart, kind="stable")[: len(cells) // 2]
        lost = gone.copy()
        lost[near[apart[near] <= radius]] = True
        if chosen.any() and lost.sum() > max(1, round(SHARE * len(cells))):
            break
        if not gone[centre]:
            gone, chosen[centre] = lost, True
    withheld[observed], judged[observed] = gone, chosen
    return withheld, judged, asked * EARTH_RADIUS


@dataclass(frozen=True)
class SelfCheck:
    """Errors at judged columns.

    Args:
        squares: a row for every judged column and depth, with columns `group` (date and column),
            `depth`, `n`, `distance` (km to the nearest column that was kept) and, for each of
            `METHODS`, the sum of its squared errors, °C².
        asked: median distance of the mapped cells from the nearest observation, km.
    """

    squares: pd.DataFrame
    asked: float

    @property
    def groups(self) -> int:
        """Number of judged columns."""
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
            f"no interval from fewer than {MIN_BLOCKS} columns"
            if limits is None
            else f"reconstruction minus background [{limits[0]:+.3f}, {limits[1]:+.3f}]"
        )
        lines.append(
            f"self-check: {self.groups} withheld columns, {int(overall.n)} values, at a median of "
            f"{self.squares.groupby('group').distance.first().median():.0f} km from the nearest "
            f"kept one (mapped cells: {self.asked:.0f} km); RMSE there, °C: {errors}; {certainty}"
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
    """Withhold, reconstruct and compare, on at most twelve dates, in one tile of each.

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
    from scipy.spatial import cKDTree

    number = observations.sizes["time"]
    dates = np.unique(np.linspace(0, number - 1, RUNS).round().astype(int)).tolist()
    nearby_dates = dates_within_reach(model, observations.time.values)
    drawn_members = MEMBERS if model.regressor is None else 0
    draw = partial(reconstruct_date, model, members=drawn_members, device=device)
    parts, mapped = [], []
    for run in range(RUNS):
        generator = np.random.default_rng([sampling.seed, run])
        date = dates[run % len(dates)]
        nearby = nearby_dates[date]
        index = nearby.index(date)
        window = _window(observations.isel(time=nearby), index, sampling.tile, generator)
        if window is None:
            continue
        observed = window.observed.values.copy()
        latitude, longitude = np.meshgrid(window.latitude, window.longitude, indexing="ij")
        places = sphere(latitude, longitude, float)
        columns = observed[index].any(0)
        withheld, judged, asked = withhold(columns, window.ocean.values.any(0), places, generator)
        if not judged.any():
            continue
        observed[index] &= ~withheld
        rest = window.assign(observed=window.observed.copy(data=observed))
        shape = observed.shape[1:]
        names = ("mean", "background", "climatology", "spread")
        drawn = {name: np.full(shape, np.nan, np.float32) for name in names}
        drawn["members"] = np.full((drawn_members, *shape), np.nan, np.float32)
        choices = replace(sampling, seed=sampling.seed + run)
        for _ in draw(rest, drawn, date=index, sampling=choices):
            pass
        level, y, x = np.nonzero(window.observed.values[index] & judged)
        truth = window.value.values[index][level, y, x]
        label = y * window.sizes["longitude"] + x
        part = {"group": [f"{date} {run} {column}" for column in label], "n": 1}
        kept = cKDTree(places[columns & ~withheld])
        part["distance"] = kept.query(places[y, x])[0] * EARTH_RADIUS
        part["depth"] = window.depth.values[level].round(1)
        for method, name in zip(METHODS, names):
            part[method] = (drawn[name][level, y, x] - truth) ** 2.0
        if model.regressor is None:
            # The mean of four members has a larger error than that of the whole ensemble.
            excess = ensemble_variance_factor(MEMBERS) - ensemble_variance_factor(max(members, 2))
            part["reconstruction"] -= excess * drawn["spread"][level, y, x] ** 2.0
        parts.append(pd.DataFrame(part))
        mapped.append(asked)
    if not parts:
        return SelfCheck(
            pd.DataFrame(columns=["group", "depth", "n", "distance", *METHODS]), np.nan
        )
    return SelfCheck(pd.concat(parts, ignore_index=True), float(np.median(np.concatenate(mapped))))


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
