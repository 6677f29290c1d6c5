"""The report: one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from sjplan.core.errors import InputError
from sjplan.report.data import ReportData
from sjplan.report.model import page


@cache
def _environment() -> Environment:
    """Templates, with every value escaped and a missing one an error."""
    return Environment(
        loader=PackageLoader("sjplan.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def rendered(template: str, values: Mapping[str, Any]) -> str:
    """One of the room's templates with its values."""
    return _environment().get_template(template).render(values)


def report_html(data: ReportData) -> str:
    """The whole page as text.

    Examples
    --------
    >>> html = report_html(ReportData({"sides": [{"side": "left", "status": "timeout", "implants": []}]}))
    >>> "NO PLAN IN TIME" in html, html.count("ot for clinical use") >= 2
    (True, True)
    """
    return rendered("report.html.j2", page(data))


def write_report(path: str | Path, data: ReportData) -> Path:
    """Write the page to `path`; a failure leaves no half-written file.

    Raises
    ------
    InputError
        If the folder is missing or cannot be written to.
    """
    target = Path(path)
    text = report_html(data)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise InputError(
            f"report {target}",
            found=error.strerror or str(error),
            wanted="a folder that exists and can be written to",
            fix="create the folder, or choose another --out",
        ) from None
    return target
