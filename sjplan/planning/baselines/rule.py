"""rule-v1: the textbook. Three parallel implants, perpendicular to the sagittal plane, from lateral-view landmarks.

Nothing is searched for. The rules, as a surgeon reads them off the true lateral view (all three implants are dots):

- The **iliac cortical density** (ICD) is the cranial-anterior border of the joint; in a sacrum without dysmorphism it
  runs along the slope of the ala. Entries lie caudal and posterior of it (EPOMED, KRAPP). Here it is the upper
  outline of the joint's iliac face, seen along the left-right axis.
- **Implant 1** enters 10 mm caudal of the ICD (recalled), in the posterior half to middle of the S1 body's depth
  between promontory and posterior body line (recalled from Sachs and Capobianco 2012): five eighths from the front.
- **Implants 2 and 3** follow along the posterior body line, which is the front wall of the sacral canal, evenly, so
  that implant 3 passes midway between the S1 and S2 foramina (recalled from Sachs and Capobianco 2012); but 15 to
  20 mm apart: 13 mm is clearly weaker than 22 on the bench (FREEMAN), and a pin guide sets about 20 (recalled).
- **Implant 3** lies 3 mm more anterior than that ("a little", recalled).
- **Direction**: all along the left-right axis (BMC19 advanced its implants perpendicular to the sagittal plane).
- **Length**: head at the wished protrusion; the longest in the catalogue whose tip stays lateral of the S1 foramen
  (implant 3: of S1 and S2) by `foramen_margin_mm`; else the shortest there is. The medial stop is that of POLLY20, the
  default of 5 mm the margin of BMC19.

The keys of sources are those of docs/planners.md. A plan that breaks a limit is refused, and given as `nearest`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sjplan.anatomy.canal_front import canal_front
from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array
from sjplan.core.plan import Outcome, Reason, Side
from sjplan.planning.baselines.shared import CAPABILITIES
from sjplan.planning.field import SideFrame
from sjplan.planning.finish import Bench, Placed, place
from sjplan.planning.protocol import PlannerSpec
from sjplan.planning.workshop import Workshop, WorkshopPlanner

BELOW_ICD_MM = 10.0
BODY_DEPTH_SHARE = 0.625
SPACING_MM = (15.0, 20.0)
ANTERIOR_MM = 3.0

_ICD_WINDOW_MM = 3.0
_WALL_WINDOW_MM = 4.0
_MEDIAL = (-1.0, 0.0, 0.0)
_TIP_BESIDE = (("S1",), ("S1",), ("S1", "S2"))


class RulePlanner(WorkshopPlanner):
    """One plan by rule; an evaluation is one implant measured on surfaces."""

    spec = PlannerSpec(
        id="rule-v1",
        summary="the textbook: parallel implants from lateral-view landmarks, nothing searched for",
        capabilities=CAPABILITIES | {"soft-limits"},
        parameters={"foramen_margin_mm": 5.0},
    )

    def search(self, shop: Workshop) -> Outcome:
        """Read the landmarks, place, judge."""
        problem = shop.problem
        if shop.left < problem.count:
            shop.cut = True
            return shop.timed_out(None)
        shop.report("placing by rule", 0.5)
        shop.evaluations += problem.count
        placed = by_rule(shop.bench, float(self.parameters["foramen_margin_mm"]))
        found = [p for p in placed if p is not None]
        if len(found) < len(placed):
            texts = [f"implant {n}: the axis by rule passes no joint" for n, p in enumerate(placed, 1) if p is None]
            return Outcome("infeasible", reasons=tuple(Reason("passage", float("inf"), "mm", t) for t in texts))
        return shop.answer([shop.judged(found)])


@dataclass(frozen=True, slots=True, eq=False)
class LateralView:
    """What a true lateral view shows of one side: (posterior, cranial) in mm in the side frame.

    Parameters
    ----------
    icd_mm : (n, 2) float
        Upper outline of the joint's iliac face, from the front to the back.
    promontory_mm : (2,) float
        Front of the S1 endplate.
    wall_mm : (m, 2) float
        Posterior body line: front wall of the canal, from cranial to caudal.
    foramina_mm : tuple of float
        Heights of the S1 and S2 foramina.
    joint_lateral_mm : float
        Where on the left-right axis the joint is; not seen, and only a place to start from.
    """

    icd_mm: Array
    promontory_mm: Array
    wall_mm: Array
    foramina_mm: tuple[float, float]
    joint_lateral_mm: float

    def wall_at(self, height_mm: float) -> float:
        """How far back the posterior body line is at a height (mm)."""
        return float(np.interp(-height_mm, -self.wall_mm[:, 1], self.wall_mm[:, 0]))


def lateral_view(anatomy: Anatomy, side: Side) -> LateralView:
    """The landmarks of one side."""
    frame = SideFrame(anatomy.frame, side)
    joint = frame.side_from_lps(anatomy.joints[side].iliac_lps_mm)
    levels = (anatomy.foramen(level, side) for level in ("S1", "S2"))
    s1, s2 = (float("nan") if f is None else float(frame.side_from_lps(f.lumen_lps_mm)[:, 2].mean()) for f in levels)
    return LateralView(
        icd_mm=upper_outline(joint[:, 1:]),
        promontory_mm=frame.side_from_lps(anatomy.landmarks["promontory"])[1:],
        wall_mm=canal_front(anatomy, _WALL_WINDOW_MM),
        foramina_mm=(s1, s2),
        joint_lateral_mm=float(np.median(joint[:, 0])),
    )


def upper_outline(joint_mm: Array) -> Array:
    """How far up a joint reaches, from its front to its back: (n, 2) of its points (m, 2), posterior and cranial.

    Examples
    --------
    A joint is not always of one piece: of a hole from front to back nothing is said.

    >>> upper_outline(np.array([[0.0, 1.0], [2.0, 5.0], [20.0, 3.0], [22.0, 2.0]]))[:, 0]
    array([ 3.,  4.,  5., 17., 18., 19.])
    """
    front, back = joint_mm[:, 0].min() + _ICD_WINDOW_MM, joint_mm[:, 0].max() - _ICD_WINDOW_MM
    depths = np.arange(front, back + 1e-9, 1.0) if front <= back else np.array([0.5 * (front + back)])
    columns = ((y, joint_mm[np.abs(joint_mm[:, 0] - y) <= _ICD_WINDOW_MM, 1]) for y in depths)
    return np.array([(y, heights.max()) for y, heights in columns if heights.size])


def entry_points(seen: LateralView) -> Array:
    """Points (3, 3) in the side frame that the three axes pass, cranial to caudal."""
    front, height = float(seen.promontory_mm[0]), float(seen.promontory_mm[1])
    depth = front
    for _ in range(3):  # depth and height hang on each other through the slope of the wall
        depth = front + BODY_DEPTH_SHARE * (seen.wall_at(height) - front)
        height = float(np.interp(depth, seen.icd_mm[:, 0], seen.icd_mm[:, 1])) - BELOW_ICD_MM
    spacing = float(np.clip(0.5 * (height - np.mean(seen.foramina_mm)), *SPACING_MM))
    before_wall = seen.wall_at(height) - depth
    points = [(seen.joint_lateral_mm, depth, height)]
    for anterior in (0.0, ANTERIOR_MM):
        z = points[-1][2]
        way = np.array([seen.wall_at(z - spacing) - seen.wall_at(z), -spacing])
        z += spacing * float(way[1]) / float(np.linalg.norm(way))
        points.append((seen.joint_lateral_mm, seen.wall_at(z) - before_wall - anterior, z))
    return np.array(points)


def by_rule(bench: Bench, foramen_margin_mm: float) -> list[Placed | None]:
    """The implants that the rules give, cranial to caudal; None where an axis passes no joint."""
    points = entry_points(lateral_view(bench.problem.anatomy, bench.problem.side))
    axes = (np.concatenate([point, _MEDIAL]) for point in points[: bench.problem.count])
    return [_placed(bench, slot, axis, foramen_margin_mm) for slot, axis in enumerate(axes)]


def _placed(bench: Bench, slot: int, axis: Array, foramen_margin_mm: float) -> Placed | None:
    """The implant of a slot, its length by rule; None where the axis passes no joint."""
    found = place(bench, slot, axis)
    if found is None:
        return None
    problem = bench.problem
    lengths = sorted(problem.models[slot].lengths_mm)
    start = found.lateral - problem.limits.protrusion_target_mm
    edges = [f.most_lateral_mm for level in _TIP_BESIDE[slot] if (f := problem.anatomy.foramen(level, problem.side))]
    stop_at = max(edges, default=0.0) + foramen_margin_mm
    fitting = [length for length in lengths if found.axis[0] + (start + length) * found.axis[3] >= stop_at]
    return replace(found, start=start, stop=start + (max(fitting) if fitting else lengths[0]))
