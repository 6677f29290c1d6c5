"""Which boxes of axes can stand together: neighbours so far from parallel at most, crossings at least so far apart.

A plan is a chain: each implant has its neighbour below it. A box of axes belongs to a plan only if some box for the
slot above and some box for the slot below can stand beside it, and these again have theirs. What the first and the
third implant ask of each other is looked at last.
"""

from __future__ import annotations

import itertools

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


_MIDDLE, _SIZE, _WAY, _COS_OF, _SIN_OF, WIDTH = 12, 15, 16, 19, 20, 21
"""Columns of a form: reaches along `joint_sides` (12), the middle and half diagonal of the box round them, way, angle.

The angle stands as cosine and sine of itself plus half the angle that two axes may be apart.
"""

_ROUNDS, _FEW, _MOST_PAIRS = 20, 30_000, 5_000
"""Rounds of dropping boxes without neighbours; where fewer boxes are left, neighbours are asked to agree with each
other as well; so many pairs of them are tried at most before a box counts as having two."""


def forms(reach: Array, way: Array, angle: Array, mutual_rad: float) -> Array:
    """Reaches, directions and half angles (rad) of boxes in one table (n, `WIDTH`), for `chained`."""
    p = PLANE_SIDES
    plus, minus = reach[:, [0, p // 4, p]], reach[:, [p // 2, 3 * p // 4, p + 1]]
    size = np.linalg.norm(0.5 * (plus + minus), axis=1)
    wide = np.minimum(angle + 0.5 * mutual_rad, 0.5 * np.pi)
    return np.column_stack([reach, 0.5 * (plus - minus), size, way, np.cos(wide), np.sin(wide)])


@nb.njit(cache=True)
def may_stand_below(upper: NDArray[np.float64], lower: NDArray[np.float64], spacing: float) -> bool:
    """Whether some axis of one form and some of another can be neighbours, the second not above the first."""
    cosine = upper[_WAY] * lower[_WAY] + upper[_WAY + 1] * lower[_WAY + 1] + upper[_WAY + 2] * lower[_WAY + 2]
    if cosine < upper[_COS_OF] * lower[_COS_OF] - upper[_SIN_OF] * lower[_SIN_OF]:
        return False
    loose, apart = spacing - upper[_SIZE] - lower[_SIZE], 0.0
    for d in range(_MIDDLE, _MIDDLE + 3):
        apart += (upper[d] - lower[d]) ** 2
    if loose > 0.0 and apart < loose * loose:
        return False
    return may_lie_below(upper, lower, spacing)


@nb.njit(cache=True)
def _may_join(own: NDArray[np.float64], other: NDArray[np.float64], below: bool, spacing: float) -> bool:
    """Whether another form may stand below one's own, or above it."""
    return may_stand_below(own, other, spacing) if below else may_stand_below(other, own, spacing)


@nb.njit(cache=True)
def _neighbours(
    own: NDArray[np.float64],
    below: bool,
    groups: tuple[int, int],
    first: NDArray[np.int64],
    group: NDArray[np.float64],
    form: NDArray[np.float64],
    alive: NDArray[np.bool_],
    spacing: float,
    out: NDArray[np.int64],
) -> int:
    """Fill `out` with the first live boxes that can stand below a form, or above it; how many were found."""
    n = 0
    for g in range(groups[0], groups[1]):
        if not _may_join(own, group[g], below, spacing):
            continue
        for j in range(first[g], first[g + 1]):
            if alive[j] and _may_join(own, form[j], below, spacing):
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
    spacing: float,
) -> NDArray[np.bool_]:
    """Which boxes still have live neighbours; `beside` (n, 2) remembers those above and below."""
    slots = len(slot_start) - 1
    out = alive.copy()
    for g in nb.prange(len(first) - 1):
        slot = 0
        while g >= slot_start[slot + 1]:
            slot += 1
        last, one = np.full(2, -1), np.empty(1, np.int64)
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
                if j < 0 or not _may_join(form[i], form[j], way == 1, spacing):
                    wanted = (slot_start[other], slot_start[other + 1])
                    found = _neighbours(form[i], way == 1, wanted, first, group, form, alive, spacing, one)
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
def _stand(form: NDArray[np.float64], i: int, upper: int, lower: int, slot: int, spacing: float) -> bool:
    """Whether the two of a remembered chain that are not neighbours in it can stand with each other."""
    if slot == 0:
        return may_stand_below(form[i], form[lower], spacing)
    if slot == 1:
        return may_stand_below(form[upper], form[lower], spacing)
    return may_stand_below(form[upper], form[i], spacing)


@nb.njit(cache=True, parallel=True)
def _agreed(
    first: NDArray[np.int64],
    slot_start: NDArray[np.int64],
    group: NDArray[np.float64],
    form: NDArray[np.float64],
    alive: NDArray[np.bool_],
    beside: NDArray[np.int64],
    pair: NDArray[np.int64],
    spacing: float,
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
        uppers, lowers = np.empty(0, np.int64), np.empty(0, np.int64)
        last_upper, last_lower = -1, -1
        for i in range(first[g], first[g + 1]):
            if not alive[i]:
                continue
            if pair[i, 0] >= 0 and alive[pair[i, 0]] and alive[pair[i, 1]]:
                continue
            j, k = _known_pair(beside, i, slot)
            if alive[j] and alive[k] and _stand(form, i, j, k, slot, spacing):
                pair[i, 0], pair[i, 1] = j, k
                continue
            if (
                last_upper >= 0
                and _may_join(form[i], form[last_upper], upper > slot, spacing)
                and _may_join(form[i], form[last_lower], lower > slot, spacing)
            ):
                pair[i, 0], pair[i, 1] = last_upper, last_lower
                continue
            if len(uppers) == 0:
                uppers, lowers = np.empty(n, np.int64), np.empty(n, np.int64)
            wanted = (slot_start[upper], slot_start[upper + 1])
            some = _neighbours(form[i], upper > slot, wanted, first, group, form, alive, spacing, uppers)
            wanted = (slot_start[lower], slot_start[lower + 1])
            others = _neighbours(form[i], lower > slot, wanted, first, group, form, alive, spacing, lowers)
            out[i], tried = some * others > _MOST_PAIRS, 0
            for a in range(some):
                if tried > _MOST_PAIRS:
                    break
                for b in range(others):
                    tried += 1
                    if may_stand_below(form[uppers[a]], form[lowers[b]], spacing):
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
    spacing_mm: float,
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
        alive = _round(first, slot_start, group, form, alive, beside, spacing_mm)
        if agree and int(alive.sum()) == before < _FEW and len(slot_start) == 4:
            alive = _agreed(first, slot_start, group, form, alive, beside, pair, spacing_mm)
        if not all(alive[first[a] : first[b]].any() for a, b in itertools.pairwise(slot_start)):
            return np.zeros(len(form), np.bool_)
        if int(alive.sum()) == before:
            break
    return alive
