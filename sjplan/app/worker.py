"""The one thread in which everything heavy is done: kernels, pictures and the history are used by one at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypeVar

import numba

T = TypeVar("T")
LOG: Final = logging.getLogger("sjplan.app")


class Worker:
    """Does calls one after another, off the event loop.

    Compiled kernels use all cores by themselves, GL wants to be called from one thread, and so does SQLite: a second
    thread would gain nothing.

    Attributes
    ----------
    waiting : int
        Calls that are being done or wait for it.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="sjplan")
        self.waiting = 0

    async def do(self, call: Callable[..., T], *args: Any, **named: Any) -> T:
        """What a call gives, once its turn has come."""
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, partial(_called, call, *args, **named))
        finally:
            self.waiting -= 1

    def close(self) -> None:
        """Wait for what is being done, and stop."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _called(call: Callable[..., T], *args: Any, **named: Any) -> T:
    """Call; a StopIteration would never reach who waits for it."""
    try:
        return call(*args, **named)
    except StopIteration as error:
        raise RuntimeError("what was looked for is not there") from error


@contextmanager
def one_thread() -> Iterator[None]:
    """Kernels use one core within: a small picture is there sooner than a second core is free of the browser."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(before)


class Latest:
    """Runs a coroutine again and again for the newest request only: what was overtaken is never done.

    Parameters
    ----------
    draw : coroutine function
        Does the newest thing; called without arguments, it looks up what that is.
    pause_s : float
        Waits so long after each drawing before the next: what matters less leaves the worker to what matters more.
    """

    def __init__(self, draw: Callable[[], Awaitable[None]], pause_s: float = 0.0) -> None:
        self._draw, self._pause_s, self._wanted, self._task = draw, pause_s, False, None

    _task: asyncio.Task[None] | None

    def ask(self) -> None:
        """Want a drawing of how things are now."""
        self._wanted = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def settled(self) -> None:
        """Wait until everything that was asked for has been drawn."""
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while self._wanted:
            self._wanted = False
            try:
                await self._draw()
            except Exception:
                LOG.exception("a picture could not be drawn")
                return
            await asyncio.sleep(self._pause_s)
