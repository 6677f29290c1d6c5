"""`sjplan evaluate`: judge a plan file again, on the case it was made for or on another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from sjplan.cli.intake import CaseArguments, plannable_anatomy, read_case
from sjplan.cli.options import AsJson, Case, CatalogueFile, FilePath, Labels, LimitsFile, Names, Series, Untrusted
from sjplan.cli.output import note_line, out_console, print_json
from sjplan.cli.plan import margin_lines
from sjplan.cli.progress import part_of, progress

if TYPE_CHECKING:
    from sjplan.core.plan import Plan
    from sjplan.io.cases import Case as CaseData
    from sjplan.io.planfile import PlanFile, SideEntry
    from sjplan.safety.types import MarginReport


def evaluate(
    case: Case,
    plan: Annotated[FilePath, Parameter(help="The plan.json to judge.")],
    /,
    *,
    labels: Labels = None,
    names: Names = None,
    limits: LimitsFile = None,
    catalogue: CatalogueFile = None,
    series: Series = None,
    untrusted: Untrusted = False,
    json: AsJson = False,
) -> int:
    """Measure a plan's margins anew and say whether every limit holds.

    Sides without implants (no accepted plan) count as not accepted. Exit code 0 means that all sides are accepted.
    """
    from sjplan.io.cases import require_labels
    from sjplan.io.catalogue import read_implants
    from sjplan.io.limits import read_limits
    from sjplan.io.plan_case import as_sure_as_planned
    from sjplan.io.planfile import plan_from_entry, read_plan
    from sjplan.safety.judge import judge

    with progress("anatomy", "geometry", intake=0.7) as reporter:
        plan_file, models, bounds = read_plan(plan), read_implants(catalogue), read_limits(limits)
        plans = {entry.side: plan_from_entry(entry, models) for entry in plan_file.sides if entry.implants}
        data = read_case(CaseArguments(case, labels, names, series, untrusted), part_of(reporter, 0.0, 0.2))
        voxels, unsure = as_sure_as_planned(plan_file, require_labels(data))
        anatomy = plannable_anatomy(voxels, part_of(reporter, 0.2, 0.7))
        reports: dict[str, MarginReport] = {}
        for side, one in plans.items():
            reporter(f"measuring the {side} side", 0.7)
            reports[side] = judge(one, anatomy, bounds)
    notes = [*case_notes(plan_file, data), *unsure]
    accepted = bool(reports) and all(
        entry.side in reports and reports[entry.side].accepted for entry in plan_file.sides
    )
    if json:
        sides = [side_document(entry, plans.get(entry.side), reports.get(entry.side)) for entry in plan_file.sides]
        print_json({"accepted": accepted, "sides": sides, "notes": notes})
        return 0 if accepted else 1
    for entry in plan_file.sides:
        _print_side(entry, reports.get(entry.side))
    for note in notes:
        note_line(note)
    return 0 if accepted else 1


def case_notes(plan_file: PlanFile, case: CaseData) -> list[str]:
    """A word where the plan was made for other voxels than those it is judged on."""
    other = [role for role, sha in case.sha256.items() if plan_file.case.sha256.get(role, sha) != sha]
    return [f"the plan was made for another file: sha256 of the {role} differs" for role in other]


def side_document(entry: SideEntry, plan: Plan | None, report: MarginReport | None) -> dict[str, Any]:
    """One side measured anew, in the words of a plan file: verdict, limits that do not hold, implants, pairs."""
    if plan is None or report is None:
        return {"side": entry.side, "accepted": False, "status": entry.status, "violations": [], "implants": []}
    from sjplan.core.plan import Outcome
    from sjplan.io.planfile import side_entry

    # A plan file holds measures without a claim of acceptance as its `nearest`: the same words serve here.
    measured = side_entry(Outcome("infeasible", nearest=plan), entry.side, entry.planner, nearest_report=report)
    assert measured.nearest is not None
    return {"side": entry.side, **measured.nearest.model_dump()}


def _print_side(entry: SideEntry, report: MarginReport | None) -> None:
    console = out_console()
    if report is None:
        console.print(Text(f"{entry.side}: no implants in this plan (status {entry.status})", style="bold red"))
        return
    verdict, style = ("accepted", "bold green") if report.accepted else ("not accepted", "bold red")
    console.print(Text(f"{entry.side}: {verdict}, smallest margin {report.margin_mm:.1f} mm", style=style))
    for line in margin_lines(report):
        console.print(line)
    for violation in report.violations:
        console.print(Text(f"  {violation.text}"))
