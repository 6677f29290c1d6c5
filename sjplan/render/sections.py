"""Outlines of convex solids: their shadow on a detector, and their section by a plane. Exact for the solid's mesh."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from sjplan.core.arrays import Array, unit
from sjplan.geometry.hull import closed_hull
from sjplan.geometry.solids import Solid, solid_mesh
from sjplan.xray.carm import CArmGeometry

_POINTS_PER_CORNER: Final = 24
"""Gives an inscribed polygon of 72 points or more: it misses a circle of 6 mm by less than 0.01 mm."""


def shadow_outline_px(solid: Solid, geometry: CArmGeometry) -> Array:
    """Closed outline of a solid's shadow, (n, 2) pixel coordinates (column, row); empty where the tube is too near.

    A perspective picture of a convex solid is the convex hull of its projected corner points.

    Examples
    --------
    >>> from sjplan.geometry.solids import cylinder
    >>> from sjplan.xray.types import CArm, Detector
    >>> geometry = CArmGeometry.of(CArm(0, 0, 0, (0, 0, 0), 500.0, 1000.0), Detector(201, 201, 1.0))
    >>> ball_on = shadow_outline_px(cylinder((0, 0, -20), (0, 0, 20), 5.0), geometry)
    >>> [round(float(v), 1) for v in np.ptp(ball_on, axis=0)]
    [20.0, 80.8]
    """
    points = geometry.project(solid_mesh(solid, _POINTS_PER_CORNER)[0])
    return closed_hull(points) if np.isfinite(points).all() else np.zeros((0, 2))


def plane_section_mm(solid: Solid, centre_lps_mm: ArrayLike, right: ArrayLike, up: ArrayLike) -> Array:
    """Closed outline of a solid's section by a plane, (n, 2) mm along `right` and `up` from the centre; empty if none.

    Every edge of the mesh that crosses the plane gives one corner; the section of a convex solid is their hull.

    Examples
    --------
    >>> from sjplan.geometry.solids import cylinder
    >>> rod = cylinder((0, 0, 0), (40, 0, 0), 3.0)
    >>> np.ptp(plane_section_mm(rod, (20, 0, 0), (1, 0, 0), (0, 0, 1)), axis=0).round(1).tolist()
    [40.0, 6.0]
    """
    vertices, triangles = solid_mesh(solid, _POINTS_PER_CORNER)
    return mesh_section_mm(vertices, triangles, centre_lps_mm, right, up)


def mesh_section_mm(vertices: Array, triangles: ArrayLike, centre: ArrayLike, right: ArrayLike, up: ArrayLike) -> Array:
    """Closed outline of the section of a convex triangle mesh by a plane; see `plane_section_mm`."""
    axes = np.stack([unit(right), unit(up)])
    from_centre = vertices - np.asarray(centre, dtype=np.float64)
    height = from_centre @ np.cross(axes[0], axes[1])
    flat = from_centre @ axes.T
    faces = np.asarray(triangles)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    a, b = edges[(height[edges[:, 0]] <= 0) & (height[edges[:, 1]] > 0)].T
    share = (height[a] / (height[a] - height[b]))[:, None]
    return closed_hull(flat[a] + share * (flat[b] - flat[a]))
