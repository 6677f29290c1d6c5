"""Slow, obvious counterparts of the fast geometry, written from the definitions and not from the code under test."""

from __future__ import annotations

import numpy as np

from sjplan.core.grid import Grid
from sjplan.core.implant import ImplantModel
from sjplan.core.trajectory import Trajectory

TRIANGLE = ImplantModel("tri-7", "triangle", "triangle", 3.5, 1.0, (30.0, 40.0, 50.0))
SHARP = ImplantModel("sharp", "triangle with sharp corners", "triangle", 3.0, 0.0, (40.0,))
ROD = ImplantModel("rod", "cylinder", "cylinder", 5.0, 5.0, (40.0,))


def rotation(rng: np.random.Generator) -> np.ndarray:
    """A random right-handed rotation."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else q[:, [1, 0, 2]]


def random_trajectory(rng: np.random.Generator, model: ImplantModel) -> Trajectory:
    """An implant of 20 to 60 mm somewhere within 50 mm of the origin, any direction, any roll."""
    entry = rng.uniform(-50, 50, 3)
    axis = rng.normal(size=3)
    tip = entry + axis / np.linalg.norm(axis) * rng.uniform(20, 60)
    return Trajectory(entry, tip, rng.uniform(-180, 180), model)


def ball_mask(grid: Grid, centre_lps_mm: np.ndarray, radius_mm: float) -> np.ndarray:
    """Voxels whose centres lie in a ball."""
    ijk = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    return np.linalg.norm(grid.lps_from_ijk(ijk) - centre_lps_mm, axis=-1) <= radius_mm


def signed_volume_mm3(vertices: np.ndarray, triangles: np.ndarray) -> float:
    """Volume by the divergence theorem: positive where triangles turn outwards."""
    a, b, c = (vertices[triangles[:, n]] for n in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def volume_centroid(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Centroid of the enclosed volume."""
    a, b, c = (vertices[triangles[:, n]] for n in range(3))
    part = np.einsum("ij,ij->i", a, np.cross(b, c)) / 6
    return ((a + b + c) / 4 * part[:, None]).sum(axis=0) / part.sum()


def random_triangles(rng: np.random.Generator, count: int, size_mm: float = 4.0) -> np.ndarray:
    """Triangle soup, (count, 3, 3), within 30 mm of the origin."""
    return rng.uniform(-30, 30, (count, 1, 3)) + rng.normal(scale=size_mm, size=(count, 3, 3))


def barycentric_lattice(steps: int) -> np.ndarray:
    """Weights of a regular lattice over a triangle, corners and edges included, (n, 3)."""
    i, j = (g.ravel() for g in np.meshgrid(np.arange(steps + 1), np.arange(steps + 1), indexing="ij"))
    keep = i + j <= steps
    return np.stack([i[keep], j[keep], steps - i[keep] - j[keep]], axis=1) / steps
