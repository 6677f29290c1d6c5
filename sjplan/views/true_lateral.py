"""The true lateral: the ray along which both sciatic notches and both iliac cortical densities fall on each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from sjplan.core.arrays import Array, unit
from sjplan.core.frames import AnatomicalFrame

NOTCH_MM: Final = 3.0
DENSITY_MM: Final = 2.0
"""Farthest apart that a true lateral shows the two notches, and the two densities."""

NEEDED: Final = ("notch_left", "notch_right", "iliac_density_left", "iliac_density_right")

_REACHES_MM: Final = (8.0, 16.0)
_SHIFT_STEP_MM: Final = 0.25
_LARGEST_SPREAD_MM: Final = 1.5
"""Arches of one pelvis differ by less once they lie on each other; a default, well above what real ones do."""

_LEAST_SHARED_MM: Final = 8.0


class Offsets(NamedTuple):
    """How far the right side's lines lie from the left side's, seen along the left-right axis (mm).

    `notch_mm` is the shift (posterior, cranial) that lays the one arch on the other; `density_mm` how much higher the
    density lies.
    """

    notch_mm: tuple[float, float]
    density_mm: float


class TrueLateral(NamedTuple):
    """Direction from the tube on the patient's right to the detector, and a point that the central ray passes."""

    ray: Array
    centre_lps_mm: Array


def true_lateral(frame: AnatomicalFrame, lines: Mapping[str, Array]) -> TrueLateral | None:
    """The ray and its place; None where a line of `NEEDED` is missing or the two sides share too little of one.

    The ray turns until notches and densities of the two sides agree as well as they can, an error of `NOTCH_MM` at the
    one weighing as much as `DENSITY_MM` at the other. From a tube at a distance D, structures w beside the mid-plane
    and h off the central ray are seen 2 h w / D apart however the arm is turned, so the ray passes between notches and
    densities, its distances to them as 3 to 2.
    """
    if any(name not in lines for name in NEEDED):
        return None
    seen = {name: frame.frame_from_lps(lines[name]) for name in NEEDED}
    found = offsets(seen)
    if found is None:
        return None
    notch_apart = _apart(seen["notch_left"], seen["notch_right"])
    density_apart = _apart(seen["iliac_density_left"], seen["iliac_density_right"])
    weights = (notch_apart / NOTCH_MM) ** 2, (density_apart / DENSITY_MM) ** 2
    slopes = found.notch_mm[1] / notch_apart, found.density_mm / density_apart
    lean = float(np.average(slopes, weights=weights))
    ray = unit(frame.left - found.notch_mm[0] / notch_apart * frame.posterior - lean * frame.cranial)
    arches = np.concatenate([seen["notch_left"], seen["notch_right"]])
    roof = 0.5 * (seen["notch_left"][:, 2].max() + seen["notch_right"][:, 2].max())
    above = np.mean([seen[name][:, 2].mean() for name in NEEDED[2:]]) - roof
    height = roof + above * NOTCH_MM / (NOTCH_MM + DENSITY_MM)
    return TrueLateral(ray, frame.lps_from_frame((0.0, float(arches[:, 1].mean()), float(height))))


def offsets(seen: Mapping[str, Array]) -> Offsets | None:
    """Offsets of lines given as (left, posterior, cranial), (n, 3) mm each; None where the sides share too little."""
    notch = _shift(seen["notch_left"][:, 1:], seen["notch_right"][:, 1:])
    left, right = (seen[f"iliac_density_{side}"][:, 1:] for side in ("left", "right"))
    back = _shared(left, right)
    if notch is None or back is None:
        return None
    higher = np.interp(back, right[:, 0], right[:, 1]) - np.interp(back, left[:, 0], left[:, 1])
    return Offsets(notch, float(higher.mean()))


def _shared(left: Array, right: Array) -> Array | None:
    """Posterior coordinates that both lines reach, every half millimetre."""
    first, last = max(left[0, 0], right[0, 0]), min(left[-1, 0], right[-1, 0])
    return np.arange(first, last, 0.5) if last - first >= _LEAST_SHARED_MM else None


def _shift(left: Array, right: Array) -> tuple[float, float] | None:
    """The shift (posterior, cranial) from the left arch to the right one that leaves the least spread between them.

    Looked for within 8 mm, then within 16; None where the best lies at the end even of that, or arches still differ.
    """
    for reach in _REACHES_MM:
        best = _best_shift(left, right, reach)
        if best is None:
            return None
        spread, back, up = best
        if abs(back) < reach - 0.5 * _SHIFT_STEP_MM and spread <= _LARGEST_SPREAD_MM:
            return back, up
    return None


def _best_shift(left: Array, right: Array, reach_mm: float) -> tuple[float, float, float] | None:
    """Spread, posterior and cranial shift of the best within reach; None where the sides share too little."""
    best: tuple[float, float, float] | None = None
    for back in np.arange(-reach_mm, reach_mm + 0.01, _SHIFT_STEP_MM):
        moved = right - (back, 0.0)
        shared = _shared(left, moved)
        if shared is None:
            continue
        up = np.interp(shared, moved[:, 0], moved[:, 1]) - np.interp(shared, left[:, 0], left[:, 1])
        spread = float(up.std())
        if best is None or spread < best[0]:
            best = spread, float(back), float(up.mean())
    return best


def _apart(left: Array, right: Array) -> float:
    return float(left[:, 0].mean() - right[:, 0].mean())
