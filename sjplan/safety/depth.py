"""How deep a solid reaches out of the bone, structure by structure.

A point outside both bones lies as deep as its distance to them, and it lies behind the structure that is nearest.
It counts for another structure too, but less, by four times what that one is farther: a border between two names
moves by millimetres with a hundredth in distance, and a depth that jumped with it would mean nothing. What lies
lateral of where the axis enters the ilium's lateral side is not out; nor is what is nearest to a face of the joint.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.core.structures import SURFACE_ID, SURFACE_NAMES
from sjplan.core.tolerances import DEPTH_TOL_MM
from sjplan.geometry.solids import Solid, pulled_in, signed_distance
from sjplan.geometry.triangle_tree import TriangleTree, line_hits, nearest_point, point_distances
from sjplan.safety.surfaces import MeasuringSurfaces

Cells = NDArray[np.float64]

_CELL_MM = 4.0
"""Edge of the first cells."""

STEEPNESS: Final = 4.0
"""How much less a point counts for each mm that a structure is farther than the nearest."""

_GAP_MM = 0.06
"""Cells with a smaller edge lie in the joint's gap, or not, as their centre does."""

TIE_MM: Final = 0.01
"""Surfaces equally near within this share a point."""

_OCTANTS = np.array([(a, b, c) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)], float)
_LATERAL = SURFACE_ID["lateral"]
IS_JOINT: Final = np.array([name.startswith("joint") for name in SURFACE_NAMES])
"""Which surface ids are faces of the joint."""


def depths_mm(surfaces: MeasuringSurfaces, solid: Solid, cut: Iterable[str]) -> dict[str, float]:
    """Depth in mm of the solid's deepest point out behind each structure that it cuts.

    Where it cuts none, behind the one that is nearest to its deepest point of all. A structure behind which no point is
    out is left out.

    Cells that fill the solid are split where they may hold a deeper point than the deepest found so far: a height
    above the bones changes by at most the way one moves, so what is left out is deeper by at most `DEPTH_TOL_MM`.
    """
    inner = _from_the_ilium_on(surfaces, solid)
    if inner is None:
        return {}
    found = {name: _deepest(surfaces, inner, surfaces.dangers[name])[0] for name in cut}
    if not found:
        depth, deepest = _deepest(surfaces, inner, surfaces.any_danger)
        nearest = min((nearest_point(tree, deepest)[0], name) for name, tree in surfaces.dangers.items())[1]
        found[nearest] = depth
    return {name: value for name, value in found.items() if value > 0}


def sampled_depth_mm(surfaces: MeasuringSurfaces, solid: Solid, structure: str, step_mm: float = 1.5) -> float:
    """Depth in mm of the deepest of points a step apart that lie out behind a structure; 0 where none does.

    For searches: quick, and too little by up to a step. What is said of an implant comes of `depths_mm`.
    """
    inner = _from_the_ilium_on(surfaces, solid)
    if inner is None:
        return 0.0
    height, nearest = _heights(surfaces.everything, pulled_in(inner.packed, _cover(inner, step_mm)))
    behind = surfaces.whole.label[nearest] == SURFACE_ID[structure]
    return max(float(height[behind].max(initial=0.0)), 0.0)


def entry_along_mm(surfaces: MeasuringSurfaces, solid: Solid) -> float:
    """Where along a solid's axis it enters the ilium's lateral side: what is before does not count as out.

    0 where the axis meets anything else first, which no implant may; infinite where the entry lies beyond the solid.
    """
    t, _, triangle = line_hits(surfaces.everything, solid.packed[:3].copy(), solid.packed[3:6].copy())
    ahead = np.flatnonzero(t > 0)
    if not len(ahead) or surfaces.whole.label[triangle[ahead[0]]] != _LATERAL:
        return 0.0
    return float(t[ahead[0]]) if t[ahead[0]] < solid.length_mm else np.inf


def _from_the_ilium_on(surfaces: MeasuringSurfaces, solid: Solid) -> Solid | None:
    """The solid without what lies lateral of where its axis enters the ilium; None where nothing is left."""
    start = entry_along_mm(surfaces, solid)
    if start == np.inf:
        return None
    packed = solid.packed.copy()
    packed[:3] += start * packed[3:6]
    packed[12] -= start
    return Solid(packed)


def _deepest(surfaces: MeasuringSurfaces, solid: Solid, own: TriangleTree) -> tuple[float, NDArray[np.float64]]:
    """Depth of the deepest point behind a surface, and that point."""
    step, best, deepest = _CELL_MM, 0.0, np.full(3, np.nan)
    cells, axes = _cover(solid, step), solid.packed[3:12].reshape(3, 3)
    while len(cells):
        reach = 0.5 * np.sqrt(3.0) * step
        points = pulled_in(solid.packed, cells)
        height, nearest = _heights(surfaces.everything, points)
        kept = height + reach > best + DEPTH_TOL_MM
        cells, points, height, nearest = cells[kept], points[kept], height[kept], nearest[kept]
        farther = point_distances(own, points) - height
        # Beyond the edge where two patches meet both are nearest: the structure has it.
        in_gap = IS_JOINT[surfaces.whole.label[nearest]] & (farther > TIE_MM)
        depth = np.where((height > 0) & ~in_gap, height - STEEPNESS * farther, -np.inf)
        if len(depth) and depth.max() > best:
            best, deepest = float(depth.max()), points[depth.argmax()]
        # Over a cell a height changes by at most its reach, and how much farther a structure is by at most twice that.
        bound = height + reach - STEEPNESS * np.maximum(farther - 2 * reach, 0.0)
        kept = (bound > best + DEPTH_TOL_MM) & (~in_gap | (step > _GAP_MM))
        # A cell lies in the gap as a whole where no point of it can be nearer to anything than to the joint.
        doubtful = np.flatnonzero(kept & in_gap)
        others = point_distances(surfaces.not_joint, points[doubtful]) - height[doubtful]
        kept[doubtful] = others <= 2 * reach + TIE_MM
        cells = (cells[kept, None] + 0.25 * step * _OCTANTS @ axes).reshape(-1, 3)
        step /= 2
        cells = cells[signed_distance(solid, cells) <= 0.5 * np.sqrt(3.0) * step]
    return best, deepest


def _cover(solid: Solid, step_mm: float) -> Cells:
    """Centres of cubes along the solid's axes that cover it."""
    across = np.arange(-solid.circumscribed_radius_mm, solid.circumscribed_radius_mm + step_mm, step_mm)
    along = (np.arange(np.ceil(solid.length_mm / step_mm)) + 0.5) * step_mm
    u, v, a = (g.ravel() for g in np.meshgrid(across, across, along, indexing="ij"))
    centres = solid.point(a, u, v)
    return np.asarray(centres[signed_distance(solid, centres) <= 0.5 * np.sqrt(3.0) * step_mm])


@nb.njit(cache=True, parallel=True)
def _heights(tree: TriangleTree, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Height of each point above the bones (below zero inside), and the nearest triangle."""
    height, which = np.zeros(len(points)), np.zeros(len(points), np.int64)
    for n in nb.prange(len(points)):
        d, sign, nearest, _ = nearest_point(tree, points[n])
        height[n], which[n] = sign * d, nearest
    return height, which
