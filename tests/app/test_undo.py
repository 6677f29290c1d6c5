"""Undo: what the operation has a way back from is offered, the rest says why not, and what is done is in the log."""

import asyncio
from dataclasses import replace

import pytest

from sjplan.app.arm import Arm
from sjplan.app.monitor import Monitor
from sjplan.app.undo import undo_of
from sjplan.app.worker import Worker
from sjplan.core.errors import InputError
from sjplan.io.cases import Case
from sjplan.testing.problems import phantom_anatomy, phantom_labels
from sjplan.training import actions as act
from sjplan.training.actions import KINDS
from sjplan.training.session import Session, replayed
from sjplan.training.theatre import Theatre, open_theatre


@pytest.fixture(scope="module")
def theatre() -> Theatre:
    return open_theatre("contract phantom", Case(None, phantom_labels()), anatomy=phantom_anatomy())


PIN = act.PlacePin("left", 20.0, -10.0, 2.0, 5.0)
THROUGH = (PIN, act.PushPin(200.0), act.TapPin(30, 1.5), act.TapPin(30, 1.5), act.TapPin(30, 1.5))


@pytest.mark.parametrize(
    ("moves", "words"),
    [
        ((act.MarkSkin("left", 20.0, -10.0),), "wipe the last mark off"),
        ((PIN,), "take the pin off the skin"),
        ((PIN, act.MeasureDepth()), "take the pin off the skin"),
        ((PIN, act.Drill(30.0)), "take the pin off the skin"),
        ((*THROUGH, act.Drill(40.0), act.Insert("tri-7", 40.0)), "back the implant out (3 minutes)"),
    ],
)
def test_what_can_be_taken_back_is_taken_back_by_a_real_action(
    theatre: Theatre, moves: tuple[act.Action, ...], words: str
) -> None:
    session = Session(theatre, 3, images=False)
    seen = [session.state]
    for move in moves:
        session.step(move)
        seen.append(session.state)
    undo = undo_of(session.state, session.events, None)
    assert undo.words == words
    assert undo.action is not None
    events, seconds = len(session.events), session.state.seconds
    assert session.step(undo.action).refused is None
    assert len(session.events) == events + 1, "nothing vanishes from the log"
    assert session.state.seconds > seconds, "the way back takes time"
    assert session.state.marks_lps_mm == ()
    assert session.state.implants == ()
    assert replayed(theatre, session.header, session.events).state.fingerprint == session.state.fingerprint
    assert undo_of(session.state, session.events, None).words != words, "it can be taken back once"


@pytest.mark.parametrize(
    ("moves", "why"),
    [
        ((), "nothing has been done yet"),
        ((act.Shoot(),), "X-rays that were given"),
        ((act.MarkSkin("left", 20.0, -10.0), act.Shoot()), "X-rays that were given"),
        ((PIN, act.PushPin(30.0)), "passed stays passed"),
        ((PIN, act.TiltPin(1.0, 1.0)), "turn it back"),
        ((*THROUGH, act.Drill(40.0)), "what is drilled stays drilled"),
        ((act.Finish(),), "the operation is over"),
    ],
)
def test_the_rest_says_why_not(theatre: Theatre, moves: tuple[act.Action, ...], why: str) -> None:
    session = Session(theatre, 3, images=False)
    for move in moves:
        assert session.step(move).refused is None
    undo = undo_of(session.state, session.events, None)
    assert (undo.words, undo.action) == ("", None)
    assert why in undo.why


def test_every_action_has_an_answer(theatre: Theatre) -> None:
    state = Session(theatre, 3, images=False).state
    for name in set(KINDS) - {"mark-skin", "insert", "measure-depth"}:
        undo = undo_of(state, [{"action": {"do": name}}], None)
        assert undo.why, name
        assert undo.why != "there is no way back from that", name


def test_a_wipe_needs_a_mark(theatre: Theatre) -> None:
    session = Session(theatre, 3, images=False)
    assert session.step(act.WipeMark()).refused == "there is no mark on the skin"


def test_wishes_of_the_arm_are_taken_back_one_by_one_until_it_has_gone_there(theatre: Theatre) -> None:
    session, worker = Session(theatre, 3, images=False), Worker()
    arm = Arm(session, Monitor(64), worker, lambda: None)
    start = arm.wanted
    assert arm.before is None
    arm.to(orbital_deg=90.0)
    arm.to(orbital_deg=90.0)
    arm.to(tilt_deg=10.0)
    assert arm.before == replace(start, orbital_deg=90.0)
    arm.press(0.5, 0.5, pedal=False)
    for across in (0.51, 0.53, 0.56):
        arm.drag(across, 0.5)
    assert arm.before == replace(start, orbital_deg=90.0, tilt_deg=10.0), "a drag is one wish"
    asyncio.run(arm.release())
    arm.back()
    arm.back()
    assert arm.wanted == replace(start, orbital_deg=90.0)
    session.step(arm.wanted)
    assert arm.before is None, "it stands there now"
    arm.back()
    assert arm.wanted == session.state.arm
    arm.to(tilt_deg=5.0)
    assert arm.before == session.state.arm
    assert arm.to(orbital_deg=1e4) is not None
    assert arm.before == session.state.arm, "a wish that is refused is none"
    worker.close()


def test_the_new_action_is_checked_like_the_others() -> None:
    with pytest.raises(InputError, match="only no fields"):
        act.from_dict({"do": "wipe-mark", "side": "left"})
