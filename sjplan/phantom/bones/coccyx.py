"""The coccyx: three to five flattened segments that curve forward from the tip of the sacrum."""

from __future__ import annotations

from typing import Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.errors import InputError
from sjplan.phantom.bones.parts import Part, Parts, Point

SEGMENTS: Final = (1, 5)
"""Fewest and most segments (four in most, recalled)."""

LENGTH_MM: Final = (13.0, 10.0, 8.0, 6.5, 5.0)
"""Length of each segment from above (default; about 37 mm in all for four, recalled: 30 to 45)."""

HALF_WIDTH_MM: Final = (8.5, 6.5, 5.2, 4.4, 3.6)
"""Half-width of each segment at its upper end (default)."""

FLATNESS: Final = 1.9
"""Width over depth (default)."""

BEND_DEG: Final = 14.0
"""How much each segment turns further forward than the one above (default)."""

PROCESS_MM: Final = 11.5
"""Reach of the transverse processes of the first segment from the midline (default)."""


def coccyx(start_mm: Point, direction: Point, segments: int = 4, bend_deg: float = BEND_DEG) -> Parts:
    """The coccyx, connected to what holds `start_mm`, such as the tip of S5.

    Parameters
    ----------
    start_mm : (x, y, z)
        Where the first segment begins, inside S5; frame: x to the side, y posterior, z cranial; mm.
    direction : (x, y, z)
        Where it points there, such as (0, -0.5, -0.87); of any length.
    segments : int
        How many, 1 to 5.
    bend_deg : float
        Turn of each segment against the one above, positive forward.

    Returns
    -------
    Parts
        Its `distance_mm` takes points with x from the midline to either side, unsigned or signed alike.

    Raises
    ------
    InputError
        For another number of segments.

    Examples
    --------
    >>> bone = coccyx((0.0, -9.0, -112.0), (0.0, -0.5, -0.87))
    >>> bool(bone.distance_mm(np.array([[0.0, -12.0, -117.0]]))[0] < 0)
    True
    """
    low, high = SEGMENTS
    if not low <= segments <= high:
        raise InputError("coccyx segments", found=f"{segments}", wanted=f"{low} to {high}")
    at, along = np.asarray(start_mm, dtype=np.float64), np.asarray(direction, dtype=np.float64)
    along = along / np.linalg.norm(along)
    parts: list[Part] = []
    for n in range(segments):
        front = np.array((0.0, along[2], -along[1]))
        half, tip = HALF_WIDTH_MM[n], 0.6 * HALF_WIDTH_MM[n]
        # Both ends stop short of the neighbours, so that a waist marks the joint between.
        begin, end = at + along * (0.3 if n == 0 else 0.72) * half, at + along * (LENGTH_MM[n] - 0.6 * tip)
        parts.append(Part(f"Co{n + 1}", _point(begin), _point(end), (half, tip), FLATNESS, _point(front), 1.5))
        if n == 0:
            root = at + along * 3.0
            end = root + np.array((PROCESS_MM - 2.5, 0.0, 0.5))
            parts.append(Part("transverse process", _point(root), _point(end), (4.0, 2.5), 1.2, _point(front), 2.0))
        at = at + along * LENGTH_MM[n]
        c, s = np.cos(np.deg2rad(bend_deg)), np.sin(np.deg2rad(bend_deg))
        along = np.array((along[0], c * along[1] + s * along[2], -s * along[1] + c * along[2]))
    return Parts(parts, mirrored=True)


def _point(v: Array) -> Point:
    x, y, z = v.tolist()
    return x, y, z
