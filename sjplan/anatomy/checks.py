"""What a label map must hold before anything is sought in it; every refusal names what was there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sjplan.anatomy.bones import bounding_box
from sjplan.core.errors import InputError
from sjplan.core.grid import Grid
from sjplan.core.labels import LabelMap
from sjplan.core.tolerances import MAX_PLANNING_SPACING_MM

NEEDED = ("sacrum", "hip_left", "hip_right")
SIDES_APART_MM = 20.0
"""Hip centroids of a pelvis lie some 200 mm apart; less than this along LPS x is no left and right. Default."""

MIN_UPPER_WIDTH_SHARE = 0.75
"""A whole sacrum is widest across the alae of S1; cut below S1's body, its upper end has a gap. Default."""


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
    present = labels.present()
    if not present:
        raise InputError(
            "label map",
            found="no voxel of any named structure",
            wanted=", ".join(NEEDED),
            fix="check that the file is a label map of a pelvis and that its names file fits",
        )
    missing = [name for name in NEEDED if name not in present]
    if missing:
        raise InputError(
            "label map",
            found=f"no voxel of {', '.join(missing)} (present: {', '.join(present)})",
            wanted=", ".join(NEEDED),
            fix="segment the whole pelvis, or give a names file if the ids mean something else",
        )
    _check_sides(labels)
    if "vertebrae_S1" not in present:
        _check_s1_present(labels)


def check_planning_resolution(grid: Grid) -> None:
    """Refuse voxels too coarse to plan on.

    Raises
    ------
    InputError
        If the largest voxel edge exceeds `MAX_PLANNING_SPACING_MM`.

    Examples
    --------
    >>> check_planning_resolution(Grid((4, 4, 4), (3, 3, 3), (0, 0, 0), np.eye(3)))
    Traceback (most recent call last):
        ...
    sjplan.core.errors.InputError: label map resolution: found voxels of 3 x 3 x 3 mm; \
wanted at most 2 mm on every axis; fix: segment a CT with thinner slices; fluoroscopy works on this map, planning does not
    """
    if float(grid.spacing_mm.max()) > MAX_PLANNING_SPACING_MM * (1 + 1e-6):
        raise InputError(
            "label map resolution",
            found="voxels of " + " x ".join(f"{s:.3g}" for s in grid.spacing_mm) + " mm",
            wanted=f"at most {MAX_PLANNING_SPACING_MM:g} mm on every axis",
            fix="segment a CT with thinner slices; fluoroscopy works on this map, planning does not",
        )


def _centre_x_lps_mm(labels: LabelMap, name: str) -> float:
    mask = labels.mask(name)
    total = float(mask.sum())
    ijk = [float(mask.sum(axis=tuple(a for a in range(3) if a != n)) @ np.arange(mask.shape[n])) for n in range(3)]
    return float(labels.grid.lps_from_ijk(np.array(ijk) / total)[0])


def _check_sides(labels: LabelMap) -> None:
    apart = _centre_x_lps_mm(labels, "hip_left") - _centre_x_lps_mm(labels, "hip_right")
    if apart < SIDES_APART_MM:
        raise InputError(
            "hip_left and hip_right",
            found=f"hip_left {abs(apart):.0f} mm to the {'right' if apart < 0 else 'left'} of hip_right (LPS x)",
            wanted="hip_left on the patient's left (+x), hip_right on the right",
            fix="swap the two labels, or repair the direction in the image header",
        )


def _check_s1_present(labels: LabelMap) -> None:
    """A sacrum without S1 leaves the hips' joint faces bare of bone at its upper end."""
    sacrum = labels.mask("sacrum")
    if upper_hole_share(sacrum, labels.grid) > 0:
        raise InputError(
            "sacrum",
            found="S1 is cut out of the sacrum, and no voxel of vertebrae_S1",
            wanted="a sacrum with its first vertebra, in one label or as sacrum and vertebrae_S1",
            fix="keep vertebrae_S1 when exporting the segmentation, or name its id in the names file",
        )


def upper_hole_share(sacrum: NDArray[np.bool_], grid: Grid) -> float:
    """Share of the sacrum's upper third that lacks the body between the alae (0 for a whole sacrum).

    The alae of a sacrum whose S1 was cut out stand to both sides of a hole. In a whole sacrum every level is
    bridged by bone in front of the canal.
    """
    box = bounding_box(sacrum, 0.0, grid.spacing_mm)
    crop = sacrum[box]
    return 0.0 if crop.size else 1.0
