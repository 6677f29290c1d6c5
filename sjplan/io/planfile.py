"""plan.json: built from what planner and judge said, written atomically, reopened identically."""

from __future__ import annotations

import datetime
import json
import math
import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final, NoReturn

import sjplan
from sjplan.core.arrays import Array
from sjplan.core.errors import GeometryError, InputError, unknown_name
from sjplan.core.findings import Finding
from sjplan.core.implant import ImplantModel
from sjplan.core.plan import Outcome, Plan, Reason, check_side
from sjplan.core.tolerances import LENGTH_TOL_MM
from sjplan.core.trajectory import Trajectory
from sjplan.io.atomic import write_text
from sjplan.io.cases import Case
from sjplan.io.payload import read_text
from sjplan.io.planschema import (
    SCHEMA,
    CaseEntry,
    ClearanceEntry,
    FindingEntry,
    ImplantEntry,
    PairEntry,
    PlanFile,
    ProposalEntry,
    ReasonEntry,
    SideEntry,
)
from sjplan.io.tables import validated
from sjplan.safety.types import BreachReport, Clearance, ImplantMargins, MarginReport, Probability

MAX_PLAN_BYTES: Final = 2**26
"""Largest plan file that is read (bytes); real ones have some ten thousand."""

POINT_DECIMALS: Final = 6
"""Decimals of entry, tip and roll: far below `LENGTH_TOL_MM`, so that a reopened plan is the same plan."""

MEASURE_DECIMALS: Final = 3
"""Decimals of measured values: the judge's own tolerance is 0.001 mm."""

_LIBRARIES = ("numpy", "scipy", "SimpleITK", "numba", "pyvista", "vtk")
_NUMBER_LIST = re.compile(r"\[\n\s*([-+0-9.eE,\s]+?)\n\s*\]")  # a newline is never inside a JSON string


def side_entry(
    outcome: Outcome,
    side: str,
    planner: str,
    report: MarginReport | None = None,
    nearest_report: MarginReport | None = None,
    fallback_report: MarginReport | None = None,
    *,
    breach: BreachReport | None = None,
    views: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> SideEntry:
    """One side of a plan file, from the planner's answer and the judge's reports on its plans.

    Parameters
    ----------
    outcome : Outcome
        The planner's answer.
    side : {"left", "right"}
        Which side.
    planner : str
        The planner's id.
    report, nearest_report, fallback_report : MarginReport or None
        The judge's reports on `outcome.plan`, `.nearest` and `.fallback`.
    breach : BreachReport, optional
        Breach probabilities of `outcome.plan`.
    views : mapping, optional
        What is to be stored of this side's views.
    parameters : mapping, optional
        The planner's parameters; by default those stored in the plan.

    Raises
    ------
    InputError
        Where a plan comes without a report, or the judge does not accept what is called accepted.
    UnknownNameError
        For a side that is neither left nor right.
    """
    for name, plan, judged in (
        ("plan", outcome.plan, report),
        ("nearest", outcome.nearest, nearest_report),
        ("fallback", outcome.fallback, fallback_report),
    ):
        if (plan is None) != (judged is None):
            found = "a report without a plan" if plan is None else "a plan without a report"
            raise InputError(f"{side} {name}", found=found, wanted="a plan and the judge's report on it")
        if judged is not None and name != "nearest" and not judged.accepted:
            broken = ", ".join(v.constraint for v in judged.violations)
            raise InputError(f"{side} {name}", found=f"a plan that the judge rejects ({broken})",
                             wanted="an accepted plan")  # fmt: skip
    known = next((p for p in (outcome.plan, outcome.nearest, outcome.fallback) if p is not None), None)
    own = parameters if parameters is not None else known.parameters if known is not None else {}
    return SideEntry(
        side=check_side(side),
        status=outcome.status,
        planner=planner,
        parameters=dict(own),
        certificate=None,
        reasons=[_reason(r) for r in outcome.reasons],
        findings=finding_entries(report.findings if report else ()),
        nearest=_proposal(nearest_report),
        fallback=_proposal(fallback_report),
        pareto=[],
        views=dict(views or {}),
        pairs=_pairs(report),
        construct_breach_probability=None if breach is None else _breach(breach, breach.construct, {}),
        implants=_implants(report, breach),
    )


def _breach(breach: BreachReport, p: Probability, by_structure: Mapping[str, Probability]) -> dict[str, Any]:
    """A probability as it stands in a plan file: with its interval, model and number of draws."""
    entry: dict[str, Any] = {"error_model": breach.error_model, "draws": breach.draws, **_probability(p)}
    if by_structure:
        entry["by_structure"] = {name: _probability(own) for name, own in by_structure.items()}
    return entry


def _probability(p: Probability) -> dict[str, float]:
    return {key: _rounded(value, 5) for key, value in (("value", p.value), ("low", p.low), ("high", p.high))}


def _proposal(report: MarginReport | None) -> ProposalEntry | None:
    if report is None:
        return None
    return ProposalEntry(
        accepted=report.accepted,
        slack_mm=_measure(report.slack_mm),
        margin_mm=_measure(report.margin_mm),
        violations=[_reason(Reason(v.constraint, v.missing, v.unit, v.text)) for v in report.violations],
        findings=finding_entries(report.findings),
        pairs=_pairs(report),
        implants=_implants(report),
    )


def _reason(reason: Reason) -> ReasonEntry:
    return ReasonEntry(
        constraint=reason.constraint, missing=_measure(reason.missing), unit=reason.unit, text=reason.text
    )


def finding_entries(findings: Iterable[Finding]) -> list[FindingEntry]:
    """Findings as they stand in a plan file."""
    return [FindingEntry(code=f.code, severity=f.severity, text=f.text, side=f.side) for f in findings]


def _pairs(report: MarginReport | None) -> list[PairEntry]:
    return [
        PairEntry(i=p.i, j=p.j, gap_mm=_measure(p.gap_mm), spacing_mm=_measure(p.spacing_mm),
                  angle_deg=_measure(p.angle_deg))
        for p in (report.pairs if report else ())
    ]  # fmt: skip


def _implants(report: MarginReport | None, breach: BreachReport | None = None) -> list[ImplantEntry]:
    return [_implant(margins, breach) for margins in (report.implants if report else ())]


def _implant(margins: ImplantMargins, breach: BreachReport | None) -> ImplantEntry:
    trajectory = margins.trajectory
    own = next((i for i in breach.implants if i.slot == margins.slot), None) if breach else None
    return ImplantEntry(
        slot=margins.slot,
        model=trajectory.model.id,
        inscribed_radius_mm=trajectory.model.inscribed_radius_mm,
        circumscribed_radius_mm=trajectory.model.circumscribed_radius_mm,
        length_mm=_rounded(trajectory.length_mm, MEASURE_DECIMALS),
        entry_lps_mm=_point(trajectory.entry_lps_mm),
        tip_lps_mm=_point(trajectory.tip_lps_mm),
        roll_deg=_rounded(trajectory.roll_deg, POINT_DECIMALS),
        protrusion_mm=_measure(margins.protrusion_mm),
        iliac_mm=_measure(margins.iliac_mm),
        joint_mm=_measure(margins.joint_mm),
        sacral_mm=_measure(margins.sacral_mm),
        crosses_articular=bool(margins.crosses_articular),
        crossing_lps_mm=None if margins.crossing_lps_mm is None else _point(margins.crossing_lps_mm),
        joint_normal_angle_deg=_measure(margins.joint_normal_angle_deg),
        tip_to_midline_mm=_measure(margins.tip_to_midline_mm),
        overshoot_reserve_mm=_measure(margins.overshoot_reserve_mm),
        overshoot_structure=margins.overshoot_structure or None,
        margin_mm=_measure(margins.margin_mm),
        slack_mm=_measure(margins.slack_mm),
        breach_probability=_breach(breach, own.any, own.by_structure) if breach and own else None,
        clearances=[_clearance(c) for c in sorted(margins.clearances, key=lambda c: c.slack_mm)],
    )


def _clearance(clearance: Clearance) -> ClearanceEntry:
    return ClearanceEntry(
        structure=clearance.structure,
        distance_mm=_rounded(clearance.distance_mm, MEASURE_DECIMALS),
        envelope_mm=_rounded(clearance.envelope_mm, MEASURE_DECIMALS),
        limit_mm=_rounded(clearance.limit_mm, MEASURE_DECIMALS),
        # Rounded down: what is stored is still a lower bound.
        lower_bound_mm=math.floor(clearance.lower_bound_mm * 10**MEASURE_DECIMALS) / 10**MEASURE_DECIMALS,
        at_lps_mm=_point(clearance.at_lps_mm),
        on_implant_lps_mm=_point(clearance.on_implant_lps_mm),
    )


def _rounded(value: float, decimals: int) -> float:
    return round(float(value), decimals) + 0.0  # + 0.0 turns -0.0 into 0.0


def _measure(value: float) -> float | None:
    """A measured value; None where there is none (no danger ahead, no crossing)."""
    return _rounded(value, MEASURE_DECIMALS) if math.isfinite(value) else None


def _point(values: Array) -> list[float]:
    return [_rounded(v, POINT_DECIMALS) for v in values]


def new_plan_file(
    case: Case,
    sides: Sequence[SideEntry],
    *,
    seed: int,
    findings: Iterable[Finding] = (),
    created: str | None = None,
) -> PlanFile:
    """A plan file for a case: the sides, the intake's findings and `findings`, versions, time.

    Parameters
    ----------
    case : Case
        What was planned on.
    sides : sequence of SideEntry
        One or two entries.
    seed : int
        Of all randomness.
    findings : iterable of Finding
        What was noticed beside the intake's own findings.
    created : str, optional
        ISO 8601 time; now, in UTC, by default.
    """
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return PlanFile(
        created=created if created is not None else now,
        case=CaseEntry(paths={role: _printable(p) for role, p in case.paths.items()}, sha256=case.sha256),
        seed=seed,
        versions=versions(),
        findings=finding_entries((*case.findings, *findings)),
        sides=list(sides),
    )


def _printable(path: str) -> str:
    """A path whose bytes are not UTF-8 shows a replacement sign instead of breaking the file."""
    return os.fsencode(path).decode("utf-8", "replace")


def versions() -> dict[str, str]:
    """Versions of sjplan, Python and the libraries that the numbers depend on.

    Examples
    --------
    >>> sorted(versions())
    ['SimpleITK', 'numba', 'numpy', 'python', 'pyvista', 'scipy', 'sjplan', 'vtk']
    """
    found = {"sjplan": sjplan.__version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def plan_text(plan_file: PlanFile) -> str:
    """The text of plan.json: one value a line, coordinates on one line."""
    text = json.dumps(plan_file.model_dump(by_alias=True), indent=1, allow_nan=False)
    return _NUMBER_LIST.sub(lambda match: "[" + " ".join(match.group(1).split()) + "]", text) + "\n"


def write_plan(plan_file: PlanFile, path: str | Path) -> Path:
    """Write plan.json atomically.

    Raises
    ------
    InputError
        For a place that cannot be written.
    """
    return write_text(path, plan_text(plan_file))


def read_plan(path: str | Path) -> PlanFile:
    """Read plan.json; writing it again gives the same bytes.

    Raises
    ------
    InputError
        For a file that is missing, not JSON, holds NaN, has another schema, frame or unit, or a field that is
        missing or wrong: in one line that names it.
    """
    text = read_text(path, MAX_PLAN_BYTES)
    try:
        table = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            str(path), found=f"no valid JSON ({reason})", wanted=f"a plan file ({SCHEMA})",
            fix="plan again, or take the file from its backup",
        ) from error  # fmt: skip
    if not isinstance(table, dict) or table.get("schema") != SCHEMA:
        found = f"schema {table.get('schema')!r}"[:80] if isinstance(table, dict) else "no plan"
        raise InputError(str(path), found=found, wanted=SCHEMA, fix="plan again with this version of sjplan")
    return validated(PlanFile, table, str(path))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is too large")
    return value


def plan_from_entry(entry: SideEntry, catalogue: Mapping[str, ImplantModel]) -> Plan:
    """The plan that a side of a plan file holds.

    Raises
    ------
    InputError
        For a side without implants, and for an implant whose radii or length differ from the catalogue's model or
        from its own end points.
    UnknownNameError
        For a model that is not in the catalogue.
    """
    if not entry.implants:
        raise InputError(
            f"plan, {entry.side} side", found=f"no implants (status {entry.status})", wanted="a plan with implants",
            fix="choose a side that has a plan",
        )  # fmt: skip
    trajectories = tuple(trajectory_from_entry(implant, catalogue, entry.side) for implant in entry.implants)
    return Plan(entry.side, trajectories, entry.planner, dict(entry.parameters))


def trajectory_from_entry(implant: ImplantEntry, catalogue: Mapping[str, ImplantModel], side: str) -> Trajectory:
    """The trajectory of one implant of a plan file; see `plan_from_entry`."""
    what = f"plan, {side} side, implant {implant.slot}"
    if implant.model not in catalogue:
        raise unknown_name(f"{what}: model", implant.model, catalogue)
    model = catalogue[implant.model]
    for field in ("inscribed_radius_mm", "circumscribed_radius_mm"):
        ours, theirs = getattr(model, field), getattr(implant, field)
        if abs(ours - theirs) > LENGTH_TOL_MM:
            raise InputError(f"{what}: {field}", found=f"{theirs:g}", wanted=f"{ours:g}, as in the catalogue",
                             fix="give the catalogue that the plan was made with")  # fmt: skip
    try:
        trajectory = Trajectory(implant.entry_lps_mm, implant.tip_lps_mm, implant.roll_deg, model)  # type: ignore[arg-type]
    except GeometryError as error:
        raise InputError(f"{what}: {error.what}", found=error.found, wanted=error.wanted, fix=error.fix) from error
    if abs(trajectory.length_mm - implant.length_mm) > 2 * LENGTH_TOL_MM:
        raise InputError(f"{what}: length_mm", found=f"{implant.length_mm:g}",
                         wanted=f"{trajectory.length_mm:.3f}, the distance from entry to tip")  # fmt: skip
    return trajectory


__all__ = ["PlanFile", "SideEntry", "finding_entries", "new_plan_file", "plan_from_entry", "plan_text",
           "read_plan", "side_entry", "trajectory_from_entry", "versions", "write_plan"]  # fmt: skip
