"""A tree of boxes over triangles, and the three questions asked of it: nearest point, nearest to a solid, along a ray.

All answers are exact up to a stated tolerance; pruning uses only bounds that hold (a distance is 1-Lipschitz,
and the distance to a convex solid is convex).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sjplan.core.arrays import Array
from sjplan.core.errors import GeometryError
from sjplan.core.tolerances import JUDGE_TOL_MM
from sjplan.geometry.solids import Solid, solid_distance

_LEAF = 6

_STACK = 128
"""Nodes that wait in a descent: at most two for each level, and halving gives levels by the logarithm."""

_ROUNDING_MM = 1e-9
"""By so much a bound that is computed may lie above the one that holds."""


class TriangleTree(NamedTuple):
    """Triangles sorted into a binary tree of boxes; `order` maps a sorted triangle to the caller's index."""

    corners: NDArray[np.float64]
    order: NDArray[np.int64]
    box_centre: NDArray[np.float64]
    box_half: NDArray[np.float64]
    child: NDArray[np.int64]
    span: NDArray[np.int64]


def triangle_tree(corners_lps_mm: ArrayLike) -> TriangleTree:
    """Build a tree over triangles given by their corners, (m, 3, 3); m may be 0."""
    corners = np.ascontiguousarray(corners_lps_mm, dtype=np.float64)
    if corners.ndim != 3 or corners.shape[1:] != (3, 3):
        raise GeometryError("corners", found=f"shape {corners.shape}", wanted="(m, 3, 3)")
    order, centre, half, child, span = _build(corners)
    return TriangleTree(np.ascontiguousarray(corners[order]), order, centre, half, child, span)


@nb.njit(cache=True)
def _build(
    corners: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    m = len(corners)
    centroid = np.zeros((m, 3))
    for n in range(m):
        for d in range(3):
            centroid[n, d] = (corners[n, 0, d] + corners[n, 1, d] + corners[n, 2, d]) / 3.0
    order = np.arange(m)
    size = 4 * (m // _LEAF + 2)
    centre, half = np.zeros((size, 3)), np.zeros((size, 3))
    child = np.full((size, 2), -1, np.int64)
    span = np.zeros((size, 2), np.int64)
    span[0, 1] = m
    count = 1
    stack = [0]
    while len(stack) > 0:
        node = stack.pop()
        a, b = span[node]
        for d in range(3):
            lo, hi = np.inf, -np.inf
            for n in range(a, b):
                for c in range(3):
                    value = float(corners[order[n], c, d])
                    lo, hi = min(lo, value), max(hi, value)
            if b > a:
                centre[node, d], half[node, d] = 0.5 * (lo + hi), 0.5 * (hi - lo)
        if b - a <= _LEAF:
            continue
        axis = np.argmax(half[node])
        part = order[a:b].copy()
        part = part[np.argsort(centroid[part, axis], kind="mergesort")]
        order[a:b] = part
        middle = (a + b) // 2
        for side in range(2):
            child[node, side] = count
            span[count, 0] = a if side == 0 else middle
            span[count, 1] = middle if side == 0 else b
            stack.append(count)
            count += 1
    return order, centre[:count], half[:count], child[:count], span[:count]


@nb.njit(cache=True)
def _nearest_on_triangle(t: NDArray[np.float64], x: float, y: float, z: float) -> tuple[float, float, float]:
    """Point of a triangle nearest to (x, y, z) (Ericson, Real-Time Collision Detection, section 5.1.5).

    Written out coordinate by coordinate: small arrays would each be allocated, at five times the cost.
    """
    ax, ay, az = t[0, 0], t[0, 1], t[0, 2]
    ux, uy, uz = t[1, 0] - ax, t[1, 1] - ay, t[1, 2] - az
    vx, vy, vz = t[2, 0] - ax, t[2, 1] - ay, t[2, 2] - az
    px, py, pz = x - ax, y - ay, z - az
    d1, d2 = ux * px + uy * py + uz * pz, vx * px + vy * py + vz * pz
    qx, qy, qz = x - t[1, 0], y - t[1, 1], z - t[1, 2]
    d3, d4 = ux * qx + uy * qy + uz * qz, vx * qx + vy * qy + vz * qz
    rx, ry, rz = x - t[2, 0], y - t[2, 1], z - t[2, 2]
    d5, d6 = ux * rx + uy * ry + uz * rz, vx * rx + vy * ry + vz * rz
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    e, f = 0.0, 0.0  # weights of the second and third corner; the first corner unless found otherwise
    if d1 <= 0 and d2 <= 0:
        pass
    elif d3 >= 0 and d4 <= d3:
        e = 1.0
    elif vc <= 0 and d1 >= 0 and d3 <= 0 and d1 > d3:
        e = d1 / (d1 - d3)
    elif d6 >= 0 and d5 <= d6:
        f = 1.0
    elif vb <= 0 and d2 >= 0 and d6 <= 0 and d2 > d6:
        f = d2 / (d2 - d6)
    elif va <= 0 and d4 - d3 >= 0 and d5 - d6 >= 0 and (d4 - d3) + (d5 - d6) > 0:
        f = (d4 - d3) / ((d4 - d3) + (d5 - d6))
        e = 1.0 - f
    elif va + vb + vc > 0:
        total = va + vb + vc
        e, f = vb / total, vc / total
    return ax + e * ux + f * vx, ay + e * uy + f * vy, az + e * uz + f * vz


@nb.njit(cache=True)
def _box_distance(centre: NDArray[np.float64], half: NDArray[np.float64], node: int, x: NDArray[np.float64]) -> float:
    total = 0.0
    for d in range(3):
        e = abs(x[d] - centre[node, d]) - half[node, d]
        if e > 0:
            total += e * e
    return math.sqrt(total)


@nb.njit(cache=True)
def nearest_point(tree: TriangleTree, x: NDArray[np.float64]) -> tuple[float, float, int, NDArray[np.float64]]:
    """Distance to the nearest triangle, sign (+1 on the side its normal points to), triangle index, point on it.

    Among triangles equally near (an edge or a corner), the one seen most squarely gives the sign: on a closed
    surface that is the right one.
    """
    best, sign, which = np.inf, 1.0, -1
    squarest = -1.0
    point = np.zeros(3)
    stack, bound = np.empty(_STACK, np.int64), np.empty(_STACK)
    stack[0], bound[0], top = 0, 0.0, 1
    while top > 0:
        top -= 1
        node = stack[top]
        if bound[top] > best + 1e-9:
            continue
        left, right = tree.child[node, 0], tree.child[node, 1]
        if left >= 0:
            near = _box_distance(tree.box_centre, tree.box_half, left, x)
            far = _box_distance(tree.box_centre, tree.box_half, right, x)
            if near > far:
                left, right, near, far = right, left, far, near
            stack[top], bound[top], stack[top + 1], bound[top + 1] = right, far, left, near
            top += 2
            continue
        for n in range(tree.span[node, 0], tree.span[node, 1]):
            t = tree.corners[n]
            qx, qy, qz = _nearest_on_triangle(t, x[0], x[1], x[2])
            ax, ay, az = x[0] - qx, x[1] - qy, x[2] - qz
            d = math.sqrt(ax * ax + ay * ay + az * az)
            if d > best + 1e-9:
                continue
            ux, uy, uz = t[1, 0] - t[0, 0], t[1, 1] - t[0, 1], t[1, 2] - t[0, 2]
            vx, vy, vz = t[2, 0] - t[0, 0], t[2, 1] - t[0, 1], t[2, 2] - t[0, 2]
            nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
            size = math.sqrt(nx * nx + ny * ny + nz * nz)
            along = (nx * ax + ny * ay + nz * az) / size if size > 0 else 0.0
            if d < best - 1e-9 or abs(along) > squarest:
                squarest = abs(along)
                sign = 1.0 if along >= 0 else -1.0
                which = tree.order[n]
                point[0], point[1], point[2] = qx, qy, qz
            best = min(best, d)
    return best, sign, which, point


@nb.njit(cache=True, parallel=True)
def point_distances(tree: TriangleTree, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each point (n, 3) to the nearest triangle."""
    out = np.zeros(len(points))
    for n in nb.prange(len(points)):
        out[n] = nearest_point(tree, points[n])[0]
    return out


@nb.njit(cache=True)
def _lowest_on_triangle(
    p: NDArray[np.float64],
    t: NDArray[np.float64],
    best: float,
    tol: float,
    enough: float,
    stack: NDArray[np.float64],
    point: NDArray[np.float64],
) -> float:
    """Minimum of the solid's signed distance over one triangle if below `best`, by splitting into four; else `best`.

    The tangent plane at the centroid is a lower bound, because the distance to a convex solid is convex. What is below
    `enough` ends the search. Where a lower distance is found, its place goes to `point`. `stack` is room to work in,
    (n, 9). Written out coordinate by coordinate: small arrays would each be allocated.
    """
    for e in range(3):
        for d in range(3):
            stack[0, 3 * e + d] = t[e, d]
    top = 1
    while top > 0 and best >= enough:
        top -= 1
        s = stack[top]
        ax, ay, az, bx, by, bz, cx, cy, cz = s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8]
        x, y, z = (ax + bx + cx) / 3.0, (ay + by + cy) / 3.0, (az + bz + cz) / 3.0
        f, gx, gy, gz = solid_distance(p, x, y, z)
        if f < best:
            best = f
            point[0], point[1], point[2] = x, y, z
        low = min(
            gx * (ax - x) + gy * (ay - y) + gz * (az - z),
            gx * (bx - x) + gy * (by - y) + gz * (bz - z),
            gx * (cx - x) + gy * (cy - y) + gz * (cz - z),
        )
        if f + low >= best - tol or top + 4 > len(stack):
            continue
        ux, uy, uz = 0.5 * (ax + bx), 0.5 * (ay + by), 0.5 * (az + bz)
        vx, vy, vz = 0.5 * (bx + cx), 0.5 * (by + cy), 0.5 * (bz + cz)
        wx, wy, wz = 0.5 * (cx + ax), 0.5 * (cy + ay), 0.5 * (cz + az)
        _store(stack[top], ax, ay, az, ux, uy, uz, wx, wy, wz)
        _store(stack[top + 1], ux, uy, uz, bx, by, bz, vx, vy, vz)
        _store(stack[top + 2], wx, wy, wz, vx, vy, vz, cx, cy, cz)
        _store(stack[top + 3], ux, uy, uz, vx, vy, vz, wx, wy, wz)
        top += 4
    return best


@nb.njit(cache=True)
def _store(
    s: NDArray[np.float64],
    ax: float, ay: float, az: float, bx: float, by: float, bz: float, cx: float, cy: float, cz: float,
) -> None:  # fmt: skip
    s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8] = ax, ay, az, bx, by, bz, cx, cy, cz


@nb.njit(cache=True)
def _box_bounds(
    p: NDArray[np.float64], centre: NDArray[np.float64], half: NDArray[np.float64], node: int
) -> tuple[float, float, float]:
    """Signed distance of a box's centre to the packed solid, and two lower bounds of the distance in the box.

    The first because a distance is 1-Lipschitz; the second, never below it, because the distance to a convex solid is
    convex and so nowhere below its tangent plane.
    """
    f, gx, gy, gz = solid_distance(p, centre[node, 0], centre[node, 1], centre[node, 2])
    hx, hy, hz = half[node, 0], half[node, 1], half[node, 2]
    return f, f - math.sqrt(hx * hx + hy * hy + hz * hz), f - (abs(gx) * hx + abs(gy) * hy + abs(gz) * hz)


@nb.njit(cache=True)
def lowest_solid_distance(tree: TriangleTree, p: NDArray[np.float64], tol: float) -> tuple[float, NDArray[np.float64]]:
    """Minimum over all triangles of the packed solid's signed distance, at most `tol` too high, and where.

    Negative where triangles reach into the solid; infinite for an empty tree.
    """
    best = np.inf
    point = np.full(3, np.nan)
    if len(tree.corners) == 0:
        return best, point
    work = np.empty((256, 9))
    stack, sphere, plane = np.empty(_STACK, np.int64), np.empty(_STACK), np.empty(_STACK)
    stack[0], sphere[0], plane[0], top = 0, -np.inf, -np.inf, 1
    while top > 0:
        top -= 1
        node = stack[top]
        # What the tangent plane rules out could not have lowered the result, so that it changes no digit of it.
        if sphere[top] >= best - tol or plane[top] >= best + _ROUNDING_MM:
            continue
        left, right = tree.child[node, 0], tree.child[node, 1]
        if left >= 0:
            near, near_sphere, near_plane = _box_bounds(p, tree.box_centre, tree.box_half, left)
            far, far_sphere, far_plane = _box_bounds(p, tree.box_centre, tree.box_half, right)
            if near > far:
                left, right = right, left
                near_sphere, far_sphere, near_plane, far_plane = far_sphere, near_sphere, far_plane, near_plane
            stack[top], sphere[top], plane[top] = right, far_sphere, far_plane
            stack[top + 1], sphere[top + 1], plane[top + 1] = left, near_sphere, near_plane
            top += 2
            continue
        for n in range(tree.span[node, 0], tree.span[node, 1]):
            best = _lowest_on_triangle(p, tree.corners[n], best, tol, -np.inf, work, point)
    return best, point


@nb.njit(cache=True)
def reaches(tree: TriangleTree, p: NDArray[np.float64], offset: float) -> bool:
    """Whether any point of the triangles lies nearer to the packed solid than `offset` (negative: inside it)."""
    if len(tree.corners) == 0:
        return False
    work, point = np.empty((256, 9)), np.empty(3)
    stack = np.empty(_STACK, np.int64)
    stack[0], top = 0, 1
    while top > 0:
        top -= 1
        node = stack[top]
        _, sphere, plane = _box_bounds(p, tree.box_centre, tree.box_half, node)
        if sphere >= offset or plane >= offset + _ROUNDING_MM:
            continue
        if tree.child[node, 0] >= 0:
            stack[top], stack[top + 1] = tree.child[node, 0], tree.child[node, 1]
            top += 2
            continue
        for n in range(tree.span[node, 0], tree.span[node, 1]):
            if _lowest_on_triangle(p, tree.corners[n], offset, JUDGE_TOL_MM, offset, work, point) < offset:
                return True
    return False


@nb.njit(cache=True)
def _ray_triangle(t: NDArray[np.float64], o: NDArray[np.float64], d: NDArray[np.float64]) -> tuple[float, float]:
    """Distance along the ray to a triangle (inf: missed) and the sign of normal . direction."""
    e1, e2 = t[1] - t[0], t[2] - t[0]
    h = np.cross(d, e2)
    det = e1 @ h
    if det == 0.0:
        return np.inf, 0.0
    s = o - t[0]
    u = (s @ h) / det
    if u < 0.0 or u > 1.0:
        return np.inf, 0.0
    q = np.cross(s, e1)
    v = (d @ q) / det
    if v < 0.0 or u + v > 1.0:
        return np.inf, 0.0
    return (e2 @ q) / det, -1.0 if det > 0 else 1.0


@nb.njit(cache=True)
def _box_missed(
    centre: NDArray[np.float64], half: NDArray[np.float64], o: NDArray[np.float64], d: NDArray[np.float64]
) -> bool:
    near, far = -np.inf, np.inf
    for e in range(3):
        if d[e] == 0.0:
            if abs(o[e] - centre[e]) > half[e] + 1e-9:
                return True
            continue
        a = (centre[e] - half[e] - 1e-9 - o[e]) / d[e]
        b = (centre[e] + half[e] + 1e-9 - o[e]) / d[e]
        near, far = max(near, min(a, b)), min(far, max(a, b))
    return near > far


@nb.njit(cache=True)
def line_hits(
    tree: TriangleTree, o: NDArray[np.float64], d: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """All crossings of the whole line o + t d with the triangles: t ascending, -1 in / +1 out, triangle index."""
    where, way, which = [0.0], [0.0], [0]
    where.clear()
    way.clear()
    which.clear()
    if len(tree.corners) > 0:
        stack = [0]
        while len(stack) > 0:
            node = stack.pop()
            if _box_missed(tree.box_centre[node], tree.box_half[node], o, d):
                continue
            if tree.child[node, 0] >= 0:
                stack.append(tree.child[node, 0])
                stack.append(tree.child[node, 1])
                continue
            for n in range(tree.span[node, 0], tree.span[node, 1]):
                t, sign = _ray_triangle(tree.corners[n], o, d)
                if t < np.inf:
                    where.append(t)
                    way.append(sign)
                    which.append(tree.order[n])
    w = np.array(where)
    s = np.argsort(w, kind="mergesort")
    return w[s], np.array(way)[s], np.array(which)[s]


@nb.njit(cache=True)
def first_hit(tree: TriangleTree, o: NDArray[np.float64], d: NDArray[np.float64]) -> int:
    """Index of the first triangle that the ray o + t d, t >= 0, meets; -1 for none."""
    best, which = np.inf, -1
    stack = [0]
    while len(stack) > 0 and len(tree.corners) > 0:
        node = stack.pop()
        if _box_missed(tree.box_centre[node], tree.box_half[node], o, d):
            continue
        if tree.child[node, 0] >= 0:
            stack.append(tree.child[node, 0])
            stack.append(tree.child[node, 1])
            continue
        for n in range(tree.span[node, 0], tree.span[node, 1]):
            t, _ = _ray_triangle(tree.corners[n], o, d)
            if 0.0 <= t < best:
                best, which = t, int(tree.order[n])
    return which


def solid_to_surface(tree: TriangleTree, solid: Solid) -> tuple[float, Array, Array]:
    """Lowest signed distance from a solid to a surface, the witness on the surface, and the one on the solid.

    Examples
    --------
    >>> from sjplan.geometry.solids import cylinder
    >>> wall = triangle_tree([[[10, -50, -50], [10, 50, -50], [10, 0, 50]]])
    >>> distance, at, on = solid_to_surface(wall, cylinder((-30, 0, 0), (0, 0, 0), 3.0))
    >>> round(distance, 3), round(float(on[0]), 3)
    (10.0, 0.0)
    """
    value, at = lowest_solid_distance(tree, solid.packed, JUDGE_TOL_MM)
    if not np.isfinite(value):
        return float(value), np.asarray(at), np.asarray(at)
    d, gx, gy, gz = solid_distance(solid.packed, at[0], at[1], at[2])
    return float(value), np.asarray(at), np.asarray(at - d * np.array([gx, gy, gz]))
