"""The debrief: what lies in the bone, what happened on the way there, and which view would have told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sjplan.core.plan import Plan, Side
from sjplan.core.shown import clear_or_out
from sjplan.safety.path_clearance import PathClearance, path_clearance
from sjplan.safety.types import ImplantMargins, MarginReport
from sjplan.training.courses import PinCourse, pin_courses
from sjplan.training.deviation import Deviation, deviations
from sjplan.training.happenings import Happening, Moment, happenings, timeline
from sjplan.training.score import judged
from sjplan.training.session import Session
from sjplan.training.sightings import ImplantSeen, implant_seen
from sjplan.training.state import Implanted
from sjplan.training.theatre import Theatre
from sjplan.views.hides import Viewer
from sjplan.views.patient import views_of_anatomy
from sjplan.xray.types import CArm


@dataclass(frozen=True, slots=True, eq=False)
class ImplantDebrief:
    """One implant as it lies.

    Parameters
    ----------
    side : {"left", "right"}
        Where.
    implanted : Implanted
        The implant and its path.
    margins : ImplantMargins
        The judge's; its `slot` is the implant's number, cranial to caudal.
    clearance : PathClearance
        Along its axis, for a chart.
    seen : tuple of ImplantSeen
        Every structure that it is in, or nearly, and what the shots said of it.
    deviation : Deviation or None
        From the plan, where there is one for this side.
    """

    side: Side
    implanted: Implanted
    margins: ImplantMargins
    clearance: PathClearance
    seen: tuple[ImplantSeen, ...]
    deviation: Deviation | None

    @property
    def name(self) -> str:
        """As a person calls it."""
        return f"{self.side} implant {self.margins.slot}"

    @property
    def text(self) -> str:
        """How it lies, in words."""
        parts = [seen.text for seen in self.seen] or [
            ("in, " if self.margins.margin_mm >= 0.0 else "") + clear_or_out(self.margins.margin_mm)
        ]
        if self.margins.crossing_lps_mm is None:
            parts.append("does not cross the joint")
        if self.deviation is not None:
            parts.append(self.deviation.text)
        return f"{self.name}: " + "; ".join(parts)


@dataclass(frozen=True, slots=True, eq=False)
class Debrief:
    """All that is shown after an operation.

    Parameters
    ----------
    moments : tuple of Moment
        Every event with the states before and after it, to show any moment again.
    happenings : tuple of Happening
        What happened inside the bone, in order.
    courses : tuple of PinCourse
        Every straight way that a pin took into bone.
    implants : tuple of ImplantDebrief
        By side, cranial to caudal.
    reports : mapping of side to MarginReport
        The judge's.
    views : mapping of name to CArm
        This patient's true standard views.
    """

    moments: tuple[Moment, ...]
    happenings: tuple[Happening, ...]
    courses: tuple[PinCourse, ...]
    implants: tuple[ImplantDebrief, ...]
    reports: Mapping[Side, MarginReport]
    views: Mapping[str, CArm] = field(repr=False)


def debrief(
    session: Session,
    wanted: Mapping[Side, Plan] | None = None,
    reports: Mapping[Side, MarginReport] | None = None,
) -> Debrief:
    """The debrief of an operation as it stands.

    Parameters
    ----------
    session : Session
        At its end, or before.
    wanted : mapping of side to Plan, optional
        The plans that implants are compared with.
    reports : mapping of side to MarginReport, optional
        The judge's, where they are known already (`ScoreSheet.reports`).
    """
    theatre, moments = session.theatre, timeline(session)
    known = judged(session) if reports is None else reports
    viewer = Viewer(theatre.anatomy)
    views = views_of_anatomy(theatre.anatomy, theatre.maker.device.source_to_isocentre_mm)
    implants: list[ImplantDebrief] = []
    for side, report in known.items():
        off = _off_plan(theatre, report, (wanted or {}).get(side))
        for margins in report.implants:
            implanted = next(i for i in session.state.implants if i.trajectory is margins.trajectory)
            seen = implant_seen(theatre, viewer, views, moments, implanted, margins)
            along = path_clearance(theatre.surfaces(side), margins.trajectory)
            implants.append(ImplantDebrief(side, implanted, margins, along, seen, off.get(margins.slot)))
    return Debrief(moments, happenings(moments), pin_courses(theatre, moments), tuple(implants), dict(known), views)


def _off_plan(theatre: Theatre, report: MarginReport, plan: Plan | None) -> dict[int, Deviation]:
    """How far off its plan each implant lies, by slot."""
    if plan is None:
        return {}
    own = [i.trajectory for i in report.implants]
    found = deviations(own, plan.trajectories, report.side, theatre.anatomy.frame)
    return {report.implants[d.slot - 1].slot: d for d in found}
