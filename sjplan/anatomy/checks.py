"""What a label map must hold before anything is sought in it; every refusal names what was there."""

from __future__ import annotations

import numpy as np

from sjplan.anatomy.bones import Bones, bones_of
from sjplan.anatomy.symmetry import Axes, find_axes
from sjplan.core.errors import InputError
from sjplan.core.grid import Grid
from sjplan.core.labels import LabelMap
from sjplan.core.tolerances import MAX_PLANNING_SPACING_MM

UPPER_MM = 30.0
MIDDLE_MM = 15.0
LATERAL_MM = (20.0, 50.0)
MIN_MIDDLE_SHARE = 0.32
"""Bone of the sacrum's upper 30 mm within 15 mm of the mid-plane, over that 20 to 50 mm beside it: 0.45 to 0.65 in
seventeen whole sacra, 0.18 in the one whose S1 was cut out (measured on the real pelves). Default: half-way."""


def check_labels(labels: LabelMap) -> None:
    """Refuse a label map in which a pelvis cannot be found.

    Parameters
    ----------
    labels : LabelMap
        Structure names decide, ids do not.

    Raises
    ------
    InputError
        For an empty map, a missing sacrum or hip, hips with swapped sides, and a sacrum whose S1 was cut out
        and is nowhere in the map.
    """
    bones = bones_of(labels)
    check_s1_present(bones, find_axes(bones))


def check_planning_resolution(grid: Grid) -> None:
    """Refuse voxels too coarse to plan on.

    Raises
    ------
    InputError
        If the largest voxel edge exceeds `MAX_PLANNING_SPACING_MM`.

    Examples
    --------
    >>> check_planning_resolution(Grid((4, 4, 4), (1, 1, 2), (0, 0, 0), np.eye(3)))
    """
    if float(grid.spacing_mm.max()) > MAX_PLANNING_SPACING_MM * (1 + 1e-6):
        raise InputError(
            "label map resolution",
            found="voxels of " + " x ".join(f"{s:.3g}" for s in grid.spacing_mm) + " mm",
            wanted=f"at most {MAX_PLANNING_SPACING_MM:g} mm on every axis",
            fix="segment a CT with thinner slices; fluoroscopy works on this map, planning does not",
        )


def check_s1_present(bones: Bones, axes: Axes) -> None:
    """Refuse a sacrum with an S1-sized hole between its alae.

    A segmentation that cuts S1 out of the sacrum is complete only together with its label for S1.

    Raises
    ------
    InputError
        If the upper sacrum has hardly any bone in the middle.
    """
    share = middle_share(bones, axes)
    if share < MIN_MIDDLE_SHARE:
        raise InputError(
            "sacrum",
            found=f"S1 is cut out of the sacrum, and no vertebrae_S1 fills it (bone between the alae: {share:.2f} "
            "of that in them)",
            wanted=f"a sacrum with its first vertebra, in one label or as sacrum and vertebrae_S1 (at least "
            f"{MIN_MIDDLE_SHARE:g})",
            fix="keep vertebrae_S1 when exporting the segmentation, or name its id in the names file",
        )


def middle_share(bones: Bones, axes: Axes) -> float:
    """Bone near the mid-plane of the upper sacrum, as a share of the bone in its alae."""
    points = axes.frame.to(np.argwhere(bones.sacrum)[::3] * bones.spacing_mm)
    beside = np.abs(points[:, 0])
    alae = (beside > LATERAL_MM[0]) & (beside < LATERAL_MM[1])
    if not alae.any():
        return 0.0
    upper = points[:, 2] > np.quantile(points[alae, 2], 0.99) - UPPER_MM
    return float((upper & (beside < MIDDLE_MM)).sum() / max((upper & alae).sum(), 1))
