"""What the judge says: distances with witness points, lengths, pairs, and which limits hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sjplan.core.arrays import Array
from sjplan.core.findings import Finding
from sjplan.core.plan import Side
from sjplan.core.trajectory import Trajectory


@dataclass(frozen=True, slots=True, eq=False)
class Clearance:
    """How far one implant stays from one danger structure.

    Parameters
    ----------
    structure : str
        A name of `sjplan.core.structures.DANGERS`.
    distance_mm : float
        From the true solid (roll included) to the structure's surface; on overlap minus the depth.
    envelope_mm : float
        The same from the flat-ended cylinder of the circumscribed radius; never above `distance_mm`.
    limit_mm : float
        Least envelope distance that is accepted.
    lower_bound_mm : float
        `distance_mm` less what the label map's resolution and the surface's own error may hide.
    at_lps_mm : (3,) float
        Witness on the structure, nearest to the true solid.
    on_implant_lps_mm : (3,) float
        Witness on the true solid.
    """

    structure: str
    distance_mm: float
    envelope_mm: float
    limit_mm: float
    lower_bound_mm: float
    at_lps_mm: Array
    on_implant_lps_mm: Array

    @property
    def slack_mm(self) -> float:
        """Envelope distance less the limit."""
        return self.envelope_mm - self.limit_mm


@dataclass(frozen=True, slots=True, eq=False)
class ImplantMargins:
    """Everything measured on one implant.

    `slot` is 1 to 3, cranial to caudal. Lengths are along the axis. `crossing_lps_mm` is where the axis
    crosses the joint (midway between leaving the ilium and entering the sacrum); None where it does not.
    `bare_mm` is how long one side of the implant lies bare of the ilium beyond where its axis enters.
    """

    slot: int
    trajectory: Trajectory
    clearances: tuple[Clearance, ...]
    protrusion_mm: float
    iliac_mm: float
    joint_mm: float
    sacral_mm: float
    crosses_articular: bool
    crossing_lps_mm: Array | None
    joint_normal_angle_deg: float
    tip_to_midline_mm: float
    overshoot_reserve_mm: float
    overshoot_structure: str
    bare_mm: float = 0.0

    @property
    def margin_mm(self) -> float:
        """Smallest envelope distance to any danger structure."""
        return min(c.envelope_mm for c in self.clearances)

    @property
    def slack_mm(self) -> float:
        """Worst envelope distance less its limit."""
        return min(c.slack_mm for c in self.clearances)

    @property
    def binding(self) -> Clearance:
        """The clearance with the worst slack."""
        return min(self.clearances, key=lambda c: c.slack_mm)


@dataclass(frozen=True, slots=True)
class PairMeasure:
    """Two implants beside each other: i and j are slots; the gap is between true solids, spacing between crossings."""

    i: int
    j: int
    gap_mm: float
    spacing_mm: float
    angle_deg: float


@dataclass(frozen=True, slots=True)
class Violation:
    """A limit that does not hold: where, what was measured, what is wanted, and by how much it is missed."""

    constraint: str
    slots: tuple[int, ...]
    value: float
    limit: float
    missing: float
    unit: str
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class MarginReport:
    """The judge's measure of a plan. *Accepted* means that no limit is violated."""

    side: Side
    implants: tuple[ImplantMargins, ...]
    pairs: tuple[PairMeasure, ...]
    violations: tuple[Violation, ...]
    findings: tuple[Finding, ...]

    @property
    def accepted(self) -> bool:
        """Whether every limit holds."""
        return not self.violations

    @property
    def slack_mm(self) -> float:
        """Worst slack of all implants."""
        return min(i.slack_mm for i in self.implants)

    @property
    def margin_mm(self) -> float:
        """Smallest margin of all implants."""
        return min(i.margin_mm for i in self.implants)


@dataclass(frozen=True, slots=True)
class Probability:
    """A share of draws with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ImplantBreach:
    """Breach probability of one implant: of anything, and of each structure that was ever breached."""

    slot: int
    any: Probability
    by_structure: Mapping[str, Probability]


@dataclass(frozen=True, slots=True)
class BreachReport:
    """Breach probabilities of a plan under one error model; `construct` is that of any implant breaching anything."""

    error_model: str
    draws: int
    implants: tuple[ImplantBreach, ...]
    construct: Probability
