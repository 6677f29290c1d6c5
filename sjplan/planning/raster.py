"""raster-v1: crossings over the joint, a cone of directions, implants chosen jointly, polished, finished exactly.

Limits are constraints throughout. The search runs on fields; every plan that leaves here has been refined on the
surfaces themselves, and is called `found` only when the judge's measures hold.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.core.errors import GeometryError
from sjplan.core.implant import ImplantModel
from sjplan.core.plan import Outcome, Plan, Reason
from sjplan.planning.candidates import NOTHING, SlotRules, centred, scan
from sjplan.planning.climb import Wishes, climb_all
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
from sjplan.planning.joint_map import JointSamples, crossings, directions, joint_samples
from sjplan.planning.protocol import Budget, PlannerSpec, Problem
from sjplan.planning.rules import pair_rules, slot_rules
from sjplan.planning.triples import PairRules, below, best_sets
from sjplan.safety.judge import judge
from sjplan.safety.surfaces import measuring_surfaces
from sjplan.safety.types import MarginReport, Violation

DEFAULTS: dict[str, float | int] = {
    "crossing_step_mm": 2.0,
    "direction_step_deg": 4.0,
    "pool": 4000,
    "starts": 24,
    "climb_steps": 2400,
    "refinements": 120,
    "slack_cap_mm": 3.0,
    "midline_reserve_mm": 8.0,
}
"""Steps of the raster and sizes of the search; `midline_reserve_mm` keeps implants of both sides apart."""

_FLOOR_MM = -3.0
"""Axes worse than this are not measured to the end in the scan (mm)."""

_ANY_PAIR = PairRules(0.0, 0.0, -1.0)
"""Rules that every pair keeps: where no set keeps the real ones, climbing starts from here to say what is missing."""

_BATCH = 8
"""Sets climbed between two looks at the clock."""

BURIED_MM = 8.0
"""So deep behind the lateral surface an implant should lie in the ilium all round; given up only for want of a plan."""

SPACING_WISH_MM = 22.0
"""Wished for between crossings: clearly stiffer than 13 mm on the bench (FREEMAN)."""

_DEEPENED = 8
"""So many of the polished sets, the best, are asked for more purchase."""

_PER_CROSSING = 8
_APART_DEG = 6.0


class RasterPlanner:
    """The raster planner; parameters as in `DEFAULTS`.

    Raises
    ------
    GeometryError
        For a parameter that is unknown, not positive or not finite.
    """

    spec = PlannerSpec(
        id="raster-v1",
        summary="raster over the joint, implants chosen jointly, polished on exact surfaces",
        capabilities=frozenset({"deterministic", "two-implants", "nearest", "fallback"}),
        parameters=DEFAULTS,
    )

    def __init__(self, **parameters: float) -> None:
        for name, value in parameters.items():
            if name not in DEFAULTS:
                raise GeometryError(f"{self.spec.id} parameter", found=repr(name), wanted=", ".join(DEFAULTS))
            least = 1.0 if isinstance(DEFAULTS[name], int) else 0.0
            if not (least <= value < np.inf and value > 0):
                wanted = "a count, 1 or more" if least else "a number > 0"
                raise GeometryError(f"{self.spec.id}.{name}", found=f"{value}", wanted=wanted)
        self.parameters: dict[str, float | int] = {**DEFAULTS, **parameters}

    def plan(self, problem: Problem, *, rng: np.random.Generator, budget: Budget) -> Outcome:
        """Plan one side; see `sjplan.planning.protocol.Planner`."""
        started = time.monotonic()
        search = _Search.prepare(problem, self.parameters, rng, budget, self.spec.id)
        outcome = search.solve()
        return replace(outcome, seconds=time.monotonic() - started, evaluations=search.evaluations)


@dataclass(slots=True, eq=False)
class _Search:
    """One run of the planner: prepared fields, what has been spent, and whether the budget cut anything short.

    An evaluation is one axis valued on the fields, or one implant measured on the surfaces.
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

    @classmethod
    def prepare(
        cls,
        problem: Problem,
        parameters: dict[str, float | int],
        rng: np.random.Generator,
        budget: Budget,
        planner_id: str,
    ) -> _Search:
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
            planning_field(anatomy, side, problem.limits),
            joint_samples(anatomy.joints[side], frame),
            bench,
        )

    @property
    def articular_min(self) -> int:
        """How many articular crossings the judge wants of this many implants."""
        return self.problem.limits.articular_min_count - (3 - self.problem.count)

    def solve(self) -> Outcome:
        """Search, polish, finish, judge."""
        best: tuple[MarginReport, Plan] | None = None
        for buried_mm, self.stretch in ((BURIED_MM, (0.0, 0.6)), (np.inf, (0.4, 0.5))):
            self.bench = replace(self.bench, rules=tuple(replace(r, buried_mm=buried_mm) for r in self.bench.rules))
            sets = self._sets()
            self._report("polishing", 0.4)
            for plan, report in self._finished(self._polished(sets)):
                if report.accepted:
                    return Outcome("best_effort" if self.cut else "found", plan=plan)
                if best is None or _missing(report) < _missing(best[0]):
                    best = (report, plan)
            if self.cut:
                break
        if self.cut:
            text = "the budget ended before any accepted plan was found"
            nearest = None if best is None else best[1]
            return Outcome("timeout", reasons=(Reason("budget", 0.0, "s", text),), nearest=nearest)
        return self._refusal(best)

    def _report(self, what: str, fraction: float) -> None:
        """Progress of one pass, as the stretch of the whole that this pass is."""
        start, length = self.stretch
        self.budget.report(what, start + length * fraction)

    def _refusal(self, best: tuple[MarginReport, Plan] | None) -> Outcome:
        if best is None:
            text = "no axis passes ilium, joint and sacrum within the limits on angle and length"
            reasons: tuple[Reason, ...] = (Reason("passage", float("inf"), "mm", text),)
        else:
            ordered = sorted(best[0].violations, key=lambda v: -_in_mm(v))
            reasons = tuple(Reason(v.constraint, v.missing, v.unit, v.text) for v in ordered)
        fallback = self._two_implants() if self.problem.count == 3 else None
        return Outcome("infeasible", reasons=reasons, nearest=None if best is None else best[1], fallback=fallback)

    def _two_implants(self) -> Plan | None:
        """An accepted plan for slots 1 and 2 alone, from what is left of the budget."""
        if self.budget.spent(self.evaluations):
            return None
        self.budget.report("looking for a two-implant plan", 0.8)
        rest = replace(
            self.budget,
            evaluations=None if self.budget.evaluations is None else self.budget.left(self.evaluations),
            progress=lambda what, fraction: self.budget.report(f"two implants: {what}", 0.8 + 0.2 * fraction),
        )
        fewer = replace(self.problem, models=self.problem.models[:2])
        outcome = RasterPlanner(**self.parameters).plan(fewer, rng=self.rng, budget=rest)
        self.evaluations += outcome.evaluations
        return outcome.plan

    def _sets(self) -> NDArray[np.float64]:
        """Sets of axes (m, count, 6) from the raster, best first."""
        self._report("scanning axes", 0.1)
        anatomy, side, limits = self.problem.anatomy, self.problem.side, self.problem.limits
        joint = anatomy.joints[side]
        points = crossings(joint, self.bench.frame, self.parameters["crossing_step_mm"])
        mean = self.bench.frame.side_from_vector(joint.mean_normal)
        ways = directions(mean, limits.joint_normal_angle_max_deg + 8.0, self.parameters["direction_step_deg"])
        points = self._affordable(points, len(ways) * len(set(self.problem.models)))
        value = self._scan(points, ways)
        chosen = _pool(value, ways, int(self.parameters["pool"]))
        if not len(chosen):
            return np.zeros((0, self.problem.count, 6))
        axes = np.concatenate([points[chosen[:, 0]], ways[chosen[:, 1]]], axis=1)
        axes, spans, articular = centred(self.field, self.joint, self.bench.rules[0].packed(), axes)
        order = np.argsort(-axes[:, 2], kind="stable")
        axes, spans, articular = axes[order], spans[order], articular[order]
        values = np.ascontiguousarray(value[chosen[:, 0], chosen[:, 1]][order])
        most = int(self.parameters["starts"])
        for pairs, articular_min in ((self.bench.pairs, self.articular_min), (_ANY_PAIR, 0)):
            links = below(pairs, axes, spans)
            _, sets = best_sets(links, values, articular, articular_min, self.problem.count, most)
            if len(sets):
                break
        return np.ascontiguousarray(axes[sets]) if len(sets) else np.zeros((0, self.problem.count, 6))

    def _affordable(self, points: Array, evaluations_each: int) -> Array:
        """As many crossings, evenly drawn from all, as the budget still pays for."""
        left = 0 if self.budget.spent(self.evaluations) else self.budget.left(self.evaluations) // evaluations_each
        if left >= len(points):
            return points
        self.cut = True
        return np.ascontiguousarray(points[np.linspace(0, len(points) - 1, left).astype(int)])

    def _scan(self, points: Array, ways: Array) -> NDArray[np.float32]:
        """Value of every axis in every slot, (n, m, count); rules on the tip count in mm where they are missed."""
        layers = []
        done: dict[ImplantModel, tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]] = {}
        for model, rules in zip(self.problem.models, self.bench.rules, strict=True):
            if model not in done:
                free = replace(rules, tip_lateral_mm=-1e6, lowest_mm=-1e6).packed()
                done[model] = scan(self.field, self.joint, free, points, ways, _FLOOR_MM)
                self.evaluations += len(points) * len(ways)
            value, tip, low = done[model]
            beyond, above = tip - np.float32(rules.tip_lateral_mm), low - np.float32(rules.lowest_mm)
            layer = np.where(beyond < 0, np.minimum(value, beyond), value)
            layers.append(np.where(above < 0, np.minimum(layer, above), layer))
        return np.stack(layers, axis=-1)

    def _polished(self, sets: NDArray[np.float64]) -> NDArray[np.float64]:
        """Climb from every set; best worst value (up to the cap) first, then purchase, then the other wishes.

        Purchase is asked of the sets already polished, the most first: what costs no slack below the cap is taken.
        """
        axes, value = self._climbed(sets, self.bench.rules)
        if not len(axes):
            return axes
        cap = float(self.parameters["slack_cap_mm"])
        best = min(float(value[0]), cap)
        if best < 0.0:
            return axes
        wish = self.problem.limits.sacral_finding_mm + RESERVE
        for deep in range(self.problem.count, 0, -1):
            if self.cut:
                break
            rules = tuple(
                replace(r, sacral_min_mm=max(wish, r.sacral_min_mm)) if n < deep else r
                for n, r in enumerate(self.bench.rules)
            )
            deeper, reached = self._climbed(axes[:_DEEPENED], rules)
            good = np.minimum(reached, cap) >= best - EQUAL_MM
            if good.any():
                return np.concatenate([deeper[good], axes])
        return axes

    def _climbed(
        self, sets: NDArray[np.float64], rules: tuple[SlotRules, ...]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sets after climbing, best first, and their worst values; what the budget does not pay for stays as it is."""
        unclimbed = sets, np.zeros(len(sets))
        if not len(sets):
            return unclimbed
        wanted, cap = int(self.parameters["climb_steps"]), float(self.parameters["slack_cap_mm"])
        left = 0 if self.budget.spent(self.evaluations) else self.budget.left(self.evaluations)
        steps = min(wanted, left // (len(sets) * self.problem.count))
        self.cut |= steps < wanted
        if not steps:
            return unclimbed
        noise = self.rng.standard_normal((len(sets), steps, self.problem.count, 6))
        choice = self.rng.random((len(sets), steps))
        wishes = Wishes(SPACING_WISH_MM, self.articular_min)
        packed, pairs = np.stack([r.packed() for r in rules]), self.bench.pairs
        batch = len(sets) if self.budget.seconds is None else _BATCH
        climbed = []
        for first in range(0, len(sets), batch):
            if self.budget.out_of_time:
                self.cut = True
                break
            some = slice(first, first + batch)
            climbed.append(
                climb_all(self.field, self.joint, packed, pairs, wishes, sets[some], cap, noise[some], choice[some])
            )
            self.evaluations += len(sets[some]) * steps * self.problem.count
        if not climbed:
            return unclimbed
        axes, value, score = (np.concatenate(part) for part in zip(*climbed, strict=True))
        order = np.lexsort((-score, -np.round(np.minimum(value, cap) / EQUAL_MM)))
        return np.asarray(axes[order]), np.asarray(value[order])

    def _finished(self, sets: NDArray[np.float64]) -> list[tuple[Plan, MarginReport]]:
        """Exact plans from the first few sets; stops at the first that is accepted."""
        result: list[tuple[Plan, MarginReport]] = []
        cap, reserve = float(self.parameters["slack_cap_mm"]), float(self.parameters["midline_reserve_mm"])
        placed_sets: list[list[Placed]] = []
        for n, axes in enumerate(sets[:6]):
            self._report("measuring on surfaces", 0.5 + 0.05 * n)
            wanted = int(self.parameters["refinements"])
            trials = min(wanted, self.budget.left(self.evaluations) - len(axes))
            self.cut |= trials < wanted
            if trials < 0 or (placed_sets and self.budget.out_of_time):
                self.cut = True
                break
            placed, measured = refine(self.bench, axes, self.rng, trials, cap)
            self.evaluations += measured
            if placed is not None:
                placed_sets.append(placed)
            best = max((worst_value(self.bench, p) for p in placed_sets), default=NOTHING)
            if best >= cap - EQUAL_MM or (n >= 2 and best >= RESERVE):
                break
        placed_sets.sort(key=lambda p: -min(worst_value(self.bench, p), cap))
        for placed in placed_sets[:3]:
            safe = worst_value(self.bench, placed) >= 0.0
            longer = [lengthen(self.bench, slot, p, cap, reserve) for slot, p in enumerate(placed)] if safe else []
            for variant in (longer, placed) if safe else (placed,):
                plan = Plan(
                    side=self.problem.side,
                    trajectories=choose_rolls(self.bench, variant),
                    planner=self.planner_id,
                    parameters=dict(self.parameters),
                )
                report = judge(plan, self.problem.anatomy, self.problem.limits, self.bench.surfaces)
                result.append((plan, report))
                if report.accepted:
                    return [result[-1]]
            if not safe:
                break
        return result


def _missing(report: MarginReport) -> float:
    """The most that any limit is missed by, in mm."""
    return max((_in_mm(v) for v in report.violations), default=0.0)


def _in_mm(violation: Violation) -> float:
    """What a violation is worth in mm: an angle as what it moves at 30 mm, a missing articular crossing as 5."""
    return violation.missing * {"mm": 1.0, "deg": 30.0 * np.pi / 180.0}.get(violation.unit, 5.0)


def _pool(value: NDArray[np.float32], ways: Array, most: int) -> NDArray[np.int64]:
    """Indices (k, 2) of the best axes: a few well separated directions at each crossing, for each slot."""
    near = ways @ ways.T > np.cos(np.deg2rad(_APART_DEG))
    rows: list[tuple[float, int, int]] = []
    for n in range(len(value)):
        taken: set[int] = set()
        for slot in range(value.shape[2]):
            left = value[n, :, slot].copy()
            for _ in range(_PER_CROSSING):
                m = int(np.argmax(left))
                if left[m] <= NOTHING + 1:
                    break
                if m not in taken:
                    taken.add(m)
                    rows.append((float(left[m]), n, m))
                left[near[m]] = NOTHING
    rows.sort(key=lambda r: (-r[0], r[1], r[2]))
    return np.array([(n, m) for _, n, m in rows[:most]], dtype=np.int64).reshape(-1, 2)
