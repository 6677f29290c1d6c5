"""Screws that are out on purpose, one in each of the ways that a study put them into cadavers (KIM16).

Each begins as the widest S1 corridor of one side and is moved until its envelope is in the wanted structure by so much.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array, unit
from sjplan.core.frames import SIDE_SIGN
from sjplan.core.implant import ImplantModel
from sjplan.core.limits import Limits
from sjplan.core.plan import Side
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import envelope_solid
from sjplan.geometry.triangle_tree import solid_to_surface
from sjplan.planning.corridors import Corridor
from sjplan.safety.depth import depths_mm
from sjplan.safety.measures import clearances
from sjplan.safety.surfaces import MeasuringSurfaces, measuring_surfaces
from sjplan.safety.types import Clearance

SCREW: Final = ImplantModel("screw-7.3", "iliosacral screw, 7.3 mm", "cylinder", 3.65, 3.65, (80.0,))

_STEP_MM, _FARTHEST_MM = 1.0, 40.0
_HALVINGS: Final = 10
_FINDABLE_MM: Final = 1.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one malposition is made.

    The axis is moved along (posterior, cranial) `way` until the envelope's distance to `structure` is `distance_mm`. It
    is aimed at where the corridor passes `aim_lateral_mm` beside the midline, turning about the joint; `parallel` moves
    all of it. The tip lies `tip_lateral_mm` beside the midline.
    """

    structure: str
    distance_mm: float
    way: tuple[float, float]
    aim_lateral_mm: float
    tip_lateral_mm: float
    parallel: bool = False


RECIPES: Final = {
    "anterior, mid S1 body": Recipe("anterior", -3.0, (-1.0, 0.0), 0.0, 0.0),
    "anterior, lateral S1 body": Recipe("anterior", -3.0, (-1.0, 0.0), 24.0, 4.0, parallel=True),
    "abutting the back of S1": Recipe("canal", 0.5, (1.0, 0.0), 0.0, 0.0),
    "through the back of S1": Recipe("canal", -4.0, (1.0, 0.0), 0.0, 0.0),
    "superior, far ala": Recipe("superior", -3.0, (0.0, 1.0), 32.0, 26.0, parallel=True),
    "superior, S1 body": Recipe("superior", -3.0, (0.0, 1.0), 0.0, 0.0),
    "partly in the S1 foramen": Recipe("foramen_S1", -2.0, (0.0, -1.0), 24.0, 12.0),
    "wholly in the S1 foramen": Recipe("foramen_S1", -6.0, (0.0, -1.0), 24.0, 12.0),
}
"""Kim's eight. Depths and tips are ours."""


@dataclass(frozen=True, slots=True, eq=False)
class Malposition:
    """A screw that is out, where it crosses the joint, the structure that it was moved into, and all its clearances."""

    trajectory: Trajectory
    crossing_lps_mm: Array
    structure: str
    clearances: tuple[Clearance, ...]

    @property
    def distance_mm(self) -> float:
        """Of the envelope from the structure."""
        return next(c.envelope_mm for c in self.clearances if c.structure == self.structure)


def malpositions(anatomy: Anatomy, side: Side, corridor: Corridor, limits: Limits) -> dict[str, Malposition]:
    """The eight malpositions of one side by name; those that no move reaches are left out.

    Parameters
    ----------
    corridor : Corridor
        The S1 corridor from that side's ilium to the midline; found.
    """
    surfaces = measuring_surfaces(anatomy, side)
    found = {}
    if not corridor.found:
        return {}
    for name, recipe in RECIPES.items():
        made = _made(anatomy, side, corridor, recipe, surfaces)
        if made is None:
            continue
        trajectory, crossing = made
        measured = clearances(surfaces, trajectory, limits, passes=False)
        found[name] = Malposition(trajectory, crossing, _structure(recipe, side), measured)
    return found


def _made(
    anatomy: Anatomy, side: Side, corridor: Corridor, recipe: Recipe, surfaces: MeasuringSurfaces
) -> tuple[Trajectory, Array] | None:
    structure = _structure(recipe, side)

    def distance(shift_mm: float) -> float:
        trajectory, _ = _moved(anatomy, side, corridor, recipe, shift_mm)
        solid = envelope_solid(trajectory)
        apart = solid_to_surface(surfaces.dangers[structure], solid)[0]
        return apart if apart > 0.0 else -depths_mm(surfaces, solid, [structure])[structure]

    if structure not in surfaces.dangers:
        return None
    shifts = np.arange(0.0, _FARTHEST_MM, _STEP_MM)
    reached = next((float(s) for s in shifts if distance(float(s)) <= recipe.distance_mm), None)
    if reached is None:
        return None
    low, high = max(reached - _STEP_MM, 0.0), reached
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if distance(middle) <= recipe.distance_mm else (middle, high)
    return (
        _moved(anatomy, side, corridor, recipe, high)
        if abs(distance(high) - recipe.distance_mm) < _FINDABLE_MM
        else None
    )


def _moved(
    anatomy: Anatomy, side: Side, corridor: Corridor, recipe: Recipe, shift_mm: float
) -> tuple[Trajectory, Array]:
    """The screw moved by so much, and its crossing of the joint."""
    frame, sign = anatomy.frame, SIDE_SIGN[side]
    assert corridor.start_lps_mm is not None
    assert corridor.end_lps_mm is not None
    start, end = frame.frame_from_lps(np.stack([corridor.start_lps_mm, corridor.end_lps_mm]))
    joint = frame.frame_from_lps(anatomy.joints[side].sacral_lps_mm)
    axis = unit(end - start)
    off = joint - start - ((joint - start) @ axis)[:, None] * axis
    crossing = start + float(((joint - start) @ axis)[int(np.argmin((off**2).sum(axis=1)))]) * axis
    move = shift_mm * np.array([0.0, *recipe.way])
    pivot = crossing + (move if recipe.parallel else 0.0)
    aim = crossing + (sign * recipe.aim_lateral_mm - crossing[0]) / axis[0] * axis + move
    axis = unit(aim - pivot)
    tip = pivot + (sign * recipe.tip_lateral_mm - pivot[0]) / axis[0] * axis
    entry = pivot - float(np.linalg.norm(crossing - start)) * axis
    return Trajectory(frame.lps_from_frame(entry), frame.lps_from_frame(tip), 0.0, SCREW), frame.lps_from_frame(pivot)


def _structure(recipe: Recipe, side: Side) -> str:
    return f"{recipe.structure}_{side}" if recipe.structure.startswith("foramen") else recipe.structure
