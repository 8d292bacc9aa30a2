"""Strict parameters: nothing runs on a misspelt name or on a value of the wrong type.

An experiment is a YAML file of values for the notebooks' parameters cells. papermill alone lets a
misspelt name pass with a warning and the default runs; YAML reads `1e-4` as text. So every name
must be declared in the parameters cell (tagged `parameters`, annotated literals) of at least one
notebook of the chain, and every value must fit that annotation. A name that several notebooks
declare is one parameter with one value: annotations and defaults must agree.
"""

import ast
import datetime
import difflib
import glob
import json
import re
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "NOTEBOOKS",
    "Parameter",
    "RunError",
    "chain",
    "declared",
    "load_parameters",
    "parameters_files",
    "suggestion",
]


NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
_TYPES = {kind.__name__: kind for kind in (bool, int, float, str, list, tuple, dict)}


class RunError(ValueError):
    """A run is refused; the text names the value, the limit and the remedy."""


@dataclass(frozen=True)
class Parameter:
    """One line of a parameters cell: its annotation as a type, and its default."""

    kind: typing.Any
    default: typing.Any

    @property
    def annotation(self) -> str:
        return self.kind.__name__ if type(self.kind) is type else str(self.kind)


def chain(notebooks: Path) -> list[Path]:
    """The numbered notebooks, in the order in which a run executes them."""
    return sorted(Path(notebooks).glob("[0-9][0-9]_*.ipynb"))


def parameters_files(notebooks: Path) -> list[Path]:
    """The experiments: every file in `notebooks/parameters`."""
    return sorted((Path(notebooks) / "parameters").glob("*.yaml"))


def declared(notebook: Path) -> dict[str, Parameter]:
    """The parameters that a notebook declares.

    Raises:
        RunError: a line of the parameters cell is not `name: annotation = literal`.
    """
    cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
    tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", ())]
    if not tagged:
        return {}
    found = {}
    for line in ast.parse("".join(tagged[0]["source"])).body:
        try:
            if not isinstance(line, ast.AnnAssign) or line.value is None:
                raise ValueError
            kind = _type(line.annotation)
            found[line.target.id] = Parameter(kind, ast.literal_eval(line.value))
        except ValueError as error:
            raise RunError(
                f"{Path(notebook).name}: its parameters cell holds `{ast.unparse(line)}`; write"
                f" `name: annotation = literal`, annotated with {', '.join(_TYPES)} or None"
            ) from error
    return found


def _type(annotation: ast.expr):
    """The type that an annotation names, read from its syntax: nothing of a file is executed.

    Raises:
        ValueError: it is not made of the names in `_TYPES`, None, `[...]` and `|`.
    """
    match annotation:
        case ast.Name(id=name) if name in _TYPES:
            return _TYPES[name]
        case ast.Constant(value=None):
            return type(None)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _type(left) | _type(right)
        case ast.Subscript(value=ast.Name(id="list" | "tuple" | "dict" as name), slice=inside):
            parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
            return types.GenericAlias(_TYPES[name], tuple(_type(part) for part in parts))
    raise ValueError(f"{ast.unparse(annotation)} is no type of a parameter")


def load_parameters(
    name_or_path: str | Path, overrides: Iterable[str] = (), *, notebooks: Path = NOTEBOOKS
) -> dict:
    """Every parameter of the chain, resolved: default, then the YAML file, then overrides.

    Args:
        name_or_path: `demo` for `notebooks/parameters/demo.yaml`, or a path ending in `.yaml`.
        overrides: `key=value` each; the value is read as YAML, or as it stands for text.
        notebooks: the folder that holds the chain and its `parameters/`.

    Returns:
        Name to value; `run` is the file's stem unless given. A relative `path`, `observations` or
        `*_path` that exists from the working directory becomes absolute.

    Raises:
        RunError: a name is unknown, a value does not fit, or a file is absent or not a mapping.
    """
    every = _every_parameter(Path(notebooks))
    source = _parameters_file(name_or_path, Path(notebooks))
    try:
        given = _read_yaml(source.read_text(encoding="utf-8"), source.name) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{source} cannot be read ({error}); write it as UTF-8 text") from error
    if not isinstance(given, dict):
        raise RunError(f"{source.name} holds no `name: value` lines; write one a parameter")
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise RunError(f"{override!r} is no override; write key=value")
        _check_name(key, every, override)
        given[key] = text if every[key].kind is str else _read_yaml(text, override)

    resolved = {name: parameter.default for name, parameter in every.items()}
    resolved["run"] = source.stem
    for name, value in given.items():
        _check_name(name, every, source.name)
        resolved[name] = _checked(name, value, every[name])
        if name in ("path", "observations") or str(name).endswith("_path"):
            resolved[name] = _absolute(resolved[name])
        if name in ("patterns", "cases"):
            resolved[name] = [
                each | {"positions": _absolute(each["positions"])} if "positions" in each else each
                for each in resolved[name]
            ]
    return resolved


def _every_parameter(notebooks: Path) -> dict[str, Parameter]:
    if not chain(notebooks):
        raise RunError(f"{notebooks} holds no numbered notebook; run from a whole checkout")
    every, first = {}, {}
    for notebook in chain(notebooks):
        for name, parameter in declared(notebook).items():
            if every.setdefault(name, parameter) != parameter:
                other = every[name]
                raise RunError(
                    f"{first[name]} has `{name}: {other.annotation} = {other.default!r}` but"
                    f" {notebook.name} `{name}: {parameter.annotation} = {parameter.default!r}`;"
                    " a shared parameter has one annotation and one default"
                )
            first.setdefault(name, notebook.name)
    return every


def _parameters_file(name_or_path: str | Path, notebooks: Path) -> Path:
    given = Path(name_or_path)
    written = given.suffix in (".yaml", ".yml")
    source = given if written else notebooks / "parameters" / f"{given}.yaml"
    if source.is_file():
        return source
    known = [file.stem for file in parameters_files(notebooks)]
    raise RunError(
        f"no parameters {str(name_or_path)!r}{suggestion(str(given), known)};"
        f" known are: {', '.join(known)}; or give the path of a .yaml file"
    )


def _read_yaml(text: str, where: str):
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RunError(f"{where} is not YAML: {error}") from error


def _check_name(name, every: dict, where: str) -> None:
    if name not in every:
        raise RunError(
            f"no notebook has a parameter {name!r} (given by {where})"
            f"{suggestion(str(name), every)}; known are: {', '.join(sorted(every))}"
        )


def suggestion(name: str, known: Iterable[str]) -> str:
    """`, did you mean …?` where a known name is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def _checked(name: str, value, parameter: Parameter):
    """The value if it fits its annotation; a YAML date stands for its text."""
    if isinstance(value, datetime.date):
        value = value.isoformat()
    if _fits(value, parameter.kind):
        return value
    raise RunError(f"{name} is {value!r}, but must be {parameter.annotation}{_remedy(value)}")


def _fits(value, kind) -> bool:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, each) for each in inner)
    if kind is None or kind is types.NoneType:
        return value is None
    if kind in (list, tuple) or origin in (list, tuple):
        if not isinstance(value, list | tuple):
            return False
        if origin is tuple and Ellipsis not in inner:
            return len(value) == len(inner) and all(map(_fits, value, inner))
        return not inner or all(_fits(each, inner[0]) for each in value)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, origin or kind)


def _remedy(value) -> str:
    """What to write instead: YAML reads a number only with a point and a signed exponent."""
    for text in value if isinstance(value, list | tuple) else [value]:
        number = re.fullmatch(r"([+-]?\d+)\.?(\d*)[eE]([+-]?)(\d+)", str(text))
        if isinstance(text, str) and number:
            whole, part, sign, power = number.groups()
            return f"; YAML reads {text} as text: write {whole}.{part or 0}e{sign or '+'}{power}"
    if isinstance(value, bool):
        return "; YAML reads yes, no, on and off as true or false: quote it where text is meant"
    return ""


def _absolute(value):
    if isinstance(value, list | tuple):
        return [_absolute(each) for each in value]
    if isinstance(value, str) and value:
        path = Path(value).expanduser()
        return str(path.absolute()) if path.exists() or glob.glob(str(path)) else value
    return value
