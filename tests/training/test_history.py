"""The history: every acknowledged event is there, sessions go on where they ended, and other files are left alone."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from kills import Step, killed, warmed

from sjplan.core.errors import InputError
from sjplan.core.plan import Plan
from sjplan.io.scoring import read_scoring
from sjplan.training import actions as act
from sjplan.training.history import History, audit_row
from sjplan.training.score import score
from sjplan.training.session import Session
from sjplan.training.theatre import Theatre
from sjplan.training.trainees import operate, trainee

MOVES = (
    act.MoveArm(tilt_deg=20.0),
    act.PlacePin("left", 20.0, -20.0, 5.0, 5.0),
    act.PushPin(120.0),
    act.TapPin(2, 1.0),
    act.MeasureDepth(),
    act.WithdrawPin(300.0),
)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "new" / "history.sqlite")


def test_a_session_goes_on_at_its_last_event_after_the_file_was_closed(theatre: Theatre, history: History) -> None:
    whole = Session(theatre, 5, images=False)
    recorded = history.begin("A. Trainee", Session(theatre, 5, images=False), exercise="one-pin")
    for n, move in enumerate(MOVES):
        whole.step(move)
        if n == 3:
            history.close()
            history = History(history.path)
            recorded = history.resume(recorded.id, theatre, images=False)
        recorded.step(move)
    assert history.log(recorded.id) == (whole.header, whole.events)
    (entry,) = history.entries()
    assert (entry.user, entry.exercise, entry.case) == ("A. Trainee", "one-pin", "contract phantom")
    assert (entry.events, entry.ended, entry.rating) == (len(MOVES), "", None)


def test_scores_and_audit_fields_are_those_of_the_operation(theatre: Theatre, history: History, plan: Plan) -> None:
    played = operate(Session(theatre, 2, images=False), trainee("expert"), plan, 2)
    recorded = history.begin(
        "7", Session(theatre, 2, images=False), indication="degenerative", sitting="staged", revision=True
    )
    for event in played.events:
        recorded.step(act.from_dict(event["action"]))
    sheet = score(recorded.session, read_scoring(), {plan.side: plan})
    recorded.finish(sheet)
    (entry,) = history.entries("7")
    assert history.entries("8") == []
    assert entry.ended >= entry.begun
    assert entry.rating == sheet.rating
    row, state = audit_row(history, entry), played.state
    assert (row["indication"], row["sitting"], row["revision"]) == ("degenerative", "staged", True)
    assert row["side"] == plan.side
    assert row["devices"].split() == [i.trajectory.model.id for i in state.implants]
    lengths = [f"{i.trajectory.length_mm:g}" for i in state.implants]
    assert row["sizes_mm"].split() == lengths
    assert row["shots"] == state.shots
    assert row["fluoroscopy_s"] == pytest.approx(state.fluoroscopy_s, abs=0.01)
    assert row["dose_area_ugy_m2"] == pytest.approx(state.dose_area_ugy_m2, abs=0.001)
    kept = history.sheet(entry.id)
    assert kept is not None
    assert kept["grades"] == dict(sheet.grades)
    assert {s["complication"] for s in kept["signs"]} == set(read_scoring().complications)
    assert row["complications"].split() == [s.complication for s in sheet.signs if s.signs]


def test_two_windows_on_one_session_do_not_mix(theatre: Theatre, history: History) -> None:
    one = history.begin("x", Session(theatre, 5, images=False))
    one.step(MOVES[0])
    other = History(history.path).resume(one.id, theatre, images=False)
    other.step(MOVES[1])
    before = one.session.state
    for _ in range(3):
        with pytest.raises(InputError, match="event 1 recorded already; wanted one writer"):
            one.step(MOVES[2])
    assert one.session.state is before
    assert len(one.session.events) == 1
    assert [e["action"]["do"] for e in history.log(one.id)[1]] == ["move-arm", "place-pin"]
    assert history.resume(one.id, theatre, images=False).session.events == other.session.events


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ({"user": ""}, "a name or code of 1 to 60"),
        ({"user": "x" * 61}, "a name or code of 1 to 60"),
        ({"user": "a'; DROP TABLE users --"}, "a name or code of 1 to 60"),
        ({"user": "a", "sitting": "later"}, "one-sitting or staged"),
    ],
)
def test_what_no_session_is_gets_one_line(theatre: Theatre, history: History, words: dict, wrong: str) -> None:
    user = words.pop("user")
    with pytest.raises(InputError, match=wrong):
        history.begin(user, Session(theatre, 1, images=False), **words)
    assert history.entries() == []
    with pytest.raises(InputError, match="the id of a session"):
        history.log("nobody")


def test_other_files_are_left_as_they_are(tmp_path: Path) -> None:
    text, other, newer, older = (tmp_path / f"{name}.sqlite" for name in ("text", "other", "newer", "older"))
    text.write_text("not a database, and long enough that SQLite looks at its header twice " * 40, encoding="utf-8")
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE mine (a INTEGER)")
    for path, version in ((newer, 99), (older, 0)):
        History(path).close()
        with sqlite3.connect(path) as db:
            db.execute(f"PRAGMA user_version = {version}")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for path, says in (
        (text, "not a database"), (other, "another program"), (newer, "version 99 of a newer sjplan"),
        (older, "version 0 of an older sjplan, this one knows 1"), (tmp_path, "a folder"),
        (text / "below", "Not a directory|File exists"),
    ):  # fmt: skip
        before = path.read_bytes() if path.is_file() else b""
        with pytest.raises(InputError, match=says):
            History(path)
        assert (path.read_bytes() if path.is_file() else b"") == before


def _filled(path: Path, theatre: Theatre) -> str:
    """A history with one session of some pages, everything in the file itself; its id."""
    with History(path) as history:
        recorded = history.begin("x", Session(theatre, 5, images=False))
        for _ in range(12):
            for move in MOVES:
                recorded.step(move)
        recorded.finish()
    return recorded.id


@pytest.mark.parametrize("harm", ["a page overwritten", "cut off", "beside its log"])
def test_a_damaged_history_is_said_to_be_so_and_stays_as_it_is(theatre: Theatre, tmp_path: Path, harm: str) -> None:
    path = tmp_path / "history.sqlite"
    _filled(path, theatre)
    whole = path.read_bytes()
    if harm == "cut off":
        path.write_bytes(whole[: len(whole) // 2 + 100])
    else:
        path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 8192) + whole[-4096:])
    log = path.with_name(path.name + "-wal")
    if harm == "beside its log":
        log.write_bytes(b"\x37\x7f\x06\x82" + bytes(5000))
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(InputError, match=r"no usable history \(.*; fix: nothing in it was changed") as told:
            History(path)
        assert "\n" not in str(told.value)
    assert path.read_bytes() == before


def test_a_history_that_another_program_holds_is_waited_for_and_then_named(
    theatre: Theatre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.sqlite"
    _filled(path, theatre)
    monkeypatch.setattr("sjplan.training.history.WAIT_S", 0.2)
    before = path.read_bytes()
    other = sqlite3.connect(path)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(InputError, match="in use by another program for longer than"):
        History(path)
    other.execute("ROLLBACK")
    other.close()
    with History(path) as history:
        assert history.entries()[0].events == 12 * len(MOVES)
    assert len(path.read_bytes()) == len(before)


def test_an_event_that_cannot_be_written_has_not_happened_and_says_why(
    theatre: Theatre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sjplan.training.history.WAIT_S", 0.2)
    with History(tmp_path / "history.sqlite") as history:
        recorded = history.begin("x", Session(theatre, 5, images=False))
        recorded.step(MOVES[0])
        other = sqlite3.connect(history.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        before = recorded.session.state
        with pytest.raises(InputError, match="in use by another program"):
            recorded.step(MOVES[1])
        assert recorded.session.state is before
        other.execute("ROLLBACK")
        other.close()
        recorded.step(MOVES[1])
        assert [e["action"]["do"] for e in history.log(recorded.id)[1]] == ["move-arm", "place-pin"]


@pytest.mark.slow
def test_killed_at_random_moments_no_acknowledged_event_is_lost(theatre: Theatre, tmp_path: Path) -> None:
    """Fifty processes, one after another, on the same file."""
    rng, path = np.random.default_rng(1), tmp_path / "history.sqlite"
    warmed(theatre, MOVES)

    def begin() -> Step:
        return History(path).begin("x", Session(theatre, 9, images=False)).step

    for n in range(50):
        done = killed(begin, MOVES, tmp_path / f"{n}.ack", rng)
        with History(path) as history:
            assert len(history.entries()) == n + 1
            entry = history.entries()[-1]
            assert done <= entry.events <= done + 1
            history.resume(entry.id, theatre, images=False).step(MOVES[0])
            assert history.entries()[-1].events == entry.events + 1
