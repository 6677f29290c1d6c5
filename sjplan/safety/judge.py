"""The verdict: every limit is checked on measured values; *accepted* means that all hold."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from sjplan.anatomy.types import Anatomy
from sjplan.core.findings import Finding
from sjplan.core.frames import SIDE_SIGN
from sjplan.core.limits import Limits
from sjplan.core.plan import Plan, Side
from sjplan.core.structures import limit_kind
from sjplan.core.trajectory import Trajectory
from sjplan.safety.measures import implant_margins, pair_measures, solid_gap_mm
from sjplan.safety.surfaces import MeasuringSurfaces, measuring_surfaces
from sjplan.safety.types import ImplantMargins, MarginReport, PairMeasure, Violation

BARE_FINDING_MM = 10.0
"""A default, not a fact: a circle of 3.5 mm that enters 70 degrees off the normal lies bare for so long."""

DIRECTION_WINDOWS_DEG = ((-5.0, 30.0), (-10.0, 20.0))
"""Usual directions in the outlet view (cranially) and the inlet view (ventrally); a default, from ANGLES40."""

TIP_LATERAL_OF = {1: (), 2: ("S1",), 3: ("S1", "S2")}
"""Foramina that the tip of each slot stays lateral of (POLLY20: medial stop lateral to the neural foramina)."""


def judge(plan: Plan, anatomy: Anatomy, limits: Limits, surfaces: MeasuringSurfaces | None = None) -> MarginReport:
    """Measure a plan and check it against the limits.

    Parameters
    ----------
    plan : Plan
        One side's implants, cranial to caudal.
    anatomy : Anatomy
        The pelvis.
    limits : Limits
        What has to hold.
    surfaces : MeasuringSurfaces, optional
        Prepared surfaces of the same anatomy and side, to judge several plans.

    Raises
    ------
    AnatomyError
        If that side has no joint.
    """
    prepared = surfaces if surfaces is not None else measuring_surfaces(anatomy, plan.side)
    implants = tuple(
        implant_margins(prepared, slot, trajectory, limits) for slot, trajectory in enumerate(plan.trajectories, 1)
    )
    return verdict(implants, anatomy, limits, plan.side)


def verdict(implants: tuple[ImplantMargins, ...], anatomy: Anatomy, limits: Limits, side: Side) -> MarginReport:
    """Check measured implants against the limits: all of `judge` but the measuring of each implant.

    Parameters
    ----------
    implants : tuple of ImplantMargins
        Of one side, slots from 1.
    anatomy, limits, side
        As in `judge`.
    """
    pairs = pair_measures(implants)
    violations = [v for implant in implants for v in _implant_violations(implant, limits)]
    violations += [v for implant in implants for v in _tip_violations(implant, anatomy, side)]
    violations += list(_pair_violations(pairs, limits)) + list(_plan_violations(implants, anatomy, limits))
    return MarginReport(
        side=side,
        implants=implants,
        pairs=pairs,
        violations=tuple(violations),
        findings=tuple(f for implant in implants for f in _implant_findings(implant, limits, side))
        + tuple(f for implant in implants for f in _direction_findings(implant, anatomy, side)),
    )


def side_conflicts(left: MarginReport, right: MarginReport, limits: Limits) -> tuple[Finding, ...]:
    """Findings where implants of the two sides come nearer to each other than two implants of one side may."""
    result = []
    for a in left.implants:
        for b in right.implants:
            gap = solid_gap_mm(a.trajectory, b.trajectory)
            if gap < limits.solid_gap_min_mm:
                text = f"left implant {a.slot} and right implant {b.slot} are {gap:.1f} mm apart"
                result.append(Finding("sides-conflict", "warning", text))
    return tuple(result)


def _too_small(
    constraint: str, slots: tuple[int, ...], value: float, limit: float, unit: str, what: str
) -> Iterator[Violation]:
    if not value >= limit:
        missing = limit - value if math.isfinite(value) else math.inf
        where = " and ".join(map(str, slots))
        text = f"implant {where}: {what} {value:.2f} {unit}, at least {limit:g} {unit} wanted"
        yield Violation(constraint, slots, value, limit, missing, unit, text)


def _too_large(
    constraint: str, slots: tuple[int, ...], value: float, limit: float, unit: str, what: str
) -> Iterator[Violation]:
    if not value <= limit:
        missing = value - limit if math.isfinite(value) else math.inf
        where = " and ".join(map(str, slots))
        text = f"implant {where}: {what} {value:.2f} {unit}, at most {limit:g} {unit} wanted"
        yield Violation(constraint, slots, value, limit, missing, unit, text)


def _implant_violations(implant: ImplantMargins, limits: Limits) -> Iterator[Violation]:
    slot = (implant.slot,)
    for c in implant.clearances:
        what = f"envelope to {c.structure}"
        yield from _too_small(f"clearance:{c.structure}", slot, c.envelope_mm, c.limit_mm, "mm", what)
        if limit_kind(c.structure) in limits.lower_bound_kinds and not c.lower_bound_mm > 0:
            text = f"implant {implant.slot}: lower bound to {c.structure} {c.lower_bound_mm:.2f} mm, above 0 wanted"
            yield Violation(f"lower_bound:{c.structure}", slot, c.lower_bound_mm, 0.0, -c.lower_bound_mm, "mm", text)
    if implant.crossing_lps_mm is None:
        text = f"implant {implant.slot}: the axis does not pass from the ilium into the sacrum"
        yield Violation("joint_crossing", slot, 0.0, 1.0, math.inf, "crossing", text)
    yield from _too_small("sacral_length", slot, implant.sacral_mm, limits.sacral_min_mm, "mm", "length in sacrum")
    yield from _too_small("iliac_length", slot, implant.iliac_mm, limits.iliac_min_mm, "mm", "length in ilium")
    yield from _too_small(
        "protrusion_min", slot, implant.protrusion_mm, limits.protrusion_min_mm, "mm", "lateral protrusion"
    )
    yield from _too_large(
        "protrusion_max", slot, implant.protrusion_mm, limits.protrusion_max_mm, "mm", "lateral protrusion"
    )
    angle, largest = implant.joint_normal_angle_deg, limits.joint_normal_angle_max_deg
    yield from _too_large("joint_angle", slot, angle, largest, "deg", "angle to the joint's normal")
    if not implant.trajectory.in_catalogue:
        length = implant.trajectory.length_mm
        text = f"implant {implant.slot}: length {length:.2f} mm is not one of {implant.trajectory.model.id}'s"
        nearest = min(abs(length - x) for x in implant.trajectory.model.lengths_mm)
        yield Violation("catalogue_length", slot, length, length, nearest, "mm", text)


def _tip_violations(implant: ImplantMargins, anatomy: Anatomy, side: str) -> Iterator[Violation]:
    slot = (implant.slot,)
    yield from _too_small("tip_midline", slot, implant.tip_to_midline_mm, 0.0, "mm", "tip short of the midline by")
    for level in TIP_LATERAL_OF[implant.slot]:
        foramen = anatomy.foramen(level, side)
        if foramen is not None:
            what = f"tip to midline (lateral of the {level} foramen)"
            limit = foramen.most_lateral_mm
            yield from _too_small(f"tip_lateral:{level}", slot, implant.tip_to_midline_mm, limit, "mm", what)
    levels = anatomy.levels(side)
    if levels and "S4" not in levels and implant.crossing_lps_mm is not None:
        last = anatomy.foramen(levels[-1], side)
        if last is not None:
            height = anatomy.frame.frame_from_lps(last.lumen_lps_mm)[:, 2].mean()
            points = np.stack([implant.crossing_lps_mm, implant.trajectory.tip_lps_mm])
            above = float(anatomy.frame.frame_from_lps(points)[:, 2].min() - height)
            what = f"height above the {last.level} foramen, the last one found,"
            yield from _too_small("caudal_level", slot, above, 0.0, "mm", what)


def _pair_violations(pairs: tuple[PairMeasure, ...], limits: Limits) -> Iterator[Violation]:
    for p in pairs:
        slots = (p.i, p.j)
        yield from _too_small(
            "crossing_spacing", slots, p.spacing_mm, limits.crossing_spacing_min_mm, "mm", "crossings apart by"
        )
        yield from _too_small("solid_gap", slots, p.gap_mm, limits.solid_gap_min_mm, "mm", "solids apart by")
        yield from _too_large("mutual_angle", slots, p.angle_deg, limits.mutual_angle_max_deg, "deg", "mutual angle")


def _plan_violations(implants: tuple[ImplantMargins, ...], anatomy: Anatomy, limits: Limits) -> Iterator[Violation]:
    wanted = limits.articular_min_count - (3 - len(implants))
    count = sum(i.crosses_articular for i in implants)
    if count < wanted:
        text = f"{count} of {len(implants)} implants cross the articular part of the joint, at least {wanted} wanted"
        slots = tuple(i.slot for i in implants)
        yield Violation("articular_count", slots, count, wanted, wanted - count, "implants", text)
    heights = [
        float(anatomy.frame.frame_from_lps(i.crossing_lps_mm)[2]) for i in implants if i.crossing_lps_mm is not None
    ]
    for n, (upper, lower) in enumerate(itertools.pairwise(heights), 1):
        if upper < lower:
            text = f"implants {n} and {n + 1} are not in order from cranial to caudal"
            yield Violation("order", (n, n + 1), upper - lower, 0.0, lower - upper, "mm", text)


def view_angles_deg(trajectory: Trajectory, anatomy: Anatomy, side: str) -> tuple[float, float]:
    """How an implant runs on its way medially: cranially (seen in the outlet view), ventrally (in the inlet view).

    Degrees in the coronal and the axial plane of the pelvic frame, whose cranial axis follows the upper canal.
    """
    across, back, up = anatomy.frame.axes @ trajectory.axis
    medial = -SIDE_SIGN[side] * across
    return math.degrees(math.atan2(up, medial)), math.degrees(math.atan2(-back, medial))


def _direction_findings(implant: ImplantMargins, anatomy: Anatomy, side: str) -> Iterator[Finding]:
    angles = view_angles_deg(implant.trajectory, anatomy, side)
    for view, angle, (low, high), ways in zip(
        ("outlet", "inlet"), angles, DIRECTION_WINDOWS_DEG, (("caudally", "cranially"), ("dorsally", "ventrally")),
        strict=True,
    ):  # fmt: skip
        if not low <= angle <= high:
            text = (
                f"implant {implant.slot} runs {abs(angle):.0f} deg {ways[angle > 0]} in the {view} view; "
                f"{abs(low):g} deg {ways[0]} to {high:g} deg {ways[1]} is usual"
            )
            yield Finding(f"direction-{view}", "note", text, side)


def _implant_findings(implant: ImplantMargins, limits: Limits, side: str) -> Iterator[Finding]:
    for c in implant.clearances:
        wish = limits.clearance_finding_mm.get(limit_kind(c.structure))
        if wish is not None and c.limit_mm <= c.envelope_mm < wish:
            text = f"implant {implant.slot} passes {c.structure} at {c.envelope_mm:.1f} mm; {wish:g} mm is preferred"
            yield Finding("close-to-" + limit_kind(c.structure), "warning", text, side)
    if limits.sacral_min_mm <= implant.sacral_mm < limits.sacral_finding_mm:
        wish_mm = limits.sacral_finding_mm
        text = f"implant {implant.slot} holds {implant.sacral_mm:.1f} mm of sacrum; {wish_mm:g} mm is preferred"
        yield Finding("short-sacral-purchase", "warning", text, side)
    if implant.bare_mm > BARE_FINDING_MM:
        length = "all its way" if math.isinf(implant.bare_mm) else f"for {implant.bare_mm:.0f} mm"
        text = f"one side of implant {implant.slot} lies bare of the ilium {length}: it slides along the cortex"
        yield Finding("lies-bare", "warning", text, side)
    if not implant.crosses_articular:
        yield Finding(
            "not-articular", "note", f"implant {implant.slot} crosses the ligamentous part of the joint", side
        )
