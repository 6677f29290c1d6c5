"""What says where implants were placed, told apart by what is in it: a plan, lines, meshes, or a CT."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.core.errors import InputError
from sjplan.core.volume import CtVolume
from sjplan.io.bones import BONE
from sjplan.io.cases import PHANTOM_CT
from sjplan.io.markups import Line, read_lines
from sjplan.io.meshes import read_stl
from sjplan.io.payload import is_folder
from sjplan.io.planfile import read_plan
from sjplan.io.planschema import PlanFile
from sjplan.io.volumes import read_ct

MOST_FILES: Final = 64
"""A folder of lines or meshes with more than this is no folder of one patient's implants."""


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """One mesh file: its name, vertices (n, 3) in LPS mm, triangles (m, 3)."""

    name: str
    vertices_lps_mm: Array
    triangles: NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class PlacedFile:
    """One source of placed implants; exactly one of the first four is there."""

    plan: PlanFile | None = None
    lines: tuple[Line, ...] = ()
    meshes: tuple[Mesh, ...] = ()
    ct: CtVolume | None = None
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """What it is, in words."""
        if self.plan is not None:
            return "a plan file"
        if self.ct is not None:
            return "metal in a post-operative CT"
        return "lines of 3D Slicer" if self.lines else "STL meshes"


def read_placed(path: str | Path, *, series: str | None = None, untrusted: bool = False) -> PlacedFile:
    """Read where implants were placed.

    Parameters
    ----------
    path : path
        A plan.json, a markups file (.mrk.json), an STL, a CT (file or DICOM folder), or a folder of markups or STL
        files. In a folder that holds both kinds the lines count: a person moves lines, models stay behind. Bones that
        `sjplan export` wrote beside the implants are left out.
    series, untrusted
        As for `volumes.read_ct`.

    Raises
    ------
    InputError
        For whatever is wrong with a file, in one line.
    """
    given = Path(path)
    name = given.name.lower()
    if is_folder(given):
        return _from_folder(given, series, untrusted)
    if name.endswith(".mrk.json"):
        return PlacedFile(lines=read_lines(given))
    if name.endswith(".json"):
        return PlacedFile(plan=read_plan(given))
    if name.endswith(".stl"):
        return PlacedFile(meshes=(_mesh(given),))
    return PlacedFile(ct=read_ct(given, series=series, untrusted=untrusted))


def _from_folder(folder: Path, series: str | None, untrusted: bool) -> PlacedFile:
    lines = _listed(folder, ".mrk.json")
    listed = _listed(folder, ".stl")
    meshes = [file for file in listed if not file.name.startswith(BONE)]
    if lines:
        note = (f"{len(meshes)} STL file(s) beside the lines were left out: the lines count",) if meshes else ()
        return PlacedFile(lines=tuple(line for file in lines for line in read_lines(file)), notes=note)
    if meshes:
        bones = len(listed) - len(meshes)
        note = (f"{bones} STL file(s) named {BONE}... were left out: they are bones",) if bones else ()
        return PlacedFile(meshes=tuple(_mesh(file) for file in meshes), notes=note)
    own = folder / PHANTOM_CT
    if not own.is_file() and (folder / "plan.json").is_file():
        return PlacedFile(plan=read_plan(folder / "plan.json"))
    return PlacedFile(ct=read_ct(own if own.is_file() else folder, series=series, untrusted=untrusted))


def _listed(folder: Path, ending: str) -> list[Path]:
    files = sorted(p for p in folder.iterdir() if p.name.lower().endswith(ending) and p.is_file())
    if len(files) > MOST_FILES:
        raise InputError(
            str(folder), found=f"{len(files)} files {ending}", wanted=f"those of one patient, at most {MOST_FILES}",
            fix="give a folder that holds one patient's implants",
        )  # fmt: skip
    return files


def _mesh(file: Path) -> Mesh:
    return Mesh(file.name[: -len(".stl")], *read_stl(file))
