"""The SI joint of one side: a mid-surface x(y, z) in the sacral frame, an auricular outline on it, and a gap."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.phantom.bones.shapes import Curve, smooth_max, smooth_step

# Sacral frame: x to this side, y posterior, z cranial along the normal of the S1 endplate, origin at its centre; mm.

REFERENCE_Y_MM: Final = 8.0
"""y at which the half-width profile below is given (default)."""

SACRAL_OPENING: Final = (0.6, 3.0)
ILIAC_OPENING: Final = (1.0, 9.0)
"""How fast each bone recedes behind the auricular part (mm per mm) and how far at most: ligaments fill it (default)."""

FRONT_SHARE: Final = 0.7
"""How much of that opening there is in front of the auricular part, where the capsule closes the joint (default)."""

ANGLE_LEVELS_MM: Final = (-60.0, -35.0, -12.0)
"""Heights at which the joint's angle is given: caudal, middle, cranial."""

Place = tuple[float, float]


def _segment(y: Array, z: Array, a: Place, b: Place) -> Array:
    """Distance in the (y, z) plane to the segment a-b."""
    dy, dz = b[0] - a[0], b[1] - a[1]
    t = np.clip(((y - a[0]) * dy + (z - a[1]) * dz) / (dy * dy + dz * dz), 0.0, 1.0)
    return np.asarray(np.hypot(y - a[0] - t * dy, z - a[1] - t * dz))


@dataclass(frozen=True, slots=True)
class JointForm:
    """Where the joint lies, which way it faces and what its auricular surface looks like.

    Parameters
    ----------
    width_z_mm, half_width_mm : tuple of float
        Heights, and distance of the joint from the midline there: a sacrum about 104 mm wide in front (DRY30).
    angle_deg : (3,) float
        Angle between joint and sagittal plane at `ANGLE_LEVELS_MM`: opens forward and outward, most so cranially
        (KULAK).
    corner, cranial_end, caudal_end : (y, z)
        The auricular surface's corner and ends: two limbs open to the back; corridor of the limbs: default.
    limb_half_width_mm : float
        Half of the limbs' width (about 20 mm across, WAL93).
    ridge_mm : float
        Height of the iliac ridge in the sacral groove (form VLEEM, height default).
    """

    width_z_mm: tuple[float, ...] = (-112.0, -100.0, -90.0, -80.0, -70.0, -60.0, -48.0, -34.0, -20.0, -8.0, 4.0)
    half_width_mm: tuple[float, ...] = (44.0, 44.0, 44.0, 44.0, 44.0, 43.7, 46.2, 47.0, 52.0, 58.0, 58.5)
    angle_deg: tuple[float, ...] = (21.3, 26.6, 31.4)
    corner: Place = (2.5, -28.0)
    cranial_end: Place = (14.0, -11.0)
    caudal_end: Place = (11.5, -53.0)
    limb_half_width_mm: float = 10.0
    ridge_mm: float = 1.2


ADULT_JOINT: Final = JointForm()


@dataclass(frozen=True, slots=True)
class JointShape:
    """Joint of one side.

    Parameters
    ----------
    gap_mm : float
        Distance of the articular faces along the mid-surface's normal.
    shift_mm : float
        Added to the half-width (asymmetry).
    form : JointForm
        Where it lies and what it looks like.
    """

    gap_mm: float
    shift_mm: float
    form: JointForm = ADULT_JOINT
    _curves: tuple[Curve, Curve, Curve] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        form = self.form
        low, corner, high = form.caudal_end, form.corner, form.cranial_end
        curves = (
            Curve(form.width_z_mm, form.half_width_mm),
            Curve(ANGLE_LEVELS_MM, np.tan(np.deg2rad(form.angle_deg))),
            Curve((low[1], corner[1], high[1]), (low[0], corner[0], high[0])),
        )
        object.__setattr__(self, "_curves", curves)

    def mid_x(self, y: Array, z: Array) -> Array:
        """Distance from the midline of the mid-surface at (y, z)."""
        half_width, slope, _ = self._curves
        flat = half_width(z) + self.shift_mm - slope(z) * (y - REFERENCE_Y_MM)
        return np.asarray(flat - self.form.ridge_mm * np.exp(-((self._limb_distance(y, z) / 5.0) ** 2)))

    def slopes(self, y: Array, z: Array) -> tuple[Array, Array]:
        """dx/dy and dx/dz of the mid-surface, by central differences of half a millimetre."""
        h = 0.25
        dy = (self.mid_x(y + h, z) - self.mid_x(y - h, z)) / (2 * h)
        dz = (self.mid_x(y, z + h) - self.mid_x(y, z - h)) / (2 * h)
        return np.asarray(dy), np.asarray(dz)

    def stretch(self, y: Array, z: Array) -> Array:
        """sqrt(1 + |grad x|^2): turns a distance along x into one along the mid-surface's normal."""
        dy, dz = self.slopes(y, z)
        return np.asarray(np.sqrt(1.0 + dy * dy + dz * dz))

    def normal(self, y: Array, z: Array) -> Array:
        """Unit normals (n, 3) of the mid-surface, from ilium to sacrum."""
        dy, dz = self.slopes(y, z)
        return np.column_stack([-np.ones_like(dy), dy, dz]) / self.stretch(y, z)[:, None]

    def outline(self, y: Array, z: Array) -> Array:
        """Signed distance to the auricular outline in the (y, z) projection, negative on the articular part."""
        return self._limb_distance(y, z) - self.form.limb_half_width_mm

    def opening_mm(self, y: Array, z: Array, opening: tuple[float, float]) -> Array:
        """How far a bone recedes from its articular face: 0 on the auricular part, less in front of it than behind."""
        slope, most = opening
        front_y = self._curves[2]
        behind = FRONT_SHARE + (1.0 - FRONT_SHARE) * smooth_step((y - front_y(z)) / 8.0)
        ramp = slope * np.maximum(self.outline(y, z), 0.0)
        return np.asarray(behind * np.maximum(-smooth_max(-ramp, np.full_like(ramp, -most), 2.0), 0.0))

    def box(self) -> tuple[Place, Place]:
        """Smallest and largest (y, z) of the auricular outline."""
        ends = np.array((self.form.corner, self.form.cranial_end, self.form.caudal_end))
        low, high = ends.min(axis=0) - self.form.limb_half_width_mm, ends.max(axis=0) + self.form.limb_half_width_mm
        return (float(low[0]), float(low[1])), (float(high[0]), float(high[1]))

    def _limb_distance(self, y: Array, z: Array) -> Array:
        form = self.form
        return np.minimum(_segment(y, z, form.corner, form.cranial_end), _segment(y, z, form.corner, form.caudal_end))
