"""An upper bound of the slack of every implant whose axis lies in a box, and where such axes may cross the joint.

A box is every axis that enters the sacrum within `radius` mm of a point of its joint face and runs within `angle`
of a direction. Moving a flat-ended cylinder that rigidly moves none of its points farther than `radius` plus what the
turn moves it; a danger's point that lies d from the cylinder on the box's own axis is at most d plus that from any.
The rules that are not distances are relaxed: a box is dropped only where no axis in it can keep them.

The bounds hold for slacks of zero and more: an axis with such a slack enters the sacrum through the joint.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.geometry.triangle_tree import TriangleTree
from sjplan.planning.bone_depth import BoneDepth, depth_at, depth_nearby
from sjplan.planning.box_cuts import CUTS, ROW, RULES, extent, rule_row, site_bound, weighted_bound
from sjplan.planning.box_footprint import JointCells, may_be_articular, may_stand_square, own_footprint
from sjplan.planning.danger_sites import DangerSites
from sjplan.planning.joint_support import PLANE_SIDES

DROPPED = -99.0
"""Bound of a box in which no axis keeps the rules on tip and joint angle."""

WIDEST_GAP_MM = 20.0
"""No axis of a plan runs farther than this between the bones: joints are 1 to 8 mm wide, implants stand square."""

_FAR_MM = 60.0
_SHALLOW_MM = 0.25
_NEAR_MM = 0.7
_NARROW_RAD = 0.06
"""Boxes smaller than these two are looked at more closely: rings and steps lie closer together."""

_NEARLY_MM = 0.5
"""In small boxes, better sites are looked for beside those that are so near to the lowest bound so far."""

_CLOSE_MM = 0.2
"""Where a looked-up depth leaves so little to step by, it is measured."""

_FEW_STEPS, _MANY_STEPS, _REACH_STEPS = 4, 20, 12
"""Steps of play for the weights of a box's cuts: before all sites are known, and then; and for each reach."""

_WIDE = 3.0
"""Where a box leaves the ilium is asked again once that is known so many times worse than the box is small."""

_FOOTPRINT_RAD = 0.25
"""Boxes with a wider angle are not tried for what lies under their footprints: it would not drop them."""


class BoxRules(NamedTuple):
    """What every implant of a plan keeps at least, whatever its slot: mm and cosines; `tip_lateral_mm` by slot.

    An implant reaches at least `sacral_mm` beyond the point where it enters the sacrum and begins at least
    `iliac_mm` before it; `normal_cosine` is that of the largest angle to the joint's normal. `radius_mm` and
    `widest_mm` are the smallest and the largest circumscribed radius.
    """

    radius_mm: float
    widest_mm: float
    inscribed_mm: float
    sacral_mm: float
    iliac_mm: float
    normal_cosine: float
    tip_lateral_mm: NDArray[np.float64]
    lowest_mm: float


class Scene(NamedTuple):
    """What boxes are measured against.

    Kernels take its parts one by one: a tuple of tuples cannot be handed to a parallel loop.
    """

    sites: DangerSites
    ilium: TriangleTree
    depths: BoneDepth
    joint: JointCells


@nb.njit(cache=True)
def _certain_start(
    ilium: TriangleTree,
    depths: BoneDepth,
    centre: NDArray[np.float64],
    way: NDArray[np.float64],
    shift: float,
    turn: float,
    start: float,
) -> float:
    """How far back along the axis every implant of the box reaches: an unbroken stretch that is surely in the ilium.

    So far as `start` they are known to reach. A stretch of ilium beyond a gap does not count: an implant may begin
    between the two.
    """
    t, x, near, reached = start, np.empty(3), np.empty(1), start
    while t > -_FAR_MM:
        for d in range(3):
            x[d] = centre[d] + t * way[d]
        depth = depth_nearby(ilium, depths, x, near) - near[0] - shift + t * turn
        if depth < _SHALLOW_MM:
            depth = depth_at(ilium, depths, x) - shift + t * turn
        if depth <= 0.0:
            break
        reached = t
        if depth < _SHALLOW_MM:
            break
        t -= depth / (1.0 + turn)
    return reached


@nb.njit(cache=True)
def box_frame(w: NDArray[np.float64]) -> NDArray[np.float64]:
    """Right-angled frame (3, 3) whose last row is a direction."""
    frame = np.empty((3, 3))
    h0, h1, h2 = (0.0, 0.0, 1.0) if abs(w[2]) < 0.9 else (0.0, 1.0, 0.0)
    u0, u1, u2 = w[1] * h2 - w[2] * h1, w[2] * h0 - w[0] * h2, w[0] * h1 - w[1] * h0
    size = np.sqrt(u0 * u0 + u1 * u1 + u2 * u2)
    frame[0, 0], frame[0, 1], frame[0, 2] = u0 / size, u1 / size, u2 / size
    for d in range(3):
        a, b = (d + 1) % 3, (d + 2) % 3
        frame[1, d] = w[a] * frame[0, b] - w[b] * frame[0, a]
        frame[2, d] = w[d]
    return frame


@nb.njit(cache=True)
def slack_bound(
    sites: DangerSites,
    ilium: TriangleTree,
    depths: BoneDepth,
    rules: BoxRules,
    centre: NDArray[np.float64],
    shift: float,
    way: NDArray[np.float64],
    angle: float,
    entry: NDArray[np.float64],
    lean: NDArray[np.float64],
    start: float,
    floor: float,
    cuts: NDArray[np.float64],
) -> tuple[float, float]:
    """Upper bound of the worst slack of any implant of the box, and how far back along its axis each one reaches.

    Below `floor` it may stop early, still a bound. Axes enter between the rows of `entry` and run between those of
    `lean`, whose half angle is `angle`. Rows that are not numbers do not count; none stand for the whole ball. So
    far as `start` the implants are known to reach. Fills `cuts` (`CUTS` + `RULES`, `ROW`), infinite before but for
    the rules.
    """
    turn, radius, stop = 2.0 * np.sin(0.5 * angle), rules.radius_mm, rules.sacral_mm
    best, wide = np.inf, -np.inf
    c, w, f = centre, way, box_frame(way)
    for n in range(9):
        t = (0.0, 1.0, 0.5, -0.5, 0.8, 0.25, -0.25, 0.7, -0.1)[n] * stop
        x, y, z = c[0] + t * w[0], c[1] + t * w[1], c[2] + t * w[2]
        best = min(best, site_bound(sites, x, y, z, c, f, start, stop, radius, shift, angle, best + wide, cuts))
        if best < floor:
            return best, start
    first_order = not np.isnan(entry[0, 0])
    corners, leans = _in_frame(f, c, angle, entry, lean)
    if first_order:
        best = min(best, weighted_bound(cuts, corners, leans, _FEW_STEPS, floor))
        if best < floor:
            return best, start
    close = shift < _NEAR_MM and angle < _NARROW_RAD
    turns, wide = (12, _NEARLY_MM) if close else (8, -np.inf)
    for ring in range(4 if close else 3):
        if ring == 1:
            if first_order:
                best = min(best, weighted_bound(cuts, corners, leans, _FEW_STEPS, floor))
                if best < floor:
                    return best, start
            start = _certain_start(ilium, depths, centre, way, shift, turn, start)
        t = (stop, start, 0.0, stop - 4.0, start + 4.0, 0.5 * start)[ring]
        for n in range(turns):
            a, b = radius * np.cos(n * 2.0 * np.pi / turns), radius * np.sin(n * 2.0 * np.pi / turns)
            x = c[0] + t * w[0] + a * f[0, 0] + b * f[1, 0]
            y = c[1] + t * w[1] + a * f[0, 1] + b * f[1, 1]
            z = c[2] + t * w[2] + a * f[0, 2] + b * f[1, 2]
            best = min(best, site_bound(sites, x, y, z, c, f, start, stop, radius, shift, angle, best + wide, cuts))
            if best < floor:
                return best, start
    t = stop
    while t > start:
        x, y, z = c[0] + t * w[0], c[1] + t * w[1], c[2] + t * w[2]
        best = min(best, site_bound(sites, x, y, z, c, f, start, stop, radius, shift, angle, best + wide, cuts))
        if best < floor:
            return best, start
        t -= 2.0 if close else 2.5
    if first_order:
        best = min(best, weighted_bound(cuts, corners, leans, _MANY_STEPS, floor))
    return best, start


@nb.njit(cache=True)
def _in_frame(
    frame: NDArray[np.float64],
    centre: NDArray[np.float64],
    angle: float,
    entry: NDArray[np.float64],
    lean: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners of a box in its frame: entries (k, 3) from its centre, and directions (3, 2) across its own.

    A unit vector between three is a sum of them with weights of 1 in all at least, and at most 1 over the cosine of
    the half angle.
    """
    n = 0
    while n < len(entry) and not np.isnan(entry[n, 0]):
        n += 1
    corners, leans = np.zeros((n, 3)), np.zeros((3, 2))
    for m in range(n):
        for d in range(3):
            for k in range(3):
                corners[m, d] += frame[d, k] * (entry[m, k] - centre[k])
    for m in range(3):
        for d in range(2):
            for k in range(3):
                leans[m, d] += frame[d, k] * lean[m, k] / np.cos(angle)
    return corners, leans


@nb.njit(cache=True)
def joint_interval(
    ilium: TriangleTree,
    depths: BoneDepth,
    centre: NDArray[np.float64],
    shift: float,
    way: NDArray[np.float64],
    angle: float,
    low: float,
    high: float,
) -> tuple[float, float]:
    """How far back from the sacrum any axis of the box leaves the ilium: least and most, in mm.

    That it lies from `low` to `high` is known.
    """
    turn, x, t, before, least = 2.0 * np.sin(0.5 * angle), np.empty(3), low, low, np.inf
    near = np.empty(1)
    while t < high:
        for d in range(3):
            x[d] = centre[d] - t * way[d]
        moved = shift + abs(t) * turn
        outside = -depth_nearby(ilium, depths, x, near) - near[0]
        if outside <= (moved if least == np.inf else -moved) + _CLOSE_MM:
            outside = -depth_at(ilium, depths, x)
        if least == np.inf and outside <= moved:
            least = before
        if outside <= -moved and t >= 0.0:
            return least, t
        before = t
        t += max(0.1, 0.2 * shift, 0.8 * (outside - moved)) if least == np.inf else max(0.2, 0.7 * (outside + moved))
    return min(least, before), high


@nb.njit(cache=True, parallel=True)
def measure_boxes(
    sites: DangerSites,
    ilium: TriangleTree,
    depths: BoneDepth,
    joint: JointCells,
    rules: BoxRules,
    floor: float,
    centre: NDArray[np.float64],
    shift: NDArray[np.float64],
    way: NDArray[np.float64],
    angle: NDArray[np.float64],
    entry: NDArray[np.float64],
    lean: NDArray[np.float64],
    asked: NDArray[np.uint8],
    known: NDArray[np.float64],
    sides: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
    """Bound of each box, the slots it may stand in (bits), how far its crossings reach, and what is known of them.

    Only the slots `asked` (bits) are of interest: an axis that keeps the rules of none of them does not count.

    The reach is that along each of `sides` (k, 3), in mm, of the crossings of axes with slacks of `floor` and more.
    `known` has, for each box, how far back its implants reach and the least and most of `joint_interval`, in mm, and
    whether any of them may cross the joint's articular part (1 or 0). Where the bound is below `floor` only the bound
    is worked out; it is `DROPPED`, and slots are 0, where no axis keeps the rules.
    """
    n = len(centre)
    bound, slots = np.full(n, DROPPED), np.zeros(n, np.uint8)
    reach, known = np.zeros((n, len(sides))), known.copy()
    for m in nb.prange(n):
        c, w, turn = centre[m], way[m], 2.0 * np.sin(0.5 * angle[m])
        moved = shift[m] + rules.sacral_mm * turn
        lateral, height = c[0] + rules.sacral_mm * w[0] + moved, c[2] + rules.sacral_mm * w[2] + moved
        medial, falls, least_lateral = w[0] + turn < 0.0, w[2] + turn < 0.0, np.inf
        for slot in range(len(rules.tip_lateral_mm)):
            if (asked[m] >> slot) & 1 and not (medial and lateral < rules.tip_lateral_mm[slot]):
                slots[m] |= np.uint8(1 << slot)
                least_lateral = min(least_lateral, rules.tip_lateral_mm[slot])
        if slots[m] == 0 or (falls and height < rules.lowest_mm):
            slots[m] = 0
            continue
        cuts, frame = np.full((CUTS + RULES, ROW), np.inf), box_frame(w)
        if medial:
            rule_row(cuts[CUTS], frame, c, angle[m], rules.sacral_mm, 0, least_lateral)
        if falls:
            rule_row(cuts[CUTS + 1], frame, c, angle[m], rules.sacral_mm, 2, rules.lowest_mm)
        start = min(known[m, 0], -known[m, 1] - rules.iliac_mm)
        bound[m], known[m, 0] = slack_bound(
            sites, ilium, depths, rules, c, shift[m], w, angle[m], entry[m], lean[m], start, floor, cuts
        )
        if bound[m] < floor:
            slots[m] = 0
            continue
        least, most = known[m, 1], known[m, 2]
        if most - least > _WIDE * (shift[m] + most * turn):
            least, most = joint_interval(ilium, depths, c, shift[m], w, angle[m], least, most)
            known[m, 1], known[m, 2] = least, most
        apart = 0.5 * max(abs(least), abs(most))
        if angle[m] < _FOOTPRINT_RAD:
            size = (rules.radius_mm, rules.widest_mm)
            own = own_footprint(joint, size, c, w)
            if not may_stand_square(joint, own, size, rules.normal_cosine, c, shift[m], w, angle[m], apart):
                bound[m], slots[m] = DROPPED, 0
                continue
            if known[m, 3] > 0.0 and not may_be_articular(joint, own, size, c, shift[m], w, angle[m], apart):
                known[m, 3] = 0.0
        _reaches(cuts, c, shift[m], w, angle[m], entry[m], lean[m], least, most, floor, sides, reach[m])
    return bound, slots, reach, known


@nb.njit(cache=True)
def _reaches(
    cuts: NDArray[np.float64],
    centre: NDArray[np.float64],
    shift: float,
    way: NDArray[np.float64],
    angle: float,
    entry: NDArray[np.float64],
    lean: NDArray[np.float64],
    least: float,
    most: float,
    floor: float,
    sides: NDArray[np.float64],
    reach: NDArray[np.float64],
) -> None:
    """Fill the reach of a box; its axes cross the joint half as far behind their entries as they leave the ilium."""
    frame = box_frame(way)
    corners, leans = _in_frame(frame, centre, angle, entry, lean)
    middle, spread, apart = 0.25 * (least + most), 0.25 * (most - least), 0.5 * max(abs(least), abs(most))
    toward = np.empty(3)
    for k in range(len(sides)):
        for d in range(3):
            toward[d] = frame[d, 0] * sides[k, 0] + frame[d, 1] * sides[k, 1] + frame[d, 2] * sides[k, 2]
        oblique = np.sqrt(toward[0] ** 2 + toward[1] ** 2)
        if np.isnan(entry[0, 0]):
            reach[k] = shift + abs(middle) * oblique * np.sin(angle)
        else:
            reach[k] = extent(cuts, corners, leans, toward, middle, floor, _REACH_STEPS if k < PLANE_SIDES else 1)
        reach[k] += spread * oblique * np.sin(angle) + apart * (1.0 - np.cos(angle)) * abs(toward[2])
        reach[k] += spread * abs(toward[2]) - middle * toward[2]
        reach[k] += centre[0] * sides[k, 0] + centre[1] * sides[k, 1] + centre[2] * sides[k, 2]
