"""Which boxes of axes can stand together: three axes at most so far from parallel, crossings at least so far apart.

Axes that pairwise lie within an angle of each other all lie within a somewhat larger angle of one common direction
(Jung's theorem on the sphere). So every plan is found by going through common directions, fine enough to cover the
sphere, and asking for each which places on the joint support a plan by their distances alone.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

PLANE_SIDES = 8
"""The first of the sides that crossings are bounded on: ways in the joint's plane, equally far apart."""

_COS, _SIN2 = np.cos(2.0 * np.pi / PLANE_SIDES), np.sin(2.0 * np.pi / PLANE_SIDES) ** 2


def common_angle(mutual_rad: float, count: int) -> float:
    """Within this angle of one direction lie `count` directions that pairwise differ by at most `mutual_rad`.

    Examples
    --------
    >>> round(float(np.degrees(common_angle(np.radians(20.0), 3))), 2)
    11.57
    """
    if count == 2:
        return 0.5 * mutual_rad
    return float(np.arcsin(min(1.0, 2.0 / np.sqrt(3.0) * np.sin(0.5 * min(mutual_rad, np.pi)))))


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


@nb.njit(cache=True)
def _boxes_round(reach: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middles (n, 3) and half diagonals of boxes round what the reaches bound, by every other side of the plane."""
    n, p = len(reach), PLANE_SIDES
    middle, size = np.empty((n, 3)), np.zeros(n)
    for i in range(n):
        for d in range(3):
            a = reach[i, (0, p // 4, p)[d]]
            b = reach[i, (p // 2, 3 * p // 4, p + 1)[d]]
            middle[i, d] = 0.5 * (a - b)
            size[i] += (0.5 * (a + b)) ** 2
        size[i] = np.sqrt(size[i])
    return middle, size


@nb.njit(cache=True)
def supported_slots(
    reach: NDArray[np.float64], slots: NDArray[np.uint8], spacing: float, count: int
) -> NDArray[np.uint8]:
    """Bits of the slots in which each place belongs to a set of `count` places, cranial to caudal, far enough apart.

    `reach` (n, 12) is how far crossings in a place reach along each of `joint_sides`, in mm.
    """
    n = len(reach)
    words = (n + 63) // 64
    below = np.zeros((n, words), np.uint64)
    middle, size = _boxes_round(reach)
    up = PLANE_SIDES + 2
    for i in range(n):
        for j in range(n):
            x, y, z = middle[i, 0] - middle[j, 0], middle[i, 1] - middle[j, 1], middle[i, 2] - middle[j, 2]
            apart, loose = x * x + y * y + z * z, spacing - size[i] - size[j]
            if (loose > 0.0 and apart < loose * loose) or reach[i, up] + reach[j, up + 1] < 0.0:
                continue
            if apart >= spacing * spacing or may_lie_below(reach[i], reach[j], spacing):
                below[i, j >> 6] |= np.uint64(1) << np.uint64(j & 63)
    holds = np.zeros((count, words), np.uint64)
    for i in range(n):
        for slot in range(count):
            if (slots[i] >> slot) & 1:
                holds[slot, i >> 6] |= np.uint64(1) << np.uint64(i & 63)
    last = np.zeros(words, np.uint64)
    out = np.zeros(n, np.uint8)
    for i in range(n):
        if not slots[i] & 1:
            continue
        if count == 2:
            for w in range(words):
                common = below[i, w] & holds[1, w]
                if common:
                    out[i] |= np.uint8(1)
                    last[w] |= common
            continue
        for j in range(n):
            if not (slots[j] & 2 and (below[i, j >> 6] >> np.uint64(j & 63)) & np.uint64(1)):
                continue
            for w in range(words):
                common = below[i, w] & below[j, w] & holds[2, w]
                if common:
                    out[i] |= np.uint8(1)
                    out[j] |= np.uint8(2)
                    last[w] |= common
    for i in range(n):
        if (last[i >> 6] >> np.uint64(i & 63)) & np.uint64(1):
            out[i] |= np.uint8(1 << (count - 1))
    return out


@nb.njit(cache=True)
def _members(
    u: NDArray[np.float64],
    reach: float,
    way: NDArray[np.float64],
    cosine: NDArray[np.float64],
    sine: NDArray[np.float64],
    out: NDArray[np.bool_],
) -> None:
    """Mark the boxes with some direction within `reach` of u; cosine and sine are those of the boxes' half angles."""
    c, s = np.cos(reach), np.sin(reach)
    for n in range(len(way)):
        least = c * cosine[n] - s * sine[n]
        out[n] = way[n, 0] * u[0] + way[n, 1] * u[1] + way[n, 2] * u[2] >= least


@nb.njit(cache=True, parallel=True)
def supported_boxes(
    commons: NDArray[np.float64],
    spread: float,
    place: NDArray[np.int64],
    first: NDArray[np.int64],
    way: NDArray[np.float64],
    angle: NDArray[np.float64],
    slots: NDArray[np.uint8],
    reach: NDArray[np.float64],
    spacing: float,
    count: int,
    parts: int,
) -> NDArray[np.uint8]:
    """Bits of the slots in which each box belongs to a possible plan.

    Boxes are sorted by place: those of place p are first[p] to first[p + 1]. `commons` are common directions, each
    with every direction within `spread` (their own half angle included); spread plus a box's angle is below pi. For
    `reach` see `supported_slots`.
    """
    n, places = len(way), len(first) - 1
    cosine, sine = np.cos(angle), np.sin(angle)
    keep = np.zeros((parts, n), np.uint8)
    for part in nb.prange(parts):
        inside, row = np.zeros(n, np.bool_), np.zeros(places, np.int64)
        far, held = np.empty((places, reach.shape[1])), np.zeros(places, np.uint8)
        for u in range(part, len(commons), parts):
            _members(commons[u], spread, way, cosine, sine, inside)
            news, m = False, 0
            for p in range(places):
                k, bits = 0, np.uint8(0)
                far[m] = -np.inf
                for b in range(first[p], first[p + 1]):
                    if inside[b]:
                        k += 1
                        bits |= slots[b]
                        news |= (slots[b] & ~keep[part, b]) != 0
                        for d in range(reach.shape[1]):
                            far[m, d] = max(far[m, d], reach[b, d])
                row[p] = -1
                if k == 0:
                    continue
                held[m], row[p] = bits, m
                m += 1
            if not news or m < count:
                continue
            good = supported_slots(far[:m], held[:m], spacing, count)
            for b in range(n):
                if inside[b]:
                    keep[part, b] |= slots[b] & good[row[place[b]]]
    out = np.zeros(n, np.uint8)
    for part in range(parts):
        out |= keep[part]
    return out
