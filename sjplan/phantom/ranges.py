"""How far a number of the phantom may be varied, and where that comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from sjplan.core.errors import InputError


class Range(NamedTuple):
    """Smallest and largest value that may be asked for, and their source (keys as in docs/phantom.md)."""

    low: float
    high: float
    source: str = "default"


def check_ranges(group: object, ranges: Mapping[str, Range], of: str = "phantom") -> None:
    """Turn every field of `ranges` into a float and check it; for use in the `__post_init__` of a frozen dataclass.

    Raises
    ------
    InputError
        Naming key, value, range and source.
    """
    for name, (low, high, source) in ranges.items():
        value = float(getattr(group, name))
        if not low <= value <= high:
            raise InputError(f"{of} {name}", found=f"{value:g}", wanted=f"{low:g} to {high:g} ({source})")
        object.__setattr__(group, name, value)


def one_of(group: object, name: str, legal: tuple[str, ...], of: str = "phantom") -> None:
    """Check that a field holds one of a few words.

    Raises
    ------
    InputError
        Naming key, value and the legal words.
    """
    value = getattr(group, name)
    if value not in legal:
        raise InputError(f"{of} {name}", found=repr(value), wanted="one of " + ", ".join(legal))


NO_SIDE: Final = "none"
SIDE_WORDS: Final = ("none", "left", "right", "both")
"""What a field takes that says which sides something is found on."""


def on_side(word: str, side: str) -> bool:
    """Whether a word of `SIDE_WORDS` means this side.

    Examples
    --------
    >>> on_side("both", "left"), on_side("left", "right")
    (True, False)
    """
    return word in ("both", side)
