"""First-order bounds on a box of axes: how slack falls, to one side of a site or the other, as an axis is moved.

In a frame whose third axis is the box's own, an axis of the box enters at e (three numbers) and runs along the box's
direction plus h (two numbers, across it) plus what is of second order. A site k bounds the slack of such an axis by

    constant_k - normal_k . e - lever_k . h

with the second order in the constant. For weights that add up to one, the largest weighted sum over the box bounds
the slack of all its axes: opposite walls cancel, and the bound tends to the best axis's own as the box shrinks.
A rule that is linear in the axis, such as where the tip may lie, is a row of the same kind that must not be negative.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.planning.danger_sites import DangerSites

CUTS = 24
"""How many cuts are kept: the lowest of eight sectors round the axis, in three stretches along it."""

RULES = 2
"""Rows for rules after those for cuts: the tip's distance from the midline, and its height."""

ROW = 7
"""Numbers in a cut: constant in mm, normal (3), lever in mm (2), and the site's slack on the box's own axis in mm.

That last number is infinite in a row that is not filled.
"""

_NEAREST_MM = 0.3

_PRICE = 3.0
"""What a mm of slack below the threshold, or of a missed rule, costs in mm of extent; any price gives a bound."""


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
    near_mm: float,
    cuts: NDArray[np.float64],
) -> float:
    """Bound, in mm, from the site that the node at a point names; its cut is kept where it is the lowest of its kind.

    `across` (3, 3) is the box's frame, its direction last. Where the foot of the site stays on the flank of every
    cylinder of the box, distances are those from the axes. Where the site takes so much off the slack that it falls
    below `near_mm` on the box's own axis, better sites beside it are looked for, from one to the next.
    """
    i, j, k = int(x - sites.low[0] + 0.5), int(y - sites.low[1] + 0.5), int(z - sites.low[2] + 0.5)
    shape = sites.site.shape
    if i < 0 or j < 0 or k < 0 or i >= shape[0] or j >= shape[1] or k >= shape[2] or sites.site[i, j, k] < 0:
        return np.inf
    n = sites.site[i, j, k]
    p, q = np.empty(3), np.empty(3)
    least = _own_slack(sites, n, centre, across, start, stop, radius, p)
    if least < near_mm:
        better = True
        while better:
            better = False
            for m in sites.near[n]:
                value = _own_slack(sites, m, centre, across, start, stop, radius, q)
                if value < least:
                    least, n, better = value, m, True
                    p[:] = q
    return _site_cut(p, sites.point[n, 3], start, stop, radius, shift, angle, cuts)


@nb.njit(cache=True)
def _own_slack(
    sites: DangerSites,
    n: int,
    centre: NDArray[np.float64],
    across: NDArray[np.float64],
    start: float,
    stop: float,
    radius: float,
    p: NDArray[np.float64],
) -> float:
    """Slack of the box's own implant to a site, whose place in the box's frame is put into p."""
    x, y, z = sites.point[n, 0] - centre[0], sites.point[n, 1] - centre[1], sites.point[n, 2] - centre[2]
    for d in range(3):
        p[d] = x * across[d, 0] + y * across[d, 1] + z * across[d, 2]
    beyond = max(start - p[2], p[2] - stop)
    beside = np.sqrt(p[0] * p[0] + p[1] * p[1]) - radius
    if beyond <= 0.0 or beside <= 0.0:
        return float(max(beyond, beside) - sites.point[n, 3])
    return float(np.sqrt(beyond * beyond + beside * beside) - sites.point[n, 3])


@nb.njit(cache=True)
def _site_cut(
    p: NDArray[np.float64],
    limit: float,
    start: float,
    stop: float,
    radius: float,
    shift: float,
    angle: float,
    cuts: NDArray[np.float64],
) -> float:
    """Bound, in mm, from one site, given in the box's frame; keeps its cut where that is the lowest of its kind."""
    pu, pv, along = p[0], p[1], p[2]
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
def rule_row(
    row: NDArray[np.float64],
    across: NDArray[np.float64],
    centre: NDArray[np.float64],
    angle: float,
    depth: float,
    axis: int,
    least: float,
) -> None:
    """Fill the row of the rule that the point `depth` mm along an axis lies at `least` or beyond, in one coordinate.

    For directions all of which fall in that coordinate.
    """
    row[0] = centre[axis] + depth * np.cos(angle) * across[2, axis] - least
    row[1], row[2], row[3] = -across[0, axis], -across[1, axis], -across[2, axis]
    row[4], row[5] = -depth * across[0, axis], -depth * across[1, axis]
    row[6] = 0.0


@nb.njit(cache=True)
def _play(
    rows: NDArray[np.float64],
    n: int,
    bounds: int,
    entry: NDArray[np.float64],
    lean: NDArray[np.float64],
    steps: int,
    floor: float,
) -> float:
    """Least value found of the largest weighted sum of the first n rows; the rows from `bounds` on are rules.

    Rows stand as the columns of `rows` (6, n or more), so that a step goes through contiguous numbers.

    Each step, the axis that answers the weights best is looked for among the corners of the box, and the row that is
    lowest for all answers so far gains weight. A rule, times any factor, may be added to what bounds the slack: here
    it stands as `floor` plus itself, and its share is taken out again. Ends early below `floor`.
    """
    total, value, best = np.zeros(n), np.zeros(6), np.inf
    lowest, share = 0, 0.0
    for k in range(1, n):
        if rows[0, k] < rows[0, lowest]:
            lowest = k
    for step in range(1, steps + 1):
        for d in range(6):
            value[d] += (rows[d, lowest] - value[d]) / step
        share += ((1.0 if lowest >= bounds else 0.0) - share) / step
        e, high = 0, -np.inf
        for m in range(len(entry)):
            gain = -(value[1] * entry[m, 0] + value[2] * entry[m, 1] + value[3] * entry[m, 2])
            if gain > high:
                e, high = m, gain
        h, more = 0, -np.inf
        for m in range(3):
            gain = -(value[4] * lean[m, 0] + value[5] * lean[m, 1])
            if gain > more:
                h, more = m, gain
        found = value[0] + high + more
        if share > 0.0:
            if share < 1.0 - 1e-9:
                found = (found - share * floor) / (1.0 - share)
            elif found < floor:
                return -np.inf
            else:
                found = np.inf
        best = min(best, found)
        if best < floor:
            return float(best)
        lowest, e0, e1, e2, h0, h1 = 0, entry[e, 0], entry[e, 1], entry[e, 2], lean[h, 0], lean[h, 1]
        for k in range(n):
            total[k] += (
                rows[0, k] - rows[1, k] * e0 - rows[2, k] * e1 - rows[3, k] * e2 - rows[4, k] * h0 - rows[5, k] * h1
            )
        least = total[0]
        for k in range(1, n):
            if total[k] < least:
                least, lowest = total[k], k
    return best


@nb.njit(cache=True)
def weighted_bound(
    cuts: NDArray[np.float64],
    entry: NDArray[np.float64],
    lean: NDArray[np.float64],
    steps: int,
    floor: float,
) -> float:
    """Least weighted bound found, in mm, with weights on the cuts by fictitious play; ends early below `floor`.

    Entries lie between the rows of `entry` (k, 3), leans between those of `lean` (3, 2), both in the box's frame.
    Rules count where `floor` is finite; minus infinity where no axis keeps them with a slack of `floor`.
    """
    n, bounds, rows = 0, 0, np.empty((6, len(cuts)))
    for k in range(len(cuts)):
        if cuts[k, 6] < np.inf and (k < CUTS or floor > -np.inf):
            for d in range(6):
                rows[d, n] = cuts[k, d]
            if k >= CUTS:
                rows[0, n] += floor
            else:
                bounds += 1
            n += 1
    if n == 0:
        return np.inf
    return float(_play(rows, n, bounds, entry, lean, steps, floor))


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
    `back` times the lean. A cut that is below the threshold costs `_PRICE` mm for each mm, and so does a missed rule,
    so that the play of `weighted_bound` weighs the way against them.
    """
    n, rows = 0, np.zeros((6, len(cuts) + 1))
    for k in range(len(cuts) + 1):
        if k < len(cuts):
            if not cuts[k, 6] < np.inf:
                continue
            for d in range(6):
                rows[d, n + 1] = _PRICE * cuts[k, d]
            if k < CUTS:
                rows[0, n + 1] -= _PRICE * threshold
            n += 1
    for k in range(n + 1):
        for d in range(3):
            rows[1 + d, k] -= toward[d]
        for d in range(2):
            rows[4 + d, k] += back * toward[d]
    least = _play(rows, 1, 1, entry, lean, 1, -np.inf)
    if steps > 1:
        least = min(least, _play(rows, n + 1, n + 1, entry, lean, steps, -np.inf))
    return float(least)
