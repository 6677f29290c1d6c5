"""Meshes of placed implants: the planned model laid into each, by its surface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sjplan.audit.deviations import roll_of_corner, shortest_turn
from sjplan.audit.lines import Found, nearest_planned
from sjplan.audit.pairing import laid_along, paired
from sjplan.audit.types import PlacedImplant, PlannedImplant, Segment
from sjplan.core.arrays import Array, unit
from sjplan.core.errors import InputError
from sjplan.core.implant import ImplantModel
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import implant_solid, signed_distance

WORST_RMS_MM: Final = 0.5
"""A mesh that the planned model leaves over more of than this is another implant (default): exports of a plan leave
nothing over, a 7 mm triangle laid into a 10 mm cylinder a millimetre."""

MOST_POINTS: Final = 4000
"""Vertices that are fitted; of finer meshes every so-manieth."""

MOST_PIECES: Final = 64
"""A mesh in more pieces than this holds something else than one patient's implants."""

LEAST_POINTS: Final = 8
"""Corners of a box; with fewer, no implant's place can be told."""

_ROLLS: Final = 6


def mesh_pieces(vertices_lps_mm: Array, triangles: NDArray[np.int32], name: str = "mesh") -> list[Array]:
    """The vertices of each connected piece of a mesh; corners at the same place count as one.

    Raises
    ------
    InputError
        For more pieces than one patient has implants; it calls the mesh by `name`.
    """
    points, index = np.unique(np.round(vertices_lps_mm, 5), axis=0, return_inverse=True)
    faces = index.reshape(-1)[triangles]
    edges = np.concatenate([faces[:, :2], faces[:, 1:]])
    links = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(len(points), len(points)))
    count, piece = connected_components(links, directed=False)
    _check_count(name, count)
    return [points[piece == n] for n in range(count)]


def _check_count(name: str, pieces: int) -> None:
    if pieces > MOST_PIECES:
        raise InputError(
            name, found=f"{pieces} loose pieces", wanted=f"one patient's implants, at most {MOST_PIECES}",
            fix="give closed meshes of the implants alone",
        )  # fmt: skip


def segment_of(name: str, points_lps_mm: Array) -> Segment:
    """Axis and ends of an elongated piece, by its principal axis."""
    middle = points_lps_mm.mean(axis=0)
    axis = np.linalg.svd(points_lps_mm - middle, full_matrices=False)[2][0]
    along = (points_lps_mm - middle) @ axis
    middle = middle + 0.5 * (along.min() + along.max()) * axis
    half = 0.5 * (along.max() - along.min()) * axis
    return Segment(name, np.stack([middle - half, middle + half]))


def placed_from_meshes(planned: Sequence[PlannedImplant], pieces: Sequence[tuple[str, Array]]) -> Found:
    """Implants of the planned models laid into pieces of meshes.

    Parameters
    ----------
    planned : sequence of PlannedImplant
        At least one.
    pieces : sequence of (name, (n, 3) float)
        Vertices of each implant's mesh, LPS mm in the frame of the plan.

    Raises
    ------
    InputError
        For a mesh that is not the planned model, is no solid, or is one of too many.
    """
    _check_count("meshes", len(pieces))
    for name, points in pieces:
        if len(points) < LEAST_POINTS:
            raise InputError(
                name, found=f"a piece of {len(points)} corners", wanted="the closed mesh of an implant",
                fix="give closed meshes of the implants alone",
            )  # fmt: skip
    segments = [segment_of(name, points) for name, points in pieces]
    pairing = paired(planned, segments)
    placed = {
        row: _fitted(planned[row].trajectory, segments[column], pieces[column][1]) for row, column in pairing.pairs
    }
    extra = [
        _fitted(nearest_planned(planned, segments[n]).trajectory, segments[n], pieces[n][1]) for n in pairing.extra
    ]
    return placed, extra


def _fitted(planned: Trajectory, found: Segment, points: Array) -> PlacedImplant:
    points = points[:: max(1, len(points) // MOST_POINTS)]
    entry, tip = laid_along(planned, found).ends_lps_mm
    trajectory, rms = fitted_to_points(planned.model, entry, tip, points)
    if rms > WORST_RMS_MM:
        raise InputError(
            found.name, found=f"a mesh that {planned.model.id} leaves {rms:.2f} mm over of",
            wanted=f"an implant of the planned model (within {WORST_RMS_MM:g} mm)",
            fix="give meshes of the implants alone, in mm; or a plan with the models that were placed",
        )  # fmt: skip
    return PlacedImplant(found.name, trajectory, planned.model.section == "triangle", rms)


def fitted_to_points(model: ImplantModel, entry: Array, tip: Array, points: Array) -> tuple[Trajectory, float]:
    """The implant whose surface passes nearest to points (n, 3), and what is left over (rms, mm).

    Parameters
    ----------
    model : ImplantModel
        What was placed.
    entry, tip : (3,) float
        About where.
    points : (n, 3) float
        On its surface, LPS mm.
    """
    rolls = np.arange(_ROLLS) * 120.0 / _ROLLS if model.section == "triangle" else np.zeros(1)
    trials = [Trajectory(entry, tip, float(roll), model) for roll in rolls]
    start = min(trials, key=lambda t: float(np.sum(signed_distance(implant_solid(t), points) ** 2)))

    def off_mm(change: Array) -> Array:
        return signed_distance(implant_solid(changed(start, change)), points)

    result = least_squares(off_mm, np.zeros(7 if model.section == "triangle" else 6), method="lm", xtol=1e-10)
    return changed(start, result.x), float(np.sqrt(np.mean(result.fun**2)))


def changed(start: Trajectory, change: Array) -> Trajectory:
    """A trajectory with its ends moved by `change[:6]` (mm) and rolled on by `change[6]` (radians), if there is one.

    The corner goes with the axis the shortest way, so that moving an end does not roll the section.
    """
    entry, tip = start.entry_lps_mm + change[:3], start.tip_lps_mm + change[3:6]
    axis = unit(tip - entry)
    corner = shortest_turn(start.axis, axis) @ start.section_axes()[0]
    roll = roll_of_corner(axis, corner) + (np.degrees(change[6]) if len(change) > 6 else 0.0)
    return Trajectory(entry, tip, float(roll), start.model)
