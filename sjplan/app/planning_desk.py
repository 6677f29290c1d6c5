"""The table that plans are laid on: drafts of both sides, the planes that show them, and what a hand does there.

No window, no state of a page: what is asked of a desk here can be asked of it in a test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from sjplan.app.operate import sides_of
from sjplan.core.arrays import Array, unit
from sjplan.core.errors import InputError
from sjplan.core.findings import Finding
from sjplan.core.frames import AnatomicalFrame
from sjplan.core.plan import Plan, Side
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import implant_solid, signed_distance
from sjplan.io.cases import Case
from sjplan.render.live_slices import LiveSlices, Stroke, handles_mm, implant_strokes
from sjplan.render.planes import SlicePlane
from sjplan.render.style import slot_colour
from sjplan.safety.judge import side_conflicts
from sjplan.safety.live import LiveJudge
from sjplan.safety.types import Clearance, MarginReport
from sjplan.training.templating import Draft, Stack, aimed, dragged
from sjplan.training.theatre import Theatre

PANES: Final = ("axial", "coronal", "sagittal")
PANE_PX: Final = 300
ZOOMS_MM: Final = (70.0, 100.0, 130.0, 180.0)
GRASP_PX: Final = 11.0
"""A handle is taken hold of from so near."""

GRASP_MM: Final = 1.5
"""An implant is taken hold of from so near."""

WITNESS_WITHIN_MM: Final = 2.0
"""The two points of the tightest clearance are shown in a plane that both are nearer to than this."""

MARK_POINTS: Final = 41

Kind = Literal["move", "entry", "tip", "pan"]
Follow = Literal["along", "pelvis"]


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """What the hand holds: of which implant what, where it was taken, and how all was then."""

    kind: Kind
    slot: int
    pane: str
    at_mm: Array
    plane: SlicePlane
    draft: Draft
    focus_lps_mm: Array


class Desk:
    """Plans of one patient.

    Parameters
    ----------
    theatre : Theatre
        The patient, the shelf and the limits.
    side : {"left", "right"}
        Which is shown first.
    """

    def __init__(self, theatre: Theatre, side: Side) -> None:
        self.theatre, self.side = theatre, side
        self.case = Case(theatre.ct, theatre.labels)
        self.slices = LiveSlices(theatre.ct if theatre.ct is not None else theatre.labels, theatre.anatomy)
        self.stacks: dict[Side, Stack] = {s: Stack(Draft(s)) for s in theatre.anatomy.joints}
        self.judges: dict[Side, LiveJudge] = {}
        self.planned: Mapping[Side, Plan] = {}
        self.shows_plan = True
        self.follow: Follow = "along"
        self.zoom_mm, self.share, self.chosen = ZOOMS_MM[1], 0.7, 1
        self.focus_lps_mm = np.zeros(3)
        self._moving: Draft | None = None
        self.held: Held | None = None
        self.turn_to(side)

    @property
    def frame(self) -> AnatomicalFrame:
        """Of the pelvis."""
        return self.theatre.anatomy.frame

    @property
    def judge(self) -> LiveJudge:
        """Of the side that is shown."""
        return self.judge_of(self.side)

    def judge_of(self, side: Side) -> LiveJudge:
        """Of a side."""
        if side not in self.judges:
            self.judges[side] = LiveJudge(self.theatre.surfaces(side), self.theatre.limits)
        return self.judges[side]

    def conflicts(self) -> tuple[Finding, ...]:
        """Where implants of both sides come too near to each other."""
        drafts = {side: stack.draft for side, stack in self.stacks.items()}
        if len(drafts) < 2 or not all(draft.paths for draft in drafts.values()):
            return ()
        left, right = (self.judge_of(side).report(drafts[side].paths) for side in ("left", "right"))
        return side_conflicts(left, right, self.theatre.limits)

    def cautions(self) -> tuple[Finding, ...]:
        """What was noticed of the scan and its labels that speaks against plans of the side that is shown."""
        return tuple(f for f in self.theatre.findings if f.severity != "note" and f.side in ("", self.side))

    @property
    def stack(self) -> Stack:
        """Of the side that is shown."""
        return self.stacks[self.side]

    @property
    def draft(self) -> Draft:
        """As it is now, in the middle of a drag too."""
        return self._moving if self._moving is not None else self.stack.draft

    @property
    def path(self) -> Trajectory | None:
        """The implant that is chosen."""
        paths = self.draft.paths
        return paths[self.chosen - 1] if self.chosen <= len(paths) else None

    def turn_to(self, side: Side) -> None:
        """Show the other side, or this one again from the start."""
        self.let_go(keep=False)
        self.side, self.chosen = side, 1
        self.recentre()

    def recentre(self) -> None:
        """Look at the chosen implant, or at the joint."""
        joint = self.theatre.anatomy.joints[self.side]
        path = self.path
        middle = joint.sacral_lps_mm.mean(axis=0) if path is None else 0.5 * (path.entry_lps_mm + path.tip_lps_mm)
        self.focus_lps_mm = np.asarray(middle)

    def choose(self, slot: int) -> None:
        """Take up another implant."""
        self.draft.path(slot)
        self.chosen = slot
        self.recentre()

    def change(self, move: Callable[[Draft], Draft]) -> None:
        """Do something that can be undone."""
        self.let_go()
        before = len(self.draft.paths)
        self.stacks[self.side] = self.stack.done(move(self.stack.draft))
        self._settle(before)

    def take(self, drafts: Sequence[Draft]) -> None:
        """Lay other drafts, of one side or of both, over those that are here; each can be undone."""
        self.let_go()
        for draft in drafts:
            self.stacks[draft.side] = self.stacks[draft.side].done(draft)
        if self.side not in {draft.side for draft in drafts}:
            self.side = drafts[0].side
        self.chosen = 1
        self.recentre()

    def undo(self) -> None:
        """One move back."""
        self._travel(self.stack.undone())

    def redo(self) -> None:
        """One move on again."""
        self._travel(self.stack.redone())

    def _travel(self, stack: Stack) -> None:
        self.let_go(keep=False)
        before = len(self.draft.paths)
        self.stacks[self.side] = stack
        self._settle(before)

    def _settle(self, before: int) -> None:
        """Choose what was added, or what is left; look at it if it is out of sight."""
        count = len(self.draft.paths)
        self.chosen = count if count > before else max(min(self.chosen, count), 1)
        path = self.path
        if path is None or count != before or not self._in_sight(path):
            self.recentre()

    def _in_sight(self, path: Trajectory) -> bool:
        middle = 0.5 * (path.entry_lps_mm + path.tip_lps_mm)
        return float(np.linalg.norm(middle - self.focus_lps_mm)) < 0.4 * self.zoom_mm

    # Planes

    def plane(self, pane: str) -> SlicePlane:
        """The plane of a pane, through the chosen implant; its picture does not turn with it."""
        path, frame = self.path, self.frame
        ways = {"axial": (frame.left, -frame.posterior), "coronal": (frame.left, frame.cranial),
                "sagittal": (frame.posterior, frame.cranial)}  # fmt: skip
        right, up = ways[pane]
        through = self.focus_lps_mm
        if path is not None:
            share = self.share if pane == "sagittal" else 0.5
            through = path.entry_lps_mm + share * path.length_mm * path.axis
            if self.follow == "along":
                right, up = _tilted(right, up, path.axis, holds_axis=pane != "sagittal")
        normal = np.cross(right, up)
        centre = self.focus_lps_mm + ((through - self.focus_lps_mm) @ normal) * normal
        size = self.zoom_mm
        return SlicePlane(pane, centre, right, up, size, size, size / PANE_PX)

    def sight(self, pane: str, report: MarginReport | None = None) -> tuple[SlicePlane, list[Stroke]]:
        """What a pane shows, for `LiveSlices.picture`; the tightest clearance too, if it was measured."""
        plane = self.plane(pane)
        planned = self.planned.get(self.side) if self.shows_plan else None
        strokes = [
            stroke
            for n, path in enumerate(planned.trajectories if planned is not None else (), 1)
            for stroke in implant_strokes(plane, n, path, ghost=True)
        ]
        order = sorted(range(1, len(self.draft.paths) + 1), key=lambda n: n == self.chosen)
        for n in order:
            strokes += implant_strokes(plane, n, self.draft.path(n), chosen=n == self.chosen)
        return plane, strokes + self._witness(plane, report)

    def marks(self, plane: SlicePlane) -> list[dict[str, object]]:
        """Numbers to be written over the implants that a plane cuts: where, in percent from the left and the top."""
        found: list[dict[str, object]] = []
        for n, path in enumerate(self.draft.paths, 1):
            along = np.linspace(0.0, path.length_mm, MARK_POINTS)[:, None]
            flat = plane.flat_mm(path.entry_lps_mm + along * path.axis)
            near = flat[np.abs(flat[:, 2]) <= path.model.inscribed_radius_mm]
            if len(near):
                x, y, _ = near.mean(axis=0)
                left, top = 50.0 + 100.0 * x / plane.width_mm, 50.0 - 100.0 * y / plane.height_mm
                if 3.0 < left < 97.0 and 3.0 < top < 97.0:
                    found.append({"n": n, "colour": slot_colour(n), "left": round(left, 1), "top": round(top, 1)})
        return found

    def _witness(self, plane: SlicePlane, report: MarginReport | None) -> list[Stroke]:
        clearance = self.tightest(report)
        if clearance is None:
            return []
        pair = plane.flat_mm(np.stack([clearance.on_implant_lps_mm, clearance.at_lps_mm]))
        if float(np.abs(pair[:, 2]).max()) > WITNESS_WITHIN_MM:
            return []
        line = pair[None, :, :2]
        return [Stroke(line, "#000000", 4.0), Stroke(line, "#ffffff", 2.0)]

    def tightest(self, report: MarginReport | None) -> Clearance | None:
        """The clearance of the chosen implant with the least slack, if the report knows it."""
        if report is None or self.chosen > len(report.implants):
            return None
        implant = report.implants[self.chosen - 1]
        return implant.binding if implant.trajectory is self.path else None

    def look_at_tightest(self, report: MarginReport | None) -> None:
        """Cut the chosen implant across where it is tightest."""
        clearance, path = self.tightest(report), self.path
        if clearance is not None and path is not None:
            along = float((clearance.on_implant_lps_mm - path.entry_lps_mm) @ path.axis) / path.length_mm
            self.share = min(max(along, 0.0), 1.0)

    # The hand

    def press(self, pane: str, across: float, down: float) -> None:
        """Take hold of what is there: an end of the chosen implant, an implant, or the picture."""
        self.let_go()
        plane = self.plane(pane)
        at = _at_mm(plane, across, down)
        kind, slot = self._grasped(plane, at)
        if kind != "pan":
            self.chosen = slot
        self.held = Held(kind, slot, pane, at, plane, self.stack.draft, self.focus_lps_mm)

    def drag(self, across: float, down: float) -> None:
        """Move what is held.

        Raises
        ------
        InputError
            Where an implant cannot go there; it stays where it was last.
        """
        held = self.held
        if held is None:
            return
        plane, at = held.plane, _at_mm(held.plane, across, down)
        by = (at - held.at_mm) @ np.stack([plane.right, plane.up])
        if held.kind == "pan":
            self.focus_lps_mm = held.focus_lps_mm - by
        elif held.kind == "move":
            self._moving = dragged(held.draft, held.slot, self.frame, by)
        else:
            path = held.draft.path(held.slot)
            end = path.entry_lps_mm if held.kind == "entry" else path.tip_lps_mm
            self._moving = aimed(held.draft, held.slot, self.frame, held.kind, end + by)

    def let_go(self, *, keep: bool = True) -> None:
        """End a drag: one step that can be undone, if anything moved."""
        if keep and self._moving is not None and self.held is not None:
            self.stacks[self.side] = self.stack.done(self._moving)
        self._moving = self.held = None

    def _grasped(self, plane: SlicePlane, at_mm: Array) -> tuple[Kind, int]:
        path = self.path
        for name, place in handles_mm(plane, path) if path is not None else []:
            if float(np.linalg.norm(place - at_mm)) < GRASP_PX * plane.pixel_mm:
                return ("entry" if name == "entry" else "tip"), self.chosen
        point = plane.centre_lps_mm + at_mm @ np.stack([plane.right, plane.up])
        slots = sorted(range(1, len(self.draft.paths) + 1), key=lambda n: n != self.chosen)
        for slot in slots:
            if float(signed_distance(implant_solid(self.draft.path(slot)), point[None])[0]) < GRASP_MM:
                return "move", slot
        return "pan", self.chosen


def _tilted(right: Array, up: Array, axis: Array, *, holds_axis: bool) -> tuple[Array, Array]:
    """The plane nearest to one of the pelvis that holds an axis, or lies square to it; its picture stays upright."""
    if holds_axis:
        normal = unit(np.cross(axis, up))
        normal = normal if normal @ np.cross(right, up) > 0.0 else -normal
    else:
        normal = axis if axis @ np.cross(right, up) > 0.0 else -axis
    across = unit(right - (right @ normal) * normal)
    return across, np.cross(normal, across)


def _at_mm(plane: SlicePlane, across: float, down: float) -> Array:
    return np.array([(across - 0.5) * plane.width_mm, (0.5 - down) * plane.height_mm])


def first_joint(theatre: Theatre, word: str) -> Side:
    """The first of the sides asked for that has an SI joint.

    Raises
    ------
    InputError
        Where none has.
    """
    there = [side for side in sides_of(word) if side in theatre.anatomy.joints]
    if not there:
        wanted = " or ".join(theatre.anatomy.joints) or "another patient"
        raise InputError("side", found=f"no SI joint on the {word}", wanted=wanted)
    return there[0]
