"""Iliac arteries and veins along the pelvic brim, and the superior gluteal artery through the greater notch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike

from sjplan.core.arrays import Array
from sjplan.core.frames import SIDE_SIGN, SIDES
from sjplan.phantom.bones.shapes import Tube
from sjplan.phantom.courses.nerves import spine_of
from sjplan.phantom.courses.routing import Course, before_sacrum, foremost_mm, notch_roof_mm, on_gluteal_surface, routed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sjplan.phantom.pelvis import Pelvis

ARTERY_RADIUS_MM: Final = {"common": 5.0, "external": 4.0, "internal": 3.5}
VEIN_RADIUS_MM: Final = {"common": 6.0, "external": 5.0, "internal": 4.0}
"""Radii of the iliac vessels (recalled: common iliac artery about 10 mm wide, external 8)."""

GLUTEAL_RADIUS_MM: Final = (1.8, 1.2)
"""Radius of the superior gluteal artery at the notch and at the ends of its branches (default)."""

BEFORE_BODY_MM: Final = 8.0
"""Between the front of a vertebral body and the middle of a vessel before it (default)."""

FORK_MM: Final = {"artery": (36.0, 18.0, 3.0), "vein": (27.0, 13.0, -3.0)}
"""Forks of the common iliac vessels: from the midline, before the sacrum's front, above the S1 endplate (default)."""

FORK_Z_FRONT_MM: Final = -10.0
"""Sacral z where the ala's front is taken for the fork (default)."""

BRIM: Final = (
    (-34.0, 2.0, 44.0),
    (-24.0, -20.0, 30.0),
    (-13.0, -36.0, 16.0),
    (-8.0, -45.0, -4.0),
    (-6.0, -46.0, -24.0),
)
"""External iliac artery from behind forward, relative to the hip's centre, x to the side; pelvic frame (default)."""

VEIN_BESIDE_MM: Final = (-9.0, 5.0, -5.0)
"""The external vein relative to its artery: to the midline, behind and below (default)."""


def vessel_tubes(pelvis: Pelvis, nerves: Mapping[str, Tube]) -> dict[str, Tube]:
    """Iliac vessels and superior gluteal arteries, in LPS mm.

    Parameters
    ----------
    pelvis : Pelvis
        Finished shape.
    nerves : mapping of str to Tube
        What the vessels keep off besides bones, in LPS mm.

    Examples
    --------
    >>> from sjplan.phantom.parameters import PhantomParameters
    >>> from sjplan.phantom.pelvis import Pelvis
    >>> len(vessel_tubes(Pelvis(PhantomParameters()), {}))
    16
    """
    trunks = tuple(name for name in nerves if name.startswith("nerve_root"))
    arteries = routed(pelvis, [c for side in SIDES for c in _arteries(pelvis, side, trunks)], nerves)
    known = {**nerves, **arteries}
    near = (*trunks, *arteries)
    veins = routed(pelvis, [c for side in SIDES for c in _veins(pelvis, side, near)], known)
    return {**arteries, **veins}


def _fork(pelvis: Pelvis, side: str, vessel: str) -> Array:
    """Where common vessels divide, (3,) in LPS."""
    x, before, z = FORK_MM[vessel]
    y = foremost_mm(pelvis, SIDE_SIGN[side] * x, FORK_Z_FRONT_MM) - before
    return pelvis.lps_from_sacral(np.array((SIDE_SIGN[side] * x, y, z)))


def _brim(pelvis: Pelvis, side: str, beside: ArrayLike = (0.0, 0.0, 0.0)) -> Array:
    """Along the brim to the front of the hip, (5, 3) in LPS."""
    way = (np.array(BRIM) + np.asarray(beside)) + np.asarray(pelvis.hip[side].form.centre_mm)
    return pelvis.lps_from_pelvic(way * (SIDE_SIGN[side], 1.0, 1.0))


def _before(pelvis: Pelvis, level: str, x: float, z: float, gap_mm: float = BEFORE_BODY_MM) -> Array:
    """A point before the body of L4 or L5, (3,) in LPS; x signed, z from the body's middle."""
    spine = spine_of(pelvis)
    half_x, half_y = spine.vertebrae[level].form.body_half_mm
    front = half_y * np.sqrt(max(1.0 - (x / (half_x + 6.0)) ** 2, 0.1))
    return pelvis.lps_from_sacral(spine.places[level].sacral_mm(np.array([(x, -front - gap_mm, z)]))[0])


def _inner(pelvis: Pelvis, side: str, fork_lps_mm: Array, inward_mm: float, gap_mm: float) -> Array:
    """Internal vessels beyond the fork: a bend before the joint and the end inside the notch, (2, 3) in LPS."""
    roof = notch_roof_mm(pelvis, side)
    end = roof + np.array((-SIDE_SIGN[side] * inward_mm, -12.0, -4.0))
    fork = pelvis.pelvic_mm(fork_lps_mm[None])[0]
    bend = 0.5 * (fork + end) + np.array((0.0, -3.0, -4.0))
    return before_sacrum(pelvis, pelvis.lps_from_pelvic(np.array((bend, end))), gap_mm)


def _arteries(pelvis: Pelvis, side: str, nerves: tuple[str, ...]) -> list[Course]:
    sign, size, r = SIDE_SIGN[side], pelvis.parameters.size, ARTERY_RADIUS_MM
    fork = _fork(pelvis, side, "artery")
    # The aorta divides before the lower half of L4, a little to the left.
    common = np.array((_before(pelvis, "L4", 3.0 + 4.0 * sign, -4.0), _before(pelvis, "L5", 19.0 * sign, 4.0), fork))
    external = np.concatenate([fork[None], _brim(pelvis, side)])
    internal = np.concatenate([fork[None], _inner(pelvis, side, fork, 16.0, 9.0)])
    courses = [
        Course(f"{name}_iliac_artery_{side}", knots, np.full(len(knots), r[name] * size), others=nerves)
        for name, knots in (("common", common), ("external", external), ("internal", internal))
    ]
    return courses + _gluteal(pelvis, side, internal[-1], nerves)


def _gluteal(pelvis: Pelvis, side: str, origin_lps_mm: Array, nerves: tuple[str, ...]) -> list[Course]:
    """Superficial and deep branch: over the notch's upper edge, then up and forward on the gluteal surface."""
    sign, size, (thick, thin) = SIDE_SIGN[side], pelvis.parameters.size, GLUTEAL_RADIUS_MM
    roof = notch_roof_mm(pelvis, side)
    through = np.array(((-8.0 * sign, -3.0, -6.0), (2.0 * sign, 0.0, -6.0), (13.0 * sign, 1.0, -2.0)))
    ways = {
        "superior_gluteal_artery": np.array(((15.0, -2.0, 3.0), (19.0, -9.0, 8.0))),
        "superior_gluteal_artery_deep": np.array(((18.0, -14.0, -3.0), (26.0, -30.0, 3.0), (34.0, -46.0, 12.0))),
    }
    courses = []
    for name, way in ways.items():
        way = way * (sign, 1.0, 1.0)
        branch = on_gluteal_surface(pelvis, side, roof + way, thick + 2.0)
        knots = pelvis.lps_from_pelvic(np.concatenate([roof + through, branch]))
        knots = np.concatenate([origin_lps_mm[None], before_sacrum(pelvis, knots[:1], 5.0), knots[1:]])
        radii = np.array((thick, thick, thick, thick, *np.linspace(thick, thin, len(way))))
        courses.append(Course(f"{name}_{side}", knots, radii * size, 0.6, nerves))
    return courses


def _veins(pelvis: Pelvis, side: str, others: tuple[str, ...]) -> list[Course]:
    sign, size, r = SIDE_SIGN[side], pelvis.parameters.size, VEIN_RADIUS_MM
    fork = _fork(pelvis, side, "vein")
    # The vena cava begins right of the midline before L5: the left vein crosses the body, the right one runs steeply.
    common = np.array((_before(pelvis, "L5", -9.0, 6.0), _before(pelvis, "L5", 8.0 * sign - 5.0, -6.0), fork))
    external = np.concatenate([fork[None], _brim(pelvis, side, VEIN_BESIDE_MM)])
    internal = np.concatenate([fork[None], _inner(pelvis, side, fork, 24.0, 9.0)])
    return [
        Course(f"{name}_iliac_vein_{side}", knots, np.full(len(knots), r[name] * size), others=others)
        for name, knots in (("common", common), ("external", external), ("internal", internal))
    ]
