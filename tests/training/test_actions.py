"""Actions: what may be asked, and that the log's form loses nothing."""

import json
from dataclasses import fields

import pytest

from sjplan.core.errors import InputError, UnknownNameError
from sjplan.training.actions import KINDS, LIMITS, Action, Drill, TapPin, as_dict, checked, from_dict, name_of

VALUES = {"side": "right", "mode": "single-shot", "model": "tri-7", "blows": 4}


def example(name: str) -> Action:
    """An action with a value in every field that is not its default."""
    kind = KINDS[name]
    given = {f.name: VALUES.get(f.name, 0.25 * LIMITS[f.name][1] if f.name in LIMITS else None) for f in fields(kind)}
    return kind(**given)


@pytest.mark.parametrize("name", KINDS)
def test_every_action_survives_the_log(name: str) -> None:
    action = example(name)
    again = from_dict(json.loads(json.dumps(as_dict(action))))
    assert again == action
    assert type(again) is type(action)
    assert name_of(again) == name


@pytest.mark.parametrize("name", KINDS)
def test_every_number_has_limits_and_keeps_them(name: str) -> None:
    for item in fields(KINDS[name]):
        if item.name in ("side", "mode", "model"):
            continue
        low, high = LIMITS[item.name]
        whole = as_dict(example(name))
        for value in (low, high):
            assert as_dict(from_dict(whole | {item.name: value}))[item.name] == value
        for value in (low - 1e-6, high + 1e-6, float("nan"), float("inf"), "3", None, True, [1.0]):
            with pytest.raises(InputError, match=f"{name} {item.name}: found .*; wanted .*{low:g} to {high:g}"):
                from_dict(whole | {item.name: value})


@pytest.mark.parametrize(
    ("plain", "wrong"),
    [
        ({"do": "tap"}, "did you mean 'tap-pin'"),
        ({}, "action: found 'None'"),
        ({"do": "drill"}, "action drill: found no depth_mm"),
        ({"do": "drill", "depth_mm": 3.0, "speed": 2}, "found 'speed'; wanted only depth_mm"),
        ({"do": "finish", "now": 1}, "found 'now'; wanted only no fields"),
        ({"do": "back-out", "side": "lefft"}, "did you mean 'left'"),
        ({"do": "shoot", "mode": "cine"}, "shoot mode: found 'cine'; wanted one of fluoroscopy, single-shot"),
        ({"do": "tap-pin", "blows": 1.5}, "a whole number, 1 to 50"),
    ],
)
def test_what_no_action_is_gets_one_line(plain: dict, wrong: str) -> None:
    with pytest.raises((InputError, UnknownNameError), match=wrong) as caught:
        from_dict(plain)
    assert "\n" not in str(caught.value)


def test_whole_numbers_are_taken_where_millimetres_are_meant() -> None:
    assert checked(Drill(30)) == Drill(30.0)
    assert type(checked(Drill(30)).depth_mm) is float
    assert type(checked(TapPin(2.0)).blows) is int
