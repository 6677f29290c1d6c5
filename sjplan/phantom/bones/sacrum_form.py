"""How long, wide and deep the parts of a sacrum are, level by level: numbers alone, and smooth curves through them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.structures import LEVELS
from sjplan.phantom.bones.shapes import Curve, rounded_triangle

# Sacral frame: x to this side, y posterior, z cranial along the normal of the S1 endplate, origin at its centre; mm.
Row = tuple[float, ...]
Table = tuple[Row, ...]

STATIONS: Final = ("midline", "body", "body edge", "root of the ala", "ala", "joint", "beyond the joint")
"""Where across the sacrum its front and back are given."""


@dataclass(frozen=True, slots=True)
class SacrumForm:
    """The form of one half of a sacrum.

    Parameters
    ----------
    station_x_mm : tuple of float
        Distances of `STATIONS` from the midline.
    level_z_mm : tuple of float
        Heights at which front and back are given, cranial to caudal.
    front_y_mm, back_y_mm : tuple of rows
        Front and back at each level (rows) and station (columns).
    top_y_mm, top_z_mm : tuple of float, tuple of rows
        Places from front to back, and the top of ala and lamina at each station (rows) and place (columns).
    midline_z_mm : tuple of float
        Heights at which the midline's rows below are given.
    body_depth_mm : tuple of float
        Depth of the vertebral bodies from the front to the canal.
    canal_depth_mm, canal_half_width_mm : tuple of float
        Sacral canal, triangular (CANAL); S1 30 x 15, S2 20 x 9, S3 and S4 14 x 6 mm (recalled).
    lateral_z_mm, lateral_x_mm : tuple of float
        Free lateral border below the joint, with the inferolateral angle near S5 (default).
    foramen_z_mm : tuple of float
        Ventral mouths, S1 to S4.
    ventral_x_mm : tuple of float
        Ventral mouths from the midline: S1 24, S2 21 (PMCT, derived); S3, S4 default.
    ventral_radius_mm : tuple of float
        S1 13.0 x 12.2, S2 12.9 x 13.1 mm (SALUJA); S3 about 10 (EBR98), S4 8 to 9 (recalled).
    dorsal_x_mm : tuple of float
        Dorsal mouths from the midline: S1 23.5 (KJP), others default.
    dorsal_radius_mm : tuple of float
        S1 8.6 x 8.9 (TIEGS), S2 7.1 x 7.3 mm (SALUJA); S3, S4 default.
    oval : float
        How much higher than wide the ventral S1 mouth is.
    endplate_half_mm : (2,) float
        Half of width and depth of the S1 endplate.
    facet_mm : two of (x, y, z)
        Base and tip of the superior articular process.
    facet_radius_mm : (2,) float
        Radii there.
    spine_z_mm, spine_height_mm : tuple of float
        Spinous tubercles of the median crest: heights, and how far they stand out.
    apex_z_mm : float
        Lower end of S5.
    osteophyte_mm : float
        Radius of the osteophyte in front of the joint's cranial limb; 0 for none.
    """

    station_x_mm: Row = (0.0, 11.0, 22.0, 31.0, 42.0, 55.0, 66.0)
    level_z_mm: Row = (6.0, -6.0, -17.0, -28.0, -40.0, -53.0, -68.0, -84.0, -100.0, -114.0)
    front_y_mm: Table = ()
    back_y_mm: Table = ()
    top_y_mm: Row = (-20.0, -8.0, 4.0, 16.0, 28.0, 42.0)
    top_z_mm: Table = ()
    midline_z_mm: Row = (-116.0, -110.0, -104.0, -97.0, -81.0, -60.0, -33.0, 0.0)
    body_depth_mm: Row = (6.0, 7.0, 7.5, 9.0, 12.0, 16.5, 24.0, 32.0)
    canal_depth_mm: Row = (4.0, 4.5, 5.0, 5.5, 7.0, 9.5, 12.5, 15.0)
    canal_half_width_mm: Row = (3.5, 4.0, 4.5, 5.5, 7.0, 9.5, 12.5, 15.0)
    lateral_z_mm: Row = (-116.0, -112.0, -108.0, -103.0, -97.0, -90.0, -80.0, -70.0, -58.0, -46.0)
    lateral_x_mm: Row = (7.0, 11.0, 15.5, 21.0, 26.0, 30.5, 36.0, 43.0, 52.0, 66.0)
    foramen_z_mm: Row = (-34.0, -60.0, -81.0, -98.0)
    ventral_x_mm: Row = (24.0, 21.5, 19.0, 15.5)
    ventral_radius_mm: Row = (6.2, 6.3, 4.8, 4.1)
    dorsal_x_mm: Row = (22.5, 19.5, 17.0, 13.5)
    dorsal_radius_mm: Row = (4.4, 3.6, 3.2, 2.8)
    oval: float = 0.0
    endplate_half_mm: tuple[float, float] = (24.5, 16.0)
    facet_mm: tuple[Row, Row] = ((20.5, 29.5, -10.0), (22.5, 31.5, 9.0))
    facet_radius_mm: tuple[float, float] = (5.5, 2.8)
    spine_z_mm: Row = (-16.0, -42.0, -66.0)
    spine_height_mm: Row = (6.0, 5.0, 4.0)
    apex_z_mm: float = -113.0
    osteophyte_mm: float = 0.0

    def of_level(self, row: Row, level: str) -> float:
        """The value of one level, S1 to S4, in a row of four."""
        return row[LEVELS.index(level)]


class SacralCurves:
    """Smooth functions of z in the midline: front, bodies and canal."""

    def __init__(self, form: SacrumForm, midline_front: Curve) -> None:
        self.anterior_y = midline_front
        self.body_depth = Curve(form.midline_z_mm, form.body_depth_mm)
        self.canal_height = Curve(form.midline_z_mm, form.canal_depth_mm)
        self.canal_half_width = Curve(form.midline_z_mm, form.canal_half_width_mm)
        self.lateral_x = Curve(form.lateral_z_mm, form.lateral_x_mm)

    def canal_y(self, z: Array) -> Array:
        """Middle of the canal at z."""
        return np.asarray(self.anterior_y(z) + self.body_depth(z) + self.canal_height(z) / 2.0)

    def canal_mm(self, x: Array, y: Array, z: Array) -> Array:
        """First-order signed distance to the canal's wall, positive outside the lumen."""
        height = self.canal_height(z)
        tilt = np.sqrt(1.0 + ((self.canal_y(z + 1.0) - self.canal_y(z - 1.0)) / 2.0) ** 2)
        return rounded_triangle(x, (y - self.canal_y(z)) / tilt, self.canal_half_width(z), height, 0.28 * height)
