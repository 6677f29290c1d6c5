"""The benchmark's statistics: shares, differences and their uncertainty, where cases are what was drawn.

Both sides of a pelvis, and several seeds on it, are no independent observations. Whatever says how sure a number is
(an interval, a p-value) therefore takes whole cases: runs of one case are joined first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.signal import fftconvolve

from sjplan.core.arrays import Array

CONFIDENCE: Final = 0.95
ALPHA: Final = 0.05
"""How often what does not differ may be called different, all measures of a question together."""

RESAMPLES: Final = 4000
"""Bootstrap samples: the ends of a 95 % interval then move by a few hundredths of its width from seed to seed."""

_BATCH_CELLS: Final = 1_000_000
"""Cells of a batch of bootstrap weights: 8 MB."""

Alternative = Literal["two-sided", "less", "greater"]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its interval: of how many runs, on how many cases."""

    value: float
    low: float
    high: float
    runs: int
    cases: int


def wilson(share: float, n: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's interval of a share that was seen in `n` independent trials; (0, 1) for none.

    `n` need not be whole: it may be what correlated trials are worth. Wilson (1927), Brown, Cai and DasGupta (2001).

    Examples
    --------
    >>> [round(x, 4) for x in wilson(0.05, 1000)]
    [0.0381, 0.0653]
    """
    if not n > 0:
        return 0.0, 1.0
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def share_of(hits: ArrayLike, case: ArrayLike, confidence: float = CONFIDENCE) -> Share:
    """Share of hits with Wilson's interval for the number of runs that the cases are worth.

    That number is runs over the design effect (Kish 1965; Korn and Graubard 1998): the variance of the share as whole
    cases show it, over that of independent runs, never below 1. Where all or none are hits it cannot be seen, and every
    case counts once.

    Parameters
    ----------
    hits : (n,) bool
        Run by run.
    case : (n,) int
        Which case each run is of.
    confidence : float
        Of the interval.

    Examples
    --------
    >>> share_of([True, True, False, False], [0, 0, 1, 1]).low < share_of([True, True, False, False], [0, 1, 2, 3]).low
    True
    """
    hit, of = np.asarray(hits, dtype=np.float64), np.unique(np.asarray(case), return_inverse=True)[1]
    n = len(hit)
    if n == 0:
        return Share(float("nan"), 0.0, 1.0, 0, 0)
    cases, share = int(of.max()) + 1, float(hit.mean())
    surplus = np.bincount(of, weights=hit - share)
    if cases == 1 or not 0.0 < share < 1.0:
        worth = float(cases)
    else:
        variance = cases / (cases - 1) * float(surplus @ surplus) / n**2
        worth = n / max(1.0, variance / (share * (1 - share) / (n - 1)))
    return Share(share, *wilson(share, worth, confidence), n, cases)


def case_means(values: ArrayLike, case: ArrayLike, cases: int) -> Array:
    """Mean of each case's values that are not nan, (cases,); nan where a case has none.

    Examples
    --------
    >>> case_means([1.0, 3.0, float("nan")], [0, 0, 1], 2).tolist()
    [2.0, nan]
    """
    value, of = np.asarray(values, dtype=np.float64), np.asarray(case, dtype=np.intp)
    known = np.isfinite(value)
    count = np.bincount(of[known], minlength=cases)
    total = np.bincount(of[known], weights=value[known], minlength=cases)
    return np.asarray(np.divide(total, count, out=np.full(cases, np.nan), where=count > 0))


def bootstrap_means(
    values: ArrayLike, seed: int = 0, confidence: float = CONFIDENCE, resamples: int = RESAMPLES
) -> tuple[Array, Array]:
    """BCa bootstrap intervals (Efron 1987) of the means of several columns, whose rows are drawn again together.

    Parameters
    ----------
    values : (cases, k) float
        One row a case; nan where a column has no value for it.
    seed : int
        The same seed gives the same intervals.
    confidence : float
        Of the intervals.
    resamples : int
        How often all cases are drawn again.

    Returns
    -------
    low, high : (k,) float
        nan for a column with fewer than two values.

    Examples
    --------
    >>> low, high = bootstrap_means([[0.0], [1.0], [2.0], [3.0]])
    >>> bool(0.0 < low[0] < 1.5 < high[0] < 3.0)
    True
    """
    table = np.asarray(values, dtype=np.float64)
    known = np.isfinite(table)
    filled = np.where(known, table, 0.0)
    n = known.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = filled.sum(axis=0) / n
        drawn = _resampled_means(filled, known.astype(np.float64), seed, resamples)
        off = np.where(known, filled - means, 0.0)
        acceleration = (off**3).sum(axis=0) / (6 * ((off**2).sum(axis=0)) ** 1.5)
    low, high = np.full(table.shape[1], np.nan), np.full(table.shape[1], np.nan)
    for k in np.flatnonzero(n >= 2):
        low[k], high[k] = _bca(drawn[:, k], float(means[k]), float(np.nan_to_num(acceleration[k])), confidence)
    return low, high


def _resampled_means(filled: Array, known: Array, seed: int, resamples: int) -> Array:
    """Means of all columns in every resample, (resamples, k): each is one draw of weights for the cases."""
    rng = np.random.default_rng(seed)
    cases = len(filled)
    batch = max(1, _BATCH_CELLS // max(cases, 1))
    parts = []
    for first in range(0, resamples, batch):
        many = min(batch, resamples - first)
        picks = rng.integers(0, cases, size=(many, cases)) + np.arange(many)[:, None] * cases
        weights = np.bincount(picks.ravel(), minlength=many * cases).reshape(many, cases).astype(np.float64)
        parts.append((weights @ filled) / (weights @ known))
    return np.concatenate(parts)


def _bca(drawn: Array, mean: float, acceleration: float, confidence: float) -> tuple[float, float]:
    """Ends of one BCa interval; a column without spread, or drawn on one side of its mean only, gets percentiles."""
    values = drawn[np.isfinite(drawn)]
    below = (np.count_nonzero(values < mean) + np.count_nonzero(values <= mean)) / (2 * len(values))
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if 0.0 < below < 1.0:
        bias, z = stats.norm.ppf(below), stats.norm.ppf(tails)
        tails = stats.norm.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))
    low, high = np.quantile(values, tails)
    return float(low), float(high)


def signed_rank_p(differences: ArrayLike, alternative: Alternative = "two-sided") -> float:
    """P-value of Wilcoxon's signed rank test; differences of zero are left out, and 1 where nothing is left.

    Parameters
    ----------
    differences : (cases,) float
        One a case; nan is left out.
    alternative : {"two-sided", "less", "greater"}
        "less": whether they are below zero.

    Examples
    --------
    >>> signed_rank_p([1.0, 2.0, 3.0, 4.0, 5.0], "greater")
    0.03125
    """
    value = np.asarray(differences, dtype=np.float64)
    value = value[np.isfinite(value) & (value != 0.0)]
    if len(value) == 0:
        return 1.0
    return float(stats.wilcoxon(value, alternative=alternative).pvalue)


def discordance_p(counts: ArrayLike, alternative: Alternative = "two-sided") -> float:
    """P-value of an exact sign test on whole-numbered differences, case by case; McNemar's where cases have one run.

    Under the null hypothesis each case's difference could as well have the other sign. The distribution of their sum is
    worked out exactly: cases that differ by the same number are one binomial, and those are convolved.

    Parameters
    ----------
    counts : (cases,) int
        By how many runs the one planner has more than the other.
    alternative : {"two-sided", "less", "greater"}
        "less": whether it has fewer.

    Examples
    --------
    >>> round(discordance_p([1, 1, 1, 1, 1, 1, -1, 0, 0]), 9)  # McNemar's exact test, 6 to 1
    0.125
    """
    count = np.asarray(counts, dtype=np.int64)
    sizes, many = np.unique(np.abs(count[count != 0]), return_counts=True)
    density = np.ones(1)
    for size, number in zip(sizes, many, strict=True):
        spread = np.zeros(2 * size * number + 1)
        spread[:: 2 * size] = stats.binom.pmf(np.arange(number + 1), number, 0.5)
        density = np.convolve(density, spread) if len(density) * len(spread) < 1e7 else fftconvolve(density, spread)
    middle, seen = len(density) // 2, int(count.sum())
    density = np.clip(density, 0.0, None)
    greater, less = float(density[middle + seen :].sum()), float(density[: middle + seen + 1].sum())
    p = {"greater": greater, "less": less, "two-sided": 2 * min(greater, less)}[alternative]
    return min(1.0, p)


def holm(p_values: ArrayLike) -> Array:
    """P-values corrected for their number by Holm (1979), in the order given.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(raised, 1.0)
    return corrected


def performance_profile(
    costs: ArrayLike, steps: ArrayLike, form: Literal["ratio", "difference"], floor: float = 0.0
) -> Array:
    """Share of problems on which each solver's cost is within a factor, or an amount, of the best solver's.

    Dolan and More (2002) for the ratio. The difference serves costs that may be zero, where ratios mean nothing.

    Parameters
    ----------
    costs : (problems, solvers) float
        What a solver paid; infinite where it failed.
    steps : (m,) float
        Factors from 1, or amounts from 0.
    form : {"ratio", "difference"}
        Which of the two.
    floor : float
        Costs below count as this much: they are not told apart.

    Returns
    -------
    (solvers, m) float
        Rising along the steps. A problem that no solver solved counts for none of them.

    Examples
    --------
    >>> performance_profile([[1.0, 2.0], [3.0, float("inf")]], [1.0, 2.0], "ratio").tolist()
    [[1.0, 1.0], [0.0, 0.5]]
    """
    cost = np.maximum(np.asarray(costs, dtype=np.float64), floor)
    best = cost.min(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        behind = cost / best if form == "ratio" else cost - best
    behind = np.where(np.isfinite(cost), behind, np.inf)
    ordered = np.sort(behind, axis=0)
    tolerance = 1e-9  # a step that was rounded still holds the cost that it was made from
    return np.stack([
        np.searchsorted(column, np.asarray(steps) + tolerance, side="right") / len(cost) for column in ordered.T
    ])  # fmt: skip


def best_by(run: ArrayLike, at: ArrayLike, value: ArrayLike, steps: ArrayLike, runs: int) -> Array:
    """Best value that each run had by each step, (runs, steps): -inf before its first.

    Parameters
    ----------
    run : (n,) int
        Which run an event is of.
    at : (n,) float
        When it was.
    value : (n,) float
        What was reached.
    steps : (m,) float
        Rising.
    runs : int
        How many runs there are.

    Examples
    --------
    >>> best_by([0, 0, 1], [1.0, 3.0, 2.0], [0.5, 0.9, 0.1], [1.0, 2.0, 3.0], 2).tolist()
    [[0.5, 0.5, 0.9], [-inf, 0.1, 0.1]]
    """
    grid = np.asarray(steps, dtype=np.float64)
    column = np.searchsorted(grid, np.asarray(at, dtype=np.float64), side="left")
    best = np.full((runs, len(grid) + 1), -np.inf)
    np.maximum.at(best, (np.asarray(run, dtype=np.intp), column), np.asarray(value, dtype=np.float64))
    return np.asarray(np.maximum.accumulate(best[:, :-1], axis=1))
