"""What somebody did of the exercises: every try, its answers and its verdict, in the history beside the sessions.

A try that is done in the operating room has a session, whose events are its answer; one that asks questions keeps what
was answered. Either goes on where it stood.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sjplan.core.errors import InputError
from sjplan.core.exercise import Exercise
from sjplan.training.history import History
from sjplan.training.questions import InOrOut, PointAt, Verdict

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS tries (
    id TEXT PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users (id), exercise TEXT NOT NULL,
    case_name TEXT NOT NULL, seed INTEGER NOT NULL, exam INTEGER NOT NULL, session_id TEXT REFERENCES sessions (id),
    after TEXT REFERENCES tries (id), begun TEXT NOT NULL, ended TEXT, hints INTEGER NOT NULL, seconds REAL NOT NULL,
    answers TEXT NOT NULL, passed INTEGER, value REAL, unit TEXT, words TEXT
)
"""
_COLUMNS: Final = (
    "t.id, code, exercise, case_name, seed, exam, coalesce(session_id, ''), coalesce(after, ''), begun,"
    " coalesce(ended, ''), hints, seconds, answers, passed, value, coalesce(unit, ''), coalesce(words, '[]')"
)


@dataclass(frozen=True, slots=True)
class Try:
    """One try at an exercise.

    Parameters
    ----------
    id, user, exercise, case : str
        Which, whose, of which exercise and in which patient.
    seed : int
        From it everything comes again.
    exam : bool
        Whether it is done without hints.
    session, after : str
        Id of its session, and of the try that was the first stage; "" where there is none.
    begun, ended : str
        UTC, ISO 8601; `ended` is "" while it goes on.
    hints : int
        How many were looked at.
    seconds : float
        By the trainee's clock, of questions.
    answers : tuple
        Given so far, in the order of the questions.
    passed : bool or None
        None while it goes on.
    value, unit, words
        Of its verdict.
    """

    id: str
    user: str
    exercise: str
    case: str
    seed: int
    exam: bool
    session: str
    after: str
    begun: str
    ended: str
    hints: int
    seconds: float
    answers: tuple[PointAt | InOrOut, ...]
    passed: bool | None
    value: float | None
    unit: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far somebody has come with one exercise.

    Parameters
    ----------
    tries, passes : int
        Ended, and passed; a staged operation is passed with its second stage.
    exams : int
        How many of the passes were exams.
    best : float or None
        The best value of a verdict, in its unit; None where less is better, or nothing was measured.
    unit : str
        Of it.
    """

    tries: int = 0
    passes: int = 0
    exams: int = 0
    best: float | None = None
    unit: str = ""


class Tries:
    """Tries of a history.

    Parameters
    ----------
    history : History
        Open; its file gets one more table if it has none.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        with history.transaction() as db:
            db.execute(_TABLE)

    def begin(
        self, user: str, exercise: str, case: str, seed: int, *, exam: bool = False, session: str = "", after: str = ""
    ) -> str:
        """Begin a try; gives its id.

        Raises
        ------
        InputError
            For a person's code that is none.
        """
        self.history.require_user(user)
        key = uuid.uuid4().hex
        with self.history.transaction() as db:
            db.execute("INSERT OR IGNORE INTO users (code, created) VALUES (?, ?)", (user, _now()))
            db.execute(
                "INSERT INTO tries SELECT ?, id, ?, ?, ?, ?, ?, ?, ?, NULL, 0, 0, '[]', NULL, NULL, NULL, NULL"
                " FROM users WHERE code = ?",
                (key, exercise, case, seed, exam, session or None, after or None, _now(), user),
            )
        return key

    def hinted(self, key: str, count: int) -> None:
        """So many hints have been looked at."""
        with self.history.transaction() as db:
            db.execute("UPDATE tries SET hints = max(hints, ?) WHERE id = ? AND ended IS NULL", (count, key))

    def answered(self, key: str, answers: Sequence[PointAt | InOrOut], seconds: float) -> None:
        """Keep the answers given so far, and how long they took."""
        plain = json.dumps([_plain(answer) for answer in answers])
        with self.history.transaction() as db:
            db.execute(
                "UPDATE tries SET answers = ?, seconds = ? WHERE id = ? AND ended IS NULL", (plain, seconds, key)
            )

    def end(self, key: str, verdict: Verdict) -> None:
        """End a try with its verdict; one that has ended keeps the verdict that it has."""
        with self.history.transaction() as db:
            db.execute(
                "UPDATE tries SET ended = ?, passed = ?, value = ?, unit = ?, words = ? WHERE id = ? AND ended IS NULL",
                (_now(), verdict.passed, verdict.value, verdict.unit, json.dumps(verdict.words), key),
            )

    def entry(self, key: str) -> Try:
        """One try.

        Raises
        ------
        InputError
            If there is none of that id.
        """
        found = self._read("WHERE t.id = ?", key)
        if not found:
            raise InputError("try", found=repr(key)[:60], wanted="the id of a try at an exercise")
        return found[0]

    def of_session(self, session: str) -> Try | None:
        """The try that a session belongs to."""
        found = self._read("WHERE session_id = ?", session)
        return found[0] if found else None

    def entries(self, user: str) -> list[Try]:
        """Tries of one person, oldest first."""
        return self._read("WHERE code = ?", user)

    def _read(self, where: str, value: str) -> list[Try]:
        with self.history.transaction() as db:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM tries t JOIN users u ON u.id = t.user_id {where} ORDER BY begun, t.rowid",
                (value,),
            ).fetchall()
        return [_try(row) for row in rows]


def progress(exercises: Mapping[str, Exercise], tries: Iterable[Try]) -> dict[str, Progress]:
    """How far the person has come whose tries these are, by exercise.

    Examples
    --------
    >>> from sjplan.io.exercises import read_exercises
    >>> progress(read_exercises(), [])["true-lateral"]
    Progress(tries=0, passes=0, exams=0, best=None, unit='')
    """
    by_id = {one.id: one for one in tries}
    found = {name: Progress() for name in exercises}
    for one in by_id.values():
        exercise = exercises.get(one.exercise)
        if exercise is None or not one.ended:
            continue
        so_far, first = found[one.exercise], by_id.get(one.after)
        whole = len(exercise.stages) == 1 or (first is not None and bool(first.passed))
        passed = bool(one.passed) and whole
        more_is_better = one.value is not None and (one.unit == "rating" or one.unit.startswith("of "))
        best = max((v for v in (so_far.best, one.value) if v is not None), default=None) if more_is_better else None
        found[one.exercise] = Progress(
            so_far.tries + 1,
            so_far.passes + passed,
            so_far.exams + (passed and one.exam),
            best if more_is_better else so_far.best,
            one.unit if more_is_better else so_far.unit,
        )
    return found


def _try(row: Sequence[Any]) -> Try:
    """A row of the table."""
    key, user, exercise, case, seed, exam, session, after, begun, ended, hints, seconds, answers, *verdict = row
    passed, value, unit, words = verdict
    given = tuple(_answer(one) for one in json.loads(answers))
    passed = None if passed is None else bool(passed)
    return Try(
        key, user, exercise, case, seed, bool(exam), session, after, begun, ended, hints, seconds, given, passed, value,
        unit, tuple(json.loads(words)),
    )  # fmt: skip


def _plain(answer: PointAt | InOrOut) -> dict[str, Any]:
    if isinstance(answer, PointAt):
        return {"across": answer.across, "down": answer.down}
    return {"out": answer.out, "view": answer.view}


def _answer(plain: Mapping[str, Any]) -> PointAt | InOrOut:
    return InOrOut(**plain) if "out" in plain else PointAt(**plain)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
