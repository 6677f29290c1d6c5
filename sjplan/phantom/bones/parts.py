"""Bones as a list of named parts: round or flattened cones that flow into each other, evaluated in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sjplan.core.arrays import Array, frozen
from sjplan.phantom.bones.shapes import smooth_min

Point = tuple[float, float, float]

REACH_MM: Final = 8.0
"""Beyond this distance from the box round all parts, only a lower bound of the distance is given."""


@dataclass(frozen=True, slots=True)
class Part:
    """The space that an ellipsoidal ball sweeps from one point to another while its size changes evenly.

    Parameters
    ----------
    name : str
        Anatomical name.
    start_mm, end_mm : (x, y, z)
        Centres of the ball.
    radii_mm : (2,) float
        Its radius at both, across `flat_along`.
    flatness : float
        How many times smaller it is along `flat_along`, >= 1: 1 is round, 3 a blade.
    flat_along : (x, y, z)
        Direction in which it is flat.
    blend_mm : float
        Width of the fillet to the parts before it.
    """

    name: str
    start_mm: Point
    end_mm: Point
    radii_mm: tuple[float, float]
    flatness: float = 1.0
    flat_along: Point = (1.0, 0.0, 0.0)
    blend_mm: float = 4.0

    def row(self) -> Array:
        """The fourteen numbers that the kernel reads; see `joined_mm`."""
        u = np.asarray(self.flat_along, dtype=np.float64)
        u = u / np.linalg.norm(u)
        stretch = np.eye(3) + (self.flatness - 1.0) * np.outer(u, u)
        start, end = stretch @ np.asarray(self.start_mm), stretch @ np.asarray(self.end_mm)
        length = max(float(np.linalg.norm(end - start)), 1e-6)
        return np.array((*start, *((end - start) / length), length, *self.radii_mm, *u, self.flatness, self.blend_mm))


class Parts:
    """Several parts as one shape.

    Parameters
    ----------
    parts : sequence of Part
        In the order in which they are joined.
    mirrored : bool
        Whether the parts are the half of positive x of a shape that is the same on both sides.

    Examples
    --------
    >>> stick = Parts([Part("shaft", (0, 0, 0), (0, 0, 20), (3.0, 3.0), flatness=3.0)])
    >>> stick.distance_mm(np.array([[3.0, 0.0, 10.0], [0.0, 5.0, 10.0], [0.0, 0.0, 10.0]])).round(6).tolist()
    [2.0, 2.0, -1.0]
    """

    def __init__(self, parts: Sequence[Part], mirrored: bool = False) -> None:
        self.parts, self.mirrored = tuple(parts), mirrored
        self._rows = frozen(np.array([part.row() for part in self.parts]))
        ends = np.array([(part.start_mm, part.end_mm) for part in self.parts])
        widest = np.array([[[radius] for radius in part.radii_mm] for part in self.parts])
        low, high = (ends - widest).min(axis=(0, 1)) - 1.0, (ends + widest).max(axis=(0, 1)) + 1.0
        if mirrored:
            low[0] = -high[0]
        self.low_mm, self.high_mm = frozen(low), frozen(high)

    def distance_mm(self, p: Array) -> Array:
        """First-order signed distance (n,); a lower bound of it beyond `REACH_MM` from the parts' box."""
        return near_box(p, self.low_mm, self.high_mm, self.exact_mm)

    def exact_mm(self, p: Array) -> Array:
        """First-order signed distance (n,) at every point."""
        return np.asarray(joined_mm(np.ascontiguousarray(unsigned(p) if self.mirrored else p), self._rows))

    def reference_mm(self, p: Array, steps: int = 600) -> Array:
        """The same by brute force from many ellipsoids; slow, and equal in sign but for the steps."""
        p = unsigned(p) if self.mirrored else p
        whole = np.full(len(p), 1e9)
        for part in self.parts:
            u = np.asarray(part.flat_along) / np.linalg.norm(part.flat_along)
            stretch = np.eye(3) + (part.flatness - 1.0) * np.outer(u, u)
            best, slope = np.full(len(p), np.inf), np.ones(len(p))
            for t in np.linspace(0.0, 1.0, steps):
                q = (p - (1.0 - t) * np.asarray(part.start_mm) - t * np.asarray(part.end_mm)) @ stretch
                size = np.maximum(np.linalg.norm(q, axis=1), 1e-9)
                value = size - (1.0 - t) * part.radii_mm[0] - t * part.radii_mm[1]
                closer = value < best
                best = np.where(closer, value, best)
                slope = np.where(closer, np.linalg.norm(q @ stretch, axis=1) / size, slope)
            whole = smooth_min(whole, best / slope, part.blend_mm)
        return whole


def unsigned(p: Array) -> Array:
    """Points (n, 3) with x made positive."""
    q = np.array(p)
    np.abs(q[:, 0], out=q[:, 0])
    return q


def near_box(p: Array, low_mm: Array, high_mm: Array, measure: Any, reach_mm: float = REACH_MM) -> Array:
    """`measure(p)` within `reach_mm` of a box that holds the shape, elsewhere the distance to that box.

    Parameters
    ----------
    p : (n, 3) float
        Points.
    low_mm, high_mm : (3,) float
        The box.
    measure : callable
        Signed distance (m,) of points (m, 3).
    reach_mm : float
        How far round the box it is asked.
    """
    out = box_mm(p, low_mm, high_mm)
    near = out < reach_mm
    if near.any():
        out[near] = measure(p[near])
    return out


def box_mm(p: Array, low_mm: Array, high_mm: Array) -> Array:
    """Distance (n,) of points (n, 3) to a box, 0 inside."""
    return np.asarray(np.linalg.norm(np.maximum(np.maximum(low_mm - p, p - high_mm), 0.0), axis=1))


@njit(cache=True)
def joined_mm(points: NDArray[Any], rows: NDArray[Any]) -> NDArray[Any]:
    """First-order signed distance (n,) of points (n, 3) to parts (k, 14), joined in their order.

    A row holds start, direction and length in the space stretched along `flat_along`, both radii, `flat_along`,
    flatness and blend. Agrees with `Parts.reference_mm` to the steps of that search.
    """
    out = np.full(len(points), 1e9)
    for k in range(len(rows)):
        ax, ay, az, dx, dy, dz, length, ra, rb, ux, uy, uz, flat, blend = rows[k]
        slope = (ra - rb) / length
        nested = abs(slope) >= 1.0
        lean = 0.0 if nested else slope / np.sqrt(1.0 - slope * slope)
        for n in range(len(points)):
            px, py, pz = points[n, 0], points[n, 1], points[n, 2]
            if flat != 1.0:
                more = (flat - 1.0) * (px * ux + py * uy + pz * uz)
                px, py, pz = px + more * ux, py + more * uy, pz + more * uz
            px, py, pz = px - ax, py - ay, pz - az
            along = px * dx + py * dy + pz * dz
            across = np.sqrt(max(px * px + py * py + pz * pz - along * along, 0.0))
            t = min(max(along - across * lean, 0.0), length)
            if nested:
                t = 0.0 if slope > 0.0 else length
            size = np.sqrt((along - t) ** 2 + across * across)
            value = size - ra + slope * t
            if value >= flat * (out[n] + blend) and value > 0.0:
                continue
            if flat != 1.0:
                cosine = 1.0
                if size > 1e-9:
                    cosine = ((px - t * dx) * ux + (py - t * dy) * uy + (pz - t * dz) * uz) / size
                value /= np.sqrt(1.0 + (flat * flat - 1.0) * cosine * cosine)
            gap = blend - abs(out[n] - value)
            out[n] = min(out[n], value)
            if gap > 0.0:
                out[n] -= gap * gap / (4.0 * blend)
    return out
