"""Results of the validation scripts: one JSON file each, with commit, seed and versions; interrupted runs go on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sjplan.core.errors import InputError
from sjplan.io.atomic import write_text
from sjplan.io.planfile import versions

Row = Mapping[str, Any]


def commit() -> str:
    """Commit of the working tree that this package runs from, with + where it was changed since; "" where unknown.

    What changes under docs is no change of what was run: results are written there.
    """
    git = ["git", "-C", str(Path(__file__).resolve().parent)]
    try:
        head, changed = (
            subprocess.run([*git, *words], capture_output=True, encoding="utf-8", timeout=20, check=True).stdout.strip()
            for words in (
                ("rev-parse", "--short=12", "HEAD"),
                ("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)docs"),
            )
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"{head}+" if changed else head


def read_rows(path: str | Path, key: str, same: Mapping[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Rows of a results file by their key; none where the file does not exist or was made with another `same`.

    A row that another commit made says which, under `commit`: a run that goes on may mix them.

    Raises
    ------
    InputError
        If the file is no results file.
    """
    file = Path(path)
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        rows = {str(row[key]): dict(row) for row in content["rows"]}
        if content["commit"] != commit():
            rows = {name: {"commit": content["commit"]} | row for name, row in rows.items()}
        unlike = any(content["settings"].get(name) != value for name, value in (same or {}).items())
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(str(file), found=f"{error}", wanted="a results file", fix="delete it and run again") from error
    return {} if unlike else rows


def write_rows(path: str | Path, rows: Iterable[Row], *, seed: int, settings: Mapping[str, Any]) -> Path:
    """Write rows with what they were made by: commit, versions, seed, settings. Atomic.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "example.json"
    >>> _ = write_rows(file, [{"case": "a", "mm": 1.5}], seed=0, settings={"step_mm": 1.0})
    >>> read_rows(file, "case")["a"]["mm"]
    1.5
    """
    content = {
        "commit": commit(),
        "versions": versions(),
        "seed": seed,
        "settings": dict(settings),
        "rows": [dict(row) for row in rows],
    }
    return write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
