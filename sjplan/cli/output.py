"""What a command says: results on stdout, everything else on stderr, one JSON object where that is asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from sjplan.core.errors import SjplanError


def out_console() -> Console:
    """Console on the present stdout (made anew each time, because tests and shells replace it)."""
    return Console(highlight=False, soft_wrap=True)


def err_console() -> Console:
    """Console on the present stderr."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(document: Mapping[str, Any]) -> None:
    """Print exactly one JSON object on stdout.

    Examples
    --------
    >>> print_json({"answer": 1})
    {
     "answer": 1
    }
    """
    sys.stdout.write(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def print_entry(name: str, summary: str, facts: Sequence[str] = ()) -> None:
    """One entry of a list for people: its name, what it is, and a line for each fact."""
    console = out_console()
    console.print(Text(f"{name:14} ", style="bold") + Text(summary))
    for fact in facts:
        console.print(Text(f"{'':14} {fact}", style="dim"))


def one_line(text: str) -> str:
    r"""The text on one line, with nothing in it that a terminal would obey: files of strangers are quoted in messages.

    Examples
    --------
    >>> one_line("found \x1b[2J\u202e in\n  it")
    'found ?[2J? in it'
    """
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def error_line(text: str) -> None:
    """One line on stderr, whatever the text holds."""
    sys.stderr.write(f"sjplan: {one_line(text)}\n")


def note_line(text: str) -> None:
    """One line for people on stderr: it belongs to no result."""
    err_console().print(Text(one_line(text), style="dim"))


def print_failure(text: str, *, as_json: bool, error: SjplanError | None = None) -> None:
    """Say on stderr in one line what went wrong; under `--json` stdout still gets its one object."""
    if as_json:
        document: dict[str, Any] = {"status": "invalid_input", "error": " ".join(text.split())}
        if error is not None:
            document |= {"what": error.what, "found": error.found, "wanted": error.wanted, "fix": error.fix}
        print_json(document)
    error_line(text)
