"""Results part by part: small files with a checksum, whole or not at all, so that a crash costs what was in flight."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sjplan.bench.rows import Row, checked
from sjplan.core.errors import InputError, SjplanError
from sjplan.io.atomic import write_text

SCHEMA: Final = "sjplan.bench-part/1"
PARTS: Final = "parts"
"""Name of the folder of an experiment that holds them."""

EXPERIMENT: Final = "experiment.json"
"""Name of the file in an experiment's folder that says what is asked, and when it was worked on."""

_NAME_LENGTH: Final = 16
_OLD_S: Final = 3600.0
_UNFINISHED: Final = "."
"""What the names of files begin with that were being written when their writer was killed."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the parts of an experiment hold: one row a run, by the run's id; and the files that are not whole."""

    rows: dict[str, Row]
    damaged: tuple[Path, ...]


def part_name(runs: Iterable[str]) -> str:
    """File name of the part that holds these runs, named by id: the same for whoever does them.

    Examples
    --------
    >>> part_name(["a", "b"]) == part_name(["a", "b"]), part_name(["a"]) == part_name(["b"])
    (True, False)
    """
    return hashlib.sha256(" ".join(runs).encode()).hexdigest()[:_NAME_LENGTH] + ".json"


def write_part(folder: Path, rows: Sequence[Row]) -> Path:
    """Write rows as one part into the experiment's folder. Atomic.

    Raises
    ------
    InputError
        If a row is none (`rows.checked`), or nothing can be written.

    Examples
    --------
    >>> import tempfile
    >>> row = {"run": "a", "case_key": "x", "side": "left", "planner": "p", "seed": 0, "status": "found"}
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = write_part(folder, [row])
    >>> list(read_parts(folder).rows)
    ['a']
    """
    place = folder / PARTS
    try:
        place.mkdir(exist_ok=True)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputError(str(place), found=f"a place that cannot be written ({reason})", wanted="a folder") from error
    whole = [checked(row) for row in rows]
    text = _canonical(whole)
    content = f'{{"schema": "{SCHEMA}", "sha256": "{_sha256(text)}", "rows": {text}}}\n'
    return write_text(place / part_name(row["run"] for row in whole), content)


def read_parts(folder: Path) -> Parts:
    """Every row that a whole part holds.

    A part that is torn, or that was changed since it was written, is named as damaged, and its rows do not count. A
    run that stands in two parts, because it was done twice when a worker was lost, counts once.

    Raises
    ------
    InputError
        For a part of a later schema.
    """
    damaged: list[Path] = []
    rows = {row["run"]: row for row in distinct_rows(folder, damaged)}
    return Parts(rows, tuple(damaged))


def distinct_rows(folder: Path, damaged: list[Path]) -> Iterator[Row]:
    """The same rows one by one, so that all of them need not fit into memory; damaged parts are added to the list.

    Raises
    ------
    InputError
        For a part of a later schema.
    """
    seen: set[str] = set()
    for file in part_files(folder):
        try:
            found = _rows_of(file)
        except _Damaged:
            damaged.append(file)
            continue
        for row in found:
            if row["run"] not in seen:
                seen.add(row["run"])
                yield row


def part_files(folder: Path) -> list[Path]:
    """Parts of an experiment in the order of their names, but none that is being written now.

    Examples
    --------
    >>> part_files(Path("no such folder"))
    []
    """
    return sorted(file for file in (folder / PARTS).glob("*.json") if not file.name.startswith(_UNFINISHED))


def clear_unfinished(folder: Path) -> None:
    """Remove what writers that were killed have left behind; only for the sole writer of a folder.

    A worker of another machine may still be making an anatomy or a bound: there only what is old goes.
    """
    places = {folder: 0.0, folder / PARTS: 0.0, folder / "anatomies": _OLD_S, folder / "bounds": _OLD_S}
    for place, age_s in places.items():
        for file in place.glob(f"{_UNFINISHED}sjplan-*"):
            with contextlib.suppress(FileNotFoundError):
                if file.is_file() and time.time() - file.stat().st_mtime >= age_s:
                    file.unlink()


def _rows_of(file: Path) -> list[Row]:
    """Rows of a part that is whole.

    Raises
    ------
    _Damaged
        If it is not.
    """
    try:
        part: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        schema, told, rows = part["schema"], part["sha256"], part["rows"]
        whole = told == _sha256(_canonical(rows))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _Damaged from error
    if not whole:
        raise _Damaged
    if schema != SCHEMA:
        raise InputError(str(file), found=f"schema {schema}", wanted=SCHEMA, fix="update sjplan")
    try:
        return [checked(row) for row in rows]
    except SjplanError as error:
        raise _Damaged from error


class _Damaged(Exception):
    """A part that is torn, or was changed since it was written."""


def _canonical(rows: Sequence[Row]) -> str:
    return json.dumps(rows, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
