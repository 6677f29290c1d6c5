"""Every exercise that ships can be done without a window; hints, levels and what counts as passed."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest

from sjplan.core.errors import InputError
from sjplan.core.plan import Plan, Side
from sjplan.io.exercises import read_exercises
from sjplan.training.exercise import Answer, Attempt, answer, begin, hints_for, overall, unlocked
from sjplan.training.process import Looks
from sjplan.training.questions import InOrOut, PointAt, Verdict

EXERCISES = read_exercises()
RIGHT = Verdict(True, 1.0, "mm", ("Right.",))
WRONG = Verdict(False, 9.0, "mm", ("Not right.",))


def begun(looks: Looks, name: str, plans: Mapping[Side, Plan], seed: int = 3) -> Attempt:
    exercise = EXERCISES[name]
    theatre = looks.theatre if exercise.case == "any" else replace(looks.theatre, name=exercise.case)
    own = looks if theatre is looks.theatre else Looks(theatre)
    return begin(exercise, theatre, seed, plans=plans, looks=own)


@pytest.mark.parametrize("name", list(EXERCISES))
def test_every_exercise_begins_and_an_idle_answer_fails_with_reasons(
    looks: Looks, plans: Mapping[Side, Plan], name: str
) -> None:
    attempt = begun(looks, name, plans)
    exercise, first = attempt.exercise, attempt.questions[0]
    assert first.text
    given: Mapping[str, Answer] = {"landmark": PointAt(0.02, 0.98), "view": first.arm, "judge-pin": InOrOut(True)}
    idle = given[exercise.kind] if exercise.kind in given else attempt.session(images=False)
    said = answer(attempt, 0, idle)
    assert said.words
    whole = overall(attempt, [said])
    assert not whole.passed
    assert whole.words
    if not exercise.needs_plan:
        again = begun(looks, name, plans)
        assert (again.questions[0].text, again.questions[0].arm) == (first.text, first.arm)
    with pytest.raises(InputError, match="question: found"):
        answer(attempt, len(attempt.questions), idle)
    other: Answer = PointAt(0.5, 0.5) if exercise.kind != "landmark" else InOrOut(False)
    with pytest.raises(InputError, match=f"answer to {name}: found"):
        answer(attempt, 0, other)


def test_as_many_as_the_marks_say_pass_and_what_is_not_answered_does_not(
    looks: Looks, plans: Mapping[Side, Plan]
) -> None:
    attempt = begun(looks, "landmarks-lateral", plans)
    assert (len(attempt.questions), attempt.exercise.limit_s) == (5, 300.0)
    for verdicts, seconds, passed in (
        ([RIGHT] * 4 + [WRONG], 299.0, True),
        ([RIGHT] * 4, 299.0, True),
        ([RIGHT] * 3 + [WRONG] * 2, 299.0, False),
        ([RIGHT] * 3, 299.0, False),
        ([RIGHT] * 5, 301.0, False),
        ([], None, False),
    ):
        assert overall(attempt, verdicts, seconds=seconds).passed == passed
    assert overall(attempt, [RIGHT] * 5, seconds=400.0).words == (
        "5 of 5 right; 4 pass.", "It took 400 seconds; 300 pass.",
    )  # fmt: skip
    with pytest.raises(InputError, match="verdicts: found 6; wanted 5"):
        overall(attempt, [RIGHT] * 6)


@pytest.mark.parametrize("name", list(EXERCISES))
def test_hints_fade_with_every_pass_and_an_exam_has_none(name: str) -> None:
    exercise = EXERCISES[name]
    counts = [len(hints_for(exercise, passes)) for passes in range(5)]
    assert counts[0] == len(exercise.hints) > 0
    assert counts == sorted(counts, reverse=True)
    assert counts[3] == counts[4] == 0
    assert counts[1] == math.ceil(2 * len(exercise.hints) / 3)
    assert hints_for(exercise, 0, exam=True) == ()
    with pytest.raises(InputError, match="asked for as an exam"):
        hints_for(replace(exercise, exam=False), 0, exam=True)


def test_a_level_opens_when_two_thirds_of_the_one_below_are_passed() -> None:
    level = {n: [name for name, e in EXERCISES.items() if e.level == n] for n in (1, 2, 3, 4)}
    enough = math.ceil(2 * len(level[1]) / 3)
    assert unlocked(EXERCISES, ()) == set(level[1])
    assert unlocked(EXERCISES, level[1][: enough - 1]) == set(level[1])
    assert unlocked(EXERCISES, level[1][:enough]) == {*level[1], *level[2]}
    assert unlocked(EXERCISES, [*level[2], *level[3]]) == set(level[1]), "no level is jumped over"
    assert unlocked(EXERCISES, list(EXERCISES)) == set(EXERCISES)


def test_another_case_or_seed_is_refused(looks: Looks) -> None:
    with pytest.raises(InputError, match="exercise obese: found the case contract phantom; wanted the case obese"):
        begin(EXERCISES["obese"], looks.theatre, 0)
    for seed in (-1, 2**63, True, 1.5):
        with pytest.raises(InputError, match="seed: found"):
            begin(EXERCISES["true-lateral"], looks.theatre, seed)  # type: ignore[arg-type]
