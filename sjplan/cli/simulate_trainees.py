"""`sjplan simulate-trainees`: virtual trainees operate a plan, and their scores go into one table."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from sjplan.cli.intake import CaseArguments, plannable_anatomy, read_case
from sjplan.cli.options import AsJson, Case, CatalogueFile, FilePath, Labels, Names, OutFolder, Series, Untrusted
from sjplan.cli.output import out_console, print_json
from sjplan.cli.progress import part_of, progress
from sjplan.core.errors import InputError
from sjplan.io.spreadsheets import csv_text

if TYPE_CHECKING:
    from sjplan.core.plan import Plan, Side
    from sjplan.core.scoring import Scoring
    from sjplan.training.score import ScoreSheet
    from sjplan.training.session import Session
    from sjplan.training.theatre import Theatre

MOST_OPERATIONS: Final = 10_000
TABLE: Final = "scores.csv"


def simulate_trainees(
    case: Case,
    plan: Annotated[FilePath, Parameter(help="The plan.json that they have in mind; its first side with implants.")],
    /,
    *,
    out: OutFolder,
    trainees: Annotated[str, Parameter(help="Who operates, by commas.")] = "novice,improving,expert",
    operations: Annotated[int, Parameter(help="How many by each of them.")] = 5,
    seed: Annotated[int, Parameter(help="Of the first operation; the others follow.")] = 0,
    scoring: Annotated[FilePath | None, Parameter(help="TOML file that says how to rate, in place of ours.")] = None,
    labels: Labels = None,
    names: Names = None,
    catalogue: CatalogueFile = None,
    series: Series = None,
    untrusted: Untrusted = False,
    json: AsJson = False,
) -> int:
    """Let virtual trainees operate: a log of every operation, and a table of their scores.

    They play the trainer's own actions, with the skill, patience and errors of docs/training.md. For studies of
    procedures and scores; no person is modelled.
    """
    from sjplan.io.atomic import output_folder
    from sjplan.io.cases import require_labels
    from sjplan.io.catalogue import read_implants
    from sjplan.io.planfile import plan_from_entry, read_plan
    from sjplan.io.scoring import read_scoring
    from sjplan.training.theatre import open_theatre
    from sjplan.training.trainees import trainee

    who = [trainee(name.strip()) for name in trainees.split(",")]
    if not 1 <= operations <= MOST_OPERATIONS:
        raise InputError("--operations", found=f"{operations}", wanted=f"1 to {MOST_OPERATIONS}")
    if seed < 0:
        raise InputError("--seed", found=f"{seed}", wanted="a whole number from 0")
    rules, models = read_scoring(scoring), read_implants(catalogue)
    entries = [entry for entry in read_plan(plan).sides if entry.implants]
    if not entries:
        raise InputError(str(plan), found="no side with implants", wanted="an accepted plan of at least one side")
    wanted = plan_from_entry(entries[0], models)
    arguments = CaseArguments(case, labels, names, series, untrusted)
    rows: list[dict[str, Any]] = []
    with progress("anatomy", "geometry", "xray", intake=0.3) as reporter, output_folder(out) as folder:
        data = read_case(arguments, part_of(reporter, 0.0, 0.1))
        anatomy = plannable_anatomy(require_labels(data), part_of(reporter, 0.1, 0.3))
        theatre = open_theatre(arguments.name, data, anatomy=anatomy, models=models)
        for n, (one, k) in enumerate([(one, k) for one in who for k in range(operations)]):
            reporter(f"{one.id} operates", 0.3 + 0.7 * n / (len(who) * operations))
            session, sheet = _operated(theatre, one.id, wanted, seed + k, rules)
            file = folder / f"{one.id}-{seed + k}.jsonl"
            lines = [session.header | {"trainee": one.id}, *session.events]
            file.write_text("".join(json_format.dumps(line) + "\n" for line in lines), encoding="utf-8")
            rows.append(_row(one.id, seed + k, wanted.side, session, sheet))
        (folder / TABLE).write_text(csv_text(rows), encoding="utf-8")
    if json:
        print_json({"out": str(out), "not_for_clinical_use": True, "scoring": rules.name, "operations": rows})
        return 0
    for one in who:
        own = sorted(row["rating"] for row in rows if row["trainee"] == one.id)
        breached = sum(row["breach_mm"] > 0 for row in rows if row["trainee"] == one.id)
        text = f"{one.id}: rating {own[0]:.0f} to {own[-1]:.0f}, outside bone in {breached} of {len(own)} operations"
        out_console().print(text, markup=False)
    out_console().print(str(Path(out) / TABLE), markup=False)
    return 0


def _operated(theatre: Theatre, name: str, plan: Plan, seed: int, rules: Scoring) -> tuple[Session, ScoreSheet]:
    from sjplan.training.score import score
    from sjplan.training.session import Session
    from sjplan.training.trainees import operate, trainee

    session = operate(Session(theatre, seed, images=False), trainee(name), plan, seed)
    return session, score(session, rules, {plan.side: plan})


def _row(name: str, seed: int, side: Side, session: Session, sheet: ScoreSheet) -> dict[str, Any]:
    return {
        "trainee": name,
        "seed": seed,
        "side": side,
        "rating": round(sheet.rating, 2),
        "breach_mm": round(sheet.breach_mm, 2),
        "breached": sheet.breached,
        "lower_bound_mm": None if sheet.lower_bound_mm is None else round(sheet.lower_bound_mm, 2),
        "grade": sheet.grades["sjplan"],
        "implants": len(session.state.implants),
        **{m.name: None if m.value is None else round(m.value, 3) for m in sheet.measures},
        "signs": " ".join(s.complication for s in sheet.signs if s.signs),
    }
