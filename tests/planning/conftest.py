"""One small problem, its fields and its bench, shared by the tests of this folder."""

from itertools import pairwise

import numpy as np
import pytest
from planning_shapes import bench_of

from sjplan.planning.candidates import NOTHING, scan
from sjplan.planning.field import PlanningField, planning_field
from sjplan.planning.finish import Bench
from sjplan.planning.joint_map import JointSamples, crossings, directions, joint_samples
from sjplan.planning.protocol import Problem
from sjplan.testing.problems import phantom_problem


@pytest.fixture(scope="session")
def problem() -> Problem:
    """Three triangular rods on the left of the phantom at 2 mm."""
    return phantom_problem()


@pytest.fixture(scope="session")
def field(problem: Problem) -> PlanningField:
    return planning_field(problem.anatomy, problem.side, problem.limits)


@pytest.fixture(scope="session")
def bench(problem: Problem) -> Bench:
    """Exact measuring as the planner prepares it."""
    return bench_of(problem)


@pytest.fixture(scope="session")
def joint(problem: Problem, bench: Bench) -> JointSamples:
    return joint_samples(problem.anatomy.joints[problem.side], bench.frame)


@pytest.fixture(scope="session")
def axes(field: PlanningField, joint: JointSamples, problem: Problem, bench: Bench) -> np.ndarray:
    """Three axes as a coarse scan finds them: the best of the upper, middle and lower third of the joint, (3, 6)."""
    whole = problem.anatomy.joints[problem.side]
    points = crossings(whole, bench.frame, 4.0)
    ways = directions(bench.frame.side_from_vector(whole.mean_normal), 30.0, 10.0)
    value, _, _ = scan(field, joint, bench.rules[1].packed(), points, ways, -3.0)
    bounds = np.quantile(points[:, 2], [1.0, 0.7, 0.4, 0.0])
    chosen = []
    for high, low in pairwise(bounds):
        best = np.where(((points[:, 2] <= high) & (points[:, 2] > low))[:, None], value, NOTHING)
        n, m = np.unravel_index(int(np.argmax(best)), best.shape)
        chosen.append(np.concatenate([points[n], ways[m]]))
    return np.array(chosen)
