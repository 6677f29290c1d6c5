"""Fields whose values are known everywhere: planes, slabs and balls, on the planner's own grid step."""

from collections.abc import Callable

import numpy as np

from sjplan.core.arrays import unit
from sjplan.planning.field import FIELD_STEP_MM, PlanningField, SideFrame, with_leaps
from sjplan.planning.finish import Bench, make_bench
from sjplan.planning.protocol import Problem
from sjplan.planning.rules import pair_rules, slot_rules
from sjplan.safety.surfaces import measuring_surfaces

HALF_MM = 48.0
"""The fields reach this far from the origin."""

Scalar = Callable[[np.ndarray], np.ndarray]


def field_of(slack: Scalar, sacrum: Scalar | None = None, ilium: Scalar | None = None) -> PlanningField:
    """Sample functions of points (..., 3) on the grid."""
    line = np.arange(-HALF_MM, HALF_MM + 0.5 * FIELD_STEP_MM, FIELD_STEP_MM)
    points = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1)

    def sampled(function: Scalar | None) -> np.ndarray:
        values = np.full(points.shape[:3], 30.0) if function is None else function(points)
        return np.ascontiguousarray(values, dtype=np.float32)

    origin = np.full(3, -HALF_MM)
    return with_leaps(sampled(slack), sampled(sacrum), sampled(ilium), origin, FIELD_STEP_MM)


def plane(normal: np.ndarray, offset_mm: float) -> Scalar:
    """Signed distance from a plane, positive on the side that its normal points to."""
    n = unit(normal)
    return lambda points: points @ n - offset_mm


def ball(centre: np.ndarray, radius_mm: float) -> Scalar:
    """Distance to a ball's surface, negative inside."""
    return lambda points: np.linalg.norm(points - np.asarray(centre), axis=-1) - radius_mm


def axis_of(point: np.ndarray, way: np.ndarray) -> np.ndarray:
    """An axis as the kernels take it."""
    return np.concatenate([np.asarray(point, dtype=float), unit(way)])


def random_axis(rng: np.random.Generator, wobble: float = 1.0) -> np.ndarray:
    """An axis through the middle of the fields, medial give or take."""
    return axis_of(rng.uniform(-4, 4, 3), np.array([-1.0, 0.0, 0.0]) + wobble * rng.standard_normal(3))


def bench_of(problem: Problem) -> Bench:
    """Exact measuring as the planner prepares it."""
    rules = tuple(
        slot_rules(problem.anatomy, problem.side, problem.limits, slot, model)
        for slot, model in enumerate(problem.models, 1)
    )
    return make_bench(
        problem,
        measuring_surfaces(problem.anatomy, problem.side),
        SideFrame(problem.anatomy.frame, problem.side),
        rules,
        pair_rules(problem.limits, problem.models, 0.1),
    )
