"""evolution-v1: all implants at once as one vector, by scipy's differential evolution on the penalised worst slack."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import differential_evolution

from sjplan.core.arrays import Array
from sjplan.core.plan import Outcome
from sjplan.planning.baselines.shared import CAPABILITIES, FINISHING
from sjplan.planning.evolve import AxisCoding, value_sets
from sjplan.planning.protocol import PlannerSpec
from sjplan.planning.workshop import Workshop, WorkshopPlanner

_FINISHED = 3

_evolve: Any = differential_evolution
"""The stubs know neither its vectorised objectives nor that its callback may end it."""


class EvolutionPlanner(WorkshopPlanner):
    """Four numbers an implant; missed rules cost millimetres in the same objective (see `value_sets`).

    The best three members are refined on surfaces.
    """

    spec = PlannerSpec(
        id="evolution-v1",
        summary="differential evolution over all implants at once, on the penalised worst slack",
        capabilities=CAPABILITIES,
        parameters={"population": 10, "generations": 400, "refinements": 120, **FINISHING},
    )

    def search(self, shop: Workshop) -> Outcome:
        """Evolve, then finish the best members."""
        p = self.parameters
        shop.report("evolving", 0.1)
        sets = _evolved(shop, int(p["population"]), int(p["generations"]), float(p["slack_cap_mm"]))
        return shop.answer(shop.finished(sets[:_FINISHED])) if len(sets) else shop.timed_out(None)


def _evolved(shop: Workshop, population: int, generations: int, cap_mm: float) -> Array:
    """Sets of axes (m, count, 6) of the last generation, best first; none where the budget pays for no generation.

    scipy's own settings but for the size: best1bin, Latin hypercube, members replaced at a generation's end. It ends
    when the worst slack reaches the cap, or after so many generations.
    """
    coding = AxisCoding(shop)
    members = population * len(coding.bounds)
    affordable = min(generations, shop.left // (members * shop.problem.count) - 1)
    shop.cut |= affordable < generations
    if affordable < 1:
        return np.zeros((0, shop.problem.count, 6))
    done = [0]

    def cost(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        return -np.minimum(value_sets(shop, coding.axes(numbers.T)), cap_mm)

    def heard(intermediate_result: Any) -> bool:
        done[0] += 1
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
