"""One case: implants found wherever they were sought, each side compared with its plan and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from sjplan.anatomy.types import Anatomy
from sjplan.audit.deviations import roll_of_corner
from sjplan.audit.judged import audit_side
from sjplan.audit.lines import Found, lateral_first, placed_from_lines
from sjplan.audit.meshes import mesh_pieces, placed_from_meshes
from sjplan.audit.metal import metal_in, placed_from_metal
from sjplan.audit.registration import register
from sjplan.audit.types import ImplantAudit, PlacedImplant, PlannedImplant, Registration, Segment, SideAudit
from sjplan.core.arrays import Array
from sjplan.core.errors import InputError
from sjplan.core.frames import SIDE_SIGN
from sjplan.core.limits import Limits
from sjplan.core.plan import Side
from sjplan.core.scoring import GradeScheme
from sjplan.core.trajectory import Trajectory
from sjplan.core.volume import CtVolume


@dataclass(frozen=True, slots=True, eq=False)
class CaseAudit:
    """One case: every side that was planned, the registration where there was one, and what a person should know."""

    sides: tuple[SideAudit, ...]
    registration: Registration | None = None
    notes: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether every side is accepted as it lies."""
        return all(side.accepted for side in self.sides)

    @property
    def compared(self) -> tuple[ImplantAudit, ...]:
        """Implants that were planned and placed."""
        return tuple(i for side in self.sides for i in side.implants if i.deviation is not None)


def found_in_plan(planned: Sequence[PlannedImplant], placed: Sequence[PlannedImplant]) -> Found:
    """Implants of a second plan, paired by side and slot.

    Parameters
    ----------
    planned, placed : sequence of PlannedImplant
        Of the plan and of what was placed.
    """
    by_place = {(p.side, p.slot): PlacedImplant(f"{p.side} {p.slot}", p.trajectory, True) for p in placed}
    rows = {n: by_place.pop((p.side, p.slot)) for n, p in enumerate(planned) if (p.side, p.slot) in by_place}
    return rows, list(by_place.values())


def found_by_lines(planned: Sequence[PlannedImplant], lines: Sequence[Segment]) -> Found:
    """Implants along lines; see `placed_from_lines`."""
    return placed_from_lines(planned, lines)


def found_in_meshes(planned: Sequence[PlannedImplant], meshes: Sequence[tuple[str, Array, Array]]) -> Found:
    """Implants in meshes (name, vertices in LPS mm, triangles); one mesh may hold several.

    Raises
    ------
    InputError
        As for `mesh_pieces` and `placed_from_meshes`.
    """
    pieces = []
    for name, vertices, triangles in meshes:
        own = mesh_pieces(vertices, np.asarray(triangles, dtype=np.int32), name)
        pieces += [(name if len(own) == 1 else f"{name} {n}", points) for n, points in enumerate(own, 1)]
    return placed_from_meshes(planned, pieces)


def found_in_ct(
    planned: Sequence[PlannedImplant], anatomy: Anatomy, ct: CtVolume
) -> tuple[Found, Registration, tuple[str, ...]]:
    """Implants that show as metal in a CT, laid onto the plan by bone.

    Raises
    ------
    InputError
        Where the bones do not lie on each other, and where the CT shows no implant.
    """
    registration = register(anatomy, ct)
    metal = metal_in(ct, planned, registration.plan_from_ct)
    if not metal.pieces:
        raise InputError(
            "post-operative CT", found="no metal of an implant's shape", wanted="implants to compare",
            fix="check that the CT was made after the operation",
        )  # fmt: skip
    notes = (f"{metal.others} piece(s) of metal have no implant's shape and were left out",) if metal.others else ()
    return placed_from_metal(ct, planned, metal, registration.plan_from_ct), registration, notes


def compare(
    planned: Sequence[PlannedImplant],
    found: Found,
    anatomy: Anatomy,
    limits: Limits,
    schemes: Mapping[str, GradeScheme],
    *,
    sides: Sequence[Side] = get_args(Side),
    registration: Registration | None = None,
    notes: Sequence[str] = (),
) -> CaseAudit:
    """Compare and judge every side on which something was planned, or lies.

    Parameters
    ----------
    planned : sequence of PlannedImplant
        At least one.
    found : (dict, list)
        Placed implants by the index of their plan, and extra ones.
    anatomy, limits, schemes
        As in `audit_side`.
    sides : sequence of {"left", "right"}
        Those that are asked for.
    registration, notes
        Passed on.
    """
    placed, extra = found
    across = float(anatomy.frame.origin_lps_mm[0])
    audited = []
    for side in sides:
        own = [p for p in planned if p.side == side]
        by_slot = {planned[n].slot: p for n, p in placed.items() if planned[n].side == side}
        beside = [_turned(p, across) for p in extra if _side_of(p, across) == side]
        if own or beside:
            audited.append(audit_side(side, own, by_slot, beside, anatomy, limits, schemes))
    return CaseAudit(tuple(audited), registration, tuple(notes))


def _side_of(placed: PlacedImplant, across: float) -> Side:
    ends = np.array([placed.trajectory.entry_lps_mm[0], placed.trajectory.tip_lps_mm[0]]) - across
    outer = ends[np.argmax(np.abs(ends))]
    return "left" if outer * SIDE_SIGN["left"] > 0 else "right"


def _turned(placed: PlacedImplant, across: float) -> PlacedImplant:
    """An implant whose entry is its lateral end: nobody planned it, so nothing else says which end that is."""
    t = placed.trajectory
    ends = lateral_first(Segment(placed.name, np.stack([t.entry_lps_mm, t.tip_lps_mm])), across).ends_lps_mm
    if np.array_equal(ends[0], t.entry_lps_mm):
        return placed
    corner = t.section_axes()[0]
    back = Trajectory(ends[0], ends[1], roll_of_corner(-t.axis, corner), t.model)
    return PlacedImplant(placed.name, back, placed.roll_known, placed.fit_rms)
