"""The one port that is open: lets visitors in, and hands each to a server of their own."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from html import escape
from typing import Final

from aiohttp import web

from sjplan import NOT_FOR_CLINICAL_USE
from sjplan.app.guard import Gate, Role, guard
from sjplan.app.house import House
from sjplan.app.upload import received, received_plan
from sjplan.app.visit import Visit
from sjplan.core.errors import SjplanError

MOST_VISITS: Final = 40
"""Visitors at once; each takes some 50 MB."""

IDLE_S: Final = 900.0
"""A visitor whose page has been gone for so long is forgotten; what they did stands in the history."""

HANDOVER_S: Final = 10.0
"""A tab that takes a visit over has so long to connect before the one that had it may come back (default)."""

SMALL: Final = 64 * 2**10
"""Bytes of a request that is no upload."""

COOKIE: Final = "sjplan"
WRONG_PASSWORD_S: Final = 1.0
"""A wrong password is answered no sooner."""


class Door:
    """Routes, and the visits that are going on.

    Parameters
    ----------
    house : House
        What visitors share.
    gate : Gate
        Who may come in.
    """

    def __init__(self, house: House, gate: Gate) -> None:
        self.house, self.gate = house, gate
        self.visits: dict[str, tuple[str, Visit]] = {}
        self.app = web.Application(middlewares=[guard(gate)], client_max_size=SMALL)
        self.app.add_routes(
            [
                web.get("/", self._arrive),
                web.post("/login", self._login),
                web.post("/leave", self._leave),
                web.get("/v/{visit}/ws", self._socket),
                web.get("/v/{visit}/pictures", self._pictures),
                web.get("/v/{visit}/alive", self._alive),
                web.get("/v/{visit}/download/{name}", self._download),
                web.post("/v/{visit}/upload", self._upload),
                web.post("/v/{visit}/plan", self._plan),
                web.get("/v/{visit}/{name:.*}", self._file),
            ]
        )
        self.app.on_shutdown.append(self._shut)

    async def _arrive(self, request: web.Request) -> web.StreamResponse:
        token = request.query.get("token")
        if token is not None:
            role = self.gate.role_of(token)
            if role is None or (role == "trainee" and self.gate.password is not None):
                return page(
                    "This address is not valid", "Open the address that <code>sjplan train</code> printed.", 403
                )
            return self._admitted(request, role)
        role = self._role(request)
        if role is None:
            if self.gate.password is not None:
                return page("sjplan trainer", LOGIN)
            return page("Who are you?", "Open the address that <code>sjplan train</code> printed: it holds a key.", 403)
        await self._forget_idle()
        if len(self.visits) >= MOST_VISITS:
            return page("The house is full", f"{MOST_VISITS} visitors are here already. Come back in a while.", 503)
        visit = Visit(self.house, role)
        visit.open()
        self.visits[visit.id] = (request.cookies[self._cookie(request)], visit)
        raise web.HTTPFound(f"/v/{visit.id}/index.html?secret={visit.mounted.secret}")

    async def _login(self, request: web.Request) -> web.StreamResponse:
        given = await request.post()
        if not self.gate.knows(str(given.get("password", ""))):
            await asyncio.sleep(WRONG_PASSWORD_S)
            return page("That password is wrong", LOGIN, 403)
        return self._admitted(request, "trainee")

    async def _leave(self, request: web.Request) -> web.StreamResponse:
        """Forget a guest, so that whoever sits down next comes in as who they are."""
        guest = request.cookies.get(self._cookie(request), "")
        self.gate.guests.pop(guest, None)
        for key in [key for key, (owner, _) in self.visits.items() if owner == guest]:
            await self.visits.pop(key)[1].close()
        answer = page("You have left", "Open an address that <code>sjplan train</code> printed to come in again.")
        answer.del_cookie(self._cookie(request), path="/")
        return answer

    def _admitted(self, request: web.Request, role: Role) -> web.StreamResponse:
        answer = web.HTTPFound("/")
        answer.set_cookie(self._cookie(request), self.gate.admit(role), httponly=True, samesite="Lax", path="/")
        raise answer

    async def _file(self, request: web.Request) -> web.StreamResponse:
        visit = self._visit(request)
        name = request.match_info["name"]
        if name == "index.html" and visit.connected:
            if "take" not in request.query:
                return page("Open in another tab", TAKE.format(address=escape(_with_take(request))), 409)
            visit.handed = time.monotonic()
            await visit.mounted.disconnect()
        if name == "index.html" and "secret" not in request.query:
            # The page takes it out of its address: loaded again, it has to be told once more.
            raise web.HTTPFound(f"index.html?secret={visit.mounted.secret}")
        path = visit.mounted.files.get(name)
        if path is None:
            raise web.HTTPNotFound(text="no such page\n")
        return web.FileResponse(path)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        visit = self._visit(request)
        if visit.connected:
            raise web.HTTPConflict(text="open in another tab\n")
        visit.connected += 1
        try:
            return await visit.mounted.connect(request)
        finally:
            visit.left()

    async def _pictures(self, request: web.Request) -> web.StreamResponse:
        visit = self._visit(request)
        if not visit.connected:
            raise web.HTTPConflict(text="no page is open\n")
        return await visit.pictures.connect(request)

    async def _alive(self, request: web.Request) -> web.StreamResponse:
        """Whether a visit is still there, and whether a page is connected to it."""
        visit = self._visit(request)
        taken = visit.connected or time.monotonic() - visit.handed < HANDOVER_S
        return web.Response(text="taken" if taken else "free")

    async def _download(self, request: web.Request) -> web.StreamResponse:
        download = self._visit(request).downloads.get(request.match_info["name"])
        if download is None:
            raise web.HTTPNotFound(text="no such file\n")
        try:
            body = await download.make()
        except SjplanError as error:
            raise web.HTTPConflict(text=f"{error}\n") from None
        headers = {"Content-Disposition": f'attachment; filename="{download.name}"'}
        return web.Response(body=body, content_type=download.kind, headers=headers)

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        visit = self._visit(request)
        try:
            bed = await received(request, self.house)
        except SjplanError as error:
            visit.state.error = str(error)
        else:
            visit.bring(bed)
        visit.soon(visit.start.refresh())
        raise web.HTTPSeeOther(f"index.html?secret={visit.mounted.secret}&take=1")

    async def _plan(self, request: web.Request) -> web.StreamResponse:
        visit = self._visit(request)
        try:
            visit.planning.keeping.take(await received_plan(request, self.house))
            visit.planning.say("Opened the file. Undo brings back what was here.", "good")
        except SjplanError as error:
            visit.state.error = str(error)
        raise web.HTTPSeeOther(f"index.html?secret={visit.mounted.secret}&take=1")

    def _visit(self, request: web.Request) -> Visit:
        """The visit that is asked for, if it is this guest's."""
        owner, visit = self.visits.get(request.match_info["visit"], ("", None))
        if self._role(request) is None or visit is None or owner != request.cookies.get(self._cookie(request)):
            raise web.HTTPForbidden(text="This visit is over, or not yours. Go to the first page.\n")
        return visit

    def _role(self, request: web.Request) -> Role | None:
        return self.gate.guests.get(request.cookies.get(self._cookie(request), ""))

    def _cookie(self, request: web.Request) -> str:
        """Cookies know no ports: two trainers on one machine need two names."""
        port = request.host.rpartition(":")[2]
        return f"{COOKIE}_{port}" if port.isdigit() else COOKIE

    async def _forget_idle(self) -> None:
        old = time.monotonic() - IDLE_S
        for key, (_, visit) in list(self.visits.items()):
            if not visit.connected and visit.seen < old:
                del self.visits[key]
                await visit.close()

    async def _shut(self, _app: web.Application) -> None:
        for _owner, visit in self.visits.values():
            with contextlib.suppress(Exception):
                await visit.close()
        self.visits.clear()


LOGIN: Final = (
    '<form method="post" action="/login"><label>Password <input type="password" name="password" autofocus '
    'autocomplete="current-password"></label> <button>Come in</button></form>'
)
TAKE: Final = (
    "<p>This rehearsal goes on in another tab or window. Nothing is lost: go back there, or "
    '<a href="{address}">use it here</a> and let the other one go.</p>'
)


def page(title: str, body: str, status: int = 200) -> web.Response:
    """A plain page."""
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>body{{background:#11161b;color:#e6e6e6;font:16px/1.5 system-ui,"
        f"sans-serif;max-width:40rem;margin:15vh auto;padding:0 1rem}}a{{color:#7fc7ff}}input,button{{font:inherit;"
        f"padding:.3rem .6rem}}</style><h1>{escape(title)}</h1>{body}<p><small>{escape(NOT_FOR_CLINICAL_USE)}</small>"
    )
    return web.Response(text=text, content_type="text/html", status=status)


def _with_take(request: web.Request) -> str:
    return str(request.rel_url.update_query(take="1"))


async def serve(door: Door, host: str, port: int, ready: Callable[[str, int], None]) -> None:
    """Listen until cancelled; says on which address and port once it does."""
    runner = web.AppRunner(door.app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        ready(host, runner.addresses[0][1])
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
        door.house.close()
