"""An operation on the contract's phantom: what it leaves behind, what it refuses, and that it comes out again."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from sjplan.core.errors import InputError
from sjplan.core.plan import Plan
from sjplan.safety.judge import judge
from sjplan.training import actions as act
from sjplan.training.moves import LEAST_SEAT_MM
from sjplan.training.pin import angles_deg
from sjplan.training.session import Session, replayed
from sjplan.training.theatre import Theatre


def pin_along(theatre: Theatre, plan: Plan, slot: int) -> act.PlacePin:
    """The pin that lies on the axis of a planned implant."""
    path = plan.trajectories[slot]
    skin = theatre.tissue.skin_on_line(path.entry_lps_mm, path.axis)
    assert skin is not None
    return act.PlacePin(plan.side, float(skin[1]), float(skin[2]), *angles_deg(plan.side, path.axis))


def operated(session: Session, plan: Plan) -> Session:
    """All three implants by the plan, with a shot for each."""
    for slot, path in enumerate(plan.trajectories):
        session.step(act.MoveArm(tilt_deg=-25.0 + 30.0 * slot))
        assert session.step(pin_along(session.theatre, plan, slot)).refused is None
        session.step(act.PushPin(200.0))
        for _ in range(60):
            depth = session.step(act.MeasureDepth()).said
            if depth and depth["depth_mm"] >= path.length_mm - 4.0:
                break
            session.step(act.TapPin(1, 1.0))
        session.step(act.Shoot())
        assert session.step(act.Drill(path.length_mm - 4.0)).refused is None
        assert session.step(act.Broach(path.length_mm - 4.0)).refused is None
        assert session.step(act.Insert(path.model.id, path.length_mm, 3.0, path.roll_deg)).refused is None
    assert session.step(act.Finish()).refused is None
    return session


@pytest.fixture(scope="module")
def done(theatre: Theatre, planned: Plan) -> Session:
    return operated(Session(theatre, 7, images=False), planned)


def test_an_operation_by_the_plan_leaves_three_implants_near_it(done: Session, planned: Plan) -> None:
    state, limits = done.state, done.theatre.limits
    assert state.finished
    assert state.pin is None
    assert [i.trajectory.model.id for i in state.implants] == [t.model.id for t in planned.trajectories]
    for placed, wanted in zip(state.implants, planned.trajectories, strict=True):
        path = placed.passage
        implant = placed.trajectory
        assert implant.entry_lps_mm == pytest.approx(path.entry_lps_mm - 3.0 * path.axis)
        assert implant.axis == pytest.approx(path.axis)
        assert implant.length_mm == pytest.approx(wanted.length_mm)
        off = np.cross(implant.tip_lps_mm - wanted.entry_lps_mm, wanted.axis)
        assert np.linalg.norm(off) < 6.0
    report = judge(
        Plan(planned.side, tuple(i.trajectory for i in state.implants), "by hand"), done.theatre.anatomy, limits
    )
    for implant in report.implants:
        assert implant.crossing_lps_mm is not None
        assert implant.protrusion_mm == pytest.approx(3.0, abs=2.5)


def test_time_and_dose_only_grow_and_shots_are_counted(done: Session) -> None:
    seconds = [event["seconds"] for event in done.events]
    assert seconds == sorted(seconds)
    assert done.state.shots == 3
    assert done.state.fluoroscopy_s == pytest.approx(3 / done.theatre.maker.device.frames_per_s)
    assert done.state.dose_area_ugy_m2 > 0
    assert 300.0 < done.state.seconds < 3600.0


def test_the_same_seed_gives_the_same_to_the_last_bit_and_another_does_not(done: Session, planned: Plan) -> None:
    again = operated(Session(done.theatre, 7, images=False), planned)
    assert again.events == done.events
    other = operated(Session(done.theatre, 8, images=False), planned)
    assert [e["state"] for e in other.events] != [e["state"] for e in done.events]


def test_a_log_brings_a_session_back_at_every_event(done: Session) -> None:
    header, events = json.loads(json.dumps([done.header, done.events]))
    whole = replayed(done.theatre, header, events)
    assert whole.state.fingerprint == done.state.fingerprint
    assert whole.events == done.events
    half = replayed(done.theatre, header, events[: len(events) // 2])
    for event in events[len(events) // 2 :]:
        half.step(act.from_dict(event["action"]))
    assert half.events == done.events


def test_a_log_that_was_tampered_with_is_found_out(done: Session) -> None:
    events = json.loads(json.dumps(done.events))
    number = next(n for n, event in enumerate(events) if event.get("feel", {}).get("advanced_mm", 0) > 1.0)
    for change in ({"state": "0" * 16}, {"seconds": 1.0}, {"hidden": [{"event": "none"}]}):
        wrong = [*events]
        wrong[number] = events[number] | change
        with pytest.raises(InputError, match=f"session log event {number}: found other {next(iter(change))} on replay"):
            replayed(done.theatre, done.header, wrong)
    for change in ({"schema": "x/1"}, {"case": "another"}, {"device": "intensifier-12"}, {"seed": -1}):
        with pytest.raises(InputError, match=next(iter(change))):
            replayed(done.theatre, done.header | change, events)


def test_images_change_nothing_and_come_again(theatre: Theatre, planned: Plan) -> None:
    pin = pin_along(theatre, planned, 0)
    _, up, along = theatre.start.isocentre_lps_mm
    shots = [
        act.MoveArm(orbital_deg=90.0, lift_mm=pin.up_mm - float(up), along_mm=pin.along_mm - float(along)),
        act.Shoot(),
        act.Shoot(),
        act.Shoot("single-shot"),
        act.Shoot("single-shot"),
        pin,
        act.PushPin(200.0),
        act.Shoot(),
        act.Shoot(seconds=1.0),
    ]
    drawn, blind = Session(theatre, 3, pixels=96), Session(theatre, 3, images=False)
    pictures = [drawn.step(shot).image for shot in shots]
    assert all(blind.step(shot).image is None for shot in shots)
    assert drawn.events == blind.events
    seen = [picture for picture in pictures if picture is not None]
    assert len(seen) == 6
    first, again, fine, fine_again, with_pin, last = (-picture.darkness for picture in seen)
    # Two shots differ by their noise, which is less in a single shot; the pin, seen end-on, stands out of it.
    noise = [float((a - b).std()) for a, b in ((first, again), (fine, fine_again))]
    assert noise[0] > 1.5 * noise[1] > 0.0
    assert (first - again > 0.3).sum() == 0
    assert (first - with_pin > 0.3).sum() > 3
    assert np.array_equal(-drawn.image().darkness, last)
    assert drawn.state.fluoroscopy_s > 1.0


def test_what_cannot_be_done_now_says_so_and_changes_nothing(theatre: Theatre, planned: Plan) -> None:
    session = Session(theatre, 0, images=False)

    def refused(action: act.Action, why: str) -> None:
        before = session.state
        answer = session.step(action)
        assert answer.refused is not None
        assert why in answer.refused
        assert session.state is before
        assert session.events[-1]["refused"] == answer.refused

    for action in (act.PushPin(5.0), act.TapPin(), act.TiltPin(0.0, 0.0), act.Drill(20.0), act.MeasureDepth()):
        refused(action, "place one on the skin first")
    refused(act.WithdrawPin(5.0), "no pin in the patient")
    refused(act.BackOut("left"), "no implant on the left")
    refused(act.PlaceParallel("left"), "place the first pin by hand")
    refused(act.MoveArm(orbital_deg=180.0), "as far as flat-panel goes")
    refused(act.PlacePin("left", 0.0, 2000.0), "no skin at that place")
    session.step(pin_along(theatre, planned, 0))
    refused(pin_along(theatre, planned, 1), "a pin is in the patient already")
    refused(act.Finish(), "a pin is still in the patient")
    session.step(act.PushPin(200.0))
    refused(act.Drill(20.0), f"tap it to {LEAST_SEAT_MM:g} mm first")
    for _ in range(12):
        session.step(act.TapPin(1, 1.0))
    refused(act.Insert("tri-7", 40.0), "drill over the pin first")
    refused(act.Broach(20.0), "drill over the pin first")
    refused(act.Drill(150.0), "the drill would run off the pin")
    session.step(act.Drill(15.0))
    refused(act.TiltPin(0.0, 0.0), "it stays as it is")
    refused(act.WithdrawPin(5.0), "take it out all the way")
    refused(act.Insert("tri-9", 40.0), "did you mean")
    refused(act.Insert("tri-7", 41.0), "does not come 41 mm long")
    session.step(act.WithdrawPin(300.0))
    assert session.events[-1]["hidden"] == [{"event": "path-given-up", "mm": 15.0}]
    session.step(act.Finish())
    refused(act.Shoot(), "the operation is over")


def test_turning_a_pin_that_has_touched_bone_is_a_redirection(theatre: Theatre, planned: Plan) -> None:
    session = Session(theatre, 0, images=False)
    session.step(pin_along(theatre, planned, 0))
    session.step(act.TiltPin(3.0, 3.0))
    assert session.state.redirections == 0
    session.step(act.PushPin(200.0))
    session.step(act.TapPin(6, 1.0))
    session.step(act.TiltPin(0.0, 0.0))
    assert session.state.redirections == 1


def test_a_pin_driven_on_and_on_comes_out_of_bone_and_the_log_says_where(theatre: Theatre, planned: Plan) -> None:
    session = Session(theatre, 0, images=False)
    straight = pin_along(theatre, planned, 1)
    session.step(replace(straight, ventral_deg=straight.ventral_deg + 20.0))
    session.step(act.PushPin(200.0))
    for _ in range(4):
        session.step(act.TapPin(50, 3.0))
    assert session.state.perforations >= 1
    found = [e for event in session.events for e in event.get("hidden", ()) if e["event"] == "perforation"]
    assert len(found) == session.state.perforations
    assert all(e["structure"] in theatre.surfaces(planned.side).dangers for e in found)
    assert min(e["mm"] for e in found) < 3.0


def test_the_parallel_guide_sets_the_next_pin_beside_the_last_path(done: Session) -> None:
    header, events = done.header, done.events
    first = next(n for n, event in enumerate(events) if event["action"]["do"] == "insert")
    for ventral in (0.0, 40.0):
        session = replayed(done.theatre, header, events[: first + 1])
        path = session.state.implants[-1].passage
        assert session.step(act.PlaceParallel(path.side, 18.0, ventral)).refused is None
        pin = session.state.pin
        assert pin is not None
        assert pin.axis.tolist() == path.axis.tolist()
        apart = np.cross(pin.skin_lps_mm - path.entry_lps_mm, path.axis)
        assert np.linalg.norm(apart) == pytest.approx(18.0)
        across = pin.skin_lps_mm - path.entry_lps_mm
        across -= (across @ path.axis) * path.axis
        assert across[2] < 0
        assert (across[1] < -5.0) == (ventral > 0)


OTHER_PROCESS = """
import hashlib, json, sys
from sjplan.io.cases import Case
from sjplan.testing.problems import phantom_anatomy, phantom_labels
from sjplan.training.session import replayed
from sjplan.training.theatre import open_theatre
theatre = open_theatre("contract phantom", Case(None, phantom_labels()), anatomy=phantom_anatomy())
header, events = json.load(sys.stdin)
session = replayed(theatre, header, events)
session.pixels = 64
print(session.state.fingerprint, hashlib.sha256(session.image().signal.tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_another_process_replays_state_and_image_to_the_last_bit(done: Session) -> None:
    import hashlib

    shot = max(n for n, event in enumerate(done.events) if event["action"]["do"] == "shoot")
    here = replayed(done.theatre, done.header, done.events[: shot + 1])
    here.pixels = 64
    signal = here.image().signal
    assert signal is not None
    log = json.dumps([done.header, done.events[: shot + 1]])
    there = subprocess.run([sys.executable, "-c", OTHER_PROCESS], input=log, capture_output=True, text=True, check=True)
    assert there.stdout.split() == [here.state.fingerprint, hashlib.sha256(signal.tobytes()).hexdigest()]
