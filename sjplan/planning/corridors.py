"""The largest straight S1 and S2 corridors in bone, from the ilium to the midline and from ilium to ilium.

What trauma surgeons ask for before an iliosacral or a trans-sacral screw. A corridor is measured on surfaces; it is a
statement about bone, not a plan: no limit is applied and no implant is placed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array, check_vector, unit
from sjplan.core.errors import GeometryError
from sjplan.core.plan import Side
from sjplan.planning.corridor_search import corridor_field, widest_axis
from sjplan.planning.corridor_walls import WallSet, corridor_walls, ends_of, gates, in_body, measure, passes

Kind = Literal["midline", "transsacral"]
Sides = Literal["left", "right", "both"]

LEVELS = ("S1", "S2")
LEAST_DIAMETER_MM = 2.0
"""Nothing narrower is called a corridor: a guide pin of 3.2 mm would not fit, and a search on 1 mm nodes misses it."""


@dataclass(frozen=True, slots=True, eq=False)
class Corridor:
    """The widest straight way of one kind and level, or why there is none.

    All measures are taken over the whole stretch from the lateral surface of the ilium to the midline or to the other
    ilium's lateral surface, and what counts as wall is every danger surface (foramina, canal, all outer cortex), but
    neither the joint's faces, nor the gluteal cortex within 15 mm of a lateral end.

    Parameters
    ----------
    level : {"S1", "S2"}
        S1: cranial of the S1 foramina; S2: between the S1 and the S2 foramina (of the sides that are passed).
    kind : {"midline", "transsacral"}
        From one ilium to the mid-sagittal plane, or from ilium to ilium.
    side : {"left", "right", "both"}
        The ilia that are passed.
    start_lps_mm : (3,) float or None
        Where the axis enters an ilium: that of the side; the left one for a trans-sacral corridor. None: no corridor.
    end_lps_mm : (3,) float or None
        Where it ends: in the midline, or at the right ilium's lateral surface.
    inscribed_diameter_mm : float
        Of the widest cylinder about the axis that no wall enters; 0 without a corridor.
    area_equivalent_diameter_mm : float
        Of the circle that has the area of the common cross-section: what a straight prism along the axis can fill,
        connected with the axis. Rastered: up to 0.1 mm too small.
    craniocaudal_diameter_mm : float
        Extent of the common cross-section through the axis, cranially and caudally.
    axial_deg, coronal_deg : float
        Angles to the transverse axis in the axial and the coronal plane of the pelvic frame: positive where the axis,
        on its way medially (trans-sacral: to the right), runs ventrally, and cranially.
    wall : str
        Structure that stops the inscribed cylinder ("lateral": gluteal cortex).
    reason : str
        Why there is no corridor; empty where there is one.

    Raises
    ------
    GeometryError
        If a corridor has only one end, or none and no reason.
    """

    level: str
    kind: Kind
    side: Sides
    start_lps_mm: Array | None = None
    end_lps_mm: Array | None = None
    inscribed_diameter_mm: float = 0.0
    area_equivalent_diameter_mm: float = 0.0
    craniocaudal_diameter_mm: float = 0.0
    axial_deg: float = 0.0
    coronal_deg: float = 0.0
    wall: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.start_lps_mm is None) != (self.end_lps_mm is None):
            raise GeometryError("corridor", found="one end", wanted="two ends or none")
        if (self.start_lps_mm is None) != bool(self.reason):
            raise GeometryError("corridor", found=f"reason {self.reason!r}", wanted="a reason where there are no ends")
        for name in ("start_lps_mm", "end_lps_mm"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, check_vector(name, getattr(self, name)))

    @property
    def found(self) -> bool:
        """Whether there is one."""
        return self.start_lps_mm is not None

    @property
    def axis(self) -> Array | None:
        """Unit vector from start to end, LPS."""
        if self.start_lps_mm is None or self.end_lps_mm is None:
            return None
        return unit(self.end_lps_mm - self.start_lps_mm)

    @property
    def length_mm(self) -> float:
        """From start to end; 0 without a corridor."""
        if self.start_lps_mm is None or self.end_lps_mm is None:
            return 0.0
        return float(np.linalg.norm(self.end_lps_mm - self.start_lps_mm))


def find_corridors(anatomy: Anatomy, *, progress: Callable[[str, float], None] | None = None) -> tuple[Corridor, ...]:
    """Find the widest corridors of both levels: left and right to the midline, then from ilium to ilium.

    The search starts from a raster of axes and climbs; it is deterministic, and complete only as far as its raster is.
    What is reported is measured on the surfaces.

    Parameters
    ----------
    anatomy : Anatomy
        The pelvis.
    progress : callable, optional
        Called with what is being done and the share that is done.

    Returns
    -------
    tuple of Corridor
        Six: for S1 and for S2 left, right, both.
    """
    tell = progress or (lambda _what, _share: None)
    wanted: list[tuple[str, Sides]] = [(level, side) for level in LEVELS for side in ("left", "right", "both")]
    if not anatomy.joints:
        return tuple(_none(level, side, _missing_joint(anatomy, _passed(side))) for level, side in wanted)
    tell("walls", 0.0)
    walls = corridor_walls(anatomy)
    field = corridor_field(anatomy)
    found = []
    for n, (level, side) in enumerate(wanted):
        tell(f"{level} {side if side != 'both' else 'trans-sacral'}", 0.3 + 0.7 * n / len(wanted))
        sides = _passed(side)
        reason = _missing_joint(anatomy, sides)
        try:
            gate = gates(anatomy, level, sides)
        except KeyError as error:
            reason = str(error.args[0])
        if reason:
            found.append(_none(level, side, reason))
            continue
        best = widest_axis(field, walls.packed, gate, sides, 0.5 * LEAST_DIAMETER_MM)
        if best is None or 2.0 * best[2] < LEAST_DIAMETER_MM:
            found.append(_none(level, side, f"no straight way of at least {LEAST_DIAMETER_MM:g} mm was found"))
            continue
        found.append(_measured(walls, level, side, best[0], best[1]))
    tell("done", 1.0)
    return tuple(found)


def measure_corridor(walls: WallSet, level: str, side: Sides, start_lps_mm: Array, end_lps_mm: Array) -> Corridor:
    """Measure the corridor about a given axis, such as one drawn by an expert.

    Parameters
    ----------
    walls : WallSet
        See `corridor_walls`.
    level : {"S1", "S2"}
        Level that the axis is said to belong to; it is checked.
    side : {"left", "right", "both"}
        Ilia that it passes.
    start_lps_mm, end_lps_mm : (3,) float
        Two points on the axis, in any order; the stretch that is measured is found anew.
    """
    frame = walls.anatomy.frame
    ends = frame.frame_from_lps(np.array([start_lps_mm, end_lps_mm]))
    way = ends[1] - ends[0]
    if abs(way[0]) < 1e-6:
        return _none(level, side, "the axis does not cross the mid-sagittal plane")
    point = ends[0] - ends[0, 0] / way[0] * way
    axis = unit(way * np.sign(way[0]))
    if not in_body(walls.packed, np.ascontiguousarray(point)):
        return _none(level, side, "the axis does not meet the mid-sagittal plane in the sacrum ventral of the canal")
    try:
        gate = gates(walls.anatomy, level, _passed(side))
    except KeyError as error:
        return _none(level, side, str(error.args[0]))
    if not passes(gate, point, axis):
        return _none(level, side, f"the axis does not pass the foramina as {level} does")
    return _measured(walls, level, side, point, axis)


def _passed(side: Sides) -> tuple[Side, ...]:
    return ("left", "right") if side == "both" else (side,)


def _none(level: str, side: Sides, reason: str) -> Corridor:
    return Corridor(level, "transsacral" if side == "both" else "midline", side, reason=reason)


def _missing_joint(anatomy: Anatomy, sides: tuple[Side, ...]) -> str:
    missing = [side for side in sides if side not in anatomy.joints]
    return f"no sacroiliac joint was found on the {' and the '.join(missing)}" if missing else ""


def _measured(walls: WallSet, level: str, side: Sides, point: Array, axis: Array) -> Corridor:
    """The corridor about an axis to the left through a midline point, pelvic frame."""
    sides = _passed(side)
    low, high = ends_of(walls.packed, point, axis, sides)
    section = measure(walls, point, axis, sides)
    if not np.isfinite([low, high]).all() or section.inscribed_diameter_mm <= 0.0:
        return _none(level, side, "the axis does not lead from ilium through sacrum clear of every wall")
    left, right = (walls.anatomy.frame.lps_from_frame(point + t * axis) for t in (high, low))
    medially = axis if side == "right" else -axis
    across = abs(axis[0])
    return Corridor(
        level=level,
        kind="transsacral" if side == "both" else "midline",
        side=side,
        start_lps_mm=right if side == "right" else left,
        end_lps_mm=left if side == "right" else right,
        inscribed_diameter_mm=section.inscribed_diameter_mm,
        area_equivalent_diameter_mm=section.area_equivalent_diameter_mm,
        craniocaudal_diameter_mm=section.craniocaudal_diameter_mm,
        axial_deg=float(np.degrees(np.arctan2(-medially[1], across))),
        coronal_deg=float(np.degrees(np.arctan2(medially[2], across))),
        wall=section.wall,
    )
