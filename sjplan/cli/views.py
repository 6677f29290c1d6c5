"""`sjplan views`: the C-arm numbers of this patient's standard views."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.table import Table

from sjplan.cli.intake import CaseArguments, read_case
from sjplan.cli.opengl import require_opengl
from sjplan.cli.options import AsJson, Case, FilePath, Labels, Names, Series, Untrusted
from sjplan.cli.output import note_line, out_console, print_json
from sjplan.cli.progress import part_of, progress

if TYPE_CHECKING:
    from sjplan.cli.patient_views import PatientViews
    from sjplan.cli.progress import Report
    from sjplan.io.cases import Case as CaseData
    from sjplan.xray.types import CArm

_MONTAGE_COLUMNS = 4


def views(
    case: Case,
    /,
    *,
    montage: Annotated[
        FilePath | None, Parameter(help="PNG file to write: every view's radiograph on one sheet.")
    ] = None,
    labels: Labels = None,
    names: Names = None,
    series: Series = None,
    untrusted: Untrusted = False,
    json: AsJson = False,
) -> int:
    """Say how the C-arm has to stand for the standard views of this patient.

    The numbers are relative to the scan's coronal plane: orbital > 0 turns the detector to the patient's left,
    tilt > 0 to the head (outlet), tilt < 0 to the feet (inlet).
    """
    from sjplan.cli.fluoro import require_png
    from sjplan.cli.patient_views import patient_views

    if montage is not None:
        require_png(montage, "--montage")
        require_opengl()
    with progress("anatomy", intake=1.0) as reporter:
        data = read_case(CaseArguments(case, labels, names, series, untrusted), part_of(reporter, 0.0, 0.4))
        found = patient_views(data, part_of(reporter, 0.4, 1.0 if montage is None else 0.6))
        if montage is not None:
            write_montage(montage, data, found, part_of(reporter, 0.6, 1.0))
    if json:
        print_json({"views": {name: carm_numbers(carm) for name, carm in found.views.items()}, "notes": found.notes})
        return 0
    table = Table("view", "orbital deg", "tilt deg", "wig-wag deg", "isocentre LPS mm", box=None)
    for name, carm in found.views.items():
        angles = [f"{_rounded(v):+.1f}" for v in (carm.orbital_deg, carm.tilt_deg, carm.wig_wag_deg)]
        table.add_row(name, *angles, " ".join(f"{v:.1f}" for v in carm.isocentre_lps_mm))
    out_console().print(table)
    for note in found.notes:
        note_line(note)
    return 0


def write_montage(out: Path, case: CaseData, found: PatientViews, report: Report) -> None:
    """Every view's radiograph on one sheet, with its name and letters."""
    from sjplan.cli.fluoro import ct_of
    from sjplan.io.atomic import write_bytes
    from sjplan.render.fluoro import FluoroOverlays, fluoro_picture
    from sjplan.render.montage import montage
    from sjplan.xray.fluoroscope import Fluoroscope

    scope, pictures = Fluoroscope(ct_of(case)), []
    for n, (name, carm) in enumerate(found.views.items()):
        report(name, n / len(found.views))
        over = FluoroOverlays(frame=found.frame, title=name)
        pictures.append(fluoro_picture(scope.take(carm), over, zoom=1))
    write_bytes(out, montage(pictures, _MONTAGE_COLUMNS))


def carm_numbers(carm: CArm) -> dict[str, float | list[float]]:
    """A C-arm pose as plain numbers, for JSON."""
    return {
        "orbital_deg": _rounded(carm.orbital_deg),
        "tilt_deg": _rounded(carm.tilt_deg),
        "wig_wag_deg": _rounded(carm.wig_wag_deg),
        "isocentre_lps_mm": [_rounded(v) for v in carm.isocentre_lps_mm],
        "source_to_isocentre_mm": carm.source_to_isocentre_mm,
        "source_to_detector_mm": carm.source_to_detector_mm,
    }


def _rounded(value: float) -> float:
    return round(float(value), 3) + 0.0  # + 0.0 turns -0.0 into 0.0
