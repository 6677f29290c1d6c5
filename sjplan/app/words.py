"""Numbers of an operation as a person hears them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sjplan.training.pin import Feel

_SOFT_N, _HARD_N = 60.0, 700.0
"""Below the one a hand feels no bone; above the other it is cortex (default)."""

_READINGS: Final = {"depth_mm": "Depth gauge: {:g} mm.", "broached_mm": "Broached to {:g} mm."}


def clock(seconds: float) -> str:
    """Minutes and seconds.

    Examples
    --------
    >>> clock(125.4)
    '2:05'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def felt(feel: Feel) -> str:
    """What the hand says of one move.

    Examples
    --------
    >>> felt(Feel(advanced_mm=4.0, peak_n=320.0, last_n=300.0))
    'Advanced 4.0 mm: firm, spongy bone (320 N at most, 300 N at the end).'
    """
    if feel.skidded_mm > 0.0:
        return f"The tip skids {feel.skidded_mm:.1f} mm along the cortex."
    if feel.last_n > _HARD_N:
        what = "hard bone"
    elif feel.peak_n > _HARD_N:
        what = "through hard bone"
    elif feel.last_n > _SOFT_N:
        what = "firm, spongy bone"
    else:
        what = "gives way, soft tissue"
    moved = f"Advanced {feel.advanced_mm:.1f} mm" if feel.advanced_mm >= 0.05 else "Does not advance"
    return f"{moved}: {what} ({feel.peak_n:.0f} N at most, {feel.last_n:.0f} N at the end)."


def said(readings: Mapping[str, Any]) -> str:
    """What is read off an instrument.

    Examples
    --------
    >>> said({"depth_mm": 42}), said({"kvp": 78.0, "frames": 1})
    ('Depth gauge: 42 mm.', 'One frame at 78 kV.')
    """
    for name, words in _READINGS.items():
        if name in readings:
            return words.format(readings[name])
    if "kvp" in readings:
        frames = int(readings["frames"])
        return f"{'One frame' if frames == 1 else f'{frames} frames'} at {readings['kvp']:.0f} kV."
    return ""
