"""Sessions as a table that an audit or a registry reads: one writer for the command line and for the page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from sjplan.core.errors import InputError
from sjplan.io.spreadsheets import csv_text
from sjplan.training.history import History, audit_row

Format = Literal["csv", "json"]

SCHEMA: Final = "sjplan.sessions/1"


def audit_rows(history: History, user: str | None = None) -> list[dict[str, Any]]:
    """Every session in its audit fields, oldest first; of one person, or of all."""
    return [audit_row(history, entry) for entry in history.entries(user)]


def audit_text(rows: Sequence[Mapping[str, Any]], to: Format) -> str:
    r"""Rows as a CSV that no spreadsheet takes for a program, or as JSON.

    Raises
    ------
    InputError
        If there are none.

    Examples
    --------
    >>> audit_text([{"user": "@home", "shots": 9}], "csv")
    "user,shots\n'@home,9\n"
    """
    if not rows:
        raise InputError("sessions", found="none to export", wanted="at least one session")
    if to == "csv":
        return csv_text(rows)
    document = {"schema": SCHEMA, "not_for_clinical_use": True, "sessions": list(rows)}
    return json.dumps(document, indent=1) + "\n"
