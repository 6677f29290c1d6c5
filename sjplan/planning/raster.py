"""raster-v1: crossings over the joint, a cone of directions, implants chosen jointly, polished, finished exactly.

Limits are constraints throughout. The search runs on fields; every plan that leaves here has been refined on the
surfaces themselves, and is called `found` only when the judge's measures hold.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.core.limits import Limits
from sjplan.core.plan import Outcome, Plan
from sjplan.core.trajectory import Trajectory
from sjplan.planning.candidates import SlotRules
from sjplan.planning.climb import Wishes, climb_all
from sjplan.planning.finish import EQUAL_MM, RESERVE, Bench, fit, lengthen, worst_value
from sjplan.planning.pool import BEYOND_LIMIT_DEG, scanned_pool
from sjplan.planning.protocol import Planner, PlannerSpec
from sjplan.planning.triples import PairRules, below, best_sets
from sjplan.planning.workshop import Judged, Workshop, WorkshopPlanner, by_bounds, missing_mm
from sjplan.safety.measures import bare_mm
from sjplan.safety.types import MarginReport

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

_ANY_PAIR = PairRules(0.0, 0.0, -1.0)
"""Rules that every pair keeps: where no set keeps the real ones, climbing starts from here to say what is missing."""

_BATCH = 8
"""Sets climbed between two looks at the clock."""

BURIED_MM = 8.0
"""So deep behind the lateral surface an implant should lie in the ilium all round; given up only for want of a plan."""

SPACING_WISH_MM = 22.0
"""Wished for between crossings: clearly stiffer than 13 mm on the bench (FREEMAN)."""

_GIVEN_TO_ROLL = (0.4, 0.2, 0.0)
"""What the envelope is let off for a lower bound, as shares of what corners reach beyond faces. Default."""

_DEEPENED = 8
"""So many of the polished sets, the best, are asked for more purchase."""

_LIKELY_SHARES = (0.25, 0.125)
"""Of what labels may be off by, held beyond the limits on lengths, tip and angle; the first that can be. Default."""

_PAID_MM = 0.25
"""No more slack than that is paid for it. Default."""

_TRIED_AGAIN = 8
"""So often a plan's own axes climb for it, each time with other random numbers."""


_MEASURED_AGAIN = 3
"""So many of these sets, the best, are put on surfaces."""

_GIVEN_MM, _GIVEN_SHARE = 2.0, 0.2
"""So much length in the sacrum may be given for it, all implants together: mm of what their wish counts, and a share of
all. Default."""


def _holds_enough(report: MarginReport, before: MarginReport, wish_mm: float) -> bool:
    """Whether a plan has no fewer articular crossings than another, and not much less of the sacrum."""
    crossings = [sum(i.crosses_articular for i in r.implants) for r in (report, before)]
    counted = [sum(min(i.sacral_mm, wish_mm) for i in r.implants) for r in (report, before)]
    whole = [sum(i.sacral_mm for i in r.implants) for r in (report, before)]
    enough = counted[0] >= counted[1] - _GIVEN_MM and whole[0] >= (1.0 - _GIVEN_SHARE) * whole[1]
    return crossings[0] >= crossings[1] and enough


@dataclass(slots=True, eq=False)
class RasterSearch(Workshop):
    """One run of the planner."""

    def solve(self) -> Outcome:
        """Search, polish, finish, judge; where lower bounds alone fail, search again with clearance for them."""
        judged: list[Judged] = []
        for buried_mm, self.stretch in ((BURIED_MM, (0.0, 0.5)), (np.inf, (0.35, 0.4))):
            judged += self.tried(buried_mm)
            if self.cut or any(report.accepted for _, report in judged):
                break
        judged += self.bounded(judged, 0.75, 0.05)
        for plan, report in judged:
            if report.accepted:
                plan, _ = self.surer((plan, report), 0.85)
                return Outcome("best_effort" if self.cut else "found", plan=plan)
        best = min(judged, key=lambda j: missing_mm(j[1]), default=None)
        if self.cut:
            return self.timed_out(best)
        return self.refused(best, self.two_implants() if self.problem.count == 3 else None)

    def bounded(self, judged: list[Judged], begin: float, length: float) -> list[Judged]:
        """Further plans, where those found fail by nothing but a lower bound: they keep clear of more than is asked.

        How far a solid lies from a danger hangs on its roll, which is not known yet: the envelope is asked for less
        first, and for all of the error in the end. Nothing where a plan is accepted, or all fail by something else.
        What was asked stays asked where it brought a plan. Progress is told from `begin` on.
        """
        if any(report.accepted for _, report in judged) or not any(by_bounds(report) for _, report in judged):
            return []
        own, further, askings = (self.bench, self.field), list[Judged](), self._askings()
        for n, (limits, buried_mm) in enumerate(itertools.product(askings, (BURIED_MM, np.inf))):
            self.cut |= self.budget.spent(self.evaluations)
            if self.cut:
                break
            if limits is not self.bench.problem.limits:
                self.ask(limits)
            part = length / (2 * len(askings))
            self.stretch = begin + n * part, part
            further += self.finished(self.swept(buried_mm, BEYOND_LIMIT_DEG))
            if any(report.accepted for _, report in further):
                return further
        self.bench, self.field = own
        return further

    def surer(self, found: Judged, begin: float) -> Judged:
        """The accepted plan, or one near it that holds more than its limits ask, where labels may be off.

        Labels that draw a bone a little too large make a length that just keeps its limit too short in truth. Nothing
        is changed where labels are right to the voxel or the plan holds so much already (its tip aside, which is
        measured in the climb alone). No more slack is given than `_PAID_MM`, nor more than is gained; no articular
        crossing, and of the sacrum no more than `_GIVEN_MM` and `_GIVEN_SHARE`. A search that was complete stays so.
        Progress is told from `begin` on, over 0.1.
        """
        own, error_mm, spare = self.bench, self.problem.anatomy.surface_error_mm, self._spare(found[1])
        wish_mm = self.problem.limits.sacral_finding_mm
        fitted = [fit(own, slot, self.axis_of(t)) for slot, t in enumerate(found[0].trajectories)]
        if error_mm == 0.0 or self.cut or any(f is None for f in fitted):
            return found
        axes = np.array([f.axis for f in fitted if f is not None])
        cost = _TRIED_AGAIN * len(axes) * int(self.parameters["climb_steps"])
        for n, share in enumerate(_LIKELY_SHARES):
            more = share * error_mm
            if spare >= more or self.budget.out_of_time or self.left < 2 * cost:
                break
            self.stretch = begin + 0.05 * n, 0.05
            self.report("holding more than limits ask", 0.0)
            self.bench = self._stricter(found[0], more)
            candidates = self._near(axes)
            self.bench, self.cut = own, False
            for plan, report in candidates:
                held, paid_mm = min(more, self._spare(report)), self._paid_mm((plan, report), found)
                fair = paid_mm <= min(_PAID_MM, held - spare) and _holds_enough(report, found[1], wish_mm)
                if report.accepted and fair:
                    bought = {
                        "reserve": math.floor(1e4 * held) / 1e4,
                        "reserve_paid_mm": math.ceil(1e4 * paid_mm) / 1e4,
                    }
                    return replace(plan, parameters={**plan.parameters, **bought}), report
        return found

    def _stricter(self, plan: Plan, more: float) -> Bench:
        """The bench with rules that are so much stricter; implants lie buried in the ilium where those of a plan do."""
        buried = all(bare_mm(self.bench.surfaces, t) <= BURIED_MM for t in plan.trajectories)
        bench = self.bench.stricter(more)
        rules = tuple(replace(rule, buried_mm=BURIED_MM if buried else np.inf) for rule in bench.rules)
        return replace(bench, rules=rules)

    def _near(self, axes: Array) -> list[Judged]:
        """Judged plans near given axes (slots, 6) that keep the bench's rules on surfaces; the axes climb to them."""
        cap, reserve = float(self.parameters["slack_cap_mm"]), float(self.parameters["midline_reserve_mm"])
        judged: list[Judged] = []
        sets = np.repeat(axes[None], _TRIED_AGAIN, axis=0)
        for climbed in self._climbed(sets, self.bench.rules)[0][:_MEASURED_AGAIN]:
            trials = min(int(self.parameters["refinements"]), self.left - len(climbed))
            if trials < 0 or self.budget.out_of_time:
                break
            placed, measured = self.improved(climbed, trials, cap)
            self.evaluations += measured
            if placed is not None and worst_value(self.bench, placed) >= 0.0:
                judged.append(self.judged([lengthen(self.bench, n, p, cap, reserve) for n, p in enumerate(placed)]))
        return judged

    def _paid_mm(self, plan: Judged, before: Judged) -> float:
        """How much less worst slack a plan has than another, up to the cap; at least 0.

        The more of two measures: the judge's, who knows no implants of the other side, and the bench's, which may have
        been asked for more than the limits.
        """
        cap = float(self.parameters["slack_cap_mm"])
        after, first = (min(cap, report.slack_mm) for _, report in (plan, before))
        room, had = (min(cap, *(self.bench.slack_mm(t) for t in p.trajectories)) for p, _ in (plan, before))
        return max(first - after, had - room, 0.0)

    def _spare(self, report: MarginReport) -> float:
        """What all implants hold beyond the limits on lengths and angle at the least, mm or degrees."""
        limits = self.problem.limits
        return min(
            spare
            for i in report.implants
            for spare in (
                i.sacral_mm - limits.sacral_min_mm,
                i.iliac_mm - limits.iliac_min_mm,
                limits.protrusion_max_mm - i.protrusion_mm,
                limits.joint_normal_angle_max_deg - i.joint_normal_angle_deg,
            )
        )

    def axis_of(self, trajectory: Trajectory) -> Array:
        """An implant's axis in the side frame: its entry and its medial direction."""
        point = self.bench.frame.side_from_lps(trajectory.entry_lps_mm)
        return np.concatenate([point, self.bench.frame.side_from_vector(trajectory.axis)])

    def _askings(self) -> list[Limits]:
        """Limits with more and more clearance where lower bounds are wanted."""
        own, error_mm = self.problem.limits, self.problem.anatomy.geometry_error_mm + RESERVE
        corners_mm = max(m.circumscribed_radius_mm - m.inscribed_radius_mm for m in self.problem.models)
        least_mm = sorted({error_mm - share * corners_mm for share in _GIVEN_TO_ROLL})
        return [asked for asked in map(own.asking_mm, least_mm) if asked != own]

    def tried(self, buried_mm: float, beyond_limit_deg: float = BEYOND_LIMIT_DEG) -> list[Judged]:
        """Judged plans of one pass; see `SlotRules` and `scanned_pool` for what it is told."""
        return self.finished(self.swept(buried_mm, beyond_limit_deg))

    def swept(self, buried_mm: float, beyond_limit_deg: float) -> NDArray[np.float64]:
        """Polished sets of axes of one pass, best first."""
        self.bench = replace(self.bench, rules=tuple(replace(r, buried_mm=buried_mm) for r in self.bench.rules))
        sets = self._sets(beyond_limit_deg)
        self.report("polishing", 0.4)
        return self.polished(sets)

    def alike(self) -> Planner:
        """A planner of the same kind and parameters, for a smaller problem."""
        return RasterPlanner(**self.parameters)

    def two_implants(self) -> Plan | None:
        """An accepted plan for slots 1 and 2 alone, from what is left of the budget."""
        if self.budget.spent(self.evaluations):
            return None
        self.budget.report("looking for a two-implant plan", 0.8)
        rest = replace(
            self.budget,
            evaluations=None if self.budget.evaluations is None else self.budget.left(self.evaluations),
            progress=lambda what, fraction: self.budget.report(f"two implants: {what}", 0.8 + 0.2 * fraction),
            listener=None,  # a plan of two implants is no plan for this problem
        )
        fewer = replace(self.problem, models=self.problem.models[:2])
        outcome = self.alike().plan(fewer, rng=self.rng, budget=rest)
        self.evaluations += outcome.evaluations
        return outcome.plan

    def _sets(self, beyond_limit_deg: float) -> NDArray[np.float64]:
        """Sets of axes (m, count, 6) from the raster, best first."""
        self.report("scanning axes", 0.1)
        steps = self.parameters["crossing_step_mm"], self.parameters["direction_step_deg"]
        pool = scanned_pool(self, *steps, int(self.parameters["pool"]), beyond_limit_deg)
        if not len(pool.axes):
            return np.zeros((0, self.problem.count, 6))
        most = int(self.parameters["starts"])
        for pairs, articular_min in ((self.bench.pairs, self.articular_min), (_ANY_PAIR, 0)):
            links = below(pairs, pool.axes, pool.spans)
            _, sets = best_sets(links, pool.values, pool.articular, articular_min, self.problem.count, most)
            if len(sets):
                break
        return np.ascontiguousarray(pool.axes[sets]) if len(sets) else np.zeros((0, self.problem.count, 6))

    def polished(self, sets: NDArray[np.float64]) -> NDArray[np.float64]:
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
        steps = min(wanted, self.left // (len(sets) * self.problem.count))
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


class RasterPlanner(WorkshopPlanner):
    """The raster planner; parameters as in `DEFAULTS`."""

    spec = PlannerSpec(
        id="raster-v1",
        summary="raster over the joint, implants chosen jointly, polished on exact surfaces",
        capabilities=frozenset({"deterministic", "two-implants", "nearest", "fallback"}),
        parameters=DEFAULTS,
    )

    workshop = RasterSearch

    def search(self, shop: Workshop) -> Outcome:
        """Search, polish, finish, judge."""
        assert isinstance(shop, RasterSearch)
        return shop.solve()
