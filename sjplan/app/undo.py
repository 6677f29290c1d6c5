"""What an operation lets one take back: a wish that nobody has followed yet, and what a hand can really reverse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sjplan.training import actions as act
from sjplan.training.actions import Action, MoveArm
from sjplan.training.state import State

_WHY: Final[Mapping[str, str]] = {
    "shoot": "X-rays that were given cannot be taken back",
    "move-arm": "the arm stands where it was sent: send it elsewhere",
    "wipe-mark": "the mark is wiped off: set it again",
    "place-pin": "the pin has gone in: draw it back or out",
    "place-parallel": "the pin has gone in: draw it back or out",
    "tilt-pin": "the pin has been turned: turn it back by its numbers",
    "push-pin": "tissue that a pin has passed stays passed: draw it back",
    "tap-pin": "bone that a pin has passed stays passed: draw it back",
    "withdraw-pin": "the pin has been drawn back: place or push it again",
    "drill": "what is drilled stays drilled",
    "broach": "what is broached stays broached",
    "back-out": "the implant is out: insert one again",
    "finish": "the operation is over",
}
"""Why the last thing that was done cannot be undone, and what can be done instead."""

_TRACELESS: Final = frozenset({"measure-depth"})
"""What leaves nothing behind that could be undone: looked past."""


@dataclass(frozen=True, slots=True)
class Undo:
    """What can be taken back now.

    Parameters
    ----------
    words : str
        What it undoes; "" where there is nothing.
    why : str
        Why there is nothing.
    action : Action or None
        What is really done; None for a wish of the arm, which costs nothing.
    """

    words: str = ""
    why: str = ""
    action: Action | None = None


def undo_of(state: State, events: list[dict[str, Any]], before: MoveArm | None) -> Undo:
    """What the last thing was, and whether the operation has a way back from it.

    Parameters
    ----------
    state : State
        Of the operation.
    events : list of dict
        Its log.
    before : MoveArm or None
        Where the arm was wanted before its last wish, if it has not gone there yet.

    Examples
    --------
    >>> undo_of(State(), [], MoveArm(orbital_deg=90.0)).words
    'arm back to orbital 90°, tilt 0°, wig-wag 0°'
    >>> undo_of(State(), [{"action": {"do": "shoot"}}], None).why
    'X-rays that were given cannot be taken back'
    """
    if before is not None:
        return Undo(_wish(before))
    done = [e["action"] for e in events if "refused" not in e and e["action"]["do"] not in _TRACELESS]
    if not done:
        return Undo(why="nothing has been done yet")
    last = done[-1]
    do = last["do"]
    if do == "mark-skin" and state.marks_lps_mm:
        return Undo("wipe the last mark off", action=act.WipeMark())
    if do in ("place-pin", "place-parallel") and state.pin is not None and state.pin.depth_mm == 0.0:
        return Undo("take the pin off the skin", action=act.WithdrawPin(1.0))
    if do == "insert" and state.implants:
        return Undo("back the implant out (3 minutes)", action=act.BackOut(state.implants[-1].side))
    return Undo(why=_WHY.get(do, "there is no way back from that"))


def _wish(arm: MoveArm) -> str:
    turned = f"orbital {arm.orbital_deg:.0f}°, tilt {arm.tilt_deg:.0f}°, wig-wag {arm.wig_wag_deg:.0f}°"
    carried = [f"{name} {mm:.0f} mm" for name, mm in zip(("across", "lift", "along"), arm.travel_mm, strict=True) if mm]
    return f"arm back to {', '.join((turned, *carried))}"
