"""Exact distances on a voxel grid: which marked voxel is nearest, and how far its centre is.

A voxel distance over-states clearance by up to a voxel: search with it, never report it.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import ArrayLike, NDArray

_NONE = -1


@nb.njit(cache=True, parallel=True)
def _nearest_along_k(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """For every voxel the k of the nearest marked voxel of its own row, or -1."""
    ni, nj, nk = mask.shape
    out = np.full(mask.shape, _NONE, np.int32)
    for i in nb.prange(ni):
        for j in range(nj):
            last = _NONE
            for k in range(nk):
                if mask[i, j, k]:
                    last = k
                out[i, j, k] = last
            last = _NONE
            for k in range(nk - 1, -1, -1):
                if mask[i, j, k]:
                    last = k
                if last >= 0 and (out[i, j, k] < 0 or last - k < k - out[i, j, k]):
                    out[i, j, k] = last
    return out


@nb.njit(cache=True)
def _envelope(cost: NDArray[np.float64], step: float, site: NDArray[np.int64], start: NDArray[np.float64]) -> int:
    """Lower envelope of parabolas cost[q] + step^2 (x - q)^2 over x; infinite costs are left out.

    Fills `site` and `start` (the x from which each parabola is lowest) and returns the last index used.
    """
    last = -1
    for q in range(len(cost)):
        if cost[q] == np.inf:
            continue
        begin = -np.inf
        while last >= 0:
            r = site[last]
            begin = (cost[q] - cost[r] + step * step * (q * q - r * r)) / (2.0 * step * step * (q - r))
            if begin > start[last]:
                break
            last -= 1
            begin = -np.inf
        last += 1
        site[last] = q
        start[last] = begin
    return last


@nb.njit(cache=True, parallel=True)
def _nearest_in_plane(row: NDArray[np.int32], spacing: NDArray[np.float64]) -> NDArray[np.int32]:
    """For every voxel the flat j * nk + k of the nearest marked voxel of its own i-plane, or -1."""
    ni, nj, nk = row.shape
    out = np.full(row.shape, _NONE, np.int32)
    for i in nb.prange(ni):
        site = np.empty(nj, np.int64)
        start = np.empty(nj, np.float64)
        cost = np.empty(nj, np.float64)
        for k in range(nk):
            for j in range(nj):
                cost[j] = np.inf if row[i, j, k] < 0 else ((row[i, j, k] - k) * spacing[2]) ** 2
            last = _envelope(cost, spacing[1], site, start)
            if last < 0:
                continue
            n = 0
            for j in range(nj):
                while n < last and start[n + 1] < j:
                    n += 1
                out[i, j, k] = site[n] * nk + row[i, site[n], k]
    return out


@nb.njit(cache=True, parallel=True)
def _nearest_in_volume(plane: NDArray[np.int32], spacing: NDArray[np.float64]) -> NDArray[np.int32]:
    """For every voxel the (i, j, k) of the nearest marked voxel, or -1 three times."""
    ni, nj, nk = plane.shape
    out = np.full((ni, nj, nk, 3), _NONE, np.int32)
    for j in nb.prange(nj):
        site = np.empty(ni, np.int64)
        start = np.empty(ni, np.float64)
        cost = np.empty(ni, np.float64)
        for k in range(nk):
            for i in range(ni):
                flat = plane[i, j, k]
                if flat < 0:
                    cost[i] = np.inf
                else:
                    cost[i] = ((flat // nk - j) * spacing[1]) ** 2 + ((flat % nk - k) * spacing[2]) ** 2
            last = _envelope(cost, spacing[0], site, start)
            if last < 0:
                continue
            n = 0
            for i in range(ni):
                while n < last and start[n + 1] < i:
                    n += 1
                flat = plane[site[n], j, k]
                out[i, j, k, 0] = site[n]
                out[i, j, k, 1] = flat // nk
                out[i, j, k, 2] = flat % nk
    return out


def nearest_site(mask: NDArray[np.bool_], spacing_mm: ArrayLike) -> NDArray[np.int32]:
    """Index of the nearest True voxel of every voxel, exactly (ties go to either).

    Parameters
    ----------
    mask : (ni, nj, nk) bool
        Marked voxels.
    spacing_mm : (3,) float
        Distance between voxel centres along each axis.

    Returns
    -------
    (ni, nj, nk, 3) int32
        Voxel indices; -1 three times where nothing is marked.

    Examples
    --------
    >>> mask = np.zeros((4, 3, 3), bool)
    >>> mask[3, 1, 1] = True
    >>> nearest_site(mask, (1, 1, 1))[0, 0, 0].tolist()
    [3, 1, 1]
    """
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    row = _nearest_along_k(np.ascontiguousarray(mask, dtype=np.bool_))
    sites: NDArray[np.int32] = _nearest_in_volume(_nearest_in_plane(row, spacing), spacing)
    return sites


@nb.njit(cache=True, parallel=True)
def _site_distance(plane: NDArray[np.int32], spacing: NDArray[np.float64]) -> NDArray[np.float32]:
    ni, nj, nk = plane.shape
    out = np.full((ni, nj, nk), np.inf, np.float32)
    for j in nb.prange(nj):
        site = np.empty(ni, np.int64)
        start = np.empty(ni, np.float64)
        cost = np.empty(ni, np.float64)
        for k in range(nk):
            for i in range(ni):
                flat = plane[i, j, k]
                if flat < 0:
                    cost[i] = np.inf
                else:
                    cost[i] = ((flat // nk - j) * spacing[1]) ** 2 + ((flat % nk - k) * spacing[2]) ** 2
            last = _envelope(cost, spacing[0], site, start)
            if last < 0:
                continue
            n = 0
            for i in range(ni):
                while n < last and start[n + 1] < i:
                    n += 1
                out[i, j, k] = np.sqrt(cost[site[n]] + ((site[n] - i) * spacing[0]) ** 2)
    return out


def distance_mm(mask: NDArray[np.bool_], spacing_mm: ArrayLike) -> NDArray[np.float32]:
    """Distance of every voxel centre to the centre of the nearest True voxel, exactly.

    Zero on the mask, infinite where nothing is marked. See `nearest_site` for the arguments.

    Examples
    --------
    >>> mask = np.zeros((1, 1, 4), bool)
    >>> mask[0, 0, 0] = True
    >>> distance_mm(mask, (1, 1, 2.5)).ravel().tolist()
    [0.0, 2.5, 5.0, 7.5]
    """
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    row = _nearest_along_k(np.ascontiguousarray(mask, dtype=np.bool_))
    distance: NDArray[np.float32] = _site_distance(_nearest_in_plane(row, spacing), spacing)
    return distance
