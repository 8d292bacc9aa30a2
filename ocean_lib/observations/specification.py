"""Specifications of observations: what a parameters file says of a pattern, checked and drawn.

A *specification* is what a parameters file holds, a plain mapping such as
``{"pattern": "profiles", "observed": [0.001, 0.008], "surface": 0.8, "clouds": [0.0, 0.5]}``.
With ``positions``, an index of real profiles (`replay`), the pattern `profiles` observes where
floats were in some month, so that clusters, shelves and gaps are as in nature; `observed` is then
what density to expect, and to draw where there was no float at all.
"""

import torch
from torch import Tensor

from ocean_lib.observations import replay
from ocean_lib.observations.patterns import PATTERNS, clouds, profiles

__all__ = ["draw_between", "check_patterns", "draw_masks"]


_DEFAULTS = {"pattern": None, "observed": None, "surface": 0.0, "clouds": 0.0, "error": 0.0}
_DEFAULTS |= {"name": None, "positions": None}


def check_patterns(specifications: list[dict]) -> list[dict]:
    """Specifications with every key present, or a ValueError that names what is wrong.

    Keys: `pattern`; `observed`, the fraction of columns, a number or [low, high] (drawn
    log-uniformly); `surface`, the probability that the surface is seen; `clouds`, the fraction
    of it under cloud, a number or [low, high]; `error`, in standard deviations of the field, that
    some of the training samples are observed with, a number or [low, high]; `positions`, a file of
    real ones, of profiles; `name`, for cases.
    """
    if not specifications:
        raise ValueError("no observation pattern given; choose at least one of " + str([*PATTERNS]))
    complete = []
    for given in specifications:
        unknown = set(given) - set(_DEFAULTS)
        if unknown:
            raise ValueError(f"unknown key {sorted(unknown)} in {given}; known: {[*_DEFAULTS]}")
        if given.get("pattern") not in PATTERNS:
            raise ValueError(
                f"pattern {given.get('pattern')!r} is not known; choose one of {[*PATTERNS]}"
            )
        whole = _DEFAULTS | given
        for key in ("observed", "clouds", "error", "surface"):
            ranged = key != "surface"
            value = whole[key]
            ends = value if ranged and isinstance(value, (list, tuple)) else [value, value]
            if (
                len(ends) != 2
                or not all(isinstance(end, (int, float)) for end in ends)
                or not 0 <= ends[0] <= ends[1] <= 1
            ):
                raise ValueError(
                    f"{key} {value!r} of pattern {given['pattern']}; give a fraction from 0 to 1"
                    + (", or [low, high]" if ranged else "")
                )
        if whole["positions"]:
            if whole["pattern"] != "profiles":
                raise ValueError(
                    f"positions belong to the pattern profiles, not {whole['pattern']}; "
                    "leave them out"
                )
            replay.open_position_index(whole["positions"])
        whole["name"] = whole["name"] or f"{whole['pattern']} {whole['observed']}"
        complete.append(whole)
    return complete


def draw_between(value, number: int, generator, logarithmic: bool) -> Tensor:
    """`number` draws of a number, or uniform ones of [low, high], or of its logarithm."""
    low, high = value if isinstance(value, (list, tuple)) else (value, value)
    u = torch.rand(number, generator=generator, device=generator.device, dtype=torch.float64)
    if logarithmic and low > 0:
        return low * (high / low) ** u
    return low + (high - low) * u


def draw_masks(
    specifications: list[dict],
    ocean: Tensor,
    depth: Tensor,
    surfaces: int,
    generator: torch.Generator,
    dates: int = 1,
    places: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Patterns for a batch, each sample drawing one of the specifications with equal chance.

    Args:
        ocean: bool, (B, D, H, W).    depth: (D,), metres.    surfaces: number S of surface fields.
        dates: so many samples after one another are of one place: they share specification,
            density and cover, and have a surface together or not at all.
        places: latitudes (B, H) and longitudes (B, W) on a CPU, for positions to be replayed.
    Returns:
        observed, bool (B, D, H, W), and surface_observed, bool (B, S, H, W); both within ocean.
    """
    specifications = check_patterns(specifications)
    batch, levels, *shape = ocean.shape
    device = generator.device
    choice = torch.randint(
        len(specifications), (batch // dates,), generator=generator, device=device
    ).repeat_interleave(dates)
    observed = torch.zeros(batch, levels, *shape, dtype=torch.bool, device=device)
    seen = torch.zeros(batch, surfaces, *shape, dtype=torch.bool, device=device)
    for index, spec in enumerate(specifications):
        mine = (choice == index).nonzero()[:, 0]
        number = len(mine)
        if not number:
            continue
        groups = number // dates
        fraction = draw_between(spec["observed"], groups, generator, logarithmic=True)
        fraction = fraction.repeat_interleave(dates)
        wet = ocean[mine]
        if spec["pattern"] == "profiles":
            real = None
            if spec["positions"] and places is not None:
                where = [axis[mine.cpu()] for axis in places]  # on a CPU, as tables are
                real = replay.replay_columns(spec["positions"], *where, generator, dates)
            drawn = profiles(
                number, shape, fraction, generator, ocean=wet, depth=depth, columns=real
            )
        else:
            drawn = PATTERNS[spec["pattern"]](number, shape, fraction, generator)[:, None] & wet
        observed[mine] = drawn
        if surfaces and spec["surface"] > 0:
            cover = draw_between(spec["clouds"], groups, generator, logarithmic=False)
            sky = clouds(number, shape, cover.repeat_interleave(dates), generator)
            shown = torch.rand(groups, generator=generator, device=device) < spec["surface"]
            shown = shown.repeat_interleave(dates)
            seen[mine] = (sky & shown[:, None, None] & wet[:, 0])[:, None].expand(
                -1, surfaces, -1, -1
            )
    return observed, seen
