"""Signed distances on a grid, evaluated only where a surface may pass: from coarse to fine, by halving the step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.core.grid import Grid
from sjplan.phantom.kernels import affine

COARSE_MM: Final = 8.0
"""First step of the search (mm, default): about the smallest part of a bone, so that every part is met."""

STEEPEST: Final = 1.4
"""Largest slope of the signed distances met in practice: they are first-order, not exact."""

CHUNK: Final = 50_000
"""Points evaluated at once: bounds the memory of temporaries to some tens of megabytes, and keeps them in cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Signed distances on the part of a grid round one shape: first voxel, and float32 values [i, j, k] from there.

    Values are stored x fastest, as volumes are.
    """

    start: NDArray[np.int64]
    distance_mm: NDArray[np.float32]

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Where the values lie in an array on the whole grid."""
        a, b, c = (slice(int(s), int(s) + n) for s, n in zip(self.start, self.distance_mm.shape, strict=True))
        return a, b, c


def exact_reach_mm(grid: Grid) -> float:
    """How near to a surface the values of a band are the shape's own; farther away they are interpolated."""
    return STEEPEST * float(np.linalg.norm(grid.spacing_mm))


def sample_band(distance_mm: Callable[[Array], Array], grid: Grid, band_mm: float) -> Band:
    """Sample a signed distance on a grid.

    A shape is sampled at every `COARSE_MM`; then the step is halved until it is a voxel, and a new point gets the
    shape's own value only if the surface may lie between its neighbours. Voxels within `exact_reach_mm` of the surface
    get their own value, those within `band_mm` one that is interpolated over two voxels, elsewhere only the sign is
    right; voxels outside the returned part lie farther than `band_mm` from the shape.
    """
    step = 2 ** int(np.clip(np.ceil(np.log2(COARSE_MM / float(grid.spacing_mm.min()))), 1, 4))
    count = -(-(np.asarray(grid.shape) - 1) // step) + 1
    lattice = np.argwhere(np.ones(tuple(count[::-1]), dtype=bool))[:, ::-1]
    flat = _in_chunks(distance_mm, grid, lattice * step)
    values = flat.astype(np.float32).reshape(tuple(count[::-1])).T
    near = lattice[flat < max(2.0 * _bound_mm(grid, step), band_mm)]
    if not len(near):
        return Band(np.zeros(3, dtype=np.int64), np.full((1, 1, 1), band_mm, dtype=np.float32))
    first, last = np.maximum(near.min(axis=0) - 1, 0), np.minimum(near.max(axis=0) + 1, count - 1)
    values = values[tuple(slice(a, b + 1) for a, b in zip(first, last, strict=True))]
    start = first * step
    while step > 1:
        bound = _bound_mm(grid, step)
        limit = bound if step == 2 else max(2.0 * bound, band_mm + bound)
        values, step = doubled(values), step // 2
        wanted = np.abs(values) < limit
        wanted[::2, ::2, ::2] = False
        ijk = np.argwhere(wanted.T)[:, ::-1]
        values[tuple(ijk.T)] = _in_chunks(distance_mm, grid, ijk * step + start)
    size = np.minimum(np.asarray(grid.shape) - start, values.shape)
    return Band(start, np.asfortranarray(values[: size[0], : size[1], : size[2]]))


def _bound_mm(grid: Grid, step: int) -> float:
    """How far a value interpolated between neighbours `step` voxels apart may be off."""
    return STEEPEST * float(np.linalg.norm(grid.spacing_mm)) * step / 2.0


@njit(cache=True, nogil=True)
def doubled(coarse: NDArray[Any]) -> NDArray[Any]:
    """A lattice (a, b, c) with the middles between its points added: (2a - 1, 2b - 1, 2c - 1), x fastest.

    Agrees with `doubled_reference` to rounding.
    """
    na, nb, nc = coarse.shape
    fine = np.zeros((2 * nc - 1, 2 * nb - 1, 2 * na - 1), dtype=coarse.dtype)
    for k in range(nc):
        for j in range(nb):
            for i in range(na):
                fine[2 * k, 2 * j, 2 * i] = coarse[i, j, k]
            for i in range(na - 1):
                fine[2 * k, 2 * j, 2 * i + 1] = 0.5 * (fine[2 * k, 2 * j, 2 * i] + fine[2 * k, 2 * j, 2 * i + 2])
        for j in range(nb - 1):
            for i in range(2 * na - 1):
                fine[2 * k, 2 * j + 1, i] = 0.5 * (fine[2 * k, 2 * j, i] + fine[2 * k, 2 * j + 2, i])
    for k in range(nc - 1):
        for j in range(2 * nb - 1):
            for i in range(2 * na - 1):
                fine[2 * k + 1, j, i] = 0.5 * (fine[2 * k, j, i] + fine[2 * k + 2, j, i])
    return fine.T


def doubled_reference(coarse: Array) -> Array:
    """The same by repeated linear interpolation along each axis."""
    fine = coarse
    for axis in range(3):
        low, high = (np.take(fine, np.arange(fine.shape[axis])[part], axis) for part in (slice(-1), slice(1, None)))
        at = np.arange(1, fine.shape[axis])
        fine = np.insert(fine, at, (low + high) / 2.0, axis)
    return fine


def lps_of(grid: Grid, ijk: NDArray[Any]) -> Array:
    """LPS points of voxel indices (n, 3)."""
    return np.asarray(affine(np.ascontiguousarray(ijk, dtype=np.float64), grid.matrix, grid.origin_lps_mm))


def _in_chunks(distance_mm: Callable[[Array], Array], grid: Grid, ijk: NDArray[np.int64]) -> Array:
    out = np.zeros(len(ijk))
    for begin in range(0, len(out), CHUNK):
        out[begin : begin + CHUNK] = distance_mm(lps_of(grid, ijk[begin : begin + CHUNK]))
    return out
