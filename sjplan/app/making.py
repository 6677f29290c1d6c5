"""Files that take long to make: bit by bit, so that nobody who operates waits for them, and the page says how far."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sjplan.core.errors import InputError

if TYPE_CHECKING:
    from sjplan.app.visit import Visit


@dataclass(frozen=True, slots=True)
class Download:
    """A file that a visitor may fetch; it is made when it is asked for.

    Parameters
    ----------
    name, kind : str
        Of the file, and its media type.
    make : coroutine function
        Gives its bytes; what it has the worker do are short pieces.
    """

    name: str
    kind: str
    make: Callable[[], Awaitable[bytes]]


class Making:
    """One file, made once however often it is asked for.

    Parameters
    ----------
    visit : Visit
        On whose page it is said how far it has come, as `making`.
    what : str
        It is.
    work : coroutine function
        Makes it; called with what is to be called with how many pieces are done, and of how many.
    """

    def __init__(
        self, visit: Visit, what: str, work: Callable[[Callable[[int, int], None]], Coroutine[Any, Any, bytes]]
    ) -> None:
        self._visit, self._what, self._work = visit, what, work
        self._task: asyncio.Task[bytes] | None = None

    async def made(self) -> bytes:
        """Its bytes.

        Raises
        ------
        InputError
            If it was stopped meanwhile.
        """
        if self._task is None or (self._task.done() and (self._task.cancelled() or self._task.exception())):
            self._task = asyncio.get_running_loop().create_task(self._run())
        task = self._task
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
            raise InputError(self._what, found="a page that was left", wanted="one that is open") from None

    def stop(self) -> None:
        """Make no more of it."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> bytes:
        try:
            return await self._work(self._tell)
        finally:
            self._say("")

    def _tell(self, done: int, whole: int) -> None:
        self._say(f"{self._what} is being made: {done} of {whole}")

    def _say(self, text: str) -> None:
        self._visit.state.making = text
        self._visit.state.flush()
