"""Lines that somebody drew on a placed implant: two ends, no roll."""

from __future__ import annotations

from collections.abc import Sequence

from sjplan.audit.deviations import roll_of_corner, shortest_turn
from sjplan.audit.pairing import laid_along, paired
from sjplan.audit.types import PlacedImplant, PlannedImplant, Segment
from sjplan.core.arrays import unit
from sjplan.core.trajectory import Trajectory

Found = tuple[dict[int, PlacedImplant], list[PlacedImplant]]
"""Placed implants by the index of their plan, and those that nobody planned."""


def placed_from_lines(planned: Sequence[PlannedImplant], lines: Sequence[Segment]) -> Found:
    """Implants of the planned models along lines; one that nobody planned takes the model of the nearest.

    Parameters
    ----------
    planned : sequence of PlannedImplant
        At least one.
    lines : sequence of Segment
        In the frame of the plan.
    """
    pairing = paired(planned, lines)
    placed = {row: _along(planned[row].trajectory, lines[column]) for row, column in pairing.pairs}
    return placed, [_along(nearest_planned(planned, lines[n]).trajectory, lines[n]) for n in pairing.extra]


def nearest_planned(planned: Sequence[PlannedImplant], found: Segment) -> PlannedImplant:
    """The planned implant whose middle is nearest to that of a segment."""
    middle = found.ends_lps_mm.mean(axis=0)

    def apart_mm(p: PlannedImplant) -> float:
        offset = 0.5 * (p.trajectory.entry_lps_mm + p.trajectory.tip_lps_mm) - middle
        return float(offset @ offset)

    return min(planned, key=apart_mm)


def lateral_first(found: Segment, across: float) -> Segment:
    """A segment with its lateral end first; `across` is the mid-sagittal plane's x."""
    first, last = abs(found.ends_lps_mm[:, 0] - across)
    return found if first >= last else Segment(found.name, found.ends_lps_mm[::-1])


def _along(planned: Trajectory, found: Segment) -> PlacedImplant:
    """An implant along a line, with the planned roll: nothing says another."""
    entry, tip = laid_along(planned, found).ends_lps_mm
    axis = unit(tip - entry)
    roll = roll_of_corner(axis, shortest_turn(planned.axis, axis) @ planned.section_axes()[0])
    return PlacedImplant(found.name, Trajectory(entry, tip, roll, planned.model), roll_known=False)
