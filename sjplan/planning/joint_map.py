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


class JointSamples(NamedTuple):
    """Middle of the joint, unit normal (ilium to sacrum) and articular flag, in the side frame."""

    point: NDArray[np.float64]
    normal: NDArray[np.float64]
    articular: NDArray[np.bool_]


def joint_samples(joint: Joint, frame: SideFrame) -> JointSamples:
    """Thin one joint to a sample per cell; a cell's normal is the mean, its part that of the majority."""
    middle = frame.side_from_lps(0.5 * (joint.sacral_lps_mm + joint.iliac_lps_mm))
    cell = np.floor(middle / _THIN_MM).astype(int)
    _, which, count = np.unique(cell, axis=0, return_inverse=True, return_counts=True)
    which = which.ravel()

    def mean(values: Array) -> Array:
        total = np.zeros((len(count), values.shape[1]))
        np.add.at(total, which, values)
        return np.asarray(total / count[:, None])

    normal = mean(frame.side_from_vector(joint.normal))
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    return JointSamples(mean(middle), normal, mean(joint.articular[:, None].astype(float))[:, 0] >= 0.5)


@nb.njit(cache=True)
def footprint(joint: JointSamples, axis: NDArray[np.float64], middle: float, radius: float) -> tuple[int, float, float]:
    """Samples under an implant, cosine between its axis and their mean normal, and the share that is articular.

    `middle` is where the axis crosses the joint, in mm from its point.
    """
    count, part, n0, n1, n2 = 0, 0, 0.0, 0.0, 0.0
    for n in range(len(joint.point)):
        x = joint.point[n, 0] - axis[0]
        y = joint.point[n, 1] - axis[1]
        z = joint.point[n, 2] - axis[2]
        along = x * axis[3] + y * axis[4] + z * axis[5]
        if x * x + y * y + z * z - along * along > radius * radius or abs(along - middle) > 25.0:
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
