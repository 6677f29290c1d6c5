"""Entries of a plan file, built from what planner and judge said; numbers are rounded so that bounds stay bounds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from sjplan.core.arrays import Array
from sjplan.core.errors import InputError
from sjplan.core.findings import Finding
from sjplan.core.plan import Certificate, Outcome, Reason, check_side
from sjplan.io.planschema import (
    CertificateEntry,
    ClearanceEntry,
    FindingEntry,
    ImplantEntry,
    PairEntry,
    ProposalEntry,
    ReasonEntry,
    SideEntry,
    TradeEntry,
    TradeImplantEntry,
)
from sjplan.safety.types import BreachReport, Clearance, ImplantMargins, MarginReport, Probability, Violation

POINT_DECIMALS: Final = 6
"""Decimals of entry, tip and roll: far below `LENGTH_TOL_MM`, so that a reopened plan is the same plan."""

MEASURE_DECIMALS: Final = 3
"""Decimals of measured values: the judge's own tolerance is 0.001 mm."""


def side_entry(
    outcome: Outcome,
    side: str,
    planner: str,
    report: MarginReport | None = None,
    nearest_report: MarginReport | None = None,
    fallback_report: MarginReport | None = None,
    *,
    breach: BreachReport | None = None,
    pareto_reports: Sequence[MarginReport] = (),
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
    pareto_reports : sequence of MarginReport
        The judge's reports on `outcome.pareto`, plan by plan; none are stored where none are given.
    views : mapping, optional
        What is to be stored of this side's views.
    parameters : mapping, optional
        The planner's parameters; those stored in the plan go before them. Infinite ones (no cap) are stored as null.

    Raises
    ------
    InputError
        Where a plan comes without a report, or the judge does not accept what is called accepted.
    UnknownNameError
        For a side that is neither left nor right.
    """
    _require_reports(outcome, side, report, nearest_report, fallback_report, pareto_reports)
    known = next((p for p in (outcome.plan, outcome.nearest, outcome.fallback) if p is not None), None)
    own = {**(parameters or {}), **(known.parameters if known is not None else {})}
    return SideEntry(
        side=check_side(side),
        status=outcome.status,
        planner=planner,
        parameters={name: value if _written(value) else None for name, value in own.items()},
        certificate=_certificate(outcome.certificate, report),
        reasons=[_reason(r) for r in outcome.reasons],
        findings=finding_entries(report.findings if report else ()),
        nearest=_proposal(nearest_report),
        fallback=_proposal(fallback_report),
        pareto=[_trade(judged) for judged in pareto_reports],
        views=dict(views or {}),
        pairs=_pairs(report),
        construct_breach_probability=None if breach is None else _breach(breach, breach.construct, {}),
        implants=_implants(report, breach),
    )


def _certificate(certificate: Certificate | None, report: MarginReport | None) -> CertificateEntry | None:
    """The certificate of an accepted plan; what is rounded is still proved, and no slack is above the judge's."""
    if certificate is None or report is None:
        return None
    slack = _floored(min(certificate.slack_mm, report.slack_mm))
    # A bound that is the cap stays it; any other is rounded up.
    ceiling = -_floored(-certificate.upper_bound_mm) if math.isfinite(certificate.upper_bound_mm) else math.inf
    upper = min(ceiling, certificate.cap_mm)
    return CertificateEntry(
        slack_mm=slack,
        upper_bound_mm=upper if math.isfinite(upper) else None,
        gap_mm=_measure(upper - slack),
        cap_mm=certificate.cap_mm if math.isfinite(certificate.cap_mm) else None,
        given=certificate.given,
    )


def _trade(report: MarginReport) -> TradeEntry:
    return TradeEntry(
        slack_mm=_rounded(report.slack_mm, MEASURE_DECIMALS),
        sacral_mm=_rounded(sum(i.sacral_mm for i in report.implants), MEASURE_DECIMALS),
        implants=[
            TradeImplantEntry(
                slot=i.slot,
                model=i.trajectory.model.id,
                length_mm=_rounded(i.trajectory.length_mm, MEASURE_DECIMALS),
                entry_lps_mm=_point(i.trajectory.entry_lps_mm),
                tip_lps_mm=_point(i.trajectory.tip_lps_mm),
                roll_deg=_rounded(i.trajectory.roll_deg, POINT_DECIMALS),
                sacral_mm=_measure(i.sacral_mm),
                slack_mm=_measure(i.slack_mm),
            )
            for i in report.implants
        ],
    )


def _require_reports(
    outcome: Outcome,
    side: str,
    report: MarginReport | None,
    nearest_report: MarginReport | None,
    fallback_report: MarginReport | None,
    pareto_reports: Sequence[MarginReport],
) -> None:
    """Raise where a plan comes without a report, or the judge does not accept what is called accepted."""
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
    if pareto_reports and (
        len(outcome.pareto) != len(pareto_reports) or not all(judged.accepted for judged in pareto_reports)
    ):
        accepted = sum(judged.accepted for judged in pareto_reports)
        raise InputError(f"{side} pareto", found=f"{len(outcome.pareto)} plans, {accepted} of them judged and accepted",
                         wanted="an accepting report on every plan")  # fmt: skip


def _written(value: object) -> bool:
    """Whether JSON has a word for a value."""
    return not isinstance(value, float) or math.isfinite(value)


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
        violations=[reason_entry(v) for v in report.violations],
        findings=finding_entries(report.findings),
        pairs=_pairs(report),
        implants=_implants(report),
    )


def reason_entry(violation: Violation) -> ReasonEntry:
    """A limit that does not hold, as it stands in a plan file."""
    return _reason(Reason(violation.constraint, violation.missing, violation.unit, violation.text))


def _reason(reason: Reason) -> ReasonEntry:
    return ReasonEntry(
        constraint=reason.constraint, missing=_measure(reason.missing), unit=reason.unit, text=reason.text
    )


def finding_entries(findings: Iterable[Finding]) -> list[FindingEntry]:
    """Findings as they stand in a plan file."""
    return [FindingEntry.model_validate(asdict(f) | _consequence(f)) for f in findings]


def _consequence(finding: Finding) -> dict[str, str]:
    """What follows from a finding, where that is known; files of older versions have no such key, and get none."""
    return {"consequence": finding.consequence} if finding.consequence else {}


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
        lower_bound_mm=_floored(clearance.lower_bound_mm),
        at_lps_mm=_point(clearance.at_lps_mm),
        on_implant_lps_mm=_point(clearance.on_implant_lps_mm),
    )


def _rounded(value: float, decimals: int) -> float:
    return round(float(value), decimals) + 0.0  # + 0.0 turns -0.0 into 0.0


def _floored(value: float) -> float:
    """Rounded down: what is stored is still a lower bound. A last bit off a round number is no reason to lose 0.001."""
    scale = 10**MEASURE_DECIMALS
    nearest = round(float(value) * scale)
    exact = abs(nearest / scale - value) < 1e-12
    return (nearest if exact else math.floor(value * scale)) / scale + 0.0


def _measure(value: float) -> float | None:
    """A measured value; None where there is none (no danger ahead, no crossing)."""
    return _rounded(value, MEASURE_DECIMALS) if math.isfinite(value) else None


def _point(values: Array) -> list[float]:
    return [_rounded(v, POINT_DECIMALS) for v in values]
