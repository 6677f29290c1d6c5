"""The judge kept warm: a report after every small change of a plan, and a first answer while it is being dragged."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.limits import Limits
from sjplan.core.tolerances import JUDGE_TOL_MM
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import envelope_solid
from sjplan.geometry.triangle_tree import lowest_solid_distance
from sjplan.safety.judge import verdict
from sjplan.safety.measures import axis_passage, implant_margins
from sjplan.safety.surfaces import MeasuringSurfaces
from sjplan.safety.types import ImplantMargins, MarginReport

KEPT: Final = 64
"""Measured implants that are remembered: what is undone need not be measured again."""

NEAREST: Final = 3
"""Structures that a glance names."""


@dataclass(frozen=True, slots=True)
class Near:
    """One structure that a dragged implant is near to.

    Parameters
    ----------
    structure : str
        Its name.
    envelope_mm : float
        Distance of the clearance envelope, the judge's own; minus infinity where the envelope cuts the structure.
    limit_mm : float
        Least envelope distance that is accepted.
    lower_bound_mm : float
        What is clear for certain: the true solid's lower bound in a report is never less.
    """

    structure: str
    envelope_mm: float
    limit_mm: float
    lower_bound_mm: float

    @property
    def slack_mm(self) -> float:
        """Envelope distance less the limit."""
        return self.envelope_mm - self.limit_mm


@dataclass(frozen=True, slots=True)
class Glance:
    """One implant while it is being dragged. No number in it is larger than what the judge says of the same place.

    Parameters
    ----------
    near : tuple of Near
        The structures with the least slack, the least first.
    crosses : bool
        Whether its axis passes from the ilium into the sacrum.
    """

    near: tuple[Near, ...]
    crosses: bool

    @property
    def out(self) -> bool:
        """Whether it cuts a structure, or does not go through the joint: how deep it is out only a report says."""
        return not self.crosses or any(near.envelope_mm <= 0.0 for near in self.near)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Distances known of earlier places of one implant model: (n,) values, and (n, 9) ends and axis of each."""

    value_mm: Array
    place: Array


class LiveJudge:
    """Judges plans of one side that differ by one implant at a time, to the last digit as `judge` does.

    Only implants that it has not seen are measured; pairs and limits are looked at each time.

    Parameters
    ----------
    surfaces : MeasuringSurfaces
        Of the side.
    limits : Limits
        What has to hold.
    """

    def __init__(self, surfaces: MeasuringSurfaces, limits: Limits) -> None:
        self.surfaces, self.limits = surfaces, limits
        self._known: OrderedDict[tuple[object, ...], ImplantMargins] = OrderedDict()
        self._names, self._trees = tuple(surfaces.dangers), tuple(surfaces.dangers.values())
        self._limits = np.array([limits.clearance_of(name) for name in self._names])
        self._seen: dict[tuple[int, float], _Seen] = {}

    def report(self, trajectories: Sequence[Trajectory]) -> MarginReport:
        """The judge's report on a plan.

        Parameters
        ----------
        trajectories : sequence of Trajectory
            One to three, cranial to caudal.
        """
        implants = tuple(self.margins(slot, trajectory) for slot, trajectory in enumerate(trajectories, 1))
        return verdict(implants, self.surfaces.anatomy, self.limits, self.surfaces.side)

    def margins(self, slot: int, trajectory: Trajectory) -> ImplantMargins:
        """The judge's measures of one implant, remembered."""
        key = (
            trajectory.entry_lps_mm.tobytes(),
            trajectory.tip_lps_mm.tobytes(),
            trajectory.roll_deg,
            trajectory.model,
        )
        if key not in self._known:
            self._known[key] = implant_margins(self.surfaces, slot, trajectory, self.limits)
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return replace(self._known[key], slot=slot, trajectory=trajectory)

    def glance(self, slot: int, trajectory: Trajectory) -> Glance:
        """A first answer for one implant: its least distances as the judge has them, no lengths, no depths.

        A distance changes by no more than the farthest point of the envelope moves: a structure is measured again only
        where it may have come among the nearest since it was last measured.
        """
        envelope, here = envelope_solid(trajectory), _place(trajectory)
        radius = trajectory.model.circumscribed_radius_mm
        seen = self._seen.get((slot, radius))
        if seen is None:
            seen = _Seen(np.full(len(self._names), -np.inf), np.tile(here, (len(self._names), 1)))
        value, place = seen.value_mm.copy(), seen.place.copy()
        least = value - _farthest_mm(place, here, radius)
        found: dict[int, float] = {}
        # In order of what each may have at least, and then no farther than what is not among the nearest.
        for n in np.argsort(least - self._limits, kind="stable"):
            enough = len(found) >= NEAREST and least[n] > 0.0
            if enough and least[n] - self._limits[n] >= sorted(found.values())[NEAREST - 1]:
                continue
            distance = float(lowest_solid_distance(self._trees[n], envelope.packed, JUDGE_TOL_MM)[0])
            found[int(n)] = distance - self._limits[n]
            value[n], place[n] = distance - JUDGE_TOL_MM, here
        self._seen[slot, radius] = _Seen(value, place)
        crosses = axis_passage(self.surfaces, trajectory).crossing_mm is not None
        # Off the joint it may be out behind a structure that it does not cut.
        near = {n: self._near(n, slack + self._limits[n] if crosses else 0.0) for n, slack in found.items()}
        least_first = sorted(near, key=lambda n: (near[n].slack_mm, found[n]))
        return Glance(tuple(near[n] for n in least_first[:NEAREST]), crosses)

    def _near(self, n: int, distance_mm: float) -> Near:
        envelope = distance_mm if distance_mm > 0.0 else -np.inf
        sure = envelope - self.surfaces.anatomy.geometry_error_mm - JUDGE_TOL_MM
        return Near(self._names[n], float(envelope), float(self._limits[n]), float(sure))


def _place(trajectory: Trajectory) -> Array:
    return np.concatenate([trajectory.entry_lps_mm, trajectory.tip_lps_mm, trajectory.axis])


def _farthest_mm(before: Array, now: Array, radius_mm: float) -> Array:
    """How far any point of a cylinder has moved at most, from each of (n, 9) places to one."""
    moved = np.linalg.norm((before - now).reshape(-1, 3, 3), axis=2)
    return np.asarray(np.maximum(moved[:, 0], moved[:, 1]) + radius_mm * moved[:, 2])
