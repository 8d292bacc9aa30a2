"""Casts: what instruments lowered, or floats rising, measured, value by value.

Many profiles lie in flat arrays, one after the other, with the number of their profile beside every
value, so that a hundred thousand of them are worked on at once.  `clean` keeps what can be true and
counts what cannot, in words; `to_levels` reads profiles off at the levels of a field.

    never beyond     a level above the first or below the last value has none
    never across     a level amid a gap wider than `GAP` of its depth (and than `LEAST`) has none

Reference: the spike test is that of the Argo quality control manual, doi 10.13155/33951; TEOS-10
by `gsw`: pressure → depth, in-situ → potential temperature.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from ocean_lib.fields.conventions import HIGHEST, LOWEST

__all__ = ["Casts"]


GAP, LEAST = 0.25, 20.0  # of the depth; m
SPIKE = (6.0, 2.0)  # °C, above and below 500 m
COLDEST = max(LOWEST, -2.5)  # °C
SALT = (2.0, 41.0)
MEAN_SALT = 35.0  # where a profile has none: wrong by 2, it shifts 5000 m by 0.01 °C
DEEPEST = 11100.0  # dbar


@dataclass
class Casts:
    """P profiles of N values altogether.

    platform, station: names (P,); two profiles of one station are the same cast.
    rank: (P,), the higher the better of two.    time: (P,) datetime64.
    latitude, longitude: (P,), degrees.    profile: (N,), the number of each value's profile.
    depth: (N,), m.    temperature, salinity, error: (N,), °C, practical, °C.
    refused: (P,), why a profile is of no use, "" where it is.
    lost: {why: number of values}.
    """

    platform: np.ndarray
    station: np.ndarray
    rank: np.ndarray
    time: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    profile: np.ndarray
    depth: np.ndarray
    temperature: np.ndarray
    salinity: np.ndarray
    error: np.ndarray
    refused: np.ndarray
    lost: Counter = field(default_factory=Counter)

    @classmethod
    def from_padded(
        cls, *, platform, station, rank, time, latitude, longitude, pressure=None, depth=None,
        temperature, salinity, error, flagged, flags,
    ) -> "Casts":  # fmt: skip
        """From (P, L) arrays, NaN where there is nothing.

        Args:
            pressure, depth: dbar or m; one of the two.    flagged: bool, values said to be bad.
            flags: {why: bool (P,)}, of profiles.
        """
        import gsw

        latitude, longitude = np.asarray(latitude, float), np.asarray(longitude, float)
        refused = np.full(len(latitude), "", dtype=object)
        nowhere = ~(np.abs(latitude) <= 90) | ~(np.abs(longitude) <= 360)
        for why, those in (flags | {"no position": nowhere}).items():
            refused[those & (refused == "")] = why
        vertical = pressure if depth is None else depth
        there = np.isfinite(temperature) & np.isfinite(vertical)
        usable = there & ~flagged & (refused == "")[:, None]
        profile, level = np.nonzero(usable)
        metres = vertical[profile, level]
        if depth is None:
            metres = -gsw.z_from_p(metres, latitude[profile])
        longitude = (longitude + 180) % 360 - 180
        made = cls(
            np.asarray(platform, dtype=object), np.asarray(station, dtype=object),
            np.asarray(rank), np.asarray(time, "datetime64[ns]"), latitude, longitude,
            profile, metres, temperature[profile, level], salinity[profile, level],
            error[profile, level], refused,
        )  # fmt: skip
        bad = there & flagged & (refused == "")[:, None]
        made.lost["flag is not 1 or 2"] += int(bad.sum())
        all_bad = (refused == "") & bad.any(1) & ~usable.any(1)
        made.refused[all_bad] = "all values are flagged"
        return made

    def __len__(self) -> int:
        return len(self.latitude)

    def clean(self) -> "Casts":
        """Without values that cannot be true, and with a reason at profiles that have none left."""
        self._keep((self.temperature > COLDEST) & (self.temperature < HIGHEST), "impossible value")
        self._keep((self.depth > -2) & (self.depth < DEEPEST), "impossible pressure")
        self.depth = self.depth.clip(min=0)
        # Deeper than all before it in its profile: values come as they were measured.
        deepest = np.maximum.accumulate(self.depth + self.profile * 2 * DEEPEST)
        before = np.concatenate([[-np.inf], deepest[:-1]])
        self._keep(self.depth + self.profile * 2 * DEEPEST > before, "pressure does not increase")
        self._keep(~self._spikes(), "spike")
        left = np.bincount(self.profile, minlength=len(self))
        for number, why in ((0, "no value"), (1, "one value only")):
            self.refused[(left == number) & (self.refused == "")] = why
        return self

    def _spikes(self) -> np.ndarray:
        """Values far from both neighbours, by more than these lie apart."""
        t, own = self.temperature, self.profile
        spike = np.zeros(len(t), bool)
        if len(t) > 2:
            inner = (own[:-2] == own[1:-1]) & (own[2:] == own[1:-1])
            off = np.abs(t[1:-1] - (t[2:] + t[:-2]) / 2) - np.abs(t[2:] - t[:-2]) / 2
            spike[1:-1] = inner & (off > np.where(self.depth[1:-1] < 500, *SPIKE))
        return spike

    def _keep(self, those: np.ndarray, why: str) -> None:
        self.lost[why] += int((~those).sum())
        for name in ("profile", "depth", "temperature", "salinity", "error"):
            setattr(self, name, getattr(self, name)[those])

    def make_potential(self) -> "Casts":
        """In-situ temperature → potential; where salinity is lacking, with that of the mean ocean.

        How many values that were is counted in `lost` under "without salinity", though kept.
        """
        import gsw

        salt, y = self.salinity, self.latitude[self.profile]
        known = (salt > SALT[0]) & (salt < SALT[1])
        self.lost["without salinity (kept)"] += int((~known).sum())
        pressure = gsw.p_from_z(-self.depth, y)
        salt = np.where(known, salt, MEAN_SALT)
        absolute = gsw.SA_from_SP(salt, pressure, self.longitude[self.profile], y)
        self.temperature = gsw.pt0_from_t(absolute, self.temperature, pressure)
        return self

    def to_levels(self, levels) -> tuple[np.ndarray, np.ndarray]:
        """Temperature and its error (P, D) at levels (D,), m; NaN where a profile says nothing."""
        levels = np.asarray(levels, float)
        found = np.full((2, len(self), len(levels)), np.nan)
        if len(self.depth) < 2:
            return found[0], found[1]
        span = 4 * DEEPEST  # profiles one below the other, so that one search serves all
        key = self.profile * span + self.depth
        asked = np.arange(len(self))[:, None] * span + levels
        below = np.searchsorted(key, asked).clip(max=len(key) - 1)
        above = (below - 1).clip(min=0)
        own = np.arange(len(self))[:, None]
        inside = (self.profile[above] == own) & (self.profile[below] == own)
        inside &= (self.depth[above] <= levels) & (levels <= self.depth[below])
        # The uppermost value of a profile may itself be the level.
        first = (self.profile[below] == own) & (self.depth[below] == levels)
        above = np.where(first, below, above)
        gap = self.depth[below] - self.depth[above]
        close = gap <= np.maximum(GAP * levels, LEAST)
        weight = (levels - self.depth[above]) / np.where(gap > 0, gap, 1)
        valid = (inside | first) & close & (self.refused == "")[:, None]
        for part, values in zip(found, (self.temperature, self.error)):
            between = values[above] * (1 - weight) + values[below] * weight
            part[valid] = between[valid]
        return found[0], found[1]
