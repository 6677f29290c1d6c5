"""Exercises in which implants or pins are judged from radiographs: in or out, and which view shows it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, overload

import numpy as np

from sjplan.core.errors import AnatomyError, unknown_name
from sjplan.core.exercise import JudgePinTask
from sjplan.core.plan import Plan, Side
from sjplan.core.shown import cut_mm, raised
from sjplan.core.structure_words import out_words, wall_words
from sjplan.core.trajectory import Trajectory
from sjplan.safety.measures import implant_margins
from sjplan.safety.types import ImplantMargins
from sjplan.training.actions import MoveArm
from sjplan.training.misplaced import misplaced, well_placed
from sjplan.training.moves import pose
from sjplan.training.process import Looks, arm_for
from sjplan.training.questions import InOrOut, Question, Verdict
from sjplan.training.score import deepest_breach
from sjplan.training.theatre import Theatre
from sjplan.views.hides import REVEALED_MM, Sight, Viewer, explain
from sjplan.xray.types import CArm

_TRIES: Final = 3
"""So many ways out are tried for one that a view shows: what no view shows can only be guessed."""


class Drawn(Sequence[Question]):
    """Questions that are made when they are first looked at: each takes a second or two, and nobody waits for all.

    Parameters
    ----------
    count : int
        How many.
    make : callable
        Makes one, by its number; the same number always makes the same.
    """

    def __init__(self, count: int, make: Callable[[int], Question]) -> None:
        self._count, self._make = count, make
        self._made: dict[int, Question] = {}

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, number: int) -> Question: ...
    @overload
    def __getitem__(self, number: slice) -> tuple[Question, ...]: ...
    def __getitem__(self, number: int | slice) -> Question | tuple[Question, ...]:
        if isinstance(number, slice):
            return tuple(self[n] for n in range(*number.indices(self._count)))
        if not 0 <= number < self._count:
            raise IndexError(number)
        if number not in self._made:
            self._made[number] = self._make(number)
        return self._made[number]


def questions(
    looks: Looks, task: JudgePinTask, sides: Sequence[Side], plans: Mapping[Side, Plan], seed: Sequence[int]
) -> Sequence[Question]:
    """As many implants or pins as asked for, half of them out, in an order of the seed's.

    Raises
    ------
    AnatomyError
        For a patient without the views; on looking at a question, for one in whom nothing lies well or leads out.
    """
    arms = {view: looks.arms[view] for view in task.views if view in looks.arms}
    if len(arms) < len(task.views):
        missing = ", ".join(view for view in task.views if view not in arms)
        raise AnatomyError("views", found=f"no {missing}", wanted=", ".join(task.views), fix="choose another case")
    rng = np.random.default_rng(seed)
    out = rng.permutation(np.arange(task.count) < math.ceil(task.count / 2))
    ways = [str(way) for way in rng.permutation(task.ways)]
    chosen = rng.integers(len(sides), size=task.count)

    def make(n: int) -> Question:
        side, turn, own = sides[chosen[n]], n % len(ways), np.random.default_rng([*seed, n])
        wanted = (*ways[turn:], *ways[:turn]) if out[n] else ()
        shown = _shown(looks, task, plans[side], wanted, arms, own)
        text = f"Does the {task.shows} on the {side} lie in bone, or is it out? If it is out: which view shows it?"
        implants, pins = ((shown,), ()) if task.shows == "implant" else ((), (shown,))
        arm, choices = next(iter(arms.values())), tuple(arms)
        return Question("judge-pin", text, arm, arms, choices, implants, pins, sides=(side,))

    return Drawn(task.count, make)


def verdict(looks: Looks, question: Question, given: InOrOut) -> Verdict:
    """Whether it was seen, by the judge's measure, and what each view shows of it.

    Raises
    ------
    UnknownNameError
        For a view that was not offered.
    """
    if given.view is not None and given.view not in question.choices:
        raise unknown_name("view", given.view, question.choices)
    theatre, (shown,) = looks.theatre, (*question.implants, *question.pins)
    (side,) = question.sides
    found = implant_margins(theatre.surfaces(side), 1, shown, theatre.limits)
    depth, structure = deepest_breach((found,))
    distance = min(c.distance_mm for c in found.clearances if c.structure != "metal")
    if depth <= 0.0:
        truth = f"It lies in bone, {cut_mm(distance)} mm clear of everything."
        return Verdict(not given.out, distance, "mm", ("Right." if not given.out else "Not right.", truth))
    sights = breaches_seen(theatre, [found], {name: pose(theatre, arm) for name, arm in question.views.items()})
    showing = [view for view in question.views if any(view in sight.shown_on for sight in sights)]
    passed = given.out and (given.view in showing if showing else given.view is None)
    words = ["Right." if passed else "Out, but that is not the view." if given.out else "Not right."]
    words.append(f"It is out: {raised(depth)} mm {out_words(structure)}.")
    words += [sight_words(sight) for sight in sights]
    arm = question.views[showing[0]] if showing else _extra_arm(theatre, sights)
    return Verdict(passed, -depth, "mm", tuple(words), arm=arm)


def breaches_seen(theatre: Theatre, implants: Sequence[ImplantMargins], views: Mapping[str, CArm]) -> tuple[Sight, ...]:
    """What views show of every true solid that is out."""
    asked = []
    for implant in implants:
        out = [c for c in implant.clearances if c.distance_mm < 0.0 and c.structure not in ("metal", "scan_edge")]
        asked += [(implant.trajectory, implant.crossing_lps_mm, out)] if out else []
    return explain(theatre.anatomy, asked, views, standard=tuple(views))


def sight_words(sight: Sight) -> str:
    """What each view shows of a breach, in a sentence.

    Examples
    --------
    >>> sight_words(Sight(1, "superior", -3.0, {"inlet": 1.2, "outlet": -4.6}))
    'The top of the ala: shown by the outlet (5 mm across its edge); hidden by the inlet (1 mm inside it).'
    """
    across = [f"the {view} ({-sight.seen_mm[view]:.0f} mm across its edge)" for view in sight.shown_on]
    inside = [f"the {view} ({sight.seen_mm[view]:.0f} mm inside it)" for view in sight.hidden_on]
    words = [f"shown by {_listed(across)}"] if across else ["shown by none of these views"]
    words += [f"hidden by {_listed(inside)}"] if inside else []
    if sight.extra is not None:
        words.append(f"the {sight.extra.start} turned by {abs(sight.extra.turned_deg):.0f} degrees shows it")
    what = wall_words(sight.structure)
    return f"{what[0].upper()}{what[1:]}: {'; '.join(words)}."


def _shown(
    looks: Looks,
    task: JudgePinTask,
    plan: Plan,
    ways: Sequence[str],
    arms: Mapping[str, MoveArm],
    rng: np.random.Generator,
) -> Trajectory:
    """One in bone where there are no ways; else one that is out, and that an offered view shows if there is such."""
    theatre, pin = looks.theatre, task.shows == "pin"
    surfaces = theatre.surfaces(plan.side)
    if not ways:
        return well_placed(surfaces, plan, theatre.limits, task.clear_mm, rng, pin=pin)
    carms = {name: pose(theatre, arm) for name, arm in arms.items()}
    for turn in range(min(len(ways), _TRIES)):
        turned = (*ways[turn:], *ways[:turn])
        found = misplaced(surfaces, plan, theatre.limits, turned, (task.out_mm, task.deepest_mm), rng, pin=pin)
        margins = implant_margins(surfaces, 1, found.trajectory, theatre.limits)
        crossing = margins.crossing_lps_mm
        assert crossing is not None
        viewer = Viewer(theatre.anatomy)
        seen = (viewer.clearance_mm(found.trajectory, crossing, found.structure, carm) for carm in carms.values())
        if any(clearance <= -REVEALED_MM for clearance in seen):
            break
    return found.trajectory


def _extra_arm(theatre: Theatre, sights: Sequence[Sight]) -> MoveArm | None:
    """The pose that an extra view has, where the device goes there."""
    extra = next((sight.extra for sight in sights if sight.extra is not None), None)
    return None if extra is None else arm_for(theatre, extra.carm)


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
