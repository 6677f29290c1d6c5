"""Landmarks of the hip bones, by the definitions that a pelvis of a scan is read with, on the implicit shape.

The anterior pelvic plane touches both ASIS and the pubis. An ASIS or PSIS is the middle of the bone that lies within
`CAP_MM` of the farthest point along that plane's normal; the symphysis is the middle of where both pubic bones come
nearest to each other, to within `FACING_MM`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.phantom.bones.hip import HipHalf

CAP_MM: Final = 2.0
FACING_MM: Final = 3.0

_COARSE_MM: Final = 4.0
_FINE_MM: Final = 1.0
_ASIS_BOX_MM: Final = (24.0, 20.0, 24.0)
_PSIS_BOX_MM: Final = (16.0, 16.0, 34.0)
_PUBIS_BOX_MM: Final = (30.0, 26.0, 26.0)
"""Half of the box in which each is looked for, round its place in the form."""

_TURNS: Final = 6
"""So often the plane is laid anew against what it touches."""


@dataclass(frozen=True, slots=True, eq=False)
class HipMarks:
    """What is found on both hip bones, in the pelvic frame at size 1.

    Parameters
    ----------
    points_mm : mapping of name to (3,) float
        ASIS and PSIS of each side, x counted to that side, and the symphysis.
    anterior : (3,) float
        Unit normal, forwards, of the anterior pelvic plane.
    symphysis_top_mm : (3,) float
        Where the facing pubic bones reach highest along that plane, in the midplane.
    """

    points_mm: Mapping[str, Array]
    anterior: Array
    symphysis_top_mm: Array


def hip_marks(hips: Mapping[str, HipHalf]) -> HipMarks:
    """Landmarks of both hip bones; where they are one and the same it is looked at once."""
    one = {id(hip): hip for hip in hips.values()}
    asis = {key: _skin(hip, hip.middle(hip.asis_place()), _ASIS_BOX_MM) for key, hip in one.items()}
    psis = {key: _skin(hip, hip.middle(hip.psis_place()), _PSIS_BOX_MM) for key, hip in one.items()}
    beside = np.array((_PUBIS_BOX_MM[0], 0.0, 0.0))
    pubis = [_skin(hip, hip.form.symphysis_mm + beside, _PUBIS_BOX_MM) for hip in one.values()]
    facing = [_facing(hip) for hip in one.values()]
    anterior = _anterior(np.concatenate(list(asis.values())), np.concatenate(pubis))
    up = np.cross((1.0, 0.0, 0.0), anterior)
    found = {"symphysis": np.mean([places.mean(axis=0) for places in facing], axis=0)}
    for side, hip in hips.items():
        found[f"asis_{side}"] = _cap(asis[id(hip)], anterior)
        found[f"psis_{side}"] = _cap(psis[id(hip)], -anterior)
    return HipMarks(found, anterior, _cap(np.concatenate(facing), up * np.sign(up[2])))


def _skin(hip: HipHalf, centre: Array, half_box_mm: tuple[float, ...]) -> Array:
    """Places on the bone's surface within a box, (n, 3), some `_FINE_MM` apart."""
    axes = [np.arange(-h, h, _COARSE_MM) for h in half_box_mm]
    coarse = centre + np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    coarse = coarse[np.abs(hip.bone_mm(coarse)) < _COARSE_MM]
    steps = np.arange(-_COARSE_MM / 2.0, _COARSE_MM / 2.0, _FINE_MM)
    fine = (
        coarse[:, None] + np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    ).reshape(-1, 3)
    return np.asarray(fine[np.abs(hip.bone_mm(fine)) < 0.5 * _FINE_MM])


def _anterior(spines: Array, pubis: Array) -> Array:
    """Unit normal, forwards, of the plane that touches both, square to the midplane."""
    normal = np.array((0.0, -1.0, 0.0))
    for _ in range(_TURNS):
        above, below = (points[np.argmax(points @ normal)] for points in (spines, pubis))
        _, y, z = above - below
        normal = np.array((0.0, -z, y)) / np.hypot(y, z)
    return normal


def _cap(points: Array, direction: Array) -> Array:
    reach = points @ direction
    return np.asarray(points[reach > reach.max() - CAP_MM].mean(axis=0))


def _facing(hip: HipHalf) -> Array:
    """Places in the midplane, (n, 3), amid which the symphysis lies: there the pubic bone faces the other."""
    step, reach = 1.5 * _FINE_MM, _PUBIS_BOX_MM[2]
    x, across = np.arange(0.0, 10.0, 0.25), np.arange(-reach, reach, step)
    grid = np.stack(np.meshgrid(x, across, across, indexing="ij"), axis=-1) + hip.form.symphysis_mm
    inside = hip.bone_mm(grid.reshape(-1, 3)).reshape(grid.shape[:3]) < 0
    face = np.where(inside.any(axis=0), x[inside.argmax(axis=0)], np.inf)
    return np.asarray(grid[0][2.0 * face <= 2.0 * face.min() + FACING_MM] * (0.0, 1.0, 1.0))
