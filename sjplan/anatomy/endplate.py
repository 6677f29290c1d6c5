"""The S1 endplate: the cranial face of the first sacral body, in front of the canal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage as ndi

from sjplan.anatomy.bones import BodyFrame, Index, Mask, boundary_voxels
from sjplan.anatomy.canal import CanalAxis
from sjplan.anatomy.normals import ball_normals
from sjplan.anatomy.tunnels import CUBE
from sjplan.core.arrays import Array, unit
from sjplan.core.errors import AnatomyError

HALF_WIDTH_MM = 18.0
MIN_SHEET_MM2 = 40.0
RIM_MM = 10.0
NEAREST_MM, FARTHEST_MM = 4.0, 48.0
"""The endplate lies this far in front of the canal's axis (depth of the S1 body: 30 to 40 mm)."""


@dataclass(frozen=True, slots=True, eq=False)
class Endplate:
    """Plane of the S1 endplate, in the sacrum's frame (mm).

    `promontory` is the middle of its anterior edge; `normal` points cranially.
    """

    centre: Array
    normal: Array
    promontory: Array
    depth_mm: float
    rms_mm: float


def find_endplate(sacrum: Mask, start: Index, spacing_mm: Array, frame: BodyFrame, axis: CanalAxis) -> Endplate:
    """Fit a plane to the cranial-facing sheet in front of the canal.

    Parameters
    ----------
    sacrum : (a, b, c) bool
        Crop of the sacrum.
    start : (3,) int
        Index of its first voxel.
    frame, axis
        The sacrum's frame and the canal's axis in it.

    Raises
    ------
    AnatomyError
        If no such sheet is found.
    """
    voxels = boundary_voxels(sacrum)
    points = frame.to((voxels + start) * spacing_mm)
    lower = axis.points[min(axis.first + 25, len(axis.points) - 1), 1]
    near = (np.abs(points[:, 0]) < 20) & (points[:, 2] > lower)
    voxels, points = voxels[near], points[near]
    facing = frame.vectors(ball_normals(sacrum, voxels, spacing_mm, 4.0))
    everything = points
    sheet, normal = _sheet(voxels, points, facing, axis, float(np.prod(spacing_mm)) ** (2 / 3))
    return _measured(sheet, normal, everything)


def _sheet(voxels: Index, points: Array, facing: Array, axis: CanalAxis, voxel_mm2: float) -> tuple[Array, Array]:
    """Points of the largest sheet that faces cranially, the higher the better, and the plane's normal."""
    cranial = axis.cranial
    posterior = np.cross(cranial, [1.0, 0.0, 0.0])
    low = voxels.min(axis=0)
    box = tuple(voxels.max(axis=0) - low + 1)
    inlet = np.r_[0.0, axis.points[axis.first]]
    normal, sheet = cranial, np.zeros((0, 3))
    for sweep in range(4):
        behind = (points - inlet) @ posterior
        fits = (facing @ normal > (0.72 if sweep == 0 else 0.82)) & (np.abs(points[:, 0]) < HALF_WIDTH_MM)
        fits &= (behind < -NEAREST_MM) & (behind > -FARTHEST_MM)
        if fits.sum() * voxel_mm2 < MIN_SHEET_MM2:
            break
        marked = np.zeros(box, dtype=bool)
        marked[tuple((voxels[fits] - low).T)] = True
        parts, count = ndi.label(marked, CUBE)
        part = parts[tuple((voxels - low).T)]
        size = np.bincount(part, minlength=count + 1)
        height = np.bincount(part, points @ cranial, count + 1) / np.maximum(size, 1)
        score = np.where(size * voxel_mm2 > MIN_SHEET_MM2, size * voxel_mm2 + 8 * height, -np.inf)
        score[0] = -np.inf
        if not np.isfinite(score).any():
            break
        sheet = points[part == int(np.argmax(score))]
        turned = _plane_normal(sheet, cranial)
        normal = turned if turned @ cranial > 0.7 else normal
    if not len(sheet):
        raise AnatomyError(
            "S1 endplate",
            found="no cranial-facing sheet in front of the sacral canal",
            wanted="the upper face of the S1 body",
            fix="check that the sacrum's label holds S1, and that the scan does not end in it",
        )
    return sheet, normal


def _plane_normal(points: Array, cranial: Array) -> Array:
    """Normal of the plane through the points, outliers weighed down."""
    weight = np.ones(len(points))
    normal = cranial
    for _ in range(10):
        offset = points - np.average(points, axis=0, weights=weight)
        _, vectors = np.linalg.eigh((offset * weight[:, None]).T @ offset)
        normal = vectors[:, 0] * np.sign(vectors[:, 0] @ cranial)
        weight = 1 / (1 + (offset @ normal / 1.5) ** 2)
    return np.asarray(normal)


def _measured(sheet: Array, normal: Array, bone: Array) -> Endplate:
    """Centre, promontory and depth of the sheet."""
    forward = unit(np.cross([1.0, 0.0, 0.0], normal))
    forward = forward * -np.sign(forward[1])
    mean = sheet.mean(axis=0)
    ahead = (sheet - mean) @ forward
    low, high = np.quantile(ahead, [0.03, 0.97])
    centre = mean + forward * (low + high) / 2
    middle = sheet[np.abs(sheet[:, 0]) < 7]
    middle = middle if len(middle) else sheet
    reach = (middle - centre) @ forward
    edge = middle[reach >= np.quantile(reach, 0.9)].mean(axis=0)
    # the sheet ends where bone starts to round off; the promontory is the rounded edge's foremost and highest part
    rim = bone[(np.linalg.norm(bone - edge, axis=1) < RIM_MM) & (np.abs(bone[:, 0]) < 7)]
    height = rim @ unit(forward + normal)
    promontory = rim[height > height.max() - 0.75].mean(axis=0)
    rms = float(np.sqrt(np.mean(((sheet - centre) @ normal) ** 2)))
    return Endplate(centre, normal, promontory, float(high - low), rms)
