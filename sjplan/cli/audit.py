"""`sjplan audit`: planned against placed implants."""

from __future__ import annotations

import statistics
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from sjplan import NOT_FOR_CLINICAL_USE
from sjplan.cli.audit_pictures import now_words, off_words, pictures_in
from sjplan.cli.audit_runs import AuditRequest, document, implant_document, run_audit, run_cases, table_rows
from sjplan.cli.options import (
    AsJson,
    CatalogueFile,
    FilePath,
    Labels,
    LimitsFile,
    Names,
    Series,
    SideChoice,
    Untrusted,
)
from sjplan.cli.output import note_line, out_console, print_json
from sjplan.cli.progress import progress
from sjplan.core.errors import InputError, SjplanError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sjplan.audit.compare import CaseAudit
    from sjplan.audit.types import ImplantAudit, SideAudit

    Results = Sequence[tuple[str, CaseAudit | SjplanError]]


def audit(
    plan: Annotated[FilePath, Parameter(help="The plan.json; or a folder of cases, each with plan.json and placed.*.")],
    placed: Annotated[
        FilePath | None,
        Parameter(
            help="What was placed: a second plan.json, a line of 3D Slicer (.mrk.json), an STL, a folder of either, or "
            "a post-operative CT with the metal in it."
        ),
    ] = None,
    /,
    *,
    labels: Labels = None,
    names: Names = None,
    side: SideChoice = "both",
    limits: LimitsFile = None,
    catalogue: CatalogueFile = None,
    series: Series = None,
    untrusted: Untrusted = False,
    out: Annotated[FilePath | None, Parameter(help="Folder for audit.json, audit.csv and pictures.")] = None,
    json: AsJson = False,
) -> int:
    """Compare placed implants with their plan: entry, tip, angle, roll, depth, clearance now, breach grade.

    Clearances are measured on the anatomy of the label map that the plan was made on: the one that the plan names, if
    its bytes are still the same, or --labels. A post-operative CT is laid onto that anatomy by bone. Exit code 0 means
    that everything planned is there, nothing else is, and every limit holds for the implants as they lie.
    """
    from sjplan.io.atomic import output_folder

    if plan.is_dir() != (placed is None):
        found = "a folder and a second argument" if plan.is_dir() else f"{plan} alone"
        raise InputError("audit", found=found, wanted="PLAN.json PLACED, or one folder of cases",
                         fix="see sjplan audit --help")  # fmt: skip
    common = AuditRequest(plan, placed or plan, labels, names, limits, catalogue, series, side, untrusted)
    with (
        output_folder(out) if out is not None else nullcontext() as folder,
        progress("anatomy", "geometry", intake=0.6 if placed is not None else 1.0) as reporter,
    ):
        results: Results
        if placed is None:
            results = run_cases(plan, common, reporter, None if folder is None else partial(pictures_in, folder))
        else:
            pictures = None if folder is None else pictures_in(folder)
            results = [(plan.parent.name or plan.name, run_audit(common, reporter, pictures))]
        answer = _document(results, single=placed is not None)
        if folder is not None:
            _write(folder, answer, results)
    if json:
        print_json(answer)
    else:
        _print(results, single=placed is not None)
        written = "" if out is None else f"written to {out}. "
        out_console().print(Text(f"{written}{NOT_FOR_CLINICAL_USE}", style="dim"))
    return 0 if all(not isinstance(r, SjplanError) and r.accepted for _, r in results) else 1


def _document(results: Results, *, single: bool) -> dict[str, Any]:
    from dataclasses import asdict

    from sjplan.audit.published import KAMPKUIPER_2023

    head: dict[str, Any] = {
        "schema": "sjplan.audit/1",
        "not_for_clinical_use": True,
        "notice": NOT_FOR_CLINICAL_USE,
        "published": asdict(KAMPKUIPER_2023),
    }
    if single:
        ((_, result),) = results
        assert not isinstance(result, SjplanError)
        return head | document(result)
    rows = [
        {"case": name, "status": "failed", "error": str(r)}
        if isinstance(r, SjplanError)
        else {"case": name, "status": "audited", **document(r)}
        for name, r in results
    ]
    return head | {
        "accepted": all(row.get("accepted", False) for row in rows),
        "summary": _summary(results),
        "cases": rows,
    }


def _summary(results: Results) -> dict[str, Any]:
    """Means over all implants that were compared."""
    done = [r for _, r in results if not isinstance(r, SjplanError)]
    off = [i.deviation for r in done for i in r.compared if i.deviation is not None]
    summary: dict[str, Any] = {"cases": len(results), "failed": len(results) - len(done), "implants": len(off)}
    for name in ("tip_mm", "angle_deg"):
        values = [getattr(d, name) for d in off]
        summary[name] = round(statistics.fmean(values), 2) if values else None
    return summary


def _write(folder: Path, answer: dict[str, Any], results: Results) -> None:
    import json

    from sjplan.io.atomic import write_text
    from sjplan.io.spreadsheets import csv_text

    write_text(folder / "audit.json", json.dumps(answer, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    write_text(folder / "audit.csv", csv_text([row for name, r in results for row in table_rows(name, r)]))


def _print(results: Results, *, single: bool) -> None:
    console = out_console()
    for name, result in results:
        if isinstance(result, SjplanError):
            console.print(Text(f"{name}: failed: {result}", style="bold red"))
            continue
        for side in result.sides:
            console.print(_headline(side, "" if single else f"{name}, "))
            for implant in side.implants:
                console.print(Text(_implant_line(implant)))
            for line in _sentences(side):
                console.print(Text(f"  {line}"))
        if result.registration is not None:
            r = result.registration
            note_line(
                f"bones laid onto each other: {r.residual_mm:.2f} mm in the median, {r.matched_share:.0%} matched"
            )
        for note in result.notes:
            note_line(note)
    _print_context(results)


def _headline(side: SideAudit, prefix: str) -> Text:
    verdict, style = ("accepted as it lies", "bold green") if side.accepted else ("not accepted as it lies", "bold red")
    return Text(f"{prefix}{side.side}: {verdict}", style=style)


def _implant_line(implant: ImplantAudit) -> str:
    """One implant: how far off its plan, how clear now, how graded."""
    d = implant_document(implant)
    if d["deviation"] is None:
        return f"  -  {d['found_as']}: not planned; {now_words(d)}"
    return f"  {d['slot']}  {d['found_as']}: {off_words(d['deviation'])}; {now_words(d)}"


def _sentences(side: SideAudit) -> list[str]:
    out = [f"implant {slot} was planned and not found" for slot in side.missing]
    out += [f"{i.placed.name} lies there and was not planned" for i in side.extra]
    return out + [v.text for v in side.violations]


def _print_context(results: Results) -> None:
    from sjplan.audit.published import KAMPKUIPER_2023 as KNOWN

    summary = _summary(results)
    if summary["implants"]:
        note_line(
            f"{summary['implants']} implant(s): tip {summary['tip_mm']:.1f} mm and axis {summary['angle_deg']:.1f} deg "
            f"off in the mean; published: {KNOWN.tip_mm[0]} +- {KNOWN.tip_mm[1]} mm and {KNOWN.angle_deg[0]} +- "
            f"{KNOWN.angle_deg[1]} deg of {KNOWN.implants} implants ({KNOWN.source}): context, no limit"
        )
    if len(results) > 1:
        accepted = sum(not isinstance(r, SjplanError) and r.accepted for _, r in results)
        out_console().print(f"{len(results)} cases: {accepted} accepted as they lie, {summary['failed']} failed")
