"""Exercises in which a view of this patient is found with the C-arm: asked, and judged by landmarks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.errors import AnatomyError
from sjplan.core.exercise import ViewTask
from sjplan.core.shown import raised
from sjplan.training.actions import MoveArm
from sjplan.training.lie import Lie
from sjplan.training.moves import pose
from sjplan.training.process import Looks
from sjplan.training.questions import Question, Verdict, in_field
from sjplan.training.theatre import Theatre
from sjplan.views.fronts import front_points
from sjplan.views.plane import seen_mm
from sjplan.xray.carm import ray_direction
from sjplan.xray.device import TRAVELS
from sjplan.xray.types import CArm

OFF_MM: Final = (40.0, 60.0)
"""Farthest that lift or table, and the table along the body, stand off at the start (default)."""

NO_SUCH_VIEW_DEG: Final = 30.0
"""Farther from the true one a pose is another view, and its landmarks mean nothing (default)."""

TURNS: Final = {
    "lateral": ("orbital_deg", "wig_wag_deg"),
    "inlet": ("orbital_deg", "tilt_deg"),
    "outlet": ("orbital_deg", "tilt_deg"),
}
"""Angles that change each view; the third turns the picture in itself."""

NUMBERS: Final = ("orbital_deg", "tilt_deg", "wig_wag_deg", *TRAVELS)

_WORDS: Final = {
    "orbital_deg": "orbital {} to the patient's {}",
    "tilt_deg": "tilt {} to the {}",
    "wig_wag_deg": "wig-wag {}, the detector to the {}",
    "across_mm": "picture {} to the patient's {}",
    "lift_mm": "picture {} {}",
    "along_mm": "picture {} to the {}",
}
_WAYS: Final = {
    "orbital_deg": ("right", "left"),
    "tilt_deg": ("feet", "head"),
    "wig_wag_deg": ("head", "feet"),
    "across_mm": ("right", "left"),
    "lift_mm": ("down, to the belly", "up, to the back"),
    "along_mm": ("feet", "head"),
}
_STEP_DEG, _ROUNDS = 0.5, 4
_DRAWS: Final = 12
_LEAST_DEG, _LEAST_MM = 0.3, 15.0
"""Less need not be said."""


def questions(looks: Looks, task: ViewTask, rng: np.random.Generator) -> tuple[Question, ...]:
    """One question a view, with the arm off by an amount of the seed's.

    Raises
    ------
    AnatomyError
        For a view that this patient's landmarks or this device do not give.
    """
    asked = []
    for view in task.views:
        true = looks.arms.get(view)
        if true is None or looks.offsets(view, true) is None:
            raise AnatomyError(
                f"view {view}",
                found="landmarks or a C-arm that do not give it",
                wanted="a patient whose landmarks can be told",
                fix="choose another case",
            )
        text = f"Find the true {view} of this patient." if view == "lateral" else f"Find the {view} of this patient."
        asked.append(Question("view", text, arm=_off(looks.theatre, true, view, task, rng), view=view))
    return tuple(asked)


def turned_patient(looks: Looks, task: ViewTask, rng: np.random.Generator) -> Looks:
    """The patient turned on the table by an amount of the seed's, so that each view has to be found.

    One who lies askew in the scan already may be left as they lie, where no turn leaves the arm a way to every view.
    """
    for _ in range(_DRAWS):
        there = looks.lying(Lie.drawn(rng))
        if all(view in there.arms for view in task.views):
            return there
    return looks


def verdict(looks: Looks, task: ViewTask, view: str, arm: MoveArm) -> Verdict:
    """How far a pose is from a true view, and which way to turn.

    Raises
    ------
    GeometryError
        For a pose that the device does not reach.
    """
    true, carm = looks.arms[view], pose(looks.theatre, arm)
    ray, true_ray = ray_direction(carm), ray_direction(pose(looks.theatre, true))
    off_deg = math.degrees(math.acos(float(np.clip(ray @ true_ray, -1.0, 1.0))))
    if off_deg > NO_SUCH_VIEW_DEG:
        said = f"That is no {view}: its ray lies {off_deg:.0f} degrees off."
        return Verdict(
            False, None, "mm", ("That is not true yet.", said, _turn_words(looks.theatre, view, arm, true)), arm=true
        )
    offsets = looks.offsets(view, arm)
    faults = [*_faults(looks, task, view, carm)]
    passed = not faults and offsets is not None and all(off.mm <= task.times * off.true_mm for off in offsets)
    words = ["That is a true view." if passed else "That is not true yet."]
    words += ["Left and right share too little in this view to be compared."] if offsets is None else []
    for off in offsets or ():
        least = task.times * off.true_mm
        words.append(
            f"{off.landmark[0].upper()}{off.landmark[1:]} lie {raised(off.mm)} mm apart; up to {least:g} mm pass."
        )
    words += faults
    if not passed and off_deg > _LEAST_DEG:
        words.append(_turn_words(looks.theatre, view, arm, true))
    if not passed and max(_moves_mm(arm, true).values()) > _LEAST_MM:
        words.append(_move_words(arm, true))
    worst = max(offsets or (), key=lambda off: off.mm / off.true_mm, default=None)
    return Verdict(passed, None if worst is None else worst.mm, "mm", tuple(filter(None, words)), arm=true)


def _faults(looks: Looks, task: ViewTask, view: str, carm: CArm) -> Iterator[str]:
    """What else is wrong with a view than its landmarks."""
    rolled = math.degrees(math.asin(min(abs(float(ray_direction(carm) @ looks.theatre.anatomy.frame.left)), 1.0)))
    if view != "lateral" and rolled > task.straight_deg:
        yield f"The ray is turned {raised(rolled, 0)} degrees out of the midline; up to {task.straight_deg:g} pass."
    if not in_field(looks.theatre, seen_mm(_to_show(looks, view), carm)):
        yield "The picture does not show all that it is for."


def turns_deg(theatre: Theatre, view: str, arm: MoveArm, true: MoveArm) -> dict[str, float]:
    """How far to turn each of a view's angles, the others left as they are, for the ray of the true view."""
    names = TURNS[view]
    wanted, now = _ray(theatre, true), arm
    for _ in range(_ROUNDS):
        columns = []
        for name in names:
            ahead, back = (
                _ray(theatre, replace(now, **{name: getattr(now, name) + step})) for step in (_STEP_DEG, -_STEP_DEG)
            )
            columns.append((ahead - back) / (2.0 * _STEP_DEG))
        step, *_ = np.linalg.lstsq(np.column_stack(columns), wanted - _ray(theatre, now), rcond=1e-3)
        now = replace(now, **{name: getattr(now, name) + float(d) for name, d in zip(names, step, strict=True)})
    return {name: getattr(now, name) - getattr(arm, name) for name in names}


def _ray(theatre: Theatre, arm: MoveArm) -> Array:
    """The central ray of a pose, whether the device reaches it or not."""
    return ray_direction(
        replace(theatre.start, orbital_deg=arm.orbital_deg, tilt_deg=arm.tilt_deg, wig_wag_deg=arm.wig_wag_deg)
    )


def _off(theatre: Theatre, true: MoveArm, view: str, task: ViewTask, rng: np.random.Generator) -> MoveArm:
    """A pose off the true one, by half to all of what the task says, as far as the device goes."""
    device, changed = theatre.maker.device, {}
    for name in TURNS[view]:
        off = float(rng.choice((-1.0, 1.0)) * rng.uniform(0.5, 1.0)) * task.off_deg
        changed[name] = float(np.clip(getattr(true, name) + off, *getattr(device, name)))
    for name, most in zip(("lift_mm" if view == "lateral" else "across_mm", "along_mm"), OFF_MM, strict=True):
        changed[name] = float(np.clip(getattr(true, name) + rng.uniform(-most, most), *getattr(device, name)))
    off_arm = replace(true, **changed)
    # Numbers as an arm's display has them: what is left of the true pose after the point would tell nobody anything.
    return replace(off_arm, **{name: round(getattr(off_arm, name), 1) for name in NUMBERS})


def _to_show(looks: Looks, view: str) -> Array:
    """Points that a view has to hold, (n, 3) LPS mm."""
    anatomy = looks.theatre.anatomy
    if view == "lateral":
        lines = [looks.lines[f"{name}_{side}"] for name in ("notch", "iliac_density") for side in ("left", "right")]
        return np.concatenate([*lines, anatomy.landmarks["s1_endplate_centre"][None]])
    points = [anatomy.landmarks[name] for name in ("promontory", "s2_anterior") if name in anatomy.landmarks]
    if view == "outlet":
        points = [
            f.ventral.centre_lps_mm for f in anatomy.foramina if f.level in ("S1", "S2") and f.ventral is not None
        ]
        points.append(front_points(anatomy)["symphysis_top"])
    return np.stack(points)


def _turn_words(theatre: Theatre, view: str, arm: MoveArm, true: MoveArm) -> str:
    turns = {name: deg for name, deg in turns_deg(theatre, view, arm, true).items() if abs(deg) >= _LEAST_DEG}
    words = [_WORDS[name].format(f"{abs(deg):.1f} degrees", _WAYS[name][deg > 0.0]) for name, deg in turns.items()]
    return f"Turn {' and '.join(words)}." if words else ""


def _move_words(arm: MoveArm, true: MoveArm) -> str:
    off = _moves_mm(arm, true)
    name = max(off, key=off.__getitem__)
    words = _WORDS[name].format(f"{off[name]:.0f} mm", _WAYS[name][getattr(true, name) > getattr(arm, name)])
    return f"Move the {words}."


def _moves_mm(arm: MoveArm, true: MoveArm) -> dict[str, float]:
    """How far table and lift stand from where the true view has them."""
    return {name: abs(getattr(true, name) - getattr(arm, name)) for name in TRAVELS}
