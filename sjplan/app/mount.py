"""A trame server without a port of its own: its page, files and websocket are answered by our own door."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from trame_server import Server

from sjplan.core.errors import InputError

SOCKET: Final = "/ws"

HEART_BEAT_S: Final = 8
"""A page is asked so often whether it is still there, and given up when half as long goes by without an answer.

Whoever comes back after their line died in silence is let in after 12 seconds at most; trame's own take 45.
"""


class Mounted:
    """A server for one visitor.

    Parameters
    ----------
    name : str
        Of the server; nobody sees it.

    Attributes
    ----------
    server : Server
        For state, controller and widgets.
    secret : str
        What the page has to say to the websocket; random, in place of the public constant that is the default.
    """

    def __init__(self, name: str) -> None:
        self.server = Server(name, ws_heart_beat=HEART_BEAT_S)
        self.server.client_type = "vue3"
        self.secret = secrets.token_urlsafe(24)
        self._web: Any = None

    def open(self) -> None:
        """Make the server ready to answer; call once its page is built, in a running event loop.

        Raises
        ------
        InputError
            If the installed trame is put together in a way that this does not know.
        """
        # Without this the server would read our own command line.
        os.environ.setdefault("TRAME_ARGS", "--server")
        # Nothing large goes by this connection, and what is small is not worth packing sixty times a second.
        self.server.cli.set_defaults(authKey=self.secret, nowscompress=True)
        bound: list[Any] = []
        self.server.controller.on_server_bind.add(bound.append)
        listening = self.server.start(
            port=0, thread=True, open_browser=False, show_connection_info=False, disable_logging=True,
            backend="aiohttp", exec_mode="coroutine", timeout=0,
        )  # fmt: skip
        # It would open a port: we answer for it instead, and tell it that it is ready.
        listening.close()
        if not bound or self.server.protocol is None or self.server.protocol.secret != self.secret:
            raise InputError(
                "trame", found="a server that cannot be mounted", wanted="trame 4", fix="pip install 'sjplan[app]'"
            )
        self._web = bound[0]
        self._socket = next(r.handler for r in self._web.app.router.routes() if r.resource.canonical == SOCKET)
        self.files = _files(tuple(sorted(self._web.config["static"].items())))
        self.server.protocol.port_callback(0)

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Answer a request for the websocket until the page goes away."""
        answer: web.StreamResponse = await self._socket(request)
        return answer

    async def disconnect(self) -> None:
        """Close the websockets of all pages."""
        for handler in self._web._ws_handlers:
            await handler.disconnectClients()


@lru_cache(maxsize=8)
def _files(roots: tuple[tuple[str, str], ...]) -> Mapping[str, Path]:
    """Every file that belongs to the page, by the name that it is asked for: nothing else is ever opened."""
    found: dict[str, Path] = {}
    for route, folder in roots:
        prefix = route.strip("/")
        for path in Path(folder).rglob("*"):
            if path.is_file():
                name = path.relative_to(folder).as_posix()
                found.setdefault(f"{prefix}/{name}" if prefix else name, path)
    return found
