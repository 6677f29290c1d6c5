"""`sjplan sessions`: what was rehearsed, from the history."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from sjplan.cli.options import AsJson, FilePath, Labels
from sjplan.cli.output import out_console, print_json
from sjplan.core.errors import InputError

app = App(name="sessions", help="List, show and export rehearsals.")

HistoryFile = Annotated[FilePath | None, Parameter(help="The history; that of this user if left out.")]
User = Annotated[str | None, Parameter(help="Only this person's.")]


def history_path(named: Path | None) -> Path:
    """The history that was named, or SJPLAN_HISTORY, or the one in this user's data folder."""
    if named is not None:
        return named
    own = os.environ.get("SJPLAN_HISTORY")
    if own:
        return Path(own).expanduser()
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "sjplan" / "history.sqlite"


@app.command(name="list")
def list_sessions(*, history: HistoryFile = None, user: User = None, json: AsJson = False) -> int:
    """List sessions, oldest first."""
    from sjplan.training.history import History

    with History(_existing(history_path(history))) as opened:
        entries = opened.entries(user)
    if json:
        print_json({"sessions": [asdict(entry) for entry in entries]})
        return 0
    for e in entries:
        rating = "no score" if e.rating is None else f"rating {e.rating:.0f}"
        what = e.exercise or e.case
        state = rating if e.ended else f"goes on after {e.events} events"
        out_console().print(f"{e.id}  {e.begun[:16]}  {e.user}: {what}, {state}", markup=False)
    if not entries:
        out_console().print("no sessions yet", markup=False)
    return 0


@app.command
def show(
    session: str,
    /,
    *,
    history: HistoryFile = None,
    json: AsJson = False,
    report: Annotated[FilePath | None, Parameter(help="HTML file to write: the debrief, with pictures.")] = None,
    case: Annotated[str | None, Parameter(help="Its patient, for the report, where it is no phantom.")] = None,
    labels: Labels = None,
    cache: Annotated[FilePath | None, Parameter(help="Folder in which the trainer keeps its phantoms.")] = None,
) -> int:
    """Show one session: what was done, and its score."""
    from sjplan.training.history import History, audit_row

    with History(_existing(history_path(history))) as opened:
        header, events = opened.log(session)
        entry = next(e for e in opened.entries() if e.id == session)
        row, sheet = audit_row(opened, entry), opened.sheet(session)
        if report is not None:
            from sjplan.cli.session_report import write_session_report

            write_session_report(opened, entry, report, case, labels, cache)
    if json:
        print_json({"session": row, "header": header, "events": events, "score": sheet})
        return 0
    for name, value in row.items():
        out_console().print(f"{name:18} {'' if value is None else value}", markup=False)
    for event in events:
        out_console().print(f"{event['seconds']:7.0f} s  {_sentence(event)}", markup=False)
    for sign in [] if sheet is None else sheet["signs"]:
        for text in sign["signs"]:
            out_console().print(f"{sign['complication']}: {text}", markup=False)
    if report is not None:
        out_console().print(f"report in {report}", markup=False)
    return 0


@app.command
def export(
    *,
    out: Annotated[FilePath, Parameter(help="File to write.")],
    to: Annotated[Literal["csv", "json"], Parameter(help="What it is.")] = "csv",
    history: HistoryFile = None,
    user: User = None,
) -> int:
    """Write one row a session, with the fields that an audit or a registry asks for."""
    from sjplan.io.atomic import write_text
    from sjplan.training.exports import audit_rows, audit_text
    from sjplan.training.history import History

    with History(_existing(history_path(history))) as opened:
        rows = audit_rows(opened, user)
    write_text(out, audit_text(rows, to))
    out_console().print(str(out), markup=False)
    return 0


def _existing(path: Path) -> Path:
    if not path.is_file():
        fix = "name one with --history FILE, or with SJPLAN_HISTORY"
        raise InputError(str(path), found="no such file", wanted="a history", fix=fix)
    return path


def _sentence(event: dict[str, Any]) -> str:
    """One event in a line."""
    action = dict(event["action"])
    words = [str(action.pop("do")), *(f"{name} {value}" for name, value in action.items())]
    for what in ("feel", "said"):
        words += [f"{name} {value:g}" for name, value in event.get(what, {}).items() if isinstance(value, (int, float))]
    words += [" ".join(str(v) for v in hidden.values()) for hidden in event.get("hidden", ())]
    refused = event.get("refused")
    return ", ".join(words) + (f": refused, {refused}" if refused else "")
