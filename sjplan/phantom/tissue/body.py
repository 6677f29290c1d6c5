"""The outline of a lying body and the fat under its skin, by body mass index and sex."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from sjplan.core.arrays import Array
from sjplan.core.frames import AnatomicalFrame
from sjplan.phantom.bones.shapes import Curve, ellipse, smooth_max, smooth_step
from sjplan.phantom.habitus import Habitus
from sjplan.phantom.kernels import affine
from sjplan.phantom.pelvis import Pelvis, rotation_matrix

# Body's frame: x to one side, y posterior, z cranial, origin at the centre of the S1 endplate; mm at size 1.

REFERENCE_BMI: Final = 25.0

HALF_BREADTH_MM: Final = {"male": 180.0, "female": 185.0}
"""Half of the hip breadth at a BMI of 25 (HIPBR: 360 and 370 mm)."""

DEPTH_MM: Final = 216.0
BACK_MM: Final = 98.0
"""Depth of the lying pelvis (200 to 230 mm, CLINICAL 4.6, recalled), and where the table meets the body (default)."""

DEPTH_PER_BMI: Final = 8.0
BREADTH_PER_BMI: Final = 6.0
"""Growth a BMI unit: depth CLINICAL 4.6 (recalled); breadth from twice the fat of the flank (derived from FRANK)."""

LEAN_SHARE: Final = 0.45
"""How much of that growth a body below that index loses a unit: bones and muscles stay (default)."""

PROFILE_Z: Final = (-240.0, -175.0, -110.0, -40.0, 15.0, 65.0, 130.0)
BREADTH: Final = {
    "female": (0.93, 0.985, 1.0, 0.965, 0.90, 0.835, 0.80),
    "male": (0.92, 0.975, 1.0, 0.975, 0.935, 0.90, 0.89),
}
"""Breadth relative to that at the trochanters, thighs to waist (default)."""

FRONT_MM: Final = (-92.0, -98.0, -103.0, -113.0, -118.0, -117.0, -115.0)
FRONT_SHARE: Final = (0.15, 0.3, 0.55, 0.8, 0.85, 0.85, 0.8)
"""Skin in front at a BMI of 25, and the share of the depth's growth that lies in front (default)."""

BACK_Y_MM: Final = (84.0, 96.0, 98.0, 97.0, 91.0, 84.0, 86.0)
"""Skin behind: the buttocks lie on the table, the small of the back does not (default)."""

SKIN_MM: Final = 2.0
"""Thickness of the skin (2 to 3 mm, CLINICAL 4.6, recalled)."""

CLEFT_Z: Final = (-205.0, -192.0, -172.0, -140.0, -80.0, -35.0)
CLEFT_MM: Final = (260.0, 120.0, 70.0, 46.0, 20.0, 0.0)
"""Depth of the natal cleft, which runs on between the thighs (default)."""

_DEPOT_MM_PER_BMI: Final = {"male": 3.0, "female": 4.0}
_DEPOT_MM: Final = {"male": 44.0, "female": 48.0}
"""Fat of the superolateral buttock, the thickest site, at a BMI of 25, and its growth (FRANK: 46 mm at 50 years)."""


def body_frame(pelvis: Pelvis) -> AnatomicalFrame:
    """The frame of the lying body: scanner axes turned as the patient lies, whatever the tilt of the pelvis in it.

    Examples
    --------
    >>> from sjplan.phantom.parameters import PhantomParameters
    >>> body_frame(Pelvis(PhantomParameters(pelvic_tilt_deg=20.0))).axes[2].tolist()
    [0.0, 0.0, 1.0]
    """
    p = pelvis.parameters
    return AnatomicalFrame(p.offset_lps_mm, rotation_matrix(p.rotation_deg).T)


def body_mm(pelvis: Pelvis, points_lps_mm: ArrayLike) -> Array:
    """Coordinates of LPS points in the body's frame, at size 1."""
    frame = body_frame(pelvis)
    axes = frame.axes / pelvis.parameters.size
    points = np.ascontiguousarray(points_lps_mm, dtype=np.float64)
    return np.asarray(affine(points, np.ascontiguousarray(axes), -(axes @ frame.origin_lps_mm)))


def lps_from_body(pelvis: Pelvis, points_mm: ArrayLike) -> Array:
    """LPS points of coordinates in the body's frame at size 1."""
    return body_frame(pelvis).lps_from_frame(np.asarray(points_mm, dtype=np.float64) * pelvis.parameters.size)


class Body:
    """Outline and subcutaneous fat of one body.

    Parameters
    ----------
    habitus : Habitus
        Sex and body mass index.

    Examples
    --------
    >>> body = Body(Habitus(bmi=25.0))
    >>> body.skin_mm(np.array([[0.0, 0.0, -60.0], [230.0, 0.0, -60.0]])) < 0
    array([ True, False])
    """

    def __init__(self, habitus: Habitus) -> None:
        self._more = habitus.bmi - REFERENCE_BMI
        self._sex = habitus.sex
        grown = self._more * (1.0 if self._more > 0.0 else LEAN_SHARE)
        half = HALF_BREADTH_MM[habitus.sex] + BREADTH_PER_BMI / 2.0 * grown
        growth = DEPTH_PER_BMI * grown
        front = np.array(FRONT_MM) - np.array(FRONT_SHARE) * growth
        back = np.array(BACK_Y_MM) + (1.0 - np.array(FRONT_SHARE)) * growth * 0.5
        self._half_breadth = Curve(PROFILE_Z, np.array(BREADTH[habitus.sex]) * half)
        self._front, self._back = Curve(PROFILE_Z, front), Curve(PROFILE_Z, back)
        self.table_y_mm = float(back.max())
        self._cleft = Curve(CLEFT_Z, CLEFT_MM)

    def box_mm(self, low_z: float, high_z: float) -> tuple[Array, Array]:
        """Corners of the box round the body between two heights."""
        z = np.linspace(low_z, high_z, 60)
        half = float(self._half_breadth(z).max())
        low = np.array((-half, float(self._front(z).min()), low_z))
        return low, np.array((half, float(self._back(z).max()), high_z))

    def skin_mm(self, q: Array) -> Array:
        """First-order signed distance (n,) to the skin, positive outside."""
        x, y, z = np.abs(q[:, 0]), q[:, 1], q[:, 2]
        front, back = self._front(z), self._back(z)
        middle = 0.42 * front + 0.58 * back
        half = self._half_breadth(z)
        fore = ellipse(x, y - middle, half, middle - front, 2.35)
        aft = ellipse(x, y - middle, half, back - middle, 3.4)
        body = smooth_max(np.where(y < middle, fore, aft), y - self.table_y_mm, 8.0)
        # Pressed together, cheeks and thighs leave air only where they part: at the table, and low down in front.
        behind = np.minimum(0.4 * (y - back + 9.0), 3.5) - 400.0 * (1.0 - smooth_step(self._cleft(z) / 20.0))
        before = np.minimum(0.3 * (front + 12.0 - y), 3.5) - 400.0 * (1.0 - smooth_step((-190.0 - z) / 25.0))
        return smooth_max(body, np.minimum(np.maximum(behind, before) - x, 6.0), 5.0)

    def seam_mm(self, q: Array) -> Array:
        """Signed distance (n,) to the skin of both sides where cheeks and thighs touch, negative inside."""
        into = q[:, 1] - (self._back(q[:, 2]) - self._cleft(q[:, 2]))
        return np.asarray(np.maximum(np.abs(q[:, 0]) - 1.7, -into))

    def fat_mm(self, q: Array) -> Array:
        """Thickness (n,) of the fat under the skin near points of the body."""
        x, y, z = np.abs(q[:, 0]), q[:, 1], q[:, 2]
        middle = 0.42 * self._front(z) + 0.58 * self._back(z)
        angle = np.rad2deg(np.arctan2(y - middle, x))
        sites = np.array((-90.0, -45.0, 0.0, 38.0, 62.0, 90.0))
        more = self._more
        depot, growth = _DEPOT_MM[self._sex], _DEPOT_MM_PER_BMI[self._sex]
        lateral = 24.0 if self._sex == "male" else 28.0
        upper = np.array((22.0, 20.0, lateral, depot, 26.0, 13.0))
        lower = np.array((16.0, 15.0, lateral - 4.0, depot * 0.62, 24.0, 16.0))
        rise = np.array((2.3, 2.0, 2.5, growth, 1.8, 0.9))
        high = smooth_step((z + 150.0) / 120.0)
        thick_up = np.interp(angle, sites, np.maximum(upper + rise * more, 4.0))
        thick_low = np.interp(angle, sites, np.maximum(lower + 0.8 * rise * more, 4.0))
        flank = 1.0 - 0.35 * smooth_step((z - 10.0) / 50.0) * (angle > 0.0) * np.clip(angle / 30.0, 0.0, 1.0)
        return np.asarray((thick_low + (thick_up - thick_low) * high) * flank)
