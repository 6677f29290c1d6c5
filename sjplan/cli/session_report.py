"""The one-file report of a rehearsal on the command line: its patient is read again, and all that was done replayed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sjplan.cli.intake import CaseArguments
from sjplan.cli.train import bed_of
from sjplan.core.errors import InputError
from sjplan.io.atomic import write_text

if TYPE_CHECKING:
    from sjplan.core.plan import Plan, Side
    from sjplan.training.history import Entry, History


def write_session_report(
    history: History, entry: Entry, out: Path, case: str | None, labels: Path | None, cache: Path | None
) -> Path:
    """Write the report of one session.

    Parameters
    ----------
    history : History
        That holds it.
    entry : Entry
        Which.
    out : path
        HTML file to write.
    case, labels : str, path, optional
        The patient, where it is none of the phantoms that the trainer built on this machine.
    cache : path, optional
        Folder in which it built them.

    Raises
    ------
    InputError
        If the patient is not there, or is another one.
    """
    from sjplan.app.debrief_report import case_name, debrief_report, pictures_to_draw
    from sjplan.app.house import opened, read_plans
    from sjplan.io.scoring import read_scoring
    from sjplan.training.debrief import debrief
    from sjplan.training.retelling import Retelling

    own = None if case is None else CaseArguments(case, labels)
    bed = bed_of(entry.case, own, cache)
    if not bed.made.exists():
        fix = "name it with --case, or open it once in sjplan train"
        raise InputError(f"case {entry.case}", found="nothing built", wanted="the patient of this session", fix=fix)
    theatre = opened(entry.case, bed.load())
    session = history.resume(entry.id, theatre, images=False).session
    file = bed.planned / "plan.json"
    plans: Mapping[Side, Plan] = read_plans(file) if file.exists() else {}
    retelling = Retelling(session, debrief(session, plans))
    pictures = {key: draw() for key, draw in pictures_to_draw(retelling, plans, retelling.shots).items()}
    name = case_name(bed.title if bed.make is not None else "", theatre.sha256)
    html = debrief_report(retelling, history.sheet(entry.id), read_scoring(), name, entry.user, entry.begun, pictures)
    return write_text(out, html)
