"""The GL windows of one visitor: opened and closed in the worker's thread, and none left when they are gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from sjplan.app.worker import Worker


class Closes(Protocol):
    """What can be closed."""

    def close(self) -> None:
        """Let go of it."""


W = TypeVar("W", bound=Closes)


class Windows:
    """Who opens a window may be broken off before they have it in hand; here it is known all the same.

    Parameters
    ----------
    worker : Worker
        In whose thread windows live.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._open: list[Closes] = []
        self._shut = False

    def opened(self, make: Callable[[], W]) -> W | None:
        """A window, or None once the visit is over; call in the worker's thread."""
        if self._shut:
            return None
        window = make()
        self._open.append(window)
        return window

    def closed(self, window: Closes) -> None:
        """Close one, once; call in the worker's thread."""
        if any(one is window for one in self._open):
            self._open = [one for one in self._open if one is not window]
            window.close()

    async def open(self, make: Callable[[], W]) -> W | None:
        """A window, made in the worker's thread; None once the visit is over."""
        return await self._worker.do(self.opened, make)

    async def close(self, window: Closes | None) -> None:
        """Close one."""
        if window is not None:
            await self._worker.do(self.closed, window)

    async def close_all(self, *, for_good: bool = False) -> None:
        """Close all that are open by then, also those that nobody has in hand; for good, no other is opened."""

        def work() -> None:
            self._shut = self._shut or for_good
            for window in list(self._open):
                self.closed(window)

        await self._worker.do(work)
