"""Statistics against scipy, published samples and brute force; intervals that cover what they claim to."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sjplan.bench.statistics import (
    best_by,
    bootstrap_means,
    case_means,
    discordance_p,
    holm,
    performance_profile,
    share_of,
    signed_rank_p,
    wilson,
)

DARWIN = [6.0, 8.0, 14.0, 16.0, 23.0, 24.0, 28.0, 29.0, 41.0, -48.0, 49.0, 56.0, 60.0, -67.0, 75.0]
"""Heights of cross- less self-fertilised corn in eighths of an inch (Darwin 1876), the sample of Wilcoxon's test."""


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (5, 5), (1, 3), (50, 1000), (999, 1000)])
def test_wilson_is_scipys(hits: int, n: int) -> None:
    wanted = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert wilson(hits / n, n) == pytest.approx((wanted.low, wanted.high), abs=1e-12)
    alone = share_of(np.arange(n) < hits, np.arange(n))
    assert (alone.low, alone.high) == pytest.approx((wanted.low, wanted.high), abs=1e-9)


def test_runs_of_one_case_are_worth_less_than_runs_of_many() -> None:
    """Ten equal runs a case tell no more than one."""
    hits = np.random.default_rng(0).random(60) < 0.7
    once, tenfold = share_of(hits, np.arange(60)), share_of(np.repeat(hits, 10), np.repeat(np.arange(60), 10))
    assert tenfold.value == once.value
    assert (tenfold.low, tenfold.high) == pytest.approx((once.low, once.high), abs=0.005)
    assert share_of(np.ones(600, bool), np.repeat(np.arange(60), 10)).low == pytest.approx(wilson(1.0, 60)[0])
    assert share_of([], []).runs == 0


def test_intervals_of_shares_cover_where_cases_differ() -> None:
    """Cases of unlike difficulty, six runs each: the interval holds the true share 95 times in 100."""
    rng, covered, naive = np.random.default_rng(1), 0, 0
    for _ in range(1000):
        difficulty = rng.beta(1.2, 0.8, size=80)
        hits = rng.random((80, 6)) < difficulty[:, None]
        share = share_of(hits.ravel(), np.repeat(np.arange(80), 6))
        covered += share.low <= 0.6 <= share.high
        low, high = wilson(share.value, share.runs)
        naive += low <= 0.6 <= high
    assert 930 <= covered <= 970
    assert naive < 800


@pytest.mark.parametrize("sample", ["normal", "skewed", "tied"])
def test_bootstrap_is_scipys_bca(sample: str) -> None:
    rng = np.random.default_rng(2)
    values = {"normal": rng.normal(1.0, 1.0, 50), "skewed": rng.exponential(1.0, 40), "tied": np.arange(40) % 3.0}[
        sample
    ]
    low, high = bootstrap_means(values[:, None], resamples=40_000)
    wanted = stats.bootstrap(
        (values,), np.mean, method="BCa", n_resamples=40_000, rng=np.random.default_rng(3)
    ).confidence_interval
    width = wanted.high - wanted.low
    assert low[0] == pytest.approx(wanted.low, abs=0.03 * width)
    assert high[0] == pytest.approx(wanted.high, abs=0.03 * width)


def test_bootstrap_takes_whole_cases_and_leaves_gaps_out() -> None:
    rng = np.random.default_rng(4)
    full = rng.normal(size=(30, 2))
    holed = full.copy()
    holed[20:, 1] = np.nan
    low, high = bootstrap_means(holed)
    assert np.array_equal(bootstrap_means(holed), (low, high))
    assert not np.array_equal(bootstrap_means(holed, seed=1)[0], low)
    assert low[0] == bootstrap_means(full)[0][0]
    few = bootstrap_means(full[:20, 1:])
    assert (low[1], high[1]) == pytest.approx((few[0][0], few[1][0]), abs=0.1)
    assert np.isnan(bootstrap_means([[1.0, np.nan]])[0]).all()
    assert np.array_equal(bootstrap_means(np.ones((5, 1))), np.ones((2, 1)))


def test_signed_rank_on_darwins_corn() -> None:
    """Wilcoxon (1945): the rank sum of the negative ones is 24, p about 0.041."""
    assert signed_rank_p(DARWIN) == pytest.approx(0.04126, abs=5e-6)
    assert signed_rank_p(DARWIN, "greater") == pytest.approx(0.02063, abs=5e-6)
    assert signed_rank_p([*DARWIN, 0.0, float("nan")]) == signed_rank_p(DARWIN)
    assert signed_rank_p([0.0, 0.0]) == 1.0


@pytest.mark.parametrize(("won", "lost"), [(6, 1), (0, 4), (12, 3), (700, 600)])
def test_one_run_a_case_is_mcnemars_exact_test(won: int, lost: int) -> None:
    counts = [1] * won + [-1] * lost + [0] * 5
    for alternative in ("two-sided", "less", "greater"):
        wanted = stats.binomtest(won, won + lost, alternative=alternative).pvalue
        assert discordance_p(counts, alternative) == pytest.approx(wanted, rel=1e-9)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-5, 5), max_size=9))
def test_discordance_is_every_change_of_signs(counts: list[int]) -> None:
    sums = [
        sum(s * c for s, c in zip(signs, counts, strict=True))
        for signs in itertools.product((-1, 1), repeat=len(counts))
    ]
    less, greater = np.mean(np.array(sums) <= sum(counts)), np.mean(np.array(sums) >= sum(counts))
    assert discordance_p(counts, "less") == pytest.approx(less)
    assert discordance_p(counts, "greater") == pytest.approx(greater)
    assert discordance_p(counts) == pytest.approx(min(1.0, 2 * min(less, greater)))


def test_discordance_of_very_many_cases_is_quick_and_right() -> None:
    counts = np.random.default_rng(5).integers(-6, 7, 50_000)
    z = counts.sum() / np.sqrt((counts.astype(float) ** 2).sum())
    assert discordance_p(counts) == pytest.approx(2 * stats.norm.sf(abs(z)), rel=0.01)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])
    assert holm([]).tolist() == []


def test_profiles_by_definition() -> None:
    rng = np.random.default_rng(6)
    costs = rng.integers(1, 6, size=(40, 3)).astype(float)
    costs[rng.random((40, 3)) < 0.2] = np.inf
    for form, steps in (("ratio", np.array([1.0, 1.5, 2.0, 5.0])), ("difference", np.array([0.0, 1.0, 4.0]))):
        got = performance_profile(costs, steps, form)  # type: ignore[arg-type]
        for solver, (k, step) in itertools.product(range(3), enumerate(steps)):
            within = 0
            for row in costs:
                limit = row.min() * step if form == "ratio" else row.min() + step
                within += bool(np.isfinite(row[solver]) and row[solver] <= limit + 1e-9)
            assert got[solver, k] == pytest.approx(within / 40)
    assert performance_profile([[0.0, 0.01]], [1.0], "ratio", floor=0.05).tolist() == [[1.0], [1.0]]


def test_case_means_and_best_by_step() -> None:
    assert case_means([1.0, np.nan, 5.0, 7.0], [0, 0, 2, 2], 3) == pytest.approx([1.0, np.nan, 6.0], nan_ok=True)
    rng = np.random.default_rng(7)
    run, at, value = rng.integers(0, 5, 60), rng.random(60), rng.normal(size=60)
    steps = np.linspace(0, 0.9, 7)
    got = best_by(run, at, value, steps, 5)
    for k, (j, step) in itertools.product(range(5), enumerate(steps)):
        assert got[k, j] == max(value[(run == k) & (at <= step)], default=-np.inf)
