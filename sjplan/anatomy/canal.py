"""The sacral canal's axis, and the coordinates (side, along, behind) that follow it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from sjplan.anatomy.bones import nearest
from sjplan.anatomy.pockets import INSIDE
from sjplan.core.arrays import Array, unit

MIDLINE_MM = 5.0
"""Half-width of the slab whose enclosed voxels carry the axis."""

LAYER_MM2 = 5.0
"""A layer across the canal needs this much enclosed space to count."""

LEAST_CANAL_MM3 = 50.0
LEAST_LENGTH_MM = 12.0
LARGEST_BREAK_MM = 4.0
"""Breaks in the canal's roof (spina bifida) up to this do not end it."""

AHEAD_MM = 40
BEYOND_MM = 15
"""How far the axis is drawn out straight, cranially and caudally of the enclosed part."""


@dataclass(frozen=True, slots=True, eq=False)
class CanalAxis:
    """A curve in the mid-plane, cranial to caudal, one point per millimetre of arc.

    Parameters
    ----------
    points : (n, 2) float
        (posterior, cranial) coordinates in the sacrum's frame; the index is the arc length in mm.
    first, last : int
        Ends of the enclosed part.
    """

    points: Array
    first: int
    last: int

    @property
    def tangent(self) -> Array:
        """Unit tangents, caudal, (n, 2)."""
        t = np.gradient(self.points, axis=0)
        return np.asarray(t / np.linalg.norm(t, axis=1)[:, None])

    @property
    def cranial(self) -> Array:
        """Unit vector (3,) in the sacrum's frame, cranial along the upper 25 mm of the canal."""
        lower = min(self.first + 25, len(self.points) - 1)
        return unit(np.r_[0.0, self.points[self.first] - self.points[lower]])

    def unroll(self, points: Array) -> tuple[Array, Array, Array]:
        """Side x, arc s (caudal) and offset v (posterior) in mm of points in the sacrum's frame, (m, 3)."""
        _, at = nearest(self.points, points[:, 1:])
        tangent = self.tangent[at]
        behind = np.column_stack([-tangent[:, 1], tangent[:, 0]])
        offset = points[:, 1:] - self.points[at]
        s = at + np.einsum("ij,ij->i", offset, tangent)
        return points[:, 0], s, np.einsum("ij,ij->i", offset, behind)

    def at(self, arc_mm: float) -> tuple[Array, Array]:
        """Point and posterior unit vector (3,) in the sacrum's frame at an arc length."""
        n = int(np.clip(round(arc_mm), 0, len(self.points) - 1))
        tangent = self.tangent[n]
        return np.r_[0.0, self.points[n]], np.array([0.0, -tangent[1], tangent[0]])


def find_canal_axis(points: Array, enclosure: Array, spacing_mm: Array) -> CanalAxis | None:
    """Fit the canal's axis to the enclosed voxels near the mid-plane; None where there are too few.

    Parameters
    ----------
    points : (n, 3) float
        Pocket voxels in the sacrum's frame.
    enclosure : (n,) float
        Their enclosure.
    spacing_mm : (3,) float
        Voxel edges.
    """
    near = (np.abs(points[:, 0]) < max(MIDLINE_MM, float(spacing_mm.max()))) & (enclosure > INSIDE)
    height = max(1.0, float(spacing_mm.max()))
    if np.count_nonzero(near) * float(np.prod(spacing_mm)) < LEAST_CANAL_MM3:
        return None
    y, z = _tallest_part(points[near, 1:], height).T
    layer = np.floor((z - z.min()) / height).astype(int)
    filled = np.flatnonzero(np.bincount(layer) * float(np.prod(spacing_mm)) >= LAYER_MM2 * height)
    if not len(filled):
        return None
    run = max(np.split(filled, np.flatnonzero(np.diff(filled) * height > LARGEST_BREAK_MM) + 1), key=len)
    if len(run) * height < LEAST_LENGTH_MM or len(run) < 5:
        return None
    heights = (run + 0.5) * height + z.min()
    median = np.array([np.median(y[layer == n]) for n in run])
    return _drawn_out(heights, _robust_cubic(heights, median))


def _tallest_part(points: Array, height_mm: float) -> Array:
    """Those of the points (n, 2) that hang together and reach over most layers: a pocket in the S1 body is no canal."""
    cells, own = np.unique(np.floor(points / height_mm).astype(int), axis=0, return_inverse=True)
    reach = max(LARGEST_BREAK_MM / height_mm, 1.5)
    pairs = cKDTree(cells).query_pairs(reach, output_type="ndarray")
    touching = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(cells), len(cells)))
    count, part = connected_components(touching, directed=False)
    layers = [len(np.unique(cells[part == n, 1])) for n in range(count)]
    return np.asarray(points[part[own.ravel()] == int(np.argmax(layers))])


def _robust_cubic(heights: Array, values: Array) -> Array:
    """Cubic through the values, outliers weighed down (iterated least squares)."""
    t = (heights - heights.mean()) / 30
    basis = np.vander(t, 4)
    weight = np.ones(len(t))
    coefficients: Array = np.zeros(4)
    for _ in range(8):
        coefficients = np.asarray(np.linalg.lstsq(basis * weight[:, None], values * weight, rcond=None)[0])
        weight = 1 / np.sqrt(np.maximum(np.abs(basis @ coefficients - values), 1.0))
    return np.asarray(coefficients)


def _drawn_out(heights: Array, coefficients: Array) -> CanalAxis:
    """Resample the cubic to 1 mm of arc and lengthen it straight at both ends."""
    z = np.arange(heights[-1], heights[0] - 0.25, -0.25)
    curve = np.column_stack([np.vander((z - heights.mean()) / 30, 4) @ coefficients, z])
    arc = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))]
    grid = np.arange(0.0, arc[-1], 1.0)
    p = np.column_stack([np.interp(grid, arc, curve[:, n]) for n in (0, 1)])
    up, down = unit(p[0] - p[6]), unit(p[-1] - p[-7])
    ahead = p[0] + up * np.arange(AHEAD_MM, 0, -1)[:, None]
    beyond = p[-1] + down * np.arange(1, BEYOND_MM + 1)[:, None]
    return CanalAxis(np.concatenate([ahead, p, beyond]), AHEAD_MM, AHEAD_MM + len(grid) - 1)


def straight_axis(points: Array) -> CanalAxis:
    """An axis along the rear third of a mid-plane slab, for maps too coarse to hold the canal.

    Parameters
    ----------
    points : (n, 3) float
        Bone of the slab in the sacrum's frame.
    """
    top, bottom = np.quantile(points[:, 2], [0.99, 0.25])
    heights = np.linspace(bottom, top - 5.0, 8)
    rear = [np.quantile(points[np.abs(points[:, 2] - z) < 6.0, 1], 0.6) for z in heights]
    slope, offset = np.polyfit(heights, np.asarray(rear), 1)
    return _drawn_out(heights, np.array([0.0, 0.0, 30 * slope, offset + slope * heights.mean()]))
