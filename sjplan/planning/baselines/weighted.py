"""weighted-v1: everything in one sum, as planners of pedicle screws have it; millimetres of safety have a price.

Weights and normalisation are those of the open github.com/grotyx/pedicle-screw-simulator (`trajectory_optimizer`, read
in November 2026): safety 1.0 (distance up to 3 mm), density 0.5 (mean HU, 100 to 600), length 0.2 (of the longest), and
0.3 each for angle, place and alignment of the construct. That planner drops candidates that breach before it ranks;
here a missed limit only costs what its millimetres are worth, so nothing has priority in the search.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.core.limits import Limits
from sjplan.core.plan import Outcome
from sjplan.planning.baselines.shared import CAPABILITIES
from sjplan.planning.candidates import SlotRules, envelope_slack
from sjplan.planning.field import PlanningField
from sjplan.planning.finish import Placed, place
from sjplan.planning.joint_map import JointSamples, footprint
from sjplan.planning.marching import passage
from sjplan.planning.pool import AxisPool, scanned_pool
from sjplan.planning.protocol import PlannerSpec
from sjplan.planning.triples import PairRules, pair_shortfall
from sjplan.planning.workshop import Workshop, WorkshopPlanner

DENSITY_HU = (100.0, 600.0)
"""Mean density along the axis that is worth nothing, and that is worth its whole weight."""

SPACING_WISH_MM = 22.0
"""Distance between crossings that is worth the whole weight: FREEMAN's stiffer one."""

_SWEEPS = 5
_DENSITY_STEP_MM, _DENSITY_DEPTH_MM = 1.0, 25.0


class WeightedPlanner(WorkshopPlanner):
    """The set with the largest weighted sum, by sweeps over the slots from several starts.

    The sum of an implant: safety (slack up to the cap, over the cap; below zero it goes on falling), density in the
    sacrum (needs a CT, else 0), length in the sacrum (over the longest catalogue length), angle (1 along the joint's
    normal, 0 at the limit), place (articular or not); of a pair: spacing up to 22 mm, less what missed pair rules cost.
    Lengths come out of the same sum. Only the best sum is placed and judged; nothing is refined.
    """

    spec = PlannerSpec(
        id="weighted-v1",
        summary="one weighted sum of safety, bone density, length, angle and spacing; no limit has priority",
        capabilities=CAPABILITIES | {"soft-limits"},
        parameters={
            "crossing_step_mm": 2.0,
            "direction_step_deg": 4.0,
            "pool": 4000,
            "starts": 24,
            "slack_cap_mm": 3.0,
            "safety": 1.0,
            "density": 0.5,
            "length": 0.2,
            "angle": 0.3,
            "place": 0.3,
            "spacing": 0.3,
        },
    )

    def search(self, shop: Workshop) -> Outcome:
        """Pool, sums of every axis with every length, sweeps, one plan."""
        shop.report("scanning axes", 0.1)
        steps = self.parameters["crossing_step_mm"], self.parameters["direction_step_deg"]
        pool = scanned_pool(shop, *steps, int(self.parameters["pool"]))
        shop.report("weighing", 0.4)
        pool = self._affordable(shop, pool)
        if len(pool.axes) < shop.problem.count:
            return shop.answer(())
        options = [self._options(shop, pool, slot) for slot in range(shop.problem.count)]
        chosen = self._best_set(shop, pool, options)
        if shop.left < shop.problem.count:
            shop.cut = True
            return shop.answer(())
        shop.report("measuring on surfaces", 0.9)
        shop.evaluations += shop.problem.count
        placed = [_placed(shop, slot, pool.axes[n], float(options[slot].length_mm[n])) for slot, n in enumerate(chosen)]
        found = [p for p in placed if p is not None]
        return shop.answer([shop.judged(found)] if len(found) == shop.problem.count else [])

    def _affordable(self, shop: Workshop, pool: AxisPool) -> AxisPool:
        """As many axes, evenly drawn, as the budget pays for with every length in every slot, and the last placing."""
        each = sum(len(rules.lengths_mm) for rules in shop.bench.rules)
        most = max(0, shop.left - shop.problem.count) // each
        if most >= len(pool.axes):
            return pool
        shop.cut = True
        rows = np.linspace(0, len(pool.axes) - 1, most).astype(int)
        return AxisPool(pool.axes[rows], pool.spans[rows], pool.articular[rows], pool.values[rows])

    def _options(self, shop: Workshop, pool: AxisPool, slot: int) -> Options:
        """Every axis with the length that has the largest sum in one slot."""
        rules = shop.bench.rules[slot]
        lengths = np.array(rules.lengths_mm)
        head = shop.problem.limits.protrusion_target_mm
        slack, sacral, cosine, start = measured(shop.field, shop.joint, rules.packed(), pool.axes, lengths, head)
        shop.evaluations += slack.size
        sums = self.sums(shop.problem.limits, rules, slack, sacral, cosine)
        sums += (self.parameters["density"] * density(shop, pool.axes) + self.parameters["place"] * pool.articular)[
            :, None
        ]
        best = np.argmax(sums, axis=1)
        rows = np.arange(len(best))
        return Options(sums[rows, best], lengths[best], np.stack([start, start + lengths[best]], axis=1))

    def sums(self, limits: Limits, rules: SlotRules, slack: Array, sacral: Array, cosine: Array) -> Array:
        """What safety, length and angle of measured implants are worth, (n, lengths)."""
        p = self.parameters
        safety = traded(np.minimum(slack, sacral - limits.sacral_min_mm), p["slack_cap_mm"])
        length = np.clip(sacral, 0.0, None) / max(rules.lengths_mm)
        angle = 1.0 - np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))) / limits.joint_normal_angle_max_deg
        return np.asarray(p["safety"] * safety + p["length"] * length + p["angle"] * angle[:, None])

    def _best_set(self, shop: Workshop, pool: AxisPool, options: list[Options]) -> list[int]:
        """Slot by slot the axis with the largest sum beside the others, until nothing changes; best of all starts."""
        best, best_sum = list[int](), -np.inf
        count = shop.problem.count
        for start in range(int(self.parameters["starts"])):
            if best and shop.budget.out_of_time:
                shop.cut = True
                break
            shop.report("sweeping", 0.5 + 0.4 * start / self.parameters["starts"])
            chosen = sorted(int(n) for n in shop.rng.integers(len(pool.axes), size=count))
            total = -np.inf
            for _ in range(_SWEEPS):
                before = list(chosen)
                for slot in range(count):
                    worth = options[slot].worth + self._pairs(shop, pool, options, chosen, slot)
                    chosen[slot] = int(np.argmax(worth))
                total = self._total(shop, pool, options, chosen)
                if chosen == before:
                    break
            if total > best_sum:
                best, best_sum = chosen, total
        return best

    def _pairs(
        self, shop: Workshop, pool: AxisPool, options: list[Options], chosen: list[int], slot: int
    ) -> NDArray[np.float64]:
        """What the pairs with the other slots are worth, for every axis in this slot."""
        total = np.zeros(len(pool.axes))
        for other, n in enumerate(chosen):
            if other != slot:
                sign = 1.0 if slot < other else -1.0
                pair = pool.axes[n], options[other].span[n], pool.axes, options[slot].span, sign
                missed, spacing = beside_one(shop.bench.pairs, *pair)
                total += self.parameters["safety"] * traded(missed, self.parameters["slack_cap_mm"])
                if abs(other - slot) == 1:
                    total += self.parameters["spacing"] * np.minimum(spacing / SPACING_WISH_MM, 1.0)
        return total

    def _total(self, shop: Workshop, pool: AxisPool, options: list[Options], chosen: list[int]) -> float:
        """The sum of a whole set; every pair counts once."""
        single = sum(float(options[slot].worth[n]) for slot, n in enumerate(chosen))
        pairs = sum(float(self._pairs(shop, pool, options, chosen, slot)[n]) for slot, n in enumerate(chosen))
        return single + 0.5 * pairs


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """Every axis of a pool in one slot: worth (n,), length (n,) in mm, and where it starts and stops (n, 2)."""

    worth: NDArray[np.float64]
    length_mm: NDArray[np.float64]
    span: NDArray[np.float64]


def traded(slack_mm: Array, cap_mm: float) -> Array:
    """Safety as a term of the sum: 1 at the cap and above, 0 at the limit, and below it falling on at the same price.

    Examples
    --------
    >>> traded(np.array([9.0, 1.5, 0.0, -3.0]), 3.0).tolist()
    [1.0, 0.5, 0.0, -1.0]
    """
    return np.asarray(np.minimum(np.asarray(slack_mm) / cap_mm, 1.0))


def density(shop: Workshop, axes: Array) -> NDArray[np.float64]:
    """Mean density along the first 25 mm beyond the joint, 0 to 1 over `DENSITY_HU`; zeros without a CT."""
    ct = shop.problem.ct
    if ct is None:
        return np.zeros(len(axes))
    along = np.arange(_DENSITY_STEP_MM, _DENSITY_DEPTH_MM, _DENSITY_STEP_MM)
    points = axes[:, None, :3] + along[:, None] * axes[:, None, 3:]
    index = np.rint(ct.grid.ijk_from_lps(shop.bench.frame.lps_from_side(points))).astype(int)
    index = np.clip(index, 0, np.array(ct.hu.shape) - 1)
    mean = ct.hu[index[..., 0], index[..., 1], index[..., 2]].mean(axis=1)
    low, high = DENSITY_HU
    return np.asarray(np.clip((mean - low) / (high - low), 0.0, 1.0), dtype=np.float64)


@nb.njit(cache=True, parallel=True)
def measured(
    field: PlanningField,
    joint: JointSamples,
    rules: NDArray[np.float64],
    axes: NDArray[np.float64],
    lengths: NDArray[np.float64],
    head: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Slack and length in the sacrum of every axis with every length (n, m), cosine to the joint's normal, start (n,).

    The head stands `head` mm out of the ilium. Missed rules on the ilium and on the tip count as slack, in mm.
    """
    shape = (len(axes), len(lengths))
    slack, sacral = np.full(shape, -99.0), np.zeros(shape)
    cosine, begin = np.zeros(len(axes)), np.zeros(len(axes))
    for n in nb.prange(len(axes)):
        ok, lateral, leave, entry = passage(field, axes[n])
        if not ok:
            continue
        cosine[n] = footprint(joint, axes[n], 0.0, rules[0])[1]
        begin[n] = start = lateral - head
        for m in range(len(lengths)):
            stop = start + lengths[m]
            value = min(envelope_slack(field, axes[n], start, stop, rules[0], 1.0, -40.0), leave - lateral - rules[2])
            value = min(value, axes[n, 0] + stop * axes[n, 3] - rules[4])
            slack[n, m] = min(value, min(axes[n, 2] + stop * axes[n, 5], axes[n, 2]) - rules[5])
            sacral[n, m] = stop - entry
    return slack, sacral, cosine, begin


@nb.njit(cache=True)
def beside_one(
    pairs: PairRules,
    fixed: NDArray[np.float64],
    fixed_span: NDArray[np.float64],
    axes: NDArray[np.float64],
    spans: NDArray[np.float64],
    sign: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How much every axis misses the pair rules with a fixed one by (0 or less), and the spacing, in mm.

    `sign` is 1 where the axes are to lie cranial of the fixed one, -1 where caudal.
    """
    missed, spacing = np.zeros(len(axes)), np.zeros(len(axes))
    for n in range(len(axes)):
        order = sign * (axes[n, 2] - fixed[2])
        missed[n] = min(pair_shortfall(pairs, axes[n], spans[n], fixed, fixed_span), order)
        spacing[n] = np.sqrt(((axes[n, :3] - fixed[:3]) ** 2).sum())
    return np.minimum(missed, 0.0), spacing


def _placed(shop: Workshop, slot: int, axis: Array, length_mm: float) -> Placed | None:
    """An implant of a length, its head where the limits wish it; None where the axis passes no joint."""
    found = place(shop.bench, slot, axis)
    if found is None:
        return None
    start = found.lateral - shop.problem.limits.protrusion_target_mm
    return replace(found, start=start, stop=start + length_mm)
