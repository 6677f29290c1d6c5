"""What planners share: prepared surfaces, fields and rules; the account of the budget; the exact finish; refusals.

A planner brings sets of axes; here they are placed on surfaces, lengthened, turned and shown to the judge.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.core.errors import GeometryError
from sjplan.core.limits import Limits
from sjplan.core.plan import Outcome, Plan, Reason
from sjplan.geometry.solids import envelope_solid, signed_distance
from sjplan.planning.candidates import NOTHING
from sjplan.planning.field import PlanningField, SideFrame, planning_field
from sjplan.planning.finish import (
    EQUAL_MM,
    RESERVE,
    Bench,
    Placed,
    choose_rolls,
    lengthen,
    make_bench,
    refine,
    worst_value,
)
from sjplan.planning.joint_map import JointSamples, joint_samples
from sjplan.planning.protocol import Budget, PlannerSpec, Problem
from sjplan.planning.refusal import PROBES, Probe
from sjplan.planning.rules import pair_rules, slot_rules
from sjplan.safety.judge import judge
from sjplan.safety.surfaces import measuring_surfaces
from sjplan.safety.types import MarginReport, Violation

_MAY_BE_INFINITE = frozenset({"slack_cap_mm"})
"""No cap: slack is asked for without end."""

Judged = tuple[Plan, MarginReport]
"""A plan with what the judge measured on it."""


def checked_parameters(
    planner_id: str, defaults: Mapping[str, float | int], given: Mapping[str, float]
) -> dict[str, float | int]:
    """Defaults with what was given in their place.

    Raises
    ------
    GeometryError
        For a parameter that is unknown, not positive or not finite (a cap may be infinite).
    """
    for name, value in given.items():
        if name not in defaults:
            raise GeometryError(f"{planner_id} parameter", found=repr(name), wanted=", ".join(defaults))
        least = 1.0 if isinstance(defaults[name], int) else 0.0
        finite = value < np.inf or name in _MAY_BE_INFINITE
        if not (least <= value and value > 0 and finite):
            wanted = "a count, 1 or more" if least else "a number > 0"
            raise GeometryError(f"{planner_id}.{name}", found=f"{value}", wanted=wanted)
    return {**defaults, **given}


def without(field: PlanningField, frame: SideFrame, problem: Problem) -> PlanningField:
    """The field with less slack near the problem's obstacles: their envelopes less the gap that solids keep."""
    slack = field.slack
    if problem.obstacles:
        index = np.moveaxis(np.indices(slack.shape), 0, -1).reshape(-1, 3)
        points = frame.lps_from_side(field.origin + field.step * index)
        near = np.min([signed_distance(envelope_solid(o), points) for o in problem.obstacles], axis=0)
        slack = np.minimum(slack, (near - problem.limits.solid_gap_min_mm).reshape(slack.shape).astype(np.float32))
    return field._replace(slack=slack)


_SETS_MEASURED = 3
"""So many sets are put on surfaces, and more only while none keeps all limits."""


@dataclass(slots=True, eq=False)
class Workshop:
    """One run of a planner: prepared fields, what has been spent, and whether the budget cut anything short.

    An evaluation is one axis valued on the fields, or one implant measured on the surfaces. `stretch` is where in
    the whole progress, 0 to 1, the present pass starts, and how long it is. `shown_mm` is what the best plan is worth
    that the budget's listener has been shown. `parameters` hold `slack_cap_mm`,
    `midline_reserve_mm` and `refinements` where the exact finish is used.
    """

    problem: Problem
    parameters: dict[str, float | int]
    rng: np.random.Generator
    budget: Budget
    planner_id: str
    field: PlanningField
    joint: JointSamples
    bench: Bench
    evaluations: int = 0
    cut: bool = False
    stretch: tuple[float, float] = (0.0, 1.0)
    shown_mm: float = -np.inf

    @classmethod
    def prepare(
        cls,
        problem: Problem,
        parameters: dict[str, float | int],
        rng: np.random.Generator,
        budget: Budget,
        planner_id: str,
    ) -> Self:
        """Build surfaces, fields and rules."""
        budget.report("preparing fields", 0.0)
        anatomy, side = problem.anatomy, problem.side
        frame = SideFrame(anatomy.frame, side)
        rules = tuple(
            slot_rules(anatomy, side, problem.limits, slot, model) for slot, model in enumerate(problem.models, 1)
        )
        bench = make_bench(
            problem, measuring_surfaces(anatomy, side), frame, rules, pair_rules(problem.limits, problem.models, 0.1)
        )
        return cls(
            problem,
            parameters,
            rng,
            budget,
            planner_id,
            without(planning_field(anatomy, side, problem.limits), frame, problem),
            joint_samples(anatomy.joints[side], frame),
            bench,
        )

    @property
    def articular_min(self) -> int:
        """How many articular crossings the judge wants of this many implants."""
        return self.problem.limits.articular_min_count - (3 - self.problem.count)

    @property
    def left(self) -> int:
        """Evaluations that the budget still pays for; none once its time is over."""
        return 0 if self.budget.spent(self.evaluations) else self.budget.left(self.evaluations)

    def report(self, what: str, fraction: float) -> None:
        """Progress of one pass, as the stretch of the whole that this pass is."""
        start, length = self.stretch
        self.budget.report(what, start + length * fraction)

    def ask(self, limits: Limits) -> None:
        """Search under these limits on distance from now on; answers are judged by the problem's own.

        What the listener was shown so far was worth nothing, or less, if other limits have to be asked.
        """
        problem = replace(self.problem, limits=limits)
        self.bench = make_bench(problem, self.bench.surfaces, self.bench.frame, self.bench.rules, self.bench.pairs)
        self.field = without(planning_field(problem.anatomy, problem.side, limits), self.bench.frame, problem)
        self.shown_mm = min(self.shown_mm, 0.0)

    def judged(self, placed: Sequence[Placed]) -> Judged:
        """A plan of placed implants, turned for the widest gap, and the judge's measure of it."""
        plan = self._laid_out(placed)
        report = judge(plan, self.problem.anatomy, self.problem.limits, self.bench.surfaces)
        self._show(plan, report.slack_mm if report.accepted else -missing_mm(report))
        return plan, report

    def _laid_out(self, placed: Sequence[Placed]) -> Plan:
        return Plan(
            side=self.problem.side,
            trajectories=choose_rolls(self.bench, placed),
            planner=self.planner_id,
            parameters=dict(self.parameters),
        )

    def _show(self, plan: Plan, worth_mm: float) -> None:
        """Show the listener a plan that is better than those it has seen."""
        if worth_mm > self.shown_mm:
            self.shown_mm = worth_mm
            self.budget.offer(plan, self.evaluations)

    def _show_placed(self, placed: Sequence[Placed]) -> None:
        """Show implants that are not turned and judged yet; laying them out costs time, so only where one listens."""
        worth = worst_value(self.bench, placed)
        if self.budget.listener is not None and worth > self.shown_mm:
            self._show(self._laid_out(placed), worth)

    def answer(self, judged: Sequence[Judged]) -> Outcome:
        """The first accepted plan; else the nearest one, and whether the budget or the limits are the reason."""
        for plan, report in judged:
            if report.accepted:
                return Outcome("best_effort" if self.cut else "found", plan=plan)
        nearest = min(judged, key=lambda j: missing_mm(j[1]), default=None)
        return self.timed_out(nearest) if self.cut else self.refused(nearest, binding=False)

    def timed_out(self, best: Judged | None) -> Outcome:
        """The answer where the budget ended before any accepted plan."""
        text = "the budget ended before any accepted plan was found"
        nearest = None if best is None else best[0]
        return Outcome("timeout", reasons=(Reason("budget", 0.0, "s", text),), nearest=nearest)

    def refused(self, best: Judged | None, fallback: Plan | None = None, *, binding: bool = True) -> Outcome:
        """The answer where nothing was cut short and nothing is accepted: what binds, what the nearest plan breaks.

        What binds takes a search of its own, which planners that search little are spared. It is asked of clearances,
        and so of no plan that keeps them all.
        """
        if best is None:
            text = "no axis passes ilium, joint and sacrum within the limits on angle and length"
            reasons: tuple[Reason, ...] = (Reason("passage", float("inf"), "mm", text),)
        else:
            ordered = sorted(best[1].violations, key=lambda v: -_in_mm(v))
            first = self._binding(best) if binding and not by_bounds(best[1]) else ()
            reasons = (*first, *(Reason(v.constraint, v.missing, v.unit, v.text) for v in ordered))
        return Outcome("infeasible", reasons=reasons, nearest=None if best is None else best[0], fallback=fallback)

    def _binding(self, best: Judged) -> tuple[Reason, ...]:
        """What binds the nearest plan, most first; nothing where the budget does not pay for asking."""
        probe = Probe(self.bench, self.field, self.joint, self.rng)
        kinds = probe.kinds(best[1])
        cost = (len(kinds) + 1) * PROBES * self.problem.count
        if cost > self.left:
            return ()
        self.evaluations += cost
        self.budget.report("asking what binds", 1.0)
        return probe.binding(best[0], kinds)

    def finished(self, sets: NDArray[np.float64], enough: int | None = None) -> list[Judged]:
        """Exact plans from the first few sets; stops at the first that is accepted.

        So many sets are `enough` where one of them keeps all limits; `sets_measured` of the parameters if not given.
        """
        cap = float(self.parameters["slack_cap_mm"])
        placed_sets: list[list[Placed]] = []
        enough = enough or int(self.parameters.get("sets_measured", _SETS_MEASURED))
        for n, axes in enumerate(sets[:6]):
            self.report("measuring on surfaces", 0.5 + 0.05 * n)
            wanted = int(self.parameters["refinements"])
            trials = min(wanted, self.budget.left(self.evaluations) - len(axes))
            self.cut |= trials < wanted
            if trials < 0 or (placed_sets and self.budget.out_of_time):
                self.cut = True
                break
            placed, measured = self.improved(axes, trials, cap)
            self.evaluations += measured
            if placed is not None:
                placed_sets.append(placed)
                self._show_placed(placed)
            best = max((worst_value(self.bench, p) for p in placed_sets), default=NOTHING)
            if best >= cap - EQUAL_MM or (n + 1 >= enough and best >= RESERVE):
                break
        return self.completed(placed_sets)

    def improved(self, axes: Array, trials: int, cap_mm: float) -> tuple[list[Placed] | None, int]:
        """A set on surfaces, its worst value raised up to the cap; and how many placements were measured."""
        return refine(self.bench, axes, self.rng, trials, cap_mm)

    def completed(self, placed_sets: list[list[Placed]]) -> list[Judged]:
        """Plans of the best three placed sets, as long as their slack allows; stops at the first that is accepted."""
        result: list[Judged] = []
        cap, reserve = float(self.parameters["slack_cap_mm"]), float(self.parameters["midline_reserve_mm"])
        placed_sets.sort(key=lambda p: -min(worst_value(self.bench, p), cap))
        for placed in placed_sets[:3]:
            safe = worst_value(self.bench, placed) >= 0.0
            longer = [lengthen(self.bench, slot, p, cap, reserve) for slot, p in enumerate(placed)] if safe else []
            for variant in (longer, placed) if safe else (placed,):
                result.append(self.judged(variant))
                if result[-1][1].accepted:
                    return [result[-1]]
            if not safe:
                break
        return result


def missing_mm(report: MarginReport) -> float:
    """The most that any limit is missed by, in mm."""
    return max((_in_mm(v) for v in report.violations), default=0.0)


def by_bounds(report: MarginReport) -> bool:
    """Whether nothing but lower bounds keeps a plan from being accepted."""
    return not report.accepted and all(v.constraint.startswith("lower_bound:") for v in report.violations)


def _in_mm(violation: Violation) -> float:
    """What a violation is worth in mm: an angle as what it moves at 30 mm, a missing articular crossing as 5."""
    return violation.missing * {"mm": 1.0, "deg": 30.0 * np.pi / 180.0}.get(violation.unit, 5.0)


class WorkshopPlanner(ABC):
    """A planner whose search stands in `search`, in a workshop of its own kind; parameters as its spec's defaults.

    Raises
    ------
    GeometryError
        For a parameter that is unknown, not positive or not finite (a cap may be infinite).
    """

    spec: PlannerSpec
    workshop: type[Workshop] = Workshop

    def __init__(self, **parameters: float) -> None:
        defaults = {name: value for name, value in self.spec.parameters.items() if isinstance(value, (int, float))}
        self.parameters = checked_parameters(self.spec.id, defaults, parameters)

    def plan(self, problem: Problem, *, rng: np.random.Generator, budget: Budget) -> Outcome:
        """Plan one side; see `sjplan.planning.protocol.Planner`."""
        started = time.monotonic()
        shop = self.workshop.prepare(problem, self.parameters, rng, budget, self.spec.id)
        outcome = self.search(shop)
        return replace(outcome, seconds=time.monotonic() - started, evaluations=shop.evaluations)

    @abstractmethod
    def search(self, shop: Workshop) -> Outcome:
        """Look for a plan with what the workshop holds."""
