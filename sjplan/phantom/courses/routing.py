"""Leads tubes along waypoints of a pelvis, pushes them off bones and each other, and finds the places they pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import minimum_filter1d

from sjplan.core.arrays import Array
from sjplan.core.frames import SIDE_SIGN
from sjplan.phantom.bones.shapes import Tube

if TYPE_CHECKING:
    from sjplan.phantom.pelvis import Pelvis

STEP_MM: Final = 2.5
"""Between the points of a tube's centreline (default)."""

ROUNDS: Final = 14
"""How often centrelines are pushed and their displacement smoothed; they settle after about ten."""

LAST_ROUNDS: Final = 8
"""Pushes without smoothing at the end, so that every point is clear."""

LONGEST_PUSH_MM: Final = 4.0
"""Of one point in one round: distances are right near surfaces only."""

FOREMOST_BELOW_MM: Final = 18.0
"""How far below a point the front of the ala is looked for: its top falls to the front and side (default)."""

PASS_BELOW_MM: Final = 8.0
PASS_ROOM_MM: Final = 9.0
"""What passes the roof of the greater notch: how far below it, and its distance from the sacrum (default)."""

BONES: Final = ("sacrum", "hip_left", "hip_right", "vertebrae_L5", "vertebrae_L4", "femur_left", "femur_right")
"""What tubes keep off."""

THINNEST: Final = 0.5
"""Least share of its radius that a tube keeps where bones leave it no more room (default)."""

ROOM_PER_STEP: Final = 4
"""Places of each step at which that room is looked at."""

Distance = Callable[[Array], Array]


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Where a tube is meant to run.

    Parameters
    ----------
    name : str
        Name of the tube.
    knots_lps_mm : (n, 3) float
        Waypoints.
    radii_mm : (n,) float
        Radius at each, of the finished pelvis.
    clearance_mm : float
        Distance kept between the tube's wall and what it is pushed off.
    others : tuple of str
        Names of earlier tubes that it is pushed off as well.
    """

    name: str
    knots_lps_mm: Array
    radii_mm: Array
    clearance_mm: float = 1.0
    others: tuple[str, ...] = field(default=())

    def sampled(self) -> tuple[Array, Array]:
        """Points and radii every `STEP_MM` along the smooth curve through the waypoints."""
        knots = np.asarray(self.knots_lps_mm, dtype=np.float64)
        arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
        at = np.linspace(0.0, arc[-1], int(np.ceil(arc[-1] / STEP_MM)) + 1)
        radii = np.asarray(self.radii_mm, dtype=np.float64)
        return PchipInterpolator(arc, knots)(at), np.interp(at, arc, radii)


def routed(pelvis: Pelvis, courses: Sequence[Course], earlier: Mapping[str, Tube]) -> dict[str, Tube]:
    """Tubes along the courses, pushed off all bones and off the `earlier` tubes that each names.

    Parameters
    ----------
    pelvis : Pelvis
        Its bones.
    courses : sequence of Course
        Led at the same time: they do not see each other.
    earlier : mapping of str to Tube
        Tubes in LPS mm that are there already.
    """
    led = [course.sampled() for course in courses]
    lines = _pushed(pelvis, courses, earlier, led, ROUNDS, smooth=True)
    # Where a line was pushed apart, a chord could cut a corner of bone: points are spread evenly again.
    led = [_even(line, radii) for line, (_, radii) in zip(lines, led, strict=True)]
    lines = _pushed(pelvis, courses, earlier, led, LAST_ROUNDS, smooth=False)
    return {
        course.name: Tube(line, _squeezed(pelvis, line, radii))
        for course, line, (_, radii) in zip(courses, lines, led, strict=True)
    }


def _pushed(
    pelvis: Pelvis,
    courses: Sequence[Course],
    earlier: Mapping[str, Tube],
    led: Sequence[tuple[Array, Array]],
    rounds: int,
    *,
    smooth: bool,
) -> list[Array]:
    """Points of every line pushed off bones and earlier tubes, round by round."""
    count = [len(points) for points, _ in led]
    cut = np.cumsum(count)[:-1]
    start = np.concatenate([points for points, _ in led])
    wanted = np.concatenate([radii for _, radii in led]) + np.repeat([c.clearance_mm for c in courses], count)
    groups: list[tuple[Distance, Array]] = [(_of_bone(pelvis, bone), np.ones(len(start), dtype=bool)) for bone in BONES]
    for name in sorted({other for course in courses for other in course.others}):
        mine = np.repeat([name in course.others for course in courses], count)
        groups.append((earlier[name].distance_mm, mine))
    moved = np.zeros_like(start)
    for _ in range(rounds):
        pushed = moved + _push(start + moved, wanted, groups)
        if smooth:
            pushed = np.concatenate([_smoothed(part) for part in np.split(pushed, cut)])
        elif np.allclose(pushed, moved, atol=1e-9):
            break
        moved = pushed
    return np.split(start + moved, cut)


def _even(line: Array, radii: Array) -> tuple[Array, Array]:
    """Points and radii every `STEP_MM` along a line."""
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    at = np.linspace(0.0, arc[-1], int(np.ceil(arc[-1] / STEP_MM)) + 1)
    return np.stack([np.interp(at, arc, line[:, k]) for k in range(3)], axis=1), np.interp(at, arc, radii)


def _squeezed(pelvis: Pelvis, line: Array, radii: Array) -> Array:
    """Radii no larger than the room between bones along both steps beside a point, but for what a tube keeps anyway."""
    shares = np.linspace(0.0, 1.0, ROOM_PER_STEP, endpoint=False)
    between = line[:-1, None] + shares[:, None] * np.diff(line, axis=0)[:, None]
    fine = np.concatenate([between.reshape(-1, 3), line[-1:]])
    room = np.min([_of_bone(pelvis, bone)(fine) for bone in BONES], axis=0)
    beside = minimum_filter1d(room, 2 * ROOM_PER_STEP + 1, mode="nearest")[::ROOM_PER_STEP]
    return np.asarray(np.maximum(np.minimum(radii, beside), THINNEST * radii))


def _of_bone(pelvis: Pelvis, bone: str) -> Distance:
    return lambda p: pelvis.bone_mm(bone, p)


def _push(p: Array, wanted: Array, groups: Sequence[tuple[Distance, Array]]) -> Array:
    """Along the gradient of each distance that is smaller than wanted, by what is missing."""
    shift = np.zeros_like(p)
    for distance, mine in groups:
        at = np.flatnonzero(mine)
        missing = wanted[at] - distance(p[at])
        at, missing = at[missing > 0], missing[missing > 0]
        if not len(at):
            continue
        h = 0.2
        probes = np.concatenate([p[at] + s * h * e for e in np.eye(3) for s in (1.0, -1.0)])
        d = distance(probes).reshape(3, 2, len(at))
        slope = ((d[:, 0] - d[:, 1]) / (2.0 * h)).T
        size = np.maximum(np.linalg.norm(slope, axis=1), 0.3)
        shift[at] += slope / size[:, None] * np.minimum((missing + 0.02) / size, LONGEST_PUSH_MM)[:, None]
    return shift


def _smoothed(shift: Array) -> Array:
    """One pass of a short mean along the line; ends are free."""
    padded = np.concatenate([shift[:1], shift, shift[-1:]])
    return np.asarray(0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:])


def fronts_of_sacrum_mm(pelvis: Pelvis, x: Array, z: Array, fallback: float = 0.0) -> Array:
    """Sacral y (n,) of the sacrum's front at each (x, z), foramina filled; `fallback` where there is no bone."""
    y = np.arange(-60.0, 30.0, 0.5)
    n = len(x)
    lines = np.column_stack([np.repeat(x, len(y)), np.tile(y, n), np.repeat(z, len(y))])
    inside = (pelvis.solid_sacrum_mm(pelvis.lps_from_sacral(lines)) < 0).reshape(n, len(y))
    return np.asarray(np.where(inside.any(axis=1), y[inside.argmax(axis=1)], fallback))


def front_of_sacrum_mm(pelvis: Pelvis, x: float, z: float, fallback: float = 0.0) -> float:
    """The same at one place."""
    return float(fronts_of_sacrum_mm(pelvis, np.array([x]), np.array([z]), fallback)[0])


def foremost_mm(pelvis: Pelvis, x: float, z: float, fallback: float = 0.0) -> float:
    """Sacral y of the sacrum's foremost point at x between z and `FOREMOST_BELOW_MM` below: a low ala is met, too."""
    heights = z - np.linspace(0.0, FOREMOST_BELOW_MM, 4)
    return float(fronts_of_sacrum_mm(pelvis, np.full(4, x), heights, fallback).min())


def before_sacrum(pelvis: Pelvis, points_lps_mm: Array, gap_mm: float) -> Array:
    """The points, those that lie nearer to the sacrum's front than `gap_mm`, or behind it, brought forward; LPS mm."""
    q = pelvis.sacral_mm(points_lps_mm)
    q[:, 1] = np.minimum(q[:, 1], fronts_of_sacrum_mm(pelvis, q[:, 0], q[:, 2], np.inf) - gap_mm)
    return pelvis.lps_from_sacral(q)


def canal_middle_mm(pelvis: Pelvis, z: float) -> tuple[float, float]:
    """Sacral y of the midline point of the sacral canal farthest from its wall at z, and how far; mm at size 1."""
    y = np.arange(-40.0, 60.0, 0.5)
    line = np.column_stack([np.zeros(len(y)), y, np.full(len(y), z)])
    depth = -pelvis.canal_mm(pelvis.lps_from_sacral(line)) / pelvis.parameters.size
    deepest = int(np.argmax(depth))
    return float(y[deepest]), float(depth[deepest])


def on_gluteal_surface(pelvis: Pelvis, side: str, points_mm: Array, gap_mm: float) -> Array:
    """The points, those medial of `gap_mm` beyond the hip bone's lateral face brought out there; pelvic frame."""
    sign, x = SIDE_SIGN[side], np.arange(175.0, 20.0, -0.5)
    n = len(points_mm)
    lines = np.column_stack([np.tile(sign * x, n), *(np.repeat(points_mm[:, axis], len(x)) for axis in (1, 2))])
    inside = (pelvis.bone_mm(f"hip_{side}", pelvis.lps_from_pelvic(lines)) < 0).reshape(n, len(x))
    out = np.array(points_mm)
    face = np.where(inside.any(axis=1), x[inside.argmax(axis=1)] + gap_mm, -np.inf)
    out[:, 0] = sign * np.maximum(sign * out[:, 0], face)
    return out


def notch_roof_mm(pelvis: Pelvis, side: str) -> Array:
    """Highest point of the greater sciatic notch's edge that a vessel can pass, (3,) in the pelvic frame at size 1.

    It lies in the middle of the bone, and the sacrum stands off what passes `PASS_BELOW_MM` below it.
    """
    hip, sign = pelvis.hip[side], SIDE_SIGN[side]
    apex_y, apex_z = hip.notch_apex()
    z = np.arange(apex_z + 45.0, apex_z - 20.0, -0.5)
    best = np.array((sign * hip.middle_x(apex_y, apex_z + 10.0), apex_y, apex_z))
    for y in np.arange(apex_y + 4.0, apex_y + 32.0, 2.0):
        x = sign * hip.middle_x(float(y), apex_z + 20.0)
        line = np.column_stack([np.full(len(z), x), np.full(len(z), y), z])
        inside = pelvis.bone_mm(f"hip_{side}", pelvis.lps_from_pelvic(line)) < 0
        first = int(np.argmax(inside))
        below = first + int(np.argmin(inside[first:]))
        if not inside.any() or z[below] <= best[2] or inside[below:].any():
            continue
        passing = pelvis.lps_from_pelvic(np.array([(x - sign * 6.0, y, z[below] - PASS_BELOW_MM)]))
        if pelvis.solid_sacrum_mm(passing)[0] > PASS_ROOM_MM * pelvis.parameters.size:
            best = np.array((x, y, z[below]))
    return best
