"""A course behind its page: who has practised how often and how well, and everything of one person."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from sjplan.app.making import Download, Making
from sjplan.app.plots import course_svg, curve_svg
from sjplan.core.errors import InputError
from sjplan.core.shown import cut, raised
from sjplan.training.curves import LEAST_ATTEMPTS, MEASURES, Attempt, Learner, Trend, learner, learning_curve
from sjplan.training.exports import Format, audit_text
from sjplan.training.history import Entry
from sjplan.training.sheet_words import complication_rows

if TYPE_CHECKING:
    from sjplan.app.visit import Visit

COLUMNS: Final[Mapping[str, str]] = {
    "user": "Person",
    "attempts": "Sessions",
    "last": "Last (UTC)",
    "best": "Best",
    "median_rating": "Median",
    "breaches": "Breaches",
    "fluoroscopy_s": "X-rays, s",
    "trend": "Trend of rating",
}
"""Of the table; each can be sorted by."""

TYPES: Final[Mapping[Format, str]] = {"csv": "text/csv", "json": "application/json"}


class CoursePage:
    """What an instructor sees; it is made for visitors of that role alone.

    State of the page begins with `co_`: the table and how it is sorted, whom and which session it shows, and pictures.
    """

    def __init__(self, visit: Visit) -> None:
        self.visit, self.state = visit, visit.state
        self._attempts: list[Attempt] = []
        self._open: list[Entry] = []
        self._person, self._what = "", ""
        self._sort, self._down = "user", False
        self.state.update(
            {"co_rows": [], "co_sort": self._sort, "co_down": False, "co_what": "", "co_whats": [], "co_person": "",
             "co_sessions": [], "co_session": "", "co_facts": [], "co_chart": "", "co_curves": [], "co_any": False}
        )  # fmt: skip
        for to, kind in TYPES.items():
            visit.downloads[f"sessions.{to}"] = Download(f"sessions.{to}", kind, self._table(to))

    async def refresh(self) -> None:
        """Read what has been done since."""
        self._attempts, self._open = await self.visit.house.attempts()
        self.state.co_whats = sorted({a.what for a in self._attempts})
        if self._person not in self._users():
            self._person = ""
        self._draw()

    def sort(self, key: str) -> None:
        """Sort by a column; by the same one again, the other way round."""
        if key in COLUMNS:
            self._down = not self._down if key == self._sort else key not in ("user", "breaches", "fluoroscopy_s")
            self._sort = key
            self._draw()

    def only(self, what: str) -> None:
        """Look at one exercise or case alone; "" for all."""
        self._what = what if what in self.state.co_whats else ""
        self._draw()

    def open(self, user: str) -> None:
        """Show one person's sessions; nobody's for ""."""
        self._person = user if user in self._users() else ""
        self.state.update({"co_session": "", "co_facts": []})
        self._draw()

    async def show(self, key: str) -> None:
        """Show what an audit asks of one session, and the signs of complications in it; nothing for "".

        Raises
        ------
        InputError
            For a session that is not in the history.
        """
        if not key:
            self.state.update({"co_session": "", "co_facts": []})
            return
        history = self.visit.house.history
        entry = next((e for e in await self.visit.house.worker.do(history.entries) if e.id == key), None)
        if entry is None:
            raise InputError("session", found=repr(key[:40]), wanted="one of the list")
        row = await self.visit.house.audited(entry)
        sheet = await self.visit.house.worker.do(history.sheet, key)
        self.state.update({"co_session": key, "co_facts": facts(row, sheet)})

    def _users(self) -> list[str]:
        return sorted({*(a.user for a in self._attempts), *(e.user for e in self._open)})

    def _of(self, user: str) -> list[Attempt]:
        return [a for a in self._attempts if a.user == user and self._what in ("", a.what)]

    def _draw(self) -> None:
        """Put the table and the curves on the page."""
        going_on = [e for e in self._open if self._what in ("", e.exercise or e.case)]
        rows = [learner(u, self._of(u), [e.begun for e in going_on if e.user == u]) for u in self._users()]
        rows = in_order([r for r in rows if r.attempts or r.going_on], self._sort, down=self._down)
        mine = self._of(self._person) if self._person else []
        curves = [learning_curve(mine, key) for key in MEASURES] if self._person else []
        ratings = {row.user: learning_curve(self._of(row.user), "rating") for row in sorted(rows, key=lambda r: r.user)}
        self.state.update(
            {"co_rows": [line(row) for row in rows], "co_sort": self._sort, "co_down": self._down,
             "co_what": self._what, "co_person": self._person, "co_any": bool(self._attempts or self._open),
             "co_sessions": [_session(a) for a in reversed(mine)] if self._person else [],
             "co_chart": course_svg(ratings, self._person) if not self._person else "",
             "co_curves": [
                 {"key": c.measure.key, "title": c.measure.title, "svg": curve_svg(c),
                  "words": c.trend.words(c.measure)} for c in curves]}
        )  # fmt: skip

    def _table(self, to: Format) -> Callable[[], Awaitable[bytes]]:
        """Writes the sessions of whoever is shown, or of all; each is read on its own."""

        async def write(tell: Callable[[int, int], None]) -> bytes:
            house, rows = self.visit.house, []
            entries = await house.worker.do(house.history.entries, self._person or None)
            for n, entry in enumerate(entries):
                tell(n, len(entries))
                rows.append(await house.audited(entry))
            return (await asyncio.to_thread(audit_text, rows, to)).encode()

        return lambda: Making(self.visit, "The table", write).made()


def in_order(rows: list[Learner], key: str, *, down: bool) -> list[Learner]:
    """Rows sorted by a column; those that have nothing in it stand last either way.

    Examples
    --------
    >>> some = [learner("b", []), learner("a", [Attempt("1", "a", "x", "2026", {"rating": 60.0}, False)])]
    >>> [[row.user for row in in_order(some, "best", down=down)] for down in (True, False)]
    [['a', 'b'], ['a', 'b']]
    """

    def value(row: Learner) -> Any:
        return row.trend.slope if key == "trend" else getattr(row, key)

    by_name = sorted(rows, key=lambda row: row.user)
    known = [row for row in by_name if value(row) is not None]
    return sorted(known, key=value, reverse=down) + [row for row in by_name if value(row) is None]


def line(row: Learner) -> dict[str, Any]:
    """A row as the page shows it.

    Examples
    --------
    >>> shown = line(learner("T-1", [], ["2026-11-29T10:00:00"]))
    >>> shown["attempts"], shown["best"], shown["trend"], shown["last"]
    ('0 + 1 open', '-', '-', '2026-11-29')
    """
    return {
        **{k: v for k, v in asdict(row).items() if k != "trend"},
        "attempts": f"{row.attempts}{f' + {row.going_on} open' if row.going_on else ''}",
        "last": row.last[:10],
        "best": _shown("rating", row.best),
        "median_rating": _shown("rating", row.median_rating),
        "fluoroscopy_s": _shown("fluoroscopy_s", row.fluoroscopy_s),
        "breaches": f"{row.breaches} of {row.scored}" if row.scored else "-",
        "bad": row.breaches > 0,
        "trend": in_short(row.trend),
        "why": row.trend.words(MEASURES["rating"]) + (f"; over {row.cases} different cases" if row.cases > 1 else ""),
    }


def in_short(trend: Trend) -> str:
    """A trend in a few words.

    Examples
    --------
    >>> in_short(Trend(0)), in_short(Trend(3, 2.0, -1.0, 5.0)), in_short(Trend(9, 2.0, -1.0, 5.0))
    ('-', 'too few', 'none told')
    >>> in_short(Trend(9, 2.04, 1.0, 5.0))
    '▲ +2 an attempt'
    """
    if not trend.attempts:
        return "-"
    if trend.told is None or trend.slope is None:
        return "too few" if trend.attempts < LEAST_ATTEMPTS else "none told"
    return f"{'▲' if trend.told == 'rises' else '▼'} {trend.slope:+.2g} an attempt"


def facts(row: Mapping[str, Any], sheet: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """One session in words: what an audit asks, and what may follow from what was done."""
    found = [
        {"name": name.replace("_", " "), "value": str(value)}
        for name, value in row.items()
        if value not in (None, "") and name not in ("session", "user")
    ]
    signs = [{"name": row.title, "value": "; ".join(row.signs)} for row in complication_rows(sheet) if row.signs]
    return found + signs


def _session(attempt: Attempt) -> dict[str, Any]:
    """One session of a person, as a line."""
    breach = {None: "no score", True: "breach", False: "in bone"}[attempt.breached]
    return {
        "id": attempt.session,
        "begun": attempt.begun[:16].replace("T", " "),
        "what": attempt.what,
        "breach": breach,
        **{key: _shown(key, attempt.values.get(key)) for key in MEASURES},
    }


def _shown(key: str, value: float | None) -> str:
    """A value of a measure, cut towards what is worse."""
    if value is None:
        return "-"
    worse = cut if MEASURES[key].better == "more" else raised
    return f"{float(worse(value, 0 if abs(value) >= 100.0 else 1)):g}"
