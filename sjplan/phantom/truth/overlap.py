"""How deep a solid reaches out of the analytic bone behind a structure that it cuts.

The definition is that of the safety room: a point outside both bones lies as deep as its distance to them, behind the
structure that is nearest; for another structure it counts less, by `STEEPNESS` times what that one is farther. What
lies lateral of where the axis enters the ilium's lateral side is not out, nor is what is nearest to the joint's faces.

Distances to the surface are taken to points on it, one in every small cube that the surface cuts, so they are too large
by no more than about `min(gap, gap^2 / (2 distance))`, where gap is the cube's edge, or by the gap where the nearest
place of a structure is its border; tested by sampling. The cubes are made smaller until what that adds up to, with the
width at which the search stops, is within `LARGEST_ERROR_MM`; where an implant lies deep behind a structure that ends
at a border there, they are not, and the error that is stated is larger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.spatial import cKDTree

from sjplan.core.arrays import Array
from sjplan.core.structures import PASSAGES
from sjplan.geometry.solids import Solid, pulled_in, signed_distance
from sjplan.phantom.truth.cubes import HALF_DIAGONAL, Cubes, Mask, NamedSurface, Rows, onto_surface, slope_bound, split
from sjplan.phantom.truth.naming import JOINT

STEEPNESS: Final = 4.0
TIE_MM: Final = 0.01
GAP_MM: Final = 0.06
"""As in `sjplan.safety.depth`: how much less a point counts for each mm that a structure is farther than the nearest;
surfaces equally near within this share a point; smaller cells lie in the joint's gap, or not, as their centre does."""

STOP_MM: Final = 0.02
LARGEST_ERROR_MM: Final = 0.05
"""Width at which the search for the deepest point stops, and the error to which the surface is sampled finer."""

FIRST_EDGE_MM: Final = 0.5
_ROUNDS: Final = 4
"""Edge of the cubes that hold one point of the surface each, and how often they are made smaller at most."""

FAR_OUT_MM: Final = 8.0
"""Where a solid reaches farther out, all that may be nearest to it is sampled half as densely at first: the error falls
with the depth, and there is more to sample."""

DEEP_MM: Final = 3.0
MOST_CELLS: Final = 120
"""Where the depth is larger (mm), or more cells are left, the surface is not sampled a third time: that would take
minutes, and the error that is stated stays larger instead."""

_CELL_MM: Final = 4.0
_LATTICE_MM: Final = 2.0
_FINER: Final = 4.0
_OCTANTS: Final = np.array([(a, b, c) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)], dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Points of both bones' surfaces near a solid, about one in every cube of `gap_mm`, with their names."""

    gap_mm: float
    points_lps_mm: Array
    names: tuple[str, ...]
    name: Rows

    def tree(self, chosen: Mask) -> cKDTree:
        """A tree of some of the points."""
        return cKDTree(self.points_lps_mm[chosen])

    def carrying(self, *names: str) -> Mask:
        """Which points carry one of the names."""
        return np.isin(self.name, [self.names.index(n) for n in names if n in self.names])


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Cubes of one edge along a solid's axes that hold what may lie deepest, and how far the structure is from each."""

    centres: Array
    edge: float
    own_mm: Array


@dataclass(frozen=True, slots=True, eq=False)
class Depth:
    """Depth of the deepest point behind a structure, at most this much wrong, and the point of the solid."""

    depth_mm: float
    error_mm: float
    at_lps_mm: Array


def depths_mm(
    bones: Sequence[tuple[NamedSurface, Cubes]],
    solid: Solid,
    cut: Iterable[str],
    anything: bool,
    error_mm: float = LARGEST_ERROR_MM,
) -> dict[str, Depth]:
    """Depth of the solid's deepest point out behind each structure that it cuts.

    Parameters
    ----------
    bones : sequence of (NamedSurface, Cubes)
        Sacrum and ilium.
    solid : Solid
        Without what lies lateral of the ilium.
    cut : iterable of str
        Structures that the solid cuts.
    anything : bool
        Where it cuts none: whether to give the depth behind the structure that is nearest to its deepest point of all.
    error_mm : float
        The surface is sampled finer, if not too often, until a depth is known to this.
    """
    wanted: list[str | None] = list(cut) or ([None] if anything else [])
    found = {}
    if wanted:
        out = _farthest_out(bones, solid)
        edge = FIRST_EDGE_MM if out <= FAR_OUT_MM else 2.0 * FIRST_EDGE_MM
        samples = _samples(bones, solid, out + 1.0, None, edge)
        for name in wanted:
            depth, nearest = _refined_depth(bones, solid, name, samples, error_mm)
            if depth.depth_mm > 0:
                found[nearest] = depth
    return found


def _refined_depth(
    bones: Sequence[tuple[NamedSurface, Cubes]], solid: Solid, own: str | None, samples: Samples, error_mm: float
) -> tuple[Depth, str]:
    """Depth behind one structure (or any danger), with the surface sampled as finely as the error asks."""
    start = cover(solid, _CELL_MM)
    cells, name = Cells(start, _CELL_MM, np.full(len(start), np.inf)), own or ""
    best = Depth(0.0, STOP_MM, np.full(3, np.nan))
    for _ in range(_ROUNDS):
        mask = samples.carrying(own) if own else ~samples.carrying(JOINT, *PASSAGES)
        if not mask.any():
            break
        depth, farther, at, cells = _deepest(bones, samples, mask, solid, cells)
        best = Depth(depth, _error_mm(samples.gap_mm, depth, farther), at)
        if depth > 0 and own is None:
            name = samples.names[int(samples.name[np.flatnonzero(mask)[samples.tree(mask).query(at)[1]]])]
        if best.error_mm <= error_mm or not len(cells.centres):
            break
        if samples.gap_mm < FIRST_EDGE_MM and (depth > DEEP_MM or len(cells.centres) > MOST_CELLS):
            break
        within = float(cells.own_mm.max()) + 2.0 * HALF_DIAGONAL * cells.edge + samples.gap_mm
        samples = _samples(bones, solid, within, cells, samples.gap_mm / _FINER)
    return best, name


def _error_mm(gap_mm: float, depth_mm: float, farther_mm: float) -> float:
    """What sampling and search add up to; a structure that is not the nearest may end at a border, short of the gap."""
    shift = min(gap_mm, gap_mm * gap_mm / (2.0 * depth_mm)) if depth_mm > 0 else gap_mm
    return STOP_MM + (1.0 + STEEPNESS) * shift + (STEEPNESS * gap_mm if farther_mm > TIE_MM else 0.0)


def _farthest_out(bones: Sequence[tuple[NamedSurface, Cubes]], solid: Solid) -> float:
    """A bound on how far outside the bones any point of the solid lies, by the stored points of the surface."""
    feet = np.concatenate([cubes.feet_lps_mm[np.isfinite(cubes.feet_lps_mm[:, 0])] for _, cubes in bones])
    points = cover(solid, _LATTICE_MM)
    outside = points[_outside(bones, points)]
    return (float(_nearest(cKDTree(feet), outside)[0].max()) if len(outside) else 0.0) + HALF_DIAGONAL * _LATTICE_MM


def _nearest(tree: cKDTree, points: Array) -> tuple[Array, Rows]:
    """Distance (n,) to the nearest point of a tree, and which."""
    distance, at = tree.query(points)
    return np.asarray(distance, dtype=np.float64), np.asarray(at, dtype=np.intp)


def _outside(bones: Sequence[tuple[NamedSurface, Cubes]], points: Array) -> Mask:
    return np.asarray(np.all([surface.value_mm(points) > 0 for surface, _ in bones], axis=0))


def _samples(
    bones: Sequence[tuple[NamedSurface, Cubes]], solid: Solid, within_mm: float, cells: Cells | None, edge_mm: float
) -> Samples:
    """Points of the surfaces within reach of a solid, and that may be nearest to a point of some cells if given."""
    names = tuple(dict.fromkeys(name for surface, _ in bones for name in surface.names))

    def close(centres: Array, reach: Array) -> Mask:
        kept = signed_distance(solid, centres) <= within_mm + reach
        if cells is None:
            return np.asarray(kept)
        rows, far = np.flatnonzero(kept), cells.own_mm + 2.0 * HALF_DIAGONAL * cells.edge + 4.0 * edge_mm
        nearest = np.full(len(rows), np.inf)
        for centre, radius in zip(cells.centres, far, strict=True):
            np.minimum(nearest, np.linalg.norm(centres[rows] - centre, axis=1) - radius, out=nearest)
        kept[rows] = nearest <= reach[rows]
        return np.asarray(kept)

    points, labels = [], []
    for surface, cubes in bones:
        feet, row = _feet_within(surface, cubes, close, edge_mm)
        label = np.where(surface.wall_mm(feet) > 0, cubes.wall[row], cubes.outer[row])
        points.append(feet)
        labels.append(np.array([names.index(name) for name in surface.names], dtype=np.intp)[label])
    return Samples(edge_mm, np.concatenate(points), names, np.concatenate(labels))


def _feet_within(
    surface: NamedSurface, cubes: Cubes, close: Callable[[Array, Array], Mask], edge_mm: float
) -> tuple[Array, Rows]:
    """A point of the surface in each cube of an edge that it cuts, where that is close, and the stored cube of each."""
    row = np.flatnonzero(close(cubes.centres_lps_mm, cubes.reach_mm))
    centres, edge = cubes.centres_lps_mm[row], cubes.edge_mm[row]
    while np.any(large := np.asarray(edge > edge_mm)):
        halves, size = split(centres[large], edge[large], cubes.axes), np.repeat(edge[large] / 2, 8)
        held = np.flatnonzero(close(halves, HALF_DIAGONAL * size))
        reach = HALF_DIAGONAL * size[held]
        held = held[np.abs(surface.value_mm(halves[held])) <= slope_bound(reach) * reach]
        centres = np.concatenate([centres[~large], halves[held]])
        edge = np.concatenate([edge[~large], size[held]])
        row = np.concatenate([row[~large], np.repeat(row[large], 8)[held]])
    value = surface.value_mm(centres)
    likely = np.abs(value) <= edge
    centres, edge, row = centres[likely], edge[likely], row[likely]
    feet, found = onto_surface(surface.value_mm, centres, value[likely])
    found &= np.abs((feet - centres) @ cubes.axes.T).max(axis=1) <= 0.6 * edge
    return feet[found], row[found]


def cover(solid: Solid, step_mm: float) -> Array:
    """Centres (n, 3) of cubes along the solid's axes that cover it."""
    across = np.arange(-solid.circumscribed_radius_mm, solid.circumscribed_radius_mm + step_mm, step_mm)
    along = (np.arange(np.ceil(solid.length_mm / step_mm)) + 0.5) * step_mm
    u, v, a = (g.ravel() for g in np.meshgrid(across, across, along, indexing="ij"))
    centres = solid.point(a, u, v)
    return np.asarray(centres[signed_distance(solid, centres) <= HALF_DIAGONAL * step_mm])


def _deepest(
    bones: Sequence[tuple[NamedSurface, Cubes]], samples: Samples, own: Mask, solid: Solid, start: Cells
) -> tuple[float, float, Array, Cells]:
    """Depth behind the samples of one structure, how much farther it is there, the point, and where else it may lie."""
    joint = samples.carrying(JOINT)
    everything, own_tree = samples.tree(np.ones(len(joint), dtype=bool)), samples.tree(own)
    other_tree = samples.tree(~joint)
    step, cells, axes = start.edge, start.centres, solid.packed[3:12].reshape(3, 3)
    best, best_farther, deepest = 0.0, 0.0, np.full(3, np.nan)
    left, bounds = start, np.full(len(cells), np.inf)
    while len(cells):
        reach = HALF_DIAGONAL * step
        points = pulled_in(solid.packed, cells)
        distance, nearest = _nearest(everything, points)
        height = np.where(_outside(bones, points), distance, -distance)
        kept = height + reach > best + STOP_MM
        cells, points, height, nearest = cells[kept], points[kept], height[kept], nearest[kept]
        farther = _nearest(own_tree, points)[0] - np.abs(height)
        in_gap = joint[nearest] & (farther > TIE_MM)
        depth = np.asarray(np.where((height > 0) & ~in_gap, height - STEEPNESS * farther, -np.inf))
        if len(depth) and depth.max() > best:
            first = int(np.argmax(depth))
            best, best_farther, deepest = float(depth[first]), float(farther[first]), points[first]
        # Over a cell a height changes by at most its reach, and how much farther a structure is by at most twice that.
        bound = height + reach - STEEPNESS * np.maximum(farther - 2 * reach, 0.0)
        kept = (bound > best + STOP_MM) & (~in_gap | (step > GAP_MM))
        # A cell lies in the gap as a whole where no point of it can be nearer to anything than to the joint.
        doubtful = np.flatnonzero(kept & in_gap)
        if len(doubtful) and other_tree.n:
            others = _nearest(other_tree, points[doubtful])[0] - np.abs(height[doubtful])
            kept[doubtful] = others <= 2 * reach + TIE_MM
        if step >= max(2.0 * samples.gap_mm, GAP_MM):
            left, bounds = Cells(cells[kept], step, (np.abs(height) + farther)[kept]), bound[kept]
        cells = (cells[kept, None] + 0.25 * step * _OCTANTS @ axes).reshape(-1, 3)
        step /= 2
        cells = cells[signed_distance(solid, cells) <= HALF_DIAGONAL * step]
    slack = 2.0 * (1.0 + STEEPNESS) * samples.gap_mm
    rows = bounds > best - slack
    return best, best_farther, deepest, Cells(left.centres[rows], left.edge, left.own_mm[rows])
