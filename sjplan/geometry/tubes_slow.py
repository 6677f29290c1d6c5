"""The answers of `tubes` by dense samples: obvious and slow, for tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

from sjplan.core.arrays import Array


def wall_points(corners: Array, step_mm: float) -> Array:
    """Points (n, 3) on triangles (m, 3, 3), no point of a triangle farther than `step_mm` from one of them."""
    found = []
    for a, b, c in corners:
        n = int(np.ceil(max(np.linalg.norm(b - a), np.linalg.norm(c - a), np.linalg.norm(c - b)) / step_mm)) + 1
        i, j = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
        s, t = (x[i + j <= n] / n for x in (i, j))
        found.append(a + s[:, None] * (b - a) + t[:, None] * (c - a))
    return np.concatenate(found) if found else np.zeros((0, 3))


def seen_along(points: Array, line: Array, start: float, stop: float) -> Array:
    """Coordinates (u, v) of the points that lie beside a stretch of the line."""
    along = (points - line[0]) @ line[1]
    return np.asarray((points - line[0])[(along >= start) & (along <= stop)] @ line[2:].T)


def slow_tube_radius(points: Array, line: Array, start: float, stop: float) -> float:
    """Radius to the nearest of the points beside the stretch; too large by the sampling step at most."""
    seen = seen_along(points, line, start, stop)
    return float(np.linalg.norm(seen, axis=1).min()) if len(seen) else float("inf")


def slow_tube_section(
    points: Array, line: Array, start: float, stop: float, pixel_mm: float, half: int
) -> NDArray[np.bool_]:
    """Pixels farther than half a pixel from every point beside the stretch, joined with the middle one."""
    place = (np.arange(-half, half + 1)) * pixel_mm
    u, v = np.meshgrid(place, place, indexing="ij")
    seen = seen_along(points, line, start, stop)
    free = cKDTree(seen).query(np.stack([u, v], axis=-1))[0] > 0.5 * pixel_mm
    part = np.asarray(ndi.label(free)[0])
    return np.asarray((part == part[half, half]) & free, dtype=np.bool_)
