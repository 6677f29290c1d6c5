"""`sjplan corridors`: the largest straight S1 and S2 corridors of this patient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Column, Table

from sjplan.cli.intake import CaseArguments, plannable_anatomy, read_case
from sjplan.cli.options import AsJson, Case, Labels, Names, Series, Untrusted
from sjplan.cli.output import note_line, out_console, print_json
from sjplan.cli.progress import part_of, progress

if TYPE_CHECKING:
    from sjplan.core.arrays import Array
    from sjplan.planning.corridors import Corridor


def corridors(
    case: Case,
    /,
    *,
    labels: Labels = None,
    names: Names = None,
    series: Series = None,
    untrusted: Untrusted = False,
    json: AsJson = False,
) -> int:
    """Find the widest straight ways in bone through S1 and S2: from each ilium to the midline, and from ilium to ilium.

    Three diameters in mm: of the inscribed cylinder; of the circle with the area of the common cross-section; and
    craniocaudally through the axis. Coronal and axial: how far the axis rises and runs ventrally on its way medially
    (trans-sacral: to the right), in degrees of the pelvic frame. Bone only: no limit is applied and no implant is
    placed. Exit code 0 also where there is no corridor: that is an answer.
    """
    from sjplan.io.cases import require_labels
    from sjplan.planning.corridors import find_corridors

    with progress("anatomy", "geometry", "planning", intake=0.7) as reporter:
        data = read_case(CaseArguments(case, labels, names, series, untrusted), part_of(reporter, 0.0, 0.2))
        anatomy = plannable_anatomy(require_labels(data), part_of(reporter, 0.2, 0.7))
        found = find_corridors(anatomy, progress=part_of(reporter, 0.7, 1.0, "corridors: "))
    findings = [
        {"code": f.code, "severity": f.severity, "text": f.text, "side": f.side}
        for f in (*data.findings, *anatomy.findings)
    ]
    if json:
        print_json(
            {
                "frame": "LPS",
                "units": "mm",
                "not_for_clinical_use": True,
                "corridors": [corridor_numbers(c) for c in found],
                "findings": findings,
            }
        )
        return 0
    out_console().print(_table(found))
    for c in found:
        if not c.found:
            out_console().print(f"{_name(c)}: {c.reason}")
    for finding in findings:
        if finding["severity"] != "note":
            note_line(finding["text"])
    return 0


def corridor_numbers(corridor: Corridor) -> dict[str, Any]:
    """A corridor as plain numbers, for JSON; without one, what is null says so and `reason` why."""
    start, end = corridor.start_lps_mm, corridor.end_lps_mm
    known = corridor.found
    return {
        "level": corridor.level,
        "kind": corridor.kind,
        "side": corridor.side,
        "found": known,
        "inscribed_diameter_mm": round(corridor.inscribed_diameter_mm, 3),
        "area_equivalent_diameter_mm": round(corridor.area_equivalent_diameter_mm, 3),
        "craniocaudal_diameter_mm": round(corridor.craniocaudal_diameter_mm, 3),
        "length_mm": round(corridor.length_mm, 3),
        "start_lps_mm": _rounded(start),
        "end_lps_mm": _rounded(end),
        "coronal_deg": round(corridor.coronal_deg, 3) if known else None,
        "axial_deg": round(corridor.axial_deg, 3) if known else None,
        "wall": corridor.wall or None,
        "reason": corridor.reason,
    }


def _rounded(point: Array | None) -> list[float] | None:
    return None if point is None else [round(float(v), 3) + 0.0 for v in point]


def _name(corridor: Corridor) -> str:
    return f"{corridor.level} {'trans-sacral' if corridor.kind == 'transsacral' else corridor.side}"


def _table(found: tuple[Corridor, ...]) -> Table:
    heads = ("inscribed", "area", "cranio-\ncaudal", "length", "coronal", "axial")
    first, last = (Column(name, no_wrap=True) for name in ("mm, degrees", "stopped by"))
    table = Table(first, *heads, last, box=None, padding=(0, 1, 0, 0))
    for c in found:
        if not c.found:
            table.add_row(_name(c), "none")
            continue
        measures = (c.inscribed_diameter_mm, c.area_equivalent_diameter_mm, c.craniocaudal_diameter_mm, c.length_mm)
        angles = (f"{v:+.0f}" for v in (c.coronal_deg, c.axial_deg))
        table.add_row(_name(c), *(f"{v:.1f}" for v in measures), *angles, c.wall)
    return table
