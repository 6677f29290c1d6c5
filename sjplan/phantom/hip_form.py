"""Where the parts of a hip bone lie, how long, wide and thick they are: numbers alone, by anatomical names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Pelvic frame: x to this side, y posterior, z cranial as in a supine scan, origin at the centre of the S1 endplate; mm.
# Positions are defaults, set by eye to published widths (ASIS to ASIS 238 mm, APP); they turn with the sacrum by the
# weight in the last column, so that the back of the blade keeps to the joint at every sacral slope.

Point = tuple[float, float, float]

REFERENCE_SLOPE_DEG: Final = 40.0
"""Sacral slope at which the positions below are given (MACTH)."""

_OUTLINE: Final = (
    # y, z, weight: ASIS, crest from front to back, PSIS, PIIS, greater notch, back of the socket, front, AIIS
    (-73.0, -33.0, 0.0), (-63.0, -15.0, 0.0), (-52.0, 11.0, 0.0), (-31.0, 32.0, 0.0), (0.0, 41.0, 0.1),
    (25.0, 37.0, 0.3), (44.0, 27.0, 0.6), (59.0, 13.0, 0.9), (69.0, -3.0, 1.0), (64.0, -15.0, 1.0), (57.5, -28.0, 1.0),
    (56.0, -43.0, 1.0), (54.5, -53.5, 1.0), (48.0, -53.0, 1.0), (38.0, -49.5, 0.9), (27.0, -54.0, 0.5),
    (18.5, -66.0, 0.1),
    (17.0, -84.0, 0.0), (16.0, -103.0, 0.0), (-10.0, -116.0, 0.0), (-30.0, -118.0, 0.0), (-48.0, -108.0, 0.0),
    (-57.0, -90.0, 0.0), (-59.0, -72.0, 0.0), (-55.0, -61.0, 0.0), (-59.0, -51.0, 0.0), (-67.0, -42.0, 0.0),
)  # fmt: skip

_BLADE: Final = (
    # y, z, x of the middle, half-thickness, weight
    (-72.0, -33.0, 118.0, 5.5, 0.0), (-62.0, -14.0, 126.0, 6.0, 0.0), (-51.0, 10.0, 133.0, 7.0, 0.0),
    (-31.0, 31.0, 133.0, 6.0, 0.0), (0.0, 40.0, 117.0, 5.5, 0.1), (25.0, 36.0, 93.0, 6.0, 0.3),
    (46.0, 26.0, 72.0, 7.0, 0.6), (58.0, 12.0, 58.0, 8.0, 0.9), (67.0, -4.0, 48.0, 7.5, 1.0),
    (58.0, -38.0, 47.0, 7.0, 1.0), (-48.0, -20.0, 119.0, 4.0, 0.0), (-25.0, 0.0, 115.0, 2.6, 0.0),
    (-12.0, 15.0, 110.0, 2.8, 0.1), (-20.0, -25.0, 101.0, 4.5, 0.0), (14.0, 20.0, 86.0, 4.5, 0.3),
    (-3.0, -6.0, 76.0, 7.0, 0.4), (-12.0, -12.0, 88.0, 5.0, 0.2), (-8.0, -50.0, 79.0, 10.0, 0.0),
    (-35.0, -55.0, 97.0, 9.0, 0.0),
    (-57.0, -70.0, 98.0, 7.5, 0.0), (-30.0, -75.0, 90.0, 12.0, 0.0), (5.0, -70.0, 75.0, 11.0, 0.1),
    (20.0, -58.0, 66.0, 10.0, 0.5), (-5.0, -95.0, 78.0, 14.0, 0.0), (-40.0, -95.0, 84.0, 14.0, 0.0),
    (-20.0, -115.0, 84.0, 12.0, 0.0),
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
    Limb("ischium", ((76.0, 4.0, -88.0), (76.0, 4.0, -118.0), (67.0, 6.0, -150.0), (58.0, -10.0, -170.0)),
         (12.0, 14.0, 14.0, 11.5)),
    Limb("ischiopubic ramus", ((58.0, -12.0, -170.0), (36.0, -38.0, -163.0)), (8.5, 6.0)),
    Limb("inferior pubic ramus", ((36.0, -38.0, -163.0), (14.0, -55.0, -146.0)), (6.0, 7.5)),
    Limb("ischial spine", ((74.0, 12.0, -90.0), (54.0, 35.0, -98.0)), (10.0, 2.6)),
    Limb("root of the superior pubic ramus", ((80.0, -48.0, -90.0), (56.0, -60.0, -106.0)), (12.0, 8.0)),
    Limb("superior pubic ramus", ((56.0, -60.0, -106.0), (24.0, -64.0, -126.0)), (8.0, 8.0)),
    Limb("pubic body", ((24.0, -64.0, -126.0), (9.0, -63.0, -130.0)), (8.0, 9.0)),
    Limb("symphysis", ((9.0, -63.0, -129.0), (9.0, -54.0, -150.0)), (9.0, 8.0)),
)  # fmt: skip


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
    """

    centre_mm: Point = (88.0, -29.0, -96.0)
    head_radius_mm: float = 23.5
    socket_radius_mm: float = 26.0
    outline: tuple[Point, ...] = _OUTLINE
    blade: tuple[tuple[float, float, float, float, float], ...] = _BLADE
    limbs: tuple[Limb, ...] = _LIMBS
    symphysis_half_gap_mm: float = 2.2
    notch_chord: tuple[Point, Point] = ((69.0, -5.0, 1.0), (20.0, -150.0, 0.0))


ADULT_HIP: Final = HipForm()
