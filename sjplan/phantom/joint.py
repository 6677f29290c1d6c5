"""The SI joint of one side: a mid-surface x(y, z) in the sacral frame, an auricular outline on it, and a gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.phantom.shapes import Curve, smooth_max, smooth_step

# Sacral frame: x to this side, y posterior, z cranial along the normal of the S1 endplate, origin at its centre; mm.

REFERENCE_Y_MM: Final = 8.0
"""y at which the half-width profile below is given (default)."""

HALF_WIDTH_MM: Final = (
    (-112.0, -100.0, -90.0, -80.0, -70.0, -60.0, -48.0, -34.0, -20.0, -8.0, 4.0),
    (20.0, 24.0, 28.0, 32.5, 36.5, 40.0, 43.5, 46.5, 48.3, 49.0, 49.3),
)
"""z and distance of the joint from the midline: a sacrum about 105 mm wide in front (DRY30); taper: default."""

ANGLE_DEG: Final = ((-60.0, -35.0, -12.0), (21.3, 26.6, 31.4))
"""z and angle between joint and sagittal plane: opens forward and outward, most so cranially (KULAK)."""

CORNER: Final = (7.0, -28.0)
CRANIAL_END: Final = (21.0, -15.0)
CAUDAL_END: Final = (13.5, -57.5)
"""(y, z) of the auricular surface's corner and ends: two limbs open to the back; corridor of the limbs: default."""

LIMB_HALF_WIDTH_MM: Final = 10.0
"""Half of the limbs' width of 20 mm (WAL93)."""

RIDGE_MM: Final = 1.2
"""Height of the iliac ridge in the sacral groove (form VLEEM, height default)."""

SACRAL_OPENING: Final = (0.35, 3.0)
ILIAC_OPENING: Final = (0.7, 9.0)
"""How fast each bone recedes behind the auricular part (mm per mm) and how far at most: ligaments fill it (default)."""


def _segment(y: Array, z: Array, a: tuple[float, float], b: tuple[float, float]) -> Array:
    """Distance in the (y, z) plane to the segment a-b."""
    dy, dz = b[0] - a[0], b[1] - a[1]
    t = np.clip(((y - a[0]) * dy + (z - a[1]) * dz) / (dy * dy + dz * dz), 0.0, 1.0)
    return np.asarray(np.hypot(y - a[0] - t * dy, z - a[1] - t * dz))


@dataclass(frozen=True, slots=True)
class JointShape:
    """Joint of one side.

    Parameters
    ----------
    gap_mm : float
        Distance of the articular faces along the mid-surface's normal.
    shift_mm : float
        Added to the half-width (asymmetry).
    """

    gap_mm: float
    shift_mm: float

    def mid_x(self, y: Array, z: Array) -> Array:
        """Distance from the midline of the mid-surface at (y, z)."""
        flat = _HALF_WIDTH(z) + self.shift_mm - _SLOPE(z) * (y - REFERENCE_Y_MM)
        return np.asarray(flat - RIDGE_MM * np.exp(-((self._limb_distance(y, z) / 5.0) ** 2)))

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
        return self._limb_distance(y, z) - LIMB_HALF_WIDTH_MM

    def opening_mm(self, y: Array, z: Array, opening: tuple[float, float]) -> Array:
        """How far a bone recedes from its articular face: 0 on the auricular part and in front of it."""
        slope, most = opening
        behind = smooth_step((y - _front_y(z)) / 8.0)
        ramp = slope * np.maximum(self.outline(y, z), 0.0)
        return np.asarray(behind * np.maximum(-smooth_max(-ramp, np.full_like(ramp, -most), 2.0), 0.0))

    @staticmethod
    def _limb_distance(y: Array, z: Array) -> Array:
        return np.minimum(_segment(y, z, CORNER, CRANIAL_END), _segment(y, z, CORNER, CAUDAL_END))


_HALF_WIDTH = Curve(*HALF_WIDTH_MM)
_SLOPE = Curve(ANGLE_DEG[0], np.tan(np.deg2rad(ANGLE_DEG[1])))
_front_y = Curve((CAUDAL_END[1], CORNER[1], CRANIAL_END[1]), (CAUDAL_END[0], CORNER[0], CRANIAL_END[0]))
