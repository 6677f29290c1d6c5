"""A guide pin in the hand: pushed through soft tissue, tapped into bone, redirected, bent.

Forces and what a hand or a hammer does are defaults: no source gives them for this operation. Their order follows from
densities: a blow of one joule drives a pin of 3.2 mm about 3 mm through cancellous bone, 1 mm through cortex.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from sjplan.core.arrays import Array, check_unit, check_vector, unit
from sjplan.core.errors import GeometryError
from sjplan.core.frames import SIDE_SIGN
from sjplan.core.plan import Side
from sjplan.training.tissue import BONES, Tissue

PIN_LENGTH_MM: Final = 230.0
HAND_N: Final = 60.0
"""A hand pushes no harder than this: bone stops it."""

STEP_MM: Final = 0.25
SHAFT_N_PER_MM: Final = 3.0
BOUND_N_PER_DEG: Final = 40.0
"""Friction of each millimetre of shaft in bone, and of each degree that the pin is bent."""

PLUNGE_MM: Final = 8.0
"""No blow drives a pin farther than this: the surgeon holds it."""

SEATED_MM: Final = 2.0
SKID_FROM_DEG: Final = 45.0
SKID_MM_PER_JOULE: Final = 4.0
SHORTEST_SKID_MM: Final = 0.3
LONGEST_SKID_MM: Final = 6.0
"""A tip that is not yet seated so deep slides along a cortex that it meets more obliquely than this; one that would
slide for less bites."""

FIXED_AT_MM: Final = 12.0
BENT_DEG: Final = 8.0
BROKEN_DEG: Final = 20.0
"""Held by so much bone a pin does not turn at all; what it is turned in spite of that bends it, for good from
`BENT_DEG`, and breaks it at `BROKEN_DEG`."""

GAP_MM: Final = 5.0
"""A pin that has left bone for longer than this is out of it; joints and labels' gaps are narrower."""


@dataclass(frozen=True, slots=True, eq=False)
class Pin:
    """A guide pin from where it passes the skin.

    Parameters
    ----------
    side : {"left", "right"}
        The side it is put in from.
    skin_lps_mm : (3,) float
        Where it passes the skin.
    axis : (3,) float
        Unit vector from skin to tip.
    depth_mm : float
        From skin to tip.
    bend_deg : float
        How far it is bent.
    broken : bool
        A broken pin can only be taken out.
    """

    side: Side
    skin_lps_mm: Array
    axis: Array
    depth_mm: float = 0.0
    bend_deg: float = 0.0
    broken: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "skin_lps_mm", check_vector("skin_lps_mm", self.skin_lps_mm))
        object.__setattr__(self, "axis", check_unit("axis", self.axis))
        if not 0.0 <= self.depth_mm <= PIN_LENGTH_MM:
            raise GeometryError("depth_mm", found=f"{self.depth_mm:g}", wanted=f"0 to {PIN_LENGTH_MM:g} mm")

    @property
    def tip_lps_mm(self) -> Array:
        """The tip."""
        return np.asarray(self.skin_lps_mm + self.depth_mm * self.axis)

    @property
    def outer_end_lps_mm(self) -> Array:
        """The end that stands out of the skin."""
        return np.asarray(self.tip_lps_mm - PIN_LENGTH_MM * self.axis)

    def along(self, start_mm: float, stop_mm: float) -> Array:
        """Points (n, 3) every `STEP_MM` of the line through the pin, from the skin."""
        s = np.arange(start_mm, stop_mm + 1e-9, STEP_MM)
        return np.asarray(self.skin_lps_mm + s[:, None] * self.axis)


@dataclass(frozen=True, slots=True)
class Feel:
    """What the hand feels of one move: how far the tip went and slid, and the largest and last force on it."""

    advanced_mm: float = 0.0
    skidded_mm: float = 0.0
    peak_n: float = 0.0
    last_n: float = 0.0


@dataclass(frozen=True, slots=True)
class Held:
    """What of a pin is held by bone.

    Parameters
    ----------
    first_mm : float or None
        Depth at which it enters bone; None for a pin in soft tissue.
    bone_mm : float
        Length inside bone.
    exits_mm : tuple of float
        Depths at which it left bone for longer than `GAP_MM`, to come back or not.
    tip_in : str
        What the tip lies in, a name of `BONES`.
    """

    first_mm: float | None
    bone_mm: float
    exits_mm: tuple[float, ...]
    tip_in: str


def direction(side: Side, cranial_deg: float, ventral_deg: float) -> Array:
    """Unit vector medially from one side, turned cranially (in the coronal plane) and ventrally (in the axial plane).

    Examples
    --------
    >>> [round(float(v), 3) for v in direction("left", 0.0, 45.0)]
    [-0.707, -0.707, 0.0]
    """
    rise, fore = (math.tan(math.radians(a)) for a in (cranial_deg, ventral_deg))
    return unit((-SIDE_SIGN[side], -fore, rise))


def angles_deg(side: Side, axis: Array) -> tuple[float, float]:
    """The inverse of `direction`: degrees cranially and ventrally."""
    medial = -SIDE_SIGN[side] * float(axis[0])
    return math.degrees(math.atan2(float(axis[2]), medial)), math.degrees(math.atan2(-float(axis[1]), medial))


def held(tissue: Tissue, pin: Pin) -> Held:
    """Where a pin lies in bone."""
    inside = tissue.bone(pin.along(0.0, pin.depth_mm))
    bone = np.flatnonzero(inside > 0)
    if not len(bone):
        return Held(None, 0.0, (), BONES[0])
    ends = np.append(bone, len(inside))
    left = ends[:-1][np.diff(ends) > GAP_MM / STEP_MM + 1]
    return Held(float(bone[0]) * STEP_MM, len(bone) * STEP_MM, tuple((left * STEP_MM).tolist()), BONES[inside[-1]])


def pushed(tissue: Tissue, pin: Pin, distance_mm: float) -> tuple[Pin, Feel]:
    """The pin pushed by hand, as far as it goes with `HAND_N`."""
    stop = min(pin.depth_mm + distance_mm, PIN_LENGTH_MM)
    force = tissue.resistance_n(pin.along(pin.depth_mm, stop))
    hard = np.flatnonzero(force[1:] > HAND_N)
    steps = int(hard[0]) if len(hard) else len(force) - 1
    met = force[: steps + 2]
    moved = replace(pin, depth_mm=min(pin.depth_mm + steps * STEP_MM, stop))
    return moved, Feel(steps * STEP_MM, 0.0, float(met.max()), float(met[-1]))


def tapped(tissue: Tissue, pin: Pin, joules: float, normal: Array | None, rng: np.random.Generator) -> tuple[Pin, Feel]:
    """The pin after one blow.

    Parameters
    ----------
    tissue : Tissue
        The patient.
    pin : Pin
        Before.
    joules : float
        Energy of the blow.
    normal : (3,) float or None
        Outward normal of the cortex that the tip stands on; None where it is not at a cortex.
    rng : Generator
        How far a tip skids.
    """
    where = held(tissue, pin)
    if normal is not None and where.bone_mm < SEATED_MM:
        slid = _skidded(tissue, pin, joules, normal, rng)
        if slid is not None:
            return slid
    stop = min(pin.depth_mm + PLUNGE_MM, PIN_LENGTH_MM)
    points = pin.along(pin.depth_mm, stop)[1:]
    tip = tissue.resistance_n(points)
    shaft = where.bone_mm + STEP_MM * np.cumsum(tissue.bone(points) > 0)
    force = tip + SHAFT_N_PER_MM * shaft + BOUND_N_PER_DEG * pin.bend_deg
    spent = np.cumsum(force) * STEP_MM / 1000.0
    steps = int(np.searchsorted(spent, joules, side="right"))
    met = force[: steps + 1]
    feel = Feel(steps * STEP_MM, 0.0, float(met.max(initial=0.0)), float(met[-1]) if len(met) else 0.0)
    return replace(pin, depth_mm=min(pin.depth_mm + steps * STEP_MM, stop)), feel


def _skidded(
    tissue: Tissue, pin: Pin, joules: float, normal: Array, rng: np.random.Generator
) -> tuple[Pin, Feel] | None:
    """The pin slid along an oblique cortex, if it is oblique enough; skin stays, tip moves."""
    against = -float(pin.axis @ normal)
    oblique = math.degrees(math.acos(min(max(against, 0.0), 1.0)))
    if oblique <= SKID_FROM_DEG:
        return None
    over = math.tan(math.radians(min(oblique, 80.0))) - math.tan(math.radians(SKID_FROM_DEG))
    slide = min(SKID_MM_PER_JOULE * joules * over * (0.5 + rng.random()), LONGEST_SKID_MM)
    if slide < SHORTEST_SKID_MM:
        return None
    along = unit(pin.axis + against * normal)
    reach = pin.tip_lps_mm + slide * along - pin.skin_lps_mm
    length = float(np.linalg.norm(reach))
    force = float(tissue.resistance_n((pin.tip_lps_mm + STEP_MM * pin.axis)[None])[0])
    moved = replace(pin, axis=reach / length, depth_mm=min(length, PIN_LENGTH_MM))
    return moved, Feel(0.0, slide, force, force)


def withdrawn(tissue: Tissue, pin: Pin, distance_mm: float) -> Pin:
    """The pin drawn back; free of bone it is straight again, unless it was bent for good."""
    moved = replace(pin, depth_mm=max(pin.depth_mm - distance_mm, 0.0))
    free = held(tissue, moved).bone_mm < SEATED_MM
    return replace(moved, bend_deg=0.0) if free and pin.bend_deg < BENT_DEG else moved


def tilted(tissue: Tissue, pin: Pin, axis: Array) -> Pin:
    """The pin turned to another axis, about the skin, or about where it enters bone as far as that lets it.

    What bone does not let it turn bends it.
    """
    where = held(tissue, pin)
    if where.first_mm is None:
        return replace(pin, axis=axis)
    free = max(0.0, 1.0 - where.bone_mm / FIXED_AT_MM)
    asked = math.degrees(math.acos(min(max(float(pin.axis @ axis), -1.0), 1.0)))
    pivot = pin.skin_lps_mm + where.first_mm * pin.axis
    turned = unit((1.0 - free) * pin.axis + free * axis)
    bend = pin.bend_deg + (1.0 - free) * asked
    skin = pivot - where.first_mm * turned
    return replace(pin, skin_lps_mm=skin, axis=turned, bend_deg=bend, broken=pin.broken or bend >= BROKEN_DEG)
