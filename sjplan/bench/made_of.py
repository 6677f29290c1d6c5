"""Names for what is kept between runs: made of everything it was made from, the code of this package included."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any, Final

import sjplan

NAME_LENGTH: Final = 32
"""Hexadecimal digits of a kept file's name."""


def name_of(values: Any, *rooms: str) -> str:
    """A name for what plain values and the code of some rooms make: other values or other code, another name.

    Examples
    --------
    >>> name_of([1, "a"], "core") == name_of([1, "a"], "core"), name_of([1, "a"], "core") == name_of([2, "a"], "core")
    (True, False)
    """
    text = json.dumps([values, code_sha256(*rooms)], sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:NAME_LENGTH]


@functools.cache
def code_sha256(*rooms: str) -> str:
    """Of every module of some rooms of this package."""
    digest = hashlib.sha256()
    package = Path(sjplan.__file__).parent
    for room in sorted(rooms):
        for path in sorted((package / room).rglob("*.py")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()
