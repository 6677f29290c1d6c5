"""One lumbar vertebra in a frame of its own: a kidney-shaped body with rims and waist, and the arch behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.phantom.bones.parts import Part, Parts, Point, near_box
from sjplan.phantom.bones.shapes import ellipse, rounded_triangle, smooth_max, smooth_min

# Frame of a vertebra: origin in the middle of the body, x to the left, y posterior, z cranial; mm. The arch is given
# for the left half and mirrored.

DISH_MM: Final = 1.6
"""How deep an endplate is hollowed between its rims (default)."""

WAIST: Final = (0.12, 0.09)
"""By which share width and depth of the body shrink half-way between the endplates (default)."""

SECTION_POWER: Final = 2.15
"""Power of the super-ellipse that the body's section follows in front (default)."""

WIDEST_Y_MM: Final = 3.0
"""How far behind its middle the body is widest (default)."""

FACING_BACK_IN: Final = (-0.7, 0.7, 0.1)
"""Direction that the superior articular facets face, on the left: back and to the midline (default)."""

TRUNK_X_MM: Final = 20.0
"""The arch widens with the body as far out as this; beyond, the transverse processes keep their length (default)."""

_BACK: Final = (0.0, 1.0, 0.0)
_LAMINA: Final = (0.34, 0.92, 0.18)

_L5_ARCH: Final = (
    Part("pedicle", (16.0, 9.0, 3.5), (19.5, 24.0, 4.0), (8.0, 7.5), blend_mm=5.0),
    Part("superior articular process", (19.5, 25.5, 4.0), (21.0, 29.0, 16.0), (8.5, 7.0), 1.45, FACING_BACK_IN),
    Part("mammillary process", (21.5, 30.0, 8.0), (24.5, 33.0, 11.0), (6.5, 4.0)),
    Part("pars interarticularis", (18.5, 27.0, 3.0), (15.0, 35.0, -7.0), (7.5, 7.0), 1.2, _BACK),
    Part("lamina", (15.0, 33.0, -4.0), (2.0, 39.0, -4.0), (9.0, 9.0), 2.6, _LAMINA),
    Part("inferior articular process", (14.5, 38.0, -8.0), (16.5, 44.5, -18.0), (7.5, 6.5), 1.2, FACING_BACK_IN),
    Part("spinous process", (0.0, 37.0, -4.0), (0.0, 57.0, -8.0), (9.5, 7.5), 2.7),
    Part("tip of the spinous process", (0.0, 55.0, -8.0), (0.0, 58.0, -9.0), (7.0, 6.0), 1.7, blend_mm=3.0),
)  # fmt: skip

_STOUT: Final = (
    Part("base of the transverse process", (18.0, 14.0, 4.0), (31.0, 18.0, 5.5), (9.0, 7.0), 1.25, _BACK, 6.0),
    Part("transverse process", (31.0, 18.0, 5.5), (43.0, 21.0, 9.0), (7.0, 4.5), 1.35, _BACK),
)

_SLENDER: Final = (
    Part("transverse process", (18.0, 20.0, 4.5), (42.0, 27.0, 9.0), (7.0, 4.0), 1.7, _BACK, 5.0),
)  # fmt: skip

_BROAD: Final = (
    # The base stands high: the root passes below it, before the place where the process meets the ala.
    Part("base of the transverse process", (18.0, 13.0, 6.0), (31.0, 15.0, 3.0), (9.0, 9.5), 1.25, _BACK, 5.0),
    Part("transverse process", (34.0, 15.0, 1.0), (41.0, 14.0, -9.0), (9.5, 10.5), 1.25, _BACK),
)

_L4_ARCH: Final = (
    Part("pedicle", (15.0, 9.0, 5.0), (16.5, 23.0, 5.0), (7.3, 7.0), 1.25, blend_mm=5.0),
    Part("superior articular process", (17.0, 24.5, 5.0), (18.5, 28.0, 18.0), (8.0, 6.5), 1.45, FACING_BACK_IN),
    Part("mammillary process", (19.0, 29.0, 9.0), (22.0, 32.0, 12.5), (6.0, 4.0)),
    Part("pars interarticularis", (16.0, 26.5, 3.0), (13.5, 33.0, -9.0), (7.0, 6.5), 1.2, _BACK),
    Part("lamina", (13.0, 32.0, -7.0), (2.0, 37.5, -7.0), (10.5, 10.5), 2.9, _LAMINA),
    Part("inferior articular process", (13.5, 35.0, -12.0), (14.5, 40.0, -22.0), (7.0, 6.0), 1.2, FACING_BACK_IN),
    Part("spinous process", (0.0, 36.0, -6.0), (0.0, 58.0, -8.0), (12.0, 11.0), 3.2),
    Part("tip of the spinous process", (0.0, 58.0, -8.0), (0.0, 61.0, -9.0), (10.0, 9.0), 2.2, blend_mm=3.0),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class VertebraForm:
    """How long, wide and deep a vertebra is.

    Parameters
    ----------
    body_half_mm : (2,) float
        Half-width and half-depth of the body at its endplates (L5 about 52 x 35, L4 50 x 34 mm, recalled).
    front_mm, back_mm : float
        Height of the body in front and behind (L5 28 and 24, L4 28 and 27 mm, recalled).
    hollow_mm : float
        How far the back of the body is hollowed (default).
    canal_half_width_mm, canal_height_mm : float
        Triangular vertebral canal (between the pedicles 26, front to back 17 mm, recalled).
    arch : tuple of Part
        Left half of the arch and its processes (default; looked at beside a CT).
    """

    body_half_mm: tuple[float, float]
    front_mm: float
    back_mm: float
    hollow_mm: float
    canal_half_width_mm: float
    canal_height_mm: float
    arch: tuple[Part, ...]

    @property
    def height_mm(self) -> float:
        """Height of the body in its middle, without the dish."""
        return 0.5 * (self.front_mm + self.back_mm)

    @property
    def wedge_deg(self) -> float:
        """Angle between the endplates, open to the front."""
        return float(np.degrees(np.arctan2(self.front_mm - self.back_mm, 2.0 * self.body_half_mm[1])))

    @property
    def wall_y_mm(self) -> float:
        """Back of the body in the midline, y in the vertebra's frame."""
        return self.body_half_mm[1] - 0.5 - self.hollow_mm

    def resized(self, width: float, depth: float) -> VertebraForm:
        """Wider and deeper by factors; the arch keeps its thickness and moves with the body.

        Examples
        --------
        >>> L5.resized(1.1, 1.0).body_half_mm[0] > L5.body_half_mm[0]
        True
        """
        half = (self.body_half_mm[0] * width, self.body_half_mm[1] * depth)
        back = half[1] - self.body_half_mm[1]

        def moved(p: Point) -> Point:
            return min(p[0], TRUNK_X_MM) * width + max(p[0] - TRUNK_X_MM, 0.0), p[1] + back, p[2]

        arch = tuple(replace(a, start_mm=moved(a.start_mm), end_mm=moved(a.end_mm)) for a in self.arch)
        return replace(self, body_half_mm=half, canal_half_width_mm=self.canal_half_width_mm * width, arch=arch)


L5: Final = VertebraForm((26.0, 17.5), 28.0, 24.0, 1.3, 13.5, 16.5, _L5_ARCH + _STOUT)
"""The fifth lumbar vertebra with its stout, conical transverse processes."""

L4: Final = VertebraForm((25.0, 17.0), 28.0, 27.0, 2.0, 12.5, 16.0, _L4_ARCH + _SLENDER)
"""The fourth: squarer, its transverse processes slender blades, its spinous process tall."""

L5_SACRALISED: Final = replace(L5, front_mm=25.0, back_mm=24.0, arch=_L5_ARCH + _BROAD)
"""A fifth one with broad transverse processes that reach down to the ala (CASTELLVI type II; sizes default)."""

L5_ABOVE_LUMBARISED_S1: Final = replace(L5, front_mm=28.0, back_mm=26.0, arch=_L5_ARCH + _SLENDER)
"""A fifth one that is not the last: body squarer, transverse processes slender, as those of a fourth (default)."""


class Vertebra:
    """The implicit shape of one vertebra in its own frame.

    Parameters
    ----------
    form : VertebraForm
        Its sizes.

    Examples
    --------
    >>> bone = Vertebra(L5)
    >>> inside_body, inside_canal = bone.bone_mm(np.array([[0.0, 0.0, 0.0], [0.0, 24.0, 0.0]]))
    >>> bool(inside_body < 0 < inside_canal)
    True
    """

    def __init__(self, form: VertebraForm) -> None:
        self.form = form
        self._arch = Parts(form.arch, mirrored=True)
        half_x, half_y = form.body_half_mm
        reach = (half_x + 1.0, half_y + 1.0, 0.5 * max(form.front_mm, form.back_mm) + 1.0)
        self.high_mm = np.maximum(self._arch.high_mm, reach)
        self.low_mm = np.minimum(self._arch.low_mm, -np.array(reach))

    def canal_mm(self, p: Array) -> Array:
        """First-order signed distance to the wall of the vertebral canal, endless along z, positive outside it."""
        height = np.full(len(p), self.form.canal_height_mm)
        middle = self.form.wall_y_mm + self.form.canal_height_mm / 2.0
        width = np.full(len(p), self.form.canal_half_width_mm)
        return rounded_triangle(p[:, 0], p[:, 1] - middle, width, height, 0.28 * height)

    def body_mm(self, p: Array) -> Array:
        """First-order signed distance to the body alone."""
        form = self.form
        x, y, z = p[:, 0], p[:, 1], p[:, 2]
        half_x, half_y = form.body_half_mm
        half_z = form.height_mm / 2.0
        bulge = 1.0 - np.clip(z / half_z, -1.0, 1.0) ** 2
        width, depth = half_x * (1.0 - WAIST[0] * bulge), (half_y + WIDEST_Y_MM) * (1.0 - WAIST[1] * bulge)
        round_ = ellipse(x, y - WIDEST_Y_MM, width, depth, SECTION_POWER)
        wall = form.wall_y_mm + form.hollow_mm * np.minimum((x / 13.0) ** 2, 2.0)
        round_ = smooth_max(round_, y - wall, 6.0)
        dish = DISH_MM * np.maximum(1.0 - (x / (0.8 * half_x)) ** 2 - (y / (0.8 * half_y)) ** 2, 0.0)
        tilt = np.tan(np.deg2rad(form.wedge_deg / 2.0))
        return smooth_max(round_, np.abs(z) - half_z + tilt * y + dish, 2.5)

    def bone_mm(self, p: Array) -> Array:
        """First-order signed distance to the whole vertebra; a lower bound of it far away."""
        return near_box(p, self.low_mm, self.high_mm, self._bone_mm)

    def _bone_mm(self, p: Array) -> Array:
        whole = smooth_min(self.body_mm(p), self._arch.exact_mm(p), 5.0)
        return smooth_max(whole, -self.canal_mm(p), 2.0)
