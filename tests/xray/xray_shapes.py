"""Solids whose line integrals are known exactly, and small volumes of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sjplan.core.grid import Grid
from sjplan.xray.carm import CArmGeometry


def rotation(axis: ArrayLike, degrees: float) -> NDArray[np.float64]:
    """Rodrigues' formula."""
    x, y, z = np.asarray(axis, float) / np.linalg.norm(axis)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    a = np.deg2rad(degrees)
    return np.eye(3) + np.sin(a) * k + (1 - np.cos(a)) * k @ k


def grid_about(
    centre: ArrayLike, shape: tuple[int, int, int], spacing: ArrayLike, direction: ArrayLike | None = None
) -> Grid:
    """A grid whose middle lies at `centre`."""
    d = np.eye(3) if direction is None else np.asarray(direction)
    half = d @ (np.asarray(spacing, float) * (np.array(shape) - 1) / 2)
    return Grid(shape, spacing, np.asarray(centre, float) - half, d)


_CUBE = ((5, -3, 8), (44, 44, 44), (1.5, 1.4, 1.6))
GRIDS = {
    "plain": grid_about((5, -3, 8), (40, 36, 44), (1.5, 1.5, 1.5)),
    "anisotropic": grid_about((5, -3, 8), (60, 45, 22), (1.0, 1.2, 3.0)),
    "oblique": grid_about(*_CUBE, rotation((1, 2, 3), 35)),
    "left-handed": grid_about(*_CUBE, rotation((3, -1, 1), 25) @ np.diag([1, -1, 1])),
    "axes swapped": grid_about(*_CUBE, np.eye(3)[:, [2, 0, 1]] @ np.diag([-1, 1, 1])),
}


class Ellipsoid:
    """Half axes along LPS; a sphere where they are equal."""

    def __init__(self, centre: ArrayLike, half: ArrayLike) -> None:
        self.centre, self.half = np.asarray(centre, float), np.asarray(half, float)

    def inside(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        return (((points - self.centre) / self.half) ** 2).sum(axis=-1) <= 1

    def chords_mm(self, geometry: CArmGeometry) -> NDArray[np.float64]:
        d = geometry.ray_through(geometry.all_pixels()) / self.half
        s = (geometry.source_lps_mm - self.centre) / self.half
        a, b, c = (d * d).sum(-1), d @ s, s @ s - 1
        return 2 * np.sqrt(np.maximum(b * b - a * c, 0)) / a


class Box:
    """A box with faces across LPS axes."""

    def __init__(self, centre: ArrayLike, half: ArrayLike) -> None:
        self.centre, self.half = np.asarray(centre, float), np.asarray(half, float)

    def inside(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        return (np.abs(points - self.centre) <= self.half).all(axis=-1)

    def chords_mm(self, geometry: CArmGeometry) -> NDArray[np.float64]:
        d = geometry.ray_through(geometry.all_pixels())
        d = np.where(np.abs(d) < 1e-12, 1e-12, d)
        s = geometry.source_lps_mm - self.centre
        a, b = (-self.half - s) / d, (self.half - s) / d
        return np.maximum(np.maximum(a, b).min(-1) - np.minimum(a, b).max(-1), 0)


def share_inside(solid: Ellipsoid | Box, grid: Grid, samples: int = 4) -> NDArray[np.float64]:
    """Share of every voxel that lies inside, by `samples` points along each edge."""
    ijk = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1).astype(float)
    steps = (np.arange(samples) + 0.5) / samples - 0.5
    total = np.zeros(grid.shape)
    for a in steps:
        for b in steps:
            for c in steps:
                total += solid.inside(grid.lps_from_ijk(ijk + np.array([a, b, c])))
    return total / samples**3
