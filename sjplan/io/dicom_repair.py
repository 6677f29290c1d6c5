"""Slices that are sheared or unequally far apart, resampled onto the grid that `dicom_stack` laid for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sjplan.core.tolerances import AIR_HU
from sjplan.io.dicom_stack import Stack


def resampled(stack: Stack, hu: NDArray[np.int16]) -> NDArray[np.int16]:
    """Resample slices onto the stack's grid.

    Each slice is moved within its own plane by its shift; where distances are unequal, two neighbours are then mixed by
    theirs. A shift of whole pixels and a height that a slice lies at exactly are copied without change.

    Parameters
    ----------
    stack : Stack
        Where the slices lie, and the grid wanted.
    hu : (n, rows, columns) int16
        The slices, padding already turned into air.

    Returns
    -------
    (k, j, i) int16
        Air where no slice reaches.
    """
    columns, rows, count = stack.grid.shape
    pixel = stack.grid.spacing_mm[:2]
    first = np.rint(
        (stack.grid.origin_lps_mm - np.array(stack.slices[0].position)) @ stack.grid.direction[:, :2] / pixel
    )
    offsets = first - stack.shifts_mm / pixel
    out = np.zeros((count, rows, columns), dtype=np.int16)
    if not stack.uneven:
        for plane, offset, into in zip(hu, offsets, out, strict=True):
            into[...] = np.rint(moved(plane, offset, (rows, columns)))
        return out
    kept: dict[int, NDArray[Any]] = {}
    for k in range(count):
        height = k * stack.grid.spacing_mm[2]
        above = int(np.searchsorted(stack.heights_mm, height - 1e-6))
        above = min(max(above, 1), len(hu) - 1)
        low, high = stack.heights_mm[above - 1], stack.heights_mm[above]
        weight = float(np.clip((height - low) / (high - low), 0.0, 1.0))
        weight = round(weight) if abs(weight - round(weight)) < 1e-6 else weight
        for n in [n for n in kept if n < above - 1]:
            del kept[n]
        for n in (above - 1, above):
            if n not in kept:
                kept[n] = moved(hu[n], offsets[n], (rows, columns))
        out[k] = np.rint((1.0 - weight) * kept[above - 1] + weight * kept[above])
    return out


def moved(plane: NDArray[Any], offset: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """A plane read at its pixel (row + offset[1], column + offset[0]), linearly between pixels, air outside.

    Examples
    --------
    >>> moved(np.array([[0, 100, 200]]), np.array([-0.5, 0.0]), (1, 4)).tolist()
    [[-500.0, 50.0, 150.0, -400.0]]
    """
    along_row = _moved_rows(plane.astype(np.float64).T, float(offset[0]), shape[1]).T
    return _moved_rows(along_row, float(offset[1]), shape[0])


def _moved_rows(plane: NDArray[Any], offset: float, count: int) -> NDArray[Any]:
    whole = int(np.floor(offset + 1e-6))
    part = max(offset - whole, 0.0)
    part = 0.0 if part < 1e-6 else part
    near = _rows(plane, whole, count)
    return near if part == 0.0 else (1.0 - part) * near + part * _rows(plane, whole + 1, count)


def _rows(plane: NDArray[Any], start: int, count: int) -> NDArray[Any]:
    """Rows `start` to `start + count`, air where there are none."""
    out = np.full((count, *plane.shape[1:]), AIR_HU)
    first, last = max(start, 0), min(start + count, len(plane))
    if first < last:
        out[first - start : last - start] = plane[first:last]
    return out
