"""Bony landmarks of the two hips: ASIS, PSIS, the apex of the greater sciatic notch, the symphysis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage as ndi
from scipy.spatial import ConvexHull

from sjplan.anatomy.bones import Bones, nearest, surface_points_mm
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
    surface = {
        sign: surface_points_mm(hip, bones.spacing_mm) for sign in (1, -1) if (hip := bones.hip(sign)) is not None
    }
    everything = np.concatenate([surface[1], surface[-1]])
    anterior, cranial, front = _pelvic_plane(everything, plane, sacrum_mm)
    points: dict[tuple[str, int], Array] = {}
    middle = float(np.median(everything @ cranial))
    for sign, p in surface.items():
        points["asis", sign] = _farthest(p[p @ cranial > front], anterior)
        points["psis", sign] = _farthest(p[p @ cranial > middle], -anterior)
        points["notch", sign] = _notch_apex(p, -anterior, cranial)
    symphysis = _symphysis(surface[1], surface[-1], anterior, cranial, middle)
    return HipLandmarks(points, symphysis, anterior, cranial)


def _farthest(points: Array, direction: Array, depth_mm: float = 2.0) -> Array:
    """Mean of the points within `depth_mm` of the farthest one in a direction."""
    reach = points @ direction
    return np.asarray(points[reach > reach.max() - depth_mm].mean(axis=0))


def _pelvic_plane(points: Array, plane: MirrorPlane, sacrum_mm: Array) -> tuple[Array, Array, float]:
    """Anterior and cranial directions of the anterior pelvic plane (the flat front of the sagittal outline).

    The last value is the cranial coordinate of its middle: iliac spines lie above it, the pubis below.
    """
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
    cranial = unit(cranial if apart[0] >= apart[1] else -cranial)
    middle = (corners[front] + 0.5 * edge[front]) @ np.array([u @ cranial, v @ cranial])
    return unit(anterior), cranial, float(middle)


def _notch_apex(points: Array, posterior: Array, cranial: Array) -> Array:
    """Deepest point of the concavity behind the hip, from the chord PSIS to ischial tuberosity, in sagittal outline."""
    flat = np.column_stack([points @ posterior, points @ cranial])
    low = flat.min(axis=0) - 4.0
    cell = np.floor(flat - low).astype(int)
    outline = np.zeros(tuple(cell.max(axis=0) + 5), dtype=bool)
    outline[tuple(cell.T)] = True
    outline = ndi.binary_fill_holes(ndi.binary_closing(outline, iterations=3))
    hull = ConvexHull(cell)
    length = np.linalg.norm(cell[hull.simplices[:, 0]] - cell[hull.simplices[:, 1]], axis=1)
    chord = hull.equations[int(np.argmax(np.where(hull.equations[:, 0] > 0.5, length, 0.0)))]
    index = np.indices(outline.shape).reshape(2, -1).T
    inside = (index @ hull.equations[:, :2].T + hull.equations[:, 2] <= 0).all(axis=1).reshape(outline.shape)
    depth = -(index @ chord[:2] + chord[2]).reshape(outline.shape)
    pockets, count = ndi.label(inside & ~outline)
    # the pocket that opens to the chord: the largest one with cells right behind it
    size = np.bincount(pockets[depth < 2.0], minlength=count + 1)
    size[0] = 0
    pocket = pockets == int(np.argmax(size))
    apex = np.array(np.unravel_index(int(np.argmax(np.where(pocket, depth, -np.inf))), outline.shape)) + low + 0.5
    distance = np.linalg.norm(flat - apex, axis=1)
    return np.asarray(points[distance < max(4.0, float(distance.min()) + 1.0)].mean(axis=0))


def _symphysis(plus: Array, minus: Array, anterior: Array, cranial: Array, middle: float) -> Array:
    """Middle of the narrowest place between the two pubic bones."""
    a, b = (p[(p @ anterior > np.quantile(p @ anterior, 0.5)) & (p @ cranial < middle)] for p in (plus, minus))
    distance, partner = nearest(b, a)
    close = distance < distance.min() + 3
    return np.asarray(((a[close] + b[partner[close]]) / 2).mean(axis=0))
