"""How wide a straight tube round a line is before it meets triangles: radius, reach in one direction, cross-section.

A tube is what lies beside one stretch of a line, flat at both ends. Of every triangle only the part between the two
end planes counts; seen along the line it is a convex polygon, and all answers are distances to such polygons in the
plane. Nothing is iterated: answers are exact up to rounding, and the area up to its raster. `tubes_slow` says the
same by dense samples.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sjplan.core.arrays import Array, unit
from sjplan.geometry.triangle_tree import TriangleTree

PIXEL_MM = 0.1
"""Raster of a cross-section: its area comes out too small by half a pixel all round, never too large."""

HALF_WIDTH_MM = 30.0
"""A cross-section is not followed farther than this from the line: twice what a sacral body offers."""

_STACK = 128


def line_frame(origin: ArrayLike, axis: ArrayLike, up: ArrayLike) -> NDArray[np.float64]:
    """A line and its section's axes, packed for the kernels: (4, 3) origin, axis, u, v; v is `up` made perpendicular.

    Examples
    --------
    >>> line_frame((0, 0, 5), (2, 0, 0), (1, 0, 3))[1:].tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    w = unit(axis)
    v = np.asarray(up, dtype=np.float64)
    v = unit(v - (v @ w) * w)
    return np.ascontiguousarray([np.asarray(origin, dtype=np.float64), w, np.cross(v, w), v])


@nb.njit(cache=True)
def _clip(line: NDArray[np.float64], t: NDArray[np.float64], start: float, stop: float, p: NDArray[np.float64]) -> int:
    """Part of a triangle between two planes across the line, seen along it: fills p (8, 3) with (u, v, along)."""
    n = 3
    for c in range(3):
        x, y, z = t[c, 0] - line[0, 0], t[c, 1] - line[0, 1], t[c, 2] - line[0, 2]
        p[c, 2] = x * line[1, 0] + y * line[1, 1] + z * line[1, 2]
        p[c, 0] = x * line[2, 0] + y * line[2, 1] + z * line[2, 2]
        p[c, 1] = x * line[3, 0] + y * line[3, 1] + z * line[3, 2]
    for plane in range(2):
        sign, level = (1.0, start) if plane == 0 else (-1.0, stop)
        whole = True
        for c in range(n):
            whole = whole and sign * (p[c, 2] - level) >= 0.0
        if whole:
            continue
        q = p.copy()
        m = 0
        for c in range(n):
            a, b = q[c], q[(c + 1) % n]
            da, db = sign * (a[2] - level), sign * (b[2] - level)
            if da >= 0.0:
                p[m, 0], p[m, 1], p[m, 2] = a[0], a[1], a[2]
                m += 1
            if (da >= 0.0) != (db >= 0.0):
                s = da / (da - db)
                p[m, 0], p[m, 1], p[m, 2] = a[0] + s * (b[0] - a[0]), a[1] + s * (b[1] - a[1]), level
                m += 1
        n = m
    return n


@nb.njit(cache=True)
def _polygon_distance(p: NDArray[np.float64], n: int, x: float, y: float) -> float:
    """Distance in the plane from (x, y) to a convex polygon of n corners; 0 inside.

    A triangle seen edge-on has an area of rounding errors, and nothing is inside it.
    """
    best, area = np.inf, 0.0
    left = right = False
    for c in range(n):
        d = (c + 1) % n
        ex, ey = p[d, 0] - p[c, 0], p[d, 1] - p[c, 1]
        ox, oy = x - p[c, 0], y - p[c, 1]
        turn = ex * oy - ey * ox
        area += turn
        left, right = left or turn > 0.0, right or turn < 0.0
        size = ex * ex + ey * ey
        s = min(max((ox * ex + oy * ey) / size, 0.0), 1.0) if size > 0.0 else 0.0
        best = min(best, (ox - s * ex) ** 2 + (oy - s * ey) ** 2)
    if n >= 3 and left != right and abs(area) > 1e-9:
        return 0.0
    return math.sqrt(best)


@nb.njit(cache=True)
def _box_gap(
    line: NDArray[np.float64], c: NDArray[np.float64], h: NDArray[np.float64], start: float, stop: float
) -> float:
    """A bound from below on how near to the line a box comes between the end planes; infinite beyond them."""
    x, y, z = c[0] - line[0, 0], c[1] - line[0, 1], c[2] - line[0, 2]
    along = x * line[1, 0] + y * line[1, 1] + z * line[1, 2]
    half = abs(line[1, 0]) * h[0] + abs(line[1, 1]) * h[1] + abs(line[1, 2]) * h[2]
    if along + half < start or along - half > stop:
        return np.inf
    u = x * line[2, 0] + y * line[2, 1] + z * line[2, 2]
    v = x * line[3, 0] + y * line[3, 1] + z * line[3, 2]
    hu = abs(line[2, 0]) * h[0] + abs(line[2, 1]) * h[1] + abs(line[2, 2]) * h[2]
    hv = abs(line[3, 0]) * h[0] + abs(line[3, 1]) * h[1] + abs(line[3, 2]) * h[2]
    du, dv = max(abs(u) - hu, 0.0), max(abs(v) - hv, 0.0)
    return math.sqrt(du * du + dv * dv)


@nb.njit(cache=True)
def tube_radius(
    tree: TriangleTree, line: NDArray[np.float64], start: float, stop: float, enough: float
) -> tuple[float, int]:
    """Radius of the widest flat-ended cylinder about a stretch of a line that no triangle enters; which one stops it.

    Parameters
    ----------
    tree : TriangleTree
        Walls.
    line : (4, 3) float
        See `line_frame`.
    start, stop : float
        Stretch along the line, mm from its origin.
    enough : float
        As soon as the radius is known to be no more than this, the search ends (0: find it exactly).

    Returns
    -------
    float, int
        Radius in mm (infinite without walls), and the triangle (-1: none).
    """
    best, which = np.inf, -1
    if len(tree.corners) == 0:
        return best, which
    stack, bound = np.empty(_STACK, np.int64), np.empty(_STACK)
    stack[0], bound[0], top = 0, _box_gap(line, tree.box_centre[0], tree.box_half[0], start, stop), 1
    p = np.zeros((8, 3))
    while top > 0 and best > enough:
        top -= 1
        node = stack[top]
        if bound[top] >= best:
            continue
        left, right = tree.child[node, 0], tree.child[node, 1]
        if left >= 0:
            near = _box_gap(line, tree.box_centre[left], tree.box_half[left], start, stop)
            far = _box_gap(line, tree.box_centre[right], tree.box_half[right], start, stop)
            if near > far:
                left, right, near, far = right, left, far, near
            stack[top], bound[top], stack[top + 1], bound[top + 1] = right, far, left, near
            top += 2
            continue
        for n in range(tree.span[node, 0], tree.span[node, 1]):
            count = _clip(line, tree.corners[n], start, stop, p)
            if count == 0:
                continue
            d = _polygon_distance(p, count, 0.0, 0.0)
            if d < best:
                best, which = d, int(tree.order[n])
    return best, which


@nb.njit(cache=True)
def _crossing(p: NDArray[np.float64], n: int, sign: float) -> float:
    """Smallest sign * v >= 0 at which a polygon meets the line u = 0; infinite where it does not."""
    low, high = np.inf, -np.inf
    for c in range(n):
        d = (c + 1) % n
        if p[c, 0] == 0.0:
            low, high = min(low, sign * p[c, 1]), max(high, sign * p[c, 1])
        if (p[c, 0] < 0.0) != (p[d, 0] < 0.0):
            v = sign * (p[c, 1] + p[c, 0] / (p[c, 0] - p[d, 0]) * (p[d, 1] - p[c, 1]))
            low, high = min(low, v), max(high, v)
    return np.inf if high < 0.0 else max(low, 0.0)


@nb.njit(cache=True)
def tube_reach(tree: TriangleTree, line: NDArray[np.float64], start: float, stop: float, sign: float) -> float:
    """How far a stretch of a line can be moved along +v (sign 1) or -v (sign -1) before it meets a triangle, mm.

    At most `HALF_WIDTH_MM`; for the other arguments see `tube_radius`.
    """
    best = HALF_WIDTH_MM
    if len(tree.corners) == 0:
        return best
    stack = np.empty(_STACK, np.int64)
    stack[0], top = 0, 1
    p = np.zeros((8, 3))
    while top > 0:
        top -= 1
        node = stack[top]
        if _box_gap(line, tree.box_centre[node], tree.box_half[node], start, stop) >= best:
            continue
        if tree.child[node, 0] >= 0:
            stack[top], stack[top + 1] = tree.child[node, 0], tree.child[node, 1]
            top += 2
            continue
        for n in range(tree.span[node, 0], tree.span[node, 1]):
            count = _clip(line, tree.corners[n], start, stop, p)
            if count > 0:
                best = min(best, _crossing(p, count, sign))
    return best


@nb.njit(cache=True)
def add_shadow(
    tree: TriangleTree, line: NDArray[np.float64], start: float, stop: float, pixel: float, blocked: NDArray[np.bool_]
) -> None:
    """Mark the pixels (u, v) whose centres lie within half a pixel of what is seen of the triangles along a line.

    `blocked` is square, of odd size, with the line through its middle pixel. Two free neighbours (by an edge) are
    never on different sides of a wall: a wall between them passes within half a pixel of one of them.
    """
    half = len(blocked) // 2
    reach = (half + 1) * pixel
    if len(tree.corners) == 0:
        return
    stack = np.empty(_STACK, np.int64)
    stack[0], top = 0, 1
    p = np.zeros((8, 3))
    while top > 0:
        top -= 1
        node = stack[top]
        if _box_gap(line, tree.box_centre[node], tree.box_half[node], start, stop) >= 1.5 * reach:
            continue
        if tree.child[node, 0] >= 0:
            stack[top], stack[top + 1] = tree.child[node, 0], tree.child[node, 1]
            top += 2
            continue
        for n in range(tree.span[node, 0], tree.span[node, 1]):
            count = _clip(line, tree.corners[n], start, stop, p)
            if count == 0:
                continue
            low_u, high_u = p[:count, 0].min(), p[:count, 0].max()
            low_v, high_v = p[:count, 1].min(), p[:count, 1].max()
            if low_u > reach or high_u < -reach or low_v > reach or high_v < -reach:
                continue
            for i in range(max(int(low_u / pixel) - 1 + half, 0), min(int(high_u / pixel) + 2 + half, len(blocked))):
                for j in range(
                    max(int(low_v / pixel) - 1 + half, 0), min(int(high_v / pixel) + 2 + half, len(blocked))
                ):
                    if not blocked[i, j]:
                        gap = _polygon_distance(p, count, (i - half) * pixel, (j - half) * pixel)
                        blocked[i, j] = gap <= 0.5 * pixel


@nb.njit(cache=True)
def connected_to_middle(blocked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Free pixels that are joined with the middle one by free neighbours across edges."""
    size = len(blocked)
    out = np.zeros(blocked.shape, np.bool_)
    stack = np.empty((blocked.size, 2), np.int64)
    top = 0
    if not blocked[size // 2, size // 2]:
        out[size // 2, size // 2] = True
        stack[0, 0], stack[0, 1], top = size // 2, size // 2, 1
    while top > 0:
        top -= 1
        i, j = stack[top]
        for a, b in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
            if 0 <= a < size and 0 <= b < size and not blocked[a, b] and not out[a, b]:
                out[a, b] = True
                stack[top, 0], stack[top, 1] = a, b
                top += 1
    return out


def tube_section(
    stretches: ArrayLike, trees: tuple[TriangleTree, ...], line: Array, pixel_mm: float = PIXEL_MM
) -> NDArray[np.bool_]:
    """What a straight prism along a line can fill: pixels (u, v) joined with the line and clear of every triangle.

    A pixel is free where a line through it parallel to the given one is clear over the whole stretch: the common
    part of all cross-sections.

    Parameters
    ----------
    stretches : (n, 2) float
        Start and stop along the line for each tree, mm from the line's origin.
    trees : tuple of TriangleTree
        Walls.
    line : (4, 3) float
        See `line_frame`.
    pixel_mm : float
        Edge of a pixel.

    Returns
    -------
    (m, m) bool
        Indexed [u, v]; the line passes through the middle pixel.
    """
    half = int(HALF_WIDTH_MM / pixel_mm)
    blocked = np.zeros((2 * half + 1, 2 * half + 1), dtype=np.bool_)
    for tree, (start, stop) in zip(trees, np.asarray(stretches, dtype=np.float64), strict=True):
        if stop > start:
            add_shadow(tree, line, start, stop, pixel_mm, blocked)
    section: NDArray[np.bool_] = connected_to_middle(blocked)
    return section


def equivalent_diameter_mm(area_mm2: float) -> float:
    """Diameter of the circle of that area.

    Examples
    --------
    >>> round(equivalent_diameter_mm(78.5398), 3)
    10.0
    """
    return 2.0 * math.sqrt(area_mm2 / math.pi)
