"""One visitor: a server, a state and pages of their own, so that nothing of one person is seen by another."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from sjplan.app.course import CoursePage
from sjplan.app.debrief import DebriefPage
from sjplan.app.exercise import ExercisePage
from sjplan.app.guard import Role
from sjplan.app.house import Bed, House
from sjplan.app.mount import Mounted
from sjplan.app.operate import OperatePage
from sjplan.app.planning import PlanningPage
from sjplan.app.question import QuestionPage
from sjplan.app.start import StartPage
from sjplan.core.errors import SjplanError, unknown_name

LOG: Final = logging.getLogger("sjplan.app")


@dataclass(frozen=True, slots=True)
class Download:
    """A file that a visitor may fetch: made when it is asked for, after what has to be done `before` bit by bit."""

    name: str
    kind: str
    make: Callable[[], bytes]
    before: Callable[[], Awaitable[None]] | None = None


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
        self.state: Any = self.mounted.server.state
        self.downloads: dict[str, Download] = {}
        self.own_beds: dict[str, Bed] = {}
        self.seen = time.monotonic()
        self.connected = 0
        self.ending = False
        self.handed = -math.inf
        self._tasks: set[asyncio.Task[None]] = set()
        self.state.update(
            {"trame__title": "sjplan trainer", "page": "start", "user": "", "role": role, "wait": "", "error": "",
             "said": ""}
        )  # fmt: skip
        self.operate = OperatePage(self)
        self.debrief = DebriefPage(self)
        self.planning = PlanningPage(self)
        self.exercise = ExercisePage(self)
        self.question = QuestionPage(self)
        self.start = StartPage(self)
        self.course = CoursePage(self) if role == "instructor" else None
        self.downloads["plan.json"] = Download("plan.json", "application/json", self.planning.keeping.download)

    @property
    def beds(self) -> dict[str, Bed]:
        """Patients that this visitor may choose: brought ones first."""
        return {**self.own_beds, **self.house.beds}

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
        for task in list(self._tasks):
            task.cancel()
        await self.operate.close()
        await self.debrief.close()
        await self.planning.close()
        await self.mounted.disconnect()
