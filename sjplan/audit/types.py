"""What an audit compares, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sjplan.core.arrays import Array, check_shape, check_vector
from sjplan.core.errors import GeometryError
from sjplan.core.plan import Side, check_side
from sjplan.core.tolerances import DIRECTION_TOL
from sjplan.core.trajectory import Trajectory
from sjplan.safety.types import Clearance, ImplantMargins, MarginReport, Violation


@dataclass(frozen=True, slots=True, eq=False)
class PlannedImplant:
    """One implant of a plan: side, slot 1 to 3 (cranial to caudal), and where it was to go."""

    side: Side
    slot: int
    trajectory: Trajectory

    def __post_init__(self) -> None:
        check_side(self.side)
        if self.slot not in (1, 2, 3):
            raise GeometryError("slot", found=f"{self.slot}", wanted="1 to 3")


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Something long that was found: a name for people, and its two ends in no order."""

    name: str
    ends_lps_mm: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "ends_lps_mm", check_shape("ends_lps_mm", self.ends_lps_mm, (2, 3)))


@dataclass(frozen=True, slots=True, eq=False)
class PlacedImplant:
    """One implant as it lies, in the frame of the plan.

    Parameters
    ----------
    name : str
        Where it was found: a slot of a plan, a line, a file, a piece of metal.
    trajectory : Trajectory
        Entry is the lateral end.
    roll_known : bool
        Whether the source says how it is rolled; a line does not.
    fit_rms : float or None
        What of the source the fitted implant leaves over: mm for a mesh, a share of the metal's brightness for a CT;
        None where nothing was fitted.
    """

    name: str
    trajectory: Trajectory
    roll_known: bool
    fit_rms: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Rigid:
    """A rigid motion of points: `rotation @ p + shift_mm`.

    Examples
    --------
    >>> turn = Rigid(np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), np.array([5.0, 0.0, 0.0]))
    >>> turn.points([[1.0, 0.0, 0.0]]).tolist(), turn.inverse.points([[5.0, 1.0, 0.0]]).tolist()
    ([[5.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])
    """

    rotation: Array
    shift_mm: Array

    def __post_init__(self) -> None:
        rotation = check_shape("rotation", self.rotation, (3, 3))
        if np.abs(rotation @ rotation.T - np.eye(3)).max() > DIRECTION_TOL or np.linalg.det(rotation) < 0:
            raise GeometryError("rotation", found=f"{rotation.tolist()}", wanted="a rotation matrix")
        object.__setattr__(self, "rotation", rotation)
        object.__setattr__(self, "shift_mm", check_vector("shift_mm", self.shift_mm))

    def points(self, points_mm: ArrayLike) -> Array:
        """Points (..., 3) moved."""
        return np.asarray(np.asarray(points_mm, dtype=np.float64) @ self.rotation.T + self.shift_mm)

    @property
    def inverse(self) -> Rigid:
        """The way back."""
        return Rigid(self.rotation.T, -self.rotation.T @ self.shift_mm)


@dataclass(frozen=True, slots=True)
class Deviation:
    """How one implant lies off its plan.

    Parameters
    ----------
    entry_mm, tip_mm : float
        Distance between the planned and the placed end.
    angle_deg : float
        Angle between the axes.
    roll_deg : float or None
        Turn about its own axis, right-handed about entry to tip, after the axes were laid onto each other the shortest
        way: -60 to 60 for a triangle, None for a cylinder and where the source does not say.
    depth_mm : float
        Of the tip, along the planned axis; positive: too deep.
    lateral_mm, entry_lateral_mm : float
        Of tip and entry, across the planned axis.
    length_mm : float
        Placed less planned length.
    """

    entry_mm: float
    tip_mm: float
    angle_deg: float
    roll_deg: float | None
    depth_mm: float
    lateral_mm: float
    entry_lateral_mm: float
    length_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class ImplantAudit:
    """One implant: planned, placed, how far apart, what the judge measures on it now, and its grade by each scheme.

    `planned` is None for an implant that nobody planned: it has no slot, and clearances alone are measured on it.
    """

    side: Side
    planned: PlannedImplant | None
    placed: PlacedImplant
    deviation: Deviation | None
    margins: ImplantMargins | None
    clearances: tuple[Clearance, ...]
    breach_mm: float
    breached: str
    grades: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class SideAudit:
    """One side: the implants, slots that were planned and are empty, and what does not hold now.

    `report` is None where nothing that was planned was placed.
    """

    side: Side
    implants: tuple[ImplantAudit, ...]
    missing: tuple[int, ...]
    report: MarginReport | None
    violations: tuple[Violation, ...]

    @property
    def extra(self) -> tuple[ImplantAudit, ...]:
        """Implants that nobody planned."""
        return tuple(i for i in self.implants if i.planned is None)

    @property
    def accepted(self) -> bool:
        """Whether everything planned is there, nothing else is, and every limit holds for it as it lies."""
        return self.report is not None and not self.missing and not self.extra and not self.violations


@dataclass(frozen=True, slots=True)
class Registration:
    """How well a later CT was laid onto the bones of the plan.

    Parameters
    ----------
    plan_from_ct : Rigid
        Points of the CT into the plan's frame.
    residual_mm : float
        Median distance from the plan's bone surfaces to the edges of bone in the CT.
    matched_share : float
        Of the sampled places of the bones inside the CT: those whose edge was found within 2 mm.
    inside_share : float
        Of the sampled places: those inside the CT.
    """

    plan_from_ct: Rigid
    residual_mm: float
    matched_share: float
    inside_share: float
