"""What a view hides: an implant that is out, and whether the edges that a view shows would tell.

A surgeon takes an implant for safe while its shadow stays inside the edges: of the bone it lies in, of foramina seen
as openings, of the canal. Each of these is measured here in each view, beside the distance in space.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array
from sjplan.core.plan import Side
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.hull import closed_hull
from sjplan.geometry.solids import Solid, cylinder, solid_mesh
from sjplan.safety.types import Clearance
from sjplan.views.edges import Outline, before_canal_mm, convex_gap_mm, outline, rim, upper_sacrum
from sjplan.views.plane import seen_mm
from sjplan.xray.carm import carm_angles, carm_axes, carm_rotation
from sjplan.xray.types import CArm

STANDARD: Final = ("ap", "lateral", "inlet", "outlet")
"""Views that every operation takes."""

ILIAC: Final = ("notch", "iliac_inner", "iliac_border")
SACRAL: Final = ("anterior", "superior", "posterior", "inferior")
"""Structures that a bone's outline stands for: those of the ilium, and of the sacrum."""

REVEALED_MM: Final = 1.0
"""An extra view reveals a breach where the shadow crosses the edge by this much; a default."""

_FROM_JOINT_MM: Final = 4.0
"""So far from the joint the shadow is not asked: there it passes from one bone's outline into the other's."""

_STEP_DEG, _FARTHEST_DEG = 5.0, 40.0
_RING: Final = 24
_POINTS_ALONG_MM: Final = 1.0
_SHADOW_STEP_MM: Final = 0.5


@dataclass(frozen=True, slots=True)
class ExtraView:
    """A view that reveals a breach: a standard one, turned by so many degrees about orbital or tilt."""

    carm: CArm
    start: str
    turned_deg: float
    clearance_mm: float


@dataclass(frozen=True, slots=True)
class Sight:
    """One structure near one implant, in space and as views show it.

    Parameters
    ----------
    slot : int
        Number of the implant.
    structure : str
        A name of `sjplan.core.structures.DANGERS`.
    distance_mm : float
        From the implant's envelope, in space; negative where it is in.
    seen_mm : mapping of view to float
        Clearance of the envelope's shadow from the edge that stands for the structure, at the isocentre's scale. NaN
        where the view shows no such edge.
    extra : ExtraView or None
        For a breach: the view that reveals it with the least turn from a standard one. None where a standard one
        does, or none was found.
    """

    slot: int
    structure: str
    distance_mm: float
    seen_mm: Mapping[str, float]
    extra: ExtraView | None = None

    @property
    def breach(self) -> bool:
        """Whether the envelope is in the structure."""
        return self.distance_mm < 0.0

    @property
    def shown_on(self) -> tuple[str, ...]:
        """Views in which the shadow crosses the structure's edge."""
        return tuple(name for name, clearance in self.seen_mm.items() if clearance < 0.0)

    @property
    def hidden_on(self) -> tuple[str, ...]:
        """Views that show the edge and the shadow inside it, though the implant is in the structure."""
        return tuple(name for name, clearance in self.seen_mm.items() if self.breach and clearance >= 0.0)

    @property
    def most_deceptive(self) -> str | None:
        """The hiding view in which the shadow lies farthest inside; None where no view hides."""
        hiding = self.hidden_on
        return max(hiding, key=lambda name: self.seen_mm[name]) if hiding else None


class Viewer:
    """The edges of one pelvis, each made once a view."""

    def __init__(self, anatomy: Anatomy) -> None:
        self.anatomy = anatomy
        self._upper = upper_sacrum(anatomy)
        self._upper_end_mm = float(anatomy.frame.frame_from_lps(self._upper.vertices_lps_mm)[:, 2].min())
        self._outlines: dict[tuple[str, bytes], Outline] = {}

    def clearance_mm(self, trajectory: Trajectory, crossing_lps_mm: Array, structure: str, carm: CArm) -> float:
        """Clearance of an implant's envelope from the edge of one structure, as one view shows it; NaN without an edge.

        Parameters
        ----------
        crossing_lps_mm : (3,) float
            Where its axis crosses the joint.
        structure : str
            A name of `sjplan.core.structures.DANGERS`.
        """
        side: Side = (
            "left" if (crossing_lps_mm - self.anatomy.frame.origin_lps_mm) @ self.anatomy.frame.left > 0 else "right"
        )
        if structure in ILIAC:
            part = _part(trajectory, crossing_lps_mm, medial=False)
            return self._in_outline(part, side, carm)
        part = _part(trajectory, crossing_lps_mm, medial=True)
        if part is None:
            return float("nan")
        if structure in SACRAL:
            lowest = float(self.anatomy.frame.frame_from_lps(part.point(*_skin(part)))[:, 2].min())
            return self._in_outline(part, "upper" if lowest > self._upper_end_mm else "sacrum", carm)
        if structure == "canal":
            return before_canal_mm(self.anatomy, part.point(*_skin(part)), carm)
        ring = self._rim(structure, carm) if structure.startswith("foramen_") else None
        return float("nan") if ring is None else convex_gap_mm(_shadow(part, carm), ring)

    def _in_outline(self, part: Solid | None, bone: str, carm: CArm) -> float:
        if part is None:
            return float("nan")
        found = self._outline(bone, carm).at(_shadow(part, carm))
        found = found[np.isfinite(found)]
        return float(found.min()) if len(found) else float("nan")

    def _outline(self, bone: str, carm: CArm) -> Outline:
        numbers = (
            carm.orbital_deg,
            carm.tilt_deg,
            carm.wig_wag_deg,
            carm.source_to_isocentre_mm,
            *carm.isocentre_lps_mm,
        )
        key = (bone, np.array(numbers).tobytes())
        if key not in self._outlines:
            sacra = {"upper": self._upper, "sacrum": self.anatomy.sacrum}
            surface = sacra[bone] if bone in sacra else self.anatomy.ilium[bone]  # type: ignore[index]
            self._outlines[key] = outline(surface, carm)
        return self._outlines[key]

    def _rim(self, structure: str, carm: CArm) -> Array | None:
        _, level, side = structure.split("_")
        foramen = self.anatomy.foramen(level, side)
        return None if foramen is None else rim(foramen, carm, self.anatomy.spacing_mm)


def explain(
    anatomy: Anatomy,
    implants: Sequence[tuple[Trajectory, Array | None, Iterable[Clearance]]],
    views: Mapping[str, CArm],
    *,
    standard: Sequence[str] = STANDARD,
) -> tuple[Sight, ...]:
    """What each view shows of every breach; of an implant without one, of the structure it comes nearest to.

    Parameters
    ----------
    anatomy : Anatomy
        The pelvis.
    implants : sequence of (Trajectory, (3,) float or None, clearances)
        Each with where its axis crosses the joint, and its measured clearances. One that crosses no joint counts from
        the middle of the way.
    views : mapping of name to CArm
        Every view to be asked.
    standard : sequence of str
        Names of those that are taken anyway: an extra view is looked for where none of them shows a breach.
    """
    viewer = Viewer(anatomy)
    found = []
    for slot, (trajectory, crosses, clearances) in enumerate(implants, 1):
        crossing = 0.5 * (trajectory.entry_lps_mm + trajectory.tip_lps_mm) if crosses is None else crosses
        for clearance in _to_explain(clearances):
            at = {
                name: viewer.clearance_mm(trajectory, crossing, clearance.structure, carm)
                for name, carm in views.items()
            }
            sight = Sight(slot, clearance.structure, clearance.envelope_mm, at)
            if sight.breach and not set(sight.shown_on) & set(standard):
                starts = {name: views[name] for name in standard if name in views}
                sight = replace(sight, extra=extra_view(viewer, trajectory, crossing, clearance.structure, starts))
            found.append(sight)
    return tuple(found)


def extra_view(
    viewer: Viewer, trajectory: Trajectory, crossing_lps_mm: Array, structure: str, starts: Mapping[str, CArm]
) -> ExtraView | None:
    """The view that reveals a breach with the least turn from a standard one; None up to 40 degrees away."""
    for turn in np.arange(_STEP_DEG, _FARTHEST_DEG + 0.1, _STEP_DEG):
        best: ExtraView | None = None
        for name, carm in _turned(starts, float(turn)):
            clearance = viewer.clearance_mm(trajectory, crossing_lps_mm, structure, carm)
            if clearance <= -REVEALED_MM and (best is None or clearance < best.clearance_mm):
                best = ExtraView(carm, name, float(turn), clearance)
        if best is not None:
            return best
    return None


def _turned(starts: Mapping[str, CArm], turn_deg: float) -> Iterator[tuple[str, CArm]]:
    """Each view with its arm turned on its own about the image's up (orbital) and right (tilt) directions."""
    for name, carm in starts.items():
        rotation = carm_axes(carm).T
        for orbital, tilt in ((turn_deg, 0.0), (-turn_deg, 0.0), (0.0, turn_deg), (0.0, -turn_deg)):
            angles = carm_angles(rotation @ carm_rotation(orbital, tilt, 0.0))
            yield name, CArm(*angles, carm.isocentre_lps_mm, carm.source_to_isocentre_mm, carm.source_to_detector_mm)


def _to_explain(clearances: Iterable[Clearance]) -> list[Clearance]:
    """Every breach; where there is none the smallest clearance. What no edge of bone stands for is left out."""
    seen = [c for c in clearances if c.structure not in ("metal", "scan_edge")]
    breaches = [c for c in seen if c.envelope_mm < 0.0]
    return breaches or sorted(seen, key=lambda c: c.envelope_mm)[:1]


def _part(trajectory: Trajectory, crossing_lps_mm: Array, *, medial: bool) -> Solid | None:
    """The envelope from a little beyond the joint to the tip, or from the lateral end to a little before the joint."""
    axis = trajectory.axis
    crossing = float((crossing_lps_mm - trajectory.entry_lps_mm) @ axis)
    start, stop = (crossing + _FROM_JOINT_MM, trajectory.length_mm) if medial else (0.0, crossing - _FROM_JOINT_MM)
    start = max(start, 0.0)
    if stop - start < _POINTS_ALONG_MM:
        return None
    entry = trajectory.entry_lps_mm
    return cylinder(entry + start * axis, entry + stop * axis, trajectory.model.circumscribed_radius_mm)


def _shadow(part: Solid, carm: CArm) -> Array:
    """Closed outline of a part's shadow, a point every half millimetre, as fine as the outlines' raster."""
    ring = closed_hull(seen_mm(solid_mesh(part, _RING)[0], carm))
    pieces = [
        np.linspace(a, b, math.ceil(float(np.linalg.norm(b - a)) / _SHADOW_STEP_MM), endpoint=False)
        for a, b in itertools.pairwise(ring)
    ]
    return np.concatenate([*pieces, ring[-1:]])


def _skin(part: Solid) -> tuple[Array, Array, Array]:
    """Coordinates (along, u, v) all over the wall of a cylinder and its ends' rims, on a polygon about its circle."""
    angle = np.linspace(0.0, 2.0 * np.pi, _RING, endpoint=False)
    along = np.linspace(0.0, part.length_mm, max(int(part.length_mm / _POINTS_ALONG_MM), 2))
    a, w = (grid.ravel() for grid in np.meshgrid(along, angle))
    radius = part.circumscribed_radius_mm / np.cos(np.pi / _RING)
    return a, radius * np.cos(w), radius * np.sin(w)
