"""Exercises in which something is done: one pin, or an operation; judged by where metal lies in the patient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from sjplan.core.errors import AnatomyError, InputError
from sjplan.core.exercise import Exercise, OnePinTask, OperateTask
from sjplan.core.implant import ImplantModel
from sjplan.core.plan import Plan, Side
from sjplan.core.scoring import Scoring
from sjplan.core.shown import clear_or_out, cut, raised
from sjplan.core.structure_words import out_words, wall_words
from sjplan.core.trajectory import Trajectory
from sjplan.safety.judge import side_conflicts
from sjplan.safety.measures import implant_margins, solid_gap_mm
from sjplan.safety.types import ImplantMargins
from sjplan.training.ask_pin import breaches_seen, sight_words
from sjplan.training.given import earlier
from sjplan.training.misplaced import misplaced
from sjplan.training.moves import LEAST_SEAT_MM, pose
from sjplan.training.pin import Pin, held
from sjplan.training.process import Looks
from sjplan.training.questions import Question, Verdict
from sjplan.training.score import Rated, ScoreSheet, deepest_breach, score
from sjplan.training.session import Session
from sjplan.training.state import Implanted
from sjplan.training.theatre import Theatre
from sjplan.xray.types import CArm

PROTRUSION_MM: Final = 3.0
"""Left outside by everybody who placed an implant before (CLINICAL.md 1.3)."""

REVISED_MM: Final = (2.0, 6.0)
"""So deep an implant that is to be revised lies out: nerves were hurt from 5 mm on average (BREACH22); a default."""

LOOKED_IN: Final = ("lateral", "inlet", "outlet")
"""Views that are asked whether they show a breach."""

_GAP_MM: Final = 1.0
_DRAWS: Final = 12
_COSTLY: Final = 3


def one_pin(side: Side) -> tuple[Question, ...]:
    """The one question of a pin."""
    text = f"Place one pin from the {side} and leave it where an implant over it would lie well."
    return (Question("one-pin", text, sides=(side,)),)


def operation(
    theatre: Theatre,
    exercise: Exercise,
    sides: Sequence[Side],
    plans: Mapping[Side, Plan],
    before: Session | None,
    rng: np.random.Generator,
) -> tuple[Question, ...]:
    """The one question of an operation, with what lies in the patient at its start.

    Parameters
    ----------
    sides : sequence of side
        Of this session.
    plans : mapping of side to Plan
        Of these sides.
    before : Session or None
        The first session of a staged operation, finished; for its second.

    Raises
    ------
    AnatomyError
        For a revision in a patient in whom nothing leads out.
    """
    task = exercise.task
    assert isinstance(task, OperateTask)
    given = () if before is None else before.state.implants
    text = f"Operate on the {' and the '.join(sides)}: {task.implants} implants a side."
    if task.replaces:
        given = _earlier_operation(theatre, task, plans[sides[0]], rng)
        text = f"Of {len(given)} implants on the {sides[0]} the last one lies badly. Back it out and replace it."
    return (Question("operate", text, given=given, sides=tuple(sides)),)


def over_pin(theatre: Theatre, pin: Pin, model: ImplantModel) -> Trajectory | None:
    """The implant for a pin, of the length nearest to the pin's depth; None where bone does not hold the pin."""
    where = held(theatre.tissue, pin)
    if where.first_mm is None or where.bone_mm < LEAST_SEAT_MM:
        return None
    deep_mm = pin.depth_mm - where.first_mm
    length = min(model.lengths_mm, key=lambda mm: abs(mm - PROTRUSION_MM - deep_mm))
    entry = pin.skin_lps_mm + (where.first_mm - PROTRUSION_MM) * pin.axis
    return Trajectory(entry, entry + length * pin.axis, 0.0, model)


def pin_verdict(looks: Looks, exercise: Exercise, question: Question, session: Session) -> Verdict:
    """Where an implant over the pin in the patient would lie."""
    task, theatre, pin = exercise.task, looks.theatre, session.state.pin
    assert isinstance(task, OnePinTask)
    _require_same_start(theatre, question, session)
    (side,) = question.sides
    if pin is None:
        return Verdict(False, None, "mm", ("No pin is in the patient: answer while it is in place.",))
    path = over_pin(theatre, pin, theatre.models[task.model])
    if path is None:
        return Verdict(False, None, "mm", (f"Bone holds this pin for less than {LEAST_SEAT_MM:g} mm: tap it on.",))
    if pin.side != side:
        return Verdict(False, None, "mm", (f"The pin is on the {pin.side}, asked was the {side}.",))
    found = implant_margins(theatre.surfaces(side), 1, path, theatre.limits)
    words = list(_pin_faults(theatre, task, pin, found)) + list(_time_words(exercise, session))
    passed = not words
    sights = breaches_seen(theatre, [found], _carms(looks))
    words += [sight_words(sight) for sight in sights]
    part = "in" if found.crosses_articular else "outside"
    words += [f"It crosses the joint {part} its articular part."] if found.crossing_lps_mm is not None else []
    words += [
        f"An implant {path.length_mm:.0f} mm long over this pin lies {clear_or_out(found.margin_mm)}, "
        f"{cut(found.iliac_mm, 0)} mm in the ilium, {cut(found.sacral_mm, 0)} mm in the sacrum."
    ]
    return Verdict(passed, found.margin_mm, "mm", ("Right." if passed else "Not yet.", *words))


def operation_verdict(
    looks: Looks, exercise: Exercise, question: Question, plans: Mapping[Side, Plan], scoring: Scoring, session: Session
) -> Verdict:
    """The score of an operation, whether it passes, and what stands against it.

    Raises
    ------
    InputError
        For a session that began otherwise than the question says.
    """
    task = exercise.task
    assert isinstance(task, OperateTask)
    _require_same_start(looks.theatre, question, session)
    sheet = score(session, scoring, {side: plans[side] for side in question.sides})
    faults = list(_faults(question, task, sheet, session)) + list(_time_words(exercise, session))
    words = [f"Rated {cut(sheet.rating, 0)} of 100; {task.rating:g} pass.", *faults]
    implants = [implant for report in sheet.reports.values() for implant in report.implants]
    words += [sight_words(sight) for sight in breaches_seen(looks.theatre, implants, _carms(looks))]
    costly = _costly(sheet.measures)
    words += [f"What cost most: {', '.join(costly)}."] if costly else []
    return Verdict(not faults, sheet.rating, "rating", tuple(words), sheet=sheet)


def _faults(question: Question, task: OperateTask, sheet: ScoreSheet, session: Session) -> Iterator[str]:
    """Everything that an operation does not pass with."""
    state = session.state
    if not state.finished:
        yield "The operation is not finished."
    for side in question.sides:
        count = len(state.of_side(side))
        if count < task.implants:
            yield f"{count} of {task.implants} implants are in on the {side}."
    for side, report in sheet.reports.items():
        if side not in question.sides:
            yield f"Implants were put in on the {side}, which was not asked for."
        for implant in report.implants:
            depth, structure = deepest_breach((implant,))
            if depth > 0.0:
                yield f"Implant {implant.slot} on the {side} lies {raised(depth)} mm {out_words(structure)}."
    if task.replaces and any(implant is session.given[-1] for implant in state.implants):
        yield "The implant that was to be replaced is still in place."
    if len(sheet.reports) == 2 and len(question.sides) == 2:
        for finding in side_conflicts(sheet.reports["left"], sheet.reports["right"], session.theatre.limits):
            yield f"{finding.text[0].upper()}{finding.text[1:]}."
    if sheet.rating < task.rating:
        yield "The rating is too low."


def _pin_faults(theatre: Theatre, task: OnePinTask, pin: Pin, found: ImplantMargins) -> Iterator[str]:
    depth, structure = deepest_breach((found,))
    if depth > 0.0:
        yield f"An implant over it would lie {raised(depth)} mm {out_words(structure)}."
    elif found.margin_mm < task.margin_mm:
        nearest = min(found.clearances, key=lambda c: c.envelope_mm)
        what = f"{cut(nearest.envelope_mm)} mm of {wall_words(nearest.structure)}"
        yield f"It would come within {what}; {task.margin_mm:g} mm are asked for."
    if found.crossing_lps_mm is None:
        yield "It would not cross the joint."
    if found.sacral_mm < task.sacral_mm:
        yield f"It would hold in {cut(found.sacral_mm, 0)} mm of sacrum; {task.sacral_mm:g} mm are asked for."
    if found.iliac_mm < task.iliac_mm:
        yield f"It would hold in {cut(found.iliac_mm, 0)} mm of ilium; {task.iliac_mm:g} mm are asked for."
    if held(theatre.tissue, pin).exits_mm:
        yield "The pin itself has come out of bone."
    if pin.broken:
        yield "The pin is broken."


def _time_words(exercise: Exercise, session: Session) -> Iterator[str]:
    took = session.state.seconds
    if exercise.limit_s is not None and took > exercise.limit_s:
        yield f"It took {raised(took / 60.0, 0)} minutes; {exercise.limit_s / 60.0:.0f} pass."


def _costly(measures: Sequence[Rated]) -> list[str]:
    """Names of the measures that cost most, the worst first."""
    lost = {m.name: (1.0 - m.worth) * m.weight for m in measures if m.worth is not None and m.worth < 1.0}
    worst = sorted(lost, key=lost.__getitem__, reverse=True)[:_COSTLY]
    return [name.replace("_", " ") for name in worst if lost[name] > 0.0]


def _carms(looks: Looks) -> dict[str, CArm]:
    return {view: pose(looks.theatre, looks.arms[view]) for view in LOOKED_IN if view in looks.arms}


def _require_same_start(theatre: Theatre, question: Question, session: Session) -> None:
    for name, wanted in (("case", theatre.name), ("sha256", dict(theatre.sha256))):
        if session.header[name] != wanted:
            raise InputError(f"session {name}", found=repr(session.header[name])[:60], wanted=repr(wanted)[:60])
    if [i.as_dict() for i in session.given] != [i.as_dict() for i in question.given]:
        found = f"{len(session.given)} implants at its start"
        raise InputError("session", found=found, wanted=f"the {len(question.given)} that the exercise begins with")


def _earlier_operation(
    theatre: Theatre, task: OperateTask, plan: Plan, rng: np.random.Generator
) -> tuple[Implanted, ...]:
    """Implants of a plan, one of them out; that one came last."""
    surfaces, crowded = theatre.surfaces(plan.side), None
    for _ in range(_DRAWS):
        ways = [str(way) for way in rng.permutation(task.replaces)]
        bad = misplaced(surfaces, plan, theatre.limits, ways, REVISED_MM, rng)
        good = [path for slot, path in enumerate(plan.trajectories) if slot != bad.slot]
        if all(solid_gap_mm(bad.trajectory, path) >= _GAP_MM for path in good):
            return tuple(earlier(plan.side, path, PROTRUSION_MM) for path in (*good, bad.trajectory))
        crowded = bad.structure
    raise AnatomyError(
        "revision",
        found=f"an implant out behind {crowded} that meets the others",
        wanted="room for an implant that lies out beside those that lie well",
        fix="choose another case",
    )
