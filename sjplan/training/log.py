"""The log of a session on disk: JSON lines, each on the disk before it counts as done.

A process that is killed loses at most the line that it was writing, and that was not acknowledged yet.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from sjplan.core.errors import InputError
from sjplan.training.session import Session, replayed
from sjplan.training.theatre import Theatre

MOST_BYTES: Final = 64_000_000
"""No session writes so much: some 200,000 events."""


def begun(session: Session, path: str | Path) -> Session:
    """The session, with every step on the disk before it is answered.

    Raises
    ------
    InputError
        If the file exists, or the session has events already.
    """
    path = Path(path)
    if session.events:
        raise InputError("session", found=f"{len(session.events)} events", wanted="one that has not begun")
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        raise InputError(
            str(path), found="a log that exists", wanted="a new file", fix="resume it, or choose another name"
        ) from None
    _append(path, session.header)
    session.record = partial(_append, path)
    return session


def resumed(theatre: Theatre, path: str | Path, *, images: bool = True) -> Session:
    """Go on where a log ends.

    Raises
    ------
    InputError
        For a file that is no log, or one whose replay comes out differently.
    """
    path = Path(path)
    header, events, whole = read_log(path)
    session = replayed(theatre, header, events)
    session.images = images
    if whole < path.stat().st_size:
        os.truncate(path, whole)
    session.record = partial(_append, path)
    return session


def read_log(path: str | Path) -> tuple[dict[str, Any], list[dict[str, Any]], int]:
    """Header and events of a log, and how many bytes of the file they take: what follows was never acknowledged.

    Raises
    ------
    InputError
        If the file is too large, has no whole header, or has a broken line before its last.
    """
    path = Path(path)
    if path.stat().st_size > MOST_BYTES:
        raise InputError(str(path), found=f"{path.stat().st_size} bytes", wanted=f"at most {MOST_BYTES}")
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    lines = []
    for number, line in enumerate(data[:whole].splitlines(), 1):
        try:
            lines.append(json.loads(line))
        except ValueError:
            lines.append(None)
        if not isinstance(lines[-1], dict):
            raise InputError(f"{path} line {number}", found="no JSON object", wanted="one event")
    if not lines:
        raise InputError(str(path), found="no header", wanted="the log of a session")
    for number, event in enumerate(lines[1:]):
        if event.get("n") != number or not isinstance(event.get("action"), dict):
            raise InputError(f"{path} event {number}", found=f"n {event.get('n')!r}", wanted="events in order")
    return lines[0], lines[1:], whole


def _append(path: Path, value: Mapping[str, Any]) -> None:
    """One line more, on the disk; where that fails the file is as it was."""
    line = json.dumps(value, sort_keys=True, allow_nan=False).encode() + b"\n"
    handle = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        before = os.fstat(handle).st_size
        try:
            written = os.write(handle, line)
            os.fsync(handle)
        except OSError as error:
            os.ftruncate(handle, before)
            raise InputError(str(path), found=f"{error.strerror}", wanted="a disk that takes the line") from error
        if written != len(line):
            os.ftruncate(handle, before)
            raise InputError(str(path), found=f"{written} of {len(line)} bytes written", wanted="room on the disk")
    finally:
        os.close(handle)
