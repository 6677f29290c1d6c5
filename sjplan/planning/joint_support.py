"""Which boxes of axes can stand together: three axes at most so far from parallel, crossings at least so far apart.

Axes that pairwise lie within an angle of each other all lie within a somewhat larger angle of one common direction
(Jung's theorem on the sphere). So every plan is found by going through common directions, fine enough to cover the
sphere, and asking for each which places on the joint support a plan by their distances alone.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint64]


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


@nb.njit(cache=True)
def supported_slots(
    middle: NDArray[np.float64],
    across: NDArray[np.float64],
    along: NDArray[np.float64],
    u: NDArray[np.float64],
    slots: NDArray[np.uint8],
    spacing: float,
    count: int,
) -> NDArray[np.uint8]:
    """Bits of the slots in which each place belongs to a set of `count` places, cranial to caudal, far enough apart.

    The crossing of a place differs from `middle` by at most `across` mm across the direction u and `along` mm along it.
    """
    n = len(middle)
    words = (n + 63) // 64
    below = np.zeros((n, words), np.uint64)
    rise, level = abs(u[2]), np.sqrt(max(0.0, 1.0 - u[2] * u[2]))
    for i in range(n):
        for j in range(n):
            x, y, z = middle[i, 0] - middle[j, 0], middle[i, 1] - middle[j, 1], middle[i, 2] - middle[j, 2]
            if z < -rise * (along[i] + along[j]) - level * (across[i] + across[j]):
                continue
            ahead = x * u[0] + y * u[1] + z * u[2]
            beside = np.sqrt(max(0.0, x * x + y * y + z * z - ahead * ahead)) + across[i] + across[j]
            ahead = abs(ahead) + along[i] + along[j]
            if beside * beside + ahead * ahead >= spacing * spacing:
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


@nb.njit(cache=True)
def _from_ball(
    crossing: NDArray[np.float64], way: NDArray[np.float64], middle: NDArray[np.float64], u: NDArray[np.float64]
) -> tuple[float, float]:
    """How far a box's crossings lie from a point at most, in mm: across u and along it."""
    beside, ahead = 0.0, 0.0
    for sign in (-1.0, 1.0):
        x = crossing[0] + sign * crossing[4] * way[0] - middle[0]
        y = crossing[1] + sign * crossing[4] * way[1] - middle[1]
        z = crossing[2] + sign * crossing[4] * way[2] - middle[2]
        t = x * u[0] + y * u[1] + z * u[2]
        ahead = max(ahead, abs(t))
        beside = max(beside, np.sqrt(max(0.0, x * x + y * y + z * z - t * t)))
    return beside + crossing[3], ahead + crossing[3]


@nb.njit(cache=True, parallel=True)
def supported_boxes(
    commons: NDArray[np.float64],
    reach: float,
    place: NDArray[np.int64],
    first: NDArray[np.int64],
    way: NDArray[np.float64],
    angle: NDArray[np.float64],
    slots: NDArray[np.uint8],
    crossing: NDArray[np.float64],
    spacing: float,
    count: int,
    parts: int,
) -> NDArray[np.uint8]:
    """Bits of the slots in which each box belongs to a possible plan.

    Boxes are sorted by place: those of place p are first[p] to first[p + 1]. `commons` are common directions, each
    with every direction within `reach` (their own half angle included); reach plus a box's angle is below pi. For
    `crossing` see `axis_box.measure_boxes`.
    """
    n, places = len(way), len(first) - 1
    cosine, sine = np.cos(angle), np.sin(angle)
    keep = np.zeros((parts, n), np.uint8)
    for part in nb.prange(parts):
        inside, row = np.zeros(n, np.bool_), np.zeros(places, np.int64)
        ball, held = np.zeros((places, 3)), np.zeros(places, np.uint8)
        across, along = np.zeros(places), np.zeros(places)
        for u in range(part, len(commons), parts):
            _members(commons[u], reach, way, cosine, sine, inside)
            news, m = False, 0
            for p in range(places):
                k, bits = 0, np.uint8(0)
                low, high = np.full(3, np.inf), np.full(3, -np.inf)
                for b in range(first[p], first[p + 1]):
                    if inside[b]:
                        k += 1
                        bits |= slots[b]
                        news |= (slots[b] & ~keep[part, b]) != 0
                        for d in range(3):
                            low[d], high[d] = min(low[d], crossing[b, d]), max(high[d], crossing[b, d])
                row[p] = -1
                if k == 0:
                    continue
                for d in range(3):
                    ball[m, d] = 0.5 * (low[d] + high[d])
                across[m] = along[m] = 0.0
                for b in range(first[p], first[p + 1]):
                    if inside[b]:
                        beside, ahead = _from_ball(crossing[b], way[b], ball[m], commons[u])
                        across[m], along[m] = max(across[m], beside), max(along[m], ahead)
                held[m], row[p] = bits, m
                m += 1
            if not news or m < count:
                continue
            good = supported_slots(ball[:m], across[:m], along[:m], commons[u], held[:m], spacing, count)
            for b in range(n):
                if inside[b]:
                    keep[part, b] |= slots[b] & good[row[place[b]]]
    out = np.zeros(n, np.uint8)
    for part in range(parts):
        out |= keep[part]
    return out
