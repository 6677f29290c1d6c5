"""The CT as segmentation looks at it: isotropic, along the LPS axes, clipped to what tells bone from soft tissue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from sjplan.core.arrays import Array
from sjplan.core.grid import Grid
from sjplan.core.tolerances import AIR_HU

sitk: Any = SimpleITK
"""SimpleITK, which carries no type hints."""

SOFT_HU: Final = 40.0
"""What counts as soft tissue where something has to stand for it: muscle is 50 to 60 HU, with fat between (default)."""

Volume = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Working:
    """Values on a grid; outside it there is `outside`.

    Parameters
    ----------
    grid : Grid
        Where the voxels lie.
    values : (ni, nj, nk) float32
        HU, or what was made of them.
    outside : float
        What holds beyond the grid.
    """

    grid: Grid
    values: Volume
    outside: float = SOFT_HU

    def at(self, points_lps_mm: Array) -> Array:
        """Values at LPS points (n, 3), linear between voxels."""
        ijk = self.grid.ijk_from_lps(points_lps_mm)
        return np.asarray(map_coordinates(self.values, ijk.T, order=1, mode="constant", cval=self.outside))

    def holds(self, points_lps_mm: Array) -> NDArray[np.bool_]:
        """Which LPS points (n, 3) lie within the grid."""
        ijk = self.grid.ijk_from_lps(points_lps_mm)
        return np.asarray(((ijk >= 0) & (ijk <= np.asarray(self.grid.shape) - 1)).all(axis=1))


def image_of(grid: Grid, values: NDArray[Any]) -> Any:
    """A SimpleITK image of values [i, j, k] on a grid; shares no memory."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(values.transpose(2, 1, 0)))
    image.SetSpacing(grid.spacing_mm.tolist())
    image.SetOrigin(grid.origin_lps_mm.tolist())
    image.SetDirection(grid.direction.ravel().tolist())
    return image


def values_of(image: Any) -> NDArray[Any]:
    """Values [i, j, k] of a SimpleITK image, x fastest in memory."""
    return np.asarray(sitk.GetArrayFromImage(image)).transpose(2, 1, 0)


def box_grid(grid: Grid, spacing_mm: float, margin_mm: float = 0.0) -> Grid:
    """The grid along the LPS axes that holds all of a grid."""
    corners = grid.corners_lps_mm()
    low, high = corners.min(axis=0) - margin_mm, corners.max(axis=0) + margin_mm
    return grid_between(low, high, spacing_mm)


def grid_between(low_lps_mm: Array, high_lps_mm: Array, spacing_mm: float) -> Grid:
    """The grid along the LPS axes from one corner to another."""
    count = np.maximum(np.ceil((high_lps_mm - low_lps_mm) / spacing_mm).astype(int) + 1, 2)
    shape = (int(count[0]), int(count[1]), int(count[2]))
    return Grid(shape, np.full(3, spacing_mm), np.asarray(low_lps_mm, dtype=np.float64), np.eye(3))


def resampled(image: Any, grid: Grid, outside: float = AIR_HU) -> Volume:
    """Values [i, j, k] of a SimpleITK image on another grid, linear between voxels."""
    filter_ = sitk.ResampleImageFilter()
    filter_.SetSize(list(grid.shape))
    filter_.SetOutputSpacing(grid.spacing_mm.tolist())
    filter_.SetOutputOrigin(grid.origin_lps_mm.tolist())
    filter_.SetOutputDirection(grid.direction.ravel().tolist())
    filter_.SetInterpolator(sitk.sitkLinear)
    filter_.SetOutputPixelType(sitk.sitkFloat32)
    filter_.SetDefaultPixelValue(outside)
    return np.asarray(values_of(filter_.Execute(image)), dtype=np.float32)


def nearest(image: Any, grid: Grid) -> NDArray[np.uint8]:
    """Labels [i, j, k] of a SimpleITK image on another grid, those of the nearest voxel; 0 outside; read-only."""
    filter_ = sitk.ResampleImageFilter()
    filter_.SetSize(list(grid.shape))
    filter_.SetOutputSpacing(grid.spacing_mm.tolist())
    filter_.SetOutputOrigin(grid.origin_lps_mm.tolist())
    filter_.SetOutputDirection(grid.direction.ravel().tolist())
    filter_.SetInterpolator(sitk.sitkNearestNeighbor)
    filter_.SetOutputPixelType(sitk.sitkUInt8)
    label = values_of(filter_.Execute(image))
    label.setflags(write=False)
    return label


def most_of(label: NDArray[np.uint8], count: int, part: Grid, grid: Grid) -> NDArray[np.uint8]:
    """Labels 1 to `count` on another grid: the one that fills more than half of a voxel, linear between voxels."""
    most = np.full(grid.shape, 0.5, dtype=np.float32, order="F")
    found = np.zeros(grid.shape, dtype=np.uint8, order="F")
    for n in range(1, count + 1):
        share = resampled(image_of(part, (label == n).astype(np.float32)), grid, 0.0)
        more = share > most
        found[more], most[more] = n, share[more]
    return found
