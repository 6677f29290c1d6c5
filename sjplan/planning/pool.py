"""The raster over one joint: crossings times directions, valued for every slot, thinned to a pool of good axes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.core.implant import ImplantModel
from sjplan.planning.candidates import NOTHING, centred, scan
from sjplan.planning.joint_map import crossings, directions
from sjplan.planning.workshop import Workshop

_FLOOR_MM = -3.0
"""Axes worse than this are not measured to the end in the scan (mm)."""

BEYOND_LIMIT_DEG = 8.0
"""Directions reach so far beyond the limit on the angle to the joint: that one is about the footprint's normal."""

_PER_CROSSING = 8
_APART_DEG = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class AxisPool:
    """Axes to choose from, cranial to caudal.

    Parameters
    ----------
    axes : (n, 6) float
        Middle of the joint and medial direction, in the side frame.
    spans : (n, 2) float
        Where the shortest implant starts and stops, in mm along the axis.
    articular : (n,) bool
        Whether it crosses the articular part.
    values : (n, count) float32
        Slack in every slot in mm, missed rules on the tip included.
    """

    axes: NDArray[np.float64]
    spans: NDArray[np.float64]
    articular: NDArray[np.bool_]
    values: NDArray[np.float32]


def scanned_pool(
    shop: Workshop,
    crossing_step_mm: float,
    direction_step_deg: float,
    most: int,
    beyond_limit_deg: float = BEYOND_LIMIT_DEG,
) -> AxisPool:
    """At most so many axes of one joint; what the budget does not pay for is left out, and the run marked as cut."""
    joint = shop.problem.anatomy.joints[shop.problem.side]
    points = crossings(joint, shop.bench.frame, crossing_step_mm)
    mean = shop.bench.frame.side_from_vector(joint.mean_normal)
    widest = shop.problem.limits.joint_normal_angle_max_deg + beyond_limit_deg
    ways = directions(mean, widest, direction_step_deg)
    points = _affordable(shop, points, len(ways) * len(set(shop.problem.models)))
    value = _scan(shop, points, ways)
    chosen = _pool(value, ways, most)
    if not len(chosen):
        none = np.zeros((0, shop.problem.count), np.float32)
        return AxisPool(np.zeros((0, 6)), np.zeros((0, 2)), np.zeros(0, np.bool_), none)
    axes = np.concatenate([points[chosen[:, 0]], ways[chosen[:, 1]]], axis=1)
    axes, spans, articular = centred(shop.field, shop.joint, shop.bench.rules[0].packed(), axes)
    order = np.argsort(-axes[:, 2], kind="stable")
    values = np.ascontiguousarray(value[chosen[:, 0], chosen[:, 1]][order])
    return AxisPool(axes[order], spans[order], articular[order], values)


def _affordable(shop: Workshop, points: Array, evaluations_each: int) -> Array:
    """As many crossings, evenly drawn from all, as the budget still pays for."""
    left = shop.left // evaluations_each
    if left >= len(points):
        return points
    shop.cut = True
    return np.ascontiguousarray(points[np.linspace(0, len(points) - 1, left).astype(int)])


def _scan(shop: Workshop, points: Array, ways: Array) -> NDArray[np.float32]:
    """Value of every axis in every slot, (n, m, count); rules on the tip count in mm where they are missed."""
    layers = []
    done: dict[ImplantModel, tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]] = {}
    for model, rules in zip(shop.problem.models, shop.bench.rules, strict=True):
        if model not in done:
            free = replace(rules, tip_lateral_mm=-1e6, lowest_mm=-1e6).packed()
            done[model] = scan(shop.field, shop.joint, free, points, ways, _FLOOR_MM)
            shop.evaluations += len(points) * len(ways)
        value, tip, low = done[model]
        beyond, above = tip - np.float32(rules.tip_lateral_mm), low - np.float32(rules.lowest_mm)
        layer = np.where(beyond < 0, np.minimum(value, beyond), value)
        layers.append(np.where(above < 0, np.minimum(layer, above), layer))
    return np.stack(layers, axis=-1)


def _pool(value: NDArray[np.float32], ways: Array, most: int) -> NDArray[np.int64]:
    """Indices (k, 2) of the best axes: a few well separated directions at each crossing, for each slot."""
    near = ways @ ways.T > np.cos(np.deg2rad(_APART_DEG))
    rows: list[tuple[float, int, int]] = []
    for n in range(len(value)):
        taken: set[int] = set()
        for slot in range(value.shape[2]):
            left = value[n, :, slot].copy()
            for _ in range(_PER_CROSSING):
                m = int(np.argmax(left))
                if left[m] <= NOTHING + 1:
                    break
                if m not in taken:
                    taken.add(m)
                    rows.append((float(left[m]), n, m))
                left[near[m]] = NOTHING
    rows.sort(key=lambda r: (-r[0], r[1], r[2]))
    return np.array([(n, m) for _, n, m in rows[:most]], dtype=np.int64).reshape(-1, 2)
