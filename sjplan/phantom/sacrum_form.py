"""How long, wide and deep the parts of a sacrum are, level by level: numbers alone, and smooth curves through them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.structures import LEVELS
from sjplan.phantom.shapes import Curve, rounded_triangle

# Sacral frame: x to this side, y posterior, z cranial along the normal of the S1 endplate, origin at its centre; mm.
MIDLINE_Z: Final = (-116.0, -110.0, -104.0, -97.0, -81.0, -60.0, -33.0, 0.0)
LATERAL_Z: Final = (-116.0, -112.0, -108.0, -103.0, -97.0, -90.0, -80.0, -70.0, -60.0)
ALA_Z: Final = (-97.0, -81.0, -60.0, -33.0, -12.0)
"""Heights at which midline, free lateral border, and ala and lateral mass are given."""

Row = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SacrumForm:
    """The form of one half of a sacrum.

    Parameters
    ----------
    anterior_y_mm : tuple of float
        Anterior surface in the midline: S1 body 32 mm deep, curvature about 18 mm (M/F phantom means, CLINICAL 4.1).
    body_depth_mm : tuple of float
        Depth of the vertebral bodies from anterior surface to canal (S1 CLINICAL 4.1, below default).
    canal_height_mm, canal_half_width_mm : tuple of float
        Sacral canal, triangular (CANAL): 27 x 15 mm at S1 (30 recalled), 20 x 9 at S2, 14 x 6 at S3/S4 (recalled).
    lamina_mm : tuple of float
        Bone behind the canal; below zero at the hiatus, where the canal is open to the back (default).
    lateral_x_mm : tuple of float
        Free lateral border below the joint, with the inferolateral angle near S5 (default).
    ala_recess_mm : tuple of float
        How far the front of ala and lateral mass lies behind the front of the bodies: ala depth about 28 mm (ALA00).
    foramen_z_mm : tuple of float
        Ventral mouths, S1 to S4: S1 to S2 26 mm apart (CLINICAL 4.2); S1 28 to 38 mm below the endplate; S3, S4
        default.
    ventral_x_mm : tuple of float
        Ventral mouths from the midline: S1 24, S2 21 (PMCT, derived); S3, S4 default.
    ventral_radius_mm : tuple of float
        S1 13.0 x 12.2, S2 12.9 x 13.1 mm (SALUJA); S3 about 10 (EBR98), S4 8 to 9 (recalled).
    dorsal_x_mm : tuple of float
        Dorsal mouths from the midline: S1 23.5 (KJP), others default.
    dorsal_radius_mm : tuple of float
        S1 8.6 x 8.9 (TIEGS), S2 7.1 x 7.3 mm (SALUJA); S3, S4 default.
    endplate_half_mm : (2,) float
        S1 endplate 50 x 32 mm (CLINICAL 4.1, recalled).
    ala_slope : float
        Rise of the ala's top from front to back, mm per mm (within ALA00's 25 to 65 degrees once the endplate slopes).
    ala_drop : float
        Fall of the ala's top from the body to the joint, mm per mm (default).
    apex_z_mm : float
        Lower end of S5 (length 107 +- 10 mm, DRY30).
    """

    anterior_y_mm: Row = (-13.0, -9.0, -5.0, -1.5, 2.5, 1.0, -7.0, -16.0)
    body_depth_mm: Row = (6.0, 7.0, 7.5, 9.0, 12.0, 16.5, 24.0, 32.0)
    canal_height_mm: Row = (4.0, 4.5, 5.0, 5.5, 7.0, 9.5, 12.5, 15.0)
    canal_half_width_mm: Row = (3.5, 4.0, 4.5, 5.5, 7.0, 9.5, 12.0, 13.5)
    lamina_mm: Row = (-6.0, -5.0, -2.5, 3.0, 5.0, 5.5, 6.0, 6.0)
    lateral_x_mm: Row = (6.0, 8.5, 11.5, 16.5, 23.5, 28.5, 33.0, 38.0, 60.0)
    ala_recess_mm: Row = (1.0, 2.5, 3.0, 4.5, 11.5)
    foramen_z_mm: Row = (-34.0, -60.0, -81.0, -98.0)
    ventral_x_mm: Row = (24.0, 21.5, 19.0, 15.5)
    ventral_radius_mm: Row = (6.3, 6.4, 5.2, 4.2)
    dorsal_x_mm: Row = (22.5, 19.5, 17.0, 13.5)
    dorsal_radius_mm: Row = (4.4, 3.6, 3.2, 2.8)
    endplate_half_mm: tuple[float, float] = (25.0, 16.0)
    ala_slope: float = 0.6
    ala_drop: float = 0.15
    apex_z_mm: float = -113.0

    def of_level(self, row: Row, level: str) -> float:
        """The value of one level, S1 to S4, in a row of four."""
        return row[LEVELS.index(level)]


ADULT_SACRUM: Final = SacrumForm()


class SacralCurves:
    """Smooth functions of z through the rows of a form."""

    def __init__(self, form: SacrumForm) -> None:
        self.anterior_y = Curve(MIDLINE_Z, form.anterior_y_mm)
        self.body_depth = Curve(MIDLINE_Z, form.body_depth_mm)
        self.canal_height = Curve(MIDLINE_Z, form.canal_height_mm)
        self.canal_half_width = Curve(MIDLINE_Z, form.canal_half_width_mm)
        self.lamina = Curve(MIDLINE_Z, form.lamina_mm)
        self.lateral_x = Curve(LATERAL_Z, form.lateral_x_mm)
        self.ala_recess = Curve(ALA_Z, form.ala_recess_mm)

    def canal_y(self, z: Array) -> Array:
        """Middle of the canal at z."""
        return np.asarray(self.anterior_y(z) + self.body_depth(z) + self.canal_height(z) / 2.0)

    def canal_mm(self, x: Array, y: Array, z: Array) -> Array:
        """First-order signed distance to the canal's wall, positive outside the lumen."""
        height = self.canal_height(z)
        tilt = np.sqrt(1.0 + ((self.canal_y(z + 1.0) - self.canal_y(z - 1.0)) / 2.0) ** 2)
        return rounded_triangle(x, (y - self.canal_y(z)) / tilt, self.canal_half_width(z), height, 0.28 * height)
