"""What each action does to the state of an operation: what can be done when, what it costs, and what happens inside.

Times are defaults: an operation of three implants takes some 45 minutes (INSITE 44.9 +- 22.3, CLINICAL.md 3.3), most of
it between the shots.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.errors import SjplanError, unknown_name
from sjplan.core.tolerances import LENGTH_TOL_MM
from sjplan.core.trajectory import Trajectory
from sjplan.training import actions as act
from sjplan.training.pin import (
    BENT_DEG,
    PIN_LENGTH_MM,
    Feel,
    Held,
    Pin,
    direction,
    held,
    pushed,
    tapped,
    tilted,
    withdrawn,
)
from sjplan.training.state import Implanted, Passage, State
from sjplan.training.theatre import Theatre
from sjplan.xray.types import CArm

MOST_IMPLANTS: Final = 3
"""Of one side (NICE IPG578: typically three)."""

LEAST_SEAT_MM: Final = 10.0
"""A drill or an implant is not guided by a pin that bone holds for less."""

BEYOND_PIN_MM: Final = 2.0
"""A drill that goes farther beyond the pin's tip than this runs off it."""

DRAG_PER_MM: Final = 0.01
DRAG_PER_MM_DEG: Final = 0.02
"""How much of each drilled millimetre the pin is carried along, and how much more for each degree that it is bent
(default); twice that at most, by chance. "Pin must not advance" (CLINICAL.md 2.6)."""

NEAR_MM: Final = 2.0
"""A tip inside bone that comes nearer than this to a danger is a near miss."""

SECONDS: Final[Mapping[str, float]] = {
    "shoot": 4.0,
    "mark-skin": 8.0,
    "wipe-mark": 8.0,
    "place-pin": 20.0,
    "place-parallel": 30.0,
    "tilt-pin": 6.0,
    "push-pin": 5.0,
    "tap-pin": 2.0,
    "withdraw-pin": 6.0,
    "measure-depth": 20.0,
    "drill": 40.0,
    "broach": 45.0,
    "insert": 90.0,
    "back-out": 180.0,
    "finish": 0.0,
}
"""How long each action takes, a blow of the mallet for tap-pin (default)."""

SECONDS_PER_DEG, SECONDS_PER_TRAVEL_MM = 0.15, 0.05
SECONDS_OF_A_MOVE: Final = 3.0
SECONDS_PER_DRILLED_MM: Final = 0.7
"""Of C-arm, table and drill (default)."""


class Refused(Exception):
    """An action that cannot be done now: a sentence that says why and what could be done instead."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What an action did.

    Parameters
    ----------
    state : State
        After it.
    feel : Feel or None
        What the hand felt.
    said : mapping
        What the trainee reads off: a depth, a length.
    hidden : tuple of mapping
        What happened inside the patient, for the debrief: each names an `event`.
    """

    state: State
    feel: Feel | None = None
    said: Mapping[str, Any] = field(default_factory=dict)
    hidden: tuple[Mapping[str, Any], ...] = ()


def applied(theatre: Theatre, state: State, action: act.Action, rng: np.random.Generator) -> Effect:
    """What an action does.

    Raises
    ------
    Refused
        If it cannot be done now; nothing has changed then.
    """
    if state.finished:
        raise Refused("the operation is over")
    effect = _MOVES[type(action)](theatre, state, action, rng)
    cost = SECONDS.get(act.name_of(action), 0.0)
    cost *= action.blows if isinstance(action, act.TapPin) else 1
    return replace(effect, state=replace(effect.state, seconds=effect.state.seconds + cost))


def pose(theatre: Theatre, arm: act.MoveArm) -> CArm:
    """The C-arm as its six numbers put it, beside the patient as they lie.

    Raises
    ------
    GeometryError
        Where the device does not go there.
    """
    turned = replace(
        theatre.start, orbital_deg=arm.orbital_deg, tilt_deg=arm.tilt_deg, wig_wag_deg=arm.wig_wag_deg
    )  # fmt: skip
    there = theatre.maker.device.pose(turned, arm.travel_mm)
    return there if theatre.lie is None else theatre.lie.in_patient(there, theatre.start.isocentre_lps_mm)


def frames_of(theatre: Theatre, shot: act.Shoot) -> int:
    """How many frames a shot takes: one, or as many as the device makes in its seconds."""
    return max(1, round(shot.seconds * theatre.maker.device.frames_per_s))


def metal(state: State) -> tuple[tuple[Trajectory, ...], tuple[tuple[Array, Array], ...]]:
    """Implants and pins that a radiograph shows."""
    pins = () if state.pin is None else ((state.pin.outer_end_lps_mm, state.pin.tip_lps_mm),)
    return tuple(i.trajectory for i in state.implants), pins


def _move_arm(theatre: Theatre, state: State, action: act.MoveArm, rng: np.random.Generator) -> Effect:
    try:
        pose(theatre, action)
    except SjplanError as error:
        raise Refused(str(error)) from None
    turns = [abs(getattr(action, f.name) - getattr(state.arm, f.name)) for f in fields(action)]
    cost = SECONDS_OF_A_MOVE + SECONDS_PER_DEG * max(turns[:3]) + SECONDS_PER_TRAVEL_MM * max(turns[3:])
    return Effect(replace(state, arm=action, seconds=state.seconds + cost))


def _shoot(theatre: Theatre, state: State, action: act.Shoot, rng: np.random.Generator) -> Effect:
    device, frames = theatre.maker.device, frames_of(theatre, action)
    implants, pins = metal(state)
    exposure = theatre.exposure(pose(theatre, state.arm), implants, pins, action.mode)
    shown = replace(
        state,
        shots=state.shots + 1,
        seconds=state.seconds + action.seconds,
        fluoroscopy_s=state.fluoroscopy_s + frames / device.frames_per_s,
        dose_area_ugy_m2=state.dose_area_ugy_m2 + frames * exposure.dose_area_ugy_m2,
    )
    return Effect(shown, said={"kvp": exposure.kvp, "frames": frames})


def _mark_skin(theatre: Theatre, state: State, action: act.MarkSkin, rng: np.random.Generator) -> Effect:
    return Effect(replace(state, marks_lps_mm=(*state.marks_lps_mm, _skin(theatre, action))))


def _wipe_mark(theatre: Theatre, state: State, action: act.WipeMark, rng: np.random.Generator) -> Effect:
    if not state.marks_lps_mm:
        raise Refused("there is no mark on the skin")
    return Effect(replace(state, marks_lps_mm=state.marks_lps_mm[:-1]))


def _place_pin(theatre: Theatre, state: State, action: act.PlacePin, rng: np.random.Generator) -> Effect:
    _require_free(state, action.side)
    axis = direction(action.side, action.cranial_deg, action.ventral_deg)
    return Effect(_with_new_pin(state, Pin(action.side, _skin(theatre, action), axis)))


def _place_parallel(theatre: Theatre, state: State, action: act.PlaceParallel, rng: np.random.Generator) -> Effect:
    _require_free(state, action.side)
    before = state.of_side(action.side)
    if not before:
        raise Refused(f"no implant on the {action.side} to guide from: place the first pin by hand")
    path = before[-1].passage
    angle = np.deg2rad(action.ventral_deg)
    down = np.array([0.0, -np.sin(angle), -np.cos(angle)])
    down -= (down @ path.axis) * path.axis
    point = path.entry_lps_mm + action.apart_mm * down / np.linalg.norm(down)
    skin = theatre.tissue.skin_on_line(point, path.axis)
    if skin is None:
        raise Refused("the guide points beside the patient")
    return Effect(_with_new_pin(state, Pin(action.side, skin, path.axis)))


def _tilt_pin(theatre: Theatre, state: State, action: act.TiltPin, rng: np.random.Generator) -> Effect:
    pin = _pin(state)
    _require_no_passage(state)
    turned = tilted(theatre.tissue, pin, direction(pin.side, action.cranial_deg, action.ventral_deg))
    again = state.redirections + state.reached_bone
    return _after(theatre, replace(state, redirections=again), pin, turned, None)


def _push_pin(theatre: Theatre, state: State, action: act.PushPin, rng: np.random.Generator) -> Effect:
    pin = _pin(state)
    moved, feel = pushed(theatre.tissue, pin, action.distance_mm)
    return _after(theatre, state, pin, moved, feel)


def _tap_pin(theatre: Theatre, state: State, action: act.TapPin, rng: np.random.Generator) -> Effect:
    pin, first = _pin(state), _pin(state)
    feels = []
    for _ in range(action.blows):
        normal = theatre.cortex_normal(pin.side, pin.tip_lps_mm) if pin.side in theatre.anatomy.joints else None
        pin, feel = tapped(theatre.tissue, pin, action.joules, normal, rng)
        feels.append(feel)
    whole = Feel(
        sum(f.advanced_mm for f in feels), sum(f.skidded_mm for f in feels), max(f.peak_n for f in feels),
        feels[-1].last_n,
    )  # fmt: skip
    return _after(theatre, state, first, pin, whole)


def _withdraw_pin(theatre: Theatre, state: State, action: act.WithdrawPin, rng: np.random.Generator) -> Effect:
    if state.pin is None:
        raise Refused("no pin in the patient")
    pin = withdrawn(theatre.tissue, state.pin, action.distance_mm)
    if pin.depth_mm == 0.0:
        drilled = 0.0 if state.passage is None else state.passage.drilled_mm
        given_up = ({"event": "path-given-up", "mm": round(drilled, 1)},) if drilled else ()
        again = state.redirections + state.reached_bone
        out = replace(state, pin=None, passage=None, reached_bone=False, runs_out=0, redirections=again)
        return Effect(out, hidden=given_up)
    if state.passage is not None:
        raise Refused("a path is drilled over this pin: take it out all the way, or leave it")
    if state.pin.broken:
        raise Refused("the pin is broken: take it out all the way")
    return Effect(replace(state, pin=pin, runs_out=len(held(theatre.tissue, pin).exits_mm)))


def _measure_depth(theatre: Theatre, state: State, action: act.MeasureDepth, rng: np.random.Generator) -> Effect:
    pin, where = _seated(theatre, state)
    assert where.first_mm is not None
    return Effect(state, said={"depth_mm": round(pin.depth_mm - where.first_mm)})


def _drill(theatre: Theatre, state: State, action: act.Drill, rng: np.random.Generator) -> Effect:
    pin, where = _seated(theatre, state)
    assert where.first_mm is not None
    deep = pin.depth_mm - where.first_mm
    if action.depth_mm > deep + BEYOND_PIN_MM:
        raise Refused(f"the drill would run off the pin, whose tip is {deep:.0f} mm deep")
    path = state.passage or Passage(pin.side, pin.skin_lps_mm + where.first_mm * pin.axis, pin.axis)
    new = max(action.depth_mm - path.drilled_mm, 0.0)
    carried = new * (DRAG_PER_MM + DRAG_PER_MM_DEG * pin.bend_deg) * 2.0 * rng.random()
    moved = replace(pin, depth_mm=min(pin.depth_mm + carried, PIN_LENGTH_MM))
    path = replace(path, drilled_mm=max(path.drilled_mm, action.depth_mm))
    seconds = state.seconds + SECONDS_PER_DRILLED_MM * new
    effect = _after(theatre, replace(state, passage=path, seconds=seconds), pin, moved, None)
    dragged = ({"event": "pin-dragged", "mm": round(carried, 2)},) if carried > 1.0 else ()
    return replace(effect, hidden=(*dragged, *effect.hidden))


def _broach(theatre: Theatre, state: State, action: act.Broach, rng: np.random.Generator) -> Effect:
    _seated(theatre, state)
    path = state.passage
    if path is None or path.drilled_mm < LEAST_SEAT_MM:
        raise Refused("nothing is drilled yet: drill over the pin first")
    deepest = max(path.broached_mm, min(action.depth_mm, path.drilled_mm))
    said = {"broached_mm": deepest}
    return Effect(replace(state, passage=replace(path, broached_mm=deepest, roll_deg=action.roll_deg)), said=said)


def _insert(theatre: Theatre, state: State, action: act.Insert, rng: np.random.Generator) -> Effect:
    pin, _ = _seated(theatre, state)
    path = state.passage
    if path is None or path.drilled_mm < LEAST_SEAT_MM:
        raise Refused("nothing is drilled yet: drill over the pin first")
    if action.model not in theatre.models:
        raise Refused(str(unknown_name("implant", action.model, theatre.models)))
    model = theatre.models[action.model]
    length_mm = min(model.lengths_mm, key=lambda length: abs(length - action.length_mm))
    if abs(length_mm - action.length_mm) > LENGTH_TOL_MM:
        lengths = ", ".join(f"{length:g}" for length in model.lengths_mm)
        raise Refused(f"{model.id} does not come {action.length_mm:g} mm long: {lengths} mm")
    entry = path.entry_lps_mm - action.protrusion_mm * path.axis
    implant = Trajectory(entry, entry + length_mm * path.axis, action.roll_deg, model)
    placed = Implanted(pin.side, implant, path)
    unmade = length_mm - action.protrusion_mm - path.drilled_mm
    forced = ({"event": "implant-forced", "mm": round(unmade, 1)},) if unmade > 0.0 else ()
    after = replace(state, pin=None, passage=None, reached_bone=False, runs_out=0, implants=(*state.implants, placed))
    return Effect(after, hidden=forced)


def _back_out(theatre: Theatre, state: State, action: act.BackOut, rng: np.random.Generator) -> Effect:
    before = state.of_side(action.side)
    if not before:
        raise Refused(f"no implant on the {action.side}")
    return Effect(replace(state, implants=tuple(i for i in state.implants if i is not before[-1])))


def _finish(theatre: Theatre, state: State, action: act.Finish, rng: np.random.Generator) -> Effect:
    if state.pin is not None:
        raise Refused("a pin is still in the patient: take it out first")
    return Effect(replace(state, finished=True))


def _skin(theatre: Theatre, action: act.MarkSkin | act.PlacePin) -> Array:
    at = theatre.tissue.skin(action.side, action.up_mm, action.along_mm)
    if at is None:
        raise Refused("there is no skin at that place: stay beside the pelvis")
    return at


def _require_free(state: State, side: str) -> None:
    if state.pin is not None:
        raise Refused("a pin is in the patient already: take it out, or finish its implant")
    if sum(i.side == side for i in state.implants) >= MOST_IMPLANTS:
        raise Refused(f"{MOST_IMPLANTS} implants are in on the {side} already")


def _with_new_pin(state: State, pin: Pin) -> State:
    return replace(state, pin=pin, reached_bone=False, runs_out=0, passage=None)


def _pin(state: State) -> Pin:
    if state.pin is None:
        raise Refused("no pin in the hand: place one on the skin first")
    if state.pin.broken:
        raise Refused("the pin is broken: take it out all the way")
    return state.pin


def _require_no_passage(state: State) -> None:
    if state.passage is not None:
        raise Refused("a path is drilled over this pin: it stays as it is")


def _seated(theatre: Theatre, state: State) -> tuple[Pin, Held]:
    pin = _pin(state)
    where = held(theatre.tissue, pin)
    if where.bone_mm < LEAST_SEAT_MM:
        raise Refused(f"bone holds the pin for {where.bone_mm:.0f} mm: tap it to {LEAST_SEAT_MM:g} mm first")
    return pin, where


def _after(theatre: Theatre, state: State, before: Pin, pin: Pin, feel: Feel | None) -> Effect:
    """The state with the pin where it is now, and what it did to the patient on its way."""
    where = held(theatre.tissue, pin)
    hidden: list[Mapping[str, Any]] = []
    left = where.exits_mm[state.runs_out :]
    for at in left:
        name, distance = theatre.nearest_danger(pin.side, pin.skin_lps_mm + at * pin.axis)
        hidden.append({"event": "perforation", "structure": name, "mm": round(distance, 2)})
    if where.first_mm is not None and where.tip_in != "none" and pin.depth_mm > before.depth_mm:
        name, distance = theatre.nearest_danger(pin.side, pin.tip_lps_mm)
        if distance < NEAR_MM:
            hidden.append({"event": "near-miss", "structure": name, "mm": round(distance, 2)})
    if pin.broken and not before.broken:
        hidden.append({"event": "pin-broken"})
    elif pin.bend_deg >= BENT_DEG > before.bend_deg:
        hidden.append({"event": "pin-bent", "deg": round(pin.bend_deg, 1)})
    after = replace(
        state,
        pin=pin,
        reached_bone=state.reached_bone or where.first_mm is not None,
        runs_out=len(where.exits_mm),
        perforations=state.perforations + len(left),
    )
    return Effect(after, feel, hidden=tuple(hidden))


_MOVES: Final[Mapping[type, Callable[..., Effect]]] = {
    act.MoveArm: _move_arm,
    act.Shoot: _shoot,
    act.MarkSkin: _mark_skin,
    act.WipeMark: _wipe_mark,
    act.PlacePin: _place_pin,
    act.PlaceParallel: _place_parallel,
    act.TiltPin: _tilt_pin,
    act.PushPin: _push_pin,
    act.TapPin: _tap_pin,
    act.WithdrawPin: _withdraw_pin,
    act.MeasureDepth: _measure_depth,
    act.Drill: _drill,
    act.Broach: _broach,
    act.Insert: _insert,
    act.BackOut: _back_out,
    act.Finish: _finish,
}
