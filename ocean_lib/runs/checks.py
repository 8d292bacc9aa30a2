"""Checks: parameter values that cannot work are refused before anything runs.

`parameters` checks names and types. Here values are checked as far as that is possible without
data, so that a run does not fail over `members=1` after hours of training. Patterns, networks,
samplers and splits are checked by the modules that use them: a rule calls those with the values.
A rule applies where the chain declares all of its parameters, and all complaints are made at once.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import Any

import numpy as np

from ocean_lib.runs.parameters import RunError
from ocean_lib.runs.paths import folder_name

__all__ = ["check_parameters"]


SMALLEST_VALUES: dict[int, list[str]] = {
    0: "gap_months regression_steps diffusion_steps seed case_seed source_seed".split(),
    1: (
        "demo_months validation_months test_months patch width blocks stem batch every dates"
        " background_evaluations calibration_dates tuning_evaluations"
    ).split(),
    2: ["members"],
}
CELLS_PER_DEGREE = {"demo": 12, "glorys12": 12, "glorys12_daily": 12, "armor3d": 8}
DEMO_SHAPE = 96, 128  # rows, columns


def check_parameters(parameters: dict[str, Any]) -> None:
    """Refuse values that no notebook could use.

    Args:
        parameters: name to value, as `load_parameters` returns them.

    Raises:
        RunError: one line per unusable value: the value, the limit, the remedy.
    """
    complaints = [*_numbers(parameters)]
    for rule in RULES:
        names = inspect.signature(rule).parameters.keys()
        if names <= parameters.keys():
            try:
                complaints += rule(**{name: parameters[name] for name in names}) or ()
            except (ValueError, FileNotFoundError) as error:
                complaints.append(str(error))
    if complaints:
        raise RunError("\n".join(complaints))


def _numbers(values: dict[str, Any]) -> Iterator[str]:
    for smallest, names in SMALLEST_VALUES.items():
        for name in names:
            if values.get(name, smallest) < smallest:
                yield f"{name} is {values[name]}; choose {smallest} or more"
    rate = values.get("learning_rate", 1.0)
    if not 0 < rate < math.inf:
        yield f"learning_rate is {rate}; choose a number above 0, such as 1.0e-3"
    for name, smallest in (("depths", 0), ("multipliers", 1)):
        numbers = values.get(name, [1])
        own = name == "depths" and values.get("source") == "netcdf"  # levels of the files
        if not (numbers or own) or not all(smallest <= number < math.inf for number in numbers):
            yield f"{name} is {numbers}; give at least one number, each {smallest} or more"
    depths = values.get("depths", [])
    if len(set(depths)) < len(depths):
        yield f"depths is {depths}; give every level once"


def _one_of(name: str, value: str, choices: Iterable[str]) -> Iterator[str]:
    if value not in choices:
        yield f"{name} is {value!r}; choose one of {', '.join(choices)}"


def _folders(run, store) -> None:
    for name in (run, store):
        folder_name(name)


def _source(source, path, satellite, surface, period) -> Iterator[str]:
    """A source of fields, and a satellite that sees their surface."""
    from ocean_lib.fields.files import find_files
    from ocean_lib.sources.catalogue import SOURCES

    yield from _one_of("source", source, SOURCES)
    if source in SOURCES and SOURCES[source].sees:
        yield f"source is {source}, a view from above; name it as satellite, and a field as source"
    if source == "netcdf" and not path:
        yield "source is netcdf and path is empty; give path=… (a file, folder or glob)"
    satellites = [name for name, product in SOURCES.items() if product.sees == "temperature"]
    if satellite:
        yield from _one_of("satellite", satellite, satellites)
    if satellite in satellites and not (surface and period):
        yield f"satellite is {satellite}; set surface=true and period, first and last month"
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
        west, east, south, north = region
        if not (-90 <= south < north <= 90 and -360 <= west <= 360 and -360 <= east <= 360):
            yield f"{complaint}: south below north, latitudes within ±90, longitudes within ±360"
        elif source in CELLS_PER_DEGREE:
            extents = north - south, (east - west) % 360 or 360
            cells = [math.floor(degrees * CELLS_PER_DEGREE[source] + 1e-6) for degrees in extents]
            check_patch(patch, (cells[0] + 1, cells[1] + 1))
    if source == "demo":
        check_patch(patch, DEMO_SHAPE)


def _split(
    source, split, period, demo_months, validation_months, test_months, gap_months
) -> Iterator[str]:
    """Enough months for training, validation and test."""
    from ocean_lib.core.months import choose_split

    # Lengths that only the data tell are taken as large enough: of a record, and of a row.
    count = max(demo_months, 1) if source == "demo" else 10**4
    if period:
        try:
            first, last = (np.datetime64(date.fromisoformat(f"{m[:7]}-01"), "M") for m in period)
            if last < first:
                raise ValueError
        except ValueError:
            yield f"period is {period}; give first and last month, such as ['1993-01', '2020-12']"
            return
        if source in ("glorys12", "armor3d"):
            count = int((last - first).astype(int)) + 1
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

    if len(scenes) != len(patterns) or min(scenes, default=0) < 1:
        yield f"scenes is {scenes}; give a number, 1 or more, for each of {len(patterns)} patterns"
    check_patterns(patterns)


def _cases(cases) -> Iterator[str]:
    from ocean_lib.observations.specification import check_patterns

    names = [case["name"] for case in check_patterns(cases)]
    if len(set(names)) < len(names):
        yield f"cases are named {names}; give every case a name of its own"


def _network(parametrisation, width, multipliers, blocks, stem, attention) -> Iterator[str]:
    import torch

    from ocean_lib.model.diffusion import Diffusion
    from ocean_lib.model.unet import UNet

    sizes = {"width": width, "multipliers": multipliers, "blocks": blocks, "stem": stem}
    Diffusion(parametrisation)
    if stem > 2:
        yield f"stem is {stem}; choose 1 or 2"
    elif min(width, stem, blocks, *multipliers, len(multipliers)) > 0:
        with torch.device("meta"):  # shapes without memory
            UNet(1, 1, attention=attention, **sizes)


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
    *(_folders, _source, _region, _split, _observations, _patterns, _cases),
    *(_network, _budget, _sampling),
)
