"""Masks of the bones by name, and the index space scaled to millimetres in which the anatomy is sought.

Nothing here looks at the grid's origin or direction: the two hip masks, called plus and minus by where they
lie in the index array, give left and right at the very end. So a case whose grid is shifted, turned or mirrored
(same voxels, other origin or direction) takes the same decisions voxel by voxel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

from sjplan.core.arrays import Array, unit
from sjplan.core.errors import InputError
from sjplan.core.findings import Finding
from sjplan.core.grid import Grid
from sjplan.core.labels import LabelMap
from sjplan.core.plan import Side

SACRUM_NAMES = ("sacrum", "vertebrae_S1")
"""A segmentation may cut the first sacral vertebra out of the sacrum; the two together are the bone."""

LOOSE_PIECE_SHARE = 0.02
"""Pieces below this share of a bone's voxels are no part of it (labelling noise, loose coccyx). Default."""

SIDES_APART_MM = 20.0
"""Hip centroids of a pelvis lie some 200 mm apart; less than this along LPS x is no left and right. Default."""

Mask = NDArray[np.bool_]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class BodyFrame:
    """Patient axes in grid millimetres (voxel index times spacing).

    Parameters
    ----------
    origin_mm : (3,) float
        Origin.
    axes : (3, 3) float
        Rows: towards the plus side, posterior, cranial. May be left-handed, as a grid may be.
    """

    origin_mm: Array
    axes: Array

    def to(self, points_mm: ArrayLike) -> Array:
        """Coordinates (side, posterior, cranial) of points in grid mm, (..., 3)."""
        return np.asarray((np.asarray(points_mm, dtype=np.float64) - self.origin_mm) @ self.axes.T)

    def back(self, points: ArrayLike) -> Array:
        """Grid mm of (side, posterior, cranial) coordinates, (..., 3)."""
        return np.asarray(np.asarray(points, dtype=np.float64) @ self.axes + self.origin_mm)

    def vectors(self, vectors_mm: ArrayLike) -> Array:
        """Components (side, posterior, cranial) of vectors in grid mm, (..., 3)."""
        return np.asarray(np.asarray(vectors_mm, dtype=np.float64) @ self.axes.T)


@dataclass(frozen=True, slots=True, eq=False)
class Bones:
    """The bones of one label map.

    Parameters
    ----------
    grid : Grid
        The part of the label map's grid that holds the bones; its end is the scan's end where a bone touches it.
    sacrum : (ni, nj, nk) bool
        Sacrum joined with S1, loose pieces removed.
    plus, minus : (ni, nj, nk) bool or None
        Hip bones at the plus and at the minus end of the side axis; None for a sacrum alone.
    plus_side : {"left", "right"}
        What the plus side is in the patient.
    findings : tuple of Finding
        Pieces that were left out.
    """

    grid: Grid
    sacrum: Mask
    plus: Mask | None
    minus: Mask | None
    plus_side: Side
    findings: tuple[Finding, ...] = ()

    @property
    def spacing_mm(self) -> Array:
        """Voxel edge lengths."""
        return self.grid.spacing_mm

    def side_of(self, sign: int) -> Side:
        """The patient's side at the plus (+1) or minus (-1) end."""
        if sign > 0:
            return self.plus_side
        return "right" if self.plus_side == "left" else "left"

    def hip(self, sign: int) -> Mask | None:
        """Hip mask at the plus (+1) or minus (-1) end."""
        return self.plus if sign > 0 else self.minus

    def lps(self, points_mm: ArrayLike) -> Array:
        """LPS points of grid mm."""
        return self.grid.lps_from_ijk(np.asarray(points_mm, dtype=np.float64) / self.grid.spacing_mm)

    def lps_vector(self, vectors_mm: ArrayLike) -> Array:
        """LPS directions of directions in grid mm."""
        return np.asarray(np.asarray(vectors_mm, dtype=np.float64) @ self.grid.direction.T)

    def grid_vector(self, vector_lps: ArrayLike) -> Array:
        """Direction in grid mm of an LPS direction."""
        return np.asarray(np.asarray(vector_lps, dtype=np.float64) @ self.grid.direction)


def bounding_box(mask: Mask, margin_mm: float, spacing_mm: Array) -> tuple[slice, slice, slice]:
    """Slices round the mask's True voxels, widened by a margin, inside the array.

    Examples
    --------
    >>> mask = np.zeros((9, 9, 9), bool)
    >>> mask[4, 4, 4] = True
    >>> bounding_box(mask, 2.0, np.array([1.0, 2.0, 4.0]))
    (slice(2, 7, None), slice(3, 6, None), slice(3, 6, None))
    """
    spans = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        margin = int(np.ceil(margin_mm / spacing_mm[axis]))
        spans.append(slice(max(int(hit[0]) - margin, 0), min(int(hit[-1]) + 1 + margin, mask.shape[axis])))
    return spans[0], spans[1], spans[2]


def box_start(box: tuple[slice, slice, slice]) -> Index:
    """First index of a box of slices."""
    return np.array([s.start for s in box], dtype=np.intp)


def largest_pieces(mask: Mask) -> tuple[Mask, int]:
    """The mask without small loose pieces (26-neighbours), and how many voxels were dropped."""
    box = bounding_box(mask, 0.0, np.ones(3))
    pieces, count = ndi.label(mask[box], np.ones((3, 3, 3)))
    if count <= 1:
        return mask, 0
    size = np.bincount(pieces.ravel(), minlength=count + 1)
    size[0] = 0
    kept = size >= LOOSE_PIECE_SHARE * size.sum()
    clean = np.zeros_like(mask)
    clean[box] = kept[pieces]
    return clean, int(size[~kept].sum())


def fill_enclosed(mask: Mask) -> Mask:
    """The mask with hollows filled that no path through faces joins to the outside."""
    box = bounding_box(mask, 0.0, np.ones(3))
    free = np.pad(~mask[box], 1, constant_values=True)
    parts, count = ndi.label(free)
    if count == 1:
        return mask
    filled = mask.copy()
    filled[box] = (parts != parts[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return filled


def bones_of(labels: LabelMap) -> Bones:
    """Masks of sacrum and hips, on the part of the grid that holds them with a voxel to spare.

    Raises
    ------
    InputError
        If a bone has no voxel, or hip_left is not on the patient's left of hip_right.
    """
    code, start = _coded_crop(labels)
    grid = labels.grid.cropped(start, start + code.shape)
    findings: list[Finding] = []
    masks: dict[str, Mask] = {}
    for key, number in (("sacrum", 1), ("left", 2), ("right", 3)):
        mask, dropped = largest_pieces(code == number)
        masks[key] = fill_enclosed(mask) if key != "sacrum" else mask
        if dropped:
            what = key if key == "sacrum" else f"hip_{key}"
            text = f"{what}: {dropped} voxels in small loose pieces were left out"
            findings.append(Finding("loose-pieces", "note", text, "" if key == "sacrum" else key))
    across = centroid_mm(masks["left"], grid.spacing_mm) - centroid_mm(masks["right"], grid.spacing_mm)
    _require_sides(float(grid.direction[0] @ across))
    left_is_plus = bool(across[np.argmax(np.abs(across))] > 0)
    plus, minus = ("left", "right") if left_is_plus else ("right", "left")
    side: Side = "left" if left_is_plus else "right"
    return Bones(grid, masks["sacrum"], masks[plus], masks[minus], side, tuple(findings))


def _coded_crop(labels: LabelMap) -> tuple[NDArray[np.uint8], Index]:
    """Labels as 1 sacrum, 2 left hip, 3 right hip, cropped to them, and the crop's first index."""
    table = np.zeros(256, np.uint8)
    for number, name in labels.names.items():
        if name in SACRUM_NAMES:
            table[number] = 1
        elif name in ("hip_left", "hip_right"):
            table[number] = 2 if name == "hip_left" else 3
    code = table[labels.label]
    count = np.bincount(code.ravel(order="K"), minlength=4)
    missing = [name for n, name in enumerate(("sacrum", "hip_left", "hip_right"), 1) if not count[n]]
    if missing:
        present = ", ".join(labels.present()) or "no voxel of any named structure"
        raise InputError(
            "label map",
            found=f"no voxel of {', '.join(missing)} (present: {present})",
            wanted="sacrum, hip_left, hip_right",
            fix="segment the whole pelvis, or give a names file if the ids mean something else",
        )
    box = bounding_box(code > 0, 1.0, np.ones(3))
    return np.ascontiguousarray(code[box]), box_start(box)


def _require_sides(left_of_right_mm: float) -> None:
    if left_of_right_mm < SIDES_APART_MM:
        raise InputError(
            "hip_left and hip_right",
            found=f"hip_left {abs(left_of_right_mm):.0f} mm to the patient's "
            f"{'right' if left_of_right_mm < 0 else 'left'} of hip_right",
            wanted="hip_left on the patient's left (LPS +x), hip_right on the right",
            fix="swap the two labels, or repair the direction in the image header",
        )


def sacrum_alone(mask: Mask, grid: Grid) -> Bones:
    """Bones of a sacrum mask without hips: left and right are taken from LPS."""
    clean, _ = largest_pieces(np.ascontiguousarray(mask))
    left = np.array([1.0, 0.0, 0.0]) @ grid.direction
    return Bones(grid, clean, None, None, "left" if left[np.argmax(np.abs(left))] > 0 else "right")


def centroid_mm(mask: Mask, spacing_mm: Array) -> Array:
    """Centre of mass of a mask, in grid mm."""
    total = float(mask.sum())
    centre = [
        float(mask.sum(axis=tuple(a for a in range(3) if a != axis)) @ np.arange(mask.shape[axis])) / total
        for axis in range(3)
    ]
    return np.asarray(centre) * spacing_mm


def boundary_voxels(mask: Mask) -> Index:
    """Indices of True voxels with a False face neighbour; the array's end is no neighbour, (n, 3)."""
    inner = mask.copy()
    for axis in range(3):
        low = [slice(None)] * 3
        high = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        inner[tuple(high)] &= mask[tuple(low)]
        inner[tuple(low)] &= mask[tuple(high)]
    return np.argwhere(mask & ~inner)


def surface_points_mm(mask: Mask, spacing_mm: Array, step_mm: float = 2.0) -> Array:
    """Boundary points of a mask thinned to about `step_mm`, grid mm, (n, 3)."""
    step = np.maximum(np.round(step_mm / spacing_mm).astype(int), 1)
    coarse = np.ascontiguousarray(mask[:: step[0], :: step[1], :: step[2]])
    return np.asarray(boundary_voxels(coarse) * (step * spacing_mm))


def nearest(points: Array, queries: Array, within_mm: float = np.inf) -> tuple[Array, Index]:
    """Distance to, and index of, the nearest of `points` for each query; infinite where none is within reach.

    Examples
    --------
    >>> distance, index = nearest(np.array([[0.0, 0, 0], [5, 0, 0]]), np.array([[4.0, 0, 0]]))
    >>> distance.tolist(), index.tolist()
    ([1.0], [1])
    """
    distance, index = cKDTree(points).query(queries, distance_upper_bound=within_mm)
    return np.asarray(distance), np.asarray(index)


def perpendicular_to(vector: ArrayLike, axis: Array) -> Array:
    """Unit vector: `vector` without its part along the unit vector `axis`."""
    v = np.asarray(vector, dtype=np.float64)
    return unit(v - (v @ axis) * axis)
