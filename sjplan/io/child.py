"""Reading in a child process with limits on memory and time, for files that nobody vouches for."""

from __future__ import annotations

import datetime
import json
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sjplan.core.errors import InputError, SjplanError
from sjplan.core.findings import Finding
from sjplan.core.grid import Grid
from sjplan.core.labels import LabelMap
from sjplan.core.volume import CtVolume, Source
from sjplan.io.dicom import SeriesSummary, summarize
from sjplan.io.volumes import Kind, Loaded, load

if TYPE_CHECKING:
    from sjplan.io.dicom_study import Study
    from sjplan.io.placed import PlacedFile
    from sjplan.io.planfile import PlanFile

MEMORY_LIMIT_BYTES: Final = 6 * 2**30
"""Address space of the child: 4 GiB of pixels at most (`payload.MAX_DATA_BYTES`) and 2 GiB for the libraries."""

TIME_LIMIT_S: Final = 300.0
"""Longest time the child may take: a full-size compressed CT needs about 20 s on one slow core."""

MOST_ANSWER_BYTES: Final = 2**23
"""Longest answer but for pixels and meshes: what the parent has to read is short, whatever the file held."""

_CHILD = "from sjplan.io.child import main; main()"
_ERRORS = {cls.__name__: cls for cls in SjplanError.__subclasses__()}


def load_in_child(
    path: str | Path,
    kind: Kind,
    *,
    series: str | None = None,
    names: str | Path | None = None,
    keep_identifiers: bool = False,
    memory_bytes: int = MEMORY_LIMIT_BYTES,
    seconds: float = TIME_LIMIT_S,
) -> Loaded:
    """Do what `volumes.load` does in a child process; whatever happens to it, the answer is a result or one line.

    Parameters
    ----------
    path, kind, series, names, keep_identifiers
        As for `volumes.load`.
    memory_bytes : int
        Limit on the child's address space.
    seconds : float
        Limit on its time.

    Raises
    ------
    SjplanError
        What the child found wrong; InputError also where it was killed, crashed or ran out of time or memory.
    """
    request = {
        "path": str(path), "kind": kind, "series": series, "names": None if names is None else str(names),
        "keep_identifiers": keep_identifiers,
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="sjplan-") as folder:
        return _unpack(_answered(path, request, folder, memory_bytes, seconds), Path(folder))


def summarize_in_child(path: str | Path) -> tuple[tuple[SeriesSummary, ...], tuple[Finding, ...]]:
    """Do what `dicom.summarize` does in a child process.

    Raises
    ------
    SjplanError
        As for `load_in_child`.
    """
    with tempfile.TemporaryDirectory(prefix="sjplan-") as folder:
        answer = _answered(path, {"path": str(path), "kind": "series"}, folder)
    series = tuple(
        SeriesSummary(**(row | {"spacing_mm": _spacing(row["spacing_mm"]), "findings": _findings(row["findings"])}))
        for row in answer["series"]
    )
    return series, _findings(answer["findings"])


def plan_in_child(path: str | Path) -> PlanFile:
    """Do what `planfile.read_plan` does in a child process.

    Raises
    ------
    SjplanError
        As for `load_in_child`.
    """
    from sjplan.io.planfile import PlanFile
    from sjplan.io.tables import validated

    with tempfile.TemporaryDirectory(prefix="sjplan-") as folder:
        answer = _answered(path, {"path": str(path), "kind": "plan"}, folder)
    return validated(PlanFile, answer["plan"], str(path))


def placed_in_child(path: str | Path, *, series: str | None = None) -> PlacedFile:
    """Do what `placed.read_placed` does in a child process.

    Raises
    ------
    SjplanError
        As for `load_in_child`.
    """
    with tempfile.TemporaryDirectory(prefix="sjplan-") as folder:
        request = {"path": str(path), "kind": "placed", "series": series}
        answer = _answered(path, request, folder)
        return _unpack_placed(path, answer, Path(folder))


def study_in_child(
    folder: str | Path, series: str | None, created: datetime.datetime, *, keep_identifiers: bool = False
) -> Study:
    """Do what `dicom_study.read_study` does in a child process; the parent reads what the child took over of it.

    Raises
    ------
    SjplanError
        As for `load_in_child`.
    """
    import pydicom

    from sjplan.io.dicom_study import IDENTIFIERS, Study

    with tempfile.TemporaryDirectory(prefix="sjplan-") as own:
        request = {"path": str(folder), "kind": "study", "series": series, "keep_identifiers": keep_identifiers}
        answer = _answered(folder, request, own)
        pictures = [pydicom.dcmread(Path(own) / f"{n}.dcm") for n in range(answer["pictures"])]
        for picture in pictures:
            picture.decode()
    identity = answer["identity"]
    return Study(tuple(pictures), created, None if identity is None else {name: identity[name] for name in IDENTIFIERS})


def _pack_study(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    from sjplan.io.dicom_study import read_study

    study = read_study(
        request["path"], request["series"], datetime.datetime.now(datetime.UTC),
        keep_identifiers=request["keep_identifiers"],
    )  # fmt: skip
    for n, picture in enumerate(study.instances):
        picture.file_meta, picture.preamble = FileMetaDataset(), bytes(128)
        picture.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        picture.save_as(folder / f"{n}.dcm", enforce_file_format=False)
    return {"pictures": len(study.instances), "identity": None if study.identity is None else dict(study.identity)}


def _unpack_placed(path: str | Path, answer: dict[str, Any], folder: Path) -> PlacedFile:
    from sjplan.io.markups import Line
    from sjplan.io.placed import Mesh, PlacedFile
    from sjplan.io.planfile import PlanFile
    from sjplan.io.tables import validated

    ct = _unpack(answer["ct"], folder).volume if answer["ct"] is not None else None
    assert ct is None or isinstance(ct, CtVolume)
    meshes = (
        Mesh(name, *(np.load(folder / f"{part}{n}.npy", allow_pickle=False) for part in ("vertices", "triangles")))
        for n, name in enumerate(answer["meshes"])
    )
    return PlacedFile(
        plan=validated(PlanFile, answer["plan"], str(path)) if answer["plan"] is not None else None,
        lines=tuple(Line(name, np.array(ends)) for name, ends in answer["lines"]),
        meshes=tuple(meshes),
        ct=ct,
        notes=tuple(answer["notes"]),
    )


def _spacing(values: list[float] | None) -> tuple[float, float, float] | None:
    return None if values is None else (values[0], values[1], values[2])


def _findings(rows: list[dict[str, Any]]) -> tuple[Finding, ...]:
    return tuple(Finding(**row) for row in rows)


def _answered(
    path: str | Path,
    request: dict[str, Any],
    folder: str,
    memory_bytes: int | None = None,
    seconds: float | None = None,
) -> dict[str, Any]:
    """The child's answer to a request, within the usual limits by default; what it found wrong is raised here."""
    memory_bytes, seconds = memory_bytes or MEMORY_LIMIT_BYTES, seconds or TIME_LIMIT_S
    request = request | {"memory_bytes": memory_bytes, "folder": folder}
    # -P keeps the current folder, which may be as untrusted as the file, off the child's import path.
    command = [sys.executable, "-P", "-c", _CHILD]
    try:
        done = subprocess.run(
            command, input=json.dumps(request).encode(), capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _failed(path, f"a file that took longer than {seconds:g} s to read") from error
    answer = Path(folder) / "answer.json"
    if done.returncode != 0 or not answer.is_file():
        raise _failed(path, _how_it_ended(done.returncode))
    answered: dict[str, Any] = json.loads(answer.read_text())
    if "error" in answered:
        said = answered["error"]
        raise _ERRORS.get(said["type"], InputError)(
            said["what"], found=said["found"], wanted=said["wanted"], fix=said["fix"]
        )
    return answered


def _failed(path: str | Path, found: str) -> InputError:
    return InputError(
        str(path), found=found, wanted="a file that can be read within the limits for untrusted files",
        fix="make it smaller (crop an image), or read it without --untrusted if you trust its source",
    )  # fmt: skip


def _how_it_ended(code: int) -> str:
    if code < 0:
        return f"a file that crashed its reader ({signal.Signals(-code).name})"
    return "a file that stopped its reader"


def _unpack(answer: dict[str, Any], folder: Path) -> Loaded:
    grid = Grid(tuple(answer["shape"]), answer["spacing_mm"], answer["origin_lps_mm"], answer["direction"])
    values = np.load(folder / "values.npy", allow_pickle=False)
    values.setflags(write=False)
    source = Source(**answer["source"])
    findings = _findings(answer["findings"])
    if answer["names"] is None:
        return Loaded(CtVolume(grid, values, source), findings, answer["identifiers"])
    names = {int(i): name for i, name in answer["names"].items()}
    return Loaded(LabelMap(grid, values, names, source, answer["surface_error_mm"]), findings)


def main() -> None:
    """Answer one request: the child's side, started by `load_in_child`."""
    request = json.load(sys.stdin)
    limit_memory(request["memory_bytes"])
    folder = Path(request["folder"])
    try:
        answer = _done(request, folder)
    except SjplanError as error:
        answer = _error_entry(error)
    except MemoryError:
        found = f"a file that needs more than {request['memory_bytes'] / 2**30:.3g} GiB to read"
        answer = _error_entry(_failed(request["path"], found))
    text = json.dumps(answer)
    if len(text) > MOST_ANSWER_BYTES:
        failed = _failed(request["path"], f"a file that says {len(text)} bytes beside pixels and meshes")
        text = json.dumps(_error_entry(failed))
    (folder / "answer.json").write_text(text)


def _error_entry(error: SjplanError) -> dict[str, Any]:
    return {"error": {"type": type(error).__name__, "what": error.what, "found": error.found,
                      "wanted": error.wanted, "fix": error.fix}}  # fmt: skip


def _done(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    if request["kind"] == "series":
        series, findings = summarize(Path(request["path"]))
        return {"series": [asdict(one) for one in series], "findings": [asdict(finding) for finding in findings]}
    if request["kind"] == "study":
        return _pack_study(request, folder)
    if request["kind"] == "plan":
        from sjplan.io.planfile import read_plan

        return {"plan": read_plan(request["path"]).model_dump(by_alias=True)}
    if request["kind"] == "placed":
        from sjplan.io.placed import STRANGERS_BYTES, read_placed

        placed = read_placed(request["path"], series=request["series"], most_bytes=STRANGERS_BYTES)
        return _pack_placed(placed, folder)
    loaded = load(
        request["path"], request["kind"], series=request["series"], names=request["names"],
        keep_identifiers=request["keep_identifiers"],
    )  # fmt: skip
    return _pack(loaded, folder)


def limit_memory(memory_bytes: int) -> None:
    """Hold this process to so many bytes of address space; a crash leaves no core file."""
    try:
        import resource
    except ImportError:  # no such limit on Windows; the time limit still holds
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _pack_placed(placed: PlacedFile, folder: Path) -> dict[str, Any]:
    for n, mesh in enumerate(placed.meshes):
        np.save(folder / f"vertices{n}.npy", mesh.vertices_lps_mm, allow_pickle=False)
        np.save(folder / f"triangles{n}.npy", mesh.triangles, allow_pickle=False)
    return {
        "plan": None if placed.plan is None else placed.plan.model_dump(by_alias=True),
        "lines": [(line.name, line.ends_lps_mm.tolist()) for line in placed.lines],
        "meshes": [mesh.name for mesh in placed.meshes],
        "ct": None if placed.ct is None else _pack(Loaded(placed.ct), folder),
        "notes": placed.notes,
    }


def _pack(loaded: Loaded, folder: Path) -> dict[str, Any]:
    volume = loaded.volume
    grid, source = volume.grid, volume.source
    np.save(folder / "values.npy", volume.hu if isinstance(volume, CtVolume) else volume.label, allow_pickle=False)
    return {
        "shape": grid.shape,
        "spacing_mm": grid.spacing_mm.tolist(),
        "origin_lps_mm": grid.origin_lps_mm.tolist(),
        "direction": grid.direction.tolist(),
        "source": {"path": source.path, "sha256": source.sha256, "facts": source.facts} if source else None,
        "names": None if isinstance(volume, CtVolume) else {str(i): name for i, name in volume.names.items()},
        "surface_error_mm": None if isinstance(volume, CtVolume) else volume.surface_error_mm,
        "identifiers": loaded.identifiers,
        "findings": [asdict(finding) for finding in loaded.findings],
    }
