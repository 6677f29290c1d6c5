"""From the files of an audit to its results: one case, or every case of a folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sjplan import NOT_FOR_CLINICAL_USE
from sjplan.cli.audit_files import PLAN, case_notes, cases_of, labels_path, placed_in, plan_of
from sjplan.cli.intake import CaseArguments, plannable_anatomy, read_case
from sjplan.cli.progress import Report, part_of
from sjplan.core.errors import InputError, SjplanError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sjplan.anatomy.types import Anatomy
    from sjplan.audit.compare import CaseAudit
    from sjplan.audit.lines import Found
    from sjplan.audit.types import ImplantAudit, PlannedImplant, Registration
    from sjplan.core.implant import ImplantModel
    from sjplan.core.labels import LabelMap
    from sjplan.core.plan import Side
    from sjplan.io.placed import PlacedFile
    from sjplan.io.planfile import PlanFile

    Pictures = Callable[[CaseAudit, LabelMap, Anatomy], None]

SCHEME: Final = "smith"
"""The scheme that stands in tables: it was made for iliosacral screws (Smith et al., Spine 2006;31:234)."""


@dataclass(frozen=True, slots=True)
class AuditRequest:
    """What is to be compared, in the words of the command line."""

    plan: Path
    placed: Path
    labels: Path | None = None
    names: Path | None = None
    limits: Path | None = None
    catalogue: Path | None = None
    series: str | None = None
    side: str = "both"
    untrusted: bool = False


def run_audit(request: AuditRequest, report: Report, pictures: Pictures | None = None) -> CaseAudit:
    """Read plan, labels and what was placed; compare and judge, and have it drawn where `pictures` are wanted.

    Raises
    ------
    SjplanError
        For whatever is wrong with an input.
    """
    from sjplan.audit.compare import compare
    from sjplan.io.cases import require_labels
    from sjplan.io.catalogue import read_implants
    from sjplan.io.limits import read_limits
    from sjplan.io.placed import read_placed
    from sjplan.io.plan_case import as_sure_as_planned
    from sjplan.io.scoring import read_scoring

    catalogue, limits, schemes = read_implants(request.catalogue), read_limits(request.limits), read_scoring().grades
    plan_file = plan_of(request.plan, untrusted=request.untrusted)
    planned = planned_implants(plan_file, catalogue, str(request.plan))
    sides = _sides(request.side, planned)
    labels = labels_path(plan_file, request.plan, request.labels)
    report("reading what was placed", 0.0)
    source = read_placed(request.placed, series=request.series, untrusted=request.untrusted)
    case = read_case(
        CaseArguments(str(labels), names=request.names, untrusted=request.untrusted), part_of(report, 0.1, 0.2)
    )
    voxels, unsure = as_sure_as_planned(plan_file, require_labels(case))
    anatomy = plannable_anatomy(voxels, part_of(report, 0.2, 0.6))
    report("comparing", 0.6)
    found, registration, notes = _found(source, planned, anatomy, catalogue)
    notes = (*case_notes(plan_file, case, source), *unsure, *source.notes, *notes)
    report("judging what was placed", 0.8)
    result = compare(
        planned, found, anatomy, limits, schemes, sides=sides, registration=registration, notes=notes
    )  # fmt: skip
    if pictures is not None:
        report("drawing pictures", 0.9)
        pictures(result, voxels, anatomy)
    return result


def planned_implants(plan_file: PlanFile, catalogue: Mapping[str, ImplantModel], what: str) -> list[PlannedImplant]:
    """Every implant of a plan file.

    Raises
    ------
    InputError
        For a plan without implants.
    """
    from sjplan.audit.types import PlannedImplant
    from sjplan.io.planfile import trajectory_from_entry

    planned = [
        PlannedImplant(entry.side, implant.slot, trajectory_from_entry(implant, catalogue, entry.side))
        for entry in plan_file.sides
        for implant in entry.implants
    ]
    if not planned:
        statuses = ", ".join(f"{s.side} {s.status}" for s in plan_file.sides)
        raise InputError(what, found=f"no implants ({statuses})", wanted="a plan with implants",
                         fix="audit needs a plan that was accepted")  # fmt: skip
    return planned


def _sides(side: str, planned: list[PlannedImplant]) -> tuple[Side, ...]:
    from sjplan.core.plan import check_side

    if side == "both":
        return ("left", "right")
    if not any(p.side == side for p in planned):
        raise InputError("--side", found=f"{side}, for which nothing is planned", wanted="a side of the plan",
                         fix="name the other side, or leave --side out")  # fmt: skip
    return (check_side(side),)


def _found(
    source: PlacedFile, planned: list[PlannedImplant], anatomy: Anatomy, catalogue: Mapping[str, ImplantModel]
) -> tuple[Found, Registration | None, tuple[str, ...]]:
    from sjplan.audit.compare import found_by_lines, found_in_ct, found_in_meshes, found_in_plan
    from sjplan.audit.types import Segment

    if source.plan is not None:
        return found_in_plan(planned, planned_implants(source.plan, catalogue, "the placed plan")), None, ()
    if source.ct is not None:
        return found_in_ct(planned, anatomy, source.ct)
    if source.lines:
        return found_by_lines(planned, [Segment(line.name, line.ends_lps_mm) for line in source.lines]), None, ()
    meshes = [(m.name, m.vertices_lps_mm, m.triangles) for m in source.meshes]
    return found_in_meshes(planned, meshes), None, ()


def run_cases(
    folder: Path, common: AuditRequest, report: Report, pictures: Callable[[str], Pictures] | None = None
) -> list[tuple[str, CaseAudit | SjplanError]]:
    """Audit every case of a folder; what cannot be audited is a result too. `pictures` are asked for by case."""
    cases = cases_of(folder)
    results: list[tuple[str, CaseAudit | SjplanError]] = []
    for n, case in enumerate(cases):
        part = part_of(report, n / len(cases), (n + 1) / len(cases), f"{case.name}: ")
        try:
            request = replace(common, plan=case / PLAN, placed=placed_in(case))
            drawn = None if pictures is None else pictures(case.name)
            results.append((case.name, run_audit(request, part, drawn)))
        except SjplanError as error:
            results.append((case.name, error))
    return results


def document(result: CaseAudit) -> dict[str, Any]:
    """One case for a JSON file."""
    from sjplan.io.planentries import reason_entry

    registration = result.registration
    return {
        "accepted": result.accepted,
        "registration": None
        if registration is None
        else {
            "residual_mm": _rounded(registration.residual_mm),
            "matched_share": _rounded(registration.matched_share),
            "inside_share": _rounded(registration.inside_share),
            "plan_from_ct": {
                "rotation": registration.plan_from_ct.rotation.tolist(),
                "shift_mm": registration.plan_from_ct.shift_mm.tolist(),
            },
        },
        "sides": [
            {
                "side": side.side,
                "accepted": side.accepted,
                "missing": list(side.missing),
                "violations": [reason_entry(v).model_dump() for v in side.violations],
                "implants": [implant_document(i) for i in side.implants],
            }
            for side in result.sides
        ],
        "notes": list(result.notes),
    }


def implant_document(implant: ImplantAudit) -> dict[str, Any]:
    """One implant for a JSON file; what was not planned has no slot and no deviation."""
    from dataclasses import asdict

    t, off, margins = implant.placed.trajectory, implant.deviation, implant.margins
    nearest = min(implant.clearances, key=lambda c: c.envelope_mm)
    return {
        "slot": None if implant.planned is None else implant.planned.slot,
        "found_as": implant.placed.name,
        "model": t.model.id,
        "entry_lps_mm": [round(float(v), 4) for v in t.entry_lps_mm],
        "tip_lps_mm": [round(float(v), 4) for v in t.tip_lps_mm],
        "roll_deg": round(t.roll_deg, 3) if implant.placed.roll_known else None,
        "placed_length_mm": _rounded(t.length_mm),
        "fit_rms": None if implant.placed.fit_rms is None else round(implant.placed.fit_rms, 4),
        "deviation": None if off is None else {k: None if v is None else _rounded(v) for k, v in asdict(off).items()},
        "margin_mm": _rounded(nearest.envelope_mm),
        "nearest": nearest.structure,
        "lower_bound_mm": _rounded(min(c.lower_bound_mm for c in implant.clearances)),
        "protrusion_mm": None if margins is None else _rounded(margins.protrusion_mm),
        "sacral_mm": None if margins is None else _rounded(margins.sacral_mm),
        "breach_mm": _rounded(implant.breach_mm),
        "breached": implant.breached or None,
        "grades": dict(implant.grades),
        "clearances": [
            {
                "structure": c.structure,
                "distance_mm": _rounded(c.distance_mm),
                "envelope_mm": _rounded(c.envelope_mm),
                "limit_mm": c.limit_mm,
                "lower_bound_mm": _rounded(c.lower_bound_mm),
            }
            for c in sorted(implant.clearances, key=lambda c: c.slack_mm)
        ],
    }


def _rounded(value: float) -> float | None:
    import math

    return round(float(value), 3) + 0.0 if math.isfinite(value) else None


def table_rows(name: str, result: CaseAudit | SjplanError) -> list[dict[str, Any]]:
    """One row an implant for a CSV: empty slots and failures are rows too; the notes of a case stand in each."""
    blank: dict[str, Any] = dict.fromkeys(COLUMNS, "") | {"case": name, "notice": NOT_FOR_CLINICAL_USE}
    if isinstance(result, SjplanError):
        return [{**blank, "status": "failed", "error": str(result)}]
    blank["notes"] = "; ".join(result.notes)
    rows = []
    for side in result.sides:
        for implant in side.implants:
            d = implant_document(implant)
            off = d["deviation"] or {}
            row = {**blank, "side": side.side, "status": "compared" if off else "extra"}
            row |= {k: d[k] for k in ("slot", "model", "found_as", "margin_mm", "nearest", "lower_bound_mm")}
            row |= {
                "breach_mm": d["breach_mm"],
                "breached": d["breached"],
                **{f"grade_{k}": v for k, v in d["grades"].items()},
            }
            row |= {f"{k}_off" if k == "length_mm" else k: v for k, v in off.items()}
            row["side_accepted"] = side.accepted
            rows.append({k: "" if v is None else v for k, v in row.items()})
        rows += [
            {**blank, "side": side.side, "slot": slot, "status": "missing", "side_accepted": False}
            for slot in side.missing
        ]
    return rows


COLUMNS: Final = (
    *("case", "side", "slot", "status", "model", "found_as", "entry_mm", "tip_mm", "angle_deg", "roll_deg", "depth_mm"),
    *("lateral_mm", "entry_lateral_mm", "length_mm_off", "margin_mm", "nearest", "lower_bound_mm", "breach_mm"),
    *("breached", "grade_gertzbein-robbins", "grade_smith", "side_accepted", "error", "notes", "notice"),
)
