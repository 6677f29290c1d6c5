"""Clearance along a path, millimetre by millimetre, fast enough for a screen: an implant's or a pin's.

`profile` gives the same to the judge's tolerance and takes seconds where a path is out of the bone. Here what is out is
sampled: as deep as the deepest of some hundred points across each millimetre, by the rules of the judge's depth. That a
path is out is always said; a sliver beside a face of the joint may be up to a millimetre deeper than is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from sjplan.core.arrays import Array, frozen
from sjplan.core.structures import DANGERS, SURFACE_NAMES
from sjplan.core.tolerances import JUDGE_TOL_MM
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import Solid, envelope_solid
from sjplan.geometry.triangle_tree import TriangleTree, lowest_solid_distance, nearest_point, point_distances
from sjplan.safety.depth import IS_JOINT, STEEPNESS, TIE_MM, entry_along_mm
from sjplan.safety.measures import AxisPassage, axis_passage
from sjplan.safety.surfaces import MeasuringSurfaces

STATION_MM: Final = 1.0
"""Length of a slab along the axis."""

RINGS: Final = ((0.0, 1), (0.2, 6), (0.4, 12), (0.6, 18), (0.8, 24), (0.9, 30), (1.0, 36))
"""Circles on which both ends of a slab are sampled, by their share of its radius, and how many points lie on each."""


@dataclass(frozen=True, slots=True, eq=False)
class PathClearance:
    """How far an envelope stays from what is nearest, along its axis.

    The flat-ended cylinder is cut across its axis into equal slabs of about `STATION_MM`. Where a slab lies inside the
    bones its value is the distance of all of it, exact to 0.001 mm; where it is out, minus the depth of the deepest
    sampled point.

    Parameters
    ----------
    along_mm : (n,) float
        Middle of each slab, from the lateral end.
    points_lps_mm : (n, 3) float
        There on the axis.
    clearance_mm : (n,) float
        Positive is clear.
    structure : (n,) tuple of str
        The danger that gives it.
    passage : AxisPassage
        Where along the axis ilium, joint and sacrum begin and end.
    """

    along_mm: Array
    points_lps_mm: Array
    clearance_mm: Array
    structure: tuple[str, ...]
    passage: AxisPassage

    @property
    def worst(self) -> int:
        """Index of the slab with the least clearance."""
        return int(np.argmin(self.clearance_mm))

    @property
    def least_mm(self) -> float:
        """The least clearance."""
        return float(self.clearance_mm.min())


def path_clearance(
    surfaces: MeasuringSurfaces, trajectory: Trajectory, station_mm: float = STATION_MM
) -> PathClearance:
    """Clearance of an implant's or a pin's envelope along its axis; see `PathClearance`.

    What lies lateral of where the axis enters the ilium, or in the joint's gap, is not out.
    """
    whole, passage = envelope_solid(trajectory), axis_passage(surfaces, trajectory)
    count = max(1, round(whole.length_mm / station_mm))
    step = whole.length_mm / count
    along = (np.arange(count) + 0.5) * step
    ends = np.linspace(0.0, whole.length_mm, count + 1)
    depth, behind = _sampled_depth(surfaces, whole, ends)
    clearance, structure = np.zeros(count), []
    least = dict.fromkeys(surfaces.dangers, -np.inf)
    for n, middle in enumerate(along):
        least = {name: value - step for name, value in least.items()}
        clearance[n], name = _nearest(surfaces, _slab(whole, float(middle - 0.5 * step), step), least)
        deeper = n if depth[n] >= depth[n + 1] else n + 1
        if depth[deeper] > 0.0:
            clearance[n], name = -depth[deeper], behind[deeper]
        structure.append(name)
    points = whole.point(along, np.zeros(count), np.zeros(count))
    return PathClearance(frozen(along), frozen(points), frozen(clearance), tuple(structure), passage)


def _slab(whole: Solid, start_mm: float, length_mm: float) -> Solid:
    packed = whole.packed.copy()
    packed[:3] += start_mm * packed[3:6]
    packed[12] = length_mm
    return Solid(packed)


def _nearest(surfaces: MeasuringSurfaces, slab: Solid, least: dict[str, float]) -> tuple[float, str]:
    """Distance of a slab to the nearest danger, and which; `least` says how far each is at least, and is kept up."""
    best, nearest = np.inf, ""
    for name in sorted(least, key=least.__getitem__):
        if least[name] > best:
            break
        value = lowest_solid_distance(surfaces.dangers[name], slab.packed, JUDGE_TOL_MM)[0]
        least[name] = value - JUDGE_TOL_MM
        if value < best:
            best, nearest = value, name
    return float(best), nearest


def _sampled_depth(surfaces: MeasuringSurfaces, whole: Solid, along_mm: Array) -> tuple[Array, list[str]]:
    """How deep each section lies outside the bones, 0 for none, and behind which danger."""
    u, v = (np.concatenate([share * wave(_turns(n)) for share, n in RINGS]) for wave in (np.cos, np.sin))
    radius = whole.circumscribed_radius_mm
    a = np.repeat(along_mm, len(u))
    points = whole.point(a, np.tile(radius * u, len(along_mm)), np.tile(radius * v, len(along_mm)))
    points = np.ascontiguousarray(points)
    height, triangle = _heights(surfaces.everything, points)
    label = surfaces.whole.label[triangle]
    depth = np.where(a >= entry_along_mm(surfaces, whole), height, 0.0)
    # What is nearest to the gluteal side counts for the danger beside it, and less; what is nearest to a face of the
    # joint lies in the gap, unless a danger is as near. As in the judge's depth.
    other = np.flatnonzero((depth > 0.0) & (label >= len(DANGERS)))
    farther = point_distances(surfaces.any_danger, points[other]) - depth[other]
    in_gap = IS_JOINT[label[other]] & (farther > TIE_MM)
    depth[other] = np.where(in_gap, 0.0, depth[other] - STEEPNESS * farther)
    deepest = depth.reshape(len(along_mm), -1).argmax(axis=1) + np.arange(len(along_mm)) * len(u)
    names = [
        SURFACE_NAMES[label[n]] if label[n] < len(DANGERS) or depth[n] <= 0.0 else _nearest_name(surfaces, points[n])
        for n in deepest
    ]
    return np.maximum(depth[deepest], 0.0), names


def _nearest_name(surfaces: MeasuringSurfaces, point: Array) -> str:
    """The danger that is nearest to a point."""
    return min(surfaces.dangers, key=lambda name: float(nearest_point(surfaces.dangers[name], point)[0]))


def _turns(count: int) -> Array:
    return 2.0 * np.pi * np.arange(count) / count


@nb.njit(cache=True)
def _heights(tree: TriangleTree, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Height of each point above the bones (below zero inside), and the nearest triangle."""
    height, which = np.zeros(len(points)), np.zeros(len(points), np.int64)
    for n in range(len(points)):
        d, sign, nearest, _ = nearest_point(tree, points[n])
        height[n], which[n] = sign * d, nearest
    return height, which
