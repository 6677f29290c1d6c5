"""What an implant's axis passes in the analytic pelvis: lengths in the bones, the joint and where it is crossed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sjplan.core.arrays import Array, frozen
from sjplan.core.frames import SIDE_SIGN
from sjplan.core.plan import Side
from sjplan.core.trajectory import Trajectory
from sjplan.phantom.pelvis import Pelvis
from sjplan.phantom.truth.cubes import Rows, Value

STEP_MM: Final = 0.05
"""Step along an axis: a shorter stretch of bone, or break in it, may be missed."""

BEYOND_MM: Final = 150.0
"""So far beyond either end of the implant its axis is followed: farther than any bone."""

LENGTH_ERROR_MM: Final = 0.05
"""Stated error of every length: a missed stretch; the ends of what is found are exact to 1e-6 mm."""

_HALVINGS: Final = 26

Span = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class AxisLengths:
    """Lengths along one axis, each right to `LENGTH_ERROR_MM`.

    Parameters
    ----------
    protrusion_mm : float or None
        From the implant's lateral end to where its axis enters the ilium; None where it meets none.
    iliac_mm, joint_mm, sacral_mm : float
        Lengths of the implant's axis within ilium and sacrum, and between them where it crosses the joint.
    crossing_lps_mm : (3,) float or None
        Where the axis meets the joint's mid-surface between the bones; None where it does not pass from the ilium into
        the sacrum.
    crosses_articular : bool
        Whether both articular faces stand at the crossing.
    """

    protrusion_mm: float | None
    iliac_mm: float
    joint_mm: float
    sacral_mm: float
    crossing_lps_mm: Array | None
    crosses_articular: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as a JSON file holds them."""
        crossing = None if self.crossing_lps_mm is None else [round(float(v), 4) for v in self.crossing_lps_mm]
        return {
            "protrusion_mm": self.protrusion_mm,
            "iliac_mm": self.iliac_mm,
            "joint_mm": self.joint_mm,
            "sacral_mm": self.sacral_mm,
            "crossing_lps_mm": crossing,
            "crosses_articular": self.crosses_articular,
            "error_mm": LENGTH_ERROR_MM,
        }


@dataclass(frozen=True, slots=True, eq=False)
class AxisSpans:
    """Stretches of a whole axis within ilium and sacrum, in mm from the implant's lateral end."""

    ilium: tuple[Span, ...]
    sacrum: tuple[Span, ...]

    def gap(self) -> Span | None:
        """From where the axis leaves the ilium to where it first enters the sacrum after it; None where it does not."""
        met = [span for span in self.ilium if span[1] > 0]
        entered = [s for s in self.sacrum if s[1] > 0 and any(e[1] <= s[0] for e in met)]
        if not entered:
            return None
        return max(e[1] for e in met if e[1] <= entered[0][0]), entered[0][0]


def axis_spans(pelvis: Pelvis, side: Side, trajectory: Trajectory) -> AxisSpans:
    """Where an axis runs within the ilium of one side and within the sacrum."""
    origin, axis = trajectory.entry_lps_mm, trajectory.axis
    at = np.arange(-BEYOND_MM, trajectory.length_mm + BEYOND_MM, STEP_MM)

    def spans(bone: str) -> tuple[Span, ...]:
        ends = _roots(lambda t: pelvis.bone_mm(bone, origin + t[:, None] * axis), at)
        return tuple((float(a), float(b)) for a, b in zip(ends[0::2], ends[1::2], strict=True))

    return AxisSpans(spans(f"hip_{side}"), spans("sacrum"))


def axis_lengths(pelvis: Pelvis, side: Side, trajectory: Trajectory) -> AxisLengths:
    """Lengths along an implant's axis, defined as the safety room does.

    Parameters
    ----------
    pelvis : Pelvis
        The pelvis.
    side : {"left", "right"}
        Whose ilium and joint.
    trajectory : Trajectory
        The implant.

    Examples
    --------
    >>> from sjplan.core.implant import ImplantModel
    >>> from sjplan.phantom.parameters import PhantomParameters
    >>> pelvis = Pelvis(PhantomParameters())
    >>> rod = ImplantModel("rod", "a rod", "cylinder", 3.5, 3.5, (60.0,))
    >>> entry, tip = pelvis.lps_from_sacral([[75.0, 5.0, -20.0], [15.0, 5.0, -20.0]])
    >>> found = axis_lengths(pelvis, "left", Trajectory(entry, tip, 0.0, rod))
    >>> round(found.protrusion_mm + found.iliac_mm + found.joint_mm + found.sacral_mm)
    60
    """
    spans, length = axis_spans(pelvis, side, trajectory), trajectory.length_mm
    lateral = next((span[0] for span in spans.ilium if span[1] > 0), None)
    iliac, sacral = (sum(_overlap(s, (0.0, length)) for s in own) for own in (spans.ilium, spans.sacrum))
    gap = spans.gap()
    if gap is None:
        return AxisLengths(lateral, iliac, 0.0, sacral, None, False)
    crossing, articular = _crossing(pelvis, side, trajectory, gap)
    return AxisLengths(lateral, iliac, _overlap(gap, (-np.inf, length)), sacral, crossing, articular)


def _crossing(pelvis: Pelvis, side: Side, trajectory: Trajectory, gap: Span) -> tuple[Array, bool]:
    """Where the axis meets the mid-surface within the gap, else the gap's middle, and whether that is articular."""
    shape, mirror = pelvis.sacrum[side].joint, np.array((SIDE_SIGN[side], 1.0, 1.0))

    def off(t: Array) -> Array:
        q = pelvis.sacral_mm(trajectory.entry_lps_mm + t[:, None] * trajectory.axis) * mirror
        return np.asarray(q[:, 0] - shape.mid_x(q[:, 1], q[:, 2]))

    met = _roots(off, np.linspace(gap[0], gap[1], 2 + int((gap[1] - gap[0]) / STEP_MM)))
    t = float(met[0]) if len(met) else 0.5 * (gap[0] + gap[1])
    point = trajectory.entry_lps_mm + t * trajectory.axis
    _, y, z = (pelvis.sacral_mm(point[None]) * mirror).T
    return frozen(point), bool(pelvis.articular(side, y, z)[0])


def _overlap(a: Span, b: Span) -> float:
    return float(max(0.0, min(a[1], b[1]) - max(a[0], b[0])))


def _roots(value: Value, at: Array) -> Array:
    """Where a function along an axis changes sign, by bisection between the given places."""
    inside = value(at) < 0
    rows: Rows = np.flatnonzero(inside[1:] != inside[:-1])
    low, high = at[rows], at[rows + 1]
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        as_low = (value(middle) < 0) == inside[rows] if len(rows) else np.zeros(0, dtype=bool)
        low, high = np.where(as_low, middle, low), np.where(as_low, high, middle)
    return np.asarray(0.5 * (low + high))
