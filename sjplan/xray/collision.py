"""Whether the arm's ends have room: tube housing and detector against the patient's skin and the table.

Sizes of housings and table are defaults: what mobile C-arms and carbon tables have roughly. Gaps are never too large:
what is sampled counts as near as it can be between the samples, and beyond the scan's ends towards head and feet the
body goes on as it is cut there.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.volume import CtVolume
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.types import CArm, Detector

TUBE_RADIUS_MM, TUBE_BEHIND_MM, TUBE_BEFORE_MM = 75.0, 140.0, 50.0
"""Tube housing: a cylinder about the central ray, from so far behind the focal spot to so far before it."""

DETECTOR_BEYOND_MM, DETECTOR_THICK_MM = 20.0, 60.0
"""Detector housing: so much wider than the field on every side, and behind the entrance so thick."""

TABLE_HALF_WIDTH_MM, TABLE_THICK_MM = 260.0, 40.0
"""Table: under the belly, without an end towards head and feet."""

_SKIN_HU: Final = -300.0
_STEP_MM: Final = 8.0
_BETWEEN_MM: Final = math.sqrt(0.5) * _STEP_MM
"""No point of a sampled face lies farther from the nearest sample of it."""

_BEYOND_SCAN_MM: Final = 900.0


class Room(NamedTuple):
    """One end of the arm has at least this gap from one obstacle, in mm.

    Negative where it may be inside; how deep is not said.
    """

    part: str
    obstacle: str
    gap_mm: float


class Surroundings(NamedTuple):
    """Points of the patient, (n, 3) LPS mm, and the height of the table's top (posterior is up).

    All that was scanned of the patient lies within `within_mm` of these points, and the table's top within it of that
    height.
    """

    patient_lps_mm: Array
    table_top_mm: float
    table_middle_mm: float
    within_mm: float = 0.0


def surroundings(ct: CtVolume) -> Surroundings:
    """A prone patient and the table; no points where the scan holds only air.

    The points are the middles of blocks of about 8 mm with any tissue in them; where the scan cuts the body towards
    head or feet, these are set forth for 900 mm.
    """
    step = np.maximum(np.rint(_STEP_MM / ct.grid.spacing_mm).astype(int), 1)
    tissue = ct.hu > _SKIN_HU
    for axis in range(3):
        tissue = np.logical_or.reduceat(tissue, np.arange(0, tissue.shape[axis], step[axis]), axis=axis)
    index = np.argwhere(tissue)
    if not len(index):
        return Surroundings(np.empty((0, 3)), float("-inf"), 0.0)
    along = int(np.argmax(np.abs(ct.grid.direction[2])))
    points = ct.grid.lps_from_ijk(index * step + 0.5 * (step - 1))
    farther = np.arange(_STEP_MM, _BEYOND_SCAN_MM, _STEP_MM)[:, None, None] * np.array([0.0, 0.0, 1.0])
    ends = [points[index[:, along] == end] for end in (0, tissue.shape[along] - 1)]
    cranial_first = ct.grid.direction[2, along] < 0
    for end, way in zip(ends, (1.0, -1.0) if cranial_first else (-1.0, 1.0), strict=True):
        points = np.concatenate([points, (end + way * farther).reshape(-1, 3)])
    within = 0.5 * float(np.linalg.norm(step * ct.grid.spacing_mm))
    return Surroundings(points, float(points[:, 1].min()), float(np.median(points[:, 0])), within)


def room(around: Surroundings, carm: CArm, detector: Detector) -> tuple[Room, ...]:
    """What gap tube and detector have at least from patient and table, those with an obstacle only.

    Parameters
    ----------
    around : Surroundings
        See `surroundings`.
    carm, detector : CArm, Detector
        How the arm stands.

    Examples
    --------
    >>> block = Surroundings(np.array([[0.0, 0.0, 0.0]]), -100.0, 0.0)
    >>> [(r.part, r.obstacle, round(r.gap_mm)) for r in room(block, CArm(0, 0, 0, (0, 0, 0), 650, 1020), Detector())]
    [('tube', 'patient', 600), ('tube', 'table', 454), ('detector', 'patient', 370), ('detector', 'table', 464)]
    """
    geometry = CArmGeometry.of(carm, detector)
    column, row = (step / np.linalg.norm(step) for step in (geometry.column_step_lps_mm, geometry.row_step_lps_mm))
    axes = np.stack([column, row, np.cross(column, row)])
    entrance = geometry.source_lps_mm + carm.source_to_detector_mm * axes[2]
    half = 0.5 * detector.pixel_mm * np.array([detector.columns, detector.rows]) + DETECTOR_BEYOND_MM
    plate = np.array([*half, 0.5 * DETECTOR_THICK_MM])
    centre = entrance + plate[2] * axes[2]
    tube = geometry.source_lps_mm + 0.5 * (TUBE_BEFORE_MM - TUBE_BEHIND_MM) * axes[2]
    tube_half = 0.5 * (TUBE_BEFORE_MM + TUBE_BEHIND_MM)
    found = []
    parts = {"tube": (tube, None), "detector": (centre, plate)}
    for name, (middle, box) in parts.items():
        if len(around.patient_lps_mm):
            local = (around.patient_lps_mm - middle) @ axes.T
            gaps = _to_cylinder(local, TUBE_RADIUS_MM, tube_half) if box is None else _to_box(local, box)
            found.append(Room(name, "patient", float(gaps.min()) - around.within_mm))
        if np.isfinite(around.table_top_mm):
            skin = _tube_skin(tube_half) if box is None else _box_skin(box)
            gap = _to_table(skin @ axes + middle, around)
            found.append(Room(name, "table", gap - around.within_mm - _BETWEEN_MM))
    return tuple(found)


def _to_box(local: Array, half: Array) -> Array:
    """Signed distance of points to a box about the origin."""
    beyond = np.abs(local) - half
    return np.asarray(np.linalg.norm(np.maximum(beyond, 0.0), axis=-1) + np.minimum(beyond.max(axis=-1), 0.0))


def _to_cylinder(local: Array, radius: float, half: float) -> Array:
    """Signed distance of points to a cylinder about the third axis."""
    beyond = np.stack([np.hypot(local[..., 0], local[..., 1]) - radius, np.abs(local[..., 2]) - half], axis=-1)
    return np.asarray(np.linalg.norm(np.maximum(beyond, 0.0), axis=-1) + np.minimum(beyond.max(axis=-1), 0.0))


def _to_table(points: Array, around: Surroundings) -> float:
    middle = np.array([around.table_middle_mm, around.table_top_mm - 0.5 * TABLE_THICK_MM, 0.0])
    half = np.array([TABLE_HALF_WIDTH_MM, 0.5 * TABLE_THICK_MM, np.inf])
    return float(_to_box(np.where([True, True, False], points - middle, 0.0), half).min())


def _tube_skin(half: float) -> Array:
    """Points of the side of the tube housing, at most 8 mm apart either way."""
    angle = np.linspace(0.0, 2.0 * np.pi, _count(2.0 * np.pi * TUBE_RADIUS_MM), endpoint=False)
    along = np.linspace(-half, half, _count(2.0 * half))
    a, z = (grid.ravel() for grid in np.meshgrid(angle, along))
    return np.column_stack([TUBE_RADIUS_MM * np.cos(a), TUBE_RADIUS_MM * np.sin(a), z])


def _box_skin(half: Array) -> Array:
    """Points of the faces of a box, at most 8 mm apart either way."""
    across = [np.linspace(-h, h, _count(2.0 * h)) for h in half]
    points = np.stack(np.meshgrid(*across, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray(points[(np.abs(points) >= half - 1e-9).any(axis=1)])


def _count(length_mm: float) -> int:
    return math.ceil(length_mm / _STEP_MM) + 1
