"""A coarse regular lattice over the body: smooth fields are computed on it and interpolated per voxel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from sjplan.core.arrays import Array, check_vector


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """Points along the scanner's axes.

    Parameters
    ----------
    origin_lps_mm : (3,) float
        First point.
    step_mm : float
        Distance of neighbours, the same along each axis.
    shape : (3,) int
        Number of points along x, y, z.

    Examples
    --------
    >>> Lattice.over((0.0, 0.0, 0.0), (4.0, 2.0, 2.0), 2.0).points_lps_mm().shape
    (36, 3)
    """

    origin_lps_mm: Array
    step_mm: float
    shape: tuple[int, int, int]

    @classmethod
    def over(cls, low_lps_mm: ArrayLike, high_lps_mm: ArrayLike, step_mm: float) -> Lattice:
        """A lattice that holds a box, one step wider at its far ends; its points are whole steps from the origin."""
        low = np.floor(np.asarray(low_lps_mm, dtype=np.float64) / step_mm)
        count = np.ceil(np.asarray(high_lps_mm, dtype=np.float64) / step_mm) - low + 2
        shape = (int(count[0]), int(count[1]), int(count[2]))
        return cls(check_vector("lattice origin", low * step_mm), step_mm, shape)

    def points_lps_mm(self) -> Array:
        """All points (n, 3), z fastest."""
        axes = [o + self.step_mm * np.arange(n) for o, n in zip(self.origin_lps_mm, self.shape, strict=True)]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)

    def refined(self, values: NDArray[Any], finer: Lattice) -> NDArray[np.float32]:
        """Values of this lattice (nx, ny, nz), trilinear at the points of another one; held at the border."""
        out = np.asarray(values, dtype=np.float32)
        for axis in range(3):
            n = self.shape[axis]
            at = finer.origin_lps_mm[axis] + finer.step_mm * np.arange(finer.shape[axis]) - self.origin_lps_mm[axis]
            t = np.clip(at / self.step_mm, 0.0, n - 1.0)
            i = np.minimum(t.astype(np.int64), n - 2)
            w = (t - i).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
            out = np.take(out, i, axis=axis) * (1 - w) + np.take(out, i + 1, axis=axis) * w
        return out


@njit(cache=True, nogil=True, inline="always")
def interpolate(fields: NDArray[Any], n_fields: int, x: float, y: float, z: float, out: NDArray[Any]) -> None:
    """Trilinear values of fields (nx, ny, nz, t) at lattice coordinates, held at the border, into `out` (t,)."""
    nx, ny, nz = fields.shape[0], fields.shape[1], fields.shape[2]
    x = min(max(x, 0.0), nx - 1.000001)
    y = min(max(y, 0.0), ny - 1.000001)
    z = min(max(z, 0.0), nz - 1.000001)
    i, j, k = int(x), int(y), int(z)
    u, v, w = x - i, y - j, z - k
    for t in range(n_fields):
        a = (1.0 - w) * fields[i, j, k, t] + w * fields[i, j, k + 1, t]
        b = (1.0 - w) * fields[i, j + 1, k, t] + w * fields[i, j + 1, k + 1, t]
        c = (1.0 - w) * fields[i + 1, j, k, t] + w * fields[i + 1, j, k + 1, t]
        d = (1.0 - w) * fields[i + 1, j + 1, k, t] + w * fields[i + 1, j + 1, k + 1, t]
        out[t] = (1.0 - u) * ((1.0 - v) * a + v * b) + u * ((1.0 - v) * c + v * d)
