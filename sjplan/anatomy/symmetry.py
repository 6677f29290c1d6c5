"""The patient's axes from the bones' own shape: mirror planes, the sacrum's long axis, where the hips lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from sjplan.anatomy.bones import BodyFrame, Bones, perpendicular_to, surface_points_mm
from sjplan.core.arrays import Array, unit
from sjplan.core.errors import AnatomyError

SAMPLES = 2500
"""Surface points per bone for the mirror plane: the plane moves by less than 0.2 degrees with more."""

MAX_SACRUM_TILT_DEG = 12.0
"""A sacrum whose own mirror plane leans more than this against the hips' is no trustworthy plane. Default."""

MIDLINE_HALF_WIDTH_MM = 8.0
"""Slab round the mid-plane whose long axis is the sacrum's."""


@dataclass(frozen=True, slots=True, eq=False)
class MirrorPlane:
    """A plane by its unit normal and a point, grid mm."""

    normal: Array
    point_mm: Array


def _thinned(points: Array, count: int) -> Array:
    """At most `count` of the points, drawn with a fixed seed: the same for the same voxels, wherever they lie."""
    if len(points) <= count:
        return points
    return points[np.random.default_rng(0).choice(len(points), count, replace=False)]


def mirror_plane(points: Array, start: MirrorPlane, other: Array | None = None, trim: float = 0.8) -> MirrorPlane:
    """The plane whose reflection best lays `points` on `other` (on themselves by default).

    Iterated closest points; the worst fifth of the pairs is left out, so that one-sided detail does not tilt it.
    """
    target = points if other is None else other
    tree = cKDTree(target)
    normal, point = start.normal, start.point_mm
    for _ in range(25):
        reflected = points - 2 * ((points - point) @ normal)[:, None] * normal
        distance, partner = (np.asarray(found) for found in tree.query(reflected))
        kept = distance <= np.quantile(distance, trim)
        a, b = points[kept], target[partner[kept]]
        across = a - b
        _, vectors = np.linalg.eigh(across.T @ across)
        turned = vectors[:, 2] * np.sign(vectors[:, 2] @ normal)
        moved = point + float((((a + b) / 2).mean(axis=0) - point) @ turned) * turned
        settled = abs(float(turned @ normal)) > np.cos(2e-4) and abs(float((moved - point) @ turned)) < 0.01
        normal, point = turned, moved
        if settled:
            break
    return MirrorPlane(normal, point)


@dataclass(frozen=True, slots=True, eq=False)
class Axes:
    """Where the patient's axes lie, grid mm.

    Parameters
    ----------
    frame : BodyFrame
        x across the sacrum's mid-plane towards the plus side, y posterior, z along the sacrum's long axis.
    pelvis_plane : MirrorPlane
        Mid-plane of the two hips (of the sacrum where there are none).
    tilt_deg : float
        Angle between the sacrum's own mid-plane and the hips'.
    """

    frame: BodyFrame
    pelvis_plane: MirrorPlane
    tilt_deg: float


def find_axes(bones: Bones) -> Axes:
    """Axes of a pelvis; of a sacrum alone, with LPS saying where left and back are."""
    points = _thinned(surface_points_mm(bones.sacrum, bones.spacing_mm), 4000)
    centre = points.mean(axis=0)
    if bones.plus is not None and bones.minus is not None:
        plus = _thinned(surface_points_mm(bones.plus, bones.spacing_mm), SAMPLES)
        minus = _thinned(surface_points_mm(bones.minus, bones.spacing_mm), SAMPLES)
        middle = (plus.mean(axis=0) + minus.mean(axis=0)) / 2
        start = MirrorPlane(unit(plus.mean(axis=0) - minus.mean(axis=0)), middle)
        pelvis = mirror_plane(plus, start, minus)
        back = centre - middle
        centre = centre + float((pelvis.point_mm - centre) @ pelvis.normal) * pelvis.normal
    else:
        left = bones.grid_vector([1.0, 0.0, 0.0])
        pelvis = MirrorPlane(left if bones.plus_side == "left" else -left, centre)
        back = bones.grid_vector([0.0, 1.0, 0.0])
    own = mirror_plane(points, MirrorPlane(pelvis.normal, centre))
    tilt = float(np.degrees(np.arccos(min(1.0, abs(float(own.normal @ pelvis.normal))))))
    if tilt > MAX_SACRUM_TILT_DEG:
        own = MirrorPlane(pelvis.normal, centre)
    return Axes(_long_axis_frame(bones, own, back), pelvis if bones.plus is not None else own, tilt)


def _long_axis_frame(bones: Bones, plane: MirrorPlane, back: Array) -> BodyFrame:
    """Frame on the sacrum's mid-plane; `back` says roughly where posterior is, handedness then gives cranial."""
    q = np.argwhere(bones.sacrum)[::7] * bones.spacing_mm
    x = (q - plane.point_mm) @ plane.normal
    middle = q[np.abs(x) < MIDLINE_HALF_WIDTH_MM]
    if len(middle) < 3:
        raise AnatomyError(
            "sacrum", found="hardly any bone about its mid-plane", wanted="a whole sacrum between the hips",
            fix="check the labels in a viewer",
        )  # fmt: skip
    in_plane = middle - middle.mean(axis=0)
    in_plane = in_plane - (in_plane @ plane.normal)[:, None] * plane.normal
    _, vectors = np.linalg.eigh(in_plane.T @ in_plane)
    z = perpendicular_to(vectors[:, 2], plane.normal)
    y = np.cross(z, plane.normal)
    if y @ back < 0:
        y = -y
    # left x posterior = cranial in LPS; seen in grid axes a left-handed direction turns the sign
    handedness = np.sign(np.linalg.det(bones.grid.direction)) * (1.0 if bones.plus_side == "left" else -1.0)
    z = np.cross(plane.normal, y) * handedness
    origin = middle.mean(axis=0)
    origin = origin - float((origin - plane.point_mm) @ plane.normal) * plane.normal
    return BodyFrame(origin, np.array([plane.normal, y, z]))
