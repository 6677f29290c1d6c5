"""Who may come in: a token or a password, a cookie, and requests that come from our own pages under our own name."""

from __future__ import annotations

import hmac
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sjplan.core.errors import InputError

Role = Literal["trainee", "instructor"]

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Names of this machine that no stranger's page can stand behind."""

LEAST_PASSWORD: Final = 12
"""Letters of a password; below that a machine guesses it over a network in days."""

MOST_GUESSES: Final = 30
"""Wrong passwords before the door stays shut until the program is started anew."""

MOST_GUESTS: Final = 500
"""Cookies that are remembered; the oldest is forgotten."""

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'; connect-src 'self' ws: wss:; worker-src 'self' blob:; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""On every answer. A page that sends no referrer at all would send its forms from the origin "null", which is nobody's:
they would be refused. Scripts may be inline and evaluated: the page's templates are compiled in the browser."""


@dataclass(slots=True)
class Gate:
    """Keys to the door, and who has come through it.

    Parameters
    ----------
    tokens : mapping of role to str
        What an address has to carry; without a password this is how one comes in.
    hosts : frozenset of str
        Names that a request may call us by.
    password : str, optional
        Asked for in place of the trainee's token.

    Examples
    --------
    >>> gate = Gate.new()
    >>> gate.role_of("a guess") is None, gate.role_of(gate.tokens["trainee"])
    (True, 'trainee')
    """

    tokens: Mapping[Role, str]
    hosts: frozenset[str] = LOOPBACK
    password: str | None = None
    guests: dict[str, Role] = field(default_factory=dict)
    guesses: int = 0

    @classmethod
    def new(cls, hosts: frozenset[str] = LOOPBACK, password: str | None = None) -> Gate:
        """A gate with fresh random tokens."""
        roles: tuple[Role, ...] = ("trainee", "instructor")
        return cls({role: secrets.token_urlsafe(24) for role in roles}, hosts, password)

    def role_of(self, token: str) -> Role | None:
        """Whose token it is; None for anything else, the empty one too."""
        found: Role | None = None
        for role, own in self.tokens.items():
            if hmac.compare_digest(token.encode(), own.encode()):
                found = role
        return found

    def knows(self, password: str) -> bool:
        """Whether a password is right; after too many wrong ones, none is."""
        if self.password is None or self.guesses >= MOST_GUESSES:
            return False
        right = hmac.compare_digest(password.encode(), self.password.encode())
        self.guesses += not right
        return right

    def admit(self, role: Role) -> str:
        """A cookie's value for a guest who has shown a key."""
        value = secrets.token_urlsafe(24)
        self.guests[value] = role
        while len(self.guests) > MOST_GUESTS:
            del self.guests[next(iter(self.guests))]
        return value

    def refusal(self, request: web.Request) -> str | None:
        """Why a request is refused for where it comes from; None if it may go on.

        A page of somebody else can make a browser send requests here: it cannot choose their Host and Origin.
        """
        host = request.headers.get("Host", "")
        if _name(host) not in self.hosts:
            return "this address is not one that sjplan was started for"
        origin = request.headers.get("Origin")
        own = (f"http://{host}", f"https://{host}")
        if origin is not None and origin not in own:
            return "the request comes from another page"
        needs_origin = (
            request.method not in ("GET", "HEAD") or "upgrade" in request.headers.get("Connection", "").lower()
        )
        return "the request does not say which page it comes from" if needs_origin and origin is None else None


def guard(gate: Gate) -> Middleware:
    """Middleware that refuses by `Gate.refusal` and puts `HEADERS` on every answer."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        reason = gate.refusal(request)
        if reason is not None:
            answer: web.StreamResponse = web.Response(status=403, text=f"Refused: {reason}.\n")
        else:
            try:
                answer = await handler(request)
            except web.HTTPException as refused:
                refused.headers.update(HEADERS)
                raise
        if not answer.prepared:
            answer.headers.update(HEADERS)
        return answer

    return middleware


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()


def read_password(path: str | Path) -> str:
    """The password in a file: its only line.

    Raises
    ------
    InputError
        For a file that cannot be read, that others may read, or whose password is short.
    """
    file = Path(path)
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(path), found=f"not readable ({error})", wanted="a file with one password") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InputError(
            str(path), found="a password that others on this machine can read", wanted="a file of your own",
            fix=f"chmod 600 {file.name}",
        )  # fmt: skip
    password = text.strip()
    if len(password) < LEAST_PASSWORD or "\n" in password:
        wanted = f"one line of at least {LEAST_PASSWORD} letters"
        raise InputError(str(path), found=f"{len(password)} letters", wanted=wanted)
    return password
