"""What says where implants were placed, told apart by what is in it: a plan, lines, meshes, or a CT."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.core.errors import InputError
from sjplan.core.volume import CtVolume
from sjplan.io.bones import BONE
from sjplan.io.cases import PHANTOM_CT
from sjplan.io.dicom_headers import is_dicom_file
from sjplan.io.headers import IMAGE_SUFFIXES, image_suffix
from sjplan.io.markups import Line, read_lines
from sjplan.io.meshes import read_stl
from sjplan.io.payload import check_file_size, is_folder
from sjplan.io.planfile import read_plan
from sjplan.io.planschema import PlanFile
from sjplan.io.volumes import read_ct

MOST_FILES: Final = 64
"""A folder of lines or meshes with more than this is no folder of one patient's implants; nor is a file of lines."""

MOST_BYTES: Final = 2**27
"""Most bytes of lines or meshes, all files together."""

STRANGERS_BYTES: Final = 2**25
"""The same for a stranger's: 670,000 triangles, or the shortest text there is, which takes 9 s to read."""

MODELS: Final = (".obj", ".ply", ".glb", ".gltf", ".mrml", ".csv", ".vtk", ".vtp", ".step", ".stp")
"""Endings of what other programs keep implants in, and an audit does not read."""


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


def read_placed(
    path: str | Path, *, series: str | None = None, untrusted: bool = False, most_bytes: int = MOST_BYTES
) -> PlacedFile:
    """Read where implants were placed.

    Parameters
    ----------
    path : path
        A plan.json, a markups file (.mrk.json), an STL, a CT (file or DICOM folder), or a folder of markups or STL
        files. In a folder that holds both kinds the lines count: a person moves lines, models stay behind. Bones that
        `sjplan export` wrote beside the implants are left out.
    series, untrusted
        As for `volumes.read_ct`; whatever it is, a stranger's is read in a child process.
    most_bytes : int
        Of lines or meshes; a stranger's are held to `STRANGERS_BYTES`.

    Raises
    ------
    InputError
        For whatever is wrong with a file, in one line.
    """
    if untrusted:
        from sjplan.io.child import placed_in_child  # the child module calls this one

        _check_inside(Path(path))
        return placed_in_child(path, series=series)
    given = Path(path)
    name = given.name.lower()
    if is_folder(given):
        return _from_folder(given, series, most_bytes)
    if name.endswith(".mrk.json"):
        return PlacedFile(lines=_lines(given, [given], most_bytes))
    if name.endswith(".json"):
        return PlacedFile(plan=read_plan(given))
    if name.endswith(".stl"):
        return PlacedFile(meshes=_meshes(given, [given], most_bytes))
    check_file_size(given)
    if not image_suffix(given) and not is_dicom_file(given):
        raise _other_kind(given, f"a file {given.suffix[:20]}" if given.suffix else "a file without an ending")
    return PlacedFile(ct=read_ct(given, series=series))


def _from_folder(folder: Path, series: str | None, most_bytes: int) -> PlacedFile:
    lines = _listed(folder, ".mrk.json")
    listed = _listed(folder, ".stl")
    meshes = [file for file in listed if not file.name.startswith(BONE)]
    if lines:
        note = (f"{len(meshes)} STL file(s) beside the lines were left out: the lines count",) if meshes else ()
        return PlacedFile(lines=_lines(folder, lines, most_bytes), notes=note)
    if meshes:
        bones = len(listed) - len(meshes)
        note = (f"{bones} STL file(s) named {BONE}... were left out: they are bones",) if bones else ()
        return PlacedFile(meshes=_meshes(folder, meshes, most_bytes), notes=note)
    own = folder / PHANTOM_CT
    if not own.is_file() and (folder / "plan.json").is_file():
        return PlacedFile(plan=read_plan(folder / "plan.json"))
    if not own.is_file():
        _refuse_models(folder)
    return PlacedFile(ct=read_ct(own if own.is_file() else folder, series=series))


def _check_inside(given: Path) -> None:
    """Refuse a stranger's folder whose lines, meshes, plan or CT are links to somewhere else."""
    endings = (".mrk.json", ".stl", "plan.json", PHANTOM_CT)
    for file in given.iterdir() if is_folder(given) else ():
        if file.name.lower().endswith(endings) and not file.resolve().is_relative_to(given.resolve()):
            raise InputError(
                str(file), found="a link that leads outside of its folder", wanted="a file of the folder",
                fix="copy the file there, or read the folder without --untrusted if you trust its source",
            )  # fmt: skip


def _refuse_models(folder: Path) -> None:
    """Refuse a folder of models that an audit does not read; with a DICOM file or a folder in it, it may be a CT."""
    inside = list(folder.iterdir())
    endings = sorted({p.suffix.lower() for p in inside} & set(MODELS))
    if endings and not any(p.is_dir() or (p.is_file() and is_dicom_file(p)) for p in inside):
        raise _other_kind(folder, f"a folder of files {', '.join(endings)}")


def _other_kind(path: Path, found: str) -> InputError:
    return InputError(
        str(path), found=f"{found}, which an audit does not read",
        wanted=f"a plan.json, lines of 3D Slicer (.mrk.json), STL, or a CT ({', '.join(IMAGE_SUFFIXES)}, DICOM)",
        fix="sjplan export --to stl or slicer writes what it reads",
    )  # fmt: skip


def _listed(folder: Path, ending: str) -> list[Path]:
    files = sorted(p for p in folder.iterdir() if p.name.lower().endswith(ending) and p.is_file())
    if len(files) > MOST_FILES:
        raise InputError(
            str(folder), found=f"{len(files)} files {ending}", wanted=f"those of one patient, at most {MOST_FILES}",
            fix="give a folder that holds one patient's implants",
        )  # fmt: skip
    return files


def _check_bytes(given: Path, files: Iterable[Path], most_bytes: int) -> None:
    size = sum(check_file_size(file) for file in files)
    if size > most_bytes:
        raise InputError(
            str(given), found=f"{size} bytes of lines or meshes",
            wanted=f"one patient's implants, at most {most_bytes} bytes",
            fix="leave bones out, save binary STL, or thin out the triangles",
        )  # fmt: skip


def _lines(given: Path, files: list[Path], most_bytes: int) -> tuple[Line, ...]:
    _check_bytes(given, files, most_bytes)
    try:
        lines = [line for file in files for line in read_lines(file)]
    except OverflowError as error:  # a whole number with more digits than a float can hold
        raise InputError(
            str(given), found="a position that is no coordinate in mm", wanted="numbers in mm",
            fix="save the line from 3D Slicer again",
        ) from error  # fmt: skip
    if len(lines) > MOST_FILES:
        raise InputError(
            str(given), found=f"{len(lines)} lines", wanted=f"those of one patient, at most {MOST_FILES}",
            fix="give the lines of one patient's implants",
        )  # fmt: skip
    return tuple(replace(line, name=_shown(line.name)) for line in lines)


def _meshes(given: Path, files: list[Path], most_bytes: int) -> tuple[Mesh, ...]:
    _check_bytes(given, files, most_bytes)
    return tuple(Mesh(_shown(file.name[: -len(".stl")]), *read_stl(file)) for file in files)


def _shown(name: str) -> str:
    """A name that any terminal and any file can hold."""
    return "".join(sign if sign.isprintable() else "?" for sign in name)
