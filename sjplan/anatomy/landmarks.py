"""Bony landmarks of the two hips: ASIS, PSIS, the apex of the greater sciatic notch, the symphysis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage as ndi
from scipy.spatial import ConvexHull, cKDTree

from sjplan.anatomy.bones import Bones, surface_points_mm
from sjplan.anatomy.symmetry import MirrorPlane
from sjplan.core.arrays import Array, unit


@dataclass(frozen=True, slots=True, eq=False)
class HipLandmarks:
    """Landmarks in grid mm, and the anterior pelvic plane's directions.

    `points` maps asis, psis and notch with a sign (plus +1, minus -1) to a point.
    """

    points: dict[tuple[str, int], Array]
    symphysis: Array
    anterior: Array
    cranial: Array


def find_hip_landmarks(bones: Bones, plane: MirrorPlane, sacrum_mm: Array) -> HipLandmarks:
    """Landmarks of the hips.

    Parameters
    ----------
    bones : Bones
        Both hips present.
    plane : MirrorPlane
        Mid-plane of the hips.
    sacrum_mm : (3,) float
        Any point in the middle of the sacrum.
    """
    surface = {sign: surface_points_mm(hip, bones.spacing_mm) for sign in (1, -1) if (hip := bones.hip(sign)) is not None}
    everything = np.concatenate([surface[1], surface[-1]])
    anterior, cranial = _pelvic_plane(everything, plane, sacrum_mm)
    points: dict[tuple[str, int], Array] = {}
    height = everything @ cranial
    middle = float(np.median(height))
    for sign, p in surface.items():
        wing = p[p @ cranial > middle + 0.1 * np.ptp(height)]
        points["asis", sign] = _farthest(wing, anterior)
        points["psis", sign] = _farthest(p[p @ cranial > middle], -anterior)
        points["notch", sign] = _notch_apex(p, -anterior, cranial, points["psis", sign])
    symphysis = _symphysis(surface[1], surface[-1], anterior, cranial, middle)
    return HipLandmarks(points, symphysis, anterior, cranial)


def _farthest(points: Array, direction: Array, depth_mm: float = 2.0) -> Array:
    """Mean of the points within `depth_mm` of the farthest one in a direction."""
    reach = points @ direction
    return np.asarray(points[reach > reach.max() - depth_mm].mean(axis=0))


def _pelvic_plane(points: Array, plane: MirrorPlane, sacrum_mm: Array) -> tuple[Array, Array]:
    """Anterior and cranial directions of the anterior pelvic plane (the flat front of the sagittal outline)."""
    centre = points.mean(axis=0)
    back = sacrum_mm - centre
    u = unit(back - (back @ plane.normal) * plane.normal)
    v = np.cross(u, plane.normal)
    flat = np.column_stack([points @ u, points @ v])[::3]
    corners = flat[ConvexHull(flat).vertices]
    edge = np.roll(corners, -1, axis=0) - corners
    length = np.linalg.norm(edge, axis=1)
    outward = np.column_stack([edge[:, 1], -edge[:, 0]]) / np.maximum(length, 1e-9)[:, None]
    front = int(np.argmax(np.where(outward[:, 0] < -0.2, length, 0.0)))
    anterior = outward[front, 0] * u + outward[front, 1] * v
    along = edge[front] / length[front]
    cranial = along[0] * u + along[1] * v
    # the iliac wings stand further apart than the pubic bones
    apart = [
        np.abs((points[end > np.quantile(end, 0.9)] - plane.point_mm) @ plane.normal).mean()
        for end in (points @ cranial, -(points @ cranial))
    ]
    return unit(anterior), unit(cranial if apart[0] >= apart[1] else -cranial)


def _notch_apex(points: Array, posterior: Array, cranial: Array, psis: Array) -> Array:
    """Highest point of the concavity behind the hip, below the PSIS, in the sagittal outline."""
    y, z = points @ posterior, points @ cranial
    low = np.array([y.min(), z.min()]) - 3.0
    shape = (np.array([np.ptp(y), np.ptp(z)]) + 7).astype(int)
    outline = np.zeros(tuple(shape), dtype=bool)
    cell = np.clip(np.floor(np.column_stack([y, z]) - low).astype(int), 0, shape - 1)
    outline[tuple(cell.T)] = True
    outline = ndi.binary_fill_holes(ndi.binary_closing(outline, iterations=2))
    rear = np.array([np.flatnonzero(row)[-1] if row.any() else -1 for row in outline.T])
    top = int(psis @ cranial - low[1])
    bottom = int(0.12 * len(rear))
    rows = np.arange(bottom, max(top, bottom + 5))
    stretch = rear[rows]
    dip = np.minimum(np.maximum.accumulate(stretch), np.maximum.accumulate(stretch[::-1])[::-1]) - stretch
    row = int(rows[int(np.argmax(dip))])
    apex = _roof(outline, int(rear[row]), row, top) + low + 0.5
    near = np.hypot(y - apex[0], z - apex[1])
    chosen = near < max(4.0, float(near.min()) + 1.0)
    return np.asarray(points[chosen].mean(axis=0))


def _roof(outline: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], column: int, row: int, top: int) -> Array:
    """Climb inside the concavity until bone closes above; the highest such place is the apex."""
    best = (column, row)
    highest = -1
    for y in range(column + 1, min(column + 40, outline.shape[0])):
        z = row
        while z + 1 < outline.shape[1] and not outline[y, z]:
            z += 1
        if z + 1 < outline.shape[1] and highest < z < top and outline[y, z]:
            highest, best = z, (y, z)
    return np.array(best, dtype=np.float64)


def _symphysis(plus: Array, minus: Array, anterior: Array, cranial: Array, middle: float) -> Array:
    """Middle of the narrowest place between the two pubic bones."""
    a, b = (
        p[(p @ anterior > np.quantile(p @ anterior, 0.5)) & (p @ cranial < middle)] for p in (plus, minus)
    )
    distance, nearest = cKDTree(b).query(a)
    close = distance < distance.min() + 3
    return np.asarray(((a[close] + b[nearest[close]]) / 2).mean(axis=0))
