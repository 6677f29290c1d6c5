"""Implants that lie in the patient at the start: in state, header and replay, and never taken on trust."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest

from sjplan.core.errors import InputError, SjplanError
from sjplan.core.trajectory import Trajectory
from sjplan.training import actions as act
from sjplan.training.given import earlier, given_from
from sjplan.training.happenings import happenings, timeline
from sjplan.training.session import Session, replayed
from sjplan.training.state import Implanted
from sjplan.training.theatre import Theatre


def lying(theatre: Theatre, along_mm: float, side: str = "left", length_mm: float = 40.0) -> Implanted:
    """An implant straight across one joint."""
    x, y, z = theatre.anatomy.joints[side].sacral_lps_mm.mean(axis=0)  # type: ignore[index]
    inward = -1.0 if side == "left" else 1.0
    entry = np.array([x - 20.0 * inward, y, z + along_mm])
    tip = entry + np.array([length_mm * inward, 0.0, 0.0])
    return earlier(side, Trajectory(entry, tip, 15.0, theatre.models["tri-7"]), 3.0)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def given(theatre: Theatre) -> tuple[Implanted, ...]:
    return lying(theatre, 15.0), lying(theatre, -15.0), lying(theatre, 0.0, "right")


MOVES = (act.MoveArm(tilt_deg=20.0), act.BackOut("left"), act.PlaceParallel("left", 20.0), act.WithdrawPin(300.0))


def test_they_lie_in_the_state_and_the_last_of_a_side_is_the_first_to_come_out(
    theatre: Theatre, given: tuple[Implanted, ...]
) -> None:
    session = Session(theatre, 1, given=given, images=False)
    assert session.state.implants == given
    assert all(session.was_given(one) for one in session.state.implants)
    assert session.state.fingerprint != Session(theatre, 1, images=False).state.fingerprint
    assert session.step(act.BackOut("left")).refused is None
    assert session.state.implants == (given[0], given[2])
    session.reset(2)
    assert session.state.implants == given


def test_a_header_of_json_brings_them_back_to_the_last_bit(theatre: Theatre, given: tuple[Implanted, ...]) -> None:
    session = Session(theatre, 3, given=given, images=False)
    for move in MOVES:
        assert session.step(move).refused is None
    header, events = json.loads(json.dumps([session.header, session.events]))
    again = replayed(theatre, header, events)
    assert again.state.fingerprint == session.state.fingerprint
    assert again.events == session.events
    assert again.header == session.header
    with pytest.raises(InputError, match="found other"):
        replayed(theatre, header | {"given": header["given"][:2]}, events)


def test_a_header_without_them_is_that_of_every_earlier_log(theatre: Theatre) -> None:
    session = Session(theatre, 4, images=False)
    assert "given" not in session.header
    session.step(MOVES[0])
    assert replayed(theatre, session.header, session.events).state.fingerprint == session.state.fingerprint


def test_a_radiograph_shows_them(theatre: Theatre, given: tuple[Implanted, ...]) -> None:
    seen = []
    for implants in ((), given):
        session = Session(theatre, 5, given=implants, pixels=96)
        _, up, along = theatre.anatomy.joints["left"].sacral_lps_mm.mean(axis=0) - theatre.start.isocentre_lps_mm
        session.step(act.MoveArm(lift_mm=float(up), along_mm=float(along)))
        image = session.step(act.Shoot("single-shot")).image
        assert image is not None
        seen.append(image.line_integral)
    assert (seen[1] - seen[0]).max() > 2.0


def test_no_side_takes_more_than_three_and_no_model_is_invented(theatre: Theatre, given: tuple[Implanted, ...]) -> None:
    with pytest.raises(InputError, match="given implants, left: found 4; wanted at most 3"):
        Session(theatre, given=(given[0],) * 4)
    first = given[0].trajectory
    strange = replace(first, model=replace(first.model, id="mine"))
    with pytest.raises(SjplanError, match="given implant: found 'mine'"):
        Session(theatre, given=(replace(given[0], trajectory=strange),))


@pytest.mark.parametrize(
    ("path", "value", "wrong"),
    [
        (("model",), "tri-9", r"given\[1\].model: found 'tri-9'"),
        (("side",), "middle", "side: found 'middle'"),
        (("roll_deg",), "15", r"given\[1\].roll_deg: found '15'"),
        (("roll_deg",), float("nan"), "roll_deg: found nan"),
        (("entry_lps_mm",), [1.0, 2.0], "entry_lps_mm: found .*wanted three numbers"),
        (("entry_lps_mm",), [0.0, 0.0, 0.0], r"given\[1\] length"),
        (("tip_lps_mm",), [1e9, 0.0, 0.0], "tip_lps_mm: found 1000000000"),
        (("tip_lps_mm", 0), True, "tip_lps_mm: found True"),
        (("passage", "axis"), [1.0, 1.0, 0.0], "axis: found length"),
        (("passage", "side"), "right", "passage.side: found 'right'; wanted left"),
        (("passage", "depth"), 1.0, "passage: found .*depth"),
        (("colour",), "red", "found colour, entry_lps_mm"),
    ],
)
def test_a_header_that_was_tampered_with_is_named(
    theatre: Theatre, given: tuple[Implanted, ...], path: tuple[str | int, ...], value: object, wrong: str
) -> None:
    plain = copy.deepcopy([one.as_dict() for one in given])
    place: object = plain[1]
    for key in path[:-1]:
        place = place[key]  # type: ignore[index]
    place[path[-1]] = value  # type: ignore[index]
    with pytest.raises(SjplanError, match=wrong) as caught:
        given_from(plain, theatre.models)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("plain", [{}, None, "x", [1], [{}], [None]])
def test_what_is_no_list_of_implants_is_refused(theatre: Theatre, plain: object) -> None:
    with pytest.raises(InputError, match="session log given"):
        given_from(plain, theatre.models)


def test_the_first_moment_begins_with_them_and_a_shot_has_them(theatre: Theatre, given: tuple[Implanted, ...]) -> None:
    session = Session(theatre, 4, given=given, pixels=64)
    taken = session.step(act.Shoot()).image
    session.step(act.BackOut("left"))
    first, last = timeline(session)
    assert first.before.implants == given
    assert [h.text for h in happenings((last,))] == ["The last implant on the left was taken out again: tri-7, 40 mm."]
    assert taken is not None
    assert np.array_equal(session.shot(0).signal, taken.signal)
