"""Casts: vertical profiles of temperature, cleaned and interpolated to the levels of a field.

All values lie in flat arrays, profile after profile, beside the index of their profile, so that
numpy processes a hundred thousand profiles at once. `clean` removes impossible values and counts
them by reason; `to_levels` interpolates. It never extrapolates above the first or below the last
value, and never interpolates across a gap wider than `GAP_SHARE` of the depth (or `GAP_FLOOR`).

Reference: Argo quality control manual, doi 10.13155/33951 (the spike test); TEOS-10 by `gsw`
(pressure → depth, in-situ → potential temperature).
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ocean_lib.core.geometry import wrap_longitude
from ocean_lib.fields.conventions import DEEPEST, HIGHEST, LOWEST, WARMEST
from ocean_lib.fields.survey import unit_like

__all__ = ["Casts"]


GAP_SHARE, GAP_FLOOR = 0.25, 20.0  # of the depth; m
MOST = 0.5  # share of possible values below which a profile is refused
SPIKE = (6.0, 2.0)  # °C, above and below 500 m
COLDEST = max(LOWEST, -2.5)  # °C
SALINITIES = (2.0, 41.0)  # practical, of sea water
MEAN_SALINITY = 35.0  # used where it is unknown: an error of 2 shifts 0.01 °C at 5000 m


@dataclass
class Casts:
    """P profiles with N values altogether.

    Args:
        platform: names of the instruments, (P,).
        station: names of the casts, (P,); two profiles of one station are the same cast.
        rank: (P,), higher for the better of two versions of a cast.
        time: datetime64, (P,).
        latitude: (P,), degrees.
        longitude: (P,), degrees.
        refused: (P,), why a profile cannot be used, "" where it can.
        profile: (N,), index of each value's profile.
        depth: (N,), m.
        temperature: (N,), °C.
        salinity: (N,), practical.
        error: (N,), standard deviation, °C.
        lost: number of values removed, by reason.
    """

    platform: np.ndarray
    station: np.ndarray
    rank: np.ndarray
    time: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    refused: np.ndarray
    profile: np.ndarray
    depth: np.ndarray
    temperature: np.ndarray
    salinity: np.ndarray
    error: np.ndarray
    lost: Counter = field(default_factory=Counter)

    @classmethod
    def from_values(
        cls,
        *,
        profile: np.ndarray,
        temperature: np.ndarray,
        salinity: np.ndarray,
        error: np.ndarray,
        flagged: np.ndarray,
        flags: dict[str, np.ndarray] | None = None,
        pressure: np.ndarray | None = None,
        depth: np.ndarray | None = None,
        lost: Counter[str] | None = None,
        **casts: Any,
    ) -> "Casts":
        """Casts from flat arrays, profile after profile, that are NaN where there is no value.

        Args:
            profile: (N,), index of each value's profile, ascending.
            temperature: (N,), °C.
            salinity: (N,), practical.
            error: (N,), standard deviation, °C.
            flagged: bool, (N,), values that their file marks as bad.
            flags: {reason: bool (P,)}, profiles that cannot be used.
            pressure: (N,), dbar; this or `depth`.
            depth: (N,), m.
            lost: number of values removed before, by reason.
            casts: `platform`, `station`, `rank`, `time`, `latitude`, `longitude`, each (P,).
        """
        import gsw

        latitude, longitude = (np.asarray(casts[name], float) for name in ("latitude", "longitude"))
        refused = np.full(len(latitude), "", dtype=object)
        nowhere = ~(np.abs(latitude) <= 90) | ~(np.abs(longitude) <= 360)
        for reason, affected in ((flags or {}) | {"no position": nowhere}).items():
            refused[affected & (refused == "")] = reason
        vertical = np.asarray(pressure if depth is None else depth)
        measured = np.isfinite(temperature) & np.isfinite(vertical) & (refused == "")[profile]
        usable, bad = measured & ~flagged, measured & flagged
        number = len(latitude)
        good, marked = (np.bincount(profile[some], minlength=number) for some in (usable, bad))
        refused[(marked > 0) & (good == 0)] = "all values are flagged"
        index = np.flatnonzero(usable)
        profile = np.asarray(profile)[index]
        index = index[_downwards(profile, vertical[index])]
        metres = vertical[index]
        if depth is None:
            metres = -gsw.z_from_p(metres, latitude[profile])
        return cls(
            platform=np.asarray(casts["platform"], dtype=object),
            station=np.asarray(casts["station"], dtype=object),
            rank=np.asarray(casts["rank"]),
            time=np.asarray(casts["time"], "datetime64[ns]"),
            latitude=latitude,
            longitude=wrap_longitude(longitude),
            refused=refused,
            profile=profile,
            depth=metres,
            temperature=temperature[index],
            salinity=salinity[index],
            error=error[index],
            lost=(lost or Counter()) + Counter({"flag is not 1 or 2": int(bad.sum())}),
        )

    def __len__(self) -> int:
        return len(self.latitude)

    def clean(self) -> "Casts":
        """Remove impossible values; profiles with fewer than two left are refused."""
        before = np.bincount(self.profile, minlength=len(self))
        low, high = np.full(len(self), np.inf), np.full(len(self), -np.inf)
        np.minimum.at(low, self.profile, self.temperature)
        np.maximum.at(high, self.profile, self.temperature)
        self._keep((self.temperature > COLDEST) & (self.temperature < HIGHEST), "impossible value")
        self._keep((self.depth > -2) & (self.depth < DEEPEST), "impossible depth")
        self.depth = self.depth.clip(min=0)
        possible = self.temperature < np.interp(self.depth, *WARMEST)
        self._keep(possible, "impossible value at its depth")
        left = np.bincount(self.profile, minlength=len(self))
        doubtful = (left < MOST * before) & (self.refused == "")
        for profile in np.flatnonzero(doubtful):
            looks = unit_like(low[profile], high[profile]) or "undeclared fill"
            self.refused[profile] = f"most values are impossible ({looks}?)"
        self._keep(~doubtful[self.profile], "beside impossible values")
        # A value must lie deeper than all before it in its profile. Offsets keep the profiles
        # apart, so that one running maximum serves all of them.
        offset = self.depth + self.profile * 2 * DEEPEST
        deepest = np.concatenate([[-np.inf], np.maximum.accumulate(offset)[:-1]])
        self._keep(offset > deepest, "pressure does not increase")
        self._keep(~self._spikes(), "spike")
        counts = np.bincount(self.profile, minlength=len(self))
        for count, reason in enumerate(("no value", "one value only")):
            self.refused[(counts == count) & (self.refused == "")] = reason
        return self

    def _spikes(self) -> np.ndarray:
        """Values beyond both neighbours by more than `SPIKE`, as in Argo's spike test."""
        t, profile = self.temperature, self.profile
        spike = np.zeros(len(t), bool)
        if len(t) > 2:
            inner = (profile[:-2] == profile[1:-1]) & (profile[2:] == profile[1:-1])
            height = np.abs(t[1:-1] - (t[2:] + t[:-2]) / 2) - np.abs(t[2:] - t[:-2]) / 2
            spike[1:-1] = inner & (height > np.where(self.depth[1:-1] < 500, *SPIKE))
        return spike

    def _keep(self, kept: np.ndarray, reason: str) -> None:
        """Remove the other values, and count them under a reason."""
        self.lost[reason] += int((~kept).sum())
        for name in ("profile", "depth", "temperature", "salinity", "error"):
            setattr(self, name, getattr(self, name)[kept])

    def _salinity_is_known(self) -> np.ndarray:
        return (self.salinity > SALINITIES[0]) & (self.salinity < SALINITIES[1])

    def make_potential(self) -> "Casts":
        """Convert in-situ to potential temperature.

        Values without a plausible salinity are converted with `MEAN_SALINITY`; they are kept, but
        counted in `lost`.
        """
        import gsw

        latitude = self.latitude[self.profile]
        known = self._salinity_is_known()
        self.lost["without salinity (kept)"] += int((~known).sum())
        pressure = gsw.p_from_z(-self.depth, latitude)
        salinity = np.where(known, self.salinity, MEAN_SALINITY)
        absolute = gsw.SA_from_SP(salinity, pressure, self.longitude[self.profile], latitude)
        self.temperature = gsw.pt0_from_t(absolute, self.temperature, pressure)
        return self

    def to_levels(self, levels: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Interpolate to levels.

        Args:
            levels: (D,), m.

        Returns:
            Temperature and its error, °C, and practical salinity, (P, D); NaN where a profile has
            no value, or no plausible salinity.
        """
        levels = np.asarray(levels, float)
        temperature, error, salinity = np.full((3, len(self), len(levels)), np.nan)
        if len(self.depth) < 2:
            return temperature, error, salinity
        # Offsets put the profiles one below the other, so that one search serves all of them.
        number = np.arange(len(self))[:, None]
        key = self.profile * 4 * DEEPEST + self.depth
        below = np.searchsorted(key, number * 4 * DEEPEST + levels).clip(max=len(key) - 1)
        above = (below - 1).clip(min=0)
        inside = (self.profile[above] == number) & (self.profile[below] == number)
        inside &= (self.depth[above] <= levels) & (levels <= self.depth[below])
        # The uppermost value of a profile may itself be the level.
        first = (self.profile[below] == number) & (self.depth[below] == levels)
        above = np.where(first, below, above)
        gap = self.depth[below] - self.depth[above]
        close = gap <= np.maximum(GAP_SHARE * levels, GAP_FLOOR)
        weight = (levels - self.depth[above]) / np.where(gap > 0, gap, 1)
        valid = (inside | first) & close & (self.refused == "")[:, None]
        salinities = np.where(self._salinity_is_known(), self.salinity, np.nan)
        results = (temperature, self.temperature), (error, self.error), (salinity, salinities)
        for result, values in results:
            between = values[above] * (1 - weight) + values[below] * weight
            result[valid] = between[valid]
        # With a weight of 0, a value that is missing must not count.
        exact = valid & (weight == 0)
        salinity[exact] = salinities[above][exact]
        return temperature, error, salinity


def _downwards(profile: np.ndarray, vertical: np.ndarray) -> np.ndarray:
    """Order (N,) of values that turns round the profiles stored from deep to shallow."""
    if not len(profile):
        return np.zeros(0, int)
    number = np.arange(len(profile))
    first, last = (np.searchsorted(profile, profile, side=side) for side in ("left", "right"))
    falls = vertical[last - 1] < vertical[first]
    return np.where(falls, first + last - 1 - number, number)
