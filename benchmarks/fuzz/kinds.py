"""One case of a kind: a good input, mutated, given to what a user calls, and judged."""

import contextlib
import io
import tempfile
import warnings
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np

from ocean_lib.fields.canonical import open_fields
from ocean_lib.runs.checks import check_parameters
from ocean_lib.runs.parameters import NOTEBOOKS, load_parameters
from ocean_lib.store.store import build_store

from . import casts, casts_changes, checkpoints, gridded, gridded_changes, parameters
from .base import SPLIT, Base, reconstructed, whole_store
from .judge import Verdict, judge_error, judge_fields, judge_reconstruction
from .mutation import Mutation

__all__ = ["KINDS", "choose", "run_case"]


SMOKE = (NOTEBOOKS / "parameters" / "smoke.yaml").read_text()


@cache
def _catalogue(kind: str) -> list[Mutation]:
    return KINDS[kind][0]()


@cache
def _order(kind: str, seed: int) -> list[int]:
    return _generator(kind, seed).permutation(len(_catalogue(kind))).tolist()


def _generator(kind: str, *numbers: int) -> np.random.Generator:
    return np.random.default_rng([sorted(KINDS).index(kind), *numbers])


def choose(kind: str, seed: int, index: int) -> Mutation:
    """The mutation of an index: from the catalogue, in an order that the seed decides."""
    order = _order(kind, seed)
    return _catalogue(kind)[order[index % len(order)]]


def run_case(base: Base, kind: str, seed: int, index: int) -> Verdict:
    """Mutate, call, judge.

    Args:
        base: the good inputs.
        kind: a key of `KINDS`.
        seed: of all cases.
        index: of this one.
    """
    mutation, prepare = choose(kind, seed, index), KINDS[kind][1]
    rng = _generator(kind, seed, index)
    with (
        tempfile.TemporaryDirectory(prefix="fuzz ") as folder,
        warnings.catch_warnings(record=True) as caught,
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("always")
        try:
            call = prepare(base, mutation, rng, Path(folder))
        except Exception as error:  # a fault of the fuzzer
            return Verdict("unmade", f"{type(error).__name__}: {error}")
        verdict = call()
    verdict.warned = any(issubclass(one.category, RuntimeWarning) for one in caught)
    return verdict


def _judged(mutation: Mutation, call: Callable, judge: Callable) -> Verdict:
    try:
        result = call()
    except Exception as error:
        return judge_error(error, mutation)
    return judge(result)


def _reconstruction(base, mutation, kind, checkpoint, path, folder, **choices) -> Verdict:
    return _judged(
        mutation,
        lambda: reconstructed(checkpoint, path, folder / "dense.nc", **choices),
        lambda result: judge_reconstruction(result, base.results[kind], mutation),
    )


def _observations(base: Base, mutation: Mutation, rng, folder: Path) -> Callable[[], Verdict]:
    file, path = gridded_changes.File(base.observations.copy(deep=True)), folder / "observations.nc"
    mutation.apply(file, rng)
    gridded_changes.write(file, path, rng)
    checkpoint = base.folder / "checkpoint.safetensors"
    return partial(_reconstruction, base, mutation, "observations", checkpoint, path, folder)


def _casts(base: Base, mutation: Mutation, rng, folder: Path) -> Callable[[], Verdict]:
    table = casts_changes.Table(base.casts.copy())
    mutation.apply(table, rng)
    path = casts_changes.write(table, folder, rng)
    kind = "argo" if table.format == "argo" else "casts"
    given = base.folder / "checkpoint.safetensors", path, folder
    return partial(_reconstruction, base, mutation, kind, *given, **table.choices)


def _fields(base: Base, mutation: Mutation, rng, folder: Path) -> Callable[[], Verdict]:
    file, path = gridded_changes.File(base.fields.copy(deep=True)), folder / "fields.nc"
    mutation.apply(file, rng)
    gridded_changes.write(file, path, rng)

    def call():
        fields = open_fields(path)
        return fields.load(), whole_store(build_store(fields, folder / "store", **SPLIT))

    good = base.results["fields"]
    return lambda: _judged(mutation, call, lambda made: judge_fields(*made, good, mutation))


def _checkpoints(base: Base, mutation: Mutation, rng, folder: Path) -> Callable[[], Verdict]:
    path = folder / "checkpoint.safetensors"
    path.write_bytes((base.folder / "checkpoint.safetensors").read_bytes())
    mutation.apply(path, rng)
    given = path, base.folder / "one_date.nc", folder
    return partial(_reconstruction, base, mutation, "checkpoints", *given)


def _parameters(base: Base, mutation: Mutation, rng, folder: Path) -> Callable[[], Verdict]:
    experiment, path = parameters.Experiment(SMOKE, []), folder / "mine.yaml"
    mutation.apply(experiment, rng)
    path.write_text(experiment.text, encoding="utf-8")

    def call():
        values = load_parameters(path, experiment.overrides)
        check_parameters(values)
        return values

    def judge(values):
        beyond = parameters.implausible(values)
        return Verdict("silent", beyond) if beyond else Verdict("right")

    return lambda: _judged(mutation, call, judge)


def _names() -> list[str]:
    return sorted(load_parameters("smoke"))


KINDS: dict[str, tuple[Callable[[], list[Mutation]], Callable[..., Callable[[], Verdict]]]] = {
    "observations": (lambda: gridded.mutations("observations"), _observations),
    "casts": (casts.mutations, _casts),
    "fields": (lambda: gridded.mutations("fields"), _fields),
    "checkpoints": (checkpoints.mutations, _checkpoints),
    "parameters": (lambda: parameters.mutations(_names()), _parameters),
}
