"""Which structure a place on the analytic surface belongs to.

The names are those of `sjplan.core.structures`, and the rules those by which the label-based anatomy names its faces:
the part of the construction that is active (tunnel, canal, outer surface), the bone that faces it, where it lies along
the canal's axis, and how the surface is turned; notches in the joint's edge and holes in it go to the joint, and small
patches to what surrounds them. Three things differ. Angles are read off the function itself, by differences over
`PROBE_MM`, not off a ball of voxels; no vote among neighbours evens the borders; and a lumen ends where the outer
surface begins, not at the last closed ring of voxels. The two partitions therefore differ in strips along their
borders, a few mm wide on rounded edges.

The rim between a tunnel and the outer surface is exact; a border between two names of the outer surface, or of two
tunnels, runs along the faces of cubes of a millimetre (see `sjplan.phantom.truth.cubes.named_cubes`), which lie still
in the pelvis when that is moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from typing import Final

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from sjplan.core.arrays import Array, unit
from sjplan.core.frames import SIDE_SIGN, SIDES
from sjplan.core.structures import LEVELS, foramen_name
from sjplan.phantom.pelvis import Pelvis
from sjplan.phantom.truth.cubes import Cubes, Mask, Rows, Value, Whole, named_cubes, surface_cubes

JOINT: Final = "joint"
"""Name of both faces of the SI joint here, articular and ligamentous: neither is a danger."""

PROBE_MM: Final = 2.0
"""Half of the span over which a surface's turn is read: the iliac wing is at least 4 mm thick."""

WALL_SHARE: Final = 0.35
"""How much two parts of the construction may differ per mm, inverted: each has a slope of at most 1.4."""

FACING_MM: Final = 14.0
FACING_COSINE: Final = -0.4
LEAST_LATERAL_MM: Final = 22.0
"""A face belongs to the joint where the other bone lies within so much and is turned towards it (as in the anatomy)."""

JOINT_WHOLE: Final = Whole(notch_mm=5.0, hole_mm2=400.0)
"""Notches in the joint's edge, and holes in it, that are joint (as in the anatomy)."""

BORDER_WIDTH_MM: Final = 3.0
ROUNDED_BORDER_MM: Final = 10.0
EDGE_ON: Final = 0.25
NOTCH_REACH_MM: Final = 38.0
NOTCH_ABOVE_MM: Final = 15.0
NOTCH_ROOF_MM: Final = 6.0
WING_BELOW_NOTCH_MM: Final = 8.0
"""Rim of the hip bone and of its greater notch, as the anatomy draws them."""

SACRAL_BOX_MM: Final = ((-75.0, -60.0, -155.0), (75.0, 80.0, 35.0))
PELVIC_BOX_MM: Final = ((0.0, -135.0, -215.0), (170.0, 115.0, 130.0))
"""Boxes at size 1 that hold the sacrum (sacral frame) and the left hip bone (pelvic frame)."""

RASTER_MM: Final = 1.0
"""Cell of the raster in which the hip bone's outline is drawn."""

_AXIS_STEP_MM: Final = 0.25
_AHEAD_MM: Final = 40.0
_BEYOND_MM: Final = 15.0
"""The canal's axis is drawn out straight so far above and below, as in the anatomy."""


def turn_of(value_mm: Value, points_lps_mm: Array, axes: Array) -> Array:
    """Differences (n, 3) of a function per mm over `PROBE_MM` along three axes: about its outward normal."""
    offsets = PROBE_MM * np.concatenate([axes, -axes])
    values = value_mm((points_lps_mm[:, None] + offsets).reshape(-1, 3)).reshape(-1, 6)
    return np.asarray((values[:, :3] - values[:, 3:]) / (2.0 * PROBE_MM))


def _faces(own: Array, other: Value, points: Array, axes: Array) -> Mask:
    """Which places look at another bone, as the faces of a joint do; `own` is the turn of their own bone."""
    out = other(points) < FACING_MM
    near = np.flatnonzero(out)
    if len(near):
        out[near] = (own[near] * turn_of(other, points[near], axes)).sum(axis=1) < FACING_COSINE
    return np.asarray(out)


def _first_of(names: tuple[str, ...], rules: Mapping[str, Mask], otherwise: str) -> Rows:
    """Number of the first name whose rule holds."""
    numbers = [names.index(name) for name in rules]
    return np.select(list(rules.values()), numbers, names.index(otherwise)).astype(np.intp)


class CanalLine:
    """The middle of the sacral canal in the mid-plane, and coordinates along it.

    Parameters
    ----------
    pelvis : Pelvis
        Whose canal.
    """

    def __init__(self, pelvis: Pelvis) -> None:
        frame, size = pelvis.sacral_frame, pelvis.parameters.size

        def wall(y: Array, z: Array) -> Array:
            return pelvis.canal_mm(frame.lps_from_frame(np.column_stack([np.zeros_like(y), y, z])))

        z = np.arange(0.0, -103.0, -2.0) * size
        across = np.arange(-50.0, 70.0, 0.5) * size
        grid_z, grid_y = np.meshgrid(z, across, indexing="ij")
        inside = wall(grid_y.ravel(), grid_z.ravel()).reshape(grid_z.shape) < 0
        ends = []
        for turn in (1, -1):
            first = np.argmax(inside[:, ::turn], axis=1)
            high = across[::turn][first]
            low = high - turn * 0.5 * size
            for _ in range(30):
                middle = 0.5 * (low + high)
                hit = wall(middle, z) < 0
                low, high = np.where(hit, low, middle), np.where(hit, middle, high)
            ends.append(high)
        rows = np.column_stack([0.5 * (ends[0] + ends[1]), z])[inside.any(axis=1)]
        behind = np.column_stack([np.zeros(len(rows)), ends[1][inside.any(axis=1)] + 1.5, rows[:, 1]])
        covered = np.flatnonzero(pelvis.bone_mm("sacrum", frame.lps_from_frame(behind)) < 0)
        up, down = (unit(rows[a] - rows[b]) for a, b in ((0, 3), (-1, -4)))
        line = np.concatenate([[rows[0] + _AHEAD_MM * up], rows, [rows[-1] + _BEYOND_MM * down]])
        arc = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]
        at = np.arange(0.0, arc[-1], _AXIS_STEP_MM)
        self._points = np.column_stack([np.interp(at, arc, line[:, n]) for n in (0, 1)])
        smooth = ndimage.gaussian_filter1d(self._points, 4.0 / _AXIS_STEP_MM, axis=0, mode="nearest")
        tangent = np.gradient(smooth, axis=0)
        self._tangent = tangent / np.linalg.norm(tangent, axis=1)[:, None]
        self._tree = cKDTree(self._points)
        self.hiatus_mm = float(arc[1 + covered[-1]]) if len(covered) else float(arc[-2])
        """Arc at which the canal's roof ends."""

    def unrolled(self, points_mm: Array) -> tuple[Array, Array, Array]:
        """Arc (caudal), offset (posterior) and caudal tangent (n, 2) of points in the sacral frame in mm."""
        at = self._tree.query(points_mm[:, 1:])[1]
        tangent, offset = self._tangent[at], points_mm[:, 1:] - self._points[at]
        arc = at * _AXIS_STEP_MM + (offset * tangent).sum(axis=1)
        return arc, offset[:, 1] * tangent[:, 0] - offset[:, 0] * tangent[:, 1], tangent


class SacralSurface:
    """The sacrum's surface with its names: eight foramina, canal, joint, and the four outer sides.

    Parameters
    ----------
    pelvis : Pelvis
        The pelvis.

    Examples
    --------
    >>> from sjplan.phantom.parameters import PhantomParameters
    >>> pelvis = Pelvis(PhantomParameters())
    >>> surface = SacralSurface(pelvis)
    >>> front = pelvis.lps_from_sacral([[0.0, -17.0, -12.0]])
    >>> surface.names[surface.outer_names(front)[0]]
    'anterior'
    """

    def __init__(self, pelvis: Pelvis) -> None:
        self.pelvis = pelvis
        self._tunnels = tuple(
            (level, side)
            for level in LEVELS
            for side in SIDES
            if f"{level}_{side}" not in pelvis.parameters.closed_foramina
        )
        self._hip_mm: dict[str, Value] = {side: partial(pelvis.bone_mm, f"hip_{side}") for side in SIDES}
        lumens = (*(foramen_name(level, side) for level, side in self._tunnels), "canal")
        self.names: tuple[str, ...] = (*lumens, JOINT, "inferior", "superior", "anterior", "posterior")

    def value_mm(self, points_lps_mm: Array) -> Array:
        """First-order signed distance (n,) to the sacrum."""
        return self.pelvis.bone_mm("sacrum", points_lps_mm)

    @cached_property
    def cubes(self) -> Cubes:
        """Stored cubes of the whole surface."""
        low, high = (np.array(corner) * self.pelvis.parameters.size for corner in SACRAL_BOX_MM)
        return named_cubes(self, self.pelvis.sacral_frame, low, high, {JOINT: JOINT_WHOLE})

    def _lumens(self, points: Array) -> Array:
        """How deep (lumens, n) places lie in each tunnel and in the canal."""
        tunnels = [-self.pelvis.foramen_mm(level, side, points) for level, side in self._tunnels]
        return np.stack([*tunnels, -self.pelvis.canal_mm(points)])

    def wall_mm(self, points_lps_mm: Array) -> Array:
        """Positive (n,) on the walls of canal and foramina, negative on the outer surface."""
        deepest = self._lumens(points_lps_mm).max(axis=0)
        return np.asarray(WALL_SHARE * (deepest - self.pelvis.solid_sacrum_mm(points_lps_mm)))

    def wall_names(self, points_lps_mm: Array) -> Rows:
        """The lumen in which each place lies deepest."""
        return np.asarray(self._lumens(points_lps_mm).argmax(axis=0), dtype=np.intp)

    @cached_property
    def canal(self) -> CanalLine:
        """The canal's axis."""
        return CanalLine(self.pelvis)

    @cached_property
    def _joint_end(self) -> Mapping[str, float]:
        """Arc of the canal's axis at which each joint ends below: the 99th percentile over a lattice of 3 mm."""
        pelvis, size = self.pelvis, self.pelvis.parameters.size
        ends = {}
        for side in SIDES:
            y, z = _joint_lattice(3.0)
            local = np.column_stack([SIDE_SIGN[side] * pelvis.sacrum[side].joint.mid_x(y, z), y, z])
            points = pelvis.lps_from_sacral(local)
            own = turn_of(pelvis.solid_sacrum_mm, points, pelvis.sacral_frame.axes)
            faced = self._joint(points, own, local * size) & (pelvis.solid_sacrum_mm(points) < FACING_MM / 2.0)
            arc = self.canal.unrolled(local[faced] * size)[0]
            ends[side] = float(np.quantile(arc, 0.99)) if len(arc) else np.inf
        return ends

    def _joint(self, points: Array, own: Array, local: Array) -> Mask:
        """Which places look at a hip bone; their turn and sacral coordinates in mm are given."""
        axes, out = self.pelvis.sacral_frame.axes, np.zeros(len(points), dtype=bool)
        for side in SIDES:
            across = local[:, 0] * SIDE_SIGN[side]
            rows = np.flatnonzero((across > LEAST_LATERAL_MM) & (own[:, 0] * SIDE_SIGN[side] > 0.1))
            out[rows] = _faces(own[rows], self._hip_mm[side], points[rows], axes)
        return out

    def outer_names(self, points_lps_mm: Array) -> Rows:
        """Joint, inferior, superior, anterior or posterior."""
        pelvis, canal, points = self.pelvis, self.canal, points_lps_mm
        local = pelvis.sacral_frame.frame_from_lps(points)
        own = turn_of(pelvis.solid_sacrum_mm, points, pelvis.sacral_frame.axes)
        arc, behind, tangent = canal.unrolled(local)
        backwards = -own[:, 1] * tangent[:, 1] + own[:, 2] * tangent[:, 0]
        caudal = own[:, 1] * tangent[:, 0] + own[:, 2] * tangent[:, 1]
        steep, wide, cranial = np.abs(backwards), np.abs(local[:, 0]), own[:, 2]
        left = local[:, 0] >= 0
        past = arc - np.where(left, self._joint_end["left"], self._joint_end["right"])
        sideways = own[:, 0] * np.where(left, 1.0, -1.0)
        tip = (caudal > 0.6) & (arc > canal.hiatus_mm)
        down = (wide > 12.0) & (past > -6.0) & (caudal > np.maximum(steep, 0.45)) & (backwards > -0.35)
        beside = (wide > 8.0) & (past > -2.0) & (sideways > np.maximum(steep, 0.5))
        up = (cranial > np.maximum(-backwards, 0.35)) & (cranial > backwards)
        rules = {
            JOINT: self._joint(points, own, local),
            "inferior": tip | down | beside,
            "superior": up & (local[:, 2] > -32.0) & (behind < 8.0),
            "anterior": (backwards < 0.15) & ((behind < 6.0) | (wide > 25.0)),
        }
        return _first_of(self.names, rules, "posterior")


class IliacSurface:
    """One hip bone's surface with its names: joint, notch, border, inner and gluteal side, and what lies behind.

    Parameters
    ----------
    pelvis : Pelvis
        The pelvis.
    side : str
        Left or right.
    """

    names: tuple[str, ...] = (JOINT, "notch", "iliac_border", "inferior", "posterior", "iliac_inner", "lateral")

    def __init__(self, pelvis: Pelvis, side: str) -> None:
        self.pelvis, self.side = pelvis, side
        frame, mirror = pelvis.pelvic_frame, np.array((SIDE_SIGN[side], 1.0, 1.0))
        inward = _mean_joint_normal(pelvis, side)
        up = unit(frame.cranial - (frame.cranial @ inward) * inward)
        back = pelvis.sacral_frame.posterior
        back = back - (back @ inward) * inward
        self._inward, self._up, self._back = inward, up, unit(back - (back @ up) * up)
        hip = pelvis.hip[side]
        y, z = hip.notch_apex()
        self._notch = pelvis.lps_from_pelvic(np.array((hip.middle_x(y, z), y, z)) * mirror)
        self._axes = frame.axes

    def value_mm(self, points_lps_mm: Array) -> Array:
        """First-order signed distance (n,) to the hip bone."""
        return self.pelvis.bone_mm(f"hip_{self.side}", points_lps_mm)

    def wall_mm(self, points_lps_mm: Array) -> Array:
        """Minus infinity (n,): a hip bone has no tunnel."""
        return np.full(len(points_lps_mm), -np.inf)

    def wall_names(self, points_lps_mm: Array) -> Rows:
        """No place is a tunnel's wall; the numbers mean nothing."""
        return np.zeros(len(points_lps_mm), dtype=np.intp)

    @property
    def _box(self) -> tuple[Array, Array]:
        low, high = (np.array(corner) * self.pelvis.parameters.size for corner in PELVIC_BOX_MM)
        if SIDE_SIGN[self.side] < 0:
            low[0], high[0] = -high[0], -low[0]
        return low, high

    @cached_property
    def cubes(self) -> Cubes:
        """Stored cubes of the whole surface."""
        return named_cubes(self, self.pelvis.pelvic_frame, *self._box, {JOINT: JOINT_WHOLE})

    @cached_property
    def _feet(self) -> Array:
        feet = surface_cubes(self.value_mm, self.pelvis.pelvic_frame, *self._box)[1]
        return np.asarray(feet[np.isfinite(feet[:, 0])])

    @cached_property
    def _silhouette(self) -> Silhouette:
        return Silhouette(self._in_plate(self._feet))

    @cached_property
    def _joint_back_and_end(self) -> tuple[float, float]:
        """In the plate: how far back half of the joint's face lies, and above what height all but two percent of it."""
        own = turn_of(self.value_mm, self._feet, self._axes)
        plane = self._in_plate(self._feet[self._joint(self._feet, own)])
        return (
            (float(np.median(plane[:, 0])), float(np.quantile(plane[:, 1], 0.02))) if len(plane) else (np.inf, np.inf)
        )

    def _in_plate(self, points: Array) -> Array:
        """Posterior and cranial coordinates (n, 2) from the notch, square to the joint's mean normal."""
        return np.asarray((points - self._notch) @ np.column_stack([self._back, self._up]))

    def _joint(self, points: Array, own: Array) -> Mask:
        return _faces(own, self.pelvis.solid_sacrum_mm, points, self._axes)

    def outer_names(self, points_lps_mm: Array) -> Rows:
        """Joint, notch, border, inferior, posterior, inner or lateral."""
        own = turn_of(self.value_mm, points_lps_mm, self._axes)
        plane, (middle, end) = self._in_plate(points_lps_mm), self._joint_back_and_end
        facing, upward = own @ (self._axes @ self._inward), own @ (self._axes @ self._up)
        inset, far = self._silhouette.inset_mm(plane), np.hypot(plane[:, 0], plane[:, 1])
        rim, near_rim = inset < BORDER_WIDTH_MM, inset < ROUNDED_BORDER_MM
        under = rim | (near_rim & (upward < -0.5) & (facing > -0.5))
        inner = facing > 0.0
        behind = inner & (plane[:, 0] > middle)
        rules = {
            JOINT: self._joint(points_lps_mm, own),
            "notch": (under & (far < NOTCH_REACH_MM) & (plane[:, 1] < NOTCH_ABOVE_MM))
            | ((far < NOTCH_ROOF_MM) & (facing > -0.5)),
            "iliac_border": (rim | (near_rim & (np.abs(facing) < EDGE_ON))) & (plane[:, 1] > -WING_BELOW_NOTCH_MM),
            "inferior": behind & (plane[:, 1] < end),
            "posterior": behind,
            "iliac_inner": inner,
        }
        return _first_of(self.names, rules, "lateral")


class Silhouette:
    """The outline of points in a plane, and how far inside it a place lies.

    Parameters
    ----------
    points_mm : (n, 2) float
        Dense enough that a closing by two cells of `RASTER_MM` leaves no gap.

    Examples
    --------
    >>> x, y = np.meshgrid(np.arange(21.0), np.arange(11.0), indexing="ij")
    >>> Silhouette(np.column_stack([x.ravel(), y.ravel()])).inset_mm(np.array([[10.0, 5.0], [0.0, 5.0]])).tolist()
    [5.5, 0.5]
    """

    def __init__(self, points_mm: Array) -> None:
        self._low = (np.floor(points_mm.min(axis=0) / RASTER_MM) - 4) * RASTER_MM
        cell = np.floor((points_mm - self._low) / RASTER_MM + 0.5).astype(int)
        filled = np.zeros(tuple(cell.max(axis=0) + 5), dtype=bool)
        filled[tuple(cell.T)] = True
        filled = ndimage.binary_fill_holes(ndimage.binary_closing(filled, iterations=2))
        self._depth = ndimage.distance_transform_edt(filled) * RASTER_MM - 0.5 * RASTER_MM

    def inset_mm(self, points_mm: Array) -> Array:
        """Depth (n,) of places (n, 2) within the outline, between the cells linearly."""
        at = ((points_mm - self._low) / RASTER_MM).T
        return np.asarray(ndimage.map_coordinates(self._depth, at, order=1, mode="nearest"), dtype=np.float64)


def _joint_lattice(step_mm: float) -> tuple[Array, Array]:
    """(y, z) of a lattice over any joint, in the sacral frame at size 1."""
    y, z = np.meshgrid(np.arange(-30.0, 60.0, step_mm), np.arange(-110.0, 15.0, step_mm), indexing="ij")
    return y.ravel(), z.ravel()


def _mean_joint_normal(pelvis: Pelvis, side: str) -> Array:
    """Mean unit normal of the articular mid-surface, from ilium to sacrum, LPS."""
    y, z = _joint_lattice(2.0)
    chosen = pelvis.articular(side, y, z)
    normal = pelvis.sacrum[side].joint.normal(y[chosen], z[chosen]).mean(axis=0)
    return unit((normal * (SIDE_SIGN[side], 1.0, 1.0)) @ pelvis.sacral_frame.axes)
