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
_FAST = {"reassoc", "contract", "nsz"}  # all of fastmath that does not assume away infinities and NaN


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


@njit(cache=True, fastmath=False, error_model="numpy")
def clip_slab(t0: float, t1: float, start: float, step: float, low: float, high: float) -> Any:
    """Part of [t0, t1] in which low <= start + t * step <= high; empty where the second value is the smaller.

    `fastmath=False` is said aloud: a function that leaves it open takes the flags of whichever caller is compiled
    first, and `low` may be infinite.
    """
    if abs(step) < 1e-12:
        return (t0, t1) if low <= start <= high else (1.0, 0.0)
    a, b = (low - start) / step, (high - start) / step
    return max(t0, min(a, b)), min(t1, max(a, b))


@njit(cache=True, parallel=True, fastmath=_FAST, error_model="numpy")
def _joseph(volume: Any, source: Any, rays_ijk: Any, rays_mm: Any, mu_per_value: float, image: Any) -> None:
    """Fill `image`; `volume` has two zero layers on every side, so that reading never leaves it."""
    rows, columns = image.shape
    across = (columns + _TILE - 1) // _TILE
    down = (rows + _TILE - 1) // _TILE
    for tile in prange(across * down):
        row0, column0 = (tile // across) * _TILE, (tile % across) * _TILE
        for row in range(row0, min(row0 + _TILE, rows)):
            for column in range(column0, min(column0 + _TILE, columns)):
                # written out axis by axis: an array expression would allocate three times a pixel
                x = rays_ijk[0, 0] + column * rays_ijk[1, 0] + row * rays_ijk[2, 0]
                y = rays_ijk[0, 1] + column * rays_ijk[1, 1] + row * rays_ijk[2, 1]
                z = rays_ijk[0, 2] + column * rays_ijk[1, 2] + row * rays_ijk[2, 2]
                squared = 0.0
                for axis in range(3):
                    squared += (rays_mm[0, axis] + column * rays_mm[1, axis] + row * rays_mm[2, axis]) ** 2
                mean = _ray_mean(volume, source, x, y, z)
                image[row, column] = np.float32(mean * math.sqrt(squared) * mu_per_value)


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _ray_mean(volume: Any, s: Any, x: float, y: float, z: float) -> Any:
    """Mean of the volume's values over the whole ray from s to s + (x, y, z)."""
    ni, nj, nk = volume.shape
    t0, t1 = clip_slab(0.0, 1.0, s[0], x, 1.0, ni - 2.0)
    t0, t1 = clip_slab(t0, t1, s[1], y, 1.0, nj - 2.0)
    t0, t1 = clip_slab(t0, t1, s[2], z, 1.0, nk - 2.0)
    if t1 <= t0:
        return 0.0
    flat = volume.reshape(-1)
    if abs(y) >= abs(x) and abs(y) >= abs(z):
        dm, sm, km = y, s[1], nk
        du, su, ku = x, s[0], nj * nk
        dv, sv, kv = z, s[2], 1
    elif abs(x) >= abs(z):
        dm, sm, km = x, s[0], nj * nk
        du, su, ku = y, s[1], nk
        dv, sv, kv = z, s[2], 1
    else:
        dm, sm, km = z, s[2], 1
        du, su, ku = x, s[0], nj * nk
        dv, sv, kv = y, s[1], nk
    a, b = sm + dm * t0, sm + dm * t1
    first, last = math.ceil(min(a, b)), math.floor(max(a, b))
    slope_u, slope_v = np.float32(du / dm), np.float32(dv / dm)
    u0 = np.float32(su + du / dm * (first - sm))
    v0 = np.float32(sv + dv / dm * (first - sm))
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
    return total / abs(dm)
