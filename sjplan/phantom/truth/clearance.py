"""Clearance of an implant to every danger structure of the analytic pelvis, with a stated error.

Nothing here sees a voxel: distances come from a search over the implicit surfaces, so they are the same for every
spacing at which the phantom may be sampled. Names of places are those of `sjplan.phantom.truth.naming`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sjplan.core.arrays import Array, frozen
from sjplan.core.frames import SIDES
from sjplan.core.plan import Side
from sjplan.core.structures import DANGERS
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import Solid, envelope_solid, implant_solid
from sjplan.phantom.pelvis import Pelvis
from sjplan.phantom.truth.cubes import Cubes, NamedSurface
from sjplan.phantom.truth.naming import IliacSurface, SacralSurface
from sjplan.phantom.truth.octree import Nearest, nearest_named
from sjplan.phantom.truth.overlap import LARGEST_ERROR_MM, Depth, depths_mm
from sjplan.phantom.truth.passage import AxisSpans, axis_spans

TOLERANCE_MM: Final = 0.04
"""Width at which a search stops (mm): with what a border between names adds, the error stays below 0.05 mm."""


@dataclass(frozen=True, slots=True, eq=False)
class TrueClearance:
    """Distance of one implant to one danger structure of the analytic pelvis.

    Parameters
    ----------
    structure : str
        Name of the danger structure.
    distance_mm : float
        From the true solid; on overlap, minus the depth of its deepest point out behind the structure.
    error_mm : float
        The true distance differs from `distance_mm` by at most this.
    at_lps_mm : (3,) float
        The structure's point that is nearest to the solid, or lies deepest in it.
    envelope_mm, envelope_error_mm : float
        The same of the flat-ended cylinder of the circumscribed radius.
    """

    structure: str
    distance_mm: float
    error_mm: float
    at_lps_mm: Array
    envelope_mm: float
    envelope_error_mm: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as a JSON file holds them."""
        return {
            "structure": self.structure,
            "distance_mm": round(self.distance_mm, 4),
            "error_mm": round(self.error_mm, 4),
            "envelope_mm": round(self.envelope_mm, 4),
            "envelope_error_mm": round(self.envelope_error_mm, 4),
            "at_lps_mm": [round(float(v), 4) for v in self.at_lps_mm],
        }


class TrueSurfaces:
    """The surfaces of one pelvis prepared for measuring; build once, measure many times.

    What is prepared for one side is kept for the next implant: some seconds for the sacrum and for each hip bone.

    Parameters
    ----------
    pelvis : Pelvis
        The pelvis.
    """

    def __init__(self, pelvis: Pelvis) -> None:
        self.pelvis = pelvis
        self.sacrum = SacralSurface(pelvis)
        self.ilium = {side: IliacSurface(pelvis, side) for side in SIDES}

    def bones(self, side: Side) -> tuple[tuple[NamedSurface, Cubes], tuple[NamedSurface, Cubes]]:
        """Sacrum and hip bone of one side, each with its cubes."""
        return (self.sacrum, self.sacrum.cubes), (self.ilium[side], self.ilium[side].cubes)


def implant_clearance_mm(
    surfaces: TrueSurfaces,
    side: Side,
    trajectory: Trajectory,
    tolerance_mm: float = TOLERANCE_MM,
    depth_error_mm: float = LARGEST_ERROR_MM,
) -> tuple[TrueClearance, ...]:
    """Distance of an implant's true solid and of its envelope to every danger structure of one side.

    Parameters
    ----------
    surfaces : TrueSurfaces
        Of the pelvis.
    side : {"left", "right"}
        Whose hip bone is measured; the sacrum is measured as a whole.
    trajectory : Trajectory
        The implant.
    tolerance_mm : float
        Width at which the searches stop.
    depth_error_mm : float
        Error to which depths of overlaps are refined; a larger one takes less time, and is stated.

    Returns
    -------
    tuple of TrueClearance
        In the order of `sjplan.core.structures.DANGERS`; structures that the pelvis does not have are left out.
    """
    solids = (implant_solid(trajectory), envelope_solid(trajectory))
    spans = axis_spans(surfaces.pelvis, side, trajectory)
    nearest: dict[tuple[int, str], Nearest] = {}
    for surface, cubes in surfaces.bones(side):
        names = [name for name in surface.names if name in DANGERS]
        for key, found in nearest_named(surface, cubes, solids, names, tolerance_mm).items():
            if key not in nearest or found.distance_mm < nearest[key].distance_mm:
                nearest[key] = found
    depths = [
        _depths(surfaces, side, trajectory, spans, solid, n, nearest, depth_error_mm) for n, solid in enumerate(solids)
    ]
    out = []
    for name in DANGERS:
        if (0, name) in nearest:
            (distance, error), (envelope, envelope_error) = (
                _signed(nearest[n, name], depths[n].get(name)) for n in (0, 1)
            )
            at = frozen(nearest[0, name].at_lps_mm)
            out.append(TrueClearance(name, distance, error, at, min(envelope, distance), envelope_error))
    return tuple(out)


def _signed(nearest: Nearest, depth: Depth | None) -> tuple[float, float]:
    if depth is None:
        return nearest.distance_mm, nearest.error_mm
    return -depth.depth_mm, depth.error_mm


def _depths(
    surfaces: TrueSurfaces,
    side: Side,
    trajectory: Trajectory,
    spans: AxisSpans,
    solid: Solid,
    number: int,
    nearest: dict[tuple[int, str], Nearest],
    error_mm: float,
) -> dict[str, Depth]:
    """Depths of one solid behind what it cuts, or, of an implant that does not pass, behind anything."""
    cut = [name for (n, name), found in nearest.items() if n == number and found.distance_mm <= 0]
    passes = spans.gap() is not None
    if passes and not cut:
        return {}
    inner = _from_the_ilium_on(surfaces, side, trajectory, spans, solid)
    return {} if inner is None else depths_mm(surfaces.bones(side), inner, cut, not passes, error_mm)


def _from_the_ilium_on(
    surfaces: TrueSurfaces, side: Side, trajectory: Trajectory, spans: AxisSpans, solid: Solid
) -> Solid | None:
    """The solid without what lies lateral of where its axis enters the ilium; None where nothing is left."""
    ahead = sorted(t for span in (*spans.ilium, *spans.sacrum) for t in span if t > 0)
    if not ahead or not any(t == ahead[0] for span in spans.ilium for t in span):
        return solid
    ilium = surfaces.ilium[side]
    point = trajectory.entry_lps_mm + ahead[0] * trajectory.axis
    if ilium.names[int(ilium.outer_names(point[None])[0])] != "lateral":
        return solid
    if ahead[0] >= solid.length_mm:
        return None
    packed = np.array(solid.packed)
    packed[:3] += ahead[0] * packed[3:6]
    packed[12] -= ahead[0]
    return Solid(packed)
