"""How far implants lie off those of a plan: at both ends, in angle, and in the surgeon's directions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sjplan.core.frames import SIDE_SIGN, AnatomicalFrame
from sjplan.core.plan import Side
from sjplan.core.shown import raised
from sjplan.core.trajectory import Trajectory

NAMED_MM: Final = 0.5
"""A direction in which a tip is off by less is not named."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """One implant beside the planned one.

    Parameters
    ----------
    slot, planned_slot : int
        Number of the implant, and of the planned one that it is compared with.
    entry_mm, tip_mm : float
        How far its ends lie from the planned ones.
    angle_deg : float
        Between the axes.
    cranial_mm, ventral_mm, medial_mm : float
        The tip's way off in the pelvis's own directions: negative is caudal, dorsal, lateral.
    """

    slot: int
    planned_slot: int
    entry_mm: float
    tip_mm: float
    angle_deg: float
    cranial_mm: float
    ventral_mm: float
    medial_mm: float

    @property
    def text(self) -> str:
        """In words.

        Examples
        --------
        >>> Deviation(1, 1, 2.0, 5.0, 3.0, -4.0, 0.1, 3.0).text
        'tip 5.0 mm off the plan (4.0 caudal, 3.0 too deep), entry 2.0 mm, turned by 3 degrees'
        """
        ways = (
            (self.cranial_mm, "cranial", "caudal"),
            (self.ventral_mm, "ventral", "dorsal"),
            (self.medial_mm, "too deep", "short"),
        )
        named = ", ".join(f"{abs(mm):.1f} {more if mm > 0 else less}" for mm, more, less in ways if abs(mm) >= NAMED_MM)
        where = f" ({named})" if named else ""
        plan = "the plan" if self.planned_slot == self.slot else f"planned implant {self.planned_slot}"
        return (
            f"tip {raised(self.tip_mm)} mm off {plan}{where}, entry {raised(self.entry_mm)} mm, "
            f"turned by {raised(self.angle_deg, 0)} degrees"
        )


def paired(own: Sequence[Trajectory], planned: Sequence[Trajectory]) -> tuple[tuple[int, int], ...]:
    """Which of one's own implants stands for which planned one, by place from 0, so that tips lie nearest in all.

    Where there are more of one kind than of the other, the rest is left out.
    """
    few, many = (own, planned) if len(own) <= len(planned) else (planned, own)
    ways = itertools.permutations(range(len(many)), len(few))

    apart = [[float(np.linalg.norm(a.tip_lps_mm - b.tip_lps_mm)) for b in many] for a in few]
    best = tuple(enumerate(min(ways, key=lambda way: sum(apart[n][m] for n, m in enumerate(way)))))
    return best if few is own else tuple(sorted((m, n) for n, m in best))


def deviations(
    own: Sequence[Trajectory], planned: Sequence[Trajectory], side: Side, frame: AnatomicalFrame
) -> tuple[Deviation, ...]:
    """How far each implant of one side lies off its planned one.

    Parameters
    ----------
    own, planned : sequence of Trajectory
        Both cranial to caudal.
    side : {"left", "right"}
        Of both.
    frame : AnatomicalFrame
        Of the pelvis.
    """
    return tuple(deviation(own[n], planned[m], side, frame, n + 1, m + 1) for n, m in paired(own, planned))


def deviation(
    own: Trajectory, planned: Trajectory, side: Side, frame: AnatomicalFrame, slot: int = 1, planned_slot: int = 1
) -> Deviation:
    """How far one implant lies off one planned implant."""
    off = own.tip_lps_mm - planned.tip_lps_mm
    return Deviation(
        slot=slot,
        planned_slot=planned_slot,
        entry_mm=float(np.linalg.norm(own.entry_lps_mm - planned.entry_lps_mm)),
        tip_mm=float(np.linalg.norm(off)),
        angle_deg=float(np.rad2deg(np.arccos(np.clip(own.axis @ planned.axis, -1.0, 1.0)))),
        cranial_mm=float(off @ frame.cranial),
        ventral_mm=-float(off @ frame.posterior),
        medial_mm=-SIDE_SIGN[side] * float(off @ frame.left),
    )
