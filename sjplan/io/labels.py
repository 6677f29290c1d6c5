"""Which stored values are labels, and what they are called."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sjplan.core.errors import InputError
from sjplan.core.findings import Finding
from sjplan.core.labels import MAX_SURFACE_ERROR_MM, TOTALSEGMENTATOR_V2, LabelMap
from sjplan.io.atomic import write_text
from sjplan.io.headers import image_suffix
from sjplan.io.payload import read_text

MAX_VALUES: Final = 256
"""Most different values of a label map (DESIGN: anything with more is a CT)."""

PLANNED_NAMES: Final = ("sacrum", "hip_left", "hip_right")
"""Structures that a plan needs; a names file has to name all of them."""

_MAX_NAMES_BYTES = 2**20
_GREY_VALUES = 128  # TotalSegmentator has 117 classes and background; a picture of bytes has up to 256 greys
_RESTLESS = 0.5  # share of neighbours that differ: under 0.1 in label maps, above 0.8 in grey pictures


@dataclass(frozen=True, slots=True)
class Names:
    """What a names file says of a label map.

    Parameters
    ----------
    by_id : mapping of int to str
        Structure name of each id.
    surface_error_mm : float
        How much farther than its voxels tell the labels may be off (see `LabelMap`).
    """

    by_id: Mapping[int, str]
    surface_error_mm: float = 0.0


SURFACE_ERROR: Final = "surface_error_mm"
"""The one key of a names file that is no structure."""


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Labels [k, j, i] as bytes, the name of each id, and what was noticed."""

    values: NDArray[np.uint8]
    names: dict[int, str]
    findings: tuple[Finding, ...]


def looks_like_labels(stored: NDArray[Any], names: Mapping[int, str]) -> bool:
    """Whether an image is a label map: whole numbers >= 0, at most 256 of them, a named id (or nothing) in it.

    A picture of eight-bit greys may meet all that; it gives itself away by many values that change from
    voxel to voxel, where labels come in regions.

    Examples
    --------
    >>> looks_like_labels(np.full((2, 2, 2), 25.0), {25: "sacrum"})
    True
    >>> looks_like_labels(np.full((2, 2, 2), -1000), {25: "sacrum"})
    False
    """
    values = _distinct(stored)
    if values is None or not _whole(values) or values[0] < 0:
        return False
    present = {int(v) for v in values} - {0}
    if present and not present.intersection(names):
        return False
    return len(values) <= _GREY_VALUES or not _restless(stored)


def _restless(stored: NDArray[Any]) -> bool:
    left, right = stored[..., :-1], stored[..., 1:]
    pairs = np.count_nonzero((left != 0) | (right != 0))
    return bool(np.count_nonzero(left != right) > _RESTLESS * pairs)


def _distinct(stored: NDArray[Any]) -> NDArray[Any] | None:
    """Distinct values, ascending; None as soon as there are more than 256."""
    found: NDArray[Any] = np.unique(stored[0])
    for plane in stored[1:]:
        if len(found) > MAX_VALUES:
            break
        if not np.isin(plane, found).all():
            found = np.union1d(found, plane)
    return found if len(found) <= MAX_VALUES else None


def _whole(values: NDArray[Any]) -> bool:
    return bool((values == np.rint(values)).all())


def to_labels(what: str, stored: NDArray[Any], names: Mapping[int, str]) -> Labels:
    """Turn stored values into bytes, with names; ids above 255 are moved to free ones.

    Raises
    ------
    InputError
        For values that are negative, not whole, or more than 256.
    """
    values = _distinct(stored)
    if values is None:
        raise InputError(
            what, found=f"more than {MAX_VALUES} different values", wanted="a label map",
            fix="is this a CT? give the label map with --labels",
        )  # fmt: skip
    if not _whole(values):
        raise InputError(
            what, found="values that are not whole numbers", wanted="a label map of integers",
            fix="resample labels with nearest neighbours",
        )  # fmt: skip
    if values[0] < 0:
        raise InputError(
            what, found=f"negative values (down to {int(values[0])})", wanted="a label map of integers >= 0",
            fix="is this a CT? give the label map with --labels",
        )  # fmt: skip
    byte = _bytes_of([int(v) for v in values])
    if values[-1] <= 255:
        stored_bytes = stored.astype(np.uint8)
    else:
        lookup = np.array(list(byte.values()), dtype=np.uint8)
        stored_bytes = lookup[np.searchsorted(values, stored)]
    # An id that no voxel carries keeps its name, unless a voxel's id was moved onto it.
    taken = set(byte.values())
    kept = {i: name for i, name in names.items() if i in byte or (i <= 255 and i not in taken)}
    return Labels(stored_bytes, {byte.get(i, i): name for i, name in sorted(kept.items())}, _unnamed(byte, names))


def _bytes_of(values: list[int]) -> dict[int, int]:
    """Each stored value's byte, in order: itself where it fits, else a free one from the top down."""
    free = iter([i for i in range(255, -1, -1) if i not in values])
    return {v: v if v <= 255 else next(free) for v in values}


def _unnamed(present: Mapping[int, int], names: Mapping[int, str]) -> tuple[Finding, ...]:
    found = sorted(set(present) - {0})
    if not found or any(i in names for i in found):
        return ()
    wanted = ", ".join(f"{name} {i}" for i, name in sorted(names.items()) if name in PLANNED_NAMES)
    text = (
        f"None of the labels {', '.join(str(v) for v in found[:8])} has a name ({wanted}): "
        "write their ids into a names file beside the label map."
    )
    return (Finding("labels-unnamed", "warning", text),)


def names_for(path: str | Path, names: str | Path | None) -> Names:
    """Structure name of each id: from `names`, else from a names file beside `path`, else TotalSegmentator v2.

    Raises
    ------
    InputError
        For a names file that cannot be used; see `read_names`.
    """
    return names_given(path, names) or Names(TOTALSEGMENTATOR_V2)


def names_given(path: str | Path, names: str | Path | None) -> Names | None:
    """What `names` says, or else a names file beside `path`; None where there is neither.

    Raises
    ------
    InputError
        For a names file that cannot be used; see `read_names`.
    """
    given = names or next((file for file in names_files(path) if file.is_file()), None)
    return None if given is None else read_names(given)


def names_files(path: str | Path) -> tuple[Path, Path]:
    """Where a names file of the label map `path` may lie.

    Examples
    --------
    >>> [p.name for p in names_files("a/pelvis.nii.gz")]
    ['pelvis.names.toml', 'pelvis.names.json']
    """
    file = Path(path)
    stem = file.name[: len(file.name) - len(image_suffix(file))]
    return file.with_name(stem + ".names.toml"), file.with_name(stem + ".names.json")


def read_names(path: str | Path) -> Names:
    """Read a names file, which gives every structure its id (or a list of ids), as the name of each id.

    It may also say how far off the labels may be: `surface_error_mm = 0.8`.

    Raises
    ------
    InputError
        For a file that is missing, not TOML or JSON, names one id twice, or not sacrum and both hips; for an error
        that is no length from 0 to 3 mm.
    """
    text = read_text(path, _MAX_NAMES_BYTES)
    try:
        table = json.loads(text) if str(path).lower().endswith(".json") else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            str(path), found="a file that is neither TOML nor JSON", wanted="lines such as: sacrum = 25",
            fix="name the file .toml or .json by its content",
        ) from error  # fmt: skip
    if not isinstance(table, dict):
        raise InputError(str(path), found="no table", wanted="structure names with their ids")
    error_mm = _surface_error(path, table.pop(SURFACE_ERROR, 0.0))
    names: dict[int, str] = {}
    for name, value in table.items():
        for i in value if isinstance(value, list) else [value]:
            if not isinstance(i, int) or isinstance(i, bool) or not 0 < i < 65536:
                raise InputError(f"{path}: {name}", found=repr(i)[:40], wanted="an id from 1 to 65535")
            if i in names:
                raise InputError(f"{path}: {name}", found=f"id {i}, which is {names[i]} too", wanted="one name an id")
            names[i] = str(name)
    for name in PLANNED_NAMES:
        if name not in table:
            found = ", ".join(table) or "no names"
            raise InputError(str(path), found=found[:120], wanted=f"a line for {name}", fix=f"add: {name} = ID")
    return Names(names, error_mm)


def _surface_error(path: str | Path, value: object) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and 0.0 <= float(value) <= MAX_SURFACE_ERROR_MM):  # type: ignore[arg-type]
        raise InputError(
            f"{path}: {SURFACE_ERROR}", found=repr(value)[:40], wanted=f"0 to {MAX_SURFACE_ERROR_MM:g} mm",
            fix="labels that may be farther off are none to plan on",
        )  # fmt: skip
    return float(value)  # type: ignore[arg-type]


def write_names(path: Path, labels: LabelMap) -> Path:
    """Write the names file beside the label map `path`."""
    table: dict[str, list[int]] = {}
    for i, name in sorted(labels.names.items()):
        table.setdefault(name, []).append(i)
    plain: dict[str, Any] = {name: ids[0] if len(ids) == 1 else ids for name, ids in table.items()}
    if labels.surface_error_mm:
        plain[SURFACE_ERROR] = labels.surface_error_mm
    return write_text(names_files(path)[1], json.dumps(plain, indent=1) + "\n")
