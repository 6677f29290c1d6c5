"""Questions behind their page: a picture is looked at, something is pointed at or judged, and the truth is shown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from sjplan.app.monitor import Monitor, grey_of
from sjplan.app.words import clock
from sjplan.core.arrays import Array
from sjplan.core.errors import SjplanError
from sjplan.render.fluoro import edge_letters
from sjplan.training.actions import MoveArm
from sjplan.training.exercise import Attempt, answer, overall
from sjplan.training.questions import InOrOut, PointAt, Question, Verdict, picture, shown_at
from sjplan.xray.carm import CArmGeometry

if TYPE_CHECKING:
    from sjplan.app.visit import Visit

SCREEN_PX: Final = 590
NO_VIEW: Final = "no view here"
"""Choice for what lies out and no view shows."""


class QuestionPage:
    """The questions of one exercise, one after another.

    State of the page begins with `qu_`: the question, the choices, the pointer, and what is said of the answer.
    """

    def __init__(self, visit: Visit) -> None:
        self.visit, self.state = visit, visit.state
        self.screen = Monitor(mouse=self._mouse)
        self.attempt: Attempt | None = None
        self.answers: list[PointAt | InOrOut] = []
        self.verdicts: list[Verdict] = []
        self._seconds, self._since = 0.0, 0.0
        self._drawn: tuple[Array, ...] = ()
        self.state.update(
            {"qu_text": "", "qu_count": "", "qu_kind": "", "qu_views": [], "qu_view": "", "qu_label": "",
             "qu_edges": {}, "qu_svg": "", "qu_across": 50.0, "qu_down": 50.0, "qu_pointed": False,
             "qu_told": [], "qu_right": False, "qu_last": False, "qu_clock": "0:00", "qu_busy": False}
        )  # fmt: skip

    async def begin(self, attempt: Attempt, answers: Sequence[PointAt | InOrOut], seconds: float = 0.0) -> None:
        """Ask the first question that has no answer yet; answers of before are told again by the same judge."""
        self.attempt, self.answers, self.verdicts = attempt, list(answers), []
        for number, given in enumerate(answers):
            self.visit.tell(f"looking up your answers: {number + 1} of {len(answers)}")
            self.verdicts.append(await self.visit.house.worker.do(answer, attempt, number, given))
        self._seconds, self._since = seconds, time.monotonic()
        self.visit.go("question")
        if len(self.answers) == len(attempt.questions):
            await self._end()
            return
        await self._ask()
        self.visit.soon(self._tick(attempt))

    async def look(self, view: str) -> None:
        """Look at one of the views that are offered."""
        question = self._question
        if question is not None and view in question.views:
            self.state.qu_view = view
            self._drawn = ()
            await self._show(question, question.views[view], view)

    def point(self, across: float, down: float) -> None:
        """Bring the pointer somewhere, in percent of the picture."""
        if self.state.qu_kind == "landmark" and not self.state.qu_told:
            self.state.update(
                {"qu_across": min(max(across, 0.0), 100.0), "qu_down": min(max(down, 0.0), 100.0), "qu_pointed": True}
            )
            self._draw()

    def nudge(self, across: float, down: float) -> None:
        """Move the pointer."""
        self.point(float(self.state.qu_across) + across, float(self.state.qu_down) + down)

    async def here(self) -> None:
        """Answer: what is asked for is where the pointer stands."""
        if self.state.qu_pointed:
            await self._answer(PointAt(float(self.state.qu_across) / 100.0, float(self.state.qu_down) / 100.0))

    async def judge(self, out: bool, view: str = "") -> None:
        """Answer: in bone, or out and shown by this view."""
        await self._answer(InOrOut(out, (None if view == NO_VIEW else view) if out else None))

    async def on(self) -> None:
        """Go on to the next question, or to the verdict."""
        assert self.attempt is not None
        if self.state.qu_busy or not self.state.qu_told:
            return
        if len(self.answers) == len(self.attempt.questions):
            await self._end()
        else:
            self._since = time.monotonic()
            await self._ask()

    async def drop(self) -> None:
        """Nobody is asked any more; answers stand in the history."""
        self.attempt, self.answers, self.verdicts, self._drawn = None, [], [], ()
        self.screen.clear()

    @property
    def _question(self) -> Question | None:
        number = len(self.answers) - bool(self.state.qu_told)
        return None if self.attempt is None else self.attempt.questions[number]

    async def _answer(self, given: PointAt | InOrOut) -> None:
        attempt, house = self.attempt, self.visit.house
        if attempt is None or self.state.qu_told or self.state.qu_busy:
            return
        self.state.qu_busy = True
        self.state.flush()
        try:
            number = len(self.answers)
            verdict = await house.worker.do(answer, attempt, number, given)
            self._seconds += time.monotonic() - self._since
            self.answers.append(given)
            self.verdicts.append(verdict)
            await house.worker.do(house.tries.answered, self.visit.exercise.tried, self.answers, self._seconds)
            last = len(self.answers) == len(attempt.questions)
            self.state.update({"qu_told": _reasons(verdict), "qu_right": verdict.passed, "qu_last": last})
            await self._show_truth(attempt.questions[number], verdict)
        except SjplanError as error:
            self.state.error = str(error)
        finally:
            self.state.qu_busy = False
            self.state.flush()

    async def _ask(self) -> None:
        attempt = self.attempt
        assert attempt is not None
        number = len(self.answers)
        self.visit.tell("taking the pictures")
        question = await self.visit.house.worker.do(attempt.questions.__getitem__, number)
        view = next(iter(question.views))
        self._drawn = ()
        self.state.update(
            {"qu_text": question.text, "qu_count": f"Question {number + 1} of {len(attempt.questions)}",
             "qu_kind": question.kind, "qu_views": list(question.views), "qu_view": view, "qu_told": [],
             "qu_pointed": False, "qu_across": 50.0, "qu_down": 50.0}
        )  # fmt: skip
        await self._show(question, question.arm, view)
        self._since = time.monotonic()

    async def _show(self, question: Question, arm: MoveArm, label: str) -> None:
        attempt = self.attempt
        assert attempt is not None
        # Each view of each question has noise of its own, and the same when it is looked at again.
        seed = attempt.seed + 97 * len(self.answers)
        shot = await self.visit.house.worker.do(picture, attempt.theatre, question, arm, seed=seed)
        self.screen.show(grey_of(shot))
        geometry = CArmGeometry.of(shot.carm, shot.detector)
        self.state.update({"qu_label": label, "qu_edges": edge_letters(shot, geometry, attempt.theatre.anatomy.frame)})
        self._draw()

    async def _show_truth(self, question: Question, verdict: Verdict) -> None:
        """The picture that tells, with what is drawn over it."""
        assert self.attempt is not None
        if verdict.drawn_lps_mm and verdict.arm is not None:
            arm, theatre = verdict.arm, self.attempt.theatre
            self._drawn = tuple(shown_at(theatre, arm, line) for line in verdict.drawn_lps_mm)
            self._draw()
        elif verdict.arm is not None:
            name = next((view for view, arm in question.views.items() if arm == verdict.arm), "")
            self.state.qu_view = name
            await self._show(question, verdict.arm, f"{name or 'another view'}: it shows it")

    def _draw(self) -> None:
        pointed = bool(self.state.qu_pointed) and self.state.qu_kind == "landmark"
        at = (float(self.state.qu_across), float(self.state.qu_down)) if pointed else None
        self.state.qu_svg = over(self._drawn, at)

    def _mouse(self, what: str, across: float, down: float) -> None:
        if what in ("press", "move"):
            with self.state:
                self.point(100.0 * across, 100.0 * down)

    async def _end(self) -> None:
        assert self.attempt is not None
        attempt, self.attempt = self.attempt, None
        whole = overall(attempt, self.verdicts, seconds=self._seconds)
        lines = [f"{n}. {_short(v)}" for n, v in enumerate(self.verdicts, 1)]
        told = Verdict(whole.passed, whole.value, whole.unit, (*whole.words, *lines))
        await self.visit.exercise.over(told)

    async def _tick(self, attempt: Attempt) -> None:
        """Show the trainee's clock while questions are asked; it stands while an answer is told."""
        while self.attempt is attempt and self.state.page == "question":
            running = 0.0 if self.state.qu_told else time.monotonic() - self._since
            now = clock(self._seconds + running)
            if now != self.state.qu_clock:
                self.state.qu_clock = now
                self.state.flush()
            await asyncio.sleep(0.5)


def over(lines: Sequence[Array], at: tuple[float, float] | None) -> str:
    """What is drawn over a picture, as SVG in percent of it: the truth dashed, the pointer a cross in a ring.

    Examples
    --------
    >>> over([], None)
    ''
    >>> "polyline" in over([np.array([[0.1, 0.2], [0.3, 0.4]])], None), "circle" in over([], (50.0, 50.0))
    (True, True)
    """
    parts = []
    for line in lines:
        points = " ".join(f"{100.0 * x:.2f},{100.0 * y:.2f}" for x, y in np.asarray(line))
        if len(line) == 1:
            x, y = 100.0 * line[0]
            parts.append(f'<circle class="truth" cx="{x:.2f}" cy="{y:.2f}" r="1.4"/>')
        else:
            parts.append(f'<polyline class="truth" points="{points}"/>')
    if at is not None:
        x, y = at
        cross = f"M{x - 2.4:.2f} {y:.2f}h4.8M{x:.2f} {y - 2.4:.2f}v4.8"
        parts.append(f'<circle class="pointer" cx="{x:.2f}" cy="{y:.2f}" r="1.5"/><path class="pointer" d="{cross}"/>')
    return f'<svg viewBox="0 0 100 100" aria-hidden="true">{"".join(parts)}</svg>' if parts else ""


def _short(verdict: Verdict) -> str:
    """One question's verdict in a line."""
    return f"{'✓' if verdict.passed else '✗'} {' '.join(_reasons(verdict)[:2])}"


def _reasons(verdict: Verdict) -> list[str]:
    """What is said of an answer, without what the page says by itself."""
    return [word for word in verdict.words if word not in ("Right.", "Not right.")]
