"""What random-v1 and evolution-v1 draw from, and the value that both maximise."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import differential_evolution

from sjplan.planning.baselines.evolution import EvolutionPlanner
from sjplan.planning.baselines.random_search import random_sets
from sjplan.planning.candidates import NOTHING
from sjplan.planning.climb import Wishes, climb_all, set_value
from sjplan.planning.evolve import LOST_MM, AxisCoding, decode, evolved, value_sets, widest_angle_deg
from sjplan.planning.joint_map import crossings
from sjplan.planning.protocol import Budget, Problem
from sjplan.planning.workshop import Workshop


@pytest.fixture
def shop(problem: Problem) -> Workshop:
    return Workshop.prepare(problem, EvolutionPlanner().parameters, np.random.default_rng(0), Budget(), "any-v1")


@pytest.fixture
def drawn(shop: Workshop) -> np.ndarray:
    """Five hundred random sets of three axes."""
    joint = shop.problem.anatomy.joints[shop.problem.side]
    points = crossings(joint, shop.bench.frame, 1.0)
    mean = shop.bench.frame.side_from_vector(joint.mean_normal)
    return random_sets(np.random.default_rng(5), points, mean, 30.0, 500, 3)


def test_random_sets_are_ordered_and_fill_the_cone(shop: Workshop, drawn: np.ndarray) -> None:
    assert drawn.shape == (500, 3, 6)
    assert (np.diff(drawn[:, :, 2], axis=1) <= 0).all()
    assert np.linalg.norm(drawn[..., 3:], axis=-1) == pytest.approx(1.0)
    mean = shop.bench.frame.side_from_vector(shop.problem.anatomy.joints[shop.problem.side].mean_normal)
    cosine = drawn[..., 3:] @ mean
    assert cosine.min() >= np.cos(np.deg2rad(30.0)) - 1e-9
    middle = 0.5 * (1.0 + np.cos(np.deg2rad(30.0)))
    assert (cosine < middle).mean() == pytest.approx(0.5, abs=0.05), "even over the cap: height is even"


def test_penalised_value_agrees_with_the_joint_value_of_raster(shop: Workshop, drawn: np.ndarray) -> None:
    """Where no axis is lost both say the same; a lost axis costs more than any slack is worth."""
    sets = drawn.copy()
    value = value_sets(shop, sets)
    assert shop.evaluations == 1500
    rules = np.stack([r.packed() for r in shop.bench.rules])
    wishes = Wishes(22.0, shop.articular_min)
    compared = 0
    for axes, mine in zip(drawn.copy(), value, strict=True):
        theirs, _ = set_value(
            shop.field, shop.joint, rules, shop.bench.pairs, wishes, axes, np.zeros((3, 2)), 1.0, -99.0
        )
        if theirs > NOTHING:
            assert mine == pytest.approx(theirs, abs=1e-9)
            compared += 1
        elif axes[0, 2] >= axes[1, 2] >= axes[2, 2]:
            assert mine <= -LOST_MM
    assert compared > 20


def test_climbing_reports_the_values_of_what_it_returns(shop: Workshop, drawn: np.ndarray) -> None:
    """It measures only what it moves; all measured anew say the same, but for where the march's steps fall (mm).

    Purchase is counted down to a floor that lies between the value at the start and the value reached: at a lower floor
    it can only be more.
    """
    order = np.argsort(-value_sets(shop, drawn.copy()))[:4]
    rules, wishes = np.stack([r.packed() for r in shop.bench.rules]), Wishes(22.0, shop.articular_min)
    rng = np.random.default_rng(6)
    kernel = shop.field, shop.joint, rules, shop.bench.pairs, wishes
    noise, choice = rng.standard_normal((4, 300, 3, 6)), rng.random((4, 300))
    axes, value, score = climb_all(*kernel, drawn[order], 1.0, noise, choice)
    start = value_sets(shop, drawn[order])
    for one, first, mine, wished in zip(axes, start, value, score, strict=True):
        (theirs, least), (_, most) = (
            set_value(*kernel, one.copy(), np.zeros((3, 2)), 0.5, floor) for floor in (mine, min(first, 1.0) - 0.05)
        )
        assert mine == pytest.approx(theirs, abs=0.03)
        assert least - 1.5 <= wished <= most + 1.5
    assert (value > start).all()


def test_a_floor_changes_nothing_above_it(shop: Workshop, drawn: np.ndarray) -> None:
    whole = value_sets(shop, drawn.copy())
    quick = value_sets(shop, drawn.copy(), -5.0)
    assert quick[whole >= -5.0].tolist() == whole[whole >= -5.0].tolist()
    assert (quick[whole < -5.0] < -5.0).all()


def test_floors_may_differ(shop: Workshop, drawn: np.ndarray) -> None:
    whole = value_sets(shop, drawn.copy())
    floors = whole + np.random.default_rng(8).choice([-3.0, 0.0, 0.1], len(whole))
    quick = value_sets(shop, drawn.copy(), floors)
    kept = whole >= floors
    assert quick[kept].tolist() == whole[kept].tolist()
    assert (quick[~kept] < floors[~kept]).all()


def test_decoding_is_the_coding(shop: Workshop) -> None:
    coding = AxisCoding(shop)
    shares = np.random.default_rng(9).random((100, len(coding.bounds)))
    axes = np.empty((3, 6))
    for one, wanted in zip(shares, coding.axes(coding.scaled(shares)), strict=True):
        decode(coding.packed, one, axes)
        assert axes == pytest.approx(wanted, abs=1e-9)


def test_evolution_finds_what_scipy_finds(shop: Workshop) -> None:
    """The slow reference: the same evolution by scipy, over a quarter of the generations that are usual."""
    coding = AxisCoding(shop)

    def best(seed: int) -> tuple[float, float]:
        found = differential_evolution(
            lambda numbers: -value_sets(shop, coding.axes(numbers.T)),
            coding.bounds,
            maxiter=100,
            popsize=4,
            tol=0.0,
            polish=False,
            updating="deferred",
            vectorized=True,
            seed=seed,
        )
        again = replace(shop, rng=np.random.default_rng(seed))
        sets = evolved(again, 4, 100, np.inf)
        value = value_sets(again, sets.copy())
        assert (np.diff(value) <= 1e-9).all(), "best first"
        return value[0], -float(found.fun)

    mine, theirs = np.array([best(seed) for seed in range(6)]).T
    assert np.median(mine) > np.median(theirs) - 0.5


def test_evolution_ends_at_the_cap_and_repeats_itself(shop: Workshop) -> None:
    one, same = (replace(shop, rng=np.random.default_rng(1)) for _ in range(2))
    first, second = (evolved(run, 4, 60, np.inf) for run in (one, same))
    assert first.tolist() == second.tolist()
    cut_short = replace(shop, rng=np.random.default_rng(1), evaluations=0)
    capped = evolved(cut_short, 4, 400, -20.0)
    assert value_sets(shop, capped[:1].copy())[0] >= -20.0
    assert cut_short.evaluations < one.evaluations - shop.evaluations


def test_coding_of_axes(shop: Workshop) -> None:
    """Twelve numbers give three axes over the joint, leaning as told, cranial to caudal."""
    coding = AxisCoding(shop)
    low, high = np.array(coding.bounds).T
    middle = coding.axes(np.array([0.5 * (low + high)]))
    assert middle.shape == (1, 3, 6)
    assert middle[0, :, 3:] == pytest.approx(np.tile(coding.mean_normal, (3, 1)))
    points = shop.joint.point
    assert np.linalg.norm(points - middle[0, 0, :3], axis=1).min() < 8.0
    some = coding.axes(np.random.default_rng(0).uniform(low, high, (200, 12)))
    assert (np.diff(some[:, :, 2], axis=1) <= 0).all()
    angle = np.degrees(np.arccos(np.clip(some[..., 3:] @ coding.mean_normal, -1.0, 1.0)))
    assert angle.max() > widest_angle_deg(shop) - 5.0, "the cone is reached"
