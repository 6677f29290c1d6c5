"""Polishing whole plans on the fields: first the worst value up to a cap, then the wishes at that value."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.planning.candidates import NOTHING, centred_fit, envelope_slack, span_value
from sjplan.planning.field import PlanningField
from sjplan.planning.joint_map import JointSamples
from sjplan.planning.triples import PairRules, pair_shortfall

_NO_FLOOR = -90.0
_EQUAL_MM = 0.1
"""Field values may be off by about this much: a longer implant has to show it in reserve."""


class Wishes(NamedTuple):
    """What is preferred among plans of equal worst value: spacing in mm, and how many articular crossings count."""

    spacing_mm: float
    articular_min: int


_VALUE, _ARTICULAR, _PURCHASE = range(3)


@nb.njit(cache=True)
def _purchase(
    field: PlanningField,
    rules: NDArray[np.float64],
    axis: NDArray[np.float64],
    span: NDArray[np.float64],
    floor: float,
) -> float:
    """What it is worth that an implant can be lengthened at a slack of `floor`."""
    for more in (10.0, 5.0):
        tip = axis[0] + (span[1] + more) * axis[3]
        if tip < rules[4] or tip < 0.0:
            continue
        enough = floor + _EQUAL_MM
        if envelope_slack(field, axis, span[0], span[1] + more, rules[0], 1.0, enough) >= enough:
            return 6.0 + 0.6 * (more - 5.0)
    return 0.0


@nb.njit(cache=True)
def _joint_value(
    pairs: PairRules,
    wishes: Wishes,
    axes: NDArray[np.float64],
    spans: NDArray[np.float64],
    state: NDArray[np.float64],
) -> float:
    """The worst that a set misses the rules on pairs and on articular crossings by, else a large number."""
    worst, articular, n = 99.0, int(state[:, _ARTICULAR].sum()), len(axes)
    if articular < wishes.articular_min:
        worst = -5.0 * (wishes.articular_min - articular)
    for i in range(n):
        for j in range(i + 1, n):
            if axes[i, 2] < axes[j, 2]:
                return NOTHING
            missed = pair_shortfall(pairs, axes[i], spans[i], axes[j], spans[j])
            if missed < 0.0:
                worst = min(worst, missed)
    return worst


@nb.njit(cache=True)
def _score(wishes: Wishes, axes: NDArray[np.float64], state: NDArray[np.float64]) -> float:
    """What a set is worth beyond its worst value: purchase, articular crossings, parallel axes, wished spacing."""
    score, n = 4.0 * state[:, _ARTICULAR].sum() + state[:, _PURCHASE].sum(), len(axes)
    for i in range(n):
        for j in range(i + 1, n):
            cosine = axes[i, 3] * axes[j, 3] + axes[i, 4] * axes[j, 4] + axes[i, 5] * axes[j, 5]
            score -= 0.1 * np.degrees(np.arccos(min(cosine, 1.0)))
            if j == i + 1:
                spacing = np.sqrt(((axes[i, :3] - axes[j, :3]) ** 2).sum())
                score -= abs(spacing - wishes.spacing_mm)
    return float(score)


@nb.njit(cache=True)
def _valued(
    field: PlanningField,
    joint: JointSamples,
    rules: NDArray[np.float64],
    pairs: PairRules,
    wishes: Wishes,
    axes: NDArray[np.float64],
    spans: NDArray[np.float64],
    state: NDArray[np.float64],
    fresh: NDArray[np.bool_],
    step: float,
    need: float,
    floor: float,
) -> float:
    """Worst value of a set of which only the `fresh` axes have changed; fills their spans and states.

    Moves the fresh axes' points to the middle of the joint. Gives up below `need`.
    """
    n = len(axes)
    for i in range(n):
        if fresh[i]:
            fits, spans[i, 0], spans[i, 1], part = centred_fit(field, joint, rules[i], axes[i])
            if not fits:
                return NOTHING
            state[i, _ARTICULAR], state[i, _PURCHASE] = 1.0 if part else 0.0, 0.0
    worst = _joint_value(pairs, wishes, axes, spans, state)
    for i in range(n):
        if worst < need:
            return worst
        if fresh[i]:
            span = (spans[i, 0], spans[i, 1], 0.0)
            state[i, _VALUE] = span_value(field, rules[i], axes[i], span, step, max(need, -40.0))
            if floor > _NO_FLOOR and state[i, _VALUE] >= floor:
                state[i, _PURCHASE] = _purchase(field, rules[i], axes[i], spans[i], floor)
        worst = min(worst, state[i, _VALUE])
    return worst


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
    Moves the axes' points to the middle of the joint.
    """
    n = len(axes)
    state, fresh = np.zeros((n, 3)), np.ones(n, np.bool_)
    value = _valued(field, joint, rules, pairs, wishes, axes, spans, state, fresh, step, NOTHING, floor)
    return value, _score(wishes, axes, state) if value > NOTHING else NOTHING


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
    """Improve one set in place; returns its worst value and score.

    A trial is measured only where it differs from the set, and only until it is known to be no better.
    """
    n, half = len(axes), len(noise) // 2
    spans, state, every = np.zeros((n, 2)), np.zeros((n, 3)), np.ones(n, np.bool_)
    value = _valued(field, joint, rules, pairs, wishes, axes, spans, state, every, 0.5, NOTHING, _NO_FLOOR)
    failed, score, floor = 0, NOTHING, _NO_FLOOR
    trial, trial_spans, trial_state, fresh = axes.copy(), spans.copy(), state.copy(), every.copy()
    for it in range(len(noise)):
        if it == half:
            floor, size, failed = min(value, cap) - 0.05, 1.5, 0
            value = _valued(field, joint, rules, pairs, wishes, axes, spans, state, every, 0.5, NOTHING, floor)
            score = _score(wishes, axes, state) if value > NOTHING else NOTHING
        trial[:], trial_spans[:], trial_state[:] = axes, spans, state
        which = int(choice[it] * (n + 1))
        for i in range(n):
            fresh[i] = value <= NOTHING or which in (i, n)
            if which in (i, n):
                trial[i] = moved(axes[i], noise[it, i], size)
        need = value if it < half else floor
        v = _valued(field, joint, rules, pairs, wishes, trial, trial_spans, trial_state, fresh, 0.5, need, floor)
        s = _score(wishes, trial, trial_state) if it >= half and v >= floor else NOTHING
        better = v > value if it < half else (v >= floor and s > score)
        if better:
            value, score, failed = v, s, 0
            axes[:], spans[:], state[:] = trial, trial_spans, trial_state
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
