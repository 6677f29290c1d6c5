"""One visitor: a server, a state and pages of their own, so that nothing of one person is seen by another."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
from collections.abc import Coroutine
from copy import deepcopy
from typing import Any, Final

from sjplan.app.course import CoursePage
from sjplan.app.debrief import DebriefPage
from sjplan.app.exercise import ExercisePage
from sjplan.app.guard import Role
from sjplan.app.house import Bed, House
from sjplan.app.making import Download
from sjplan.app.mount import Mounted
from sjplan.app.operate import OperatePage
from sjplan.app.planning import PlanningPage
from sjplan.app.question import QuestionPage
from sjplan.app.start import StartPage
from sjplan.app.stream import Pictures
from sjplan.app.windows import Windows
from sjplan.core.errors import InputError, SjplanError, unknown_name

LOG: Final = logging.getLogger("sjplan.app")

COMMON: Final = ("user", "role", "page", "wait", "error", "said", "making")
"""What no page of its own has in the state; all else is blank again when somebody else sits down."""


class Visit:
    """Composition of one visitor's pages.

    Parameters
    ----------
    house : House
        What is shared.
    role : {"trainee", "instructor"}
        What they may see.
    """

    def __init__(self, house: House, role: Role) -> None:
        self.house, self.role = house, role
        self.id = secrets.token_urlsafe(12)
        self.mounted = Mounted(self.id)
        self.pictures = Pictures()
        self.state: Any = self.mounted.server.state
        self.downloads: dict[str, Download] = {}
        self.windows = Windows(house.worker)
        self.brought: dict[str, dict[str, Bed]] = {}
        self.seen = time.monotonic()
        self.connected = 0
        self.ending = False
        self.handed = -math.inf
        self._tasks: set[asyncio.Task[None]] = set()
        self.state.update(
            {"trame__title": "sjplan trainer", "page": "start", "user": "", "role": role, "wait": "", "error": "",
             "said": "", "making": ""}
        )  # fmt: skip
        self.operate = OperatePage(self)
        self.debrief = DebriefPage(self)
        self.planning = PlanningPage(self)
        self.exercise = ExercisePage(self)
        self.question = QuestionPage(self)
        self.start = StartPage(self)
        self._blank = {k: deepcopy(v) for k, v in self.state.initial.items() if k not in COMMON}
        self.course = CoursePage(self) if role == "instructor" else None
        self.downloads["plan.json"] = Download(
            "plan.json", "application/json", lambda: house.worker.do(self.planning.keeping.download)
        )

    @property
    def beds(self) -> dict[str, Bed]:
        """Patients that this visitor may choose: those that they brought first."""
        return {**self.brought.get(str(self.state.user), {}), **self.house.beds}

    def bring(self, bed: Bed) -> None:
        """Take in a patient of this visitor's own."""
        self.brought.setdefault(str(self.state.user), {})[bed.id] = bed
        self.state.bed = bed.id

    def bed(self, name: str) -> Bed:
        """A patient by id.

        Raises
        ------
        UnknownNameError
            For any other.
        """
        if name not in self.beds:
            raise unknown_name("case", name[:60], self.beds)
        return self.beds[name]

    def open(self) -> None:
        """Build the page and be ready for the browser."""
        from sjplan.app.layout import build

        self._layout = build(self)
        self.mounted.open()
        self.soon(self.start.refresh())
        if self.course is not None:
            self.state.page = "course"
            self.soon(self.course.refresh())

    def soon(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do something off the present call, show what it changed, and say in words what went wrong."""
        task = asyncio.get_running_loop().create_task(self._shown(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())  # It may be broken off before it has begun.

    async def _shown(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except SjplanError as error:
            self.state.error = str(error)
        except Exception as error:
            LOG.exception("a page failed")
            self.state.error = f"unexpected {type(error).__name__}: nothing that was done is lost; go on, or reload"
        finally:
            self.state.wait = ""
            self.state.flush()

    def tell(self, text: str) -> None:
        """Say what is being waited for."""
        self.state.wait = text
        self.state.flush()

    def go(self, page: str) -> None:
        """Turn to another page; not while an operation is being rated."""
        if self.ending and page not in ("debrief", "verdict"):
            self.state.error = "The operation is being rated: a moment, then its page comes."
            return
        if page != "debrief" and self.debrief.retelling is not None:
            self.soon(self.debrief.close())
        self.state.update({"page": page, "error": "", "said": ""})
        if page == "start":
            self.soon(self.start.refresh())

    def left(self) -> None:
        """The page is gone; whoever comes back finds everything as it stood."""
        self.connected -= 1
        self.seen = time.monotonic()
        self.soon(self.operate.let_go())

    async def hand_over(self) -> None:
        """Somebody else sits down: what is under way for the one before is broken off, and nothing of it stays here.

        What was done stands in the history, and drafts of plans wait for whoever laid them.

        Raises
        ------
        InputError
            While an operation is being rated.
        """
        if self.ending:
            raise InputError("name or code", found="another, while an operation is being rated", wanted="a moment more")
        await self.operate.let_go()
        await self._break_off()
        for one in (self.operate, self.debrief, self.planning, self.exercise, self.question):
            await one.drop()
        await self.windows.close_all()
        self.state.update({**deepcopy(self._blank), "page": "start", "wait": "", "said": ""})

    async def _break_off(self) -> None:
        """Give up all that is being done, but for what asks for this."""
        under_way = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def finish(self) -> None:
        """End the operation, rate it, and turn to its debrief; to the first page where that cannot be shown.

        Of an exercise the verdict comes first.
        """
        if self.ending:
            return
        self.ending = True
        try:
            if self.exercise.attempt is not None:
                await self.exercise.finish()
            else:
                await self._rate()
        finally:
            self.ending = False

    async def _rate(self) -> None:
        if not await self.operate.finish():
            return
        said = await self.operate.rate(self.tell)
        await self.start.refresh()
        try:
            await self.operate.tell(self.debrief)
        except Exception:
            self.ending = False
            self.go("start")
            raise
        finally:
            self.state.said = "" if self.page_tells else said

    @property
    def page_tells(self) -> bool:
        """Whether the page itself says how the operation went."""
        return self.state.page == "debrief" and self.operate.sheet is not None

    async def close(self) -> None:
        """Let go of everything; sessions stand in the history."""
        await self._break_off()
        await self.operate.close()
        await self.debrief.close()
        await self.planning.close()
        await self.windows.close_all(for_good=True)
        await self.pictures.close()
        await self.mounted.disconnect()
