"""From a plan file's values to what the page says: numbers become text, states become words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final, TypeGuard

from sjplan.core.implant import ImplantModel
from sjplan.core.limits import Limits
from sjplan.core.plan import BY_HAND, gap_parts_mm
from sjplan.core.structure_words import structure_words
from sjplan.core.structures import DANGERS, limit_kind
from sjplan.report.data import ReportData, SidePictures

UNKNOWN: Final = "not known"

VERDICTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "found": ("good", "ACCEPTED", "Every limit holds, and the planner completed its search."),
    "best_effort": ("good", "ACCEPTED, BEST EFFORT", "Every limit holds; the time budget ended before the search did."),
    "infeasible": ("bad", "NO ACCEPTED PLAN", "A complete search found no plan that keeps every limit."),
    "timeout": ("bad", "NO PLAN IN TIME", "The time budget ended before any accepted plan was found."),
    "invalid_input": ("bad", "REFUSED", "This side cannot be planned from what was given."),
}
"""Status of a side: how it is coloured, the word that says it without colour, and a sentence."""

BY_HAND_VERDICTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "best_effort": (
        "good",
        "ACCEPTED, BY HAND",
        "Every limit holds. The implants were laid by hand: nothing was searched.",
    ),
    "timeout": ("bad", "NOT ACCEPTED, BY HAND", "The implants were laid by hand, and break limits."),
}
"""The same for implants that somebody laid."""

_PROPOSALS: Final = (
    (
        "nearest",
        "Nearest plan (NOT accepted)",
        "The plan with the largest worst slack; it breaks the limits named here.",
    ),
    ("fallback", "Two-implant fallback (accepted)", "An accepted plan with two implants."),
)
_BY_HAND_PROPOSALS: Final = (("nearest", "As laid by hand (NOT accepted)", "It breaks the limits named here."),)

Row = dict[str, Any]


def number(value: Any, decimals: int = 1) -> str:
    """A number as text with a real minus sign; a word where there is none.

    Examples
    --------
    >>> number(-1.25, 2), number(None), number(float("inf"))
    ('−1.25', 'not known', 'not known')
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return UNKNOWN
    text = f"{value:.{decimals}f}"
    return text[1:] if text.startswith("-") and float(text) == 0 else text.replace("-", "−")


def point(values: Any) -> str:
    """A point as "x, y, z" with one decimal.

    Examples
    --------
    >>> point([1.0, -2.25, 3.14159])
    '1.0, −2.2, 3.1'
    """
    if not isinstance(values, Sequence) or len(values) != 3:
        return UNKNOWN
    return ", ".join(number(v) for v in values)


def page(data: ReportData) -> dict[str, Any]:
    """Everything that the template shows."""
    plan = data.plan
    case = plan.get("case") or {}
    paths = dict(case.get("paths") or {})
    title = data.title or next((PurePath(p).name for p in paths.values()), "") or "plan"
    findings = list(plan.get("findings") or [])
    sides = [_side(entry, data) for entry in plan.get("sides") or []]
    return {
        "title": title,
        "created": str(plan.get("created") or UNKNOWN),
        "sides": sides,
        "findings": [_finding(f) for f in findings] + [f for side in sides for f in side["findings"]],
        "overview": data.overview,
        "inputs": _inputs(paths, dict(case.get("sha256") or {})),
        "versions": [(name, str(v)) for name, v in (plan.get("versions") or {}).items()],
        "seed": str(plan.get("seed", UNKNOWN)),
        "schema": str(plan.get("schema") or UNKNOWN),
        "frame": str(plan.get("frame") or UNKNOWN),
        "units": str(plan.get("units") or UNKNOWN),
        "limits": _limits(data.limits) if data.limits is not None else [],
        "assumed_density": data.assumed_density,
    }


def _side(entry: Mapping[str, Any], data: ReportData) -> Row:
    side, status = str(entry.get("side", "")), str(entry.get("status", ""))
    by_hand = entry.get("planner") == BY_HAND
    tone, word, sentence = ({**VERDICTS, **BY_HAND_VERDICTS} if by_hand else VERDICTS).get(
        status, ("bad", status.upper() or "UNKNOWN", "A status this report does not know.")
    )
    proposals = [
        _proposal(entry.get(key), heading, note, data)
        for key, heading, note in (_BY_HAND_PROPOSALS if by_hand else _PROPOSALS)
        if entry.get(key)
    ]
    own = _construct(entry, data)
    return {
        "side": side,
        "status": status,
        "tone": tone,
        "word": word,
        "sentence": sentence,
        "summary": _summary(own["implants"]) if own["implants"] else "",
        "planner": str(entry.get("planner") or UNKNOWN),
        "parameters": [(str(k), str(v)) for k, v in (entry.get("parameters") or {}).items()],
        "certificate": _certificate(entry.get("certificate"), gap_parts_mm(entry.get("parameters") or {})),
        "pareto": [_pareto(plan) for plan in entry.get("pareto") or []],
        "reasons": [_reason(r) for r in entry.get("reasons") or []],
        "findings": [_finding(f, side) for f in entry.get("findings") or []],
        "plan": own,
        "proposals": proposals,
        "pictures": data.pictures.get(side, SidePictures()),
    }


def _construct(entry: Mapping[str, Any], data: ReportData) -> Row:
    """Implants, margins and pairs of a plan or a proposal."""
    implants = [_implant(i, data) for i in entry.get("implants") or []]
    pairs = [
        {
            "name": f"{p.get('i', '?')} and {p.get('j', '?')}",
            "gap": number(p.get("gap_mm")),
            "spacing": number(p.get("spacing_mm")),
            "angle": number(p.get("angle_deg")),
        }
        for p in entry.get("pairs") or []
    ]
    construct = entry.get("construct_breach_probability")
    return {
        "implants": implants,
        "pairs": pairs,
        "breach": _probability(construct),
        "error_model": str(construct.get("error_model") or UNKNOWN) if isinstance(construct, Mapping) else "",
    }


def _proposal(entry: Any, heading: str, note: str, data: ReportData) -> Row:
    own = _construct(entry, data)
    return {
        "heading": heading,
        "note": note,
        "summary": _summary(own["implants"]) if own["implants"] else "",
        "violations": [_reason(v) for v in entry.get("violations") or []],
        "findings": [_finding(f) for f in entry.get("findings") or []],
        "plan": own,
    }


def _implant(entry: Mapping[str, Any], data: ReportData) -> Row:
    model_id = str(entry.get("model") or UNKNOWN)
    clearances = [_clearance(c, data.limits) for c in entry.get("clearances") or []]
    clearances.sort(key=lambda row: (row["slack_value"], row["order"]))
    articular = entry.get("crosses_articular")
    return {
        "slot": int(entry.get("slot", 0)),
        "model": model_id,
        "model_words": _model_words(data.models.get(model_id)),
        "length": number(entry.get("length_mm"), 0),
        "entry": point(entry.get("entry_lps_mm")),
        "tip": point(entry.get("tip_lps_mm")),
        "roll": number(entry.get("roll_deg")),
        "protrusion": number(entry.get("protrusion_mm")),
        "iliac": number(entry.get("iliac_mm")),
        "joint": number(entry.get("joint_mm")),
        "sacral": number(entry.get("sacral_mm")),
        "articular": UNKNOWN if articular is None else "yes" if articular else "no",
        "angle": number(entry.get("joint_normal_angle_deg")),
        "midline": number(entry.get("tip_to_midline_mm")),
        "reserve": number(entry.get("overshoot_reserve_mm")),
        "reserve_structure": structure_words(str(entry.get("overshoot_structure") or "")),
        "margin": number(entry.get("margin_mm"), 2),
        "slack": number(entry.get("slack_mm"), 2),
        "slack_value": _sortable(entry.get("slack_mm")),
        "breach": _probability(entry.get("breach_probability")),
        "clearances": clearances,
        "binding": clearances[0]["structure"] if clearances else UNKNOWN,
    }


def _probability(entry: Any) -> str:
    """A probability with its interval, in percent; empty where there is none."""
    if not isinstance(entry, Mapping) or not all(
        isinstance(entry.get(k), (int, float)) for k in ("value", "low", "high")
    ):
        return ""
    value, low, high = (100.0 * entry[k] for k in ("value", "low", "high"))
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"


def _clearance(entry: Mapping[str, Any], limits: Limits | None) -> Row:
    name = str(entry.get("structure") or "")
    envelope, limit = entry.get("envelope_mm"), entry.get("limit_mm")
    slack = envelope - limit if isinstance(envelope, (int, float)) and isinstance(limit, (int, float)) else None
    tone, word = _state(name, slack, envelope, entry.get("lower_bound_mm"), limits)
    return {
        "structure": structure_words(name),
        "order": DANGERS.index(name) if name in DANGERS else len(DANGERS),
        "distance": number(entry.get("distance_mm"), 2),
        "envelope": number(envelope, 2),
        "limit": number(limit, 2),
        "slack": number(slack, 2),
        "slack_value": _sortable(slack),
        "lower_bound": number(entry.get("lower_bound_mm"), 2),
        "at": point(entry.get("at_lps_mm")),
        "tone": tone,
        "word": word,
    }


def _state(name: str, slack: Any, envelope: Any, lower_bound: Any, limits: Limits | None) -> tuple[str, str]:
    """Colour and word of a clearance: by its limit, then by its lower bound, then by the wish for a finding."""
    if slack is None:
        return "bad", UNKNOWN
    if slack < 0:
        return "bad", "below limit"
    known = limits is not None and name in DANGERS
    if known and limits is not None:
        kind = limit_kind(name)
        if kind in limits.lower_bound_kinds and isinstance(lower_bound, (int, float)) and lower_bound <= 0:
            return "bad", "not certain"
        if envelope < limits.clearance_finding_mm.get(kind, -math.inf):
            return "near", "holds, close"
    return "good", "holds"


def _sortable(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else math.inf


def _summary(implants: Sequence[Row]) -> str:
    worst = min(implants, key=lambda row: float(row["slack_value"]))
    return (
        f"{len(implants)} implants; worst slack {worst['slack']} mm: implant {worst['slot']} to {worst['binding']}"
        f" (envelope distance less its limit)"
    )


def _model_words(model: ImplantModel | None) -> str:
    if model is None:
        return ""
    recalled = f"; recalled, not read in a source: {', '.join(model.recalled)}" if model.recalled else ""
    return model.summary + recalled


def _reason(entry: Mapping[str, Any]) -> Row:
    return {
        "constraint": str(entry.get("constraint") or ""),
        "missing": f"{number(entry.get('missing'), 2)} {entry.get('unit') or ''}".strip(),
        "text": str(entry.get("text") or ""),
    }


def _finding(entry: Mapping[str, Any], side: str = "") -> Row:
    severity = str(entry.get("severity") or "note")
    return {
        "code": str(entry.get("code") or ""),
        "severity": severity,
        "tone": {"note": "plain", "warning": "near", "refusal": "bad"}.get(severity, "near"),
        "side": str(entry.get("side") or side),
        "text": str(entry.get("text") or ""),
        "consequence": str(entry.get("consequence") or ""),
    }


def _certificate(entry: Any, parts_mm: tuple[float, float]) -> str:
    """The certificate in words; empty where there is none. Slack is cut down to two decimals and the bound cut up.

    `parts_mm` are those of the gap that a proof leaves which was not cut short; see `gap_parts_mm`.
    """
    if not isinstance(entry, Mapping) or not _is_number(entry.get("slack_mm")):
        return ""
    slack, upper, cap = entry["slack_mm"], entry.get("upper_bound_mm"), entry.get("cap_mm")
    low, (aim, paid) = math.floor(100 * slack + 1e-6) / 100, parts_mm
    cap, upper = (float(v) if _is_number(v) else math.inf for v in (cap, upper))
    own, ceiling = number(low, 2), number(cap, 2) if math.isfinite(cap) else ""
    given = f" The implants of the {entry['given']} side were obstacles." if entry.get("given") else ""
    if upper >= cap and cap - slack <= aim + paid + 1e-6:
        return (
            f"Worst slack is counted up to the cap of {ceiling} mm, so no plan counts for more than that; this one has "
            f"{own} mm.{given}"
        )
    if upper >= cap:
        ends = f"; slack is counted up to the cap of {ceiling} mm" if ceiling else ""
        return f"Nothing is proved about better plans: the proof was cut short. This plan has {own} mm{ends}.{given}"
    high = math.ceil(100 * upper - 1e-6) / 100
    given_for = f", and {number(math.ceil(100 * paid) / 100, 2)} mm were given for a reserve" if paid > 0.0 else ""
    aimed = f" The proof was cut short: a gap of {number(aim, 2)} mm was aimed at{given_for}."
    early = aimed if upper - slack > aim + paid + 0.002 else ""
    ends = f" Slack is counted up to the cap of {ceiling} mm." if ceiling else " There is no cap."
    return (
        f"No plan of this kind has more than {number(high, 2)} mm of worst slack; this one has {own} mm, so that no "
        f"more than {number(high - low, 2)} mm were missed.{early}{ends}{given}"
    )


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _pareto(entry: Mapping[str, Any]) -> Row:
    implants = entry.get("implants") or []
    return {
        "lengths": " / ".join(number(i.get("length_mm"), 0) for i in implants),
        "slack": number(entry.get("slack_mm"), 2),
        "sacral": number(entry.get("sacral_mm")),
    }


def _inputs(paths: Mapping[str, Any], sha256: Mapping[str, Any]) -> list[Row]:
    roles = list(dict.fromkeys([*paths, *sha256]))
    return [{"role": r, "path": str(paths.get(r, UNKNOWN)), "sha256": str(sha256.get(r, ""))} for r in roles]


def _limits(limits: Limits) -> list[tuple[str, str]]:
    rows = [
        (f"clearance to {structure_words(kind)}", f"{number(value)} mm{_wish(limits, kind)}")
        for kind, value in limits.clearance_mm.items()
    ]
    return [
        *rows,
        ("lower bound above zero for", ", ".join(limits.lower_bound_kinds)),
        ("sacral length", f"{number(limits.sacral_min_mm)} mm (a finding below {number(limits.sacral_finding_mm)})"),
        ("iliac length", f"{number(limits.iliac_min_mm)} mm"),
        ("distance between crossings of the joint", f"{number(limits.crossing_spacing_min_mm)} mm"),
        ("gap between implants", f"{number(limits.solid_gap_min_mm)} mm"),
        ("angle between implants, at most", f"{number(limits.mutual_angle_max_deg)}°"),
        ("angle to the joint's normal, at most", f"{number(limits.joint_normal_angle_max_deg)}°"),
        ("implants through the articular part, of three", f"{limits.articular_min_count}"),
        ("lateral protrusion", f"{number(limits.protrusion_min_mm)} to {number(limits.protrusion_max_mm)} mm"),
    ]


def _wish(limits: Limits, kind: str) -> str:
    wish = limits.clearance_finding_mm.get(kind)
    return "" if wish is None else f" (a finding below {number(wish)})"
