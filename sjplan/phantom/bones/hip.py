"""The hip bone of one side: an iliac blade between two height fields, socket, ischium and pubis."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.interpolate import CubicSpline, RBFInterpolator
from scipy.spatial import cKDTree

from sjplan.core.arrays import Array
from sjplan.phantom.bones.hip_form import ADULT_HIP, NOTCH, REFERENCE_SLOPE_DEG, HipForm
from sjplan.phantom.bones.joint import ILIAC_OPENING, JointShape
from sjplan.phantom.bones.shapes import ball, cone, smooth_max, smooth_min, smooth_step
from sjplan.phantom.kernels import inside_polygon, lookup_at

JOINT_SAMPLES: Final = tuple((y, z) for z in (-8.0, -20.0, -32.0, -44.0, -56.0) for y in (0.0, 10.0, 20.0, 32.0))
"""(y, z) in the sacral frame where the blade's middle is tied to the joint."""


def turn(y: Array, z: Array, angle_deg: Array | float) -> tuple[Array, Array]:
    """Turn (y, z) about x by an angle; positive takes posterior to cranial."""
    a = np.deg2rad(angle_deg)
    return np.asarray(np.cos(a) * y - np.sin(a) * z), np.asarray(np.sin(a) * y + np.cos(a) * z)


class HipHalf:
    """One hip bone.

    Parameters
    ----------
    joint : JointShape
        Joint of this side.
    sacral_slope_deg : float
        Slope of the S1 endplate in the pelvic frame.
    form : HipForm
        Its form at the reference slope.
    """

    STEP_MM = 0.75
    LOW = (-130.0, -160.0)
    HIGH = (115.0, 95.0)

    def __init__(self, joint: JointShape, sacral_slope_deg: float, form: HipForm = ADULT_HIP) -> None:
        self.joint, self._slope, self.form = joint, sacral_slope_deg, form
        self._loop = self._outline()
        axes = [np.arange(lo, hi, self.STEP_MM) for lo, hi in zip(self.LOW, self.HIGH, strict=True)]
        y, z = np.meshgrid(*axes, indexing="ij")
        shape = y.shape
        edge = self._outline_table(y.ravel(), z.ravel()).reshape(shape)
        medial, lateral = (face.reshape(shape) for face in self._face_tables(y.ravel(), z.ravel()))
        joint_face, joint_stretch, release = self._joint_tables(y, z)
        self._tables = np.stack(
            [medial, lateral, edge, self._stretch(medial), self._stretch(lateral), joint_face, joint_stretch, release]
        )

    def _at(self, p: Array) -> Array:
        return np.asarray(lookup_at(self._tables, *self.LOW, self.STEP_MM, p[:, 1], p[:, 2]))

    def bone_mm(self, p: Array) -> Array:
        """First-order signed distance to the whole hip bone, (n, 3) -> (n,), positive outside."""
        medial, lateral, edge, medial_stretch, lateral_stretch, joint_face, joint_stretch, release = self._at(p)
        inner, outer = (medial - p[:, 0]) / medial_stretch, (p[:, 0] - lateral) / lateral_stretch
        blade = smooth_max(smooth_max(inner, outer, 3.0), edge, 6.0)
        bone = smooth_min(blade, self._socket(p), 10.0)
        bone = smooth_min(bone, self._ischium_and_pubis(p), 8.0)
        bone = np.maximum(bone, self.form.socket_radius_mm - np.linalg.norm(p - self.form.centre_mm, axis=1))
        bone = np.maximum(bone, (joint_face - p[:, 0]) / joint_stretch - release)
        return smooth_max(bone, self.form.symphysis_half_gap_mm - p[:, 0], 3.0)

    def _socket(self, p: Array) -> Array:
        opening = np.array((0.72, -0.32, -0.61)) / np.linalg.norm((0.72, -0.32, -0.61))
        depth = (p - self.form.centre_mm) @ opening
        cup = smooth_max(ball(p, self.form.centre_mm, 31.5), depth - 1.0, 4.0)
        return cup

    def _ischium_and_pubis(self, p: Array) -> Array:
        whole = np.full(len(p), np.inf)
        for limb in self.form.limbs:
            chain = np.full(len(p), np.inf)
            for n in range(len(limb.points_mm) - 1):
                part = cone(p, limb.points_mm[n], limb.points_mm[n + 1], limb.radii_mm[n], limb.radii_mm[n + 1])
                chain = smooth_min(chain, part, 2.0)
            whole = smooth_min(whole, chain, 6.0)
        return whole

    def notch_apex(self) -> tuple[float, float]:
        """(y, z) of the deepest point of the greater sciatic notch on the outline, in the side view."""
        ends = np.array(self.form.notch_chord)
        (ay, by), (az, bz) = self._turned(ends[:, 0], ends[:, 1], ends[:, 2])
        first, last = (int(cKDTree(self._loop).query(self._place(self.form.outline[n]))[1]) for n in NOTCH)
        y, z = self._loop[first : last + 1].T
        depth = ((y - ay) * (bz - az) - (z - az) * (by - ay)) / np.hypot(by - ay, bz - az)
        deepest = int(np.argmax(depth))
        return float(y[deepest]), float(z[deepest])

    def asis_place(self) -> tuple[float, float]:
        """(y, z) of the first place of the outline, the ASIS."""
        return self._place(self.form.outline[0])

    def psis_place(self) -> tuple[float, float]:
        """(y, z) of the outline's place that is the PSIS."""
        return self._place(self.form.notch_chord[0])

    def _place(self, row: tuple[float, float, float]) -> tuple[float, float]:
        y, z = self._turned(*(np.array(v) for v in row))
        return float(y), float(z)

    def middle_x(self, y: float, z: float) -> float:
        """Middle of the blade at one place of the side view."""
        medial, lateral = self._at(np.array([[0.0, y, z]]))[:2, 0]
        return float(medial + lateral) / 2.0

    def middle(self, place: tuple[float, float]) -> Array:
        """The point amid the blade at one (y, z) of the side view."""
        return np.array((self.middle_x(*place), *place))

    def _joint_tables(self, y: Array, z: Array) -> tuple[Array, Array, Array]:
        """Iliac face of the joint, which no bone crosses, its stretch, and how far off the joint that rule lets go."""
        sy, sz = turn(y, z, -self._slope)
        stretch = self.joint.stretch(sy, sz)
        off = np.maximum(self.joint.outline(sy, sz) - 3.0, 0.0)
        release = 0.4 * off + 0.03 * off * off
        return self.joint.mid_x(sy, sz) + self.joint.gap_mm / 2.0 * stretch, stretch, release

    def _turned(self, y: Array, z: Array, weight: Array) -> tuple[Array, Array]:
        return turn(y, z, weight * (self._slope - REFERENCE_SLOPE_DEG))

    def _outline(self) -> Array:
        rows = np.array(self.form.outline)
        loop = np.column_stack(self._turned(rows[:, 0], rows[:, 1], rows[:, 2]))
        loop = np.vstack([loop, loop[:1]])
        arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(loop, axis=0), axis=1))])
        return np.asarray(CubicSpline(arc, loop, bc_type="periodic")(np.arange(0.0, arc[-1], 0.2)))

    def _outline_table(self, y: Array, z: Array) -> Array:
        distance, _ = cKDTree(self._loop).query(np.column_stack([y, z]))
        return np.asarray(np.where(inside_polygon(self._loop[::5], y, z), -distance, distance))

    def _face_tables(self, y: Array, z: Array) -> tuple[Array, Array]:
        rows = np.array(self.form.blade)
        cy, cz = self._turned(rows[:, 0], rows[:, 1], rows[:, 4])
        js = np.array([at for at in JOINT_SAMPLES if self.joint.outline(*map(np.array, at)) < 6.0])
        half_joint = np.interp(js[:, 1], *self.form.thickness_at_joint) / 2.0
        stretch = self.joint.stretch(js[:, 0], js[:, 1])
        # The joint's own ridge is left out of the smooth blade: it is put back where the blade meets the joint.
        middle = self.joint.mid_x(js[:, 0], js[:, 1]) + (self.joint.gap_mm / 2.0 + half_joint) * stretch
        jy, jz = turn(js[:, 0], js[:, 1], self._slope)
        at = np.column_stack([np.concatenate([cy, jy]), np.concatenate([cz, jz])])
        values = np.column_stack(
            [
                np.concatenate([rows[:, 2] + rows[:, 4] * self.joint.shift_mm, middle]),
                np.concatenate([rows[:, 3], half_joint]),
            ]
        )
        fit = RBFInterpolator(at, values, kernel="thin_plate_spline", smoothing=2.0)
        mid, half = fit(np.column_stack([y, z])).T
        half = np.clip(half, 2.0, 14.0)
        slope = self._stretch(mid.reshape(self._grid_shape(y))).ravel()
        return self._tied_to_joint(y, z, mid - half * slope), mid + half * slope

    def _tied_to_joint(self, y: Array, z: Array, medial: Array) -> Array:
        sy, sz = turn(y, z, -self._slope)
        stretch = self.joint.stretch(sy, sz)
        face = (
            self.joint.mid_x(sy, sz)
            + (self.joint.gap_mm / 2.0 + self.joint.opening_mm(sy, sz, ILIAC_OPENING)) * stretch
        )
        near = 1.0 - smooth_step((self.joint.outline(sy, sz) - 2.0) / 12.0)
        return np.asarray(near * face + (1.0 - near) * medial)

    def _grid_shape(self, y: Array) -> tuple[int, int]:
        rows = int(np.count_nonzero(y == y[0]))
        return len(y) // rows, rows

    def _stretch(self, table: Array) -> Array:
        dy, dz = np.gradient(table, self.STEP_MM)
        return np.asarray(np.sqrt(1.0 + dy * dy + dz * dz))
