"""The sacrum of one side: a curved plate with ala and S1 body, cut by the joint, tunnelled by canal and foramina."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.structures import LEVELS
from sjplan.phantom.joint import SACRAL_OPENING, JointShape
from sjplan.phantom.shapes import (
    Curve,
    Tube,
    cone,
    ellipse,
    rounded_triangle,
    smooth_max,
    smooth_min,
    smooth_step,
    tube_along,
)

# Sacral frame: x to this side, y posterior, z cranial along the normal of the S1 endplate, origin at its centre; mm.
_Z: Final = (-116.0, -110.0, -104.0, -97.0, -81.0, -60.0, -33.0, 0.0)

ANTERIOR_Y: Final = Curve(_Z, (-13.0, -9.0, -5.0, -1.5, 2.5, 1.0, -7.0, -16.0))
"""Anterior surface in the midline: S1 body 32 mm deep, curvature about 18 mm (M/F phantom means, CLINICAL 4.1)."""

BODY_DEPTH: Final = Curve(_Z, (6.0, 7.0, 7.5, 9.0, 12.0, 16.5, 24.0, 32.0))
"""Depth of the vertebral bodies from anterior surface to canal (S1 CLINICAL 4.1, below default)."""

CANAL_HEIGHT: Final = Curve(_Z, (4.0, 4.5, 5.0, 5.5, 7.0, 9.5, 12.5, 15.0))
CANAL_HALF_WIDTH: Final = Curve(_Z, (3.5, 4.0, 4.5, 5.5, 7.0, 9.5, 12.0, 13.5))
"""Sacral canal, triangular (CANAL): 27 x 15 mm at S1 (30 recalled), 20 x 9 at S2, 14 x 6 at S3/S4 (recalled)."""

LAMINA: Final = Curve(_Z, (-6.0, -5.0, -2.5, 3.0, 5.0, 5.5, 6.0, 6.0))
"""Bone behind the canal; below zero at the hiatus, where the canal is open to the back (default)."""

LATERAL_Z: Final = (-116.0, -112.0, -108.0, -103.0, -97.0, -90.0, -80.0, -70.0, -60.0)
LATERAL_X: Final = Curve(LATERAL_Z, (6.0, 8.5, 11.5, 16.5, 23.5, 28.5, 33.0, 38.0, 60.0))
"""Free lateral border below the joint, with the inferolateral angle near S5 (default)."""

ALA_RECESS: Final = Curve((-97.0, -81.0, -60.0, -33.0, -12.0), (1.0, 2.5, 3.0, 4.5, 11.5))
"""How far the front of ala and lateral mass lies behind the front of the bodies: ala depth about 28 mm (ALA00)."""

FORAMEN_Z: Final = dict(zip(LEVELS, (-34.0, -60.0, -81.0, -98.0), strict=True))
"""Ventral mouths: S1 to S2 26 mm apart (CLINICAL 4.2); S1 28 to 38 mm below the endplate; S3, S4 default."""

VENTRAL_X: Final = dict(zip(LEVELS, (24.0, 21.5, 19.0, 15.5), strict=True))
"""Ventral mouths from the midline: S1 24, S2 21 (PMCT, derived); S3, S4 default."""

VENTRAL_RADIUS: Final = dict(zip(LEVELS, (6.3, 6.4, 5.2, 4.2), strict=True))
"""S1 13.0 x 12.2, S2 12.9 x 13.1 mm (SALUJA); S3 about 10 (EBR98), S4 8 to 9 (recalled)."""

DORSAL_X: Final = dict(zip(LEVELS, (22.5, 19.5, 17.0, 13.5), strict=True))
"""Dorsal mouths from the midline: S1 23.5 (KJP), others default."""

DORSAL_RADIUS: Final = dict(zip(LEVELS, (4.4, 3.6, 3.2, 2.8), strict=True))
"""S1 8.6 x 8.9 (TIEGS), S2 7.1 x 7.3 mm (SALUJA); S3, S4 default."""

ENDPLATE_HALF: Final = (25.0, 16.0)
"""S1 endplate 50 x 32 mm (CLINICAL 4.1, recalled)."""

ALA_SLOPE: Final = 0.6
"""Rise of the ala's top from front to back, mm per mm (within ALA00's 25 to 65 degrees once the endplate slopes)."""


ALA_DROP: Final = 0.15
"""Fall of the ala's top from the body to the joint, mm per mm (default)."""

APEX_Z: Final = -113.0
"""Lower end of S5 (length 107 +- 10 mm, DRY30)."""


def canal_y(z: Array) -> Array:
    """Middle of the canal at z."""
    return np.asarray(ANTERIOR_Y(z) + BODY_DEPTH(z) + CANAL_HEIGHT(z) / 2.0)


def canal_mm(x: Array, y: Array, z: Array) -> Array:
    """First-order signed distance to the canal's wall, positive outside the lumen."""
    height = CANAL_HEIGHT(z)
    tilt = np.sqrt(1.0 + ((canal_y(z + 1.0) - canal_y(z - 1.0)) / 2.0) ** 2)
    return rounded_triangle(x, (y - canal_y(z)) / tilt, CANAL_HALF_WIDTH(z), height, 0.28 * height)


class SacrumHalf:
    """One side of the sacrum, with x counted from the midline to that side.

    Parameters
    ----------
    joint : JointShape
        Joint of this side.
    ala_height_mm : float
        Bone between ala top and the nominal roof of the S1 foramen.
    foramen_scale : float
        Scale of all radii of the foramina.
    drop_mm : float
        How much lower than nominal the foramina of this side lie.
    closed : tuple of str
        Levels left solid.
    """

    def __init__(
        self,
        joint: JointShape,
        ala_height_mm: float,
        foramen_scale: float,
        drop_mm: float = 0.0,
        closed: tuple[str, ...] = (),
    ) -> None:
        self.joint = joint
        self._ala_top_z = FORAMEN_Z["S1"] + VENTRAL_RADIUS["S1"] + ala_height_mm
        self._drop = drop_mm
        self.ventral: Mapping[str, Tube] = {
            level: self._ventral_tube(level, foramen_scale) for level in LEVELS if level not in closed
        }
        self.dorsal: Mapping[str, Tube] = {
            level: self._dorsal_tube(level, foramen_scale) for level in LEVELS if level not in closed
        }

    def anterior_y(self, x: Array, z: Array) -> Array:
        """Front of the plate at (x, z): bodies in the middle, ala and lateral mass set back."""
        half = np.interp(z, (-110.0, -60.0, 0.0), (9.0, 15.0, 22.0))
        return np.asarray(ANTERIOR_Y(z) + ALA_RECESS(z) * smooth_step((x - 0.45 * half) / (0.95 * half)))

    def posterior_y(self, x: Array, z: Array) -> Array:
        """Back of the plate at (x, z): lamina in the middle, sloping gently forward to the side."""
        back = canal_y(z) + CANAL_HEIGHT(z) / 2.0 + LAMINA(z)
        solid = canal_y(z) + np.interp(z, (-110.0, -97.0, -60.0, 0.0), (3.0, 6.0, 9.0, 12.5))
        side = smooth_step((x - 4.0) / 14.0)
        return np.asarray((1.0 - side) * back + side * solid)

    def solid_mm(self, p: Array) -> Array:
        """First-order signed distance to this half without its tunnels, (n, 3) -> (n,), positive outside."""
        x, y, z = p[:, 0], p[:, 1], p[:, 2]
        front = (self.anterior_y(x, z) - y) / _steepness(self.anterior_y, x, z)
        back = (y - self.posterior_y(x, z)) / _steepness(self.posterior_y, x, z)
        plate = smooth_max(front, back, 6.0)
        top = self._ala_top_z + ALA_SLOPE * (y - 8.0) - ALA_DROP * np.maximum(x - 28.0, 0.0)
        plate = smooth_max(plate, (z - np.minimum(top, -2.0)) / np.hypot(1.0, ALA_SLOPE), 7.0)
        plate = smooth_max(plate, APEX_Z - z, 5.0)
        lateral = smooth_max(plate, (x - LATERAL_X(z)) * 0.8, 6.0)
        whole = smooth_min(lateral, self._s1_body(x, y, z), 7.0)
        whole = smooth_min(whole, self._processes(p), 4.0)
        return smooth_max(whole, self.side_mm(x, y, z), 2.5)

    def side_mm(self, x: Array, y: Array, z: Array) -> Array:
        """First-order signed distance to the sacral face of the joint and its continuation."""
        recess = self.joint.gap_mm / 2.0 + self.joint.opening_mm(y, z, SACRAL_OPENING)
        return np.asarray((x - self.joint.mid_x(y, z)) / self.joint.stretch(y, z) + recess)

    def foramen_mm(self, level: str, p: Array) -> Array:
        """Signed distance to the tunnel of one level (both branches); infinite where it is closed."""
        if level not in self.ventral:
            return np.full(len(p), np.inf)
        return np.minimum(self.ventral[level].distance_mm(p), self.dorsal[level].distance_mm(p))

    def bone_mm(self, p: Array) -> Array:
        """First-order signed distance to the bone: the solid less canal and foramina."""
        bone = np.maximum(self.solid_mm(p), -canal_mm(p[:, 0], p[:, 1], p[:, 2]))
        for tube in (*self.ventral.values(), *self.dorsal.values()):
            np.maximum(bone, -tube.nearby_mm(p), out=bone)
        return bone

    def _s1_body(self, x: Array, y: Array, z: Array) -> Array:
        centre = ANTERIOR_Y(z) + BODY_DEPTH(z) / 2.0
        round_ = ellipse(x, y - centre, ENDPLATE_HALF[0] + 0.0 * z, BODY_DEPTH(z) / 2.0, 2.4)
        # The endplate's rim stands a little proud of its middle.
        cap = z - 1.2 * (
            np.clip(x / ENDPLATE_HALF[0], -1, 1) ** 2 + np.clip((y - centre) / ENDPLATE_HALF[1], -1, 1) ** 2
        )
        return smooth_max(smooth_max(round_, cap, 2.5), -34.0 - z, 8.0)

    @staticmethod
    def _processes(p: Array) -> Array:
        """Superior articular process, median crest and the first coccygeal segment."""
        facet = cone(p, (20.0, 33.0, -12.0), (21.5, 37.0, 7.0), 7.0, 4.0)
        for z in (-16.0, -42.0, -66.0):
            y = float(canal_y(np.array(z)) + CANAL_HEIGHT.at(z) / 2.0 + LAMINA.at(z))
            spine = cone(p, (0.0, y - 2.0, z), (0.0, y + 7.0 + z / 20.0, z - 6.0), 5.5, 3.2)
            facet = smooth_min(facet, spine, 5.0)
        coccyx = cone(p, (0.0, -9.0, -112.0), (0.0, -16.0, -122.0), 5.5, 4.0)
        return smooth_min(facet, coccyx, 4.0)

    def _ventral_tube(self, level: str, scale: float) -> Tube:
        z, x, r = FORAMEN_Z[level] - self._drop, VENTRAL_X[level], VENTRAL_RADIUS[level] * scale
        front = float(self.anterior_y(np.array(x), np.array(z)))
        inner = float(canal_y(np.array(z + 6.0)))
        start_x = 0.55 * CANAL_HALF_WIDTH.at(z + 6.0)
        points = (
            (start_x, inner, z + 6.0),
            (0.5 * (start_x + x), inner - 2.0, z + 4.0),
            (0.9 * x, 0.5 * (front + inner), z + 1.5),
            (x, front + 1.0, z),
            (x + 3.0, front - 9.0, z - 3.0),
        )
        return tube_along(points, np.array((0.62, 0.78, 0.86, 1.0, 1.5)) * r)

    def _dorsal_tube(self, level: str, scale: float) -> Tube:
        z, x, r = FORAMEN_Z[level] - self._drop, DORSAL_X[level], DORSAL_RADIUS[level] * scale
        back = float(self.posterior_y(np.array(x), np.array(z - 1.5)))
        inner = float(canal_y(np.array(z + 3.0)))
        points = (
            (0.72 * x, inner - 1.5, z + 3.0),
            (x - 1.0, inner + 1.0, z),
            (x, back, z - 1.5),
            (x + 0.5, back + 7.0, z - 2.5),
        )
        return tube_along(points, np.array((1.0, 0.95, 1.0, 1.3)) * r, samples=14)


def _steepness(surface_y: Callable[[Array, Array], Array], x: Array, z: Array) -> Array:
    """sqrt(1 + |grad y|^2) of a height field over (x, z)."""
    h = 0.5
    dx = (surface_y(x + h, z) - surface_y(x - h, z)) / (2 * h)
    dz = (surface_y(x, z + h) - surface_y(x, z - h)) / (2 * h)
    return np.asarray(np.sqrt(1.0 + dx * dx + dz * dz))
