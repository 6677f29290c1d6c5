"""Why no plan was accepted, and what would do: what binds, limits to relax, slimmer models, the sacrum's shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sjplan.anatomy.types import Anatomy
from sjplan.core.implant import ImplantModel
from sjplan.core.limits import Limits
from sjplan.core.plan import Outcome, Plan, Reason, Side
from sjplan.core.structures import limit_kind
from sjplan.planning.candidates import SlotRules
from sjplan.planning.climb import Wishes, climb_all
from sjplan.planning.corridors import find_corridors
from sjplan.planning.field import PlanningField, planning_field
from sjplan.planning.finish import Bench
from sjplan.planning.joint_map import JointSamples
from sjplan.planning.protocol import Problem
from sjplan.planning.triples import PairRules
from sjplan.safety.types import MarginReport

KAISER_DYSMORPHIC = 70.0
"""A dysmorphism score above this leaves no safe trans-sacral way at S1 (KAISER; the threshold is recalled)."""

_AWAY_MM = -60.0
"""Limit on distance that nothing breaks: a structure that has it is out of the way."""

_NEAR_MM = 1.5
"""A structure farther than this beyond its limit from every implant of the nearest plan does not bind it."""

_STARTS, _STEPS, _TOP_MM = 8, 700, 5.0
_JITTER = np.array([2.0, 2.0, 2.0, 0.07, 0.07, 0.07])
"""Sets climbed from for each structure, moves tried on each, slack that is enough (mm); spread in mm and rad."""

_SHARE = 0.4
"""A structure that frees so much of what the first frees is named beside it."""

RULES_OF_PAIRS = ("crossing_spacing", "mutual_angle")

PROBES = _STARTS * _STEPS
"""Sets valued for each structure that is taken out of the way."""


class _World(NamedTuple):
    """What a climb needs: fields, rules of each slot and of pairs."""

    field: PlanningField
    rules: tuple[SlotRules, ...]
    pairs: PairRules


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """Asks of a nearest plan how much slack there would be if one structure, or one rule on pairs, were out of the way.

    Measured on the search's fields, by climbing from near the plan; `field` is the problem's own.
    """

    bench: Bench
    field: PlanningField
    joint: JointSamples
    rng: np.random.Generator

    def kinds(self, nearest: MarginReport) -> list[str]:
        """Kinds of structures near the plan, and rules on pairs that it breaks."""
        clear = [c for implant in nearest.implants for c in implant.clearances]
        kinds = {limit_kind(c.structure) for c in clear if c.envelope_mm - c.limit_mm < _NEAR_MM}
        return [*sorted(kinds), *sorted({v.constraint for v in nearest.violations} & set(RULES_OF_PAIRS))]

    def binding(self, nearest: Plan, kinds: Sequence[str]) -> tuple[Reason, ...]:
        """What frees most, first; nothing where nothing frees anything."""
        frame = self.bench.frame
        ends = [(frame.side_from_lps(t.entry_lps_mm), frame.side_from_vector(t.axis)) for t in nearest.trajectories]
        axes = np.array([np.concatenate([entry + self._to_joint(entry, way) * way, way]) for entry, way in ends])
        starts = axes + _JITTER * self.rng.standard_normal((_STARTS, *axes.shape))
        starts[0] = axes
        starts[..., 3:] /= np.linalg.norm(starts[..., 3:], axis=-1, keepdims=True)
        noise = self.rng.standard_normal((_STARTS, _STEPS, len(axes), 6))
        choice = self.rng.random((_STARTS, _STEPS))
        own = _World(self.field, self.bench.rules, self.bench.pairs)
        now = self._best(own, starts, noise, choice)
        freed = {kind: self._best(self._without(kind, own), starts, noise, choice) for kind in kinds}
        order = sorted(freed, key=lambda kind: -freed[kind])
        gain = {kind: freed[kind] - now for kind in order}
        named = [kind for kind in order if gain[kind] > 0.0 and gain[kind] >= _SHARE * gain[order[0]]]
        return tuple(
            Reason(
                f"binding:{kind}", max(-now, 0.0), "mm",
                f"{kind} binds: out of the way, the worst slack near this plan would be {freed[kind]:.1f} mm in place "
                f"of {now:.1f} mm",
            )
            for kind in named
        )  # fmt: skip

    def _to_joint(self, entry: NDArray[np.float64], way: NDArray[np.float64]) -> float:
        """How far along an implant from its entry it comes nearest to the joint's samples."""
        offset = self.joint.point - entry
        along = offset @ way
        apart = np.linalg.norm(offset - along[:, None] * way, axis=1)
        return float(along[int(np.argmin(apart))])

    def _without(self, kind: str, world: _World) -> _World:
        if kind == "crossing_spacing":
            return world._replace(pairs=world.pairs._replace(spacing_mm=0.0))
        if kind == "mutual_angle":
            return world._replace(pairs=world.pairs._replace(cosine=-1.0))
        problem = self.bench.problem
        field = planning_field(problem.anatomy, problem.side, _relaxed(problem.limits, kind))
        if kind == "foramen":
            return _World(field, tuple(replace(r, tip_lateral_mm=0.0) for r in world.rules), world.pairs)
        return world._replace(field=field)

    def _best(
        self, world: _World, starts: NDArray[np.float64], noise: NDArray[np.float64], choice: NDArray[np.float64]
    ) -> float:
        packed = np.stack([replace(r, buried_mm=np.inf).packed() for r in world.rules])
        wishes = Wishes(0.0, 0)
        _, value, _ = climb_all(world.field, self.joint, packed, world.pairs, wishes, starts, _TOP_MM, noise, choice)
        return float(value.max())


def _relaxed(limits: Limits, kind: str) -> Limits:
    return replace(limits, clearance_mm={**limits.clearance_mm, kind: _AWAY_MM})


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
    """Slimmer models of the catalogue with which a plan of as many implants is accepted, each in every slot.

    The slimmest is tried first. A model in whose place one that is no thicker, and has all of its lengths, was refused
    is not tried.
    """
    thickest = max(m.circumscribed_radius_mm for m in problem.models)
    slimmer = [m for m in catalogue.values() if m.circumscribed_radius_mm < thickest - 1e-9]
    result: list[Reason] = []
    refused: list[ImplantModel] = []
    for model in sorted(slimmer, key=lambda m: m.circumscribed_radius_mm):
        if any(_within(other, model) for other in refused):
            continue
        outcome = plan(replace(problem, models=(model,) * problem.count))
        if outcome.plan is not None:
            text = f"{problem.count} implants {model.id} ({2 * model.circumscribed_radius_mm:g} mm wide) would fit"
            result.insert(0, Reason("other_model", 0.0, "mm", text))
        elif outcome.status == "infeasible":
            refused.append(model)
    return tuple(result)


def _within(slim: ImplantModel, thick: ImplantModel) -> bool:
    """Whether wherever one model lies, another of the same length could lie inside it, round the same axis."""
    inside = slim.circumscribed_radius_mm <= thick.inscribed_radius_mm
    if slim.section == thick.section:
        inside = (
            slim.circumscribed_radius_mm <= thick.circumscribed_radius_mm
            and slim.inscribed_radius_mm <= thick.inscribed_radius_mm
        )
    return inside and set(thick.lengths_mm) <= set(slim.lengths_mm)


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
