"""The lines that a reader of pelvic radiographs looks for, as curves on the bones of this patient.

All are found on surfaces, along the pelvis's own left-right axis, so that they need no CT: a cortex is seen where the
beam runs along it, and the beam of a lateral view runs along that axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from sjplan.anatomy.canal_front import canal_front
from sjplan.anatomy.types import Anatomy, Mouth
from sjplan.core.arrays import Array
from sjplan.core.frames import SIDE_SIGN, AnatomicalFrame
from sjplan.core.plan import Side

_ACROSS: Final = 0.8
_CELL_MM: Final = 1.0
_DENSITY_BEHIND_MM: Final = (0.0, 36.0)
"""The iliac cortical density is followed from the notch's apex to so far behind it."""

_DENSITY_ABOVE_MM: Final = (12.0, 60.0)
"""It lies so far above the apex; above the middle of the arch 27 to 47 mm on the sixteen real pelves."""

_DENSITY_BLUR_MM: Final = (4.0, 1.0)
_CORTEX_HALF_MM: Final = 1.0
_OFF_LINE_MM: Final = 1.0
_OFF_STEP_MM, _FOLLOWED = 2.0, 0.6
"""A step that can be followed has this share of its places within 2 mm of one curve: well above it on real hips, well
below on the default phantom's, which have none (`tests/views/test_landmarks.py`)."""

_DENSITY_REACH_MM: Final = 5.0
_ARCH_HALF_MM: Final = 10.0
_ALA_LATERAL_MM: Final = (28.0, 40.0)
"""Where the ala is nothing but ala: beside the S1 body and its articular process, medial to the joint."""

_ALA_BELOW_MM: Final = 25.0
"""And it ends so far below the middle of the S1 endplate, above the first foramen."""

_WALL_WINDOW_MM: Final = 2.0
_RIM_DEPTH_MM: Final = 4.0


def landmark_lines(anatomy: Anatomy) -> dict[str, Array]:
    """Lines to look for in the radiographs of this patient, (n, 3) LPS mm each, n at least 2.

    `iliac_density_SIDE`, `notch_SIDE`, `alar_line_SIDE`, `s1_endplate`, `posterior_body_line` and `arcuate_LEVEL_SIDE`,
    which is the upper rim of a foramen's ventral mouth. What cannot be found is left out.
    """
    lines: dict[str, Array] = {}
    for side in get_args(Side):
        if side in anatomy.ilium:
            lines[f"iliac_density_{side}"] = iliac_density(anatomy, side)
            lines[f"notch_{side}"] = notch_arch(anatomy, side)
        lines[f"alar_line_{side}"] = alar_line(anatomy, side)
    lines["s1_endplate"] = _endplate(anatomy)
    lines["posterior_body_line"] = posterior_body_line(anatomy)
    for foramen in anatomy.foramina:
        lines[f"arcuate_{foramen.level}_{foramen.side}"] = _upper_rim(anatomy, foramen.lumen_lps_mm, foramen.ventral)
    return {name: line for name, line in lines.items() if len(line) >= 2}


def lines_seen(lines: Mapping[str, Array], frame: AnatomicalFrame, ray: Array) -> dict[str, Array]:
    """The lines that a ray brings out: from the side those of the lateral view, else the rims of the foramina."""
    across = abs(float(ray @ frame.left)) >= _ACROSS
    return {name: line for name, line in lines.items() if name.startswith("arcuate_") != across}


def iliac_density(anatomy: Anatomy, side: Side) -> Array:
    """The iliac cortical density: where the inner face of the ilium runs along the left-right axis, front to back.

    Above the joint the thin wing meets the thick back part of the ilium in a step, from the arcuate line upwards; the
    beam of a lateral view runs along its cortex. It is looked for where the inner face is steepest, and lies where most
    surface falls on the same place of the picture.

    Returns
    -------
    (n, 3) float
        In LPS mm, the middle of the cortex, every 2 mm from the notch's apex backwards; none where the inner face has
        no step that can be followed.
    """
    sign = SIDE_SIGN[side]
    corners = anatomy.frame.frame_from_lps(anatomy.ilium[side].corners_lps_mm()) * (sign, 1.0, 1.0)
    apex = anatomy.frame.frame_from_lps(anatomy.landmarks[f"notch_{side}"])
    (first, last), (lowest, highest) = _DENSITY_BEHIND_MM, _DENSITY_ABOVE_MM
    low = np.array([apex[1] + first - 8.0, apex[2] + lowest - 6.0])
    shape = np.ceil(np.array([last - first + 16.0, highest - lowest + 12.0]) / _CELL_MM).astype(int)
    face = ndi.gaussian_filter(_inner_face(corners, low, shape), _DENSITY_BLUR_MM)
    steep = np.maximum(np.gradient(face, _CELL_MM, axis=1), 0.0)
    surface = ndi.gaussian_filter(_surface_seen(corners, low, shape), _DENSITY_BLUR_MM)
    heights = low[1] + _CELL_MM * np.arange(shape[1])
    steep[:, (heights < apex[2] + lowest) | (heights > apex[2] + highest)] = 0.0
    backs = np.arange(apex[1] + first, apex[1] + last + 0.1, 2.0)
    rows = np.rint((backs - low[0]) / _CELL_MM).astype(int)
    crests = []
    for row in rows:
        near = np.abs(heights - heights[int(np.argmax(steep[row]))]) <= _DENSITY_REACH_MM
        crests.append(_crest(heights[near], surface[row, near]))
    smooth = _smooth(backs, np.array(crests))
    if np.mean(np.abs(crests - smooth) <= _OFF_STEP_MM) < _FOLLOWED:
        return np.empty((0, 3))
    lateral = [np.interp(height, heights, face[row]) for row, height in zip(rows, smooth, strict=True)]
    line = np.column_stack([sign * np.array(lateral), backs, smooth - _CORTEX_HALF_MM])
    return np.asarray(anatomy.frame.lps_from_frame(line))


def _smooth(along: Array, values: Array) -> Array:
    """The parabola through most of the values; those off it hardly count."""
    x, weight = along - along.mean(), np.ones(len(along))
    for _ in range(10):
        fit = np.polyval(np.polyfit(x, values, 2, w=weight), x)
        weight = 1.0 / (1.0 + ((values - fit) / _OFF_LINE_MM) ** 2)
    return np.asarray(fit)


def _crest(heights: Array, values: Array) -> float:
    """Where a sampled curve is highest: the top of the parabola through its largest value and that one's neighbours."""
    n = int(np.clip(np.argmax(values), 1, len(values) - 2))
    before, top, after = values[n - 1 : n + 2]
    bend = before - 2.0 * top + after
    shift = 0.5 * (before - after) / bend if bend < 0.0 else 0.0
    return float(heights[n] + np.clip(shift, -1.0, 1.0) * (heights[1] - heights[0]))


def notch_arch(anatomy: Anatomy, side: Side) -> Array:
    """The roof of the greater sciatic notch as a lateral view shows it, front to back, (n, 3) LPS mm.

    For every millimetre up to 10 before and behind the apex, the lowest bone above the notch.
    """
    points = _surface_points(anatomy.frame.frame_from_lps(anatomy.ilium[side].corners_lps_mm()))
    apex = anatomy.frame.frame_from_lps(anatomy.landmarks[f"notch_{side}"])
    near = points[(np.abs(points[:, 1] - apex[1]) <= _ARCH_HALF_MM + 1.0) & (np.abs(points[:, 2] - apex[2]) <= 12.0)]
    found = []
    for back in np.arange(apex[1] - _ARCH_HALF_MM, apex[1] + _ARCH_HALF_MM + 0.1, 1.0):
        column = near[np.abs(near[:, 1] - back) <= 0.75]
        if len(column):
            lowest = column[int(np.argmin(column[:, 2]))]
            found.append((lowest[0], back, lowest[2]))
    return np.asarray(anatomy.frame.lps_from_frame(np.array(found).reshape(-1, 3)))


def alar_line(anatomy: Anatomy, side: Side) -> Array:
    """The slope of the ala: its upper outline beside the S1 body, front to back, (n, 3) LPS mm."""
    vertices = anatomy.frame.frame_from_lps(anatomy.sacrum.vertices_lps_mm)
    lateral = vertices[:, 0] * SIDE_SIGN[side]
    beside = (lateral >= _ALA_LATERAL_MM[0]) & (lateral <= _ALA_LATERAL_MM[1])
    ala = vertices[beside & (vertices[:, 2] >= -_ALA_BELOW_MM)]
    if not len(ala):
        return np.empty((0, 3))
    wall = anatomy.frame.frame_from_lps(posterior_body_line(anatomy))
    last = float(wall[0, 1]) if len(wall) else float(np.median(ala[:, 1]))
    found = []
    for back in np.arange(ala[:, 1].min() + 1.0, last, 2.0):
        column = ala[np.abs(ala[:, 1] - back) <= 1.5]
        if len(column):
            found.append(column[int(np.argmax(column[:, 2]))])
    return np.asarray(anatomy.frame.lps_from_frame(np.array(found).reshape(-1, 3)))


def posterior_body_line(anatomy: Anatomy) -> Array:
    """The backs of the bodies in the midline, which are the front wall of the canal, downwards, (n, 3) LPS mm."""
    front = canal_front(anatomy, _WALL_WINDOW_MM)
    front = front - (_half_voxel_mm(anatomy), 0.0)
    return np.asarray(anatomy.frame.lps_from_frame(np.column_stack([np.zeros(len(front)), front])))


def _endplate(anatomy: Anatomy) -> Array:
    """The S1 endplate in the mid-sagittal plane, from its front to its back edge."""
    centre, normal = anatomy.landmarks["s1_endplate_centre"], anatomy.s1_endplate_normal
    front = anatomy.landmarks["promontory"] - centre
    front = front - (front @ normal) * normal
    front = front - (front @ anatomy.frame.left) * anatomy.frame.left
    return np.stack([centre + front, centre - front])


def _upper_rim(anatomy: Anatomy, lumen_lps_mm: Array, mouth: Mouth | None) -> Array:
    """The upper half of a ventral mouth's rim; no points where the mouth is not known."""
    if mouth is None:
        return np.empty((0, 3))
    up = anatomy.frame.cranial - (anatomy.frame.cranial @ mouth.normal) * mouth.normal
    axes = np.stack([np.cross(up, mouth.normal), up, mouth.normal])
    axes = axes / np.linalg.norm(axes, axis=1)[:, None]
    near = (lumen_lps_mm - mouth.centre_lps_mm) @ axes.T
    near = near[np.abs(near[:, 2]) <= _RIM_DEPTH_MM]
    angle, radius = np.arctan2(near[:, 0], near[:, 1]), np.hypot(near[:, 0], near[:, 1])
    rim = []
    for middle in np.deg2rad(np.arange(-80.0, 81.0, 20.0)):
        inside = np.abs(angle - middle) <= np.deg2rad(12.0)
        if inside.any():
            reach = float(radius[inside].max()) + _half_voxel_mm(anatomy)
            rim.append(mouth.centre_lps_mm + reach * (np.sin(middle) * axes[0] + np.cos(middle) * axes[1]))
    return np.array(rim).reshape(-1, 3)


def _half_voxel_mm(anatomy: Anatomy) -> float:
    """How far a wall may lie beyond the centres of the voxels that it bounds."""
    return 0.5 * float(anatomy.spacing_mm.max())


def _surface_points(corners: Array) -> Array:
    """Points all over a surface: corners, centres and middles of the edges of its triangles (n, 3, 3)."""
    edges = [0.5 * (corners[:, n] + corners[:, n - 1]) for n in range(3)]
    return np.concatenate([*(corners[:, n] for n in range(3)), corners.mean(axis=1), *edges])


def _surface_seen(corners: Array, low: Array, shape: NDArray[np.int_]) -> Array:
    """How much surface falls on each cell of (posterior, cranial), mm2."""
    area = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    cell, inside = _cells(corners.mean(axis=1), low, shape)
    seen = np.zeros(tuple(shape))
    np.add.at(seen, tuple(cell[inside].T), area[inside])
    return seen


def _inner_face(corners: Array, low: Array, shape: NDArray[np.int_]) -> Array:
    """How far from the midline the innermost bone lies, per cell of (posterior, cranial) from `low` on."""
    points = _surface_points(corners)
    cell, inside = _cells(points, low, shape)
    face = np.full(tuple(shape), np.inf)
    np.minimum.at(face, tuple(cell[inside].T), points[inside, 0])
    bare = ~np.isfinite(face)
    if bare.all():
        return np.zeros(tuple(shape))
    nearest = ndi.distance_transform_edt(bare, return_distances=False, return_indices=True)
    return np.asarray(face[tuple(nearest)])


def _cells(points: Array, low: Array, shape: NDArray[np.int_]) -> tuple[NDArray[np.int_], NDArray[np.bool_]]:
    """Cell (posterior, cranial) of each point, and whether it lies in the picture."""
    cell = np.rint((points[:, 1:] - low) / _CELL_MM).astype(int)
    return cell, np.asarray(((cell >= 0) & (cell < shape)).all(axis=1))
