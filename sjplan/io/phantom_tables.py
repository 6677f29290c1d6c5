"""Tables that preset and cohort files share: fields from the phantom's dataclasses, complaints in one line."""

from __future__ import annotations

import contextlib
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from sjplan.core.errors import InputError, SjplanError, unknown_name
from sjplan.phantom.habitus import HABITUS_RANGES
from sjplan.phantom.parameters import GROUPS, RANGES, PhantomParameters
from sjplan.phantom.ranges import Range
from sjplan.phantom.scanner import SCANNER_RANGES
from sjplan.phantom.variants import VARIANT_RANGES

Model = TypeVar("Model", bound=BaseModel)

SHAPE: Final = "parameters"
"""Name of the table of shape parameters, beside those of `GROUPS`."""

TARGETS: Final = "targets.toml"
"""A file beside the presets that is none."""

GROUP_RANGES: Final[Mapping[str, Mapping[str, Range]]] = {
    SHAPE: RANGES,
    "variants": VARIANT_RANGES,
    "habitus": HABITUS_RANGES,
    "scanner": SCANNER_RANGES,
}
"""Ranges of the numbers of each table."""


class Table(BaseModel):
    """A table that takes no key but its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


DEFAULT: Final = PhantomParameters()

_Number = Annotated[float, Field(strict=True)]
_Three = tuple[_Number, _Number, _Number]


def _hint(value: object) -> Any:
    """What a TOML file may say for a field whose default is `value`."""
    if isinstance(value, np.ndarray):
        return _Three
    if isinstance(value, tuple):
        return tuple[str, ...]
    return _Number if isinstance(value, float) else Annotated[type(value), Field(strict=True)]


def _plain(value: object) -> Any:
    return tuple(value.tolist()) if isinstance(value, np.ndarray) else value


def _table(name: str, default: object) -> type[Table]:
    """The table of one dataclass's fields, in its order and with its defaults; groups have tables of their own."""
    defaults = {f.name: getattr(default, f.name) for f in fields(default)}  # type: ignore[arg-type]
    hints: dict[str, Any] = {k: (_hint(v), _plain(v)) for k, v in defaults.items() if k not in GROUPS}
    return create_model(name, __base__=Table, **hints)


TABLES: Final[Mapping[str, type[Table]]] = {
    SHAPE: _table("ParameterTable", DEFAULT),
    **{name: _table(f"{name.capitalize()}Table", kind()) for name, kind in GROUPS.items()},
}
"""One table for each group of parameters."""


def dotted(table: str, name: str) -> str:
    """How `[sources]` names a value: by its key alone for the shape, with its table before it for the groups.

    Examples
    --------
    >>> dotted("parameters", "size"), dotted("habitus", "bmi")
    ('size', 'habitus.bmi')
    """
    return name if table == SHAPE else f"{table}.{name}"


def phantom_of(values: Mapping[str, Mapping[str, Any]]) -> PhantomParameters:
    """The parameters of plain values, table by table; what is left out keeps its default.

    Raises
    ------
    SjplanError
        For values out of range, or that contradict each other.

    Examples
    --------
    >>> phantom_of({"parameters": {"size": 0.9}, "habitus": {"bmi": 31.0}}).habitus.bmi
    31.0
    """
    groups = {name: kind(**values.get(name, {})) for name, kind in GROUPS.items()}
    return PhantomParameters(**values.get(SHAPE, {}), **groups)


def check_value(where: str, table: str, name: str, value: object) -> None:
    """Check one value alone: its type, its range, its legal words.

    Raises
    ------
    SjplanError
        Naming `where`, the value, what is allowed and the source of that.

    Examples
    --------
    >>> check_value("mine.toml: habitus.bmi", "habitus", "bmi", 25.0)
    """
    try:
        TABLES[table].model_validate({name: value})
    except ValidationError as error:
        raise InputError(where, found=_shown(value), wanted=_wanted(error.errors()[0], (table, name))) from error
    limits = GROUP_RANGES[table].get(name)
    if limits is None:
        with prefixed(where):
            phantom_of({table: {name: value}})
    elif not limits.low <= float(value) <= limits.high:  # type: ignore[arg-type]
        raise InputError(where, found=_shown(value), wanted=in_words(limits))


def in_words(limits: Range) -> str:
    """A range as a complaint names it.

    Examples
    --------
    >>> in_words(Range(0.8, 1.2, "DRY30"))
    '0.8 to 1.2 (DRY30)'
    """
    return f"{limits.low:g} to {limits.high:g} ({limits.source})"


@contextlib.contextmanager
def prefixed(where: str) -> Iterator[None]:
    """Put the file's name before what an error is about.

    Examples
    --------
    >>> with prefixed("mine.toml"):
    ...     raise InputError("size", found="2", wanted="0.8 to 1.2")
    Traceback (most recent call last):
        ...
    sjplan.core.errors.InputError: mine.toml: size: found 2; wanted 0.8 to 1.2
    """
    try:
        yield
    except SjplanError as error:
        raise type(error)(f"{where}: {error.what}", found=error.found, wanted=error.wanted, fix=error.fix) from error


def toml_text(document: Mapping[str, Any]) -> str:
    """TOML of plain values, of tables that hold plain values, and of lists of such; floats come back bit by bit.

    A TOML value of these kinds (text, number, truth value, list) is written as JSON writes it; tables inside tables
    are written inline.

    Examples
    --------
    >>> print(toml_text({"name": "mine", "parameters": {"size": 0.1, "closed": ["S1_left"]}}), end="")
    name = "mine"
    <BLANKLINE>
    [parameters]
    size = 0.1
    closed = ["S1_left"]
    """
    lines, tables = [], []
    for key, value in document.items():
        if isinstance(value, Mapping):
            tables += ["", f"[{_key(key)}]", *(f"{_key(k)} = {_value(v)}" for k, v in value.items())]
        elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            for item in value:
                tables += ["", f"[[{_key(key)}]]", *(f"{_key(k)} = {_value(v)}" for k, v in item.items())]
        else:
            lines.append(f"{_key(key)} = {_value(value)}")
    return "\n".join([*lines, *tables]) + "\n"


def _key(key: str) -> str:
    plain = key.isascii() and key.replace("_", "a").replace("-", "a").isalnum()
    return key if plain else _value(key)


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("\x7f", "\\u007f")


def phantoms_folder() -> Path:
    """The folder of presets that comes with sjplan: inside the wheel, or beside the package in a checkout."""
    packaged = Path(str(resources.files("sjplan.data"))) / "phantoms"
    beside = Path(__file__).parents[2] / "phantoms"
    for folder in (packaged, beside):
        if folder.is_dir():
            return folder
    raise InputError("phantom presets", found="no folder of presets", wanted=str(packaged), fix="install sjplan again")


def known_files(folder: Path) -> dict[str, Path]:
    """The files of a folder of presets or cohorts, by name, `default` and `adults` first."""
    found = {path.stem: path for path in folder.glob("*.toml") if path.name != TARGETS}
    return dict(sorted(found.items(), key=lambda item: (item[0] not in ("default", "adults"), item[0])))


def path_of(what: str, name: str, folder: Path) -> Path:
    """The file that a name of `folder`, or a path of the user's own, means.

    Raises
    ------
    UnknownNameError
        For a name that is neither; says the nearest.
    InputError
        For a path where no file is.
    """
    known = known_files(folder)
    if name in known:
        return known[name]
    path = Path(name).expanduser()
    if path.suffix == ".toml":
        if path.is_file():
            return path
        raise InputError(
            f"{what} file", found=f"no file {name}", wanted="a TOML file, or one of " + ", ".join(sorted(known))
        )
    raise unknown_name(f"phantom {what}", name, known)


def read_table(model: type[Model], path: Path) -> Model:
    """Read and check a TOML file.

    Raises
    ------
    SjplanError
        In one line: the file, the key, what was found and what was wanted.
    """
    try:
        content: Mapping[str, object] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path.name}", found=f"{error}", wanted="a readable TOML file") from error
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise _complaint(path.name, model, error) from error


def _complaint(file: str, model: type[BaseModel], error: ValidationError) -> SjplanError:
    first = error.errors(include_url=False)[0]
    legal, keys = _legal(model, first["loc"])
    where = ": ".join([file, ".".join(keys)] if keys else [file])
    if first["type"] == "extra_forbidden":
        return unknown_name(where, keys[-1], legal)
    if first["type"] == "missing":
        return InputError(where, found="no such key", wanted=f"a line {keys[-1]} = ...")
    if first["type"] == "value_error":
        wanted = "tables as in the files that come with sjplan"
        return InputError(where, found=str(first["ctx"]["error"]), wanted=wanted)
    if first["type"].startswith("union_tag"):
        kinds = str(first.get("ctx", {}).get("expected_tags", "")) or "normal, uniform, choice or constant"
        return InputError(f"{where}.kind", found=repr(first.get("ctx", {}).get("tag", "nothing")), wanted=kinds)
    return InputError(where, found=_shown(first["input"]), wanted=_wanted(first, keys))


def _legal(model: type[BaseModel], place: Iterable[int | str]) -> tuple[list[str], list[str]]:
    """Keys that are legal beside the place of an error, and the place as a person writes it."""
    models, legal, keys = [model], list[str](), list[str]()
    tags = {tag for m in _laws(model) for tag in get_args(m.model_fields["kind"].annotation)}
    for part in place:
        found = {f.alias or name: f for m in models for name, f in m.model_fields.items()}
        legal = list(found)
        if str(part) in tags and part not in found:
            continue
        keys.append(str(part))
        if part in found:
            models = _models(found[str(part)].annotation)
    return legal, keys


def _laws(model: type[BaseModel]) -> list[type[BaseModel]]:
    inside = [m for f in model.model_fields.values() for m in _models(f.annotation)]
    return [m for m in inside if "kind" in m.model_fields]


def _models(hint: Any) -> list[type[BaseModel]]:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return [hint]
    return [model for argument in get_args(hint) for model in _models(argument)]


def _wanted(error: Any, keys: Iterable[str]) -> str:
    """What pydantic wanted, in our words, with range and source where the key has them."""
    table, name, *_ = [*keys, "", ""]
    limits = GROUP_RANGES.get(table, {}).get(name)
    if error["type"] == "tuple_type":
        return "a list, such as [...]"
    text = str(error["msg"]).removeprefix("Input should be ").removeprefix("a valid ").removeprefix("Value error, ")
    return f"a number, {in_words(limits)}" if limits else text


def _shown(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
