"""Whole sets of axes valued at once, missed rules as millimetres, and differential evolution on that value."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import differential_evolution

from sjplan.core.arrays import Array
from sjplan.planning.candidates import centred_fit, span_value
from sjplan.planning.field import PlanningField
from sjplan.planning.joint_map import JointSamples
from sjplan.planning.triples import PairRules, pair_shortfall
from sjplan.planning.workshop import Workshop

LOST_MM = 30.0
"""What an axis costs that passes no joint, has too little ilium or stands too oblique: more than any slack is worth."""

_MISSED_ARTICULAR_MM = 5.0

_DEEPEST_MM = 40.0
"""Axes that lie deeper in a danger are not told apart."""

_NUMBERS = 4
"""Numbers for one axis: where it crosses (posterior, cranial) and how far it leans from the mean normal, two ways."""

_evolve: Any = differential_evolution
"""The stubs know neither its vectorised objectives nor that its callback may end it."""


@nb.njit(cache=True)
def set_penalised(
    field: PlanningField,
    joint: JointSamples,
    rules: NDArray[np.float64],
    pairs: PairRules,
    articular_min: int,
    axes: NDArray[np.float64],
    floor: float,
) -> float:
    """Worst slack of a set of axes (n, 6), cranial to caudal, in mm; missed rules count in mm.

    An axis that is lost costs `LOST_MM`. Moves the axes' points to the middle of the joint. Gives up below `floor`:
    what costs least to measure is measured first.
    """
    n = len(axes)
    spans, fits = np.zeros((n, 2)), np.zeros(n, np.bool_)
    worst, lost, articular = 99.0, 0, 0
    for i in range(n):
        fits[i], spans[i, 0], spans[i, 1], part = centred_fit(field, joint, rules[i], axes[i])
        lost += int(not fits[i])
        articular += int(fits[i] and part)
        if -LOST_MM * lost < min(floor, 0.0):
            return -LOST_MM * lost
    if articular < articular_min:
        worst = -_MISSED_ARTICULAR_MM * (articular_min - articular)
    for i in range(n):
        for j in range(i + 1, n):
            missed = min(pair_shortfall(pairs, axes[i], spans[i], axes[j], spans[j]), axes[i, 2] - axes[j, 2])
            if missed < 0.0:
                worst = min(worst, missed)
    for i in range(n):
        total = min(worst, 0.0) - LOST_MM * lost if lost > 0 else worst
        if total < floor:
            return total
        if fits[i]:
            enough = max(floor + LOST_MM * lost, -_DEEPEST_MM)
            span = (spans[i, 0], spans[i, 1], 0.0)
            worst = min(worst, span_value(field, rules[i], axes[i], span, 1.0, enough))
    return min(worst, 0.0) - LOST_MM * lost if lost > 0 else worst


@nb.njit(cache=True, parallel=True)
def sets_penalised(
    field: PlanningField,
    joint: JointSamples,
    rules: NDArray[np.float64],
    pairs: PairRules,
    articular_min: int,
    sets: NDArray[np.float64],
    floors: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The same for many sets (m, n, 6), each with a floor of its own."""
    out = np.empty(len(sets))
    for m in nb.prange(len(sets)):
        out[m] = set_penalised(field, joint, rules, pairs, articular_min, sets[m], floors[m])
    return out


def in_order(sets: Array) -> Array:
    """Sets of axes (m, n, 6), each put in order from cranial to caudal."""
    order = np.argsort(-sets[:, :, 2], axis=1, kind="stable")
    return np.ascontiguousarray(np.take_along_axis(sets, order[:, :, None], axis=1))


def value_sets(shop: Workshop, sets: Array, floor_mm: float | Array = -np.inf) -> NDArray[np.float64]:
    """Penalised worst slack of sets (m, count, 6), cranial to caudal; their points are moved to the joint in place.

    A set that is worse than the floor, one for all or one for each (m,), gets some value below it.
    """
    floors = np.array(np.broadcast_to(floor_mm, len(sets)), dtype=np.float64)
    rules = np.stack([r.packed() for r in shop.bench.rules])
    shop.evaluations += sets.shape[0] * sets.shape[1]
    value: NDArray[np.float64] = sets_penalised(
        shop.field, shop.joint, rules, shop.bench.pairs, shop.articular_min, sets, floors
    )
    return value


def widest_angle_deg(shop: Workshop) -> float:
    """Half angle of the cone of directions that a search draws from, about the joint's mean normal."""
    return shop.problem.limits.joint_normal_angle_max_deg + 8.0


class AxisCoding:
    """Numbers to axes: the crossing lies on the plane fitted to the joint, the direction leans off its mean normal."""

    def __init__(self, shop: Workshop) -> None:
        joint = shop.problem.anatomy.joints[shop.problem.side]
        points = shop.joint.point
        self.count = shop.problem.count
        self.mean_normal = shop.bench.frame.side_from_vector(joint.mean_normal)
        self._plane = np.linalg.lstsq(np.column_stack([np.ones(len(points)), points[:, 1:]]), points[:, 0])[0]
        lean = float(np.tan(np.deg2rad(widest_angle_deg(shop))))
        one = [*zip(points[:, 1:].min(axis=0), points[:, 1:].max(axis=0), strict=True), (-lean, lean), (-lean, lean)]
        self.bounds = [(float(low), float(high)) for low, high in one] * self.count

    def axes(self, numbers: Array) -> Array:
        """Sets of axes (m, count, 6), cranial to caudal, of vectors (m, 4 count)."""
        values = np.asarray(numbers).reshape(len(numbers), self.count, _NUMBERS)
        lateral = self._plane[0] + values[..., 0] * self._plane[1] + values[..., 1] * self._plane[2]
        points = np.concatenate([lateral[..., None], values[..., :2]], axis=-1)
        way = self.mean_normal + np.concatenate([np.zeros((*lateral.shape, 1)), values[..., 2:]], axis=-1)
        way /= np.linalg.norm(way, axis=-1, keepdims=True)
        return in_order(np.concatenate([points, way], axis=-1))


def evolved(shop: Workshop, population: int, generations: int, cap_mm: float) -> Array:
    """Sets of axes (m, count, 6) of the last generation, best first; none where the budget pays for no generation.

    The population is scipy's (best1bin, Latin hypercube, deferred updating), `population` members a number. It ends
    when the worst slack reaches the cap, or after so many generations. A trial worse than its parent is dropped, so
    it is measured only until that is known.
    """
    coding = AxisCoding(shop)
    members = population * _NUMBERS * shop.problem.count
    affordable = min(generations, shop.left // (members * shop.problem.count) - 1)
    shop.cut |= affordable < generations
    if affordable < 1:
        return np.zeros((0, shop.problem.count, 6))
    done, parents = [0], np.full(members, -np.inf)

    def cost(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        floors = parents if numbers.shape[1] == members else -np.inf
        return -np.minimum(value_sets(shop, coding.axes(numbers.T), floors), cap_mm)

    def heard(intermediate_result: Any) -> bool:
        done[0] += 1
        parents[:] = -intermediate_result.population_energies
        if done[0] % 20 == 0:
            shop.report("evolving", 0.1 + 0.3 * done[0] / affordable)
        late = shop.budget.out_of_time
        shop.cut |= late
        return late or bool(intermediate_result.fun <= -cap_mm)

    result = _evolve(
        cost,
        coding.bounds,
        maxiter=affordable,
        popsize=population,
        tol=0.0,
        polish=False,
        updating="deferred",
        vectorized=True,
        callback=heard,
        seed=shop.rng,
    )
    order = np.argsort(result.population_energies, kind="stable")
    return coding.axes(result.population[order])
