"""Signed distances on a grid, evaluated only near the surface: blocks far from it keep one value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.core.grid import Grid
from sjplan.phantom.kernels import affine

BLOCK: Final = 6
"""Edge of a block, voxels."""

STEEPEST: Final = 1.4
"""Largest slope of the signed distances met in practice: they are first-order, not exact."""

CHUNK: Final = 100_000
"""Points evaluated at once: bounds the memory of temporaries to about a hundred megabytes."""


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Signed distances on the part of a grid round one shape: first voxel, and float32 values [i, j, k] from there."""

    start: NDArray[np.int64]
    distance_mm: NDArray[np.float32]

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Where the values lie in an array on the whole grid."""
        a, b, c = (slice(int(s), int(s) + n) for s, n in zip(self.start, self.distance_mm.shape, strict=True))
        return a, b, c


def sample_band(distance_mm: Callable[[Array], Array], grid: Grid, band_mm: float) -> Band:
    """Sample a signed distance on a grid.

    Voxels within `band_mm` of the surface get their own value, elsewhere only the sign is right; voxels outside the
    returned part lie farther than `band_mm` from the shape.
    """
    shape = np.asarray(grid.shape)
    blocks = -(-shape // BLOCK)
    lattice = _lattice(blocks)
    reach = float(np.linalg.norm(grid.spacing_mm * BLOCK)) / 2.0
    coarse = _in_chunks(distance_mm, lps_of(grid, lattice * BLOCK + (BLOCK - 1) / 2.0))
    limit = (reach + band_mm) * STEEPEST
    touched = lattice[coarse < limit]
    if not len(touched):
        return Band(np.zeros(3, dtype=np.int64), np.full((1, 1, 1), limit, dtype=np.float32))
    first, last = touched.min(axis=0), touched.max(axis=0) + 1
    part = coarse.reshape(tuple(blocks))[tuple(slice(a, b) for a, b in zip(first, last, strict=True))]
    values = part.astype(np.float32)
    for axis in range(3):
        values = np.repeat(values, BLOCK, axis=axis)
    cell = _lattice(np.full(3, BLOCK))
    wanted = (np.argwhere(np.abs(part) < limit) * BLOCK)[:, None, :]
    per_chunk = max(1, CHUNK // len(cell))
    for begin in range(0, len(wanted), per_chunk):
        ijk = (wanted[begin : begin + per_chunk] + cell).reshape(-1, 3)
        values[tuple(ijk.T)] = distance_mm(lps_of(grid, ijk + first * BLOCK))
    start = first * BLOCK
    size = np.minimum(shape - start, values.shape)
    return Band(start, np.ascontiguousarray(values[: size[0], : size[1], : size[2]]))


def lps_of(grid: Grid, ijk: NDArray[Any]) -> Array:
    """LPS points of voxel indices (n, 3)."""
    return np.asarray(affine(np.ascontiguousarray(ijk, dtype=np.float64), grid.matrix, grid.origin_lps_mm))


def _lattice(shape: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1).reshape(-1, 3)


def _in_chunks(distance_mm: Callable[[Array], Array], points_lps_mm: Array) -> Array:
    out = np.zeros(len(points_lps_mm))
    for begin in range(0, len(out), CHUNK):
        out[begin : begin + CHUNK] = distance_mm(points_lps_mm[begin : begin + CHUNK])
    return out
