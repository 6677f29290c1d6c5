"""Cheapest paths through free voxels: centrelines that keep to the middle of a tunnel."""

from __future__ import annotations

import heapq

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.anatomy.bones import Index
from sjplan.core.arrays import Array

NO_PARENT = -1


@nb.njit(cache=True)
def _dijkstra(cost: Array, sources: Index, spacing: Array) -> tuple[Array, NDArray[np.int64]]:
    ni, nj, nk = cost.shape
    total = np.full(cost.shape, np.inf)
    parent = np.full(cost.shape, NO_PARENT, np.int64)
    heap = [(0.0, np.int64(0))]
    heap.pop()
    for n in range(len(sources)):
        i, j, k = sources[n, 0], sources[n, 1], sources[n, 2]
        total[i, j, k] = 0.0
        heapq.heappush(heap, (0.0, np.int64((i * nj + j) * nk + k)))
    while len(heap):
        so_far, flat = heapq.heappop(heap)
        i, j, k = flat // (nj * nk), (flat // nk) % nj, flat % nk
        if so_far > total[i, j, k]:
            continue
        for di in range(-1, 2):
            for dj in range(-1, 2):
                for dk in range(-1, 2):
                    a, b, c = i + di, j + dj, k + dk
                    if a < 0 or b < 0 or c < 0 or a >= ni or b >= nj or c >= nk or cost[a, b, c] <= 0:
                        continue
                    step = np.sqrt((di * spacing[0]) ** 2 + (dj * spacing[1]) ** 2 + (dk * spacing[2]) ** 2)
                    then = so_far + step * 0.5 * (cost[a, b, c] + cost[i, j, k])
                    if then < total[a, b, c] - 1e-9:
                        total[a, b, c] = then
                        parent[a, b, c] = flat
                        heapq.heappush(heap, (then, np.int64((a * nj + b) * nk + c)))
    return total, parent


def cheapest_paths(cost: Array, sources: Index, spacing_mm: Array) -> tuple[Array, NDArray[np.int64]]:
    """Cost of the cheapest path from any source to every voxel, over 26 neighbours.

    Parameters
    ----------
    cost : (a, b, c) float
        Price per mm; zero or less forbids a voxel.
    sources : (n, 3) int
        Where paths begin.
    spacing_mm : (3,) float
        Voxel edges.

    Returns
    -------
    total : (a, b, c) float
        Infinite where no path leads.
    parent : (a, b, c) int64
        Flat index of the voxel before, -1 at sources and unreached voxels.

    Examples
    --------
    >>> total, _ = cheapest_paths(np.ones((1, 1, 4)), np.array([[0, 0, 0]]), np.array([1.0, 1.0, 2.0]))
    >>> total.ravel().tolist()
    [0.0, 2.0, 4.0, 6.0]
    """
    result: tuple[Array, NDArray[np.int64]] = _dijkstra(
        np.ascontiguousarray(cost, dtype=np.float64), np.ascontiguousarray(sources), np.asarray(spacing_mm)
    )
    return result


def walk_back(parent: NDArray[np.int64], end: Index) -> Index:
    """Voxels of the path from its source to `end`, (n, 3)."""
    flat = int(np.ravel_multi_index(tuple(int(v) for v in end), parent.shape))
    path = [flat]
    while (flat := int(parent.flat[flat])) != NO_PARENT:
        path.append(flat)
    return np.column_stack(np.unravel_index(np.array(path[::-1]), parent.shape))


def smoothed(line: Array, sweeps: int = 3) -> Array:
    """A line with its inner points drawn towards their neighbours; the ends stay."""
    out = np.array(line, dtype=np.float64)
    for _ in range(sweeps if len(out) > 3 else 0):
        out[1:-1] = 0.25 * out[:-2] + 0.5 * out[1:-1] + 0.25 * out[2:]
    return out
