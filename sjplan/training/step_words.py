"""Every step of an operation in a short sentence: what was done, and what the hand and the instruments said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sjplan.training.actions import MoveArm
from sjplan.training.process import meant

_ANGLES: Final = (("orbital", "orbital_deg"), ("tilt", "tilt_deg"), ("wig-wag", "wig_wag_deg"))
_SHIFTS: Final = (("across", "across_mm"), ("lift", "lift_mm"), ("along", "along_mm"))


def step_words(event: Mapping[str, Any], arm: MoveArm) -> str:
    """One event of a log in words.

    Parameters
    ----------
    event : mapping
        As the log has it.
    arm : MoveArm
        Where the C-arm stood then.

    Examples
    --------
    >>> step_words({"action": {"do": "tap-pin", "blows": 3, "joules": 1.0}, "feel": {"advanced_mm": 4.2}}, MoveArm())
    'Pin tapped, 3 blows of 1 J: 4.2 mm forward'
    >>> step_words({"action": {"do": "shoot", "mode": "fluoroscopy", "seconds": 0.3}}, MoveArm(tilt_deg=40.0))
    'Shot: outlet (orbital 0°, tilt 40°)'
    >>> step_words({"action": {"do": "finish"}, "refused": "a pin is in: take it out"}, MoveArm())
    'Finished, refused: a pin is in: take it out'
    """
    action = event["action"]
    text = _done(action, arm)
    if "refused" in event:
        return f"{text}, refused: {event['refused']}"
    return text + _found(action["do"], event.get("feel") or {}, event.get("said") or {})


def arm_words(arm: MoveArm) -> str:
    """The view that an arm is meant for, and its angles.

    Examples
    --------
    >>> arm_words(MoveArm(orbital_deg=88.0, wig_wag_deg=-4.0))
    'lateral (orbital 88°, tilt 0°, wig-wag −4°)'
    """
    angles = [(name, round(getattr(arm, key))) for name, key in _ANGLES]
    parts = [f"{name} {_signed(angle)}°" for name, angle in angles if angle or name != "wig-wag"]
    return f"{meant(arm)} ({', '.join(parts)})"


def _done(action: Mapping[str, Any], arm: MoveArm) -> str:
    """What was done, or attempted."""
    do = str(action["do"])
    if do == "move-arm":
        to = MoveArm(**{name: value for name, value in action.items() if name != "do"})
        moved = [(name, round(getattr(to, key))) for name, key in _SHIFTS]
        shifts = [f"{name} {_signed(mm)} mm" for name, mm in moved if mm]
        return ", ".join([f"C-arm to {arm_words(to)}", *shifts])
    if do == "shoot":
        long = float(action.get("seconds", 0.0))
        pulse = f", {long:.1f} s" if long >= 0.5 else ""
        return f"Shot: {arm_words(arm)}{pulse}"
    sentence = _SENTENCES.get(do)
    return sentence(action) if sentence is not None else do.replace("-", " ").capitalize()


def _found(do: str, feel: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    """What was felt or read."""
    if "depth_mm" in said:
        return f": {said['depth_mm']:g} mm in bone"
    if feel.get("skidded_mm"):
        return f": the tip skids {feel['skidded_mm']:.1f} mm along the cortex"
    if do in ("push-pin", "tap-pin", "drill") and feel.get("advanced_mm", 0.0) >= 0.05:
        return f": {feel['advanced_mm']:.1f} mm forward"
    return ""


def _aim(action: Mapping[str, Any]) -> str:
    """A pin's two angles."""
    cranial, ventral = float(action.get("cranial_deg", 0.0)), float(action.get("ventral_deg", 0.0))
    up = f"{abs(cranial):.0f}° {'cranial' if cranial >= 0 else 'caudal'}"
    return f"{up}, {abs(ventral):.0f}° {'ventral' if ventral >= 0 else 'dorsal'}"


def _mm(value: float) -> str:
    return f"{value:g} mm"


def _signed(value: int) -> str:
    return f"{value}".replace("-", "\u2212")


_SENTENCES: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "mark-skin": lambda a: f"Skin marked, {a['side']}",
    "place-pin": lambda a: f"Pin set on the skin, {a['side']}, aimed {_aim(a)}",
    "place-parallel": lambda a: f"Pin set by the parallel guide, {a['side']}, {_mm(a['apart_mm'])} from the last",
    "tilt-pin": lambda a: f"Pin turned to {_aim(a)}",
    "push-pin": lambda a: "Pin pushed by hand",
    "tap-pin": lambda a: f"Pin tapped, {a['blows']} blow{'s' * (a['blows'] != 1)} of {a['joules']:g} J",
    "withdraw-pin": lambda a: "Pin drawn back",
    "measure-depth": lambda a: "Depth gauge",
    "drill": lambda a: f"Drilled to {_mm(a['depth_mm'])}",
    "broach": lambda a: f"Broached to {_mm(a['depth_mm'])}",
    "insert": lambda a: f"Implant {a['model']}, {_mm(a['length_mm'])}, driven in",
    "back-out": lambda a: f"Last implant taken out, {a['side']}",
    "finish": lambda a: "Finished",
}
