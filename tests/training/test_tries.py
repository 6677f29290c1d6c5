"""Tries at exercises: kept as they are given, gone on with, and summed up; a history of before gets them too."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from sjplan.core.errors import InputError
from sjplan.io.exercises import read_exercises
from sjplan.training.history import History
from sjplan.training.questions import InOrOut, PointAt, Verdict
from sjplan.training.tries import Progress, Tries, progress

EXERCISES = read_exercises()


@pytest.fixture
def tries(tmp_path: Path) -> Iterator[Tries]:
    with History(tmp_path / "history.sqlite") as history:
        yield Tries(history)


def test_what_was_answered_stands_there_after_another_opening(tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite"
    with History(file) as history:
        key = Tries(history).begin("T-01", "judge-pin", "a case", 7, exam=True)
        Tries(history).answered(key, [InOrOut(True, "inlet"), InOrOut(False)], 41.5)
        Tries(history).hinted(key, 2)
        Tries(history).hinted(key, 1)
    with History(file) as history:
        (one,) = Tries(history).entries("T-01")
        assert one == Tries(history).entry(key)
        assert (one.exercise, one.case, one.seed, one.exam, one.session, one.ended) == (
            "judge-pin", "a case", 7, True, "", "",
        )  # fmt: skip
        assert one.answers == (InOrOut(True, "inlet"), InOrOut(False))
        assert (one.seconds, one.hints, one.passed) == (41.5, 2, None)
        assert Tries(history).entries("T-02") == []


def test_a_try_that_has_ended_keeps_its_verdict(tries: Tries) -> None:
    key = tries.begin("T-01", "landmarks-lateral", "a case", 1)
    tries.answered(key, [PointAt(0.25, 0.75)], 3.0)
    tries.end(key, Verdict(True, 4.0, "of 5", ("4 of 5 right; 4 pass.",)))
    tries.end(key, Verdict(False, 0.0, "of 5", ("no",)))
    tries.answered(key, [], 9.0)
    one = tries.entry(key)
    assert (one.passed, one.value, one.unit, one.words) == (True, 4.0, "of 5", ("4 of 5 right; 4 pass.",))
    assert one.answers == (PointAt(0.25, 0.75),)
    assert one.ended


def test_a_history_of_before_opens_and_its_table_is_added(tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite"
    with History(file):
        pass
    with sqlite3.connect(file) as db:
        assert not db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'tries'").fetchone()[0]
    with History(file) as history:
        assert Tries(history).entries("T-01") == []


def test_strange_ids_and_codes_are_refused(tries: Tries) -> None:
    with pytest.raises(InputError, match="try: found 'nothing'"):
        tries.entry("nothing")
    with pytest.raises(InputError, match="user: found ''"):
        tries.begin("", "one-pin", "a case", 1)
    assert tries.of_session("nothing") is None


def test_progress_counts_passes_and_keeps_the_best(tries: Tries) -> None:
    for passed, rating, exam in ((False, 40.0, False), (True, 88.0, True), (True, 80.0, False)):
        key = tries.begin("T-01", "one-side", "a case", 1, exam=exam)
        tries.end(key, Verdict(passed, rating, "rating", ()))
    tries.end(tries.begin("T-01", "true-lateral", "a case", 1), Verdict(True, 1.5, "mm", ()))
    tries.begin("T-01", "one-side", "a case", 2)
    found = progress(EXERCISES, tries.entries("T-01"))
    assert found["one-side"] == Progress(3, 2, 1, 88.0, "rating")
    assert found["true-lateral"] == Progress(1, 1, 0, None, "")
    assert found["revision"] == Progress()


def test_a_staged_operation_is_passed_with_its_second_stage_after_a_first_that_passed(tries: Tries) -> None:
    def staged(*passed: bool) -> None:
        before = ""
        for one in passed:
            key = tries.begin("T-01", "both-sides-staged", "a case", 1, after=before)
            tries.end(key, Verdict(one, 80.0, "rating", ()))
            before = key

    staged(True)
    assert progress(EXERCISES, tries.entries("T-01"))["both-sides-staged"].passes == 0
    staged(False, True)
    assert progress(EXERCISES, tries.entries("T-01"))["both-sides-staged"].passes == 0
    staged(True, True)
    assert progress(EXERCISES, tries.entries("T-01"))["both-sides-staged"].passes == 1
