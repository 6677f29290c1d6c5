"""Margins, faults and comparisons as a planning page lists them: words and signs beside every colour.

Numbers are cut, never rounded up: nothing is shown as clearer than it was measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sjplan.core.findings import Finding
from sjplan.core.limits import Limits
from sjplan.core.shown import cut_mm, raised
from sjplan.core.structures import DANGERS, limit_kind
from sjplan.render.style import slot_colour, words
from sjplan.safety.live import Glance, Near
from sjplan.safety.types import Clearance, ImplantMargins, MarginReport, Violation
from sjplan.training.templating_files import Comparison

NAMED: Final = 2
"""Structures with the least slack that are listed of each implant; one that is less sure is listed as well."""

FAULTS: Final = 4
"""Broken limits that are spelt out."""

STATES: Final = {
    "out": ("✗", "out"),
    "close": ("✗", "too close"),
    "unsure": ("✗", "not sure"),
    "near": ("!", "near"),
    "clear": ("✓", "clear"),
}
"""Sign and word of each state; the style sheet gives the colour."""

Row = dict[str, Any]


def sure_mm(of: Clearance | Near) -> float:
    """What is clear for certain: the envelope's distance less all that labels and surface may hide.

    Never above the judge's `lower_bound_mm`, which is that of the implant itself inside its envelope.
    """
    if isinstance(of, Near):
        return of.lower_bound_mm
    return min(of.lower_bound_mm, of.envelope_mm - (of.distance_mm - of.lower_bound_mm))


def margin_rows(report: MarginReport, limits: Limits) -> list[Row]:
    """Rows of a judged plan."""
    return [row for implant in report.implants for row in _implant_rows(implant, limits)]


def glance_rows(slot: int, glance: Glance, limits: Limits) -> list[Row]:
    """Rows of one implant while it is being dragged."""
    rows = [_row(slot, near, limits) for near in glance.near]
    return _marked(rows, crosses=glance.crosses)


def mixed_rows(rows: Iterable[Row], slot: int, fresh: list[Row]) -> list[Row]:
    """Rows with those of one implant exchanged.

    Examples
    --------
    >>> mixed_rows([{"slot": 1, "n": 0}, {"slot": 2, "n": 0}], 2, [{"slot": 2, "n": 1}])
    [{'slot': 1, 'n': 0}, {'slot': 2, 'n': 1}]
    """
    kept = [row for row in rows if row["slot"] != slot]
    return sorted([*kept, *fresh], key=lambda row: int(row["slot"]))


def _implant_rows(implant: ImplantMargins, limits: Limits) -> list[Row]:
    by_slack = sorted(implant.clearances, key=lambda c: c.slack_mm)
    named = by_slack[:NAMED]
    least = min(implant.clearances, key=sure_mm)
    named += [] if least in named else [least]
    rows = [_row(implant.slot, c, limits) for c in named]
    return _marked(rows, crosses=implant.crossing_lps_mm is not None)


def _marked(rows: list[Row], *, crosses: bool) -> list[Row]:
    for n, row in enumerate(rows):
        row.update({"first": n == 0, "crosses": crosses, "key": f"{row['slot']}-{row['name']}"})
    return rows


def _row(slot: int, of: Clearance | Near, limits: Limits) -> Row:
    state = state_of(of.structure, of.envelope_mm, of.limit_mm, of.lower_bound_mm, limits)
    sign, word = STATES[state]
    out = not math.isfinite(of.envelope_mm)
    return {
        "slot": slot,
        "colour": slot_colour(slot),
        "name": of.structure,
        "structure": words(of.structure),
        "sure": "out" if out else cut_mm(sure_mm(of)),
        "measured": "out" if out else cut_mm(of.envelope_mm),
        "limit": f"{of.limit_mm:g}",
        "state": state,
        "sign": sign,
        "word": word,
    }


def state_of(structure: str, envelope_mm: float, limit_mm: float, sure_mm: float, limits: Limits) -> str:
    """Which of `STATES` holds of one clearance."""
    kind = limit_kind(structure)
    if envelope_mm <= 0.0:
        return "out"
    if envelope_mm < limit_mm:
        return "close"
    if kind in limits.lower_bound_kinds and sure_mm <= 0.0:
        return "unsure"
    return "near" if envelope_mm < limits.clearance_finding_mm.get(kind, limit_mm) else "clear"


def verdict_words(report: MarginReport, conflicts: Sequence[Finding] = ()) -> tuple[str, list[str]]:
    """Whether a plan is accepted, and the limits that it breaks, those between both sides first."""
    texts = [finding.text[:1].upper() + finding.text[1:] for finding in conflicts]
    texts += [_plain(violation) for violation in report.violations]
    count = len(texts)
    if report.accepted and not texts:
        return "✓ Accepted: every limit holds.", []
    more = [f"and {count - FAULTS} more"] if count > FAULTS else []
    return f"✗ Not accepted: {count} limit{'s' if count > 1 else ''} broken.", texts[:FAULTS] + more


def _plain(violation: Violation) -> str:
    """A broken limit in a person's words."""
    name = violation.constraint.partition(":")[2]
    text = violation.text.replace(name, words(name)) if name in DANGERS else violation.text
    return text[:1].upper() + text[1:]


def least_sure(report: MarginReport) -> Clearance:
    """The clearance that is least sure of all."""
    return min((c for i in report.implants for c in i.clearances), key=sure_mm)


def beside_rows(comparison: Comparison, own: MarginReport, planned: MarginReport) -> list[Row]:
    """A plan laid by hand beside a certified one, number by number."""

    def both(what: str, ours: str, theirs: str) -> Row:
        return {"what": what, "ours": ours, "theirs": theirs}

    rows = [
        both("accepted", *("✓ yes" if r.accepted else "✗ no" for r in (own, planned))),
        both("worst slack, mm", cut_mm(own.slack_mm), cut_mm(planned.slack_mm)),
        both("least guaranteed, mm", *(cut_mm(sure_mm(least_sure(r))) for r in (own, planned))),
    ]
    for one in comparison.implants:
        off, slot = one.deviation, one.deviation.slot
        ours, theirs = own.implants[slot - 1], planned.implants[off.planned_slot - 1]
        rows.append(both(f"{slot}: slack, mm", cut_mm(one.slack_mm), cut_mm(one.planned_slack_mm)))
        rows.append(both(f"{slot}: in sacrum, mm", cut_mm(ours.sacral_mm), cut_mm(theirs.sacral_mm)))
        text = f"tip {raised(off.tip_mm)} mm off, turned {raised(off.angle_deg, 0)}°"
        rows.append({"what": f"{slot}: from planned {off.planned_slot}", "off": text})
    return rows
