"""Specifications: how a parameters file describes an observation pattern, checked and drawn.

A *specification* is a plain mapping, such as
``{"pattern": "profiles", "observed": [0.001, 0.008], "surface": 0.8, "clouds": [0.0, 0.5]}``.
Its keys:

    pattern     one of `patterns.PATTERNS`
    observed    fraction of the columns, a number or [low, high] (drawn log-uniformly)
    surface     probability that a surface field is seen, of each independently; or a mapping of
                names to probabilities, such as ``{"sea_level": 0.8}``, 0 for those left out
    clouds      fraction of the surface temperature under cloud, a number or [low, high]
    error       standard deviation of observation errors in some training samples, in standard
                deviations of the field, a number or [low, high]
    positions   for `profiles`: path of an index of real positions (`replay`), so that clusters,
                shelves and gaps are realistic; `observed`, which is used where the index has no
                profile, should then be their typical density
    name        name of the evaluation case
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ocean_lib.fields.conventions import SURFACES
from ocean_lib.observations import replay
from ocean_lib.observations.patterns import PATTERNS, clouds, profiles

__all__ = ["check_patterns", "draw_between", "draw_masks", "probability"]


_DEFAULTS = {"pattern": None, "observed": None, "surface": 0.0, "clouds": 0.0, "error": 0.0}
_DEFAULTS |= {"name": None, "positions": None}
CLOUDED = "surface_temperature"  # clouds hide it; radiometers and altimeters see through them


def check_patterns(specifications: list[dict]) -> list[dict]:
    """The specifications with every key present.

    Raises:
        ValueError: there is no specification, or a key or value is not allowed.
    """
    if not specifications:
        raise ValueError("no observation pattern given; choose at least one of " + str([*PATTERNS]))
    return [_check_pattern(specification) for specification in specifications]


def _check_pattern(specification: dict) -> dict:
    pattern = specification.get("pattern")
    if unknown := set(specification) - set(_DEFAULTS):
        raise ValueError(f"unknown key {sorted(unknown)} in {specification}; known: {[*_DEFAULTS]}")
    if pattern not in PATTERNS:
        raise ValueError(f"pattern {pattern!r} is not known; choose one of {[*PATTERNS]}")
    complete = _DEFAULTS | specification
    for key in ("observed", "clouds", "error"):
        value = complete[key]
        ends = value if isinstance(value, (list, tuple)) else [value, value]
        if len(ends) != 2 or not _are_fractions(ends) or ends[0] > ends[1]:
            raise ValueError(
                f"{key} {value!r} of pattern {pattern}; give a fraction from 0 to 1, or [low, high]"
            )
    seen = complete["surface"]
    by_name = seen if isinstance(seen, Mapping) else dict.fromkeys(SURFACES, seen)
    if strange := sorted(set(by_name) - set(SURFACES)):
        raise ValueError(
            f"surface {strange} of pattern {pattern} is not known; choose among {list(SURFACES)}"
        )
    if not _are_fractions(list(by_name.values())):
        raise ValueError(
            f"surface {seen!r} of pattern {pattern}; give a fraction from 0 to 1, or one for each "
            "surface field"
        )
    if complete["positions"]:
        if pattern != "profiles":
            raise ValueError(
                f"positions belong to the pattern profiles, not {pattern}; leave them out"
            )
        replay.open_position_index(complete["positions"])
    complete["name"] = complete["name"] or f"{pattern} {complete['observed']}"
    return complete


def _are_fractions(values: Sequence) -> bool:
    return all(isinstance(value, (int, float)) and 0 <= value <= 1 for value in values)


def probability(specification: dict, surface: str) -> float:
    """Probability that a pattern shows a surface field.

    Args:
        specification: as `check_patterns` returns it.
        surface: name of the field.
    """
    seen = specification["surface"]
    return float(seen.get(surface, 0.0) if isinstance(seen, Mapping) else seen)


def draw_between(
    value: float | list[float], number: int, generator: torch.Generator, logarithmic: bool
) -> Tensor:
    """Draw values from [low, high] uniformly; a single number gives constant values.

    Args:
        value: a number, or [low, high].
        number: of values.
        generator: its device is used.
        logarithmic: whether the logarithm is uniform instead, if low > 0.

    Returns:
        float64, (number,).
    """
    low, high = value if isinstance(value, (list, tuple)) else (value, value)
    u = torch.rand(number, generator=generator, device=generator.device, dtype=torch.float64)
    if logarithmic and low > 0:
        return low * (high / low) ** u
    return low + (high - low) * u


def draw_masks(
    specifications: list[dict],
    ocean: Tensor,
    depth: Tensor,
    surfaces: Sequence[str],
    generator: torch.Generator,
    dates: int = 1,
    drifting: int | None = None,
    places: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Masks for a batch; each sample draws one of the specifications with equal probability.

    Args:
        specifications: as `check_patterns` takes them.
        ocean: bool, (B, D, H, W).
        depth: (D,), m.
        surfaces: names of the S surface fields.
        generator: on the device of `ocean`.
        dates: number of consecutive samples that are dates of one place: they share specification,
            density and cloud cover, and all or none of them have a surface field.
        drifting: number of consecutive samples between which the floats of `profiles` drift;
            `dates` by default.
        places: latitudes (B, H) and longitudes (B, W), degrees, on the CPU; needed to replay
            `positions`.

    Returns:
        observed, bool (B, D, H, W), and surface_observed, bool (B, S, H, W); both within `ocean`.

    Raises:
        ValueError: a specification is not allowed, or names a surface field that is not there.
    """
    specifications = check_patterns(specifications)
    batch, levels, height, width = ocean.shape
    shape, device = (height, width), generator.device
    choice = torch.randint(
        len(specifications), (batch // dates,), generator=generator, device=device
    ).repeat_interleave(dates)
    observed = torch.zeros(batch, levels, *shape, dtype=torch.bool, device=device)
    surface_observed = torch.zeros(batch, len(surfaces), *shape, dtype=torch.bool, device=device)
    for index, specification in enumerate(specifications):
        wanted = specification["surface"] if isinstance(specification["surface"], Mapping) else {}
        if lacking := sorted(name for name in wanted if name not in surfaces):
            raise ValueError(
                f"surface of pattern {specification['name']!r} names {lacking}, the fields seen "
                f"from above are {[*surfaces]}; add them to `surfaces`, or leave them out"
            )
        samples = (choice == index).nonzero()[:, 0]
        number = len(samples)
        if not number:
            continue
        groups = number // dates
        fraction = draw_between(specification["observed"], groups, generator, logarithmic=True)
        fraction = fraction.repeat_interleave(dates)
        water = ocean[samples]
        if specification["pattern"] == "profiles":
            columns = None
            if specification["positions"] and places is not None:
                latitude, longitude = (axis[samples.cpu()] for axis in places)
                columns = replay.replay_columns(
                    specification["positions"], latitude, longitude, generator, dates
                )
            observed[samples] = profiles(
                number,
                shape,
                fraction,
                generator,
                ocean=water,
                depth=depth,
                columns=columns,
                dates=drifting or dates,
            )
        else:
            draw = PATTERNS[specification["pattern"]]
            observed[samples] = draw(number, shape, fraction, generator)[:, None] & water
        for channel, name in enumerate(surfaces):
            if not (chance := probability(specification, name)):
                continue
            seen = water[:, 0]
            if name == CLOUDED:
                cover = draw_between(specification["clouds"], groups, generator, logarithmic=False)
                seen = seen & clouds(number, shape, cover.repeat_interleave(dates), generator)
            shown = torch.rand(groups, generator=generator, device=device) < chance
            shown = shown.repeat_interleave(dates)
            surface_observed[samples, channel] = seen & shown[:, None, None]
    return observed, surface_observed
