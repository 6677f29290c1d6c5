"""`sjplan plan`: from a case to a plan with its margins, views and report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter
from rich.text import Text

from sjplan import NOT_FOR_CLINICAL_USE
from sjplan.cli.intake import CaseArguments
from sjplan.cli.opengl import require_opengl
from sjplan.cli.options import (
    AsJson,
    Case,
    CatalogueFile,
    ErrorModelName,
    ErrorsFile,
    Labels,
    LimitsFile,
    Names,
    OutFolder,
    Series,
    SideChoice,
    Untrusted,
)
from sjplan.cli.output import out_console, print_json
from sjplan.cli.pipeline import DEFAULT_ERROR_MODEL, INTAKE_SHARE, PlanRequest, PlanRun, run_plan
from sjplan.cli.progress import Report, part_of, progress
from sjplan.core.errors import InputError
from sjplan.core.plan import gap_parts_mm

if TYPE_CHECKING:
    from pathlib import Path

    from sjplan.cli.sides import SideResult
    from sjplan.core.plan import Certificate, Plan
    from sjplan.safety.types import BreachReport, MarginReport

KERNEL_ROOMS: Final = ("anatomy", "geometry", "planning", "safety")
"""Rooms whose compiled kernels every plan needs."""

PLAN_SHARE: Final = 0.5
"""Share of the time that goes by before the pictures."""

SHOWN_REASONS: Final = 3
"""Reasons that are printed of a side without an accepted plan: the worst ones; all of them stand in plan.json."""


def plan(
    case: Case,
    /,
    *,
    out: OutFolder,
    labels: Labels = None,
    names: Names = None,
    side: Annotated[SideChoice, Parameter(help="Side to plan; exit 0 only if every side is found.")] = "both",
    count: Annotated[int, Parameter(help="Implants a side, 2 or 3.")] = 3,
    implant: Annotated[
        str | None, Parameter(help="Model, or one a slot from cranial to caudal: ID[,ID[,ID]] (sjplan implants).")
    ] = None,
    planner: Annotated[
        str | None,
        Parameter(help="Planner: an id (sjplan planners), module:Class, or exec: and an external program."),
    ] = None,
    slack_cap: Annotated[
        str | None, Parameter(help="Slack beyond which no more is asked for, in mm, or none (planner's default: 3).")
    ] = None,
    limits: LimitsFile = None,
    catalogue: CatalogueFile = None,
    error_model: ErrorModelName = DEFAULT_ERROR_MODEL,
    errors: ErrorsFile = None,
    robust: Annotated[
        bool,
        Parameter(negative="", help="Make the plan as insensitive to errors of the error model as limits allow."),
    ] = False,
    seed: Annotated[int, Parameter(help="Seed of all randomness: the same seed gives the same plan.")] = 0,
    budget: Annotated[float | None, Parameter(help="Seconds that the search of one side may take.")] = None,
    pictures: Annotated[bool, Parameter(help="Make pictures and report.html as well as plan.json.")] = True,
    series: Series = None,
    untrusted: Untrusted = False,
    keep_identifiers: Annotated[
        bool,
        Parameter(
            negative="",
            help="Keep the DICOM patient's name and id and the study's UID in plan.json.",
        ),
    ] = False,
    json: AsJson = False,
) -> int:
    """Plan two or three implants a side, measure their margins, and write plan, views and report.

    Exit code 0 means that every side asked for has an accepted plan; 1 that one has none, with the reason.
    """
    check_seed_and_budget(seed, budget)
    request = PlanRequest(
        CaseArguments(case, labels, names, series, untrusted, keep_identifiers),
        side,
        count,
        implant,
        planner,
        limits,
        catalogue,
        seed,
        budget,
        error_model,
        errors,
        slack_cap,
        robust,
    )
    if pictures:
        require_opengl()
    rooms = (*KERNEL_ROOMS, "xray") if pictures else KERNEL_ROOMS
    with progress(*rooms, intake=INTAKE_SHARE * PLAN_SHARE if pictures else INTAKE_SHARE) as reporter:
        run = plan_into(request, out, reporter, pictures=pictures)
    if json:
        print_json(run.plan_file.model_dump(by_alias=True))
    else:
        print_summary(run, out)
    return run.exit_code


def check_seed_and_budget(seed: int, budget_s: float | None) -> None:
    """Refuse numbers that mean nothing, before anything is read."""
    if seed < 0:
        raise InputError("--seed", found=str(seed), wanted="0 or more")
    if budget_s is not None and not 0 < budget_s < float("inf"):
        raise InputError("--budget", found=f"{budget_s:g}", wanted="seconds, more than 0")


def plan_into(request: PlanRequest, out: Path, report: Report, *, pictures: bool) -> PlanRun:
    """Plan, and write everything into a folder that appears whole or not at all."""
    from sjplan.io.atomic import output_folder
    from sjplan.io.exports import export
    from sjplan.io.planfile import write_plan

    with output_folder(out) as folder:
        run = run_plan(request, part_of(report, 0.0, PLAN_SHARE if pictures else 1.0))
        write_plan(run.plan_file, folder / "plan.json")
        if any(entry.implants for entry in run.plan_file.sides):
            export(run.plan_file, "slicer", folder / "slicer", run.catalogue)
        if pictures:
            from sjplan.cli.pictures import write_pictures

            write_pictures(run, folder, part_of(report, PLAN_SHARE, 1.0))
    return run


def print_summary(run: PlanRun, out: Path) -> None:
    """What a person wants to know first: the verdict of each side, and why."""
    console = out_console()
    for result in run.results:
        for line in side_lines(result):
            console.print(line)
    for finding in run.plan_file.findings:
        if finding.severity != "note":
            console.print(Text(f"{finding.severity}: {finding.text}", style="yellow"))
    console.print(Text(f"written to {out}. {NOT_FOR_CLINICAL_USE}", style="dim"))


def side_lines(result: SideResult) -> list[Text]:
    """The verdict of one side and its implants, line by line."""
    if result.margins is not None:
        head = Text(f"{result.side}: {result.outcome.status}, accepted", style="bold green")
        certified = certificate_lines(result.outcome.certificate, result.outcome.plan)
        return [head, *margin_lines(result.margins), *certified, *breach_lines(result.breach)]
    lines = [Text(f"{result.side}: {result.outcome.status}, no accepted plan", style="bold red")]
    reasons = result.outcome.reasons
    lines += [Text(f"  {reason.text}") for reason in reasons[:SHOWN_REASONS]]
    if len(reasons) > SHOWN_REASONS:
        lines.append(Text(f"  and {len(reasons) - SHOWN_REASONS} more, in plan.json"))
    if result.nearest_margins is not None:
        slack = result.nearest_margins.slack_mm
        lines.append(Text(f"  nearest plan (not accepted): worst slack {slack:+.1f} mm"))
    if result.fallback_margins is not None:
        slack = result.fallback_margins.slack_mm
        lines.append(Text(f"  two implants would do: worst slack {slack:+.1f} mm (see fallback in plan.json)"))
    return lines


def certificate_lines(certificate: Certificate | None, plan: Plan | None) -> list[Text]:
    """What is proved about a side's worst slack, and where the proof ended early; numbers rounded so that they hold."""
    if certificate is None:
        return []
    aim, paid = gap_parts_mm({} if plan is None else plan.parameters)
    slack, upper = math.floor(100 * certificate.slack_mm + 1e-6) / 100, certificate.upper_bound_mm
    cap = f"cap {certificate.cap_mm:g} mm" if math.isfinite(certificate.cap_mm) else "no cap"
    given = f", given the implants of the {certificate.given} side" if certificate.given else ""
    early = certificate.gap_mm > aim + paid + 1e-6
    if early and not upper < certificate.cap_mm:
        return [
            Text(f"  not certified: worst slack {slack:.2f} mm, {cap}; the proof was cut short before any bound{given}")
        ]
    if not upper < certificate.cap_mm:
        # Plans with more slack than the cap may exist: nothing is said about them.
        text = f"certified up to the cap of {upper:g} mm, beyond which more is not asked for: this plan has {slack:.2f}"
        return [Text(f"  {text}; gap {certificate.cap_mm - slack:.2f} mm{given}")]
    upper = math.ceil(100 * upper - 1e-6) / 100
    text = f"certified: no plan has more than {upper:.2f} mm of worst slack (this one: {slack:.2f}, {cap})"
    given_for = f" and {math.ceil(100 * paid) / 100:g} mm given for a reserve" if paid > 0.0 else ""
    cut = f", where {aim:g} mm was aimed at{given_for}: the proof was cut short" if early else ""
    return [Text(f"  {text}; gap {upper - slack:.2f} mm{cut}{given}")]


def breach_lines(breach: BreachReport | None) -> list[Text]:
    """How probable it is that any implant of a side breaches anything."""
    if breach is None:
        return []
    p = breach.construct
    own = ", ".join(f"{i.slot}: {100 * i.any.value:.1f} %" for i in breach.implants)
    text = f"  breach probability ({breach.error_model}): {100 * p.value:.1f} %"
    return [Text(f"{text}, 95 % interval {100 * p.low:.1f} to {100 * p.high:.1f} %; by implant {own}")]


def margin_lines(margins: MarginReport) -> list[Text]:
    """One line an implant: what it is, where it is tightest, and how much of it lies where."""
    lines = []
    for m in margins.implants:
        tightest = m.binding
        lines.append(
            Text(
                f"  {m.slot}  {m.trajectory.model.id} {m.trajectory.length_mm:.0f} mm: "
                f"{tightest.envelope_mm:.1f} mm from its envelope to {tightest.structure} "
                f"(limit {tightest.limit_mm:g}), "
                f"at least {tightest.lower_bound_mm:.1f} mm from the implant; "
                f"{m.iliac_mm:.0f} mm in the ilium, {m.sacral_mm:.0f} mm in the sacrum"
            )
        )
    return lines
