"""Limits: values of parameters that cannot work are refused before anything runs.

Names and types are the concern of `parameters`; here are the values, as far as no data is needed to
judge them, so that a chain does not stumble over `members=1` after hours of training.  The rules of
patterns, networks, samplers and splits are not repeated: those who use a value are asked to try it.
A rule speaks where the chain declares its parameters, and all complaints are made at once.
"""

import inspect
import math
from collections.abc import Iterator
from datetime import date

import numpy as np

from ocean_lib.runs.parameters import RunError
from ocean_lib.runs.paths import folder_name

__all__ = ["check_parameters"]


LEAST = {
    "demo_months": 1, "validation_months": 1, "test_months": 1, "gap_months": 0, "patch": 1,
    "width": 1, "blocks": 1, "stem": 1, "background_evaluations": 1, "batch": 1, "every": 1,
    "regression_steps": 0, "diffusion_steps": 0, "members": 2, "dates": 1, "tile": 8,
    "calibration_dates": 1, "tuning_evaluations": 1, "seed": 0, "case_seed": 0, "source_seed": 0,
}  # fmt: skip
CELLS = {"demo": 12, "glorys12": 12, "glorys12_daily": 12, "armor3d": 8}  # a degree
DEMO = 96, 128  # rows, columns
SPLITS = "auto", "time", "space"


def check_parameters(parameters: dict) -> None:
    """Refuse values that no notebook could use.

    Raises:
        RunError: a line for each of them: the value, the limit, the remedy.
    """
    complaints = [*_numbers(parameters)]
    for rule in RULES:
        names = set(inspect.signature(rule).parameters)
        if not names <= parameters.keys():  # not of this chain
            continue
        try:
            complaints += rule(**{name: parameters[name] for name in names})
        except (ValueError, FileNotFoundError) as error:
            complaints.append(str(error))
    if complaints:
        raise RunError("\n".join(complaints))


def _numbers(given: dict) -> Iterator[str]:
    for name, least in LEAST.items():
        if given.get(name, least) < least:
            yield f"{name} is {given[name]}; choose {least} or more"
    rate = given.get("learning_rate", 1.0)
    if not 0 < rate < math.inf:
        yield f"learning_rate is {rate}; choose a number above 0, such as 1.0e-3"
    for name, least in (("depths", 0), ("multipliers", 1)):
        values = given.get(name, [1])
        if not values or not all(least <= value < math.inf for value in values):
            yield f"{name} is {values}; give at least one number, each {least} or more"
    depths = given.get("depths", [])
    if len(set(depths)) < len(depths):
        yield f"depths is {depths}; give every level once"


def _names(run, store) -> list[str]:
    for name in (run, store):
        folder_name(name)
    return []


def _place(source, path, region, patch) -> Iterator[str]:
    """A source, its region, and a patch that fits into it."""
    from ocean_lib.fields.files import find_files
    from ocean_lib.sources.catalogue import SOURCES

    if source not in SOURCES:
        yield f"source is {source!r}; choose one of {', '.join(SOURCES)}"
    if source == "netcdf" and not path:
        yield "source is netcdf and path is empty; give path=… (a file, folder or glob)"
    elif source == "netcdf":
        find_files(path)
    sizes = [DEMO] if source == "demo" else []
    if region:
        told = f"region is {region}; give west, east, south, north in degrees"
        if len(region) != 4:
            yield told
            return
        west, east, south, north = region
        if not (-90 <= south < north <= 90 and -360 <= west <= 360 and -360 <= east <= 360):
            yield f"{told}: south below north, latitudes within ±90, longitudes within ±360"
            return
        lengths = north - south, (east - west) % 360 or 360
        if source in CELLS:
            sizes.append([math.floor(length * CELLS[source] + 1e-6) + 1 for length in lengths])
    for rows, columns in sizes:
        if patch > min(rows, columns):
            yield (
                f"patch is {patch}, but there are {rows} rows and {columns} columns at most; "
                f"choose patch <= {min(rows, columns)} or a wider region"
            )


def _view(source, satellite, period, surface) -> Iterator[str]:
    """A satellite, and the months that are to be fetched of it."""
    from ocean_lib.sources.catalogue import SOURCES

    if source in SOURCES and SOURCES[source].sees:
        yield f"source is {source}, a view from above; name it as satellite, and a field as source"
    able = [name for name, each in SOURCES.items() if each.sees == "temperature"]
    if satellite and satellite not in able:
        yield f"satellite is {satellite!r}; choose one of {', '.join(able)}, or leave it empty"
    elif satellite and not (surface and period):
        yield f"satellite is {satellite}; set surface=true and period, first and last month"


def _time(
    source, split, period, demo_months, validation_months, test_months, gap_months
) -> Iterator[str]:
    """Months enough for training, validation and test."""
    from ocean_lib.core.months import choose_split

    if split not in SPLITS:
        yield f"split is {split!r}; choose one of {', '.join(SPLITS)}"
        return
    months = np.arange(max(demo_months, 1)) if source == "demo" else []
    if period:
        try:
            first, last = (np.datetime64(date.fromisoformat(f"{m[:7]}-01"), "M") for m in period)
            if last < first:
                raise ValueError
        except ValueError:
            yield f"period is {period}; give first and last month, such as ['1993-01', '2020-12']"
            return
        if source in ("glorys12", "armor3d"):
            months = np.arange(first, last + 1)
    if len(months):
        parts = {"validation": validation_months, "test": test_months, "gap": gap_months}
        # Wide enough for every split in space: how wide the field is, only the data say.
        choose_split(months.astype("M8[M]").astype("M8[ns]"), 10**6, split, gap_cells=0, **parts)


def _observations(observations) -> Iterator[str]:
    from ocean_lib.observations.profiles import is_profiles

    if observations not in ("", "argo") and not is_profiles(observations):
        yield (
            f"observations is {observations!r}, where no profiles are found; give argo, or a file, "
            "folder or glob of Argo's files, CSV or Parquet"
        )


def _patterns(patterns) -> list[str]:
    from ocean_lib.observations import specification as masks

    masks.check_patterns(patterns)
    return []


def _scenes(patterns, scenes) -> Iterator[str]:
    if len(scenes) != len(patterns) or min(scenes, default=0) < 1:
        yield f"scenes is {scenes}; give a number, 1 or more, for each of {len(patterns)} patterns"


def _cases(cases) -> Iterator[str]:
    from ocean_lib.observations import specification as masks

    names = [each["name"] for each in masks.check_patterns(cases)]
    if len(set(names)) < len(names):
        yield f"cases are named {names}; give every case a name of its own"


def _network(parametrisation, width, multipliers, blocks, stem, attention) -> Iterator[str]:
    import torch

    from ocean_lib.model.diffusion import Diffusion
    from ocean_lib.model.unet import UNet

    choices = {"width": width, "multipliers": multipliers, "blocks": blocks, "stem": stem}
    Diffusion(parametrisation)
    if stem > 2:
        yield f"stem is {stem}; choose 1 or 2"
    elif min(width, stem, blocks, *multipliers, len(multipliers)) > 0:
        with torch.device("meta"):  # shapes without memory
            UNet(1, 1, attention=attention, **choices)


def _budget(mode, regression_steps, diffusion_steps) -> Iterator[str]:
    from ocean_lib.model.densifier import MODES
    from ocean_lib.model.training import stages

    if mode not in MODES:
        yield f"mode is {mode!r}; choose one of {', '.join(MODES)}"
        return
    for stage, steps in stages(mode, regression_steps, diffusion_steps).items():
        if steps == 0:
            yield f"{stage}_steps is 0, but mode {mode} trains that stage; choose 1 or more"


def _sampling(sampler, sampling_steps, evaluations) -> Iterator[str]:
    from ocean_lib.model.diffusion import Diffusion
    from ocean_lib.model.sampling import SAMPLERS, timesteps

    if sampler not in SAMPLERS:
        yield f"sampler is {sampler!r}; choose one of {', '.join(SAMPLERS)}"
    for number in (sampling_steps, *evaluations):
        timesteps(Diffusion().steps, number)


RULES = (
    _names,
    _place,
    _view,
    _time,
    _observations,
    _patterns,
    _scenes,
    _cases,
    _network,
    _budget,
    _sampling,
)
