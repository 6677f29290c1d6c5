"""TOML tables, shipped or a user's own, and pydantic's complaints about them in one line."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from sjplan.core.errors import InputError
from sjplan.io.payload import read_text

MAX_TABLE_BYTES: Final = 2**22
"""Largest TOML file that is read (bytes)."""

Model = TypeVar("Model", bound=BaseModel)


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    InputError
        For a missing or over-long file, and for one that is not TOML.
    """
    text = read_text(path, MAX_TABLE_BYTES)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(str(path), found=f"no valid TOML ({reason})", wanted="a TOML file") from error


def read_shipped(name: str) -> dict[str, Any]:
    """Read one of the tables in sjplan/data.

    Examples
    --------
    >>> read_shipped("limits.toml")["sacral_min_mm"]
    10.0
    """
    return tomllib.loads(resources.files("sjplan.data").joinpath(name).read_text("utf-8"))


def shipped_and_own(model: type[Model], name: str, extra: str | Path | None) -> list[tuple[str, Model]]:
    """A shipped table, then a user's own of the same kind if there is one: what each is called, and what it holds."""
    tables = [(name, read_shipped(name))]
    if extra is not None:
        tables.append((str(extra), read_toml(extra)))
    return [(what, validated(model, table, what)) for what, table in tables]


def validated(model: type[Model], value: Any, what: str) -> Model:
    """Build `model` from plain values; the first complaint becomes one line that names the field.

    Raises
    ------
    InputError
        Naming `what`, the field, what it holds and what was wanted.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise one_line(error, what) from error


def one_line(error: ValidationError, what: str) -> InputError:
    """The first complaint of a pydantic error as an InputError."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    name = f"{what}: {place}" if place else what
    if first["type"] == "missing":
        return InputError(name, found="nothing", wanted="a value", fix=f"add {first['loc'][-1]}")
    if first["type"] == "extra_forbidden":
        return InputError(name, found="an unknown field", wanted="only known fields", fix="check its spelling")
    found = repr(first["input"])
    wanted = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return InputError(name, found=found if len(found) <= 60 else found[:57] + "...", wanted=wanted)
