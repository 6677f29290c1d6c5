"""The one way from a CT without labels to bones by name, without a trained network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from sjplan.anatomy.build import anatomy_from_labels, require_plannable
from sjplan.core.errors import AnatomyError, SjplanError
from sjplan.core.findings import Finding
from sjplan.core.frames import SIDES
from sjplan.core.grid import Grid
from sjplan.core.labels import TOTALSEGMENTATOR_V2, LabelMap
from sjplan.core.tolerances import MAX_PLANNING_SPACING_MM
from sjplan.core.volume import CtVolume
from sjplan.phantom.parameters import PhantomParameters
from sjplan.phantom.pelvis import rotation_matrix
from sjplan.segment.confidence import confidence_of
from sjplan.segment.deform import Deformed, bent
from sjplan.segment.fit import Fit, agreement, bones_present, clipped, fitted, start_fit
from sjplan.segment.start import edge_distance, refined, starts
from sjplan.segment.template import BONES, CORE, Points
from sjplan.segment.types import Confidence, Segmentation
from sjplan.segment.voxels import BoneVoxels, bone_voxels
from sjplan.segment.working import SOFT_HU, Working, box_grid, image_of, most_of, nearest, resampled, sitk

Tell = Callable[[str, float], None]

IDS: Final = {name: i for i, name in TOTALSEGMENTATOR_V2.items()}

FIT_MM: Final = 2.0
SEARCH_MM: Final = 3.0
"""Voxels in which edges are sought, and in which the pelvis is looked for."""

FIT_BLUR_MM: Final = 1.2
BEND_BLUR_MM: Final = 0.7
"""Smoothing (sd) before edges are sought: calm ones for the phantom's shape; for bending it sharper ones, as a joint's
dark line is faint where the scan itself is blurred. Less than the second follows noise (default)."""

WORK_MM: Final = (0.75, 1.75)
"""Finer and coarser voxels than these are resampled: memory, and narrow gaps (default)."""

MARGIN_MM: Final = 12.0
"""How far round the bent phantom bone is sought."""

LOW: Final = 0.5
"""Confidence below which the labels of sacrum or hips are refused (see docs/segmentation.md)."""

SURFACE_ERROR_MM: Final = 2.0
"""How much farther than their voxels tell our labels may be off. Default, from an earlier run on phantoms: it keeps
nearly all lower bounds true, and not all (see docs/segmentation.md)."""

MIN_VOLUME_ML: Final = 60.0
"""A sacrum or hip of less is none: small women's have twice as much (default)."""


def segment_ct(ct: CtVolume, progress: Tell | None = None) -> Segmentation:
    """Label sacrum, hips, L5 and upper femora in a CT.

    Parameters
    ----------
    ct : CtVolume
        In Hounsfield units, in any direction, with any part of the body round the pelvis.
    progress : callable, optional
        Called with what is being done and the share that is done.

    Returns
    -------
    Segmentation
        Labels on the CT's grid under TotalSegmentator's ids.

    Raises
    ------
    AnatomyError
        If there is no pelvis in the scan.
    """
    tell = progress or (lambda _what, _share: None)
    tell("smoothing the CT", 0.0)
    image = image_of(ct.grid, np.asarray(ct.hu, dtype=np.float32))
    coarse, fine, sharp = _working(image, ct.grid)
    tell("looking for the pelvis", 0.05)
    begin = best_start(coarse, fine)
    tell("fitting the phantom", 0.15)
    posed = fitted(fine, start_fit(begin, CORE), (14.0, 12.0, 10.0, 10.0), shape=False)
    posed = start_fit(posed.parameters, bones_present(fine, posed))
    tell("fitting the phantom's shape", 0.25)
    fit = fitted(fine, posed, (12.0, 10.0, 9.0, 8.0, 7.0), shape=True)
    fit = fitted(fine, fit, (10.0, 8.0, 7.0, 6.0, 5.0), shape=True)
    tell("bending the phantom", 0.5)
    template, other = bent(sharp, fit), bent(sharp, posed)
    del sharp
    tell("telling bone from soft tissue", 0.6)
    result = bone_voxels(image, work_grid(ct.grid, template), template)
    tell("measuring how sure that is", 0.85)
    clean = _cleaned(result)
    confidence = confidence_of(clean, result, fine, other)
    labels = _on_grid(clean, result.grid, ct.grid)
    tell("looking for foramina and joints", 0.9)
    doubts = _doubts(confidence)
    whole = not any(doubt.code == "bone-not-found" for doubt in doubts)
    findings = (*_coverage(ct.grid, template), *doubts, *(_anatomy(labels) if whole else ()))
    tell("done", 1.0)
    return Segmentation(labels, confidence, findings)


def checked_labels(labels: LabelMap) -> Segmentation:
    """Labels of another tool with the findings that sjplan has on them, and no confidence of its own."""
    return Segmentation(labels, {}, (*_anatomy(labels), _unknown_error()))


def _working(image: Any, grid: Grid) -> tuple[Working, Working, Working]:
    """The CT for finding the pelvis, for finding edges, and for finding them where they are faint."""
    coarse_grid, fine_grid = box_grid(grid, SEARCH_MM), box_grid(grid, FIT_MM)
    coarse = Working(coarse_grid, resampled(sitk.SmoothingRecursiveGaussian(image, SEARCH_MM / 2.0), coarse_grid))

    def seen(blur_mm: float) -> Working:
        calm = sitk.SmoothingRecursiveGaussian(image, blur_mm)
        return clipped(Working(fine_grid, resampled(calm, fine_grid, SOFT_HU), SOFT_HU))

    return coarse, seen(FIT_BLUR_MM), seen(BEND_BLUR_MM)


def best_start(coarse: Working, fine: Working) -> PhantomParameters:
    """Pose and size of the phantom that lies best on edges of bone, among several starts."""
    base = start_fit(PhantomParameters(), CORE)
    distance = edge_distance(coarse)
    best: tuple[float, PhantomParameters] | None = None
    ended: list[NDArray[np.float64]] = []
    for candidate in starts(coarse):
        parameters, left_mm = refined(base.points, distance, coarse, candidate)
        place = np.append(parameters.offset_lps_mm, parameters.rotation_deg)
        if not np.isfinite(left_mm) or any(np.abs(place - e).max() < SAME_END for e in ended):
            continue
        ended.append(place)
        score = agreement(fine, _moved(base, parameters))
        if best is None or score > best[0]:
            best = (score, parameters)
    if best is None or best[0] < LEAST_AGREEMENT:
        raise AnatomyError(
            "CT",
            found=f"no pelvis ({best[0] if best else 0:.2f} of the best place's surface lies on edges of bone)",
            wanted=f"sacrum and both hip bones, at least {LEAST_AGREEMENT:g}",
            fix="check that the scan holds the pelvis",
        )
    return best[1]


SAME_END: Final = 3.0
"""Starts that end so near to each other, in mm and degrees, are one."""

LEAST_AGREEMENT: Final = 0.12
"""Agreement of the unbent phantom below which no pelvis was found (default; see `fit.agreement`)."""


def _moved(base: Fit, parameters: PhantomParameters) -> Points:
    """The points of the phantom in its own place, turned, scaled and shifted."""
    turn = rotation_matrix(parameters.rotation_deg)
    lps = base.points.lps_mm @ turn.T * parameters.size + parameters.offset_lps_mm
    return Points(lps, base.points.normal @ turn.T, base.points.bone, base.points.gap_mm * parameters.size)


def work_grid(grid: Grid, template: Deformed) -> Grid:
    """The part of the CT's grid round the bent phantom; resampled where voxels are very fine or coarse."""
    ijk = grid.ijk_from_lps(template.points_lps_mm)
    margin = MARGIN_MM / grid.spacing_mm
    low = np.maximum(np.floor(ijk.min(axis=0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(ijk.max(axis=0) + margin) + 1, grid.shape).astype(int)
    part = grid.cropped(low, np.maximum(high, low + 2))
    spacing = np.clip(part.spacing_mm, *WORK_MM)
    if np.allclose(spacing, part.spacing_mm):
        return part
    count = np.floor((np.asarray(part.shape) - 1) * part.spacing_mm / spacing).astype(int) + 1
    return Grid((int(count[0]), int(count[1]), int(count[2])), spacing, part.origin_lps_mm, part.direction)


def _cleaned(result: BoneVoxels) -> NDArray[np.uint8]:
    """Every bone in one piece, hips and femora without hollows; loose voxels become nothing."""
    bone = result.bone.copy()
    for n in range(1, len(BONES) + 1):
        own = np.asarray(bone == n)
        if not own.any():
            continue
        box = ndi.find_objects(own.astype(np.uint8))[0]
        pieces, count = ndi.label(own[box])
        if count > 1:
            size = np.bincount(pieces.ravel())
            size[0] = 0
            bone[box][own[box] & (pieces != int(np.argmax(size)))] = 0
        filled = ndi.binary_fill_holes(bone[box] == n)
        bone[box][filled & (bone[box] == 0)] = n
    return bone


def _on_grid(bone: NDArray[np.uint8], part: Grid, grid: Grid) -> LabelMap:
    """Labels on the CT's grid under the ids of the names."""
    table = np.array([0, *(IDS[name] for name in BONES)], dtype=np.uint8)
    if np.allclose(part.spacing_mm, grid.spacing_mm):
        label = nearest(image_of(part, table[bone]), grid)
    else:
        label = table[most_of(bone, len(BONES), part, grid)]
    names = {IDS[name]: name for name in BONES}
    return LabelMap(grid, label, names, surface_error_mm=SURFACE_ERROR_MM)


def _coverage(grid: Grid, template: Deformed) -> list[Finding]:
    """Joints and bones that lie beyond the scan."""
    ijk = grid.ijk_from_lps(template.points_lps_mm)
    held: NDArray[np.bool_] = np.asarray(((ijk >= 0) & (ijk <= np.asarray(grid.shape) - 1)).all(axis=1))
    bone = template.fit.points.bone
    out = []
    sacrum = np.asarray(bone == 0)
    for n, side in ((1, "left"), (2, "right")):
        joint = sacrum & (np.abs(template.fit.pelvis.bone_mm(BONES[n], template.fit.points.lps_mm)) < JOINT_MM)
        if joint.any() and held[joint].mean() < WHOLE_SHARE:
            text = f"the SI joint on the {side} reaches beyond the scan: scan the whole joint"
            out.append(Finding("joint-not-in-scan", "refusal", text, side))
        if held[bone == n].mean() < WHOLE_SHARE:
            share = 1.0 - float(held[bone == n].mean())
            text = f"about {share:.0%} of hip_{side} lies beyond the scan"
            out.append(Finding("bone-cut-by-scan", "warning", text, side))
    if held[sacrum].mean() < WHOLE_SHARE:
        text = f"about {1.0 - float(held[sacrum].mean()):.0%} of the sacrum lies beyond the scan"
        out.append(Finding("bone-cut-by-scan", "warning", text))
    return out


JOINT_MM: Final = 5.0
WHOLE_SHARE: Final = 0.97
"""Sacral points so near to the hip are the joint's; and how many have to lie within the scan."""


def _unknown_error() -> Finding:
    """What is true of every label map of another program."""
    text = (
        "how far these labels are from the bone is in no lower bound of a plan that is made on them; "
        "surface_error_mm in a names file beside them puts it there"
    )
    return Finding("labels-error-unknown", "warning", text)


def _doubts(confidence: dict[str, Confidence]) -> list[Finding]:
    out = []
    for bone in CORE:
        found = confidence.get(bone)
        side = bone.removeprefix("hip_") if bone != "sacrum" else ""
        if found is None or found.volume_ml < MIN_VOLUME_ML:
            volume = 0.0 if found is None else found.volume_ml
            text = f"{bone} was not found ({volume:.0f} ml where at least {MIN_VOLUME_ML:.0f} are expected)"
            out.append(Finding("bone-not-found", "refusal", text, side))
        elif found.value < LOW:
            why = (
                f"{found.edge:.0%} of its surface lies on edges of the CT, on {found.agreement:.0%} two templates agree"
            )
            text = f"{bone}: confidence {found.value:.2f}, below {LOW:g} ({why})"
            out.append(Finding("segmentation-doubtful", "refusal", text, side))
    return out


def _anatomy(labels: LabelMap) -> list[Finding]:
    """What speaks against the labels once the anatomy is sought in them."""
    spacing = float(labels.grid.spacing_mm.max())
    if spacing > MAX_PLANNING_SPACING_MM * (1 + 1e-6):
        most = f"{MAX_PLANNING_SPACING_MM:g} mm"
        text = f"voxels of {spacing:.3g} mm: foramina and joints cannot be checked; at most {most} are wanted"
        return [Finding("segmentation-unchecked", "refusal", text)]
    try:
        anatomy = anatomy_from_labels(labels)
    except SjplanError as error:
        return [Finding("anatomy-not-found", "refusal", f"no anatomy can be found in the labels: {error}")]
    out = list(anatomy.findings)
    for side in SIDES:
        try:
            require_plannable(anatomy, side)
        except AnatomyError as error:
            out.append(Finding("side-not-plannable", "refusal", str(error), side))
    return out
