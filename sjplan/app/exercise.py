"""Exercises behind the pages: begun on the first page, done in the operating room or by questions, told at the end."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sjplan.app.monitor import Monitor, grey_of
from sjplan.app.words import clock
from sjplan.core.errors import InputError, unknown_name
from sjplan.core.exercise import ANY_CASE, Exercise
from sjplan.core.plan import Plan, Side
from sjplan.core.shown import cut, raised
from sjplan.training.actions import MoveArm
from sjplan.training.exercise import Attempt, answer, begin, hints_for, unlocked
from sjplan.training.moves import metal, pose
from sjplan.training.questions import Verdict
from sjplan.training.session import Session, replayed
from sjplan.training.state import State
from sjplan.training.theatre import Theatre
from sjplan.training.tries import Progress, Try, progress

if TYPE_CHECKING:
    from sjplan.app.house import Bed
    from sjplan.app.visit import Visit

LEVELS: Final = {1: "Look", 2: "Judge, and one pin", 3: "Operate", 4: "Under difficulties"}
"""What the levels are about."""

IN_THEATRE: Final = ("view", "one-pin", "operate")
"""Kinds that are done in the operating room."""

ENDS: Final = {"view": "This is the view", "one-pin": "Leave the pin so", "operate": "Finish the operation"}
"""What the button says that ends each of them."""


class ExercisePage:
    """One exercise at a time, and the list of all.

    State of the page begins with `ex_`: the list, the task, hints, and the verdict.
    """

    def __init__(self, visit: Visit) -> None:
        self.visit, self.state = visit, visit.state
        self.attempt: Attempt | None = None
        self.tried, self.bed = "", ""
        self.hints: tuple[str, ...] = ()
        self.left, self.right = Monitor(), Monitor()
        self._progress: Mapping[str, Progress] = {}
        self._second: dict[str, str] = {}
        self.state.update(
            {"ex_list": [], "ex_broken": list(visit.house.broken), "ex_exam": False, "ex_on": False, "ex_find": False,
             "ex_title": "", "ex_text": "", "ex_ask": "", "ex_as_exam": False, "ex_hints": [], "ex_left": 0,
             "ex_open": False, "ex_limit": "", "ex_end": ENDS["operate"],
             "ex_passed": False, "ex_words": [], "ex_mark": "", "ex_pictures": [], "ex_session": False,
             "ex_next": False}
        )  # fmt: skip

    async def refresh(self) -> list[Try]:
        """Look up how far this person has come; gives what they tried."""
        house, user = self.visit.house, str(self.state.user)
        tries = await house.worker.do(house.tries.entries, user) if user else []
        self._progress = progress(house.exercises, tries)
        begun = {one.after for one in tries}
        self._second = {
            one.exercise: one.id
            for one in tries
            if one.passed and not one.after and one.id not in begun and self._stages(one.exercise) > 1
        }
        passed = [name for name, so_far in self._progress.items() if so_far.passes]
        ready, last, rows = unlocked(house.exercises, passed), 0, []
        for name, exercise in house.exercises.items():
            row = _row(exercise, self._progress[name], name in self._second)
            later = "" if name in ready else f": for later, once most of level {exercise.level - 1} is passed"
            heading = f"Level {exercise.level}, {LEVELS[exercise.level].lower()}{later}"
            rows.append(row | {"heading": "" if exercise.level == last else heading})
            last = exercise.level
        self.state.ex_list = rows
        return tries

    async def begin(self, name: str, bed: str, exam: bool) -> None:
        """Begin an exercise, or the second session of one that is staged."""
        user, house = self.visit.start.who(), self.visit.house
        exercise = self._exercise(name)
        chosen = self.visit.bed(bed if exercise.case == ANY_CASE else exercise.case)
        hints_for(exercise, 0, exam)
        after, before = self._second.get(name, ""), None
        if after:
            first = await house.worker.do(house.tries.entry, after)
            chosen = self.visit.bed(first.case)
        theatre = await house.theatre(chosen, self.visit.tell)
        if after:
            before = await self._before(after, theatre)
        attempt = await self._attempt(exercise, chosen, theatre, secrets.randbits(31), before)
        seed, key = attempt.seed, ""
        if exercise.kind in IN_THEATRE:
            session = attempt.session()
            recorded = await house.worker.do(
                house.history.begin, user, session, exercise=name, sitting=exercise.sitting, revision=exercise.revision
            )
            key = recorded.id
            for action in attempt.opening:
                await house.worker.do(recorded.step, action)
        tried = await house.worker.do(
            house.tries.begin, user, name, chosen.id, seed, exam=exam, session=key, after=after
        )
        self._set(attempt, tried, chosen, exam=exam, shown=0)
        if key:
            await self.visit.operate.begin(recorded, chosen, attempt.questions[0].sides or exercise.sides)
            self._enter_theatre()
            self.state.op_message = "The patient lies prone. Read the task, and begin."
        else:
            await self.visit.question.begin(attempt, ())

    async def resume(self, one: Try) -> None:
        """Go on with a try where it stood."""
        house, exercise = self.visit.house, self._exercise(one.exercise)
        bed = self.visit.bed(one.case)
        theatre = await house.theatre(bed, self.visit.tell)
        before = await self._before(one.after, theatre) if one.after else None
        attempt = await self._attempt(exercise, bed, theatre, one.seed, before)
        self._set(attempt, one.id, bed, exam=one.exam, shown=one.hints)
        if one.session:
            self.visit.tell("replaying what was done")
            recorded = await house.worker.do(house.history.resume, one.session, theatre)
            if recorded.session.theatre.lie != attempt.theatre.lie:
                raise InputError(
                    f"session of {exercise.id}", found="a patient who lies otherwise than the exercise says",
                    wanted="one begun by this version", fix="begin the exercise again",
                )  # fmt: skip
            await self.visit.operate.begin(recorded, bed, attempt.questions[0].sides or exercise.sides)
            self._enter_theatre()
            self.state.ex_open = False
        else:
            await self.visit.question.begin(attempt, one.answers, one.seconds)

    async def hint(self) -> None:
        """Look at the next hint; it is remembered that one was needed."""
        shown = len(self.state.ex_hints)
        if self.attempt is None or shown >= len(self.hints):
            return
        house = self.visit.house
        await house.worker.do(house.tries.hinted, self.tried, shown + 1)
        self._show_hints(shown + 1)
        self.state.ex_open = True

    async def finish(self) -> None:
        """End what was done in the operating room, and say whether it passes."""
        attempt, operate, house = self.attempt, self.visit.operate, self.visit.house
        assert attempt is not None
        assert operate.recorded is not None
        kind = attempt.exercise.kind
        # A pin is judged while it is in the patient, and nobody ends an operation with it there.
        if kind != "one-pin" and not await operate.finish():
            return
        self.visit.tell("measuring where everything lies")
        session = operate.recorded.session
        given = session.state.arm if kind == "view" else session
        verdict = await house.worker.do(answer, attempt, 0, given, scoring=house.scoring)
        verdict = _in_time(attempt, session, verdict) if kind == "view" else verdict
        operate.sheet = verdict.sheet
        await house.worker.do(operate.recorded.finish, verdict.sheet)
        self.visit.tell("taking pictures")
        await self._pictures(attempt, session.state, verdict)
        await self.over(verdict)

    async def over(self, verdict: Verdict) -> None:
        """Keep the verdict, and turn to its page."""
        house, attempt = self.visit.house, self.attempt
        assert attempt is not None
        await house.worker.do(house.tries.end, self.tried, verdict)
        await self.visit.start.refresh()
        mark = "Passed" if verdict.passed else "Not passed yet"
        self.state.update(
            {"ex_on": False, "ex_passed": verdict.passed, "ex_mark": mark, "ex_words": list(verdict.words),
             "ex_session": attempt.exercise.kind in IN_THEATRE, "ex_next": attempt.exercise.id in self._second}
        )  # fmt: skip
        self.visit.go("verdict")

    async def again(self) -> None:
        """The same exercise in the same patient, drawn anew; or its second session."""
        if self.attempt is not None:
            await self.begin(self.attempt.exercise.id, self.bed, bool(self.state.ex_as_exam))

    async def debrief(self) -> None:
        """Tell the session that is over again."""
        await self.visit.operate.tell(self.visit.debrief)

    def clear(self) -> None:
        """No exercise goes on, and views can be called out again, which nobody may who is to find one."""
        self.attempt = None
        self.state.update({"ex_on": False, "ex_find": False, "ex_open": False, "ex_end": ENDS["operate"]})

    async def drop(self) -> None:
        """Nobody does an exercise any more; tries stand in the history."""
        self.clear()
        self.tried, self.bed, self.hints, self._progress, self._second = "", "", (), {}, {}
        self.left.clear()
        self.right.clear()

    def _set(self, attempt: Attempt, tried: str, bed: Bed, *, exam: bool, shown: int) -> None:
        exercise = attempt.exercise
        passes = self._progress.get(exercise.id, Progress()).passes
        self.attempt, self.tried, self.bed = attempt, tried, bed.id
        self.hints = hints_for(exercise, passes, exam)
        if exam:
            shown = 0
        stage = f", session {attempt.stage + 1} of {len(exercise.stages)}" if len(exercise.stages) > 1 else ""
        self.state.update(
            {"ex_title": exercise.title + stage, "ex_text": exercise.text, "ex_as_exam": exam, "ex_pictures": [],
             "ex_limit": "" if exercise.limit_s is None else clock(exercise.limit_s),
             "ex_end": ENDS.get(exercise.kind, ""), "ex_ask": attempt.questions[0].text,
             "ex_find": exercise.kind == "view"}
        )  # fmt: skip
        self._show_hints(shown)

    def _show_hints(self, count: int) -> None:
        self.state.update({"ex_hints": list(self.hints[:count]), "ex_left": max(len(self.hints) - count, 0)})

    def _enter_theatre(self) -> None:
        self.state.update({"ex_on": True, "ex_open": True})
        self.visit.go("operate")

    async def _attempt(
        self, exercise: Exercise, bed: Bed, theatre: Theatre, seed: int, before: Session | None
    ) -> Attempt:
        house = self.visit.house
        plans: Mapping[Side, Plan] = {}
        if exercise.needs_plan:
            self.visit.tell("planning this patient, once on this machine: up to a minute")
            plans = await house.plans(bed)
        self.visit.tell("preparing the exercise")
        attempt = await house.worker.do(begin, exercise, theatre, seed, plans=plans, before=before)
        # The first question is made here: where this patient has none, that is said before anything is begun.
        await house.worker.do(lambda: attempt.questions[0])
        return attempt

    async def _before(self, key: str, theatre: Theatre) -> Session:
        """The session that was the first stage, as it ended."""
        house = self.visit.house
        first = await house.worker.do(house.tries.entry, key)
        header, events = await house.worker.do(house.history.log, first.session)
        return await house.worker.do(replayed, theatre, header, events)

    async def _pictures(self, attempt: Attempt, state: State, verdict: Verdict) -> None:
        """Two radiographs beside the verdict: this view and the true one, or inlet and outlet of what lies there."""
        arms, view = attempt.looks.arms, attempt.questions[0].view
        if attempt.exercise.kind == "view":
            wanted = [(f"your {view}", state.arm), (f"the true {view}", verdict.arm)]
        else:
            wanted = [(f"this patient's true {name}", arms.get(name)) for name in ("inlet", "outlet")]
        shown = [(words, arm) for words, arm in wanted if arm is not None]
        for monitor, (_, arm) in zip((self.left, self.right), shown, strict=False):
            monitor.show(await self.visit.house.worker.do(_radiograph, attempt.theatre, state, arm))
        self.state.ex_pictures = [words for words, _ in shown]

    def _exercise(self, name: str) -> Exercise:
        exercises = self.visit.house.exercises
        if name not in exercises:
            raise unknown_name("exercise", str(name)[:60], exercises)
        return exercises[name]

    def _stages(self, name: str) -> int:
        exercise = self.visit.house.exercises.get(name)
        return 1 if exercise is None else len(exercise.stages)


def _in_time(attempt: Attempt, session: Session, verdict: Verdict) -> Verdict:
    """The verdict on a view, by the operation's own clock too."""
    limit, took = attempt.exercise.limit_s, session.state.seconds
    if limit is None or took <= limit:
        return verdict
    late = f"It took {raised(took / 60.0, 0)} minutes; {limit / 60.0:.0f} pass."
    return replace(verdict, passed=False, words=(*verdict.words, late))


def _radiograph(theatre: Theatre, state: State, arm: MoveArm) -> Any:
    implants, pins = metal(state)
    shot = theatre.radiograph(pose(theatre, arm), implants, pins, "single-shot", np.random.default_rng(0))
    return grey_of(shot)


def _row(exercise: Exercise, so_far: Progress, second: bool) -> dict[str, Any]:
    """An exercise as the list shows it."""
    best = ""
    if so_far.best is not None:
        best = f"best {cut(so_far.best, 0)} {'' if so_far.unit == 'rating' else so_far.unit}".rstrip()
    passed = f"passed{f' {so_far.passes} times' if so_far.passes > 1 else ''}" if so_far.passes else ""
    tries = f"{so_far.tries} {'try' if so_far.tries == 1 else 'tries'}" if so_far.tries else ""
    return {
        "id": exercise.id,
        "title": exercise.title,
        "case": "" if exercise.case == ANY_CASE else exercise.case,
        "limit": "" if exercise.limit_s is None else f"{exercise.limit_s / 60.0:.0f} min",
        "passed": bool(so_far.passes),
        "done": ", ".join(filter(None, (passed, best, tries))),
        "button": "Second session" if second else "Begin",
    }
