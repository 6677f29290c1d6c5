"""The joint as a map over (posterior, cranial): mean normal over a footprint, and which part is articular."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sjplan.anatomy.types import Joint
from sjplan.core.arrays import Array
from sjplan.planning.field import SideFrame

MAP_STEP_MM = 1.0
FOOTPRINT_MM = 6.0
"""Radius over which normals are averaged: that of a 7 mm triangular implant's envelope."""


class JointMap(NamedTuple):
    """Maps over (posterior, cranial) in the side frame; `low` is the node (0, 0)."""

    normal: NDArray[np.float64]
    articular: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    low: NDArray[np.float64]


def joint_map(joint: Joint, frame: SideFrame) -> JointMap:
    """Sample one joint onto the map."""
    middle = frame.side_from_lps(0.5 * (joint.sacral_lps_mm + joint.iliac_lps_mm))
    normal = frame.side_from_vector(joint.normal)
    low = middle[:, 1:].min(axis=0) - 2.0
    shape = np.ceil((middle[:, 1:].max(axis=0) + 2.0 - low) / MAP_STEP_MM).astype(int) + 1
    nodes = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1).reshape(-1, 2)
    tree = cKDTree(middle[:, 1:])
    where = low + nodes * MAP_STEP_MM
    found = tree.query(where)
    distance, nearest = np.asarray(found[0], dtype=np.float64), np.asarray(found[1], dtype=np.int64)
    footprints = tree.query_ball_point(where, FOOTPRINT_MM)
    mean = np.array([normal[f].mean(axis=0) if f else normal[n] for f, n in zip(footprints, nearest, strict=True)])
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    grid = (int(shape[0]), int(shape[1]))
    return JointMap(
        mean.reshape(*grid, 3), joint.articular[nearest].reshape(grid), (distance <= 1.5).reshape(grid), low
    )


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


@nb.njit(cache=True, inline="always")
def map_index(joint: JointMap, y: float, z: float) -> tuple[int, int]:
    """Node of the map at (posterior, cranial); -1 twice outside."""
    a, b = int(np.floor((y - joint.low[0]) / MAP_STEP_MM + 0.5)), int(np.floor((z - joint.low[1]) / MAP_STEP_MM + 0.5))
    if a < 0 or b < 0 or a >= joint.valid.shape[0] or b >= joint.valid.shape[1]:
        return -1, -1
    return a, b
