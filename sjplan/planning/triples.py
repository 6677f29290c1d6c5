"""Choosing two or three axes jointly: compatible pairs as bit sets, the best worst value by bisection."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray


class PairRules(NamedTuple):
    """What two implants of one plan have to keep: mm between crossings, mm between axes, cosine of the angle."""

    spacing_mm: float
    axis_gap_mm: float
    cosine: float


@nb.njit(cache=True)
def segment_distance(
    p: NDArray[np.float64], a0: float, a1: float, q: NDArray[np.float64], b0: float, b1: float
) -> float:
    """Shortest distance between two axes (point and direction) over the stretches [a0, a1] and [b0, b1]."""
    r0, r1, r2 = p[0] - q[0], p[1] - q[1], p[2] - q[2]
    b = p[3] * q[3] + p[4] * q[4] + p[5] * q[5]
    c = p[3] * r0 + p[4] * r1 + p[5] * r2
    f = q[3] * r0 + q[4] * r1 + q[5] * r2
    denominator = 1.0 - b * b
    s = min(max((b * f - c) / denominator, a0), a1) if denominator > 1e-9 else 0.5 * (a0 + a1)
    t = min(max(b * s + f, b0), b1)
    s = min(max(b * t - c, a0), a1)
    d0, d1, d2 = r0 + s * p[3] - t * q[3], r1 + s * p[4] - t * q[4], r2 + s * p[5] - t * q[5]
    return float(np.sqrt(d0 * d0 + d1 * d1 + d2 * d2))


@nb.njit(cache=True)
def pair_shortfall(
    rules: PairRules,
    p: NDArray[np.float64],
    p_span: NDArray[np.float64],
    q: NDArray[np.float64],
    q_span: NDArray[np.float64],
) -> float:
    """How much a pair misses its rules by: 0 when all hold, else negative, in mm (an angle as mm over 30 mm)."""
    spacing = np.sqrt((p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2 + (p[2] - q[2]) ** 2)
    worst = min(0.0, spacing - rules.spacing_mm)
    cosine = p[3] * q[3] + p[4] * q[4] + p[5] * q[5]
    if cosine < rules.cosine:
        worst = min(worst, -30.0 * (np.arccos(max(cosine, -1.0)) - np.arccos(rules.cosine)))
    gap = segment_distance(p, p_span[0], p_span[1], q, q_span[0], q_span[1])
    return float(min(worst, gap - rules.axis_gap_mm))


@nb.njit(cache=True, parallel=True)
def below(rules: PairRules, axes: NDArray[np.float64], spans: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Bit set per axis (sorted cranial to caudal): the axes after it that it can stand with."""
    n = len(axes)
    words = (n + 63) // 64
    out = np.zeros((n, words), np.uint64)
    for i in nb.prange(n):
        for j in range(i + 1, n):
            if pair_shortfall(rules, axes[i], spans[i], axes[j], spans[j]) >= 0.0:
                out[i, j // 64] |= np.uint64(1) << np.uint64(j % 64)
    return out


@nb.njit(cache=True)
def _bits(flags: NDArray[np.bool_]) -> NDArray[np.uint64]:
    out = np.zeros((len(flags) + 63) // 64, np.uint64)
    for n in range(len(flags)):
        if flags[n]:
            out[n // 64] |= np.uint64(1) << np.uint64(n % 64)
    return out


@nb.njit(cache=True)
def _first_common(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> int:
    """Lowest index in both sets, or -1."""
    for w in range(len(a)):
        common = a[w] & b[w]
        if common:
            for bit in range(64):
                if (common >> np.uint64(bit)) & np.uint64(1):
                    return w * 64 + bit
    return -1


@nb.njit(cache=True)
def triples_at(
    links: NDArray[np.uint64],
    value: NDArray[np.float32],
    articular: NDArray[np.bool_],
    articular_min: int,
    threshold: float,
    most: int,
) -> NDArray[np.int64]:
    """Up to `most` compatible triples, cranial to caudal, whose values in slots 1 to 3 all reach the threshold.

    At most one triple for each pair of middle and upper axis, so the triples differ.
    """
    n = len(value)
    third = _bits(value[:, 2] >= threshold)
    third_articular = _bits((value[:, 2] >= threshold) & articular)
    out = np.zeros((most, 3), np.int64)
    count = 0
    for b in range(n):
        if value[b, 1] < threshold:
            continue
        of_b = 0
        for a in range(b):
            if value[a, 0] < threshold or not (links[a, b // 64] >> np.uint64(b % 64)) & np.uint64(1):
                continue
            have = int(articular[a]) + int(articular[b])
            if have + 1 < articular_min:
                continue
            allowed = third if have >= articular_min else third_articular
            c = _first_common(links[a] & links[b], allowed)
            if c >= 0:
                out[count, 0], out[count, 1], out[count, 2] = a, b, c
                count += 1
                of_b += 1
                if count == most:
                    return out
                if of_b >= 3:
                    break
    return out[:count]


@nb.njit(cache=True)
def pairs_at(
    links: NDArray[np.uint64],
    value: NDArray[np.float32],
    articular: NDArray[np.bool_],
    articular_min: int,
    threshold: float,
    most: int,
) -> NDArray[np.int64]:
    """The same for two implants in slots 1 and 2."""
    n = len(value)
    out = np.zeros((most, 2), np.int64)
    count = 0
    for b in range(n):
        if value[b, 1] < threshold:
            continue
        for a in range(b):
            if value[a, 0] < threshold or int(articular[a]) + int(articular[b]) < articular_min:
                continue
            if (links[a, b // 64] >> np.uint64(b % 64)) & np.uint64(1):
                out[count, 0], out[count, 1] = a, b
                count += 1
                if count == most:
                    return out
                break
    return out[:count]


def best_sets(
    links: NDArray[np.uint64],
    value: NDArray[np.float32],
    articular: NDArray[np.bool_],
    articular_min: int,
    count: int,
    most: int,
) -> tuple[float, NDArray[np.int64]]:
    """Largest threshold (to 0.02) that some set of axes reaches, and sets near it; -inf and none where no set fits."""
    find = triples_at if count == 3 else pairs_at
    floor, top = float(value.min()), float(value[:, 0].max())
    if not len(find(links, value, articular, articular_min, floor, 1)):
        return -np.inf, np.zeros((0, count), np.int64)
    while top - floor > 0.02:
        middle = 0.5 * (floor + top)
        if len(find(links, value, articular, articular_min, middle, 1)):
            floor = middle
        else:
            top = middle
    sets = find(links, value, articular, articular_min, floor - 0.6, 4 * most)
    lead = find(links, value, articular, articular_min, floor, most)
    worst = value[sets, np.arange(count)].min(axis=1)
    order = np.argsort(-worst, kind="stable")[:most]
    return floor, np.concatenate([lead[: most // 4], sets[order]])[:most]
