"""`sjplan export`: the implants of a plan, and the bones, for another program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from sjplan.cli.export_case import CaseOptions, labels_of_plan
from sjplan.cli.export_dicom import export_to_dicom
from sjplan.cli.options import AsJson, CatalogueFile, FilePath, Labels, Names, OutFolder, Series, Untrusted
from sjplan.cli.output import note_line, out_console, print_json
from sjplan.cli.progress import Report, part_of, progress
from sjplan.core.errors import SjplanError

if TYPE_CHECKING:
    from sjplan.io.meshes import Model
    from sjplan.io.planfile import PlanFile

Kind = Literal["slicer", "stl", "obj", "ply", "glb", "csv", "dicom"]


def export(
    plan: Annotated[FilePath, Parameter(help="A plan.json.")],
    /,
    *,
    to: Annotated[Kind, Parameter(help="A 3D Slicer scene, meshes, a table, or DICOM objects.")],
    out: OutFolder,
    bones: Annotated[bool, Parameter(help="Write the bones as well, where the plan's label map is found.")] = True,
    case: Annotated[str | None, Parameter(help="The case that was planned on, if it has moved.")] = None,
    labels: Labels = None,
    names: Names = None,
    series: Series = None,
    views: Annotated[bool, Parameter(help="Write the predicted views as well (DICOM).")] = True,
    keep_identifiers: Annotated[
        bool, Parameter(negative="", help="Copy name, number, dates and the like from the CT's headers (DICOM).")
    ] = False,
    catalogue: CatalogueFile = None,
    untrusted: Untrusted = False,
    json: AsJson = False,
) -> int:
    """Write a plan's accepted implants, and the bones, for another program. Every coordinate is LPS in mm.

    The bones come from the label map that plan.json names, if its bytes are still the same. DICOM objects join the
    study of the series that was planned on: they carry its UIDs, and who the patient is only if asked.
    """
    from sjplan.io.catalogue import read_implants
    from sjplan.io.exports import export as write_export
    from sjplan.io.exports import placed_implants
    from sjplan.io.planfile import read_plan

    options = CaseOptions(case, labels, names, series, untrusted)
    with progress(*(("geometry",) if bones and to != "csv" else ()), intake=0.5) as reporter:
        plan_file, models = read_plan(plan), read_implants(catalogue)
        placed_implants(plan_file, models)
        if to == "dicom":
            asked = {"bones": bones, "views": views, "keep_identifiers": keep_identifiers}
            written, notes = export_to_dicom(plan_file, plan, out, models, options, reporter, **asked)
        else:
            surfaces: list[Model] = []
            notes = []
            if bones and to != "csv":
                surfaces, notes = _bones(plan_file, plan, options, part_of(reporter, 0.0, 0.9))
            reporter(f"writing {to}", 0.9)
            written = write_export(plan_file, to, out, models, surfaces)
    if json:
        print_json({"out": str(out), "files": [path.name for path in written], "notes": notes})
        return 0
    for path in written:
        out_console().print(str(path), markup=False)
    for note in notes:
        note_line(note)
    return 0


def _bones(plan_file: PlanFile, plan_path: Path, options: CaseOptions, report: Report) -> tuple[list[Model], list[str]]:
    """Surfaces of the bones, and what a person should know where there are none."""
    from sjplan.io.bones import bone_models

    labels, notes = labels_of_plan(plan_file, plan_path, options, part_of(report, 0.0, 0.4))
    if labels is None:
        return [], notes
    report("surfaces of the bones", 0.4)
    try:
        return bone_models(labels), notes
    except SjplanError as error:
        if options.given:
            raise
        return [], [*notes, f"no bones: {error}"]
