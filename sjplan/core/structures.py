"""The names of everything a surface can be: the structures an implant must keep clear of, and the rest."""

from __future__ import annotations

from typing import Final

LEVELS: Final = ("S1", "S2", "S3", "S4")


def foramen_name(level: str, side: str) -> str:
    """The danger structure of one neural foramen.

    Examples
    --------
    >>> foramen_name("S1", "left")
    'foramen_S1_left'
    """
    return f"foramen_{level}_{side}"


FORAMINA: Final = tuple(foramen_name(level, side) for level in LEVELS for side in ("left", "right"))
DANGERS: Final = (
    *FORAMINA,
    "canal",
    "anterior",
    "superior",
    "posterior",
    "inferior",
    "notch",
    "iliac_inner",
    "iliac_border",
    "metal",
    "scan_edge",
)
"""Structures that an implant keeps clear of. Every boundary face of bone is one of these or one of PASSAGES."""

PASSAGES: Final = ("joint_articular", "joint_ligamentous", "lateral")
"""Surfaces that an implant crosses on purpose: both joint faces, and the gluteal side of the ilium."""

SURFACE_NAMES: Final = (*DANGERS, *PASSAGES)
"""All surface names; a face's label is its index here."""

SURFACE_ID: Final = {name: i for i, name in enumerate(SURFACE_NAMES)}

LIMIT_KINDS: Final = ("foramen", "canal", *DANGERS[DANGERS.index("anterior") :])
"""Kinds that carry a clearance limit: all foramina share one."""


def limit_kind(structure: str) -> str:
    """The kind of limit that a danger structure falls under.

    Examples
    --------
    >>> limit_kind("foramen_S2_right"), limit_kind("notch")
    ('foramen', 'notch')
    """
    return "foramen" if structure.startswith("foramen_") else structure
