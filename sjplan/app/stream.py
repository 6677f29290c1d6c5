"""How pictures get to the page: pixel by pixel, on a connection of their own, and no faster than it takes them.

A browser decodes a JPEG in its own time and leaves out what it has no time for; bare pixels are on the screen with the
next refresh, and grey ones are a byte each. What goes by the page's own connection is packed, unpacked and answered
several times over, and would queue without end on a slow line. Here the page says of every picture that it has drawn
it; until then the newest one waits, and what it has overtaken is never sent.
"""

from __future__ import annotations

import asyncio
import struct
from functools import partial
from typing import Final

import numpy as np
from aiohttp import WSCloseCode, web
from numpy.typing import NDArray

from sjplan.app.monitor import Monitor

AHEAD: Final = 2
"""Pictures on their way to a page at once: one travels while the one before is drawn."""

HEARTBEAT_S: Final = 20.0
HEAD: Final = struct.Struct("<BBHH")
"""Length of the screen's name, bytes a pixel, width and height; then the name and the pixels."""


class Pictures:
    """The screens of one visit, and what their page has still to be shown."""

    def __init__(self) -> None:
        self._screens: dict[str, Monitor] = {}
        self._fresh: dict[str, None] = {}
        self._socket: web.WebSocketResponse | None = None
        self._wake = asyncio.Event()

    def add(self, name: str, monitor: Monitor) -> None:
        """Show a monitor on the canvas whose id is the name and `_picture`."""
        self._screens[name] = monitor
        monitor.changed = partial(self._show, name)

    def _show(self, name: str) -> None:
        if self._socket is not None:
            self._screens[name].taken.clear()
        self._fresh[name] = None
        self._wake.set()

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Send pictures to a page until it goes away; one that was connected before gives way."""
        socket = web.WebSocketResponse(compress=False, heartbeat=HEARTBEAT_S, max_msg_size=64)
        await socket.prepare(request)
        before, self._socket, self._wake = self._socket, socket, asyncio.Event()
        if before is not None:
            await before.close()
        for name in self._screens:
            self._show(name)
        room = asyncio.Semaphore(AHEAD)
        sending = asyncio.get_running_loop().create_task(self._send(socket, self._wake, room))
        try:
            async for _drawn in socket:
                room.release()
        finally:
            sending.cancel()
            if self._socket is socket:
                self._socket = None
                for monitor in self._screens.values():
                    monitor.taken.set()
        return socket

    async def close(self) -> None:
        """Let the page's connection go: what waits for its end would wait for the page."""
        if self._socket is not None:
            await self._socket.close(code=WSCloseCode.GOING_AWAY)

    async def _send(self, socket: web.WebSocketResponse, wake: asyncio.Event, room: asyncio.Semaphore) -> None:
        while not socket.closed:
            await room.acquire()
            while not self._fresh:
                wake.clear()
                await wake.wait()
            name = next(iter(self._fresh))
            del self._fresh[name]
            monitor = self._screens[name]
            monitor.taken.set()
            await socket.send_bytes(packed(name, monitor.image))


def packed(name: str, image: NDArray[np.uint8]) -> bytes:
    r"""A picture as it travels.

    Examples
    --------
    >>> packed("live", np.full((1, 2), 7, np.uint8))
    b'\x04\x01\x02\x00\x01\x00live\x07\x07'
    """
    word, (rows, columns) = name.encode(), image.shape[:2]
    return HEAD.pack(len(word), image.size // (rows * columns), columns, rows) + word + image.tobytes()
