"""What a trainee can do: one frozen value for every move in the operating room, and its plain form for the log.

Places along and across the patient are those of table and C-arm: `up_mm` is LPS y (towards the back of a prone
patient), `along_mm` LPS z (to the head).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from sjplan.core.errors import InputError, unknown_name
from sjplan.core.plan import Side, check_side
from sjplan.xray.device import Mode


@dataclass(frozen=True, slots=True)
class MoveArm:
    """Turn the C-arm and move table and lift: to the six numbers where they are to stand.

    Angles are the arm's own, in degrees; table and lift count in mm from where they stood first.
    """

    orbital_deg: float = 0.0
    tilt_deg: float = 0.0
    wig_wag_deg: float = 0.0
    across_mm: float = 0.0
    lift_mm: float = 0.0
    along_mm: float = 0.0

    @property
    def travel_mm(self) -> tuple[float, float, float]:
        """Of table and lift."""
        return self.across_mm, self.lift_mm, self.along_mm


@dataclass(frozen=True, slots=True)
class Shoot:
    """Take a radiograph: one frame, or pulsed for so many seconds."""

    mode: Mode = "fluoroscopy"
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class MarkSkin:
    """Mark the skin of one side."""

    side: Side
    up_mm: float
    along_mm: float


@dataclass(frozen=True, slots=True)
class WipeMark:
    """Wipe the last mark off the skin."""


@dataclass(frozen=True, slots=True)
class PlacePin:
    """Set a pin's tip on the skin, turned so many degrees cranially and ventrally from straight across."""

    side: Side
    up_mm: float
    along_mm: float
    cranial_deg: float = 0.0
    ventral_deg: float = 0.0


@dataclass(frozen=True, slots=True)
class PlaceParallel:
    """Set the next pin by the parallel guide: so far from the last path of this side, towards caudal and ventral."""

    side: Side
    apart_mm: float = 20.0
    ventral_deg: float = 0.0


@dataclass(frozen=True, slots=True)
class TiltPin:
    """Turn the pin: so many degrees cranially and ventrally from straight across."""

    cranial_deg: float
    ventral_deg: float


@dataclass(frozen=True, slots=True)
class PushPin:
    """Push the pin by hand: bone stops it."""

    distance_mm: float


@dataclass(frozen=True, slots=True)
class TapPin:
    """Drive the pin with a mallet: so many blows of so much energy."""

    blows: int = 1
    joules: float = 1.0


@dataclass(frozen=True, slots=True)
class WithdrawPin:
    """Draw the pin back; all the way takes it out."""

    distance_mm: float


@dataclass(frozen=True, slots=True)
class MeasureDepth:
    """Read the depth gauge over the pin: from the lateral cortex to its tip."""


@dataclass(frozen=True, slots=True)
class Drill:
    """Drill over the pin, to so deep from the lateral cortex."""

    depth_mm: float


@dataclass(frozen=True, slots=True)
class Broach:
    """Broach over the pin, to so deep from the lateral cortex."""

    depth_mm: float
    roll_deg: float = 0.0


@dataclass(frozen=True, slots=True)
class Insert:
    """Drive an implant over the pin until its lateral end stands so far out of the ilium, and take the pin out."""

    model: str
    length_mm: float
    protrusion_mm: float = 3.0
    roll_deg: float = 0.0


@dataclass(frozen=True, slots=True)
class BackOut:
    """Take the last implant of a side out again."""

    side: Side


@dataclass(frozen=True, slots=True)
class Finish:
    """End the operation."""


Action = (
    MoveArm | Shoot | MarkSkin | WipeMark | PlacePin | PlaceParallel | TiltPin | PushPin | TapPin | WithdrawPin
    | MeasureDepth | Drill | Broach | Insert | BackOut | Finish
)  # fmt: skip

KINDS: Final[Mapping[str, type[Action]]] = {
    "move-arm": MoveArm,
    "shoot": Shoot,
    "mark-skin": MarkSkin,
    "wipe-mark": WipeMark,
    "place-pin": PlacePin,
    "place-parallel": PlaceParallel,
    "tilt-pin": TiltPin,
    "push-pin": PushPin,
    "tap-pin": TapPin,
    "withdraw-pin": WithdrawPin,
    "measure-depth": MeasureDepth,
    "drill": Drill,
    "broach": Broach,
    "insert": Insert,
    "back-out": BackOut,
    "finish": Finish,
}
"""Actions by the name that the log has for them."""

LIMITS: Final[Mapping[str, tuple[float, float]]] = {
    "orbital_deg": (-180.0, 180.0),
    "tilt_deg": (-90.0, 90.0),
    "wig_wag_deg": (-90.0, 90.0),
    "across_mm": (-1000.0, 1000.0),
    "lift_mm": (-1000.0, 1000.0),
    "along_mm": (-3000.0, 3000.0),
    "up_mm": (-3000.0, 3000.0),
    "seconds": (0.0, 60.0),
    "cranial_deg": (-75.0, 75.0),
    "ventral_deg": (-75.0, 75.0),
    "apart_mm": (5.0, 60.0),
    "distance_mm": (0.0, 300.0),
    "blows": (1, 50),
    "joules": (0.1, 3.0),
    "depth_mm": (0.0, 200.0),
    "length_mm": (1.0, 200.0),
    "protrusion_mm": (-30.0, 60.0),
    "roll_deg": (-360.0, 360.0),
}
"""Smallest and largest value of every number in an action; more is a slip of the hand or of a program."""

_WORDS: Final = {"mode": ("fluoroscopy", "single-shot")}


def name_of(action: Action) -> str:
    """Name of an action's kind.

    Examples
    --------
    >>> name_of(TapPin())
    'tap-pin'
    """
    return next(name for name, kind in KINDS.items() if type(action) is kind)


def as_dict(action: Action) -> dict[str, Any]:
    """Plain values, as the log holds them.

    Examples
    --------
    >>> as_dict(Drill(32.0))
    {'do': 'drill', 'depth_mm': 32.0}
    """
    return {"do": name_of(action), **asdict(action)}


def from_dict(plain: Mapping[str, Any]) -> Action:
    """The action that `as_dict` wrote, checked as if a stranger had.

    Raises
    ------
    UnknownNameError
        For an action, a side or a mode that does not exist.
    InputError
        For a field that is unknown, missing, of another type or out of `LIMITS`.

    Examples
    --------
    >>> from_dict({"do": "tap-pin", "blows": 3})
    TapPin(blows=3, joules=1.0)
    """
    given = dict(plain)
    do = given.pop("do", None)
    if do not in KINDS:
        raise unknown_name("action", str(do), KINDS)
    kind = KINDS[do]
    names = [f.name for f in fields(kind)]
    for name in given:
        if name not in names:
            raise InputError(f"action {do}", found=f"{name!r}", wanted="only " + (", ".join(names) or "no fields"))
    try:
        return checked(kind(**given))
    except TypeError:
        missing = [name for name in names if name not in given]
        raise InputError(f"action {do}", found=f"no {', '.join(missing)}", wanted=", ".join(names)) from None


def checked(action: Action) -> Action:
    """The action, if every value in it is of its type and within `LIMITS`.

    Raises
    ------
    UnknownNameError, InputError
        As `from_dict`.
    """
    values: dict[str, Any] = {}
    for item in fields(action):
        value = getattr(action, item.name)
        values[item.name] = _checked_value(f"{name_of(action)} {item.name}", item.name, value)
    return type(action)(**values)


def _checked_value(what: str, name: str, value: Any) -> float | int | str:
    if name == "side":
        return check_side(str(value))
    if name in _WORDS:
        if value not in _WORDS[name]:
            raise unknown_name(what, str(value), _WORDS[name])
        return str(value)
    if name == "model":
        return str(value)
    low, high = LIMITS[name]
    whole = name == "blows"
    number = isinstance(value, int) or (isinstance(value, float) and (not whole or value.is_integer()))
    if isinstance(value, bool) or not number or not math.isfinite(value) or not low <= value <= high:
        kind = "a whole number, " if whole else ""
        raise InputError(what, found=f"{value!r}", wanted=f"{kind}{low:g} to {high:g}")
    return int(value) if whole else float(value)
