"""A plan for one side, and what a planner answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from sjplan.core.errors import GeometryError, unknown_name
from sjplan.core.frames import SIDES
from sjplan.core.trajectory import Trajectory

Side = Literal["left", "right"]
Status = Literal["found", "best_effort", "infeasible", "timeout", "invalid_input"]
Parameters = Mapping[str, float | int | str | bool]

BY_HAND: Final = "by-hand"
"""Planner of a plan that somebody laid: nothing was searched."""


def check_side(side: str) -> Side:
    """Return `side` if it is left or right, else raise."""
    if side == "left" or side == "right":
        return "left" if side == "left" else "right"
    raise unknown_name("side", side, SIDES)


def other_side(side: Side) -> Side:
    """The opposite side.

    Examples
    --------
    >>> other_side("left")
    'right'
    """
    return "right" if side == "left" else "left"


@dataclass(frozen=True, slots=True)
class Plan:
    """Implants of one side, cranial to caudal, and who planned them with what.

    `slots` names the place of each implant (1 to 3): a two-implant plan may leave out any of the three.
    """

    side: Side
    trajectories: tuple[Trajectory, ...]
    planner: str
    parameters: Parameters = field(default_factory=dict)
    seed: int = 0
    input_sha256: str = ""

    def __post_init__(self) -> None:
        check_side(self.side)
        if not 1 <= len(self.trajectories) <= 3:
            raise GeometryError("plan", found=f"{len(self.trajectories)} implants", wanted="one to three")
        object.__setattr__(self, "trajectories", tuple(self.trajectories))


SMALL_GAP_MM: Final = 0.25
"""A certificate's gap that is small for a planner which does not say what it aims at."""


def gap_parts_mm(parameters: Mapping[str, object]) -> tuple[float, float]:
    """What makes up a certificate's gap where the proof was not cut short: its aim, and slack given for a reserve.

    Examples
    --------
    >>> gap_parts_mm({"gap_mm": 0.5, "reserve_paid_mm": 0.125}), gap_parts_mm({})
    ((0.5, 0.125), (0.25, 0.0))
    """

    def finite(name: str, otherwise: float) -> float:
        value = parameters.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return otherwise
        return float(value)

    return finite("gap_mm", SMALL_GAP_MM), finite("reserve_paid_mm", 0.0)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why no plan was accepted: the binding constraint and how much is missing, in the constraint's unit."""

    constraint: str
    missing: float
    unit: str
    text: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is proved about a plan: no plan of its kind has a worst slack above `upper_bound_mm`, as the judge measures.

    Its kind: the same side, number of implants, models and limits. `slack_mm` is the plan's own worst slack; both
    numbers are cut at `cap_mm`, beyond which slack is not asked for (infinite: no cap). `given` names the other side
    where its implants were obstacles.

    Examples
    --------
    >>> Certificate(slack_mm=2.6, upper_bound_mm=3.0, cap_mm=3.0).gap_mm
    0.4
    """

    slack_mm: float
    upper_bound_mm: float
    cap_mm: float
    given: Side | None = None

    def __post_init__(self) -> None:
        if not self.slack_mm <= self.upper_bound_mm <= self.cap_mm:
            raise GeometryError(
                "certificate",
                found=f"slack {self.slack_mm}, bound {self.upper_bound_mm}, cap {self.cap_mm}",
                wanted="slack <= bound <= cap",
            )

    @property
    def gap_mm(self) -> float:
        """By how much a better plan could at most have more slack."""
        return round(self.upper_bound_mm - self.slack_mm, 9)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a planner answers: a status, and the plans and reasons that go with it.

    `plan` is set for `found` and `best_effort` only. Where nothing is accepted, `nearest` is the plan with the
    largest worst slack (not accepted) and `fallback` an accepted plan with two implants, if there is one.
    `pareto` holds accepted plans on the same axes, from most slack to most length in the sacrum, none better in both.
    """

    status: Status
    plan: Plan | None = None
    reasons: tuple[Reason, ...] = ()
    nearest: Plan | None = None
    fallback: Plan | None = None
    certificate: Certificate | None = None
    pareto: tuple[Plan, ...] = ()
    evaluations: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if (self.plan is not None) != (self.status in ("found", "best_effort")):
            raise GeometryError("outcome", found=f"status {self.status!r} with plan {self.plan is not None}",
                                wanted="a plan exactly for found and best_effort")  # fmt: skip
