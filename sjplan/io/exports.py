"""A plan for other programs: 3D Slicer markups and models, STL, OBJ, and a table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sjplan import NOT_FOR_CLINICAL_USE
from sjplan.core.errors import InputError, unknown_name
from sjplan.core.implant import ImplantModel
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import outline
from sjplan.io.atomic import output_folder, write_text
from sjplan.io.meshes import write_obj, write_stl
from sjplan.io.planfile import trajectory_from_entry
from sjplan.io.planschema import ImplantEntry, PlanFile

MARKUPS_SCHEMA: Final = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
"""Identifier by which 3D Slicer recognises the format; nothing is fetched from it."""

_COLUMNS = (
    "side", "slot", "model", "length_mm", "inscribed_radius_mm", "circumscribed_radius_mm", "entry_x_lps_mm",
    "entry_y_lps_mm", "entry_z_lps_mm", "tip_x_lps_mm", "tip_y_lps_mm", "tip_z_lps_mm", "roll_deg", "protrusion_mm",
    "iliac_mm", "joint_mm", "sacral_mm", "crosses_articular", "overshoot_reserve_mm", "margin_mm", "slack_mm",
    "nearest_structure", "status", "notice",
)  # fmt: skip
_COLOURS = {1: (0.90, 0.35, 0.20), 2: (0.20, 0.65, 0.90), 3: (0.35, 0.75, 0.35)}


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """One accepted implant with where it belongs."""

    side: str
    status: str
    entry: ImplantEntry
    trajectory: Trajectory

    @property
    def name(self) -> str:
        return f"{self.side}_{self.entry.slot}_{self.entry.model}"


def export(plan_file: PlanFile, kind: str, out_dir: str | Path, catalogue: Mapping[str, ImplantModel]) -> list[Path]:
    """Write the accepted implants of a plan for another program; nothing is left behind on failure.

    Parameters
    ----------
    plan_file : PlanFile
        The plan; sides without an accepted plan are left out.
    kind : {"slicer", "stl", "obj", "csv"}
        `slicer`: one line markup (.mrk.json) and one model (.stl) an implant; `stl` and `obj`: one model an
        implant; `csv`: one table for all. Every coordinate is LPS in mm.
    out_dir : path
        Folder to write into.
    catalogue : mapping of id to ImplantModel
        Where the implants' sections come from.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    InputError, UnknownNameError
        For an unknown kind, a plan without implants, one that does not fit the catalogue, or a folder that
        cannot be written.
    """
    if kind not in _WRITERS:
        raise unknown_name("export --to", kind, _WRITERS)
    placed = list(_placed(plan_file, catalogue))
    if not placed:
        statuses = ", ".join(f"{s.side} {s.status}" for s in plan_file.sides)
        raise InputError(
            "plan", found=f"no accepted implants ({statuses})", wanted="at least one side with a plan",
            fix="plan again, with other limits or implants",
        )  # fmt: skip
    with output_folder(out_dir) as building:
        names = [path.name for path in _WRITERS[kind](placed, building)]
    return [Path(out_dir) / name for name in names]


def _placed(plan_file: PlanFile, catalogue: Mapping[str, ImplantModel]) -> Iterator[_Placed]:
    for side in plan_file.sides:
        for implant in side.implants:
            yield _Placed(side.side, side.status, implant, trajectory_from_entry(implant, catalogue, side.side))


def _slicer(placed: list[_Placed], folder: Path) -> list[Path]:
    lines = [
        write_text(folder / f"{p.name}.mrk.json", json.dumps(_markup(p), indent=1, allow_nan=False) + "\n")
        for p in placed
    ]
    return lines + _stl(placed, folder)


def _markup(placed: _Placed) -> dict[str, Any]:
    """One line from entry to tip, as 3D Slicer's markups module stores it."""
    entry, name = placed.entry, f"{placed.side} implant {placed.entry.slot}"
    colour = list(_COLOURS[entry.slot])
    points = [
        {
            "id": str(number),
            "label": f"{name} {end}",
            "description": NOT_FOR_CLINICAL_USE,
            "associatedNodeID": "",
            "position": position,
            "orientation": [-1.0, -0.0, -0.0, -0.0, -1.0, -0.0, 0.0, 0.0, 1.0],
            "selected": True,
            "locked": True,
            "visibility": True,
            "positionStatus": "defined",
        }
        for number, (end, position) in enumerate((("entry", entry.entry_lps_mm), ("tip", entry.tip_lps_mm)), 1)
    ]
    length = {"name": "length", "enabled": True, "value": placed.trajectory.length_mm, "units": "mm",
              "printFormat": "%-#4.4g%s"}  # fmt: skip
    line = {
        "type": "Line",
        "name": name,
        "description": f"{entry.model}, {entry.length_mm:g} mm. {NOT_FOR_CLINICAL_USE}",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": True,
        "fixedNumberOfControlPoints": True,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": 2,
        "controlPoints": points,
        "measurements": [length],
        "display": {
            "visibility": True,
            "opacity": 1.0,
            "color": colour,
            "selectedColor": colour,
            "lineThickness": 0.3,
        },
    }
    return {"@schema": MARKUPS_SCHEMA, "markups": [line]}


def _stl(placed: list[_Placed], folder: Path) -> list[Path]:
    return [write_stl(folder / f"{p.name}.stl", *outline(p.trajectory)) for p in placed]


def _obj(placed: list[_Placed], folder: Path) -> list[Path]:
    return [write_obj(folder / f"{p.name}.obj", p.name, *outline(p.trajectory)) for p in placed]


def _csv(placed: list[_Placed], folder: Path) -> list[Path]:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for p in placed:
        writer.writerow(_row(p))
    return [write_text(folder / "implants.csv", text.getvalue())]


def _row(placed: _Placed) -> dict[str, Any]:
    entry = placed.entry
    row = {column: getattr(entry, column) for column in _COLUMNS if hasattr(entry, column)}
    for end, point in (("entry", entry.entry_lps_mm), ("tip", entry.tip_lps_mm)):
        row.update({f"{end}_{axis}_lps_mm": value for axis, value in zip("xyz", point, strict=True)})
    nearest = min(entry.clearances, key=lambda c: c.envelope_mm, default=None)
    return {
        **row,
        "side": placed.side,
        "nearest_structure": nearest.structure if nearest else "",
        "status": placed.status,
        "notice": NOT_FOR_CLINICAL_USE,
    }


_WRITERS: Final[Mapping[str, Callable[[list[_Placed], Path], list[Path]]]] = {
    "slicer": _slicer,
    "stl": _stl,
    "obj": _obj,
    "csv": _csv,
}
EXPORT_KINDS: Final = tuple(_WRITERS)
"""What `export` can write."""
