"""A regular grid of voxels in LPS: geometry without pixels is a type of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sjplan.core.arrays import Array, check_shape, check_vector
from sjplan.core.errors import FrameMismatchError, GeometryError
from sjplan.core.tolerances import DIRECTION_TOL, SAME_SPACE_TOL_MM


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Where the voxels of a volume lie.

    A voxel's index means its centre. Arrays on the grid are indexed `[i, j, k]`, i along the first
    column of `direction`. The direction may be oblique, and may be left-handed (some scanners store so).

    Parameters
    ----------
    shape : (3,) int
        Number of voxels along i, j, k.
    spacing_mm : (3,) float
        Distance between neighbouring voxel centres, > 0.
    origin_lps_mm : (3,) float
        Centre of voxel (0, 0, 0).
    direction : (3, 3) float
        Column n is the unit vector along index axis n, in LPS.

    Raises
    ------
    GeometryError
        For an empty shape, spacing that is not positive and finite, or a direction that is not orthonormal.

    Examples
    --------
    >>> grid = Grid((10, 20, 30), (1.0, 1.0, 2.0), (5.0, 0.0, 0.0), np.eye(3))
    >>> grid.lps_from_ijk([[1, 1, 1]]).tolist()
    [[6.0, 1.0, 2.0]]
    """

    shape: tuple[int, int, int]
    spacing_mm: Array
    origin_lps_mm: Array
    direction: Array

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise GeometryError("grid shape", found=f"{shape}", wanted="three positive counts")
        object.__setattr__(self, "shape", shape)
        spacing = check_vector("spacing_mm", self.spacing_mm)
        if not (spacing > 0).all():
            raise GeometryError("spacing_mm", found=f"{spacing.tolist()}", wanted="> 0 mm on every axis")
        object.__setattr__(self, "spacing_mm", spacing)
        object.__setattr__(self, "origin_lps_mm", check_vector("origin_lps_mm", self.origin_lps_mm))
        direction = check_shape("direction", self.direction, (3, 3))
        error = float(np.abs(direction.T @ direction - np.eye(3)).max())
        if error > DIRECTION_TOL:
            raise GeometryError(
                "direction",
                found=f"columns off orthonormal by {error:.3g}",
                wanted=f"an orthonormal matrix within {DIRECTION_TOL:g}",
                fix="resample the image onto a grid without shear",
            )
        object.__setattr__(self, "direction", direction)

    @property
    def matrix(self) -> Array:
        """(3, 3): maps an index step to an LPS step in mm."""
        return np.asarray(self.direction * self.spacing_mm)

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel."""
        return float(np.prod(self.spacing_mm))

    @property
    def centre_lps_mm(self) -> Array:
        """Centre of the volume."""
        return self.lps_from_ijk((np.asarray(self.shape) - 1) / 2)

    def lps_from_ijk(self, ijk: ArrayLike) -> Array:
        """LPS points of (fractional) voxel indices, (..., 3)."""
        return np.asarray(np.asarray(ijk, dtype=np.float64) @ self.matrix.T + self.origin_lps_mm)

    def ijk_from_lps(self, points_lps_mm: ArrayLike) -> Array:
        """Fractional voxel indices of LPS points, (..., 3)."""
        inverse = np.linalg.inv(self.matrix)
        return np.asarray((np.asarray(points_lps_mm, dtype=np.float64) - self.origin_lps_mm) @ inverse.T)

    def corners_lps_mm(self) -> Array:
        """The eight corner voxel centres, (8, 3)."""
        corners = [(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)]
        return self.lps_from_ijk(np.array(corners) * (np.asarray(self.shape) - 1))

    def cropped(self, start: ArrayLike, stop: ArrayLike) -> Grid:
        """The grid of voxels `start` (inclusive) to `stop` (exclusive); may reach outside this one (padding)."""
        lo, hi = np.asarray(start, dtype=int), np.asarray(stop, dtype=int)
        n = hi - lo
        shape = (int(n[0]), int(n[1]), int(n[2]))
        return Grid(shape, self.spacing_mm, self.lps_from_ijk(lo), self.direction)

    def same_space(self, other: Grid) -> bool:
        """Whether both grids hold the same voxels, corner by corner within 0.01 mm."""
        if self.shape != other.shape:
            return False
        offset = np.abs(self.corners_lps_mm() - other.corners_lps_mm()).max()
        return bool(offset <= SAME_SPACE_TOL_MM)


def require_same_space(first_name: str, first: Grid, second_name: str, second: Grid) -> None:
    """Raise FrameMismatchError, naming both, unless the two grids hold the same voxels."""
    if not first.same_space(second):
        raise FrameMismatchError(
            f"{first_name} and {second_name}",
            found=f"grids {_summary(first)} and {_summary(second)}",
            wanted="the same shape, spacing, origin and direction",
            fix=f"resample {second_name} onto {first_name} with nearest neighbours",
        )


def _summary(grid: Grid) -> str:
    origin = ",".join(f"{v:.2f}" for v in grid.origin_lps_mm)
    spacing = "x".join(f"{v:.3g}" for v in grid.spacing_mm)
    return f"{'x'.join(map(str, grid.shape))} at {spacing} mm, origin ({origin})"
