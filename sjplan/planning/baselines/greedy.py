"""greedy-v1: one implant after the other, each as good as can be beside those that already stand."""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.core.plan import Outcome
from sjplan.planning.baselines.shared import CAPABILITIES, FINISHING
from sjplan.planning.candidates import ARTICULAR_SHARE, NOTHING, axis_value, recentre
from sjplan.planning.climb import moved
from sjplan.planning.field import PlanningField
from sjplan.planning.finish import Placed, refine
from sjplan.planning.joint_map import JointSamples, footprint
from sjplan.planning.pool import AxisPool, scanned_pool
from sjplan.planning.protocol import PlannerSpec
from sjplan.planning.triples import PairRules, pair_shortfall
from sjplan.planning.workshop import Workshop, WorkshopPlanner

_MISSED_ARTICULAR_MM = -5.0
_FAILURES, _SHRINK, _LEAST_SIZE_MM = 60, 0.7, 0.03
"""A climb that failed so often takes smaller steps; as raster-v1's."""


class GreedyPlanner(WorkshopPlanner):
    """The best axis for slot 1, then the best for slot 2 beside it, then for slot 3; nothing is taken back.

    Axes come from the raster of raster-v1. What counts is an axis's own slack up to the cap and the rules with the
    implants that already stand; among equals the most cranial axis is taken. Each is climbed with and refined on
    surfaces before the next is looked for. The one thing that is looked ahead to is the count of articular crossings.
    """

    spec = PlannerSpec(
        id="greedy-v1",
        summary="one implant after the other from the raster, each the best beside those that stand",
        capabilities=CAPABILITIES,
        parameters={
            "crossing_step_mm": 2.0,
            "direction_step_deg": 4.0,
            "pool": 4000,
            "climb_steps": 2400,
            "refinements": 60,
            **FINISHING,
        },
    )

    def search(self, shop: Workshop) -> Outcome:
        """Pool, then slot by slot, then the finish."""
        shop.report("scanning axes", 0.1)
        steps = self.parameters["crossing_step_mm"], self.parameters["direction_step_deg"]
        pool = scanned_pool(shop, *steps, int(self.parameters["pool"]))
        placed = self._one_by_one(shop, pool) if len(pool.axes) else None
        if placed is None:
            return shop.answer(())
        shop.report("lengthening", 0.9)
        return shop.answer(shop.completed([placed]))

    def _one_by_one(self, shop: Workshop, pool: AxisPool) -> list[Placed] | None:
        cap, placed = float(self.parameters["slack_cap_mm"]), list[Placed]()
        for slot in range(shop.problem.count):
            shop.report(f"looking for implant {slot + 1}", 0.3 + 0.2 * slot)
            axes = np.array([p.axis for p in placed]).reshape(-1, 6)
            spans = np.array([(p.start, p.stop) for p in placed]).reshape(-1, 2)
            need = needs_articular([p.articular for p in placed], shop.problem.count, shop.articular_min)
            worth = beside(shop.bench.pairs, pool, slot, axes, spans, cap, need)
            axis = self._climbed(shop, slot, pool.axes[int(np.argmax(worth))], axes, spans, need)
            trials = min(int(self.parameters["refinements"]), shop.left - slot - 1)
            shop.cut |= trials < int(self.parameters["refinements"])
            if trials < 0:
                return None
            found, measured = refine(shop.bench, np.vstack([axes, axis]), shop.rng, trials, cap, only=slot)
            shop.evaluations += measured
            if found is None:
                return None
            placed = found
        return placed

    def _climbed(
        self,
        shop: Workshop,
        slot: int,
        axis: NDArray[np.float64],
        axes: NDArray[np.float64],
        spans: NDArray[np.float64],
        need: bool,
    ) -> NDArray[np.float64]:
        wanted = int(self.parameters["climb_steps"])
        steps = min(wanted, shop.left)
        shop.cut |= steps < wanted
        noise = shop.rng.standard_normal((steps, 6))
        shop.evaluations += steps
        rules, cap = shop.bench.rules[slot].packed(), float(self.parameters["slack_cap_mm"])
        climbed: NDArray[np.float64] = climb_one(
            shop.field, shop.joint, rules, shop.bench.pairs, axis, axes, spans, need, cap, noise
        )
        return climbed


def needs_articular(articular: list[bool], count: int, articular_min: int) -> bool:
    """Whether the next implant has to cross the articular part so that enough of all do.

    Examples
    --------
    >>> needs_articular([], 3, 2), needs_articular([False], 3, 2), needs_articular([True, True], 3, 2)
    (False, True, False)
    """
    return sum(articular) + count - len(articular) - 1 < articular_min


def beside(
    pairs: PairRules,
    pool: AxisPool,
    slot: int,
    axes: NDArray[np.float64],
    spans: NDArray[np.float64],
    cap_mm: float,
    need_articular: bool,
) -> NDArray[np.float64]:
    """Worth of every axis of a pool in one slot (0 first) in mm: its slack up to the cap, less where rules are missed.

    Rules are those with the axes (k, 6) that already stand, with their spans (k, 2), and the articular crossing.
    """
    worth = np.minimum(pool.values[:, slot].astype(np.float64), cap_mm)
    if need_articular:
        worth = np.where(pool.articular, worth, np.minimum(worth, _MISSED_ARTICULAR_MM))
    for n in range(len(worth)):
        worth[n] = min(worth[n], _missed(pairs, pool.axes[n], pool.spans[n], axes, spans))
    return np.asarray(worth)


@nb.njit(cache=True)
def _missed(
    pairs: PairRules,
    axis: NDArray[np.float64],
    span: NDArray[np.float64],
    axes: NDArray[np.float64],
    spans: NDArray[np.float64],
) -> float:
    """How much an axis misses the rules with those above it by (negative), else a large number."""
    worst = 99.0
    for n in range(len(axes)):
        missed = min(pair_shortfall(pairs, axes[n], spans[n], axis, span), axes[n, 2] - axis[2])
        if missed < 0.0:
            worst = min(worst, missed)
    return worst


@nb.njit(cache=True)
def climb_one(
    field: PlanningField,
    joint: JointSamples,
    rules: NDArray[np.float64],
    pairs: PairRules,
    start: NDArray[np.float64],
    axes: NDArray[np.float64],
    spans: NDArray[np.float64],
    need_articular: bool,
    cap: float,
    noise: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Improve one axis by moves of less and less size, up to the cap, while the others stay."""
    best = start.copy()
    value, size, failed = -1e9, 1.0, 0
    for it in range(-1, len(noise)):
        trial = best.copy() if it < 0 else moved(best, noise[it], size)
        recentre(field, trial)
        worth, first, last = axis_value(field, joint, rules, trial, 0.5, -40.0)
        if worth > NOTHING:
            worth = min(worth, _missed(pairs, trial, np.array([first, last]), axes, spans))
            if need_articular and footprint(joint, trial, 0.0, rules[0])[2] < ARTICULAR_SHARE:
                worth = min(worth, _MISSED_ARTICULAR_MM)
        if worth > value:
            best, value, failed = trial, worth, 0
            if value >= cap:
                break
        else:
            failed += 1
            if failed > _FAILURES:
                size, failed = max(_SHRINK * size, _LEAST_SIZE_MM), 0
    return best
