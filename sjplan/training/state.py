"""Where an operation stands: one frozen value that every action makes anew, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from sjplan.core.arrays import Array
from sjplan.core.plan import Side
from sjplan.core.trajectory import Trajectory
from sjplan.training.actions import MoveArm
from sjplan.training.pin import Pin


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """A path over a pin: where it enters the ilium, its axis, and how deep it is drilled and broached from there."""

    side: Side
    entry_lps_mm: Array
    axis: Array
    drilled_mm: float = 0.0
    broached_mm: float = 0.0
    roll_deg: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Implanted:
    """An implant in place, and the path that it was driven into."""

    side: Side
    trajectory: Trajectory
    passage: Passage

    def as_dict(self) -> dict[str, Any]:
        """Plain values, every number as it is."""
        return {
            "side": self.side,
            "model": self.trajectory.model.id,
            "entry_lps_mm": self.trajectory.entry_lps_mm.tolist(),
            "tip_lps_mm": self.trajectory.tip_lps_mm.tolist(),
            "roll_deg": self.trajectory.roll_deg,
            "passage": _numbers(self.passage),
        }


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Everything of an operation that changes.

    Parameters
    ----------
    arm : MoveArm
        Where the C-arm stands: its last move.
    pin : Pin or None
        In the hand or in the patient.
    reached_bone : bool
        Whether this pin has touched bone: turning it from then on is a redirection.
    runs_out : int
        How often the pin has left the bones for longer than a joint is wide.
    passage : Passage or None
        Made over this pin.
    implants : tuple of Implanted
        In place, in the order in which they were put in.
    marks_lps_mm : tuple of (3,) float
        On the skin.
    seconds, fluoroscopy_s, dose_area_ugy_m2 : float
        Time and dose that have passed.
    shots, redirections, perforations : int
        Counted; a pin that touched bone and was taken out again without an implant is a redirection too.
    finished : bool
        Nothing can be done any more.
    """

    arm: MoveArm = field(default_factory=MoveArm)
    pin: Pin | None = None
    reached_bone: bool = False
    runs_out: int = 0
    passage: Passage | None = None
    implants: tuple[Implanted, ...] = ()
    marks_lps_mm: tuple[Array, ...] = ()
    seconds: float = 0.0
    fluoroscopy_s: float = 0.0
    dose_area_ugy_m2: float = 0.0
    shots: int = 0
    redirections: int = 0
    perforations: int = 0
    finished: bool = False

    def of_side(self, side: Side) -> tuple[Implanted, ...]:
        """Implants of one side."""
        return tuple(i for i in self.implants if i.side == side)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, every number as it is."""
        return {
            "arm": _numbers(self.arm),
            "pin": None if self.pin is None else _numbers(self.pin),
            "reached_bone": self.reached_bone,
            "runs_out": self.runs_out,
            "passage": None if self.passage is None else _numbers(self.passage),
            "implants": [i.as_dict() for i in self.implants],
            "marks_lps_mm": [mark.tolist() for mark in self.marks_lps_mm],
            **{
                name: getattr(self, name)
                for name in ("seconds", "fluoroscopy_s", "dose_area_ugy_m2", "shots", "redirections", "perforations",
                             "finished")
            },
        }  # fmt: skip

    @property
    def fingerprint(self) -> str:
        """The same for two states only if every number of both is the same, bit by bit.

        Examples
        --------
        >>> State().fingerprint == State().fingerprint, State().fingerprint == State(shots=1).fingerprint
        (True, False)
        """
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()[:16]


def _numbers(value: MoveArm | Pin | Passage) -> dict[str, Any]:
    plain = {name: getattr(value, name) for name in value.__slots__}
    return {name: v.tolist() if hasattr(v, "tolist") else v for name, v in plain.items()}
