"""The planning page: implants laid by hand in slices, judged while they move, beside the certified plan."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sjplan.app.monitor import Monitor
from sjplan.app.planning_desk import PANE_PX, PANES, ZOOMS_MM, Desk, first_joint
from sjplan.app.planning_keep import CertifiedPlan, PlanKeeping
from sjplan.app.planning_numbers import NUMBERS, changed_by, number_of, numbers_of
from sjplan.app.planning_pictures import VIEWS, PlanPictures
from sjplan.app.planning_rows import beside_rows, glance_rows, margin_rows, mixed_rows, verdict_words
from sjplan.app.worker import Latest
from sjplan.core.errors import SjplanError
from sjplan.core.findings import Finding
from sjplan.render.live_slices import implant_strokes
from sjplan.render.style import slot_colour
from sjplan.safety.types import MarginReport
from sjplan.training import templating as tpl
from sjplan.training.templating_files import compared

if TYPE_CHECKING:
    from sjplan.app.house import Bed
    from sjplan.app.visit import Visit

PAUSE_S: Final = 0.3
"""A hand that rests for so long has what it holds judged in full."""

STEPS: Final = {"pl_up": "pl_step", "pl_fore": "pl_step", "pl_out": "pl_step", "pl_rise": "pl_angle",
                "pl_ventral": "pl_angle"}  # fmt: skip
"""Where on the page the step of each number stands."""

ROLL_DEG: Final = 5.0
"""A button rolls an implant so far."""


class PlanningPage:
    """One patient at a time; state of the page begins with `pl_`."""

    def __init__(self, visit: Visit) -> None:
        self.visit, self.state = visit, visit.state
        self.screens = {pane: Monitor(PANE_PX, partial(self._slice_mouse, pane)) for pane in PANES}
        self.pictures = PlanPictures(self)
        self.desk: Desk | None = None
        self.bed: Bed | None = None
        self.report: MarginReport | None = None
        self.conflicts: tuple[Finding, ...] = ()
        self.keeping, self.certified = PlanKeeping(self), CertifiedPlan(self)
        self._slices, self._judged = Latest(self._draw_slices), Latest(self._judge)
        self._rest: asyncio.TimerHandle | None = None
        self._out = False
        self.steps = 0
        self.state.update(
            {"pl_title": "", "pl_volume": "", "pl_sides": [], "pl_side": "left", "pl_slots": [], "pl_slot": 1,
             "pl_models": [], "pl_model": "", "pl_lengths": [], "pl_length": 45.0, "pl_about": "joint", "pl_step": 1.0,
             "pl_angle": 1.0, "pl_rows": [], "pl_verdict": "", "pl_good": False, "pl_faults": [], "pl_cautions": [],
             "pl_judged": True, "pl_seen": 0, "pl_undo": False, "pl_redo": False,
             "pl_follow": "along", "pl_zoom": ZOOMS_MM[1], "pl_share": 70,
             "pl_across": "", "pl_view": "ap", "pl_letters": {}, "pl_marks": {}, "pl_edges": {}, "pl_plan": "none",
             "pl_plan_word": "", "pl_ghost": True, "pl_beside": [], "pl_saved": [], "pl_key": "", "pl_name": "",
             "pl_said": "", "pl_tone": "plain", **dict.fromkeys(NUMBERS, 0.0)}
        )  # fmt: skip

    async def begin(self, bed: Bed, side: str) -> None:
        """Lay plans on a patient; the same patient again is as it was left."""
        house, tell = self.visit.house, self.visit.tell
        theatre = await house.theatre(bed, tell)
        if self.desk is None or self.bed is not bed:
            tell("cutting slices")
            desk = await house.worker.do(Desk, theatre, first_joint(theatre, side))
            await self.close()
            await house.worker.do(self._prepare, desk)
            self.keeping.remember()
            self.desk, self.bed, self.report = desk, bed, None
            self.certified.reports = {}
            there = (bed.planned / "plan.json").exists()
            self.state.update(
                {"pl_title": bed.title, "pl_sides": list(desk.stacks), "pl_models": list(theatre.models),
                 "pl_volume": "CT" if theatre.ct is not None else "label map, no CT", "pl_plan_word": "",
                 "pl_plan": "asked" if there else "none", "pl_view": "ap", "pl_follow": "along", "pl_share": 70,
                 "pl_zoom": desk.zoom_mm, "pl_ghost": True}
            )  # fmt: skip
            self.choose_model("tri-7" if "tri-7" in theatre.models else next(iter(theatre.models)))
            self.keeping.recall(desk, bed)
        elif side in self.desk.stacks:
            self.desk.turn_to(side)
        await self.keeping.refresh()
        self.say("" if self.desk.draft.paths else "Add an implant, or take the certified plan and change it.")
        self.shown()
        if self.state.pl_plan == "asked":
            self.visit.soon(self.certified.ask())

    def _prepare(self, desk: Desk) -> None:
        """All that a first drag would have to wait for; in the worker's thread."""
        theatre, side = desk.theatre, desk.side
        self.pictures.prepare(theatre)
        model = next(iter(theatre.models.values()))
        trial = tpl.added(tpl.Draft(side), theatre.surfaces(side), model, min(model.lengths_mm))
        desk.judge.glance(1, trial.path(1))
        for pane in PANES:
            plane, _ = desk.sight(pane)
            desk.slices.picture(plane, implant_strokes(plane, 1, trial.path(1), chosen=True))

    # What a person does

    def change(self, move: Callable[[tpl.Draft], tpl.Draft]) -> None:
        """Do something to the draft, or say why not."""
        if self.desk is None:
            return
        try:
            self.desk.change(move)
        except SjplanError as error:
            self.say(f"{error}", "warn")
        else:
            self.say("")
        self.shown()

    async def add(self) -> None:
        """One implant more, of the model and length that are chosen, where there is most room near by."""
        desk = self.desk
        if desk is None:
            return
        model, live = self._model(), desk.judge
        length = min(model.lengths_mm, key=lambda own: abs(own - float(self.state.pl_length)))

        def work(draft: tpl.Draft) -> tpl.Draft:
            return tpl.laid_with_room(draft, live, model, length)

        desk.let_go()
        before = desk.draft
        try:
            grown = await self.visit.house.worker.do(work, before)
        except SjplanError as error:
            self.say(str(error), "warn")
            return
        if desk.draft is before:
            self.change(lambda _: grown)

    def remove(self) -> None:
        """One implant less."""
        self.change(lambda draft: tpl.removed(draft, self._slot))

    def sort(self) -> None:
        """Number the implants from cranial to caudal."""
        if self.desk is not None:
            frame = self.desk.frame
            self.change(lambda draft: tpl.cranial_first(draft, frame))

    def undo(self, *, forward: bool = False) -> None:
        """One move back, or on again."""
        if self.desk is not None:
            self.desk.redo() if forward else self.desk.undo()
            self.say("")
            self.shown()

    def choose(self, slot: int) -> None:
        """Take up another implant."""
        if self.desk is not None and 1 <= slot <= len(self.desk.draft.paths):
            self.desk.choose(slot)
            self.shown(judged=True)

    def turn_to(self, side: str) -> None:
        """Plan the other side."""
        if self.desk is not None and side in self.desk.stacks:
            self.desk.turn_to(side)
            self.report = None
            self.shown()

    def choose_model(self, name: str) -> None:
        """Take a model from the shelf: for the chosen implant, or for the next one."""
        if self.desk is None or name not in self.desk.theatre.models:
            return
        model, frame = self.desk.theatre.models[name], self.desk.frame
        near = min(model.lengths_mm, key=lambda own: abs(own - float(self.state.pl_length)))
        self.state.update({"pl_model": name, "pl_lengths": list(model.lengths_mm), "pl_length": near})
        if self.desk.path is not None:
            self.change(lambda draft: tpl.remodelled(draft, self._slot, frame, model))

    def choose_length(self, value: Any) -> None:
        """Take another length of the model."""
        length = number_of(value)
        if self.desk is None or length is None:
            return
        self.state.pl_length = length
        frame = self.desk.frame
        if self.desk.path is not None:
            self.change(lambda draft: tpl.resized(draft, self._slot, frame, length))

    def nudge(self, key: str, way: float) -> None:
        """Change one number of the chosen implant by a step."""
        if key in NUMBERS:
            self._number_by(key, way * float(self.state[STEPS[key]] if key in STEPS else ROLL_DEG))

    def set_number(self, key: str, value: Any) -> None:
        """Give one number of the chosen implant."""
        wanted = number_of(value)
        if self.desk is None or self.desk.path is None or key not in NUMBERS:
            return
        if wanted is None:
            self.say(f"{str(value)[:20]!r} is no number.", "warn")
            self.shown(judged=True)
            return
        self._number_by(key, wanted - numbers_of(self.desk)[key])

    def _number_by(self, key: str, by: float) -> None:
        desk, about = self.desk, self.state.pl_about
        if desk is not None and desk.path is not None:
            surfaces = desk.theatre.surfaces(desk.side)
            self.change(lambda draft: changed_by(draft, self._slot, surfaces, key, by, about))

    def arrow(self, pane: str, key: str, turn: bool) -> None:
        """An arrow key on a slice: moves the chosen implant that way, or turns it with the shift key."""
        ways = {"ArrowLeft": (-1, 0), "ArrowRight": (1, 0), "ArrowUp": (0, 1), "ArrowDown": (0, -1)}
        if self.desk is None or self.desk.path is None or key not in ways or pane not in PANES:
            return
        across, up = ways[key]
        if turn:
            turns = {"axial": "pl_ventral", "coronal": "pl_rise", "sagittal": "pl_roll"}
            self.nudge(turns[pane], float(up or across))
            return
        plane, frame = self.desk.plane(pane), self.desk.frame
        by = float(self.state.pl_step) * (across * plane.right + up * plane.up)
        self.change(lambda draft: tpl.dragged(draft, self._slot, frame, by))

    def look(self, **how: Any) -> None:
        """Change how slices are cut: follow, zoom in mm, or where across the implant in percent."""
        if self.desk is None:
            return
        if how.get("follow") in ("along", "pelvis"):
            self.desk.follow = how["follow"]
        zoom, share = number_of(how.get("zoom")), number_of(how.get("share"))
        if zoom in ZOOMS_MM:
            self.desk.zoom_mm = float(zoom or 0.0)
        if share is not None:
            self.desk.share = min(max(share / 100.0, 0.0), 1.0)
        if how.get("tightest"):
            self.desk.look_at_tightest(self.report)
        if how.get("centre"):
            self.desk.recentre()
        if "ghost" in how:
            self.desk.shows_plan = bool(how["ghost"])
        self.shown(judged=True)

    def view(self, name: str) -> None:
        """Show another simulated view."""
        if name in VIEWS:
            self.state.pl_view = name
            self.pictures.ask()

    # The mouse

    def _slice_mouse(self, pane: str, what: str, across: float, down: float) -> None:
        desk = self.desk
        if desk is None:
            return
        with self.state:
            if what == "press":
                before = desk.chosen
                desk.press(pane, across, down)
                if desk.chosen != before:
                    self.shown(judged=True)
            elif what == "move":
                self._dragged(desk, across, down)
            else:
                self._stop_rest()
                moved = desk.held is not None and desk.held.kind != "pan"
                desk.let_go()
                self.shown(judged=not moved)

    def _dragged(self, desk: Desk, across: float, down: float) -> None:
        try:
            desk.drag(across, down)
        except SjplanError as error:
            self.say(str(error), "warn")
            return
        self.steps += 1
        self._slices.ask()
        if desk.held is not None and desk.held.kind != "pan":
            self._stop_rest()
            self._rest = asyncio.get_running_loop().call_later(PAUSE_S, self._rested)

    def _rested(self) -> None:
        """The hand rests with something in it: what takes longer is done now, but for depths out of the bone."""
        if not self._out:
            self._judged.ask()
        self.pictures.ask()

    def _stop_rest(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None

    # What is shown

    def shown(self, *, judged: bool = False) -> None:
        """Put the draft as it is on the page, and have it drawn; judged says that no implant has moved."""
        desk = self.desk
        if desk is None:
            return
        path = desk.path
        slots = [
            {"n": n, "text": f"{p.model.id} {p.length_mm:g}", "colour": slot_colour(n)}
            for n, p in enumerate(desk.draft.paths, 1)
        ]
        self.state.update(
            {"pl_side": desk.side, "pl_slots": slots, "pl_slot": desk.chosen, "pl_undo": bool(desk.stack.past),
             "pl_redo": bool(desk.stack.future), "pl_follow": desk.follow, "pl_zoom": desk.zoom_mm,
             "pl_share": round(100 * desk.share), "pl_ghost": desk.shows_plan,
             "pl_cautions": [{"text": caution.text, "so": caution.consequence} for caution in desk.cautions()]}
        )  # fmt: skip
        if path is not None:
            self.state.update(
                {"pl_model": path.model.id, "pl_lengths": list(path.model.lengths_mm),
                 "pl_length": min(path.model.lengths_mm, key=lambda own: abs(own - path.length_mm)),
                 "pl_across": f"{desk.share * path.length_mm:.0f} of {path.length_mm:.0f} mm"}
            )  # fmt: skip
            self.state.update({key: round(value, 1) + 0.0 for key, value in numbers_of(desk).items()})
        if self.state.pl_plan == "there":
            self.state.pl_plan_word = (
                "" if desk.side in desk.planned else f"no accepted plan of the {desk.side} side was found"
            )
        if not judged:
            # No number of before stays beside what is new; of what is held they follow at once.
            rows = [] if desk.held is None else self.state.pl_rows
            self.state.update({"pl_judged": False, "pl_beside": [], "pl_rows": rows})
            self._judged.ask()
        elif self.state.pl_judged:
            self._listed()
        self._slices.ask()
        self.pictures.ask()

    async def _draw_slices(self) -> None:
        """Margins of what is held, at once, and then the slices."""
        desk, do = self.desk, self.visit.house.worker.do
        if desk is None:
            return
        path, steps = desk.path, self.steps
        if path is not None and not self.state.pl_judged:
            slot = desk.chosen
            glance = await do(desk.judge.glance, slot, path)
            if desk is self.desk and not self.state.pl_judged:
                self._out = glance.out
                fresh = glance_rows(slot, glance, desk.theatre.limits)
                with self.state:
                    rows = mixed_rows(self.state.pl_rows, slot, fresh)
                    self.state.update({"pl_rows": rows, "pl_judged": False, "pl_seen": steps})
        sights = {pane: desk.sight(pane, self.report) for pane in PANES}
        pictures = await do(lambda: {pane: desk.slices.picture(*sight) for pane, sight in sights.items()})
        if desk is not self.desk:
            return
        with self.state:
            self.state.pl_letters = {pane: plane.letters(desk.frame) for pane, (plane, _) in sights.items()}
            self.state.pl_marks = {pane: desk.marks(plane) for pane, (plane, _) in sights.items()}
        for pane, picture in pictures.items():
            self.screens[pane].show(picture)

    async def _judge(self) -> None:
        """The judge's whole report on the draft as it is now."""
        desk = self.desk
        if desk is None:
            return
        draft, live, do = desk.draft, desk.judge, self.visit.house.worker.do
        # One implant at a time, so that a hand that moves on need not wait for all of them.
        for slot, path in enumerate(draft.paths, 1):
            await do(live.margins, slot, path)
            if desk is not self.desk or draft is not desk.draft:
                return
        self.report = await do(live.report, draft.paths) if draft.paths else None
        self.conflicts = await do(desk.conflicts)
        if desk is not self.desk or draft is not desk.draft:
            return
        with self.state:
            self.state.pl_judged = True
            self._listed()
        self._slices.ask()

    def _listed(self) -> None:
        """Margins, faults, and the comparison with the plan, of the last report."""
        desk, report = self.desk, self.report
        if desk is None or report is None or report.side != desk.side or not desk.draft.paths:
            self.state.update({"pl_rows": [], "pl_verdict": "", "pl_faults": [], "pl_beside": []})
            return
        verdict, faults = verdict_words(report, self.conflicts)
        planned = self.certified.reports.get(desk.side)
        beside = [] if planned is None else beside_rows(compared(report, planned, desk.frame), report, planned)
        self.state.update(
            {"pl_rows": margin_rows(report, desk.theatre.limits), "pl_verdict": verdict, "pl_faults": faults,
             "pl_good": report.accepted and not self.conflicts, "pl_beside": beside}
        )  # fmt: skip

    async def close(self) -> None:
        """Close the 3D picture's window."""
        self._stop_rest()
        await self.pictures.close()

    async def drop(self) -> None:
        """Clear the table; drafts are there again for whoever laid them."""
        self._stop_rest()
        self.keeping.remember()
        self.desk = self.bed = self.report = None
        self.conflicts, self.certified.reports = (), {}
        await self.pictures.drop()
        for screen in self.screens.values():
            screen.clear()

    @property
    def _slot(self) -> int:
        return 1 if self.desk is None else self.desk.chosen

    def _model(self) -> Any:
        assert self.desk is not None
        models = self.desk.theatre.models
        return models.get(str(self.state.pl_model)) or next(iter(models.values()))

    def say(self, text: str, tone: str = "plain") -> None:
        """Say something under the pictures."""
        self.state.update({"pl_said": text, "pl_tone": tone})
