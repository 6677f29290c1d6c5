"""Compiled inner loops of the phantom: swept balls and tables of height fields. Slow references stand beside them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sjplan.core.arrays import Array

BLOCK: Final = 64
"""Points for which cones are left out together (default): few enough to lie near each other, enough to be worth it."""

ROUNDING_MM: Final = 1e-6
"""Far more than rounding does to a distance, so that the nearest cone is never left out."""


@njit(cache=True, nogil=True)
def swept_ball_mm(points: NDArray[Any], line: NDArray[Any], radius: NDArray[Any]) -> NDArray[Any]:
    """Signed distance (n,) of points (n, 3) to the union of round cones along a polyline (m, 3) with radii (m,).

    Agrees with `swept_ball_reference_mm` to the step of that search. Points that come one after another should lie
    near each other: cones that are too far for a whole block of them are left out.
    """
    out = np.full(len(points), np.inf)
    count = len(line) - 1
    away = np.zeros(count)
    middle = np.zeros((1, 3))
    at_middle = np.full(1, np.inf)
    for begin in range(0, len(points), BLOCK):
        block, found = points[begin : begin + BLOCK], out[begin : begin + BLOCK]
        slack = np.inf
        if count > 1:
            middle[0] = block[len(block) // 2]
            wide = 0.0
            for n in range(len(block)):
                x, y, z = block[n, 0] - middle[0, 0], block[n, 1] - middle[0, 1], block[n, 2] - middle[0, 2]
                wide = max(wide, x * x + y * y + z * z)
            for s in range(count):
                at_middle[0] = np.inf
                _round_cone_mm(middle, line[s], line[s + 1], radius[s], radius[s + 1], at_middle)
                away[s] = at_middle[0]
            # No distance changes by more than the way from the middle: neither a cone's nor that of all.
            slack = 2.0 * np.sqrt(wide) + ROUNDING_MM
        least = away.min()
        for s in range(count):
            if away[s] <= least + slack:
                _round_cone_mm(block, line[s], line[s + 1], radius[s], radius[s + 1], found)
    return out


@njit(cache=True, nogil=True)
def _round_cone_mm(
    points: NDArray[Any], start: NDArray[Any], end: NDArray[Any], r_start: float, r_end: float, out: NDArray[Any]
) -> None:
    """Lower `out` to the signed distance to one round cone."""
    ax, ay, az = start[0], start[1], start[2]
    dx, dy, dz = end[0] - ax, end[1] - ay, end[2] - az
    length = np.sqrt(dx * dx + dy * dy + dz * dz)
    slope = (r_start - r_end) / length
    # |p - c(t)| - r(t) is convex in t: its minimum lies where the line to the ball makes the cone's angle,
    # or at an end of the segment where one ball holds the other.
    nested = abs(slope) >= 1.0
    lean = 0.0 if nested else slope / np.sqrt(1.0 - slope * slope)
    for n in range(len(points)):
        px, py, pz = points[n, 0] - ax, points[n, 1] - ay, points[n, 2] - az
        along = (px * dx + py * dy + pz * dz) / length
        across = np.sqrt(max(px * px + py * py + pz * pz - along * along, 0.0))
        t = min(max(along - across * lean, 0.0), length)
        if nested:
            t = 0.0 if slope > 0.0 else length
        distance = np.sqrt((along - t) ** 2 + across * across) - r_start + slope * t
        out[n] = min(out[n], distance)


def swept_ball_reference_mm(points: Array, line: Array, radius: Array, steps: int = 2000) -> Array:
    """The same by brute force: the least distance to many balls along the polyline. Never below the exact value."""
    at = np.linspace(0, len(line) - 1, steps)
    centres = np.column_stack([np.interp(at, np.arange(len(line)), line[:, axis]) for axis in range(3)])
    radii = np.interp(at, np.arange(len(line)), radius)
    return np.array([float((np.linalg.norm(centres - p, axis=1) - radii).min()) for p in points])


@njit(cache=True, nogil=True)
def lookup_at(
    tables: NDArray[Any], low_a: float, low_b: float, step: float, a: NDArray[Any], b: NDArray[Any]
) -> NDArray[Any]:
    """Bilinear values of tables (t, na, nb) at coordinates a and b (n,), held at the border; returns (t, n).

    Agrees with scipy's `map_coordinates` of order 1 to rounding.
    """
    count, na, nb = tables.shape
    out = np.zeros((count, len(a)))
    for n in range(len(a)):
        v = min(max((a[n] - low_a) / step, 0.0), na - 1.000001)
        w = min(max((b[n] - low_b) / step, 0.0), nb - 1.000001)
        j, k = int(v), int(w)
        v -= j
        w -= k
        for t in range(count):
            low = (1.0 - w) * tables[t, j, k] + w * tables[t, j, k + 1]
            high = (1.0 - w) * tables[t, j + 1, k] + w * tables[t, j + 1, k + 1]
            out[t, n] = (1.0 - v) * low + v * high
    return out


@njit(cache=True, nogil=True)
def affine(points: NDArray[Any], matrix: NDArray[Any], offset: NDArray[Any]) -> NDArray[Any]:
    """`points @ matrix.T + offset` for (n, 3) points, without the threads that a small matrix product starts."""
    out = np.zeros((len(points), 3))
    for n in range(len(points)):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        for a in range(3):
            out[n, a] = matrix[a, 0] * x + matrix[a, 1] * y + matrix[a, 2] * z + offset[a]
    return out


@njit(cache=True, nogil=True)
def inside_polygon(polygon: NDArray[Any], a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Even-odd rule for points with coordinates a and b (n,) against a closed polygon (m, 2)."""
    inside = np.zeros(len(a), dtype=np.bool_)
    last = len(polygon) - 1
    for n in range(len(a)):
        p, q = last, 0
        while q <= last:
            above, below = polygon[p, 1], polygon[q, 1]
            if (above > b[n]) != (below > b[n]):
                at = polygon[p, 0] + (polygon[q, 0] - polygon[p, 0]) * (b[n] - above) / (below - above)
                if a[n] < at:
                    inside[n] = not inside[n]
            p, q = q, q + 1
    return inside
