"""Exercises in which landmarks are pointed at in a radiograph of this patient: asked, and judged by where they lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, get_args

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.errors import AnatomyError
from sjplan.core.exercise import LANDMARKS, LandmarkTask
from sjplan.core.plan import Side
from sjplan.core.shown import raised
from sjplan.training.actions import MoveArm
from sjplan.training.moves import pose
from sjplan.training.process import Looks
from sjplan.training.questions import PointAt, Question, Verdict, half_field_mm, in_plane_lps_mm, seen_at
from sjplan.views.edges import rim
from sjplan.views.fronts import front_points
from sjplan.views.plane import seen_mm

SHIFTED_MM: Final = 15.0
"""Pictures are shifted by up to so much, so that nobody learns a place on the screen (default)."""

WORDS: Final = {
    "s1-endplate": "the S1 endplate",
    "promontory": "the promontory",
    "posterior-body-line": "the posterior body line, the front wall of the canal",
    "alar-line": "the alar line, the upper edge of the ala",
    "iliac-cortical-density": "the iliac cortical density",
    "sciatic-notch": "the roof of the greater sciatic notch",
    "symphysis-top": "the top of the symphysis",
    **{
        f"{level}-foramen-{side}": f"the {side} {level.upper()} foramen"
        for level in ("s1", "s2")
        for side in get_args(Side)
    },
}
"""What a person calls each landmark."""

_LINES: Final = {
    "s1-endplate": ("s1_endplate",),
    "posterior-body-line": ("posterior_body_line",),
    "alar-line": ("alar_line_left", "alar_line_right"),
    "iliac-cortical-density": ("iliac_density_left", "iliac_density_right"),
    "sciatic-notch": ("notch_left", "notch_right"),
}
_NEAR_MM: Final = 3.0
"""Another landmark is named where it was met as nearly as this."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A landmark as a view shows it, in mm in the plane of the isocentre: lines (n, 2), or the rim of an opening."""

    lines: tuple[Array, ...]
    opening: bool = False

    def away(self, at: Array) -> Array:
        """From a point (2,) to the nearest of the landmark; nothing inside an opening."""
        if self.opening and _inside(self.lines[0], at):
            return np.zeros(2)
        ways = [_nearest(line, at) - at for line in self.lines]
        return min(ways, key=lambda way: float(np.linalg.norm(way)))


def shown(looks: Looks, landmark: str, arm: MoveArm) -> Shown | None:
    """A landmark as a pose shows it; None where this patient or this view has none."""
    carm, anatomy = pose(looks.theatre, arm), looks.theatre.anatomy
    if "-foramen-" in landmark:
        level, _, side = landmark.split("-")
        foramen = anatomy.foramen(level.upper(), side)
        ring = None if foramen is None else rim(foramen, carm, anatomy.spacing_mm)
        return None if ring is None else Shown((ring,), opening=True)
    if landmark in _LINES:
        lines = [looks.lines[name] for name in _LINES[landmark] if name in looks.lines]
    else:
        points = {"promontory": anatomy.landmarks.get("promontory"), "symphysis-top": None}
        if landmark == "symphysis-top":
            points[landmark] = front_points(anatomy).get("symphysis_top")
        point = points[landmark]
        lines = [] if point is None else [point[None]]
    return Shown(tuple(seen_mm(line, carm) for line in lines)) if lines else None


def questions(looks: Looks, task: LandmarkTask, rng: np.random.Generator) -> tuple[Question, ...]:
    """As many questions as asked for, or as this patient's landmarks allow, in an order of the seed's.

    Raises
    ------
    AnatomyError
        If fewer can be asked than have to be right.
    """
    legal = [one for one in task.asked if one.view in looks.arms and shown(looks, one.landmark, looks.arms[one.view])]
    if len(legal) < task.right:
        raise AnatomyError(
            "landmarks",
            found=f"{len(legal)} of {len(task.asked)} in this patient",
            wanted=f"at least {task.right}",
            fix="choose another case",
        )
    asked = []
    for n in rng.permutation(len(legal))[: task.count]:
        arm = _shifted(looks, legal[n].landmark, looks.arms[legal[n].view], rng)
        text = f"Where is {WORDS[legal[n].landmark]}?"
        views = {legal[n].view: arm}
        asked.append(Question("landmark", text, arm=arm, views=views, view=legal[n].view, landmark=legal[n].landmark))
    return tuple(asked)


def verdict(looks: Looks, task: LandmarkTask, question: Question, at: PointAt) -> Verdict:
    """How far a point of the picture lies from the landmark, which way, and what was met in its place."""
    found = shown(looks, question.landmark, question.arm)
    assert found is not None
    point, name = seen_at(looks.theatre, question.arm, at), WORDS[question.landmark]
    away = found.away(point)
    off_mm = float(np.linalg.norm(away))
    passed = off_mm <= task.within_mm
    words = [f"{raised(off_mm, 0)} mm from {name}; up to {task.within_mm:g} mm pass." if off_mm else f"In {name}."]
    if not passed:
        words.append(f"It lies {_way_words(away)}.")
        met = _met(looks, question, point)
        words += [f"You pointed at {WORDS[met]}."] if met else []
    carm = pose(looks.theatre, question.arm)
    drawn = tuple(in_plane_lps_mm(carm, line) for line in found.lines)
    return Verdict(passed, off_mm, "mm", tuple(words), arm=question.arm, drawn_lps_mm=drawn)


def _shifted(looks: Looks, landmark: str, arm: MoveArm, rng: np.random.Generator) -> MoveArm:
    """The arm with the table moved a little, the landmark still well inside the picture."""
    names = ("lift_mm", "along_mm") if abs(arm.orbital_deg) > 45.0 else ("across_mm", "along_mm")
    for scale in (1.0, 0.5, 0.0):
        device = looks.theatre.maker.device
        changed = {
            name: float(
                np.clip(getattr(arm, name) + scale * rng.uniform(-SHIFTED_MM, SHIFTED_MM), *getattr(device, name))
            )
            for name in names
        }
        moved = replace(arm, **changed)
        found = shown(looks, landmark, moved)
        if found is not None and min(np.abs(line).max(axis=1).min() for line in found.lines) < 0.9 * half_field_mm(
            looks.theatre
        ):
            return moved
    return arm


def _met(looks: Looks, question: Question, point: Array) -> str | None:
    """Another landmark of this view that the point lies on."""
    others = [name for name, views in LANDMARKS.items() if question.view in views and name != question.landmark]
    off = {
        name: float(np.linalg.norm(found.away(point)))
        for name in others
        if (found := shown(looks, name, question.arm)) is not None
    }
    name = min(off, key=off.__getitem__, default=None)
    return name if name is not None and off[name] <= _NEAR_MM else None


def _way_words(away: Array) -> str:
    right, up = float(away[0]), float(away[1])
    words = [f"{abs(up):.0f} mm {'higher' if up > 0 else 'lower'}"] if abs(up) >= 0.5 else []
    words += [f"{abs(right):.0f} mm further {'right' if right > 0 else 'left'}"] if abs(right) >= 0.5 else []
    return " and ".join(words) + " in the picture"


def _nearest(line: Array, at: Array) -> Array:
    """The point of a polyline (n, 2), n at least 1, nearest to a point."""
    if len(line) == 1:
        return np.asarray(line[0])
    start, way = line[:-1], np.diff(line, axis=0)
    along = ((at - start) * way).sum(axis=1) / np.maximum((way**2).sum(axis=1), 1e-12)
    points = start + np.clip(along, 0.0, 1.0)[:, None] * way
    return np.asarray(points[int(np.argmin(((points - at) ** 2).sum(axis=1)))])


def _inside(ring: Array, at: Array) -> bool:
    """Whether a point lies inside a closed convex polygon (n, 2)."""
    way = np.diff(ring, axis=0)
    turn = way[:, 0] * (at[1] - ring[:-1, 1]) - way[:, 1] * (at[0] - ring[:-1, 0])
    return bool((turn >= 0.0).all() or (turn <= 0.0).all())
