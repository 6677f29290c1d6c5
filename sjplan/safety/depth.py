"""How deep a solid reaches out of the bone, structure by structure.

A point of the solid is out behind a structure when it lies outside both bones and that structure's surface is the
nearest of all. What lies lateral of the ilium, where the implant enters, is not out; nor is the joint gap.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.core.structures import DANGERS, SURFACE_ID
from sjplan.geometry.solids import Solid, signed_distance, solid_distance
from sjplan.geometry.triangle_tree import TriangleTree, first_hit, nearest_point
from sjplan.safety.surfaces import MeasuringSurfaces

_LATTICE_MM = 1.0
"""Edge of the first cells: foramina and bone plates are several times wider."""

_DEPTH_TOL_MM = 0.06
"""How much deeper than the depth found another point may lie (mm): far below the surface's own error."""

_PASSED_MM = 0.25
"""Cells with a smaller edge are lateral of the ilium where their centre is."""

_RUN = 64
"""Points that share what is learnt from each other."""

_TIE_MM = 1e-6
"""Structures equally near within this share a point: beyond the edge where two patches meet, both are nearest."""

_OCTANTS = np.array([(a, b, c) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)], float)
_N_DANGERS = len(DANGERS)
_LATERAL = SURFACE_ID["lateral"]
_NONE, _PASSED = 255, 254
"""No danger is nearest, or the point lies inside bone; lateral of the ilium."""


def depths_mm(surfaces: MeasuringSurfaces, solid: Solid) -> dict[str, float]:
    """Depth in mm of the solid's deepest point out behind each structure; structures not reached are left out.

    Cells that fill the solid are split where they may hold a deeper point than the deepest found so far: a depth
    changes by at most the way one moves, so what is left out is at most 0.06 mm deeper.
    """
    cells = _cells(solid)
    height, which = _look(surfaces, solid, cells)
    found = np.unique(which[which < _N_DANGERS])
    return {DANGERS[n]: _deepest(surfaces, solid, cells, height, which, int(n)) for n in found}


def _cells(solid: Solid) -> NDArray[np.float64]:
    """Centres of cells that cover the solid, in runs along it."""
    radius = np.ceil(solid.circumscribed_radius_mm)
    across = np.arange(-radius, radius + _LATTICE_MM, _LATTICE_MM)
    along = (np.arange(np.ceil(solid.length_mm / _LATTICE_MM)) + 0.5) * _LATTICE_MM
    u, v, a = (g.ravel() for g in np.meshgrid(across, across, along, indexing="ij"))
    centres = solid.point(a, u, v)
    return np.asarray(centres[signed_distance(solid, centres) <= 0.5 * np.sqrt(3.0) * _LATTICE_MM])


def _look(
    surfaces: MeasuringSurfaces, solid: Solid, cells: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """See `_classify`, at each cell's point of the solid nearest to its centre (as near to all that the cell holds)."""
    points = _pulled_in(solid.packed, cells)
    height, which = _classify(surfaces.everything, surfaces.whole.label, points, solid.packed[3:6].copy())
    return height, which


def _deepest(
    surfaces: MeasuringSurfaces,
    solid: Solid,
    cells: NDArray[np.float64],
    height: NDArray[np.float64],
    which: NDArray[np.int64],
    structure: int,
) -> float:
    """Greatest height of a point of the solid out behind one structure."""
    step, best = _LATTICE_MM, float(height[which == structure].max())
    own, axes = surfaces.dangers[DANGERS[structure]], solid.packed[3:12].reshape(3, 3)
    while True:
        reach = 0.5 * np.sqrt(3.0) * step
        kept = (height + reach > best + _DEPTH_TOL_MM) & ((which != _PASSED) | (step > _PASSED_MM))
        cells, height, which = cells[kept], height[kept], which[kept]
        farther = _distances(own, _pulled_in(solid.packed, cells)) - height
        nearest = (farther <= _TIE_MM) & (height > 0) & (which != _PASSED)
        best = max(best, float(height[nearest].max(initial=0.0)))
        # A cell holds points with this structure nearest only if it is hardly farther than others at its centre.
        kept = (farther <= 2 * reach) & (height + reach > best + _DEPTH_TOL_MM)
        if reach <= _DEPTH_TOL_MM or not kept.any():
            return best
        cells = (cells[kept, None] + 0.25 * step * _OCTANTS @ axes).reshape(-1, 3)
        step /= 2
        cells = cells[signed_distance(solid, cells) <= 0.5 * reach]
        height, which = _look(surfaces, solid, cells)


@nb.njit(cache=True, parallel=True)
def _classify(
    tree: TriangleTree,
    label: NDArray[np.uint8],
    points: NDArray[np.float64],
    axis: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Height of each point above the bones (below zero inside, there perhaps less), and the structure it is behind.

    Points come in runs along the solid: one that lies d inside the bone settles all that follow within d of it.
    """
    height = np.zeros(len(points))
    which = np.full(len(points), _NONE, np.int64)
    runs = (len(points) + _RUN - 1) // _RUN
    for run in nb.prange(runs):
        settled, anchor = 0.0, points[run * _RUN]
        for n in range(run * _RUN, min((run + 1) * _RUN, len(points))):
            away = points[n] - anchor
            far = np.sqrt(away @ away)
            if far < settled:
                height[n] = far - settled
                continue
            d, sign, triangle, _ = nearest_point(tree, points[n])
            height[n] = sign * d
            if sign < 0:
                settled, anchor = d, points[n]
                continue
            ahead = first_hit(tree, points[n], axis)
            if ahead >= 0 and label[ahead] == _LATERAL:
                which[n] = _PASSED
            elif triangle >= 0 and label[triangle] < _N_DANGERS:
                which[n] = label[triangle]
    return height, which


@nb.njit(cache=True, parallel=True)
def _distances(tree: TriangleTree, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each point to a surface."""
    out = np.zeros(len(points))
    for n in nb.prange(len(points)):
        out[n] = nearest_point(tree, points[n])[0]
    return out


@nb.njit(cache=True)
def _pulled_in(p: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points outside the packed solid moved to their nearest point of it."""
    out = points.copy()
    for n in range(len(points)):
        d, gx, gy, gz = solid_distance(p, points[n, 0], points[n, 1], points[n, 2])
        if d > 0.0:
            out[n, 0] -= d * gx
            out[n, 1] -= d * gy
            out[n, 2] -= d * gz
    return out
