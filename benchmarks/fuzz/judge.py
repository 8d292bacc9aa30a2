"""The judge of a mutation: whether a refusal is one, and whether an accepted result is right."""

import traceback
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from ocean_lib.fields.conventions import DIMS, WARMEST

from .mutation import ROUNDING, Mutation

__all__ = ["Verdict", "judge_error", "judge_fields", "judge_reconstruction"]


COLDEST = -10.01  # °C: the limit of what is read, since Levitus 1982 holds -5.6, and rounding
LONGEST = 800  # characters of a refusal
REFUSALS = (ValueError, OSError, FileNotFoundError, PermissionError, FileExistsError)
PACKAGE = Path(__file__).resolve().parents[2] / "ocean_lib"


@dataclass
class Verdict:
    """What came of a case.

    Args:
        outcome: `refused`, `right`, `silent`, `traceback`, `hang` or `memory`.
        text: the message, or what is wrong.
        warned: whether numpy warned on the way.
    """

    outcome: str
    text: str = ""
    warned: bool = False


def judge_error(error: BaseException, mutation: Mutation) -> Verdict:
    """Whether an exception is a refusal that names what is wrong, where one may come."""
    words, frames = str(error), traceback.extract_tb(error.__traceback__)
    own = PACKAGE in Path(frames[-1].filename).resolve().parents
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
    inner = [f for f in frames if PACKAGE in Path(f.filename).resolve().parents]
    if inner and not own:
        place = f"{Path(inner[-1].filename).name}:{inner[-1].lineno} -> {place}"
    text = f"{type(error).__name__} at {place}: {words}"
    allowed = type(error) in REFUSALS or type(error).__module__.startswith("ocean_lib")
    if not allowed:
        return Verdict("traceback", text)
    if not own and ".nc" not in words and ".csv" not in words and ".parquet" not in words:
        return Verdict("traceback", f"a message of a library, without the file: {text}")
    if len(words.split()) < 5:
        return Verdict("traceback", f"it names nothing: {text}")
    if len(words) > LONGEST:
        return Verdict("traceback", f"{len(words)} characters: {text[:300]} …")
    if mutation.expected == "same":
        return Verdict("traceback", f"refused, though it can be used: {text}")
    return Verdict("refused", text)


def _values(name: str, values: xr.DataArray, ocean: xr.DataArray, gaps: bool) -> str | None:
    """What is impossible in temperatures, if anything is."""
    missing = (ocean & ~np.isfinite(values)).transpose(*values.dims)
    if not gaps and missing.any():
        return f"{name} is not finite in {int(missing.sum())} of {missing.size} cells"
    known = values.where(ocean)
    warmest = xr.DataArray(np.interp(values.depth, *WARMEST), {"depth": values.depth})
    if float(known.min()) < COLDEST:
        return f"{name} of {float(known.min()):g} °C"
    if (known > warmest).any():
        excess = float((known - warmest).max())
        return f"{name} of {float(known.max()):g} °C, {excess:g} above what its depth allows"
    return None


def _change(
    result: xr.Dataset, good: xr.Dataset, name: str, mutation: Mutation
) -> tuple[str | None, float]:
    """What differs too much from the good result; and the largest difference."""
    a, b = xr.align(_rounded(result[[name, "ocean"]]), _rounded(good[[name, "ocean"]]))
    alike = all(a.sizes[dim] == good.sizes[dim] == result.sizes[dim] for dim in DIMS)
    must = mutation.expected in ("same", "kept")
    if must and not alike:
        return f"dimensions {dict(result[name].sizes)}, not {dict(good[name].sizes)}", np.nan
    if mutation.same_ocean and a.ocean.size and bool((a.ocean != b.ocean).any()):
        return f"another ocean in {int((a.ocean != b.ocean).sum())} cells", np.nan
    both = a.ocean & b.ocean
    difference = abs(a[name] - b[name]).where(both)
    largest = float(difference.max()) if difference.size else 0.0
    limit = ROUNDING if must else mutation.change
    if limit is not None and not (largest <= limit or np.isnan(largest)):
        return f"{name} changes by {largest:g} °C, limit {limit:g}", largest
    return None, largest


def _rounded(dataset: xr.Dataset) -> xr.Dataset:
    """Coordinates rounded, so that those of other types of numbers are equal, each once."""
    places = {dim: dataset[dim].values.astype(float) for dim in ("depth", "latitude", "longitude")}
    places["longitude"] = (places["longitude"] + 180) % 360 - 180
    dates = dataset.time.values.astype("M8[m]").astype("M8[ns]")
    rounded = {dim: values.round(3) for dim, values in places.items()} | {"time": dates}
    return dataset.assign_coords(rounded).drop_duplicates([*rounded])


def judge_reconstruction(result: xr.Dataset, good: xr.Dataset, mutation: Mutation) -> Verdict:
    """Whether a reconstruction is finite, possible, and near enough to that of the good input."""
    ocean = result.ocean.astype(bool)
    for name in ("mean", "members", "background"):
        if name in result and (wrong := _values(name, result[name], ocean, False)):
            return Verdict("silent", wrong)
    for name in ("spread", "background_error"):
        if name in result:
            values = result[name].where(ocean, 0)
            if not (np.isfinite(values).all() and (values >= 0).all() and (values < 50).all()):
                return Verdict(
                    "silent", f"{name} from {float(values.min())} to {float(values.max())}"
                )
    return _told(result, good, "mean", mutation)


def judge_fields(
    fields: xr.Dataset, stored: xr.Dataset, good: xr.Dataset, mutation: Mutation
) -> Verdict:
    """Whether opened fields and their store are possible, alike, and near enough to the good."""
    for name, dataset in (("temperature", fields), ("stored temperature", stored)):
        ocean = dataset.ocean.astype(bool)
        if wrong := _values(name, dataset.temperature, ocean, mutation.gaps):
            return Verdict("silent", wrong)
    a, b = xr.align(_rounded(fields[["temperature"]]), _rounded(stored[["temperature"]]))
    apart = float(abs(a.temperature - b.temperature).max())
    if apart > ROUNDING:
        return Verdict("silent", f"the store differs by {apart:g} °C from the fields")
    return _told(stored, good, "temperature", mutation)


def _told(result: xr.Dataset, good: xr.Dataset, name: str, mutation: Mutation) -> Verdict:
    wrong, largest = _change(result, good, name, mutation)
    if wrong:
        return Verdict("silent", wrong)
    if mutation.expected == "refused":
        return Verdict("silent", f"accepted; {name} changes by {largest:g} °C")
    return Verdict("right", f"{name} changes by {largest:g} °C")
