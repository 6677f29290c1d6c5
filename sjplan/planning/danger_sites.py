"""Points on the danger surfaces, one for every node round a joint: what an upper bound of slack rests on.

The distance from anything to a danger is at most its distance to any one point of that danger. Which point a node
names decides how tight a bound is, never whether it holds.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array
from sjplan.core.limits import Limits
from sjplan.core.plan import Side
from sjplan.core.structures import DANGERS, SURFACE_ID
from sjplan.geometry.surface import joined
from sjplan.planning.field import SideFrame, Sites, nearest_sites, surface_sites

_REACH_LATERAL_MM, _REACH_MEDIAL_MM, _REACH_AROUND_MM = 45.0, 30.0, 22.0
_BEYOND_MM = 30.0
_BESIDE = 10


class DangerSites(NamedTuple):
    """For every node (1 mm apart, the first one at `low`) the row of a point on a danger; -1 where there is none.

    `point` (n, 4) are points in the side frame, in mm, and the least distance that the danger asks for; `near` (n, k)
    are rows of points beside each.
    """

    site: NDArray[np.int32]
    low: NDArray[np.float64]
    point: NDArray[np.float64]
    near: NDArray[np.int32]


def danger_sites(anatomy: Anatomy, side: Side, limits: Limits) -> DangerSites:
    """For every node round one joint, the point of a danger that takes most off its slack, or nearly so."""
    frame = SideFrame(anatomy.frame, side)
    low, shape = _block(anatomy, frame)
    sites, limit, point = _points(anatomy, frame, limits)
    best = np.full(tuple(shape), np.inf, np.float32)
    site = np.full(tuple(shape), -1, np.int32)
    for value in np.unique(limit):
        chosen = np.flatnonzero(limit == value)
        some = sites.where(chosen)
        distance, which = nearest_sites(some, low, shape)
        better = distance - np.float32(value) < best
        best[better] = distance[better] - np.float32(value)
        site[better] = chosen[which[better]]
    beside = min(_BESIDE, len(point) - 1)
    near = np.asarray(cKDTree(point[:, :3]).query(point[:, :3], beside + 1)[1]) if len(point) else np.zeros((0, 1))
    return DangerSites(_shared(site, low, point), low, point, np.ascontiguousarray(near[:, 1:], dtype=np.int32))


def danger_points(anatomy: Anatomy, side: Side, limits: Limits) -> Array:
    """Points on the dangers round one joint, in the side frame, each with the distance that it asks for, (n, 4)."""
    return _points(anatomy, SideFrame(anatomy.frame, side), limits)[2]


def _block(anatomy: Anatomy, frame: SideFrame) -> tuple[Array, NDArray[np.int64]]:
    """The first node and the shape of the block of nodes."""
    joint = frame.side_from_lps(anatomy.joints[frame.side].sacral_lps_mm)
    low = joint.min(axis=0) - np.array([_REACH_MEDIAL_MM, _REACH_AROUND_MM, _REACH_AROUND_MM])
    high = joint.max(axis=0) + np.array([_REACH_LATERAL_MM, _REACH_AROUND_MM, _REACH_AROUND_MM])
    return low, np.ceil(high - low).astype(np.int64) + 1


def _points(anatomy: Anatomy, frame: SideFrame, limits: Limits) -> tuple[Sites, Array, Array]:
    """Triangles of dangers as sites with their limits, and all points: those sites first, then the corners.

    A corner that several dangers share asks for what the strictest asks.
    """
    surface = joined(anatomy.sacrum, anatomy.ilium[frame.side])
    limit_of = np.full(max(SURFACE_ID.values()) + 1, -np.inf)
    limit_of[: len(DANGERS)] = [limits.clearance_of(name) for name in DANGERS]
    limit, every = limit_of[surface.label], surface_sites(frame, surface)
    low, shape = _block(anatomy, frame)
    near = ((every.point > low - _BEYOND_MM) & (every.point < low + shape + _BEYOND_MM)).all(axis=1)
    kept = np.flatnonzero((limit > -np.inf) & near)
    corner = np.full(len(surface.vertices_lps_mm), -np.inf)
    np.maximum.at(corner, surface.triangles[kept].ravel(), np.repeat(limit[kept], 3))
    used = np.flatnonzero(corner > -np.inf)
    middles = np.column_stack([every.point[kept], limit[kept]])
    corners = np.column_stack([frame.side_from_lps(surface.vertices_lps_mm[used]), corner[used]])
    sites = every.where(kept)
    return sites, limit[kept], np.ascontiguousarray(np.concatenate([middles, corners]))


@nb.njit(cache=True, parallel=True)
def _shared(site: NDArray[np.int32], low: Array, point: Array) -> NDArray[np.int32]:
    """Each node's own site, or a neighbour's where that takes more off its slack."""
    out = site.copy()
    ni, nj, nk = site.shape
    for i in nb.prange(ni):
        for j in range(nj):
            for k in range(nk):
                best = np.inf
                for a in range(max(i - 1, 0), min(i + 2, ni)):
                    for b in range(max(j - 1, 0), min(j + 2, nj)):
                        for c in range(max(k - 1, 0), min(k + 2, nk)):
                            n = site[a, b, c]
                            if n < 0:
                                continue
                            x, y, z = low[0] + i - point[n, 0], low[1] + j - point[n, 1], low[2] + k - point[n, 2]
                            value = np.sqrt(x * x + y * y + z * z) - point[n, 3]
                            if value < best:
                                best, out[i, j, k] = value, n
    return out
