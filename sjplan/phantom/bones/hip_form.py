"""Where the parts of a hip bone lie, how long, wide and thick they are: numbers alone, by anatomical names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Pelvic frame: x to this side, y posterior, z cranial as in a supine scan, origin at the centre of the S1 endplate; mm.
# Positions and thicknesses are means over nine adults, measured on the surfaces of the JHU pelvis atlas (Han et al.
# 2019, CC BY 4.0); `proportions` brings them to published widths. No one person's bone. They turn with the sacrum by
# the weight in the last column, so that the back of the blade keeps to the joint at every sacral slope.

Point = tuple[float, float, float]

REFERENCE_SLOPE_DEG: Final = 22.0
"""Slope of the S1 endplate in the hips' own frame at which the positions below are given."""

_OUTLINE: Final = (
    # y, z, weight: ASIS, crest from front to back, PSIS, PIIS, greater notch, back of the socket, front, AIIS
    (-73.5, -45.9, 0.0), (-65.4, -8.8, 0.0), (-43.3, 8.6, 0.0), (-27.5, 23.6, 0.0), (-2.1, 40.0, 0.1),
    (26.0, 43.2, 0.3), (41.8, 28.7, 0.6), (54.5, 10.8, 0.9), (61.8, -4.4, 1.0), (64.6, -14.4, 1.0),
    (60.3, -32.0, 1.0), (46.7, -45.4, 1.0), (46.0, -53.5, 1.0), (44.0, -52.1, 1.0), (35.5, -54.6, 0.9),
    (10.9, -52.9, 0.5), (13.0, -59.8, 0.1), (15.9, -83.3, 0.0), (19.8, -103.9, 0.0), (-9.6, -103.3, 0.0),
    (-29.4, -112.7, 0.0), (-48.8, -109.5, 0.0), (-48.4, -85.8, 0.0), (-56.6, -69.7, 0.0), (-61.8, -59.2, 0.0),
    (-59.6, -49.7, 0.0), (-70.8, -47.3, 0.0),
)  # fmt: skip

NOTCH: Final = (10, 18)
"""Places of the outline between which the greater sciatic notch lies: the PIIS, and the back of the socket."""

_BLADE: Final = (
    # y, z, x of the middle, half-thickness, weight
    (-72.0, -33.0, 111.5, 6.0, 0.0), (-62.0, -14.0, 120.6, 7.4, 0.0), (-51.0, 10.0, 130.4, 8.3, 0.0),
    (-31.0, 31.0, 132.5, 6.2, 0.0), (0.0, 40.0, 110.5, 6.4, 0.1), (25.0, 36.0, 76.5, 5.6, 0.3),
    (46.0, 26.0, 71.6, 5.4, 0.6), (58.0, 12.0, 64.1, 4.9, 0.9), (67.0, -4.0, 46.9, 9.4, 1.0),
    (58.0, -38.0, 48.0, 4.1, 1.0), (-48.0, -20.0, 114.5, 5.8, 0.0), (-25.0, 0.0, 116.7, 7.1, 0.0),
    (-12.0, 15.0, 112.0, 4.1, 0.1), (-20.0, -25.0, 99.6, 3.5, 0.0), (14.0, 20.0, 81.1, 3.1, 0.3),
    (-3.0, -6.0, 87.0, 2.0, 0.4), (-12.0, -12.0, 96.2, 2.0, 0.2), (-8.0, -50.0, 76.6, 11.2, 0.0),
    (-35.0, -55.0, 94.5, 7.7, 0.0), (-57.0, -70.0, 92.0, 4.5, 0.0), (-30.0, -75.0, 85.1, 12.1, 0.0),
    (5.0, -70.0, 76.5, 8.7, 0.1), (20.0, -58.0, 57.6, 8.4, 0.5), (-5.0, -95.0, 84.2, 10.7, 0.0),
    (-40.0, -95.0, 74.4, 12.7, 0.0), (-20.0, -115.0, 55.8, 12.3, 0.0),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limb:
    """A chain of balls: from one to the next the space that a ball sweeps while its radius changes evenly.

    Parameters
    ----------
    name : str
        What it stands for.
    points_mm : tuple of (x, y, z)
        Centres.
    radii_mm : tuple of float
        Radii there.
    """

    name: str
    points_mm: tuple[Point, ...]
    radii_mm: tuple[float, ...]


_LIMBS: Final = (
    # root of the superior pubic ramus, ramus, tubercle, symphysis from top to bottom, inferior ramus, ramus of the
    # ischium, tuberosity from front to top, body of the ischium
    Limb("obturator ring",
         ((81.1, -43.4, -90.7), (59.3, -55.7, -100.5), (36.4, -57.4, -111.5), (21.9, -63.8, -118.5),
          (7.6, -58.0, -123.8), (9.1, -48.7, -144.8), (26.3, -43.1, -152.4), (41.8, -29.3, -161.8),
          (56.0, -14.4, -171.4), (55.6, 0.3, -153.9), (66.5, 17.8, -135.0), (69.9, 10.2, -114.3),
          (75.5, 3.2, -81.1)),
         (13.1, 6.1, 6.8, 7.7, 9.9, 5.5, 6.8, 7.5, 9.9, 12.8, 11.7, 13.1, 12.6)),
    Limb("pubic body", ((16.6, -61.5, -133.2), (21.0, -49.8, -142.7)),
         (3.8, 6.2)),
    Limb("ischial spine", ((70.8, 12.5, -87.6), (61.0, 27.9, -101.7), (50.2, 34.5, -101.1)),
         (8.4, 6.5, 3.1)),
)  # fmt: skip


SYMPHYSIS: Final = (4, 5)
"""Places of the obturator ring between which the symphysis lies."""


@dataclass(frozen=True, slots=True)
class HipForm:
    """The form of one hip bone at the reference slope, on the side where x is positive.

    Parameters
    ----------
    centre_mm : (x, y, z)
        Centre of the femoral head and of its socket.
    head_radius_mm, socket_radius_mm : float
        Radii of both.
    outline : tuple of (y, z, weight)
        Ilium and socket in the side view: ASIS, crest from front to back, PSIS, PIIS, greater notch, back of the
        socket, its front, AIIS.
    blade : tuple of (y, z, x, half-thickness, weight)
        Middle and half-thickness of the blade: thin in the fossa, thick along the crest, the brim and above the
        socket.
    limbs : tuple of Limb
        Ischium, pubis and their rami; joined in this order.
    symphysis_half_gap_mm : float
        Half of the symphysis' gap.
    notch_chord : two of (y, z, weight)
        PSIS and back of the ischial tuberosity in the side view: the notch's apex lies deepest below the line between.
    thickness_at_joint : two of tuples of float
        Sacral z and thickness of the ilium behind its articular face: about 20 mm at S1, 15 at S2 (CLINICAL 4.4).
    """

    centre_mm: Point = (86.7, -33.2, -95.6)
    head_radius_mm: float = 22.0
    socket_radius_mm: float = 25.3
    outline: tuple[Point, ...] = _OUTLINE
    blade: tuple[tuple[float, float, float, float, float], ...] = _BLADE
    limbs: tuple[Limb, ...] = _LIMBS
    symphysis_half_gap_mm: float = 2.2
    notch_chord: tuple[Point, Point] = ((69.0, -5.0, 1.0), (20.0, -150.0, 0.0))
    thickness_at_joint: tuple[tuple[float, ...], tuple[float, ...]] = ((-60.0, -35.0, -12.0), (11.0, 24.5, 15.2))

    @property
    def symphysis_mm(self) -> Point:
        """Middle of the symphysis, between both bones."""
        (_, y0, z0), (_, y1, z1) = (self.limbs[0].points_mm[n] for n in SYMPHYSIS)
        return 0.0, 0.5 * (y0 + y1), 0.5 * (z0 + z1)


ADULT_HIP: Final = HipForm()
