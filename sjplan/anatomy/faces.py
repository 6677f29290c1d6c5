"""Boundary faces of one bone: where they lie, how they look, which touch, and votes among neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from sjplan.anatomy.bones import Index, Mask, bounding_box, box_start
from sjplan.anatomy.normals import ball_normals
from sjplan.core.arrays import Array
from sjplan.core.grid import Grid
from sjplan.core.structures import SURFACE_NAMES
from sjplan.geometry.surface_nets import SurfaceNet, surface_net

NORMAL_RADIUS_MM = 3.5
Labels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Boundary voxel faces of a bone, each covered by two triangles of `net`.

    Parameters
    ----------
    net : SurfaceNet
        The surface.
    inside, outside : (f, 3) int
        Voxel pair of each face.
    points_mm : (f, 3) float
        Middle of each face, grid mm.
    normals : (f, 3) float
        Smoothed outward unit normals, grid mm.
    area_mm2 : (f,) float
        Area of the two triangles.
    quads : (f, 4) int32
        Vertices of each face.
    """

    net: SurfaceNet
    inside: Index
    outside: Index
    points_mm: Array
    normals: Array
    area_mm2: Array
    quads: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.inside)

    @property
    def vertex_of(self) -> sparse.csr_array:
        """Which face touches which vertex, (f, n)."""
        count = len(self.quads)
        rows = np.repeat(np.arange(count), 4)
        ones = np.ones(4 * count, np.float32)
        return sparse.csr_array((ones, (rows, self.quads.ravel())), shape=(count, len(self.net.vertices_lps_mm)))

    def centres_lps_mm(self, chosen: Index | Mask) -> Array:
        """Mean of the four corners of the chosen faces, LPS."""
        return np.asarray(self.net.vertices_lps_mm[self.quads[chosen]].mean(axis=1))


def find_faces(mask: Mask, grid: Grid) -> Faces:
    """Surface and face facts of one bone."""
    net = surface_net(mask, grid)
    inside, outside = net.inside_ijk[::2].astype(np.intp), net.outside_ijk[::2].astype(np.intp)
    spacing = grid.spacing_mm
    box = bounding_box(mask, NORMAL_RADIUS_MM + 1, spacing)
    crop = np.ascontiguousarray(mask[box])
    own = inside - box_start(box)
    flat = np.ravel_multi_index(tuple(own.T), crop.shape)
    unique, back = np.unique(flat, return_inverse=True)
    voxels = np.column_stack(np.unravel_index(unique, crop.shape))
    normals = ball_normals(crop, voxels, spacing, NORMAL_RADIUS_MM)[back]
    corners = net.vertices_lps_mm[net.triangles]
    area = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    first, second = net.triangles[::2], net.triangles[1::2]
    # two triangles share a diagonal: the second one's odd vertex completes the quad
    shared = (second[:, :, None] == first[:, None, :]).any(axis=2)
    fourth = second[np.arange(len(second)), np.argmin(shared, axis=1)]
    quads = np.column_stack([first, fourth]).astype(np.int32)
    return Faces(net, inside, outside, (inside + outside) * (0.5 * spacing), normals, area[::2] + area[1::2], quads)


def majority(faces: Faces, label: Labels, movable: Mask, sweeps: int) -> Labels:
    """Each movable face takes the commonest name among the faces round its corners; ties go to a danger.

    Names that only fixed faces carry are not spread.
    """
    touch = faces.vertex_of
    out = label.copy()
    kinds = np.unique(label[movable]) if movable.any() else np.zeros(0, np.uint8)
    for _ in range(sweeps):
        votes = np.stack([touch @ (touch.T @ (out == kind).astype(np.float32)) for kind in kinds], axis=1)
        winner = kinds[np.argmax(votes, axis=1)]
        out = np.where(movable & (votes.max(axis=1) > 0), winner, out).astype(np.uint8)
    return out


def components(faces: Faces, chosen: Mask) -> tuple[int, NDArray[np.int32], Array]:
    """Connected parts of the chosen faces: how many, the part of each chosen face, the area of each part."""
    touch = faces.vertex_of[np.flatnonzero(chosen)]
    count, part = connected_components(sparse.csr_array(touch @ touch.T), directed=False)
    return int(count), part, np.bincount(part, faces.area_mm2[chosen], count)


def absorb_specks(faces: Faces, label: Labels, movable: Mask, smallest_mm2: float, share: float) -> Labels:
    """Give small parts of a name (below `smallest_mm2` or `share` of its area) the commonest name along their border.

    Only movable faces change; a border of unmovable faces still counts.
    """
    out = label.copy()
    touch = faces.vertex_of
    for kind in np.unique(label[movable]):
        chosen = (out == kind) & movable
        count, part, area = components(faces, chosen)
        small = np.flatnonzero(area < max(smallest_mm2, share * float(area.sum())))
        if not len(small):
            continue
        rows = np.flatnonzero(chosen)
        speck_rows = rows[np.isin(part, small)]
        membership = sparse.csr_array(
            (np.ones(len(rows), np.float32), (part, np.arange(len(rows)))), shape=(count, len(rows))
        )
        corners = membership[small] @ touch[rows]
        votes = np.stack(
            [
                (corners > 0).astype(np.float32) @ (touch.T @ ((out == other) & ~_mask(len(out), rows)).astype(np.float32))
                for other in range(len(SURFACE_NAMES))
            ],
            axis=1,
        )
        winner = np.where(votes.max(axis=1) > 0, votes.argmax(axis=1), kind).astype(np.uint8)
        number = np.zeros(count, np.intp)
        number[small] = np.arange(len(small))
        out[speck_rows] = winner[number[part[np.isin(part, small)]]]
    return out


def _mask(length: int, rows: Index) -> Mask:
    out = np.zeros(length, dtype=bool)
    out[rows] = True
    return out
