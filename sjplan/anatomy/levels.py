"""Which foramen is which: pairs counted from the top, checked by depth below the endplate and by spacing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sjplan.anatomy.tunnels import Tunnel
from sjplan.core.findings import Finding, Severity
from sjplan.core.plan import Side
from sjplan.core.structures import LEVELS

FIRST_EXPECTED_MM = (28.0, 38.0)
FIRST_ALLOWED_MM = (20.0, 45.0)
"""Arc from the S1 endplate to the first pair: expected, and beyond doubt. On sixteen real pelves the S1 pair lies 28 to
36 mm deep and the S2 pair 52 to 74 mm; a first open pair deeper than 45 mm is not S1."""

FIRST_TO_NEXT = 2.0
"""Depth of the first pair over its distance to the next: 0.9 to 1.6 where S1 is first, 2.6 to 3.1 where S2 is. Free of
the patient's size."""

SPACING_MM = (15.0, 34.0)
"""Arc between neighbouring pairs (19 to 27 mm on average, CLINICAL.md section 3; widened by two deviations)."""

FIRST_TO_NEXT_POCKET = 3.4
"""Enclosed space of the first pair over that of the next: 0.8 to 2.4 on sixteen real pelves and 1.2 to 2.9 in two
hundred phantoms at 1 mm, median 1.6. Where the first two levels are taken for one it is 4.0 and more."""

SAME_LEVEL_MM = 11.0
TYPICAL_FIRST_MM, TYPICAL_SPACING_MM = 33.0, 24.0
SKIPPED_SEGMENT_MM = 42.0


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """A tunnel with its level; `index` is its place in the list of tunnels."""

    index: int
    level: str
    sign: int
    doubtful: bool


@dataclass(frozen=True, slots=True)
class Naming:
    """Levels of all open tunnels, what is in doubt, and the arcs of the pairs below the endplate."""

    named: tuple[Named, ...]
    findings: tuple[Finding, ...]
    pair_depth_mm: tuple[float, ...]


def name_levels(
    tunnels: Sequence[Tunnel], usable: Sequence[bool], weak: Sequence[bool], endplate_arc_mm: float
) -> Naming:
    """Name the usable tunnels S1 to S4 by their order down the canal.

    Parameters
    ----------
    tunnels
        All tunnels of both sides.
    usable, weak
        Whether each is open in front, and whether its mouths are uncertain.
    endplate_arc_mm : float
        Arc of the S1 endplate on the canal's axis.

    Returns
    -------
    Naming
        A pair too near or far from the one above, or a first pair at an unusual depth or of unusual size, is named
        all the same, marked doubtful and reported.
    """
    pairs = _pairs(tunnels, usable)
    if not pairs:
        return Naming((), (), ())
    depth = [float(np.mean([tunnels[n].arc_mm for n in pair])) - endplate_arc_mm for pair in pairs]
    numbers, findings, doubt = _numbered(depth)
    foramina = [_foramen_of(tunnels, pair) for pair in pairs]
    joined = _joined(tunnels, foramina) if numbers[0] == 0 else None
    if joined is not None:
        findings, doubt = (*findings, joined), True
    named: list[Named] = []
    for pair, number in zip(foramina, numbers, strict=True):
        for sign in (1, -1):
            if sign in pair and number < len(LEVELS):
                named.append(Named(pair[sign], LEVELS[number], sign, doubt or weak[pair[sign]]))
    return Naming(tuple(named), findings, tuple(depth))


def _pairs(tunnels: Sequence[Tunnel], usable: Sequence[bool]) -> list[list[int]]:
    """Tunnels of both sides at about the same arc, cranial to caudal."""
    pairs: list[list[int]] = []
    for n in sorted((n for n, ok in enumerate(usable) if ok), key=lambda n: tunnels[n].arc_mm):
        if pairs and tunnels[n].arc_mm - np.mean([tunnels[m].arc_mm for m in pairs[-1]]) < SAME_LEVEL_MM:
            pairs[-1].append(n)
        else:
            pairs.append([n])
    return pairs


def _foramen_of(tunnels: Sequence[Tunnel], pair: Sequence[int]) -> dict[int, int]:
    """Index of the tunnel on each side of a pair; of several pieces the largest."""
    found: dict[int, int] = {}
    for n in sorted(pair, key=lambda n: tunnels[n].seed_mm3, reverse=True):
        found.setdefault(tunnels[n].sign, n)
    return found


def _joined(tunnels: Sequence[Tunnel], foramina: Sequence[Mapping[int, int]]) -> Finding | None:
    """A finding where the first pair is so much larger than the next that it may be two levels in one."""
    if len(foramina) < 2:
        return None
    both = set(foramina[0]) & set(foramina[1])
    first, following = (sum(tunnels[pair[sign]].seed_mm3 for sign in both) for pair in foramina[:2])
    if first <= FIRST_TO_NEXT_POCKET * following:
        return None
    text = f"the first pair of foramina is {first / following:.1f} times as large as the next (at most"
    return Finding("level-doubtful", "warning", f"{text} {FIRST_TO_NEXT_POCKET}): it may be two levels in one")


def _numbered(depth: Sequence[float]) -> tuple[list[int], tuple[Finding, ...], bool]:
    """Level number of each pair (0 is S1), findings, and whether the names as a whole are in doubt."""
    findings: list[Finding] = []
    relative = depth[0] / max(depth[1] - depth[0], 1.0) if len(depth) > 1 else 0.0
    too_deep = depth[0] > FIRST_ALLOWED_MM[1] or (depth[0] > FIRST_EXPECTED_MM[1] and relative > FIRST_TO_NEXT)
    doubt = too_deep or depth[0] < FIRST_ALLOWED_MM[0]
    first = max(1, round((depth[0] - TYPICAL_FIRST_MM) / TYPICAL_SPACING_MM)) if too_deep else 0
    if doubt:
        text = (
            f"first open pair {depth[0]:.0f} mm below the S1 endplate (expected {FIRST_EXPECTED_MM[0]:.0f} to "
            f"{FIRST_EXPECTED_MM[1]:.0f}): named {LEVELS[min(first, 3)]}, the level is in doubt"
        )
        findings.append(Finding("level-doubtful", "warning", text))
    numbers = [first]
    for above, below in pairwise(depth):
        step = below - above
        skipped = max(1, round(step / TYPICAL_SPACING_MM)) if step > SKIPPED_SEGMENT_MM else 1
        numbers.append(numbers[-1] + skipped)
        upper = LEVELS[min(numbers[-2], 3)]
        if not SPACING_MM[0] <= step <= SPACING_MM[1]:
            doubt = doubt or numbers[-2] < 2
            text = (
                f"the pair below {upper} follows after {step:.0f} mm (usual {SPACING_MM[0]:.0f} to {SPACING_MM[1]:.0f})"
            )
            findings.append(Finding("level-doubtful", "warning", text + ": levels are in doubt"))
    if len(depth) > len(LEVELS):
        text = f"{len(depth)} pairs of open foramina, four expected: perhaps a transitional vertebra"
        findings.append(Finding("foramina-count", "warning", text))
    return numbers, tuple(findings), doubt


def missing_levels(
    naming: Naming, sides: Mapping[int, Side], endplate_arc_mm: float, end_arc_mm: float
) -> tuple[Finding, ...]:
    """One finding per level and side that was not found open, saying why as far as can be told.

    `end_arc_mm` is where the sacrum's bone ends along the canal's axis.
    """
    findings: list[Finding] = []
    have = {(n.level, n.sign) for n in naming.named}
    found = [LEVELS.index(n.level) for n in naming.named]
    for number, level in enumerate(LEVELS):
        expected = _expected_arc(number, naming, found) + endplate_arc_mm
        cut = bool(found) and expected > end_arc_mm - 8.0
        for sign in (1, -1):
            if (level, sign) in have:
                continue
            why = "the sacrum's label ends above it" if cut else "closed, open-sided or too small in this label map"
            severity: Severity = "refusal" if number < 2 else "note"
            text = f"no open {level} foramen on the {sides[sign]}: {why}"
            findings.append(Finding("foramen-missing", severity, text, sides[sign]))
    if not found:
        text = "no open foramen at all: the foramina are closed in this label map"
        findings.append(Finding("foramina-closed", "refusal", text))
    return tuple(findings)


def _expected_arc(number: int, naming: Naming, found: Sequence[int]) -> float:
    """Depth below the endplate where a level would be."""
    if not found:
        return TYPICAL_FIRST_MM + number * TYPICAL_SPACING_MM
    return naming.pair_depth_mm[-1] + (number - max(found)) * TYPICAL_SPACING_MM
