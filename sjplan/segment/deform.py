"""What is left between the fitted phantom and the scan, as a smooth displacement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from sjplan.core.arrays import Array
from sjplan.core.grid import Grid
from sjplan.segment.fit import Fit, edges
from sjplan.segment.working import Working, grid_between

FIELD_MM: Final = 5.0
"""Step of the lattice on which displacements are kept: no coarser than the finest smoothing (default)."""

ROUNDS: Final = (
    *((24.0, 8.0), (18.0, 7.0), (14.0, 6.0), (11.0, 5.0), (9.0, 4.5)),
    *((9.0, 4.0), (7.0, 5.0), (6.0, 5.0), (5.0, 4.0), (5.0, 4.0)),
)
"""Width (sd, mm) over which neighbours share a displacement, and how far along the normals is looked, by round."""

PULL: Final = 0.06
"""Weight of "stay" against the edges near a place: where few were found, little moves (default)."""

MARGIN_MM: Final = 25.0


@dataclass(frozen=True, slots=True, eq=False)
class Deformed:
    """The fitted phantom bent onto the scan.

    Parameters
    ----------
    fit : Fit
        Before it was bent.
    grid : Grid
        Lattice of the displacement, in the scan.
    back_mm : (3, ...) float
        From each place of the scan to where it lies in the phantom.
    points_lps_mm : (n, 3) float
        Where the phantom's points ended.
    offset_mm, weight : (n,) float
        Edges that the last round found there.
    """

    fit: Fit
    grid: Grid
    back_mm: NDArray[np.float64]
    points_lps_mm: Array
    offset_mm: Array
    weight: Array

    def phantom_of(self, points_lps_mm: Array) -> Array:
        """Where in the fitted phantom places of the scan lie, (n, 3)."""
        return points_lps_mm + _at(self.grid, self.back_mm, points_lps_mm)

    def distance_mm(self, bone: str, points_lps_mm: Array) -> Array:
        """Signed distance (n,) of places of the scan to one of `BONES`, positive outside; about, where it is bent."""
        return self.fit.pelvis.bone_mm(bone, self.phantom_of(points_lps_mm))


def bent(ct: Working, fit: Fit) -> Deformed:
    """Bend the fitted phantom: edges found along the normals, smoothed more finely from round to round."""
    points = fit.points
    low, high = points.lps_mm.min(axis=0) - MARGIN_MM, points.lps_mm.max(axis=0) + MARGIN_MM
    grid = grid_between(low, high, FIELD_MM)
    forward = np.zeros((3, *grid.shape))
    total = np.zeros(len(points.lps_mm))
    place = points.lps_mm.copy()
    for width, reach in ROUNDS:
        found = edges(ct, place, points.normal, reach, points.gap_mm)
        wanted = place + found.offset_mm[:, None] * points.normal - points.lps_mm
        # Beside what neighbours agree on, an edge far off is one of something else.
        forward = _smoothed(grid, points.lps_mm, wanted, points.normal, found.weight, forward, width)
        place = points.lps_mm + _at(grid, forward, points.lps_mm)
        total = found.weight
    found = edges(ct, place, points.normal, 4.0, points.gap_mm)
    return Deformed(fit, grid, _inverse(grid, forward), place, found.offset_mm, np.minimum(total, found.weight))


def _smoothed(
    grid: Grid, at: Array, wanted: Array, normal: Array, weight: Array, before: NDArray[np.float64], width_mm: float
) -> NDArray[np.float64]:
    """Displacements, of which only the part along each normal is known, averaged over neighbours.

    What is known of a displacement d is n.d; the least squares over neighbours of (n.d - n.wanted)^2 solves a 3 x 3
    system at each lattice point, whose entries are smoothed sums.
    """
    ijk = np.rint(grid.ijk_from_lps(at)).astype(int)
    flat = np.ravel_multi_index(tuple(ijk.T), grid.shape)
    count = int(np.prod(grid.shape))
    sigma = width_mm / FIELD_MM
    known = (normal * wanted).sum(axis=1)
    robust = weight / (1.0 + ((known - (normal * _at(grid, before, at)).sum(axis=1)) / 5.0) ** 2)

    def spread(values: Array) -> Array:
        sums = np.bincount(flat, values, count).reshape(grid.shape)
        return np.asarray(gaussian_filter(sums, sigma, mode="constant", truncate=3.0))

    unit = 1.0 / (FIELD_MM / width_mm) ** 2  # so that a surface full of points weighs about the same at every width
    matrix = np.zeros((*grid.shape, 3, 3))
    right = np.zeros((*grid.shape, 3))
    for a in range(3):
        right[..., a] = spread(robust * normal[:, a] * known) * unit
        for b in range(a, 3):
            matrix[..., a, b] = matrix[..., b, a] = spread(robust * normal[:, a] * normal[:, b]) * unit
    # Across the surface nothing is known: there it stays with what was before, and far from it too.
    matrix += PULL * np.eye(3)
    right += PULL * np.moveaxis(before, 0, -1)
    solved = np.asarray(np.linalg.solve(matrix, right[..., None])[..., 0], dtype=np.float64)
    return np.moveaxis(solved, -1, 0)


def _at(grid: Grid, field: NDArray[np.float64], points_lps_mm: Array) -> Array:
    ijk = grid.ijk_from_lps(points_lps_mm).T
    return np.column_stack([map_coordinates(f, ijk, order=1, mode="nearest") for f in field])


def _inverse(grid: Grid, forward: NDArray[np.float64]) -> NDArray[np.float64]:
    """The displacement that undoes another: v(y) = -u(y + v(y)), by repetition."""
    lattice = grid.lps_from_ijk(np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1))
    flat = lattice.reshape(-1, 3)
    back = np.zeros_like(flat)
    for _ in range(12):
        back = -_at(grid, forward, flat + back)
    return np.moveaxis(back.reshape(*grid.shape, 3), -1, 0)
