"""How wide the canal is along its length: the narrow places between foramina are the sacrum's pedicles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.signal import find_peaks

from sjplan.anatomy.canal import CanalAxis
from sjplan.anatomy.pockets import INSIDE
from sjplan.core.arrays import Array

SIGNS = (1, -1)
LATERAL_CAP_MM = 26.0
PROMINENCE_MM = 2.5
"""A pedicle narrows the enclosed space by at least this; smaller dips are surface detail."""

SHALLOW_MM = 0.8
"""A dip this deep is a pedicle where there must be one."""

APART_MM = 11
"""Pedicles lie 15 to 34 mm apart; dips nearer than this belong to one pedicle."""

LONGEST_SEGMENT_MM = 42
LONGEST_FIRST_SEGMENT_MM = 46
"""No sacral segment is longer: a stretch beyond it hides a shallow pedicle."""


@dataclass(frozen=True, slots=True, eq=False)
class CanalWalls:
    """Half-width of the canal by side and arc, and the arcs of the pedicles."""

    half_width_mm: Mapping[int, Array]
    pedicles: Mapping[int, tuple[int, ...]]

    def at(self, x: Array, s: Array) -> Array:
        """Half-width at the side and arc of each point."""
        out = np.zeros(len(x))
        for sign in SIGNS:
            here = x >= 0 if sign > 0 else x < 0
            width = self.half_width_mm[sign]
            out[here] = np.interp(s[here], np.arange(len(width)), width)
        return out


def lateral_profile(x: Array, s: Array, v: Array, enclosure: Array, length: int, sign: int) -> Array:
    """Farthest enclosed point from the mid-plane at every millimetre of arc, on one side."""
    inside = (enclosure > INSIDE) & (x * sign > 0) & (np.abs(v) < 18) & (np.abs(x) < 30)
    profile = np.zeros(length)
    np.maximum.at(profile, np.clip(s[inside].astype(int), 0, length - 1), np.abs(x[inside]))
    return np.minimum(profile, LATERAL_CAP_MM)


def find_walls(axis: CanalAxis, profiles: Mapping[int, Array]) -> CanalWalls:
    """Canal walls through the pedicles of both sides; neither side may be 1.35 times as wide as the other."""
    pedicles = find_pedicles(axis, profiles)
    raw = {sign: _half_width(profiles[sign], axis, pedicles[sign]) for sign in SIGNS}
    widest = np.minimum(raw[1], raw[-1]) * 1.35
    return CanalWalls({sign: np.minimum(raw[sign], widest) for sign in SIGNS}, pedicles)


def find_pedicles(axis: CanalAxis, profiles: Mapping[int, Array]) -> dict[int, tuple[int, ...]]:
    """Arcs of the pedicles on both sides; a dip seen on one side is looked for on the other."""
    levels = _paired_dips(axis, profiles)
    _split_long_segments(levels, axis, (profiles[1] + profiles[-1]) / 2)
    out: dict[int, list[int]] = {1: [], -1: []}
    for level in levels:
        middle = level[0]
        for sign in SIGNS:
            if sign not in level:
                begin = max(middle - 8, axis.first)
                stretch = profiles[sign][begin : middle + 9]
                level[sign] = begin + int(np.argmin(np.where(stretch > 2, stretch, 99.0)))
            out[sign].append(level[sign])
    return {sign: tuple(sorted(set(values))) for sign, values in out.items()}


def _paired_dips(axis: CanalAxis, profiles: Mapping[int, Array]) -> list[dict[int, int]]:
    """Dips of either side, strongest first, at least `APART_MM` apart; key 0 holds the arc, a sign its own dip."""
    found: list[tuple[float, int, int]] = []
    for sign in SIGNS:
        profile = profiles[sign]
        dips, facts = find_peaks(-profile, prominence=PROMINENCE_MM, plateau_size=(1, 40))
        for dip, prominence in zip(dips.tolist(), facts["prominences"].tolist(), strict=True):
            if axis.first + 18 < dip < axis.last + 3 and 3 < profile[dip] < 20.5:
                found.append((-prominence, int(dip), sign))
    levels: list[dict[int, int]] = []
    for _, dip, sign in sorted(found):
        if all(abs(level[0] - dip) >= APART_MM for level in levels):
            levels.append({0: dip, sign: dip})
    return sorted(levels, key=lambda level: level[0])


def _split_long_segments(levels: list[dict[int, int]], axis: CanalAxis, mean: Array) -> None:
    """Add the dip of the mean profile that lies deepest below its shoulders, in a stretch too long for one segment.

    Not the narrowest place: above the first foramen the canal alone is narrower than any pedicle.
    """
    for _ in range(3):
        arcs = [axis.first, *(level[0] for level in levels), axis.last + 2]
        gaps = [
            (b - a, a, b)
            for n, (a, b) in enumerate(pairwise(arcs))
            if b - a > (LONGEST_SEGMENT_MM if n else LONGEST_FIRST_SEGMENT_MM)
        ]
        if not gaps:
            return
        _, begin, end = max(gaps)
        stretch = mean[begin + 14 : end - 12]
        if len(stretch) == 0:
            return
        shoulders = np.minimum(np.maximum.accumulate(stretch), np.maximum.accumulate(stretch[::-1])[::-1])
        dip = int(np.argmax(shoulders - stretch))
        if shoulders[dip] - stretch[dip] < SHALLOW_MM:
            return
        levels.append({0: begin + 14 + dip})
        levels.sort(key=lambda level: level[0])


def _half_width(profile: Array, axis: CanalAxis, pedicles: tuple[int, ...]) -> Array:
    """Half-width of the canal against arc: a line that only falls, through the narrowest sections."""
    top = profile[max(axis.first - 10, 0) : axis.first + 9]
    top = top[top > 9]
    inlet = float(top.min()) if len(top) else 15.0
    if pedicles:
        inlet = min(inlet, float(profile[pedicles[0]]) + 6)
    arcs = [max(axis.first - 2, 0), *pedicles]
    widths = [min(max(inlet, 11.0), 17.0), *(float(profile[n]) for n in pedicles)]
    if not pedicles or pedicles[-1] < axis.last - 10:
        fallen = min(widths[-1] - 0.08 * (axis.last + 8 - arcs[-1]), widths[-1])
        arcs.append(axis.last + 8)
        widths.append(max(5.0, fallen))
    grid = np.arange(len(profile))
    line = np.interp(grid, arcs, np.minimum.accumulate(widths))
    tail = grid - arcs[-1]
    return np.asarray(np.where(tail > 0, np.maximum(line - 0.12 * tail, 4.0), line))
