"""Names for every boundary face of the sacrum and of a hip: what an implant must keep clear of, and the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from sjplan.anatomy.bones import BodyFrame, Index, Mask
from sjplan.anatomy.canal import CanalAxis
from sjplan.anatomy.endplate import Endplate
from sjplan.anatomy.faces import Faces, Labels, absorb_specks, components, majority
from sjplan.anatomy.joint import JointFaces
from sjplan.core.arrays import Array, unit
from sjplan.core.structures import SURFACE_ID

WALL_REACH_MM = 1.8
"""A face this near to a lumen voxel's centre is the lumen's wall (times the voxel edge above 1 mm)."""

SMALLEST_PATCH_MM2 = 80.0
SWEEPS = 4
NEAR_JOINT_MM = 45.0
FLAT_CUT_MM2 = 250.0
FLAT_CUT_RMS_MM = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Lumen:
    """A named lumen: voxel indices in the whole map."""

    name: str
    voxels: Index


def label_sacrum(
    faces: Faces,
    frame: BodyFrame,
    axis: CanalAxis,
    endplate: Endplate,
    joints: dict[int, JointFaces],
    lumens: Sequence[Lumen],
    shape: tuple[int, int, int],
    spacing_mm: Array,
) -> Labels:
    """Name every face of the sacrum."""
    points, normals = frame.to(faces.points_mm), frame.vectors(faces.normals)
    x, s, v = axis.unroll(points)
    tangent = axis.tangent[np.clip(np.round(s).astype(int), 0, len(axis.points) - 1)]
    backwards = -normals[:, 1] * tangent[:, 1] + normals[:, 2] * tangent[:, 0]
    caudal = normals[:, 1] * tangent[:, 0] + normals[:, 2] * tangent[:, 1]
    label = np.full(len(faces), SURFACE_ID["posterior"], np.uint8)
    label[(backwards < 0.15) & ((v < 6) | (np.abs(x) > 25))] = SURFACE_ID["anterior"]
    label[_superior(faces, points, normals, backwards, v, endplate)] = SURFACE_ID["superior"]
    for sign in (1, -1):
        end = s[joints[sign].sacral].max() if sign in joints else np.inf
        below = (x * sign > 8) & (s > end - 6)
        lateral = (normals[:, 0] * sign > 0.6) & (s > end + 1)
        label[below & ((caudal > 0.5) | lateral)] = SURFACE_ID["inferior"]
    label[(caudal > 0.6) & (s > axis.last)] = SURFACE_ID["inferior"]
    fixed = np.zeros(len(faces), dtype=bool)
    _put_edge(label, fixed, faces, shape)
    label[_flat_cut(faces, caudal, s)] = SURFACE_ID["scan_edge"]
    _put_lumens(label, fixed, faces, lumens, spacing_mm)
    for joint in joints.values():
        _put_joint(label, fixed, joint.sacral, joint.articular)
    return _coherent(faces, label, fixed)


def _superior(
    faces: Faces, points: Array, normals: Array, backwards: Array, v: Array, endplate: Endplate
) -> Mask:
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


def _flat_cut(faces: Faces, caudal: Array, s: Array) -> Mask:
    """Caudal end of a sacrum that was cut off: a large flat face where a whole sacrum tapers."""
    end = np.quantile(s, 0.995)
    chosen = (caudal > 0.6) & (s > end - 25)
    out = np.zeros(len(faces), dtype=bool)
    if not chosen.any():
        return out
    rows = np.flatnonzero(chosen)
    _, part, area = components(faces, chosen)
    for number in np.flatnonzero(area > FLAT_CUT_MM2):
        own = rows[part == number]
        mean = unit(faces.normals[own].mean(axis=0))
        flat = own[faces.normals[own] @ mean > 0.9]
        height = (faces.points_mm[flat] - faces.points_mm[flat].mean(axis=0)) @ mean
        if faces.area_mm2[flat].sum() > FLAT_CUT_MM2 and float(height.std()) < FLAT_CUT_RMS_MM:
            out[own] = True
    return out


def label_hip(
    faces: Faces,
    frame: BodyFrame,
    sign: int,
    joint: JointFaces | None,
    notch_mm: Array,
    cranial: Array,
    shape: tuple[int, int, int],
) -> Labels:
    """Name every face of one hip bone.

    Parameters
    ----------
    notch_mm : (3,) float
        Apex of the greater sciatic notch, grid mm.
    cranial : (3,) float
        Cranial direction of the pelvis, grid mm.
    """
    medial = -frame.axes[0] * sign
    inward = medial if joint is None else unit(faces.normals[joint.iliac_faces].mean(axis=0))
    label = np.full(len(faces), SURFACE_ID["lateral"], np.uint8)
    facing = faces.normals @ inward
    position = frame.to(faces.points_mm)
    middle = float(np.median(position[joint.iliac_faces, 1])) if joint is not None else 0.0
    inner = facing > 0.25
    label[inner & (position[:, 1] < middle)] = SURFACE_ID["iliac_inner"]
    label[inner & (position[:, 1] >= middle)] = SURFACE_ID["posterior"]
    edge = np.abs(facing) <= 0.25
    label[edge] = SURFACE_ID["iliac_border"]
    relative = faces.points_mm - notch_mm
    height, across = relative @ cranial, relative @ inward
    distance = np.linalg.norm(relative - across[:, None] * inward, axis=1)
    looks_down = faces.normals @ cranial < -0.25
    label[(distance < 28) & (height < 8) & looks_down & (facing > -0.5)] = SURFACE_ID["notch"]
    label[(distance < 9) & inner] = SURFACE_ID["notch"]
    if joint is not None:
        low = float(np.quantile(faces.points_mm[joint.iliac_faces] @ cranial, 0.02))
        label[inner & (faces.points_mm @ cranial < low) & (label == SURFACE_ID["posterior"])] = SURFACE_ID["inferior"]
    fixed = np.zeros(len(faces), dtype=bool)
    _put_edge(label, fixed, faces, shape)
    if joint is not None:
        _put_joint(label, fixed, joint.iliac_faces, joint.iliac_articular)
    return _coherent(faces, label, fixed)


def _put_edge(label: Labels, fixed: Mask, faces: Faces, shape: tuple[int, int, int]) -> None:
    """Faces whose outer voxel is outside the map: bone cut by the end of the scan."""
    beyond = ((faces.outside < 0) | (faces.outside >= np.array(shape))).any(axis=1)
    label[beyond] = SURFACE_ID["scan_edge"]
    fixed |= beyond


def _put_lumens(label: Labels, fixed: Mask, faces: Faces, lumens: Sequence[Lumen], spacing_mm: Array) -> None:
    """Faces beside a lumen carry the lumen's name."""
    voxels = np.concatenate([lumen.voxels for lumen in lumens])
    names = np.concatenate([np.full(len(n.voxels), SURFACE_ID[n.name], np.uint8) for n in lumens])
    reach = WALL_REACH_MM * max(1.0, float(spacing_mm.max()))
    distance, nearest = cKDTree(voxels * spacing_mm).query(faces.points_mm, distance_upper_bound=reach)
    wall = np.isfinite(distance) & ~fixed
    label[wall] = names[nearest[wall]]
    fixed |= wall


def _put_joint(label: Labels, fixed: Mask, rows: Index, articular: Mask) -> None:
    free = ~fixed[rows]
    name = np.where(articular, SURFACE_ID["joint_articular"], SURFACE_ID["joint_ligamentous"])
    label[rows[free]] = name[free]
    fixed[rows] = True


def _coherent(faces: Faces, label: Labels, fixed: Mask) -> Labels:
    """Vote among neighbours, then give small patches away; joint, lumen walls and scan ends stay as they are."""
    voted = majority(faces, label, ~fixed, SWEEPS)
    return absorb_specks(faces, voted, ~fixed, SMALLEST_PATCH_MM2)
