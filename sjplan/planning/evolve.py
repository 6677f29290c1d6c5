"""Whole sets of axes valued at once, missed rules as millimetres, and differential evolution on that value."""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

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

_CROSSOVER, _LEAST_SCALE = 0.7, 0.5
"""scipy's own: share of numbers that cross over, and the least weight of a difference (the most is 1)."""

_STRETCH = 20
"""Generations between two looks at the clock."""


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
        low, high = np.array(one).T
        self.packed = np.concatenate([self._plane, self.mean_normal, low, high - low])

    def scaled(self, shares: Array) -> Array:
        """Numbers (m, 4 count) within the bounds, of shares from 0 to 1."""
        low, high = np.array(self.bounds).T
        return np.asarray(low + shares * (high - low))

    def axes(self, numbers: Array) -> Array:
        """Sets of axes (m, count, 6), cranial to caudal, of vectors (m, 4 count)."""
        values = np.asarray(numbers).reshape(len(numbers), self.count, _NUMBERS)
        lateral = self._plane[0] + values[..., 0] * self._plane[1] + values[..., 1] * self._plane[2]
        points = np.concatenate([lateral[..., None], values[..., :2]], axis=-1)
        way = self.mean_normal + np.concatenate([np.zeros((*lateral.shape, 1)), values[..., 2:]], axis=-1)
        way /= np.linalg.norm(way, axis=-1, keepdims=True)
        return in_order(np.concatenate([points, way], axis=-1))


@nb.njit(cache=True)
def decode(coding: NDArray[np.float64], shares: NDArray[np.float64], axes: NDArray[np.float64]) -> None:
    """`AxisCoding.axes` of shares (4 n,) of the bounds, into axes (n, 6); `coding` is `AxisCoding.packed`."""
    n = len(axes)
    for i in range(n):
        first = _NUMBERS * i
        a, b = coding[6] + shares[first] * coding[10], coding[7] + shares[first + 1] * coding[11]
        u, v = coding[8] + shares[first + 2] * coding[12], coding[9] + shares[first + 3] * coding[13]
        x, y, z = coding[3], coding[4] + u, coding[5] + v
        size = np.sqrt(x * x + y * y + z * z)
        place = i
        while place > 0 and axes[place - 1, 2] < b:
            axes[place] = axes[place - 1]
            place -= 1
        axes[place, 0], axes[place, 1], axes[place, 2] = coding[0] + a * coding[1] + b * coding[2], a, b
        axes[place, 3], axes[place, 4], axes[place, 5] = x / size, y / size, z / size


def _late(shop: Workshop) -> bool:
    """Whether time is over; if so, the run counts as cut."""
    late = shop.budget.out_of_time
    shop.cut |= late
    return late


def evolved(shop: Workshop, population: int, generations: int, cap_mm: float) -> Array:
    """Sets of axes (m, count, 6) of the last generation, best first; none where the budget pays for no generation.

    The evolution is that of Storn and Price (best1bin) as scipy has it: Latin hypercube, one scale a generation,
    members replaced at its end; `population` members a number. It ends when the worst slack reaches the cap, or
    after so many generations.
    """
    coding = AxisCoding(shop)
    size = _NUMBERS * shop.problem.count
    members = population * size
    affordable = min(generations, shop.left // (members * shop.problem.count) - 1)
    shop.cut |= affordable < generations
    if affordable < 1:
        return np.zeros((0, shop.problem.count, 6))
    strata = shop.rng.permuted(np.tile(np.arange(members, dtype=float), (size, 1)), axis=1).T
    numbers = (strata + shop.rng.random((members, size))) / members
    value = np.minimum(value_sets(shop, coding.axes(coding.scaled(numbers))), cap_mm)
    rules = np.stack([r.packed() for r in shop.bench.rules])
    done = 0
    while done < affordable and value.max() < cap_mm and not _late(shop):
        draws = _draws(shop.rng, min(_STRETCH, affordable - done), members, size)
        passed = _generations(
            shop.field,
            shop.joint,
            rules,
            shop.bench.pairs,
            shop.articular_min,
            coding.packed,
            numbers,
            value,
            cap_mm,
            *draws,
        )
        shop.evaluations += passed * members * shop.problem.count
        done += passed
        shop.report("evolving", 0.1 + 0.3 * done / affordable)
    order = np.argsort(-value, kind="stable")
    return coding.axes(coding.scaled(numbers[order]))


def _draws(rng: np.random.Generator, generations: int, members: int, size: int) -> tuple[Array, Array, Array, Array]:
    """Chance for so many generations, all from 0 to 1.

    The scale; two donors of each member and a number that must cross over; which others do; what replaces numbers
    that leave their bounds.
    """
    shape = (generations, members)
    return rng.random(generations), rng.random((*shape, 3)), rng.random((*shape, size)), rng.random((*shape, size))


@nb.njit(cache=True)
def _donor(chance: float, members: int, taken: int, other: int) -> int:
    """A member drawn evenly from all but two, of which `other` may be -1 for none."""
    low, high = min(taken, other), max(taken, other)
    n = int(chance * (members - (1 if other < 0 else 2)))
    if other >= 0 and n >= low:
        n += 1
    return n + 1 if n >= high else n


@nb.njit(cache=True)
def _generations(
    field: PlanningField,
    joint: JointSamples,
    rules: NDArray[np.float64],
    pairs: PairRules,
    articular_min: int,
    coding: NDArray[np.float64],
    numbers: NDArray[np.float64],
    value: NDArray[np.float64],
    cap: float,
    scale: NDArray[np.float64],
    donors: NDArray[np.float64],
    crossing: NDArray[np.float64],
    anew: NDArray[np.float64],
) -> int:
    """Evolve members (m, 4 n), in place, with their values; how many generations were needed to reach the cap.

    A trial worse than its parent is dropped, and is therefore measured only until that is known.
    """
    members, size = numbers.shape
    trials, axes = numbers.copy(), np.empty((size // _NUMBERS, 6))
    for g in range(len(scale)):
        best = numbers[np.argmax(value)].copy()
        factor = _LEAST_SCALE + (1.0 - _LEAST_SCALE) * scale[g]
        for m in range(members):
            first = _donor(donors[g, m, 0], members, m, -1)
            second = _donor(donors[g, m, 1], members, m, first)
            forced = int(donors[g, m, 2] * size)
            for d in range(size):
                trials[m, d] = numbers[m, d]
                if d == forced or crossing[g, m, d] < _CROSSOVER:
                    moved = best[d] + factor * (numbers[first, d] - numbers[second, d])
                    trials[m, d] = moved if 0.0 <= moved <= 1.0 else anew[g, m, d]
        for m in range(members):
            decode(coding, trials[m], axes)
            worth = set_penalised(field, joint, rules, pairs, articular_min, axes, value[m])
            if min(worth, cap) >= value[m]:
                value[m], numbers[m] = min(worth, cap), trials[m]
        if value.max() >= cap:
            return g + 1
    return len(scale)
