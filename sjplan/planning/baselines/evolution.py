"""evolution-v1: all implants at once as one vector, by scipy's differential evolution on the penalised worst slack."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import differential_evolution

from sjplan.core.arrays import Array
from sjplan.core.plan import Outcome
from sjplan.planning.baselines.shared import CAPABILITIES, FINISHING, Baseline, in_order, value_sets, widest_angle_deg
from sjplan.planning.protocol import PlannerSpec
from sjplan.planning.workshop import Workshop

_NUMBERS = 4
"""Numbers for one axis: where it crosses (posterior, cranial) and how far it leans from the mean normal, two ways."""

_FINISHED = 3

_evolve: Any = differential_evolution
"""The stubs know neither its vectorised objectives nor that its callback may end it."""


class EvolutionPlanner(Baseline):
    """Four numbers an implant; missed rules cost millimetres in the same objective.

    The population is scipy's (best1bin, Latin hypercube, deferred updating), `population` members a number. It ends
    when the worst slack reaches the cap, or after `generations`. The best three members are refined on surfaces.
    """

    spec = PlannerSpec(
        id="evolution-v1",
        summary="differential evolution over all implants at once, on the penalised worst slack",
        capabilities=CAPABILITIES,
        parameters={"population": 10, "generations": 400, "refinements": 120, **FINISHING},
    )

    def search(self, shop: Workshop) -> Outcome:
        """Evolve, then finish the best members."""
        coding = AxisCoding(shop)
        members = int(self.parameters["population"]) * _NUMBERS * shop.problem.count
        wanted = int(self.parameters["generations"])
        generations = min(wanted, shop.left // (members * shop.problem.count) - 1)
        shop.cut |= generations < wanted
        if generations < 1:
            return shop.timed_out(None)
        shop.report("evolving", 0.1)
        cap, done = float(self.parameters["slack_cap_mm"]), [0]

        def cost(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
            return -np.minimum(value_sets(shop, coding.axes(numbers.T)), cap)

        def heard(intermediate_result: Any) -> bool:
            done[0] += 1
            if done[0] % 20 == 0:
                shop.report("evolving", 0.1 + 0.3 * done[0] / generations)
            late = shop.budget.out_of_time
            shop.cut |= late
            return late or bool(intermediate_result.fun <= -cap)

        result = _evolve(
            cost,
            coding.bounds,
            maxiter=generations,
            popsize=int(self.parameters["population"]),
            tol=0.0,
            polish=False,
            updating="deferred",
            vectorized=True,
            callback=heard,
            seed=shop.rng,
        )
        order = np.argsort(result.population_energies, kind="stable")[:_FINISHED]
        return shop.answer(shop.finished(coding.axes(result.population[order])))


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
