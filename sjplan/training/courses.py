"""Every way that a guide pin took into bone, also those that were given up, and how clear of dangers each was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.implant import ImplantModel
from sjplan.core.plan import Side
from sjplan.core.trajectory import Trajectory
from sjplan.safety.measures import PIN_RADIUS_MM
from sjplan.safety.path_clearance import PathClearance, path_clearance
from sjplan.training.happenings import Moment
from sjplan.training.pin import PIN_LENGTH_MM, SEATED_MM, Pin, held
from sjplan.training.state import Passage
from sjplan.training.theatre import Theatre

End = Literal["implant", "taken out", "drawn back", "turned", "in place"]

GUIDE_PIN: Final = ImplantModel("pin", "guide pin, 3.2 mm", "cylinder", PIN_RADIUS_MM, PIN_RADIUS_MM, (PIN_LENGTH_MM,))

_SAME_LINE_MM: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class PinCourse:
    """One straight way of a pin in bone, at its deepest.

    Parameters
    ----------
    pin : int
        Number of the pin, from 1, in the order in which they were set on the skin.
    side : {"left", "right"}
        Where it was put in.
    first, last : int
        Events with which this line began, and after which it was deepest.
    entry_lps_mm, tip_lps_mm : (3,) float
        Where it entered bone, and its tip.
    end : str
        What became of it: an implant, taken out, drawn back, turned, or still in place.
    """

    pin: int
    side: Side
    first: int
    last: int
    entry_lps_mm: Array
    tip_lps_mm: Array
    end: End

    @property
    def trajectory(self) -> Trajectory:
        """The part in bone as a solid."""
        return Trajectory(self.entry_lps_mm, self.tip_lps_mm, 0.0, GUIDE_PIN)

    @property
    def text(self) -> str:
        """In words."""
        depth = float(np.linalg.norm(self.tip_lps_mm - self.entry_lps_mm))
        return f"pin {self.pin} ({self.side}), {depth:.0f} mm deep, {_ENDS[self.end]}"


_ENDS: Final = {
    "implant": "became an implant",
    "taken out": "taken out",
    "drawn back": "drawn back",
    "turned": "turned",
    "in place": "in place",
}


def pin_courses(theatre: Theatre, moments: tuple[Moment, ...]) -> tuple[PinCourse, ...]:
    """Every straight way that a pin took into bone, in order; what bone never held is left out."""
    found: list[PinCourse] = []
    number, first, deepest = 0, 0, 0
    pin: Pin | None = None
    for moment in moments:
        now = moment.state.pin
        goes_on = pin is not None and now is not None and _same_line(pin, now) and now.depth_mm >= pin.depth_mm
        if pin is not None and not goes_on:
            found += _course(theatre, number, first, deepest, pin, _end(moment, pin, now))
        if moment.before.pin is None and now is not None:
            number += 1
        if not goes_on:
            first = deepest = moment.number
        elif pin is not None and now is not None and now.depth_mm > pin.depth_mm:
            deepest = moment.number
        pin = now
    if pin is not None:
        found += _course(theatre, number, first, deepest, pin, "in place")
    return tuple(found)


def course_clearance(theatre: Theatre, course: PinCourse) -> PathClearance:
    """Clearance along a pin's way in bone, ready for a chart."""
    return path_clearance(theatre.surfaces(course.side), course.trajectory)


def follows(pin: Pin, passage: Passage) -> bool:
    """Whether a pin lies on the line that a path was drilled along."""
    off = np.cross(passage.entry_lps_mm - pin.skin_lps_mm, pin.axis)
    same = pin.side == passage.side and bool(np.array_equal(pin.axis, passage.axis))
    return same and float(np.linalg.norm(off)) < _SAME_LINE_MM


def _same_line(one: Pin, other: Pin) -> bool:
    return np.array_equal(one.axis, other.axis) and np.array_equal(one.skin_lps_mm, other.skin_lps_mm)


def _end(moment: Moment, pin: Pin, now: Pin | None) -> End:
    if now is None:
        return "implant" if len(moment.state.implants) > len(moment.before.implants) else "taken out"
    return "drawn back" if _same_line(pin, now) else "turned"


def _course(theatre: Theatre, number: int, first: int, last: int, pin: Pin, end: End) -> tuple[PinCourse, ...]:
    where = held(theatre.tissue, pin)
    if where.first_mm is None or where.bone_mm < SEATED_MM:
        return ()
    entry = np.asarray(pin.skin_lps_mm + where.first_mm * pin.axis)
    return (PinCourse(number, pin.side, first, last, entry, pin.tip_lps_mm, end),)
