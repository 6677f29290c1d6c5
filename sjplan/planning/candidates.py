"""Kernels on one axis: where it passes the bones, and how much slack an implant along it has.

An axis is six numbers in the side frame: the point where it crosses the joint, and its medial direction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.planning.field import PlanningField, sample
from sjplan.planning.joint_map import JointSamples, footprint
from sjplan.planning.marching import GridAxis, along, grid_axis, passage, reading

_MOST_LENGTHS = 64
_LEAST_FOOTPRINT = 4
ARTICULAR_SHARE = 0.55
"""Share of a footprint that has to be articular for the search; the judge asks for a half."""

NOTHING = -99.0
"""Value of an axis that does not pass from the ilium through the joint into the sacrum."""

NO_WAY, UNFIT, FITS = 0, 1, 2
"""How an axis lies: no passage from ilium to sacrum; a passage but no implant that keeps the rules; one that does."""

_RING = 24
_RING_COS = np.cos(2.0 * np.pi * np.arange(_RING) / _RING)
_RING_SIN = np.sin(2.0 * np.pi * np.arange(_RING) / _RING)

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

    def stricter(self, more: float, head_mm: float) -> SlotRules:
        """The same rules with so many mm more in both bones, of the tip and of the head, and as many degrees less.

        No head is asked to lie deeper than `head_mm`.

        Examples
        --------
        >>> from math import inf
        >>> rules = SlotRules(4.0, (40.0, 45.0), 10.0, 8.0, 5.0, 0.0, -20.0, 0.8, 3.5, inf).stricter(0.5, 3.0)
        >>> rules.sacral_min_mm, rules.iliac_min_mm, rules.protrusion_max_mm, rules.tip_lateral_mm, rules.lowest_mm
        (10.5, 8.5, 4.5, 0.5, -19.5)
        >>> rules.joint_cosine > 0.8
        True
        """
        widest = np.arccos(self.joint_cosine) - np.deg2rad(more)
        return replace(
            self,
            sacral_min_mm=self.sacral_min_mm + more,
            iliac_min_mm=self.iliac_min_mm + more,
            protrusion_max_mm=max(self.protrusion_max_mm - more, min(head_mm, self.protrusion_max_mm)),
            tip_lateral_mm=self.tip_lateral_mm + more,
            lowest_mm=self.lowest_mm + more,
            joint_cosine=float(np.cos(max(widest, 0.0))),
        )

    def packed(self) -> NDArray[np.float64]:
        """One vector for the kernels: nine numbers, then the lengths, infinite beyond the last."""
        numbers = [self.radius_mm, self.sacral_min_mm, self.iliac_min_mm, self.protrusion_max_mm]
        numbers += [self.tip_lateral_mm, self.lowest_mm, self.joint_cosine, self.inscribed_radius_mm, self.buried_mm]
        return np.array([*numbers, *self.lengths_mm, *[np.inf] * (_MOST_LENGTHS - len(self.lengths_mm))])


@nb.njit(cache=True, error_model="numpy")
def _balls(
    values: NDArray[np.float32], grid: GridAxis, start: float, stop: float, radius: float, step: float, nth: int
) -> float:
    """Smallest slack of every eighth ball round the axis, the `nth` (0 to 7) and on, counted from the tip."""
    best = 99.0
    for n in range(int(np.ceil((stop - start) / step)) - nth, -1, -8):
        t = min(start + n * step, stop)
        best = min(best, along(values, grid, t) - min(radius, stop - t, t - start))
    return best


@nb.njit(cache=True, error_model="numpy")
def _ring(
    values: NDArray[np.float32],
    grid: GridAxis,
    sides: tuple[GridAxis, GridAxis],
    t: float,
    every: int,
) -> float:
    """Smallest slack on a ring round the axis; `sides` hold radius times two directions across it."""
    u, v = sides
    x, y, z = grid[0] + t * grid[3], grid[1] + t * grid[4], grid[2] + t * grid[5]
    best = 99.0
    for n in range(0, _RING, every):
        a, b = _RING_COS[n], _RING_SIN[n]
        best = min(best, reading(values, x + a * u[3] + b * v[3], y + a * u[4] + b * v[4], z + a * u[5] + b * v[5]))
    return best


@nb.njit(cache=True, error_model="numpy")
def _across(axis: NDArray[np.float64], grid: GridAxis, scale: float) -> tuple[GridAxis, GridAxis]:
    """Two directions across an axis, each `scale` grid steps long, as the last three of six numbers."""
    w0, w1, w2 = axis[3], axis[4], axis[5]
    h0, h1, h2 = (0.0, 0.0, 1.0) if abs(w2) < 0.9 else (0.0, 1.0, 0.0)
    u0, u1, u2 = w1 * h2 - w2 * h1, w2 * h0 - w0 * h2, w0 * h1 - w1 * h0
    size = scale / np.sqrt(u0 * u0 + u1 * u1 + u2 * u2)
    u0, u1, u2 = u0 * size, u1 * size, u2 * size
    v0, v1, v2 = w1 * u2 - w2 * u1, w2 * u0 - w0 * u2, w0 * u1 - w1 * u0
    return (grid[0], grid[1], grid[2], u0, u1, u2), (grid[0], grid[1], grid[2], v0, v1, v2)


@nb.njit(cache=True, error_model="numpy")
def envelope_slack(
    field: PlanningField, axis: NDArray[np.float64], start: float, stop: float, radius: float, step: float, floor: float
) -> float:
    """Smallest slack over the flat-ended envelope from `start` to `stop` along the axis.

    Balls round the axis that stay inside the envelope cover its body; rings cover what is left at the two ends.
    Gives up early, with a value below `floor`, once the result is known to be below it: balls far apart come first.
    """
    values, grid = field.slack, grid_axis(field, axis)
    best = 99.0
    for nth in (0, 4, 2, 6):
        best = min(best, _balls(values, grid, start, stop, radius, step, nth))
        if best < floor:
            return best
    sides, every = _across(axis, grid, radius / field.step), 1 if step < 0.9 else 2
    for ring in range(4):
        t = (stop, stop - 0.5 * radius, start, start + 0.5 * radius)[ring]
        best = min(best, _ring(values, grid, sides, t, every))
        if best < floor:
            return best
    for nth in (1, 3, 5, 7):
        best = min(best, _balls(values, grid, start, stop, radius, step, nth))
        if best < floor:
            return best
    return best


@nb.njit(cache=True)
def plain_envelope_slack(
    field: PlanningField, axis: NDArray[np.float64], start: float, stop: float, radius: float, step: float, floor: float
) -> float:
    """The same from the outermost ball inwards, then the rings."""
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


@nb.njit(cache=True, error_model="numpy")
def lies_bare(field: PlanningField, axis: NDArray[np.float64], at: float, radius: float) -> bool:
    """Whether a circle round the axis, `at` mm along it, is anywhere outside the ilium."""
    grid = grid_axis(field, axis)
    u, v = _across(axis, grid, radius / field.step)
    x, y, z = grid[0] + at * grid[3], grid[1] + at * grid[4], grid[2] + at * grid[5]
    for n in range(0, _RING, 3):
        a, b = _RING_COS[n], _RING_SIN[n]
        if reading(field.ilium, x + a * u[3] + b * v[3], y + a * u[4] + b * v[4], z + a * u[5] + b * v[5]) > 0.0:
            return True
    return False


@nb.njit(cache=True)
def shortest_span(rules: NDArray[np.float64], lateral: float, entry: float) -> tuple[float, float]:
    """Start and stop of the implant that reaches least deep and still holds enough sacrum."""
    wanted = entry + rules[_SACRAL]
    best, best_length = np.inf, 0.0
    for n in range(_LENGTHS, len(rules)):
        deepest = lateral + rules[n]
        if deepest == np.inf:
            break
        if wanted <= deepest:
            stop = max(wanted, deepest - rules[_PROTRUSION])
            if stop < best:
                best, best_length = stop, rules[n]
    return best - best_length, best


@nb.njit(cache=True)
def axis_fit(
    field: PlanningField, joint: JointSamples, rules: NDArray[np.float64], axis: NDArray[np.float64]
) -> tuple[int, float, float, float, float]:
    """How an axis lies: `NO_WAY`, `UNFIT` or `FITS`; start and stop of the shortest implant, crossing, articular share.

    Distances in mm from the axis' point. `UNFIT` is one that leaves too little ilium, lies bare, stands too oblique
    to the joint or is too long for any implant: it has a crossing, and no span.
    """
    ok, lateral, leave, entry = passage(field, axis)
    if not ok:
        return NO_WAY, 0.0, 0.0, 0.0, 0.0
    middle = 0.5 * (leave + entry)
    if leave - lateral < rules[_ILIAC]:
        return UNFIT, 0.0, 0.0, middle, 0.0
    start, stop = shortest_span(rules, lateral, entry)
    if stop > 200.0:
        return UNFIT, 0.0, 0.0, middle, 0.0
    count, cosine, share = footprint(joint, axis, middle, rules[_RADIUS])
    if count < _LEAST_FOOTPRINT or cosine < rules[_COSINE]:
        return UNFIT, 0.0, 0.0, middle, share
    if rules[_BURIED] < np.inf:
        at = lateral + min(rules[_BURIED], 0.6 * (leave - lateral))
        if lies_bare(field, axis, at, rules[_INNER]):
            return UNFIT, 0.0, 0.0, middle, share
    return FITS, start, stop, middle, share


@nb.njit(cache=True)
def centred_fit(
    field: PlanningField, joint: JointSamples, rules: NDArray[np.float64], axis: NDArray[np.float64]
) -> tuple[bool, float, float, bool]:
    """`axis_fit` with the axis' point moved to its crossing, in place: whether it fits, span, whether articular."""
    fit, start, stop, middle, share = axis_fit(field, joint, rules, axis)
    for d in range(3):
        axis[d] += middle * axis[3 + d]
    if fit != FITS:
        return False, 0.0, 0.0, share >= ARTICULAR_SHARE
    return True, start - middle, stop - middle, share >= ARTICULAR_SHARE


@nb.njit(cache=True)
def span_value(
    field: PlanningField,
    rules: NDArray[np.float64],
    axis: NDArray[np.float64],
    span: tuple[float, float, float],
    step: float,
    floor: float,
) -> float:
    """Worst slack of an implant with this start, stop and crossing on an axis; rules on the tip count in mm.

    Gives up below `floor`, as `envelope_slack` does.
    """
    start, stop, middle = span
    beyond = axis[0] + stop * axis[3] - rules[_TIP]
    above = min(axis[2] + stop * axis[5], axis[2] + middle * axis[5]) - rules[_LOWEST]
    missed = min(beyond, above)
    if missed < 0.0 and missed < floor:
        return float(missed)
    value = envelope_slack(field, axis, start, stop, rules[_RADIUS], step, floor)
    return min(value, missed) if missed < 0.0 else value


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
    fit, start, stop, middle, _ = axis_fit(field, joint, rules, axis)
    if fit != FITS:
        return NOTHING, 0.0, 0.0
    return span_value(field, rules, axis, (start, stop, middle), step, floor), start, stop


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
        _, spans[n, 0], spans[n, 1], articular[n] = centred_fit(field, joint, rules, out[n])
    return out, spans, articular


@nb.njit(cache=True)
def recentre(field: PlanningField, axis: NDArray[np.float64]) -> None:
    """Move the axis' own point to the middle of the joint, in place."""
    ok, _, leave, entry = passage(field, axis)
    if ok:
        middle = 0.5 * (leave + entry)
        for d in range(3):
            axis[d] += middle * axis[3 + d]
