"""Measures on one implant and on pairs: distances, lengths along the axis, crossing, reserve. No verdict here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from sjplan.anatomy.types import Joint
from sjplan.core.arrays import Array, frozen, unit
from sjplan.core.frames import SIDE_SIGN
from sjplan.core.limits import Limits
from sjplan.core.tolerances import DEPTH_TOL_MM, JUDGE_TOL_MM
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import Solid, envelope_solid, implant_solid, solid_mesh
from sjplan.geometry.triangle_tree import TriangleTree, line_hits, nearest_point, solid_to_surface, triangle_tree
from sjplan.safety.depth import depths_mm
from sjplan.safety.surfaces import MeasuringSurfaces
from sjplan.safety.types import Clearance, ImplantMargins, PairMeasure

PIN_RADIUS_MM = 1.6
"""Guide pin of 3.2 mm diameter [F: TORQ 510(k) K213667]."""

RESERVE_CAP_MM = 80.0
"""An overshoot reserve is not followed farther than this."""

_SKIN_LINES = 12

FOOTPRINT_DEPTH_MM = 25.0
"""Joint farther than this along the axis from the crossing does not belong to a footprint."""

OVERLAP_TOL_MM = 2.0
"""Labels of ilium and sacrum may overlap by this much along an axis and still count as one crossing (mm)."""

_NUDGES_MM = (0.0, 1e-7, -2e-7, 5e-7)
"""How far beside itself a line that meets an edge is tried again (mm)."""


@dataclass(frozen=True, slots=True, eq=False)
class AxisPassage:
    """What one axis passes, in mm from the entry.

    `lateral_mm` is where the ilium begins, `iliac_exit_mm` and `sacral_entry_mm` bound the joint; None where the
    axis does not pass from the ilium into the sacrum.
    """

    lateral_mm: float | None
    iliac_exit_mm: float | None
    sacral_entry_mm: float | None
    iliac_mm: float
    sacral_mm: float

    @property
    def crossing_mm(self) -> float | None:
        """Middle of the joint along the axis."""
        if self.iliac_exit_mm is None or self.sacral_entry_mm is None:
            return None
        return 0.5 * (self.iliac_exit_mm + self.sacral_entry_mm)


def clearances(
    surfaces: MeasuringSurfaces, trajectory: Trajectory, limits: Limits, *, passes: bool = True
) -> tuple[Clearance, ...]:
    """Distance of the true solid and of the envelope to every danger structure that exists.

    Set `passes` to False for an implant that does not go from the ilium through the joint into the sacrum: it may
    be out of the bone without cutting any surface.
    """
    solid = signed_clearances(surfaces, implant_solid(trajectory), passes=passes)
    envelope = signed_clearances(surfaces, envelope_solid(trajectory), passes=passes)
    return tuple(
        Clearance(
            structure=structure,
            distance_mm=distance,
            envelope_mm=min(envelope[structure][0], distance),
            limit_mm=limits.clearance_of(structure),
            lower_bound_mm=distance - surfaces.anatomy.geometry_error_mm - _tolerance_mm(distance),
            at_lps_mm=frozen(at),
            on_implant_lps_mm=frozen(on),
        )
        for structure, (distance, at, on) in solid.items()
    )


def signed_clearances(
    surfaces: MeasuringSurfaces, solid: Solid, *, passes: bool = True
) -> dict[str, tuple[float, Array, Array]]:
    """Distance from a solid to each danger, witness on the danger, witness on the solid.

    Where the solid cuts a surface, minus the depth of its deepest point out behind that surface; where no point of
    it is out there, how far the surface reaches through the solid's skin.
    """
    found = {name: solid_to_surface(tree, solid) for name, tree in surfaces.dangers.items()}
    cut = [name for name, (distance, _, _) in found.items() if distance <= 0]
    if passes and not cut:
        return found
    depth = depths_mm(surfaces, solid, cut)
    return {name: (-depth[name] if name in depth else distance, at, on) for name, (distance, at, on) in found.items()}


def breach_of(found: Iterable[Clearance]) -> tuple[float, str]:
    """How deep the deepest true solid lies outside bone (mm), and behind what; (0, "") where none does.

    Metal is no bone: touching it is no breach.
    """
    worst = max(((-c.distance_mm, c.structure) for c in found if c.structure != "metal"), default=(0.0, ""))
    return worst if worst[0] > 0.0 else (0.0, "")


def _tolerance_mm(distance_mm: float) -> float:
    return JUDGE_TOL_MM if distance_mm > 0 else DEPTH_TOL_MM


def _inside_spans(tree: TriangleTree, origin: Array, axis: Array) -> list[tuple[float, float]]:
    """Stretches of the whole line inside a closed surface: from and to.

    A line that runs exactly through edges may hit two triangles there or none; a hair beside it, it does not.
    """
    beside = unit(np.cross(axis, (0.31, 0.83, 0.47) if abs(axis[2]) > 0.5 else (0.83, 0.31, 1.7)))
    for nudge in _NUDGES_MM:
        t, way, _ = line_hits(tree, np.ascontiguousarray(origin + nudge * beside), axis)
        if len(t) % 2 == 0 and (way[0::2] < 0).all() and (way[1::2] > 0).all():
            return [(float(a), float(b)) for a, b in zip(t[0::2], t[1::2], strict=True)]
    return _outermost_spans(t, way)


def _outermost_spans(t: Array, way: Array) -> list[tuple[float, float]]:
    """Stretches inside at least one sheet, for a surface that crosses itself."""
    spans: list[tuple[float, float]] = []
    level, start = 0, 0.0
    for value, sign in zip(t, way, strict=True):
        if sign < 0:
            if level == 0:
                start = float(value)
            level += 1
        else:
            level -= 1
            if level == 0:
                spans.append((start, float(value)))
            level = max(level, 0)
    return spans


def axis_passage(surfaces: MeasuringSurfaces, trajectory: Trajectory) -> AxisPassage:
    """Lengths inside the bones along an implant's axis, and where it crosses the joint."""
    entry, axis, length = trajectory.entry_lps_mm, trajectory.axis, trajectory.length_mm
    ilium = _inside_spans(surfaces.ilium, entry.copy(), axis.copy())
    sacrum = _inside_spans(surfaces.sacrum, entry.copy(), axis.copy())

    def within(spans: list[tuple[float, float]]) -> float:
        return sum(max(0.0, min(b, length) - max(a, 0.0)) for a, b in spans)

    met = [span for span in ilium if span[1] > 0]
    lateral = met[0][0] if met else None
    entered = [s for s in sacrum if s[1] > 0 and any(e[1] <= s[0] + OVERLAP_TOL_MM for e in met)]
    if not entered:
        return AxisPassage(lateral, None, None, within(ilium), within(sacrum))
    start = entered[0][0]
    left = max(e[1] for e in met if e[1] <= start + OVERLAP_TOL_MM)
    return AxisPassage(lateral, left, start, within(ilium), within(sacrum))


def bare_mm(surfaces: MeasuringSurfaces, trajectory: Trajectory) -> float:
    """How much farther than the axis some line along the implant's skin runs before it enters the ilium (mm).

    An implant that enters squarely has a value of a few mm; one that slides along the cortex lies bare for long.
    Lines are those of the inscribed circle, so that the roll does not matter; infinite where one misses the ilium.
    """
    axis, radius = trajectory.axis, trajectory.model.inscribed_radius_mm
    u, v = trajectory.section_axes()
    own = [span for span in _inside_spans(surfaces.ilium, trajectory.entry_lps_mm.copy(), axis.copy()) if span[1] > 0]
    if not own:
        return float("inf")
    worst = 0.0
    for turn in 2 * np.pi * np.arange(_SKIN_LINES) / _SKIN_LINES:
        origin = trajectory.entry_lps_mm + radius * (np.cos(turn) * u + np.sin(turn) * v)
        met = [span[0] for span in _inside_spans(surfaces.ilium, origin, axis.copy()) if span[1] > own[0][0]]
        worst = max(worst, met[0] - own[0][0] if met else float("inf"))
    return worst


def joint_footprint(joint: Joint, crossing_lps_mm: Array, axis: Array, radius_mm: float) -> tuple[float, float]:
    """Angle (degrees) of an axis to the joint's mean normal over the implant's footprint, and its articular share.

    The footprint is what lies within `radius_mm` of the axis; where nothing does, the twenty nearest samples.
    """
    middle = 0.5 * (joint.sacral_lps_mm + joint.iliac_lps_mm) - crossing_lps_mm
    along = middle @ axis
    across = np.linalg.norm(middle - along[:, None] * axis, axis=1)
    chosen = np.flatnonzero((across <= radius_mm) & (np.abs(along) <= FOOTPRINT_DEPTH_MM))
    if not len(chosen):
        chosen = np.argsort(np.linalg.norm(middle, axis=1), kind="stable")[:20]
    normal = unit(joint.normal[chosen].mean(axis=0))
    angle = float(np.degrees(np.arccos(np.clip(normal @ axis, -1.0, 1.0))))
    return angle, float(joint.articular[chosen].mean())


def overshoot_reserve(surfaces: MeasuringSurfaces, trajectory: Trajectory) -> tuple[float, str]:
    """How far the guide pin may advance past the tip before it touches a danger (mm), and which one.

    The pin's end is taken as a ball round the axis: where the pin grazes a wall at a slant, as a flat end would.
    """
    tip, axis, advanced = trajectory.tip_lps_mm, trajectory.axis, 0.0
    while advanced < RESERVE_CAP_MM:
        point = np.ascontiguousarray(tip + advanced * axis)
        distance, name = min((nearest_point(tree, point)[0], name) for name, tree in surfaces.dangers.items())
        if distance <= PIN_RADIUS_MM + 0.01:
            return advanced, name
        advanced += distance - PIN_RADIUS_MM
    return RESERVE_CAP_MM, ""


def implant_margins(surfaces: MeasuringSurfaces, slot: int, trajectory: Trajectory, limits: Limits) -> ImplantMargins:
    """Everything measured on one implant."""
    passage = axis_passage(surfaces, trajectory)
    crossing = passage.crossing_mm
    point = None if crossing is None else frozen(trajectory.entry_lps_mm + crossing * trajectory.axis)
    joint = surfaces.anatomy.joints[surfaces.side]
    radius = trajectory.model.circumscribed_radius_mm
    angle, share = (180.0, 0.0) if point is None else joint_footprint(joint, point, trajectory.axis, radius)
    reserve, reserve_structure = overshoot_reserve(surfaces, trajectory)
    frame = surfaces.anatomy.frame
    return ImplantMargins(
        slot=slot,
        trajectory=trajectory,
        clearances=clearances(surfaces, trajectory, limits, passes=crossing is not None),
        protrusion_mm=float("nan") if passage.lateral_mm is None else passage.lateral_mm,
        iliac_mm=passage.iliac_mm,
        joint_mm=_joint_mm(passage, trajectory.length_mm),
        sacral_mm=passage.sacral_mm,
        crosses_articular=share >= 0.5 and passage.sacral_mm > 0,
        crossing_lps_mm=point,
        joint_normal_angle_deg=angle,
        tip_to_midline_mm=float(frame.frame_from_lps(trajectory.tip_lps_mm)[0] * SIDE_SIGN[surfaces.side]),
        overshoot_reserve_mm=reserve,
        overshoot_structure=reserve_structure,
        bare_mm=bare_mm(surfaces, trajectory),
    )


def _joint_mm(passage: AxisPassage, length_mm: float) -> float:
    if passage.iliac_exit_mm is None or passage.sacral_entry_mm is None:
        return 0.0
    return max(0.0, min(passage.sacral_entry_mm, length_mm) - min(passage.iliac_exit_mm, length_mm))


def solid_gap_mm(first: Trajectory, second: Trajectory) -> float:
    """Distance between two true solids; negative where they overlap. Never above the true gap by more than 1e-3 mm."""
    return solid_to_surface(solid_skin(second), implant_solid(first))[0]


def solid_skin(trajectory: Trajectory) -> TriangleTree:
    """Skin of a true solid, nowhere inside it."""
    vertices, triangles = solid_mesh(implant_solid(trajectory), 24, outer=True)
    return triangle_tree(vertices[triangles])


def pair_measures(implants: Iterable[ImplantMargins]) -> tuple[PairMeasure, ...]:
    """Gap, spacing and angle of every pair of implants."""
    listed = list(implants)
    result = []
    for n, a in enumerate(listed):
        for b in listed[n + 1 :]:
            spacing = float("nan")
            if a.crossing_lps_mm is not None and b.crossing_lps_mm is not None:
                spacing = float(np.linalg.norm(a.crossing_lps_mm - b.crossing_lps_mm))
            cosine = float(np.clip(a.trajectory.axis @ b.trajectory.axis, -1.0, 1.0))
            gap = solid_gap_mm(a.trajectory, b.trajectory)
            result.append(PairMeasure(a.slot, b.slot, gap, spacing, float(np.degrees(np.arccos(cosine)))))
    return tuple(result)
