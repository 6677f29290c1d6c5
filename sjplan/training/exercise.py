"""Exercises begun, answered and passed: the same exercise, case and seed always ask the same.

An exercise asks one question or several; an operation is a question too, and a session its answer. Which exercises are
open, and how many hints there are, follows from what was passed before.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from sjplan.core.errors import InputError
from sjplan.core.exercise import (
    ANY_CASE,
    Exercise,
    JudgePinTask,
    LandmarkTask,
    OnePinTask,
    OperateTask,
    ViewTask,
)
from sjplan.core.plan import Plan, Side
from sjplan.core.scoring import Scoring
from sjplan.io.scoring import read_scoring
from sjplan.training import ask_landmark, ask_operation, ask_pin, ask_view
from sjplan.training.actions import MoveArm
from sjplan.training.process import Looks
from sjplan.training.questions import InOrOut, PointAt, Question, Verdict
from sjplan.training.session import Session
from sjplan.training.theatre import Theatre

FADES_OVER: Final = 3
"""Passed so often, an exercise has no hints left (default)."""

OPENS_AT: Final = 2.0 / 3.0
"""A level opens when this share of the level below is passed (default)."""

_LIE: Final = 1
"""Stream of random numbers for how the patient lies."""

Answer = MoveArm | PointAt | InOrOut | Session


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """An exercise that was begun.

    Parameters
    ----------
    exercise : Exercise
        Which.
    looks : Looks
        The patient, and what of it views are judged by.
    seed : int
        Everything that is drawn comes of it, and of the exercise's id.
    stage : int
        0, or 1 for the second session of a staged operation.
    questions : sequence of Question
        To be answered in any order.
    plans : mapping of side to Plan
        That implants were made of, and are compared with.
    """

    exercise: Exercise
    looks: Looks
    seed: int
    stage: int
    questions: Sequence[Question]
    plans: Mapping[Side, Plan] = field(default_factory=dict)

    @property
    def theatre(self) -> Theatre:
        """The operating room."""
        return self.looks.theatre

    @property
    def opening(self) -> tuple[MoveArm, ...]:
        """What its session begins with: where a view is looked for, the arm stands off."""
        return (self.questions[0].arm,) if isinstance(self.exercise.task, ViewTask) else ()

    def session(self, *, images: bool = True, pixels: int = 512) -> Session:
        """The session of an exercise in which something is done or a view is looked for: it begins as it should."""
        return Session(self.theatre, self.seed, given=self.questions[0].given, images=images, pixels=pixels)


def begin(
    exercise: Exercise,
    theatre: Theatre,
    seed: int,
    *,
    plans: Mapping[Side, Plan] | None = None,
    before: Session | None = None,
    looks: Looks | None = None,
) -> Attempt:
    """Begin an exercise.

    Parameters
    ----------
    exercise : Exercise
        See `io.exercises.read_exercises`.
    theatre : Theatre
        Of the exercise's case, or of any where it names none.
    seed : int
        From 0.
    plans : mapping of side to Plan, optional
        Of every side of the exercise, where it `needs_plan`; with as many implants as it asks for.
    before : Session, optional
        The first session of a staged operation, finished, to begin the second.
    looks : Looks, optional
        Of the same theatre, to begin sooner.

    Raises
    ------
    InputError
        For another case than the exercise's, missing plans, or a session that is none of its first stage.
    AnatomyError
        For a patient in whom it cannot be asked; says so, so that another is chosen.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise InputError("seed", found=repr(seed), wanted="a whole number from 0")
    if exercise.case not in (ANY_CASE, theatre.name):
        wanted = f"the case {exercise.case}"
        raise InputError(
            f"exercise {exercise.id}", found=f"the case {theatre.name}", wanted=wanted, fix="open that one"
        )
    stage = _stage(exercise, theatre, before)
    sides = exercise.stages[stage]
    used = _plans(exercise, plans or {}, sides)
    looks = Looks(theatre) if looks is None else looks
    drawn = (seed, zlib.crc32(exercise.id.encode()), stage)
    rng, task = np.random.default_rng(drawn), exercise.task
    asked: Sequence[Question]
    if isinstance(task, ViewTask):
        looks = ask_view.turned_patient(looks, task, np.random.default_rng((*drawn, _LIE)))
        asked = ask_view.questions(looks, task, rng)
    elif isinstance(task, LandmarkTask):
        asked = ask_landmark.questions(looks, task, rng)
    elif isinstance(task, JudgePinTask):
        asked = ask_pin.questions(looks, task, sides, used, drawn)
    elif isinstance(task, OnePinTask):
        asked = ask_operation.one_pin(sides[0])
    else:
        asked = ask_operation.operation(theatre, exercise, sides, used, before, rng)
    return Attempt(exercise, looks, seed, stage, asked, used)


def answer(attempt: Attempt, number: int, given: Answer, *, scoring: Scoring | None = None) -> Verdict:
    """What is said of the answer to one question.

    Parameters
    ----------
    number : int
        Of the question, from 0.
    given : MoveArm, PointAt, InOrOut or Session
        As the question's kind asks for; of a session what counts is how it stands now.
    scoring : Scoring, optional
        For an operation, in place of the shipped one.

    Raises
    ------
    InputError
        For an answer of another kind, or to a question that was not asked.
    GeometryError
        For a pose that the device does not reach.
    """
    if not 0 <= number < len(attempt.questions):
        raise InputError("question", found=f"{number}", wanted=f"0 to {len(attempt.questions) - 1}")
    question, task, looks = attempt.questions[number], attempt.exercise.task, attempt.looks
    if isinstance(task, ViewTask) and isinstance(given, MoveArm):
        return ask_view.verdict(looks, task, question.view, given)
    if isinstance(task, LandmarkTask) and isinstance(given, PointAt):
        return ask_landmark.verdict(looks, task, question, given)
    if isinstance(task, JudgePinTask) and isinstance(given, InOrOut):
        return ask_pin.verdict(looks, question, given)
    if isinstance(task, OnePinTask) and isinstance(given, Session):
        return ask_operation.pin_verdict(looks, attempt.exercise, question, given)
    if isinstance(task, OperateTask) and isinstance(given, Session):
        used = scoring or read_scoring()
        return ask_operation.operation_verdict(looks, attempt.exercise, question, attempt.plans, used, given)
    wanted = {"view": "a pose", "landmark": "a point", "judge-pin": "in or out"}.get(attempt.exercise.kind, "a session")
    raise InputError(f"answer to {attempt.exercise.id}", found=type(given).__name__, wanted=wanted)


def overall(attempt: Attempt, verdicts: Sequence[Verdict], *, seconds: float | None = None) -> Verdict:
    """Whether an exercise is passed, from the verdicts on its questions; those without one count as not right.

    Parameters
    ----------
    seconds : float, optional
        How long it took, by the trainee's clock; what is done in a session goes by the session's.

    Raises
    ------
    InputError
        For more verdicts than questions.
    """
    exercise, asked = attempt.exercise, len(attempt.questions)
    if len(verdicts) > asked:
        raise InputError("verdicts", found=f"{len(verdicts)}", wanted=f"{asked}, one a question")
    if isinstance(exercise.task, OnePinTask | OperateTask):
        return verdicts[0] if verdicts else Verdict(False, None, "", ("Nothing was done.",))
    right, needed = sum(v.passed for v in verdicts), min(exercise.task.right, asked)
    words = [f"{right} of {asked} right; {needed} pass."]
    late = exercise.limit_s is not None and seconds is not None and seconds > exercise.limit_s
    if late:
        words.append(f"It took {seconds:.0f} seconds; {exercise.limit_s:.0f} pass.")
    return Verdict(right >= needed and not late, float(right), f"of {asked}", tuple(words))


def hints_for(exercise: Exercise, passes: int, exam: bool = False) -> tuple[str, ...]:
    """The hints that somebody gets who has passed an exercise so often: all at first, then fewer; none in an exam.

    Raises
    ------
    InputError
        For an exam where it is offered as none.

    Examples
    --------
    >>> from sjplan.io.exercises import read_exercises
    >>> [len(hints_for(read_exercises()["one-side"], passes)) for passes in range(5)]
    [4, 3, 2, 0, 0]
    """
    if exam and not exercise.exam:
        raise InputError(f"exercise {exercise.id}", found="asked for as an exam", wanted="one that is offered as such")
    left = 0.0 if exam else max(1.0 - max(passes, 0) / FADES_OVER, 0.0)
    return exercise.hints[: math.ceil(left * len(exercise.hints))]


def unlocked(exercises: Mapping[str, Exercise], passed: Collection[str]) -> frozenset[str]:
    """Ids of the exercises that are open to somebody who has passed these.

    The lowest level always is; another when two thirds of the exercises on the level below it are passed, and that
    level is open itself. A level without exercises is no hurdle.

    Examples
    --------
    >>> from sjplan.io.exercises import read_exercises
    >>> exercises = read_exercises()
    >>> {exercises[name].level for name in unlocked(exercises, ())}
    {1}
    """
    found: set[str] = set()
    for level in sorted({exercise.level for exercise in exercises.values()}):
        here = {name for name, exercise in exercises.items() if exercise.level == level}
        found |= here
        if len(here & set(passed)) < math.ceil(OPENS_AT * len(here) - 1e-9):
            break
    return frozenset(found)


def _stage(exercise: Exercise, theatre: Theatre, before: Session | None) -> int:
    """Which session of the exercise comes next."""
    if before is None:
        return 0
    if exercise.sitting != "staged":
        raise InputError(f"exercise {exercise.id}", found="a session before it", wanted="none: it is not staged")
    for name, wanted in (("case", theatre.name), ("sha256", dict(theatre.sha256))):
        if before.header[name] != wanted:
            raise InputError(f"first session {name}", found=repr(before.header[name])[:60], wanted=repr(wanted)[:60])
    if not before.state.finished or not before.state.of_side(exercise.sides[0]):
        raise InputError(
            "first session", found="not finished, or without implants", wanted=f"the {exercise.sides[0]} side done"
        )
    return 1


def _plans(exercise: Exercise, plans: Mapping[Side, Plan], sides: Sequence[Side]) -> dict[Side, Plan]:
    """The plans of these sides, if the exercise needs them."""
    if not exercise.needs_plan:
        return {}
    for side in sides:
        what = f"plan of the {side} side"
        if side not in plans or plans[side].side != side:
            raise InputError(what, found="none", wanted="one to make the exercise of", fix="plan this case first")
        count = len(plans[side].trajectories)
        if exercise.implants and count != exercise.implants:
            raise InputError(what, found=f"{count} implants", wanted=f"{exercise.implants}", fix="plan this case so")
    return {side: plans[side] for side in sides}
