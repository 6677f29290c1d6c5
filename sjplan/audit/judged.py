"""What the judge says of implants as they lie: clearances now, limits that do not hold, grades of breaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from sjplan.anatomy.types import Anatomy
from sjplan.audit.deviations import deviation
from sjplan.audit.types import ImplantAudit, PlacedImplant, PlannedImplant, SideAudit
from sjplan.core.implant import ImplantModel
from sjplan.core.limits import Limits
from sjplan.core.plan import Side
from sjplan.core.scoring import GradeScheme
from sjplan.core.trajectory import Trajectory
from sjplan.safety.judge import verdict
from sjplan.safety.measures import axis_passage, breach_of, clearances, implant_margins
from sjplan.safety.surfaces import MeasuringSurfaces, measuring_surfaces
from sjplan.safety.types import Clearance, ImplantMargins

NOT_OF_PLACING: Final = ("catalogue_length",)
"""Limits on what is ordered, not on how it lies: a measured length is none of the catalogue's to the micron."""


def audit_side(
    side: Side,
    planned: Sequence[PlannedImplant],
    placed: Mapping[int, PlacedImplant],
    extra: Sequence[PlacedImplant],
    anatomy: Anatomy,
    limits: Limits,
    schemes: Mapping[str, GradeScheme],
) -> SideAudit:
    """Compare one side's implants with their plan, and judge them as they lie.

    Parameters
    ----------
    side : {"left", "right"}
        Which side.
    planned : sequence of PlannedImplant
        Of that side, slots ascending.
    placed : mapping of slot to PlacedImplant
        What was found for them.
    extra : sequence of PlacedImplant
        What lies on that side and was not planned.
    anatomy : Anatomy
        Of the labels that the plan was made on.
    limits : Limits
        What has to hold.
    schemes : mapping of name to GradeScheme
        How breaches are graded.

    Raises
    ------
    AnatomyError
        If that side has no joint.
    """
    surfaces = measuring_surfaces(anatomy, side)
    margins = {p.slot: _margins(surfaces, p.slot, placed[p.slot], limits) for p in planned if p.slot in placed}
    report = verdict(tuple(margins.values()), anatomy, limits, side) if margins else None
    rows = [_row(side, p, placed[p.slot], margins[p.slot], schemes) for p in planned if p.slot in placed]
    rows += [_extra_row(side, own, _clearances_alone(surfaces, own, limits), schemes) for own in extra]
    return SideAudit(
        side=side,
        implants=tuple(rows),
        missing=tuple(p.slot for p in planned if p.slot not in placed),
        report=report,
        violations=tuple(v for v in (report.violations if report else ()) if v.constraint not in NOT_OF_PLACING),
    )


def _margins(surfaces: MeasuringSurfaces, slot: int, own: PlacedImplant, limits: Limits) -> ImplantMargins:
    """Everything measured on one implant; gaps between implants are those of the roll that it is given."""
    return replace(implant_margins(surfaces, slot, _measured(own), limits), trajectory=own.trajectory)


def _row(
    side: Side, planned: PlannedImplant, own: PlacedImplant, margins: ImplantMargins, schemes: Mapping[str, GradeScheme]
) -> ImplantAudit:
    off = deviation(planned.trajectory, own.trajectory, roll_known=own.roll_known)
    breach_mm, breached = breach_of(margins.clearances)
    grades = {name: scheme.grade(breach_mm) for name, scheme in schemes.items()}
    return ImplantAudit(side, planned, own, off, margins, margins.clearances, breach_mm, breached, grades)


def _extra_row(
    side: Side, own: PlacedImplant, found: tuple[Clearance, ...], schemes: Mapping[str, GradeScheme]
) -> ImplantAudit:
    breach_mm, breached = breach_of(found)
    grades = {name: scheme.grade(breach_mm) for name, scheme in schemes.items()}
    return ImplantAudit(side, None, own, None, None, found, breach_mm, breached, grades)


def _clearances_alone(surfaces: MeasuringSurfaces, own: PlacedImplant, limits: Limits) -> tuple[Clearance, ...]:
    trajectory = _measured(own)
    passes = axis_passage(surfaces, trajectory).crossing_mm is not None
    return clearances(surfaces, trajectory, limits, passes=passes)


def _measured(placed: PlacedImplant) -> Trajectory:
    """What the judge measures: where the roll is not known, the cylinder round every roll."""
    model = placed.trajectory.model
    if placed.roll_known or model.section == "cylinder":
        return placed.trajectory
    return replace(placed.trajectory, model=any_roll(model))


def any_roll(model: ImplantModel) -> ImplantModel:
    """The cylinder that holds a model at every roll.

    Examples
    --------
    >>> any_roll(ImplantModel("tri-7", "triangular 7 mm", "triangle", 3.5, 1.0, (40.0,))).inscribed_radius_mm
    6.0
    """
    radius = model.circumscribed_radius_mm
    return ImplantModel(model.id, model.summary, "cylinder", radius, radius, model.lengths_mm, model.sources)
