"""Points on the danger surfaces, one for every node round a joint: what an upper bound of slack rests on.

The distance from anything to a danger is at most its distance to any one point of that danger. Which point a node
names decides how tight a bound is, never whether it holds.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array
from sjplan.core.limits import Limits
from sjplan.core.plan import Side
from sjplan.core.structures import DANGERS
from sjplan.geometry.surface import joined
from sjplan.planning.field import SideFrame, Sites, nearest_sites, surface_sites

_REACH_LATERAL_MM, _REACH_MEDIAL_MM, _REACH_AROUND_MM = 45.0, 30.0, 22.0


class DangerSites(NamedTuple):
    """For every node (1 mm apart, the first one at `low`): a point on a danger, in the side frame, and its limit.

    `site` is (i, j, k, 4): lateral, posterior, cranial in mm, and the least distance that the danger asks for.
    """

    site: NDArray[np.float32]
    low: NDArray[np.float64]


def danger_sites(anatomy: Anatomy, side: Side, limits: Limits) -> DangerSites:
    """For every node round one joint, the point of a danger that takes most off its slack, or nearly so."""
    frame = SideFrame(anatomy.frame, side)
    joint = frame.side_from_lps(anatomy.joints[side].sacral_lps_mm)
    low = joint.min(axis=0) - np.array([_REACH_MEDIAL_MM, _REACH_AROUND_MM, _REACH_AROUND_MM])
    high = joint.max(axis=0) + np.array([_REACH_LATERAL_MM, _REACH_AROUND_MM, _REACH_AROUND_MM])
    shape = np.ceil(high - low).astype(np.int64) + 1
    both = surface_sites(frame, joined(anatomy.sacrum, anatomy.ilium[side]))
    limit_of = np.array([limits.clearance_of(name) for name in DANGERS])
    best = np.full(tuple(shape), np.inf, np.float32)
    site = np.full((*shape, 4), np.inf, np.float32)
    for limit in np.unique(limit_of):
        chosen = np.flatnonzero(np.isin(both.label, np.flatnonzero(limit_of == limit)))
        if not len(chosen):
            continue
        points = both.point[chosen]
        distance, which = nearest_sites(Sites(points, both.normal[chosen], both.label[chosen]), low, shape)
        slack = distance - np.float32(limit)
        better = slack < best
        best[better] = slack[better]
        site[better, :3] = points[which[better]]
        site[better, 3] = limit
    return DangerSites(_shared(site, low), low)


@nb.njit(cache=True, parallel=True)
def _shared(site: NDArray[np.float32], low: Array) -> NDArray[np.float32]:
    """Each node's own site, or a neighbour's where that takes more off its slack."""
    out = site.copy()
    ni, nj, nk = site.shape[:3]
    for i in nb.prange(ni):
        for j in range(nj):
            for k in range(nk):
                best = np.inf
                for a in range(max(i - 1, 0), min(i + 2, ni)):
                    for b in range(max(j - 1, 0), min(j + 2, nj)):
                        for c in range(max(k - 1, 0), min(k + 2, nk)):
                            x = low[0] + i - site[a, b, c, 0]
                            y = low[1] + j - site[a, b, c, 1]
                            z = low[2] + k - site[a, b, c, 2]
                            value = np.sqrt(x * x + y * y + z * z) - site[a, b, c, 3]
                            if value < best:
                                best = value
                                for d in range(4):
                                    out[i, j, k, d] = site[a, b, c, d]
    return out
