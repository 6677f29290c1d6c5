"""How much of a voxel lies inside a surface: the share of a box on one side of a plane, and its slow reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from sjplan.core.arrays import Array
from sjplan.core.grid import Grid
from sjplan.phantom.sampling import CHUNK, Band, exact_reach_mm, lps_of, sample_band

THINNEST: Final = 0.02
"""Least share of the longest projected edge that the others count as (no unit): keeps the division below stable."""


@njit(cache=True, nogil=True)
def box_share(depth: float, a: float, b: float, c: float) -> float:
    """Share of a box that lies within a half-space, exact for a plane.

    Parameters
    ----------
    depth : float
        How deep the box's centre lies inside (mm, negative outside).
    a, b, c : float
        Half of the box's edges, each projected onto the plane's normal (mm, >= 0).

    Returns
    -------
    float
        0 to 1: the distribution function of a sum of three even distributions. Agrees with `supersampled_share` as
        closely as that one is sampled.

    Examples
    --------
    >>> round(box_share(0.25, 0.5, 0.0, 0.0), 3), box_share(-1.0, 0.5, 0.0, 0.0), box_share(0.9, 0.5, 0.3, 0.0)
    (0.75, 0.0, 1.0)
    """
    reach = a + b + c
    if depth >= reach:
        return 1.0
    if depth <= -reach:
        return 0.0
    least = THINNEST * max(a, max(b, c))
    a, b, c = max(a, least), max(b, least), max(c, least)
    if depth > 0.0:
        return 1.0 - _lower_share(-depth, a, b, c)
    return _lower_share(depth, a, b, c)


@njit(cache=True, nogil=True, inline="always")
def _lower_share(depth: float, a: float, b: float, c: float) -> float:
    total = 0.0
    for i in range(2):
        for j in range(2):
            for k in range(2):
                sign = -1.0 if (i + j + k) % 2 else 1.0
                t = depth + (a - 2.0 * a * i) + (b - 2.0 * b * j) + (c - 2.0 * c * k)
                if t > 0.0:
                    total += sign * t * t * t
    return min(max(total / (48.0 * a * b * c), 0.0), 1.0)


def supersampled_share(
    distance_mm: Callable[[Array], Array], grid: Grid, ijk: ArrayLike, samples: int = 8, soft: bool = False
) -> Array:
    """Share (n,) of voxels (n, 3) inside a shape, by `samples` cubed points in each.

    With `soft`, a point counts by the share that its own small cell has inside, seen along the normal: few points then
    do for thin shapes.
    """
    centres = lps_of(grid, np.asarray(ijk, dtype=np.float64))
    at = (np.arange(samples) + 0.5) / samples - 0.5
    offsets = np.stack(np.meshgrid(at, at, at, indexing="ij"), axis=-1).reshape(-1, 3) @ grid.matrix.T
    cell_mm = float(np.cbrt(grid.voxel_volume_mm3)) / samples
    share = np.zeros(len(centres))
    step = max(1, CHUNK // len(offsets))
    for begin in range(0, len(share), step):
        # Voxel by voxel: a shape made of parts looks at few of them for points that lie together.
        points = (centres[begin : begin + step, None] + offsets).reshape(-1, 3)
        d = distance_mm(points).reshape(-1, len(offsets))
        inside = np.clip(0.5 - d / cell_mm, 0.0, 1.0) if soft else (d < 0).astype(np.float64)
        share[begin : begin + step] = inside.sum(axis=1) / len(offsets)
    return share


def fine_shares(
    distance_mm: Callable[[Array], Array], grid: Grid, samples: int = 4, band: Band | None = None
) -> tuple[tuple[Array, ...], Array]:
    """Voxels that a small shape touches, as index arrays (i, j, k), and the share of each that it fills.

    Where the shape was sampled before, at least `exact_reach_mm` deep, give that `band`: it is not sampled again.
    """
    band = band or sample_band(distance_mm, grid, exact_reach_mm(grid))
    half_diagonal = 0.5 * float(np.linalg.norm(grid.spacing_mm))
    inside = np.argwhere(band.distance_mm < half_diagonal)
    share = np.ones(len(inside))
    edge = band.distance_mm[tuple(inside.T)] > -half_diagonal
    share[edge] = supersampled_share(distance_mm, grid, inside[edge] + band.start, samples, soft=True)
    return tuple((inside + band.start).T), share
