"""How true a view is, by the landmarks that a surgeon judges it by and not by its angles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array, unit
from sjplan.core.frames import AnatomicalFrame
from sjplan.views.fronts import front_points, midline_front
from sjplan.views.plane import seen_mm
from sjplan.views.true_lateral import DENSITY_MM, NEEDED, NOTCH_MM, offsets
from sjplan.xray.carm import carm_axes
from sjplan.xray.types import CArm

INLET_MM: Final = 2.0
OUTLET_MM: Final = 5.0
"""Farthest apart that an inlet shows the front walls of S1 and S2, and an outlet the top of the symphysis and S2."""


_S2_BELOW_MM: Final = 8.0


class LateralQuality(NamedTuple):
    """How far apart a lateral view shows the two notches and the two iliac densities, mm at the isocentre's scale."""

    notch_mm: float
    density_mm: float

    @property
    def true(self) -> bool:
        """Whether both lie as near as a true lateral has them."""
        return self.notch_mm <= NOTCH_MM and self.density_mm <= DENSITY_MM


def lateral_quality(
    frame: AnatomicalFrame, lines: Mapping[str, Array], carm: CArm, *, parallel: bool = False
) -> LateralQuality | None:
    """Offsets of the two sides in a view from the side; None where the lines are missing or share too little.

    With `parallel` along the central ray, which is what the arm's angles decide; without, from the tube as it stands,
    which shows the nearer side larger: structures off the central ray then lie apart in any pose.
    """
    if any(name not in lines for name in NEEDED):
        return None
    column, ray, up = carm_axes(carm)
    cranial = unit(frame.cranial - (frame.cranial @ ray) * ray)
    towards = np.stack([np.zeros(2), *((column @ way, up @ way) for way in (np.cross(cranial, ray), cranial))])
    found = offsets({name: seen_mm(lines[name], carm, parallel=parallel) @ towards.T for name in NEEDED})
    if found is None:
        return None
    return LateralQuality(float(np.hypot(*found.notch_mm)), abs(found.density_mm))


def inlet_offset_mm(anatomy: Anatomy, carm: CArm) -> float | None:
    """How far apart a view shows the front walls of S1 and S2 in the midline, mm at the isocentre's scale."""
    names = ("promontory", "s2_anterior")
    if not set(names) <= set(anatomy.landmarks):
        return None
    top, bottom = (float(anatomy.frame.frame_from_lps(anatomy.landmarks[name])[2]) for name in names)
    outline = midline_front(anatomy, top, bottom - _S2_BELOW_MM)
    points = anatomy.frame.lps_from_frame(np.column_stack([np.zeros(len(outline)), outline]))
    forward = seen_mm(points, carm)[:, 1] * (1.0 if carm_axes(carm)[2] @ anatomy.frame.posterior < 0 else -1.0)
    upper = outline[:, 1] >= 0.5 * (top + bottom)
    if upper.all() or not upper.any():
        return None
    return abs(float(forward[upper].max() - forward[~upper].max()))


def outlet_offset_mm(anatomy: Anatomy, carm: CArm) -> float | None:
    """How much higher or lower than the S2 foramina a view shows the top of the symphysis, mm; the worse side's."""
    mouths = [f.ventral.centre_lps_mm for f in anatomy.foramina if f.level == "S2" and f.ventral is not None]
    top = front_points(anatomy).get("symphysis_top")
    if not mouths or top is None:
        return None
    return max(_apart(carm, top, mouth) for mouth in mouths)


def _apart(carm: CArm, a: ArrayLike, b: ArrayLike) -> float:
    """How far apart two points lie up and down the image, mm at the isocentre's scale."""
    first, second = seen_mm(np.stack([a, b]), carm)[:, 1]
    return abs(float(first - second))
