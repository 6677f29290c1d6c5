"""What a label map may lack without being refused: bone beyond the scan, coarse voxels, sides that are not alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from scipy.spatial import KDTree

from sjplan.anatomy.types import Anatomy
from sjplan.core.findings import Finding
from sjplan.core.frames import SIDE_SIGN, SIDES
from sjplan.core.labels import LabelMap
from sjplan.core.plan import check_side
from sjplan.geometry.surface import LabelledSurface

CUT_NEAR_JOINT_MM: Final = 5.0
"""Bone that is cut so near to a joint's face leaves no room to judge an implant there (default: half an implant)."""

CUT_MM2: Final = 20.0
"""Less cut bone than this is a voxel or two on the rim of the map (default)."""

COARSE_MM: Final = 1.25
"""Voxels above this: pelvic CTs are reconstructed at 1 to 1.25 mm where they are meant for planning (default)."""

HIPS_RATIO: Final = 1.12
"""Volumes of the two hip bones: within 1.034 of each other in sixteen real pelves (measured); default: well beyond."""

JOINTS_RATIO: Final = 1.5
"""Articular faces of the two joints: within 1.2 of each other in fourteen of sixteen real pelves, 1.52 and 1.74 in two
whose gap is not trustworthy (measured)."""


LATERAL_MM: Final = 28.0
FUSED_MM: Final = 3.5
FUSED_MM3: Final = 150.0
"""So much of L5, so far beside the mid-plane and so near to the sacrum, is a transverse process grown onto the ala: 0
to 24 mm3 in nine phantoms without it, 416 on each side of one with it (measured; default: between)."""


def quality_findings(labels: LabelMap, anatomy: Anatomy) -> tuple[Finding, ...]:
    """Doubts about a label map as a whole, beside those that finding its anatomy raised.

    Parameters
    ----------
    labels : LabelMap
        What the anatomy was found in.
    anatomy : Anatomy
        The pelvis.
    """
    return (
        *_resolution(labels),
        *_coverage(anatomy),
        *_asymmetry(labels, anatomy),
        *_transitional(labels, anatomy),
    )


def _resolution(labels: LabelMap) -> Iterator[Finding]:
    largest = float(labels.grid.spacing_mm.max())
    if largest > COARSE_MM * (1 + 1e-6):
        size = " x ".join(f"{s:.3g}" for s in labels.grid.spacing_mm)
        text = f"voxels of {size} mm: thin walls and small foramina may be lost; at most {COARSE_MM:g} mm is usual"
        yield Finding("labels-coarse", "note", text)


def _coverage(anatomy: Anatomy) -> Iterator[Finding]:
    sacrum = _cut_lps_mm(anatomy.sacrum)
    if len(sacrum):
        yield Finding("scan-cuts-sacrum", "note", "the sacrum ends at the end of the scan or of its label")
    for side in SIDES:
        hip = _cut_lps_mm(anatomy.ilium[check_side(side)])
        if len(hip):
            yield Finding("scan-cuts-hip", "note", f"the {side} hip bone ends at the end of the scan", side)
        joint, cut = anatomy.joints.get(check_side(side)), np.concatenate([sacrum, hip])
        if joint is not None and len(cut):
            nearest = float(np.min(KDTree(cut).query(joint.sacral_lps_mm)[0]))
            if nearest < CUT_NEAR_JOINT_MM:
                text = (
                    f"the {side} joint reaches to {nearest:.0f} mm of where a bone of it is cut: not all is in the scan"
                )
                yield Finding("scan-cuts-joint", "warning", text, side)


def _cut_lps_mm(surface: LabelledSurface) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Middles of the triangles that the end of the scan cut, (n, 3); none where they are next to nothing."""
    corners = surface.corners_lps_mm("scan_edge")
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    enough = 0.5 * float(np.linalg.norm(cross, axis=1).sum()) >= CUT_MM2
    return corners.mean(axis=1) if enough else np.zeros((0, 3))


def _asymmetry(labels: LabelMap, anatomy: Anatomy) -> Iterator[Finding]:
    """Sides that differ more than people's do; a hip bone that the scan cuts has its own finding."""
    cut = any(len(_cut_lps_mm(surface)) for surface in anatomy.ilium.values())
    volume = {side: float(labels.mask(f"hip_{side}").sum()) for side in SIDES}
    larger, smaller = sorted(SIDES, key=lambda side: -volume[side])
    if not cut and volume[larger] > HIPS_RATIO * volume[smaller] > 0:
        share = 100.0 * (volume[larger] / volume[smaller] - 1.0)
        text = f"the {larger} hip bone's label is {share:.0f} % larger than the {smaller} one's: one may be incomplete"
        yield Finding("hips-asymmetric", "warning", text, smaller)
    area = {side: joint.articular_area_mm2 for side, joint in anatomy.joints.items()}
    if len(area) == 2:
        wide, narrow = sorted(area, key=lambda side: -area[side])
        if area[wide] > JOINTS_RATIO * area[narrow] > 0:
            times = area[wide] / area[narrow]
            text = f"the {wide} joint's articular face is {times:.1f} times as large as the {narrow} one's"
            yield Finding("joints-asymmetric", "note", text + ": one may be labelled short", narrow)


def _transitional(labels: LabelMap, anatomy: Anatomy) -> Iterator[Finding]:
    """A last lumbar vertebra whose transverse process meets the ala, where the label map names that vertebra."""
    mask = labels.mask("vertebrae_L5")
    if not mask.any():
        return
    points = labels.grid.lps_from_ijk(np.argwhere(mask))
    across = anatomy.frame.frame_from_lps(points)[:, 0]
    bone = KDTree(anatomy.sacrum.vertices_lps_mm)
    for side in SIDES:
        beside = points[across * SIDE_SIGN[side] > LATERAL_MM]
        near = np.count_nonzero(bone.query(beside)[0] < FUSED_MM) if len(beside) else 0
        if near * labels.grid.voxel_volume_mm3 >= FUSED_MM3:
            text = f"the transverse process of L5 meets the ala on the {side}: perhaps a transitional vertebra"
            yield Finding("transitional-vertebra", "warning", text, side)
