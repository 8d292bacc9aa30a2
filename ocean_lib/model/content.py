"""Checks of a checkpoint's content: what training never writes is refused before it is used.

The digest of a file finds damage; these checks find content that does not fit together or cannot
be a model of the ocean, such as weights that are not finite, and sizes that no memory holds.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from ocean_lib.classical.gaussian_field import KERNELS
from ocean_lib.classical.regression import FEATURES_PER_SURFACE
from ocean_lib.core.messages import shortened
from ocean_lib.fields.conventions import DEEPEST, SURFACES
from ocean_lib.model.unet import check_network

__all__ = ["check_background", "check_settings", "check_shapes", "check_tensors", "statistics_of"]


SETTINGS = {"mode": str, "network": dict, "diffusion": dict, "background": list, "attributes": dict}
ATTRIBUTES = {
    "surfaces": dict,
    "variables": list,
    "units": dict,
    "standard_name": str,
    "months": list,
    "dates_per_month": float,
    "first": str,
    "last": str,
    "credit": str,
    "licence": str,
}
NOISE = {"parametrisation": str, "steps": int, "gamma": float}
# {scale: (type, lower bound, upper bound)} of a pattern of the background
SCALES = {"observed": (float, 1e-9, 1.0), "noise": (float, 0.0, 1e6), "neighbours": (int, 1, 4096)}
TERMS = (1, 5)  # of a climatology
LARGEST_DEVIATION = 1e3  # of a variable, in its unit


def _typed(values: Any, kinds: Mapping[str, type], name: str) -> None:
    """Refuse a mapping that lacks a name or has a value of another type."""
    if not isinstance(values, dict):
        raise ValueError(f"its {name} are no mapping")
    for key, kind in kinds.items():
        value = values.get(key)
        fits = isinstance(value, int | float if kind is float else kind)
        if not fits or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"{key} of its {name} is {shortened(value)}, not {kind.__name__}")


def check_settings(settings: Any) -> None:
    """Check the settings of a checkpoint.

    Raises:
        ValueError: a setting is absent, of another type, or outside what a network can have.
    """
    _typed(settings, SETTINGS, "settings")
    attributes = settings["attributes"]
    _typed(attributes, ATTRIBUTES, "attributes")
    variables = attributes["variables"]
    if (
        not variables
        or variables[0] != "temperature"
        or len(set(map(str, variables))) < len(variables)
    ):
        raise ValueError(
            f"its variables are {shortened(variables)}, not temperature and further ones"
        )
    _typed(attributes["units"], dict.fromkeys(map(str, variables), str), "units")
    surfaces = attributes["surfaces"]
    if [*surfaces] != [name for name in SURFACES if name in surfaces]:
        raise ValueError(
            f"its surfaces are {shortened([*surfaces])}, not some of {[*SURFACES]} in this order"
        )
    _typed(surfaces, dict.fromkeys(surfaces, float), "surfaces")
    if not all(0 <= error < LARGEST_DEVIATION for error in surfaces.values()):
        raise ValueError(
            f"errors of its surfaces are {shortened(surfaces)}, limits 0 and {LARGEST_DEVIATION:g}"
        )
    months = attributes["months"]
    if not months or not {*map(str, months)} <= {*map(str, range(1, 13))}:
        raise ValueError(f"its calendar months are {shortened(months)}, not among 1 to 12")
    for name in ("first", "last"):
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", attributes[name]):
            raise ValueError(
                f"its {name} date is {shortened(attributes[name])}, not like 1993-01-16"
            )
    if not 0 < attributes["dates_per_month"] < 1e4:
        raise ValueError(f"it has {attributes['dates_per_month']:g} dates a month")
    _typed(settings["diffusion"], NOISE, "noise process")
    if unknown := settings["diffusion"].keys() - NOISE.keys():
        raise ValueError(f"it has unknown settings {shortened(sorted(map(str, unknown)))}")
    check_network(**settings["network"])


def statistics_of(arrays: dict[str, np.ndarray], attributes: dict) -> xr.Dataset:
    """The statistics of a model, as `Store.statistics` gives them.

    Args:
        arrays: by name, of a checkpoint.
        attributes: of the statistics, checked by `check_settings`.

    Raises:
        ValueError: an array is absent or has another shape, or holds what no store holds.
    """
    grid = ("channel", "latitude", "longitude")
    none = np.empty(0)
    places = {name: arrays.get(name, none) for name in ("depth", "latitude", "longitude")}
    for name, axis in places.items():
        if axis.ndim != 1 or axis.dtype.kind != "f" or not len(axis):
            raise ValueError(f"its {name} is no list of numbers")
        if not (np.isfinite(axis).all() and (np.diff(axis) > 0).all()):
            raise ValueError(f"its {name} is not ascending")
    limits = {"depth": (0, DEEPEST), "latitude": (-90, 90), "longitude": (-540, 540)}
    for name, (low, high) in limits.items():
        if places[name][0] < low or places[name][-1] > high:
            raise ValueError(f"its {name} runs from {places[name][0]:g} to {places[name][-1]:g}")
    depth, height, width = (len(axis) for axis in places.values())
    shape = (len(attributes["surfaces"]) + depth * len(attributes["variables"]), height, width)
    harmonic = arrays.get("harmonic", none)
    terms = len(harmonic) if harmonic.ndim == 4 else 0
    kinds = {"harmonic": (np.float32, (terms, *shape)), "deviation": (np.float32, shape)}
    for name, (kind, expected) in (kinds | {"wet": (np.bool_, shape)}).items():
        array = arrays.get(name, none)
        if array.shape != expected or array.dtype != kind or terms not in TERMS:
            raise ValueError(
                f"its {name} is {array.dtype} {array.shape}, but its {depth} levels, {height} rows "
                f"and {width} columns need {np.dtype(kind)} {expected}"
            )
    for channel in range(len(arrays["wet"])):  # statistics may be larger than memory
        deviation, means = arrays["deviation"][channel], arrays["harmonic"][:, channel]
        if not (np.isfinite(means).all() and np.isfinite(deviation).all()):
            raise ValueError(f"its climatology is not finite at channel {channel}")
        if deviation.min() <= 0 or deviation.max() > LARGEST_DEVIATION:
            raise ValueError(
                f"its standard deviation runs from {deviation.min():g} to {deviation.max():g} at "
                f"channel {channel}, limits 0 and {LARGEST_DEVIATION:g}"
            )
    fields: dict[str, Any] = {"harmonic": (("term", *grid), arrays["harmonic"])}
    fields |= {name: (grid, arrays[name]) for name in ("deviation", "wet")}
    return xr.Dataset(fields, places, attributes)


def _positive(values: Any, number: int) -> bool:
    """Whether values are a list of so many positive numbers, none of them huge."""
    sized = isinstance(values, list | tuple) and len(values) == number
    return sized and all(isinstance(value, int | float) and 0 < value < 1e6 for value in values)


def check_background(scales: Any, buffers: dict[str, Tensor], levels: int, surfaces: int) -> None:
    """Check scales and buffers of a `Background`.

    Args:
        scales: of every pattern.
        buffers: by name; those of the reduced space may be empty.
        levels: D.
        surfaces: S.

    Raises:
        ValueError: they do not fit together.
    """
    if not isinstance(scales, list) or not scales:
        raise ValueError(f"its background is {shortened(scales)}, not a list of patterns")
    for pattern in scales:
        kinds = {name: kind for name, (kind, *_) in SCALES.items()}
        _typed(pattern, kinds | {"kernel": str, "surface": bool}, "background")
        for name, (_, low, high) in SCALES.items():
            if not low <= pattern[name] <= high:
                raise ValueError(
                    f"{name} of its background is {shortened(pattern[name])}, not {low} to {high}"
                )
        lengths = pattern.get("lengths")
        if not _positive(lengths, 3):
            raise ValueError(
                f"lengths of its background are {shortened(lengths)}, not three positive numbers"
            )
        if "slow" in pattern and not (_positive(pattern["slow"], 2) and pattern["slow"][0] < 1):
            raise ValueError(
                f"slow of its background is {shortened(pattern['slow'])}, not a share below 1 and "
                "a positive number of months"
            )
        if pattern["kernel"] not in KERNELS:
            raise ValueError(
                f"kernel of its background is {shortened(pattern['kernel'])}, not in {[*KERNELS]}"
            )
    number, features = len(scales), FEATURES_PER_SURFACE * surfaces
    expected = {
        "coefficients": (2**surfaces - 1, levels, features, 1, 1),
        "covariance": (2**surfaces, levels, levels),
        "factor": (number, levels),
    }
    reduced = any("reduced" in pattern for pattern in scales)
    states, axes = buffers["states"], [buffers[n] for n in ("dates", "latitude", "longitude")]
    if reduced:
        dates, *cells = (len(axis) for axis in axes)
        shape = (surfaces + levels, *cells)
        expected |= {"share": (number, levels), "deviation": shape, "states": (dates, *shape)}
        for pattern in scales:
            if "reduced" in pattern:
                _typed(pattern["reduced"], {"shrinkage": float, "noise": float}, "reduced space")
                if not 0 <= pattern["reduced"]["shrinkage"] <= 1:
                    raise ValueError(f"shrinkage is {pattern['reduced']['shrinkage']}, not 0 to 1")
    elif states.numel():
        raise ValueError("its background holds states that no pattern uses")
    for name, shape in expected.items():
        if tuple(buffers[name].shape) != shape:
            raise ValueError(
                f"{name} of its background is {tuple(buffers[name].shape)}, not {shape}"
            )


def check_tensors(tensors: dict[str, Tensor], parameters: int) -> None:
    """Check weights and buffers.

    Args:
        tensors: by name.
        parameters: number of weights that the networks of the settings have.

    Raises:
        ValueError: a value is not finite, or the number of weights is another.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f"{name} holds values that are not finite")
    held = sum(
        math.prod(tensor.shape)
        for name, tensor in tensors.items()
        if not name.startswith("background")
    )
    if held != parameters:
        raise ValueError(
            f"it holds {held} weights, but the networks of its settings have {parameters}"
        )


def check_shapes(state: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Check that weights and buffers have the names, types and shapes of a model.

    Args:
        state: by name, of a checkpoint.
        expected: by name, of the model.

    Raises:
        ValueError: one is absent, unknown, or has another type or shape.
    """
    if names := state.keys() ^ expected.keys():
        raise ValueError(f"weights are absent or unknown: {shortened(sorted(names))}")
    for name, tensor in state.items():
        wanted = expected[name]
        if (tensor.shape, tensor.dtype) != (wanted.shape, wanted.dtype):
            raise ValueError(
                f"{name} is {tensor.dtype} {tuple(tensor.shape)}, not {wanted.dtype} "
                f"{tuple(wanted.shape)}"
            )
