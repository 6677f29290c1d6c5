"""Implants as exact convex solids: a rounded section swept from entry to tip, flat at both ends.

One family serves both sections: an equilateral core triangle (a point for a cylinder) widened by a radius.
The signed distance of a convex solid is a convex function, inside and out; `distance` builds on that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sjplan.core.arrays import Array, frozen, unit
from sjplan.core.errors import GeometryError
from sjplan.core.trajectory import Trajectory, section_axes

_SQRT3_2 = 0.8660254037844386
_SAME_POINT_MM = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Solid:
    """A convex solid, packed for the kernels.

    Parameters
    ----------
    packed : (15,) float
        entry (3), axis w (3), section axes u (3) and v (3), length, core circumradius, rounding radius.

    Examples
    --------
    >>> rod = cylinder((0, 0, 0), (40, 0, 0), 3.0)
    >>> signed_distance(rod, [[20, 5, 0], [20, 0, 0], [43, 0, 0]]).tolist()
    [2.0, -3.0, 3.0]
    """

    packed: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "packed", frozen(self.packed))
        if self.packed.shape != (15,) or not np.isfinite(self.packed).all() or self.packed[12] <= 0:
            raise GeometryError("solid", found=f"{self.packed.tolist()}", wanted="15 finite numbers, length > 0")

    @property
    def length_mm(self) -> float:
        """Length along the axis."""
        return float(self.packed[12])

    @property
    def circumscribed_radius_mm(self) -> float:
        """Radius of the smallest cylinder round it."""
        return float(self.packed[13] + self.packed[14])

    def point(self, along_mm: ArrayLike, u_mm: ArrayLike, v_mm: ArrayLike) -> Array:
        """LPS points from coordinates along the axis (from entry) and across it, broadcast together."""
        a, u, v = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (along_mm, u_mm, v_mm)))
        p = self.packed
        return np.asarray(p[:3] + a[..., None] * p[3:6] + u[..., None] * p[6:9] + v[..., None] * p[9:12])


def implant_solid(trajectory: Trajectory) -> Solid:
    """The true solid of an implant in place, roll included."""
    model = trajectory.model
    core = 0.0 if model.section == "cylinder" else 2.0 * (model.inscribed_radius_mm - model.corner_radius_mm)
    u, v = trajectory.section_axes()
    return _solid(trajectory.entry_lps_mm, trajectory.tip_lps_mm, u, v, core, model.corner_radius_mm)


def envelope_solid(trajectory: Trajectory) -> Solid:
    """The clearance envelope: the flat-ended cylinder of the circumscribed radius."""
    return cylinder(trajectory.entry_lps_mm, trajectory.tip_lps_mm, trajectory.model.circumscribed_radius_mm)


def cylinder(entry_lps_mm: ArrayLike, tip_lps_mm: ArrayLike, radius_mm: float) -> Solid:
    """A flat-ended cylinder."""
    entry, tip = np.asarray(entry_lps_mm, dtype=np.float64), np.asarray(tip_lps_mm, dtype=np.float64)
    u, v = section_axes(tip - entry, 0.0)
    return _solid(entry, tip, u, v, 0.0, radius_mm)


def _solid(entry: Array, tip: Array, u: Array, v: Array, core: float, rounding: float) -> Solid:
    length = float(np.linalg.norm(tip - entry))
    return Solid(np.concatenate([entry, unit(tip - entry), u, v, [length, core, rounding]]))


@nb.njit(cache=True)
def section_distance(core: float, x: float, y: float) -> tuple[float, float, float]:
    """Signed distance (and its gradient) from (x, y) to the core triangle, one corner at (core, 0)."""
    if core <= 0.0:
        d = np.sqrt(x * x + y * y)
        return (d, x / d, y / d) if d > 0 else (0.0, 1.0, 0.0)
    nx, ny, best = -1.0, 0.0, -x
    a = 0.5 * x + _SQRT3_2 * y
    if a > best:
        nx, ny, best = 0.5, _SQRT3_2, a
    b = 0.5 * x - _SQRT3_2 * y
    if b > best:
        nx, ny, best = 0.5, -_SQRT3_2, b
    d = best - 0.5 * core
    s = -ny * x + nx * y
    beyond = abs(s) - _SQRT3_2 * core
    if d <= 0.0 or beyond <= 0.0:
        return d, nx, ny
    r = np.sqrt(d * d + beyond * beyond)
    t = beyond / r if s > 0 else -beyond / r
    return r, d / r * nx - t * ny, d / r * ny + t * nx


@nb.njit(cache=True)
def solid_distance(p: NDArray[np.float64], x: float, y: float, z: float) -> tuple[float, float, float, float]:
    """Signed distance of an LPS point to a packed solid (positive outside) and a unit (sub)gradient."""
    rx, ry, rz = x - p[0], y - p[1], z - p[2]
    a = rx * p[3] + ry * p[4] + rz * p[5]
    u = rx * p[6] + ry * p[7] + rz * p[8]
    v = rx * p[9] + ry * p[10] + rz * p[11]
    side, gu, gv = section_distance(p[13], u, v)
    side -= p[14]
    end, ga = (a - p[12], 1.0) if a > 0.5 * p[12] else (-a, -1.0)
    if side > 0.0 and end > 0.0:
        d = np.sqrt(side * side + end * end)
        cu, ca = side / d, end / d * ga
    elif side > end:
        d, cu, ca = side, 1.0, 0.0
    else:
        d, cu, ca = end, 0.0, ga
    return (
        d,
        ca * p[3] + cu * (gu * p[6] + gv * p[9]),
        ca * p[4] + cu * (gu * p[7] + gv * p[10]),
        ca * p[5] + cu * (gu * p[8] + gv * p[11]),
    )


@nb.njit(cache=True)
def _distances(p: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    out = np.zeros(len(points))
    for n in range(len(points)):
        out[n] = solid_distance(p, points[n, 0], points[n, 1], points[n, 2])[0]
    return out


def signed_distance(solid: Solid, points_lps_mm: ArrayLike) -> Array:
    """Signed distance in mm of points (n, 3) to the solid; positive outside."""
    points = np.ascontiguousarray(points_lps_mm, dtype=np.float64)
    return np.asarray(_distances(solid.packed, points))


def section_outline(solid: Solid, points_per_corner: int = 16, *, outer: bool = False) -> Array:
    """Outline of the section in (u, v) mm, counter-clockwise, (3 * points_per_corner, 2).

    The points lie on the true outline, so the polygon is inscribed; `outer` moves them out until the polygon
    contains the section (by at most rounding * (1 / cos(step / 2) - 1)).
    """
    core, rounding = float(solid.packed[13]), float(solid.packed[14])
    turn = 2 * np.pi / 3
    step = turn / (points_per_corner - 1)
    arcs = []
    for corner in range(3):
        middle = corner * turn
        angle = middle + np.linspace(-turn / 2, turn / 2, points_per_corner)
        centre = core * np.array([np.cos(middle), np.sin(middle)])
        radius = rounding / np.cos(step / 2) if outer else rounding
        arcs.append(centre + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    return np.concatenate(arcs)


def outline(trajectory: Trajectory, points_per_corner: int = 16) -> tuple[Array, NDArray[np.int32]]:
    """Closed triangle mesh of the true solid for drawing and export: vertices (n, 3) in LPS mm, triangles (m, 3)."""
    return solid_mesh(implant_solid(trajectory), points_per_corner)


def solid_mesh(solid: Solid, points_per_corner: int = 16, *, outer: bool = False) -> tuple[Array, NDArray[np.int32]]:
    """Closed triangle mesh of a solid, turned outwards; see `section_outline` for the two last arguments."""
    return _swept(solid, section_outline(solid, points_per_corner, outer=outer))


def fine_mesh(solid: Solid, tolerance_mm: float) -> tuple[Array, NDArray[np.int32]]:
    """Closed triangle mesh of a solid that nowhere strays farther than `tolerance_mm` from its surface.

    Its points lie on the true surface, no two of them at one place, so that no triangle is empty.

    Examples
    --------
    >>> vertices, triangles = fine_mesh(cylinder((0, 0, 0), (40, 0, 0), 5.75), 0.001)
    >>> round(float(np.hypot(vertices[:-2, 1], vertices[:-2, 2]).max()), 6), len(triangles)
    (5.75, 684)
    """
    rounding = max(float(solid.packed[14]), tolerance_mm)
    step = 2 * np.arccos(max(1 - tolerance_mm / rounding, 0.5))
    ring = section_outline(solid, 1 + int(np.ceil(2 * np.pi / 3 / step)))
    apart = np.linalg.norm(ring - np.roll(ring, 1, axis=0), axis=1)
    return _swept(solid, ring[apart > _SAME_POINT_MM])


def _swept(solid: Solid, ring: Array) -> tuple[Array, NDArray[np.int32]]:
    """A ring of section points swept from end to end, and closed there."""
    n = len(ring)
    ends = [solid.point(a, ring[:, 0], ring[:, 1]) for a in (0.0, solid.length_mm)]
    centres = solid.point(np.array([0.0, solid.length_mm]), 0.0, 0.0)
    vertices = np.concatenate([*ends, centres])
    i = np.arange(n)
    j = (i + 1) % n
    parts = [
        np.stack([i, j, i + n], axis=1),
        np.stack([j, j + n, i + n], axis=1),
        np.stack([j, i, np.full(n, 2 * n)], axis=1),
        np.stack([i + n, j + n, np.full(n, 2 * n + 1)], axis=1),
    ]
    return vertices, np.concatenate(parts).astype(np.int32)


@nb.njit(cache=True)
def pulled_in(p: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points outside the packed solid moved to their nearest point of it (as near to all that a cell holds of it)."""
    out = points.copy()
    for n in range(len(points)):
        d, gx, gy, gz = solid_distance(p, points[n, 0], points[n, 1], points[n, 2])
        if d > 0.0:
            out[n, 0] -= d * gx
            out[n, 1] -= d * gy
            out[n, 2] -= d * gz
    return out
