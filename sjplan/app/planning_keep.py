"""Plans that come to the planning page and leave it: kept ones, files of the visitor's own, and the certified plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sjplan.app.planning_desk import Desk
from sjplan.core.errors import InputError, SjplanError
from sjplan.core.plan import Side
from sjplan.io.planfile import PlanFile, plan_text
from sjplan.safety.types import MarginReport
from sjplan.training.templating import Draft, Stack
from sjplan.training.templating_files import draft_entry, drafts_file, drafts_from_file

if TYPE_CHECKING:
    from sjplan.app.house import Bed
    from sjplan.app.planning import PlanningPage

LISTED: Final = 20
"""Kept plans that are offered, the newest first."""


class PlanKeeping:
    """Saving and opening.

    Parameters
    ----------
    page : PlanningPage
        Whose desk it is about.
    """

    def __init__(self, page: PlanningPage) -> None:
        self.page, self.visit, self.state = page, page.visit, page.state
        self._laid: dict[tuple[str, Bed], dict[Side, Stack]] = {}

    def remember(self) -> None:
        """Note the drafts that lie on the table, and whose they are."""
        desk, bed = self.page.desk, self.page.bed
        if desk is not None and bed is not None:
            desk.let_go()
            self._laid[str(self.state.user), bed] = desk.stacks

    def recall(self, desk: Desk, bed: Bed) -> None:
        """Lay out again what this person had on this patient."""
        desk.stacks.update(self._laid.get((str(self.state.user), bed), {}))
        desk.recentre()

    async def refresh(self) -> None:
        """List what this person has kept of this patient."""
        desk, user = self.page.desk, str(self.state.user)
        if desk is None or not user:
            self.state.update({"pl_saved": [], "pl_key": ""})
            return
        kept = await self.visit.house.worker.do(self.visit.house.shelf.kept, user, desk.case)
        listed = [{"key": k.key, "text": f"{k.title}, {k.at[:16].replace('T', ' ')}"} for k in kept[:LISTED]]
        self.state.update({"pl_saved": listed, "pl_key": listed[0]["key"] if listed else ""})

    async def save(self, title: str) -> None:
        """Keep the drafts of both sides.

        Raises
        ------
        InputError
            Without a name or code, or without any implant.
        """
        desk, user = self._desk(), str(self.state.user)
        if not user:
            raise InputError("name or code", found="none", wanted="who you are: say it on the first page")
        desk.let_go()
        drafts = self._drafts(desk)

        def work() -> str:
            return self.visit.house.shelf.keep(user, title, file_of(desk, drafts)).title

        kept = await self.visit.house.worker.do(work)
        await self.refresh()
        self.page.say(f"Saved as “{kept}”.", "good")

    async def open(self, key: str) -> None:
        """Take a kept plan up again.

        Raises
        ------
        InputError
            For a key that is not one of this person's.
        """
        desk, user = self._desk(), str(self.state.user)
        kept = await self.visit.house.worker.do(self.visit.house.shelf.opened, user, desk.case, key)
        self.take(kept.file)
        self.page.say(f"Opened “{kept.title}”. Undo brings back what was here.", "good")

    def take(self, file: PlanFile) -> None:
        """Show what a plan file holds; what was here can be had back by undoing.

        Raises
        ------
        InputError, UnknownNameError
            For a file of another patient, or with implants that do not fit.
        """
        desk = self._desk()
        drafts = drafts_from_file(file, desk.case, desk.theatre.models, desk.frame)
        drafts = tuple(draft for draft in drafts if draft.side in desk.stacks)
        if not drafts:
            raise InputError("plan", found="no implants", wanted="a plan with implants of a side that can be planned")
        desk.take(drafts)
        self.page.report = None
        self.page.shown()

    def download(self) -> bytes:
        """plan.json of the drafts of both sides.

        Raises
        ------
        InputError
            Without any implant.
        """
        desk = self._desk()
        return plan_text(file_of(desk, self._drafts(desk))).encode()

    def _desk(self) -> Desk:
        if self.page.desk is None:
            raise InputError("plan", found="no patient", wanted="a patient: choose one on the first page")
        return self.page.desk

    @staticmethod
    def _drafts(desk: Desk) -> list[Draft]:
        drafts = [stack.draft for stack in desk.stacks.values() if stack.draft.paths]
        if not drafts:
            raise InputError("plan", found="no implants", wanted="at least one", fix="add an implant")
        return drafts


class CertifiedPlan:
    """The planner's plan of the patient, to be compared with and to begin from.

    Parameters
    ----------
    page : PlanningPage
        Whose desk it is laid beside.
    """

    def __init__(self, page: PlanningPage) -> None:
        self.page, self.visit, self.state = page, page.visit, page.state
        self.reports: dict[Side, MarginReport] = {}

    async def ask(self) -> None:
        """Have the plan made, or read; both sides at once."""
        desk, bed, house = self.page.desk, self.page.bed, self.visit.house
        if desk is None or bed is None:
            return
        self.state.update({"pl_plan": "making", "pl_plan_word": "the planner is at work: up to a minute"})
        self.state.flush()
        reports: dict[Side, MarginReport] = {}
        try:
            plans = await house.plans(bed)
            for side, plan in plans.items():
                reports[side] = await house.worker.do(desk.judge_of(side).report, plan.trajectories)
        except SjplanError as error:
            self.state.update({"pl_plan": "none", "pl_plan_word": f"no plan: {error}"})
            return
        if desk is self.page.desk:
            desk.planned, self.reports = plans, reports
            self.state.pl_plan = "there"
            self.page.shown(judged=True)

    def take(self) -> None:
        """Begin from it."""
        desk = self.page.desk
        if desk is not None and desk.side in desk.planned:
            plan = desk.planned[desk.side]
            self.page.change(lambda draft: Draft(draft.side, plan.trajectories))


def file_of(desk: Desk, drafts: Sequence[Draft]) -> PlanFile:
    """A plan file of drafts, judged; where this machine keeps the patient's files is nobody's business."""
    entries = [draft_entry(draft, desk.judge_of(draft.side)) for draft in drafts]
    conflicts = desk.conflicts() if len(drafts) > 1 else ()
    made = drafts_file(entries, desk.case, findings=conflicts)
    return made.model_copy(update={"case": made.case.model_copy(update={"paths": {}})})
