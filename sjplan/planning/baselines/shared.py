"""What the planners to compare with share: the frame of a run, and the value of whole sets of axes."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.core.plan import Outcome
from sjplan.planning.candidates import ARTICULAR_SHARE, NOTHING, axis_value, recentre
from sjplan.planning.field import PlanningField
from sjplan.planning.joint_map import JointSamples, footprint
from sjplan.planning.protocol import Budget, PlannerSpec, Problem
from sjplan.planning.triples import PairRules, pair_shortfall
from sjplan.planning.workshop import Workshop, checked_parameters

FINISHING: Final[Mapping[str, float | int]] = {"slack_cap_mm": 3.0, "midline_reserve_mm": 8.0}
"""Parameters that the exact finish of every planner takes; as those of raster-v1."""

CAPABILITIES: Final = frozenset({"deterministic", "two-implants", "nearest"})

LOST_MM = 30.0
"""What an axis costs that passes no joint, has too little ilium or stands too oblique: more than any slack is worth."""

_MISSED_ARTICULAR_MM = 5.0


class Baseline(ABC):
    """A planner whose one idea stands in `search`; parameters as its spec's defaults.

    Raises
    ------
    GeometryError
        For a parameter that is unknown, not positive or not finite.
    """

    spec: PlannerSpec

    def __init__(self, **parameters: float) -> None:
        defaults = {name: value for name, value in self.spec.parameters.items() if isinstance(value, (int, float))}
        self.parameters = checked_parameters(self.spec.id, defaults, parameters)

    def plan(self, problem: Problem, *, rng: np.random.Generator, budget: Budget) -> Outcome:
        """Plan one side; see `sjplan.planning.protocol.Planner`."""
        started = time.monotonic()
        shop = Workshop.prepare(problem, self.parameters, rng, budget, self.spec.id)
        outcome = self.search(shop)
        return replace(outcome, seconds=time.monotonic() - started, evaluations=shop.evaluations)

    @abstractmethod
    def search(self, shop: Workshop) -> Outcome:
        """Look for a plan with what the workshop holds."""


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

    An axis that is lost costs `LOST_MM`. Moves the axes' points to the middle of the joint. Gives up below `floor`.
    """
    n = len(axes)
    spans = np.zeros((n, 2))
    worst, lost, articular = 99.0, 0, 0
    for i in range(n):
        recentre(field, axes[i])
        value, spans[i, 0], spans[i, 1] = axis_value(field, joint, rules[i], axes[i], 1.0, max(floor, -40.0))
        if value <= NOTHING:
            lost += 1
        else:
            worst = min(worst, value)
            articular += int(footprint(joint, axes[i], 0.0, rules[i, 0])[2] >= ARTICULAR_SHARE)
        if worst < floor or (lost > 0 and floor > -LOST_MM):
            return min(worst, 0.0) - LOST_MM * lost
    worst = min(worst, -_MISSED_ARTICULAR_MM * (articular_min - articular) if articular < articular_min else 99.0)
    for i in range(n):
        for j in range(i + 1, n):
            missed = min(pair_shortfall(pairs, axes[i], spans[i], axes[j], spans[j]), axes[i, 2] - axes[j, 2])
            if missed < 0.0:
                worst = min(worst, missed)
    return min(worst, 0.0) - LOST_MM * lost if lost > 0 else worst


@nb.njit(cache=True, parallel=True)
def sets_penalised(
    field: PlanningField,
    joint: JointSamples,
    rules: NDArray[np.float64],
    pairs: PairRules,
    articular_min: int,
    sets: NDArray[np.float64],
    floor: float,
) -> NDArray[np.float64]:
    """The same for many sets (m, n, 6)."""
    out = np.empty(len(sets))
    for m in nb.prange(len(sets)):
        out[m] = set_penalised(field, joint, rules, pairs, articular_min, sets[m], floor)
    return out


def in_order(sets: Array) -> Array:
    """Sets of axes (m, n, 6), each put in order from cranial to caudal."""
    order = np.argsort(-sets[:, :, 2], axis=1, kind="stable")
    return np.ascontiguousarray(np.take_along_axis(sets, order[:, :, None], axis=1))


def value_sets(shop: Workshop, sets: Array, floor_mm: float = -np.inf) -> NDArray[np.float64]:
    """Penalised worst slack of sets (m, count, 6), cranial to caudal; their points are moved to the joint in place."""
    rules = np.stack([r.packed() for r in shop.bench.rules])
    shop.evaluations += sets.shape[0] * sets.shape[1]
    value: NDArray[np.float64] = sets_penalised(
        shop.field, shop.joint, rules, shop.bench.pairs, shop.articular_min, sets, floor_mm
    )
    return value


def widest_angle_deg(shop: Workshop) -> float:
    """Half angle of the cone of directions that a search draws from, about the joint's mean normal."""
    return shop.problem.limits.joint_normal_angle_max_deg + 8.0
