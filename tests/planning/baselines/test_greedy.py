"""greedy-v1's idea: one after the other, never better than jointly, and worse where the best spot is in the way."""

import numpy as np
import pytest

from sjplan.planning.baselines.greedy import beside, climb_one, needs_articular
from sjplan.planning.candidates import axis_value
from sjplan.planning.climb import moved
from sjplan.planning.field import PlanningField
from sjplan.planning.finish import Bench
from sjplan.planning.joint_map import JointSamples
from sjplan.planning.pool import AxisPool
from sjplan.planning.triples import PairRules, below, best_sets

PAIRS = PairRules(13.0, 12.0, np.cos(np.deg2rad(20.0)))
CAP_MM = 3.0


def pool_at(heights: np.ndarray, values: np.ndarray, articular: np.ndarray | None = None) -> AxisPool:
    """Parallel medial axes at heights of one joint, cranial to caudal, with values (n, 3)."""
    axes = np.zeros((len(heights), 6))
    axes[:, 2], axes[:, 3] = heights, -1.0
    flags = np.ones(len(heights), bool) if articular is None else articular
    return AxisPool(axes, np.tile([-20.0, 20.0], (len(heights), 1)), flags, values.astype(np.float32))


def one_by_one(pool: AxisPool, articular_min: int, cap_mm: float) -> tuple[float, list[int]]:
    """The three axes that greedy takes without climbing, and the worst worth; below 0 where a rule is missed."""
    chosen: list[int] = []
    worst = np.inf
    for slot in range(3):
        need = needs_articular([bool(pool.articular[n]) for n in chosen], 3, articular_min)
        worth = beside(PAIRS, pool, slot, pool.axes[chosen], pool.spans[chosen], cap_mm, need)
        chosen.append(int(np.argmax(worth)))
        worst = min(worst, float(worth.max()))
    return worst, chosen


@pytest.mark.parametrize("seed", range(40))
def test_never_beats_the_joint_choice(seed: int) -> None:
    rng = np.random.default_rng(seed)
    heights = np.sort(rng.uniform(-30.0, 20.0, 30))[::-1]
    pool = pool_at(heights, rng.uniform(0.1, 5.0, (30, 3)), rng.random(30) < 0.6)
    links = below(PAIRS, pool.axes, pool.spans)
    joint, _ = best_sets(links, pool.values, pool.articular, 2, 3, 8)
    worst, _ = one_by_one(pool, 2, 99.0)
    if worst > 0.0:
        assert worst <= joint + 0.03, "bisection is to 0.02 mm"


def test_best_spot_in_the_middle_leaves_no_room() -> None:
    """Slot 1 takes 5 mm in the middle of the joint; then nothing fits below, where three at 4 mm stood together."""
    heights = np.array([14.0, 0.0, -1.0, -14.0])
    values = np.array([[4.0] * 3, [4.0] * 3, [5.0] * 3, [4.0] * 3])
    pool = pool_at(heights, values)
    links = below(PAIRS, pool.axes, pool.spans)
    assert best_sets(links, pool.values, pool.articular, 2, 3, 8)[0] == pytest.approx(4.0, abs=0.03)
    assert one_by_one(pool, 2, 99.0)[0] < 0.0
    capped, chosen = one_by_one(pool, 2, CAP_MM)
    assert (capped, chosen) == (CAP_MM, [0, 1, 3]), "among equals up to the cap the most cranial is taken"


def test_articular_crossings_are_looked_ahead_to() -> None:
    heights = np.array([20.0, 19.0, 0.0, -20.0])
    values = np.full((4, 3), 3.0)
    pool = pool_at(heights, values, np.array([False, True, True, True]))
    assert one_by_one(pool, 2, CAP_MM)[1] == [0, 2, 3], "one of three may miss the articular part"
    assert one_by_one(pool, 3, CAP_MM)[1] == [1, 2, 3], "none may"


def test_climbing_never_lowers_an_axis_and_keeps_its_neighbours_room(
    field: PlanningField, joint: JointSamples, bench: Bench, axes: np.ndarray
) -> None:
    rng = np.random.default_rng(1)
    rules = bench.rules[1].packed()
    start = moved(axes[1], rng.standard_normal(6), 1.5)
    before, *span = axis_value(field, joint, rules, start, 0.5, -40.0)
    none = np.zeros((0, 6)), np.zeros((0, 2))
    after = climb_one(field, joint, rules, bench.pairs, start, *none, False, 99.0, rng.standard_normal((200, 6)))
    assert axis_value(field, joint, rules, after, 0.5, -40.0)[0] >= before
    assert span
