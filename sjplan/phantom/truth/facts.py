"""What is exactly known of a phantom: tunnels, canal, joints, landmarks and bones, all in LPS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sjplan.core.arrays import Array, check_shape, check_unit, check_vector
from sjplan.core.frames import SIDE_SIGN, AnatomicalFrame
from sjplan.core.plan import Side
from sjplan.core.structures import foramen_name
from sjplan.phantom.parameters import PhantomParameters
from sjplan.phantom.pelvis import Pelvis


@dataclass(frozen=True, slots=True, eq=False)
class ForamenTruth:
    """One open foramen: two tapered round tunnels, from the canal to the front and to the back.

    Parameters
    ----------
    level, side : str
        S1 to S4, left or right.
    ventral_line_lps_mm, dorsal_line_lps_mm : (n, 3) float
        Centrelines, from inside outwards; they run on beyond the bone.
    ventral_radius_mm, dorsal_radius_mm : (n,) float
        Radius of the swept ball at each point of the line, linear between.
    ventral_mouth_lps_mm, dorsal_mouth_lps_mm : (3,) float
        Where the centrelines leave the bone.
    ventral_mouth_radius_mm, dorsal_mouth_radius_mm : float
        Radius there.
    """

    pelvis: Pelvis
    level: str
    side: Side
    ventral_line_lps_mm: Array
    ventral_radius_mm: Array
    dorsal_line_lps_mm: Array
    dorsal_radius_mm: Array
    ventral_mouth_lps_mm: Array
    ventral_mouth_radius_mm: float
    dorsal_mouth_lps_mm: Array
    dorsal_mouth_radius_mm: float

    def __post_init__(self) -> None:
        for name in ("ventral_mouth_lps_mm", "dorsal_mouth_lps_mm"):
            object.__setattr__(self, name, check_vector(name, getattr(self, name)))
        for name in ("ventral_line_lps_mm", "dorsal_line_lps_mm"):
            object.__setattr__(self, name, check_shape(name, getattr(self, name), (None, 3)))

    @property
    def name(self) -> str:
        """The danger structure's name, such as foramen_S1_left."""
        return foramen_name(self.level, self.side)

    def distance_mm(self, points_lps_mm: ArrayLike) -> Array:
        """Signed distance (n,) to the tunnels, exact where positive; the tunnels run on beyond the mouths."""
        return self.pelvis.foramen_mm(self.level, self.side, points_lps_mm)

    def contains(self, points_lps_mm: ArrayLike) -> NDArray[np.bool_]:
        """Whether points lie in the lumen: in a tunnel and within the sacrum's outer surface."""
        return self.pelvis.within_sacrum(points_lps_mm, self.distance_mm(points_lps_mm) < 0)


@dataclass(frozen=True, slots=True, eq=False)
class CanalTruth:
    """The sacral canal: a triangular tube with its flat side in front.

    Parameters
    ----------
    axis_lps_mm : (n, 3) float
        Middle of the canal from the S1 endplate's level to the hiatus.
    half_width_mm, height_mm : (n,) float
        Half of its width and its depth from front to back there.
    """

    pelvis: Pelvis
    axis_lps_mm: Array
    half_width_mm: Array
    height_mm: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "axis_lps_mm", check_shape("axis_lps_mm", self.axis_lps_mm, (None, 3)))

    def distance_mm(self, points_lps_mm: ArrayLike) -> Array:
        """Signed distance (n,) to the canal's wall: exact in sign, first-order in size."""
        return self.pelvis.canal_mm(points_lps_mm)

    def contains(self, points_lps_mm: ArrayLike) -> NDArray[np.bool_]:
        """Whether points lie in the canal and within the sacrum's outer surface."""
        return self.pelvis.within_sacrum(points_lps_mm, self.distance_mm(points_lps_mm) < 0)


@dataclass(frozen=True, slots=True, eq=False)
class JointTruth:
    """The articular part of one SI joint.

    Parameters
    ----------
    side : str
        Left or right.
    gap_mm : float
        Distance of the two articular faces along the mid-surface's normal.
    points_lps_mm : (n, 3) float
        The articular mid-surface, sampled about every millimetre.
    normals : (n, 3) float
        Unit normals there, from ilium to sacrum.
    mean_normal : (3,) float
        Their mean, a unit vector.
    area_mm2 : float
        Area of the articular mid-surface.
    """

    pelvis: Pelvis
    side: Side
    gap_mm: float
    points_lps_mm: Array
    normals: Array
    mean_normal: Array
    area_mm2: float

    def __post_init__(self) -> None:
        points = check_shape("points_lps_mm", self.points_lps_mm, (None, 3))
        object.__setattr__(self, "points_lps_mm", points)
        object.__setattr__(self, "normals", check_shape("normals", self.normals, (len(points), 3)))
        object.__setattr__(self, "mean_normal", check_unit("mean_normal", self.mean_normal))

    def from_mid_surface_mm(self, points_lps_mm: ArrayLike) -> Array:
        """First-order signed distance (n,) to the mid-surface, positive towards the ilium."""
        x, y, z = self._local(points_lps_mm)
        shape = self.pelvis.sacrum[self.side].joint
        return np.asarray((x - shape.mid_x(y, z)) / shape.stretch(y, z) * self.pelvis.parameters.size)

    def is_articular(self, points_lps_mm: ArrayLike) -> NDArray[np.bool_]:
        """Whether points, moved along left-right onto the joint, meet its articular part (see `Pelvis.articular`)."""
        _, y, z = self._local(points_lps_mm)
        return self.pelvis.articular(self.side, y, z)

    def _local(self, points_lps_mm: ArrayLike) -> tuple[Array, Array, Array]:
        q = self.pelvis.sacral_mm(points_lps_mm)
        return q[:, 0] * SIDE_SIGN[self.side], q[:, 1], q[:, 2]


@dataclass(frozen=True, slots=True, eq=False)
class PhantomTruth:
    """The exact truth of one phantom; every callable takes LPS points (n, 3) in mm and may be asked anywhere.

    Parameters
    ----------
    parameters : PhantomParameters
        What was built.
    sacral_frame : AnatomicalFrame
        Origin at the centre of the S1 endplate, cranial along its normal.
    foramina : tuple of ForamenTruth
        Open foramina, cranial to caudal, left before right.
    canal : CanalTruth
        The canal.
    joints : mapping of side to JointTruth
        Both joints.
    landmarks : mapping of name to (3,) float
        Promontory, s1_endplate_centre, s2_anterior, symphysis, psis, asis and notch of each side (LPS mm).
    view_angles_deg : mapping of view to (3,) float
        Orbital, tilt and wig-wag of the standard views for a parallel beam (`sjplan.phantom.truth.view_angles`).
    """

    pelvis: Pelvis
    parameters: PhantomParameters
    sacral_frame: AnatomicalFrame
    foramina: tuple[ForamenTruth, ...]
    canal: CanalTruth
    joints: Mapping[Side, JointTruth]
    landmarks: Mapping[str, Array]
    view_angles_deg: Mapping[str, Array]

    def __post_init__(self) -> None:
        object.__setattr__(self, "landmarks", {k: check_vector(k, v) for k, v in self.landmarks.items()})
        angles = {k: check_vector(k, v) for k, v in self.view_angles_deg.items()}
        object.__setattr__(self, "view_angles_deg", angles)

    def foramen(self, level: str, side: str) -> ForamenTruth | None:
        """One foramen, or None where it is closed."""
        return next((f for f in self.foramina if (f.level, f.side) == (level, side)), None)

    def bone_mm(self, bone: str, points_lps_mm: ArrayLike) -> Array:
        """Signed distance (n,) to a bone, such as sacrum or hip_left: exact in sign, first-order in size."""
        return self.pelvis.bone_mm(bone, points_lps_mm)
