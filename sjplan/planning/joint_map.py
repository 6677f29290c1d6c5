"""The joint as points in the side frame: what an implant's footprint on it is, and where axes may cross."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.anatomy.types import Joint
from sjplan.core.arrays import Array
from sjplan.planning.field import SideFrame

_THIN_MM = 1.6
"""Edge of the cells that keep one sample of the joint each: eight or more lie in an implant's footprint."""

_FOOTPRINT_DEPTH_MM = 25.0
_BUNCH = 16


class JointSamples(NamedTuple):
    """Middle of the joint, normal (ilium to sacrum) and articular flag, in the side frame.

    A normal is as long as the number of the joint's samples that it stands for, so that sums over a footprint weigh
    every one of them alike, as the judge does. Samples lie in bunches of sixteen neighbours, the last one perhaps
    smaller; `bunch` holds the middle of each and the radius of the ball round it that holds its samples, (m, 4).
    """

    point: NDArray[np.float64]
    normal: NDArray[np.float64]
    articular: NDArray[np.bool_]
    bunch: NDArray[np.float64]


def bunched(point: Array, normal: Array, articular: NDArray[np.bool_]) -> JointSamples:
    """Samples put in order, so that neighbours share a bunch: halved again and again across their longest extent."""
    order, waiting = [], [np.arange(len(point))]
    while waiting:
        rows = waiting.pop()
        if len(rows) <= _BUNCH:
            order.append(rows)
            continue
        longest = int(np.argmax(np.ptp(point[rows], axis=0)))
        rows = rows[np.argsort(point[rows, longest], kind="stable")]
        half = _BUNCH * ((len(rows) // _BUNCH + 1) // 2)
        waiting += [rows[half:], rows[:half]]
    rows = np.concatenate(order)
    point = point[rows]
    balls = []
    for first in range(0, len(point), _BUNCH):
        some = point[first : first + _BUNCH]
        middle = 0.5 * (some.min(axis=0) + some.max(axis=0))
        balls.append([*middle, np.linalg.norm(some - middle, axis=1).max() + 1e-9])
    return JointSamples(point, normal[rows], articular[rows], np.array(balls).reshape(-1, 4))


def joint_samples(joint: Joint, frame: SideFrame) -> JointSamples:
    """Thin one joint to a sample per cell; a cell's normal is the mean times their number, its part of the majority."""
    middle = frame.side_from_lps(0.5 * (joint.sacral_lps_mm + joint.iliac_lps_mm))
    cell = np.floor(middle / _THIN_MM).astype(int)
    _, which, count = np.unique(cell, axis=0, return_inverse=True, return_counts=True)
    which = which.ravel()

    def mean(values: Array) -> Array:
        total = np.zeros((len(count), values.shape[1]))
        np.add.at(total, which, values)
        return np.asarray(total / count[:, None])

    normal = mean(frame.side_from_vector(joint.normal))
    normal *= (count / np.maximum(np.linalg.norm(normal, axis=1), 1e-9))[:, None]
    return bunched(mean(middle), normal, mean(joint.articular[:, None].astype(float))[:, 0] >= 0.5)


@nb.njit(cache=True, error_model="numpy")
def footprint(joint: JointSamples, axis: NDArray[np.float64], middle: float, radius: float) -> tuple[int, float, float]:
    """Samples under an implant, cosine between its axis and their mean normal, and the share that is articular.

    `middle` is where the axis crosses the joint, in mm from its point. `plain_footprint` looks at every sample, this
    one at the bunches that may lie under the implant.
    """
    count, part, n0, n1, n2 = 0, 0, 0.0, 0.0, 0.0
    c0, c1, c2, w0, w1, w2 = axis[0], axis[1], axis[2], axis[3], axis[4], axis[5]
    for b in range(len(joint.bunch)):
        x, y, z = joint.bunch[b, 0] - c0, joint.bunch[b, 1] - c1, joint.bunch[b, 2] - c2
        along, reach = x * w0 + y * w1 + z * w2, radius + joint.bunch[b, 3]
        if x * x + y * y + z * z - along * along > reach * reach:
            continue
        for n in range(b * _BUNCH, min((b + 1) * _BUNCH, len(joint.point))):
            x, y, z = joint.point[n, 0] - c0, joint.point[n, 1] - c1, joint.point[n, 2] - c2
            along = x * w0 + y * w1 + z * w2
            if x * x + y * y + z * z - along * along > radius * radius or abs(along - middle) > _FOOTPRINT_DEPTH_MM:
                continue
            count += 1
            part += int(joint.articular[n])
            n0, n1, n2 = n0 + joint.normal[n, 0], n1 + joint.normal[n, 1], n2 + joint.normal[n, 2]
    size = np.sqrt(n0 * n0 + n1 * n1 + n2 * n2)
    if count == 0 or size == 0.0:
        return 0, -1.0, 0.0
    return count, (n0 * w0 + n1 * w1 + n2 * w2) / size, part / count


@nb.njit(cache=True)
def plain_footprint(
    joint: JointSamples, axis: NDArray[np.float64], middle: float, radius: float
) -> tuple[int, float, float]:
    """The same, looking at every sample."""
    count, part, n0, n1, n2 = 0, 0, 0.0, 0.0, 0.0
    for n in range(len(joint.point)):
        x = joint.point[n, 0] - axis[0]
        y = joint.point[n, 1] - axis[1]
        z = joint.point[n, 2] - axis[2]
        along = x * axis[3] + y * axis[4] + z * axis[5]
        if x * x + y * y + z * z - along * along > radius * radius or abs(along - middle) > _FOOTPRINT_DEPTH_MM:
            continue
        count += 1
        part += int(joint.articular[n])
        n0, n1, n2 = n0 + joint.normal[n, 0], n1 + joint.normal[n, 1], n2 + joint.normal[n, 2]
    size = np.sqrt(n0 * n0 + n1 * n1 + n2 * n2)
    if count == 0 or size == 0.0:
        return 0, -1.0, 0.0
    return count, (n0 * axis[3] + n1 * axis[4] + n2 * axis[5]) / size, part / count


def crossings(joint: Joint, frame: SideFrame, step_mm: float) -> Array:
    """Points (n, 3) in the side frame spread over the joint's mid-surface, one a cell of `step_mm`."""
    middle = frame.side_from_lps(0.5 * (joint.sacral_lps_mm + joint.iliac_lps_mm))
    cell = np.floor(middle[:, 1:] / step_mm).astype(int)
    offset = np.linalg.norm(middle[:, 1:] - (cell + 0.5) * step_mm, axis=1)
    order = np.lexsort((offset, cell[:, 1], cell[:, 0]))
    _, first = np.unique(cell[order], axis=0, return_index=True)
    return np.asarray(middle[order[first]])


def directions(mean_normal: Array, half_angle_deg: float, step_deg: float) -> Array:
    """Unit directions (m, 3) within a cone round the joint's mean normal, about `step_deg` apart, axis first."""
    helper = np.array([0.0, 0.0, 1.0]) if abs(mean_normal[2]) < 0.9 else np.array([0.0, 1.0, 0.0])
    e1 = np.cross(mean_normal, helper)
    e1 /= np.linalg.norm(e1)
    e2 = np.cross(mean_normal, e1)
    result = [mean_normal]
    for ring in range(1, int(half_angle_deg / step_deg) + 1):
        polar = np.deg2rad(ring * step_deg)
        count = max(6, int(np.ceil(2 * np.pi * np.sin(polar) / np.deg2rad(step_deg))))
        for turn in 2 * np.pi * np.arange(count) / count:
            result.append(np.cos(polar) * mean_normal + np.sin(polar) * (np.cos(turn) * e1 + np.sin(turn) * e2))
    return np.asarray(result)
