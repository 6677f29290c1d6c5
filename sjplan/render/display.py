"""Meshes for the eye: small, smooth, and never used to measure anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyvista as pv
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import outline
from sjplan.geometry.surface import LabelledSurface

MAX_TRIANGLES: Final = 16_000
"""A bone's share of the 50,000 triangles that software GL turns smoothly."""


def poly_data(vertices: ArrayLike, triangles: ArrayLike) -> pv.PolyData:
    """A PyVista mesh of triangles."""
    faces = np.asarray(triangles)
    cells = np.column_stack([np.full(len(faces), 3), faces])
    return pv.PolyData(np.asarray(vertices, dtype=np.float32), faces=cells.ravel())


def simplified(
    surface: LabelledSurface, origin_lps_mm: ArrayLike, max_triangles: int | None = MAX_TRIANGLES
) -> pv.PolyData:
    """The surface smoothed and simplified, relative to an origin; each triangle keeps the nearest one's label.

    Smoothing comes first, so that the voxels' steps do not survive as facets; None keeps every triangle. Clustering
    vertices would be ten times faster, and tears the thin plate of the ilium open. The label stands in the cell array
    "label". PyVista's points are float32: relative to an origin inside the pelvis that loses nothing that shows.
    """
    origin = np.asarray(origin_lps_mm, dtype=np.float64)
    whole = poly_data(surface.vertices_lps_mm - origin, surface.triangles)
    if whole.n_cells == 0:
        return whole
    mesh: pv.PolyData = whole.smooth_taubin(n_iter=20, pass_band=0.05)
    label = surface.label
    if max_triangles is not None and mesh.n_cells > max_triangles:
        middles = mesh.cell_centers().points
        mesh = mesh.decimate_pro(1.0 - max_triangles / mesh.n_cells, preserve_topology=True)
        label = label[cKDTree(middles).query(mesh.cell_centers().points)[1]]
    mesh.cell_data["label"] = label
    return mesh


def lumen_mesh(centres_lps_mm: ArrayLike, spacing_mm: ArrayLike, origin_lps_mm: ArrayLike) -> pv.PolyData:
    """A smooth solid round the voxels whose centres are given, relative to an origin.

    The voxels are spread over a grid along LPS (their own may be oblique) as a density that is 1 inside; its 0.5
    surface runs half a voxel outside the outermost centres, where the voxels end.
    """
    points = np.asarray(centres_lps_mm, dtype=np.float64).reshape(-1, 3)
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    if len(points) == 0:
        return pv.PolyData()
    step = float(np.cbrt(np.prod(spacing)))
    pad = 4
    low = points.min(axis=0) - pad * step
    shape = np.ceil((points.max(axis=0) - low) / step).astype(int) + pad + 1
    density = _spread(points, low, step, shape)
    image = pv.ImageData(
        dimensions=tuple(int(n) for n in shape), spacing=(step,) * 3, origin=tuple(low - np.asarray(origin_lps_mm))
    )
    image.point_data["density"] = gaussian_filter(density, 0.8).ravel(order="F")
    solid: pv.PolyData = image.contour([0.5], scalars="density").compute_normals(auto_orient_normals=True)
    return solid


def _spread(points: Array, low: Array, step: float, shape: NDArray[np.int_]) -> Array:
    """Trilinear shares of unit weights on a grid."""
    density = np.zeros(shape)
    at = (points - low) / step
    base = np.floor(at).astype(int)
    part = at - base
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, part, 1.0 - part), axis=1)
        np.add.at(density, tuple((base + corner).T), weight)
    return density


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Display meshes of one anatomy, made once and shown as often as wanted.

    Meshes lie relative to `origin_lps_mm`. `bones` has the keys sacrum, ilium_left, ilium_right.
    """

    anatomy: Anatomy
    origin_lps_mm: Array
    bones: Mapping[str, pv.PolyData]
    foramina: Mapping[str, pv.PolyData]
    canal: pv.PolyData

    @classmethod
    def of(cls, anatomy: Anatomy | Scene, max_triangles: int | None = MAX_TRIANGLES) -> Scene:
        """Meshes of an anatomy, at most so many triangles a bone (None: all); a scene is handed back as it is."""
        if isinstance(anatomy, Scene):
            return anatomy
        origin = anatomy.frame.origin_lps_mm
        surfaces = {"sacrum": anatomy.sacrum, **{f"ilium_{side}": s for side, s in anatomy.ilium.items()}}
        return cls(
            anatomy,
            origin,
            {name: simplified(s, origin, max_triangles) for name, s in surfaces.items()},
            {f.name: lumen_mesh(f.lumen_lps_mm, anatomy.spacing_mm, origin) for f in anatomy.foramina},
            lumen_mesh(anatomy.canal.lumen_lps_mm, anatomy.spacing_mm, origin),
        )

    def implant(self, trajectory: Trajectory) -> pv.PolyData:
        """Mesh of an implant's true solid."""
        vertices, triangles = outline(trajectory)
        return poly_data(vertices - self.origin_lps_mm, triangles)

    def lps(self, mesh: pv.PolyData) -> Array:
        """Points of one of the meshes in LPS mm."""
        return np.asarray(mesh.points, dtype=np.float64) + self.origin_lps_mm
