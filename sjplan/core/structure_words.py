"""What a person calls a danger structure: one table for pages, reports, pictures and verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Named:
    """One structure in words.

    Parameters
    ----------
    title : str
        In a list or a table.
    short : str
        In a picture.
    wall : str
        In a sentence.
    way : {"into", "through", "past"}
        How something gets out there.
    """

    title: str
    short: str
    wall: str
    way: Literal["into", "through", "past"] = "through"


NAMED: Final = {
    "canal": Named("sacral canal", "canal", "the sacral canal", "into"),
    "anterior": Named("anterior face (L5 root, vessels)", "anterior face", "the front of the sacrum"),
    "superior": Named("ala top, S1 endplate", "ala top, S1 endplate", "the top of the ala"),
    "posterior": Named("posterior face", "posterior face", "the back of the sacrum"),
    "inferior": Named("below the joint", "below the joint", "the lower end of the joint"),
    "notch": Named("greater sciatic notch", "sciatic notch", "the greater sciatic notch", "into"),
    "iliac_inner": Named("iliac fossa", "iliac fossa", "the inner face of the ilium"),
    "iliac_border": Named("iliac crest and spines", "iliac border", "the border of the ilium"),
    "metal": Named("metal already there", "metal", "metal that was there", "into"),
    "scan_edge": Named("edge of the scan", "edge of the scan", "the end of the scan", "past"),
}
"""All but the foramina, which are named by level and side."""


def structure_words(name: str) -> str:
    """A danger structure, or a kind of them, in a list or a table.

    Examples
    --------
    >>> structure_words("foramen_S1_left"), structure_words("iliac_inner"), structure_words("foramen")
    ('S1 foramen, left', 'iliac fossa', 'foramen')
    """
    if name.startswith("foramen_"):
        _, level, side = name.split("_")
        return f"{level} foramen, {side}"
    return NAMED[name].title if name in NAMED else name.replace("_", " ")


def wall_words(structure: str) -> str:
    """A danger structure in a sentence.

    Examples
    --------
    >>> wall_words("foramen_S1_left"), wall_words("anterior")
    ('the left S1 foramen', 'the front of the sacrum')
    """
    if structure.startswith("foramen_"):
        _, level, side = structure.split("_")
        return f"the {side} {level} foramen"
    return NAMED[structure].wall


def out_words(structure: str) -> str:
    """Where something is that lies out behind a structure.

    Examples
    --------
    >>> out_words("foramen_S1_left"), out_words("anterior")
    ('into the left S1 foramen', 'through the front of the sacrum')
    """
    way = "into" if structure.startswith("foramen_") else NAMED[structure].way
    return f"{way} {wall_words(structure)}"
