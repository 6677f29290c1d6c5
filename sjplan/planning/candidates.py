"""Kernels on one axis: where it passes the bones, and how much slack an implant along it has.

An axis is six numbers in the side frame: the point where it crosses the joint, and its medial direction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.planning.field import PlanningField, sample
from sjplan.planning.joint_map import JointSamples, footprint

MARCH_MM = 0.5
_GAP_MM = 16.0
_ILIUM_MM = 60.0
_MOST_LENGTHS = 64
_LEAST_FOOTPRINT = 4
ARTICULAR_SHARE = 0.55
"""Share of a footprint that has to be articular for the search; the judge asks for a half."""

NOTHING = -99.0
"""Value of an axis that does not pass from the ilium through the joint into the sacrum."""


_RADIUS, _SACRAL, _ILIAC, _PROTRUSION, _TIP, _LOWEST, _COSINE, _INNER, _BURIED, _LENGTHS = range(10)


@dataclass(frozen=True, slots=True)
class SlotRules:
    """Rules of one slot; lengths in mm, the angle to the joint's normal as a cosine.

    `tip_lateral_mm`: least distance of the tip from the midline; `lowest_mm`: least cranial coordinate.
    `buried_mm`: so deep behind the lateral surface the inscribed circle lies in the ilium all round; infinite
    where that is not asked.
    """

    radius_mm: float
    lengths_mm: tuple[float, ...]
    sacral_min_mm: float
    iliac_min_mm: float
    protrusion_max_mm: float
    tip_lateral_mm: float
    lowest_mm: float
    joint_cosine: float
    inscribed_radius_mm: float
    buried_mm: float

    def packed(self) -> NDArray[np.float64]:
        """One vector for the kernels: nine numbers, then the lengths, infinite beyond the last."""
        numbers = [self.radius_mm, self.sacral_min_mm, self.iliac_min_mm, self.protrusion_max_mm]
        numbers += [self.tip_lateral_mm, self.lowest_mm, self.joint_cosine, self.inscribed_radius_mm, self.buried_mm]
        return np.array([*numbers, *self.lengths_mm, *[np.inf] * (_MOST_LENGTHS - len(self.lengths_mm))])


@nb.njit(cache=True)
def passage(field: PlanningField, axis: NDArray[np.float64]) -> tuple[bool, float, float, float]:
    """Whether the axis passes ilium, joint, sacrum; and where it enters the ilium, leaves it, enters the sacrum."""
    c0, c1, c2, w0, w1, w2 = axis[0], axis[1], axis[2], axis[3], axis[4], axis[5]
    t, before = -_GAP_MM, 0.0
    found = False
    before = sample(field.sacrum, field.origin, field.step, c0 + t * w0, c1 + t * w1, c2 + t * w2)
    while t < _GAP_MM:
        t += MARCH_MM
        now = sample(field.sacrum, field.origin, field.step, c0 + t * w0, c1 + t * w1, c2 + t * w2)
        if now < 0.0 <= before:
            found = True
            break
        before = now
    if not found:
        return False, 0.0, 0.0, 0.0
    entry = t - MARCH_MM * now / (now - before) if now != before else t
    t = entry + 1.0
    before = sample(field.ilium, field.origin, field.step, c0 + t * w0, c1 + t * w1, c2 + t * w2)
    found = before < 0.0
    while not found and t > entry - _GAP_MM:
        t -= MARCH_MM
        now = sample(field.ilium, field.origin, field.step, c0 + t * w0, c1 + t * w1, c2 + t * w2)
        if now < 0.0:
            found = True
            break
        before = now
    if not found:
        return False, 0.0, 0.0, 0.0
    leave = t + MARCH_MM * now / (now - before) if before >= 0.0 and now != before else t
    leave, t = min(leave, entry), min(t, entry)
    before = -1.0
    while t > leave - _ILIUM_MM:
        t -= MARCH_MM
        now = sample(field.ilium, field.origin, field.step, c0 + t * w0, c1 + t * w1, c2 + t * w2)
        if now >= 0.0:
            lateral = t + MARCH_MM * now / (now - before) if now != before else t
            return True, lateral, leave, entry
        before = now
    return False, 0.0, 0.0, 0.0


@nb.njit(cache=True)
def envelope_slack(
    field: PlanningField, axis: NDArray[np.float64], start: float, stop: float, radius: float, step: float, floor: float
) -> float:
    """Smallest slack over the flat-ended envelope from `start` to `stop` along the axis.

    Balls round the axis that stay inside the envelope cover its body; rings cover what is left at the two ends.
    Gives up early, with a value below `floor`, once the result is known to be below it.
    """
    c0, c1, c2, w0, w1, w2 = axis[0], axis[1], axis[2], axis[3], axis[4], axis[5]
    best = 99.0
    count = int(np.ceil((stop - start) / step))
    for n in range(count, -1, -1):
        t = min(start + n * step, stop)
        ball = min(radius, stop - t, t - start)
        value = sample(field.slack, field.origin, field.step, c0 + t * w0, c1 + t * w1, c2 + t * w2) - ball
        best = min(best, value)
        if best < floor:
            return best
    h0, h1, h2 = (0.0, 0.0, 1.0) if abs(w2) < 0.9 else (0.0, 1.0, 0.0)
    u0, u1, u2 = w1 * h2 - w2 * h1, w2 * h0 - w0 * h2, w0 * h1 - w1 * h0
    size = np.sqrt(u0 * u0 + u1 * u1 + u2 * u2)
    u0, u1, u2 = u0 / size, u1 / size, u2 / size
    v0, v1, v2 = w1 * u2 - w2 * u1, w2 * u0 - w0 * u2, w0 * u1 - w1 * u0
    turns = 24 if step < 0.9 else 12
    for ring in range(4):
        t = (stop, stop - 0.5 * radius, start, start + 0.5 * radius)[ring]
        for n in range(turns):
            angle = 2.0 * np.pi * n / turns
            a, b = radius * np.cos(angle), radius * np.sin(angle)
            value = sample(
                field.slack,
                field.origin,
                field.step,
                c0 + t * w0 + a * u0 + b * v0,
                c1 + t * w1 + a * u1 + b * v1,
                c2 + t * w2 + a * u2 + b * v2,
            )
            best = min(best, value)
        if best < floor:
            return best
    return best


@nb.njit(cache=True)
def lies_bare(field: PlanningField, axis: NDArray[np.float64], at: float, radius: float) -> bool:
    """Whether a circle round the axis, `at` mm along it, is anywhere outside the ilium."""
    h1, h2 = (0.0, 1.0) if abs(axis[5]) < 0.9 else (1.0, 0.0)
    u = np.cross(axis[3:], np.array([0.0, h1, h2]))
    u /= np.sqrt(u @ u)
    v = np.cross(axis[3:], u)
    for n in range(8):
        a, b = radius * np.cos(0.25 * np.pi * n), radius * np.sin(0.25 * np.pi * n)
        x = axis[:3] + at * axis[3:] + a * u + b * v
        if sample(field.ilium, field.origin, field.step, x[0], x[1], x[2]) > 0.0:
            return True
    return False


@nb.njit(cache=True)
def shortest_span(rules: NDArray[np.float64], lateral: float, entry: float) -> tuple[float, float]:
    """Start and stop of the implant that reaches least deep and still holds enough sacrum."""
    wanted = entry + rules[_SACRAL]
    best, best_length = np.inf, 0.0
    for length in rules[_LENGTHS:]:
        deepest = lateral + length
        if wanted <= deepest < np.inf:
            stop = max(wanted, deepest - rules[_PROTRUSION])
            if stop < best:
                best, best_length = stop, length
    return best - best_length, best


@nb.njit(cache=True)
def axis_value(
    field: PlanningField,
    joint: JointSamples,
    rules: NDArray[np.float64],
    axis: NDArray[np.float64],
    step: float,
    floor: float,
) -> tuple[float, float, float]:
    """Worst slack of the shortest implant along an axis, its start and stop; rules that are missed count in mm.

    NOTHING for an axis that has no passage, leaves too little ilium, or stands too oblique to the joint.
    """
    ok, lateral, leave, entry = passage(field, axis)
    if not ok or leave - lateral < rules[_ILIAC]:
        return NOTHING, 0.0, 0.0
    if rules[_BURIED] < np.inf:
        at = lateral + min(rules[_BURIED], 0.6 * (leave - lateral))
        if lies_bare(field, axis, at, rules[_INNER]):
            return NOTHING, 0.0, 0.0
    middle = 0.5 * (leave + entry)
    count, cosine, _ = footprint(joint, axis, middle, rules[_RADIUS])
    if count < _LEAST_FOOTPRINT or cosine < rules[_COSINE]:
        return NOTHING, 0.0, 0.0
    start, stop = shortest_span(rules, lateral, entry)
    if stop > 200.0:
        return NOTHING, 0.0, 0.0
    beyond = axis[0] + stop * axis[3] - rules[_TIP]
    above = min(axis[2] + stop * axis[5], axis[2] + middle * axis[5]) - rules[_LOWEST]
    value = envelope_slack(field, axis, start, stop, rules[_RADIUS], step, floor)
    if beyond < 0.0:
        value = min(value, beyond)
    if above < 0.0:
        value = min(value, above)
    return value, start, stop


@nb.njit(cache=True, parallel=True)
def scan(
    field: PlanningField,
    joint: JointSamples,
    rules: NDArray[np.float64],
    points: NDArray[np.float64],
    ways: NDArray[np.float64],
    floor: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Value, tip's distance from the midline and lowest cranial coordinate of every point with every way, (n, m)."""
    shape = (len(points), len(ways))
    value = np.full(shape, np.float32(NOTHING))
    tip = np.zeros(shape, np.float32)
    low = np.zeros(shape, np.float32)
    for n in nb.prange(len(points)):
        axis = np.empty(6)
        axis[:3] = points[n]
        for m in range(len(ways)):
            axis[3:] = ways[m]
            value[n, m], _, stop = axis_value(field, joint, rules, axis, 1.0, floor)
            tip[n, m] = axis[0] + stop * axis[3]
            low[n, m] = min(axis[2] + stop * axis[5], axis[2])
    return value, tip, low


@nb.njit(cache=True, parallel=True)
def centred(
    field: PlanningField, joint: JointSamples, rules: NDArray[np.float64], axes: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Axes with their point moved to the middle of the joint, the shortest spans, and whether they cross articular."""
    out = axes.copy()
    spans = np.zeros((len(axes), 2))
    articular = np.zeros(len(axes), np.bool_)
    for n in nb.prange(len(axes)):
        recentre(field, out[n])
        _, spans[n, 0], spans[n, 1] = axis_value(field, joint, rules, out[n], 1.0, NOTHING)
        articular[n] = footprint(joint, out[n], 0.0, rules[_RADIUS])[2] >= ARTICULAR_SHARE
    return out, spans, articular


@nb.njit(cache=True)
def recentre(field: PlanningField, axis: NDArray[np.float64]) -> None:
    """Move the axis' own point to the middle of the joint, in place."""
    ok, _, leave, entry = passage(field, axis)
    if ok:
        middle = 0.5 * (leave + entry)
        for d in range(3):
            axis[d] += middle * axis[3 + d]
