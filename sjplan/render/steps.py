"""What lies in the patient at each step of an implant: for the sheet of predicted views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from numpy.typing import ArrayLike

from sjplan.core.arrays import check_vector
from sjplan.core.trajectory import Trajectory
from sjplan.xray.solids import Pin

PIN_OUTSIDE_MM: Final = 110.0
"""How far the pin reaches out of the lateral end: through 50 to 90 mm of soft tissue (CLINICAL.md 4.6, recalled)
and out of the skin."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step: its name, what to look for, and the metal that is there."""

    name: str
    note: str
    implants: Mapping[int, Trajectory]
    pins: tuple[Pin, ...]


def steps_of(
    slot: int, implants: Mapping[int, Trajectory], crossing_lps_mm: ArrayLike | None = None
) -> tuple[Step, ...]:
    """The steps of one implant: pin at the joint, pin at depth, implant; implants of lower slots are in already.

    Parameters
    ----------
    slot : int
        Which implant is put in.
    implants : mapping of slot to Trajectory
        The whole plan.
    crossing_lps_mm : (3,) float, optional
        Where the axis crosses the joint (`ImplantMargins.crossing_lps_mm`); without it there is no first step.

    Examples
    --------
    >>> from sjplan.core.implant import ImplantModel
    >>> rod = ImplantModel("rod", "a rod", "cylinder", 3.65, 3.65, (40.0,))
    >>> plan = {1: Trajectory((60, 0, 0), (20, 0, 0), 0.0, rod)}
    >>> for step in steps_of(1, plan, (42, 0, 0)):
    ...     print(step.name, "|", step.note, "|", len(step.pins))
    pin at the joint | tip 18 mm from the lateral end | 1
    pin at depth | tip 40 mm from the lateral end | 1
    implant | rod, 40 mm | 0
    """
    trajectory = implants[slot]
    before = {s: t for s, t in implants.items() if s < slot}
    outer = trajectory.entry_lps_mm - PIN_OUTSIDE_MM * trajectory.axis
    steps = []
    if crossing_lps_mm is not None:
        crossing = check_vector("crossing_lps_mm", crossing_lps_mm)
        depth = float((crossing - trajectory.entry_lps_mm) @ trajectory.axis)
        pin = Pin(outer, trajectory.entry_lps_mm + depth * trajectory.axis)
        steps.append(Step("pin at the joint", f"tip {depth:.0f} mm from the lateral end", before, (pin,)))
    length = trajectory.length_mm
    pin = Pin(outer, trajectory.tip_lps_mm)
    steps.append(Step("pin at depth", f"tip {length:.0f} mm from the lateral end", before, (pin,)))
    done = {**before, slot: trajectory}
    steps.append(Step("implant", f"{trajectory.model.id}, {length:.0f} mm", done, ()))
    return tuple(steps)
