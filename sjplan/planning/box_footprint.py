"""What lies under the footprints of a box's implants: whether any stands square to the joint, or on its articular part.

A footprint is the samples of the joint that an implant covers (`safety.measures.joint_footprint`). In a box, some
samples are surely in every footprint, some may be in one and not in another: these count where they help.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.safety.measures import FOOTPRINT_DEPTH_MM

_LEAST_SAMPLES = 3


class JointCells(NamedTuple):
    """The joint's samples in the side frame, in cells: rows start[n] to start[n + 1] lie within radius of centre.

    `vote` is 1 for a sample of the articular part and -1 for another.
    """

    point: NDArray[np.float64]
    normal: NDArray[np.float64]
    vote: NDArray[np.float64]
    start: NDArray[np.int64]
    centre: NDArray[np.float64]
    radius: NDArray[np.float64]


@nb.njit(cache=True)
def own_footprint(
    joint: JointCells, size: tuple[float, float], centre: NDArray[np.float64], way: NDArray[np.float64]
) -> tuple[float, float, float, float]:
    """Sums over the thinnest implant's footprint on the box's own axis: of normals (three numbers), and of votes."""
    a0 = a1 = a2 = votes = 0.0
    for cell in range(len(joint.radius)):
        x, y, z = (
            joint.centre[cell, 0] - centre[0],
            joint.centre[cell, 1] - centre[1],
            joint.centre[cell, 2] - centre[2],
        )
        along = x * way[0] + y * way[1] + z * way[2]
        if np.sqrt(max(0.0, x * x + y * y + z * z - along * along)) > size[0] + joint.radius[cell]:
            continue
        for n in range(joint.start[cell], joint.start[cell + 1]):
            x, y, z = joint.point[n, 0] - centre[0], joint.point[n, 1] - centre[1], joint.point[n, 2] - centre[2]
            along = x * way[0] + y * way[1] + z * way[2]
            if x * x + y * y + z * z - along * along < size[0] ** 2 and abs(along) < FOOTPRINT_DEPTH_MM:
                a0, a1, a2 = a0 + joint.normal[n, 0], a1 + joint.normal[n, 1], a2 + joint.normal[n, 2]
                votes += joint.vote[n]
    return a0, a1, a2, votes


@nb.njit(cache=True)
def _most(
    joint: JointCells,
    size: tuple[float, float],
    centre: NDArray[np.float64],
    shift: float,
    way: NDArray[np.float64],
    angle: float,
    apart: float,
    along_normal: tuple[float, float, float],
    of_vote: float,
) -> tuple[float, int]:
    """The most that a weighted sum over any footprint of the box can be, and how many samples are surely in each.

    A sample weighs its normal's part along `along_normal` plus its vote times `of_vote`.
    """
    turn, c, w, g = 2.0 * np.sin(0.5 * angle), centre, way, along_normal
    total, sure = 0.0, 0
    for cell in range(len(joint.radius)):
        x, y, z = joint.centre[cell, 0] - c[0], joint.centre[cell, 1] - c[1], joint.centre[cell, 2] - c[2]
        along = x * w[0] + y * w[1] + z * w[2]
        near = size[1] + joint.radius[cell] + shift + (abs(along) + joint.radius[cell]) * turn
        if np.sqrt(max(0.0, x * x + y * y + z * z - along * along)) > near:
            continue
        for n in range(joint.start[cell], joint.start[cell + 1]):
            x, y, z = joint.point[n, 0] - c[0], joint.point[n, 1] - c[1], joint.point[n, 2] - c[2]
            far = np.sqrt(x * x + y * y + z * z)
            along = x * w[0] + y * w[1] + z * w[2]
            across = np.sqrt(max(0.0, far * far - along * along))
            moved = shift + far * turn
            if across > size[1] + moved or abs(along) > FOOTPRINT_DEPTH_MM + apart + moved:
                continue
            gain = joint.normal[n, 0] * g[0] + joint.normal[n, 1] * g[1] + joint.normal[n, 2] * g[2]
            gain += joint.vote[n] * of_vote
            if across < size[0] - moved and abs(along) < FOOTPRINT_DEPTH_MM - apart - moved:
                total += gain
                sure += 1
            elif gain > 0.0:
                total += gain
    return total, sure


@nb.njit(cache=True)
def may_stand_square(
    joint: JointCells,
    own: tuple[float, float, float, float],
    size: tuple[float, float],
    normal_cosine: float,
    centre: NDArray[np.float64],
    shift: float,
    way: NDArray[np.float64],
    angle: float,
    apart: float,
) -> bool:
    """False only where every axis of the box stands too oblique to the mean normal over its footprint.

    `own` is the box's `own_footprint`. Implants have circumscribed radii from `size[0]` to `size[1]`. An axis w keeps
    the angle only if (sum of normals) . (w - k a) >= 0 for every unit vector a, k the cosine. Here a is one such
    vector. An axis crosses the joint at most `apart` mm from where it enters the sacrum. Where the box's own axis
    keeps the relaxed angle, the sum cannot be negative.
    """
    a0, a1, a2, _ = own
    length = np.sqrt(a0 * a0 + a1 * a1 + a2 * a2)
    if length < _LEAST_SAMPLES:
        return True
    k = np.cos(min(np.arccos(normal_cosine) + angle, np.pi))
    if k <= 0.0 or (a0 * way[0] + a1 * way[1] + a2 * way[2]) / length >= k:
        return True
    wanted = (way[0] - k * a0 / length, way[1] - k * a1 / length, way[2] - k * a2 / length)
    total, sure = _most(joint, size, centre, shift, way, angle, apart, wanted, 0.0)
    return sure == 0 or total >= 0.0


@nb.njit(cache=True)
def may_be_articular(
    joint: JointCells,
    own: tuple[float, float, float, float],
    size: tuple[float, float],
    centre: NDArray[np.float64],
    shift: float,
    way: NDArray[np.float64],
    angle: float,
    apart: float,
) -> bool:
    """False only where less than half of every footprint of the box is articular; numbers as in `may_stand_square`."""
    if own[3] >= 0.0:
        return True
    total, sure = _most(joint, size, centre, shift, way, angle, apart, (0.0, 0.0, 0.0), 1.0)
    return sure == 0 or total >= 0.0
