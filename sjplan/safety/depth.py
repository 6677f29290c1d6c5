"""How deep a solid reaches out of the bone, structure by structure.

A point of the solid is out behind a structure when it lies outside both bones and that structure's surface is the
nearest of all. What lies lateral of the ilium, where the implant enters, is not out; nor is the joint gap.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.core.structures import DANGERS, SURFACE_ID
from sjplan.geometry.solids import Solid, signed_distance
from sjplan.geometry.triangle_tree import TriangleTree, first_hit, nearest_point
from sjplan.safety.surfaces import MeasuringSurfaces

_LATTICE_MM = 1.0
"""Step of the first lattice: foramina and bone plates are several times wider."""

_FINE_MM = 0.02
"""Step at which the search for the deepest point ends: far below the surface's own error."""

_RUN = 64
"""Points that share what is learnt from each other."""

_WAYS = np.array(
    [(a, b, c) for a in (-1, 0, 1) for b in (-1, 0, 1) for c in (-1, 0, 1) if abs(a) + abs(b) + abs(c) in (1, 3)], float
)
_N_DANGERS = len(DANGERS)
_LATERAL = SURFACE_ID["lateral"]


def depths_mm(surfaces: MeasuringSurfaces, solid: Solid) -> dict[str, float]:
    """Depth in mm of the solid's deepest point out behind each structure; structures not reached are left out."""
    points = _lattice(solid)
    depth, label = _classify(surfaces.everything, surfaces.whole.label, points, solid.packed[3:6].copy())
    result: dict[str, float] = {}
    for structure in np.unique(label[label < _N_DANGERS]):
        mine = np.flatnonzero(label == structure)
        start = mine[np.argsort(-depth[mine], kind="stable")[:3]]
        deepest = max(_climb(surfaces, solid, points[n], float(depth[n]), int(structure)) for n in start)
        result[DANGERS[structure]] = deepest
    return result


def _lattice(solid: Solid) -> NDArray[np.float64]:
    """Points throughout the solid, its ends and its outline included."""
    radius = solid.circumscribed_radius_mm
    steps = np.arange(0.0, solid.length_mm + _LATTICE_MM, _LATTICE_MM).clip(max=solid.length_mm)
    across = np.arange(-np.ceil(radius), np.ceil(radius) + 1)
    u, v = (g.ravel() for g in np.meshgrid(across, across, indexing="ij"))
    turns = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    u, v = np.concatenate([u, radius * np.cos(turns)]), np.concatenate([v, radius * np.sin(turns)])
    middle = solid.point(solid.length_mm / 2, u, v)
    outside = np.maximum(signed_distance(solid, middle), 0.0)
    scale = np.maximum(np.hypot(u, v), 1e-9)
    shrink = np.where(outside > 0, np.maximum(1 - 1.2 * outside / scale, 0.0), 1.0)
    u, v = u * shrink, v * shrink
    return np.ascontiguousarray(solid.point(steps[None, :], u[:, None], v[:, None]).reshape(-1, 3))


@nb.njit(cache=True, parallel=True)
def _classify(
    tree: TriangleTree,
    label: NDArray[np.uint8],
    points: NDArray[np.float64],
    axis: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Depth and structure of each point; structure 255 where the point is not out behind a danger.

    Points come in runs along the solid: one that lies d inside the bone settles all that follow within d of it.
    """
    depth = np.zeros(len(points))
    which = np.full(len(points), 255, np.int64)
    runs = (len(points) + _RUN - 1) // _RUN
    for run in nb.prange(runs):
        settled, anchor = 0.0, points[run * _RUN]
        for n in range(run * _RUN, min((run + 1) * _RUN, len(points))):
            away = points[n] - anchor
            if away @ away < settled * settled:
                continue
            d, sign, triangle, _ = nearest_point(tree, points[n])
            if sign < 0:
                settled, anchor = d, points[n]
                continue
            if triangle < 0 or label[triangle] >= _N_DANGERS:
                continue
            ahead = first_hit(tree, points[n], axis)
            if ahead >= 0 and label[ahead] == _LATERAL:
                continue
            depth[n] = d
            which[n] = label[triangle]
    return depth, which


def _climb(
    surfaces: MeasuringSurfaces, solid: Solid, point: NDArray[np.float64], depth: float, structure: int
) -> float:
    """Walk uphill from a lattice point to the deepest point of the solid near it, halving the step."""
    step = _LATTICE_MM
    axes = solid.packed[3:12].reshape(3, 3)
    while step > _FINE_MM:
        trial = point + step * _WAYS @ axes
        trial = trial[signed_distance(solid, trial) <= 1e-9]
        value, label = _classify(surfaces.everything, surfaces.whole.label, trial, axes[0].copy())
        value = np.where(label == structure, value, -1.0)
        if len(value) and value.max() > depth + 1e-9:
            depth, point = float(value.max()), trial[int(np.argmax(value))]
        else:
            step /= 2
    return depth
