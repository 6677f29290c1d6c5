"""Why no plan was accepted, and what would do: limits to relax, slimmer models, the shape of the sacrum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from sjplan.anatomy.types import Anatomy
from sjplan.core.implant import ImplantModel
from sjplan.core.plan import Outcome, Reason, Side
from sjplan.planning.corridors import find_corridors
from sjplan.planning.protocol import Problem
from sjplan.safety.types import MarginReport

KAISER_DYSMORPHIC = 70.0
"""A dysmorphism score above this leaves no safe trans-sacral way at S1 (KAISER; the threshold is recalled)."""


def relaxations(nearest: MarginReport) -> tuple[Reason, ...]:
    """Which limits would have to give way, all of them, for the nearest plan to be accepted; and by how much.

    One reason a limit: the most that any implant misses it by.
    """
    worst: dict[str, Reason] = {}
    for v in nearest.violations:
        if v.unit in ("mm", "deg") and v.missing < float("inf"):
            known = worst.get(v.constraint)
            if known is None or v.missing > known.missing:
                text = f"the nearest plan would stand on {v.constraint} at {v.value:.2f} {v.unit}, {v.limit:g} asked"
                worst[v.constraint] = Reason(f"relax:{v.constraint}", v.missing, v.unit, text)
    return tuple(worst.values())


def models_that_fit(
    problem: Problem, catalogue: Mapping[str, ImplantModel], plan: Callable[[Problem], Outcome]
) -> tuple[Reason, ...]:
    """Slimmer models of the catalogue with which a plan of as many implants is accepted, each in every slot."""
    thickest = max(m.circumscribed_radius_mm for m in problem.models)
    slimmer = [m for m in catalogue.values() if m.circumscribed_radius_mm < thickest - 1e-9]
    result = []
    for model in sorted(slimmer, key=lambda m: -m.circumscribed_radius_mm):
        outcome = plan(replace(problem, models=(model,) * problem.count))
        if outcome.plan is not None:
            text = f"{problem.count} implants {model.id} ({2 * model.circumscribed_radius_mm:g} mm wide) would fit"
            result.append(Reason("other_model", 0.0, "mm", text))
    return tuple(result)


def dysmorphism(anatomy: Anatomy, side: Side) -> Reason | None:
    """The way into S1 of one side: how wide it is, how it runs, and the score that its slopes make (KAISER).

    The score is the corridor's slope in the coronal plane plus twice that in the axial one, in degrees. None where
    there is no such corridor to measure.
    """
    corridor = next((c for c in find_corridors(anatomy) if c.level == "S1" and c.side == side), None)
    if corridor is None:
        return None
    if not corridor.found:
        return Reason("dysmorphism", 0.0, "deg", f"no straight way into S1 from the {side}: {corridor.reason}")
    score = abs(corridor.coronal_deg) + 2.0 * abs(corridor.axial_deg)
    word = "dysmorphic" if score > KAISER_DYSMORPHIC else "not dysmorphic by that score"
    text = (
        f"the widest way into S1 from the {side} is {corridor.inscribed_diameter_mm:.1f} mm wide, rises "
        f"{corridor.coronal_deg:.0f} deg and runs {corridor.axial_deg:.0f} deg forward: dysmorphism score "
        f"{score:.0f} ({word}, above {KAISER_DYSMORPHIC:g})"
    )
    return Reason("dysmorphism", max(score - KAISER_DYSMORPHIC, 0.0), "deg", text)
