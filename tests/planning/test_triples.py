"""Choosing axes jointly: bit sets and bisection against trying every pair and triple; pair measures against solvers."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from sjplan.planning.triples import PairRules, below, best_sets, pair_shortfall, segment_distance

RULES = PairRules(spacing_mm=13.0, axis_gap_mm=12.5, cosine=float(np.cos(np.deg2rad(20.0))))
BISECTION_MM = 0.02
"""Width at which the search for the best threshold stops; on top of it float32 values."""


def random_axes(rng: np.random.Generator, count: int, spread_deg: float = 12.0) -> tuple[np.ndarray, np.ndarray]:
    """Axes over a joint of 60 by 40 mm, cranial to caudal, and where their implants begin and end."""
    points = rng.uniform([-3, -20, -30], [3, 20, 30], (count, 3))
    ways = np.array([-1.0, 0.0, 0.0]) + np.deg2rad(spread_deg) * rng.standard_normal((count, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    axes = np.concatenate([points[np.argsort(-points[:, 2])], ways], axis=1)
    spans = np.stack([rng.uniform(-30, -15, count), rng.uniform(10, 30, count)], axis=1)
    return axes, spans


def linked(links: np.ndarray, i: int, j: int) -> bool:
    return bool(int(links[i, j // 64]) >> (j % 64) & 1)


def brute_force(ok: np.ndarray, value: np.ndarray, articular: np.ndarray, articular_min: int, count: int) -> float:
    """Largest worst value over all legal sets; -inf where there is none."""
    best = -np.inf
    for chosen in itertools.combinations(range(len(value)), count):
        if (
            all(ok[i, j] for i, j in itertools.combinations(chosen, 2))
            and articular[list(chosen)].sum() >= articular_min
        ):
            best = max(best, min(float(value[n, slot]) for slot, n in enumerate(chosen)))
    return best


def test_segment_distance_is_the_solver_s() -> None:
    """Bounded least squares is slow and exact. Axes within 3e-5 rad count as parallel: 2e-3 mm over their length."""
    rng = np.random.default_rng(1)
    for n in range(300):
        (p, q), spans = random_axes(rng, 2, spread_deg=(0.0, 1e-4, 5.0, 60.0)[n % 4])
        if n % 4 == 0:
            q[3:] = p[3:]
        matrix = np.stack([p[3:], -q[3:]], axis=1)
        solved = lsq_linear(matrix, q[:3] - p[:3], (spans[:, 0], spans[:, 1]), tol=1e-14)
        wanted = float(np.sqrt(2 * solved.cost))
        assert segment_distance(p, *spans[0], q, *spans[1]) == pytest.approx(wanted, abs=2e-3)
        assert segment_distance(q, *spans[1], p, *spans[0]) == pytest.approx(wanted, abs=2e-3)


def test_pair_shortfall_names_the_worst_rule_in_mm() -> None:
    span = np.array([-20.0, 20.0])

    def axis(z: float, turn_deg: float = 0.0) -> np.ndarray:
        a = np.deg2rad(turn_deg)
        return np.array([0.0, 0.0, z, -np.cos(a), np.sin(a), 0.0])

    assert pair_shortfall(RULES, axis(14), span, axis(0), span) == 0.0
    assert pair_shortfall(RULES, axis(12.8), span, axis(0), span) == pytest.approx(-0.2)
    assert pair_shortfall(RULES, axis(12), span, axis(0), span) == pytest.approx(-1.0)
    wide = PairRules(5.0, 12.5, RULES.cosine)
    assert pair_shortfall(wide, axis(12), span, axis(0), span) == pytest.approx(-0.5)
    assert pair_shortfall(RULES, axis(30), span, axis(0, 26.0), span) == pytest.approx(-30.0 * np.deg2rad(6.0))
    assert pair_shortfall(RULES, axis(30), span, axis(0, 19.9), span) == 0.0


def test_links_are_the_pairs_without_shortfall() -> None:
    axes, spans = random_axes(np.random.default_rng(2), 130)
    links = below(RULES, axes, spans)
    legal = 0
    for i, j in itertools.product(range(130), repeat=2):
        wanted = j > i and pair_shortfall(RULES, axes[i], spans[i], axes[j], spans[j]) >= 0.0
        assert linked(links, i, j) == wanted
        legal += wanted
    assert 500 < legal < 8000


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6), size=st.integers(2, 18), articular_min=st.integers(0, 3), count=st.sampled_from([2, 3])
)
def test_best_sets_against_trying_everything(seed: int, size: int, articular_min: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    axes, spans = random_axes(rng, size)
    value = rng.uniform(-3, 4, (size, count)).astype(np.float32)
    value[rng.random((size, count)) < 0.1] = -99.0
    articular = rng.random(size) < 0.6
    links = below(RULES, axes, spans)
    ok = np.array([[linked(links, i, j) for j in range(size)] for i in range(size)])
    wanted = brute_force(ok, value, articular, articular_min, count)
    found, sets = best_sets(links, value, articular, articular_min, count, 8)
    assert len(sets) <= 8
    if wanted == -np.inf:
        assert found == -np.inf
        assert len(sets) == 0
        return
    assert wanted - BISECTION_MM - 1e-5 <= found <= wanted + 1e-5
    worst = [min(float(value[n, slot]) for slot, n in enumerate(chosen)) for chosen in sets]
    assert max(worst) >= found - 1e-5
    for chosen in sets:
        assert all(ok[i, j] for i, j in itertools.combinations(chosen, 2))
        assert articular[chosen].sum() >= articular_min
