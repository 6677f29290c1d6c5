"""An exercise that was made is one that can be begun: everything that contradicts itself is refused by name."""

from dataclasses import replace

import pytest

from sjplan.core.errors import InputError, SjplanError
from sjplan.core.exercise import (
    ID,
    LANDMARKS,
    TASKS,
    VIEWS,
    WAYS,
    Asked,
    Exercise,
    JudgePinTask,
    LandmarkTask,
    OnePinTask,
    OperateTask,
    ViewTask,
)
from sjplan.core.structures import DANGERS

VIEW = ViewTask(("lateral",), 12.0, 2.0, 5.0, 1)
LANDMARK = LandmarkTask((Asked("s1-endplate", "lateral"), Asked("symphysis-top", "outlet")), 2, 5.0, 1)
JUDGE = JudgePinTask("pin", ("anterior",), ("inlet",), 4, 2.0, 4.0, 1.0, 3)
PIN = OnePinTask("tri-7", 2.0, 15.0, 8.0)
OPERATE = OperateTask(3, 75.0)


def exercise(**changed: object) -> Exercise:
    return replace(Exercise("an-exercise", "A title", "Do this.", 1, VIEW), **changed)  # type: ignore[arg-type]


def test_every_kind_says_what_it_is() -> None:
    for task in (VIEW, LANDMARK, JUDGE, PIN, OPERATE):
        made = exercise(task=task)
        assert TASKS[made.kind] is type(task)
        assert made.implants == (3 if task is OPERATE else 0)
        assert made.needs_plan == (task in (JUDGE, OPERATE))
    assert set(TASKS) == {"view", "landmark", "judge-pin", "one-pin", "operate"}


def test_a_staged_operation_takes_a_session_a_side_and_any_other_takes_one() -> None:
    both = exercise(task=OPERATE, sides=("right", "left"))
    staged = replace(both, task=replace(OPERATE, sitting="staged"))
    assert both.stages == (("right", "left"),)
    assert staged.stages == (("right",), ("left",))
    assert (both.sitting, staged.sitting) == ("one-sitting", "staged")
    assert replace(both, sides=("left",), task=replace(OPERATE, replaces=("anterior",))).revision


def test_names_are_those_that_the_rest_of_the_library_has() -> None:
    for way in WAYS:
        assert {way, f"{way}_left"} & set(DANGERS), way
    assert {view for views in LANDMARKS.values() for view in views} <= set(VIEWS)


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"id": "Has Spaces"}, "id: found 'Has Spaces'; wanted 1 to 40 small letters"),
        ({"id": "../up"}, "id: found"),
        ({"id": "x" * 41}, "id: found"),
        ({"level": 5}, "level: found 5; wanted 1 to 4"),
        ({"sides": ()}, "sides: found nothing"),
        ({"sides": ("left", "left")}, "sides: found left twice"),
        ({"sides": ("middle",)}, "side: found 'middle'"),
        ({"limit_s": 1.0}, "limit_s: found 1; wanted 10 to 36000"),
        ({"limit_s": float("nan")}, "limit_s: found nan"),
        ({"task": PIN, "sides": ("left", "right")}, "wanted one side for one pin"),
        ({"task": replace(OPERATE, sitting="staged")}, "wanted two sides where the sitting is staged"),
        ({"task": replace(OPERATE, replaces=("canal",)), "sides": ("left", "right")}, "the one side that is revised"),
    ],
)
def test_what_contradicts_itself_is_refused_by_name(changed: dict[str, object], wrong: str) -> None:
    with pytest.raises(SjplanError, match=wrong):
        exercise(**changed)


@pytest.mark.parametrize(
    ("task", "changed", "wrong"),
    [
        (VIEW, {"views": ("laterall",)}, "did you mean 'lateral'"),
        (VIEW, {"right": 2}, "right: found 2; wanted 1 to 1"),
        (VIEW, {"off_deg": 90.0}, "off_deg: found 90"),
        (VIEW, {"times": float("inf")}, "times: found inf"),
        (VIEW, {"straight_deg": 0.0}, "straight_deg"),
        (LANDMARK, {"count": 3}, "count: found 3; wanted 1 to 2"),
        (LANDMARK, {"right": 0}, "right: found 0"),
        (LANDMARK, {"asked": ()}, "asked: found nothing"),
        (LANDMARK, {"within_mm": 0.0}, "within_mm"),
        (JUDGE, {"shows": "drill"}, "shows: found 'drill'"),
        (JUDGE, {"ways": ("anteriour",)}, "did you mean 'anterior'"),
        (JUDGE, {"views": ("ap",)}, "views: found 'ap'"),
        (JUDGE, {"deepest_mm": 1.0}, "deepest_mm: found 1; wanted 2 to 15"),
        (JUDGE, {"out_mm": 0.0}, "out_mm"),
        (JUDGE, {"clear_mm": -1.0}, "clear_mm"),
        (JUDGE, {"count": 0}, "count"),
        (PIN, {"margin_mm": 99.0}, "margin_mm"),
        (PIN, {"sacral_mm": -1.0}, "sacral_mm"),
        (OPERATE, {"implants": 1}, "implants: found 1; wanted 2 to 3"),
        (OPERATE, {"rating": 101.0}, "rating"),
        (OPERATE, {"sitting": "outpatient"}, "sitting: found 'outpatient'"),
        (OPERATE, {"replaces": ("anterior", "anterior")}, "replaces: found anterior twice"),
    ],
)
def test_a_task_out_of_range_is_refused_by_name(task: object, changed: dict[str, object], wrong: str) -> None:
    with pytest.raises(SjplanError, match=wrong):
        replace(task, **changed)  # type: ignore[type-var]


def test_ids_are_safe_in_a_file_s_name() -> None:
    for bad in ("", "a/b", "a.b", "-a", "a b", "A", "ä"):
        assert ID.fullmatch(bad) is None, bad
        with pytest.raises(InputError):
            exercise(id=bad)
