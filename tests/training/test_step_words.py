"""Every action has its sentence."""

from typing import get_args

import pytest

from sjplan.training import actions as act
from sjplan.training.actions import Action, as_dict
from sjplan.training.step_words import arm_words, step_words

SAMPLES: dict[type, Action] = {
    act.PlacePin: act.PlacePin("left", 20.0, -10.0, -2.0, 5.0),
    act.PlaceParallel: act.PlaceParallel("right", 18.0),
    act.TiltPin: act.TiltPin(3.0, -4.0),
    act.MarkSkin: act.MarkSkin("left", 1.0, 2.0),
    act.PushPin: act.PushPin(20.0),
    act.WithdrawPin: act.WithdrawPin(10.0),
    act.Drill: act.Drill(41.0),
    act.Broach: act.Broach(40.0),
    act.Insert: act.Insert("tri-7", 45.0),
    act.BackOut: act.BackOut("left"),
}


@pytest.mark.parametrize("kind", get_args(Action), ids=lambda kind: kind.__name__)
def test_every_action_is_told_and_no_raw_name_is_left(kind: type) -> None:
    action = SAMPLES[kind] if kind in SAMPLES else kind()
    text = step_words({"action": as_dict(action)}, act.MoveArm())
    assert text[0].isupper()
    assert "_" not in text
    refused = step_words({"action": as_dict(action), "refused": "no room"}, act.MoveArm())
    assert refused == f"{text}, refused: no room"


def test_directions_are_the_surgeon_s_and_readings_are_read() -> None:
    still = act.MoveArm()
    assert "2° caudal, 5° ventral" in step_words({"action": as_dict(SAMPLES[act.PlacePin])}, still)
    assert "3° cranial, 4° dorsal" in step_words({"action": as_dict(SAMPLES[act.TiltPin])}, still)
    gauge = {"action": as_dict(act.MeasureDepth()), "said": {"depth_mm": 42}}
    assert step_words(gauge, still) == "Depth gauge: 42 mm in bone"
    skid = {"action": as_dict(act.TapPin(1, 1.0)), "feel": {"skidded_mm": 2.04, "advanced_mm": 0.0}}
    assert step_words(skid, still) == "Pin tapped, 1 blow of 1 J: the tip skids 2.0 mm along the cortex"
    assert arm_words(act.MoveArm(tilt_deg=-24.6, wig_wag_deg=0.2)) == "inlet (orbital 0°, tilt −25°)"
    moved = step_words({"action": as_dict(act.MoveArm(along_mm=-12.4, lift_mm=-0.3))}, still)
    assert moved == "C-arm to ap (orbital 0°, tilt 0°), along −12 mm"
