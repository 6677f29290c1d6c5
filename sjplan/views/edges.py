"""The edges that a view shows, as a surgeon uses them: the bone's outline, the foramina's rims, the canal.

Everything lies in the plane through the isocentre, square to the central ray, in mm: columns to the right, rows up.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from sjplan.anatomy.types import Anatomy, Foramen
from sjplan.core.arrays import Array
from sjplan.core.errors import GeometryError
from sjplan.core.structures import PASSAGES, SURFACE_ID
from sjplan.geometry.hull import closed_hull
from sjplan.geometry.surface import LabelledSurface
from sjplan.views.plane import seen_mm
from sjplan.xray.carm import carm_axes, ray_direction
from sjplan.xray.types import CArm

PIXEL_MM: Final = 0.5
_CLOSED_PX: Final = 3
_MARGIN_PX: Final = 16
_KIND_BLUR_PX: Final = 1.5

RIM_LARGEST_DEG: Final = 50.0
"""A rim is seen as an opening up to this angle between the ray and the way through it; a default."""

WALL_LARGEST_DEG: Final = 25.0
"""A wall is seen as a line up to this angle between the ray and it; a default."""

_RIM_DEPTH_MM: Final = 4.0
_ROUND: Final = 16
_WALL_NEAR_MM, _WALL_HALF_MM, _WALL_BESIDE_MM = 4.0, 10.0, 2.0
_FROM_SIDE: Final = 0.7

NO_WALLS: Final = (*PASSAGES, "scan_edge")
"""Surfaces whose edge says nothing: those that implants cross on purpose, and where a bone is cut off."""

_LEAST_TO_TUBE_MM: Final = 50.0
_CUT_MM: Final = 3.0

BELOW_S2_MM: Final = 16.0
"""From the middle of the front of S2 to where the upper sacrum ends: half of S2 (29.7 mm high, PMCT) and a little."""


class Outline(NamedTuple):
    """A bone's shadow: signed distance to its edge (mm, inside positive), and where that edge is no wall.

    `passage` is true where the nearest edge belongs to a surface that implants cross on purpose, so that a shadow that
    crosses it there says nothing.
    """

    low: Array
    distance_mm: Array
    passage: NDArray[np.bool_]

    def at(self, points: Array) -> Array:
        """Signed distance at points (n, 2), beyond the raster never too large; infinite where a passage is nearest."""
        asked = (points - self.low) / PIXEL_MM
        cell = np.clip(asked, 0.0, np.array(self.passage.shape) - 1.0)
        value = ndi.map_coordinates(self.distance_mm, cell.T, order=1, mode="nearest")
        value = value - np.linalg.norm(asked - cell, axis=1) * PIXEL_MM
        nearest = tuple(np.rint(cell).astype(int).T)
        return np.asarray(np.where(self.passage[nearest], np.inf, value))


def outline(surface: LabelledSurface, carm: CArm, passages: tuple[str, ...] = NO_WALLS) -> Outline:
    """The shadow of a bone in a view, holes filled.

    Parameters
    ----------
    surface : LabelledSurface
        The bone, all of it in front of the tube.
    carm : CArm
        The view.
    passages : tuple of str
        Surfaces whose edge is no wall.

    Raises
    ------
    GeometryError
        Where the tube stands in or beside the bone.
    """
    depth = (surface.vertices_lps_mm - carm.isocentre_lps_mm) @ ray_direction(carm)
    if carm.source_to_isocentre_mm + float(depth.min()) < _LEAST_TO_TUBE_MM:
        found = f"{carm.source_to_isocentre_mm:g} mm from the isocentre, beside the bone"
        raise GeometryError("tube", found=found, wanted=f"{_LEAST_TO_TUBE_MM:g} mm between tube and bone")
    corners = surface.corners_lps_mm()
    points = np.concatenate([corners.mean(axis=1), surface.vertices_lps_mm])
    open_face = np.isin(surface.label, [SURFACE_ID[name] for name in passages])
    flat = seen_mm(points, carm)
    low = flat.min(axis=0) - _MARGIN_PX * PIXEL_MM
    cell = np.rint((flat - low) / PIXEL_MM).astype(int)
    shadow = np.zeros(tuple(cell.max(axis=0) + _MARGIN_PX + 1), dtype=bool)
    shadow[tuple(cell.T)] = True
    shadow = ndi.binary_fill_holes(ndi.binary_closing(shadow, iterations=_CLOSED_PX))
    edge = shadow & ~ndi.binary_erosion(shadow)
    counts = np.zeros((2, *shadow.shape))
    faces = cell[: len(corners)]
    for kind in (0, 1):
        np.add.at(counts[kind], tuple(faces[open_face == bool(kind)].T), 1.0)
    # what kind of surface lies nearest to each place of the edge
    walls, passed = (ndi.gaussian_filter(count, _KIND_BLUR_PX) for count in counts)
    is_passage = edge & (passed > walls)
    nearest = ndi.distance_transform_edt(~edge, return_distances=False, return_indices=True)
    # the middle of the outermost pixels is the edge: the points that fall on them lie there on average
    to_wall = ndi.distance_transform_edt(~(edge & ~is_passage))
    to_bone = ndi.distance_transform_edt(~shadow)
    distance = np.where(shadow, to_wall, -to_bone) * PIXEL_MM
    return Outline(low, distance, ~shadow & is_passage[tuple(nearest)])


def rim(foramen: Foramen, carm: CArm, spacing_mm: Array) -> Array | None:
    """The ventral mouth as a view shows it, a closed polygon (n, 2) mm; None where it is seen from the side.

    The lumen is known by the centres of its voxels: its edge lies half a voxel of `spacing_mm` farther out.
    """
    mouth = foramen.ventral
    if mouth is None or not _faces(carm, mouth.normal):
        return None
    near = foramen.lumen_lps_mm[np.abs((foramen.lumen_lps_mm - mouth.centre_lps_mm) @ mouth.normal) <= _RIM_DEPTH_MM]
    if not len(near):
        return None
    angle = np.linspace(0.0, 2.0 * np.pi, _ROUND, endpoint=False)
    round_each = 0.5 * float(spacing_mm.max()) * np.column_stack([np.cos(angle), np.sin(angle)])
    ring = closed_hull((seen_mm(near, carm)[:, None] + round_each).reshape(-1, 2))
    return ring if len(ring) else None


def before_canal_mm(anatomy: Anatomy, skin_lps_mm: Array, carm: CArm) -> float:
    """How far points stay before the front wall of the canal, where a view looks along it; NaN where it does not.

    From the side that wall is the posterior body line, near the midline; along the canal it is seen over its whole
    width. Only points that lie between the canal's walls are asked, for an implant that stays lateral of the canal may
    well lie farther back than its front. The wall lies half a voxel before the centres of the canal's voxels.
    """
    frame = anatomy.frame
    column, ray, up = carm_axes(carm)
    if abs(float(ray @ frame.posterior)) > np.sin(np.deg2rad(WALL_LARGEST_DEG)):
        return float("nan")
    lumen, skin = frame.frame_from_lps(anatomy.canal.lumen_lps_mm), frame.frame_from_lps(skin_lps_mm)
    between = _between_walls(lumen, skin)
    if not between.any():
        return float("nan")
    low, high = skin[between, 2].min() - _WALL_NEAR_MM, skin[between, 2].max() + _WALL_NEAR_MM
    half = _WALL_HALF_MM if abs(float(ray @ frame.left)) > _FROM_SIDE else np.inf
    near = (lumen[:, 2] >= low) & (lumen[:, 2] <= high) & (np.abs(lumen[:, 0]) <= half)
    back = np.array([frame.posterior @ column, frame.posterior @ up])
    back = back / np.linalg.norm(back)
    along = np.array([-back[1], back[0]])
    edge = seen_mm(anatomy.canal.lumen_lps_mm[near], carm)
    gaps = []
    for point in seen_mm(skin_lps_mm[between], carm):
        beside = edge[np.abs((edge - point) @ along) <= _WALL_BESIDE_MM]
        if len(beside):
            gaps.append(float((beside @ back).min() - point @ back))
    return min(gaps) - 0.5 * float(anatomy.spacing_mm.max()) if gaps else float("nan")


def _between_walls(lumen: Array, skin: Array) -> NDArray[np.bool_]:
    """Which points (left, posterior, cranial) lie within the canal's width at their own height."""
    found = np.zeros(len(skin), dtype=bool)
    level = np.rint(skin[:, 2] / _WALL_NEAR_MM)
    for height in np.unique(level):
        x = lumen[np.abs(lumen[:, 2] - height * _WALL_NEAR_MM) <= _WALL_NEAR_MM, 0]
        if len(x):
            here = level == height
            found[here] = (skin[here, 0] >= x.min()) & (skin[here, 0] <= x.max())
    return found


def upper_sacrum(anatomy: Anatomy) -> LabelledSurface:
    """The sacrum down to below S2; all of it where that level is not known.

    Lower segments curve forward: in an inlet their shadow lies before the S1 body, whose own front is still seen. Where
    it is cut its surface counts as `scan_edge`, for a picture shows no edge there.
    """
    surface, s2 = anatomy.sacrum, anatomy.landmarks.get("s2_anterior")
    if s2 is None:
        return surface
    heights = anatomy.frame.frame_from_lps(surface.corners_lps_mm().mean(axis=1))[:, 2]
    end = float(anatomy.frame.frame_from_lps(s2)[2]) - BELOW_S2_MM
    kept = heights >= end
    used, triangles = np.unique(surface.triangles[kept], return_inverse=True)
    label = np.where(heights < end + _CUT_MM, SURFACE_ID["scan_edge"], surface.label).astype(surface.label.dtype)
    return LabelledSurface(surface.vertices_lps_mm[used], triangles.reshape(-1, 3).astype(np.int32), label[kept])


def _faces(carm: CArm, direction: Array) -> bool:
    return bool(abs(ray_direction(carm) @ direction) >= np.cos(np.deg2rad(RIM_LARGEST_DEG)))


def convex_gap_mm(a: Array, b: Array) -> float:
    """Gap between two closed convex polygons (n, 2); on overlap minus the least shift that parts them.

    Examples
    --------
    >>> square = np.array([(0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0), (0.0, 0.0)])
    >>> round(convex_gap_mm(square, square + (5.0, 0.0)), 9), round(convex_gap_mm(square, square + (1.5, 0.0)), 9)
    (3.0, -0.5)
    """
    edges = np.concatenate([np.diff(a, axis=0), np.diff(b, axis=0)])
    length = np.linalg.norm(edges, axis=1)
    normals = np.column_stack([edges[:, 1], -edges[:, 0]])[length > 0] / length[length > 0][:, None]
    normals = np.concatenate([normals, -normals])
    separation = (b @ normals.T).min(axis=0) - (a @ normals.T).max(axis=0)
    parted = float(separation.max())
    if parted <= 0.0:
        return parted
    return float(min(_point_to_ring(a, b), _point_to_ring(b, a)))


def _point_to_ring(points: Array, ring: Array) -> float:
    start, way = ring[:-1], np.diff(ring, axis=0)
    along = np.einsum("ijk,jk->ij", points[:, None] - start, way) / np.maximum((way**2).sum(axis=1), 1e-12)
    nearest = start + np.clip(along, 0.0, 1.0)[..., None] * way
    return float(np.linalg.norm(points[:, None] - nearest, axis=2).min())
