"""Reading in a child process with limits on memory and time, for files that nobody vouches for."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np

from sjplan.core.errors import InputError, SjplanError
from sjplan.core.findings import Finding
from sjplan.core.grid import Grid
from sjplan.core.labels import LabelMap
from sjplan.core.volume import CtVolume, Source
from sjplan.io.volumes import Kind, Loaded, load

MEMORY_LIMIT_BYTES: Final = 6 * 2**30
"""Address space of the child: 4 GiB of pixels at most (`payload.MAX_DATA_BYTES`) and 2 GiB for the libraries."""

TIME_LIMIT_S: Final = 300.0
"""Longest time the child may take: a full-size compressed CT needs about 20 s on one slow core."""

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
    with tempfile.TemporaryDirectory(prefix="sjplan-") as folder:
        request = {
            "path": str(path), "kind": kind, "series": series, "names": None if names is None else str(names),
            "keep_identifiers": keep_identifiers, "memory_bytes": memory_bytes, "folder": folder,
        }  # fmt: skip
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
        return _unpack(json.loads(answer.read_text()), Path(folder))


def _failed(path: str | Path, found: str) -> InputError:
    return InputError(
        str(path), found=found, wanted="an image that can be read within the limits for untrusted files",
        fix="crop it, or read it without --untrusted if you trust its source",
    )  # fmt: skip


def _how_it_ended(code: int) -> str:
    if code < 0:
        return f"a file that crashed its reader ({signal.Signals(-code).name})"
    return "a file that stopped its reader"


def _unpack(answer: dict[str, Any], folder: Path) -> Loaded:
    if "error" in answer:
        error = answer["error"]
        raise _ERRORS.get(error["type"], InputError)(
            error["what"], found=error["found"], wanted=error["wanted"], fix=error["fix"]
        )
    grid = Grid(tuple(answer["shape"]), answer["spacing_mm"], answer["origin_lps_mm"], answer["direction"])
    values = np.load(folder / "values.npy", allow_pickle=False)
    values.setflags(write=False)
    source = Source(**answer["source"])
    findings = tuple(Finding(**finding) for finding in answer["findings"])
    if answer["names"] is None:
        return Loaded(CtVolume(grid, values, source), findings, answer["identifiers"])
    return Loaded(LabelMap(grid, values, {int(i): name for i, name in answer["names"].items()}, source), findings)


def main() -> None:
    """Answer one request: the child's side, started by `load_in_child`."""
    request = json.load(sys.stdin)
    _limit_memory(request["memory_bytes"])
    folder = Path(request["folder"])
    try:
        loaded = load(
            request["path"], request["kind"], series=request["series"], names=request["names"],
            keep_identifiers=request["keep_identifiers"],
        )  # fmt: skip
        answer = _pack(loaded, folder)
    except SjplanError as error:
        answer = {"error": {"type": type(error).__name__, "what": error.what, "found": error.found,
                            "wanted": error.wanted, "fix": error.fix}}  # fmt: skip
    except MemoryError:
        found = f"a file that needs more than {request['memory_bytes'] / 2**30:.3g} GiB to read"
        failed = _failed(request["path"], found)
        answer = {"error": {"type": "InputError", "what": failed.what, "found": failed.found,
                            "wanted": failed.wanted, "fix": failed.fix}}  # fmt: skip
    (folder / "answer.json").write_text(json.dumps(answer))


def _limit_memory(memory_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # no such limit on Windows; the time limit still holds
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


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
        "identifiers": loaded.identifiers,
        "findings": [{"code": f.code, "severity": f.severity, "text": f.text, "side": f.side} for f in loaded.findings],
    }
