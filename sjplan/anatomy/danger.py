"""Names for every boundary face of the sacrum: what an implant must keep clear of, and the joint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sjplan.anatomy.bones import BodyFrame, Index, Mask, nearest
from sjplan.anatomy.canal import CanalAxis
from sjplan.anatomy.endplate import Endplate
from sjplan.anatomy.faces import Faces, Labels, absorb_specks, components, majority
from sjplan.anatomy.joint import JointFaces
from sjplan.core.arrays import Array
from sjplan.core.grid import Grid
from sjplan.core.structures import SURFACE_ID

WALL_REACH_MM = 1.8
"""A face this near to a lumen voxel's centre is the lumen's wall (times the voxel edge above 1 mm)."""

MOUTH_MM = 6.0
"""How far the border between the walls of canal and foramen may lie off where surfaces do by some tenths of a mm: two
label maps of one phantom drew it 5 mm apart. Default."""

SMALLEST_PATCH_MM2 = 80.0
SMALLEST_PATCH_SHARE = 0.03
"""A patch of one name smaller than this, or than this share of the name's whole area, goes to its surroundings."""

SWEEPS = 4

CUT_SECTION_MM2 = 900.0
CUT_WIDTH_MM = 60.0
"""A caudal face at least so large and wide is no sacral apex (25 mm wide): the label was cut off there. Default."""

CUT_THICKNESS_MM = 5.0
"""How far the faces of a cut may lie off their common plane."""


@dataclass(frozen=True, slots=True, eq=False)
class Lumen:
    """A named lumen: voxel indices in the whole map."""

    name: str
    voxels: Index


@dataclass(frozen=True, slots=True, eq=False)
class SacralPlace:
    """What places a face in the sacrum: its frame, the canal's axis and the endplate in it."""

    frame: BodyFrame
    axis: CanalAxis
    endplate: Endplate


def label_sacrum(
    faces: Faces,
    place: SacralPlace,
    joints: Mapping[int, JointFaces],
    lumens: Sequence[Lumen],
    grid: Grid,
    *,
    wary: bool = False,
) -> Labels:
    """Name every face of the sacrum.

    Parameters
    ----------
    faces : Faces
        Of the sacrum.
    place : SacralPlace
        Frame, canal and endplate.
    joints : mapping of sign to JointFaces
        Joints found.
    lumens : sequence of Lumen
        Canal and foramina.
    grid : Grid
        Of the bones; faces on its end are cut by the scan.
    wary : bool
        Whether surfaces may be off: how wide a notch in the joint's edge is cannot be told then, and it is no joint;
        and near the border between the walls of canal and foramina each wall carries the other's name.
    """
    frame, axis, endplate = place.frame, place.axis, place.endplate
    points, normals = frame.to(faces.points_mm), frame.vectors(faces.normals)
    x, s, v = axis.unroll(points)
    tangent = axis.tangent[np.clip(np.round(s).astype(int), 0, len(axis.points) - 1)]
    backwards = -normals[:, 1] * tangent[:, 1] + normals[:, 2] * tangent[:, 0]
    caudal = normals[:, 1] * tangent[:, 0] + normals[:, 2] * tangent[:, 1]
    label = np.full(len(faces), SURFACE_ID["posterior"], np.uint8)
    label[(backwards < 0.15) & ((v < 6) | (np.abs(x) > 25))] = SURFACE_ID["anterior"]
    label[_superior(faces, points, normals, backwards, v, endplate)] = SURFACE_ID["superior"]
    label[_inferior(x, s, normals, backwards, caudal, joints, axis)] = SURFACE_ID["inferior"]
    fixed = np.zeros(len(faces), dtype=bool)
    put_scan_edge(label, fixed, faces, grid.shape)
    _put_lumens(label, fixed, faces, lumens, grid.spacing_mm, MOUTH_MM if wary else 0.0)
    for joint in joints.values():
        put_joint(label, fixed, joint.sacral, joint.articular, joint.sure | (not wary))
    cut = _cut_end(faces, caudal, s, x) & ~fixed
    label[cut] = SURFACE_ID["scan_edge"]
    fixed |= cut
    return coherent(faces, label, fixed)


def _superior(faces: Faces, points: Array, normals: Array, backwards: Array, v: Array, endplate: Endplate) -> Mask:
    """Cranial-facing faces joined with the endplate: endplate and alar slopes."""
    cranial = normals @ endplate.normal
    height = (points - endplate.centre) @ endplate.normal
    up = (cranial > np.maximum(-backwards, 0.35)) & (cranial > backwards) & (height > -32) & (v < 8)
    core = up & (np.abs(height) < 4) & (np.abs(points[:, 0]) < 15)
    if not core.any():
        return up
    count, part, _ = components(faces, up)
    chosen = np.bincount(part[core[up]], minlength=count).argmax()
    out = np.zeros(len(up), dtype=bool)
    out[np.flatnonzero(up)[part == chosen]] = True
    return out


def _inferior(
    x: Array,
    s: Array,
    normals: Array,
    backwards: Array,
    caudal: Array,
    joints: Mapping[int, JointFaces],
    axis: CanalAxis,
) -> Mask:
    """Faces below the joint that look mostly down or sideways, and the sacrum's tip."""
    out = (caudal > 0.6) & (s > axis.last)
    steep = np.abs(backwards)
    for sign, joint in joints.items():
        end = float(np.quantile(s[joint.sacral], 0.99))
        sideways = normals[:, 0] * sign
        out |= (x * sign > 12) & (s > end - 6) & (caudal > np.maximum(steep, 0.45)) & (backwards > -0.35)
        out |= (x * sign > 8) & (s > end - 2) & (sideways > np.maximum(steep, 0.5))
    return np.asarray(out)


def _cut_end(faces: Faces, caudal: Array, s: Array, x: Array) -> Mask:
    """Caudal end of a sacrum that was cut off inside the grid: a broad section where a whole sacrum tapers."""
    out = np.zeros(len(faces), dtype=bool)
    end = float(np.quantile(s, 0.995))
    chosen = (caudal > 0.6) & (s > end - 25)
    if not chosen.any():
        return out
    rows = np.flatnonzero(chosen)
    _, part, area = components(faces, chosen)
    own = rows[part == int(np.argmax(area))]
    across = np.ptp(x[own]) if len(own) else 0.0
    if area.max() < CUT_SECTION_MM2 or across < CUT_WIDTH_MM:
        return out
    points = faces.points_mm[own]
    weight = np.ones(len(own))
    for _ in range(8):
        offset = points - np.average(points, axis=0, weights=weight)
        _, vectors = np.linalg.eigh((offset * weight[:, None]).T @ offset)
        height = np.abs(offset @ vectors[:, 0])
        weight = 1 / (1 + (height / 2.0) ** 2)
    out[own[height < CUT_THICKNESS_MM]] = True
    return out


def put_scan_edge(label: Labels, fixed: Mask, faces: Faces, shape: tuple[int, int, int]) -> None:
    """Faces whose outer voxel is outside the map: bone cut by the end of the scan."""
    beyond = ((faces.outside < 0) | (faces.outside >= np.array(shape))).any(axis=1)
    label[beyond] = SURFACE_ID["scan_edge"]
    fixed |= beyond


def _put_lumens(
    label: Labels, fixed: Mask, faces: Faces, lumens: Sequence[Lumen], spacing_mm: Array, other_mm: float
) -> None:
    """Faces beside a lumen carry the lumen's name, or that of one of the other kind nearer than `other_mm`.

    The kinds are the canal and the foramina.
    """
    voxels = np.concatenate([lumen.voxels for lumen in lumens])
    names = np.concatenate([np.full(len(n.voxels), SURFACE_ID[n.name], np.uint8) for n in lumens])
    reach = WALL_REACH_MM * max(1.0, float(spacing_mm.max()))
    distance, at = nearest(voxels * spacing_mm, faces.points_mm, reach)
    wall = np.isfinite(distance) & ~fixed
    label[wall] = names[at[wall]]
    fixed |= wall
    canal, walls = names == SURFACE_ID["canal"], np.flatnonzero(wall)
    for own, other in ((canal, ~canal), (~canal, canal)) if other_mm > 0.0 else ():
        rows = walls[own[at[walls]]]
        if len(rows) and other.any():
            near, which = nearest(voxels[other] * spacing_mm, faces.points_mm[rows], other_mm)
            label[rows[np.isfinite(near)]] = names[other][which[np.isfinite(near)]]


def put_joint(label: Labels, fixed: Mask, rows: Index, articular: Mask, sure: Mask) -> None:
    """Those faces of the joint that are sure to be, articular and ligamentous."""
    rows, articular = rows[sure], articular[sure]
    free = ~fixed[rows]
    name = np.where(articular, SURFACE_ID["joint_articular"], SURFACE_ID["joint_ligamentous"])
    label[rows[free]] = name[free]
    fixed[rows] = True


def coherent(faces: Faces, label: Labels, fixed: Mask) -> Labels:
    """Vote among neighbours, then give small patches away; joint, lumen walls and scan ends stay as they are."""
    voted = majority(faces, label, ~fixed, SWEEPS)
    return absorb_specks(faces, voted, ~fixed, SMALLEST_PATCH_MM2, SMALLEST_PATCH_SHARE)
