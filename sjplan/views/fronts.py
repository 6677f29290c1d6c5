"""What a beam touches first: the fronts of the pelvis and of the sacrum, and the top of the symphysis.

A view that lays two fronts on each other follows the line that touches both. Such a touching point moves less with the
voxels it is found in than a landmark does that is the middle of a rounded edge.
"""

from __future__ import annotations

from typing import Final, get_args

import numpy as np
from scipy import ndimage as ndi
from scipy.spatial import ConvexHull

from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array, unit
from sjplan.core.plan import Side

_SKIN_MM: Final = 2.0
"""A front is the mean of what lies within this depth."""

_ROUNDS: Final = 5
_ASIS_REACH_MM: Final = 20.0
_PUBIS_REACH_MM, _PUBIS_HALF_MM = 45.0, 35.0
_TOP_HALF_MM, _TOP_REACH_MM, _TOP_DEPTH_MM = 10.0, 40.0, 25.0
_MIDLINE_HALF_MM: Final = 6.0
_ABOVE_MM, _BELOW_MM = 4.0, 8.0
_LEVEL_MM, _LEVEL_DEPTH_MM, _LEVEL_BLUR = 1.5, 1.0, 1.5
_LEAST_LEVELS: Final = 12


def front_points(anatomy: Anatomy) -> dict[str, Array]:
    """Points that standard views touch, (3,) LPS mm each; what cannot be found is left out.

    `asis_front_SIDE` and `pubic_front` lie on the anterior pelvic plane, which touches both ASIS and the pubis;
    `symphysis_top` is its highest bone along that plane, in the mid-sagittal plane; `s1_front` and `s2_front` are where
    the line that touches the fronts of both bodies meets them.
    """
    return _pelvic_fronts(anatomy) | _sacral_fronts(anatomy)


def _pelvic_fronts(anatomy: Anatomy) -> dict[str, Array]:
    sides = get_args(Side)
    asis = [anatomy.landmarks.get(f"asis_{side}") for side in sides]
    symphysis = anatomy.landmarks.get("symphysis")
    if symphysis is None or asis[0] is None or asis[1] is None or set(anatomy.ilium) != set(sides):
        return {}
    left = anatomy.frame.left
    bone = np.concatenate([anatomy.ilium[side].vertices_lps_mm for side in sides])
    pubis = bone[np.linalg.norm(bone - symphysis, axis=1) < _PUBIS_REACH_MM]
    pubis = pubis[np.abs((pubis - symphysis) @ left) < _PUBIS_HALF_MM]
    wings = [bone[np.linalg.norm(bone - point, axis=1) < _ASIS_REACH_MM] for point in asis]
    spines, front = [np.asarray(point) for point in asis], np.asarray(symphysis)
    for _ in range(_ROUNDS):
        up = np.mean(spines, axis=0) - front
        up = unit(up - (up @ left) * left)
        forward = np.cross(left, up)
        spines, front = [_foremost(wing, forward) for wing in wings], _foremost(pubis, forward)
    from_middle = bone - symphysis
    near = (np.abs(from_middle @ left) < _TOP_HALF_MM) & (np.abs(from_middle @ up) < _TOP_REACH_MM)
    middle = bone[near & (np.abs(from_middle @ forward) < _TOP_DEPTH_MM)]
    found = {f"asis_front_{side}": point for side, point in zip(sides, spines, strict=True)} | {"pubic_front": front}
    if len(middle):
        top = _foremost(middle, up)
        found["symphysis_top"] = top - ((top - anatomy.frame.origin_lps_mm) @ left) * left
    return found


def _foremost(points: Array, direction: Array) -> Array:
    reach = points @ direction
    return np.asarray(points[reach > reach.max() - _SKIN_MM].mean(axis=0))


def _sacral_fronts(anatomy: Anatomy) -> dict[str, Array]:
    """Where the line that touches the midline's outline above and below the first disc meets it."""
    if not {"promontory", "s2_anterior"} <= set(anatomy.landmarks):
        return {}
    promontory, s2 = (anatomy.frame.frame_from_lps(anatomy.landmarks[name]) for name in ("promontory", "s2_anterior"))
    outline = midline_front(anatomy, promontory[2] + _ABOVE_MM, s2[2] - _BELOW_MM)
    if len(outline) < _LEAST_LEVELS:
        return {}
    between = 0.5 * (promontory[2] + s2[2])
    hull = ConvexHull(outline)
    for ends, equation in zip(hull.simplices, hull.equations, strict=True):
        upper, lower = sorted((outline[i] for i in ends), key=lambda point: -float(point[1]))
        if equation[0] < 0 and lower[1] <= between <= upper[1]:
            first, second = anatomy.frame.lps_from_frame([(0.0, *upper), (0.0, *lower)])
            return {"s1_front": first, "s2_front": second}
    return {}


def midline_front(anatomy: Anatomy, top_mm: float, bottom_mm: float) -> Array:
    """Front of the sacrum in the midline, every millimetre downwards: (n, 2) posterior and cranial in the frame."""
    bone = anatomy.frame.frame_from_lps(anatomy.sacrum.vertices_lps_mm)
    canal = anatomy.frame.frame_from_lps(anatomy.canal.lumen_lps_mm)
    bone = bone[(np.abs(bone[:, 0]) <= _MIDLINE_HALF_MM) & (bone[:, 1] < float(np.median(canal[:, 1])))]
    found = []
    for height in np.arange(top_mm, bottom_mm, -1.0):
        level = bone[np.abs(bone[:, 2] - height) <= _LEVEL_MM, 1]
        if len(level):
            found.append((float(level[level < level.min() + _LEVEL_DEPTH_MM].mean()), height))
    outline = np.array(found).reshape(-1, 2)
    if len(outline):
        outline[:, 0] = ndi.gaussian_filter1d(outline[:, 0], _LEVEL_BLUR, mode="nearest")
    return outline
