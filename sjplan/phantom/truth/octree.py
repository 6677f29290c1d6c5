"""Distances from a solid to an implicit surface by branch and bound, with a bound on what is left out.

A signed distance changes by at most the way one moves: the surface in a cube is no nearer to a solid than the cube's
centre is, less half of its diagonal. What is found is a point on the surface; what is left out is nearer by at most the
tolerance. Cubes that hold no surface are left out by the bound on the slope (see `sjplan.phantom.truth.cubes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.geometry.solids import Solid, signed_distance
from sjplan.phantom.truth.cubes import (
    HALF_DIAGONAL,
    ON_SURFACE_MM,
    Cubes,
    Mask,
    NamedSurface,
    Rows,
    onto_surface,
    slope_bound,
    split,
    towards_corners,
)

FINEST_MM: Final = 0.008
"""Edge at which cubes are no longer split: they are left only along borders between names."""

BORDER_MM: Final = 0.015
"""A point this near to a border between two names carries both."""

_POLISHED: Final = 16
_SEARCHED: Final = 6
"""Most promising cubes of each search, level by level: so many centres are moved onto the surface, and in so many of
the cubes where that fails, as it does at a sharp rim, the surface is sought towards every corner."""


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """What one search found: the distance is never below the true one, and above it by at most `error_mm`."""

    distance_mm: float
    error_mm: float
    at_lps_mm: Array


@dataclass(frozen=True, slots=True, eq=False)
class Front:
    """Cubes of several searches: whose each is, and on what side of a tunnel's rim it must lie to count.

    `side` is +1 where the search is for the wall, -1 where it is for the outer surface, 0 where the whole cube counts.
    """

    centres: Array
    edge: Array
    search: Rows
    side: Array
    lower: Array

    def chosen(self, rows: Mask | Rows) -> Front:
        """Some of them."""
        return Front(*(getattr(self, name)[rows] for name in Front.__slots__))

    def halves(self, axes: Array) -> Front:
        """All their halves; the lower bounds are still those of the wholes."""
        eight = np.repeat(np.arange(len(self.search)), 8)
        centres = split(self.centres, self.edge, axes)
        return Front(centres, self.edge[eight] / 2, self.search[eight], self.side[eight], self.lower[eight])


def joined(fronts: Sequence[Front]) -> Front:
    """One front of several."""
    return Front(*(np.concatenate([getattr(f, name) for f in fronts]) for name in Front.__slots__))


def cubes_of(cubes: Cubes, name: int) -> tuple[Rows, Array]:
    """Rows of the stored cubes that may hold a name, and the side on which each does (see `Front`)."""
    as_wall = (cubes.wall == name) & (cubes.wall_mm > -cubes.reach_mm)
    as_outer = (cubes.outer == name) & (cubes.wall_mm < cubes.reach_mm)
    rows = np.flatnonzero(as_wall | as_outer)
    side = np.where(as_wall[rows], 1.0, -1.0)
    side[np.abs(cubes.wall_mm[rows]) >= cubes.reach_mm[rows]] = 0.0
    return rows, side


def still_holding(surface: NamedSurface, front: Front) -> tuple[Front, Array, Mask]:
    """Those cubes of a front that may hold surface on the side that counts, values at their centres, and likely ones.

    Likely is a cube whose centre is on the side that counts, and so near to the surface that it seldom misses the cube.
    """
    reach = HALF_DIAGONAL * front.edge
    value = surface.value_mm(front.centres)
    kept = np.abs(value) <= slope_bound(reach) * reach
    front, value, reach = front.chosen(np.flatnonzero(kept)), value[kept], reach[kept]
    inwards = np.full(len(value), np.inf)
    doubtful = front.side != 0
    if doubtful.any():
        inwards[doubtful] = front.side[doubtful] * surface.wall_mm(front.centres[doubtful])
    side = np.where(inwards >= reach, 0.0, front.side)
    kept = inwards > -reach
    front = Front(front.centres, front.edge, front.search, side, front.lower).chosen(kept)
    return front, value[kept], (np.abs(value) <= 0.5 * reach / HALF_DIAGONAL)[kept] & (inwards[kept] > 0)


def nearest_named(
    surface: NamedSurface, cubes: Cubes, solids: Sequence[Solid], names: Sequence[str], tolerance_mm: float
) -> dict[tuple[int, str], Nearest]:
    """Lowest signed distance of each solid over each named part of a surface; parts that have no point are left out.

    Parameters
    ----------
    surface, cubes : NamedSurface, Cubes
        The surface and its stored cubes.
    solids : sequence of Solid
        Numbered from 0 in the answer.
    names : sequence of str
        Which parts.
    tolerance_mm : float
        How much too high a distance may be.
    """
    searches = [(s, name) for s in range(len(solids)) for name in names]
    hunt = _Hunt(surface, solids, np.array([s for s, _ in searches], dtype=np.intp), tolerance_mm)
    front = joined([hunt.start(n, cubes, surface.names.index(name)) for n, (_, name) in enumerate(searches)])
    left = front.chosen(np.zeros(0, dtype=np.intp))
    while len(front.search):
        front = hunt.refined(front, cubes.axes)
        fine = front.edge <= FINEST_MM
        left, front = joined([left, front.chosen(fine)]), front.chosen(~fine)
    hunt.close(left)
    return {
        key: Nearest(float(hunt.best[n]), float(hunt.error[n]), hunt.at[n])
        for n, key in enumerate(searches)
        if np.isfinite(hunt.best[n])
    }


class _Hunt:
    """The best points so far of several searches over one surface."""

    def __init__(self, surface: NamedSurface, solids: Sequence[Solid], owners: Rows, tolerance_mm: float) -> None:
        self.surface, self.solids, self.owners, self.tolerance = surface, solids, owners, tolerance_mm
        self.best = np.full(len(owners), np.inf)
        self.error = np.full(len(owners), tolerance_mm)
        self.at = np.full((len(owners), 3), np.nan)

    def start(self, n: int, cubes: Cubes, name: int) -> Front:
        """Cubes of one search among the stored ones, culled by the stored points of the surface."""
        rows, side = cubes_of(cubes, name)
        solid, centres, feet = self.solids[self.owners[n]], cubes.centres_lps_mm[rows], cubes.feet_lps_mm[rows]
        reach = cubes.reach_mm[rows]
        # A missing foot is NaN, and lies in no cube.
        inside = np.abs((feet - centres) @ cubes.axes.T).max(axis=1) <= 0.5 * cubes.edge_mm[rows] + ON_SURFACE_MM
        counted = np.flatnonzero(inside & (side == 0))
        if len(counted):
            distance = signed_distance(solid, feet[counted])
            self.best[n], self.at[n] = distance.min(), feet[counted[distance.argmin()]]
        lower = signed_distance(solid, centres) - reach
        search = np.full(len(rows), n, dtype=np.intp)
        front = Front(centres, cubes.edge_mm[rows], search, side, lower)
        return front.chosen(lower < self.best[n] - self.tolerance)

    def refined(self, front: Front, axes: Array) -> Front:
        """The halves that may hold a nearer point, after a look at the most promising of them."""
        halves = front.halves(axes)
        lower = self._distances(halves.centres, halves.search) - HALF_DIAGONAL * halves.edge
        halves = Front(halves.centres, halves.edge, halves.search, halves.side, lower)
        halves, value, likely = still_holding(self.surface, halves.chosen(self._open(halves)))
        first = np.flatnonzero(likely | (halves.edge <= 4.0 * FINEST_MM))
        first = first[_lowest_of_each(halves.search[first], halves.lower[first], _POLISHED)]
        self._try(halves.chosen(first), value[first], axes)
        return halves.chosen(self._open(halves))

    def close(self, front: Front) -> None:
        """What is left when cubes are as small as they get lies at a rim: the error says so."""
        np.maximum.at(self.error, front.search, self.best[front.search] - front.lower)

    def _open(self, front: Front) -> Mask:
        return np.asarray(front.lower < self.best[front.search] - self.tolerance)

    def _distances(self, points: Array, search: Rows) -> Array:
        out, owner = np.zeros(len(points)), self.owners[search]
        for n, solid in enumerate(self.solids):
            out[owner == n] = signed_distance(solid, points[owner == n])
        return out

    def _try(self, front: Front, value: Array, axes: Array) -> None:
        """Look for surface in cubes, on the side that counts: what is found is an answer."""
        feet, found = onto_surface(self.surface.value_mm, front.centres, value)
        found &= np.abs((feet - front.centres) @ axes.T).max(axis=1) <= 0.5 * front.edge + BORDER_MM
        self._accept(front.chosen(found), feet[found])
        failed = np.flatnonzero(~found)
        failed = failed[_lowest_of_each(front.search[failed], front.lower[failed], _SEARCHED)]
        rows, feet = towards_corners(
            self.surface.value_mm, front.centres[failed], front.edge[failed], value[failed], axes
        )
        self._accept(front.chosen(failed[rows]), feet)

    def _accept(self, front: Front, feet: Array) -> None:
        distance = self._distances(feet, front.search)
        better = np.flatnonzero(distance < self.best[front.search])
        front, feet, distance = front.chosen(better), feet[better], distance[better]
        counts = np.ones(len(feet), dtype=bool)
        doubtful = np.flatnonzero(front.side != 0)
        if len(doubtful):
            counts[doubtful] = front.side[doubtful] * self.surface.wall_mm(feet[doubtful]) > -0.25 * BORDER_MM
        for row in np.flatnonzero(counts):
            n = front.search[row]
            if distance[row] < self.best[n]:
                self.best[n], self.at[n] = distance[row], feet[row]


def _lowest_of_each(search: Rows, lower: Array, count: int) -> Rows:
    """Rows of the `count` lowest bounds of every search."""
    order = np.lexsort((lower, search))
    new = np.flatnonzero(np.diff(search[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(new, np.diff(np.append(new, len(order))))
    return np.asarray(order[rank < count], dtype=np.intp)
