"""Clearance along an implant's path: its envelope in slabs, each measured like the whole."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.limits import Limits
from sjplan.core.tolerances import JUDGE_TOL_MM
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import Solid, envelope_solid
from sjplan.geometry.triangle_tree import TriangleTree, lowest_solid_distance, nearest_point, reaches
from sjplan.safety.depth import depths_mm
from sjplan.safety.measures import AxisPassage, axis_passage
from sjplan.safety.surfaces import MeasuringSurfaces

STATION_MM = 0.5
"""Length of a slab along the axis."""


@dataclass(frozen=True, slots=True, eq=False)
class ClearanceProfile:
    """Slack of one implant's envelope along its axis.

    The envelope is cut across its axis into equal slabs of about `STATION_MM`. The slack of a slab is
    the smallest of its distances to the dangers, each less that danger's limit. Together the slabs are the envelope, so
    the smallest slack of all is the implant's own, to the judge's tolerance.

    Parameters
    ----------
    along_mm : (n,) float
        Middle of each slab, from the lateral end.
    slack_mm : (n,) float
        Its slack; below zero by how deep it lies out of the bone where it is out.
    structure : (n,) tuple of str
        The danger that gives it.
    passage : AxisPassage
        Where along the axis ilium, joint and sacrum begin and end.
    """

    along_mm: Array
    slack_mm: Array
    structure: tuple[str, ...]
    passage: AxisPassage

    @property
    def worst(self) -> int:
        """Index of the slab with the smallest slack."""
        return int(np.argmin(self.slack_mm))


def clearance_profile(
    surfaces: MeasuringSurfaces, trajectory: Trajectory, limits: Limits, station_mm: float = STATION_MM
) -> ClearanceProfile:
    """Slack of an implant's envelope along its axis, measured on the surfaces; see `ClearanceProfile`.

    Parameters
    ----------
    surfaces : MeasuringSurfaces
        Prepared surfaces of the implant's side.
    trajectory : Trajectory
        The implant.
    limits : Limits
        Least distance to each danger.
    station_mm : float
        Length of a slab, to the nearest that divides the implant evenly.
    """
    whole, passage = envelope_solid(trajectory), axis_passage(surfaces, trajectory)
    stations = np.linspace(0.0, whole.length_mm, max(1, round(whole.length_mm / station_mm)) + 1)
    step = float(stations[1])
    limit = {name: limits.clearance_of(name) for name in surfaces.dangers}
    cut = [
        name
        for name, tree in surfaces.dangers.items()
        if lowest_solid_distance(tree, whole.packed, JUDGE_TOL_MM)[0] <= 0.0
    ]
    slack, structure = np.zeros(len(stations) - 1), []
    least = dict.fromkeys(limit, -np.inf)
    for n, (start, stop) in enumerate(itertools.pairwise(stations)):
        slab = _slab(whole, float(start), float(stop))
        least = {name: value - step for name, value in least.items()}
        slack[n], name = _slab_slack(surfaces.dangers, limit, slab, least)
        if (cut or passage.crossing_mm is None) and _may_be_out(surfaces, slab):
            out = depths_mm(surfaces, slab, cut)
            slack[n], name = min([(slack[n], name), *((-depth - limit[other], other) for other, depth in out.items())])
        structure.append(name)
    return ClearanceProfile(0.5 * (stations[:-1] + stations[1:]), slack, tuple(structure), passage)


def _may_be_out(surfaces: MeasuringSurfaces, slab: Solid) -> bool:
    """Whether any point of a slab can be outside both bones: a surface cuts it, or its middle lies outside."""
    middle = np.ascontiguousarray(slab.point(0.5 * slab.length_mm, 0.0, 0.0))
    return nearest_point(surfaces.everything, middle)[1] > 0.0 or reaches(surfaces.everything, slab.packed, 0.0)


def _slab(whole: Solid, start_mm: float, stop_mm: float) -> Solid:
    packed = whole.packed.copy()
    packed[:3] += start_mm * packed[3:6]
    packed[12] = stop_mm - start_mm
    return Solid(packed)


def _slab_slack(
    dangers: Mapping[str, TriangleTree], limit: Mapping[str, float], slab: Solid, least: dict[str, float]
) -> tuple[float, str]:
    """Smallest slack of a slab, and to what.

    `least` holds what each danger's slack is at least, from the slab before: no point lies nearer by more than the
    slabs are apart. Dangers that cannot be the nearest are not measured; `least` is brought up to date for the others.
    """
    best, nearest = np.inf, ""
    for name in sorted(least, key=least.__getitem__):
        if least[name] > best:
            break
        value = lowest_solid_distance(dangers[name], slab.packed, JUDGE_TOL_MM)[0] - limit[name]
        least[name] = value - JUDGE_TOL_MM
        if value < best:
            best, nearest = value, name
    return float(best), nearest
