"""What can be seen in a CT's voxels that makes a plan on it doubtful: metal, and a patient that moved."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sjplan.core.arrays import Array
from sjplan.core.findings import Finding

METAL_HU: Final = 2000
"""Denser than any bone (cortex to 1500, CLINICAL.md 4.5)."""

LEAST_METAL_MM3: Final = 150.0
"""Less metal than this is a clip, a filling, noise (default)."""

STEP_MM: Final = 1.5
"""A slice that lies so much beside its neighbours moved (default: half of what a surgeon's pin is off)."""

STEP_TIMES: Final = 6.0
"""And so many times the usual change from slice to slice there."""

_LOW_HU, _HIGH_HU = -300.0, 700.0
"""Profiles are of the body and its bones: air and metal are cut."""

_BESIDE: Final = 4
_LEAST_SLICES: Final = 12


def quality_findings(planes: NDArray[np.int16], spacing_mm: Array) -> tuple[Finding, ...]:
    """Warnings about a CT.

    Parameters
    ----------
    planes : (nk, nj, ni) int16
        Hounsfield units as SimpleITK stores them: slice by slice.
    spacing_mm : (3,) float
        Voxel edges along i, j, k.
    """
    found = []
    metal_mm3 = float(np.count_nonzero(planes > METAL_HU)) * float(np.prod(spacing_mm))
    if metal_mm3 >= LEAST_METAL_MM3:
        text = (
            f"{metal_mm3 / 1000.0:.1f} cm3 of the CT is metal (above {METAL_HU} HU): streaks hide cortex and foramina, "
            "and a plan keeps clear only of metal that the label map names"
        )
        found.append(Finding("ct-metal", "warning", text))
    steps = slice_steps_mm(planes, spacing_mm)
    moved = moved_slices(steps)
    if moved:
        worst = max(moved, key=lambda k: steps[k])
        where = f"the largest {steps[worst]:.1f} mm between slices {worst} and {worst + 1}"
        text = f"{len(moved)} step(s) between slices, {where}: the patient seems to have moved"
        found.append(Finding("ct-motion", "warning", text))
    return tuple(found)


def slice_steps_mm(planes: NDArray[np.int16], spacing_mm: Array) -> Array:
    """How far each slice lies beside the one before, by the profiles of both along i and j, (nk - 1,) mm."""
    columns, rows = [], []
    for plane in planes:
        cut = np.clip(plane, _LOW_HU, _HIGH_HU) - np.float32(_LOW_HU)
        columns.append(cut.sum(axis=0, dtype=np.float64))
        rows.append(cut.sum(axis=1, dtype=np.float64))
    along = [_shifts(np.stack(profiles)) for profiles in (columns, rows)]
    return np.hypot(along[0] * float(spacing_mm[0]), along[1] * float(spacing_mm[1]))


def _shifts(profiles: Array) -> Array:
    """Shift from each profile to the next in samples, where the change is one: least squares on the slope.

    A profile of one sample has no slope, and shows no shift.
    """
    if profiles.shape[1] < 2:
        return np.zeros(len(profiles) - 1)
    smooth = ndimage.gaussian_filter1d(profiles, 3.0, axis=1)
    slope = np.gradient(smooth, axis=1)
    mean = 0.5 * (slope[1:] + slope[:-1])
    change = smooth[1:] - smooth[:-1]
    energy = (mean**2).sum(axis=1)
    return np.asarray(-(change * mean).sum(axis=1) / np.where(energy > 0, energy, 1.0))


def moved_slices(steps_mm: Array) -> list[int]:
    """Where a step stands out of those beside it; the first and last slices have too few beside them."""
    if len(steps_mm) < _LEAST_SLICES:
        return []
    out = []
    for k in range(_BESIDE, len(steps_mm) - _BESIDE):
        beside = np.concatenate([steps_mm[k - _BESIDE : k], steps_mm[k + 1 : k + 1 + _BESIDE]])
        if steps_mm[k] > STEP_MM and steps_mm[k] > STEP_TIMES * float(np.median(beside)):
            out.append(k)
    return out
