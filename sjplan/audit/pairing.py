"""Which found thing is which planned implant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import linear_sum_assignment

from sjplan.audit.types import PlannedImplant, Segment
from sjplan.core.trajectory import Trajectory

APART_MM: Final = 30.0
"""What lies farther from a planned implant than this, in the mean of its ends, is another implant (default): implants
of one side are some 20 mm apart, and the worst that is published lie a dozen mm off (STRAIGHT, comparator)."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """Pairs (planned, found) by index, planned ones that nothing was found for, and found ones that nobody planned."""

    pairs: tuple[tuple[int, int], ...]
    missing: tuple[int, ...]
    extra: tuple[int, ...]


def paired(planned: Sequence[PlannedImplant], found: Sequence[Segment]) -> Pairing:
    """Pair what was found with what was planned so that the distances of the ends add up to the least.

    Examples
    --------
    >>> from sjplan.core.implant import ImplantModel
    >>> rod = ImplantModel("rod", "a rod", "cylinder", 3.5, 3.5, (40.0,))
    >>> plan = [PlannedImplant("left", n, Trajectory((60, 0, -20 * n), (20, 0, -20 * n), 0, rod)) for n in (1, 2)]
    >>> lines = [Segment("b", [[20, 2, -41], [60, 0, -40]]), Segment("far", [[-60, 0, -20], [-20, 0, -20]])]
    >>> paired(plan, lines)
    Pairing(pairs=((1, 0),), missing=(0,), extra=(1,))
    """
    cost = np.array([[_apart_mm(p.trajectory, s) for s in found] for p in planned]).reshape(len(planned), len(found))
    # Beyond the border all are equally far: one hopeless pair must not pull the others apart.
    rows, columns = linear_sum_assignment(np.minimum(cost, APART_MM))
    pairs = tuple((int(r), int(c)) for r, c in zip(rows, columns, strict=True) if cost[r, c] < APART_MM)
    return Pairing(
        pairs,
        tuple(n for n in range(len(planned)) if n not in {r for r, _ in pairs}),
        tuple(n for n in range(len(found)) if n not in {c for _, c in pairs}),
    )


def _apart_mm(planned: Trajectory, found: Segment) -> float:
    ends = np.stack([planned.entry_lps_mm, planned.tip_lps_mm])
    ways = (found.ends_lps_mm, found.ends_lps_mm[::-1])
    return min(float(np.linalg.norm(way - ends, axis=1).mean()) for way in ways)


def laid_along(planned: Trajectory, found: Segment) -> Segment:
    """The segment with its ends in the order of the planned entry and tip."""
    along = (found.ends_lps_mm[1] - found.ends_lps_mm[0]) @ planned.axis
    return found if along >= 0 else Segment(found.name, found.ends_lps_mm[::-1])
