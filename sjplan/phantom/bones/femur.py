"""The proximal femur: head, neck, trochanters with the crest between them, and the shaft."""

from __future__ import annotations

from typing import Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.phantom.bones.hip_form import HipForm
from sjplan.phantom.bones.parts import REACH_MM, Part, Parts, Point, box_mm
from sjplan.phantom.bones.shapes import ball, smooth_max, smooth_min

# Femoral frame: origin at the centre of the head, x lateral, y posterior, z cranial as in a supine scan; mm.

NECK_SHAFT_DEG: Final = 127.0
"""Angle between neck and shaft (recalled: 125 to 130)."""

ANTEVERSION_DEG: Final = 14.0
"""How far the neck points forward of the coronal plane (recalled: 10 to 15)."""

SHAFT_LEAN_DEG: Final = 5.0
"""How far the shaft runs to the midline on its way down (recalled: 5 to 7)."""

NECK_LENGTH_MM: Final = 57.0
"""From the head's centre to the shaft's axis along the neck: an offset of about 42 mm (recalled: 40 to 45)."""

SHAFT_END_MM: Final = 230.0
"""How far below the head the shaft goes on: beyond any scan of the pelvis (default)."""

REFERENCE_HEAD_MM: Final = 23.5
"""Radius of the head for which the sizes below are given; they grow with the head (default)."""

JOINT_SPACE_MM: Final = 3.0
"""Least distance kept from a bone that is given to `femur_mm`: cartilage of both faces (recalled: 3 to 5)."""

FOVEA: Final = (3.5, 26.0)
"""Depth of the fovea in the head and distance of the ball that presses it from the head's centre (default)."""


def neck_direction() -> Array:
    """Unit vector along the neck from the head to the shaft.

    Examples
    --------
    >>> shaft = np.array([-np.sin(np.deg2rad(SHAFT_LEAN_DEG)), 0.0, -np.cos(np.deg2rad(SHAFT_LEAN_DEG))])
    >>> round(float(np.degrees(np.arccos(-neck_direction() @ shaft))), 1)
    127.0
    """
    lean, turn = np.deg2rad(SHAFT_LEAN_DEG), np.deg2rad(ANTEVERSION_DEG)
    # (-n) . shaft = cos(b) cos(turn) sin(lean) - sin(b) cos(lean) = cos(NECK_SHAFT_DEG), solved for the fall b.
    a, c = np.cos(turn) * np.sin(lean), np.cos(lean)
    fall = np.arcsin(-np.cos(np.deg2rad(NECK_SHAFT_DEG)) / np.hypot(a, c)) + np.arctan2(a, c)
    return np.array((np.cos(fall) * np.cos(turn), np.cos(fall) * np.sin(turn), -np.sin(fall)))


def _parts() -> Parts:
    n = neck_direction()
    elbow = n * NECK_LENGTH_MM
    down = np.array((-np.tan(np.deg2rad(SHAFT_LEAN_DEG)), 0.0, -1.0))

    def on_neck(share: float) -> Point:
        return _point(elbow * share)

    def on_shaft(fall: float, y: float = 0.0) -> Point:
        return _point(elbow + down * fall + np.array((0.0, y, 0.0)))

    front = (-n[1], n[0], 0.0)
    return Parts(
        (
            Part("subcapital neck", on_neck(0.1), on_neck(0.5), (17.5, 16.0), 1.22, front),
            Part("base of the neck", on_neck(0.5), on_neck(0.92), (16.0, 20.0), 1.25, front, 2.0),
            Part("intertrochanteric region", on_shaft(-2.0), on_shaft(34.0, -1.0), (19.0, 17.0), 1.0, front, 5.0),
            Part("subtrochanteric shaft", on_shaft(34.0, -1.0), on_shaft(62.0, -3.0), (17.0, 14.0), 1.0, front, 3.0),
            Part("shaft", on_shaft(62.0, -3.0), on_shaft(SHAFT_END_MM, -9.0), (14.0, 13.0), 1.0, front, 3.0),
            Part("greater trochanter", (47.5, 5.0, -42.0), (48.0, 15.0, -23.0), (16.0, 13.5), 1.15, blend_mm=8.0),
            Part("ridge of the vastus", (41.0, 2.0, -78.0), (49.5, 4.0, -36.0), (12.0, 12.5), 1.1, blend_mm=8.0),
            Part("tip of the trochanter", (49.0, 19.0, -24.0), (45.0, 25.0, -13.5), (11.5, 9.5), 1.35, blend_mm=7.0),
            Part("intertrochanteric crest", (44.0, 25.0, -18.0), (29.0, 20.0, -54.0), (8.0, 7.5), blend_mm=8.0),
            Part("lesser trochanter", (34.0, 11.0, -60.0), (21.5, 19.0, -61.0), (12.0, 6.5), blend_mm=8.0),
        )
    )  # fmt: skip


def _point(v: Array) -> Point:
    x, y, z = v.tolist()
    return x, y, z


PARTS: Final = _parts()
"""Everything but the head; sizes and places default, looked at beside a CT, angles and offset as above."""


def femur_mm(p: Array, hip: HipForm, socket_mm: Array | None = None) -> Array:
    """First-order signed distance to the femur in a hip's socket.

    Parameters
    ----------
    p : (n, 3) float
        Points in the pelvic frame, x to this side.
    hip : HipForm
        Where the head's centre lies and how large it is.
    socket_mm : (n,) float, optional
        Signed distances of the hip bone at the points: the femur outside its head keeps `JOINT_SPACE_MM` off it.

    Returns
    -------
    (n,) float
        Positive outside; far from the bone a lower bound.

    Examples
    --------
    >>> hip = HipForm()
    >>> centre = np.array([hip.centre_mm])
    >>> bool(np.isclose(femur_mm(centre, hip)[0], -hip.head_radius_mm, atol=8.0))
    True
    """
    scale = hip.head_radius_mm / REFERENCE_HEAD_MM
    q = (p - np.asarray(hip.centre_mm)) / scale
    low, high = np.minimum(PARTS.low_mm, -REFERENCE_HEAD_MM), np.maximum(PARTS.high_mm, REFERENCE_HEAD_MM)
    out = box_mm(q, low, high)
    near = out < REACH_MM
    if near.any():
        rest = PARTS.exact_mm(q[near])
        if socket_mm is not None:
            rest = np.maximum(rest, (JOINT_SPACE_MM - socket_mm[near]) / scale)
        out[near] = smooth_min(rest, _head_mm(q[near]), 2.0)
    return np.asarray(out * scale)


def _head_mm(q: Array) -> Array:
    depth, far = FOVEA
    toward = np.array((-0.80, 0.10, -0.20)) / np.linalg.norm((-0.80, 0.10, -0.20))
    press = ball(q, toward * far, far - REFERENCE_HEAD_MM + depth)
    return smooth_max(ball(q, (0.0, 0.0, 0.0), REFERENCE_HEAD_MM), -press, 1.5)
