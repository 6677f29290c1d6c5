"""Slices in the order of their positions, and the grid they lie on; what is no plain stack is repaired or refused.

A plain stack is one whose pictures have one size and orientation, follow each other along their common normal, and are
the same distance apart. Two departures can be repaired by resampling (see `dicom_repair`): pictures that are each
shifted sideways a little more than the one before, as a tilted gantry makes them, and unequal distances.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.errors import InputError
from sjplan.core.findings import Finding
from sjplan.core.grid import Grid
from sjplan.io.dicom_headers import Slice
from sjplan.io.headers import SPACING_RANGE_MM, make_grid
from sjplan.io.payload import MAX_VOXELS

SHEAR_TOL_MM: Final = 0.1
"""Largest sideways shift of a slice from the stack's normal (mm): positions are often rounded to 0.1 mm."""

UNEVEN_TOL: Final = 0.01
"""Largest departure of a slice distance from the typical one, as a share of it; 0.01 mm more are let pass."""

DRIFT_TOL_MM: Final = 0.1
"""Farthest that a slice of an even stack may lie from its place on the grid (mm): small departures can add up."""

MAX_TILT_DEG: Final = 45.0
"""Largest shear that is taken for a tilted gantry; they tilt by 30 degrees at most."""

CROOKED_TOL_MM: Final = 0.5
"""Largest sideways departure of a slice from the line of a tilted stack (mm): more is two scans in one series."""

UNSEEN: Final = 1.5
"""A gap of more than so many slice thicknesses holds bone that no slice has seen: nothing is interpolated over it."""

_IOP_TOL = 1e-3  # direction cosines are decimal strings, often of four digits


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Slices in stack order, where each lies, and the grid that the volume gets.

    Parameters
    ----------
    slices : tuple of Slice
        In the order of `heights_mm`.
    grid : Grid
        Of the volume. Its axes are those of the pictures; equal to the slices' own unless `repaired`.
    heights_mm : (n,) float
        Of each slice along the normal, from the first.
    shifts_mm : (n, 2) float
        Of each slice along its row and its column, from the first slice; 0 unless a gantry was tilted.
    uneven : bool
        Whether slices have to be mixed, because they are unequally far apart.
    findings : tuple of Finding
        What was repaired.
    """

    slices: tuple[Slice, ...]
    grid: Grid
    heights_mm: Array
    shifts_mm: Array
    uneven: bool
    findings: tuple[Finding, ...]

    @property
    def repaired(self) -> bool:
        """Whether the volume has to be resampled from the slices."""
        return self.uneven or bool(self.shifts_mm.any())


def refuse(what: str, found: str, wanted: str, fix: str = "export the original axial series again") -> InputError:
    """The error for a series that is no CT volume; by default the remedy is a new export."""
    return InputError(what, found=found, wanted=wanted, fix=fix)


def stacked(what: str, slices: Sequence[Slice]) -> Stack:
    """Check a series and lay its slices on a grid.

    Raises
    ------
    InputError
        Naming what breaks the series: mixed size, spacing or orientation, missing or repeated positions, missing
        slices, gaps, slices shifted sideways without order.
    """
    first = slices[0]
    _check_same(what, slices)
    if len(slices) < 2:
        raise refuse(what, "one slice", "a stack of slices", "name the folder of the whole series, or export it all")
    direction = direction_of(what, first.orientation)
    positions = np.array([s.position for s in slices])
    order = np.argsort(positions @ direction[:, 2], kind="stable")
    positions, ordered = positions[order], tuple(slices[i] for i in order)
    offsets = (positions - positions[0]) @ direction
    heights, shifts = offsets[:, 2], offsets[:, :2]
    gaps = np.diff(heights)
    if float(gaps.min()) < 1e-3:
        raise refuse(what, "two slices at one position", "each position once", "remove copies, or separate two scans")
    tilted = float(np.linalg.norm(shifts, axis=1).max()) > SHEAR_TOL_MM
    typical = float(np.median(gaps))
    drift = float(np.abs(heights - np.linspace(0.0, heights[-1], len(heights))).max())
    uneven = bool((np.abs(gaps - typical) > UNEVEN_TOL * typical + 0.01).any()) or drift > DRIFT_TOL_MM
    wrong = f"{tilt_text(heights, shifts)}; " if tilted else ""
    if tilted:
        _check_tilt(what, heights, shifts)
    if uneven:
        _check_gaps(what, ordered, gaps, typical, wrong)
    if not tilted and not uneven:
        step, count = float(heights[-1] / (len(slices) - 1)), len(slices)
        grid = _grid(what, first, count, step, positions[0], direction)
        return Stack(ordered, grid, heights, np.zeros_like(shifts), False, ())
    return _repaired(what, ordered, positions[0], direction, heights, shifts if tilted else 0.0 * shifts, uneven)


def _repaired(
    what: str, slices: tuple[Slice, ...], origin: Array, direction: Array, heights: Array, shifts: Array, uneven: bool
) -> Stack:
    """The grid for slices that have to be resampled: axes of the pictures, wide enough to hold all of them."""
    first, gaps, findings = slices[0], np.diff(heights), []
    intervals = len(slices) - 1
    if uneven:
        intervals = max(round(float(heights[-1] / gaps.max())), 1)
    step = float(heights[-1] / intervals)
    low = np.floor(shifts.min(axis=0) / _pixel(first) + 1e-6)
    high = np.ceil(shifts.max(axis=0) / _pixel(first) - 1e-6)
    start = origin + direction[:, :2] @ (low * _pixel(first))
    extra = tuple(int(n) for n in high - low) if shifts.any() else (0, 0)
    start = start if shifts.any() else origin
    if shifts.any():
        findings.append(Finding(
            "dicom-gantry-tilt", "warning",
            f"The gantry was tilted by {tilt_deg(heights, shifts):.1f} degrees: the slices are sheared. They were "
            "moved back within their own planes, onto an unsheared grid (linear interpolation, air outside).",
        ))  # fmt: skip
    if uneven:
        findings.append(Finding(
            "dicom-uneven-slices", "warning",
            f"The slices are {gaps.min():.2f} to {gaps.max():.2f} mm apart. They were resampled to one distance of "
            f"{step:.2f} mm, about the largest, so that the grid promises no more detail than the coarsest part has.",
        ))  # fmt: skip
    grid = _grid(what, first, intervals + 1, step, start, direction, extra)
    return Stack(slices, grid, heights, shifts, uneven, tuple(findings))


def _pixel(first: Slice) -> Array:
    """Pixel size along a row and along a column, in mm (the tag gives them the other way round)."""
    return np.array([first.spacing[1], first.spacing[0]])


def _grid(
    what: str, first: Slice, count: int, step: float, origin: Array, direction: Array, extra: tuple[int, ...] = (0, 0)
) -> Grid:
    spacing = (float(first.spacing[1]), float(first.spacing[0]), step)
    low, high = SPACING_RANGE_MM
    if not all(low <= value <= high for value in spacing):
        raise refuse(what, f"spacing {tuple(float(f'{v:.4g}') for v in spacing)} mm", f"{low:g} to {high:g} mm")
    shape = (first.storage.columns + extra[0], first.storage.rows + extra[1], count)
    if math.prod(shape) > MAX_VOXELS:
        raise refuse(what, " x ".join(map(str, shape)) + " voxels", f"at most {MAX_VOXELS}", "crop it to the pelvis")
    return make_grid(what, shape, spacing, origin, direction)


def _check_same(what: str, slices: Sequence[Slice]) -> None:
    first = slices[0]
    for s in slices:
        if not all(math.isfinite(v) for v in (*s.position, *s.orientation, *s.spacing)):
            raise refuse(what, f"no position, orientation or spacing ({s.called})", "all three in every slice")
    if max(abs(v) for s in slices for v in s.position) > 1e6:
        raise refuse(what, "a position more than a kilometre away", "positions in mm")
    same = (first.storage.rows, first.storage.columns)
    if any((s.storage.rows, s.storage.columns) != same for s in slices):
        raise refuse(what, "slices of different size", "one size")
    if max(float(np.abs(np.subtract(s.spacing, first.spacing)).max()) for s in slices) > 1e-4:
        raise refuse(what, "slices of different pixel spacing", "one spacing")
    if max(float(np.abs(np.subtract(s.orientation, first.orientation)).max()) for s in slices) > _IOP_TOL:
        raise refuse(what, "slices of different orientation (a localiser among them?)", "one orientation")
    if len({s.instance for s in slices}) < len(slices):
        raise refuse(what, "the same slice more than once (SOPInstanceUID)", "each slice once", "remove the copies")


def direction_of(what: str, orientation: tuple[float, ...]) -> Array:
    """(3, 3) direction of a stack: along a row, along a column, and the normal; rounding errors removed.

    DICOM gives these in the patient's own axes (LPS) already: however the patient lay, nothing is turned.
    """
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    errors = (np.linalg.norm(row) - 1.0, np.linalg.norm(column) - 1.0, row @ column)
    if max(abs(e) for e in errors) > _IOP_TOL:
        raise refuse(
            what, f"image axes that are not orthonormal ({list(orientation)})", "two perpendicular unit vectors"
        )
    row = row / np.linalg.norm(row)
    column = column - (column @ row) * row
    column = column / np.linalg.norm(column)
    return np.column_stack([row, column, np.cross(row, column)])


def tilt_deg(heights: Array, shifts: Array) -> float:
    """Angle between the pictures' normal and the line that their origins lie on, by least squares."""
    slope = (heights - heights.mean()) @ (shifts - shifts.mean(axis=0)) / float(np.sum((heights - heights.mean()) ** 2))
    return math.degrees(math.atan(float(np.linalg.norm(slope))))


def tilt_text(heights: Array, shifts: Array) -> str:
    """The tilt in words, for an error."""
    most = float(np.linalg.norm(shifts, axis=1).max())
    return f"a gantry tilt of {tilt_deg(heights, shifts):.1f} degrees (slices are sheared by up to {most:.1f} mm)"


def _check_tilt(what: str, heights: Array, shifts: Array) -> None:
    slope = (heights - heights.mean()) @ (shifts - shifts.mean(axis=0)) / float(np.sum((heights - heights.mean()) ** 2))
    line = shifts.mean(axis=0) + np.outer(heights - heights.mean(), slope)
    crooked = float(np.linalg.norm(shifts - line, axis=1).max())
    if crooked > CROOKED_TOL_MM:
        raise refuse(
            what, f"slices shifted sideways without order, by up to {crooked:.1f} mm from one line",
            "slices stacked along one line", "separate the scans that this series is made of",
        )  # fmt: skip
    if tilt_deg(heights, shifts) > MAX_TILT_DEG:
        raise refuse(what, tilt_text(heights, shifts), f"a tilt of at most {MAX_TILT_DEG:g} degrees")


def _check_gaps(what: str, slices: tuple[Slice, ...], gaps: Array, typical: float, also: str) -> None:
    """Refuse a stack with holes; what lies between slices that touch has been imaged and may be interpolated."""
    whole = np.rint(gaps / typical)
    missing = int((whole - 1).sum())
    if missing and np.abs(gaps / typical - whole).max() < 0.05 and whole.min() == 1:
        raise refuse(
            what, f"{also}{missing} missing slice(s)", f"one slice every {typical:.3g} mm", "export all slices"
        )
    thick = np.array([s.thickness if 0 < s.thickness < math.inf else typical for s in slices])
    seen = UNSEEN * (thick[:-1] + thick[1:]) / 2
    hole = int(np.argmax(gaps - seen))
    if gaps[hole] > seen[hole] + 0.01:
        raise refuse(
            what,
            f"{also}slice distances from {gaps.min():.2f} to {gaps.max():.2f} mm, with a gap of {gaps[hole]:.2f} mm "
            f"between slices {seen[hole] / UNSEEN:.3g} mm thick",
            "slices that leave no bone unseen between them", "export all slices, or only a part without gaps",
        )  # fmt: skip
