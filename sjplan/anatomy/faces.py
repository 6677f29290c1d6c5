"""Boundary faces of one bone: where they lie, how they look, which touch, and votes among neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from sjplan.anatomy.bones import Index, Mask, bounding_box, box_start
from sjplan.anatomy.normals import ball_normals
from sjplan.core.arrays import Array
from sjplan.core.grid import Grid
from sjplan.core.structures import SURFACE_NAMES
from sjplan.geometry import closing
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
    area_vectors : (f, 3) float
        Sum of the triangles' outward area vectors, grid mm; summed over a patch they do not see its roughness.
    quads : (f, 4) int32
        Vertices of each face.
    """

    net: SurfaceNet
    inside: Index
    outside: Index
    points_mm: Array
    normals: Array
    area_mm2: Array
    area_vectors: Array
    quads: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.inside)

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
    vectors = 0.5 * np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(vectors, axis=1)
    first, second = net.triangles[::2], net.triangles[1::2]
    # two triangles share a diagonal: the second one's odd vertex completes the quad
    shared = (second[:, :, None] == first[:, None, :]).any(axis=2)
    fourth = second[np.arange(len(second)), np.argmin(shared, axis=1)]
    quads = np.column_stack([first, fourth]).astype(np.int32)
    return Faces(
        net=net,
        inside=inside,
        outside=outside,
        points_mm=(inside + outside) * (0.5 * spacing),
        normals=normals,
        area_mm2=area[::2] + area[1::2],
        area_vectors=(vectors[::2] + vectors[1::2]) @ grid.direction,
        quads=quads,
    )


@nb.njit(cache=True)
def _root(parent: NDArray[np.int32], n: int) -> int:
    while parent[n] != n:
        parent[n] = parent[parent[n]]
        n = parent[n]
    return n


@nb.njit(cache=True)
def _parts(quads: NDArray[np.int32], chosen: Mask, vertices: int) -> tuple[int, NDArray[np.int32]]:
    """Union of the corners of each chosen face; a face's part is that of its corners, numbered as met."""
    parent = np.arange(vertices).astype(np.int32)
    for f in range(len(quads)):
        if chosen[f]:
            a = _root(parent, quads[f, 0])
            for e in range(1, 4):
                b = _root(parent, quads[f, e])
                if a < b:
                    parent[b] = a
                else:
                    parent[a] = b
                    a = b
    number = np.full(vertices, -1, np.int32)
    part = np.full(len(quads), -1, np.int32)
    count = 0
    for f in range(len(quads)):
        if chosen[f]:
            root = _root(parent, quads[f, 0])
            if number[root] < 0:
                number[root] = count
                count += 1
            part[f] = number[root]
    return count, part


@nb.njit(cache=True)
def _votes(quads: NDArray[np.int32], label: Labels, counted: Mask, vertices: int, kinds: int) -> NDArray[np.int32]:
    """How many counted faces of each name touch each vertex, (vertices, kinds)."""
    votes = np.zeros((vertices, kinds), np.int32)
    for f in range(len(quads)):
        if counted[f]:
            for e in range(4):
                votes[quads[f, e], label[f]] += 1
    return votes


@nb.njit(cache=True)
def _elect(quads: NDArray[np.int32], label: Labels, movable: Mask, electable: Mask, votes: NDArray[np.int32]) -> Labels:
    """Commonest electable name round the corners of each movable face; the lowest number wins a tie."""
    out = label.copy()
    for f in range(len(quads)):
        if not movable[f]:
            continue
        best, most = label[f], 0
        for kind in range(votes.shape[1]):
            if not electable[kind]:
                continue
            total = 0
            for e in range(4):
                total += votes[quads[f, e], kind]
            if total > most:
                best, most = kind, total
        out[f] = best
    return out


def majority(faces: Faces, label: Labels, movable: Mask, sweeps: int) -> Labels:
    """Each movable face takes the commonest name among the faces round its corners; ties go to a danger.

    Names that only fixed faces carry are not spread.
    """
    electable = np.isin(np.arange(len(SURFACE_NAMES)), np.unique(label[movable]))
    everyone = np.ones(len(faces), dtype=bool)
    vertices = len(faces.net.vertices_lps_mm)
    out = label
    for _ in range(sweeps):
        votes = _votes(faces.quads, out, everyone, vertices, len(SURFACE_NAMES))
        out = _elect(faces.quads, out, movable, electable, votes)
    return out


def components(faces: Faces, chosen: Mask) -> tuple[int, NDArray[np.int32], Array]:
    """Connected parts of the chosen faces: how many, the part of each chosen face, the area of each part."""
    count, part = _parts(faces.quads, chosen, len(faces.net.vertices_lps_mm))
    own = part[chosen]
    return count, own, np.bincount(own, faces.area_mm2[chosen], count).astype(np.float64)


def closed(faces: Faces, chosen: Mask, reach_mm: float) -> Mask:
    """The chosen faces without notches and gaps narrower than twice the reach, as measured along the surface.

    Closing of mathematical morphology: what lies within reach of a chosen face, less what lies within reach of
    everything else.
    """
    # Nothing is added farther away than the reach, and what decides that lies within twice as much.
    near = cKDTree(faces.points_mm[chosen]).query(faces.points_mm, distance_upper_bound=2.0 * reach_mm + 2.0)[0]
    band = np.flatnonzero(np.isfinite(near))
    out = chosen.copy()
    out[band] = closing.closed(_ways(faces, band), chosen[band], reach_mm)
    return out


def _ways(faces: Faces, rows: Index) -> csr_array:
    """Distance (rows, rows) between the middles of faces that share a corner."""
    touching = np.repeat(np.arange(len(rows)), 4), faces.quads[rows].ravel()
    corners = csr_array((np.ones(4 * len(rows)), touching), shape=(len(rows), len(faces.net.vertices_lps_mm)))
    pairs = (corners @ corners.T).tocoo()
    middle = faces.centres_lps_mm(rows)
    a, b = pairs.coords
    return csr_array((np.linalg.norm(middle[a] - middle[b], axis=1), (a, b)), shape=pairs.shape)


def absorb_specks(faces: Faces, label: Labels, movable: Mask, smallest_mm2: float, share: float) -> Labels:
    """Give small parts of a name (below `smallest_mm2` or `share` of its area) the commonest name along their border.

    Only movable faces change; a border of unmovable faces still counts.
    """
    out = label.copy()
    vertices = len(faces.net.vertices_lps_mm)
    for kind in np.unique(label[movable]):
        rows = np.flatnonzero((out == kind) & movable)
        if not len(rows):
            continue
        _, part, area = components(faces, (out == kind) & movable)
        for number in np.flatnonzero(area < max(smallest_mm2, share * float(area.sum()))):
            own = rows[part == number]
            counted = np.ones(len(faces), dtype=bool)
            counted[own] = False
            near = np.isin(faces.quads, faces.quads[own]).any(axis=1)
            votes = _votes(faces.quads[near], out[near], counted[near], vertices, len(SURFACE_NAMES))
            total = votes[np.unique(faces.quads[own])].sum(axis=0)
            if total.max() > 0:
                out[own] = np.argmax(total)
    return out
