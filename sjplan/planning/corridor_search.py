"""Searching the widest corridor: a raster of axes on a distance field, then climbing on the surfaces themselves."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array
from sjplan.core.frames import SIDES
from sjplan.core.plan import check_side
from sjplan.core.structures import DANGERS
from sjplan.geometry.fields import distance_mm
from sjplan.planning.corridor_walls import (
    REFERENCE_MM,
    Gates,
    Walls,
    exact_radius,
    in_body,
    lateral_end,
    passes,
)
from sjplan.planning.field import sample

FIELD_STEP_MM = 1.0
"""Grid step of the field."""

POINT_STEP_MM = 2.0
"""Raster of midline points."""

SLOPE_STEP = 0.08
"""Raster of directions, mm per mm (4.6 degrees)."""

SLOPE_MAX = {1: 0.96, 2: 0.48}
"""Steepest axes that are looked at, by the number of ilia passed: 44 and 26 degrees. Oblique S1 corridors of dysmorphic
sacra run 20 to 22 degrees forwards and 28 to 30 degrees upwards [F: BMC23]."""

NARROW_MM = (4.0, 2.0, 0.0)
"""Where a raster's best radius is smaller, a narrow way may lie between its axes: one twice as fine is asked."""

STARTS, STEPS, FINALISTS, FINAL_STEPS = 32, 400, 4, 2500
"""Axes that climb, moves tried on each, how many of them climb on, and moves tried on those."""

_APART_MM = 5.0
_STEP_MM, _SMALLEST_MM, _PATIENCE = 2.0, 0.002, 12
_REACH_LATERAL_MM, _REACH_AROUND_MM, _REACH_CRANIAL_MM = 45.0, 25.0, 30.0


class CorridorField(NamedTuple):
    """Distances to the nearest danger and to the gluteal surface of either ilium; `origin` is node (0, 0, 0)."""

    danger: NDArray[np.float32]
    left: NDArray[np.float32]
    right: NDArray[np.float32]
    origin: NDArray[np.float64]
    step: float


def corridor_field(anatomy: Anatomy) -> CorridorField:
    """Build the fields round both joints, in the pelvic frame."""
    frame = anatomy.frame
    joints = np.concatenate([frame.frame_from_lps(joint.sacral_lps_mm) for joint in anatomy.joints.values()])
    wide = np.ceil(np.abs(joints[:, 0]).max() + _REACH_LATERAL_MM)
    low = np.array([-wide, *np.floor(joints[:, 1:].min(axis=0) - _REACH_AROUND_MM)])
    high = np.array([wide, *(joints[:, 1:].max(axis=0) + np.array([_REACH_AROUND_MM, _REACH_CRANIAL_MM]))])
    bones = (anatomy.sacrum, *anatomy.ilium.values())
    danger = np.concatenate([bone.corners_lps_mm(*DANGERS) for bone in bones])
    left, right = (anatomy.ilium[check_side(side)].corners_lps_mm("lateral") for side in SIDES)
    danger, left, right = (frame.frame_from_lps(corners) for corners in (danger, left, right))
    return field_of(danger, left, right, low, high)


def field_of(danger: Array, left: Array, right: Array, low: Array, high: Array) -> CorridorField:
    """Fields in a box, of triangles given by their corners (m, 3, 3); edges no longer than some 2 mm."""
    shape = np.ceil((high - low) / FIELD_STEP_MM).astype(int) + 1

    def distance(corners: Array) -> NDArray[np.float32]:
        points = np.concatenate([corners.mean(axis=1), *(corners[:, c] for c in range(3))])
        index = np.rint((points - low) / FIELD_STEP_MM).astype(int)
        mask = np.zeros(tuple(shape), dtype=bool)
        mask[tuple(index[((index >= 0) & (index < shape)).all(axis=1)].T)] = True
        return distance_mm(mask, (FIELD_STEP_MM,) * 3)

    return CorridorField(distance(danger), distance(left), distance(right), low, FIELD_STEP_MM)


@nb.njit(cache=True)
def march(
    field: CorridorField, point: NDArray[np.float64], axis: NDArray[np.float64], sign: float, least: float
) -> float:
    """Smallest danger distance from a point along a ray to the gluteal surface; -1 below `least`, or never there."""
    worst = np.inf
    t = 0.0
    while True:
        x, y, z = point[0] + t * axis[0], point[1] + t * axis[1], point[2] + t * axis[2]
        value = sample(field.danger, field.origin, field.step, x, y, z)
        if value < least:
            return -1.0
        worst = min(worst, value)
        if sample(field.left if sign > 0 else field.right, field.origin, field.step, x, y, z) < field.step:
            return worst
        t += field.step


@nb.njit(cache=True, parallel=True)
def scan(
    field: CorridorField,
    gate: Gates,
    points: NDArray[np.float64],
    ways: NDArray[np.float64],
    left: bool,
    right: bool,
    least: float,
) -> NDArray[np.float32]:
    """Value of every midline point (n, 3) with every direction to the left (m, 3): field radius, or -1."""
    out = np.full((len(points), len(ways)), np.float32(-1.0))
    for n in nb.prange(len(points)):
        for m in range(len(ways)):
            if not passes(gate, points[n], ways[m]):
                continue
            value = march(field, points[n], ways[m], 1.0, least) if left else np.inf
            if right and value >= least:
                value = min(value, march(field, points[n], -ways[m], -1.0, least))
            out[n, m] = value
    return out


@nb.njit(cache=True)
def axis_through(q: NDArray[np.float64], left: bool, right: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Midline point and unit direction to the left of four numbers: (y, z) at two places.

    The places are the midline and `REFERENCE_MM` beside it on the one side that is passed, or, where both are, that
    far to the left and to the right.
    """
    point, axis = np.array([0.0, q[0], q[1]]), np.array([REFERENCE_MM, q[2] - q[0], q[3] - q[1]])
    if left and right:
        point[1], point[2] = 0.5 * (q[0] + q[2]), 0.5 * (q[1] + q[3])
        axis[0], axis[1], axis[2] = 2.0 * REFERENCE_MM, q[0] - q[2], q[1] - q[3]
    elif right:
        axis[1], axis[2] = -axis[1], -axis[2]
    return point, axis / np.sqrt(axis @ axis)


def places_of(point: Array, axis: Array, left: bool, right: bool) -> Array:
    """The four numbers of an axis; the inverse of `axis_through`."""
    slope = axis[1:] / axis[0]
    if left and right:
        return np.concatenate([point[1:] + REFERENCE_MM * slope, point[1:] - REFERENCE_MM * slope])
    return np.concatenate([point[1:], point[1:] + (REFERENCE_MM if left else -REFERENCE_MM) * slope])


@nb.njit(cache=True)
def value_of(walls: Walls, gate: Gates, q: NDArray[np.float64], left: bool, right: bool, best: float) -> float:
    """Exact inscribed radius of an axis that passes where it should; -1 where it does not; below `best` a bound."""
    point, axis = axis_through(q, left, right)
    if not passes(gate, point, axis):
        return -1.0
    start, stop = 0.0, 0.0
    if left:
        stop = lateral_end(walls, point, axis, 1.0)
    if right:
        start = -lateral_end(walls, point, -axis, -1.0)
    if not (np.isfinite(start) and np.isfinite(stop)):
        return -1.0
    line = np.zeros((4, 3))
    line[0], line[1] = point, axis
    flat = np.sqrt(axis[0] ** 2 + axis[1] ** 2)
    line[2, 0], line[2, 1] = axis[1] / flat, -axis[0] / flat
    line[3] = np.cross(line[1], line[2])
    radius, _ = exact_radius(walls, line, start, stop, right, left, best)
    if radius <= best or in_body(walls, point):
        return radius
    return -1.0


@nb.njit(cache=True, nogil=True)
def climb(
    walls: Walls, gate: Gates, q: NDArray[np.float64], draws: NDArray[np.float64], left: bool, right: bool, step: float
) -> float:
    """Move an axis (4,), in place, by ever smaller draws (m, 4), keeping what is wider; its exact radius."""
    best, failed = value_of(walls, gate, q, left, right, -1.0), 0
    for m in range(len(draws)):
        trial = q + step * draws[m]
        value = value_of(walls, gate, trial, left, right, best)
        if value > best:
            q[:] = trial
            best, failed = value, 0
            continue
        failed += 1
        if failed > _PATIENCE:
            step, failed = max(0.7 * step, _SMALLEST_MM), 0
    return best


def midline_points(walls: Walls, step_mm: float) -> Array:
    """Points of the mid-sagittal plane in the sacrum and ventral of the canal, on a raster, (n, 3) pelvic frame."""
    middle = walls.sacrum.corners.reshape(-1, 3)
    middle = middle[np.abs(middle[:, 0]) < POINT_STEP_MM]
    if not len(middle):
        return np.zeros((0, 3))
    lines = [
        np.arange(np.ceil(low / step_mm), high / step_mm) * step_mm
        for low, high in zip(middle[:, 1:].min(axis=0), middle[:, 1:].max(axis=0), strict=True)
    ]
    y, z = (x.ravel() for x in np.meshgrid(*lines, indexing="ij"))
    points = np.column_stack([np.zeros(len(y)), y, z])
    return points[[in_body(walls, np.ascontiguousarray(p)) for p in points]]


def widest_axis(
    field: CorridorField, walls: Walls, gate: Gates, sides: Collection[str], least_mm: float
) -> tuple[Array, Array, float] | None:
    """Find the axis with the largest exact inscribed radius.

    Parameters
    ----------
    field, walls, gate : CorridorField, Walls, Gates
        What to search in.
    sides : collection of str
        Ilia to pass.
    least_mm : float
        Radius that is looked for; what is found may be narrower.

    Returns
    -------
    tuple or None
        Midline point, unit direction to the left, exact radius in mm.
    """
    left, right = "left" in sides, "right" in sides
    first = np.zeros((0, 4))
    for finer, narrow in enumerate(NARROW_MM):
        points = midline_points(walls, POINT_STEP_MM / min(2**finer, 2))
        ways = _directions(SLOPE_STEP / 2**finer, SLOPE_MAX[len(sides)], -1.0 if right and not left else 1.0)
        value = scan(field, gate, points, ways, left, right, least_mm / 2**finer)
        first = _apart(value, points, ways, left, right)
        if value.max(initial=-1.0) >= narrow:
            break
    if not len(first):
        return None
    draws = np.random.default_rng(0).standard_normal((FINAL_STEPS, 4))
    with ThreadPoolExecutor() as threads:
        radius = list(threads.map(lambda q: climb(walls, gate, q, draws[:STEPS], left, right, _STEP_MM), first))
        best = first[np.argsort(-np.array(radius), kind="stable")[:FINALISTS]]
        radius = list(threads.map(lambda q: climb(walls, gate, q, draws, left, right, 0.25 * _STEP_MM), best))
    if max(radius) <= 0.0:
        return None
    point, axis = axis_through(best[int(np.argmax(radius))], left, right)
    return point, axis, float(max(radius))


def _directions(step: float, steepest: float, sign: float) -> Array:
    """Unit vectors to the left on a raster of slopes, (n, 3); `sign` -1 lists them as the mirrored side sees them."""
    slopes = sign * np.arange(-steepest, steepest + 0.5 * step, step)
    y, z = (x.ravel() for x in np.meshgrid(slopes, slopes, indexing="ij"))
    ways = np.column_stack([np.ones(len(y)), y, z])
    return np.asarray(ways / np.linalg.norm(ways, axis=1, keepdims=True))


def _apart(value: NDArray[np.float32], points: Array, ways: Array, left: bool, right: bool) -> Array:
    """The best axes of a scan that lie apart from each other, at most `STARTS`, as places (n, 4)."""
    order = np.argsort(-value, axis=None, kind="stable")
    order = order[: int((value > 0).sum())]
    chosen: list[Array] = []
    for n, m in zip(*np.unravel_index(order, value.shape), strict=True):
        q = places_of(points[n], ways[m], left, right)
        if all(np.abs(q - other).max() >= _APART_MM for other in chosen):
            chosen.append(q)
            if len(chosen) == STARTS:
                break
    return np.array(chosen).reshape(-1, 4)
