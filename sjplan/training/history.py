"""What was rehearsed: people by a code, their sessions, every event and every score, in one SQLite file.

An event is on the disk before its step is answered (write-ahead log, full synchronisation), so a process killed at any
moment loses nothing that was acknowledged, and any session goes on at its last event. No names of patients, no paths.
"""

from __future__ import annotations

import json
import re
import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from sjplan.core.errors import InputError
from sjplan.training.actions import Action
from sjplan.training.score import ScoreSheet
from sjplan.training.session import Observation, Session, replayed
from sjplan.training.theatre import Theatre

VERSION: Final = 1
"""Of the tables; kept in the file as `user_version`."""

APPLICATION_ID: Final = 0x736A7031
"""Marks the file as ours ("sjp1")."""

WAIT_S: Final = 10.0
"""How long another process may hold the file before that is an error."""

CODE: Final = re.compile(r"[\w .@+-]{1,60}")
"""A person is a name or a code, nothing longer."""

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

SITTINGS: Final = ("one-sitting", "staged")

_TABLES: Final = """
CREATE TABLE users (id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE, created TEXT NOT NULL);
CREATE TABLE sessions (
    id TEXT PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users (id), exercise TEXT NOT NULL, header TEXT NOT NULL,
    indication TEXT NOT NULL, sitting TEXT NOT NULL, revision INTEGER NOT NULL, begun TEXT NOT NULL, ended TEXT
);
CREATE TABLE events (
    session_id TEXT NOT NULL REFERENCES sessions (id), n INTEGER NOT NULL, line TEXT NOT NULL,
    PRIMARY KEY (session_id, n)
) WITHOUT ROWID;
CREATE TABLE scores (
    session_id TEXT PRIMARY KEY REFERENCES sessions (id), rating REAL NOT NULL, sheet TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One session as the history has it.

    Parameters
    ----------
    id, user, exercise, case : str
        Which, whose, and of what; `exercise` is "" for a free rehearsal.
    indication, sitting : str
        As an audit asks: why, and whether both sides are done in one sitting or staged.
    revision : bool
        Whether an implant of an earlier operation is revised.
    begun, ended : str
        UTC, ISO 8601; `ended` is "" while it goes on.
    events : int
        How many.
    rating : float or None
        Of its score, if it has one.
    """

    id: str
    user: str
    exercise: str
    case: str
    indication: str
    sitting: str
    revision: bool
    begun: str
    ended: str
    events: int
    rating: float | None


class History:
    """An open history.

    Parameters
    ----------
    path : path
        Of the file; made if it is not there, with its folder.

    Raises
    ------
    InputError
        For a file that is no history, is damaged, in use elsewhere, or of another version; it stays as it is.

    Examples
    --------
    >>> import tempfile
    >>> with History(Path(tempfile.mkdtemp()) / "history.sqlite") as history:
    ...     history.entries()
    []
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self._in_words():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _look_at(self.path)
            self._db = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def begin(
        self,
        user: str,
        session: Session,
        *,
        exercise: str = "",
        indication: str = "",
        sitting: str = "one-sitting",
        revision: bool = False,
    ) -> Recorded:
        """Begin to record a session that has not begun.

        Raises
        ------
        InputError
            For a person's code that is empty, too long or has strange signs, or a sitting that does not exist.
        """
        self.require_user(user)
        if sitting not in SITTINGS:
            raise InputError("sitting", found=repr(sitting), wanted=" or ".join(SITTINGS))
        if session.events:
            raise InputError("session", found=f"{len(session.events)} events", wanted="one that has not begun")
        key = uuid.uuid4().hex
        with self.transaction():
            self._db.execute("INSERT OR IGNORE INTO users (code, created) VALUES (?, ?)", (user, _now()))
            self._db.execute(
                "INSERT INTO sessions SELECT ?, id, ?, ?, ?, ?, ?, ?, NULL FROM users WHERE code = ?",
                (key, exercise, json.dumps(session.header), indication, sitting, revision, _now(), user),
            )
        return Recorded(self, key, session)

    @staticmethod
    def require_user(user: str) -> None:
        """Refuse what is no code of a person.

        Raises
        ------
        InputError
            If it is empty, too long or has strange signs.
        """
        if not CODE.fullmatch(user):
            raise InputError("user", found=repr(user[:70]), wanted="a name or code of 1 to 60 letters, digits, . @ + -")

    def resume(self, key: str, theatre: Theatre, *, images: bool = True) -> Recorded:
        """Go on with a session at its last event.

        Raises
        ------
        InputError
            If there is none of that id, or its replay comes out differently.
        """
        header, events = self.log(key)
        session = replayed(theatre, header, events)
        session.images = images
        return Recorded(self, key, session)

    def log(self, key: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Header and events of one session."""
        with self._in_words():
            found = self._db.execute("SELECT header FROM sessions WHERE id = ?", (key,)).fetchone()
            lines = self._db.execute("SELECT line FROM events WHERE session_id = ? ORDER BY n", (key,))
            if found is not None:
                return json.loads(found[0]), [json.loads(line) for (line,) in lines]
        raise InputError("session", found=repr(key), wanted="the id of a session (sjplan sessions list)")

    def append(self, key: str, event: Mapping[str, Any]) -> None:
        """Put one event on the disk; the second of two writers of one session is refused.

        Raises
        ------
        InputError
            If an event of that number is there already: the session goes on elsewhere.
        """
        line = json.dumps(event, sort_keys=True, allow_nan=False)
        with self._in_words():
            try:
                self._db.execute("INSERT INTO events VALUES (?, ?, ?)", (key, event["n"], line))
            except sqlite3.IntegrityError:
                raise InputError(
                    f"session {key}", found=f"event {event['n']} recorded already", wanted="one writer",
                    fix="it goes on in another window: close this one, or resume it here",
                ) from None  # fmt: skip

    def finish(self, key: str, sheet: ScoreSheet | None) -> None:
        """End a session, with its score if it has one."""
        with self.transaction():
            self._db.execute("UPDATE sessions SET ended = ? WHERE id = ? AND ended IS NULL", (_now(), key))
            if sheet is not None:
                plain = json.dumps(sheet_document(sheet), allow_nan=False)
                self._db.execute("INSERT OR REPLACE INTO scores VALUES (?, ?, ?)", (key, sheet.rating, plain))

    def sheet(self, key: str) -> dict[str, Any] | None:
        """The score of one session as plain values; None where there is none."""
        with self._in_words():
            found = self._db.execute("SELECT sheet FROM scores WHERE session_id = ?", (key,)).fetchone()
            return None if found is None else json.loads(found[0])

    def entries(self, user: str | None = None) -> list[Entry]:
        """Sessions, oldest first; of one person, or of all."""
        where = "" if user is None else "WHERE code = ?"
        with self._in_words():
            rows = self._db.execute(
                "SELECT s.id, code, exercise, header, indication, sitting, revision, begun, coalesce(ended, ''),"
                " (SELECT count(*) FROM events WHERE session_id = s.id), rating"
                " FROM sessions s JOIN users u ON u.id = s.user_id LEFT JOIN scores r ON r.session_id = s.id"
                f" {where} ORDER BY begun, s.rowid",
                () if user is None else (user,),
            )
            return [
                Entry(key, code, exercise, json.loads(head)["case"], why, sitting, bool(again), begun, ended, n, rating)
                for key, code, exercise, head, why, sitting, again, begun, ended, n, rating in rows
            ]

    def _prepare(self) -> None:
        """Make the tables of a file that has none."""
        self._db.execute("PRAGMA foreign_keys = ON")
        if not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(
                f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {VERSION};"
                f"PRAGMA application_id = {APPLICATION_ID}; COMMIT;"
            )
        self._db.execute("PRAGMA synchronous = FULL")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """What is done within is on the disk as a whole, or not at all."""
        with self._in_words():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Say plainly what is wrong with the file, whoever noticed it: SQLite, the system, or the reader of a cell."""
        try:
            yield
        except (sqlite3.Error, OSError, ValueError, KeyError, TypeError) as error:
            raise _unusable(self.path, error) from error


class Recorded:
    """A session whose every step is in the history before it is answered.

    Parameters
    ----------
    history : History
        Where.
    id : str
        Under which.
    session : Session
        As far as it has come.
    """

    def __init__(self, history: History, id: str, session: Session) -> None:
        self.history, self.id, self.session = history, id, session
        session.record = partial(history.append, id)

    def step(self, action: Action) -> Observation:
        """Do one action; when this returns it is on the disk."""
        return self.session.step(action)

    def finish(self, sheet: ScoreSheet | None = None) -> None:
        """End it, with its score."""
        self.history.finish(self.id, sheet)


def sheet_document(sheet: ScoreSheet) -> dict[str, Any]:
    """A score sheet as plain values."""
    return {
        "rating": round(sheet.rating, 3),
        "breach_mm": round(sheet.breach_mm, 3),
        "breached": sheet.breached,
        "lower_bound_mm": sheet.lower_bound_mm,
        "grades": dict(sheet.grades),
        "measures": {
            m.name: {"kind": m.kind, "value": m.value, "worth": m.worth, "weight": m.weight} for m in sheet.measures
        },
        "signs": [
            {"complication": s.complication, "signs": list(s.signs), "rate": s.rate, "modelled": s.modelled,
             "source": s.source}
            for s in sheet.signs
        ],
    }  # fmt: skip


def audit_row(history: History, entry: Entry) -> dict[str, Any]:
    """One session in the fields that an audit or a registry asks for."""
    header, events = history.log(entry.id)
    inserted = [e["action"] for e in events if e["action"]["do"] == "insert" and "refused" not in e]
    sides = {e["action"]["side"] for e in events if e["action"]["do"] in ("place-pin", "place-parallel")}
    sheet = history.sheet(entry.id)
    shots = [e for e in events if e["action"]["do"] == "shoot" and "refused" not in e]
    signs = [] if sheet is None else [s["complication"] for s in sheet["signs"] if s["signs"]]
    return {
        "session": entry.id,
        "user": entry.user,
        "exercise": entry.exercise,
        "case": entry.case,
        "begun": entry.begun,
        "ended": entry.ended,
        "indication": entry.indication,
        "side": "both" if len(sides) == 2 else "".join(sides),
        "sitting": entry.sitting,
        "revision": entry.revision,
        "devices": " ".join(a["model"] for a in inserted),
        "sizes_mm": " ".join(f"{a['length_mm']:g}" for a in inserted),
        "shots": len(shots),
        "fluoroscopy_s": round(events[-1].get("fluoroscopy_s", 0.0), 2) if events else 0.0,
        "dose_area_ugy_m2": round(events[-1].get("dose_area_ugy_m2", 0.0), 3) if events else 0.0,
        "seconds": round(events[-1]["seconds"], 1) if events else 0.0,
        "complications": " ".join(signs),
        "rating": entry.rating,
        "sjplan": header["sjplan"],
    }


def _look_at(path: Path) -> None:
    """Refuse what is no sound history of ours, through a connection that cannot write.

    A connection that can write puts what lies in the write-ahead log into the file when it closes: a file that is
    refused is to stay as it was, whole or not.
    """
    if not path.exists() or (path.is_file() and not path.stat().st_size):
        return
    if not path.is_file():
        raise sqlite3.DatabaseError("a folder, or something else that is no file")
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=WAIT_S)) as db:
        version, ours = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id"))
        if ours != APPLICATION_ID:
            raise sqlite3.DatabaseError("another program's database")
        if version > VERSION:
            raise sqlite3.DatabaseError(f"version {version} of a newer sjplan, this one knows {VERSION}")
        if version < VERSION:
            raise sqlite3.DatabaseError(f"version {version} of an older sjplan, this one knows {VERSION}")
        wrong = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if wrong != "ok":
            raise sqlite3.DatabaseError(f"damaged: {' '.join(wrong.split()).rpartition('*** ')[2]}")


def _unusable(path: Path, error: Exception) -> InputError:
    """What is wrong with a file, and what to do."""
    if isinstance(error, sqlite3.OperationalError) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY:
        found = f"in use by another program for longer than {WAIT_S:g} s"
        return InputError(str(path), found=found, wanted="a history that is free", fix="close that program; try again")
    where = error.strerror if isinstance(error, OSError) and error.strerror else error
    return InputError(
        str(path), found=f"no usable history ({where})", wanted="a history that sjplan wrote",
        fix="nothing in it was changed; name another file: a new one is made where there is none",
    )  # fmt: skip


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
