"""Pelvic frame and landmarks in LPS; works on coarse label maps too, and needs no foramina."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sjplan.anatomy.bones import Bones, bones_of, bounding_box, box_start, perpendicular_to
from sjplan.anatomy.canal import CanalAxis, find_canal_axis, straight_axis
from sjplan.anatomy.checks import check_s1_present
from sjplan.anatomy.endplate import Endplate, find_endplate
from sjplan.anatomy.landmarks import HipLandmarks, find_hip_landmarks
from sjplan.anatomy.pockets import find_pockets
from sjplan.anatomy.symmetry import Axes, find_axes
from sjplan.core.arrays import Array
from sjplan.core.errors import AnatomyError
from sjplan.core.frames import AnatomicalFrame
from sjplan.core.labels import LabelMap

S2_BELOW_ENDPLATE_MM = 44.0
"""Arc from the S1 endplate to the middle of the S2 body where no foramina tell: S1 pair at 33, S2 pair at 57."""


@dataclass(frozen=True, slots=True, eq=False)
class PelvicLandmarks:
    """Frame and landmarks of a pelvis.

    Parameters
    ----------
    frame : AnatomicalFrame
        As in `Anatomy.frame`.
    landmarks : mapping of name to (3,) float
        promontory, s1_endplate_centre, s2_anterior, symphysis, and psis, asis, notch with _left and _right; LPS mm.
    """

    frame: AnatomicalFrame
    landmarks: Mapping[str, Array]


def pelvic_frame(labels: LabelMap) -> PelvicLandmarks:
    """Frame and landmarks of a label map, whatever its voxel size up to about 4 mm.

    Raises
    ------
    InputError
        If sacrum or hips are missing or their sides are swapped.
    AnatomyError
        If no S1 endplate is found.
    """
    bones = bones_of(labels)
    axes = find_axes(bones)
    check_s1_present(bones, axes)
    pockets = find_pockets(bones)
    points = axes.frame.to(pockets.points_mm(pockets.voxels))
    axis = find_canal_axis(points, pockets.enclosure.astype(np.float64), bones.spacing_mm) or _axis_without_canal(
        bones, axes
    )
    endplate = find_endplate(pockets.bone, pockets.start, bones.spacing_mm, axes.frame, axis)
    hips = find_hip_landmarks(bones, axes.pelvis_plane, axes.frame.origin_mm)
    return PelvicLandmarks(
        anatomical_frame(bones, axes, endplate, axis), landmarks_lps(bones, axes, endplate, axis, hips, None)
    )


def _axis_without_canal(bones: Bones, axes: Axes) -> CanalAxis:
    """A straight line along the rear of the sacrum's mid-plane, for maps too coarse to hold the canal."""
    points = axes.frame.to(np.argwhere(bones.sacrum) * bones.spacing_mm)
    middle = points[np.abs(points[:, 0]) < max(8.0, 2 * float(bones.spacing_mm.max()))]
    return straight_axis(middle)


def anatomical_frame(bones: Bones, axes: Axes, endplate: Endplate, axis: CanalAxis) -> AnatomicalFrame:
    """Frame in LPS: left across the hips' mid-plane, cranial along the upper canal, origin under the endplate.

    The origin is the endplate's centre moved onto the sacrum's own mid-plane.
    """
    towards_left = 1.0 if bones.plus_side == "left" else -1.0
    left = axes.pelvis_plane.normal * towards_left
    cranial = perpendicular_to(axes.frame.axes.T @ axis.cranial, left)
    left_lps, cranial_lps = bones.lps_vector(left), bones.lps_vector(cranial)
    origin = axes.frame.back(np.r_[0.0, endplate.centre[1:]])
    return AnatomicalFrame(bones.lps(origin), np.array([left_lps, np.cross(cranial_lps, left_lps), cranial_lps]))


def landmarks_lps(
    bones: Bones, axes: Axes, endplate: Endplate, axis: CanalAxis, hips: HipLandmarks, s2_arc_mm: float | None
) -> dict[str, Array]:
    """All landmarks by name, LPS mm.

    `s2_arc_mm` is the arc of the S2 body on the canal's axis, where the foramina tell it.
    """
    frame = axes.frame
    if s2_arc_mm is None:
        _, arc, _ = axis.unroll(endplate.centre[None])
        s2_arc_mm = float(arc[0]) + S2_BELOW_ENDPLATE_MM
    out = {
        "s1_endplate_centre": frame.back(endplate.centre),
        "promontory": frame.back(endplate.promontory),
        "s2_anterior": _anterior_cortex(bones, axes, axis, s2_arc_mm),
        "symphysis": hips.symphysis,
    }
    for (name, sign), point in hips.points.items():
        out[f"{name}_{bones.side_of(sign)}"] = point
    return {name: bones.lps(point) for name, point in out.items()}


def _anterior_cortex(bones: Bones, axes: Axes, axis: CanalAxis, arc_mm: float) -> Array:
    """Foremost bone of the mid-plane in front of the canal at an arc, grid mm."""
    start, posterior = axis.at(arc_mm)
    box = bounding_box(bones.sacrum, 0.0, bones.spacing_mm)
    crop = bones.sacrum[box]
    steps = np.arange(0.0, 60.0, 0.25)
    # a bundle of rays, so that a midline cleft or a notch does not decide
    fronts = []
    for x in (-3.0, 0.0, 3.0):
        ray = axes.frame.back(start - steps[:, None] * posterior + np.array([x, 0.0, 0.0]))
        index = np.floor(ray / bones.spacing_mm + 0.5).astype(int) - box_start(box)
        inside = ((index >= 0) & (index < crop.shape)).all(axis=1)
        hit = np.zeros(len(steps), dtype=bool)
        hit[inside] = crop[tuple(index[inside].T)]
        if hit.any():
            fronts.append(float(steps[hit].max()))
    if not fronts:
        raise AnatomyError(
            "S2 body", found="no bone in front of the canal at its level", wanted="the second sacral body",
            fix="check that the sacrum's label reaches below S1",
        )  # fmt: skip
    return axes.frame.back(start - float(np.median(fronts)) * posterior)
