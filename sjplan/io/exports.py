"""A plan for other programs: a 3D Slicer scene, STL, OBJ, PLY, GLB, and a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sjplan import NOT_FOR_CLINICAL_USE
from sjplan.core.errors import InputError, unknown_name
from sjplan.core.implant import ImplantModel
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import fine_mesh, implant_solid
from sjplan.io.atomic import output_folder, write_text
from sjplan.io.meshes import Model, write_glb, write_obj, write_ply, write_stl
from sjplan.io.planfile import trajectory_from_entry
from sjplan.io.planschema import ImplantEntry, PlanFile
from sjplan.io.slicer import Line, SceneModel, write_markup, write_scene
from sjplan.io.spreadsheets import csv_text

SHAPE_TOL_MM: Final = 0.001
"""How far an exported implant may stray from its true solid: about what single precision leaves of a coordinate."""

_COLUMNS = (
    "side", "slot", "model", "length_mm", "inscribed_radius_mm", "circumscribed_radius_mm", "entry_x_lps_mm",
    "entry_y_lps_mm", "entry_z_lps_mm", "tip_x_lps_mm", "tip_y_lps_mm", "tip_z_lps_mm", "roll_deg", "protrusion_mm",
    "iliac_mm", "joint_mm", "sacral_mm", "crosses_articular", "overshoot_reserve_mm", "margin_mm", "slack_mm",
    "nearest_structure", "status", "notice",
)  # fmt: skip
COLOURS: Final = {1: (0.90, 0.35, 0.20), 2: (0.20, 0.65, 0.90), 3: (0.35, 0.75, 0.35)}
"""Red, green and blue of each slot."""


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """One accepted implant with where it belongs: its side, the side's status, and its trajectory."""

    side: str
    status: str
    entry: ImplantEntry
    trajectory: Trajectory

    @property
    def name(self) -> str:
        """Name of its files: side, slot and model."""
        return f"{self.side}_{self.entry.slot}_{self.entry.model}"


def export(
    plan_file: PlanFile,
    kind: str,
    out_dir: str | Path,
    catalogue: Mapping[str, ImplantModel],
    bones: Sequence[Model] = (),
) -> list[Path]:
    """Write the accepted implants of a plan, and the bones, for another program; nothing is left behind on failure.

    Parameters
    ----------
    plan_file : PlanFile
        The plan; sides without an accepted plan are left out.
    kind : {"slicer", "stl", "obj", "ply", "glb", "csv"}
        `slicer`: a scene (scene.mrml), one line markup (.mrk.json) an implant, and models (.stl); `stl`, `obj` and
        `ply`: one model an implant and a bone; `glb`: all models in plan.glb; `csv`: one table of the implants. Every
        coordinate is LPS in mm.
    out_dir : path
        Folder to write into.
    catalogue : mapping of id to ImplantModel
        Where the implants' sections come from.
    bones : sequence of Model
        Surfaces to write beside the implants; see `sjplan.io.bones.bone_models`.

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
    placed = placed_implants(plan_file, catalogue)
    with output_folder(out_dir) as building:
        names = [path.name for path in _WRITERS[kind](placed, [*implant_models(placed), *bones], building)]
    return [Path(out_dir) / name for name in names]


def placed_implants(plan_file: PlanFile, catalogue: Mapping[str, ImplantModel]) -> list[Placed]:
    """Every accepted implant of a plan, side by side.

    Raises
    ------
    InputError, UnknownNameError
        For a plan without implants, or one that does not fit the catalogue.
    """
    placed = [
        Placed(side.side, side.status, implant, trajectory_from_entry(implant, catalogue, side.side))
        for side in plan_file.sides
        for implant in side.implants
    ]
    if not placed:
        statuses = ", ".join(f"{s.side} {s.status}" for s in plan_file.sides)
        raise InputError(
            "plan", found=f"no accepted implants ({statuses})", wanted="at least one side with a plan",
            fix="plan again, with other limits or implants",
        )  # fmt: skip
    return placed


def implant_models(placed: Sequence[Placed]) -> list[Model]:
    """The true solids of implants, within `SHAPE_TOL_MM`."""
    return [Model(p.name, *fine_mesh(implant_solid(p.trajectory), SHAPE_TOL_MM), COLOURS[p.entry.slot]) for p in placed]


def _slicer(placed: Sequence[Placed], models: Sequence[Model], folder: Path) -> list[Path]:
    lines = [_line(p) for p in placed]
    shown = [SceneModel(f"{m.name}.stl", m.name, m.colour, m.opacity) for m in models]
    scene = write_scene(folder, lines, shown)
    return [scene, *(write_markup(folder, line) for line in lines), *_stl(placed, models, folder)]


def _line(placed: Placed) -> Line:
    entry = placed.entry
    return Line(
        file=placed.name,
        name=f"{placed.side} implant {entry.slot}",
        description=f"{entry.model}, {entry.length_mm:g} mm. {NOT_FOR_CLINICAL_USE}",
        entry_lps_mm=entry.entry_lps_mm,
        tip_lps_mm=entry.tip_lps_mm,
        length_mm=placed.trajectory.length_mm,
        colour=COLOURS[entry.slot],
    )


def _stl(_placed: Sequence[Placed], models: Sequence[Model], folder: Path) -> list[Path]:
    return [write_stl(folder / f"{m.name}.stl", m.vertices_lps_mm, m.triangles) for m in models]


def _obj(_placed: Sequence[Placed], models: Sequence[Model], folder: Path) -> list[Path]:
    return [write_obj(folder / f"{m.name}.obj", m.name, m.vertices_lps_mm, m.triangles) for m in models]


def _ply(_placed: Sequence[Placed], models: Sequence[Model], folder: Path) -> list[Path]:
    return [write_ply(folder / f"{m.name}.ply", m.vertices_lps_mm, m.triangles) for m in models]


def _glb(_placed: Sequence[Placed], models: Sequence[Model], folder: Path) -> list[Path]:
    return [write_glb(folder / "plan.glb", models)]


def _csv(placed: Sequence[Placed], _models: Sequence[Model], folder: Path) -> list[Path]:
    rows = [{column: row.get(column) for column in _COLUMNS} for row in map(_row, placed)]
    return [write_text(folder / "implants.csv", csv_text(rows))]


def _row(placed: Placed) -> dict[str, Any]:
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


_WRITERS: Final[Mapping[str, Callable[[Sequence[Placed], Sequence[Model], Path], list[Path]]]] = {
    "slicer": _slicer,
    "stl": _stl,
    "obj": _obj,
    "ply": _ply,
    "glb": _glb,
    "csv": _csv,
}
EXPORT_KINDS: Final = tuple(_WRITERS)
"""What `export` can write."""
