"""A second, slow way to measure an implant against a pelvis, to check the judge with.

It shares nothing with `sjplan.geometry`: the solid is built here from its definition, its surface is sampled ever
more densely where the minimum can be, and distances to the labelled mesh come from VTK.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy

import numpy as np
import pyvista as pv
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import mutable, vtkDoubleArray
from vtkmodules.vtkCommonDataModel import vtkCellLocator
from vtkmodules.vtkFiltersCore import vtkImplicitPolyDataDistance

from sjplan.anatomy.types import Anatomy
from sjplan.core.plan import Side
from sjplan.core.structures import DANGERS, SURFACE_ID, SURFACE_NAMES
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.surface import LabelledSurface

Points = NDArray[np.float64]

FINE_MM = 0.02
"""Half-width of a sampled cell at which refinement ends: samples are then at most some 0.04 mm apart."""

START_MM = 5.0
"""Edge of the first cells on the solid's surface."""

TIE_MM = 0.01
"""Surfaces equally near within this share a point."""

DEPTH_FINE_MM = 0.04
"""How much deeper than the deepest point found another may lie."""

GAP_MM = 0.06
"""Half-diagonal below which a cell lies in the joint's gap, or not, as its centre does."""

DEPTH_STEP_MM = 2.0
"""First lattice for the deepest point; it is refined where a deeper one may be."""

STEEPNESS = 4.0
"""How much less a point counts for each mm that a structure is farther than the nearest."""


RAY_MM = 400.0
"""Rays end here, far beyond any pelvis."""


class TrueSolid:
    """The implant from its definition: corners round the axis, widened by the rounding, flat ends."""

    def __init__(self, trajectory: Trajectory) -> None:
        model = trajectory.model
        self.entry = np.array(trajectory.entry_lps_mm)
        span = trajectory.tip_lps_mm - self.entry
        self.length = float(np.sqrt(span @ span))
        self.w = span / self.length
        cranial = np.array([0.0, 0.0, 1.0])
        u0 = cranial - (cranial @ self.w) * self.w
        u0 /= np.sqrt(u0 @ u0)
        turn = np.deg2rad(trajectory.roll_deg)
        self.u = np.cos(turn) * u0 + np.sin(turn) * np.cross(self.w, u0)
        self.v = np.cross(self.w, self.u)
        if model.section == "cylinder":
            self.rounding, self.corners = model.inscribed_radius_mm, np.zeros((1, 2))
        else:
            self.rounding = model.corner_radius_mm
            angle = np.deg2rad([0.0, 120.0, 240.0])
            reach = 2.0 * (model.inscribed_radius_mm - model.corner_radius_mm)
            self.corners = reach * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        self.side = float(np.linalg.norm(self.corners[0] - self.corners[-1]))
        self.perimeter = 3 * self.side * (len(self.corners) == 3) + 2 * np.pi * self.rounding
        self.radius = float(np.linalg.norm(self.corners[0])) + self.rounding

    def lps(self, along: Points, u: Points, v: Points) -> Points:
        """Points from coordinates along and across the axis."""
        return self.entry + along[:, None] * self.w + u[:, None] * self.u + v[:, None] * self.v

    def shortened(self, mm: float) -> TrueSolid:
        """The same solid without its first millimetres."""
        other = copy(self)
        other.entry, other.length = self.entry + mm * self.w, self.length - mm
        return other

    def outline(self, s_mm: Points) -> Points:
        """Point (u, v) of the section's outline at an arc length, in turns of corner arc and flat side."""
        if len(self.corners) == 1:
            angle = s_mm / self.rounding
            return self.rounding * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        arc = 2 * np.pi / 3 * self.rounding
        corner, rest = np.divmod(s_mm % self.perimeter, arc + self.side)
        at = np.minimum(corner.astype(int), 2)
        angle = at * 2 * np.pi / 3 - np.pi / 3 + np.minimum(rest, arc) / max(self.rounding, 1e-12)
        point = self.corners[at] + self.rounding * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        way = (self.corners[(at + 1) % 3] - self.corners[at]) / self.side
        return point + np.maximum(rest - arc, 0.0)[:, None] * way

    def signed(self, points: Points) -> Points:
        """Signed distance of points, positive outside: polygon of the corners, widened, cut by the ends."""
        rel = points - self.entry
        q = np.stack([rel @ self.u, rel @ self.v], axis=1)
        if len(self.corners) == 1:
            across = np.linalg.norm(q, axis=1) - self.rounding
        else:
            a, b = self.corners, np.roll(self.corners, -1, axis=0)
            edge, to = b - a, q[:, None] - a
            t = np.clip((to * edge).sum(-1) / (edge * edge).sum(-1), 0, 1)
            distance = np.linalg.norm(to - t[..., None] * edge, axis=-1).min(axis=1)
            left = edge[:, 0] * to[..., 1] - edge[:, 1] * to[..., 0]
            across = np.where((left >= 0).all(axis=1), -distance, distance) - self.rounding
        z = rel @ self.w
        end = np.maximum(-z, z - self.length)
        outside = np.hypot(np.maximum(across, 0), np.maximum(end, 0))
        return np.asarray(np.where((across > 0) | (end > 0), outside, np.maximum(across, end)))

    def lattice(self, step_mm: float) -> Points:
        """Centres of cubes along the axes of the solid that cover it."""
        across = np.arange(-self.radius, self.radius + step_mm, step_mm)
        along = (np.arange(np.ceil(self.length / step_mm)) + 0.5) * step_mm
        a, u, v = (g.ravel() for g in np.meshgrid(along, across, across, indexing="ij"))
        points = self.lps(a, u, v)
        return points[self.signed(points) <= np.sqrt(3) / 2 * step_mm]

    def split(self, centres: Points, step_mm: float) -> Points:
        """Centres of the eight halves of cubes, as far as they meet the solid."""
        octants = np.stack(np.meshgrid(*[(-1, 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        moved = centres[:, None] + step_mm / 4 * octants @ np.stack([self.w, self.u, self.v])
        points = moved.reshape(-1, 3)
        return points[self.signed(points) <= np.sqrt(3) / 4 * step_mm]

    def held(self, points: Points) -> Points:
        """Points moved down the slope of the distance (by differences) onto the solid; those inside stay."""
        for _ in range(3):
            here, h = self.signed(points), 1e-5
            slope = np.stack([(self.signed(points + h * e) - here) / h for e in np.eye(3)], axis=1)
            points = points - np.where(here > 0, here, 0.0)[:, None] * slope
        return points


def lowest_over_boundary(solid: TrueSolid, distance: Callable[[Points], Points]) -> float:
    """Lowest value of a 1-Lipschitz function over the solid's whole surface, by ever finer samples."""
    parts = [(solid.perimeter, solid.length, False), (solid.perimeter, 1.0, True)]
    cells = []
    for total, depth, is_cap in parts:
        n, m = int(np.ceil(total / START_MM)), int(np.ceil((solid.radius if is_cap else depth) / START_MM))
        s, z = (g.ravel() for g in np.meshgrid((np.arange(n) + 0.5) / n, (np.arange(m) + 0.5) / m, indexing="ij"))
        for kind in (1, 2) if is_cap else (0,):
            half = [np.full(len(s), 0.5 / n), np.full(len(s), 0.5 / m)]
            cells.append(np.stack([s, z, *half, np.full(len(s), kind)], axis=1))
    cell, best = np.concatenate(cells), np.inf
    while len(cell):
        ring = solid.outline(cell[:, 0] * solid.perimeter)
        cap = cell[:, 4] > 0
        scale = np.where(cap, cell[:, 1], 1.0)
        along = np.where(cap, (cell[:, 4] == 2) * solid.length, cell[:, 1] * solid.length)
        value = distance(solid.lps(along, scale * ring[:, 0], scale * ring[:, 1]))
        reach = cell[:, 2] * solid.perimeter + cell[:, 3] * np.where(cap, solid.radius, solid.length)
        best = min(best, float(value.min()))
        cell = cell[(value - reach < best) & (reach > FINE_MM)]
        signs = [(a, b) for a in (-1, 1) for b in (-1, 1)]
        cell = np.concatenate(
            [cell * [1, 1, 0.5, 0.5, 1] + np.pad(cell[:, 2:4] * 0.5 * sign, ((0, 0), (0, 3))) for sign in signs]
        )
    return best


def lowest_over_triangles(solid: TrueSolid, corners: Points) -> float:
    """Lowest signed distance from the solid to points of triangles, by splitting those that can hold it."""
    best = np.inf
    while len(corners):
        middle = corners.mean(axis=1)
        value = solid.signed(middle)
        reach = np.linalg.norm(corners - middle[:, None], axis=2).max(axis=1)
        best = min(best, float(value.min()))
        corners = corners[(value - reach < best) & (reach > FINE_MM)]
        a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
        ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
        parts = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        corners = np.concatenate([np.stack(part, axis=1) for part in parts])
    return best


class SlowMesh:
    """A labelled surface that VTK answers for."""

    def __init__(self, corners: Points) -> None:
        faces = np.arange(3 * len(corners)).reshape(-1, 3)
        self.corners = corners
        mesh = pv.PolyData.from_regular_faces(corners.reshape(-1, 3), faces).clean(tolerance=1e-9, absolute=True)
        self._implicit = vtkImplicitPolyDataDistance()
        self._implicit.SetInput(mesh)
        soup = pv.PolyData.from_regular_faces(corners.reshape(-1, 3), faces)
        self._soup, self._locator = soup, vtkCellLocator()
        self._locator.SetDataSet(soup)
        self._locator.BuildLocator()

    def signed(self, points: Points) -> Points:
        """Signed distance, positive outside a closed surface; only its size has a meaning for an open one."""
        given, result = vtkDoubleArray(), vtkDoubleArray()
        given.SetNumberOfComponents(3)
        given.SetNumberOfTuples(len(points))
        vtk_to_numpy(given)[:] = points
        result.SetNumberOfTuples(len(points))
        self._implicit.EvaluateFunction(given, result)
        return np.array(vtk_to_numpy(result)).ravel()

    def unsigned(self, points: Points) -> Points:
        """Distance to the surface."""
        return np.abs(self.signed(points))

    def nearest_triangle(self, points: Points) -> NDArray[np.int64]:
        """Index of the nearest triangle of each point."""
        at, cell, sub, d2 = [0.0] * 3, mutable(0), mutable(0), mutable(0.0)
        found = np.zeros(len(points), np.int64)
        for n, p in enumerate(points):
            self._locator.FindClosestPoint(p, at, cell, sub, d2)
            found[n] = int(cell)
        return found

    def first_along(self, point: Points, axis: Points) -> tuple[float, int]:
        """How far along a ray the first triangle is, and its index; -1 for none."""
        t, sub, cell = mutable(0.0), mutable(0), mutable(-1)
        hit = self._locator.IntersectWithLine(point, point + RAY_MM * axis, 0.0, t, [0.0] * 3, [0.0] * 3, sub, cell)
        return (float(t) * RAY_MM, int(cell)) if hit else (np.inf, -1)


class SlowPelvis:
    """One side of an anatomy, ready for the slow measurement."""

    def __init__(self, anatomy: Anatomy, side: Side) -> None:
        bones: tuple[LabelledSurface, ...] = (anatomy.sacrum, anatomy.ilium[side])
        self.bones = [SlowMesh(bone.corners_lps_mm()) for bone in bones]
        corners = np.concatenate([bone.corners_lps_mm() for bone in bones])
        self.label = np.concatenate([bone.label for bone in bones])
        self.whole = SlowMesh(corners)
        self.any_danger = SlowMesh(corners[self.label < len(DANGERS)])
        self.dangers = {
            name: SlowMesh(corners[self.label == SURFACE_ID[name]])
            for name in DANGERS
            if (self.label == SURFACE_ID[name]).any()
        }

    def distances(self, trajectory: Trajectory, *, passes: bool) -> dict[str, float]:
        """Distance to each danger, negative where the solid is out of the bone behind it (DESIGN's definition)."""
        solid = TrueSolid(trajectory)
        clear = {name: lowest_over_boundary(solid, mesh.unsigned) for name, mesh in self.dangers.items()}
        near = {name: d for name, d in clear.items() if d < 2 * FINE_MM or solid.radius > d}
        reach = {name: lowest_over_triangles(solid, self.dangers[name].corners) for name in near}
        cut = {name for name, value in reach.items() if value <= 0}
        if passes and not cut:
            return clear
        depth = self.depths(solid, cut)
        return {name: -depth.get(name, -reach[name] if name in cut else -value) for name, value in clear.items()}

    def _depths_of(self, solid: TrueSolid, points: Points, mesh: SlowMesh) -> Points:
        """Depth of points out behind one structure; -1 where the bone is not left there."""
        height = np.stack([bone.signed(points) for bone in self.bones]).min(axis=0)
        depth = np.where(height > 0, height - STEEPNESS * (mesh.unsigned(points) - height), -1.0)
        out = np.flatnonzero(depth > 0)
        on_the_way_in = self.label[self.whole.nearest_triangle(points[out])] >= len(DANGERS)
        for n, passed in zip(out, on_the_way_in, strict=True):
            ahead = self.whole.first_along(points[n], solid.w)
            if passed or (ahead >= 0 and self.label[ahead] == SURFACE_ID["lateral"]):
                depth[n] = -1.0
        return depth

    def _from_the_ilium_on(self, solid: TrueSolid) -> TrueSolid | None:
        """The solid without what lies lateral of where its axis enters the ilium's lateral side."""
        t, triangle = self.whole.first_along(solid.entry, solid.w)
        if triangle < 0 or self.label[triangle] != SURFACE_ID["lateral"]:
            return solid
        return solid.shortened(t) if t < solid.length else None

    def depths(self, whole_solid: TrueSolid, cut: set[str]) -> dict[str, float]:
        """Deepest point behind each structure that is cut; where none is, behind the one nearest to the deepest."""
        solid = self._from_the_ilium_on(whole_solid)
        if solid is None:
            return {}
        found = {name: self._deepest(solid, self.dangers[name])[0] for name in cut}
        if not found:
            depth, deepest = self._deepest(solid, self.any_danger)
            found[min(self.dangers, key=lambda name: float(self.dangers[name].unsigned(deepest[None])[0]))] = depth
        return {name: value for name, value in found.items() if value > 0}

    def _deepest(self, solid: TrueSolid, mesh: SlowMesh) -> tuple[float, Points]:
        """Depth of the deepest point behind a surface, and that point: samples, ever denser where it may pay."""
        step, best, deepest = DEPTH_STEP_MM, 0.0, np.full(3, np.nan)
        centres = solid.lattice(step)
        while len(centres):
            half = np.sqrt(3) / 2 * step
            points = solid.held(centres)
            height = np.stack([bone.signed(points) for bone in self.bones]).min(axis=0)
            worth = height + half > best
            centres, points, height = centres[worth], points[worth], height[worth]
            farther = mesh.unsigned(points) - height
            depth = np.where(height > 0, height - STEEPNESS * farther, -np.inf)
            gap = np.zeros(len(points), bool)
            for n in np.argsort(-depth, kind="stable"):
                if depth[n] <= best:
                    break
                nearest = self.label[self.whole.nearest_triangle(points[n : n + 1])[0]]
                gap[n] = SURFACE_NAMES[nearest].startswith("joint") and farther[n] > TIE_MM
                if not gap[n]:
                    best, deepest = float(depth[n]), points[n]
            if half < DEPTH_FINE_MM / STEEPNESS:
                break
            raised = height + half - STEEPNESS * np.maximum(farther - 2 * half, 0)
            centres = solid.split(centres[(raised > best + DEPTH_FINE_MM) & ~(gap & (half < GAP_MM))], step)
            step /= 2
        return best, deepest
