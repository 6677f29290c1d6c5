"""Templating: a plan laid by hand, one implant at a time, as a planner of the operation moves it about.

A `Draft` is frozen; every move makes another. Directions are the surgeon's, in the pelvis's own frame: cranial and
caudal, ventral and dorsal, in and out along the axis. Slots count from 1.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike

from sjplan.core.arrays import Array, check_vector, unit
from sjplan.core.errors import InputError
from sjplan.core.frames import SIDE_SIGN, AnatomicalFrame
from sjplan.core.implant import ImplantModel
from sjplan.core.plan import BY_HAND, Plan, Side, check_side
from sjplan.core.tolerances import LENGTH_TOL_MM
from sjplan.core.trajectory import Trajectory
from sjplan.safety.judge import view_angles_deg
from sjplan.safety.live import LiveJudge
from sjplan.safety.measures import axis_passage
from sjplan.safety.surfaces import MeasuringSurfaces

MOST_IMPLANTS: Final = 3
MOST_MM: Final = 100.0
"""No single move is longer than this."""

STEEPEST_DEG: Final = 75.0
"""No implant is turned farther from straight across than this."""

REACH_MM: Final = 300.0
"""No end of an implant lies farther from the pelvis's origin than this."""

PROTRUSION_MM: Final = 3.0
"""A new implant stands so far out of the ilium (CLINICAL.md 1.3)."""

APART_MM: Final = 20.0
"""A further implant is laid so far from the last one: what the parallel guide is set to first."""

FIRST_MM: Final = 12.0
"""The first implant goes in so far up from the joint's middle (default)."""

ROOM_ALONG_MM: Final = (0.0, 4.0, -4.0, 8.0, -8.0)
ROOM_ACROSS_MM: Final = (0.0, 3.0, -3.0, 6.0, -6.0, 9.0, -9.0)
"""Places that are tried for a new implant, along the joint and across it."""

LEAST_APART_MM: Final = 15.0
"""A new implant is not laid nearer to the axis of another (default): two millimetres more than the limit."""

End = Literal["entry", "tip"]
Pivot = Literal["joint", "entry", "tip"]


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """Implants of one side, laid by hand.

    Parameters
    ----------
    side : {"left", "right"}
        Whose.
    paths : tuple of Trajectory
        None to three; they keep their places when they are moved past each other, and the judge then says so.
    """

    side: Side
    paths: tuple[Trajectory, ...] = ()

    def __post_init__(self) -> None:
        check_side(self.side)
        if len(self.paths) > MOST_IMPLANTS:
            raise InputError("draft", found=f"{len(self.paths)} implants", wanted=f"at most {MOST_IMPLANTS} a side")
        object.__setattr__(self, "paths", tuple(self.paths))

    @property
    def plan(self) -> Plan:
        """As a plan, for the judge; a draft without implants is none."""
        return Plan(self.side, self.paths, BY_HAND)

    def path(self, slot: int) -> Trajectory:
        """One implant.

        Raises
        ------
        InputError
            If there is none of that number.
        """
        if isinstance(slot, bool) or not isinstance(slot, int) or not 1 <= slot <= len(self.paths):
            wanted = f"1 to {len(self.paths)}" if self.paths else "an implant: the draft has none yet"
            raise InputError("slot", found=repr(slot), wanted=wanted)
        return self.paths[slot - 1]

    def with_path(self, slot: int, path: Trajectory) -> Draft:
        """The draft with another implant in a slot."""
        self.path(slot)
        return replace(self, paths=(*self.paths[: slot - 1], path, *self.paths[slot:]))


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """A draft with what it was before and what was undone: every function gives a new one.

    Examples
    --------
    >>> empty = Draft("left")
    >>> stack = Stack(empty).done(Draft("left"))
    >>> stack.undone().draft is empty, stack.undone().redone().draft is stack.draft, stack.redone() is stack
    (True, True, True)
    """

    draft: Draft
    past: tuple[Draft, ...] = field(default=(), repr=False)
    future: tuple[Draft, ...] = field(default=(), repr=False)

    def done(self, draft: Draft) -> Stack:
        """After a move; what was undone before it is gone."""
        return Stack(draft, (*self.past, self.draft)[-MOST_KEPT:])

    def undone(self) -> Stack:
        """One move back; at the first draft the same stack."""
        if not self.past:
            return self
        return Stack(self.past[-1], self.past[:-1], (self.draft, *self.future))

    def redone(self) -> Stack:
        """One move on again, if one was undone."""
        if not self.future:
            return self
        return Stack(self.future[0], (*self.past, self.draft), self.future[1:])


MOST_KEPT: Final = 200
"""Moves that can be undone."""


def moved(
    draft: Draft, slot: int, frame: AnatomicalFrame, *, cranial_mm: float = 0.0, ventral_mm: float = 0.0,
    deeper_mm: float = 0.0,
) -> Draft:  # fmt: skip
    """An implant moved parallel to itself.

    Parameters
    ----------
    draft : Draft
        Before.
    slot : int
        Which implant.
    frame : AnatomicalFrame
        Of the pelvis.
    cranial_mm, ventral_mm : float
        Across the axis; negative is caudal and dorsal. What is across does not change how deep it lies.
    deeper_mm : float
        Along the axis; negative is out.

    Raises
    ------
    InputError
        For a slot without implant, a number that is not finite or too large, or a place out of reach.
    """
    path = draft.path(slot)
    cranial, ventral = across(path.axis, frame)
    shift = (
        _within("cranial_mm", cranial_mm, MOST_MM) * cranial
        + _within("ventral_mm", ventral_mm, MOST_MM) * ventral
        + _within("deeper_mm", deeper_mm, MOST_MM) * path.axis
    )
    return _placed(draft, slot, frame, path.entry_lps_mm + shift, path.tip_lps_mm + shift)


def dragged(draft: Draft, slot: int, frame: AnatomicalFrame, by_lps_mm: ArrayLike) -> Draft:
    """An implant moved parallel to itself by any vector, as a mouse drags it in a slice."""
    path, shift = draft.path(slot), check_vector("by_lps_mm", by_lps_mm)
    return _placed(draft, slot, frame, path.entry_lps_mm + shift, path.tip_lps_mm + shift)


def aimed(draft: Draft, slot: int, frame: AnatomicalFrame, end: End, at_lps_mm: ArrayLike) -> Draft:
    """One end of an implant drawn towards a point: it turns about its other end, and keeps its length."""
    path, at = draft.path(slot), check_vector("at_lps_mm", at_lps_mm)
    if end not in ("entry", "tip"):
        raise InputError("end", found=repr(end), wanted="entry or tip")
    fixed = path.tip_lps_mm if end == "entry" else path.entry_lps_mm
    reach = at - fixed
    if float(np.linalg.norm(reach)) < LENGTH_TOL_MM:
        raise InputError(f"{end} of implant {slot}", found="the place of the other end", wanted="another place")
    free = fixed + path.length_mm * unit(reach)
    return _placed(draft, slot, frame, *((free, fixed) if end == "entry" else (fixed, free)))


def turned(
    draft: Draft, slot: int, surfaces: MeasuringSurfaces, *, cranial_deg: float = 0.0, ventral_deg: float = 0.0,
    about: Pivot = "joint",
) -> Draft:  # fmt: skip
    """An implant turned: by so many degrees in the coronal and in the axial plane of the pelvis.

    Parameters
    ----------
    draft, slot
        As in `moved`.
    surfaces : MeasuringSurfaces
        Of the side, to know where the axis crosses the joint.
    cranial_deg, ventral_deg : float
        The tip goes to the head and to the belly; see `sjplan.safety.judge.view_angles_deg`.
    about : {"joint", "entry", "tip"}
        What stays: where the axis crosses the joint (the middle of the implant, if it crosses none), or an end.

    Raises
    ------
    InputError
        As `moved`; and for more than 75 degrees from straight across.
    """
    path, frame = draft.path(slot), surfaces.anatomy.frame
    before = view_angles_deg(path, surfaces.anatomy, draft.side)
    steps = _within("cranial_deg", cranial_deg, 180.0), _within("ventral_deg", ventral_deg, 180.0)
    rise, fore = (a + b for a, b in zip(before, steps, strict=True))
    for name, angle in (("cranial", rise), ("ventral", fore)):
        if abs(angle) > STEEPEST_DEG:
            raise InputError(f"{name} angle", found=f"{angle:.0f}", wanted=f"at most {STEEPEST_DEG:g} degrees")
    axis = _direction(draft.side, frame, rise, fore)
    along = _pivot_mm(path, surfaces, about)
    pivot = path.entry_lps_mm + along * path.axis
    return _placed(draft, slot, frame, pivot - along * axis, pivot + (path.length_mm - along) * axis)


def rolled(draft: Draft, slot: int, degrees: float) -> Draft:
    """An implant turned about its own axis, right-handed from entry to tip."""
    path = draft.path(slot)
    roll = math.remainder(path.roll_deg + _within("degrees", degrees, 360.0), 360.0)
    return draft.with_path(slot, replace(path, roll_deg=roll))


def resized(draft: Draft, slot: int, frame: AnatomicalFrame, length_mm: float) -> Draft:
    """An implant of another length of its model; its lateral end stays.

    Raises
    ------
    InputError
        For a length that the model does not come in.
    """
    path = draft.path(slot)
    length = min(path.model.lengths_mm, key=lambda own: abs(own - length_mm))
    if not abs(length - length_mm) <= LENGTH_TOL_MM:
        lengths = ", ".join(f"{own:g}" for own in path.model.lengths_mm)
        raise InputError(f"length of {path.model.id}", found=f"{length_mm:g} mm", wanted=f"{lengths} mm")
    return _placed(draft, slot, frame, path.entry_lps_mm, path.entry_lps_mm + length * path.axis)


def remodelled(draft: Draft, slot: int, frame: AnatomicalFrame, model: ImplantModel) -> Draft:
    """An implant of another model on the same axis, in the length that comes nearest; its lateral end stays."""
    path = draft.path(slot)
    length = min(model.lengths_mm, key=lambda own: abs(own - path.length_mm))
    tip = path.entry_lps_mm + length * path.axis
    return _checked_reach(draft.with_path(slot, replace(path, tip_lps_mm=tip, model=model)), slot, frame)


def added(draft: Draft, surfaces: MeasuringSurfaces, model: ImplantModel, length_mm: float) -> Draft:
    """One implant more: the first square to the joint in its upper part; a further one parallel, 20 mm down the joint.

    Raises
    ------
    InputError
        If there are three already, or the model does not come in that length.
    """
    frame = surfaces.anatomy.frame
    if len(draft.paths) >= MOST_IMPLANTS:
        raise InputError("draft", found=f"{len(draft.paths)} implants", wanted=f"at most {MOST_IMPLANTS} a side")
    joint = surfaces.anatomy.joints[draft.side]
    if draft.paths:
        axis, point = draft.paths[-1].axis, draft.paths[-1].entry_lps_mm
        point = point + APART_MM * _down_the_joint(joint.sacral_lps_mm, axis, frame)
    else:
        axis, middle = unit(joint.mean_normal), joint.sacral_lps_mm.mean(axis=0)
        point = middle - FIRST_MM * _down_the_joint(joint.sacral_lps_mm, axis, frame)
    reach = max(model.lengths_mm)
    line = Trajectory(point - reach * axis, point + reach * axis, 0.0, model)
    lateral = axis_passage(surfaces, line).lateral_mm
    entry = point - 25.0 * axis if lateral is None else line.entry_lps_mm + (lateral - PROTRUSION_MM) * axis
    path = Trajectory(entry, entry + min(model.lengths_mm) * axis, 0.0, model)
    grown = replace(draft, paths=(*draft.paths, path))
    return resized(grown, len(grown.paths), frame, length_mm)


def _down_the_joint(points_lps_mm: Array, axis: Array, frame: AnatomicalFrame) -> Array:
    """Unit vector square to an axis along which the joint is longest, towards its caudal end."""
    longest = np.linalg.svd(points_lps_mm - points_lps_mm.mean(axis=0), full_matrices=False)[2][0]
    caudal = longest if longest @ frame.cranial < 0.0 else -longest
    return unit(caudal - (caudal @ axis) * axis)


def with_most_room(draft: Draft, slot: int, live: LiveJudge) -> Draft:
    """An implant shifted across its axis, by a centimetre or so, to where its least slack is largest, and seated there.

    No search for a plan: the best of some places near by, for a hand to begin from. It stays clear of the others.
    """
    path, frame = draft.path(slot), live.surfaces.anatomy.frame
    down = _down_the_joint(live.surfaces.anatomy.joints[draft.side].sacral_lps_mm, path.axis, frame)
    aside = np.cross(path.axis, down)
    others = [other for n, other in enumerate(draft.paths, 1) if n != slot]
    best, most = draft, -math.inf
    for along, across_mm in itertools.product(ROOM_ALONG_MM, ROOM_ACROSS_MM):
        there = _seated(dragged(draft, slot, frame, along * down + across_mm * aside), slot, live.surfaces)
        middle = 0.5 * (there.path(slot).entry_lps_mm + there.path(slot).tip_lps_mm)
        if any(_beside_mm(middle, other) < LEAST_APART_MM for other in others):
            continue
        seen = live.glance(slot, there.path(slot))
        if seen.crosses and seen.near[0].slack_mm > most:
            best, most = there, seen.near[0].slack_mm
    return best


def laid_with_room(draft: Draft, live: LiveJudge, model: ImplantModel, length_mm: float) -> Draft:
    """One implant more where there is most room near by; a shorter one where this length is too long for all of it.

    Raises
    ------
    InputError
        As `added`.
    """
    first = None
    for length in (length_mm, *sorted((own for own in model.lengths_mm if own < length_mm), reverse=True)):
        grown = added(draft, live.surfaces, model, length)
        slot = len(grown.paths)
        grown = with_most_room(grown, slot, live)
        first = first or grown
        seen = live.glance(slot, grown.path(slot))
        if seen.crosses and seen.near[0].slack_mm >= 0.0:
            return grown
    assert first is not None
    return first


def _seated(draft: Draft, slot: int, surfaces: MeasuringSurfaces) -> Draft:
    """An implant pushed in or drawn out until it stands out of the ilium as far as a new one does."""
    lateral = axis_passage(surfaces, draft.path(slot)).lateral_mm
    if lateral is None or abs(lateral) > MOST_MM:
        return draft
    return moved(draft, slot, surfaces.anatomy.frame, deeper_mm=lateral - PROTRUSION_MM)


def _beside_mm(point: Array, path: Trajectory) -> float:
    """How far a point lies from an implant's axis."""
    off = point - path.entry_lps_mm
    return float(np.linalg.norm(off - (off @ path.axis) * path.axis))


def removed(draft: Draft, slot: int) -> Draft:
    """One implant less."""
    draft.path(slot)
    return replace(draft, paths=(*draft.paths[: slot - 1], *draft.paths[slot:]))


def cranial_first(draft: Draft, frame: AnatomicalFrame) -> Draft:
    """The same implants in the order of a plan."""

    def height(path: Trajectory) -> float:
        return float(frame.frame_from_lps(0.5 * (path.entry_lps_mm + path.tip_lps_mm))[2])

    return replace(draft, paths=tuple(sorted(draft.paths, key=height, reverse=True)))


def across(axis: Array, frame: AnatomicalFrame) -> tuple[Array, Array]:
    """Unit vectors square to an axis and to each other, towards head and belly."""
    cranial = unit(frame.cranial - (frame.cranial @ axis) * axis)
    ventral = np.cross(axis, cranial)
    return cranial, np.asarray(ventral if ventral @ frame.posterior < 0.0 else -ventral)


def _direction(side: Side, frame: AnatomicalFrame, cranial_deg: float, ventral_deg: float) -> Array:
    """The inverse of `view_angles_deg`."""
    rise, fore = (math.tan(math.radians(a)) for a in (cranial_deg, ventral_deg))
    return unit(np.array((-SIDE_SIGN[side], -fore, rise)) @ frame.axes)


def _pivot_mm(path: Trajectory, surfaces: MeasuringSurfaces, about: Pivot) -> float:
    if about == "joint":
        crossing = axis_passage(surfaces, path).crossing_mm
        return 0.5 * path.length_mm if crossing is None else crossing
    if about not in ("entry", "tip"):
        raise InputError("about", found=repr(about), wanted="joint, entry or tip")
    return 0.0 if about == "entry" else path.length_mm


def _within(name: str, value: float, most: float) -> float:
    """The number, if it is finite and no larger than it may be."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or abs(value) > most:
        raise InputError(name, found=repr(value), wanted=f"a number from {-most:g} to {most:g}")
    return float(value)


def _placed(draft: Draft, slot: int, frame: AnatomicalFrame, entry_lps_mm: Array, tip_lps_mm: Array) -> Draft:
    path = replace(draft.path(slot), entry_lps_mm=entry_lps_mm, tip_lps_mm=tip_lps_mm)
    return _checked_reach(draft.with_path(slot, path), slot, frame)


def checked_reach(draft: Draft, frame: AnatomicalFrame) -> Draft:
    """The draft, if all of it lies within reach of the pelvis.

    Raises
    ------
    InputError
        Naming the implant that does not.
    """
    for slot in range(1, len(draft.paths) + 1):
        _checked_reach(draft, slot, frame)
    return draft


def _checked_reach(draft: Draft, slot: int, frame: AnatomicalFrame) -> Draft:
    path = draft.path(slot)
    far = max(float(np.linalg.norm(end - frame.origin_lps_mm)) for end in (path.entry_lps_mm, path.tip_lps_mm))
    if far > REACH_MM:
        raise InputError(
            f"implant {slot}", found=f"an end {far:.0f} mm off the pelvis", wanted=f"within {REACH_MM:g} mm"
        )
    return draft
