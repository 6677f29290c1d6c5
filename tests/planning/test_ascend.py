"""Steps by linear programmes: cuts and rules are true to first order, and no step makes a set worse."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from sjplan.core.arrays import Array
from sjplan.planning import ascend
from sjplan.planning.ascend import ascended
from sjplan.planning.danger_sites import danger_points
from sjplan.planning.finish import Bench, Placed, place, worst_value
from sjplan.planning.protocol import Budget, Problem
from sjplan.planning.registry import load

SHIFT_MM, TILT_RAD = 0.05, 0.003


@pytest.fixture(scope="module")
def points(problem: Problem) -> Array:
    return danger_points(problem.anatomy, problem.side, problem.limits)


@pytest.fixture(scope="module")
def free(bench: Bench) -> Bench:
    """Without the wish to lie buried."""
    return replace(bench, rules=tuple(replace(r, buried_mm=np.inf) for r in bench.rules))


@pytest.fixture(scope="module")
def placed(free: Bench, problem: Problem) -> list[Placed]:
    """Those of an accepted plan that stopped at a low cap, so that there is slack to gain."""
    planner = load("raster-v1", slack_cap_mm=1.0, starts=4, refinements=1)
    plan = planner.plan(problem, rng=np.random.default_rng(0), budget=Budget()).plan
    assert plan is not None
    ends = [(free.frame.side_from_lps(t.entry_lps_mm), free.frame.side_from_vector(t.axis)) for t in plan.trajectories]
    found = [place(free, slot, np.concatenate(end)) for slot, end in enumerate(ends)]
    assert all(p is not None for p in found)
    return [p for p in found if p is not None]


def near(points: Array, placed: list[Placed]) -> list[Array]:
    return [points[ascend._distance_from(p, points) < 30.0] for p in placed]


def test_points_lie_as_near_as_surfaces(points: Array, free: Bench, placed: list[Placed]) -> None:
    """The nearest point's slack is no less than the exact one, and hardly more."""
    local = ascend._locals(free, placed)
    for slot, (here, some) in enumerate(zip(local, near(points, placed), strict=True)):
        least = min(left for _, left in ascend._cuts(free, slot, here, some))
        assert here.placed.slack_mm - 1e-3 <= least <= here.placed.slack_mm + 0.15


def test_cuts_and_rules_change_as_their_rows_say(points: Array, free: Bench, placed: list[Placed]) -> None:
    """Rows against what is measured again after small moves: errors are of second order."""
    rng = np.random.default_rng(6)
    local, some = ascend._locals(free, placed), near(points, placed)
    cuts, rules = ascend._all_cuts(free, local, some), ascend._all_rules(free, local)
    off = []
    for _ in range(12):
        moves = rng.uniform(-1.0, 1.0, (len(placed), 4)) * [SHIFT_MM, SHIFT_MM, TILT_RAD, TILT_RAD]
        axes = [ascend._moved_axis(here, move) for here, move in zip(local, moves, strict=True)]
        trial = [place(free, slot, axis) for slot, axis in enumerate(axes)]
        kept = [p for p in trial if p is not None]
        assert len(kept) == len(placed)
        after = ascend._all_rules(free, ascend._locals(free, kept))[1]
        off.append(np.abs(rules[1] - rules[0] @ np.append(moves.ravel(), 0.0) - after))
        promised = cuts[1] - cuts[0][:, :-1] @ moves.ravel()
        exact = min(p.slack_mm for p in kept)
        assert exact == pytest.approx(promised.min(), abs=0.08)
    assert np.median(off) < 0.01
    assert np.quantile(off, 0.95) < 0.05


def test_no_step_makes_a_set_worse_and_rules_stay_kept(points: Array, free: Bench, placed: list[Placed]) -> None:
    better, measured = ascended(free, points, placed, 30, 99.0)
    assert worst_value(free, better) > worst_value(free, placed)
    assert measured >= len(placed)
    again = [place(free, slot, p.axis) for slot, p in enumerate(better)]
    assert min(p.slack_mm for p in again if p is not None) == pytest.approx(min(p.slack_mm for p in better), abs=2e-3)
    for a, b in itertools.combinations(better, 2):
        assert np.linalg.norm(a.axis[:3] - b.axis[:3]) >= free.pairs.spacing_mm
        assert a.axis[3:] @ b.axis[3:] >= free.pairs.cosine
    assert ascended(free, points, placed, 30, 99.0)[0][0].slack_mm == better[0].slack_mm


def test_a_set_at_the_cap_stays(points: Array, free: Bench, placed: list[Placed]) -> None:
    same, measured = ascended(free, points, placed, 30, worst_value(free, placed) - 0.01)
    assert (same, measured) == (placed, 0)
