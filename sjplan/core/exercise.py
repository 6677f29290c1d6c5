"""Exercises of the trainer: what somebody is asked to do, on which patient, with which hints, and what passes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal

from sjplan.core.errors import InputError, unknown_name
from sjplan.core.plan import Side, check_side

Kind = Literal["view", "landmark", "judge-pin", "one-pin", "operate"]
Sitting = Literal["one-sitting", "staged"]
Shown = Literal["implant", "pin"]

LEVELS: Final = (1, 2, 3, 4)
"""From looking to the whole operation under difficulties."""

ANY_CASE: Final = "any"
"""The case that the trainee chose."""

VIEWS: Final = ("lateral", "inlet", "outlet")
"""Views that can be asked for: those that have landmarks to be judged by."""

LANDMARKS: Final[Mapping[str, tuple[str, ...]]] = {
    "s1-endplate": ("lateral",),
    "promontory": ("lateral",),
    "posterior-body-line": ("lateral",),
    "alar-line": ("lateral",),
    "iliac-cortical-density": ("lateral",),
    "sciatic-notch": ("lateral",),
    "symphysis-top": ("outlet",),
    **{f"{level}-foramen-{side}": ("outlet",) for level in ("s1", "s2") for side in ("left", "right")},
}
"""Landmarks that can be asked for, each with the views that it is looked for in (CLINICAL.md 2.1)."""

WAYS: Final = ("foramen_S1", "foramen_S2", "canal", "anterior", "superior", "posterior", "notch", "iliac_inner")
"""Structures that an implant may lie out behind on purpose; a foramen is that of its own side."""

ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
"""Ids go into the history and into names that the program makes."""


@dataclass(frozen=True, slots=True)
class ViewTask:
    """Find views of this patient with the C-arm.

    Parameters
    ----------
    views : tuple of str
        Of `VIEWS`, asked for one after another.
    off_deg : float
        How far off the arm stands at the start, at most, in each angle.
    times : float
        A view passes within so many times what a true one keeps (`views.quality`).
    straight_deg : float
        And an inlet or outlet that is turned out of the mid-sagittal plane by no more than this.
    right : int
        How many views have to be right.
    """

    views: tuple[str, ...]
    off_deg: float
    times: float
    straight_deg: float
    right: int
    kind: ClassVar[Kind] = "view"

    def __post_init__(self) -> None:
        _known("views", self.views, VIEWS)
        _within("off_deg", self.off_deg, 1.0, 40.0)
        _within("times", self.times, 0.5, 10.0)
        _within("straight_deg", self.straight_deg, 0.5, 30.0)
        _within("right", self.right, 1, len(self.views))


@dataclass(frozen=True, slots=True)
class Asked:
    """A landmark in one view.

    Examples
    --------
    >>> Asked("s1-endplate", "outlet")
    Traceback (most recent call last):
    sjplan.core.errors.UnknownNameError: view of s1-endplate: found 'outlet'; wanted one of lateral
    """

    landmark: str
    view: str

    def __post_init__(self) -> None:
        _known("landmark", (self.landmark,), LANDMARKS)
        _known(f"view of {self.landmark}", (self.view,), LANDMARKS[self.landmark])


@dataclass(frozen=True, slots=True)
class LandmarkTask:
    """Say where landmarks lie in radiographs of this patient.

    Parameters
    ----------
    asked : tuple of Asked
        What may be asked.
    count : int
        How many of them are, drawn by the seed.
    within_mm : float
        How near the answer has to lie, in the plane of the isocentre.
    right : int
        How many have to be right.
    """

    asked: tuple[Asked, ...]
    count: int
    within_mm: float
    right: int
    kind: ClassVar[Kind] = "landmark"

    def __post_init__(self) -> None:
        _known("asked", self.asked, self.asked)
        _within("count", self.count, 1, len(self.asked))
        _within("within_mm", self.within_mm, 0.5, 30.0)
        _within("right", self.right, 1, self.count)


@dataclass(frozen=True, slots=True)
class JudgePinTask:
    """Say of implants or pins whether they lie in bone, and which view shows it where one does not.

    Parameters
    ----------
    shows : {"implant", "pin"}
        What lies in the patient.
    ways : tuple of str
        Of `WAYS`: behind what one may lie out.
    views : tuple of str
        Of `VIEWS`: offered to look at.
    count : int
        How many are shown, one after another; half of them (rounded up) lie out, in an order drawn by the seed.
    out_mm, deepest_mm : float
        Between these depths one lies out that lies out.
    clear_mm : float
        And so far from everything one lies at least that lies in bone.
    right : int
        How many have to be right.
    """

    shows: Shown
    ways: tuple[str, ...]
    views: tuple[str, ...]
    count: int
    out_mm: float
    deepest_mm: float
    clear_mm: float
    right: int
    kind: ClassVar[Kind] = "judge-pin"

    def __post_init__(self) -> None:
        _known("shows", (self.shows,), ("implant", "pin"))
        _known("ways", self.ways, WAYS)
        _known("views", self.views, VIEWS)
        _within("count", self.count, 1, 20)
        _within("out_mm", self.out_mm, 0.5, 10.0)
        _within("deepest_mm", self.deepest_mm, self.out_mm, 15.0)
        _within("clear_mm", self.clear_mm, 0.0, 5.0)
        _within("right", self.right, 1, self.count)


@dataclass(frozen=True, slots=True)
class OnePinTask:
    """Place one pin: judged by where an implant over it would lie.

    Parameters
    ----------
    model : str
        Id of that implant.
    margin_mm : float
        How far its envelope has to stay from every danger.
    sacral_mm, iliac_mm : float
        Lengths of it that have to lie in sacrum and ilium.
    """

    model: str
    margin_mm: float
    sacral_mm: float
    iliac_mm: float
    kind: ClassVar[Kind] = "one-pin"

    def __post_init__(self) -> None:
        _within("margin_mm", self.margin_mm, -5.0, 10.0)
        _within("sacral_mm", self.sacral_mm, 0.0, 60.0)
        _within("iliac_mm", self.iliac_mm, 0.0, 60.0)


@dataclass(frozen=True, slots=True)
class OperateTask:
    """Operate from start to end: passed without a breach and with so high a rating.

    Parameters
    ----------
    implants : int
        Of each side: 2 or 3.
    rating : float
        Of the score, at least.
    sitting : {"one-sitting", "staged"}
        Staged: one side in one session, the other in a second that begins with the implants of the first.
    replaces : tuple of str
        Of `WAYS`: not empty for a revision, where an earlier implant lies out behind one of them.
    """

    implants: int
    rating: float
    sitting: Sitting = "one-sitting"
    replaces: tuple[str, ...] = ()
    kind: ClassVar[Kind] = "operate"

    def __post_init__(self) -> None:
        _within("implants", self.implants, 2, 3)
        _within("rating", self.rating, 0.0, 100.0)
        _known("sitting", (self.sitting,), ("one-sitting", "staged"))
        if self.replaces:
            _known("replaces", self.replaces, WAYS)


Task = ViewTask | LandmarkTask | JudgePinTask | OnePinTask | OperateTask

TASKS: Final[Mapping[Kind, type[Task]]] = {
    task.kind: task for task in (ViewTask, LandmarkTask, JudgePinTask, OnePinTask, OperateTask)
}
"""Tasks by kind."""


@dataclass(frozen=True, slots=True)
class Exercise:
    """One exercise.

    Parameters
    ----------
    id, title, text : str
        Name for the history, name for people, and what to do.
    level : int
        Of `LEVELS`.
    task : Task
        What is asked, and the pass marks.
    case : str
        A phantom preset's name, or `ANY_CASE`.
    sides : tuple of side
        In the order of a staged operation.
    hints : tuple of str
        Shown one after another, from the first.
    exam : bool
        Whether it may be taken as an exam: without hints.
    limit_s : float or None
        Longest time that passes: of the operation's own clock where there is one, else by the trainee's.

    Raises
    ------
    InputError, UnknownNameError
        Naming the field.

    Examples
    --------
    >>> task = OnePinTask("tri-7", margin_mm=2.0, sacral_mm=15.0, iliac_mm=8.0)
    >>> exercise = Exercise("first-pin", "A first pin", "Place one pin.", 2, task)
    >>> exercise.kind, exercise.sides, exercise.sitting, exercise.revision
    ('one-pin', ('left',), 'one-sitting', False)
    """

    id: str
    title: str
    text: str
    level: int
    task: Task
    case: str = ANY_CASE
    sides: tuple[Side, ...] = ("left",)
    hints: tuple[str, ...] = field(default=())
    exam: bool = True
    limit_s: float | None = None

    def __post_init__(self) -> None:
        if not ID.fullmatch(self.id):
            raise InputError("id", found=repr(self.id[:60]), wanted="1 to 40 small letters, digits and hyphens")
        if self.level not in LEVELS:
            raise InputError("level", found=repr(self.level), wanted=f"{LEVELS[0]} to {LEVELS[-1]}")
        _known("sides", self.sides, tuple(check_side(side) for side in self.sides))
        if self.limit_s is not None:
            _within("limit_s", self.limit_s, 10.0, 36000.0)
        if not isinstance(self.task, OperateTask):
            if isinstance(self.task, OnePinTask) and len(self.sides) != 1:
                raise InputError("sides", found=" and ".join(self.sides), wanted="one side for one pin")
            return
        if self.sitting == "staged" and len(self.sides) != 2:
            raise InputError("sides", found=" and ".join(self.sides), wanted="two sides where the sitting is staged")
        if self.revision and len(self.sides) != 1:
            raise InputError("sides", found=" and ".join(self.sides), wanted="the one side that is revised")

    @property
    def kind(self) -> Kind:
        """What kind of task it is."""
        return self.task.kind

    @property
    def sitting(self) -> Sitting:
        """Both sides in one sitting, or staged."""
        return self.task.sitting if isinstance(self.task, OperateTask) else "one-sitting"

    @property
    def implants(self) -> int:
        """How many implants a side are to be put in; 0 where none is."""
        return self.task.implants if isinstance(self.task, OperateTask) else 0

    @property
    def revision(self) -> bool:
        """Whether an implant of an earlier operation is to be replaced."""
        return isinstance(self.task, OperateTask) and bool(self.task.replaces)

    @property
    def stages(self) -> tuple[tuple[Side, ...], ...]:
        """The sides of each session that it takes."""
        return tuple((side,) for side in self.sides) if self.sitting == "staged" else (self.sides,)

    @property
    def needs_plan(self) -> bool:
        """Whether it can only begin with a plan of each side: what is placed is made of it, or compared with it."""
        return self.kind in ("judge-pin", "operate")


def _known(what: str, names: tuple[object, ...], legal: Mapping[str, object] | tuple[object, ...]) -> None:
    """At least one name, each of them legal, none twice."""
    for name in names:
        if name not in legal:
            raise unknown_name(what, str(name), [str(one) for one in legal])
    if not names:
        raise InputError(what, found="nothing", wanted="at least one")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(what, found=f"{twice} twice", wanted="each of them once")


def _within(what: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise InputError(what, found=f"{value:g}", wanted=f"{low:g} to {high:g}")
