"""Checks: parameter values that cannot work are refused before anything runs.

`parameters` checks names and types. Here values are checked as far as that is possible without
data, so that a run does not fail over `members=1` after hours of training. Patterns, networks,
samplers and splits are checked by the modules that use them: a rule calls those with the values.
A rule applies where the chain declares all of its parameters, and all complaints are made at once.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import Any

import numpy as np

from ocean_lib.core.messages import shortened
from ocean_lib.runs.needs import count_months, grid_shape
from ocean_lib.runs.parameters import RunError
from ocean_lib.runs.paths import folder_name

__all__ = ["check_parameters"]


SEED = (0, 2**63 - 1)  # a signed integer of 64 bits
# The smallest and the largest value of every number. The largest are far above what the experiments
# use, so they refuse slips such as 1e9; what a machine can bear is estimated by `needs`.
LIMITS: dict[str, tuple[float, float]] = {
    "seed": SEED,
    "case_seed": SEED,
    "source_seed": SEED,
    "demo_months": (1, 3228),  # from 1993 to 2261: dates in nanoseconds end in 2262
    "validation_months": (1, 1200),
    "test_months": (1, 1200),
    "gap_months": (0, 1200),
    "land_value": (-1e38, 1e38),  # of a 32-bit float
    "patch": (1, 160),  # cells; scenes are no larger
    "batch": (1, 4096),
    "every": (1, 10**6),
    "regression_steps": (0, 10**7),
    "diffusion_steps": (0, 10**7),
    "learning_rate": (1e-9, 1.0),
    "background_evaluations": (1, 10**5),
    "tuning_evaluations": (1, 10**5),
    "members": (2, 1000),
    "dates": (1, 10**4),
    "calibration_dates": (1, 10**4),
    "tile": (8, 4096),  # cells
    "sampling_steps": (1, 1000),  # steps of the noise process
}
# Of lists: the limits of each entry, and the smallest and largest number of entries.
LIST_LIMITS: dict[str, tuple[float, float, int, int]] = {
    "depths": (0, 12000, 1, 200),  # m
    "scenes": (1, 10**5, 1, 50),
    "evaluations": (1, 1000, 0, 50),
    "region": (-360, 360, 0, 4),  # degrees
}
MOST_PATTERNS = 50


def check_parameters(parameters: dict[str, Any]) -> None:
    """Refuse values that no notebook could use.

    Args:
        parameters: name to value, as `load_parameters` returns them.

    Raises:
        RunError: one line per unusable value: the value, the limit, the remedy.
    """
    refused = dict(_numbers(parameters))
    complaints = list(refused.values())
    for rule in RULES:
        names = inspect.signature(rule).parameters.keys()
        # A rule may take long with a value that is out of range.
        if names <= parameters.keys() and not names & refused.keys():
            try:
                complaints += rule(**{name: parameters[name] for name in names}) or ()
            except (ValueError, OSError) as error:
                complaints.append(str(error))
    if complaints:
        raise RunError("\n".join(complaints))


def _numbers(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and complaint of every number that is out of range."""
    for name, (low, high) in LIMITS.items():
        value = values.get(name)
        if value is not None and not low <= value <= high:
            yield name, f"{name} is {shortened(value)}; choose {low} to {high}"
    for name, (low, high, fewest, most) in LIST_LIMITS.items():
        numbers = values.get(name)
        if name == "depths" and values.get("source") == "netcdf":
            fewest = 0  # the levels of the files
        if numbers is None or (
            fewest <= len(numbers) <= most and all(low <= number <= high for number in numbers)
        ):
            continue
        yield (
            name,
            f"{name} is {shortened(numbers)} ({len(numbers)} entries); give {fewest} to {most}"
            f" numbers, each {low:g} to {high:g}",
        )


def _depths(depths) -> Iterator[str]:
    if len(set(depths)) < len(depths):
        yield f"depths is {shortened(depths)}; give every level once"


def _one_of(name: str, value: str, choices: Iterable[str]) -> Iterator[str]:
    if value not in choices:
        yield f"{name} is {value!r}; choose one of {', '.join(choices)}"


def _folders(run, store) -> None:
    for name in (run, store):
        folder_name(name)


def _source(source, path, satellites, surfaces, period) -> Iterator[str]:
    """A source of fields, and the satellites that see their surface."""
    from ocean_lib.fields.conventions import SURFACES
    from ocean_lib.fields.files import find_files
    from ocean_lib.sources.catalogue import SOURCES

    yield from _one_of("source", source, SOURCES)
    if source in SOURCES and SOURCES[source].sees:
        yield f"source is {source}, a view from above; name it in satellites, and a field as source"
    if source == "netcdf" and not path:
        yield "source is netcdf and path is empty; give path=… (a file, folder or glob)"
    for name in surfaces:
        yield from _one_of("surfaces", name, SURFACES)
    if len(set(surfaces)) < len(surfaces):
        yield f"surfaces is {surfaces}; name each once"
    known = [name for name, product in SOURCES.items() if product.sees]
    for name in satellites:
        yield from _one_of("satellites", name, known)
        if name in known and not (SOURCES[name].sees in surfaces and period):
            yield (
                f"satellites name {name}; add {SOURCES[name].sees} to surfaces, and give period, "
                "first and last month"
            )
    if source == "netcdf" and path:
        find_files(path)


def _region(source, region, patch) -> Iterator[str]:
    """A region, and a patch that fits into it."""
    from ocean_lib.model.patches import check_patch

    if region:
        complaint = f"region is {region}; give west, east, south, north in degrees"
        if len(region) != 4:
            yield complaint
            return
        if not -90 <= region[2] < region[3] <= 90:
            yield f"{complaint}: south below north, latitudes within ±90, longitudes within ±360"
            return
    shape = grid_shape(source, region)
    if shape:
        check_patch(patch, shape)


def _split(
    source, split, period, demo_months, validation_months, test_months, gap_months
) -> Iterator[str]:
    """Enough months for training, validation and test."""
    from ocean_lib.core.months import choose_split

    if period:
        try:
            first, last = (date.fromisoformat(f"{month[:7]}-01") for month in period)
            if last < first:
                raise ValueError
        except ValueError:
            yield (
                f"period is {shortened(period)}; give first and last month, such as"
                " ['1993-01', '2020-12']"
            )
            return
    # Lengths that only the data tell are taken as large enough: of a record, and of a row.
    count = count_months(source, period, demo_months) or 10**4
    dates = np.arange(count).astype("M8[M]").astype("M8[ns]")
    parts = {"validation": validation_months, "test": test_months, "gap": gap_months}
    choose_split(dates, 10**6, split, gap_cells=0, **parts)


def _observations(observations) -> Iterator[str]:
    from ocean_lib.observations.profiles import is_profiles

    if observations not in ("", "argo") and not is_profiles(observations):
        yield (
            f"observations is {observations!r}, where no profiles are found; give argo, or a file, "
            "folder or glob of Argo's files, CSV or Parquet"
        )


def _patterns(patterns, scenes) -> Iterator[str]:
    from ocean_lib.observations.specification import check_patterns

    if len(scenes) != len(patterns):
        yield f"scenes is {shortened(scenes)}; give a number for each of {len(patterns)} patterns"
    _plain("patterns", patterns)
    check_patterns(patterns)


def _cases(cases) -> Iterator[str]:
    from ocean_lib.observations.specification import check_patterns

    _plain("cases", cases)
    names = [case.get("name") for case in cases]
    check_patterns(cases)
    if None in names or len(set(names)) < len(names):
        yield f"cases are named {names}; give every case a name of its own"


def _plain(name: str, specifications: list[dict]) -> None:
    """Refuse keys and values of patterns that are of another type, or too many patterns.

    Raises:
        ValueError: the first of them.
    """
    if len(specifications) > MOST_PATTERNS:
        raise ValueError(
            f"{name} has {len(specifications)} entries; choose {MOST_PATTERNS} or fewer"
        )
    for entry in specifications:
        for key, value in entry.items():
            text = key in ("pattern", "name", "positions")
            if not isinstance(key, str) or (text and not isinstance(value, str | None)):
                raise ValueError(
                    f"{name} has {shortened(key)}: {shortened(value)}; write keys, pattern, name"
                    " and positions as text"
                )


def _derived(derived) -> None:
    from ocean_lib.fields.derived import understand

    for name in derived or ():
        understand(name)


def _network(parametrisation, width, multipliers, blocks, stem, attention) -> None:
    from ocean_lib.model.diffusion import Diffusion
    from ocean_lib.model.unet import check_network

    Diffusion(parametrisation)
    check_network(
        width=width, multipliers=multipliers, blocks=blocks, stem=stem, attention=attention
    )


def _budget(mode, regression_steps, diffusion_steps) -> Iterator[str]:
    from ocean_lib.model.densifier import MODES
    from ocean_lib.model.training import stages

    yield from _one_of("mode", mode, MODES)
    if mode in MODES:
        for stage, steps in stages(mode, regression_steps, diffusion_steps).items():
            if steps == 0:
                yield f"{stage}_steps is 0, but mode {mode} trains that stage; choose 1 or more"


def _sampling(sampler, sampling_steps, evaluations, tile) -> None:
    from ocean_lib.model.diffusion import Diffusion
    from ocean_lib.model.sampling import timesteps
    from ocean_lib.reconstruct.sampling import Sampling

    for steps in (sampling_steps, *evaluations):
        Sampling(steps=steps, sampler=sampler, tile=tile)
        timesteps(Diffusion().steps, steps)


RULES: tuple[Callable[..., Iterable[str] | None], ...] = (
    *(_folders, _source, _depths, _region, _split, _observations, _patterns, _cases),
    *(_derived, _network, _budget, _sampling),
)
