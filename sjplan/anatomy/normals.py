"""Outward normals of a mask's boundary voxels from the bone within a ball."""

from __future__ import annotations

import numba as nb
import numpy as np

from sjplan.anatomy.bones import Index, Mask
from sjplan.core.arrays import Array


@nb.njit(parallel=True, cache=True)
def _centre_of_mass_normals(mask: Mask, voxels: Index, offsets: Index, weights: Array) -> Array:
    out = np.zeros((len(voxels), 3))
    ni, nj, nk = mask.shape
    for n in nb.prange(len(voxels)):
        a = b = c = 0.0
        for m in range(len(offsets)):
            i = voxels[n, 0] + offsets[m, 0]
            j = voxels[n, 1] + offsets[m, 1]
            k = voxels[n, 2] + offsets[m, 2]
            if i < 0 or j < 0 or k < 0 or i >= ni or j >= nj or k >= nk:
                continue
            if mask[i, j, k]:
                a -= weights[m, 0]
                b -= weights[m, 1]
                c -= weights[m, 2]
        length = np.sqrt(a * a + b * b + c * c) + 1e-9
        out[n, 0], out[n, 1], out[n, 2] = a / length, b / length, c / length
    return out


def ball_offsets(radius_mm: float, spacing_mm: Array) -> Index:
    """Voxel steps whose centres lie within a ball, (n, 3)."""
    reach = np.ceil(radius_mm / spacing_mm).astype(int)
    axes = [np.arange(-n, n + 1) for n in reach]
    steps = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray(steps[np.linalg.norm(steps * spacing_mm, axis=1) <= radius_mm], dtype=np.intp)


def ball_normals(mask: Mask, voxels: Index, spacing_mm: Array, radius_mm: float) -> Array:
    """Unit vectors from the centre of mass of the bone within a ball to the ball's centre, (n, 3) in grid mm.

    Examples
    --------
    >>> mask = np.zeros((9, 9, 9), bool)
    >>> mask[:, :, :5] = True
    >>> ball_normals(mask, np.array([[4, 4, 4]]), np.ones(3), 3.0).round(6).tolist()
    [[0.0, 0.0, 1.0]]
    """
    offsets = ball_offsets(max(radius_mm, 1.5 * float(spacing_mm.max())), spacing_mm)
    out: Array = _centre_of_mass_normals(
        np.ascontiguousarray(mask), np.ascontiguousarray(voxels), offsets, offsets * spacing_mm
    )
    return out
