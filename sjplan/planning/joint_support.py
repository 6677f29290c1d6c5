"""Which boxes of axes can stand together: neighbours so far from parallel at most, crossings at least so far apart.

A plan is a chain: each implant has its neighbour below it. A box of axes belongs to a plan only if some box for the
slot above and some box for the slot below can stand beside it, and these again have theirs. Of two neighbours one
has to cross the joint's articular part, and their solids keep their gap. What the first and the third implant ask of
each other is looked at last.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.core.arrays import Array

PLANE_SIDES = 8
"""The first of the sides that crossings are bounded on: ways in the joint's plane, equally far apart."""

_COS, _SIN2 = np.cos(2.0 * np.pi / PLANE_SIDES), np.sin(2.0 * np.pi / PLANE_SIDES) ** 2


def joint_sides(normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sides (12, 3) that crossings are bounded on: those in a plane, both of its normal, up and down."""
    u = np.cross(normal, (0.0, 1.0, 0.0) if abs(normal[1]) < 0.9 else (0.0, 0.0, 1.0))
    u /= np.linalg.norm(u)
    v = np.cross(normal, u)
    turn = 2.0 * np.pi * np.arange(PLANE_SIDES) / PLANE_SIDES
    plane = np.cos(turn)[:, None] * u + np.sin(turn)[:, None] * v
    up = np.array([0.0, 0.0, 1.0])
    return np.concatenate([plane, [normal, -normal, up, -up]])


@nb.njit(cache=True)
def may_lie_below(upper: NDArray[np.float64], lower: NDArray[np.float64], spacing: float) -> bool:
    """Whether points with these reaches along `joint_sides` can lie so far apart, the second not above the first.

    Between two neighbouring sides of the plane, the farthest that the difference may lie is where both reaches end,
    or the nearer of the two ends where that lies beyond the other side.
    """
    p = PLANE_SIDES
    if upper[p + 2] + lower[p + 3] < 0.0:
        return False
    beside = max(upper[p] + lower[p + 1], upper[p + 1] + lower[p])
    wanted = spacing * spacing - beside * beside
    if wanted <= 0.0:
        return True
    half = p // 2
    b = upper[0] + lower[half]
    for k in range(p):
        a, b = b, upper[(k + 1) % p] + lower[(k + 1 + half) % p]
        if a < 0.0 or b < 0.0:
            continue
        if a <= _COS * b:
            far = (a / _COS) ** 2
        elif b <= _COS * a:
            far = (b / _COS) ** 2
        else:
            far = (a * a + b * b - 2.0 * _COS * a * b) / _SIN2
        if far >= wanted:
            return True
    return False


class PairLimits(NamedTuple):
    """What two implants of a plan keep, in mm: between crossings, and between solids round inscribed cylinders."""

    spacing_mm: float
    inscribed_mm: float
    gap_mm: float


_MIDDLE, _SIZE, _WAY, _COS_OF, _SIN_OF, _ARTICULAR = 12, 15, 16, 19, 20, 21
_ENTRY, _SHIFT, _TURN, _START, _STOP, WIDTH = 22, 25, 26, 27, 28, 29
"""Columns of a form: reaches along `joint_sides` (12), the middle and half diagonal of the box round them, way, angle.

The angle stands as cosine and sine of itself plus half the angle that two axes may be apart. Then how many articular
crossings the box can count for, 1 or 0: two neighbours need one between them. Last its own axis: where it enters the
sacrum, how far that may move, how far a point moves for each mm from there, and from where to where all implants reach.
"""

_ROUNDS, _FEW, _MOST_PAIRS = 20, 10_000, 5_000
"""Rounds of dropping boxes without neighbours; where fewer boxes are left, neighbours are asked to agree with each
other as well; so many pairs of them are tried at most before a box counts as having two."""


def forms(
    reach: Array, way: Array, angle: Array, articular: Array, mutual_rad: float, own: Array | None = None
) -> Array:
    """Reaches, directions, half angles (rad) and articular crossings of boxes in one table (n, `WIDTH`), for `chained`.

    `own` (n, 6): where each box's own axis enters the sacrum, how far that may move, and from where to where along it
    all implants of the box reach. Without it nothing is asked of the gap between solids.
    """
    p = PLANE_SIDES
    plus, minus = reach[:, [0, p // 4, p]], reach[:, [p // 2, 3 * p // 4, p + 1]]
    size = np.linalg.norm(0.5 * (plus + minus), axis=1)
    wide = np.minimum(angle + 0.5 * mutual_rad, 0.5 * np.pi)
    if own is None:
        own = np.tile([0.0, 0.0, 0.0, np.inf, 0.0, 0.0], (len(reach), 1))
    turn = 2.0 * np.sin(0.5 * angle)
    parts = reach, 0.5 * (plus - minus), size, way, np.cos(wide), np.sin(wide), articular, own[:, :4], turn, own[:, 4:]
    return np.column_stack(parts)


@nb.njit(cache=True)
def _solids_apart(upper: NDArray[np.float64], lower: NDArray[np.float64], limits: PairLimits) -> bool:
    """False only where the solids of every two implants of two boxes come nearer to each other than they may.

    Where the boxes' own axes are nearest, each solid holds a disc across its axis. A point of a disc is moved by no
    more than its axis' entry, and than the turn moves it.
    """
    loose, e, w, s = upper[_SHIFT] + lower[_SHIFT], _ENTRY, _WAY, limits.inscribed_mm
    if loose > limits.spacing_mm:
        return True
    r0, r1, r2 = upper[e] - lower[e], upper[e + 1] - lower[e + 1], upper[e + 2] - lower[e + 2]
    b = upper[w] * lower[w] + upper[w + 1] * lower[w + 1] + upper[w + 2] * lower[w + 2]
    c = upper[w] * r0 + upper[w + 1] * r1 + upper[w + 2] * r2
    f = lower[w] * r0 + lower[w + 1] * r1 + lower[w + 2] * r2
    d = 1.0 - b * b
    p = min(max((b * f - c) / d, upper[_START]), upper[_STOP]) if d > 1e-9 else upper[_STOP]
    q = min(max(b * p + f, lower[_START]), lower[_STOP])
    p = min(max(b * q - c, upper[_START]), upper[_STOP])
    x = r0 + p * upper[w] - q * lower[w]
    y = r1 + p * upper[w + 1] - q * lower[w + 1]
    z = r2 + p * upper[w + 2] - q * lower[w + 2]
    i = x * upper[w] + y * upper[w + 1] + z * upper[w + 2]
    j = x * lower[w] + y * lower[w + 1] + z * lower[w + 2]
    square = x * x + y * y + z * z
    m, n = np.sqrt(max(square - i * i, 1e-12)), np.sqrt(max(square - j * j, 1e-12))
    s = min(s, m * n / (m + n))
    k, total = 1.0 - s / m - s / n, 0.0
    for a in range(3):
        between = (x, y, z)[a]
        total += (k * between + s * i / m * upper[w + a] + s * j / n * lower[w + a]) ** 2
    loose += (abs(p) + s) * upper[_TURN] + (abs(q) + s) * lower[_TURN]
    return bool(np.sqrt(total) + loose >= limits.gap_mm)


@nb.njit(cache=True)
def may_stand_below(upper: NDArray[np.float64], lower: NDArray[np.float64], limits: PairLimits) -> bool:
    """Whether some axis of one form and some of another can be neighbours, the second not above the first."""
    if upper[_ARTICULAR] + lower[_ARTICULAR] < 1.0:
        return False
    cosine = upper[_WAY] * lower[_WAY] + upper[_WAY + 1] * lower[_WAY + 1] + upper[_WAY + 2] * lower[_WAY + 2]
    if cosine < upper[_COS_OF] * lower[_COS_OF] - upper[_SIN_OF] * lower[_SIN_OF]:
        return False
    spacing = limits.spacing_mm
    loose, apart = spacing - upper[_SIZE] - lower[_SIZE], 0.0
    for d in range(_MIDDLE, _MIDDLE + 3):
        apart += (upper[d] - lower[d]) ** 2
    if loose > 0.0 and apart < loose * loose:
        return False
    return may_lie_below(upper, lower, spacing) and _solids_apart(upper, lower, limits)


@nb.njit(cache=True)
def _may_join(own: NDArray[np.float64], other: NDArray[np.float64], below: bool, limits: PairLimits) -> bool:
    """Whether another form may stand below one's own, or above it."""
    return may_stand_below(own, other, limits) if below else may_stand_below(other, own, limits)


@nb.njit(cache=True)
def _near(
    own: NDArray[np.float64], below: bool, groups: tuple[int, int], group: NDArray[np.float64], limits: PairLimits
) -> NDArray[np.int64]:
    """Which groups, of a range, can stand below a form, or above it."""
    out, n = np.empty(groups[1] - groups[0], np.int64), 0
    for g in range(groups[0], groups[1]):
        if _may_join(own, group[g], below, limits):
            out[n] = g
            n += 1
    return out[:n]


@nb.njit(cache=True)
def _neighbours(
    own: NDArray[np.float64],
    below: bool,
    groups: NDArray[np.int64],
    first: NDArray[np.int64],
    group: NDArray[np.float64],
    form: NDArray[np.float64],
    alive: NDArray[np.bool_],
    limits: PairLimits,
    out: NDArray[np.int64],
) -> int:
    """Fill `out` with the first live boxes that can stand below a form, or above it; how many were found."""
    n = 0
    for g in groups:
        if not _may_join(own, group[g], below, limits):
            continue
        for j in range(first[g], first[g + 1]):
            if alive[j] and _may_join(own, form[j], below, limits):
                out[n] = j
                n += 1
                if n == len(out):
                    return n
    return n


@nb.njit(cache=True, parallel=True)
def _round(
    first: NDArray[np.int64],
    slot_start: NDArray[np.int64],
    group: NDArray[np.float64],
    form: NDArray[np.float64],
    alive: NDArray[np.bool_],
    beside: NDArray[np.int64],
    limits: PairLimits,
) -> NDArray[np.bool_]:
    """Which boxes still have live neighbours; `beside` (n, 2) remembers those above and below."""
    slots = len(slot_start) - 1
    out = alive.copy()
    for g in nb.prange(len(first) - 1):
        slot = 0
        while g >= slot_start[slot + 1]:
            slot += 1
        last, one = np.full(2, -1), np.empty(1, np.int64)
        near, known = [np.empty(0, np.int64), np.empty(0, np.int64)], np.zeros(2, np.bool_)
        for i in range(first[g], first[g + 1]):
            if not alive[i]:
                continue
            for way in range(2):
                other = slot - 1 if way == 0 else slot + 1
                if other < 0 or other >= slots:
                    continue
                if beside[i, way] >= 0 and alive[beside[i, way]]:
                    continue
                j = last[way]
                if j < 0 or not _may_join(form[i], form[j], way == 1, limits):
                    if not known[way]:
                        wanted = (slot_start[other], slot_start[other + 1])
                        near[way], known[way] = _near(group[g], way == 1, wanted, group, limits), True
                    found = _neighbours(form[i], way == 1, near[way], first, group, form, alive, limits, one)
                    j = one[0] if found > 0 else -1
                beside[i, way] = j
                if j < 0:
                    out[i] = False
                    break
                last[way] = j
    return out


@nb.njit(cache=True)
def _known_pair(beside: NDArray[np.int64], i: int, slot: int) -> tuple[int, int]:
    """Boxes for the two other slots that neighbours remember, the upper one first."""
    if slot == 0:
        return beside[i, 1], beside[beside[i, 1], 1]
    if slot == 1:
        return beside[i, 0], beside[i, 1]
    return beside[beside[i, 0], 0], beside[i, 0]


@nb.njit(cache=True)
def _stand(form: NDArray[np.float64], i: int, upper: int, lower: int, slot: int, limits: PairLimits) -> bool:
    """Whether the two of a remembered chain that are not neighbours in it can stand with each other."""
    if slot == 0:
        return may_stand_below(form[i], form[lower], limits)
    if slot == 1:
        return may_stand_below(form[upper], form[lower], limits)
    return may_stand_below(form[upper], form[i], limits)


@nb.njit(cache=True, parallel=True)
def _agreed(
    first: NDArray[np.int64],
    slot_start: NDArray[np.int64],
    group: NDArray[np.float64],
    form: NDArray[np.float64],
    alive: NDArray[np.bool_],
    beside: NDArray[np.int64],
    pair: NDArray[np.int64],
    limits: PairLimits,
) -> NDArray[np.bool_]:
    """Which boxes have live boxes for the two other slots that can stand beside them and beside each other.

    `pair` (n, 2) remembers those two, the upper one first.
    """
    out, n = alive.copy(), len(form)
    for g in nb.prange(len(first) - 1):
        slot = 0
        while g >= slot_start[slot + 1]:
            slot += 1
        upper, lower = (1 if slot == 0 else 0), (1 if slot == 2 else 2)
        uppers = lowers = above = below = np.empty(0, np.int64)
        last_upper, last_lower = -1, -1
        for i in range(first[g], first[g + 1]):
            if not alive[i]:
                continue
            if pair[i, 0] >= 0 and alive[pair[i, 0]] and alive[pair[i, 1]]:
                continue
            j, k = _known_pair(beside, i, slot)
            if alive[j] and alive[k] and _stand(form, i, j, k, slot, limits):
                pair[i, 0], pair[i, 1] = j, k
                continue
            if (
                last_upper >= 0
                and _may_join(form[i], form[last_upper], upper > slot, limits)
                and _may_join(form[i], form[last_lower], lower > slot, limits)
            ):
                pair[i, 0], pair[i, 1] = last_upper, last_lower
                continue
            if len(uppers) == 0:
                uppers, lowers = np.empty(n, np.int64), np.empty(n, np.int64)
                above = _near(group[g], upper > slot, (slot_start[upper], slot_start[upper + 1]), group, limits)
                below = _near(group[g], lower > slot, (slot_start[lower], slot_start[lower + 1]), group, limits)
            some = _neighbours(form[i], upper > slot, above, first, group, form, alive, limits, uppers)
            others = _neighbours(form[i], lower > slot, below, first, group, form, alive, limits, lowers)
            out[i], tried = some * others > _MOST_PAIRS, 0
            for a in range(some):
                if tried > _MOST_PAIRS:
                    break
                for b in range(others):
                    tried += 1
                    if may_stand_below(form[uppers[a]], form[lowers[b]], limits):
                        out[i] = True
                        last_upper, last_lower = uppers[a], lowers[b]
                        pair[i, 0], pair[i, 1] = last_upper, last_lower
                        tried = _MOST_PAIRS + 1
                        break
    return out


def chained(
    form: Array,
    first: NDArray[np.int64],
    slot_start: NDArray[np.int64],
    group: Array,
    limits: PairLimits,
    *,
    agree: bool = True,
) -> NDArray[np.bool_]:
    """Which boxes belong to a chain, one box a slot from cranial to caudal.

    Boxes stand in groups: those of group g are rows first[g] to first[g + 1] of `form`, and `group` has a form for
    each that covers all of its boxes. Groups stand in slots: those of slot k are slot_start[k] to slot_start[k + 1].
    The first and the third of a chain are asked to `agree` with each other where few boxes are left.
    """
    alive = np.ones(len(form), np.bool_)
    beside, pair = np.full((len(form), 2), -1), np.full((len(form), 2), -1)
    for _ in range(_ROUNDS):
        before = int(alive.sum())
        alive = _round(first, slot_start, group, form, alive, beside, limits)
        if agree and int(alive.sum()) == before < _FEW and len(slot_start) == 4:
            alive = _agreed(first, slot_start, group, form, alive, beside, pair, limits)
        if not all(alive[first[a] : first[b]].any() for a, b in itertools.pairwise(slot_start)):
            return np.zeros(len(form), np.bool_)
        if int(alive.sum()) == before:
            break
    return alive
