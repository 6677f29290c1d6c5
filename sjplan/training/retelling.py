"""An operation step by step for those who look back: what was done, what it did inside, and how clear its path was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.plan import Side
from sjplan.core.shown import clear_or_out
from sjplan.core.structure_words import structure_words
from sjplan.core.trajectory import Trajectory
from sjplan.safety.path_clearance import PathClearance
from sjplan.training.actions import Insert, Shoot
from sjplan.training.courses import PinCourse, course_clearance
from sjplan.training.debrief import Debrief, ImplantDebrief
from sjplan.training.happenings import clock
from sjplan.training.session import Session
from sjplan.training.sheet_words import SIGNS, Tone
from sjplan.training.step_words import step_words

_BESIDE_MM = 0.5
"""A pin lies on the line of a course while it is no farther from it than this."""


@dataclass(frozen=True, slots=True)
class Step:
    """One event as it is listed.

    Parameters
    ----------
    number : int
        Of the event.
    clock : str
        Minutes and seconds since the operation began, at its end.
    text : str
        What was done.
    tone : {"bad", "near", "good", "none"}
        How grave what it did inside is; none where nothing happened there.
    inside : tuple of str
        What it did inside the bone, as sentences, each with the sign of how grave it is.
    shot : int or None
        Event of the last shot until then: what the trainee had on the screen.
    turning_point : bool
        Whether something happened inside, an implant went in or out, or it is the end.
    """

    number: int
    clock: str
    text: str
    tone: Tone
    inside: tuple[str, ...]
    shot: int | None
    turning_point: bool


@dataclass(frozen=True, slots=True, eq=False)
class StepPath:
    """The path that a step is about, cut into slabs.

    Parameters
    ----------
    name : str
        Whose.
    ends_lps_mm : (n + 1, 3) float
        Ends of the slabs, from the lateral end.
    clearance_mm : (n,) float
        Of each slab's envelope; negative is out.
    least_mm, nearest : float, str
        Of the whole path, and the danger that gives it.
    """

    name: str
    ends_lps_mm: Array
    clearance_mm: Array
    least_mm: float
    nearest: str

    @property
    def text(self) -> str:
        """Where it is tightest, in words."""
        where = structure_words(self.nearest)
        rest = "of bone" if self.least_mm < 0.0 else "at its tightest"
        return f"{self.name}: {clear_or_out(self.least_mm)} {rest} ({where})"


@dataclass(eq=False)
class Retelling:
    """A session with its debrief, and what is worked out only when it is looked at.

    Parameters
    ----------
    session : Session
        Ended, or replayed to its end.
    told : Debrief
        Of it.
    """

    session: Session
    told: Debrief
    _courses: dict[int, PathClearance] = field(default_factory=dict, repr=False)

    @property
    def sides(self) -> tuple[Side, ...]:
        """That were operated on: those with implants or pins."""
        found = {i.side for i in self.session.state.implants} | {c.side for c in self.told.courses}
        return tuple(side for side in ("left", "right") if side in found)

    @property
    def shots(self) -> tuple[int, ...]:
        """Events that took a radiograph."""
        return tuple(m.number for m in self.told.moments if isinstance(m.action, Shoot) and not m.refused)

    def steps(self) -> tuple[Step, ...]:
        """Every event."""
        inside: dict[int, list[str]] = {}
        worst: dict[int, Tone] = {}
        grave: Mapping[str, Tone] = {"bad": "bad", "near": "near", "note": "none"}
        for happening in self.told.happenings:
            tone = grave[happening.gravity]
            inside.setdefault(happening.number, []).append(f"{SIGNS[tone]} {happening.text}")
            worst[happening.number] = min(worst.get(happening.number, "none"), tone, key=("bad", "near", "none").index)
        found, shot = [], None
        for event, moment in zip(self.session.events, self.told.moments, strict=True):
            n = moment.number
            shot = n if isinstance(moment.action, Shoot) and not moment.refused else shot
            main = n in inside or (isinstance(moment.action, Insert) and not moment.refused)
            text = step_words(event, moment.state.arm)
            last = n == len(self.told.moments) - 1
            found.append(
                Step(n, clock(moment.state.seconds), text, worst.get(n, "none"), tuple(inside.get(n, ())), shot,
                     main or last)
            )  # fmt: skip
        return tuple(found)

    def implants_at(self, number: int) -> tuple[tuple[int, Trajectory], ...]:
        """Implants in place after an event, with their final numbers; 0 for one that did not stay."""
        slots = {id(i.implanted): i.margins.slot for i in self.told.implants}
        return tuple((slots.get(id(i), 0), i.trajectory) for i in self.told.moments[number].state.implants)

    def pin_at(self, number: int) -> tuple[Array, Array] | None:
        """Outer end and tip of the pin after an event, LPS mm."""
        pin = self.told.moments[number].state.pin
        return None if pin is None else (pin.outer_end_lps_mm, pin.tip_lps_mm)

    def paths_at(self, number: int) -> tuple[StepPath, ...]:
        """Paths after an event, the one that it is about first: of the pin in bone, else of the implants in place."""
        moment = self.told.moments[number]
        if moment.state.pin is not None:
            course = self._course_of(number)
            path = None if course is None else self._so_far(course, moment.state.pin.tip_lps_mm)
            return () if path is None else (path,)
        there = [known for i in moment.state.implants for known in self.told.implants if known.implanted is i]
        newest = there[-1:] if isinstance(moment.action, Insert) else []
        rest = sorted((i for i in there if i not in newest), key=lambda i: i.clearance.least_mm)
        return tuple(implant_path(i) for i in [*newest, *rest])

    def _course_of(self, number: int) -> PinCourse | None:
        """The way in bone on which the pin lies after an event."""
        pin = self.told.moments[number].state.pin
        if pin is None:
            return None
        for course in reversed(self.told.courses):
            off = np.cross(course.tip_lps_mm - pin.skin_lps_mm, pin.axis)
            if course.first <= number and float(np.linalg.norm(off)) < _BESIDE_MM:
                return course
        return None

    def _so_far(self, course: PinCourse, tip_lps_mm: Array) -> StepPath | None:
        """A pin's way in bone as far as its tip has come."""
        key = course.first
        if key not in self._courses:
            self._courses[key] = course_clearance(self.session.theatre, course)
        known = self._courses[key]
        whole = course.trajectory
        step = whole.length_mm / len(known.along_mm)
        reached = float((tip_lps_mm - whole.entry_lps_mm) @ whole.axis)
        count = min(round(reached / step), len(known.along_mm))
        if count < 1:
            return None
        ends = whole.entry_lps_mm + np.arange(count + 1)[:, None] * step * whole.axis
        so_far = known.clearance_mm[:count]
        worst = int(np.argmin(so_far))
        name = f"Pin {course.pin} ({course.side}), its whole width"
        return StepPath(name, ends, so_far, float(so_far[worst]), known.structure[worst])


def implant_path(implant: ImplantDebrief) -> StepPath:
    """The path of one implant."""
    path, along = implant.margins.trajectory, implant.clearance
    step = path.length_mm / len(along.along_mm)
    ends = path.entry_lps_mm + np.arange(len(along.along_mm) + 1)[:, None] * step * path.axis
    nearest = min(implant.margins.clearances, key=lambda c: c.envelope_mm)
    return StepPath(implant.name.capitalize(), ends, along.clearance_mm, nearest.envelope_mm, nearest.structure)
