"""The debrief behind its page: an operation that is over, told again step by step, with what no view had told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from sjplan.app.debrief_report import (
    CaseName,
    Pixels,
    Shown,
    case_name,
    debrief_report,
    implant_words,
    pictures_to_draw,
    telling_picture,
)
from sjplan.app.making import Download, Making
from sjplan.app.monitor import Monitor, grey_of
from sjplan.app.worker import Latest
from sjplan.core.errors import SjplanError
from sjplan.core.plan import Plan, Side
from sjplan.render.replay import LOOKS, Look, PathShown, ReplayWindow
from sjplan.safety.types import MarginReport
from sjplan.training.debrief import Debrief, ImplantDebrief, debrief
from sjplan.training.history import Entry
from sjplan.training.retelling import Retelling, Step
from sjplan.training.session import Session
from sjplan.training.sheet_words import SIGNS, complication_rows, measure_rows, verdict
from sjplan.training.sightings import ImplantSeen
from sjplan.training.step_words import arm_words

if TYPE_CHECKING:
    from sjplan.app.house import Bed
    from sjplan.app.visit import Visit

SCREEN_PX: Final = 400
"""Width and height of each of the two pictures on the page."""

MOST_KEPT: Final = 60
"""Radiographs of one operation that are kept once they are drawn: 15 MB."""

PLAY_S: Final = 0.9
"""How long a step stays while it is played."""

LOG, REPORT = "debrief-log", "debrief-report"
"""Names of the two files that can be fetched."""

_TURN_DEG: Final = 240.0
"""How far the bones turn when the mouse is dragged across the whole picture."""


class DebriefPage:
    """One operation that is over.

    State of the page begins with `db_`: the verdict, the sheet, the steps and where one is among them.
    """

    def __init__(self, visit: Visit) -> None:
        self.visit, self.state = visit, visit.state
        self.replay = Monitor(SCREEN_PX, self._mouse)
        self.shot = Monitor()
        self.look = Look(*LOOKS["behind"])
        self.retelling: Retelling | None = None
        self._window: ReplayWindow | None = None
        self._making: Making | None = None
        self._steps: tuple[Step, ...] = ()
        self._plans: Mapping[Side, Plan] = {}
        self._pictures: dict[int, Pixels] = {}
        self._held: tuple[float, float] | None = None
        self._run = 0
        self._drawing, self._turning = Latest(self._draw), Latest(self._turn)
        self.state.update(
            {"db_title": "", "db_tone": "none", "db_sign": "", "db_rating": "", "db_headline": "", "db_grades": "",
             "db_measures": [], "db_complications": [], "db_implants": [], "db_steps": [], "db_at": 0, "db_last": 0,
             "db_main": False, "db_playing": False, "db_tab": "steps", "db_shot": "", "db_path": "", "db_view": "",
             "db_planned": False, "db_compared": False, "db_count": ""}
        )  # fmt: skip

    async def open_entry(self, entry: Entry) -> None:
        """Tell a session of the history again; who asks has been asked whether they may."""
        house, bed = self.visit.house, self.visit.bed(entry.case)
        theatre = await house.theatre(bed, self.visit.tell)
        self.visit.tell("replaying what was done")
        recorded = await house.worker.do(house.history.resume, entry.id, theatre, images=False)
        await self.open(recorded.session, bed, entry.id)

    async def open(
        self, session: Session, bed: Bed, key: str, reports: Mapping[Side, MarginReport] | None = None
    ) -> None:
        """Tell a session that is over, and turn to the page.

        Parameters
        ----------
        session : Session
            With all of its states.
        bed : Bed
            The patient.
        key : str
            Of the session in the history.
        reports : mapping of side to MarginReport, optional
            The judge's, where they are known already.
        """
        house = self.visit.house
        await self.close()
        self.visit.tell("looking up the plan")
        try:
            plans = await house.plans(bed)
        except SjplanError:
            plans = {}
        self.visit.tell("looking at what happened inside the bone")
        told = await house.worker.do(debrief, session, plans, reports)
        sheet = await house.worker.do(house.history.sheet, key)
        entries = await house.worker.do(house.history.entries, str(self.state.user))
        entry = next((e for e in entries if e.id == key), None)
        self.retelling, self._plans = Retelling(session, told), plans
        self._steps, self._pictures = self.retelling.steps(), {}
        self.look = Look(*LOOKS["behind"])
        anatomy, sides = session.theatre.anatomy, self.retelling.sides
        self._window = await self.visit.windows.open(lambda: ReplayWindow(anatomy, sides, SCREEN_PX))
        name = case_name(bed.title if bed.make is not None else "", session.theatre.sha256)
        self._show_sheet(sheet, told, bed.title)
        self._offer(key, name, sheet, entry)
        self.go_to(len(self._steps) - 1)
        self.visit.go("debrief")

    def go_to(self, number: Any) -> None:
        """Show one step."""
        if not self._steps or not isinstance(number, (int, float, str)):
            return
        try:
            at = int(float(number))
        except (ValueError, OverflowError):
            return
        at = min(max(at, 0), len(self._steps) - 1)
        where = f"step {at + 1} of {len(self._steps)}, {self._steps[at].clock}"
        self.state.update({"db_at": at, "db_view": "", "db_path": "", "db_count": where})
        self._drawing.ask()

    def forward(self, by: int) -> bool:
        """Go on, or back; whether there was a step to go to."""
        shown = [s.number for s in self._steps if s.turning_point or not self.state.db_main]
        at = int(self.state.db_at)
        ahead = [n for n in shown if n > at] if by > 0 else [n for n in reversed(shown) if n < at]
        if ahead:
            self.go_to(ahead[0])
        return bool(ahead)

    async def play(self) -> None:
        """Go on step by step until the end, or until stopped."""
        if self.state.db_playing:
            self.state.db_playing = False
            return
        if int(self.state.db_at) >= len(self._steps) - 1:
            self.go_to(0)
        self.state.db_playing = True
        self.state.flush()
        # Stopped and begun again within a step's time, the earlier one may not go on as well.
        self._run = run = self._run + 1
        while self.state.db_playing and run == self._run and self.forward(1):
            self.state.flush()
            await self._drawing.settled()
            await asyncio.sleep(PLAY_S)
        if run == self._run:
            self.state.db_playing = False

    def look_from(self, name: str) -> None:
        """Look at the bones from one of the usual sides."""
        if name in LOOKS:
            self.look = Look(*LOOKS[name], self.look.near)
            self._drawing.ask()

    def nearer(self, times: float) -> None:
        """Go nearer to the bones, or back."""
        self.look = self.look.nearer(float(times))
        self._drawing.ask()

    def compare(self) -> None:
        """Show the plan's implants in the bones, or take them away."""
        self.state.db_planned = not self.state.db_planned
        self._drawing.ask()

    async def tell_view(self, implant: int, seen: int) -> None:
        """Show the view that tells of a breach, as the operation ended."""
        found = self._seen(implant, seen)
        if found is None or found[1].telling is None or self.retelling is None:
            return
        self.state.db_playing = False
        picture = await self.visit.house.worker.do(telling_picture, self.retelling, *found)
        self.shot.show(picture)
        self.state.db_view = "the view that tells: " + found[1].telling.text.partition(" shows ")[0]
        self.state.flush()

    async def close(self) -> None:
        """Let go of the operation."""
        self.state.db_playing = False
        self.retelling, self._steps, self._pictures = None, (), {}
        for name in (LOG, REPORT):
            self.visit.downloads.pop(name, None)
        if self._making is not None:
            self._making.stop()
        window, self._window = self._window, None
        await self.visit.windows.close(window)

    async def drop(self) -> None:
        """Nothing is told here any more."""
        await self.close()
        self.replay.clear()
        self.shot.clear()

    def _seen(self, implant: Any, seen: Any) -> tuple[ImplantDebrief, ImplantSeen] | None:
        """One structure near one implant, if the page asked for one that is there."""
        if self.retelling is None or not isinstance(implant, int) or not isinstance(seen, int):
            return None
        implants = self.retelling.told.implants
        if not 0 <= implant < len(implants) or not 0 <= seen < len(implants[implant].seen):
            return None
        return implants[implant], implants[implant].seen[seen]

    def _show_sheet(self, sheet: Mapping[str, Any] | None, told: Debrief, title: str) -> None:
        """Put on the page what does not change from step to step."""
        said = verdict(sheet)
        rows = [asdict(row) | {"sign": SIGNS[row.tone]} for row in measure_rows(sheet, self.visit.house.scoring)]
        implants = [implant_entry(n, implant) for n, implant in enumerate(told.implants)]
        breached = any(i["tone"] == "bad" for i in implants)
        self.state.update(
            {"db_title": title, "db_tone": said.tone, "db_sign": SIGNS[said.tone], "db_rating": said.rating,
             "db_headline": said.headline, "db_grades": said.grades, "db_measures": rows,
             "db_complications": [asdict(row) for row in complication_rows(sheet)], "db_implants": implants,
             "db_steps": [asdict(step) for step in self._steps],
             "db_last": max(len(self._steps) - 1, 0), "db_main": False, "db_planned": False,
             "db_compared": any(i.deviation is not None for i in told.implants),
             "db_tab": "implants" if breached else "sheet"}
        )  # fmt: skip

    def _offer(self, key: str, name: CaseName, sheet: Mapping[str, Any] | None, entry: Entry | None) -> None:
        """The two files that can be fetched."""
        retelling, scoring, do = self.retelling, self.visit.house.scoring, self.visit.house.worker.do
        assert retelling is not None
        file = f"sjplan-{name.file}-{key[:8]}"
        lines = [retelling.session.header, *retelling.session.events]

        async def log() -> bytes:
            return "".join(json.dumps(line, sort_keys=True, allow_nan=False) + "\n" for line in lines).encode()

        async def report(tell: Callable[[int, int], None]) -> bytes:
            pictures: dict[Shown, Pixels] = {}
            wanted = pictures_to_draw(retelling, self._plans, retelling.shots[-MOST_KEPT:])
            # One at a time, so that those who operate are not kept waiting.
            for key, draw in wanted.items():
                tell(len(pictures), len(wanted))
                pictures[key] = await (self._radiograph(retelling, key[1]) if key[0] == "shot" else do(draw))
            who, begun = ("", "") if entry is None else (entry.user, entry.begun)
            told = await asyncio.to_thread(debrief_report, retelling, sheet, scoring, name, who, begun, pictures)
            return told.encode()

        self._making = Making(self.visit, "The report", report)
        self.visit.downloads[LOG] = Download(f"{file}.jsonl", "application/jsonl", log)
        self.visit.downloads[REPORT] = Download(f"{file}.html", "text/html", self._making.made)

    async def _radiograph(self, retelling: Retelling, number: int) -> Pixels:
        """One of the shots that were taken, as its screen showed it."""
        # Another operation may be opened while this one's shot is drawn: its pictures are not mixed with these.
        kept, session = self._pictures, retelling.session
        if number not in kept:
            kept[number] = await self.visit.house.worker.do(lambda: grey_of(session.shot(number)))
            while len(kept) > MOST_KEPT:
                del kept[next(iter(kept))]
        return kept[number]

    async def _turn(self) -> None:
        """Draw the bones while they are turned."""
        await self._bones(quick=True)

    async def _draw(self) -> None:
        """Draw the step that one is at: the bones, and the shot that was on the screen then."""
        retelling = self.retelling
        if retelling is None or not self._steps:
            return
        step = self._steps[int(self.state.db_at)]
        await self._bones(quick=False)
        if self.state.db_view or self.retelling is not retelling:
            return
        if step.shot is None:
            self.shot.clear()
            self.state.db_shot = "no shot yet"
        else:
            picture = await self._radiograph(retelling, step.shot)
            which = retelling.shots.index(step.shot) + 1
            arm = retelling.told.moments[step.shot].state.arm
            self.shot.show(picture)
            self.state.db_shot = f"shot {which} of {len(retelling.shots)}: {arm_words(arm)}"
        self.state.flush()

    async def _bones(self, *, quick: bool) -> None:
        """Draw the bones, unless the operation is let go of meanwhile."""
        retelling, window = self.retelling, self._window
        if retelling is None or window is None:
            return
        at, do = int(self.state.db_at), self.visit.house.worker.do
        paths = await do(retelling.paths_at, at)
        if self._window is not window:
            return
        planned = [t for p in self._plans.values() for t in p.trajectories if p.side in retelling.sides]
        picture = await do(
            window.draw, self.look, retelling.implants_at(at), retelling.pin_at(at),
            [PathShown(path.ends_lps_mm, path.clearance_mm) for path in paths],
            planned if self.state.db_planned else (), quick=quick,
        )  # fmt: skip
        if self._window is not window:
            return
        self.state.db_path = paths[0].text if paths else ""
        self.state.flush()
        self.replay.show(picture)

    def _mouse(self, what: str, across: float, down: float) -> None:
        """Dragging turns the bones."""
        if what == "press":
            self._held = (across, down)
        elif self._held is not None:
            self.look = self.look.turned(_TURN_DEG * (self._held[0] - across), _TURN_DEG * (down - self._held[1]))
            self._held = (across, down) if what == "move" else None
            (self._turning if what == "move" else self._drawing).ask()


def implant_entry(number: int, implant: ImplantDebrief) -> dict[str, Any]:
    """One implant as the page lists it."""
    words = asdict(implant_words(implant))
    words["seen"] = [
        {"n": k, "text": seen.text, "tells": seen.telling is not None,
         "shots": [{"n": shot.number, "text": shot.text} for shot in seen.shots]}
        for k, seen in enumerate(implant.seen)
    ]  # fmt: skip
    return words | {"n": number}
