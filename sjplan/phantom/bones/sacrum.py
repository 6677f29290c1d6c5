"""The sacrum of one side: a curved plate with ala and S1 body, cut by the joint, tunnelled by canal and foramina."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.structures import LEVELS
from sjplan.phantom.bones.coccyx import coccyx
from sjplan.phantom.bones.heights import HeightField
from sjplan.phantom.bones.joint import SACRAL_OPENING, JointShape
from sjplan.phantom.bones.parts import Parts
from sjplan.phantom.bones.sacrum_form import Row, SacralCurves, SacrumForm
from sjplan.phantom.bones.shapes import Curve, Tube, ball, cone, ellipse, smooth_max, smooth_min, tube_along

_MIDLINE_STEP_MM: Final = 1.0

_LEAN_MM: Final = 8.0
"""Over so much height up and down the canal's lean is taken."""

COCCYX_INSIDE_MM: Final = 3.0
"""How far above the tip of S5 the coccyx begins."""

_FACET_ACROSS: Final = np.array((2.6, 1.8, 0.0))
"""From the middle of a superior articular process to either edge: a plate facing backwards and inwards (default)."""

_LAMINA_MM: Final = 1.6
_JOINT_WALL_MM: Final = 3.5
"""Bone behind a ventral tunnel, and between it and the joint (default); edges are rounded, so that less is left."""

_VENTRAL_SHARES: Final = np.array((0.62, 0.78, 0.86, 1.0, 1.5))
"""Radii of a ventral tunnel from the canal to beyond its mouth, as shares of the mouth's."""

_BAR_MM: Final = 3.0
"""Bone between the ventral tunnels of neighbouring levels at least (default)."""

_WITHIN_MM: Final = 1.5
"""So deep in a ventral tunnel at least its dorsal branch begins, or on its middle line (default)."""

_THIN_WALL_MM: Final = 0.8
"""Bone in front and behind that keeps a tunnel narrow in a thin sacrum (default)."""

_TUBERCLE_BESIDE_MM: Final = 10.0
_TUBERCLE_RADIUS_MM: Final = 4.0
"""Transverse tubercles of the lateral crest: how far beside the dorsal foramina, and how large (default)."""


class SacrumHalf:
    """One side of the sacrum, with x counted from the midline to that side.

    Parameters
    ----------
    joint : JointShape
        Joint of this side.
    form : SacrumForm
        How long, wide and deep its parts are.
    drop_mm : float
        How much lower than nominal the foramina of this side lie.
    closed : tuple of str
        Levels left solid.
    """

    def __init__(self, joint: JointShape, form: SacrumForm, drop_mm: float = 0.0, closed: tuple[str, ...] = ()) -> None:
        self.joint, self.form, self._drop = joint, form, drop_mm
        z, order = np.sort(form.level_z_mm), np.argsort(form.level_z_mm)
        x = np.concatenate([-np.array(form.station_x_mm[:0:-1]), form.station_x_mm])
        self._front = HeightField(x, z, _both_sides(np.array(form.front_y_mm)[order].T))
        self._back = HeightField(x, z, _both_sides(np.array(form.back_y_mm)[order].T))
        self._top = HeightField(x, np.array(form.top_y_mm), _both_sides(np.array(form.top_z_mm)))
        along = np.arange(z[0], z[-1] + _MIDLINE_STEP_MM / 2, _MIDLINE_STEP_MM)
        self.curves = SacralCurves(form, Curve(along, self._front.height(np.zeros_like(along), along)))
        self._coccyx = self._beginning_coccyx()
        self.ventral: Mapping[str, Tube] = {level: self._ventral_tube(level) for level in LEVELS if level not in closed}
        self.dorsal: Mapping[str, Tube] = {level: self._dorsal_tube(level) for level in LEVELS if level not in closed}
        self._oval = {level: self._second_tube(level) for level in self.ventral if level == "S1" and form.oval > 0.0}

    def anterior_y(self, x: Array, z: Array) -> Array:
        """Front of the plate at (x, z)."""
        return self._front.height(x, z)

    def posterior_y(self, x: Array, z: Array) -> Array:
        """Back of the plate at (x, z)."""
        return self._back.height(x, z)

    def solid_mm(self, p: Array) -> Array:
        """First-order signed distance to this half without its tunnels, (n, 3) -> (n,), positive outside."""
        x, y, z = (np.ascontiguousarray(c) for c in p.T)
        front, front_stretch = self._front.at(x, z)
        back, back_stretch = self._back.at(x, z)
        top, top_stretch = self._top.at(x, y)
        plate = smooth_max((front - y) / front_stretch, (y - back) / back_stretch, 5.0)
        plate = smooth_max(plate, (z - top) / top_stretch, 5.0)
        plate = smooth_max(plate, self.form.apex_z_mm - z, 5.0)
        lateral = smooth_max(plate, (x - self.curves.lateral_x(z)) * 0.8, 6.0)
        whole = smooth_min(lateral, self._s1_body(x, y, z), 6.0)
        whole = smooth_min(whole, self._processes(p), 4.0)
        return smooth_max(whole, self.side_mm(x, y, z), 2.5)

    def side_mm(self, x: Array, y: Array, z: Array) -> Array:
        """First-order signed distance to the sacral face of the joint and its continuation, which ends below it."""
        recess = self.joint.gap_mm / 2.0 + self.joint.opening_mm(y, z, SACRAL_OPENING)
        below = np.maximum(self.joint.box()[0][1] - z, 0.0)
        return np.asarray((x - self.joint.mid_x(y, z)) / self.joint.stretch(y, z) + recess - below)

    def foramen_mm(self, level: str, p: Array) -> Array:
        """Signed distance to the tunnel of one level (both branches); infinite where it is closed."""
        if level not in self.ventral:
            return np.full(len(p), np.inf)
        return np.asarray(np.min([tube.distance_mm(p) for tube in self.tubes(level)], axis=0))

    def tubes(self, level: str) -> tuple[Tube, ...]:
        """The tubes that make up one level's tunnel."""
        second = (self._oval[level],) if level in self._oval else ()
        return (self.ventral[level], *second, self.dorsal[level])

    def bone_mm(self, p: Array) -> Array:
        """First-order signed distance to the bone: the solid less canal and foramina."""
        bone = np.maximum(self.solid_mm(p), -self.curves.canal_mm(p[:, 0], p[:, 1], p[:, 2]))
        for level in self.ventral:
            for tube in self.tubes(level):
                np.maximum(bone, -tube.nearby_mm(p), out=bone)
        return bone

    def _s1_body(self, x: Array, y: Array, z: Array) -> Array:
        centre = self.curves.anterior_y(z) + self.curves.body_depth(z) / 2.0
        round_ = ellipse(x, y - centre, self.form.endplate_half_mm[0] + 0.0 * z, self.curves.body_depth(z) / 2.0, 2.4)
        # The endplate's rim stands a little proud of its middle.
        cap = z - 1.2 * (
            np.clip(x / self.form.endplate_half_mm[0], -1, 1) ** 2
            + np.clip((y - centre) / self.form.endplate_half_mm[1], -1, 1) ** 2
        )
        return smooth_max(smooth_max(round_, cap, 2.5), self.form.foramen_z_mm[0] - z, 8.0)

    def _processes(self, p: Array) -> Array:
        """Superior articular process, median and lateral crest, coccyx, an osteophyte."""
        form = self.form
        base, tip = (np.array(end) for end in form.facet_mm)
        inner, outer = (
            cone(p, base + s * _FACET_ACROSS, tip + s * _FACET_ACROSS, *form.facet_radius_mm) for s in (-1.0, 1.0)
        )
        whole = smooth_min(inner, outer, 3.0)
        for z, height in zip(form.spine_z_mm, form.spine_height_mm, strict=True):
            y = float(self._back.height(np.zeros(()), np.array(z)))
            spine = cone(p, (0.0, y - 4.0, z), (0.0, y + height - 3.0, z - 5.0), 5.5, 3.0)
            whole = smooth_min(whole, spine, 5.0)
        levels = zip(form.foramen_z_mm[:-1], form.foramen_z_mm[1:], form.dorsal_x_mm[:-1], strict=True)
        for upper, lower, x in levels:
            at = (x + _TUBERCLE_BESIDE_MM, 0.5 * (upper + lower))
            y = float(self._back.height(np.array(at[0]), np.array(at[1])))
            whole = smooth_min(whole, ball(p, (at[0], y - 1.5, at[1]), _TUBERCLE_RADIUS_MM), 4.0)
        whole = smooth_min(whole, self._coccyx.distance_mm(p), 4.0)
        if form.osteophyte_mm > 0.0:
            whole = smooth_min(whole, self._osteophyte(p), 3.0)
        return whole

    def _beginning_coccyx(self) -> Parts:
        """The coccyx, from within S5 on, along its front."""
        z = self.form.apex_z_mm + np.array((COCCYX_INSIDE_MM, COCCYX_INSIDE_MM + 8.0))
        front = self.anterior_y(np.zeros(2), z)
        return coccyx((0.0, float(front[0]) + 4.0, float(z[0])), (0.0, float(front[0] - front[1]), float(z[0] - z[1])))

    def _osteophyte(self, p: Array) -> Array:
        """A ball on the front rim of the joint's upper third."""
        z = 0.5 * (self.joint.form.corner[1] + self.joint.form.cranial_end[1])
        y = float(self.anterior_y(np.array(self.form.station_x_mm[-2]), np.array(z)))
        x = float(self.joint.mid_x(np.array(y), np.array(z)))
        return ball(p, (x - 0.6 * self.form.osteophyte_mm, y, z), self.form.osteophyte_mm)

    def _mouth(self, level: str, from_midline: Row, radius: Row) -> tuple[float, float, float]:
        """Height, distance from the midline and radius of one mouth."""
        form = self.form
        return (
            form.of_level(form.foramen_z_mm, level) - self._drop,
            form.of_level(from_midline, level),
            form.of_level(radius, level),
        )

    def _ventral_tube(self, level: str) -> Tube:
        z, x, r = self._mouth(level, self.form.ventral_x_mm, self.form.ventral_radius_mm)
        above = np.array(z + 6.0)
        start_x = 0.55 * self.curves.canal_half_width.at(z + 6.0)
        beside = np.array((start_x, 0.5 * (start_x + x), 0.9 * x, x, x + 3.0))
        up = np.array((z + 6.0, z + 4.0, z + 1.5, z, z - 3.0))
        back, stretch = self._back.at(beside, up)
        half = 0.5 * (back - self.anterior_y(beside, up)) / stretch - _THIN_WALL_MM
        r = min(r * self._share_between(level), float((half / _VENTRAL_SHARES)[1:4].min()))
        front = float(self.anterior_y(np.array(x), np.array(z)))
        # From the canal's lateral recess, its front corner: behind it the lamina is thin.
        recess = float(self.curves.canal_y(above)) - 0.5 * self.curves.canal_height.at(z + 6.0) + 0.45 * r
        behind = (recess, recess - 2.5, 0.5 * (front + recess), front + 1.0, front - 9.0)
        return self._walled(tube_along(np.column_stack([beside, behind, up]), _VENTRAL_SHARES * r))

    def _share_between(self, level: str) -> float:
        """How much of its radius a ventral tunnel has, so that there is a bar of bone between it and the next ones."""
        z, r = np.array(self.form.foramen_z_mm), np.array(self.form.ventral_radius_mm)
        share = np.minimum((-np.diff(z) - _BAR_MM) / (r[:-1] + r[1:]), 1.0)
        n = LEVELS.index(level)
        return float(share[max(n - 1, 0) : n + 1].min())

    def _walled(self, tube: Tube) -> Tube:
        """A ventral tunnel, moved where it would break through the joint's face or a thin sacrum's back.

        A wider tunnel moves by no more than it is wider, so that it still holds the narrower one.
        """
        points, r = np.array(tube.points_mm), tube.radius_mm
        x, y, z = points.T
        points[:, 0] -= np.maximum(r + (_JOINT_WALL_MM + self.side_mm(x, y, z)) * self.joint.stretch(y, z), 0.0)
        back, stretch = self._back.at(points[:, 0], z)
        points[:, 1] = np.minimum(y, back - r - _LAMINA_MM * stretch)
        return Tube(points, r)

    def _second_tube(self, level: str) -> Tube:
        """The ventral tunnel once more, higher: together they are higher than wide."""
        tube = self.ventral[level]
        rise = 2.0 * self.form.oval * self.form.of_level(self.form.ventral_radius_mm, level)
        return Tube(tube.points_mm + np.array((0.0, 0.0, rise)), tube.radius_mm)

    def _dorsal_tube(self, level: str) -> Tube:
        z, x, r = self._mouth(level, self.form.dorsal_x_mm, self.form.dorsal_radius_mm)
        below, here, above = (float(v) for v in self.curves.canal_y(z + np.array((-_LEAN_MM, 0.0, _LEAN_MM))))
        lean = (above - below) / (2.0 * _LEAN_MM)
        across = 1.0 / float(np.hypot(1.0, lean))
        back, front = (float(at(np.array(x), np.array(z))) for at in (self.posterior_y, self.anterior_y))
        depth, through = across * (back - here), across * (back - front)

        def place(beside: float, behind: float, up: float) -> tuple[float, float, float]:
            """A place counted along and across the canal's axis here, so that the tunnel leaves the back squarely."""
            return beside, here + across * (behind + lean * up), z + across * (up - lean * behind)

        points = (
            _within(self.ventral[level], place(0.85 * x, depth - 0.45 * through, 2.0)),
            place(x - 1.0, depth - 0.2 * through, 0.0),
            place(x, depth, -1.5),
            place(x + 0.5, depth + 7.0, -2.5),
        )
        return tube_along(points, np.array((1.0, 0.95, 1.0, 1.3)) * r, samples=14)


def _within(tube: Tube, place: tuple[float, float, float]) -> tuple[float, float, float]:
    """A place, drawn towards the tube's middle line as it comes to lie less than `_WITHIN_MM` inside the tube."""
    a, way = tube.points_mm[:-1], np.diff(tube.points_mm, axis=0)
    share = np.clip(((place - a) * way).sum(axis=1) / (way * way).sum(axis=1), 0.0, 1.0)
    feet = a + share[:, None] * way
    foot = feet[np.argmin(np.linalg.norm(feet - place, axis=1))]
    depth = -float(tube.distance_mm(np.array([place]))[0])
    x, y, z = (place + np.clip(1.0 - depth / _WITHIN_MM, 0.0, 1.0) * (foot - place)).tolist()
    return x, y, z


def _both_sides(table: Array) -> Array:
    """A table over stations from the midline on, mirrored to the other side, (n, m) -> (2 n - 1, m)."""
    return np.concatenate([table[:0:-1], table])
