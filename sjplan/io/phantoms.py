"""A phantom's folder: CT, labels with names, truth and spec; whole or not there, the same bytes for the same spec."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sjplan.core.errors import InputError
from sjplan.core.frames import AnatomicalFrame
from sjplan.io import volumes
from sjplan.io.atomic import write_text
from sjplan.io.cases import PHANTOM_CT, PHANTOM_LABELS
from sjplan.io.labels import names_files, write_names
from sjplan.io.phantom_spec import PhantomSpec

if TYPE_CHECKING:
    from sjplan.phantom.build import Phantom
    from sjplan.phantom.truth.facts import PhantomTruth

SPEC: Final = "spec.toml"
TRUTH: Final = "truth.json"
NAMES: Final = names_files(PHANTOM_LABELS)[1].name
TRUTH_SCHEMA: Final = "sjplan.truth/1"

FILES: Final = (PHANTOM_CT, PHANTOM_LABELS, NAMES, SPEC, TRUTH)
"""What a finished folder holds."""

_HALF_WRITTEN: Final = ".sjplan-*"
"""Temporary folders and files of `io.atomic`."""

_DECIMALS: Final = 6
"""Of numbers in truth.json: a nanometre in a length, far below a degree's millionth in a direction."""

_LEFT_OUT: Final = frozenset(("pelvis", "parameters", "points_lps_mm", "normals"))
"""Of the truth: what computes it, what stands in the spec, and joints point by point."""


def write_phantom(phantom: Phantom, spec: PhantomSpec, folder: Path) -> None:
    """Write a phantom's files into a folder that is there.

    The label map's names go into a file beside it whatever they are, so that what an older map left there names
    nothing wrongly.
    """
    volumes.write_ct(phantom.ct, folder / PHANTOM_CT)
    volumes.write_labels(phantom.labels, folder / PHANTOM_LABELS)
    write_names(folder / PHANTOM_LABELS, phantom.labels)
    write_text(folder / SPEC, spec.text())
    write_text(folder / TRUTH, truth_text(phantom.truth, spec))


def is_complete(folder: Path, spec: PhantomSpec) -> bool:
    """Whether a folder holds every file of a phantom that was built with this very spec."""
    if not all((folder / name).is_file() for name in FILES):
        return False
    try:
        return (folder / SPEC).read_text(encoding="utf-8") == spec.text()
    except (OSError, UnicodeDecodeError):
        return False


def clear_phantom(folder: Path) -> None:
    """Take a phantom's files out of a folder, and the folder away if nothing else is in it."""
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def clear_half_written(folder: Path) -> None:
    """Take away what a run that was killed left half-written in a folder; call it where nobody else writes there."""
    for left in folder.glob(_HALF_WRITTEN):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def read_truth(folder: Path) -> dict[str, Any]:
    """The truth as it stands in a phantom's folder.

    Raises
    ------
    InputError
        For a file that is missing or is no truth.
    """
    path = folder / TRUTH
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(str(path), found=f"{error}", wanted="the truth of a phantom") from error
    if not isinstance(document, dict) or not {"sacral_frame", "landmarks"} <= set(document):
        raise InputError(
            str(path), found="no sacral_frame or landmarks", wanted="the truth of a phantom", fix="build it again"
        )
    return document


def frame_and_landmarks(truth: Mapping[str, Any]) -> tuple[AnatomicalFrame, dict[str, list[float]]]:
    """Where the pelvis lies, from what `read_truth` gives."""
    frame = truth["sacral_frame"]
    return AnatomicalFrame(frame["origin_lps_mm"], _square_up(np.asarray(frame["axes"]))), dict(truth["landmarks"])


def _square_up(axes: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The rotation nearest to axes that were rounded."""
    left, _, right = np.linalg.svd(axes)
    return np.asarray(left @ right)


def truth_text(truth: PhantomTruth, spec: PhantomSpec) -> str:
    """The truth in plain numbers (LPS, mm): landmarks, frame, foramina with their centrelines, canal, joints."""
    plain = spec.values()
    document = {
        "schema": TRUTH_SCHEMA,
        "frame": "LPS",
        "units": "mm",
        "parameters": plain.pop("parameters") | plain,
        "seed": spec.seed,
        "spacing_mm": float(spec.spacing_mm),
        **_facts(truth),
        "foramina": [{"name": f.name, **_facts(f)} for f in truth.foramina],
    }
    canal = document.pop("canal")
    document["canal_axis_lps_mm"] = canal.pop("axis_lps_mm")
    document |= {f"canal_{name}": value for name, value in canal.items()}
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _facts(item: Any) -> dict[str, Any]:
    """Fields of a dataclass of the truth in plain values; what is neither number, text nor made of them is left out."""
    named = {f.name: _plain(getattr(item, f.name)) for f in fields(item) if f.name not in _LEFT_OUT}
    return {name: value for name, value in named.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, np.integer | np.bool_):
        return value.item()
    if isinstance(value, float | np.floating | np.ndarray):
        return np.round(np.asarray(value, dtype=np.float64), _DECIMALS).tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(v) for key, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return _facts(value) if hasattr(value, "__dataclass_fields__") else None
