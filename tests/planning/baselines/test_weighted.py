"""weighted-v1's idea: what a millimetre of safety is worth can be paid for with something else."""

from dataclasses import replace

import numpy as np
import pytest

from sjplan.core.grid import Grid
from sjplan.core.volume import CtVolume
from sjplan.planning.baselines.weighted import DENSITY_HU, WeightedPlanner, beside_one, density, measured, traded
from sjplan.planning.field import PlanningField
from sjplan.planning.finish import Bench
from sjplan.planning.joint_map import JointSamples
from sjplan.planning.marching import passage
from sjplan.planning.protocol import Budget, Problem
from sjplan.planning.triples import PairRules
from sjplan.planning.workshop import Workshop
from sjplan.safety.judge import judge


def test_a_missed_limit_has_the_price_of_its_millimetres() -> None:
    """From the cap down the price is one third a millimetre, at the limit too: nothing happens at zero."""
    worth = traded(np.arange(-6.0, 7.0), 3.0)
    assert np.diff(worth)[:9] == pytest.approx([1 / 3] * 9)
    assert worth[-3:] == pytest.approx([1.0] * 3)


@pytest.mark.parametrize("start", range(3))
def test_dear_length_is_longer_and_nearer(
    start: int, field: PlanningField, joint: JointSamples, bench: Bench, axes: np.ndarray
) -> None:
    """On one axis: the dearer length is, the longer the implant that has the largest sum, and the less its slack."""
    rules, limits = bench.rules[0], bench.problem.limits
    lengths = np.array(rules.lengths_mm)
    slack, sacral, cosine, _ = measured(field, joint, rules.packed(), axes[start : start + 1], lengths, 3.0)
    best = []
    for price in (0.01, 1.0, 10.0, 100.0):
        sums = WeightedPlanner(length=price, safety=0.5).sums(limits, rules, slack, sacral, cosine)
        best.append(int(np.argmax(sums[0])))
    assert best == sorted(best)
    assert best[-1] == len(lengths) - 1, "at last any limit is sold"
    assert (np.diff(slack[0, best]) <= 1e-6).all()
    assert slack[0, best[-1]] < 0.0 <= slack[0, best[0]] + 1.0


@pytest.mark.slow
def test_length_buys_nearness(problem: Problem) -> None:
    """With length dear and safety cheap the same search takes longer implants, nearer to danger."""
    coarse = {"crossing_step_mm": 4.0, "direction_step_deg": 8.0, "pool": 600, "starts": 6}
    found = {}
    for name, weights in {"safe": {"length": 0.01}, "long": {"length": 20.0, "safety": 0.5}}.items():
        planner = WeightedPlanner(**coarse, **weights)
        outcome = planner.plan(problem, rng=np.random.default_rng(0), budget=Budget())
        plan = outcome.plan or outcome.nearest
        assert plan is not None
        found[name] = judge(plan, problem.anatomy, problem.limits)
    held = {name: sum(i.sacral_mm for i in report.implants) for name, report in found.items()}
    assert held["long"] > held["safe"] + 5.0
    assert found["long"].slack_mm < found["safe"].slack_mm - 0.5
    assert not found["long"].accepted, "a limit was sold"


def test_measures_are_those_of_the_fields(
    field: PlanningField, joint: JointSamples, bench: Bench, axes: np.ndarray
) -> None:
    lengths = np.array([30.0, 40.0, 55.0])
    slack, sacral, cosine, start = measured(field, joint, bench.rules[0].packed(), axes, lengths, 3.0)
    for n, axis in enumerate(axes):
        ok, lateral, _, entry = passage(field, axis)
        assert ok
        assert start[n] == pytest.approx(lateral - 3.0)
        assert sacral[n] == pytest.approx(start[n] + lengths - entry)
    assert (np.diff(slack, axis=1) <= 1e-6).all(), "a longer implant is never farther from danger"
    assert ((cosine > 0.5) & (cosine <= 1.0)).all()


def test_pairs_are_missed_by_order_and_by_spacing() -> None:
    pairs = PairRules(13.0, 12.0, np.cos(np.deg2rad(20.0)))
    axes = np.array([[0.0, 0.0, z, -1.0, 0.0, 0.0] for z in (20.0, 5.0, -20.0)])
    span = np.array([-20.0, 20.0])
    missed, spacing = beside_one(pairs, axes[1] * 0 + [0, 0, 0, -1, 0, 0], span, axes, np.tile(span, (3, 1)), 1.0)
    assert spacing == pytest.approx([20.0, 5.0, 20.0])
    assert missed == pytest.approx([0.0, -8.0, -20.0])


def test_density_is_read_from_the_ct(problem: Problem, axes: np.ndarray) -> None:
    """Half way between the two ends of the window is worth a half; without a CT nothing is."""
    parameters = WeightedPlanner().parameters
    shop = Workshop.prepare(problem, parameters, np.random.default_rng(0), Budget(), "weighted-v1")
    assert density(shop, axes).tolist() == [0.0] * 3
    grid = Grid((60, 60, 60), (5.0, 5.0, 5.0), (-150.0, -150.0, -150.0), np.eye(3))
    shop.problem = replace(problem, ct=CtVolume(grid, np.full(grid.shape, sum(DENSITY_HU) / 2, np.float32)))
    assert density(shop, axes) == pytest.approx([0.5] * 3)
