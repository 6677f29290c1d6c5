"""The whole pelvis in the scanner: both sides, the pose, and the signed distance of every bone at LPS points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sjplan.core.arrays import Array
from sjplan.core.frames import SIDE_SIGN, SIDES, AnatomicalFrame
from sjplan.phantom.bones.femur import femur_mm
from sjplan.phantom.bones.hip import HipHalf, turn
from sjplan.phantom.bones.joint import JointShape
from sjplan.phantom.bones.proportions import forms_of
from sjplan.phantom.bones.sacrum import SacrumHalf
from sjplan.phantom.bones.spine import Spine
from sjplan.phantom.kernels import affine
from sjplan.phantom.parameters import PhantomParameters

BONES: Final = ("sacrum", "hip_left", "hip_right", "vertebrae_L5", "vertebrae_L4", "femur_left", "femur_right")
"""Bones of the phantom, by TotalSegmentator's names."""


FACE_DEPTH_MM: Final = 0.5
"""How far behind its face a bone is probed (mm): a face that lies less deep is a rounded edge."""


def rotation_matrix(rotation_deg: ArrayLike) -> Array:
    """Turn about x, then y, then z, as a (3, 3) matrix that acts on column vectors."""
    (ca, cb, cc), (sa, sb, sc) = np.cos(np.deg2rad(rotation_deg)), np.sin(np.deg2rad(rotation_deg))
    about_x = np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
    about_y = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    about_z = np.array([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x, dtype=np.float64)


class Pelvis:
    """The implicit pelvis of one set of parameters.

    Distances are exact in sign; their size is exact for foramina outside the lumen, and first-order (right near the
    surface) for bones and canal.

    Parameters
    ----------
    parameters : PhantomParameters
        What to build.

    Examples
    --------
    >>> pelvis = Pelvis(PhantomParameters())
    >>> bool(pelvis.bone_mm("sacrum", [[0.0, 0.0, -15.0]])[0] < 0)
    True
    """

    def __init__(self, parameters: PhantomParameters) -> None:
        self.parameters = parameters
        self.forms = forms_of(parameters)
        rotation = rotation_matrix(parameters.rotation_deg)
        # The hips' form is given with the hip centres ahead by some angle: the pelvis is tipped until that is the tilt.
        self.hip_slope_deg = parameters.pelvic_incidence_deg - self.forms.hips_ahead_deg
        tipped = _about_x(parameters.sacral_slope_deg - self.hip_slope_deg)
        self.pelvic_frame = AnatomicalFrame(parameters.offset_lps_mm, tipped @ rotation.T)
        self.sacral_frame = AnatomicalFrame(
            parameters.offset_lps_mm, _about_x(parameters.sacral_slope_deg) @ rotation.T
        )
        self.sacrum: dict[str, SacrumHalf] = {}
        self.hip: dict[str, HipHalf] = {}
        for side in SIDES:
            sign = SIDE_SIGN[side]
            gap = parameters.joint_gap_mm + sign * parameters.variants.gap_difference_mm / 2.0
            joint = JointShape(gap / parameters.size, sign * parameters.asymmetry_mm / 2.0, self.forms.joint)
            closed = tuple(name[:2] for name in parameters.closed_foramina if name.endswith(side))
            spur = getattr(parameters.variants, f"osteophyte_{side}_mm")
            form = replace(self.forms.sacrum, osteophyte_mm=spur)
            self.sacrum[side] = SacrumHalf(joint, form, sign * parameters.asymmetry_mm / 4.0, closed)
            hip = self.forms.hip[side]
            even = side == "right" and (joint, hip) == (self.hip["left"].joint, self.hip["left"].form)
            self.hip[side] = self.hip["left"] if even else HipHalf(joint, self.hip_slope_deg, hip)
        self.spine = Spine(
            parameters.s1_body_width_mm,
            parameters.s1_body_depth_mm,
            parameters.variants.scoliosis_deg,
            parameters.variants.transitional,
            self._beside_spine_mm,
        )

    def _beside_spine_mm(self, q: Array) -> Array:
        """Distance at size 1 of sacral points to sacrum and hips: what L5 keeps off."""
        lps = self.lps_from_sacral(q)
        bones = [self.bone_mm(bone, lps) for bone in ("sacrum", "hip_left", "hip_right")]
        return np.asarray(np.min(bones, axis=0) / self.parameters.size)

    def sacral_mm(self, points_lps_mm: ArrayLike) -> Array:
        """Coordinates in the sacral frame at size 1: left, posterior, cranial along the S1 endplate's normal."""
        return _scaled(self.sacral_frame, points_lps_mm, self.parameters.size)

    def pelvic_mm(self, points_lps_mm: ArrayLike) -> Array:
        """Coordinates in the pelvic frame at size 1."""
        return _scaled(self.pelvic_frame, points_lps_mm, self.parameters.size)

    def lps_from_sacral(self, points_mm: ArrayLike) -> Array:
        """LPS points of sacral coordinates at size 1."""
        return self.sacral_frame.lps_from_frame(np.asarray(points_mm, dtype=np.float64) * self.parameters.size)

    def lps_from_pelvic(self, points_mm: ArrayLike) -> Array:
        """LPS points of pelvic coordinates at size 1."""
        return self.pelvic_frame.lps_from_frame(np.asarray(points_mm, dtype=np.float64) * self.parameters.size)

    def bone_mm(self, bone: str, points_lps_mm: ArrayLike) -> Array:
        """Signed distance (n,) of LPS points (n, 3) to one of `BONES`, positive outside."""
        if bone == "sacrum":
            q = self.sacral_mm(points_lps_mm)
            return self._by_side(q, lambda half, p: half.bone_mm(p)) * self.parameters.size
        if bone.startswith("vertebrae"):
            return self.spine.vertebra_mm(bone[-2:], self.sacral_mm(points_lps_mm)) * self.parameters.size
        kind, side = bone.split("_")
        q = self.pelvic_mm(points_lps_mm) * (SIDE_SIGN[side], 1.0, 1.0)
        distance = self.hip[side].bone_mm(q)
        if kind == "femur":
            distance = femur_mm(q, self.hip[side].form, distance)
        return np.asarray(distance * self.parameters.size)

    def disc_mm(self, disc: str, points_lps_mm: ArrayLike) -> Array:
        """Signed distance (n,) to one disc, L5S1 or L4L5, positive outside."""
        return np.asarray(self.spine.disc_mm(disc, self.sacral_mm(points_lps_mm)) * self.parameters.size)

    def solid_sacrum_mm(self, points_lps_mm: ArrayLike) -> Array:
        """Signed distance to the sacrum with canal and foramina filled in."""
        return self._by_side(self.sacral_mm(points_lps_mm), lambda half, p: half.solid_mm(p)) * self.parameters.size

    def within_sacrum(self, points_lps_mm: ArrayLike, candidates: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which of the candidates among LPS points lie within the sacrum's outer surface."""
        inside = np.array(candidates)
        if inside.any():
            inside[inside] = self.solid_sacrum_mm(np.asarray(points_lps_mm, dtype=np.float64)[inside]) < 0
        return inside

    def foramen_mm(self, level: str, side: str, points_lps_mm: ArrayLike) -> Array:
        """Signed distance to one tunnel; infinite where it is closed."""
        q = self.sacral_mm(points_lps_mm) * (SIDE_SIGN[side], 1.0, 1.0)
        return self.sacrum[side].foramen_mm(level, q) * self.parameters.size

    def canal_mm(self, points_lps_mm: ArrayLike) -> Array:
        """Signed distance to the canal's wall, positive outside the lumen."""
        q = self.sacral_mm(points_lps_mm)
        distance = self.sacrum["left"].curves.canal_mm(np.abs(q[:, 0]), q[:, 1], q[:, 2])
        return np.asarray(distance * self.parameters.size)

    def articular(self, side: str, y: Array, z: Array) -> NDArray[np.bool_]:
        """Where, at sacral (y, z) of size 1, both articular faces stand: within the outline, bone behind each face."""
        shape = self.sacrum[side].joint
        p = np.column_stack([shape.mid_x(y, z), y, z])
        normal = shape.normal(y, z)
        depth = shape.gap_mm / 2.0 + FACE_DEPTH_MM
        sacral = self.sacrum[side].solid_mm(p + depth * normal) < 0
        q = p - depth * normal
        iliac = np.column_stack([q[:, 0], *turn(q[:, 1], q[:, 2], self.hip_slope_deg)])
        return np.asarray((shape.outline(y, z) < 0) & sacral & (self.hip[side].bone_mm(iliac) < 0))

    def _by_side(self, q: Array, measure: Callable[[SacrumHalf, Array], Array]) -> Array:
        out = np.zeros(len(q))
        for side in SIDES:
            mine = q[:, 0] >= 0 if side == "left" else q[:, 0] < 0
            if mine.any():
                out[mine] = measure(self.sacrum[side], _unsigned(q[mine]))
        return out


def _about_x(angle_deg: float) -> Array:
    """Axes of a frame turned about x so that its cranial axis leans forward, rows as in `AnatomicalFrame`."""
    a = np.deg2rad(angle_deg)
    return np.array([[1, 0, 0], [0, np.cos(a), np.sin(a)], [0, -np.sin(a), np.cos(a)]])


def _scaled(frame: AnatomicalFrame, points_lps_mm: ArrayLike, size: float) -> Array:
    points = np.ascontiguousarray(points_lps_mm, dtype=np.float64)
    return np.asarray(affine(points, frame.axes / size, -(frame.axes @ frame.origin_lps_mm) / size))


def _unsigned(q: Array) -> Array:
    p = np.array(q)
    p[:, 0] = np.abs(p[:, 0])
    return p
