"""Cubes of space that may hold an implicit surface, stored once for a bone, with the names that it carries there.

The bones' functions are no distances: exact in sign, first-order in size. What is known is a bound on the slope: d mm
from the surface the function is at most `slope_bound(d)` times d. So a cube whose centre has a larger value, measured
against half of its diagonal, holds no surface.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from sjplan.core.arrays import Array
from sjplan.core.frames import AnatomicalFrame
from sjplan.geometry.closing import closed

Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]
Value = Callable[[Array], Array]

SLOPE_BOUNDS: Final = ((0.9, 1.8), (1.8, 2.6), (3.5, 5.0), (np.inf, 8.0))
"""Distance from the surface (mm) and largest |value| / distance up to there (no unit). Seen on 60,000 surface points of
four shapes: 1.3, 1.8, 2.7 and 4.2; tested by sampling."""

COARSEST_MM: Final = 8.0
LEAF_MM: Final = 2.0
BORDER_LEAF_MM: Final = 1.0
"""Edges of the first cubes, of the stored ones, and of the stored ones along the borders between names."""

ON_SURFACE_MM: Final = 2e-4
"""Largest |value| of a point that counts as on the surface: slopes are above 0.4, so it lies within 0.0005 mm."""

HALF_DIAGONAL: Final = 0.5 * float(np.sqrt(3.0))
"""Half of the diagonal of a cube of edge 1."""

SMALLEST_PATCH_MM2: Final = 80.0
SMALLEST_PATCH_SHARE: Final = 0.03
"""A patch of one name smaller than this, or than this share of the name's area, goes to what surrounds it (as in the
anatomy)."""

CUBE_MM2: Final = LEAF_MM * LEAF_MM / 1.5
"""Area of surface in one stored cube: a plane cuts 1.5 of them for the area of one face, averaged over directions."""

_PROBE_MM: Final = 1e-3
_CHORDS: Final = 5
_OCTANTS: Final = 0.25 * np.array([(a, b, c) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)], dtype=np.float64)
_NEIGHBOURS: Final = 27


@dataclass(frozen=True, slots=True)
class Whole:
    """What a name takes of others: half the width of notches in its edge (mm), and the area of holes in it (mm2)."""

    notch_mm: float
    hole_mm2: float


class NamedSurface(Protocol):
    """An implicit surface whose places carry names, by their number in `names`."""

    @property
    def names(self) -> tuple[str, ...]:
        """What its places may be called."""
        ...

    def value_mm(self, points_lps_mm: Array) -> Array:
        """First-order signed distance (n,), below zero inside."""
        ...

    def wall_mm(self, points_lps_mm: Array) -> Array:
        """Positive (n,) on the walls of tunnels, negative on the outer surface; changes by at most the way."""
        ...

    def outer_names(self, points_lps_mm: Array) -> Rows:
        """Names (n,) of places as parts of the outer surface."""
        ...

    def wall_names(self, points_lps_mm: Array) -> Rows:
        """Names (n,) of places as parts of a tunnel's wall."""
        ...


def slope_bound(distance_mm: ArrayLike) -> Array:
    """Largest |value| / distance of a point no farther than this from the surface.

    Examples
    --------
    >>> slope_bound([0.05, 1.0]).tolist()
    [1.8, 2.6]
    """
    reach, bound = np.array(SLOPE_BOUNDS).T
    return np.asarray(bound[np.searchsorted(reach, distance_mm)])


@dataclass(frozen=True, slots=True, eq=False)
class Cubes:
    """Cubes that may hold a surface.

    Parameters
    ----------
    axes : (3, 3) float
        Rows: unit vectors along their edges, LPS.
    edge_mm : (n,) float
        Their edges.
    centres_lps_mm : (n, 3) float
        Their centres.
    feet_lps_mm : (n, 3) float
        A point of the surface in or near each cube, NaN where none was found.
    outer, wall : (n,) int
        The name that the surface in a cube carries where it is outer surface, and where it is a tunnel's wall.
    wall_mm : (n,) float
        Which of the two it is, see `NamedSurface`, at the centre.
    """

    axes: Array
    edge_mm: Array
    centres_lps_mm: Array
    feet_lps_mm: Array
    outer: Rows
    wall: Rows
    wall_mm: Array

    @property
    def reach_mm(self) -> Array:
        """Half of each cube's diagonal."""
        return np.asarray(HALF_DIAGONAL * self.edge_mm)


def named_cubes(
    surface: NamedSurface,
    frame: AnatomicalFrame,
    low_mm: Array,
    high_mm: Array,
    whole: Mapping[str, Whole] | None = None,
) -> Cubes:
    """Cubes that may hold a surface, in a box along the axes of a frame, each with its names.

    Names in `whole` take notches in their edges and holes in their middles. Small patches of a name go to what
    surrounds them. A cube of `LEAF_MM` whose neighbours all carry its names carries them as a whole; along the borders
    it is split into cubes of `BORDER_LEAF_MM`, each named by itself. That is where a border lies, by definition. The
    lattice is the same on both sides of each axis, so a mirrored surface has mirrored names.
    """
    centres, feet = surface_cubes(surface.value_mm, frame, low_mm, high_mm)
    stored = _by_rule(surface, frame.axes, LEAF_MM, centres, feet)
    neighbours = _neighbours(centres, LEAF_MM)
    taken = {surface.names.index(name): rule for name, rule in (whole or {}).items()}
    outer = _coherent(stored, neighbours, taken)
    stored = replace(stored, outer=outer)
    border = _at_border(stored, neighbours)
    allowed = np.bitwise_or.reduce(1 << outer[neighbours[border]], axis=1)
    parts = split(centres[border], LEAF_MM, frame.axes)
    owner = np.repeat(np.flatnonzero(border), 8)
    allowed = np.repeat(allowed, 8)
    value = surface.value_mm(parts)
    kept = _may_hold(value, BORDER_LEAF_MM)
    parts, owner, allowed = parts[kept], owner[kept], allowed[kept]
    fine = _by_rule(surface, frame.axes, BORDER_LEAF_MM, parts, _feet(surface.value_mm, parts, value[kept]))
    fine = replace(fine, outer=np.where(allowed >> fine.outer & 1, fine.outer, outer[owner]))
    coarse = _chosen(stored, ~border)
    joined = [np.concatenate([getattr(coarse, name), getattr(fine, name)]) for name in Cubes.__slots__[1:]]
    return Cubes(frame.axes, *joined)


def surface_cubes(value_mm: Value, frame: AnatomicalFrame, low_mm: Array, high_mm: Array) -> tuple[Array, Array]:
    """Centres and feet (n, 3) of the cubes of `LEAF_MM` that may hold a surface."""
    first, last = np.floor(low_mm / COARSEST_MM), np.ceil(high_mm / COARSEST_MM)
    steps = [(np.arange(a, b) + 0.5) * COARSEST_MM for a, b in zip(first, last, strict=True)]
    local = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    edge = COARSEST_MM
    centres, value = _held(value_mm, frame.lps_from_frame(local), edge)
    while edge > LEAF_MM:
        centres, edge = split(centres, edge, frame.axes), edge / 2
        centres, value = _held(value_mm, centres, edge)
    return centres, _feet(value_mm, centres, value)


def _held(value_mm: Value, centres: Array, edge_mm: float) -> tuple[Array, Array]:
    """Those of the cubes that may hold the surface, and the values at their centres."""
    value = value_mm(centres)
    kept = _may_hold(value, edge_mm)
    return centres[kept], value[kept]


def _may_hold(value: Array, edge_mm: float) -> Mask:
    reach = HALF_DIAGONAL * edge_mm
    return np.asarray(np.abs(value) <= slope_bound(reach) * reach)


def _feet(value_mm: Value, centres: Array, value: Array) -> Array:
    feet, found = onto_surface(value_mm, centres, value)
    feet[~found] = np.nan
    return feet


def _by_rule(surface: NamedSurface, axes: Array, edge_mm: float, centres: Array, feet: Array) -> Cubes:
    # A missing foot is NaN, and NaN lies nowhere near: such a cube is named by its centre.
    near = np.linalg.norm(feet - centres, axis=1) <= HALF_DIAGONAL * edge_mm
    place = np.where(near[:, None], feet, centres)
    wall_mm = surface.wall_mm(centres)
    outer, wall = surface.outer_names(place), surface.wall_names(place)
    return Cubes(axes, np.full(len(centres), edge_mm), centres, feet, outer, wall, wall_mm)


def _neighbours(centres: Array, edge_mm: float) -> Rows:
    """Rows (n, 27) of each cube and its neighbours; a missing one is replaced by the cube itself."""
    distance, near = cKDTree(centres).query(centres, k=_NEIGHBOURS, distance_upper_bound=1.75 * edge_mm)
    return np.where(np.isfinite(distance), near, np.arange(len(centres))[:, None])


def _coherent(cubes: Cubes, neighbours: Rows, whole: Mapping[int, Whole]) -> Rows:
    """Outer names with notches and holes filled, then small patches given to the commonest name round them.

    Off the surface the nearest counts.
    """
    inside = (
        np.abs((cubes.feet_lps_mm - cubes.centres_lps_mm) @ cubes.axes.T).max(axis=1) <= 0.5 * LEAF_MM + ON_SURFACE_MM
    )
    on = inside & (cubes.wall_mm < 0)
    outer = cubes.outer.copy()
    for name, rule in whole.items():
        rows = np.flatnonzero(on)
        outer[rows[closed(_ways(cubes.feet_lps_mm, on, neighbours), outer[rows] == name, rule.notch_mm)]] = name
        part, size = _patches(on & (outer != name), neighbours)
        beside = np.zeros(len(size), dtype=bool)
        beside[part[(part >= 0) & (on[neighbours] & (outer[neighbours] == name)).any(axis=1)]] = True
        hole = beside & (size * CUBE_MM2 < rule.hole_mm2)
        rows = np.flatnonzero(part >= 0)
        outer[rows[hole[part[rows]]]] = name
    for name in np.unique(outer[on]):
        own = on & (outer == name)
        part, size = _patches(own, neighbours)
        least = max(SMALLEST_PATCH_MM2, SMALLEST_PATCH_SHARE * own.sum() * CUBE_MM2) / CUBE_MM2
        for small in np.flatnonzero(size < least):
            rows = np.flatnonzero(part == small)
            round_ = np.unique(neighbours[rows])
            round_ = round_[on[round_] & (outer[round_] != name)]
            if len(round_):
                outer[rows] = np.bincount(outer[round_]).argmax()
    rows = np.flatnonzero(on)
    off = np.flatnonzero(~on)
    if len(rows):
        outer[off] = outer[rows[cKDTree(cubes.centres_lps_mm[rows]).query(cubes.centres_lps_mm[off])[1]]]
    return outer


def _pairs(own: Mask, neighbours: Rows) -> tuple[Rows, Rows, Rows]:
    """Rows of the chosen cubes, and pairs of neighbours among these."""
    rows = np.flatnonzero(own)
    number = np.full(len(own), -1, dtype=np.intp)
    number[rows] = np.arange(len(rows))
    a, b = np.repeat(np.arange(len(rows)), neighbours.shape[1]), number[neighbours[rows]].ravel()
    return rows, a[b >= 0], b[b >= 0]


def _ways(feet: Array, own: Mask, neighbours: Rows) -> csr_array:
    """Distances between the surface's places in neighbouring cubes."""
    rows, a, b = _pairs(own, neighbours)
    length = np.linalg.norm(feet[rows[a]] - feet[rows[b]], axis=1)
    return csr_array((length, (a, b)), shape=(len(rows), len(rows)))


def _patches(own: Mask, neighbours: Rows) -> tuple[Rows, Rows]:
    """Connected patch of each cube (-1 where it is none of them), and how many cubes each patch has."""
    rows, a, b = _pairs(own, neighbours)
    links = coo_array((np.ones(len(a)), (a, b)), shape=(len(rows), len(rows)))
    count, part = connected_components(links, directed=False)
    out = np.full(len(own), -1, dtype=np.intp)
    out[rows] = part
    return out, np.bincount(part, minlength=count)


def _at_border(cubes: Cubes, neighbours: Rows) -> Mask:
    """Cubes one of whose 26 neighbours has another name."""
    other_outer = (cubes.outer[neighbours] != cubes.outer[:, None]).any(axis=1) & (cubes.wall_mm < cubes.reach_mm)
    other_wall = (cubes.wall[neighbours] != cubes.wall[:, None]).any(axis=1) & (cubes.wall_mm > -cubes.reach_mm)
    return np.asarray(other_outer | other_wall)


def _chosen(cubes: Cubes, rows: Mask) -> Cubes:
    return Cubes(cubes.axes, *(getattr(cubes, name)[rows] for name in Cubes.__slots__[1:]))


def split(centres: Array, edge_mm: ArrayLike, axes: Array) -> Array:
    """Centres of the eight halves of each cube, (8 n, 3); one edge, or (n,) of them."""
    step = np.broadcast_to(np.asarray(edge_mm, dtype=np.float64), (len(centres),))
    return np.asarray((centres[:, None] + step[:, None, None] * (_OCTANTS @ axes)).reshape(-1, 3))


def onto_surface(value_mm: Value, points: Array, value: Array) -> tuple[Array, Mask]:
    """Points moved along the slope onto the surface, and which of them got there."""
    if not len(points):
        return points.copy(), np.zeros(0, dtype=bool)
    # To both sides, so that a mirrored surface has mirrored feet.
    probes = (points[:, None] + _PROBE_MM * np.concatenate([np.eye(3), -np.eye(3)])).reshape(-1, 3)
    values = value_mm(probes).reshape(-1, 6)
    slope = (values[:, :3] - values[:, 3:]) / (2.0 * _PROBE_MM)
    direction = slope / np.maximum((slope * slope).sum(axis=1), 0.05)[:, None]
    feet, left = points.copy(), np.array(value)
    for _ in range(_CHORDS):
        off = np.abs(left) > 0.01 * ON_SURFACE_MM
        if not off.any():
            break
        feet[off] -= left[off, None] * direction[off]
        left[off] = value_mm(feet[off])
    return feet, np.abs(left) <= ON_SURFACE_MM


def towards_corners(value_mm: Value, centres: Array, edge_mm: Array, value: Array, axes: Array) -> tuple[Rows, Array]:
    """Points of the surface between the centres of cubes and their corners: the cube of each, and the points (m, 3)."""
    corners = split(centres, 2.0 * edge_mm, axes)
    other = value_mm(corners) if len(corners) else np.zeros(0)
    chosen = np.flatnonzero((other > 0) != (np.repeat(value, 8) > 0))
    rows = chosen // 8
    inside = value[rows] <= 0
    low = np.where(inside[:, None], centres[rows], corners[chosen])
    high = np.where(inside[:, None], corners[chosen], centres[rows])
    for _ in range(int(np.ceil(np.log2(edge_mm.max() / ON_SURFACE_MM))) if len(rows) else 0):
        middle = 0.5 * (low + high)
        bone = (value_mm(middle) <= 0)[:, None]
        low, high = np.where(bone, middle, low), np.where(bone, high, middle)
    return np.asarray(rows, dtype=np.intp), low
