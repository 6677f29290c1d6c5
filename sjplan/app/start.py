"""The first page: who you are, what you did, which patients there are."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from sjplan.app.operate import sides_of
from sjplan.app.plots import curve_svg
from sjplan.core.errors import InputError
from sjplan.training.curves import learning_curve
from sjplan.training.history import CODE, Entry
from sjplan.training.session import Session

if TYPE_CHECKING:
    from sjplan.app.visit import Visit


class StartPage:
    """Choosing.

    State of the page: `beds`, `mine` (sessions of this person), `choice` (case, side).
    """

    def __init__(self, visit: Visit) -> None:
        self.visit, self.state = visit, visit.state
        self.state.update(
            {"beds": [], "bed": next(iter(visit.house.beds), ""), "side": "left", "mine": [], "my_curve": "",
             "my_trend": ""}
        )  # fmt: skip

    async def refresh(self) -> None:
        """Look up which patients there are, and what this person has done."""
        self.state.beds = [{"id": b.id, "title": b.title, "note": b.note} for b in self.visit.beds.values()]
        user = str(self.state.user)
        entries = await self.visit.house.worker.do(self.visit.house.history.entries, user) if user else []
        self.state.mine = [_line(entry) for entry in reversed(entries)][:12]
        own, _ = await self.visit.house.attempts(user) if user else ([], [])
        curve = learning_curve(own, "rating")
        self.state.my_curve = curve_svg(curve, 400.0, 170.0) if curve.values else ""
        self.state.my_trend = curve.trend.words(curve.measure)

    async def sign_in(self, user: str) -> None:
        """Take a name or a code."""
        name = user.strip()
        if not CODE.fullmatch(name):
            raise InputError("name or code", found=repr(name[:40]), wanted="1 to 60 letters, digits, . @ + -")
        self.state.update({"user": name, "error": ""})
        await self.refresh()

    async def operate(self, bed: str, side: str) -> None:
        """Begin an operation without an exercise."""
        user, house, chosen = self._user(), self.visit.house, self.visit.bed(bed)
        session = Session(await house.theatre(chosen, self.visit.tell), secrets.randbits(31))
        recorded = await house.worker.do(house.history.begin, user, session)
        await self.visit.operate.begin(recorded, chosen, sides_of(side))
        self.visit.go("operate")

    async def resume(self, key: str) -> None:
        """Go on with a session where it stood."""
        house, entry = self.visit.house, await self._entry(key)
        bed = self.visit.bed(entry.case)
        theatre = await house.theatre(bed, self.visit.tell)
        self.visit.tell("replaying what was done")
        recorded = await house.worker.do(house.history.resume, key, theatre)
        await self.visit.operate.begin(recorded, bed, sides_of("both"))
        self.visit.go("operate")

    async def debrief(self, key: str) -> None:
        """Tell one of this person's sessions again."""
        await self.visit.debrief.open_entry(await self._entry(key))

    async def _entry(self, key: str) -> Entry:
        """One of this person's sessions; nobody else's."""
        entries = await self.visit.house.worker.do(self.visit.house.history.entries, self._user())
        for entry in entries:
            if entry.id == key:
                return entry
        raise InputError("session", found=repr(key[:40]), wanted="one of your own sessions")

    def _user(self) -> str:
        user = str(self.state.user)
        if not user:
            raise InputError("name or code", found="none", wanted="who you are: say it at the top of the page")
        return user


def _line(entry: Entry) -> dict[str, Any]:
    """A session as the page lists it."""
    rating = "no score" if entry.rating is None else f"{entry.rating:.0f}"
    return {
        "id": entry.id,
        "begun": entry.begun[:16].replace("T", " "),
        "what": entry.exercise or entry.case,
        "state": rating if entry.ended else f"goes on ({entry.events} steps)",
        "open": not entry.ended,
    }
