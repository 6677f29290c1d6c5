"""`sjplan series`: what a DICOM folder holds, which of it can be read, and why the rest cannot."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sjplan.cli.options import AsJson, FilePath, Untrusted
from sjplan.cli.output import note_line, print_entry, print_json
from sjplan.core.errors import InputError

if TYPE_CHECKING:
    from sjplan.core.findings import Finding
    from sjplan.io.dicom import SeriesSummary


def series(
    folder: Annotated[FilePath, Parameter(help="A DICOM folder, a DICOMDIR, or one DICOM file.")],
    /,
    *,
    untrusted: Untrusted = False,
    json: AsJson = False,
) -> int:
    """List the series of a DICOM folder: size, kernel, spacing, what would be repaired, and why one would be refused.

    Only headers are read. Exit code 0 means that there is a series to plan on, 1 that none can be read as a CT volume.
    """
    listed, findings = _summaries(folder, untrusted=untrusted)
    readable = any(not one.refusal for one in listed)
    if json:
        print_json({
            "folder": str(folder), "readable": readable, "series": [asdict(one) for one in listed],
            "findings": [asdict(finding) for finding in findings],
        })  # fmt: skip
        return 0 if readable else 1
    for one in listed:
        print_entry(one.uid, _kind(one), _facts(one, alone=len(listed) == 1))
    for finding in findings:
        note_line(f"{finding.severity}: {finding.text}")
    return 0 if readable else 1


def _summaries(folder: Path, *, untrusted: bool) -> tuple[tuple[SeriesSummary, ...], tuple[Finding, ...]]:
    from sjplan.io.child import summarize_in_child
    from sjplan.io.dicom import folders_in, summarize

    if not folder.exists():
        raise InputError(str(folder), found="no such file or folder", wanted="a DICOM folder", fix="check the path")
    listed, findings = summarize_in_child(folder) if untrusted else summarize(folder)
    if not listed:
        inside = folders_in(folder) if folder.is_dir() else 0
        found = "no DICOM images" + (f" ({inside} folder(s) in it)" if inside else "")
        raise InputError(
            str(folder), found=found + "".join(f"; {f.text}" for f in findings if f.severity == "warning"),
            wanted="a DICOM folder",
            fix=f"name the {'one of its folders' if inside else 'folder'} that holds the slices",
        )  # fmt: skip
    return listed, findings


def _kind(one: SeriesSummary) -> str:
    return f"{one.slices} slices of {one.columns} x {one.rows}, {one.modality}{one.details}"


def _facts(one: SeriesSummary, *, alone: bool) -> list[str]:
    facts = [f"{finding.severity}: {finding.text}" for finding in one.findings]
    if one.spacing_mm is None:
        return [f"cannot be read: {one.refusal}", *facts]
    spacing = " x ".join(f"{value:.3g}" for value in one.spacing_mm)
    return [f"can be read: {spacing} mm" + ("" if alone else " (choose it with --series)"), *facts]
