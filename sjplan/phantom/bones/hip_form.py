"""Where the parts of a hip bone lie, how long, wide and thick they are: numbers alone, by anatomical names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Pelvic frame: x to this side, y posterior, z cranial as in a supine scan, origin at the centre of the S1 endplate; mm.
# Positions and thicknesses are such that the bone lies amid those of nine adults, the surfaces of the JHU pelvis atlas
# (Han et al. 2019, CC BY 4.0) brought to one size; `proportions` brings them to published widths. No one person's bone.
# They turn with the sacrum by the weight in the last column, so that the back of the blade keeps to the joint at every
# sacral slope.

Point = tuple[float, float, float]

REFERENCE_SLOPE_DEG: Final = 22.0
"""Slope of the S1 endplate in the hips' own frame at which the positions below are given."""

_OUTLINE: Final = (
    # y, z, weight: ASIS, crest from front to back, PSIS, PIIS, greater notch, back of the socket, front, AIIS
    (-73.0, -49.8, 0.0), (-65.3, -13.1, 0.0), (-43.1, 3.2, 0.0), (-27.0, 14.4, 0.0), (-1.8, 29.8, 0.1),
    (24.9, 33.3, 0.3), (39.7, 19.0, 0.6), (52.4, 2.0, 0.9), (59.7, -12.8, 1.0), (61.4, -22.9, 1.0),
    (58.0, -40.6, 1.0), (44.7, -53.8, 1.0), (44.0, -62.1, 1.0), (41.5, -59.3, 1.0), (31.9, -62.5, 0.9),
    (5.9, -54.6, 0.5), (7.3, -61.0, 0.1), (9.7, -84.2, 0.0), (15.9, -104.4, 0.0), (-13.0, -103.7, 0.0),
    (-31.6, -114.8, 0.0), (-50.1, -112.2, 0.0), (-49.3, -88.3, 0.0), (-57.8, -72.1, 0.0), (-63.6, -61.6, 0.0),
    (-59.4, -52.3, 0.0), (-70.6, -51.2, 0.0),
)  # fmt: skip

NOTCH: Final = (10, 18)
"""Places of the outline between which the greater sciatic notch lies: the PIIS, and the back of the socket."""

_BLADE: Final = (
    # y, z, x of the middle, half-thickness, weight
    (-72.0, -33.0, 109.2, 5.9, 0.0), (-62.0, -14.0, 119.3, 7.7, 0.0), (-51.0, 10.0, 126.4, 8.4, 0.0),
    (-31.0, 31.0, 128.8, 6.1, 0.0), (0.0, 40.0, 111.4, 6.0, 0.1), (25.0, 36.0, 76.7, 5.5, 0.3),
    (46.0, 26.0, 69.9, 6.3, 0.6), (58.0, 12.0, 52.3, 5.1, 0.9), (67.0, -4.0, 44.1, 5.6, 1.0),
    (58.0, -38.0, 43.1, 3.9, 1.0), (-48.0, -20.0, 113.7, 6.8, 0.0), (-25.0, 0.0, 123.9, 7.7, 0.0),
    (-12.0, 15.0, 112.4, 4.7, 0.1), (-20.0, -25.0, 100.1, 4.1, 0.0), (14.0, 20.0, 87.1, 4.5, 0.3),
    (-3.0, -6.0, 92.1, 3.7, 0.4), (-12.0, -12.0, 97.5, 2.5, 0.2), (-8.0, -50.0, 72.1, 9.5, 0.0),
    (-35.0, -55.0, 91.3, 8.8, 0.0), (-57.0, -70.0, 90.5, 4.2, 0.0), (-30.0, -75.0, 79.6, 12.5, 0.0),
    (5.0, -70.0, 71.3, 8.0, 0.1), (20.0, -58.0, 54.0, 9.3, 0.5), (-5.0, -95.0, 76.4, 5.8, 0.0),
    (-40.0, -95.0, 74.9, 12.4, 0.0), (-20.0, -115.0, 62.5, 11.9, 0.0),
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
         ((76.0, -40.0, -93.5), (54.0, -52.0, -104.0), (35.0, -57.0, -112.5), (19.0, -66.0, -118.0),
          (6.0, -66.0, -122.5), (6.0, -54.0, -142.0), (21.0, -39.0, -146.0), (37.0, -25.0, -152.0),
          (54.0, -10.0, -156.5), (61.0, 4.5, -151.0), (66.5, 13.5, -138.0), (67.0, -8.0, -123.0),
          (71.5, -11.0, -92.5)),
         (13.0, 8.0, 8.5, 8.5, 11.0, 7.5, 7.0, 8.0, 11.0, 12.0, 11.5, 12.5, 12.5)),
    Limb("pubic body", ((18.0, -64.0, -126.0), (18.0, -51.0, -139.0)),
         (6.5, 7.0)),
    Limb("ischial spine", ((67.5, 1.0, -97.0), (63.0, 13.0, -111.0), (52.0, 20.0, -112.0)),
         (8.4, 7.3, 3.1)),
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
    socket_radius_mm: float = 24.2
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
