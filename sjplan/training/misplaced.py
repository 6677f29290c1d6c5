"""Implants and pins that lie well or are out on purpose, made of a plan's and of random numbers.

One that is out begins as a planned one and is moved, turned or taken longer until its true solid lies out behind the
wanted structure by so much; the judge measures it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from sjplan.core.arrays import Array, unit
from sjplan.core.errors import AnatomyError
from sjplan.core.implant import ImplantModel
from sjplan.core.limits import Limits
from sjplan.core.plan import Plan
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import implant_solid
from sjplan.geometry.triangle_tree import solid_to_surface
from sjplan.safety.depth import sampled_depth_mm
from sjplan.safety.measures import PIN_RADIUS_MM, axis_passage, implant_margins
from sjplan.safety.surfaces import MeasuringSurfaces
from sjplan.safety.types import ImplantMargins
from sjplan.training.score import deepest_breach

PIN: Final = ImplantModel("pin-3.2", "guide pin", "cylinder", PIN_RADIUS_MM, PIN_RADIUS_MM, (230.0,))
"""A guide pin as a solid; its length here is what lies in bone."""

TOWARDS: Final[Mapping[str, tuple[tuple[int, float, float], ...]]] = {
    "foramen_S1": ((1, 0.0, 1.0), (0, 0.0, -1.0), (1, -0.5, 0.5)),
    "foramen_S2": ((2, 0.0, -1.0), (2, -0.5, -0.5), (1, 0.0, -1.0)),
    "canal": ((0, 1.0, 0.0), (1, 1.0, 0.0), (0, 1.0, -0.5)),
    "anterior": ((0, -1.0, 0.0), (1, -1.0, 0.0), (2, -1.0, 0.0)),
    "superior": ((0, 0.0, 1.0), (0, -0.4, 1.0)),
    "posterior": ((2, 1.0, 0.0), (1, 1.0, 0.0), (0, 1.0, 0.0)),
    "notch": ((2, -0.3, -1.0), (2, -1.0, -1.0)),
    "iliac_inner": ((0, -1.0, 0.3), (1, -1.0, 0.0)),
}
"""How an implant comes to lie out behind a structure: which of a plan's, and (posterior, cranial) where to."""

LONGER_MM: Final = (0.0, 10.0, 20.0, 30.0)
"""So much longer it may have to be to get there."""

SLANT_DEG: Final = 15.0
"""Each way out is turned by up to so much, so that no two are alike (default)."""

_STEP_MM, _FARTHEST_MM, _NEAR_MM = 1.0, 30.0, 0.1
_AWAY_MM: Final = 4.0
"""A path that has come so much farther again from where it should lead has missed it."""

_JITTER_MM, _JITTER_DEG = 2.0, 3.0
_PROTRUSION_MM: Final = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Misplaced:
    """One that is out behind a structure, and which of the plan's implants, from 0, it was made of."""

    trajectory: Trajectory
    slot: int
    structure: str


def misplaced(
    surfaces: MeasuringSurfaces,
    plan: Plan,
    limits: Limits,
    ways: Sequence[str],
    depth_mm: tuple[float, float],
    rng: np.random.Generator,
    *,
    pin: bool = False,
) -> Misplaced:
    """One of a plan's implants, or a pin on its axis, moved out of bone.

    Parameters
    ----------
    surfaces : MeasuringSurfaces
        Of the plan's side.
    ways : sequence of str
        Structures of `core.exercise.WAYS`, the one that is wanted first; the next is taken where no move leads there.
    depth_mm : (least, deepest)
        How deep its true solid lies out, at the structure that it lies deepest behind.

    Raises
    ------
    AnatomyError
        If none of the ways leads out in this patient.
    """
    for way in ways:
        structure = f"{way}_{plan.side}" if way.startswith("foramen_") else way
        if structure not in surfaces.dangers:
            continue
        least, deepest = depth_mm
        goal = float(rng.uniform(least + 0.3 * (deepest - least), deepest - 0.35 * (deepest - least)))
        moves = TOWARDS[way]
        for n in rng.permutation(len(moves)):
            slot, back, up = moves[n]
            if slot >= len(plan.trajectories):
                continue
            path = _as_pin(plan.trajectories[slot]) if pin else plan.trajectories[slot]
            slant = np.deg2rad(rng.uniform(-SLANT_DEG, SLANT_DEG))
            towards = np.array([np.cos(slant) * back - np.sin(slant) * up, np.sin(slant) * back + np.cos(slant) * up])
            for trajectory in _moved_out(surfaces, path, structure, unit(towards), goal):
                found = implant_margins(surfaces, 1, trajectory, limits)
                depth, behind = deepest_breach((found,))
                if behind == structure and least <= depth <= deepest and _goes_through(found):
                    return Misplaced(trajectory, slot, structure)
    raise AnatomyError(
        "implant out of bone", found=f"no way out behind {', '.join(ways)}", wanted="one", fix="choose another case"
    )


def well_placed(
    surfaces: MeasuringSurfaces,
    plan: Plan,
    limits: Limits,
    clear_mm: float,
    rng: np.random.Generator,
    *,
    pin: bool = False,
) -> Trajectory:
    """One of a plan's implants, or a pin on its axis, moved a little and still clear of everything by so much.

    Raises
    ------
    AnatomyError
        If even the plan's own are not.
    """
    for slot in rng.permutation(len(plan.trajectories)):
        path = _as_pin(plan.trajectories[slot]) if pin else plan.trajectories[slot]
        for share in (1.0, 0.5, 0.25, 0.0):
            shift, turn = (share * rng.normal(0.0, most, 2) for most in (_JITTER_MM, _JITTER_MM * _JITTER_DEG / 3.0))
            trajectory = _moved(surfaces, path, shift, shift + turn, 0.0)
            if trajectory is None:
                continue
            found = implant_margins(surfaces, 1, trajectory, limits)
            if found.margin_mm >= clear_mm and _goes_through(found):
                return trajectory
    raise AnatomyError(
        "implant in bone",
        found=f"none of the plan's {clear_mm:g} mm clear",
        wanted="a plan with more room",
        fix="choose another case",
    )


def _moved_out(
    surfaces: MeasuringSurfaces, path: Trajectory, structure: str, towards: Array, goal_mm: float
) -> Iterator[Trajectory]:
    """The implant turned or moved, and taken longer, until it lies so deep out: each way that leads there."""
    for longer_mm in _longer(path):
        for entry_share in (0.0, 1.0):

            def at(s: float, longer_mm: float = longer_mm, share: float = entry_share) -> Trajectory | None:
                return _moved(surfaces, path, share * s * towards, s * towards, longer_mm)

            found = _just_out(surfaces, structure, at, goal_mm)
            if found is not None:
                yield found


def _just_out(
    surfaces: MeasuringSurfaces, structure: str, at: Callable[[float], Trajectory | None], goal_mm: float
) -> Trajectory | None:
    """The first of a family of paths, by how far they are moved, that lies so deep out; None where none does."""
    low, high, nearest = 0.0, 0.0, np.inf
    while True:
        apart = _apart_mm(surfaces, at(high), structure)
        nearest = min(nearest, apart)
        if apart <= -goal_mm:
            break
        if high >= _FARTHEST_MM or apart > nearest + _AWAY_MM:
            return None
        # Seated anew, a path comes nearer by somewhat more than it is moved; half as far never steps over a wall.
        low, high = high, high + max(_STEP_MM, 0.5 * apart)
    while high - low > _NEAR_MM:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if _apart_mm(surfaces, at(middle), structure) <= -goal_mm else (middle, high)
    return at(high)


def _apart_mm(surfaces: MeasuringSurfaces, trajectory: Trajectory | None, structure: str) -> float:
    """From a true solid to a structure; minus its depth where it lies out behind that; infinite for no path."""
    if trajectory is None:
        return np.inf
    solid = implant_solid(trajectory)
    apart = solid_to_surface(surfaces.dangers[structure], solid)[0]
    return apart if apart > 0.0 else -sampled_depth_mm(surfaces, solid, structure)


def _moved(
    surfaces: MeasuringSurfaces, path: Trajectory, entry_by_mm: Array, tip_by_mm: Array, longer_mm: float
) -> Trajectory | None:
    """A path with its ends moved (posterior, cranial), seated again on the lateral ilium; None where it misses that."""
    frame = surfaces.anatomy.frame
    across = np.stack([frame.posterior, frame.cranial])
    entry, tip = path.entry_lps_mm + entry_by_mm @ across, path.tip_lps_mm + tip_by_mm @ across
    axis, length = unit(tip - entry), path.length_mm + longer_mm
    trial = replace(path, entry_lps_mm=entry - 10.0 * axis, tip_lps_mm=entry + length * axis)
    lateral = axis_passage(surfaces, trial).lateral_mm
    if lateral is None or lateral <= 0.0:
        return None
    seated = trial.entry_lps_mm + (lateral - _PROTRUSION_MM) * axis
    return replace(path, entry_lps_mm=seated, tip_lps_mm=seated + length * axis)


def _longer(path: Trajectory) -> tuple[float, ...]:
    """How much longer this one can be."""
    if path.model is PIN:
        return LONGER_MM
    return tuple(
        mm for mm in LONGER_MM if any(abs(path.length_mm + mm - length) < 1e-6 for length in path.model.lengths_mm)
    )


def _as_pin(path: Trajectory) -> Trajectory:
    return replace(path, model=PIN, roll_deg=0.0)


def _goes_through(found: ImplantMargins) -> bool:
    """Whether it passes the ilium and the joint, as one does that somebody meant well."""
    return found.crossing_lps_mm is not None and found.iliac_mm > 0.0
