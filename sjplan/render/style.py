"""Colours and words that every picture shares, so that a structure looks the same in all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sjplan.core.errors import GeometryError
from sjplan.core.structure_words import NAMED
from sjplan.core.structures import FORAMINA, SURFACE_NAMES

SLOT_COLOURS: Final[Mapping[int, str]] = {1: "#e69f00", 2: "#0084d1", 3: "#d55e9a"}
"""Colour of each implant slot, told apart also by people who confuse red and green (after Okabe and Ito, 2008)."""


def slot_colour(number: int) -> str:
    """Colour of an implant; numbers beyond 3 (the second side of a plan) start again.

    Examples
    --------
    >>> slot_colour(4) == slot_colour(1)
    True
    """
    return SLOT_COLOURS[(number - 1) % len(SLOT_COLOURS) + 1]


PIN_COLOUR: Final = "#00c8a0"

_LEVEL_COLOURS: Final = {"S1": "#e41a1c", "S2": "#ff7f00", "S3": "#c8b400", "S4": "#7a5cc7"}

STRUCTURE_COLOURS: Final[Mapping[str, str]] = {
    **{name: _LEVEL_COLOURS[name.split("_")[1]] for name in FORAMINA},
    "canal": "#f0e442",
    "anterior": "#74bce6",
    "superior": "#2c6fd1",
    "posterior": "#9aa67c",
    "inferior": "#a0623c",
    "notch": "#c2185b",
    "iliac_inner": "#8ecfc9",
    "iliac_border": "#5b7f5b",
    "metal": "#303030",
    "scan_edge": "#ff00ff",
    "joint_articular": "#2ca02c",
    "joint_ligamentous": "#a6dba0",
    "lateral": "#ddd0b8",
}
"""One colour per surface name; the foramina of a level share one, left and right are told apart by place."""

_LANDMARK_COLOURS: Final = {
    "iliac_density": "#ffb000",
    "notch": "#ff6fae",
    "alar_line": "#5ec8ff",
    "s1_endplate": "#7dff8a",
    "posterior_body_line": "#f5f05a",
    "arcuate": "#ff8a5c",
}
"""Of lines drawn over a radiograph, by the beginning of their name: bright, for bone is dark there."""


def landmark_colour(name: str) -> str:
    """Colour of a landmark line; both sides and all levels share one.

    Examples
    --------
    >>> landmark_colour("notch_left") == landmark_colour("notch_right")
    True
    """
    return next((colour for start, colour in _LANDMARK_COLOURS.items() if name.startswith(start)), "#ffffff")


BONE_COLOUR: Final = "#e8dcc3"

CLEARANCE_STEPS: Final = (
    (0.0, "#ff5a36", "out of bone"),
    (2.0, "#ffc400", "below 2 mm"),
    (5.0, "#8fd3ff", "2 to 5 mm"),
    (float("inf"), "#2f7de0", "5 mm and more"),
)
"""Clearance below which a path has a colour, that colour, and what it means; orange to blue, which few people confuse.
The limits are those of the judge's defaults for foramina (2 mm) and of a comfortable margin (BMC19, 5 mm)."""


def clearance_colour(clearance_mm: float) -> str:
    """Colour of a stretch of a path with so much clearance.

    Examples
    --------
    >>> clearance_colour(-0.1) == CLEARANCE_STEPS[0][1], clearance_colour(9.0) == CLEARANCE_STEPS[-1][1]
    (True, True)
    """
    return next(colour for below, colour, _ in CLEARANCE_STEPS if clearance_mm < below)


if set(STRUCTURE_COLOURS) != set(SURFACE_NAMES):
    raise GeometryError(
        "STRUCTURE_COLOURS",
        found=f"{sorted(set(STRUCTURE_COLOURS) ^ set(SURFACE_NAMES))} in one list only",
        wanted="a colour for every surface name",
    )


def words(name: str) -> str:
    """A structure or landmark name as a person reads it.

    Examples
    --------
    >>> words("foramen_S1_left"), words("iliac_inner"), words("psis_right"), words("s1_endplate_centre")
    ('S1 foramen L', 'iliac fossa', 'PSIS R', 'S1 endplate')
    """
    parts = name.split("_")
    side = {"left": " L", "right": " R"}.get(parts[-1], "")
    stem = "_".join(parts[:-1]) if side else name
    if stem.startswith("arcuate_"):
        return f"{parts[1]} arcuate line{side}"
    if stem.startswith("foramen_"):
        return f"{parts[1]} foramen{side}"
    return _WORDS.get(stem, stem.replace("_", " ")) + side


_WORDS: Final = {
    **{name: named.short for name, named in NAMED.items()},
    "joint_articular": "joint, articular",
    "joint_ligamentous": "joint, ligamentous",
    "lateral": "lateral ilium",
    "psis": "PSIS",
    "asis": "ASIS",
    "iliac_density": "iliac density",
    "s1_endplate_centre": "S1 endplate",
    "s1_endplate": "S1 endplate",
    "s2_anterior": "S2 anterior cortex",
}


def legend_entries(structures: Iterable[str]) -> dict[str, str]:
    """Words and colour of each structure; the foramina of a level share an entry.

    Examples
    --------
    >>> list(legend_entries(["foramen_S1_left", "foramen_S1_right", "canal"]))
    ['S1 foramen', 'canal']
    """
    return {
        f"{name.split('_')[1]} foramen" if name.startswith("foramen_") else words(name): STRUCTURE_COLOURS[name]
        for name in structures
    }
