"""The first page: who you are, what you did, which patients there are."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from sjplan.app.operate import sides_of
from sjplan.app.plots import curve_svg
from sjplan.core.errors import InputError
from sjplan.core.shown import cut
from sjplan.training.curves import learning_curve
from sjplan.training.history import CODE, Entry
from sjplan.training.session import Session
from sjplan.training.tries import Try

if TYPE_CHECKING:
    from sjplan.app.visit import Visit

MOST_LINES: Final = 12
"""So much of what one did is listed, the newest first."""


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
        tries = await self.visit.exercise.refresh()
        titles = {name: exercise.title for name, exercise in self.visit.house.exercises.items()}
        done = {one.session: one for one in tries if one.session}
        lines = [_line(entry, done.get(entry.id), titles) for entry in entries]
        lines += [_asked(one, titles) for one in tries if not one.session]
        if user != str(self.state.user):
            return  # Somebody else has said who they are meanwhile, and is looked up by themselves.
        self.state.mine = sorted(lines, key=lambda line: str(line["at"]), reverse=True)[:MOST_LINES]
        own, _ = await self.visit.house.attempts(user) if user else ([], [])
        if user != str(self.state.user):
            return
        curve = learning_curve(own, "rating")
        self.state.my_curve = curve_svg(curve, 400.0, 170.0) if curve.values else ""
        self.state.my_trend = curve.trend.words(curve.measure)

    async def sign_in(self, user: str) -> None:
        """Take a name or a code; of whoever was here before, nothing stays.

        Raises
        ------
        InputError
            For what is no name, and while an operation of the one before is being rated.
        """
        name, before = user.strip(), str(self.state.user)
        if not CODE.fullmatch(name):
            raise InputError("name or code", found=repr(name[:40]), wanted="1 to 60 letters, digits, . @ + -")
        if before not in ("", name):
            await self.visit.hand_over()
        self.visit.brought[name] = self.visit.brought.pop("", {}) | self.visit.brought.get(name, {})
        self.state.update({"user": name, "error": ""})
        await self.refresh()

    async def operate(self, bed: str, side: str) -> None:
        """Begin an operation without an exercise."""
        user, house, chosen = self.who(), self.visit.house, self.visit.bed(bed)
        session = Session(await house.theatre(chosen, self.visit.tell), secrets.randbits(31))
        recorded = await house.worker.do(house.history.begin, user, session)
        self.visit.exercise.clear()
        await self.visit.operate.begin(recorded, chosen, sides_of(side))
        self.visit.go("operate")

    async def plan(self, bed: str, side: str) -> None:
        """Lay a plan on a patient by hand."""
        await self.visit.planning.begin(self.visit.bed(bed), side)
        self.visit.go("plan")

    async def resume(self, key: str) -> None:
        """Go on with a session where it stood."""
        house, exercises = self.visit.house, self.visit.house.exercises
        tries = await house.worker.do(house.tries.entries, self.who())
        one = next((one for one in tries if key in (one.id, one.session)), None)
        if one is not None and (one.exercise in exercises or not one.session):
            await self.visit.exercise.resume(one)
            return
        entry = await self._entry(key)
        bed = self.visit.bed(entry.case)
        theatre = await house.theatre(bed, self.visit.tell)
        self.visit.tell("replaying what was done")
        recorded = await house.worker.do(house.history.resume, key, theatre)
        self.visit.exercise.clear()
        await self.visit.operate.begin(recorded, bed, sides_of("both"))
        self.visit.go("operate")

    async def debrief(self, key: str) -> None:
        """Tell one of this person's sessions again."""
        entry = await self._entry(key)
        if not entry.ended:
            raise InputError("session", found="one that goes on", wanted="one that is over", fix="go on with it first")
        await self.visit.debrief.open_entry(entry)

    async def _entry(self, key: str) -> Entry:
        """One of this person's sessions; nobody else's."""
        entries = await self.visit.house.worker.do(self.visit.house.history.entries, self.who())
        for entry in entries:
            if entry.id == key:
                return entry
        raise InputError("session", found=repr(key[:40]), wanted="one of your own sessions")

    def who(self) -> str:
        """The person who is here.

        Raises
        ------
        InputError
            If nobody has said who they are.
        """
        user = str(self.state.user)
        if not user:
            raise InputError("name or code", found="none", wanted="who you are: say it at the top of the page")
        return user


def _line(entry: Entry, one: Try | None, titles: Mapping[str, str]) -> dict[str, Any]:
    """A session as the page lists it."""
    rating = "" if entry.rating is None else cut(entry.rating, 0)
    state = f"goes on ({entry.events} steps)" if not entry.ended else rating or ("" if one else "no score")
    return _row(entry.id, entry.begun, titles.get(entry.exercise, entry.exercise) or entry.case, state, one) | {
        "open": not entry.ended, "session": True,
    }  # fmt: skip


def _asked(one: Try, titles: Mapping[str, str]) -> dict[str, Any]:
    """Questions as the page lists them."""
    state = f"{cut(one.value, 0)} {one.unit}" if one.value is not None else f"goes on ({len(one.answers)} answered)"
    return _row(one.id, one.begun, titles.get(one.exercise, one.exercise), state, one) | {
        "open": not one.ended and one.exercise in titles, "session": False,
    }  # fmt: skip


def _row(key: str, begun: str, what: str, state: str, one: Try | None) -> dict[str, Any]:
    passed = None if one is None else one.passed
    said = "" if passed is None else "✓ passed" if passed else "✗ not passed"
    exam = ", exam" if one is not None and one.exam else ""
    return {"id": key, "at": begun, "begun": begun[:16].replace("T", " "), "what": what + exam,
            "state": ", ".join(filter(None, (said, state)))}  # fmt: skip
