"""Tables as CSV that no spreadsheet takes for a program."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    r"""Rows of one table as CSV, with the first one's columns; a cell that a spreadsheet would run is quoted by '.

    Examples
    --------
    >>> csv_text([{"user": "=1+1", "mm": -2.5}])
    "user,mm\n'=1+1,-2.5\n"
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    risky = ("=", "+", "-", "@")
    writer.writerows(
        {k: f"'{v}" if isinstance(v, str) and v.startswith(risky) else v for k, v in row.items()} for row in rows
    )
    return text.getvalue()
