"""`sjplan segment`: the bones of a CT that has no labels, with a confidence and a picture to accept or reject."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import Parameter

from sjplan import NOT_FOR_CLINICAL_USE
from sjplan.cli.intake import CaseArguments, read_case
from sjplan.cli.options import AsJson, Case, FilePath, Series, Untrusted
from sjplan.cli.output import error_line, note_line, out_console, print_json
from sjplan.cli.progress import part_of, progress
from sjplan.core.errors import AnatomyError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sjplan.cli.progress import Report
    from sjplan.core.findings import Finding
    from sjplan.core.labels import LabelMap
    from sjplan.core.volume import CtVolume
    from sjplan.segment.types import Confidence, Segmentation

Tool = Literal["phantom", "totalsegmentator"]

NOTHING_FOUND: Final = f"no pelvis was found: slices through the middle of the scan. {NOT_FOR_CLINICAL_USE}"
"""What is written below the slices where there is no label."""


def segment(
    case: Case,
    /,
    *,
    out: Annotated[FilePath, Parameter(help="Label map to write: .nii.gz, .nii, .nrrd or .mha.")],
    picture: Annotated[FilePath | None, Parameter(help="PNG file to write: slices with the labels' outlines.")] = None,
    tool: Annotated[
        Tool, Parameter(name="--with", help="What segments: sjplan's own phantom, or TotalSegmentator (if installed).")
    ] = "phantom",
    keep: Annotated[
        bool, Parameter(negative="", help="Write the labels also where they are not to be trusted (exit code 1).")
    ] = False,
    series: Series = None,
    untrusted: Untrusted = False,
    json: AsJson = False,
) -> int:
    """Label the bones of a CT that has no labels: sacrum, hips, L5 and upper femora.

    Look at the picture before you plan: a confidence is no proof. Where something speaks against the labels the exit
    code is 1, the reasons are printed, and the labels are written only with --keep.
    """
    from sjplan.io.volumes import write_labels

    _require_names(out, picture)
    with progress("anatomy", "phantom", intake=0.1) as reporter:
        data = read_case(CaseArguments(case, None, None, series, untrusted), part_of(reporter, 0.0, 0.1))
        if data.ct is None:
            raise InputError(
                case, found="a label map without a CT", wanted="a CT to segment", fix="give the CT as CASE"
            )
        try:
            found = _segmented(data.ct, tool, part_of(reporter, 0.1, 0.9))
        except AnatomyError as error:
            if picture is not None:
                _write_picture(picture, data.ct, None)
            return _nothing_found(error, data.findings, picture, as_json=json)
        document = _document(found, data.findings)
        if picture is not None:
            reporter("drawing the picture", 0.9)
            _write_picture(picture, data.ct, found)
        written = found.trusted or keep
        if written:
            reporter("writing the labels", 0.95)
            write_labels(found.labels, out)
    document |= {"labels": str(out) if written else None, "picture": str(picture) if picture else None}
    if json:
        print_json(document)
    else:
        _print(found, [str(file) for file in (out if written else None, picture) if file], data.findings)
    for refusal in found.refusals:
        error_line(refusal.text)
    if not found.trusted and not written:
        older = f"; {out} is of an earlier run" if out.exists() else ""
        error_line(f"no labels were written: --keep writes them all the same{older}")
    return 0 if found.trusted else 1


def _segmented(ct: CtVolume, tool: Tool, report: Report) -> Segmentation:
    from sjplan.segment.build import checked_labels, segment_ct
    from sjplan.segment.totalsegmentator import with_totalsegmentator

    if tool == "phantom":
        return segment_ct(ct, report)
    report("running TotalSegmentator", 0.0)
    return checked_labels(with_totalsegmentator(ct))


def _nothing_found(error: AnatomyError, intake: tuple[Finding, ...], picture: FilePath | None, *, as_json: bool) -> int:
    if as_json:
        findings = [*map(_words, intake), {"code": "no-pelvis", "severity": "refusal", "text": str(error), "side": ""}]
        shown = None if picture is None else str(picture)
        nothing: dict[str, Any] = {"labels": None, "picture": shown, "structures": {}, "findings": findings}
        print_json({"not_for_clinical_use": True, "trusted": False} | nothing)
    else:
        if picture is not None:
            out_console().print(str(picture), markup=False)
        for finding in intake:
            note_line(finding.text)
    error_line(str(error))
    return 1


def _document(found: Segmentation, intake: tuple[Finding, ...]) -> dict[str, Any]:
    return {
        "not_for_clinical_use": True,
        "trusted": found.trusted,
        "structures": {name: _numbers(c) for name, c in found.confidence.items()},
        "findings": [*map(_words, (*intake, *found.findings))],
    }


def _words(finding: Finding) -> dict[str, str]:
    return {"code": finding.code, "severity": finding.severity, "text": finding.text, "side": finding.side}


def _numbers(confidence: Confidence) -> dict[str, float]:
    return {
        "confidence": round(confidence.value, 3),
        "edge": round(confidence.edge, 3),
        "agreement": round(confidence.agreement, 3),
        "volume_ml": round(confidence.volume_ml, 1),
    }


def _print(found: Segmentation, files: list[str], intake: tuple[Finding, ...]) -> None:
    console = out_console()
    for file in files:
        console.print(file, markup=False)
    for name, confidence in found.confidence.items():
        console.print(f"  {name:14} {confidence.volume_ml:6.0f} ml   confidence {confidence.value:.2f}", markup=False)
    for finding in (*intake, *found.findings):
        if finding.severity != "refusal":
            note_line(finding.text)


def _write_picture(picture: FilePath, ct: CtVolume, found: Segmentation | None) -> None:
    """Draw slices through the sacrum, or through the middle of the scan where none was found."""
    from sjplan.io.atomic import write_bytes
    from sjplan.render.segmentation import segmentation_picture

    labels = None if found is None else found.labels
    lines = [NOTHING_FOUND] if found is None else picture_lines(found.labels, found.confidence)
    write_bytes(picture, segmentation_picture(ct, labels, lines))


def picture_lines(labels: LabelMap, confidence: Mapping[str, Confidence]) -> list[str]:
    """What is written below the slices."""
    words = [f"{name} {c.value:.2f}" for name, c in confidence.items()]
    lines = ["confidence: " + ", ".join(words)] if words else ["no confidence: labels of another tool"]
    return [*lines, f"{'x'.join(f'{s:.2g}' for s in labels.grid.spacing_mm)} mm. {NOT_FOR_CLINICAL_USE}"]


def _require_names(out: FilePath, picture: FilePath | None) -> None:
    from sjplan.cli.fluoro import require_png
    from sjplan.io.headers import image_suffix
    from sjplan.io.volumes import require_own_names

    if image_suffix(out) not in (".nii.gz", ".nii", ".nrrd", ".mha"):
        raise InputError("--out", found=str(out), wanted="a file name that ends in .nii.gz, .nii, .nrrd or .mha",
                         fix="name it labels.nii.gz")  # fmt: skip
    if out.is_dir() or not out.absolute().parent.is_dir():
        found = "a folder" if out.is_dir() else f"no folder {out.parent}"
        raise InputError(f"--out {out}", found=found, wanted="a file name in a folder that exists", fix="make it first")
    require_own_names(out)
    if picture is not None:
        require_png(picture, "--picture")
