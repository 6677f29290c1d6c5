"""What bounds a corridor, and its exact measures: walls as triangle trees in the pelvic frame.

Coordinates are those of the pelvic frame (left, posterior, cranial, mm), so that the scanner's axes play no part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.anatomy.types import Anatomy, Foramen
from sjplan.core.arrays import Array
from sjplan.core.plan import Side
from sjplan.core.structures import DANGERS, SURFACE_NAMES
from sjplan.geometry.triangle_tree import TriangleTree, first_hit, nearest_point, triangle_tree
from sjplan.geometry.tubes import (
    PIXEL_MM,
    equivalent_diameter_mm,
    line_frame,
    tube_radius,
    tube_reach,
    tube_section,
)

ENTRY_DEPTH_MM = 15.0
"""So deep below a corridor's lateral end the gluteal cortex is passed, not run along: there it is no wall. Where it
lies deeper it is one. A cylinder of 10 mm radius through a cortex at 55 degrees reaches 14 mm deep. Default."""

REFERENCE_MM = 60.0
"""Axes are moved by their points in the mid-sagittal plane and here, about where the ilium begins."""


class Walls(NamedTuple):
    """Triangles that bound corridors; `lateral` are gluteal surfaces, their corners in the trees' own numbering."""

    danger: TriangleTree
    sacrum: TriangleTree
    left: TriangleTree
    left_corners: NDArray[np.float64]
    right: TriangleTree
    right_corners: NDArray[np.float64]
    canal: NDArray[np.float64]


class Gates(NamedTuple):
    """What an axis has to pass on which side: lines along foramina (n, 6), and +1 cranial of it or -1 caudal (n,)."""

    lines: NDArray[np.float64]
    wanted: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class WallSet:
    """Walls of one pelvis, and the name of every danger triangle."""

    anatomy: Anatomy
    packed: Walls
    label: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """Exact measures of a stretch about an axis, mm; `wall` names the structure that stops the inscribed cylinder."""

    inscribed_diameter_mm: float
    area_equivalent_diameter_mm: float
    craniocaudal_diameter_mm: float
    wall: str


def corridor_walls(anatomy: Anatomy) -> WallSet:
    """Trees over all danger surfaces of the three bones, over the sacrum and over both gluteal surfaces."""
    frame = anatomy.frame
    bones = (anatomy.sacrum, *anatomy.ilium.values())
    corners = np.concatenate([bone.corners_lps_mm() for bone in bones])
    label = np.concatenate([bone.label for bone in bones])
    danger = label < len(DANGERS)
    gluteal = {side: frame.frame_from_lps(ilium.corners_lps_mm("lateral")) for side, ilium in anatomy.ilium.items()}
    packed = Walls(
        danger=triangle_tree(frame.frame_from_lps(corners[danger])),
        sacrum=triangle_tree(frame.frame_from_lps(anatomy.sacrum.corners_lps_mm())),
        left=triangle_tree(gluteal["left"]),
        left_corners=np.ascontiguousarray(gluteal["left"]),
        right=triangle_tree(gluteal["right"]),
        right_corners=np.ascontiguousarray(gluteal["right"]),
        canal=np.ascontiguousarray(frame.frame_from_lps(anatomy.canal.axis_lps_mm)),
    )
    return WallSet(anatomy, packed, label[danger])


def gates(anatomy: Anatomy, level: str, sides: tuple[Side, ...]) -> Gates:
    """Where a corridor of a level passes: S1 cranial of the S1 foramina, S2 between S1 and S2 foramina.

    Raises
    ------
    KeyError
        Naming a foramen that was not found open.
    """
    lines, wanted = [], []
    for side in sides:
        for name, way in {"S1": [("S1", 1.0)], "S2": [("S1", -1.0), ("S2", 1.0)]}[level]:
            foramen = anatomy.foramen(name, side)
            if foramen is None:
                raise KeyError(f"the {name} foramen on the {side} was not found open")
            lines.append(_along(anatomy, foramen))
            wanted.append(way)
    return Gates(np.ascontiguousarray(lines), np.array(wanted))


def _along(anatomy: Anatomy, foramen: Foramen) -> Array:
    """Middle of a foramen's centreline, and its direction from the canal to the ventral mouth."""
    line = anatomy.frame.frame_from_lps(foramen.centreline_lps_mm)
    way = line[-1] - line[0]
    return np.concatenate([line.mean(axis=0), way / np.linalg.norm(way)])


@nb.njit(cache=True)
def height_over(line: NDArray[np.float64], point: NDArray[np.float64], axis: NDArray[np.float64]) -> float:
    """How far cranial an axis passes of a foramen, both taken as straight lines, mm (negative: caudal).

    The distance of two lines along their common perpendicular, turned cranially: what is above what when one looks
    along the foramen.
    """
    nx = axis[1] * line[5] - axis[2] * line[4]
    ny = axis[2] * line[3] - axis[0] * line[5]
    nz = axis[0] * line[4] - axis[1] * line[3]
    size = np.sqrt(nx * nx + ny * ny + nz * nz)
    if size < 1e-9:
        return 0.0
    along = (point[0] - line[0]) * nx + (point[1] - line[1]) * ny + (point[2] - line[2]) * nz
    return float(along / size) if nz > 0 else float(-along / size)


@nb.njit(cache=True)
def passes(gate: Gates, point: NDArray[np.float64], axis: NDArray[np.float64]) -> bool:
    """Whether an axis passes every foramen on the side that is asked for."""
    worst = np.inf
    for n in range(len(gate.lines)):
        worst = min(worst, gate.wanted[n] * height_over(gate.lines[n], point, axis))
    return bool(worst > 0.0)


@nb.njit(cache=True)
def in_body(walls: Walls, point: NDArray[np.float64]) -> bool:
    """Whether a point lies in the sacrum, ventral of the canal."""
    nearest, best = 0, np.inf
    for n in range(len(walls.canal)):
        d = 0.0
        for e in range(3):
            d += (walls.canal[n, e] - point[e]) ** 2
        if d < best:
            nearest, best = n, d
    return bool(point[1] < walls.canal[nearest, 1] and nearest_point(walls.sacrum, point)[1] < 0)


@nb.njit(cache=True)
def lateral_end(walls: Walls, point: NDArray[np.float64], axis: NDArray[np.float64], sign: float) -> float:
    """Where a ray from the sacrum leaves one ilium (sign 1: left) through its gluteal surface, mm or infinite."""
    tree, corners = (walls.left, walls.left_corners) if sign > 0 else (walls.right, walls.right_corners)
    which = first_hit(tree, point, axis)
    if which < 0:
        return np.inf
    t = corners[which]
    normal = np.cross(t[1] - t[0], t[2] - t[0])
    return float((normal @ (t[0] - point)) / (normal @ axis))


@nb.njit(cache=True)
def exact_radius(
    walls: Walls, line: NDArray[np.float64], start: float, stop: float, right: bool, left: bool, enough: float
) -> tuple[float, int]:
    """Inscribed radius over a stretch of a line to the left, and the danger that stops it (-1: none, or gluteal).

    `right` and `left` say at which end the line leaves through an ilium's gluteal surface.
    """
    best, which = tube_radius(walls.danger, line, start, stop, enough)
    if best > enough:
        low = start + ENTRY_DEPTH_MM if right else start
        high = stop - ENTRY_DEPTH_MM if left else stop
        for side in range(2):
            gluteal = walls.left if side == 0 else walls.right
            if (left if side == 0 else right) and high > low:
                found = tube_radius(gluteal, line, low, high, enough)[0]
                if found < best:
                    best, which = found, -1
    return best, which


def ends_of(walls: Walls, point: Array, axis: Array, sides: tuple[Side, ...]) -> tuple[float, float]:
    """Stretch of an axis to the left, mm from its midline point: to one ilium's end, or to both (infinite: none)."""
    stop = lateral_end(walls, point, axis, 1.0) if "left" in sides else 0.0
    start = -lateral_end(walls, point, -axis, -1.0) if "right" in sides else 0.0
    return start, stop


def measure(walls: WallSet, point: Array, axis: Array, sides: tuple[Side, ...], pixel_mm: float = PIXEL_MM) -> Section:
    """Measure a corridor exactly.

    Parameters
    ----------
    walls : WallSet
        Of the pelvis.
    point : (3,) float
        Where the axis meets the mid-sagittal plane, pelvic frame.
    axis : (3,) float
        Unit vector to the left.
    sides : tuple of Side
        Ilia that it passes: one for a corridor to the midline, both for a trans-sacral one.
    pixel_mm : float
        Raster of the cross-section's area.
    """
    packed = walls.packed
    start, stop = ends_of(packed, point, axis, sides)
    if not np.isfinite([start, stop]).all():
        return Section(0.0, 0.0, 0.0, "")
    line = line_frame(point, axis, (0.0, 0.0, 1.0))
    left, right = "left" in sides, "right" in sides
    radius, which = exact_radius(packed, line, start, stop, right, left, 0.0)
    low, high = start + ENTRY_DEPTH_MM * right, stop - ENTRY_DEPTH_MM * left
    trees = [packed.danger, *(tree for side, tree in (("left", packed.left), ("right", packed.right)) if side in sides)]
    stretches = [(start, stop), *[(low, high)] * (len(trees) - 1)]
    section = tube_section(stretches, tuple(trees), line, pixel_mm)
    reach = [
        min(tube_reach(tree, line, a, b, sign) for tree, (a, b) in zip(trees, stretches, strict=True) if b > a)
        for sign in (1.0, -1.0)
    ]
    wall = "lateral" if which < 0 else SURFACE_NAMES[int(walls.label[which])]
    return Section(
        inscribed_diameter_mm=2.0 * radius,
        area_equivalent_diameter_mm=max(equivalent_diameter_mm(float(section.sum()) * pixel_mm**2), 2.0 * radius),
        craniocaudal_diameter_mm=sum(reach),
        wall=wall,
    )
