"""Line integrals through a voxel volume: Joseph's method along every ray of a detector.

Joseph (1982): along the index axis that a ray follows most closely, the ray meets one plane of voxel centres per
step; there the volume is read with bilinear interpolation, and the samples are summed with the step's length.
`sjplan.xray.reference` holds the same definition written slowly, and plain dense marching.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from sjplan.core.grid import Grid
from sjplan.xray.attenuation import Attenuation
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.types import CArm, Detector

_TILE = 16


def project_volume(
    values: NDArray[np.int16] | NDArray[np.floating], grid: Grid, carm: CArm, detector: Detector
) -> NDArray[np.float32]:
    """Attenuation integrated along the ray to every pixel.

    Parameters
    ----------
    values : (i, j, k) int16 or float
        Integers are Hounsfield units, floats are linear attenuation per mm.
    grid : Grid
        Any origin, spacing, and direction, oblique and left-handed ones too.
    carm, detector : CArm, Detector
        Pose and image size.

    Returns
    -------
    (rows, columns) float32
        No unit; 0 where a ray meets nothing. Whatever lies outside the grid, behind the tube or behind the
        detector does not count.

    Examples
    --------
    >>> water = Grid((20, 20, 20), (5, 5, 5), (-47.5, -47.5, -47.5), np.eye(3))
    >>> image = project_volume(np.zeros((20, 20, 20), np.int16), water, CArm(0, 0, 0, (0, 0, 0)), Detector(65, 65, 4))
    >>> round(float(image[32, 32]) / 0.02059, 2)
    100.0
    """
    return project(Attenuation.of(values, grid), CArmGeometry.of(carm, detector))


def project(attenuation: Attenuation, geometry: CArmGeometry) -> NDArray[np.float32]:
    """Attenuation integrated along the ray to every pixel, from a volume made ready before; see `project_volume`."""
    image = np.zeros((geometry.rows, geometry.columns), dtype=np.float32)
    rays_mm = np.stack(
        [
            geometry.origin_lps_mm - geometry.source_lps_mm,
            geometry.column_step_lps_mm,
            geometry.row_step_lps_mm,
        ]
    )
    source_ijk, rays_ijk = index_rays(attenuation.grid, geometry)
    _joseph(attenuation.values, source_ijk, rays_ijk, rays_mm, float(attenuation.mu_per_value), image)
    return image


def index_rays(grid: Grid, geometry: CArmGeometry) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Source (3,), and (3, 3) rows: ray to pixel (0, 0), column step, row step; all in fractional voxel indices."""
    inverse = np.linalg.inv(grid.matrix)
    rays = np.stack(
        [
            inverse @ (geometry.origin_lps_mm - geometry.source_lps_mm),
            inverse @ geometry.column_step_lps_mm,
            inverse @ geometry.row_step_lps_mm,
        ]
    )
    return np.asarray(grid.ijk_from_lps(geometry.source_lps_mm)), rays


@njit(cache=True, inline="always", error_model="numpy")
def clip_slab(t0: float, t1: float, start: float, step: float, low: float, high: float) -> Any:
    """Part of [t0, t1] in which low <= start + t * step <= high; empty where the second value is the smaller."""
    if abs(step) < 1e-12:
        return (t0, t1) if low <= start <= high else (1.0, 0.0)
    a, b = (low - start) / step, (high - start) / step
    return max(t0, min(a, b)), min(t1, max(a, b))


@njit(cache=True, parallel=True, fastmath=True, error_model="numpy")
def _joseph(volume: Any, source: Any, rays_ijk: Any, rays_mm: Any, mu_per_value: float, image: Any) -> None:
    """Fill `image`; `volume` has two zero layers on every side, so that reading never leaves it."""
    rows, columns = image.shape
    across = (columns + _TILE - 1) // _TILE
    down = (rows + _TILE - 1) // _TILE
    for tile in prange(across * down):
        row0, column0 = (tile // across) * _TILE, (tile % across) * _TILE
        for row in range(row0, min(row0 + _TILE, rows)):
            for column in range(column0, min(column0 + _TILE, columns)):
                d = rays_ijk[0] + column * rays_ijk[1] + row * rays_ijk[2]
                e = rays_mm[0] + column * rays_mm[1] + row * rays_mm[2]
                length = math.sqrt(e[0] * e[0] + e[1] * e[1] + e[2] * e[2])
                image[row, column] = np.float32(_ray_sum(volume, source, d) * length * mu_per_value)


@njit(cache=True, fastmath=True, error_model="numpy")
def _ray_sum(volume: Any, s: Any, d: Any) -> Any:
    """Mean over the ray's whole length of the values along s + t d, t from 0 to 1."""
    n = volume.shape
    t0, t1 = 0.0, 1.0
    for axis in range(3):
        t0, t1 = clip_slab(t0, t1, s[axis], d[axis], 1.0, n[axis] - 2.0)
    if t1 <= t0:
        return 0.0
    flat = volume.reshape(-1)
    stride_i, stride_j = n[1] * n[2], n[2]
    x, y, z = abs(d[0]), abs(d[1]), abs(d[2])
    if y >= x and y >= z:
        m, u, v, km, ku, kv = 1, 0, 2, stride_j, stride_i, 1
    elif x >= z:
        m, u, v, km, ku, kv = 0, 1, 2, stride_i, stride_j, 1
    else:
        m, u, v, km, ku, kv = 2, 0, 1, 1, stride_i, stride_j
    a, b = s[m] + d[m] * t0, s[m] + d[m] * t1
    first, last = math.ceil(min(a, b)), math.floor(max(a, b))
    slope_u, slope_v = np.float32(d[u] / d[m]), np.float32(d[v] / d[m])
    u0 = np.float32(s[u] + d[u] / d[m] * (first - s[m]))
    v0 = np.float32(s[v] + d[v] / d[m] * (first - s[m]))
    base, step = np.int32(first * km), np.int32(km)
    ku32, kv32 = np.int32(ku), np.int32(kv)
    total = np.float32(0.0)
    for i in range(last - first + 1):
        pu, pv = u0 + slope_u * np.float32(i), v0 + slope_v * np.float32(i)
        iu, iv = np.int32(pu), np.int32(pv)
        fu, fv = pu - np.float32(iu), pv - np.float32(iv)
        o = base + np.int32(i) * step + iu * ku32 + iv * kv32
        p, q = np.float32(flat[o]), np.float32(flat[o + ku32])
        low = p + fu * (q - p)
        p, q = np.float32(flat[o + kv32]), np.float32(flat[o + kv32 + ku32])
        high = p + fu * (q - p)
        total += low + fv * (high - low)
    return total / abs(d[m])
