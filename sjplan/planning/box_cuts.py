"""First-order bounds on a box of axes: how slack falls, to one side of a site or the other, as an axis is moved.

In a frame whose third axis is the box's own, an axis of the box enters at e (three numbers) and runs along the box's
direction plus h (two numbers, across it) plus what is of second order. A site k bounds the slack of such an axis by

    constant_k - normal_k . e - lever_k . h

with the second order in the constant. For weights that add up to one, the largest weighted sum over the box bounds
the slack of all its axes: opposite walls cancel, and the bound tends to the best axis's own as the box shrinks.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.planning.danger_sites import DangerSites

CUTS = 24
"""How many cuts are kept: the lowest of eight sectors round the axis, in three stretches along it."""

ROW = 7
"""Numbers in a cut: constant in mm, normal (3), lever in mm (2), and the site's slack on the box's own axis in mm."""

_NEAREST_MM = 0.3

_PRICE = 3.0
"""What a mm of slack below the threshold costs in mm of extent; any price gives a bound."""


@nb.njit(cache=True)
def site_bound(
    sites: DangerSites,
    x: float,
    y: float,
    z: float,
    centre: NDArray[np.float64],
    across: NDArray[np.float64],
    start: float,
    stop: float,
    radius: float,
    shift: float,
    angle: float,
    cuts: NDArray[np.float64],
) -> float:
    """Bound, in mm, from the site that the node at a point names; its cut is kept where it is the lowest of its kind.

    `across` (3, 3) is the box's frame, its direction last. Where the foot of the site stays on the flank of every
    cylinder of the box, distances are those from the axes.
    """
    i, j, k = int(x - sites.low[0] + 0.5), int(y - sites.low[1] + 0.5), int(z - sites.low[2] + 0.5)
    shape = sites.site.shape
    if i < 0 or j < 0 or k < 0 or i >= shape[0] or j >= shape[1] or k >= shape[2]:
        return np.inf
    p0 = sites.site[i, j, k, 0] - centre[0]
    p1 = sites.site[i, j, k, 1] - centre[1]
    p2 = sites.site[i, j, k, 2] - centre[2]
    limit = sites.site[i, j, k, 3]
    if not limit < np.inf:
        return np.inf
    pu = p0 * across[0, 0] + p1 * across[0, 1] + p2 * across[0, 2]
    pv = p0 * across[1, 0] + p1 * across[1, 1] + p2 * across[1, 2]
    along = p0 * across[2, 0] + p1 * across[2, 1] + p2 * across[2, 2]
    from_axis = np.sqrt(pu * pu + pv * pv)
    turn = 2.0 * np.sin(0.5 * angle)
    foot = shift + np.sqrt(from_axis * from_axis + along * along) * turn
    beyond, beside = max(start - along, along - stop), from_axis - radius
    if beside > 0.0 and beyond < -foot:
        distance, moved = beside, shift + abs(along) * turn
        radial, axial, lever = 1.0, 0.0, along
        rest = 0.5 * moved * moved / from_axis
    else:
        q, r = min(max(along, start), stop), min(from_axis, radius)
        moved = shift + np.sqrt(q * q + r * r) * turn
        if beyond <= 0.0 and beside <= 0.0:
            return float(max(beyond, beside) + moved - limit)
        distance = np.sqrt(max(beyond, 0.0) ** 2 + max(beside, 0.0) ** 2)
        if distance < _NEAREST_MM:
            return float(distance + moved - limit)
        radial = max(beside, 0.0) / distance
        axial = max(beyond, 0.0) / distance * (1.0 if along > stop else -1.0)
        lever = q * radial - r * axial
        rest = 0.5 * moved * moved / distance + (1.0 - np.cos(angle)) * max(0.0, q * axial + r * radial)
    sector = (1 if pu > 0.0 else 0) + (2 if pv > 0.0 else 0) + (4 if abs(pu) > abs(pv) else 0)
    row = cuts[3 * sector + (0 if along < 0.25 * start else (1 if along < 0.6 * stop else 2))]
    if distance - limit < row[6]:
        cu, cv = (pu / from_axis, pv / from_axis) if from_axis > 0.0 else (1.0, 0.0)
        row[0] = distance - limit + rest
        row[1], row[2], row[3] = radial * cu, radial * cv, axial
        row[4], row[5] = lever * cu, lever * cv
        row[6] = distance - limit
    return float(distance + moved - limit)


@nb.njit(cache=True)
def weighted_bound(
    cuts: NDArray[np.float64],
    entry: NDArray[np.float64],
    lean: NDArray[np.float64],
    steps: int,
    floor: float,
) -> float:
    """Least weighted bound found, in mm, with weights on the cuts by fictitious play; ends early below `floor`.

    Entries lie between the rows of `entry` (3, 3), leans between those of `lean` (3, 2), both in the box's frame:
    each step, the axis that answers the weights best is looked for among their corners, and a cut that is lowest
    for all answers so far gains weight.
    """
    n, kept = 0, np.empty((len(cuts), 6))
    for k in range(len(cuts)):
        if cuts[k, 6] < np.inf:
            for d in range(6):
                kept[n, d] = cuts[k, d]
            n += 1
    if n == 0:
        return np.inf
    total, value, best = np.zeros(n), np.zeros(6), np.inf
    lowest = 0
    for k in range(1, n):
        if kept[k, 0] < kept[lowest, 0]:
            lowest = k
    for step in range(1, steps + 1):
        for d in range(6):
            value[d] += (kept[lowest, d] - value[d]) / step
        e, high = 0, -np.inf
        for m in range(3):
            gain = -(value[1] * entry[m, 0] + value[2] * entry[m, 1] + value[3] * entry[m, 2])
            if gain > high:
                e, high = m, gain
        h, more = 0, -np.inf
        for m in range(3):
            gain = -(value[4] * lean[m, 0] + value[5] * lean[m, 1])
            if gain > more:
                h, more = m, gain
        best = min(best, value[0] + high + more)
        if best < floor:
            return float(best)
        lowest = 0
        for k in range(n):
            total[k] += kept[k, 0] - kept[k, 1] * entry[e, 0] - kept[k, 2] * entry[e, 1] - kept[k, 3] * entry[e, 2]
            total[k] -= kept[k, 4] * lean[h, 0] + kept[k, 5] * lean[h, 1]
            if total[k] < total[lowest]:
                lowest = k
    return best


@nb.njit(cache=True)
def extent(
    cuts: NDArray[np.float64],
    entry: NDArray[np.float64],
    lean: NDArray[np.float64],
    toward: NDArray[np.float64],
    back: float,
    threshold: float,
    steps: int,
) -> float:
    """How far, in mm, the points `back` mm behind the entries of axes with a slack of `threshold` lie at most one way.

    `toward` (3) is that way in the box's frame. Of the points only what is of first order counts: the entry less
    `back` times the lean. A cut that is below the threshold costs `_PRICE` mm for each mm, so that the play of
    `weighted_bound` weighs the way against the cuts.
    """
    rows = np.full((len(cuts) + 1, ROW), np.inf)
    for k in range(len(cuts) + 1):
        if k == len(cuts):
            rows[k] = 0.0
        elif cuts[k, 6] < np.inf:
            for d in range(ROW):
                rows[k, d] = _PRICE * cuts[k, d]
            rows[k, 0] -= _PRICE * threshold
        for d in range(3):
            rows[k, 1 + d] -= toward[d]
        for d in range(2):
            rows[k, 4 + d] += back * toward[d]
    least = weighted_bound(rows[len(cuts) :], entry, lean, 1, -np.inf)
    if steps > 1:
        least = min(least, weighted_bound(rows, entry, lean, steps, -np.inf))
    return float(least)
