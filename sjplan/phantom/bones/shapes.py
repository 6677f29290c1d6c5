"""Implicit shapes: signed distances (positive outside, mm) and how they are joined smoothly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator

from sjplan.core.arrays import Array, frozen
from sjplan.phantom.kernels import swept_ball_mm


def smooth_max(a: Array, b: Array, width_mm: float) -> Array:
    """Intersection of two shapes whose edge is rounded where they differ by less than `width_mm`.

    Never smaller than `max(a, b)`, and equal to it farther from the edge.

    Examples
    --------
    >>> smooth_max(np.array([0.0, 5.0]), np.array([0.0, 0.0]), 4.0).tolist()
    [1.0, 5.0]
    """
    h = np.maximum(width_mm - np.abs(a - b), 0.0)
    return np.asarray(np.maximum(a, b) + h * h / (4.0 * width_mm))


def smooth_min(a: Array, b: Array, width_mm: float) -> Array:
    """Union of two shapes whose crease is filled where they differ by less than `width_mm`."""
    return -smooth_max(-a, -b, width_mm)


def smooth_step(t: Array) -> Array:
    """0 for t <= 0, 1 for t >= 1, with level ends between."""
    u = np.clip(t, 0.0, 1.0)
    return np.asarray(u * u * (3.0 - 2.0 * u))


class Curve:
    """A smooth monotone-between-knots function of one coordinate, constant beyond its ends.

    Parameters
    ----------
    knots : (n,) float
        Increasing positions (mm).
    values : (n,) float
        Values there.

    Examples
    --------
    >>> Curve([0, 10], [1, 3])(np.array([-5.0, 10.0])).tolist()
    [1.0, 3.0]
    """

    STEP_MM = 0.125

    def __init__(self, knots: ArrayLike, values: ArrayLike) -> None:
        at = np.asarray(knots, dtype=np.float64)
        n = int(np.ceil((at[-1] - at[0]) / self.STEP_MM)) + 1
        self._at = np.linspace(at[0], at[-1], n)
        self._value = PchipInterpolator(at, np.asarray(values, dtype=np.float64))(self._at)

    def __call__(self, where: Array) -> Array:
        """Values at `where`, same shape."""
        return np.asarray(np.interp(where, self._at, self._value))

    def at(self, where: float) -> float:
        """Value at one position."""
        return float(np.interp(where, self._at, self._value))


@dataclass(frozen=True, slots=True, eq=False)
class Tube:
    """A chain of round cones: the space swept by a ball that runs along a polyline while its radius changes linearly.

    Parameters
    ----------
    points_mm : (n, 3) float
        Polyline.
    radius_mm : (n,) float
        Radius of the ball at each point, > 0.

    Examples
    --------
    >>> tube = Tube([[0, 0, 0], [10, 0, 0]], [2, 2])
    >>> tube.distance_mm(np.array([[5.0, 5.0, 0.0], [-4.0, 0.0, 0.0], [5.0, 0.0, 0.0]])).tolist()
    [3.0, 2.0, -2.0]
    """

    points_mm: Array
    radius_mm: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "points_mm", frozen(self.points_mm))
        object.__setattr__(self, "radius_mm", frozen(self.radius_mm))

    def distance_mm(self, points_mm: Array) -> Array:
        """Signed distance (n,), exact outside; inside, never deeper than the true depth of the union."""
        return np.asarray(swept_ball_mm(np.ascontiguousarray(points_mm), self.points_mm, self.radius_mm))

    def nearby_mm(self, points_mm: Array, reach_mm: float = 6.0) -> Array:
        """As `distance_mm` for points within `reach_mm` of the tube, else some value >= `reach_mm`, far cheaper."""
        margin = self.radius_mm[:, None] + reach_mm
        low, high = (self.points_mm - margin).min(axis=0), (self.points_mm + margin).max(axis=0)
        near = ((points_mm > low) & (points_mm < high)).all(axis=1)
        out = np.full(len(points_mm), reach_mm)
        out[near] = self.distance_mm(points_mm[near])
        return out


def tube_along(points_mm: ArrayLike, radius_mm: ArrayLike, samples: int = 24) -> Tube:
    """A tube along a smooth curve through a few points, radii interpolated by arc length without overshoot."""
    knots = np.asarray(points_mm, dtype=np.float64)
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    at = np.linspace(0.0, arc[-1], samples)
    return Tube(PchipInterpolator(arc, knots)(at), PchipInterpolator(arc, np.asarray(radius_mm, dtype=np.float64))(at))


def cone(p: Array, a: ArrayLike, b: ArrayLike, ra: float, rb: float) -> Array:
    """Signed distance (n,) to one round cone from ball (a, ra) to ball (b, rb)."""
    return np.asarray(swept_ball_mm(p, np.array((a, b), dtype=np.float64), np.array((ra, rb), dtype=np.float64)))


def ball(p: Array, centre: ArrayLike, radius: float) -> Array:
    """Signed distance (n,) to a ball."""
    return np.asarray(np.linalg.norm(p - np.asarray(centre, dtype=np.float64), axis=1) - radius)


def ellipse(x: Array, y: Array, half_x: Array | float, half_y: Array | float, power: float = 2.0) -> Array:
    """First-order distance to the super-ellipse |x / half_x|^power + |y / half_y|^power = 1."""
    u, v = np.abs(x) / half_x, np.abs(y) / half_y
    q = np.maximum(u**power + v**power, 1e-12)
    r = q ** (1.0 / power)
    gradient = r ** (1.0 - power) * np.hypot(u ** (power - 1.0) / half_x, v ** (power - 1.0) / half_y)
    return np.asarray((r - 1.0) / np.maximum(gradient, 1e-6))


def ellipsoid(p: Array, centre: ArrayLike, half: ArrayLike) -> Array:
    """First-order distance to an ellipsoid with axes along the coordinates."""
    h = np.asarray(half, dtype=np.float64)
    q = (p - np.asarray(centre, dtype=np.float64)) / h
    r = np.maximum(np.linalg.norm(q, axis=1), 1e-9)
    return np.asarray(r * (r - 1.0) / np.maximum(np.linalg.norm(q / h, axis=1), 1e-9))


def slab(value: Array, low: float, high: float) -> Array:
    """Signed distance to the layer low <= value <= high."""
    return np.asarray(np.maximum(low - value, value - high))


def rounded_triangle(x: Array, v: Array, half_width: Array, height: Array, corner_mm: Array) -> Array:
    """Signed distance to an isosceles triangle with rounded corners.

    The flat side lies at v = -height / 2 and is 2 x `half_width` long with its rounding, the apex points to +v.
    """
    hw = np.maximum(half_width - corner_mm, 0.1)
    h = np.maximum(height - 2.0 * corner_mm, 0.1)
    u, w = np.abs(x), v + h / 2.0
    base = np.hypot(np.maximum(u - hw, 0.0), w)
    t = np.clip(((u - hw) * -hw + w * h) / (hw * hw + h * h), 0.0, 1.0)
    edge = np.hypot(u - hw * (1.0 - t), w - h * t)
    inside = (w > 0) & (u * h + w * hw < hw * h)
    return np.asarray(np.where(inside, -1.0, 1.0) * np.minimum(base, edge) - corner_mm)
