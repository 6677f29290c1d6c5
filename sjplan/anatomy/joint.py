"""The SI joint of one side: faces of sacrum and ilium that look at each other, and its articular part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from sjplan.anatomy.bones import BodyFrame, Index, Mask, nearest
from sjplan.anatomy.faces import Faces, closed, components
from sjplan.core.arrays import Array, unit

LARGEST_GAP_MM = 14.0
"""Facing surfaces farther apart than this belong to no joint (the dorsal ligamentous cleft is up to 12 mm wide)."""

NEIGHBOURHOOD_MM = 3.5
NORMAL_REACH_MM = 6.0
"""An implant's envelope: the normal is that of the patch it crosses."""

MIN_LATERAL_MM = 22.0
SMALLEST_JOINT_MM2 = 150.0
ARTICULAR_EXTRA_MM = 1.2
ARTICULAR_GAP_MM = (2.5, 4.0)
"""The articular gap ends this much above the ventral half's median, within these bounds (1 to 3 mm in CT)."""

NOTCH_MM = 5.0
"""Half the width of a notch in a joint face's edge that is bone detail. Default."""

LARGEST_HOLE_MM2 = 400.0
"""A hole in a joint face up to this size is bone detail inside the joint, not a way out of it."""


@dataclass(frozen=True, slots=True, eq=False)
class JointFaces:
    """Faces of one joint.

    Parameters
    ----------
    sacral : (n,) int
        Sacral faces that look at the ilium.
    iliac : (n,) int
        The hip face nearest to each.
    gap_mm : (n,) float
        Distance between the two.
    articular : (n,) bool
        Articular part.
    iliac_faces : (m,) int
        All hip faces that look at the sacrum.
    iliac_articular : (m,) bool
        Their articular part.
    sure, iliac_sure : (n,) and (m,) bool
        Of `sacral` and `iliac_faces`, all but what lies in a notch of the edge.
    """

    sacral: Index
    iliac: Index
    gap_mm: Array
    articular: Mask
    iliac_faces: Index
    iliac_articular: Mask
    sure: Mask
    iliac_sure: Mask


def find_joint(sacrum: Faces, hip: Faces, frame: BodyFrame, sign: int) -> JointFaces | None:
    """Find the joint between the sacrum and the hip on one side; None where the two hardly face each other."""
    candidates = np.flatnonzero(frame.to(sacrum.points_mm)[:, 0] * sign > MIN_LATERAL_MM)
    if not len(candidates):
        return None
    low, high = sacrum.points_mm[candidates].min(axis=0), sacrum.points_mm[candidates].max(axis=0)
    inside = ((hip.points_mm > low - LARGEST_GAP_MM) & (hip.points_mm < high + LARGEST_GAP_MM)).all(axis=1)
    near_hip = np.flatnonzero(inside)
    if not len(near_hip):
        return None
    outward = frame.axes[0] * sign
    sacral = _facing(sacrum, candidates, hip, near_hip, outward)
    sacral_mask, sacral_sure = _sheet(sacrum, sacral)
    if sacrum.area_mm2[sacral_mask].sum() < SMALLEST_JOINT_MM2:
        return None
    facing_hip = _facing(hip, near_hip, sacrum, candidates, -outward)
    # only hip faces whose partner survived: what faces a lost island is no joint
    hip_mask, hip_sure = _sheet(hip, facing_hip)
    chosen = np.flatnonzero(sacral_mask)
    partner = np.flatnonzero(hip_mask)
    if not len(partner):
        return None
    sacral_points, hip_points = sacrum.centres_lps_mm(chosen), hip.centres_lps_mm(partner)
    gap, at = nearest(hip_points, sacral_points)
    articular = _articular(sacrum, chosen, gap, frame)
    _, back = nearest(sacral_points, hip_points)
    sure = sacral_sure[chosen], hip_sure[partner]
    return JointFaces(chosen, partner[at], gap, articular, partner, articular[back], *sure)


def _facing(a: Faces, a_rows: Index, b: Faces, b_rows: Index, outward: Array) -> Index:
    """Rows of `a` whose nearest face of `b` looks back at them."""
    a_rows = a_rows[a.normals[a_rows] @ outward > 0.1]
    distance, at = nearest(b.points_mm[b_rows], a.points_mm[a_rows], LARGEST_GAP_MM)
    hit = np.isfinite(distance)
    rows, partner, distance = a_rows[hit], b_rows[at[hit]], distance[hit]
    towards = (b.points_mm[partner] - a.points_mm[rows]) / np.maximum(distance, 1e-6)[:, None]
    normal = a.normals[rows]
    opposed = np.einsum("ij,ij->i", normal, b.normals[partner]) < -0.35
    ahead = (np.einsum("ij,ij->i", towards, normal) > 0.45) | (distance < 1.5)
    facing = opposed & ahead
    return np.asarray(rows[facing])


def _sheet(faces: Faces, rows: Index) -> tuple[Mask, Mask]:
    """Largest connected sheet of the faces with its small holes filled: with its notches closed, and with them open."""
    chosen = np.zeros(len(faces), dtype=bool)
    chosen[rows] = True
    if not chosen.any():
        return chosen, chosen
    count, part, area = components(faces, chosen)
    if count > 1:
        chosen[np.flatnonzero(chosen)[part != int(np.argmax(area))]] = False
    return _whole(faces, closed(faces, chosen, NOTCH_MM)), _whole(faces, chosen)


def _whole(faces: Faces, chosen: Mask) -> Mask:
    """The faces with their small holes filled."""
    out = chosen.copy()
    _, part, area = components(faces, ~chosen)
    out[np.flatnonzero(~chosen)[area[part] < LARGEST_HOLE_MM2]] = True
    return out


def _articular(sacrum: Faces, chosen: Index, gap: Array, frame: BodyFrame) -> Mask:
    """Narrow part of the joint, one sheet, each row ending dorsally at its first wide stretch."""
    points = sacrum.points_mm[chosen]
    count = min(48, len(points))
    distance, near = cKDTree(points).query(points, k=count, distance_upper_bound=NEIGHBOURHOOD_MM)
    valid = np.isfinite(distance)
    near = np.where(valid, near, 0)
    smooth_gap = np.nanmedian(np.where(valid, gap[near], np.nan), axis=1)
    position = frame.to(points)
    ventral = position[:, 1] < np.median(position[:, 1])
    limit = float(np.clip(np.median(smooth_gap[ventral]) + ARTICULAR_EXTRA_MM, *ARTICULAR_GAP_MM))

    def share(flag: Mask) -> Array:
        return np.asarray((flag[near] & valid).sum(axis=1) / valid.sum(axis=1))

    narrow = share(smooth_gap <= limit) > 0.5
    narrow = _one_sheet(sacrum, chosen, narrow)
    kept = _rows_ended(position, narrow)
    return np.asarray(share(kept) > 0.5)


def _one_sheet(sacrum: Faces, chosen: Index, narrow: Mask) -> Mask:
    """Largest connected narrow part, with wide islands inside it filled."""
    full = np.zeros(len(sacrum), dtype=bool)
    full[chosen[narrow]] = True
    if not full.any():
        return narrow
    _, part, area = components(sacrum, full)
    full[np.flatnonzero(full)[part != int(np.argmax(area))]] = False
    wide = np.zeros(len(sacrum), dtype=bool)
    wide[chosen] = ~full[chosen]
    if wide.any():
        _, part, area = components(sacrum, wide)
        full[np.flatnonzero(wide)[area[part] < 60.0]] = True
    return np.asarray(full[chosen])


def _rows_ended(position: Array, narrow: Mask) -> Mask:
    """Along each 2 mm cranio-caudal row the articular part ends at the first wide stretch behind its front."""
    kept = narrow.copy()
    row = np.floor(position[:, 2] / 2).astype(int)
    for number in np.unique(row):
        own = np.flatnonzero(row == number)
        y, wide = position[own, 1], ~narrow[own]
        starts = np.sort(y[wide])
        for begin in starts[starts > np.quantile(y, 0.02) + 10]:
            stretch = (y >= begin) & (y < begin + 2.5)
            if stretch.sum() >= 3 and wide[stretch].mean() > 0.6:
                kept[own[y > begin + 1]] = False
                break
    return kept


def joint_normals(sacrum: Faces, hip: Faces, joint: JointFaces) -> Array:
    """Local unit normals from ilium to sacrum at each sacral face, from both surfaces round it, grid mm, (n, 3)."""
    points = sacrum.points_mm[joint.sacral]
    inward = -_summed(points, points, sacrum.area_vectors[joint.sacral])
    partner = hip.points_mm[joint.iliac]
    outward = _summed(partner, hip.points_mm[joint.iliac_faces], hip.area_vectors[joint.iliac_faces])
    total = _directions(inward) + _directions(outward)
    length = np.linalg.norm(total, axis=1)
    return np.where(length[:, None] > 0.1, _directions(total), unit(total.sum(axis=0)))


def _summed(points: Array, sources: Array, vectors: Array) -> Array:
    """Sum of the vectors whose sources lie within `NORMAL_REACH_MM` of each point, (n, 3)."""
    near = cKDTree(points).sparse_distance_matrix(cKDTree(sources), NORMAL_REACH_MM, output_type="coo_matrix")
    return np.column_stack([np.bincount(near.row, vectors[near.col, n], len(points)) for n in range(3)])


def _directions(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1), 1e-9)[:, None])


def mean_normal(sacrum: Faces, hip: Faces, joint: JointFaces) -> Array:
    """Unit mean normal of the articular part (of all where none is articular), from ilium to sacrum, grid mm."""
    sacral = joint.sacral[joint.articular] if joint.articular.any() else joint.sacral
    iliac = joint.iliac_faces[joint.iliac_articular] if joint.iliac_articular.any() else joint.iliac_faces
    return unit(unit(hip.area_vectors[iliac].sum(axis=0)) - unit(sacrum.area_vectors[sacral].sum(axis=0)))
