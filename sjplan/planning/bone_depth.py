"""How far points lie from a bone, between bounds: looked up where that will do, measured where it will not.

A signed distance changes by no more than a point is moved, so what was measured once at a node bounds it nearby.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.geometry.triangle_tree import TriangleTree, nearest_point


class BoneDepth(NamedTuple):
    """Signed distances in mm from a bone's surface to nodes 1 mm apart, positive inside it, the first node at `low`.

    A node is measured when it is first asked for; until then it is not a number. `inward` is -1 or 1: times a sign of
    the bone's triangles, positive inside.
    """

    node: NDArray[np.float64]
    low: NDArray[np.float64]
    inward: float


def bone_depth(low_mm: Array, shape: tuple[int, ...], inward: float) -> BoneDepth:
    """Nodes of which none is measured."""
    return BoneDepth(np.full(shape, np.nan), low_mm, inward)


@nb.njit(cache=True)
def depth_at(bone: TriangleTree, depths: BoneDepth, x: NDArray[np.float64]) -> float:
    """Depth of a point in the bone in mm, negative outside."""
    distance, sign, _, _ = nearest_point(bone, x)
    return float(distance * sign * depths.inward)


@nb.njit(cache=True)
def depth_nearby(bone: TriangleTree, depths: BoneDepth, x: NDArray[np.float64], moved: NDArray[np.float64]) -> float:
    """Depth in mm of the node nearest to a point; the point's own differs by `moved[0]` at most, which is filled in.

    Beyond the nodes it is the point's own. Threads may measure a node at the same time: they find the same.
    """
    i = int(np.floor(x[0] - depths.low[0] + 0.5))
    j = int(np.floor(x[1] - depths.low[1] + 0.5))
    k = int(np.floor(x[2] - depths.low[2] + 0.5))
    shape = depths.node.shape
    if i < 0 or j < 0 or k < 0 or i >= shape[0] or j >= shape[1] or k >= shape[2]:
        moved[0] = 0.0
        return depth_at(bone, depths, x)
    a, b, c = depths.low[0] + i, depths.low[1] + j, depths.low[2] + k
    moved[0] = np.sqrt((x[0] - a) ** 2 + (x[1] - b) ** 2 + (x[2] - c) ** 2)
    found = depths.node[i, j, k]
    if np.isnan(found):
        found = depth_at(bone, depths, np.array([a, b, c]))
        depths.node[i, j, k] = found
    return float(found)
