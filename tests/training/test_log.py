"""Logs on disk: nothing acknowledged is lost, and what is broken says where."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from kills import Step, killed, warmed

from sjplan.core.errors import InputError
from sjplan.training import actions as act
from sjplan.training.log import begun, read_log, resumed
from sjplan.training.session import Session
from sjplan.training.theatre import Theatre

MOVES = (
    act.MoveArm(tilt_deg=20.0),
    act.PlacePin("left", 20.0, -20.0, 5.0, 5.0),
    act.PushPin(120.0),
    act.TapPin(2, 1.0),
    act.TapPin(1, 2.0),
    act.TiltPin(6.0, 4.0),
    act.MeasureDepth(),
    act.WithdrawPin(4.0),
    act.Drill(12.0),
    act.WithdrawPin(300.0),
)


def test_a_log_goes_on_where_it_ends(theatre: Theatre, tmp_path: Path) -> None:
    path, whole = tmp_path / "a.jsonl", Session(theatre, 5, images=False)
    logged = begun(Session(theatre, 5, images=False), path)
    for n, move in enumerate(MOVES):
        whole.step(move)
        if n % 3 == 2:
            logged = resumed(theatre, path, images=False)
        logged.step(move)
    header, events, size = read_log(path)
    assert (header, events) == (whole.header, whole.events)
    assert size == path.stat().st_size


def test_half_a_last_line_was_never_acknowledged(theatre: Theatre, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    logged = begun(Session(theatre, 5, images=False), path)
    for move in MOVES[:4]:
        logged.step(move)
    before = path.read_bytes()
    path.write_bytes(before + b'{"n": 4, "action": {"do": "tap-p')
    again = resumed(theatre, path, images=False)
    assert again.events == logged.events
    assert path.read_bytes() == before
    again.step(MOVES[4])
    assert len(read_log(path)[1]) == 5


def test_broken_logs_say_where(theatre: Theatre, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    logged = begun(Session(theatre, 5, images=False), path)
    for move in MOVES[:3]:
        logged.step(move)
    lines = path.read_bytes().splitlines(keepends=True)
    for wrong, says in (
        ([], "no header"),
        ([lines[0], b"hello\n", *lines[1:]], "line 2: found no JSON object"),
        ([lines[0], b"[1]\n"], "line 2: found no JSON object"),
        ([lines[0], *lines[2:]], "event 0: found n 1"),
        ([lines[1], *lines[2:]], "event 0: found n 1"),
        ([lines[0], lines[1].replace(b'"action"', b'"axion"')], "event 0"),
    ):
        path.write_bytes(b"".join(wrong))
        with pytest.raises(InputError, match=says):
            resumed(theatre, path)
    path.write_bytes(lines[0].replace(b"sjplan.session/1", b"sjplan.session/9") + lines[1])
    with pytest.raises(InputError, match=r"schema 'sjplan\.session/9'; wanted sjplan\.session/1"):
        resumed(theatre, path)


def test_no_log_is_written_over(theatre: Theatre, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    logged = begun(Session(theatre, 5, images=False), path)
    with pytest.raises(InputError, match="a log that exists"):
        begun(Session(theatre, 6, images=False), path)
    logged.step(MOVES[0])
    with pytest.raises(InputError, match="one that has not begun"):
        begun(logged, tmp_path / "b.jsonl")


@pytest.mark.slow
def test_killed_at_fifty_random_moments_every_session_resumes(theatre: Theatre, tmp_path: Path) -> None:
    rng, grew = np.random.default_rng(0), []
    warmed(theatre, MOVES)
    for n in range(50):
        path = tmp_path / f"{n}.jsonl"

        def begin(path: Path = path) -> Step:
            return begun(Session(theatre, 9, images=False), path).step

        done = killed(begin, MOVES, tmp_path / f"{n}.ack", rng)
        again = resumed(theatre, path, images=False)
        assert done <= len(again.events) <= done + 1
        again.step(MOVES[0])
        assert json.loads(path.read_bytes().splitlines()[-1])["n"] == len(again.events) - 1
        grew.append(done)
    assert len(set(grew)) > 10


def test_a_step_that_cannot_be_written_has_not_happened(
    theatre: Theatre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    logged = begun(Session(theatre, 5, images=False), path)
    logged.step(MOVES[0])
    before, state, write = path.read_bytes(), logged.state, os.write
    monkeypatch.setattr(os, "write", lambda handle, line: write(handle, line[:7]))
    with pytest.raises(InputError, match=r"7 of \d+ bytes written; wanted room on the disk"):
        logged.step(MOVES[1])
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert logged.state is state
    logged.step(MOVES[1])
    assert resumed(theatre, path, images=False).events == logged.events
    assert len(logged.events) == 2
