"""certified-v1: implants chosen jointly, and a proof of how much better any other plan could be.

The search is that of raster-v1; where it does not reach the cap, differential evolution is started a few times and its
best sets go through the same polishing and the same exact finish. The
proof is `upper_bound`: it knows nothing of how the plan was found. Where the plan reaches the cap there is nothing
left to prove.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.error_model import ErrorModel
from sjplan.core.limits import Limits
from sjplan.core.plan import Certificate, Outcome, Plan, Reason, other_side
from sjplan.planning.ascend import ascended
from sjplan.planning.danger_sites import danger_points
from sjplan.planning.evolve import evolved, value_sets
from sjplan.planning.finish import EQUAL_MM, RESERVE, Placed, lengthen, place
from sjplan.planning.pool import BEYOND_LIMIT_DEG
from sjplan.planning.protocol import Planner, PlannerSpec
from sjplan.planning.raster import BURIED_MM, DEFAULTS, RasterPlanner, RasterSearch
from sjplan.planning.robust import plan_z_score, steadied
from sjplan.planning.upper_bound import Bound, UpperBound
from sjplan.planning.workshop import Judged, by_bounds, missing_mm

CERTIFIED_DEFAULTS: dict[str, float | int] = {
    **DEFAULTS,
    "refinements": 30,
    "ascents": 30,
    "sets_measured": 4,
    "evolutions": 20,
    "population": 6,
    "generations": 300,
    "steadying": 300,
    "gap_mm": 0.25,
    "bound_boxes": 1_000_000,
}
"""Those of raster-v1; steps by linear programmes; sets put on surfaces, six at most; how often evolution is started,
with how many members a number and generations; moves tried for a robust plan; the gap aimed at; and how many boxes of
axes the proof may look at."""

_BOXES_PER_SECOND = 80_000
"""About so many boxes are measured in a second on two cores; less time than that for a look is not begun."""

_TOO_KIND_MM = 0.4
"""Fields promise up to so much more than surfaces hold: evolution goes on until they promise that beyond the cap."""

_FACES_MM = 0.4
"""Held between solids beyond their gap where they are counted on to face each other: rolls come in steps."""

_EVERY_EVOLUTION, _EVOLVED = 2, 8
"""Members taken of each evolution, and how many of all are polished."""

_SEARCH_SHARE, _UNCAPPED_SHARE = 0.5, 0.3
"""No evolution is begun after this share of the budget's seconds, with a cap and without: the rest is for the exact
finish and the proof. A plan that reaches the cap needs no proof; without one, every plan needs a long one."""

_PROOF_SHARE = 0.85
"""The proof begins nothing new after this share of them: it cannot stop at once, and plans are laid out after it."""

_PARETO_STEP_MM = 1.0
"""A further Pareto plan holds at least so much more sacrum, all implants together."""

_PARETO_SHARES = (0.75, 0.5, 0.25, 0.0)
"""Slack given away for length, as what is left of the plan's own."""


@dataclass(slots=True, eq=False)
class _CertifiedSearch(RasterSearch):
    """One run of the planner. A box that the proof looks at counts as an evaluation."""

    points: tuple[Limits, Array] | None = None

    def solve(self) -> Outcome:
        """Search until the cap is reached or all passes are done; prove; lay out what slack could be traded for."""
        self.stretch = 0.0, 0.4
        judged = self.tried(BURIED_MM)
        bounded = self.bounded(judged, 0.3, 0.08)
        judged += bounded
        if not self.cut and self._worst(bounded) < 0.0 and self._worst(judged) < self._cap - EQUAL_MM:
            judged += self._evolved()
        accepted = [j for j in judged if j[1].accepted]
        if not accepted:
            return self._none_accepted(min(judged, key=lambda j: missing_mm(j[1]), default=None))
        if self.problem.robust_to is not None:
            return self._robust(accepted, self.problem.robust_to)
        plan, report = max(accepted, key=lambda j: math.floor(min(j[1].slack_mm, self._cap) / EQUAL_MM))
        given = other_side(self.problem.side) if self.problem.obstacles else None
        certificate = replace(self._certificate(report.slack_mm), given=given)
        plan, report = self.surer((plan, report), 0.86)
        slack_mm = min(report.slack_mm, self._cap)
        certificate = replace(certificate, slack_mm=slack_mm, upper_bound_mm=max(certificate.upper_bound_mm, slack_mm))
        self.budget.report("laying out slack against length", 0.97)
        return Outcome(
            "best_effort" if self.cut else "found",
            plan=plan,
            certificate=certificate,
            pareto=self._pareto((plan, report)),
        )

    def tried(self, buried_mm: float, beyond_limit_deg: float = BEYOND_LIMIT_DEG) -> list[Judged]:
        """As raster-v1; but where not even the fields promise the cap, one set will do until evolution has its turn."""
        sets = self.swept(buried_mm, beyond_limit_deg)
        if not len(sets) or self.left < self.problem.count:
            return self.finished(sets)
        promised = float(value_sets(self, sets[:1].copy())[0]) >= self._cap - EQUAL_MM
        return self.finished(sets, None if promised else 1)

    def improved(self, axes: Array, trials: int, cap_mm: float) -> tuple[list[Placed] | None, int]:
        """By small random moves first, then by linear programmes on the points of danger near by."""
        placed, measured = RasterSearch.improved(self, axes, trials, cap_mm)
        if placed is None or self.budget.out_of_time:
            return placed, measured
        limits = self.bench.problem.limits
        if self.points is None or self.points[0] is not limits:
            self.points = limits, danger_points(self.problem.anatomy, self.problem.side, limits)
        steps, most = int(self.parameters["ascents"]), self.left - measured
        placed, more = ascended(self.bench, self.points[1], placed, steps, cap_mm, most)
        return placed, measured + more

    @property
    def _cap(self) -> float:
        return float(self.parameters["slack_cap_mm"])

    def _worst(self, judged: list[Judged]) -> float:
        return max((report.slack_mm for _, report in judged if report.accepted), default=-math.inf)

    def _evolved(self) -> list[Judged]:
        """Plans that need not lie buried in the ilium, from evolution started a few times.

        Half of them count on rolls that turn faces to each other, so that axes may lie closer: such plans are more
        often refused for the gap between solids, and some have more slack.
        """
        strict = self.bench.pairs
        rules = tuple(replace(r, buried_mm=math.inf) for r in self.bench.rules)
        inner = sorted(m.inscribed_radius_mm for m in self.problem.models)[-2:]
        closest = sum(inner) + self.problem.limits.solid_gap_min_mm + _FACES_MM
        judged: list[Judged] = []
        for half, pairs in enumerate((strict, strict._replace(axis_gap_mm=min(closest, strict.axis_gap_mm)))):
            if self.cut or self._worst(judged) >= self._cap - EQUAL_MM:
                break
            self.bench = replace(self.bench, rules=rules, pairs=pairs)
            judged += self._evolutions(0.38 + 0.2 * half)
        self.bench = replace(self.bench, pairs=strict)
        return judged

    def _evolutions(self, begin: float) -> list[Judged]:
        """Half of the evolutions, their best members polished and finished; progress from `begin` on, over 0.2."""
        p, sets, count = self.parameters, [], (int(self.parameters["evolutions"]) + 1) // 2
        for n in range(count):
            if self.cut or self._late(_SEARCH_SHARE if math.isfinite(self._cap) else _UNCAPPED_SHARE):
                self.cut = True
                break
            self.stretch = begin + 0.1 * n / count, 0.1 / count
            members = evolved(self, int(p["population"]), int(p["generations"]), self._cap + _TOO_KIND_MM)
            sets.append(members[:_EVERY_EVOLUTION])
        starts = np.concatenate(sets) if sets else np.zeros((0, self.problem.count, 6))
        paid = self.left // self.problem.count
        self.cut |= paid < len(starts)
        starts = starts[:paid]
        if not len(starts):
            return []
        self.stretch = begin, 0.2
        best = np.argsort(-value_sets(self, starts.copy()), kind="stable")[:_EVOLVED]
        return self.finished(self.polished(np.ascontiguousarray(starts[best])))

    def _robust(self, accepted: list[Judged], model: ErrorModel) -> Outcome:
        """The accepted plan with the largest worst z-score, after each has been moved for it; nothing is certified."""
        best, best_z = accepted[0], -math.inf
        for n, (plan, report) in enumerate(accepted):
            self.budget.report("steadying against errors", 0.8 + 0.15 * n / len(accepted))
            trials = min(int(self.parameters["steadying"]), self.left)
            axes = [self.axis_of(trajectory) for trajectory in plan.trajectories]
            moved = steadied(self.bench, model, axes, self.rng, trials) if trials > 0 else None
            candidates = [(plan, report)]
            if moved is not None:
                self.evaluations += moved.measured
                candidates.append(self.judged(moved.placed))
            for candidate in candidates:
                z = plan_z_score(self.bench, model, candidate[0].trajectories)
                if candidate[1].accepted and z > best_z:
                    best, best_z = candidate, z
        plan = replace(best[0], parameters={**best[0].parameters, "robust_to": model.id})
        return Outcome("best_effort" if self.cut else "found", plan=plan)

    def _late(self, share: float) -> bool:
        """Whether more than a share of the budget's seconds is over."""
        return self.budget.seconds is not None and self.budget.elapsed_s > share * self.budget.seconds

    def _certificate(self, slack_mm: float) -> Certificate:
        """What is proved about a plan of so much slack."""
        cap, gap = self._cap, float(self.parameters["gap_mm"])
        if slack_mm >= cap - gap:
            return Certificate(min(slack_mm, cap), cap, cap)
        bound = self._bound(slack_mm, slack_mm + gap)
        upper = cap if bound is None else min(bound.upper_mm, cap)
        return Certificate(slack_mm, max(upper, slack_mm), cap)

    def _bound(self, floor_mm: float, target_mm: float) -> Bound | None:
        """A bound of the worst slack of any plan, from what is left of the budget; None if nothing is left."""
        most = min(int(self.parameters["bound_boxes"]), self.left)
        if self.budget.seconds is not None:
            most = min(most, int((self.budget.seconds - self.budget.elapsed_s) * _BOXES_PER_SECOND))
        if most <= 0:
            return None
        self.budget.report("proving", 0.8)
        proof = UpperBound(self.problem, max(floor_mm, 0.0), self.bench.frame)
        bound = proof.prove(target_mm, most, lambda _: self._late(_PROOF_SHARE), self._cap)
        self.evaluations += bound.boxes
        return bound

    def alike(self) -> Planner:
        """A planner of the same kind and parameters, for a smaller problem; what it answers need not be proved."""
        return CertifiedPlanner(**{**self.parameters, "bound_boxes": 1, "evolutions": 1})

    def _none_accepted(self, best: Judged | None) -> Outcome:
        """A refusal with reasons; the last one says where it is proved that no plan can have a slack of 0 or more."""
        if self.cut:
            return self.timed_out(best)
        by_bounds_alone = best is not None and by_bounds(best[1])  # it keeps all that the proof knows of
        bound = None if by_bounds_alone else self._bound(0.0, 0.0)
        refusal = self.refused(best, self.two_implants() if self.problem.count == 3 else None)
        if bound is not None and not bound.cut:
            text = "proved: no plan of this kind keeps all limits on distance"
            return replace(refusal, reasons=(*refusal.reasons, Reason("proof", 0.0, "mm", text)))
        return refusal

    def _pareto(self, best: Judged) -> tuple[Plan, ...]:
        """The plan, and longer ones on its axes for less slack, none better than another in slack and length."""
        reserve = float(self.parameters["midline_reserve_mm"])
        placed = [self._placed(slot, best[0]) for slot in range(self.problem.count)]
        front = [best]
        for share in _PARETO_SHARES:
            if any(p is None for p in placed):
                break
            floor = max(share * min(best[1].slack_mm, self._cap), RESERVE)
            longer = [lengthen(self.bench, n, p, floor, reserve) for n, p in enumerate(placed) if p is not None]
            candidate = self.judged(longer)
            sacral = sum(i.sacral_mm for i in candidate[1].implants)
            if candidate[1].accepted and sacral > sum(i.sacral_mm for i in front[-1][1].implants) + _PARETO_STEP_MM:
                front.append(candidate)
        return tuple(plan for plan, _ in front)

    def _placed(self, slot: int, plan: Plan) -> Placed | None:
        return place(self.bench, slot, self.axis_of(plan.trajectories[slot]))


class CertifiedPlanner(RasterPlanner):
    """The planner that proves its plan; parameters as in `CERTIFIED_DEFAULTS`, `slack_cap_mm` may be infinite."""

    spec = PlannerSpec(
        id="certified-v1",
        summary="joint search on exact surfaces, with a proved bound on how much better any plan could be",
        capabilities=frozenset({"deterministic", "two-implants", "nearest", "fallback", "certificate", "robust"}),
        parameters=CERTIFIED_DEFAULTS,
    )

    workshop = _CertifiedSearch
