"""Polishing whole plans on the fields: first the worst value up to a cap, then the wishes at that value."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.planning.candidates import ARTICULAR_SHARE, NOTHING, axis_value, envelope_slack, passage, recentre
from sjplan.planning.field import PlanningField
from sjplan.planning.joint_map import JointSamples, footprint
from sjplan.planning.triples import PairRules, pair_shortfall

_NO_FLOOR = -90.0
_EQUAL_MM = 0.1
"""Field values may be off by about this much: a longer implant has to show it in reserve."""


class Wishes(NamedTuple):
    """What is preferred among plans of equal worst value: spacing in mm, and how many articular crossings count."""

    spacing_mm: float
    articular_min: int


@nb.njit(cache=True)
def set_value(
    field: PlanningField,
    joint: JointSamples,
    rules: NDArray[np.float64],
    pairs: PairRules,
    wishes: Wishes,
    axes: NDArray[np.float64],
    spans: NDArray[np.float64],
    step: float,
    floor: float,
) -> tuple[float, float]:
    """Worst value of a set of axes, missed pair rules included, and its score of wishes; fills the spans.

    Longer purchase counts as a wish only where `floor` is real: what an implant may be lengthened by at that slack.
    """
    worst, score, articular = 99.0, 0.0, 0
    n = len(axes)
    for i in range(n):
        value, spans[i, 0], spans[i, 1] = axis_value(field, joint, rules[i], axes[i], step, -40.0)
        if value <= NOTHING:
            return NOTHING, NOTHING
        worst = min(worst, value)
        if floor > _NO_FLOOR and value >= floor:
            for more in (10.0, 5.0):
                tip = axes[i, 0] + (spans[i, 1] + more) * axes[i, 3]
                if tip < rules[i, 4] or tip < 0.0:
                    continue
                longer = envelope_slack(field, axes[i], spans[i, 0], spans[i, 1] + more, rules[i, 0], 1.0, floor)
                if longer >= floor + _EQUAL_MM:
                    score += 6.0 + 0.6 * (more - 5.0)
                    break
        ok, _, leave, entry = passage(field, axes[i])
        if ok and footprint(joint, axes[i], 0.5 * (leave + entry), rules[i, 0])[2] >= ARTICULAR_SHARE:
            articular += 1
    score += 4.0 * articular
    if articular < wishes.articular_min:
        worst = min(worst, -5.0 * (wishes.articular_min - articular))
    for i in range(n):
        for j in range(i + 1, n):
            worst = min(worst, NOTHING if axes[i, 2] < axes[j, 2] else 99.0)
            missed = pair_shortfall(pairs, axes[i], spans[i], axes[j], spans[j])
            if missed < 0.0:
                worst = min(worst, missed)
            cosine = axes[i, 3] * axes[j, 3] + axes[i, 4] * axes[j, 4] + axes[i, 5] * axes[j, 5]
            score -= 0.1 * np.degrees(np.arccos(min(cosine, 1.0)))
            if j == i + 1:
                spacing = np.sqrt(((axes[i, :3] - axes[j, :3]) ** 2).sum())
                score -= abs(spacing - wishes.spacing_mm)
    return worst, score


@nb.njit(cache=True)
def moved(axis: NDArray[np.float64], noise: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    """The axis shifted by about `size` mm and turned by about `size` / 20 rad."""
    out = axis.copy()
    for d in range(3):
        out[d] += size * noise[d]
        out[3 + d] += size / 20.0 * noise[3 + d]
    length = np.sqrt(out[3] ** 2 + out[4] ** 2 + out[5] ** 2)
    for d in range(3):
        out[3 + d] /= length
    return out


@nb.njit(cache=True)
def _climb(
    field: PlanningField,
    joint: JointSamples,
    rules: NDArray[np.float64],
    pairs: PairRules,
    wishes: Wishes,
    axes: NDArray[np.float64],
    cap: float,
    size: float,
    noise: NDArray[np.float64],
    choice: NDArray[np.float64],
) -> tuple[float, float]:
    """Improve one set in place; returns its worst value and score."""
    n = len(axes)
    spans = np.zeros((n, 2))
    for i in range(n):
        recentre(field, axes[i])
    value, score = set_value(field, joint, rules, pairs, wishes, axes, spans, 0.5, _NO_FLOOR)
    failed = 0
    half = len(noise) // 2
    floor = _NO_FLOOR
    trial = axes.copy()
    for it in range(len(noise)):
        if it == half:
            floor, size, failed = min(value, cap) - 0.05, 1.5, 0
            value, score = set_value(field, joint, rules, pairs, wishes, axes, spans, 0.5, floor)
        trial[:] = axes
        which = int(choice[it] * (n + 1))
        for i in range(n):
            if which in (i, n):
                trial[i] = moved(axes[i], noise[it, i], size)
                recentre(field, trial[i])
        v, s = set_value(field, joint, rules, pairs, wishes, trial, spans, 0.5, floor)
        better = v > value if it < half else (v >= floor and s > score)
        if better:
            value, score, failed = v, s, 0
            axes[:] = trial
        else:
            failed += 1
            if failed > 60:
                size, failed = max(0.7 * size, 0.03), 0
    return value, score


@nb.njit(cache=True, parallel=True)
def climb_all(
    field: PlanningField,
    joint: JointSamples,
    rules: NDArray[np.float64],
    pairs: PairRules,
    wishes: Wishes,
    starts: NDArray[np.float64],
    cap: float,
    noise: NDArray[np.float64],
    choice: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Improve every set (starts: (m, n, 6)); returns the sets, their worst values and their scores."""
    out = starts.copy()
    value, score = np.zeros(len(starts)), np.zeros(len(starts))
    for m in nb.prange(len(starts)):
        value[m], score[m] = _climb(field, joint, rules, pairs, wishes, out[m], cap, 1.0, noise[m], choice[m])
    return out, value, score
