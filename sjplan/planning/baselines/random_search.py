"""random-v1: sets of axes drawn at random, the best few refined on surfaces. What any search has to beat."""

from __future__ import annotations

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.plan import Outcome
from sjplan.planning.baselines.shared import CAPABILITIES, FINISHING
from sjplan.planning.evolve import in_order, value_sets, widest_angle_deg
from sjplan.planning.joint_map import crossings
from sjplan.planning.protocol import PlannerSpec
from sjplan.planning.workshop import Workshop, WorkshopPlanner

_CROSSING_STEP_MM = 1.0
_CHUNK = 2000
_KEPT = 6


class RandomPlanner(WorkshopPlanner):
    """Draws crossings evenly over the joint and directions evenly in the cone that raster-v1 fills.

    All implants of a set are drawn independently, then put in order. The sets are valued on the fields; the best six
    get the small moves on surfaces that raster-v1 ends with (`refinements`), nothing else. Drawing ends when a set
    reaches the cap.
    """

    spec = PlannerSpec(
        id="random-v1",
        summary="sets of axes drawn at random, the best few refined on exact surfaces",
        capabilities=CAPABILITIES,
        parameters={"draws": 200_000, "refinements": 120, **FINISHING},
    )

    def search(self, shop: Workshop) -> Outcome:
        """Draw, keep the best, finish."""
        problem = shop.problem
        joint = problem.anatomy.joints[problem.side]
        points = crossings(joint, shop.bench.frame, _CROSSING_STEP_MM)
        mean = shop.bench.frame.side_from_vector(joint.mean_normal)
        wanted = int(self.parameters["draws"])
        draws = min(wanted, shop.left // problem.count)
        shop.cut |= draws < wanted
        best, value = np.zeros((0, problem.count, 6)), np.zeros(0)
        for first in range(0, draws, _CHUNK):
            if shop.budget.out_of_time:
                shop.cut = True
                break
            shop.report("drawing sets", 0.1 + 0.3 * first / draws)
            many = min(_CHUNK, draws - first)
            sets = random_sets(shop.rng, points, mean, widest_angle_deg(shop), many, problem.count)
            floor = float(value[-1]) if len(value) == _KEPT else -np.inf
            value = np.concatenate([value, value_sets(shop, sets, floor)])
            best = np.concatenate([best, sets])
            order = np.argsort(-value, kind="stable")[:_KEPT]
            best, value = best[order], value[order]
            if value[0] >= self.parameters["slack_cap_mm"]:
                break
        return shop.answer(shop.finished(best))


def random_sets(
    rng: np.random.Generator, points: Array, mean_normal: Array, half_angle_deg: float, many: int, count: int
) -> Array:
    """Sets of axes (many, count, 6): points drawn from those given, directions evenly over a cone's cap."""
    chosen = points[rng.integers(len(points), size=(many, count))]
    cosine = 1.0 - rng.random((many, count)) * (1.0 - np.cos(np.deg2rad(half_angle_deg)))
    turn = 2.0 * np.pi * rng.random((many, count))
    helper = np.array([0.0, 0.0, 1.0]) if abs(mean_normal[2]) < 0.9 else np.array([0.0, 1.0, 0.0])
    e1 = np.cross(mean_normal, helper)
    e1 /= np.linalg.norm(e1)
    e2 = np.cross(mean_normal, e1)
    sine = np.sqrt(1.0 - cosine**2)
    across = np.cos(turn)[..., None] * e1 + np.sin(turn)[..., None] * e2
    ways = cosine[..., None] * mean_normal + sine[..., None] * across
    return in_order(np.concatenate([chosen, ways], axis=-1))
