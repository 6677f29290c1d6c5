"""How far a placed implant lies off its plan."""

from __future__ import annotations

from typing import Final

import numpy as np

from sjplan.audit.types import Deviation
from sjplan.core.arrays import Array
from sjplan.core.trajectory import Trajectory, section_axes

TRIANGLE_TURN_DEG: Final = 120.0
"""A triangle rolled by so much is itself again."""


def deviation(planned: Trajectory, placed: Trajectory, *, roll_known: bool = True) -> Deviation:
    """Measure a placed implant against its plan.

    Parameters
    ----------
    planned, placed : Trajectory
        In one frame; entries are the lateral ends.
    roll_known : bool
        Whether the placed roll means anything.

    Examples
    --------
    >>> from sjplan.core.implant import ImplantModel
    >>> model = ImplantModel("tri-7", "triangular 7 mm", "triangle", 3.5, 1.0, (40.0,))
    >>> off = deviation(Trajectory((60, 0, 0), (20, 0, 0), 0, model), Trajectory((58, 3, 0), (18, 3, 0), 110, model))
    >>> off.depth_mm, off.lateral_mm, round(off.tip_mm, 3), off.angle_deg, round(off.roll_deg, 6)
    (2.0, 3.0, 3.606, 0.0, -10.0)
    """
    axis = planned.axis
    tip, entry = placed.tip_lps_mm - planned.tip_lps_mm, placed.entry_lps_mm - planned.entry_lps_mm
    depth, entry_depth = float(tip @ axis), float(entry @ axis)
    triangle = planned.model.section == "triangle" and placed.model.section == "triangle"
    return Deviation(
        entry_mm=float(np.linalg.norm(entry)),
        tip_mm=float(np.linalg.norm(tip)),
        angle_deg=angle_deg(axis, placed.axis),
        roll_deg=_roll_deg(planned, placed) if triangle and roll_known else None,
        depth_mm=depth,
        lateral_mm=float(np.linalg.norm(tip - depth * axis)),
        entry_lateral_mm=float(np.linalg.norm(entry - entry_depth * axis)),
        length_mm=placed.length_mm - planned.length_mm,
    )


def angle_deg(first: Array, second: Array) -> float:
    """Angle between two unit vectors in degrees; exact for small ones too, where the cosine is flat."""
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(first, second)), first @ second)))


def shortest_turn(start: Array, end: Array) -> Array:
    """Rotation matrix that takes one unit vector to another the shortest way; they must not be opposite."""
    v, c = np.cross(start, end), float(start @ end)
    k = np.array([[0.0, -v[2], v[1]], [v[2], 0.0, -v[0]], [-v[1], v[0], 0.0]])
    return np.asarray(np.eye(3) + k + k @ k / (1.0 + c))


def roll_of_corner(axis: Array, corner: Array) -> float:
    """Roll in degrees of an implant along `axis` whose section has a corner in the direction `corner`."""
    u, v = section_axes(axis, 0.0)
    return float(np.degrees(np.arctan2(corner @ v, corner @ u)))


def _roll_deg(planned: Trajectory, placed: Trajectory) -> float:
    corner = shortest_turn(placed.axis, planned.axis) @ placed.section_axes()[0]
    off = roll_of_corner(planned.axis, corner) - planned.roll_deg
    half = TRIANGLE_TURN_DEG / 2.0
    return float((off + half) % TRIANGLE_TURN_DEG - half)
