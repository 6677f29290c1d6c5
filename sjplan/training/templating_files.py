"""A draft beside a certified plan, and in and out of plan.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sjplan.core.errors import InputError
from sjplan.core.findings import Finding
from sjplan.core.frames import AnatomicalFrame
from sjplan.core.implant import ImplantModel
from sjplan.core.plan import BY_HAND, Outcome, Plan, Reason
from sjplan.core.trajectory import Trajectory
from sjplan.io.cases import Case
from sjplan.io.planentries import POINT_DECIMALS
from sjplan.io.planfile import PlanFile, SideEntry, new_plan_file, side_entry, trajectory_from_entry
from sjplan.safety.live import LiveJudge
from sjplan.safety.types import MarginReport
from sjplan.training.deviation import Deviation, deviations
from sjplan.training.templating import Draft, checked_reach


@dataclass(frozen=True, slots=True)
class Beside:
    """One implant of a draft beside a planned one.

    Parameters
    ----------
    deviation : Deviation
        How far off it lies.
    slack_mm, planned_slack_mm : float
        Worst slack of each.
    """

    deviation: Deviation
    slack_mm: float
    planned_slack_mm: float

    @property
    def gained_mm(self) -> float:
        """How much more slack it has; negative where the plan has more."""
        return self.slack_mm - self.planned_slack_mm


@dataclass(frozen=True, slots=True)
class Comparison:
    """A draft beside a plan.

    Parameters
    ----------
    implants : tuple of Beside
        Those that have a counterpart.
    slack_mm, planned_slack_mm : float
        Worst slack of both as a whole.
    bound_mm : float or None
        What is proved: no plan of that kind has more worst slack than this.
    """

    implants: tuple[Beside, ...]
    slack_mm: float
    planned_slack_mm: float
    bound_mm: float | None

    @property
    def text(self) -> str:
        """In words.

        Examples
        --------
        >>> Comparison((), 1.5, 2.75, 3.0).text
        'worst slack 1.50 mm, the plan has 2.75 mm; no plan of its kind has more than 3.00 mm'
        """
        bound = "" if self.bound_mm is None else f"; no plan of its kind has more than {self.bound_mm:.2f} mm"
        return f"worst slack {self.slack_mm:.2f} mm, the plan has {self.planned_slack_mm:.2f} mm{bound}"


def compared(
    own: MarginReport, planned: MarginReport, frame: AnatomicalFrame, bound_mm: float | None = None
) -> Comparison:
    """A judged draft beside a judged plan of the same side.

    Parameters
    ----------
    own, planned : MarginReport
        The judge's reports.
    frame : AnatomicalFrame
        Of the pelvis.
    bound_mm : float, optional
        Upper bound of the plan's certificate.

    Raises
    ------
    InputError
        If they are of different sides.
    """
    if own.side != planned.side:
        raise InputError("plan", found=f"one of the {planned.side} side", wanted=f"one of the {own.side} side")
    ours, theirs = ([implant.trajectory for implant in report.implants] for report in (own, planned))
    beside = tuple(
        Beside(found, own.implants[found.slot - 1].slack_mm, planned.implants[found.planned_slot - 1].slack_mm)
        for found in deviations(ours, theirs, own.side, frame)
    )
    return Comparison(beside, own.slack_mm, planned.slack_mm, bound_mm)


def draft_entry(draft: Draft, live: LiveJudge) -> SideEntry:
    """One side of a plan file from a draft, with the judge's report on exactly what is stored.

    An accepted draft has the status `best_effort`, as nobody searched for a better one; one that breaks a limit is
    stored as the nearest plan, not accepted, with the limits that it breaks.

    Raises
    ------
    InputError
        For a draft without implants.
    """
    if not draft.paths:
        raise InputError(f"{draft.side} draft", found="no implants", wanted="at least one", fix="add an implant")
    plan = Plan(draft.side, tuple(_as_stored(path) for path in draft.paths), BY_HAND)
    report = live.report(plan.trajectories)
    if report.accepted:
        return side_entry(Outcome("best_effort", plan), draft.side, BY_HAND, report)
    reasons = tuple(Reason(v.constraint, v.missing, v.unit, v.text) for v in report.violations)
    outcome = Outcome("timeout", reasons=reasons, nearest=plan)
    return side_entry(outcome, draft.side, BY_HAND, nearest_report=report)


def draft_from_entry(entry: SideEntry, models: Mapping[str, ImplantModel]) -> Draft:
    """The draft that one side of a plan file holds: its plan, or the nearest one where none was accepted.

    Raises
    ------
    InputError, UnknownNameError
        For implants that do not fit the catalogue; see `sjplan.io.planfile.plan_from_entry`.
    """
    implants = entry.implants or (entry.nearest.implants if entry.nearest is not None else [])
    return Draft(entry.side, tuple(trajectory_from_entry(i, models, entry.side) for i in implants))


def drafts_from_file(
    file: PlanFile, case: Case, models: Mapping[str, ImplantModel], frame: AnatomicalFrame
) -> tuple[Draft, ...]:
    """The drafts that a plan file holds, a side each; of sides without any implant none.

    Raises
    ------
    InputError, UnknownNameError
        For a file of another case, and for implants that do not fit the catalogue or lie out of reach.
    """
    check_fits(file, case)
    drafts = tuple(draft_from_entry(entry, models) for entry in file.sides)
    return tuple(checked_reach(draft, frame) for draft in drafts if draft.paths)


def check_fits(file: PlanFile, case: Case) -> None:
    """Refuse a plan file that was made for other labels: its places mean nothing in this patient.

    Raises
    ------
    InputError
        Naming both.
    """
    theirs, ours = (sha256.get("labels", "no file") for sha256 in (file.case.sha256, case.sha256))
    if theirs != ours:
        raise InputError("plan", found=f"one of another case (labels {theirs[:12]})",
                         wanted=f"one that was made for this patient (labels {ours[:12]})",
                         fix="choose the patient that it was made for")  # fmt: skip


def drafts_file(
    entries: Sequence[SideEntry], case: Case, *, onto: PlanFile | None = None, findings: Sequence[Finding] = ()
) -> PlanFile:
    """A plan file of drafts.

    Parameters
    ----------
    entries : sequence of SideEntry
        Of `draft_entry`.
    case : Case
        What they were laid on.
    onto : PlanFile, optional
        A file of the same case whose other side, findings and unknown keys are kept.
    findings : sequence of Finding
        Of a new file: what holds for no side alone.

    Raises
    ------
    InputError
        If `onto` is of another case.
    """
    if onto is None:
        return new_plan_file(case, entries, seed=0, findings=findings)
    check_fits(onto, case)
    replaced = {entry.side: entry for entry in entries}
    kept = [replaced.pop(entry.side, entry) for entry in onto.sides]
    return onto.model_copy(update={"sides": [*kept, *replaced.values()]})


def _as_stored(path: Trajectory) -> Trajectory:
    """The implant with as many decimals as a plan file has, so that what is judged is what is read again."""
    entry, tip = ([_rounded(x) for x in end] for end in (path.entry_lps_mm, path.tip_lps_mm))
    return Trajectory(np.array(entry), np.array(tip), _rounded(path.roll_deg), path.model)


def _rounded(value: float) -> float:
    return round(float(value), POINT_DECIMALS) + 0.0
